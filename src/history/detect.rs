//! Which folder is the root of a history, and which runner reads it.

use std::path::{Path, PathBuf};

use super::Framework;
use super::read::Folder;
use super::{liquibase, names, sections, ways};

/// The root of the history that a SQL file belongs to. Runners with a folder for each version keep it one level up.
pub fn root_of(file: &Path) -> PathBuf {
    let parent = file.parent().unwrap_or(Path::new(""));
    // `deploy/x.sql` of sqitch, at any depth below the folder of the plan.
    if let Some(root) = parent.ancestors().skip(1).take(8).find(|a| a.join("sqitch.plan").is_file()) {
        return root.to_path_buf();
    }
    for a in parent.ancestors().take(8) {
        let name = a.file_name().unwrap_or_default();
        if let Some(above) = a.parent()
            && (name == "deploy" || name == "revert" || name == "verify")
            && above.join("deploy").is_dir()
            && above.join("revert").is_dir()
        {
            return above.to_path_buf();
        }
    }
    // What graphile-migrate has committed, and what is being worked on, are one history.
    if parent.file_name().is_some_and(|n| n == "committed" || n == "current")
        && let Some(above) = parent.parent().filter(|a| a.join("committed").is_dir())
    {
        return above.to_path_buf();
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    // Flyway looks into the folders below its location too.
    if is_flyway(&name) {
        let holds = |a: &&Path| {
            let entries = std::fs::read_dir(if a.as_os_str().is_empty() { Path::new(".") } else { a });
            entries.is_ok_and(|e| e.flatten().any(|e| is_flyway(&e.file_name().to_string_lossy())))
        };
        return parent.ancestors().take(4).skip(1).filter(holds).last().unwrap_or(parent).to_path_buf();
    }
    let versioned = parent.file_name().is_some_and(|n| n.to_string_lossy().starts_with(|c: char| c.is_ascii_digit()));
    if matches!(name.as_ref(), "up.sql" | "down.sql" | "migration.sql") && versioned {
        return parent.parent().unwrap_or(Path::new("")).to_path_buf();
    }
    parent.to_path_buf()
}

/// Recognises the runner, and says by what: marker files first, then marks in the files, then their names. Where two remain, the
/// stricter reading wins and is said.
pub fn framework(folder: &Folder, notes: &mut Vec<String>) -> (Framework, String) {
    by_marker_file(folder).or_else(|| by_marks(folder)).unwrap_or_else(|| by_names(folder, notes))
}

fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// A shape of names that must be there before a marker file above the folder counts: a repository may hold several runners.
type Shape = fn(&str) -> bool;

/// Files that runners keep above their migrations.
const ABOVE: &[(&str, Framework, Shape)] = &[
    ("flyway.toml", Framework::Flyway, is_flyway),
    ("flyway.conf", Framework::Flyway, is_flyway),
    ("conf/flyway.conf", Framework::Flyway, is_flyway),
    ("migrations.yml", Framework::Pgmigrate, is_flyway),
    ("diesel.toml", Framework::Diesel, |n| n.ends_with("/up.sql")),
    (".gmrc", Framework::GraphileMigrate, |n| n == "current.sql" || n.starts_with("committed/") || !n.contains('/')),
    (".gmrc.js", Framework::GraphileMigrate, |n| n == "current.sql" || n.starts_with("committed/") || !n.contains('/')),
    ("drizzle.config.ts", Framework::Drizzle, |n| names::numbered(n).is_some() || n.ends_with("/migration.sql")),
    ("drizzle.config.js", Framework::Drizzle, |n| names::numbered(n).is_some() || n.ends_with("/migration.sql")),
    ("tern.conf", Framework::Tern, |n| names::underscored(n).is_some()),
    ("dbconfig.yml", Framework::SqlMigrate, |n| !n.contains('/')),
    ("rambler.json", Framework::Rambler, |n| !n.contains('/')),
    ("yoyo.ini", Framework::Yoyo, |n| !n.contains('/')),
    ("sqitch.conf", Framework::Sqitch, |n| n.starts_with("deploy/")),
    ("database.yml", Framework::Pop, |n| n.ends_with(".up.sql")),
];

fn is_flyway(name: &str) -> bool {
    names::flyway(base(name)).is_some_and(|(p, ..)| p == 'V')
}

fn by_marker_file(folder: &Folder) -> Option<(Framework, String)> {
    let root = folder.root.to_string_lossy().replace('\\', "/");
    let has = |name: &str| folder.root.join(name).is_file();
    let any = |f: &dyn Fn(&str) -> bool| folder.sql.keys().find(|n| f(n)).cloned();
    let found = |f: Framework, by: &str| Some((f, by.to_string()));
    if has("atlas.sum") {
        return found(Framework::Atlas, "atlas.sum");
    }
    if has("sqitch.plan") {
        return found(Framework::Sqitch, "sqitch.plan");
    }
    if any(&|n| n.starts_with("deploy/")).is_some() && any(&|n| n.starts_with("revert/")).is_some() {
        return found(Framework::Sqitch, "folders deploy and revert");
    }
    if has("meta/_journal.json") {
        return found(Framework::Drizzle, "meta/_journal.json");
    }
    if has("migration_lock.toml") {
        return found(Framework::Prisma, "migration_lock.toml");
    }
    let above = ABOVE.iter().find(|(file, _, shape)| any(&|n| shape(n)).is_some() && folder.above(file));
    if let Some(nested) = any(&|n| n.ends_with("/migration.sql")) {
        let version = nested.trim_end_matches("/migration.sql");
        return match above {
            Some((file, Framework::Drizzle, _)) => found(Framework::Drizzle, file),
            _ if has(&format!("{version}/snapshot.json")) => found(Framework::Drizzle, &format!("{version}/snapshot.json")),
            _ => found(Framework::Prisma, &format!("the name {nested}")),
        };
    }
    if root.ends_with("supabase/migrations") {
        return found(Framework::Supabase, "the folder supabase/migrations");
    }
    if has("../config.toml") && has("../seed.sql") {
        return found(Framework::Supabase, "config.toml and seed.sql above");
    }
    if let Some((file, framework, _)) = above {
        return found(*framework, file);
    }
    if let Some(nested) = any(&|n| n.ends_with("/up.sql")) {
        let ups = folder.sql.keys().filter(|n| n.ends_with("/up.sql"));
        let hasura = ups.clone().all(|n| base(n.trim_end_matches("/up.sql")).bytes().take_while(u8::is_ascii_digit).count() == 13);
        let by = format!("the name {nested}");
        return found(if hasura { Framework::Hasura } else { Framework::Diesel }, &by);
    }
    if root.ends_with("migrations/committed") || any(&|n| n.starts_with("committed/")).is_some() {
        return found(Framework::GraphileMigrate, "the folder committed");
    }
    None
}

/// Marks inside of the files say it most surely; the newest files are asked first, since a project may have moved.
fn by_marks(folder: &Folder) -> Option<(Framework, String)> {
    for (name, path) in folder.sql.iter().rev().take(200) {
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        if let Some((framework, mark)) = mark(&text) {
            return Some((framework, format!("`{mark}` in {name}")));
        }
        // What the name says already, the comments of a generator do not change: these files are run by another runner.
        if !name.ends_with(".up.sql") && !name.ends_with(".down.sql") {
            let atlas = |l: &str| l.strip_prefix("-- atlas:").is_some_and(|d| d.starts_with(|c: char| c.is_ascii_lowercase()));
            if let Some(line) = ways::header(&text).find(|l| atlas(l)) {
                return Some((Framework::Atlas, format!("`{line}` in {name}")));
            }
        }
    }
    None
}

/// The words of one runner in a file.
fn mark(text: &str) -> Option<(Framework, &'static str)> {
    if liquibase::is_formatted(text) {
        return Some((Framework::Liquibase, "--liquibase formatted sql"));
    }
    for (markers, framework) in [
        (&sections::GOOSE, Framework::Goose),
        (&sections::DBMATE, Framework::Dbmate),
        (&sections::SQL_MIGRATE, Framework::SqlMigrate),
        (&sections::NODE_PG, Framework::NodePgMigrate),
        (&sections::RAMBLER, Framework::Rambler),
        (&sections::TERN, Framework::Tern),
    ] {
        // Words that people write in comments too must stand for both directions.
        let both = framework != Framework::NodePgMigrate || sections::has_both(text, markers);
        if both && sections::has(text, markers) {
            return Some((framework, markers.up.first().or(markers.down.first()).copied().unwrap_or_default()));
        }
    }
    let line = |want: &dyn Fn(&str) -> bool| text.lines().any(|l| want(l.trim_end()));
    let top = |want: &dyn Fn(&str) -> bool| ways::header(text).any(|l| want(&l.to_lowercase()));
    if line(&|l| l == "---- tern: disable-tx ----") {
        Some((Framework::Tern, "---- tern: disable-tx ----"))
    } else if line(&|l| l.ends_with("--> statement-breakpoint")) {
        Some((Framework::Drizzle, "--> statement-breakpoint"))
    } else if text.starts_with("--! Previous:") {
        Some((Framework::GraphileMigrate, "--! Previous:"))
    } else if text.starts_with("-- morph:nontransactional") {
        Some((Framework::Morph, "-- morph:nontransactional"))
    } else if text.starts_with("-- no-transaction") {
        Some((Framework::Sqlx, "-- no-transaction"))
    } else if top(&|l| l.replace(' ', "").starts_with("--txn-mode=")) {
        Some((Framework::Bytebase, "-- txn-mode"))
    } else if top(&|l| l.starts_with("-- depends:") || l.starts_with("--depends:") || l == "-- transactional: false") {
        Some((Framework::Yoyo, "-- depends: / -- transactional:"))
    } else {
        None
    }
}

fn by_names(folder: &Folder, notes: &mut Vec<String>) -> (Framework, String) {
    let root = folder.root.display();
    let any = |f: &dyn Fn(&str) -> bool| folder.sql.keys().find(|n| f(n)).cloned();
    let above = |files: &[&'static str]| files.iter().copied().find(|f| folder.above(f));
    let by = |name: &str, file: Option<&str>| match file {
        Some(f) => format!("names like {name}, and {f}"),
        None => format!("names like {name}"),
    };
    if let Some(name) = any(&is_flyway) {
        if let Some(f) = above(&["pom.xml", "build.gradle", "build.gradle.kts", "build.sbt"]) {
            return (Framework::Flyway, by(&name, Some(f)));
        }
        if let Some(f) = above(&["Cargo.toml"]) {
            return (Framework::Refinery, by(&name, Some(f)));
        }
        if let Some(name) = any(&|n| n.contains("NONTRANSACTIONAL")) {
            return (Framework::Pgmigrate, by(&name, None));
        }
        notes
            .push(format!("{root}: `V…__….sql` fits flyway, refinery and pgmigrate; read as flyway (`framework` in airlock.toml decides)"));
        return (Framework::Flyway, by(&name, None));
    }
    if let Some(name) = any(&|n| names::suffixed(base(n)).is_some_and(|(_, _, up)| up)) {
        if let Some(name) = any(&|n| n.contains(".autocommit.") || n.contains(".postgres.")) {
            return (Framework::Pop, by(&name, None));
        }
        if let Some(f) = above(&["Cargo.toml"]) {
            return (Framework::Sqlx, by(&name, Some(f)));
        }
        let go = above(&["go.mod"]);
        if go.is_none() {
            notes.push(format!(
                "{root}: `N_….up.sql` fits golang-migrate, sqlx and morph; read as golang-migrate (`framework` in airlock.toml decides)"
            ));
        }
        return (Framework::GolangMigrate, by(&name, go));
    }
    if let Some(name) = any(&|n| n.ends_with(".up.sql")) {
        return (Framework::Pop, by(&name, None));
    }
    if let Some(name) = any(&|n| n.ends_with(".rollback.sql")) {
        return (Framework::Yoyo, by(&name, None));
    }
    if let Some(name) = any(&|n| names::numbered(base(n)).is_some())
        && let Some(f) = above(&["Cargo.toml"])
    {
        return (Framework::Sqlx, by(&name, Some(f)));
    }
    (Framework::Plain, "default: no runner has left a mark".into())
}
