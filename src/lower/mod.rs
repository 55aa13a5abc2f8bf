//! Syntax → operations, one file per statement family.

mod alter;
mod calls;
mod code;
mod commands;
mod constant;
mod create;
pub mod dml;
pub mod expr;
mod functions;
mod grants;
mod indexes;
mod objects;
mod operators;
mod plpgsql;
pub mod query;
mod session;
mod tables;
#[cfg(test)]
mod tests;
mod type_ddl;
pub mod types;
mod views;

pub use code::{Body, called};

use crate::op::{Op, OpKind, OpaqueReason, Statement, Understood};
use crate::source::{SourceFile, Span};
use crate::sql::cursor::{Cursor, Read, Unread};
use crate::sql::split::{Slice, split};
use crate::sql::token::{SqlText, Token, TokenKind};

/// Every statement inside `parts` of the file, in order. Broken SQL becomes an opaque statement, never an error.
pub fn lower(source: &SourceFile, parts: &[Span]) -> Vec<Statement> {
    let text = SqlText::of(source);
    split(source, parts).iter().map(|slice| statement(text, slice)).collect()
}

/// Lowers a text that is not a file (generated SQL, a workload's query).
pub fn lower_text(sql: &str) -> Vec<Statement> {
    let source = SourceFile::new("<sql>", sql);
    let all = source.full_span();
    lower(&source, &[all])
}

fn statement(text: SqlText<'_>, slice: &Slice) -> Statement {
    let span = slice.span();
    let tokens = &slice.tokens;
    if let [Token { kind: TokenKind::Meta, .. }] = tokens.as_slice() {
        let Some(what) = psql_runs(text.slice(span)) else {
            return Statement { span, command: "\\", ops: Vec::new(), understood: Understood::NoEffect };
        };
        let kind = OpKind::Opaque { reason: OpaqueReason::Psql(what) };
        let op = Op { span, command: 0, conditional: false, nested: false, kind };
        return Statement { span, command: "\\", ops: vec![op], understood: Understood::Opaque };
    }
    let mut c = Cursor::new(text, tokens);
    let command = commands::tag(&c);
    let read = commands::read(&mut c).and_then(|ops| if c.at_end() { Ok(ops) } else { c.fail("the end of the statement") });
    match read {
        Ok(ops) => {
            let opaque = ops.iter().any(|o| matches!(o.kind, OpKind::Opaque { .. }));
            let only_reads = !ops.is_empty() && ops.iter().all(|o| matches!(o.kind, OpKind::Query(_)));
            let understood = match (opaque, only_reads || ops.is_empty()) {
                (true, _) => Understood::Partial,
                (false, true) => Understood::NoEffect,
                (false, false) => Understood::Full,
            };
            Statement { span, command, ops, understood }
        }
        Err(unread) => {
            let reason = reason(text, tokens, unread);
            let op = Op { span, command: 0, conditional: false, nested: false, kind: OpKind::Opaque { reason } };
            Statement { span, command, ops: vec![op], understood: Understood::Opaque }
        }
    }
}

/// What a psql command does that is not seen here; `None`: it changes nothing.
fn psql_runs(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let command = words.next()?;
    let argument = words.next().unwrap_or("…");
    match command {
        "\\i" | "\\ir" | "\\include" | "\\include_relative" => Some(format!("the file {argument} that psql includes here")),
        "\\gexec" => Some("SQL that the query before it makes, and psql runs".to_string()),
        "\\c" | "\\connect" => Some(format!("what follows runs in another database ({argument})")),
        "\\if" | "\\elif" | "\\else" => Some("what follows runs if psql's condition says so".to_string()),
        _ => None,
    }
}

fn reason(text: SqlText<'_>, tokens: &[Token], unread: Unread) -> OpaqueReason {
    if tokens.iter().any(|t| t.kind == TokenKind::Template) {
        return OpaqueReason::Template;
    }
    if let Some(t) = tokens.iter().find(|t| t.kind == TokenKind::Unclosed) {
        let first: String = text.slice(t.span).chars().take(20).collect();
        return OpaqueReason::Syntax {
            message: format!("what begins with `{first}` is not closed"),
            at: Span { start: t.span.start, end: t.span.start + 1 },
        };
    }
    let span = tokens.first().map_or(unread.at, |t| t.span.to(tokens[tokens.len() - 1].span));
    let mut message = unread.message;
    if crate::sql::second::reads(text.slice(span)) {
        message.push_str(" (it may be SQL that this version of Airlock does not read)");
    }
    OpaqueReason::Syntax { message, at: unread.at }
}

/// An operation that reaches from the token at `start` to the last one read.
fn op(c: &Cursor<'_>, start: usize, kind: OpKind) -> Op {
    Op { span: c.span_from(start), command: 0, conditional: false, nested: false, kind }
}

/// The rest of the statement in words that are kept and not understood further.
fn rest(c: &mut Cursor<'_>) -> String {
    c.rest_text()
}

/// `(key = value, key)`: storage parameters and their like, with the key folded.
fn options(c: &mut Cursor<'_>) -> Read<crate::op::Options> {
    c.parens(|c| {
        if c.is_punct(b')') {
            return Ok(Vec::new());
        }
        c.list(|c| {
            let key = c.dotted()?.into_iter().map(|n| n.value).collect::<Vec<_>>().join(".");
            let value = if c.op("=") || !(c.is_punct(b',') || c.is_punct(b')')) {
                let start = c.pos();
                c.skip_until(|c| c.is_punct(b','));
                Some(c.text_from(start))
            } else {
                None
            };
            Ok((key, value))
        })
    })
}
