//! One file per recipe, and the list that finds it.

mod add_constraint;
mod add_filled;
mod add_required_column;
mod change_type;
pub mod create_index;
mod data;
mod drop_column;
mod drop_table;
mod linked;
mod partitioned_index;
pub mod primary_key;
mod rename_column;
pub mod rename_table;
mod set_not_null;

use crate::catalog::{Acl, Column};
use crate::op::{AlterAction, ConstraintKind, ObjectKind, OpKind};
use crate::quote::ident;

use super::blocks::table;
use super::change::{ColumnChange, ColumnKind};
use super::draft::Draft;
use super::standing::{Standing, StandingStep, Verdict};
use super::table::TableDraft;
use super::{Ctx, Stop};

/// The change of one column of a table that was there.
pub fn column(x: &Ctx<'_>, change: &ColumnChange, t: &mut TableDraft<'_>, draft: &mut Draft) -> Result<(), Stop> {
    let by_hand = "plan this change by hand";
    let rel = t.rel.clone();
    let partitioned = rel.partition_by.is_some() || !rel.parents.is_empty() || !x.script.before.children_of(rel.id).is_empty();
    if partitioned && matches!(change.kind, ColumnKind::Pair { .. }) {
        return x.refuse(change.span, format!("`{}` is partitioned or inherits", rel.name), by_hand);
    }
    if let Some(new) = change.after.as_ref().filter(|c| change.before.is_none() && rel.column(&c.name).is_some()) {
        return x.refuse(
            change.span,
            format!("`{}` is another column of `{}` for release N than for N-1: both cannot run on one schema", new.name, rel.name),
            "give the new column a name of its own, or free the name in an earlier migration and release",
        );
    }
    match change.kind {
        ColumnKind::Add => add_filled::plain(x, change, t),
        ColumnKind::AddFilled => add_filled::plan(x, change, t, draft),
        ColumnKind::AddRequired => {
            let told = change.after.as_ref().is_some_and(|c| x.answer(&rel, &c.name, "value").is_some());
            let out_of_rows = change.filled_by.as_ref().is_some_and(|f| !f.reads.is_empty() || f.cross.is_some());
            if out_of_rows && !told {
                return add_filled::plan(x, change, t, draft);
            }
            add_required_column::plan(x, change, t, draft)?;
            add_filled::inline(x, change, t)
        }
        ColumnKind::Drop => drop_column::plan(x, change, t, draft),
        ColumnKind::Pair { retyped: false, .. } => {
            if change.before.as_ref().is_some_and(|c| c.generated.is_some()) {
                return x.refuse(change.span, "a generated column cannot be kept in step by a trigger", by_hand);
            }
            rename_column::plan(x, change, t, draft)
        }
        ColumnKind::Pair { .. } => change_type::plan(x, change, t, draft),
        ColumnKind::Tighten => set_not_null::plan(x, change, t, draft),
    }
}

/// An operation that stands by itself, where it needs more than to be run: `None`, and it is run as it is.
pub fn standing(s: &Standing<'_>) -> Option<Result<Vec<StandingStep>, String>> {
    match &s.op.kind {
        OpKind::CreateIndex(i) if s.is_old(&i.table) && s.before.relation_by(&i.table).is_some_and(|r| r.partition_by.is_some()) => {
            Some(partitioned_index::steps(s, i))
        }
        OpKind::CreateIndex(i) if s.is_old(&i.table) && s.verdict != Verdict::New => {
            Some(create_index::step(s, i, s.before, s.after).map(|s| vec![s]))
        }
        OpKind::Drop { objects, cascade, .. } if objects.iter().all(|o| o.kind == ObjectKind::Table && s.is_old(&o.name)) => {
            Some(drop_table::steps(s, objects, *cascade))
        }
        OpKind::Alter { target, action: AlterAction::AddConstraint(c) }
            if target.kind == ObjectKind::Table
                && match c.kind {
                    ConstraintKind::Check { .. } | ConstraintKind::Unique { using_index: None, .. } => s.is_old(&target.name),
                    ConstraintKind::ForeignKey(_) => true,
                    _ => false,
                } =>
        {
            Some(add_constraint::steps(s, &target.name, c))
        }
        OpKind::Dml(d) => Some(data::steps(s, d)),
        OpKind::Truncate { tables, .. } if tables.iter().any(|(t, _)| s.is_old(t)) => Some(data::truncate(s)),
        _ => None,
    }
}

/// ADD COLUMN in expand; `rest` stands behind the type.
pub fn add_column(t: &mut TableDraft<'_>, new: &Column, ty: &str, rest: &str) {
    let (on, c) = (table(&t.rel), ident(&new.name));
    t.words.push(format!("new `{}`", new.name));
    let add = format!("ALTER TABLE {on} ADD COLUMN {c} {ty}{}{rest}", collation(new));
    t.expand.push((add, vec![format!("ALTER TABLE {on} DROP COLUMN {c}")]));
}

/// A default that is given, and its undo.
pub fn set_default(t: &TableDraft<'_>, column: &str, value: &str) -> (String, Vec<String>) {
    let column = format!("ALTER TABLE {} ALTER COLUMN {}", table(&t.rel), ident(column));
    (format!("{column} SET DEFAULT {value}"), vec![format!("{column} DROP DEFAULT")])
}

/// ` COLLATE …` of a column, where it has one of its own.
pub fn collation(c: &Column) -> String {
    c.collation.as_ref().map_or_else(String::new, |n| format!(" COLLATE {}", n.split('.').map(ident).collect::<Vec<_>>().join(".")))
}

/// What one grantee has of `privileges`, on another object.
pub fn grant(a: &Acl, privileges: &str, on: &str) -> String {
    let to = if a.grantee == "public" { "PUBLIC".to_string() } else { ident(&a.grantee) };
    let option = if a.grant_option { " WITH GRANT OPTION" } else { "" };
    format!("GRANT {privileges} ON {on} TO {to}{option}")
}

/// The privileges that a column has by itself, for the second column.
pub fn column_grants(c: &Column, on: &str, second: &str) -> Vec<String> {
    c.grants
        .iter()
        .map(|a| {
            let privileges: Vec<String> = a.privileges.iter().map(|p| format!("{p} ({})", ident(second))).collect();
            grant(a, &privileges.join(", "), on)
        })
        .collect()
}
