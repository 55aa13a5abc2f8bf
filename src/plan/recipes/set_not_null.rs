//! SET NOT NULL: when no NULL is left, by a validated constraint.

use crate::catalog::Relation;
use crate::quote::ident;

use super::super::blocks::{lock_timeout, not_null, table};
use super::super::draft::{Draft, NewStep, precondition, slug};
use super::super::{PhaseKind, Place, Stop};
use super::refuse_unusual;

pub fn plan(p: &Place<'_>, rel: &Relation, column: &str, draft: &mut Draft) -> Result<(), Stop> {
    refuse_unusual(p, rel, column)?;
    for (i, (title, up, undo)) in not_null(rel, column).into_iter().enumerate() {
        let step = draft.step(
            PhaseKind::ContractSoft,
            NewStep {
                id: slug(&["not-null", &rel.name, column]),
                title: format!("`{column}`: {title}"),
                statements: vec![lock_timeout(p.options), up],
                undo: vec![lock_timeout(p.options), undo],
            },
        );
        if i == 0 {
            step.preconditions.push(precondition(
                format!("no NULL is left in `{}.{column}`", rel.name),
                format!("SELECT * FROM {} WHERE {} IS NULL LIMIT 5", table(rel), ident(column)),
            ));
        }
    }
    draft.checklist.push(format!("Release N always writes `{}.{column}`.", rel.name));
    Ok(())
}
