//! What queries and statements about rows lock and read.

use crate::catalog::{Catalog, ConKind, Id, RelKind, View};
use crate::op::{Dml, DmlKind, Expr, ExprKind, FromItem, LockMode, QName, Query, QueryBody, RowLock};

use super::seen::Seen;
use super::statements::with_children;

/// Locks of a query on what it names. `runs`: it is executed, and not only kept as a view.
pub fn query(s: &mut Seen<'_>, q: &Query, mode: LockMode, runs: bool) {
    let mode = match q.locking {
        Some(RowLock::KeyShare | RowLock::Share | RowLock::NoKeyUpdate | RowLock::Update) => LockMode::RowShare,
        None => mode,
    };
    let filter = match &q.body {
        QueryBody::Select(x) => x.filter.as_ref(),
        _ => None,
    };
    let names: Vec<QName> = q.relations().into_iter().cloned().collect();
    // Of several relations it is not told whose the condition is.
    let prunes = names.len() == 1;
    for name in names {
        if let Some(id) = s.find(&name).map(|r| r.id) {
            read_tree(s, id, mode, runs, filter, prunes);
        }
    }
}

/// One relation that is read; behind a view stands what the view reads.
pub(super) fn read(s: &mut Seen<'_>, name: &QName, mode: LockMode, runs: bool, filter: Option<&Expr>) {
    if let Some(id) = s.find(name).map(|r| r.id) {
        read_relation(s, id, mode, runs, filter);
    }
}

pub(super) fn read_relation(s: &mut Seen<'_>, id: Id, mode: LockMode, runs: bool, filter: Option<&Expr>) {
    read_tree(s, id, mode, runs, filter, false);
}

/// `prunes`: the condition is one on this relation.
fn read_tree(s: &mut Seen<'_>, id: Id, mode: LockMode, runs: bool, filter: Option<&Expr>, prunes: bool) {
    let Some(r) = s.get(id) else { return };
    s.lock(id, mode);
    if !runs {
        return;
    }
    if let (RelKind::View, Some(v)) = (r.kind, &r.view) {
        let own = view_filter(v);
        v.depends.iter().for_each(|(d, _)| read_whole(s, *d, mode, own));
        return;
    }
    bounds_above(s, id);
    let (opened, left) = members(s, id, filter.filter(|_| prunes));
    for part in opened {
        s.lock(part, mode);
        s.lock_planned_indexes(part, id, mode);
        if left.contains(&part) && !is_indexed(s.before, part, filter) {
            s.scan(part);
        }
    }
}

/// The condition of a view of one relation.
fn view_filter(v: &View) -> Option<&Expr> {
    match &v.query.body {
        QueryBody::Select(x) if v.depends.len() == 1 => x.filter.as_ref(),
        _ => None,
    }
}

/// The relation with what is below it: what a query with the condition opens, and what it reads.
fn members(s: &Seen<'_>, id: Id, filter: Option<&Expr>) -> (Vec<Id>, Vec<Id>) {
    if s.get(id).is_none_or(|r| r.kind != RelKind::PartitionedTable) {
        let all = with_children(s, id);
        return (all.clone(), all);
    }
    let left = s.before.left_by(id, false, filter);
    let opened = [id].into_iter().chain(left.opened).collect();
    (opened, left.tables)
}

/// A query is rewritten and not planned: behind a view stands what it names.
pub(super) fn lock_rewritten(s: &mut Seen<'_>, id: Id, mode: LockMode) {
    if s.before.recursive_view(&[id]).is_some() {
        return;
    }
    s.lock(id, mode);
    if let Some((RelKind::View, Some(v))) = s.get(id).map(|r| (r.kind, &r.view)) {
        v.depends.iter().for_each(|(d, _)| lock_rewritten(s, *d, mode));
    }
}

/// What a view reads: the tables below it, through views of views.
pub(super) fn read_whole(s: &mut Seen<'_>, id: Id, mode: LockMode, filter: Option<&Expr>) {
    if s.before.recursive_view(&[id]).is_some() {
        return;
    }
    s.lock(id, mode);
    if let Some((RelKind::View, Some(v))) = s.get(id).map(|r| (r.kind, &r.view)) {
        let own = view_filter(v);
        v.depends.iter().for_each(|(d, _)| read_whole(s, *d, mode, own));
        return;
    }
    bounds_above(s, id);
    let (opened, left) = members(s, id, filter);
    for part in opened {
        s.lock(part, mode);
        s.lock_planned_indexes(part, id, mode);
        if left.contains(&part) {
            s.scan(part);
        }
    }
}

/// Which rows a partition with partitions of its own holds is decided by the bounds of the tables above it.
fn bounds_above(s: &mut Seen<'_>, id: Id) {
    let mut at = s.get(id).filter(|r| r.kind == RelKind::PartitionedTable && r.had_children);
    while let Some(above) = at.filter(|r| r.is_partition()).and_then(|r| r.parents.first().copied()) {
        s.lock(above, LockMode::AccessShare);
        at = s.get(above);
    }
}

/// The condition compares the first column of an index with something: the table need not be read in full.
fn is_indexed(catalog: &Catalog, table: Id, filter: Option<&Expr>) -> bool {
    let Some(filter) = filter else { return false };
    let firsts: Vec<String> = catalog.indexes_of(table).into_iter().filter_map(|i| i.index.as_ref()?.columns.first()?.clone()).collect();
    let column = |e: &Expr| matches!(&e.kind, ExprKind::Column(parts) if parts.last().is_some_and(|p| firsts.contains(&p.value)));
    fn any(e: &Expr, column: &dyn Fn(&Expr) -> bool) -> bool {
        match &e.kind {
            ExprKind::Binary { op, left, right } if op == "AND" => any(left, column) || any(right, column),
            ExprKind::Binary { op, left, right } => {
                matches!(op.as_str(), "=" | "IN" | "<" | ">" | "<=" | ">=") && (column(left) || column(right))
            }
            _ => false,
        }
    }
    any(filter, &column)
}

pub(super) fn dml(s: &mut Seen<'_>, d: &Dml) {
    let reads: Vec<QName> = d.reads().into_iter().cloned().collect();
    let target = s.find(&d.table).map(|r| r.id);
    for name in reads {
        if s.find(&name).map(|r| r.id) != target {
            read(s, &name, LockMode::AccessShare, true, d.filter.as_ref());
        }
    }
    let Some(id) = target else { return };
    keys_and_sequences(s, id, d);
    let reads_target = !matches!(d.kind, DmlKind::Insert { .. });
    for part in if d.only { vec![id] } else { with_children(s, id) } {
        s.lock(part, LockMode::RowExclusive);
        s.lock_indexes(part, LockMode::RowExclusive);
        let from_elsewhere = d.from.iter().any(|f| !matches!(f, FromItem::Other));
        if reads_target && (from_elsewhere && d.filter.is_none() || !is_indexed(s.before, part, d.filter.as_ref())) {
            s.scan(part);
        }
    }
}

/// What the rows of a write reach beside their own table, where there are rows: sequences of defaults, the other side of foreign keys,
/// and the tables above a partition, whose bounds are read.
fn keys_and_sequences(s: &mut Seen<'_>, table: Id, d: &Dml) {
    let before = s.before;
    let tree = if d.only { vec![table] } else { with_children(s, table) };
    let given: Option<Vec<&str>> = match &d.kind {
        DmlKind::Insert { columns, .. } => columns.as_ref().map(|c| c.iter().map(crate::op::Name::as_str).collect()),
        DmlKind::Update { set } => Some(set.iter().flat_map(|a| &a.columns).map(crate::op::Name::as_str).collect()),
        _ => None,
    };
    let inserts = matches!(d.kind, DmlKind::Insert { .. } | DmlKind::Merge { .. });
    let removes = matches!(d.kind, DmlKind::Delete | DmlKind::Merge { .. });
    let updated = |c: &str| matches!(d.kind, DmlKind::Merge { .. }) || given.as_ref().is_some_and(|g| !inserts && g.contains(&c));
    for id in tree {
        let Some(rel) = before.relation(id) else { continue };
        let mut above = Some(rel).filter(|r| r.is_partition());
        while let Some(p) = above.and_then(|r| r.parents.first()) {
            s.lock(*p, LockMode::AccessShare);
            above = before.relation(*p).filter(|r| r.is_partition());
        }
        if inserts {
            for c in rel.columns.iter().filter(|c| given.as_ref().is_none_or(|g| !g.contains(&c.name.as_str()))) {
                let sequences = c.uses.iter().copied().chain(before.sequence_of_column(id, &c.name).map(|q| q.id));
                let sequences: Vec<Id> = sequences.filter(|q| before.relation(*q).is_some_and(|r| r.kind == RelKind::Sequence)).collect();
                sequences.into_iter().for_each(|q| s.lock(q, LockMode::RowExclusive));
            }
        }
        for c in rel.constraints.iter().filter(|c| c.enforced) {
            if let ConKind::ForeignKey { columns, table: other, .. } = &c.kind
                && (inserts || columns.iter().any(|c| updated(c)))
            {
                for part in s.with_partitions(*other) {
                    s.lock(part, LockMode::RowShare);
                    s.lock_indexes(part, LockMode::RowShare);
                }
            }
        }
        for (user, c) in before.foreign_keys_to(id) {
            let ConKind::ForeignKey { ref_columns, on_delete, on_update, .. } = &c.kind else { continue };
            let action = if removes { on_delete } else { on_update };
            if c.enforced && (removes || ref_columns.iter().any(|c| updated(c))) {
                let mode = match action {
                    crate::op::FkAction::NoAction | crate::op::FkAction::Restrict => LockMode::RowShare,
                    _ => LockMode::RowExclusive,
                };
                for part in s.with_partitions(user.id) {
                    s.lock(part, mode);
                    s.lock_indexes(part, mode);
                }
            }
        }
    }
}
