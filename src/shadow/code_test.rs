//! What code does when it runs: the replayed catalog holds the same relations and columns as a server after the same script.

use std::collections::BTreeSet;

use crate::catalog::Catalog;
use crate::history::{Execution, Send};
use crate::replay;

use super::*;

/// Scripts in which everything that runs can be known.
const SCRIPTS: &[(&str, &str)] = &[
    ("static SQL", "DO $$ BEGIN CREATE TABLE a (x int); ALTER TABLE a ADD y int; END $$"),
    (
        "a literal",
        "DO $$ BEGIN EXECUTE 'CREATE TABLE a (x int)'; EXECUTE $q$ALTER TABLE a ADD \"Y z\" int; CREATE INDEX i ON a (x)$q$; END $$",
    ),
    (
        "format and ||",
        "DO $$ DECLARE t text := 'My t'; c CONSTANT text DEFAULT 'c' || 1; BEGIN EXECUTE format('CREATE TABLE %I (%s int, d text DEFAULT %L)', t, c, 'it''s'); EXECUTE 'ALTER TABLE ' || quote_ident(t) || ' ADD e int'; END $$",
    ),
    ("positions", "DO $$ BEGIN EXECUTE format('CREATE TABLE %2$I (%1$I int, %1$s_b int)', 'x', 'a'); END $$"),
    (
        "a loop over an array",
        "CREATE TABLE a (x int); CREATE TABLE b (x int); DO $$ DECLARE t text; BEGIN FOREACH t IN ARRAY ARRAY['a', 'b'] LOOP EXECUTE format('ALTER TABLE %I ADD COLUMN y int', t); EXECUTE 'CREATE INDEX ' || t || '_y ON ' || t || ' (y)'; END LOOP; END $$",
    ),
    (
        "a variable that changes",
        "DO $$ DECLARE t text := 'a'; BEGIN EXECUTE format('CREATE TABLE %I ()', t); t := 'b'; EXECUTE format('CREATE TABLE %I ()', t); END $$",
    ),
    ("a function called", "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE TABLE a (x int); END $$; SELECT f()"),
    ("not called", "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE TABLE a (x int); END $$"),
    (
        "arguments",
        "CREATE FUNCTION f(t text, c text DEFAULT 'x') RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('CREATE TABLE %I (%I int)', t, c); END $$; SELECT f('a'); SELECT f('b', 'y'); DO $$ BEGIN PERFORM f('c', 'z'); END $$",
    ),
    (
        "a positional argument",
        "CREATE FUNCTION f(text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'CREATE TABLE ' || $1 || ' ()'; END $$; SELECT f('a')",
    ),
    (
        "a procedure",
        "CREATE PROCEDURE p(t text) LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('CREATE TABLE %I (x int)', t); END $$; CALL p('a')",
    ),
    (
        "a call from a call",
        "CREATE FUNCTION g() RETURNS void LANGUAGE sql AS $$ CREATE TABLE a (x int) $$; CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM g(); RETURN 1; END $$; DO $$ DECLARE n int; BEGIN n := f(); END $$",
    ),
    (
        "a declaration calls",
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN CREATE TABLE a (x int); RETURN 1; END $$; DO $$ DECLARE n int := f(); BEGIN NULL; END $$",
    ),
    (
        "a trigger does not run",
        "CREATE TABLE t (x int); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN CREATE TABLE a (x int); RETURN NEW; END $$; CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
    ),
    (
        "blocks inside of blocks",
        "DO $$ BEGIN CREATE TABLE a (x int); BEGIN CREATE TABLE b (x int); EXCEPTION WHEN duplicate_table THEN NULL; END; <<l>> BEGIN CREATE TABLE c (x int); END l; END $$",
    ),
    (
        "its own search_path",
        "CREATE SCHEMA s; CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql SET search_path = s AS $$ BEGIN CREATE TABLE a (x int); END $$; SELECT f(); CREATE TABLE b (x int)",
    ),
    ("CASE inside of SQL", "DO $$ BEGIN CREATE TABLE a AS SELECT CASE WHEN true THEN 1 END AS x; CREATE TABLE b (y int); END $$"),
    ("quotes as people write them", "DO 'BEGIN EXECUTE ''CREATE TABLE a (x text DEFAULT ''''y'''')''; END'"),
];

#[test]
fn code_does_what_a_server_does() {
    let shadow = Shadow::start(&super::tests::options()).expect("starts");
    let mut wrong = Vec::new();
    for (what, script) in SCRIPTS {
        let db = shadow.database().expect("database");
        let mut s = db.connect().expect("session");
        if let Err(e) = s.run(script) {
            panic!("{what}: {e:?}");
        }
        let rows = s
            .rows(
                "SELECT n.nspname || '.' || c.relname, coalesce(string_agg(a.attname, ',' ORDER BY a.attnum), '')
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind <> 'i'
                 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' GROUP BY 1",
            )
            .expect("asks");
        let seen: BTreeSet<String> = rows.into_iter().map(|r| r.into_iter().flatten().collect::<Vec<_>>().join(": ")).collect();
        let mut catalog = Catalog::new(shadow.pg());
        replay::apply(&crate::lower::lower_text(script), &Execution::new(false, Send::Statement), &mut catalog);
        let columns = |r: &crate::catalog::Relation| {
            if r.index.is_some() { String::new() } else { r.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(",") }
        };
        let known: BTreeSet<String> = catalog.relations.values().map(|r| format!("{}.{}: {}", r.schema, r.name, columns(r))).collect();
        if seen != known {
            wrong.push(format!("{what}\n  server  {seen:?}\n  catalog {known:?}"));
        } else if !catalog.complete {
            wrong.push(format!("{what}: counted as unknown"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What may or may not run is marked, and what is not known stays unknown.
#[test]
fn doubt_is_kept() {
    let flags = |sql: &str| -> Vec<(&'static str, bool)> {
        let ops = crate::lower::lower_text(sql).remove(0).ops;
        ops.iter().skip(1).map(|o| ((&o.kind).into(), o.conditional)).collect()
    };
    assert_eq!(
        flags("DO $$ BEGIN IF x THEN DROP TABLE a; ELSE DROP TABLE b; END IF; DROP TABLE c; END $$"),
        [("drop", true), ("drop", true), ("drop", false)]
    );
    assert_eq!(
        flags("DO $$ BEGIN DROP TABLE a; BEGIN DROP TABLE b; EXCEPTION WHEN others THEN DROP TABLE c; END; DROP TABLE d; END $$"),
        [("drop", false), ("drop", true), ("drop", true), ("drop", false)]
    );
    assert_eq!(
        flags("DO $$ BEGIN CASE x WHEN 1 THEN DROP TABLE a; END CASE; WHILE y LOOP DROP TABLE b; END LOOP; END $$"),
        [("drop", true), ("drop", true)]
    );
    // A variable that a loop or a query sets is not known.
    for sql in [
        "DO $$ DECLARE t text := 'a'; BEGIN FOR i IN 1..2 LOOP EXECUTE 'DROP TABLE ' || t; t := 'b'; END LOOP; END $$",
        "DO $$ DECLARE t text := 'a'; BEGIN SELECT x INTO t FROM y; EXECUTE 'DROP TABLE ' || t; END $$",
        "DO $$ DECLARE t text := 'a'; BEGIN IF z THEN t := 'b'; END IF; EXECUTE 'DROP TABLE ' || t; END $$",
        "DO $$ DECLARE r record; BEGIN FOR r IN SELECT x FROM y LOOP EXECUTE 'DROP TABLE ' || r.x; END LOOP; END $$",
    ] {
        assert!(flags(sql).iter().any(|(k, _)| *k == "opaque"), "{sql}: {:?}", flags(sql));
        assert!(!flags(sql).iter().any(|(k, _)| *k == "drop"), "{sql}: {:?}", flags(sql));
    }
}

/// A call takes the locks that the body of the function takes.
#[test]
fn a_call_has_the_effects_of_the_body() {
    use super::trace::{differences, trace};
    use crate::history::Script;
    use crate::source::SourceFile;
    let setup = "CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE TABLE u (a int); CREATE TABLE w (a int);
        CREATE FUNCTION f(c text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('ALTER TABLE t ADD %I int DEFAULT random()', c); RETURN 1; END $$;
        CREATE FUNCTION g() RETURNS void LANGUAGE plpgsql AS $$ BEGIN TRUNCATE u; PERFORM f('y'); END $$;
        CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN LOCK TABLE w IN SHARE MODE; END $$";
    let shadow = Shadow::start(&super::tests::options()).expect("starts");
    let base = shadow.database().expect("database");
    base.connect().expect("session").run(setup).expect("loads");
    for sql in ["SELECT f('x')", "SELECT g()", "CALL p()", "INSERT INTO u SELECT f('z')"] {
        let mut catalog = Catalog::new(shadow.pg());
        replay::apply(&crate::lower::lower_text(setup), &Execution::new(false, Send::Statement), &mut catalog);
        let source = SourceFile::new("x.sql", sql);
        let execution = Execution::new(false, Send::Statement);
        let judged = replay::judge(&source, crate::lower::lower(&source, &[source.full_span()]), &execution, &mut catalog);
        let seen = trace(&base, &Script::whole(source, execution)).expect("traced");
        let found = differences(&judged.statements[0].effects, &seen[0].observed);
        assert!(found.is_empty(), "{sql}: {found:?}");
    }
}
