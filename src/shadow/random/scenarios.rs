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

mod names;
mod partitions;

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
    refused("ONLY drops no column above partitions", "42P16", &[ONLY[0], ONLY[1], "ALTER TABLE ONLY p DROP COLUMN a"]),
    refused(
        "ONLY makes no foreign key",
        "42809",
        &[ONLY[0], "CREATE TABLE f (id int PRIMARY KEY)", "ALTER TABLE ONLY p ADD FOREIGN KEY (a) REFERENCES f"],
    ),
    refused(
        "ONLY validates nothing above partitions",
        "42P16",
        &[ONLY[0], ONLY[1], "ALTER TABLE p ADD CONSTRAINT k CHECK (a > 0) NOT VALID", "ALTER TABLE ONLY p VALIDATE CONSTRAINT k"],
    ),
    Scenario {
        name: "ONLY takes no NOT NULL away above partitions",
        on: 14..=17,
        refused: Some("42P16"),
        sql: &[ONLY[0], ONLY[1], "ALTER TABLE ONLY p ALTER a DROP NOT NULL"],
    },
    Scenario {
        name: "ONLY needs a key that is NOT NULL below",
        on: 14..=17,
        refused: Some("42P16"),
        sql: &[
            "CREATE TABLE p (id int) PARTITION BY LIST (id)",
            "CREATE TABLE q PARTITION OF p DEFAULT",
            "ALTER TABLE ONLY p ADD PRIMARY KEY (id)",
        ],
    },
    works("a key of ONLY the table locks no partition", &[ONLY[0], ONLY[1], "ALTER TABLE ONLY p ADD UNIQUE (id, a)"]),
    Scenario {
        name: "a check is dropped from ONLY the table",
        on: 18..=18,
        refused: None,
        sql: &[ONLY[0], ONLY[1], "ALTER TABLE p ADD CONSTRAINT k CHECK (a > 0)", "ALTER TABLE ONLY p DROP CONSTRAINT k"],
    },
    refused("a view over an index", "42809", &["CREATE TABLE t (a int PRIMARY KEY)", "CREATE VIEW v AS SELECT * FROM t_pkey"]),
    refused("a view with a cast that is none", "42846", &["CREATE TABLE t (a int[])", "CREATE VIEW v AS SELECT a::jsonb FROM t"]),
    refused(
        "a generated column with such a cast",
        "42846",
        &["CREATE TABLE t (a int[])", "ALTER TABLE t ADD b jsonb GENERATED ALWAYS AS (a::jsonb) STORED"],
    ),
    works(
        "arrays are no JSON",
        &["CREATE TABLE t (a int[])", "INSERT INTO t VALUES ('{1}')", "ALTER TABLE t ALTER a TYPE jsonb USING to_jsonb(a)"],
    ),
    works(
        "bits are read from more than ones",
        &["CREATE TABLE t (a bit varying(9))", "INSERT INTO t VALUES (B'1')", "ALTER TABLE t ALTER a TYPE varchar(12)"],
    ),
    refused(
        "a range refers to no number",
        "42804",
        &["CREATE TYPE r AS RANGE (subtype = float8)", "CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE u (a r REFERENCES t)"],
    ),
    refused(
        "a key by an index that sorts backwards",
        "42809",
        &["CREATE TABLE t (a int)", "CREATE UNIQUE INDEX i ON t (a DESC)", "ALTER TABLE t ADD CONSTRAINT k UNIQUE USING INDEX i"],
    ),
    works(
        "a function over views",
        &[
            "CREATE TABLE t (a int)",
            "CREATE VIEW v AS SELECT a FROM t",
            "CREATE FUNCTION f() RETURNS SETOF v LANGUAGE sql AS 'SELECT * FROM v'",
        ],
    ),
    works(
        "indexes of partitions are made anew with every type",
        &[
            "CREATE TABLE p (id int, a varchar(9)) PARTITION BY LIST (id)",
            "CREATE INDEX i ON p (a)",
            "CREATE TABLE q (id int, a varchar(9))",
            "CREATE INDEX own ON q (a DESC)",
            "ALTER TABLE p ATTACH PARTITION q FOR VALUES IN (1)",
            "INSERT INTO p VALUES (1, 'x')",
            "ALTER TABLE p ALTER a TYPE varchar(20)",
        ],
    ),
    works(
        "a foreign key to a tree is dropped",
        &[TREE[0], TREE[1], TREE[2], "CREATE TABLE f (id int CONSTRAINT k REFERENCES p)", "ALTER TABLE f DROP CONSTRAINT k"],
    ),
    works(
        "a foreign key to a tree is made again",
        &[TREE[0], TREE[1], TREE[2], "CREATE TABLE f (id int REFERENCES p)", "ALTER TABLE f ALTER id TYPE bigint"],
    ),
    works(
        "a referenced partition goes with the keys of partitions",
        &[TREE[0], TREE[1], TREE[2], KEYS[0], KEYS[1], KEYS[2], "DROP TABLE q CASCADE"],
    ),
    works(
        "a partition that refers is detached",
        &[TREE[0], TREE[1], TREE[2], KEYS[0], KEYS[1], KEYS[2], "ALTER TABLE f DETACH PARTITION g"],
    ),
    works("partitions that refer are asked", &[TREE[0], TREE[1], TREE[2], KEYS[0], KEYS[1], KEYS[2], "ALTER TABLE p DETACH PARTITION q"]),
    works(
        "partitions that cannot refer are not asked",
        &[
            "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY LIST (id)",
            "CREATE TABLE q PARTITION OF p FOR VALUES IN (1)",
            KEYS[0],
            KEYS[1],
            KEYS[2],
            "ALTER TABLE p DETACH PARTITION q",
        ],
    ),
    works(
        "a condition on the key leaves partitions out",
        &[
            TREE[0],
            TREE[1],
            TREE[2],
            "CREATE TABLE s PARTITION OF p FOR VALUES FROM (MINVALUE) TO (-10)",
            "CREATE VIEW v AS SELECT id FROM p WHERE id > 2",
            "CREATE TABLE c AS SELECT * FROM v",
        ],
    ),
    refused(
        "rows of materialized views are not locked through views",
        "42809",
        &["CREATE MATERIALIZED VIEW m AS SELECT 1 AS a", "CREATE VIEW v AS SELECT a FROM m", "SELECT a FROM v FOR UPDATE"],
    ),
    refused(
        "a new column's type comes before the children",
        "42704",
        &["CREATE TABLE t (a int)", "CREATE TABLE c () INHERITS (t)", "ALTER TABLE ONLY t ADD b missing"],
    ),
    Scenario {
        name: "an identity keeps its NOT NULL",
        on: 18..=18,
        refused: None,
        sql: &["CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY)", "ALTER TABLE t VALIDATE CONSTRAINT t_a_not_null"],
    },
    works(
        "a new key goes through the children",
        &["CREATE TABLE t (a int NOT NULL)", "CREATE TABLE c () INHERITS (t)", "ALTER TABLE t ADD PRIMARY KEY (a)"],
    ),
    refused(
        "a condition of an index holds the type",
        "42883",
        &["CREATE TABLE t (a int)", "CREATE INDEX i ON t (a) WHERE a > -1", "ALTER TABLE t ALTER a TYPE text"],
    ),
    refused(
        "an index has no bounds",
        "42P17",
        &[TREE[0], "CREATE TABLE c (id int)", "ALTER TABLE p_pkey ATTACH PARTITION c FOR VALUES FROM (1) TO (2)"],
    ),
    works(
        "a view that names what is called otherwise does not come back",
        &[
            "CREATE TABLE t (a int)",
            "CREATE TABLE u (a int)",
            "CREATE VIEW v AS SELECT a FROM t",
            "ALTER TABLE t RENAME a TO b",
            "CREATE OR REPLACE VIEW v AS SELECT a FROM u",
        ],
    ),
    refused(
        "a typed table sorts as its type does",
        "42804",
        &[TYPED[0], "CREATE TABLE t (x int, y text COLLATE \"C\")", "ALTER TABLE t OF ty"],
    ),
    Scenario {
        name: "a partitioned table stays logged",
        on: 14..=17,
        refused: None,
        sql: &["CREATE TABLE p (id int) PARTITION BY LIST (id)", "ALTER TABLE p SET UNLOGGED", "CREATE PUBLICATION pub FOR TABLE p"],
    },
    Scenario {
        name: "the key of the table above is not altered",
        on: 14..=17,
        refused: Some("XX000"),
        sql: &[TREE[0], KEYS[0], KEYS[1], "ALTER TABLE g ALTER CONSTRAINT f_id_fkey DEFERRABLE"],
    },
    refused(
        "a partition that was detached beside the running system keeps a check",
        "42804",
        &[
            TREE[0],
            TREE[1],
            TREE[2],
            "ALTER TABLE p DETACH PARTITION q CONCURRENTLY",
            "CREATE TABLE n (id int NOT NULL)",
            "ALTER TABLE q ATTACH PARTITION n FOR VALUES FROM (50) TO (60)",
        ],
    ),
    refused(
        "an index cannot be attached to",
        "42809",
        &["CREATE TABLE t (a int PRIMARY KEY)", "CREATE TABLE c (a int)", "ALTER TABLE t_pkey ATTACH PARTITION c DEFAULT"],
    ),
    works(
        "rows follow the new label",
        &[
            "CREATE TYPE e AS ENUM ('a', 'b')",
            "CREATE TABLE t (a e, b serial)",
            "INSERT INTO t VALUES ('a')",
            "ALTER TYPE e RENAME VALUE 'a' TO 'c'",
            "DROP SEQUENCE t_b_seq CASCADE",
        ],
    ),
    refused("a function reads no type", "42809", &[TYPED[0], "CREATE FUNCTION f() RETURNS SETOF ty LANGUAGE sql AS 'SELECT * FROM ty'"]),
    works(
        "an index to cluster on is locked like its table",
        &["CREATE TABLE t (a int PRIMARY KEY)", "ALTER TABLE t CLUSTER ON t_pkey, ENABLE TRIGGER USER"],
    ),
    works("blanks are no bits", &["CREATE TABLE t (a bit(3))", "INSERT INTO t VALUES (B'101')", "ALTER TABLE t ALTER a TYPE char(9)"]),
    refused(
        "what is computed has a default",
        "55000",
        &["CREATE TABLE t (a int GENERATED ALWAYS AS (1) STORED NOT NULL)", "ALTER TABLE t ALTER a ADD GENERATED ALWAYS AS IDENTITY"],
    ),
    refused(
        "only partitioned indexes have parts",
        "42809",
        &["CREATE TABLE t (a int PRIMARY KEY)", "CREATE TABLE c (a int PRIMARY KEY)", "ALTER INDEX t_pkey ATTACH PARTITION c_pkey"],
    ),
    Scenario {
        name: "virtual columns have no statistics",
        on: 18..=18,
        refused: Some("0A000"),
        sql: &["CREATE TABLE t (a int GENERATED ALWAYS AS (1))", "ALTER TABLE t ALTER a SET STATISTICS 9"],
    },
    Scenario {
        name: "a NOT NULL from above keeps its name",
        on: 18..=18,
        refused: Some("42P16"),
        sql: &[
            "CREATE TABLE t (a int)",
            "CREATE TABLE c () INHERITS (t)",
            "ALTER TABLE t ALTER a SET NOT NULL",
            "ALTER TABLE c RENAME CONSTRAINT t_a_not_null TO n",
        ],
    },
    refused(
        "a key's type comes before other keys",
        "42704",
        &["CREATE TABLE t (a int PRIMARY KEY, b json)", "ALTER TABLE t ADD PRIMARY KEY (b)"],
    ),
    Scenario {
        name: "virtual columns are of plain types",
        on: 18..=18,
        refused: Some("0A000"),
        sql: &["CREATE DOMAIN d AS int", "CREATE TABLE t (a int GENERATED ALWAYS AS (1))", "ALTER TABLE t ALTER a TYPE d"],
    },
    Scenario {
        name: "ONLY alters no constraint",
        on: 18..=18,
        refused: Some("42P16"),
        sql: &[TREE[0], KEYS[0], "ALTER TABLE ONLY f ALTER CONSTRAINT f_id_fkey DEFERRABLE"],
    },
    works(
        "a table with the key is attached",
        &[
            TREE[0],
            TREE[1],
            TREE[2],
            KEYS[0],
            "CREATE TABLE h (id int REFERENCES p)",
            "ALTER TABLE f ATTACH PARTITION h FOR VALUES FROM (5) TO (6)",
        ],
    ),
    works("a foreign key of a partitioned table comes back", &[TREE[0], KEYS[0], "ALTER TABLE f DROP CONSTRAINT f_id_fkey"]),
    works("bounds above a partition are read", &[TREE[0], TREE[1], TREE[2], "CREATE TABLE c AS SELECT * FROM q"]),
    works(
        "members of a tree without such rows are left out",
        &[
            "CREATE TABLE t (a int PRIMARY KEY)",
            "CREATE TABLE c () INHERITS (t)",
            "CREATE PUBLICATION pub FOR TABLE t",
            "DELETE FROM t WHERE a IS NULL",
        ],
    ),
    refused(
        "aggregates of temporary views are not locked",
        "0A000",
        &["CREATE TEMP TABLE t (a int)", "CREATE VIEW v AS SELECT count(*) AS n FROM t", "SELECT n FROM v FOR UPDATE"],
    ),
    refused("a column is looked for before its new type", "42703", &["CREATE TABLE t (a int)", "ALTER TABLE t ALTER b TYPE missing"]),
    refused(
        "whose column it is comes before its new type",
        "42P16",
        &["CREATE TABLE t (a int)", "CREATE TABLE c () INHERITS (t)", "ALTER TABLE c ALTER a TYPE missing"],
    ),
    refused("a partition key comes before its new type", "42P16", &[ONLY[0], "ALTER TABLE p ALTER id TYPE missing"]),
    refused(
        "a domain in arrays is not validated",
        "0A000",
        &[DOMAIN[0], DOMAIN[1], "CREATE TABLE t (a d[])", "ALTER DOMAIN d VALIDATE CONSTRAINT k"],
    ),
    refused(
        "nor is one in composite types",
        "0A000",
        &[DOMAIN[0], "CREATE TYPE c AS (x d)", "CREATE TABLE t (a c)", "ALTER DOMAIN d ADD CHECK (VALUE < 9)"],
    ),
    refused(
        "nor is one below another in arrays",
        "0A000",
        &[DOMAIN[0], "CREATE DOMAIN e AS d", "CREATE TABLE t (a e[])", "ALTER DOMAIN d ADD CHECK (VALUE < 9)"],
    ),
    works("a type of no column holds no values", &[DOMAIN[0], "CREATE TYPE c AS (x d)", "ALTER DOMAIN d ADD CHECK (VALUE < 9)"]),
    works(
        "a valid constraint of a domain is validated again",
        &[DOMAIN[0], DOMAIN[1], "CREATE TABLE t (a d)", "ALTER DOMAIN d VALIDATE CONSTRAINT k"],
    ),
    works(
        "the index of a partitioned table is not built",
        &[ONLY[0], "CREATE INDEX i ON p (abs(a))", ONLY[1], "ALTER TABLE p ALTER a TYPE int"],
    ),
    works(
        "an array takes no default from its domain",
        &[
            "CREATE DOMAIN d AS int DEFAULT 7",
            "CREATE TABLE p (id int NOT NULL, a d[]) PARTITION BY RANGE (id)",
            "CREATE TABLE q PARTITION OF p FOR VALUES FROM (1) TO (10)",
            "INSERT INTO q VALUES (5, '{}')",
            "ALTER TABLE p DETACH PARTITION q",
        ],
    ),
    works(
        "rows go with their partition",
        &[
            ONLY[0],
            ONLY[1],
            "INSERT INTO p VALUES (1, 1)",
            "ALTER TABLE p DETACH PARTITION q",
            "CREATE TABLE r PARTITION OF p FOR VALUES IN (2)",
            "INSERT INTO r VALUES (2, 2)",
            "ALTER TABLE p DETACH PARTITION r",
        ],
    ),
    refused(
        "a domain's constraint is looked for first",
        "42704",
        &[DOMAIN[0], "CREATE TABLE t (a d[])", "ALTER DOMAIN d VALIDATE CONSTRAINT k"],
    ),
    refused(
        "a partition of a table that logged ones refer to stays logged",
        "42P16",
        &[TREE[0], TREE[1], TREE[2], "CREATE TABLE f (id int REFERENCES p)", "ALTER TABLE r SET UNLOGGED"],
    ),
    refused(
        "a partition has no key of its own beside the one from above",
        "42P16",
        &[
            "CREATE TABLE p (id int PRIMARY KEY, x int) PARTITION BY RANGE (id)",
            "CREATE TABLE t (id int NOT NULL, x int, PRIMARY KEY (x, id))",
            "ALTER TABLE p ATTACH PARTITION t FOR VALUES FROM (5) TO (6)",
        ],
    ),
    works(
        "arrays are no ranges",
        &[
            "CREATE TYPE ty AS RANGE (subtype = float8)",
            "CREATE TABLE t (id int PRIMARY KEY, n int[])",
            "INSERT INTO t VALUES (1, '{1}')",
            "ALTER TABLE t ALTER n TYPE ty USING NULL",
        ],
    ),
    works(
        "ranges are no multiranges",
        &[
            "CREATE TABLE t (id int PRIMARY KEY, n int4range)",
            "INSERT INTO t VALUES (1, '[1,2)')",
            "ALTER TABLE t ALTER n TYPE int4multirange USING NULL",
        ],
    ),
    refused("CONCURRENTLY is refused by its words", "25001", &[ONLY[0], "CREATE INDEX i ON p (a)", "BEGIN", "DROP INDEX CONCURRENTLY i"]),
    works(
        "a key that was asked at the end of a transaction is asked at once",
        &[
            "CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED)",
            "INSERT INTO t VALUES (1, 1)",
            "CREATE UNIQUE INDEX i ON t (a)",
        ],
    ),
    works(
        "a trigger's function has another name",
        &[
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
            "CREATE TABLE t (a int)",
            "CREATE TRIGGER g AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
            "ALTER FUNCTION f RENAME TO h",
            "DROP TRIGGER g ON t",
        ],
    ),
    works(
        "one partition of several is published",
        &[
            "CREATE TABLE p (id int NOT NULL, a int) PARTITION BY LIST (id)",
            ONLY[1],
            "CREATE TABLE r PARTITION OF p FOR VALUES IN (2)",
            "CREATE UNIQUE INDEX ON p (id)",
            "INSERT INTO p VALUES (1, 1)",
            "CREATE PUBLICATION pub FOR TABLE r",
            "ALTER TABLE p DETACH PARTITION q",
        ],
    ),
    works(
        "a domain's default fills a new column",
        &["CREATE DOMAIN d AS int DEFAULT 7", "CREATE TABLE t (a int)", "INSERT INTO t VALUES (1)", "ALTER TABLE t ADD b d NOT NULL"],
    ),
    works(
        "a domain's default is another one for each row",
        &["CREATE DOMAIN d AS float8 DEFAULT random()", "CREATE TABLE t (a int)", "INSERT INTO t VALUES (1)", "ALTER TABLE t ADD b d"],
    ),
    refused(
        "no table refers to a partition of its own",
        "55006",
        &[TREE[0], TREE[1], TREE[2], "ALTER TABLE p ADD FOREIGN KEY (id) REFERENCES q (id)"],
    ),
    works(
        "a default partition takes what no other one does",
        &[
            ONLY[0],
            ONLY[1],
            "CREATE TABLE t (id int, a int NOT NULL)",
            "INSERT INTO t VALUES (5, 5)",
            "ALTER TABLE p ATTACH PARTITION t DEFAULT",
        ],
    ),
    refused(
        "a partition gets no column of its own, whatever it is",
        "42809",
        &[TREE[0], TREE[1], TREE[2], "ALTER TABLE q ADD COLUMN n bigint GENERATED BY DEFAULT AS IDENTITY"],
    ),
    works(
        "rows that go with others are published",
        &[
            "CREATE TABLE t (id int PRIMARY KEY)",
            "CREATE TABLE f (t int REFERENCES t ON DELETE CASCADE)",
            "INSERT INTO t VALUES (1)",
            "INSERT INTO f VALUES (1)",
            "CREATE PUBLICATION pub FOR TABLE f",
        ],
    ),
    works(
        "a default of NULL is looked for in the other table",
        &[
            "CREATE TABLE t (id int PRIMARY KEY)",
            "CREATE TABLE u (a int)",
            "ALTER TABLE u ADD n int DEFAULT NULL REFERENCES t ON DELETE CASCADE",
        ],
    ),
    works(
        "copies of an index are called by its own columns",
        &[
            ONLY[0],
            "CREATE INDEX i ON p (a, id)",
            "ALTER TABLE p RENAME a TO b",
            ONLY[1],
            "CREATE TABLE t (LIKE p INCLUDING INDEXES)",
            "REINDEX TABLE q",
            "REINDEX TABLE t",
        ],
    ),
    works(
        "an index that is made anew is called by the columns of today",
        &[
            ONLY[0],
            "CREATE INDEX i ON p (a, id)",
            ONLY[1],
            "ALTER TABLE p RENAME a TO b",
            "ALTER TABLE p ALTER b TYPE bigint",
            "CREATE TABLE r PARTITION OF p FOR VALUES IN (2)",
            "REINDEX TABLE q",
            "REINDEX TABLE r",
        ],
    ),
    works(
        "and so is one of a plain table",
        &[
            "CREATE TABLE t (id int, a int)",
            "CREATE INDEX i ON t (a, id)",
            "ALTER TABLE t RENAME a TO b",
            "ALTER TABLE t ALTER b TYPE bigint",
            "CREATE TABLE c (LIKE t INCLUDING INDEXES)",
            "REINDEX TABLE c",
        ],
    ),
    works(
        "what a rule took finds no partition",
        &[
            "CREATE TABLE p (id int NOT NULL, a int) PARTITION BY HASH (id)",
            "CREATE TABLE q PARTITION OF p FOR VALUES WITH (MODULUS 4, REMAINDER 3)",
            "CREATE RULE r AS ON INSERT TO p DO INSTEAD NOTHING",
            "DROP RULE r ON p",
        ],
    ),
];

/// A domain with a constraint that is valid.
const DOMAIN: [&str; 2] = ["CREATE DOMAIN d AS int", "ALTER DOMAIN d ADD CONSTRAINT k CHECK (VALUE > 0)"];

const ONLY: [&str; 2] =
    ["CREATE TABLE p (id int, a int NOT NULL) PARTITION BY LIST (id)", "CREATE TABLE q PARTITION OF p FOR VALUES IN (1)"];

/// Partitions that refer to `TREE`.
const KEYS: [&str; 3] = [
    "CREATE TABLE f (id int REFERENCES p) PARTITION BY RANGE (id)",
    "CREATE TABLE g PARTITION OF f FOR VALUES FROM (0) TO (10)",
    "CREATE TABLE g2 PARTITION OF f FOR VALUES FROM (200) TO (300)",
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
    for s in [LIST, names::LIST, partitions::LIST].into_iter().flatten().filter(|s| s.on.contains(&pg)) {
        let (states, differ) = play(&shadow, s.sql);
        let expected = |i: usize| s.refused.filter(|_| i + 1 == s.sql.len());
        for (i, (sql, state)) in s.sql.iter().zip(states).enumerate().filter(|(i, (_, state))| state.as_deref() != expected(*i)) {
            wrong.push(format!("{}: {sql}: predicted {state:?}, expected {:?}", s.name, expected(i)));
        }
        wrong.extend(differ.into_iter().map(|d| format!("{}: {d}", s.name)));
    }
    assert!(wrong.is_empty(), "{} on {pg}:\n{}", wrong.len(), wrong.join("\n"));
}

/// `AIRLOCK_SCENARIO` names a file with one statement a line, and empty lines between scenarios: what is judged wrongly in it?
#[test]
fn a_scenario_of_a_file_live() {
    let Some(file) = std::env::var_os("AIRLOCK_SCENARIO") else { return };
    let text = std::fs::read_to_string(file).expect("a file");
    let shadow = Shadow::start(&super::super::tests::options()).expect("starts");
    for scenario in text.split("\n\n") {
        let sql: Vec<&str> = scenario.lines().map(|l| l.trim_end_matches(';')).filter(|l| !l.is_empty()).collect();
        let (states, differ) = play(&shadow, &sql);
        println!("{}: {:?}", sql.last().unwrap_or(&""), states.last());
        differ.iter().for_each(|d| println!("{d}"));
    }
}

/// What each statement was predicted to be refused with, and what differs. The statements of release N-1 run around the last one.
fn play(shadow: &Shadow, sql: &[&str]) -> (Vec<Option<String>>, Vec<String>) {
    let mut tally = Tally::default();
    let mut db = Database::new(shadow, 1);
    let mut states = Vec::new();
    for (i, statement) in sql.iter().enumerate() {
        db.watched = i + 1 == sql.len();
        match *statement {
            "BEGIN" => {
                db.begin();
                states.push(None);
            }
            "COMMIT" => {
                db.pass("COMMIT");
                db.inside = false;
                states.push(None);
            }
            statement => {
                states.push(db.judge(statement).and_then(|j| j.effects.fails));
                if db.inside {
                    db.pass("SAVEPOINT s");
                }
                db.one(statement, &mut tally);
            }
        }
    }
    let differ = [tally.differences, tally.broken, tally.stuck].concat();
    (states, differ)
}
