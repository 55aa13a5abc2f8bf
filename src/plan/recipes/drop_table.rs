//! DROP TABLE: parked under another name, then dropped.

use crate::compat::Undo;
use crate::op::ObjectRef;
use crate::quote::{generated_name, ident, qualified};

use super::super::blocks::{lock_timeout, table};
use super::super::draft::{Draft, NewStep, slug};
use super::super::{PhaseKind, Place, Stop};

pub fn plan(p: &Place<'_>, objects: &[ObjectRef], cascade: bool, draft: &mut Draft) -> Result<(), Stop> {
    if cascade {
        return p.refuse("CASCADE drops what nobody named", "drop the dependents in statements of their own, by name");
    }
    for o in objects {
        let Some(rel) = p.before().relation_by(&o.name).filter(|r| !r.assumed) else {
            return p.refuse(format!("no earlier migration makes `{}`", o.name), "give the schema with --schema FILE");
        };
        let parked = generated_name("airlock_old_", &[&rel.name]);
        draft.checklist.push(format!("Release N neither reads nor writes `{}`.", rel.name));
        draft.step(
            PhaseKind::ContractSoft,
            NewStep {
                id: slug(&["park", &rel.name]),
                title: format!("Park `{}` under another name; its rows stay", rel.name),
                statements: vec![lock_timeout(p.options), format!("ALTER TABLE {} RENAME TO {}", table(rel), ident(&parked))],
                undo: vec![
                    lock_timeout(p.options),
                    format!("ALTER TABLE {} RENAME TO {}", qualified(&rel.schema, &parked), ident(&rel.name)),
                ],
            },
        );
        let step = draft.step(
            PhaseKind::ContractHard,
            NewStep {
                id: slug(&["drop", &rel.name]),
                title: format!("Drop `{}` for good", rel.name),
                statements: vec![lock_timeout(p.options), format!("DROP TABLE {}", qualified(&rel.schema, &parked))],
                undo: Vec::new(),
            },
        );
        step.one_way = Some("the rows of the table are gone; only a backup has them".into());
        step.undo_verdict = Undo::Impossible;
    }
    Ok(())
}
