//! One file per recipe, and the list that finds it.

mod add_constraint;
mod add_filled;
pub mod add_made;
mod add_required_column;
pub mod attach_under;
mod change_type;
pub mod create_index;
mod create_table;
mod data;
pub mod domains;
mod drop_column;
mod drop_table;
mod generated;
mod linked;
mod other_name;
mod partitioned_index;
mod partitions;
pub mod primary_key;
pub mod rebuild_table;
mod rename_column;
pub mod rename_table;
pub mod replace_view;
mod set_not_null;

use crate::catalog::{Acl, Catalog, Column, ConKind, Relation, sequence_options};
use crate::op::{AlterAction, ConstraintKind, ObjectKind, OpKind, QName, ReindexTarget};
use crate::quote::{ident, qualified};

use super::PhaseKind;
use super::blocks::{NOTHING, table};
use super::change::{ColumnChange, ColumnKind};
use super::draft::{Draft, slug};
use super::standing::{Standing, StandingStep, Verdict};
use super::table::TableDraft;
use super::{Ctx, Stop, exprs};

/// The change of one column of a table that was there.
pub fn column(x: &Ctx<'_>, change: &ColumnChange, t: &mut TableDraft<'_>, draft: &mut Draft) -> Result<(), Stop> {
    let by_hand = "plan this change by hand";
    let rel = t.rel.clone();
    if let (ColumnKind::Pair { .. } | ColumnKind::Recomputed, Some(old)) = (change.kind, &change.before)
        && let Some(why) = handed_down(&x.script.before, &rel, &old.name)
    {
        return x.refuse(change.span, why, by_hand);
    }
    if let Some(new) = change.after.as_ref().filter(|c| change.before.is_none() && rel.column(&c.name).is_some()) {
        return x.refuse(
            change.span,
            format!("`{}` is another column of `{}` for release N than for N-1: both cannot run on one schema", new.name, rel.name),
            "give the new column a name of its own, or free the name in an earlier migration and release",
        );
    }
    of_kind(x, change, t, draft)?;
    match &change.held {
        Some(held) => domains::hold(x, change, held, t, draft),
        None => Ok(()),
    }
}

fn of_kind(x: &Ctx<'_>, change: &ColumnChange, t: &mut TableDraft<'_>, draft: &mut Draft) -> Result<(), Stop> {
    let rel = t.rel.clone();
    match change.kind {
        ColumnKind::Add => add_filled::plain(x, change, t),
        ColumnKind::AddFilled => add_filled::plan(x, change, t, draft),
        ColumnKind::AddMade => add_made::plan(x, change, t, draft),
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
            match x.app() {
                _ if change.before.as_ref().is_some_and(|c| c.generated.is_some()) => generated::renamed(x, change, t, draft),
                // What release N writes into the second column stays there: the first one goes at last.
                true => change_type::plan(x, change, t, draft),
                false => rename_column::plan(x, change, t, draft),
            }
        }
        ColumnKind::Recomputed => generated::recomputed(x, change, t, draft),
        ColumnKind::Pair { .. } => change_type::plan(x, change, t, draft),
        ColumnKind::Tighten => set_not_null::plan(x, change, t, draft),
    }
}

/// Why a second column of a table with children cannot be made: what hangs on the first one would have to be made on each of them.
fn handed_down(catalog: &Catalog, rel: &Relation, column: &str) -> Option<String> {
    if !rel.parents.is_empty() {
        return Some(format!("`{}` is a partition or inherits from another table", rel.name));
    }
    let children = catalog.descendants_of(rel.id);
    if rel.partition_by.is_none() && children.is_empty() {
        return None;
    }
    let all = std::iter::once(rel.id).chain(children);
    let bound = all.filter_map(|id| catalog.relation(id)).find(|r| {
        let keyed = r.partition_by.as_ref().is_some_and(|p| p.keys.iter().any(|e| exprs::names(e, column)));
        let constrained = r.constraints.iter().any(|c| match &c.kind {
            ConKind::NotNull { .. } => false,
            ConKind::Check { columns, .. } => columns.iter().any(|n| n == column),
            other => other.columns().iter().any(|n| n == column),
        });
        let indexes = catalog.indexes_of(r.id);
        keyed || constrained || { indexes }.iter().filter_map(|i| i.index.as_ref()).any(|i| i.depends.iter().any(|d| d == column))
    });
    bound.map(|r| {
        format!(
            "`{}` has children, and a key, an index or a constraint of `{}` is about `{column}`: it would have to be made on each of them",
            rel.name, r.name
        )
    })
}

pub use partitions::takes_away;

/// An operation that stands by itself, where it needs more than to be run: `None`, and it is run as it is.
pub fn standing(s: &Standing<'_>) -> Option<Result<Vec<StandingStep>, String>> {
    match &s.op.kind {
        OpKind::CreateIndex(i) if s.is_old(&i.table) && s.before.relation_by(&i.table).is_some_and(|r| r.partition_by.is_some()) => {
            Some(partitioned_index::steps(s, i))
        }
        OpKind::CreateIndex(i) if s.is_old(&i.table) && s.verdict != Verdict::New => {
            Some(create_index::step(s, i, s.before, s.after).map(|s| vec![s]))
        }
        OpKind::CreateTable(t) if t.partition_of.is_some() => partitions::create(s, t),
        OpKind::CreateTable(t) => create_table::steps(s, t),
        OpKind::AlterDomain { name, action } => domains::constrained(s, name, action),
        OpKind::Alter { target, action: AlterAction::DropExpression { column, .. } } => {
            let rel = s.before.relation_by(&target.name).filter(|r| s.script.before.relation(r.id).is_some())?;
            generated::plain(s, rel, column.as_str()).map(Ok)
        }
        OpKind::Alter { target, action: AlterAction::AttachPartition { partition, bound } } => {
            partitions::attach(s, &target.name, partition, bound)
        }
        OpKind::Alter { target, action: AlterAction::DetachPartition { partition, finalize: false, .. } } => {
            partitions::detach(s, &target.name, partition)
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
        OpKind::Rename { .. } | OpKind::Alter { action: AlterAction::RenameTo { .. }, .. } => other_name::steps(s),
        OpKind::Reindex { target, name: Some(name), concurrently: false } => reindexed(*target, name),
        OpKind::Alter { target, action: AlterAction::DropIdentity { column, .. } } => dropped_identity(s, &target.name, column.as_str()),
        OpKind::Dml(d) => Some(data::steps(s, d)),
        OpKind::Truncate { tables, .. } if tables.iter().any(|(t, _)| s.is_old(t)) => Some(data::truncate(s, tables)),
        _ => None,
    }
}

/// REINDEX without blocking writes; there is nothing to take back.
fn reindexed(target: ReindexTarget, name: &QName) -> Option<Result<Vec<StandingStep>, String>> {
    let what = match target {
        ReindexTarget::Index => "INDEX",
        ReindexTarget::Table => "TABLE",
        _ => return None,
    };
    let sql = name.schema_str().map_or_else(|| ident(name.as_str()), |s| qualified(s, name.as_str()));
    Some(Ok(vec![StandingStep {
        id: slug(&["reindex", name.as_str()]),
        title: format!("Build {} `{name}` anew without blocking writes", what.to_lowercase()),
        statements: vec![format!("REINDEX {what} CONCURRENTLY {sql}")],
        undo: vec![NOTHING.into()],
        transaction: false,
        ..StandingStep::default()
    }]))
}

/// DROP IDENTITY: N-1 leaves the value to the sequence, and release N gives one itself, which ALWAYS refuses.
fn dropped_identity(s: &Standing<'_>, on: &QName, column: &str) -> Option<Result<Vec<StandingStep>, String>> {
    let rel = s.before.relation_by(on)?;
    let identity = rel.column(column)?.identity.as_ref()?;
    let sequence = s.before.sequence_of_column(rel.id, column)?;
    let alter = format!("ALTER TABLE {} ALTER COLUMN {}", table(rel), ident(column));
    let how = |always: bool| if always { "ALWAYS" } else { "BY DEFAULT" };
    let mut steps = Vec::new();
    if identity.always {
        steps.push(StandingStep {
            phase: Some(PhaseKind::Expand),
            id: slug(&["identity", &rel.name, column]),
            title: format!("`{}.{column}` takes a value that release N gives", rel.name),
            statements: vec![format!("{alter} SET GENERATED BY DEFAULT")],
            undo: vec![format!("{alter} SET GENERATED ALWAYS")],
            ..StandingStep::default()
        });
    }
    let (name, options) = (table(sequence), sequence_options(sequence));
    steps.push(StandingStep {
        phase: Some(PhaseKind::ContractSoft),
        id: slug(&["no-identity", &rel.name, column]),
        title: format!("`{}.{column}` is no identity column any more, and its sequence goes", rel.name),
        statements: vec![format!("{alter} DROP IDENTITY")],
        undo: vec![
            format!("{alter} ADD GENERATED {} AS IDENTITY (SEQUENCE NAME {name}{options})", how(false)),
            format!("SELECT setval({}, max({})) FROM {}", crate::quote::literal(&name), ident(column), table(rel)),
        ],
        checklist: vec![format!("Release N gives `{}.{column}` a value in every INSERT.", rel.name)],
        ..StandingStep::default()
    });
    Some(Ok(steps))
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
