//! Replays a history on the catalog: which statement runs in which transaction, on which schema, with what effects.
//!
//! The only place that joins the runner's way of executing a file with the operations in it.

use crate::catalog::{ApplyError, Catalog};
use crate::compat::Compat;
use crate::effects::{Effects, Sent};
use crate::history::{Execution, Send};
use crate::op::{Op, OpKind, PgVersion, SetScope, Statement, Understood};
use crate::source::{SourceFile, Span};

/// One statement, judged where it stands.
#[derive(Debug, Clone)]
pub struct Replayed {
    pub statement: Statement,
    pub before: Catalog,
    pub after: Catalog,
    pub sent: Sent,
    pub effects: Effects,
    pub compat: Compat,
    /// Operations that Postgres would refuse: index into `statement.ops`.
    pub errors: Vec<(usize, ApplyError)>,
    /// Number of the transaction that it runs in; statements with the same number commit together. Counted through the history.
    pub transaction: u32,
    /// The transaction was opened by BEGIN in the file, not by the runner.
    pub explicit_transaction: bool,
}

/// One file (or one half of it), replayed.
#[derive(Debug, Clone)]
pub struct ReplayedScript {
    pub source: SourceFile,
    pub execution: Execution,
    pub before: Catalog,
    pub after: Catalog,
    pub statements: Vec<Replayed>,
    /// Of the whole script: N-1 before it, N after it.
    pub compat: Compat,
}

/// Applies a script for its schema only: nothing is predicted. `false`: it names objects that nothing made, so the history that is
/// known is not all of it.
pub fn apply(statements: &[Statement], execution: &Execution, catalog: &mut Catalog) -> bool {
    !follow(statements, execution, catalog).iter().any(|(_, _, e)| names_the_unknown(e))
}

/// The same, with what could not be followed: statement, operation in it, error. What certainly fails is left out and the rest goes on,
/// as the loader of the shadow does it.
pub fn follow(statements: &[Statement], execution: &Execution, catalog: &mut Catalog) -> Vec<(usize, usize, ApplyError)> {
    let mut tx = Tracker::new(execution, statements, catalog);
    let mut errors = Vec::new();
    for (n, s) in statements.iter().enumerate() {
        tx.enter(s, catalog);
        errors.extend(catalog.apply_statement(s).into_iter().map(|(op, e)| (n, op, e)));
        tx.leave(s, catalog);
    }
    tx.finish(catalog);
    errors
}

/// Something that the statement names does not exist.
fn names_the_unknown(e: &ApplyError) -> bool {
    matches!(e.sqlstate, "42P01" | "42703" | "42704" | "42883" | "3F000")
}

/// What a template leaves open is not known to be missing.
fn is_open(e: &ApplyError) -> bool {
    ["${", "{{", "\":", " :"].iter().any(|t| e.message.contains(t))
}

/// Applies a script and judges every statement of it.
pub fn judge(source: &SourceFile, statements: Vec<Statement>, execution: &Execution, catalog: &mut Catalog) -> ReplayedScript {
    let before = catalog.clone();
    let pg = catalog.pg;
    let mut tx = Tracker::new(execution, &statements, catalog);
    let mut out = Vec::with_capacity(statements.len());
    for statement in statements {
        tx.enter(&statement, catalog);
        let sent = Sent { pg, in_transaction: tx.in_transaction() };
        let here = catalog.clone();
        let mut effects = crate::effects::predict(&statement, &here, sent);
        let errors = catalog.apply_statement(&statement);
        for (i, e) in &errors {
            if e.certain && !is_open(e) && effects.fails.is_none() && !statement.ops[*i].conditional {
                effects = Effects { in_transaction: effects.in_transaction, ..Effects::default() };
                effects.fails = Some(e.sqlstate.to_string());
                effects.error = Some(e.message.clone());
            }
        }
        let ops: Vec<&Op> = statement.ops.iter().collect();
        let compat = crate::compat::predict(&ops, &here, catalog, pg);
        let transaction = tx.number;
        let explicit_transaction = tx.explicit;
        tx.leave(&statement, catalog);
        out.push(Replayed {
            statement,
            before: here,
            after: catalog.clone(),
            sent,
            effects,
            compat,
            errors,
            transaction,
            explicit_transaction,
        });
    }
    tx.finish(catalog);
    let ops: Vec<&Op> = out.iter().flat_map(|r| &r.statement.ops).collect();
    let compat = crate::compat::predict(&ops, &before, catalog, pg);
    ReplayedScript { source: source.clone(), execution: execution.clone(), before, after: catalog.clone(), statements: out, compat }
}

impl ReplayedScript {
    /// Everything that the script names was made by something that is known.
    pub fn is_complete(&self) -> bool {
        !self.statements.iter().flat_map(|s| &s.errors).any(|(_, e)| names_the_unknown(e))
    }

    /// What the whole script does.
    pub fn effects(&self) -> Effects {
        let mut total = Effects { in_transaction: true, ..Effects::default() };
        for s in &self.statements {
            // Relations that the script itself made were not there for anybody to wait on.
            let mut e = s.effects.clone();
            let existed =
                |r: &crate::catalog::RelName| self.before.relation_named(&r.schema, &r.name).is_some() || !self.created_here(r, s);
            e.locks.retain(|r, _| existed(r));
            e.rewrites.retain(|r| existed(r));
            e.scans.retain(|r| existed(r));
            total.merge(&e);
        }
        total
    }

    fn created_here(&self, r: &crate::catalog::RelName, at: &Replayed) -> bool {
        at.before
            .relation_named(&r.schema, &r.name)
            .or_else(|| at.after.relation_named(&r.schema, &r.name))
            .is_some_and(|rel| !rel.assumed && !self.before.relations.contains_key(&rel.id))
    }

    pub fn understood(&self, which: Understood) -> usize {
        self.statements.iter().filter(|s| s.statement.understood == which).count()
    }

    pub fn span_of(&self, i: usize) -> Span {
        self.statements[i].statement.span
    }
}

/// Follows BEGIN, COMMIT and the runner's own transactions through a script.
struct Tracker {
    /// The runner opened it, or several statements travel as one query.
    implicit: bool,
    explicit: bool,
    number: u32,
    per_statement: bool,
    /// What follows a COMMIT in the same query is a transaction again.
    again: bool,
}

impl Tracker {
    fn new(execution: &Execution, statements: &[Statement], catalog: &mut Catalog) -> Self {
        let several = statements.len() > 1;
        let implicit = execution.transaction || (matches!(execution.send, Send::Whole | Send::Pipeline) && several);
        catalog.now.transaction += 1;
        if implicit {
            // A ROLLBACK in the script takes back what came before it.
            catalog.open_transaction();
        }
        let again = execution.send != Send::Statement;
        Tracker { implicit, explicit: false, number: catalog.now.transaction, per_statement: !implicit, again }
    }

    fn in_transaction(&self) -> bool {
        self.implicit || self.explicit
    }

    fn enter(&mut self, s: &Statement, catalog: &mut Catalog) {
        if self.per_statement && !self.explicit {
            catalog.now.transaction += 1;
            self.number = catalog.now.transaction;
        }
        if s.ops.iter().any(|o| matches!(o.kind, OpKind::Begin { .. }) && !o.nested) {
            self.explicit = true;
        }
    }

    fn leave(&mut self, s: &Statement, catalog: &mut Catalog) {
        for op in s.ops.iter().filter(|o| !o.nested) {
            if matches!(op.kind, OpKind::Commit { .. } | OpKind::Rollback { .. }) {
                self.explicit = false;
                // In a multi-statement query a COMMIT ends the implicit transaction and the rest starts another one; under a
                // runner's own transaction it ends that one for good.
                catalog.now.transaction += 1;
                self.number = catalog.now.transaction;
                catalog.end_local_settings();
                if self.implicit && self.again {
                    catalog.open_transaction();
                } else if self.implicit && catalog.transaction.is_none() {
                    self.implicit = false;
                    self.per_statement = true;
                }
            }
        }
        if !self.in_transaction() {
            catalog.end_local_settings();
        }
        let _ = SetScope::Local;
    }

    fn finish(&mut self, catalog: &mut Catalog) {
        catalog.end_local_settings();
        catalog.end_of_script();
    }
}

/// A convenience for `PgVersion` in tests and tools: an empty, complete catalog.
pub fn empty(pg: PgVersion) -> Catalog {
    Catalog::new(pg)
}
