//! Where an operation stands in its script: what was there before the script, what comes after the operation.

use std::collections::{HashMap, HashSet};

use crate::catalog::{Catalog, Relation};
use crate::op::{AlterAction, DmlKind, Op, OpKind, QName};
use crate::replay::{Replayed, ReplayedScript};

/// What the operations ask of the whole script, gathered once: a file may have thousands of statements.
#[derive(Default)]
pub(super) struct Look {
    /// Last statement of the transaction that each statement is in.
    commit: Vec<usize>,
    /// Transactions in which a statement of before is changed under a lock that writers wait for.
    pub schema_changes: HashSet<u32>,
    /// Names of what the script drops.
    pub dropped: HashSet<String>,
    /// Names of relations that the script makes, or gives to another.
    pub made: HashSet<String>,
    pub drops_defaults: bool,
    /// Rows are copied from one table to another.
    pub copies: bool,
    pub updates: bool,
    /// By the table's name as written: the first statement that updates, deletes or merges.
    pub first_write: HashMap<String, usize>,
    /// Something of before was granted, or given to an owner.
    pub grants: bool,
}

impl Look {
    pub fn at(script: &ReplayedScript) -> Look {
        let mut look = Look { commit: vec![0; script.statements.len()], ..Look::default() };
        let mut last = script.statements.len().saturating_sub(1);
        look.grants = script.before.granted;
        for (i, s) in script.statements.iter().enumerate().rev() {
            if script.statements[last].transaction != s.transaction {
                last = i;
            }
            look.commit[i] = last;
            if super::data::changes_schema(script, s) {
                look.schema_changes.insert(s.transaction);
            }
            for op in &s.statement.ops {
                look.made.extend(made(op).map(|n| n.to_string()));
                match &op.kind {
                    OpKind::Drop { objects, .. } => look.dropped.extend(objects.iter().map(|o| o.name.as_str().to_string())),
                    OpKind::Alter { action: AlterAction::DropDefault { .. }, .. } => look.drops_defaults = true,
                    OpKind::CreateTableAs(_) => look.copies = true,
                    OpKind::Dml(d) => {
                        look.copies |= matches!(&d.kind, DmlKind::Insert { .. }) && !d.reads().is_empty();
                        look.updates |= matches!(&d.kind, DmlKind::Update { .. });
                        if !matches!(&d.kind, DmlKind::Insert { .. }) {
                            // From the last to the first.
                            look.first_write.insert(d.table.to_string(), i);
                        }
                    }
                    _ => {}
                }
            }
        }
        look
    }
}

/// The relation that the operation makes, or the name that one gets.
fn made(op: &Op) -> Option<&str> {
    match &op.kind {
        OpKind::CreateTable(t) => Some(t.name.as_str()),
        OpKind::CreateTableAs(t) => Some(t.name.as_str()),
        OpKind::CreateView(v) => Some(v.name.as_str()),
        OpKind::CreateSequence { name, .. } => Some(name.as_str()),
        OpKind::CreateIndex(i) => i.name.as_ref().map(|n| n.as_str()),
        OpKind::Alter { action: AlterAction::RenameTo { to }, .. } => Some(to.as_str()),
        _ => None,
    }
}

/// One operation with everything around it.
#[derive(Clone, Copy)]
pub(super) struct Here<'a> {
    pub script: &'a ReplayedScript,
    pub r: &'a Replayed,
    /// Index of the statement in the script.
    pub at: usize,
    /// Index of the operation in the statement.
    pub i: usize,
    pub op: &'a Op,
    pub look: &'a Look,
}

impl<'a> Here<'a> {
    /// The schema that release N-1 meets: the one at the commit of this statement's transaction.
    pub fn commit(&self) -> &'a Catalog {
        let last = self.look.commit.get(self.at).and_then(|i| self.script.statements.get(*i));
        last.map_or(&self.r.after, |s| &s.after)
    }

    /// Operations of the script before this one.
    pub fn earlier(&self) -> impl Iterator<Item = (&'a Replayed, &'a Op)> {
        let done = self.script.statements[..self.at].iter().flat_map(|s| s.statement.ops.iter().map(move |o| (s, o)));
        done.chain(self.r.statement.ops.iter().take(self.i).map(|o| (self.r, o)))
    }

    /// Operations of the script after this one.
    pub fn later(&self) -> impl Iterator<Item = (&'a Replayed, &'a Op)> {
        let rest = self.r.statement.ops.iter().skip(self.i + 1).map(|o| (self.r, o));
        rest.chain(self.script.statements[self.at + 1..].iter().flat_map(|s| s.statement.ops.iter().map(move |o| (s, o))))
    }

    /// The relation that a name means just before the statement, or else just after it.
    pub fn relation(&self, name: &QName) -> Option<&'a Relation> {
        self.r.before.relation_by(name).or_else(|| self.r.after.relation_by(name))
    }

    /// It as it was before the script; nothing where the script made it.
    pub fn original(&self, name: &QName) -> Option<&'a Relation> {
        self.script.before.relation(self.relation(name)?.id)
    }

    /// A column was there before the script, under whatever name. One that nobody knows was there.
    pub fn column_existed(&self, table: &QName, column: &str) -> bool {
        let Some(now) = self.relation(table) else { return true };
        let Some(old) = self.script.before.relation(now.id) else { return now.assumed };
        match self.r.before.relation(now.id).and_then(|r| r.column(column)) {
            Some(c) => old.columns.iter().any(|o| o.attnum == c.attnum),
            None => old.assumed || old.column(column).is_some(),
        }
    }
}
