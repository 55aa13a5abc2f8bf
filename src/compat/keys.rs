//! Unique keys, keys that others refer to, and the row that ON CONFLICT meets.

use std::sync::Arc;

use crate::catalog::{Catalog, Column, ConKind, Constraint, Id, Index, Relation};
use crate::op::{Dml, FkAction};

use super::arbiters::{self, Arbiter};
use super::dml::Written;
use super::eval::{self, Datum, eval};
use super::expr::Binder;
use super::outcome::Fail;
use super::write::{Row, RowEnv, known_rows, may};

pub(super) enum Met {
    Row(Row),
    Perhaps,
    No,
}

/// A row with the same key in one of the arbiters.
pub(super) fn conflicting_row(b: &Binder<'_, '_>, rel: &Relation, row: &Row, arbiter: &Arbiter) -> Met {
    let Some(rows) = known_rows(b, rel) else { return Met::Perhaps };
    let mut perhaps = false;
    for id in &arbiter.indexes {
        let Some(columns) = index_columns(b.s.cat, *id) else {
            perhaps = true;
            continue;
        };
        for there in &rows {
            match same_key(rel, row, there, &columns, false) {
                Some(true) => return Met::Row(there.clone()),
                None => perhaps = true,
                Some(false) => {}
            }
        }
    }
    if perhaps { Met::Perhaps } else { Met::No }
}

/// Key columns of an index over columns only, without predicate.
pub(super) fn index_columns(cat: &Catalog, id: Id) -> Option<Vec<String>> {
    let i = cat.relations.get(&id)?.index.as_ref()?;
    if i.filter.is_some() { None } else { i.columns.iter().cloned().collect() }
}

/// `None`: cannot be told.
pub(super) fn same_key(rel: &Relation, a: &Row, b: &Row, columns: &[String], nulls_equal: bool) -> Option<bool> {
    let mut sure = true;
    for name in columns {
        let i = rel.columns.iter().position(|c| c.name == *name)?;
        let (x, y) = (a.get(i)?, b.get(i)?);
        match eval::equal(x, y) {
            Some(Some(true)) => {}
            Some(None) if nulls_equal && x == y => {}
            Some(_) => return Some(false),
            None => sure = false,
        }
    }
    sure.then_some(true)
}

/// By what a foreign key is known as the same before and after.
pub(super) fn reference_risk(table: Id, columns: &[String], to: Id, ref_columns: &[String]) -> String {
    format!("23503 {} {columns:?} {} {ref_columns:?}", table.0, to.0)
}

/// UNIQUE, EXCLUDE and foreign keys of the row itself. `old` with the columns set: an UPDATE.
pub(super) fn keys(b: &mut Binder<'_, '_>, rel: &Relation, row: &Row, old: Option<(&[Datum], &[&str])>, arbiters: &[Id]) {
    let rows = known_rows(b, rel);
    let indexes: Vec<Arc<Relation>> = arbiters::indexes_of(b.s.cat, rel.id).cloned().collect();
    for index in indexes {
        let Some(i) = &index.index else { continue };
        if !(i.unique || i.exclusion) || arbiters.contains(&index.id) || i.only {
            continue;
        }
        let state = if i.exclusion { "23P01" } else { "23505" };
        if old.is_some_and(|(_, touched)| !i.depends.iter().chain(i.columns.iter().flatten()).any(|c| touched.contains(&c.as_str()))) {
            continue;
        }
        let mut key: Vec<String> = i.columns.iter().flatten().cloned().collect();
        key.sort();
        let filter = i.filter.as_ref().map_or_else(String::new, arbiters::normal);
        let exprs: String =
            i.elements.iter().zip(&i.columns).filter(|(_, c)| c.is_none()).map(|(e, _)| arbiters::normal(&e.expr)).collect();
        let risk = format!("{state} {} {key:?} {exprs} {filter}", rel.id.0);
        let env = RowEnv { rel, row, other: None, samples: b.s.samples };
        // The row may be outside a partial index, or have a NULL in its key.
        if i.filter.as_ref().is_some_and(|f| matches!(eval(f, &env).truth(), Some(Some(false) | None))) {
            continue;
        }
        let datum = |n: &String| rel.columns.iter().position(|c| c.name == *n).and_then(|p| row.get(p));
        if !i.nulls_not_distinct && key.iter().any(|n| datum(n) == Some(&Datum::Null)) {
            continue;
        }
        if key.iter().any(|n| datum(n) == Some(&Datum::Fresh)) && !i.exclusion {
            continue;
        }
        let plain = (!i.exclusion).then(|| index_columns(b.s.cat, index.id)).flatten();
        let covered = was_unique(b, rel.id, i, &filter);
        let mut verdict = Some(false);
        match (&rows, &plain) {
            (Some(rows), Some(columns)) => {
                for there in rows.iter().filter(|r| old.is_none_or(|(o, _)| r.as_slice() != o)) {
                    match same_key(rel, row, there, columns, i.nulls_not_distinct) {
                        Some(true) => verdict = Some(true),
                        None if verdict == Some(false) => verdict = None,
                        _ => {}
                    }
                }
            }
            (Some(rows), None) if rows.is_empty() => {}
            _ => verdict = None,
        }
        match verdict {
            Some(true) => return b.run.push(Fail::new(state, index.name.clone())),
            _ if covered => {}
            None => may(b, state, &index.name, risk),
            Some(false) if key.iter().any(|n| datum(n).is_some_and(Datum::is_unknown)) => may(b, state, &index.name, risk),
            Some(false) => {}
        }
    }
    for con in rel.constraints.clone() {
        let ConKind::ForeignKey { columns, table, ref_columns, match_full, .. } = &con.kind else { continue };
        if !con.enforced || old.is_some_and(|(_, touched)| !columns.iter().any(|c| touched.contains(&c.as_str()))) {
            continue;
        }
        let value = |n: &String| rel.columns.iter().position(|c| c.name == *n).and_then(|p| row.get(p)).cloned().unwrap_or(Datum::ANY);
        let values: Vec<Datum> = columns.iter().map(value).collect();
        let nulls = values.iter().filter(|v| **v == Datum::Null).count();
        if nulls > 0 && (!match_full || nulls == values.len()) {
            continue;
        }
        // A row that points at itself finds itself.
        if *table == rel.id && columns == ref_columns {
            continue;
        }
        let risk = reference_risk(rel.id, columns, *table, ref_columns);
        let parent = b.s.get(*table).cloned();
        let parents = parent.as_ref().and_then(|p| known_rows(b, p));
        let found = match (&parent, parents) {
            (Some(p), Some(rows)) => {
                let at = |n: &String| p.columns.iter().position(|c| c.name == *n);
                let verdicts = rows.iter().map(|r| {
                    let pairs = ref_columns.iter().zip(&values).map(|(n, v)| at(n).and_then(|i| r.get(i)).and_then(|d| eval::equal(d, v)));
                    let mut sure = true;
                    for pair in pairs {
                        match pair {
                            Some(Some(true)) => {}
                            Some(_) => return Some(false),
                            None => sure = false,
                        }
                    }
                    sure.then_some(true)
                });
                verdicts.fold(Some(false), |all, v| match (all, v) {
                    (Some(true), _) | (_, Some(true)) => Some(true),
                    (None, _) | (_, None) => None,
                    _ => Some(false),
                })
            }
            _ => None,
        };
        match found {
            Some(true) => {}
            // A value that is not known may still be one that is missing.
            Some(false) if !values.iter().any(Datum::is_unknown) => return b.run.push(Fail::new("23503", con.name.clone())),
            _ => may(b, "23503", &con.name, risk),
        }
    }
}

/// The schema before the change refused the same duplicates already: by the same columns or fewer of them, in the same rows or in more.
pub(super) fn was_unique(b: &Binder<'_, '_>, table: Id, index: &Index, filter: &str) -> bool {
    let Some(before) = b.s.before else { return false };
    let Some(columns) = index.columns.iter().cloned().collect::<Option<Vec<String>>>() else { return false };
    // Keys are compared by attribute number: columns may have other names by now.
    let numbers = |cat: &Catalog, names: &[String]| -> Option<Vec<u16>> {
        let rel = cat.relations.get(&table)?;
        names.iter().map(|n| rel.column(n).map(|c| c.attnum)).collect()
    };
    let Some(now) = numbers(b.s.cat, &columns) else { return false };
    arbiters::indexes_of(before, table).filter_map(|r| r.index.as_ref()).any(|o| {
        let same_rows = o.filter.as_ref().is_none_or(|f| arbiters::normal(f) == filter);
        let names: Option<Vec<String>> = o.columns.iter().cloned().collect();
        let keys = names.and_then(|n| numbers(before, &n));
        o.unique
            && o.valid
            // What is asked at the end of a transaction may be broken until then.
            && (!o.deferrable || index.deferrable)
            && !o.only
            && !index.exclusion
            && same_rows
            && (o.nulls_not_distinct || !index.nulls_not_distinct)
            && keys.is_some_and(|k| k.iter().all(|n| now.contains(n)))
    })
}

/// Foreign keys that point here and do not cascade: the row may be in use.
pub(super) fn referenced(b: &mut Binder<'_, '_>, rel: &Relation, row: &[Datum], set: Option<&[&str]>) {
    let users: Vec<(Relation, Constraint)> =
        b.s.cat.foreign_keys_to(rel.id).into_iter().filter(|(_, c)| c.enforced).map(|(r, c)| (r.clone(), c.clone())).collect();
    for (child, con) in users {
        let ConKind::ForeignKey { columns, ref_columns, on_delete, on_update, .. } = &con.kind else { continue };
        let action = if set.is_some() { on_update } else { on_delete };
        if set.is_some_and(|t| !ref_columns.iter().any(|c| t.contains(&c.as_str()))) {
            continue;
        }
        let risk = format!("23503 use {} {columns:?} {} {ref_columns:?}", child.id.0, rel.id.0);
        // Rows that the key takes along are published as well.
        let event = match (action, set) {
            (FkAction::Cascade, None) => Some("delete"),
            (FkAction::Cascade, Some(_)) | (FkAction::SetNull | FkAction::SetDefault, _) => Some("update"),
            _ => None,
        };
        // Its value is Postgres's own to give: that is asked when the key's own statement is read.
        let fixed = |c: &&Column| c.identity.as_ref().is_some_and(|i| i.always) && *action == FkAction::SetNull;
        if let Some(c) = columns.iter().filter_map(|n| child.column(n)).find(fixed) {
            may(b, "428C9", &c.name, format!("set null {} {}", child.id.0, c.name));
            continue;
        }
        if let Some(event) = event {
            let tree = [child.id].into_iter().chain(b.s.cat.descendants_of(child.id));
            let unknown = tree.filter_map(|id| b.s.get(id)).find(|r| b.s.cat.cannot_be_told_apart(r, event)).map(|r| r.name.clone());
            if let Some(name) = unknown {
                may(b, "55000", name, format!("publication of {} behind {}", child.id.0, rel.id.0));
            }
        }
        match action {
            FkAction::Cascade => {}
            FkAction::SetNull | FkAction::SetDefault => {
                let required = columns.iter().filter_map(|n| child.column(n)).find(|c| c.not_null && *action == FkAction::SetNull);
                if let Some(c) = required {
                    may(b, "23502", &c.name, format!("set null {} {}", child.id.0, c.name));
                }
            }
            FkAction::NoAction | FkAction::Restrict => {
                let value =
                    |n: &String| rel.columns.iter().position(|c| c.name == *n).and_then(|p| row.get(p)).cloned().unwrap_or(Datum::ANY);
                let key: Vec<Datum> = ref_columns.iter().map(value).collect();
                let used = known_rows(b, &child).map(|rows| {
                    rows.iter().any(|r| {
                        columns.iter().zip(&key).all(|(n, k)| {
                            let d = child.columns.iter().position(|c| c.name == *n).and_then(|p| r.get(p));
                            d.is_some_and(|d| eval::equal(d, k) == Some(Some(true)))
                        })
                    })
                });
                match used {
                    Some(true) => return b.run.push(Fail::new("23503", con.name.clone())),
                    Some(false) if !key.iter().any(Datum::is_unknown) => {}
                    _ => may(b, "23503", &con.name, risk),
                }
            }
        }
    }
}

/// A published table needs something to find its rows by: else UPDATE and DELETE are refused, whatever rows they mean.
pub(super) fn replica_identity(b: &mut Binder<'_, '_>, w: &Written, d: &Dml, event: &str) {
    let rel = &w.base;
    // Behind a view the condition speaks of the view's columns.
    let filter = d.filter.as_ref().filter(|_| w.named.id == rel.id);
    let left = b.s.cat.left_by(rel.id, d.only, filter);
    if !left.tables.into_iter().filter_map(|id| b.s.get(id)).any(|r| b.s.cat.cannot_be_told_apart(r, event)) {
    } else if left.sure {
        b.run.push(Fail::new("55000", rel.name.clone()));
    } else {
        // It may go to other partitions.
        may(b, "55000", rel.name.clone(), format!("publication of {}", rel.name));
    }
}
