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

/// The only operation of a statement that is read in full.
#[track_caller]
fn one(sql: &str) -> OpKind {
    let mut s = lower_text(sql);
    assert_eq!(s.len(), 1, "{sql}");
    assert_ne!(s[0].understood, Understood::Opaque, "{sql}: {:?}", s[0].ops);
    assert_eq!(s[0].ops.len(), 1, "{sql}");
    s.remove(0).ops.remove(0).kind
}

#[test]
fn a_trigger_keeps_its_arguments_and_transition_tables() {
    let OpKind::CreateTrigger(t) =
        one("CREATE CONSTRAINT TRIGGER a AFTER UPDATE ON b DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION c('x, y', 3, Word)")
    else {
        panic!("no trigger")
    };
    assert_eq!(t.args, ["x, y", "3", "word"]);
    assert!(t.deferrable && t.initially_deferred);
    let OpKind::CreateTrigger(t) =
        one("CREATE TRIGGER a AFTER UPDATE ON b REFERENCING OLD TABLE AS o NEW TABLE n FOR EACH STATEMENT EXECUTE FUNCTION c()")
    else {
        panic!("no trigger")
    };
    assert_eq!(t.transition_tables.iter().map(|(new, n)| (*new, n.as_str())).collect::<Vec<_>>(), [(false, "o"), (true, "n")]);
}

#[test]
fn alter_function_says_clause_by_clause() {
    let OpKind::AlterFunction { options, .. } = one(
        "ALTER FUNCTION f(int) EXTERNAL SECURITY DEFINER STABLE SET search_path = app, Pg_Temp SET a.b TO 'c' RESET ALL COST 10 RESTRICT",
    ) else {
        panic!("no function")
    };
    assert_eq!(options, ["SECURITY DEFINER", "STABLE", "SET search_path TO app, Pg_Temp", "SET a.b TO 'c'", "RESET ALL", "COST 10"]);
}

#[test]
fn a_function_keeps_its_smaller_words() {
    let OpKind::CreateFunction(f) =
        one("CREATE FUNCTION f() RETURNS int LANGUAGE c PARALLEL SAFE COST 5 SET search_path FROM CURRENT AS 'lib', 'entry'")
    else {
        panic!("no function")
    };
    assert_eq!(f.other, ["PARALLEL SAFE", "COST 5"]);
    assert_eq!(f.settings, [("search_path".to_string(), "FROM CURRENT".to_string())]);
    assert_eq!((f.body.as_str(), f.symbol.as_deref()), ("lib", Some("entry")));
}

#[test]
fn a_dollar_in_a_quoted_body_opens_nothing() {
    let OpKind::CreateFunction(f) =
        one("CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT a + $1 FROM t WHERE b = $1 AND c = ''x''; '")
    else {
        panic!("no function")
    };
    assert!(matches!(&f.body_ops[..], [Op { kind: OpKind::Query(q), .. }] if q.relations()[0].as_str() == "t"), "{:?}", f.body_ops);
}

#[test]
fn temporary_tables_end_when_they_say() {
    use crate::op::OnCommit;
    assert!(matches!(one("CREATE TEMP TABLE a (b int) ON COMMIT DROP"), OpKind::CreateTable(t) if t.on_commit == OnCommit::Drop));
    assert!(
        matches!(one("CREATE TEMP TABLE a ON COMMIT DELETE ROWS AS SELECT 1"), OpKind::CreateTableAs(t) if t.on_commit == OnCommit::DeleteRows)
    );
}

#[test]
fn a_query_forgets_none_of_its_columns() {
    let OpKind::Query(q) = one("SELECT DISTINCT ON (a) b FROM t WINDOW w AS (PARTITION BY c ORDER BY d) ORDER BY e OFFSET f") else {
        panic!("no query")
    };
    let mut columns = Vec::new();
    q.walk_exprs(&mut |e| {
        if let crate::op::ExprKind::Column(p) = &e.kind {
            columns.push(p[0].value.clone());
        }
    });
    columns.sort();
    assert_eq!(columns, ["a", "b", "c", "d", "e", "f"]);
}

#[test]
fn a_plain_with_does_not_see_itself() {
    let names = |sql: &str| match one(sql) {
        OpKind::Query(q) => q.relations().iter().map(|r| r.to_string()).collect::<Vec<_>>(),
        k => panic!("{k:?}"),
    };
    assert_eq!(names("WITH t AS (SELECT * FROM t) SELECT * FROM t"), ["t"]);
    assert!(names("WITH RECURSIVE t AS (SELECT 1 UNION ALL SELECT * FROM t) SELECT * FROM t").is_empty());
    assert!(names("WITH RECURSIVE a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a").is_empty());
    assert_eq!(names("WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a"), ["b"]);
}

#[test]
fn a_query_in_brackets_may_be_an_operand() {
    one("SELECT GREATEST(((SELECT a FROM t) - 1), 0)");
    one("SELECT ((SELECT a FROM t), 2)");
    one("SELECT * FROM (a JOIN b ON a.c = b.c) AS j WHERE ((SELECT 1) UNION (SELECT 2)) IS NULL");
}

#[test]
fn a_named_join_is_one_item() {
    let OpKind::Query(q) = one("SELECT j.x FROM (a JOIN b USING (c)) AS j (x, y)") else { panic!("no query") };
    let crate::op::QueryBody::Select(s) = &q.body else { panic!("no select") };
    assert!(matches!(&s.from[..], [crate::op::FromItem::Query { alias: Some(n), columns, .. }] if n.as_str() == "j" && columns.len() == 2));
}

#[test]
fn plpgsql_fills_variables_and_loops_over_queries() {
    let found = |body: &str| kinds(&format!("DO $$ {body} $$"))[1..].to_vec();
    assert_eq!(found("BEGIN INSERT INTO t (a) VALUES (1) RETURNING id INTO STRICT x, y; END"), ["dml"]);
    assert_eq!(found("BEGIN SELECT a, b INTO x, y FROM t; END"), ["query"]);
    assert_eq!(found("BEGIN FOR r IN SELECT a FROM t LOOP DELETE FROM u WHERE b = r.a; END LOOP; END"), ["query", "dml"]);
    assert_eq!(found("BEGIN FOR i IN 1..3 LOOP NULL; END LOOP; OPEN c FOR SELECT 1; END"), ["query"]);
    assert_eq!(found("#variable_conflict use_column BEGIN UPDATE t SET a = 1; END"), ["dml"]);
    assert_eq!(found("BEGIN FOR r IN EXECUTE format('SELECT %I', x) LOOP NULL; END LOOP; END"), ["opaque: Dynamic"]);
    // The words of the query can be run: the variables are gone from them.
    let s = lower_text("DO $$ BEGIN SELECT a INTO x FROM t; END $$");
    assert!(matches!(&s[0].ops[1].kind, OpKind::Query(q) if !q.text.contains("INTO") && q.text.contains("FROM t")));
}

#[test]
fn objects_keep_what_tells_them_apart() {
    assert!(
        matches!(one("DROP OPERATOR CLASS a USING gist"), OpKind::Drop { objects, .. } if objects[0].on.as_ref().is_some_and(|m| m.as_str() == "gist"))
    );
    assert!(
        matches!(one("DROP OPERATOR ## (NONE, int)"), OpKind::Drop { objects, .. } if objects[0].args.as_ref().is_some_and(|a| a.len() == 2))
    );
    assert!(matches!(one("CREATE INDEX ON t USING gist (lower(a) COLLATE \"C\" gist_trgm_ops (siglen = 32))"),
        OpKind::CreateIndex(i) if i.elements[0].collation.is_some() && i.elements[0].opclass_options == [("siglen".to_string(), Some("32".to_string()))]));
    one("CREATE FOREIGN DATA WRAPPER w");
    one("GRANT SELECT ON LARGE OBJECT 42 TO a");
    one("ALTER TABLE t ADD CONSTRAINT e EXCLUDE USING gist (a WITH s.=)");
    one("DROP DATABASE d (FORCE)");
    assert!(
        matches!(one("COPY (DELETE FROM t RETURNING a) TO STDOUT"), OpKind::Copy { query: Some(q), .. } if matches!(q.body, crate::op::QueryBody::Dml(_)))
    );
    assert!(matches!(one("SET extra_float_digits = -1"), OpKind::SetVar { value: Some(v), .. } if v.parts == ["-1"]));
    assert!(matches!(one("MERGE INTO t USING u ON t.a = u.a WHEN MATCHED AND u.b > 1 THEN DELETE"),
        OpKind::Dml(d) if matches!(&d.kind, crate::op::DmlKind::Merge { conditions, .. } if conditions.len() == 1)));
}

#[test]
fn elements_of_a_schema_lie_in_it() {
    let s = lower_text("CREATE SCHEMA a CREATE VIEW v AS SELECT b FROM c CREATE TABLE c (b int) CREATE INDEX i ON c (b)");
    assert_eq!(s[0].understood, Understood::Full);
    let schema = |k: &OpKind| match k {
        OpKind::CreateView(v) => v.name.to_string(),
        OpKind::CreateTable(t) => t.name.to_string(),
        OpKind::CreateIndex(i) => i.table.to_string(),
        _ => String::new(),
    };
    assert_eq!(s[0].ops[1..].iter().map(|o| schema(&o.kind)).collect::<Vec<_>>(), ["a.v", "a.c", "a.c"]);
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
