//! Constraints: made, named, handed down, validated, renamed.

use crate::op::{ColumnDef, ConstraintKind, FkAction, ForeignKey, IndexElement, Name, TableConstraint};

use super::apply::{Res, fails};
use super::exprs::has_subquery;
use super::indexes::NewIndex;
use super::names::{clip, collation, columns_part};
use super::tables::column_expr;
use super::{Catalog, ConKind, Constraint, Id, RelKind, Relation};

impl Catalog {
    /// Adds any constraint to a table that is there. `only`: ALTER TABLE ONLY.
    pub(super) fn add_constraint(&mut self, id: Id, c: &TableConstraint, only: bool) -> Res<()> {
        let Some(rel) = self.shared(id) else { return Ok(()) };
        match rel.kind {
            RelKind::Table | RelKind::PartitionedTable => {}
            RelKind::ForeignTable if matches!(c.kind, ConstraintKind::Check { .. } | ConstraintKind::NotNull { .. }) => {}
            RelKind::ForeignTable => {
                let what = match c.kind {
                    ConstraintKind::PrimaryKey { .. } => "primary key",
                    ConstraintKind::Unique { .. } => "unique",
                    ConstraintKind::Exclude { .. } => "exclusion",
                    _ => "foreign key",
                };
                return Err(fails("0A000", format!("{what} constraints are not supported on foreign tables")));
            }
            _ => return Err(super::alter::wrong_kind(&rel, "ADD CONSTRAINT")),
        }
        // A key takes its name from its index, which is looked at later and first among relations.
        let of_column = match &c.kind {
            ConstraintKind::NotNull { column } => {
                let name = clip(column.as_str());
                rel.constraints.iter().find(|o| matches!(&o.kind, ConKind::NotNull { column } if *column == name))
            }
            _ => None,
        };
        if let Some(old) = of_column.filter(|_| self.at_least(18)) {
            let other_name = c.name.as_ref().is_some_and(|n| clip(n.as_str()) != old.name);
            if other_name || !c.not_valid && !old.validated {
                let message = format!("cannot create not-null constraint on a column of table \"{}\" that has \"{}\"", rel.name, old.name);
                return Err(fails("55000", message));
            }
        }
        // What is asked of an index comes first.
        let by_index = matches!(c.kind, ConstraintKind::PrimaryKey { .. } | ConstraintKind::Unique { .. } | ConstraintKind::Exclude { .. });
        if let Some(name) = &c.name
            && let Some(old) = rel.constraint(&clip(name.as_str()))
            && of_column.is_none()
            && !by_index
            && !(old.inherited && same_check(old, c))
        {
            return Err(fails("42710", format!("constraint \"{}\" for relation \"{}\" already exists", clip(name.as_str()), rel.name)));
        }
        match &c.kind {
            ConstraintKind::Check { .. } => self.add_check(&rel, c, only),
            ConstraintKind::NotNull { column } => self.add_not_null(&rel, c, column, only),
            ConstraintKind::Unique { using_index: Some(index), .. } => self.add_using_index(&rel, c, index, false),
            ConstraintKind::PrimaryKey { using_index: Some(index), .. } => self.add_using_index(&rel, c, index, true),
            ConstraintKind::Unique { .. } | ConstraintKind::PrimaryKey { .. } | ConstraintKind::Exclude { .. } => {
                self.add_index_constraint(&rel, c, only)
            }
            ConstraintKind::ForeignKey(fk) => self.add_foreign_key(&rel, c, fk, only),
        }
    }

    fn constraint(&self, c: &TableConstraint, name: String, kind: ConKind) -> Constraint {
        Constraint {
            name,
            kind,
            validated: !c.not_valid && !c.not_enforced,
            enforced: !c.not_enforced,
            deferrable: c.deferrable,
            initially_deferred: c.initially_deferred,
            no_inherit: c.no_inherit,
            inherited: false,
            uses: Vec::new(),
            origin: self.now,
            comment: None,
        }
    }

    fn add_check(&mut self, rel: &Relation, c: &TableConstraint, only: bool) -> Res<()> {
        let ConstraintKind::Check { expr } = &c.kind else { return Ok(()) };
        if has_subquery(expr) {
            return Err(fails("0A000", "cannot use subquery in check constraint"));
        }
        let columns = self.columns_in(expr, rel)?;
        self.refuse_written_casts(expr, rel)?;
        if c.no_inherit && rel.kind == RelKind::PartitionedTable {
            return Err(fails("42P16", format!("cannot add NO INHERIT constraint to partitioned table \"{}\"", rel.name)));
        }
        let name = match &c.name {
            Some(n) => clip(n.as_str()),
            None => {
                let column = if columns.len() == 1 { Some(columns[0].as_str()) } else { None };
                self.choose_constraint_name(&rel.schema, &rel.name, column, "check", &[])
            }
        };
        if c.no_inherit && rel.kind == RelKind::PartitionedTable {
            return Err(fails("42P16", format!("cannot add NO INHERIT constraint to partitioned table \"{}\"", rel.name)));
        }
        let children = self.children_of(rel.id);
        if only && !children.is_empty() && !c.no_inherit {
            return Err(fails("42P16", "constraint must be added to child tables too"));
        }
        let mut made = self.constraint(c, name, ConKind::Check { expr: expr.clone(), columns });
        made.uses = self.uses_of(expr);
        if let Some(old) = rel.constraint(&made.name) {
            // The same check came from a parent: it is now declared here too.
            let name = old.name.clone();
            self.edit(rel.id, |r| r.constraints.iter_mut().filter(|o| o.name == name).for_each(|o| o.inherited = false));
            return Ok(());
        }
        self.edit(rel.id, |r| r.constraints.push(made.clone()));
        if !c.no_inherit {
            for child in children {
                self.hand_down(child, &made)?;
            }
        }
        Ok(())
    }

    /// Gives a child its parent's check, or joins it with the one of the same name.
    pub(super) fn hand_down(&mut self, child: Id, c: &Constraint) -> Res<()> {
        if let Some(r) = self.relation(child)
            && let Some(old) = r.constraint(&c.name)
            && let (ConKind::Check { expr: a, .. }, ConKind::Check { expr: b, .. }) = (&old.kind, &c.kind)
            && super::indexes::normal(&a.text) != super::indexes::normal(&b.text)
        {
            return Err(fails("42710", format!("constraint \"{}\" for relation \"{}\" already exists", c.name, r.name)));
        }
        self.edit(child, |r| match r.constraints.iter_mut().find(|o| o.name == c.name) {
            Some(_) => {}
            None => r.constraints.push(Constraint { inherited: true, comment: None, ..c.clone() }),
        });
        for grandchild in self.children_of(child) {
            self.hand_down(grandchild, c)?;
        }
        Ok(())
    }

    /// Checks (and, where they are objects, NOT NULLs) of all parents.
    pub(super) fn inherit_checks(&mut self, id: Id) -> Res<()> {
        let parents = self.relation(id).map(|r| r.parents.clone()).unwrap_or_default();
        for parent in parents {
            for c in self.relation(parent).map(|p| p.constraints.clone()).unwrap_or_default() {
                if matches!(c.kind, ConKind::Check { .. } | ConKind::NotNull { .. }) && !c.no_inherit {
                    self.edit(id, |r| {
                        let there = r.constraints.iter().any(|o| match (&o.kind, &c.kind) {
                            (ConKind::NotNull { column: a }, ConKind::NotNull { column: b }) => a == b,
                            _ => o.name == c.name,
                        });
                        if !there {
                            // A new table holds no row that could break it.
                            let validated = c.validated || c.enforced && matches!(c.kind, ConKind::Check { .. });
                            r.constraints.push(Constraint { inherited: true, comment: None, validated, ..c.clone() });
                        }
                    });
                }
            }
        }
        Ok(())
    }

    fn add_not_null(&mut self, rel: &Relation, c: &TableConstraint, column: &Name, only: bool) -> Res<()> {
        let column = self.need_column(rel.id, column)?;
        let name = c.name.as_ref().map(|n| clip(n.as_str()));
        self.mark_not_null(rel.id, &column, name, !c.not_valid, only)
    }

    /// SET NOT NULL of ONLY a partitioned table: before 18 it goes where all partitions have it already.
    pub(super) fn refuse_only_not_null(&self, rel: &Relation, column: &str, only: bool) -> Res<()> {
        if !only || rel.kind != RelKind::PartitionedTable || rel.column(column).is_none_or(|c| c.not_null) {
            return Ok(());
        }
        let lacks = |id: &Id| self.relation(*id).and_then(|r| r.column(column)).is_some_and(|c| !c.not_null);
        match self.children_of(rel.id).iter().any(|c| self.at_least(18) || lacks(c)) {
            true => Err(fails("42P16", "constraint must be added to child tables too")),
            false => Ok(()),
        }
    }

    /// NOT NULL on the column and on its children; an object of its own from 18 on.
    pub(super) fn mark_not_null(&mut self, id: Id, column: &str, name: Option<String>, valid: bool, only: bool) -> Res<()> {
        let Some(rel) = self.shared(id) else { return Ok(()) };
        let existing = rel.constraints.iter().position(|c| matches!(&c.kind, ConKind::NotNull { column: n } if n == column));
        let make = self.at_least(18) && existing.is_none();
        let name = if make {
            Some(name.unwrap_or_else(|| self.choose_constraint_name(&rel.schema, &rel.name, Some(column), "not_null", &[])))
        } else {
            None
        };
        let origin = self.now;
        self.edit(id, |r| {
            if let Some(c) = r.column_mut(column) {
                c.not_null = true;
            }
            if let Some(i) = existing {
                r.constraints[i].validated |= valid;
            }
            if let Some(name) = name.clone() {
                r.constraints.push(Constraint {
                    name,
                    kind: ConKind::NotNull { column: column.to_string() },
                    validated: valid,
                    enforced: true,
                    deferrable: false,
                    initially_deferred: false,
                    no_inherit: false,
                    inherited: false,
                    uses: Vec::new(),
                    origin,
                    comment: None,
                });
            }
        });
        if !only {
            for child in self.children_of(id) {
                self.mark_not_null(child, column, name.clone(), valid, false)?;
            }
        }
        Ok(())
    }

    /// Names the NOT NULLs of new columns, where they are objects.
    pub(super) fn name_not_nulls(&mut self, id: Id, defs: &[ColumnDef], sources: &[Id]) -> Res<()> {
        if !self.at_least(18) {
            return Ok(());
        }
        let columns: Vec<String> =
            self.relation(id).map(|r| r.columns.iter().filter(|c| c.not_null).map(|c| c.name.clone()).collect()).unwrap_or_default();
        for column in columns {
            let def = defs.iter().find(|d| clip(d.name.as_str()) == column);
            let name = def.and_then(|d| d.not_null_name.as_ref()).map(|n| clip(n.as_str()));
            // A column that comes from elsewhere brings the name along, unless it is taken here.
            let declared = def.is_some_and(|d| d.nullable == Some(false));
            let brought = sources.iter().filter(|_| !declared).filter_map(|s| self.relation(*s)).find_map(|r| {
                r.constraints.iter().find(|c| matches!(&c.kind, ConKind::NotNull { column: n } if *n == column)).map(|c| c.name.clone())
            });
            let brought = brought.filter(|n| self.relation(id).is_some_and(|r| r.constraint(n).is_none()));
            self.mark_not_null(id, &column, name.or(brought), true, true)?;
            // What comes from above is not the table's own, unless its own words say so too.
            let above = self.relation(id).filter(|_| !declared).map(|r| r.parents.clone()).unwrap_or_default();
            let is = |c: &Constraint| matches!(&c.kind, ConKind::NotNull { column: n } if *n == column);
            if above.iter().filter_map(|p| self.relation(*p)).any(|p| p.constraints.iter().any(is)) {
                self.edit(id, |r| r.constraints.iter_mut().filter(|c| is(c)).for_each(|c| c.inherited = true));
            }
        }
        Ok(())
    }

    /// PRIMARY KEY first, then the rest as written; a constraint that repeats an earlier one is not made again.
    pub(super) fn index_constraints_of(&mut self, id: Id, wanted: &[TableConstraint]) -> Res<()> {
        let is_primary = |c: &&TableConstraint| matches!(c.kind, ConstraintKind::PrimaryKey { .. });
        let others = wanted.iter().filter(|c| matches!(c.kind, ConstraintKind::Unique { .. } | ConstraintKind::Exclude { .. }));
        let mut seen: Vec<TableConstraint> = Vec::new();
        for c in wanted.iter().filter(is_primary).chain(others) {
            match seen.iter_mut().find(|s| same_index(s, c)) {
                // The first stays; a name goes over to it where it has none.
                Some(first) => first.name = first.name.take().or_else(|| c.name.clone()),
                None => seen.push(c.clone()),
            }
        }
        for c in seen {
            self.add_constraint(id, &c, false)?;
        }
        Ok(())
    }

    fn add_index_constraint(&mut self, rel: &Relation, c: &TableConstraint, only: bool) -> Res<()> {
        let primary = matches!(c.kind, ConstraintKind::PrimaryKey { .. });
        let mut new = NewIndex { unique: true, primary, constraint: true, deferrable: c.deferrable, only, ..NewIndex::default() };
        new.name = c.name.as_ref().map(|n| clip(n.as_str()));
        let keys: &[Name] = match &c.kind {
            ConstraintKind::PrimaryKey { columns, include, .. } => {
                new.include = include.clone();
                columns
            }
            ConstraintKind::Unique { columns, include, nulls_not_distinct, .. } => {
                new.include = include.clone();
                new.nulls_not_distinct = *nulls_not_distinct;
                columns
            }
            ConstraintKind::Exclude { method, elements, filter } => {
                new.unique = false;
                new.exclusion = true;
                new.method = method.clone();
                new.filter = filter.clone();
                new.elements = elements.iter().map(|(e, _)| e.clone()).collect();
                &[]
            }
            _ => return Ok(()),
        };
        let mut columns: Vec<String> = Vec::new();
        for k in keys {
            let k = match self.need_column(rel.id, k) {
                Ok(k) => k,
                Err(_) => return Err(fails("42703", format!("column \"{}\" named in key does not exist", clip(k.as_str())))),
            };
            if columns.contains(&k) {
                let what = if primary { "primary key" } else { "unique" };
                return Err(fails("42701", format!("column \"{k}\" appears twice in {what} constraint")));
            }
            new.elements.push(IndexElement {
                expr: column_expr(&k),
                collation: None,
                opclass: None,
                opclass_options: Vec::new(),
                descending: false,
                nulls_first: None,
            });
            columns.push(k);
        }
        if new.exclusion && rel.partition_by.is_some() && !self.at_least(17) {
            return Err(fails("0A000", "exclusion constraints are not supported on partitioned tables"));
        }
        for n in &columns {
            // The operator class of a column is looked for before the partition key and other keys are.
            if let Some(c) = rel.column(n)
                && (rel.partition_by.is_some() || primary)
                && super::opclasses::has_default(self, &c.ty, "btree") == Some(false)
            {
                let message = format!("data type {} has no default operator class for access method \"btree\"", c.ty);
                return Err(fails("42704", message).unless(self.unknown_extension()));
            }
        }
        if primary && rel.primary_key().is_some() {
            return Err(fails("42P16", format!("multiple primary keys for table \"{}\" are not allowed", rel.name)));
        }
        if new.exclusion {
            columns = new.elements.iter().filter_map(|e| super::names::simple_column(&e.expr)).map(clip).collect();
        }
        if let Some(by) = &rel.partition_by {
            for key in &by.keys {
                let what = if primary { "PRIMARY KEY" } else { "UNIQUE" };
                match super::names::simple_column(key) {
                    Some(k) if columns.iter().any(|c| c == k) => {}
                    Some(_) => {
                        return Err(fails("0A000", "unique constraint on partitioned table must include all partitioning columns"));
                    }
                    None => {
                        let message = format!("unsupported {what} constraint with partition key definition");
                        return Err(fails("0A000", message));
                    }
                }
            }
        }
        if primary && only && self.at_least(18) {
            for child in self.children_of(rel.id).into_iter().filter_map(|id| self.relation(id)) {
                if let Some(k) = columns.iter().find(|k| child.column(k).is_some_and(|c| !c.not_null)) {
                    return Err(fails("XX000", format!("column \"{k}\" of table \"{}\" is not marked NOT NULL", child.name)));
                }
            }
        }
        if primary {
            for k in columns.iter().filter(|_| !self.at_least(18)) {
                self.refuse_only_not_null(rel, k, only)?;
            }
            for k in &columns {
                self.mark_not_null(rel.id, k, None, true, only)?;
            }
        }
        new.constraint_of = Some(self.constraint(c, String::new(), ConKind::NotNull { column: String::new() }));
        self.build_index(rel.id, new)?;
        Ok(())
    }

    fn add_using_index(&mut self, rel: &Relation, c: &TableConstraint, index: &Name, primary: bool) -> Res<()> {
        let old = clip(index.as_str());
        if rel.assumed && self.relation_named(&rel.schema, &old).is_none() {
            return Ok(());
        }
        let found = self.relation_named(&rel.schema, &old).filter(|i| i.index.is_some()).cloned();
        let Some(ix) = found else {
            return Err(fails("42704", format!("index \"{old}\" does not exist")));
        };
        let Some(def) = ix.index.clone() else { return Ok(()) };
        if def.table != rel.id {
            return Err(fails("55000", format!("index \"{old}\" does not belong to table \"{}\"", rel.name)));
        }
        if def.constraint {
            return Err(fails("55000", format!("index \"{old}\" is already associated with a constraint")));
        }
        if !def.valid {
            return Err(fails("55000", format!("index \"{old}\" is not valid")));
        }
        if !def.unique {
            return Err(fails("42809", format!("\"{old}\" is not a unique index")));
        }
        if def.columns.iter().any(Option::is_none) {
            return Err(fails("42809", format!("index \"{old}\" contains expressions")));
        }
        if def.filter.is_some() {
            return Err(fails("42809", format!("\"{old}\" is a partial index")));
        }
        let columns: Vec<String> = def.columns.iter().flatten().cloned().collect();
        for (n, (key, column)) in def.elements.iter().zip(&columns).enumerate() {
            if let Some(certain) = sorts_otherwise(key, rel.column(column).and_then(|c| c.collation.as_deref())) {
                let message = format!("index \"{old}\" column number {} does not have default sorting behavior", n + 1);
                return Err(fails("42809", message).unless(!certain));
            }
        }
        if rel.kind == RelKind::PartitionedTable {
            return Err(fails("0A000", "ALTER TABLE / ADD CONSTRAINT USING INDEX is not supported on partitioned tables"));
        }
        let name = c.name.as_ref().map_or_else(|| old.clone(), |n| clip(n.as_str()));
        if name != old && self.name_taken(&rel.schema, &name) {
            return Err(fails("42P07", format!("relation \"{name}\" already exists")));
        }
        if primary && rel.primary_key().is_some() {
            return Err(fails("42P16", format!("multiple primary keys for table \"{}\" are not allowed", rel.name)));
        }
        if rel.constraint(&name).is_some() {
            return Err(fails("42710", format!("constraint \"{name}\" for relation \"{}\" already exists", rel.name)));
        }
        if primary {
            for k in &columns {
                self.mark_not_null(rel.id, k, None, true, false)?;
            }
        }
        let kind = if primary {
            ConKind::PrimaryKey { columns, index: ix.id }
        } else {
            ConKind::Unique { columns, index: ix.id, nulls_not_distinct: def.nulls_not_distinct }
        };
        let made = self.constraint(c, name.clone(), kind);
        self.edit(rel.id, |r| r.constraints.push(made));
        self.edit(ix.id, |r| {
            r.name = name;
            if let Some(i) = &mut r.index {
                i.constraint = true;
                i.primary = primary;
                i.deferrable = c.deferrable;
            }
        });
        Ok(())
    }

    fn add_foreign_key(&mut self, rel: &Relation, c: &TableConstraint, fk: &ForeignKey, only: bool) -> Res<()> {
        let mut columns: Vec<String> = Vec::new();
        for n in &fk.columns {
            match self.need_column(rel.id, n) {
                Ok(k) => columns.push(k),
                Err(_) => {
                    let n = clip(n.as_str());
                    return Err(fails("42703", format!("column \"{n}\" referenced in foreign key constraint does not exist")));
                }
            }
        }
        let target = self.need_relation(&fk.table)?;
        let now = self.shared(rel.id);
        let rel = now.as_deref().unwrap_or(rel);
        let Some(to) = self.shared(target) else { return Ok(()) };
        if only && rel.kind == RelKind::PartitionedTable {
            let message =
                format!("cannot use ONLY for foreign key on partitioned table \"{}\" referencing relation \"{}\"", rel.name, to.name);
            return Err(fails("42809", message));
        }
        if c.not_valid && rel.kind == RelKind::PartitionedTable && !self.at_least(18) {
            let message =
                format!("cannot add NOT VALID foreign key on partitioned table \"{}\" referencing relation \"{}\"", rel.name, to.name);
            return Err(fails("42809", message));
        }
        if !to.kind.is_table() {
            return Err(fails("42809", format!("referenced relation \"{}\" is not a table", to.name)));
        }
        let (from_temp, to_temp) =
            (rel.persistence == crate::op::Persistence::Temporary, to.persistence == crate::op::Persistence::Temporary);
        if from_temp != to_temp {
            let kind = if from_temp { "temporary" } else { "permanent" };
            return Err(fails("42P16", format!("constraints on {kind} tables may reference only {kind} tables")).unless(to.assumed));
        }
        if rel.persistence == crate::op::Persistence::Permanent && to.persistence == crate::op::Persistence::Unlogged {
            return Err(fails("42P16", "constraints on permanent tables may reference only permanent tables"));
        }
        let ref_columns = self.referenced_key(&to, fk)?;
        // The key goes down into partitions, and the one that it refers to is open already.
        if rel.kind == RelKind::PartitionedTable && self.descendants_of(rel.id).contains(&to.id) {
            let message = format!("cannot ALTER TABLE \"{}\" because it is being used by active queries in this session", to.name);
            return Err(fails("55006", message));
        }
        if ref_columns.len() != columns.len() && !(to.assumed && ref_columns.is_empty()) {
            return Err(fails("42830", "number of referencing and referenced columns for foreign key disagree"));
        }
        let name = match &c.name {
            Some(n) => clip(n.as_str()),
            None => self.choose_constraint_name(&rel.schema, &rel.name, Some(&columns_part(&columns)), "fkey", &[]),
        };
        for (from, to_column) in columns.iter().zip(&ref_columns) {
            let (Some(a), Some(b)) = (rel.column(from), to.column(to_column)) else { continue };
            let set = |a: FkAction| matches!(a, FkAction::SetNull | FkAction::SetDefault);
            if a.generated.is_some() && (set(fk.on_delete) || set(fk.on_update) || fk.on_update == FkAction::Cascade) {
                let action = if set(fk.on_update) || fk.on_update == FkAction::Cascade { "ON UPDATE" } else { "ON DELETE" };
                return Err(fails("42601", format!("invalid {action} action for foreign key constraint containing generated column")));
            }
            if a.generated.as_ref().is_some_and(|g| !g.stored) {
                return Err(fails("0A000", "foreign key constraints on virtual generated columns are not supported"));
            }
            if super::casts::comparable(self, &a.ty, &b.ty) == Some(false) {
                return Err(fails("42804", format!("foreign key constraint \"{name}\" cannot be implemented")));
            }
        }
        let made = self.constraint(
            c,
            name,
            ConKind::ForeignKey {
                columns,
                table: target,
                ref_columns,
                on_delete: fk.on_delete,
                on_update: fk.on_update,
                match_full: fk.match_full,
            },
        );
        self.edit(rel.id, |r| r.constraints.push(made.clone()));
        for child in self.children_of(rel.id) {
            if self.relation(child).is_some_and(Relation::is_partition) {
                self.clone_foreign_key(child, &made);
            }
        }
        Ok(())
    }

    /// A partition gets its parent's foreign key under the same name, or a new one when that is taken there.
    pub(super) fn clone_foreign_key(&mut self, partition: Id, c: &Constraint) {
        let Some(rel) = self.shared(partition) else { return };
        let same = |o: &Constraint| match (&o.kind, &c.kind) {
            (
                ConKind::ForeignKey { columns: a, table: ta, ref_columns: ra, .. },
                ConKind::ForeignKey { columns: b, table: tb, ref_columns: rb, .. },
            ) => a == b && ta == tb && ra == rb,
            _ => false,
        };
        if let Some(i) = rel.constraints.iter().position(same) {
            self.edit(partition, |r| r.constraints[i].inherited = true);
        } else {
            let name = if rel.constraint(&c.name).is_some() {
                self.choose_constraint_name(&rel.schema, &rel.name, Some(&columns_part(c.kind.columns())), "fkey", &[])
            } else {
                c.name.clone()
            };
            let made = Constraint { name, inherited: true, comment: None, ..c.clone() };
            self.edit(partition, |r| r.constraints.push(made));
        }
        for child in self.children_of(partition) {
            self.clone_foreign_key(child, c);
        }
    }

    /// What partitions have of the foreign key of the table above: table and name.
    pub(super) fn copies_of_foreign_key(&self, table: Id, c: &Constraint) -> Vec<(Id, String)> {
        let ConKind::ForeignKey { columns, table: to, ref_columns, .. } = &c.kind else { return Vec::new() };
        let same = |o: &&Constraint| match &o.kind {
            ConKind::ForeignKey { columns: a, table: t, ref_columns: r, .. } => o.inherited && a == columns && t == to && r == ref_columns,
            _ => false,
        };
        self.partitions_of(table)
            .into_iter()
            .filter_map(|id| Some((id, self.relation(id)?.constraints.iter().find(same)?.name.clone())))
            .collect()
    }

    /// The referenced columns, which a unique key must cover.
    fn referenced_key(&mut self, to: &Relation, fk: &ForeignKey) -> Res<Vec<String>> {
        if fk.ref_columns.is_empty() {
            if to.primary_key().is_some_and(|pk| pk.deferrable) {
                return Err(fails("55000", format!("cannot use a deferrable primary key for referenced table \"{}\"", to.name)));
            }
            return match to.primary_key() {
                Some(pk) => Ok(pk.kind.columns().to_vec()),
                None if to.assumed => Ok(Vec::new()),
                None => Err(fails("42704", format!("there is no primary key for referenced table \"{}\"", to.name))),
            };
        }
        let mut columns = Vec::new();
        for n in &fk.ref_columns {
            match self.need_column(to.id, n) {
                Ok(k) => columns.push(k),
                Err(_) => {
                    let n = clip(n.as_str());
                    return Err(fails("42703", format!("column \"{n}\" referenced in foreign key constraint does not exist")));
                }
            }
        }
        if to.assumed || fk.period || self.unique_key(to.id, &columns).is_some() {
            return Ok(columns);
        }
        if let Some(what) = self.deferrable_key(to.id, &columns) {
            return Err(fails("55000", format!("cannot use a deferrable {what} for referenced table \"{}\"", to.name)));
        }
        Err(fails("42830", format!("there is no unique constraint matching given keys for referenced table \"{}\"", to.name)))
    }

    /// The key on exactly these columns is one that is checked at the end of the transaction.
    fn deferrable_key(&self, table: Id, columns: &[String]) -> Option<&'static str> {
        self.relation(table)?.constraints.iter().find_map(|c| match &c.kind {
            ConKind::Unique { columns: k, .. } | ConKind::PrimaryKey { columns: k, .. }
                if c.deferrable && k.len() == columns.len() && k.iter().all(|n| columns.contains(n)) =>
            {
                Some(if matches!(c.kind, ConKind::PrimaryKey { .. }) { "primary key" } else { "unique constraint" })
            }
            _ => None,
        })
    }

    /// The unique index (not partial, not deferrable) on exactly these columns, the primary key first.
    pub fn unique_key(&self, table: Id, columns: &[String]) -> Option<Id> {
        let mut found: Vec<&Relation> = self
            .indexes_of(table)
            .into_iter()
            .filter(|r| {
                r.index.as_ref().is_some_and(|i| {
                    i.unique
                        && !i.deferrable
                        && i.valid
                        && i.filter.is_none()
                        && i.columns.len() == columns.len()
                        && i.columns.iter().all(|c| c.as_ref().is_some_and(|c| columns.contains(c)))
                })
            })
            .collect();
        found.sort_by_key(|r| !r.index.as_ref().is_some_and(|i| i.primary));
        found.first().map(|r| r.id)
    }
}

/// The new CHECK says what the old one says.
fn same_check(old: &Constraint, new: &TableConstraint) -> bool {
    match (&old.kind, &new.kind) {
        (ConKind::Check { expr: a, .. }, ConstraintKind::Check { expr: b }) => {
            super::indexes::normal(&a.text) == super::indexes::normal(&b.text)
        }
        _ => false,
    }
}

fn same_index(a: &TableConstraint, b: &TableConstraint) -> bool {
    fn keys(c: &TableConstraint) -> Option<(Vec<&str>, Vec<&str>, bool)> {
        fn names(v: &[Name]) -> Vec<&str> {
            v.iter().map(Name::as_str).collect()
        }
        match &c.kind {
            ConstraintKind::PrimaryKey { columns, include, using_index: None, .. } => Some((names(columns), names(include), false)),
            ConstraintKind::Unique { columns, include, using_index: None, nulls_not_distinct, .. } => {
                Some((names(columns), names(include), *nulls_not_distinct))
            }
            _ => None,
        }
    }
    keys(a).is_some() && keys(a) == keys(b) && a.deferrable == b.deferrable && a.initially_deferred == b.initially_deferred
}

/// The key does not sort as its column does by itself; `Some(false)`: nobody here knows its operator class.
fn sorts_otherwise(key: &IndexElement, column: Option<&str>) -> Option<bool> {
    if key.descending || key.nulls_first == Some(true) || key.collation.as_ref().is_some_and(|c| collation(c).as_deref() != column) {
        return Some(true);
    }
    let class = key.opclass.as_ref()?;
    let own = matches!(class.as_str(), "text_ops" | "int2_ops" | "int4_ops" | "int8_ops" | "numeric_ops" | "bpchar_ops" | "uuid_ops");
    (!own).then(|| class.as_str().ends_with("_pattern_ops"))
}
