//! `airlock plan`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use serde_json::json;
use sha2::{Digest, Sha256};
use strum::VariantNames;

use crate::plan::{self, Answer, Context, DualWrite, Outcome, Plan, PlanOptions};
use crate::replay::ReplayedScript;

use super::project::Project;
use super::screen::fit;
use super::{CliError, DatabaseArgs, SourceArgs};

#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The migration.
    migration: PathBuf,
    /// Folder for the plan; `airlock/plans/<migration>` unless given.
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    answers: AnswerArgs,
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output_format: PlanFormat,
}

/// What only a person knows, and how the plan shall work.
#[derive(Debug, Clone, Default, Args)]
pub struct AnswerArgs {
    /// Knowledge about a column: `--map 'orders.total: up="…", down="…"'`, `--map 'orders.method: value="…"'`.
    #[arg(long = "map", value_name = "ANSWER")]
    maps: Vec<String>,
    /// Whether DROP and ADD are a rename: `--rename orders.note=remark`, `--rename orders.note=` when the data may go.
    #[arg(long = "rename", value_name = "OLD=NEW")]
    renames: Vec<String>,
    /// Who keeps a second column in step: a trigger of the plan's, or release N by its own code (the plan says what it writes).
    #[arg(long, value_name = "WHO", default_value_t = DualWrite::Trigger, value_parser = who())]
    dual_write: DualWrite,
    /// A feature flag of release N, for the checklist.
    #[arg(long, value_name = "NAME")]
    flag: Option<String>,
    /// Rows that a batch of a backfill writes.
    #[arg(long, value_name = "ROWS")]
    batch_size: Option<u32>,
    /// Milliseconds between two batches.
    #[arg(long, value_name = "MS")]
    pause: Option<u32>,
    /// Milliseconds that a step waits for its lock.
    #[arg(long, value_name = "MS")]
    lock_timeout: Option<u32>,
    /// How often a step tries again to get its lock, inside of its SQL; not at all unless given.
    #[arg(long, value_name = "N")]
    lock_retries: Option<u32>,
}

fn who() -> impl TypedValueParser<Value = DualWrite> {
    PossibleValuesParser::new(DualWrite::VARIANTS).map(|word| word.parse().unwrap_or_default())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PlanFormat {
    Text,
    Json,
}

pub fn run(args: &PlanArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let copy = args.database.copy()?;
    let project = Project::open(std::slice::from_ref(&args.migration), &args.source)?.on(copy.as_ref(), &args.source);
    let (script, name) = one(&project, &args.migration)?;
    let outcome = make(&project, &script, &name, &args.answers, &args.migration)?;
    let json_out = args.output_format == PlanFormat::Json;
    match outcome {
        Outcome::Safe => {
            if json_out {
                writeln!(out, "{}", json!({ "schema_version": 1, "migration": name, "plan": null }))?;
            } else {
                writeln!(
                    out,
                    "{} is safe as it is: release N-1 keeps working, nothing slow happens under a strong lock, and it can be undone. No plan is written.",
                    args.migration.display()
                )?;
            }
            Ok(0)
        }
        Outcome::Planned(p) => {
            let folder = args.into.clone().unwrap_or_else(|| PathBuf::from("airlock/plans").join(&name));
            let files = write(&p, &folder)?;
            if json_out {
                let v = json!({ "schema_version": 1, "migration": name, "plan": folder.display().to_string(), "files": files, "phases": p.phases });
                serde_json::to_writer_pretty(&mut *out, &v).map_err(std::io::Error::from)?;
                writeln!(out)?;
            } else {
                let into = format!("{} is planned in {} files under {}:", args.migration.display(), files.len(), folder.display());
                writeln!(out, "{}", fit(0, &into))?;
                for phase in &p.phases {
                    for s in &phase.steps {
                        writeln!(out, "{}", fit(19, &format!("  {:16} {}", phase.kind.to_string(), s.title)))?;
                    }
                }
                writeln!(out, "Read {}, and prove it: airlock verify {}", folder.join("PLAN.md").display(), folder.display())?;
            }
            Ok(0)
        }
        Outcome::Asked(questions) => {
            let say: Vec<String> =
                questions.iter().map(|q| format!("{}: {}\n  answer: {}", place(&script, q.span), q.question, q.answer)).collect();
            if json_out {
                let list: Vec<_> = questions
                    .iter()
                    .map(|q| json!({ "line": script.source.position(q.span.start).line, "question": q.question, "answer": q.answer }))
                    .collect();
                writeln!(out, "{}", json!({ "schema_version": 1, "migration": name, "plan": null, "questions": list }))?;
                out.flush()?;
            }
            Err(CliError::Usage(say.join("\n")))
        }
        Outcome::Refused(list) => {
            let say: Vec<String> =
                list.iter().map(|r| format!("{}: {}\n  next: {}", place(&script, r.span), r.reason, r.next_step)).collect();
            if json_out {
                let list: Vec<_> = list
                    .iter()
                    .map(|r| json!({ "line": script.source.position(r.span.start).line, "reason": r.reason, "next_step": r.next_step }))
                    .collect();
                writeln!(out, "{}", json!({ "schema_version": 1, "migration": name, "plan": null, "refused": list }))?;
                out.flush()?;
            }
            Err(CliError::Usage(format!("cannot be planned:\n{}", say.join("\n"))))
        }
    }
}

fn place(script: &ReplayedScript, span: crate::source::Span) -> String {
    format!("{}:{}", script.source.path().display(), script.source.position(span.start).line)
}

/// The one migration that was named, replayed.
pub fn one(project: &Project, path: &Path) -> Result<(ReplayedScript, String), CliError> {
    let history = project.histories.first().ok_or_else(|| CliError::Usage(format!("{}: no migration", path.display())))?;
    let index = match history.selected.iter().copied().collect::<Vec<_>>().as_slice() {
        [one] => *one,
        [] => return Err(CliError::Usage(format!("{}: no migration", path.display()))),
        several => return Err(CliError::Usage(format!("{}: {} migrations; name one file", path.display(), several.len()))),
    };
    let name = history.migrations[index].name.replace(['/', '\\'], "-");
    let judged = project.judge().pop().ok_or_else(|| CliError::Usage(format!("{}: no migration", path.display())))?;
    Ok((judged, name))
}

pub fn make(project: &Project, script: &ReplayedScript, name: &str, args: &AnswerArgs, path: &Path) -> Result<Outcome, CliError> {
    let answers: Vec<Answer> = args
        .maps
        .iter()
        .map(|m| plan::parse_map(m))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| CliError::Usage(format!("--map {e}")))?
        .concat();
    let renames = args.renames.iter().map(|r| plan::parse_rename(r)).collect::<Result<Vec<_>, _>>();
    let answers = [answers, renames.map_err(|e| CliError::Usage(format!("--rename {e}")))?].concat();
    let section = &project.config.plan;
    let mut options = PlanOptions { dual_write: args.dual_write, flag: args.flag.clone(), ..PlanOptions::default() };
    for (value, into) in [
        (args.batch_size.or(section.batch_size), &mut options.batch_size),
        (args.pause.or(section.pause_ms), &mut options.pause_ms),
        (args.lock_timeout.or(section.lock_timeout_ms), &mut options.lock_timeout_ms),
        (args.lock_retries.or(section.lock_retries), &mut options.lock_retries),
    ] {
        *into = value.unwrap_or(*into);
    }
    if options.batch_size == 0 {
        return Err(CliError::Usage("--batch-size: a batch holds at least one row".into()));
    }
    let source = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let context = Context {
        migration: name.to_string(),
        source: source.display().to_string(),
        source_sha256: hash(script.source.text()),
        framework: project.histories.first().map(|h| h.framework.to_string()).unwrap_or_default(),
    };
    Ok(plan::plan(script, &answers, &options, &context))
}

pub fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

pub fn write(plan: &Plan, folder: &Path) -> Result<Vec<String>, CliError> {
    let usage = |e: String| CliError::Usage(format!("{}: {e}", folder.display()));
    let old = std::fs::read_to_string(folder.join("plan.toml")).ok().and_then(|t| plan::read(&t).ok()).and_then(|p| p.progress);
    if old.is_some_and(|p| p.abandoned.is_none() && !p.steps.is_empty()) {
        return Err(usage("its plan is being carried out; `airlock abandon` it first, or choose another folder with --into".into()));
    }
    // An older plan in the same place goes, but never anything that Airlock did not write.
    if folder.exists() {
        if !folder.join("plan.toml").is_file() && std::fs::read_dir(folder).is_ok_and(|mut d| d.next().is_some()) {
            return Err(usage("the folder is not empty and holds no plan; choose another with --into".into()));
        }
        for phase in ["1-expand", "2-migrate", "3-contract-soft", "4-contract-hard"] {
            let _ = std::fs::remove_dir_all(folder.join(phase));
        }
    }
    // The source is named from the plan's folder, so that the two can be moved together.
    let mut plan = plan.clone();
    plan.made = Some(crate::history::date(super::advance::now()));
    std::fs::create_dir_all(folder).map_err(|e| usage(e.to_string()))?;
    if let Ok(folder) = std::fs::canonicalize(folder)
        && let Some(relative) = relative(&folder, Path::new(&plan.source))
    {
        plan.source = relative;
    }
    let files = plan::render(&plan).map_err(|e| usage(e.to_string()))?;
    for (name, text) in &files {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|e| usage(e.to_string()))?;
        }
        std::fs::write(&path, text).map_err(|e| usage(e.to_string()))?;
    }
    Ok(files.into_iter().map(|(n, _)| n).collect())
}

/// A path as it is seen from a folder; `None`: the two have nothing in common.
pub fn relative(from: &Path, to: &Path) -> Option<String> {
    let (a, b): (Vec<_>, Vec<_>) = (from.components().collect(), to.components().collect());
    let same = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    if same < 2 {
        return None;
    }
    let mut out = vec!["..".to_string(); a.len() - same];
    out.extend(b[same..].iter().map(|c| c.as_os_str().to_string_lossy().into_owned()));
    Some(out.join("/"))
}
