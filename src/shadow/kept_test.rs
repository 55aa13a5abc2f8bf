//! What stays on a server, and what goes.

use super::kept::Remote;
use super::tests::{options, script};
use super::*;

#[test]
fn a_prepared_schema_serves_the_next_run() {
    let server = Shadow::start(&options()).expect("starts");
    let home = server.database().expect("database");
    let mut admin = home.helper().expect("session");
    admin.run("CREATE ROLE dev LOGIN CREATEDB").expect("role");
    let url = format!("postgres://dev@{}:5432/postgres", server.dir().display().to_string().replace('/', "%2F"));
    let start = || Shadow::start(&ShadowOptions { url: Some(url.clone()), ..options() }).expect("starts");
    let scripts = [script("CREATE TABLE t (a int);", true)];

    let (first, name) = (start(), |db: &Database| db.name().to_string());
    let (db, failures) = first.prepared(&scripts).expect("loads");
    let template = name(&db);
    assert!(failures.is_empty() && template.starts_with("airlock_shadow_template_"), "{template}");
    drop((db, first));

    let second = start();
    let (db, _) = second.prepared(&scripts).expect("is there");
    assert_eq!(name(&db), template);
    let copy = second.copy(&db).expect("a copy");
    copy.connect().expect("session").run("INSERT INTO t VALUES (1)").expect("has the table");
    // Another text is another schema; what is refused is not kept.
    let (other, _) = second.prepared(&[script("CREATE TABLE t (b int);", true)]).expect("loads");
    assert_ne!(name(&other), template);
    let (broken, failures) = second.prepared(&[script("CREATE TABLE t (b nonsense);", true)]).expect("loads");
    assert!(failures.len() == 1 && !name(&broken).contains("template"));
    let other = name(&other);
    drop((db, copy, broken, second));

    // Those that a run may be about to copy stay; a database that only has such a name is nobody's business.
    let mut remote = Remote::open(&url).expect("connects");
    assert_eq!(remote.sweep(), Vec::<String>::new());
    admin.run(&format!("COMMENT ON DATABASE {template} IS '{}'", remote::mark_of_template(1))).expect("grows old");
    admin.run("CREATE DATABASE airlock_shadow_template_mine OWNER dev").expect("somebody's");
    assert_eq!(remote.sweep(), [template]);
    let left = admin.rows("SELECT datname FROM pg_database WHERE datname LIKE '%template\\_%' ORDER BY 1").expect("asks");
    assert_eq!(left.concat(), [Some(other), Some("airlock_shadow_template_mine".into())]);
}

#[test]
fn a_server_without_room_is_no_verdict() {
    let shadow = Shadow::start(&options()).expect("starts");
    let db = shadow.database().expect("database");
    shadow.still_well().expect("well");
    let mut s = db.connect().expect("session");
    assert!(s.run("DO $$ BEGIN RAISE EXCEPTION 'a check of the application' USING ERRCODE = '23514'; END $$").is_err());
    shadow.still_well().expect("a refusal is no trouble");
    let full = s.run("DO $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$").expect_err("full");
    assert_eq!(full.sqlstate, "53100");
    assert!(matches!(shadow.still_well(), Err(ShadowError::Lost { why }) if why.contains("could not extend file")));
}
