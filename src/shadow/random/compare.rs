//! Predicted against observed. What cannot be seen or cannot be known is left out by name, in `exceptions`.

use std::collections::BTreeSet;

use crate::catalog::RelName;
use crate::op::LockMode;
use crate::replay::Replayed;

use super::super::observe::Observed;
use super::super::session::Session;
use super::exceptions;

pub struct Context<'a> {
    pub judged: &'a Replayed,
    pub seen: &'a Observed,
    /// Sent without looking.
    pub raw: bool,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Whether it fails, and with what.
    Failure,
    InTransaction,
    /// The strongest lock: predicted, observed, each with what the transaction holds already.
    Lock(RelName, Option<LockMode>, Option<LockMode>),
    Scan(RelName, Side),
    Other(&'static str, RelName, Side),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Predicted,
    Observed,
}

#[derive(Debug, Default)]
pub struct Verdict {
    /// Refused because of the rows: classes 22 (a value does not fit) and 23 (a constraint is violated).
    pub rows: bool,
    /// Names of the exceptions that explain a difference.
    pub known: BTreeSet<&'static str>,
    pub differ: Vec<String>,
}

pub fn compare(c: &Context<'_>, session: &mut Session) -> Verdict {
    let mut verdict = Verdict::default();
    for what in differences(c) {
        // Which rows there are is nobody's prediction.
        let of_rows = c.seen.effects.fails.as_ref().is_some_and(|s| s.starts_with("22") || s.starts_with("23"));
        if what == What::Failure && of_rows && c.judged.effects.fails.is_none() {
            verdict.rows = true;
            continue;
        }
        match exceptions::LIST.iter().find(|e| (e.explains)(c, &what, session)) {
            Some(e) => {
                verdict.known.insert(e.name);
            }
            None => verdict.differ.push(words(c, &what)),
        }
    }
    verdict
}

fn differences(c: &Context<'_>) -> Vec<What> {
    let (p, o) = (&c.judged.effects, &c.seen.effects);
    if p.fails != o.fails {
        return vec![What::Failure];
    }
    if p.fails.is_some() || c.raw {
        return Vec::new();
    }
    let mut out = Vec::new();
    if p.in_transaction != o.in_transaction {
        out.push(What::InTransaction);
    }
    let names: BTreeSet<&RelName> = p.locks.keys().chain(o.locks.keys()).collect();
    for r in names {
        // What the transaction holds already is not taken again, so it can only be told together with the rest.
        let held = c.seen.held.get(r).copied();
        let strongest = |m: Option<&LockMode>| m.copied().max(held);
        let (a, b) = (strongest(p.locks.get(r)), strongest(o.locks.get(r)));
        if a != b {
            out.push(What::Lock(r.clone(), a, b));
        }
    }
    for (what, p, o) in [("rewrite", &p.rewrites, &o.rewrites), ("index build", &p.builds, &o.builds), ("drop", &p.dropped, &o.dropped)] {
        out.extend(p.difference(o).map(|r| What::Other(what, r.clone(), Side::Predicted)));
        out.extend(o.difference(p).map(|r| What::Other(what, r.clone(), Side::Observed)));
    }
    if o.in_transaction {
        out.extend(p.scans.difference(&o.scans).map(|r| What::Scan(r.clone(), Side::Predicted)));
        out.extend(o.scans.difference(&p.scans).map(|r| What::Scan(r.clone(), Side::Observed)));
    }
    out
}

fn words(c: &Context<'_>, what: &What) -> String {
    let (p, o) = (&c.judged.effects, &c.seen.effects);
    let set = |what: &str, r: &RelName, side: &Side| match side {
        Side::Predicted => format!("{r}: predicted {what}, observed none"),
        Side::Observed => format!("{r}: predicted no {what}, observed one"),
    };
    match what {
        What::Failure => {
            let say = |e: &crate::effects::Effects| match &e.fails {
                Some(s) => format!("{s} ({})", e.error.as_deref().unwrap_or_default()),
                None => "no failure".into(),
            };
            format!("predicted {}, observed {}", say(p), say(o))
        }
        What::InTransaction => format!("in a transaction: predicted {}, observed {}", p.in_transaction, o.in_transaction),
        What::Lock(r, a, b) => {
            let say = |m: &Option<LockMode>| m.map_or("no lock".to_string(), |m| m.to_string());
            format!("{r}: predicted {}, observed {}", say(a), say(b))
        }
        What::Scan(r, side) => set("scan", r, side),
        What::Other(what, r, side) => set(what, r, side),
    }
}
