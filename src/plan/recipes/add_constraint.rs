//! CHECK, FOREIGN KEY and UNIQUE on a table that holds rows.

use crate::catalog::Relation;
use crate::op::{ConstraintKind, TableConstraint};
use crate::quote::{ident, idents, qualified};

use super::super::blocks::{lock_timeout, table};
use super::super::draft::{Draft, NewStep, precondition, slug};
use super::super::{PhaseKind, Place, Stop};

pub fn plan(p: &Place<'_>, rel: &Relation, c: &TableConstraint, draft: &mut Draft) -> Result<(), Stop> {
    if rel.partition_by.is_some() || !p.before().children_of(rel.id).is_empty() {
        return p.refuse(format!("`{}` is partitioned or inherited from", rel.name), "plan this change by hand");
    }
    // The name is the one that Postgres gives where none was written.
    let known = |n: &str| rel.constraint(n).is_none();
    let Some(made) = p.r.after.relation(rel.id).and_then(|r| r.constraints.iter().find(|k| known(&k.name))) else {
        return p.refuse("the constraint's name is not known", "give it a name");
    };
    let (t, name) = (table(rel), ident(&made.name));
    let words = p.script.source.slice(c.span);
    let body = match &c.name {
        Some(n) => words.get((n.span.end - c.span.start) as usize..).unwrap_or_default(),
        None => words,
    };
    let drop = format!("ALTER TABLE {t} DROP CONSTRAINT {name}");
    if let ConstraintKind::Unique { columns, .. } = &c.kind {
        let columns = idents(columns.iter().map(|c| c.as_str()));
        let index = qualified(&rel.schema, &made.name);
        let step = draft.step(
            PhaseKind::ContractSoft,
            NewStep {
                id: slug(&["index", &rel.name, &made.name]),
                title: format!("Build the unique index of `{}` without blocking writes", made.name),
                statements: vec![format!("CREATE UNIQUE INDEX CONCURRENTLY {name} ON {t} ({columns})")],
                undo: vec![format!("DROP INDEX CONCURRENTLY {index}")],
            },
        );
        step.transaction = false;
        step.undo_transaction = false;
        step.preconditions.push(precondition(
            "no two rows are alike",
            format!("SELECT {columns} FROM {t} GROUP BY {columns} HAVING count(*) > 1 LIMIT 5"),
        ));
        draft.step(
            PhaseKind::ContractSoft,
            NewStep {
                id: slug(&["unique", &rel.name, &made.name]),
                title: format!("Make the index the constraint `{}`", made.name),
                statements: vec![lock_timeout(p.options), format!("ALTER TABLE {t} ADD CONSTRAINT {name} UNIQUE USING INDEX {name}")],
                undo: vec![lock_timeout(p.options), drop, format!("CREATE UNIQUE INDEX {name} ON {t} ({columns})")],
            },
        );
        return Ok(());
    }
    let not_valid = format!("ALTER TABLE {t} ADD CONSTRAINT {name} {} NOT VALID", body.trim().trim_end_matches("NOT VALID").trim());
    draft.step(
        PhaseKind::ContractSoft,
        NewStep {
            id: slug(&["add", &rel.name, &made.name]),
            title: format!("`{}` binds new rows from now on", made.name),
            statements: vec![lock_timeout(p.options), not_valid.clone()],
            undo: vec![lock_timeout(p.options), drop.clone()],
        },
    );
    if !c.not_valid {
        draft.step(
            PhaseKind::ContractSoft,
            NewStep {
                id: slug(&["validate", &rel.name, &made.name]),
                title: format!("Prove `{}` for the rows that were there", made.name),
                statements: vec![lock_timeout(p.options), format!("ALTER TABLE {t} VALIDATE CONSTRAINT {name}")],
                undo: vec![lock_timeout(p.options), drop, not_valid],
            },
        );
    }
    draft.checklist.push(format!("Release N writes no row of `{}` that breaks `{}`.", rel.name, made.name));
    Ok(())
}
