//! The catalog as plain data: what `airlock schema --output-format json` prints. The shadow reads a server's own catalog into the same
//! types, so that the two can be held against each other.

use serde::{Deserialize, Serialize};

use super::Origin;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Dump {
    pub schema_version: u32,
    /// Major version.
    pub postgres: u8,
    /// Nothing in the history was left unread: what is not here does not exist.
    pub complete: bool,
    /// Names of the migrations, in order; `made_in` counts them from 1.
    #[serde(default)]
    pub migrations: Vec<String>,
    pub schemas: Vec<DumpSchema>,
    pub extensions: Vec<DumpExtension>,
    pub enums: Vec<DumpEnum>,
    pub domains: Vec<DumpDomain>,
    pub types: Vec<DumpType>,
    pub tables: Vec<DumpTable>,
    pub views: Vec<DumpTable>,
    pub sequences: Vec<DumpSequence>,
    pub functions: Vec<DumpFunction>,
}

/// One grantee's privileges; the owner's are not listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpGrant {
    /// `public` for PUBLIC.
    pub grantee: String,
    /// Upper case, sorted.
    pub privileges: Vec<String>,
    /// Those of them that may be passed on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grantable: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DumpSchema {
    pub name: String,
    /// `null`: the role that ran the history.
    pub owner: Option<String>,
    pub grants: Vec<DumpGrant>,
    pub comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_in: Option<Origin>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DumpExtension {
    pub name: String,
    pub schema: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_in: Option<Origin>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DumpEnum {
    pub schema: String,
    pub name: String,
    pub labels: Vec<String>,
    pub owner: Option<String>,
    pub grants: Vec<DumpGrant>,
    pub comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_in: Option<Origin>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DumpDomain {
    pub schema: String,
    pub name: String,
    #[serde(rename = "type")]
    pub ty: String,
    pub not_null: bool,
    pub default: Option<String>,
    pub checks: Vec<DumpDomainCheck>,
    pub owner: Option<String>,
    pub grants: Vec<DumpGrant>,
    pub comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_in: Option<Origin>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DumpDomainCheck {
    pub name: String,
    pub validated: bool,
    pub definition: String,
    pub comment: Option<String>,
}

/// A composite, range or base type.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DumpType {
    pub schema: String,
    pub name: String,
    /// `composite`, `range`, `base`.
    pub kind: String,
    /// Attributes of a composite type.
    pub columns: Vec<DumpColumn>,
    pub owner: Option<String>,
    pub grants: Vec<DumpGrant>,
    pub comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_in: Option<Origin>,
}

/// A table of any kind, a view or a materialized view.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DumpTable {
    pub schema: String,
    pub name: String,
    /// `table`, `partitioned_table`, `foreign_table`, `view`, `materialized_view`.
    pub kind: String,
    /// `permanent`, `temporary`, `unlogged`.
    pub persistence: String,
    /// Named by the history but never made by it.
    #[serde(default)]
    pub assumed: bool,
    pub columns: Vec<DumpColumn>,
    pub constraints: Vec<DumpConstraint>,
    pub indexes: Vec<DumpIndex>,
    pub triggers: Vec<DumpTrigger>,
    pub policies: Vec<DumpPolicy>,
    pub rules: Vec<DumpRule>,
    pub row_security: bool,
    pub force_row_security: bool,
    /// `schema.name`, in order.
    pub parents: Vec<String>,
    pub partition: bool,
    /// `range`, `list`, `hash` of a partitioned table.
    pub partition_by: Option<String>,
    pub owner: Option<String>,
    pub grants: Vec<DumpGrant>,
    pub comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_in: Option<Origin>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DumpColumn {
    pub name: String,
    /// As `format_type` prints it; `unknown` where it cannot be told.
    #[serde(rename = "type")]
    pub ty: String,
    pub not_null: bool,
    pub default: Option<String>,
    /// `always`, `by default`.
    pub identity: Option<String>,
    pub generated: Option<String>,
    /// `stored`, `virtual`.
    pub generated_kind: Option<String>,
    /// Where it is not the type's own.
    pub collation: Option<String>,
    /// Inherited and not declared here.
    #[serde(default)]
    pub inherited: bool,
    pub grants: Vec<DumpGrant>,
    pub comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_in: Option<Origin>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DumpConstraint {
    pub name: String,
    pub kind: String,
    pub columns: Vec<String>,
    /// `schema.table` of a foreign key.
    pub references: Option<String>,
    pub referenced_columns: Vec<String>,
    /// `no action`, `cascade`, …; of a foreign key.
    pub on_delete: Option<String>,
    pub on_update: Option<String>,
    pub validated: bool,
    pub enforced: bool,
    pub deferrable: bool,
    pub initially_deferred: bool,
    pub no_inherit: bool,
    pub inherited: bool,
    pub definition: String,
    pub comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_in: Option<Origin>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DumpIndex {
    pub name: String,
    pub unique: bool,
    pub primary: bool,
    pub valid: bool,
    pub method: String,
    /// Key columns; `null` for an expression.
    pub columns: Vec<Option<String>>,
    pub include: Vec<String>,
    pub predicate: Option<String>,
    pub nulls_not_distinct: bool,
    /// Backs a constraint.
    pub constraint: bool,
    /// `schema.name` of the partitioned index that it is part of.
    pub parent: Option<String>,
    pub comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_in: Option<Origin>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DumpTrigger {
    pub name: String,
    /// `schema.name`.
    pub function: String,
    pub timing: String,
    /// Sorted.
    pub events: Vec<String>,
    pub update_of: Vec<String>,
    pub for_each_row: bool,
    pub constraint: bool,
    /// Came from the partitioned table above.
    #[serde(default)]
    pub inherited: bool,
    /// `origin`, `replica`, `always`, `disabled`.
    pub enabled: String,
    pub condition: Option<String>,
    pub comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_in: Option<Origin>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DumpPolicy {
    pub name: String,
    pub command: String,
    pub permissive: bool,
    /// `public` for PUBLIC, sorted.
    pub roles: Vec<String>,
    pub using: Option<String>,
    pub with_check: Option<String>,
    pub comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_in: Option<Origin>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DumpRule {
    pub name: String,
    pub event: String,
    pub instead: bool,
    pub enabled: String,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DumpSequence {
    pub schema: String,
    pub name: String,
    pub data_type: String,
    /// `schema.table.column`.
    pub owned_by: Option<String>,
    pub identity: bool,
    pub owner: Option<String>,
    pub grants: Vec<DumpGrant>,
    pub comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_in: Option<Origin>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DumpFunction {
    pub schema: String,
    pub name: String,
    /// `function`, `procedure`, `aggregate`.
    pub kind: String,
    /// Types of the input arguments, as `format_type` prints them.
    pub arguments: Vec<String>,
    pub returns: String,
    pub volatility: String,
    pub language: String,
    pub security_definer: bool,
    pub owner: Option<String>,
    pub grants: Vec<DumpGrant>,
    pub comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_in: Option<Origin>,
}
