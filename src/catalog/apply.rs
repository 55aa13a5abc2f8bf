//! One operation on the catalog, all or nothing.

use crate::op::{AlterAction, Op, OpKind, Statement};

use super::{Catalog, Id};

/// An operation that Postgres would refuse, or that the catalog cannot follow.
///
/// The catalog stays as it was. `certain` is false when the catalog itself may be incomplete (an object that
/// was made outside of the history); then Postgres may well accept the statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApplyError {
    /// Five characters: `42P01`.
    pub sqlstate: &'static str,
    /// Postgres's own words, as far as they are known.
    pub message: String,
    /// The catalog knows enough to be sure that Postgres refuses it.
    pub certain: bool,
}

impl ApplyError {
    /// Postgres may know better.
    pub(super) fn maybe(mut self) -> Self {
        self.certain = false;
        self
    }

    pub(super) fn unless(mut self, doubt: bool) -> Self {
        self.certain &= !doubt;
        self
    }
}

/// An error that holds if the catalog is complete.
pub(super) fn fails(sqlstate: &'static str, message: impl Into<String>) -> ApplyError {
    ApplyError { sqlstate, message: message.into(), certain: true }
}

pub(super) type Res<T> = Result<T, ApplyError>;

/// What an operation touched, for those who ask afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    pub created: Vec<Id>,
    pub dropped: Vec<Id>,
    /// IF EXISTS / IF NOT EXISTS found nothing to do.
    pub skipped: bool,
}

impl Applied {
    pub(super) fn created(id: Id) -> Self {
        Applied { created: vec![id], ..Applied::default() }
    }

    pub(super) fn skipped() -> Self {
        Applied { skipped: true, ..Applied::default() }
    }
}

/// How deep calls of the history's own functions are followed.
const MAX_CALLS: u32 = 8;

/// The operations in the order in which Postgres carries them out: commands one after the other, each by the passes of ALTER TABLE.
fn in_passes(ops: &[Op]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..ops.len()).collect();
    let mut first = std::collections::HashMap::new();
    for (i, op) in ops.iter().enumerate() {
        first.entry(op.command).or_insert(i);
    }
    order.sort_by_key(|&i| (first[&ops[i].command], super::alter::pass(&ops[i])));
    order
}

impl Catalog {
    /// Applies the operation, or leaves the catalog as it was and says what Postgres would.
    pub fn apply(&mut self, op: &Op) -> Result<Applied, ApplyError> {
        self.apply_nested(op, 0)
    }

    /// Applies a whole statement as Postgres does: subcommands of one ALTER TABLE in the order of its passes, and nothing
    /// at all when a part certainly fails. Errors carry the index of their operation.
    pub fn apply_statement(&mut self, statement: &Statement) -> Vec<(usize, ApplyError)> {
        if let [op] = statement.ops.as_slice() {
            return self.apply(op).err().map(|e| (0, e)).into_iter().collect();
        }
        let order = in_passes(&statement.ops);
        let before = self.clone();
        // In place, as long as nothing fails: a way back to each operation would copy what the one before it has changed.
        if order.iter().all(|&i| self.carry_out(&statement.ops[i], &before).is_ok()) {
            return Vec::new();
        }
        *self = before.clone();
        let mut errors = Vec::new();
        for i in order {
            let op = &statement.ops[i];
            if let Err(e) = self.refuse_by_what_was(op, &before).and_then(|()| self.apply(op)) {
                let fatal = e.certain && !op.conditional;
                errors.push((i, e));
                if fatal {
                    // Snapshots of an open transaction are unchanged by a failing statement, so the whole value can come back.
                    *self = before;
                    break;
                }
            }
        }
        errors
    }

    /// Applies the operation; what it leaves when it fails is of no use.
    fn carry_out(&mut self, op: &Op, before: &Catalog) -> Res<()> {
        self.refuse_by_what_was(op, before)?;
        self.dispatch(op, 0)?;
        self.track_rows(op);
        Ok(())
    }

    /// One ALTER TABLE changes the type of a column, and the persistence of the table, once; and what it may not do to a column as it was it may not
    /// do behind another part of its own either.
    fn refuse_by_what_was(&self, op: &Op, before: &Catalog) -> Res<()> {
        let OpKind::Alter { target, action: action @ (AlterAction::SetType { .. } | AlterAction::SetLogged { .. }) } = &op.kind else {
            return Ok(());
        };
        let is = |c: &Catalog| c.relation_by(&target.name).cloned();
        let (Some(was), Some(is)) = (is(before), is(self)) else { return Ok(()) };
        match action {
            AlterAction::SetType { column, using: Some(_), .. } if was.column(column.as_str()).is_some_and(|c| c.generated.is_some()) => {
                Err(fails("42611", "cannot specify USING when altering type of generated column"))
            }
            AlterAction::SetType { column, .. } => {
                let ty = |r: &super::Relation| r.column(column.as_str()).map(|c| c.ty.clone());
                match (ty(&was), ty(&is)) {
                    (Some(a), Some(b)) if a != b && !a.is_unknown() && !b.is_unknown() => {
                        Err(fails("0A000", format!("cannot alter type of column \"{}\" twice", column.as_str())))
                    }
                    _ => Ok(()),
                }
            }
            AlterAction::SetLogged { .. } if was.persistence != is.persistence => {
                Err(fails("0A000", "cannot change persistence setting twice"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn apply_nested(&mut self, op: &Op, depth: u32) -> Res<Applied> {
        let mut after = self.clone();
        match after.dispatch(op, depth) {
            Ok(applied) => {
                after.track_rows(op);
                *self = after;
                Ok(applied)
            }
            Err(e) => {
                // What exists twice exists twice, however much else is unknown.
                let doubt = !self.complete && !matches!(e.sqlstate, "42P06" | "42P07" | "42701" | "42710");
                Err(e.unless(doubt))
            }
        }
    }

    pub(super) fn may_call(depth: u32) -> bool {
        depth < MAX_CALLS
    }

    fn dispatch(&mut self, op: &Op, depth: u32) -> Res<Applied> {
        if let Some(e) = self.unsafe_enum_use(op) {
            return Err(e);
        }
        self.refuse(op)?;
        match &op.kind {
            OpKind::CreateTable(t) => self.create_table(t),
            OpKind::CreateTableAs(t) => self.create_table_as(t),
            OpKind::Alter { target, action } => self.alter(target, action),
            OpKind::CreateIndex(i) => self.create_index(i),
            OpKind::CreateView(v) => self.create_view(v),
            OpKind::RefreshView { name, concurrently, with_data } => self.refresh_view(name, *concurrently, *with_data),
            OpKind::CreateSequence { name, if_not_exists, persistence, options } => {
                self.create_sequence(name, *if_not_exists, *persistence, options)
            }
            OpKind::AlterSequence { name, if_exists, options } => self.alter_sequence(name, *if_exists, options),

            OpKind::CreateEnum { name, labels } => self.create_enum(name, labels),
            OpKind::CreateDomain { name, ty, default, not_null, checks, .. } => {
                self.create_domain(name, ty, default.as_ref(), *not_null, checks)
            }
            OpKind::CreateComposite { name, attributes } => self.create_composite(name, attributes),
            OpKind::CreateOtherType { name, kind } => self.create_other_type(name, kind),
            OpKind::AddEnumValue { name, value, if_not_exists, before, after, .. } => {
                self.add_enum_value(name, value, *if_not_exists, before.as_deref(), after.as_deref())
            }
            OpKind::RenameEnumValue { name, from, to } => self.rename_enum_value(name, from, to),
            OpKind::AlterDomain { name, action } => self.alter_domain(name, action),

            OpKind::CreateFunction(f) => self.create_function(f),
            OpKind::AlterFunction { object, options } => self.alter_function(object, options),
            OpKind::CreateTrigger(t) => self.create_trigger(t),
            OpKind::CreatePolicy(p) => self.create_policy(p),
            OpKind::AlterPolicy { name, table, roles, using, with_check } => {
                self.alter_policy(name, table, roles, using.as_ref(), with_check.as_ref())
            }
            OpKind::CreateRule { name, table, event, instead, or_replace } => self.create_rule(name, table, event, *instead, *or_replace),

            OpKind::CreateSchema { name, if_not_exists, authorization } => {
                self.create_schema(name.as_ref(), *if_not_exists, authorization.as_deref())
            }
            OpKind::CreateExtension { name, if_not_exists, schema, cascade, .. } => {
                self.create_extension(name, *if_not_exists, schema.as_ref(), *cascade)
            }
            OpKind::AlterExtension { name, .. } => self.alter_extension(name),
            OpKind::CreateStatistics { name, if_not_exists, exprs, table, .. } => {
                self.create_statistics(name.as_ref(), *if_not_exists, exprs, table)
            }
            OpKind::CreateObject { object, or_replace, if_not_exists, detail } => {
                self.create_object(object, *or_replace, *if_not_exists, detail)
            }
            OpKind::AlterObject { object, detail } => self.alter_object(object, detail),
            OpKind::Drop { objects, if_exists, cascade, .. } => self.drop_objects(objects, *if_exists, *cascade),
            OpKind::Rename { object, to } => self.rename_object(object, to),
            OpKind::SetSchema { object, schema } => self.set_object_schema(object, schema),
            OpKind::Owner { object, to } => self.set_object_owner(object, to),
            OpKind::Comment { object, text } => self.comment(object, text.as_deref()),
            OpKind::Grant(g) => self.grant_if(g, op.conditional),

            OpKind::Dml(d) => self.dml(d, depth),
            OpKind::Query(q) => self.query(q, depth),
            OpKind::Copy { table, columns, query, .. } => self.copy(table.as_ref(), columns, query.as_deref(), depth),
            OpKind::Truncate { tables, cascade, .. } => self.truncate(tables, *cascade),
            OpKind::Call { name, args } => self.call(name, args, depth),

            OpKind::Begin { .. } => self.begin(),
            OpKind::Commit { chain } => self.commit(*chain),
            OpKind::Rollback { chain } => self.rollback(*chain),
            OpKind::Savepoint { name } => self.savepoint(name),
            OpKind::ReleaseSavepoint { name } => self.release_savepoint(name),
            OpKind::RollbackTo { name } => self.rollback_to(name),
            OpKind::SetVar { scope, name, value } => self.set_var(*scope, name, value.as_ref()),
            OpKind::ResetVar { name } => self.reset_var(name.as_deref()),
            OpKind::SetRole { role, session, local } => self.set_role(role.as_deref(), *session, *local),
            OpKind::LockTable { tables, .. } => {
                for (name, _) in tables {
                    self.need_relation(name)?;
                }
                Ok(Applied::default())
            }

            OpKind::Reindex { target, name, .. } => self.reindex(*target, name.as_ref()),
            OpKind::Cluster { table, index } => self.cluster(table.as_ref(), index.as_ref()),
            OpKind::Vacuum { tables, analyze, .. } => self.maintain(tables, *analyze),
            OpKind::Analyze { tables } => self.maintain(tables, true),
            OpKind::SetConstraints { .. } | OpKind::NoTransaction { .. } | OpKind::DoBlock { .. } => Ok(Applied::default()),
            OpKind::Opaque { .. } => {
                // Whatever it did is not known: from here on an unknown object may exist.
                self.complete = false;
                Ok(Applied::default())
            }
        }
    }
}
