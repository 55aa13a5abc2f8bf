//! `airlock effects`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::catalog::Catalog;
use crate::compat::{self, Broken, Compat};
use crate::effects::Effects;
use crate::replay::ReplayedScript;

use super::project::Project;
use super::screen::fit;
use super::{CliError, SourceArgs};

#[derive(Debug, Args)]
pub struct EffectsArgs {
    /// The migration.
    file: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// Queries of release N-1: a JSON object from name to SQL, a SQL file, an export of pg_stat_statements.
    #[arg(long, value_name = "FILE")]
    workload: Option<PathBuf>,
    /// Role that runs them; the owner of the tables unless given.
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// Also run the migration on a shadow Postgres, and say what it saw.
    #[arg(long)]
    observe: bool,
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output_format: EffectsFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EffectsFormat {
    Text,
    Json,
}

pub fn run(args: &EffectsArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let project = Project::open(std::slice::from_ref(&args.file), &args.source)?;
    let judged = project.judge();
    let workload = super::settings::known_queries(args.workload.as_slice())?;
    let queries = |before: &Catalog, after: &Catalog| compat::judge(&workload, before, after, args.role.as_deref(), project.pg);
    let mut statements = Vec::new();
    let mut total = Value::Null;
    for s in &judged {
        for r in &s.statements {
            let mut v = describe(&r.effects, &r.compat, &queries(&r.before, &r.after));
            v["line"] = json!(s.source.position(r.statement.span.start).line);
            v["statement"] = json!(s.source.slice(r.statement.span));
            v["understood"] = json!(r.statement.understood.to_string());
            statements.push(v);
        }
        total = describe(&s.effects(), &s.compat, &queries(&s.before, &s.after));
    }
    if args.observe {
        observe(&project, &judged, &mut statements)?;
    }
    if args.output_format == EffectsFormat::Json {
        let v = json!({ "schema_version": 1, "postgres": project.pg.0, "statements": statements, "total": total });
        serde_json::to_writer_pretty(&mut *out, &v).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        for s in &statements {
            text(s, out)?;
        }
        let mut t = total;
        t["statement"] = json!("the whole file");
        text(&t, out)?;
    }
    Ok(0)
}

pub fn describe(e: &Effects, c: &Compat, queries: &BTreeMap<String, String>) -> Value {
    json!({
        "locks": e.locks.iter().map(|(r, m)| (r.to_string(), m.to_string())).collect::<BTreeMap<_, _>>(),
        "rewrites": e.rewrites,
        "scans": e.scans,
        "builds": e.builds,
        "in_transaction": e.in_transaction,
        "fails": e.fails,
        "error": e.error,
        "broken": broken(&c.broken),
        "broken_queries": queries,
        "undo": c.undo.to_string(),
        "undo_now": c.undo_now.to_string(),
    })
}

/// Shape → SQLSTATE; a shape that only fails when it was prepared before is `shape(prep)`.
fn broken(list: &[Broken]) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for b in list.iter().filter(|b| !b.prepared).chain(list.iter().filter(|b| b.prepared)) {
        let shape = b.shape.to_string();
        let key = if b.prepared { format!("{shape}(prep)") } else { shape.clone() };
        if !(b.prepared && out.contains_key(&shape)) {
            out.entry(key).or_insert_with(|| b.sqlstate.clone());
        }
    }
    out
}

/// Adds `observed` to each statement: the same keys, seen on a server.
fn observe(project: &Project, scripts: &[ReplayedScript], statements: &mut [Value]) -> Result<(), CliError> {
    use crate::shadow::seed::SeedOptions;
    use crate::shadow::{RUN_LIMIT, Shadow, ShadowOptions};
    let url = project.config.shadow.url.clone();
    let options = ShadowOptions { pg: project.pg, url, kept: project.folder(), run_limit: RUN_LIMIT, ..ShadowOptions::default() };
    let shadow = Shadow::start(&options)?;
    let no_rows = SeedOptions { rows: 0, ..SeedOptions::default() };
    let seen = super::trace::observe(project, scripts, &shadow, (&no_rows, None), &super::progress::Progress::new())?;
    for t in seen.into_iter().flatten().map(|s| s.traced) {
        let unseen = |v: &&mut Value| v["statement"].as_str() == Some(t.piece.text.as_str()) && v.get("observed").is_none();
        if let Some(v) = statements.iter_mut().find(unseen) {
            v["observed"] = super::trace::effects(&t.observed.effects);
        }
    }
    Ok(())
}

fn text(v: &Value, out: &mut dyn Write) -> Result<(), CliError> {
    let words = v["statement"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    match v["line"].as_u64() {
        Some(line) => writeln!(out, "line {line}: {words}")?,
        None => writeln!(out, "{words}")?,
    }
    for (title, words) in lines(v) {
        writeln!(out, "{}", fit(18, &format!("  {title:15} {words}")))?;
    }
    Ok(())
}

/// What `describe` says, line by line, without what is empty.
pub fn lines(v: &Value) -> Vec<(&'static str, String)> {
    let map = |v: &Value| {
        v.as_object()
            .map(|o| o.iter().map(|(k, v)| format!("{k} {}", v.as_str().unwrap_or_default())).collect::<Vec<_>>().join(", "))
            .unwrap_or_default()
    };
    let list = |v: &Value| v.as_array().map(|a| a.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")).unwrap_or_default();
    let all = [
        ("locks", map(&v["locks"])),
        ("rewrites", list(&v["rewrites"])),
        ("scans", list(&v["scans"])),
        ("builds", list(&v["builds"])),
        ("fails", v["fails"].as_str().map(|f| format!("{f} {}", v["error"].as_str().unwrap_or_default())).unwrap_or_default()),
        ("breaks in N-1", map(&v["broken"])),
        ("breaks queries", map(&v["broken_queries"])),
        ("undo", v["undo"].as_str().unwrap_or_default().to_string()),
        ("observed locks", map(&v["observed"]["locks"])),
        ("observed error", v["observed"]["error"].as_str().unwrap_or_default().to_string()),
    ];
    all.into_iter().filter(|(_, words)| !words.is_empty()).collect()
}
