//! What is written as the next migrations of a runner is read back as what was meant, for the folders of `testdata/frameworks`.

use std::collections::BTreeSet;
use std::path::Path;

use strum::IntoEnumIterator;

use super::carry::same;
use crate::history::{self, Framework, Half, History, NewMigration, Options, by_hand, compose, discover};

/// A day in November 2024, and one before all times of the folders.
const TIMES: [u64; 2] = [1_732_500_000, 1];

fn half(transaction: bool, statements: &[&str]) -> Half {
    Half { statements: statements.iter().map(|s| s.to_string()).collect(), transaction }
}

/// Every kind of step that plans have.
fn steps() -> Vec<NewMigration> {
    let function = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $x$\nBEGIN\n  NEW.b := NEW.a; -- both\n  RETURN NEW;\nEND\n$x$";
    let fill = "DO $x$\nDECLARE\n  n bigint := 0;\nBEGIN\n  LOOP\n    UPDATE a SET b = 1 WHERE id = n;\n    COMMIT;\n    n := n + 1;\n    EXIT WHEN n > 9;\n  END LOOP;\nEND\n$x$";
    let new = |name: &str, up: Half, down: Option<Half>| NewMigration { name: name.into(), title: format!("a step: {name}"), up, down };
    let add = half(true, &["SET LOCAL lock_timeout = '2000ms'", "ALTER TABLE a ADD COLUMN b int", function]);
    vec![
        new(
            "airlock_expand",
            add.clone(),
            Some(half(true, &["SET LOCAL lock_timeout = '2000ms'", "DROP FUNCTION f()", "ALTER TABLE a DROP COLUMN b"])),
        ),
        new("airlock_fill", half(false, &[fill]), Some(half(true, &["SELECT 1"]))),
        new("airlock_index", half(false, &["CREATE INDEX CONCURRENTLY i2 ON a (id)"]), Some(half(false, &["DROP INDEX CONCURRENTLY i2"]))),
        new(
            "airlock_validate",
            half(false, &["ALTER TABLE a VALIDATE CONSTRAINT c1", "ALTER TABLE a VALIDATE CONSTRAINT c2"]),
            Some(half(true, &["ALTER TABLE a DROP CONSTRAINT c1", "ALTER TABLE a ADD CONSTRAINT c1 CHECK (id > 0) NOT VALID"])),
        ),
        new("airlock_mixed", add, Some(half(false, &["DROP INDEX CONCURRENTLY i3", "DROP INDEX CONCURRENTLY i4"]))),
        new("airlock_drop", half(true, &["ALTER TABLE a DROP COLUMN c"]), None),
    ]
}

fn write(root: &Path, files: &[(std::path::PathBuf, String)]) {
    for (path, text) in files {
        assert!(path.starts_with(root), "{} is outside of {}", path.display(), root.display());
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
}

/// Writes the steps behind the history and reads them back. What differs, in words.
fn round_trip(h: &History, options: &Options, now: u64) -> Vec<String> {
    let (mut wrong, mut new) = (Vec::new(), Vec::new());
    for m in steps() {
        match by_hand(h.framework, &m) {
            None => new.push(m),
            Some(_) if !m.up.transaction => {}
            Some(why) => wrong.push(format!("{}: refused ({why})", m.name)),
        }
    }
    let batches: Vec<Vec<NewMigration>> =
        if history::one_by_one(h.framework) { new.chunks(1).map(<[_]>::to_vec).collect() } else { vec![new] };
    let mut h = h.clone();
    let root = h.root.clone();
    for batch in batches {
        let next = match compose(&h, None, &batch, Vec::new(), now) {
            Ok(n) => n,
            Err(e) => return vec![e],
        };
        write(&root, &next.files);
        let first = &next.migrations[0].0;
        let found = discover(std::slice::from_ref(first), options).expect("readable").remove(0);
        if found.framework != h.framework {
            wrong.push(format!("read as {}", found.framework));
        }
        let old: BTreeSet<_> = h.migrations.iter().map(|m| m.up.source.path().to_path_buf()).collect();
        let new: Vec<_> = found
            .migrations
            .iter()
            .filter(|m| !old.contains(m.up.source.path()) || h.framework == Framework::GraphileMigrate && m.name == "current")
            .collect();
        let (paths, meant): (Vec<_>, Vec<_>) = (
            new.iter().map(|m| m.up.source.path().to_path_buf()).collect(),
            next.migrations.iter().map(|(p, _)| p.clone()).collect::<Vec<_>>(),
        );
        if paths != meant {
            wrong.push(format!("order: {paths:?}\n  instead of {meant:?}"));
            continue;
        }
        let last_old =
            found.migrations.iter().rposition(|m| old.contains(m.up.source.path()) && !m.version.is_empty() && m.name != "current");
        let first_new = found.find(first).expect("is there");
        if last_old.is_some_and(|l| l > first_new) {
            wrong.push(format!("{} does not come last", first.display()));
        }
        for (m, (path, want)) in new.iter().zip(&next.migrations) {
            let text = std::fs::read_to_string(path).expect("readable");
            let mut check = |what: &str, r: Result<(), String>| {
                if let Err(e) = r {
                    wrong.push(format!("{} {what}: {e}\n{text}", path.display()));
                }
            };
            check("up", same(&m.up, &want.up));
            match (&m.down, &want.down) {
                (Some(d), Some(w)) => check("down", same(d, w)),
                (Some(_), None) => check("down", Err("a way back that nobody meant".into())),
                (None, Some(_)) if writes_downs(&h) => check("down", Err("its way back is missing".into())),
                _ => {}
            }
            check("notes", if m.notes.is_empty() { Ok(()) } else { Err(m.notes.join("; ")) });
        }
        let said: Vec<&String> = found.notes.iter().filter(|n| !h.notes.contains(n)).collect();
        if !said.is_empty() {
            wrong.push(format!("notes: {said:?}"));
        }
        h = found;
        if h.framework == Framework::GraphileMigrate {
            // As `graphile-migrate commit` does.
            let (from, to) = (root.join("current.sql"), root.join(format!("committed/{:06}.sql", h.migrations.len())));
            let text = std::fs::read_to_string(&from).expect("readable");
            std::fs::write(to, format!("--! Previous: x\n--! Hash: y\n\n{text}")).expect("written");
            std::fs::write(from, "-- Enter migration here\n").expect("written");
            h = discover(std::slice::from_ref(&root), options).expect("readable").remove(0);
        }
    }
    wrong
}

fn writes_downs(h: &History) -> bool {
    use Framework as F;
    let any = h.migrations.iter().any(|m| m.down.is_some());
    match h.framework {
        F::Refinery | F::Pgmigrate | F::Prisma | F::Drizzle | F::GraphileMigrate | F::Atlas | F::Bytebase | F::Supabase => false,
        F::Plain | F::Flyway | F::Sqlx => any,
        _ => true,
    }
}

#[test]
fn what_is_written_is_read_back() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/frameworks");
    let mut cases: Vec<_> = std::fs::read_dir(folder).expect("the cases").flatten().map(|e| e.path()).collect();
    cases.sort();
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    for (path, now) in cases.iter().flat_map(|p| TIMES.map(|t| (p, t))) {
        let text = std::fs::read_to_string(path).expect("readable");
        let (head, _) = text.split_once("=== expected\n").expect("an expectation");
        let mut parts = head.split("\n=== ");
        let args: Vec<&str> = parts.next().unwrap_or_default().split_whitespace().skip(1).collect();
        let dir = tempfile::tempdir().expect("a folder");
        let base = std::fs::canonicalize(dir.path()).expect("exists");
        std::fs::create_dir(base.join(".git")).expect("a folder");
        for part in parts {
            let (title, body) = part.split_once('\n').unwrap_or((part, ""));
            let name = title.split(" | ").next().unwrap_or_default();
            write(&base, &[(base.join(name), format!("{}\n", body.trim_end_matches('\n')))]);
        }
        let mut options = Options::default();
        if let Some(at) = args.iter().position(|a| *a == "--framework") {
            let Ok(f) = Framework::named(args[at + 1]) else { continue };
            options.framework = Some((f, "--framework".into()));
        }
        let target = args.last().filter(|a| Path::new(&base.join(a)).exists()).map_or(base.clone(), |a| base.join(a));
        let Ok(found) = discover(&[target], &options) else { continue };
        for mut h in found {
            // Circles and versions that stand twice have no last one.
            if h.framework == Framework::Yoyo {
                for f in ["c.sql", "d.sql"] {
                    let _ = std::fs::remove_file(h.root.join(f));
                }
                h = discover(std::slice::from_ref(&h.root), &options).expect("readable").remove(0);
            }
            if h.framework == Framework::GraphileMigrate {
                std::fs::write(h.root.join("current.sql"), "\n").expect("written");
                h = discover(std::slice::from_ref(&h.root), &options).expect("readable").remove(0);
            }
            seen.insert(h.framework);
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            wrong.extend(round_trip(&h, &options, now).into_iter().map(|w| format!("{name} ({}): {w}", h.framework)));
        }
    }
    let missing: Vec<_> = Framework::iter().filter(|f| !seen.contains(f)).collect();
    assert!(missing.is_empty(), "no folder for {missing:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
