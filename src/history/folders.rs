//! From the files of a folder to migrations, for every runner: which file is which half of which version, and in which order. The
//! facts are those of the runners' own documentation and code, collected in `docs/frameworks.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rayon::prelude::*;
use regex::Regex;

use super::names::{self, natural, version_numbers};
use super::read::Folder;
use super::sections::{self, Markers};
use super::{Framework, HistoryError, Migration, Script, liquibase, ordered, pieces, ways};

pub fn migrations(framework: Framework, folder: &Folder, notes: &mut Vec<String>) -> Result<Vec<Migration>, HistoryError> {
    use Framework as F;
    match framework {
        F::Goose => sectioned(framework, folder, &sections::GOOSE),
        F::Dbmate => sectioned(framework, folder, &sections::DBMATE),
        F::SqlMigrate => sectioned(framework, folder, &sections::SQL_MIGRATE),
        F::NodePgMigrate => sectioned(framework, folder, &sections::NODE_PG),
        F::Rambler => sectioned(framework, folder, &sections::RAMBLER),
        F::Tern => sectioned(framework, folder, &sections::TERN),
        F::Flyway | F::Refinery | F::Pgmigrate => flyway(framework, folder, notes),
        F::GolangMigrate | F::Morph | F::Sqlx | F::Pop => suffixed(framework, folder),
        F::Diesel | F::Hasura | F::Prisma => nested(framework, folder, notes),
        F::Drizzle => ordered::drizzle(folder, notes),
        F::Sqitch => ordered::sqitch(folder, notes),
        F::GraphileMigrate => ordered::graphile(folder),
        F::Yoyo => ordered::yoyo(folder, notes),
        F::Liquibase => formatted(folder),
        F::Plain | F::Atlas | F::Bytebase | F::Supabase => listed(framework, folder),
    }
}

/// Versions that stand twice, gaps where the runner allows none, and files that it does not run.
pub fn odd_versions(framework: Framework, folder: &Folder, migrations: &[Migration], notes: &mut Vec<String>) {
    use Framework as F;
    let root = folder.root.display();
    let numeric = matches!(framework, F::Flyway | F::GolangMigrate | F::Goose | F::Tern | F::Sqlx | F::Refinery | F::Pgmigrate | F::Morph);
    let key = |m: &Migration| if numeric { version_numbers(&m.version) } else { vec![m.version.clone().into_bytes()] };
    let mut seen: BTreeMap<Vec<Vec<u8>>, &Migration> = BTreeMap::new();
    let by_version =
        !matches!(framework, F::Plain | F::Rambler | F::Sqitch | F::Drizzle | F::Bytebase | F::GraphileMigrate | F::NodePgMigrate);
    for m in migrations.iter().filter(|m| by_version && !m.version.is_empty()) {
        if let Some(first) = seen.insert(key(m), m) {
            notes
                .push(format!("{root}: version {} stands twice ({}, {}); {framework} takes a version once", m.version, first.name, m.name));
        }
    }
    if framework == F::Tern {
        let numbers: Vec<usize> = migrations.iter().filter_map(|m| m.version.parse().ok()).collect();
        if let Some(missing) = (1..=numbers.len()).zip(&numbers).find_map(|(want, have)| (want < *have).then_some(want)) {
            notes.push(format!("{root}: version {missing} is missing; tern wants them from 1 on without a gap, and stops"));
        }
    }
    let used: BTreeSet<&Path> = migrations.iter().flat_map(|m| std::iter::once(&m.up).chain(&m.down)).map(|s| s.source.path()).collect();
    let rest: Vec<&str> =
        folder.sql.iter().filter(|(n, p)| !used.contains(p.as_path()) && !is_way_back(n)).map(|(n, _)| n.as_str()).collect();
    if let Some(first) = rest.first() {
        let (files, are, more) = if rest.len() == 1 { ("file has", "is", "") } else { ("files have", "are", ", …") };
        notes.push(format!("{root}: {} {files} no place in the order of {framework} and {are} left out ({first}{more})", rest.len()));
    }
}

/// Files that only run backward, or only look.
fn is_way_back(name: &str) -> bool {
    let plain = ["down.sql", ".rollback.sql", "_rollback.sql", ".revert.sql", ".undo.sql"];
    plain.iter().any(|s| name.ends_with(s)) || name.starts_with("revert/") || name.starts_with("verify/") || base(name).starts_with('U')
}

pub(super) fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

pub(super) fn stem(name: &str) -> &str {
    base(name).strip_suffix(".sql").unwrap_or(base(name))
}

/// The leading digits of a name, or all of it.
pub(super) fn version_of(name: &str) -> String {
    let digits: String = stem(name).chars().take_while(char::is_ascii_digit).collect();
    if digits.is_empty() { stem(name).to_string() } else { digits }
}

/// A runner that looks for one file a version, in one folder or in all below it; everything in the file runs forward.
fn listed(framework: Framework, folder: &Folder) -> Result<Vec<Migration>, HistoryError> {
    let mut out = Vec::new();
    let mut downs: BTreeMap<String, Script> = BTreeMap::new();
    let taken = |name: &str| match framework {
        Framework::Supabase => names::underscored(name).is_some(),
        Framework::Atlas => !name.contains('/'),
        _ => true,
    };
    let read = |(name, path): (&String, &PathBuf)| Ok((name.clone(), ways::script(framework, folder.source(path)?, name, folder)));
    let files: Vec<_> = folder.sql.par_iter().filter(|(n, _)| taken(n)).map(read).collect::<Result<_, HistoryError>>()?;
    for (name, (script, notes)) in files {
        let name = name.as_str();
        if framework == Framework::Atlas && script.source.text().trim_start_matches('\u{feff}').starts_with("-- atlas:txtar") {
            out.push(archive(name, script, notes));
            continue;
        }
        // People name the way back in plain folders too; it must not be read as forward.
        let back = ways::PLAIN_DOWN.iter().find_map(|d| name.strip_suffix(d)).filter(|_| framework != Framework::Supabase);
        if let Some(key) = back {
            downs.insert(key.to_string(), script);
            continue;
        }
        let title = name.strip_suffix(".sql").unwrap_or(name).to_string();
        let version = if framework == Framework::Bytebase { bytebase_version(&title) } else { version_of(name) };
        out.push(Migration { notes, ..Migration::new(version, title, script, None) });
    }
    for m in &mut out {
        let key =
            ["", ".up", "_up", "-up"].iter().find_map(|s| m.name.strip_suffix(s).filter(|k| downs.contains_key(*k))).map(str::to_string);
        if let Some(down) = key.and_then(|k| downs.remove(&k)) {
            m.down = Some(down);
        }
    }
    match framework {
        Framework::Atlas => out.sort_by(|a, b| a.name.cmp(&b.name)),
        Framework::Bytebase => out.sort_by_cached_key(|m| (version_numbers(&bytebase_version(&m.name)), natural(&m.name))),
        _ => out.sort_by_cached_key(|m| natural(&m.name)),
    }
    Ok(out)
}

/// `v1.2_x` → `1.2`.
fn bytebase_version(name: &str) -> String {
    base(name).trim_start_matches(['v', 'V']).chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect()
}

/// Atlas's archive: several files in one, told apart by lines `-- name --`.
fn archive(name: &str, script: Script, notes: Vec<String>) -> Migration {
    let s = sections::split(&script.source, &sections::ATLAS_ARCHIVE);
    let down = (!s.down.is_empty()).then(|| Script { parts: s.down, ..script.clone() });
    let title = name.strip_suffix(".sql").unwrap_or(name).to_string();
    Migration { notes, ..Migration::new(version_of(name), title, Script { parts: s.up, ..script }, down) }
}

/// Both halves in one file, told apart by marker lines.
fn sectioned(framework: Framework, folder: &Folder, markers: &Markers) -> Result<Vec<Migration>, HistoryError> {
    use Framework as F;
    let mut out = Vec::new();
    for (name, path) in &folder.sql {
        let taken = match framework {
            F::Goose | F::Tern => names::underscored(name).is_some(),
            F::Dbmate => name.starts_with(|c: char| c.is_ascii_digit()),
            _ => !base(name).starts_with('.'),
        };
        let source = folder.source(path)?;
        let s = sections::split(&source, markers);
        if !taken || s.up.is_empty() && s.down.is_empty() && !sections::has(source.text(), markers) {
            continue;
        }
        let way = ways::way(framework, &source, name, folder);
        let half = |parts: Vec<crate::source::Span>, words: &[String]| {
            let mut e = way.execution.clone();
            let says = |w: &str| words.iter().any(|l| l.split(' ').any(|x| x == w));
            e.transaction &= match framework {
                F::Dbmate => !says("transaction:false"),
                F::SqlMigrate => !says("notransaction"),
                _ => true,
            };
            e.queries = match framework {
                F::Goose => pieces::blocks(&source, &parts, "+goose "),
                F::SqlMigrate => pieces::blocks(&source, &parts, "+migrate "),
                F::Rambler => parts.clone(),
                _ => Vec::new(),
            };
            Script { source: source.clone(), parts, execution: e }
        };
        let up = half(s.up, &s.up_words);
        let mut down_parts = s.down;
        if framework == F::Rambler {
            // Sections are taken back from the last to the first.
            down_parts.reverse();
        }
        let down = (!down_parts.is_empty()).then(|| half(down_parts, &s.down_words));
        let mut notes = way.notes;
        if let Some(words) = sections::unclosed_block(source.text()) {
            notes.push(words);
        }
        out.push(Migration { notes, ..Migration::new(version_of(name), stem(name), up, down) });
    }
    match framework {
        F::Rambler | F::Dbmate => out.sort_by(|a, b| a.name.cmp(&b.name)),
        F::Goose | F::Tern => out.sort_by_cached_key(|m| (natural(&m.version), natural(&m.name))),
        _ => out.sort_by_cached_key(|m| natural(&m.name)),
    }
    Ok(out)
}

/// `V1__x.sql`, `R__x.sql`, `U1__x.sql`, `B1__x.sql`.
fn flyway(framework: Framework, folder: &Folder, notes: &mut Vec<String>) -> Result<Vec<Migration>, HistoryError> {
    let mut versioned = Vec::new();
    let mut repeatable = Vec::new();
    let mut baselines = Vec::new();
    let mut undo = BTreeMap::new();
    for (name, path) in &folder.sql {
        let Some((prefix, version, _)) = names::flyway(base(name)) else { continue };
        let (script, said) = ways::script(framework, folder.source(path)?, name, folder);
        let m = Migration { notes: said, ..Migration::new(version, stem(name), script, None) };
        match (prefix, framework) {
            ('V', _) if !version.is_empty() => versioned.push(m),
            // Refinery's unversioned files run like the others.
            ('U', Framework::Refinery) => versioned.push(m),
            ('R', Framework::Flyway) if version.is_empty() => repeatable.push(m),
            ('B', Framework::Flyway) if !version.is_empty() => baselines.push(m),
            ('U', Framework::Flyway) => {
                undo.insert(version_numbers(version), m.up);
            }
            _ => {}
        }
    }
    versioned.sort_by_cached_key(|m| (version_numbers(&m.version), m.name.clone()));
    for m in &mut versioned {
        m.down = undo.remove(&version_numbers(&m.version));
    }
    baselines.sort_by_cached_key(|m| version_numbers(&m.version));
    if let Some(b) = baselines.pop() {
        let to = version_numbers(&b.version);
        // A new database starts from the baseline; the versions that it sums up say the same, if they are still there.
        if versioned.iter().any(|m| version_numbers(&m.version) <= to) {
            notes.push(format!("{}: the baseline {} sums up versions that are here, and is not read", folder.root.display(), b.name));
        } else {
            versioned.insert(0, b);
        }
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
    let mut ups: BTreeMap<String, (Script, Vec<String>)> = BTreeMap::new();
    let mut downs: BTreeMap<String, (Script, Vec<String>)> = BTreeMap::new();
    for (name, path) in &folder.sql {
        let (key, up) = match NAME.captures(name) {
            Some(c) if !OTHER.is_match(name) => (c[1].to_string(), &c[4] == "up"),
            None if framework == Framework::Sqlx && names::numbered(base(name)).is_some() => {
                (name.trim_end_matches(".sql").to_string(), true)
            }
            _ => continue,
        };
        let (script, notes) = ways::script(framework, folder.source(path)?, name, folder);
        let into = if up { &mut ups } else { &mut downs };
        // A file for Postgres alone comes before the one for every database.
        if name.contains(".postgres") || !into.contains_key(&key) {
            into.insert(key, (script, notes));
        }
    }
    let mut out: Vec<Migration> = ups
        .into_iter()
        .map(|(key, (up, notes))| {
            let down = downs.remove(&key).map(|(s, _)| s);
            Migration { notes, ..Migration::new(version_of(base(&key)), key.clone(), up, down) }
        })
        .collect();
    out.sort_by_cached_key(|m| (natural(&m.version), natural(&m.name)));
    Ok(out)
}

/// A folder a version: `<version>_name/up.sql`, `…/migration.sql`.
fn nested(framework: Framework, folder: &Folder, notes: &mut Vec<String>) -> Result<Vec<Migration>, HistoryError> {
    let up_name = if framework == Framework::Prisma { "migration.sql" } else { "up.sql" };
    if framework == Framework::Prisma {
        notes.extend(ways::prisma_note(folder).map(|n| format!("{}: {n}", folder.root.display())));
    }
    let mut out = Vec::new();
    for (name, path) in folder.sql.iter().filter(|(n, _)| base(n) == up_name) {
        let Some((version_folder, _)) = name.rsplit_once('/') else { continue };
        let (mut up, notes) = ways::script(framework, folder.source(path)?, name, folder);
        if framework == Framework::Diesel
            && let Some(meta) = folder.beside(&format!("{version_folder}/metadata.toml"))
            && toml::from_str::<toml::Table>(&meta).is_ok_and(|t| t.get("run_in_transaction").and_then(toml::Value::as_bool) == Some(false))
        {
            up.execution.transaction = false;
        }
        let down = match folder.sql.get(&format!("{version_folder}/down.sql")).filter(|_| framework != Framework::Prisma) {
            Some(p) => Some(Script::whole(folder.source(p)?, up.execution.clone())),
            None => None,
        };
        let name = base(version_folder);
        out.push(Migration { notes, ..Migration::new(nested_version(framework, name), name, up, down) });
    }
    out.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(out)
}

/// Diesel's version is all that stands before the first `_`, without its dashes.
fn nested_version(framework: Framework, name: &str) -> String {
    match (framework, name.split_once('_')) {
        (Framework::Diesel, Some((version, _))) => version.replace('-', ""),
        _ => version_of(name),
    }
}

/// Files in natural order, changesets in the order of the file. The order that a master changelog gives is not read.
fn formatted(folder: &Folder) -> Result<Vec<Migration>, HistoryError> {
    let mut files: Vec<(&String, &std::path::PathBuf)> = folder.sql.iter().collect();
    files.sort_by_cached_key(|(n, _)| natural(n));
    let mut out = Vec::new();
    for (name, path) in files {
        let source = folder.source(path)?;
        if liquibase::is_formatted(source.text()) {
            out.extend(liquibase::changesets(&source));
        } else {
            let up = Script::whole(source, ways::default_execution(Framework::Liquibase));
            out.push(Migration::new(stem(name), stem(name), up, None));
        }
    }
    Ok(out)
}
