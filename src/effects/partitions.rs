//! What ATTACH and DETACH PARTITION lock and read around the tree.

use crate::catalog::{ConKind, Id, RelKind, Relation};
use crate::op::{LockMode, PartitionBound};

use super::seen::Seen;
use super::statements::new_indexes;

/// Foreign keys to the table above: no row may point into the partition, and what guards it there is dropped
/// (`ATDetachCheckNoForeignKeyRefs`).
pub(super) fn referencing(s: &mut Seen<'_>, parent: Id, partition: Id) {
    // A key that is not enforced guards nothing, and is dropped all the same.
    let idle: Vec<Id> = s
        .before
        .foreign_keys_reaching(parent)
        .into_iter()
        .filter(|(_, c)| !c.enforced)
        .map(|(r, _)| r.id)
        .filter(|id| *id != partition)
        .collect();
    idle.into_iter().for_each(|user| s.lock(user, LockMode::AccessExclusive));
    let users: Vec<Id> = s
        .before
        .foreign_keys_reaching(parent)
        .into_iter()
        .filter(|(r, c)| !(c.inherited && r.is_partition()) && c.enforced)
        .map(|(r, _)| r.id)
        .filter(|id| *id != partition)
        .collect();
    if !users.is_empty() {
        // What the partition holds is said by the bounds of all tables above it.
        let mut above = s.get(parent).filter(|r| r.is_partition()).map(|r| r.parents.clone()).unwrap_or_default();
        while let Some(id) = above.pop() {
            s.lock(id, LockMode::AccessShare);
            above.extend(s.get(id).filter(|r| r.is_partition()).map(|r| r.parents.clone()).unwrap_or_default());
        }
    }
    for user in users {
        let sides = [with_pruned_partitions(s, user, parent, partition), s.with_partitions(partition)];
        // Nothing is joined where one side has no table that holds rows.
        let joined = sides.iter().all(|side| side.iter().any(|t| s.get(*t).is_some_and(|r| r.kind == RelKind::Table)));
        for (part, root) in sides.into_iter().zip([user, partition]).flat_map(|(side, root)| side.into_iter().map(move |t| (t, root))) {
            s.lock(part, LockMode::AccessShare);
            s.lock_planned_indexes(part, root, LockMode::AccessShare);
            if joined {
                s.scan(part);
            }
        }
        s.lock(user, LockMode::AccessExclusive);
    }
}

/// The referencing table with those of its partitions that the check opens: a partition of one value leaves the others out.
fn with_pruned_partitions(s: &Seen<'_>, user: Id, parent: Id, partition: Id) -> Vec<Id> {
    let before = s.before;
    let key = before.relation(parent).map(|r| before.partition_key_columns(r)).unwrap_or_default();
    let column = before.relation(user).into_iter().flat_map(|r| &r.constraints).find_map(|c| match &c.kind {
        ConKind::ForeignKey { columns, table, ref_columns, .. } if *table == parent && key.len() == 1 => {
            columns.get(ref_columns.iter().position(|c| *c == key[0])?)
        }
        _ => None,
    });
    match (column, before.relation(partition).and_then(|r| r.partition_bound.as_ref())) {
        (Some(column), Some(PartitionBound::List(values))) if values.len() == 1 => {
            [user].into_iter().chain(before.partitions_with(user, column, &values[0])).collect()
        }
        _ => s.with_partitions(user),
    }
}

/// A new partition takes rows from the default one: it is locked and read.
pub fn default_partition(s: &mut Seen<'_>, parent: Id) {
    let default = s
        .before
        .children_of(parent)
        .into_iter()
        .find(|c| s.before.relation(*c).is_some_and(|r| r.partition_bound == Some(PartitionBound::Default)));
    if let Some(d) = default {
        s.lock(d, LockMode::AccessExclusive);
        let old = s.before.children_of(parent);
        let new: Vec<Id> = s.after.children_of(parent).into_iter().filter(|c| !old.contains(c)).collect();
        let apart = |c: &Id| s.after.partition_condition(*c).is_some_and(|c| says(s.get(d), &format!("NOT ({c})")));
        if new.is_empty() || !new.iter().all(apart) {
            s.lock_tree(d, LockMode::AccessExclusive);
            s.with_partitions(d).into_iter().for_each(|t| s.scan(t));
        }
    }
}

/// A validated CHECK of the table says just this.
fn says(rel: Option<&Relation>, condition: &str) -> bool {
    let checks = rel.into_iter().flat_map(|r| &r.constraints).filter(|c| c.validated);
    { checks }.any(|c| matches!(&c.kind, ConKind::Check { expr, .. } if expr.text.trim() == condition))
}

/// The indexes of a partition become parts of the parent's indexes.
pub fn parent_indexes(s: &mut Seen<'_>, parent: Id) {
    s.lock_indexes(parent, LockMode::ShareUpdateExclusive);
    // A new part of a referenced table needs the triggers that guard it.
    let own = |r: &Relation, c: &crate::catalog::Constraint| c.enforced && !(c.inherited && r.is_partition());
    let users: Vec<Id> = s.before.foreign_keys_reaching(parent).into_iter().filter(|(r, c)| own(r, c)).map(|(r, _)| r.id).collect();
    for user in users {
        s.lock(user, if s.pg.0 >= 15 { LockMode::ShareRowExclusive } else { LockMode::AccessShare });
    }
    // What a partition takes is decided by the bounds of all the tables above it.
    let mut above = s.get(parent).map(|r| r.parents.clone()).unwrap_or_default();
    while let Some(id) = above.pop() {
        s.lock(id, LockMode::AccessShare);
        above.extend(s.get(id).map(|r| r.parents.clone()).unwrap_or_default());
    }
}

pub(super) fn default_partition_lock(s: &mut Seen<'_>, parent: Id) {
    let default = s
        .before
        .children_of(parent)
        .into_iter()
        .find(|c| s.before.relation(*c).is_some_and(|r| r.partition_bound == Some(PartitionBound::Default)));
    if let Some(d) = default {
        s.lock(d, LockMode::AccessExclusive);
    }
}

pub(super) fn attach(s: &mut Seen<'_>, parent: &Relation, partition: &crate::op::QName, bound: &PartitionBound) {
    use LockMode as L;
    s.lock(parent.id, L::ShareUpdateExclusive);
    if *bound != PartitionBound::Default {
        default_partition(s, parent.id);
    }
    parent_indexes(s, parent.id);
    let Some(p) = s.find(partition) else { return };
    s.lock_tree(p.id, L::AccessExclusive);
    // A default partition takes everything as long as it is the only one.
    // A table that is a partition itself takes only what its own bounds say.
    let alone = *bound == PartitionBound::Default && s.before.children_of(parent.id).is_empty() && !parent.is_partition();
    let condition = match bound {
        PartitionBound::Default => s.before.default_condition(parent.id),
        _ => s.after.partition_condition(p.id),
    };
    let said = condition.is_some_and(|c| says(Some(p), &c));
    if !alone && !said && !bound_is_proved(parent, p, bound) {
        s.with_partitions(p.id).into_iter().for_each(|t| s.scan(t));
    }
    for c in &parent.constraints {
        if let ConKind::ForeignKey { table, .. } = &c.kind {
            // The partition's own foreign key of the same meaning takes the place: nothing is checked, its triggers are dropped.
            let own = p.constraints.iter().any(|o| match (&o.kind, &c.kind) {
                (
                    ConKind::ForeignKey { columns: a, table: t, ref_columns: x, .. },
                    ConKind::ForeignKey { columns: b, table: u, ref_columns: y, .. },
                ) => a == b && t == u && x == y && o.validated,
                _ => false,
            });
            if own {
                s.remake_key(*table);
            } else {
                s.with_partitions(*table).into_iter().for_each(|t| s.lock(t, L::ShareRowExclusive));
                s.join(p.id, *table);
            }
        }
    }
    // Indexes that the partition lacks are built.
    new_indexes(s);
    let (before, after) = (s.before, s.after);
    for part in s.with_partitions(p.id) {
        if after.indexes_of(part).iter().any(|i| before.relation(i.id).is_none()) {
            s.scan(part);
        }
    }
}

/// A validated CHECK of the partition says the bound in the same words: `k >= from AND k < to`, with the key NOT NULL.
fn bound_is_proved(parent: &Relation, part: &Relation, bound: &PartitionBound) -> bool {
    use crate::op::{Expr, ExprKind};
    let PartitionBound::Range { from, to } = bound else { return false };
    let ([from], [to], Some([key])) = (from.as_slice(), to.as_slice(), parent.partition_by.as_ref().map(|p| p.keys.as_slice())) else {
        return false;
    };
    let column = key.text.trim().trim_matches('"').to_string();
    if !part.column(&column).is_some_and(|c| c.not_null) {
        return false;
    }
    fn terms<'e>(e: &'e Expr, out: &mut Vec<(&'e str, &'e Expr, &'e Expr)>) {
        if let ExprKind::Binary { op, left, right } = &e.kind {
            if op == "AND" {
                terms(left, out);
                terms(right, out);
            } else {
                out.push((op, left, right));
            }
        }
    }
    let mut found = Vec::new();
    for c in part.constraints.iter().filter(|c| c.validated) {
        if let ConKind::Check { expr, .. } = &c.kind {
            terms(expr, &mut found);
        }
    }
    let says = |op: &str, value: &Expr| {
        found.iter().any(|(o, l, r)| *o == op && l.text.trim().trim_matches('"') == column && r.text.trim() == value.text.trim())
    };
    says(">=", from) && says("<", to)
}
