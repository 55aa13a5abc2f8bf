//! Predicted equals what was recorded on real servers, 14 to 18.

use std::collections::{BTreeMap, BTreeSet};

use super::recorded_test::{self, Recorded};
use super::*;
use crate::catalog::{Id, RelKind};
use crate::history::{Execution, Send};
use crate::op::{DmlKind, OpKind};

#[test]
fn predicted_equals_the_recorded_observations() {
    let Some((base, cases)) = recorded_test::read() else { return };
    let execution = Execution::new(false, Send::Statement);
    let (mut total, mut wrong) = (0, Vec::new());
    for major in 14..=18u8 {
        let mut catalog = Catalog::new(PgVersion(major));
        let statements = crate::lower::lower_text(&base);
        crate::replay::apply(&statements, &execution, &mut catalog);
        let filled = filled(&catalog, &statements);
        for case in &cases {
            let Some(r) = case.on(major) else { continue };
            let mut before = catalog.clone();
            // The recording's servers ran in UTC.
            let session = crate::lower::lower_text(&format!("SET TimeZone = 'UTC'; SET search_path = s, public; {}", case.setup));
            session.iter().for_each(|s| drop(before.apply_statement(s)));
            let mut filled = filled.clone();
            filled.extend(self::filled(&before, &session));
            let statements = crate::lower::lower_text(&case.statement);
            // The recording opened a transaction for LOCK TABLE.
            let locks = statements.iter().any(|s| s.command.starts_with("LOCK"));
            total += 1;
            let mut after = before.clone();
            let mut e = Effects { in_transaction: true, ..Effects::default() };
            for statement in &statements {
                e.merge(&predict(statement, &after, Sent { pg: PgVersion(major), in_transaction: locks }));
                if let Some((_, error)) = after.apply_statement(statement).iter().find(|(_, e)| e.certain) {
                    e.fails = Some(error.sqlstate.to_string());
                }
            }
            if let Some(d) = differs(&e, r, &before, &after, &filled) {
                wrong.push(format!("{major} {}: {}\n    {d}", case.name, case.statement.replace('\n', " ")));
            }
        }
    }
    println!("{} of {total} recorded observations predicted", total - wrong.len());
    assert!(wrong.is_empty(), "{} of {total} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Tables into which the statements put rows: that an empty one was read could not be seen.
fn filled(catalog: &Catalog, statements: &[crate::op::Statement]) -> BTreeSet<Id> {
    let mut out = BTreeSet::new();
    for op in statements.iter().flat_map(|s| &s.ops) {
        let name = match &op.kind {
            OpKind::Dml(d) if matches!(d.kind, DmlKind::Insert { .. }) => &d.table,
            OpKind::CreateTableAs(t) => &t.name,
            OpKind::CreateView(v) if v.materialized => &v.name,
            _ => continue,
        };
        if let Some(r) = catalog.relation_named("s", name.as_str()) {
            out.insert(r.id);
            out.extend(catalog.partitions_of(r.id));
        }
    }
    out
}

fn differs(e: &Effects, r: &Recorded, before: &Catalog, after: &Catalog, filled: &BTreeSet<Id>) -> Option<String> {
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
        let locks: BTreeMap<String, LockMode> = e.locks.iter().filter_map(|(n, m)| Some((old(n)?, *m))).collect();
        let recorded = r.locks();
        if locks != recorded {
            let only = |a: &BTreeMap<String, LockMode>, b: &BTreeMap<String, LockMode>| {
                a.iter().filter(|(k, v)| b.get(*k) != Some(v)).map(|(k, v)| format!("{k}:{v}")).collect::<Vec<_>>().join(" ")
            };
            out.push(format!("locks predicted [{}] recorded [{}]", only(&locks, &recorded), only(&recorded, &locks)));
        }
        let holds_rows = |n: &String| before.relation_named("s", n).is_some_and(|r| filled.contains(&r.id));
        let scans: BTreeSet<String> = e.scans.iter().filter_map(old).filter(|n| holds_rows(n) || r.scanned.contains(n)).collect();
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
    // A later statement of the case may have made it anew under the same name.
    let gone = |n: &RelName| n.schema == "s" && after.relation_named("s", &n.name).is_none();
    let dropped: BTreeSet<String> = e.dropped.iter().filter(|&n| gone(n)).map(|n| n.name.clone()).collect();
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
