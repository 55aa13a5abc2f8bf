//! What is reported: one type for every format.

use crate::source::{SourceFile, Span};

#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
    serde::Serialize,
    serde::Deserialize,
)]
#[strum(serialize_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Advice,
    Warning,
    Error,
}

#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// Kebab-case name of the rule.
    pub rule: String,
    pub severity: Severity,
    pub source: SourceFile,
    /// The exact words.
    pub span: Span,
    /// The whole statement.
    pub statement: Span,
    /// One sentence: what happens to the running system.
    pub message: String,
    /// Said at the span; empty: nothing.
    pub label: String,
    /// Other places that matter.
    pub related: Vec<(Span, String)>,
    /// The next step.
    pub help: String,
    pub fix: Option<Fix>,
    /// Table, column or other object that it is about: part of the fingerprint.
    pub object: String,
}

/// What a rule says of itself, for formats that carry it beside the findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleInfo {
    pub name: String,
    pub summary: String,
    pub why: String,
    /// The whole page, in Markdown.
    pub page: String,
    pub severity: Severity,
    pub default: bool,
    pub tags: Vec<String>,
}

impl RuleInfo {
    /// Where the rule's page stands.
    pub fn url(&self) -> String {
        format!("https://airlock-pg.github.io/airlock/rules/{}.html", self.name)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    pub title: String,
    /// Applied without being asked twice.
    pub safe: bool,
    /// Non-overlapping, in order.
    pub edits: Vec<Edit>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub span: Span,
    pub text: String,
}
