//! Who waits for a step: another session holds what the step needs, a third one queues behind it.

use std::time::{Duration, Instant};

use crate::catalog::RelName;
use crate::compat::Undo;
use crate::op::LockMode;
use crate::plan::{Actor, PredictedEffects, Step};
use crate::quote::literal;

use super::super::error::ShadowError;
use super::super::session::Session;
use super::super::start::Database;
use super::steps::{is_block, named};
use super::{At, CheckId, Counterexample, Prover, Refused, back, play};

/// Stands in for the plan's own lock timeout, so that a proof takes no minutes.
const SHORT: Duration = Duration::from_millis(150);

/// A step that still waits then is bounded by nothing.
const PATIENCE: Duration = Duration::from_millis(2500);

impl Prover<'_> {
    /// Looks at who waits for the step. The database is afterwards as it was before, or the answer says that it is not.
    pub(super) fn blocking(&mut self, db: &Database, step: &Step) -> Result<Looked, ShadowError> {
        let mut locks = PredictedEffects::default();
        step.predicted.iter().for_each(|p| locks.merge(p));
        let wanted = if step.transaction { LockMode::Share } else { LockMode::ShareUpdateExclusive };
        let there = tables(&mut db.helper()?)?;
        let strong: Vec<(RelName, LockMode)> =
            locks.locks.iter().filter(|(_, m)| **m >= wanted).filter_map(|(r, m)| Some((self.live(&there, r)?, *m))).collect();
        if strong.is_empty() || step.actor == Actor::Application || (!step.transaction && step.statements.iter().any(|s| is_block(s))) {
            return Ok(Looked { waits: false, spoiled: false });
        }
        let mut holder = db.connect()?;
        holder.run("BEGIN").map_err(ShadowError::sql("begin"))?;
        for (table, mode) in &strong {
            // A reader, where readers are in the way of the step; else a writer.
            let held = if mode.blocks_reads() { LockMode::AccessShare } else { LockMode::RowExclusive };
            holder
                .run(&format!("LOCK TABLE {} IN {} MODE", table.sql(), held.sql()))
                .map_err(ShadowError::sql(format!("hold {table} as an application does")))?;
        }
        let waited = attempt(db, step, &strong, &mut holder)?;
        let mut problems = Vec::new();
        let shown = step.statements.iter().find(|s| !is_timeout(s)).cloned().unwrap_or_default();
        let names = strong.iter().map(|(t, m)| format!("{t} {}", m.sql())).collect::<Vec<_>>().join(", ");
        if waited.unbounded {
            let what = format!("waits for {names} without a lock_timeout while another session uses it, and everybody queues behind it");
            problems.push(Counterexample::new(what).statement(shown));
        } else if waited.longest > PATIENCE {
            let what = format!("another session waited {} ms behind the step", waited.longest.as_millis());
            problems.push(Counterexample::new(what).statement(shown));
        } else if let Some(e) = waited.error.as_ref().filter(|e| !e.error.is("55P03")) {
            problems.push(e.counterexample("while another session uses the table"));
        }
        let longest = waited.longest.as_millis();
        let words = if waited.retries {
            format!(
                "tries again and again for {names}, others waited {longest} ms (its lock_timeout is shortened to {} ms here); it works when the table is free",
                SHORT.as_millis()
            )
        } else if step.transaction {
            format!(
                "gives up on {names} after its lock_timeout (shortened to {} ms here), others waited {longest} ms; run again, it works",
                SHORT.as_millis()
            )
        } else {
            format!("waits for {names} without making others wait ({longest} ms)")
        };
        self.check(CheckId::Blocking, At::about(&step.id), problems, words);
        // What a step in a transaction did not finish has left nothing.
        let clean = step.transaction && !waited.done;
        let spoiled = !clean && (step.one_way.is_some() || step.undo_verdict != Undo::Lossless || back(&mut db.connect()?, step).is_err());
        Ok(Looked { waits: true, spoiled })
    }
}

impl Prover<'_> {
    /// The table that a prediction names: by the name that it has now, or that it gets in the step.
    fn live(&self, there: &[RelName], name: &str) -> Option<RelName> {
        let then = self.input.catalog_after.relations.values().find(|r| r.rel_name().to_string() == name);
        let was = || Some(self.input.catalog_before.relation(then?.id)?.rel_name()).filter(|n| there.contains(n));
        named(there, name).cloned().or_else(was)
    }
}

/// What became of a look at a step.
pub(super) struct Looked {
    /// Others may wait for it.
    pub waits: bool,
    /// The database is not what it was.
    pub spoiled: bool,
}

struct Waited {
    /// The longest wait of the third session.
    longest: Duration,
    unbounded: bool,
    /// The step went through.
    done: bool,
    /// It tries again by itself.
    retries: bool,
    /// Unless it was ended here: then its refusal says nothing.
    error: Option<Refused>,
}

/// Runs the step while the tables are held, and lets a third session queue behind it.
fn attempt(db: &Database, step: &Step, strong: &[(RelName, LockMode)], holder: &mut Session) -> Result<Waited, ShadowError> {
    let mut worker = db.connect()?;
    let stop = worker.canceller();
    let (pid, transaction) = (worker.pid(), step.transaction);
    let short = |s: &str| if is_timeout(s) { format!("SET LOCAL lock_timeout = '{}ms'", SHORT.as_millis()) } else { s.to_string() };
    let retries = transaction && step.statements.iter().any(|s| is_block(s) && s.contains("lock_not_available"));
    let statements: Vec<String> = step
        .statements
        .iter()
        .map(|s| match retries && is_block(s) {
            true => s.split(";\n").map(|part| shortened(part, &short)).collect::<Vec<_>>().join(";\n"),
            false => short(s),
        })
        .collect();
    let (mut look, mut third) = (db.helper()?, db.connect()?);
    // Nobody waits for ever for a step that does.
    third.run("SET lock_timeout = '10s'").map_err(ShadowError::sql("prepare a session"))?;
    let start = Instant::now();
    let running = std::thread::spawn(move || play(&mut worker, &statements, transaction));
    // Only a session that comes behind the step can queue there.
    while !running.is_finished() && start.elapsed() < PATIENCE && !waits(&mut look, pid) {
        std::thread::sleep(Duration::from_millis(2));
    }
    let tables: Vec<(RelName, LockMode)> = strong.to_vec();
    let queued = Instant::now();
    let behind = std::thread::spawn(move || {
        for (table, mode) in tables {
            let as_one = if mode.blocks_reads() { LockMode::AccessShare } else { LockMode::RowExclusive };
            let _ = third.run(&format!("BEGIN; LOCK TABLE {} IN {} MODE; COMMIT", table.sql(), as_one.sql()));
            let _ = third.run("ROLLBACK");
        }
        queued.elapsed()
    });
    // Outside of a transaction the step may wait as long as it likes, if only nobody waits for it.
    while start.elapsed() < PATIENCE && !behind.is_finished() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let free = behind.is_finished();
    let gives_up = transaction && !retries;
    while gives_up && start.elapsed() < PATIENCE && !running.is_finished() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let unbounded = !free || (gives_up && !running.is_finished());
    if !unbounded {
        let _ = holder.run("COMMIT");
    }
    // Outside of a transaction it goes on now that nobody is in its way, and so does what tries again.
    while !gives_up && !unbounded && !running.is_finished() && start.elapsed() < PATIENCE * 8 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let cancelled = !running.is_finished();
    while !running.is_finished() {
        stop.cancel();
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = holder.run("COMMIT");
    let longest = behind.join().unwrap_or(PATIENCE * 2);
    let end = running.join().unwrap_or(Ok(()));
    let done = end.is_ok();
    Ok(Waited { longest, unbounded, done, retries, error: end.err().filter(|_| !cancelled) })
}

/// A statement of a block, behind the words that stand before it.
fn shortened(part: &str, short: &dyn Fn(&str) -> String) -> String {
    let at = part.find("SET LOCAL").unwrap_or(0);
    format!("{}{}", &part[..at], short(&part[at..]))
}

fn waits(look: &mut Session, pid: i32) -> bool {
    let sql = format!("SELECT wait_event_type = 'Lock' FROM pg_catalog.pg_stat_activity WHERE pid = {pid}");
    matches!(look.value(&sql), Ok(Some(v)) if v == "t")
}

/// Bounds the wait for locks; 0 means that it does not.
pub(super) fn is_timeout(sql: &str) -> bool {
    let words = sql.to_ascii_lowercase();
    let value = words.split_once("lock_timeout").map(|(_, v)| v.trim_start_matches([' ', '=', '\'']).trim_start_matches("to").trim());
    words.trim_start().starts_with("set") && value.is_some_and(|v| !v.trim_start_matches([' ', '\'']).starts_with('0'))
}

fn tables(session: &mut Session) -> Result<Vec<RelName>, ShadowError> {
    let sql = format!(
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p') AND n.nspname <> {} AND n.nspname !~ '^pg_'",
        literal("information_schema")
    );
    let rows = session.rows(&sql).map_err(ShadowError::sql("list the tables"))?;
    Ok(rows.into_iter().filter_map(|r| Some(RelName::new(r.first()?.clone()?, r.get(1)?.clone()?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_of_zero_is_none() {
        assert!(is_timeout("SET LOCAL lock_timeout = '2000ms'") && is_timeout("set lock_timeout to 5"));
        assert!(!is_timeout("SET LOCAL lock_timeout = 0") && !is_timeout("SET lock_timeout = '0'"));
        assert!(!is_timeout("ALTER TABLE t ADD lock_timeout int"));
    }
}
