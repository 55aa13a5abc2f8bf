//! From a replayed script to facts.

use std::cell::RefCell;

use crate::catalog::{ConKind, RelName, Relation};
use crate::compat::{Broken, BrokenQuery};
use crate::effects::{Effects, predict};
use crate::op::{
    AlterAction, AlterTag, ColumnDef, ConstraintKind, DmlKind, LockMode, ObjectKind, ObjectRef, Op, OpKind, OpTag, OpaqueReason, QName,
    TableConstraint, Volatility,
};
use crate::replay::{Replayed, ReplayedScript};

use super::here::{Here, Look};
use super::knowledge::old_name;
use super::whole::Whole;
use super::{Facts, Knowledge, Value, access, cascade, code, columns, data, replaced, skipped, views};

/// Facts of every operation of the script, statement by statement, with one set for each statement as a whole.
pub fn collect(script: &ReplayedScript, known: &Knowledge) -> Vec<Facts> {
    let mut out = Vec::new();
    each(script, known, |f| out.push(f));
    out
}

/// The same, one after the other: those of a large file need not stand in memory together.
pub fn each(script: &ReplayedScript, known: &Knowledge, mut out: impl FnMut(Facts)) {
    // Relations locked ACCESS EXCLUSIVE so far in the transaction.
    let mut held: (u32, Vec<String>) = (0, Vec::new());
    let whole = Whole::read(script);
    let look = Look::at(script);
    let mut first = super::locks::First::default();
    let mut out = |mut f: Facts| {
        first.mark(&mut f);
        out(f);
    };
    let mut file = super::runner::file(script, &whole);
    super::down::about_file(&mut file, script);
    out(file);
    for (at, r) in script.statements.iter().enumerate() {
        if held.0 != r.transaction {
            held = (r.transaction, Vec::new());
        }
        let queries = known.broken_queries(r);
        let place =
            Place { script, r, at, held: &held.1, whole: &whole, look: &look, known, queries: &queries, tables: RefCell::default() };
        out(place.statement());
        for (i, op) in r.statement.ops.iter().enumerate() {
            for one in single(op) {
                place.operation(i, &one).into_iter().for_each(&mut out);
            }
        }
        let strong = r.effects.locks.iter().filter(|(n, m)| **m == LockMode::AccessExclusive && existed(script, r, &n.schema, &n.name));
        for (n, _) in strong {
            if is_table(r, n) && !held.1.contains(&n.to_string()) {
                held.1.push(n.to_string());
            }
        }
    }
}

/// DROP and TRUNCATE of several objects, one by one.
fn single(op: &Op) -> Vec<std::borrow::Cow<'_, Op>> {
    use std::borrow::Cow;
    match &op.kind {
        OpKind::Drop { objects, if_exists, cascade, concurrently } if objects.len() > 1 => {
            let one = |o: &ObjectRef| {
                let kind = OpKind::Drop { objects: vec![o.clone()], if_exists: *if_exists, cascade: *cascade, concurrently: *concurrently };
                Cow::Owned(Op { kind, span: o.name.span(), ..op.clone() })
            };
            objects.iter().map(one).collect()
        }
        OpKind::Truncate { tables, cascade, restart_identity } if tables.len() > 1 => {
            let one = |t: &(QName, bool)| {
                let kind = OpKind::Truncate { tables: vec![t.clone()], cascade: *cascade, restart_identity: *restart_identity };
                Cow::Owned(Op { kind, span: t.0.span(), ..op.clone() })
            };
            tables.iter().map(one).collect()
        }
        _ => vec![Cow::Borrowed(op)],
    }
}

fn is_table(r: &Replayed, n: &crate::catalog::RelName) -> bool {
    let rel = r.after.relation_named(&n.schema, &n.name).or_else(|| r.before.relation_named(&n.schema, &n.name));
    rel.is_none_or(|r| r.kind.is_table())
}

/// The relation was there before the script, under whatever name. One that nobody knows was there.
pub(super) fn existed(script: &ReplayedScript, r: &Replayed, schema: &str, name: &str) -> bool {
    let found = r.after.relation_named(schema, name).or_else(|| r.before.relation_named(schema, name));
    found.is_none_or(|rel| is_old(script, rel))
}

pub(super) fn is_old(script: &ReplayedScript, rel: &Relation) -> bool {
    let old = |r: &Relation| script.before.relation(r.id).is_some() || r.assumed;
    match &rel.index {
        // A new index on an old table concerns an old table.
        Some(i) => script.before.relation(i.table).is_some() || old(rel),
        None => old(rel),
    }
}

fn what_becomes(f: &mut Facts, gone: bool, renamed: bool) {
    f.flag("table.gone", gone);
    f.flag("table.renamed", renamed);
}

/// Where an operation stands.
pub(super) struct Place<'a> {
    pub script: &'a ReplayedScript,
    pub r: &'a Replayed,
    /// Number of the statement in the script.
    pub at: usize,
    /// Relations that earlier statements of the transaction hold ACCESS EXCLUSIVE.
    pub held: &'a [String],
    /// What is only seen from the whole script.
    pub whole: &'a Whole,
    pub look: &'a Look,
    pub known: &'a Knowledge,
    /// Known queries of release N-1 that the statement breaks.
    pub queries: &'a [BrokenQuery],
    /// Each column and name of a statement asks for its table.
    pub tables: RefCell<Vec<(QName, OfTable)>>,
}

/// What every set of facts about a table says of it.
#[derive(Clone)]
pub(super) struct OfTable {
    object: String,
    written: String,
    existed: bool,
    known: Option<KnownTable>,
}

#[derive(Clone)]
struct KnownTable {
    partitioned: bool,
    gone: bool,
    renamed: bool,
    old: RelName,
}

impl Place<'_> {
    /// The relation as it was before the statement, or as the statement made it.
    pub fn relation(&self, name: &QName) -> Option<&Relation> {
        self.r.before.relation_by(name).or_else(|| self.r.after.relation_by(name))
    }

    pub fn facts(&self, op: &str, span: crate::source::Span) -> Facts {
        let mut f = Facts { span, statement: self.r.statement.span, ..Facts::default() };
        f.text("op", op);
        f.text("command", self.r.statement.command);
        f.set("pg", Value::Number(self.r.before.pg.0.into()));
        f.flag("in_transaction", self.r.sent.in_transaction);
        super::locks::bounds(self, &mut f);
        f
    }

    fn statement(&self) -> Facts {
        let mut f = self.facts("statement", self.r.statement.span);
        if let Some(state) = &self.r.effects.fails {
            f.text("fails", state.as_str());
            f.text("error", self.r.effects.error.clone().unwrap_or_default());
        }
        if let Some((at, message)) = &self.script.history.outside
            && *at == self.at
        {
            f.text("unknown", message.as_str());
        }
        let opaque = self.r.statement.ops.iter().find_map(|o| match &o.kind {
            OpKind::Opaque { reason } => Some((o, reason)),
            _ => None,
        });
        if let Some((op, reason)) = opaque {
            f.span = op.span;
            let (kind, message) = match reason {
                OpaqueReason::Syntax { message, at } => {
                    if !at.is_empty() {
                        f.span = *at;
                    }
                    ("syntax", message.clone())
                }
                OpaqueReason::Dynamic => ("dynamic", "SQL that is put together when it runs".to_string()),
                OpaqueReason::Template => ("template", "a placeholder that the runner fills in".to_string()),
                OpaqueReason::Language(l) => ("language", format!("code in {l}")),
                OpaqueReason::Psql(what) => ("psql", what.clone()),
            };
            f.text("opaque", kind);
            f.text("opaque.message", message);
        }
        super::locks::statement(self, &mut f);
        super::constraints::statement(self, &mut f);
        super::runner::statement(self, &mut f);
        f
    }

    fn operation(&self, i: usize, op: &Op) -> Vec<Facts> {
        let mut f = self.facts(&name(op), op.span);
        f.flag("conditional", op.conditional);
        f.flag("nested", op.nested);
        self.about(&mut f, op);
        self.effects(&mut f, op);
        super::locks::about(self, &mut f, i, op);
        super::rewrites::about(self, &mut f, op);
        super::constraints::about(self, &mut f, i, op);
        super::indexes::about(self, &mut f, op);
        super::types::about(self, &mut f, op);
        super::runner::about(self, &mut f, i, op);
        let here = Here { script: self.script, r: self.r, at: self.at, i, op, look: self.look };
        for add in [replaced::add, skipped::add, columns::add, code::add, views::add, access::add, data::add, cascade::add] {
            add(&mut f, &here);
        }
        if !self.r.sent.in_transaction
            // When the last one is done, the file is.
            && self.at + 1 < self.script.statements.len()
            && let Some(state) = skipped::again(&here)
        {
            f.text("again", state);
        }
        if skipped::is_skipped(&self.r.before, op) {
            // Nothing is made, dropped or changed: what remains is the lock.
            let op = name(op);
            f.text("op", "skipped");
            f.text("skipped", op);
        }
        let mut out = vec![f];
        out.extend(super::constraints::inline(self, op));
        out.extend(super::types::columns(self, op));
        out.extend(super::naming::names(self, op));
        if let OpKind::CreateTable(t) = &op.kind {
            for c in t.constraints.iter().chain(t.columns.iter().flat_map(|c| &c.constraints)) {
                if let ConstraintKind::ForeignKey(_) = &c.kind {
                    let mut f = self.facts("create-foreign-key", c.span);
                    self.table(&mut f, &t.name);
                    self.constraint(&mut f, c);
                    super::constraints::foreign_key(self, &mut f, &t.name, c);
                    out.push(f);
                }
            }
        }
        for f in &mut out {
            f.op = Some(i);
            self.known.sizes(f);
            self.known.transactions(f);
        }
        out
    }

    pub fn table(&self, f: &mut Facts, name: &QName) {
        let mut tables = self.tables.borrow_mut();
        let at = tables.iter().position(|(n, _)| n == name).unwrap_or_else(|| {
            tables.push((name.clone(), self.of_table(name)));
            tables.len() - 1
        });
        let of = &tables[at].1;
        f.object.clone_from(&of.object);
        f.text("table", of.written.as_str());
        f.flag("table.existed", of.existed);
        if let Some(t) = &of.known {
            f.flag("table.partitioned", t.partitioned);
            what_becomes(f, t.gone, t.renamed);
            f.tables.push(t.old.clone());
        }
    }

    fn of_table(&self, name: &QName) -> OfTable {
        let rel = self.r.before.relation_by(name).or_else(|| self.r.after.relation_by(name));
        OfTable {
            object: rel.map_or_else(|| name.to_string(), |r| r.rel_name().to_string()),
            written: name.to_string(),
            existed: rel.is_none_or(|r| is_old(self.script, r)),
            known: rel.map(|r| {
                let (gone, renamed) = self.end_of(r);
                KnownTable { partitioned: r.partition_by.is_some(), gone, renamed, old: old_name(self.script, r) }
            }),
        }
    }

    /// Whether it is gone at the end of the script, or called otherwise: the table, or the one that an index belongs to.
    fn end_of(&self, rel: &Relation) -> (bool, bool) {
        let table = rel.index.as_ref().and_then(|i| self.r.before.relation(i.table)).map_or(rel, |t| t);
        let end = self.script.after.relation(table.id);
        (end.is_none(), end.is_none_or(|e| e.rel_name() != old_name(self.script, table)))
    }

    pub fn object(&self, f: &mut Facts, o: &ObjectRef) {
        f.object = o.on.as_ref().map_or_else(|| o.name.to_string(), |t| format!("{t}.{}", o.name));
        f.text("object", o.name.to_string());
        f.text("object.kind", o.kind.to_string().replace('-', " "));
        let before = &self.script.before;
        let existed = match o.kind {
            ObjectKind::Type | ObjectKind::Domain => self.r.before.type_by(&o.name).is_none_or(|t| before.types.contains_key(&t.id)),
            ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Routine | ObjectKind::Aggregate => {
                let known = self.r.before.functions_named(&o.name);
                known.is_empty() || known.iter().any(|id| before.functions.contains_key(id))
            }
            ObjectKind::Schema => before.schemas.contains_key(o.name.as_str()) || !self.r.before.schemas.contains_key(o.name.as_str()),
            _ => self.r.before.relation_by(&o.name).is_none_or(|r| is_old(self.script, r)),
        };
        f.flag("object.existed", existed);
        if let Some(t) = &o.on {
            self.table(f, t);
        }
        if matches!(
            o.kind,
            ObjectKind::Table | ObjectKind::View | ObjectKind::MaterializedView | ObjectKind::Sequence | ObjectKind::ForeignTable
        ) {
            self.table(f, &o.name);
        }
        if o.kind == ObjectKind::Index {
            f.text("index", o.name.to_string());
            if let Some(i) = self.r.before.relation_by(&o.name).and_then(|r| r.index.as_ref()) {
                f.flag("index.unique", i.unique);
                f.flag("index.constraint", i.constraint);
                if let Some(t) = self.r.before.relation(i.table) {
                    f.text("table", t.name.as_str());
                    f.flag("table.existed", is_old(self.script, t));
                    f.flag("table.partitioned", t.partition_by.is_some());
                    let (gone, renamed) = self.end_of(t);
                    what_becomes(f, gone, renamed);
                    f.tables.push(old_name(self.script, t));
                }
            }
        }
    }

    pub fn column(&self, f: &mut Facts, c: &ColumnDef) {
        f.text("column", c.name.as_str());
        let serial = c.ty.name.schema.is_none() && c.ty.name.as_str().ends_with("serial");
        let null = c.default.as_ref().is_some_and(|d| matches!(d.kind, crate::op::ExprKind::Null));
        f.flag(
            "column.not_null",
            c.nullable == Some(false) || c.constraints.iter().any(|k| matches!(k.kind, ConstraintKind::PrimaryKey { .. })),
        );
        f.flag("column.filled", c.default.is_some() && !null || serial || c.identity.is_some() || c.generated.is_some());
        f.flag("column.identity", c.identity.is_some());
        f.flag("column.serial", serial);
        if let Some(g) = &c.generated {
            f.text("column.generated", if g.stored || g.implicit && self.r.before.pg.0 < 18 { "stored" } else { "virtual" });
        }
        f.text("type.new", c.ty.text.as_str());
        if let Some(d) = &c.default {
            self.volatility(f, d);
        }
    }

    fn volatility(&self, f: &mut Facts, e: &crate::op::Expr) {
        let v: Volatility = self.r.before.volatility(e);
        f.text("default.volatility", v.to_string());
    }

    pub fn constraint(&self, f: &mut Facts, c: &TableConstraint) {
        let kind = constraint_kind(&c.kind);
        f.text("constraint.kind", kind);
        f.text("constraint", c.name.as_ref().map_or_else(|| kind.replace('-', " "), |n| n.value.clone()));
        f.flag("constraint.not_valid", c.not_valid || c.not_enforced);
        if let ConstraintKind::Unique { using_index, .. } | ConstraintKind::PrimaryKey { using_index, .. } = &c.kind {
            f.flag("constraint.using_index", using_index.is_some());
        }
        if let ConstraintKind::ForeignKey(fk) = &c.kind {
            f.text("fk.on_delete", fk.on_delete.to_string());
            f.text("referenced", fk.table.to_string());
            let rel = self.r.before.relation_by(&fk.table);
            f.flag("referenced.existed", rel.is_none_or(|r| is_old(self.script, r)));
            f.tables.extend(rel.map(|r| old_name(self.script, r)));
        }
    }

    fn about(&self, f: &mut Facts, op: &Op) {
        use AlterAction as A;
        match &op.kind {
            OpKind::Alter { target, action } => {
                if target.kind == ObjectKind::Index {
                    f.text("index", target.name.to_string());
                }
                self.table(f, &target.name);
                f.flag("if_exists", target.if_exists);
                let rel = self.r.before.relation_by(&target.name).or_else(|| self.r.after.relation_by(&target.name));
                match action {
                    A::AddColumn { column, if_not_exists, .. } => {
                        self.column(f, column);
                        f.flag("if_exists", *if_not_exists);
                        if let Some(rel) = rel {
                            self.known.positional(f, self.r, rel);
                        }
                    }
                    A::DropColumn { column, cascade, .. } => {
                        f.text("column", column.as_str());
                        if let Some(rel) = rel {
                            self.known.positional(f, self.r, rel);
                        }
                        f.flag("cascade", *cascade);
                    }
                    A::SetDefault { column, expr } => {
                        f.text("column", column.as_str());
                        self.volatility(f, expr);
                    }
                    A::DropDefault { column } | A::SetNotNull { column } | A::DropNotNull { column } => {
                        f.text("column", column.as_str());
                        if let Some(c) = rel.and_then(|r| r.column(column.as_str())) {
                            f.flag("column.not_null", c.not_null);
                            f.flag("column.filled", c.default.is_some() || c.identity.is_some());
                        }
                    }
                    A::SetType { column, ty, using, .. } => {
                        f.text("column", column.as_str());
                        f.text("type.new", ty.text.as_str());
                        let new = self.r.before.resolve_type(ty);
                        if let Some(c) = rel.and_then(|r| r.column(column.as_str())) {
                            f.text("type.old", c.ty.to_string());
                            let change = crate::effects::type_change(&self.r.before, &c.ty, &new, using.as_ref(), column.as_str());
                            f.text("type.change", change.to_string());
                        }
                    }
                    A::AddIdentity { column, .. } | A::SetExpression { column, .. } | A::DropIdentity { column, .. } => {
                        f.text("column", column.as_str())
                    }
                    A::RenameColumn { from, to, .. } => {
                        f.text("column", from.as_str());
                        f.text("new_name", to.as_str());
                    }
                    A::RenameConstraint { from, to } => {
                        f.text("constraint", from.as_str());
                        f.text("new_name", to.as_str());
                    }
                    A::RenameTo { to } => f.text("new_name", to.as_str()),
                    A::SetSchema { schema } => f.text("new_name", schema.as_str()),
                    A::AddConstraint(c) => self.constraint(f, c),
                    A::DropConstraint { name, cascade, .. } => {
                        f.text("constraint", name.as_str());
                        f.flag("cascade", *cascade);
                        if let Some(c) = rel.and_then(|r| r.constraint(name.as_str())) {
                            f.text("constraint.kind", existing_kind(&c.kind));
                        }
                    }
                    A::ValidateConstraint { name } => {
                        f.text("constraint", name.as_str());
                        let same = rel
                            .and_then(|r| r.constraint(name.as_str()))
                            .is_some_and(|c| self.r.sent.in_transaction && c.origin == self.r.before.now);
                        f.flag("constraint.same_transaction", same);
                    }
                    _ => {}
                }
            }
            OpKind::CreateTable(t) => {
                self.table(f, &t.name);
                f.flag("if_exists", t.if_not_exists);
            }
            OpKind::CreateIndex(i) => {
                self.table(f, &i.table);
                f.text("index", i.name.as_ref().map_or_else(|| "the index".to_string(), ToString::to_string));
                f.flag("index.unique", i.unique);
                f.flag("index.concurrently", i.concurrently);
                f.flag("if_exists", i.if_not_exists);
            }
            OpKind::CreateView(v) => self.table(f, &v.name),
            OpKind::RefreshView { name, concurrently, .. } => {
                self.table(f, name);
                f.flag("view.concurrently", *concurrently);
            }
            OpKind::Drop { objects, if_exists, cascade, concurrently } => {
                if let Some(o) = objects.first() {
                    self.object(f, o);
                }
                f.flag("if_exists", *if_exists);
                f.flag("cascade", *cascade);
                f.flag("index.concurrently", *concurrently);
            }
            OpKind::Rename { object, to } => {
                self.object(f, object);
                f.text("new_name", to.as_str());
            }
            OpKind::SetSchema { object, .. } | OpKind::Owner { object, .. } => self.object(f, object),
            OpKind::RenameEnumValue { name, from, to } => {
                f.text("object", name.to_string());
                f.text("column", from.as_str());
                f.text("new_name", to.as_str());
                f.flag("object.existed", self.r.before.type_by(name).is_none_or(|t| self.script.before.types.contains_key(&t.id)));
            }
            OpKind::AddEnumValue { name, value, if_not_exists, .. } => {
                f.text("object", name.to_string());
                f.text("column", value.as_str());
                f.flag("if_exists", *if_not_exists);
                f.flag("object.existed", self.r.before.type_by(name).is_none_or(|t| self.script.before.types.contains_key(&t.id)));
            }
            OpKind::CreateTrigger(t) => self.table(f, &t.table),
            OpKind::CreatePolicy(p) => self.table(f, &p.table),
            OpKind::Dml(d) => {
                self.table(f, &d.table);
                f.flag("bounded", d.filter.is_some());
            }
            OpKind::Truncate { tables, cascade, .. } => {
                if let Some((t, _)) = tables.first() {
                    self.table(f, t);
                }
                f.flag("cascade", *cascade);
            }
            OpKind::LockTable { tables, .. } => {
                if let Some((t, _)) = tables.first() {
                    self.table(f, t);
                }
            }
            OpKind::Vacuum { tables, full, .. } => {
                if let Some(t) = tables.first() {
                    self.table(f, t);
                }
                f.flag("full", *full);
            }
            OpKind::Cluster { table: Some(t), .. } => self.table(f, t),
            OpKind::Reindex { concurrently, .. } => f.flag("index.concurrently", *concurrently),
            _ => {}
        }
    }

    /// What this operation alone does to relations that were there before the script.
    pub fn effects(&self, f: &mut Facts, op: &Op) {
        let alone;
        let all = &self.r.statement;
        let effects: &Effects = if all.ops.len() > 1 || all.ops.first() != Some(op) {
            let only = all.only(op);
            alone = predict(&only, &self.r.before, self.r.sent);
            &alone
        } else {
            &self.r.effects
        };
        let old = |n: &crate::catalog::RelName| existed(self.script, self.r, &n.schema, &n.name);
        let table = |n: &crate::catalog::RelName| {
            let rel = self.r.after.relation_named(&n.schema, &n.name).or_else(|| self.r.before.relation_named(&n.schema, &n.name));
            rel.is_none_or(|r| r.index.is_none())
        };
        let strongest = effects.locks.iter().filter(|(n, _)| old(n)).max_by_key(|(n, m)| (**m, table(n)));
        if let Some((n, m)) = strongest {
            f.text("lock.mode", m.sql());
            f.text("lock.relation", n.to_string());
            f.flag("blocks.reads", m.blocks_reads());
            f.flag("blocks.writes", m.blocks_writes());
        }
        let list = |s: &std::collections::BTreeSet<crate::catalog::RelName>| {
            Value::List(s.iter().filter(|n| old(n)).map(ToString::to_string).collect())
        };
        f.set("rewrites", list(&effects.rewrites));
        f.set("scans", list(&effects.scans));
        f.set("builds", list(&effects.builds));
        let slow = effects.scans.iter().chain(&effects.rewrites).any(old);
        f.flag("scans_under_exclusive", slow && strongest.is_some_and(|(_, m)| m.blocks_writes()));
        f.flag(
            "holds_exclusive",
            strongest.is_some_and(|(n, m)| m.blocks_writes() && self.held.len() == 1 && self.held[0] != n.to_string()),
        );
        let because = match (f.get("column"), f.get("constraint")) {
            (Some(Value::Text(c)), _) | (None, Some(Value::Text(c))) => Some(c.clone()),
            _ => None,
        };
        let several = all.ops.len() > 1;
        let one_of_many = all
            .ops
            .first()
            .is_some_and(|o| o != op && o.command == op.command && std::mem::discriminant(&o.kind) == std::mem::discriminant(&op.kind));
        let about = f.object.clone();
        let is_drop = matches!(op.kind, OpKind::Drop { .. } | OpKind::Truncate { .. });
        let mine = |b: &&Broken| {
            (!several || b.because.is_none() || because.is_none() || b.because == because)
                && !(one_of_many && is_drop && b.relation.to_string() != about && b.relation.name != about)
        };
        let broken: Vec<&Broken> = self
            .r
            .compat
            .broken
            .iter()
            .filter(|b| existed(self.script, self.r, &b.relation.schema, &b.relation.name))
            .filter(mine)
            .collect();
        if !broken.is_empty() {
            f.flag("breaks.prepared_only", broken.iter().all(|b| b.prepared));
            f.set("breaks.count", Value::Number(broken.len() as i64));
        }
        let mut words: Vec<String> = Vec::new();
        for b in broken.iter().filter(|b| !b.prepared).chain(broken.iter().filter(|b| b.prepared)) {
            let w = format!("{}{} {}", b.shape, if b.prepared { " (prepared)" } else { "" }, b.sqlstate);
            if !words.contains(&w) {
                words.push(w);
            }
        }
        f.set("breaks", Value::List(words));
        f.text("breaks.words", super::breaks::by_state(&broken));
        f.text("undo", self.r.compat.undo.to_string());
        let queries: Vec<&BrokenQuery> =
            self.queries.iter().filter(|q| !several || q.because.is_none() || because.is_none() || q.because == because).collect();
        self.known.queries(f, &queries);
    }
}

pub(super) fn constraint_kind(k: &ConstraintKind) -> &'static str {
    match k {
        ConstraintKind::Check { .. } => "check",
        ConstraintKind::NotNull { .. } => "not-null",
        ConstraintKind::Unique { .. } => "unique",
        ConstraintKind::PrimaryKey { .. } => "primary-key",
        ConstraintKind::ForeignKey(_) => "foreign-key",
        ConstraintKind::Exclude { .. } => "exclude",
    }
}

fn existing_kind(k: &ConKind) -> &'static str {
    match k {
        ConKind::Check { .. } => "check",
        ConKind::NotNull { .. } => "not-null",
        ConKind::Unique { .. } => "unique",
        ConKind::PrimaryKey { .. } => "primary-key",
        ConKind::ForeignKey { .. } => "foreign-key",
        ConKind::Exclude { .. } => "exclude",
    }
}

/// The operation's name in rules.
fn name(op: &Op) -> String {
    let kebab = |k: ObjectKind| k.to_string().to_lowercase().replace(' ', "-");
    match &op.kind {
        OpKind::Alter { action: AlterAction::AddConstraint(c), .. } => format!("add-{}", constraint_kind(&c.kind)),
        OpKind::Alter { target, action: AlterAction::RenameTo { .. } } => format!("rename-{}", kebab(target.kind)),
        OpKind::Alter { action, .. } => <&str>::from(action).to_string(),
        OpKind::Drop { objects, .. } => format!("drop-{}", objects.first().map_or_else(String::new, |o| kebab(o.kind))),
        OpKind::Rename { object, .. } => format!("rename-{}", kebab(object.kind)),
        OpKind::Dml(d) => match d.kind {
            DmlKind::Insert { .. } => "insert",
            DmlKind::Update { .. } => "update",
            DmlKind::Delete => "delete",
            DmlKind::Merge { .. } => "merge",
        }
        .to_string(),
        OpKind::Grant(g) => if g.revoke { "revoke" } else { "grant" }.to_string(),
        OpKind::Query(_) => "select".to_string(),
        k => <&str>::from(k).to_string(),
    }
}

/// Every value that the fact `op` can have.
pub fn op_names() -> Vec<String> {
    use strum::IntoEnumIterator;
    let kebab = |k: ObjectKind| k.to_string().to_lowercase();
    let mut out: Vec<String> =
        ["statement", "file", "insert", "update", "delete", "merge", "grant", "revoke", "select"].map(String::from).into();
    out.extend(["check", "not-null", "unique", "primary-key", "foreign-key", "exclude"].map(|k| format!("add-{k}")));
    // Parts of an operation, and what is no operation.
    out.extend(["check", "unique", "primary-key", "foreign-key"].map(|k| format!("inline-{k}")));
    out.extend(["create-foreign-key", "column", "name", "skipped", "down", "down-statement", "down-operation"].map(String::from));
    out.extend(ObjectKind::iter().flat_map(|k| [format!("drop-{}", kebab(k)), format!("rename-{}", kebab(k))]));
    out.extend(OpTag::iter().map(|t| <&str>::from(t).to_string()));
    out.extend(AlterTag::iter().map(|t| <&str>::from(t).to_string()));
    // These are never the name of an operation: the names above stand for them.
    out.retain(|n| !matches!(n.as_str(), "alter" | "drop" | "rename" | "dml" | "query" | "add-constraint" | "rename-to"));
    out.sort();
    out.dedup();
    out
}
