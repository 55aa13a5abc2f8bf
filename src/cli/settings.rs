//! From `airlock.toml` and options to which rules speak where, and what is known beside the SQL.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use crate::config::ConfigError;
use crate::facts::Knowledge;
use crate::replay::ReplayedScript;
use crate::rules::{Checked, Checker, Fixes, Override, RuleSet, Selection, SuppressionPolicy, path_globs, table_globs};
use crate::stats::{Small, Stats};
use crate::workload::{self, Workload};

use super::CliError;
use super::project::{Pending, Project, with_options};

/// Which rules speak, and what they know beside the SQL.
#[derive(Debug, Clone, Default, Args)]
pub struct RuleArgs {
    /// Rules, groups or tags to check, instead of the default ones; `all` is every rule.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', env = "AIRLOCK_SELECT")]
    select: Vec<String>,
    /// Rules, groups or tags to leave out.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', env = "AIRLOCK_IGNORE")]
    ignore: Vec<String>,
    /// Sizes of tables, as `airlock stats` writes them: what hurts on a large table is advice on a small one.
    #[arg(long, value_name = "FILE", env = "AIRLOCK_STATISTICS_FILE")]
    statistics_file: Option<PathBuf>,
    /// Queries of release N-1: SQL files, sqlx's `.sqlx`, an export of pg_stat_statements (CSV or JSON), or folders of these.
    #[arg(long, value_name = "PATH")]
    workload: Vec<PathBuf>,
}

/// The rules with the settings for them, and what there is to say about what was read.
pub struct Settings {
    pub rules: RuleSet,
    pub selection: Selection,
    pub notes: Vec<String>,
    folder: PathBuf,
}

impl Settings {
    pub fn new(project: &Project, args: &RuleArgs) -> Result<Settings, CliError> {
        let config = &project.config;
        let rules = project.rules()?;
        names_are_known(project, &rules, args)?;
        let mut overrides = Vec::new();
        for o in &config.overrides {
            let bad = |e: globset::Error| {
                let pattern = e.glob().unwrap_or_default().to_string();
                // In quotes of either kind, because a bare `[` stands on many a line.
                let pattern = pattern.trim_end_matches("/**");
                let quoted = [format!("\"{pattern}\""), format!("'{pattern}'")];
                let written = quoted.iter().find(|q| config.origin.as_ref().is_some_and(|o| o.text.contains(q.as_str())));
                let name = written.map_or(pattern, String::as_str);
                CliError::Config(project.config.invalid(name, format!("`{pattern}` is no glob: {}", e.kind())))
            };
            let mut variants = std::collections::BTreeMap::new();
            for (name, values) in &o.options {
                let mut all = config.rules.options.get(name).cloned().unwrap_or_default();
                all.extend(values.clone());
                variants.insert(name.clone(), with_options(&rules, name, &all).map_err(|m| project.config.invalid(name, m))?);
            }
            overrides.push(Override {
                rules: variants,
                paths: path_globs(&o.paths).map_err(bad)?,
                tables: table_globs(&o.tables).map_err(bad)?,
                // What the command line asks for stands instead of what is asked for elsewhere.
                select: if args.select.is_empty() { o.select.clone() } else { Vec::new() },
                ignore: o.ignore.clone(),
                severity: o.severity.clone(),
            });
        }
        let mut notes = Vec::new();
        let knowledge = Knowledge {
            stats: statistics(project, args.statistics_file.as_ref())?.map(Arc::new),
            small: Small { rows: config.statistics.small_rows, bytes: config.statistics.small_bytes },
            workload: queries(project, args, &mut notes)?.map(Arc::new),
        };
        let selection = Selection {
            select: if args.select.is_empty() { config.rules.select.clone() } else { args.select.clone() },
            ignore: config.rules.ignore.clone(),
            never: args.ignore.clone(),
            severity: config.rules.severity.clone(),
            overrides,
            suppressions: SuppressionPolicy {
                require_reason: config.suppressions.require_reason,
                compat: config.suppressions.compat.clone(),
            },
            knowledge,
        };
        let folder = config.origin.as_ref().and_then(|o| o.path.parent()).unwrap_or(Path::new("")).to_path_buf();
        Ok(Settings { rules, selection, notes, folder })
    }

    /// Judges and checks each, in order. A script is let go as soon as it is checked: a history may have tens of thousands.
    pub fn check<R: std::marker::Send>(
        &self,
        project: &Project,
        fixes: Fixes,
        keep: impl Fn(&ReplayedScript, Checked) -> R + Sync,
    ) -> Vec<R> {
        let shared = self.selection.overrides.is_empty().then(|| Checker::new(&self.rules, &self.selection).with_fixes(fixes));
        let one = |p: Pending<'_>| {
            let script = p.judge();
            let checked = match &shared {
                Some(checker) => checker.check(&script),
                None => Checker::new(&self.rules, &self.at(script.source.path())).with_fixes(fixes).check(&script),
            };
            keep(&script, checked)
        };
        project.each(one)
    }

    /// What holds for one file.
    pub fn at(&self, path: &Path) -> Selection {
        self.selection.at(&self.relative(path))
    }

    /// The path as globs of the configuration see it.
    fn relative(&self, path: &Path) -> String {
        let folder = if self.folder.as_os_str().is_empty() { Path::new(".") } else { &self.folder };
        let inside = match (std::fs::canonicalize(path), std::fs::canonicalize(folder)) {
            (Ok(p), Ok(f)) => p.strip_prefix(&f).map(Path::to_path_buf).unwrap_or(p),
            _ => path.to_path_buf(),
        };
        inside.to_string_lossy().replace('\\', "/")
    }
}

/// Every name of a rule, group or tag exists, wherever it is written.
fn names_are_known(project: &Project, rules: &RuleSet, args: &RuleArgs) -> Result<(), CliError> {
    let lists = |name: &str| name == "all" || rules.iter().any(|r| r.group == name || r.tags.iter().any(|t| t == name));
    let unknown = |name: &str, what: &str| {
        let near = rules.suggest(name).map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
        format!("no {what} is called `{name}`{near}")
    };
    for name in args.select.iter().chain(&args.ignore) {
        if !rules.knows(name) && !lists(name) {
            return Err(CliError::Usage(unknown(name, "rule, group or tag")));
        }
    }
    let c = &project.config;
    let many = c.rules.select.iter().chain(&c.rules.ignore).chain(c.overrides.iter().flat_map(|o| o.select.iter().chain(&o.ignore)));
    for name in many {
        if !rules.knows(name) && !lists(name) {
            return Err(project.config.invalid(name, unknown(name, "rule, group or tag")).into());
        }
    }
    for name in c.rules.severity.keys().chain(c.overrides.iter().flat_map(|o| o.severity.keys())) {
        if !rules.knows(name) {
            return Err(project.config.invalid(name, unknown(name, "rule")).into());
        }
    }
    Ok(())
}

pub fn read(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable { path: path.to_path_buf(), error }.into())
}

/// From the file that was named, else from that of the configuration.
pub fn statistics(project: &Project, named: Option<&PathBuf>) -> Result<Option<Stats>, CliError> {
    let Some(path) = named.or(project.config.statistics.path.as_ref()) else { return Ok(None) };
    let stats = Stats::read(&read(path)?).map_err(|e| CliError::Usage(format!("{}:{e}", path.display())))?;
    Ok(Some(stats))
}

fn queries(project: &Project, args: &RuleArgs, notes: &mut Vec<String>) -> Result<Option<Workload>, CliError> {
    let config = &project.config.workload;
    let paths = if args.workload.is_empty() { &config.paths } else { &args.workload };
    if paths.is_empty() {
        return Ok(None);
    }
    let mut w = Workload { complete: config.complete, role: config.role.clone(), queries: known_queries(paths)? };
    // The schemas on which the queries must resolve.
    let schemas = project.each(|p| p.before);
    let unresolved = w.unresolved(&schemas.iter().collect::<Vec<_>>(), project.pg);
    if !unresolved.is_empty() {
        let mut words: Vec<String> = unresolved.iter().take(5).map(|u| format!("{} ({})", u.name, u.reason)).collect();
        if unresolved.len() > 5 {
            words.push(format!("and {} more", unresolved.len() - 5));
        }
        notes.push(format!(
            "workload: nothing is concluded from {} of {}: {}",
            unresolved.len(),
            if w.queries.len() == 1 { "1 query".to_string() } else { format!("{} queries", w.queries.len()) },
            words.join("; ")
        ));
        if w.complete {
            notes.push("workload: it does not count as complete until every query resolves".to_string());
        }
        w.complete = false;
    }
    Ok(Some(w))
}

/// As people would write it here: the configuration's paths are absolute.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().and_then(std::fs::canonicalize).unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

/// The queries of files and folders.
pub fn known_queries(paths: &[PathBuf]) -> Result<Vec<crate::compat::KnownQuery>, CliError> {
    let mut out = Vec::new();
    for file in workload_files(paths)? {
        let name = shown(&file);
        out.extend(workload::read(&name, &read(&file)?).map_err(|e| CliError::Usage(format!("{name}:{e}")))?);
    }
    Ok(out)
}

/// The files themselves, and in folders what looks like a workload, in order of their names.
fn workload_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let mut out = BTreeSet::new();
    for path in paths {
        if !path.is_dir() {
            out.insert(path.clone());
            continue;
        }
        let files = walkdir::WalkDir::new(path).sort_by_file_name().into_iter().flatten().map(walkdir::DirEntry::into_path);
        let before = out.len();
        out.extend(files.filter(|p| {
            p.is_file() && p.extension().is_some_and(|e| ["sql", "json", "csv", "tsv"].iter().any(|x| e.eq_ignore_ascii_case(x)))
        }));
        if out.len() == before {
            return Err(CliError::Usage(format!("{}: no workload here; expected .sql, .json or .csv files", path.display())));
        }
    }
    Ok(out.into_iter().collect())
}
