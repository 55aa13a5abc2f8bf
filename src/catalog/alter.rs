//! ALTER TABLE and its kin: which relation, in which order, and the subcommands that only note something.

use crate::op::{AlterAction, AlterTarget, ConstraintKind, ObjectKind, Op, OpKind, Options, Persistence};

use super::apply::{Applied, ApplyError, Res, fails};
use super::drop::Obj;
use super::names::clip;
use super::{Catalog, Id, RelKind, Relation};

/// The pass of ALTER TABLE in which Postgres runs the subcommand; 0 for everything else.
pub(super) fn pass(op: &Op) -> u8 {
    use AlterAction::*;
    let OpKind::Alter { action, .. } = &op.kind else { return 0 };
    match action {
        DropColumn { .. }
        | DropConstraint { .. }
        | DropDefault { .. }
        | DropNotNull { .. }
        | DropExpression { .. }
        | DropIdentity { .. } => 0,
        SetType { .. } => 1,
        AddColumn { .. } => 4,
        SetExpression { .. } => 5,
        SetNotNull { .. } => 7,
        AddConstraint(c) => match c.kind {
            ConstraintKind::PrimaryKey { .. } | ConstraintKind::Unique { .. } | ConstraintKind::Exclude { .. } => 8,
            _ => 10,
        },
        SetDefault { .. } | AddIdentity { .. } => 10,
        _ => 11,
    }
}

/// The relation is of a kind that the subcommand is not for.
pub(super) fn wrong_kind(rel: &Relation, action: &str) -> ApplyError {
    fails("42809", format!("ALTER action {action} cannot be performed on relation \"{}\"", rel.name)).unless(rel.assumed)
}

impl Catalog {
    pub(super) fn alter(&mut self, target: &AlterTarget, action: &AlterAction) -> Res<Applied> {
        let id = match self.resolve(&target.name).or_else(|| self.type_relation(target)) {
            Some(id) => id,
            None if target.if_exists => return Ok(Applied::skipped()),
            None if matches!(target.kind, ObjectKind::Type) => {
                if self.complete && !self.unknown_extension() {
                    // Attributes are columns of the type's relation, and that is what Postgres looks for.
                    use AlterAction::{AddColumn, DropColumn, RenameColumn, SetType};
                    let attribute = matches!(action, AddColumn { .. } | DropColumn { .. } | RenameColumn { .. } | SetType { .. });
                    let (state, what) = if attribute { ("42P01", "relation") } else { ("42704", "type") };
                    return Err(fails(state, format!("{what} \"{}\" does not exist", target.name)));
                }
                self.need_relation_of(&target.name, RelKind::Composite)?
            }
            None => self.need_relation_of(&target.name, kind_of(target.kind))?,
        };
        let Some(rel) = self.shared(id) else { return Ok(Applied::default()) };
        self.check_kind(target, action, &rel)?;
        self.refuse_alter(&rel, target, action)?;
        self.alter_relation(id, &rel, target, action)
    }

    /// ALTER TYPE names a composite type, which is a relation of the same name.
    fn type_relation(&self, target: &AlterTarget) -> Option<Id> {
        (target.kind == ObjectKind::Type).then(|| self.type_id(&target.name)).flatten().filter(|id| self.relations.contains_key(id))
    }

    fn check_kind(&self, target: &AlterTarget, action: &AlterAction, rel: &Relation) -> Res<()> {
        use RelKind::*;
        // A column can be renamed by the name of any kind of relation.
        if rel.assumed || matches!(action, AlterAction::RenameColumn { .. }) {
            return Ok(());
        }
        let word = match target.kind {
            ObjectKind::View if rel.kind != View => "view",
            ObjectKind::MaterializedView if rel.kind != MaterializedView => "materialized view",
            ObjectKind::Sequence if rel.kind != Sequence => "sequence",
            ObjectKind::ForeignTable if rel.kind != ForeignTable => "foreign table",
            // ALTER INDEX … RENAME takes any relation, with a weaker lock.
            ObjectKind::Index if !rel.kind.is_index() && !matches!(action, AlterAction::RenameTo { .. }) => "index",
            ObjectKind::Table if rel.kind == Composite => {
                return Err(fails("42809", format!("\"{}\" is a composite type", rel.name)));
            }
            ObjectKind::Type if rel.kind != Composite => {
                return Err(fails("42809", format!("{} is a table's row type", rel.name)).maybe());
            }
            _ => return Ok(()),
        };
        let article = if word == "index" { "an" } else { "a" };
        Err(fails("42809", format!("\"{}\" is not {article} {word}", rel.name)))
    }

    fn alter_relation(&mut self, id: Id, rel: &Relation, target: &AlterTarget, action: &AlterAction) -> Res<Applied> {
        use AlterAction::*;
        match action {
            AddColumn { column, if_not_exists, cascade } => {
                let tables = self.following_tables(rel, *cascade)?;
                let applied = self.add_column(id, column, *if_not_exists, target.only)?;
                for t in tables {
                    self.add_column(t, column, *if_not_exists, false)?;
                }
                return Ok(applied);
            }
            DropColumn { column, if_exists, cascade } => {
                let tables = self.following_tables(rel, *cascade)?;
                let mut applied = self.drop_column(id, column, *if_exists, *cascade, target.only)?;
                for t in tables {
                    applied.dropped.extend(self.drop_column(t, column, *if_exists, *cascade, false)?.dropped);
                }
                return Ok(applied);
            }
            SetDefault { column, expr } => self.set_default(id, column, expr, target.only)?,
            DropDefault { column } => self.drop_default(id, column, target.only)?,
            SetNotNull { column } => {
                let column = self.need_column(id, column)?;
                self.refuse_only_not_null(rel, &column, target.only)?;
                self.mark_not_null(id, &column, None, true, target.only)?;
            }
            DropNotNull { column } => self.drop_not_null(id, column, target.only, false)?,
            SetType { column, ty, collation, using, cascade } => {
                let collation = collation.as_ref().and_then(super::names::collation);
                self.set_type(id, column, ty, collation.clone(), using.as_ref(), target.only)?;
                for t in self.following_tables(rel, *cascade)? {
                    self.set_type(t, column, ty, collation.clone(), using.as_ref(), false)?;
                }
            }
            SetExpression { column, expr } => {
                let column = self.need_column(id, column)?;
                if rel.column(&column).is_some_and(|c| c.generated.is_none()) && !rel.assumed {
                    return Err(fails("55000", format!("column \"{column}\" of relation \"{}\" is not a generated column", rel.name)));
                }
                let checked = rel.constraints.iter().any(|c| matches!(c.kind, super::ConKind::Check { .. }));
                if checked && self.at_least(18) && rel.column(&column).and_then(|c| c.generated.as_ref()).is_some_and(|g| !g.stored) {
                    let message =
                        "ALTER TABLE / SET EXPRESSION is not supported for virtual generated columns in tables with check constraints";
                    return Err(fails("0A000", message));
                }
                let uses = self.uses_of(expr);
                for id in self.with_descendants(id, target.only) {
                    self.edit_column(id, &column, |c| {
                        if let Some(g) = &mut c.generated {
                            g.expr = expr.clone();
                        }
                        c.uses = uses.clone();
                    });
                }
            }
            DropExpression { column, if_exists } => {
                let column = self.need_column(id, column)?;
                if rel.column(&column).is_some_and(|c| c.generated.is_none()) && !rel.assumed {
                    if *if_exists {
                        return Ok(Applied::skipped());
                    }
                    let message = format!("column \"{column}\" of relation \"{}\" is not a stored generated column", rel.name);
                    return Err(fails("55000", message));
                }
                // Children of children are not gone through either.
                let inner = |c: &Id| !self.children_of(*c).is_empty();
                let children = if target.only { Vec::new() } else { self.descendants_of(id) };
                if target.only && inner(&id) || children.iter().any(inner) {
                    return Err(fails("0A000", "ALTER TABLE / DROP EXPRESSION must be applied to child tables too"));
                }
                if rel.column(&column).and_then(|c| c.generated.as_ref()).is_some_and(|g| !g.stored) && self.at_least(18) {
                    return Err(fails("0A000", "ALTER TABLE / DROP EXPRESSION is not supported for virtual generated columns"));
                }
                for id in self.with_descendants(id, target.only) {
                    self.edit_column(id, &column, |c| {
                        c.generated = None;
                        c.uses = Vec::new();
                    });
                }
            }
            AddIdentity { column, identity } => self.add_identity(id, rel, column, identity)?,
            SetIdentity { column, always, options } => {
                let column = self.need_column(id, column)?;
                if rel.column(&column).is_some_and(|c| c.identity.is_none()) && !rel.assumed {
                    return Err(not_identity(&column, rel));
                }
                self.edit_column(id, &column, |c| {
                    if let Some(i) = &mut c.identity {
                        i.always = always.unwrap_or(i.always);
                        merge_options(&mut i.sequence_options, options);
                    }
                });
            }
            DropIdentity { column, if_exists } => {
                let column = self.need_column(id, column)?;
                if rel.column(&column).is_some_and(|c| c.identity.is_none()) && !rel.assumed {
                    return if *if_exists { Ok(Applied::skipped()) } else { Err(not_identity(&column, rel)) };
                }
                let sequence = self.sequence_of_column(id, &column).map(|s| s.id);
                self.edit_column(id, &column, |c| c.identity = None);
                if let Some(s) = sequence {
                    self.drop_all(vec![Obj::Relation(s)], true)?;
                }
            }
            SetStatistics { column, value } => {
                let by_number = rel.index.is_some() && column.parse::<u16>().is_ok();
                if !by_number && !rel.assumed && rel.column(&clip(column)).is_none() {
                    return Err(super::columns::no_column(&clip(column), rel));
                }
                for t in self.with_descendants(id, target.only) {
                    self.edit_column(t, column, |c| c.statistics = Some(value.clone()));
                }
            }
            SetStorage { column, storage } => {
                let column = self.need_column(id, column)?;
                self.edit_column(id, &column, |c| c.storage = Some(storage.clone()));
            }
            SetCompression { column, method } => {
                let column = self.need_column(id, column)?;
                self.edit_column(id, &column, |c| c.compression = Some(method.clone()));
            }
            SetColumnOptions { column, .. } => {
                self.need_column(id, column)?;
            }

            AddConstraint(c) => self.add_constraint(id, c, target.only)?,
            AlterConstraint { name, deferrable, initially_deferred, enforced, inherit } => {
                let name = self.need_constraint(id, name)?;
                let copies = rel.constraint(&name).map(|c| self.copies_of_foreign_key(id, c)).unwrap_or_default();
                for (table, copy) in copies {
                    self.edit_constraint(table, &copy, |c| {
                        c.deferrable = deferrable.unwrap_or(c.deferrable);
                        c.initially_deferred = initially_deferred.unwrap_or(c.initially_deferred);
                    });
                }
                self.edit_constraint(id, &name, |c| {
                    c.deferrable = deferrable.unwrap_or(c.deferrable);
                    c.initially_deferred = initially_deferred.unwrap_or(c.initially_deferred);
                    c.enforced = enforced.unwrap_or(c.enforced);
                    if *enforced == Some(false) {
                        c.validated = false;
                    } else if *enforced == Some(true) {
                        c.validated = true;
                    }
                    c.no_inherit = inherit.map_or(c.no_inherit, |i| !i);
                });
            }
            ValidateConstraint { name } => self.validate_constraint(id, name, target.only)?,
            DropConstraint { name, if_exists, cascade } => return self.drop_constraint(id, name, *if_exists, *cascade, target.only),

            RenameColumn { from, to, cascade } => {
                let tables = self.following_tables(rel, *cascade)?;
                self.rename_column(id, from, to, target.only)?;
                for t in tables {
                    self.rename_column(t, from, to, false)?;
                }
            }
            RenameConstraint { from, to } => self.rename_constraint(id, from, to)?,
            RenameTo { to } => self.rename_relation(id, to)?,
            SetSchema { schema } => self.move_relation(id, schema)?,
            Owner { to } => {
                let to = self.owner_by(to);
                self.edit(id, |r| r.owner = to);
            }

            Trigger { which, mode } => self.set_trigger_mode(id, which, *mode)?,
            Rule { name, mode } => {
                let name = clip(name.as_str());
                if !rel.assumed && !rel.rules.iter().any(|r| r.name == name) {
                    return Err(fails("42704", format!("rule \"{name}\" for relation \"{}\" does not exist", rel.name)));
                }
                self.edit(id, |r| r.rules.iter_mut().filter(|x| x.name == name).for_each(|x| x.mode = *mode));
            }
            EnableRowSecurity => self.edit(id, |r| r.row_security = true),
            DisableRowSecurity => self.edit(id, |r| r.row_security = false),
            ForceRowSecurity => self.edit(id, |r| r.force_row_security = true),
            NoForceRowSecurity => self.edit(id, |r| r.force_row_security = false),

            ClusterOn { index } => self.cluster_on(id, index)?,
            SetWithoutCluster => self.edit(id, |r| r.clustered_on = None),
            SetWithoutOids => {}
            // A partitioned table has no file that would change.
            SetLogged { .. } if rel.kind == RelKind::PartitionedTable => {}
            SetLogged { logged } => {
                let to = if *logged { Persistence::Permanent } else { Persistence::Unlogged };
                let indexes: Vec<Id> = self.indexes_of(id).iter().map(|r| r.id).collect();
                for id in indexes.into_iter().chain([id]) {
                    self.edit(id, |r| r.persistence = to);
                }
            }
            SetAccessMethod { method } => self.edit(id, |r| r.access_method = Some(method.clone())),
            SetTablespace { tablespace } => self.edit(id, |r| r.tablespace = Some(tablespace.clone())),
            SetOptions { options } => self.edit(id, |r| merge_options(&mut r.options, options)),
            ResetOptions { options } => self.edit(id, |r| r.options.retain(|(k, _)| !options.contains(k))),
            Inherit { parent } => self.inherit(id, parent)?,
            NoInherit { parent } => {
                let parent = self.need_relation(parent)?;
                if !rel.parents.contains(&parent) && !rel.assumed {
                    let parent = self.relation(parent).map(|p| p.name.clone()).unwrap_or_default();
                    return Err(fails("42P01", format!("relation \"{parent}\" is not a parent of relation \"{}\"", rel.name)));
                }
                self.disinherit(id, parent);
            }
            OfType { ty } => {
                let of = self.type_id(ty);
                if let Some(of) = of {
                    self.refuse_of_type(rel, of)?;
                } else if self.complete && !self.unknown_extension() {
                    return Err(fails("42704", format!("type \"{ty}\" does not exist")));
                }
                self.edit(id, |r| r.of_type = of);
            }
            NotOf => {
                if rel.of_type.is_none() && !rel.assumed && self.complete {
                    return Err(fails("42809", format!("\"{}\" is not a typed table", rel.name)));
                }
                self.edit(id, |r| r.of_type = None);
            }
            Other { .. } => {}
            ReplicaIdentity { identity } => {
                if let crate::op::ReplicaIdentity::Index(name) = identity {
                    let name = clip(name.as_str());
                    let there = self.indexes_of(id).iter().any(|i| i.name == name);
                    if !there && !rel.assumed {
                        return Err(fails("42704", format!("index \"{name}\" for table \"{}\" does not exist", rel.name)));
                    }
                }
                self.edit(id, |r| r.replica_identity = Some(identity.clone()));
            }
            AttachPartition { partition, bound } => self.attach_partition(id, partition, bound)?,
            DetachPartition { partition, concurrently, .. } => {
                let part = self.need_relation(partition)?;
                if self.relation(part).is_some_and(|p| !p.parents.contains(&id) && !p.assumed) && !rel.assumed {
                    let message = format!("relation \"{}\" is not a partition of relation \"{}\"", partition.as_str(), rel.name);
                    return Err(fails("42P01", message));
                }
                if *concurrently {
                    self.keep_partition_condition(part)?;
                }
                self.detach_partition(id, part)?;
            }
            AttachIndex { index } => self.attach_index(id, index)?,
        }
        Ok(Applied::default())
    }
}

fn kind_of(kind: ObjectKind) -> RelKind {
    match kind {
        ObjectKind::View => RelKind::View,
        ObjectKind::MaterializedView => RelKind::MaterializedView,
        ObjectKind::Index => RelKind::Index,
        ObjectKind::Sequence => RelKind::Sequence,
        ObjectKind::ForeignTable => RelKind::ForeignTable,
        ObjectKind::Type => RelKind::Composite,
        _ => RelKind::Table,
    }
}

pub(super) fn not_identity(column: &str, rel: &Relation) -> ApplyError {
    fails("55000", format!("column \"{column}\" of relation \"{}\" is not an identity column", rel.name))
}

/// Later options replace earlier ones of the same name.
pub(super) fn merge_options(old: &mut Options, new: &Options) {
    for (k, v) in new {
        match old.iter_mut().find(|(o, _)| o == k) {
            Some((_, value)) => value.clone_from(v),
            None => old.push((k.clone(), v.clone())),
        }
    }
}
