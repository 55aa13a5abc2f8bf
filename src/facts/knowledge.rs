//! What is known beside the SQL: sizes of tables, queries of release N-1.

use std::sync::Arc;

use crate::catalog::RelName;
use crate::compat::BrokenQuery;
use crate::op::OpKind;
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
    }
}

/// The name that a relation had before the script.
pub(super) fn old_name(script: &ReplayedScript, rel: &crate::catalog::Relation) -> RelName {
    script.before.relation(rel.id).map_or_else(|| rel.rel_name(), |r| r.rel_name())
}
