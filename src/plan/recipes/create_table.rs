//! CREATE TABLE whose foreign keys bind a table of N-1 that nothing referred to before: the table comes in expand, for release N needs it; the keys
//! come when N-1 is gone.

use crate::catalog::{ConKind, Constraint, Relation};
use crate::op::CreateTable;
use crate::quote::ident;

use super::super::blocks::table;
use super::super::draft::{precondition, slug};
use super::super::standing::{Standing, StandingStep, Verdict};
use super::super::{PhaseKind, Precondition};
use super::rebuild_table::created;

/// `None`: it is run as it is written.
pub fn steps(s: &Standing<'_>, t: &CreateTable) -> Option<Result<Vec<StandingStep>, String>> {
    let rel = s.after.relation_by(&t.name).filter(|r| s.before.relation(r.id).is_none())?;
    let binds = |c: &&Constraint| match &c.kind {
        ConKind::ForeignKey { table, .. } => s.script.before.relation(*table).is_some(),
        _ => false,
    };
    let keys: Vec<&Constraint> = rel.constraints.iter().filter(binds).collect();
    if s.verdict != Verdict::Tightening || keys.is_empty() || !rel.parents.is_empty() || rel.partition_by.is_some() {
        return None;
    }
    let mut staged = s.after.clone();
    let drop = |c: &&Constraint| format!("ALTER TABLE {} DROP CONSTRAINT {}", table(rel), ident(&c.name));
    for statement in keys.iter().flat_map(|c| crate::lower::lower_text(&drop(c))) {
        staged.apply_statement(&statement);
    }
    let mut out = vec![StandingStep {
        phase: Some(PhaseKind::Expand),
        id: slug(&["create-table", &rel.name]),
        title: format!("Create table `{}`, still without the foreign keys that would bind N-1", rel.name),
        statements: created(&staged, s.before, rel.id).statements,
        undo: vec![format!("DROP TABLE {}", table(rel))],
        ..StandingStep::default()
    }];
    for c in keys {
        out.extend(key(s, rel, c, drop(&c)));
    }
    Some(Ok(out))
}

fn key(s: &Standing<'_>, rel: &Relation, c: &Constraint, drop: String) -> [StandingStep; 2] {
    let on = table(rel);
    let add = format!("ALTER TABLE {on} ADD {}", s.after.constraint_definition(c, true));
    [
        StandingStep {
            phase: Some(PhaseKind::ContractSoft),
            id: slug(&["add", &rel.name, &c.name]),
            title: format!("`{}` binds new rows from now on", c.name),
            statements: vec![add.clone()],
            undo: vec![drop.clone()],
            preconditions: orphans(s, rel, c).into_iter().collect(),
            checklist: vec![format!(
                "Until the soft contract no foreign key holds `{}` to what it refers to: release N writes no row of it that breaks `{}`.",
                rel.name, c.name
            )],
            ..StandingStep::default()
        },
        StandingStep {
            phase: Some(PhaseKind::ContractSoft),
            id: slug(&["validate", &rel.name, &c.name]),
            title: format!("Prove `{}` for the rows that were there", c.name),
            statements: vec![format!("ALTER TABLE {on} VALIDATE CONSTRAINT {}", ident(&c.name))],
            undo: vec![drop, add],
            ..StandingStep::default()
        },
    ]
}

/// Rows that refer to nothing.
fn orphans(s: &Standing<'_>, rel: &Relation, c: &Constraint) -> Option<Precondition> {
    let ConKind::ForeignKey { columns, table: other, ref_columns, .. } = &c.kind else { return None };
    let other = s.before.relation(*other)?;
    let known = columns.iter().map(|k| format!("airlock_t.{} IS NOT NULL", ident(k))).collect::<Vec<_>>().join(" AND ");
    let same = columns.iter().zip(ref_columns).map(|(a, b)| format!("airlock_o.{} = airlock_t.{}", ident(b), ident(a)));
    let same = same.collect::<Vec<_>>().join(" AND ");
    Some(precondition(
        format!("every row of `{}` refers to one of `{}` that is there", rel.name, other.name),
        format!(
            "SELECT * FROM {} AS airlock_t WHERE {known} AND NOT EXISTS (SELECT FROM {} AS airlock_o WHERE {same}) LIMIT 5",
            table(rel),
            table(other)
        ),
    ))
}
