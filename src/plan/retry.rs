//! A step that waits for its lock again and again, in plain SQL: between two tries it holds nothing.

use crate::lower::lower_text;
use crate::op::OpKind;
use crate::quote::dollar;

use super::{Actor, Plan, PlanOptions, PredictedEffects, Step, blocks};

/// Milliseconds between two tries.
const REST_MS: u32 = 500;

/// The plan as it is sent to the server: with `--lock-retries`, the statements of a step in a transaction are one block.
pub fn as_sent(plan: &Plan) -> Plan {
    let mut out = plan.clone();
    for step in out.phases.iter_mut().flat_map(|p| &mut p.steps) {
        *step = sent(step, &plan.options);
    }
    out
}

/// One step as it is sent.
pub fn sent(step: &Step, options: &PlanOptions) -> Step {
    let mut out = step.clone();
    if options.lock_retries == 0 || step.actor == Actor::Application {
        return out;
    }
    if let Some(block) = step.transaction.then(|| block(&step.statements, options)).flatten() {
        let mut all = PredictedEffects::default();
        step.predicted.iter().for_each(|p| all.merge(p));
        out.statements = vec![block];
        out.predicted = vec![all];
    }
    if let Some(block) = step.undo_transaction.then(|| block(&step.undo, options)).flatten() {
        out.undo = vec![block];
    }
    out
}

/// `None`: nothing in it waits for a lock with a bound.
fn block(statements: &[String], options: &PlanOptions) -> Option<String> {
    let timeout = blocks::lock_timeout(options);
    if !statements.contains(&timeout) || statements.iter().all(|s| *s == timeout || s == blocks::NOTHING) {
        return None;
    }
    let inside: String = statements.iter().filter(|s| *s != blocks::NOTHING).map(|s| format!("      {};\n", inside(s))).collect();
    let body = format!(
        "\nDECLARE\n  airlock_tries int := 0;\nBEGIN\n  LOOP\n    BEGIN\n{inside}      EXIT;\n    EXCEPTION WHEN lock_not_available THEN\n      \
         airlock_tries := airlock_tries + 1;\n      IF airlock_tries > {} THEN\n        RAISE;\n      END IF;\n    END;\n    \
         PERFORM pg_catalog.pg_sleep({});\n  END LOOP;\nEND\n",
        options.lock_retries,
        f64::from(REST_MS) / 1000.0
    );
    Some(format!("DO {}", dollar(&body)))
}

/// A query needs a word of its own in a block, and a block inside of it is a text.
fn inside(sql: &str) -> String {
    let ops = lower_text(sql);
    match ops.first().and_then(|s| s.ops.first()).map(|o| &o.kind) {
        Some(OpKind::Query(_)) => format!("PERFORM * FROM ({sql}) AS airlock_q"),
        Some(OpKind::DoBlock { .. }) => format!("EXECUTE {}", crate::quote::literal(sql)),
        _ => sql.to_string(),
    }
}
