//! Schemas that are missing, and what is temporary.

use super::{Scenario, refused, works};

pub const LIST: &[Scenario] = &[
    refused("there is no pg_temp before something is temporary", "3F000", &["ALTER TABLE pg_temp.t ADD COLUMN a int"]),
    refused("there is no pg_temp to drop from", "3F000", &["DROP TABLE pg_temp.t"]),
    refused("a query does not tell a missing pg_temp apart", "42P01", &["UPDATE pg_temp.t SET a = 1"]),
    refused("a table of a missing schema is altered", "3F000", &["ALTER TABLE no.t ADD COLUMN a int"]),
    refused("a key to a table of a missing schema", "3F000", &["CREATE TABLE q (a int REFERENCES no.t)"]),
    refused("a column of a missing schema", "3F000", &["COMMENT ON COLUMN no.t.a IS 'x'"]),
    refused("a trigger in a missing schema", "3F000", &["CREATE TRIGGER x BEFORE INSERT ON no.t FOR EACH ROW EXECUTE FUNCTION f()"]),
    refused("a publication of a missing schema's table", "3F000", &["CREATE PUBLICATION p FOR TABLE no.t"]),
    refused("COPY from a missing schema", "3F000", &["COPY no.t TO STDOUT"]),
    refused("rows for a missing schema", "42P01", &["INSERT INTO no.t VALUES (1)"]),
    Scenario { name: "a sequence of a missing schema", on: 14..=15, refused: Some("3F000"), sql: &["SELECT nextval('no.s')"] },
    Scenario {
        name: "a sequence of a missing schema, asked softly",
        on: 16..=18,
        refused: Some("42P01"),
        sql: &["SELECT nextval('no.s')"],
    },
    works(
        "a view over a temporary table hides the one of its name",
        &[
            "CREATE TABLE t (id int, e int)",
            "CREATE TEMP TABLE u (id int, e int)",
            "CREATE VIEW v AS SELECT id, e FROM t",
            "CREATE OR REPLACE VIEW v AS SELECT id, e FROM u",
        ],
    ),
    refused(
        "a view of a schema becomes temporary",
        "42P16",
        &[
            "CREATE TABLE t (id int, e int)",
            "CREATE TEMP TABLE u (id int, e int)",
            "CREATE VIEW v AS SELECT id, e FROM t",
            "CREATE OR REPLACE VIEW public.v AS SELECT id, e FROM u",
        ],
    ),
    refused(
        "the query of a view is read before its name",
        "42703",
        &["CREATE TABLE t (id int)", "CREATE VIEW v AS SELECT id FROM t", "CREATE VIEW v AS SELECT nothing FROM t"],
    ),
];
