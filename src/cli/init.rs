//! `airlock init`: a configuration that says what was recognised, and if asked the hook and the workflow. Nothing is overwritten unasked.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::config::{Config, FILE_NAME};
use crate::history::{self, Framework, write_atomically};
use crate::op::PgVersion;
use crate::report::plural;
use crate::rules::counterparts;
use crate::source::Dialect;

use super::CliError;
use super::settings::read;

const HOOK_FILE: &str = ".pre-commit-config.yaml";
const WORKFLOW_FILE: &str = ".github/workflows/airlock.yml";
const SQUAWK_FILE: &str = ".squawk.toml";
const REVISION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

#[derive(Debug, Args)]
pub struct InitArgs {
    /// The folder of the project.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Migration runner, instead of recognising it.
    #[arg(long, value_name = "NAME")]
    framework: Option<String>,
    /// Write the pre-commit hook too.
    #[arg(long)]
    hook: bool,
    /// Write a workflow for GitHub Actions too.
    #[arg(long)]
    workflow: bool,
    /// Overwrite files that are there.
    #[arg(long)]
    force: bool,
}

pub fn run(args: &InitArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let folder = args.folder.as_path();
    if !folder.is_dir() {
        return Err(CliError::Usage(format!("{}: no such folder", folder.display())));
    }
    let found = recognise(args)?;
    let squawk = match folder.join(SQUAWK_FILE) {
        file if file.is_file() => Some(squawk(&file)?),
        _ => None,
    };
    let mut files = vec![(folder.join(FILE_NAME), configuration(&found, squawk.as_ref()))];
    let migrations = found.root.as_deref().unwrap_or("migrations");
    if args.hook {
        files.push((folder.join(HOOK_FILE), format!("repos:\n{}", hook(migrations))));
    }
    if args.workflow {
        files.push((folder.join(WORKFLOW_FILE), workflow(migrations)));
    }
    // Either all of it or nothing.
    for (path, _) in &files {
        if path.exists() && !args.force {
            let hint = if path.ends_with(HOOK_FILE) { format!("; add this to it:\n{}", hook(migrations)) } else { String::new() };
            return Err(CliError::Usage(format!("{}: is there already, nothing was written; --force overwrites it{hint}", path.display())));
        }
    }
    writeln!(out, "{}", found.words)?;
    for (path, text) in &files {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|e| CliError::Usage(format!("{}: cannot be made: {e}", parent.display())))?;
        }
        write_atomically(path, text.as_bytes())?;
        writeln!(out, "wrote {}", path.display())?;
    }
    for note in squawk.iter().flat_map(|s| &s.notes) {
        writeln!(out, "note: {SQUAWK_FILE}: {note}")?;
    }
    // What was written is read at once, so that a mistake in it shows here.
    Config::read(&folder.join(FILE_NAME))?;
    writeln!(out, "\nNext: airlock check {migrations}")?;
    writeln!(out, "      airlock baseline {migrations}    (old migrations have findings that nobody will mend)")?;
    for (said, option, what) in [(args.hook, "--hook", "a pre-commit hook"), (args.workflow, "--workflow", "a workflow for GitHub Actions")]
    {
        if !said {
            writeln!(out, "      airlock init {option} --force    ({what})")?;
        }
    }
    Ok(0)
}

struct Found {
    framework: Option<Framework>,
    /// The folder of the migrations, from the folder of the project.
    root: Option<String>,
    words: String,
}

fn recognise(args: &InitArgs) -> Result<Found, CliError> {
    let named = args.framework.as_deref().map(Framework::named).transpose().map_err(CliError::Usage)?;
    let options = history::Options { framework: named.map(|f| (f, "--framework".to_string())), ..history::Options::default() };
    let histories = match history::discover(std::slice::from_ref(&args.folder), &options) {
        Ok(h) => h,
        Err(e) => return Ok(Found { framework: named, root: None, words: format!("No migration was found yet ({e}).") }),
    };
    let words: Vec<String> = histories
        .iter()
        .map(|h| format!("{}: {} (by {}), {}", h.root.display(), h.framework, h.evidence, plural(h.migrations.len(), "migration")))
        .collect();
    // Several histories may have several runners: none is written down, each is recognised.
    let (framework, root) = match histories.as_slice() {
        [one] => (named.or((one.framework != Framework::Plain).then_some(one.framework)), Some(&one.root)),
        _ => (named, None),
    };
    let root = root.map(|r| r.strip_prefix(&args.folder).unwrap_or(r).to_string_lossy().replace('\\', "/"));
    Ok(Found { framework, root: root.map(|r| if r.is_empty() { ".".to_string() } else { r }), words: words.join("\n") })
}

/// What `.squawk.toml` says, in our words.
#[derive(Default)]
struct Squawk {
    pg_version: Option<u8>,
    /// Rules here, each with squawk's name for it.
    ignore: Vec<(String, Vec<String>)>,
    paths: Vec<String>,
    notes: Vec<String>,
}

fn squawk(file: &Path) -> Result<Squawk, CliError> {
    let text = read(file)?;
    let table: toml::Table = toml::from_str(&text).map_err(|e| CliError::Usage(format!("{}: {}", file.display(), e.message())))?;
    let mut s = Squawk::default();
    let words =
        |v: &toml::Value| -> Vec<String> { v.as_array().into_iter().flatten().filter_map(|w| w.as_str().map(str::to_string)).collect() };
    for (key, value) in &table {
        match key.as_str() {
            "excluded_rules" => {
                for name in words(value) {
                    match counterparts(Dialect::Squawk, &name) {
                        Some(rules) if !rules.is_empty() => s.ignore.push((name, rules.clone())),
                        Some(_) => s.notes.push(format!("`{name}` has no counterpart here, so there is nothing to leave out")),
                        None => s.notes.push(format!("no rule of squawk is called `{name}`")),
                    }
                }
            }
            "excluded_paths" => s.paths = words(value),
            "pg_version" => {
                let said = value.as_str().map_or_else(|| value.to_string(), str::to_string);
                let major = said.split('.').next().and_then(|m| m.parse::<u8>().ok());
                s.pg_version = major.filter(|m| PgVersion::SUPPORTED.contains(m));
                if s.pg_version.is_none() {
                    s.notes.push(format!("pg_version {said}: Airlock knows 14 to 18"));
                }
            }
            "assume_in_transaction" => {
                s.notes.push("assume_in_transaction: the migration runner says it (`airlock history` shows how)".into())
            }
            other => s.notes.push(format!("`{other}` is not carried over")),
        }
    }
    Ok(s)
}

fn configuration(found: &Found, squawk: Option<&Squawk>) -> String {
    let text = |s: &str| toml::Value::String(s.to_string()).to_string();
    let list = |l: &[String]| format!("[{}]", l.iter().map(|s| text(s)).collect::<Vec<_>>().join(", "));
    let mut out = String::from("# Airlock: https://github.com/airlock-pg/airlock/blob/main/docs/configuration.md\n\n");
    out.push_str("# The migration runner, where recognising it is not enough.\n");
    out.push_str(&match found.framework {
        Some(f) => format!("framework = {}\n", text(&f.to_string())),
        None => "# framework = \"goose\"\n".to_string(),
    });
    out.push_str("# Major version of Postgres.\n");
    out.push_str(&match squawk.and_then(|s| s.pg_version) {
        Some(v) => format!("pg-version = {v}\n"),
        None => "# pg-version = 16\n".to_string(),
    });
    out.push_str("# Findings that are known: `airlock baseline` writes them down, and `check` reports new ones only.\n# baseline = \"airlock-baseline.json\"\n");
    out.push_str("\n# Settings that the runner makes before each migration.\n# [settings]\n# lock_timeout = \"2s\"\n");
    out.push_str("\n[rules]\n# Rules, groups or tags (`airlock rules` lists them).\n");
    match squawk.filter(|s| !s.ignore.is_empty()) {
        Some(s) => {
            out.push_str("ignore = [\n");
            let mut named = std::collections::BTreeSet::new();
            for (theirs, ours) in &s.ignore {
                let new: Vec<String> = ours.iter().filter(|r| named.insert(r.as_str())).map(|r| text(r)).collect();
                if !new.is_empty() {
                    out.push_str(&format!("    {}, # squawk: {theirs}\n", new.join(", ")));
                }
            }
            out.push_str("]\n");
        }
        None => out.push_str("# ignore = [\"truncate\"]\n"),
    }
    out.push_str("# [rules.severity]\n# drop-column = \"warning\"\n");
    match squawk.filter(|s| !s.paths.is_empty()) {
        Some(s) => out.push_str(&format!("\n[[overrides]]\npaths = {} # squawk: excluded_paths\nignore = [\"all\"]\n", list(&s.paths))),
        None => out.push_str(
            "\n# Other settings for some files or tables.\n# [[overrides]]\n# paths = [\"legacy/**\"]\n# ignore = [\"rollback\"]\n",
        ),
    }
    out.push_str("\n[suppressions]\n# A comment that allows a finding must say why.\n# require-reason = true\n");
    match squawk {
        Some(_) => out.push_str("# `-- squawk-ignore …` counts too.\ncompat = [\"squawk\"]\n"),
        None => out.push_str("# Comments of other linters that count too.\n# compat = [\"squawk\", \"atlas\"]\n"),
    }
    out.push_str("\n# Sizes of tables, from `airlock stats`: what hurts on a large one is advice on a small one.\n# [statistics]\n# path = \"airlock-stats.json\"\n");
    out.push_str("\n# The queries of release N-1.\n# [workload]\n# paths = [\".sqlx\", \"queries\"]\n");
    out
}

/// A string of YAML: its double quotes are those of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn hook(migrations: &str) -> String {
    let files =
        if migrations == "." { String::new() } else { format!("        files: {}\n", quoted(&format!("^{}/", regex::escape(migrations)))) };
    format!("  - repo: https://github.com/airlock-pg/airlock\n    rev: {REVISION}\n    hooks:\n      - id: airlock\n{files}")
}

fn workflow(migrations: &str) -> String {
    format!(
        "name: Migrations\non: pull_request\npermissions: {{}}\njobs:\n  migrations:\n    runs-on: ubuntu-latest\n    permissions:\n      contents: read\n    \
         outputs:\n      rollback-safe: ${{{{ steps.airlock.outputs.rollback-safe }}}}\n    steps:\n      - uses: actions/checkout@v4\n        with:\n          \
         fetch-depth: 0 # the base of the pull request must be there\n          persist-credentials: false\n      - id: airlock\n        \
         uses: airlock-pg/airlock@{REVISION}\n        with:\n          paths: {}\n",
        quoted(migrations)
    )
}
