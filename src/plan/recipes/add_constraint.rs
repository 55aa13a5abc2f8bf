//! CHECK, FOREIGN KEY and UNIQUE on a table that holds rows.

use crate::op::{ConstraintKind, QName, TableConstraint};
use crate::quote::{ident, idents, qualified};

use super::super::PhaseKind;
use super::super::blocks::table;
use super::super::draft::{precondition, slug};
use super::super::standing::{Standing, StandingStep, Verdict};

pub fn steps(s: &Standing<'_>, target: &QName, c: &TableConstraint) -> Result<Vec<StandingStep>, String> {
    let rel = s.before.relation_by(target).ok_or_else(|| format!("no earlier migration makes `{target}`"))?;
    if rel.partition_by.is_some() || !s.before.children_of(rel.id).is_empty() {
        return Err(format!("`{}` is partitioned or inherited from", rel.name));
    }
    // The name is the one that Postgres gives where none was written.
    let made = s.after.relation(rel.id).and_then(|r| r.constraints.iter().find(|k| rel.constraint(&k.name).is_none()));
    let made = made.ok_or("the constraint's name is not known: give it one")?;
    let (t, name) = (table(rel), ident(&made.name));
    let words = s.source.slice(c.span);
    let body = match &c.name {
        Some(n) => words.get((n.span.end - c.span.start) as usize..).unwrap_or_default(),
        None => words,
    };
    let drop = format!("ALTER TABLE {t} DROP CONSTRAINT {name}");
    // What binds a table of N-1 waits until N-1 is gone; a new table holds its rules from the start, unless N-1 is hurt elsewhere.
    let old = s.is_old(target);
    let soft = (old || s.verdict == Verdict::Tightening).then_some(PhaseKind::ContractSoft);
    if let ConstraintKind::Unique { columns, .. } = &c.kind {
        let columns = idents(columns.iter().map(|c| c.as_str()));
        let index = qualified(&rel.schema, &made.name);
        return Ok(vec![
            StandingStep {
                phase: soft,
                id: slug(&["index", &rel.name, &made.name]),
                title: format!("Build the unique index of `{}` without blocking writes", made.name),
                statements: vec![format!("CREATE UNIQUE INDEX CONCURRENTLY {name} ON {t} ({columns})")],
                undo: vec![format!("DROP INDEX CONCURRENTLY {index}")],
                transaction: false,
                preconditions: vec![precondition(
                    "no two rows are alike",
                    format!("SELECT {columns} FROM {t} GROUP BY {columns} HAVING count(*) > 1 LIMIT 5"),
                )],
                ..StandingStep::default()
            },
            StandingStep {
                phase: soft,
                id: slug(&["unique", &rel.name, &made.name]),
                title: format!("Make the index the constraint `{}`", made.name),
                statements: vec![format!("ALTER TABLE {t} ADD CONSTRAINT {name} UNIQUE USING INDEX {name}")],
                undo: vec![drop, format!("CREATE UNIQUE INDEX {name} ON {t} ({columns})")],
                ..StandingStep::default()
            },
        ]);
    }
    let not_valid = format!("ALTER TABLE {t} ADD CONSTRAINT {name} {} NOT VALID", body.trim().trim_end_matches("NOT VALID").trim());
    let mut out = vec![StandingStep {
        phase: soft,
        id: slug(&["add", &rel.name, &made.name]),
        title: format!("`{}` binds new rows from now on", made.name),
        statements: vec![not_valid.clone()],
        undo: vec![drop.clone()],
        checklist: if old { vec![format!("Release N writes no row of `{}` that breaks `{}`.", rel.name, made.name)] } else { Vec::new() },
        ..StandingStep::default()
    }];
    if !c.not_valid {
        out.push(StandingStep {
            phase: soft,
            id: slug(&["validate", &rel.name, &made.name]),
            title: format!("Prove `{}` for the rows that were there", made.name),
            statements: vec![format!("ALTER TABLE {t} VALIDATE CONSTRAINT {name}")],
            undo: vec![drop, not_valid],
            ..StandingStep::default()
        });
    }
    Ok(out)
}
