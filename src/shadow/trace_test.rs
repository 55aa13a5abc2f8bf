//! A script is traced as its runner sends it, and what is seen is what was recorded.

use crate::effects::recorded_test;

use super::facts_test::differs;
use super::tests::script;
use super::trace::trace;
use super::*;

#[test]
fn a_file_goes_on_behind_a_refusal() {
    let shadow = Shadow::start(&super::tests::options()).expect("starts");
    let base = shadow.database().expect("database");
    base.connect().expect("session").run("CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 1)").expect("loads");
    for (sql, transaction) in [
        ("ALTER TABLE t ADD b int; ALTER TABLE nope ADD b int; ALTER TABLE t ALTER a TYPE bigint;", true),
        ("BEGIN; ALTER TABLE t ADD b int; ALTER TABLE nope ADD b int; ALTER TABLE t ALTER a TYPE bigint; COMMIT;", false),
    ] {
        let seen = trace(&base, &script(sql, transaction)).expect("traces");
        let seen: Vec<_> = seen.iter().filter(|t| !t.piece.is_transaction_control()).collect();
        let errors: Vec<_> = seen.iter().map(|t| t.observed.error.as_ref().map(|e| e.sqlstate.as_str())).collect();
        assert_eq!(errors, [None, Some("42P01"), None], "{sql}");
        assert_eq!(seen[2].observed.effects.rewrites.len(), 1, "{sql}");
        let held = seen[2].observed.held.iter().map(|(r, m)| format!("{r} {}", m.sql())).collect::<Vec<_>>();
        assert_eq!(held, ["public.t ACCESS EXCLUSIVE"], "{sql}");
    }
    let seen = trace(&base, &script("CREATE INDEX CONCURRENTLY i ON t (a); DROP INDEX CONCURRENTLY i;", false)).expect("traces");
    assert!(seen.iter().all(|t| t.observed.error.is_none() && !t.observed.effects.in_transaction), "{seen:?}");
    assert_eq!(seen[0].observed.effects.builds.len(), 1);
}

#[test]
fn recorded_statements_are_seen_in_a_script() {
    let Some((base_sql, cases)) = recorded_test::read() else {
        println!("the recorded observations are not on this machine: nothing to compare with");
        return;
    };
    // The base makes roles; these statements are not under suspicion.
    let shadow = Shadow::start(&ShadowOptions { superuser: true, ..super::tests::options() }).expect("starts");
    let major = shadow.pg().0;
    let base = shadow.database().expect("database");
    base.connect().expect("session").run(&base_sql).expect("the base loads");
    let mut wrong = Vec::new();
    // Every statement travels in a file; `facts_test` compares each alone. Two statements in one record are seen as two.
    let (mut compared, mut two) = (0, 0);
    for case in &cases {
        let Some(r) = case.on(major) else { continue };
        if case.statement.contains(';') {
            two += 1;
            continue;
        }
        // Outside of a transaction LOCK TABLE is refused, and the record has one around it.
        let lock = case.statement.to_ascii_lowercase().starts_with("lock");
        let (begin, end) = if lock { ("BEGIN;\n", "COMMIT;\n") } else { ("", "") };
        let text = format!("SET search_path = s, public;\n{};\n{begin}{};\n{end}", case.setup.trim_end_matches(';'), case.statement);
        let mut seen = trace(&base, &script(&text, false)).expect("traces");
        seen.truncate(seen.len() - usize::from(lock));
        let seen = seen.pop().expect("a statement");
        compared += 1;
        if let Some(difference) = differs(&seen.observed, r) {
            wrong.push(format!("{}: {}\n    {difference}", case.name, case.statement));
        }
    }
    println!("{compared} statements of {} compared on Postgres {major}", cases.len());
    assert!(two <= 1, "{two} records are of several statements");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
