//! Inheritance and partitions: attaching, detaching, and what goes from parent to child.

use crate::op::{Name, PartitionBound, QName};

use super::apply::{Res, fails};
use super::{Catalog, ConKind, Constraint, Id, RelKind, Relation};

impl Catalog {
    /// What a new partition gets from its partitioned table: indexes, foreign keys, row triggers.
    pub(super) fn clone_to_partition(&mut self, parent: Id, partition: Id) -> Res<()> {
        let indexes: Vec<Id> = self.indexes_of(parent).iter().map(|r| r.id).collect();
        for ix in indexes {
            self.index_partition(ix, partition)?;
        }
        let Some(from) = self.shared(parent) else { return Ok(()) };
        for c in from.constraints.iter().filter(|c| matches!(c.kind, ConKind::ForeignKey { .. })) {
            self.clone_foreign_key(partition, c);
        }
        for t in from.triggers.iter().filter(|t| t.for_each_row) {
            self.clone_trigger(partition, t);
        }
        Ok(())
    }

    pub(super) fn attach_partition(&mut self, parent: Id, partition: &QName, bound: &PartitionBound) -> Res<()> {
        let id = self.need_relation(partition)?;
        let (Some(p), Some(c)) = (self.shared(parent), self.shared(id)) else { return Ok(()) };
        if p.kind != RelKind::PartitionedTable && !p.assumed {
            if p.index.is_some() {
                return self.attach_index(parent, partition);
            }
            return Err(fails("42809", format!("ALTER action ATTACH PARTITION cannot be performed on relation \"{}\"", p.name)));
        }
        if c.is_partition() {
            return Err(fails("42809", format!("\"{}\" is already a partition", c.name)));
        }
        if !c.parents.is_empty() {
            return Err(fails("42809", "cannot attach inheritance child as partition"));
        }
        if parent == id || self.descendants_of(id).contains(&parent) {
            return Err(fails("42P07", "circular inheritance not allowed"));
        }
        let temporary = |r: &Relation| r.persistence == crate::op::Persistence::Temporary;
        if temporary(&c) != temporary(&p) && !c.assumed && !p.assumed {
            let kind = |r: &Relation| if temporary(r) { "temporary" } else { "permanent" };
            let message = format!("cannot attach a {} relation as partition of {} relation \"{}\"", kind(&c), kind(&p), p.name);
            return Err(fails("42809", message));
        }
        if let Some(key) = p.constraints.iter().find(|k| referenced_table(k) == Some(id)) {
            let message =
                format!("cannot attach table \"{}\" as a partition because it is referenced by foreign key \"{}\"", c.name, key.name);
            return Err(fails("0A000", message));
        }
        if !c.assumed && !p.assumed {
            for column in &c.columns {
                if column.identity.is_some() && self.at_least(17) {
                    let message = format!("table \"{}\" being attached contains an identity column \"{}\"", c.name, column.name);
                    return Err(fails("55000", message));
                }
                if p.column(&column.name).is_none() {
                    let message = format!("table \"{}\" contains column \"{}\" not found in parent \"{}\"", c.name, column.name, p.name);
                    return Err(fails("42804", message));
                }
            }
            self.refuse_bound(p.id, bound)?;
            self.check_child_columns(&p, &c)?;
        }
        let bound = bound.clone();
        self.edit(id, |r| {
            r.parents.push(parent);
            r.partition_bound = Some(bound);
            r.columns.iter_mut().for_each(|c| c.inherited = true);
        });
        self.mark_merged_checks(parent, id);
        self.clone_to_partition(parent, id)?;
        // A parent's index that waited for this partition may be complete now.
        let waiting: Vec<Id> =
            self.indexes_of(parent).iter().filter(|r| r.index.as_ref().is_some_and(|i| !i.valid)).map(|r| r.id).collect();
        for ix in waiting {
            self.validate_partitioned_index(ix, parent);
        }
        Ok(())
    }

    /// Tables above the partition that foreign keys of its own point at.
    pub fn own_keys_into_own_tree(&self, partition: Id) -> Vec<Id> {
        let above = self.ancestors_of(partition);
        let keys = self.relation(partition).map(|r| r.constraints.as_slice()).unwrap_or_default();
        keys.iter().filter(|c| !c.inherited).filter_map(referenced_table).filter(|t| above.contains(t)).collect()
    }

    /// A table below that has the column from one outside of the tree too: what changes in the tree would differ there.
    pub(super) fn inherits_elsewhere(&self, tree: &[Id], column: &str) -> Option<&Relation> {
        let has_it = |p: &&Id| self.relation(**p).is_some_and(|p| p.column(column).is_some());
        let below = tree.iter().skip(1).filter_map(|t| self.relation(*t));
        { below }.find(|child| child.parents.iter().filter(has_it).any(|p| !tree.contains(p)))
    }

    /// Nearest first.
    fn ancestors_of(&self, table: Id) -> Vec<Id> {
        std::iter::successors(self.relation(table), |r| self.relation(*r.parents.first()?)).skip(1).map(|r| r.id).collect()
    }

    /// Postgres 14 takes the part of such a key that points at the partition for a key from outside, and trips over it unless the partition
    /// is a plain one right below the table that the key points at.
    fn refuse_detach_with_own_keys(&self, partition: Id) -> Res<()> {
        let plain = self.relation(partition).is_some_and(|r| r.kind == RelKind::Table);
        let nearest = self.ancestors_of(partition).first().copied();
        match self.own_keys_into_own_tree(partition).into_iter().find(|t| !(plain && nearest == Some(*t))) {
            Some(_) if !self.at_least(15) => {
                let name = self.relation(partition).map_or("", |r| r.name.as_str());
                Err(fails("2BP01", format!("cannot drop a part of a foreign key of \"{name}\" because the key requires it")))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn detach_partition(&mut self, parent: Id, partition: Id) -> Res<()> {
        self.refuse_detach_with_own_keys(partition)?;
        let above = self.ancestors_of(partition);
        // Postgres 14 forgets a key that the partition has from above and that points at the tree it leaves.
        let forgets = !self.at_least(15);
        let indexes: Vec<Id> = self
            .indexes_of(partition)
            .into_iter()
            .filter(|r| {
                r.index
                    .as_ref()
                    .and_then(|i| i.parent)
                    .is_some_and(|p| self.relation(p).is_some_and(|p| p.index.as_ref().is_some_and(|i| i.table == parent)))
            })
            .map(|r| r.id)
            .collect();
        for ix in indexes {
            self.set_index_parent(ix, None);
        }
        let triggers: Vec<String> = self.relation(parent).map(|p| p.triggers.iter().map(|t| t.name.clone()).collect()).unwrap_or_default();
        self.edit(partition, |r| {
            r.parents.retain(|p| *p != parent);
            r.partition_bound = None;
            r.constraints.retain(|c| !(forgets && c.inherited && referenced_table(c).is_some_and(|t| above.contains(&t))));
            r.constraints.iter_mut().for_each(|c| c.inherited = false);
            r.columns.iter_mut().for_each(|c| c.inherited = false);
            // Row triggers that came from the parent go with it.
            r.triggers.retain(|t| !(t.inherited && triggers.contains(&t.name)));
        });
        Ok(())
    }

    /// DETACH … CONCURRENTLY leaves a check behind that says what the bounds said.
    pub(super) fn keep_partition_condition(&mut self, partition: Id) -> Res<()> {
        let (Some(rel), Some(condition)) = (self.shared(partition), self.partition_condition(partition)) else { return Ok(()) };
        let sql = format!("ALTER TABLE {} ADD CHECK ({condition})", crate::quote::qualified(&rel.schema, &rel.name));
        for op in crate::lower::lower_text(&sql).into_iter().flat_map(|s| s.ops) {
            if let crate::op::OpKind::Alter { action: crate::op::AlterAction::AddConstraint(c), .. } = op.kind {
                self.add_constraint(partition, &c, false)?;
            }
        }
        Ok(())
    }

    /// What the bounds of the partition, and of those above it, say of its rows.
    pub fn partition_condition(&self, partition: Id) -> Option<String> {
        let rel = self.relation(partition)?;
        let parent = self.relation(*rel.parents.first()?)?;
        let keys = &parent.partition_by.as_ref()?.keys;
        let list = |values: &[crate::op::Expr]| values.iter().map(|v| v.text.as_str()).collect::<Vec<_>>().join(", ");
        let columns = list(keys);
        let row = if keys.len() == 1 { columns.clone() } else { format!("({columns})") };
        let finite = |values: &[crate::op::Expr]| {
            let end = |v: &crate::op::Expr| v.text.eq_ignore_ascii_case("minvalue") || v.text.eq_ignore_ascii_case("maxvalue");
            (!values.iter().any(end)).then(|| if values.len() == 1 { list(values) } else { format!("({})", list(values)) })
        };
        let mut terms: Vec<String> = match rel.partition_bound.as_ref()? {
            PartitionBound::Default => return None,
            PartitionBound::List(values) => vec![format!("{row} IN ({})", list(values))],
            PartitionBound::Hash { modulus, remainder } => vec![format!("satisfies_hash_partition(0, {modulus}, {remainder}, {columns})")],
            PartitionBound::Range { from, to } => {
                let ends = [(">=", finite(from)), ("<", finite(to))];
                let bounds = ends.into_iter().filter_map(|(op, end)| Some(format!("{row} {op} {}", end?)));
                keys.iter().map(|k| format!("{} IS NOT NULL", k.text)).chain(bounds).collect()
            }
        };
        if parent.is_partition() {
            terms.extend(self.partition_condition(parent.id));
        }
        Some(terms.join(" AND "))
    }

    /// What a default partition holds beside the others: none of their rows.
    pub fn default_condition(&self, parent: Id) -> Option<String> {
        let others = self.children_of(parent).into_iter().filter_map(|c| self.relation(c));
        let others = others.filter(|r| r.partition_bound != Some(PartitionBound::Default));
        let each: Option<Vec<String>> = others.map(|r| Some(format!("({})", self.partition_condition(r.id)?))).collect();
        Some(format!("NOT ({})", each?.join(" OR ")))
    }

    /// ALTER TABLE … INHERIT.
    pub(super) fn inherit(&mut self, child: Id, parent: &QName) -> Res<()> {
        let parent = self.need_relation(parent)?;
        let (Some(p), Some(c)) = (self.shared(parent), self.shared(child)) else { return Ok(()) };
        if c.parents.contains(&parent) {
            return Err(fails("42P07", format!("relation \"{}\" would be inherited from more than once", p.name)));
        }
        if parent == child || self.descendants_of(child).contains(&parent) {
            return Err(fails("42P07", "circular inheritance not allowed"));
        }
        if p.is_partition() {
            return Err(fails("42809", format!("cannot inherit from partition \"{}\"", p.name)));
        }
        if p.kind == RelKind::PartitionedTable {
            return Err(fails("42809", format!("cannot inherit from partitioned table \"{}\"", p.name)));
        }
        let temporary = |r: &Relation| r.persistence == crate::op::Persistence::Temporary;
        if temporary(&p) && !temporary(&c) {
            return Err(fails("42809", format!("cannot inherit from temporary relation \"{}\"", p.name)));
        }
        if !p.assumed && !c.assumed {
            self.check_child_columns(&p, &c)?;
        }
        self.edit(child, |r| r.parents.push(parent));
        self.mark_merged_checks(parent, child);
        Ok(())
    }

    pub(super) fn disinherit(&mut self, child: Id, parent: Id) {
        self.edit(child, |r| {
            r.parents.retain(|p| *p != parent);
            if r.parents.is_empty() {
                r.columns.iter_mut().for_each(|c| c.inherited = false);
                r.constraints.iter_mut().for_each(|c| c.inherited = false);
            }
        });
    }

    fn check_child_columns(&self, p: &Relation, c: &Relation) -> Res<()> {
        for pc in &p.columns {
            let Some(cc) = c.column(&pc.name) else {
                return Err(fails("42804", format!("child table is missing column \"{}\"", pc.name)));
            };
            if cc.ty != pc.ty {
                let message = format!("child table \"{}\" has different type for column \"{}\"", c.name, pc.name);
                return Err(fails("42804", message).unless(cc.ty.is_unknown() || pc.ty.is_unknown()));
            }
            if pc.collation != cc.collation {
                let message = format!("child table \"{}\" has different collation for column \"{}\"", c.name, pc.name);
                return Err(fails("42P21", message));
            }
            if pc.generated.is_some() && cc.generated.is_none() {
                return Err(fails("42804", format!("column \"{}\" in child table must be a generated column", pc.name)));
            }
            if cc.generated.is_some() && pc.generated.is_none() && self.at_least(16) {
                return Err(fails("42804", format!("column \"{}\" in child table must not be a generated column", pc.name)));
            }
            if pc.not_null && !cc.not_null {
                return Err(fails("42804", format!("column \"{}\" in child table must be marked NOT NULL", pc.name)));
            }
        }
        for pcon in p.constraints.iter().filter(|c| matches!(c.kind, ConKind::Check { .. }) && !c.no_inherit) {
            if c.constraint(&pcon.name).is_none() {
                return Err(fails("42804", format!("child table is missing constraint \"{}\"", pcon.name)));
            }
        }
        Ok(())
    }

    fn mark_merged_checks(&mut self, parent: Id, child: Id) {
        let Some(p) = self.shared(parent) else { return };
        let same = |c: &Constraint, o: &Constraint| match (&c.kind, &o.kind) {
            (ConKind::Check { .. }, ConKind::Check { .. }) => c.name == o.name,
            // Whatever they are called.
            (ConKind::NotNull { column: a }, ConKind::NotNull { column: b }) => a == b,
            _ => false,
        };
        // A partition's own constraint that says the same becomes the parent's.
        if self.relation(child).is_some_and(Relation::is_partition) {
            let merged = |c: &Constraint| p.constraints.iter().any(|o| same(c, o));
            self.edit(child, |r| r.constraints.iter_mut().filter(|c| merged(c)).for_each(|c| c.inherited = true));
        }
    }

    /// Every partition of the tree that holds rows.
    pub fn leaf_partitions(&self, table: Id) -> Vec<Id> {
        let mut out = self.partitions_of(table);
        out.retain(|id| self.relation(*id).is_some_and(|r| r.kind != RelKind::PartitionedTable));
        out
    }

    /// The columns of the partition key, expressions' columns included.
    pub fn partition_key_columns(&self, rel: &Relation) -> Vec<String> {
        let keys = rel.partition_by.iter().flat_map(|by| &by.keys);
        let mut out: Vec<String> = keys.flat_map(|k| self.columns_in(k, rel).unwrap_or_default()).collect();
        out.dedup();
        out
    }
}

fn referenced_table(c: &Constraint) -> Option<Id> {
    match &c.kind {
        ConKind::ForeignKey { table, .. } => Some(*table),
        _ => None,
    }
}

/// A name for a place in the catalog that has no words in the file.
pub(super) fn made_up(name: &str) -> Name {
    Name::new(name, crate::source::Span::default())
}
