//! A script as the pieces that travel to the server.

use crate::history::{Execution, Script, Send};
use crate::op::{OpKind, SetScope, Statement};
use crate::source::SourceFile;

/// One statement with its words, and the data that follow a `COPY … FROM stdin`.
#[derive(Debug, Clone)]
pub struct Piece {
    pub text: String,
    pub data: Option<String>,
    pub statement: Statement,
    pub line: usize,
}

impl Piece {
    /// Lines for psql itself: they never travel.
    pub fn is_meta(&self) -> bool {
        self.text.starts_with('\\') || self.text.is_empty()
    }

    pub fn has(&self, f: impl Fn(&OpKind) -> bool) -> bool {
        self.statement.ops.iter().any(|o| !o.nested && f(&o.kind))
    }

    /// BEGIN, COMMIT, ROLLBACK and what is only said inside a transaction: sent as it is.
    pub fn is_transaction_control(&self) -> bool {
        self.has(|k| {
            matches!(
                k,
                OpKind::Begin { .. }
                    | OpKind::Commit { .. }
                    | OpKind::Rollback { .. }
                    | OpKind::Savepoint { .. }
                    | OpKind::ReleaseSavepoint { .. }
                    | OpKind::RollbackTo { .. }
            )
        })
    }

    /// Settings that end with the transaction.
    pub fn is_local_setting(&self) -> bool {
        self.has(|k| {
            matches!(
                k,
                OpKind::SetVar { scope: SetScope::Local | SetScope::Transaction, .. }
                    | OpKind::SetRole { local: true, .. }
                    | OpKind::SetConstraints { .. }
            )
        })
    }

    /// The first words, for messages.
    pub fn head(&self) -> String {
        head(&self.text)
    }
}

/// At most eighty characters of a statement on one line.
pub fn head(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(80) {
        Some((i, _)) => format!("{}…", &words[..i]),
        None => words,
    }
}

/// The statements of a script, in order.
pub fn pieces(script: &Script) -> Vec<Piece> {
    from_source(&script.source, crate::lower::lower(&script.source, &script.parts))
}

/// Statements that were lowered before.
pub fn from_source(source: &SourceFile, statements: Vec<Statement>) -> Vec<Piece> {
    statements
        .into_iter()
        .map(|statement| {
            let text = source.slice(statement.span).trim().trim_end_matches(';').to_string();
            let from_stdin = statement.ops.iter().any(|o| matches!(o.kind, OpKind::Copy { from: true, .. })) && {
                let lower = text.to_ascii_lowercase();
                lower.split_whitespace().any(|w| w == "stdin" || w.starts_with("stdin("))
            };
            let data = from_stdin.then(|| copy_data(source.text(), statement.span.end as usize));
            let line = source.position(statement.span.start).line;
            Piece { text, data, statement, line }
        })
        .collect()
}

/// The lines after a COPY statement up to `\.`.
fn copy_data(text: &str, end: usize) -> String {
    let Some(rest) = text.get(end..) else { return String::new() };
    let Some(newline) = rest.find('\n') else { return String::new() };
    let mut out = String::new();
    for line in rest[newline + 1..].split_inclusive('\n') {
        if line.trim_end() == "\\." {
            break;
        }
        out.push_str(line);
    }
    out
}

/// How statements of a script travel when each is sent by itself: whether the runner has a transaction around them.
pub fn wraps(execution: &Execution, statements: usize) -> bool {
    execution.transaction || (matches!(execution.send, Send::Whole | Send::Pipeline) && statements > 1)
}
