//! What stands around the rules, as people call it: baseline, overrides, suppressions, statistics, workload, fixes, own rules.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A project in a folder of its own: path → text.
fn project(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        write(dir.path(), path, text);
    }
    dir
}

fn write(dir: &Path, path: &str, text: &str) {
    let to = dir.join(path);
    std::fs::create_dir_all(to.parent().expect("a folder")).expect("makes folders");
    std::fs::write(to, text).expect("writes");
}

fn airlock(dir: &Path, args: &[&str]) -> Output {
    let mut c = Command::new(env!("CARGO_BIN_EXE_airlock"));
    for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("AIRLOCK_") && n != "AIRLOCK_TEST_PG") {
        c.env_remove(name);
    }
    c.env_remove("GITHUB_ACTIONS").env("NO_COLOR", "1").current_dir(dir).args(args).output().expect("the program runs")
}

fn out(o: &Output) -> String {
    String::from_utf8_lossy(&o.stdout).into_owned()
}

fn err(o: &Output) -> String {
    String::from_utf8_lossy(&o.stderr).into_owned()
}

/// `rule severity` of each finding, and the notes.
fn found(dir: &Path, args: &[&str]) -> (Vec<String>, Value) {
    let o = airlock(dir, &[&["check", "--output-format", "json"], args].concat());
    assert!(matches!(o.status.code(), Some(0 | 1)), "{}", err(&o));
    let v: Value = serde_json::from_slice(&o.stdout).expect("JSON");
    let list = v["diagnostics"].as_array().expect("a list");
    let words = |d: &Value| format!("{} {}", d["rule"].as_str().unwrap_or_default(), d["severity"].as_str().unwrap_or_default());
    (list.iter().map(words).collect(), v)
}

const BASE: &str =
    "CREATE TABLE orders (id bigint PRIMARY KEY, total int, note text);\nCREATE TABLE audit_log (id bigint PRIMARY KEY, note text);\n";

#[test]
fn a_baseline_holds_what_is_known_and_says_what_is_gone() {
    let dir = project(&[("m/1.sql", BASE), ("m/2.sql", "ALTER TABLE orders DROP COLUMN note;\n"), ("m/3.sql", "DROP TABLE audit_log;\n")]);
    let o = airlock(dir.path(), &["baseline", "m", "-o", "known.json"]);
    assert!(o.status.success() && out(&o).starts_with("known.json: 2 findings"), "{}{}", out(&o), err(&o));
    let (rules, v) = found(dir.path(), &["m", "--baseline", "known.json"]);
    assert!(rules.is_empty() && v["known"] == 2, "{v:#}");
    // Other lines, another layout: still known. A new one is not.
    write(dir.path(), "m/2.sql", "-- moved\n\nalter table  orders\n  drop column note;\nALTER TABLE orders DROP COLUMN total;\n");
    write(dir.path(), "m/3.sql", "SELECT 1;\n");
    write(dir.path(), "airlock.toml", "baseline = 'known.json'\n");
    let (rules, v) = found(dir.path(), &["m"]);
    assert_eq!(rules, ["drop-column error"], "{v:#}");
    let notes = v["notes"].to_string();
    assert!(notes.contains("1 entry matches nothing any more (drop-table in m/3.sql)"), "{notes}");
    // Of a file that is not checked nothing is stale.
    let (_, v) = found(dir.path(), &["m/2.sql"]);
    assert!(!v["notes"].to_string().contains("nothing any more"), "{v:#}");
    write(dir.path(), "known.json", "{\n\"schema_version\": 1,\n\"x\": 1}");
    let o = airlock(dir.path(), &["check", "m"]);
    assert!(o.status.code() == Some(2) && err(&o).contains("known.json:3: unknown field `x`"), "{}", err(&o));
}

#[test]
fn settings_differ_by_path_and_by_table() {
    let toml = "[rules.severity]\ndrop-column = 'warning'\n\n[[overrides]]\npaths = ['old']\nignore = ['rollback']\n\n\
                [[overrides]]\ntables = ['audit_*']\nselect = ['missing-lock-timeout']\n[overrides.severity]\ndrop-column = 'advice'\n";
    let dir = project(&[
        ("airlock.toml", toml),
        ("old/1.sql", BASE),
        ("old/2.sql", "ALTER TABLE orders DROP COLUMN note;\n"),
        ("new/1.sql", BASE),
        ("new/2.sql", "ALTER TABLE orders DROP COLUMN note;\n"),
        ("new/3.sql", "ALTER TABLE public.audit_log DROP COLUMN note;\n"),
    ]);
    assert!(found(dir.path(), &["old/2.sql"]).0.is_empty());
    assert_eq!(found(dir.path(), &["new/2.sql"]).0, ["drop-column warning"]);
    assert_eq!(found(dir.path(), &["new/3.sql"]).0, ["missing-lock-timeout warning", "drop-column advice"]);
    // From another folder the globs mean the same.
    let o = airlock(&dir.path().join("new"), &["check", "../old/2.sql", "--config", "../airlock.toml"]);
    assert_eq!(o.status.code(), Some(0), "{}{}", out(&o), err(&o));
    assert_eq!(found(dir.path(), &["new/3.sql", "--ignore", "missing-lock-timeout"]).0, ["drop-column advice"]);
    for (toml, says) in [
        (
            "[rules]\nignore = [\n'drop-colum']\n",
            "airlock.toml:3: no rule, group or tag is called `drop-colum`; did you mean `drop-column`?",
        ),
        ("[rules.severity]\ndrop-tabel = 'error'\n", "airlock.toml:2: no rule is called `drop-tabel`; did you mean `drop-table`?"),
        ("[[overrides]]\npath = ['x']\n", "airlock.toml:2: unknown key `path`; did you mean `paths`?"),
        ("[[overrides]]\npaths = ['[']\n", "airlock.toml:2: `[` is no glob"),
        ("[rules.options.drop-column]\nmax = 1\n", "airlock.toml:1: rule `drop-column`: no option is called `max`"),
        ("[suppressions]\ncompat = ['squak']\n", "airlock.toml:2: unknown value `squak`; did you mean `squawk`?"),
    ] {
        write(dir.path(), "airlock.toml", toml);
        let o = airlock(dir.path(), &["check", "new"]);
        assert_eq!(o.status.code(), Some(2), "{toml}");
        assert!(err(&o).contains(says), "{toml}: {}", err(&o));
    }
}

#[test]
fn options_differ_by_path() {
    let rule = "summary = 'x'\nseverity = 'warning'\nwhy = 'x'\ninstead = 'x'\nmessage = 'not {pattern}: {column}'\n[options]\npattern = '/^c_/'\n\
                [[when]]\nop = 'add-column'\nnot = { column.name = '{pattern}' }\n[[example]]\nsetup = 'CREATE TABLE t (a int);'\n\
                flagged = 'ALTER TABLE t ADD b int;'\n[[example]]\nsetup = 'CREATE TABLE t (a int);'\nclean = 'ALTER TABLE t ADD c_b int;'\n";
    let toml = "[rules]\npaths = ['own']\n[[overrides]]\npaths = ['m/3.sql']\n[overrides.options.column-prefix]\npattern = '/^d_/'\n";
    let add = "ALTER TABLE orders ADD COLUMN d_x int;\n";
    let dir = project(&[
        ("airlock.toml", toml),
        ("own/column-prefix.toml", rule),
        ("m/1.sql", BASE),
        ("m/2.sql", add),
        ("m/3.sql", &add.replace("d_x", "d_y")),
    ]);
    let (rules, v) = found(dir.path(), &["m"]);
    assert_eq!(rules, ["column-prefix warning"], "{v:#}");
    assert_eq!(v["diagnostics"][0]["path"], "m/2.sql");
    let o = airlock(dir.path(), &["rules", "--check", "own/column-prefix.toml"]);
    assert!(o.status.success() && out(&o).contains("the rule is valid, 2 examples run offline"), "{}{}", out(&o), err(&o));
    write(dir.path(), "own/column-prefix.toml", &rule.replace("ADD b int", "ADD c_b int").replace("add-column", "add-colum"));
    let o = airlock(dir.path(), &["rules", "--check", "own/column-prefix.toml"]);
    assert_eq!(o.status.code(), Some(1));
    assert!(out(&o).contains("own/column-prefix.toml:9: no operation is called `add-colum`; did you mean `add-column`?"), "{}", out(&o));
    write(dir.path(), "own/column-prefix.toml", &rule.replace("ADD b int", "ADD c_b int"));
    let o = airlock(dir.path(), &["rules", "--check", "own/column-prefix.toml"]);
    assert!(o.status.code() == Some(1) && out(&o).contains("example: not flagged: ALTER TABLE t ADD c_b int;"), "{}", out(&o));
}

#[test]
fn live_the_examples_of_an_own_rule_run_on_a_server() {
    let rule = "summary = 'x'\nseverity = 'warning'\nwhy = 'x'\ninstead = 'x'\nmessage = 'x'\n[[when]]\nop = 'drop-table'\n\
                [[example]]\nsetup = 'CREATE TABLE t (a int);'\nflagged = 'DROP TABLE t;'\n[[example]]\nclean = 'SELECT nothing FROM nowhere;'\n";
    let dir = project(&[("no-drop.toml", rule)]);
    let o = airlock(dir.path(), &["rules", "--check", "no-drop.toml", "--live"]);
    assert_eq!(o.status.code(), Some(1), "{}{}", out(&o), err(&o));
    assert!(out(&o).contains("SELECT nothing FROM nowhere;") && out(&o).contains("42P01"), "{}", out(&o));
    write(dir.path(), "no-drop.toml", &rule.replace("SELECT nothing FROM nowhere", "SELECT 1"));
    let o = airlock(dir.path(), &["rules", "--check", "no-drop.toml", "--live"]);
    assert!(o.status.success() && out(&o).contains("run offline and on a throwaway Postgres"), "{}{}", out(&o), err(&o));
}

#[test]
fn comments_must_say_why_and_those_of_others_count_when_asked() {
    let sql = "-- airlock: allow drop-column\nALTER TABLE orders DROP COLUMN note;\n\n-- squawk-ignore ban-drop-column\nALTER TABLE orders DROP COLUMN total;\n\
               -- atlas:nolint DS102 DS999\nDROP TABLE audit_log;\n";
    let dir = project(&[("m/1.sql", BASE), ("m/2.sql", sql)]);
    assert_eq!(found(dir.path(), &["m/2.sql", "--ignore", "locks"]).0, ["drop-column error", "drop-table error"]);
    write(dir.path(), "airlock.toml", "[suppressions]\nrequire-reason = true\ncompat = ['squawk', 'atlas']\n");
    let (rules, v) = found(dir.path(), &["m/2.sql", "--ignore", "locks"]);
    assert_eq!(rules, ["missing-reason warning", "unknown-rule warning"], "{v:#}");
    assert_eq!(v["suppressed"], 3);
    write(dir.path(), "m/2.sql", "-- airlock: allow-file drop-table -- agreed\nDROP TABLE audit_log;\nDROP TABLE orders;\n");
    assert_eq!(found(dir.path(), &["m/2.sql", "--ignore", "locks"]).0, Vec::<String>::new());
}

fn statistics(rows: u64, bytes: u64) -> String {
    format!(
        r#"{{"schema_version": 1, "postgres": "15.1", "taken_at": "2026-01-01T00:00:00Z", "stats_reset": null, "window_seconds": 10.0, "relations": [
        {{"schema": "public", "name": "orders", "kind": "table", "rows": {rows}, "table_bytes": {bytes}, "index_bytes": 0, "toast_bytes": 0,
          "inserts": 30, "updates": 10, "deletes": 0, "sequential_scans": 1, "index_scans": 99}}]}}"#
    )
}

#[test]
fn severity_follows_the_size_of_the_table() {
    let dir = project(&[
        ("m/1.sql", BASE),
        ("m/2.sql", "CREATE INDEX i ON orders (total);\n"),
        ("m/3.sql", "ALTER TABLE orders DROP COLUMN note;\n"),
    ]);
    write(dir.path(), "small.json", &statistics(200, 8192));
    write(dir.path(), "large.json", &statistics(3_456_789, 1 << 30));
    let (rules, v) = found(dir.path(), &["m", "--statistics-file", "small.json"]);
    // What hurts for another reason hurts on a small table too.
    assert_eq!(rules, ["create-index-blocking advice", "drop-column error"]);
    assert!(v["diagnostics"][0]["message"].as_str().is_some_and(|m| m.ends_with("(small: about 200 rows, 8.0 kB)")), "{v:#}");
    let (rules, v) = found(dir.path(), &["m/2.sql", "--statistics-file", "large.json"]);
    assert_eq!(rules, ["create-index-blocking error"]);
    assert!(v["diagnostics"][0]["message"].as_str().is_some_and(|m| m.ends_with("(about 3,400,000 rows, 1.0 GB)")), "{v:#}");
    write(dir.path(), "airlock.toml", "[statistics]\npath = 'small.json'\nsmall-rows = 100\n");
    assert_eq!(found(dir.path(), &["m/2.sql"]).0, ["create-index-blocking error"]);
    let o = airlock(dir.path(), &["facts", "m/2.sql", "--output-format", "json"]);
    let v: Value = serde_json::from_slice(&o.stdout).expect("JSON");
    let f = &v["operations"].as_array().expect("a list").iter().find(|o| o["facts"]["op"] == "create-index").expect("the index")["facts"];
    assert_eq!((&f["table.rows"], &f["table.bytes"]), (&Value::from(200), &Value::from(8192)));
    assert_eq!((&f["table.writes_per_second"], &f["table.reads_per_second"]), (&Value::from(4), &Value::from(10)));
    write(dir.path(), "airlock.toml", "");
    assert!(!out(&airlock(dir.path(), &["facts", "m/2.sql"])).contains("table.rows"), "unknown is absent");
    write(dir.path(), "bad.json", "{\n\"rows\": 1}");
    let o = airlock(dir.path(), &["check", "m", "--statistics-file", "bad.json"]);
    assert!(o.status.code() == Some(2) && err(&o).contains("bad.json:2: unknown field `rows`"), "{}", err(&o));
}

#[test]
fn live_statistics_are_read_and_written() {
    use airlock::shadow::{Shadow, ShadowOptions};
    let shadow = Shadow::start(&ShadowOptions::default()).expect("a server");
    let db = shadow.database().expect("a database");
    db.connect()
        .expect("a session")
        .simple(&format!("{BASE} INSERT INTO orders SELECT i FROM generate_series(1, 50) i; ANALYZE;"))
        .expect("rows");
    let dir = project(&[("m/1.sql", BASE), ("m/2.sql", "CREATE INDEX i ON orders (total);\n")]);
    let url = db.url();
    let o = airlock(dir.path(), &["stats", "--database-url", &url, "-o", "stats.json"]);
    assert!(o.status.success(), "{}", err(&o));
    assert!(err(&o).contains("in a read-only session; no row of a table is read"), "{}", err(&o));
    assert_eq!(found(dir.path(), &["m/2.sql", "--statistics-file", "stats.json"]).0, ["create-index-blocking advice"]);
    // The same by a service, from any folder.
    let parts: Vec<&str> = url.trim_start_matches("postgresql://").split(['@', ':', '/']).collect();
    let [user, host, port, database] = parts[..] else { panic!("{url}") };
    let service = format!("[shop]\nhost={}\nport={port}\nuser={user}\ndbname={database}\n", host.replace("%2F", "/"));
    write(dir.path(), "services", &service);
    let by_service = Command::new(env!("CARGO_BIN_EXE_airlock"))
        .args(["stats", "--database-url", "service=shop"])
        .env("PGSERVICEFILE", dir.path().join("services"))
        .output()
        .expect("runs");
    assert!(out(&by_service).contains("\"orders\""), "{}", err(&by_service));
    // A password is never said.
    let o = airlock(dir.path(), &["stats", "--database-url", "postgres://me:secret@127.0.0.1:1/x"]);
    assert_eq!(o.status.code(), Some(2));
    assert!(!err(&o).contains("secret") && err(&o).contains("me@127.0.0.1/x"), "{}", err(&o));
    let o = Command::new(env!("CARGO_BIN_EXE_airlock"))
        .args(["stats", "--help"])
        .env("AIRLOCK_DATABASE_URL", "postgres://me:secret@h/x")
        .output();
    assert!(!out(&o.expect("runs")).contains("secret"));
}

#[test]
fn the_queries_of_the_old_release_decide() {
    let dir = project(&[
        ("m/1.sql", BASE),
        ("m/2.sql", "ALTER TABLE orders DROP COLUMN note;\n"),
        ("m/3.sql", "ALTER TABLE audit_log RENAME COLUMN note TO remark;\n"),
        ("q/orders.sql", "-- name: Notes :many\nSELECT note FROM orders WHERE id = @id;\nSELECT id FROM orders;\n"),
        ("q/.sqlx/query-1.json", r#"{"db_name": "PostgreSQL", "query": "SELECT total FROM orders WHERE note = $1", "describe": {}}"#),
        ("q/pgss.csv", "queryid,calls,query\n42,7,\"SELECT id,\nnote FROM orders\"\n"),
    ]);
    let (rules, v) = found(dir.path(), &["m/2.sql", "m/3.sql", "--workload", "q"]);
    assert_eq!(rules, ["drop-column error", "rename-column error"]);
    let help = v["diagnostics"][0]["help"].as_str().expect("help");
    for q in ["q/.sqlx/query-1.json (42703)", "q/orders.sql:2 (Notes) (42703)", "q/pgss.csv queryid 42 (42703)"] {
        assert!(help.contains(q), "{q}: {help}");
    }
    assert!(!help.contains("orders.sql:3 "), "{help}");
    assert!(v["diagnostics"][1]["help"].as_str().is_some_and(|h| h.contains("no query of the workload breaks, but")), "{v:#}");
    // All that release N-1 runs: nobody reads the renamed column.
    write(dir.path(), "airlock.toml", "[workload]\npaths = ['q']\ncomplete = true\n");
    let (rules, v) = found(dir.path(), &["m/2.sql", "m/3.sql"]);
    assert_eq!(rules, ["drop-column error"], "{v:#}");
    assert!(v["notes"].to_string().contains("1 finding left out, because no query of release N-1 breaks"), "{v:#}");
    // A query that does not resolve is said, and the workload is no longer taken as complete.
    write(dir.path(), "q/more.json", r#"{"broken": "SELECT missing FROM orders", "odd": "SELEC 1"}"#);
    let (rules, v) = found(dir.path(), &["m/2.sql", "m/3.sql"]);
    assert_eq!(rules.len(), 2, "{v:#}");
    let notes = v["notes"].to_string();
    assert!(
        notes.contains("nothing is concluded from 2 of 6 queries: broken (fails on the schema before the change with 42703"),
        "{notes}"
    );
    let o = airlock(dir.path(), &["facts", "m/2.sql"]);
    assert!(out(&o).contains("breaks.query = \"q/.sqlx/query-1.json (42703)\""), "{}", out(&o));
    // Data that goes is worth a word even when nobody reads it.
    write(dir.path(), "q/more.json", "{}");
    write(dir.path(), "m/2.sql", "ALTER TABLE audit_log DROP COLUMN note;\n");
    let (rules, v) = found(dir.path(), &["m/2.sql"]);
    assert!(
        rules == ["drop-column advice"]
            && v["diagnostics"][0]["help"].as_str().is_some_and(|h| h.contains("what remains is that data goes")),
        "{v:#}"
    );
}

#[test]
fn fixes_are_shown_made_and_made_once() {
    let up = "-- +goose NO TRANSACTION\n-- +goose Up\n";
    let index = format!("\u{feff}{up}create index i on orders (total);\r\n-- +goose Down\r\nDROP INDEX i;\r\n");
    let check = "-- +goose Up\nALTER TABLE orders ADD CONSTRAINT k CHECK (total > 0);\n-- +goose Down\n";
    let dir = project(&[("m/00001_a.sql", &format!("-- +goose Up\n{BASE}")), ("m/00002_b.sql", &index), ("m/00003_c.sql", check)]);
    let read = |p: &str| std::fs::read_to_string(dir.path().join(p)).expect("reads");
    let (_, v) = found(dir.path(), &["m/00002_b.sql"]);
    let fix = &v["diagnostics"][0]["fix"];
    assert_eq!(
        (&fix["safe"], &fix["edits"][0]["text"], &fix["edits"][0]["line"]),
        (&Value::from(true), &Value::from(" concurrently"), &Value::from(3)),
        "{v:#}"
    );
    let o = airlock(dir.path(), &["check", "m", "--diff"]);
    assert_eq!(o.status.code(), Some(1));
    assert!(
        out(&o).contains("-create index i on orders (total);") && out(&o).contains("+create index concurrently i on orders (total);"),
        "{}",
        out(&o)
    );
    assert!(!out(&o).contains("NOT VALID") && read("m/00002_b.sql") == index, "a diff writes nothing, and unsafe fixes are asked for");
    let o = airlock(dir.path(), &["check", "m", "--fix"]);
    assert!(out(&o).contains("1 finding in 1 file fixed"), "{}{}", out(&o), err(&o));
    assert_eq!(read("m/00002_b.sql"), index.replace("create index i", "create index concurrently i"));
    assert_eq!(read("m/00003_c.sql"), check);
    airlock(dir.path(), &["check", "m", "--fix", "--unsafe-fixes"]);
    assert_eq!(read("m/00003_c.sql"), check.replace("(total > 0)", "(total > 0) NOT VALID"));
    let o = airlock(dir.path(), &["check", "m", "--diff", "--unsafe-fixes"]);
    assert!(o.status.success() && out(&o) == "nothing to fix\n", "{}", out(&o));
}

#[test]
fn known_findings_are_not_fixed() {
    let dir = project(&[("m/1.sql", BASE), ("m/2.sql", "REFRESH MATERIALIZED VIEW v;\n")]);
    write(
        dir.path(),
        "m/1.sql",
        &format!("{BASE}CREATE MATERIALIZED VIEW v AS SELECT id FROM orders;\nCREATE UNIQUE INDEX i ON v (id);\n"),
    );
    assert!(airlock(dir.path(), &["baseline", "m"]).status.success());
    let o = airlock(dir.path(), &["check", "m", "--diff", "--baseline", "airlock-baseline.json"]);
    assert!(o.status.success(), "{}", out(&o));
    assert_eq!(airlock(dir.path(), &["check", "m", "--diff"]).status.code(), Some(1));
}

#[test]
fn flags_as_they_are_known_elsewhere() {
    let dir = project(&[("m/1.sql", BASE), ("m/2.sql", "DROP TABLE orders;\nDROP TABLE audit_log;\n"), ("empty/x.txt", "")]);
    let o = airlock(dir.path(), &["check", "m", "--statistics"]);
    assert!(o.status.code() == Some(1) && out(&o).lines().any(|l| l == "     2  drop-table"), "{}", out(&o));
    assert!(airlock(dir.path(), &["check", "m", "--exit-zero"]).status.success());
    let o = airlock(dir.path(), &["check", "m", "-o", "report.json", "--output-format", "json"]);
    assert!(o.status.code() == Some(1) && out(&o).is_empty());
    assert!(std::fs::read_to_string(dir.path().join("report.json")).expect("a report").starts_with('{'));
    for path in ["empty", "nowhere"] {
        assert_eq!(airlock(dir.path(), &["check", path]).status.code(), Some(2));
        assert_eq!(airlock(dir.path(), &["check", path, "--no-error-on-unmatched"]).status.code(), Some(0));
    }
    assert_eq!(airlock(dir.path(), &["check", "empty", "m", "--no-error-on-unmatched"]).status.code(), Some(1));
    let o = airlock(dir.path(), &["check", "m", "--quiet", "--output-format", "text"]);
    assert!(!out(&o).contains("schema rollback"), "{}", out(&o));
    let o = airlock(dir.path(), &["explain", "create-index-blocking"]);
    assert!(out(&o).starts_with("create-index-blocking\n\n") && !out(&o).contains("```") && !out(&o).contains('\u{1b}'), "{}", out(&o));
    let o = airlock(dir.path(), &["rules", "--output-format", "markdown"]);
    assert!(out(&o).contains("| `create-index-blocking` |"), "{}", out(&o));
}

#[test]
fn init_writes_what_it_recognised_and_overwrites_nothing() {
    let dir = project(&[
        ("db/migrations/1_a.sql", "-- +goose Up\nCREATE TABLE t (id int);\n-- +goose Down\nDROP TABLE t;\n"),
        ("db/migrations/2_b.sql", "-- +goose Up\nALTER TABLE t DROP COLUMN id;\n-- +goose Down\nALTER TABLE t ADD id int;\n"),
        (
            ".squawk.toml",
            "pg_version = '15.2'\nexcluded_rules = ['ban-drop-column', 'prefer-big-int', 'no-such-rule']\nexcluded_paths = ['old/*.sql']\nassume_in_transaction = true\n",
        ),
    ]);
    let o = airlock(dir.path(), &["init", "--hook", "--workflow"]);
    assert!(o.status.success(), "{}{}", out(&o), err(&o));
    let said = out(&o);
    assert!(said.contains("goose (by ") && said.contains("2 migrations"), "{said}");
    assert!(said.contains("no rule of squawk is called `no-such-rule`") && said.contains("assume_in_transaction"), "{said}");
    let read = |f: &str| std::fs::read_to_string(dir.path().join(f)).expect("written");
    let toml = read("airlock.toml");
    for line in ["framework = \"goose\"", "pg-version = 15", "    \"drop-column\", # squawk: ban-drop-column", "compat = [\"squawk\"]"] {
        assert!(toml.lines().any(|l| l == line), "{line}: {toml}");
    }
    assert!(read(".pre-commit-config.yaml").contains("files: \"^db/migrations/\""));
    assert!(read(".github/workflows/airlock.yml").contains("paths: \"db/migrations\""));
    // The imported settings hold.
    assert!(found(dir.path(), &["db/migrations", "--select", "drop-column"]).0.is_empty());
    let o = airlock(dir.path(), &["init"]);
    assert!(o.status.code() == Some(2) && err(&o).contains("airlock.toml: is there already, nothing was written"), "{}", err(&o));
    write(dir.path(), "airlock.toml", "# mine\n");
    std::fs::remove_file(dir.path().join(".squawk.toml")).expect("removed");
    assert!(airlock(dir.path(), &["init", "--force"]).status.success());
    // What is commented out is right as well.
    let all: String = read("airlock.toml")
        .lines()
        .map(|l| match l.strip_prefix("# ") {
            Some(rest) if rest.starts_with('[') || rest.contains(" = ") && !rest.contains(": ") => rest,
            _ => l,
        })
        .filter(|l| !["baseline", "path"].iter().any(|k| l.starts_with(&format!("{k} ="))) && !l.contains(".sqlx"))
        .collect::<Vec<_>>()
        .join("\n");
    assert!(all.contains("\nrequire-reason = true") && all.contains("\n[[overrides]]"), "{all}");
    write(dir.path(), "airlock.toml", &all);
    let o = airlock(dir.path(), &["check", "db", "--exit-zero"]);
    assert!(o.status.success(), "{}\n{all}", err(&o));
    let empty = project(&[]);
    let o = airlock(empty.path(), &["init"]);
    assert!(o.status.success() && out(&o).contains("No migration was found yet"), "{}{}", out(&o), err(&o));
}

#[test]
fn the_schema_of_the_configuration_is_printed() {
    let dir = project(&[]);
    let o = airlock(dir.path(), &["schema-json"]);
    let v: Value = serde_json::from_slice(&o.stdout).expect("JSON");
    assert_eq!(v["additionalProperties"], false);
    assert!(v["properties"]["pg-version"]["description"].as_str().is_some_and(|d| d.contains("14 to 18")), "{v:#}");
    assert!(v["properties"]["framework"]["enum"].as_array().is_some_and(|e| e.iter().any(|f| f == "golang-migrate")), "{v:#}");
    assert!(v["properties"].get("origin").is_none());
}

#[test]
fn options_come_from_the_environment_too() {
    let dir = project(&[("m/1.sql", BASE), ("m/2.sql", "ALTER TABLE orders DROP COLUMN note;\n")]);
    let run = |name: &str, value: &str| {
        let mut c = Command::new(env!("CARGO_BIN_EXE_airlock"));
        c.current_dir(dir.path()).args(["check", "m"]).env_remove("GITHUB_ACTIONS").env(name, value).output().expect("runs")
    };
    assert_eq!(run("AIRLOCK_IGNORE", "drop-column").status.code(), Some(0));
    assert_eq!(run("AIRLOCK_SELECT", "create-index-blocking").status.code(), Some(0));
    assert_eq!(run("AIRLOCK_FAIL_ON", "warning").status.code(), Some(1));
    assert!(out(&run("AIRLOCK_OUTPUT_FORMAT", "concise")).starts_with("m/2.sql:1:"));
    let o = run("AIRLOCK_IGNORE", "drop-colum");
    assert!(o.status.code() == Some(2) && err(&o).contains("did you mean `drop-column`?"), "{}", err(&o));
}

#[test]
fn files_are_listed_and_what_was_read_is_said() {
    let dir = project(&[("airlock.toml", ""), ("m/1.sql", BASE), ("m/2.sql", "DROP TABLE orders;\n"), ("m/3.sql", "SELECT 1;\n")]);
    let o = airlock(dir.path(), &["check", "m/3.sql", "m/2.sql", "--show-files"]);
    assert_eq!((o.status.code(), out(&o).as_str()), (Some(0), "m/2.sql\nm/3.sql\n"), "{}", err(&o));
    let o = airlock(dir.path(), &["check", "m/3.sql", "--verbose"]);
    assert!(err(&o).contains("airlock.toml; Postgres ") && err(&o).contains("3 migrations, 1 reported on"), "{}", err(&o));
}

#[test]
fn a_watched_project_is_checked_again() {
    use std::io::{BufRead, BufReader};
    let dir = project(&[("m/1.sql", BASE), ("m/2.sql", "SELECT 1;\n")]);
    let mut c = Command::new(env!("CARGO_BIN_EXE_airlock"));
    c.current_dir(dir.path()).args(["check", "m", "--watch", "--output-format", "concise"]).env_remove("GITHUB_ACTIONS");
    let mut child = c.stdout(std::process::Stdio::piped()).spawn().expect("the program runs");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut until_it_waits = || {
        let seen: Vec<String> = lines.by_ref().map_while(Result::ok).take_while(|l| !l.starts_with("Watching")).collect();
        seen.join("\n")
    };
    let first = until_it_waits();
    assert!(first.contains("no findings"), "{first}");
    write(dir.path(), "m/2.sql", "ALTER TABLE orders DROP COLUMN note;\n");
    let second = until_it_waits();
    assert!(second.starts_with("m/2.sql:1:") && second.contains("[drop-column]"), "{second}");
    child.kill().expect("ends");
    child.wait().expect("ended");
}

/// What people read first; a change of it is seen in review.
#[test]
fn help_of_the_commands_around() {
    let dir = project(&[]);
    let commands = [
        "",
        "check",
        "baseline",
        "init",
        "schema-json",
        "rules",
        "explain",
        "stats",
        "history",
        "effects",
        "facts",
        "trace",
        "verify",
        "shadow",
        "shadow start",
        "plan",
        "status",
        "advance",
        "abandon",
        "lsp",
        "completions",
        "man",
    ];
    for command in commands {
        let words: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let o = airlock(dir.path(), &words);
        assert!(o.status.success(), "{command}");
        assert!(out(&o).lines().all(|l| l.chars().count() <= 100), "{command}: too wide");
        let name = if command.is_empty() { "airlock".to_string() } else { command.replace(' ', "_") };
        insta::assert_snapshot!(format!("help_{name}"), out(&o));
    }
}
