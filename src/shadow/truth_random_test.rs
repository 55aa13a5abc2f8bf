//! Random DDL: after every sequence the catalog and the server must say the same, refusals included.

use fastrand::Rng;

use crate::catalog::Catalog;
use crate::history::{Execution, Script, Send};
use crate::source::SourceFile;

use super::load::Runner;
use super::truth_test::{Truth, play};
use super::*;

/// `AIRLOCK_RANDOM` sequences from `AIRLOCK_SEED` on.
#[test]
fn live_random_ddl_is_followed() {
    let number = |name: &str, or: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(or);
    let (first, count) = (number("AIRLOCK_SEED", 1), number("AIRLOCK_RANDOM", 200));
    let shadow = Shadow::start(&super::tests::options()).expect("starts");
    let db = shadow.database().expect("database");
    let mut runner = Runner::new(&db).expect("sessions");
    let mut helper = db.helper().expect("session");
    let (mut wrong, mut statements, mut refused) = (Vec::new(), 0, 0);
    for seed in first..first + count {
        helper.run("SET client_min_messages = error; DROP SCHEMA IF EXISTS a CASCADE; DROP SCHEMA IF EXISTS b CASCADE").expect("clears");
        let sql = sequence(&mut Rng::with_seed(seed));
        let script = Script::whole(SourceFile::new(format!("seed-{seed}.sql"), sql.clone()), Execution::new(false, Send::Statement));
        let mut catalog = Catalog::new(shadow.pg());
        let mut truth = Truth::default();
        play(&mut runner, &script, &mut catalog, &mut truth);
        statements += truth.statements;
        refused += truth.refused.len();
        let observed = super::catalog::read_with(&mut helper).expect("reads");
        let mut words: Vec<String> = truth.differences.into_iter().map(|(_, w)| w).collect();
        words.extend(catalog.dump().differences(&observed).iter().map(ToString::to_string));
        if !words.is_empty() {
            wrong.push(format!("seed {seed}\n{}\n  {}", numbered(&sql), words.join("\n  ")));
        }
    }
    println!("{count} sequences from seed {first}: {statements} statements, {refused} refused, {} sequences differ", wrong.len());
    assert!(statements > refused * 2, "too little of it runs to be worth anything");
    assert!(wrong.is_empty(), "{} of {count} sequences differ:\n{}", wrong.len(), wrong[..wrong.len().min(limit())].join("\n"));
}

fn limit() -> usize {
    std::env::var("AIRLOCK_TRUTH_LINES").ok().and_then(|v| v.parse().ok()).unwrap_or(5)
}

fn numbered(sql: &str) -> String {
    sql.lines().enumerate().map(|(i, l)| format!("{:4} {l}", i + 1)).collect::<Vec<_>>().join("\n")
}

/// One statement a line.
fn sequence(r: &mut Rng) -> String {
    let mut out = String::from("CREATE SCHEMA a;\nCREATE SCHEMA b;\nSET search_path = a, b;\n");
    for table in ["t1", "t2"] {
        out.push_str(&create_table(r, table));
        out.push_str(";\n");
    }
    let mut depth = 0;
    for _ in 0..r.usize(8..24) {
        let s = match r.usize(0..40) {
            0 if depth == 0 => {
                depth = 1;
                "BEGIN".to_string()
            }
            1 if depth == 1 => {
                depth = 2;
                "SAVEPOINT x".to_string()
            }
            2 if depth == 2 => "ROLLBACK TO x".to_string(),
            3 if depth == 2 => {
                depth = 1;
                "RELEASE x".to_string()
            }
            4 | 5 if depth > 0 => {
                depth = 0;
                pick(r, &["COMMIT", "ROLLBACK"]).to_string()
            }
            6 => format!("SET search_path = {}", pick(r, &["a, b", "b, a", "b", "a"])),
            _ => statement(r),
        };
        out.push_str(&s);
        out.push_str(";\n");
    }
    if depth > 0 {
        out.push_str("COMMIT;\n");
    }
    out
}

fn pick<'a>(r: &mut Rng, of: &[&'a str]) -> &'a str {
    of[r.usize(0..of.len())]
}

fn maybe<'a>(r: &mut Rng, one_in: usize, words: &'a str) -> &'a str {
    if r.usize(0..one_in) == 0 { words } else { "" }
}

fn table(r: &mut Rng) -> String {
    format!("{}{}", maybe(r, 6, "b."), pick(r, &["t1", "t1", "t2", "t2", "t3", "p1", "p2"]))
}

fn column(r: &mut Rng) -> &'static str {
    pick(r, &["c1", "c1", "c2", "c2", "c3", "c4"])
}

fn ty(r: &mut Rng) -> &'static str {
    pick(
        r,
        &[
            "int",
            "int",
            "bigint",
            "text",
            "text",
            "varchar(10)",
            "numeric(8,2)",
            "timestamptz(3)",
            "boolean",
            "e1",
            "d1",
            "k1",
            "int[]",
            "e1[]",
            "char",
        ],
    )
}

/// A second definition of a column in a CREATE TABLE is refused whole, so the names count up.
fn create_table(r: &mut Rng, name: &str) -> String {
    let mut parts = Vec::new();
    for i in 1..=r.usize(2..5) {
        let c = format!("c{i}");
        let more = match r.usize(0..14) {
            0 if i == 1 => "int PRIMARY KEY".to_string(),
            1 if i == 1 => "serial PRIMARY KEY".to_string(),
            2 if i == 1 => "bigint GENERATED ALWAYS AS IDENTITY".to_string(),
            3 => "text NOT NULL".to_string(),
            4 => "int UNIQUE".to_string(),
            5 => format!("int CHECK ({c} > 0)"),
            6 => "text DEFAULT 'x'".to_string(),
            7 if i > 1 => "int GENERATED ALWAYS AS (1 + 1) STORED".to_string(),
            8 => "text COLLATE \"C\"".to_string(),
            9 => "smallserial".to_string(),
            10 => "varchar(7) DEFAULT NULL".to_string(),
            _ => pick(r, &["int", "int", "text", "bigint"]).to_string(),
        };
        parts.push(format!("{c} {more}"));
    }
    match r.usize(0..8) {
        0 => parts.push("UNIQUE (c1, c2)".to_string()),
        1 => parts.push("CONSTRAINT k CHECK (c1 IS NOT NULL)".to_string()),
        2 => parts.push("CHECK (c1 IS NOT NULL AND c2 IS NOT NULL)".to_string()),
        3 => parts.push("UNIQUE (c2) DEFERRABLE INITIALLY DEFERRED".to_string()),
        _ => {}
    }
    format!("CREATE TABLE {name} ({})", parts.join(", "))
}

fn statement(r: &mut Rng) -> String {
    match r.usize(0..30) {
        0 => {
            let t = table(r);
            create_table(r, &t)
        }
        1 => {
            let (t, o) = (table(r), table(r));
            let how = pick(
                r,
                &[
                    "INCLUDING ALL",
                    "",
                    "INCLUDING DEFAULTS INCLUDING INDEXES",
                    "INCLUDING CONSTRAINTS INCLUDING IDENTITY INCLUDING GENERATED",
                ],
            );
            format!("CREATE TABLE {}{t} (LIKE {o} {how})", maybe(r, 3, "IF NOT EXISTS "))
        }
        2 => {
            let (t, o) = (table(r), table(r));
            format!("CREATE TABLE {t} ({}) INHERITS ({o})", maybe(r, 2, "c9 int"))
        }
        3..=5 => partitions(r),
        6..=14 => alter(r),
        15 => {
            let t = table(r);
            format!("DROP TABLE {}{t}{}", maybe(r, 3, "IF EXISTS "), maybe(r, 2, " CASCADE"))
        }
        16..=18 => index(r),
        19..=21 => types(r),
        22 | 23 => views(r),
        24 | 25 => code(r),
        26 => rights(r),
        27 => comment(r),
        _ => sequences(r),
    }
}

fn partitions(r: &mut Rng) -> String {
    let p = pick(r, &["p1", "p2"]);
    let (from, n) = (r.u32(0..4) * 10, r.u32(1..4));
    match r.usize(0..6) {
        0 | 1 => {
            let more = pick(r, &["", ", PRIMARY KEY (c1)", ", UNIQUE (c1, c2)", ", CHECK (c1 > 0)"]);
            format!("CREATE TABLE {p} (c1 int {}, c2 text{more}) PARTITION BY RANGE (c1)", maybe(r, 3, "NOT NULL"))
        }
        2 => format!("CREATE TABLE {p}_{n} PARTITION OF {p} FOR VALUES FROM ({from}) TO ({})", from + 10),
        3 => {
            let t = table(r);
            format!("ALTER TABLE {p} ATTACH PARTITION {t} FOR VALUES FROM ({from}) TO ({})", from + 10)
        }
        4 => format!("ALTER TABLE {p} DETACH PARTITION {p}_{n}"),
        _ => format!("ALTER TABLE {p}_{n} RENAME TO t3"),
    }
}

fn alter(r: &mut Rng) -> String {
    let (t, c) = (table(r), column(r));
    let only = maybe(r, 8, "ONLY ");
    let action = match r.usize(0..30) {
        0..=2 => {
            let def = pick(r, &["", " NOT NULL", " DEFAULT 1", " UNIQUE", " PRIMARY KEY", " CHECK (true)"]);
            format!("ADD COLUMN {}{c} {}{def}", maybe(r, 4, "IF NOT EXISTS "), ty(r))
        }
        3 => format!(
            "ADD COLUMN {c} {}",
            pick(r, &["serial", "bigint GENERATED BY DEFAULT AS IDENTITY", "int GENERATED ALWAYS AS (c1) STORED"])
        ),
        4 | 5 => format!("DROP COLUMN {}{c}{}", maybe(r, 3, "IF EXISTS "), maybe(r, 2, " CASCADE")),
        6 => format!("RENAME COLUMN {c} TO {}", pick(r, &["c5", "c6", "c3"])),
        7 => format!("RENAME TO {}", pick(r, &["t3", "t4", "t1"])),
        8 | 9 => {
            let ty = pick(r, &["bigint", "text", "varchar(20)", "numeric", "int"]);
            let using = if r.bool() { format!(" USING {c}::text::{ty}") } else { String::new() };
            format!("ALTER COLUMN {c} TYPE {ty}{using}")
        }
        10 => format!("ALTER COLUMN {c} SET DEFAULT {}", pick(r, &["1", "NULL", "now()", "'2'"])),
        11 => format!("ALTER COLUMN {c} DROP DEFAULT"),
        12 => format!("ALTER COLUMN {c} SET NOT NULL"),
        13 => format!("ALTER COLUMN {c} DROP NOT NULL"),
        14 => format!("ADD CHECK ({c} IS NOT NULL){}", maybe(r, 3, " NOT VALID")),
        15 => format!("ADD CONSTRAINT k CHECK (c1 IS NOT NULL){}", maybe(r, 3, " NO INHERIT")),
        16 => format!("ADD UNIQUE ({c})"),
        17 => format!("ADD PRIMARY KEY ({c})"),
        18 | 19 => {
            let o = table(r);
            format!("ADD FOREIGN KEY ({c}) REFERENCES {o}{}{}", maybe(r, 2, " ON DELETE CASCADE"), maybe(r, 3, " NOT VALID"))
        }
        20 => {
            let name = pick(r, &["k", "t1_pkey", "t2_pkey", "t1_c1_key", "t1_c2_check", "t2_c2_fkey", "t1_c1_fkey"]);
            format!("DROP CONSTRAINT {}{name}{}", maybe(r, 2, "IF EXISTS "), maybe(r, 2, " CASCADE"))
        }
        21 => format!("RENAME CONSTRAINT {} TO k2", pick(r, &["k", "t1_pkey", "t2_pkey", "t1_c1_key", "t1_c2_check"])),
        22 => format!("VALIDATE CONSTRAINT {}", pick(r, &["k", "t1_c1_check", "t1_c1_fkey", "t2_c2_fkey"])),
        23 => format!("{}INHERIT {}", maybe(r, 2, "NO "), pick(r, &["t1", "t2"])),
        24 => format!("SET SCHEMA {}", pick(r, &["a", "b"])),
        25 => format!(
            "ALTER COLUMN {c} {}",
            pick(r, &["ADD GENERATED ALWAYS AS IDENTITY", "DROP IDENTITY IF EXISTS", "DROP EXPRESSION IF EXISTS"])
        ),
        26 => pick(r, &["ENABLE ROW LEVEL SECURITY", "FORCE ROW LEVEL SECURITY", "DISABLE ROW LEVEL SECURITY"]).to_string(),
        27 => pick(r, &["DISABLE TRIGGER g1", "ENABLE TRIGGER ALL", "ENABLE ALWAYS TRIGGER g1", "DISABLE TRIGGER USER"]).to_string(),
        28 => format!("ADD COLUMN c7 int, DROP COLUMN {c}, ADD CHECK (c7 > 0)"),
        _ => pick(r, &["SET UNLOGGED", "SET LOGGED", "REPLICA IDENTITY FULL"]).to_string(),
    };
    format!("ALTER TABLE {only}{t} {action}")
}

fn index(r: &mut Rng) -> String {
    let (t, c, d) = (table(r), column(r), column(r));
    match r.usize(0..8) {
        0..=4 => {
            let name = pick(r, &["", "", "i1", "i2", "IF NOT EXISTS i1"]);
            let key = match r.usize(0..5) {
                0 => format!("{c}, {d}"),
                1 => format!("lower({c}::text)"),
                2 => format!("{c} DESC NULLS LAST"),
                3 => format!("({c} IS NULL), {d}"),
                _ => c.to_string(),
            };
            let filter = if r.usize(0..4) == 0 { format!(" WHERE {d} IS NOT NULL") } else { String::new() };
            format!("CREATE {}INDEX {name} ON {}{t} ({key}){filter}", maybe(r, 4, "UNIQUE "), maybe(r, 8, "ONLY "))
        }
        5 => format!(
            "DROP INDEX {}{}{}",
            maybe(r, 2, "IF EXISTS "),
            pick(r, &["i1", "i2", "t1_c1_idx", "t1_c2_idx", "t1_pkey"]),
            maybe(r, 3, " CASCADE")
        ),
        6 => format!("ALTER INDEX {} RENAME TO i3", pick(r, &["i1", "t1_c1_idx", "t1_pkey", "t2_pkey"])),
        _ => {
            let u = pick(r, &["UNIQUE", "PRIMARY KEY"]);
            format!("ALTER TABLE {t} ADD CONSTRAINT k3 {u} USING INDEX i1")
        }
    }
}

fn types(r: &mut Rng) -> String {
    match r.usize(0..14) {
        0 | 1 => "CREATE TYPE e1 AS ENUM ('x', 'y')".to_string(),
        2 => format!(
            "ALTER TYPE e1 ADD VALUE {}'{}'{}",
            maybe(r, 2, "IF NOT EXISTS "),
            pick(r, &["z", "w", "x"]),
            pick(r, &["", " BEFORE 'y'", " AFTER 'x'"])
        ),
        3 => "ALTER TYPE e1 RENAME VALUE 'x' TO 'v'".to_string(),
        4 | 5 => format!(
            "CREATE DOMAIN d1 AS {}{}",
            pick(r, &["int", "text", "varchar(5)"]),
            pick(r, &["", " NOT NULL", " CHECK (VALUE IS NOT NULL)", " DEFAULT NULL"])
        ),
        6 => format!(
            "ALTER DOMAIN d1 {}",
            pick(
                r,
                &[
                    "SET NOT NULL",
                    "DROP NOT NULL",
                    "ADD CHECK (VALUE IS NOT NULL)",
                    "DROP CONSTRAINT IF EXISTS d1_check",
                    "SET DEFAULT NULL",
                    "DROP DEFAULT"
                ]
            )
        ),
        7 | 8 => "CREATE TYPE k1 AS (x int, y text)".to_string(),
        9 => format!(
            "ALTER TYPE k1 {}",
            pick(r, &["ADD ATTRIBUTE z int", "DROP ATTRIBUTE x", "ALTER ATTRIBUTE y TYPE varchar(3)", "RENAME ATTRIBUTE x TO w"])
        ),
        10 => format!("DROP TYPE {}{}{}", maybe(r, 2, "IF EXISTS "), pick(r, &["e1", "k1"]), maybe(r, 2, " CASCADE")),
        11 => format!("DROP DOMAIN d1{}", maybe(r, 2, " CASCADE")),
        12 => format!("ALTER TYPE {} RENAME TO e2", pick(r, &["e1", "k1", "d1"])),
        _ => format!("ALTER TYPE {} SET SCHEMA b", pick(r, &["e1", "k1"])),
    }
}

fn views(r: &mut Rng) -> String {
    let (t, c, d) = (table(r), column(r), column(r));
    match r.usize(0..9) {
        0 => format!("CREATE VIEW v1 AS SELECT {c} FROM {t}"),
        1 => format!("CREATE OR REPLACE VIEW v1 AS SELECT {c}, {d} AS z FROM {t}"),
        2 => format!("CREATE VIEW v2 AS SELECT * FROM {}", pick(r, &["t1", "v1", "t2"])),
        3 => format!("CREATE MATERIALIZED VIEW m1 AS SELECT {c}, count(*) AS n FROM {t} GROUP BY {c}"),
        4 => format!("DROP VIEW {}{}{}", maybe(r, 2, "IF EXISTS "), pick(r, &["v1", "v2"]), maybe(r, 2, " CASCADE")),
        5 => format!("DROP MATERIALIZED VIEW m1{}", maybe(r, 2, " CASCADE")),
        6 => format!("ALTER VIEW v1 RENAME {}", pick(r, &["TO v3", "COLUMN c1 TO q"])),
        7 => format!("ALTER VIEW v1 SET SCHEMA {}", pick(r, &["a", "b"])),
        _ => format!("CREATE TABLE t4 AS SELECT {c}, {d} AS w FROM {t}"),
    }
}

fn code(r: &mut Rng) -> String {
    let t = table(r);
    match r.usize(0..13) {
        0 => "CREATE FUNCTION f1(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1'".to_string(),
        1 => "CREATE OR REPLACE FUNCTION f1(x int, OUT y text, OUT z int) LANGUAGE plpgsql AS 'BEGIN END'".to_string(),
        2 => "CREATE FUNCTION f1(text) RETURNS SETOF int LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT 1'".to_string(),
        3 | 4 => "CREATE OR REPLACE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'".to_string(),
        5 | 6 => {
            let events = pick(r, &["INSERT", "UPDATE OF c1", "DELETE OR UPDATE", "INSERT OR UPDATE OR DELETE"]);
            format!(
                "CREATE {}TRIGGER g1 {} {events} ON {t} FOR EACH {} EXECUTE FUNCTION g()",
                maybe(r, 3, "OR REPLACE "),
                pick(r, &["BEFORE", "AFTER"]),
                pick(r, &["ROW", "ROW", "STATEMENT"])
            )
        }
        7 => format!("DROP TRIGGER {}g1 ON {t}", maybe(r, 2, "IF EXISTS ")),
        8 => format!("DROP FUNCTION {}{}{}", maybe(r, 2, "IF EXISTS "), pick(r, &["f1(int)", "f1", "g()", "g"]), maybe(r, 2, " CASCADE")),
        9 => format!(
            "CREATE POLICY y1 ON {t} {}",
            pick(r, &["USING (c1 IS NOT NULL)", "FOR INSERT WITH CHECK (true)", "AS RESTRICTIVE FOR SELECT USING (c1 IS NULL)"])
        ),
        10 => format!("{} y1 ON {t}", pick(r, &["DROP POLICY", "DROP POLICY IF EXISTS"])),
        11 => format!("ALTER POLICY y1 ON {t} RENAME TO y2"),
        _ => format!(
            "ALTER FUNCTION {} {}",
            pick(r, &["f1(int)", "g()"]),
            pick(r, &["RENAME TO f2", "STABLE", "SECURITY DEFINER", "SET SCHEMA b"])
        ),
    }
}

fn rights(r: &mut Rng) -> String {
    let (t, c) = (table(r), column(r));
    match r.usize(0..8) {
        0 | 1 => format!("GRANT {} ON {t} TO PUBLIC", pick(r, &["SELECT", "ALL", "INSERT, UPDATE"])),
        2 => format!("REVOKE {} ON {t} FROM PUBLIC", pick(r, &["SELECT", "ALL", "UPDATE"])),
        3 => format!("GRANT SELECT ({c}), UPDATE (c1) ON {t} TO PUBLIC"),
        4 => format!("{} ON SCHEMA b {} PUBLIC", "GRANT USAGE", "TO"),
        5 => "REVOKE EXECUTE ON FUNCTION f1(int) FROM PUBLIC".to_string(),
        6 => format!(
            "ALTER DEFAULT PRIVILEGES IN SCHEMA a {}",
            pick(r, &["GRANT SELECT ON TABLES TO PUBLIC", "REVOKE SELECT ON TABLES FROM PUBLIC", "GRANT USAGE ON SEQUENCES TO PUBLIC"])
        ),
        _ => format!("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO PUBLIC", pick(r, &["a", "b"])),
    }
}

fn comment(r: &mut Rng) -> String {
    let (t, c) = (table(r), column(r));
    let text = pick(r, &["'one'", "'two'", "NULL", "''"]);
    match r.usize(0..7) {
        0 | 1 => format!("COMMENT ON TABLE {t} IS {text}"),
        2 | 3 => format!("COMMENT ON COLUMN {t}.{c} IS {text}"),
        4 => format!("COMMENT ON CONSTRAINT k ON {t} IS {text}"),
        5 => format!("COMMENT ON INDEX i1 IS {text}"),
        _ => format!("COMMENT ON TYPE {} IS {text}", pick(r, &["e1", "k1", "d1"])),
    }
}

fn sequences(r: &mut Rng) -> String {
    let (t, c) = (table(r), column(r));
    match r.usize(0..8) {
        0 | 1 => format!("CREATE SEQUENCE s1{}", pick(r, &["", " AS int", " START 5 INCREMENT 2 MAXVALUE 100 CYCLE"])),
        2 => format!("ALTER SEQUENCE s1 OWNED BY {t}.{c}"),
        3 => "ALTER SEQUENCE s1 OWNED BY NONE".to_string(),
        4 => format!("ALTER TABLE {t} ALTER COLUMN {c} SET DEFAULT nextval('s1')"),
        5 => format!("DROP SEQUENCE {}{}{}", maybe(r, 2, "IF EXISTS "), pick(r, &["s1", "t1_c1_seq"]), maybe(r, 2, " CASCADE")),
        6 => format!("ALTER SEQUENCE {} RENAME TO s2", pick(r, &["s1", "t1_c1_seq"])),
        _ => format!("ALTER SEQUENCE s1 SET SCHEMA {}", pick(r, &["a", "b"])),
    }
}
