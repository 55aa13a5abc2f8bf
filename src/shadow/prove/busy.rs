//! The steps with both releases at work: statements at every boundary, writes of both, the way back after N has written.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::catalog::{Catalog, Id, Relation};
use crate::compat::Undo;
use crate::plan::{Actor, Boundary, PhaseKind, Release, Step, Works};

use super::super::error::ShadowError;
use super::super::session::Session;
use super::super::start::Database;
use super::held::Held;
use super::queries::Queries;
use super::release::Player;
use super::steps::is_block;
use super::walk::{Leg, Walkers};
use super::{At, CheckId, Counterexample, Prover, Refused, back, forward};

/// Writes of both releases in turn at B2.
const TURNS: usize = 40;

/// A backfill that N-1's inserts have kept busy for so long has no end.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) use super::walk::phase_end;

/// Both releases, and what they have open.
struct Both<'b> {
    db: &'b Database,
    old: Player,
    new: Player,
    /// Release N where it keeps the columns in step by its own code, by the boundary from which on it is so.
    between: BTreeMap<Boundary, Player>,
    roles: &'b mut [(Player, Player)],
    queries: &'b Queries,
    /// Of N-1 and of N.
    held: Vec<Option<Held>>,
}

impl Walkers for Both<'_> {
    fn set_out(&mut self, prover: &mut Prover, leg: &Leg) -> Result<(), ShadowError> {
        (prover.progress)(&format!("both releases up to {}", leg.to));
        if leg.phase.kind == PhaseKind::ContractSoft {
            prover.end_the_job(self.db, leg.to)?;
        }
        let n = self.between.get(&leg.from).filter(|_| self.between.contains_key(&leg.to)).unwrap_or(&self.new);
        self.held.clear();
        for player in [&self.old, n] {
            let there = |b| prover.works(b, player.release).filter(|w| *w != Works::Gone);
            let goes_on = there(leg.from).filter(|_| there(leg.to).is_some() && !leg.phase.steps.is_empty() && player.known().1 > 0);
            let except = prover.except(leg.from, player.release);
            self.held.push(goes_on.map(|works| Held::new(self.db, player, works, &except)).transpose()?);
        }
        Ok(())
    }

    fn step(&mut self, prover: &mut Prover, db: &Database, leg: &Leg, step: &Step) -> Result<Option<Refused>, ShadowError> {
        let concurrent = leg.phase.kind == PhaseKind::Migrate && !step.transaction;
        match concurrent {
            // Whoever is still there writes meanwhile.
            true => prover.while_writing(db, step, self.between.get_mut(&leg.from).unwrap_or(&mut self.old)),
            false => Ok(prover.forward(&mut db.connect()?, step).err()),
        }
    }

    fn stop(&mut self, prover: &mut Prover, leg: &Leg, step: &Step, problems: Vec<Counterexample>) {
        prover.check(CheckId::DualWrites, At::about(&step.id).boundary(leg.to), problems, "");
    }

    fn arrive(&mut self, prover: &mut Prover, leg: &Leg) -> Result<(), ShadowError> {
        let Both { db, old, new, between, roles, queries, held } = self;
        let (db, end) = (*db, leg.to);
        let goes_on = if between.contains_key(&end) { between.get_mut(&leg.from) } else { None };
        for (player, held) in [&mut *old, goes_on.unwrap_or(new)].into_iter().zip(held.drain(..)) {
            if let Some(held) = held {
                let except = prover.except(end, player.release);
                prover.go_on(end, player, held, &except);
            }
        }
        let mut at_work = vec![&mut *old];
        match between.get_mut(&end) {
            Some(player) => {
                player.learn_values(&prover.shadow.copy(db)?)?;
                player.behind(new);
                at_work.push(player);
                // Behind the soft contract it may leave the old columns out.
                at_work.extend((end == Boundary::B3).then_some(&mut *new));
            }
            None => at_work.push(new),
        }
        prover.releases(db, end, &mut at_work, roles, queries)?;
        // Where both releases are at work.
        let with_n_1 = if between.is_empty() { Boundary::B2 } else { Boundary::B1 };
        if end == with_n_1 {
            prover.in_turn(db, end, old, between.get_mut(&end).unwrap_or(new))?;
        }
        if let Some(b) = between.get(&end) {
            new.behind(b);
        }
        if matches!(leg.phase.kind, PhaseKind::Migrate | PhaseKind::ContractSoft) {
            prover.roll_back(db, leg.phase.kind, old)?;
        }
        Ok(())
    }
}

impl Prover<'_> {
    pub(super) fn busy(
        &mut self,
        db: &Database,
        mut old: Player,
        mut new: Player,
        roles: &mut [(Player, Player)],
        (queries, between): (&Queries, BTreeMap<Boundary, Player>),
    ) -> Result<(), ShadowError> {
        for (name, why) in &queries.refused {
            let why = format!("it does not run on the schema before the migration, so it says nothing: {why}");
            self.not_run(CheckId::ReleaseStatements, At::about(&format!("query {name}")), false, why);
        }
        self.releases(db, Boundary::B0, &mut [&mut old, &mut new], roles, queries)?;
        let mut both = Both { db, old, new, between, roles, queries, held: Vec::new() };
        let arrived = self.walk(db, PhaseKind::ContractHard, &mut both)?;
        if arrived && !self.findings.iter().any(|f| f.check == CheckId::HeldSessions) {
            self.not_run(
                CheckId::HeldSessions,
                At::default(),
                false,
                "no step runs while a release that uses the changed tables is at work",
            );
        }
        Ok(())
    }

    /// The application's job goes on until N-1 is gone, and only then the contract begins.
    fn end_the_job(&mut self, db: &Database, end: Boundary) -> Result<(), ShadowError> {
        for step in self.plan.phases.iter().flat_map(|p| &p.steps).filter(|s| s.actor == Actor::Application) {
            if let Err(e) = self.forward(&mut db.connect()?, step) {
                let problems = vec![e.counterexample("the application's job")];
                self.check(CheckId::DualWrites, At::about(&step.id).boundary(end).release(Release::New), problems, "");
            }
        }
        Ok(())
    }

    /// Holds a row back so that the step has to wait in the middle, and lets N-1 insert meanwhile.
    fn while_writing(&mut self, db: &Database, step: &Step, old: &mut Player) -> Result<Option<Refused>, ShadowError> {
        let mut holder = db.connect()?;
        holder.run("BEGIN").map_err(ShadowError::sql("begin"))?;
        let mut held = false;
        for t in &self.touched {
            held |= holder.rows(&format!("SELECT 1 FROM {} FOR NO KEY UPDATE LIMIT 1", t.sql())).is_ok_and(|r| !r.is_empty());
        }
        let mut session = db.connect()?;
        let stop = session.canceller();
        let moved = step.clone();
        let worker = std::thread::spawn(move || forward(&mut session, &moved));
        let mut writer = db.connect()?;
        let mut problems = Vec::new();
        let (mut meanwhile, mut writes) = (0, 0);
        let start = Instant::now();
        if held && !step.statements.iter().any(|s| s.contains("CONCURRENTLY")) {
            std::thread::sleep(Duration::from_millis(60));
            for _ in 0..3 {
                match old.insert(&mut writer) {
                    Ok(n) => writes += n,
                    Err(e) => problems.push(e),
                }
            }
        }
        let _ = holder.run("COMMIT");
        let backfill = step.actor == Actor::Migration && step.statements.iter().any(|s| is_block(s));
        // A table that never rests must not keep a backfill from its end.
        while backfill && !worker.is_finished() && start.elapsed() < PATIENCE && problems.is_empty() {
            match old.insert(&mut writer) {
                Ok(n) => meanwhile += n,
                Err(e) => problems.push(e),
            }
        }
        let endless = backfill && !worker.is_finished() && problems.is_empty();
        while endless && !worker.is_finished() {
            stop.cancel();
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut error = worker.join().unwrap_or(Ok(())).err();
        let at = At::about(&step.id).boundary(Boundary::B1).release(Release::Old);
        if backfill {
            let problems = match error.take_if(|_| endless) {
                Some(e) => {
                    let what = format!("it has not ended after {} s of inserts by N-1", PATIENCE.as_secs());
                    vec![Counterexample::new(what).statement(e.statement)]
                }
                None => Vec::new(),
            };
            self.check(CheckId::Backfill, at, problems, format!("it ends while N-1 inserts ({} rows meanwhile)", writes + meanwhile));
        }
        if writes > 0 || !problems.is_empty() {
            self.check(CheckId::DualWrites, at, problems, format!("{} rows inserted by N-1 while the step ran", writes + meanwhile));
        }
        Ok(error)
    }

    pub(super) fn works(&self, boundary: Boundary, release: Release) -> Option<Works> {
        self.plan.boundaries.iter().find(|c| c.boundary == boundary && c.release == release).map(|c| c.works)
    }

    /// Statements that the plan declares to fail there.
    fn except(&self, boundary: Boundary, release: Release) -> Vec<String> {
        let cells = self.plan.boundaries.iter().filter(|c| c.boundary == boundary && c.release == release);
        cells.flat_map(|c| c.except.clone()).collect()
    }

    /// Both releases at one boundary: every shape, then writes that stay, each followed by the invariants.
    fn releases(
        &mut self,
        db: &Database,
        boundary: Boundary,
        players: &mut [&mut Player],
        roles: &mut [(Player, Player)],
        queries: &Queries,
    ) -> Result<(), ShadowError> {
        for player in players {
            let release = player.release;
            let Some(works) = self.works(boundary, release).filter(|w| *w != Works::Gone) else { continue };
            let except = self.except(boundary, release);
            let at = At::default().boundary(boundary).release(release);
            let mut session = db.connect()?;
            let (problems, ran) = player.shapes(&mut session, works == Works::WritesOnly, &except);
            if ran > 0 {
                self.check(CheckId::ReleaseStatements, at, problems, format!("{ran} statements work"));
            }
            for (a, b) in roles.iter_mut() {
                let as_role = if release == Release::Old { a } else { b };
                let (problems, ran) = as_role.shapes(&mut session, works == Works::WritesOnly, &except);
                let role = format!("role {}", as_role.role.as_deref().unwrap_or_default());
                if ran > 0 {
                    self.check(CheckId::ReleaseStatements, At { about: &role, ..at }, problems, format!("{ran} statements work"));
                }
            }
            if release == Release::Old && queries.len() > 0 {
                let problems = queries.run(&mut session);
                self.check(CheckId::ReleaseStatements, At { about: "workload", ..at }, problems, format!("{} queries work", queries.len()));
            }
            let mut problems = Vec::new();
            let mut writes = 0;
            for step in 0..2 {
                let done = if step == 0 { player.insert(&mut session) } else { player.update(&mut session) };
                match done {
                    Ok(n) => writes += n,
                    Err(e) => problems.push(e),
                }
                problems.extend(self.broken_invariants(&mut session, boundary, player));
            }
            if player.known().1 > 0 {
                self.check(CheckId::DualWrites, at, problems, format!("{writes} rows written, none lost"));
            }
        }
        Ok(())
    }

    fn broken_invariants(&self, session: &mut Session, boundary: Boundary, player: &Player) -> Vec<Counterexample> {
        let mut problems = Vec::new();
        for i in self.plan.invariants.iter().filter(|i| i.from <= boundary && boundary <= i.until) {
            match session.rows(&i.sql) {
                Ok(rows) => {
                    if let Some(first) = rows.first() {
                        let what = format!("a write of {} at {boundary} is lost: not so: {}", player.release, i.title);
                        problems.push(Counterexample::new(what).row(first).statement(player.last_write()));
                    }
                }
                Err(e) => problems.push(Counterexample::refused(&i.title, &e, &i.sql)),
            }
        }
        problems
    }

    /// Random writes of both releases, each through a connection of its own, in a random order.
    fn in_turn(&mut self, db: &Database, boundary: Boundary, old: &mut Player, new: &mut Player) -> Result<(), ShadowError> {
        if old.known().1 == 0 || new.known().1 == 0 {
            return Ok(());
        }
        let mut rng = fastrand::Rng::with_seed(self.input.seed ^ 0x7e57);
        let (mut a, mut b) = (db.connect()?, db.connect()?);
        let except = self.except(boundary, Release::New);
        let (mut problems, mut written) = (Vec::new(), 0);
        for _ in 0..TURNS {
            let (player, session) = if rng.bool() { (&mut *old, &mut a) } else { (&mut *new, &mut b) };
            let except: &[String] = if player.release == Release::New { &except } else { &[] };
            match player.random_write(session, &mut rng, except) {
                Ok(n) => written += n,
                Err(e) => problems.push(e),
            }
            problems.extend(self.broken_invariants(session, boundary, player));
            // What comes behind the first is its consequence.
            if !problems.is_empty() {
                break;
            }
        }
        let words = format!("{TURNS} writes of both in turn ({written} rows), none lost");
        self.check(CheckId::DualWrites, At::about("in turn").boundary(boundary), problems, words);
        Ok(())
    }

    /// After release N has written: the steps of the phase and of those before it are undone on a copy, and N-1 works again.
    fn roll_back(&mut self, db: &Database, kind: PhaseKind, old: &mut Player) -> Result<(), ShadowError> {
        let end = phase_end(kind);
        let phases: Vec<PhaseKind> =
            if kind == PhaseKind::Migrate { vec![PhaseKind::Migrate, PhaseKind::Expand] } else { vec![PhaseKind::ContractSoft] };
        let steps: Vec<&Step> =
            phases.iter().filter_map(|k| self.plan.phases.iter().find(|p| p.kind == *k)).flat_map(|p| p.steps.iter().rev()).collect();
        if steps.is_empty() || steps.iter().any(|s| s.one_way.is_some()) {
            return Ok(());
        }
        let copy = self.shadow.copy(db)?;
        let mut session = copy.connect()?;
        let mut problems = Vec::new();
        let name = format!("rollback from {end} after N has written");
        let at = At::about(&name).boundary(end).release(Release::Old);
        // At B2 N-1 is still at work: what it reads before and after the way back is the same.
        let reads = (kind == PhaseKind::Migrate && steps.iter().all(|s| s.undo_verdict == Undo::Lossless)).then(|| self.data(&mut session));
        let rows = self.counts(&mut session, end);
        for s in &steps {
            if let Err(e) = back(&mut session, s) {
                if s.undo_verdict == Undo::BlockedByData && e.error.is_about_rows() {
                    let why = format!("blocked by data that release N wrote, as the plan says: {}", e.error.message);
                    self.not_run(CheckId::Undo, at, false, why);
                    return Ok(());
                }
                problems.push(e.counterexample(&format!("undo of {}", s.id)));
            }
        }
        if problems.is_empty() && reads.is_some_and(|r| r != self.data(&mut session)) {
            problems.push(Counterexample::new("N-1 reads other values than before the way back, and the plan does not say so"));
        }
        let now = self.counts(&mut session, Boundary::B0);
        for (n, (table, m)) in rows.iter().zip(&now) {
            if let (Some(n), Some(m)) = (&n.1, m)
                && n != m
                && problems.is_empty()
            {
                problems.push(Counterexample::new(format!("{table} held {n} rows before the way back, and {m} after it")));
            }
        }
        let (more, ran) = old.shapes(&mut session, false, &[]);
        problems.extend(more);
        self.check(CheckId::Undo, at, problems, format!("{ran} statements of N-1 work, and the rows of both are there"));
        Ok(())
    }

    /// Rows of the tables that both releases have, by the names that they have at the boundary.
    fn counts(&self, session: &mut Session, boundary: Boundary) -> Vec<(String, Option<String>)> {
        let (before, after) = (&self.input.catalog_before, &self.input.catalog_after);
        let rels = self.touched.iter().filter_map(|t| before.relation_named(&t.schema, &t.name));
        // A table that is made anew has its name.
        let then = |r: &Relation| after.relation(r.id).or_else(|| after.relation_named(&r.schema, &r.name).map(|a| &**a));
        // Through a table that gets or loses a part, other rows are seen.
        let parts = |c: &Catalog, r: &Relation| -> BTreeSet<Id> { c.children_of(r.id).into_iter().collect() };
        rels.filter_map(|r| Some((r, then(r)?)))
            .filter(|(r, a)| a.id != r.id || parts(before, r) == parts(after, a))
            .map(|(r, a)| {
                let name = if boundary >= Boundary::B3 { a.rel_name() } else { r.rel_name() };
                (r.rel_name().to_string(), session.value(&format!("SELECT count(*) FROM {}", name.sql())).ok().flatten())
            })
            .collect()
    }
}
