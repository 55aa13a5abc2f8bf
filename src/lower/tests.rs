//! Statements and what becomes of them.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;

fn kinds(sql: &str) -> Vec<String> {
    lower_text(sql)
        .iter()
        .flat_map(|s| {
            s.ops.iter().map(|o| match &o.kind {
                OpKind::Alter { action, .. } => <&str>::from(action).to_string(),
                OpKind::Opaque { reason } => format!("opaque: {reason:?}"),
                k => <&str>::from(k).to_string(),
            })
        })
        .collect()
}

#[test]
fn subcommands_keep_their_own_words() {
    let sql = "ALTER TABLE orders ADD COLUMN a varchar(50) NOT NULL, DROP COLUMN b, ALTER c TYPE bigint USING c::bigint, ADD CONSTRAINT d CHECK (e > 0) NOT VALID";
    let s = lower_text(sql);
    let words: Vec<&str> = s[0].ops.iter().map(|o| &sql[o.span.range()]).collect();
    assert_eq!(
        words,
        [
            "ADD COLUMN a varchar(50) NOT NULL",
            "DROP COLUMN b",
            "ALTER c TYPE bigint USING c::bigint",
            "ADD CONSTRAINT d CHECK (e > 0) NOT VALID"
        ]
    );
    assert_eq!(kinds(sql), ["add-column", "drop-column", "set-type", "add-constraint"]);
    assert_eq!(s[0].understood, Understood::Full);
}

#[test]
fn one_broken_statement_never_hides_its_neighbours() {
    let s = lower_text("CREATE TABLE a (id int); CREATE TABLE b (id int,,); DROP TABLE c;");
    assert_eq!(s.iter().map(|s| s.understood).collect::<Vec<_>>(), [Understood::Full, Understood::Opaque, Understood::Full]);
}

#[test]
fn code_blocks_are_looked_into() {
    assert_eq!(
        kinds("DO $$ BEGIN CREATE TYPE a AS ENUM ('x'); EXCEPTION WHEN duplicate_object THEN null; END $$"),
        ["do-block", "create-enum"]
    );
    let s = lower_text(
        "DO $$ BEGIN IF x THEN ALTER TABLE t DROP COLUMN a; END IF; DROP TABLE u; EXECUTE 'DROP TABLE v'; EXECUTE format('DROP TABLE %I', w); END $$",
    );
    let flags: Vec<(bool, bool)> = s[0].ops.iter().skip(1).map(|o| (o.conditional, o.nested)).collect();
    assert_eq!(flags, [(true, true), (false, true), (false, true), (false, true)]);
    assert_eq!(s[0].understood, Understood::Partial);
    assert_eq!(kinds("DO $$ DECLARE n int; BEGIN SELECT count(*) INTO n FROM t; END $$"), ["do-block", "query"]);
}

#[test]
fn known_traps() {
    assert_eq!(kinds("DROP INDEX CONCURRENTLY i"), ["drop"]);
    let s = lower_text("CREATE DOMAIN d AS int DEFAULT 1 NOT NULL");
    assert!(matches!(&s[0].ops[0].kind, OpKind::CreateDomain { not_null: true, default: Some(e), .. } if e.text == "1"));
    assert_eq!(lower_text("SELECT 1 END; DROP TABLE x").len(), 2);
    assert_eq!(kinds("ALTER TABLE t ADD CONSTRAINT c NOT NULL a NOT VALID"), ["add-constraint"]);
    assert_eq!(
        kinds("ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES u (b) ON DELETE SET NULL (a) NOT ENFORCED"),
        ["add-constraint"]
    );
    assert_eq!(
        kinds(
            "CREATE TABLE t (a int GENERATED ALWAYS AS (1) VIRTUAL, b int CONSTRAINT n NOT NULL NO INHERIT, PRIMARY KEY (a, b WITHOUT OVERLAPS))"
        ),
        ["create-table"]
    );
}

/// A placeholder where a name or a value stands leaves the statement readable; one that stands for a statement does not.
#[test]
fn placeholders_are_read_around() {
    for sql in [
        "ALTER TABLE ${schema}.t ADD COLUMN a int DEFAULT ${n}",
        "CREATE TABLE {{ prefix }}_t (a int)",
        "DROP TABLE :t",
        "DROP TABLE :\"t\"",
        "INSERT INTO t VALUES (:'v', %s, %(w)s)",
        "CREATE INDEX i ON %s (a)",
        "ALTER TABLE <%= t %> DROP COLUMN a",
        "GRANT SELECT ON t TO ${role}",
        "SET search_path = ${schema}",
    ] {
        let s = lower_text(sql);
        assert_eq!((s.len(), s[0].understood), (1, Understood::Full), "{sql}: {:?}", s[0].ops);
    }
    for sql in ["${statement}", "{{ statement }}", "CREATE TABLE t (${columns})"] {
        let s = lower_text(sql);
        assert!(matches!(&s[0].ops[0].kind, OpKind::Opaque { reason: OpaqueReason::Template }), "{sql}: {:?}", s[0].ops);
    }
}

#[test]
fn what_psql_runs_from_elsewhere_is_said() {
    for (sql, understood) in [
        ("\\ir x.sql", Understood::Opaque),
        ("\\i x.sql", Understood::Opaque),
        ("\\connect other", Understood::Opaque),
        ("\\if :x", Understood::Opaque),
        ("\\set x 1", Understood::NoEffect),
        ("\\echo hello", Understood::NoEffect),
        ("\\copy t from 'x'", Understood::NoEffect),
    ] {
        assert_eq!(lower_text(sql)[0].understood, understood, "{sql}");
    }
    assert_eq!(lower_text("SELECT 'DROP TABLE x' \\gexec")[1].understood, Understood::Opaque);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Any text: nothing panics, statements stay inside of it, and operations inside of their statement.
    #[test]
    fn any_text(text in "\\PC{0,200}") {
        for s in lower_text(&text) {
            prop_assert!(s.span.end as usize <= text.len());
        }
    }

    /// Words of SQL in any order.
    #[test]
    fn any_words(words in prop::collection::vec(prop::sample::select(vec![
        "CREATE", "TABLE", "ALTER", "DROP", "COLUMN", "ADD", "CONSTRAINT", "(", ")", ",", ";", "a", "int", "NOT", "NULL", "DEFAULT", "1", "'x'", "INDEX", "ON",
        "CHECK", "PRIMARY", "KEY", "DO", "$$ BEGIN IF a THEN DROP TABLE b; $$", "FUNCTION", "RETURNS", "AS", "SELECT", "FROM", "SET", "TYPE", "USING", "COPY", "stdin",
        "PARTITION", "OF", "FOR", "VALUES", "GRANT", "TO", "EXECUTE", "TRIGGER", "BEGIN", "ATOMIC", "END", "RENAME", "SEQUENCE", "\n", "--x\n", "$$",
    ]), 0..40)) {
        let text = words.join(" ");
        for s in lower_text(&text) {
            prop_assert!(s.span.end as usize <= text.len());
            for o in &s.ops {
                prop_assert!(o.span.end as usize <= text.len());
            }
        }
    }
}

/// The corpus is not part of the repository: where it is missing there is nothing to count.
#[test]
fn the_corpus_is_understood() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let (mut total, mut opaque) = (0usize, 0usize);
    let mut kinds: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for file in walkdir::WalkDir::new(corpus).into_iter().flatten().filter(|e| e.path().extension().is_some_and(|e| e == "sql")) {
        let Ok(text) = std::fs::read_to_string(file.path()) else { continue };
        let source = SourceFile::new(file.path(), text);
        for s in lower(&source, &[source.full_span()]) {
            total += 1;
            if let (Understood::Opaque, Some(OpKind::Opaque { reason })) = (s.understood, s.ops.first().map(|o| &o.kind)) {
                if matches!(reason, OpaqueReason::Template) {
                    continue;
                }
                opaque += 1;
                let head: String = source.slice(s.span).chars().take(90).collect();
                let at = kinds.entry(format!("{} {reason:?}", s.command).chars().take(90).collect()).or_insert((0, head));
                at.0 += 1;
            }
        }
    }
    for (k, (n, example)) in &kinds {
        println!("{n:5} {k}\n      {}", example.replace('\n', " "));
    }
    println!("{opaque} of {total} statements are opaque");
    assert!(opaque * 200 <= total, "{opaque} of {total} statements are opaque");
}
