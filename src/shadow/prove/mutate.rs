//! The negative control: the plan is broken in many ways, and the proof of each must fail.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use strum::IntoEnumIterator;

use crate::catalog::RelName;
use crate::compat::Undo;
use crate::op::LockMode;
use crate::plan::{Actor, NOTHING, Phase, PhaseKind, Plan, PredictedEffects, Step};
use crate::quote::ident;

use super::super::error::ShadowError;
use super::super::start::Shadow;
use super::blocking::is_timeout;
use super::steps::is_block;
use super::{CheckId, Counterexample, Finding, Progress, Proof, ProofInput, Status, Verdict, run, touched};

/// Each has about ten sessions, and the server takes sixty.
const MOST_THREADS: usize = 4;

/// A way to break a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumIter)]
#[strum(serialize_all = "kebab-case")]
pub enum Mutation {
    DropTheTrigger,
    WrongExpression,
    SkipABatch,
    LeaveOutTheBackfill,
    SwapPhases,
    LeaveOutValidate,
    LeaveOutAnUndo,
    LeaveOutAGrant,
    LeaveOutAnIndex,
    BuildTheIndexUnderALock,
    LeaveOutTheContract,
    ContractTooEarly,
    LockWithoutTimeout,
    HideADifference,
    RefuseWritesInExpand,
    LoseRows,
    LeaveSomethingBehind,
    LockWhatIsNotSaid,
}

impl Mutation {
    fn says(self) -> &'static str {
        match self {
            Mutation::DropTheTrigger => "the trigger is left out",
            Mutation::WrongExpression => "the trigger writes NULL instead of the value",
            Mutation::SkipABatch => "the backfill skips batches",
            Mutation::LeaveOutTheBackfill => "the backfill does nothing",
            Mutation::SwapPhases => "two phases change places",
            Mutation::LeaveOutValidate => "no constraint is validated",
            Mutation::LeaveOutAnUndo => "an undo lacks its last statement",
            Mutation::LeaveOutAGrant => "rights are not granted",
            Mutation::LeaveOutAnIndex => "an index is not built",
            Mutation::BuildTheIndexUnderALock => "an index is built without CONCURRENTLY",
            Mutation::LeaveOutTheContract => "the contract is left out",
            Mutation::ContractTooEarly => "the soft contract comes before release N is deployed",
            Mutation::LockWithoutTimeout => "no lock_timeout is set",
            Mutation::HideADifference => "the differences at the end are not declared",
            Mutation::RefuseWritesInExpand => "expand adds a constraint that no write of N-1 satisfies",
            Mutation::LoseRows => "expand deletes rows",
            Mutation::LeaveSomethingBehind => "a column is added that nobody drops",
            Mutation::LockWhatIsNotSaid => "a step locks a table that it does not name",
        }
    }

    /// The broken plan; `None` where the plan has no such thing.
    fn apply(self, plan: &Plan, input: &ProofInput) -> Option<Plan> {
        let mut broken = plan.clone();
        let p = &mut broken;
        let table = touched(plan, input).into_iter().next();
        match self {
            Mutation::DropTheTrigger => {
                without(p, |s| !(s.starts_with("CREATE TRIGGER") || s.starts_with("DROP TRIGGER")));
            }
            Mutation::WrongExpression => each(p, |s| {
                if s.starts_with("CREATE FUNCTION") && s.contains("RETURNS trigger") {
                    *s = s.lines().map(nulled).collect::<Vec<_>>().join("\n");
                }
            }),
            Mutation::SkipABatch => {
                let page = |rows: usize| format!(" LIMIT {rows})");
                each_backfill(p, |s| {
                    let short = s
                        .replace("airlock_block bigint := 0;", "airlock_block bigint := 32;")
                        .replace("    COMMIT;\n    \"airlock_last0\"", "    COMMIT;\n    EXIT;\n    \"airlock_last0\"")
                        .replace("EXIT WHEN airlock_rows = 0;", "EXIT;");
                    // Small batches alone skip nothing.
                    if short != *s {
                        *s = short.replace(&page(plan.options.batch_size as usize), &page(3));
                    }
                });
            }
            Mutation::LeaveOutTheBackfill => each_backfill(p, |s| *s = NOTHING.into()),
            Mutation::SwapPhases => {
                let full: Vec<usize> = (0..p.phases.len()).filter(|i| !p.phases[*i].steps.is_empty()).collect();
                let [a, b, ..] = full[..] else { return None };
                let steps = std::mem::take(&mut p.phases[a].steps);
                let steps = std::mem::replace(&mut p.phases[b].steps, steps);
                p.phases[a].steps = steps;
            }
            Mutation::LeaveOutValidate => without(p, |s| !s.contains(" VALIDATE CONSTRAINT ")),
            Mutation::LeaveOutAnUndo => {
                let real = |s: &String| !is_timeout(s) && s != NOTHING;
                let step = steps(p).find(|s| s.undo.iter().any(real))?;
                let at = step.undo.iter().rposition(real)?;
                step.undo.remove(at);
            }
            Mutation::LeaveOutAGrant => without(p, |s| !s.starts_with("GRANT ")),
            Mutation::LeaveOutAnIndex => each(p, |s| {
                if is_index(s) {
                    *s = NOTHING.into();
                }
            }),
            Mutation::BuildTheIndexUnderALock => {
                for step in steps(p).filter(|s| s.statements.iter().any(|s| is_index(s))) {
                    step.transaction = true;
                    step.statements.iter_mut().for_each(|s| *s = s.replace(" CONCURRENTLY", ""));
                }
            }
            Mutation::LeaveOutTheContract => {
                p.phases.iter_mut().filter(|p| p.kind >= PhaseKind::ContractSoft).for_each(|p| p.steps.clear());
            }
            Mutation::ContractTooEarly => {
                let early = std::mem::take(&mut phase(p, PhaseKind::ContractSoft)?.steps);
                phase(p, PhaseKind::Migrate)?.steps.extend(early);
            }
            // Where nobody waits for a step it needs none.
            Mutation::LockWithoutTimeout if !is_waited_for(p, input) => return None,
            Mutation::LockWithoutTimeout => without(p, |s| !is_timeout(s)),
            Mutation::HideADifference => p.deviations.clear(),
            Mutation::RefuseWritesInExpand => {
                let name = ident("airlock_self_test");
                let on = table?;
                let t = on.sql();
                let add = format!("ALTER TABLE {t} ADD CONSTRAINT {name} CHECK (false) NOT VALID");
                add_step(p, &on, &add, &format!("ALTER TABLE {t} DROP CONSTRAINT {name}"));
            }
            Mutation::LoseRows => {
                let t = table?;
                // Foreign keys must not stop it: what is broken is the plan, not the schema.
                add_step(p, &t, &format!("TRUNCATE {} CASCADE", t.sql()), NOTHING);
            }
            Mutation::LeaveSomethingBehind => {
                // What goes with its table is no rest.
                let stays = |t: &RelName| {
                    input.catalog_before.relation_named(&t.schema, &t.name).is_some_and(|r| input.catalog_after.relation(r.id).is_some())
                };
                let any = || input.catalog_before.relations.values().filter(|r| r.kind.is_table()).map(|r| r.rel_name()).find(stays);
                let (on, c) = (touched(plan, input).into_iter().find(stays).or_else(any)?, ident("airlock_self_test"));
                let t = on.sql();
                let (add, drop) = (format!("ALTER TABLE {t} ADD COLUMN {c} int"), format!("ALTER TABLE {t} DROP COLUMN {c}"));
                add_step(p, &on, &add, &drop);
            }
            Mutation::LockWhatIsNotSaid => {
                let t = table?;
                add_step(p, &t, &format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", t.sql()), NOTHING);
                let step = phase(p, PhaseKind::Expand)?.steps.last_mut()?;
                step.predicted.iter_mut().for_each(|e| e.locks.clear());
            }
        }
        (broken != *plan).then_some(broken)
    }
}

/// Breaks the plan in every way that it has room for, and adds to its proof what became of each.
pub fn self_test(shadow: &Shadow, plan: &Plan, input: &ProofInput, proof: &mut Proof, progress: Progress) -> Result<(), ShadowError> {
    let note = |about: String, status, gap, detail: String, counterexamples| Finding {
        check: CheckId::NegativeControl,
        about,
        boundary: None,
        release: None,
        status,
        gap,
        detail,
        counterexamples,
    };
    if proof.verdict != Verdict::Proved {
        let why = "the plan itself is not proved, so that a broken one fails says nothing";
        proof.add(note(String::new(), Status::NotRun, true, why.into(), Vec::new()));
        return Ok(());
    }
    // What a broken plan leaves out is looked at nevertheless.
    let touched = touched(plan, input);
    let broken: Vec<(Mutation, Option<Plan>)> = Mutation::iter().map(|m| (m, m.apply(plan, input))).collect();
    let proofs = side_by_side(&broken, |(m, plan)| {
        plan.as_ref().map(|p| {
            progress(&format!("self-test: {}", m.says()));
            run(shadow, p, input, &|_| {}, touched.clone(), true)
        })
    });
    for ((m, _), seen) in broken.iter().zip(proofs) {
        let about = m.to_string();
        let Some(seen) = seen.transpose()? else {
            proof.add(note(about, Status::NotRun, false, "the plan has no such thing".into(), Vec::new()));
            continue;
        };
        let found = match seen.failed().next() {
            Some(c) => note(about, Status::Pass, false, format!("{}: caught by {}: {}", m.says(), c.id, first(&c.detail)), Vec::new()),
            None => {
                let what = format!("{}, and the proof does not notice ({})", m.says(), seen.verdict);
                note(about, Status::Fail, false, what.clone(), vec![Counterexample::new(what)])
            }
        };
        proof.add(found);
    }
    Ok(())
}

/// The results for all, in their order, made by as many threads as there are processors: they mostly wait for the server.
fn side_by_side<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, MOST_THREADS));
    let worker = || {
        let mut out = Vec::new();
        while let Some((i, one)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, all.get(i)?))) {
            out.push((i, work(one)));
        }
        out
    };
    let mut done: Vec<(usize, R)> = std::thread::scope(|s| {
        let started: Vec<_> = (0..threads).map(|_| s.spawn(worker)).collect();
        started.into_iter().flat_map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, r)| r).collect()
}

fn first(words: &str) -> &str {
    words.lines().next().unwrap_or_default()
}

fn steps(plan: &mut Plan) -> impl Iterator<Item = &mut Step> {
    plan.phases.iter_mut().flat_map(|p| &mut p.steps)
}

fn phase(plan: &mut Plan, kind: PhaseKind) -> Option<&mut Phase> {
    plan.phases.iter_mut().find(|p| p.kind == kind)
}

fn each(plan: &mut Plan, f: impl Fn(&mut String)) {
    steps(plan).flat_map(|s| s.statements.iter_mut().chain(&mut s.undo)).for_each(f);
}

fn each_backfill(plan: &mut Plan, f: impl Fn(&mut String)) {
    steps(plan).flat_map(|s| &mut s.statements).filter(|s| is_block(s)).for_each(f);
}

/// Keeps some statements, with what is predicted of them.
fn without(plan: &mut Plan, keep: impl Fn(&str) -> bool) {
    for step in steps(plan) {
        let kept: Vec<bool> = step.statements.iter().map(|s| keep(s)).collect();
        let mut at = kept.iter();
        step.predicted.retain(|_| at.next().copied().unwrap_or(true));
        step.statements.retain(|s| keep(s));
        step.undo.retain(|s| keep(s));
    }
}

/// Some step in a transaction locks a table of before in a way that others wait for.
fn is_waited_for(plan: &Plan, input: &ProofInput) -> bool {
    let (before, after) = (&input.catalog_before, &input.catalog_after);
    let tables = before.relations.values().filter(|r| r.kind.is_table());
    let names: BTreeSet<String> =
        tables.flat_map(|r| [Some(r.rel_name()), after.relation(r.id).map(|a| a.rel_name())]).flatten().map(|n| n.to_string()).collect();
    let steps = plan.phases.iter().flat_map(|p| &p.steps).filter(|s| s.transaction && s.statements.iter().any(|s| is_timeout(s)));
    let mut locks = steps.flat_map(|s| &s.predicted).flat_map(|p| &p.locks);
    locks.any(|(table, mode)| *mode >= LockMode::Share && names.contains(table))
}

/// `NEW.x := …;` gives NULL.
fn nulled(line: &str) -> String {
    match line.split_once(" := ") {
        Some((target, _)) if target.trim_start().starts_with("NEW.") => format!("{target} := NULL;"),
        _ => line.to_string(),
    }
}

fn is_index(sql: &str) -> bool {
    (sql.starts_with("CREATE INDEX") || sql.starts_with("CREATE UNIQUE INDEX")) && sql.contains(" CONCURRENTLY")
}

/// A step of expand that the plan did not have, with its prediction, so that it is not caught for the lack of one.
fn add_step(plan: &mut Plan, table: &RelName, sql: &str, undo: &str) {
    let predicted = PredictedEffects { locks: [(table.to_string(), LockMode::AccessExclusive)].into(), ..PredictedEffects::default() };
    let step = Step {
        id: "self-test".into(),
        title: "self-test".into(),
        file: String::new(),
        undo_file: String::new(),
        actor: Actor::Migration,
        transaction: true,
        statements: vec!["SET LOCAL lock_timeout = '2000ms'".into(), sql.into()],
        undo: vec![undo.into()],
        undo_transaction: true,
        undo_verdict: Undo::Lossless,
        one_way: None,
        sees_to: None,
        writes: None,
        preconditions: Vec::new(),
        predicted: vec![PredictedEffects::default(), predicted],
    };
    if let Some(p) = phase(plan, PhaseKind::Expand) {
        p.steps.push(step);
    }
}
