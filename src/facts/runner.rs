//! Facts about transactions and sessions: how the runner sends the file, and what the file says about it itself.

use crate::history::Send;
use crate::op::{Expr, ExprKind, Op, OpKind, Persistence, SetScope};
use crate::replay::ReplayedScript;
use crate::source::Span;

use super::collect::Place;
use super::whole::Whole;
use super::{Facts, Value};

/// Facts of the file as a whole (`op = "file"`).
pub fn file(script: &ReplayedScript, whole: &Whole) -> Facts {
    let span = script.statements.first().map_or_else(|| Span::new(0, 0), |s| s.statement.span);
    let refuses = whole.refuse_transaction.iter().next().copied();
    let mut f = Facts { span, statement: span, ..Facts::default() };
    f.text("op", "file");
    f.set("pg", Value::Number(script.before.pg.0.into()));
    f.set("file.statements", Value::Number(script.statements.len() as i64));
    f.set("file.refuse_transaction", Value::Number(whole.refuse_transaction.len() as i64));
    f.set("file.could_be_in_transaction", Value::Number(whole.could_be_in_transaction.len() as i64));
    let own = script.statements.iter().any(|s| s.statement.ops.iter().any(|o| matches!(o.kind, OpKind::Begin { .. })));
    let one = script.execution.transaction || script.execution.send != Send::Statement;
    f.flag("file.transaction", one || own);
    // Several statements that commit one by one: the finding stands at the first that needs it so, else at the first.
    if let Some(s) = refuses.and_then(|at| script.statements.get(at)) {
        f.span = s.statement.span;
        f.statement = s.statement.span;
        f.text("command", s.statement.command);
    }
    f
}

pub fn statement(place: &Place<'_>, f: &mut Facts) {
    f.text("transaction.why", why(place, false));
    if let Some((_, label)) = place.whole.fresh_labels.iter().find(|(at, _)| *at == place.at) {
        f.text("enum.fresh_label", label.as_str());
    }
    if let Some((_, table)) = place.whole.pending_triggers.iter().find(|(at, _)| *at == place.at) {
        f.text("triggers_pending", table.as_str());
    }
    if matches!(place.r.statement.command, "LISTEN" | "PREPARE") {
        f.text("session_state", place.r.statement.command);
    }
}

/// Why the statement is in a transaction.
fn why(place: &Place<'_>, nested: bool) -> &'static str {
    if nested && !place.r.sent.in_transaction {
        "a code block runs inside a transaction"
    } else if place.whole.explicit.contains(&place.at) {
        "the file says BEGIN"
    } else if place.script.execution.transaction {
        "the runner wraps the file in a transaction"
    } else {
        "the runner sends the file as one query, and Postgres makes several statements of one query a transaction"
    }
}

pub fn about(place: &Place<'_>, f: &mut Facts, i: usize, op: &Op) {
    let own_transaction = !place.r.effects.in_transaction && refuses(place, i);
    f.flag("refuses_transaction", own_transaction);
    f.text("transaction.why", why(place, op.nested));
    let at = |set: &std::collections::BTreeSet<usize>| set.contains(&place.at) && !op.nested;
    match &op.kind {
        OpKind::Begin { .. } => {
            f.flag("transaction.inside", at(&place.whole.begins_inside));
            f.flag("transaction.unclosed", at(&place.whole.unclosed));
        }
        OpKind::Commit { .. } | OpKind::Rollback { .. } => {
            f.flag("transaction.ends_runners", at(&place.whole.ends_runners));
            f.flag("transaction.inside", op.nested && place.r.sent.in_transaction);
        }
        OpKind::SetVar { scope: SetScope::Session, name, .. } => {
            f.flag("setting.leaks", !op.nested && !reset_later(place, name));
            if !place.r.sent.in_transaction || !op.nested {
                f.text("session_state", "SET");
            }
        }
        OpKind::SetRole { local: false, role: Some(role), .. } => {
            f.text("setting", "role");
            f.text("setting.value", role.as_str());
            f.flag("setting.leaks", !op.nested && !reset_later(place, "role"));
            f.text("session_state", "SET ROLE");
        }
        OpKind::CreateTable(t) if t.persistence == Persistence::Temporary => f.text("session_state", "CREATE TEMPORARY TABLE"),
        OpKind::Query(q) => {
            let mut lock = false;
            q.walk_exprs(&mut |e: &Expr| {
                lock |= matches!(&e.kind, ExprKind::Call(c) if matches!(c.name.as_str(), "pg_advisory_lock" | "pg_try_advisory_lock"));
            });
            if lock {
                f.text("session_state", "pg_advisory_lock");
            }
        }
        _ => {}
    }
}

/// This operation is the one that cannot run in a transaction: others of the statement might be.
fn refuses(place: &Place<'_>, i: usize) -> bool {
    let all = &place.r.statement;
    let Some(op) = all.ops.get(i).filter(|_| all.ops.len() > 1) else { return true };
    !crate::effects::predict(&all.only(op), &place.r.before, place.r.sent).in_transaction
}

/// A later statement of the script gives the setting back.
fn reset_later(place: &Place<'_>, setting: &str) -> bool {
    place.script.statements.iter().skip(place.at + 1).flat_map(|s| &s.statement.ops).any(|o| match &o.kind {
        OpKind::ResetVar { name } => name.as_ref().is_none_or(|n| n.eq_ignore_ascii_case(setting)),
        OpKind::SetRole { role, .. } => setting == "role" && role.is_none(),
        _ => false,
    })
}
