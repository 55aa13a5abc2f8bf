//! What a write says about its rows: defaults, triggers, constraints, row security, keys. The executor's part.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::{Catalog, Cell, Column, ColumnType, ConKind, Constraint, Id, RelKind, Relation, TypeKind};
use crate::op::{Assignment, Dml, Expr, ExprKind, FromItem, Name, OnConflict, Query, QueryBody};

use super::arbiters::{self, Arbiter};
use super::dml::{Written, is_default};
use super::eval::{self, Datum, Env, eval};
use super::expr::{Binder, qname, split_name, strip_cast};
use super::keys::{Met, conflicting_row, keys, reference_risk, referenced, replica_identity, was_unique};
use super::outcome::{Fail, May};
use super::{input, permissions, row_security, triggers, types};

/// Values by the column they go to.
pub type Incoming = BTreeMap<String, Datum>;

/// A whole row of a table, by column position.
pub type Row = Vec<Datum>;

pub struct Conflict<'c> {
    pub spec: &'c OnConflict,
    pub arbiter: Option<Arbiter>,
}

/// Parameters only: what VALUES can see.
pub struct Params<'a> {
    pub samples: &'a BTreeMap<String, ColumnType>,
}

impl Env for Params<'_> {
    fn column(&self, _: &[Name]) -> Datum {
        Datum::ANY
    }
    fn param(&self, name: &str) -> Datum {
        match self.samples.get(name) {
            Some(t) => Datum::Unknown { nullable: false, sent_as: Some(t.clone()) },
            None => eval::placeholder(name).unwrap_or(Datum::SOME),
        }
    }
}

/// A row and its parameters; a second row answers to its own qualifier (`excluded`, `old`).
pub struct RowEnv<'a> {
    pub rel: &'a Relation,
    pub row: &'a [Datum],
    pub other: Option<(&'a str, &'a [Datum])>,
    pub samples: &'a BTreeMap<String, ColumnType>,
}

impl Env for RowEnv<'_> {
    fn column(&self, parts: &[Name]) -> Datum {
        let Some(name) = parts.last() else { return Datum::ANY };
        let row = match (&self.other, parts) {
            (Some((q, other)), [t, _]) if t.value == *q => other,
            _ => self.row,
        };
        self.rel.columns.iter().position(|c| c.name == name.value).and_then(|i| row.get(i)).cloned().unwrap_or(Datum::ANY)
    }
    fn param(&self, name: &str) -> Datum {
        Params { samples: self.samples }.param(name)
    }
}

/// Rows of a table that are known; `None`: it may hold anything.
pub fn known_rows(b: &Binder<'_, '_>, rel: &Relation) -> Option<Vec<Row>> {
    let cat = b.s.cat;
    let Some(rows) = cat.rows.get(&rel.id).filter(|r| !r.is_empty()) else {
        // A table that the change itself made, and did not fill, is empty.
        let new = b.s.before.is_some_and(|before| !before.relations.contains_key(&rel.id));
        return (new && rel.kind.is_table() && cat.complete && !rel.assumed && rel.parents.is_empty()).then(Vec::new);
    };
    Some(rows.iter().map(|r| rel.columns.iter().map(|c| r.get(&c.attnum).map_or_else(|| filled(c), Datum::from)).collect()).collect())
}

/// What a column that was added later holds in older rows.
fn filled(c: &Column) -> Datum {
    if c.generated.is_some() || c.identity.is_some() || c.serial.is_some() {
        return Datum::SOME;
    }
    match &c.default {
        Some(e) => eval(e, &eval::Constants),
        None if c.not_null => Datum::SOME,
        None => Datum::Null,
    }
}

/// Some row of a table of which nothing is known.
fn any_row(rel: &Relation) -> Row {
    rel.columns.iter().map(|c| Datum::Unknown { nullable: !c.not_null, sent_as: None }).collect()
}

/// The rows of a plain `SELECT … FROM one known table`.
pub fn select_known(b: &Binder<'_, '_>, q: &Query) -> Option<Vec<Vec<Datum>>> {
    let QueryBody::Select(s) = &q.body else { return None };
    if !q.ctes.is_empty() || !s.group_by.is_empty() || s.distinct || s.having.is_some() || !q.order_by.is_empty() {
        return None;
    }
    let params = Params { samples: b.s.samples };
    let take = match q.limit.as_ref().map(|l| eval(l, &params)) {
        None | Some(Datum::Null) => usize::MAX,
        Some(Datum::Value(n)) => n.parse().ok()?,
        Some(_) => return None,
    };
    if s.from.is_empty() {
        return Some(vec![s.targets.iter().map(|t| eval(&t.expr, &params)).collect()]);
    }
    let [FromItem::Table { name, .. }] = s.from.as_slice() else { return None };
    let rel = b.s.relation(name).ok()?;
    let mut out = Vec::new();
    for row in rows_behind(b, rel)? {
        let env = RowEnv { rel, row: &row, other: None, samples: b.s.samples };
        if let Some(f) = &s.filter {
            match eval(f, &env).truth() {
                Some(Some(true)) => {}
                Some(_) => continue,
                None => return None,
            }
        }
        let mut values = Vec::new();
        for t in &s.targets {
            match &t.expr.kind {
                ExprKind::Star(_) => values.extend(row.iter().cloned()),
                _ => values.push(eval(&t.expr, &env)),
            }
        }
        out.push(values);
        if out.len() >= take {
            break;
        }
    }
    Some(out)
}

/// Known rows of a table, or what a view that shows all rows of one such table makes of them.
fn rows_behind(b: &Binder<'_, '_>, rel: &Relation) -> Option<Vec<Row>> {
    if rel.kind.is_table() {
        return if row_security::hides_all(b.s, rel) { Some(Vec::new()) } else { known_rows(b, rel) };
    }
    let view = rel.view.as_ref().filter(|v| v.updatable && rel.kind == RelKind::View)?;
    let QueryBody::Select(s) = &view.query.body else { return None };
    if s.filter.is_some() || view.bases.len() != rel.columns.len() {
        return None;
    }
    let bases: Vec<&(Id, String)> = view.bases.iter().map(Option::as_ref).collect::<Option<_>>()?;
    let table = b.s.get(bases.first()?.0)?;
    let at: Vec<usize> =
        bases.iter().map(|(id, n)| table.columns.iter().position(|c| *id == table.id && c.name == *n)).collect::<Option<_>>()?;
    Some(rows_behind(b, table)?.into_iter().map(|r| at.iter().map(|i| r.get(*i).cloned().unwrap_or(Datum::ANY)).collect()).collect())
}

pub fn insert(b: &mut Binder<'_, '_>, w: &Written, rows: Vec<Incoming>, on: Option<&Conflict<'_>>) {
    for values in rows {
        let before = b.run.len();
        insert_row(b, w, &values, on);
        // The first row that is refused ends the statement.
        if b.run.len() > before {
            return;
        }
    }
}

/// One row on its way in, as INSERT or COPY sends it.
pub fn insert_row(b: &mut Binder<'_, '_>, w: &Written, values: &Incoming, on: Option<&Conflict<'_>>) {
    let rel = w.base.clone();
    // What a publication demands of the update is asked before the first row, whether it meets another or not.
    if on.is_some_and(|o| !o.spec.set.is_empty()) {
        // Children by inheritance get none of the rows.
        let below = if rel.kind == RelKind::PartitionedTable { b.s.cat.descendants_of(rel.id) } else { Vec::new() };
        if b.s.cat.cannot_be_told_apart(&rel, "update") {
            return b.run.push(Fail::new("55000", rel.name.clone()));
        }
        // Only those partitions are asked to which a row goes.
        if below.into_iter().filter_map(|id| b.s.get(id)).any(|r| b.s.cat.cannot_be_told_apart(r, "update")) {
            may(b, "55000", rel.name.clone(), format!("publication of {}", rel.name));
        }
    }
    let mut row = Row::with_capacity(rel.columns.len());
    for c in &rel.columns {
        let datum = match values.get(&c.name) {
            Some(d) => d.clone(),
            None => default_of(b, c),
        };
        if !store(b, &rel, c, &datum) {
            return;
        }
        row.push(datum);
    }
    match triggers::before_row(b, &rel, "INSERT", &row, None) {
        triggers::After::Row(r) => row = r,
        triggers::After::Skipped => return,
        triggers::After::Raised(f) => return b.run.push(f),
    }
    compute_generated(b, &rel, &mut row);
    if !routed(b, &rel, &row) {
        return;
    }
    if w.behalf.is_none()
        && let Some(f) = row_security::refuses(b.s, &rel, "INSERT", &row)
    {
        return b.run.push(f);
    }
    if !constraints(b, &rel, &row, None) {
        return;
    }
    if rel.kind == RelKind::PartitionedTable {
        stricter_below(b, &rel, &row, None);
    }
    let arbiters = on.and_then(|c| c.arbiter.clone()).unwrap_or_default();
    if let Some(name) = &arbiters.deferrable {
        return b.run.push(Fail::new("55000", name.clone()));
    }
    if let Some(on) = on {
        match conflicting_row(b, &rel, &row, &arbiters) {
            Met::Row(there) => {
                if !on.spec.set.is_empty() {
                    update_row(b, w, &there, &on.spec.set, Some(&row), "excluded");
                }
                return;
            }
            Met::Perhaps if !on.spec.set.is_empty() => {
                let there = any_row(&rel);
                update_row(b, w, &there, &on.spec.set, Some(&row), "excluded");
            }
            _ => {}
        }
    }
    keys(b, &rel, &row, None, &arbiters.indexes);
    if let Some(f) = triggers::after_row(b, &rel, "INSERT") {
        b.run.push(f);
    }
}

pub fn update(b: &mut Binder<'_, '_>, w: &Written, d: &Dml, set: &[Assignment]) {
    let rel = w.base.clone();
    replica_identity(b, w, d, "update");
    if w.behalf.is_none() && row_security::hides_all(b.s, &rel) {
        return;
    }
    for row in matched(b, w, d) {
        let before = b.run.len();
        update_row(b, w, &row, set, None, "");
        if b.run.len() > before {
            return;
        }
    }
}

/// Rows that WHERE may mean: known ones it may be true for, or one that is not known.
fn matched(b: &Binder<'_, '_>, w: &Written, d: &Dml) -> Vec<Row> {
    let rel = &w.base;
    let Some(rows) = known_rows(b, rel) else { return vec![any_row(rel)] };
    let simple = d.from.is_empty() && w.named.id == rel.id;
    rows.into_iter()
        .filter(|row| {
            let env = RowEnv { rel, row, other: None, samples: b.s.samples };
            !simple || d.filter.as_ref().is_none_or(|f| matches!(eval(f, &env).truth(), None | Some(Some(true))))
        })
        .collect()
}

fn update_row(b: &mut Binder<'_, '_>, w: &Written, old: &[Datum], set: &[Assignment], other: Option<&[Datum]>, other_name: &str) {
    let rel = w.base.clone();
    let mut row = old.to_vec();
    let mut touched: Vec<&str> = Vec::new();
    for a in set {
        for (i, name) in a.columns.iter().enumerate() {
            let Some(col) = w.base_column(name.as_str()).map(|c| c.name.clone()) else { continue };
            let Some(at) = rel.columns.iter().position(|c| c.name == col) else { continue };
            let value = match (&a.value.kind, a.columns.len()) {
                (ExprKind::Row(items) | ExprKind::Other(items), n) if n > 1 => items.get(i),
                (_, 1) => Some(&a.value),
                _ => None,
            };
            let column = &rel.columns[at];
            let datum = match value {
                Some(v) if is_default(v) => default_of(b, column),
                Some(v) => {
                    let env = RowEnv { rel: &rel, row: old, other: other.map(|o| (other_name, o)), samples: b.s.samples };
                    eval(v, &env)
                }
                None => Datum::ANY,
            };
            if !store(b, &rel, column, &datum) {
                return;
            }
            row[at] = datum;
            touched.push(&rel.columns[at].name);
        }
    }
    match triggers::before_row(b, &rel, "UPDATE", &row, Some((old, &touched))) {
        triggers::After::Row(r) => row = r,
        triggers::After::Skipped => return,
        triggers::After::Raised(f) => return b.run.push(f),
    }
    compute_generated(b, &rel, &mut row);
    if w.behalf.is_none()
        && let Some(f) = row_security::refuses(b.s, &rel, "UPDATE", &row)
    {
        return b.run.push(f);
    }
    if !constraints(b, &rel, &row, Some(&touched)) {
        return;
    }
    stricter_below(b, &rel, &row, Some(&touched));
    keys(b, &rel, &row, Some((old, &touched)), &[]);
    referenced(b, &rel, old, Some(&touched));
    if let Some(f) = triggers::after_row(b, &rel, "UPDATE") {
        b.run.push(f);
    }
}

pub fn delete(b: &mut Binder<'_, '_>, w: &Written, d: &Dml) {
    let rel = w.base.clone();
    replica_identity(b, w, d, "delete");
    if w.behalf.is_none() && row_security::hides_all(b.s, &rel) {
        return;
    }
    for row in matched(b, w, d) {
        match triggers::before_row(b, &rel, "DELETE", &row, None) {
            triggers::After::Row(_) => {}
            triggers::After::Skipped => continue,
            triggers::After::Raised(f) => return b.run.push(f),
        }
        let before = b.run.len();
        referenced(b, &rel, &row, None);
        if b.run.len() > before {
            return;
        }
        if let Some(f) = triggers::after_row(b, &rel, "DELETE") {
            return b.run.push(f);
        }
    }
}

pub(super) fn may(b: &mut Binder<'_, '_>, state: &'static str, because: impl Into<String>, key: String) {
    let m = May { fail: Fail::new(state, because), key };
    if !b.may.contains(&m) {
        b.may.push(m);
    }
}

fn default_of(b: &mut Binder<'_, '_>, c: &Column) -> Datum {
    if c.identity.is_some() {
        return Datum::Fresh;
    }
    if c.generated.is_some() {
        return Datum::ANY;
    }
    let expr = match &c.default {
        Some(e) => Some(e.clone()),
        // An array of a domain does not take the domain's default.
        None => c.ty.id.filter(|_| !c.ty.is_array()).and_then(|id| b.s.cat.types.get(&id)).and_then(|t| match &t.kind {
            TypeKind::Domain { default, .. } => default.clone(),
            _ => None,
        }),
    };
    let Some(expr) = expr else {
        // A serial column's own sequence, where the default is not spelled out.
        return match c.serial {
            Some(seq) => {
                use_sequence(b, seq);
                Datum::Fresh
            }
            None => Datum::Null,
        };
    };
    expr.walk(&mut |e| {
        if let ExprKind::Call(call) = &e.kind
            && call.name.as_str() == "nextval"
        {
            let named = call.args.first().and_then(|a| match &strip_cast(a).kind {
                ExprKind::String(s) => qname(&split_name(s)),
                _ => None,
            });
            // The default keeps the sequence by identity, so a name that no longer fits is no error here.
            let seq = c.serial.or_else(|| named.and_then(|n| b.s.relation(&n).ok()).map(|r| r.id));
            if let Some(id) = seq {
                use_sequence(b, id);
            }
        }
    });
    eval(&expr, &eval::Constants)
}

fn use_sequence(b: &mut Binder<'_, '_>, id: Id) {
    if let Some(seq) = b.s.get(id).filter(|r| r.kind == RelKind::Sequence)
        && !permissions::may_use_sequence(b.s, seq)
    {
        b.run.push(Fail::new("42501", seq.name.clone()));
    }
}

/// Converts a value to the column's type: length, range, labels, the domain's own rules. `false`: refused.
fn store(b: &mut Binder<'_, '_>, rel: &Relation, c: &Column, d: &Datum) -> bool {
    let cat = b.s.cat;
    let old = b.s.before.unwrap_or(cat);
    match d {
        Datum::Value(v) => {
            let target = types::base(cat, &c.ty);
            // A number goes to an integer column by rounding.
            let rounded =
                v.parse::<f64>().ok().filter(|_| v.contains('.') && matches!(target.name.as_str(), "smallint" | "integer" | "bigint"));
            let text = rounded.map_or_else(|| v.clone(), |n| format!("{}", n.round() as i64));
            if let Err(state) = input::accept(cat, &target, &text) {
                b.run.push(Fail::new(state, c.name.clone()));
                return false;
            }
        }
        Datum::Unknown { sent_as: Some(t), .. } => {
            if let Some(state) = input::complaint(old, t, cat, &c.ty) {
                may(b, state, &c.name, format!("{state} {}.{}", rel.id.0, c.name));
            }
        }
        _ => {}
    }
    domain(b, rel, c, d)
}

fn domain(b: &mut Binder<'_, '_>, rel: &Relation, c: &Column, d: &Datum) -> bool {
    let mut ty = c.ty.clone();
    for _ in 0..32 {
        let Some(t) = ty.id.filter(|_| ty.array_dims == 0).and_then(|id| b.s.cat.types.get(&id)).cloned() else { return true };
        let TypeKind::Domain { base, not_null, checks, .. } = &t.kind else { return true };
        if *not_null && *d == Datum::Null {
            b.run.push(Fail::new("23502", c.name.clone()));
            return false;
        }
        for check in checks {
            let env = DomainValue { value: d };
            match eval(&check.expr, &env).truth() {
                Some(Some(false)) => {
                    b.run.push(Fail::new("23514", check.name.clone()));
                    return false;
                }
                None if *d != Datum::Null => {
                    may(b, "23514", &check.name, format!("domain {} {} {}", rel.id.0, c.name, arbiters::normal(&check.expr)))
                }
                _ => {}
            }
        }
        ty = base.clone();
    }
    true
}

struct DomainValue<'d> {
    value: &'d Datum,
}

impl Env for DomainValue<'_> {
    fn column(&self, parts: &[Name]) -> Datum {
        if matches!(parts, [one] if one.value == "value") { self.value.clone() } else { Datum::ANY }
    }
    fn param(&self, _: &str) -> Datum {
        Datum::ANY
    }
}

fn compute_generated(b: &Binder<'_, '_>, rel: &Relation, row: &mut Row) {
    for (i, c) in rel.columns.iter().enumerate() {
        if let Some(g) = &c.generated {
            row[i] = eval(&g.expr, &RowEnv { rel, row, other: None, samples: b.s.samples });
        }
    }
}

/// A partitioned table takes a row only where a partition wants it.
fn routed(b: &mut Binder<'_, '_>, rel: &Relation, row: &Row) -> bool {
    use crate::op::PartitionBound::{Default, List};
    let Some(by) = &rel.partition_by else { return true };
    let partitions: Vec<_> =
        b.s.cat.children_of(rel.id).into_iter().filter_map(|id| b.s.get(id)).filter(|r| r.partition_bound.is_some()).collect();
    if partitions.is_empty() {
        b.run.push(Fail::new("23514", rel.name.clone()));
        return false;
    }
    if partitions.iter().any(|p| matches!(p.partition_bound, Some(Default))) {
        return true;
    }
    // A row that found its place in a partition that is gone.
    let bounds = |cat: &Catalog| -> Vec<crate::op::PartitionBound> {
        cat.children_of(rel.id).into_iter().filter_map(|id| cat.relation(id)?.partition_bound.clone()).collect()
    };
    let gone = b.s.before.is_some_and(|before| bounds(before).iter().any(|old| !bounds(b.s.cat).contains(old)));
    if gone {
        may(b, "23514", &rel.name, format!("route {}", rel.id.0));
    }
    // What never came as far as this, because a rule took it, may find no place.
    may(b, "23514", &rel.name, format!("routed {}", rel.id.0));
    let [key] = by.keys.as_slice() else { return true };
    let value = eval(key, &RowEnv { rel, row, other: None, samples: b.s.samples });
    let lists: Option<Vec<&Vec<Expr>>> = partitions
        .iter()
        .map(|p| match &p.partition_bound {
            Some(List(v)) => Some(v),
            _ => None,
        })
        .collect();
    let Some(lists) = lists else { return true };
    let wanted = lists.iter().flat_map(|l| l.iter()).any(|e| {
        let v = eval(e, &eval::Constants);
        (v == Datum::Null && value == Datum::Null) || !matches!(eval::equal(&v, &value), Some(Some(false) | None))
    });
    if !wanted {
        b.run.push(Fail::new("23514", rel.name.clone()));
    }
    wanted
}

/// NOT NULL in column order, then CHECKs by name. `touched` names the columns that an UPDATE sets.
fn constraints(b: &mut Binder<'_, '_>, rel: &Relation, row: &Row, touched: Option<&[&str]>) -> bool {
    for (c, d) in rel.columns.iter().zip(row) {
        let set = touched.is_none_or(|t| t.contains(&c.name.as_str()));
        if !c.not_null {
            continue;
        }
        match d {
            Datum::Null => {
                b.run.push(Fail::new("23502", c.name.clone()));
                return false;
            }
            Datum::Unknown { nullable: true, .. } if set => may(b, "23502", &c.name, format!("not null {}.{}", rel.id.0, c.name)),
            _ => {}
        }
    }
    if touched.is_none()
        && let Some(bound) = rel.partition_bound.as_ref()
    {
        // What a default partition takes is what no other one does, within the bounds above.
        let others = || rel.parents.iter().any(|p| b.s.cat.children_of(*p).len() > 1 || b.s.get(*p).is_some_and(|p| p.is_partition()));
        if *bound != crate::op::PartitionBound::Default || others() {
            // Whoever writes to a partition by its own name may send a row that belongs elsewhere.
            may(b, "23514", &rel.name, format!("bound {} {bound:?}", rel.id.0));
        }
    }
    let mut checks: Vec<&Constraint> = rel.constraints.iter().filter(|c| c.enforced && matches!(c.kind, ConKind::Check { .. })).collect();
    checks.sort_by(|a, b| a.name.cmp(&b.name));
    for c in checks {
        let ConKind::Check { expr, columns } = &c.kind else { continue };
        let env = RowEnv { rel, row, other: None, samples: b.s.samples };
        match eval(expr, &env).truth() {
            Some(Some(false)) => {
                b.run.push(Fail::new("23514", c.name.clone()));
                return false;
            }
            None => {
                // An UPDATE of other columns is safe once every row has been checked.
                let concerns = touched.is_none_or(|t| columns.iter().any(|c| t.contains(&c.as_str())) || !c.validated);
                let given = columns.iter().any(|n| rel.columns.iter().zip(row).any(|(c, d)| c.name == *n && *d != Datum::Null));
                if concerns && (given || columns.is_empty()) {
                    may(b, "23514", &c.name, format!("check {} {}", rel.id.0, arbiters::normal(expr)));
                }
            }
            _ => {}
        }
    }
    true
}

/// A row that goes to a partition, or is one of a child, meets the constraints that only that one has.
fn stricter_below(b: &mut Binder<'_, '_>, rel: &Relation, row: &Row, touched: Option<&[&str]>) {
    let below: Vec<Arc<Relation>> = b.s.cat.descendants_of(rel.id).into_iter().filter_map(|id| b.s.get(id)).cloned().collect();
    for child in below.iter().filter(|r| r.kind == RelKind::Table) {
        let value = |n: &str| rel.columns.iter().position(|c| c.name == n).and_then(|i| row.get(i)).cloned().unwrap_or(Datum::ANY);
        let set = |n: &str| touched.is_none_or(|t| t.contains(&n));
        for c in child.columns.iter().filter(|c| c.not_null && set(&c.name) && rel.column(&c.name).is_some_and(|p| !p.not_null)) {
            if matches!(value(&c.name), Datum::Null | Datum::Unknown { nullable: true, .. }) {
                may(b, "23502", &c.name, format!("not null {}.{}", child.id.0, c.name));
            }
        }
        let there: Row = child.columns.iter().map(|c| value(&c.name)).collect();
        for c in child.constraints.iter().filter(|c| c.enforced && !c.inherited && c.kind.columns().iter().any(|n| set(n))) {
            match &c.kind {
                ConKind::Check { expr, .. } => {
                    let truth = eval(expr, &RowEnv { rel: child, row: &there, other: None, samples: b.s.samples }).truth();
                    if !matches!(truth, Some(Some(true) | None)) {
                        may(b, "23514", &c.name, format!("check {} {}", child.id.0, arbiters::normal(expr)));
                    }
                }
                ConKind::ForeignKey { columns, table, ref_columns, .. } if !columns.iter().any(|n| value(n) == Datum::Null) => {
                    may(b, "23503", &c.name, reference_risk(child.id, columns, *table, ref_columns));
                }
                _ => {}
            }
        }
        for index in arbiters::indexes_of(b.s.cat, child.id).cloned().collect::<Vec<_>>() {
            let Some(i) = index.index.as_ref().filter(|i| (i.unique || i.exclusion) && i.parent.is_none() && !i.only) else {
                continue;
            };
            let state = if i.exclusion { "23P01" } else { "23505" };
            let keys: Vec<&String> = i.columns.iter().flatten().collect();
            let filter = i.filter.as_ref().map_or_else(String::new, arbiters::normal);
            let concerned = keys.iter().any(|n| set(n)) && !keys.iter().any(|n| value(n) == Datum::Null);
            if concerned && !was_unique(b, child.id, i, &filter) {
                may(b, state, &index.name, format!("{state} {} {keys:?} {filter}", child.id.0));
            }
        }
    }
}

/// The first row of a table with fresh values in its keys: what an application would send once more.
pub fn another_row(b: &Binder<'_, '_>, before: &Catalog, old: &Relation) -> Option<BTreeMap<String, Datum>> {
    let rows = before.rows.get(&old.id)?;
    let first = rows.first()?;
    let unique: Vec<String> = arbiters::indexes_of(before, old.id)
        .filter_map(|r| r.index.as_ref())
        .filter(|i| i.unique)
        .flat_map(|i| i.columns.iter().flatten().cloned())
        .collect();
    let _ = b;
    let value = |c: &Column| match first.get(&c.attnum) {
        _ if unique.contains(&c.name) => fresh_text(before, c),
        Some(Cell::Null) => Datum::Null,
        Some(Cell::Value(v)) => Datum::Value(v.clone()),
        _ => Datum::Unknown { nullable: !c.not_null, sent_as: Some(c.ty.clone()) },
    };
    Some(old.columns.iter().map(|c| (c.name.clone(), value(c))).collect())
}

fn fresh_text(cat: &Catalog, c: &Column) -> Datum {
    match types::category(cat, &c.ty) {
        types::Category::Numeric => Datum::Value("1999".into()),
        _ => Datum::Unknown { nullable: false, sent_as: Some(c.ty.clone()) },
    }
}
