//! Only N-1 writes while the plan goes its way: the end is that of the migration, run directly behind the same writes. What a trigger of
//! the plan loses is missing then, whatever the plan says about itself.

use crate::plan::{Boundary, PhaseKind, Release, Step, Works};

use super::super::error::ShadowError;
use super::super::load::Runner;
use super::super::start::Database;
use super::release::Player;
use super::steps::End;
use super::walk::{Leg, Walkers};
use super::{At, CheckId, Counterexample, Prover};

/// Rounds of writes at each boundary.
const ROUNDS: usize = 2;

struct Alone<'d> {
    old: Player,
    /// Where the migration is run behind the same writes.
    direct: &'d Database,
    planned: &'d Database,
    rng: fastrand::Rng,
    written: usize,
}

impl Walkers for Alone<'_> {
    fn stop(&mut self, prover: &mut Prover, _: &Leg, step: &Step, _: Vec<Counterexample>) {
        // What stops the plan is told where both are at work.
        prover.not_run(CheckId::DualWrites, at(), false, format!("step {} does not run behind its writes", step.id));
    }

    fn arrive(&mut self, prover: &mut Prover, leg: &Leg) -> Result<(), ShadowError> {
        // Where the application keeps the columns in step, N-1 is gone before the rows are filled.
        let writes = prover.works(leg.to, Release::Old).is_some_and(|w| w != Works::Gone);
        if leg.phase.kind <= PhaseKind::Migrate && writes {
            let (mut one, mut other) = (self.planned.connect()?, self.direct.connect()?);
            self.written += (0..ROUNDS).map(|_| self.old.write_both(&mut one, &mut other, &mut self.rng)).sum::<usize>();
        }
        Ok(())
    }
}

fn at() -> At<'static> {
    At::about("N-1 alone").boundary(Boundary::B4).release(Release::Old)
}

impl Prover<'_> {
    /// Both databases are copies of the schema before, with the same rows.
    pub(super) fn only_old_writes(&mut self, planned: &Database, direct: &Database, old: Player) -> Result<(), ShadowError> {
        let rng = fastrand::Rng::with_seed(self.input.seed ^ 0xa10e);
        let mut alone = Alone { old, direct, planned, rng, written: 0 };
        if !self.walk(planned, PhaseKind::ContractHard, &mut alone)? {
            return Ok(());
        }
        if let Some(f) = Runner::new(direct)?.script(&self.input.direct)?.first() {
            let why = format!(
                "the migration itself is refused behind the writes of N-1, so there is no end to compare with: {}",
                f.error.message
            );
            self.not_run(CheckId::DualWrites, at(), false, why);
            return Ok(());
        }
        let (compared, problems) = self.same_end(direct, planned, End::OfOldWrites)?;
        let words = format!(
            "{} writes of N-1 at B1 and B2 end as if the migration had been run behind them ({compared} rows{})",
            alone.written,
            self.left_out()
        );
        self.check(CheckId::DualWrites, at(), problems, words);
        Ok(())
    }
}
