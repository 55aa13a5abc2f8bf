//! Data statements: how many rows one touches, and whether there is a way back.

use crate::catalog::{Catalog, RelName, Relation};
use crate::op::{Assignment, Dml, DmlKind, Expr, ExprKind, InsertSource, LockMode, Op, OpKind, QueryBody};

use crate::replay::{Replayed, ReplayedScript};

use super::here::Here;
use super::{Facts, Value};

pub(super) fn add(f: &mut Facts, h: &Here<'_>) {
    match &h.op.kind {
        OpKind::Dml(d) => dml(f, h, d),
        OpKind::DoBlock { .. } => block(f, h),
        _ => {}
    }
}

fn dml(f: &mut Facts, h: &Here<'_>, d: &Dml) {
    let rel = h.relation(&d.table);
    f.flag("table.temporary", rel.is_some_and(|r| r.persistence == crate::op::Persistence::Temporary));
    let narrow = rel.is_none_or(|r| by_key(&h.r.before, r, d.filter.as_ref()));
    f.flag("by_key", narrow);
    f.flag("saved", rel.is_some_and(|r| saved(h, r)));
    let kept = |c: &str| !h.column_existed(&d.table, c);
    f.flag(
        "overwrites",
        match &d.kind {
            // What is NULL is nothing that could be lost.
            DmlKind::Update { set } => {
                set.iter().flat_map(|a| &a.columns).any(|c| !kept(c.as_str()) && !asks_for_null(d.filter.as_ref(), c.as_str()))
            }
            DmlKind::Delete | DmlKind::Merge { .. } => true,
            DmlKind::Insert { .. } => false,
        },
    );
    f.flag("overwrites.again", h.look.first_write.get(&d.table.to_string()).is_some_and(|first| *first < h.at));
    let back = h.script.history.down.iter().flat_map(|down| &down.statements).flat_map(|s| s.statement.ops.iter().map(move |o| (s, o)));
    let same = |s: &Replayed, t: &crate::op::QName| rel.is_some() && s.before.relation_by(t).map(|r| r.id) == rel.map(|r| r.id);
    let mut back = back.filter(|(s, o)| matches!(&o.kind, OpKind::Dml(b) if same(s, &b.table)));
    f.flag("overwrites.down", back.next().is_some());
    f.flag("mixed", h.r.sent.in_transaction && h.look.schema_changes.contains(&h.r.transaction));
    f.set("assigned_twice", Value::List(twice(&d.kind)));
    if let DmlKind::Insert { columns, source, .. } = &d.kind {
        f.flag("insert.columns", columns.is_some() || matches!(source, InsertSource::Default));
        if let InsertSource::Query(q) = source {
            match &q.body {
                QueryBody::Values(rows) => f.set("insert.rows", Value::Number(rows.len() as i64)),
                _ => {
                    let old = |n: &&crate::op::QName| {
                        h.relation(n).is_some_and(|r| h.script.before.relation(r.id).is_some() && r.kind.is_table())
                    };
                    f.flag("insert.copies", q.limit.is_none() && q.relations().iter().any(old));
                }
            }
        }
    }
}

/// The rows are picked by the leading column of a unique key, or a sub-select with LIMIT picks them.
fn by_key(cat: &Catalog, rel: &Relation, filter: Option<&Expr>) -> bool {
    let Some(filter) = filter else { return false };
    let leads = |name: &str| {
        name == "ctid"
            || cat
                .indexes_of(rel.id)
                .into_iter()
                .filter_map(|r| r.index.as_ref())
                .any(|i| i.unique && i.columns.first().is_some_and(|c| c.as_deref() == Some(name)))
    };
    let column = |e: &Expr| matches!(&bare(e).kind, ExprKind::Column(p) if p.last().is_some_and(|n| leads(n.as_str())));
    match &filter.kind {
        ExprKind::Binary { op, left, right } if op.eq_ignore_ascii_case("and") => {
            by_key(cat, rel, Some(left)) || by_key(cat, rel, Some(right))
        }
        ExprKind::Binary { op, left, right } if op.eq_ignore_ascii_case("or") => {
            by_key(cat, rel, Some(left)) && by_key(cat, rel, Some(right))
        }
        ExprKind::Binary { op, left, right } => {
            let limited = |e: &Expr| matches!(&bare(e).kind, ExprKind::Subquery(q) if q.limit.is_some());
            // Compared with what is not the same in every row: a value, a parameter, a variable of a loop.
            let fixed = |e: &Expr| {
                let mut reads_rows = false;
                e.walk(&mut |e| match &e.kind {
                    ExprKind::Subquery(q) => reads_rows |= q.limit.is_none(),
                    ExprKind::Column(p) => reads_rows |= p.len() == 1 && rel.column(p[0].as_str()).is_some(),
                    _ => {}
                });
                !reads_rows
            };
            let compares = matches!(op.as_str(), "=" | "IN" | "BETWEEN" | "<" | ">" | "<=" | ">=" | "= ANY");
            op == "IN" && limited(right) || compares && (column(left) && fixed(right) || op == "=" && column(right) && fixed(left))
        }
        ExprKind::Other(items) => match items.as_slice() {
            [one] => by_key(cat, rel, Some(one)),
            // BETWEEN and its like: the first is what is compared.
            [first, rest @ ..] => column(first) && rest.iter().all(|e| !matches!(e.kind, ExprKind::Subquery(_))),
            [] => false,
        },
        _ => false,
    }
}

fn bare(e: &Expr) -> &Expr {
    match &e.kind {
        ExprKind::Cast { expr, .. } | ExprKind::Collate { expr, .. } => bare(expr),
        ExprKind::Row(items) | ExprKind::Other(items) if items.len() == 1 => bare(&items[0]),
        _ => e,
    }
}

fn asks_for_null(filter: Option<&Expr>, column: &str) -> bool {
    let Some(filter) = filter else { return false };
    match &filter.kind {
        ExprKind::IsNull { expr, negated: false } => {
            matches!(&bare(expr).kind, ExprKind::Column(p) if p.last().is_some_and(|n| n.as_str() == column))
        }
        ExprKind::Binary { op, left, right } if op.eq_ignore_ascii_case("and") => {
            asks_for_null(Some(left), column) || asks_for_null(Some(right), column)
        }
        ExprKind::Other(items) if items.len() == 1 => asks_for_null(Some(&items[0]), column),
        _ => false,
    }
}

/// The script put the rows aside before.
pub(super) fn saved(h: &Here<'_>, rel: &Relation) -> bool {
    h.look.copies
        && h.earlier().any(|(s, o)| {
            let is = |q: &&crate::op::QName| s.before.relation_by(q).map(|r| r.id) == Some(rel.id);
            match &o.kind {
                OpKind::CreateTableAs(t) => t.query.relations().iter().any(is),
                OpKind::Dml(d) => matches!(d.kind, DmlKind::Insert { .. }) && d.reads().iter().any(is),
                _ => false,
            }
        })
}

/// The statement changes a table that was there under a lock that writers wait for.
pub(super) fn changes_schema(script: &ReplayedScript, s: &Replayed) -> bool {
    let old = |n: &RelName| script.before.relation_named(&n.schema, &n.name).is_some_and(|r| r.kind.is_table());
    s.statement.ops.iter().any(is_schema_change) && s.effects.locks.iter().any(|(n, m)| *m >= LockMode::ShareRowExclusive && old(n))
}

fn is_schema_change(op: &Op) -> bool {
    matches!(op.kind, OpKind::Alter { .. } | OpKind::CreateTrigger(_) | OpKind::CreateIndex(_) | OpKind::Drop { .. })
}

fn twice(kind: &DmlKind) -> Vec<String> {
    let in_set = |set: &[Assignment]| {
        let names: Vec<&str> = set.iter().flat_map(|a| &a.columns).map(|c| c.as_str()).collect();
        repeated(&names)
    };
    match kind {
        DmlKind::Update { set } => in_set(set),
        DmlKind::Insert { columns, on_conflict, .. } => {
            let mut out = repeated(&columns.iter().flatten().map(|c| c.as_str()).collect::<Vec<_>>());
            out.extend(on_conflict.iter().flat_map(|c| in_set(&c.set)));
            out
        }
        _ => Vec::new(),
    }
}

fn repeated(names: &[&str]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for (i, n) in names.iter().enumerate() {
        if names[..i].contains(n) && !out.iter().any(|o| o == n) {
            out.push((*n).to_string());
        }
    }
    out
}

/// A block that works in a loop: does it let go between the batches?
fn block(f: &mut Facts, h: &Here<'_>) {
    let text = h.script.source.slice(h.r.statement.span).to_lowercase();
    let has = |word: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == word);
    let old = |d: &Dml| {
        h.relation(&d.table).is_none_or(|r| h.script.before.relation(r.id).is_some() && r.persistence != crate::op::Persistence::Temporary)
    };
    let mut written: Vec<String> =
        h.r.statement
            .ops
            .iter()
            .filter_map(|o| match &o.kind {
                OpKind::Dml(d) if o.conditional && old(d) => Some(d.table.to_string()),
                _ => None,
            })
            .collect();
    written.sort();
    written.dedup();
    f.flag("block.loops", has("loop"));
    f.flag("block.commits", has("commit"));
    f.flag("block.sleeps", has("pg_sleep"));
    f.set("block.writes", Value::List(written));
}
