//! The program as people and pipelines call it.

#[path = "cli/advance.rs"]
mod advance;
#[path = "cli/lsp.rs"]
mod lsp;
#[cfg(unix)]
#[path = "cli/shadow.rs"]
mod shadow;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn airlock(args: &[&str]) -> Output {
    airlock_in(&root(), args)
}

fn airlock_in(folder: &Path, args: &[&str]) -> Output {
    let mut c = Command::new(env!("CARGO_BIN_EXE_airlock"));
    for name in ["GITHUB_ACTIONS", "AIRLOCK_CONFIG", "AIRLOCK_FRAMEWORK", "AIRLOCK_PG_VERSION", "AIRLOCK_OUTPUT_FORMAT", "AIRLOCK_SCHEMA"] {
        c.env_remove(name);
    }
    c.current_dir(folder).args(args).output().expect("the program runs")
}

fn text(o: &Output) -> String {
    String::from_utf8_lossy(&o.stdout).into_owned()
}

fn json(o: &Output) -> Value {
    serde_json::from_slice(&o.stdout).unwrap_or_else(|e| panic!("{e}: {}{}", text(o), String::from_utf8_lossy(&o.stderr)))
}

const SHOP: &str = "testdata/shop/migrations";

#[test]
fn check_reports_in_the_shape_of_the_contract() {
    let o = airlock(&["check", &format!("{SHOP}/002_shipping_method.sql"), "--output-format", "json"]);
    assert_eq!(o.status.code(), Some(1));
    let v = json(&o);
    assert_eq!(v["schema_version"], 1);
    assert_eq!(v["files"], 1);
    assert_eq!(v["statements"]["total"], 1);
    let d = &v["diagnostics"][0];
    assert_eq!(d["rule"], "add-required-column");
    assert_eq!((&d["line"], &d["column"]), (&Value::from(1), &Value::from(20)));
    for key in ["severity", "path", "end_line", "end_column", "message", "help", "statement", "fix"] {
        assert!(d.get(key).is_some(), "{key} is missing");
    }
    assert_eq!(v["verdict"]["code_rollback"], "breaks");
}

#[test]
fn each_of_the_four_changes_is_found() {
    for (file, rule) in [
        ("002_shipping_method", "add-required-column"),
        ("003_total_bigint", "type-rewrite"),
        ("004_rename_note", "rename-column"),
        ("005_drop_remark", "drop-column"),
    ] {
        let v = json(&airlock(&["check", &format!("{SHOP}/{file}.sql"), "--output-format", "json"]));
        let rules: Vec<&str> = v["diagnostics"].as_array().expect("a list").iter().filter_map(|d| d["rule"].as_str()).collect();
        assert!(rules.contains(&rule), "{file}: {rules:?}");
    }
}

#[test]
fn a_whole_folder_and_a_safe_file() {
    assert_eq!(airlock(&["check", SHOP]).status.code(), Some(1));
    assert_eq!(airlock(&["check", &format!("{SHOP}/001_create.sql")]).status.code(), Some(0));
    let o = airlock(&["plan", &format!("{SHOP}/001_create.sql"), "--output-format", "json"]);
    assert_eq!(o.status.code(), Some(0));
    assert!(json(&o)["plan"].is_null());
}

#[test]
fn errors_are_sentences_and_exit_with_2() {
    for (args, says) in [
        (&["check", "nowhere"][..], "nowhere: no such file or folder"),
        (&["check", SHOP, "--select", "drop-colum"][..], "did you mean `drop-column`?"),
        (&["check", SHOP, "--framework", "goos"][..], "did you mean `goose`?"),
        (&["explain", "drop-tabel"][..], "did you mean `drop-table`?"),
        (&["plan", SHOP][..], "name one file"),
    ] {
        let o = airlock(args);
        let error = String::from_utf8_lossy(&o.stderr).into_owned();
        assert_eq!(o.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains(says), "{args:?}: {error}");
    }
}

#[test]
fn effects_in_the_shape_of_the_contract() {
    let workload = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(
        workload.path(),
        r#"{"new order": "INSERT INTO orders (customer_id, total) VALUES (1, 2)", "orders": "SELECT id, total FROM orders"}"#,
    )
    .expect("writes");
    let file = format!("{SHOP}/002_shipping_method.sql");
    let v = json(&airlock(&["effects", &file, "--output-format", "json", "--workload", &workload.path().display().to_string()]));
    let s = &v["statements"][0];
    assert_eq!(s["locks"]["public.orders"], "AccessExclusiveLock");
    assert_eq!(s["broken"]["insert-minimal"], "23502");
    assert_eq!(s["broken_queries"]["new order"], "23502");
    assert!(s["broken_queries"].get("orders").is_none());
    for key in ["line", "statement", "rewrites", "scans", "builds", "in_transaction", "fails", "undo"] {
        assert!(s.get(key).is_some() && (key == "line" || key == "statement" || v["total"].get(key).is_some()), "{key} is missing");
    }
}

#[test]
fn live_effects_are_observed() {
    let v = json(&airlock(&["effects", &format!("{SHOP}/003_total_bigint.sql"), "--output-format", "json", "--observe"]));
    let s = &v["statements"][0];
    assert_eq!(s["observed"]["rewrites"], s["rewrites"]);
    assert_eq!(s["observed"]["locks"], s["locks"]);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for e in std::fs::read_dir(from).expect("readable").flatten() {
        if e.path().is_dir() {
            copy(&e.path(), &to.join(e.file_name()));
        } else {
            std::fs::copy(e.path(), to.join(e.file_name())).expect("copies");
        }
    }
}

/// Plan, proof, and the negative control: with the trigger taken out of the plan's files the proof says which write was lost.
#[test]
fn live_a_plan_is_proved_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().expect("a folder");
    copy(&root().join("testdata/shop"), &dir.path().join("shop"));
    let migration = dir.path().join("shop/migrations/004_rename_note.sql").display().to_string();
    let plan = dir.path().join("plan");
    let into = plan.display().to_string();
    let o = airlock(&["plan", &migration, "--into", &into]);
    assert_eq!(o.status.code(), Some(0), "{}", String::from_utf8_lossy(&o.stderr));
    for f in ["plan.toml", "PLAN.md", "1-expand", "2-migrate", "3-contract-soft"] {
        assert!(plan.join(f).exists(), "{f} is missing");
    }
    let v = json(&airlock(&["verify", &into, "--output-format", "json"]));
    assert_eq!(v["verdict"], "proved", "{v:#}");
    assert!(!v["steps"].as_array().expect("steps").is_empty() && v["postgres"].is_string());

    for e in walkdir::WalkDir::new(&plan).into_iter().flatten().filter(|e| e.path().extension().is_some_and(|x| x == "sql")) {
        let sql = std::fs::read_to_string(e.path()).expect("reads");
        let kept: Vec<&str> = sql.lines().filter(|l| !l.starts_with("CREATE TRIGGER") && !l.starts_with("DROP TRIGGER")).collect();
        std::fs::write(e.path(), kept.join("\n")).expect("writes");
    }
    let o = airlock(&["verify", &into]);
    assert_eq!(o.status.code(), Some(1));
    assert!(text(&o).contains("a write of N-1 at B2 is lost"), "{}", text(&o));
}

#[test]
fn a_plan_of_another_text_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    copy(&root().join("testdata/shop"), &dir.path().join("shop"));
    let migration = dir.path().join("shop/migrations/005_drop_remark.sql");
    let plan = dir.path().join("plan").display().to_string();
    assert_eq!(airlock(&["plan", &migration.display().to_string(), "--into", &plan]).status.code(), Some(0));
    std::fs::write(&migration, "ALTER TABLE orders DROP COLUMN total;").expect("writes");
    let o = airlock(&["verify", &plan]);
    assert_eq!(o.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&o.stderr).contains("has changed since the plan was made"));
}

/// A repository with the shop, in which a branch adds the last migration and the plan for it.
fn shop_with_a_change(dir: &Path) -> std::path::PathBuf {
    let repo = dir.join("repo");
    copy(&root().join("testdata/shop"), &repo.join("shop"));
    std::fs::remove_file(repo.join("shop/migrations/005_drop_remark.sql")).expect("removes");
    let git = |args: &[&str]| {
        let who = ["-c", "user.name=x", "-c", "user.email=x@x"];
        let o = Command::new("git").current_dir(&repo).args(who).args(args).output().expect("git runs");
        assert!(o.status.success(), "{}", String::from_utf8_lossy(&o.stderr));
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "-A"]);
    git(&["commit", "-qm", "before"]);
    git(&["checkout", "-qb", "change"]);
    let migration = repo.join("shop/migrations/005_drop_remark.sql");
    std::fs::copy(root().join(SHOP).join("005_drop_remark.sql"), &migration).expect("copies");
    let plan = repo.join("shop/airlock/plans/005_drop_remark").display().to_string();
    assert_eq!(airlock(&["plan", &migration.display().to_string(), "--into", &plan]).status.code(), Some(0));
    git(&["add", "-A"]);
    git(&["commit", "-qm", "change"]);
    repo
}

/// The action's script in that repository, with files in place of GitHub's: its exit code and what it printed, the outputs, and the summary.
fn action(dir: &Path, repo: &Path, inputs: &[(&str, &str)]) -> (Option<i32>, String, String, String) {
    let (output, summary) = (dir.join("output"), dir.join("summary"));
    for f in [&output, &summary] {
        std::fs::write(f, "").expect("an empty file");
    }
    let o = Command::new(root().join("scripts/action"))
        .current_dir(repo)
        .env("INPUT_BINARY_PATH", env!("CARGO_BIN_EXE_airlock"))
        .env("INPUT_PULL_REQUEST_BASE", "main")
        .env("INPUT_WORKING_DIRECTORY", "shop")
        .env("INPUT_PATHS", "migrations")
        .env("RUNNER_TEMP", dir)
        .env("GITHUB_OUTPUT", &output)
        .env("GITHUB_STEP_SUMMARY", &summary)
        .envs(inputs.iter().copied())
        .output()
        .expect("the script runs");
    let read = |f| std::fs::read_to_string(f).expect("readable");
    (o.status.code(), text(&o) + &String::from_utf8_lossy(&o.stderr), read(&output), read(&summary))
}

#[test]
fn the_action_annotates_and_sets_its_outputs() {
    let dir = tempfile::tempdir().expect("a folder");
    let repo = shop_with_a_change(dir.path());
    let sarif = dir.path().join("airlock.sarif").display().to_string();
    let (code, out, output, summary) = action(dir.path(), &repo, &[("INPUT_FAIL_ON", "error"), ("INPUT_SARIF_FILE", &sarif)]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.starts_with("::error file=shop/migrations/005_drop_remark.sql,line=1,endLine=1,col=20,"), "{out}");
    assert!(!out.contains("004_rename_note"), "only what changed is reported: {out}");
    for line in ["exit-code=1", "errors=1", "rollback-safe=false", "proved=", &format!("sarif-file={sarif}")] {
        assert!(output.lines().any(|l| l == line), "{line}: {output}");
    }
    assert!(std::fs::read_to_string(&sarif).expect("SARIF").contains("\"ruleId\": \"drop-column\""));
    assert!(summary.contains("drop-column") && summary.contains("code rollback: breaks"), "{summary}");
    let (code, out, output, summary) =
        action(dir.path(), &repo, &[("INPUT_FAIL_ON", "never"), ("INPUT_ANNOTATIONS", "false"), ("INPUT_SUMMARY", "false")]);
    assert!(code == Some(0) && !out.contains("::error") && summary.is_empty() && output.contains("errors=1\n"), "{out}{output}");
    // Without a change there is nothing to report, and a rollback is safe.
    let (code, _, output, _) = action(dir.path(), &repo, &[("INPUT_BASE_REF", "HEAD")]);
    assert!(code == Some(0) && output.contains("rollback-safe=true\n") && output.contains("errors=0\n"), "{output}");
    let (code, out, output, _) = action(dir.path(), &repo, &[("INPUT_BASE_REF", "no-such-branch")]);
    assert!(code == Some(2) && out.contains("no-such-branch") && output.contains("rollback-safe=false\n"), "{out}{output}");
}

#[test]
fn live_the_action_proves_changed_plans() {
    let dir = tempfile::tempdir().expect("a folder");
    let repo = shop_with_a_change(dir.path());
    let inputs = [("INPUT_FAIL_ON", "never"), ("INPUT_VERIFY", "true")];
    let (code, out, output, summary) = action(dir.path(), &repo, &inputs);
    assert!(code == Some(0) && output.contains("proved=true\n"), "{out}{output}");
    assert!(summary.contains("Proof of `airlock/plans/005_drop_remark`: proved: "), "{summary}");
    // A plan that was changed for the worse fails the job.
    let plan = repo.join("shop/airlock/plans/005_drop_remark");
    for e in walkdir::WalkDir::new(&plan).into_iter().flatten().filter(|e| e.path().extension().is_some_and(|x| x == "sql")) {
        std::fs::write(e.path(), "SELECT 1;\n").expect("writes");
    }
    let (code, out, output, _) = action(dir.path(), &repo, &[("INPUT_FAIL_ON", "error"), ("INPUT_VERIFY", "true")]);
    assert!(code == Some(1) && output.contains("proved=false\n"), "{out}{output}");
    assert!(out.contains("::error title=airlock%3A proof::The plan airlock/plans/005_drop_remark is not proved"), "{out}");
}

/// One comment, updated the next time. A few lines of HTTP stand for GitHub.
#[test]
fn the_action_updates_its_one_comment() {
    use std::io::{BufRead, Read, Write};
    let dir = tempfile::tempdir().expect("a folder");
    let repo = shop_with_a_change(dir.path());
    let server = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let api = format!("http://{}", server.local_addr().expect("an address"));
    let seen = std::thread::spawn(move || {
        let mut seen = Vec::new();
        let mut body = String::new();
        while seen.len() < 4 {
            let (stream, _) = server.accept().expect("a client");
            let mut reader = std::io::BufReader::new(stream);
            let (mut first, mut length) = (String::new(), 0);
            reader.read_line(&mut first).expect("a request");
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).expect("a header");
                if let Some(n) = line.to_lowercase().strip_prefix("content-length:") {
                    length = n.trim().parse().expect("a number");
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut sent = vec![0; length];
            reader.read_exact(&mut sent).expect("a body");
            let answer = if first.starts_with("GET") {
                let mine = serde_json::json!([{ "id": 7, "body": "of somebody" }, { "id": 8, "body": body }]);
                if body.is_empty() { "[]".to_string() } else { mine.to_string() }
            } else {
                let sent: Value = serde_json::from_slice(&sent).expect("JSON");
                body = sent["body"].as_str().expect("a body").to_string();
                "{}".to_string()
            };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
            reader.get_mut().write_all((head + &answer).as_bytes()).expect("answers");
            seen.push(first.split(" HTTP").next().unwrap_or_default().to_string());
        }
        (seen, body)
    });
    let inputs = [
        ("INPUT_FAIL_ON", "never"),
        ("INPUT_COMMENT", "true"),
        ("INPUT_PULL_REQUEST", "5"),
        ("INPUT_GITHUB_TOKEN", "t"),
        ("GITHUB_REPOSITORY", "a/b"),
        ("GITHUB_API_URL", &api),
    ];
    for _ in 0..2 {
        let (code, out, _, _) = action(dir.path(), &repo, &inputs);
        assert!(code == Some(0) && !out.contains("could not be written"), "{out}");
    }
    let (seen, body) = seen.join().expect("the server ends");
    let list = "GET /repos/a/b/issues/5/comments?per_page=100&page=1";
    assert_eq!(seen, [list, "POST /repos/a/b/issues/5/comments", list, "PATCH /repos/a/b/issues/comments/8"]);
    assert!(body.starts_with("<!-- airlock: airlock -->\n## Airlock") && body.contains("drop-column"), "{body}");
}

/// Every project of the corpus: findings or none, never an error, in one pass. Where the corpus is missing there is nothing to check.
#[test]
fn the_corpus_never_ends_with_2() {
    let corpus = root().join("../shared/corpus");
    let Ok(kinds) = std::fs::read_dir(&corpus) else { return };
    for project in kinds.flatten().filter(|k| k.path().is_dir()).flat_map(|k| std::fs::read_dir(k.path()).expect("readable").flatten()) {
        let o = airlock(&["check", &project.path().display().to_string(), "--isolated", "--output-format", "json"]);
        assert!(
            matches!(o.status.code(), Some(0 | 1)),
            "{}: {:?} {}",
            project.path().display(),
            o.status,
            String::from_utf8_lossy(&o.stderr)
        );
        assert!(json(&o)["statements"]["total"].as_u64().is_some_and(|n| n > 0));
    }
}

fn with_stdin(args: &[&str], sql: &str, folder: &Path) -> Output {
    use std::io::Write;
    let mut c = Command::new(env!("CARGO_BIN_EXE_airlock"));
    c.current_dir(folder)
        .args(args)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = c.spawn().expect("the program runs");
    child.stdin.take().expect("a pipe").write_all(sql.as_bytes()).expect("writes");
    child.wait_with_output().expect("ends")
}

#[test]
fn sql_on_standard_input_is_checked_with_its_own_transaction() {
    let dir = tempfile::tempdir().expect("a folder");
    // As `alembic upgrade --sql` prints it.
    let sql = "BEGIN;\n\nCREATE TABLE t (id int);\n\nCREATE INDEX CONCURRENTLY i ON t (id);\n\nCOMMIT;\n";
    let o = with_stdin(&["effects", "-", "--isolated", "--output-format", "json"], sql, dir.path());
    let v = json(&o);
    assert_eq!(v["statements"][2]["fails"], "25001", "{v:#}");
    let o = with_stdin(&["check", "-", "--isolated", "--output-format", "json"], sql, dir.path());
    assert_eq!(json(&o)["diagnostics"][0]["path"], "<stdin>");
    let o = with_stdin(&["schema", "-", "--isolated"], "CREATE TABLE t (id int);", dir.path());
    assert!(text(&o).contains("CREATE TABLE"), "{}", text(&o));
    let o = with_stdin(&["history", "-", "--isolated", "--framework", "golang-migrate"], sql, dir.path());
    assert!(text(&o).contains("golang-migrate (by --framework)") && text(&o).contains("as one query"), "{}", text(&o));
}

#[test]
fn standard_input_may_stand_for_a_file_of_a_history() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("1_a.sql"), "-- +goose Up\nCREATE TABLE t (id int, gone int);\n-- +goose Down\nDROP TABLE t;\n")
        .expect("a file");
    std::fs::write(dir.path().join("2_b.sql"), "-- +goose Up\nSELECT 'as it is on the disk';\n").expect("a file");
    let as_edited = "-- +goose Up\nALTER TABLE t DROP COLUMN gone;\n-- +goose Down\nALTER TABLE t ADD gone int;\n";
    for name in ["2_b.sql", "3_new.sql"] {
        let o = with_stdin(&["check", "-", "--stdin-filename", name, "--isolated", "--output-format", "json"], as_edited, dir.path());
        let v = json(&o);
        assert_eq!(v["statements"]["total"], 1, "{v:#}");
        assert!(v["diagnostics"].as_array().expect("a list").iter().any(|d| d["rule"] == "drop-column" && d["path"] == name), "{v:#}");
    }
    let o = with_stdin(&["check", "--stdin-filename", "2_b.sql", "."], "", dir.path());
    assert_eq!(o.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&o.stderr).contains("give `-` as the path"));
}

#[test]
fn only_what_is_new_is_reported_and_the_rest_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, sql: &str| std::fs::write(folder.path().join(name), sql).expect("written");
    let git = |args: &[&str]| {
        let who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"];
        let ok = Command::new("git").arg("-C").arg(folder.path()).args(who).args(args).output().expect("git runs").status.success();
        assert!(ok, "git {args:?}");
    };
    git(&["init", "-q"]);
    write("001_a.sql", "CREATE TABLE a (b int);\n");
    write("002_drop.sql", "ALTER TABLE a DROP COLUMN b;\n");
    git(&["add", "."]);
    git(&["commit", "-qm", "first"]);
    write("003_new.sql", "DROP TABLE a;\n");
    let run = |args: &[&str]| {
        let all = [&["check", ".", "--isolated", "--output-format", "concise"], args].concat();
        let o = Command::new(env!("CARGO_BIN_EXE_airlock")).args(all).current_dir(folder.path()).output().expect("runs");
        (o.status.code(), String::from_utf8_lossy(&o.stdout).into_owned() + &String::from_utf8_lossy(&o.stderr))
    };
    let (code, all) = run(&[]);
    assert!(code == Some(1) && all.contains("drop-column") && all.contains("drop-table"), "{all}");
    for args in [&["--since", "HEAD"][..], &["--after", "002"], &["--after", "002_drop"]] {
        let (code, new) = run(args);
        assert!(code == Some(1) && !new.contains("drop-column") && new.contains("drop-table"), "{args:?}: {new}");
    }
    let (code, staged) = run(&["--staged"]);
    assert!(code == Some(0) && staged.contains("no findings"), "{staged}");
    git(&["add", "."]);
    assert_eq!(run(&["--staged"]).0, Some(1));
    for args in [&["--since", "no-such"][..], &["--after", "9"]] {
        let (code, said) = run(args);
        assert!(code == Some(2) && said.contains(args[1]), "{args:?}: {said}");
    }
}

#[test]
fn completions_and_manual_pages_are_made() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let o = airlock(&["completions", shell]);
        assert!(o.status.success() && String::from_utf8_lossy(&o.stdout).contains("baseline"), "{shell}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let o = airlock(&["man", folder.path().to_str().expect("a path")]);
    assert!(o.status.success(), "{}", text(&o));
    for page in ["airlock.1", "airlock-check.1", "airlock-verify.1"] {
        assert!(folder.path().join(page).is_file(), "{page}");
    }
}
