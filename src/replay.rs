//! Replays a history on the catalog: which statement runs in which transaction, on which schema, with what effects.
//!
//! The only place that joins the runner's way of executing a file with the operations in it.

use std::sync::{Arc, OnceLock};

use crate::catalog::{ApplyError, Catalog, Id};
use crate::compat::{Compat, Known, Part, predict_knowing};
use crate::effects::{Effects, Sent};
use crate::history::{Execution, Send};
use crate::op::{Op, OpKind, PgVersion, Statement, Understood};
use crate::source::{SourceFile, Span};

/// One statement, judged where it stands.
#[derive(Debug, Clone)]
pub struct Replayed {
    pub statement: Statement,
    /// Statements of a file share the schemas between them.
    pub before: Arc<Catalog>,
    pub after: Arc<Catalog>,
    pub sent: Sent,
    pub effects: Effects,
    pub compat: Compat,
    /// Operations that Postgres would refuse: index into `statement.ops`.
    pub errors: Vec<(usize, ApplyError)>,
    /// Number of the transaction that it runs in; statements with the same number commit together. Counted through the history.
    pub transaction: u32,
    /// The transaction was opened by BEGIN in the file, not by the runner.
    pub explicit_transaction: bool,
    /// Relations whose statements `compat` was judged by.
    judged: Vec<Id>,
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
    /// A transaction that a BEGIN of the file opened and nothing ends: it is rolled back when the runner disconnects.
    pub left_open: Option<u32>,
    /// The schema after the last migration that is known, where later ones are.
    pub later: Option<Later>,
    pub history: InHistory,
}

/// The schema at the end of a history that may be replayed right now: whoever asks for it waits.
#[derive(Debug, Clone, Default)]
pub struct Later(Arc<OnceLock<Catalog>>);

impl Later {
    pub fn catalog(&self) -> &Catalog {
        self.0.wait()
    }

    /// The first word counts.
    pub fn is(&self, catalog: Catalog) {
        let _ = self.0.set(catalog);
    }
}

/// What the history around a file tells about it.
#[derive(Debug, Clone, Default)]
pub struct InHistory {
    /// The other half: what takes the script back, replayed on the schema that the script leaves.
    pub down: Option<Box<ReplayedScript>>,
    /// Most migrations of this history have one.
    pub down_expected: bool,
    /// Another migration with the same version.
    pub duplicate: Option<String>,
    /// Version of the migration.
    pub version: String,
    /// A migration that is not new and comes after this one, which is new (needs git).
    pub overtaken_by: Option<String>,
    /// The file was committed before and its SQL is another now (needs git).
    pub edited: bool,
    /// It names what no migration makes, and later ones came after it all the same, so something else makes it: the first statement that does, and
    /// what Postgres would say.
    pub outside: Option<(usize, String)>,
    /// Columns that an earlier migration, as new as this one, fills a new column from (needs git).
    pub expanded: Vec<Expanded>,
}

/// A new column that takes the place of an old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expanded {
    pub table: crate::catalog::Id,
    pub old: String,
    pub new: String,
    /// Name of the migration.
    pub migration: String,
}

/// Applies a script for its schema only: nothing is predicted. `false`: it names objects that nothing made, so the history that is
/// known is not all of it.
pub fn apply(statements: &[Statement], execution: &Execution, catalog: &mut Catalog) -> bool {
    unknown_after(statements, execution, catalog).is_none()
}

/// The same: the first statement that names something unknown, and what Postgres says of it.
pub fn unknown_after(statements: &[Statement], execution: &Execution, catalog: &mut Catalog) -> Option<(usize, String)> {
    follow(statements, execution, catalog).into_iter().find(|(.., e)| names_the_unknown(e)).map(|(i, _, e)| (i, e.message))
}

/// The same, with what could not be followed: statement, operation in it, error. What certainly fails is left out and the rest goes on,
/// as the loader of the shadow does it.
pub fn follow(statements: &[Statement], execution: &Execution, catalog: &mut Catalog) -> Vec<(usize, usize, ApplyError)> {
    let mut errors = Vec::new();
    walk(statements, execution, catalog, |n, refused, _| errors.extend(refused.into_iter().map(|(op, e)| (n, op, e))));
    errors
}

/// What a statement left, and what of it was refused: whoever judges it need not apply it once more.
#[derive(Debug)]
pub struct Step {
    after: Catalog,
    errors: Vec<(usize, ApplyError)>,
}

/// The same, with what each statement left.
pub fn steps(statements: &[Statement], execution: &Execution, catalog: &mut Catalog) -> Vec<Step> {
    let mut out = Vec::with_capacity(statements.len());
    walk(statements, execution, catalog, |_, errors, after| out.push(Step { after: after.clone(), errors }));
    out
}

/// The first statement that names something unknown, and what Postgres says of it.
pub fn unknown_in(steps: &[Step]) -> Option<(usize, String)> {
    let errors = steps.iter().enumerate().flat_map(|(i, s)| s.errors.iter().map(move |(_, e)| (i, e)));
    errors.into_iter().find(|(_, e)| names_the_unknown(e)).map(|(i, e)| (i, e.message.clone()))
}

fn walk(
    statements: &[Statement],
    execution: &Execution,
    catalog: &mut Catalog,
    mut each: impl FnMut(usize, Vec<(usize, ApplyError)>, &Catalog),
) {
    let mut tx = Tracker::new(execution, statements, catalog);
    for (n, s) in statements.iter().enumerate() {
        tx.enter(n, s, catalog);
        let (commits, refused) = if execution.send == Send::Pipeline {
            let (effects, refused) = crate::effects::predict_and_apply(s, catalog, sent(catalog.pg, &tx));
            (!effects.in_transaction, refused)
        } else {
            (false, catalog.apply_statement(s))
        };
        each(n, refused, catalog);
        tx.leave(s, commits, catalog);
    }
    tx.finish(catalog);
}

fn sent(pg: PgVersion, tx: &Tracker) -> Sent {
    Sent { pg, in_transaction: tx.in_transaction() }
}

/// A statement about rows may be one that this schema does not take.
fn refuse(statement: &Statement, here: &Catalog, effects: &mut Effects) {
    // What DO comes to for sure is its one statement.
    let mut inner = statement.ops.iter().filter(|o| o.nested);
    let only = match (statement.ops.first().map(|o| &o.kind), inner.next(), inner.next()) {
        (Some(OpKind::DoBlock { handles_exceptions: false, .. }), Some(o), None) => Some(o),
        _ => None,
    };
    let sent = statement.ops.iter().filter(|o| !o.nested).chain(only).filter(|o| !o.conditional);
    if let Some((state, because)) = sent.filter_map(|o| crate::compat::refused(o, here)).next() {
        let about = because.map(|b| format!(": {b}")).unwrap_or_default();
        let error = format!("{} is refused{about}", statement.command);
        *effects = Effects { in_transaction: effects.in_transaction, fails: Some(state.into()), error: Some(error), ..Effects::default() };
    }
}

/// Something that the statement names does not exist.
fn names_the_unknown(e: &ApplyError) -> bool {
    matches!(e.sqlstate, "42P01" | "42703" | "42704" | "42883" | "3F000")
}

/// What a template leaves open is not known to be missing.
fn is_open(e: &ApplyError) -> bool {
    ["${", "{{", "\":", " :", "%s", "%(", "<%="].iter().any(|t| e.message.contains(t))
}

/// Applies a script and judges every statement of it.
pub fn judge(source: &SourceFile, statements: Vec<Statement>, execution: &Execution, catalog: &mut Catalog) -> ReplayedScript {
    let start = catalog.clone();
    judge_from(source, statements, execution, catalog, &start, None, Vec::new())
}

/// The same for a script that was followed from this schema, step by step.
pub fn judge_followed(
    source: &SourceFile,
    statements: Vec<Statement>,
    execution: &Execution,
    catalog: &mut Catalog,
    steps: Vec<Step>,
) -> ReplayedScript {
    let start = catalog.clone();
    judge_from(source, statements, execution, catalog, &start, None, steps)
}

/// Judges another text of one statement, by itself, in the place of the first: `start` is what was before the script in which that stands.
pub fn judge_instead(
    source: &SourceFile,
    statements: Vec<Statement>,
    execution: &Execution,
    start: &Catalog,
    first: &Replayed,
) -> ReplayedScript {
    let mut catalog = Catalog::clone(&first.before);
    // It runs in the transaction of the first, so that what both make is the same to the last number.
    let counted = 1 + u32::from(!execution.transaction);
    catalog.now.transaction = first.transaction.saturating_sub(counted);
    let mut judged = judge_from(source, statements, execution, &mut catalog, start, Some(first), Vec::new());
    judged.before = start.clone();
    judged
}

fn judge_from(
    source: &SourceFile,
    statements: Vec<Statement>,
    execution: &Execution,
    catalog: &mut Catalog,
    start: &Catalog,
    like: Option<&Replayed>,
    steps: Vec<Step>,
) -> ReplayedScript {
    let before = catalog.clone();
    let mut steps = steps.into_iter();
    let pg = catalog.pg;
    let mut tx = Tracker::new(execution, &statements, catalog);
    let mut out = Vec::with_capacity(statements.len());
    let mut last = Arc::new(before.clone());
    let mut share = |now: &Catalog| {
        if !now.is_unchanged_since(&last) {
            last = Arc::new(now.clone());
        }
        last.clone()
    };
    for (i, statement) in statements.into_iter().enumerate() {
        tx.enter(i, &statement, catalog);
        let sent = sent(pg, &tx);
        let here = share(catalog);
        let (mut effects, errors) = match steps.next() {
            Some(step) => {
                *catalog = step.after;
                (crate::effects::predict_applied(&statement, &here, catalog, &step.errors, sent), step.errors)
            }
            None => crate::effects::predict_and_apply(&statement, catalog, sent),
        };
        // What a publication demands is asked when the statement has been read.
        let late = |e: &ApplyError| e.sqlstate == "55000";
        if effects.fails.is_none() && errors.iter().all(|(_, e)| late(e)) {
            refuse(&statement, &here, &mut effects);
        }
        for (i, e) in &errors {
            if e.certain && !is_open(e) && effects.fails.is_none() && !statement.ops[*i].conditional {
                effects = Effects { in_transaction: effects.in_transaction, ..Effects::default() };
                effects.fails = Some(e.sqlstate.to_string());
                effects.error = Some(e.message.clone());
            }
        }
        let ops: Vec<&Op> = statement.ops.iter().collect();
        let known = like.map_or(Known::Nothing, |r| Known::Like(r.part()));
        let (compat, judged) = predict_knowing(&ops, start, &here, catalog, pg, known);
        let transaction = tx.number;
        let explicit_transaction = tx.explicit;
        let commits = !effects.in_transaction;
        tx.leave(&statement, commits, catalog);
        out.push(Replayed {
            statement,
            before: here,
            after: share(catalog),
            sent,
            effects,
            compat,
            errors,
            transaction,
            explicit_transaction,
            judged,
        });
    }
    let left_open = (tx.explicit && !execution.transaction).then_some(tx.number);
    tx.finish(catalog);
    let ops: Vec<&Op> = out.iter().flat_map(|r| &r.statement.ops).collect();
    let parts: Vec<Part<'_>> = out.iter().map(Replayed::part).collect();
    let (compat, _) = predict_knowing(&ops, start, &before, catalog, pg, Known::Parts(&parts));
    drop(parts);
    ReplayedScript {
        source: source.clone(),
        execution: execution.clone(),
        before,
        after: catalog.clone(),
        statements: out,
        compat,
        later: None,
        history: InHistory::default(),
        left_open,
    }
}

impl Replayed {
    fn part(&self) -> Part<'_> {
        Part { ops: &self.statement.ops, before: &self.before, after: &self.after, broken: &self.compat.broken, judged: &self.judged }
    }
}

impl ReplayedScript {
    /// Everything that the script names was made by something that is known.
    pub fn is_complete(&self) -> bool {
        self.unknown().is_none()
    }

    /// The first statement that names something unknown, and what Postgres says of it.
    pub fn unknown(&self) -> Option<(usize, String)> {
        let of = |s: &Replayed| s.errors.iter().map(|(_, e)| e).find(|e| names_the_unknown(e)).map(|e| e.message.clone());
        self.statements.iter().enumerate().find_map(|(i, s)| Some((i, of(s)?)))
    }

    /// Index of the first statement that fails, where the runner stops.
    pub fn stops_at(&self) -> Option<usize> {
        self.statements.iter().position(|s| s.effects.fails.is_some())
    }

    /// Which statements stay committed when the runner has run the script, or has stopped at the first that fails.
    pub fn committed(&self) -> Vec<bool> {
        let stop = self.stops_at();
        let rolled_back: std::collections::BTreeSet<u32> = self
            .statements
            .iter()
            .take(stop.unwrap_or(usize::MAX))
            .filter(|s| s.statement.ops.iter().any(|o| !o.nested && matches!(o.kind, OpKind::Rollback { .. })))
            .map(|s| s.transaction)
            .chain(stop.map(|i| self.statements[i].transaction))
            .chain(self.left_open)
            .collect();
        let ran = |i: usize| stop.is_none_or(|s| i < s);
        self.statements.iter().enumerate().map(|(i, s)| ran(i) && !rolled_back.contains(&s.transaction)).collect()
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

/// Follows BEGIN, COMMIT and the runner's own transactions through a script, as the server does.
struct Tracker {
    send: Send,
    /// The runner's own transaction is open; a COMMIT in the file ends it for good.
    runner: bool,
    /// A BEGIN of the file is open.
    explicit: bool,
    /// For each statement, the simple query that it travels in together with others: Postgres makes them one transaction.
    groups: Vec<Option<usize>>,
    group: Option<usize>,
    /// Something of the pipeline has run and is not committed. A statement that commits at once (VACUUM) may come first, and ends it.
    pipelined: bool,
    number: u32,
}

impl Tracker {
    fn new(execution: &Execution, statements: &[Statement], catalog: &mut Catalog) -> Self {
        for (name, value) in &execution.settings {
            catalog.set_in_session(name, value);
        }
        if !execution.joins {
            catalog.now.transaction += 1;
        }
        if execution.transaction {
            begin(catalog);
        }
        Tracker {
            send: execution.send,
            runner: execution.transaction,
            explicit: false,
            groups: groups(execution, statements),
            group: None,
            pipelined: false,
            number: catalog.now.transaction,
        }
    }

    fn in_transaction(&self) -> bool {
        self.runner || self.explicit || self.group.is_some() || self.pipelined
    }

    fn enter(&mut self, at: usize, s: &Statement, catalog: &mut Catalog) {
        let group = self.groups.get(at).copied().flatten();
        let goes_on = self.runner || self.explicit || self.pipelined || (group.is_some() && group == self.group);
        if !goes_on {
            self.next(catalog);
            if group.is_some() || self.send == Send::Pipeline {
                begin(catalog);
            }
        }
        self.group = group;
        if s.ops.iter().any(|o| matches!(o.kind, OpKind::Begin { .. }) && !o.nested) {
            self.explicit = true;
        }
    }

    /// `commits`: the statement commits by itself, and takes along what ran before it in its pipeline.
    fn leave(&mut self, s: &Statement, commits: bool, catalog: &mut Catalog) {
        let mut ends = false;
        for op in s.ops.iter().filter(|o| !o.nested) {
            if let OpKind::Commit { chain } | OpKind::Rollback { chain } = op.kind {
                // In a multi-statement query the rest starts another transaction; under a runner's own it runs without one.
                ends = true;
                self.explicit = chain;
                self.runner = false;
            }
        }
        if self.send == Send::Pipeline {
            // A statement that works in transactions of its own (VACUUM, CREATE INDEX CONCURRENTLY) has committed what it did, and the
            // pipeline goes on in one more transaction; CREATE DATABASE and its like are committed at once.
            let at_once = s.ops.iter().any(|o| matches!(o.kind, OpKind::NoTransaction { .. }));
            self.pipelined = !ends && !at_once && !self.explicit;
            ends |= commits && !self.explicit && !self.runner;
        }
        if ends {
            self.next(catalog);
            if (self.group.is_some() || self.pipelined) && !self.explicit {
                begin(catalog);
            }
        }
        if !self.in_transaction() {
            catalog.end_local_settings();
        }
    }

    fn next(&mut self, catalog: &mut Catalog) {
        catalog.now.transaction += 1;
        self.number = catalog.now.transaction;
        catalog.end_local_settings();
    }

    fn finish(&mut self, catalog: &mut Catalog) {
        catalog.end_local_settings();
        catalog.end_of_script();
    }
}

/// The catalog remembers the state before the runner's transaction, for a ROLLBACK in the file.
fn begin(catalog: &mut Catalog) {
    let kind = OpKind::Begin { read_only: false };
    let _ = catalog.apply(&Op { span: Span::default(), command: 0, conditional: false, nested: false, kind });
}

/// Statements that travel as one simple query: all of a script that is sent whole, or those in one of its `queries`.
fn groups(execution: &Execution, statements: &[Statement]) -> Vec<Option<usize>> {
    let whole = execution.send == Send::Whole && execution.queries.is_empty();
    let of = |s: &Statement| match s.command {
        // What psql does by itself never travels.
        "\\" => None,
        _ if whole => Some(0),
        _ => execution.queries.iter().position(|q| q.contains(s.span.start as usize)),
    };
    let all: Vec<Option<usize>> = statements.iter().map(of).collect();
    // A query with one statement is no transaction block.
    all.iter().map(|g| g.filter(|g| all.iter().flatten().filter(|o| *o == g).count() > 1)).collect()
}

/// A convenience for `PgVersion` in tests and tools: an empty, complete catalog.
pub fn empty(pg: PgVersion) -> Catalog {
    Catalog::new(pg)
}
