//! The operation: one atomic thing that a statement does.
//!
//! `lower` makes operations from syntax; `catalog`, `effects`, `compat` and `plan` read them. No type of
//! the SQL parser appears here. Names are already folded as Postgres folds them; every part that a
//! diagnostic may point at keeps its span in the file.

use crate::source::Span;

/// A statement of a file with what it does.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// From the first word to the last, without the semicolon and without leading comments.
    pub span: Span,
    /// The command's tag, upper case: `ALTER TABLE`, `CREATE INDEX`, `DO`.
    pub command: &'static str,
    pub ops: Vec<Op>,
    pub understood: Understood,
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

#[derive(Debug, Clone, PartialEq)]
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

/// An expression: its own words, and as much structure as analyses need.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// As written.
    pub text: String,
    pub span: Span,
    pub kind: ExprKind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    Null,
    Bool(bool),
    Number(String),
    /// The value of a string literal of any spelling ('…', E'…', $$…$$), unescaped.
    String(String),
    /// `$1`, `?`, `:name`, `{x}`: a parameter.
    Param(String),
    /// `a`, `t.a`, `s.t.a`: the parts.
    Column(Vec<Name>),
    /// `*`, `t.*`: the qualifying parts.
    Star(Vec<Name>),
    Call(Box<Call>),
    /// `CAST(e AS t)`, `e::t`, `t 'literal'`.
    Cast {
        expr: Box<Expr>,
        ty: TypeName,
    },
    /// CURRENT_DATE, CURRENT_TIMESTAMP, CURRENT_USER, LOCALTIME, …: upper case.
    SqlValue(String),
    Unary {
        op: String,
        expr: Box<Expr>,
    },
    /// All infix operators, `AND`, `OR`, `LIKE`, `ILIKE`, `IS DISTINCT FROM`, `IS NOT DISTINCT FROM`, `IN`, `NOT IN`, … included; upper case words.
    Binary {
        op: String,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    IsNull {
        expr: Box<Expr>,
        negated: bool,
    },
    Array(Vec<Expr>),
    Row(Vec<Expr>),
    Case(Vec<Expr>),
    Collate {
        expr: Box<Expr>,
        collation: QName,
    },
    /// A scalar, EXISTS, IN, ANY or ARRAY subquery.
    Subquery(Box<Query>),
    /// Anything else: its sub-expressions.
    Other(Vec<Expr>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub name: QName,
    pub args: Vec<Expr>,
    pub star: bool,
    pub window: bool,
}

impl Expr {
    /// Calls `f` on this expression and everything below it (subqueries' expressions included), parents first.
    pub fn walk<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        f(self);
        match &self.kind {
            ExprKind::Null
            | ExprKind::Bool(_)
            | ExprKind::Number(_)
            | ExprKind::String(_)
            | ExprKind::Param(_)
            | ExprKind::Column(_)
            | ExprKind::Star(_)
            | ExprKind::SqlValue(_) => {}
            ExprKind::Call(c) => c.args.iter().for_each(|e| e.walk(f)),
            ExprKind::Cast { expr, .. } | ExprKind::Unary { expr, .. } | ExprKind::IsNull { expr, .. } | ExprKind::Collate { expr, .. } => {
                expr.walk(f)
            }
            ExprKind::Binary { left, right, .. } => {
                left.walk(f);
                right.walk(f);
            }
            ExprKind::Array(v) | ExprKind::Row(v) | ExprKind::Case(v) | ExprKind::Other(v) => v.iter().for_each(|e| e.walk(f)),
            ExprKind::Subquery(q) => q.walk_exprs(f),
        }
    }
}

/// A query (SELECT, VALUES, TABLE, set operation, or a data-modifying statement inside WITH).
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    pub text: String,
    pub span: Span,
    pub ctes: Vec<Cte>,
    pub body: QueryBody,
    pub order_by: Vec<Expr>,
    pub limit: Option<Expr>,
    pub locking: Option<RowLock>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Cte {
    pub name: Name,
    pub columns: Vec<Name>,
    pub body: Box<OpKindQuery>,
}

/// What a CTE may hold.
#[expect(clippy::large_enum_variant, reason = "always behind a box or in a short list")]
#[derive(Debug, Clone, PartialEq)]
pub enum OpKindQuery {
    Query(Query),
    Dml(Dml),
}

#[derive(Debug, Clone, PartialEq)]
pub enum QueryBody {
    Select(Box<Select>),
    Values(Vec<Vec<Expr>>),
    /// UNION, INTERSECT, EXCEPT.
    SetOp(Box<Query>, Box<Query>),
    Table(QName),
    /// INSERT … RETURNING and so on used as a query body.
    Dml(Box<Dml>),
    /// Not understood; `text` of the query still stands.
    Other,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Select {
    pub distinct: bool,
    pub targets: Vec<Target>,
    pub from: Vec<FromItem>,
    pub filter: Option<Expr>,
    pub group_by: Vec<Expr>,
    pub having: Option<Expr>,
    /// SELECT … INTO new_table.
    pub into: Option<QName>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    pub expr: Expr,
    pub alias: Option<Name>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum FromItem {
    Table { name: QName, only: bool, alias: Option<Name>, columns: Vec<Name>, sample: bool },
    Query { query: Box<Query>, alias: Option<Name>, columns: Vec<Name>, lateral: bool },
    Function { call: Expr, alias: Option<Name>, columns: Vec<Name> },
    Join { left: Box<FromItem>, right: Box<FromItem>, natural: bool, using: Vec<Name>, on: Option<Expr> },
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowLock {
    KeyShare,
    Share,
    NoKeyUpdate,
    Update,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Dml {
    pub span: Span,
    pub ctes: Vec<Cte>,
    pub kind: DmlKind,
    pub table: QName,
    pub only: bool,
    pub alias: Option<Name>,
    /// UPDATE … FROM, DELETE … USING, MERGE … USING.
    pub from: Vec<FromItem>,
    pub filter: Option<Expr>,
    pub returning: Vec<Target>,
}

#[expect(clippy::large_enum_variant, reason = "always behind a box or in a short list")]
#[derive(Debug, Clone, PartialEq)]
pub enum DmlKind {
    Insert {
        /// `None`: no column list.
        columns: Option<Vec<Name>>,
        source: InsertSource,
        overriding: bool,
        on_conflict: Option<OnConflict>,
    },
    Update {
        set: Vec<Assignment>,
    },
    Delete,
    Merge {
        on: Option<Expr>,
        actions: Vec<DmlKind>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub enum InsertSource {
    Default,
    Query(Box<Query>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct OnConflict {
    pub target: ConflictTarget,
    /// Empty: DO NOTHING.
    pub set: Vec<Assignment>,
    pub filter: Option<Expr>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ConflictTarget {
    Any,
    /// Index expressions (columns mostly) and the predicate of a partial index.
    Columns(Vec<Expr>, Option<Expr>),
    Constraint(Name),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    pub columns: Vec<Name>,
    pub value: Expr,
}

/// Anything that can be asked about "which relations does this read".
impl Query {
    pub fn walk_exprs<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        for c in &self.ctes {
            match &*c.body {
                OpKindQuery::Query(q) => q.walk_exprs(f),
                OpKindQuery::Dml(d) => d.walk_exprs(f),
            }
        }
        match &self.body {
            QueryBody::Select(s) => {
                s.targets.iter().for_each(|t| t.expr.walk(f));
                s.from.iter().for_each(|i| i.walk_exprs(f));
                s.filter.iter().chain(&s.group_by).chain(&s.having).for_each(|e| e.walk(f));
            }
            QueryBody::Values(rows) => rows.iter().flatten().for_each(|e| e.walk(f)),
            QueryBody::SetOp(l, r) => {
                l.walk_exprs(f);
                r.walk_exprs(f);
            }
            QueryBody::Dml(d) => d.walk_exprs(f),
            QueryBody::Table(_) | QueryBody::Other => {}
        }
        self.order_by.iter().chain(&self.limit).for_each(|e| e.walk(f));
    }

    /// Every relation named in FROM anywhere in the query, subqueries and CTE bodies included, CTE names left out.
    pub fn relations(&self) -> Vec<&QName> {
        let mut out = Vec::new();
        self.collect_relations(&mut Vec::new(), &mut out);
        out
    }

    fn collect_relations<'a>(&'a self, hidden: &mut Vec<&'a str>, out: &mut Vec<&'a QName>) {
        let depth = hidden.len();
        collect_ctes(&self.ctes, hidden, out);
        match &self.body {
            QueryBody::Select(s) => {
                s.from.iter().for_each(|i| i.collect_relations(hidden, out));
                for e in s.targets.iter().map(|t| &t.expr).chain(&s.filter).chain(&s.group_by).chain(&s.having) {
                    collect_expr_relations(e, hidden, out);
                }
            }
            QueryBody::Values(rows) => rows.iter().flatten().for_each(|e| collect_expr_relations(e, hidden, out)),
            QueryBody::SetOp(l, r) => {
                l.collect_relations(hidden, out);
                r.collect_relations(hidden, out);
            }
            QueryBody::Table(t) => push_unless_hidden(t, hidden, out),
            QueryBody::Dml(d) => d.collect_relations(hidden, out),
            QueryBody::Other => {}
        }
        self.order_by.iter().chain(&self.limit).for_each(|e| collect_expr_relations(e, hidden, out));
        hidden.truncate(depth);
    }
}

fn collect_ctes<'a>(ctes: &'a [Cte], hidden: &mut Vec<&'a str>, out: &mut Vec<&'a QName>) {
    for c in ctes {
        hidden.push(&c.name.value);
        match &*c.body {
            OpKindQuery::Query(q) => q.collect_relations(hidden, out),
            OpKindQuery::Dml(d) => d.collect_relations(hidden, out),
        }
    }
}

fn push_unless_hidden<'a>(name: &'a QName, hidden: &[&str], out: &mut Vec<&'a QName>) {
    if name.schema.is_some() || !hidden.contains(&name.as_str()) {
        out.push(name);
    }
}

fn collect_expr_relations<'a>(e: &'a Expr, hidden: &mut Vec<&'a str>, out: &mut Vec<&'a QName>) {
    // `walk` enters subqueries by itself and would lose which names their CTEs hide, so they are taken here only at the top.
    match &e.kind {
        ExprKind::Subquery(q) => q.collect_relations(hidden, out),
        ExprKind::Call(c) => c.args.iter().for_each(|e| collect_expr_relations(e, hidden, out)),
        ExprKind::Cast { expr, .. } | ExprKind::Unary { expr, .. } | ExprKind::IsNull { expr, .. } | ExprKind::Collate { expr, .. } => {
            collect_expr_relations(expr, hidden, out)
        }
        ExprKind::Binary { left, right, .. } => {
            collect_expr_relations(left, hidden, out);
            collect_expr_relations(right, hidden, out);
        }
        ExprKind::Array(v) | ExprKind::Row(v) | ExprKind::Case(v) | ExprKind::Other(v) => {
            v.iter().for_each(|e| collect_expr_relations(e, hidden, out))
        }
        _ => {}
    }
}

impl FromItem {
    pub fn walk_exprs<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        match self {
            FromItem::Table { .. } | FromItem::Other => {}
            FromItem::Query { query, .. } => query.walk_exprs(f),
            FromItem::Function { call, .. } => call.walk(f),
            FromItem::Join { left, right, on, .. } => {
                left.walk_exprs(f);
                right.walk_exprs(f);
                on.iter().for_each(|e| e.walk(f));
            }
        }
    }

    fn collect_relations<'a>(&'a self, hidden: &mut Vec<&'a str>, out: &mut Vec<&'a QName>) {
        match self {
            FromItem::Table { name, .. } => push_unless_hidden(name, hidden, out),
            FromItem::Query { query, .. } => query.collect_relations(hidden, out),
            FromItem::Function { call, .. } => collect_expr_relations(call, hidden, out),
            FromItem::Join { left, right, on, .. } => {
                left.collect_relations(hidden, out);
                right.collect_relations(hidden, out);
                on.iter().for_each(|e| collect_expr_relations(e, hidden, out));
            }
            FromItem::Other => {}
        }
    }
}

impl Dml {
    pub fn walk_exprs<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        for c in &self.ctes {
            match &*c.body {
                OpKindQuery::Query(q) => q.walk_exprs(f),
                OpKindQuery::Dml(d) => d.walk_exprs(f),
            }
        }
        self.kind.walk_exprs(f);
        self.from.iter().for_each(|i| i.walk_exprs(f));
        self.filter.iter().for_each(|e| e.walk(f));
        self.returning.iter().for_each(|t| t.expr.walk(f));
    }

    /// Relations read (not the target).
    pub fn reads(&self) -> Vec<&QName> {
        let mut out = Vec::new();
        self.collect_reads(&mut Vec::new(), &mut out);
        out
    }

    fn collect_relations<'a>(&'a self, hidden: &mut Vec<&'a str>, out: &mut Vec<&'a QName>) {
        out.push(&self.table);
        self.collect_reads(hidden, out);
    }

    fn collect_reads<'a>(&'a self, hidden: &mut Vec<&'a str>, out: &mut Vec<&'a QName>) {
        let depth = hidden.len();
        collect_ctes(&self.ctes, hidden, out);
        if let DmlKind::Insert { source: InsertSource::Query(q), .. } = &self.kind {
            q.collect_relations(hidden, out);
        }
        if let DmlKind::Update { set } = &self.kind {
            set.iter().for_each(|a| collect_expr_relations(&a.value, hidden, out));
        }
        self.from.iter().for_each(|i| i.collect_relations(hidden, out));
        self.filter.iter().for_each(|e| collect_expr_relations(e, hidden, out));
        hidden.truncate(depth);
    }
}

impl DmlKind {
    fn walk_exprs<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        match self {
            DmlKind::Insert { source, on_conflict, .. } => {
                if let InsertSource::Query(q) = source {
                    q.walk_exprs(f);
                }
                if let Some(c) = on_conflict {
                    c.set.iter().for_each(|a| a.value.walk(f));
                    c.filter.iter().for_each(|e| e.walk(f));
                    if let ConflictTarget::Columns(cols, pred) = &c.target {
                        cols.iter().chain(pred).for_each(|e| e.walk(f));
                    }
                }
            }
            DmlKind::Update { set } => set.iter().for_each(|a| a.value.walk(f)),
            DmlKind::Delete => {}
            DmlKind::Merge { on, actions } => {
                on.iter().for_each(|e| e.walk(f));
                actions.iter().for_each(|a| a.walk_exprs(f));
            }
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Parts of definitions

#[derive(Debug, Clone, PartialEq)]
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

#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    pub always: bool,
    pub sequence_options: Vec<(String, Option<String>)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    pub expr: Expr,
    /// STORED; `false` is VIRTUAL (18, and the default there).
    pub stored: bool,
    /// Neither STORED nor VIRTUAL was written (18: virtual).
    pub implicit: bool,
}

#[derive(Debug, Clone, PartialEq)]
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

#[derive(Debug, Clone, PartialEq)]
pub enum ConstraintKind {
    Check { expr: Expr },
    NotNull { column: Name },
    Unique { columns: Vec<Name>, include: Vec<Name>, nulls_not_distinct: bool, using_index: Option<Name>, without_overlaps: bool },
    PrimaryKey { columns: Vec<Name>, include: Vec<Name>, using_index: Option<Name>, without_overlaps: bool },
    ForeignKey(Box<ForeignKey>),
    Exclude { method: Option<String>, elements: Vec<(IndexElement, String)>, filter: Option<Expr> },
}

#[derive(Debug, Clone, PartialEq)]
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

#[derive(Debug, Clone, PartialEq)]
pub struct IndexElement {
    pub expr: Expr,
    pub collation: Option<QName>,
    pub opclass: Option<QName>,
    pub descending: bool,
    pub nulls_first: Option<bool>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LikeClause {
    pub table: QName,
    /// Upper case, as written: INCLUDING / EXCLUDING what (`ALL`, `DEFAULTS`, `INDEXES`, …), in order.
    pub options: Vec<(bool, String)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PartitionBy {
    /// `range`, `list`, `hash`.
    pub strategy: String,
    pub keys: Vec<Expr>,
}

#[derive(Debug, Clone, PartialEq)]
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

/// Options such as fillfactor, security_invoker, autovacuum_enabled: key folded, value as written.
pub type Options = Vec<(String, Option<String>)>;

// ---------------------------------------------------------------------------------------------------------------
// Kinds of objects

/// What DROP, RENAME, SET SCHEMA, OWNER TO, COMMENT and GRANT can be about.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, strum::Display, strum::IntoStaticStr, strum::EnumString, strum::EnumIter,
)]
#[strum(serialize_all = "SCREAMING-KEBAB-CASE")]
pub enum ObjectKind {
    Table,
    Column,
    Constraint,
    Index,
    View,
    MaterializedView,
    Sequence,
    ForeignTable,
    Type,
    Domain,
    Schema,
    Function,
    Procedure,
    Routine,
    Aggregate,
    Operator,
    OperatorClass,
    OperatorFamily,
    Trigger,
    EventTrigger,
    Policy,
    Rule,
    Extension,
    Database,
    Role,
    Tablespace,
    Publication,
    Subscription,
    Statistics,
    Collation,
    Conversion,
    Cast,
    Language,
    ForeignDataWrapper,
    Server,
    UserMapping,
    AccessMethod,
    Transform,
    TextSearchConfiguration,
    TextSearchDictionary,
    TextSearchParser,
    TextSearchTemplate,
    LargeObject,
    DomainConstraint,
    DefaultPrivileges,
    Parameter,
}

/// An object as named by DROP, COMMENT, ALTER … RENAME and so on.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectRef {
    pub kind: ObjectKind,
    pub name: QName,
    /// Table of a trigger, policy, rule, column or constraint; the column or constraint is `name`.
    pub on: Option<QName>,
    /// Argument types of functions, aggregates, operators; `None`: not given.
    pub args: Option<Vec<TypeName>>,
}

// ---------------------------------------------------------------------------------------------------------------
// Operations

#[derive(Debug, Clone, PartialEq, strum::IntoStaticStr, strum::EnumDiscriminants)]
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

#[derive(Debug, Clone, PartialEq)]
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

#[derive(Debug, Clone, PartialEq)]
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

#[derive(Debug, Clone, PartialEq)]
pub struct AlterTarget {
    pub kind: ObjectKind,
    pub name: QName,
    pub if_exists: bool,
    pub only: bool,
}

#[derive(Debug, Clone, PartialEq, strum::IntoStaticStr, strum::EnumDiscriminants)]
#[strum(serialize_all = "kebab-case")]
#[strum_discriminants(name(AlterTag), derive(strum::IntoStaticStr, strum::EnumIter, Hash), strum(serialize_all = "kebab-case"))]
pub enum AlterAction {
    AddColumn {
        column: Box<ColumnDef>,
        if_not_exists: bool,
    },
    DropColumn {
        column: Name,
        if_exists: bool,
        cascade: bool,
    },
    SetDefault {
        column: Name,
        expr: Expr,
    },
    DropDefault {
        column: Name,
    },
    SetNotNull {
        column: Name,
    },
    DropNotNull {
        column: Name,
    },
    SetType {
        column: Name,
        ty: TypeName,
        collation: Option<QName>,
        using: Option<Expr>,
    },
    SetExpression {
        column: Name,
        expr: Expr,
    },
    DropExpression {
        column: Name,
        if_exists: bool,
    },
    AddIdentity {
        column: Name,
        identity: Identity,
    },
    SetIdentity {
        column: Name,
        always: Option<bool>,
        options: Options,
    },
    DropIdentity {
        column: Name,
        if_exists: bool,
    },
    SetStatistics {
        column: String,
        value: String,
    },
    SetStorage {
        column: Name,
        storage: String,
    },
    SetCompression {
        column: Name,
        method: String,
    },
    SetColumnOptions {
        column: Name,
        options: Options,
    },

    AddConstraint(Box<TableConstraint>),
    AlterConstraint {
        name: Name,
        deferrable: Option<bool>,
        initially_deferred: Option<bool>,
        enforced: Option<bool>,
        inherit: Option<bool>,
    },
    ValidateConstraint {
        name: Name,
    },
    DropConstraint {
        name: Name,
        if_exists: bool,
        cascade: bool,
    },

    RenameColumn {
        from: Name,
        to: Name,
    },
    RenameConstraint {
        from: Name,
        to: Name,
    },
    RenameTo {
        to: Name,
    },
    SetSchema {
        schema: Name,
    },
    Owner {
        to: String,
    },

    Trigger {
        which: WhichTrigger,
        mode: TriggerMode,
    },
    Rule {
        name: Name,
        mode: TriggerMode,
    },
    EnableRowSecurity,
    DisableRowSecurity,
    ForceRowSecurity,
    NoForceRowSecurity,

    ClusterOn {
        index: Name,
    },
    SetWithoutCluster,
    SetWithoutOids,
    SetLogged {
        logged: bool,
    },
    SetAccessMethod {
        method: String,
    },
    SetTablespace {
        tablespace: String,
    },
    SetOptions {
        options: Options,
    },
    ResetOptions {
        options: Vec<String>,
    },
    Inherit {
        parent: QName,
    },
    NoInherit {
        parent: QName,
    },
    OfType {
        ty: QName,
    },
    NotOf,
    ReplicaIdentity {
        identity: ReplicaIdentity,
    },
    AttachPartition {
        partition: QName,
        bound: PartitionBound,
    },
    DetachPartition {
        partition: QName,
        concurrently: bool,
        finalize: bool,
    },
    /// ALTER INDEX … ATTACH PARTITION.
    AttachIndex {
        index: QName,
    },
    /// ALTER INDEX … DEPENDS ON EXTENSION, OPTIONS (…) of foreign tables, …
    Other {
        detail: String,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub enum WhichTrigger {
    Named(Name),
    All,
    User,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TriggerMode {
    #[default]
    Enable,
    EnableReplica,
    EnableAlways,
    Disable,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaIdentity {
    Default,
    Full,
    Nothing,
    Index(Name),
}

#[derive(Debug, Clone, PartialEq)]
pub enum DomainAction {
    SetDefault(Expr),
    DropDefault,
    SetNotNull,
    DropNotNull,
    AddConstraint { name: Option<Name>, kind: DomainConstraintKind, not_valid: bool },
    DropConstraint { name: Name, if_exists: bool, cascade: bool },
    RenameConstraint { from: Name, to: Name },
    ValidateConstraint { name: Name },
}

#[derive(Debug, Clone, PartialEq)]
pub enum DomainConstraintKind {
    Check(Expr),
    NotNull,
}

#[derive(Debug, Clone, PartialEq)]
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
    /// CREATE FOREIGN TABLE … SERVER.
    pub foreign_server: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateTableAs {
    pub name: QName,
    pub if_not_exists: bool,
    pub persistence: Persistence,
    pub columns: Vec<Name>,
    pub query: Query,
    pub with_data: bool,
}

#[derive(Debug, Clone, PartialEq)]
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

#[derive(Debug, Clone, PartialEq)]
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
    pub check_option: bool,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct SequenceOptions {
    pub ty: Option<TypeName>,
    /// INCREMENT, MINVALUE, MAXVALUE, START, RESTART, CACHE, CYCLE, LOGGED …: key upper case.
    pub other: Options,
    /// `Some(None)`: OWNED BY NONE.
    pub owned_by: Option<Option<(QName, Name)>>,
}

#[derive(Debug, Clone, PartialEq)]
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
    /// COST, ROWS, PARALLEL, SUPPORT, WINDOW and LEAKPROOF as written, one each.
    pub attributes: Vec<String>,
    /// SET clauses: (`search_path`, value).
    pub settings: Vec<(String, String)>,
    /// The text between the quotes, unescaped; for BEGIN ATOMIC and RETURN bodies the words themselves.
    pub body: String,
    pub body_span: Option<Span>,
    /// What static SQL in the body does when it runs, as far as it was read (PL/pgSQL and SQL).
    pub body_ops: Vec<Op>,
    pub dynamic_sql: bool,
    /// A literal or column is glued into dynamic SQL with ||.
    pub concatenated_sql: bool,
}

#[derive(Debug, Clone, PartialEq)]
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

#[derive(Debug, Clone, PartialEq)]
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
    /// FROM of a constraint trigger.
    pub references: Option<QName>,
    /// FROM, DEFERRABLE, INITIALLY and REFERENCING as written.
    pub details: String,
    /// What the function is given, as written between the parentheses.
    pub arguments: String,
}

#[derive(Debug, Clone, PartialEq)]
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

#[derive(Debug, Clone, PartialEq)]
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

#[derive(Debug, Clone, PartialEq)]
pub struct DefaultPrivileges {
    pub schemas: Vec<Name>,
    pub roles: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
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

/// Table-level lock modes, weakest first, with Postgres's own names.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
    serde::Serialize,
    serde::Deserialize,
)]
pub enum LockMode {
    #[strum(serialize = "AccessShareLock")]
    #[serde(rename = "AccessShareLock")]
    AccessShare,
    #[strum(serialize = "RowShareLock")]
    #[serde(rename = "RowShareLock")]
    RowShare,
    #[strum(serialize = "RowExclusiveLock")]
    #[serde(rename = "RowExclusiveLock")]
    RowExclusive,
    #[strum(serialize = "ShareUpdateExclusiveLock")]
    #[serde(rename = "ShareUpdateExclusiveLock")]
    ShareUpdateExclusive,
    #[strum(serialize = "ShareLock")]
    #[serde(rename = "ShareLock")]
    Share,
    #[strum(serialize = "ShareRowExclusiveLock")]
    #[serde(rename = "ShareRowExclusiveLock")]
    ShareRowExclusive,
    #[strum(serialize = "ExclusiveLock")]
    #[serde(rename = "ExclusiveLock")]
    Exclusive,
    #[strum(serialize = "AccessExclusiveLock")]
    #[serde(rename = "AccessExclusiveLock")]
    AccessExclusive,
}

impl LockMode {
    /// The words of LOCK TABLE: `ACCESS EXCLUSIVE`.
    pub fn sql(self) -> &'static str {
        match self {
            LockMode::AccessShare => "ACCESS SHARE",
            LockMode::RowShare => "ROW SHARE",
            LockMode::RowExclusive => "ROW EXCLUSIVE",
            LockMode::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            LockMode::Share => "SHARE",
            LockMode::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            LockMode::Exclusive => "EXCLUSIVE",
            LockMode::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }

    /// Conflicts with INSERT, UPDATE, DELETE (ROW EXCLUSIVE).
    pub fn blocks_writes(self) -> bool {
        self >= LockMode::Share
    }

    /// Conflicts with SELECT.
    pub fn blocks_reads(self) -> bool {
        self == LockMode::AccessExclusive
    }
}

/// A major version of Postgres that Airlock makes claims about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct PgVersion(pub u8);

impl PgVersion {
    pub const SUPPORTED: std::ops::RangeInclusive<u8> = 14..=18;
}

impl Default for PgVersion {
    fn default() -> Self {
        PgVersion(15)
    }
}

impl std::str::FromStr for PgVersion {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let major = s.split('.').next().unwrap_or(s).trim();
        match major.parse::<u8>() {
            Ok(n) if Self::SUPPORTED.contains(&n) => Ok(PgVersion(n)),
            _ => Err(format!("`{s}` is not a supported Postgres version; expected 14, 15, 16, 17 or 18")),
        }
    }
}

impl std::fmt::Display for PgVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
