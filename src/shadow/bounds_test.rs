//! Whatever the SQL under test does, a run ends, and what it took is bounded.

use std::time::{Duration, Instant};

use super::tests::{options, script};
use super::*;

const ENDLESS: &str = "DO $$ BEGIN LOOP END LOOP; END $$";

fn why(shadow: &Shadow) -> String {
    match shadow.still_well() {
        Err(ShadowError::Lost { why }) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn live_the_time_of_a_run_is_bounded_and_then_there_is_no_verdict() {
    let shadow = Shadow::start(&ShadowOptions { run_limit: Duration::from_secs(2), ..options() }).expect("starts");
    let dir = shadow.dir();
    let db = shadow.database().expect("a database");
    let mut s = db.connect().expect("a session");
    s.run("SELECT 1").expect("in time");
    let start = Instant::now();
    let e = s.run(ENDLESS).expect_err("stopped");
    assert!(e.is_stopped() && e.message.contains("its limit (`--time-limit`)") && start.elapsed().as_secs() < 30, "{e}");
    assert!(s.run("SELECT 1").is_err() && db.connect().is_err(), "it is over");
    assert!(why(&shadow).contains("longer than 2 s"));
    drop((s, db, shadow));
    assert!(!dir.exists(), "the folder is left");
}

#[test]
fn live_a_loop_in_the_history_ends_with_its_statement_and_is_tried_once() {
    let shadow = Shadow::start(&ShadowOptions { statement_limit: Duration::from_secs(2), ..options() }).expect("starts");
    let start = Instant::now();
    let (_, refused) = shadow.prepared(&[script(&format!("CREATE TABLE t (a int);\n{ENDLESS};\nSELECT 1;"), true)]).expect("ends");
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    let [one] = refused.as_slice() else { panic!("{refused:?}") };
    assert!(one.line == 2 && one.error.message == "stopped: it ran longer than 2 s", "{one}");
    shadow.still_well().expect("one statement is not the run");
}

#[test]
fn live_what_a_throwaway_server_may_hold_is_bounded() {
    let shadow = Shadow::start(&ShadowOptions { room: Some(150 << 20), ..options() }).expect("starts");
    let dir = shadow.dir();
    let db = shadow.database().expect("a database");
    let mut s = db.connect().expect("a session");
    s.run("CREATE TABLE t (a text)").expect("a table");
    let mut end = Ok(0);
    // Statements that each end, and a transaction that fills the disk all the same.
    for _ in 0..200 {
        end = s.run("INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 20000)");
        if end.is_err() {
            break;
        }
    }
    assert!(end.is_err() && why(&shadow).contains("more than 150 MB"), "{end:?}");
    drop((s, db, shadow));
    assert!(!dir.exists(), "the folder is left");
}

/// Only Linux tells.
#[cfg(target_os = "linux")]
#[test]
fn live_the_memory_of_a_servers_process_is_bounded() {
    let shadow = Shadow::start(&options()).expect("starts");
    let db = shadow.database().expect("a database");
    let session = db.connect().expect("a session");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", session.pid())).expect("limits");
    let line = limits.lines().find(|l| l.starts_with("Max address space")).expect("a limit");
    assert!(line.contains(&(4_u64 << 30).to_string()), "{line}");
}
