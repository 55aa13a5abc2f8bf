//! Predicted against observed, with what cannot be seen or cannot be known left out by name.

use std::collections::BTreeSet;

use crate::catalog::{RelKind, RelName};
use crate::op::{LockMode, OpKind};
use crate::replay::Replayed;

use super::super::observe::Observed;
use super::super::session::Session;
use super::has;

pub struct Context<'a> {
    pub judged: &'a Replayed,
    pub seen: &'a Observed,
    /// Sent without looking.
    pub raw: bool,
}

pub enum Verdict {
    Same,
    /// Refused because of the rows: classes 22 (a value does not fit) and 23 (a constraint is violated).
    Rows,
    /// One of the differences that are named in `known`.
    Known(&'static str),
    Differ(Vec<String>),
}

/// What is known not to be predicted.
fn known(c: &Context<'_>) -> Option<&'static str> {
    let (p, o) = (&c.judged.effects, &c.seen.effects);
    let commands = c.judged.statement.ops.iter().filter(|o| matches!(o.kind, OpKind::Alter { .. })).count();
    if commands > 1 && p.fails.is_some() && o.fails.is_some() {
        // Postgres prepares all subcommands before it runs the first one, so the error of a later one may come first.
        return Some("which of several refused subcommands is named");
    }
    if o.error.as_ref().is_some_and(|e| e.contains("cannot change persistence setting twice")) {
        // It would take a look at the statement as a whole.
        return Some("SET LOGGED or UNLOGGED twice in one statement");
    }
    None
}

pub fn compare(c: &Context<'_>, session: &mut Session) -> Verdict {
    let (p, o) = (&c.judged.effects, &c.seen.effects);
    if p.fails != o.fails {
        // Triggers that constraints made can only be switched by a superuser; who runs the migration is not known.
        let of_role = o.fails.as_deref() == Some("42501") && o.error.as_ref().is_some_and(|m| m.contains("is a system trigger"));
        if of_role && p.fails.is_none() {
            return Verdict::Rows;
        }
        // What an extension made belongs to the superuser: two reasons to refuse, and who asks decides which is said.
        if o.fails.as_deref() == Some("42501") && p.fails.as_deref() == Some("2BP01") {
            return Verdict::Same;
        }
        let of_rows = o.fails.as_ref().is_some_and(|s| s.starts_with("22") || s.starts_with("23"));
        if of_rows && p.fails.is_none() {
            return Verdict::Rows;
        }
        if let Some(known) = known(c) {
            return Verdict::Known(known);
        }
        let say = |e: &crate::effects::Effects| match &e.fails {
            Some(s) => format!("{s} ({})", e.error.as_deref().unwrap_or_default()),
            None => "no failure".into(),
        };
        return Verdict::Differ(vec![format!("predicted {}, observed {}", say(p), say(o))]);
    }
    if p.fails.is_some() || c.raw {
        return Verdict::Same;
    }
    let mut out = Vec::new();
    if p.in_transaction != o.in_transaction {
        out.push(format!("in a transaction: predicted {}, observed {}", p.in_transaction, o.in_transaction));
    }
    locks(c, &mut out);
    sets("rewrite", &p.rewrites, &o.rewrites, &mut out);
    sets("index build", &p.builds, &o.builds, &mut out);
    sets("drop", &p.dropped, &o.dropped, &mut out);
    if o.in_transaction {
        scans(c, session, &mut out);
    }
    if out.is_empty() { Verdict::Same } else { Verdict::Differ(out) }
}

/// Reads and writes rows: which of the tables behind it are touched depends on the rows.
fn is_data(judged: &Replayed) -> bool {
    has(&judged.statement, |k| matches!(k, OpKind::Dml(_) | OpKind::Query(_) | OpKind::Copy { .. }))
}

/// A join does not read one side when the other is empty.
fn joins(judged: &Replayed) -> bool {
    has(&judged.statement, |k| match k {
        OpKind::CreateTableAs(t) => several(judged, &t.query),
        OpKind::CreateView(v) => several(judged, &v.query),
        OpKind::RefreshView { .. } => true,
        _ => false,
    })
}

fn several(judged: &Replayed, q: &crate::op::Query) -> bool {
    let names = q.relations();
    names.len() > 1 || names.iter().any(|n| judged.before.relation_by(n).is_some_and(|r| r.kind == RelKind::View))
}

fn locks(c: &Context<'_>, out: &mut Vec<String>) {
    let (p, o) = (&c.judged.effects.locks, &c.seen.effects.locks);
    let names: BTreeSet<&RelName> = p.keys().chain(o.keys()).collect();
    for r in names {
        // What the transaction holds already is not taken again, so it can only be told together with the rest.
        let held = c.seen.held.get(r).copied();
        let strongest = |m: Option<&LockMode>| m.copied().max(held);
        let (a, b) = (strongest(p.get(r)), strongest(o.get(r)));
        if a == b {
            continue;
        }
        // Outside a transaction the other session looks on from time to time and may miss a lock. Rows decide to which partitions an
        // INSERT goes and which keys are looked up.
        // The old index of REINDEX CONCURRENTLY is dropped at the end, when nobody uses it any more.
        let old_index = c.judged.statement.command.starts_with("REINDEX") && !c.seen.effects.in_transaction;
        if old_index && b == Some(LockMode::AccessExclusive) {
            continue;
        }
        let partly = !c.seen.effects.in_transaction || is_data(c.judged);
        if partly && b < a {
            continue;
        }
        // The bounds of a partition are read once and then remembered; a relation of which the planner knows that it gives no row is
        // not opened.
        if a == Some(LockMode::AccessShare) && b.is_none() && (remembers(c.judged, r) || joins(c.judged)) {
            continue;
        }
        let say = |m: Option<LockMode>| m.map_or("no lock".to_string(), |m| m.to_string());
        out.push(format!("{r}: predicted {}, observed {}", say(a), say(b)));
    }
}

fn remembers(judged: &Replayed, r: &RelName) -> bool {
    use crate::op::AlterAction;
    let partitions = has(&judged.statement, |k| match k {
        OpKind::CreateTable(t) => t.partition_of.is_some(),
        OpKind::Alter { action, .. } => matches!(action, AlterAction::AttachPartition { .. }),
        _ => false,
    });
    partitions && judged.before.relation_named(&r.schema, &r.name).is_some_and(|r| r.kind == RelKind::PartitionedTable)
}

fn sets(what: &str, predicted: &BTreeSet<RelName>, observed: &BTreeSet<RelName>, out: &mut Vec<String>) {
    for r in predicted.difference(observed) {
        out.push(format!("{r}: predicted {what}, observed none"));
    }
    for r in observed.difference(predicted) {
        out.push(format!("{r}: predicted no {what}, observed one"));
    }
}

fn scans(c: &Context<'_>, session: &mut Session, out: &mut Vec<String>) {
    let (p, o) = (&c.judged.effects.scans, &c.seen.effects.scans);
    let o_rewrites = &c.seen.effects.rewrites;
    for r in p.difference(o) {
        // A read of a table without rows counts nothing.
        // A rewrite reads the table whatever the counters say.
        if o_rewrites.contains(r) {
            continue;
        }
        // Row security that binds the owner too and lets nothing through leaves nothing to read.
        let hidden = c.judged.before.relation_named(&r.schema, &r.name).is_some_and(|t| t.force_row_security && t.row_security);
        if hidden || c.seen.empty.contains(r) || is_data(c.judged) || joins(c.judged) || holds_no_row(c, session, r) {
            continue;
        }
        out.push(format!("{r}: predicted scan, observed none"));
    }
    for r in o.difference(p) {
        // The planner reads a small table in full although an index would do.
        let planned = has(&c.judged.statement, |k| {
            matches!(k, OpKind::Query(_)) || matches!(k, OpKind::Dml(_)) || matches!(k, OpKind::CreateTableAs(_))
        });
        if planned {
            continue;
        }
        out.push(format!("{r}: predicted no scan, observed one"));
    }
}

fn holds_no_row(c: &Context<'_>, session: &mut Session, r: &RelName) -> bool {
    let exists = c.judged.after.relation_named(&r.schema, &r.name).is_some_and(|r| r.kind != RelKind::Index);
    exists && matches!(session.value(&format!("SELECT 1 FROM {} LIMIT 1", r.sql())), Ok(None))
}
