//! Places in a statement that a fix may name: `after = "kind"`, `before = "statement"`, `{table-name}`.

use crate::facts::{Facts, Value};
use crate::op::{AlterAction, ColumnDef, Op, OpKind, Statement};
use crate::source::{SourceFile, Span};
use crate::sql::token::{SqlText, Token, TokenKind, tokenize};

/// Every anchor, with its meaning.
pub const ANCHORS: &[(&str, &str)] = &[
    ("statement", "the statement, from its first word to the last"),
    ("operation", "the operation: one subcommand of an ALTER TABLE, else the statement"),
    ("kind", "the word for the kind of object: INDEX in CREATE, DROP and REINDEX INDEX, VIEW in REFRESH, TABLE in DROP TABLE"),
    ("if-exists", "the words IF EXISTS or IF NOT EXISTS"),
    ("cascade", "the word CASCADE"),
    ("concurrently", "the word CONCURRENTLY"),
    ("unlogged", "the word UNLOGGED"),
    ("local", "the word LOCAL of a SET"),
    ("value", "the value of a SET"),
    ("type", "the type of the column"),
    ("not-null", "the words NOT NULL of the column"),
    ("constraint", "the definition of the constraint"),
    ("table-name", "the table's name"),
    ("column-name", "the column's name"),
    ("constraint-name", "the constraint's name"),
];

pub fn is_anchor(name: &str) -> bool {
    ANCHORS.iter().any(|(n, _)| *n == name)
}

/// One operation in its file.
pub struct Place<'a> {
    pub source: &'a SourceFile,
    pub statement: &'a Statement,
    pub op: &'a Op,
    pub facts: &'a Facts,
    tokens: Vec<Token>,
}

impl<'a> Place<'a> {
    pub fn new(source: &'a SourceFile, statement: &'a Statement, op: &'a Op, facts: &'a Facts) -> Self {
        let tokens = tokenize(SqlText::new(source.slice(statement.span), statement.span.start));
        Place { source, statement, op, facts, tokens }
    }

    pub fn anchor(&self, name: &str) -> Option<Span> {
        match name {
            "statement" => Some(self.statement.span),
            "operation" => Some(self.op.span),
            "kind" => self.kind(),
            "if-exists" => self.if_exists(),
            "cascade" => self.words(self.op.span, &["CASCADE"]),
            "concurrently" => self.words(self.statement.span, &["CONCURRENTLY"]),
            "unlogged" => self.words(self.statement.span, &["UNLOGGED"]),
            "local" => self.words(self.op.span, &["LOCAL"]),
            "value" => self.value(),
            "type" => match &self.op.kind {
                OpKind::Alter { action: AlterAction::SetType { ty, .. }, .. } => Some(ty.span),
                _ => self.column().map(|c| c.ty.span),
            },
            "not-null" => self.column()?.not_null_span,
            "constraint" => match &self.op.kind {
                OpKind::Alter { action: AlterAction::AddConstraint(c), .. } => Some(c.span),
                _ => None,
            },
            "table-name" => match &self.op.kind {
                OpKind::Alter { target, .. } => Some(target.name.span()),
                OpKind::CreateIndex(i) => Some(i.table.span()),
                OpKind::CreateTable(t) => Some(t.name.span()),
                OpKind::Dml(d) => Some(d.table.span()),
                _ => None,
            },
            "column-name" => match &self.op.kind {
                OpKind::Alter { action: AlterAction::DropColumn { column, .. } | AlterAction::SetNotNull { column }, .. } => {
                    Some(column.span)
                }
                _ => self.column().map(|c| c.name.span),
            },
            "constraint-name" => match &self.op.kind {
                OpKind::Alter { action: AlterAction::AddConstraint(c), .. } => Some(c.name.as_ref()?.span),
                OpKind::Alter { action: AlterAction::ValidateConstraint { name } | AlterAction::DropConstraint { name, .. }, .. } => {
                    Some(name.span)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The anchor with the blanks and comments before it, so that nothing is left behind when it goes.
    pub fn with_gap(&self, span: Span) -> Span {
        let before = self.tokens.iter().rev().find(|t| t.span.end <= span.start);
        before.map_or(span, |t| Span { start: t.span.end, end: span.end })
    }

    /// The statement is written in lower case.
    pub fn is_lower(&self) -> bool {
        let first = self.tokens.first().map_or("", |t| self.source.slice(t.span));
        first.chars().any(|c| c.is_ascii_lowercase()) && !first.chars().any(|c| c.is_ascii_uppercase())
    }

    fn word(&self, t: &Token) -> &str {
        if t.kind == TokenKind::Word { self.source.slice(t.span) } else { "" }
    }

    /// The first place inside `within` where these words follow each other.
    fn words(&self, within: Span, words: &[&str]) -> Option<Span> {
        let tokens: Vec<&Token> = self.tokens.iter().filter(|t| t.span.start >= within.start && t.span.end <= within.end).collect();
        let at = tokens.windows(words.len()).find(|w| w.iter().zip(words).all(|(t, word)| self.word(t).eq_ignore_ascii_case(word)))?;
        Some(at.first()?.span.to(at.last()?.span))
    }

    fn kind(&self) -> Option<Span> {
        let word = match &self.op.kind {
            OpKind::CreateIndex(i) => return Some(i.index_span),
            OpKind::Drop { objects, .. } => objects.first()?.kind.to_string(),
            OpKind::Reindex { target, .. } => target.to_string().to_uppercase(),
            OpKind::RefreshView { .. } => "VIEW".to_string(),
            OpKind::CreateTable(_) => "TABLE".to_string(),
            OpKind::CreateSchema { .. } => "SCHEMA".to_string(),
            OpKind::CreateSequence { .. } => "SEQUENCE".to_string(),
            OpKind::CreateExtension { .. } => "EXTENSION".to_string(),
            OpKind::Alter { target, .. } => target.kind.to_string(),
            _ => return None,
        };
        let last = word.rsplit('-').next()?;
        let t = self.tokens.iter().skip(1).find(|t| self.word(t).eq_ignore_ascii_case(last))?;
        Some(t.span)
    }

    /// What stands behind `=` or TO of a SET.
    fn value(&self) -> Option<Span> {
        if !matches!(self.op.kind, OpKind::SetVar { .. }) {
            return None;
        }
        let sign = self.tokens.iter().position(|t| self.word(t).eq_ignore_ascii_case("TO") || self.source.slice(t.span) == "=")?;
        let rest = self.tokens.get(sign + 1..)?;
        Some(rest.first()?.span.to(rest.last()?.span))
    }

    fn if_exists(&self) -> Option<Span> {
        // Of an ALTER TABLE the subcommand's own words come first.
        let subcommand = matches!(self.op.kind, OpKind::Alter { .. }).then_some(self.op.span);
        let places = subcommand.into_iter().chain([self.statement.span]);
        places.into_iter().find_map(|p| self.words(p, &["IF", "NOT", "EXISTS"]).or_else(|| self.words(p, &["IF", "EXISTS"])))
    }

    fn column(&self) -> Option<&ColumnDef> {
        match &self.op.kind {
            OpKind::Alter { action: AlterAction::AddColumn { column, .. }, .. } => Some(column),
            OpKind::CreateTable(t) => {
                let Some(Value::Text(name)) = self.facts.get("column") else { return None };
                t.columns.iter().find(|c| c.name.as_str() == name)
            }
            _ => None,
        }
    }
}
