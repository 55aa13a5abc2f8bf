//! REINDEX, and the relations that VACUUM, ANALYZE and CLUSTER come to.

use crate::catalog::{Id, RelKind};
use crate::op::{LockMode, QName, ReindexTarget};

use super::seen::Seen;
use super::statements::with_children;

/// What VACUUM and ANALYZE of one name go through: the partitions, and from 18 on whatever inherits.
pub(super) fn maintained(s: &Seen<'_>, id: Id) -> Vec<Id> {
    if s.pg.0 >= 18 { with_children(s, id) } else { s.with_partitions(id) }
}

pub(super) fn reindex(s: &mut Seen<'_>, target: ReindexTarget, name: Option<&QName>, concurrently: bool) {
    s.in_transaction = !concurrently && matches!(target, ReindexTarget::Index | ReindexTarget::Table);
    if let (ReindexTarget::Schema, Some(schema)) = (target, name) {
        let before = s.before;
        let holds = |r: &&std::sync::Arc<crate::catalog::Relation>| {
            r.schema == schema.as_str() && matches!(r.kind, RelKind::Table | RelKind::MaterializedView)
        };
        for r in before.relations.values().filter(holds) {
            reindex_table(s, r.id, before.indexes_of(r.id).into_iter().map(|i| i.id).collect(), concurrently);
        }
        return;
    }
    let Some(r) = name.and_then(|n| s.find(n)) else { return };
    // Partition by partition, each in a transaction of its own.
    let partitioned = matches!(r.kind, RelKind::PartitionedTable | RelKind::PartitionedIndex);
    if concurrently && target == ReindexTarget::Index && r.index.as_ref().is_some_and(|i| i.exclusion) && !partitioned {
        s.fails = Some(("0A000", "concurrent index creation for exclusion constraints is not supported".into()));
    }
    s.in_transaction &= !partitioned;
    if partitioned {
        // A first look takes SHARE on all the parts, CONCURRENTLY or not (`ReindexPartitions`).
        let root = r.id;
        let parts: Vec<Id> = match &r.index {
            None => s.with_partitions(root),
            Some(i) => s
                .with_partitions(i.table)
                .into_iter()
                .flat_map(|t| s.before.indexes_of(t))
                .map(|i| i.id)
                .filter(|i| below(s, *i, root))
                .collect(),
        };
        parts.into_iter().filter(|p| *p != root).for_each(|p| s.lock(p, LockMode::Share));
        if r.index.is_none() {
            s.lock(root, if concurrently { LockMode::ShareUpdateExclusive } else { LockMode::Share });
        }
    }
    let parts: Vec<(Id, Vec<Id>)> = match (target, &r.index) {
        (ReindexTarget::Index, Some(_)) => index_parts(s, r.id),
        (ReindexTarget::Table, _) => {
            let holders = s.with_partitions(r.id).into_iter().filter(|t| s.get(*t).is_some_and(|r| r.kind != RelKind::PartitionedTable));
            holders.map(|t| (t, s.before.indexes_of(t).into_iter().map(|i| i.id).collect())).collect()
        }
        _ => return,
    };
    for (table, indexes) in parts {
        reindex_table(s, table, indexes, concurrently);
    }
}

/// The index is part of the partitioned one.
fn below(s: &Seen<'_>, index: Id, root: Id) -> bool {
    let mut at = Some(index);
    while let Some(id) = at {
        if id == root {
            return true;
        }
        at = s.get(id).and_then(|r| r.index.as_ref()?.parent);
    }
    false
}

/// The index itself, or the parts of a partitioned one that hold something, each with its table.
pub(super) fn index_parts(s: &Seen<'_>, index: Id) -> Vec<(Id, Vec<Id>)> {
    let Some((r, i)) = s.get(index).and_then(|r| Some((r, r.index.as_ref()?))) else { return Vec::new() };
    if r.kind != RelKind::PartitionedIndex {
        return vec![(i.table, vec![index])];
    }
    let of = |child: Id| {
        s.before.indexes_of(child).into_iter().filter(|c| c.index.as_ref().is_some_and(|c| c.parent == Some(index))).map(|c| c.id)
    };
    s.before.children_of(i.table).into_iter().flat_map(of).flat_map(|c| index_parts(s, c)).collect()
}

pub(super) fn reindex_table(s: &mut Seen<'_>, table: Id, indexes: Vec<Id>, concurrently: bool) {
    s.lock(table, if concurrently { LockMode::ShareUpdateExclusive } else { LockMode::Share });
    if !indexes.is_empty() {
        s.scan(table);
    }
    for i in indexes {
        s.lock(i, if concurrently { LockMode::ShareUpdateExclusive } else { LockMode::AccessExclusive });
        // Exclusion constraints are left out with a warning.
        if !(concurrently && s.get(i).and_then(|r| r.index.as_ref()).is_some_and(|i| i.exclusion)) {
            s.build(i);
        }
    }
}
