//! Operations that no column's net change absorbs: each is run as it is written, at the first boundary where Postgres takes it and
//! nobody who still runs is hurt.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Id, RelName};
use crate::compat::{Compat, Undo};
use crate::effects::{Effects, Sent, predict};
use crate::op::{AlterAction, Dml, Name, Op, OpKind, QName, Statement};
use crate::quote::{ident, qualified};
use crate::replay::{Replayed, ReplayedScript};
use crate::source::SourceFile;

use super::blocks::lock_timeout;
use super::change::{Changes, ColumnChange, ColumnKind, OpAt};
use super::draft::{Draft, NewStep, slug};
use super::recipes;
use super::replaced::{self, Indexes};
use super::reverse::reverse;
use super::{Deviation, PhaseKind, PlanOptions, Precondition, Refusal, order, said};

/// Whom an operation hurts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is about something that the migration itself made.
    New,
    /// N-1 goes on as before.
    Widening,
    /// A statement of N-1 fails afterwards.
    Tightening,
}

/// An operation where it would be run.
pub struct Standing<'a> {
    pub op: &'a Op,
    pub script: &'a ReplayedScript,
    pub source: &'a SourceFile,
    /// As a statement of its own.
    pub words: String,
    /// The schema in the middle of the plan, before and after it.
    pub before: &'a Catalog,
    pub after: &'a Catalog,
    pub verdict: Verdict,
    /// Rows of a batch.
    pub batch_size: u32,
}

impl Standing<'_> {
    /// The relation was there before the migration.
    pub fn is_old(&self, name: &QName) -> bool {
        self.before.relation_by(name).is_none_or(|r| self.script.before.relation(r.id).is_some() || r.assumed)
    }
}

#[derive(Clone)]
pub struct StandingStep {
    /// Where it must run; `None`: where the operation stands.
    pub phase: Option<PhaseKind>,
    pub id: String,
    pub title: String,
    pub statements: Vec<String>,
    pub undo: Vec<String>,
    pub transaction: bool,
    /// The statements of the undo run one by one, each in a transaction of its own: one of them reads rows.
    pub undo_alone: bool,
    pub undo_verdict: Undo,
    pub one_way: Option<String>,
    pub preconditions: Vec<Precondition>,
    pub checklist: Vec<String>,
    /// Statements of release N that do not work before the contract, as the proof names them.
    pub except: Vec<String>,
    pub deviations: Vec<Deviation>,
}

impl Default for StandingStep {
    fn default() -> Self {
        StandingStep {
            phase: None,
            id: String::new(),
            title: String::new(),
            statements: Vec::new(),
            undo: Vec::new(),
            transaction: true,
            undo_alone: false,
            undo_verdict: Undo::Lossless,
            one_way: None,
            preconditions: Vec::new(),
            checklist: Vec::new(),
            except: Vec::new(),
            deviations: Vec::new(),
        }
    }
}

impl StandingStep {
    /// `bound` is how long a transaction of it waits for its locks.
    pub fn emit(self, draft: &mut Draft, phase: PhaseKind, bound: &str) {
        let undo_whole = self.transaction && !self.undo_alone;
        let bounded = |v: Vec<String>, whole: bool| match whole && !v.is_empty() {
            true => std::iter::once(bound.to_string()).chain(v).collect(),
            false => v,
        };
        draft.checklist.extend(self.checklist);
        draft.except.extend(self.except);
        draft.deviations.extend(self.deviations);
        let (statements, undo) = (bounded(self.statements, self.transaction), bounded(self.undo, undo_whole));
        let step = draft.step(phase, NewStep { id: self.id, title: self.title, statements, undo });
        step.transaction = self.transaction;
        step.undo_transaction = undo_whole;
        step.undo_verdict = self.undo_verdict;
        step.one_way = self.one_way;
        step.preconditions = self.preconditions;
    }

    pub fn no_way_back(&mut self, why: &str) {
        self.one_way = Some(why.into());
        self.undo_verdict = Undo::Impossible;
    }
}

/// Operations that wait for their place.
pub struct Waiting<'a> {
    script: &'a ReplayedScript,
    options: &'a PlanOptions,
    rest: Vec<Item>,
    /// Steps of later phases, from operations that are done.
    later: Vec<StandingStep>,
    indexes: Indexes,
}

/// Where in a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// As long as tables follow each other.
    First,
    /// Before the tables' own steps.
    Before,
    /// Behind them.
    Behind,
}

struct Item {
    at: OpAt,
    /// It changes rows that the file copies later: the copies follow, as long as there is something that follows.
    before_move: bool,
    /// It speaks of a column whose change comes before it in the file: only after the swap do the names mean what they mean there.
    after_swap: bool,
    /// It speaks of a column that the tables' own steps of expand make.
    after_expand: bool,
    /// A trigger of a table that the plan fills: the backfill must not fire it, for the file's own UPDATE does not.
    after_migrate: bool,
    why: String,
}

impl<'a> Waiting<'a> {
    pub fn new(script: &'a ReplayedScript, changes: &Changes, options: &'a PlanOptions) -> Self {
        let mut rest: Vec<Item> = Vec::new();
        let indexes = Indexes::of(script, changes);
        // Names of columns that have changed so far in the file, with their tables, and of types.
        let mut changed: BTreeSet<(Id, &str)> = BTreeSet::new();
        let mut types: BTreeSet<&str> = BTreeSet::new();
        let fresh: BTreeSet<&str> = changes
            .tables
            .iter()
            .flat_map(|t| &t.columns)
            .filter(|c| c.before.is_none())
            .filter_map(|c| c.after.as_ref())
            .map(|c| c.name.as_str())
            .collect();
        // Until the swap a view has a table's new name; subcommands of ALTER are sent to the table itself.
        let new_names: Vec<&str> = changes.tables.iter().filter(|t| t.renamed.is_some()).map(|t| t.after.name.as_str()).collect();
        let drops = |op: &Op| matches!(op.kind, OpKind::Drop { .. } | OpKind::Alter { action: AlterAction::DropConstraint { .. }, .. });
        for (s, r) in script.statements.iter().enumerate() {
            for (o, op) in r.statement.ops.iter().enumerate() {
                if let Some(table) = changes.absorbs((s, o)) {
                    // A new column has its name from the start.
                    let of = |c: &&ColumnChange| c.before.as_ref().is_some_and(|b| is_about(r, op, table, b.attnum));
                    let columns = changes.tables.iter().filter(|t| t.before.id == table).flat_map(|t| &t.columns).filter(of);
                    for c in columns {
                        changed.extend(c.before.iter().chain(&c.after).map(|c| (table, c.name.as_str())));
                        if matches!(c.kind, ColumnKind::Pair { retyped: true, .. }) {
                            let retyped = c.before.iter().chain(&c.after).filter(|c| c.ty.id.is_some());
                            types.extend(retyped.map(|c| c.ty.name.rsplit('.').next().unwrap_or_default()));
                        }
                    }
                    continue;
                }
                if is_session(op) || is_for_nothing(script, r, op) || indexes.done.contains(&(s, o)) {
                    continue;
                }
                let words = script.source.slice(op.span);
                let aimed = match &op.kind {
                    OpKind::Alter { .. } => true,
                    OpKind::Dml(d) => d.reads().is_empty(),
                    _ => false,
                };
                let on_view = !aimed && names_in(words).any(|w| new_names.contains(&w.as_str()));
                let about = order::about(r, op);
                let has_changed = |w: &str| types.contains(w) || changed.iter().any(|(t, n)| *n == w && about.is_none_or(|a| a == *t));
                let after_swap = on_view
                    || order::refers_to_retyped(r, op, changes)
                    || !drops(op) && names_in(words).any(|w| changes.is_taken(&w))
                    || names_in(words).any(|w| has_changed(&w) || has_changed(&w.to_lowercase()));
                let before_move = order::comes_before_a_move(r, op, (s, o), changes);
                let after_expand = names_in(words).any(|w| fresh.contains(w.as_str()) || fresh.contains(w.to_lowercase().as_str()));
                let after_migrate = matches!(&op.kind, OpKind::CreateTrigger(t)
                    if r.before.relation_by(&t.table).is_some_and(|t| changes.tables.iter().any(|c| c.before.id == t.id)));
                rest.push(Item { at: (s, o), before_move, after_swap, after_expand, after_migrate, why: "no boundary takes it".into() });
            }
        }
        for (drop, create) in &indexes.later {
            if let Some(i) = rest.iter().position(|x| x.at == *drop) {
                let item = rest.remove(i);
                let behind = rest.iter().position(|x| x.at == *create).map_or(i, |c| c + 1);
                rest.insert(behind, item);
            }
        }
        Waiting { script, options, rest, later: Vec::new(), indexes }
    }

    /// Places what can be placed here.
    pub fn place(&mut self, phase: PhaseKind, stage: Stage, catalog: &mut Catalog, draft: &mut Draft) {
        let swapped = stage == Stage::Behind;
        for step in std::mem::take(&mut self.later) {
            if stage != Stage::First && step.phase.is_some_and(|p| p <= phase) {
                self.emit(step, phase, catalog, draft);
            } else {
                self.later.push(step);
            }
        }
        let mut kept: Vec<Item> = Vec::new();
        for item in std::mem::take(&mut self.rest) {
            let Some(r) = self.script.statements.get(item.at.0) else { continue };
            let Some(op) = r.statement.ops.get(item.at.1) else { continue };
            // What is said of one object keeps its order.
            let subject = subjects(r, op);
            let waits = kept.iter().any(|k| {
                let other = &self.script.statements[k.at.0];
                let after = self.indexes.later.get(&item.at) == Some(&k.at);
                after || other.statement.ops.get(k.at.1).is_some_and(|o| subjects(other, o).intersection(&subject).next().is_some())
            });
            let early = item.after_swap && (phase < PhaseKind::ContractSoft || !swapped);
            let early = early
                || (item.after_expand && phase == PhaseKind::Expand && !swapped)
                || (item.after_migrate && (phase == PhaseKind::Expand || phase == PhaseKind::Migrate && !swapped));
            if waits || early || (stage == Stage::First && !item.before_move) {
                kept.push(item);
                continue;
            }
            match self.try_here(item.at, op, &r.statement, phase, catalog) {
                Ok(steps) => {
                    for step in steps {
                        match step.phase {
                            Some(p) if p > phase => self.later.push(step),
                            _ => self.emit(step, phase, catalog, draft),
                        }
                    }
                }
                Err(why) => kept.push(Item { why, ..item }),
            }
        }
        self.rest = kept;
    }

    /// The operation with its target under the name that the relation has now.
    fn aimed(&self, (s, _): OpAt, op: &Op, catalog: &Catalog) -> Op {
        let mut op = op.clone();
        let whole = self.script.statements.get(s).and_then(|r| replaced::whole_name(r, &op));
        if let Some(lowered) = whole.and_then(|sql| crate::lower::lower_text(&sql).first().and_then(|s| s.ops.first().cloned())) {
            op.kind = lowered.kind;
        }
        let now = |name: &QName| {
            let meant = self.script.statements.get(s).and_then(|r| r.before.relation_by(name)).map(|r| r.id);
            let now = meant.and_then(|id| catalog.relation(id)).filter(|r| r.name != name.as_str())?;
            Some(QName { schema: Some(Name::new(&now.schema, name.span())), name: Name::new(&now.name, name.span()) })
        };
        match &mut op.kind {
            OpKind::Alter { target, .. } => target.name = now(&target.name).unwrap_or_else(|| target.name.clone()),
            // Its columns may be written with the table's name before them.
            OpKind::Dml(d) => {
                if let Some(name) = now(&d.table) {
                    d.alias.get_or_insert_with(|| d.table.name.clone());
                    d.table = name;
                }
            }
            _ => {}
        }
        op
    }

    fn try_here(&self, at: OpAt, op: &Op, statement: &Statement, phase: PhaseKind, catalog: &Catalog) -> Result<Vec<StandingStep>, String> {
        let op = &self.aimed(at, op, catalog);
        let written = self.script.statements.get(at.0).and_then(|r| r.statement.ops.get(at.1));
        let words = match (&op.kind, written.map(|w| &w.kind)) {
            (OpKind::Dml(d), Some(OpKind::Dml(w))) if d.table != w.table => {
                under_its_name(self.script.source.slice(op.span), op.span.start, d, w)
            }
            _ => {
                let whole = self.script.statements.get(at.0).zip(written).and_then(|(r, w)| replaced::whole_name(r, w));
                whole.unwrap_or_else(|| words(self.script, statement, op, catalog))
            }
        };
        if let (OpKind::CreateIndex(i), Some(old)) = (&op.kind, self.indexes.replaces.get(&at)) {
            let standing = self.standing(op, words.clone(), (catalog, catalog), Verdict::Widening);
            if let Some(steps) = replaced::steps(&standing, i, *old) {
                return steps;
            }
        }
        if self.indexes.views.contains_key(&at)
            && let OpKind::Drop { objects, .. } = &op.kind
            && let Some(old) = objects.first().and_then(|o| catalog.relation_by(&o.name))
        {
            return recipes::replace_view::steps(&self.standing(op, words, (catalog, catalog), Verdict::Tightening), old);
        }
        let mut after = catalog.clone();
        let alone = statement.only(op);
        if let Some((_, e)) = after.apply_statement(&alone).first() {
            return Err(format!("Postgres refuses it at every boundary ({}: {})", e.sqlstate, e.message));
        }
        let compat = crate::compat::predict(&[op], catalog, &after, catalog.pg);
        let verdict = self.verdict(op, catalog, &compat);
        let standing = self.standing(op, words, (catalog, &after), verdict);
        if let Some(steps) = recipes::standing(&standing) {
            let steps = steps?;
            let first = steps.iter().filter_map(|s| s.phase).min().unwrap_or(PhaseKind::Expand);
            return if first > phase { Err("it belongs into a later phase".into()) } else { Ok(steps) };
        }
        if verdict == Verdict::Tightening && phase < PhaseKind::ContractSoft {
            return Err("it breaks release N-1".into());
        }
        let e = predict(&alone, catalog, Sent { pg: catalog.pg, in_transaction: true });
        if let Some(state) = &e.fails {
            return Err(format!("Postgres refuses it with {state}"));
        }
        if self.slow_under_lock(&e, catalog) {
            return Err(said::slow(op).into());
        }
        let name = <&str>::from(&op.kind);
        let back = reverse(op, catalog, &after).ok_or_else(|| format!("there is no recipe for this operation yet ({name})"))?;
        Ok(vec![StandingStep {
            id: slug(&[name, &names_of(op).into_iter().next().unwrap_or_default()]),
            title: back.title,
            statements: vec![standing.words],
            undo: back.undo,
            undo_verdict: back.verdict,
            one_way: back.one_way,
            checklist: said::of_code(op, catalog, verdict),
            ..StandingStep::default()
        }])
    }

    fn standing<'s>(&'s self, op: &'s Op, words: String, (before, after): (&'s Catalog, &'s Catalog), verdict: Verdict) -> Standing<'s> {
        let batch_size = self.options.batch_size;
        Standing { op, script: self.script, source: &self.script.source, words, before, after, verdict, batch_size }
    }

    fn verdict(&self, op: &Op, catalog: &Catalog, compat: &Compat) -> Verdict {
        // Whose statements need a right is not always known: what is taken away goes when N-1 is gone.
        let revokes = matches!(&op.kind, OpKind::Grant(g) if g.revoke);
        if compat.breaks_code() || revokes {
            return Verdict::Tightening;
        }
        let target = match &op.kind {
            OpKind::Alter { target, .. } => Some(&target.name),
            OpKind::CreateIndex(i) => Some(&i.table),
            _ => None,
        };
        let new = target.and_then(|t| catalog.relation_by(t)).is_some_and(|r| self.script.before.relation(r.id).is_none() && !r.assumed);
        if new { Verdict::New } else { Verdict::Widening }
    }

    fn slow_under_lock(&self, e: &Effects, catalog: &Catalog) -> bool {
        let old = |n: &RelName| catalog.relation_named(&n.schema, &n.name).is_none_or(|r| self.script.before.relation(r.id).is_some());
        e.scans.iter().chain(&e.rewrites).any(|r| old(r) && e.locks.get(r).is_some_and(|m| m.blocks_writes()))
    }

    fn emit(&self, s: StandingStep, phase: PhaseKind, catalog: &mut Catalog, draft: &mut Draft) {
        for text in &s.statements {
            for statement in crate::lower::lower_text(text) {
                catalog.apply_statement(&statement);
            }
        }
        s.emit(draft, phase, &lock_timeout(self.options));
    }

    /// What found no place.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.rest
            .iter()
            .filter_map(|i| {
                let op = self.script.statements.get(i.at.0)?.statement.ops.get(i.at.1)?;
                Some(Refusal {
                    span: op.span,
                    reason: i.why.clone(),
                    next_step: "put it into a migration of its own, or plan it by hand".into(),
                })
            })
            .collect()
    }
}

/// The absorbed operation is about this column.
fn is_about(r: &Replayed, op: &Op, table: Id, attnum: u16) -> bool {
    let OpKind::Alter { action, .. } = &op.kind else { return false };
    let Some(name) = order::column_of(action) else { return false };
    let at = |c: &Catalog| c.relation(table).and_then(|t| t.column(name.as_str())).map(|c| c.attnum);
    at(&r.before).or_else(|| at(&r.after)) == Some(attnum)
}

/// The runner's and the session's business, which the plan's own steps see to. What a code block does stands beside it.
fn is_session(op: &Op) -> bool {
    matches!(
        op.kind,
        OpKind::Begin { .. }
            | OpKind::Commit { .. }
            | OpKind::SetVar { .. }
            | OpKind::ResetVar { .. }
            | OpKind::SetConstraints { .. }
            | OpKind::LockTable { .. }
            | OpKind::Analyze { .. }
            | OpKind::Query(_)
            | OpKind::DoBlock { .. }
    )
}

/// The statement on its table under the name that it has now; what else it names keeps its words.
fn under_its_name(text: &str, start: u32, now: &Dml, written: &Dml) -> String {
    let span = written.table.span();
    let (from, to) = ((span.start - start) as usize, (span.end - start) as usize);
    let name = now.table.schema_str().map_or_else(|| ident(now.table.as_str()), |s| qualified(s, now.table.as_str()));
    let alias = if written.alias.is_none() { format!(" AS {}", ident(written.table.as_str())) } else { String::new() };
    format!("{}{name}{alias}{}", &text[..from], &text[to..])
}

/// The operation as a statement of its own: a subcommand alone is none.
pub fn words(script: &ReplayedScript, statement: &Statement, op: &Op, catalog: &Catalog) -> String {
    let text = script.source.slice(op.span).to_string();
    match &op.kind {
        OpKind::Alter { target, .. } if statement.ops.len() > 1 || op.span != statement.span => {
            let on = catalog.relation_by(&target.name).map_or_else(|| target.name.to_string(), |r| qualified(&r.schema, &r.name));
            format!("ALTER {} {on} {text}", target.kind.to_string().replace('-', " "))
        }
        _ => text,
    }
}

/// What the operation is about: functions with their arguments, all else by its name.
fn subjects(r: &Replayed, op: &Op) -> BTreeSet<String> {
    let functions = replaced::functions(r, op);
    if functions.is_empty() { names_of(op) } else { functions.into_iter().collect() }
}

fn names_of(op: &Op) -> BTreeSet<String> {
    let one = |n: &QName| BTreeSet::from([n.as_str().to_string()]);
    match &op.kind {
        OpKind::Alter { target, action } => {
            let mut s = one(&target.name);
            // Two constraints of one table have nothing to do with each other; the same constraint has.
            let part = match action {
                AlterAction::AddConstraint(c) => c.name.as_ref().map(|n| n.as_str().to_string()),
                AlterAction::DropConstraint { name, .. } | AlterAction::ValidateConstraint { name } => Some(name.as_str().to_string()),
                AlterAction::RenameConstraint { from, .. } => Some(from.as_str().to_string()),
                AlterAction::AddColumn { column, .. } => Some(column.name.as_str().to_string()),
                AlterAction::SetDefault { column, .. } | AlterAction::DropDefault { column } | AlterAction::DropNotNull { column } => {
                    Some(column.as_str().to_string())
                }
                _ => None,
            };
            if let Some(part) = part {
                s = BTreeSet::from([format!("{}.{part}", target.name.as_str())]);
            }
            s
        }
        OpKind::CreateTable(t) => one(&t.name),
        OpKind::CreateView(v) => one(&v.name),
        OpKind::CreateFunction(f) => one(&f.name),
        OpKind::CreateTrigger(t) => BTreeSet::from([t.name.as_str().to_string()]),
        OpKind::CreateEnum { name, .. } | OpKind::AddEnumValue { name, .. } | OpKind::RenameEnumValue { name, .. } => one(name),
        OpKind::CreateIndex(i) => i.name.iter().map(|n| n.as_str().to_string()).collect(),
        OpKind::Dml(d) => {
            let mut s = one(&d.table);
            s.extend(d.reads().into_iter().map(|t| t.as_str().to_string()));
            s
        }
        OpKind::Rename { object, to } => BTreeSet::from([object.name.as_str().to_string(), to.as_str().to_string()]),
        OpKind::Drop { objects, .. } => objects.iter().map(|o| o.name.as_str().to_string()).collect(),
        _ => BTreeSet::new(),
    }
}

/// Words of a statement that may be names.
fn names_in(text: &str) -> impl Iterator<Item = String> + '_ {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let c = rest.chars().next()?;
            // A name in quotes: what is doubled inside of it stands for one.
            if let Some(inside) = rest.strip_prefix('"')
                && let Some(end) = closing(inside)
            {
                rest = &inside[end + 1..];
                return Some(inside[..end].replace("\"\"", "\""));
            }
            let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
            if end > 0 {
                let found = &rest[..end];
                rest = &rest[end..];
                return Some(found.to_string());
            }
            rest = &rest[c.len_utf8()..];
        }
    })
}

/// Where the quote ends.
fn closing(inside: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + inside[from..].find('"')?;
        if !inside[at + 1..].starts_with('"') {
            return Some(at);
        }
        from = at + 2;
    }
}

/// Changes nothing but a table, which the file drops in the end.
fn is_for_nothing(script: &ReplayedScript, r: &Replayed, op: &Op) -> bool {
    use AlterAction as A;
    let passing = match &op.kind {
        OpKind::Alter { action, .. } => {
            !matches!(action, A::DropConstraint { .. } | A::RenameTo { .. } | A::SetSchema { .. } | A::Inherit { .. })
        }
        OpKind::CreateIndex(_) | OpKind::Comment { .. } => true,
        _ => false,
    };
    passing && order::about(r, op).is_some_and(|id| script.before.relation(id).is_some() && script.after.relation(id).is_none())
}
