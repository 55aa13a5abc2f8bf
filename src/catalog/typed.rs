//! Tables `OF` a composite type: they have its columns, and follow ALTER TYPE … CASCADE.

use crate::op::AlterAction;

use super::apply::{Res, fails};
use super::{Catalog, Id, RelKind, Relation};

impl Catalog {
    /// What is refused to a typed table itself.
    pub(super) fn refuse_typed(&self, rel: &Relation, action: &AlterAction) -> Res<()> {
        use AlterAction::*;
        let typed = |r: &Relation| r.of_type.is_some();
        let what = match action {
            AddColumn { .. } => "cannot add column to typed table",
            DropColumn { .. } => "cannot drop column from typed table",
            SetType { .. } => "cannot alter column type of typed table",
            // The same is asked for a constraint.
            RenameColumn { .. } | RenameConstraint { .. } => "cannot rename column of typed table",
            Inherit { .. } => "cannot change inheritance of typed table",
            AttachPartition { partition, .. }
                if rel.kind == RelKind::PartitionedTable && self.known(partition).is_some_and(|p| !p.is_partition() && typed(p)) =>
            {
                return Err(fails("42809", "cannot attach a typed table as partition"));
            }
            _ => return Ok(()),
        };
        if typed(rel) { Err(fails("42809", what)) } else { Ok(()) }
    }

    /// The tables that a change of the composite type's attributes goes on to; without CASCADE there may be none.
    pub(super) fn following_tables(&self, rel: &Relation, cascade: bool) -> Res<Vec<Id>> {
        let tables = if rel.kind == RelKind::Composite { self.tables_of_type(rel.id) } else { Vec::new() };
        if tables.is_empty() || cascade {
            return Ok(tables);
        }
        Err(fails("2BP01", format!("cannot alter type \"{}\" because it is the type of a typed table", rel.name)))
    }

    /// Values of a composite type are not rewritten where they are stored, however deep.
    pub(super) fn refuse_stored_attribute(&self, composite: &Relation) -> Res<()> {
        let mut types = vec![composite.id];
        let mut next = 0;
        while let Some(ty) = types.get(next).copied() {
            next += 1;
            for (r, c) in self.columns_of_type(ty) {
                match r.kind {
                    RelKind::Table | RelKind::MaterializedView | RelKind::PartitionedTable => {
                        let message = format!("cannot alter type \"{}\" because column \"{}.{c}\" uses it", composite.name, r.name);
                        return Err(fails("0A000", message));
                    }
                    _ if !types.contains(&r.id) => types.push(r.id),
                    _ => {}
                }
            }
            let over = |id: &Id| self.types.contains_key(id) && !types.contains(id);
            types.extend(self.referrers(ty).filter(over).collect::<Vec<_>>());
        }
        Ok(())
    }

    /// The columns of a typed table are those of its type, in their order.
    pub(super) fn refuse_of_type(&self, rel: &Relation, ty: Id) -> Res<()> {
        let Some(composite) = self.relation(ty).filter(|r| r.kind == RelKind::Composite) else {
            return Err(fails("42809", "the type is not a composite type"));
        };
        if !rel.parents.is_empty() {
            return Err(fails("42809", "typed tables cannot inherit"));
        }
        let same = composite.columns.len() == rel.columns.len()
            && composite.columns.iter().zip(&rel.columns).all(|(a, b)| a.name == b.name && a.ty == b.ty && a.collation == b.collation);
        if same { Ok(()) } else { Err(fails("42804", format!("table \"{}\" does not have the columns of the type", rel.name))) }
    }
}
