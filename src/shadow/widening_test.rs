//! Casts that are said to be refused for no value are refused for none that stands at an end of the type.

use crate::catalog::{Catalog, ColumnType};
use crate::compat::{always_casts, boundary_values, range_within};
use crate::op::PgVersion;

use super::*;

const TYPES: &[&str] = &[
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "real",
    "double precision",
    "boolean",
    "text",
    "character varying",
    "bytea",
    "uuid",
    "date",
    "timestamp without time zone",
    "timestamp with time zone",
    "interval",
    "json",
    "jsonb",
    "inet",
];

#[test]
fn live_casts_without_a_refusal() {
    let shadow = Shadow::start(&super::tests::options()).expect("starts");
    let db = shadow.database().expect("database");
    let mut s = db.connect().expect("session");
    let catalog = Catalog::new(PgVersion(shadow.pg().0));
    let ty = |name: &str| ColumnType { name: name.into(), id: None, modifiers: Vec::new(), array_dims: 0 };
    let mut ends = |name: &str| {
        let mut values = boundary_values(&catalog, &ty(name));
        // Beside those: what no other type may have room for, and what only looks harmless.
        values.extend(
            ["-32768", "32767", "-2147483648", "2147483647", "NaN", "infinity", "-infinity", r#"{"a": "\u0000"}"#].map(String::from),
        );
        values.retain(|v| s.run(&format!("SELECT {}::{name}", crate::quote::literal(v))).is_ok());
        values
    };
    let all: Vec<(&str, Vec<String>)> = TYPES.iter().map(|t| (*t, ends(t))).collect();
    let mut claimed = 0;
    for (from, values) in &all {
        assert!(!values.is_empty(), "{from}");
        for to in TYPES.iter().filter(|to| always_casts(&ty(from), &ty(to))) {
            claimed += 1;
            for v in values {
                let sql = format!("SELECT {}::{from}::{to}", crate::quote::literal(v));
                if let Err(e) = s.run(&sql) {
                    panic!("{sql}: {e}");
                }
            }
        }
    }
    assert!(claimed > 30, "{claimed}");
    // The ranges are the types' own: one more is refused.
    for (old, new) in [("smallint", "integer"), ("integer", "bigint")] {
        let (low, high) = range_within(old, new).expect("known");
        for (v, outside) in [(low, "- 1"), (high, "+ 1")] {
            s.run(&format!("SELECT ({v})::{new}::{old}")).expect("inside");
            assert_eq!(s.run(&format!("SELECT (({v})::{new} {outside})::{old}")).expect_err("outside").sqlstate, "22003");
        }
    }
    // What is not among them has a reason.
    let null = r#"SELECT '{"a": "\u0000"}'::json::jsonb"#;
    assert_eq!(s.run(null).expect_err("no text").sqlstate, "22P05");
    assert!(!always_casts(&ty("json"), &ty("jsonb")));
}
