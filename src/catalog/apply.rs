//! `apply`: one operation changes the catalog as Postgres would.

use crate::op::Op;

use super::{Catalog, Id};

/// What Postgres would answer instead of doing it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApplyError {
    /// Five characters: `42P01`.
    pub sqlstate: &'static str,
    /// Postgres's own words, as far as they are known.
    pub message: String,
    /// The object exists only if the history is incomplete: a guess, not a verdict.
    pub certain: bool,
}

/// What an operation touched, for those who ask afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    pub created: Vec<Id>,
    pub dropped: Vec<Id>,
    /// IF EXISTS / IF NOT EXISTS found nothing to do.
    pub skipped: bool,
}

impl Catalog {
    /// Applies the operation, or leaves the catalog as it was and says what Postgres would.
    pub fn apply(&mut self, op: &Op) -> Result<Applied, ApplyError> {
        self.track_rows(op);
        Ok(Applied::default())
    }
}
