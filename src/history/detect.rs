//! Which folder is the root of a history, and which runner reads it.

use std::path::{Path, PathBuf};

use super::Framework;
use super::read::Folder;
use super::sections;
use super::{liquibase, names};

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
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let versioned = parent.file_name().is_some_and(|n| n.to_string_lossy().starts_with(|c: char| c.is_ascii_digit()));
    if matches!(name.as_ref(), "up.sql" | "down.sql" | "migration.sql") && versioned {
        return parent.parent().unwrap_or(Path::new("")).to_path_buf();
    }
    parent.to_path_buf()
}

/// Recognises the runner: marker files first, then marks in the files, then their names. Where two remain, the stricter reading
/// wins and is said.
pub fn framework(folder: &Folder, notes: &mut Vec<String>) -> Framework {
    let root = folder.root.to_string_lossy().replace('\\', "/");
    let has = |name: &str| folder.root.join(name).is_file();
    let files: Vec<&str> = folder.sql.keys().map(String::as_str).collect();
    let any = |f: &dyn Fn(&str) -> bool| files.iter().any(|n| f(n));
    let base = |n: &str| n.rsplit('/').next().unwrap_or_default().to_string();

    if has("atlas.sum") {
        return Framework::Atlas;
    }
    if has("sqitch.plan") || any(&|n| n.starts_with("deploy/")) && any(&|n| n.starts_with("revert/")) {
        return Framework::Sqitch;
    }
    if has("migration_lock.toml") || any(&|n| base(n) == "migration.sql" && n.contains('/')) {
        return Framework::Prisma;
    }
    if has("meta/_journal.json") {
        return Framework::Drizzle;
    }
    if root.ends_with("supabase/migrations") || folder.root.join("../config.toml").is_file() && folder.root.join("../seed.sql").is_file() {
        return Framework::Supabase;
    }
    if any(&|n| base(n) == "up.sql" && n.contains('/')) {
        let hasura = files.iter().filter(|n| base(n) == "up.sql").all(|n| n.bytes().take_while(u8::is_ascii_digit).count() == 13);
        return if hasura && !folder.above("diesel.toml") { Framework::Hasura } else { Framework::Diesel };
    }
    if root.ends_with("migrations/committed") || folder.above(".gmrc") {
        return Framework::GraphileMigrate;
    }

    if let Some(found) = in_files(folder) {
        return found;
    }

    if any(&|n| names::flyway(&base(n)).is_some_and(|(p, ..)| p == 'V')) {
        if folder.above("flyway.toml") || folder.above("flyway.conf") || folder.above("pom.xml") || folder.above("build.gradle") {
            return Framework::Flyway;
        }
        if folder.above("Cargo.toml") {
            return Framework::Refinery;
        }
        if any(&|n| n.contains("NONTRANSACTIONAL")) {
            return Framework::Pgmigrate;
        }
        notes
            .push(format!("{root}: `V…__….sql` fits flyway, refinery and pgmigrate; read as flyway (`framework` in airlock.toml decides)"));
        return Framework::Flyway;
    }
    if any(&|n| names::suffixed(&base(n)).is_some_and(|(_, _, up)| up)) {
        if any(&|n| n.contains(".autocommit.") || n.contains(".postgres.")) {
            return Framework::Pop;
        }
        if any(&|n| {
            folder.sql.get(n).and_then(|p| std::fs::read_to_string(p).ok()).is_some_and(|t| t.starts_with("-- morph:nontransactional"))
        }) {
            return Framework::Morph;
        }
        if folder.above("Cargo.toml") {
            return Framework::Sqlx;
        }
        if !folder.above("go.mod") {
            notes.push(format!(
                "{root}: `N_….up.sql` fits golang-migrate, sqlx and morph; read as golang-migrate (`framework` in airlock.toml decides)"
            ));
        }
        return Framework::GolangMigrate;
    }
    if any(&|n| n.ends_with(".up.sql")) {
        return Framework::Pop;
    }
    if any(&|n| n.ends_with(".rollback.sql")) {
        return Framework::Yoyo;
    }
    if any(&|n| names::numbered(&base(n)).is_some()) && folder.above("Cargo.toml") && !folder.above("drizzle.config.ts") {
        return Framework::Sqlx;
    }
    Framework::Plain
}

/// Marks inside of the files say it most surely; the newest files are asked first, since a project may have moved.
fn in_files(folder: &Folder) -> Option<Framework> {
    for path in folder.sql.values().rev().take(200) {
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        if liquibase::is_formatted(&text) {
            return Some(Framework::Liquibase);
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
            let both = framework != Framework::NodePgMigrate || sections::has_both(&text, markers);
            if both && sections::has(&text, markers) {
                return Some(framework);
            }
        }
        if text.lines().any(|l| l.trim_end().ends_with("--> statement-breakpoint")) {
            return Some(Framework::Drizzle);
        }
        if text.starts_with("--! Previous:") {
            return Some(Framework::GraphileMigrate);
        }
    }
    None
}
