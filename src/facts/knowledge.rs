//! What is known beside the SQL: sizes of tables, queries of release N-1.

use std::sync::Arc;

use crate::catalog::{RelName, Relation};
use crate::compat::BrokenQuery;
use crate::op::{DmlKind, InsertSource, OpKind, QName};
use crate::replay::{Replayed, ReplayedScript};
use crate::stats::{Size, Small, Stats};
use crate::workload::Workload;

use super::{Facts, Value};

#[derive(Debug, Clone, Default)]
pub struct Knowledge {
    pub stats: Option<Arc<Stats>>,
    pub small: Small,
    pub workload: Option<Arc<Workload>>,
}

impl Knowledge {
    /// Of a relation by the name that it had before the script.
    pub fn size(&self, name: &RelName) -> Option<Size> {
        self.stats.as_ref()?.size(&name.schema, &name.name)
    }

    pub(super) fn sizes(&self, f: &mut Facts) {
        if self.stats.is_none() {
            return;
        }
        f.sizes = f.tables.iter().map(|t| self.size(t)).collect();
        let Some(Some(size)) = f.sizes.first().copied() else { return };
        let whole = |n: f64| Value::Number(n.round() as i64);
        f.set("table.bytes", Value::Number(size.bytes as i64));
        if let Some(rows) = size.rows {
            f.set("table.rows", Value::Number(rows as i64));
        }
        if let Some(n) = size.writes_per_second {
            f.set("table.writes_per_second", whole(n));
        }
        if let Some(n) = size.reads_per_second {
            f.set("table.reads_per_second", whole(n));
        }
    }

    /// Queries of release N-1 that the statement breaks.
    pub(super) fn broken_queries(&self, r: &Replayed) -> Vec<BrokenQuery> {
        let Some(w) = &self.workload else { return Vec::new() };
        let changes_nothing = |k: &OpKind| matches!(k, OpKind::Query(_) | OpKind::Dml(_) | OpKind::SetVar { .. } | OpKind::Comment { .. });
        if r.statement.ops.iter().all(|o| changes_nothing(&o.kind)) {
            return Vec::new();
        }
        crate::compat::broken_queries(&w.queries, &r.before, &r.after, w.role.as_deref(), r.before.pg)
    }

    pub(super) fn queries(&self, f: &mut Facts, broken: &[&BrokenQuery]) {
        let Some(w) = &self.workload else { return };
        f.set("workload.complete", Value::Bool(w.complete));
        let words: Vec<String> =
            broken.iter().map(|b| format!("{}{} ({})", b.name, if b.prepared { " (prepared)" } else { "" }, b.sqlstate)).collect();
        if let Some(first) = words.first() {
            f.text("breaks.query", first.as_str());
        }
        f.set("breaks.queries", Value::List(words));
        let ambiguous = broken.iter().filter(|b| b.sqlstate == "42702").map(|b| b.name.clone()).collect();
        f.set("queries.ambiguous", Value::List(ambiguous));
    }

    /// Known queries of release N-1 that count on the order of the table's columns.
    pub(super) fn positional(&self, f: &mut Facts, r: &Replayed, rel: &Relation) {
        let Some(w) = &self.workload else { return };
        let about = |q: &QName| r.before.relation_by(q).is_some_and(|x| x.id == rel.id);
        let (mut inserts, mut copies) = (Vec::new(), Vec::new());
        for q in &w.queries {
            for op in &q.parsed {
                match &op.kind {
                    OpKind::Dml(d) if about(&d.table) => {
                        if let DmlKind::Insert { columns: None, source, .. } = &d.kind
                            && !matches!(source, InsertSource::Default)
                        {
                            inserts.push(q.name.clone());
                        }
                    }
                    OpKind::Copy { table: Some(t), columns, .. } if columns.is_empty() && about(t) => copies.push(q.name.clone()),
                    _ => {}
                }
            }
        }
        f.set("queries.positional", Value::List(inserts));
        f.set("queries.copy_positional", Value::List(copies));
    }

    /// Indexes of the table that no query has used since the server began to count, and that hold nothing together.
    pub(super) fn unused_indexes(&self, f: &mut Facts, r: &Replayed, rel: &Relation) {
        let Some(s) = &self.stats else { return };
        let Some(days) = s.window_seconds.map(|w| w / 86_400.0) else { return };
        let Some(of) = s.relations.iter().find(|x| x.schema == rel.schema && x.name == rel.name) else { return };
        let plain = |name: &str| {
            let index = r.before.indexes_of(rel.id).into_iter().find(|i| i.name == name).and_then(|i| i.index.as_ref());
            index.is_some_and(|i| !i.unique && !i.constraint)
        };
        let unused = of.indexes.iter().filter(|i| i.scans == 0 && plain(&i.name)).map(|i| i.name.clone()).collect();
        f.set("table.unused_indexes", Value::List(unused));
        f.set("statistics.days", Value::Number(days.floor() as i64));
    }

    pub(super) fn transactions(&self, f: &mut Facts) {
        if let Some(longest) = self.stats.as_ref().and_then(|s| s.longest_transaction_seconds) {
            f.set("transactions.longest", Value::Number(longest.round() as i64));
        }
    }
}

/// The name that a relation had before the script.
pub(super) fn old_name(script: &ReplayedScript, rel: &crate::catalog::Relation) -> RelName {
    script.before.relation(rel.id).map_or_else(|| rel.rel_name(), |r| r.rel_name())
}
