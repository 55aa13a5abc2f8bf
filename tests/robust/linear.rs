//! Four times the input takes about four times the time. Ratios only: how fast the machine is does not matter.

use std::time::Instant;

use super::drive::check;

/// Quadratic time gives 16; caches, maps and a busy machine are granted something above 4.
const TOO_MUCH: f64 = 9.0;
/// Below this many seconds the measurement is of the clock.
const ENOUGH: f64 = 0.05;

/// Seconds of this thread on a processor, so that a busy machine does not count; the clock where the system does not tell.
fn seconds(text: &str) -> f64 {
    let spent = || {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        stat.split(' ').next()?.parse::<f64>().ok().map(|n| n / 1e9)
    };
    let (start, before) = (Instant::now(), spent());
    std::hint::black_box(check(text));
    match (before, spent()) {
        (Some(a), Some(b)) => b - a,
        _ => start.elapsed().as_secs_f64(),
    }
}

#[track_caller]
fn is_linear(what: &str, make: impl Fn(usize) -> String) {
    let best = |n: usize| {
        let text = make(n);
        (0..2).map(|_| seconds(&text)).fold(f64::INFINITY, f64::min)
    };
    let mut n = 64;
    let mut small = best(n);
    while small < ENOUGH {
        // A megabyte that costs less than the clock can tell is no trouble.
        if n >= 1 << 16 {
            return;
        }
        n *= 2;
        small = best(n);
    }
    let mut ratio = best(4 * n) / small;
    if ratio > TOO_MUCH {
        // Once more, should something else have come in between.
        ratio = ratio.min(best(4 * n) / best(n));
    }
    assert!(ratio <= TOO_MUCH, "{what}: 4 times as much takes {ratio:.1} times as long (from {n})");
}

fn list(n: usize, one: impl Fn(usize) -> String, between: &str) -> String {
    (0..n).map(one).collect::<Vec<_>>().join(between)
}

#[test]
fn long_texts() {
    is_linear("one string", |n| format!("SELECT '{}';", "x".repeat(64 * n)));
    is_linear("one comment", |n| format!("/* {} */ SELECT 1;", "x ".repeat(64 * n)));
    is_linear("operators", |n| format!("SELECT {};", "+".repeat(n)));
    is_linear("open templates", |n| "{{".repeat(n));
    is_linear("dollars", |n| "$a ".repeat(n));
    is_linear("quotes", |n| "'' ".repeat(n));
    is_linear("garbage", |n| "\u{1}é) ".repeat(n));
    is_linear("data of COPY", |n| format!("COPY orders (id, note) FROM stdin;\n{}\\.\nSELECT 1;", "1\tsome text\n".repeat(4 * n)));
}

#[test]
fn many_statements() {
    is_linear("selects", |n| "SELECT 1;\n".repeat(n));
    is_linear("on one line", |n| "DROP TABLE IF EXISTS q; ".repeat(n));
    is_linear("inserts", |n| list(n, |i| format!("INSERT INTO orders (id, total, note) VALUES ({i}, {i}, 'text {i}');"), "\n"));
    is_linear("allowed by comments", |n| list(n, |i| format!("-- airlock: allow drop-table -- gone\nDROP TABLE q{i};"), "\n"));
    is_linear("comments that allow", |n| "-- airlock: allow drop-table -- gone\n".repeat(n));
    is_linear("broken", |n| "CREATE TABEL x (a int;\n".repeat(n));
}

#[test]
fn many_objects() {
    is_linear("tables", |n| list(n, |i| format!("CREATE TABLE t{i} (id bigint PRIMARY KEY, a int REFERENCES t{} (id));", i / 2), "\n"));
    is_linear("functions", |n| list(n, |i| format!("CREATE FUNCTION f{i}() RETURNS int LANGUAGE sql AS 'SELECT {i}';"), "\n"));
    is_linear("views", |n| list(n, |i| format!("CREATE VIEW w{i} AS SELECT id FROM orders;"), "\n"));
    is_linear("tables made and dropped", |n| list(n, |i| format!("CREATE TABLE t{i} (id int); DROP TABLE t{i};"), "\n"));
}

#[test]
fn wide_objects() {
    is_linear("an IN list", |n| format!("DELETE FROM orders WHERE id IN ({});", list(n, |i| i.to_string(), ", ")));
    is_linear("rows of one INSERT", |n| format!("INSERT INTO orders (id, total) VALUES {};", list(n, |i| format!("({i}, {i})"), ", ")));
    is_linear("OR", |n| format!("DELETE FROM orders WHERE {};", list(n, |i| format!("id = {i}"), " OR ")));
    is_linear("labels of an enum", |n| format!("CREATE TYPE e AS ENUM ({});", list(n, |i| format!("'l{i}'"), ", ")));
    is_linear("code", |n| format!("DO $$ BEGIN {} END $$;", "PERFORM 1; ".repeat(n)));
}
