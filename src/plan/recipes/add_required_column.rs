//! ADD COLUMN … NOT NULL without a default: nullable first; the plan fills it where it is told how, else release N does; NOT NULL when
//! no NULL is left.

use crate::catalog::{ColumnType, ConKind};
use crate::compat::boundary_values;
use crate::quote::{ident, idents, literal};

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
    let todo = format!("airlock_t.{c} IS NULL");
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
            t.backfill.push(Assignment { column: name.into(), value: x.told(&rel, value), todo, overwrites: false });
            filled(&rel.name, name, &on, draft);
        }
        // Out of the row's other columns: a trigger, for as long as N-1 leaves it out.
        Some((value, _)) => {
            let value = x.told(&rel, value);
            t.fills.push(Filled { column: name.into(), value: value.clone(), required: true, watch: Vec::new() });
            t.backfill.push(Assignment { column: name.into(), value, todo, overwrites: false });
            filled(&rel.name, name, &on, draft);
        }
        None => application(x, change, t, draft)?,
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
fn application(x: &Ctx<'_>, change: &ColumnChange, t: &mut TableDraft<'_>, draft: &mut Draft) -> Result<(), Stop> {
    let rel = t.rel.clone();
    let Some(new) = &change.after else { return Ok(()) };
    let name = new.name.as_str();
    let Some(sample) = sample(x, &new.ty) else {
        return x.ask(
            change.span,
            format!("which value do the existing rows of `{}` get in `{name}`?", rel.name),
            format!("--map '{}.{name}: value=\"…\"'", rel.name),
        );
    };
    job(x, t, name, Some(&sample));
    draft.checklist.push(format!("Release N writes `{}.{name}` in every INSERT.", rel.name));
    draft.checklist.push(format!(
        "After release N runs everywhere and N-1 nowhere, a job of release N fills `{name}` where it is NULL (in batches). The contract waits for it."
    ));
    Ok(())
}

/// A job of release N that fills a column; what stands in its statement is what the proof plays for it.
pub fn job(x: &Ctx<'_>, t: &mut TableDraft<'_>, column: &str, sample: Option<&str>) {
    let rel = &t.rel.clone();
    let (on, c) = (table(rel), ident(column));
    let refers =
        rel.constraints.iter().chain(x.script.after.relation(rel.id).iter().flat_map(|r| &r.constraints)).find_map(|k| match &k.kind {
            ConKind::ForeignKey { columns, table, ref_columns, .. } if columns.contains(&column.to_string()) => {
                Some((*table, columns.len(), ref_columns))
            }
            _ => None,
        });
    let unique = [&x.script.before, &x.script.after]
        .iter()
        .flat_map(|k| k.indexes_of(rel.id))
        .filter_map(|i| i.index.as_ref())
        .any(|i| i.unique && i.depends.iter().any(|d| d == column));
    let value = match refers {
        Some((other, 1, ref_columns)) => x.script.before.relation(other).zip(ref_columns.first()).map(|(other, r)| {
            format!("(SELECT airlock_r.{0} FROM {1} AS airlock_r WHERE airlock_r.{0} IS NOT NULL LIMIT 1)", ident(r), table(other))
        }),
        Some(_) => None,
        None => sample.map(str::to_string),
    };
    // Where no value can be made up, the proof lets the job delete such rows.
    let delete = format!("DELETE FROM {on} WHERE {c} IS NULL");
    let statements = match value.filter(|_| !unique) {
        Some(v) if refers.is_none() => vec![format!("UPDATE {on} SET {c} = {v} WHERE {c} IS NULL")],
        Some(v) => vec![format!("UPDATE {on} SET {c} = {v} WHERE {c} IS NULL"), delete],
        None => vec![delete],
    };
    let new = rel.column(column).is_none();
    t.jobs.push(Job {
        id: slug(&["application", "fills", &rel.name, column]),
        title: match new && sample.is_some() {
            true => format!("Release N writes `{column}` in every insert, and its job fills the rows that were there"),
            false => format!("A job of the application sees to the rows of `{}` in which `{column}` is NULL", rel.name),
        },
        statements,
    });
}

/// A value that the type takes, for the proof to play the application with.
pub fn sample(x: &Ctx<'_>, ty: &ColumnType) -> Option<String> {
    boundary_values(&x.script.after, ty).first().map(|v| literal(v))
}
