//! `airlock verify`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::history::Script;
use crate::op::PgVersion;
use crate::plan::{self, Outcome, Plan};
use crate::shadow::dump::SchemaCopy;
use crate::shadow::prove::{ProofInput, Verdict, checks, down, prove, self_test};
use crate::shadow::seed::SeedOptions;
use crate::shadow::{RUN_LIMIT, Shadow, ShadowOptions};

use super::plan::{AnswerArgs, hash, make, one};
use super::progress::Progress;
use super::project::Project;
use super::{CliError, DatabaseArgs, SourceArgs, proof, settings};

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// A plan (its folder or its plan.toml), or a migration, which is planned first.
    #[arg(required_unless_present = "list_checks")]
    target: Option<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    answers: AnswerArgs,
    /// Queries of release N-1 that must go on working: a SQL file, a JSON object from name to SQL, an export of pg_stat_statements, or a
    /// folder of these. Repeatable.
    #[arg(long, value_name = "PATH")]
    workload: Vec<PathBuf>,
    /// Server on which scratch databases named `airlock_shadow_…` are made and dropped; a throwaway server of this machine unless given.
    #[arg(long, value_name = "URL", env = "AIRLOCK_SHADOW_URL", hide_env_values = true)]
    shadow_url: Option<String>,
    /// Rows in each changed table. With more than 5000, for instance 1000000, the checks look at 1000, and how long each step takes on all is
    /// told; with statistics also an estimate for the real size.
    #[arg(long, value_name = "N", default_value_t = 50)]
    rows: usize,
    /// Sizes of the real tables, as `airlock stats` writes them.
    #[arg(long, value_name = "FILE", env = "AIRLOCK_STATISTICS_FILE")]
    statistics_file: Option<PathBuf>,
    /// Seed of the random rows, writes and moments.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Break the plan in every way that it has room for, and prove that each broken plan fails.
    #[arg(long)]
    self_test: bool,
    /// Prove the down migration instead: up and then down must give the schema back; what rows lose is said.
    #[arg(long, conflicts_with_all = ["self_test", "list_checks"])]
    down: bool,
    /// Prove it on each of these versions, for instance `14,15,18`.
    #[arg(long, value_name = "VERSIONS", value_delimiter = ',', conflicts_with_all = ["shadow_url", "list_checks"])]
    postgres: Vec<PgVersion>,
    /// Print the pages of all checks in Markdown.
    #[arg(long)]
    list_checks: bool,
    /// Seconds after which the run is stopped.
    #[arg(long, value_name = "SECONDS", default_value_t = RUN_LIMIT.as_secs())]
    time_limit: u64,
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output_format: ProofFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProofFormat {
    Text,
    Json,
}

/// A proof on one version.
struct Asked<'a> {
    args: &'a VerifyArgs,
    copy: Option<&'a SchemaCopy>,
    pg: Option<PgVersion>,
    /// No other version will do.
    exact: bool,
}

/// A plan and what it is proved with.
struct Target {
    plan: Plan,
    input: ProofInput,
    project: Project,
}

pub fn run(args: &VerifyArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let Some(target) = args.target.as_ref().filter(|_| !args.list_checks) else {
        write!(out, "{}", checks::markdown())?;
        return Ok(0);
    };
    let versions: Vec<Option<PgVersion>> =
        if args.postgres.is_empty() { vec![args.source.pg_version] } else { args.postgres.iter().copied().map(Some).collect() };
    let many = versions.len() > 1;
    let copy = args.database.copy()?;
    let (mut code, mut table, mut all) = (0, Vec::new(), Vec::new());
    for pg in versions {
        let asked = Asked { args, copy: copy.as_ref(), pg, exact: !args.postgres.is_empty() };
        let one = if args.down { prove_down(&asked, target, out)? } else { prove_plan(&asked, target, out)? };
        code = code.max(u8::from(!one.good));
        table.push(format!("Postgres {:8} {}", one.postgres, one.verdict));
        all.push(one.json);
        if args.output_format == ProofFormat::Text && many {
            writeln!(out)?;
        }
    }
    if args.output_format == ProofFormat::Json {
        // One version is one object, as it always was; several are a list.
        let v = match <[serde_json::Value; 1]>::try_from(all) {
            Ok([one]) => one,
            Err(all) => all.into(),
        };
        serde_json::to_writer_pretty(&mut *out, &v).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else if many {
        table.iter().try_for_each(|l| writeln!(out, "{l}"))?;
    }
    Ok(code)
}

/// What one version came to.
struct One {
    good: bool,
    postgres: String,
    verdict: String,
    json: serde_json::Value,
}

fn start(asked: &Asked, project: &Project, history: Vec<Script>) -> Result<Shadow, CliError> {
    let Asked { args, exact, .. } = *asked;
    // A version that was asked for by name is a throwaway server of that version, whatever the configuration says.
    let url = if exact { None } else { args.shadow_url.clone().or(project.config.shadow.url.clone()) };
    let (pg, kept) = (project.pg, project.folder());
    let run_limit = Duration::from_secs(args.time_limit);
    Ok(Shadow::start(&ShadowOptions { pg, exact, url, kept, history, run_limit, ..ShadowOptions::for_rows(args.rows) })?)
}

fn as_json(v: &impl serde::Serialize) -> Result<serde_json::Value, CliError> {
    Ok(serde_json::to_value(v).map_err(std::io::Error::from)?)
}

fn prove_plan(asked: &Asked, path: &Path, out: &mut dyn Write) -> Result<One, CliError> {
    let Asked { args, pg, .. } = *asked;
    let Some(target) = open(asked, path)? else {
        if args.output_format == ProofFormat::Text {
            writeln!(out, "{} is safe as it is: there is no plan to prove.", path.display())?;
        }
        let json = serde_json::json!({ "schema_version": 2, "verdict": "safe", "checks": [], "findings": [], "steps": [] });
        return Ok(One { good: true, postgres: pg.unwrap_or_default().to_string(), verdict: "safe".into(), json });
    };
    let progress = Progress::new();
    progress.say("starting the server");
    let shadow = start(asked, &target.project, target.input.before.clone())?;
    let mut proof = prove(&shadow, &target.plan, &target.input, &|words| progress.say(words))?;
    if args.self_test {
        self_test(&shadow, &target.plan, &target.input, &mut proof, &|words| progress.say(words))?;
    }
    progress.end();
    if args.output_format == ProofFormat::Text {
        proof::text(&proof, &shadow.describe(), out)?;
    }
    let good = proof.verdict == Verdict::Proved;
    Ok(One { good, postgres: proof.postgres.clone(), verdict: proof.verdict.to_string(), json: as_json(&proof)? })
}

fn prove_down(asked: &Asked, path: &Path, out: &mut dyn Write) -> Result<One, CliError> {
    let args = asked.args;
    let source = SourceArgs { pg_version: asked.pg, ..args.source.clone() };
    let project = Project::open(&[path.to_path_buf()], &source)?.on(asked.copy, &source);
    let (script, _) = one(&project, path)?;
    let found = project.histories.first().and_then(|h| Some((h, *h.selected.first()?)));
    let Some((history, index)) = found else { return Err(CliError::Usage(format!("{}: no migration", path.display()))) };
    let migration = &history.migrations[index];
    let Some(down) = &migration.down else {
        return Err(CliError::Usage(format!("{}: there is no down migration beside it, nor in it", path.display())));
    };
    let progress = Progress::new();
    progress.say("up and down");
    let before = project.before(history, index);
    let shadow = start(asked, &project, before.clone())?;
    let options = SeedOptions { rows: args.rows, seed: args.seed, ..SeedOptions::default() };
    let found = down::down(&shadow, &before, &migration.up, down, &script.before, &options);
    shadow.still_well()?;
    let found = found?;
    progress.end();
    let verdict = match (&found.refused, found.schema.is_empty(), found.lost.is_empty()) {
        (Some(_), ..) => "refused",
        (None, false, _) => "the schema does not come back",
        (None, true, false) => "the schema comes back, and data is lost",
        (None, true, true) => "the schema comes back, and so do the rows",
    };
    if args.output_format == ProofFormat::Text {
        writeln!(out, "On {}, {} up and down: {verdict}", shadow.describe(), path.display())?;
        found.refused.iter().try_for_each(|r| writeln!(out, "  {r}"))?;
        found.schema.iter().try_for_each(|l| writeln!(out, "  {l}"))?;
        if !found.lost.is_empty() {
            writeln!(out, "Lost:")?;
        }
        found.lost.iter().try_for_each(|l| writeln!(out, "  {}, for instance {}", l.what, l.example))?;
    }
    Ok(One { good: found.restores_schema(), postgres: found.postgres.clone(), verdict: verdict.into(), json: as_json(&found)? })
}

/// `None`: the migration is safe as it is.
fn open(asked: &Asked, target: &Path) -> Result<Option<Target>, CliError> {
    let args = asked.args;
    let (plan, migration) = match plan_file(target) {
        Some(file) => {
            let (plan, migration) = read(&file)?;
            (Some(plan), migration)
        }
        None => (None, target.to_path_buf()),
    };
    let mut source = args.source.clone();
    source.pg_version = asked.pg;
    if let Some(p) = &plan {
        source.pg_version = source.pg_version.or(Some(PgVersion(p.postgres)));
        source.framework = source.framework.or_else(|| Some(p.framework.clone()));
    }
    let progress = plan.as_ref().and_then(|p| p.progress.clone()).filter(|p| !p.migrations.is_empty());
    let folder = plan_file(target).and_then(|f| Some(f.parent()?.to_path_buf())).unwrap_or_default();
    let project = match &progress {
        // Handed over in part: its text is read as if it stood where it stood.
        Some(p) => Project::of_text(&folder.join(&p.migrations).join(&p.original), crate::history::read_sql(&migration)?, &source)?,
        None => Project::open(std::slice::from_ref(&migration), &source)?,
    }
    .on(asked.copy, &source);
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
            Outcome::Safe => return Ok(None),
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
            "{}: files of the plan come before its migration in the order of {}; prove a plan before `airlock advance`, or give the schema with --schema or --database-url",
            target.display(),
            history.framework
        )));
    }
    let workload = if args.workload.is_empty() { &project.config.workload.paths } else { &args.workload };
    let input = ProofInput {
        before: project.before(history, index),
        direct: history.migrations[index].up.clone(),
        catalog_before: script.before.clone(),
        catalog_after: script.after.clone(),
        rows: args.rows,
        seed: args.seed,
        workload: settings::known_queries(workload)?,
        statistics: settings::statistics(&project, args.statistics_file.as_ref())?,
    };
    Ok(Some(Target { plan, input, project }))
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
    let written = plan::render(&plan).map_err(|e| usage(e.to_string()))?;
    for step in plan.phases.iter_mut().flat_map(|p| &mut p.steps) {
        for (name, into) in [(&step.file, &mut step.statements), (&step.undo_file, &mut step.undo)] {
            if name.is_empty() {
                continue;
            }
            let path = folder.join(name);
            let text = crate::history::read_sql(&path)?;
            if !written.iter().any(|(n, t)| n == name && *t == text) {
                *into = statements(&text);
            }
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
