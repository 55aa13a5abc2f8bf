//! `airlock history`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::history::{History, Migration, Script};
use crate::report::plural;

use super::project::Project;
use super::screen::fit;
use super::{CliError, ListFormat, SourceArgs};

#[derive(Debug, Args)]
pub struct HistoryArgs {
    paths: Vec<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output_format: ListFormat,
}

pub fn run(args: &HistoryArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let project = Project::open(&args.paths, &args.source)?;
    if args.output_format == ListFormat::Json {
        let list: Vec<Value> = project.histories.iter().map(describe).collect();
        serde_json::to_writer_pretty(&mut *out, &json!({ "schema_version": 1, "histories": list })).map_err(std::io::Error::from)?;
        writeln!(out)?;
        return Ok(0);
    }
    for h in &project.histories {
        text(h, out)?;
    }
    Ok(0)
}

/// For people: one history.
pub fn text(h: &History, out: &mut dyn Write) -> Result<(), CliError> {
    let together = if h.all_pending_in_one { "; all that are pending run in one transaction" } else { "" };
    let count = plural(h.migrations.len(), "migration");
    writeln!(out, "{}: {} (by {}), {count}{together}", h.root.display(), h.framework, h.evidence)?;
    for m in &h.migrations {
        let file = |s: &Script| s.source.path().display().to_string();
        let mark = if h.selected.contains(&index(h, m)) || h.selected.len() == h.migrations.len() { ' ' } else { '-' };
        writeln!(out, "{}", fit(28, &format!("{mark} {:20} up   {} ({})", m.version, file(&m.up), m.up.execution)))?;
        if let Some(d) = &m.down {
            writeln!(out, "{}", fit(28, &format!("  {:20} down {} ({})", "", file(d), d.execution)))?;
        }
        for n in &m.notes {
            writeln!(out, "{}", fit(23, &format!("  {:20} note: {n}", "")))?;
        }
    }
    for n in &h.notes {
        writeln!(out, "{}", fit(6, &format!("note: {n}")))?;
    }
    Ok(())
}

fn index(h: &History, m: &Migration) -> usize {
    h.migrations.iter().position(|o| std::ptr::eq(o, m)).unwrap_or_default()
}

/// For programs: one history. The keys are described in `docs/frameworks.md`.
pub fn describe(h: &History) -> Value {
    let migrations: Vec<Value> = h
        .migrations
        .iter()
        .enumerate()
        .map(|(i, m)| {
            json!({
                "version": m.version,
                "name": m.name,
                "selected": h.selected.contains(&i),
                "up": script(&m.up),
                "down": m.down.as_ref().map(script),
                "notes": m.notes,
            })
        })
        .collect();
    json!({
        "root": h.root.display().to_string(),
        "framework": h.framework.to_string(),
        "evidence": h.evidence,
        "all_pending_in_one_transaction": h.all_pending_in_one,
        "has_code": h.has_code,
        "migrations": migrations,
        "notes": h.notes,
    })
}

fn script(s: &Script) -> Value {
    let lines: Vec<Value> = s
        .parts
        .iter()
        .map(|p| json!([s.source.position(p.start).line, s.source.position(p.end.saturating_sub(1).max(p.start)).line]))
        .collect();
    json!({
        "file": s.source.path().display().to_string(),
        "lines": lines,
        "transaction": s.execution.transaction,
        "send": s.execution.send.to_string(),
        "queries": s.execution.queries.len(),
        "statements": crate::lower::lower(&s.source, &s.parts).len(),
    })
}
