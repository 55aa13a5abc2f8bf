//! The catalog as plain data: what `airlock schema --output-format json` prints, and what is held against a server's own catalog.

use serde::Serialize;

use crate::op::{Expr, ObjectKind, TriggerMode};

use super::{Catalog, ColumnType, ConKind, Constraint, Index, RelKind, Relation, TypeKind};

#[derive(Debug, Clone, Serialize)]
pub struct Dump {
    pub schema_version: u32,
    pub postgres: u8,
    /// Nothing in the history was left unread: what is not here does not exist.
    pub complete: bool,
    pub schemas: Vec<String>,
    pub extensions: Vec<String>,
    pub enums: Vec<DumpEnum>,
    pub domains: Vec<DumpDomain>,
    pub types: Vec<DumpType>,
    pub tables: Vec<DumpTable>,
    pub views: Vec<DumpTable>,
    pub sequences: Vec<DumpSequence>,
    pub functions: Vec<DumpFunction>,
}

#[derive(Debug, Clone, Serialize)]
pub struct DumpEnum {
    pub schema: String,
    pub name: String,
    pub labels: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct DumpDomain {
    pub schema: String,
    pub name: String,
    #[serde(rename = "type")]
    pub ty: String,
    pub not_null: bool,
    pub default: Option<String>,
    pub checks: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct DumpType {
    pub schema: String,
    pub name: String,
    pub kind: &'static str,
    pub columns: Vec<DumpColumn>,
}

#[derive(Debug, Clone, Serialize)]
pub struct DumpTable {
    pub schema: String,
    pub name: String,
    pub kind: String,
    pub persistence: &'static str,
    /// Named by the history but never made by it.
    pub assumed: bool,
    pub columns: Vec<DumpColumn>,
    pub constraints: Vec<DumpConstraint>,
    pub indexes: Vec<DumpIndex>,
    pub triggers: Vec<DumpTrigger>,
    pub policies: Vec<DumpPolicy>,
    pub row_security: bool,
    pub force_row_security: bool,
    pub parents: Vec<String>,
    pub partition: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct DumpColumn {
    pub name: String,
    /// As `format_type` prints it; `unknown` where it cannot be told.
    #[serde(rename = "type")]
    pub ty: String,
    pub not_null: bool,
    pub default: Option<String>,
    pub identity: Option<&'static str>,
    pub generated: Option<String>,
    pub generated_kind: Option<&'static str>,
    pub collation: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct DumpConstraint {
    pub name: String,
    pub kind: &'static str,
    pub columns: Vec<String>,
    pub validated: bool,
    pub deferrable: bool,
    pub initially_deferred: bool,
    pub inherited: bool,
    pub definition: String,
}

#[derive(Debug, Clone, Serialize)]
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
    pub constraint: bool,
}

#[derive(Debug, Clone, Serialize)]
pub struct DumpTrigger {
    pub name: String,
    pub function: String,
    pub timing: String,
    pub events: Vec<String>,
    pub enabled: &'static str,
}

#[derive(Debug, Clone, Serialize)]
pub struct DumpPolicy {
    pub name: String,
    pub command: String,
    pub permissive: bool,
    pub roles: Vec<String>,
    pub using: Option<String>,
    pub with_check: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct DumpSequence {
    pub schema: String,
    pub name: String,
    pub data_type: String,
    pub owned_by: Option<String>,
    pub identity: bool,
}

#[derive(Debug, Clone, Serialize)]
pub struct DumpFunction {
    pub schema: String,
    pub name: String,
    pub kind: String,
    pub arguments: Vec<String>,
    pub returns: String,
    pub volatility: String,
    pub language: String,
}

impl Catalog {
    /// Everything in the catalog, sorted by schema and name.
    pub fn dump(&self) -> Dump {
        let of = |kinds: &[RelKind]| {
            let mut out: Vec<&Relation> = self.relations.values().map(|r| &**r).filter(|r| kinds.contains(&r.kind)).collect();
            out.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
            out
        };
        let mut types: Vec<_> = self.types.values().collect();
        types.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
        let mut dump = Dump {
            schema_version: 1,
            postgres: self.pg.0,
            complete: self.complete,
            schemas: self.schemas.keys().cloned().collect(),
            extensions: self.objects_of(ObjectKind::Extension).map(|o| o.name.clone()).collect(),
            enums: Vec::new(),
            domains: Vec::new(),
            types: of(&[RelKind::Composite])
                .into_iter()
                .map(|r| DumpType {
                    schema: r.schema.clone(),
                    name: r.name.clone(),
                    kind: "composite",
                    columns: r.columns.iter().map(column).collect(),
                })
                .collect(),
            tables: of(&[RelKind::Table, RelKind::PartitionedTable, RelKind::ForeignTable]).into_iter().map(|r| self.table(r)).collect(),
            views: of(&[RelKind::View, RelKind::MaterializedView]).into_iter().map(|r| self.table(r)).collect(),
            sequences: of(&[RelKind::Sequence]).into_iter().map(|r| self.sequence(r)).collect(),
            functions: Vec::new(),
        };
        for t in types {
            match &t.kind {
                TypeKind::Enum { labels } => dump.enums.push(DumpEnum {
                    schema: t.schema.clone(),
                    name: t.name.clone(),
                    labels: labels.iter().map(|l| l.value.clone()).collect(),
                }),
                TypeKind::Domain { base, not_null, default, checks } => dump.domains.push(DumpDomain {
                    schema: t.schema.clone(),
                    name: t.name.clone(),
                    ty: base.to_string(),
                    not_null: *not_null,
                    default: default.as_ref().map(|e| e.text.clone()),
                    checks: checks.iter().map(|c| c.name.clone()).collect(),
                }),
                TypeKind::Composite { .. } => {}
                TypeKind::Range => {
                    dump.types.push(DumpType { schema: t.schema.clone(), name: t.name.clone(), kind: "range", columns: Vec::new() })
                }
                TypeKind::Other => {}
            }
        }
        dump.functions = self
            .functions
            .values()
            .map(|f| DumpFunction {
                schema: f.schema.clone(),
                name: f.name.clone(),
                kind: f.kind.to_string().to_ascii_lowercase(),
                arguments: f.arg_types.clone(),
                returns: f.returns.clone(),
                volatility: f.def.volatility.to_string(),
                language: f.def.language.clone(),
            })
            .collect();
        dump.functions.sort_by(|a, b| (&a.schema, &a.name, &a.arguments).cmp(&(&b.schema, &b.name, &b.arguments)));
        dump
    }

    fn table(&self, r: &Relation) -> DumpTable {
        let mut indexes: Vec<DumpIndex> =
            self.indexes_of(r.id).into_iter().filter_map(|i| i.index.as_ref().map(|ix| index(&i.name, ix))).collect();
        indexes.sort_by(|a, b| a.name.cmp(&b.name));
        DumpTable {
            schema: r.schema.clone(),
            name: r.name.clone(),
            kind: r.kind.to_string(),
            persistence: match r.persistence {
                crate::op::Persistence::Permanent => "permanent",
                crate::op::Persistence::Temporary => "temporary",
                crate::op::Persistence::Unlogged => "unlogged",
            },
            assumed: r.assumed,
            columns: r.columns.iter().map(column).collect(),
            constraints: r
                .constraints
                .iter()
                .map(|c| DumpConstraint {
                    name: c.name.clone(),
                    kind: constraint_word(&c.kind),
                    columns: c.kind.columns().to_vec(),
                    validated: c.validated,
                    deferrable: c.deferrable,
                    initially_deferred: c.initially_deferred,
                    inherited: c.inherited,
                    definition: self.constraint_sql(c),
                })
                .collect(),
            indexes,
            triggers: r
                .triggers
                .iter()
                .map(|t| DumpTrigger {
                    name: t.name.clone(),
                    function: t.function.clone(),
                    timing: t.timing.clone(),
                    events: t.events.clone(),
                    enabled: match t.mode {
                        TriggerMode::Enable => "origin",
                        TriggerMode::EnableReplica => "replica",
                        TriggerMode::EnableAlways => "always",
                        TriggerMode::Disable => "disabled",
                    },
                })
                .collect(),
            policies: r
                .policies
                .iter()
                .map(|p| DumpPolicy {
                    name: p.name.clone(),
                    command: p.command.clone(),
                    permissive: p.permissive,
                    roles: p.roles.clone(),
                    using: text(p.using.as_ref()),
                    with_check: text(p.with_check.as_ref()),
                })
                .collect(),
            row_security: r.row_security,
            force_row_security: r.force_row_security,
            parents: r.parents.iter().filter_map(|p| self.relation(*p)).map(|p| p.rel_name().to_string()).collect(),
            partition: r.is_partition(),
            definition: r.view.as_ref().map(|v| v.query.text.clone()),
        }
    }

    fn sequence(&self, r: &Relation) -> DumpSequence {
        let s = r.sequence.as_ref();
        let owned_by = s.and_then(|s| s.owned_by.as_ref()).and_then(|(t, c)| Some(format!("{}.{c}", self.relation(*t)?.rel_name())));
        DumpSequence {
            schema: r.schema.clone(),
            name: r.name.clone(),
            data_type: s.map_or_else(|| "bigint".to_string(), |s| s.data_type.clone()),
            owned_by,
            identity: s.is_some_and(|s| s.identity),
        }
    }

    /// The constraint as it stands behind ADD CONSTRAINT name.
    pub(super) fn constraint_sql(&self, c: &Constraint) -> String {
        use crate::quote::{idents, qualified};
        let mut out = match &c.kind {
            ConKind::Check { expr, .. } => format!("CHECK ({})", expr.text),
            ConKind::NotNull { column } => format!("NOT NULL {}", crate::quote::ident(column)),
            ConKind::Unique { columns, nulls_not_distinct, .. } => {
                let nulls = if *nulls_not_distinct { "NULLS NOT DISTINCT " } else { "" };
                format!("UNIQUE {nulls}({})", idents(columns))
            }
            ConKind::PrimaryKey { columns, .. } => format!("PRIMARY KEY ({})", idents(columns)),
            ConKind::ForeignKey { columns, table, ref_columns, on_delete, on_update, match_full } => {
                let to = self.relation(*table).map(|t| qualified(&t.schema, &t.name)).unwrap_or_default();
                let mut s = format!("FOREIGN KEY ({}) REFERENCES {to}", idents(columns));
                if !ref_columns.is_empty() {
                    s.push_str(&format!(" ({})", idents(ref_columns)));
                }
                if *match_full {
                    s.push_str(" MATCH FULL");
                }
                for (event, action) in [("UPDATE", on_update), ("DELETE", on_delete)] {
                    if *action != crate::op::FkAction::NoAction {
                        s.push_str(&format!(" ON {event} {action}"));
                    }
                }
                s
            }
            ConKind::Exclude { index, .. } => {
                let definition = self.relation(*index).and_then(|r| r.index.as_ref());
                let method = definition.map_or("gist", |i| i.method.as_str());
                let keys: Vec<String> =
                    definition.map(|i| i.elements.iter().map(|e| format!("{} WITH =", e.expr.text)).collect()).unwrap_or_default();
                format!("EXCLUDE USING {} ({})", crate::quote::ident(method), keys.join(", "))
            }
        };
        let include = c.kind.index().and_then(|i| self.relation(i)).and_then(|r| r.index.as_ref()).map(|i| &i.include);
        if let Some(include) = include.filter(|i| !i.is_empty()) {
            out.push_str(&format!(" INCLUDE ({})", idents(include)));
        }
        if c.deferrable {
            out.push_str(" DEFERRABLE");
        }
        if c.initially_deferred {
            out.push_str(" INITIALLY DEFERRED");
        }
        if c.no_inherit {
            out.push_str(" NO INHERIT");
        }
        if !c.enforced {
            out.push_str(" NOT ENFORCED");
        } else if !c.validated {
            out.push_str(" NOT VALID");
        }
        out
    }
}

fn text(e: Option<&Expr>) -> Option<String> {
    e.map(|e| e.text.clone())
}

fn column(c: &super::Column) -> DumpColumn {
    DumpColumn {
        name: c.name.clone(),
        ty: c.ty.to_string(),
        not_null: c.not_null,
        default: text(c.default.as_ref()),
        identity: c.identity.as_ref().map(|i| if i.always { "always" } else { "by default" }),
        generated: c.generated.as_ref().map(|g| g.expr.text.clone()),
        generated_kind: c.generated.as_ref().map(|g| if g.stored { "stored" } else { "virtual" }),
        collation: c.collation.clone(),
    }
}

fn index(name: &str, i: &Index) -> DumpIndex {
    DumpIndex {
        name: name.to_string(),
        unique: i.unique,
        primary: i.primary,
        valid: i.valid,
        method: i.method.clone(),
        columns: i.columns.clone(),
        include: i.include.clone(),
        predicate: text(i.filter.as_ref()),
        constraint: i.constraint,
    }
}

fn constraint_word(kind: &ConKind) -> &'static str {
    match kind {
        ConKind::Check { .. } => "check",
        ConKind::NotNull { .. } => "not null",
        ConKind::Unique { .. } => "unique",
        ConKind::PrimaryKey { .. } => "primary key",
        ConKind::ForeignKey { .. } => "foreign key",
        ConKind::Exclude { .. } => "exclude",
    }
}

/// A type in SQL: built-in names as they are, own ones quoted.
pub(super) fn type_sql(ty: &ColumnType) -> String {
    if ty.id.is_none() {
        return ty.to_string();
    }
    let quoted = match ty.name.split_once('.') {
        Some((s, n)) => crate::quote::qualified(s, n),
        None => crate::quote::ident(&ty.name),
    };
    let mods = if ty.modifiers.is_empty() { String::new() } else { format!("({})", ty.modifiers.join(",")) };
    format!("{quoted}{mods}{}", if ty.is_array() { "[]" } else { "" })
}
