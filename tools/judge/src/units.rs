//! What is read: the scripts of migration histories, both halves, and SQL files that belong to none.

use std::collections::BTreeSet;
use std::path::Path;

use airlock::history::{Options, discover, read_sql};
use airlock::source::{SourceFile, Span};

/// Parts of one file that run as one script.
pub struct Unit {
    pub source: SourceFile,
    pub parts: Vec<Span>,
}

pub fn histories(folder: &Path) -> Result<Vec<Unit>, String> {
    let mut out = Vec::new();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let found = discover(&[folder.to_path_buf()], &Options::default()).map_err(|e| e.to_string())?;
    for history in found {
        for m in history.migrations {
            for script in std::iter::once(m.up).chain(m.down) {
                let key = format!("{} {:?}", real(script.source.path()), script.parts);
                if seen.insert(key) {
                    seen.insert(real(script.source.path()));
                    out.push(Unit { source: script.source, parts: script.parts });
                }
            }
        }
    }
    for unit in plain_files(folder)? {
        if !seen.contains(&real(unit.source.path())) {
            out.push(unit);
        }
    }
    Ok(out)
}

pub fn plain_files(folder: &Path) -> Result<Vec<Unit>, String> {
    let mut out = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let path = entry.map_err(|e| e.to_string())?.into_path();
        if !path.extension().is_some_and(|e| e.eq_ignore_ascii_case("sql")) || !path.is_file() {
            continue;
        }
        match read_sql(&path) {
            Ok(text) => {
                let source = SourceFile::new(path, text);
                let parts = vec![source.full_span()];
                out.push(Unit { source, parts });
            }
            Err(e) => println!("{e}"),
        }
    }
    Ok(out)
}

fn real(path: &Path) -> String {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf()).display().to_string()
}
