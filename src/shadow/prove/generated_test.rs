//! Stored generated columns that change, domains with rules, and rows that move for roles without rights on the new table.

use super::tests::{failures, made_of, proved_on};
use super::*;
use crate::plan::PlanOptions;

const SCHEMA: &str = "CREATE ROLE made_app; \
    CREATE TABLE lists (id int PRIMARY KEY, n int NOT NULL, word text, twice int GENERATED ALWAYS AS (n / 2) STORED); \
    CREATE INDEX lists_twice ON lists (twice, id); COMMENT ON COLUMN lists.twice IS 'half of it'; \
    CREATE DOMAIN short AS text CHECK (length(VALUE) < 9); CREATE DOMAIN age AS int NOT NULL CHECK (VALUE >= 0); \
    CREATE TABLE tags (id int PRIMARY KEY, tag short); \
    CREATE TABLE people (id bigint PRIMARY KEY, name text NOT NULL, pin text, pin_note text); \
    GRANT SELECT, INSERT, UPDATE, DELETE ON lists, people TO made_app;";

#[track_caller]
fn proved(sql: &str) {
    proved_on(SCHEMA, sql);
}

#[test]
fn another_name_of_a_generated_column_is_proved() {
    proved("ALTER TABLE lists RENAME COLUMN twice TO half;");
}

#[test]
fn another_type_or_expression_of_a_generated_column_is_proved() {
    proved("ALTER TABLE lists ALTER COLUMN twice TYPE bigint;");
    if super::super::tests::options().pg.0 >= 17 {
        proved("ALTER TABLE lists ALTER COLUMN twice SET EXPRESSION AS (n / 3);");
    }
}

#[test]
fn a_generated_column_that_becomes_a_plain_one_is_proved() {
    proved("ALTER TABLE lists ALTER COLUMN twice DROP EXPRESSION;");
}

/// Nothing referred to the table before: the foreign key waits for the contract, the table does not. The role of N-1 has no rights on it.
#[test]
fn rows_that_move_where_nothing_referred_to_are_proved() {
    proved(
        "CREATE TABLE pins (person bigint PRIMARY KEY REFERENCES people (id) ON DELETE CASCADE, pin text NOT NULL, note text); \
         INSERT INTO pins SELECT id, pin, pin_note FROM people WHERE pin IS NOT NULL; ALTER TABLE people DROP COLUMN pin, DROP COLUMN pin_note;",
    );
    proved("CREATE TABLE marks (id bigserial PRIMARY KEY, person bigint NOT NULL REFERENCES people (id));");
}

#[test]
fn columns_of_domains_with_rules_are_proved() {
    proved("ALTER TABLE people ADD COLUMN nick short;");
    proved("ALTER TABLE lists ADD COLUMN old age; UPDATE lists SET old = abs(n / 3); ALTER TABLE lists ADD COLUMN mark short DEFAULT 'x';");
}

#[test]
fn a_rule_of_a_domain_is_proved() {
    proved("ALTER DOMAIN short ADD CONSTRAINT printable CHECK (VALUE !~ '[[:cntrl:]]');");
}

/// The role of N-1 has no rights on the new table: a trigger that runs by its rights refuses its writes.
#[test]
fn triggers_that_run_by_the_rights_of_the_writer_are_seen() {
    let shadow = Shadow::start(&super::super::tests::options()).expect("a server");
    let sql = "CREATE TABLE pins (person bigint PRIMARY KEY, pin text NOT NULL); \
               INSERT INTO pins SELECT id, pin FROM people WHERE pin IS NOT NULL; ALTER TABLE people DROP COLUMN pin;";
    let (mut plan, input) = made_of(SCHEMA, sql, &[], &PlanOptions::default());
    for s in plan.phases.iter_mut().flat_map(|p| &mut p.steps).flat_map(|s| s.statements.iter_mut().chain(&mut s.undo)) {
        *s = s.replace(" SECURITY DEFINER", "");
    }
    let proof = prove(&shadow, &plan, &input, &|_| {}).expect("runs");
    assert!(failures(&proof).iter().any(|f| f.contains("made_app") && f.contains("42501")), "{}", failures(&proof).join("\n"));
}
