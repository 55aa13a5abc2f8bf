//! Observes a whole script: every statement in the way its runner would send it.

use crate::effects::Effects;
use crate::history::{Script, Send};
use crate::op::OpKind;

use super::error::ShadowError;
use super::load::ends_transaction;
use super::observe::{Around, Observed, Observer};
use super::script::{Piece, pieces, wraps};
use super::start::Database;

/// One statement with what it did.
#[derive(Debug, Clone)]
pub struct Traced {
    pub piece: Piece,
    pub observed: Observed,
}

/// Runs the script on copies of `base` (to which nobody may be connected) and says what each statement did.
///
/// Inside one transaction a lock that is already held is not taken again, so it could not be told which of two statements needs it.
/// A script in a transaction is therefore run twice: once as the runner does, which says whether a statement fails there, and once
/// with a commit after every statement, which says what it does.
pub fn trace(base: &Database, script: &Script) -> Result<Vec<Traced>, ShadowError> {
    let pieces: Vec<Piece> = pieces(script).into_iter().filter(|p| !p.is_meta()).collect();
    let wrapped = wraps(&script.execution, pieces.len());
    let explicit = pieces.iter().any(|p| p.has(|k| matches!(k, OpKind::Begin { .. })));
    let first = as_sent(base, script, &pieces, wrapped)?;
    let rolls_back = pieces.iter().any(|p| p.has(|k| matches!(k, OpKind::Rollback { .. } | OpKind::RollbackTo { .. })));
    if pieces.len() < 2 || !(wrapped || explicit) || rolls_back {
        return Ok(pieces.into_iter().zip(first).map(|(piece, observed)| Traced { piece, observed }).collect());
    }
    let second = one_by_one(base, script, &pieces, &first)?;
    let best = |a: Observed, b: Option<Observed>| match b {
        // What the transaction holds by then is seen only where it is one.
        Some(b) if a.error.is_none() && b.error.is_none() => Observed { held: a.held, ..b },
        _ => a,
    };
    Ok(pieces.into_iter().zip(first.into_iter().zip(second)).map(|(piece, (a, b))| Traced { piece, observed: best(a, b) }).collect())
}

fn open(base: &Database, script: &Script) -> Result<(Database, Observer), ShadowError> {
    let db = base.shadow().copy(base)?;
    let mut o = Observer::new(&db)?;
    for (name, value) in &script.execution.settings {
        let _ = o.session.run(&format!("SET {} = {}", crate::quote::ident(name), crate::quote::literal(value)));
    }
    Ok((db, o))
}

fn as_sent(base: &Database, script: &Script, pieces: &[Piece], wrapped: bool) -> Result<Vec<Observed>, ShadowError> {
    let (_db, mut o) = open(base, script)?;
    let mut inside = wrapped;
    if wrapped {
        o.pass("BEGIN");
    }
    let mut out: Vec<Observed> = Vec::new();
    for p in pieces {
        if p.is_transaction_control() {
            out.push(o.pass(&p.text));
            if p.has(|k| matches!(k, OpKind::Begin { .. })) {
                inside = true;
            }
            if ends_transaction(p) {
                inside = wrapped && script.execution.send != Send::Statement;
                if inside {
                    o.pass("BEGIN");
                }
            }
            continue;
        }
        if !inside {
            // LOCK TABLE and its like are refused outside a transaction, and must be seen to be.
            let raw = p.has(|k| matches!(k, OpKind::LockTable { .. }));
            out.push(if raw { o.pass(&p.text) } else { o.run(&p.text, p.data.as_deref(), Around::Nothing) });
            continue;
        }
        // After a refusal the rest goes on, so that every statement gets an answer.
        o.pass("SAVEPOINT airlock_trace");
        let seen = o.run(&p.text, p.data.as_deref(), Around::Transaction);
        if seen.error.is_some() {
            o.pass("ROLLBACK TO SAVEPOINT airlock_trace");
        } else {
            o.pass("RELEASE SAVEPOINT airlock_trace");
        }
        out.push(seen);
    }
    if inside {
        let end = o.pass("COMMIT");
        if let (Some(e), Some(last)) = (end.error, out.last_mut()) {
            last.effects =
                Effects { in_transaction: true, fails: Some(e.sqlstate.clone()), error: Some(e.message.clone()), ..Effects::default() };
            last.error = Some(e);
        }
    }
    Ok(out)
}

fn one_by_one(base: &Database, script: &Script, pieces: &[Piece], first: &[Observed]) -> Result<Vec<Option<Observed>>, ShadowError> {
    let (_db, mut o) = open(base, script)?;
    let mut local: Vec<&str> = Vec::new();
    let mut out = Vec::new();
    for (p, before) in pieces.iter().zip(first) {
        if p.is_transaction_control() || before.error.is_some() {
            if ends_transaction(p) {
                local.clear();
            }
            out.push(None);
            continue;
        }
        o.pass("BEGIN");
        for l in &local {
            o.pass(l);
        }
        let seen = o.run(&p.text, p.data.as_deref(), Around::Transaction);
        let committed = seen.error.is_none() && o.pass("COMMIT").error.is_none();
        if !committed {
            o.pass("ROLLBACK");
        }
        if p.is_local_setting() {
            local.push(&p.text);
        }
        out.push(committed.then_some(seen));
    }
    Ok(out)
}

/// The same without what cannot be seen: outside of a transaction another session looks on, and may miss a lock that is held for a moment.
pub fn contradictions(predicted: &Effects, seen: &Observed) -> Vec<String> {
    let mut seen = seen.clone();
    if !seen.effects.in_transaction && seen.error.is_none() {
        for (r, m) in &predicted.locks {
            let e = seen.effects.locks.entry(r.clone()).or_insert(*m);
            *e = (*e).max(*m);
        }
    }
    differences(predicted, &seen)
}

/// Where prediction and observation differ, in words; empty when they agree. A scan of a table that holds no row cannot be seen.
pub fn differences(predicted: &Effects, seen: &Observed) -> Vec<String> {
    let mut out = Vec::new();
    let o = &seen.effects;
    if predicted.fails != o.fails {
        let say = |f: &Option<String>| f.clone().unwrap_or_else(|| "no failure".into());
        out.push(format!("predicted {}, observed {}", say(&predicted.fails), say(&o.fails)));
        return out;
    }
    for (r, m) in &predicted.locks {
        match o.locks.get(r) {
            Some(x) if x == m => {}
            Some(x) => out.push(format!("{r}: predicted {m}, observed {x}")),
            None => out.push(format!("{r}: predicted {m}, observed no lock")),
        }
    }
    for (r, m) in o.locks.iter().filter(|(r, _)| !predicted.locks.contains_key(r)) {
        out.push(format!("{r}: predicted no lock, observed {m}"));
    }
    let mut sets = |what: &str,
                    a: &std::collections::BTreeSet<crate::catalog::RelName>,
                    b: &std::collections::BTreeSet<crate::catalog::RelName>,
                    blind: bool| {
        for r in a.difference(b).filter(|r| !(blind && seen.empty.contains(r))) {
            out.push(format!("{r}: predicted {what}, observed none"));
        }
        for r in b.difference(a) {
            out.push(format!("{r}: predicted no {what}, observed one"));
        }
    };
    sets("rewrite", &predicted.rewrites, &o.rewrites, false);
    sets("scan", &predicted.scans, &o.scans, true);
    sets("index build", &predicted.builds, &o.builds, false);
    sets("drop", &predicted.dropped, &o.dropped, false);
    out
}
