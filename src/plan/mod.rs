//! Plans: an unsafe change as expand, migrate and contract.
//!
//! `plan` reads a replayed migration as a whole. The net change of each column of a table that was there goes to a recipe (`change`,
//! `recipes`), and the recipes of one table share its trigger, its backfill and its swap (`table`). Every other operation stands by itself
//! and is run at the first boundary where it hurts nobody (`standing`), with its way back (`reverse`). What no recipe covers is refused
//! with its reason, never guessed.

mod answers;
mod blocks;
mod change;
mod crossing;
mod draft;
mod exprs;
mod mirror;
mod model;
mod order;
mod rebuilt;
mod recipes;
mod renames;
mod render;
mod replaced;
mod retry;
mod reverse;
mod rights;
mod rows;
mod said;
mod standing;
mod table;
#[cfg(test)]
mod tests;

use strum::IntoEnumIterator;

use crate::catalog::{Catalog, ColumnType, ConKind, Relation};
use crate::compat::Undo;
use crate::op::{AlterAction, OpKind};
use crate::replay::ReplayedScript;
use crate::source::Span;

pub use answers::{find as find_answer, parse_map, parse_rename};
pub use blocks::NOTHING;
pub(crate) use blocks::type_sql;
pub use model::*;
pub use render::{PlanError, page, read, render};
pub use retry::{as_sent, sent};
#[cfg(test)]
pub(crate) use reverse::reverse;

use blocks::Value;
use change::{Changes, ColumnKind, TableChange};
use draft::Draft;
use standing::{Stage, Waiting};
use table::TableDraft;

/// What the plan is made for.
#[derive(Debug, Clone)]
pub struct Context {
    pub migration: String,
    pub source: String,
    pub source_sha256: String,
    pub framework: String,
}

#[derive(Debug)]
pub enum Outcome {
    /// Nothing in it blocks, breaks N-1 or loses data.
    Safe,
    Planned(Box<Plan>),
    /// Knowledge that only a person has.
    Asked(Vec<Question>),
    Refused(Vec<Refusal>),
}

/// What has to be told before a plan can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub span: Span,
    pub question: String,
    /// How to answer it: `--map 'orders.total: value="…"'`.
    pub answer: String,
}

/// An operation that cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub span: Span,
    pub reason: String,
    pub next_step: String,
}

/// Why a recipe did not make its steps.
pub(crate) enum Stop {
    Ask(Question),
    Refuse(Refusal),
}

/// A column and its second one.
pub(crate) struct Second {
    pub from: String,
    /// What the second column is called until the swap.
    pub second: String,
    /// What release N calls it.
    pub to: String,
    pub retyped: bool,
}

/// What recipes may ask.
pub(crate) struct Ctx<'a> {
    pub script: &'a ReplayedScript,
    pub answers: &'a [Answer],
    pub changes: &'a Changes,
    pub dual_write: DualWrite,
}

impl Ctx<'_> {
    /// Release N keeps second columns in step, not a trigger.
    pub fn app(&self) -> bool {
        self.dual_write == DualWrite::App
    }

    /// What only a trigger can do.
    pub fn by_trigger<T>(&self, span: Span, reason: impl std::fmt::Display) -> Result<T, Stop> {
        self.refuse(
            span,
            format!("the application cannot keep this in step: {reason}"),
            "plan it without `--dual-write app`: a trigger does it",
        )
    }

    pub fn refuse<T>(&self, span: Span, reason: impl Into<String>, next_step: impl Into<String>) -> Result<T, Stop> {
        Err(Stop::Refuse(Refusal { span, reason: reason.into(), next_step: next_step.into() }))
    }

    pub fn ask<T>(&self, span: Span, question: impl Into<String>, answer: impl Into<String>) -> Result<T, Stop> {
        Err(Stop::Ask(Question { span, question: question.into(), answer: answer.into() }))
    }

    /// The operation at these words says CASCADE.
    pub fn cascades(&self, span: Span) -> bool {
        let ops = self.script.statements.iter().flat_map(|r| &r.statement.ops).filter(|o| o.span == span);
        ops.into_iter().any(|o| matches!(&o.kind, OpKind::Alter { action: AlterAction::DropColumn { cascade: true, .. }, .. }))
    }

    pub fn answer(&self, rel: &Relation, column: &str, key: &str) -> Option<&str> {
        find_answer(self.answers, &rel.schema, &rel.name, column, key)
    }

    /// Columns that an expression of a person reads.
    pub fn reads(&self, sql: &str) -> Vec<String> {
        let statements = crate::lower::lower_text(&format!("SELECT {sql}"));
        let mut names = Vec::new();
        for op in statements.iter().flat_map(|s| &s.ops) {
            if let OpKind::Query(q) = &op.kind {
                q.walk_exprs(&mut |e| {
                    if let crate::op::ExprKind::Column(parts) = &e.kind {
                        names.extend(parts.last().map(|n| n.value.clone()));
                    }
                });
            }
        }
        names
    }

    /// No row of N-1 makes the expression NULL, as far as its words tell.
    pub fn never_null(&self, rel: &Relation, sql: &str) -> bool {
        exprs::parse(sql).is_some_and(|e| exprs::never_null(&e, &|c| rel.column(c).is_some_and(|c| c.not_null)))
    }

    /// An expression that speaks of the columns as N-1 knows them.
    pub fn told(&self, rel: &Relation, sql: String) -> Value {
        let mut names: Vec<(String, String)> = rel.columns.iter().map(|c| (c.name.clone(), c.name.clone())).collect();
        // The file's own words may name columns that it has added or given another name before.
        for c in self.table(rel).into_iter().flat_map(|t| &t.after.columns).filter(|c| rel.column(&c.name).is_none()) {
            let old = rel.columns.iter().find(|o| o.attnum == c.attnum);
            names.push((c.name.clone(), old.map_or(&c.name, |o| &o.name).clone()));
        }
        Value::Told { sql, table: rel.name.clone(), names }
    }

    /// An expression of the file's last words, on the table as it is behind the swap.
    pub fn told_last(&self, rel: &Relation, sql: String) -> Value {
        let columns = self.table(rel).map_or(&rel.columns, |t| &t.after.columns);
        Value::Told { sql, table: rel.name.clone(), names: columns.iter().map(|c| (c.name.clone(), c.name.clone())).collect() }
    }

    /// The same, where the row has a name of its own.
    pub fn told_as(&self, rel: &Relation, alias: Option<&str>, sql: String) -> Value {
        match (self.told(rel, sql), alias) {
            (Value::Told { sql, names, .. }, Some(a)) => Value::Told { sql, table: a.to_string(), names },
            (v, _) => v,
        }
    }

    /// The constraint of that name was written behind the column, or with it.
    pub fn inline(&self, column: &str, rel: &Relation, constraint: &str) -> bool {
        self.script.statements.iter().any(|r| {
            let adds = |op: &crate::op::Op| {
                matches!(&op.kind, OpKind::Alter { target, action: AlterAction::AddColumn { column: c, .. } }
                    if c.name.as_str() == column && !c.constraints.is_empty() && r.before.relation_by(&target.name).is_some_and(|t| t.id == rel.id))
            };
            let has = |c: &Catalog| c.relation(rel.id).is_some_and(|t| t.constraint(constraint).is_some());
            r.statement.ops.iter().any(adds) && !has(&r.before) && has(&r.after)
        })
    }

    /// An expression that speaks of the columns as N knows them.
    pub fn told_new(&self, rel: &Relation, sql: String) -> Value {
        let Some(t) = self.table(rel) else { return self.told(rel, sql) };
        let names = t.after.columns.iter().map(|c| {
            let retyped = t.columns.iter().any(|x| {
                matches!(x.kind, ColumnKind::Pair { renamed: false, .. }) && x.after.as_ref().is_some_and(|a| a.attnum == c.attnum)
            });
            let physical = if retyped { crate::quote::generated_name("airlock_new_", &[&c.name]) } else { c.name.clone() };
            (c.name.clone(), physical)
        });
        Value::Told { sql, table: rel.name.clone(), names: names.collect() }
    }

    /// The columns of a table that have a second one, in the order of the table.
    pub fn seconds(&self, rel: &Relation) -> Vec<Second> {
        let columns = self.table(rel).into_iter().flat_map(|t| &t.columns);
        columns
            .filter_map(|c| match (&c.before, &c.after, c.kind) {
                (Some(b), Some(a), ColumnKind::Pair { renamed, retyped }) => {
                    let second = if renamed { a.name.clone() } else { crate::quote::generated_name("airlock_new_", &[&b.name]) };
                    Some(Second { from: b.name.clone(), second, to: a.name.clone(), retyped: retyped || self.app() })
                }
                _ => None,
            })
            .collect()
    }

    /// The steps of the one table come behind those of the other.
    pub fn comes_later(&self, one: &Relation, other: &Relation) -> bool {
        let at = |r: &Relation| self.changes.tables.iter().position(|t| t.before.id == r.id);
        at(one) > at(other)
    }

    /// What the one table is called when the other is swapped: its own new name comes with its own swap.
    pub fn name_at_swap(&self, one: &Relation, other: &Relation) -> String {
        match self.table(one).filter(|t| t.renamed.is_some() && !self.comes_later(one, other)) {
            Some(t) => blocks::table(&t.after),
            None => blocks::table(one),
        }
    }

    /// A column as the catalog calls it when everything is done.
    pub fn last_name(&self, rel: &Relation, column: &str) -> String {
        let last = self.table(rel).map_or((&rel.schema, &rel.name), |t| (&t.after.schema, &t.after.name));
        format!("{}.{}.{column}", last.0, last.1)
    }

    fn table(&self, rel: &Relation) -> Option<&TableChange> {
        self.changes.tables.iter().find(|t| t.before.id == rel.id)
    }

    /// The new type under the name that it has when the second column is made.
    pub fn new_type(&self, span: Span, ty: &ColumnType) -> Result<String, Stop> {
        let Some(id) = ty.id else { return Ok(ty.to_string()) };
        let known = |c: &Catalog| c.types.contains_key(&id);
        if known(&self.script.before) {
            return Ok(blocks::type_sql(&self.script.before, ty));
        }
        // The file makes the type, and may rename it later.
        match self.script.statements.iter().map(|r| &r.after).find(|c| known(c)) {
            Some(c) => Ok(blocks::type_sql(c, ty)),
            None => self.refuse(span, format!("the type {ty} is not known"), "give the schema with --schema FILE"),
        }
    }
}

/// Plans a migration. `script` was replayed on the schema before it.
pub fn plan(script: &ReplayedScript, answers: &[Answer], options: &PlanOptions, context: &Context) -> Outcome {
    if is_safe(script) {
        return Outcome::Safe;
    }
    let (mut asked, mut refused) = (Vec::new(), refused_by_postgres(script));
    if !refused.is_empty() {
        return Outcome::Refused(refused);
    }
    let changes = Changes::of(script);
    let ctx = Ctx { script, answers, changes: &changes, dual_write: options.dual_write };
    let mut draft = Draft::new();
    for stop in renames::disguised(script, &changes, answers).into_iter().chain(order::conflicts(script, &changes)) {
        match stop {
            Stop::Ask(q) => asked.push(q),
            Stop::Refuse(x) => refused.push(x),
        }
    }
    let (mut tables, mut shims) = (Vec::new(), Vec::new());
    for t in &changes.tables {
        let mut table = TableDraft::new(t.before.clone(), &script.before, options);
        table.follows = t.columns.iter().any(|c| c.filled_by.as_ref().is_some_and(|f| f.cross.is_some()));
        table.last_name = t.renamed.map(|_| crate::quote::qualified(&t.after.schema, &t.after.name));
        // Renames last: their undo adds the second columns anew, behind those that the others only give back their names.
        let is_rename = |c: &&change::ColumnChange| matches!(c.kind, ColumnKind::Pair { retyped: false, .. });
        for c in t.columns.iter().filter(|c| !is_rename(c)).chain(t.columns.iter().filter(is_rename)) {
            match recipes::column(&ctx, c, &mut table, &mut draft) {
                Ok(()) => {}
                Err(Stop::Ask(q)) => asked.push(q),
                Err(Stop::Refuse(x)) => refused.push(x),
            }
        }
        if let Some(Err(stop)) = t.key.as_ref().map(|k| recipes::primary_key::plan(&ctx, k, &mut table, &mut draft)) {
            match stop {
                Stop::Ask(q) => asked.push(q),
                Stop::Refuse(x) => refused.push(x),
            }
        }
        match recipes::rename_table::plan(&ctx, t, &mut table, &mut draft) {
            Ok(shim) => shims.extend(shim),
            Err(Stop::Ask(q)) => asked.push(q),
            Err(Stop::Refuse(x)) => refused.push(x),
        }
        tables.push(table);
    }
    for m in &changes.moves {
        let Some(op) = script.statements.get(m.at.0).and_then(|r| r.statement.ops.get(m.at.1)) else { continue };
        if let Err(stop) = crossing::rows(&ctx, op, m, options, &mut draft) {
            match stop {
                Stop::Ask(q) => asked.push(q),
                Stop::Refuse(x) => refused.push(x),
            }
        }
    }
    let mut rebuilt = Vec::new();
    for r in &changes.rebuilds {
        match recipes::rebuild_table::plan(&ctx, r, options, &mut draft) {
            Ok(steps) => rebuilt.push(steps),
            Err(Stop::Ask(q)) => asked.push(q),
            Err(Stop::Refuse(x)) => refused.push(x),
        }
    }
    for u in &changes.unders {
        match recipes::attach_under::plan(&ctx, u, &mut draft) {
            Ok(steps) => rebuilt.push(steps),
            Err(Stop::Ask(q)) => asked.push(q),
            Err(Stop::Refuse(x)) => refused.push(x),
        }
    }
    let crossings = std::mem::take(&mut draft.crossings);
    if ctx.app() && !crossings.is_empty() {
        let span =
            changes.tables.first().and_then(|t| t.columns.first()).map(|c| c.span).or(script.statements.first().map(|r| r.statement.span));
        let stop = ctx.by_trigger::<()>(span.unwrap_or_default(), "rows of two tables follow each other");
        if let Err(Stop::Refuse(x)) = stop {
            refused.push(x);
        }
    }
    let bound = blocks::lock_timeout(options);
    let mut waiting = Waiting::new(script, &changes, options);
    let mut catalog = script.before.clone();
    for phase in PhaseKind::iter() {
        // A table that follows another one stops before that one, or its columns, are parked.
        let soft = phase == PhaseKind::ContractSoft;
        let (first, rest): (Vec<_>, Vec<_>) = tables.iter().partition(|t| soft && t.follows);
        if soft {
            waiting.place(phase, Stage::First, &mut catalog, &mut draft);
        }
        let from = draft.len();
        if soft {
            crossings.iter().rev().for_each(|c| c.emit(&mut draft, phase, &bound));
        }
        first.iter().for_each(|t| t.emit(&mut draft, phase));
        draft.apply_from(from, &mut catalog);
        waiting.place(phase, Stage::Before, &mut catalog, &mut draft);
        let from = draft.len();
        rebuilt.iter().for_each(|r| r.emit(&mut draft, phase, &bound));
        rest.iter().for_each(|t| t.emit(&mut draft, phase));
        if phase == PhaseKind::Migrate {
            tables.iter().for_each(|t| t.emit_linked(&mut draft));
        }
        if phase != PhaseKind::ContractSoft {
            crossings.iter().for_each(|c| c.emit(&mut draft, phase, &bound));
        }
        draft.apply_from(from, &mut catalog);
        waiting.place(phase, Stage::Behind, &mut catalog, &mut draft);
        if phase >= PhaseKind::ContractSoft {
            let from = draft.len();
            not_null_names(script, &changes, phase, &catalog, &mut draft, &bound);
            draft.apply_from(from, &mut catalog);
        }
        if phase == PhaseKind::Expand {
            let from = draft.len();
            // A view shows the columns that stand by themselves too.
            shims.iter().for_each(|s: &recipes::rename_table::Shim| s.emit(&mut draft, &bound));
            draft.apply_from(from, &mut catalog);
        }
    }
    // Where a question is open, what waits may wait for its answer.
    if asked.is_empty() {
        refused.extend(waiting.refusals());
    }
    if !refused.is_empty() {
        return Outcome::Refused(refused);
    }
    if !asked.is_empty() {
        return Outcome::Asked(asked);
    }
    Outcome::Planned(Box::new(draft.finish(script, answers, options, context)))
}

/// Since 18 a NOT NULL has a name, which tells of the column that it was set on: it gets the one that the file's own words would make.
fn not_null_names(script: &ReplayedScript, changes: &Changes, phase: PhaseKind, catalog: &Catalog, draft: &mut Draft, bound: &str) {
    if catalog.pg.0 < 18 {
        return;
    }
    for t in &changes.tables {
        let (Some(now), Some(after)) = (catalog.relation(t.before.id), script.after.relation(t.before.id)) else { continue };
        let on = blocks::table(now);
        let rename =
            |a: &str, b: &str| format!("ALTER TABLE {on} RENAME CONSTRAINT {} TO {}", crate::quote::ident(a), crate::quote::ident(b));
        let (mut statements, mut undo) = (vec![bound.to_string()], vec![bound.to_string()]);
        for c in &now.constraints {
            let ConKind::NotNull { column } = &c.kind else { continue };
            let same = |k: &&crate::catalog::Constraint| matches!(&k.kind, ConKind::NotNull { column: other } if other == column);
            let Some(want) = after.constraints.iter().find(same) else { continue };
            if want.name != c.name && now.constraint(&want.name).is_none() {
                statements.push(rename(&c.name, &want.name));
                undo.insert(1, rename(&want.name, &c.name));
            }
        }
        if statements.len() > 1 {
            let id = draft::slug(&["name", "not-null", &now.name]);
            draft.step(
                phase,
                draft::NewStep { id, title: format!("`{}`: the NOT NULL constraints get their names", now.name), statements, undo },
            );
        }
    }
}

fn refused_by_postgres(script: &ReplayedScript) -> Vec<Refusal> {
    let broken = script.statements.iter().filter_map(|r| Some((r, r.effects.fails.as_ref()?, r.statement.ops.first()?)));
    let mut out: Vec<Refusal> = broken
        .map(|(r, state, op)| Refusal {
            span: op.span,
            reason: format!("Postgres refuses this with {state}: {}", r.effects.error.clone().unwrap_or_default()),
            next_step: "correct the migration first".into(),
        })
        .collect();
    for op in script.statements.iter().flat_map(|r| &r.statement.ops) {
        if matches!(op.kind, OpKind::Opaque { .. }) {
            out.push(Refusal {
                span: op.span,
                reason: "the statement is not understood".into(),
                next_step: "write it out, or run it by hand".into(),
            });
        }
    }
    out
}

/// No statement of N-1 breaks, nothing slow happens under a strong lock, nothing is lost.
fn is_safe(script: &ReplayedScript) -> bool {
    script.statements.iter().all(|r| {
        let old = |n: &crate::catalog::RelName| {
            let rel = r.after.relation_named(&n.schema, &n.name).or_else(|| r.before.relation_named(&n.schema, &n.name));
            rel.is_none_or(|rel| script.before.relation(rel.id).is_some() || rel.assumed)
        };
        let e = &r.effects;
        let strong = e.locks.iter().any(|(n, m)| m.blocks_writes() && old(n));
        let slow = e.scans.iter().chain(&e.rewrites).any(old) || e.builds.iter().any(|b| old(b) && strong);
        let opaque = r.statement.ops.iter().any(|o| matches!(o.kind, OpKind::Opaque { .. }));
        let takes_away = |o: &crate::op::Op| {
            matches!(&o.kind, OpKind::Alter { target, action } if recipes::takes_away(action)
            && r.before.relation_by(&target.name).is_some_and(|t| script.before.relation(t.id).is_some()))
        };
        let hurts = opaque || strong && slow || r.statement.ops.iter().any(takes_away);
        e.fails.is_none() && !hurts
    }) && !script.compat.breaks_code()
        && script.compat.undo_now == Undo::Lossless
}
