//! `airlock.toml` → typed settings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::diagnostic::Severity;
use crate::history::Framework;
use crate::rules::nearest;
use crate::source::{Dialect, line_of, line_with};
use crate::stats::Small;

pub const FILE_NAME: &str = "airlock.toml";

/// Everything that `airlock.toml` may say. Unknown keys are errors.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// The migration runner, where recognising it is not enough.
    #[serde(deserialize_with = "framework")]
    pub framework: Option<Framework>,
    /// Major version of Postgres, 14 to 18.
    pub pg_version: Option<u8>,
    /// A dump to start from instead of the migrations.
    pub schema: Option<PathBuf>,
    /// Settings that the runner makes before each migration (`lock_timeout = "2s"`).
    pub settings: BTreeMap<String, String>,
    pub rules: Rules,
    /// Other settings for some files or tables; a later one wins over an earlier one.
    pub overrides: Vec<Override>,
    pub suppressions: Suppressions,
    /// Findings that are known and not reported: the file that `airlock baseline` writes.
    pub baseline: Option<PathBuf>,
    pub statistics: StatisticsSection,
    pub workload: WorkloadSection,
    pub plan: PlanSection,
    pub shadow: ShadowSection,
    /// The file that this was read from, for messages that point into it.
    #[serde(skip)]
    pub origin: Option<Origin>,
}

/// Where a configuration comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    pub path: PathBuf,
    pub text: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Override {
    /// Globs from the folder of `airlock.toml`; a folder stands for everything below it. Empty: every file.
    pub paths: Vec<String>,
    /// Globs over `schema.table` or `table`. Empty: every table.
    pub tables: Vec<String>,
    /// Turned on there, in addition.
    pub select: Vec<String>,
    /// Turned off there.
    pub ignore: Vec<String>,
    pub severity: BTreeMap<String, Severity>,
    /// By rule: values for what its file lists under `[options]`; those of `[rules.options]` hold for what is not named.
    pub options: BTreeMap<String, toml::Table>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Suppressions {
    /// A comment that allows a finding must say why.
    pub require_reason: bool,
    /// Comments of other linters that count as well.
    pub compat: Vec<Dialect>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct StatisticsSection {
    /// The file that `airlock stats` writes.
    pub path: Option<PathBuf>,
    /// A table with fewer rows than this, and fewer bytes than `small-bytes`, is small.
    pub small_rows: u64,
    pub small_bytes: u64,
}

impl Default for StatisticsSection {
    fn default() -> Self {
        let Small { rows, bytes } = Small::default();
        StatisticsSection { path: None, small_rows: rows, small_bytes: bytes }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct WorkloadSection {
    /// Files and folders with the queries of release N-1.
    pub paths: Vec<PathBuf>,
    /// These are all of its queries: what none of them uses is not used.
    pub complete: bool,
    /// Role that runs them; the owner of the tables unless given.
    pub role: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Rules {
    /// Rules, groups or tags; empty: the default ones.
    pub select: Vec<String>,
    pub ignore: Vec<String>,
    /// Folders or files of rules in the format of the built-in ones.
    pub paths: Vec<PathBuf>,
    pub severity: BTreeMap<String, Severity>,
    /// By rule: values for what its file lists under `[options]`.
    pub options: BTreeMap<String, toml::Table>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PlanSection {
    pub batch_size: Option<u32>,
    pub pause_ms: Option<u32>,
    pub lock_timeout_ms: Option<u32>,
    pub lock_retries: Option<u32>,
    /// Where `airlock status` looks for plans; `airlock/plans` unless given.
    pub folder: Option<PathBuf>,
    /// Days after which an expanded schema that is not contracted is overdue.
    pub overdue_days: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ShadowSection {
    /// A server on which Airlock may make and drop databases named `airlock_shadow_…`.
    pub url: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: cannot be read: {error}", path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("{}{}: {message}", path.display(), line.map(|l| format!(":{l}")).unwrap_or_default())]
    Invalid { path: PathBuf, line: Option<usize>, message: String },
}

fn framework<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Framework>, D::Error> {
    let name = String::deserialize(d)?;
    Framework::named(&name).map(Some).map_err(serde::de::Error::custom)
}

impl Config {
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable { path: path.to_path_buf(), error })?;
        let mut config: Config = toml::from_str(&text).map_err(|e| {
            let line = e.span().map(|s| line_of(&text, s.start));
            ConfigError::Invalid { path: path.to_path_buf(), line, message: with_suggestion(e.message()) }
        })?;
        if config.pg_version.is_some_and(|v| !crate::op::PgVersion::SUPPORTED.contains(&v)) {
            let message = "pg-version: expected 14, 15, 16, 17 or 18".to_string();
            return Err(ConfigError::Invalid { path: path.to_path_buf(), line: line_with(&text, "pg-version"), message });
        }
        // Paths are meant from the file's own folder.
        let folder = path.parent().unwrap_or(Path::new(""));
        let single = [&mut config.schema, &mut config.baseline, &mut config.statistics.path, &mut config.plan.folder];
        let lists = config.rules.paths.iter_mut().chain(&mut config.workload.paths);
        for p in single.into_iter().flatten().chain(lists) {
            *p = folder.join(&*p);
        }
        config.origin = Some(Origin { path: path.to_path_buf(), text });
        Ok(config)
    }

    /// An error about a name in the file, with the line on which it stands.
    pub fn invalid(&self, name: &str, message: String) -> ConfigError {
        match &self.origin {
            Some(o) => ConfigError::Invalid { path: o.path.clone(), line: line_with(&o.text, name), message },
            None => ConfigError::Invalid { path: FILE_NAME.into(), line: None, message },
        }
    }

    /// The nearest `airlock.toml` in the folder or above it.
    pub fn find(start: &Path) -> Option<PathBuf> {
        let start = std::fs::canonicalize(start).ok()?;
        start.ancestors().map(|a| a.join(FILE_NAME)).find(|p| p.is_file())
    }
}

/// ``unknown field `x`, expected one of `a`, `b` `` of serde, as a question.
fn with_suggestion(message: &str) -> String {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match (message.starts_with("unknown field"), names.split_first()) {
        (true, Some((unknown, known))) => match nearest(unknown, known) {
            Some(near) => format!("unknown key `{unknown}`; did you mean `{near}`?"),
            None => format!("unknown key `{unknown}`; known here: {}", known.join(", ")),
        },
        _ => message.trim_end().to_string(),
    }
}

/// The rule files that `[rules] paths` names: path and text; the rule is called as its file is.
pub fn rule_files(paths: &[PathBuf]) -> Result<Vec<(PathBuf, String)>, ConfigError> {
    let mut out = Vec::new();
    for path in paths {
        let files: Vec<PathBuf> = if path.is_dir() {
            walkdir::WalkDir::new(path)
                .sort_by_file_name()
                .into_iter()
                .flatten()
                .map(walkdir::DirEntry::into_path)
                .filter(|p| p.extension().is_some_and(|e| e == "toml"))
                .collect()
        } else {
            vec![path.clone()]
        };
        for f in files {
            let text = std::fs::read_to_string(&f).map_err(|error| ConfigError::Unreadable { path: f.clone(), error })?;
            out.push((f, text));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_named_with_their_line() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(FILE_NAME);
        std::fs::write(&path, "framework = 'goose'\npg-versoin = 16\n").expect("a file");
        let error = Config::read(&path).expect_err("an unknown key").to_string();
        assert!(error.ends_with("airlock.toml:2: unknown key `pg-versoin`; did you mean `pg-version`?"), "{error}");
        std::fs::write(&path, "[rules]\nignore = []\n[suppressions]\nrequire-reasons = true\n").expect("a file");
        let error = Config::read(&path).expect_err("an unknown key").to_string();
        assert!(error.ends_with(":4: unknown key `require-reasons`; did you mean `require-reason`?"), "{error}");
        std::fs::write(&path, "framework = 'goose'\npg-version = 16\n[rules]\nignore = ['truncate']\n").expect("a file");
        let config = Config::read(&path).expect("reads");
        assert_eq!((config.framework, config.pg_version), (Some(Framework::Goose), Some(16)));
    }
}
