//! Random statements on random schemas: what is predicted is what a server does.
//!
//! Every statement, those that make the schema included, is judged by `replay` and run under observation. Statements are drawn from the
//! catalog as it is at that point, so most of them fit and some do not. A difference is a failure that names its seed.
//!
//! `scripts/random N` runs N statements, a fifth on each version. `AIRLOCK_RANDOM_STATEMENTS` and `AIRLOCK_SEED` choose how many and which;
//! `AIRLOCK_RANDOM_SETUP` prints the way to each difference, `AIRLOCK_RANDOM_TRACE` each statement before it runs, `AIRLOCK_RANDOM_TABLE`
//! how often each kind of operation was drawn and accepted.

mod alter;
mod compare;
mod coverage;
mod create;
mod drawn;
mod exceptions;
mod other;
mod pick;
mod plans;
mod release;
mod scenarios;
mod undo;

use std::collections::BTreeMap;

use fastrand::Rng;

use crate::catalog::{Catalog, RelKind};
use crate::effects::Sent;
use crate::history::{Execution, Send};
use crate::op::{OpKind, PgVersion, Statement};
use crate::replay::{self, Replayed};
use crate::source::SourceFile;

use super::observe::{Around, Observed, Observer};
use super::*;
use compare::Context;
use coverage::Coverage;
use pick::Gen;
use release::{Release, Sessions};
use undo::WayBack;

/// One schema gets so many statements: the first part makes it.
const PER_DATABASE: usize = 120;
const MAKING: usize = 45;

#[test]
fn random_statements_do_what_is_predicted_live() {
    let number = |name: &str, default: u64| std::env::var(name).ok().map_or(default, |v| v.parse().expect("a number"));
    let wanted = number("AIRLOCK_RANDOM_STATEMENTS", 160) as usize;
    let seed = number("AIRLOCK_SEED", 30_003);
    let shadow = Shadow::start(&super::tests::options()).expect("starts");
    let mut tally = Tally::default();
    let mut n = 0;
    while tally.statements < wanted {
        let left = wanted - tally.statements;
        Database::new(&shadow, seed + n).play(left.min(PER_DATABASE), &mut tally);
        n += 1;
    }
    println!(
        "Postgres {}, seeds {seed} to {}: {} statements, {} refused by both, {} depend on rows, {} differ; {} statements of N-1 around changes, {} changes differ; \
         {} ways back, twice each, {} of these better than said, {} differ",
        shadow.pg(),
        seed + n - 1,
        tally.statements,
        tally.refused,
        tally.rows,
        tally.differences.len(),
        tally.shapes,
        tally.broken.len(),
        tally.undone,
        tally.better,
        tally.stuck.len(),
    );
    tally.known.iter().for_each(|(what, n)| println!("  known, {n} times: {what}"));
    if std::env::var_os("AIRLOCK_RANDOM_TABLE").is_some() {
        print!("{}", tally.coverage);
    }
    tally.differences.append(&mut tally.broken);
    tally.differences.append(&mut tally.stuck);
    assert!(tally.differences.is_empty(), "{} differ:\n{}", tally.differences.len(), tally.differences.join("\n"));
}

/// Each exception is still one: its few statements show it. Where nothing differs any more, it has to go.
#[test]
fn named_exceptions_still_show_live() {
    let shadow = Shadow::start(&super::tests::options()).expect("starts");
    let mut quiet = Vec::new();
    let of_statements = exceptions::LIST.iter().filter(|e| e.on.contains(&shadow.pg().0)).map(|e| (e.name, e.shown_by, false));
    let of_release = exceptions::OF_RELEASE.iter().map(|(name, shown_by)| (*name, *shown_by, true));
    for (name, shown_by, watched) in of_statements.chain(of_release) {
        let mut tally = Tally::default();
        // What is held for a moment only is not seen every time.
        for _ in 0..20 {
            let mut db = Database::new(&shadow, 1);
            db.watched = watched;
            for sql in shown_by {
                assert!(db.one(sql, &mut tally), "{name}: the catalog does not follow {sql}");
            }
            if tally.known.contains_key(name) {
                break;
            }
        }
        let mut others = tally.differences;
        others.append(&mut tally.broken);
        assert!(others.is_empty(), "{name}:\n{}", others.join("\n"));
        if !tally.known.contains_key(name) {
            quiet.push(format!("{name} (seen: {:?})", tally.known.keys()));
        }
    }
    assert!(quiet.is_empty(), "nothing differs any more on {}:\n{}", shadow.pg(), quiet.join("\n"));
}

#[derive(Default)]
struct Tally {
    statements: usize,
    refused: usize,
    /// Refused because of what the rows hold, which nobody predicts.
    rows: usize,
    known: BTreeMap<&'static str, usize>,
    differences: Vec<String>,
    /// Statements of the release before, each run fresh and prepared.
    shapes: usize,
    broken: Vec<String>,
    /// Changes that were taken back on the server.
    undone: usize,
    better: usize,
    stuck: Vec<String>,
    coverage: Coverage,
}

struct Database {
    db: super::Database,
    observer: Observer,
    /// A session of the release before.
    app: Session,
    copier: Session,
    cat: Catalog,
    rng: Rng,
    next: u32,
    seed: u64,
    pg: u8,
    log: Vec<String>,
    /// A transaction is open.
    inside: bool,
    /// Statements of N-1 run around changes.
    watched: bool,
}

impl Database {
    fn new(shadow: &Shadow, seed: u64) -> Database {
        let db = shadow.database().expect("database");
        let mut observer = Observer::new(&db).expect("sessions");
        // Rows decide plans otherwise: without statistics a small table is read in full.
        observer.session.run("SET max_parallel_workers_per_gather = 0").expect("sets");
        let mut cat = Catalog::new(shadow.pg());
        // The shadow's own servers run in UTC.
        cat.set_in_session("timezone", "UTC");
        let app = db.connect().expect("session");
        let copier = db.connect().expect("session");
        Database {
            db,
            observer,
            app,
            copier,
            cat,
            rng: Rng::with_seed(seed),
            next: 0,
            seed,
            pg: shadow.pg().0,
            log: Vec::new(),
            inside: false,
            watched: false,
        }
    }

    fn play(&mut self, statements: usize, tally: &mut Tally) {
        if !self.one("CREATE SCHEMA app", tally) {
            return;
        }
        if self.rng.bool() && !self.one("CREATE EXTENSION citext", tally) {
            return;
        }
        let mut done = 0;
        while done < statements {
            let making = done < MAKING;
            self.watched = !making;
            if !making && self.rng.u32(0..100) < 25 {
                let n = self.rng.usize(2..6);
                if !self.transaction(n, tally) {
                    return;
                }
                done += n;
                continue;
            }
            let sql = self.draw(making);
            done += 1;
            let tables = self.cat.relations.len();
            if !self.one(&sql, tally) {
                return;
            }
            // A new table gets rows most of the time.
            if self.cat.relations.len() > tables && sql.starts_with("CREATE") && sql.contains("TABLE") && self.rng.u32(0..10) < 8 {
                let sql = {
                    let mut g = Gen { rng: &mut self.rng, cat: &self.cat, next: &mut self.next };
                    let new = g.cat.relations.values().rev().find(|r| matches!(r.kind, RelKind::Table | RelKind::PartitionedTable));
                    new.and_then(|r| g.insert_rows(r))
                };
                done += 1;
                if let Some(sql) = sql
                    && !self.one(&sql, tally)
                {
                    return;
                }
            }
        }
    }

    fn draw(&mut self, making: bool) -> String {
        Gen { rng: &mut self.rng, cat: &self.cat, next: &mut self.next }.placed(making, self.inside)
    }

    fn begin(&mut self) {
        self.pass("BEGIN");
        self.inside = true;
        self.cat.now.transaction += 1;
        self.pass("SAVEPOINT s");
    }

    /// Several statements in one transaction, which is kept or not.
    fn transaction(&mut self, n: usize, tally: &mut Tally) -> bool {
        let before = self.cat.clone();
        self.begin();
        self.note("BEGIN", &mut tally.coverage);
        let mut alive = true;
        for _ in 0..n {
            let sql = self.draw(false);
            self.pass("SAVEPOINT s");
            self.note("SAVEPOINT s", &mut tally.coverage);
            alive = self.one(&sql, tally);
            if !alive {
                break;
            }
        }
        let keep = alive && self.rng.u32(0..100) < 75;
        let end = self.observer.pass(if keep { "COMMIT" } else { "ROLLBACK" });
        self.note(if keep { "COMMIT" } else { "ROLLBACK" }, &mut tally.coverage);
        self.inside = false;
        self.log.push(if keep { "COMMIT".into() } else { "ROLLBACK".into() });
        if !keep || end.error.is_some() {
            self.cat = before;
        }
        alive
    }

    fn pass(&mut self, sql: &str) {
        self.observer.pass(sql);
        self.log.push(sql.into());
    }

    /// Words of the transaction, which are sent as they are.
    fn note(&self, sql: &str, coverage: &mut Coverage) {
        let source = SourceFile::new("random.sql", sql);
        crate::lower::lower(&source, &[source.full_span()]).iter().for_each(|s| coverage.note(s, true));
    }

    /// `false`: the catalog no longer follows the server, so this database is at its end.
    fn one(&mut self, sql: &str, tally: &mut Tally) -> bool {
        if std::env::var_os("AIRLOCK_RANDOM_TRACE").is_some() {
            eprintln!("{} {sql}", self.seed);
        }
        let Some(judged) = self.judge(sql) else {
            tally.differences.push(format!("seed {} on {}: not one statement: {sql}", self.seed, self.pg));
            return true;
        };
        // LOCK TABLE is refused outside a transaction, and must be seen to be.
        let raw = !self.inside && has(&judged.statement, |k| matches!(k, OpKind::LockTable { .. }));
        let release = (!self.inside && judged.effects.fails.is_none() && self.watched).then(|| {
            let shapes = crate::compat::touched_shapes(&judged.before, &judged.after);
            let mut sessions = Sessions { app: &mut self.app, copier: &mut self.copier, db: &self.db };
            Release::before(&mut sessions, shapes, &self.cat, &mut self.rng, &mut self.next)
        });
        let way_back = release.as_ref().and_then(|_| WayBack::before(&mut self.observer.session, &judged));
        let lines = sql.ends_with("FROM STDIN").then_some("");
        let seen = match (raw, self.inside) {
            (true, _) => self.observer.pass(sql),
            // COPY FROM gets no line.
            (_, true) => self.observer.run(sql, lines, Around::Transaction),
            _ => self.observer.run(sql, lines, Around::Nothing),
        };
        tally.statements += 1;
        if let (Some(release), None) = (&release, &seen.error) {
            tally.shapes += release.len();
            let mut sessions = Sessions { app: &mut self.app, copier: &mut self.copier, db: &self.db };
            let wrong = release.after(&mut sessions, &judged.before, &judged.after);
            wrong.known.into_iter().for_each(|what| *tally.known.entry(what).or_default() += 1);
            if !wrong.differ.is_empty() {
                tally.broken.push(self.report(sql, &wrong.differ, &seen));
            }
        }
        if let (Some(way), None) = (&way_back, &seen.error) {
            tally.undone += 1;
            let found = way.after(&mut self.observer.session, &judged, &mut self.rng, &mut self.next);
            tally.better += found.better;
            if !found.differ.is_empty() {
                tally.stuck.push(self.report(sql, &found.differ, &seen));
            }
        }
        let context = Context { judged: &judged, seen: &seen, raw };
        let verdict = compare::compare(&context, &mut self.observer.session);
        if self.inside {
            let end = if seen.error.is_some() { "ROLLBACK TO SAVEPOINT s" } else { "RELEASE SAVEPOINT s" };
            self.observer.pass(end);
            self.note(end, &mut tally.coverage);
        }
        tally.coverage.note(&judged.statement, seen.error.is_none());
        tally.rows += usize::from(verdict.rows);
        if !verdict.differ.is_empty() {
            tally.differences.push(self.report(sql, &verdict.differ, &seen));
        } else if verdict.known.is_empty() && !verdict.rows && seen.error.is_some() {
            tally.refused += 1;
        }
        verdict.known.into_iter().for_each(|what| *tally.known.entry(what).or_default() += 1);
        self.log.push(format!("{sql};{}", if seen.error.is_some() { " -- refused" } else { "" }));
        if self.observer.session.is_closed() {
            return false;
        }
        // A COPY that is refused before it gets its lines ends the session (`Session::copy_in`).
        if lines.is_some() && seen.error.is_some() {
            if self.inside {
                return false;
            }
            self.cat.end_of_script();
        }
        // What was built beside the running system and found fault with the rows leaves an invalid index behind.
        if seen.error.is_some() && sql.contains("CONCURRENTLY") && seen.effects.fails.as_ref().is_some_and(|s| s.starts_with("23")) {
            return false;
        }
        if seen.error.is_none() {
            let refused = judged.effects.fails.is_some();
            self.cat = Catalog::clone(&judged.after);
            self.cat.transaction = None;
            return !refused;
        }
        true
    }

    fn judge(&self, sql: &str) -> Option<Replayed> {
        judge(&self.cat, self.inside, sql)
    }

    fn report(&self, sql: &str, words: &[String], seen: &Observed) -> String {
        let error = seen.error.as_ref().map(|e| format!("\n    {e}")).unwrap_or_default();
        let place = if self.inside { " in a transaction" } else { "" };
        let head = format!("seed {} on {}{place}: {sql}\n    {}{error}", self.seed, self.pg, words.join("\n    "));
        // The way there is long; whoever looks into one seed asks for it.
        if std::env::var_os("AIRLOCK_RANDOM_SETUP").is_some() { format!("{head}\n  after\n    {}", self.log.join("\n    ")) } else { head }
    }
}

/// One statement on this schema; `inside`: of a transaction that is open.
fn judge(cat: &Catalog, inside: bool, sql: &str) -> Option<Replayed> {
    let source = SourceFile::new("random.sql", sql);
    let statements = crate::lower::lower(&source, &[source.full_span()]);
    let execution = Execution::new(inside, Send::Statement);
    let mut cat = cat.clone();
    if inside {
        // The script is one statement, the transaction is the one that is open.
        cat.now.transaction -= 1;
    }
    let mut done = replay::judge(&source, statements, &execution, &mut cat);
    (done.statements.len() == 1).then(|| done.statements.remove(0))
}

/// Every operation that there is gets drawn, and most of what is drawn fits the schema at that point. Asked of the catalog alone.
#[test]
fn every_kind_is_drawn_and_mostly_fits() {
    let mut coverage = Coverage::default();
    for seed in 0..160 {
        let (mut rng, mut next) = (Rng::with_seed(seed), 0);
        let mut cat = Catalog::new(PgVersion(14 + (seed % 5) as u8));
        for sql in ["CREATE SCHEMA app", "CREATE EXTENSION citext"] {
            cat = Catalog::clone(&judge(&cat, false, sql).expect("one statement").after);
        }
        for n in 0..PER_DATABASE {
            let inside = n > MAKING && rng.bool();
            if inside {
                cat.now.transaction += 1;
            }
            let sql = Gen { rng: &mut rng, cat: &cat, next: &mut next }.placed(n < MAKING, inside);
            let source = SourceFile::new("random.sql", sql);
            for s in crate::lower::lower(&source, &[source.full_span()]) {
                let mut after = cat.clone();
                let sent = Sent { pg: cat.pg, in_transaction: inside };
                let fits = crate::effects::predict(&s, &cat, sent).fails.is_none() && after.apply_statement(&s).is_empty();
                coverage.note(&s, fits);
                if !fits && std::env::var_os("AIRLOCK_RANDOM_TRACE").is_some() {
                    eprintln!("{} does not fit: {}", cat.pg, source.text());
                }
                if fits {
                    cat = after;
                    cat.transaction = None;
                }
            }
        }
    }
    let passed: [&str; 6] = ["begin", "commit", "rollback", "savepoint", "release-savepoint", "rollback-to"];
    let expected = |name: &str| !passed.contains(&name) && !coverage::LEFT_OUT.iter().any(|(n, _)| *n == name);
    let thin: Vec<String> = coverage
        .all()
        .filter(|(name, drawn, fit)| expected(name) && (*fit == 0 || *drawn > 12 && fit * 2 < *drawn))
        .map(|(name, drawn, fit)| format!("{name}: {drawn} drawn, {fit} fit"))
        .collect();
    assert!(thin.is_empty(), "{}\n{coverage}", thin.join("\n"));
}

fn has(s: &Statement, f: impl Fn(&OpKind) -> bool) -> bool {
    s.ops.iter().any(|o| !o.nested && f(&o.kind))
}
