//! DROP COLUMN: release N stops using it; then it is parked under another name; then it goes.

use crate::catalog::Relation;
use crate::compat::Undo;
use crate::quote::{generated_name, ident};

use super::super::blocks::{lock_timeout, table};
use super::super::draft::{Draft, NewStep, slug};
use super::super::{PhaseKind, Place, Stop};
use super::refuse_unusual;

pub fn plan(p: &Place<'_>, rel: &Relation, column: &str, cascade: bool, draft: &mut Draft) -> Result<(), Stop> {
    refuse_unusual(p, rel, column)?;
    if cascade {
        return p.refuse("CASCADE drops what nobody named", "drop the dependents in statements of their own, by name");
    }
    let Some(c) = rel.column(column) else { return p.refuse(format!("`{column}` is not known"), "correct the migration first") };
    if c.identity.is_some() || rel.primary_key().is_some_and(|k| k.kind.columns().iter().any(|n| n == column)) {
        return p.refuse(format!("`{column}` identifies the rows of `{}`", rel.name), "plan a new key first");
    }
    let (t, name) = (table(rel), ident(column));
    let parked = generated_name("airlock_old_", &[column]);
    if rel.column(&parked).is_some() {
        return p.refuse(format!("`{parked}` is taken already"), "finish the plan that made it");
    }
    if c.not_null && c.default.is_none() {
        let step = draft.step(
            PhaseKind::Expand,
            NewStep {
                id: slug(&["optional", &rel.name, column]),
                title: format!("Release N leaves out `{column}`: it may be NULL now"),
                statements: vec![lock_timeout(p.options), format!("ALTER TABLE {t} ALTER COLUMN {name} DROP NOT NULL")],
                undo: vec![lock_timeout(p.options), format!("ALTER TABLE {t} ALTER COLUMN {name} SET NOT NULL")],
            },
        );
        step.undo_verdict = Undo::BlockedByData;
    }
    draft.checklist.push(format!("Release N neither reads nor writes `{}.{column}`.", rel.name));
    draft.step(
        PhaseKind::ContractSoft,
        NewStep {
            id: slug(&["park", &rel.name, column]),
            title: format!("Park `{column}` of `{}` under another name; its data stay", rel.name),
            statements: vec![lock_timeout(p.options), format!("ALTER TABLE {t} RENAME COLUMN {name} TO {}", ident(&parked))],
            undo: vec![lock_timeout(p.options), format!("ALTER TABLE {t} RENAME COLUMN {} TO {name}", ident(&parked))],
        },
    );
    let step = draft.step(
        PhaseKind::ContractHard,
        NewStep {
            id: slug(&["drop", &rel.name, column]),
            title: format!("Drop `{column}` of `{}` for good", rel.name),
            statements: vec![lock_timeout(p.options), format!("ALTER TABLE {t} DROP COLUMN {}", ident(&parked))],
            undo: Vec::new(),
        },
    );
    step.one_way = Some("the data of the column are gone; only a backup has them".into());
    step.undo_verdict = Undo::Impossible;
    Ok(())
}
