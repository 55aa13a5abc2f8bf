//! Only N-1 writes while the plan goes its way: the end is that of the migration, run directly behind the same writes. What a trigger of
//! the plan loses is missing then, whatever the plan says about itself.

use crate::plan::{Boundary, PhaseKind, Release, Works};

use super::super::error::ShadowError;
use super::super::load::Runner;
use super::super::start::Database;
use super::busy::phase_end;
use super::release::Player;
use super::steps::End;
use super::{At, CheckId, Prover};

/// Rounds of writes at each boundary.
const ROUNDS: usize = 2;

impl Prover<'_> {
    /// Both databases are copies of the schema before, with the same rows.
    pub(super) fn only_old_writes(&mut self, planned: &Database, direct: &Database, mut old: Player) -> Result<(), ShadowError> {
        let at = At::about("N-1 alone").boundary(Boundary::B4).release(Release::Old);
        let (mut rng, mut written) = (fastrand::Rng::with_seed(self.input.seed ^ 0xa10e), 0);
        for phase in &self.plan.phases {
            if self.enough() {
                return Ok(());
            }
            for step in &phase.steps {
                let mut session = planned.connect()?;
                // What stops the plan is told where both are at work.
                if !self.preconditions(&mut session, step).is_empty() || self.forward(&mut session, step).is_err() {
                    let why = format!("step {} does not run behind its writes", step.id);
                    self.not_run(CheckId::DualWrites, at, false, why);
                    return Ok(());
                }
            }
            // Where the application keeps the columns in step, N-1 is gone before the rows are filled.
            let writes = self.works(phase_end(phase.kind), Release::Old).is_some_and(|w| w != Works::Gone);
            if phase.kind <= PhaseKind::Migrate && writes {
                let (mut one, mut other) = (planned.connect()?, direct.connect()?);
                written += (0..ROUNDS).map(|_| old.write_both(&mut one, &mut other, &mut rng)).sum::<usize>();
            }
        }
        if let Some(f) = Runner::new(direct)?.script(&self.input.direct)?.first() {
            let why = format!(
                "the migration itself is refused behind the writes of N-1, so there is no end to compare with: {}",
                f.error.message
            );
            self.not_run(CheckId::DualWrites, at, false, why);
            return Ok(());
        }
        let (compared, problems) = self.same_end(direct, planned, End::OfOldWrites)?;
        let words = format!(
            "{written} writes of N-1 at B1 and B2 end as if the migration had been run behind them ({compared} rows{})",
            self.left_out()
        );
        self.check(CheckId::DualWrites, at, problems, words);
        Ok(())
    }
}
