//! The statements of the release before a change, run around it: which fail afterwards, and is it what was predicted?

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use crate::catalog::{Catalog, Column, RelKind, RelName};
use crate::compat::{Shape, ShapeSql};
use crate::op::Volatility;
use crate::quote::ident;

use super::super::session::Session;
use super::pick::Gen;

/// The sessions of the release. A refused COPY leaves the driver one answer behind, so COPY has a session of its own, which is then
/// replaced.
pub struct Sessions<'a> {
    pub app: &'a mut Session,
    pub copier: &'a mut Session,
    pub db: &'a super::super::Database,
}

/// More shapes than these are not run around one change.
const MOST: usize = 48;

/// One statement with its values, as it worked before the change.
struct Try {
    shape: ShapeSql,
    text: String,
    /// The lines of COPY.
    data: Option<String>,
    /// `EXECUTE …` where it could be prepared.
    execute: Option<String>,
}

/// What works before the change.
pub struct Release {
    tries: Vec<Try>,
}

/// What was seen against what was predicted.
#[derive(Debug, Default)]
pub struct Seen {
    pub known: BTreeSet<&'static str>,
    pub differ: Vec<String>,
}

/// What is judged of COPY is one more row like the first known one.
pub const COPY_OF_ANOTHER_ROW: &str = "COPY of another row than the one that is thought of";
pub const PRUNED: &str = "a partition to which no row of the statement goes is not asked for its replica identity";
pub const CHANCE: &str = "a default whose value is not known meets a key, leaves its partition, or is too long";

impl Release {
    pub fn before(sessions: &mut Sessions<'_>, shapes: Vec<ShapeSql>, cat: &Catalog, rng: &mut Rng, next: &mut u32) -> Release {
        let mut there: BTreeMap<RelName, BTreeMap<String, String>> = BTreeMap::new();
        let mut out = Vec::new();
        let (copies, mut shapes): (Vec<ShapeSql>, Vec<ShapeSql>) =
            shapes.into_iter().partition(|s| matches!(s.shape, Shape::CopyColumns | Shape::CopyPositional));
        shapes.truncate(MOST);
        shapes.extend(copies.into_iter().take(MOST / 4));
        for (i, shape) in shapes.into_iter().enumerate() {
            let row = there.entry(shape.relation.clone()).or_insert_with(|| first_row(sessions.app, cat, &shape.relation));
            let Some(values) = values(sessions.app, &shape, row, cat, rng, next) else { continue };
            let copies = matches!(shape.shape, Shape::CopyColumns | Shape::CopyPositional);
            let (text, data) = if copies { (shape.sql(), Some(line(&values))) } else { (shape.fill(&values), None) };
            let mut t = Try { shape, text, data, execute: None };
            if t.fresh(sessions).is_some() {
                continue;
            }
            if t.data.is_none() && !matches!(t.shape.shape, Shape::Truncate) {
                let name = format!("airlock_{i}");
                if sessions.app.run(&format!("PREPARE {name} AS {}", t.shape.sql())).is_ok() {
                    let given: Vec<String> =
                        values.iter().map(|v| v.as_ref().map_or("NULL".into(), |v| crate::quote::literal(v))).collect();
                    let arguments = if given.is_empty() { String::new() } else { format!("({})", given.join(", ")) };
                    let execute = format!("EXECUTE {name}{arguments}");
                    // What cannot run prepared cannot break prepared.
                    if taken_back(sessions.app, &execute).is_none() {
                        t.execute = Some(execute);
                    }
                }
            }
            out.push(t);
        }
        Release { tries: out }
    }

    /// Runs everything once more and says where it is not as predicted, statement by statement.
    pub fn after(&self, sessions: &mut Sessions<'_>, before: &Catalog, after: &Catalog) -> Seen {
        let mut out = Seen::default();
        for t in &self.tries {
            let predicted = crate::compat::broken_by(&t.shape, before, after);
            let said = |prepared: bool| predicted.iter().find(|b| b.prepared == prepared).map(|b| b.sqlstate.as_str());
            t.hold(said(false), said(false), t.fresh(sessions), "", after, &mut out);
            if let Some(execute) = &t.execute {
                // What fails as a new statement may go on as a prepared one.
                let may = said(true).or(said(false));
                t.hold(said(true), may, taken_back(sessions.app, execute), " prepared", after, &mut out);
            }
        }
        let _ = sessions.app.run("DEALLOCATE ALL");
        out
    }

    pub fn len(&self) -> usize {
        self.tries.len()
    }
}

/// Another partition had no replica identity before, so the statement was thought not to work; it never went there.
fn is_pruned(cat: &Catalog, name: &RelName, state: &str) -> bool {
    state == "55000" && cat.relation_named(&name.schema, &name.name).is_some_and(|r| r.kind == RelKind::PartitionedTable)
}

fn both_of_rows(expected: Option<&str>, seen: &str) -> bool {
    let of_rows = |s: &str| s.starts_with("22") || s.starts_with("23");
    expected.is_some_and(of_rows) && of_rows(seen)
}

/// An INSERT leaves a column to a default that nobody evaluates beforehand (a random number, the next one of a sequence, whoever runs
/// it), and that value is what the server complains about: a key that it meets (23505, 23503, 23P01), a partition that it does not belong to
/// (23514) or a length that it exceeds (22001).
fn is_chance(cat: &Catalog, shape: &ShapeSql, state: &str, message: &str) -> bool {
    let leaves = state == "23514" && message.contains("partition");
    if !leaves && !matches!(state, "23505" | "23503" | "23P01" | "22001") {
        return false;
    }
    let Some(rel) = cat.relation_named(&shape.relation.schema, &shape.relation.name) else { return false };
    let sent: BTreeSet<&str> = shape.params.iter().filter_map(|p| p.column.as_deref()).collect();
    let left_open = |c: &Column| {
        let computed = c.default.as_ref().is_some_and(|d| matches!(cat.volatility(d), Volatility::Volatile | Volatility::Stable));
        !sent.contains(c.name.as_str()) && (computed || c.identity.is_some() || c.serial.is_some())
    };
    let constraint = message.split('"').rev().nth(1).unwrap_or_default();
    let tree: Vec<_> = [rel.id].into_iter().chain(cat.descendants_of(rel.id)).filter_map(|id| cat.relation(id)).collect();
    let of_key = tree.iter().flat_map(|r| &r.constraints).filter(|c| c.name == constraint).flat_map(|c| c.kind.columns());
    let of_index = tree.iter().flat_map(|r| cat.indexes_of(r.id)).filter(|i| i.name == constraint).filter_map(|i| i.index.as_ref());
    let mut columns: BTreeSet<&str> = of_key.map(String::as_str).collect();
    columns.extend(of_index.flat_map(|i| &i.depends).map(String::as_str));
    let above = rel.parents.iter().filter(|_| leaves).chain([&rel.id]).filter_map(|id| cat.relation(*id));
    let keys: Vec<String> = above.filter(|_| leaves).flat_map(|r| cat.partition_key_columns(r)).collect();
    columns.extend(keys.iter().map(String::as_str));
    rel.columns.iter().any(|c| left_open(c) && (state == "22001" || columns.contains(c.name.as_str())))
}

impl Try {
    /// `must`: how it is said to fail; `may`: how it fails if it does.
    fn hold(&self, must: Option<&str>, may: Option<&str>, observed: Option<(String, String)>, how: &str, cat: &Catalog, out: &mut Seen) {
        let (shape, relation, text) = (self.shape.shape, &self.shape.relation, &self.text);
        let Some((state, message)) = observed else {
            // A failure that depends on values may stay away, and so does 55000 (no replica identity) where the partition in question is
            // pruned. Vanishing rows are no failure.
            let sure = |s: &&str| !s.starts_with("22") && !s.starts_with("23") && !matches!(*s, "55000" | "EMPTY");
            if let Some(state) = must.filter(sure) {
                out.differ.push(format!("{shape} on {relation}{how}: predicted {state}, observed success: {text}"));
            }
            return;
        };
        // Of several constraints that a row may violate one is named.
        if may == Some(state.as_str()) || both_of_rows(may, &state) {
        } else if may.is_none() && self.data.is_some() && (state.starts_with("22") || state == "23505") {
            out.known.insert(COPY_OF_ANOTHER_ROW);
        } else if may.is_none() && is_chance(cat, &self.shape, &state, &message) {
            out.known.insert(CHANCE);
        } else if may.is_none() && is_pruned(cat, relation, &state) {
            out.known.insert(PRUNED);
        } else {
            let expected = may.unwrap_or("success");
            out.differ.push(format!("{shape} on {relation}{how}: predicted {expected}, observed {state} ({message}): {text}"));
        }
    }

    /// SQLSTATE and message of the failure; `None`: it works.
    fn fresh(&self, sessions: &mut Sessions<'_>) -> Option<(String, String)> {
        let Some(data) = &self.data else { return taken_back(sessions.app, &self.text) };
        let session = &mut *sessions.copier;
        let _ = session.run("BEGIN");
        let end = session.copy_in(&self.text, data).err().map(|e| (e.sqlstate, e.message));
        match end {
            None => {
                let _ = session.run("ROLLBACK");
            }
            Some(_) => *session = sessions.db.connect().expect("session"),
        }
        end
    }
}

fn taken_back(session: &mut Session, sql: &str) -> Option<(String, String)> {
    let end = session.simple(&format!("BEGIN; {sql}; ROLLBACK")).err().map(|e| (e.sqlstate, e.message));
    if end.is_some() {
        let _ = session.run("ROLLBACK");
    }
    end
}

/// One row of the table as text.
fn first_row(session: &mut Session, cat: &Catalog, name: &RelName) -> BTreeMap<String, String> {
    let Some(rel) = cat.relation_named(&name.schema, &name.name) else { return BTreeMap::new() };
    let columns: Vec<&str> = rel.columns.iter().map(|c| c.name.as_str()).collect();
    let list: Vec<String> = columns.iter().map(|c| format!("{}::text", ident(c))).collect();
    let rows = session.rows(&format!("SELECT {} FROM {} LIMIT 1", list.join(", "), name.sql())).unwrap_or_default();
    let row = rows.into_iter().next().unwrap_or_default();
    columns.into_iter().zip(row).filter_map(|(c, v)| Some((c.to_string(), v?))).collect()
}

/// A value for every parameter: of a row that is there, or new where a key must be.
fn values(
    session: &mut Session,
    shape: &ShapeSql,
    row: &BTreeMap<String, String>,
    cat: &Catalog,
    rng: &mut Rng,
    next: &mut u32,
) -> Option<Vec<Option<String>>> {
    let mut exprs = Vec::new();
    for p in &shape.params {
        let there = p.column.as_ref().and_then(|c| row.get(c));
        let value = match there {
            Some(v) if !p.key || p.finds => crate::quote::literal(v),
            _ => Gen { rng, cat, next }.value(&p.ty)?,
        };
        exprs.push(format!("({value})::text"));
    }
    if exprs.is_empty() {
        return Some(Vec::new());
    }
    session.rows(&format!("SELECT {}", exprs.join(", "))).ok()?.into_iter().next()
}

/// A line of COPY's text format.
fn line(values: &[Option<String>]) -> String {
    let cell = |v: &Option<String>| v.as_ref().map_or("\\N".into(), |v| v.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n"));
    format!("{}\n", values.iter().map(cell).collect::<Vec<String>>().join("\t"))
}
