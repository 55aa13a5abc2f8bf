//! Small folders of each kind, and what is found in them.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    // Keeps the search for `Cargo.toml` and the like inside.
    std::fs::create_dir(dir.path().join(".git")).expect("a folder");
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    dir
}

fn one(path: &Path) -> History {
    let mut found = discover(&[path.to_path_buf()], &Options::default()).expect("a history");
    assert_eq!(found.len(), 1);
    found.remove(0)
}

#[track_caller]
fn check(files: &[(&str, &str)], below: &str, framework: Framework, expected: &[(&str, bool, Send, bool)]) {
    let dir = folder(files);
    let h = one(&dir.path().join(below));
    assert_eq!(h.framework, framework);
    let found: Vec<_> =
        h.migrations.iter().map(|m| (m.name.as_str(), m.up.execution.transaction, m.up.execution.send, m.down.is_some())).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_plain_folder_in_natural_order() {
    let files = [
        ("m/10_b.sql", "SELECT 1;"),
        ("m/2_a.sql", "SELECT 1;"),
        ("m/2_a.down.sql", "SELECT 2;"),
        ("m/11_c.sql", "BEGIN;\nSELECT 1;\nCOMMIT;"),
    ];
    check(
        &files,
        "m",
        Framework::Plain,
        &[("2_a", true, Send::Statement, true), ("10_b", true, Send::Statement, false), ("11_c", false, Send::Statement, false)],
    );
}

#[test]
fn goose_and_dbmate_hold_both_halves() {
    check(
        &[
            ("m/1_a.sql", "-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 2;\n"),
            ("m/2_b.sql", "-- +goose NO TRANSACTION\n-- +goose Up\nSELECT 1;\n"),
        ],
        "m",
        Framework::Goose,
        &[("1_a", true, Send::Statement, true), ("2_b", false, Send::Statement, false)],
    );
    check(
        &[("db/migrations/1_a.sql", "-- migrate:up transaction:false\nSELECT 1;\n-- migrate:down\nSELECT 2;\n")],
        "db/migrations",
        Framework::Dbmate,
        &[("1_a", false, Send::Whole, true)],
    );
}

#[test]
fn flyway_orders_by_version_and_runs_repeatable_files_last() {
    check(
        &[
            ("pom.xml", ""),
            ("m/V1.10__c.sql", "CREATE INDEX CONCURRENTLY i ON t (a);"),
            ("m/V1.9__b.sql", "SELECT 1;"),
            ("m/R__a.sql", "SELECT 1;"),
            ("m/U1.9__b.sql", "SELECT 2;"),
        ],
        "m",
        Framework::Flyway,
        &[("V1.9__b", true, Send::Statement, true), ("V1.10__c", false, Send::Statement, false), ("R__a", true, Send::Statement, false)],
    );
}

#[test]
fn golang_migrate_sends_the_whole_file() {
    check(
        &[("go.mod", ""), ("m/000001_a.up.sql", "SELECT 1;"), ("m/000001_a.down.sql", "SELECT 2;"), ("m/000002_b.up.sql", "SELECT 1;")],
        "m",
        Framework::GolangMigrate,
        &[("000001_a", false, Send::Whole, true), ("000002_b", false, Send::Whole, false)],
    );
}

#[test]
fn sqlx_says_no_transaction_in_its_first_bytes() {
    check(
        &[("Cargo.toml", ""), ("migrations/1_a.sql", "-- no-transaction\nSELECT 1;"), ("migrations/2_b.sql", "SELECT 1;")],
        "migrations",
        Framework::Sqlx,
        &[("1_a", false, Send::Whole, false), ("2_b", true, Send::Whole, false)],
    );
}

#[test]
fn a_folder_for_each_version() {
    check(
        &[
            ("diesel.toml", ""),
            ("migrations/2024-01-01-000000_a/up.sql", "SELECT 1;"),
            ("migrations/2024-01-01-000000_a/down.sql", "SELECT 2;"),
            ("migrations/2024-02-01-000000_b/up.sql", "SELECT 1;"),
            ("migrations/2024-02-01-000000_b/metadata.toml", "run_in_transaction = false\n"),
        ],
        "migrations",
        Framework::Diesel,
        &[("2024-01-01-000000_a", true, Send::Whole, true), ("2024-02-01-000000_b", false, Send::Whole, false)],
    );
    check(
        &[("prisma/migrations/migration_lock.toml", ""), ("prisma/migrations/20240101000000_a/migration.sql", "SELECT 1;")],
        "prisma/migrations",
        Framework::Prisma,
        &[("20240101000000_a", false, Send::Whole, false)],
    );
}

#[test]
fn drizzle_and_sqitch_have_their_order_written_down() {
    check(
        &[
            ("drizzle/meta/_journal.json", r#"{"entries":[{"idx":1,"tag":"0000_z"},{"idx":0,"tag":"0001_y"}]}"#),
            ("drizzle/0000_z.sql", "SELECT 1;"),
            ("drizzle/0001_y.sql", "SELECT 1;--> statement-breakpoint\nSELECT 2;"),
        ],
        "drizzle",
        Framework::Drizzle,
        &[("0001_y", true, Send::Statement, false), ("0000_z", true, Send::Statement, false)],
    );
    check(
        &[
            (
                "s/sqitch.plan",
                "%syntax-version=1.0.0\n\nb 2024-01-01T00:00:00Z A <a@x>\n@v1 2024-01-02T00:00:00Z A <a@x>\na [b] 2024-01-03T00:00:00Z A <a@x>\nb [b@v1] 2024-01-04T00:00:00Z A <a@x>\n",
            ),
            ("s/deploy/a.sql", "SELECT 1;"),
            ("s/deploy/b.sql", "SELECT 3;"),
            ("s/deploy/b@v1.sql", "SELECT 2;"),
            ("s/revert/a.sql", "SELECT 1;"),
        ],
        "s",
        Framework::Sqitch,
        &[("b", false, Send::Statement, false), ("a", false, Send::Statement, true), ("b", false, Send::Statement, false)],
    );
}

#[test]
fn a_file_brings_its_history_along() {
    let dir = folder(&[("m/1_a.sql", "SELECT 1;"), ("m/2_b.sql", "SELECT 1;"), ("m/3_c.sql", "SELECT 1;")]);
    let h = one(&dir.path().join("m/2_b.sql"));
    assert_eq!(h.migrations.len(), 3);
    assert_eq!(h.selected.iter().copied().collect::<Vec<_>>(), [1]);
    assert_eq!(h.before(1).count(), 1);
}

#[test]
fn several_histories_below_one_folder() {
    let dir = folder(&[("a/m/1_a.sql", "SELECT 1;"), ("b/migrations/1_x/up.sql", "SELECT 1;")]);
    let found = discover(&[dir.path().to_path_buf()], &Options::default()).expect("histories");
    assert_eq!(found.iter().map(|h| h.framework).collect::<Vec<_>>(), [Framework::Plain, Framework::Diesel]);
}

#[test]
fn errors_name_file_and_next_step() {
    let dir = folder(&[("m/1_a.sql", ""), ("x/y.txt", "")]);
    std::fs::write(dir.path().join("m/2_b.sql"), b"SELECT 1;\n-- \xff\n").expect("a file");
    let say = |p: &str| discover(&[dir.path().join(p)], &Options::default()).expect_err("an error").to_string();
    assert!(say("m").contains("2_b.sql:2: byte 13 is not UTF-8"), "{}", say("m"));
    assert!(say("x").ends_with("no `.sql` file here or below"));
    assert!(say("nowhere").ends_with("no such file or folder"));
}

/// The corpus is not part of the repository: where it is missing there is nothing to see.
#[test]
fn the_corpus_is_recognised() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let Ok(kinds) = std::fs::read_dir(&corpus) else { return };
    let mut wrong = Vec::new();
    for kind in kinds.flatten().filter(|k| k.path().is_dir()) {
        let expected = kind.file_name().to_string_lossy().into_owned();
        let expected = match expected.as_str() {
            "own" | "rails-structure" => continue,
            e => Framework::from_str(e).expect("a framework by its name"),
        };
        let projects: Vec<PathBuf> = std::fs::read_dir(kind.path()).expect("readable").flatten().map(|p| p.path()).collect();
        for project in projects {
            for h in discover(std::slice::from_ref(&project), &Options::default()).expect("a history") {
                let plain_sqlx = expected == Framework::Sqlx && h.framework == Framework::Plain;
                let same_names = expected == Framework::Refinery && h.framework == Framework::Flyway;
                if h.framework != expected && !plain_sqlx && !same_names {
                    wrong.push(format!("{}: {} instead of {expected}", h.root.display(), h.framework));
                }
            }
        }
    }
    println!("{}", wrong.join("\n"));
    assert!(wrong.len() <= 7, "{}", wrong.join("\n"));
}
