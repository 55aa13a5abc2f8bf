//! What each kind of operation does, beside the subcommands of ALTER.
//!
//! Lock modes: <https://www.postgresql.org/docs/current/explicit-locking.html>, and the recorded observations of real servers.

use crate::catalog::{Catalog, ConKind, Id, RelKind};
use crate::op::{
    Call, Dml, DmlKind, Expr, ExprKind, FromItem, GrantOn, LockMode, ObjectKind, Op, OpKind, QName, Query, QueryBody, ReindexTarget,
    RowLock, Statement,
};

use super::seen::Seen;
use super::{Effects, Sent, alter};

pub fn predict(statement: &Statement, before: &Catalog, sent: Sent) -> Effects {
    let mut after = before.clone();
    after.apply_statement(statement);
    let mut s = Seen::new(before, &after, sent.pg);
    for op in &statement.ops {
        operation(&mut s, op, statement);
        called(&mut s, op, statement, 0);
    }
    s.removals();
    if sent.in_transaction && !s.in_transaction && s.fails.is_none() {
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

fn operation(s: &mut Seen<'_>, op: &Op, statement: &Statement) {
    use LockMode as L;
    match &op.kind {
        OpKind::Alter { target, action } => alter::alter(s, target, action, statement),
        OpKind::CreateTable(t) => {
            for c in t.constraints.iter().chain(t.columns.iter().flat_map(|c| &c.constraints)) {
                if let crate::op::ConstraintKind::ForeignKey(fk) = &c.kind {
                    lock_named(s, &fk.table, L::ShareRowExclusive);
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
                alter::default_partition(s, id);
                // Foreign keys of the parent are made on the partition too.
                if let Some(r) = s.get(id) {
                    for c in &r.constraints {
                        if let ConKind::ForeignKey { table, .. } = &c.kind {
                            s.lock(*table, L::ShareRowExclusive);
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
                s.lock(id, L::AccessExclusive);
                s.rewrite(id);
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
                    (ObjectKind::Trigger | ObjectKind::Policy | ObjectKind::Rule, Some(table)) => lock_named(s, table, L::AccessExclusive),
                    // The table of an index waits with it.
                    (ObjectKind::Index, _) => {
                        let Some(index) = s.before.relation_by(&o.name) else { continue };
                        if *concurrently && index.kind == RelKind::PartitionedIndex {
                            s.fails = Some(("0A000", format!("cannot drop partitioned index \"{}\" concurrently", index.name)));
                        }
                        if let Some(i) = &index.index {
                            let table = i.table;
                            s.lock(table, if *concurrently { L::ShareUpdateExclusive } else { L::AccessExclusive });
                        }
                    }
                    _ => {}
                }
            }
        }
        OpKind::Rename { object, .. } => {
            if let Some(table) = &object.on {
                lock_named(s, table, L::AccessExclusive);
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
                }
            }
        }
        OpKind::Reindex { target, name, concurrently } => reindex(s, *target, name.as_ref(), *concurrently),
        OpKind::Cluster { table, .. } => match table.as_ref().and_then(|t| s.find(t)) {
            Some(r) => {
                let id = r.id;
                s.in_transaction &= r.kind != RelKind::PartitionedTable;
                s.lock(id, L::AccessExclusive);
                s.rewrite(id);
            }
            None => s.in_transaction &= table.is_some(),
        },
        OpKind::Vacuum { tables, full, .. } => {
            s.in_transaction = false;
            for id in tables.iter().filter_map(|t| s.find(t).map(|r| r.id)).collect::<Vec<_>>() {
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
                for part in s.with_partitions(id) {
                    s.lock(part, L::ShareUpdateExclusive);
                    s.lock_indexes(part, L::AccessShare);
                }
            }
        }
        OpKind::NoTransaction { .. } => s.in_transaction = false,
        _ => {}
    }
}

pub fn lock_named(s: &mut Seen<'_>, name: &QName, mode: LockMode) {
    if let Some(id) = s.find(name).map(|r| r.id) {
        s.lock(id, mode);
    }
}

/// Indexes that the statement made on tables that were there before. An index of a partitioned table holds nothing.
pub fn new_indexes(s: &mut Seen<'_>) {
    let new: Vec<Id> = s
        .after
        .relations
        .values()
        .filter(|r| {
            r.kind == RelKind::Index
                && !s.before.relations.contains_key(&r.id)
                && r.index.as_ref().is_some_and(|i| s.before.relations.contains_key(&i.table))
        })
        .map(|r| r.id)
        .collect();
    new.into_iter().for_each(|id| s.build(id));
}

pub fn with_children(s: &Seen<'_>, id: Id) -> Vec<Id> {
    let mut out = vec![id];
    out.extend(s.before.descendants_of(id));
    out
}

fn domain(s: &mut Seen<'_>, name: &QName, action: &crate::op::DomainAction) {
    use crate::op::DomainAction as D;
    let checks = matches!(action, D::AddConstraint { not_valid: false, .. } | D::SetNotNull | D::ValidateConstraint { .. });
    let Some(id) = s.before.type_by(name).map(|t| t.id) else { return };
    if !checks {
        return;
    }
    let tables: Vec<Id> = s.before.columns_of_type(id).into_iter().map(|(r, _)| r.id).collect();
    for t in tables {
        s.lock(t, LockMode::Share);
        s.scan(t);
    }
}

fn reindex(s: &mut Seen<'_>, target: ReindexTarget, name: Option<&QName>, concurrently: bool) {
    s.in_transaction = !concurrently && matches!(target, ReindexTarget::Index | ReindexTarget::Table);
    let Some(r) = name.and_then(|n| s.find(n)) else { return };
    let (table, indexes): (Id, Vec<Id>) = match (target, &r.index) {
        (ReindexTarget::Index, Some(i)) => (i.table, vec![r.id]),
        (ReindexTarget::Table, _) => (r.id, s.before.indexes_of(r.id).into_iter().map(|i| i.id).collect()),
        _ => return,
    };
    s.lock(table, if concurrently { LockMode::ShareUpdateExclusive } else { LockMode::Share });
    s.scan(table);
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
            for part in s.with_partitions(d) {
                s.lock(part, mode);
                s.lock_indexes(part, mode);
                s.scan(part);
            }
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
