//! Columns: added, dropped, retyped, given defaults and identities.

use crate::op::{ColumnDef, ConstraintKind, Expr, Identity, Name, SequenceOptions, TypeName, Volatility};

use super::alter::wrong_kind;
use super::apply::{Applied, ApplyError, Res, fails};
use super::drop::Obj;
use super::exprs::has_subquery;
use super::names::clip;
use super::tables::{is_integer, is_serial};
use super::{Catalog, Column, ColumnType, ConKind, Id, Origin, RelKind, Relation};

impl Catalog {
    pub(super) fn add_column(&mut self, id: Id, def: &ColumnDef, if_not_exists: bool, only: bool) -> Res<Applied> {
        let Some(rel) = self.shared(id) else { return Ok(Applied::default()) };
        if !matches!(rel.kind, RelKind::Table | RelKind::PartitionedTable | RelKind::ForeignTable | RelKind::Composite) {
            return Err(wrong_kind(&rel, "ADD COLUMN"));
        }
        if rel.is_partition() {
            return Err(fails("42809", "cannot add column to a partition"));
        }
        let name = clip(def.name.as_str());
        if rel.column(&name).is_some() {
            if if_not_exists {
                return Ok(Applied::skipped());
            }
            // On a made-up table the column is one that an earlier statement read; now it is known to be new.
            if !rel.assumed {
                return Err(fails("42701", format!("column \"{name}\" of relation \"{}\" already exists", rel.name)));
            }
            self.edit(id, |r| r.columns.retain(|c| c.name != name));
        }
        super::tables::too_wide(rel.next_attnum as usize)?;
        let column = self.define_column(&rel, def)?;
        let (column_name, not_null) = (column.name.clone(), column.not_null);
        if let Some(g) = &def.generated {
            self.refuse_written_casts(&g.expr, &rel)?;
            let from = self.type_of(&g.expr, Some(id));
            if !from.is_unknown() && super::casts::assignable(self, &from, &column.ty) == Some(false) {
                let message = format!("column \"{}\" is of type {} but default expression is of type {from}", column.name, column.ty);
                return Err(fails("42804", message));
            }
        }
        if only && !self.children_of(id).is_empty() {
            return Err(fails("42P16", "column must be added to child tables too"));
        }
        self.edit(id, |r| r.push_column(column.clone()));
        for child in self.descendants_of(id) {
            self.edit(child, |r| match r.column_mut(&column_name) {
                Some(_) => {}
                None => r.push_column(Column { inherited: true, identity: None, ..column.clone() }),
            });
        }
        if let Some(g) = &def.generated {
            let rel = self.shared(id).unwrap_or(rel);
            self.columns_in(&g.expr, &rel)?;
        }
        self.attach_sequence(id, def)?;
        if not_null {
            let name = def.not_null_name.as_ref().map(|n| clip(n.as_str()));
            self.mark_not_null(id, &column_name, name, true, false)?;
        }
        let rank = |c: &&crate::op::TableConstraint| match c.kind {
            ConstraintKind::NotNull { .. } => 0,
            // Keys come before checks.
            ConstraintKind::Check { .. } | ConstraintKind::ForeignKey(_) => 2,
            _ => 1,
        };
        let by_rank = |n: u8| def.constraints.iter().filter(move |c| rank(c) == n).cloned().collect::<Vec<_>>();
        for c in by_rank(0) {
            self.add_constraint(id, &c, false)?;
        }
        self.index_constraints_of(id, &by_rank(1))?;
        for c in by_rank(2) {
            self.add_constraint(id, &c, false)?;
        }
        Ok(Applied::default())
    }

    pub(super) fn drop_column(&mut self, id: Id, column: &Name, if_exists: bool, cascade: bool, only: bool) -> Res<Applied> {
        let name = clip(column.as_str());
        let Some(rel) = self.relation(id) else { return Ok(Applied::default()) };
        if !matches!(rel.kind, RelKind::Table | RelKind::PartitionedTable | RelKind::ForeignTable | RelKind::Composite) {
            return Err(wrong_kind(rel, "DROP COLUMN"));
        }
        let Some(c) = rel.column(&name) else {
            if if_exists || rel.assumed {
                return Ok(Applied { skipped: if_exists, ..Applied::default() });
            }
            return Err(no_column(&name, rel));
        };
        if self.is_inherited(rel, c) {
            return Err(fails("42P16", format!("cannot drop inherited column \"{name}\"")));
        }
        if let Some(by) = &rel.partition_by {
            let mut key = false;
            for k in &by.keys {
                key |= self.columns_in(k, rel).unwrap_or_default().contains(&name);
            }
            if key {
                let message = format!("cannot drop column \"{name}\" because it is part of the partition key of relation \"{}\"", rel.name);
                return Err(fails("42P16", message));
            }
        }
        let mut roots = vec![Obj::Column(id, name.clone())];
        let children = self.children_of(id);
        if only && rel.kind == RelKind::PartitionedTable && !children.is_empty() {
            return Err(fails("42P16", "cannot drop column from only the partitioned table when partitions exist"));
        }
        if only {
            // The children keep it as their own.
            for child in children {
                self.edit_column(child, &name, |c| c.inherited = false);
            }
        } else {
            // Children lose the column too unless they have it by their own declaration or another parent's.
            for child in self.descendants_of(id) {
                if let Some(r) = self.relation(child)
                    && r.column(&name).is_some_and(|c| c.inherited)
                    && r.parents.iter().filter(|p| self.relation(**p).is_some_and(|p| p.column(&name).is_some())).count() <= 1
                {
                    roots.push(Obj::Column(child, name.clone()));
                }
            }
        }
        let dropped = self.drop_all(roots, cascade)?;
        Ok(Applied { dropped, ..Applied::default() })
    }

    fn is_inherited(&self, rel: &Relation, c: &Column) -> bool {
        rel.parents.iter().any(|p| self.relation(*p).is_some_and(|p| p.column(&c.name).is_some()))
    }

    pub(super) fn set_default(&mut self, id: Id, column: &Name, expr: &Expr, only: bool) -> Res<()> {
        let name = self.need_column(id, column)?;
        let Some(rel) = self.shared(id) else { return Ok(()) };
        let Some(c) = rel.column(&name) else { return Ok(()) };
        if c.identity.is_some() {
            return Err(fails("42601", format!("column \"{name}\" of relation \"{}\" is an identity column", rel.name)));
        }
        if c.generated.is_some() {
            return Err(fails("42601", format!("column \"{name}\" of relation \"{}\" is a generated column", rel.name)));
        }
        let mut new = c.clone();
        if rel.view.is_some() && has_subquery(expr) {
            return Err(fails("0A000", "cannot use subquery in DEFAULT expression"));
        }
        self.set_column_default(&mut new, expr)?;
        for id in self.with_descendants(id, only) {
            self.edit_column(id, &name, |c| {
                c.default = new.default.clone();
                c.default_volatility = new.default_volatility;
                c.uses = new.uses.clone();
                c.serial = None;
            });
        }
        Ok(())
    }

    pub(super) fn drop_default(&mut self, id: Id, column: &Name, only: bool) -> Res<()> {
        let name = self.need_column(id, column)?;
        if let Some(rel) = self.relation(id)
            && let Some(c) = rel.column(&name)
        {
            let what = match (&c.identity, &c.generated) {
                (Some(_), _) => Some("an identity column"),
                (_, Some(_)) => Some("a generated column"),
                _ => None,
            };
            if let Some(what) = what {
                return Err(fails("42601", format!("column \"{name}\" of relation \"{}\" is {what}", rel.name)));
            }
        }
        for id in self.with_descendants(id, only) {
            self.edit_column(id, &name, |c| {
                c.default = None;
                c.default_volatility = None;
                c.uses = Vec::new();
                c.serial = None;
            });
        }
        Ok(())
    }

    pub(super) fn drop_not_null(&mut self, id: Id, column: &Name, only: bool, as_constraint: bool) -> Res<()> {
        let partitioned = self.relation(id).is_some_and(|r| r.kind == RelKind::PartitionedTable);
        if only && partitioned && !self.at_least(18) && !self.children_of(id).is_empty() {
            return Err(fails("42P16", "cannot remove constraint from only the partitioned table when partitions exist"));
        }
        let name = self.need_column(id, column)?;
        let Some(rel) = self.relation(id) else { return Ok(()) };
        let Some(c) = rel.column(&name) else { return Ok(()) };
        if !c.not_null && self.at_least(18) {
            return Ok(());
        }
        self.refuse_nullable(rel, &name, as_constraint)?;
        // Before 18 the children are asked even where the column is nullable here.
        for child in self.with_descendants(id, only).into_iter().skip(1).filter_map(|id| self.relation(id)) {
            self.refuse_nullable(child, &name, as_constraint)?;
        }
        if !c.not_null {
            return Ok(());
        }
        if rel.parents.iter().filter_map(|p| self.relation(*p)).any(|p| p.column(&name).is_some_and(|c| c.not_null)) {
            // Before 18 only partitions were held to it.
            if rel.is_partition() {
                return Err(fails("42P16", format!("column \"{name}\" is marked NOT NULL in parent table")));
            }
            if self.at_least(18) {
                return Err(fails("42P16", format!("cannot drop inherited constraint of relation \"{}\"", rel.name)));
            }
        }
        for id in self.with_descendants(id, only) {
            self.edit(id, |r| {
                if let Some(c) = r.column_mut(&name) {
                    c.not_null = false;
                }
                r.constraints.retain(|c| !matches!(&c.kind, ConKind::NotNull { column } if *column == name));
            });
        }
        Ok(())
    }

    /// What keeps a column from becoming nullable. `as_constraint`: by DROP CONSTRAINT, which asks in another order.
    fn refuse_nullable(&self, rel: &Relation, name: &str, as_constraint: bool) -> Res<()> {
        let identity = |state| match rel.column(name).is_some_and(|c| c.identity.is_some()) {
            true => Err(fails(state, format!("column \"{name}\" of relation \"{}\" is an identity column", rel.name))),
            false => Ok(()),
        };
        if !as_constraint {
            identity("42601")?;
        }
        if rel.primary_key().is_some_and(|pk| pk.kind.columns().iter().any(|c| c == name)) {
            return Err(fails("42P16", format!("column \"{name}\" is in a primary key")));
        }
        if let Some(crate::op::ReplicaIdentity::Index(index)) = &rel.replica_identity
            && self.at_least(15)
            && self
                .indexes_of(rel.id)
                .iter()
                .any(|i| i.name == clip(index.as_str()) && i.index.as_ref().is_some_and(|x| x.columns.iter().flatten().any(|c| c == name)))
        {
            return Err(fails("42P16", format!("column \"{name}\" is in index used as replica identity")));
        }
        identity("55000")
    }

    pub(super) fn set_type(
        &mut self,
        id: Id,
        column: &Name,
        ty: &TypeName,
        collation: Option<String>,
        using: Option<&Expr>,
        only: bool,
    ) -> Res<()> {
        if is_serial_name(ty) {
            return Err(fails("42704", format!("type \"{}\" does not exist", ty.name)));
        }
        let Some(rel) = self.shared(id) else { return Ok(()) };
        // USING is read before anything is asked of the column.
        if let Some(u) = using {
            if has_subquery(u) {
                return Err(fails("0A000", "cannot use subquery in transform expression"));
            }
            self.columns_in(u, &rel)?;
            self.refuse_written_casts(u, &rel)?;
        }
        let name = self.need_column(id, column)?;
        let Some(rel) = self.shared(id) else { return Ok(()) };
        let Some(c) = rel.column(&name).cloned() else { return Ok(()) };
        if c.identity.is_some() && !is_integer(&self.need_type(ty)?) {
            return Err(fails("22023", "identity column type must be smallint, integer, or bigint"));
        }
        if using.is_some() && c.generated.is_some() {
            return Err(fails("42611", "cannot specify USING when altering type of generated column"));
        }
        if self.is_inherited(&rel, &c) {
            return Err(fails("42P16", format!("cannot alter inherited column \"{name}\"")));
        }
        if let Some(by) = &rel.partition_by {
            let mut key = false;
            for k in &by.keys {
                key |= self.columns_in(k, &rel).unwrap_or_default().contains(&name);
            }
            if key {
                let message =
                    format!("cannot alter column \"{name}\" because it is part of the partition key of relation \"{}\"", rel.name);
                return Err(fails("42P16", message));
            }
        }
        let new = self.need_type(ty)?;
        self.refuse_virtual(&c, &new)?;
        match using {
            Some(u) => self.refuse_cast(u, &rel, &new, &name)?,
            // An attribute has no values that would be cast.
            None if rel.kind == RelKind::Composite => self.refuse_stored_attribute(&rel)?,
            None if super::casts::assignable(self, &c.ty, &new) == Some(false) => {
                return Err(fails("42804", format!("column \"{name}\" cannot be cast automatically to type {new}")));
            }
            None => {}
        }
        if only && !self.children_of(id).is_empty() {
            return Err(fails("42P16", format!("type of inherited column \"{name}\" must be changed in child tables too")));
        }
        let tree = self.with_descendants(id, false);
        if let Some(child) = self.inherits_elsewhere(&tree, &name) {
            return Err(fails("42P16", format!("cannot alter inherited column \"{name}\" of relation \"{}\"", child.name)));
        }
        if let Some(e) = &c.default
            && c.generated.is_none()
            && matches!(super::casts::default_casts(self, &c.ty, e, &new), Some(false))
        {
            return Err(fails("42804", format!("default for column \"{name}\" cannot be cast automatically to type {new}")));
        }
        // A child may number what its parent does not.
        let numbered = |t: &Id| self.relation(*t).and_then(|r| r.column(&name)).is_some_and(|c| c.identity.is_some());
        if !is_integer(&new) && tree.iter().any(numbered) {
            return Err(fails("22023", "identity column type must be smallint, integer, or bigint"));
        }
        for t in self.with_descendants(id, false) {
            if let Some(r) = self.relation(t) {
                self.nothing_holds_the_type(t, r, &name)?;
            }
        }
        for t in self.with_descendants(id, false) {
            self.operators_stay(t, &name, &new)?;
        }
        self.keys_stay_comparable(&rel, &name, &new)?;
        self.indexes_stay(id, &name, &new)?;
        for id in self.with_descendants(id, false) {
            self.edit_column(id, &name, |c| {
                // A literal stays one of the type that it was read as.
                if let Some(d) = c.default.as_mut().filter(|d| matches!(d.kind, crate::op::ExprKind::String(_)) && c.ty.name != new.name) {
                    d.text = format!("{}::{}", d.text, super::words::type_sql(&c.ty));
                }
                c.ty = new.clone();
                c.collation = collation.clone();
            });
        }
        self.retype_identity_sequence(id, &name, &new);
        self.remake_indexes(id, &name)
    }

    /// Virtual columns are of Postgres's own types only.
    pub(super) fn refuse_virtual(&self, column: &Column, ty: &ColumnType) -> Res<()> {
        let computed_when_read = self.at_least(18) && column.generated.as_ref().is_some_and(|g| !g.stored);
        if computed_when_read && ty.id.is_some() {
            return Err(fails("0A000", format!("virtual generated column \"{}\" cannot have a user-defined type", column.name)));
        }
        Ok(())
    }

    /// Indexes on the column are made again, with their operator classes, or the new type's own where none was written.
    fn indexes_stay(&self, id: Id, column: &str, new: &ColumnType) -> Res<()> {
        for i in self.with_descendants(id, false).into_iter().flat_map(|t| self.indexes_of(t)).filter_map(|r| r.index.as_ref()) {
            let keys = i.columns.iter().zip(&i.elements).filter(|(c, _)| c.as_deref() == Some(column));
            keys.map(|(_, e)| e).try_for_each(|e| self.refuse_class(e, new, &i.method))?;
        }
        Ok(())
    }

    /// Foreign keys on the column are made again.
    fn keys_stay_comparable(&self, rel: &Relation, column: &str, new: &ColumnType) -> Res<()> {
        let no = |name: &str| Err(fails("42804", format!("foreign key constraint \"{name}\" cannot be implemented")));
        let ty = |r: &Relation, n: &str| if r.id == rel.id && n == column { Some(new.clone()) } else { r.column(n).map(|c| c.ty.clone()) };
        let own = rel.constraints.iter().map(|c| (rel, c)).chain(self.foreign_keys_to(rel.id));
        for (from, c) in own {
            let ConKind::ForeignKey { columns, table, ref_columns, .. } = &c.kind else { continue };
            let Some(to) = self.relation(*table) else { continue };
            for (a, b) in columns.iter().zip(ref_columns) {
                let (Some(x), Some(y)) = (ty(from, a), ty(to, b)) else { continue };
                let concerned = from.id == rel.id && a == column || to.id == rel.id && b == column;
                if concerned && super::casts::comparable(self, &x, &y) == Some(false) {
                    return no(&c.name);
                }
            }
        }
        Ok(())
    }

    /// Views, policies and triggers that name the column pin its type.
    fn nothing_holds_the_type(&self, id: Id, rel: &Relation, name: &str) -> Res<()> {
        if !self.direct_views_on(id, Some(name)).is_empty() {
            return Err(fails("0A000", "cannot alter type of a column used by a view or rule"));
        }
        if rel.columns.iter().any(|c| {
            c.name != name && c.generated.as_ref().is_some_and(|g| self.columns_in(&g.expr, rel).is_ok_and(|v| v.iter().any(|x| x == name)))
        }) {
            return Err(fails("0A000", "cannot alter type of a column used by a generated column"));
        }
        let names = |e: &Expr| {
            let mut found = false;
            e.walk(&mut |e| {
                found |= matches!(&e.kind, crate::op::ExprKind::Column(p) if p.last().is_some_and(|n| n.as_str() == name));
            });
            found
        };
        let quoted = |e: &Expr| self.columns_in(e, rel).is_ok_and(|v| v.iter().any(|x| x == name));
        if rel.policies.iter().any(|p| p.using.iter().chain(&p.with_check).any(quoted)) {
            return Err(fails("0A000", "cannot alter type of a column used in a policy definition"));
        }
        if rel.triggers.iter().any(|t| t.update_of.iter().any(|c| c == name) || t.when.as_ref().is_some_and(names)) {
            return Err(fails("0A000", "cannot alter type of a column used in a trigger definition"));
        }
        Ok(())
    }

    pub(super) fn add_identity(&mut self, id: Id, rel: &Relation, column: &Name, identity: &Identity) -> Res<()> {
        let name = self.need_column(id, column)?;
        let Some(c) = rel.column(&name) else { return self.make_identity(id, &name, Some(identity.clone())) };
        if !c.not_null && !rel.assumed {
            return Err(fails(
                "55000",
                format!("column \"{name}\" of relation \"{}\" must be declared NOT NULL before identity can be added", rel.name),
            ));
        }
        if c.identity.is_some() {
            return Err(fails("55000", format!("column \"{name}\" of relation \"{}\" is already an identity column", rel.name)));
        }
        if c.default.is_some() || c.generated.is_some() {
            return Err(fails("55000", format!("column \"{name}\" of relation \"{}\" already has a default value", rel.name)));
        }
        self.make_identity(id, &name, Some(identity.clone()))
    }

    /// The sequence of a serial or identity column, once the table is there.
    pub(super) fn attach_sequence(&mut self, id: Id, def: &ColumnDef) -> Res<()> {
        let name = clip(def.name.as_str());
        if let Some(i) = &def.identity {
            return self.make_identity(id, &name, Some(i.clone()));
        }
        if !is_serial(def) {
            return Ok(());
        }
        let Some(rel) = self.shared(id) else { return Ok(()) };
        if def.default.is_some() {
            return Err(fails("42601", format!("multiple default values specified for column \"{name}\" of table \"{}\"", rel.name)));
        }
        let ty = rel.column(&name).map_or_else(|| "integer".to_string(), |c| c.ty.name.clone());
        let sequence = self.owned_sequence(&rel, &name, &ty, false, &SequenceOptions::default());
        let Some(s) = self.relation(sequence) else { return Ok(()) };
        let default = super::sequences::nextval(&s.schema, &s.name);
        self.edit_column(id, &name, |c| {
            c.default = Some(default.clone());
            c.default_volatility = Some(Volatility::Volatile);
            c.uses = vec![sequence];
            c.serial = Some(sequence);
        });
        Ok(())
    }

    pub(super) fn make_identity(&mut self, id: Id, column: &str, identity: Option<Identity>) -> Res<()> {
        let Some(rel) = self.shared(id) else { return Ok(()) };
        let Some(c) = rel.column(column) else { return Ok(()) };
        if !is_integer(&c.ty) && c.ty.id.is_none() && !c.ty.is_unknown() {
            return Err(fails("22023", "identity column type must be smallint, integer, or bigint"));
        }
        let ty = c.ty.name.clone();
        let other = identity.as_ref().map(|i| i.sequence_options.clone()).unwrap_or_default();
        self.owned_sequence(&rel, column, &ty, true, &SequenceOptions { other, ..SequenceOptions::default() });
        self.edit_column(id, column, |c| {
            c.identity = identity;
            c.not_null = true;
        });
        Ok(())
    }

    // ----- helpers

    pub(super) fn with_descendants(&self, id: Id, only: bool) -> Vec<Id> {
        let mut out = vec![id];
        if !only {
            out.extend(self.descendants_of(id));
        }
        out
    }

    pub(super) fn edit_column(&mut self, id: Id, column: &str, f: impl FnOnce(&mut Column)) {
        self.edit(id, |r| {
            if let Some(c) = r.column_mut(column) {
                f(c);
            }
        });
    }

    pub(super) fn edit_constraint(&mut self, id: Id, name: &str, f: impl FnOnce(&mut super::Constraint)) {
        self.edit(id, |r| {
            if let Some(c) = r.constraints.iter_mut().find(|c| c.name == name) {
                f(c);
            }
        });
    }

    /// The column's name as it is stored; made up on a table that is made up.
    pub(super) fn need_column(&mut self, id: Id, column: &Name) -> Res<String> {
        let name = clip(column.as_str());
        let Some(rel) = self.relation(id) else { return Ok(name) };
        if rel.column(&name).is_none() {
            if !rel.assumed {
                return Err(no_column(&name, rel));
            }
            let made_up = Column::new(name.clone(), ColumnType::unknown(), Origin::default());
            self.edit(id, |r| r.push_column(made_up));
        }
        Ok(name)
    }

    pub(super) fn need_constraint(&self, id: Id, name: &Name) -> Res<String> {
        let name = clip(name.as_str());
        match self.relation(id) {
            Some(r) if r.constraint(&name).is_none() && !r.assumed => {
                Err(fails("42704", format!("constraint \"{name}\" of relation \"{}\" does not exist", r.name)))
            }
            _ => Ok(name),
        }
    }

    pub(super) fn validate_constraint(&mut self, id: Id, name: &Name, only: bool) -> Res<()> {
        let name = self.need_constraint(id, name)?;
        let Some(c) = self.relation(id).and_then(|r| r.constraint(&name)).cloned() else { return Ok(()) };
        let valid_kind = matches!(c.kind, ConKind::Check { .. } | ConKind::ForeignKey { .. })
            || matches!(c.kind, ConKind::NotNull { .. }) && self.at_least(18);
        let rel_name = self.relation(id).map(|r| r.name.clone()).unwrap_or_default();
        if !valid_kind {
            let message = format!("constraint \"{name}\" of relation \"{rel_name}\" is not a foreign key or check constraint");
            return Err(fails("42809", message));
        }
        if !c.enforced {
            return Err(fails("42809", "cannot validate NOT ENFORCED constraint"));
        }
        let handed_down = !c.validated && !c.no_inherit && !matches!(c.kind, ConKind::ForeignKey { .. });
        if only && handed_down && !self.children_of(id).is_empty() {
            return Err(fails("42P16", "constraint must be validated on child tables too"));
        }
        for id in self.with_descendants(id, false) {
            self.edit_constraint(id, &name, |c| c.validated = true);
        }
        Ok(())
    }

    pub(super) fn drop_constraint(&mut self, id: Id, name: &Name, if_exists: bool, cascade: bool, only: bool) -> Res<Applied> {
        let name = clip(name.as_str());
        let Some(rel) = self.relation(id) else { return Ok(Applied::default()) };
        let Some(c) = rel.constraint(&name) else {
            if if_exists || rel.assumed {
                return Ok(Applied { skipped: if_exists, ..Applied::default() });
            }
            return Err(fails("42704", format!("constraint \"{name}\" of relation \"{}\" does not exist", rel.name)));
        };
        if c.inherited {
            return Err(fails("42P16", format!("cannot drop inherited constraint \"{name}\" of relation \"{}\"", rel.name)));
        }
        if let ConKind::NotNull { column } = &c.kind {
            let column = Name::new(column.clone(), crate::source::Span::default());
            self.drop_not_null(id, &column, only, true)?;
            return Ok(Applied::default());
        }
        let mut roots = vec![Obj::Constraint(id, name.clone())];
        let kind = c.kind.clone();
        let children = self.children_of(id);
        if only && !children.is_empty() && matches!(kind, ConKind::Check { .. }) && !c.no_inherit {
            if rel.kind == RelKind::PartitionedTable && !self.at_least(18) {
                return Err(fails("42P16", "cannot remove constraint from only the partitioned table when partitions exist"));
            }
            // The children keep it as their own.
            for child in children {
                self.edit_constraint(child, &name, |c| c.inherited = false);
            }
        }
        for child in self.descendants_of(id) {
            let matching = self.relation(child).and_then(|r| {
                r.constraints
                    .iter()
                    .find(|o| {
                        o.inherited
                            && match (&o.kind, &kind) {
                                (ConKind::Check { .. }, ConKind::Check { .. }) => o.name == name,
                                (ConKind::ForeignKey { columns: a, table: s, .. }, ConKind::ForeignKey { columns: b, table: t, .. }) => {
                                    a == b && s == t
                                }
                                _ => false,
                            }
                    })
                    .map(|o| o.name.clone())
            });
            roots.extend(matching.map(|n| Obj::Constraint(child, n)));
        }
        let dropped = self.drop_all(roots, cascade)?;
        Ok(Applied { dropped, ..Applied::default() })
    }
}

pub(super) fn no_column(name: &str, rel: &Relation) -> ApplyError {
    fails("42703", format!("column \"{name}\" of relation \"{}\" does not exist", rel.name))
}

impl Catalog {
    /// A check, a predicate or an expression of an index that holds the column against a number is read again with the column's new type,
    /// and only while that has such an operator.
    fn operators_stay(&self, id: Id, name: &str, new: &ColumnType) -> Res<()> {
        use crate::op::ExprKind;
        let text = matches!(new.name.as_str(), "text" | "character varying" | "character") && !new.is_array();
        let Some(rel) = self.relation(id).filter(|_| text) else { return Ok(()) };
        let checks = rel.constraints.iter().filter_map(|c| match &c.kind {
            ConKind::Check { expr, .. } => Some(expr),
            _ => None,
        });
        let indexes: Vec<&super::Index> = self.indexes_of(id).into_iter().filter_map(|i| i.index.as_ref()).collect();
        let keys = indexes.iter().flat_map(|i| i.filter.iter().chain(i.elements.iter().map(|e| &e.expr)));
        let mut lost = None;
        for expr in checks.chain(keys) {
            expr.walk(&mut |e| {
                let ExprKind::Binary { op, left, right } = &e.kind else { return };
                let is_column = |e: &Expr| super::names::simple_column(e) == Some(name);
                let is_number = |e: &Expr| match &e.kind {
                    ExprKind::Unary { expr, .. } => matches!(expr.kind, ExprKind::Number(_)),
                    kind => matches!(kind, ExprKind::Number(_)),
                };
                let operator = matches!(op.as_str(), "<" | ">" | "<=" | ">=" | "=" | "<>" | "!=" | "+" | "-" | "*" | "/" | "%");
                if is_column(left) && is_number(right) && operator {
                    lost = Some(op.clone());
                }
            });
        }
        match lost {
            Some(op) => Err(fails("42883", format!("operator does not exist: {} {op} integer", new.name))),
            None => Ok(()),
        }
    }
}

fn is_serial_name(ty: &TypeName) -> bool {
    ty.name.schema.is_none() && matches!(ty.name.as_str(), "serial" | "bigserial" | "smallserial" | "serial2" | "serial4" | "serial8")
}
