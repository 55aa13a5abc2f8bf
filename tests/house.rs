//! The table of rooms in ARCHITECTURE.md, held against the code: what a room does not list it does not import.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Room → rooms that it may use. `ARCHITECTURE.md` has the same table for people; `quote` and `op` may be used everywhere.
const ROOMS: &[(&str, &[&str])] = &[
    ("source", &[]),
    ("quote", &[]),
    ("op", &["source"]),
    ("history", &["source", "sql"]),
    ("sql", &["source"]),
    ("lower", &["sql", "source"]),
    ("catalog", &["source", "lower"]),
    ("effects", &["catalog", "source"]),
    ("compat", &["catalog", "source", "lower"]),
    ("replay", &["catalog", "compat", "effects", "history", "lower", "source"]),
    ("stats", &[]),
    ("workload", &["catalog", "compat", "lower", "source", "sql"]),
    ("facts", &["catalog", "compat", "effects", "history", "replay", "source", "stats", "workload"]),
    ("diagnostic", &["source", "sql"]),
    ("rules", &["catalog", "facts", "diagnostic", "history", "lower", "replay", "source", "sql", "stats", "workload"]),
    ("plan", &["catalog", "compat", "effects", "history", "lower", "replay", "source"]),
    ("shadow", &["catalog", "compat", "effects", "history", "lower", "plan", "replay", "source", "stats"]),
    ("report", &["compat", "diagnostic", "effects", "plan", "replay", "shadow", "source"]),
    ("config", &["diagnostic", "history", "plan", "rules", "source", "stats"]),
];

const EVERYWHERE: &[&str] = &["op", "quote"];

#[test]
fn rooms_import_what_they_may() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let known: BTreeSet<&str> = ROOMS.iter().map(|(r, _)| *r).collect();
    let mut wrong = Vec::new();
    for file in rust_files(&root) {
        let inside = file.strip_prefix(&root).expect("under src").to_string_lossy().replace('\\', "/");
        let room = inside.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_string();
        if matches!(room.as_str(), "lib" | "main" | "cli") {
            continue;
        }
        let Some((_, may)) = ROOMS.iter().find(|(r, _)| *r == room) else {
            wrong.push(format!("{inside}: the room `{room}` is not in the table"));
            continue;
        };
        // Tests may join rooms: that is what they are for.
        if inside.ends_with("_test.rs") || inside.ends_with("tests.rs") || inside.contains("/tests/") {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("readable source");
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        for (n, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for used in imports(line) {
                if used != room && known.contains(used.as_str()) && !may.contains(&used.as_str()) && !EVERYWHERE.contains(&used.as_str()) {
                    wrong.push(format!("src/{inside}:{}: `{room}` may not use `{used}`", n + 1));
                }
            }
            if line.contains("sqlparser::") && !matches!(room.as_str(), "sql" | "lower") {
                wrong.push(format!("src/{inside}:{}: `sqlparser` stays inside `sql` and `lower`", n + 1));
            }
            let edge = matches!(room.as_str(), "history" | "shadow" | "config");
            if !edge && (line.contains("std::fs::") || line.contains("std::net::Tcp") || line.contains("SystemTime")) {
                wrong.push(format!("src/{inside}:{}: files, the network and the clock stay at the edge", n + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Rooms named after `crate::` in a line, `crate::{a, b::c}` included.
fn imports(line: &str) -> Vec<String> {
    let mut out = Vec::new();
    for part in line.split("crate::").skip(1) {
        let names: Vec<&str> = match part.strip_prefix('{') {
            Some(list) => list.split(',').map(str::trim).collect(),
            None => vec![part],
        };
        for n in names {
            let word: String = n.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !word.is_empty() {
                out.push(word);
            }
        }
    }
    out
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .map(|e| e.expect("readable folder").into_path())
        .filter(|p| p.extension().is_some_and(|e| e == "rs"))
        .collect()
}

#[test]
fn imports_are_seen_in_every_spelling() {
    assert_eq!(imports("use crate::{catalog::Catalog, op};"), ["catalog", "op"]);
    assert_eq!(imports("let x = crate::effects::predict(y); crate::op::z()"), ["effects", "op"]);
}

/// Main stays thin, and licences are there.
#[test]
fn main_is_thin_and_licences_stand() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let main = std::fs::read_to_string(root.join("src/main.rs")).expect("main.rs");
    assert!(main.lines().count() < 40);
    for (file, words) in [("LICENSE-MIT", "Permission is hereby granted"), ("LICENSE-APACHE", "Apache License")] {
        assert!(std::fs::read_to_string(root.join(file)).expect(file).contains(words));
    }
}
