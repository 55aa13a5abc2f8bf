//! The operation: one atomic thing that a statement does.
//!
//! `lower` makes operations from syntax; `catalog`, `effects`, `compat` and `plan` read them. No type of
//! the SQL parser appears here. Names are already folded as Postgres folds them; every part that a
//! diagnostic may point at keeps its span in the file.

mod alter;
mod create;
mod expr;
mod kind;
mod lock;
mod objects;
mod parts;
mod query;

pub use alter::*;
pub use create::*;
pub use expr::*;
pub use kind::*;
pub use lock::*;
pub use objects::*;
pub use parts::*;
pub use query::*;

use crate::source::Span;

/// A statement of a file with what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// From the first word to the last, without the semicolon and without leading comments.
    pub span: Span,
    /// The command's tag, upper case: `ALTER TABLE`, `CREATE INDEX`, `DO`.
    pub command: &'static str,
    pub ops: Vec<Op>,
    pub understood: Understood,
}

impl Statement {
    /// The same statement with one of its operations, without a copy of the others.
    pub fn only(&self, op: &Op) -> Statement {
        Statement { span: self.span, command: self.command, ops: vec![op.clone()], understood: self.understood }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Understood {
    /// Every part became operations.
    Full,
    /// Part of it is opaque (dynamic SQL in a DO block, for instance); the rest became operations.
    Partial,
    /// Read, and known to change no schema object (SELECT, SHOW, psql meta-commands, …).
    NoEffect,
    /// Not read at all: kept with its words and its span.
    Opaque,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// The operation's own words: one subcommand of an ALTER TABLE, else the whole statement.
    pub span: Span,
    /// Operations of one SQL command share a number (the subcommands of one ALTER TABLE do; commands inside a DO block
    /// do not). Unique within the statement.
    pub command: u32,
    /// Inside IF, LOOP, EXCEPTION of a code block: may or may not run.
    pub conditional: bool,
    /// Inside a DO block, a function body that runs, or EXECUTE of a literal.
    pub nested: bool,
    pub kind: OpKind,
}

/// An identifier as Postgres sees it: folded to lower case unless it was quoted, not truncated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    pub value: String,
    pub span: Span,
}

impl Name {
    pub fn new(value: impl Into<String>, span: Span) -> Self {
        Name { value: value.into(), span }
    }
    pub fn as_str(&self) -> &str {
        &self.value
    }
}

/// A possibly schema-qualified name. A database part (`db.schema.name`) is dropped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QName {
    pub schema: Option<Name>,
    pub name: Name,
}

impl QName {
    pub fn bare(value: impl Into<String>, span: Span) -> Self {
        QName { schema: None, name: Name::new(value, span) }
    }
    pub fn span(&self) -> Span {
        self.schema.as_ref().map_or(self.name.span, |s| s.span.to(self.name.span))
    }
    pub fn schema_str(&self) -> Option<&str> {
        self.schema.as_ref().map(|s| s.value.as_str())
    }
    pub fn as_str(&self) -> &str {
        &self.name.value
    }
}

impl std::fmt::Display for QName {
    /// Unquoted, for messages. SQL is written through `crate::quote` only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(s) => write!(f, "{}.{}", s.value, self.name.value),
            None => f.write_str(&self.name.value),
        }
    }
}

/// A type as written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TypeName {
    /// Canonical name of built-in types as `format_type` prints them without modifiers (`integer`, `character varying`,
    /// `timestamp with time zone`, `bpchar` written `character`), with schema `None`. `serial`, `bigserial` and `smallserial` keep those
    /// names. Other types: as written, folded.
    pub name: QName,
    /// `varchar(10)` → `["10"]`, `numeric(10,2)` → `["10", "2"]`, `geometry(Point,4326)` → texts; `interval day to second(3)` →
    /// `["day to second", "3"]`.
    pub modifiers: Vec<String>,
    /// Number of `[]`.
    pub array_dims: u8,
    /// `SETOF`.
    pub setof: bool,
    /// `%TYPE` of a column: the name is the table and column.
    pub percent_type: bool,
    pub span: Span,
    /// As written, comments and all.
    pub text: String,
}
