//! Fixes mend what they say, Postgres takes the result, and a second run finds nothing.

use proptest::prelude::*;

use crate::catalog::Catalog;
use crate::history::{Execution, Send};
use crate::op::PgVersion;
use crate::replay::{self, ReplayedScript};
use crate::source::SourceFile;

use super::*;

fn script(setup: &str, sql: &str, execution: &Execution, pg: u8) -> ReplayedScript {
    let mut catalog = Catalog::new(PgVersion(pg));
    catalog.complete = true;
    replay::apply(&crate::lower::lower_text(setup), &Execution::new(false, Send::Statement), &mut catalog);
    let source = SourceFile::new("1.sql", sql);
    let statements = crate::lower::lower(&source, &[source.full_span()]);
    replay::judge(&source, statements, execution, &mut catalog)
}

fn only(rule: &str) -> Selection {
    Selection { select: vec![rule.into()], ..Selection::default() }
}

/// The file after `--fix --unsafe-fixes`, with all rules looking on.
fn mended(setup: &str, sql: &str, selection: &Selection, execution: &Execution, pg: u8) -> Option<String> {
    let s = script(setup, sql, execution, pg);
    let draft = mend(RuleSet::built_in(), &[&s], selection, true, &|_| true)?;
    // A second run finds nothing to mend.
    let again = script(setup, &draft.text, execution, pg);
    assert!(mend(RuleSet::built_in(), &[&again], selection, true, &|_| true).is_none(), "mended twice: {}", draft.text);
    Some(draft.text)
}

const ORDERS: &str = "CREATE TABLE orders (id bigint PRIMARY KEY, total int); CREATE TABLE c (id bigint PRIMARY KEY, o bigint); \
                      CREATE TABLE p (id bigint, o bigint) PARTITION BY RANGE (id); CREATE INDEX i ON orders (total); \
                      CREATE MATERIALIZED VIEW m AS SELECT id FROM orders; CREATE UNIQUE INDEX mi ON m (id); \
                      CREATE MATERIALIZED VIEW n AS SELECT id FROM orders;";

#[test]
fn each_way_of_running_gets_the_fix_that_works_there() {
    let (tx, single, whole) =
        (Execution::new(true, Send::Statement), Execution::new(false, Send::Statement), Execution::new(false, Send::Whole));
    for (rule, execution, sql, expected) in [
        (
            "create-index-blocking",
            &single,
            "create unique index x on orders (total);",
            Some("create unique index concurrently x on orders (total);"),
        ),
        (
            "create-index-blocking",
            &single,
            "CREATE /* INDEX */ INDEX x ON orders (total)",
            Some("CREATE /* INDEX */ INDEX CONCURRENTLY x ON orders (total)"),
        ),
        ("create-index-blocking", &tx, "CREATE INDEX x ON orders (total);", None),
        ("create-index-blocking", &single, "CREATE INDEX x ON p (o);", None),
        ("create-index-blocking", &whole, "CREATE INDEX x ON orders (total);", Some("CREATE INDEX CONCURRENTLY x ON orders (total);")),
        ("create-index-blocking", &whole, "SELECT 1; CREATE INDEX x ON orders (total);", None),
        ("drop-index-blocking", &single, "DROP INDEX IF EXISTS i;", Some("DROP INDEX CONCURRENTLY IF EXISTS i;")),
        ("drop-index-blocking", &single, "DROP INDEX i CASCADE;", None),
        ("drop-index-blocking", &single, "DROP INDEX i, mi;", None),
        ("refresh-blocking", &tx, "REFRESH MATERIALIZED VIEW m;", Some("REFRESH MATERIALIZED VIEW CONCURRENTLY m;")),
        ("refresh-blocking", &tx, "REFRESH MATERIALIZED VIEW n;", None),
        (
            "check-not-valid",
            &single,
            "\u{feff}  alter table orders add constraint k check (total > 0) ;\r\n",
            Some(
                "\u{feff}  alter table orders add constraint k check (total > 0) not valid;\r\n  alter table orders validate constraint k ;\r\n",
            ),
        ),
        (
            "check-not-valid",
            &single,
            "ALTER TABLE orders ADD CHECK (total > 0);",
            Some("ALTER TABLE orders ADD CHECK (total > 0) NOT VALID;"),
        ),
        (
            "check-not-valid",
            &tx,
            "ALTER TABLE orders ADD CONSTRAINT k CHECK (total > 0), ADD x int;",
            Some("ALTER TABLE orders ADD CONSTRAINT k CHECK (total > 0) NOT VALID, ADD x int;"),
        ),
        // With two statements the runner's one query is a transaction: they would hold the strong lock together.
        (
            "check-not-valid",
            &whole,
            "ALTER TABLE orders ADD CONSTRAINT k CHECK (total > 0);",
            Some("ALTER TABLE orders ADD CONSTRAINT k CHECK (total > 0) NOT VALID;"),
        ),
        (
            "foreign-key-not-valid",
            &tx,
            "ALTER TABLE c ADD FOREIGN KEY (o) REFERENCES orders;",
            Some("ALTER TABLE c ADD FOREIGN KEY (o) REFERENCES orders NOT VALID;"),
        ),
        (
            "missing-lock-timeout",
            &tx,
            "\tALTER TABLE orders ADD a int;",
            Some("\tSET LOCAL lock_timeout = '2s';\n\tALTER TABLE orders ADD a int;"),
        ),
        (
            "missing-lock-timeout",
            &single,
            "ALTER TABLE orders ADD a int; ALTER TABLE c ADD a int;",
            Some("SET lock_timeout = '2s';\nALTER TABLE orders ADD a int; ALTER TABLE c ADD a int;"),
        ),
        // What lies in a DO block is text inside of a string.
        ("create-index-blocking", &single, "DO $$ BEGIN CREATE INDEX x ON orders (total); END $$;", None),
    ] {
        let selection = Selection { select: vec![rule.into(), "validate-same-transaction".into()], ..Selection::default() };
        assert_eq!(mended(ORDERS, sql, &selection, execution, 15).as_deref(), expected, "{rule}: {sql}");
    }
}

#[test]
fn a_foreign_key_of_a_partitioned_table_is_not_mended_before_18() {
    let (tx, sql) = (Execution::new(true, Send::Statement), "ALTER TABLE p ADD CONSTRAINT f FOREIGN KEY (o) REFERENCES orders (id);");
    assert_eq!(mended(ORDERS, sql, &only("foreign-key-not-valid"), &tx, 17), None);
    assert!(mended(ORDERS, sql, &only("foreign-key-not-valid"), &tx, 18).is_some_and(|t| t.contains("NOT VALID")));
}

#[test]
fn a_suppressed_finding_is_left_alone() {
    let sql = "-- airlock: allow create-index-blocking -- small\nCREATE INDEX x ON orders (total);";
    assert_eq!(mended(ORDERS, sql, &only("create-index-blocking"), &Execution::new(false, Send::Statement), 15), None);
}

/// Every flagged example of a rule that has a fix: mended, no longer flagged, accepted by a server.
#[test]
fn live_mended_examples_are_clean_and_accepted() {
    use crate::shadow::{Shadow, ShadowOptions};
    let pg = std::env::var("AIRLOCK_TEST_PG").ok().map_or_else(PgVersion::default, |v| v.parse().expect("a version"));
    let shadow = Shadow::start(&ShadowOptions { pg, exact: true, ..ShadowOptions::default() }).expect("a server");
    let mut wrong = Vec::new();
    let mut fixed = 0;
    for rule in RuleSet::built_in().iter().filter(|r| !r.fixes.is_empty()) {
        let mut any = false;
        for e in rule.examples.iter().filter(|e| shadow.pg().0 >= e.since) {
            let Some(sql) = &e.flagged else { continue };
            // As the example is run, and statement by statement.
            for transaction in [e.transaction, false] {
                let execution = Execution::new(transaction, Send::Statement);
                let Some(text) = mended(&e.setup, sql, &only(&rule.name), &execution, shadow.pg().0) else { continue };
                any = true;
                fixed += 1;
                let after = script(&e.setup, &text, &execution, shadow.pg().0);
                let left = check(RuleSet::built_in(), &after, &only(&rule.name)).diagnostics;
                // What no fix can mend may stay; `mended` has seen that nothing else does.
                let before = check(RuleSet::built_in(), &script(&e.setup, sql, &execution, shadow.pg().0), &only(&rule.name)).diagnostics;
                if left.len() >= before.len() || left.iter().any(|d| d.fix.is_some()) {
                    wrong.push(format!("{}: still flagged: {text}", rule.name));
                }
                let db = shadow.database().expect("a database");
                let mut session = db.connect().expect("a session");
                session.simple(&e.setup).expect("the setup runs");
                if transaction {
                    session.run("BEGIN").expect("begins");
                }
                for s in &after.statements {
                    if let Err(error) = session.simple(after.source.slice(s.statement.span)) {
                        wrong.push(format!("{}: {text}: {error}", rule.name));
                    }
                }
            }
        }
        if !any {
            wrong.push(format!("{} has a fix that mends none of its examples", rule.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(fixed >= 8, "{fixed}");
}

/// Blanks and comments between the words of a statement.
fn gap() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![Just(" "), Just("\t"), Just("\n"), Just("\r\n"), Just(" /* INDEX ; */ "), Just(" -- ON kind\n")],
        1..3,
    )
    .prop_map(|v| format!(" {}", v.concat()))
}

fn cased(word: &str, lower: bool) -> String {
    if lower { word.to_lowercase() } else { word.to_string() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// However a statement is spaced, commented and cased: nothing is added but the words of the fix, and nothing is lost.
    #[test]
    fn edits_touch_nothing_but_their_anchors(gaps in prop::collection::vec(gap(), 12), cases in prop::collection::vec(any::<bool>(), 12), which in 0usize..4) {
        let (rule, words): (&str, &[&str]) = [
            ("create-index-blocking", &["CREATE", "UNIQUE", "INDEX", "\"INDEX\"", "ON", "ONLY", "orders", "(total)"][..]),
            ("drop-index-blocking", &["DROP", "INDEX", "IF", "EXISTS", "i"][..]),
            ("check-not-valid", &["ALTER", "TABLE", "orders", "ADD", "CONSTRAINT", "k", "CHECK", "(total > 0)"][..]),
            ("refresh-blocking", &["REFRESH", "MATERIALIZED", "VIEW", "m", "WITH", "DATA"][..]),
        ][which];
        let mut sql = String::new();
        for (i, w) in words.iter().enumerate() {
            sql.push_str(&cased(w, cases[i]));
            if i + 1 < words.len() {
                sql.push_str(&gaps[i]);
            }
        }
        let before = format!("{}{sql}{};\n", gaps[10], gaps[11]);
        let execution = Execution::new(false, Send::Statement);
        let after = mended(ORDERS, &before, &only(rule), &execution, 15);
        let after = after.as_deref().expect("mended");
        let s = script(ORDERS, &before, &execution, 15);
        let fix = check(RuleSet::built_in(), &s, &only(rule)).diagnostics.remove(0).fix.expect("a fix");
        prop_assert_eq!(apply(&before, &fix.edits), after);
        prop_assert!(fix.edits.iter().all(|e| e.span.is_empty()), "these fixes only insert");
        prop_assert!(after.to_uppercase().contains("CONCURRENTLY") || after.to_uppercase().contains("NOT VALID"));
    }
}
