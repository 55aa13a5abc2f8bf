//! Where an operation stands in its script: what was there before the script, what comes after the operation.

use crate::catalog::{Catalog, Relation};
use crate::op::{Op, QName};
use crate::replay::{Replayed, ReplayedScript};

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
}

impl<'a> Here<'a> {
    /// The schema that release N-1 meets: the one at the commit of this statement's transaction.
    pub fn commit(&self) -> &'a Catalog {
        let together = self.script.statements[self.at..].iter().take_while(|s| s.transaction == self.r.transaction);
        together.last().map_or(&self.r.after, |s| &s.after)
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
