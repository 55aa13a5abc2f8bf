//! CHECK, FOREIGN KEY and UNIQUE on a table that holds rows.

use crate::catalog::Relation;
use crate::op::{ConstraintKind, PgVersion, QName, TableConstraint};
use crate::quote::{ident, qualified};

use super::super::PhaseKind;
use super::super::blocks::table;
use super::super::draft::{duplicates, slug};
use super::super::standing::{Standing, StandingStep, Verdict};
use super::{create_index, partitioned_index};

pub fn steps(s: &Standing<'_>, target: &QName, c: &TableConstraint) -> Result<Vec<StandingStep>, String> {
    let rel = s.before.relation_by(target).ok_or_else(|| format!("no earlier migration makes `{target}`"))?;
    if rel.partition_by.is_some() || !s.before.children_of(rel.id).is_empty() {
        handed_down(s, rel, c)?;
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
    if rel.partition_by.is_some() && matches!(c.kind, ConstraintKind::Unique { .. }) {
        return partitioned_index::unique(s, rel, made);
    }
    if let ConstraintKind::Unique { columns, nulls_not_distinct, without_overlaps, .. } = &c.kind {
        let names: Vec<String> = columns.iter().map(|c| c.as_str().to_string()).collect();
        let create = |how: &str| create_index::of_constraint(s.after, made.kind.index()?, &made.name, how);
        let (Some(built), Some(again), false) = (create("CONCURRENTLY "), create(""), *without_overlaps) else {
            return Err(format!("no index that could be built before makes the constraint `{}`", made.name));
        };
        let deferred = create_index::deferred(made);
        let index = qualified(&rel.schema, &made.name);
        return Ok(vec![
            StandingStep {
                phase: soft,
                id: slug(&["index", &rel.name, &made.name]),
                title: format!("Build the unique index of `{}` without blocking writes", made.name),
                statements: vec![built],
                undo: vec![format!("DROP INDEX CONCURRENTLY {index}")],
                transaction: false,
                preconditions: vec![duplicates(&t, &names, None, *nulls_not_distinct)],
                checklist: soft.map(|_| no_arbiter(&made.name)).into_iter().collect(),
                except: soft.map(|_| upserts(rel)).into_iter().flatten().collect(),
                ..StandingStep::default()
            },
            StandingStep {
                phase: soft,
                id: slug(&["unique", &rel.name, &made.name]),
                title: format!("Make the index the constraint `{}`", made.name),
                statements: vec![format!("ALTER TABLE {t} ADD CONSTRAINT {name} UNIQUE USING INDEX {name}{deferred}")],
                undo: vec![drop, again],
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

pub fn no_arbiter(constraint: &str) -> String {
    format!("Until the soft contract `{constraint}` is not there: release N runs no ON CONFLICT that needs it.")
}

pub fn upserts(rel: &Relation) -> [String; 2] {
    ["upsert-columns", "upsert-constraint"].map(|shape| format!("{shape} on {}", rel.rel_name()))
}

/// A constraint that partitions and children get too.
fn handed_down(s: &Standing<'_>, rel: &Relation, c: &TableConstraint) -> Result<(), String> {
    match &c.kind {
        ConstraintKind::Check { .. } => Ok(()),
        // A foreign key of a parent is none of its children's.
        ConstraintKind::ForeignKey(_) if rel.partition_by.is_none() || s.before.pg >= PgVersion(18) => Ok(()),
        ConstraintKind::ForeignKey(_) => Err(format!(
            "before Postgres 18, a foreign key of the partitioned table `{}` is proved under the lock that adds it: add it to each partition by \
             a migration of its own, NOT VALID and then VALIDATE, and to `{0}` in the end",
            rel.name
        )),
        // What children by inheritance hold, a unique constraint of their parent says nothing of.
        _ => Ok(()),
    }
}
