//! Indexes: made, named, copied to partitions, attached.

use crate::op::{CreateIndex, IndexElement, Name, Options, QName, ReindexTarget, Volatility};

use super::apply::{Applied, Res, fails};
use super::names::{clip, columns_part, index_column_names, simple_column};
use super::{Catalog, ConKind, Constraint, Id, Index, RelKind, Relation};

/// An index that is to be made.
#[derive(Debug, Clone, Default)]
pub(super) struct NewIndex {
    pub name: Option<String>,
    pub unique: bool,
    pub primary: bool,
    pub exclusion: bool,
    pub constraint: bool,
    pub deferrable: bool,
    pub only: bool,
    pub method: Option<String>,
    pub elements: Vec<IndexElement>,
    pub include: Vec<Name>,
    pub filter: Option<crate::op::Expr>,
    pub nulls_not_distinct: bool,
    pub options: Options,
    pub tablespace: Option<String>,
    /// The index of the partitioned table that it is part of.
    pub parent: Option<Id>,
    /// Of the index that it is a copy of.
    pub attributes: Option<Vec<String>>,
    /// Backs this constraint, whose name and kind follow from the index.
    pub constraint_of: Option<Constraint>,
}

impl NewIndex {
    fn attributes(&self) -> Vec<String> {
        self.attributes.clone().unwrap_or_else(|| index_column_names(&self.elements, &self.include))
    }
}

impl Catalog {
    pub(super) fn create_index(&mut self, i: &CreateIndex) -> Res<Applied> {
        self.create_index_named(i, 0)
    }

    fn create_index_named(&mut self, i: &CreateIndex, depth: u8) -> Res<Applied> {
        let table = self.need_relation(&i.table)?;
        let Some(rel) = self.shared(table) else { return Ok(Applied::default()) };
        match rel.kind {
            RelKind::Table | RelKind::PartitionedTable | RelKind::MaterializedView => {}
            _ => return Err(fails("42809", format!("cannot create index on relation \"{}\"", rel.name))),
        }
        if rel.kind == RelKind::PartitionedTable && i.concurrently {
            return Err(fails("0A000", format!("cannot create index on partitioned table \"{}\" concurrently", rel.name)));
        }
        if let Some(name) = &i.name {
            let name = clip(name.as_str());
            if self.name_taken(&rel.schema, &name) {
                if i.if_not_exists && depth == 0 {
                    // The columns are looked at before the name is.
                    let mut other = i.clone();
                    other.name = None;
                    return self.clone().create_index_named(&other, 1).map(|_| Applied::skipped());
                }
                return Err(fails("42P07", format!("relation \"{name}\" already exists")));
            }
        }
        let new = NewIndex {
            name: i.name.as_ref().map(|n| clip(n.as_str())),
            unique: i.unique,
            only: i.only,
            method: i.method.clone(),
            elements: i.elements.clone(),
            include: i.include.clone(),
            filter: i.filter.clone(),
            nulls_not_distinct: i.nulls_not_distinct,
            options: i.options.clone(),
            tablespace: i.tablespace.clone(),
            ..NewIndex::default()
        };
        let id = self.build_index(table, new)?;
        // Columns and their types are looked at first.
        if i.unique
            && let Some(by) = &rel.partition_by
        {
            for key in by.keys.iter().filter_map(simple_column) {
                if !i.elements.iter().any(|e| simple_column(&e.expr) == Some(key)) {
                    return Err(fails("0A000", "unique constraint on partitioned table must include all partitioning columns"));
                }
            }
        }
        Ok(Applied::created(id))
    }

    /// Makes the index, its constraint, and the same on every partition.
    pub(super) fn build_index(&mut self, table: Id, new: NewIndex) -> Res<Id> {
        let Some(mut rel) = self.shared(table) else { return Ok(table) };
        if rel.assumed {
            for e in &new.elements {
                if let Some(c) = simple_column(&e.expr) {
                    self.need_column(table, &Name::new(c, e.expr.span))?;
                }
            }
            rel = self.shared(table).unwrap_or(rel);
        }
        let method = new.method.clone().unwrap_or_else(|| "btree".to_string());
        let mut columns: Vec<Option<String>> = Vec::new();
        let mut depends: Vec<String> = Vec::new();
        let mut uses = Vec::new();
        let mut on_virtual = false;
        let since = self.at_least(18);
        let kept = rel.clone();
        let is_virtual = |n: &String| since && kept.column(n).is_some_and(|c| c.generated.as_ref().is_some_and(|g| !g.stored));
        for e in &new.elements {
            match simple_column(&e.expr) {
                Some(c) => {
                    let c = clip(c);
                    let Some(column) = rel.column(&c) else {
                        return Err(fails("42703", format!("column \"{c}\" does not exist")));
                    };
                    on_virtual |= column.generated.as_ref().is_some_and(|g| !g.stored) && self.at_least(18);
                    self.refuse_key(e, &column.ty, &method)?;
                    depends.push(c.clone());
                    columns.push(Some(c));
                }
                None => {
                    let named = self.columns_in(&e.expr, &rel)?;
                    on_virtual |= named.iter().any(is_virtual);
                    depends.extend(named);
                    uses.extend(self.uses_of(&e.expr));
                    if self.planned_volatility(&e.expr).is_some_and(|v| v > Volatility::Immutable) {
                        return Err(fails("42P17", "functions in index expression must be marked IMMUTABLE"));
                    }
                    self.refuse_key(e, &self.type_of(&e.expr, Some(table)), &method)?;
                    columns.push(None);
                }
            }
        }
        let mut include = Vec::new();
        for n in &new.include {
            let n = clip(n.as_str());
            if rel.column(&n).is_none() && !rel.assumed {
                return Err(fails("42703", format!("column \"{n}\" does not exist")));
            }
            on_virtual |= is_virtual(&n);
            depends.push(n.clone());
            include.push(n);
        }
        if let Some(f) = &new.filter {
            let columns = self.columns_in(f, &rel)?;
            let virtual_column = |n: &String| rel.column(n).is_some_and(|c| c.generated.as_ref().is_some_and(|g| !g.stored));
            if self.at_least(18) && columns.iter().any(virtual_column) {
                return Err(fails("0A000", "indexes on virtual generated columns are not supported"));
            }
            depends.extend(columns);
            uses.extend(self.uses_of(f));
            if self.planned_volatility(f).is_some_and(|v| v > Volatility::Immutable) {
                return Err(fails("42P17", "functions in index predicate must be marked IMMUTABLE"));
            }
        }
        // Asked when everything else about the keys is known.
        if on_virtual {
            let what = match (new.primary, new.constraint) {
                (true, _) => "primary keys",
                (_, true) => "unique constraints",
                _ => "indexes",
            };
            return Err(fails("0A000", format!("{what} on virtual generated columns are not supported")));
        }
        depends.sort();
        depends.dedup();
        let name = match &new.name {
            Some(n) if self.name_taken(&rel.schema, n) => return Err(fails("42P07", format!("relation \"{n}\" already exists"))),
            Some(n) if new.constraint_of.is_some() && new.parent.is_none() && rel.constraint(n).is_some() && !rel.assumed => {
                return Err(fails("42710", format!("constraint \"{n}\" for relation \"{}\" already exists", rel.name)));
            }
            Some(n) => n.clone(),
            None => self.index_name(&rel, &new),
        };
        let attributes = new.attributes();
        let id = self.fresh();
        let partitioned = rel.kind == RelKind::PartitionedTable;
        let kind = if partitioned { RelKind::PartitionedIndex } else { RelKind::Index };
        let mut ix = Relation::empty(id, rel.schema.clone(), name.clone(), kind, self.now);
        ix.persistence = rel.persistence;
        ix.options = new.options.clone();
        ix.tablespace = new.tablespace.clone();
        ix.access_method = Some(method.clone());
        let children = if partitioned { self.children_of(table) } else { Vec::new() };
        let key_columns: Vec<String> = columns.iter().flatten().cloned().collect();
        ix.index = Some(Index {
            table,
            unique: new.unique,
            primary: new.primary,
            exclusion: new.exclusion,
            // ON ONLY leaves the index invalid until every partition has one attached.
            valid: !(partitioned && new.only && !children.is_empty()),
            method,
            elements: new.elements.clone(),
            columns,
            include,
            attributes,
            depends,
            filter: new.filter.clone(),
            nulls_not_distinct: new.nulls_not_distinct,
            constraint: new.constraint,
            deferrable: new.deferrable,
            parent: new.parent,
            only: partitioned && new.only && !children.is_empty(),
            uses,
        });
        self.put(ix);
        if let Some(c) = &new.constraint_of {
            let kind = if new.primary {
                ConKind::PrimaryKey { columns: key_columns, index: id }
            } else if new.exclusion {
                ConKind::Exclude { index: id, columns: key_columns }
            } else {
                ConKind::Unique { columns: key_columns, index: id, nulls_not_distinct: new.nulls_not_distinct }
            };
            let made = Constraint { name, kind, inherited: new.parent.is_some(), comment: None, ..c.clone() };
            self.edit(table, |r| r.constraints.push(made));
        }
        if !new.only {
            for child in children {
                self.index_partition(id, child)?;
            }
        }
        Ok(id)
    }

    fn index_name(&self, rel: &Relation, new: &NewIndex) -> String {
        if new.primary {
            return self.choose_relation_name(&rel.schema, &rel.name, None, "pkey", true);
        }
        let label = match (new.exclusion, new.constraint) {
            (true, _) => "excl",
            (_, true) => "key",
            _ => "idx",
        };
        self.choose_relation_name(&rel.schema, &rel.name, Some(&columns_part(&new.attributes())), label, new.constraint)
    }

    /// Attaches a matching index of the partition to the parent's, or makes one.
    pub(super) fn index_partition(&mut self, parent_index: Id, partition: Id) -> Res<()> {
        let Some(parent) = self.shared(parent_index) else { return Ok(()) };
        let Some(p) = parent.index.clone() else { return Ok(()) };
        if self.relation(partition).is_none_or(|r| !r.is_partition()) {
            return Ok(());
        }
        let matching = self.indexes_of(partition).into_iter().find(|r| {
            r.index.as_ref().is_some_and(|i| i.parent.is_none() && i.valid && same_definition(&p, i) && (!p.constraint || i.constraint))
        });
        if let Some(found) = matching.map(|r| r.id) {
            self.set_index_parent(found, Some(parent_index));
            return Ok(());
        }
        let constraint_of = self.constraint_of_index(p.table, parent_index).map(|mut c| {
            c.origin = self.now;
            c
        });
        if p.primary {
            if let Some(other) = self.relation(partition).filter(|r| r.primary_key().is_some()) {
                return Err(fails("42P16", format!("multiple primary keys for table \"{}\" are not allowed", other.name)));
            }
            for k in p.columns.iter().flatten() {
                self.mark_not_null(partition, k, None, true, true)?;
            }
        }
        let new = NewIndex { parent: Some(parent_index), constraint_of, ..from_index(&parent, &p) };
        self.build_index(partition, new)?;
        Ok(())
    }

    /// ALTER COLUMN TYPE makes the indexes on the column anew, with the names that the table's columns have today.
    pub(super) fn remake_indexes(&mut self, table: Id, column: &str) -> Res<()> {
        for tree in self.with_descendants(table, false) {
            let on = self.indexes_of(tree).into_iter().filter_map(|r| Some((r.id, r, r.index.as_ref()?)));
            let uses = on.filter(|(.., i)| i.depends.iter().any(|d| d == column));
            let today: Vec<(Id, Vec<String>)> =
                uses.map(|(id, r, i)| (id, NewIndex { attributes: None, ..from_index(r, i) }.attributes())).collect();
            for (index, attributes) in today {
                self.edit(index, |r| r.index.iter_mut().for_each(|i| i.attributes.clone_from(&attributes)));
            }
        }
        self.remake_partition_indexes(table, column)
    }

    /// Those of a partitioned table get new parts under the names that new parts get, whatever the old ones were called and how they sorted.
    fn remake_partition_indexes(&mut self, table: Id, column: &str) -> Res<()> {
        let uses =
            |r: &&Relation| r.kind == RelKind::PartitionedIndex && r.index.as_ref().is_some_and(|i| i.depends.iter().any(|d| d == column));
        let mut whole: Vec<(bool, Id)> =
            self.indexes_of(table).into_iter().filter(uses).map(|r| (!r.index.as_ref().is_some_and(|i| i.constraint), r.id)).collect();
        // Constraints come first.
        whole.sort_unstable();
        let mut parts: Vec<Id> = whole.iter().map(|(_, id)| *id).collect();
        let mut next = 0;
        while let Some(id) = parts.get(next).copied() {
            next += 1;
            parts.extend(
                self.referrers(id).filter(|r| self.relation(*r).and_then(|r| r.index.as_ref()).is_some_and(|i| i.parent == Some(id))),
            );
        }
        for part in parts.split_off(whole.len()) {
            if let Some(on) = self.relation(part).and_then(|r| r.index.as_ref()).map(|i| i.table) {
                self.edit(on, |r| r.constraints.retain(|c| c.kind.index() != Some(part)));
            }
            self.remove_relation(part);
        }
        for (_, index) in whole {
            for child in self.children_of(table) {
                self.index_partition(index, child)?;
            }
            self.validate_partitioned_index(index, table);
        }
        Ok(())
    }

    pub(super) fn set_index_parent(&mut self, index: Id, parent: Option<Id>) {
        let Some(table) = self.relation(index).and_then(|r| r.index.as_ref()).map(|i| i.table) else { return };
        self.edit(index, |r| {
            if let Some(i) = &mut r.index {
                i.parent = parent;
            }
        });
        self.edit(table, |r| {
            r.constraints.iter_mut().filter(|c| c.kind.index() == Some(index)).for_each(|c| c.inherited = parent.is_some());
        });
    }

    pub(super) fn constraint_of_index(&self, table: Id, index: Id) -> Option<Constraint> {
        self.relation(table)?.constraints.iter().find(|c| c.kind.index() == Some(index)).cloned()
    }

    /// LIKE … INCLUDING INDEXES: the same indexes under new names.
    pub(super) fn copy_indexes(&mut self, from: Id, to: Id) -> Res<()> {
        let indexes: Vec<Relation> = self.indexes_of(from).into_iter().cloned().collect();
        // The primary key comes first, as in any CREATE TABLE.
        let (first, rest): (Vec<_>, Vec<_>) = indexes.into_iter().partition(|r| r.index.as_ref().is_some_and(|i| i.primary));
        for ix in first.into_iter().chain(rest) {
            let Some(i) = ix.index.clone() else { continue };
            if i.primary && self.relation(to).is_some_and(|r| r.primary_key().is_some()) {
                let name = self.relation(to).map(|r| r.name.clone()).unwrap_or_default();
                return Err(fails("42P16", format!("multiple primary keys for table \"{name}\" are not allowed")));
            }
            if i.primary {
                for k in i.columns.iter().flatten() {
                    self.mark_not_null(to, k, None, true, true)?;
                }
            }
            let constraint_of = self.constraint_of_index(from, ix.id).map(|c| Constraint { origin: self.now, ..c });
            self.build_index(to, NewIndex { constraint_of, ..from_index(&ix, &i) })?;
        }
        Ok(())
    }

    /// ALTER INDEX … ATTACH PARTITION.
    pub(super) fn attach_index(&mut self, parent: Id, child: &QName) -> Res<()> {
        let child = self.need_relation_of(child, RelKind::Index)?;
        let (Some(p), Some(c)) = (self.shared(parent), self.shared(child)) else { return Ok(()) };
        let (Some(pi), Some(ci)) = (&p.index, &c.index) else {
            return if p.assumed || c.assumed { Ok(()) } else { Err(fails("42809", format!("\"{}\" is not an index", c.name))) };
        };
        if ci.parent == Some(parent) {
            return Ok(());
        }
        if ci.parent.is_some() {
            let message = format!("cannot attach index \"{}\" as a partition of index \"{}\"", c.name, p.name);
            return Err(fails("55000", message));
        }
        if !self.relation(ci.table).is_some_and(|t| t.is_partition() && t.parents.contains(&pi.table)) {
            let message = format!("cannot attach index \"{}\" as a partition of index \"{}\"", c.name, p.name);
            return Err(fails("55000", message));
        }
        if !same_definition(pi, ci) {
            let message = format!("cannot attach index \"{}\" as a partition of index \"{}\"", c.name, p.name);
            return Err(fails("42P17", message));
        }
        let table = pi.table;
        self.set_index_parent(child, Some(parent));
        self.validate_partitioned_index(parent, table);
        Ok(())
    }

    /// A partitioned index becomes valid when every partition has a valid part of it.
    pub(super) fn validate_partitioned_index(&mut self, parent: Id, table: Id) {
        let complete = self
            .children_of(table)
            .iter()
            .all(|child| self.indexes_of(*child).iter().any(|r| r.index.as_ref().is_some_and(|i| i.parent == Some(parent) && i.valid)));
        if !complete {
            return;
        }
        self.edit(parent, |r| {
            if let Some(i) = &mut r.index {
                i.valid = true;
                i.only = false;
            }
        });
        let above = self.relation(parent).and_then(|r| r.index.as_ref()?.parent);
        if let Some((above, table)) = above.and_then(|a| Some((a, self.relation(a)?.index.as_ref()?.table))) {
            self.validate_partitioned_index(above, table);
        }
    }

    pub(super) fn reindex(&mut self, target: ReindexTarget, name: Option<&QName>) -> Res<Applied> {
        let Some(name) = name else { return Ok(Applied::default()) };
        match target {
            ReindexTarget::Index => {
                let id = self.need_relation_of(name, RelKind::Index)?;
                if let Some(r) = self.relation(id)
                    && !r.kind.is_index()
                    && !r.assumed
                {
                    return Err(fails("42809", format!("\"{}\" is not an index", r.name)));
                }
                self.edit(id, |r| {
                    if let Some(i) = r.index.as_mut().filter(|i| !i.only) {
                        i.valid = true;
                    }
                });
            }
            ReindexTarget::Table => {
                self.need_relation(name)?;
            }
            ReindexTarget::Schema => {
                self.need_schema(name.as_str())?;
            }
            ReindexTarget::Database | ReindexTarget::System => {}
        }
        Ok(Applied::default())
    }

    pub(super) fn cluster(&mut self, table: Option<&QName>, index: Option<&Name>) -> Res<Applied> {
        let Some(table) = table else { return Ok(Applied::default()) };
        let id = self.need_relation(table)?;
        if let Some(index) = index {
            self.cluster_on(id, index)?;
        }
        Ok(Applied::default())
    }

    pub(super) fn cluster_on(&mut self, id: Id, index: &Name) -> Res<()> {
        let Some(rel) = self.relation(id) else { return Ok(()) };
        let name = clip(index.as_str());
        let found = self.relation_named(&rel.schema, &name).filter(|i| i.index.as_ref().is_some_and(|i| i.table == id)).map(|i| i.id);
        match found {
            None if rel.assumed => Ok(()),
            None => Err(fails("42704", format!("index \"{name}\" for table \"{}\" does not exist", rel.name))),
            Some(index) => {
                if let Some(index) = self.relation(index) {
                    self.clusterable(index)?;
                }
                self.edit(id, |r| r.clustered_on = Some(index));
                Ok(())
            }
        }
    }

    pub(super) fn has_extension(&self, name: &str) -> bool {
        self.objects_of(crate::op::ObjectKind::Extension).any(|o| o.name == name)
    }
}

/// The same definition without name and table.
fn from_index(rel: &Relation, i: &Index) -> NewIndex {
    NewIndex {
        unique: i.unique,
        primary: i.primary,
        exclusion: i.exclusion,
        constraint: i.constraint,
        deferrable: i.deferrable,
        method: Some(i.method.clone()),
        elements: i.elements.clone(),
        include: i.include.iter().map(|n| Name::new(n.clone(), crate::source::Span::default())).collect(),
        filter: i.filter.clone(),
        nulls_not_distinct: i.nulls_not_distinct,
        options: rel.options.clone(),
        attributes: Some(i.attributes.clone()),
        ..NewIndex::default()
    }
}

/// `CompareIndexInfo`: same method, keys and predicate.
pub(super) fn same_definition(a: &Index, b: &Index) -> bool {
    let elements = |i: &Index| -> Vec<String> {
        i.elements
            .iter()
            .map(|e| {
                let key = simple_column(&e.expr).map_or_else(|| normal(&e.expr.text), str::to_string);
                format!("{key}/{:?}", e.opclass.as_ref().map(ToString::to_string))
            })
            .collect()
    };
    // Exclusion constraints are not compared: each partition gets one of its own.
    !a.exclusion
        && !b.exclusion
        && a.unique == b.unique
        && a.method == b.method
        && a.nulls_not_distinct == b.nulls_not_distinct
        && a.include == b.include
        && elements(a) == elements(b)
        && a.filter.as_ref().map(|f| normal(&f.text)) == b.filter.as_ref().map(|f| normal(&f.text))
}

/// Text without the differences that do not matter.
pub(super) fn normal(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '(' | ')')).flat_map(char::to_lowercase).collect()
}
