//! DROP TABLE: parked under another name, then dropped.

use crate::catalog::ConKind;
use crate::compat::Undo;
use crate::op::{FkAction, ObjectRef};
use crate::quote::{generated_name, ident, idents, qualified};

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
        foreign_keys(s, rel, &mut out);
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

/// Release N deletes rows without a look at a table that it does not know: what refers to them goes with them.
fn foreign_keys(s: &Standing<'_>, rel: &crate::catalog::Relation, out: &mut Vec<StandingStep>) {
    for c in &rel.constraints {
        let ConKind::ForeignKey { columns, table: other, ref_columns, on_delete, on_update, match_full } = &c.kind else { continue };
        let stops = |a: &FkAction| matches!(a, FkAction::NoAction | FkAction::Restrict);
        let Some(other) = s.before.relation(*other).filter(|o| o.id != rel.id && s.script.after.relation(o.id).is_some()) else { continue };
        if !stops(on_delete) && !stops(on_update) {
            continue;
        }
        let follow = |a: &FkAction| if stops(a) { FkAction::Cascade } else { *a };
        let (on, name) = (table(rel), ident(&c.name));
        let full = if *match_full { " MATCH FULL" } else { "" };
        let drop = format!("ALTER TABLE {on} DROP CONSTRAINT {name}");
        let validate = format!("ALTER TABLE {on} VALIDATE CONSTRAINT {name}");
        let add = format!(
            "ALTER TABLE {on} ADD CONSTRAINT {name} FOREIGN KEY ({}) REFERENCES {} ({}){full} ON DELETE {} ON UPDATE {} NOT VALID",
            idents(columns),
            table(other),
            idents(ref_columns),
            follow(on_delete),
            follow(on_update)
        );
        let again = format!("ALTER TABLE {on} ADD {}", s.before.constraint_definition(c, true));
        out.push(StandingStep {
            phase: Some(PhaseKind::Expand),
            id: slug(&["release", &rel.name, &c.name]),
            title: format!(
                "Rows of `{}` go with the rows of `{}` that they refer to: release N deletes those without knowing them",
                rel.name, other.name
            ),
            statements: vec![drop.clone(), add.clone()],
            undo: [drop.clone(), again].into_iter().chain(c.validated.then(|| validate.clone())).collect(),
            ..StandingStep::default()
        });
        if c.validated {
            out.push(StandingStep {
                phase: Some(PhaseKind::Expand),
                id: slug(&["validate", &rel.name, &c.name]),
                title: format!("Prove `{}` again for the rows that are there", c.name),
                statements: vec![validate],
                undo: vec![drop, add],
                ..StandingStep::default()
            });
        }
    }
}
