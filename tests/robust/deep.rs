//! Nesting without end gets a message, not a stack overflow.

use super::drive;

/// On a thread with as little stack as a worker has. A stack overflow would end the whole process, and so the test.
#[track_caller]
fn survives(text: String) -> Vec<String> {
    let run = move || drive::check(&text).diagnostics.into_iter().map(|d| d.message).collect();
    std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(run).expect("a thread").join().expect("no panic")
}

#[track_caller]
fn is_refused(text: String) {
    let found = survives(text);
    assert!(found.iter().any(|m| m.contains("nested too deeply")), "not refused with its reason: {found:?}");
}

const DEPTH: usize = 100_000;

#[test]
fn brackets_of_all_kinds() {
    is_refused(format!("SELECT {}1{};", "(".repeat(DEPTH), ")".repeat(DEPTH)));
    is_refused(format!("SELECT {}1{};", "ARRAY[".repeat(DEPTH), "]".repeat(DEPTH)));
    is_refused(format!("SELECT {}1{};", "CASE WHEN true THEN ".repeat(DEPTH), " END".repeat(DEPTH)));
    is_refused(format!("SELECT {}1{};", "(SELECT ".repeat(DEPTH), ")".repeat(DEPTH)));
    is_refused(format!("SELECT {}1{};", "f(".repeat(DEPTH), ")".repeat(DEPTH)));
    is_refused(format!("SELECT * FROM {}t{};", "(".repeat(DEPTH), ")".repeat(DEPTH)));
}

#[test]
fn brackets_in_ddl() {
    is_refused(format!("ALTER TABLE orders ADD CHECK ({}1{} > 0);", "(".repeat(DEPTH), ")".repeat(DEPTH)));
    is_refused(format!("CREATE TABLE t (a int DEFAULT {}1{});", "(".repeat(DEPTH), ")".repeat(DEPTH)));
    is_refused(format!("CREATE VIEW w AS {}SELECT 1{};", "SELECT * FROM (".repeat(DEPTH), ") x".repeat(DEPTH)));
}

#[test]
fn signs_casts_and_chains() {
    survives(format!("SELECT {}1;", "- ".repeat(DEPTH)));
    survives(format!("SELECT {}true;", "NOT ".repeat(DEPTH)));
    survives(format!("SELECT 1{};", "::int".repeat(DEPTH)));
    survives(format!("SELECT a{};", ".b".repeat(DEPTH)));
    survives(format!("SELECT a{};", "[1]".repeat(DEPTH)));
    survives(format!("SELECT 1{};", " + 1".repeat(DEPTH)));
    survives(format!("SELECT 1{};", " UNION SELECT 1".repeat(10_000)));
    survives(format!("WITH {} SELECT 1;", (0..10_000).map(|i| format!("w{i} AS (SELECT 1)")).collect::<Vec<_>>().join(", ")));
    survives(format!("SELECT * FROM t{};", " JOIN t ON true".repeat(10_000)));
}

#[test]
fn comments_and_quotes() {
    survives(format!("{} {}SELECT 1;", "/*".repeat(DEPTH), "*/".repeat(DEPTH)));
    survives("/*".repeat(DEPTH));
    survives("'".repeat(DEPTH));
    survives("\"".repeat(DEPTH + 1));
    survives("$a".repeat(DEPTH));
    survives("$$".repeat(DEPTH + 1));
    survives((0..10_000).map(|i| format!("$a{i}$ ")).collect());
    survives("BEGIN ATOMIC ".repeat(10_000));
    survives(format!("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC {} END;", "SELECT CASE WHEN a THEN 1 ".repeat(10_000)));
}

#[test]
fn code_inside_of_code() {
    let nested = |depth: usize, open: &str, close: &str| {
        let mut text = "SELECT 1;".to_string();
        for i in 0..depth {
            text = format!("{open}$a{i}$ {} {text} {} $a{i}$ {close};", "BEGIN", "END");
        }
        text
    };
    is_refused(nested(500, "DO ", ""));
    // What a function does is only followed when it is called.
    survives(nested(500, "CREATE FUNCTION f() RETURNS void AS ", " LANGUAGE plpgsql"));
    survives(format!("DO $$ BEGIN {} END $$;", "BEGIN ".repeat(20_000)));
    survives(format!("DO $$ BEGIN {} END $$;", "IF a THEN ".repeat(20_000)));
    survives(format!("DO $$ BEGIN {} END $$;", "IF ".repeat(20_000)));
}

#[test]
fn functions_that_call_themselves_and_each_other() {
    survives(
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT f()'; SELECT f(); ALTER TABLE orders ADD COLUMN z int DEFAULT f();".into(),
    );
    survives(
        "CREATE FUNCTION g() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM h(); ALTER TABLE orders ADD COLUMN y int; END $$;
         CREATE FUNCTION h() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM g(); PERFORM g(); END $$; SELECT g(); SELECT h();"
            .into(),
    );
}

#[test]
fn objects_on_objects_on_objects() {
    let views = (1..500).map(|i| format!("CREATE VIEW v{i} AS SELECT * FROM v{};\n", i - 1)).collect::<String>();
    survives(format!("CREATE VIEW v0 AS SELECT 1 AS a;\n{views}DROP VIEW v0 CASCADE;"));
    let children = (1..300).map(|i| format!("CREATE TABLE c{i} () INHERITS (c{});\n", i - 1)).collect::<String>();
    survives(format!("CREATE TABLE c0 (a int);\n{children}ALTER TABLE c0 ADD COLUMN b int; DROP TABLE c0 CASCADE;"));
    let domains = (1..500).map(|i| format!("CREATE DOMAIN d{i} AS d{};\n", i - 1)).collect::<String>();
    survives(format!("CREATE DOMAIN d0 AS int;\n{domains}CREATE TABLE t (a d499); ALTER TABLE t ALTER a TYPE bigint;"));
}

#[test]
fn what_leads_round_in_a_circle() {
    survives("CREATE TABLE a (x int); CREATE TABLE b () INHERITS (a); ALTER TABLE a INHERIT b; ALTER TABLE a ADD COLUMN y int; DROP TABLE a CASCADE;".into());
    survives("ALTER TABLE orders INHERIT orders; ALTER TABLE orders ADD COLUMN y int;".into());
    survives(
        "CREATE SEQUENCE s; ALTER SEQUENCE s OWNED BY orders.id; ALTER TABLE orders ALTER id SET DEFAULT nextval('s'); DROP TABLE orders;"
            .into(),
    );
    survives("CREATE TABLE e (id int PRIMARY KEY, up int REFERENCES e); ALTER TABLE e ALTER id TYPE bigint; DROP TABLE e;".into());
    survives("CREATE OR REPLACE VIEW v AS SELECT * FROM v; DROP VIEW v CASCADE;".into());
    survives("CREATE TABLE p (a int) PARTITION BY LIST (a); ALTER TABLE p ATTACH PARTITION p DEFAULT; DROP TABLE p;".into());
    survives("CREATE TYPE t1 AS (a int); ALTER TYPE t1 ADD ATTRIBUTE b t1; DROP TYPE t1; CREATE DOMAIN d1 AS d1;".into());
}
