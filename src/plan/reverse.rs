//! The way back of an operation that stands by itself, out of the catalog before it.

use crate::catalog::{Catalog, Column, Id, RelKind, identity_sql};
use crate::compat::Undo;
use crate::op::{AlterAction, AlterTarget, ObjectKind, ObjectRef, Op, OpKind, QName};
use crate::quote::{ident, literal, qualified};

/// How an operation is taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reverse {
    /// In the order in which they run.
    pub undo: Vec<String>,
    pub verdict: Undo,
    /// Why it cannot be taken back.
    pub one_way: Option<String>,
    /// What it does, for people.
    pub title: String,
}

impl Reverse {
    fn new(title: impl Into<String>, undo: Vec<String>) -> Option<Reverse> {
        Some(Reverse { undo, verdict: Undo::Lossless, one_way: None, title: title.into() })
    }

    fn one_way(title: impl Into<String>, why: impl Into<String>) -> Option<Reverse> {
        Some(Reverse { undo: Vec::new(), verdict: Undo::Impossible, one_way: Some(why.into()), title: title.into() })
    }
}

/// `None`: no way back is known.
pub fn reverse(op: &Op, before: &Catalog, after: &Catalog) -> Option<Reverse> {
    let found = of_op(op, before, after)?;
    // What is made again from its own words may name what is called otherwise by now.
    let worded = match &op.kind {
        OpKind::CreateView(_) | OpKind::CreateFunction(_) | OpKind::Drop { .. } => true,
        // What is computed takes no USING.
        OpKind::Alter { action, .. } => matches!(action, AlterAction::SetType { .. }),
        _ => false,
    };
    (!worded || passable(&found.undo, after)).then_some(found)
}

/// The schema does not refuse it for sure.
fn passable(undo: &[String], after: &Catalog) -> bool {
    let mut catalog = after.clone();
    let statements = undo.iter().flat_map(|sql| crate::lower::lower_text(sql));
    { statements }.all(|s| catalog.apply_statement(&s).iter().all(|(_, e)| !e.certain))
}

fn of_op(op: &Op, before: &Catalog, after: &Catalog) -> Option<Reverse> {
    let made = |kind: &str, n: &QName| {
        let name = relation_name(after, n);
        Reverse::new(format!("Create {} `{n}`", kind.to_lowercase()), vec![format!("DROP {kind} {name}")])
    };
    match &op.kind {
        OpKind::CreateTable(t) if t.if_not_exists && before.relation_by(&t.name).is_some() => Reverse::new("Nothing to create", nothing()),
        OpKind::CreateTable(t) => {
            let mut r = made("TABLE", &t.name)?;
            // What refers to the table above refers to its partition too.
            if let Some(parent) = t.partition_of.as_ref().and_then(|(p, _)| after.relation_by(p))
                && !after.foreign_keys_reaching(parent.id).is_empty()
            {
                let (parent, part) = (qualified(&parent.schema, &parent.name), relation_name(after, &t.name));
                r.undo.insert(0, format!("ALTER TABLE {parent} DETACH PARTITION {part}"));
            }
            Some(r)
        }
        OpKind::CreateTableAs(t) => made("TABLE", &t.name),
        OpKind::CreateView(v) => match before.relation_by(&v.name) {
            Some(old) => {
                let sql = before.relation_sql(old).replacen("CREATE VIEW", "CREATE OR REPLACE VIEW", 1);
                Reverse::new(format!("Replace view `{}`", v.name), vec![sql])
            }
            None => made(if v.materialized { "MATERIALIZED VIEW" } else { "VIEW" }, &v.name),
        },
        OpKind::CreateSequence { name, .. } => made("SEQUENCE", name),
        OpKind::CreateEnum { name, .. } | OpKind::CreateComposite { name, .. } | OpKind::CreateOtherType { name, .. } => {
            let t = after.type_by(name)?;
            Reverse::new(format!("Create type `{name}`"), vec![format!("DROP TYPE {}", qualified(&t.schema, &t.name))])
        }
        OpKind::CreateDomain { name, .. } => {
            let t = after.type_by(name)?;
            Reverse::new(format!("Create domain `{name}`"), vec![format!("DROP DOMAIN {}", qualified(&t.schema, &t.name))])
        }
        OpKind::CreateSchema { name: Some(name), .. } if !before.schemas.contains_key(name.as_str()) => {
            Reverse::new(format!("Create schema `{}`", name.as_str()), vec![format!("DROP SCHEMA {}", ident(name.as_str()))])
        }
        OpKind::CreateExtension { name, .. } => Reverse::new(
            format!("Create extension `{}`", name.as_str()),
            vec![format!("DROP EXTENSION IF EXISTS {}", ident(name.as_str()))],
        ),
        OpKind::CreateIndex(i) => {
            let table = after.relation_by(&i.table)?;
            let new = after.indexes_of(table.id).into_iter().find(|x| before.relation(x.id).is_none())?;
            Reverse::new(format!("Create index `{}`", new.name), vec![format!("DROP INDEX {}", qualified(&new.schema, &new.name))])
        }
        OpKind::CreateFunction(f) => {
            let here = |c: &Catalog| {
                let id = after
                    .functions
                    .iter()
                    .find(|(id, g)| g.name == f.name.as_str() && before.functions.get(*id).is_none_or(|b| b != *g))?;
                c.functions.get(id.0).cloned()
            };
            let new = here(after)?;
            let what = if new.kind == ObjectKind::Procedure { "PROCEDURE" } else { "FUNCTION" };
            match here(before) {
                Some(old) => Reverse::new(format!("Replace {} `{}`", what.to_lowercase(), f.name), vec![before.function_sql(&old)]),
                None => Reverse::new(
                    format!("Create {} `{}`", what.to_lowercase(), f.name),
                    vec![format!("DROP {what} {}({})", qualified(&new.schema, &new.name), new.arg_types.join(", "))],
                ),
            }
        }
        OpKind::CreateTrigger(t) => {
            let rel = after.relation_by(&t.table)?;
            let mut undo = vec![format!("DROP TRIGGER {} ON {}", ident(t.name.as_str()), qualified(&rel.schema, &rel.name))];
            if let Some(old) = before.relation_by(&t.table) {
                undo.extend(before.attachment_sql(old, t.name.as_str()));
            }
            Reverse::new(format!("Create trigger `{}` on `{}`", t.name.as_str(), t.table), undo)
        }
        OpKind::CreatePolicy(p) => {
            let rel = after.relation_by(&p.table)?;
            Reverse::new(
                format!("Create policy `{}` on `{}`", p.name.as_str(), p.table),
                vec![format!("DROP POLICY {} ON {}", ident(p.name.as_str()), qualified(&rel.schema, &rel.name))],
            )
        }
        OpKind::AddEnumValue { name, value, .. } => {
            Reverse::one_way(format!("Add `{value}` to `{name}`"), "Postgres cannot take a label out of an enum again")
        }
        OpKind::RenameEnumValue { name, from, to } => {
            let t = after.type_by(name)?;
            let sql = format!("ALTER TYPE {} RENAME VALUE {} TO {}", qualified(&t.schema, &t.name), literal(to), literal(from));
            Reverse::new(format!("Rename `{from}` of `{name}` to `{to}`"), vec![sql])
        }
        OpKind::Rename { object, to } => rename(object, to.as_str(), after),
        OpKind::Comment { object, .. } => Reverse::new(format!("Comment on `{}`", object.name), comment(object, before)?),
        OpKind::Drop { objects, .. } => dropped(objects, before),
        OpKind::Alter { target, action } => altered(target, action, before, after),
        OpKind::Grant(g) => {
            let undo = super::rights::back(before, after)?;
            let title = if g.revoke { "Revoke rights of" } else { "Grant rights to" };
            let who = g.grantees.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
            Reverse::new(format!("{title} {who}"), if undo.is_empty() { nothing() } else { undo })
        }
        _ => None,
    }
}

fn nothing() -> Vec<String> {
    vec![super::blocks::NOTHING.into()]
}

fn relation_name(c: &Catalog, n: &QName) -> String {
    c.relation_by(n).map_or_else(|| ident(n.as_str()), |r| qualified(&r.schema, &r.name))
}

fn rename(object: &ObjectRef, to: &str, after: &Catalog) -> Option<Reverse> {
    let title = format!("Rename `{}` to `{to}`", object.name);
    let from = ident(object.name.as_str());
    match object.kind {
        ObjectKind::Type | ObjectKind::Domain => {
            let renamed = QName { schema: object.name.schema.clone(), name: crate::op::Name::new(to, object.name.name.span) };
            let t = after.type_by(&renamed)?;
            let kind = if object.kind == ObjectKind::Domain { "DOMAIN" } else { "TYPE" };
            Reverse::new(title, vec![format!("ALTER {kind} {} RENAME TO {from}", qualified(&t.schema, &t.name))])
        }
        ObjectKind::Schema => Reverse::new(title, vec![format!("ALTER SCHEMA {} RENAME TO {from}", ident(to))]),
        ObjectKind::Trigger | ObjectKind::Policy => {
            let on = relation_name(after, object.on.as_ref()?);
            let kind = if object.kind == ObjectKind::Trigger { "TRIGGER" } else { "POLICY" };
            Reverse::new(title, vec![format!("ALTER {kind} {} ON {on} RENAME TO {from}", ident(to))])
        }
        _ => None,
    }
}

/// The comment as it was.
fn comment(object: &ObjectRef, before: &Catalog) -> Option<Vec<String>> {
    use ObjectKind as K;
    let name = object.name.as_str();
    let on = object.on.as_ref().and_then(|t| before.relation_by(t));
    let on_sql = || object.on.as_ref().map(|t| on.map_or_else(|| name_sql(t), |r| qualified(&r.schema, &r.name)));
    let kind = object.kind.to_string().replace('-', " ");
    let (what, old) = match object.kind {
        K::Column => (format!("COLUMN {}.{}", on_sql()?, ident(name)), on.and_then(|r| r.column(name)?.comment.clone())),
        K::Constraint => (format!("CONSTRAINT {} ON {}", ident(name), on_sql()?), on.and_then(|r| r.constraint(name)?.comment.clone())),
        K::Trigger => {
            let old = on.and_then(|r| r.triggers.iter().find(|t| t.name == name)?.comment.clone());
            (format!("TRIGGER {} ON {}", ident(name), on_sql()?), old)
        }
        K::Policy => {
            let old = on.and_then(|r| r.policies.iter().find(|t| t.name == name)?.comment.clone());
            (format!("POLICY {} ON {}", ident(name), on_sql()?), old)
        }
        K::Table | K::Index | K::View | K::MaterializedView | K::Sequence | K::ForeignTable => {
            let r = before.relation_by(&object.name);
            (
                format!("{kind} {}", r.map_or_else(|| name_sql(&object.name), |r| qualified(&r.schema, &r.name))),
                r.and_then(|r| r.comment.clone()),
            )
        }
        K::Type | K::Domain => (format!("{kind} {}", name_sql(&object.name)), before.type_by(&object.name).and_then(|t| t.comment.clone())),
        K::Schema => (format!("SCHEMA {}", ident(name)), before.schemas.get(name).and_then(|s| s.comment.clone())),
        K::Function | K::Procedure => {
            let here =
                |f: &&std::sync::Arc<crate::catalog::Function>| f.name == name && object.name.schema_str().is_none_or(|s| s == f.schema);
            let mut all = before.functions.values().filter(here);
            let f = all.next().filter(|_| all.next().is_none())?;
            (format!("{kind} {}({})", qualified(&f.schema, &f.name), f.arg_types.join(", ")), f.comment.clone())
        }
        _ => return None,
    };
    Some(vec![format!("COMMENT ON {what} IS {}", old.map_or_else(|| "NULL".into(), |t| literal(&t)))])
}

fn name_sql(n: &QName) -> String {
    match n.schema_str() {
        Some(s) => qualified(s, n.as_str()),
        None => ident(n.as_str()),
    }
}

/// What was dropped comes back by its definition; what held rows does not.
fn dropped(objects: &[ObjectRef], before: &Catalog) -> Option<Reverse> {
    let mut undo = Vec::new();
    for o in objects {
        match o.kind {
            ObjectKind::Index | ObjectKind::View | ObjectKind::MaterializedView => {
                if let Some(r) = before.relation_by(&o.name) {
                    undo.splice(0..0, before.whole_sql(r));
                }
            }
            ObjectKind::Trigger | ObjectKind::Policy => {
                if let Some(r) = before.relation_by(o.on.as_ref()?) {
                    undo.extend(before.attachment_sql(r, o.name.as_str()));
                }
            }
            ObjectKind::Function | ObjectKind::Procedure => {
                let same =
                    before.functions.values().filter(|f| f.name == o.name.as_str() && o.name.schema_str().is_none_or(|s| s == f.schema));
                undo.extend(same.map(|f| before.function_sql(f)));
            }
            ObjectKind::Type => match before.type_by(&o.name) {
                Some(t) => match &t.kind {
                    crate::catalog::TypeKind::Enum { labels } => {
                        let labels: Vec<String> = labels.iter().map(|l| literal(&l.value)).collect();
                        undo.push(format!("CREATE TYPE {} AS ENUM ({})", qualified(&t.schema, &t.name), labels.join(", ")));
                    }
                    _ => return None,
                },
                None => match before.relation_by(&o.name) {
                    Some(composite) => undo.extend(before.whole_sql(composite)),
                    None => continue,
                },
            },
            ObjectKind::Sequence => {
                return Reverse::one_way(format!("Drop sequence `{}`", o.name), "where the sequence stood is lost");
            }
            _ => return None,
        }
    }
    let names: Vec<String> = objects.iter().map(|o| format!("`{}`", o.name)).collect();
    Reverse::new(format!("Drop {}", names.join(", ")), if undo.is_empty() { nothing() } else { undo })
}

fn altered(target: &AlterTarget, action: &AlterAction, before: &Catalog, after: &Catalog) -> Option<Reverse> {
    use AlterAction as A;
    let Some(rel) = before.relation_by(&target.name) else {
        return target.if_exists.then(|| Reverse::new("Nothing to alter", nothing())).flatten();
    };
    let kind = target.kind.to_string().replace('-', " ");
    let on = format!("{kind} {}", relation_name(after, &target.name));
    let alter = |what: String| vec![format!("ALTER {on} {what}")];
    let column = |n: &str| rel.column(n);
    // The columns of a type are attributes, and its tables follow them.
    let tables = after.tables_of_type(rel.id);
    let (word, tail) = match target.kind {
        ObjectKind::Type => ("ATTRIBUTE", if tables.is_empty() { "" } else { " CASCADE" }),
        _ => ("COLUMN", ""),
    };
    match action {
        A::AddColumn { column: c, .. } if column(c.name.as_str()).is_some() => Reverse::new("Nothing to add", nothing()),
        A::AddColumn { column: c, .. } => {
            let n = c.name.as_str();
            let mut r = Reverse::new(format!("Add `{n}` to `{}`", rel.name), alter(format!("DROP {word} {}{tail}", ident(n))))?;
            r.verdict = Undo::LosesData;
            Some(r)
        }
        A::SetDefault { column: c, .. } | A::DropDefault { column: c } => {
            let what = if matches!(action, A::DropDefault { .. }) { "loses its default" } else { "gets another default" };
            Reverse::new(format!("`{}.{}` {what}", rel.name, c.as_str()), alter(default_sql(column(c.as_str())?)))
        }
        A::DropNotNull { column: c } => {
            let mut r = Reverse::new(
                format!("`{}.{}` may be NULL", rel.name, c.as_str()),
                alter(format!("ALTER COLUMN {} SET NOT NULL", ident(c.as_str()))),
            )?;
            if !column(c.as_str())?.not_null {
                r.undo = nothing();
            } else {
                r.verdict = Undo::BlockedByData;
            }
            Some(r)
        }
        A::SetType { column: c, .. } => {
            let old = column(c.as_str())?;
            let ty = super::blocks::type_sql(before, &old.ty);
            let n = ident(c.as_str());
            let mut r = Reverse::new(
                format!("`{}.{}` becomes {}", rel.name, c.as_str(), after.relation(rel.id)?.column(c.as_str())?.ty),
                match () {
                    _ if target.kind == ObjectKind::Type => attribute_type(after, &tables, &on, &n, &ty),
                    // What is computed needs no cast, and may have none.
                    _ if old.generated.is_some() => alter(format!("ALTER COLUMN {n} TYPE {ty}")),
                    _ => alter(format!("ALTER COLUMN {n} TYPE {ty} USING {n}::{ty}")),
                },
            )?;
            r.verdict = Undo::BlockedByData;
            Some(r)
        }
        A::DropConstraint { name, .. } => {
            let title = format!("Drop constraint `{}` of `{}`", name.as_str(), rel.name);
            let Some(c) = rel.constraint(name.as_str()) else { return Reverse::new(title, nothing()) };
            // Postgres 18 was the first to take NOT VALID on a partitioned table.
            let whole = rel.kind == RelKind::PartitionedTable && before.pg.0 < 18;
            let checked = match c.kind {
                crate::catalog::ConKind::Check { .. } => true,
                crate::catalog::ConKind::ForeignKey { .. } => !whole,
                _ => false,
            };
            let mut undo = alter(format!("ADD {}", before.constraint_definition(c, checked)));
            if checked && c.validated {
                undo.extend(alter(format!("VALIDATE CONSTRAINT {}", ident(name.as_str()))));
            }
            let mut r = Reverse::new(title, undo)?;
            r.verdict = Undo::BlockedByData;
            Some(r)
        }
        A::SetIdentity { column: c, always: Some(always), options } if options.is_empty() => {
            let how = |always: bool| if always { "ALWAYS" } else { "BY DEFAULT" };
            let undo =
                alter(format!("ALTER COLUMN {} SET GENERATED {}", ident(c.as_str()), how(column(c.as_str())?.identity.as_ref()?.always)));
            Reverse::new(format!("`{}.{}` is generated {}", rel.name, c.as_str(), how(*always)), undo)
        }
        A::SetExpression { column: c, .. } => {
            let old = column(c.as_str())?.generated.as_ref()?;
            let undo = alter(format!("ALTER COLUMN {} SET EXPRESSION AS ({})", ident(c.as_str()), old.expr.text));
            Reverse::new(format!("`{}.{}` is computed otherwise", rel.name, c.as_str()), undo)
        }
        A::SetSchema { schema } => {
            let moved = qualified(schema.as_str(), &rel.name);
            let undo = vec![format!("ALTER {kind} {moved} SET SCHEMA {}", ident(&rel.schema))];
            Reverse::new(format!("`{}` moves into the schema `{}`", rel.name, schema.as_str()), undo)
        }
        A::RenameConstraint { from, to } => Reverse::new(
            format!("Rename constraint `{}` to `{}`", from.as_str(), to.as_str()),
            alter(format!("RENAME CONSTRAINT {} TO {}", ident(to.as_str()), ident(from.as_str()))),
        ),
        A::RenameTo { to }
            if matches!(target.kind, ObjectKind::Index | ObjectKind::Sequence | ObjectKind::View | ObjectKind::MaterializedView) =>
        {
            let renamed = qualified(&rel.schema, to.as_str());
            Reverse::new(
                format!("Rename {} `{}` to `{}`", kind.to_lowercase(), rel.name, to.as_str()),
                vec![format!("ALTER {kind} {renamed} RENAME TO {}", ident(&rel.name))],
            )
        }
        A::ValidateConstraint { name } => {
            let c = rel.constraint(name.as_str())?;
            // It is as the table above has it.
            if c.inherited {
                return Reverse::new(format!("Prove `{}` of `{}`", name.as_str(), rel.name), nothing());
            }
            // A key or an identity does not let go of it, and says the same.
            if let crate::catalog::ConKind::NotNull { column } = &c.kind
                && (rel.primary_key().is_some_and(|pk| pk.kind.columns().contains(column))
                    || rel.column(column).is_some_and(|c| c.identity.is_some()))
            {
                return Reverse::new(format!("Prove `{}` of `{}`", name.as_str(), rel.name), nothing());
            }
            let mut undo = alter(format!("DROP CONSTRAINT {}", ident(name.as_str())));
            undo.extend(alter(format!("ADD {}", before.constraint_definition(c, true))));
            Reverse::new(format!("Prove `{}` of `{}`", name.as_str(), rel.name), undo)
        }
        A::AddConstraint(c) => {
            // A primary key brings NOT NULLs along, which are constraints of their own since 18.
            let own = |k: &&crate::catalog::Constraint| {
                let not_null = matches!(k.kind, crate::catalog::ConKind::NotNull { .. });
                rel.constraint(&k.name).is_none() && not_null == matches!(c.kind, crate::op::ConstraintKind::NotNull { .. })
            };
            let new = after.relation(rel.id)?.constraints.iter().find(own)?;
            let mut undo = alter(format!("DROP CONSTRAINT {}", ident(&new.name)));
            if let crate::catalog::ConKind::PrimaryKey { columns, .. } = &new.kind {
                let nullable = columns.iter().filter(|n| column(n).is_some_and(|c| !c.not_null));
                undo.extend(nullable.flat_map(|n| alter(format!("ALTER COLUMN {} DROP NOT NULL", ident(n)))));
            }
            Reverse::new(format!("Add constraint `{}` to `{}`", new.name, rel.name), undo)
        }
        A::Owner { to } => {
            let old = rel.owner.as_ref()?;
            Reverse::new(format!("`{}` belongs to `{to}`", rel.name), alter(format!("OWNER TO {}", ident(old))))
        }
        A::ReplicaIdentity { .. } => {
            let old = identity_sql(rel.replica_identity.as_ref().unwrap_or(&crate::op::ReplicaIdentity::Default));
            Reverse::new(format!("Change the replica identity of `{}`", rel.name), alter(format!("REPLICA IDENTITY {old}")))
        }
        A::Trigger { which: crate::op::WhichTrigger::Named(n), .. } => {
            let mode = rel.triggers.iter().find(|t| t.name == n.as_str())?.mode.sql();
            let title = format!("Trigger `{}` of `{}` is switched", n.as_str(), rel.name);
            Reverse::new(title, alter(format!("{mode} TRIGGER {}", ident(n.as_str()))))
        }
        A::EnableRowSecurity => {
            Reverse::new(format!("Switch row security of `{}` on", rel.name), alter("DISABLE ROW LEVEL SECURITY".into()))
        }
        A::DisableRowSecurity => {
            Reverse::new(format!("Switch row security of `{}` off", rel.name), alter("ENABLE ROW LEVEL SECURITY".into()))
        }
        A::ForceRowSecurity => {
            Reverse::new(format!("Row security of `{}` binds its owner too", rel.name), alter("NO FORCE ROW LEVEL SECURITY".into()))
        }
        A::NoForceRowSecurity => {
            Reverse::new(format!("Row security of `{}` no longer binds its owner", rel.name), alter("FORCE ROW LEVEL SECURITY".into()))
        }
        A::SetStatistics { column: c, .. } => {
            let old = column(c)?.statistics.clone().unwrap_or_else(|| "-1".into());
            Reverse::new(format!("Change the statistics target of `{c}`"), alter(format!("ALTER COLUMN {} SET STATISTICS {old}", ident(c))))
        }
        _ => None,
    }
}

/// An attribute gets its type back. A typed table cannot say how its values are cast, so it is let go of meanwhile.
fn attribute_type(after: &Catalog, tables: &[Id], on: &str, column: &str, ty: &str) -> Vec<String> {
    let tables: Vec<String> = tables.iter().filter_map(|t| after.relation(*t)).map(|t| qualified(&t.schema, &t.name)).collect();
    let mut undo: Vec<String> = tables.iter().map(|t| format!("ALTER TABLE {t} NOT OF")).collect();
    undo.extend(tables.iter().map(|t| format!("ALTER TABLE {t} ALTER COLUMN {column} TYPE {ty} USING {column}::{ty}")));
    undo.push(format!("ALTER {on} ALTER ATTRIBUTE {column} TYPE {ty}"));
    let of = on.strip_prefix("TYPE ").unwrap_or(on);
    undo.extend(tables.iter().map(|t| format!("ALTER TABLE {t} OF {of}")));
    undo
}

fn default_sql(c: &Column) -> String {
    match &c.default {
        Some(d) => format!("ALTER COLUMN {} SET DEFAULT {}", ident(&c.name), d.text),
        None => format!("ALTER COLUMN {} DROP DEFAULT", ident(&c.name)),
    }
}
