//! What the catalog knows.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::op::{
    Expr, FkAction, Generated, Identity, IndexElement, ObjectKind, Options, PartitionBound, PartitionBy, Persistence, PgVersion, Query,
    ReplicaIdentity, TriggerMode, Volatility,
};

use super::key::NameKey;

/// Identity of a relation, type or function, kept through renames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u32);

/// `schema.name` of a relation, folded, unquoted: how effects, compat and machine output name relations.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelName {
    pub schema: String,
    pub name: String,
}

impl RelName {
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        RelName { schema: schema.into(), name: name.into() }
    }
    /// Quoted for SQL.
    pub fn sql(&self) -> String {
        crate::quote::qualified(&self.schema, &self.name)
    }
}

impl std::fmt::Display for RelName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

impl serde::Serialize for RelName {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// Which migration and transaction made an object. Both count up through the history; `0` is the baseline (`--schema`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct Origin {
    pub migration: u32,
    pub transaction: u32,
}

#[derive(Debug, Clone, Default)]
pub struct Catalog {
    pub pg: PgVersion,
    pub next_id: u32,
    pub schemas: OrdMap<String, Arc<Schema>>,
    pub relations: OrdMap<Id, Arc<Relation>>,
    /// (schema, name) → relation: tables, indexes, views, sequences and composite types share one name space.
    pub relation_names: OrdMap<NameKey, Id>,
    pub types: OrdMap<Id, Arc<Type>>,
    pub type_names: OrdMap<NameKey, Id>,
    pub functions: OrdMap<Id, Arc<Function>>,
    /// (schema, name) → every overload: functions, procedures and aggregates share one name space.
    pub function_names: OrdMap<NameKey, Vec<Id>>,
    /// (schema, constraint name) → how many constraints of that schema bear it; generated names avoid them.
    pub(super) constraint_names: OrdMap<NameKey, u32>,
    /// What an object refers to, and the reverse. Relations, types and functions share one number space.
    pub(super) references: OrdMap<Id, Arc<[Id]>>,
    pub(super) dependents: OrdMap<Id, OrdSet<Id>>,
    /// Relations of this session only.
    pub(super) temporary: OrdSet<Id>,
    /// The session has made something temporary: before that there is no schema `pg_temp`.
    pub(super) temporary_schema: bool,
    /// Everything that is only known by name: extensions, roles, publications, collations, statistics objects, …
    pub objects: OrdMap<(ObjectKind, String, String), Arc<Object>>,
    /// ALTER DEFAULT PRIVILEGES: what objects made from now on are granted.
    pub default_acls: Vec<DefaultAcl>,
    /// Seed data: rows that the history inserted with plain values.
    pub rows: OrdMap<Id, Arc<super::KnownRows>>,
    /// As set in the session, folded; `$user` is kept as is.
    pub search_path: Vec<String>,
    /// Where the history is now; stamps new objects.
    pub now: Origin,
    /// Open transaction and savepoints: snapshots to return to. Innermost last.
    pub transaction: Option<Arc<Transaction>>,
    /// Session settings by name, folded, as far as rules ask for them (lock_timeout, role, …).
    pub settings: OrdMap<String, Setting>,
    /// A relation was granted to somebody, or given to an owner, at some time.
    pub granted: bool,
    /// Number of the transaction in which an enum was last given a label.
    pub(super) enum_value_added: u32,
    /// The history is complete as far as is known: an unknown object does not exist. Otherwise it may.
    pub complete: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub value: String,
    /// For lists (`search_path`): the parts.
    pub parts: Vec<String>,
    /// SET LOCAL: gone with the transaction.
    pub local: bool,
    /// What a SET LOCAL hides until the transaction ends.
    pub outer: Option<Box<Setting>>,
}

/// One ALTER DEFAULT PRIVILEGES … GRANT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultAcl {
    /// `None`: in every schema.
    pub schema: Option<String>,
    /// Objects that this role makes; `None`: the current one.
    pub role: Option<String>,
    pub kind: ObjectKind,
    pub acl: Acl,
}

#[derive(Debug, Clone)]
pub struct Transaction {
    pub number: u32,
    /// State at BEGIN.
    pub before: Catalog,
    pub savepoints: Vec<(String, Catalog)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    pub name: String,
    pub origin: Origin,
    pub owner: Option<String>,
    pub grants: Vec<Acl>,
    /// Made up because a statement named it and the history did not.
    pub assumed: bool,
    /// COMMENT ON.
    pub comment: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum RelKind {
    Table,
    PartitionedTable,
    Index,
    PartitionedIndex,
    View,
    MaterializedView,
    Sequence,
    Composite,
    ForeignTable,
}

impl RelKind {
    pub fn is_table(self) -> bool {
        matches!(self, RelKind::Table | RelKind::PartitionedTable)
    }
    pub fn is_index(self) -> bool {
        matches!(self, RelKind::Index | RelKind::PartitionedIndex)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    pub id: Id,
    pub schema: String,
    pub name: String,
    pub kind: RelKind,
    pub origin: Origin,
    /// Made up because a statement named it and the history did not: its columns are not all known.
    pub assumed: bool,
    pub persistence: Persistence,
    pub columns: Vec<Column>,
    /// Attribute numbers count up and are never used again: the next one.
    pub next_attnum: u16,
    pub constraints: Vec<Constraint>,
    pub triggers: Vec<Trigger>,
    pub policies: Vec<Policy>,
    pub rules: Vec<Rule>,
    pub row_security: bool,
    pub force_row_security: bool,
    pub replica_identity: Option<ReplicaIdentity>,
    pub owner: Option<String>,
    pub grants: Vec<Acl>,
    pub options: Options,
    pub tablespace: Option<String>,
    pub access_method: Option<String>,
    /// Inheritance or partition parents, in order.
    pub parents: Vec<Id>,
    /// Has children or had some once; only ANALYZE forgets it (`relhassubclass`).
    pub had_children: bool,
    pub partition_by: Option<PartitionBy>,
    pub partition_bound: Option<PartitionBound>,
    /// Of an index.
    pub index: Option<Index>,
    /// Of a view or materialized view.
    pub view: Option<View>,
    /// Of a sequence.
    pub sequence: Option<Sequence>,
    /// CLUSTER ON.
    pub clustered_on: Option<Id>,
    /// CREATE TABLE … OF, ALTER TABLE … OF.
    pub of_type: Option<Id>,
    /// COMMENT ON.
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub attnum: u16,
    pub ty: ColumnType,
    pub collation: Option<String>,
    pub not_null: bool,
    pub default: Option<Expr>,
    /// Volatility of the default, through casts, nesting and functions known to the catalog.
    pub default_volatility: Option<Volatility>,
    /// Functions, sequences and types that the default or the generation expression names.
    pub uses: Vec<Id>,
    /// Made with a `serial` type: the sequence.
    pub serial: Option<Id>,
    pub identity: Option<Identity>,
    pub generated: Option<Generated>,
    pub storage: Option<String>,
    pub compression: Option<String>,
    pub statistics: Option<String>,
    pub origin: Origin,
    /// Inherited and not declared here.
    pub inherited: bool,
    pub grants: Vec<Acl>,
    /// COMMENT ON.
    pub comment: Option<String>,
}

/// A column's type, resolved against the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnType {
    /// Canonical name as `format_type` prints it, without modifiers and `[]`: `integer`, `character varying`, `s.mood` (schema always
    /// given for types that are not in `pg_catalog`). Serial types are resolved to their integer type.
    pub name: String,
    /// The user's type, when it is one that the catalog knows.
    pub id: Option<Id>,
    pub modifiers: Vec<String>,
    pub array_dims: u8,
}

impl std::fmt::Display for ColumnType {
    /// As `format_type` prints it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mods = self.modifiers.join(",");
        match self.name.as_str() {
            _ if mods.is_empty() => f.write_str(&self.name)?,
            "timestamp with time zone" | "time with time zone" | "timestamp without time zone" | "time without time zone" => {
                let (head, tail) = self.name.split_once(' ').unwrap_or((&self.name, ""));
                write!(f, "{head}({mods}) {tail}")?
            }
            "interval" if self.modifiers.len() == 2 => write!(f, "interval {}({})", self.modifiers[0], self.modifiers[1])?,
            "interval" if self.modifiers[0].parse::<u8>().is_err() => write!(f, "interval {mods}")?,
            _ => write!(f, "{}({mods})", self.name)?,
        }
        (0..self.array_dims.min(1)).try_for_each(|_| f.write_str("[]"))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    pub name: String,
    pub kind: ConKind,
    /// `convalidated`.
    pub validated: bool,
    pub enforced: bool,
    pub deferrable: bool,
    pub initially_deferred: bool,
    pub no_inherit: bool,
    /// Came from a parent and was not declared here.
    pub inherited: bool,
    /// Functions and types that the expression names.
    pub uses: Vec<Id>,
    pub origin: Origin,
    /// COMMENT ON.
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConKind {
    Check {
        expr: Expr,
        columns: Vec<String>,
    },
    /// Named in `pg_constraint` on 18 only; kept for all versions so that NOT VALID ones have a place.
    NotNull {
        column: String,
    },
    Unique {
        columns: Vec<String>,
        index: Id,
        nulls_not_distinct: bool,
    },
    PrimaryKey {
        columns: Vec<String>,
        index: Id,
    },
    ForeignKey {
        columns: Vec<String>,
        table: Id,
        ref_columns: Vec<String>,
        on_delete: FkAction,
        on_update: FkAction,
        match_full: bool,
    },
    Exclude {
        index: Id,
        columns: Vec<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    pub table: Id,
    pub unique: bool,
    pub primary: bool,
    pub exclusion: bool,
    /// `indisvalid`.
    pub valid: bool,
    pub method: String,
    pub elements: Vec<IndexElement>,
    /// Column names in key order; `None` for an expression.
    pub columns: Vec<Option<String>>,
    pub include: Vec<String>,
    /// Its own columns, keys and then the rest, called as the table's were when it was made: copies that get no name are called by them.
    pub attributes: Vec<String>,
    /// Every column it depends on: keys, expressions, predicate, include.
    pub depends: Vec<String>,
    pub filter: Option<Expr>,
    pub nulls_not_distinct: bool,
    /// Backs a constraint: it cannot be dropped by itself.
    pub constraint: bool,
    /// `indimmediate` is false: unique deferrable.
    pub deferrable: bool,
    /// Partitioned parent index.
    pub parent: Option<Id>,
    /// Made by ON ONLY on a partitioned table and not complete yet.
    pub only: bool,
    /// Functions and types that key expressions and the predicate name.
    pub uses: Vec<Id>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub query: Query,
    /// Relations and their columns that it depends on; an empty list of columns: the whole row only.
    pub depends: Vec<(Id, Vec<String>)>,
    pub functions: Vec<Id>,
    pub types: Vec<Id>,
    /// Simple enough that Postgres lets INSERT, UPDATE and DELETE through.
    pub updatable: bool,
    /// View column → (relation, column) where it is a bare column.
    pub bases: Vec<Option<(Id, String)>>,
    pub populated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    pub data_type: String,
    /// (table, column).
    pub owned_by: Option<(Id, String)>,
    /// Belongs to an identity column: cannot be dropped by itself.
    pub identity: bool,
    pub options: Options,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    pub name: String,
    pub function: String,
    pub function_id: Option<Id>,
    pub timing: String,
    pub events: Vec<String>,
    pub update_of: Vec<String>,
    pub for_each_row: bool,
    pub when: Option<Expr>,
    pub constraint: bool,
    pub deferrable: bool,
    pub initially_deferred: bool,
    /// Names of transition tables, `true` for those of new rows.
    pub transition_tables: Vec<(bool, String)>,
    pub args: Vec<String>,
    /// Copied from the partitioned table above.
    pub inherited: bool,
    pub mode: TriggerMode,
    pub origin: Origin,
    /// COMMENT ON.
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub name: String,
    pub permissive: bool,
    pub command: String,
    pub roles: Vec<String>,
    pub using: Option<Expr>,
    pub with_check: Option<Expr>,
    /// Functions, types and other relations that the expressions name.
    pub uses: Vec<Id>,
    pub origin: Origin,
    /// COMMENT ON.
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub name: String,
    pub event: String,
    pub instead: bool,
    pub mode: TriggerMode,
    /// COMMENT ON.
    pub comment: Option<String>,
}

/// One grantee's privileges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl {
    /// `public` for PUBLIC.
    pub grantee: String,
    /// Upper case, sorted: SELECT, INSERT, …
    pub privileges: Vec<String>,
    pub grant_option: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Type {
    pub id: Id,
    pub schema: String,
    pub name: String,
    pub kind: TypeKind,
    pub origin: Origin,
    pub owner: Option<String>,
    pub grants: Vec<Acl>,
    /// COMMENT ON.
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "types are few and stored behind an Arc")]
pub enum TypeKind {
    Enum {
        labels: Vec<EnumLabel>,
    },
    Domain {
        base: ColumnType,
        not_null: bool,
        default: Option<Expr>,
        checks: Vec<DomainCheck>,
    },
    /// Its attributes are the columns of the relation of the same name.
    Composite {
        relation: Id,
    },
    Range,
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnumLabel {
    /// By ALTER TYPE … ADD VALUE, not with the type.
    pub added: bool,
    pub value: String,
    pub origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainCheck {
    pub name: String,
    pub expr: Expr,
    pub validated: bool,
    /// COMMENT ON.
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    pub id: Id,
    pub schema: String,
    pub name: String,
    pub kind: ObjectKind,
    pub def: Arc<crate::op::CreateFunction>,
    /// Canonical types of input arguments.
    pub arg_types: Vec<String>,
    /// How many of them have defaults.
    pub defaults: usize,
    /// The last argument takes any number of values.
    pub variadic: bool,
    /// Types and row types of arguments and result, as far as the catalog knows them.
    pub types: Vec<Id>,
    pub returns: String,
    pub origin: Origin,
    pub owner: Option<String>,
    pub grants: Vec<Acl>,
    /// COMMENT ON.
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub kind: ObjectKind,
    pub schema: String,
    pub name: String,
    pub detail: String,
    /// Table of a statistics object, relations of a publication.
    pub relations: Vec<Id>,
    pub columns: Vec<String>,
    pub origin: Origin,
    /// COMMENT ON.
    pub comment: Option<String>,
}

impl Catalog {
    /// An empty database of that version, complete: what is not in it does not exist.
    pub fn new(pg: PgVersion) -> Self {
        let mut c = Catalog { pg, complete: true, search_path: vec!["$user".into(), "public".into()], ..Catalog::default() };
        c.schemas.insert("public".into(), Arc::new(Schema::public(pg)));
        c
    }

    pub fn relation_named(&self, schema: &str, name: &str) -> Option<&Arc<Relation>> {
        self.relations.get(self.relation_names.get(&(schema, name))?)
    }
}

impl Schema {
    /// A schema with nothing in it.
    pub fn new(name: impl Into<String>, origin: Origin) -> Self {
        Schema { name: name.into(), origin, owner: None, grants: Vec::new(), assumed: false, comment: None }
    }

    /// As `initdb` leaves it: everybody may use it, and before 15 make things in it.
    fn public(pg: PgVersion) -> Self {
        let privileges = if pg >= PgVersion(15) { vec!["USAGE".to_string()] } else { vec!["CREATE".to_string(), "USAGE".to_string()] };
        let everybody = Acl { grantee: "public".to_string(), privileges, grant_option: false };
        let comment = Some("standard public schema".to_string());
        Schema { grants: vec![everybody], comment, ..Schema::new("public", Origin::default()) }
    }
}

impl Acl {
    /// What everybody may do with a new function or type.
    pub(super) fn everybody(privilege: &str) -> Vec<Acl> {
        vec![Acl { grantee: "public".to_string(), privileges: vec![privilege.to_string()], grant_option: false }]
    }
}

impl Relation {
    /// A rule takes the place of what the event would do.
    pub fn is_ruled(&self, event: &str) -> bool {
        self.rules.iter().any(|r| r.instead && r.event.eq_ignore_ascii_case(event) && r.mode != TriggerMode::Disable)
    }

    /// A relation with nothing in it.
    pub fn empty(id: Id, schema: impl Into<String>, name: impl Into<String>, kind: RelKind, origin: Origin) -> Self {
        Relation {
            id,
            schema: schema.into(),
            name: name.into(),
            kind,
            origin,
            assumed: false,
            persistence: Persistence::Permanent,
            columns: Vec::new(),
            next_attnum: 1,
            constraints: Vec::new(),
            triggers: Vec::new(),
            policies: Vec::new(),
            rules: Vec::new(),
            row_security: false,
            force_row_security: false,
            replica_identity: None,
            owner: None,
            grants: Vec::new(),
            options: Options::new(),
            tablespace: None,
            access_method: None,
            parents: Vec::new(),
            had_children: false,
            partition_by: None,
            partition_bound: None,
            index: None,
            view: None,
            sequence: None,
            clustered_on: None,
            of_type: None,
            comment: None,
        }
    }

    /// Appends the column under the next attribute number.
    pub fn push_column(&mut self, mut column: Column) {
        column.attnum = self.next_attnum;
        // No table is so wide; a statement may be.
        self.next_attnum = self.next_attnum.saturating_add(1);
        self.columns.push(column);
    }

    pub fn column_mut(&mut self, name: &str) -> Option<&mut Column> {
        self.columns.iter_mut().find(|c| c.name == name)
    }

    pub fn primary_key(&self) -> Option<&Constraint> {
        self.constraints.iter().find(|c| matches!(c.kind, ConKind::PrimaryKey { .. }))
    }

    pub fn is_partition(&self) -> bool {
        self.partition_bound.is_some()
    }
    pub fn rel_name(&self) -> RelName {
        RelName::new(&self.schema, &self.name)
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }

    pub fn constraint(&self, name: &str) -> Option<&Constraint> {
        self.constraints.iter().find(|c| c.name == name)
    }
}

impl Column {
    /// A nullable column without default.
    pub fn new(name: impl Into<String>, ty: ColumnType, origin: Origin) -> Self {
        Column {
            name: name.into(),
            attnum: 0,
            ty,
            collation: None,
            not_null: false,
            default: None,
            default_volatility: None,
            uses: Vec::new(),
            serial: None,
            identity: None,
            generated: None,
            storage: None,
            compression: None,
            statistics: None,
            origin,
            inherited: false,
            grants: Vec::new(),
            comment: None,
        }
    }
}

impl ColumnType {
    /// A type of `pg_catalog` without modifiers.
    pub fn builtin(name: impl Into<String>) -> Self {
        ColumnType { name: name.into(), id: None, modifiers: Vec::new(), array_dims: 0 }
    }

    /// The type of an expression that is not understood.
    pub fn unknown() -> Self {
        ColumnType::builtin("unknown")
    }

    pub fn is_unknown(&self) -> bool {
        self.name == "unknown"
    }

    pub fn is_array(&self) -> bool {
        self.array_dims > 0
    }
}

impl ConKind {
    /// The columns of the constrained table, in the order of the constraint.
    pub fn columns(&self) -> &[String] {
        match self {
            ConKind::Check { columns, .. }
            | ConKind::Unique { columns, .. }
            | ConKind::PrimaryKey { columns, .. }
            | ConKind::ForeignKey { columns, .. }
            | ConKind::Exclude { columns, .. } => columns,
            ConKind::NotNull { column } => std::slice::from_ref(column),
        }
    }

    /// The index that backs it.
    pub fn index(&self) -> Option<Id> {
        match self {
            ConKind::Unique { index, .. } | ConKind::PrimaryKey { index, .. } | ConKind::Exclude { index, .. } => Some(*index),
            _ => None,
        }
    }
}
