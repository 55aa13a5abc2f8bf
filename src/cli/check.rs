//! `airlock check` and `airlock baseline`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::compat::Undo;
use crate::diagnostic::{Diagnostic, Severity};
use crate::history::{History, HistoryError};
use crate::op::Understood;
use crate::replay::ReplayedScript;
use crate::report::{self, CodeRollback, Format, Report, Statements, Style, Verdict, plural};
use crate::rules::{Baseline, Checked, Fixes, RuleSet};

use super::fix::{self, FixArgs};
use super::narrow::NarrowArgs;
use super::project::Project;
use super::settings::{RuleArgs, Settings, read};
use super::{CliError, SourceArgs, parse_format, parse_severity, watch};

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Migration files, or folders of them; the whole history around them is read for the schema.
    paths: Vec<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    rules: RuleArgs,
    #[command(flatten)]
    fix: FixArgs,
    /// text, concise, json, json-lines, sarif, github, markdown, gitlab, junit or rdjson.
    #[arg(long, value_name = "FORMAT", value_parser = parse_format, env = "AIRLOCK_OUTPUT_FORMAT")]
    output_format: Option<Format>,
    #[command(flatten)]
    narrow: NarrowArgs,
    /// Write the report into a file instead of the standard output.
    #[arg(long, short, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// Findings that are known: the file that `airlock baseline` writes.
    #[arg(long, value_name = "FILE", env = "AIRLOCK_BASELINE")]
    baseline: Option<PathBuf>,
    /// Exit with 1 when a finding is at least this severe.
    #[arg(long, value_name = "SEVERITY", default_value = "warning", value_parser = parse_severity, env = "AIRLOCK_FAIL_ON")]
    fail_on: Severity,
    /// Exit with 0 even when there are findings.
    #[arg(long)]
    exit_zero: bool,
    /// Count the findings of each rule instead of showing them.
    #[arg(long)]
    statistics: bool,
    /// A path without SQL files is no error.
    #[arg(long)]
    no_error_on_unmatched: bool,
    /// List the files that would be reported on, and check nothing.
    #[arg(long)]
    show_files: bool,
    /// Say on standard error what was read: configuration, migration runner, number of migrations.
    #[arg(long, short)]
    verbose: bool,
    /// Check again whenever a file changes, until Ctrl-C.
    #[arg(long, conflicts_with_all = ["fix", "unsafe_fixes", "show_files"])]
    watch: bool,
}

pub fn run(args: &CheckArgs, style: Style, out: &mut dyn Write) -> Result<u8, CliError> {
    if args.watch { watch::run(&args.paths, &args.source, out, |out| once(args, style, out)) } else { once(args, style, out) }
}

fn once(args: &CheckArgs, style: Style, out: &mut dyn Write) -> Result<u8, CliError> {
    let paths = existing(&args.paths, args.no_error_on_unmatched)?;
    let Some(paths) = paths else { return Ok(0) };
    let open = || Project::open_with(&paths, &args.source, true).and_then(|p| args.narrow.apply(p));
    let mut project = open()?;
    if args.verbose {
        say_what_was_read(&project);
    }
    if args.show_files {
        let asked = project.histories.iter().flat_map(|h| h.selected.iter().filter_map(|i| h.migrations.get(*i)));
        // A file may hold several migrations, or both halves of one.
        let files: BTreeSet<String> = asked.flat_map(|m| std::iter::once(&m.up).chain(&m.down)).map(|s| report::path(&s.source)).collect();
        for f in files {
            writeln!(out, "{f}")?;
        }
        return Ok(0);
    }
    let settings = Settings::new(&project, &args.rules)?;
    let known = baseline(&project, args.baseline.as_ref())?;
    let mut notes = Vec::new();
    if args.fix.asked() {
        let wanted = known.as_ref();
        let drafts = fix::drafts(&settings, &project.judge(), &args.fix, wanted);
        if args.fix.diff {
            fix::diff(&drafts, style, out)?;
            return Ok(u8::from(!drafts.is_empty() && !args.exit_zero));
        }
        notes = fix::write(&drafts)?;
        project = open()?;
    }
    // Only where human text would have been.
    let in_actions = std::env::var_os("GITHUB_ACTIONS").is_some_and(|v| v == "true");
    let default = if in_actions && args.output_file.is_none() { Format::Github } else { Format::Text };
    let format = args.output_format.unwrap_or(default);
    let fixes = if args.statistics { Fixes::All } else { fixes_in(format) };
    let checked = settings.check(&project, fixes, |script, checked| (Seen::of(script), checked));
    let mut report = report(&project, &settings.rules, checked);
    report.notes.extend(settings.notes);
    report.notes.extend(notes);
    if let Some(known) = known {
        forget(&mut report, &known);
    }
    let mut file = match &args.output_file {
        Some(path) => {
            let f = std::fs::File::create(path).map_err(|e| CliError::Usage(format!("{}: cannot be written: {e}", path.display())))?;
            Some(std::io::BufWriter::new(f))
        }
        None => None,
    };
    let style = if file.is_some() { Style { color: false, ..style } } else { style };
    let to: &mut dyn Write = match &mut file {
        Some(f) => f,
        None => out,
    };
    if args.statistics {
        statistics(&report, format, to)?;
    } else {
        report::write(format, &report, style, to)?;
    }
    to.flush()?;
    let failed = report.diagnostics.iter().any(|d| d.severity >= args.fail_on);
    Ok(u8::from(failed && !args.exit_zero))
}

/// What a format says of fixes: the edits, or how many `--fix` applies.
fn fixes_in(format: Format) -> Fixes {
    match format {
        Format::Json | Format::JsonLines | Format::Sarif | Format::Rdjson => Fixes::All,
        Format::Text | Format::Concise | Format::Github | Format::Markdown => Fixes::Safe,
        Format::Gitlab | Format::Junit => Fixes::None,
    }
}

fn say_what_was_read(project: &Project) {
    let config = project.config.origin.as_ref().map_or("no configuration".to_string(), |o| o.path.display().to_string());
    let _ = writeln!(std::io::stderr(), "configuration: {config}; Postgres {}", project.pg.0);
    for h in &project.histories {
        let count = plural(h.migrations.len(), "migration");
        let _ = writeln!(
            std::io::stderr(),
            "{}: {} (by {}), {count}, {} reported on",
            h.root.display(),
            h.framework,
            h.evidence,
            h.selected.len()
        );
    }
}

/// The paths in which there is SQL; `None`: there were paths, and none of them has any.
fn existing(paths: &[PathBuf], lenient: bool) -> Result<Option<Vec<PathBuf>>, CliError> {
    if !lenient {
        return Ok(Some(paths.to_vec()));
    }
    let asked = if paths.is_empty() { vec![PathBuf::from(".")] } else { paths.to_vec() };
    let mut found = Vec::new();
    for p in asked {
        match crate::history::discover(std::slice::from_ref(&p), &crate::history::Options::default()) {
            Err(HistoryError::NotFound(_) | HistoryError::NoSql(_) | HistoryError::NotSql(_)) => {}
            _ => found.push(p),
        }
    }
    Ok((!found.is_empty()).then_some(found))
}

fn baseline(project: &Project, asked: Option<&PathBuf>) -> Result<Option<Baseline>, CliError> {
    let Some(path) = asked.or(project.config.baseline.as_ref()) else { return Ok(None) };
    let text = read(path)?;
    Baseline::read(&text).map(Some).map_err(|e| CliError::Usage(format!("{}:{e}", path.display())))
}

/// Takes the known findings out of the report.
fn forget(report: &mut Report, known: &Baseline) {
    let c = known.compare(std::mem::take(&mut report.diagnostics), &report.checked);
    report.diagnostics = c.new;
    report.known = c.known;
    if !c.stale.is_empty() {
        let words: Vec<String> = c.stale.iter().take(5).map(|e| format!("{} in {}", e.rule, e.path)).collect();
        let more = if c.stale.len() > 5 { format!(" and {} more", c.stale.len() - 5) } else { String::new() };
        let entries = if c.stale.len() == 1 { "1 entry matches".to_string() } else { format!("{} entries match", c.stale.len()) };
        report
            .notes
            .push(format!("baseline: {entries} nothing any more ({}{more}); write it anew with `airlock baseline`", words.join(", ")));
    }
}

/// Findings by rule, most of them first.
fn statistics(report: &Report, format: Format, out: &mut dyn Write) -> Result<(), CliError> {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for d in &report.diagnostics {
        let c = counts.entry(&d.rule).or_default();
        c.0 += 1;
        c.1 += usize::from(d.fix.is_some());
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(rule, (n, _))| (std::cmp::Reverse(*n), *rule));
    if format == Format::Json {
        let list: Vec<_> = counts.iter().map(|(r, (n, f))| serde_json::json!({ "rule": r, "count": n, "fixable": f })).collect();
        let v = serde_json::json!({ "schema_version": 1, "statistics": list });
        serde_json::to_writer_pretty(&mut *out, &v).map_err(std::io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    for (rule, (n, fixable)) in counts {
        writeln!(out, "{n:6}  {rule}{}", if fixable > 0 { format!("  ({fixable} can be fixed)") } else { String::new() })?;
    }
    Ok(())
}

/// What the report says of a script beside its findings.
struct Seen {
    path: PathBuf,
    statements: Statements,
    breaks_code: bool,
    undo: Undo,
}

impl Seen {
    fn of(s: &ReplayedScript) -> Seen {
        let statements = Statements {
            total: s.statements.len(),
            understood: s.understood(Understood::Full),
            partial: s.understood(Understood::Partial),
            no_effect: s.understood(Understood::NoEffect),
            opaque: s.understood(Understood::Opaque),
        };
        Seen { path: s.source.path().to_path_buf(), statements, breaks_code: s.compat.breaks_code(), undo: s.compat.undo }
    }
}

fn report(project: &Project, rules: &RuleSet, seen: Vec<(Seen, Checked)>) -> Report {
    let mut statements = Statements::default();
    let mut verdict = Verdict { code_rollback: CodeRollback::Ok, schema_rollback: Undo::Lossless };
    let mut files = BTreeSet::new();
    let (mut diagnostics, mut unused, mut suppressed) = (Vec::new(), 0, 0);
    for (s, checked) in seen {
        statements.total += s.statements.total;
        statements.understood += s.statements.understood;
        statements.partial += s.statements.partial;
        statements.no_effect += s.statements.no_effect;
        statements.opaque += s.statements.opaque;
        if s.breaks_code {
            verdict.code_rollback = CodeRollback::Breaks;
        }
        verdict.schema_rollback = verdict.schema_rollback.max(s.undo);
        files.insert(s.path);
        unused += checked.unused;
        suppressed += checked.suppressed;
        diagnostics.extend(checked.diagnostics);
    }
    let mut notes: Vec<String> = project.histories.iter().flat_map(|h| h.notes.iter().cloned().chain(file_notes(h))).collect();
    if unused > 0 {
        notes.push(format!("workload: {} left out, because no query of release N-1 breaks", plural(unused, "finding")));
    }
    let found: BTreeSet<&str> = diagnostics.iter().map(|d| d.rule.as_str()).collect();
    Report {
        rules: rules.iter().filter(|r| found.contains(r.name.as_str())).map(|r| r.info()).collect(),
        checked: files.iter().map(|p| p.to_string_lossy().replace('\\', "/")).collect(),
        files: files.len(),
        statements,
        suppressed,
        known: 0,
        diagnostics,
        verdict,
        notes,
    }
}

#[derive(Debug, Args)]
pub struct BaselineArgs {
    /// Migration files, or folders of them.
    paths: Vec<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    rules: RuleArgs,
    /// The file to write; the `baseline` of airlock.toml, or `airlock-baseline.json`, unless given.
    #[arg(long, short, value_name = "FILE")]
    output_file: Option<PathBuf>,
}

/// Writes today's findings into a file, so that only new ones are reported.
pub fn write_baseline(args: &BaselineArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let project = Project::open_with(&args.paths, &args.source, true)?;
    let settings = Settings::new(&project, &args.rules)?;
    let found: Vec<Diagnostic> = settings.check(&project, Fixes::None, |_, c| c.diagnostics).into_iter().flatten().collect();
    let path = args.output_file.clone().or(project.config.baseline.clone()).unwrap_or_else(|| PathBuf::from("airlock-baseline.json"));
    crate::history::write_atomically(&path, Baseline::of(&found).to_json().as_bytes())?;
    writeln!(out, "{}: {}", path.display(), plural(found.len(), "finding"))?;
    if project.config.baseline.is_none() {
        writeln!(out, "Use it with `--baseline {0}`, or with `baseline = \"{0}\"` in airlock.toml.", path.display())?;
    }
    Ok(0)
}

/// How the runner takes the files that were asked for, where that is not what their authors expect.
fn file_notes(h: &History) -> impl Iterator<Item = String> {
    let asked = h.selected.iter().filter_map(|i| h.migrations.get(*i));
    asked.flat_map(|m| m.notes.iter().map(|n| format!("{}: {n}", m.up.source.path().display())))
}
