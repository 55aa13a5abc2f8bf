//! Plans of the recipes, and what must hold for every plan.

use crate::catalog::Catalog;
use crate::history::{Execution, Send};
use crate::op::PgVersion;
use crate::replay;
use crate::source::SourceFile;

use super::*;

const BASE: &str = "CREATE TABLE orders (id int PRIMARY KEY, total int NOT NULL DEFAULT 0, note text, \"Odd \"\"name\" text); CREATE INDEX orders_total ON orders (total); \
                    CREATE TABLE payments (id bigint PRIMARY KEY); CREATE TABLE customers (id bigint PRIMARY KEY, name text); CREATE VIEW customer_names AS SELECT name FROM customers; \
                    CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TABLE owners (id int PRIMARY KEY, name text); \
                    CREATE TABLE pets (id int PRIMARY KEY, name text NOT NULL, owner int NOT NULL REFERENCES owners (id), chip text, feeling mood); \
                    CREATE INDEX pets_loud ON pets (upper(name)) WHERE name <> ''; \
                    CREATE DOMAIN short AS text CHECK (length(VALUE) < 9); CREATE TABLE tags (id int PRIMARY KEY, tag short); CREATE SCHEMA app; CREATE TABLE app.things (id int PRIMARY KEY); CREATE SEQUENCE tickets; GRANT SELECT ON customers TO PUBLIC; \
                    CREATE TABLE lists (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int, twice int GENERATED ALWAYS AS (n * 2) STORED, \
                    word varchar(10), CONSTRAINT lists_word UNIQUE (word)); \
                    CREATE FUNCTION doubled(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2'; \
                    CREATE TABLE events (id bigint NOT NULL, at_day date NOT NULL, kind text, owner int, PRIMARY KEY (id, at_day)) PARTITION BY RANGE (at_day); \
                    CREATE TABLE events_old PARTITION OF events FOR VALUES FROM (MINVALUE) TO ('2024-01-01'); \
                    CREATE TABLE events_new PARTITION OF events DEFAULT; \
                    CREATE TABLE visits (id bigint NOT NULL, at_day date NOT NULL, kind text, PRIMARY KEY (id, at_day)) PARTITION BY RANGE (at_day); \
                    CREATE TABLE visits_old PARTITION OF visits FOR VALUES FROM (MINVALUE) TO ('2024-01-01'); \
                    CREATE TABLE visits_2024 (id bigint NOT NULL, at_day date NOT NULL, kind text); \
                    CREATE TABLE calls (id bigserial PRIMARY KEY, at_day date NOT NULL, kind text);";

fn outcome(sql: &str, answers: &[&str]) -> Outcome {
    outcome_with(sql, answers.iter().flat_map(|a| parse_map(a).expect("an answer")).collect())
}

fn outcome_with(sql: &str, answers: Vec<Answer>) -> Outcome {
    outcome_as(sql, answers, &PlanOptions::default())
}

fn outcome_as(sql: &str, answers: Vec<Answer>, options: &PlanOptions) -> Outcome {
    let execution = Execution::new(true, Send::Statement);
    let mut catalog = Catalog::new(PgVersion(15));
    replay::apply(&crate::lower::lower_text(BASE), &execution, &mut catalog);
    let source = SourceFile::new("m/2_x.sql", sql);
    let statements = crate::lower::lower(&source, &[source.full_span()]);
    let script = replay::judge(&source, statements, &execution, &mut catalog);
    let context = Context { migration: "2_x".into(), source: "m/2_x.sql".into(), source_sha256: "0".into(), framework: "plain".into() };
    plan(&script, &answers, options, &context)
}

#[track_caller]
fn planned(sql: &str, answers: &[&str]) -> Plan {
    checked(outcome(sql, answers))
}

#[track_caller]
fn checked(outcome: Outcome) -> Plan {
    match outcome {
        Outcome::Planned(p) => {
            for s in p.phases.iter().flat_map(|p| &p.steps) {
                assert!(!s.undo.is_empty() || s.one_way.is_some(), "{} can neither be undone nor says why not", s.id);
                for text in s.statements.iter().chain(&s.undo) {
                    let read = crate::lower::lower_text(text);
                    assert!(read.iter().all(|s| s.understood != crate::op::Understood::Opaque), "not understood: {text}");
                }
            }
            let files = render(&p).expect("renders");
            assert_eq!(read(&files[0].1).expect("reads back"), *p);
            *p
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_four_changes() {
    for (name, sql, answers) in [
        ("add_required_column", "ALTER TABLE orders ADD COLUMN shipping_method VARCHAR(50) NOT NULL;", &[][..]),
        (
            "add_required_column_with_value",
            "ALTER TABLE orders ADD COLUMN shipping_method VARCHAR(50) NOT NULL;",
            &["orders.shipping_method: value=\"'post'\""][..],
        ),
        ("drop_column", "ALTER TABLE orders DROP COLUMN note;", &[][..]),
        ("rename_column", "ALTER TABLE orders RENAME COLUMN note TO remark;", &[][..]),
        ("int_to_bigint", "ALTER TABLE orders ALTER COLUMN total TYPE bigint;", &[][..]),
    ] {
        insta::assert_snapshot!(name, page(&planned(sql, answers)));
    }
}

#[test]
fn other_recipes() {
    let sql = "CREATE INDEX ON orders (note); ALTER TABLE orders ADD CONSTRAINT positive CHECK (total >= 0); ALTER TABLE orders ADD UNIQUE (note); DROP TABLE payments; ALTER TABLE orders ADD COLUMN a int;";
    insta::assert_snapshot!("several", page(&planned(sql, &[])));
}

/// One page a row of the catalogue: read them as whoever is on call would.
#[test]
fn the_catalogue() {
    let enum_labels = "CREATE TYPE mood_new AS ENUM ('sad'); ALTER TABLE pets ALTER COLUMN feeling TYPE mood_new USING feeling::text::mood_new; \
                       ALTER TYPE mood RENAME TO mood_old; ALTER TYPE mood_new RENAME TO mood; DROP TYPE mood_old;";
    for (name, sql, answers) in [
        ("rename_table", "ALTER TABLE pets RENAME TO animals;", &[][..]),
        ("narrow_type", "ALTER TABLE pets ALTER COLUMN name TYPE varchar(5);", &["pets.name: down=\"name\""][..]),
        ("enum_label_goes", enum_labels, &["pets.feeling: up=\"'sad'\""][..]),
        (
            "split_column",
            "ALTER TABLE pets ADD COLUMN first text; UPDATE pets SET first = split_part(name, ' ', 1); ALTER TABLE pets DROP COLUMN name;",
            &["pets.name: down=\"first\""][..],
        ),
        (
            "move_columns",
            "CREATE TABLE chips (pet int PRIMARY KEY, chip text); INSERT INTO chips SELECT id, chip FROM pets WHERE chip IS NOT NULL; ALTER TABLE pets DROP COLUMN chip;",
            &[][..],
        ),
        (
            "fill_from_another_table",
            "ALTER TABLE pets ADD COLUMN owner_name text; UPDATE pets SET owner_name = o.name FROM owners o WHERE o.id = pets.owner; ALTER TABLE owners DROP COLUMN name;",
            &[][..],
        ),
        ("primary_key", "ALTER TABLE pets DROP CONSTRAINT pets_pkey; ALTER TABLE pets ADD PRIMARY KEY (owner, name);", &[][..]),
        ("add_volatile_default", "ALTER TABLE pets ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid();", &[][..]),
        ("add_with_constraints", "ALTER TABLE pets ADD COLUMN vet int REFERENCES owners (id) CHECK (vet > 0) UNIQUE;", &[][..]),
        ("drop_table", "DROP TABLE pets;", &[][..]),
        ("set_not_null", "ALTER TABLE pets ALTER COLUMN chip SET NOT NULL;", &[][..]),
        ("add_foreign_key", "ALTER TABLE pets ADD CONSTRAINT pets_vet FOREIGN KEY (id) REFERENCES owners (id);", &[][..]),
        ("data", "DELETE FROM pets WHERE chip = 'lost'; UPDATE pets SET chip = upper(chip);", &[][..]),
        ("add_serial", "ALTER TABLE pets ADD COLUMN line serial UNIQUE;", &[][..]),
        ("add_identity", "ALTER TABLE pets ADD COLUMN line bigint GENERATED ALWAYS AS IDENTITY;", &[][..]),
        ("add_generated", "ALTER TABLE pets ADD COLUMN shout text GENERATED ALWAYS AS (upper(name)) STORED;", &[][..]),
        ("drop_identity", "ALTER TABLE lists ALTER COLUMN id DROP IDENTITY;", &[][..]),
        ("widen_primary_key", "ALTER TABLE owners ALTER COLUMN id TYPE bigint;", &[][..]),
        (
            "merge_columns",
            "ALTER TABLE pets ADD COLUMN label text; UPDATE pets SET label = name || '/' || coalesce(chip, ''); ALTER TABLE pets DROP COLUMN name, DROP COLUMN chip;",
            &["pets.name: down=\"split_part(label, '/', 1)\"", "pets.chip: down=\"split_part(label, '/', 2)\""][..],
        ),
        (
            "fold_a_table",
            "ALTER TABLE owners ADD COLUMN pets text[]; UPDATE owners SET pets = ARRAY(SELECT name FROM pets WHERE pets.owner = owners.id ORDER BY name); DROP TABLE pets;",
            &[][..],
        ),
        ("add_unique", "ALTER TABLE pets ADD CONSTRAINT chips UNIQUE (chip);", &[][..]),
        ("add_check", "ALTER TABLE pets ADD CONSTRAINT named CHECK (name <> '');", &[][..]),
        ("drop_unique", "ALTER TABLE lists DROP CONSTRAINT lists_word;", &[][..]),
        ("drop_default", "ALTER TABLE orders ALTER COLUMN total DROP DEFAULT;", &[][..]),
        ("add_enum_label", "ALTER TYPE mood ADD VALUE 'ok';", &[][..]),
        ("rename_enum_label", "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue';", &[][..]),
        ("create_unique_index", "CREATE UNIQUE INDEX pets_chips ON pets (chip) WHERE chip <> '';", &[][..]),
        ("replace_index", "DROP INDEX orders_total; CREATE INDEX orders_total ON orders (total, note);", &[][..]),
        ("reindex", "REINDEX INDEX orders_total;", &[][..]),
        ("partitioned_index", "CREATE INDEX events_kind ON events (kind);", &[][..]),
        ("partitioned_column", "ALTER TABLE events RENAME COLUMN kind TO sort;", &[][..]),
        ("partitioned_check", "ALTER TABLE events ADD CONSTRAINT kinds CHECK (kind <> '');", &[][..]),
        ("rename_type", "ALTER TYPE mood RENAME TO feeling;", &[][..]),
        ("rename_schema", "ALTER SCHEMA app RENAME TO web;", &[][..]),
        ("rename_sequence", "ALTER SEQUENCE tickets RENAME TO numbers;", &[][..]),
        ("rename_view", "ALTER VIEW customer_names RENAME TO names_of_customers;", &[][..]),
        ("rename_function", "ALTER FUNCTION doubled RENAME TO twice;", &[][..]),
        ("move_table", "ALTER TABLE pets SET SCHEMA app;", &[][..]),
        ("drop_view", "DROP VIEW customer_names;", &[][..]),
        (
            "replace_function",
            "DROP FUNCTION doubled; CREATE FUNCTION doubled(n int, by int) RETURNS int LANGUAGE sql AS 'SELECT n * by';",
            &[][..],
        ),
        ("revoke", "REVOKE SELECT ON customers FROM PUBLIC;", &[][..]),
        ("row_security", "ALTER TABLE customers ENABLE ROW LEVEL SECURITY;", &[][..]),
        ("truncate", "TRUNCATE pets;", &[][..]),
        ("partition_a_table", PARTITIONED, &[][..]),
        ("attach_partition", "ALTER TABLE visits ATTACH PARTITION visits_2024 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');", &[][..]),
        ("create_partition", "CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');", &[][..]),
        ("detach_partition", "ALTER TABLE visits DETACH PARTITION visits_old;", &[][..]),
        ("rename_generated", "ALTER TABLE lists RENAME COLUMN twice TO doubled;", &[][..]),
        ("retype_generated", "ALTER TABLE lists ALTER COLUMN twice TYPE bigint;", &[][..]),
        ("drop_expression", "ALTER TABLE lists ALTER COLUMN twice DROP EXPRESSION;", &[][..]),
        ("create_table_with_key", "CREATE TABLE bills (id bigserial PRIMARY KEY, payment bigint REFERENCES payments (id));", &[][..]),
        ("add_domain_column", "ALTER TABLE pets ADD COLUMN a short;", &[][..]),
        ("constrain_domain", "ALTER DOMAIN short ADD CONSTRAINT something CHECK (VALUE <> '');", &[][..]),
        (
            "attach_under",
            "ALTER TABLE calls RENAME TO calls_first; ALTER SEQUENCE calls_id_seq OWNED BY NONE; \
             CREATE TABLE calls (id bigint NOT NULL DEFAULT nextval('calls_id_seq'), at_day date NOT NULL, kind text) PARTITION BY RANGE (at_day); \
             ALTER TABLE calls ATTACH PARTITION calls_first FOR VALUES FROM (MINVALUE) TO ('2030-01-01'); ALTER SEQUENCE calls_id_seq OWNED BY calls.id; \
             CREATE TABLE calls_2030 PARTITION OF calls FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');",
            &[][..],
        ),
        ("replace_view", "DROP VIEW customer_names; CREATE VIEW customer_names AS SELECT id FROM customers;", &[][..]),
        ("partitioned_unique", "ALTER TABLE events ADD UNIQUE (id, at_day, kind);", &[][..]),
        ("in_a_block", "DO $$ BEGIN ALTER TABLE pets DROP COLUMN chip; END $$;", &[][..]),
    ] {
        insta::assert_snapshot!(format!("catalogue_{name}"), page(&planned(sql, answers)));
    }
    for safe in SAFE {
        assert!(matches!(outcome(safe, &[]), Outcome::Safe), "{safe}");
    }
    for (sql, why) in REFUSED {
        assert!(matches!(outcome(sql, &[]), Outcome::Refused(r) if r.iter().any(|r| r.reason.contains(why))), "{sql}");
    }
}

const PARTITIONED: &str = "ALTER TABLE calls RENAME TO calls_plain; \
    CREATE TABLE calls (id bigint NOT NULL DEFAULT nextval('calls_id_seq'), at_day date NOT NULL, kind text, PRIMARY KEY (id, at_day)) PARTITION BY RANGE (at_day); \
    ALTER SEQUENCE calls_id_seq OWNED BY calls.id; \
    CREATE TABLE calls_old PARTITION OF calls FOR VALUES FROM (MINVALUE) TO ('2024-01-01'); CREATE TABLE calls_new PARTITION OF calls DEFAULT; \
    CREATE INDEX ON calls (kind); INSERT INTO calls SELECT * FROM calls_plain; DROP TABLE calls_plain;";

/// Rows of the catalogue that are safe as they are written.
const SAFE: [&str; 23] = [
    "ALTER TABLE pets ADD COLUMN a short[];",
    "ALTER TABLE pets ALTER COLUMN id TYPE int;",
    "CREATE TYPE t AS ENUM ('a');",
    "ALTER TABLE pets ADD COLUMN a int DEFAULT 5;",
    "ALTER TABLE pets ADD COLUMN a timestamptz NOT NULL DEFAULT now();",
    "ALTER TABLE pets ADD COLUMN a int REFERENCES owners;",
    "ALTER TABLE pets ALTER COLUMN name DROP NOT NULL;",
    "ALTER TABLE lists ALTER COLUMN word TYPE varchar(20);",
    "ALTER TABLE lists ALTER COLUMN word TYPE text;",
    "ALTER TABLE pets ALTER COLUMN chip SET DEFAULT 'x';",
    "DROP INDEX orders_total;",
    "ALTER TABLE events ADD COLUMN a int;",
    "ALTER TABLE lists ALTER COLUMN id SET GENERATED BY DEFAULT;",
    "ALTER TABLE pets RENAME CONSTRAINT pets_owner_fkey TO owned;",
    "ALTER INDEX orders_total RENAME TO totals;",
    "CREATE OR REPLACE VIEW customer_names AS SELECT name, id FROM customers;",
    "CREATE OR REPLACE FUNCTION doubled(n int) RETURNS int LANGUAGE sql AS 'SELECT n + n';",
    "GRANT SELECT ON pets TO PUBLIC;",
    "CREATE PUBLICATION news FOR TABLE pets;",
    "ALTER TABLE pets REPLICA IDENTITY FULL;",
    "INSERT INTO owners VALUES (5, 'x');",
    "ALTER TABLE pets DROP CONSTRAINT pets_owner_fkey;",
    "COMMENT ON TABLE pets IS 'animals';",
];

/// Those that have no plan, and why.
const REFUSED: [(&str, &str); 4] = [
    ("ALTER DOMAIN short SET NOT NULL;", "CHECK (VALUE IS NOT NULL)"),
    ("ALTER TABLE pets ADD CONSTRAINT apart EXCLUDE (name WITH =);", "exclusion constraint"),
    ("ALTER TABLE events ADD FOREIGN KEY (owner) REFERENCES owners (id);", "before Postgres 18"),
    ("ALTER TABLE events RENAME COLUMN at_day TO day;", "has children"),
];

#[test]
fn the_application_writes_both() {
    let options = PlanOptions { dual_write: DualWrite::App, flag: Some("new_names".into()), ..PlanOptions::default() };
    let as_app = |sql: &str| outcome_as(sql, Vec::new(), &options);
    let sql =
        "ALTER TABLE pets RENAME COLUMN chip TO tag; ALTER TABLE pets ADD COLUMN loud text NOT NULL; UPDATE pets SET loud = upper(name);";
    let p = checked(as_app(sql));
    assert!(p.phases.iter().flat_map(|p| &p.steps).flat_map(|s| &s.statements).all(|s| !s.contains("TRIGGER")));
    insta::assert_snapshot!("dual_write_app", page(&p));
    let refused = |sql: &str, why: &str| match as_app(sql) {
        Outcome::Refused(r) => assert!(r.iter().any(|r| r.reason.contains(why)), "{sql}: {r:?}"),
        other => panic!("{sql}: {other:?}"),
    };
    refused("ALTER TABLE orders ALTER COLUMN total TYPE bigint;", "keeps its name");
    refused("ALTER TABLE pets RENAME COLUMN chip TO tag; ALTER TABLE pets RENAME TO animals;", "another name as well");
    refused("ALTER TABLE lists RENAME COLUMN id TO list_id;", "Postgres gives `id` its value");
    refused("ALTER TABLE pets ADD COLUMN first text; UPDATE pets SET first = name; ALTER TABLE pets DROP COLUMN name;", "`name` goes");
    refused(
        "ALTER TABLE pets ADD COLUMN owner_name text; UPDATE pets SET owner_name = o.name FROM owners o WHERE o.id = pets.owner; ALTER TABLE owners DROP COLUMN name;",
        "two tables",
    );
    // Where nothing is kept in step the plan is the same.
    let drop = "ALTER TABLE orders DROP COLUMN note;";
    assert_eq!(checked(as_app(drop)).phases, planned(drop, &[]).phases);
}

#[test]
fn renames_in_disguise_are_asked_about() {
    let column = "ALTER TABLE orders DROP COLUMN note; ALTER TABLE orders ADD COLUMN remark text;";
    assert!(matches!(outcome(column, &[]), Outcome::Asked(q) if q[0].answer.contains("--rename 'orders.note=remark'")));
    let with = |rename: &str| outcome_with(column, vec![parse_rename(rename).expect("an answer")]);
    assert!(matches!(with("orders.note="), Outcome::Planned(_)));
    assert!(matches!(with("orders.note=remark"), Outcome::Refused(r) if r[0].next_step.contains("RENAME COLUMN")));
    let table = "DROP TABLE pets; CREATE TABLE animals (id int, name text, owner int, chip text);";
    assert!(matches!(outcome(table, &[]), Outcome::Asked(q) if q[0].answer.contains("--rename 'pets=animals'")));
}

#[test]
fn a_name_with_two_meanings_is_refused() {
    let sql = "ALTER TABLE orders RENAME COLUMN note TO remark; ALTER TABLE orders ADD COLUMN note int;";
    assert!(matches!(outcome(sql, &[]), Outcome::Refused(r) if r.iter().any(|r| r.reason.contains("another column"))));
}

#[test]
fn hostile_names_are_quoted() {
    let p = planned("ALTER TABLE orders RENAME COLUMN \"Odd \"\"name\" TO \"a; DROP TABLE orders --\";", &[]);
    let all: Vec<&String> = p.phases.iter().flat_map(|p| &p.steps).flat_map(|s| s.statements.iter().chain(&s.undo)).collect();
    assert!(all.iter().all(|s| crate::lower::lower_text(s).len() == 1), "{all:#?}");
}

#[test]
fn safe_asked_and_refused() {
    assert!(matches!(outcome("ALTER TABLE orders ADD COLUMN a int;", &[]), Outcome::Safe));
    assert!(matches!(outcome("CREATE TABLE a (id int);", &[]), Outcome::Safe));
    assert!(
        matches!(outcome("ALTER TABLE orders ALTER COLUMN total TYPE text;", &[]), Outcome::Asked(q) if q[0].answer.starts_with("--map 'orders.total: "))
    );
    let cascade = outcome("ALTER TABLE customers DROP COLUMN name CASCADE;", &[]);
    assert!(matches!(&cascade, Outcome::Refused(r) if r[0].reason.contains("customer_names")), "{cascade:?}");
    assert!(matches!(outcome("ALTER TABLE orders DROP COLUMN note CASCADE;", &[]), Outcome::Planned(_)));
    assert!(matches!(outcome("ALTER TABLE orders DROP COLUMN nowhere;", &[]), Outcome::Refused(r) if r[0].reason.contains("42703")));
}

/// Where the file changes rows and reads them again, the plan's order must not give other rows.
#[test]
fn the_order_of_changes_of_rows() {
    let refused = |sql: &str| match outcome(sql, &[]) {
        Outcome::Refused(r) => assert!(r.iter().any(|r| r.reason.contains("at another time")), "{sql}: {r:?}"),
        other => panic!("{sql}: {other:?}"),
    };
    let (fill, tighten) = (
        "ALTER TABLE orders ADD COLUMN f text; UPDATE orders SET f = note;",
        "UPDATE orders SET note = '' WHERE note IS NULL; ALTER TABLE orders ALTER COLUMN note SET NOT NULL;",
    );
    refused(&format!("{fill} {tighten}"));
    planned(&format!("{tighten} {fill}"), &[]);
    refused(&format!("UPDATE orders SET note = 'x' WHERE id = 1; {fill}"));
    planned(&format!("UPDATE orders SET total = 1 WHERE id = 1; {fill}"), &[]);
}

/// A column of another table that has the same name says nothing.
#[test]
fn names_are_those_of_their_table() {
    let sql =
        "ALTER TABLE owners DROP COLUMN name; UPDATE pets SET name = 'x' WHERE name = 'y'; ALTER TABLE pets RENAME COLUMN name TO title;";
    let ids: Vec<String> = planned(sql, &[]).phases.iter().flat_map(|p| &p.steps).map(|s| s.id.clone()).collect();
    let at = |id: &str| ids.iter().position(|i| i == id).unwrap_or_else(|| panic!("{id} in {ids:?}"));
    assert!(at("update-pets") < at("contract-pets"));
}

#[test]
fn an_index_that_goes_is_not_copied() {
    let p = planned("DROP INDEX orders_total; ALTER TABLE orders ALTER COLUMN total TYPE bigint;", &[]);
    let statements: Vec<&String> = p.phases.iter().flat_map(|p| &p.steps).flat_map(|s| &s.statements).collect();
    assert!(statements.iter().all(|s| !s.starts_with("CREATE INDEX")), "{statements:?}");
}

#[test]
fn a_key_that_the_file_adds_waits_for_the_column_that_it_refers_to() {
    let apart = "ALTER TABLE orders ADD COLUMN owner bigint; ALTER TABLE orders ADD CONSTRAINT owned FOREIGN KEY (owner) REFERENCES owners (id); \
                 ALTER TABLE owners ALTER COLUMN id TYPE bigint;";
    let ids: Vec<String> = planned(apart, &[]).phases.iter().flat_map(|p| &p.steps).map(|s| s.id.clone()).collect();
    let at = |id: &str| ids.iter().position(|i| i == id).unwrap_or_else(|| panic!("{id} in {ids:?}"));
    assert!(at("contract-owners") < at("add-orders-owned"));
    let inline = "ALTER TABLE orders ADD COLUMN owner bigint REFERENCES owners (id); ALTER TABLE owners ALTER COLUMN id TYPE bigint;";
    assert!(matches!(outcome(inline, &[]), Outcome::Refused(_)));
}

#[test]
fn what_is_done_to_a_table_that_goes_is_for_nothing() {
    let p = planned("ALTER TABLE payments ADD COLUMN a int NOT NULL; CREATE INDEX ON payments (a); DROP TABLE payments;", &[]);
    let ids: Vec<&str> = p.phases.iter().flat_map(|p| &p.steps).map(|s| s.id.as_str()).collect();
    assert!(ids.iter().all(|i| i.contains("payments")) && p.phases[0].steps.is_empty() && p.phases[1].steps.is_empty(), "{ids:?}");
}

/// An UPDATE that changes values which are there is no filling of NULLs.
#[test]
fn an_update_of_values_is_no_filling() {
    let sql = "UPDATE orders SET note = 'x' WHERE id = 1; UPDATE orders SET note = '' WHERE note IS NULL; ALTER TABLE orders ALTER COLUMN note SET NOT NULL;";
    let p = planned(sql, &[]);
    let update = p.phases.iter().flat_map(|p| &p.steps).find(|s| s.id == "update-orders").expect("the first UPDATE is a step");
    assert!(update.statements.iter().any(|s| s.contains("WHERE id = 1")));
    assert!(p.phases[1].steps.iter().any(|s| s.id == "backfill-orders"), "the second one fills");
}

#[test]
fn a_fill_may_read_a_column_under_its_new_name() {
    let sql = "ALTER TABLE orders RENAME COLUMN note TO remark; ALTER TABLE orders ADD COLUMN f text; UPDATE orders SET f = remark;";
    let p = planned(sql, &[]);
    let backfill = p.phases[1].steps.iter().flat_map(|s| &s.statements).find(|s| s.starts_with("DO ")).expect("a backfill");
    assert!(backfill.contains("\"note\" AS \"remark\""), "{backfill}");
}

/// Rows change before the labels that the file names go, whatever the table is called by then.
#[test]
fn rows_of_a_table_with_a_new_name_change_before_its_columns_do() {
    let sql = "ALTER TABLE pets RENAME TO animals; UPDATE animals SET name = 'x' WHERE animals.name = 'y'; ALTER TABLE animals ALTER COLUMN name TYPE varchar(9) USING left(name, 9);";
    let p = planned(sql, &[]);
    let ids: Vec<&str> = p.phases.iter().flat_map(|p| &p.steps).map(|s| s.id.as_str()).collect();
    let at = |id: &str| ids.iter().position(|i| *i == id).unwrap_or_else(|| panic!("{id} in {ids:?}"));
    assert!(at("update-pets") < at("contract-pets"));
    let update = p.phases.iter().flat_map(|p| &p.steps).find(|s| s.id == "update-pets").expect("a step");
    assert_eq!(update.statements[1], "UPDATE \"public\".\"pets\" AS \"animals\" SET name = 'x' WHERE animals.name = 'y'");
}
