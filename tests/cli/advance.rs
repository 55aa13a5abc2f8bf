//! A plan on its way: `advance`, `status`, `abandon`.

use std::path::{Path, PathBuf};

use super::{airlock_in, json, text};

/// A project with one safe migration and one that drops a column, and its plan.
struct Project {
    dir: tempfile::TempDir,
}

const BASE: &str = "CREATE TABLE orders (id bigint PRIMARY KEY, note text, total int NOT NULL);";
const UNSAFE: &str = "ALTER TABLE orders ALTER COLUMN total TYPE bigint;";

impl Project {
    fn new(files: &[(&str, &str)], migration: &str) -> Project {
        Project::planned(files, &[migration])
    }

    fn planned(files: &[(&str, &str)], how: &[&str]) -> Project {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join(".git")).expect("a folder");
        for (name, body) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, body).expect("a file");
        }
        let p = Project { dir };
        let o = p.run(&[&["plan", "--into", "p"], how].concat());
        assert_eq!(o.status.code(), Some(0), "{}", String::from_utf8_lossy(&o.stderr));
        p
    }

    fn run(&self, args: &[&str]) -> std::process::Output {
        airlock_in(self.dir.path(), args)
    }

    /// The text of what was said; the command succeeds.
    fn say(&self, args: &[&str]) -> String {
        let o = self.run(args);
        assert_eq!(o.status.code(), Some(0), "{args:?}: {}{}", text(&o), String::from_utf8_lossy(&o.stderr));
        text(&o)
    }

    /// Every file outside of the plan, with its text.
    fn files(&self, below: &str) -> Vec<(String, String)> {
        let root = self.dir.path().join(below);
        let mut out: Vec<(String, String)> = walk(&root)
            .into_iter()
            .map(|p| (p.strip_prefix(&root).expect("below").display().to_string(), std::fs::read_to_string(&p).expect("readable")))
            .collect();
        out.sort();
        out
    }

    fn names(&self, below: &str) -> Vec<String> {
        self.files(below).into_iter().map(|(n, _)| n).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

fn walk(root: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for e in std::fs::read_dir(root).expect("readable").flatten() {
        if e.path().is_dir() { out.extend(walk(&e.path())) } else { out.push(e.path()) }
    }
    out
}

fn shop() -> Project {
    shop_with(UNSAFE, &[])
}

fn shop_with(migration: &str, how: &[&str]) -> Project {
    Project::planned(
        &[
            ("Cargo.toml", ""),
            ("m/1_base.up.sql", BASE),
            ("m/1_base.down.sql", "DROP TABLE orders;"),
            ("m/2_big.up.sql", migration),
            ("m/2_big.down.sql", "SELECT 1;"),
        ],
        &[&["m/2_big.up.sql"], how].concat(),
    )
}

#[test]
fn a_plan_goes_phase_by_phase_into_the_migrations() {
    let p = shop();
    let said = p.say(&["advance", "p"]);
    assert!(said.contains("moved") && said.contains("3_airlock_expand_orders.up.sql"), "{said}");
    let names = p.names("m");
    assert!(!names.iter().any(|n| n.starts_with("2_big")), "the unsafe migration is out of the order: {names:?}");
    assert!(p.path("p/original/2_big.up.sql").is_file() && p.path("p/original/2_big.down.sql").is_file());
    assert!(names.contains(&"3_airlock_expand_orders.down.sql".to_string()), "{names:?}");
    // The same again is the same once.
    let before = (p.files("m"), p.files("p"));
    assert!(p.say(&["advance", "p", "--to", "expand"]).contains("in already"));
    assert_eq!(before, (p.files("m"), p.files("p")));

    p.say(&["advance", "p"]);
    let files = p.files("m");
    let backfill = files.iter().find(|(n, _)| n.contains("backfill") && n.ends_with(".up.sql")).expect("a backfill");
    assert!(backfill.1.starts_with("-- no-transaction\n"), "{}", backfill.1);
    assert!(files.iter().all(|(n, _)| !n.contains("contract")), "contract files wait outside");
    // The contract has to be named.
    let said = p.say(&["advance", "p"]);
    assert!(said.contains("--to contract-soft"), "{said}");
    assert_eq!(files, p.files("m"));
    let said = p.say(&["advance", "p", "--to", "contract-soft"]);
    assert!(said.contains("returns no row"), "the preconditions are printed: {said}");
    p.say(&["advance", "p", "--to", "contract-hard"]);
    assert!(p.say(&["advance", "p"]).contains("handed over"));
    // Every one of them is read back, in order, and nothing is odd.
    let h = json(&p.run(&["history", "m", "--output-format", "json"]));
    let versions: Vec<i64> = h["histories"][0]["migrations"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|m| m["version"].as_str().expect("text").parse().expect("a number"))
        .collect();
    assert!(versions.is_sorted() && versions.len() > 5, "{versions:?}");
    assert_eq!(h["histories"][0]["notes"].as_array().map(Vec::len), Some(0), "{h}");
    assert!(p.say(&["status", "p"]).contains(": done"));
}

#[test]
fn an_interrupted_step_is_finished_by_the_next_command() {
    let p = shop();
    p.say(&["advance", "p"]);
    let (m, plan) = (p.files("m"), p.files("p"));
    // As if the files had been staged, and the machine had gone down in the middle of putting them in place.
    let q = shop();
    let stage = q.path("p/.airlock-stage");
    std::fs::create_dir(&stage).expect("a folder");
    let mut list = String::from("write = [\n");
    for (i, (name, body)) in m.iter().map(|(n, b)| (format!("../m/{n}"), b)).chain(plan.iter().map(|(n, b)| (n.clone(), b))).enumerate() {
        std::fs::write(stage.join(i.to_string()), body).expect("a file");
        list.push_str(&format!("  [\"{i}\", \"{name}\"],\n"));
    }
    list.push_str("]\nremove = [\"../m/2_big.up.sql\", \"../m/2_big.down.sql\"]\n");
    std::fs::write(stage.join("stage.toml"), list).expect("a file");
    std::fs::remove_file(q.path("m/2_big.down.sql")).expect("was there");
    assert!(q.say(&["advance", "p", "--to", "expand"]).contains("in already"));
    assert_eq!((q.files("m"), q.files("p")), (m, plan));
    // What was not staged to its end has not happened.
    let r = shop();
    std::fs::create_dir(r.path("p/.airlock-stage-new")).expect("a folder");
    std::fs::write(r.path("p/.airlock-stage-new/0"), "half").expect("a file");
    assert!(r.say(&["advance", "p"]).contains("3_airlock_expand_orders"));
    assert!(!r.path("p/.airlock-stage-new").exists());
}

#[test]
fn an_abandoned_plan_takes_back_what_was_handed_over() {
    let p = shop();
    p.say(&["advance", "p", "--to", "migrate"]);
    let forward = p.names("m").len();
    p.say(&["abandon", "p"]);
    let files = p.files("m");
    let last = files.iter().filter(|(n, _)| n.contains("airlock_undo_expand_orders") && n.ends_with(".up.sql")).count();
    assert_eq!(last, 1, "{:?}", p.names("m"));
    assert!(files.len() > forward);
    // The schema is the one before the plan.
    let schema = |to: &[&str]| text(&p.run(to));
    let now = schema(&["schema", "m"]);
    std::fs::create_dir(p.path("only")).expect("a folder");
    std::fs::copy(p.path("m/1_base.up.sql"), p.path("only/1_base.up.sql")).expect("copied");
    assert_eq!(now, schema(&["schema", "only"]));
    assert!(p.say(&["abandon", "p"]).contains("nothing left to do"));
    assert_eq!(files, p.files("m"));
    assert_eq!(p.run(&["advance", "p"]).status.code(), Some(2));
    assert!(p.say(&["status", "p"]).contains("abandoned"));
}

#[test]
fn what_cannot_be_taken_back_is_not_abandoned() {
    let p = shop();
    p.say(&["advance", "p", "--to", "contract-hard"]);
    let o = p.run(&["abandon", "p"]);
    assert_eq!(o.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&o.stderr).contains("cannot be taken back"), "{}", String::from_utf8_lossy(&o.stderr));
    // And a plan of which nothing was handed over is simply given up.
    let q = shop();
    assert!(q.say(&["abandon", "p"]).contains("nothing to take back"));
    assert!(q.path("m/2_big.up.sql").is_file());
}

#[test]
fn status_tells_the_age_and_what_is_overdue() {
    let p = shop();
    assert!(p.say(&["status", "p"]).contains("waits for its first files"));
    p.say(&["advance", "p", "--to", "migrate"]);
    assert!(p.say(&["status", "p", "--fail-on", "overdue"]).contains("--to contract-soft"));
    let file = p.path("p/plan.toml");
    let text = std::fs::read_to_string(&file).expect("readable");
    let today = text.lines().find_map(|l| l.strip_prefix("on = ")).expect("a day").to_string();
    std::fs::write(&file, text.replace(&format!("on = {today}"), "on = \"2020-01-31\"")).expect("written");
    let o = p.run(&["status", "p", "--fail-on", "overdue", "--output-format", "json"]);
    assert_eq!(o.status.code(), Some(1));
    let v = json(&o);
    assert_eq!(v["plans"][0]["overdue"], true, "{v}");
    assert_eq!(v["plans"][0]["since"], "2020-01-31");
    assert_eq!(p.run(&["status", "p", "--fail-on", "overdue", "--overdue-days", "100000"]).status.code(), Some(0));
    std::fs::write(p.path("airlock.toml"), "[plan]\nfolder = \"p\"\noverdue-days = 99999\n").expect("written");
    assert!(!p.say(&["status", "--fail-on", "overdue"]).contains("overdue"));
}

#[test]
fn a_runner_that_knows_no_way_outside_of_a_transaction_waits_for_people() {
    let p = Project::new(&[("Cargo.toml", ""), ("m/V1__base.sql", BASE), ("m/V2__big.sql", UNSAFE)], "m/V2__big.sql");
    p.say(&["advance", "p"]);
    let said = p.say(&["advance", "p"]);
    assert!(said.contains("with psql") && said.contains("--done"), "{said}");
    let files = p.files("m");
    assert!(p.say(&["advance", "p"]).contains("Waiting for"));
    assert_eq!(files, p.files("m"));
    p.say(&["advance", "p", "--done"]);
    assert!(p.files("m").len() > files.len());
}

#[test]
fn runners_with_a_journal_or_a_folder_a_version() {
    let journal = r#"{
  "version": "7",
  "dialect": "postgresql",
  "entries": [
    { "idx": 0, "version": "7", "when": 1, "tag": "0000_base", "breakpoints": true },
    { "idx": 1, "version": "7", "when": 2, "tag": "0001_big", "breakpoints": true }
  ]
}
"#;
    let p = Project::new(&[("d/meta/_journal.json", journal), ("d/0000_base.sql", BASE), ("d/0001_big.sql", UNSAFE)], "d/0001_big.sql");
    p.say(&["advance", "p"]);
    let v: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(p.path("d/meta/_journal.json")).expect("readable")).expect("JSON");
    let tags: Vec<&str> = v["entries"].as_array().expect("a list").iter().filter_map(|e| e["tag"].as_str()).collect();
    assert_eq!(tags, ["0000_base", "0001_airlock_expand_orders"]);
    assert!(p.say(&["advance", "p"]).contains("Waiting for"), "one transaction for all that is pending");

    let lock = ("prisma/migrations/migration_lock.toml", "provider = \"postgresql\"\n");
    let (base, big) = ("prisma/migrations/20240101000000_base/migration.sql", "prisma/migrations/20240201000000_big/migration.sql");
    let p = Project::new(&[lock, (base, BASE), (big, UNSAFE)], big);
    p.say(&["advance", "p"]);
    assert!(!p.path("prisma/migrations/20240201000000_big").exists(), "the folder goes with its file");
    let names = p.names("prisma/migrations");
    assert!(names.iter().any(|n| n.ends_with("_airlock_expand_orders/migration.sql")), "{names:?}");
}

#[test]
fn errors_say_what_to_do() {
    let o = airlock_in(Path::new("."), &["advance", "nowhere"]);
    assert_eq!(o.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&o.stderr).contains("airlock plan"), "{}", String::from_utf8_lossy(&o.stderr));
    let p = shop();
    p.say(&["advance", "p"]);
    let o = p.run(&["plan", "p/original/2_big.up.sql", "--into", "p", "--schema", "m/1_base.up.sql"]);
    assert_eq!(o.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&o.stderr).contains("being carried out"), "{}", String::from_utf8_lossy(&o.stderr));
}

/// A database beside a project, which runs its migrations.
struct Live {
    db: airlock::shadow::Database,
    session: airlock::shadow::Session,
    ran: std::collections::BTreeSet<String>,
}

impl Live {
    fn new() -> Live {
        use airlock::shadow::{Shadow, ShadowOptions};
        let pg: Option<airlock::op::PgVersion> = std::env::var("AIRLOCK_TEST_PG").ok().map(|v| v.parse().expect("a version"));
        let options = ShadowOptions { pg: pg.unwrap_or_default(), exact: pg.is_some(), ..ShadowOptions::default() };
        let db = Shadow::start(&options).expect("a server").database().expect("a database");
        let session = db.connect().expect("a session");
        Live { db, session, ran: std::collections::BTreeSet::new() }
    }

    fn url(&self) -> String {
        self.db.url()
    }

    fn sql(&mut self, sql: &str) {
        self.session.simple(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    /// Runs the files that have not run, in order; how many.
    fn migrate(&mut self, p: &Project) -> usize {
        let number = |n: &str| n.split('_').next().and_then(|v| v.parse::<u64>().ok()).expect("a version");
        let mut files: Vec<(String, String)> =
            p.files("m").into_iter().filter(|(n, _)| n.ends_with(".up.sql") && !self.ran.contains(n)).collect();
        files.sort_by_key(|(n, _)| number(n));
        for (name, text) in &files {
            self.sql(text);
            self.ran.insert(name.clone());
        }
        files.len()
    }

    fn schema(&self) -> airlock::shadow::snapshot::Snapshot {
        airlock::shadow::snapshot::Snapshot::take(&self.db).expect("a snapshot")
    }
}

#[test]
fn live_preconditions_are_asked_of_the_database() {
    let (p, mut live) = (shop(), Live::new());
    let url = live.url();
    live.migrate(&only_the_base(&p));
    live.sql("INSERT INTO orders VALUES (1, 'a', 10), (2, 'b', 20)");
    live.ran.insert("2_big.up.sql".into());
    p.say(&["advance", "p"]);
    assert_eq!(live.migrate(&p), 1, "expand");
    p.say(&["advance", "p"]);
    let contract = ["advance", "p", "--to", "contract-soft", "--database-url", &url];
    // The backfill is written, and has not run: the rows of before have no value yet.
    let before = (p.files("m"), p.files("p"));
    let o = p.run(&contract);
    let said = text(&o);
    assert_eq!(o.status.code(), Some(1), "{said}");
    assert!(
        said.contains("Does not hold in")
            && said.contains("every row of `orders` has its value in the new type")
            && said.contains("2 rows"),
        "{said}"
    );
    assert!(said.contains("Nothing was changed"), "{said}");
    assert_eq!(before, (p.files("m"), p.files("p")));
    assert!(live.migrate(&p) > 3, "the backfill and NOT NULL");
    let said = p.say(&contract);
    assert!(said.contains("Holds in") && said.contains("written"), "{said}");
    live.migrate(&p);
    live.sql("INSERT INTO orders (id, note, total) VALUES (3, 'c', 3000000000)");
}

/// The schema before the plan, in a folder of its own.
fn only_the_base(p: &Project) -> Project {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join("m")).expect("a folder");
    std::fs::copy(p.path("m/1_base.up.sql"), dir.path().join("m/1_base.up.sql")).expect("copied");
    Project { dir }
}

#[test]
fn live_columns_of_the_application_are_compared_before_the_contract() {
    let p = shop_with("ALTER TABLE orders RENAME COLUMN note TO remark;", &["--dual-write", "app", "--flag", "remarks"]);
    let mut live = Live::new();
    let url = live.url();
    live.migrate(&only_the_base(&p));
    live.sql("INSERT INTO orders VALUES (1, 'a', 10)");
    live.ran.insert("2_big.up.sql".into());
    p.say(&["advance", "p"]);
    live.migrate(&p);
    // Release N is deployed by people, not by files.
    let said = p.say(&["advance", "p"]);
    assert!(said.contains("by hand Release N runs everywhere and writes `remark`"), "{said}");
    live.sql("INSERT INTO orders VALUES (2, 'b', 20, 'b')");
    p.say(&["advance", "p", "--done"]);
    let contract = ["advance", "p", "--to", "contract-soft", "--database-url", &url];
    let o = p.run(&contract);
    assert!(o.status.code() == Some(1) && text(&o).contains("`note` and `remark` of `orders` say the same"), "{}", text(&o));
    assert_eq!(live.migrate(&p), 1, "the backfill");
    // N-1 came back for a moment.
    live.sql("UPDATE orders SET note = 'of N-1' WHERE id = 2");
    let said = text(&p.run(&contract));
    assert!(said.contains("of N-1"), "the row is shown: {said}");
    live.sql("UPDATE orders SET remark = note");
    assert!(p.say(&contract).contains("by hand Release N reads `note` of `orders` no more"));
    assert!(std::fs::read_to_string(p.path("p/PLAN.md")).expect("a page").contains("The flag `remarks`"));
}

#[test]
fn live_a_plan_given_up_behind_any_phase_gives_the_schema_back() {
    let migration = "ALTER TABLE orders ALTER COLUMN total TYPE bigint; ALTER TABLE orders RENAME COLUMN note TO remark; ALTER TABLE orders ADD COLUMN line int NOT NULL DEFAULT 1;";
    for phase in ["expand", "migrate", "contract-soft"] {
        let (p, mut live) = (shop_with(migration, &[]), Live::new());
        live.migrate(&only_the_base(&p));
        live.sql("INSERT INTO orders VALUES (1, 'a', 10), (2, NULL, 20)");
        live.ran.insert("2_big.up.sql".into());
        let first = live.schema();
        p.say(&["advance", "p", "--to", phase]);
        assert!(live.migrate(&p) > 0);
        assert!(!first.changes(&live.schema()).is_empty());
        p.say(&["abandon", "p"]);
        assert!(live.migrate(&p) > 0, "{phase}");
        let left: Vec<String> = first.changes(&live.schema()).iter().map(|c| c.line.to_string()).collect();
        assert!(left.is_empty(), "given up behind {phase}: {left:?}");
        let rows = live.session.value("SELECT string_agg(o::text, ' ' ORDER BY id) FROM orders o").expect("rows");
        assert_eq!(rows.as_deref(), Some("(1,a,10) (2,,20)"), "{phase}");
    }
}
