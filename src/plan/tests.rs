//! Plans of the recipes, and what must hold for every plan.

use crate::catalog::Catalog;
use crate::history::{Execution, Send};
use crate::op::PgVersion;
use crate::replay;
use crate::source::SourceFile;

use super::*;

const BASE: &str = "CREATE TABLE orders (id int PRIMARY KEY, total int NOT NULL DEFAULT 0, note text, \"Odd \"\"name\" text); CREATE INDEX orders_total ON orders (total); \
                    CREATE TABLE payments (id bigint PRIMARY KEY); CREATE TABLE customers (id bigint PRIMARY KEY, name text); CREATE VIEW customer_names AS SELECT name FROM customers;";

fn outcome(sql: &str, answers: &[&str]) -> Outcome {
    let execution = Execution::new(true, Send::Statement);
    let mut catalog = Catalog::new(PgVersion(15));
    replay::apply(&crate::lower::lower_text(BASE), &execution, &mut catalog);
    let source = SourceFile::new("m/2_x.sql", sql);
    let statements = crate::lower::lower(&source, &[source.full_span()]);
    let script = replay::judge(&source, statements, &execution, &mut catalog);
    let answers: Vec<Answer> = answers.iter().flat_map(|a| parse_map(a).expect("an answer")).collect();
    let context = Context { migration: "2_x".into(), source: "m/2_x.sql".into(), source_sha256: "0".into(), framework: "plain".into() };
    plan(&script, &answers, &PlanOptions::default(), &context)
}

#[track_caller]
fn planned(sql: &str, answers: &[&str]) -> Plan {
    match outcome(sql, answers) {
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
