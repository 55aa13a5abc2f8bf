//! A backfill is killed, goes on, and is run once more; other columns stay as they were.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::catalog::RelName;
use crate::compat::Undo;
use crate::plan::{Actor, PhaseKind, Step};
use crate::quote::{ident, literal};

use super::super::error::ShadowError;
use super::super::session::Session;
use super::super::start::Database;
use super::lost::Twin;
use super::steps::is_block;
use super::{At, CheckId, Counterexample, Prover, forward};

/// Rows of a batch here, so that few rows are many batches.
const BATCH: u32 = 3;
const KILLS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(20);

impl Prover<'_> {
    /// A block of the migration runner's that commits as it goes.
    pub(super) fn is_backfill(&self, phase: PhaseKind, step: &Step) -> bool {
        phase == PhaseKind::Migrate && !step.transaction && step.actor == Actor::Migration && step.statements.iter().any(|s| is_block(s))
    }

    pub(super) fn backfill(&mut self, db: &Database, step: &Step, twins: &[Twin]) -> Result<(), ShadowError> {
        let small = self.in_small_batches(step);
        let copy = self.shadow.copy(db)?;
        let mut problems = Vec::new();
        let (kept, _) = self.other_columns(&mut copy.connect()?, step, twins);
        let mut rng = fastrand::Rng::with_seed(self.input.seed ^ 0xb0f1);
        let mut kills = 0;
        for _ in 0..KILLS {
            kills += usize::from(self.kill(&copy, &small, &mut rng)?);
        }
        // Then it is left alone: what a killed one has left undone it has to do.
        if let Err(e) = forward(&mut copy.connect()?, &small) {
            problems.push(e.counterexample(&format!("run again after {kills} kills")));
        }
        let (now, names) = self.other_columns(&mut copy.connect()?, step, twins);
        for ((a, b), name) in kept.iter().zip(&now).zip(&names) {
            if let Some(row) = a.iter().find(|r| !b.contains(r)) {
                problems.push(Counterexample::new(format!("the backfill changes {name}, which it should leave alone")).row(row));
            }
        }
        let versions = self.versions(&mut copy.connect()?);
        if problems.is_empty() {
            if let Err(e) = forward(&mut copy.connect()?, step) {
                problems.push(e.counterexample("run once more, with nothing left to do"));
            }
            let after = self.versions(&mut copy.connect()?);
            let written = after.difference(&versions).count();
            if written > 0 {
                let what = format!("run once more, with nothing left to do, it writes {written} rows");
                problems.push(Counterexample::new(what).statement(step.statements.join("; ")));
            }
        }
        let words = format!("killed at {kills} batches, it goes on; run once more it writes no row; other columns stay");
        self.check(CheckId::Backfill, At::about(&step.id), problems, words);
        Ok(())
    }

    /// The same step with few rows a batch and a short pause. What a person has rewritten is run as it is.
    fn in_small_batches(&self, step: &Step) -> Step {
        let options = &self.plan.options;
        let pause = format!("pg_sleep({})", f64::from(options.pause_ms) / 1000.0);
        let statements = step
            .statements
            .iter()
            .map(|s| s.replace(&format!(" LIMIT {})", options.batch_size), &format!(" LIMIT {BATCH})")).replace(&pause, "pg_sleep(0.001)"))
            .collect();
        Step { statements, ..step.clone() }
    }

    /// Runs the step into a row that another session holds, and ends it there. `false`: it met none.
    fn kill(&self, db: &Database, step: &Step, rng: &mut fastrand::Rng) -> Result<bool, ShadowError> {
        let mut holder = db.connect()?;
        holder.run("BEGIN").map_err(ShadowError::sql("begin"))?;
        for t in &self.touched {
            let count = holder.value(&format!("SELECT count(*) FROM {}", t.sql())).ok().flatten().and_then(|v| v.parse::<u64>().ok());
            if let Some(n) = count.filter(|n| *n > 0) {
                let _ = holder.rows(&format!("SELECT 1 FROM {} OFFSET {} LIMIT 1 FOR UPDATE", t.sql(), rng.u64(..n)));
            }
        }
        let (mut session, mut look) = (db.connect()?, db.helper()?);
        let (pid, step) = (session.pid(), step.clone());
        let worker = std::thread::spawn(move || forward(&mut session, &step));
        let start = Instant::now();
        let mut killed = false;
        while !worker.is_finished() && start.elapsed() < PATIENCE {
            let waits = format!("SELECT wait_event_type = 'Lock' FROM pg_catalog.pg_stat_activity WHERE pid = {pid}");
            if matches!(look.value(&waits), Ok(Some(v)) if v == "t") {
                killed = look.run(&format!("SELECT pg_catalog.pg_terminate_backend({pid})")).is_ok();
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = holder.run("ROLLBACK");
        let end = worker.join().unwrap_or(Ok(()));
        // It may have got the row at the last moment.
        Ok(killed && end.is_err())
    }

    /// Rows of the columns that the step does not mean to change: those of N-1, unless the step says that it overwrites what is there.
    fn other_columns(&self, session: &mut Session, step: &Step, twins: &[Twin]) -> (Vec<Answer>, Vec<String>) {
        let (mut rows, mut names) = (Vec::new(), Vec::new());
        let text = step.statements.join(" ");
        for t in &self.touched {
            let Some(rel) = self.input.catalog_before.relation_named(&t.schema, &t.name) else { continue };
            let after = self.input.catalog_after.relation(rel.id);
            for c in &rel.columns {
                let kept =
                    after.and_then(|a| a.columns.iter().find(|n| n.attnum == c.attnum)).is_none_or(|n| n.name != c.name || n.ty != c.ty);
                // A column that stays may be one whose values the migration sets.
                let set = step.undo_verdict != Undo::Lossless && !kept && text.contains(&ident(&c.name));
                // Looked at row by row where rows can be found again; else by an update that says nothing new.
                let moves = match twins.iter().find(|w| w.is_of(t)) {
                    Some(twin) => twin.moves(&c.name),
                    None => self.moves(session, t, &c.name),
                };
                if !set && !moves {
                    let sql = format!("SELECT {0}::text FROM {1} ORDER BY 1", ident(&c.name), t.sql());
                    rows.push(session.rows(&sql).unwrap_or_default());
                    names.push(format!("{t}.{}", c.name));
                }
            }
        }
        (rows, names)
    }

    /// The application's own triggers change the column on every update.
    fn moves(&self, session: &mut Session, table: &RelName, column: &str) -> bool {
        let rel = self.input.catalog_before.relation_named(&table.schema, &table.name);
        let Some(still) = rel.and_then(|r| r.columns.iter().find(|c| c.generated.is_none() && c.identity.is_none())) else { return false };
        let c = ident(column);
        let ask = format!("SELECT {c}::text FROM {} ORDER BY 1", table.sql());
        let _ = session.run("BEGIN");
        let before = session.rows(&ask).unwrap_or_default();
        let _ = session.run(&format!("UPDATE {} SET {1} = {1}", table.sql(), ident(&still.name)));
        let after = session.rows(&ask);
        let _ = session.run("ROLLBACK");
        after.is_ok_and(|a| a != before)
    }

    /// Where each row lies and who wrote it: a row that is written anew has another one.
    fn versions(&self, session: &mut Session) -> BTreeSet<Vec<Option<String>>> {
        let mut out = BTreeSet::new();
        for t in session.rows(TABLES).unwrap_or_default().into_iter().flatten().flatten() {
            out.extend(session.rows(&format!("SELECT {}, ctid::text, xmin::text FROM {t}", literal(&t))).unwrap_or_default());
        }
        out
    }
}

/// Rows of a query, as text.
type Answer = Vec<Vec<Option<String>>>;

const TABLES: &str = "SELECT c.oid::pg_catalog.regclass::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                      WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1";
