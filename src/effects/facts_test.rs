//! Predicted equals what was recorded on real servers, 14 to 18.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::*;
use crate::catalog::RelKind;
use crate::history::{Execution, Send};

#[derive(Deserialize)]
struct Case {
    name: String,
    setup: String,
    statement: String,
    observed: Vec<Recorded>,
}

#[derive(Deserialize)]
struct Recorded {
    postgres: [u8; 2],
    in_transaction: Option<bool>,
    #[serde(default)]
    locks: BTreeMap<String, String>,
    #[serde(default)]
    new_file: BTreeSet<String>,
    #[serde(default)]
    scanned: BTreeSet<String>,
    #[serde(default)]
    dropped: BTreeSet<String>,
    error: Option<String>,
}

fn long(mode: &str) -> &str {
    match mode {
        "AS" => "AccessShareLock",
        "RS" => "RowShareLock",
        "RX" => "RowExclusiveLock",
        "SUX" => "ShareUpdateExclusiveLock",
        "S" => "ShareLock",
        "SRX" => "ShareRowExclusiveLock",
        "X" => "ExclusiveLock",
        _ => "AccessExclusiveLock",
    }
}

#[test]
fn predicted_equals_the_recorded_observations() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/facts/locks");
    let Ok(cases) = std::fs::read_to_string(folder.join("cases.json")) else { return };
    let cases: Vec<Case> = serde_json::from_str(&cases).expect("reads");
    let base = std::fs::read_to_string(folder.join("base.sql")).expect("reads");
    let execution = Execution::new(false, Send::Statement);
    let (mut total, mut wrong) = (0, Vec::new());
    for major in 14..=18u8 {
        let mut catalog = Catalog::new(PgVersion(major));
        crate::replay::apply(&crate::lower::lower_text(&base), &execution, &mut catalog);
        for case in &cases {
            let Some(r) = case.observed.iter().find(|o| (o.postgres[0]..=o.postgres[1]).contains(&major)) else { continue };
            let mut before = catalog.clone();
            let session = crate::lower::lower_text(&format!("SET search_path = s, public; {}", case.setup));
            session.iter().for_each(|s| drop(before.apply_statement(s)));
            let statements = crate::lower::lower_text(&case.statement);
            total += 1;
            let mut after = before.clone();
            let mut e = Effects { in_transaction: true, ..Effects::default() };
            for statement in &statements {
                e.merge(&predict(statement, &after, Sent { pg: PgVersion(major), in_transaction: false }));
                if let Some((_, error)) = after.apply_statement(statement).iter().find(|(_, e)| e.certain) {
                    e.fails = Some(error.sqlstate.to_string());
                }
            }
            if let Some(d) = differs(&e, r, &before, &after) {
                wrong.push(format!("{major} {}: {}\n    {d}", case.name, case.statement.replace('\n', " ")));
            }
        }
    }
    println!("{} of {total} recorded observations predicted", total - wrong.len());
    for w in &wrong {
        println!("{w}");
    }
    assert!(wrong.len() * 100 <= total * KNOWN_WRONG_PERCENT, "{} of {total} differ", wrong.len());
}

/// What is known to be wrong still; it can only get less.
const KNOWN_WRONG_PERCENT: usize = 3;

fn differs(e: &Effects, r: &Recorded, before: &Catalog, after: &Catalog) -> Option<String> {
    if r.error.is_some() || e.fails.is_some() {
        return (r.error.is_some() != e.fails.is_some()).then(|| format!("fails {:?} {:?}, recorded {:?}", e.fails, e.error, r.error));
    }
    // The record calls relations of schema `s` what they were called before.
    let old = |n: &RelName| {
        let id = after.relation_named(&n.schema, &n.name).or_else(|| before.relation_named(&n.schema, &n.name)).map(|r| r.id)?;
        let name = before.relation(id).or_else(|| after.relation(id))?.rel_name();
        (name.schema == "s").then_some(name.name)
    };
    let mut out = Vec::new();
    if r.in_transaction.is_some_and(|t| t != e.in_transaction) {
        out.push(format!("in_transaction {}", e.in_transaction));
    }
    if e.in_transaction {
        let locks: BTreeMap<String, String> = e.locks.iter().filter_map(|(n, m)| Some((old(n)?, m.to_string()))).collect();
        let recorded: BTreeMap<String, String> = r.locks.iter().map(|(n, m)| (n.clone(), long(m).to_string())).collect();
        if locks != recorded {
            let only = |a: &BTreeMap<String, String>, b: &BTreeMap<String, String>| {
                a.iter().filter(|(k, v)| b.get(*k) != Some(v)).map(|(k, v)| format!("{k}:{v}")).collect::<Vec<_>>().join(" ")
            };
            out.push(format!("locks predicted [{}] recorded [{}]", only(&locks, &recorded), only(&recorded, &locks)));
        }
        let scans: BTreeSet<String> = e.scans.iter().filter_map(old).collect();
        let recorded: BTreeSet<String> = r.scanned.iter().filter(|n| before.relation_named("s", n).is_some()).cloned().collect();
        if scans != recorded && r.dropped.is_empty() {
            out.push(format!("scans {scans:?}, recorded {recorded:?}"));
        }
    }
    let rewrites: BTreeSet<String> = e.rewrites.iter().filter_map(old).collect();
    let builds: BTreeSet<String> = e.builds.iter().filter_map(old).collect();
    let is_table = |n: &String| before.relation_named("s", n).is_some_and(|r| matches!(r.kind, RelKind::Table | RelKind::MaterializedView));
    let files: BTreeSet<String> = r.new_file.iter().filter(|n| is_table(n)).cloned().collect();
    if rewrites != files {
        out.push(format!("rewrites {rewrites:?}, recorded {files:?}"));
    }
    let missing: Vec<&String> = r.new_file.iter().filter(|n| !is_table(n) && !builds.contains(*n)).collect();
    if !missing.is_empty() {
        out.push(format!("builds {builds:?}, recorded also {missing:?}"));
    }
    let dropped: BTreeSet<String> = e.dropped.iter().filter(|&n| n.schema == "s").map(|n| n.name.clone()).collect();
    let recorded: BTreeSet<String> = r
        .dropped
        .iter()
        .filter(|n| after.relation_named("s", n).is_none() && after.relation_named("public", n).is_none())
        .cloned()
        .collect();
    if dropped != recorded {
        out.push(format!("dropped {dropped:?}, recorded {recorded:?}"));
    }
    (!out.is_empty()).then(|| out.join("\n    "))
}
