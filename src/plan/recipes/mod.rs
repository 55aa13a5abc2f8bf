//! One file per recipe, and the list that finds it.

mod add_constraint;
mod add_required_column;
mod change_type;
mod create_index;
mod drop_column;
mod drop_table;
mod pass;
mod rename_column;
mod set_not_null;

use crate::catalog::Relation;
use crate::op::{AlterAction, AlterTarget, ConstraintKind, ObjectKind, OpKind, QName};

use super::draft::Draft;
use super::{Place, Stop};

/// Plans one operation.
pub fn plan(p: &Place<'_>, draft: &mut Draft) -> Result<(), Stop> {
    if p.op.conditional {
        return p.refuse("an operation inside IF, LOOP or EXCEPTION may or may not run", "write it as a statement of its own");
    }
    match &p.op.kind {
        OpKind::Alter { target, action } => alter(p, target, action, draft),
        OpKind::CreateIndex(i) if is_old(p, &i.table) && !i.concurrently => create_index::plan(p, i, draft),
        OpKind::Drop { objects, cascade, .. } if objects.iter().all(|o| o.kind == ObjectKind::Table && is_old(p, &o.name)) => {
            drop_table::plan(p, objects, *cascade, draft)
        }
        OpKind::Opaque { .. } => p.refuse("the statement is not understood", "write it out, or run it by hand"),
        _ => pass::plan(p, draft),
    }
}

fn alter(p: &Place<'_>, target: &AlterTarget, action: &AlterAction, draft: &mut Draft) -> Result<(), Stop> {
    if !is_old(p, &target.name) || !matches!(target.kind, ObjectKind::Table) {
        return pass::plan(p, draft);
    }
    let Some(rel) = p.before().relation_by(&target.name) else {
        return p.refuse(format!("no earlier migration makes `{}`", target.name), "give the schema with --schema FILE");
    };
    if rel.assumed {
        return p.refuse(format!("no earlier migration makes `{}`", target.name), "give the schema with --schema FILE");
    }
    match action {
        AlterAction::AddColumn { column, .. }
            if column.nullable == Some(false)
                && column.default.is_none()
                && column.identity.is_none()
                && column.generated.is_none()
                && !column.ty.name.as_str().ends_with("serial") =>
        {
            add_required_column::plan(p, rel, column, draft)
        }
        AlterAction::DropColumn { column, cascade, .. } => drop_column::plan(p, rel, column.as_str(), *cascade, draft),
        AlterAction::RenameColumn { from, to } => rename_column::plan(p, rel, from.as_str(), to.as_str(), draft),
        AlterAction::SetType { column, .. } if !p.r.effects.rewrites.is_empty() => {
            change_type::plan(p, rel, column.as_str(), action, draft)
        }
        AlterAction::SetNotNull { column } => set_not_null::plan(p, rel, column.as_str(), draft),
        AlterAction::AddConstraint(c)
            if matches!(
                c.kind,
                ConstraintKind::Check { .. } | ConstraintKind::ForeignKey(_) | ConstraintKind::Unique { using_index: None, .. }
            ) =>
        {
            add_constraint::plan(p, rel, c, draft)
        }
        _ => pass::plan(p, draft),
    }
}

/// The relation was there before the migration.
pub fn is_old(p: &Place<'_>, name: &QName) -> bool {
    p.before().relation_by(name).is_none_or(|r| p.script.before.relation(r.id).is_some() || r.assumed)
}

/// What recipes that add a second column cannot carry over yet; each is named.
pub fn refuse_unusual(p: &Place<'_>, rel: &Relation, column: &str) -> Result<(), Stop> {
    let by_hand = "plan this change by hand";
    if rel.partition_by.is_some() || !rel.parents.is_empty() || !p.before().children_of(rel.id).is_empty() {
        return p.refuse(format!("`{}` is partitioned or inherits", rel.name), by_hand);
    }
    let Some(c) = rel.column(column) else {
        return p.refuse(format!("`{}` has no column `{column}`", rel.name), "correct the migration first");
    };
    if c.generated.is_some() {
        return p.refuse(format!("`{column}` is a generated column"), by_hand);
    }
    if p.script.statements.iter().flat_map(|s| &s.statement.ops).filter(|o| touches(o, column)).count() > 1 {
        return p.refuse(format!("several operations of this file are about `{column}`"), "put them into migrations of their own");
    }
    Ok(())
}

fn touches(op: &crate::op::Op, column: &str) -> bool {
    use AlterAction as A;
    match &op.kind {
        OpKind::Alter { action, .. } => match action {
            A::DropColumn { column: c, .. }
            | A::SetDefault { column: c, .. }
            | A::DropDefault { column: c }
            | A::SetNotNull { column: c }
            | A::DropNotNull { column: c }
            | A::SetType { column: c, .. } => c.as_str() == column,
            A::RenameColumn { from, to } => from.as_str() == column || to.as_str() == column,
            A::AddColumn { column: c, .. } => c.name.as_str() == column,
            _ => false,
        },
        _ => false,
    }
}
