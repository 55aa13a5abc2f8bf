//! The half that takes a migration back, held against the half that it takes back.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, ConKind, Dump, DumpColumn, DumpTable, Id, Relation};
use crate::op::{AlterAction, ConstraintKind, DmlKind, Name, OpKind, Statement, TableConstraint, Understood};
use crate::replay::ReplayedScript;
use crate::source::Span;

use super::collect::is_old;
use super::{Facts, Value, words};

/// What the history says about the file as a whole.
pub(super) fn about_file(f: &mut Facts, script: &ReplayedScript) {
    let history = &script.history;
    f.text("version", history.version.clone());
    let down = history.down.as_deref();
    let does_nothing = |d: &ReplayedScript| d.statements.iter().all(|s| s.statement.understood == Understood::NoEffect);
    f.flag("down.missing", down.is_none_or(does_nothing));
    f.flag("down.expected", history.down_expected);
    f.flag("changes_schema", script.statements.iter().any(|s| s.statement.ops.iter().any(|o| changes(&o.kind))));
    if let Some(other) = &history.duplicate {
        f.text("version.duplicate", other.clone());
    }
    if let Some(other) = &history.overtaken_by {
        f.text("version.overtaken", other.clone());
    }
    f.flag("edited", history.edited);
}

fn changes(kind: &OpKind) -> bool {
    !matches!(
        kind,
        OpKind::Query(_)
            | OpKind::SetVar { .. }
            | OpKind::ResetVar { .. }
            | OpKind::Begin { .. }
            | OpKind::Commit { .. }
            | OpKind::SetRole { .. }
            // No way leads back from it.
            | OpKind::AddEnumValue { .. }
    )
}

/// Facts of the down half: of the whole, and of each statement.
pub fn collect_down(script: &ReplayedScript) -> Vec<Facts> {
    let Some(down) = script.history.down.as_deref().filter(|d| !d.statements.is_empty()) else { return Vec::new() };
    let base = |op: &str, span: Span| {
        let mut f = Facts { span, statement: span, ..Facts::default() };
        f.text("op", op);
        f.text("version", script.history.version.clone());
        f
    };
    let mut out = Vec::new();
    let first = down.statements[0].statement.span;
    let mut f = base("down", first);
    let read = |s: &ReplayedScript| {
        let whole = |s: &Statement| matches!(s.understood, Understood::Full | Understood::NoEffect) && !s.ops.iter().any(|o| o.conditional);
        s.statements.iter().all(|s| whole(&s.statement) && s.errors.is_empty())
    };
    // What was not read, or runs only under a condition, may do the rest.
    if read(script) && read(down) {
        f.set("down.differences", Value::List(differences(&script.before, &down.after)));
        f.set("down.empty", Value::List(comes_back_empty(&script.before, down)));
    }
    out.push(f);
    for r in &down.statements {
        let mut f = base("down-statement", r.statement.span);
        f.text("command", r.statement.command);
        if let Some(state) = &r.effects.fails {
            f.text("fails", state.as_str());
            f.text("error", r.effects.error.clone().unwrap_or_default());
        }
        // One that the undo makes anew has no rows.
        let old = |n: &crate::catalog::RelName| {
            let rel = r.before.relation_named(&n.schema, &n.name);
            rel.is_some_and(|rel| script.before.relation(rel.id).is_some())
        };
        let mut slow: Vec<String> = r.effects.rewrites.iter().chain(&r.effects.scans).filter(|n| old(n)).map(ToString::to_string).collect();
        slow.sort();
        slow.dedup();
        let strong = r.effects.locks.iter().filter(|(n, m)| old(n) && m.blocks_writes()).max_by_key(|(_, m)| **m);
        if let Some((n, m)) = strong {
            f.text("lock.mode", m.sql());
            f.text("lock.relation", n.to_string());
            f.flag("scans_under_exclusive", !slow.is_empty());
        }
        f.set("scans", Value::List(slow));
        out.push(f);
        for op in &r.statement.ops {
            let mut f = base("down-operation", op.span);
            if let Some(lost) = loses(script, r, &op.kind) {
                f.text("down.loses", lost);
            }
            if let Some((needs, state)) = blocked(script, down, r, &op.kind) {
                f.text("down.blocked", needs);
                f.text("sqlstate", state);
            }
            out.push(f);
        }
    }
    out
}

/// Data from before the migration that its own undo removes.
fn loses(script: &ReplayedScript, r: &crate::replay::Replayed, op: &OpKind) -> Option<String> {
    let old = |q: &crate::op::QName| {
        r.before.relation_by(q).filter(|rel| rel.kind.is_table() && script.before.relation(rel.id).is_some_and(|o| !o.assumed))
    };
    match op {
        OpKind::Drop { objects, .. } => objects.iter().find_map(|o| old(&o.name)).map(|t| format!("table `{}`", t.name)),
        OpKind::Truncate { tables, .. } => {
            tables.iter().filter_map(|(t, _)| old(t)).find(|t| !emptied(script, t.id)).map(|t| format!("all rows of `{}`", t.name))
        }
        OpKind::Alter { target, action: AlterAction::DropColumn { column, .. } } => {
            let rel = old(&target.name)?;
            let c = rel.column(column.as_str())?;
            let was = script.before.relation(rel.id)?.columns.iter().any(|o| o.attnum == c.attnum);
            was.then(|| format!("column `{}` of `{}`", c.name, rel.name))
        }
        OpKind::Dml(d) if matches!(d.kind, DmlKind::Delete) && d.filter.is_none() => {
            old(&d.table).filter(|t| !emptied(script, t.id)).map(|t| format!("all rows of `{}`", t.name))
        }
        _ => None,
    }
}

/// The table has a constraint that lets no row through which this one refuses.
fn binds_as_well(cat: &Catalog, rel: &Relation, c: &TableConstraint) -> bool {
    let same = |have: &[String], want: &[Name]| have.len() == want.len() && want.iter().all(|n| have.iter().any(|h| h == n.as_str()));
    rel.constraints.iter().filter(|o| o.validated).any(|o| match (&o.kind, &c.kind) {
        (ConKind::ForeignKey { table, columns, .. }, ConstraintKind::ForeignKey(fk)) => {
            Some(*table) == cat.relation_by(&fk.table).map(|t| t.id) && same(columns, &fk.columns)
        }
        (ConKind::Unique { .. } | ConKind::PrimaryKey { .. }, ConstraintKind::Unique { columns, .. }) => same(o.kind.columns(), columns),
        (ConKind::Check { expr: was, .. }, ConstraintKind::Check { expr }) => words::plain(&was.text) == words::plain(&expr.text),
        _ => false,
    })
}

/// The way forward removes all rows itself: those that the way back meets are new.
fn emptied(script: &ReplayedScript, table: Id) -> bool {
    let all = |s: &crate::replay::Replayed, o: &OpKind| {
        let is = |t: &crate::op::QName| s.before.relation_by(t).is_some_and(|r| r.id == table);
        match o {
            OpKind::Truncate { tables, .. } => tables.iter().any(|(t, _)| is(t)),
            OpKind::Dml(d) => matches!(d.kind, DmlKind::Delete) && d.filter.is_none() && is(&d.table),
            _ => false,
        }
    };
    script.statements.iter().any(|s| s.statement.ops.iter().any(|o| !o.conditional && all(s, &o.kind)))
}

/// A condition that rows of release N may not meet.
fn blocked(script: &ReplayedScript, down: &ReplayedScript, r: &crate::replay::Replayed, op: &OpKind) -> Option<(String, &'static str)> {
    let OpKind::Alter { target, action } = op else { return None };
    let rel = r.before.relation_by(&target.name).filter(|rel| is_old(script, rel))?;
    // A statement before it makes the rows fit.
    let before_it = down.statements.iter().take_while(|s| s.statement.span.start < r.statement.span.start);
    let prepared = before_it.flat_map(|s| &s.statement.ops).any(|o| match &o.kind {
        OpKind::Dml(d) => r.before.relation_by(&d.table).map(|t| t.id) == Some(rel.id),
        OpKind::Alter { target: t, action: AlterAction::AddConstraint(c) } => {
            r.before.relation_by(&t.name).map(|t| t.id) == Some(rel.id) && matches!(c.kind, ConstraintKind::Check { .. })
        }
        _ => false,
    });
    if prepared {
        return None;
    }
    let original = script.before.relation(rel.id)?;
    let was_there = |c: &str| rel.column(c).is_some_and(|c| original.columns.iter().any(|o| o.attnum == c.attnum));
    match action {
        AlterAction::SetNotNull { column } if was_there(column.as_str()) && rel.column(column.as_str()).is_some_and(|c| !c.not_null) => {
            Some((format!("no NULL in `{}`", column.as_str()), "23502"))
        }
        // Release N is bound by one like it.
        AlterAction::AddConstraint(c) if script.after.relation(rel.id).is_some_and(|r| binds_as_well(&script.after, r, c)) => None,
        AlterAction::AddConstraint(c) if !c.not_valid && !c.not_enforced => match &c.kind {
            ConstraintKind::Check { .. } => Some(("every row to pass the check".into(), "23514")),
            ConstraintKind::Unique { .. } | ConstraintKind::PrimaryKey { .. } => Some(("no duplicates".into(), "23505")),
            ConstraintKind::ForeignKey(fk) => Some((format!("a row in `{}` for every reference", fk.table), "23503")),
            _ => None,
        },
        AlterAction::SetType { column, ty, using: None, .. } => {
            let now = rel.column(column.as_str())?;
            let to = r.before.resolve_type(ty);
            let (loss, _) = crate::compat::type_change_undo(&r.before, &now.ty, &to, None, column.as_str());
            (loss > crate::compat::Undo::Lossless).then(|| {
                let state =
                    if matches!(to.name.as_str(), "smallint" | "integer" | "bigint" | "numeric" | "real") { "22003" } else { "22001" };
                (format!("every `{}` to fit {to}", column.as_str()), state)
            })
        }
        _ => None,
    }
}

/// Columns and tables that the undo makes anew: their names come back, their rows do not.
fn comes_back_empty(before: &Catalog, down: &ReplayedScript) -> Vec<String> {
    let after = &down.after;
    let refilled = |name: &str| {
        down.statements.iter().flat_map(|s| &s.statement.ops).any(|o| match &o.kind {
            OpKind::Dml(d) => matches!(d.kind, DmlKind::Insert { .. } | DmlKind::Update { .. }) && d.table.as_str() == name,
            OpKind::CreateTableAs(t) => t.name.as_str() == name,
            _ => false,
        })
    };
    let mut out = Vec::new();
    for (id, old) in &before.relations {
        if !old.kind.is_table() || old.assumed || refilled(&old.name) {
            continue;
        }
        match after.relation(*id) {
            Some(now) => {
                for c in old.columns.iter().filter(|c| c.generated.is_none()) {
                    if now.column(&c.name).is_some_and(|n| n.attnum != c.attnum) {
                        out.push(format!("column `{}` of `{}`", c.name, old.name));
                    }
                }
            }
            None if after.relation_named(&old.schema, &old.name).is_some() => out.push(format!("table `{}`", old.name)),
            None => {}
        }
    }
    out
}

/// What differs between two schemas, in words, each thing once.
pub fn differences(want: &Catalog, have: &Catalog) -> Vec<String> {
    let (want, have) = (things(&want.dump()), things(&have.dump()));
    let mut out = Vec::new();
    let inside = |key: &str, of: &BTreeMap<String, String>| {
        // What belongs to a table that is missing as a whole is not said again.
        key.split_once(" of ").is_some_and(|(_, table)| !of.contains_key(&format!("table `{table}`")))
    };
    for (key, was) in &want {
        match have.get(key) {
            // Labels cannot be dropped again, as the way forward says already.
            Some(is) if key.starts_with("type ") && is.starts_with(was.as_str()) => {}
            None if inside(key, &have) => {}
            None => out.push(format!("{key} is missing")),
            Some(is) if is != was => out.push(format!("{key} is {} instead of {}", or_none(is), or_none(was))),
            Some(_) => {}
        }
    }
    for key in have.keys().filter(|k| !want.contains_key(*k) && !inside(k, &want)) {
        out.push(format!("{key} is left over"));
    }
    out
}

fn or_none(text: &str) -> String {
    if text.is_empty() { "nothing".into() } else { format!("({text})") }
}

/// Everything in a schema by name, with what it is.
fn things(d: &Dump) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let name = |schema: &str, name: &str| if schema == "public" { name.to_string() } else { format!("{schema}.{name}") };
    for s in &d.schemas {
        out.insert(format!("schema `{}`", s.name), String::new());
    }
    for e in &d.enums {
        out.insert(format!("type `{}`", name(&e.schema, &e.name)), e.labels.join(", "));
    }
    for x in &d.domains {
        out.insert(format!("domain `{}`", name(&x.schema, &x.name)), x.ty.clone());
    }
    for t in d.tables.iter().filter(|t| !t.assumed) {
        let table = name(&t.schema, &t.name);
        out.insert(format!("table `{table}`"), t.kind.clone());
        parts(&mut out, &table, t);
    }
    for v in &d.views {
        out.insert(format!("view `{}`", name(&v.schema, &v.name)), view(v));
    }
    for s in &d.sequences {
        out.insert(format!("sequence `{}`", name(&s.schema, &s.name)), String::new());
    }
    for f in &d.functions {
        out.insert(format!("function `{}`", name(&f.schema, &f.name)), String::new());
    }
    out
}

fn parts(out: &mut BTreeMap<String, String>, table: &str, t: &DumpTable) {
    for c in &t.columns {
        out.insert(format!("column `{}` of {table}", c.name), column(c));
    }
    for c in t.constraints.iter().filter(|c| !c.inherited && c.kind != "not-null" && c.kind != "not_null") {
        let valid = if c.validated { "" } else { " not valid" };
        out.insert(format!("constraint `{}` of {table}", c.name), format!("{}{valid}", words::plain(&c.definition)));
    }
    for i in t.indexes.iter().filter(|i| !i.constraint) {
        let columns: Vec<&str> = i.columns.iter().map(|c| c.as_deref().unwrap_or("an expression")).collect();
        out.insert(format!("index `{}` of {table}", i.name), format!("{}on {}", if i.unique { "unique " } else { "" }, columns.join(", ")));
    }
    for x in &t.triggers {
        out.insert(format!("trigger `{}` of {table}", x.name), String::new());
    }
    for p in &t.policies {
        out.insert(format!("policy `{}` of {table}", p.name), String::new());
    }
    if t.row_security {
        out.insert(format!("row security of {table}"), String::new());
    }
}

fn column(c: &DumpColumn) -> String {
    let mut words = vec![c.ty.clone()];
    if c.not_null {
        words.push("not null".into());
    }
    if let Some(d) = &c.default {
        words.push(format!("default {}", words::plain(d)));
    }
    words.extend(c.identity.as_ref().map(|i| format!("identity {i}")));
    words.extend(c.generated.as_ref().map(|g| format!("generated {}", words::plain(g))));
    words.join(" ")
}

/// What tells one view from another: a server writes a query in other words than people do, but it keeps columns and constants.
fn view(v: &DumpTable) -> String {
    let columns: Vec<&str> = v.columns.iter().map(|c| c.name.as_str()).collect();
    let mut constants: Vec<&str> = v.definition.as_deref().map(|d| d.split('\'').skip(1).step_by(2).collect()).unwrap_or_default();
    constants.sort_unstable();
    constants.dedup();
    let about = if constants.is_empty() { String::new() } else { format!(" with '{}'", constants.join("', '")) };
    format!("{}{about}", columns.join(", "))
}
