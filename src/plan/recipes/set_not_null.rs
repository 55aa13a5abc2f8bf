//! SET NOT NULL: filled by a trigger and in batches where the plan is told with what, proved by a validated constraint, set when N-1 is
//! gone.

use crate::quote::ident;

use super::super::blocks::{Assignment, Filled, table};
use super::super::change::ColumnChange;
use super::super::draft::{Draft, precondition};
use super::super::table::TableDraft;
use super::super::{Ctx, Stop};
use super::add_required_column;

pub fn plan(x: &Ctx<'_>, change: &ColumnChange, t: &mut TableDraft<'_>, draft: &mut Draft) -> Result<(), Stop> {
    let (Some(old), Some(new)) = (&change.before, &change.after) else { return Ok(()) };
    let rel = t.rel.clone();
    t.words.push(format!("`{}` required", new.name));
    tighten(x, change, &old.name, t, draft);
    // What N-1 leaves out gets the new default from the start; a default that goes, goes when N-1 is gone.
    let (on, c) = (table(&rel), ident(&new.name));
    let set = |d: &crate::op::Expr| format!("ALTER TABLE {on} ALTER COLUMN {c} SET DEFAULT {}", d.text);
    let drop = format!("ALTER TABLE {on} ALTER COLUMN {c} DROP DEFAULT");
    let text = |c: &crate::catalog::Column| c.default.as_ref().map(|d| d.text.clone());
    if text(old) != text(new) {
        let back = old.default.as_ref().map_or_else(|| drop.clone(), set);
        match &new.default {
            Some(d) => t.expand.push((set(d), vec![back])),
            None => t.swap.push((drop, vec![back])),
        }
    }
    Ok(())
}

/// NOT NULL at last of a column that stays, under the name that it has until the swap.
pub fn tighten(x: &Ctx<'_>, change: &ColumnChange, column: &str, t: &mut TableDraft<'_>, draft: &mut Draft) {
    let rel = t.rel.clone();
    let told = x.answer(&rel, column, "value").map(str::to_string);
    let value = told.or_else(|| change.filled_by.as_ref().map(|f| f.value.clone()));
    if let Some(value) = value {
        let never_null = x.never_null(&rel, &value);
        let value = x.told(&rel, value);
        t.fill(Filled { column: column.into(), value: value.clone(), required: true, watch: Vec::new() });
        t.backfill.push(Assignment { overwrites: true, ..Assignment::fill(column, value, never_null) });
        if !never_null {
            add_required_column::job(change, t, column);
        }
    } else {
        add_required_column::job(change, t, column);
        draft.checklist.push(format!(
            "N-1 may still write NULL into `{}.{column}`: when it is gone, a job fills such rows or deletes them. The contract waits for it.",
            rel.name
        ));
    }
    t.required_at_last.push(column.into());
    t.required_if.push(precondition(
        format!("no NULL is left in `{}.{column}`", rel.name),
        format!("SELECT * FROM {} WHERE {} IS NULL LIMIT 5", table(&rel), ident(column)),
    ));
    draft.checklist.push(format!("Release N always writes `{}.{column}`.", rel.name));
}
