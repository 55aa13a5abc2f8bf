//! The steps of one table, fused: however many of its columns change, it gets one trigger, one backfill, one swap and one clean-up.

use std::sync::Arc;

use crate::catalog::{Catalog, Relation};
use crate::compat::Undo;
use crate::quote::ident;

use super::blocks::{Assignment, Back, Filled, NOTHING, Pair, Sync, Value, backfill, lock_timeout, not_null, table};
use super::draft::{Draft, NewStep, slug};
use super::recipes::create_index::Copy;
use super::{Actor, Boundary, DualWrite, Invariant, PhaseKind, PlanOptions, Precondition, SeesTo, Step, Writes, Written};

/// A step of its own between the fused ones.
pub struct Own {
    pub id: String,
    pub title: String,
    pub statements: Vec<String>,
    pub undo: Vec<String>,
    pub transaction: bool,
    pub preconditions: Vec<Precondition>,
}

/// What the application does by itself.
pub struct Job {
    pub id: String,
    pub title: String,
    pub column: String,
    /// The condition of the rows that it sees to.
    pub rows: String,
}

/// A column that release N writes beside another one.
pub struct Application {
    written: Written,
    /// What its code has to do, for the checklist.
    said: String,
    /// The column that N-1 knows.
    old: Option<String>,
}

impl Application {
    /// A second column, until the first one goes.
    pub fn of(rel: &Relation, (from, to): (&str, &str), up: &Value, new: &crate::catalog::Column) -> Option<Application> {
        let what = match up {
            Value::Copy(_) => "the same value".to_string(),
            Value::Told { sql, .. } => format!("`{sql}`, made {}", new.ty),
            _ => format!("the same value as {}", new.ty),
        };
        Some(Application {
            written: Written { column: to.into(), value: up.of("airlock_t") },
            said: format!("From B1 on, every statement of release N that writes `{0}.{from}` writes `{to}` too: {what}.", rel.name),
            old: Some(from.into()),
        })
    }
}

/// What recipes put together; each list keeps the order in which it was added.
pub struct TableDraft<'a> {
    pub rel: Arc<Relation>,
    catalog: &'a Catalog,
    options: &'a PlanOptions,
    /// In one transaction with the trigger: statement and undo.
    pub expand: Vec<(String, Vec<String>)>,
    pub expand_verdict: Undo,
    /// After it, before the backfill.
    pub expanded: Vec<Own>,
    pub pairs: Vec<Pair>,
    pub fills: Vec<Filled>,
    pub backs: Vec<Back>,
    /// Functions of the trigger's: how they are made, and their signatures.
    pub functions: Vec<(String, String)>,
    pub backfill: Vec<Assignment>,
    /// Between the backfill and release N: indexes and constraints of second columns.
    pub migrate: Vec<Own>,
    /// Behind NOT NULL.
    pub settled: Vec<Own>,
    /// Behind the backfills of all tables: foreign keys between second columns.
    pub linked: Vec<Own>,
    /// Behind the backfill, until the contract.
    pub jobs: Vec<Job>,
    /// What release N writes where no trigger does.
    pub application: Vec<Application>,
    /// Second columns that become NOT NULL before release N.
    pub required_at_n: Vec<String>,
    /// Columns that become NOT NULL when N-1 is gone.
    pub required_at_last: Vec<String>,
    pub required_if: Vec<Precondition>,
    /// In one transaction, after the trigger is gone: statement and undo.
    pub swap: Vec<(String, Vec<String>)>,
    /// At the end of that transaction.
    pub swap_last: Vec<(String, Vec<String>)>,
    pub swap_if: Vec<Precondition>,
    pub swap_verdict: Undo,
    /// Both columns say the same, before release N relies on the second one.
    pub agree: Vec<Precondition>,
    /// Kept in step until the hard contract, under the names after the swap.
    pub parked: Vec<Pair>,
    /// After the swap.
    pub after_swap: Vec<Own>,
    pub hard: Vec<String>,
    /// Why the hard contract is one way; empty: nothing is lost.
    pub lost: Vec<String>,
    /// What the table is called after the soft contract, where that is another name.
    pub last_name: Option<String>,
    /// Its trigger looks into another table.
    pub follows: bool,
    /// What the steps are about, for titles.
    pub words: Vec<String>,
}

impl<'a> TableDraft<'a> {
    pub fn new(rel: Arc<Relation>, catalog: &'a Catalog, options: &'a PlanOptions) -> Self {
        TableDraft {
            rel,
            catalog,
            options,
            expand: Vec::new(),
            expand_verdict: Undo::Lossless,
            expanded: Vec::new(),
            pairs: Vec::new(),
            fills: Vec::new(),
            backs: Vec::new(),
            functions: Vec::new(),
            backfill: Vec::new(),
            migrate: Vec::new(),
            settled: Vec::new(),
            linked: Vec::new(),
            jobs: Vec::new(),
            application: Vec::new(),
            required_at_n: Vec::new(),
            required_at_last: Vec::new(),
            required_if: Vec::new(),
            swap: Vec::new(),
            swap_last: Vec::new(),
            swap_if: Vec::new(),
            swap_verdict: Undo::Lossless,
            agree: Vec::new(),
            parked: Vec::new(),
            after_swap: Vec::new(),
            hard: Vec::new(),
            lost: Vec::new(),
            follows: false,
            last_name: None,
            words: Vec::new(),
        }
    }

    fn app(&self) -> bool {
        self.options.dual_write == DualWrite::App
    }

    /// Nothing, where release N does it.
    fn sync(&self) -> Sync<'_> {
        let mut sync =
            Sync { catalog: self.catalog, table: &self.rel, pairs: Vec::new(), fills: Vec::new(), backs: Vec::new(), parked: false };
        if !self.app() {
            (sync.pairs, sync.fills, sync.backs) = (self.pairs.clone(), self.fills.clone(), self.backs.clone());
        }
        sync
    }

    /// A column that N-1 leaves empty.
    pub fn fill(&mut self, filled: Filled) {
        if self.app() {
            let (table, column) = (&self.rel.name, filled.column.as_str());
            self.application.push(Application {
                written: Written {
                    column: column.into(),
                    value: format!("COALESCE(airlock_t.{}, {})", ident(column), filled.value.of("airlock_t")),
                },
                said: format!(
                    "From B1 on, release N gives `{table}.{column}` a value in every INSERT, and bears that rows of N-1 have none until B2."
                ),
                old: None,
            });
        }
        self.fills.push(filled);
    }

    /// The checklist of what release N writes, and until when.
    fn said_of_application(&self, draft: &mut Draft) {
        for a in &self.application {
            draft.checklist.push(a.said.clone());
            if let (Some(old), new) = (&a.old, &a.written.column) {
                let table = &self.rel.name;
                draft.checklist.push(format!(
                    "Release N reads `{table}.{old}` until B2; then it turns to `{new}`, in ON CONFLICT too, and goes on to write both. The soft contract waits for that."
                ));
                draft
                    .checklist
                    .push(format!("After the soft contract, release N stops writing `{table}.{old}`. The hard contract waits for that."));
            }
        }
    }

    /// Release N has come so far.
    fn by_application<'d>(&self, draft: &'d mut Draft, phase: PhaseKind, what: &str, title: String) -> &'d mut Step {
        let id = slug(&["application", what, &self.rel.name]);
        let step = draft.step(phase, NewStep { id, title, statements: Vec::new(), undo: vec![NOTHING.into()] });
        step.actor = Actor::Application;
        step
    }

    /// The columns of N-1 that release N writes beside its own.
    fn first_columns(&self) -> Vec<String> {
        self.application.iter().filter_map(|a| a.old.as_ref()).map(|c| format!("`{c}`")).collect()
    }

    /// Release N is deployed: what it writes from B1 on.
    fn emit_application(&self, draft: &mut Draft) {
        if self.application.is_empty() {
            return;
        }
        self.said_of_application(draft);
        let columns: Vec<String> = self.application.iter().map(|a| format!("`{}`", a.written.column)).collect();
        let title = format!("Release N runs everywhere and writes {} of `{}` itself; N-1 is gone", columns.join(", "), self.rel.name);
        let step = self.by_application(draft, PhaseKind::Migrate, "writes", title);
        step.writes = Some(Writes {
            schema: self.rel.schema.clone(),
            table: self.rel.name.clone(),
            columns: self.application.iter().map(|a| a.written.clone()).collect(),
        });
    }

    fn parked(&self) -> Sync<'_> {
        Sync { catalog: self.catalog, table: &self.rel, pairs: self.parked.clone(), fills: Vec::new(), backs: Vec::new(), parked: true }
    }

    fn drop_functions(&self) -> impl Iterator<Item = String> + '_ {
        self.functions.iter().rev().map(|(_, signature)| format!("DROP FUNCTION {signature}"))
    }

    fn bounded(&self, statements: impl IntoIterator<Item = String>) -> Vec<String> {
        std::iter::once(lock_timeout(self.options)).chain(statements).collect()
    }

    fn title(&self, words: &str) -> String {
        let what = self.words.join(", ");
        if what.is_empty() { format!("`{}`: {words}", self.rel.name) } else { format!("`{}` ({what}): {words}", self.rel.name) }
    }
}

impl TableDraft<'_> {
    /// The steps of one phase.
    pub fn emit(&self, draft: &mut Draft, phase: PhaseKind) {
        match phase {
            PhaseKind::Expand => self.emit_expand(draft),
            PhaseKind::Migrate => self.emit_migrate(draft),
            PhaseKind::ContractSoft => self.emit_soft(draft),
            PhaseKind::ContractHard => self.emit_hard(draft),
        }
    }

    fn emit_expand(&self, draft: &mut Draft) {
        let sync = self.sync();
        let made = self.functions.iter().map(|(f, _)| f.clone());
        let statements: Vec<String> = self.expand.iter().map(|(s, _)| s.clone()).chain(made).chain(sync.create()).collect();
        if statements.is_empty() {
            return;
        }
        let undo: Vec<String> =
            sync.drop().into_iter().chain(self.drop_functions()).chain(self.expand.iter().rev().flat_map(|(_, u)| u.clone())).collect();
        let words = match (sync.pairs.is_empty(), sync.is_empty()) {
            _ if !self.application.is_empty() => "add what release N writes beside the columns of N-1",
            (false, _) => "add the second column, and keep the two in step",
            (true, false) => "fill what N-1 leaves out",
            (true, true) => "make room for release N",
        };
        let step = draft.step(
            PhaseKind::Expand,
            NewStep {
                id: slug(&["expand", &self.rel.name]),
                title: self.title(words),
                statements: self.bounded(statements),
                undo: self.bounded(undo),
            },
        );
        step.undo_verdict = self.expand_verdict;
        if self.application.is_empty() {
            self.own(draft, PhaseKind::Expand, &self.expanded);
        }
    }

    /// Copies of indexes for second columns, each a step of its own: unique ones before release N may write, the others behind the
    /// backfill, which they would slow down.
    pub fn index(&mut self, copies: &[Copy]) {
        for c in copies {
            let own = Own {
                id: slug(&["index", &self.rel.name, &c.name]),
                title: format!("`{}`: index the second column like the first", self.rel.name),
                statements: vec![c.create.clone()],
                undo: vec![c.drop.clone()],
                transaction: false,
                preconditions: Vec::new(),
            };
            if c.unique { self.expanded.push(own) } else { self.migrate.push(own) }
        }
    }

    fn emit_migrate(&self, draft: &mut Draft) {
        self.emit_application(draft);
        if !self.backfill.is_empty() {
            let step = draft.step(
                PhaseKind::Migrate,
                NewStep {
                    id: slug(&["backfill", &self.rel.name]),
                    title: self.title(&format!("fill the rows that were there, in batches of {}", self.options.batch_size)),
                    statements: vec![backfill(self.catalog, &self.rel, &self.backfill, self.options)],
                    // The values may stay: nobody reads them before the columns are dropped.
                    undo: vec![NOTHING.into()],
                },
            );
            step.transaction = false;
            if self.backfill.iter().any(|a| a.overwrites) {
                step.undo_verdict = Undo::LosesData;
            }
        }
        // N-1 leaves the second column as it was: nothing may bind it before that is mended.
        if !self.application.is_empty() {
            self.own(draft, PhaseKind::Migrate, &self.expanded);
        }
        self.own(draft, PhaseKind::Migrate, &self.migrate);
        for job in &self.jobs {
            let (statements, undo) = (Vec::new(), vec![NOTHING.into()]);
            let step = draft.step(PhaseKind::Migrate, NewStep { id: job.id.clone(), title: job.title.clone(), statements, undo });
            step.actor = Actor::Application;
            step.sees_to = Some(SeesTo {
                schema: self.rel.schema.clone(),
                table: self.rel.name.clone(),
                column: job.column.clone(),
                rows: job.rows.clone(),
            });
            step.undo_verdict = Undo::LosesData;
        }
        self.required(draft, PhaseKind::Migrate, &self.required_at_n, &[]);
        self.own(draft, PhaseKind::Migrate, &self.settled);
    }

    pub fn emit_linked(&self, draft: &mut Draft) {
        self.own(draft, PhaseKind::Migrate, &self.linked);
    }

    fn emit_soft(&self, draft: &mut Draft) {
        if !self.agree.is_empty() {
            let old = self.first_columns().join(", ");
            let title = format!("Release N reads {old} of `{}` no more, and still writes it", self.rel.name);
            self.by_application(draft, PhaseKind::ContractSoft, "reads", title).preconditions = self.agree.clone();
        }
        self.required(draft, PhaseKind::ContractSoft, &self.required_at_last, &self.required_if);
        let (sync, parked) = (self.sync(), self.parked());
        let swap = sync.drop().into_iter().chain(self.drop_functions()).chain(self.swap.iter().map(|(s, _)| s.clone()));
        let statements: Vec<String> =
            swap.chain(parked.create()).chain(self.swap_last.iter().map(|(s, _)| s.clone())).filter(|s| s != NOTHING).collect();
        if !statements.is_empty() {
            let undone = |v: &[(String, Vec<String>)]| v.iter().rev().flat_map(|(_, u)| u.clone()).collect::<Vec<_>>();
            let back = undone(&self.swap_last).into_iter().chain(parked.drop()).chain(undone(&self.swap));
            let undo: Vec<String> = back.chain(self.functions.iter().map(|(f, _)| f.clone())).chain(sync.create()).collect();
            let step = draft.step(
                PhaseKind::ContractSoft,
                NewStep {
                    id: slug(&["contract", &self.rel.name]),
                    title: self.title(match (self.pairs.is_empty(), self.hard.is_empty()) {
                        (false, _) if !self.application.is_empty() => "release N may leave the old column out",
                        (false, _) => "release N-1 is gone: the names change hands",
                        (true, false) => "release N-1 is gone: its part is parked",
                        (true, true) => "release N-1 is gone: what it needed goes",
                    }),
                    statements: self.bounded(statements),
                    undo: self.bounded(undo),
                },
            );
            step.undo_verdict = self.swap_verdict;
            step.preconditions = self.swap_if.clone();
        }
        let after: Vec<Own> = self.after_swap.iter().map(|o| self.own_under_last_name(o)).collect();
        self.own(draft, PhaseKind::ContractSoft, &after);
    }

    fn emit_hard(&self, draft: &mut Draft) {
        let statements =
            self.parked().drop().into_iter().chain(self.hard.iter().cloned()).map(|s| self.under_last_name(s)).collect::<Vec<_>>();
        if statements.is_empty() {
            return;
        }
        let first = self.first_columns().join(", ");
        if !first.is_empty() {
            let title = format!("Release N leaves {first} of `{}` out", self.rel.name);
            self.by_application(draft, PhaseKind::ContractHard, "leaves-out", title);
        }
        let step = draft.step(
            PhaseKind::ContractHard,
            NewStep {
                id: slug(&["drop", &self.rel.name]),
                title: self.title(if first.is_empty() { "drop what is parked, for good" } else { "drop what N-1 wrote, for good" }),
                statements: self.bounded(statements),
                undo: Vec::new(),
            },
        );
        step.one_way = Some(self.lost.join("; "));
        step.undo_verdict = Undo::Impossible;
    }

    /// The statement on the table as it is called behind the soft contract.
    fn under_last_name(&self, statement: String) -> String {
        let (Some(last), on) = (&self.last_name, table(&self.rel)) else { return statement };
        if let Some(rest) = statement.strip_prefix(&format!("ALTER TABLE {on} ")) {
            return format!("ALTER TABLE {last} {rest}");
        }
        match statement.strip_suffix(&format!(" ON {on}")) {
            Some(start) => format!("{start} ON {last}"),
            None => statement,
        }
    }

    fn own_under_last_name(&self, own: &Own) -> Own {
        let all = |v: &[String]| v.iter().map(|s| self.under_last_name(s.clone())).collect();
        Own {
            id: own.id.clone(),
            title: own.title.clone(),
            statements: all(&own.statements),
            undo: all(&own.undo),
            transaction: own.transaction,
            preconditions: own.preconditions.clone(),
        }
    }

    fn own(&self, draft: &mut Draft, phase: PhaseKind, steps: &[Own]) {
        for own in steps {
            let bound = |s: &[String]| if own.transaction { self.bounded(s.iter().cloned()) } else { s.to_vec() };
            let step = draft.step(
                phase,
                NewStep { id: own.id.clone(), title: own.title.clone(), statements: bound(&own.statements), undo: bound(&own.undo) },
            );
            step.transaction = own.transaction;
            step.undo_transaction = own.transaction;
            step.preconditions.clone_from(&own.preconditions);
        }
    }

    fn required(&self, draft: &mut Draft, phase: PhaseKind, columns: &[String], conditions: &[Precondition]) {
        if columns.is_empty() {
            return;
        }
        let names = columns.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ");
        for (i, (title, up, undo)) in not_null(&self.rel, columns).into_iter().enumerate() {
            // VALIDATE lets writes through, one constraint at a time and each in a transaction of its own.
            let apart = up.len() > 1;
            let statements = if apart { up } else { self.bounded(up) };
            let step = draft.step(
                phase,
                NewStep {
                    id: slug(&["not-null", &self.rel.name]),
                    title: format!("`{}`, {names}: {title}", self.rel.name),
                    statements,
                    undo: self.bounded(undo),
                },
            );
            step.transaction = !apart;
            if i == 0 {
                step.preconditions = conditions.to_vec();
            }
        }
    }

    /// Both columns of the pair say the same, as far as either direction can.
    pub fn invariant(&self, pair: &Pair, title: String) -> Invariant {
        let apart = |a: &str, v: &Value| format!("{}.{}::text IS DISTINCT FROM ({})::text", "airlock_t", ident(a), v.of("airlock_t"));
        let up = apart(&pair.new, &pair.up);
        let sql = match &pair.up {
            Value::Told { .. } => format!("{up} AND {}", apart(&pair.old, &pair.down)),
            _ => up,
        };
        Invariant {
            title,
            sql: format!("SELECT * FROM {} AS airlock_t WHERE {sql} LIMIT 5", table(&self.rel)),
            from: Boundary::B2,
            until: Boundary::B2,
        }
    }
}
