//! DROP TABLE: parked under another name, then dropped.

use crate::compat::Undo;
use crate::op::ObjectRef;
use crate::quote::{generated_name, ident, qualified};

use super::super::PhaseKind;
use super::super::blocks::table;
use super::super::draft::slug;
use super::super::standing::{Standing, StandingStep};

pub fn steps(s: &Standing<'_>, objects: &[ObjectRef], cascade: bool) -> Result<Vec<StandingStep>, String> {
    if cascade {
        return Err("CASCADE drops what nobody named: drop the dependents in statements of their own, by name".into());
    }
    let mut out = Vec::new();
    for o in objects {
        let Some(rel) = s.before.relation_by(&o.name).filter(|r| !r.assumed) else {
            return Err(format!("no earlier migration makes `{}`: give the schema with --schema FILE", o.name));
        };
        let parked = generated_name("airlock_old_", &[&rel.name]);
        out.push(StandingStep {
            phase: Some(PhaseKind::ContractSoft),
            id: slug(&["park", &rel.name]),
            title: format!("Park `{}` under another name; its rows stay", rel.name),
            statements: vec![format!("ALTER TABLE {} RENAME TO {}", table(rel), ident(&parked))],
            undo: vec![format!("ALTER TABLE {} RENAME TO {}", qualified(&rel.schema, &parked), ident(&rel.name))],
            checklist: vec![format!("Release N neither reads nor writes `{}`.", rel.name)],
            ..StandingStep::default()
        });
        out.push(StandingStep {
            phase: Some(PhaseKind::ContractHard),
            id: slug(&["drop", &rel.name]),
            title: format!("Drop `{}` for good", rel.name),
            statements: vec![format!("DROP TABLE {}", qualified(&rel.schema, &parked))],
            one_way: Some("the rows of the table are gone; only a backup has them".into()),
            undo_verdict: Undo::Impossible,
            ..StandingStep::default()
        });
    }
    Ok(out)
}
