//! Can a change be taken back: right away, and after release N has written?

use std::borrow::Cow;

use crate::catalog::{Catalog, Column, ColumnType, RelKind, Relation};
use crate::op::{AlterAction, ConstraintKind, Dml, DmlKind, DomainAction, Expr, ExprKind, ObjectKind, ObjectRef, Op, OpKind, QName};

use super::types::{self, Category};
use super::{Undo, input};

/// (now, after release N has written): the worst over all operations. What a script makes and drops again does not count.
pub fn verdict(ops: &[&Op], before: &Catalog, after: &Catalog) -> (Undo, Undo) {
    following(ops, before, before, after)
}

/// The same for a script, statement by statement: each with the schema before it.
pub fn of_script<'a>(statements: impl Iterator<Item = (&'a Catalog, Vec<&'a Op>)>, before: &Catalog, after: &Catalog) -> (Undo, Undo) {
    statements
        .map(|(here, ops)| following(&ops, here, before, after))
        .fold((Undo::Lossless, Undo::Lossless), |a, b| (a.0.max(b.0), a.1.max(b.1)))
}

fn following(ops: &[&Op], here: &Catalog, before: &Catalog, after: &Catalog) -> (Undo, Undo) {
    let mut cur = Cow::Borrowed(here);
    let mut worst = (Undo::Lossless, Undo::Lossless);
    for (i, op) in ops.iter().enumerate() {
        let (now, later) = of_op(op, before, &cur, after);
        worst = (worst.0.max(now), worst.1.max(later).max(now));
        if i + 1 < ops.len() && changes_names(op) {
            // Later operations mean the schema that this one leaves.
            let _ = cur.to_mut().apply(op);
        }
    }
    worst
}

const FREE: (Undo, Undo) = (Undo::Lossless, Undo::Lossless);
const LOSES_LATER: (Undo, Undo) = (Undo::Lossless, Undo::LosesData);
const BLOCKED_LATER: (Undo, Undo) = (Undo::Lossless, Undo::BlockedByData);
const LOSES: (Undo, Undo) = (Undo::LosesData, Undo::LosesData);
const NEVER: (Undo, Undo) = (Undo::Impossible, Undo::Impossible);

fn changes_names(op: &Op) -> bool {
    !matches!(op.kind, OpKind::Query(_) | OpKind::Dml(_) | OpKind::Comment { .. } | OpKind::Opaque { .. } | OpKind::DoBlock { .. })
}

fn of_op(op: &Op, before: &Catalog, cur: &Catalog, after: &Catalog) -> (Undo, Undo) {
    match &op.kind {
        OpKind::CreateTable(t) if created(&t.name, before, after) => LOSES_LATER,
        OpKind::CreateTableAs(t) if created(&t.name, before, after) => LOSES_LATER,
        OpKind::Alter { target, action } => match target.kind {
            ObjectKind::Index | ObjectKind::View | ObjectKind::MaterializedView | ObjectKind::Sequence => FREE,
            _ => match find(cur, &target.name) {
                Some(rel) if existed(before, rel) => alter(action, rel, before, cur, after),
                Some(_) => FREE,
                // The table is not known: what can be told from the words alone.
                None => alter_unknown(action),
            },
        },
        OpKind::AddEnumValue { name, value, .. } => {
            let there = find_type(cur, name).is_some_and(|t| match &t.kind {
                crate::catalog::TypeKind::Enum { labels } => labels.iter().any(|l| l.value == *value),
                _ => false,
            });
            let own = find_type(cur, name).is_some_and(|t| !before.types.contains_key(&t.id));
            if there || own { FREE } else { NEVER }
        }
        OpKind::AlterDomain { action, .. } => match action {
            DomainAction::DropNotNull | DomainAction::DropConstraint { .. } => BLOCKED_LATER,
            _ => FREE,
        },
        OpKind::Drop { objects, cascade, .. } => {
            objects.iter().map(|o| dropped(o, *cascade, before, cur)).fold(FREE, |a, b| (a.0.max(b.0), a.1.max(b.1)))
        }
        OpKind::Truncate { tables, .. } => {
            if tables.iter().any(|(t, _)| find(cur, t).is_none_or(|r| existed(before, r))) {
                NEVER
            } else {
                FREE
            }
        }
        OpKind::Dml(d) => data(d, before, cur),
        _ => FREE,
    }
}

fn find<'c>(cat: &'c Catalog, name: &QName) -> Option<&'c Relation> {
    match name.schema_str() {
        Some(s) => cat.relation_named(s, name.as_str()),
        None => cat.search_path.iter().find_map(|s| cat.relation_named(s, name.as_str())),
    }
    .map(AsRef::as_ref)
}

fn find_type<'c>(cat: &'c Catalog, name: &QName) -> Option<&'c crate::catalog::Type> {
    let get = |s: &str| cat.type_names.get(&(s, name.as_str())).and_then(|id| cat.types.get(id));
    match name.schema_str() {
        Some(s) => get(s),
        None => cat.search_path.iter().find_map(|s| get(s)),
    }
    .map(AsRef::as_ref)
}

fn existed(before: &Catalog, rel: &Relation) -> bool {
    before.relations.contains_key(&rel.id) || rel.assumed
}

/// Made by this script and still there at its end.
fn created(name: &QName, before: &Catalog, after: &Catalog) -> bool {
    match find(after, name) {
        Some(rel) => !before.relations.contains_key(&rel.id) && rel.persistence != crate::op::Persistence::Temporary,
        // Renamed or moved on, or dropped again: a table that is new at the end of the script counts.
        None => after.relations.values().any(|r| r.kind.is_table() && !before.relations.contains_key(&r.id)),
    }
}

fn old_column<'c>(before: &'c Catalog, rel: &Relation, c: &Column) -> Option<&'c Column> {
    before.relations.get(&rel.id)?.columns.iter().find(|o| o.attnum == c.attnum)
}

fn alter(action: &AlterAction, rel: &Relation, before: &Catalog, cur: &Catalog, after: &Catalog) -> (Undo, Undo) {
    let column = |n: &str| rel.column(n);
    match action {
        AlterAction::AddColumn { column: def, .. } => {
            // Postgres computes a generated column again.
            let kept = after.relations.get(&rel.id).is_none_or(|r| {
                let old = before.relations.get(&rel.id);
                r.columns.iter().any(|c| old.is_none_or(|o| !o.columns.iter().any(|x| x.attnum == c.attnum)))
            });
            let already = rel.column(def.name.as_str()).is_some();
            if def.generated.is_some() || !kept || already { FREE } else { LOSES_LATER }
        }
        AlterAction::DropColumn { column: n, .. } => match column(n.as_str()) {
            Some(c) if old_column(before, rel, c).is_none() && !rel.assumed => FREE,
            Some(c) if c.generated.is_some() => FREE,
            // An empty column may not be NOT NULL: what the rows held is needed to make it again.
            Some(c)
                if (c.not_null || refuses_null(cur, &c.ty))
                    && c.default.as_ref().is_none_or(Expr::is_null)
                    && c.identity.is_none()
                    && c.serial.is_none() =>
            {
                NEVER
            }
            Some(_) => LOSES,
            None => FREE,
        },
        AlterAction::DropNotNull { column: n } => match column(n.as_str()) {
            Some(c) if !c.not_null || old_column(before, rel, c).is_none() => FREE,
            _ => BLOCKED_LATER,
        },
        AlterAction::SetType { column: n, ty, using, .. } => match column(n.as_str()) {
            Some(c) => {
                let new = after
                    .relations
                    .get(&rel.id)
                    .and_then(|r| r.columns.iter().find(|x| x.attnum == c.attnum))
                    .map(|x| x.ty.clone())
                    .unwrap_or_else(|| types::from_written(ty));
                type_change(cur, &c.ty, &new, using.as_ref(), n.as_str())
            }
            None => FREE,
        },
        AlterAction::DropExpression { .. } => LOSES_LATER,
        // The index of a constraint goes with it, and one that is a part of another may not go.
        AlterAction::AddConstraint(c) => match &c.kind {
            ConstraintKind::Unique { using_index: Some(i), .. } | ConstraintKind::PrimaryKey { using_index: Some(i), .. } => {
                let part = |x: &&Relation| x.name == i.as_str() && x.index.as_ref().is_some_and(|x| x.parent.is_some());
                if cur.indexes_of(rel.id).iter().any(part) { NEVER } else { FREE }
            }
            _ => FREE,
        },
        AlterAction::DropConstraint { name, .. } => match rel.constraint(name.as_str()) {
            Some(c) if before.relations.get(&rel.id).is_some_and(|r| r.constraint(&c.name).is_none()) => FREE,
            _ => BLOCKED_LATER,
        },
        AlterAction::DetachPartition { .. } => BLOCKED_LATER,
        AlterAction::AlterConstraint { enforced: Some(false), .. } => BLOCKED_LATER,
        _ => FREE,
    }
}

fn alter_unknown(action: &AlterAction) -> (Undo, Undo) {
    match action {
        AlterAction::AddColumn { column, .. } if column.generated.is_none() => LOSES_LATER,
        AlterAction::DropColumn { .. } => LOSES,
        AlterAction::DropNotNull { .. } | AlterAction::SetType { .. } | AlterAction::DropConstraint { .. } => BLOCKED_LATER,
        _ => FREE,
    }
}

/// A domain that takes no NULL.
fn refuses_null(cat: &Catalog, ty: &ColumnType) -> bool {
    let Some(crate::catalog::TypeKind::Domain { base, not_null, checks, default }) =
        ty.id.filter(|_| !ty.is_array()).and_then(|id| cat.types.get(&id)).map(|t| &t.kind)
    else {
        return false;
    };
    let mut asks = false;
    checks.iter().for_each(|c| c.expr.walk(&mut |e| asks |= matches!(e.kind, ExprKind::IsNull { negated: true, .. })));
    default.as_ref().is_none_or(Expr::is_null) && (*not_null || asks) || refuses_null(cat, base)
}

/// Old values that the new type cannot hold are gone; new values that the old type cannot hold block the way back.
pub fn type_change(cat: &Catalog, old: &ColumnType, new: &ColumnType, using: Option<&Expr>, column: &str) -> (Undo, Undo) {
    let (o, n) = (types::base(cat, old), types::base(cat, new));
    if o == n {
        return FREE;
    }
    if padding_blocks(cat, &o, &n) {
        return (Undo::BlockedByData, Undo::BlockedByData);
    }
    let (co, cn) = (types::category(cat, &o), types::category(cat, &n));
    let blocked = input::complaint(cat, &n, cat, &o).is_some();
    // What was computed from the old value does not say what it was.
    let zones = o.name.starts_with("timestamp") && n.name.starts_with("timestamp");
    let computed = using.is_some_and(|e| !(casts_the_column(e, column) || zones && in_utc(e, column)));
    if computed || loses(cat, &o, &n, co, cn) {
        return if blocked { (Undo::LosesData, Undo::BlockedByData) } else { LOSES };
    }
    if blocked {
        return BLOCKED_LATER;
    }
    if loses(cat, &n, &o, cn, co) { LOSES_LATER } else { FREE }
}

/// `char(n)` fills up with blanks, which the old type may not read.
fn padding_blocks(cat: &Catalog, old: &ColumnType, new: &ColumnType) -> bool {
    let Some(length) = input::length_of(new).filter(|_| new.name == "character" && new.array_dims == 0) else { return false };
    let padded = |v: &String| v.chars().count() < length && input::accept(cat, old, &format!("{v:<length$}")).is_err();
    types::category(cat, old) != Category::String && input::boundary_values(cat, old).iter().any(padded)
}

/// `column AT TIME ZONE 'UTC'`: each time is one moment there, and each moment one time.
fn in_utc(e: &Expr, column: &str) -> bool {
    let ExprKind::Binary { op, left, right } = &e.kind else { return false };
    op == "AT TIME ZONE" && casts_the_column(left, column) && matches!(&right.kind, ExprKind::String(z) if z.eq_ignore_ascii_case("utc"))
}

/// USING does no more than cast the column itself.
pub fn casts_the_column(e: &Expr, column: &str) -> bool {
    match &e.kind {
        ExprKind::Cast { expr, .. } | ExprKind::Collate { expr, .. } => casts_the_column(expr, column),
        ExprKind::Column(p) => p.last().is_some_and(|n| n.value == column),
        // Parentheses around one expression.
        ExprKind::Other(items) if items.len() == 1 => casts_the_column(&items[0], column),
        _ => false,
    }
}

/// Does storing a value of `from` in `to` drop a part of it, or refuse it?
fn loses(cat: &Catalog, from: &ColumnType, to: &ColumnType, cf: Category, ct: Category) -> bool {
    let scale = |t: &ColumnType| t.modifiers.get(1).and_then(|m| m.trim().parse::<i64>().ok());
    let time = |t: &ColumnType| t.name.starts_with("timestamp");
    if time(from) && (to.name == "date" || to.name.starts_with("time ")) {
        return true;
    }
    let precision = |t: &ColumnType| t.modifiers.first().and_then(|m| m.trim().parse::<i64>().ok());
    if (time(from) || from.name.starts_with("time ")) && ct == cf && precision(to).unwrap_or(6) < precision(from).unwrap_or(6) {
        return true;
    }
    if cf == Category::Numeric && ct == Category::Numeric {
        let fraction = |t: &ColumnType| match t.name.as_str() {
            "numeric" if t.modifiers.is_empty() => 1000,
            "numeric" => scale(t).unwrap_or(0),
            "real" | "double precision" => 1000,
            "money" => 2,
            _ => 0,
        };
        if fraction(to) < fraction(from) {
            return true;
        }
        if from.name == "double precision" && to.name == "real" {
            return true;
        }
    }
    input::complaint(cat, from, cat, to).is_some()
}

fn dropped(o: &ObjectRef, cascade: bool, before: &Catalog, cur: &Catalog) -> (Undo, Undo) {
    match o.kind {
        ObjectKind::Table | ObjectKind::ForeignTable => match find(cur, &o.name) {
            Some(r) if !existed(before, r) => FREE,
            Some(r) if r.kind == RelKind::ForeignTable => FREE,
            Some(_) => LOSES,
            // IF EXISTS on nothing, or a history that is not complete.
            None if cur.complete => FREE,
            None => LOSES,
        },
        ObjectKind::Sequence => match find(cur, &o.name) {
            Some(r) if existed(before, r) => LOSES,
            _ => FREE,
        },
        ObjectKind::Schema => {
            let tables = cur.relations.values().any(|r| r.schema == o.name.as_str() && r.kind.is_table() && existed(before, r));
            if tables { LOSES } else { FREE }
        }
        ObjectKind::Type | ObjectKind::Domain | ObjectKind::Extension if cascade => {
            let Some(used) = find_type(cur, &o.name).map(|t| t.id).or_else(|| find(cur, &o.name).map(|r| r.id)) else { return FREE };
            let stored = cur.columns_of_type(used).iter().any(|(r, _)| r.kind.is_table()) || !cur.tables_of_type(used).is_empty();
            if stored { LOSES } else { FREE }
        }
        ObjectKind::Index => match find(cur, &o.name) {
            // Without the unique index N may write duplicates.
            Some(r) if existed(before, r) && r.index.as_ref().is_some_and(|i| i.unique) => BLOCKED_LATER,
            _ => FREE,
        },
        _ => FREE,
    }
}

/// Data statements: rows that are overwritten or deleted do not come back.
fn data(d: &Dml, before: &Catalog, cur: &Catalog) -> (Undo, Undo) {
    let Some(rel) = find(cur, &d.table) else { return FREE };
    if !existed(before, rel) || rel.persistence == crate::op::Persistence::Temporary {
        return FREE;
    }
    match &d.kind {
        DmlKind::Insert { on_conflict, .. } => {
            if on_conflict.as_ref().is_some_and(|c| !c.set.is_empty()) {
                LOSES
            } else {
                FREE
            }
        }
        DmlKind::Delete => NEVER,
        DmlKind::Update { set } => {
            let overwrites = set.iter().flat_map(|a| &a.columns).any(|c| {
                let old = rel.column(c.as_str()).is_none_or(|col| old_column(before, rel, col).is_some() && col.generated.is_none());
                // Where the column was NULL, no value is lost.
                old && !d.filter.as_ref().is_some_and(|f| wants_null(f, c.as_str()))
            });
            if overwrites { LOSES } else { FREE }
        }
        DmlKind::Merge { actions, .. } => {
            if actions.iter().any(|a| matches!(a, DmlKind::Delete | DmlKind::Update { .. })) {
                NEVER
            } else {
                FREE
            }
        }
    }
}

fn wants_null(filter: &Expr, column: &str) -> bool {
    match &filter.kind {
        ExprKind::IsNull { expr, negated: false } => {
            matches!(&expr.kind, ExprKind::Column(p) if p.last().is_some_and(|n| n.value == column))
        }
        ExprKind::Binary { op, left, right } if op.eq_ignore_ascii_case("and") => wants_null(left, column) || wants_null(right, column),
        ExprKind::Other(items) if items.len() == 1 => wants_null(&items[0], column),
        _ => false,
    }
}
