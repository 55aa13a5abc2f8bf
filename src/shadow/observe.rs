//! Runs one statement and says what it did, in the same words in which `effects` predicts it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::catalog::RelName;
use crate::effects::Effects;
use crate::op::LockMode;

use super::error::ShadowError;
use super::session::{Notice, Session, SqlError};
use super::start::Database;

/// What one statement did.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    pub effects: Effects,
    /// The server's words: debug notes included.
    pub notices: Vec<Notice>,
    pub took: Duration,
    pub error: Option<SqlError>,
    /// Tables without any row: that one of them was scanned cannot be seen.
    pub empty: BTreeSet<RelName>,
    /// Name after → name before, of relations that were renamed or moved.
    pub renamed: BTreeMap<RelName, RelName>,
    /// The strongest lock that the open transaction held before on each relation; such a lock is not taken again.
    pub held: BTreeMap<RelName, LockMode>,
    /// Indexes that were made anew under their old name.
    pub replaced: BTreeSet<RelName>,
}

/// How the statement reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Around {
    /// By itself: Airlock puts a transaction around it where it can, to look before it commits.
    Nothing,
    /// A transaction is open, and stays open.
    Transaction,
}

/// A pair of sessions: one runs, one looks on.
pub struct Observer {
    pub session: Session,
    look: Session,
}

#[derive(Debug, Clone)]
struct Rel {
    name: RelName,
    kind: char,
    file: u32,
    table: u32,
    read: i64,
    empty: bool,
}

type Rels = HashMap<u32, Rel>;

/// Everything that can be locked and is not the system's or temporary; file numbers tell a rewrite, the counter a scan.
const RELATIONS: &str = "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relfilenode, coalesce(i.indrelid, 0), \
    CASE WHEN c.relkind IN ('r', 'm') THEN coalesce(pg_catalog.pg_stat_get_xact_tuples_returned(c.oid), 0) ELSE 0 END, \
    CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_relation_size(c.oid) = 0 ELSE false END \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid \
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

const FOREIGN_KEYS: &str = "SELECT conname, conrelid, confrelid FROM pg_catalog.pg_constraint WHERE contype = 'f'";

fn locks_of(pid: &str) -> String {
    format!(
        "SELECT relation, mode FROM pg_catalog.pg_locks WHERE pid = {pid} AND locktype = 'relation' AND database = \
         (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())"
    )
}

impl Observer {
    pub fn new(db: &Database) -> Result<Observer, ShadowError> {
        Ok(Observer { session: db.connect_talkative()?, look: db.helper()? })
    }

    /// Runs the statement and says what it did. A failure is a result, not an error.
    pub fn run(&mut self, sql: &str, data: Option<&str>, around: Around) -> Observed {
        match around {
            Around::Transaction => self.inside(sql, data),
            Around::Nothing => {
                if let Err(e) = self.session.run("BEGIN") {
                    return failed(e, Duration::ZERO, true);
                }
                let seen = self.inside(sql, data);
                match &seen.error {
                    None => match self.session.run("COMMIT") {
                        // Deferred constraints speak only here.
                        Err(e) => failed(e, seen.took, true),
                        Ok(_) => seen,
                    },
                    Some(e) => {
                        let _ = self.session.run("ROLLBACK");
                        // 25001: not in a transaction block; 2D000: the code ends transactions itself.
                        if e.is("25001") || e.is("2D000") { self.alone(sql) } else { seen }
                    }
                }
            }
        }
    }

    /// Sends it without looking: BEGIN, COMMIT, SAVEPOINT and their like, and LOCK outside a transaction.
    pub fn pass(&mut self, sql: &str) -> Observed {
        let start = Instant::now();
        self.session.take_notices();
        match self.session.run(sql) {
            Ok(_) => Observed {
                effects: Effects { in_transaction: true, ..Effects::default() },
                notices: self.session.take_notices(),
                took: start.elapsed(),
                ..Observed::default()
            },
            Err(e) => failed(e, start.elapsed(), true),
        }
    }

    fn inside(&mut self, sql: &str, data: Option<&str>) -> Observed {
        let before = match snapshot(&mut self.session) {
            Ok(b) => b,
            Err(e) => return failed(e, Duration::ZERO, true),
        };
        let held = locks(&mut self.session, "pg_catalog.pg_backend_pid()").unwrap_or_default();
        self.session.take_notices();
        let start = Instant::now();
        let result = match data {
            Some(d) => self.session.copy_in(sql, d),
            None => self.session.run(sql),
        };
        let took = start.elapsed();
        let notices = self.session.take_notices();
        if let Err(e) = result {
            let in_transaction = !e.is("25001");
            return Observed { notices, ..failed(e, took, in_transaction) };
        }
        let mut now = locks(&mut self.session, "pg_catalog.pg_backend_pid()").unwrap_or_default();
        now.retain(|l| !held.contains(l));
        let after = snapshot(&mut self.session).unwrap_or_default();
        let fks = self.session.rows(FOREIGN_KEYS).unwrap_or_default();
        let effects = compare(&before, &after, &now, &notices, &fks);
        self.session.take_notices();
        let held = strongest(&before, &after, &held);
        with_names(Observed { effects, notices, took, held, ..Observed::default() }, &before, &after)
    }

    /// Outside a transaction: the other session polls the locks, and holds the tables in the mode of an ordinary writer for a moment,
    /// so that what waits for writers (CONCURRENTLY) stays long enough to be seen.
    fn alone(&mut self, sql: &str) -> Observed {
        let before = snapshot(&mut self.session).unwrap_or_default();
        let pid = self.session.pid().to_string();
        let concurrently = sql.to_ascii_lowercase().contains("concurrently");
        let tables: Vec<String> = before.values().filter(|r| matches!(r.kind, 'r' | 'p')).map(|r| r.name.sql()).collect();
        if concurrently && !tables.is_empty() {
            let _ = self.look.run(&format!("BEGIN; LOCK TABLE {} IN ROW EXCLUSIVE MODE", tables.join(", ")));
        }
        self.session.take_notices();
        let start = Instant::now();
        let (session, look) = (&mut self.session, &mut self.look);
        let mut seen: BTreeSet<(u32, LockMode)> = BTreeSet::new();
        let result = std::thread::scope(|scope| {
            let worker = scope.spawn(move || session.run(sql));
            let mut writing = concurrently;
            while !worker.is_finished() {
                if let Ok(l) = locks(look, &pid) {
                    seen.extend(l);
                }
                if writing && start.elapsed() > Duration::from_millis(40) {
                    let _ = look.run("COMMIT");
                    writing = false;
                }
            }
            let _ = look.run("COMMIT");
            worker.join()
        });
        let took = start.elapsed();
        self.look.take_notices();
        let notices = self.session.take_notices();
        match result {
            Ok(Ok(_)) => {}
            Ok(Err(e)) => return Observed { notices, ..failed(e, took, false) },
            Err(_) => return Observed { notices, ..Observed::default() },
        }
        // Read by the session that ran it: the statistics of other sessions arrive late.
        let after = snapshot(&mut self.session).unwrap_or_default();
        let fks = self.session.rows(FOREIGN_KEYS).unwrap_or_default();
        let mut effects = compare(&before, &after, &seen, &notices, &fks);
        // The counters of past transactions are gone; an index cannot be built without reading its table.
        let tables: Vec<u32> = after.values().filter(|r| effects.builds.contains(&r.name)).map(|r| r.table).collect();
        effects.scans = tables.iter().filter_map(|t| after.get(t)).filter(|t| t.kind != 'p').map(|t| t.name.clone()).collect();
        effects.in_transaction = false;
        with_names(Observed { effects, notices, took, ..Observed::default() }, &before, &after)
    }
}

fn failed(e: SqlError, took: Duration, in_transaction: bool) -> Observed {
    let effects = Effects { in_transaction, fails: Some(e.sqlstate.clone()), error: Some(e.message.clone()), ..Effects::default() };
    Observed { effects, took, error: Some(e), ..Observed::default() }
}

fn with_names(mut seen: Observed, before: &Rels, after: &Rels) -> Observed {
    let names: BTreeSet<&RelName> = after.values().map(|r| &r.name).collect();
    for (oid, b) in before {
        match after.get(oid) {
            Some(a) if a.name != b.name => {
                seen.renamed.insert(a.name.clone(), b.name.clone());
            }
            None if names.contains(&b.name) => {
                seen.replaced.insert(b.name.clone());
            }
            _ => {}
        }
    }
    let empty = before.iter().filter(|(_, b)| b.empty).map(|(oid, b)| after.get(oid).unwrap_or(b).name.clone());
    seen.empty.extend(empty);
    seen
}

fn snapshot(s: &mut Session) -> Result<Rels, SqlError> {
    let number = |v: &Option<String>| v.as_deref().and_then(|v| v.parse::<i64>().ok()).unwrap_or_default();
    let text = |v: &Option<String>| v.clone().unwrap_or_default();
    let rows = s.rows(RELATIONS)?;
    Ok(rows
        .iter()
        .filter(|r| r.len() == 8)
        .map(|r| {
            let rel = Rel {
                name: RelName::new(text(&r[1]), text(&r[2])),
                kind: text(&r[3]).chars().next().unwrap_or('?'),
                file: number(&r[4]) as u32,
                table: number(&r[5]) as u32,
                read: number(&r[6]),
                empty: r[7].as_deref() == Some("t"),
            };
            (number(&r[0]) as u32, rel)
        })
        .collect())
}

fn locks(s: &mut Session, pid: &str) -> Result<BTreeSet<(u32, LockMode)>, SqlError> {
    let rows = s.rows(&locks_of(pid))?;
    Ok(rows
        .iter()
        .filter_map(|r| match r.as_slice() {
            [Some(oid), Some(mode)] => Some((oid.parse().ok()?, LockMode::from_str(mode).ok()?)),
            _ => None,
        })
        .collect())
}

/// The strongest mode on each relation that was there before, by the name that it has after.
fn strongest(before: &Rels, after: &Rels, taken: &BTreeSet<(u32, LockMode)>) -> BTreeMap<RelName, LockMode> {
    let mut locks: BTreeMap<RelName, LockMode> = BTreeMap::new();
    for (oid, mode) in taken {
        let Some(b) = before.get(oid) else { continue };
        let strongest = locks.entry(after.get(oid).unwrap_or(b).name.clone()).or_insert(*mode);
        *strongest = (*strongest).max(*mode);
    }
    locks
}

fn compare(
    before: &Rels,
    after: &Rels,
    taken: &BTreeSet<(u32, LockMode)>,
    notices: &[Notice],
    foreign_keys: &[Vec<Option<String>>],
) -> Effects {
    let locks = strongest(before, after, taken);
    let stored = |k: char| matches!(k, 'r' | 'm');
    let mut rewrites = BTreeSet::new();
    let mut scans = BTreeSet::new();
    for (oid, b) in before.iter().filter(|(_, b)| stored(b.kind)) {
        let Some(a) = after.get(oid) else { continue };
        if a.file != b.file {
            rewrites.insert(a.name.clone());
        }
        if a.read > b.read {
            scans.insert(a.name.clone());
        }
    }
    // A new index may take over the file of the one that it replaces: then nothing was built.
    let files: BTreeSet<u32> = before.values().map(|r| r.file).collect();
    let builds = after
        .values()
        .filter(|a| a.kind == 'i' && before.contains_key(&a.table) && !files.contains(&a.file))
        .map(|a| a.name.clone())
        .collect();
    let still: BTreeSet<&RelName> = after.values().map(|r| &r.name).collect();
    let dropped =
        before.iter().filter(|(oid, b)| !after.contains_key(oid) && !still.contains(&b.name)).map(|(_, b)| b.name.clone()).collect();
    // The notes see what the counters cannot: a check of an empty table, a foreign key checked through an index.
    let locked = |table: &str| locks.keys().find(|r| r.name == table).cloned();
    for n in notices {
        let quoted: Vec<&str> = n.message.split('"').collect();
        if n.message.starts_with("verifying table \"")
            && let Some(t) = quoted.get(1).and_then(|t| locked(t))
        {
            scans.insert(t);
        }
        if n.message.starts_with("validating foreign key constraint \"") {
            for fk in foreign_keys.iter().filter(|f| f.first().is_some_and(|c| c.as_deref() == quoted.get(1).copied())) {
                let oids = fk[1..].iter().filter_map(|v| v.as_deref()?.parse::<u32>().ok());
                scans.extend(
                    oids.filter_map(|o| after.get(&o)).filter(|r| stored(r.kind)).map(|r| r.name.clone()).filter(|r| locks.contains_key(r)),
                );
            }
        }
    }
    Effects { locks, rewrites, scans, builds, dropped, in_transaction: true, fails: None, error: None }
}
