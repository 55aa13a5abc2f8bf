//! What is only seen when the whole script is read: what comes later, and what came before in the same transaction.

use std::collections::BTreeSet;

use crate::catalog::{ConKind, Id};
use crate::op::{AlterAction, ConstraintKind, DmlKind, Expr, ForeignKey, OpKind, TableConstraint};
use crate::replay::{Replayed, ReplayedScript};

use super::collect::is_old;

/// By statement of the script.
#[derive(Debug, Default)]
pub struct Whole {
    /// BEGIN while a transaction is open.
    pub begins_inside: BTreeSet<usize>,
    /// BEGIN that nothing ends.
    pub unclosed: BTreeSet<usize>,
    /// COMMIT or ROLLBACK of a transaction that the file did not begin.
    pub ends_runners: BTreeSet<usize>,
    /// A BEGIN of the file is open here.
    pub explicit: BTreeSet<usize>,
    /// With this operation (statement, operation) the transaction comes to lock a second table for foreign keys: the tables.
    pub several_foreign_keys: Vec<((usize, usize), Vec<String>)>,
    /// ALTER TABLE that reads or writes a whole table again: statement, table, how often so far.
    pub passes: Vec<(usize, String, i64)>,
    /// Statement that uses an enum label which its own transaction added: statement, label.
    pub fresh_labels: Vec<(usize, String)>,
    /// Statement on a table whose deferred triggers wait for the commit: statement, table.
    pub pending_triggers: Vec<(usize, String)>,
    /// Statements that refuse to run inside a transaction, and those that change the schema or data and would run in one.
    pub refuse_transaction: BTreeSet<usize>,
    pub could_be_in_transaction: BTreeSet<usize>,
}

impl Whole {
    pub fn read(script: &ReplayedScript) -> Whole {
        let mut w = Whole::default();
        w.transactions(script);
        w.foreign_keys(script);
        w.passes(script);
        w.fresh_labels(script);
        w.pending_triggers(script);
        for (at, r) in script.statements.iter().enumerate() {
            if !r.effects.in_transaction {
                w.refuse_transaction.insert(at);
            } else if r.statement.ops.iter().any(|o| changes(&o.kind)) {
                w.could_be_in_transaction.insert(at);
            }
        }
        w
    }

    fn transactions(&mut self, script: &ReplayedScript) {
        let mut open: Option<usize> = None;
        for (at, r) in script.statements.iter().enumerate() {
            for op in r.statement.ops.iter().filter(|o| !o.nested) {
                match op.kind {
                    OpKind::Begin { .. } => {
                        if open.is_some() || script.execution.transaction {
                            self.begins_inside.insert(at);
                        }
                        open = Some(at);
                    }
                    OpKind::Commit { chain } | OpKind::Rollback { chain } => {
                        if open.is_none() && script.execution.transaction {
                            self.ends_runners.insert(at);
                        }
                        open = if chain { Some(at) } else { None };
                    }
                    _ => {}
                }
            }
            if open.is_some() {
                self.explicit.insert(at);
            }
        }
        // Under a runner's transaction the BEGIN did nothing, and the runner's COMMIT ends it.
        if !script.execution.transaction {
            self.unclosed.extend(open);
        }
    }

    fn foreign_keys(&mut self, script: &ReplayedScript) {
        let mut transaction = 0;
        let mut tables: Vec<String> = Vec::new();
        for (at, r) in script.statements.iter().enumerate() {
            if r.transaction != transaction {
                (transaction, tables) = (r.transaction, Vec::new());
            }
            for (i, op) in r.statement.ops.iter().enumerate() {
                let before = tables.len();
                for (_, fk) in foreign_keys_of(&op.kind) {
                    // Self-references lock nothing more.
                    if let Some(rel) = r.before.relation_by(&fk.table)
                        && is_old(script, rel)
                        && !tables.contains(&rel.rel_name().to_string())
                    {
                        tables.push(rel.rel_name().to_string());
                    }
                }
                if before < 2 && tables.len() >= 2 {
                    self.several_foreign_keys.push(((at, i), tables.clone()));
                }
            }
        }
    }

    fn passes(&mut self, script: &ReplayedScript) {
        let mut seen: Vec<(String, i64)> = Vec::new();
        for (at, r) in script.statements.iter().enumerate() {
            let altered = r.statement.ops.iter().find_map(|o| match &o.kind {
                OpKind::Alter { target, .. } => r.before.relation_by(&target.name),
                _ => None,
            });
            let Some(rel) = altered.filter(|rel| is_old(script, rel)) else { continue };
            let name = r.after.relation(rel.id).unwrap_or(rel).rel_name();
            let strong = r.effects.locks.get(&name).is_some_and(|m| m.blocks_writes());
            if !strong || !r.effects.scans.contains(&name) && !r.effects.rewrites.contains(&name) {
                continue;
            }
            let name = name.to_string();
            let n = match seen.iter_mut().find(|(t, _)| *t == name) {
                Some((_, n)) => {
                    *n += 1;
                    *n
                }
                None => {
                    seen.push((name.clone(), 1));
                    1
                }
            };
            self.passes.push((at, name, n));
        }
    }

    fn fresh_labels(&mut self, script: &ReplayedScript) {
        let mut fresh: Vec<(u32, Id, String)> = Vec::new();
        for (at, r) in script.statements.iter().enumerate() {
            let mine: Vec<&(u32, Id, String)> = fresh.iter().filter(|(t, ..)| *t == r.transaction && r.sent.in_transaction).collect();
            if !mine.is_empty() {
                let used = r.statement.ops.iter().find_map(|o| uses_label(r, &o.kind, &mine));
                self.fresh_labels.extend(used.map(|label| (at, label)));
            }
            for op in &r.statement.ops {
                if let OpKind::AddEnumValue { name, value, .. } = &op.kind
                    && let Some(t) = r.before.type_by(name)
                    // From 17 on a label may be used when its type is as new.
                    && (r.before.pg.0 < 17 || t.origin.transaction != r.transaction)
                    && !label_known(t, value)
                {
                    fresh.push((r.transaction, t.id, value.clone()));
                }
            }
        }
    }

    fn pending_triggers(&mut self, script: &ReplayedScript) {
        let mut pending: Vec<Id> = Vec::new();
        let mut transaction = 0;
        let mut all_deferred = false;
        for (at, r) in script.statements.iter().enumerate() {
            if r.transaction != transaction {
                (transaction, all_deferred) = (r.transaction, false);
                pending.clear();
            }
            for op in &r.statement.ops {
                match &op.kind {
                    OpKind::SetConstraints { deferred, all } => {
                        all_deferred = *deferred && *all;
                        if !*deferred && *all {
                            pending.clear();
                        }
                    }
                    OpKind::Dml(d) if r.sent.in_transaction => {
                        let Some(rel) = r.before.relation_by(&d.table) else { continue };
                        let queues = |c: &crate::catalog::Constraint| c.initially_deferred || all_deferred && c.deferrable;
                        let outgoing = !matches!(d.kind, DmlKind::Delete)
                            && rel
                                .constraints
                                .iter()
                                .any(|c| queues(c) && !matches!(c.kind, ConKind::Check { .. } | ConKind::NotNull { .. }));
                        let incoming =
                            !matches!(d.kind, DmlKind::Insert { .. }) && r.before.foreign_keys_to(rel.id).iter().any(|(_, c)| queues(c));
                        if (outgoing || incoming) && !pending.contains(&rel.id) {
                            pending.push(rel.id);
                        }
                    }
                    OpKind::Alter { target, .. } => {
                        if let Some(rel) = r.before.relation_by(&target.name).filter(|rel| pending.contains(&rel.id)) {
                            self.pending_triggers.push((at, rel.rel_name().to_string()));
                            break;
                        }
                    }
                    OpKind::Truncate { tables, .. } => {
                        let hit = tables.iter().filter_map(|(t, _)| r.before.relation_by(t)).find(|rel| pending.contains(&rel.id));
                        if let Some(rel) = hit {
                            self.pending_triggers.push((at, rel.rel_name().to_string()));
                            break;
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

fn label_known(t: &crate::catalog::Type, value: &str) -> bool {
    matches!(&t.kind, crate::catalog::TypeKind::Enum { labels } if labels.iter().any(|l| l.value == value))
}

/// Changes the schema or data, so that half of a file without a transaction would stay.
fn changes(kind: &OpKind) -> bool {
    !matches!(
        kind,
        OpKind::SetVar { .. }
            | OpKind::ResetVar { .. }
            | OpKind::SetRole { .. }
            | OpKind::SetConstraints { .. }
            | OpKind::Begin { .. }
            | OpKind::Commit { .. }
            | OpKind::Rollback { .. }
            | OpKind::Savepoint { .. }
            | OpKind::ReleaseSavepoint { .. }
            | OpKind::RollbackTo { .. }
            | OpKind::Query(_)
            | OpKind::LockTable { .. }
            | OpKind::Analyze { .. }
            | OpKind::DoBlock { .. }
            | OpKind::Opaque { .. }
    )
}

/// The foreign keys that an operation makes, wherever they are written.
pub fn foreign_keys_of(kind: &OpKind) -> Vec<(&TableConstraint, &ForeignKey)> {
    let all: Vec<&TableConstraint> = match kind {
        OpKind::CreateTable(t) => t.constraints.iter().chain(t.columns.iter().flat_map(|c| &c.constraints)).collect(),
        OpKind::Alter { action: AlterAction::AddColumn { column, .. }, .. } => column.constraints.iter().collect(),
        OpKind::Alter { action: AlterAction::AddConstraint(c), .. } => vec![c],
        _ => Vec::new(),
    };
    all.into_iter()
        .filter_map(|c| match &c.kind {
            ConstraintKind::ForeignKey(fk) => Some((c, &**fk)),
            _ => None,
        })
        .collect()
}

/// A literal of the operation becomes one of the labels: by a cast to the type, or because the table has a column of it.
fn uses_label(r: &Replayed, kind: &OpKind, fresh: &[&(u32, Id, String)]) -> Option<String> {
    let table = match kind {
        OpKind::Dml(d) => Some(&d.table),
        OpKind::Alter { target, .. } => Some(&target.name),
        OpKind::CreateIndex(i) => Some(&i.table),
        _ => None,
    };
    let rel = table.and_then(|t| r.before.relation_by(t));
    let of_column = |ty: Id| rel.is_some_and(|rel| rel.columns.iter().any(|c| c.ty.id == Some(ty)));
    let mut found = None;
    let mut look = |e: &Expr| {
        use crate::op::ExprKind as E;
        match &e.kind {
            E::Cast { expr, ty } => {
                if let E::String(s) = &expr.kind
                    && let Some(id) = r.before.type_id(&ty.name)
                    && fresh.iter().any(|(_, t, l)| *t == id && l == s)
                {
                    found = Some(s.clone());
                }
            }
            E::String(s) if fresh.iter().any(|(_, t, l)| l == s && of_column(*t)) => found = Some(s.clone()),
            _ => {}
        }
    };
    walk(kind, &mut look);
    found
}

fn walk(kind: &OpKind, f: &mut dyn FnMut(&Expr)) {
    match kind {
        OpKind::Dml(d) => d.walk_exprs(&mut |e| f(e)),
        OpKind::Query(q) => q.walk_exprs(&mut |e| f(e)),
        OpKind::Alter { action, .. } => match action {
            AlterAction::SetDefault { expr, .. } => expr.walk(&mut |e| f(e)),
            AlterAction::AddColumn { column, .. } => column.default.iter().for_each(|d| d.walk(&mut |e| f(e))),
            AlterAction::AddConstraint(c) => {
                if let ConstraintKind::Check { expr } = &c.kind {
                    expr.walk(&mut |e| f(e));
                }
            }
            _ => {}
        },
        OpKind::CreateIndex(i) => i.filter.iter().for_each(|e| e.walk(&mut |e| f(e))),
        OpKind::CreateTable(t) => t.columns.iter().filter_map(|c| c.default.as_ref()).for_each(|e| e.walk(&mut |e| f(e))),
        _ => {}
    }
}
