//! Observed equals what was recorded on real servers.

use std::collections::{BTreeMap, BTreeSet};

use super::observe::{Around, Observed, Observer};
use super::*;
use crate::effects::recorded_test::{self, Recorded};
use crate::op::LockMode;

#[test]
fn observed_equals_the_recorded_observations() {
    let Some((base_sql, cases)) = recorded_test::read() else {
        println!("the recorded observations are not on this machine: nothing to compare with");
        return;
    };
    // The base makes roles and untrusted settings; these statements are not under suspicion.
    let shadow = Shadow::start(&ShadowOptions { superuser: true, ..super::tests::options() }).expect("starts");
    let major = shadow.pg().0;
    let base = shadow.database().expect("database");
    base.connect().expect("session").run(&base_sql).expect("the base loads");

    let mut wrong = Vec::new();
    let mut one = Some(shadow.copy(&base).expect("copy"));
    for case in &cases {
        let Some(r) = case.on(major) else { continue };
        // What commits gets a copy of its own; the rest shares one and is rolled back.
        let own = !case.setup.is_empty() || r.in_transaction != Some(true);
        let fresh = own.then(|| shadow.copy(&base).expect("copy"));
        let db = fresh.as_ref().or(one.as_ref()).expect("a database");
        let mut o = Observer::new(db).expect("sessions");
        o.session.run("SET search_path = s, public").expect("sets");
        if !case.setup.is_empty() {
            o.session.run(&case.setup).unwrap_or_else(|e| panic!("{}: setup: {e}", case.name));
        }
        let seen = if own {
            o.run(&case.statement, None, Around::Nothing)
        } else {
            o.session.run("BEGIN").expect("begins");
            let seen = o.run(&case.statement, None, Around::Transaction);
            let _ = o.session.run("ROLLBACK");
            seen
        };
        if let Some(difference) = differs(&seen, r) {
            wrong.push(format!("{}: {}\n    {difference}", case.name, case.statement));
        }
    }
    one.take();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

pub(super) fn differs(seen: &Observed, r: &Recorded) -> Option<String> {
    if r.error.is_some() || seen.error.is_some() {
        let (a, b) = (seen.error.as_ref().map(|e| e.message.as_str()), r.error.as_deref());
        return (a != b).then(|| format!("error {a:?}, recorded {b:?}"));
    }
    // The record names relations of schema `s` as they were called before, and an index made anew counts as gone.
    let before = |n: &crate::catalog::RelName| seen.renamed.get(n).unwrap_or(n).clone();
    let in_s = |n: &crate::catalog::RelName| {
        let b = before(n);
        (b.schema == "s").then_some(b.name)
    };
    let mut out = Vec::new();
    if Some(seen.effects.in_transaction) != r.in_transaction {
        out.push(format!("in_transaction {}", seen.effects.in_transaction));
    }
    // Outside a transaction the record has no locks: nobody looked on.
    if seen.effects.in_transaction {
        let locks: BTreeMap<String, LockMode> = seen.effects.locks.iter().filter_map(|(n, m)| Some((in_s(n)?, *m))).collect();
        let recorded = r.locks();
        if locks != recorded {
            out.push(format!("locks {locks:?}, recorded {recorded:?}"));
        }
        let scans: BTreeSet<String> = seen.effects.scans.iter().filter_map(in_s).collect();
        // The record compared counters by name, so that a renamed table seemed to have been read.
        let recorded: BTreeSet<String> = r.scanned.iter().filter(|n| !seen.renamed.keys().any(|k| k.name == **n)).cloned().collect();
        if scans != recorded {
            out.push(format!("scans {scans:?}, recorded {recorded:?}"));
        }
    }
    let rewrites: BTreeSet<String> = seen.effects.rewrites.iter().filter_map(in_s).collect();
    let builds: BTreeSet<String> = seen.effects.builds.iter().filter_map(in_s).collect();
    let unexplained: Vec<_> = r.new_file.iter().filter(|n| !rewrites.contains(*n) && !builds.contains(*n)).collect();
    if !unexplained.is_empty() || !rewrites.is_subset(&r.new_file) {
        out.push(format!("rewrites {rewrites:?} builds {builds:?}, recorded new files {:?}", r.new_file));
    }
    let moved = seen.renamed.iter().filter(|(a, b)| b.schema == "s" && a.schema != "s").map(|(_, b)| b.name.clone());
    let dropped: BTreeSet<String> = seen.effects.dropped.iter().chain(&seen.replaced).filter_map(in_s).chain(moved).collect();
    if dropped != r.dropped {
        out.push(format!("dropped {dropped:?}, recorded {:?}", r.dropped));
    }
    (!out.is_empty()).then(|| out.join("\n    "))
}
