//! The steps on many rows: how long each holds its locks. The checks look at fewer, so that they end.

use crate::catalog::RelName;
use crate::op::LockMode;
use crate::plan::{Actor, PhaseKind, Step};
use crate::stats::Stats;

use super::super::error::ShadowError;
use super::super::estimate::{LEAST, Scale};
use super::super::observe::Observed;
use super::super::seed::{Profile, SeedOptions, seed};
use super::super::start::Database;
use super::super::statistics::sizes;
use super::report::AtSize;
use super::steps::{is_block, named, watch};
use super::walk::{Leg, Walkers};
use super::{Counterexample, Prover, Refused};

/// From so many rows on, the checks look at fewer.
const MANY: usize = 5_000;

/// Rows that the checks look at then.
const CHECKED: usize = 1_000;

/// Rows in each changed table for the checks.
pub(super) fn checked(rows: usize) -> usize {
    if rows > MANY { CHECKED } else { rows }
}

/// Nobody else is at work, and what each statement took is noted.
#[derive(Default)]
struct Timed {
    seen: Vec<(String, usize, Observed)>,
    stopped: Option<String>,
}

impl Walkers for Timed {
    fn step(&mut self, prover: &mut Prover, db: &Database, _: &Leg, step: &Step) -> Result<Option<Refused>, ShadowError> {
        (prover.progress)(&format!("step {} on many rows", step.id));
        if step.actor == Actor::Application {
            return Ok(prover.forward(&mut db.connect()?, step).err());
        }
        let seen = watch(db, step)?;
        let last = seen.last().and_then(|o| Some((o.error.clone()?, step.statements[seen.len() - 1].clone())));
        self.seen.extend(seen.into_iter().enumerate().map(|(i, o)| (step.id.clone(), i, o)));
        Ok(last.map(|(error, statement)| Refused { error, statement }))
    }

    fn stop(&mut self, _: &mut Prover, _: &Leg, step: &Step, problems: Vec<Counterexample>) {
        let why = problems.first().map(ToString::to_string).unwrap_or_default();
        self.stopped = Some(format!("step {} does not run on many rows, so no time is known from there on: {why}", step.id));
    }
}

impl Prover<'_> {
    /// Adds to each statement what it took on as many rows as were asked for, and an estimate for the real size.
    pub(super) fn times(&mut self, base: &Database) -> Result<(), ShadowError> {
        if self.input.rows <= MANY || self.first || self.steps.is_empty() {
            return Ok(());
        }
        (self.progress)("filling the tables with many rows");
        let db = self.shadow.copy(base)?;
        let options = SeedOptions { rows: self.input.rows, seed: self.input.seed, profile: Profile::Careful, fit: self.fitting() };
        let mut session = db.connect()?;
        seed(&mut session, &self.seeded(), &options)?;
        let here = sizes(&mut session)?;
        drop(session);
        let mut timed = Timed::default();
        self.walk(&db, PhaseKind::ContractHard, &mut timed)?;
        self.no_times = timed.stopped;
        let steps: Vec<&Step> = self.plan.phases.iter().flat_map(|p| &p.steps).collect();
        for (id, i, seen) in timed.seen.iter().filter(|(.., o)| o.error.is_none()) {
            let Some(step) = steps.iter().find(|s| s.id == *id) else { continue };
            let Some(report) = self.steps.iter_mut().find(|r| r.step == *id && r.part == *i) else { continue };
            let unloaded = std::time::Duration::from_millis(report.milliseconds);
            let estimate = self.input.statistics.as_ref().filter(|_| self.input.rows as u64 >= LEAST).and_then(|real| {
                let scale = Scale { here: &here, real };
                // What commits in the middle cannot be looked into.
                match is_block(&step.statements[*i]) {
                    true => scale.of(written(&self.touched, step, *i), seen.took, unloaded, false),
                    false => scale.estimate(seen, unloaded),
                }
            });
            let estimated = estimate.as_ref().map(ToString::to_string);
            report.at_size = Some(AtSize { milliseconds: seen.took.as_millis() as u64, rows: rows(&here, seen), estimate, estimated });
        }
        Ok(())
    }
}

/// Tables whose rows a block writes, by the plan's own word.
fn written<'t>(touched: impl IntoIterator<Item = &'t RelName> + Clone, step: &Step, part: usize) -> Vec<&'t RelName> {
    let locks = step.predicted.get(part).into_iter().flat_map(|p| &p.locks).filter(|(_, m)| **m >= LockMode::RowExclusive);
    locks.filter_map(|(name, _)| named(touched.clone(), name)).collect()
}

/// Rows of the largest table that was read or written in full.
fn rows(here: &Stats, seen: &Observed) -> Option<u64> {
    let all = seen.effects.scans.iter().chain(&seen.effects.rewrites);
    all.filter_map(|r| here.size(&r.schema, &r.name)?.rows).max()
}
