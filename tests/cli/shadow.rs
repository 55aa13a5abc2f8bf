//! `airlock shadow`: a Postgres that stays.

use std::path::Path;

use super::{airlock_in, text};

struct Project(tempfile::TempDir);

impl Project {
    fn new(files: &[(&str, &str)]) -> Project {
        let dir = tempfile::tempdir().expect("a folder");
        files.iter().for_each(|(name, body)| std::fs::write(dir.path().join(name), body).expect("a file"));
        Project(dir)
    }

    fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let o = airlock_in(self.0.path(), args);
        (o.status.code(), text(&o), String::from_utf8_lossy(&o.stderr).into_owned())
    }
}

impl Drop for Project {
    /// A test that fails leaves nothing running either.
    fn drop(&mut self) {
        airlock_in(self.0.path(), &["shadow", "stop", "."]);
    }
}

/// The folder of the server, out of its URL.
fn folder(url: &str) -> String {
    url.split_once('@').and_then(|(_, rest)| rest.split_once(':')).map_or("", |(host, _)| host).replace("%2F", "/")
}

#[test]
fn a_shadow_stays_until_it_is_stopped_live() {
    let p = Project::new(&[
        ("1_base.sql", "CREATE TABLE orders (id bigint PRIMARY KEY, note text);"),
        ("2_rename.sql", "ALTER TABLE orders RENAME COLUMN note TO remark;"),
    ]);
    let (code, _, said) = p.run(&["shadow", "url"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("no shadow is running") && said.contains("airlock shadow start"), "{said}");

    let (code, out, err) = p.run(&["shadow", "start"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("2 files loaded"), "{out}");
    let (_, url, _) = p.run(&["shadow", "url"]);
    let dir = folder(&url);
    assert!(out.contains(url.trim()) && Path::new(&dir).is_dir(), "{url}");

    // A proof uses it, and leaves it as it was; so does cleaning up.
    let (code, out, err) = p.run(&["verify", "2_rename.sql"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("`airlock shadow start` left running"), "{out}");
    let (_, out, _) = p.run(&["shadow", "clean"]);
    assert!(!out.contains(&dir), "{out}");
    assert_eq!(p.run(&["shadow", "url"]).1, url);

    // Started anew, the schema is loaded anew, and the old server is gone.
    std::fs::write(p.0.path().join("3_broken.sql"), "ALTER TABLE nowhere ADD COLUMN x int;").expect("a file");
    let (code, out, _) = p.run(&["shadow", "start"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("refused: ") && out.contains("3_broken.sql:1"), "{out}");
    let (_, again, _) = p.run(&["shadow", "url"]);
    assert!(again != url && !Path::new(&dir).exists(), "{again}");

    let (_, out, _) = p.run(&["shadow", "stop"]);
    assert!(out.starts_with("stopped: "), "{out}");
    assert!(!Path::new(&folder(&again)).exists());
    assert_eq!(p.run(&["shadow", "stop"]).1, "nothing was running\n");
}

/// A server of the user's: here one that Airlock itself started, by another road.
#[test]
fn a_database_stays_on_a_server_of_a_url_until_it_is_stopped_live() {
    let host = Project::new(&[("1_base.sql", "CREATE TABLE hosts (a int);")]);
    assert_eq!(host.run(&["shadow", "start"]).0, Some(0));
    let own = host.run(&["shadow", "url"]).1;
    let server = format!("postgres://postgres@{}:5432/postgres", folder(&own).replace('/', "%2F"));
    let p = Project::new(&[("1_base.sql", "CREATE TABLE orders (a int);")]);
    let on = |words: &[&str]| p.run(&[&["shadow"], words, &["--shadow-url", &server]].concat());
    let (code, _, err) = on(&["start"]);
    assert!(code == Some(2) && err.contains("is a superuser"), "{err}");
    assert!(on(&["url"]).2.contains("no shadow is running"));

    let (code, out, err) = on(&["start", "--shadow-superuser"]);
    assert!(code == Some(0) && out.contains("1 file loaded"), "{out}{err}");
    let (_, first, _) = on(&["url"]);
    assert!(out.ends_with(&first) && first.contains("/airlock_shadow_"), "{first}");
    // The tables are there for any other program: their schema is copied.
    let (code, out, err) = p.run(&["trace", "1_base.sql", "--database-url", first.trim()]);
    assert!(code == Some(1) && out.contains("42P07"), "{out}{err}");
    let (_, out, _) = on(&["clean"]);
    assert!(!out.contains("database airlock_shadow_"), "{out}");

    // Again: the new one is there, and the old one is gone.
    assert_eq!(on(&["start", "--shadow-superuser"]).0, Some(0));
    let (_, second, _) = on(&["url"]);
    assert!(second != first && second.contains("/airlock_shadow_"), "{second}");
    let (code, _, err) = p.run(&["trace", "1_base.sql", "--database-url", first.trim()]);
    assert!(code == Some(2) && err.contains("does not exist"), "{err}");
    let (_, out, _) = on(&["stop"]);
    assert_eq!(out.trim(), format!("stopped: database {}", second.trim().rsplit('/').next().expect("a name")));
    assert_eq!(on(&["stop"]).1, "nothing was running\n");
    // What stands there beside it is nobody's business.
    assert_eq!(host.run(&["shadow", "url"]).1, own);
    assert_eq!(host.run(&["trace", "1_base.sql", "--database-url", own.trim()]).0, Some(1));
}

#[test]
fn times_on_many_rows_are_extrapolated_to_the_statistics_live() {
    let statistics = r#"{"schema_version": 1, "postgres": "15.1", "taken_at": "2026-01-01T00:00:00Z", "stats_reset": null, "window_seconds": null,
        "relations": [{"schema": "public", "name": "orders", "kind": "table", "rows": 120000000, "table_bytes": 6000000000, "index_bytes": 0,
        "toast_bytes": 0, "inserts": 0, "updates": 0, "deletes": 0, "sequential_scans": 0, "index_scans": 0}]}"#;
    let p = Project::new(&[
        (
            "1_base.sql",
            "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, total int NOT NULL); CREATE TABLE other (a int);",
        ),
        ("2_type.sql", "ALTER TABLE orders ALTER COLUMN total TYPE bigint;\nALTER TABLE other ADD b int;"),
        ("stats.json", statistics),
    ]);
    let trace = |rows: &str| {
        let (code, out, err) =
            p.run(&["trace", "2_type.sql", "--rows", rows, "--statistics-file", "stats.json", "--output-format", "json"]);
        assert_eq!(code, Some(0), "{out}{err}");
        let v: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        v["statements"].as_array().expect("statements").clone()
    };
    let [rewrite, other] = <[_; 2]>::try_from(trace("20000")).expect("two statements");
    let e = &rewrite["estimate"];
    assert_eq!(
        (e["table"].as_str(), e["rows"].as_u64(), e["rows_here"].as_u64()),
        (Some("public.orders"), Some(120_000_000), Some(20_000))
    );
    assert_eq!(e["held"][0], "public.orders ACCESS EXCLUSIVE");
    // 6,000 times the rows: nearly as many times of what it took.
    let took = rewrite["milliseconds"].as_f64().expect("a time") / 1000.0;
    assert!(e["seconds"].as_f64().is_some_and(|s| s > took * 100.0), "{rewrite:#}");
    assert!(rewrite["estimated"].as_str().is_some_and(|w| w.contains("an estimate from about 20,000 rows")), "{rewrite:#}");
    assert!(other["estimate"].is_null(), "{other:#}");
    assert!(trace("100").iter().all(|s| s["estimate"].is_null()), "a hundred rows say nothing");
}

#[test]
fn the_schema_of_a_database_takes_the_place_of_the_migrations_live() {
    let source = Project::new(&[("1_base.sql", "CREATE TABLE orders (id bigint PRIMARY KEY, note text);")]);
    assert_eq!(source.run(&["shadow", "start"]).0, Some(0));
    let url = source.run(&["shadow", "url"]).1;
    let p = Project::new(&[("2_rename.sql", "ALTER TABLE orders RENAME COLUMN note TO remark;")]);
    for (command, word) in [("plan", "is planned in"), ("verify", "\nproved: "), ("trace", "all did what was predicted")] {
        let (_, out, _) = p.run(&[command, "2_rename.sql"]);
        assert!(!out.contains(word), "{command} without a schema: {out}");
        let (code, out, err) = p.run(&[command, "2_rename.sql", "--database-url", url.trim()]);
        assert!(code == Some(0) && out.contains(word), "{command}: {out}{err}");
        assert!(err.starts_with("Copying the schema of airlock_owner@") && err.contains("no row of a table is read"), "{err}");
    }
    let (code, out, err) = p.run(&["shadow", "start", "--database-url", url.trim()]);
    assert!(code == Some(0) && out.contains("1 file loaded"), "{out}{err}");
    let (code, _, err) = p.run(&["verify", "2_rename.sql", "--database-url", "postgres://nobody:secret@127.0.0.1:1/none"]);
    assert!(code == Some(2) && !err.contains("secret") && err.contains("connect to nobody@127.0.0.1/none"), "{err}");
}

#[test]
fn a_migration_without_end_ends_with_a_clear_message_live() {
    let p = Project::new(&[("1_base.sql", "CREATE TABLE t (a int);"), ("2_loop.sql", "DO $$ BEGIN LOOP END LOOP; END $$;")]);
    let (code, out, err) = p.run(&["trace", "2_loop.sql", "--time-limit", "3"]);
    assert_eq!(code, Some(2), "{out}");
    assert!(err.contains("the run took longer than 3 s, its limit (`--time-limit`)") && err.contains("says nothing"), "{err}");
}

/// The servers are those that `scripts/fetch-postgres` fetches.
#[test]
fn a_plan_is_proved_on_every_version_live() {
    let p = Project::new(&[
        ("1_base.sql", "CREATE TABLE orders (id bigint PRIMARY KEY, note text);"),
        ("2_index.sql", "CREATE INDEX orders_note ON orders (note);"),
    ]);
    let (code, out, err) = p.run(&["verify", "2_index.sql", "--postgres", "14,15,16,17,18", "--output-format", "json"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let v: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let seen: Vec<String> =
        v.as_array().expect("a list").iter().map(|p| format!("{} {}", p["postgres"], p["verdict"]).replace('"', "")).collect();
    let majors: Vec<&str> = seen.iter().map(|s| s.split('.').next().unwrap_or_default()).collect();
    assert!(majors == ["14", "15", "16", "17", "18"] && seen.iter().all(|s| s.ends_with(" proved")), "{seen:?}");
}

/// Rows are made so that the migration takes them; where it takes none, its statements are looked at without any, and that is said.
#[test]
fn constraints_of_a_migration_are_traced_on_rows_that_fit_live() {
    let p = Project::new(&[
        ("1_base.sql", "CREATE TABLE users (id int PRIMARY KEY, code text); CREATE TABLE t (id int, a int, b int, user_id int, c text);"),
        (
            "2_tighter.sql",
            "ALTER TABLE t ADD CONSTRAINT both_or_none CHECK (a IS NULL OR c LIKE 'name-%');\nALTER TABLE t ADD UNIQUE (a, b);\n\
             CREATE UNIQUE INDEX once ON t (lower(c));\nALTER TABLE t ADD PRIMARY KEY (id);\nALTER TABLE t ADD FOREIGN KEY (user_id) REFERENCES users;",
        ),
        ("3_never.sql", "UPDATE t SET a = a / 0;\nALTER TABLE t ADD CHECK (a > b + 100000);"),
    ]);
    let trace = |file: &str| {
        let (code, out, err) = p.run(&["trace", file, "--output-format", "json"]);
        assert_eq!(code, Some(0), "{out}{err}");
        let v: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        v["statements"].as_array().expect("statements").clone()
    };
    let seen = trace("2_tighter.sql");
    assert_eq!(seen.len(), 5);
    for s in &seen {
        assert!(s["error"].is_null() && s["rows_refused"].is_null(), "{s:#}");
        assert!(s["observed"]["scans"].as_array().is_some_and(|l| l.contains(&"public.t".into())), "{s:#}");
    }
    for (s, state) in trace("3_never.sql").iter().zip(["22012", "23514"]) {
        assert!(s["rows_refused"].as_str().is_some_and(|w| w.contains(state)) && s["error"].is_null(), "{s:#}");
    }
}
