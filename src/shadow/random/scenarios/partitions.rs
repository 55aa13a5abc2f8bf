//! Partitions that come and go, and keys into the tree that they are of.

use super::{ALL, Scenario, refused, works};

const TREE: [&str; 2] =
    ["CREATE TABLE p (id int PRIMARY KEY, n int) PARTITION BY LIST (id)", "CREATE TABLE q PARTITION OF p DEFAULT PARTITION BY RANGE (id)"];
const KEY: &str = "ALTER TABLE q ADD CONSTRAINT k FOREIGN KEY (n) REFERENCES p (id)";
const ITSELF: [&str; 3] =
    ["CREATE TYPE y AS (id int)", "CREATE TABLE t OF y", "ALTER TABLE t ATTACH PARTITION t FOR VALUES FROM (1) TO (2)"];
const DETACH: &str = "ALTER TABLE p DETACH PARTITION q";

pub const LIST: &[Scenario] = &[
    works(
        "a default partition with partitions is locked and read with them",
        &[
            TREE[0],
            TREE[1],
            "CREATE TABLE r PARTITION OF q FOR VALUES FROM (10) TO (20)",
            "INSERT INTO p VALUES (11)",
            "CREATE TABLE s PARTITION OF p FOR VALUES IN (50)",
        ],
    ),
    works(
        "a table is attached beside a default partition with partitions",
        &[
            TREE[0],
            TREE[1],
            "CREATE TABLE r PARTITION OF q FOR VALUES FROM (10) TO (20)",
            "INSERT INTO p VALUES (11)",
            "CREATE TABLE s (id int PRIMARY KEY, n int)",
            "ALTER TABLE p ATTACH PARTITION s FOR VALUES IN (50)",
        ],
    ),
    Scenario {
        name: "Postgres 14 trips over a partition's own key into its tree",
        on: 14..=14,
        refused: Some("2BP01"),
        sql: &[TREE[0], TREE[1], KEY, DETACH],
    },
    Scenario { name: "a partition goes with its own key into the tree", on: 15..=18, refused: None, sql: &[TREE[0], TREE[1], KEY, DETACH] },
    Scenario {
        name: "a plain partition goes with its own key to the table above",
        on: ALL,
        refused: None,
        sql: &[TREE[0], "CREATE TABLE q PARTITION OF p DEFAULT", KEY, DETACH],
    },
    works(
        "a partition of a partition keeps its own key",
        &[TREE[0], TREE[1], "CREATE TABLE r PARTITION OF q DEFAULT", "ALTER TABLE r ADD FOREIGN KEY (n) REFERENCES p (id)", DETACH],
    ),
    works(
        "a key of the table to itself: Postgres 14 forgets it at the partition",
        &[TREE[0], "CREATE TABLE q PARTITION OF p DEFAULT", "ALTER TABLE p ADD FOREIGN KEY (n) REFERENCES p (id)", DETACH],
    ),
    Scenario { name: "a table that is not partitioned attaches itself", on: 14..=17, refused: Some("42P17"), sql: &ITSELF },
    Scenario { name: "a table that is not partitioned attaches itself: another error", on: 18..=18, refused: Some("42809"), sql: &ITSELF },
    works(
        "a dropped column that may not be NULL, and whose default is NULL",
        &["CREATE TABLE t (id int PRIMARY KEY, g numeric(8, 2) DEFAULT NULL NOT NULL)", "ALTER TABLE t DROP COLUMN g"],
    ),
    refused(
        "USING is read before the column is asked",
        "42846",
        &[
            "CREATE TABLE t (id int, a int GENERATED ALWAYS AS (id + 1) STORED)",
            "ALTER TABLE t ALTER a TYPE timestamptz USING a::timestamptz",
        ],
    ),
    works(
        "a key of partitions that may be deferred",
        &[
            "CREATE TABLE t (id int) PARTITION BY RANGE (id)",
            "CREATE TABLE p PARTITION OF t FOR VALUES FROM (1) TO (5)",
            "ALTER TABLE t ADD UNIQUE (id) DEFERRABLE",
        ],
    ),
    refused(
        "what a key of the table points at is attached",
        "0A000",
        &[
            "CREATE TABLE c (id int PRIMARY KEY, n int)",
            "CREATE TABLE t (id int PRIMARY KEY, n int REFERENCES c) PARTITION BY RANGE (id)",
            "ALTER TABLE t ATTACH PARTITION c FOR VALUES FROM (1) TO (10)",
        ],
    ),
    works(
        "a constraint on the part of an index stays for good",
        &[
            "CREATE TABLE p (id int) PARTITION BY RANGE (id)",
            "CREATE UNIQUE INDEX i ON p (id)",
            "CREATE TABLE t PARTITION OF p FOR VALUES FROM (1) TO (10)",
            "ALTER TABLE t ADD CONSTRAINT c UNIQUE USING INDEX t_id_idx",
        ],
    ),
    refused(
        "an index keeps its operator class when the type changes",
        "42804",
        &[
            "CREATE TABLE t (id int, c text)",
            "CREATE INDEX i ON t (c text_pattern_ops)",
            "ALTER TABLE t ALTER c TYPE int4range USING c::int4range",
        ],
    ),
    refused(
        "a rule takes the place of an update only when its values are allowed",
        "428C9",
        &[
            "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, a int)",
            "CREATE RULE r AS ON UPDATE TO t DO INSTEAD NOTHING",
            "UPDATE t SET id = 4",
        ],
    ),
    refused(
        "USING is read before the table above is asked",
        "42704",
        &["CREATE TABLE t (f int)", "CREATE TABLE c () INHERITS (t)", "ALTER TABLE c ALTER f TYPE missing USING f::missing"],
    ),
    Scenario {
        name: "the name of a key is asked before what the key is",
        on: 14..=17,
        refused: Some("42710"),
        sql: &[TREE[0], "ALTER TABLE p ADD CONSTRAINT p_pkey FOREIGN KEY (n) REFERENCES p (id) NOT VALID"],
    },
    Scenario {
        name: "a key of a partitioned table is valid from the start",
        on: 14..=17,
        refused: Some("42809"),
        sql: &[TREE[0], "ALTER TABLE p ADD CONSTRAINT k FOREIGN KEY (n) REFERENCES p (id) NOT VALID"],
    },
    works(
        "a key of a partition is met by rows of the table above",
        &[
            "CREATE TABLE o (e int PRIMARY KEY)",
            "CREATE TABLE t (id int PRIMARY KEY) PARTITION BY HASH (id)",
            "CREATE TABLE h PARTITION OF t FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
            "ALTER TABLE h ADD FOREIGN KEY (id) REFERENCES o (e)",
        ],
    ),
    refused(
        "a child's identity column is no integer any more",
        "22023",
        &[
            "CREATE TABLE t (e bigint NOT NULL)",
            "CREATE TABLE c () INHERITS (t)",
            "CREATE VIEW v AS SELECT * FROM c",
            "ALTER TABLE c ALTER e ADD GENERATED ALWAYS AS IDENTITY",
            "ALTER TABLE t ALTER e TYPE real",
        ],
    ),
    refused("a sequence has no constraints to rename", "42809", &["CREATE SEQUENCE s", "ALTER TABLE s RENAME CONSTRAINT missing TO n"]),
    refused(
        "USING of a generated column is refused before the column is an ordinary one",
        "42611",
        &[
            "CREATE TABLE t (id int, a int GENERATED ALWAYS AS (id + 1) STORED)",
            "ALTER TABLE t ALTER a TYPE text USING a::text, ALTER a DROP EXPRESSION",
        ],
    ),
    refused(
        "a constraint of a typed table is renamed",
        "42809",
        &["CREATE TYPE y AS (id int)", "CREATE TABLE t OF y (CONSTRAINT c CHECK (id > 0))", "ALTER TABLE t RENAME CONSTRAINT c TO d"],
    ),
    refused(
        "something is attached to a view",
        "42809",
        &["CREATE VIEW v AS SELECT 1 AS a", "ALTER TABLE v ATTACH PARTITION no FOR VALUES IN (1)"],
    ),
    refused(
        "an index of a temporary table changes its schema",
        "42809",
        &["CREATE TEMP TABLE t (id int)", "CREATE INDEX i ON t (id)", "ALTER TABLE i SET SCHEMA public"],
    ),
    refused(
        "a child has the column from another table too",
        "42P16",
        &[
            "CREATE TABLE t (c varchar(9))",
            "CREATE TABLE u (c varchar(9))",
            "CREATE TABLE b () INHERITS (t, u)",
            "ALTER TABLE t ALTER c TYPE text",
        ],
    ),
    works(
        "the only partition of a partition is read for the bounds above",
        &[
            TREE[0],
            "CREATE TABLE q PARTITION OF p FOR VALUES IN (1, 2) PARTITION BY RANGE (id)",
            "CREATE TABLE s (id int PRIMARY KEY, n int)",
            "INSERT INTO s VALUES (1, 2)",
            "ALTER TABLE q ATTACH PARTITION s DEFAULT",
        ],
    ),
    works(
        "a value that is Postgres's own to give is asked for before the replica identity",
        &[
            "CREATE TABLE o (id int PRIMARY KEY)",
            "INSERT INTO o VALUES (8)",
            "CREATE TABLE t (c int GENERATED ALWAYS AS IDENTITY)",
            "CREATE PUBLICATION pub FOR TABLE t",
            "ALTER TABLE t ADD FOREIGN KEY (c) REFERENCES o ON DELETE SET NULL",
        ],
    ),
    works(
        "an update that a rule takes the place of needs no replica identity",
        &[
            "CREATE TABLE t (d int PRIMARY KEY)",
            "CREATE TABLE c () INHERITS (t)",
            "CREATE RULE r AS ON UPDATE TO t DO INSTEAD NOTHING",
            "CREATE PUBLICATION pub FOR TABLE t",
            "UPDATE t SET d = 1 WHERE d IS NOT NULL",
        ],
    ),
    refused(
        "a child has the column that is renamed from another table too",
        "42P16",
        &["CREATE TABLE t (c int)", "CREATE TABLE u (c int)", "CREATE TABLE b () INHERITS (t, u)", "ALTER TABLE t RENAME c TO d"],
    ),
    works(
        "a row may point at itself",
        &[
            "CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n bigint)",
            "INSERT INTO t (n) VALUES (113)",
            "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES t (a) NOT VALID",
            "ALTER TABLE t ADD UNIQUE (n)",
        ],
    ),
    refused(
        "a rule that is switched off takes nobody's place",
        "55000",
        &[
            "CREATE TABLE t (d int)",
            "CREATE RULE r AS ON UPDATE TO t DO INSTEAD NOTHING",
            "ALTER TABLE t DISABLE RULE r",
            "CREATE PUBLICATION pub FOR TABLE t",
            "UPDATE t SET d = 1",
        ],
    ),
    works(
        "NOT NULL is taken off before it is set",
        &[
            "CREATE TABLE t (id int, f int NOT NULL)",
            "INSERT INTO t VALUES (1, 2)",
            "ALTER TABLE t ALTER f SET NOT NULL, ALTER f DROP NOT NULL",
        ],
    ),
];
