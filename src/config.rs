//! `airlock.toml` → typed settings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::diagnostic::Severity;
use crate::history::Framework;
use crate::rules::nearest;
use crate::source::{Dialect, line_of, line_with};
use crate::stats::Small;

pub const FILE_NAME: &str = "airlock.toml";

/// Everything that `airlock.toml` may say. Unknown keys are errors.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// The migration runner, where recognising it is not enough.
    #[serde(deserialize_with = "framework")]
    #[schemars(schema_with = "framework_names")]
    pub framework: Option<Framework>,
    /// Major version of Postgres, 14 to 18.
    #[schemars(range(min = 14, max = 18))]
    pub pg_version: Option<u8>,
    /// A dump to start from instead of the migrations.
    pub schema: Option<PathBuf>,
    /// Settings that the runner makes before each migration (`lock_timeout = "2s"`).
    pub settings: BTreeMap<String, String>,
    /// Which rules speak, and how loudly.
    pub rules: Rules,
    /// Other settings for some files or tables; a later one wins over an earlier one.
    pub overrides: Vec<Override>,
    /// Comments that allow a finding.
    pub suppressions: Suppressions,
    /// Findings that are known and not reported: the file that `airlock baseline` writes.
    pub baseline: Option<PathBuf>,
    /// Sizes of tables: what hurts on a large one is advice on a small one.
    pub statistics: StatisticsSection,
    /// The queries of release N-1.
    pub workload: WorkloadSection,
    /// How plans work.
    pub plan: PlanSection,
    /// The server for proofs.
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

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
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
    /// By rule: `error`, `warning` or `advice`.
    pub severity: BTreeMap<String, Severity>,
    /// By rule: values for what its file lists under `[options]`; those of `[rules.options]` hold for what is not named.
    #[schemars(with = "BTreeMap<String, BTreeMap<String, serde_json::Value>>")]
    pub options: BTreeMap<String, toml::Table>,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Suppressions {
    /// A comment that allows a finding must say why.
    pub require_reason: bool,
    /// Comments of other linters that count as well.
    pub compat: Vec<Dialect>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct StatisticsSection {
    /// The file that `airlock stats` writes.
    pub path: Option<PathBuf>,
    /// A table with fewer rows than this, and fewer bytes than `small-bytes`, is small.
    pub small_rows: u64,
    /// See `small-rows`.
    pub small_bytes: u64,
}

impl Default for StatisticsSection {
    fn default() -> Self {
        let Small { rows, bytes } = Small::default();
        StatisticsSection { path: None, small_rows: rows, small_bytes: bytes }
    }
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct WorkloadSection {
    /// Files and folders with the queries of release N-1.
    pub paths: Vec<PathBuf>,
    /// These are all of its queries: what none of them uses is not used.
    pub complete: bool,
    /// Role that runs them; the owner of the tables unless given.
    pub role: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Rules {
    /// Rules, groups or tags; empty: the default ones.
    pub select: Vec<String>,
    /// Rules, groups or tags to leave out.
    pub ignore: Vec<String>,
    /// Folders or files of rules in the format of the built-in ones.
    pub paths: Vec<PathBuf>,
    /// By rule: `error`, `warning` or `advice`.
    pub severity: BTreeMap<String, Severity>,
    /// By rule: values for what its file lists under `[options]`.
    #[schemars(with = "BTreeMap<String, BTreeMap<String, serde_json::Value>>")]
    pub options: BTreeMap<String, toml::Table>,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PlanSection {
    /// Rows that a batch of a backfill writes.
    pub batch_size: Option<u32>,
    /// Milliseconds between two batches.
    pub pause_ms: Option<u32>,
    /// Milliseconds that a step waits for its lock.
    pub lock_timeout_ms: Option<u32>,
    /// How often a step tries again to get its lock, inside of its SQL.
    pub lock_retries: Option<u32>,
    /// Where `airlock status` looks for plans; `airlock/plans` unless given.
    pub folder: Option<PathBuf>,
    /// Days after which an expanded schema that is not contracted is overdue.
    pub overdue_days: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
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

fn framework_names(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    use strum::VariantNames;
    schemars::json_schema!({ "enum": Framework::VARIANTS, "description": "The migration runner, where recognising it is not enough." })
}

impl Config {
    /// The JSON schema of `airlock.toml`, made from these types, so that the two cannot differ.
    pub fn json_schema() -> serde_json::Value {
        let mut schema = schemars::schema_for!(Config);
        schema.insert("title".into(), FILE_NAME.into());
        schema.to_value()
    }

    /// The text of a configuration; paths in it stay as they are written.
    fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
        let config: Config = toml::from_str(text).map_err(|e| {
            let line = e.span().map(|s| line_of(text, s.start));
            ConfigError::Invalid { path: path.to_path_buf(), line, message: with_suggestion(e.message()) }
        })?;
        if config.pg_version.is_some_and(|v| !crate::op::PgVersion::SUPPORTED.contains(&v)) {
            let message = "pg-version: expected 14, 15, 16, 17 or 18".to_string();
            return Err(ConfigError::Invalid { path: path.to_path_buf(), line: line_with(text, "pg-version"), message });
        }
        Ok(config)
    }

    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable { path: path.to_path_buf(), error })?;
        let mut config = Config::parse(path, &text)?;
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

/// ``unknown field `x`, expected one of `a`, `b` `` of serde, as a question; the same for a word that is no value.
fn with_suggestion(message: &str) -> String {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let what = [("unknown field", "unknown key"), ("unknown variant", "unknown value")];
    match (what.iter().find(|(serde, _)| message.starts_with(serde)), names.split_first()) {
        (Some((_, what)), Some((unknown, known))) => match nearest(unknown, known) {
            Some(near) => format!("{what} `{unknown}`; did you mean `{near}`?"),
            None => format!("{what} `{unknown}`; known here: {}", known.join(", ")),
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
        std::fs::write(&path, "[rules.severity]\ndrop-column = 'warnin'\n").expect("a file");
        let error = Config::read(&path).expect_err("an unknown value").to_string();
        assert!(error.ends_with(":2: unknown value `warnin`; did you mean `warning`?"), "{error}");
    }
}
