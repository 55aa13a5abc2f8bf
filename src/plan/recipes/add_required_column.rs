//! ADD COLUMN … NOT NULL without a default: nullable first; the plan fills it where it is told how, else release N does; NOT NULL when
//! no NULL is left.

use crate::quote::{ident, idents};

use super::super::blocks::{Assignment, Filled, key, table, type_sql};
use super::super::change::ColumnChange;
use super::super::draft::{Draft, precondition, slug};
use super::super::table::{Job, TableDraft};
use super::super::{Boundary, Ctx, Invariant, Stop};
use super::{add_column, set_default};

pub fn plan(x: &Ctx<'_>, change: &ColumnChange, t: &mut TableDraft<'_>, draft: &mut Draft) -> Result<(), Stop> {
    let Some(new) = &change.after else { return Ok(()) };
    let (rel, name) = (t.rel.clone(), new.name.as_str());
    let (on, c) = (table(&rel), ident(name));
    add_column(t, new, &type_sql(&x.script.after, &new.ty), "");
    draft.fills = true;
    let told = x.answer(&rel, name, "value").map(str::to_string);
    let value = match (&told, &change.filled_by) {
        (Some(v), _) => Some((v.clone(), x.reads(v))),
        (None, Some(f)) => Some((f.value.clone(), f.reads.clone())),
        (None, None) => None,
    };
    match value {
        // The same for every row: a default, for as long as N-1 leaves it out.
        Some((value, reads)) if reads.is_empty() => {
            let (set, drop) = set_default(t, name, &value);
            t.expand.push((set.clone(), drop.clone()));
            t.swap.extend(drop.into_iter().map(|drop| (drop, vec![set.clone()])));
            t.backfill.push(Assignment::fill(name, x.told(&rel, value), true));
            filled(&rel.name, name, &on, draft);
        }
        // Out of the row's other columns: a trigger, for as long as N-1 leaves it out.
        Some((value, _)) => {
            let never_null = x.never_null(&rel, &value);
            let value = x.told(&rel, value);
            t.fill(Filled { column: name.into(), value: value.clone(), required: true, watch: Vec::new() });
            t.backfill.push(Assignment::fill(name, value, never_null));
            if never_null {
                filled(&rel.name, name, &on, draft);
            } else {
                job(change, t, name);
            }
        }
        None => application(change, t, draft),
    }
    let offenders = match key(&x.script.before, &rel) {
        Some(k) => format!("SELECT {} FROM {on} WHERE {c} IS NULL LIMIT 5", idents(&k)),
        None => format!("SELECT ctid FROM {on} WHERE {c} IS NULL LIMIT 5"),
    };
    t.required_at_last.push(name.into());
    t.required_if.push(precondition(format!("no NULL is left in `{}.{name}`", rel.name), offenders));
    Ok(())
}

fn filled(table: &str, column: &str, on: &str, draft: &mut Draft) {
    draft.invariants.push(Invariant {
        title: format!("`{table}.{column}` is filled"),
        sql: format!("SELECT * FROM {on} WHERE {} IS NULL LIMIT 5", ident(column)),
        from: Boundary::B2,
        until: Boundary::B4,
    });
    draft.checklist.push(format!("Release N writes `{table}.{column}` in every INSERT before the contract."));
}

/// Only release N knows the values.
fn application(change: &ColumnChange, t: &mut TableDraft<'_>, draft: &mut Draft) {
    let Some(new) = &change.after else { return };
    let (table, name) = (t.rel.name.clone(), new.name.as_str());
    job(change, t, name);
    draft.checklist.push(format!("Release N writes `{table}.{name}` in every INSERT."));
    draft.checklist.push(format!(
        "After release N runs everywhere and N-1 nowhere, a job of release N fills `{name}` where it is NULL (in batches). The contract waits for it."
    ));
}

/// A job of release N sees to the rows in which a column is NULL.
pub fn job(change: &ColumnChange, t: &mut TableDraft<'_>, column: &str) {
    let table = &t.rel.name;
    let title = match change.before.is_none() && change.filled_by.is_none() {
        true => format!("Release N writes `{column}` in every insert, and its job fills the rows that were there"),
        false => format!("A job of the application sees to the rows of `{table}` in which `{column}` is NULL"),
    };
    t.jobs.push(Job {
        id: slug(&["application", "fills", table, column]),
        title,
        column: column.into(),
        rows: format!("airlock_t.{} IS NULL", ident(column)),
    });
}
