//! Proves a plan: both releases' statements run at every boundary, writes of both are interleaved with the backfill, every step is
//! undone, and the end is compared with the migration run directly. `checks` is the list of what is shown.

mod alone;
mod application;
mod backfill;
mod blocking;
mod busy;
#[cfg(test)]
mod catalogue_test;
pub mod checks;
#[cfg(test)]
mod controls_test;
pub mod down;
#[cfg(test)]
mod generated_test;
mod held;
mod lost;
mod moving;
mod mutate;
#[cfg(test)]
mod partitions_test;
mod queries;
mod release;
mod report;
mod rights;
mod steps;
#[cfg(test)]
mod tests;
mod times;
#[cfg(test)]
mod times_test;
mod walk;
#[cfg(test)]
mod ways_back_test;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::catalog::{Catalog, ConKind, RelName};
use crate::compat::KnownQuery;
use crate::history::Script;
use crate::op::{LockMode, OpKind};
use crate::plan::{Boundary, Plan, Release, Step};
use crate::stats::Stats;

use super::error::ShadowError;
use super::fitting::Fitting;
use super::load::Runner;
use super::seed::{Profile, SeedOptions, Seeded, seed};
use super::session::{Session, SqlError};
use super::snapshot::Snapshot;
use super::start::{Database, Shadow};

pub use checks::CheckId;
pub use mutate::{Mutation, self_test};
pub use report::{Counterexample, Finding, Proof, Status, StepReport, Summary, Verdict};

use moving::Moving;
use queries::Queries;
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
    /// Queries of release N-1.
    pub workload: Vec<KnownQuery>,
    /// Sizes of the real tables.
    pub statistics: Option<Stats>,
}

/// Hears what is being done, in a few words, from several threads.
pub type Progress<'a> = &'a (dyn Fn(&str) + Sync);

pub fn prove(shadow: &Shadow, plan: &Plan, input: &ProofInput, progress: Progress) -> Result<Proof, ShadowError> {
    run(shadow, plan, input, progress, touched(plan, input), false)
}

/// `first`: one failure is enough.
fn run(
    shadow: &Shadow,
    plan: &Plan,
    input: &ProofInput,
    progress: Progress,
    touched: BTreeSet<RelName>,
    first: bool,
) -> Result<Proof, ShadowError> {
    let (plan, failed) = (&crate::plan::as_sent(plan), &AtomicBool::new(false));
    let mut p = Prover {
        shadow,
        plan,
        input,
        progress,
        first,
        failed,
        touched,
        moving: Moving::new(),
        findings: Vec::new(),
        steps: Vec::new(),
        no_times: None,
    };
    let end = p.run();
    shadow.still_well()?;
    end?;
    Ok(Proof { no_times: p.no_times, ..Proof::new(shadow.version(), p.findings, p.steps) })
}

struct Prover<'a> {
    shadow: &'a Shadow,
    plan: &'a Plan,
    input: &'a ProofInput,
    progress: Progress<'a>,
    first: bool,
    /// A check has failed, in whichever thread.
    failed: &'a AtomicBool,
    touched: BTreeSet<RelName>,
    moving: Moving,
    findings: Vec<Finding>,
    steps: Vec<StepReport>,
    no_times: Option<String>,
}

/// Where and about what a check was made.
#[derive(Clone, Copy, Default)]
struct At<'s> {
    about: &'s str,
    boundary: Option<Boundary>,
    release: Option<Release>,
}

impl<'s> At<'s> {
    fn about(about: &'s str) -> Self {
        At { about, ..At::default() }
    }

    fn boundary(mut self, b: Boundary) -> Self {
        self.boundary = Some(b);
        self
    }

    fn release(mut self, r: Release) -> Self {
        self.release = Some(r);
        self
    }
}

/// Rows for the proof.
struct Rows {
    /// The schema before, with rows.
    seeded: Database,
    /// The same after the migration itself; without rows where it takes none.
    direct: Database,
    filled: Seeded,
    /// The migration takes no rows, for this reason.
    refused: Option<String>,
}

/// Rows that the migration refuses, with Postgres's words.
type RowsRefused = (Database, String);

impl Prover<'_> {
    fn check(&mut self, check: CheckId, at: At, problems: Vec<Counterexample>, passed: impl Into<String>) {
        let (status, detail) = if problems.is_empty() {
            (Status::Pass, passed.into())
        } else {
            (Status::Fail, problems.iter().map(|p| p.to_string()).collect::<Vec<_>>().join("\n"))
        };
        self.note(check, at, status, false, detail, problems);
    }

    /// Something has failed, and that is all that was asked.
    fn enough(&self) -> bool {
        self.first && self.failed.load(Ordering::Relaxed)
    }

    /// `gap`: the plan needs it.
    fn not_run(&mut self, check: CheckId, at: At, gap: bool, why: impl Into<String>) {
        self.note(check, at, Status::NotRun, gap, why.into(), Vec::new());
    }

    fn note(&mut self, check: CheckId, at: At, status: Status, gap: bool, detail: String, counterexamples: Vec<Counterexample>) {
        let At { about, boundary, release } = at;
        self.failed.fetch_or(status == Status::Fail, Ordering::Relaxed);
        self.findings.push(Finding { check, about: about.into(), boundary, release, status, gap, detail, counterexamples });
    }

    /// Nothing can be looked at.
    fn nothing(&mut self, why: &str) {
        use strum::IntoEnumIterator;
        for c in CheckId::iter().filter(|c| *c != CheckId::NegativeControl) {
            self.not_run(c, At::default(), true, why);
        }
    }

    /// The touched tables, and those that release N's foreign keys refer to: N writes references to rows that are there.
    fn seeded(&self) -> BTreeSet<RelName> {
        let (before, after) = (&self.input.catalog_before, &self.input.catalog_after);
        let mut out = self.touched.clone();
        for r in self.touched.iter().filter_map(|t| before.relation_named(&t.schema, &t.name)).filter_map(|r| after.relation(r.id)) {
            for c in &r.constraints {
                if let ConKind::ForeignKey { table, .. } = &c.kind {
                    out.extend(before.relation(*table).map(|other| other.rel_name()));
                }
            }
        }
        out
    }

    fn run(&mut self) -> Result<(), ShadowError> {
        (self.progress)("loading the schema before the migration");
        let (base, failures) = self.shadow.prepared(&self.input.before)?;
        if let Some(f) = failures.first() {
            self.nothing(&format!("the schema before the migration does not load: {f}"));
            return Ok(());
        }
        (self.progress)("filling the tables");
        let Some((rows, refused)) = self.rows(&base)? else { return Ok(()) };
        for (table, why) in &rows.filled.failed {
            let words = format!("{table} took no row, so nothing is known about its rows: {why}");
            for c in [CheckId::DualWrites, CheckId::FinalData] {
                self.not_run(c, At::about(&table.to_string()), self.touched.contains(table), words.clone());
            }
        }
        let (before, after) = (&self.input.catalog_before, &self.input.catalog_after);
        let mut old = Player::new(Release::Old, before, after, &self.touched);
        let mut new = Player::new(Release::New, after, before, &self.touched);
        let reference = self.shadow.copy(&rows.seeded)?;
        old.learn(&reference)?;
        self.moving = self.moving_columns(&mut reference.connect()?);
        if let Some((daring, why)) = refused {
            self.refused_rows(&daring, &why, &mut old)?;
        }
        let intended = Snapshot::take(&rows.direct)?;
        if self.enough() {
            return Ok(());
        }
        // What fails for a release on its own schema says nothing about the plan.
        let own = self.shadow.copy(&rows.direct)?;
        let options = SeedOptions { rows: times::checked(self.input.rows), seed: self.input.seed, ..SeedOptions::default() };
        seed(&mut own.connect()?, &self.touched, &options)?;
        new.learn(&own)?;
        let mut roles = self.roles(&reference, &own, &old, &new)?;
        let between = self.in_between();
        let queries = Queries::learn(&self.input.workload, before, &mut reference.connect()?)?;
        for (player, which) in [(&old, "N-1"), (&new, "N")] {
            let (all, works) = player.known();
            if all > 0 && works == 0 {
                self.not_run(
                    CheckId::ReleaseStatements,
                    At::default().release(player.release),
                    true,
                    format!("none of the {all} statements of {which} works on its own schema, so nothing is known"),
                );
            }
        }
        if self.touched.is_empty() {
            let why = "the plan changes no table that was there before";
            for c in [CheckId::ReleaseStatements, CheckId::DualWrites, CheckId::HeldSessions] {
                self.not_run(c, At::default(), false, why);
            }
        }
        self.side_by_side(&rows, &intended, (old, new), &mut roles, (&queries, between))?;
        self.times(&base)
    }

    /// The steps alone and the steps with both releases at work, each on copies of its own.
    fn side_by_side(
        &mut self,
        rows: &Rows,
        intended: &Snapshot,
        (old, new): (Player, Player),
        roles: &mut [(Player, Player)],
        queries: (&Queries, BTreeMap<Boundary, Player>),
    ) -> Result<(), ShadowError> {
        // Copied before anybody looks into the original: a database in use is not copied.
        let db = self.shadow.copy(&rows.seeded)?;
        let two = if rows.refused.is_none() { Some((self.shadow.copy(&rows.seeded)?, self.shadow.copy(&rows.seeded)?)) } else { None };
        let writer = old.second();
        let (mut steps, mut both, mut alone) = (self.part(), self.part(), self.part());
        let ends = std::thread::scope(|s| {
            let started = [
                s.spawn(|| steps.quiet(rows, intended)),
                s.spawn(|| both.busy(&db, old, new, roles, queries)),
                s.spawn(|| match &two {
                    Some((planned, direct)) => alone.only_old_writes(planned, direct, writer),
                    None => Ok(()),
                }),
            ];
            started.map(|t| t.join())
        });
        for part in [steps, both, alone] {
            self.findings.extend(part.findings);
            self.steps.extend(part.steps);
        }
        ends.into_iter().try_for_each(|end| end.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }

    /// One that makes findings of its own.
    fn part(&self) -> Self {
        let (touched, moving) = (self.touched.clone(), self.moving.clone());
        Prover { touched, moving, findings: Vec::new(), steps: Vec::new(), no_times: None, ..*self }
    }

    /// Rows that the migration itself takes, as daring as they may be: only on those can the two ends be compared. Beside them the first
    /// rows that it refuses, with its words. `None`: it is refused without any row.
    fn rows(&mut self, base: &Database) -> Result<Option<(Rows, Option<RowsRefused>)>, ShadowError> {
        let mut refused: Option<(Database, String, Seeded)> = None;
        for profile in [Profile::Edges, Profile::Ordinary, Profile::Careful] {
            let seeded = self.shadow.copy(base)?;
            let mut options =
                SeedOptions { rows: times::checked(self.input.rows), seed: self.input.seed, profile, ..SeedOptions::default() };
            if profile == Profile::Careful {
                options.fit = self.fitting();
            }
            let filled = seed(&mut seeded.connect()?, &self.seeded(), &options)?;
            let end = self.shadow.copy(&seeded)?;
            match Runner::new(&end)?.script(&self.input.direct)?.first() {
                None => {
                    let rows = Rows { seeded, direct: end, filled, refused: None };
                    return Ok(Some((rows, refused.map(|(db, why, _)| (db, why)))));
                }
                Some(f) if f.error.is_stopped() => {
                    self.nothing(&format!("the migration itself is refused: {f}"));
                    return Ok(None);
                }
                Some(f) if refused.is_none() => refused = Some((seeded, f.error.message.clone(), filled)),
                Some(_) => {}
            }
        }
        // The intended end, without rows.
        let direct = self.shadow.copy(base)?;
        if let Some(f) = Runner::new(&direct)?.script(&self.input.direct)?.first() {
            self.nothing(&format!("the migration itself is refused: {f}"));
            return Ok(None);
        }
        let Some((seeded, why, filled)) = refused else { return Ok(None) };
        Ok(Some((Rows { seeded, direct, filled, refused: Some(why) }, None)))
    }

    fn fitting(&self) -> Fitting {
        Fitting::of(&self.input.catalog_before, &self.input.catalog_after)
    }

    /// Every role that was given rights on a touched table, as a player of each release.
    fn roles(&mut self, reference: &Database, own: &Database, old: &Player, new: &Player) -> Result<Vec<(Player, Player)>, ShadowError> {
        let mut session = reference.connect()?;
        let before = &self.input.catalog_before;
        let tables = self.touched.iter().filter_map(|t| before.relation_named(&t.schema, &t.name));
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for r in tables {
            let acls = r.grants.iter().chain(r.columns.iter().flat_map(|c| &c.grants));
            names.extend(acls.map(|a| a.grantee.as_str()).filter(|g| r.owner.as_deref() != Some(*g)));
        }
        let mut out = Vec::new();
        for name in names {
            // PUBLIC is nobody whom a session could be: its rights are part of everybody's.
            if name.eq_ignore_ascii_case("public") {
                continue;
            }
            let role = crate::quote::ident(name);
            if let Err(e) = session.run(&format!("SET ROLE {role}")) {
                let at = At::about(name);
                self.not_run(CheckId::ReleaseStatements, at, true, format!("its statements cannot be run as it: {}", e.message));
                continue;
            }
            session.run("RESET ROLE").map_err(ShadowError::sql("reset the role"))?;
            let (mut a, mut b) = (old.as_role(name), new.as_role(name));
            a.learn(reference)?;
            b.learn(own)?;
            out.push((a, b));
        }
        Ok(out)
    }

    /// Rows of the touched tables, by the columns of before.
    fn data(&self, session: &mut Session) -> Vec<Vec<Vec<Option<String>>>> {
        let mut out = Vec::new();
        for name in &self.touched {
            let Some(rel) = self.input.catalog_before.relation_named(&name.schema, &name.name) else { continue };
            for c in rel.columns.iter().filter(|c| !self.is_moving(name, c.attnum)) {
                let sql = format!("SELECT {0}::text FROM {1} ORDER BY 1", crate::quote::ident(&c.name), name.sql());
                out.push(session.rows(&sql).unwrap_or_default());
            }
        }
        out
    }
}

/// Tables that were there and that the migration or a step of the plan changes or locks.
fn touched(plan: &Plan, input: &ProofInput) -> BTreeSet<RelName> {
    let (before, after) = (&input.catalog_before, &input.catalog_after);
    let changed = before
        .relations
        .values()
        .filter(|r| r.kind.is_table() && after.relations.get(&r.id).is_none_or(|a| !std::sync::Arc::ptr_eq(a, r) && **a != ***r));
    let mut out: BTreeSet<RelName> = changed.map(|r| r.rel_name()).collect();
    out.extend(written(input));
    // What is only locked (an index is built, a foreign key comes in, rows are deleted) is written and read as well.
    let locked: BTreeSet<&String> = plan
        .phases
        .iter()
        .flat_map(|p| &p.steps)
        .flat_map(|s| &s.predicted)
        .flat_map(|e| &e.locks)
        .filter(|(_, m)| **m >= LockMode::RowExclusive)
        .map(|(r, _)| r)
        .collect();
    out.extend(before.relations.values().filter(|r| r.kind.is_table()).map(|r| r.rel_name()).filter(|n| locked.contains(&n.to_string())));
    out
}

/// Tables whose rows the migration itself changes, whatever the plan makes of it.
fn written(input: &ProofInput) -> impl Iterator<Item = RelName> {
    let ops = crate::lower::lower(&input.direct.source, &input.direct.parts).into_iter().flat_map(|s| s.ops);
    let tables = ops.flat_map(|o| match o.kind {
        OpKind::Dml(d) => vec![d.table],
        OpKind::Truncate { tables, .. } => tables.into_iter().map(|(t, _)| t).collect(),
        OpKind::Copy { table, from: true, .. } => table.into_iter().collect(),
        _ => Vec::new(),
    });
    tables.filter_map(|t| input.catalog_before.relation_by(&t).filter(|r| r.kind.is_table()).map(|r| r.rel_name()))
}

/// A statement of a step that the server refused.
#[derive(Debug)]
struct Refused {
    error: SqlError,
    statement: String,
}

impl Refused {
    fn counterexample(&self, what: &str) -> Counterexample {
        Counterexample::refused(what, &self.error, &self.statement)
    }
}

fn forward(session: &mut Session, step: &Step) -> Result<(), Refused> {
    play(session, &step.statements, step.transaction)
}

fn back(session: &mut Session, step: &Step) -> Result<(), Refused> {
    play(session, &step.undo, step.undo_transaction)
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
    let parts: Vec<&str> = object.split('.').collect();
    // `schema.table.column`: another table may have a column of that name.
    parts.iter().skip(usize::from(parts.len() > 1)).all(|name| named(name))
}

/// Runs statements as the runner would.
fn play(session: &mut Session, statements: &[String], transaction: bool) -> Result<(), Refused> {
    let refused = |sql: &str| {
        let statement = sql.to_string();
        move |error| Refused { error, statement }
    };
    if transaction {
        session.run("BEGIN").map_err(refused("BEGIN"))?;
    }
    for s in statements {
        if let Err(e) = session.run(s) {
            if transaction {
                let _ = session.run("ROLLBACK");
            }
            return Err(refused(s)(e));
        }
    }
    if transaction {
        session.run("COMMIT").map_err(refused("COMMIT"))?;
    }
    Ok(())
}
