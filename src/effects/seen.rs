//! Collects effects by relation, and names them at the end as they are called after the statement.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use imbl::ordmap::DiffItem;

use crate::catalog::{Catalog, ConKind, Id, RelKind, Relation};
use crate::op::{LockMode, PgVersion, QName};

use super::Effects;

pub struct Seen<'a> {
    pub before: &'a Catalog,
    pub after: &'a Catalog,
    pub pg: PgVersion,
    pub in_transaction: bool,
    pub fails: Option<(&'static str, String)>,
    locks: BTreeMap<Id, LockMode>,
    rewrites: BTreeSet<Id>,
    scans: BTreeSet<Id>,
    builds: BTreeSet<Id>,
    /// Relations of before that are gone or not the same afterwards.
    changed: Vec<&'a Arc<Relation>>,
}

impl<'a> Seen<'a> {
    pub fn new(before: &'a Catalog, after: &'a Catalog, pg: PgVersion) -> Self {
        Seen {
            before,
            after,
            pg,
            in_transaction: true,
            fails: None,
            locks: BTreeMap::new(),
            rewrites: BTreeSet::new(),
            scans: BTreeSet::new(),
            builds: BTreeSet::new(),
            changed: changed(before, after),
        }
    }

    /// The relation as it was before, or as an earlier part of the same statement made it.
    pub fn find(&self, name: &QName) -> Option<&'a Relation> {
        self.before.relation_by(name).or_else(|| self.after.relation_by(name))
    }

    pub fn get(&self, id: Id) -> Option<&'a Relation> {
        self.before.relation(id).or_else(|| self.after.relation(id))
    }

    pub fn lock(&mut self, id: Id, mode: LockMode) {
        let e = self.locks.entry(id).or_insert(mode);
        *e = (*e).max(mode);
    }

    /// The lock that was noted so far.
    pub fn locked(&self, id: Id) -> Option<LockMode> {
        self.locks.get(&id).copied()
    }

    /// The table and all its partitions.
    pub fn lock_tree(&mut self, id: Id, mode: LockMode) {
        self.with_partitions(id).into_iter().for_each(|t| self.lock(t, mode));
    }

    pub fn lock_indexes(&mut self, table: Id, mode: LockMode) {
        for i in self.before.indexes_of(table) {
            self.lock(i.id, mode);
        }
    }

    /// A table is read in full; a partitioned one has nothing to read, its partitions have.
    pub fn scan(&mut self, id: Id) {
        if self.get(id).is_some_and(|r| matches!(r.kind, RelKind::Table | RelKind::MaterializedView)) {
            self.scans.insert(id);
        }
    }

    pub fn build(&mut self, index: Id) {
        self.builds.insert(index);
    }

    /// The table gets a new file and its indexes are built anew.
    pub fn rewrite(&mut self, id: Id) {
        self.replace_file(id);
        self.scan(id);
    }

    /// Like a rewrite, without reading what was there: TRUNCATE.
    pub fn replace_file(&mut self, id: Id) {
        if !self.get(id).is_some_and(|r| matches!(r.kind, RelKind::Table | RelKind::MaterializedView)) {
            return;
        }
        self.rewrites.insert(id);
        for i in self.before.indexes_of(id) {
            self.lock(i.id, LockMode::AccessExclusive);
            self.builds.insert(i.id);
        }
    }

    /// Reads two tables as a query does, to check a foreign key.
    pub fn join(&mut self, table: Id, referenced: Id) {
        // One query for each table that holds rows; the other side is named as a whole.
        let holders: Vec<Id> =
            self.with_partitions(table).into_iter().filter(|p| self.get(*p).is_some_and(|r| r.kind == RelKind::Table)).collect();
        if holders.is_empty() {
            return;
        }
        let other = self.with_partitions(referenced).into_iter().map(|t| (t, referenced));
        for (part, root) in holders.into_iter().map(|t| (t, t)).chain(other) {
            self.scan(part);
            self.lock_planned_indexes(part, root, LockMode::AccessShare);
        }
    }

    /// The planner opens the indexes of what it plans: of a tree with this root, of a table named by itself. Those of tables with
    /// partitions it opens since 16, or where there never were any (`get_relation_info`).
    pub fn lock_planned_indexes(&mut self, id: Id, root: Id, mode: LockMode) {
        let tree = self.get(id).is_some_and(|r| r.kind == RelKind::PartitionedTable && (r.had_children || id != root));
        if self.pg.0 >= 16 || !tree {
            self.lock_indexes(id, mode);
        }
    }

    pub fn with_partitions(&self, id: Id) -> Vec<Id> {
        let mut out = vec![id];
        out.extend(self.before.partitions_of(id));
        out
    }

    /// What is gone, and what goes with it: whatever the statement was, Postgres locks it all before it removes anything.
    pub fn removals(&mut self) {
        for old in self.changed.clone() {
            let Some(new) = self.after.relation(old.id) else {
                self.lock(old.id, LockMode::AccessExclusive);
                self.foreign_keys_gone(old, &[]);
                if old.is_partition() {
                    self.partition_gone(old);
                }
                continue;
            };
            if Arc::ptr_eq(old, self.after.relations.get(&old.id).unwrap_or(old)) {
                continue;
            }
            // A column is gone, or its default with the sequence or function that it called.
            let columns = old.columns.iter().any(|c| {
                let still = new.columns.iter().find(|n| n.attnum == c.attnum);
                still.is_none_or(|n| c.default.is_some() && n.default.is_none())
            });
            let constraints = old.constraints.iter().any(|c| !new.constraints.iter().any(|n| n.name == c.name || n.kind == c.kind));
            let triggers =
                old.triggers.len() > new.triggers.len() || old.policies.len() > new.policies.len() || old.rules.len() > new.rules.len();
            if columns || constraints || triggers {
                self.lock(old.id, LockMode::AccessExclusive);
            }
            self.foreign_keys_gone(old, &new.constraints);
        }
    }

    /// The bounds of the table above change, and with them those of its default partition.
    fn partition_gone(&mut self, old: &Relation) {
        for p in &old.parents {
            self.lock(*p, LockMode::AccessExclusive);
            for sibling in self.before.children_of(*p) {
                if self.before.relation(sibling).is_some_and(|r| r.partition_bound == Some(crate::op::PartitionBound::Default)) {
                    self.lock(sibling, LockMode::AccessExclusive);
                }
            }
        }
    }

    /// The triggers that guard a referenced table are dropped. Before 15 a partitioned table has none of its own, its partitions have.
    pub fn lock_guards(&mut self, referenced: Id) {
        for part in self.with_partitions(referenced) {
            if self.pg.0 >= 15 || self.get(part).is_none_or(|r| r.kind != RelKind::PartitionedTable) {
                self.lock(part, LockMode::AccessExclusive);
            }
        }
    }

    /// A foreign key to the table is dropped and made again.
    pub fn remake_key(&mut self, referenced: Id) {
        self.lock_tree(referenced, LockMode::ShareRowExclusive);
        self.lock_guards(referenced);
    }

    /// Dropping a foreign key drops its triggers on both tables.
    fn foreign_keys_gone(&mut self, old: &Relation, left: &[crate::catalog::Constraint]) {
        for c in &old.constraints {
            // What guards the other table is with the key of the table above.
            if let ConKind::ForeignKey { table, .. } = &c.kind
                && !(c.inherited && old.is_partition())
                && !left.iter().any(|n| n.name == c.name || n.kind == c.kind)
            {
                self.lock(old.id, LockMode::AccessExclusive);
                self.lock_guards(*table);
            }
        }
    }

    pub fn into_effects(self) -> Effects {
        let (before, after) = (self.before, self.after);
        // Made by the statement itself: nobody waits for it. Indexes on older tables are named among the builds.
        let existed = |id: &Id| before.relations.contains_key(id);
        let name = |id: &Id| after.relation(*id).or_else(|| before.relation(*id)).map(Relation::rel_name);
        let temporary = |id: &Id| before.relation(*id).is_some_and(|r| r.persistence == crate::op::Persistence::Temporary);
        let keep = |id: &&Id| existed(id) && !temporary(id);
        Effects {
            locks: self.locks.iter().filter(|(id, _)| keep(id)).filter_map(|(id, m)| Some((name(id)?, *m))).collect(),
            rewrites: self.rewrites.iter().filter(keep).filter_map(name).collect(),
            scans: self.scans.iter().filter(keep).filter_map(name).collect(),
            builds: self
                .builds
                .iter()
                .filter(|id| {
                    let index = after.relation(**id).or_else(|| before.relation(**id));
                    // One that the same statement drops is not built.
                    after.relation(**id).is_some() && index.and_then(|r| r.index.as_ref()).is_some_and(|i| keep(&&i.table))
                })
                .filter_map(name)
                .collect(),
            dropped: self
                .changed
                .iter()
                .map(|old| &old.id)
                .filter(|id| !after.relations.contains_key(*id))
                .filter(keep)
                .filter_map(|id| before.relation(*id).map(Relation::rel_name))
                // One that the same statement makes anew under its name is there afterwards.
                .filter(|n| after.relation_named(&n.schema, &n.name).is_none())
                .collect(),
            in_transaction: self.in_transaction,
            fails: self.fails.as_ref().map(|(s, _)| s.to_string()),
            error: self.fails.map(|(_, m)| m),
        }
    }
}

/// Asks the two maps for their difference: a history is replayed in a time that does not grow with the number of tables that a statement leaves
/// alone.
fn changed<'a>(before: &'a Catalog, after: &'a Catalog) -> Vec<&'a Arc<Relation>> {
    let old = |item| match item {
        DiffItem::Update { old: (_, old), .. } | DiffItem::Remove(_, old) => Some(old),
        DiffItem::Add(..) => None,
    };
    if before.relations.ptr_eq(&after.relations) { Vec::new() } else { before.relations.diff(&after.relations).filter_map(old).collect() }
}

/// Relations that are there afterwards and were not before.
pub fn added<'a>(before: &'a Catalog, after: &'a Catalog) -> impl Iterator<Item = &'a Arc<Relation>> {
    before.relations.diff(&after.relations).filter_map(|item| match item {
        DiffItem::Add(_, new) => Some(new),
        DiffItem::Update { .. } | DiffItem::Remove(..) => None,
    })
}
