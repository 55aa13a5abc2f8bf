//! `airlock check --fix`, `--unsafe-fixes` and `--diff`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use rayon::prelude::*;

use crate::history;
use crate::replay::ReplayedScript;
use crate::report::{Style, plural};
use crate::rules::{self, Baseline, Draft};

use super::CliError;
use super::settings::Settings;

#[derive(Debug, Clone, Default, Args)]
pub struct FixArgs {
    /// Mend what a text edit can mend, in the files. Only fixes that leave the meaning as it is.
    #[arg(long)]
    pub fix: bool,
    /// Print what `--fix` would change, and write nothing; exit with 1 when there is something.
    #[arg(long)]
    pub diff: bool,
    /// With `--fix` or `--diff`: fixes as well that need a step of yours afterwards.
    #[arg(long)]
    pub unsafe_fixes: bool,
}

impl FixArgs {
    pub fn asked(&self) -> bool {
        self.fix || self.diff
    }
}

/// Every file with something to mend, mended. Findings of the baseline are left alone.
pub fn drafts(settings: &Settings, judged: &[ReplayedScript], args: &FixArgs, known: Option<&Baseline>) -> Vec<Draft> {
    let mut files: BTreeMap<PathBuf, Vec<&ReplayedScript>> = BTreeMap::new();
    for j in judged {
        files.entry(j.source.path().to_path_buf()).or_default().push(j);
    }
    let files: Vec<(PathBuf, Vec<&ReplayedScript>)> = files.into_iter().collect();
    files
        .par_iter()
        .filter_map(|(path, parts)| {
            let wanted = |d: &crate::diagnostic::Diagnostic| {
                let print = d.fingerprint();
                !known.is_some_and(|k| k.findings.iter().any(|e| e.fingerprint == print))
            };
            rules::mend(&settings.rules, parts, &settings.at(path), args.unsafe_fixes, &wanted)
        })
        .collect()
}

/// Writes the files; what was done is a note.
pub fn write(drafts: &[Draft]) -> Result<Vec<String>, CliError> {
    for d in drafts {
        history::write_sql(d.source.path(), d.source.text(), &d.text)?;
    }
    let n: usize = drafts.iter().map(|d| d.applied.len()).sum();
    let mut notes = Vec::new();
    if n > 0 {
        notes.push(format!("{} in {} fixed", plural(n, "finding"), plural(drafts.len(), "file")));
    }
    Ok(notes)
}

/// Unified diffs, as `patch -p0` takes them.
pub fn diff(drafts: &[Draft], style: Style, out: &mut dyn Write) -> Result<(), CliError> {
    for d in drafts {
        let name = d.source.path().display().to_string();
        let text = similar::TextDiff::from_lines(d.source.text(), &d.text);
        let shown = text.unified_diff().context_radius(2).header(&name, &name).to_string();
        for line in shown.lines() {
            match line.chars().next() {
                Some('+') if style.color => writeln!(out, "\u{1b}[32m{line}\u{1b}[0m")?,
                Some('-') if style.color => writeln!(out, "\u{1b}[31m{line}\u{1b}[0m")?,
                _ => writeln!(out, "{line}")?,
            }
        }
    }
    let n: usize = drafts.iter().map(|d| d.applied.len()).sum();
    if !style.quiet && n == 0 {
        writeln!(out, "nothing to fix")?;
    }
    Ok(())
}
