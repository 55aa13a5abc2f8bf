//! The replayed catalog against a server's own: every history of the corpus, our own, and random DDL.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::catalog::{Catalog, Difference};
use crate::history::{self, Execution, Script, Send};
use crate::replay;
use crate::source::SourceFile;

use super::load::{Failure, Runner};
use super::*;

/// One history: what the server refused, and where the catalog says something else.
#[derive(Default)]
pub(super) struct Truth {
    pub statements: usize,
    pub refused: Vec<Failure>,
    /// Kind, and words.
    pub differences: Vec<(String, String)>,
}

/// Plays the scripts on a server and in the catalog, and holds the two against each other; then what `airlock schema` prints.
fn truth(shadow: &Shadow, scripts: &[&Script]) -> Truth {
    let mut out = Truth::default();
    let db = shadow.database().expect("database");
    let mut catalog = Catalog::new(shadow.pg());
    let mut runner = Runner::new(&db).expect("sessions");
    for (i, script) in scripts.iter().enumerate() {
        catalog.now.migration = i as u32 + 1;
        play(&mut runner, script, &mut catalog, &mut out);
    }
    drop(runner);
    let observed = super::catalog::read(&db).expect("reads");
    let differences = catalog.dump().differences(&observed);
    let same = differences.is_empty();
    out.differences.extend(differences.into_iter().map(|d: Difference| (d.kind.to_string(), d.to_string())));
    if same {
        out.differences.extend(again(shadow, &catalog, &db));
    }
    out
}

/// Plays one script on both sides and holds what the server refuses against what the catalog foresees.
pub(super) fn play(runner: &mut Runner<'_>, script: &Script, catalog: &mut Catalog, out: &mut Truth) {
    let refused = runner.script(script).expect("loads");
    let mut statements = crate::lower::lower(&script.source, &script.parts);
    out.statements += statements.len();
    // What this server or the shadow's own care refuses, and another server would not, is left out on both sides.
    let elsewhere: BTreeSet<usize> = refused.iter().filter(|f| of_this_server(&f.error)).map(|f| f.line).collect();
    statements.retain(|s| !elsewhere.contains(&script.source.position(s.span.start).line));
    let errors = replay::follow(&statements, &script.execution, catalog);
    let line = |n: usize| script.source.position(statements[n].span.start).line;
    // What the catalog is not sure of may go either way.
    let mut certain: BTreeMap<usize, String> = BTreeMap::new();
    let mut maybe: BTreeSet<usize> = BTreeSet::new();
    for (n, op, e) in errors {
        maybe.insert(line(n));
        if e.certain && !statements[n].ops[op].conditional {
            certain.entry(line(n)).or_insert_with(|| format!("{} {}", e.sqlstate, e.message));
        }
    }
    let path = script.source.path().display();
    for f in &refused {
        // Rows, and what may not stand in a transaction, are judged elsewhere; the statement's effect on the schema is the same.
        let told = certain.remove(&f.line).is_some() || maybe.contains(&f.line) || f.error.is("25001") || elsewhere.contains(&f.line);
        if !told {
            out.differences.push(("refused".into(), format!("{path}:{}: the server refuses it: {} ({})", f.line, f.error, f.statement)));
        }
    }
    for (line, why) in certain {
        out.differences.push(("refused".into(), format!("{path}:{line}: the server accepts it; predicted {why}")));
    }
    out.refused.extend(refused);
}

/// Extensions that are not installed here; rights that only a superuser has; what asks for either by itself.
fn of_this_server(e: &SqlError) -> bool {
    e.is("42501") || e.is("0A000") && e.message.starts_with("extension ") || e.is("P0001")
}

/// The SQL of the catalog makes the same schema in an empty database: everything, down to the server's own words of every expression.
fn again(shadow: &Shadow, catalog: &Catalog, first: &Database) -> Vec<(String, String)> {
    let db = shadow.database().expect("database");
    let sql = catalog.to_sql();
    let script = Script::whole(SourceFile::new("schema.sql", sql), Execution::new(false, Send::Statement));
    let mut out: Vec<(String, String)> = Vec::new();
    for f in Runner::new(&db).expect("sessions").script(&script).expect("loads") {
        out.push(("sql".into(), format!("does not load: {}:{}: {}", f.line, f.statement, f.error)));
    }
    let (a, b) = (snapshot::Snapshot::take(first).expect("snapshot"), snapshot::Snapshot::take(&db).expect("snapshot"));
    out.extend(a.changes(&b).into_iter().map(|c| ("sql".to_string(), c.to_string())));
    out
}

fn say(name: &str, t: &Truth) {
    println!("{name}: {} statements, {} refused, {} differences", t.statements, t.refused.len(), t.differences.len());
    for f in &t.refused {
        println!("    refused {f}");
    }
    for (kind, words) in t.differences.iter().take(limit()) {
        println!("    {kind}: {words}");
    }
}

/// Differences that are printed for each history.
fn limit() -> usize {
    std::env::var("AIRLOCK_TRUTH_LINES").ok().and_then(|v| v.parse().ok()).unwrap_or(20)
}

/// Every history below a folder, with its scripts.
fn histories(folder: &Path) -> Vec<history::History> {
    let mut found = history::discover(&[folder.to_path_buf()], &history::Options::default()).unwrap_or_default();
    for h in &mut found {
        let mut any = false;
        h.migrations.iter_mut().for_each(|m| any |= filled(&mut m.up));
        if let (true, Some(first)) = (any, h.migrations.first().cloned()) {
            // The schema that the runner was told to use.
            let source = SourceFile::new("before.sql", "CREATE SCHEMA IF NOT EXISTS ph;");
            let up = Script::whole(source, Execution::new(false, Send::Statement));
            h.migrations.insert(0, history::Migration { up, down: None, ..first });
        }
    }
    found
}

/// Runners fill placeholders in before they send a file. Here each gets a name for its value, one byte for one byte, so that spans stay.
fn filled(script: &mut Script) -> bool {
    let pattern = regex::Regex::new(
        r#"(?<before>^|[^:])(?<word>\{\{[^{}\n]*\}\}|\$\{[A-Za-z][^{}\n]*\}|/\* TEMPLATE: [a-z]+ \*/|:[A-Z][A-Z_]{5,}|:"[a-z_]+")"#,
    )
    .expect("a pattern");
    let text = script.source.text();
    if !pattern.is_match(text) {
        return false;
    }
    let new = pattern.replace_all(text, |found: &regex::Captures<'_>| {
        let name = &found["word"];
        // `${…}` at the head of a statement comments it out or is nothing.
        let word = if name.starts_with(['$', '/']) { "" } else { "ph" };
        format!("{}{word:len$}", &found["before"], len = name.len())
    });
    script.source = SourceFile::new(script.source.path(), new.into_owned());
    true
}

#[test]
fn live_our_own_history_is_the_servers() {
    let shadow = Shadow::start(&super::tests::options()).expect("starts");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/shop/migrations");
    let found = histories(&folder);
    assert!(!found.is_empty());
    for h in found {
        let scripts: Vec<&Script> = h.migrations.iter().map(|m| &m.up).collect();
        let t = truth(&shadow, &scripts);
        say("shop", &t);
        assert!(t.statements > 5 && t.differences.is_empty() && t.refused.is_empty());
    }
}

/// One for each thing that was once seen differently; each is loaded again from what `airlock schema` prints.
const SCENARIOS: &[(&str, &str)] = &[
    (
        "everything",
        "CREATE SCHEMA s; CREATE TYPE s.mood AS ENUM ('b', 'a'); CREATE DOMAIN s.pos AS int NOT NULL CHECK (VALUE > 0);
         CREATE TYPE s.pair AS (x int, y s.mood);
         CREATE TABLE s.p (id bigserial PRIMARY KEY, m s.mood DEFAULT 'a', n s.pos, k s.pair, d numeric(8,2), UNIQUE (d) DEFERRABLE);
         CREATE TABLE c (id int GENERATED ALWAYS AS IDENTITY, p bigint REFERENCES s.p ON DELETE CASCADE, g int GENERATED ALWAYS AS (id * 2) STORED);
         CREATE INDEX ON c (p) WHERE p > 1; CREATE UNIQUE INDEX u ON c (lower(id::text));
         CREATE VIEW v AS SELECT id, p FROM c; CREATE MATERIALIZED VIEW mv AS SELECT id FROM s.p;
         CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER g AFTER INSERT OR UPDATE OF p ON c FOR EACH ROW EXECUTE FUNCTION t('a', 'b');
         ALTER TABLE c ENABLE ROW LEVEL SECURITY; CREATE POLICY y ON c FOR SELECT USING (p > 0); ALTER TABLE c REPLICA IDENTITY FULL;
         COMMENT ON COLUMN c.p IS 'its p'; COMMENT ON INDEX u IS 'it''s one'; COMMENT ON FUNCTION t() IS 'f'; GRANT SELECT (id) ON c TO PUBLIC;
         REVOKE EXECUTE ON FUNCTION t() FROM PUBLIC; REVOKE USAGE ON TYPE s.mood FROM PUBLIC;",
    ),
    ("comments_follow", "CREATE TABLE t (a int CONSTRAINT k CHECK (a > 0)); COMMENT ON TABLE t IS 'x'; COMMENT ON COLUMN t.a IS 'y';
         COMMENT ON CONSTRAINT k ON t IS 'z'; ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME a TO b; ALTER TABLE u RENAME CONSTRAINT k TO l;"),
    ("comments_go", "CREATE TABLE t (a int); COMMENT ON COLUMN t.a IS 'y'; ALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD COLUMN a int;"),
    ("null_defaults", "CREATE TABLE t (a varchar(9) DEFAULT NULL, b text DEFAULT NULL, c char(3) DEFAULT NULL); CREATE DOMAIN d AS int DEFAULT NULL;"),
    ("results", "CREATE FUNCTION f(a int, OUT b text) LANGUAGE sql AS 'SELECT $1::text'; CREATE FUNCTION g() RETURNS TABLE (x int) LANGUAGE sql AS 'SELECT 1';
         CREATE FUNCTION h(OUT x int, OUT y int) LANGUAGE sql AS 'SELECT 1, 2';"),
    ("inlined", "CREATE FUNCTION low(text) RETURNS text LANGUAGE sql AS 'SELECT lower($1)'; CREATE TABLE t (a text); CREATE INDEX i ON t (low(a));"),
    ("field_words", "CREATE TABLE t (a text, at timestamp, b numeric DEFAULT extract(epoch FROM now()));
         CREATE INDEX i ON t (extract(year FROM at)); CREATE INDEX j ON t (normalize(a, NFKC)); CREATE VIEW v AS SELECT extract(dow FROM at) AS d FROM t;"),
    ("identity_name", "CREATE TABLE t (a int NOT NULL); ALTER TABLE t ALTER a ADD GENERATED BY DEFAULT AS IDENTITY (SEQUENCE NAME \"Own_Seq\" START 5);"),
    ("sequence_options", "CREATE SEQUENCE s START WITH 1 INCREMENT BY 1 NO MINVALUE NO MAXVALUE CACHE 1 NO CYCLE; CREATE SEQUENCE r CYCLE MAXVALUE 9;"),
    ("collations", "CREATE TABLE t (a text COLLATE pg_catalog.\"C\", b text COLLATE \"default\", c text COLLATE \"C\"); CREATE TABLE u AS SELECT a, b FROM t;"),
    ("temporary", "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TEMP TABLE t (a int); CREATE TYPE pg_temp.e AS ENUM ('x');"),
    ("default_privileges", "CREATE SCHEMA s; ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO PUBLIC;
         ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC; CREATE TABLE s.t (a int); CREATE TABLE u (a int);
         CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';"),
    ("column_rights", "CREATE TABLE t (a int, b int); GRANT SELECT (a), UPDATE (b) ON t TO PUBLIC; REVOKE SELECT ON t FROM PUBLIC;"),
    ("unions", "CREATE DOMAIN d AS text; CREATE TABLE t (a d, b text); CREATE VIEW v AS SELECT a AS x, a AS y FROM t UNION SELECT b, a FROM t;"),
    ("operator_classes", "CREATE EXTENSION btree_gin; CREATE TABLE t (a text, b jsonb); CREATE INDEX i ON t USING gin (a, b);"),
    ("like_of_a_namesake", "CREATE SCHEMA s; CREATE TABLE s.t (a int CHECK (a > 0), b int UNIQUE); SET search_path = public, s; CREATE TABLE t (LIKE t INCLUDING ALL);"),
    ("only", "CREATE TABLE t (b int CONSTRAINT k CHECK (b > 0), a int); CREATE TABLE u () INHERITS (t); ALTER TABLE ONLY t DROP COLUMN a; ALTER TABLE ONLY t DROP CONSTRAINT k;"),
    ("not_valid_below", "CREATE TABLE t (a int); ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0) NOT VALID; CREATE TABLE u () INHERITS (t); CREATE TABLE w (LIKE t INCLUDING ALL);"),
    ("partitions", "CREATE TABLE p (a int, b text, PRIMARY KEY (a)) PARTITION BY RANGE (a); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9);
         CREATE TABLE p2 (a int NOT NULL, b text); ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20); CREATE INDEX ON p (b);
         CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER g AFTER INSERT ON p FOR EACH ROW EXECUTE FUNCTION t();
         CREATE TABLE r (a int REFERENCES p);"),
    ("detached", "CREATE TABLE p (a int PRIMARY KEY) PARTITION BY RANGE (a); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9); ALTER TABLE p DETACH PARTITION p1;"),
    ("retyped_literal", "CREATE TABLE t (a date DEFAULT '2020-01-01'); ALTER TABLE t ALTER a TYPE varchar;"),
    ("transition_tables", "CREATE TABLE t (a int); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER g AFTER DELETE ON t REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION f();"),
    ("long_names", "CREATE TABLE a_table_with_a_name_that_is_just_so_long_that_all_must_be_cut (a_column_with_a_name_that_is_rather_long_too serial UNIQUE, b int REFERENCES
         a_table_with_a_name_that_is_just_so_long_that_all_must_be_cut (a_column_with_a_name_that_is_rather_long_too));"),
    (
        "the_same_key_twice",
        "CREATE TABLE t (a int, b int UNIQUE, CONSTRAINT x UNIQUE (a), CONSTRAINT y UNIQUE (a), CONSTRAINT z UNIQUE (b)); ALTER TABLE t ADD UNIQUE (a);",
    ),
    (
        "attributes",
        "CREATE FUNCTION f(int) RETURNS SETOF int LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 7 ROWS 3 AS 'SELECT $1';",
    ),
    ("taken_back", "CREATE TABLE t (a int); BEGIN; CREATE TABLE u (a int); SAVEPOINT x; ALTER TABLE t ADD b int; ROLLBACK TO x; ALTER TABLE t ADD c int; COMMIT;
         BEGIN; DROP TABLE t; ROLLBACK;"),
    ("cascades", "CREATE TABLE t (a serial PRIMARY KEY, b int); CREATE TABLE r (a int REFERENCES t); CREATE VIEW v AS SELECT b FROM t; CREATE VIEW w AS SELECT * FROM v;
         CREATE TYPE e AS ENUM ('x'); CREATE TABLE q (a e, b e[] , c int); ALTER TABLE t DROP COLUMN b CASCADE; DROP TYPE e CASCADE; DROP TABLE t CASCADE;"),
];

#[test]
fn live_scenarios_are_the_servers() {
    let shadow = Shadow::start(&super::tests::options()).expect("starts");
    let mut wrong = Vec::new();
    for (name, sql) in SCENARIOS {
        // Every statement on a line of its own: refusals are told by line.
        let script = Script::whole(SourceFile::new(format!("{name}.sql"), sql.replace(";", ";\n")), Execution::new(false, Send::Statement));
        let t = truth(&shadow, &[&script]);
        if !t.differences.is_empty() || !t.refused.is_empty() {
            say(name, &t);
            wrong.push(*name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Several statements of one query are one transaction, and a ROLLBACK takes them back.
#[test]
fn live_a_rollback_inside_of_a_whole_file_takes_back_what_came_before() {
    let shadow = Shadow::start(&super::tests::options()).expect("starts");
    for (transaction, send) in [(false, Send::Whole), (true, Send::Statement), (false, Send::Statement)] {
        let sql = "CREATE TABLE t (a int);\nROLLBACK;\nCREATE TABLE u (a int);\n";
        let script = Script::whole(SourceFile::new("rollback.sql", sql), Execution::new(transaction, send));
        let t = truth(&shadow, &[&script]);
        say("rollback", &t);
        assert!(t.differences.is_empty() && t.refused.is_empty(), "{transaction} {send}");
    }
}

/// Every object of the dump says which migration and transaction made it.
#[test]
fn objects_keep_the_migration_that_made_them() {
    let mut catalog = Catalog::new(crate::op::PgVersion(15));
    for (i, sql) in ["CREATE TABLE t (a int PRIMARY KEY);", "ALTER TABLE t ADD b int; CREATE INDEX i ON t (b);"].iter().enumerate() {
        catalog.now.migration = i as u32 + 1;
        let script = Script::whole(SourceFile::new("m.sql", *sql), Execution::new(true, Send::Whole));
        replay::follow(&crate::lower::lower(&script.source, &script.parts), &script.execution, &mut catalog);
    }
    let json = serde_json::to_value(catalog.dump()).expect("serialises");
    let table = &json["tables"][0];
    assert_eq!(table["made_in"]["migration"], 1);
    assert_eq!(table["columns"][0]["made_in"], table["made_in"]);
    assert_eq!((&table["columns"][1]["made_in"]["migration"], &table["indexes"][0]["made_in"]["migration"]), (&2.into(), &2.into()));
    assert_ne!(table["columns"][1]["made_in"]["transaction"], table["made_in"]["transaction"]);
}

/// Real histories. The corpus is not part of the repository: where it is missing there is nothing to see.
#[test]
fn live_the_corpus_is_the_servers() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let wanted = std::env::var("AIRLOCK_TRUTH_PROJECT").ok();
    let mut projects: Vec<PathBuf> = Vec::new();
    for kind in std::fs::read_dir(&corpus).into_iter().flatten().flatten().filter(|e| e.path().is_dir()) {
        projects.extend(std::fs::read_dir(kind.path()).into_iter().flatten().flatten().map(|e| e.path()));
    }
    projects.retain(|p| wanted.as_ref().is_none_or(|w| w.split(',').any(|w| p.to_string_lossy().contains(w))));
    projects.sort();
    if projects.is_empty() {
        println!("the corpus is not on this machine: nothing to compare with");
        return;
    }
    let shadow = Shadow::start(&super::tests::options()).expect("starts");
    let mut clean = 0;
    let mut table = String::new();
    for project in &projects {
        let name = project.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut whole = Truth::default();
        for h in histories(project) {
            let scripts: Vec<&Script> = h.migrations.iter().map(|m| &m.up).collect();
            let t = truth(&shadow, &scripts);
            say(&format!("{name} {}", h.root.strip_prefix(project).unwrap_or(&h.root).display()), &t);
            whole.statements += t.statements;
            whole.refused.extend(t.refused);
            whole.differences.extend(t.differences);
        }
        clean += usize::from(whole.differences.is_empty());
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for (k, _) in &whole.differences {
            *kinds.entry(k).or_default() += 1;
        }
        table.push_str(&format!("{name:45} {:6} {:5}  {kinds:?}\n", whole.statements, whole.refused.len()));
    }
    println!("project, statements, refused by Postgres, differences\n{table}{clean} of {} without a difference", projects.len());
    assert!(wanted.is_some() || clean * 40 >= projects.len() * 25, "{clean} of {} projects without a difference", projects.len());
}
