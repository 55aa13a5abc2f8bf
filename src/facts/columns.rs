//! What a change of a column or constraint takes along, and whether it really changes anything.

use crate::catalog::{Catalog, ConKind, Index, Relation, TypeKind};
use crate::compat::{Undo, casts_the_column, type_change_undo};
use crate::op::{AlterAction, ConstraintKind, Expr, ExprKind, FkAction, OpKind, QName, TableConstraint};

use super::here::Here;
use super::{Facts, Value, words};

pub(super) fn add(f: &mut Facts, h: &Here<'_>) {
    match &h.op.kind {
        OpKind::Alter { target, action } => alter(f, h, &target.name, action),
        OpKind::CreateTable(t) => {
            f.flag("table.unlogged", t.persistence == crate::op::Persistence::Unlogged);
            f.flag("table.temporary", t.persistence == crate::op::Persistence::Temporary);
        }
        OpKind::CreateTableAs(t) => {
            f.flag("table.unlogged", t.persistence == crate::op::Persistence::Unlogged);
            f.flag("table.temporary", t.persistence == crate::op::Persistence::Temporary);
        }
        OpKind::Drop { objects, .. } => {
            if let Some(rel) = objects.first().and_then(|o| h.r.before.relation_by(&o.name)) {
                f.flag("table.partition", rel.is_partition());
                if rel.is_partition() {
                    f.text("parent", parent_names(&h.r.before, rel));
                }
            }
        }
        _ => {}
    }
}

fn parent_names(cat: &Catalog, rel: &Relation) -> String {
    rel.parents.iter().filter_map(|p| cat.relation(*p)).map(|p| p.name.clone()).collect::<Vec<_>>().join(", ")
}

fn alter(f: &mut Facts, h: &Here<'_>, table: &QName, action: &AlterAction) {
    use AlterAction as A;
    if let Some(column) = of_column(action) {
        f.text("column", column);
        f.flag("column.existed", h.column_existed(table, column));
    }
    let Some(rel) = h.relation(table) else { return };
    match action {
        A::AddColumn { column, .. } => {
            let was = h.script.before.relation(rel.id).and_then(|o| o.column(column.name.as_str()));
            if let Some(was) = was
                && h.r.before.relation(rel.id).is_none_or(|r| r.column(column.name.as_str()).is_none())
            {
                let renamed = h.r.before.relation(rel.id).is_some_and(|r| r.columns.iter().any(|c| c.attnum == was.attnum));
                f.text("column.was", if renamed { "renamed" } else { "dropped" });
            }
            let gone = h.look.drops_defaults
                && h.later().any(|(s, o)| {
                    matches!(&o.kind, OpKind::Alter { target, action: A::DropDefault { column: c } }
                    if c.as_str() == column.name.as_str() && s.before.relation_by(&target.name).map(|r| r.id) == Some(rel.id))
                });
            f.flag("default.dropped_later", gone && column.default.is_some());
            if let Some(i) = &column.identity {
                f.flag("identity.always", i.always);
            }
        }
        A::DropColumn { column, .. } => {
            f.set("takes.constraints", Value::List(constraints_with(rel, column.as_str())));
            f.set("takes.indexes", Value::List(indexes_with(h, rel, column.as_str())));
        }
        A::SetDefault { column, expr } => {
            // A change of the type may have taken the default away in between.
            let old = default_before(h, rel, column.as_str());
            f.flag("default.changed", old.is_none_or(|o| words::plain(&o.text) != words::plain(&expr.text)));
            f.text("default.old", old.map_or_else(|| "none".to_string(), |o| o.text.clone()));
        }
        A::DropDefault { column } => {
            let old = h.r.before.relation(rel.id).and_then(|r| r.column(column.as_str())).and_then(|c| c.default.as_ref());
            let back = h.commit().relation(rel.id).and_then(|r| r.column(column.as_str())).is_some_and(|c| c.default.is_some());
            f.flag("default.changed", (old.is_some() || rel.assumed) && !back);
            f.text("default.old", old.map_or_else(|| "none".to_string(), |o| o.text.clone()));
        }
        A::AddIdentity { identity, .. } => {
            f.flag("identity.always", identity.always);
        }
        A::SetIdentity { always, .. } => {
            f.flag("identity.always", *always == Some(true));
        }
        A::SetType { column, ty, using, .. } => {
            let Some(old) = h.r.before.relation(rel.id).and_then(|r| r.column(column.as_str())) else { return };
            let new = h.r.before.resolve_type(ty);
            let (now, later) = type_change_undo(&h.r.before, &old.ty, &new, using.as_ref(), column.as_str());
            // What another expression makes of the values is its own affair.
            let plain = using.as_ref().is_none_or(|e| casts_the_column(e, column.as_str()));
            f.flag("type.loses", plain && now >= Undo::LosesData && rel.kind.is_table());
            f.text("type.undo", later.to_string());
            let labels = |id: Option<crate::catalog::Id>| match id.and_then(|id| h.r.before.types.get(&id)).map(|t| &t.kind) {
                Some(TypeKind::Enum { labels }) => Some(labels.iter().map(|l| l.value.clone()).collect::<Vec<_>>()),
                _ => None,
            };
            if let (Some(was), Some(is)) = (labels(old.ty.id), labels(new.id)) {
                f.set("enum.removed", Value::List(was.into_iter().filter(|l| !is.contains(l)).collect()));
            }
        }
        A::AddConstraint(c) => constraint(f, h, table, rel, c),
        A::DetachPartition { partition, .. } => {
            let part = h.r.before.relation_by(partition);
            f.text("object", partition.to_string());
            f.flag("object.existed", part.is_none_or(|p| h.script.before.relation(p.id).is_some() || p.assumed));
            f.text("parent", table.to_string());
        }
        A::SetLogged { logged } => f.flag("table.unlogged", !logged),
        _ => {}
    }
}

/// The default that release N-1 knows.
fn default_before<'a>(h: &Here<'a>, rel: &Relation, column: &str) -> Option<&'a Expr> {
    let here = h.r.before.relation(rel.id)?.column(column)?;
    let first = h.script.before.relation(rel.id).and_then(|r| r.columns.iter().find(|c| c.attnum == here.attnum));
    first.unwrap_or(here).default.as_ref()
}

/// The column of before that the action is about.
fn of_column(action: &AlterAction) -> Option<&str> {
    use AlterAction as A;
    match action {
        A::DropColumn { column, .. }
        | A::SetDefault { column, .. }
        | A::DropDefault { column }
        | A::SetNotNull { column }
        | A::DropNotNull { column }
        | A::SetType { column, .. }
        | A::SetExpression { column, .. }
        | A::DropExpression { column, .. }
        | A::AddIdentity { column, .. }
        | A::SetIdentity { column, .. }
        | A::DropIdentity { column, .. } => Some(column.as_str()),
        A::RenameColumn { from, .. } => Some(from.as_str()),
        _ => None,
    }
}

/// Constraints over the column and others: what nobody names goes with the column.
fn constraints_with(rel: &Relation, column: &str) -> Vec<String> {
    let with = rel.constraints.iter().filter(|c| !matches!(c.kind, ConKind::NotNull { .. }));
    with.filter(|c| c.kind.columns().len() > 1 && c.kind.columns().iter().any(|n| n == column)).map(|c| c.name.clone()).collect()
}

/// Indexes that go with the column though they also serve others. A query on what stands behind a leading column was never served, and one whose
/// leading columns another index of the finished file begins with still is.
fn indexes_with(h: &Here<'_>, rel: &Relation, column: &str) -> Vec<String> {
    let gone = |i: &Index| i.depends.iter().any(|d| d == column);
    let served = |i: &Index| -> Vec<Option<String>> {
        i.columns.iter().take_while(|c| c.as_deref().is_some_and(|c| c != column)).cloned().collect()
    };
    let still = |kept: &[Option<String>]| {
        let end = h.script.after.indexes_of(rel.id).into_iter().filter_map(|r| r.index.as_ref());
        end.into_iter().any(|i| !gone(i) && i.columns.starts_with(kept))
    };
    let with = h.r.before.indexes_of(rel.id).into_iter().filter(|r| {
        let Some(i) = r.index.as_ref().filter(|i| !i.constraint && gone(i)) else { return false };
        let kept = served(i);
        !kept.is_empty() && !still(&kept)
    });
    with.map(|r| r.name.clone()).collect()
}

/// Does a new constraint bind what release N-1 writes, or has something like it been there all along?
fn constraint(f: &mut Facts, h: &Here<'_>, table: &QName, rel: &Relation, c: &TableConstraint) {
    let columns = constrained(&c.kind);
    f.flag("constraint.not_enforced", c.not_enforced);
    // Release N-1 does not write to a column by a name that it does not know.
    let known =
        |n: &String| h.column_existed(table, n) && h.script.before.relation(rel.id).is_none_or(|o| o.assumed || o.column(n).is_some());
    // Its rows leave a new column NULL, and then neither a key nor a reference asks for more.
    let by_itself = |n: &String| h.r.after.relation(rel.id).and_then(|r| r.column(n)).is_some_and(|c| c.default.is_some());
    let old = match &c.kind {
        ConstraintKind::Check { .. } | ConstraintKind::NotNull { .. } => columns.iter().any(known),
        _ => columns.iter().any(known) && columns.iter().all(|n| known(n) || by_itself(n)),
    };
    f.flag("columns.existed", old || (columns.is_empty() && !rel.assumed));
    let Some(old) = h.script.before.relation(rel.id) else { return };
    let same_columns = |k: &ConKind| {
        let (mut a, mut b) = (k.columns().to_vec(), columns.clone());
        a.sort();
        b.sort();
        a == b
    };
    let already = match &c.kind {
        ConstraintKind::Unique { using_index, columns, .. } => {
            let using = using_index.as_ref().and_then(|i| h.script.before.relation_named(&old.schema, i.as_str()));
            using.is_some_and(|i| i.index.as_ref().is_some_and(|i| i.unique && i.filter.is_none()))
                || !columns.is_empty() && unique_over(&h.script.before, old, &columns.iter().map(|n| n.value.clone()).collect::<Vec<_>>())
        }
        ConstraintKind::ForeignKey(fk) => {
            let target = h.r.before.relation_by(&fk.table).map(|t| t.id);
            let was = old.constraints.iter().find(|o| match &o.kind {
                ConKind::ForeignKey { table, .. } => Some(*table) == target && same_columns(&o.kind),
                _ => false,
            });
            if let Some(ConKind::ForeignKey { on_delete, on_update, .. }) = was.map(|w| &w.kind) {
                let word = |e: &str, a: FkAction| format!("{e} {a}");
                let mut changes = Vec::new();
                if *on_delete != fk.on_delete {
                    changes.push(format!("{} instead of {}", word("ON DELETE", fk.on_delete), word("ON DELETE", *on_delete)));
                }
                if *on_update != fk.on_update {
                    changes.push(format!("{} instead of {}", word("ON UPDATE", fk.on_update), word("ON UPDATE", *on_update)));
                }
                f.set("fk.changes", Value::List(changes));
            }
            was.is_some()
        }
        ConstraintKind::Check { expr } => old.constraints.iter().any(|o| match &o.kind {
            ConKind::Check { expr: was, .. } => {
                same_columns(&o.kind) && (words::plain(&was.text) == words::plain(&expr.text) || widens(was, expr))
            }
            _ => false,
        }),
        ConstraintKind::Exclude { .. } => false,
        ConstraintKind::PrimaryKey { columns, .. } => {
            let names: Vec<String> = columns.iter().map(|n| n.value.clone()).collect();
            !names.is_empty() && unique_over(&h.script.before, old, &names)
        }
        ConstraintKind::NotNull { column } => old.column(column.as_str()).is_some_and(|c| c.not_null),
    };
    f.flag("constraint.held", already);
}

/// The columns of the table that a new constraint speaks of.
fn constrained(kind: &ConstraintKind) -> Vec<String> {
    let names = |l: &[crate::op::Name]| l.iter().map(|n| n.value.clone()).collect::<Vec<_>>();
    let of = |e: &Expr, out: &mut Vec<String>| {
        e.walk(&mut |e| {
            if let ExprKind::Column(p) = &e.kind
                && let Some(n) = p.last()
                && !out.contains(&n.value)
            {
                out.push(n.value.clone());
            }
        });
    };
    let mut out = Vec::new();
    match kind {
        ConstraintKind::Check { expr } => of(expr, &mut out),
        ConstraintKind::NotNull { column } => out.push(column.value.clone()),
        ConstraintKind::Unique { columns, .. } | ConstraintKind::PrimaryKey { columns, .. } => out = names(columns),
        ConstraintKind::ForeignKey(fk) => out = names(&fk.columns),
        ConstraintKind::Exclude { elements, .. } => elements.iter().for_each(|(e, _)| of(&e.expr, &mut out)),
    }
    out
}

/// A unique index over some of these columns: then no two rows agree on all of them.
fn unique_over(cat: &Catalog, rel: &Relation, columns: &[String]) -> bool {
    cat.indexes_of(rel.id).into_iter().filter_map(|r| r.index.as_ref()).any(|i| {
        i.unique && i.filter.is_none() && !i.columns.is_empty() && i.columns.iter().all(|c| c.as_ref().is_some_and(|c| columns.contains(c)))
    })
}

/// A list of allowed values that only grew: `x IN ('a')` → `x IN ('a', 'b')`.
fn widens(old: &Expr, new: &Expr) -> bool {
    let list = |e: &Expr| {
        let (mut values, mut plain) = (Vec::new(), true);
        e.walk(&mut |e| match &e.kind {
            ExprKind::String(s) => values.push(s.clone()),
            ExprKind::Binary { op, .. } => plain &= matches!(op.as_str(), "IN" | "=" | "OR" | "= ANY"),
            ExprKind::Unary { .. } | ExprKind::Number(_) | ExprKind::Call(_) | ExprKind::Subquery(_) => plain = false,
            _ => {}
        });
        (values, plain)
    };
    let ((was, a), (is, b)) = (list(old), list(new));
    a && b && !was.is_empty() && was.iter().all(|v| is.contains(v))
}
