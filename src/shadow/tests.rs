//! Tests of the shadow itself. They start servers of their own; a missing server fails them.

use std::time::Instant;

use super::*;

/// As the tests start servers: `AIRLOCK_TEST_PG=18` runs all of them on another major version.
pub(super) fn options() -> ShadowOptions {
    let pg = std::env::var("AIRLOCK_TEST_PG").ok().map(|v| v.parse().expect("a version"));
    ShadowOptions { pg: pg.unwrap_or_default(), exact: pg.is_some(), ..ShadowOptions::default() }
}

#[test]
fn a_throwaway_cluster_starts_answers_and_leaves_nothing() {
    let shadow = Shadow::start(&options()).expect("starts");
    let dir = shadow.dir();
    let pid: i32 =
        std::fs::read_to_string(dir.join("data/postmaster.pid")).expect("runs").lines().next().expect("pid").parse().expect("number");
    let db = shadow.database().expect("database");
    let mut s = db.connect().expect("session");
    assert_eq!(s.value("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").expect("asks"), Some("f".into()));
    assert_eq!(s.value("SHOW listen_addresses").expect("asks"), Some("".into()));
    let refused = s.run("COPY pg_class TO PROGRAM 'cat'").expect_err("no programs for the SQL under test");
    assert_eq!(refused.sqlstate, "42501");
    drop((s, db, shadow));
    assert!(!dir.exists());
    assert!(nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_err(), "the server still runs");
}

#[test]
fn a_second_start_is_warm() {
    drop(Shadow::start(&options()).expect("starts"));
    let start = Instant::now();
    let shadow = Shadow::start(&options()).expect("starts");
    let took = start.elapsed();
    drop(shadow);
    // Generous, because tests run side by side; alone it takes about 0.2 s.
    assert!(took.as_secs() < 5, "{took:?}");
    println!("warm start: {took:?}");
}

#[test]
fn a_statement_without_end_is_stopped() {
    let shadow = Shadow::start(&options()).expect("starts");
    let db = shadow.database().expect("database");
    let mut s = db.connect().expect("session");
    s.set_limit(std::time::Duration::from_millis(200));
    let e = s.run("DO $$ BEGIN LOOP PERFORM 1; END LOOP; END $$").expect_err("stopped");
    assert_eq!(e.sqlstate, "57014");
    assert_eq!(s.value("SELECT 1").expect("the session lives"), Some("1".into()));
}

/// Not a test of its own: the next one runs it in a process that it then kills.
#[test]
fn child_that_waits_to_be_killed() {
    if std::env::var_os("AIRLOCK_TEST_CHILD").is_none() {
        return;
    }
    let shadow = Shadow::start(&options()).expect("starts");
    println!("\nDIR {}", shadow.dir().display());
    std::thread::sleep(std::time::Duration::from_secs(60));
}

#[test]
fn kill_and_interrupt_leave_neither_server_nor_folder() {
    use std::io::BufRead;
    for signal in [nix::sys::signal::Signal::SIGKILL, nix::sys::signal::Signal::SIGINT] {
        let mut child = std::process::Command::new(std::env::current_exe().expect("own program"))
            .args(["--exact", "shadow::tests::child_that_waits_to_be_killed", "--nocapture"])
            .env("AIRLOCK_TEST_CHILD", "1")
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("runs");
        let out = std::io::BufReader::new(child.stdout.take().expect("piped"));
        let dir = out.lines().map_while(Result::ok).find_map(|l| l.strip_prefix("DIR ").map(std::path::PathBuf::from)).expect("started");
        let pid: i32 =
            std::fs::read_to_string(dir.join("data/postmaster.pid")).expect("runs").lines().next().expect("pid").parse().expect("number");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), signal).expect("kills");
        child.wait().expect("ends");
        let start = Instant::now();
        while dir.exists() && start.elapsed().as_secs() < 10 {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert!(!dir.exists(), "{signal}: the folder is left");
        assert!(nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_err(), "{signal}: the server still runs");
    }
}

#[test]
fn a_server_url_is_used_with_care() {
    let server = Shadow::start(&options()).expect("starts");
    let home = server.database().expect("database");
    let mut admin = home.helper().expect("session");
    admin.run("CREATE ROLE dev LOGIN CREATEDB").expect("role");
    let url = |user: &str, db: &str| {
        let host = server.dir().display().to_string().replace('/', "%2F");
        ShadowOptions { url: Some(format!("postgres://{user}@{host}:5432/{db}")), ..options() }
    };
    assert!(matches!(Shadow::start(&url("postgres", "postgres")).err(), Some(ShadowError::Superuser { .. })));

    // What a killed run left: its lock is free. And a database that only looks like one.
    admin.run("CREATE DATABASE airlock_shadow_7_0 OWNER dev").expect("left-over");
    admin.run(&format!("COMMENT ON DATABASE airlock_shadow_7_0 IS '{}7'", remote::MARK)).expect("marks");
    admin.run("CREATE DATABASE airlock_shadow_mine OWNER dev").expect("somebody's");

    let shadow = Shadow::start(&url("dev", "postgres")).expect("starts");
    let left = "SELECT datname FROM pg_database WHERE datname LIKE 'airlock\\_shadow\\_%' AND datname <> current_database() ORDER BY 1";
    assert_eq!(admin.rows(left).expect("asks"), [[Some("airlock_shadow_mine".to_string())]]);
    let db = shadow.database().expect("database");
    db.connect().expect("session").run("CREATE TABLE t (a int)").expect("works");
    drop((db, shadow));
    assert_eq!(admin.rows(left).expect("asks").len(), 1);

    admin.run("CREATE TABLE in_use (a int)").expect("table");
    assert!(matches!(Shadow::start(&url("dev", home.name())).err(), Some(ShadowError::InUse { .. })));
}
