//! What is reported: one type for every format.

use crate::source::{SourceFile, Span};
use crate::sql::token::{SqlText, TokenKind, tokenize};

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
    schemars::JsonSchema,
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

impl Diagnostic {
    /// The same finding after other edits of the file: rule, normalised statement and object, never the line. 16 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        use sha2::{Digest, Sha256};
        let mut h = Sha256::new();
        for part in [&self.rule, &normalised(self.source.slice(self.statement)), &self.object] {
            h.update(part.as_bytes());
            h.update([0]);
        }
        h.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect()
    }
}

/// A statement without comments, with one space between tokens and words in lower case: what may change without changing what it does.
pub fn normalised(sql: &str) -> String {
    let source = SourceFile::new("", sql);
    let text = SqlText::of(&source);
    let words = tokenize(text).into_iter().map(|t| match t.kind {
        TokenKind::Word => text.slice(t.span).to_lowercase(),
        _ => text.slice(t.span).to_string(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spacing_comments_and_case_of_words_do_not_count() {
        assert_eq!(normalised("DROP  TABLE -- x\n \"A\" /* y */;"), normalised("drop table\n\"A\" ;"));
        assert_ne!(normalised("DROP TABLE \"A\""), normalised("DROP TABLE \"a\""));
        assert_ne!(normalised("SELECT 'A'"), normalised("SELECT 'a'"));
    }
}
