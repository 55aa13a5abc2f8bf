//! What a statement does: the list that everything behind lowering matches on.

use crate::source::Span;

use super::{
    AlterAction, AlterTarget, ColumnDef, CreateFunction, CreateIndex, CreatePolicy, CreateTable, CreateTableAs, CreateTrigger, CreateView,
    Dml, DomainAction, Expr, Grant, LockMode, Name, ObjectRef, Persistence, QName, Query, SequenceOptions, TypeName,
};

#[derive(Debug, Clone, PartialEq, Eq, strum::IntoStaticStr, strum::EnumDiscriminants)]
#[strum(serialize_all = "kebab-case")]
#[strum_discriminants(name(OpTag), derive(strum::IntoStaticStr, strum::EnumIter, Hash), strum(serialize_all = "kebab-case"))]
pub enum OpKind {
    // Relations
    CreateTable(Box<CreateTable>),
    /// CREATE TABLE AS and SELECT INTO.
    CreateTableAs(Box<CreateTableAs>),
    /// One subcommand of ALTER TABLE / VIEW / MATERIALIZED VIEW / INDEX / SEQUENCE / FOREIGN TABLE / TYPE (composite).
    Alter {
        target: AlterTarget,
        action: AlterAction,
    },
    CreateIndex(Box<CreateIndex>),
    CreateView(Box<CreateView>),
    RefreshView {
        name: QName,
        concurrently: bool,
        with_data: bool,
    },
    CreateSequence {
        name: QName,
        if_not_exists: bool,
        persistence: Persistence,
        options: SequenceOptions,
    },
    AlterSequence {
        name: QName,
        if_exists: bool,
        options: SequenceOptions,
    },

    // Types
    CreateEnum {
        name: QName,
        labels: Vec<String>,
    },
    CreateDomain {
        name: QName,
        ty: TypeName,
        collation: Option<QName>,
        default: Option<Expr>,
        not_null: bool,
        checks: Vec<(Option<Name>, Expr)>,
    },
    CreateComposite {
        name: QName,
        attributes: Vec<ColumnDef>,
    },
    /// Range, base and shell types.
    CreateOtherType {
        name: QName,
        kind: String,
    },
    AddEnumValue {
        name: QName,
        value: String,
        if_not_exists: bool,
        before: Option<String>,
        after: Option<String>,
        value_span: Span,
    },
    RenameEnumValue {
        name: QName,
        from: String,
        to: String,
    },
    AlterDomain {
        name: QName,
        action: DomainAction,
    },

    // Code
    CreateFunction(Box<CreateFunction>),
    AlterFunction {
        object: ObjectRef,
        /// Clause by clause: `SECURITY DEFINER`, `SET search_path TO a, b`, `SET x FROM CURRENT`, `RESET ALL`, `COST 10`.
        options: Vec<String>,
    },
    CreateTrigger(Box<CreateTrigger>),
    CreatePolicy(Box<CreatePolicy>),
    AlterPolicy {
        name: Name,
        table: QName,
        roles: Vec<String>,
        using: Option<Expr>,
        with_check: Option<Expr>,
    },
    CreateRule {
        name: Name,
        table: QName,
        event: String,
        instead: bool,
        or_replace: bool,
    },

    // Any object
    CreateSchema {
        name: Option<Name>,
        if_not_exists: bool,
        authorization: Option<String>,
    },
    CreateExtension {
        name: Name,
        if_not_exists: bool,
        schema: Option<Name>,
        version: Option<String>,
        cascade: bool,
    },
    AlterExtension {
        name: Name,
        update: bool,
    },
    CreateStatistics {
        name: Option<QName>,
        if_not_exists: bool,
        kinds: Vec<String>,
        exprs: Vec<Expr>,
        table: QName,
    },
    /// Objects that the catalog only keeps by name: roles, publications, collations, operators, casts, …
    CreateObject {
        object: ObjectRef,
        or_replace: bool,
        if_not_exists: bool,
        detail: String,
    },
    /// ALTER of such an object that neither renames it nor moves it.
    AlterObject {
        object: ObjectRef,
        detail: String,
    },
    Drop {
        objects: Vec<ObjectRef>,
        if_exists: bool,
        cascade: bool,
        concurrently: bool,
    },
    /// RENAME of anything that is not a relation, its column or its constraint (those are `Alter`).
    Rename {
        object: ObjectRef,
        to: Name,
    },
    SetSchema {
        object: ObjectRef,
        schema: Name,
    },
    Owner {
        object: ObjectRef,
        to: String,
    },
    Comment {
        object: ObjectRef,
        text: Option<String>,
    },
    Grant(Box<Grant>),

    // Data
    Dml(Box<Dml>),
    Query(Box<Query>),
    Copy {
        table: Option<QName>,
        columns: Vec<Name>,
        query: Option<Box<Query>>,
        from: bool,
        program: bool,
    },
    Truncate {
        tables: Vec<(QName, bool)>,
        cascade: bool,
        restart_identity: bool,
    },
    Call {
        name: QName,
        args: Vec<Expr>,
    },

    // Sessions and transactions
    Begin {
        read_only: bool,
    },
    Commit {
        chain: bool,
    },
    Rollback {
        chain: bool,
    },
    Savepoint {
        name: Name,
    },
    ReleaseSavepoint {
        name: Name,
    },
    RollbackTo {
        name: Name,
    },
    SetVar {
        scope: SetScope,
        name: String,
        value: Option<SetValue>,
    },
    /// RESET name; `None`: ALL. `SET name TO DEFAULT` is this too.
    ResetVar {
        name: Option<String>,
    },
    SetRole {
        role: Option<String>,
        session: bool,
        local: bool,
    },
    SetConstraints {
        deferred: bool,
        all: bool,
    },
    LockTable {
        tables: Vec<(QName, bool)>,
        mode: LockMode,
        nowait: bool,
    },

    // Maintenance
    Reindex {
        target: ReindexTarget,
        name: Option<QName>,
        concurrently: bool,
    },
    Cluster {
        table: Option<QName>,
        index: Option<Name>,
    },
    Vacuum {
        tables: Vec<QName>,
        full: bool,
        analyze: bool,
    },
    Analyze {
        tables: Vec<QName>,
    },
    /// ALTER SYSTEM, CREATE / DROP DATABASE and TABLESPACE …: refused in a transaction block.
    NoTransaction {
        detail: String,
    },

    /// A DO block or EXECUTE: its own entry, before the operations found inside.
    DoBlock {
        language: String,
        dynamic: bool,
        handles_exceptions: bool,
    },
    /// Not understood.
    Opaque {
        reason: OpaqueReason,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpaqueReason {
    /// Neither parser reads it; the message says where it stops.
    Syntax { message: String, at: Span },
    /// EXECUTE of something computed.
    Dynamic,
    /// A template directive that is only known when the runner runs.
    Template,
    /// Code in a language that is not read.
    Language(String),
    /// A psql command that runs SQL from elsewhere, or goes elsewhere: `\\i`, `\\gexec`, `\\connect`.
    Psql(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetScope {
    Session,
    Local,
    Transaction,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetValue {
    pub text: String,
    /// For lists (search_path): the parts, folded.
    pub parts: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum ReindexTarget {
    Index,
    Table,
    Schema,
    Database,
    System,
}
