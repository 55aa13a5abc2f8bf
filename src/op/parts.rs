//! Parts of definitions: columns, constraints, index elements, partition bounds.

use crate::source::Span;

use super::{Expr, Name, QName, TypeName};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDef {
    pub name: Name,
    pub ty: TypeName,
    pub collation: Option<QName>,
    pub default: Option<Expr>,
    /// `Some(false)`: NOT NULL; `Some(true)`: NULL; `None`: neither is said.
    pub nullable: Option<bool>,
    /// The words NOT NULL.
    pub not_null_span: Option<Span>,
    pub not_null_name: Option<Name>,
    pub identity: Option<Identity>,
    pub generated: Option<Generated>,
    /// Inline CHECK, UNIQUE, PRIMARY KEY, REFERENCES, each with this column as its only column.
    pub constraints: Vec<TableConstraint>,
    pub storage: Option<String>,
    pub compression: Option<String>,
    pub options: Vec<(String, Option<String>)>,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub always: bool,
    pub sequence_options: Vec<(String, Option<String>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    pub expr: Expr,
    /// STORED; `false` is VIRTUAL (18, and the default there).
    pub stored: bool,
    /// Neither STORED nor VIRTUAL was written (18: virtual).
    pub implicit: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableConstraint {
    pub name: Option<Name>,
    pub kind: ConstraintKind,
    pub not_valid: bool,
    /// NOT ENFORCED (18).
    pub not_enforced: bool,
    pub deferrable: bool,
    pub initially_deferred: bool,
    pub no_inherit: bool,
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConstraintKind {
    Check { expr: Expr },
    NotNull { column: Name },
    Unique { columns: Vec<Name>, include: Vec<Name>, nulls_not_distinct: bool, using_index: Option<Name>, without_overlaps: bool },
    PrimaryKey { columns: Vec<Name>, include: Vec<Name>, using_index: Option<Name>, without_overlaps: bool },
    ForeignKey(Box<ForeignKey>),
    Exclude { method: Option<String>, elements: Vec<(IndexElement, String)>, filter: Option<Expr> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    pub columns: Vec<Name>,
    pub table: QName,
    /// Empty: the primary key.
    pub ref_columns: Vec<Name>,
    pub on_delete: FkAction,
    pub on_update: FkAction,
    /// ON DELETE SET NULL (cols).
    pub on_delete_columns: Vec<Name>,
    pub match_full: bool,
    pub period: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::Display, strum::IntoStaticStr)]
pub enum FkAction {
    #[default]
    #[strum(serialize = "NO ACTION")]
    NoAction,
    #[strum(serialize = "RESTRICT")]
    Restrict,
    #[strum(serialize = "CASCADE")]
    Cascade,
    #[strum(serialize = "SET NULL")]
    SetNull,
    #[strum(serialize = "SET DEFAULT")]
    SetDefault,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexElement {
    pub expr: Expr,
    pub collation: Option<QName>,
    pub opclass: Option<QName>,
    /// `gist_trgm_ops(siglen = 32)`.
    pub opclass_options: Options,
    pub descending: bool,
    pub nulls_first: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LikeClause {
    pub table: QName,
    /// Upper case, as written: INCLUDING / EXCLUDING what (`ALL`, `DEFAULTS`, `INDEXES`, …), in order.
    pub options: Vec<(bool, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionBy {
    /// `range`, `list`, `hash`.
    pub strategy: String,
    pub keys: Vec<Expr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionBound {
    Default,
    List(Vec<Expr>),
    Range { from: Vec<Expr>, to: Vec<Expr> },
    Hash { modulus: String, remainder: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Persistence {
    #[default]
    Permanent,
    Temporary,
    Unlogged,
}

/// What becomes of a temporary table when the transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnCommit {
    #[default]
    PreserveRows,
    DeleteRows,
    Drop,
}

/// Options such as fillfactor, security_invoker, autovacuum_enabled: key folded, value as written.
pub type Options = Vec<(String, Option<String>)>;
