//! Runners that have their order written down: in a journal, a plan, or in the files.

use super::folders::{stem, version_of};
use super::names::natural;
use super::read::Folder;
use super::{Framework, HistoryError, Migration, Script, ways};

/// Order comes from the journal alone. A folder without one is read in the order of its names.
pub fn drizzle(folder: &Folder, notes: &mut Vec<String>) -> Result<Vec<Migration>, HistoryError> {
    let journal = folder.beside("meta/_journal.json").and_then(|t| serde_json::from_str::<serde_json::Value>(&t).ok());
    let tags: Option<Vec<String>> = journal.as_ref().and_then(|j| j.get("entries")?.as_array()).map(|entries| {
        let mut tags: Vec<(i64, String)> = entries
            .iter()
            .filter_map(|e| {
                Some((e.get("idx").and_then(serde_json::Value::as_i64).unwrap_or(i64::MAX), e.get("tag")?.as_str()?.to_string()))
            })
            .collect();
        tags.sort();
        tags.into_iter().map(|(_, t)| t).collect()
    });
    // Newer versions of drizzle-kit write a folder a migration, and no journal.
    let nested: Vec<&String> = folder.sql.keys().filter(|n| n.ends_with("/migration.sql")).collect();
    if journal.is_none() && !nested.is_empty() {
        let mut out = Vec::new();
        for name in nested {
            let (Some(path), Some((title, _))) = (folder.sql.get(name), name.rsplit_once('/')) else { continue };
            let up = Script::whole(folder.source(path)?, ways::default_execution(Framework::Drizzle));
            out.push(Migration::new(version_of(title), title, up, None));
        }
        out.sort_by(|a, b| a.name.cmp(&b.name));
        return Ok(out);
    }
    let tags = tags.unwrap_or_else(|| {
        notes.push(format!("{}: no journal (meta/_journal.json); read in the order of names", folder.root.display()));
        let mut names: Vec<String> =
            folder.sql.keys().filter(|n| !n.contains('/')).map(|n| n.trim_end_matches(".sql").to_string()).collect();
        names.sort_by_cached_key(|n| natural(n));
        names
    });
    let mut out = Vec::new();
    for tag in tags {
        let Some(path) = folder.sql.get(&format!("{tag}.sql")) else {
            notes.push(format!("{}: the journal names `{tag}`, which is missing", folder.root.display()));
            continue;
        };
        let up = Script::whole(folder.source(path)?, ways::default_execution(Framework::Drizzle));
        out.push(Migration::new(version_of(&tag), tag, up, None));
    }
    Ok(out)
}

/// Order comes from `sqitch.plan`; a change that was reworked has its earlier text under `name@tag.sql`.
pub fn sqitch(folder: &Folder, notes: &mut Vec<String>) -> Result<Vec<Migration>, HistoryError> {
    let plan = folder.beside("sqitch.plan").unwrap_or_else(|| {
        notes.push(format!("{}: no sqitch.plan; read in the order of names", folder.root.display()));
        let mut changes: Vec<&str> =
            folder.sql.keys().filter_map(|n| n.strip_prefix("deploy/")?.strip_suffix(".sql")).filter(|n| !n.contains('@')).collect();
        changes.sort_by_cached_key(|n| natural(n));
        changes.join("\n")
    });
    // A line: `@tag …`, or `change [requires] date author # note`.
    let mut entries: Vec<(bool, String)> = Vec::new();
    for line in plan.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '%']) {
            continue;
        }
        let word = line.split_whitespace().next().unwrap_or_default();
        match word.strip_prefix('@') {
            Some(tag) => entries.push((true, tag.to_string())),
            None => entries.push((false, word.trim_start_matches(['+', '-']).to_string())),
        }
    }
    let mut out = Vec::new();
    for (i, (is_tag, name)) in entries.iter().enumerate() {
        if *is_tag {
            continue;
        }
        let again = entries[i + 1..].iter().position(|(t, n)| !t && n == name).map(|n| i + 1 + n);
        // The text as it was: under the last tag before the change comes again.
        let suffix = again.and_then(|n| entries[i..n].iter().rev().find(|(t, _)| *t)).map_or(String::new(), |(_, tag)| format!("@{tag}"));
        let Some(path) = folder.sql.get(&format!("deploy/{name}{suffix}.sql")) else {
            notes.push(format!("{}: the plan names `{name}{suffix}`, which has no file under deploy/", folder.root.display()));
            continue;
        };
        let e = ways::default_execution(Framework::Sqitch);
        let up = Script::whole(folder.source(path)?, e.clone());
        let down = match folder.sql.get(&format!("revert/{name}{suffix}.sql")) {
            Some(p) => Some(Script::whole(folder.source(p)?, e)),
            None => None,
        };
        out.push(Migration::new(name.clone(), name.clone(), up, down));
    }
    Ok(out)
}

/// Committed files in order, then what is being worked on: `current.sql`, or the files of `current/`.
pub fn graphile(folder: &Folder) -> Result<Vec<Migration>, HistoryError> {
    let mut out = Vec::new();
    let mut names: Vec<&String> = folder.sql.keys().collect();
    let rank = |n: &str| match n.split_once('/') {
        Some(("current", _)) => 1,
        Some(("committed", _)) => 0,
        Some(_) => 2,
        None if n == "current.sql" => 1,
        None => 0,
    };
    names.retain(|n| rank(n) < 2);
    names.sort_by_cached_key(|n| (rank(n), natural(n)));
    for name in names {
        let Some(path) = folder.sql.get(name) else { continue };
        let (up, notes) = ways::script(Framework::GraphileMigrate, folder.source(path)?, name, folder);
        out.push(Migration { notes, ..Migration::new(version_of(name), stem(name), up, None) });
    }
    Ok(out)
}

/// Order by `-- depends:`, then by name.
pub fn yoyo(folder: &Folder, notes: &mut Vec<String>) -> Result<Vec<Migration>, HistoryError> {
    let mut waiting: Vec<(Vec<String>, Migration)> = Vec::new();
    for (name, path) in folder.sql.iter().filter(|(n, _)| !n.ends_with(".rollback.sql")) {
        let source = folder.source(path)?;
        let depends = ways::header(source.text())
            .filter_map(|l| l.trim_start_matches('-').trim_start().strip_prefix("depends:"))
            .flat_map(str::split_whitespace)
            .map(str::to_string)
            .collect();
        let (up, said) = ways::script(Framework::Yoyo, source, name, folder);
        let down = match folder.sql.get(&format!("{}.rollback.sql", name.trim_end_matches(".sql"))) {
            Some(p) => Some(Script::whole(folder.source(p)?, up.execution.clone())),
            None => None,
        };
        waiting.push((depends, Migration { notes: said, ..Migration::new(stem(name), stem(name), up, down) }));
    }
    waiting.sort_by_cached_key(|(_, m)| natural(&m.name));
    let mut out: Vec<Migration> = Vec::new();
    while !waiting.is_empty() {
        let known = |n: &String| waiting.iter().any(|(_, m)| m.name == *n);
        let ready = waiting.iter().position(|(d, _)| d.iter().all(|n| out.iter().any(|m| m.name == *n) || !known(n)));
        if ready.is_none() {
            let names: Vec<&str> = waiting.iter().map(|(_, m)| m.name.as_str()).collect();
            notes.push(format!("{}: `-- depends:` goes round in a circle ({})", folder.root.display(), names.join(", ")));
        }
        let (depends, mut m) = waiting.remove(ready.unwrap_or(0));
        for missing in depends.iter().filter(|n| !out.iter().any(|m| m.name == **n)) {
            if ready.is_some() {
                m.notes.push(format!("depends on `{missing}`, which has no SQL file here"));
            }
        }
        out.push(m);
    }
    Ok(out)
}
