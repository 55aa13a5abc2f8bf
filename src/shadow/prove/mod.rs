//! Proves a plan: both releases' statements run at every boundary, writes of both are interleaved with the backfill, every step is
//! undone, and the end is compared with the migration run directly.

mod release;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::catalog::{Catalog, RelName};
use crate::history::Script;
use crate::op::LockMode;
use crate::plan::{Actor, Boundary, PhaseKind, Plan, PredictedEffects, Release, Step, Works};

use super::error::ShadowError;
use super::load::{self, Runner};
use super::observe::{Around, Observer};
use super::seed::{Profile, SeedOptions, seed};
use super::session::{Session, SqlError};
use super::snapshot::Snapshot;
use super::start::{Database, Shadow};

use release::Player;

/// What is proved.
pub struct ProofInput {
    /// The history before the migration, or a dump.
    pub before: Vec<Script>,
    /// The migration itself.
    pub direct: Script,
    pub catalog_before: Catalog,
    pub catalog_after: Catalog,
    pub rows: usize,
    pub seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Verdict {
    Proved,
    Failed,
    NotProved,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Status {
    Pass,
    Fail,
    NotRun,
}

#[derive(Debug, Clone, Serialize)]
pub struct Check {
    pub id: String,
    pub boundary: Option<Boundary>,
    pub release: Option<Release>,
    pub status: Status,
    pub detail: String,
}

/// One statement: what was predicted and what was seen.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    pub phase: String,
    pub file: String,
    pub statement: String,
    pub predicted: PredictedEffects,
    pub observed: PredictedEffects,
}

#[derive(Debug, Clone, Serialize)]
pub struct Proof {
    pub schema_version: u32,
    pub verdict: Verdict,
    pub postgres: String,
    pub checks: Vec<Check>,
    pub steps: Vec<StepReport>,
}

pub fn prove(shadow: &Shadow, plan: &Plan, input: &ProofInput) -> Result<Proof, ShadowError> {
    let mut p = Prover { shadow, plan, input, checks: Vec::new(), steps: Vec::new() };
    p.run()?;
    let failed = p.checks.iter().any(|c| c.status == Status::Fail);
    let ran = p.checks.iter().any(|c| c.status == Status::Pass) && !p.checks.iter().any(|c| c.status == Status::NotRun && c.id == "setup");
    let verdict = if failed {
        Verdict::Failed
    } else if ran {
        Verdict::Proved
    } else {
        Verdict::NotProved
    };
    Ok(Proof { schema_version: 1, verdict, postgres: shadow.version().to_string(), checks: p.checks, steps: p.steps })
}

struct Prover<'a> {
    shadow: &'a Shadow,
    plan: &'a Plan,
    input: &'a ProofInput,
    checks: Vec<Check>,
    steps: Vec<StepReport>,
}

fn phase_end(kind: PhaseKind) -> Boundary {
    match kind {
        PhaseKind::Expand => Boundary::B1,
        PhaseKind::Migrate => Boundary::B2,
        PhaseKind::ContractSoft => Boundary::B3,
        PhaseKind::ContractHard => Boundary::B4,
    }
}

impl Prover<'_> {
    fn check(&mut self, id: &str, boundary: Option<Boundary>, release: Option<Release>, problems: Vec<String>, passed: impl Into<String>) {
        let (status, detail) = if problems.is_empty() { (Status::Pass, passed.into()) } else { (Status::Fail, problems.join("\n")) };
        self.checks.push(Check { id: id.into(), boundary, release, status, detail });
    }

    fn not_run(&mut self, id: &str, why: impl Into<String>) {
        self.checks.push(Check { id: id.into(), boundary: None, release: None, status: Status::NotRun, detail: why.into() });
    }

    /// Tables that the migration or the plan changes.
    fn touched(&self) -> BTreeSet<RelName> {
        let (before, after) = (&self.input.catalog_before, &self.input.catalog_after);
        before
            .relations
            .values()
            .filter(|r| r.kind.is_table() && after.relations.get(&r.id).is_none_or(|a| !std::sync::Arc::ptr_eq(a, r) && **a != ***r))
            .map(|r| r.rel_name())
            .collect()
    }

    /// The touched tables, and those that release N's foreign keys refer to: N writes references to rows that are there.
    fn seeded(&self, touched: &BTreeSet<RelName>) -> BTreeSet<RelName> {
        let (before, after) = (&self.input.catalog_before, &self.input.catalog_after);
        let mut out = touched.clone();
        for r in touched.iter().filter_map(|t| before.relation_named(&t.schema, &t.name)).filter_map(|r| after.relation(r.id)) {
            for c in &r.constraints {
                if let crate::catalog::ConKind::ForeignKey { table, .. } = &c.kind {
                    out.extend(before.relation(*table).map(|other| other.rel_name()));
                }
            }
        }
        out
    }

    fn run(&mut self) -> Result<(), ShadowError> {
        let base = self.shadow.database()?;
        let failures = load::load(&base, &self.input.before)?;
        if let Some(f) = failures.first() {
            self.not_run("setup", format!("the schema before the migration does not load: {f}"));
            return Ok(());
        }
        // The intended end, without rows: the direct migration may be refused on rows, which is why there is a plan.
        let mut direct = self.shadow.copy(&base)?;
        let failures = Runner::new(&direct)?.script(&self.input.direct)?;
        if let Some(f) = failures.first() {
            self.not_run("setup", format!("the migration itself is refused: {f}"));
            return Ok(());
        }
        let touched = self.touched();
        let mut old = Player::new(Release::Old, &self.input.catalog_before, &self.input.catalog_after, &touched);
        let mut new = Player::new(Release::New, &self.input.catalog_after, &self.input.catalog_before, &touched);
        // Rows that the migration itself takes, as daring as they may be: only on those can the two ends be compared.
        let mut daring: Option<(Database, usize, String)> = None;
        let mut chosen = None;
        for profile in [Profile::Edges, Profile::Ordinary, Profile::Careful] {
            let seeded = self.shadow.copy(&base)?;
            let hints = if profile == Profile::Careful { self.labels() } else { BTreeMap::new() };
            let options = SeedOptions { rows: self.input.rows, seed: self.input.seed, profile, hints };
            let filled = seed(&mut seeded.connect()?, &self.seeded(&touched), &options)?;
            let rows: usize = filled.rows.values().sum();
            let end = self.shadow.copy(&seeded)?;
            match Runner::new(&end)?.script(&self.input.direct)?.first() {
                None => {
                    direct = end;
                    chosen = Some((seeded, rows, filled));
                    break;
                }
                Some(f) if daring.is_none() => daring = Some((seeded, rows, f.error.message.clone())),
                Some(_) => {}
            }
        }
        let (seeded, rows) = match (chosen, daring) {
            (Some((seeded, rows, filled)), daring) => {
                for (table, why) in &filled.failed {
                    self.not_run("seed", format!("{table} took no row: {why}"));
                }
                old.learn(&mut seeded.connect()?);
                if let Some((daring, _, why)) = daring {
                    self.refused_rows(&daring, &why, &mut old)?;
                }
                (seeded, rows)
            }
            (None, Some((seeded, rows, _))) => {
                old.learn(&mut seeded.connect()?);
                (seeded, rows)
            }
            (None, None) => (self.shadow.copy(&base)?, 0),
        };
        let intended = Snapshot::take(&direct)?;
        self.quiet(&seeded, &intended, rows)?;
        // What fails for a release on its own schema says nothing about the plan.
        seed(&mut direct.connect()?, &touched, &SeedOptions { rows: self.input.rows, seed: self.input.seed, ..SeedOptions::default() })?;
        new.learn(&mut direct.connect()?);
        self.busy(&seeded, old, new)
    }

    /// Texts that the new type of a column takes, where not every text is one.
    fn labels(&self) -> BTreeMap<(RelName, String), Vec<String>> {
        let mut out = BTreeMap::new();
        let (before, after) = (&self.input.catalog_before, &self.input.catalog_after);
        for r in before.relations.values() {
            let Some(now) = after.relations.get(&r.id).filter(|n| !std::sync::Arc::ptr_eq(n, r)) else { continue };
            for c in &r.columns {
                let Some(new) = now.columns.iter().find(|n| n.attnum == c.attnum && n.ty != c.ty) else { continue };
                let values = crate::compat::boundary_values(after, &new.ty).into_iter();
                let values: Vec<String> = values.filter(|v| crate::compat::accept(before, &c.ty, v).is_ok()).collect();
                if !values.is_empty() {
                    out.insert((r.rel_name(), c.name.clone()), values);
                }
            }
        }
        out
    }

    /// Rows that the migration itself refuses: the plan stops at a precondition, or at a step that changes nothing, and N-1 goes on.
    fn refused_rows(&mut self, seeded: &Database, why: &str, old: &mut Player) -> Result<(), ShadowError> {
        let db = self.shadow.copy(seeded)?;
        let (mut stopped, mut contracted) = (None, false);
        for phase in self.plan.phases.iter().filter(|p| p.kind < PhaseKind::ContractHard) {
            for step in &phase.steps {
                let mut problems = self.preconditions(&mut db.connect()?, step);
                if problems.is_empty() {
                    problems.extend(play(&mut db.connect()?, &step.statements, step.transaction).err().map(|e| e.to_string()));
                }
                if let Some(p) = problems.into_iter().next() {
                    stopped = Some((step.id.clone(), p));
                    break;
                }
                contracted |= phase.kind == PhaseKind::ContractSoft;
            }
            if stopped.is_some() {
                break;
            }
        }
        let (problems, words) = match stopped {
            None => (Vec::new(), format!("the direct migration is refused on some rows ({why}); the plan takes them")),
            // Once the contract has begun N-1 is gone: what counts is that nothing was lost before.
            Some((id, p)) => {
                let (problems, _) = if contracted { (Vec::new(), 0) } else { old.shapes(&mut db.connect()?, false, &[]) };
                (problems, format!("on rows that the direct migration refuses ({why}), the plan stops before {id} and N-1 goes on: {p}"))
            }
        };
        self.check("rows that the migration refuses", None, Some(Release::Old), problems, words);
        Ok(())
    }

    /// Steps alone: undo of each, effects, preconditions, final catalog and data.
    fn quiet(&mut self, seeded: &Database, intended: &Snapshot, rows: usize) -> Result<(), ShadowError> {
        let db = self.shadow.copy(seeded)?;
        let mut now = Snapshot::take(&db)?;
        for phase in &self.plan.phases {
            for step in &phase.steps {
                let mut problems = self.preconditions(&mut db.connect()?, step);
                // The step and its undo on a copy.
                if step.one_way.is_none() {
                    let copy = self.shadow.copy(&db)?;
                    let data = self.data(&mut copy.connect()?);
                    let mut session = copy.connect()?;
                    let done = play(&mut session, &step.statements, step.transaction)
                        .and_then(|()| play(&mut session, &step.undo, step.undo_transaction));
                    match done {
                        Err(e) => problems.push(format!("{e}")),
                        Ok(()) => {
                            drop(session);
                            let back = Snapshot::take(&copy)?;
                            problems.extend(
                                now.changes(&back)
                                    .iter()
                                    .map(|c| format!("after the undo: {} {}", if c.removed { "missing" } else { "left over" }, c.line)),
                            );
                            // A loss that the plan declares is none that it hides.
                            if step.undo_verdict == crate::compat::Undo::Lossless && self.data(&mut copy.connect()?) != data {
                                problems.push("after the undo the rows of before have other values".into());
                            }
                        }
                    }
                    self.check(&format!("undo {}", step.id), None, None, problems, "the schema and the rows of before are back");
                } else {
                    self.check(&format!("precondition {}", step.id), None, None, problems, "one way, as the plan says");
                }
                let problems = self.observe(&db, phase.kind, step)?;
                self.check(&format!("effects {}", step.id), None, None, problems, "locks and rewrites as predicted");
                now = Snapshot::take(&db)?;
            }
        }
        let (mut problems, mut declared) = (Vec::new(), 0);
        for c in intended.changes(&now) {
            let line = c.line.to_string();
            if self.plan.deviations.iter().any(|d| is_about(&line, &d.object)) {
                declared += 1;
            } else {
                problems.push(format!("{}: {line}", if c.removed { "missing" } else { "left over" }));
            }
        }
        let words = if declared == 0 {
            "equal to the direct migration".to_string()
        } else {
            format!("equal to the direct migration but for {} declared differences", self.plan.deviations.len())
        };
        self.check("final catalog", Some(Boundary::B4), None, problems, words);
        self.final_data(seeded, &db, rows)
    }

    /// Rows after the plan and after the direct migration, where that takes the rows.
    fn final_data(&mut self, seeded: &Database, planned: &Database, rows: usize) -> Result<(), ShadowError> {
        let direct = self.shadow.copy(seeded)?;
        if let Some(f) = Runner::new(&direct)?.script(&self.input.direct)?.first() {
            self.not_run("final data", format!("the direct migration is refused on rows: {}", f.error.message));
            return Ok(());
        }
        let mut problems = Vec::new();
        let (mut a, mut b) = (direct.connect()?, planned.connect()?);
        let after = &self.input.catalog_after;
        for name in self.touched() {
            let Some(rel) = self.input.catalog_before.relation_named(&name.schema, &name.name).and_then(|r| after.relation(r.id)) else {
                continue;
            };
            // A default that is another one each time is equal by chance only.
            let chance = |c: &crate::catalog::Column| {
                let old = self.input.catalog_before.relation(rel.id).is_some_and(|r| r.columns.iter().any(|o| o.attnum == c.attnum));
                !old && c.default_volatility.is_some_and(|v| v != crate::op::Volatility::Immutable)
            };
            let columns: Vec<String> =
                rel.columns.iter().filter(|c| !chance(c)).map(|c| format!("{}::text", crate::quote::ident(&c.name))).collect();
            let sql = format!(
                "SELECT {} FROM {} ORDER BY 1",
                if columns.is_empty() { "1".into() } else { format!("concat_ws('|', {})", columns.join(", ")) },
                rel.rel_name().sql()
            );
            match (a.rows(&sql), b.rows(&sql)) {
                (Ok(x), Ok(y)) if x == y => {}
                (Ok(x), Ok(y)) => {
                    let lost = x.iter().find(|r| !y.contains(r)).map(|r| format!("{r:?}")).unwrap_or_default();
                    problems.push(format!(
                        "{}: {} rows after the direct migration, {} after the plan; for instance {lost}",
                        rel.rel_name(),
                        x.len(),
                        y.len()
                    ));
                }
                (Err(e), _) | (_, Err(e)) => problems.push(format!("{}: {e}", rel.rel_name())),
            }
        }
        self.check("final data", Some(Boundary::B4), None, problems, format!("{rows} seeded rows end as in the direct migration"));
        Ok(())
    }

    fn preconditions(&self, session: &mut Session, step: &Step) -> Vec<String> {
        step.preconditions
            .iter()
            .filter_map(|p| match session.rows(&p.sql) {
                Ok(rows) if rows.is_empty() => None,
                Ok(rows) => Some(format!("precondition `{}` does not hold: {} rows, the first is {:?}", p.title, rows.len(), rows.first())),
                Err(e) => Some(format!("precondition `{}`: {e}", p.title)),
            })
            .collect()
    }

    /// Runs the step and compares what it does with what was predicted.
    fn observe(&mut self, db: &Database, phase: PhaseKind, step: &Step) -> Result<Vec<String>, ShadowError> {
        let mut problems = Vec::new();
        let mut o = Observer::new(db)?;
        let (mut predicted, mut seen) = (PredictedEffects::default(), PredictedEffects::default());
        if step.transaction {
            o.session.run("BEGIN").map_err(ShadowError::sql("begin"))?;
        }
        for (i, sql) in step.statements.iter().enumerate() {
            let observed = if step.transaction {
                o.run(sql, None, Around::Transaction)
            } else if sql.trim_start().get(..2).is_some_and(|w| w.eq_ignore_ascii_case("do")) {
                o.pass(sql)
            } else {
                o.run(sql, None, Around::Nothing)
            };
            if let Some(e) = &observed.error {
                problems.push(format!("{e}: {}", super::script::head(sql)));
                break;
            }
            let report = StepReport {
                phase: phase.to_string(),
                file: step.file.clone(),
                statement: super::script::head(sql),
                predicted: step.predicted.get(i).cloned().unwrap_or_default(),
                observed: (&observed.effects).into(),
            };
            merge(&mut predicted, &report.predicted);
            merge(&mut seen, &report.observed);
            let slow: Vec<&String> = report.observed.rewrites.iter().chain(&report.observed.scans).collect();
            for r in slow {
                if step.actor == Actor::Migration && seen.locks.get(r).is_some_and(|m| m.blocks_writes()) {
                    problems.push(format!(
                        "{r} is read or written in full while it is locked {}: {}",
                        seen.locks[r].sql(),
                        super::script::head(sql)
                    ));
                }
            }
            self.steps.push(report);
        }
        if step.transaction && problems.is_empty() {
            o.session.run("COMMIT").map_err(ShadowError::sql("commit"))?;
        } else if step.transaction {
            let _ = o.session.run("ROLLBACK");
        }
        // Locks that let writes through depend on the server's plan for a query; the others are a promise.
        let strong = |e: &PredictedEffects| {
            e.locks.iter().filter(|(_, m)| **m >= LockMode::Share).map(|(r, m)| format!("{r} {}", m.sql())).collect::<BTreeSet<_>>()
        };
        let (p, s) = (strong(&predicted), strong(&seen));
        if problems.is_empty() && p != s {
            problems.push(format!("predicted {p:?}, observed {s:?}"));
        }
        if predicted.rewrites != seen.rewrites && problems.is_empty() {
            problems.push(format!("rewrites: predicted {:?}, observed {:?}", predicted.rewrites, seen.rewrites));
        }
        Ok(problems)
    }

    /// The same steps with both releases at work.
    fn busy(&mut self, seeded: &Database, mut old: Player, mut new: Player) -> Result<(), ShadowError> {
        let db = self.shadow.copy(seeded)?;
        self.releases(&db, Boundary::B0, &mut old, &mut new)?;
        for phase in &self.plan.phases {
            let end = phase_end(phase.kind);
            if phase.kind == PhaseKind::ContractSoft {
                // The application's job goes on until N-1 is gone, and only then the contract begins.
                for step in self.plan.phases.iter().flat_map(|p| &p.steps).filter(|s| s.actor == Actor::Application) {
                    if let Err(e) = play(&mut db.connect()?, &step.statements, step.transaction) {
                        self.check(&format!("step {}", step.id), Some(end), Some(Release::New), vec![e.to_string()], "");
                    }
                }
            }
            for step in &phase.steps {
                let problems = self.preconditions(&mut db.connect()?, step);
                let mut problems = problems;
                let concurrent = phase.kind == PhaseKind::Migrate && !step.transaction;
                let error = if concurrent {
                    self.while_writing(&db, step, &mut old)?
                } else {
                    play(&mut db.connect()?, &step.statements, step.transaction).err()
                };
                if let Some(e) = error {
                    problems.push(e.to_string());
                }
                if !problems.is_empty() {
                    self.check(&format!("step {}", step.id), Some(end), None, problems, "");
                    return Ok(());
                }
            }
            self.releases(&db, end, &mut old, &mut new)?;
            if matches!(phase.kind, PhaseKind::Migrate | PhaseKind::ContractSoft) && !self.plan.phases.is_empty() {
                self.roll_back(&db, phase.kind, &mut old)?;
            }
        }
        Ok(())
    }

    /// Holds a row back so that the step has to wait in the middle, and lets N-1 insert meanwhile, rows that refer to the held one included.
    fn while_writing(&mut self, db: &Database, step: &Step, old: &mut Player) -> Result<Option<SqlError>, ShadowError> {
        let mut holder = db.connect()?;
        holder.run("BEGIN").map_err(ShadowError::sql("begin"))?;
        let mut held = false;
        for t in self.touched() {
            held |= holder.rows(&format!("SELECT 1 FROM {} FOR NO KEY UPDATE LIMIT 1", t.sql())).is_ok_and(|r| !r.is_empty());
        }
        let mut session = db.connect()?;
        let statements = step.statements.clone();
        let transaction = step.transaction;
        let worker = std::thread::spawn(move || play(&mut session, &statements, transaction));
        let mut writer = db.connect()?;
        let mut problems = Vec::new();
        let mut writes = 0;
        if held && !step.statements.iter().any(|s| s.contains("CONCURRENTLY")) {
            std::thread::sleep(std::time::Duration::from_millis(60));
            for _ in 0..3 {
                match old.insert(&mut writer) {
                    Ok(n) => writes += n,
                    Err(e) => problems.push(e),
                }
            }
        }
        let _ = holder.run("COMMIT");
        let error = worker.join().unwrap_or(Ok(())).err();
        if writes > 0 || !problems.is_empty() {
            self.check(
                &format!("writes during {}", step.id),
                Some(Boundary::B1),
                Some(Release::Old),
                problems,
                format!("{writes} rows inserted by N-1 while the step ran"),
            );
        }
        Ok(error)
    }

    fn works(&self, boundary: Boundary, release: Release) -> Option<Works> {
        self.plan.boundaries.iter().find(|c| c.boundary == boundary && c.release == release).map(|c| c.works)
    }

    /// Both releases at one boundary: every shape, then writes that stay, each followed by the invariants.
    fn releases(&mut self, db: &Database, boundary: Boundary, old: &mut Player, new: &mut Player) -> Result<(), ShadowError> {
        for player in [old, new] {
            let release = player.release;
            let works = self.works(boundary, release);
            let Some(works) = works.filter(|w| *w != Works::Gone) else { continue };
            let cells = self.plan.boundaries.iter().filter(|c| c.boundary == boundary && c.release == release);
            let except: Vec<String> = cells.flat_map(|c| c.except.clone()).collect();
            let mut session = db.connect()?;
            let (problems, ran) = player.shapes(&mut session, works == Works::WritesOnly, &except);
            self.check("statements", Some(boundary), Some(release), problems, format!("{ran} statements work"));
            let mut problems = Vec::new();
            let mut writes = 0;
            for step in 0..2 {
                let done = if step == 0 { player.insert(&mut session) } else { player.update(&mut session) };
                match done {
                    Ok(n) => writes += n,
                    Err(e) => problems.push(e),
                }
                for i in self.plan.invariants.iter().filter(|i| i.from <= boundary && boundary <= i.until) {
                    match session.rows(&i.sql) {
                        Ok(rows) if rows.is_empty() => {}
                        Ok(rows) => problems.push(format!(
                            "a write of {release} at {boundary} is lost: not so: {}; {:?} after `{}`",
                            i.title,
                            rows.first().cloned().unwrap_or_default(),
                            player.last_write()
                        )),
                        Err(e) => problems.push(format!("{}: {e}", i.title)),
                    }
                }
            }
            self.check("writes", Some(boundary), Some(release), problems, format!("{writes} rows written, none lost"));
        }
        Ok(())
    }

    /// After release N has written: the steps of the phase and of those before it are undone on a copy, and N-1 works again.
    fn roll_back(&mut self, db: &Database, kind: PhaseKind, old: &mut Player) -> Result<(), ShadowError> {
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
        for s in &steps {
            if let Err(e) = play(&mut session, &s.undo, s.undo_transaction) {
                if s.undo_verdict == crate::compat::Undo::BlockedByData && e.is("23502") {
                    self.not_run(
                        &format!("rollback {}", s.id),
                        format!("blocked by data that release N wrote, as the plan says: {}", e.message),
                    );
                    return Ok(());
                }
                problems.push(format!("undo of {}: {e}", s.id));
            }
        }
        let (more, ran) = old.shapes(&mut session, false, &[]);
        problems.extend(more);
        self.check(
            &format!("rollback from {}", phase_end(kind)),
            Some(phase_end(kind)),
            Some(Release::Old),
            problems,
            format!("undone after N wrote; {ran} statements of N-1 work"),
        );
        Ok(())
    }

    /// Rows of the touched tables, by the columns of before.
    fn data(&self, session: &mut Session) -> Vec<Vec<Vec<Option<String>>>> {
        let mut out = Vec::new();
        for name in self.touched() {
            let Some(rel) = self.input.catalog_before.relation_named(&name.schema, &name.name) else { continue };
            for c in &rel.columns {
                let sql = format!("SELECT {0}::text FROM {1} ORDER BY 1", crate::quote::ident(&c.name), name.sql());
                out.push(session.rows(&sql).unwrap_or_default());
            }
        }
        out
    }
}

fn merge(into: &mut PredictedEffects, from: &PredictedEffects) {
    for (r, m) in &from.locks {
        let e = into.locks.entry(r.clone()).or_insert(*m);
        *e = (*e).max(*m);
    }
    for (a, b) in [(&mut into.rewrites, &from.rewrites), (&mut into.scans, &from.scans), (&mut into.builds, &from.builds)] {
        a.extend(b.iter().cloned());
        a.sort();
        a.dedup();
    }
}

/// The line names the object: its table and its column, each as a whole word.
pub(in crate::shadow) fn is_about(line: &str, object: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let named = |name: &str| {
        line.match_indices(name).any(|(i, _)| {
            let (before, after) = (line[..i].chars().next_back(), line[i + name.len()..].chars().next());
            !name.is_empty() && !before.is_some_and(word) && !after.is_some_and(word)
        })
    };
    object.rsplit('.').take(2).enumerate().all(|(i, name)| named(name) || i == 1 && object.split('.').count() == 2)
}

/// Runs statements as the runner would.
pub(in crate::shadow) fn play(session: &mut Session, statements: &[String], transaction: bool) -> Result<(), SqlError> {
    if transaction {
        session.run("BEGIN")?;
    }
    for s in statements {
        if let Err(e) = session.run(s) {
            if transaction {
                let _ = session.run("ROLLBACK");
            }
            return Err(e);
        }
    }
    if transaction {
        session.run("COMMIT")?;
    }
    Ok(())
}
