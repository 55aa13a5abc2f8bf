//! ALTER TABLE: columns, and the subcommands that only note something on the relation.

use crate::op::{
    AlterAction, AlterTarget, ColumnDef, ConstraintKind, Expr, Identity, Name, ObjectKind, Op, OpKind, Options, Persistence,
    SequenceOptions, TypeName, Volatility,
};

use super::apply::{Applied, ApplyError, Res, fails};
use super::drop::Obj;
use super::exprs::has_subquery;
use super::names::clip;
use super::tables::{is_integer, is_serial};
use super::{Catalog, Column, ColumnType, ConKind, Id, Origin, RelKind, Relation};

/// The pass of ALTER TABLE in which Postgres runs the subcommand; 0 for everything else.
pub(super) fn pass(op: &Op) -> u8 {
    use AlterAction::*;
    let OpKind::Alter { action, .. } = &op.kind else { return 0 };
    match action {
        DropColumn { .. }
        | DropConstraint { .. }
        | DropDefault { .. }
        | DropNotNull { .. }
        | DropExpression { .. }
        | DropIdentity { .. } => 0,
        SetType { .. } => 1,
        AddColumn { .. } => 4,
        SetExpression { .. } => 5,
        SetNotNull { .. } => 7,
        AddConstraint(c) => match c.kind {
            ConstraintKind::PrimaryKey { .. } | ConstraintKind::Unique { .. } | ConstraintKind::Exclude { .. } => 8,
            _ => 10,
        },
        SetDefault { .. } | AddIdentity { .. } => 10,
        _ => 11,
    }
}

/// The relation is of a kind that the subcommand is not for.
pub(super) fn wrong_kind(rel: &Relation, action: &str) -> ApplyError {
    fails("42809", format!("ALTER action {action} cannot be performed on relation \"{}\"", rel.name)).unless(rel.assumed)
}

impl Catalog {
    pub(super) fn alter(&mut self, target: &AlterTarget, action: &AlterAction) -> Res<Applied> {
        let id = match self.resolve(&target.name).or_else(|| self.type_relation(target)) {
            Some(id) => id,
            None if target.if_exists => return Ok(Applied::skipped()),
            None if matches!(target.kind, ObjectKind::Type) => {
                if self.complete && !self.unknown_extension() {
                    return Err(fails("42704", format!("type \"{}\" does not exist", target.name)));
                }
                self.need_relation_of(&target.name, RelKind::Composite)?
            }
            None => self.need_relation_of(&target.name, kind_of(target.kind))?,
        };
        let Some(rel) = self.relation(id).cloned() else { return Ok(Applied::default()) };
        self.check_kind(target, action, &rel)?;
        self.alter_relation(id, &rel, target, action)
    }

    /// ALTER TYPE names a composite type, which is a relation of the same name.
    fn type_relation(&self, target: &AlterTarget) -> Option<Id> {
        (target.kind == ObjectKind::Type).then(|| self.type_id(&target.name)).flatten().filter(|id| self.relations.contains_key(id))
    }

    fn check_kind(&self, target: &AlterTarget, action: &AlterAction, rel: &Relation) -> Res<()> {
        use RelKind::*;
        if rel.assumed {
            return Ok(());
        }
        let word = match target.kind {
            ObjectKind::View if rel.kind != View => "view",
            ObjectKind::MaterializedView if rel.kind != MaterializedView => "materialized view",
            ObjectKind::Sequence if rel.kind != Sequence => "sequence",
            ObjectKind::ForeignTable if rel.kind != ForeignTable => "foreign table",
            // ALTER INDEX … RENAME takes any relation, with a weaker lock.
            ObjectKind::Index if !rel.kind.is_index() && !matches!(action, AlterAction::RenameTo { .. }) => "index",
            ObjectKind::Type if rel.kind != Composite => {
                return Err(fails("42809", format!("{} is a table's row type", rel.name)).maybe());
            }
            _ => return Ok(()),
        };
        let article = if word == "index" { "an" } else { "a" };
        Err(fails("42809", format!("\"{}\" is not {article} {word}", rel.name)))
    }

    fn alter_relation(&mut self, id: Id, rel: &Relation, target: &AlterTarget, action: &AlterAction) -> Res<Applied> {
        use AlterAction::*;
        match action {
            AddColumn { column, if_not_exists } => return self.add_column(id, column, *if_not_exists, target.only),
            DropColumn { column, if_exists, cascade } => return self.drop_column(id, column, *if_exists, *cascade, target.only),
            SetDefault { column, expr } => self.set_default(id, column, expr, target.only)?,
            DropDefault { column } => self.drop_default(id, column, target.only)?,
            SetNotNull { column } => {
                let column = self.need_column(id, column)?;
                self.mark_not_null(id, &column, None, true, target.only)?;
            }
            DropNotNull { column } => self.drop_not_null(id, column, target.only)?,
            SetType { column, ty, collation, using } => {
                let collation = collation.as_ref().map(ToString::to_string);
                self.set_type(id, column, ty, collation, using.as_ref())?;
            }
            SetExpression { column, expr } => {
                let column = self.need_column(id, column)?;
                if rel.column(&column).is_some_and(|c| c.generated.is_none()) && !rel.assumed {
                    return Err(fails("55000", format!("column \"{column}\" of relation \"{}\" is not a generated column", rel.name)));
                }
                let uses = self.uses_of(expr);
                for id in self.with_descendants(id, target.only) {
                    self.edit_column(id, &column, |c| {
                        if let Some(g) = &mut c.generated {
                            g.expr = expr.clone();
                        }
                        c.uses = uses.clone();
                    });
                }
            }
            DropExpression { column, if_exists } => {
                let column = self.need_column(id, column)?;
                if rel.column(&column).is_some_and(|c| c.generated.is_none()) && !rel.assumed {
                    if *if_exists {
                        return Ok(Applied::skipped());
                    }
                    let message = format!("column \"{column}\" of relation \"{}\" is not a stored generated column", rel.name);
                    return Err(fails("55000", message));
                }
                for id in self.with_descendants(id, target.only) {
                    self.edit_column(id, &column, |c| {
                        c.generated = None;
                        c.uses = Vec::new();
                    });
                }
            }
            AddIdentity { column, identity } => self.add_identity(id, rel, column, identity)?,
            SetIdentity { column, always, options } => {
                let column = self.need_column(id, column)?;
                if rel.column(&column).is_some_and(|c| c.identity.is_none()) && !rel.assumed {
                    return Err(not_identity(&column, rel));
                }
                self.edit_column(id, &column, |c| {
                    if let Some(i) = &mut c.identity {
                        i.always = always.unwrap_or(i.always);
                        merge_options(&mut i.sequence_options, options);
                    }
                });
            }
            DropIdentity { column, if_exists } => {
                let column = self.need_column(id, column)?;
                if rel.column(&column).is_some_and(|c| c.identity.is_none()) && !rel.assumed {
                    return if *if_exists { Ok(Applied::skipped()) } else { Err(not_identity(&column, rel)) };
                }
                let sequence = self.sequence_of_column(id, &column).map(|s| s.id);
                self.edit_column(id, &column, |c| c.identity = None);
                if let Some(s) = sequence {
                    self.drop_all(vec![Obj::Relation(s)], true)?;
                }
            }
            SetStatistics { column, value } => self.edit_column(id, column, |c| c.statistics = Some(value.clone())),
            SetStorage { column, storage } => {
                let column = self.need_column(id, column)?;
                self.edit_column(id, &column, |c| c.storage = Some(storage.clone()));
            }
            SetCompression { column, method } => {
                let column = self.need_column(id, column)?;
                self.edit_column(id, &column, |c| c.compression = Some(method.clone()));
            }
            SetColumnOptions { column, .. } => {
                self.need_column(id, column)?;
            }

            AddConstraint(c) => self.add_constraint(id, c, target.only)?,
            AlterConstraint { name, deferrable, initially_deferred, enforced, inherit } => {
                let name = self.need_constraint(id, name)?;
                self.edit_constraint(id, &name, |c| {
                    c.deferrable = deferrable.unwrap_or(c.deferrable);
                    c.initially_deferred = initially_deferred.unwrap_or(c.initially_deferred);
                    c.enforced = enforced.unwrap_or(c.enforced);
                    if *enforced == Some(false) {
                        c.validated = false;
                    } else if *enforced == Some(true) {
                        c.validated = true;
                    }
                    c.no_inherit = inherit.map_or(c.no_inherit, |i| !i);
                });
            }
            ValidateConstraint { name } => self.validate_constraint(id, name)?,
            DropConstraint { name, if_exists, cascade } => return self.drop_constraint(id, name, *if_exists, *cascade),

            RenameColumn { from, to } => self.rename_column(id, from, to, target.only)?,
            RenameConstraint { from, to } => self.rename_constraint(id, from, to)?,
            RenameTo { to } => self.rename_relation(id, to)?,
            SetSchema { schema } => self.move_relation(id, schema)?,
            Owner { to } => self.edit(id, |r| r.owner = Some(to.clone())),

            Trigger { which, mode } => self.set_trigger_mode(id, which, *mode)?,
            Rule { name, mode } => {
                let name = clip(name.as_str());
                if !rel.assumed && !rel.rules.iter().any(|r| r.name == name) {
                    return Err(fails("42704", format!("rule \"{name}\" for relation \"{}\" does not exist", rel.name)));
                }
                self.edit(id, |r| r.rules.iter_mut().filter(|x| x.name == name).for_each(|x| x.mode = *mode));
            }
            EnableRowSecurity => self.edit(id, |r| r.row_security = true),
            DisableRowSecurity => self.edit(id, |r| r.row_security = false),
            ForceRowSecurity => self.edit(id, |r| r.force_row_security = true),
            NoForceRowSecurity => self.edit(id, |r| r.force_row_security = false),

            ClusterOn { index } => self.cluster_on(id, index)?,
            SetWithoutCluster => self.edit(id, |r| r.clustered_on = None),
            SetWithoutOids => {}
            SetLogged { logged } => {
                let to = if *logged { Persistence::Permanent } else { Persistence::Unlogged };
                let indexes: Vec<Id> = self.indexes_of(id).iter().map(|r| r.id).collect();
                for id in indexes.into_iter().chain([id]) {
                    self.edit(id, |r| r.persistence = to);
                }
            }
            SetAccessMethod { method } => self.edit(id, |r| r.access_method = Some(method.clone())),
            SetTablespace { tablespace } => self.edit(id, |r| r.tablespace = Some(tablespace.clone())),
            SetOptions { options } => self.edit(id, |r| merge_options(&mut r.options, options)),
            ResetOptions { options } => self.edit(id, |r| r.options.retain(|(k, _)| !options.contains(k))),
            Inherit { parent } => self.inherit(id, parent)?,
            NoInherit { parent } => {
                let parent = self.need_relation(parent)?;
                if !rel.parents.contains(&parent) && !rel.assumed {
                    let parent = self.relation(parent).map(|p| p.name.clone()).unwrap_or_default();
                    return Err(fails("42P01", format!("relation \"{parent}\" is not a parent of relation \"{}\"", rel.name)));
                }
                self.disinherit(id, parent);
            }
            OfType { .. } | NotOf | Other { .. } => {}
            ReplicaIdentity { identity } => {
                if let crate::op::ReplicaIdentity::Index(name) = identity {
                    let name = clip(name.as_str());
                    let there = self.indexes_of(id).iter().any(|i| i.name == name);
                    if !there && !rel.assumed {
                        return Err(fails("42704", format!("index \"{name}\" for table \"{}\" does not exist", rel.name)));
                    }
                }
                self.edit(id, |r| r.replica_identity = Some(identity.clone()));
            }
            AttachPartition { partition, bound } => self.attach_partition(id, partition, bound)?,
            DetachPartition { partition, .. } => {
                let part = self.need_relation(partition)?;
                if self.relation(part).is_some_and(|p| !p.parents.contains(&id) && !p.assumed) && !rel.assumed {
                    let message = format!("relation \"{}\" is not a partition of relation \"{}\"", partition.as_str(), rel.name);
                    return Err(fails("42P01", message));
                }
                self.detach_partition(id, part);
            }
            AttachIndex { index } => self.attach_index(id, index)?,
        }
        Ok(Applied::default())
    }

    fn add_column(&mut self, id: Id, def: &ColumnDef, if_not_exists: bool, only: bool) -> Res<Applied> {
        let Some(rel) = self.relation(id).cloned() else { return Ok(Applied::default()) };
        if !matches!(rel.kind, RelKind::Table | RelKind::PartitionedTable | RelKind::ForeignTable | RelKind::Composite) {
            return Err(wrong_kind(&rel, "ADD COLUMN"));
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
        if rel.is_partition() {
            return Err(fails("42809", "cannot add column to a partition"));
        }
        let children = self.children_of(id);
        if only && !children.is_empty() {
            return Err(fails("42P16", "column must be added to child tables too"));
        }
        let column = self.define_column(&rel, def)?;
        let (column_name, not_null) = (column.name.clone(), column.not_null);
        self.edit(id, |r| r.push_column(column.clone()));
        for child in self.descendants_of(id) {
            self.edit(child, |r| match r.column_mut(&column_name) {
                Some(_) => {}
                None => r.push_column(Column { inherited: true, identity: None, ..column.clone() }),
            });
        }
        if let Some(g) = &def.generated {
            let rel = self.relation(id).cloned().unwrap_or(rel);
            self.columns_in(&g.expr, &rel)?;
        }
        self.attach_sequence(id, def)?;
        if not_null {
            let name = def.not_null_name.as_ref().map(|n| clip(n.as_str()));
            self.mark_not_null(id, &column_name, name, true, false)?;
        }
        let rank = |c: &&crate::op::TableConstraint| match c.kind {
            ConstraintKind::Check { .. } | ConstraintKind::NotNull { .. } => 0,
            ConstraintKind::ForeignKey(_) => 2,
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

    fn drop_column(&mut self, id: Id, column: &Name, if_exists: bool, cascade: bool, only: bool) -> Res<Applied> {
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
        if !only {
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

    fn set_default(&mut self, id: Id, column: &Name, expr: &Expr, only: bool) -> Res<()> {
        let name = self.need_column(id, column)?;
        let Some(rel) = self.relation(id).cloned() else { return Ok(()) };
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
            });
        }
        Ok(())
    }

    fn drop_default(&mut self, id: Id, column: &Name, only: bool) -> Res<()> {
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

    fn drop_not_null(&mut self, id: Id, column: &Name, only: bool) -> Res<()> {
        let name = self.need_column(id, column)?;
        let Some(rel) = self.relation(id) else { return Ok(()) };
        let Some(c) = rel.column(&name) else { return Ok(()) };
        if !c.not_null {
            return Ok(());
        }
        if rel.primary_key().is_some_and(|pk| pk.kind.columns().contains(&name)) {
            return Err(fails("42P16", format!("column \"{name}\" is in a primary key")));
        }
        if c.identity.is_some() {
            return Err(fails("55000", format!("column \"{name}\" of relation \"{}\" is an identity column", rel.name)));
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

    fn set_type(&mut self, id: Id, column: &Name, ty: &TypeName, collation: Option<String>, using: Option<&Expr>) -> Res<()> {
        let name = self.need_column(id, column)?;
        if is_serial_name(ty) {
            return Err(fails("42704", format!("type \"{}\" does not exist", ty.name)));
        }
        let new = self.need_type(ty)?;
        let Some(rel) = self.relation(id).cloned() else { return Ok(()) };
        let Some(c) = rel.column(&name).cloned() else { return Ok(()) };
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
        self.nothing_holds_the_type(id, &rel, &name)?;
        match using {
            Some(u) => {
                if has_subquery(u) {
                    return Err(fails("0A000", "cannot use subquery in transform expression"));
                }
                self.columns_in(u, &rel)?;
            }
            None if super::casts::assignable(self, &c.ty, &new) == Some(false) => {
                return Err(fails("42804", format!("column \"{name}\" cannot be cast automatically to type {new}")));
            }
            None => {}
        }
        if let Some(e) = &c.default
            && c.generated.is_none()
            && matches!(super::casts::default_casts(self, &c.ty, e, &new), Some(false))
        {
            return Err(fails("42804", format!("default for column \"{name}\" cannot be cast automatically to type {new}")));
        }
        if c.identity.is_some() && !is_integer(&new) {
            return Err(fails("22023", "identity column type must be smallint, integer, or bigint"));
        }
        for id in self.with_descendants(id, false) {
            self.edit_column(id, &name, |c| {
                c.ty = new.clone();
                c.collation = collation.clone();
            });
        }
        self.retype_identity_sequence(id, &name, &new);
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

    fn add_identity(&mut self, id: Id, rel: &Relation, column: &Name, identity: &Identity) -> Res<()> {
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
        if c.default.is_some() {
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
        let Some(rel) = self.relation(id).cloned() else { return Ok(()) };
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
        let Some(rel) = self.relation(id).cloned() else { return Ok(()) };
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

    fn validate_constraint(&mut self, id: Id, name: &Name) -> Res<()> {
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
        for id in self.with_descendants(id, false) {
            self.edit_constraint(id, &name, |c| c.validated = true);
        }
        Ok(())
    }

    fn drop_constraint(&mut self, id: Id, name: &Name, if_exists: bool, cascade: bool) -> Res<Applied> {
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
            self.drop_not_null(id, &column, false)?;
            return Ok(Applied::default());
        }
        let mut roots = vec![Obj::Constraint(id, name.clone())];
        let kind = c.kind.clone();
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

fn kind_of(kind: ObjectKind) -> RelKind {
    match kind {
        ObjectKind::View => RelKind::View,
        ObjectKind::MaterializedView => RelKind::MaterializedView,
        ObjectKind::Index => RelKind::Index,
        ObjectKind::Sequence => RelKind::Sequence,
        ObjectKind::ForeignTable => RelKind::ForeignTable,
        ObjectKind::Type => RelKind::Composite,
        _ => RelKind::Table,
    }
}

pub(super) fn no_column(name: &str, rel: &Relation) -> ApplyError {
    fails("42703", format!("column \"{name}\" of relation \"{}\" does not exist", rel.name))
}

fn not_identity(column: &str, rel: &Relation) -> ApplyError {
    fails("55000", format!("column \"{column}\" of relation \"{}\" is not an identity column", rel.name))
}

fn is_serial_name(ty: &TypeName) -> bool {
    ty.name.schema.is_none() && matches!(ty.name.as_str(), "serial" | "bigserial" | "smallserial" | "serial2" | "serial4" | "serial8")
}

/// Later options replace earlier ones of the same name.
pub(super) fn merge_options(old: &mut Options, new: &Options) {
    for (k, v) in new {
        match old.iter_mut().find(|(o, _)| o == k) {
            Some((_, value)) => value.clone_from(v),
            None => old.push((k.clone(), v.clone())),
        }
    }
}
