//! Kinds of objects, and objects as statements name them.

use super::{QName, TypeName};

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRef {
    pub kind: ObjectKind,
    pub name: QName,
    /// Table of a trigger, policy, rule, column or constraint; the column or constraint is `name`. Access method of an operator class or family.
    pub on: Option<QName>,
    /// Argument types of functions, aggregates, operators; `None`: not given.
    pub args: Option<Vec<TypeName>>,
}
