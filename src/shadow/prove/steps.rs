//! The steps alone: undo of each, effects, the final catalog and data.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Column, RelName, Relation};
use crate::compat::Undo;
use crate::op::{LockMode, Volatility};
use crate::plan::{Actor, Boundary, PhaseKind, PredictedEffects, Release, Step};
use crate::quote::ident;

use super::super::error::ShadowError;
use super::super::observe::{Around, Observed, Observer};
use super::super::script::head;
use super::super::session::Session;
use super::super::snapshot::Snapshot;
use super::super::start::Database;
use super::release::Player;
use super::walk::{Leg, Walkers};
use super::{At, CheckId, Counterexample, Prover, Refused, Rows, StepReport, back};

/// A table's rows as N-1 reads them.
struct Kept {
    sql: String,
    rows: Vec<Vec<Option<String>>>,
}

/// No release is at work.
#[derive(Default)]
struct Nobody {
    /// Where the plan stopped, and why.
    stopped: Option<(String, Counterexample)>,
    /// Behind the first step of the contract.
    contracted: bool,
}

impl Walkers for Nobody {
    fn step(&mut self, prover: &mut Prover, db: &Database, leg: &Leg, step: &Step) -> Result<Option<Refused>, ShadowError> {
        let refused = prover.forward(&mut db.connect()?, step).err();
        self.contracted |= refused.is_none() && leg.phase.kind == PhaseKind::ContractSoft;
        Ok(refused)
    }

    fn stop(&mut self, _: &mut Prover, _: &Leg, step: &Step, problems: Vec<Counterexample>) {
        self.stopped = problems.into_iter().next().map(|p| (step.id.clone(), p));
    }
}

impl Prover<'_> {
    pub(super) fn quiet(&mut self, rows: &Rows, intended: &Snapshot) -> Result<(), ShadowError> {
        let twins = self.twins(rows)?;
        let mut db = self.shadow.copy(&rows.seeded)?;
        let mut now = Snapshot::take(&db)?;
        let (mut waits, mut backfills) = (false, false);
        let mut done: Vec<&Step> = Vec::new();
        for phase in &self.plan.phases {
            for step in &phase.steps {
                (self.progress)(&format!("step {}", step.id));
                let looked = self.blocking(&db, step)?;
                waits |= looked.waits;
                if looked.spoiled {
                    db = self.again(rows, &done)?;
                }
                if self.is_backfill(phase.kind, step) {
                    backfills = true;
                    self.backfill(&db, step, &twins)?;
                }
                if self.undone(&db, &now, step)? {
                    db = self.again(rows, &done)?;
                }
                let kept = self.kept_rows(&db, phase.kind, step)?;
                let problems = self.observe(&db, phase.kind, step)?;
                self.check(CheckId::Effects, At::about(&step.id), problems, "locks and rewrites as predicted");
                if let Some(kept) = kept {
                    self.still_there(&db, step, &kept)?;
                }
                if self.enough() {
                    return Ok(());
                }
                done.push(step);
                now = Snapshot::take(&db)?;
            }
            self.lost_after(&db, phase.kind, rows, &twins)?;
        }
        if !waits {
            self.not_run(
                CheckId::Blocking,
                At::default(),
                false,
                "no step takes a lock that blocks reads or writes of a table that was there",
            );
        }
        if !backfills {
            self.not_run(CheckId::Backfill, At::default(), false, "the plan fills no rows");
        }
        let (mut problems, mut declared) = (Vec::new(), 0);
        for c in intended.changes(&now) {
            let line = c.line.to_string();
            if self.plan.deviations.iter().any(|d| super::is_about(&line, &d.object)) {
                declared += 1;
            } else {
                problems.push(Counterexample::new(format!("{}: {line}", if c.removed { "missing" } else { "left over" })));
            }
        }
        let words = if declared == 0 {
            "equal to the direct migration".to_string()
        } else {
            format!("equal to the direct migration but for {} declared differences", self.plan.deviations.len())
        };
        self.check(CheckId::FinalCatalog, At::default().boundary(Boundary::B4), problems, words);
        self.final_data(rows, &db)
    }

    /// Rows of N-1 that a step must leave alone: one that no way leads back from, while N-1 is still at work.
    fn kept_rows(&self, db: &Database, phase: PhaseKind, step: &Step) -> Result<Option<Vec<Kept>>, ShadowError> {
        if phase >= PhaseKind::ContractSoft || step.one_way.is_none() {
            return Ok(None);
        }
        let mut session = db.connect()?;
        let before = &self.input.catalog_before;
        let rels = self.touched.iter().filter_map(|t| before.relation_named(&t.schema, &t.name));
        let kept = rels.map(|r| {
            let columns =
                r.columns.iter().filter(|c| !self.is_moving(&r.rel_name(), c.attnum)).map(|c| format!("{}::text", ident(&c.name)));
            let sql = format!("SELECT {} FROM {}", columns.collect::<Vec<_>>().join(", "), r.rel_name().sql());
            let rows = session.rows(&sql).unwrap_or_default();
            Kept { sql, rows }
        });
        Ok(Some(kept.collect()))
    }

    fn still_there(&mut self, db: &Database, step: &Step, kept: &[Kept]) -> Result<(), ShadowError> {
        let mut session = db.connect()?;
        let mut problems = Vec::new();
        for k in kept {
            let now = session.rows(&k.sql).unwrap_or_default();
            if let Some(row) = k.rows.iter().find(|r| !now.contains(r)) {
                let what = "no way leads back from the step, N-1 is still at work, and this row of its own is another one or gone";
                problems.push(Counterexample::new(what).row(row).statement(step.statements.join("; ")));
            }
        }
        let at = At::about(&step.id).release(Release::Old);
        self.check(CheckId::Undo, at, problems, "one way, and the rows of N-1 are what they were");
        Ok(())
    }

    /// The database as it is behind these steps.
    fn again(&self, rows: &Rows, steps: &[&Step]) -> Result<Database, ShadowError> {
        let db = self.shadow.copy(&rows.seeded)?;
        for s in steps {
            // What refuses to run is told where it was run first.
            let _ = self.forward(&mut db.connect()?, s);
        }
        Ok(db)
    }

    /// The step and its undo; a step outside of a transaction is also undone after each part of it. `true`: the database is not what it was.
    fn undone(&mut self, db: &Database, now: &Snapshot, step: &Step) -> Result<bool, ShadowError> {
        let mut problems = self.preconditions(&mut db.connect()?, step);
        if step.one_way.is_some() {
            self.check(CheckId::Undo, At::about(&step.id), problems, "one way, as the plan says");
            return Ok(false);
        }
        let all = step.statements.len();
        let parts = if step.transaction { all..=all } else { 1.min(all)..=all };
        let mut spoiled = false;
        for n in parts {
            // What gives everything back needs no copy.
            let copy = if step.undo_verdict == Undo::Lossless { None } else { Some(self.shadow.copy(db)?) };
            let on = copy.as_ref().unwrap_or(db);
            let data = self.data(&mut on.connect()?);
            let mut session = on.connect()?;
            let part = Step { statements: step.statements[..n].to_vec(), ..step.clone() };
            if let Err(e) = self.forward(&mut session, &part) {
                problems.push(e.counterexample("the step is refused"));
            } else if let Err(e) = back(&mut session, step) {
                let what = if n < all { format!("the undo is refused after statement {n}") } else { "the undo is refused".into() };
                problems.push(e.counterexample(&what));
            } else {
                drop(session);
                let last = step.statements.get(n.saturating_sub(1)).cloned().unwrap_or_default();
                problems.extend(now.changes(&Snapshot::take(on)?).iter().map(|c| {
                    let what = format!("after the undo: {} {}", if c.removed { "missing" } else { "left over" }, c.line);
                    Counterexample::new(what).statement(last.clone())
                }));
                // A loss that the plan declares is none that it hides.
                if problems.is_empty() && step.undo_verdict == Undo::Lossless && self.data(&mut on.connect()?) != data {
                    problems.push(Counterexample::new("after the undo the rows of before have other values"));
                }
            }
            if !problems.is_empty() {
                spoiled = copy.is_none();
                break;
            }
        }
        self.check(CheckId::Undo, At::about(&step.id), problems, "the schema and the rows of before are back");
        Ok(spoiled)
    }

    /// Rows after the plan and after the direct migration, where that takes the rows.
    fn final_data(&mut self, rows: &Rows, planned: &Database) -> Result<(), ShadowError> {
        let at = At::default().boundary(Boundary::B4);
        if let Some(why) = &rows.refused {
            return self.what_stays(rows, planned, why);
        }
        let (compared, problems) = self.same_end(&rows.direct, planned, End::OfRows)?;
        self.check(CheckId::FinalData, at, problems, format!("{compared} rows end as in the direct migration{}", self.left_out()));
        Ok(())
    }

    /// Both at the end: how many rows are the same, and rows that only one of them has.
    pub(super) fn same_end(&self, direct: &Database, planned: &Database, end: End) -> Result<(usize, Vec<Counterexample>), ShadowError> {
        let (mut a, mut b) = (direct.connect()?, planned.connect()?);
        let (mut compared, mut problems) = (0, Vec::new());
        let (before, after) = (&self.input.catalog_before, &self.input.catalog_after);
        let there: Vec<&Relation> = self
            .touched
            .iter()
            .filter_map(|n| before.relation_named(&n.schema, &n.name).and_then(|r| after.relation(r.id)))
            .chain(after.relations.values().filter(|r| r.kind.is_table() && before.relation(r.id).is_none()).map(|r| &**r))
            .collect();
        for rel in there {
            let was = before.relation(rel.id);
            // A default that is another one each time is equal by chance only; the next number of a sequence is no chance.
            let chance = |c: &Column| c.default_volatility.is_some_and(|v| v != Volatility::Immutable) && !is_numbered(c);
            let left_out = |c: &Column| {
                let new = was.is_none_or(|r| !r.columns.iter().any(|o| o.attnum == c.attnum));
                chance(c)
                    || new && is_made(after, rel, &c.name)
                    || was.is_some_and(|r| self.is_moving(&r.rel_name(), c.attnum) || end == End::OfOldWrites && is_derived(r, rel, c))
            };
            let columns: Vec<String> = rel.columns.iter().filter(|c| !left_out(c)).map(|c| format!("{}::text", ident(&c.name))).collect();
            // A row as text tells NULL from empty, and one column from the next.
            let sql = format!("SELECT ROW({})::text FROM {} ORDER BY 1", columns.join(", "), rel.rel_name().sql());
            let what = format!("{}: {end} the direct migration and the plan end with other rows", rel.rel_name());
            match same_rows((&mut a, &sql), (&mut b, &sql), &what) {
                Ok(n) => compared += n,
                Err(p) => problems.push(p),
            }
        }
        Ok((compared, problems))
    }

    /// The migration takes no row at all, so there is no end to compare with. What it leaves alone must be there.
    fn what_stays(&mut self, rows: &Rows, planned: &Database, why: &str) -> Result<(), ShadowError> {
        let (mut a, mut b) = (rows.seeded.connect()?, planned.connect()?);
        let (mut problems, mut compared) = (Vec::new(), 0);
        for name in &self.touched {
            let Some(old) = self.input.catalog_before.relation_named(&name.schema, &name.name) else { continue };
            let Some(new) = self.input.catalog_after.relation(old.id) else { continue };
            let same = old
                .columns
                .iter()
                .filter(|c| !self.is_moving(name, c.attnum))
                .filter_map(|c| Some((c, new.columns.iter().find(|n| n.attnum == c.attnum && n.ty == c.ty)?)));
            let (x, y): (Vec<String>, Vec<String>) =
                same.map(|(c, n)| (format!("{}::text", ident(&c.name)), format!("{}::text", ident(&n.name)))).unzip();
            let ask = |columns: &[String], on: RelName| format!("SELECT ROW({})::text FROM {} ORDER BY 1", columns.join(", "), on.sql());
            let (one, other) = (ask(&x, old.rel_name()), ask(&y, new.rel_name()));
            let what = format!("{name}: columns that the migration leaves alone hold something else after the plan");
            match same_rows((&mut a, &one), (&mut b, &other), &what) {
                Ok(n) => compared += n,
                Err(p) => problems.push(p),
            }
        }
        let words = format!("the migration itself takes no row ({why}); {compared} rows keep what it leaves alone{}", self.left_out());
        self.check(CheckId::FinalData, At::default().boundary(Boundary::B4), problems, words);
        Ok(())
    }

    /// Rows that the migration itself refuses: the plan stops at a precondition, or at a step that changes nothing, and N-1 goes on.
    pub(super) fn refused_rows(&mut self, seeded: &Database, why: &str, old: &mut Player) -> Result<(), ShadowError> {
        let db = self.shadow.copy(seeded)?;
        let mut nobody = Nobody::default();
        self.walk(&db, PhaseKind::ContractSoft, &mut nobody)?;
        let (problems, words) = match nobody.stopped {
            None => (Vec::new(), format!("the direct migration is refused on some rows ({why}); the plan takes them")),
            // Once the contract has begun N-1 is gone: what counts is that nothing was lost before.
            Some((id, p)) => {
                let (problems, _) = if nobody.contracted { (Vec::new(), 0) } else { old.shapes(&mut db.connect()?, false, &[]) };
                (problems, format!("on rows that the direct migration refuses ({why}), the plan stops before {id} and N-1 goes on: {p}"))
            }
        };
        self.check(CheckId::FinalData, At::about("rows that the migration refuses").release(Release::Old), problems, words);
        Ok(())
    }

    pub(super) fn preconditions(&self, session: &mut Session, step: &Step) -> Vec<Counterexample> {
        step.preconditions
            .iter()
            .filter_map(|p| match session.rows(&p.sql) {
                Ok(rows) => {
                    let first = rows.first()?;
                    let what = format!("precondition `{}` does not hold: {} rows", p.title, rows.len());
                    Some(Counterexample::new(what).row(first).statement(p.sql.clone()))
                }
                Err(e) => Some(Counterexample::refused(format!("precondition `{}`", p.title), &e, &p.sql)),
            })
            .collect()
    }

    /// Runs the step and compares what it does with what was predicted.
    fn observe(&mut self, db: &Database, phase: PhaseKind, step: &Step) -> Result<Vec<Counterexample>, ShadowError> {
        let mut problems = Vec::new();
        if step.actor == Actor::Application {
            problems.extend(self.forward(&mut db.connect()?, step).err().map(|e| e.counterexample("the application's job")));
            return Ok(problems);
        }
        let there = relations(&mut db.connect()?);
        let (mut predicted, mut seen) = (PredictedEffects::default(), PredictedEffects::default());
        for (i, (observed, sql)) in watch(db, step)?.iter().zip(&step.statements).enumerate() {
            if let Some(e) = &observed.error {
                problems.push(Counterexample::refused("refused", e, sql));
                break;
            }
            let report = StepReport {
                phase: phase.to_string(),
                file: step.file.clone(),
                statement: head(sql),
                predicted: step.predicted.get(i).cloned().unwrap_or_default(),
                observed: (&observed.effects).into(),
                milliseconds: observed.took.as_millis() as u64,
                step: step.id.clone(),
                part: i,
                at_size: None,
            };
            predicted.merge(&report.predicted);
            seen.merge(&report.observed);
            // What goes is locked when nobody uses it any more, for so short that one sees it only at times.
            let goes = ["DROP INDEX", "REINDEX"].iter().any(|c| sql.starts_with(c)) || sql.contains(" DETACH PARTITION ");
            if goes && sql.contains(" CONCURRENTLY") {
                [&mut predicted, &mut seen].into_iter().for_each(|e| e.locks.retain(|_, m| *m < LockMode::AccessExclusive));
            }
            let slow: Vec<&String> = report.observed.rewrites.iter().chain(&report.observed.scans).collect();
            for r in slow {
                if seen.locks.get(r).is_some_and(|m| m.blocks_writes()) {
                    let what = format!("{r} is read or written in full while it is locked {}", seen.locks[r].sql());
                    problems.push(Counterexample::new(what).statement(sql.clone()));
                }
            }
            self.steps.push(report);
        }
        // Nobody waits for what the step itself makes; and which of two tables a name means that changes hands is not told.
        let kept: BTreeSet<String> = relations(&mut db.connect()?).intersection(&there).filter_map(|(_, name)| name.clone()).collect();
        // Locks that let writes through depend on the server's plan for a query; the others are a promise.
        let strong = |e: &PredictedEffects| {
            e.locks
                .iter()
                .filter(|(r, m)| **m >= LockMode::Share && kept.contains(*r))
                .map(|(r, m)| format!("{r} {}", m.sql()))
                .collect::<BTreeSet<_>>()
        };
        let (p, s) = (strong(&predicted), strong(&seen));
        if problems.is_empty() && p != s {
            problems.push(Counterexample::new(format!("predicted {p:?}, observed {s:?}")));
        }
        if predicted.rewrites != seen.rewrites && problems.is_empty() {
            let what = format!("rewrites: predicted {:?}, observed {:?}", predicted.rewrites, seen.rewrites);
            problems.push(Counterexample::new(what));
        }
        Ok(problems)
    }
}

/// Runs the statements of a step as the runner would, up to one that is refused, and says what each did.
pub(super) fn watch(db: &Database, step: &Step) -> Result<Vec<Observed>, ShadowError> {
    let mut o = Observer::new(db)?;
    if step.transaction {
        o.session.run("BEGIN").map_err(ShadowError::sql("begin"))?;
    }
    let mut out: Vec<Observed> = Vec::new();
    for sql in &step.statements {
        out.push(match (step.transaction, is_block(sql)) {
            (true, _) => o.run(sql, None, Around::Transaction),
            (false, true) => o.pass(sql),
            (false, false) => o.run(sql, None, Around::Nothing),
        });
        if out.last().is_some_and(|seen| seen.error.is_some()) {
            break;
        }
    }
    if step.transaction && out.iter().all(|seen| seen.error.is_none()) {
        o.session.run("COMMIT").map_err(ShadowError::sql("commit"))?;
    } else if step.transaction {
        let _ = o.session.run("ROLLBACK");
    }
    Ok(out)
}

/// Relations with their names.
fn relations(session: &mut Session) -> BTreeSet<(Option<String>, Option<String>)> {
    let sql = "SELECT c.oid::text, n.nspname || '.' || c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace";
    let rows = session.rows(sql).unwrap_or_default();
    rows.into_iter().filter_map(|r| <[Option<String>; 2]>::try_from(r).ok()).map(|[id, name]| (id, name)).collect()
}

/// A sequence or a default that is another one each time makes the column's values, there or in a table above.
fn is_made(catalog: &Catalog, rel: &Relation, column: &str) -> bool {
    let Some(c) = rel.column(column) else { return false };
    let drawn = c.identity.is_some() || c.serial.is_some() || c.default_volatility.is_some_and(|v| v != Volatility::Immutable);
    drawn || rel.parents.iter().filter_map(|p| catalog.relation(*p)).any(|p| is_made(catalog, p, column))
}

/// The answers of two queries are the same rows: how many. Else a row that only one of them has.
fn same_rows(one: (&mut Session, &str), other: (&mut Session, &str), what: &str) -> Result<usize, Counterexample> {
    let ask = |(session, sql): (&mut Session, &str)| session.rows(sql).map_err(|e| Counterexample::refused(what, &e, sql));
    let (x, y) = (ask(one)?, ask(other)?);
    if x == y {
        return Ok(x.len());
    }
    let alone = x.iter().find(|r| !y.contains(r)).or_else(|| y.iter().find(|r| !x.contains(r)));
    let what = format!("{what} ({} and {} rows); only one has this row", x.len(), y.len());
    Err(Counterexample::new(what).row(alone.map_or(&[][..], |r| r.as_slice())))
}

/// What two ends come from.
#[derive(Clone, Copy, PartialEq, Eq, strum::Display)]
pub(super) enum End {
    #[strum(serialize = "on the same rows")]
    OfRows,
    #[strum(serialize = "behind the same writes of N-1")]
    OfOldWrites,
}

/// A new column of a table that keeps all that it had: what it is derived from is still there, and release N may derive it otherwise.
fn is_derived(before: &Relation, after: &Relation, c: &Column) -> bool {
    let kept = |old: &Column| after.columns.iter().any(|n| n.attnum == old.attnum);
    before.columns.iter().all(kept) && !before.columns.iter().any(|old| old.attnum == c.attnum)
}

/// Its values come from a sequence.
fn is_numbered(c: &Column) -> bool {
    c.serial.is_some() || c.identity.is_some()
}

/// `DO …`: it may commit in the middle, so nobody can put a transaction around it.
pub(super) fn is_block(sql: &str) -> bool {
    sql.trim_start().get(..2).is_some_and(|w| w.eq_ignore_ascii_case("do"))
}

/// Its name among the tables of before, as the plan's predictions write it.
pub(super) fn named<'t>(tables: impl IntoIterator<Item = &'t RelName>, name: &str) -> Option<&'t RelName> {
    tables.into_iter().find(|t| t.to_string() == name)
}
