//! What takes the place of something that a script drops or renames, and what it drops again of its own.

use crate::catalog::{Catalog, ConKind, Id, RelKind, Relation};
use crate::compat::{Broken, Shape};
use crate::op::{AlterAction, ObjectKind, ObjectRef, Op, OpKind, QName};
use crate::replay::{Replayed, ReplayedScript};

use super::here::Here;
use super::{Facts, Value};

pub(super) fn add(f: &mut Facts, h: &Here<'_>) {
    let end = h.commit();
    match &h.op.kind {
        OpKind::Drop { objects, .. } => {
            if let Some(kind) = objects.first().and_then(|o| successor(h, o, end)) {
                f.text("replaced", kind);
            }
            if let Some(rel) = objects.first().and_then(|o| h.r.before.relation_by(&o.name)).filter(|r| r.kind.is_table()) {
                f.flag("saved", super::data::saved(h, rel));
            }
            if let Some(o) = objects.first().filter(|o| o.kind == ObjectKind::Index) {
                index_lost(f, h, &o.name);
            }
        }
        OpKind::Rename { object, .. } => {
            if let Some(kind) = successor(h, object, end) {
                f.text("replaced", kind);
            }
        }
        OpKind::Alter { target, action } => {
            alter(f, h, &target.name, action, end);
            breaks_of_file(f, h, &target.name);
        }
        OpKind::CreateTable(t) => dropped_later(f, h, &t.name),
        OpKind::CreateTableAs(t) => dropped_later(f, h, &t.name),
        OpKind::CreateView(v) => dropped_later(f, h, &v.name),
        OpKind::CreateSequence { name, .. } => dropped_later(f, h, name),
        OpKind::CreateIndex(i) => {
            if let Some(name) = &i.name {
                dropped_later(f, h, name);
            }
        }
        _ => {}
    }
    if let OpKind::CreateTable(t) = &h.op.kind {
        f.flag("table.partitioned", t.partition_by.is_some());
        let was = h.script.before.relation_by(&t.name).filter(|r| r.kind.is_table());
        f.flag("table.replaces", was.is_some() && !t.if_not_exists);
    }
}

fn alter(f: &mut Facts, h: &Here<'_>, table: &QName, action: &AlterAction, end: &Catalog) {
    if let AlterAction::DropConstraint { .. } = action {
        f.flag("constraint.existed", true);
    }
    let Some(rel) = h.relation(table) else { return };
    match action {
        AlterAction::DropColumn { column, .. } => {
            let gone = rel.column(column.as_str()).map(|c| c.attnum);
            // Under the name that release N-1 knows.
            let old = h.script.before.relation(rel.id).and_then(|o| o.columns.iter().find(|c| Some(c.attnum) == gone));
            let known_as = old.map_or(column.as_str(), |c| c.name.as_str());
            let again = end.relation(rel.id).and_then(|r| r.column(known_as)).filter(|c| Some(c.attnum) != gone);
            if let Some(c) = again {
                f.text("replaced", if c.generated.is_some() { "generated column" } else { "column" });
                f.flag("replaced.filled", h.look.updates && h.earlier().any(|(s, o)| fills_from(s, o, rel.id, &c.name, column.as_str())));
            }
            if let Some(new) = successor_column(h, rel, column.as_str()) {
                f.text("expanded_here", new);
            } else if let Some(e) = h.script.history.expanded.iter().find(|e| e.table == rel.id && e.old == column.as_str()) {
                f.text("expanded_here", e.new.as_str());
                f.text("expanded_in", e.migration.as_str());
            }
        }
        AlterAction::DropConstraint { name, .. } => {
            let Some(old) = rel.constraint(name.as_str()) else { return };
            f.flag("constraint.existed", h.script.before.relation(rel.id).is_none_or(|r| r.constraint(&old.name).is_some()));
            let left = |n: &String| {
                let attnum = rel.column(n).map(|c| c.attnum);
                end.relation(rel.id).is_some_and(|r| r.columns.iter().any(|c| Some(c.attnum) == attnum))
            };
            f.flag("columns.gone", !old.kind.columns().iter().all(left));
            let same = |c: &&crate::catalog::Constraint| c.origin != old.origin && about_the_same(&c.kind, &old.kind);
            if end.relation(rel.id).is_some_and(|r| r.constraints.iter().any(|c| same(&c))) {
                f.text("replaced", "constraint");
            }
        }
        AlterAction::RenameTo { .. } | AlterAction::SetSchema { .. } => shim(f, h, rel, end),
        AlterAction::RenameColumn { from, .. } => {
            let old = h.script.before.relation(rel.id);
            let moved = old.is_some_and(|o| end.relation(rel.id).is_none_or(|n| n.name != o.name || n.schema != o.schema));
            if moved {
                shim(f, h, old.unwrap_or(rel), end);
            } else if let Some(c) = end.relation(rel.id).and_then(|r| r.column(from.as_str())) {
                f.text("replaced", if c.generated.is_some() { "generated column" } else { "column" });
            }
        }
        _ => {}
    }
}

/// What has the old name of a table when the transaction ends, and which statements of release N-1 it does not serve.
fn shim(f: &mut Facts, h: &Here<'_>, rel: &Relation, end: &Catalog) {
    let old = h.script.before.relation(rel.id).unwrap_or(rel);
    let Some(now) = end.relation_named(&old.schema, &old.name) else { return };
    if now.id == old.id {
        f.text("replaced", "itself");
        return;
    }
    f.text("replaced", kind_word(now.kind));
    if !matches!(now.kind, RelKind::View) {
        return;
    }
    let broken: Vec<&Broken> = h.script.compat.broken.iter().filter(|b| b.relation == old.rel_name() && !b.prepared).collect();
    f.set("shim.breaks", Value::List(words(broken.iter().copied())));
    // COPY and TRUNCATE never work on a view, and ON CONSTRAINT has none to name: few applications use them, and a shim can do no more.
    let ordinary = |b: &&&Broken| !(matches!(b.sqlstate.as_str(), "42809" | "42704" | "22P04"));
    f.flag("shim.complete", !broken.iter().any(|b| ordinary(&b)));
}

fn words<'b>(broken: impl Iterator<Item = &'b Broken>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for b in broken {
        let w = format!("{} {}", b.shape, b.sqlstate);
        if !out.contains(&w) {
            out.push(w);
        }
    }
    out
}

/// Statements on the table that fail once the whole file has run.
fn breaks_of_file(f: &mut Facts, h: &Here<'_>, table: &QName) {
    if let Some(old) = h.original(table) {
        set_breaks(f, h, old);
    }
}

fn set_breaks(f: &mut Facts, h: &Here<'_>, old: &Relation) {
    let mine = || h.script.compat.broken.iter().filter(|b| b.relation == old.rel_name() && !b.prepared);
    f.set("breaks.file", Value::List(words(mine())));
    let arbiter = |b: &&Broken| {
        matches!(b.shape, Shape::UpsertColumns | Shape::UpsertPrimaryKey | Shape::UpsertConstraint)
            && matches!(b.sqlstate.as_str(), "42P10" | "55000" | "42704")
    };
    f.set("arbiter.lost", Value::List(words(mine().filter(arbiter))));
}

fn index_lost(f: &mut Facts, h: &Here<'_>, index: &QName) {
    let table = h.relation(index).and_then(|r| r.index.as_ref()).and_then(|i| h.script.before.relation(i.table));
    if let Some(old) = table {
        set_breaks(f, h, old);
    }
}

fn kind_word(kind: RelKind) -> &'static str {
    match kind {
        RelKind::View | RelKind::MaterializedView => "view",
        RelKind::PartitionedTable => "partitioned table",
        RelKind::Table | RelKind::ForeignTable => "table",
        RelKind::Sequence => "sequence",
        RelKind::Index | RelKind::PartitionedIndex => "index",
        RelKind::Composite => "type",
    }
}

/// The kind of what bears a dropped object's name at the end of the transaction.
fn successor(h: &Here<'_>, o: &ObjectRef, end: &Catalog) -> Option<&'static str> {
    use ObjectKind as K;
    let before = &h.r.before;
    match o.kind {
        K::Table | K::View | K::MaterializedView | K::Sequence | K::ForeignTable | K::Index => {
            let old = before.relation_by(&o.name)?;
            // Under the name that release N-1 knows.
            let old = h.script.before.relation(old.id).unwrap_or(old);
            let new = end.relation_named(&old.schema, &old.name).filter(|n| n.id != old.id)?;
            Some(kind_word(new.kind))
        }
        K::Type | K::Domain => {
            let old = before.type_by(&o.name)?;
            let old = h.script.before.types.get(&old.id).map_or(old, |t| t);
            let id = end.type_names.get(&(old.schema.as_str(), old.name.as_str()))?;
            (*id != old.id).then_some("type")
        }
        K::Function | K::Procedure | K::Routine | K::Aggregate => {
            let known = before.functions_named(&o.name);
            let old = before.functions.get(known.first()?)?;
            let now = end.function_names.get(&(old.schema.as_str(), old.name.as_str()))?;
            // An overload that was there before takes nobody's place.
            now.iter().any(|id| !h.script.before.functions.contains_key(id)).then_some("function")
        }
        K::Trigger | K::Policy | K::Rule => {
            let table = before.relation_by(o.on.as_ref()?)?;
            let now = end.relation(table.id)?;
            let name = o.name.as_str();
            let there = match o.kind {
                K::Trigger => now.triggers.iter().any(|t| t.name == name),
                K::Policy => now.policies.iter().any(|p| p.name == name),
                _ => now.rules.iter().any(|r| r.name == name),
            };
            there.then_some(match o.kind {
                K::Trigger => "trigger",
                K::Policy => "policy",
                _ => "rule",
            })
        }
        K::Schema => end.schemas.contains_key(o.name.as_str()).then_some("schema"),
        _ => None,
    }
}

/// Same kind on the same columns: one that was dropped and made again with other words.
fn about_the_same(a: &ConKind, b: &ConKind) -> bool {
    let columns = |k: &ConKind| {
        let mut c = k.columns().to_vec();
        c.sort();
        c
    };
    let kind = std::mem::discriminant(a) == std::mem::discriminant(b)
        || matches!((a, b), (ConKind::Unique { .. }, ConKind::PrimaryKey { .. }) | (ConKind::PrimaryKey { .. }, ConKind::Unique { .. }));
    kind && columns(a) == columns(b)
}

/// What the script makes it drops again.
fn dropped_later(f: &mut Facts, h: &Here<'_>, name: &QName) {
    if !h.look.dropped.contains(name.as_str()) {
        f.flag("dropped_later", false);
        return;
    }
    let Some(made) = h.r.after.relation_by(name).filter(|r| h.r.before.relation(r.id).is_none()) else { return };
    let named = |o: &Op| match &o.kind {
        OpKind::Drop { objects, .. } => {
            objects.iter().any(|x| x.on.is_none() && x.name.as_str() == made.name && x.name.schema_str().is_none_or(|s| s == made.schema))
        }
        _ => false,
    };
    let gone =
        h.later().any(|(s, o)| !o.conditional && named(o) && s.before.relation(made.id).is_some() && s.after.relation(made.id).is_none());
    // Scratch tables are meant to go.
    let scratch = made.persistence == crate::op::Persistence::Temporary || h.later().any(|(_, o)| reads(o, &made.name));
    f.flag("dropped_later", gone && !scratch);
}

fn reads(op: &Op, name: &str) -> bool {
    match &op.kind {
        OpKind::Dml(d) => d.reads().iter().any(|q| q.as_str() == name),
        OpKind::Query(q) => q.relations().iter().any(|q| q.as_str() == name),
        OpKind::CreateTableAs(t) => t.query.relations().iter().any(|q| q.as_str() == name),
        _ => false,
    }
}

/// A column that the script added to the same table and filled from the one that it now drops.
fn successor_column(h: &Here<'_>, rel: &Relation, dropped: &str) -> Option<String> {
    if !h.look.updates {
        return None;
    }
    h.earlier().find_map(|(s, o)| fills(h.script, s, o).into_iter().find(|(t, old, _)| *t == rel.id && old == dropped).map(|(.., new)| new))
}

/// The operation sets `new` to something that is made of `old`.
fn fills_from(s: &Replayed, op: &Op, table: Id, new: &str, old: &str) -> bool {
    let OpKind::Dml(d) = &op.kind else { return false };
    let crate::op::DmlKind::Update { set } = &d.kind else { return false };
    let names = |e: &crate::op::Expr| {
        let mut found = false;
        e.walk(&mut |e| found |= matches!(&e.kind, crate::op::ExprKind::Column(p) if p.last().is_some_and(|n| n.as_str() == old)));
        found
    };
    let fills = set.iter().any(|a| a.columns.iter().any(|c| c.as_str() == new) && names(&a.value));
    fills && s.before.relation_by(&d.table).is_some_and(|r| r.id == table)
}

/// Every new column that the script fills from an old one of the same table: table, old, new.
pub fn expansions(script: &ReplayedScript) -> Vec<(Id, String, String)> {
    script.statements.iter().flat_map(|s| s.statement.ops.iter().flat_map(|o| fills(script, s, o))).collect()
}

fn fills(script: &ReplayedScript, s: &Replayed, op: &Op) -> Vec<(Id, String, String)> {
    use crate::op::{DmlKind, ExprKind};
    let OpKind::Dml(d) = &op.kind else { return Vec::new() };
    let (DmlKind::Update { set }, Some(rel)) = (&d.kind, s.before.relation_by(&d.table)) else { return Vec::new() };
    let Some(old) = script.before.relation(rel.id) else { return Vec::new() };
    let mut out = Vec::new();
    for a in set {
        let Some(new) = a.columns.first().filter(|c| old.column(c.as_str()).is_none()) else { continue };
        a.value.walk(&mut |e| {
            if let ExprKind::Column(p) = &e.kind
                && let Some(c) = p.last().filter(|n| old.column(n.as_str()).is_some())
            {
                out.push((rel.id, c.as_str().to_string(), new.as_str().to_string()));
            }
        });
    }
    out
}
