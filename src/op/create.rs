//! What the large CREATE statements and GRANT say.

use crate::source::Span;

use super::{
    ColumnDef, Expr, IndexElement, LikeClause, Name, ObjectKind, ObjectRef, OnCommit, Op, Options, PartitionBound, PartitionBy,
    Persistence, QName, Query, TableConstraint, TypeName,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTable {
    pub name: QName,
    pub if_not_exists: bool,
    pub persistence: Persistence,
    pub columns: Vec<ColumnDef>,
    pub constraints: Vec<TableConstraint>,
    pub likes: Vec<LikeClause>,
    pub inherits: Vec<QName>,
    pub partition_by: Option<PartitionBy>,
    pub partition_of: Option<(QName, PartitionBound)>,
    pub of_type: Option<QName>,
    pub options: Options,
    pub access_method: Option<String>,
    pub tablespace: Option<String>,
    pub on_commit: OnCommit,
    /// CREATE FOREIGN TABLE … SERVER.
    pub foreign_server: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTableAs {
    pub name: QName,
    pub if_not_exists: bool,
    pub persistence: Persistence,
    pub columns: Vec<Name>,
    pub query: Query,
    pub with_data: bool,
    pub on_commit: OnCommit,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateIndex {
    pub name: Option<QName>,
    pub if_not_exists: bool,
    pub table: QName,
    pub only: bool,
    pub unique: bool,
    pub concurrently: bool,
    pub concurrently_span: Option<Span>,
    /// The word INDEX: where CONCURRENTLY would follow.
    pub index_span: Span,
    pub method: Option<String>,
    pub elements: Vec<IndexElement>,
    pub include: Vec<Name>,
    pub nulls_not_distinct: bool,
    pub filter: Option<Expr>,
    pub options: Options,
    pub tablespace: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateView {
    pub name: QName,
    pub or_replace: bool,
    pub if_not_exists: bool,
    pub temporary: bool,
    pub recursive: bool,
    pub materialized: bool,
    pub columns: Vec<Name>,
    pub query: Query,
    pub options: Options,
    pub with_data: bool,
    /// WITH CHECK OPTION; with LOCAL it stands among the options, too.
    pub check_option: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SequenceOptions {
    pub ty: Option<TypeName>,
    /// INCREMENT, MINVALUE, MAXVALUE, START, RESTART, CACHE, CYCLE, LOGGED …: key upper case.
    pub other: Options,
    /// `Some(None)`: OWNED BY NONE.
    pub owned_by: Option<Option<(QName, Name)>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateFunction {
    pub name: QName,
    pub procedure: bool,
    pub or_replace: bool,
    pub args: Vec<FunctionArg>,
    pub returns: Option<TypeName>,
    /// RETURNS TABLE (…).
    pub returns_table: Vec<(Name, TypeName)>,
    pub language: String,
    pub volatility: Volatility,
    pub strict: bool,
    pub security_definer: bool,
    pub leakproof: bool,
    /// WINDOW, COST 100, ROWS 10, PARALLEL SAFE, SUPPORT f, TRANSFORM …: each as written.
    pub other: Vec<String>,
    /// SET clauses: (`search_path`, value); the value `FROM CURRENT` is those words.
    pub settings: Vec<(String, String)>,
    /// The text between the quotes, unescaped; for BEGIN ATOMIC and RETURN bodies the words themselves.
    pub body: String,
    /// The second string of `AS 'library', 'symbol'`.
    pub symbol: Option<String>,
    pub body_span: Option<Span>,
    /// What static SQL in the body does when it runs, as far as it was read (PL/pgSQL and SQL).
    pub body_ops: Vec<Op>,
    pub dynamic_sql: bool,
    /// A literal or column is glued into dynamic SQL with ||.
    pub concatenated_sql: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionArg {
    /// IN, OUT, INOUT, VARIADIC; upper case.
    pub mode: String,
    pub name: Option<Name>,
    pub ty: TypeName,
    pub default: Option<Expr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum Volatility {
    Immutable,
    Stable,
    #[default]
    Volatile,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTrigger {
    pub name: Name,
    pub table: QName,
    pub or_replace: bool,
    pub constraint: bool,
    /// BEFORE, AFTER, INSTEAD OF.
    pub timing: String,
    /// INSERT, UPDATE, DELETE, TRUNCATE.
    pub events: Vec<String>,
    pub update_of: Vec<Name>,
    pub for_each_row: bool,
    pub when: Option<Expr>,
    pub function: QName,
    /// What the function gets in TG_ARGV: values of strings, words as written.
    pub args: Vec<String>,
    /// FROM of a constraint trigger.
    pub references: Option<QName>,
    pub deferrable: bool,
    pub initially_deferred: bool,
    /// REFERENCING NEW TABLE AS n (`true`), OLD TABLE AS o.
    pub transition_tables: Vec<(bool, Name)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatePolicy {
    pub name: Name,
    pub table: QName,
    pub permissive: bool,
    /// ALL, SELECT, INSERT, UPDATE, DELETE.
    pub command: String,
    pub roles: Vec<String>,
    pub using: Option<Expr>,
    pub with_check: Option<Expr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub revoke: bool,
    /// Upper case; `ALL` alone is ALL PRIVILEGES; columns where given.
    pub privileges: Vec<(String, Vec<Name>)>,
    pub on: GrantOn,
    pub grantees: Vec<String>,
    pub grant_option: bool,
    pub cascade: bool,
    /// ALTER DEFAULT PRIVILEGES: what is said is for objects made later.
    pub default_for: Option<DefaultPrivileges>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultPrivileges {
    pub schemas: Vec<Name>,
    pub roles: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantOn {
    /// GRANT role TO role: the roles are `privileges`.
    Roles,
    Objects(Vec<ObjectRef>),
    /// ALL TABLES IN SCHEMA …
    AllIn {
        kind: ObjectKind,
        schemas: Vec<Name>,
    },
    /// The object kind of ALTER DEFAULT PRIVILEGES.
    Future(ObjectKind),
}
