//! What each kind of operation does, beside the subcommands of ALTER.
//!
//! Lock modes: <https://www.postgresql.org/docs/current/explicit-locking.html>, and the recorded observations of real servers.

use crate::catalog::{Catalog, ConKind, Id, RelKind, Relation};
use crate::op::{Call, Expr, ExprKind, GrantOn, LockMode, ObjectKind, Op, OpKind, QName, QueryBody, Statement};

use super::maintenance::{maintained, reindex};
use super::partitions::{default_partition, parent_indexes};
use super::queries::{dml, lock_rewritten, query, read_relation};
use super::seen::{Seen, added};
use super::{Effects, Sent, alter};

/// `after` is `before` with the statement applied to it, and `refused`: some operation of it certainly was not.
pub fn predict(statement: &Statement, before: &Catalog, after: &Catalog, refused: bool, sent: Sent) -> Effects {
    let mut s = Seen::new(before, after, sent.pg);
    for op in &statement.ops {
        operation(&mut s, op, statement);
        called(&mut s, op, statement, 0);
        one_level(&mut s, op, statement);
        if matches!(op.kind, OpKind::LockTable { .. }) && !op.nested && !sent.in_transaction {
            s.fails = Some(("25P01", "LOCK TABLE can only be used in transaction blocks".into()));
        }
    }
    s.removals();
    // Some ask for the transaction only after they have looked at what they are about.
    let concurrently = statement.ops.iter().any(|o| matches!(o.kind, OpKind::Reindex { concurrently: true, .. }));
    let mut late = ["CLUSTER", "REINDEX"].iter().any(|c| statement.command.starts_with(c)) && !concurrently;
    // Whether the partitions of a table can be clustered by the index is asked behind it.
    let table = statement.ops.iter().find_map(|o| match &o.kind {
        OpKind::Cluster { table: Some(t), index: Some(index) } => before.relation_by(t).map(|r| (r, index)),
        _ => None,
    });
    if let Some((table, index)) = table
        && table.kind == RelKind::PartitionedTable
        && sent.pg.0 >= 15
    {
        late &= before.relation_named(&table.schema, index.as_str()).is_none();
    }
    // Those are told from their words alone.
    let at_once = |o: &Op| match &o.kind {
        OpKind::Alter { action: crate::op::AlterAction::DetachPartition { concurrently, .. }, .. } | OpKind::Drop { concurrently, .. } => {
            *concurrently
        }
        _ => false,
    };
    let from_words = concurrently || statement.ops.iter().any(at_once);
    if sent.in_transaction && !s.in_transaction && (s.fails.is_none() || from_words) && !(late && refused) {
        let what = if statement.command == "?" { "this statement" } else { statement.command };
        s.fails = Some(("25001", format!("{what} cannot run inside a transaction block")));
    }
    let mut effects = s.into_effects();
    if effects.fails.is_some() {
        effects = Effects { in_transaction: effects.in_transaction, fails: effects.fails, error: effects.error, ..Effects::default() };
    }
    effects
}

/// What the history's own functions do that the operation calls. Triggers are no calls.
fn called(s: &mut Seen<'_>, op: &Op, statement: &Statement, depth: u32) {
    // As deep as the catalog follows.
    if depth > 8 {
        return;
    }
    let mut calls: Vec<Call> = Vec::new();
    let mut call = |e: &Expr| {
        if let ExprKind::Call(c) = &e.kind {
            calls.push((**c).clone());
        }
    };
    match &op.kind {
        OpKind::Query(q) => q.walk_exprs(&mut call),
        OpKind::Dml(d) => d.walk_exprs(&mut call),
        OpKind::Call { name, args } => calls.push(Call { name: name.clone(), args: args.clone(), star: false, window: false }),
        _ => {}
    }
    for c in calls {
        let Some(id) = s.before.candidates(&c).first().copied() else { continue };
        for inner in s.before.body_called(id, &c.args).0 {
            operation(s, &inner, statement);
            called(s, &inner, statement, depth + 1);
        }
    }
}

/// The subcommands of one ALTER TABLE lock by the strongest of them, children and the index of CLUSTER ON included.
fn one_level(s: &mut Seen<'_>, op: &Op, statement: &Statement) {
    let OpKind::Alter { target, .. } = &op.kind else { return };
    let commands = statement.ops.iter().filter(|o| o.command == op.command);
    if commands.count() < 2 {
        return;
    }
    let Some(id) = s.find(&target.name).map(|r| r.id) else { return };
    let Some(mode) = s.locked(id) else { return };
    for child in s.before.descendants_of(id) {
        if s.locked(child).is_some() {
            s.lock(child, mode);
        }
    }
    // The order in which they are written says nothing about the order in which they are looked at here.
    let clustered = statement.ops.iter().filter(|o| o.command == op.command).filter_map(|o| match &o.kind {
        OpKind::Alter { action: crate::op::AlterAction::ClusterOn { index }, .. } => Some(index.as_str()),
        _ => None,
    });
    let before = s.before;
    for index in clustered.flat_map(|name| before.indexes_of(id).into_iter().filter(move |i| i.name == name)) {
        s.lock(index.id, mode);
    }
}

fn operation(s: &mut Seen<'_>, op: &Op, statement: &Statement) {
    use LockMode as L;
    match &op.kind {
        OpKind::Alter { target, action } => alter::alter(s, target, action, statement),
        OpKind::CreateTable(t) => {
            // The words are not looked at any further.
            if t.if_not_exists && s.before.relation_by(&t.name).is_some() {
                return;
            }
            for c in t.constraints.iter().chain(t.columns.iter().flat_map(|c| &c.constraints)) {
                if let crate::op::ConstraintKind::ForeignKey(fk) = &c.kind
                    && let Some(id) = s.before.relation_by(&fk.table).map(|r| r.id)
                {
                    for part in s.with_partitions(id) {
                        s.lock(part, L::ShareRowExclusive);
                    }
                }
            }
            if let Some(ty) = &t.of_type {
                lock_named(s, ty, L::AccessShare);
            }
            for like in &t.likes {
                lock_named(s, &like.table, L::AccessShare);
            }
            for parent in &t.inherits {
                lock_named(s, parent, L::ShareUpdateExclusive);
            }
            if let Some((parent, _)) = &t.partition_of {
                let Some(id) = s.find(parent).map(|r| r.id) else { return };
                s.lock(id, L::AccessExclusive);
                parent_indexes(s, id);
                default_partition(s, id);
                // Foreign keys of the parent are made on the partition too.
                if let Some(r) = s.get(id) {
                    for c in &r.constraints {
                        if let ConKind::ForeignKey { table, .. } = &c.kind {
                            s.with_partitions(*table).into_iter().for_each(|t| s.lock(t, L::ShareRowExclusive));
                        }
                    }
                }
            }
        }
        OpKind::CreateTableAs(t) => query(s, &t.query, L::AccessShare, t.with_data),
        OpKind::CreateIndex(i) => {
            if i.concurrently {
                s.in_transaction = false;
            }
            let Some(id) = s.find(&i.table).map(|r| r.id) else { return };
            let mode = if i.concurrently { L::ShareUpdateExclusive } else { L::Share };
            s.lock(id, mode);
            let exists = i.if_not_exists
                && i.name
                    .as_ref()
                    .is_some_and(|n| s.before.relation_by(&QName { schema: i.table.schema.clone(), name: n.name.clone() }).is_some());
            if exists {
                return;
            }
            let parts = if i.only { vec![id] } else { s.with_partitions(id) };
            for part in parts {
                s.lock(part, mode);
                // An index of a partition that says the same becomes part of the new one.
                if !takes_an_index(s, part) {
                    s.scan(part);
                }
            }
            new_indexes(s);
        }
        OpKind::CreateView(v) => {
            let existing = s.before.relation_by(&v.name).map(|r| r.id);
            // One of another schema, that the name finds, is not the one that is made.
            if let Some(id) = existing.filter(|id| s.after.relation_by(&v.name).is_none_or(|r| r.id == *id)) {
                if v.if_not_exists {
                    return;
                }
                s.lock(id, L::AccessExclusive);
            }
            query(s, &v.query, L::AccessShare, v.materialized && v.with_data);
        }
        OpKind::RefreshView { name, concurrently, with_data } => {
            let Some(view) = s.find(name) else { return };
            let id = view.id;
            if let Some(v) = &view.view
                && *with_data
            {
                // What it read when it was made, whatever that is called today.
                let filter = match &v.query.body {
                    QueryBody::Select(x) if v.depends.len() == 1 => x.filter.as_ref(),
                    _ => None,
                };
                v.depends.iter().for_each(|(id, _)| read_relation(s, *id, L::AccessShare, true, filter));
            }
            if *concurrently {
                s.lock(id, L::Exclusive);
                s.lock_indexes(id, L::RowExclusive);
                s.scan(id);
            } else {
                // The old rows are not read; an index is built from the new ones.
                s.lock(id, L::AccessExclusive);
                s.replace_file(id);
                if *with_data && !s.before.indexes_of(id).is_empty() {
                    s.scan(id);
                }
            }
        }
        OpKind::AlterSequence { name, options, .. } => {
            let Some(seq) = s.find(name) else { return };
            s.lock(seq.id, L::ShareRowExclusive);
            if let Some(Some((table, _))) = &options.owned_by {
                lock_named(s, table, L::AccessShare);
            }
        }
        OpKind::CreateSequence { options, .. } => {
            if let Some(Some((table, _))) = &options.owned_by {
                lock_named(s, table, L::AccessShare);
            }
        }
        OpKind::AlterDomain { name, action } => domain(s, name, action),
        OpKind::CreateTrigger(t) => {
            lock_named(s, &t.table, L::ShareRowExclusive);
            // A row trigger is made on every partition too.
            if let Some(id) = s.find(&t.table).map(|r| r.id).filter(|_| t.for_each_row) {
                s.with_partitions(id).into_iter().for_each(|p| s.lock(p, L::ShareRowExclusive));
            }
            if let Some(r) = &t.references {
                lock_named(s, r, L::ShareRowExclusive);
            }
        }
        OpKind::CreatePolicy(p) => lock_named(s, &p.table, L::AccessExclusive),
        OpKind::AlterPolicy { table, .. } | OpKind::CreateRule { table, .. } => lock_named(s, table, L::AccessExclusive),
        OpKind::CreateStatistics { table, .. } => lock_named(s, table, L::ShareUpdateExclusive),
        OpKind::CreateObject { object, detail, .. } if object.kind == ObjectKind::Subscription => {
            s.in_transaction = detail.to_lowercase().replace(' ', "").contains("create_slot=false")
                || detail.to_lowercase().replace(' ', "").contains("connect=false");
        }
        OpKind::CreateObject { object, detail, .. } | OpKind::AlterObject { object, detail } if object.kind == ObjectKind::Publication => {
            publication(s, object.name.as_str(), detail);
        }
        // The body of an SQL function is analysed when it is made.
        OpKind::CreateFunction(f) if f.language.eq_ignore_ascii_case("sql") => {
            for op in &f.body_ops {
                match &op.kind {
                    OpKind::Query(q) => {
                        query(s, q, L::AccessShare, false);
                        q.relations().into_iter().for_each(|r| rewritten_named(s, r));
                    }
                    OpKind::Dml(d) => {
                        lock_named(s, &d.table, L::RowExclusive);
                        d.reads().into_iter().for_each(|r| rewritten_named(s, r));
                    }
                    _ => {}
                }
            }
        }
        OpKind::Drop { objects, concurrently, cascade, .. } => {
            if *concurrently {
                s.in_transaction = false;
                if objects.len() > 1 {
                    s.fails = Some(("0A000", "DROP INDEX CONCURRENTLY does not support dropping multiple objects".into()));
                } else if *cascade {
                    s.fails = Some(("0A000", "DROP INDEX CONCURRENTLY does not support CASCADE".into()));
                }
            }
            for o in objects {
                match (o.kind, &o.on) {
                    (ObjectKind::Statistics, _) => {
                        let found = s.before.objects.values().find(|x| {
                            x.kind == ObjectKind::Statistics
                                && x.name == o.name.as_str()
                                && o.name.schema_str().is_none_or(|schema| schema == x.schema)
                        });
                        for id in found.map(|x| x.relations.clone()).unwrap_or_default() {
                            s.lock(id, L::ShareUpdateExclusive);
                        }
                    }
                    (ObjectKind::Trigger | ObjectKind::Policy | ObjectKind::Rule, Some(table)) => lock_named(s, table, L::AccessExclusive),
                    // The table of an index waits with it.
                    (ObjectKind::Index, _) => {
                        let Some(index) = s.before.relation_by(&o.name) else { continue };
                        if *concurrently && index.kind == RelKind::PartitionedIndex {
                            s.fails = Some(("0A000", format!("cannot drop partitioned index \"{}\" concurrently", index.name)));
                        }
                        if let Some(i) = &index.index {
                            let table = i.table;
                            let mode = if *concurrently { L::ShareUpdateExclusive } else { L::AccessExclusive };
                            s.with_partitions(table).into_iter().for_each(|t| s.lock(t, mode));
                        }
                    }
                    _ => {}
                }
            }
        }
        OpKind::Rename { object, .. } => {
            if let Some(id) = object.on.as_ref().and_then(|t| s.find(t)).map(|r| r.id) {
                s.lock(id, L::AccessExclusive);
                // The copies of a row trigger are renamed with it.
                if object.kind == ObjectKind::Trigger && s.pg.0 >= 15 {
                    s.with_partitions(id).into_iter().for_each(|p| s.lock(p, L::AccessExclusive));
                }
            }
        }
        OpKind::Comment { object, .. } => match (object.kind, &object.on) {
            (ObjectKind::Column, Some(table)) => lock_named(s, table, L::ShareUpdateExclusive),
            (ObjectKind::Constraint | ObjectKind::Trigger | ObjectKind::Policy | ObjectKind::Rule, Some(table)) => {
                lock_named(s, table, L::AccessShare)
            }
            (
                ObjectKind::Table
                | ObjectKind::View
                | ObjectKind::MaterializedView
                | ObjectKind::Index
                | ObjectKind::Sequence
                | ObjectKind::ForeignTable,
                _,
            ) => {
                lock_named(s, &object.name, L::ShareUpdateExclusive);
            }
            _ => {}
        },
        OpKind::Grant(g) if s.pg.0 >= 18 => {
            if let GrantOn::Objects(objects) = &g.on {
                for o in objects.iter().filter(|o| matches!(o.kind, ObjectKind::Table | ObjectKind::Sequence)) {
                    lock_named(s, &o.name, L::AccessShare);
                }
            }
        }
        OpKind::Dml(d) => dml(s, d),
        OpKind::Query(q) => query(s, q, L::AccessShare, true),
        OpKind::Copy { table: Some(t), from, .. } => {
            let Some(id) = s.find(t).map(|r| r.id) else { return };
            if *from {
                s.lock(id, L::RowExclusive);
                s.lock_indexes(id, L::RowExclusive);
            } else {
                s.lock(id, L::AccessShare);
                s.scan(id);
            }
        }
        OpKind::Copy { query: Some(q), .. } => query(s, q, L::AccessShare, true),
        OpKind::Truncate { tables, cascade, .. } => {
            let mut ids: Vec<Id> = tables
                .iter()
                .filter_map(|(t, only)| s.find(t).map(|r| (r.id, *only)))
                .flat_map(|(id, only)| if only { vec![id] } else { with_children(s, id) })
                .collect();
            let mut next = 0;
            while *cascade && next < ids.len() {
                for (r, _) in s.before.foreign_keys_reaching(ids[next]) {
                    if !ids.contains(&r.id) {
                        ids.push(r.id);
                    }
                }
                next += 1;
            }
            for id in ids {
                s.lock(id, L::AccessExclusive);
                s.replace_file(id);
            }
        }
        OpKind::LockTable { tables, mode, .. } => {
            for (t, only) in tables {
                let Some(id) = s.find(t).map(|r| r.id) else { continue };
                for i in if *only { vec![id] } else { with_children(s, id) } {
                    s.lock(i, *mode);
                    // A view is locked with all that it reads.
                    lock_below(s, i, *mode);
                }
            }
        }
        OpKind::Reindex { target, name, concurrently } => reindex(s, *target, name.as_ref(), *concurrently),
        OpKind::Cluster { table, .. } => match table.as_ref().and_then(|t| s.find(t)) {
            Some(r) => {
                let id = r.id;
                s.in_transaction &= r.kind != RelKind::PartitionedTable;
                s.lock(id, L::AccessExclusive);
                for part in s.with_partitions(id) {
                    s.lock(part, L::AccessExclusive);
                    s.rewrite(part);
                }
            }
            None => s.in_transaction &= table.is_some(),
        },
        OpKind::Vacuum { tables, full, analyze } => {
            s.in_transaction = false;
            let named: Vec<Id> = tables.iter().filter_map(|t| s.find(t).map(|r| r.id)).collect();
            for id in named.into_iter().flat_map(|id| maintained(s, id)).collect::<Vec<_>>() {
                s.lock(id, if *full { L::AccessExclusive } else { L::ShareUpdateExclusive });
                if *full {
                    s.rewrite(id);
                } else {
                    s.lock_indexes(id, L::RowExclusive);
                }
                // Statistics of the whole inheritance tree need rows of every child.
                for child in s.before.descendants_of(id).into_iter().filter(|_| *analyze) {
                    s.lock(child, L::AccessShare);
                }
            }
        }
        OpKind::Analyze { tables } => {
            for id in tables.iter().filter_map(|t| s.find(t).map(|r| r.id)).collect::<Vec<_>>() {
                let reads = |r: &Relation| r.kind.is_table() || r.kind == RelKind::MaterializedView;
                for part in maintained(s, id).into_iter().filter(|t| s.get(*t).is_some_and(reads)).collect::<Vec<_>>() {
                    s.lock(part, L::ShareUpdateExclusive);
                    if s.get(part).is_some_and(|r| r.kind != RelKind::PartitionedTable) {
                        s.lock_indexes(part, L::AccessShare);
                    }
                    // Statistics of the whole inheritance tree need rows of every child.
                    for child in s.before.descendants_of(part) {
                        s.lock(child, L::AccessShare);
                    }
                }
            }
        }
        OpKind::NoTransaction { .. } => s.in_transaction = false,
        _ => {}
    }
}

fn lock_below(s: &mut Seen<'_>, view: Id, mode: LockMode) {
    let Some((RelKind::View, Some(v))) = s.get(view).map(|r| (r.kind, &r.view)) else { return };
    if s.before.recursive_view(&[view]).is_some() {
        return;
    }
    for (id, _) in v.depends.clone() {
        for t in with_children(s, id) {
            s.lock(t, mode);
            lock_below(s, t, mode);
        }
    }
}

/// Tables that a publication begins or ceases to send one by one.
fn publication(s: &mut Seen<'_>, name: &str, detail: &str) {
    let sent = |c: &Catalog| {
        let found = c.objects.values().find(|o| o.kind == ObjectKind::Publication && o.name == name);
        found.map(|o| o.relations.clone()).unwrap_or_default()
    };
    let (old, new) = (sent(s.before), sent(s.after));
    let sets = detail.trim_start().to_ascii_lowercase().strip_prefix("set").is_some_and(|rest| rest.trim_start().starts_with("table"));
    for id in new.iter().filter(|id| sets || !old.contains(id)).chain(old.iter().filter(|id| !new.contains(id))) {
        s.lock(*id, LockMode::ShareUpdateExclusive);
    }
}

fn rewritten_named(s: &mut Seen<'_>, name: &QName) {
    if let Some(id) = s.find(name).map(|r| r.id) {
        lock_rewritten(s, id, LockMode::AccessShare);
    }
}

pub fn lock_named(s: &mut Seen<'_>, name: &QName, mode: LockMode) {
    if let Some(id) = s.find(name).map(|r| r.id) {
        s.lock(id, mode);
    }
}

/// Indexes that the statement made on tables that were there before. An index of a partitioned table holds nothing.
pub fn new_indexes(s: &mut Seen<'_>) {
    let on_old = |r: &&std::sync::Arc<Relation>| {
        r.kind == RelKind::Index && r.index.as_ref().is_some_and(|i| s.before.relations.contains_key(&i.table))
    };
    let new: Vec<Id> = added(s.before, s.after).filter(on_old).map(|r| r.id).collect();
    new.into_iter().for_each(|id| s.build(id));
}

/// The statement makes an index that the partition has already part of the one above: nothing is built there.
pub fn takes_an_index(s: &mut Seen<'_>, table: Id) -> bool {
    let parent = |c: &Catalog, id: Id| c.relation(id).and_then(|r| r.index.as_ref()?.parent);
    let (before, after) = (s.before, s.after);
    let taken: Vec<Id> = before
        .indexes_of(table)
        .into_iter()
        .map(|i| i.id)
        .filter(|i| parent(before, *i).is_none() && parent(after, *i).is_some())
        .collect();
    taken.iter().for_each(|i| s.lock(*i, LockMode::Share));
    !taken.is_empty()
}

pub fn with_children(s: &Seen<'_>, id: Id) -> Vec<Id> {
    let mut out = vec![id];
    out.extend(s.before.descendants_of(id));
    out
}

fn domain(s: &mut Seen<'_>, name: &QName, action: &crate::op::DomainAction) {
    use crate::op::DomainAction as D;
    let Some(ty) = s.before.type_by(name) else { return };
    let id = ty.id;
    let crate::catalog::TypeKind::Domain { not_null, .. } = &ty.kind else { return };
    let checks = match action {
        D::AddConstraint { not_valid, .. } => !not_valid,
        D::SetNotNull => !not_null,
        // Even one that is valid.
        D::ValidateConstraint { .. } => true,
        _ => false,
    };
    if !checks {
        return;
    }
    // A domain over this domain is checked with it.
    let types = s.before.domains_over(id);
    let holds_rows = |r: &Relation| matches!(r.kind, RelKind::Table | RelKind::MaterializedView);
    let columns = types.iter().flat_map(|t| s.before.columns_of_type(*t));
    let tables: Vec<Id> = columns.filter(|(r, _)| holds_rows(r)).map(|(r, _)| r.id).collect();
    for t in tables {
        s.lock(t, LockMode::Share);
        s.scan(t);
    }
}
