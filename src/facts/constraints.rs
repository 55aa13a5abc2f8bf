//! Facts about constraints: what proves them, who looks after them later, and those that stand inside of a column.

use crate::catalog::proves_not_null;
use crate::catalog::{ColumnType, ConKind, Constraint, Id, Relation};
use crate::op::{AlterAction, ConstraintKind, ExprKind, Op, OpKind, Persistence, QName, TableConstraint};

use super::collect::{Place, constraint_kind, is_old};
use super::whole::foreign_keys_of;
use super::{Facts, Value};

/// Facts of the statement as a whole.
pub fn statement(place: &Place<'_>, f: &mut Facts) {
    let using_index = place.r.statement.ops.iter().any(|o| match &o.kind {
        OpKind::Alter { action: AlterAction::AddConstraint(c), .. } => {
            matches!(c.kind, ConstraintKind::Unique { using_index: Some(_), .. } | ConstraintKind::PrimaryKey { using_index: Some(_), .. })
        }
        _ => false,
    });
    f.flag("constraint.using_index", using_index);
}

pub fn about(place: &Place<'_>, f: &mut Facts, i: usize, op: &Op) {
    refusal(place, f, i);
    match &op.kind {
        OpKind::CreateTable(t) => {
            let rel = place.relation(&t.name);
            let end = rel.and_then(|r| place.script.after.relation(r.id));
            // One that is gone at the end needs no key.
            f.flag("table.primary_key", rel.is_some() && end.is_none_or(|r| r.primary_key().is_some()));
            f.flag(
                "table.has_foreign_key",
                end.is_some_and(|r| r.constraints.iter().any(|c| matches!(c.kind, ConKind::ForeignKey { .. }))),
            );
            f.flag("table.temporary", t.persistence == Persistence::Temporary);
            f.flag("table.partition", t.partition_of.is_some());
            f.flag("table.inherits", !t.inherits.is_empty() || t.of_type.is_some() || t.foreign_server.is_some());
        }
        OpKind::Alter { target, action } => {
            let Some(rel) = place.relation(&target.name) else { return };
            f.flag("table.partition", rel.is_partition());
            match action {
                AlterAction::SetNotNull { column } => {
                    let dropped: Vec<&str> = place.r.statement.ops.iter().filter_map(|o| dropped_from(&o.kind, &target.name)).collect();
                    let proved = proves_not_null(rel, column.as_str(), &[]) && !proves_not_null(rel, column.as_str(), &dropped);
                    f.flag("not_null.proof_dropped", proved && is_old(place.script, rel));
                }
                AlterAction::AddConstraint(c) => {
                    added(place, f, rel, c);
                    foreign_key(place, f, &target.name, c);
                }
                _ => {}
            }
        }
        _ => {}
    }
}

fn dropped_from<'o>(kind: &'o OpKind, table: &QName) -> Option<&'o str> {
    match kind {
        OpKind::Alter { target, action: AlterAction::DropConstraint { name, .. } } if target.name.as_str() == table.as_str() => {
            Some(name.as_str())
        }
        _ => None,
    }
}

fn added(place: &Place<'_>, f: &mut Facts, rel: &Relation, c: &TableConstraint) {
    f.flag("constraint.never_validated", (c.not_valid && !c.not_enforced) && never_validated(place, rel.id, c));
    if let ConstraintKind::PrimaryKey { columns, using_index, .. } = &c.kind {
        let had = place.script.before.relation(rel.id).is_some_and(|r| r.primary_key().is_some());
        f.flag("table.had_primary_key", had);
        let columns: Vec<String> = match using_index {
            Some(i) => place
                .r
                .before
                .indexes_of(rel.id)
                .into_iter()
                .find(|x| x.name == i.as_str())
                .and_then(|x| x.index.as_ref())
                .map(|x| x.columns.iter().flatten().cloned().collect())
                .unwrap_or_default(),
            None => columns.iter().map(|c| c.value.clone()).collect(),
        };
        let before = place.r.before.relation(rel.id);
        let nullable = |n: &String| before.is_some_and(|r| r.column(n).is_some_and(|c| !c.not_null) && !proves_not_null(r, n, &[]));
        f.set("constraint.nullable", Value::List(columns.into_iter().filter(nullable).collect()));
    }
    f.text("constraint.columns", constrained(c).join(", "));
}

/// The columns that a constraint names.
fn constrained(c: &TableConstraint) -> Vec<String> {
    match &c.kind {
        ConstraintKind::ForeignKey(fk) => fk.columns.iter().map(|c| c.value.clone()).collect(),
        ConstraintKind::Unique { columns, .. } | ConstraintKind::PrimaryKey { columns, .. } => {
            columns.iter().map(|c| c.value.clone()).collect()
        }
        _ => Vec::new(),
    }
}

/// Later migrations are known, the constraint is still there, and none of them validates it.
fn never_validated(place: &Place<'_>, table: Id, c: &TableConstraint) -> bool {
    let (Some(later), Some(made)) = (&place.script.later, made(place, table, c)) else { return false };
    let still = |catalog: &crate::catalog::Catalog| {
        catalog
            .relation(table)
            .is_some_and(|r| r.constraints.iter().any(|x| x.kind == made.kind && x.origin == made.origin && !x.validated))
    };
    still(&place.script.after) && still(later.catalog())
}

/// What the catalog made of it.
fn made<'p>(place: &'p Place<'_>, table: Id, c: &TableConstraint) -> Option<&'p Constraint> {
    let (before, after) = (place.r.before.relation(table), place.r.after.relation(table)?);
    after.constraints.iter().find(|x| {
        let new = before.is_none_or(|b| b.constraint(&x.name).is_none());
        new && c.name.as_ref().is_none_or(|n| n.as_str() == x.name)
    })
}

/// What Postgres would say to this operation, where the catalog knows.
fn refusal(place: &Place<'_>, f: &mut Facts, i: usize) {
    let several = place.r.statement.ops.len() > 1;
    let mine = place.r.errors.iter().any(|(at, e)| *at == i && e.certain);
    if let (Some(state), true) = (&place.r.effects.fails, mine || !several) {
        f.text("fails", state.as_str());
        f.text("error", place.r.effects.error.clone().unwrap_or_default());
    }
}

pub fn foreign_key(place: &Place<'_>, f: &mut Facts, table: &QName, c: &TableConstraint) {
    let ConstraintKind::ForeignKey(fk) = &c.kind else { return };
    let after = &place.r.after;
    let Some(rel) = after.relation_by(table).or_else(|| place.r.before.relation_by(table)) else { return };
    let columns: Vec<String> = fk.columns.iter().map(|c| c.value.clone()).collect();
    f.text("constraint.columns", columns.join(", "));
    f.flag("foreign_key.indexed", is_indexed(place, rel.id, &columns));
    let Some(other) = after.relation_by(&fk.table) else { return };
    let referenced: Vec<String> = if fk.ref_columns.is_empty() {
        other.primary_key().map(|k| k.kind.columns().to_vec()).unwrap_or_default()
    } else {
        fk.ref_columns.iter().map(|c| c.value.clone()).collect()
    };
    for (a, b) in columns.iter().zip(&referenced) {
        let (Some(x), Some(y)) = (rel.column(a), other.column(b)) else { continue };
        let same = kind_of(&x.ty) == kind_of(&y.ty) || holds_every(&x.ty, &y.ty);
        if !same && !x.ty.is_unknown() && !y.ty.is_unknown() {
            f.text("foreign_key.mismatch", format!("`{a}` is {}, `{b}` of `{}` is {}", x.ty, other.name, y.ty));
            return;
        }
    }
}

/// Lengths do not matter to a comparison, and `varchar` is compared as `text`.
fn kind_of(ty: &ColumnType) -> (&str, bool) {
    let name = if ty.name == "character varying" { "text" } else { ty.name.as_str() };
    (name, ty.array_dims > 0)
}

/// A wider integer holds every key of a narrower one, and indexes serve both.
fn holds_every(referring: &ColumnType, key: &ColumnType) -> bool {
    const INTEGERS: [&str; 3] = ["smallint", "integer", "bigint"];
    let place = |t: &ColumnType| INTEGERS.iter().position(|n| *n == t.name).filter(|_| t.array_dims == 0);
    matches!((place(referring), place(key)), (Some(a), Some(b)) if a > b)
}

/// At the end of the file some index begins with the columns, in whatever order; a partial one may leave out NULLs only.
fn is_indexed(place: &Place<'_>, table: Id, columns: &[String]) -> bool {
    let end = &place.script.after;
    if end.relation(table).is_none() {
        return true;
    }
    end.indexes_of(table).into_iter().filter_map(|r| r.index.as_ref()).any(|i| {
        let leading: Vec<&String> = i.columns.iter().take(columns.len()).flatten().collect();
        let all = leading.len() == columns.len() && columns.iter().all(|c| leading.contains(&c));
        let whole = i.filter.as_ref().is_none_or(|e| match &e.kind {
            ExprKind::IsNull { expr, negated: true } => {
                matches!(&expr.kind, ExprKind::Column(p) if p.last().is_some_and(|n| columns.contains(&n.value)))
            }
            _ => false,
        });
        all && whole && matches!(i.method.as_str(), "btree" | "hash")
    })
}

/// Constraints that are written inside of ADD COLUMN: `inline-check`, `inline-unique`, `inline-primary-key`, `inline-foreign-key`.
pub fn inline(place: &Place<'_>, op: &Op) -> Vec<Facts> {
    let OpKind::Alter { target, action: AlterAction::AddColumn { column, if_not_exists, .. } } = &op.kind else { return Vec::new() };
    if *if_not_exists && place.r.before.relation_by(&target.name).is_some_and(|r| r.column(column.name.as_str()).is_some()) {
        return Vec::new();
    }
    let mut out = Vec::new();
    for c in &column.constraints {
        let mut f = place.facts(&format!("inline-{}", constraint_kind(&c.kind)), c.span);
        place.table(&mut f, &target.name);
        place.column(&mut f, column);
        place.constraint(&mut f, c);
        place.effects(&mut f, op);
        if let Some((c, fk)) = foreign_keys_of(&op.kind).into_iter().next() {
            let mut fk = fk.clone();
            if fk.columns.is_empty() {
                fk.columns.push(column.name.clone());
            }
            let whole = TableConstraint { kind: ConstraintKind::ForeignKey(Box::new(fk)), ..c.clone() };
            foreign_key(place, &mut f, &target.name, &whole);
        }
        out.push(f);
    }
    out
}
