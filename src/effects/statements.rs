//! What each kind of operation does, beside the subcommands of ALTER.
//!
//! Lock modes: <https://www.postgresql.org/docs/current/explicit-locking.html>, and the recorded observations of real servers.

use crate::catalog::{Catalog, ConKind, Id, RelKind, Relation};
use crate::op::{
    Call, Dml, DmlKind, Expr, ExprKind, FromItem, GrantOn, LockMode, ObjectKind, Op, OpKind, QName, Query, QueryBody, ReindexTarget,
    RowLock, Statement,
};

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
    let late = ["CLUSTER", "REINDEX"].iter().any(|c| statement.command.starts_with(c)) && !concurrently;
    if sent.in_transaction && !s.in_transaction && s.fails.is_none() && !(late && refused) {
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
    let OpKind::Alter { target, action } = &op.kind else { return };
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
    let others = statement.ops.iter().filter(|o| o.command == op.command).filter_map(|o| match &o.kind {
        OpKind::Alter { action, .. } => Some(action),
        _ => None,
    });
    if let crate::op::AlterAction::ClusterOn { .. } = action
        && others.into_iter().any(alter::is_exclusive)
    {
        let indexes: Vec<Id> = s.before.indexes_of(id).into_iter().map(|i| i.id).collect();
        indexes.into_iter().filter(|i| s.locked(*i) == Some(LockMode::ShareUpdateExclusive)).collect::<Vec<_>>().into_iter().for_each(
            |i| {
                s.lock(i, LockMode::AccessExclusive);
            },
        );
    }
}

fn operation(s: &mut Seen<'_>, op: &Op, statement: &Statement) {
    use LockMode as L;
    match &op.kind {
        OpKind::Alter { target, action } => alter::alter(s, target, action, statement),
        OpKind::CreateTable(t) => {
            for c in t.constraints.iter().chain(t.columns.iter().flat_map(|c| &c.constraints)) {
                if let crate::op::ConstraintKind::ForeignKey(fk) = &c.kind
                    && let Some(id) = s.before.relation_by(&fk.table).map(|r| r.id)
                {
                    for part in s.with_partitions(id) {
                        s.lock(part, L::ShareRowExclusive);
                    }
                }
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
                alter::parent_indexes(s, id);
                alter::default_partition(s, id);
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
            let Some(id) = s.find(&i.table).map(|r| r.id) else { return };
            let mode = if i.concurrently { L::ShareUpdateExclusive } else { L::Share };
            if i.concurrently {
                s.in_transaction = false;
            }
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
                s.scan(part);
            }
            new_indexes(s);
        }
        OpKind::CreateView(v) => {
            let existing = s.before.relation_by(&v.name).map(|r| r.id);
            if let Some(id) = existing {
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
                query(s, &v.query, L::AccessShare, true);
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
                    OpKind::Query(q) => query(s, q, L::AccessShare, false),
                    OpKind::Dml(d) => {
                        lock_named(s, &d.table, L::RowExclusive);
                        d.reads().into_iter().for_each(|r| lock_named(s, r, L::AccessShare));
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
                for (r, _) in s.before.foreign_keys_to(ids[next]) {
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
        OpKind::Vacuum { tables, full, .. } => {
            s.in_transaction = false;
            let named: Vec<Id> = tables.iter().filter_map(|t| s.find(t).map(|r| r.id)).collect();
            for id in named.into_iter().flat_map(|id| maintained(s, id)).collect::<Vec<_>>() {
                s.lock(id, if *full { L::AccessExclusive } else { L::ShareUpdateExclusive });
                if *full {
                    s.rewrite(id);
                } else {
                    s.lock_indexes(id, L::RowExclusive);
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

/// What VACUUM and ANALYZE of one name go through: the partitions, and from 18 on whatever inherits.
fn maintained(s: &Seen<'_>, id: Id) -> Vec<Id> {
    if s.pg.0 >= 18 { with_children(s, id) } else { s.with_partitions(id) }
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

pub fn with_children(s: &Seen<'_>, id: Id) -> Vec<Id> {
    let mut out = vec![id];
    out.extend(s.before.descendants_of(id));
    out
}

fn domain(s: &mut Seen<'_>, name: &QName, action: &crate::op::DomainAction) {
    use crate::op::DomainAction as D;
    let Some(ty) = s.before.type_by(name) else { return };
    let id = ty.id;
    let crate::catalog::TypeKind::Domain { not_null, checks: there, .. } = &ty.kind else { return };
    let checks = match action {
        D::AddConstraint { not_valid, .. } => !not_valid,
        D::SetNotNull => !not_null,
        D::ValidateConstraint { name } => there.iter().any(|c| c.name == name.as_str() && !c.validated),
        _ => false,
    };
    if !checks {
        return;
    }
    // A domain over this domain is checked with it.
    let mut types = vec![id];
    let mut next = 0;
    while let Some(base) = types.get(next).copied() {
        next += 1;
        types.extend(s.before.types.values().filter_map(|t| match &t.kind {
            crate::catalog::TypeKind::Domain { base: b, .. } if b.id == Some(base) => Some(t.id),
            _ => None,
        }));
    }
    let holds_rows = |r: &Relation| matches!(r.kind, RelKind::Table | RelKind::MaterializedView);
    let columns = types.iter().flat_map(|t| s.before.columns_of_type(*t));
    let tables: Vec<Id> = columns.filter(|(r, _)| holds_rows(r)).map(|(r, _)| r.id).collect();
    for t in tables {
        s.lock(t, LockMode::Share);
        s.scan(t);
    }
}

fn reindex(s: &mut Seen<'_>, target: ReindexTarget, name: Option<&QName>, concurrently: bool) {
    s.in_transaction = !concurrently && matches!(target, ReindexTarget::Index | ReindexTarget::Table);
    let Some(r) = name.and_then(|n| s.find(n)) else { return };
    // Partition by partition, each in a transaction of its own.
    s.in_transaction &= !matches!(r.kind, RelKind::PartitionedTable | RelKind::PartitionedIndex);
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

/// The index itself, or the parts of a partitioned one that hold something, each with its table.
fn index_parts(s: &Seen<'_>, index: Id) -> Vec<(Id, Vec<Id>)> {
    let Some((r, i)) = s.get(index).and_then(|r| Some((r, r.index.as_ref()?))) else { return Vec::new() };
    if r.kind != RelKind::PartitionedIndex {
        return vec![(i.table, vec![index])];
    }
    let of = |child: Id| {
        s.before.indexes_of(child).into_iter().filter(|c| c.index.as_ref().is_some_and(|c| c.parent == Some(index))).map(|c| c.id)
    };
    s.before.children_of(i.table).into_iter().flat_map(of).flat_map(|c| index_parts(s, c)).collect()
}

fn reindex_table(s: &mut Seen<'_>, table: Id, indexes: Vec<Id>, concurrently: bool) {
    s.lock(table, if concurrently { LockMode::ShareUpdateExclusive } else { LockMode::Share });
    if !indexes.is_empty() {
        s.scan(table);
    }
    for i in indexes {
        s.lock(i, if concurrently { LockMode::ShareUpdateExclusive } else { LockMode::AccessExclusive });
        s.build(i);
    }
}

/// Locks of a query on what it names. `runs`: it is executed, and not only kept as a view.
pub fn query(s: &mut Seen<'_>, q: &Query, mode: LockMode, runs: bool) {
    let mode = match q.locking {
        Some(RowLock::KeyShare | RowLock::Share | RowLock::NoKeyUpdate | RowLock::Update) => LockMode::RowShare,
        None => mode,
    };
    let filter = match &q.body {
        QueryBody::Select(x) => x.filter.as_ref(),
        _ => None,
    };
    let names: Vec<QName> = q.relations().into_iter().cloned().collect();
    for name in names {
        read(s, &name, mode, runs, filter);
    }
}

/// One relation that is read; behind a view stands what the view reads.
fn read(s: &mut Seen<'_>, name: &QName, mode: LockMode, runs: bool, filter: Option<&Expr>) {
    let Some(r) = s.find(name) else { return };
    let id = r.id;
    s.lock(id, mode);
    if !runs {
        return;
    }
    if let (RelKind::View, Some(v)) = (r.kind, &r.view) {
        let depends: Vec<Id> = v.depends.iter().map(|(id, _)| *id).collect();
        for d in depends {
            read_whole(s, d, mode);
        }
        return;
    }
    for part in with_children(s, id) {
        s.lock(part, mode);
        s.lock_indexes(part, mode);
        if !is_indexed(s.before, part, filter) {
            s.scan(part);
        }
    }
}

/// What a view reads: the tables below it, through views of views.
fn read_whole(s: &mut Seen<'_>, id: Id, mode: LockMode) {
    if s.before.recursive_view(&[id]).is_some() {
        return;
    }
    s.lock(id, mode);
    if let Some((RelKind::View, Some(v))) = s.get(id).map(|r| (r.kind, &r.view)) {
        let below: Vec<Id> = v.depends.iter().map(|(id, _)| *id).collect();
        below.into_iter().for_each(|d| read_whole(s, d, mode));
        return;
    }
    for part in with_children(s, id) {
        s.lock(part, mode);
        s.lock_indexes(part, mode);
        s.scan(part);
    }
}

/// The condition compares the first column of an index with something: the table need not be read in full.
fn is_indexed(catalog: &Catalog, table: Id, filter: Option<&Expr>) -> bool {
    let Some(filter) = filter else { return false };
    let firsts: Vec<String> = catalog.indexes_of(table).into_iter().filter_map(|i| i.index.as_ref()?.columns.first()?.clone()).collect();
    let column = |e: &Expr| matches!(&e.kind, ExprKind::Column(parts) if parts.last().is_some_and(|p| firsts.contains(&p.value)));
    fn any(e: &Expr, column: &dyn Fn(&Expr) -> bool) -> bool {
        match &e.kind {
            ExprKind::Binary { op, left, right } if op == "AND" => any(left, column) || any(right, column),
            ExprKind::Binary { op, left, right } => {
                matches!(op.as_str(), "=" | "IN" | "<" | ">" | "<=" | ">=") && (column(left) || column(right))
            }
            _ => false,
        }
    }
    any(filter, &column)
}

fn dml(s: &mut Seen<'_>, d: &Dml) {
    let reads: Vec<QName> = d.reads().into_iter().cloned().collect();
    let target = s.find(&d.table).map(|r| r.id);
    for name in reads {
        if s.find(&name).map(|r| r.id) != target {
            read(s, &name, LockMode::AccessShare, true, d.filter.as_ref());
        }
    }
    let Some(id) = target else { return };
    keys_and_sequences(s, id, d);
    let reads_target = !matches!(d.kind, DmlKind::Insert { .. });
    for part in if d.only { vec![id] } else { with_children(s, id) } {
        s.lock(part, LockMode::RowExclusive);
        s.lock_indexes(part, LockMode::RowExclusive);
        let from_elsewhere = d.from.iter().any(|f| !matches!(f, FromItem::Other));
        if reads_target && (from_elsewhere && d.filter.is_none() || !is_indexed(s.before, part, d.filter.as_ref())) {
            s.scan(part);
        }
    }
}

/// What the rows of a write reach beside their own table, where there are rows: sequences of defaults, the other side of foreign keys,
/// and the tables above a partition, whose bounds are read.
fn keys_and_sequences(s: &mut Seen<'_>, table: Id, d: &Dml) {
    let before = s.before;
    let tree = if d.only { vec![table] } else { with_children(s, table) };
    let given: Option<Vec<&str>> = match &d.kind {
        DmlKind::Insert { columns, .. } => columns.as_ref().map(|c| c.iter().map(crate::op::Name::as_str).collect()),
        DmlKind::Update { set } => Some(set.iter().flat_map(|a| &a.columns).map(crate::op::Name::as_str).collect()),
        _ => None,
    };
    let inserts = matches!(d.kind, DmlKind::Insert { .. } | DmlKind::Merge { .. });
    let removes = matches!(d.kind, DmlKind::Delete | DmlKind::Merge { .. });
    let updated = |c: &str| matches!(d.kind, DmlKind::Merge { .. }) || given.as_ref().is_some_and(|g| !inserts && g.contains(&c));
    for id in tree {
        let Some(rel) = before.relation(id) else { continue };
        rel.parents.iter().filter(|_| rel.is_partition()).for_each(|p| s.lock(*p, LockMode::AccessShare));
        if inserts {
            for c in rel.columns.iter().filter(|c| given.as_ref().is_none_or(|g| !g.contains(&c.name.as_str()))) {
                let sequences = c.uses.iter().copied().chain(before.sequence_of_column(id, &c.name).map(|q| q.id));
                let sequences: Vec<Id> = sequences.filter(|q| before.relation(*q).is_some_and(|r| r.kind == RelKind::Sequence)).collect();
                sequences.into_iter().for_each(|q| s.lock(q, LockMode::RowExclusive));
            }
        }
        for c in rel.constraints.iter().filter(|c| c.enforced) {
            if let ConKind::ForeignKey { columns, table: other, .. } = &c.kind
                && (inserts || columns.iter().any(|c| updated(c)))
            {
                for part in s.with_partitions(*other) {
                    s.lock(part, LockMode::RowShare);
                    s.lock_indexes(part, LockMode::RowShare);
                }
            }
        }
        for (user, c) in before.foreign_keys_to(id) {
            let ConKind::ForeignKey { ref_columns, on_delete, on_update, .. } = &c.kind else { continue };
            let action = if removes { on_delete } else { on_update };
            if c.enforced && (removes || ref_columns.iter().any(|c| updated(c))) {
                let mode = match action {
                    crate::op::FkAction::NoAction | crate::op::FkAction::Restrict => LockMode::RowShare,
                    _ => LockMode::RowExclusive,
                };
                for part in s.with_partitions(user.id) {
                    s.lock(part, mode);
                    s.lock_indexes(part, mode);
                }
            }
        }
    }
}
