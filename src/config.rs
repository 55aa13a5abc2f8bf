//! `airlock.toml` → typed settings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::diagnostic::Severity;
use crate::history::Framework;

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
    pub plan: PlanSection,
    pub shadow: ShadowSection,
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
    #[error("{}: {message}", path.display())]
    Invalid { path: PathBuf, message: String },
}

fn framework<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Framework>, D::Error> {
    let name = String::deserialize(d)?;
    Framework::named(&name).map(Some).map_err(serde::de::Error::custom)
}

impl Config {
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable { path: path.to_path_buf(), error })?;
        let mut config: Config = toml::from_str(&text)
            .map_err(|e| ConfigError::Invalid { path: path.to_path_buf(), message: e.to_string().trim_end().to_string() })?;
        if config.pg_version.is_some_and(|v| !crate::op::PgVersion::SUPPORTED.contains(&v)) {
            let message = "pg-version: expected 14, 15, 16, 17 or 18".to_string();
            return Err(ConfigError::Invalid { path: path.to_path_buf(), message });
        }
        // Paths are meant from the file's own folder.
        let folder = path.parent().unwrap_or(Path::new(""));
        config.schema = config.schema.map(|s| folder.join(s));
        for p in &mut config.rules.paths {
            *p = folder.join(&*p);
        }
        Ok(config)
    }

    /// The nearest `airlock.toml` in the folder or above it.
    pub fn find(start: &Path) -> Option<PathBuf> {
        let start = std::fs::canonicalize(start).ok()?;
        start.ancestors().map(|a| a.join(FILE_NAME)).find(|p| p.is_file())
    }
}

/// The rule files that `[rules] paths` names: group, name and text.
pub fn rule_files(paths: &[PathBuf]) -> Result<Vec<(String, String)>, ConfigError> {
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
            out.push((f.file_stem().unwrap_or_default().to_string_lossy().into_owned(), text));
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
        assert!(error.contains("line 2") && error.contains("pg-versoin") && error.contains("pg-version"), "{error}");
        std::fs::write(&path, "framework = 'goose'\npg-version = 16\n[rules]\nignore = ['truncate']\n").expect("a file");
        let config = Config::read(&path).expect("reads");
        assert_eq!((config.framework, config.pg_version), (Some(Framework::Goose), Some(16)));
    }
}
