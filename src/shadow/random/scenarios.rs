//! What random statements found once: each ends with the statement that was judged wrongly.

use std::ops::RangeInclusive;

use super::*;

struct Scenario {
    name: &'static str,
    on: RangeInclusive<u8>,
    /// The SQLSTATE with which the last statement is refused.
    refused: Option<&'static str>,
    sql: &'static [&'static str],
}

const ALL: RangeInclusive<u8> = 14..=18;

const fn works(name: &'static str, sql: &'static [&'static str]) -> Scenario {
    Scenario { name, on: ALL, refused: None, sql }
}

const fn refused(name: &'static str, state: &'static str, sql: &'static [&'static str]) -> Scenario {
    Scenario { name, on: ALL, refused: Some(state), sql }
}

const TYPED: [&str; 4] =
    ["CREATE TYPE ty AS (x int, y text)", "CREATE TABLE t OF ty", "INSERT INTO t VALUES (1, 'a')", "CREATE TABLE c () INHERITS (t)"];

const LIST: &[Scenario] = &[
    refused("a type with tables is not altered", "2BP01", &[TYPED[0], TYPED[1], "ALTER TYPE ty ADD ATTRIBUTE z int"]),
    refused("the tables of a type come first", "2BP01", &[TYPED[0], TYPED[1], "ALTER TYPE ty DROP ATTRIBUTE IF EXISTS missing"]),
    refused("an attribute with tables is not renamed", "2BP01", &[TYPED[0], TYPED[1], "ALTER TYPE ty RENAME ATTRIBUTE x TO z"]),
    works("a new attribute goes on to tables", &[TYPED[0], TYPED[1], TYPED[2], TYPED[3], "ALTER TYPE ty ADD ATTRIBUTE z int CASCADE"]),
    works("an attribute goes with its columns", &[TYPED[0], TYPED[1], TYPED[2], TYPED[3], "ALTER TYPE ty DROP ATTRIBUTE y CASCADE"]),
    works(
        "an attribute's columns change type",
        &[TYPED[0], TYPED[1], TYPED[2], TYPED[3], "ALTER TYPE ty ALTER ATTRIBUTE x TYPE text CASCADE"],
    ),
    works("columns are renamed with it", &[TYPED[0], TYPED[1], TYPED[2], TYPED[3], "ALTER TYPE ty RENAME ATTRIBUTE x TO z CASCADE"]),
    refused("the columns of a table may not be cast", "42804", &[TYPED[0], TYPED[1], "ALTER TYPE ty ALTER ATTRIBUTE x TYPE bytea CASCADE"]),
    works("an attribute without tables needs no cast", &[TYPED[0], "ALTER TYPE ty ALTER ATTRIBUTE x TYPE bytea"]),
    works("an attribute without tables is added", &[TYPED[0], "ALTER TYPE ty ADD ATTRIBUTE z int"]),
    refused(
        "a stored attribute keeps its type",
        "0A000",
        &[
            TYPED[0],
            "CREATE TYPE o AS (i ty)",
            "CREATE DOMAIN d AS o",
            "CREATE TABLE s (a d[])",
            "ALTER TYPE ty ALTER ATTRIBUTE x TYPE bigint",
        ],
    ),
    refused("a typed table's column keeps its name", "42809", &[TYPED[0], TYPED[1], "ALTER TABLE t RENAME x TO z"]),
    refused("a typed table inherits nothing", "42809", &[TYPED[0], TYPED[1], "CREATE TABLE p ()", "ALTER TABLE t INHERIT p"]),
    refused(
        "a typed table is no partition",
        "42809",
        &[TYPED[0], TYPED[1], "CREATE TABLE p (x int, y text) PARTITION BY LIST (x)", "ALTER TABLE p ATTACH PARTITION t FOR VALUES IN (1)"],
    ),
    refused("a type goes with its tables only", "2BP01", &[TYPED[0], TYPED[1], "DROP TYPE ty"]),
    works("CASCADE drops the tables of a type", &[TYPED[0], TYPED[1], TYPED[2], TYPED[3], "DROP TYPE ty CASCADE"]),
    works("a partition is detached with its own partitions", &[TREE[0], TREE[1], TREE[2], TREE[3], "ALTER TABLE p DETACH PARTITION q"]),
    works(
        "a tree is attached and read",
        &[
            TREE[0],
            TREE[1],
            TREE[2],
            TREE[3],
            "ALTER TABLE p DETACH PARTITION q",
            "ALTER TABLE p ATTACH PARTITION q FOR VALUES FROM (0) TO (100)",
        ],
    ),
    works(
        "nothing is read where a tree has no leaves",
        &[TREE[0], TREE[1], "CREATE TABLE f (id int REFERENCES p)", "INSERT INTO f VALUES (NULL)", "ALTER TABLE p DETACH PARTITION q"],
    ),
    works("a referenced partition is detached before it is dropped", &[TREE[0], "CREATE TABLE f (id int REFERENCES p)", TREE[1]]),
    Scenario {
        name: "a table without partitions remembers them until ANALYZE",
        on: 14..=15,
        refused: None,
        sql: &[TREE[0], TREE[1], "DROP TABLE q", "CREATE TABLE c AS SELECT id FROM p", "ANALYZE p", "CREATE TABLE d AS SELECT id FROM p"],
    },
    refused(
        "the bound's words come before the columns",
        "42P16",
        &["CREATE TABLE p (id int) PARTITION BY HASH (id)", "CREATE TABLE q (other int)", "ALTER TABLE p ATTACH PARTITION q DEFAULT"],
    ),
    refused(
        "a partition sorts as its table does",
        "42P21",
        &[
            "CREATE TABLE p (id int, t text COLLATE \"C\") PARTITION BY LIST (id)",
            "CREATE TABLE q (id int, t text)",
            "ALTER TABLE p ATTACH PARTITION q FOR VALUES IN (1)",
        ],
    ),
    works("a condition that leaves no partition meets no publication", &[SENT[0], SENT[1], SENT[2], "DELETE FROM p WHERE id IS NULL"]),
    works("nor does one that leaves others", &[SENT[0], SENT[1], SENT[2], "DELETE FROM p WHERE id >= 20 AND (id IS NOT NULL)"]),
    refused("a condition that leaves one does", "55000", &[SENT[0], SENT[1], SENT[2], "UPDATE p SET t = 'x' WHERE id > 18"]),
    works(
        "views of the session's role are read",
        &["CREATE TABLE t (a int)", "CREATE VIEW v AS SELECT a FROM t", "ALTER VIEW v OWNER TO CURRENT_USER", "SELECT a FROM v"],
    ),
    works(
        "a serial column without its default",
        &["CREATE TABLE t (a int, b serial)", "INSERT INTO t VALUES (1)", "ALTER TABLE t ALTER b SET DEFAULT NULL, ALTER a SET NOT NULL"],
    ),
];

/// Partitions of partitions, with a row.
const TREE: [&str; 4] = [
    "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)",
    "CREATE TABLE q PARTITION OF p FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (id)",
    "CREATE TABLE r PARTITION OF q FOR VALUES FROM (0) TO (10)",
    "INSERT INTO p VALUES (1)",
];

/// One of two partitions is published and cannot tell its rows apart.
const SENT: [&str; 3] = [
    "CREATE TABLE p (id int, t text) PARTITION BY RANGE (id)",
    "CREATE TABLE q PARTITION OF p FOR VALUES FROM (10) TO (20)",
    "CREATE PUBLICATION pub FOR TABLE q",
];

#[test]
fn what_was_judged_wrongly_once_live() {
    let shadow = Shadow::start(&super::super::tests::options()).expect("starts");
    let pg = shadow.pg().0;
    let mut wrong = Vec::new();
    for s in LIST.iter().filter(|s| s.on.contains(&pg)) {
        let mut tally = Tally::default();
        let mut db = Database::new(&shadow, 1);
        for (i, sql) in s.sql.iter().enumerate() {
            let last = i + 1 == s.sql.len();
            db.watched = last;
            if *sql == "BEGIN" {
                db.begin();
                continue;
            }
            let state = db.judge(sql).and_then(|j| j.effects.fails);
            let expected = s.refused.filter(|_| last);
            if state.as_deref() != expected {
                wrong.push(format!("{}: {sql}: predicted {state:?}, expected {expected:?}", s.name));
            }
            db.one(sql, &mut tally);
        }
        for mut found in [tally.differences, tally.broken, tally.stuck] {
            wrong.extend(found.drain(..).map(|d| format!("{}: {d}", s.name)));
        }
    }
    assert!(wrong.is_empty(), "{} on {pg}:\n{}", wrong.len(), wrong.join("\n"));
}
