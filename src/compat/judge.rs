//! Judges statements on two schemas and keeps what the change broke.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::{Catalog, ColumnType};
use crate::op::{Op, OpKind, PgVersion};

use super::names::Session;
use super::outcome::{self, Fail, May, Outcome, Phase};
use super::{statement, types};

/// What became of one statement of the old release.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// As a statement that is parsed anew.
    pub fresh: Option<Fail>,
    /// As a statement prepared before the change, where that fails otherwise than the fresh one.
    pub prepared: Option<Fail>,
    pub empty: bool,
}

/// Both schemas, and who runs the statements.
pub struct Judge<'a> {
    before: &'a Catalog,
    after: &'a Catalog,
    path: Vec<String>,
    role: Option<&'a str>,
    pg: PgVersion,
}

impl<'a> Judge<'a> {
    pub fn new(before: &'a Catalog, after: &'a Catalog, role: Option<&'a str>, pg: PgVersion) -> Self {
        let mut path = before.search_path.clone();
        // A session may always see the temporary schema and the built-in one; neither is in the catalog.
        path.retain(|s| s != "pg_catalog" && s != "pg_temp");
        Judge { before, after, path, role, pg }
    }

    /// For a migration's own statements, whose session has its temporary relations.
    pub fn within(catalog: &'a Catalog) -> Self {
        let mut judge = Judge::new(catalog, catalog, None, catalog.pg);
        judge.path.insert(0, "pg_temp".to_string());
        judge
    }

    fn session<'s>(&'s self, cat: &'s Catalog, before: Option<&'s Catalog>, samples: &'s BTreeMap<String, ColumnType>) -> Session<'s> {
        let other = if std::ptr::eq(cat, self.before) { self.after } else { self.before };
        Session { cat, before, path: &self.path, role: self.role, pg: self.pg, samples, other, typed: false }
    }

    /// One statement. What failed before the change as well is not its fault.
    pub fn statement(&self, op: &Op, samples: &BTreeMap<String, ColumnType>) -> Verdict {
        let old = statement::run(&self.session(self.before, Some(self.before), samples), op);
        let new = statement::run(&self.session(self.after, Some(self.before), samples), op);
        if let Some((phase, f)) = &old.fail {
            // Other rows than those that are thought of may have worked before; they do not where nothing works any more.
            let of_rows = *phase == Phase::Run && (f.state.starts_with("22") || f.state.starts_with("23"));
            let again = new.clone();
            // What a publication demands is asked before the first row.
            let whatever_rows = |(phase, f): &(Phase, Fail)| *phase == Phase::Analysis || f.state == "55000";
            // So is what comes before the complaint that there was: other rows passed both.
            let earlier = |(_, new): &(Phase, Fail)| new != f;
            let fresh = new.fail.filter(|f| of_rows && (whatever_rows(f) || earlier(f))).map(|(_, f)| f);
            let prepared = if of_rows { self.prepared(op, &old, &again, samples) } else { None };
            let prepared = prepared.filter(|p| fresh.as_ref().is_none_or(|f| f.state != p.state));
            return Verdict { fresh, prepared, empty: false };
        }
        let fresh = match &new.fail {
            Some((_, f)) => Some(f.clone()),
            None => new_risk(&old.may, &new.may),
        };
        let prepared = self.prepared(op, &old, &new, samples).filter(|p| fresh.as_ref().is_none_or(|f| f.state != p.state));
        Verdict { fresh, prepared, empty: new.empty && !old.empty }
    }

    /// Why the statement does not resolve on the schema before the change.
    pub fn unresolved(&self, op: &Op) -> Option<String> {
        let samples = BTreeMap::new();
        let old = statement::run(&self.session(self.before, Some(self.before), &samples), op);
        match old.fail {
            Some((_, f)) => {
                let because = f.because.map(|b| format!(" because of `{b}`")).unwrap_or_default();
                Some(format!("fails on the schema before the change with {}{because}", f.state))
            }
            None => old.opaque.then(|| "a part of it could not be resolved".to_string()),
        }
    }

    /// Why the statement is refused on the schema before the change.
    pub fn refusal(&self, op: &Op) -> Option<Fail> {
        let out = statement::run(&self.session(self.before, Some(self.before), &BTreeMap::new()), op);
        out.fail.filter(|_| !out.opaque).map(|(_, f)| f)
    }

    /// What a statement that was prepared before the change meets, where it is not what the fresh one meets.
    fn prepared(&self, op: &Op, old: &Outcome, new: &Outcome, samples: &BTreeMap<String, ColumnType>) -> Option<Fail> {
        if !matches!(op.kind, OpKind::Query(_) | OpKind::Dml(_)) {
            return None;
        }
        // Values of a type that is gone can neither be read nor shown; nothing tells the plan.
        let gone = |t: &ColumnType| t.id.is_some_and(|id| self.before.types.contains_key(&id) && !self.after.types.contains_key(&id));
        if samples.values().any(gone) {
            return Some(Fail::bare("XX000"));
        }
        let noticed = old.relations.iter().any(|id| !same(self.before.relations.get(id), self.after.relations.get(id)))
            || old.functions.iter().any(|id| !same(self.before.functions.get(id), self.after.functions.get(id)));
        if noticed {
            // It is analysed again with the types that its parameters got then.
            let again = (!samples.is_empty()).then(|| {
                let session = Session { typed: true, ..self.session(self.after, Some(self.before), samples) };
                statement::run(&session, op)
            });
            let new = again.as_ref().unwrap_or(new);
            if let Some((Phase::Analysis, f)) = &new.fail {
                return again.is_some().then(|| f.clone());
            }
            let (Some(was), Some(is)) = (&old.columns, &new.columns) else { return None };
            return outcome::results_differ(was, is).then(|| Fail { state: "0A000", because: first_difference(was, is) });
        }
        if old.columns.iter().flatten().filter_map(|c| c.ty.as_ref()).any(gone) {
            return Some(Fail::bare("XX000"));
        }
        // The plan does not depend on a function's row type: it goes on with the columns that it knew.
        if new.fail.is_some() {
            return None;
        }
        old.row_types.iter().find_map(|used| {
            let now = self.after.relations.get(&used.relation)?;
            used.columns.iter().find_map(|(attnum, ty)| match now.columns.iter().find(|c| c.attnum == *attnum) {
                None => Some(Fail::bare("42703")),
                Some(c) if !types::same(&c.ty, ty) => Some(Fail::new("42804", c.name.clone())),
                Some(_) => None,
            })
        })
    }
}

fn same<T>(a: Option<&Arc<T>>, b: Option<&Arc<T>>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if Arc::ptr_eq(a, b))
}

fn new_risk(old: &[May], new: &[May]) -> Option<Fail> {
    new.iter().find(|m| !old.iter().any(|o| o.key == m.key)).map(|m| m.fail.clone())
}

fn first_difference(was: &[outcome::OutColumn], is: &[outcome::OutColumn]) -> Option<String> {
    let changed = was.iter().zip(is).find(|(a, b)| outcome::results_differ(std::slice::from_ref(a), std::slice::from_ref(b)));
    changed.map(|(a, _)| a.name.clone()).or_else(|| was.get(is.len()).or_else(|| is.get(was.len())).map(|c| c.name.clone()))
}
