//! Output formats of `airlock check`: one file a format, one list.

mod concise;
mod fingerprint;
mod github;
mod gitlab;
mod json;
mod junit;
mod markdown;
mod rdjson;
mod sarif;
mod text;

use std::io::{self, Write};

use crate::compat::Undo;
use crate::diagnostic::{Diagnostic, RuleInfo, Severity};
use crate::source::SourceFile;

pub use fingerprint::fingerprints;
pub use json::positions;

/// Formats of `airlock check`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, strum::Display, strum::EnumString, strum::EnumIter, strum::IntoStaticStr, serde::Deserialize,
)]
#[strum(serialize_all = "kebab-case")]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// The statement with the words that matter, for people.
    #[default]
    Text,
    /// One line a finding.
    Concise,
    /// One JSON object; its shape is a contract.
    Json,
    /// One JSON object a line: each finding, then a summary.
    JsonLines,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Workflow commands that annotate a pull request.
    Github,
    /// Markdown, for a job's summary or the comment on a pull request.
    Markdown,
    /// GitLab code quality.
    Gitlab,
    /// JUnit XML.
    Junit,
    /// reviewdog's rdjson.
    Rdjson,
}

/// How many statements were understood.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statements {
    pub total: usize,
    pub understood: usize,
    /// Some of it is opaque.
    pub partial: usize,
    pub no_effect: usize,
    pub opaque: usize,
}

/// Whether release N-1 keeps working on the changed schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "kebab-case")]
pub enum CodeRollback {
    Ok,
    Breaks,
}

/// The two answers that an automated rollback asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub code_rollback: CodeRollback,
    /// After release N has written.
    pub schema_rollback: Undo,
}

/// All that `airlock check` found.
pub struct Report {
    pub files: usize,
    pub statements: Statements,
    /// In the order of files and positions.
    pub diagnostics: Vec<Diagnostic>,
    /// Findings that a comment allows.
    pub suppressed: usize,
    /// Findings that the baseline holds.
    pub known: usize,
    pub verdict: Verdict,
    /// Things to know that are no findings: how an ambiguity was resolved, files that cannot be read as SQL.
    pub notes: Vec<String>,
    /// Paths of the files that were checked, in order.
    pub checked: Vec<String>,
    /// What the rules say of themselves, for formats that carry it.
    pub rules: Vec<RuleInfo>,
}

impl Report {
    pub fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|d| d.severity == severity).count()
    }
}

/// What the writer may use.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    pub color: bool,
    pub unicode: bool,
    pub width: usize,
    /// Findings only, no summary.
    pub quiet: bool,
}

pub fn write(format: Format, report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Text => text::write(report, style, out),
        Format::Concise => concise::write(report, style, out),
        Format::Json => json::write(report, out),
        Format::JsonLines => json::write_lines(report, out),
        Format::Sarif => sarif::write(report, out),
        Format::Github => github::write(report, out),
        Format::Markdown => markdown::write(report, out),
        Format::Gitlab => gitlab::write(report, out),
        Format::Junit => junit::write(report, out),
        Format::Rdjson => rdjson::write(report, out),
    }
}

/// A file's path as machines read it.
pub fn path(source: &SourceFile) -> String {
    source.path().to_string_lossy().replace('\\', "/")
}

/// `1 file`, `2 files`.
pub fn plural(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// What a verdict means, in a sentence each.
pub fn verdict_words(v: Verdict) -> [String; 2] {
    let code = match v.code_rollback {
        CodeRollback::Ok => "code rollback: ok (release N-1 keeps working on the changed schema)",
        CodeRollback::Breaks => "code rollback: breaks (statements of release N-1 fail on the changed schema)",
    };
    let schema = match v.schema_rollback {
        Undo::Lossless => "schema rollback: lossless",
        Undo::LosesData => "schema rollback: loses data that release N wrote or that the change removed",
        Undo::BlockedByData => "schema rollback: blocked by data that release N may write",
        Undo::Impossible => "schema rollback: impossible without a backup",
    };
    [code.to_string(), schema.to_string()]
}

/// The lines at the end of the formats for people.
/// Words into lines of at most so many characters; a longer word has a line of its own.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(last) if last.chars().count() + 1 + word.chars().count() <= width => last.push_str(&format!(" {word}")),
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

fn summary(report: &Report) -> String {
    let s = report.statements;
    let kinds =
        [(s.understood, "understood"), (s.partial, "in part"), (s.no_effect, "without schema effect"), (s.opaque, "not understood")];
    let understood = match s.total {
        0 => String::new(),
        all if s.understood == all => ", all understood".into(),
        _ => {
            let some = kinds.iter().filter(|(n, _)| *n > 0).map(|(n, words)| format!("{n} {words}"));
            format!(": {}", some.collect::<Vec<_>>().join(", "))
        }
    };
    let mut out = format!("{} in {}{understood}\n", plural(s.total, "statement"), plural(report.files, "file"));
    let found = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Advice, "advice")]
        .into_iter()
        .filter_map(|(severity, word)| match report.count(severity) {
            0 => None,
            n if severity == Severity::Advice => Some(format!("{n} {word}")),
            n => Some(plural(n, word)),
        })
        .collect::<Vec<_>>();
    out.push_str(&if found.is_empty() { "no findings".to_string() } else { found.join(", ") });
    let fixable = report.diagnostics.iter().filter(|d| d.fix.as_ref().is_some_and(|f| f.safe)).count();
    let more =
        [(report.suppressed, "allowed by comments"), (report.known, "known from the baseline"), (fixable, "can be fixed with --fix")];
    let more: Vec<String> = more.iter().filter(|(n, _)| *n > 0).map(|(n, words)| format!("{n} {words}")).collect();
    if !more.is_empty() {
        out.push_str(&format!(" ({})", more.join(", ")));
    }
    out.push('\n');
    if s.total > 0 {
        for line in verdict_words(report.verdict) {
            out.push_str(&line);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests;
