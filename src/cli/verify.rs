//! `airlock verify`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::op::PgVersion;
use crate::plan::{self, Boundary, Outcome, Plan, Release};
use crate::shadow::prove::{Proof, ProofInput, Status, Verdict, prove};
use crate::shadow::{Shadow, ShadowOptions};

use super::plan::{AnswerArgs, hash, make, one};
use super::project::Project;
use super::{CliError, SourceArgs};

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// A plan (its folder or its plan.toml), or a migration, which is planned first.
    target: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    answers: AnswerArgs,
    /// Server on which scratch databases named `airlock_shadow_…` are made and dropped; a throwaway server of this machine unless given.
    #[arg(long, value_name = "URL", env = "AIRLOCK_SHADOW_URL", hide_env_values = true)]
    shadow_url: Option<String>,
    /// Rows in each changed table.
    #[arg(long, value_name = "N", default_value_t = 50)]
    rows: usize,
    /// Seed of the random rows.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output_format: ProofFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProofFormat {
    Text,
    Json,
}

pub fn run(args: &VerifyArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let (plan, migration) = match plan_file(&args.target) {
        Some(file) => {
            let (plan, migration) = read(&file)?;
            (Some(plan), migration)
        }
        None => (None, args.target.clone()),
    };
    let mut source = args.source.clone();
    if let Some(p) = &plan {
        source.pg_version = source.pg_version.or(Some(PgVersion(p.postgres)));
        source.framework = source.framework.or_else(|| Some(p.framework.clone()));
    }
    let progress = plan.as_ref().and_then(|p| p.progress.clone()).filter(|p| !p.migrations.is_empty());
    let folder = plan_file(&args.target).and_then(|f| Some(f.parent()?.to_path_buf())).unwrap_or_default();
    let project = match &progress {
        // Handed over in part: its text is read as if it stood where it stood.
        Some(p) => Project::of_text(&folder.join(&p.migrations).join(&p.original), crate::history::read_sql(&migration)?, &source)?,
        None => Project::open(std::slice::from_ref(&migration), &source)?,
    };
    let (script, name) = one(&project, &migration)?;
    let plan = match plan {
        Some(p) => {
            if p.source_sha256 != hash(script.source.text()) {
                return Err(CliError::Usage(format!(
                    "{} has changed since the plan was made; make it again with `airlock plan`",
                    migration.display()
                )));
            }
            p
        }
        None => match make(&project, &script, &name, &args.answers, &migration)? {
            Outcome::Planned(p) => *p,
            Outcome::Safe => {
                writeln!(out, "{} is safe as it is: there is no plan to prove.", migration.display())?;
                return Ok(0);
            }
            Outcome::Asked(q) => {
                return Err(CliError::Usage(
                    q.iter().map(|q| format!("{}\n  answer: {}", q.question, q.answer)).collect::<Vec<_>>().join("\n"),
                ));
            }
            Outcome::Refused(r) => {
                return Err(CliError::Usage(
                    r.iter().map(|r| format!("cannot be planned: {}\n  next: {}", r.reason, r.next_step)).collect::<Vec<_>>().join("\n"),
                ));
            }
        },
    };
    let (Some(history), Some(index)) = (project.histories.first(), project.histories.first().and_then(|h| h.selected.first().copied()))
    else {
        return Err(CliError::Usage(format!("{}: no migration", migration.display())));
    };
    let ours = |s: &crate::history::Script| {
        let path = s.source.path().to_string_lossy().replace('\\', "/");
        progress.as_ref().is_some_and(|p| p.steps.iter().flat_map(|c| &c.files).any(|f| path.ends_with(&format!("/{f}"))))
    };
    if project.schema.is_none() && history.before(index).any(ours) {
        return Err(CliError::Usage(format!(
            "{}: files of the plan come before its migration in the order of {}; prove a plan before `airlock advance`, or give the schema with --schema",
            args.target.display(),
            history.framework
        )));
    }
    let input = ProofInput {
        before: project.before(history, index),
        direct: history.migrations[index].up.clone(),
        catalog_before: script.before.clone(),
        catalog_after: script.after.clone(),
        rows: args.rows,
        seed: args.seed,
    };
    let url = args.shadow_url.clone().or(project.config.shadow.url.clone());
    let shadow = Shadow::start(&ShadowOptions { pg: project.pg, url, ..ShadowOptions::default() })?;
    let proof = prove(&shadow, &plan, &input)?;
    if args.output_format == ProofFormat::Json {
        serde_json::to_writer_pretty(&mut *out, &proof).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        text(&proof, &shadow.describe(), out)?;
    }
    Ok(u8::from(proof.verdict != Verdict::Proved))
}

pub(super) fn plan_file(target: &Path) -> Option<PathBuf> {
    if target.is_dir() && target.join("plan.toml").is_file() {
        return Some(target.join("plan.toml"));
    }
    target.extension().is_some_and(|e| e == "toml").then(|| target.to_path_buf())
}

/// The plan, with the SQL of its files: what people changed there is what is proved.
pub(super) fn read(file: &Path) -> Result<(Plan, PathBuf), CliError> {
    let usage = |e: String| CliError::Usage(format!("{}: {e}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|e| usage(e.to_string()))?;
    let mut plan = plan::read(&text).map_err(|e| usage(e.to_string()))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    for step in plan.phases.iter_mut().flat_map(|p| &mut p.steps) {
        for (name, into) in [(&step.file, &mut step.statements), (&step.undo_file, &mut step.undo)] {
            if name.is_empty() {
                continue;
            }
            let path = folder.join(name);
            let text = crate::history::read_sql(&path)?;
            *into = statements(&text);
        }
    }
    let source = Path::new(&plan.source);
    let migration = if source.is_absolute() { source.to_path_buf() } else { folder.join(source) };
    Ok((plan, migration))
}

/// The statements of a plan's file, without the BEGIN and COMMIT around them.
fn statements(text: &str) -> Vec<String> {
    let source = crate::source::SourceFile::new("step", text);
    crate::lower::lower(&source, &[source.full_span()])
        .iter()
        .filter(|s| !matches!(s.command, "BEGIN" | "COMMIT"))
        .map(|s| source.slice(s.span).to_string())
        .collect()
}

fn text(proof: &Proof, home: &str, out: &mut dyn Write) -> Result<(), CliError> {
    writeln!(out, "On {home}:\n")?;
    writeln!(out, "{:9} {:8} {:9} check", "boundary", "release", "status")?;
    for c in &proof.checks {
        let b = c.boundary.map_or("–".to_string(), |b: Boundary| b.to_string());
        let r = c.release.map_or("–".to_string(), |r: Release| r.to_string());
        let status = match c.status {
            Status::Pass => "pass",
            Status::Fail => "FAIL",
            Status::NotRun => "not run",
        };
        let mut lines = c.detail.lines();
        writeln!(out, "{b:9} {r:8} {status:9} {}: {}", c.id, lines.next().unwrap_or_default())?;
        for l in lines {
            writeln!(out, "{:28} {l}", "")?;
        }
    }
    writeln!(out, "\nWhat each statement did (predicted | observed):")?;
    let mut file = "";
    for s in &proof.steps {
        if s.file != file {
            file = &s.file;
            writeln!(out, "{}", if file.is_empty() { "the application" } else { file })?;
        }
        writeln!(out, "  {}", s.statement)?;
        let words = |e: &plan::PredictedEffects| {
            let mut v: Vec<String> = e.locks.iter().map(|(r, m)| format!("{r} {}", m.sql())).collect();
            v.extend(e.rewrites.iter().map(|r| format!("rewrites {r}")));
            v.extend(e.scans.iter().map(|r| format!("scans {r}")));
            v.extend(e.builds.iter().map(|r| format!("builds {r}")));
            if v.is_empty() { "nothing".to_string() } else { v.join(", ") }
        };
        writeln!(out, "      {} | {}", words(&s.predicted), words(&s.observed))?;
    }
    let n = |status: Status| proof.checks.iter().filter(|c| c.status == status).count();
    writeln!(
        out,
        "\n{}: {} checks passed, {} failed, {} not run (Postgres {})",
        proof.verdict,
        n(Status::Pass),
        n(Status::Fail),
        n(Status::NotRun),
        proof.postgres
    )?;
    Ok(())
}
