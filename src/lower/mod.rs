//! Syntax → operations, one file per statement family.

pub mod dml;
pub mod expr;
pub mod query;
pub mod types;

use crate::op::Statement;
use crate::source::{SourceFile, Span};

/// Every statement inside `parts` of the file, in order. Broken SQL becomes an opaque statement, never an error.
pub fn lower(_source: &SourceFile, _parts: &[Span]) -> Vec<Statement> {
    Vec::new()
}

/// Lowers a text that is not a file (generated SQL, a workload's query).
pub fn lower_text(sql: &str) -> Vec<Statement> {
    let source = SourceFile::new("<sql>", sql);
    let all = source.full_span();
    lower(&source, &[all])
}
