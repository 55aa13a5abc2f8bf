//! Operations back into SQL, so that Postgres's parser can say whether they mean what the file says.
//!
//! Every structure is taken apart without `..`: a field that is added to an operation does not compile here until it is written, or named as
//! one that says nothing about meaning. What an operation does not keep shows up as a difference of the trees; `left_out` lists those that are meant.

mod alter;
mod create;
mod data;
mod parts;

use airlock::op::{Cte, Dml, DmlKind, FromItem, InsertSource, ObjectKind, Op, OpKind, OpKindQuery, Query, ReindexTarget, SetScope};
use airlock::quote::{ident, literal};
use airlock::source::SourceFile;

use parts::{list, object, object_words, persistence, qn, relation, role};

/// What cannot be written, by name.
pub type Written = Result<String, String>;

/// The operations of one statement in our words. `None`: it has none to write.
pub fn statement(ops: &[Op], source: &SourceFile) -> Option<Written> {
    let first = ops.first()?;
    let w = Writer { source, pieces: false };
    Some(match &first.kind {
        OpKind::Alter { target, .. } => {
            let actions: Result<Vec<String>, String> = ops
                .iter()
                .map(|o| match &o.kind {
                    OpKind::Alter { target: t, action } if t == target => w.action(t, action),
                    k => Err(format!("{} beside subcommands of ALTER", <&str>::from(k))),
                })
                .collect();
            actions.map(|a| w.alter(target, &a.join(", ")))
        }
        OpKind::CreateSchema { name, if_not_exists, authorization } => {
            let mut out = format!("CREATE SCHEMA {}", if *if_not_exists { "IF NOT EXISTS " } else { "" });
            out.push_str(&name.as_ref().map(|n| ident(n.as_str())).unwrap_or_default());
            if let Some(a) = authorization {
                out.push_str(&format!(" AUTHORIZATION {}", role(a)));
            }
            for o in &ops[1..] {
                match w.op(o) {
                    Ok(t) => out.push_str(&format!(" {t}")),
                    Err(e) => return Some(Err(e)),
                }
            }
            Ok(out)
        }
        OpKind::AlterObject { detail, .. } if detail.starts_with("DROP OWNED") => {
            let who: Vec<String> = ops
                .iter()
                .filter_map(|o| match &o.kind {
                    OpKind::AlterObject { object, .. } => Some(role(object.name.as_str())),
                    _ => None,
                })
                .collect();
            Ok(format!("DROP OWNED BY {}{}", who.join(", "), if detail.ends_with("CASCADE") { " CASCADE" } else { "" }))
        }
        _ => w.op(first),
    })
}

pub struct Writer<'a> {
    /// Queries from their parts, not in their words.
    pub pieces: bool,
    /// For parts that an operation keeps as places only.
    pub source: &'a SourceFile,
}

impl Writer<'_> {
    pub fn op(&self, op: &Op) -> Written {
        Ok(match &op.kind {
            OpKind::CreateTable(t) => self.create_table(t)?,
            OpKind::CreateTableAs(t) => self.create_table_as(t)?,
            OpKind::Alter { target, action } => self.alter(target, &self.action(target, action)?),
            OpKind::CreateIndex(i) => self.create_index(i)?,
            OpKind::CreateView(v) => self.create_view(v)?,
            OpKind::RefreshView { name, concurrently, with_data } => format!(
                "REFRESH MATERIALIZED VIEW {}{}{}",
                if *concurrently { "CONCURRENTLY " } else { "" },
                qn(name),
                if *with_data { "" } else { " WITH NO DATA" }
            ),
            OpKind::CreateSequence { name, if_not_exists, persistence: p, options } => format!(
                "CREATE {}SEQUENCE {}{}{}",
                persistence(*p),
                if *if_not_exists { "IF NOT EXISTS " } else { "" },
                qn(name),
                self.sequence_options(options)
            ),
            OpKind::AlterSequence { name, if_exists, options } => {
                format!("ALTER SEQUENCE {}{}{}", if *if_exists { "IF EXISTS " } else { "" }, qn(name), self.sequence_options(options))
            }
            OpKind::CreateEnum { name, labels } => {
                format!("CREATE TYPE {} AS ENUM ({})", qn(name), labels.iter().map(|l| literal(l)).collect::<Vec<_>>().join(", "))
            }
            OpKind::CreateDomain { name, ty, collation, default, not_null, checks } => {
                self.create_domain(name, ty, collation.as_ref(), default.as_ref(), *not_null, checks)
            }
            OpKind::CreateComposite { name, attributes } => {
                let all: Result<Vec<String>, String> = attributes.iter().map(|a| self.column(a, false)).collect();
                format!("CREATE TYPE {} AS ({})", qn(name), all?.join(", "))
            }
            OpKind::CreateOtherType { name, kind } => match kind.as_str() {
                "range" => format!("CREATE TYPE {} AS RANGE (subtype = int)", qn(name)),
                "shell" => format!("CREATE TYPE {}", qn(name)),
                "base" => format!("CREATE TYPE {} (input = a, output = b)", qn(name)),
                other => return Err(format!("a type of kind {other}")),
            },
            OpKind::AddEnumValue { name, value, if_not_exists, before, after, value_span: _ } => {
                let beside = match (before, after) {
                    (Some(b), None) => format!(" BEFORE {}", literal(b)),
                    (None, Some(a)) => format!(" AFTER {}", literal(a)),
                    (None, None) => String::new(),
                    _ => return Err("BEFORE and AFTER".into()),
                };
                let ine = if *if_not_exists { "IF NOT EXISTS " } else { "" };
                format!("ALTER TYPE {} ADD VALUE {ine}{}{beside}", qn(name), literal(value))
            }
            OpKind::RenameEnumValue { name, from, to } => {
                format!("ALTER TYPE {} RENAME VALUE {} TO {}", qn(name), literal(from), literal(to))
            }
            OpKind::AlterDomain { name, action } => format!("ALTER DOMAIN {} {}", qn(name), self.domain_action(action)),
            OpKind::CreateFunction(f) => self.create_function(f)?,
            OpKind::AlterFunction { object: o, options } => {
                format!("ALTER {} {} {}", object_words(o.kind)?, object(o)?, options.join(" "))
            }
            OpKind::CreateTrigger(t) => self.create_trigger(t),
            OpKind::CreatePolicy(p) => self.create_policy(p),
            OpKind::AlterPolicy { name, table, roles, using, with_check } => {
                self.alter_policy(name, table, roles, using.as_ref(), with_check.as_ref())
            }
            OpKind::CreateRule { name, table, event, instead, or_replace } => format!(
                "CREATE {}RULE {} AS ON {event} TO {} DO {}NOTHING",
                if *or_replace { "OR REPLACE " } else { "" },
                ident(name.as_str()),
                qn(table),
                if *instead { "INSTEAD " } else { "" }
            ),
            OpKind::CreateSchema { .. } => return Err("a schema inside of a schema".into()),
            OpKind::CreateExtension { name, if_not_exists, schema, version, cascade } => {
                let mut out = format!("CREATE EXTENSION {}{}", if *if_not_exists { "IF NOT EXISTS " } else { "" }, ident(name.as_str()));
                if let Some(s) = schema {
                    out.push_str(&format!(" SCHEMA {}", ident(s.as_str())));
                }
                if let Some(v) = version {
                    out.push_str(&format!(" VERSION {}", literal(v)));
                }
                out.push_str(if *cascade { " CASCADE" } else { "" });
                out
            }
            OpKind::AlterExtension { name, update } => match update {
                true => format!("ALTER EXTENSION {} UPDATE", ident(name.as_str())),
                false => format!("ALTER EXTENSION {} ADD TABLE a", ident(name.as_str())),
            },
            OpKind::CreateStatistics { name, if_not_exists, kinds, exprs, table } => {
                let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
                format!(
                    "CREATE STATISTICS {}{}{kinds} ON {} FROM {}",
                    if *if_not_exists { "IF NOT EXISTS " } else { "" },
                    name.as_ref().map(qn).unwrap_or_default(),
                    exprs
                        .iter()
                        .map(|e| if matches!(e.kind, airlock::op::ExprKind::Column(_)) { e.text.clone() } else { format!("({})", e.text) })
                        .collect::<Vec<_>>()
                        .join(", "),
                    qn(table)
                )
            }
            OpKind::CreateObject { object: o, or_replace, if_not_exists, detail } => format!(
                "CREATE {}{}{} {}{} {}",
                if *or_replace { "OR REPLACE " } else { "" },
                if o.kind == ObjectKind::Conversion && detail.ends_with(" DEFAULT") { "DEFAULT " } else { "" },
                object_words(o.kind)?,
                if *if_not_exists { "IF NOT EXISTS " } else { "" },
                object(o)?,
                if o.kind == ObjectKind::Conversion { detail.trim_end_matches(" DEFAULT") } else { detail }
            ),
            OpKind::AlterObject { object: o, detail } if o.kind == ObjectKind::Type => format!("ALTER TYPE {} SET {detail}", object(o)?),
            OpKind::AlterObject { object: o, detail } => match detail.split_whitespace().next().map(str::to_ascii_uppercase).as_deref() {
                // Kept as words with nothing taken out of them.
                Some("REASSIGN" | "IMPORT" | "OWNED" | "FOREIGN") => self.source.slice(op.span).to_string(),
                // ALTER GROUP g ADD USER a.
                Some("ADD" | "DROP") if o.kind == ObjectKind::Role => format!("ALTER GROUP {} {detail}", object(o)?),
                Some("ALL") if o.name.as_str() == detail.as_str() => format!("ALTER {} {detail}", object_words(o.kind)?),
                _ => format!("ALTER {} {} {detail}", object_words(o.kind)?, object(o)?),
            },
            OpKind::Drop { objects, if_exists, cascade, concurrently } => {
                let kind = objects.first().ok_or("nothing to drop")?.kind;
                let names: Result<Vec<String>, String> = objects.iter().map(object).collect();
                format!(
                    "DROP {} {}{}{}{}",
                    object_words(kind)?,
                    if *concurrently { "CONCURRENTLY " } else { "" },
                    if *if_exists { "IF EXISTS " } else { "" },
                    names?.join(", "),
                    if *cascade { " CASCADE" } else { "" }
                )
            }
            OpKind::Rename { object: o, to } => format!("ALTER {} {} RENAME TO {}", object_words(o.kind)?, object(o)?, ident(to.as_str())),
            OpKind::SetSchema { object: o, schema } => {
                format!("ALTER {} {} SET SCHEMA {}", object_words(o.kind)?, object(o)?, ident(schema.as_str()))
            }
            OpKind::Owner { object: o, to } => format!("ALTER {} {} OWNER TO {}", object_words(o.kind)?, object(o)?, role(to)),
            OpKind::Comment { object: o, text } => format!(
                "COMMENT ON {} {} IS {}",
                object_words(o.kind)?,
                object(o)?,
                text.as_ref().map_or_else(|| "NULL".to_string(), |t| literal(t))
            ),
            OpKind::Grant(g) => self.grant(g)?,
            OpKind::Dml(d) => self.dml(d)?,
            OpKind::Query(q) => q.text.clone(),
            OpKind::Copy { table, columns, query, from, program } => {
                let what = match (table, query) {
                    (Some(t), None) => format!("{}{}", qn(t), list(columns)),
                    (None, Some(q)) => format!("({})", q.text),
                    _ => return Err("COPY of a table and a query, or of neither".into()),
                };
                format!("COPY {what} {} {}", if *from { "FROM" } else { "TO" }, if *program { "PROGRAM 'x'" } else { "'x'" })
            }
            OpKind::Truncate { tables, cascade, restart_identity } => format!(
                "TRUNCATE {}{}{}",
                tables.iter().map(relation).collect::<Vec<_>>().join(", "),
                if *restart_identity { " RESTART IDENTITY" } else { "" },
                if *cascade { " CASCADE" } else { "" }
            ),
            OpKind::Call { name, args } => {
                format!("CALL {}({})", qn(name), args.iter().map(|a| a.text.clone()).collect::<Vec<_>>().join(", "))
            }
            OpKind::Begin { read_only } => format!("BEGIN{}", if *read_only { " READ ONLY" } else { "" }),
            OpKind::Commit { chain } => format!("COMMIT{}", if *chain { " AND CHAIN" } else { "" }),
            OpKind::Rollback { chain } => format!("ROLLBACK{}", if *chain { " AND CHAIN" } else { "" }),
            OpKind::Savepoint { name } => format!("SAVEPOINT {}", ident(name.as_str())),
            OpKind::ReleaseSavepoint { name } => format!("RELEASE {}", ident(name.as_str())),
            OpKind::RollbackTo { name } => format!("ROLLBACK TO {}", ident(name.as_str())),
            OpKind::SetVar { scope, name, value } => {
                let value = value.as_ref().ok_or("a setting without a value")?;
                match scope {
                    SetScope::Transaction if value.text.to_ascii_uppercase().starts_with("AS") => {
                        format!("SET SESSION CHARACTERISTICS {}", value.text)
                    }
                    SetScope::Transaction => format!("SET TRANSACTION {}", value.text),
                    SetScope::Session | SetScope::Local => format!(
                        "SET {}{} = {}",
                        if *scope == SetScope::Local { "LOCAL " } else { "" },
                        name.split('.').map(ident).collect::<Vec<_>>().join("."),
                        value.parts.iter().map(|p| literal(p)).collect::<Vec<_>>().join(", ")
                    ),
                }
            }
            OpKind::ResetVar { name } => {
                format!(
                    "RESET {}",
                    name.as_ref().map_or_else(|| "ALL".to_string(), |n| n.split('.').map(ident).collect::<Vec<_>>().join("."))
                )
            }
            OpKind::SetRole { role: r, session, local } => {
                let what = if *session { "SESSION AUTHORIZATION" } else { "ROLE" };
                match r {
                    Some(r) => format!("SET {}{what} {}", if *local { "LOCAL " } else { "" }, literal(r)),
                    None if *local => format!("SET LOCAL {what} {}", if *session { "DEFAULT" } else { "NONE" }),
                    None => format!("RESET {what}"),
                }
            }
            OpKind::SetConstraints { deferred, all } => {
                format!("SET CONSTRAINTS {} {}", if *all { "ALL" } else { "a" }, if *deferred { "DEFERRED" } else { "IMMEDIATE" })
            }
            OpKind::LockTable { tables, mode, nowait } => format!(
                "LOCK TABLE {} IN {} MODE{}",
                tables.iter().map(relation).collect::<Vec<_>>().join(", "),
                mode.sql(),
                if *nowait { " NOWAIT" } else { "" }
            ),
            OpKind::Reindex { target, name, concurrently } => {
                let target_words = match target {
                    ReindexTarget::Index => "INDEX",
                    ReindexTarget::Table => "TABLE",
                    ReindexTarget::Schema => "SCHEMA",
                    ReindexTarget::Database => "DATABASE",
                    ReindexTarget::System => "SYSTEM",
                };
                format!(
                    "REINDEX {target_words} {}{}",
                    if *concurrently { "CONCURRENTLY " } else { "" },
                    name.as_ref().map(qn).unwrap_or_default()
                )
            }
            OpKind::Cluster { table, index } => format!(
                "CLUSTER {}{}",
                table.as_ref().map(qn).unwrap_or_default(),
                index.as_ref().map(|i| format!(" USING {}", ident(i.as_str()))).unwrap_or_default()
            ),
            OpKind::Vacuum { tables, full, analyze } => {
                let words: Vec<&str> = [(*full, "FULL"), (*analyze, "ANALYZE")].into_iter().filter(|(y, _)| *y).map(|(_, w)| w).collect();
                let words = if words.is_empty() { String::new() } else { format!("({}) ", words.join(", ")) };
                format!("VACUUM {words}{}", tables.iter().map(qn).collect::<Vec<_>>().join(", "))
            }
            OpKind::Analyze { tables } => format!("ANALYZE {}", tables.iter().map(qn).collect::<Vec<_>>().join(", ")),
            // Kept as words.
            OpKind::NoTransaction { detail } => detail.clone(),
            OpKind::DoBlock { language, dynamic: _, handles_exceptions: _ } => format!("DO LANGUAGE {} ''", ident(language)),
            OpKind::Opaque { .. } => return Err("an opaque operation".into()),
        })
    }
}

/// Queries that a statement holds, with their words.
pub fn queries(ops: &[Op]) -> Vec<(&str, &Query)> {
    let mut out: Vec<&Query> = Vec::new();
    for o in ops {
        match &o.kind {
            OpKind::Query(q) => out.push(q),
            OpKind::CreateTableAs(t) => out.push(&t.query),
            OpKind::CreateView(v) => out.push(&v.query),
            OpKind::Copy { query: Some(q), .. } => out.push(q),
            OpKind::Dml(d) => inside(d, &mut out),
            _ => {}
        }
    }
    out.into_iter().map(|q| (q.text.as_str(), q)).collect()
}

fn inside<'a>(d: &'a Dml, out: &mut Vec<&'a Query>) {
    for Cte { body, .. } in &d.ctes {
        match &**body {
            OpKindQuery::Query(q) => out.push(q),
            OpKindQuery::Dml(d) => inside(d, out),
        }
    }
    if let DmlKind::Insert { source: InsertSource::Query(q), .. } = &d.kind {
        out.push(q);
    }
    d.from.iter().for_each(|i| inside_item(i, out));
}

fn inside_item<'a>(item: &'a FromItem, out: &mut Vec<&'a Query>) {
    match item {
        FromItem::Query { query, .. } => out.push(query),
        FromItem::Join { left, right, .. } => {
            inside_item(left, out);
            inside_item(right, out);
        }
        _ => {}
    }
}
