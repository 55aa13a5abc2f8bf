//! Hover: what a statement does; what a suppressed rule says.

use lsp_types::{Hover, HoverContents, MarkupContent, MarkupKind, Position};

use crate::rules;
use crate::source::suppressions;

use super::super::effects;
use super::analysis::Analysis;
use super::text::Encoding;

pub fn hover(a: &Analysis, encoding: Encoding, at: Position) -> Option<Hover> {
    let offset = encoding.offset(&a.source, at) as usize;
    let (span, value) = suppressed(a, offset).or_else(|| statement(a, offset))?;
    let contents = HoverContents::Markup(MarkupContent { kind: MarkupKind::Markdown, value });
    Some(Hover { contents, range: Some(encoding.range(&a.source, span)) })
}

/// The page of the rule that a comment allows.
fn suppressed(a: &Analysis, offset: usize) -> Option<(crate::source::Span, String)> {
    let comments = suppressions(&a.source);
    let comment = comments.iter().find(|c| c.span.contains(offset))?;
    let (name, span) = comment.rules.iter().find(|(_, s)| s.contains(offset)).or_else(|| comment.rules.first())?;
    Some((*span, rules::page(a.rules.get(name)?)))
}

fn statement(a: &Analysis, offset: usize) -> Option<(crate::source::Span, String)> {
    let here = a.scripts.iter().filter(|s| s.source.path() == a.source.path());
    let r = here.flat_map(|s| &s.statements).find(|r| r.statement.span.contains(offset))?;
    let facts = effects::describe(&r.effects, &r.compat, &Default::default());
    let mut out = format!("**{}** on Postgres {}\n\n", r.statement.command, r.before.pg);
    let lines = effects::lines(&facts);
    if !lines.iter().any(|(title, _)| matches!(*title, "locks" | "rewrites" | "scans" | "builds" | "fails")) {
        out.push_str("- nothing that was there before is locked\n");
    }
    for (title, words) in lines {
        out.push_str(&format!("- {title}: {words}\n"));
    }
    if r.sent.in_transaction {
        out.push_str("- runs in a transaction: its locks are held until the end of it\n");
    }
    Some((r.statement.span, out))
}
