//! What running a statement comes to.

use crate::catalog::{ColumnType, Id};

use super::types;

/// Why a statement is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fail {
    pub state: &'static str,
    /// The column, constraint or name that it is about.
    pub because: Option<String>,
}

impl Fail {
    pub fn new(state: &'static str, because: impl Into<String>) -> Self {
        Fail { state, because: Some(because.into()) }
    }
    pub fn bare(state: &'static str) -> Self {
        Fail { state, because: None }
    }
}

pub type Bound<T> = Result<T, Fail>;

/// A failure that depends on values which are not known. Two are the same risk when their keys agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct May {
    pub fail: Fail,
    pub key: String,
}

/// How far a statement gets. A prepared statement is analysed again after a change and meets errors of `Analysis` as a new
/// one does; only then are result columns compared, before anything else can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Analysis,
    Run,
}

#[derive(Debug, Clone, PartialEq)]
pub struct OutColumn {
    pub name: String,
    pub ty: Option<ColumnType>,
    pub collation: Option<String>,
}

/// Columns that a query takes from a function's row type. The plan of a prepared statement does not notice when they change.
#[derive(Debug, Clone, PartialEq)]
pub struct RowTypeUse {
    pub relation: Id,
    /// Attribute number, type.
    pub columns: Vec<(u16, ColumnType)>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    pub fail: Option<(Phase, Fail)>,
    pub may: Vec<May>,
    /// Rows that were there are filtered away by row security.
    pub empty: bool,
    /// The result's columns; `None` where the statement returns nothing or they cannot be told.
    pub columns: Option<Vec<OutColumn>>,
    /// What the plan depends on: its change makes Postgres analyse a prepared statement again.
    pub relations: Vec<Id>,
    pub functions: Vec<Id>,
    pub row_types: Vec<RowTypeUse>,
    /// A part was not understood: nothing may be concluded from a missing error.
    pub opaque: bool,
}

/// Whether a prepared statement would be told "cached plan must not change result type".
pub fn results_differ(before: &[OutColumn], after: &[OutColumn]) -> bool {
    before.len() != after.len() || before.iter().zip(after).any(|(b, a)| column_differs(b, a))
}

fn column_differs(b: &OutColumn, a: &OutColumn) -> bool {
    let types = match (&b.ty, &a.ty) {
        (Some(x), Some(y)) => !types::same(x, y) || x.modifiers != y.modifiers || b.collation != a.collation,
        _ => false,
    };
    b.name != a.name || types
}
