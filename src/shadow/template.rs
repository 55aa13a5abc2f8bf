//! Prepared databases: what a history makes is made once, and copied from then on. In a server that stays they stay too, for the next run.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::history::Script;
use crate::quote::{ident, literal};

use super::error::ShadowError;
use super::load::{self, Failure};
use super::remote::{self, PREFIX};
use super::session::Session;
use super::start::{Database, Shadow};

/// Raised when scripts are loaded in another way.
const FORMAT: u32 = 1;

/// Templates that a server keeps.
const MOST: usize = 8;

/// A history that took less is loaded anew in every throwaway cluster: a copy of a cluster is not for nothing either.
const WORTH: Duration = Duration::from_millis(500);

/// A template that was used within so many seconds may be about to be copied.
pub(super) const FRESH: i64 = 600;

impl Shadow {
    /// The database that the scripts make; it is there to be copied, and nobody writes into it. What was refused is told, and then nothing is
    /// kept.
    pub fn prepared(&self, scripts: &[Script]) -> Result<(Database, Vec<Failure>), ShadowError> {
        let key = key(self.version(), self.is_superuser(), scripts);
        let known = self.0.prepared.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(name) = known.or_else(|| self.kept(&key)) {
            return Ok((self.existing(name), Vec::new()));
        }
        let alone = self.is_empty();
        let mut db = self.database()?;
        let start = Instant::now();
        let failures = load::load(&db, scripts)?;
        let took = start.elapsed();
        if failures.is_empty() {
            self.keep(&key, &mut db);
            if alone && took >= WORTH {
                self.keep_image(&db);
            }
        }
        Ok((db, failures))
    }

    /// One that an earlier run left in the server.
    fn kept(&self, key: &str) -> Option<String> {
        if self.is_throwaway() {
            return None;
        }
        let (name, mut m) = (name(key), self.maintenance());
        let ours = remote::databases(&mut m).ok()?.iter().any(|k| k.name == name && k.used().is_some());
        (ours && mark(&mut m, &name).is_ok()).then_some(name)
    }

    /// From now on it stays: in a throwaway cluster for this run, else for the next ones too. Another run may have been quicker: then it goes
    /// as others do.
    fn keep(&self, key: &str, db: &mut Database) {
        let (name, mut m) = (name(key), self.maintenance());
        super::start::until_idle(&mut m, db.name());
        if m.run(&format!("ALTER DATABASE {} RENAME TO {}", ident(db.name()), ident(&name))).is_err() {
            return;
        }
        db.renamed(name);
        // Without the new comment it is one of this run, and a later one sweeps it.
        if mark(&mut m, db.name()).is_err() {
            return;
        }
        if !self.is_throwaway() {
            forget(&mut m, MOST, FRESH);
        }
        db.stays = true;
        self.0.prepared.lock().unwrap_or_else(PoisonError::into_inner).insert(key.into(), db.name().into());
    }
}

/// Drops templates, but for the `keep` that were used last and those that were used in the last `fresh` seconds; says their names.
pub(super) fn forget(m: &mut Session, keep: usize, fresh: i64) -> Vec<String> {
    let known = remote::databases(m).unwrap_or_default();
    let mut all: Vec<(i64, String)> = known.into_iter().filter_map(|k| Some((k.used()?, k.name))).collect();
    all.sort_by(|a, b| b.cmp(a));
    let now = now(m);
    let old: Vec<String> = all.into_iter().skip(keep).filter(|(used, _)| now - used >= fresh).map(|(_, name)| name).collect();
    old.into_iter().filter(|name| remote::drop_database(m, name).is_ok()).collect()
}

fn mark(m: &mut Session, name: &str) -> Result<(), super::session::SqlError> {
    let comment = remote::mark_of_template(now(m));
    m.run(&format!("COMMENT ON DATABASE {} IS {}", ident(name), literal(&comment))).map(drop)
}

/// By the server's clock: several machines may use it.
fn now(m: &mut Session) -> i64 {
    let seconds = m.value("SELECT extract(epoch FROM pg_catalog.now())::bigint");
    seconds.ok().flatten().and_then(|v| v.parse().ok()).unwrap_or_default()
}

pub(super) fn name(key: &str) -> String {
    format!("{PREFIX}template_{key}")
}

/// What the schema depends on: the scripts and how they are sent, who runs them, the server.
pub(super) fn key(version: &str, superuser: bool, scripts: &[Script]) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    };
    add(&format!("{FORMAT} {} {version} {superuser}", env!("CARGO_PKG_VERSION")));
    for s in scripts {
        add(s.source.text());
        add(&format!("{:?} {:?}", s.parts, s.execution));
    }
    hash.finalize().iter().take(10).map(|b| format!("{b:02x}")).collect()
}
