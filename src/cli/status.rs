//! `airlock status`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::config::{Config, FILE_NAME};
use crate::history;
use crate::plan::{self, PhaseKind, Plan};
use crate::report::plural;

use super::advance::{next_phase, now};
use super::{CliError, ListFormat};

/// An expanded schema that is not contracted for so long is debt.
const OVERDUE_DAYS: u64 = 30;

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Folders of plans; `[plan] folder` of airlock.toml, else `airlock/plans`, unless given.
    paths: Vec<PathBuf>,
    /// Days after which a contract is overdue; `[plan] overdue-days` of airlock.toml, else 30, unless given.
    #[arg(long, value_name = "DAYS")]
    overdue_days: Option<u64>,
    /// Exit with 1 if a contract is overdue.
    #[arg(long, value_name = "WHAT")]
    fail_on: Option<FailOn>,
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output_format: ListFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Overdue,
}

#[derive(Debug, Serialize)]
struct Line {
    plan: String,
    migration: String,
    /// `planned`, the last phase that is in, `done` or `abandoned`.
    state: String,
    /// Since when it is there, and how many days that are.
    since: Option<String>,
    days: Option<u64>,
    waits_for: String,
    overdue: bool,
}

pub fn run(args: &StatusArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let config = match Config::find(Path::new(".")) {
        Some(path) => Config::read(&path)?,
        None => Config::default(),
    };
    let folders = match (args.paths.is_empty(), config.plan.folder) {
        (false, _) => args.paths.clone(),
        (true, Some(f)) => vec![f],
        (true, None) => vec![PathBuf::from("airlock/plans")],
    };
    let limit = args.overdue_days.or(config.plan.overdue_days).unwrap_or(OVERDUE_DAYS);
    let today = history::date(now());
    let mut lines = Vec::new();
    for folder in &folders {
        if !folder.exists() {
            // No plan was ever made: nothing to say. A folder that was named must be there.
            if args.paths.is_empty() {
                continue;
            }
            return Err(CliError::Usage(format!("{}: no such folder", folder.display())));
        }
        let mut files: Vec<PathBuf> = walkdir::WalkDir::new(folder)
            .max_depth(3)
            .into_iter()
            .flatten()
            .map(walkdir::DirEntry::into_path)
            .filter(|p| p.file_name().is_some_and(|n| n == "plan.toml"))
            .collect();
        files.sort();
        for file in files {
            let text = std::fs::read_to_string(&file).map_err(|e| CliError::Usage(format!("{}: {e}", file.display())))?;
            let plan = plan::read(&text).map_err(|e| CliError::Usage(format!("{}: {e}", file.display())))?;
            lines.push(line(file.parent().unwrap_or(Path::new("")), &plan, &today, limit));
        }
    }
    let overdue = lines.iter().filter(|l| l.overdue).count();
    if args.output_format == ListFormat::Json {
        let all = serde_json::json!({ "schema_version": 1, "overdue_days": limit, "plans": lines });
        serde_json::to_writer_pretty(&mut *out, &all).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else if lines.is_empty() {
        writeln!(out, "No plan is here ({}).", folders.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", "))?;
    } else {
        for l in &lines {
            let age = match (&l.since, l.days) {
                (Some(s), Some(d)) => format!(" since {s} ({})", plural(d as usize, "day")),
                _ => String::new(),
            };
            writeln!(out, "{}: {}{age}", l.plan, l.state)?;
            if !l.waits_for.is_empty() {
                writeln!(out, "  waits for {}", l.waits_for)?;
            }
            if l.overdue {
                writeln!(out, "  overdue: the schema holds both forms for more than {limit} days, and every write keeps them in step")?;
            }
        }
        if overdue > 0 {
            writeln!(out, "{} overdue; `[plan] overdue-days` in {FILE_NAME} sets the limit.", plural(overdue, "contract"))?;
        }
    }
    Ok(u8::from(args.fail_on == Some(FailOn::Overdue) && overdue > 0))
}

fn line(folder: &Path, plan: &Plan, today: &str, limit: u64) -> Line {
    let shown = folder.display();
    let empty = plan::Progress::default();
    let p = plan.progress.as_ref().unwrap_or(&empty);
    let next = next_phase(plan);
    let word = |k: PhaseKind| k.to_string().trim_start_matches(|c: char| c.is_ascii_digit() || c == '-').to_string();
    let last = p.steps.iter().rfind(|c| !c.undo);
    let state = match (&p.abandoned, last, next) {
        (Some(_), ..) => "abandoned".to_string(),
        (None, _, None) => "done".into(),
        (None, None, Some(_)) => "planned".into(),
        (None, Some(c), Some(n)) if n == c.phase => format!("{} in part", word(c.phase)),
        (None, Some(c), Some(_)) => word(c.phase),
    };
    let since = p.abandoned.clone().or_else(|| last.map(|c| c.on.clone())).or_else(|| plan.made.clone());
    let days = since.as_ref().and_then(|s| history::days_between(s, today));
    let waiting = p.steps.iter().find(|c| c.waits);
    let waits_for = match (waiting, &p.abandoned, next) {
        (Some(c), ..) if c.files.is_empty() => format!("the step `{}`, which is run by hand, and then --done", c.step),
        (Some(c), ..) => format!("{} to run, and then --done", c.files.join(", ")),
        (None, Some(_), _) | (None, None, None) => String::new(),
        (None, None, Some(PhaseKind::Expand)) => format!("its first files: airlock advance {shown}"),
        (None, None, Some(PhaseKind::Migrate)) => format!("the expand files to run, then: airlock advance {shown}"),
        (None, None, Some(PhaseKind::ContractSoft)) => {
            format!("release N everywhere, and no rollback to N-1: airlock advance {shown} --to contract-soft")
        }
        (None, None, Some(PhaseKind::ContractHard)) => {
            format!("release N to prove itself (days): airlock advance {shown} --to contract-hard")
        }
    };
    // From the first step on, the schema holds more than one release needs.
    let begun = p.steps.iter().filter(|c| !c.undo).map(|c| c.on.as_str()).min();
    let open = p.abandoned.is_none() && next.is_some();
    let overdue = open && begun.and_then(|b| history::days_between(b, today)).is_some_and(|d| d > limit);
    Line { plan: shown.to_string(), migration: plan.migration.clone(), state, since, days, waits_for, overdue }
}
