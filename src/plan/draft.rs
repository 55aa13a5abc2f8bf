//! A plan in the making: recipes add steps, the end numbers them and predicts what they do.

use crate::compat::Undo;
use crate::effects::{Sent, predict};
use crate::quote::{ident, idents};
use crate::replay::ReplayedScript;

use super::crossing::Crossing;
use super::{
    Actor, Answer, Boundary, BoundaryCell, Context, Deviation, Invariant, PLAN_SCHEMA_VERSION, Phase, PhaseKind, Plan, PlanOptions,
    Precondition, Release, Step, Works,
};

pub struct Draft {
    steps: Vec<(PhaseKind, Step)>,
    pub invariants: Vec<Invariant>,
    pub checklist: Vec<String>,
    pub deviations: Vec<Deviation>,
    /// Statement shapes of release N that fail before the contract (`upsert-constraint on public.t`).
    pub except: Vec<String>,
    /// Triggers between tables.
    pub crossings: Vec<Crossing>,
    /// Reads of release N are incomplete until the backfill ends.
    pub fills: bool,
}

/// The parts of a step that a recipe says; the rest has good defaults.
pub struct NewStep {
    pub id: String,
    pub title: String,
    pub statements: Vec<String>,
    pub undo: Vec<String>,
}

impl Draft {
    pub fn new() -> Self {
        Draft {
            steps: Vec::new(),
            invariants: Vec::new(),
            checklist: Vec::new(),
            deviations: Vec::new(),
            except: Vec::new(),
            crossings: Vec::new(),
            fills: false,
        }
    }

    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Plays the statements of the steps that came after the first `n`.
    pub fn apply_from(&self, n: usize, catalog: &mut crate::catalog::Catalog) {
        for text in self.steps.iter().skip(n).flat_map(|(_, s)| &s.statements) {
            for s in crate::lower::lower_text(text) {
                catalog.apply_statement(&s);
            }
        }
    }

    /// A step of the migration runner, in one transaction. What is returned may still be changed.
    pub fn step(&mut self, phase: PhaseKind, new: NewStep) -> &mut Step {
        let clash = self.steps.iter().filter(|(_, s)| s.id == new.id || s.id.starts_with(&format!("{}-", new.id))).count();
        let id = if clash == 0 { new.id } else { format!("{}-{}", new.id, clash + 1) };
        let step = Step {
            id,
            title: new.title,
            file: String::new(),
            undo_file: String::new(),
            actor: Actor::Migration,
            transaction: true,
            statements: new.statements,
            undo: new.undo,
            undo_transaction: true,
            undo_verdict: Undo::Lossless,
            one_way: None,
            sees_to: None,
            writes: None,
            preconditions: Vec::new(),
            predicted: Vec::new(),
        };
        self.steps.push((phase, step));
        let last = self.steps.len() - 1;
        &mut self.steps[last].1
    }

    pub fn finish(self, script: &ReplayedScript, answers: &[Answer], options: &PlanOptions, context: &Context) -> Plan {
        let pg = script.before.pg;
        let mut catalog = script.before.clone();
        let mut phases: Vec<Phase> = [PhaseKind::Expand, PhaseKind::Migrate, PhaseKind::ContractSoft, PhaseKind::ContractHard]
            .map(|kind| Phase { kind, steps: Vec::new() })
            .into();
        for phase in &mut phases {
            for (_, step) in self.steps.iter().filter(|(k, _)| *k == phase.kind) {
                let mut step = step.clone();
                let n = phase.steps.len() + 1;
                if step.actor == Actor::Migration {
                    step.file = format!("{}/{n:02}-{}.sql", phase.kind, step.id);
                    if !step.undo.is_empty() {
                        step.undo_file = format!("{}/{n:02}-{}.undo.sql", phase.kind, step.id);
                    }
                }
                for text in &step.statements {
                    let mut effects = crate::effects::Effects { in_transaction: true, ..Default::default() };
                    for s in crate::lower::lower_text(text) {
                        effects.merge(&predict(&s, &catalog, Sent { pg, in_transaction: step.transaction }));
                        catalog.apply_statement(&s);
                    }
                    step.predicted.push((&effects).into());
                }
                phase.steps.push(step);
            }
        }
        let has = |kind: PhaseKind| self.steps.iter().any(|(k, _)| *k == kind);
        let cell = |boundary, release, works, note: &str| BoundaryCell { boundary, release, works, note: note.into(), except: Vec::new() };
        let (old, new) = (Release::Old, Release::New);
        let contracted = if has(PhaseKind::ContractSoft) { Works::Gone } else { Works::Full };
        let boundaries = vec![
            cell(Boundary::B0, old, Works::Full, "the schema as it is"),
            cell(Boundary::B1, old, Works::Full, ""),
            cell(
                Boundary::B1,
                new,
                if self.fills { Works::WritesOnly } else { Works::Full },
                if self.fills { "reads are incomplete until the backfill ends" } else { "" },
            ),
            cell(Boundary::B2, old, Works::Full, "release N rolls out here, and may be rolled back"),
            cell(Boundary::B2, new, Works::Full, ""),
            cell(
                Boundary::B3,
                old,
                contracted,
                if has(PhaseKind::ContractSoft) { "no server of N-1 may run any more; the schema can still be swapped back" } else { "" },
            ),
            cell(Boundary::B3, new, Works::Full, ""),
            cell(Boundary::B4, old, contracted, ""),
            cell(
                Boundary::B4,
                new,
                Works::Full,
                if has(PhaseKind::ContractHard) { "no way back without a backup, where a step says so" } else { "" },
            ),
        ];
        let mut said = std::collections::BTreeSet::new();
        let early = self.steps.iter().any(|(_, s)| s.writes.is_some());
        let mut checklist: Vec<String> = self.checklist.into_iter().filter(|c| said.insert(c.clone())).collect();
        if let Some(flag) = &options.flag {
            let line = match early {
                true => format!(
                    "The flag `{flag}` lets release N read the new columns: it is off until B2, on before the soft contract, and off before a rollback."
                ),
                false => {
                    format!("What is new in release N stands behind the flag `{flag}`: it is switched on at B2, and off before a rollback.")
                }
            };
            checklist.insert(0, line);
        }
        let mut boundaries = boundaries;
        if early {
            for c in &mut boundaries {
                match (c.boundary, c.release) {
                    (Boundary::B1, Release::New) => {
                        (c.works, c.note) =
                            (Works::Full, "rolls out here, and may be rolled back; it writes both columns and reads the old ones".into());
                    }
                    (Boundary::B2, Release::Old) => {
                        (c.works, c.note) = (Works::Gone, "a rollback to it is one to B1: 2-migrate is run again after it".into());
                    }
                    (Boundary::B2, Release::New) => c.note = "it may read the new columns, and still writes both".into(),
                    (Boundary::B3, Release::New) => c.note = "it reads the new columns, and stops writing the old ones".into(),
                    _ => {}
                }
            }
        }
        for cell in boundaries.iter_mut().filter(|c| c.release == new && matches!(c.boundary, Boundary::B1 | Boundary::B2)) {
            cell.except.clone_from(&self.except);
        }
        Plan {
            schema_version: PLAN_SCHEMA_VERSION,
            migration: context.migration.clone(),
            source: context.source.clone(),
            source_sha256: context.source_sha256.clone(),
            framework: context.framework.clone(),
            postgres: pg.0,
            made: None,
            answers: answers.to_vec(),
            options: options.clone(),
            phases,
            boundaries,
            invariants: self.invariants,
            checklist,
            deviations: self.deviations,
            progress: None,
        }
    }
}

pub fn precondition(title: impl Into<String>, sql: impl Into<String>) -> Precondition {
    Precondition { title: title.into(), sql: sql.into() }
}

/// Rows that a unique index would refuse; NULLs are no duplicates of each other unless it says so.
pub fn duplicates(on: &str, columns: &[String], filter: Option<&str>, nulls_too: bool) -> Precondition {
    let list = idents(columns);
    let known = columns.iter().filter(|_| !nulls_too).map(|c| format!("{} IS NOT NULL", ident(c)));
    let conditions: Vec<String> = filter.map(|f| format!("({f})")).into_iter().chain(known).collect();
    let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    precondition(
        format!("no two rows are alike in {list}"),
        format!("SELECT {list} FROM {on}{filter} GROUP BY {list} HAVING count(*) > 1 LIMIT 5"),
    )
}

/// `add-orders-shipping-method`: lower case, words joined by `-`.
pub fn slug(parts: &[&str]) -> String {
    let text: String = parts.join("-").chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let mut out = text.split('-').filter(|p| !p.is_empty()).collect::<Vec<_>>().join("-");
    out.truncate(60);
    if out.is_empty() { "step".into() } else { out }
}
