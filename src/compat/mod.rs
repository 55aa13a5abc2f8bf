//! Release N-1 on the schema after the change: which statement shapes break, and can the change be undone.

mod arbiters;
mod builtins;
mod copy;
mod dml;
mod eval;
mod expr;
#[cfg(test)]
mod facts_test;
mod functions;
mod input;
mod judge;
mod keys;
mod names;
mod operators;
mod outcome;
mod permissions;
mod plpgsql;
mod predict;
mod query;
mod row_security;
mod scope;
mod shapes;
mod statement;
mod triggers;
mod types;
mod undo;
mod widening;
mod write;

use std::collections::BTreeMap;

use crate::catalog::{Catalog, RelName};
use crate::op::{Op, OpKind, OpaqueReason, PgVersion};

pub use input::{accept, boundary_values};
use judge::Judge;
pub(crate) use predict::{Known, Part, predict as predict_knowing};
pub use predict::{broken_by, touched_shapes};
pub use shapes::{ShapeParam, ShapeSql, cast_shapes, function_shape, shapes};
pub use undo::{casts_the_column, type_change as type_change_undo};
pub use widening::{always_casts, range_within};

/// A kind of statement that a release may run against one relation (or function, sequence, type).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::Display, strum::EnumString, strum::EnumIter, strum::IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Shape {
    /// `SELECT * FROM t`
    SelectStar,
    /// Every column by name.
    SelectNamed,
    SelectForUpdate,
    /// Every writable column by name.
    InsertFull,
    /// Only the columns that must be given.
    InsertMinimal,
    /// No column list, a value for every column.
    InsertPositional,
    InsertReturningStar,
    Update,
    /// Every nullable column is set to NULL.
    UpdateToNull,
    /// ON CONFLICT (columns of a unique key that is not the primary key).
    UpsertColumns,
    /// ON CONFLICT (primary key).
    UpsertPrimaryKey,
    /// ON CONFLICT ON CONSTRAINT.
    UpsertConstraint,
    Delete,
    CopyColumns,
    CopyPositional,
    Truncate,
    Nextval,
    /// A call of a function or procedure.
    Call,
    ReadView,
    /// `'label'::type`
    Cast,
}

/// One thing that release N-1 may run and that now fails.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Broken {
    /// Relation, function, sequence or type that the shape is about.
    pub relation: RelName,
    #[serde(serialize_with = "display")]
    pub shape: Shape,
    /// Fails only as a statement prepared before the change.
    pub prepared: bool,
    /// Five characters, or `EMPTY` where rows silently vanish.
    pub sqlstate: String,
    /// The column, constraint or label because of which, where there is one.
    pub because: Option<String>,
}

fn display<S: serde::Serializer, T: std::fmt::Display>(v: &T, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(v)
}

/// Whether a change can be taken back, best first.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
    serde::Serialize,
    serde::Deserialize,
)]
#[strum(serialize_all = "kebab-case")]
#[serde(rename_all = "kebab-case")]
pub enum Undo {
    #[default]
    Lossless,
    LosesData,
    BlockedByData,
    Impossible,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Compat {
    pub broken: Vec<Broken>,
    /// Undo right after the change, before release N wrote anything.
    pub undo_now: Undo,
    /// Undo after release N has written.
    pub undo: Undo,
}

impl Compat {
    /// Statements of a release that runs now fail. What was prepared before fails once and is prepared again; COPY without a column
    /// list counts columns, and breaks with every new one: neither is a reason to call a change unsafe.
    pub fn breaks_code(&self) -> bool {
        self.broken.iter().any(|b| !b.prepared && b.shape != Shape::CopyPositional)
    }
}

/// A query of release N-1, understood.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownQuery {
    pub name: String,
    pub sql: String,
    pub parsed: Vec<Op>,
}

/// A known query that the change breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenQuery {
    pub name: String,
    /// Five characters, or `EMPTY` where rows silently vanish.
    pub sqlstate: String,
    /// Fails only as a statement prepared before the change.
    pub prepared: bool,
    /// The column or constraint because of which, where there is one.
    pub because: Option<String>,
}

/// The known queries that fail after the change and did not before, in their order.
pub fn broken_queries(queries: &[KnownQuery], before: &Catalog, after: &Catalog, role: Option<&str>, pg: PgVersion) -> Vec<BrokenQuery> {
    let judge = Judge::new(before, after, role, pg);
    let samples = BTreeMap::new();
    let mut out: Vec<BrokenQuery> = Vec::new();
    for q in queries {
        let from = out.len();
        for op in &q.parsed {
            let v = judge.statement(op, &samples);
            let mut push = |prepared: bool, state: &str, because: Option<String>| {
                if !out[from..].iter().any(|b| b.prepared == prepared) {
                    out.push(BrokenQuery { name: q.name.clone(), sqlstate: state.to_string(), prepared, because });
                }
            };
            if let Some(p) = v.prepared {
                push(true, p.state, p.because);
            }
            match v.fresh {
                Some(f) => push(false, f.state, f.because),
                None if v.empty => push(false, "EMPTY", None),
                None => continue,
            }
            break;
        }
    }
    out
}

/// Judges known queries one by one: name (with `(prep)` where only the prepared form fails) → SQLSTATE or `EMPTY`.
pub fn judge(queries: &[KnownQuery], before: &Catalog, after: &Catalog, role: Option<&str>, pg: PgVersion) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for b in broken_queries(queries, before, after, role, pg) {
        let key = if b.prepared { format!("{}(prep)", b.name) } else { b.name };
        out.entry(key).or_insert(b.sqlstate);
    }
    out
}

/// Why nothing, or not everything, can be said about a query on this schema; `None`: it resolves.
pub fn unresolved(query: &KnownQuery, cat: &Catalog, role: Option<&str>, pg: PgVersion) -> Option<String> {
    let judge = Judge::new(cat, cat, role, pg);
    query.parsed.iter().find_map(|op| match &op.kind {
        OpKind::Opaque { reason: OpaqueReason::Syntax { message, .. } } => Some(format!("not understood: {message}")),
        OpKind::Opaque { .. } => Some("not understood".to_string()),
        OpKind::Query(_) | OpKind::Dml(_) | OpKind::Copy { .. } | OpKind::Truncate { .. } | OpKind::Call { .. } => judge.unresolved(op),
        _ => None,
    })
}

/// The SQLSTATE with which a statement about rows is refused on this schema, and what it is about. What depends on rows (classes 22
/// and 23) is not said. `None`: it is not refused, or that cannot be told.
pub fn refused(op: &Op, catalog: &Catalog) -> Option<(&'static str, Option<String>)> {
    if !catalog.complete || !matches!(op.kind, crate::op::OpKind::Query(_) | crate::op::OpKind::Dml(_)) {
        return None;
    }
    let fail = Judge::within(catalog).refusal(op)?;
    let of_rows = fail.state.starts_with("22") || fail.state.starts_with("23");
    (!of_rows).then_some((fail.state, fail.because))
}

/// Judges the shapes of every relation in `before` that `ops` touch, against the catalog after them.
pub fn predict(ops: &[&Op], before: &Catalog, after: &Catalog, pg: PgVersion) -> Compat {
    predict::predict(ops, before, before, after, pg, Known::Nothing).0
}
