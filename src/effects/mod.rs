//! What a statement does to the running system: locks, rewrites, scans, index builds.

mod alter;
mod columns;
#[cfg(test)]
mod facts_test;
mod maintenance;
mod partitions;
mod queries;
#[cfg(test)]
pub(crate) mod recorded_test;
mod seen;
mod statements;

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{ApplyError, Catalog, RelName};
use crate::op::{LockMode, PgVersion, Statement};

pub use columns::{TypeChange, is_constrained_domain, type_change};

/// Predicted by `predict`, observed by the shadow: the same type, so that they can be compared.
///
/// Relations are named as they are called after the statement when they still exist, else as before. Relations that the
/// statement itself creates, system catalogs, TOAST tables and temporary tables are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Effects {
    /// The strongest table-level lock on each relation that existed before, indexes, views and sequences included.
    pub locks: BTreeMap<RelName, LockMode>,
    /// Tables and materialized views that get a new file (rewrite, TRUNCATE, VACUUM FULL, CLUSTER, REFRESH).
    pub rewrites: BTreeSet<RelName>,
    /// Tables and materialized views that are read in full.
    pub scans: BTreeSet<RelName>,
    /// Indexes of existing tables that are built or rebuilt, new ones included, named as after the statement.
    pub builds: BTreeSet<RelName>,
    /// Relations that are gone afterwards.
    pub dropped: BTreeSet<RelName>,
    /// It can run inside a transaction block.
    pub in_transaction: bool,
    /// The SQLSTATE with which it fails as the runner would send it; nothing else then has an effect.
    pub fails: Option<String>,
    /// Why, in Postgres's words.
    pub error: Option<String>,
}

/// How the statement reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    pub pg: PgVersion,
    /// Inside a transaction block: explicit, by the runner, or because the runner sends several statements as one query.
    pub in_transaction: bool,
}

/// Predicts the effects of one statement on the catalog before it.
pub fn predict(statement: &Statement, before: &Catalog, sent: Sent) -> Effects {
    predict_and_apply(statement, &mut before.clone(), sent).0
}

/// The same, for those who go on behind the statement: the catalog is then the one after it, with what could not be applied.
pub fn predict_and_apply(statement: &Statement, catalog: &mut Catalog, sent: Sent) -> (Effects, Vec<(usize, ApplyError)>) {
    let before = catalog.clone();
    let errors = catalog.apply_statement(statement);
    (predict_applied(statement, &before, catalog, &errors, sent), errors)
}

/// The effects of a statement that was applied: what there was, what it left, and what of it was refused.
pub fn predict_applied(statement: &Statement, before: &Catalog, after: &Catalog, errors: &[(usize, ApplyError)], sent: Sent) -> Effects {
    let refused = errors.iter().any(|(_, e)| e.certain);
    statements::predict(statement, before, after, refused, sent)
}

impl Effects {
    /// What several statements do together: the strongest lock, the union of the rest, the first failure.
    pub fn merge(&mut self, other: &Effects) {
        for (r, m) in &other.locks {
            let e = self.locks.entry(r.clone()).or_insert(*m);
            *e = (*e).max(*m);
        }
        self.rewrites.extend(other.rewrites.iter().cloned());
        self.scans.extend(other.scans.iter().cloned());
        self.builds.extend(other.builds.iter().cloned());
        self.dropped.extend(other.dropped.iter().cloned());
        self.in_transaction &= other.in_transaction;
        if self.fails.is_none() {
            self.fails.clone_from(&other.fails);
            self.error.clone_from(&other.error);
        }
    }

    pub fn strongest_lock(&self) -> Option<(&RelName, LockMode)> {
        self.locks.iter().map(|(r, m)| (r, *m)).max_by_key(|(_, m)| *m)
    }
}
