//! From the catalog to its dump.

use crate::op::{Expr, ObjectKind, Persistence, TriggerMode};

use super::dump::*;
use super::{Acl, Catalog, Column, ConKind, Constraint, Policy, RelKind, Relation, Trigger, TypeKind};

impl Catalog {
    /// Everything in the catalog, sorted by schema and name.
    pub fn dump(&self) -> Dump {
        let of = |kinds: &[RelKind]| {
            let mut out: Vec<&Relation> = self.relations.values().map(|r| &**r).filter(|r| kinds.contains(&r.kind)).collect();
            out.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
            out
        };
        let mut dump = Dump {
            schema_version: 1,
            postgres: self.pg.0,
            complete: self.complete,
            schemas: self
                .schemas
                .values()
                .map(|s| DumpSchema {
                    name: s.name.clone(),
                    owner: s.owner.clone(),
                    grants: grants(&s.grants),
                    comment: s.comment.clone(),
                    made_in: Some(s.origin),
                })
                .collect(),
            extensions: self
                .objects_of(ObjectKind::Extension)
                .map(|e| DumpExtension { name: e.name.clone(), schema: e.schema.clone(), made_in: Some(e.origin) })
                .collect(),
            types: of(&[RelKind::Composite])
                .into_iter()
                .map(|r| DumpType {
                    schema: r.schema.clone(),
                    name: r.name.clone(),
                    kind: "composite".to_string(),
                    columns: r.columns.iter().map(column).collect(),
                    owner: r.owner.clone(),
                    grants: grants(&r.grants),
                    comment: r.comment.clone(),
                    made_in: Some(r.origin),
                })
                .collect(),
            tables: of(&[RelKind::Table, RelKind::PartitionedTable, RelKind::ForeignTable]).into_iter().map(|r| self.table(r)).collect(),
            views: of(&[RelKind::View, RelKind::MaterializedView]).into_iter().map(|r| self.table(r)).collect(),
            sequences: of(&[RelKind::Sequence]).into_iter().map(|r| self.sequence(r)).collect(),
            ..Dump::default()
        };
        self.dump_types(&mut dump);
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
                language: f.def.language.to_ascii_lowercase(),
                security_definer: f.def.security_definer,
                owner: f.owner.clone(),
                grants: grants(&f.grants),
                comment: f.comment.clone(),
                made_in: Some(f.origin),
            })
            .collect();
        dump.functions.sort_by(|a, b| (&a.schema, &a.name, &a.arguments).cmp(&(&b.schema, &b.name, &b.arguments)));
        dump
    }

    /// Types that are no relations. Those of extensions come with the extension.
    fn dump_types(&self, dump: &mut Dump) {
        let mut types: Vec<_> = self.types.values().collect();
        types.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
        for t in types {
            let (schema, name, owner, comment, made_in) =
                (t.schema.clone(), t.name.clone(), t.owner.clone(), t.comment.clone(), Some(t.origin));
            let grants = grants(&t.grants);
            let plain = |kind: &str| DumpType {
                schema: schema.clone(),
                name: name.clone(),
                kind: kind.to_string(),
                columns: Vec::new(),
                owner: owner.clone(),
                grants: grants.clone(),
                comment: comment.clone(),
                made_in,
            };
            match &t.kind {
                TypeKind::Enum { labels } => {
                    let labels = labels.iter().map(|l| l.value.clone()).collect();
                    dump.enums.push(DumpEnum { schema, name, labels, owner, grants, comment, made_in });
                }
                TypeKind::Domain { base, not_null, default, checks } => dump.domains.push(DumpDomain {
                    ty: base.to_string(),
                    not_null: *not_null,
                    default: text(default.as_ref()),
                    checks: checks
                        .iter()
                        .map(|c| DumpDomainCheck {
                            name: c.name.clone(),
                            validated: c.validated,
                            definition: format!("CHECK ({})", c.expr.text),
                            comment: c.comment.clone(),
                        })
                        .collect(),
                    schema,
                    name,
                    owner,
                    grants,
                    comment,
                    made_in,
                }),
                TypeKind::Range => dump.types.push(plain("range")),
                TypeKind::Other if !self.is_extension_type(t.id) => dump.types.push(plain("base")),
                TypeKind::Other | TypeKind::Composite { .. } => {}
            }
        }
        dump.types.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    }

    fn table(&self, r: &Relation) -> DumpTable {
        let mut indexes: Vec<DumpIndex> = self.indexes_of(r.id).into_iter().filter_map(|i| self.index(i)).collect();
        indexes.sort_by(|a, b| a.name.cmp(&b.name));
        DumpTable {
            schema: r.schema.clone(),
            name: r.name.clone(),
            kind: r.kind.to_string(),
            persistence: match r.persistence {
                Persistence::Permanent => "permanent",
                Persistence::Temporary => "temporary",
                Persistence::Unlogged => "unlogged",
            }
            .to_string(),
            assumed: r.assumed,
            columns: r.columns.iter().map(column).collect(),
            constraints: r.constraints.iter().map(|c| self.constraint_dump(c)).collect(),
            indexes,
            triggers: r.triggers.iter().map(trigger).collect(),
            policies: r.policies.iter().map(policy).collect(),
            rules: r
                .rules
                .iter()
                .map(|r| DumpRule {
                    name: r.name.clone(),
                    event: r.event.to_ascii_uppercase(),
                    instead: r.instead,
                    enabled: mode(r.mode),
                    comment: r.comment.clone(),
                })
                .collect(),
            row_security: r.row_security,
            force_row_security: r.force_row_security,
            parents: r.parents.iter().filter_map(|p| self.relation(*p)).map(|p| p.rel_name().to_string()).collect(),
            partition: r.is_partition(),
            partition_by: r.partition_by.as_ref().map(|b| b.strategy.to_ascii_lowercase()),
            owner: r.owner.clone(),
            grants: grants(&r.grants),
            comment: r.comment.clone(),
            definition: r.view.as_ref().map(|v| v.query.text.clone()),
            made_in: Some(r.origin),
        }
    }

    fn constraint_dump(&self, c: &Constraint) -> DumpConstraint {
        let mut out = DumpConstraint {
            name: c.name.clone(),
            kind: constraint_word(&c.kind).to_string(),
            columns: c.kind.columns().to_vec(),
            validated: c.validated,
            enforced: c.enforced,
            deferrable: c.deferrable,
            initially_deferred: c.initially_deferred,
            no_inherit: c.no_inherit,
            inherited: c.inherited,
            definition: self.constraint_sql(c),
            comment: c.comment.clone(),
            made_in: Some(c.origin),
            ..DumpConstraint::default()
        };
        if let ConKind::ForeignKey { table, ref_columns, on_delete, on_update, .. } = &c.kind {
            out.references = self.relation(*table).map(|t| t.rel_name().to_string());
            out.referenced_columns.clone_from(ref_columns);
            out.on_delete = Some(on_delete.to_string().to_ascii_lowercase());
            out.on_update = Some(on_update.to_string().to_ascii_lowercase());
        }
        out
    }

    fn index(&self, r: &Relation) -> Option<DumpIndex> {
        let i = r.index.as_ref()?;
        Some(DumpIndex {
            name: r.name.clone(),
            unique: i.unique,
            primary: i.primary,
            valid: i.valid,
            method: i.method.clone(),
            columns: i.columns.clone(),
            include: i.include.clone(),
            predicate: text(i.filter.as_ref()),
            nulls_not_distinct: i.nulls_not_distinct,
            constraint: i.constraint,
            parent: i.parent.and_then(|p| self.relation(p)).map(|p| p.rel_name().to_string()),
            comment: r.comment.clone(),
            made_in: Some(r.origin),
        })
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
            owner: r.owner.clone(),
            grants: grants(&r.grants),
            comment: r.comment.clone(),
            made_in: Some(r.origin),
        }
    }
}

fn text(e: Option<&Expr>) -> Option<String> {
    e.map(|e| e.text.clone())
}

fn mode(m: TriggerMode) -> String {
    match m {
        TriggerMode::Enable => "origin",
        TriggerMode::EnableReplica => "replica",
        TriggerMode::EnableAlways => "always",
        TriggerMode::Disable => "disabled",
    }
    .to_string()
}

fn column(c: &Column) -> DumpColumn {
    DumpColumn {
        name: c.name.clone(),
        ty: c.ty.to_string(),
        not_null: c.not_null,
        default: text(c.default.as_ref()),
        identity: c.identity.as_ref().map(|i| if i.always { "always" } else { "by default" }.to_string()),
        generated: c.generated.as_ref().map(|g| g.expr.text.clone()),
        generated_kind: c.generated.as_ref().map(|g| if g.stored { "stored" } else { "virtual" }.to_string()),
        collation: c.collation.clone(),
        inherited: c.inherited,
        grants: grants(&c.grants),
        comment: c.comment.clone(),
        made_in: Some(c.origin),
    }
}

fn trigger(t: &Trigger) -> DumpTrigger {
    let mut events = t.events.clone();
    events.sort();
    let mut update_of = t.update_of.clone();
    update_of.sort();
    DumpTrigger {
        name: t.name.clone(),
        function: t.function.clone(),
        timing: t.timing.clone(),
        events,
        update_of,
        for_each_row: t.for_each_row,
        constraint: t.constraint,
        inherited: t.inherited,
        enabled: mode(t.mode),
        condition: text(t.when.as_ref()),
        comment: t.comment.clone(),
        made_in: Some(t.origin),
    }
}

fn policy(p: &Policy) -> DumpPolicy {
    let mut roles: Vec<String> = if p.roles.is_empty() { vec!["public".to_string()] } else { p.roles.clone() };
    roles.sort();
    roles.dedup();
    DumpPolicy {
        name: p.name.clone(),
        command: p.command.clone(),
        permissive: p.permissive,
        roles,
        using: text(p.using.as_ref()),
        with_check: text(p.with_check.as_ref()),
        comment: p.comment.clone(),
        made_in: Some(p.origin),
    }
}

fn grants(acl: &[Acl]) -> Vec<DumpGrant> {
    let mut out: Vec<DumpGrant> = Vec::new();
    for a in acl {
        let at = match out.iter().position(|g| g.grantee == a.grantee) {
            Some(i) => i,
            None => {
                out.push(DumpGrant { grantee: a.grantee.clone(), ..DumpGrant::default() });
                out.len() - 1
            }
        };
        out[at].privileges.extend(a.privileges.iter().cloned());
        if a.grant_option {
            out[at].grantable.extend(a.privileges.iter().cloned());
        }
    }
    for list in out.iter_mut().flat_map(|g| [&mut g.privileges, &mut g.grantable]) {
        list.sort();
        list.dedup();
    }
    out.sort_by(|a, b| a.grantee.cmp(&b.grantee));
    out
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
