//! ON CONFLICT: which unique index is meant.

use std::sync::Arc;

use crate::catalog::{Catalog, ConKind, Id, Relation};
use crate::op::{ConflictTarget, Expr, ExprKind, OnConflict};

use super::dml::Written;
use super::names::Session;
use super::outcome::Fail;

/// The indexes that decide whether a row is there already.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arbiter {
    pub indexes: Vec<Id>,
    /// One of them is checked at the end of the transaction: the executor refuses it (55000).
    pub deferrable: Option<String>,
}

/// All indexes of a table.
pub fn indexes_of(cat: &Catalog, table: Id) -> impl Iterator<Item = &Arc<Relation>> {
    cat.indexes_of(table).into_iter().filter_map(|r| cat.relations.get(&r.id))
}

/// Columns of a constraint that has an index.
pub fn constraint_columns(rel: &Relation, name: &str) -> Option<Vec<String>> {
    match &rel.constraint(name)?.kind {
        ConKind::Unique { columns, .. } | ConKind::PrimaryKey { columns, .. } | ConKind::Exclude { columns, .. } => Some(columns.clone()),
        _ => None,
    }
}

/// `infer_arbiter_indexes`: 42P10 where no unique index covers exactly the named columns. `None`: cannot be told.
pub fn infer(s: &Session<'_>, w: &Written, c: &OnConflict) -> Result<Option<Arbiter>, Fail> {
    let base = &w.base;
    match &c.target {
        ConflictTarget::Constraint(name) => {
            let Some(con) = base.constraint(name.as_str()) else { return Ok(None) };
            let index = match &con.kind {
                ConKind::Unique { index, .. } | ConKind::PrimaryKey { index, .. } => *index,
                ConKind::Exclude { index, .. } if c.set.is_empty() => *index,
                _ => return Err(Fail::new("42809", name.as_str())),
            };
            Ok(Some(Arbiter { indexes: vec![index], deferrable: con.deferrable.then(|| con.name.clone()) }))
        }
        ConflictTarget::Any => {
            let unique: Vec<_> = indexes_of(s.cat, base.id).filter(|r| r.index.as_ref().is_some_and(|i| i.unique || i.exclusion)).collect();
            let deferrable = unique.iter().find(|r| r.index.as_ref().is_some_and(|i| i.deferrable)).map(|r| r.name.clone());
            Ok(Some(Arbiter { indexes: unique.iter().map(|r| r.id).collect(), deferrable }))
        }
        ConflictTarget::Columns(exprs, filter) => {
            let mut columns: Vec<String> = Vec::new();
            let mut expressions: Vec<String> = Vec::new();
            for e in exprs {
                match &bare(e).kind {
                    ExprKind::Column(p) => {
                        let named = p.last().map_or("", |n| n.as_str());
                        columns.push(w.base_column(named).map_or_else(|| named.to_string(), |c| c.name.clone()));
                    }
                    _ => expressions.push(normal(e)),
                }
            }
            columns.sort();
            columns.dedup();
            expressions.sort();
            let mut found = Arbiter::default();
            for r in indexes_of(s.cat, base.id) {
                let Some(i) = &r.index else { continue };
                if !i.unique || !i.valid || i.only {
                    continue;
                }
                let mut keys: Vec<String> = i.columns.iter().flatten().cloned().collect();
                keys.sort();
                keys.dedup();
                let mut key_expressions: Vec<String> =
                    i.elements.iter().zip(&i.columns).filter(|(_, c)| c.is_none()).map(|(e, _)| normal(&e.expr)).collect();
                key_expressions.sort();
                let covered = i.filter.as_ref().is_none_or(|p| filter.as_ref().is_some_and(|f| implies(f, p)));
                if keys == columns && key_expressions == expressions && covered {
                    found.indexes.push(r.id);
                    if i.deferrable {
                        found.deferrable = Some(r.name.clone());
                    }
                }
            }
            if found.indexes.is_empty() {
                return Err(Fail::new("42P10", if columns.is_empty() { expressions.join(", ") } else { columns.join(", ") }));
            }
            Ok(Some(found))
        }
    }
}

fn bare(e: &Expr) -> &Expr {
    match &e.kind {
        ExprKind::Collate { expr, .. } => bare(expr),
        _ => e,
    }
}

/// An expression's words without case, spaces and parentheses around the whole: enough to recognise it.
pub fn normal(e: &Expr) -> String {
    let mut text: String = e.text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect();
    while text.starts_with('(') && text.ends_with(')') && closes_at_end(&text) {
        text = text[1..text.len() - 1].to_string();
    }
    text
}

fn closes_at_end(text: &str) -> bool {
    let mut depth = 0usize;
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return i + 1 == text.len();
                }
            }
            _ => {}
        }
    }
    false
}

/// Every conjunct of the index's predicate stands in the statement's WHERE.
fn implies(given: &Expr, predicate: &Expr) -> bool {
    let (mut have, mut want) = (Vec::new(), Vec::new());
    conjuncts(given, &mut have);
    conjuncts(predicate, &mut want);
    want.iter().all(|w| have.contains(w))
}

fn conjuncts(e: &Expr, out: &mut Vec<String>) {
    match &e.kind {
        ExprKind::Binary { op, left, right } if op.eq_ignore_ascii_case("and") => {
            conjuncts(left, out);
            conjuncts(right, out);
        }
        _ => out.push(normal(e)),
    }
}
