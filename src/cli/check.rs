//! `airlock check`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use rayon::prelude::*;

use crate::compat::Undo;
use crate::diagnostic::Severity;
use crate::history::History;
use crate::op::Understood;
use crate::report::{self, CodeRollback, Format, Report, Statements, Style, Verdict};
use crate::rules::{Checked, Checker, RuleSet, Selection};

use super::project::{Judged, Project};
use super::{CliError, SourceArgs, parse_format, parse_severity};

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Migration files, or folders of them; the whole history around them is read for the schema.
    paths: Vec<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
    /// text, concise, json, json-lines, sarif, github, markdown, gitlab, junit or rdjson.
    #[arg(long, value_name = "FORMAT", value_parser = parse_format, env = "AIRLOCK_OUTPUT_FORMAT")]
    output_format: Option<Format>,
    /// Rules, groups or tags to check, instead of the default ones; `all` is every rule.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    select: Vec<String>,
    /// Rules, groups or tags to leave out.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    ignore: Vec<String>,
    /// Exit with 1 when a finding is at least this severe.
    #[arg(long, value_name = "SEVERITY", default_value = "warning", value_parser = parse_severity)]
    fail_on: Severity,
    /// Exit with 0 even when there are findings.
    #[arg(long)]
    exit_zero: bool,
}

pub fn run(args: &CheckArgs, style: Style, out: &mut dyn Write) -> Result<u8, CliError> {
    let project = Project::open(&args.paths, &args.source)?;
    let rules = project.rules()?;
    let mut selection = Selection {
        select: project.config.rules.select.clone(),
        ignore: project.config.rules.ignore.clone(),
        severity: project.config.rules.severity.clone(),
    };
    if !args.select.is_empty() {
        selection.select.clone_from(&args.select);
    }
    selection.ignore.extend(args.ignore.iter().cloned());
    for name in selection.select.iter().chain(&selection.ignore) {
        let known = name == "all" || rules.knows(name) || rules.iter().any(|r| r.group == *name || r.tags.contains(name));
        if !known {
            let near = rules.suggest(name).map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
            return Err(CliError::Usage(format!("no rule, group or tag is called `{name}`{near}")));
        }
    }
    let judged = project.judge();
    let checker = Checker::new(&rules, &selection);
    let checked: Vec<Checked> = judged.par_iter().map(|j| checker.check(&j.script)).collect();
    let report = report(&project, &rules, &judged, checked);
    // Only where human text would have been.
    let in_actions = std::env::var_os("GITHUB_ACTIONS").is_some_and(|v| v == "true");
    let format = args.output_format.unwrap_or(if in_actions { Format::Github } else { Format::Text });
    report::write(format, &report, style, out)?;
    let failed = report.diagnostics.iter().any(|d| d.severity >= args.fail_on);
    Ok(u8::from(failed && !args.exit_zero))
}

fn report(project: &Project, rules: &RuleSet, judged: &[Judged], checked: Vec<Checked>) -> Report {
    let mut statements = Statements::default();
    let mut verdict = Verdict { code_rollback: CodeRollback::Ok, schema_rollback: Undo::Lossless };
    for j in judged {
        let s = &j.script;
        statements.total += s.statements.len();
        statements.understood += s.understood(Understood::Full);
        statements.partial += s.understood(Understood::Partial);
        statements.no_effect += s.understood(Understood::NoEffect);
        statements.opaque += s.understood(Understood::Opaque);
        if s.compat.breaks_code() {
            verdict.code_rollback = CodeRollback::Breaks;
        }
        verdict.schema_rollback = verdict.schema_rollback.max(s.compat.undo);
    }
    let files: std::collections::BTreeSet<_> = judged.iter().map(|j| j.script.source.path().to_path_buf()).collect();
    let diagnostics: Vec<_> = checked.iter().flat_map(|c| c.diagnostics.iter().cloned()).collect();
    let found: std::collections::BTreeSet<&str> = diagnostics.iter().map(|d| d.rule.as_str()).collect();
    Report {
        rules: rules.iter().filter(|r| found.contains(r.name.as_str())).map(|r| r.info()).collect(),
        checked: files.iter().map(|p| p.to_string_lossy().replace('\\', "/")).collect(),
        files: files.len(),
        statements,
        suppressed: checked.iter().map(|c| c.suppressed).sum(),
        diagnostics,
        verdict,
        notes: project.histories.iter().flat_map(|h| h.notes.iter().cloned().chain(file_notes(h))).collect(),
    }
}

/// How the runner takes the files that were asked for, where that is not what their authors expect.
fn file_notes(h: &History) -> impl Iterator<Item = String> {
    let asked = h.selected.iter().filter_map(|i| h.migrations.get(*i));
    asked.flat_map(|m| m.notes.iter().map(|n| format!("{}: {n}", m.up.source.path().display())))
}
