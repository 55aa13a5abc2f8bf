//! A history that took its time is there at once in the next throwaway cluster.

use std::time::{Duration, Instant};

use super::image::Loaded;
use super::tests::{options, script};
use super::*;
use crate::history::Script;

/// A history that nobody else has, and that is worth keeping.
fn slow(n: u64) -> Vec<Script> {
    let sql = format!(
        "CREATE ROLE image_{n}; CREATE TABLE t (a int PRIMARY KEY); GRANT SELECT ON t TO image_{n}; INSERT INTO t SELECT generate_series(1, 1000); SELECT pg_sleep(0.6)"
    );
    vec![script(&sql, false)]
}

fn with(history: &[Script]) -> Shadow {
    Shadow::start(&ShadowOptions { history: history.to_vec(), ..options() }).expect("starts")
}

/// What the prepared database holds, and how long it took to have it.
fn look(shadow: &Shadow, history: &[Script]) -> (Option<String>, Duration) {
    let start = Instant::now();
    let (db, refused) = shadow.prepared(history).expect("loads");
    let took = start.elapsed();
    assert!(refused.is_empty(), "{refused:?}");
    let mut s = shadow.copy(&db).expect("copies").connect().expect("a session");
    let seen = s.value("SELECT count(*) || ' ' || sum(a) || ' ' || array_to_string(relacl, ',') FROM t, pg_class WHERE oid = 't'::regclass GROUP BY relacl");
    s.run("INSERT INTO t VALUES (0)").expect("can be written");
    (seen.expect("asks"), took)
}

#[test]
fn live_a_long_history_is_kept_for_the_next_cluster() {
    let n = fastrand::u64(..);
    let history = slow(n);
    let programs = programs::find(options().pg, options().exact).expect("programs");
    let image = Loaded::new(&programs, &template::key(&programs.version, false, &history)).expect("a cache");

    let (first, took) = look(&with(&history), &history);
    assert!(took >= Duration::from_millis(600) && image.is_there(), "{took:?}");
    assert!(first.as_ref().is_some_and(|f| f.starts_with("1000 500500 ") && f.contains(&format!("image_{n}=r"))), "{first:?}");
    let (again, took) = look(&with(&history), &history);
    assert_eq!(again, first);
    assert!(took < Duration::from_millis(600), "it was loaded anew: {took:?}");
    // Another history is another image, and one that is quickly loaded needs none.
    let quick = [script(&format!("CREATE TABLE t (a int); INSERT INTO t VALUES (1) -- {n}"), false)];
    look(&with(&quick), &quick);
    assert!(!Loaded::new(&programs, &template::key(&programs.version, false, &quick)).expect("a cache").is_there());

    // Damaged, it is loaded anew and kept anew.
    std::fs::write(image.folder().join("global/pg_control"), b"nonsense").expect("damages it");
    let (repaired, took) = look(&with(&history), &history);
    assert!(repaired == first && took >= Duration::from_millis(600), "{took:?}");
    let (again, took) = look(&with(&history), &history);
    assert!(again == first && took < Duration::from_millis(600), "{took:?}");
    image.forget();
    assert!(!image.is_there());
}
