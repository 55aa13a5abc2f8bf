//! From the files of a folder to migrations, for every runner: which file is which half of which version, in which order, and how it
//! is sent. The facts are those of the runners' own documentation and code, collected in `docs/frameworks.md`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::source::SourceFile;

use super::names::{self, natural, version_numbers};
use super::read::{Folder, read_sql};
use super::sections::{self, Markers};
use super::{Execution, Framework, HistoryError, Migration, Script, Send, liquibase};

/// How the runner sends a file that says nothing else.
pub fn default_execution(framework: Framework) -> Execution {
    use Framework as F;
    let (transaction, send) = match framework {
        F::Plain | F::Atlas | F::Flyway | F::Goose | F::Liquibase | F::SqlMigrate | F::Yoyo | F::Pgmigrate => (true, Send::Statement),
        F::Drizzle | F::NodePgMigrate | F::Hasura | F::Bytebase | F::Pop => (true, Send::Statement),
        F::Dbmate | F::Sqlx | F::Diesel | F::Refinery | F::GraphileMigrate | F::Tern | F::Morph => (true, Send::Whole),
        F::GolangMigrate | F::Prisma | F::Rambler => (false, Send::Whole),
        F::Supabase => (false, Send::Pipeline),
        F::Sqitch => (false, Send::Statement),
    };
    Execution::new(transaction, send)
}

pub fn migrations(framework: Framework, folder: &Folder, notes: &mut Vec<String>) -> Result<Vec<Migration>, HistoryError> {
    use Framework as F;
    match framework {
        F::Goose => sectioned(framework, folder, &sections::GOOSE),
        F::Dbmate => sectioned(framework, folder, &sections::DBMATE),
        F::SqlMigrate => sectioned(framework, folder, &sections::SQL_MIGRATE),
        F::NodePgMigrate => sectioned(framework, folder, &sections::NODE_PG),
        F::Rambler => sectioned(framework, folder, &sections::RAMBLER),
        F::Tern => sectioned(framework, folder, &sections::TERN),
        F::Flyway | F::Refinery | F::Pgmigrate => flyway(framework, folder),
        F::GolangMigrate | F::Morph | F::Sqlx | F::Pop => suffixed(framework, folder),
        F::Diesel | F::Hasura | F::Prisma => nested(framework, folder),
        F::Drizzle => drizzle(folder, notes),
        F::Sqitch => sqitch(folder, notes),
        F::Liquibase => formatted(folder),
        F::Yoyo => yoyo(folder),
        F::Plain | F::Atlas | F::Bytebase | F::GraphileMigrate | F::Supabase => listed(framework, folder),
    }
}

fn open(path: &Path) -> Result<SourceFile, HistoryError> {
    Ok(SourceFile::new(path, read_sql(path)?))
}

fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn stem(name: &str) -> &str {
    base(name).strip_suffix(".sql").unwrap_or(base(name))
}

/// The leading digits of a name, or all of it.
fn version_of(name: &str) -> String {
    let digits: String = stem(name).chars().take_while(char::is_ascii_digit).collect();
    if digits.is_empty() { stem(name).to_string() } else { digits }
}

/// The file's own words about how it wants to be run.
fn execution(framework: Framework, text: &str, name: &str) -> Execution {
    use Framework as F;
    let mut e = default_execution(framework);
    let text = text.trim_start_matches('\u{feff}');
    match framework {
        F::Goose if sections::has_line(text, "-- +goose no transaction") => e.transaction = false,
        F::Sqlx if text.starts_with("-- no-transaction") => e.transaction = false,
        F::Morph if text.starts_with("-- morph:nontransactional") => e.transaction = false,
        F::GraphileMigrate
            if text
                .lines()
                .find(|l| !l.starts_with("--! Previous") && !l.starts_with("--! Hash") && !l.trim().is_empty())
                .is_some_and(|l| l.starts_with("--! no-transaction")) =>
        {
            e.transaction = false;
        }
        F::Tern if sections::has_line(text, "---- tern: disable-tx ----") => e = Execution::new(false, Send::Statement),
        F::Atlas if header(text).any(|l| l == "-- atlas:txmode none") => e.transaction = false,
        F::Yoyo if header(text).any(|l| l == "-- transactional: false") => e.transaction = false,
        F::Bytebase if header(text).any(|l| l.replace(' ', "") == "--txn-mode=off") => e.transaction = false,
        F::Pgmigrate if name.contains("NONTRANSACTIONAL") => e.transaction = false,
        F::Pop if name.contains(".autocommit.") => e.transaction = false,
        F::Flyway if flyway_goes_without(text) => e.transaction = false,
        // psql's own words, in folders that a person runs.
        F::Plain if has_own_transaction(text) => e.transaction = false,
        _ => {}
    }
    e
}

fn header(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(str::trim).take_while(|l| l.is_empty() || l.starts_with("--")).map(str::to_lowercase)
}

/// Statements at the sight of which Flyway runs a file without a transaction.
fn flyway_goes_without(text: &str) -> bool {
    static WORDS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?im)^\s*(create\s+(unique\s+)?index\s+concurrently|drop\s+index\s+concurrently|reindex\s+(database|schema|system)|vacuum|alter\s+system|create\s+(database|tablespace)|drop\s+(database|tablespace)|create\s+subscription|drop\s+subscription|discard\s+all)\b")
            .expect("a valid pattern")
    });
    WORDS.is_match(text)
}

/// A file of a plain folder with BEGIN … COMMIT of its own, or with CONCURRENTLY, is run as psql runs it.
fn has_own_transaction(text: &str) -> bool {
    static WORDS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?im)^\s*(begin|start\s+transaction)(\s+(transaction|work|isolation\b[^;]*))?\s*;").expect("a valid pattern")
    });
    WORDS.is_match(text) || flyway_goes_without(text)
}

/// One file a version; everything in it runs forward.
fn listed(framework: Framework, folder: &Folder) -> Result<Vec<Migration>, HistoryError> {
    let mut out = Vec::new();
    let mut downs: BTreeMap<String, Script> = BTreeMap::new();
    for (name, path) in &folder.sql {
        if framework == Framework::Supabase && (names::numbered(base(name)).is_none() || name.contains('/')) {
            continue;
        }
        let source = open(path)?;
        let script = Script::whole(source.clone(), execution(framework, source.text(), name));
        // People name the way back in plain folders too; it must not be read as forward.
        let down = [".down.sql", "_down.sql", "-down.sql", ".rollback.sql", "_rollback.sql", ".revert.sql", ".undo.sql"];
        if let Some(key) = down.iter().find_map(|d| name.strip_suffix(d)) {
            downs.insert(key.to_string(), script);
            continue;
        }
        out.push(Migration {
            version: version_of(name),
            name: name.strip_suffix(".sql").unwrap_or(name).to_string(),
            up: script,
            down: None,
        });
    }
    for m in &mut out {
        let key =
            ["", ".up", "_up", "-up"].iter().find_map(|s| m.name.strip_suffix(s).filter(|k| downs.contains_key(*k))).map(str::to_string);
        m.down = key.and_then(|k| downs.remove(&k));
    }
    if framework == Framework::Atlas {
        out.sort_by(|a, b| a.name.cmp(&b.name));
    } else {
        out.sort_by_cached_key(|m| natural(&m.name));
    }
    Ok(out)
}

/// Both halves in one file, told apart by marker lines.
fn sectioned(framework: Framework, folder: &Folder, markers: &Markers) -> Result<Vec<Migration>, HistoryError> {
    let mut out = Vec::new();
    for (name, path) in &folder.sql {
        let source = open(path)?;
        let s = sections::split(&source, markers);
        if s.up.is_empty() && s.down.is_empty() {
            continue;
        }
        let mut e = execution(framework, source.text(), name);
        match framework {
            Framework::Dbmate if s.up_words.iter().any(|w| w.contains("transaction:false")) => e.transaction = false,
            Framework::SqlMigrate if s.up_words.iter().any(|w| w.contains("notransaction")) => e.transaction = false,
            _ => {}
        }
        let down = (!s.down.is_empty()).then(|| Script { source: source.clone(), parts: s.down, execution: e.clone() });
        out.push(Migration {
            version: version_of(name),
            name: stem(name).to_string(),
            up: Script { source, parts: s.up, execution: e },
            down,
        });
    }
    out.sort_by_cached_key(|m| natural(&m.name));
    Ok(out)
}

/// `V1__x.sql`, `R__x.sql`, `U1__x.sql`; a newer baseline does not replace what it sums up, the versions are there.
fn flyway(framework: Framework, folder: &Folder) -> Result<Vec<Migration>, HistoryError> {
    let mut versioned = Vec::new();
    let mut repeatable = Vec::new();
    let mut undo = BTreeMap::new();
    for (name, path) in &folder.sql {
        let Some((prefix, version, _)) = names::flyway(base(name)) else { continue };
        let source = open(path)?;
        let mut e = execution(framework, source.text(), name);
        if framework == Framework::Flyway
            && let Some(conf) = folder.beside(&format!("{name}.conf"))
            && let Some(value) = conf
                .lines()
                .find_map(|l| l.trim().strip_prefix("executeInTransaction").map(|v| v.trim_start_matches([' ', '=']).trim().to_lowercase()))
        {
            e.transaction = value != "false";
        }
        let script = Script::whole(source, e);
        let m = Migration { version: version.to_string(), name: stem(name).to_string(), up: script, down: None };
        match prefix {
            'V' => versioned.push(m),
            'R' => repeatable.push(m),
            'U' if framework == Framework::Flyway => {
                undo.insert(version.to_string(), m.up);
            }
            // Refinery's unversioned files run like the others.
            'U' => versioned.push(m),
            _ => {}
        }
    }
    versioned.sort_by_cached_key(|m| (version_numbers(&m.version), m.name.clone()));
    for m in &mut versioned {
        m.down = undo.remove(&m.version);
    }
    repeatable.sort_by(|a, b| a.name.cmp(&b.name));
    versioned.extend(repeatable);
    Ok(versioned)
}

/// `1_x.up.sql` and `1_x.down.sql`, and for sqlx `1_x.sql`.
fn suffixed(framework: Framework, folder: &Folder) -> Result<Vec<Migration>, HistoryError> {
    static NAME: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^(.*?)(\.(?:postgres|postgresql|pg))?(\.autocommit)?\.(up|down)\.sql$").expect("a valid pattern"));
    static OTHER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\.(mysql|sqlite3?|cockroach|mariadb)\.").expect("a valid pattern"));
    let mut ups: BTreeMap<String, (String, Script)> = BTreeMap::new();
    let mut downs: BTreeMap<String, (String, Script)> = BTreeMap::new();
    for (name, path) in &folder.sql {
        let (key, up) = match NAME.captures(name) {
            Some(c) if !OTHER.is_match(name) => (c[1].to_string(), &c[4] == "up"),
            None if framework == Framework::Sqlx && names::numbered(base(name)).is_some() => {
                (name.trim_end_matches(".sql").to_string(), true)
            }
            _ => continue,
        };
        let source = open(path)?;
        let e = execution(framework, source.text(), name);
        let into = if up { &mut ups } else { &mut downs };
        // A file for Postgres alone comes before the one for every database.
        if name.contains(".postgres") || !into.contains_key(&key) {
            into.insert(key, (name.clone(), Script::whole(source, e)));
        }
    }
    let mut out: Vec<Migration> = ups
        .into_iter()
        .map(|(key, (_, up))| Migration {
            version: version_of(base(&key)),
            name: key.clone(),
            up,
            down: downs.remove(&key).map(|(_, s)| s),
        })
        .collect();
    out.sort_by_cached_key(|m| (natural(&m.version), natural(&m.name)));
    Ok(out)
}

/// A folder a version: `<version>_name/up.sql`, `…/migration.sql`.
fn nested(framework: Framework, folder: &Folder) -> Result<Vec<Migration>, HistoryError> {
    let up_name = if framework == Framework::Prisma { "migration.sql" } else { "up.sql" };
    let mut out = Vec::new();
    for (name, path) in folder.sql.iter().filter(|(n, _)| base(n) == up_name) {
        let Some((version_folder, _)) = name.rsplit_once('/') else { continue };
        let source = open(path)?;
        let mut e = execution(framework, source.text(), name);
        if framework == Framework::Diesel
            && let Some(meta) = folder.beside(&format!("{version_folder}/metadata.toml"))
            && toml::from_str::<toml::Table>(&meta).is_ok_and(|t| t.get("run_in_transaction").and_then(toml::Value::as_bool) == Some(false))
        {
            e.transaction = false;
        }
        let down = match folder.sql.get(&format!("{version_folder}/down.sql")) {
            Some(p) => Some(Script::whole(open(p)?, e.clone())),
            None => None,
        };
        let name = base(version_folder);
        out.push(Migration { version: version_of(name), name: name.to_string(), up: Script::whole(source, e), down });
    }
    out.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(out)
}

/// Order comes from the journal alone. A folder without one is read in the order of its names.
fn drizzle(folder: &Folder, notes: &mut Vec<String>) -> Result<Vec<Migration>, HistoryError> {
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
        let up = Script::whole(open(path)?, default_execution(Framework::Drizzle));
        out.push(Migration { version: version_of(&tag), name: tag, up, down: None });
    }
    Ok(out)
}

/// Order comes from `sqitch.plan`; a change that was reworked has its earlier text under `name@tag.sql`.
fn sqitch(folder: &Folder, notes: &mut Vec<String>) -> Result<Vec<Migration>, HistoryError> {
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
        let e = default_execution(Framework::Sqitch);
        let up = Script::whole(open(path)?, e.clone());
        let down = match folder.sql.get(&format!("revert/{name}{suffix}.sql")) {
            Some(p) => Some(Script::whole(open(p)?, e)),
            None => None,
        };
        out.push(Migration { version: name.clone(), name: name.clone(), up, down });
    }
    Ok(out)
}

/// Files in natural order, changesets in the order of the file. The order that a master changelog gives is not read.
fn formatted(folder: &Folder) -> Result<Vec<Migration>, HistoryError> {
    let mut files: Vec<(&String, &std::path::PathBuf)> = folder.sql.iter().collect();
    files.sort_by_cached_key(|(n, _)| natural(n));
    let mut out = Vec::new();
    for (name, path) in files {
        let source = open(path)?;
        if liquibase::is_formatted(source.text()) {
            out.extend(liquibase::changesets(&source));
        } else {
            let up = Script::whole(source, default_execution(Framework::Liquibase));
            out.push(Migration { version: stem(name).to_string(), name: stem(name).to_string(), up, down: None });
        }
    }
    Ok(out)
}

/// Order by `-- depends:`, then by name.
fn yoyo(folder: &Folder) -> Result<Vec<Migration>, HistoryError> {
    let mut waiting: Vec<(Vec<String>, Migration)> = Vec::new();
    for (name, path) in folder.sql.iter().filter(|(n, _)| !n.ends_with(".rollback.sql")) {
        let source = open(path)?;
        let depends = header(source.text())
            .filter_map(|l| l.strip_prefix("-- depends:").map(|d| d.split_whitespace().map(str::to_string).collect::<Vec<_>>()))
            .flatten()
            .collect();
        let e = execution(Framework::Yoyo, source.text(), name);
        let down = match folder.sql.get(&format!("{}.rollback.sql", name.trim_end_matches(".sql"))) {
            Some(p) => Some(Script::whole(open(p)?, e.clone())),
            None => None,
        };
        waiting.push((
            depends,
            Migration { version: stem(name).to_string(), name: stem(name).to_string(), up: Script::whole(source, e), down },
        ));
    }
    waiting.sort_by_cached_key(|(_, m)| natural(&m.name));
    let mut out: Vec<Migration> = Vec::new();
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|(d, _)| {
            d.iter().all(|n| out.iter().any(|m| m.name.to_lowercase() == *n) || !waiting.iter().any(|(_, m)| m.name.to_lowercase() == *n))
        });
        // A circle: the first name goes.
        out.push(waiting.remove(ready.unwrap_or(0)).1);
    }
    Ok(out)
}
