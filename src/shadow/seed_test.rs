//! Tables of every type and with every kind of constraint get rows.

use std::collections::BTreeSet;
use std::time::Instant;

use super::seed::{Profile, SeedOptions, seed};
use super::*;
use crate::catalog::RelName;

const SCHEMA: &str = r#"
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s');
CREATE DOMAIN pct AS numeric(5,2) NOT NULL CHECK (VALUE BETWEEN 0 AND 100);
CREATE TYPE pair AS (a int, b text);
CREATE TABLE types (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a smallint, b int, c bigint, d numeric, e numeric(6,2), f real,
  g double precision, h money, i text, j varchar(3), k char(4), l bytea, m date, n timestamp, o timestamptz, p time, q timetz, r interval,
  s uuid, t json, u jsonb, v inet, w cidr, x macaddr, y bit(3), z varbit(5), aa point, ab box, ac circle, ad int[], ae text[], af mood,
  ag mood[], ah pct, ai pair, aj int4range, ak tstzrange, al tsvector, am "char", an name, ao oid, ap bool, aq daterange,
  ar polygon, as_ path, at lseg, au line, av macaddr8, aw tsquery, ax xml, ay pg_lsn, az interval(3), ba timestamp(0));
CREATE TABLE tenant (id uuid PRIMARY KEY, code text NOT NULL UNIQUE CHECK (code ~ '^[a-z0-9 ]+$'));
CREATE TABLE users (id serial PRIMARY KEY, tenant_id uuid NOT NULL REFERENCES tenant, email varchar(20) NOT NULL, boss int REFERENCES users,
  status text NOT NULL CHECK (status IN ('active', 'gone')), iso char(2) CHECK (length(iso) = 2), UNIQUE (tenant_id, email), UNIQUE (tenant_id, id));
CREATE TABLE orders (id int PRIMARY KEY, tenant_id uuid NOT NULL, user_id int NOT NULL, qty int CHECK (qty > 0 AND qty < 1000), at tstzrange,
  total numeric(10,2) NOT NULL DEFAULT 0, twice int GENERATED ALWAYS AS (qty * 2) STORED,
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id), EXCLUDE USING gist (at WITH &&));
CREATE TABLE parts (k int NOT NULL, v text) PARTITION BY RANGE (k);
CREATE TABLE parts1 PARTITION OF parts FOR VALUES FROM (0) TO (100000);
CREATE TABLE impossible (id int CHECK (id > 5 AND id < 3) NOT NULL);
"#;

#[test]
fn every_table_that_can_hold_rows_gets_some() {
    let shadow = Shadow::start(&super::tests::options()).expect("starts");
    let empty = shadow.database().expect("database");
    empty.connect().expect("session").run(SCHEMA).expect("loads");
    for profile in [Profile::Edges, Profile::Ordinary, Profile::Careful] {
        let db = shadow.copy(&empty).expect("copy");
        let mut s = db.connect().expect("session");
        let tables: BTreeSet<RelName> = ["types", "orders", "parts", "impossible"].iter().map(|t| RelName::new("public", *t)).collect();
        let options = SeedOptions { profile, ..SeedOptions::default() };
        let done = seed(&mut s, &tables, &options).expect("seeds");
        let failed: Vec<String> = done.failed.keys().map(ToString::to_string).collect();
        assert_eq!(failed, ["public.impossible"], "{:?}", done.failed);
        assert!(done.rows.values().all(|n| *n >= 15), "{profile:?}: {:?}", done.rows);
        assert!(done.rows.contains_key(&RelName::new("public", "tenant")), "what foreign keys need");
        let text = |s: &mut Session| s.value("SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM orders t").expect("asks");
        let first = text(&mut s);
        let again = shadow.copy(&empty).expect("copy");
        let mut t = again.connect().expect("session");
        seed(&mut t, &tables, &options).expect("seeds");
        assert_eq!(first, text(&mut t), "the same seed makes the same rows");
    }
    let db = shadow.copy(&empty).expect("copy");
    let mut s = db.connect().expect("session");
    seed(&mut s, &[RelName::new("public", "types")].into(), &SeedOptions::default()).expect("seeds");
    for edge in [
        "b = 2147483647",
        "b = -2147483648",
        "b IS NULL",
        "g IN ('NaN', 'Infinity', '-Infinity')",
        "i = ''",
        "i ~ '汉'",
        "o < '4000-01-01 BC'",
        "ad = '{}'",
        "isempty(aj)",
    ] {
        let n = s.value(&format!("SELECT count(*) FROM types WHERE {edge}")).expect("asks");
        assert_ne!(n, Some("0".into()), "no row with {edge}");
    }
}

/// Copies of rows that the server took: as many as were asked for, each with keys of its own, and what cannot be copied is left at few.
#[test]
fn many_rows_are_made_within_the_server() {
    let shadow = Shadow::start(&super::tests::options()).expect("starts");
    let db = shadow.database().expect("database");
    let mut s = db.connect().expect("session");
    s.run(SCHEMA).expect("loads");
    s.run("CREATE TABLE events (id bigserial PRIMARY KEY, code varchar(9) UNIQUE, day date, kind mood, ratio numeric(12, 2), UNIQUE (day, kind)); CREATE UNIQUE INDEX ON events (lower(code)) WHERE code <> ''")
        .expect("a table of several keys");
    let tables = |all: &[&str]| all.iter().map(|t| RelName::new("public", *t)).collect::<BTreeSet<_>>();
    for profile in [Profile::Ordinary, Profile::Careful] {
        let start = Instant::now();
        let options = SeedOptions { rows: 20_000, profile, ..SeedOptions::default() };
        let asked: &[&str] = if profile == Profile::Ordinary { &["types", "users", "events"] } else { &["types", "events", "orders"] };
        let done = seed(&mut s, &tables(asked), &options).expect("seeds");
        let of = |t: &str| done.rows.get(&RelName::new("public", t)).copied().unwrap_or_default();
        println!("{profile:?}: {:?} in {:?}", done.rows, start.elapsed());
        if profile == Profile::Ordinary {
            assert!(of("users") >= 19_400, "{:?}", done.rows);
        } else {
            // Ranges must not overlap: no copy is another one.
            assert!((1..=5_000).contains(&of("orders")), "{:?}", done.rows);
        }
        let least = if profile == Profile::Ordinary { 19_400 } else { 39_400 };
        assert!(of("types") >= least && of("events") >= least, "{:?}", done.rows);
        for t in asked {
            assert_eq!(s.value(&format!("SELECT count(*) FROM {t}")).expect("counts"), Some(of(t).to_string()), "{t}");
        }
    }
}
