//! Functions and triggers: what replaces what, which bodies name a thing that Postgres does not track, which way a copy goes.

use std::sync::LazyLock;

use regex::Regex;

use crate::catalog::{Catalog, ConKind, Function, Relation};
use crate::op::{AlterAction, CreateFunction, CreateTrigger, DmlKind, ExprKind, ObjectKind, OpKind, QName};

use super::here::Here;
use super::{Facts, Value};

pub(super) fn add(f: &mut Facts, h: &Here<'_>) {
    match &h.op.kind {
        OpKind::CreateFunction(c) => function(f, h, c),
        OpKind::CreateTrigger(t) => trigger(f, h, t),
        OpKind::Drop { objects, .. } => {
            let Some(o) = objects.first() else { return };
            if o.kind == ObjectKind::Trigger
                && let Some(rel) = o.on.as_ref().and_then(|t| h.relation(t))
            {
                let was = h.script.before.relation(rel.id);
                f.flag("trigger.existed", was.is_none_or(|r| r.assumed || r.triggers.iter().any(|t| t.name == o.name.as_str())));
                if let Some(t) = rel.triggers.iter().find(|t| t.name == o.name.as_str()) {
                    f.text("trigger.timing", t.timing.clone());
                }
            }
            if matches!(o.kind, ObjectKind::Function | ObjectKind::Routine) {
                let known = h.r.before.functions_named(&o.name);
                let triggers = known.iter().filter_map(|id| h.r.before.functions.get(id)).filter(|x| x.returns == "trigger").count();
                f.flag("function.trigger", triggers > 0 && triggers == known.len());
            }
            if matches!(o.kind, ObjectKind::Table | ObjectKind::View | ObjectKind::MaterializedView)
                && let Some(rel) = h.r.before.relation_by(&o.name)
            {
                f.set("functions.using", Value::List(bodies_naming(h, rel, None)));
            }
        }
        OpKind::Alter { target, action } => {
            let Some(rel) = h.r.before.relation_by(&target.name) else { return };
            let column = match action {
                AlterAction::DropColumn { column, .. } => Some(column.as_str()),
                AlterAction::RenameColumn { from, .. } => Some(from.as_str()),
                AlterAction::RenameTo { .. } | AlterAction::SetSchema { .. } if !rel.kind.is_index() => None,
                _ => return,
            };
            f.set("functions.using", Value::List(bodies_naming(h, rel, column)));
        }
        OpKind::Dml(d) => {
            if let DmlKind::Update { set } = &d.kind
                && let Some(rel) = h.relation(&d.table)
                && let Some(old) = h.script.before.relation(rel.id)
                && let Some(now) = h.r.before.relation(rel.id)
            {
                // A new column that is filled from old ones.
                let copied = set.iter().find_map(|a| {
                    let name = a.columns.first()?.as_str();
                    let new = old.column(name).is_none() && now.column(name).is_some_and(|c| c.generated.is_none());
                    let (mut reads, mut elsewhere) = (false, false);
                    a.value.walk(&mut |e| match &e.kind {
                        ExprKind::Column(p) => {
                            let own = p.len() == 1
                                || p.len() == 2
                                    && (p[0].as_str() == d.table.as_str() || d.alias.as_ref().is_some_and(|x| x.value == p[0].value));
                            reads |= own && p.last().is_some_and(|n| old.column(n.as_str()).is_some());
                        }
                        ExprKind::Subquery(_) => elsewhere = true,
                        _ => {}
                    });
                    (new && reads && !elsewhere).then(|| name.to_string())
                });
                if let Some(name) = copied {
                    f.flag("synced", kept_by_trigger(&h.script.after, rel.id, &name));
                    let required = set
                        .iter()
                        .find(|a| a.columns.first().is_some_and(|c| c.as_str() == name))
                        .and_then(|a| required(h, rel.id, &a.value));
                    if let Some(old) = required {
                        f.text("copied.required", old);
                    }
                    f.text("copied", name);
                }
            }
        }
        _ => {}
    }
}

/// The column of before that the value plainly is, which an insert must still give when the file has run.
fn required(h: &Here<'_>, table: crate::catalog::Id, value: &crate::op::Expr) -> Option<String> {
    let (old, end) = (h.script.before.relation(table)?, h.script.after.relation(table)?);
    let path = match &value.kind {
        ExprKind::Column(p) => p,
        ExprKind::Cast { expr, .. } => match &expr.kind {
            ExprKind::Column(p) => p,
            _ => return None,
        },
        _ => return None,
    };
    let c = end.column(path.last()?.as_str()).filter(|c| old.columns.iter().any(|o| o.attnum == c.attnum))?;
    let comes_by_itself =
        c.default.is_some() || c.identity.is_some() || c.generated.is_some() || kept_by_trigger(&h.script.after, table, &c.name);
    (c.not_null && !comes_by_itself && !is_key(end, &c.name)).then(|| c.name.clone())
}

/// What other rows or the primary key hang on is no column that a new one takes the place of.
fn is_key(rel: &Relation, column: &str) -> bool {
    let keys = rel.constraints.iter().filter(|c| matches!(c.kind, ConKind::PrimaryKey { .. } | ConKind::ForeignKey { .. }));
    keys.into_iter().any(|c| c.kind.columns().iter().any(|n| n == column))
}

/// A trigger of the table assigns to the column.
fn kept_by_trigger(cat: &Catalog, table: crate::catalog::Id, column: &str) -> bool {
    cat.triggers(table).iter().any(|t| {
        let body = t.function_id.and_then(|id| cat.functions.get(&id)).map(|f| f.def.body.to_lowercase());
        // A function that is not known may do anything.
        body.is_none_or(|b| assignments(&b).iter().any(|(to, _)| to == column))
    })
}

/// `NEW.a := expression` in a body: (column, expression).
fn assignments(body: &str) -> Vec<(String, String)> {
    static NEW: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"(?is)\bnew\s*\.\s*"?(\w+)"?\s*:?=\s*([^;]+);"#).expect("a valid pattern"));
    NEW.captures_iter(body).map(|c| (c[1].to_lowercase(), c[2].trim().to_lowercase())).collect()
}

fn function(f: &mut Facts, h: &Here<'_>, c: &CreateFunction) {
    f.text("object", c.name.to_string());
    f.flag("function.security_definer", c.security_definer);
    f.flag("function.search_path", c.settings.iter().any(|(n, _)| n == "search_path"));
    f.text("function.language", c.language.clone());
    f.flag("function.concatenates", c.dynamic_sql && c.concatenated_sql);
    f.flag("function.trigger", c.returns.as_ref().is_some_and(|t| t.name.as_str() == "trigger"));
    let made = h.r.after.functions_named(&c.name).into_iter().filter_map(|id| h.r.after.functions.get(&id));
    let Some(made) = made.rev().find(|x| h.r.before.functions.get(&x.id).is_none_or(|o| !std::sync::Arc::ptr_eq(o, x))) else { return };
    let old: Vec<&Function> =
        h.script.before.functions.values().map(|x| &**x).filter(|x| x.schema == made.schema && x.name == made.name).collect();
    f.flag("object.existed", !old.is_empty());
    let end = h.commit();
    // Old versions that are gone when the transaction commits.
    let gone: Vec<&&Function> = old.iter().filter(|o| !end.functions.contains_key(&o.id)).collect();
    let signature = |x: &Function| format!("{}({})", x.name, x.arg_types.join(", "));
    let same_call = |o: &Function| {
        let required = o.arg_types.len() - o.defaults.min(o.arg_types.len());
        // Every call of the old one fits the new one.
        made.arg_types.len() >= o.arg_types.len()
            && made.arg_types.len() - made.defaults.min(made.arg_types.len()) <= required
            && made.arg_types.iter().zip(&o.arg_types).all(|(a, b)| a == b)
    };
    if let Some(o) = gone.iter().find(|o| !same_call(o) && !end_takes(end, o)) {
        f.text("function.change", "signature");
        f.text("function.was", signature(o));
    } else if let Some(o) = gone.iter().find(|o| same_call(o) && o.returns != made.returns) {
        f.text("function.change", "returns");
        f.text("function.was", o.returns.clone());
    }
    f.text("function.signature", signature(made));
    f.text("function.returns", made.returns.clone());
}

/// The very signature is there at the end.
fn end_takes(end: &Catalog, old: &Function) -> bool {
    end.functions.values().any(|x| x.schema == old.schema && x.name == old.name && x.arg_types == old.arg_types)
}

fn trigger(f: &mut Facts, h: &Here<'_>, t: &CreateTrigger) {
    f.text("object", t.name.as_str());
    f.text("trigger.timing", t.timing.clone());
    f.flag("trigger.row", t.for_each_row);
    f.set("trigger.events", Value::List(t.events.clone()));
    f.flag("trigger.guarded", t.when.is_some());
    let rel = h.relation(&t.table);
    let was = rel.and_then(|r| h.script.before.relation(r.id));
    f.flag("trigger.existed", was.is_some_and(|r| r.triggers.iter().any(|o| o.name == t.name.as_str())));
    let after = &h.r.after;
    let function = after.functions_named(&t.function).into_iter().filter_map(|id| after.functions.get(&id)).next();
    let Some(function) = function else { return };
    let body = &function.def.body;
    let sets = assignments(body);
    let mut changed: Vec<String> = sets.iter().map(|(c, _)| c.clone()).collect();
    changed.sort();
    changed.dedup();
    // Only columns that release N-1 knows: what a trigger does to new ones is not its business.
    let old_columns: Vec<String> = changed.iter().filter(|c| was.is_some_and(|r| r.column(c).is_some())).cloned().collect();
    f.set("trigger.assigns", Value::List(old_columns));
    let lower = body.to_lowercase();
    f.flag("trigger.raises", raises(&lower));
    f.flag("trigger.swallows", function.def.language == "plpgsql" && returns_null(&lower) && t.timing == "BEFORE" && t.for_each_row);
    if let Some((to, from)) = one_way(&sets, rel, was) {
        f.text("copied", to);
        f.text("copied.from", from);
    }
}

/// An exception about TG_OP is for a trigger that was attached to the wrong event, and meets no row.
fn raises(body: &str) -> bool {
    body.split("raise exception").skip(1).any(|rest| !rest.split(';').next().unwrap_or_default().contains("tg_op"))
}

fn returns_null(body: &str) -> bool {
    static NULL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\breturn\s+null\s*;").expect("a valid pattern"));
    NULL.is_match(body)
}

/// A column that is kept as a plain copy of another one, which is never written back.
fn one_way(sets: &[(String, String)], rel: Option<&Relation>, was: Option<&Relation>) -> Option<(String, String)> {
    static PLAIN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"^(?:coalesce\s*\(\s*new\s*\.\s*"?\w+"?\s*,\s*)?new\s*\.\s*"?(\w+)"?\s*(?:::\s*[\w ]+(?:\(\d+\))?)?\s*\)?$"#)
            .expect("a valid pattern")
    });
    let (rel, was) = (rel?, was?);
    sets.iter().find_map(|(to, value)| {
        let from = PLAIN.captures(value)?[1].to_string();
        // A new column that mirrors one of before; two old columns are the application's own affair.
        let mirrors = rel.column(to).is_some() && was.column(to).is_none() && was.column(&from).is_some() && *to != from;
        let back = sets.iter().any(|(t, v)| *t == from && v.contains(&format!("new.{to}")));
        (mirrors && !back).then(|| (to.clone(), from))
    })
}

/// Functions whose body, a text that Postgres does not track, names the table (and the column).
fn bodies_naming(h: &Here<'_>, rel: &Relation, column: Option<&str>) -> Vec<String> {
    if h.script.before.relation(rel.id).is_none() {
        return Vec::new();
    }
    let end = &h.script.after;
    let mut out = Vec::new();
    for (id, function) in &h.script.before.functions {
        // One that the script makes anew or drops was thought of.
        if end.functions.get(id).is_none_or(|now| !std::sync::Arc::ptr_eq(now, function)) {
            continue;
        }
        let of_trigger = end.triggers_calling(*id).iter().any(|(r, _)| r.id == rel.id);
        let named = function.def.body_ops.iter().any(|o| names(&o.kind, rel));
        let hit = match column {
            None => named,
            Some(c) => (named && word(&function.def.body, c)) || (of_trigger && row_field(&function.def.body, c)),
        };
        if hit {
            out.push(function.name.clone());
        }
    }
    out.sort();
    out.dedup();
    out
}

fn names(op: &OpKind, rel: &Relation) -> bool {
    let is = |q: &QName| q.as_str() == rel.name && q.schema_str().is_none_or(|s| s == rel.schema);
    match op {
        OpKind::Dml(d) => is(&d.table) || d.reads().into_iter().any(is),
        OpKind::Query(q) => q.relations().into_iter().any(is),
        OpKind::Truncate { tables, .. } => tables.iter().any(|(t, _)| is(t)),
        _ => false,
    }
}

fn word(text: &str, name: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w.eq_ignore_ascii_case(name))
}

fn row_field(text: &str, column: &str) -> bool {
    let lower = text.to_lowercase();
    ["new.", "old."].iter().any(|p| {
        lower
            .match_indices(&format!("{p}{column}"))
            .any(|(i, m)| !lower[i + m.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    })
}
