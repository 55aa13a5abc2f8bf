//! Plans: an unsafe change as expand, migrate and contract.
//!
//! `plan` reads a replayed migration and gives each of its operations to a recipe. A recipe knows its whole life: expand, migrate,
//! contract, undo, preconditions. What no recipe covers is refused with its reason, never guessed.

mod answers;
mod blocks;
mod draft;
mod model;
mod recipes;
mod render;
#[cfg(test)]
mod tests;

use crate::catalog::Catalog;
use crate::compat::Undo;
use crate::op::{Op, OpKind};
use crate::replay::{Replayed, ReplayedScript};
use crate::source::Span;

pub use answers::{find as find_answer, parse_map};
pub use model::*;
pub use render::{PlanError, page, read, render};

use draft::Draft;

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

/// An operation where it stands.
pub(crate) struct Place<'a> {
    pub r: &'a Replayed,
    pub op: &'a Op,
    pub script: &'a ReplayedScript,
    pub answers: &'a [Answer],
    pub options: &'a PlanOptions,
}

impl Place<'_> {
    pub fn before(&self) -> &Catalog {
        &self.r.before
    }

    pub fn refuse<T>(&self, reason: impl Into<String>, next_step: impl Into<String>) -> Result<T, Stop> {
        Err(Stop::Refuse(Refusal { span: self.op.span, reason: reason.into(), next_step: next_step.into() }))
    }

    pub fn ask<T>(&self, question: impl Into<String>, answer: impl Into<String>) -> Result<T, Stop> {
        Err(Stop::Ask(Question { span: self.op.span, question: question.into(), answer: answer.into() }))
    }
}

/// Plans a migration. `script` was replayed on the schema before it.
pub fn plan(script: &ReplayedScript, answers: &[Answer], options: &PlanOptions, context: &Context) -> Outcome {
    if is_safe(script) {
        return Outcome::Safe;
    }
    let mut draft = Draft::new();
    let (mut asked, mut refused) = (Vec::new(), Vec::new());
    for r in &script.statements {
        if let (Some(state), Some(op)) = (&r.effects.fails, r.statement.ops.first()) {
            let reason = format!("Postgres refuses this with {state}: {}", r.effects.error.clone().unwrap_or_default());
            refused.push(Refusal { span: op.span, reason, next_step: "correct the migration first".into() });
            continue;
        }
        for op in &r.statement.ops {
            let place = Place { r, op, script, answers, options };
            match recipes::plan(&place, &mut draft) {
                Ok(()) => {}
                Err(Stop::Ask(q)) => asked.push(q),
                Err(Stop::Refuse(x)) => refused.push(x),
            }
        }
    }
    if !refused.is_empty() {
        return Outcome::Refused(refused);
    }
    if !asked.is_empty() {
        return Outcome::Asked(asked);
    }
    Outcome::Planned(Box::new(draft.finish(script, answers, options, context)))
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
        e.fails.is_none() && !opaque && !(strong && slow)
    }) && !script.compat.breaks_code()
        && script.compat.undo_now == Undo::Lossless
}
