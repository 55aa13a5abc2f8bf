//! Subcommands of ALTER.

use super::{ColumnDef, Expr, Identity, Name, ObjectKind, Options, PartitionBound, QName, TableConstraint, TypeName};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterTarget {
    pub kind: ObjectKind,
    pub name: QName,
    pub if_exists: bool,
    pub only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, strum::IntoStaticStr, strum::EnumDiscriminants)]
#[strum(serialize_all = "kebab-case")]
#[strum_discriminants(name(AlterTag), derive(strum::IntoStaticStr, strum::EnumIter, Hash), strum(serialize_all = "kebab-case"))]
pub enum AlterAction {
    AddColumn {
        column: Box<ColumnDef>,
        if_not_exists: bool,
        /// Of an attribute: the tables of the type get it too.
        cascade: bool,
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
        cascade: bool,
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
        cascade: bool,
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

#[derive(Debug, Clone, PartialEq, Eq)]
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

impl TriggerMode {
    /// What stands before TRIGGER in ALTER TABLE.
    pub fn sql(self) -> &'static str {
        match self {
            TriggerMode::Enable => "ENABLE",
            TriggerMode::EnableReplica => "ENABLE REPLICA",
            TriggerMode::EnableAlways => "ENABLE ALWAYS",
            TriggerMode::Disable => "DISABLE",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaIdentity {
    Default,
    Full,
    Nothing,
    Index(Name),
}

#[derive(Debug, Clone, PartialEq, Eq)]
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

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DomainConstraintKind {
    Check(Expr),
    NotNull,
}
