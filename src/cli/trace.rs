//! `airlock trace`.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::effects::Effects;
use crate::replay::ReplayedScript;
use crate::report::plural;
use crate::shadow::estimate::{self, Estimate, Scale};
use crate::shadow::fitting::Fitting;
use crate::shadow::load::Runner;
use crate::shadow::seed::{Profile, SeedOptions, seed};
use crate::shadow::statistics::sizes;
use crate::shadow::trace::{Traced, contradictions, trace};
use crate::shadow::{RUN_LIMIT, Shadow, ShadowOptions, SqlError};
use crate::stats::Stats;

use super::progress::Progress;
use super::project::Project;
use super::screen::fit;
use super::{CliError, DatabaseArgs, SourceArgs, settings};

#[derive(Debug, Args)]
pub struct TraceArgs {
    /// Migrations; each runs on the schema that those before it make.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    /// Rows in each table that the migration locks: a scan of an empty table cannot be seen. With many, for instance 1000000, and
    /// statistics the time at the real size is estimated.
    #[arg(long, value_name = "N", default_value_t = 20)]
    rows: usize,
    /// Sizes of the real tables, as `airlock stats` writes them.
    #[arg(long, value_name = "FILE", env = "AIRLOCK_STATISTICS_FILE")]
    statistics_file: Option<PathBuf>,
    /// Seed of the random rows.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Server on which scratch databases named `airlock_shadow_…` are made and dropped; a throwaway server of this machine unless given.
    #[arg(long, value_name = "URL", env = "AIRLOCK_SHADOW_URL", hide_env_values = true)]
    shadow_url: Option<String>,
    /// Run the SQL as a superuser: for statements that an ordinary role may not run, and that you trust.
    #[arg(long)]
    shadow_superuser: bool,
    /// Seconds after which the run is stopped.
    #[arg(long, value_name = "SECONDS", default_value_t = RUN_LIMIT.as_secs())]
    time_limit: u64,
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output_format: TraceFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TraceFormat {
    Text,
    Json,
}

/// 0: everything ran and did what was predicted; 1: a statement failed or did something else.
pub fn run(args: &TraceArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let copy = args.database.copy()?;
    let project = Project::open(&args.files, &args.source)?.on(copy.as_ref(), &args.source);
    let statistics = settings::statistics(&project, args.statistics_file.as_ref())?;
    let progress = Progress::new();
    progress.say("starting the server");
    let url = args.shadow_url.clone().or(project.config.shadow.url.clone());
    let first = project.histories.iter().find_map(|h| Some(project.before(h, *h.selected.first()?)));
    let (pg, superuser, kept, history) = (project.pg, args.shadow_superuser, project.folder(), first.unwrap_or_default());
    let run_limit = Duration::from_secs(args.time_limit);
    let shadow = Shadow::start(&ShadowOptions { pg, url, superuser, kept, history, run_limit, ..ShadowOptions::for_rows(args.rows) })?;
    let judged = project.judge();
    // Tame rows: what is refused because of a row cannot be observed.
    let rows = SeedOptions { rows: args.rows, seed: args.seed, profile: Profile::Careful, ..SeedOptions::default() };
    let seen = observe(&project, &judged, &shadow, (&rows, statistics.as_ref()), &progress);
    shadow.still_well()?;
    let seen = seen?;
    progress.end();
    let (mut all, mut odd) = (Vec::new(), 0);
    for (script, seen) in judged.iter().zip(&seen) {
        for s in seen {
            let v = describe(script, s);
            odd += usize::from(v["error"].is_string() || v["differences"].as_array().is_some_and(|d| !d.is_empty()));
            all.push(v);
        }
    }
    if args.output_format == TraceFormat::Json {
        let v = json!({ "schema_version": 1, "postgres": shadow.version(), "statements": all });
        serde_json::to_writer_pretty(&mut *out, &v).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        writeln!(out, "On {}:", shadow.describe())?;
        for v in &all {
            text(v, out)?;
        }
        let end =
            if odd == 0 { "all did what was predicted".to_string() } else { format!("{odd} failed or did something else than predicted") };
        writeln!(out, "\n{} traced: {end}", plural(all.len(), "statement"))?;
    }
    Ok(u8::from(odd > 0))
}

/// A statement with what it did.
pub struct Seen {
    pub traced: Traced,
    /// How long it would take at the real size.
    estimate: Option<Estimate>,
    /// The rows that Airlock made are refused, in the server's words; what is seen is then without rows.
    refused: Option<String>,
}

/// The rows were in the way, not the statement.
fn about_rows(t: &Traced) -> Option<&SqlError> {
    t.observed.error.as_ref().filter(|e| e.is_about_rows())
}

/// `bare`: the same statements without rows, where they were looked at so as well.
fn seen(traced: Vec<Traced>, bare: Vec<Traced>, scale: Option<Scale>) -> Vec<Seen> {
    let mut bare = bare.into_iter();
    let one = |t: Traced| {
        let bare = bare.next();
        let estimate = scale.as_ref().zip(bare.as_ref()).and_then(|(s, b)| s.estimate(&t.observed, b.observed.took));
        match (about_rows(&t).map(ToString::to_string), bare) {
            (Some(why), Some(b)) if b.observed.error.is_none() => Seen { traced: b, estimate: None, refused: Some(why) },
            _ => Seen { traced: t, estimate, refused: None },
        }
    };
    traced.into_iter().map(one).collect()
}

/// Every judged script on the schema before it, with rows where it looks; in the order of `judged`.
pub fn observe(
    project: &Project,
    judged: &[ReplayedScript],
    shadow: &Shadow,
    (rows, statistics): (&SeedOptions, Option<&Stats>),
    progress: &Progress,
) -> Result<Vec<Vec<Seen>>, CliError> {
    let mut out = Vec::new();
    let mut scripts = judged.iter();
    for history in &project.histories {
        let Some(first) = history.selected.first() else { continue };
        progress.say("loading the schema before the migration");
        let (prepared, failures) = shadow.prepared(&project.before(history, *first))?;
        if let Some(f) = failures.first() {
            return Err(CliError::Usage(format!(
                "the migrations before {} do not load on the shadow:\n{f}",
                history.migrations[*first].name
            )));
        }
        let base = shadow.copy(&prepared)?;
        let mut at = *first;
        for index in &history.selected {
            // What stands between two that were asked for runs as well, unless a dump took its place.
            while project.has_no_schema() && at < *index {
                Runner::new(&base)?.script(&history.migrations[at].up)?;
                at += 1;
            }
            let Some(script) = scripts.next() else { break };
            let up = &history.migrations[*index].up;
            progress.say(&format!("{}: filling the tables", history.migrations[*index].name));
            let with_rows = shadow.copy(&base)?;
            let mut here = None;
            if rows.rows > 0 {
                let tables: BTreeSet<_> = script
                    .statements
                    .iter()
                    .flat_map(|r| r.effects.locks.keys())
                    .filter(|n| script.before.relation_named(&n.schema, &n.name).is_some_and(|r| r.kind.is_table()))
                    .cloned()
                    .collect();
                let mut session = with_rows.connect()?;
                let fit = Fitting::of(&script.before, &script.after);
                seed(&mut session, &tables, &SeedOptions { fit, ..rows.clone() })?;
                here = if rows.rows as u64 >= estimate::LEAST { Some(sizes(&mut session)?) } else { None };
            }
            progress.say(&format!("{}: its statements", history.migrations[*index].name));
            let traced = trace(&with_rows, up)?;
            drop(with_rows);
            let sizes = here.as_ref().zip(statistics);
            let refused = traced.iter().any(|t| about_rows(t).is_some());
            let bare = if rows.rows > 0 && (refused || sizes.is_some()) { trace(&base, up)? } else { Vec::new() };
            out.push(seen(traced, bare, sizes.map(|(here, real)| Scale { here, real })));
            Runner::new(&base)?.script(up)?;
            at = index + 1;
        }
    }
    Ok(out)
}

fn describe(script: &ReplayedScript, seen: &Seen) -> Value {
    let Seen { traced: t, estimate, refused } = seen;
    let nothing = Effects::default();
    let span = t.piece.statement.span;
    let predicted = script.statements.iter().find(|r| r.statement.span == span).map_or(&nothing, |r| &r.effects);
    // What the server refuses for itself (no row fits, no right) is no wrong prediction, but is told.
    let differences = if t.piece.is_transaction_control() { Vec::new() } else { contradictions(predicted, &t.observed) };
    json!({
        "file": script.source.path().display().to_string(),
        "line": t.piece.line,
        "statement": t.piece.text,
        "predicted": effects(predicted),
        "observed": effects(&t.observed.effects),
        "held_before": t.observed.held.iter().map(|(r, m)| (r.to_string(), m.to_string())).collect::<std::collections::BTreeMap<_, _>>(),
        "milliseconds": t.observed.took.as_secs_f64() * 1000.0,
        "estimate": estimate,
        "estimated": estimate.as_ref().map(ToString::to_string),
        "rows_refused": refused,
        "sqlstate": t.observed.error.as_ref().map(|e| e.sqlstate.clone()),
        "error": t.observed.error.as_ref().map(|e| e.to_string()),
        "differences": differences,
    })
}

/// Locks, rewrites, scans and builds, as `airlock effects` prints them.
pub fn effects(e: &Effects) -> Value {
    json!({
        "locks": e.locks.iter().map(|(r, m)| (r.to_string(), m.to_string())).collect::<std::collections::BTreeMap<_, _>>(),
        "rewrites": e.rewrites, "scans": e.scans, "builds": e.builds, "in_transaction": e.in_transaction, "fails": e.fails,
        "error": e.error,
    })
}

fn text(v: &Value, out: &mut dyn Write) -> Result<(), CliError> {
    let words = |v: &Value| v.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    writeln!(out, "\n{}:{}: {}", words(&v["file"]), v["line"], crate::shadow::script::head(&words(&v["statement"])))?;
    writeln!(out, "  took       {:.1} ms", v["milliseconds"].as_f64().unwrap_or_default())?;
    if let Some(e) = v["rows_refused"].as_str() {
        writeln!(out, "{}", fit(13, &format!("  rows       refused, so this is seen without any: {e}")))?;
    }
    if let Some(e) = v["estimated"].as_str() {
        writeln!(out, "{}", fit(13, &format!("  at size    {e}")))?;
    }
    if let Some(e) = v["error"].as_str() {
        writeln!(out, "{}", fit(13, &format!("  FAILS      {e}")))?;
    }
    let map = |v: &Value| {
        let all = v.as_object().map(|o| o.iter().map(|(k, v)| format!("{k} {}", words(v))).collect::<Vec<_>>().join(", "));
        all.unwrap_or_default()
    };
    let list = |v: &Value| {
        v.as_array()
            .map(|a| a.iter().map(|n| n.as_str().map_or_else(|| n.to_string(), str::to_string)).collect::<Vec<_>>().join(", "))
            .unwrap_or_default()
    };
    let (p, o) = (&v["predicted"], &v["observed"]);
    for (title, a, b) in [
        ("locks", map(&p["locks"]), map(&o["locks"])),
        ("rewrites", list(&p["rewrites"]), list(&o["rewrites"])),
        ("scans", list(&p["scans"]), list(&o["scans"])),
        ("builds", list(&p["builds"]), list(&o["builds"])),
    ] {
        let or = |s: &String| if s.is_empty() { "–".to_string() } else { s.clone() };
        if a == b && !a.is_empty() {
            writeln!(out, "{}", fit(13, &format!("  {title:10} {a}")))?;
        } else if a != b {
            writeln!(out, "{}", fit(13, &format!("  {title:10} predicted {}, observed {}", or(&a), or(&b))))?;
        }
    }
    for d in v["differences"].as_array().into_iter().flatten() {
        writeln!(out, "{}", fit(13, &format!("  differs    {}", words(d))))?;
    }
    Ok(())
}
