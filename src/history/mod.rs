//! Finds migrations, orders them, tells up from down, and knows how the runner executes a file.

use crate::source::{SourceFile, Span};

/// How the runner sends a script to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// The runner wraps the script in a transaction of its own.
    pub transaction: bool,
    pub send: Send,
    /// Settings the runner makes before the script (`lock_timeout` from the configuration, for instance).
    pub settings: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "kebab-case")]
pub enum Send {
    /// Statement by statement.
    Statement,
    /// The whole script as one simple query: with more than one statement Postgres makes it one transaction.
    Whole,
    /// All statements in one extended-protocol pipeline: an implicit transaction too.
    Pipeline,
}

/// One direction of one migration: the parts of a file that run, in order.
#[derive(Debug, Clone)]
pub struct Script {
    pub source: SourceFile,
    /// Parts of the text that run; directives outside of them are the runner's.
    pub parts: Vec<Span>,
    pub execution: Execution,
}
