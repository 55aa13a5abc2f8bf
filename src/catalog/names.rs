//! Names that Postgres makes up, byte for byte.

use crate::op::{Expr, ExprKind, IndexElement, Name};
use crate::quote::MAX_IDENT_BYTES;

use super::Catalog;

/// Cuts an identifier as the server does, at a character boundary.
pub(super) fn clip(name: &str) -> String {
    clipped(name).to_string()
}

pub(super) fn clipped(name: &str) -> &str {
    &name[..clip_len(name, MAX_IDENT_BYTES)]
}

fn clip_len(name: &str, limit: usize) -> usize {
    let mut end = name.len().min(limit);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    end
}

/// `makeObjectName`: `name1_name2_label`, the longer of the two names shortened until all of it fits.
pub(super) fn make_object_name(name1: &str, name2: Option<&str>, label: Option<&str>) -> String {
    let overhead = label.map_or(0, |l| l.len() + 1) + usize::from(name2.is_some());
    let room = MAX_IDENT_BYTES.saturating_sub(overhead);
    let (mut len1, mut len2) = (name1.len(), name2.map_or(0, str::len));
    while len1 + len2 > room {
        if len1 > len2 { len1 -= 1 } else { len2 -= 1 }
    }
    let mut out = name1[..clip_len(name1, len1)].to_string();
    if let Some(n) = name2 {
        out.push('_');
        out.push_str(&n[..clip_len(n, len2)]);
    }
    if let Some(l) = label {
        out.push('_');
        out.push_str(l);
    }
    out
}

/// The columns' part of an index, unique or foreign-key constraint's name.
pub(super) fn columns_part<S: AsRef<str>>(names: &[S]) -> String {
    let mut out = String::new();
    for n in names {
        if !out.is_empty() {
            out.push('_');
        }
        out.push_str(n.as_ref());
        if out.len() > MAX_IDENT_BYTES {
            break;
        }
    }
    clip(&out)
}

/// `ChooseIndexColumnNames`: one distinct name for every key and included column.
pub(super) fn index_column_names(elements: &[IndexElement], include: &[Name]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let wanted = elements.iter().map(|e| match simple_column(&e.expr) {
        Some(c) => c.to_string(),
        None => figure_name(&e.expr).unwrap_or_else(|| "expr".to_string()),
    });
    for origin in wanted.chain(include.iter().map(|n| n.value.clone())) {
        let mut name = origin.clone();
        let mut n = 1;
        while out.contains(&name) {
            let suffix = n.to_string();
            name = format!("{}{suffix}", &origin[..clip_len(&origin, MAX_IDENT_BYTES - suffix.len())]);
            n += 1;
        }
        out.push(name);
    }
    out
}

/// A column's collation under the name by which it is kept; `None`: the database's own.
pub(super) fn collation(written: &crate::op::QName) -> Option<String> {
    match (written.schema_str(), written.as_str()) {
        (None | Some("pg_catalog"), "default") => None,
        (None | Some("pg_catalog"), name) => Some(name.to_string()),
        (Some(schema), name) => Some(format!("{schema}.{name}")),
    }
}

/// The column when the expression is nothing but one.
pub(super) fn simple_column(e: &Expr) -> Option<&str> {
    match &e.kind {
        ExprKind::Column(parts) => parts.last().map(Name::as_str),
        _ => None,
    }
}

/// `FigureColname`: what a target without alias is called; `None` where Postgres writes `?column?` (or `expr` in an index).
pub(super) fn figure_name(e: &Expr) -> Option<String> {
    figure(e).map(|(name, _)| name)
}

/// The name and how much it is worth: a type's name gives way to a real one.
fn figure(e: &Expr) -> Option<(String, u8)> {
    let strong = |s: &str| Some((s.to_string(), 2));
    match &e.kind {
        ExprKind::Column(parts) => strong(parts.last()?.as_str()),
        ExprKind::Call(c) => strong(c.name.as_str()),
        ExprKind::Cast { expr, ty } => match figure(expr) {
            Some((name, 2)) => Some((name, 2)),
            _ => Some((internal_type_name(ty.name.as_str()).to_string(), 1)),
        },
        ExprKind::SqlValue(word) => strong(&word.split('(').next().unwrap_or(word).trim().to_ascii_lowercase()),
        ExprKind::Collate { expr, .. } => figure(expr),
        ExprKind::Array(_) => strong("array"),
        ExprKind::Row(_) => strong("row"),
        ExprKind::Bool(_) => Some(("bool".to_string(), 1)),
        ExprKind::Case(parts) => match figure_else(e, parts) {
            Some((name, 2)) => Some((name, 2)),
            _ => Some(("case".to_string(), 1)),
        },
        ExprKind::Subquery(q) => {
            let words = e.text.trim_start().to_ascii_lowercase();
            if words.starts_with("exists") {
                return strong("exists");
            }
            if words.starts_with("array") {
                return strong("array");
            }
            if !words.starts_with('(') {
                return None;
            }
            match &q.body {
                crate::op::QueryBody::Select(s) => {
                    let t = s.targets.first()?;
                    match &t.alias {
                        Some(a) => strong(a.as_str()),
                        None => figure(&t.expr),
                    }
                }
                crate::op::QueryBody::Values(_) => strong("column1"),
                _ => None,
            }
        }
        ExprKind::Other(parts) => figure_other(&e.text, parts),
        _ => None,
    }
}

/// CASE is named after its ELSE.
fn figure_else(e: &Expr, parts: &[Expr]) -> Option<(String, u8)> {
    let last = parts.last()?;
    let end = (last.span.start.checked_sub(e.span.start)?) as usize;
    let head = e.text.get(..end)?.trim_end().to_ascii_lowercase();
    if head.ends_with("else") { figure(last) } else { None }
}

/// Syntax that Postgres's grammar turns into a function call or keeps as a node of its own.
fn figure_other(text: &str, parts: &[Expr]) -> Option<(String, u8)> {
    let text = text.trim_start();
    if text.starts_with('(') && text.ends_with(')') && parts.len() == 1 {
        return figure(&parts[0]);
    }
    let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>().to_ascii_lowercase();
    let rest = text[word.len().min(text.len())..].trim_start();
    let named = match word.as_str() {
        "coalesce" | "greatest" | "least" | "nullif" | "extract" | "overlay" | "position" | "substring" | "grouping" | "xmlconcat"
        | "xmlelement" | "xmlforest" | "xmlparse" | "xmlpi" | "xmlroot" | "xmlserialize" | "normalize" | "json_object" | "json_array"
        | "json_query" | "json_value" | "json_exists" | "json_scalar" | "json_serialize" | "json_objectagg" | "json_arrayagg" => word,
        "trim" => "btrim".to_string(),
        "ceiling" => "ceiling".to_string(),
        _ => return None,
    };
    rest.starts_with('(').then_some((named, 2))
}

/// The name in `pg_type` of what the grammar spells otherwise.
pub(super) fn internal_type_name(canonical: &str) -> &str {
    match canonical {
        "boolean" => "bool",
        "smallint" => "int2",
        "integer" => "int4",
        "bigint" => "int8",
        "real" => "float4",
        "double precision" => "float8",
        "character varying" => "varchar",
        "character" => "bpchar",
        "timestamp without time zone" => "timestamp",
        "timestamp with time zone" => "timestamptz",
        "time without time zone" => "time",
        "time with time zone" => "timetz",
        "bit varying" => "varbit",
        other => other,
    }
}

impl Catalog {
    /// `ChooseRelationName`: free as a relation, and as a constraint when it will be one.
    pub(super) fn choose_relation_name(&self, schema: &str, name1: &str, name2: Option<&str>, label: &str, constraint: bool) -> String {
        self.choose(name1, name2, label, |n| self.name_taken(schema, n) || constraint && self.constraint_name_taken(schema, n))
    }

    /// `ChooseConstraintName`: free in the schema, and not one of `others`, which are not stored yet.
    pub(super) fn choose_constraint_name(&self, schema: &str, table: &str, name2: Option<&str>, label: &str, others: &[String]) -> String {
        self.choose(table, name2, label, |n| others.iter().any(|o| o == n) || self.constraint_name_taken(schema, n))
    }

    fn choose(&self, name1: &str, name2: Option<&str>, label: &str, taken: impl Fn(&str) -> bool) -> String {
        let mut name = make_object_name(name1, name2, Some(label));
        let mut pass = 0;
        while taken(&name) {
            pass += 1;
            name = make_object_name(name1, name2, Some(&format!("{label}{pass}")));
        }
        name
    }

    pub(super) fn name_taken(&self, schema: &str, name: &str) -> bool {
        self.relation_names.contains_key(&(schema, name))
    }

    pub(super) fn constraint_name_taken(&self, schema: &str, name: &str) -> bool {
        self.constraint_names.contains_key(&(schema, name))
    }
}
