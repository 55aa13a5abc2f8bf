//! The subcommands of ALTER TABLE and its relatives (`AlterTableGetLockLevel`).

use crate::catalog::{ConKind, Id, RelKind, Relation, proves_not_null};
use crate::op::{
    AlterAction, AlterTarget, ConstraintKind, LockMode, Name, ObjectKind, OpKind, PartitionBound, PgVersion, Statement, TableConstraint,
};

use super::columns::{TypeChange, add_rewrites, default_value, type_change};
use super::partitions::{attach, default_partition_lock, referencing};
use super::seen::{Seen, added};
use super::statements::{lock_named, new_indexes, with_children};

pub fn alter(s: &mut Seen<'_>, target: &AlterTarget, action: &AlterAction, statement: &Statement) {
    use AlterAction as A;
    use LockMode as L;
    // That it needs to be alone is known from the words.
    if let A::DetachPartition { concurrently: true, .. } = action {
        s.in_transaction = false;
    }
    let Some(rel) = s.find(&target.name) else { return };
    let id = rel.id;
    let mut tree = if target.only { vec![id] } else { with_children(s, id) };
    // Tables of a composite type follow its attributes.
    if rel.kind == RelKind::Composite {
        s.before.tables_of_type(id).into_iter().for_each(|t| tree.extend(with_children(s, t)));
    }
    let lock_tree = |s: &mut Seen<'_>, mode| tree.iter().for_each(|t| s.lock(*t, mode));
    match action {
        A::AddColumn { column, if_not_exists, .. } => {
            if *if_not_exists && rel.column(column.name.as_str()).is_some() {
                s.lock(id, L::AccessExclusive);
                return;
            }
            lock_tree(s, L::AccessExclusive);
            if add_rewrites(s.before, column, s.pg) {
                tree.iter().for_each(|t| s.rewrite(*t));
            }
            let value =
                default_value(s.before, column).is_some_and(|d| !d.is_null()) || column.identity.is_some() || column.generated.is_some();
            if column.nullable == Some(false) && !value && !column.ty.name.as_str().ends_with("serial") {
                tree.iter().for_each(|t| s.scan(*t));
            }
            for c in &column.constraints {
                match &c.kind {
                    ConstraintKind::Check { .. } if c.no_inherit && !c.not_enforced => s.scan(id),
                    ConstraintKind::Check { .. } if !c.not_enforced => tree.iter().for_each(|t| s.scan(*t)),
                    ConstraintKind::ForeignKey(fk) => {
                        if let Some(other) = s.find(&fk.table).map(|r| r.id) {
                            s.with_partitions(other).into_iter().for_each(|t| s.lock(t, L::ShareRowExclusive));
                        }
                        // A default that is spelled out is looked for in the other table, and be it NULL.
                        let given = column.default.is_some() || value && column.identity.is_none();
                        if given && let Some(r) = s.find(&fk.table) {
                            let r = r.id;
                            tree.iter().for_each(|t| s.join(*t, r));
                        }
                    }
                    ConstraintKind::Unique { .. } | ConstraintKind::PrimaryKey { .. } => {
                        // Partitions have a part in the index, children by inheritance have none.
                        s.with_partitions(id).into_iter().for_each(|t| s.scan(t));
                        new_indexes(s);
                    }
                    _ => {}
                }
            }
        }
        A::SetNotNull { column } => {
            // DROP NOT NULL comes first wherever it stands.
            let taken_off = statement.ops.iter().any(|o| {
                let same = |t: &AlterTarget, c: &Name| t.name.as_str() == target.name.as_str() && c.as_str() == column.as_str();
                matches!(&o.kind, OpKind::Alter { target: t, action: A::DropNotNull { column: c } } if same(t, c))
            });
            // Where the table knows it already, its children do too, and are not looked at: before 18, that holds of partitions only.
            let known = rel.column(column.as_str()).is_some_and(|c| c.not_null) && !not_valid_not_null(rel, column.as_str());
            if known && !taken_off && (rel.kind == RelKind::PartitionedTable || s.pg.0 >= 18) {
                s.lock(id, L::AccessExclusive);
                return;
            }
            lock_tree(s, L::AccessExclusive);
            let dropped = dropped_constraints(statement, target);
            for t in &tree {
                let Some(r) = s.get(*t) else { continue };
                let known = r.column(column.as_str()).is_some_and(|c| c.not_null) && !not_valid_not_null(r, column.as_str());
                let already = known && !taken_off;
                let own = |c: &&crate::catalog::Constraint| matches!(&c.kind, ConKind::NotNull { column: n } if n == column.as_str());
                let gone = r.constraints.iter().filter(own).filter(|_| taken_off).map(|c| c.name.as_str());
                let dropped: Vec<&str> = dropped.iter().copied().chain(gone).collect();
                if !already && !proves_not_null(r, column.as_str(), &dropped) {
                    s.scan(*t);
                }
            }
        }
        A::SetType { column, ty, using, .. } => {
            lock_tree(s, L::AccessExclusive);
            let new = s.before.resolve_type(ty);
            for t in &tree {
                let Some(r) = s.get(*t) else { continue };
                let Some(c) = r.column(column.as_str()) else { continue };
                let change = type_change(s.before, &c.ty, &new, using.as_ref(), column.as_str());
                // A virtual column has no values to write.
                let change = if c.generated.as_ref().is_some_and(|g| !g.stored) && s.pg.0 >= 18 { TypeChange::Free } else { change };
                if c.identity.is_some() {
                    let sequence = s.before.sequence_of_column(*t, column.as_str()).map(|q| q.id);
                    sequence.into_iter().for_each(|q| s.lock(q, L::ShareRowExclusive));
                }
                let collation = |c: &crate::catalog::Catalog| c.relation(*t)?.column(column.as_str()).map(|c| c.collation.clone());
                let sorts_anew = collation(s.after).is_some_and(|new| new != c.collation);
                set_type(s, r, column.as_str(), change, sorts_anew);
            }
            // The parts of a partitioned table's indexes are made anew whatever the change is.
            new_indexes(s);
            let made: Vec<Id> = added(s.before, s.after).filter_map(|i| i.index.as_ref()).map(|i| i.table).collect();
            made.into_iter().for_each(|t| s.scan(t));
        }
        A::SetExpression { column, .. } => {
            lock_tree(s, L::AccessExclusive);
            if s.pg.0 >= 18 && rel.column(column.as_str()).and_then(|c| c.generated.as_ref()).is_some_and(|g| !g.stored) {
                // A virtual column has no values to write.
                return;
            }
            tree.iter().for_each(|t| s.rewrite(*t));
        }
        A::AddConstraint(c) => add_constraint(s, rel, &tree, c),
        A::ValidateConstraint { name } => validate(s, rel, &tree, name.as_str()),
        A::AlterConstraint { name, enforced, deferrable, initially_deferred, .. } => {
            s.lock(id, L::AccessExclusive);
            let con = rel.constraint(name.as_str());
            let changes = con.is_some_and(|c| {
                deferrable.is_some_and(|d| d != c.deferrable) || initially_deferred.is_some_and(|d| d != c.initially_deferred)
            });
            // The partitions have copies; before 18 they are looked at whether they change or not.
            if changes || s.pg.0 < 18 {
                s.with_partitions(id).into_iter().for_each(|t| s.lock(t, L::AccessExclusive));
            }
            if let (Some(enforced), Some(ConKind::ForeignKey { table, .. })) = (enforced, rel.constraint(name.as_str()).map(|c| &c.kind)) {
                // Where it is as it was, nothing is done.
                if rel.constraint(name.as_str()).is_some_and(|c| c.enforced == *enforced) {
                    return;
                }
                s.lock(*table, if *enforced { L::ShareRowExclusive } else { L::AccessExclusive });
                if *enforced {
                    s.join(id, *table);
                }
            }
        }
        A::RenameConstraint { from, .. } => {
            let c = rel.constraint(from.as_str());
            let handed_down = c.is_some_and(|c| !c.no_inherit && matches!(c.kind, ConKind::Check { .. } | ConKind::NotNull { .. }));
            if handed_down {
                lock_tree(s, L::AccessExclusive);
            } else {
                s.lock(id, L::AccessExclusive);
            }
            if let Some(i) = c.and_then(|c| c.kind.index()) {
                s.lock(i, L::ShareUpdateExclusive);
            }
        }
        A::DropConstraint { name, .. } => match rel.constraint(name.as_str()) {
            Some(c) if !c.no_inherit && matches!(c.kind, ConKind::Check { .. } | ConKind::NotNull { .. }) => {
                lock_tree(s, L::AccessExclusive);
                // ONLY: the children are told that it is now their own.
                s.before.children_of(id).into_iter().for_each(|t| s.lock(t, L::AccessExclusive));
            }
            c => {
                s.lock(id, L::AccessExclusive);
                if let Some(ConKind::ForeignKey { table, .. }) = c.map(|c| &c.kind) {
                    s.lock(*table, L::AccessExclusive);
                }
            }
        },
        A::DropColumn { column, .. } if target.only && rel.column(column.as_str()).is_some() => {
            lock_tree(s, L::AccessExclusive);
            s.before.children_of(id).into_iter().for_each(|t| s.lock(t, L::AccessExclusive));
        }
        A::DropNotNull { column } if target.only && s.pg.0 >= 18 && rel.column(column.as_str()).is_some_and(|c| c.not_null) => {
            lock_tree(s, L::AccessExclusive);
            s.before.children_of(id).into_iter().for_each(|t| s.lock(t, L::AccessExclusive));
        }
        A::DropColumn { column, .. } if rel.column(column.as_str()).is_none() => s.lock(id, L::AccessExclusive),
        A::DropNotNull { column } if s.pg.0 >= 18 && rel.column(column.as_str()).is_some_and(|c| !c.not_null) => {
            s.lock(id, L::AccessExclusive);
        }
        A::AddIdentity { column, .. } | A::DropIdentity { column, .. } => {
            s.lock(id, L::AccessExclusive);
            let drops_nothing =
                matches!(action, A::DropIdentity { .. }) && rel.column(column.as_str()).is_some_and(|c| c.identity.is_none());
            if s.pg.0 >= 17 && !drops_nothing && rel.kind == RelKind::PartitionedTable {
                lock_tree(s, L::AccessExclusive);
            }
        }
        A::SetCompression { .. }
        | A::EnableRowSecurity
        | A::DisableRowSecurity
        | A::ForceRowSecurity
        | A::NoForceRowSecurity
        | A::Rule { .. }
        | A::SetWithoutOids
        | A::NotOf => s.lock(id, L::AccessExclusive),
        A::OfType { ty } => {
            s.lock(id, L::AccessExclusive);
            lock_named(s, ty, L::AccessShare);
        }
        A::RenameTo { .. } if target.kind == ObjectKind::Index => s.lock(id, L::ShareUpdateExclusive),
        A::RenameTo { .. } => s.lock(id, L::AccessExclusive),
        A::SetSchema { .. } => {
            s.lock(id, L::AccessExclusive);
            let sequences: Vec<Id> = s.before.sequences_of(id).into_iter().map(|(q, _)| q.id).collect();
            sequences.into_iter().for_each(|q| s.lock(q, L::AccessExclusive));
        }
        A::Owner { .. } => {
            s.lock(id, L::AccessExclusive);
            let same = s.after.relation(id).is_some_and(|a| a.owner == rel.owner);
            if same {
                // Nothing is to be done.
                return;
            }
            s.lock_indexes(id, L::AccessExclusive);
            let sequences: Vec<Id> = s.before.sequences_of(id).into_iter().map(|(q, _)| q.id).collect();
            sequences.into_iter().for_each(|q| s.lock(q, L::AccessExclusive));
        }
        A::SetStatistics { .. } => lock_tree(s, L::ShareUpdateExclusive),
        A::SetColumnOptions { .. } | A::SetWithoutCluster => s.lock(id, L::ShareUpdateExclusive),
        A::ReplicaIdentity { identity } => {
            s.lock(id, L::AccessExclusive);
            if let crate::op::ReplicaIdentity::Index(name) = identity {
                let found = s.before.indexes_of(id).into_iter().find(|i| i.name == name.as_str()).map(|i| i.id);
                found.into_iter().for_each(|i| s.lock(i, L::Share));
            }
        }
        A::SetIdentity { column, .. } => {
            s.lock(id, L::AccessExclusive);
            let sequence = s.before.sequence_of_column(id, column.as_str()).map(|q| q.id);
            sequence.into_iter().for_each(|q| s.lock(q, L::ShareRowExclusive));
        }
        A::SetOptions { options } => s.lock(id, option_lock(options.iter().map(|(k, _)| k.as_str()), rel)),
        A::ResetOptions { options } => s.lock(id, option_lock(options.iter().map(String::as_str), rel)),
        A::Trigger { which, .. } => {
            s.lock(id, L::ShareRowExclusive);
            // Only the triggers that were handed down lead to the partitions.
            let cloned = |t: &crate::catalog::Trigger| {
                t.for_each_row
                    && match which {
                        crate::op::WhichTrigger::Named(n) => t.name == n.as_str(),
                        _ => true,
                    }
            };
            if rel.kind == RelKind::PartitionedTable && rel.triggers.iter().any(cloned) {
                lock_tree(s, L::ShareRowExclusive);
            }
        }
        A::ClusterOn { index } => {
            s.lock(id, L::ShareUpdateExclusive);
            let found = s.before.indexes_of(id).into_iter().find(|i| i.name == index.as_str()).map(|i| i.id);
            if let Some(i) = found {
                s.lock(i, L::ShareUpdateExclusive);
            }
        }
        A::SetLogged { logged } => {
            s.lock(id, L::AccessExclusive);
            if rel.kind == RelKind::PartitionedTable {
                return;
            }
            if s.pg.0 >= 15 && *logged != (rel.persistence == crate::op::Persistence::Permanent) {
                let sequences: Vec<Id> = s.before.sequences_of(id).into_iter().map(|(q, _)| q.id).collect();
                sequences.into_iter().for_each(|q| s.lock(q, L::AccessExclusive));
            }
            if *logged != (rel.persistence == crate::op::Persistence::Permanent) {
                s.rewrite(id);
            }
        }
        A::SetAccessMethod { method } => {
            s.lock(id, L::AccessExclusive);
            if method != rel.access_method.as_deref().unwrap_or("heap") {
                s.rewrite(id);
            }
        }
        A::SetTablespace { tablespace } => {
            s.lock(id, L::AccessExclusive);
            if rel.kind != RelKind::Index && tablespace != rel.tablespace.as_deref().unwrap_or("pg_default") {
                s.replace_file(id);
            }
        }
        A::Inherit { parent } => {
            // The tree below must not lead back to the parent.
            s.before.descendants_of(id).into_iter().for_each(|t| s.lock(t, L::AccessShare));
            s.lock(id, L::AccessExclusive);
            lock_named(s, parent, L::ShareUpdateExclusive);
        }
        A::NoInherit { parent } => {
            s.lock(id, L::AccessExclusive);
            lock_named(s, parent, L::AccessShare);
        }
        A::AttachPartition { partition, bound } => attach(s, rel, partition, bound),
        A::DetachPartition { partition, concurrently, finalize } => {
            if *concurrently {
                let has_default = s
                    .before
                    .children_of(id)
                    .into_iter()
                    .any(|c| s.before.relation(c).is_some_and(|r| r.partition_bound == Some(PartitionBound::Default)));
                if has_default {
                    s.fails = Some(("55000", "cannot detach partitions concurrently when a default partition exists".into()));
                }
            }
            let soft = *concurrently || *finalize;
            s.lock(id, if soft { L::ShareUpdateExclusive } else { L::AccessExclusive });
            if let Some(p) = s.find(partition).map(|r| r.id) {
                s.lock_tree(p, L::AccessExclusive);
                // Its indexes are taken out of the parent's.
                let parts: Vec<Id> = s
                    .before
                    .indexes_of(p)
                    .into_iter()
                    .filter(|i| i.index.as_ref().is_some_and(|i| i.parent.is_some()))
                    .map(|i| i.id)
                    .collect();
                parts.into_iter().for_each(|i| s.lock(i, L::AccessExclusive));
                if !soft {
                    default_partition_lock(s, id);
                }
                {
                    // Foreign keys that it shared become its own.
                    let others: Vec<Id> = rel
                        .constraints
                        .iter()
                        .filter_map(|c| match &c.kind {
                            ConKind::ForeignKey { table, .. } => Some(*table),
                            _ => None,
                        })
                        .collect();
                    // Before 15 those on partitioned tables stay as they are.
                    let kept = |o: &Id| s.pg.0 < 15 && s.get(*o).is_some_and(|r| r.kind == RelKind::PartitionedTable);
                    let made: Vec<Id> = others.into_iter().filter(|o| !kept(o)).collect();
                    made.into_iter().for_each(|o| s.lock_tree(o, L::ShareRowExclusive));
                    // So does the part of a key of its own that points back at it.
                    for above in s.before.own_keys_into_own_tree(p) {
                        s.lock(above, L::AccessShare);
                        let below: Vec<Id> = s.before.descendants_of(p);
                        below.into_iter().for_each(|t| s.lock_indexes(t, L::AccessShare));
                    }
                }
                referencing(s, id, p);
            }
        }
        A::AttachIndex { index } => {
            s.lock(id, L::ShareUpdateExclusive);
            // The tables of both indexes, and the partition's index itself.
            for table in
                [Some(rel), s.find(index)].into_iter().flatten().filter_map(|r| r.index.as_ref()).map(|i| i.table).collect::<Vec<_>>()
            {
                s.lock(table, L::AccessShare);
            }
            if let Some(i) = s.find(index).map(|r| r.id) {
                s.lock(i, L::AccessExclusive);
            }
        }
        _ => lock_tree(s, L::AccessExclusive),
    }
}

fn not_valid_not_null(r: &Relation, column: &str) -> bool {
    r.constraints.iter().any(|c| !c.validated && matches!(&c.kind, ConKind::NotNull { column: n } if n == column))
}

/// What the indexes of a key lock the partitions by. One that may be deferred has a trigger on each, which needs more before 18.
fn on_parts(c: &TableConstraint, pg: PgVersion) -> LockMode {
    if c.deferrable && pg.0 < 18 { LockMode::ShareRowExclusive } else { LockMode::Share }
}

/// Constraints that the same ALTER TABLE drops: drops come first, so they prove nothing any more.
fn dropped_constraints<'s>(statement: &'s Statement, target: &AlterTarget) -> Vec<&'s str> {
    statement
        .ops
        .iter()
        .filter_map(|o| match &o.kind {
            OpKind::Alter { target: t, action: AlterAction::DropConstraint { name, .. } } if t.name.as_str() == target.name.as_str() => {
                Some(name.as_str())
            }
            _ => None,
        })
        .collect()
}

/// `sorts_anew`: the collation of the column is another one.
fn set_type(s: &mut Seen<'_>, table: &Relation, column: &str, change: TypeChange, sorts_anew: bool) {
    let id = table.id;
    if change == TypeChange::Rewrite {
        s.rewrite(id);
    }
    // Constraints on the column are dropped and made again; a check is tried on every row.
    for c in &table.constraints {
        match &c.kind {
            ConKind::Check { columns, .. } if columns.iter().any(|n| n == column) && c.validated => s.scan(id),
            ConKind::ForeignKey { columns, table: other, .. } if columns.iter().any(|n| n == column) => {
                s.remake_key(*other);
                if change == TypeChange::Rewrite {
                    s.join(id, *other);
                }
            }
            _ => {}
        }
    }
    let incoming: Vec<(Id, bool)> = s
        .before
        .foreign_keys_to(id)
        .into_iter()
        .filter_map(|(r, c)| match &c.kind {
            ConKind::ForeignKey { ref_columns, .. } => Some((r.id, ref_columns.iter().any(|n| n == column))),
            _ => None,
        })
        .collect();
    for (other, uses) in incoming {
        if uses {
            s.lock(other, LockMode::AccessExclusive);
            if change == TypeChange::Rewrite {
                s.join(other, id);
            }
        }
    }
    // Columns that are only included are not compared.
    let indexes: Vec<(Id, bool, bool, bool)> = s
        .before
        .indexes_of(id)
        .into_iter()
        .filter_map(|i| Some((i.id, i.index.as_ref()?)))
        .map(|(id, x)| {
            // Whether an expression or a predicate still means the same is not asked: such an index is always built anew.
            let opaque = x.filter.is_some() || x.columns.iter().any(Option::is_none) || !x.valid;
            let keys: Vec<usize> = (0..x.columns.len()).filter(|k| x.columns[*k].as_deref() == Some(column)).collect();
            let sorts = sorts_anew && keys.iter().any(|k| x.elements.get(*k).is_none_or(|e| e.collation.is_none()));
            let other_rules = sorts || change == TypeChange::Reindex && !keys.is_empty();
            (id, x.depends.iter().any(|d| d == column), opaque, other_rules)
        })
        .collect();
    for (index, uses, opaque, other_rules) in indexes {
        if uses {
            s.lock(index, LockMode::AccessExclusive);
            // The index of a partitioned table has no storage.
            let stored = s.before.relation(index).is_some_and(|r| r.kind == RelKind::Index);
            if stored && change != TypeChange::Rewrite && (opaque || other_rules) {
                s.build(index);
                s.scan(id);
            }
        }
    }
}

fn add_constraint(s: &mut Seen<'_>, rel: &Relation, tree: &[Id], c: &TableConstraint) {
    use LockMode as L;
    let checked = !c.not_valid && !c.not_enforced;
    if s.pg.0 >= 18 {
        // All that may have to follow is locked beforehand, whatever the constraint is.
        let mode = if matches!(c.kind, ConstraintKind::ForeignKey(_)) { L::ShareRowExclusive } else { L::AccessExclusive };
        tree.iter().for_each(|t| s.lock(*t, mode));
    }
    match &c.kind {
        ConstraintKind::ForeignKey(fk) => {
            let Some(other) = s.find(&fk.table).map(|r| r.id) else { return };
            for t in s.with_partitions(rel.id) {
                s.lock(t, L::ShareRowExclusive);
            }
            for t in s.with_partitions(other) {
                s.lock(t, L::ShareRowExclusive);
            }
            if checked {
                s.join(rel.id, other);
            }
        }
        ConstraintKind::Check { .. } => {
            let tree = if c.no_inherit { &tree[..1] } else { tree };
            for t in tree {
                s.lock(*t, L::AccessExclusive);
                if checked {
                    s.scan(*t);
                }
            }
        }
        ConstraintKind::NotNull { column } => {
            for t in tree {
                s.lock(*t, L::AccessExclusive);
                let Some(r) = s.get(*t) else { continue };
                let already = r.column(column.as_str()).is_some_and(|c| c.not_null) && !not_valid_not_null(r, column.as_str());
                if checked && !already && !proves_not_null(r, column.as_str(), &[]) {
                    s.scan(*t);
                }
            }
        }
        ConstraintKind::Unique { using_index, .. } | ConstraintKind::PrimaryKey { using_index, .. } => {
            let parts = if rel.kind == RelKind::PartitionedTable { tree.to_vec() } else { vec![rel.id] };
            let primary = matches!(c.kind, ConstraintKind::PrimaryKey { .. });
            s.lock(rel.id, L::AccessExclusive);
            let mode = on_parts(c, s.pg);
            parts.iter().for_each(|t| s.lock(*t, mode));
            let columns: Vec<String> = match (&c.kind, using_index) {
                (_, Some(i)) => {
                    let index = s.before.indexes_of(rel.id).into_iter().find(|x| x.name == i.as_str());
                    let names =
                        index.and_then(|x| x.index.as_ref()).map(|x| x.columns.iter().flatten().cloned().collect()).unwrap_or_default();
                    if let Some(x) = index {
                        let renamed = c.name.as_ref().is_some_and(|n| n.as_str() != x.name);
                        s.lock(x.id, if renamed { L::ShareUpdateExclusive } else { L::AccessShare });
                    }
                    names
                }
                (ConstraintKind::PrimaryKey { columns, .. }, None) => columns.iter().map(|c| c.value.clone()).collect(),
                _ => Vec::new(),
            };
            if using_index.is_none() {
                for t in &parts {
                    if !super::statements::takes_an_index(s, *t) {
                        s.scan(*t);
                    }
                }
                new_indexes(s);
            }
            if primary {
                // The new NOT NULLs go down to the children, which have no part in the key itself.
                let nullable = |r: &Relation| columns.iter().any(|n| r.column(n).is_some_and(|c| !c.not_null));
                // Before 18 children by inheritance are gone through in any case.
                let asked = nullable(rel) || s.pg.0 < 18 && rel.kind != RelKind::PartitionedTable;
                let parts = if asked { tree.to_vec() } else { Vec::new() };
                for t in &parts {
                    s.lock(*t, L::AccessExclusive);
                    let Some(r) = s.get(*t) else { continue };
                    let nullable = |n: &String| r.column(n).is_some_and(|c| !c.not_null) && !proves_not_null(r, n, &[]);
                    if columns.iter().any(nullable) {
                        s.scan(*t);
                    }
                }
            }
        }
        ConstraintKind::Exclude { .. } => {
            s.lock(rel.id, L::AccessExclusive);
            for t in s.with_partitions(rel.id) {
                s.lock(t, on_parts(c, s.pg));
                s.scan(t);
            }
            new_indexes(s);
        }
    }
}

fn validate(s: &mut Seen<'_>, rel: &Relation, tree: &[Id], name: &str) {
    use LockMode as L;
    s.lock(rel.id, L::ShareUpdateExclusive);
    let Some(c) = rel.constraint(name).filter(|c| !c.validated) else { return };
    let tree = if c.no_inherit { &tree[..1] } else { tree };
    match &c.kind {
        ConKind::ForeignKey { table, .. } => {
            let table = *table;
            for t in s.with_partitions(rel.id) {
                s.lock(t, L::ShareUpdateExclusive);
            }
            s.lock(table, L::RowShare);
            s.join(rel.id, table);
        }
        kind => {
            // A child of which it is known already is left out.
            let same = |r: &Relation| match kind {
                ConKind::NotNull { column } => {
                    r.constraints.iter().any(|c| c.validated && matches!(&c.kind, ConKind::NotNull { column: n } if n == column))
                }
                _ => r.constraint(name).is_some_and(|c| c.validated),
            };
            for t in tree {
                s.lock(*t, L::ShareUpdateExclusive);
                if !s.get(*t).is_some_and(same) {
                    s.scan(*t);
                }
            }
        }
    }
}

/// Storage parameters that only steer later work need no more than SHARE UPDATE EXCLUSIVE.
fn option_lock<'o>(keys: impl Iterator<Item = &'o str>, rel: &Relation) -> LockMode {
    let view = matches!(rel.kind, RelKind::View | RelKind::MaterializedView) && rel.kind == RelKind::View;
    let hard = |k: &str| {
        matches!(
            k,
            "user_catalog_table"
                | "buffering"
                | "fastupdate"
                | "gin_pending_list_limit"
                | "pages_per_range"
                | "autosummarize"
                | "length"
                | "security_barrier"
                | "security_invoker"
                | "check_option"
        )
    };
    let mut mode = LockMode::ShareUpdateExclusive;
    for k in keys {
        if view || hard(k) {
            mode = LockMode::AccessExclusive;
        }
    }
    mode
}
