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

#[test]
fn a_session_goes_on_behind_a_refused_copy() {
    let shadow = Shadow::start(&options()).expect("starts");
    let db = shadow.database().expect("database");
    let mut s = db.connect().expect("session");
    s.set_limit(std::time::Duration::from_secs(5));
    s.run("CREATE TABLE t (a int CHECK (a > 0), b text)").expect("table");
    // Refused before any row, at a row, and at the end of the statement.
    for (sql, data, state) in [
        ("COPY nope FROM STDIN", "1\tx\n", "42P01"),
        ("COPY t FROM STDIN", "x\tx\n", "22P02"),
        ("COPY t FROM STDIN", "0\tx\n", "23514"),
        ("COPY t FROM STDIN", "1\n", "22P04"),
    ] {
        for around in [false, true] {
            if around {
                s.run("BEGIN").expect("begins");
            }
            assert_eq!(s.copy_in(sql, data).expect_err("refused").sqlstate, state, "{sql}");
            if around {
                s.run("ROLLBACK").expect("rolls back");
            }
            assert_eq!(s.value("SELECT 7").expect("goes on"), Some("7".into()), "{sql}");
        }
    }
    assert_eq!(s.copy_in("COPY t FROM STDIN", "1\tx\n2\ty\n").expect("copies"), 2);
    assert_eq!(s.value("SELECT count(*) FROM t").expect("goes on"), Some("2".into()));
}

#[test]
fn the_sql_under_test_cannot_leave_its_database() {
    let shadow = Shadow::start(&options()).expect("starts");
    let db = shadow.database().expect("database");
    let mut s = db.connect().expect("session");
    s.run("CREATE TABLE t (a text)").expect("an ordinary owner");
    for sql in [
        "COPY t TO PROGRAM 'cat'",
        "COPY t FROM PROGRAM 'id'",
        "COPY t FROM '/etc/passwd'",
        "COPY t TO '/tmp/airlock-should-not-be'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_read_binary_file('postgresql.conf')",
        "SELECT pg_ls_dir('/')",
        "SELECT lo_import('/etc/passwd')",
        "DO $$ DECLARE o oid := lo_create(0); BEGIN PERFORM lo_export(o, '/tmp/airlock-should-not-be'); END $$",
        "ALTER SYSTEM SET work_mem = '1MB'",
        "SELECT pg_reload_conf()",
        "CREATE FUNCTION f() RETURNS int LANGUAGE c AS '/lib/libc.so.6', 'getpid'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE internal AS 'pg_backend_pid'",
        "LOAD '/tmp/nothing.so'",
        "CREATE ROLE r SUPERUSER",
        "ALTER ROLE airlock_owner SUPERUSER",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "GRANT pg_execute_server_program TO airlock_owner",
        "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()",
        "CREATE SUBSCRIPTION s CONNECTION 'host=example.com' PUBLICATION p",
        "CREATE DATABASE d",
        "CREATE TABLESPACE ts LOCATION '/tmp'",
    ] {
        let e = s.run(sql).expect_err(sql);
        // 22023: the role may not be what it is set to; 42883: nothing is reached.
        assert!(matches!(e.sqlstate.as_str(), "42501" | "22023"), "{sql}: {e}");
    }
    for name in ["dblink", "file_fdw", "postgres_fdw", "plpython3u", "plperlu", "adminpack", "http"] {
        let failures = load::load(&db, [&script(&format!("CREATE EXTENSION {name};"), false)]).expect("loads");
        assert_eq!(failures.len(), 1, "{name} is made for nobody");
    }
    assert!(!std::path::Path::new("/tmp/airlock-should-not-be").exists());
}

/// A script of a runner that sends statement by statement, in a transaction or not.
pub(super) fn script(sql: &str, transaction: bool) -> crate::history::Script {
    use crate::history::{Execution, Script, Send};
    Script::whole(crate::source::SourceFile::new("x.sql", sql), Execution::new(transaction, Send::Statement))
}

#[test]
fn servers_start_side_by_side() {
    // Each start sweeps what others left: it must never take what another one is just making.
    let start = || std::thread::spawn(|| Shadow::start(&options()).map(|s| s.database().map(|d| d.connect().map(drop))));
    let all: Vec<_> = (0..6).map(|_| start()).collect();
    for one in all {
        one.join().expect("no panic").expect("starts").expect("a database").expect("a session");
    }
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
fn a_server_that_is_gone_is_an_error_and_leaves_nothing() {
    let shadow = Shadow::start(&options()).expect("starts");
    let dir = shadow.dir();
    let pid: i32 =
        std::fs::read_to_string(dir.join("data/postmaster.pid")).expect("runs").lines().next().expect("pid").parse().expect("number");
    let db = shadow.database().expect("database");
    let mut s = db.connect().expect("session");
    // A connection that is cut is told as such, and the next one works.
    let e = s.run("SELECT pg_terminate_backend(pg_backend_pid())").expect_err("cut");
    assert!(e.is("57P01") || e.is_connection(), "{e}");
    let mut s = db.connect().expect("another session");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).expect("kills");
    let end = Instant::now();
    while s.run("SELECT 1").is_ok() {
        assert!(end.elapsed().as_secs() < 20, "the server still answers");
    }
    assert!(matches!(db.connect().err(), Some(ShadowError::Connect { .. })));
    drop((s, db, shadow));
    assert!(!dir.exists(), "the folder is left");
    drop(Shadow::start(&options()).expect("the next one starts"));
}

/// Somebody may remove the folder of a server that runs.
#[cfg(target_os = "linux")]
#[test]
fn a_server_whose_folder_is_gone_leaves_nobody_who_waits_for_it() {
    let shadow = Shadow::start(&options()).expect("starts");
    let dir = shadow.dir();
    let watched = || {
        let all = std::fs::read_dir("/proc").expect("processes").filter_map(Result::ok);
        let name = dir.display().to_string();
        all.filter_map(|p| std::fs::read(p.path().join("cmdline")).ok()).any(|c| String::from_utf8_lossy(&c).contains(&name))
    };
    assert!(watched());
    let pid: i32 =
        std::fs::read_to_string(dir.join("data/postmaster.pid")).expect("runs").lines().next().expect("pid").parse().expect("number");
    std::fs::remove_dir_all(&dir).expect("removed");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).expect("kills");
    drop(shadow);
    let end = Instant::now();
    while watched() {
        assert!(end.elapsed().as_secs() < 20, "somebody still waits for {}", dir.display());
        std::thread::sleep(std::time::Duration::from_millis(20));
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
    admin.run(&format!("COMMENT ON DATABASE airlock_shadow_7_0 IS '{}'", remote::mark_of_run(7))).expect("marks");
    // Killed before it came to the comment.
    let (name, limit) = remote::name_and_limit(8, 3);
    admin.run(&format!("CREATE DATABASE {name} OWNER dev CONNECTION LIMIT {limit}")).expect("left-over");
    admin.run("CREATE DATABASE airlock_shadow_mine OWNER dev").expect("somebody's");
    admin.run("CREATE DATABASE airlock_shadow_9_1 OWNER dev").expect("somebody's");

    let shadow = Shadow::start(&url("dev", "postgres")).expect("starts");
    let left = "SELECT datname FROM pg_database WHERE datname LIKE 'airlock\\_shadow\\_%' AND datname <> current_database() ORDER BY 1";
    let somebodys = ["airlock_shadow_9_1", "airlock_shadow_mine"].map(|n| [Some(n.to_string())]);
    assert_eq!(admin.rows(left).expect("asks"), somebodys);
    let db = shadow.database().expect("database");
    db.connect().expect("session").run("CREATE TABLE t (a int)").expect("works");
    drop((db, shadow));
    assert_eq!(admin.rows(left).expect("asks"), somebodys);

    admin.run("CREATE TABLE in_use (a int)").expect("table");
    assert!(matches!(Shadow::start(&url("dev", home.name())).err(), Some(ShadowError::InUse { .. })));
}
