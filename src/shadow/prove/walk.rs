//! One walk along the steps of a plan. Who is at work meanwhile, and what is looked at, is the affair of those who walk.

use crate::plan::{Boundary, Phase, PhaseKind, Step};

use super::super::error::ShadowError;
use super::super::start::Database;
use super::{Counterexample, Prover, Refused};

/// A phase and the boundaries between which it lies.
pub(super) struct Leg<'p> {
    pub phase: &'p Phase,
    pub from: Boundary,
    pub to: Boundary,
}

/// Those who walk.
pub(super) trait Walkers {
    /// Before the first step of a phase.
    fn set_out(&mut self, _: &mut Prover, _: &Leg) -> Result<(), ShadowError> {
        Ok(())
    }

    /// Carries a step out: what the server refused.
    fn step(&mut self, prover: &mut Prover, db: &Database, _: &Leg, step: &Step) -> Result<Option<Refused>, ShadowError> {
        Ok(prover.forward(&mut db.connect()?, step).err())
    }

    /// A precondition of the step does not hold, or the server refused it. The walk ends here.
    fn stop(&mut self, prover: &mut Prover, leg: &Leg, step: &Step, problems: Vec<Counterexample>);

    /// At the boundary behind the last step of a phase.
    fn arrive(&mut self, _: &mut Prover, _: &Leg) -> Result<(), ShadowError> {
        Ok(())
    }
}

impl Prover<'_> {
    /// The phases up to `last`, in order. `false`: it ended before that.
    pub(super) fn walk(&mut self, db: &Database, last: PhaseKind, walkers: &mut impl Walkers) -> Result<bool, ShadowError> {
        let mut from = Boundary::B0;
        for phase in self.plan.phases.iter().filter(|p| p.kind <= last) {
            if self.enough() {
                return Ok(false);
            }
            let leg = Leg { phase, from, to: phase_end(phase.kind) };
            walkers.set_out(self, &leg)?;
            for step in &phase.steps {
                let mut problems = self.preconditions(&mut db.connect()?, step);
                if problems.is_empty() {
                    problems.extend(walkers.step(self, db, &leg, step)?.map(|e| e.counterexample("the step is refused")));
                }
                if !problems.is_empty() {
                    walkers.stop(self, &leg, step, problems);
                    return Ok(false);
                }
            }
            walkers.arrive(self, &leg)?;
            from = leg.to;
        }
        Ok(true)
    }
}

pub(super) fn phase_end(kind: PhaseKind) -> Boundary {
    match kind {
        PhaseKind::Expand => Boundary::B1,
        PhaseKind::Migrate => Boundary::B2,
        PhaseKind::ContractSoft => Boundary::B3,
        PhaseKind::ContractHard => Boundary::B4,
    }
}
