//! Comments that allow findings: `-- airlock: allow rule-a, rule-b -- reason`, `-- airlock: allow-file …`, and those of other linters.

use super::{SourceFile, Span};

/// Whose comment it is.
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
    strum::VariantNames,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[strum(serialize_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    #[serde(skip)]
    Airlock,
    /// `-- squawk-ignore a, b` and `-- squawk-ignore-file a, b`; without names: everything.
    Squawk,
    /// `-- atlas:nolint a b`; without names: everything. With an empty line below it at the start of a file: the whole file.
    Atlas,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuppressionScope {
    /// The line it stands on, or the line below when nothing else stands on its own.
    Line(usize),
    File,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    pub dialect: Dialect,
    pub scope: SuppressionScope,
    /// As written; of another linter's comment possibly none, which means everything.
    pub rules: Vec<(String, Span)>,
    pub reason: Option<String>,
    pub span: Span,
}

/// Every suppression comment of the file in our own words. A comment alone on its line speaks of the next line that is neither blank nor a
/// comment.
pub fn suppressions(source: &SourceFile) -> Vec<Suppression> {
    comments(source, Dialect::Airlock)
}

/// The same of another linter.
pub fn comments(source: &SourceFile, dialect: Dialect) -> Vec<Suppression> {
    let mut out = Vec::new();
    let lines: Vec<&str> = source.text().split('\n').collect();
    // The next line with code on it, and whether all lines above are blank or comments: a file may be thousands of comments.
    let mut next_code = vec![None; lines.len() + 1];
    for (i, line) in lines.iter().enumerate().rev() {
        next_code[i] = if line.trim().is_empty() || is_comment(line) { next_code[i + 1] } else { Some(i) };
    }
    for (i, line) in lines.iter().enumerate() {
        let Some(found) = directive(line, dialect) else { continue };
        let base = source.line_start(i + 1).unwrap_or(0) as usize;
        let (names, reason) = match found.rest.split_once("--") {
            Some((n, r)) => (n, Some(r.trim().to_string()).filter(|r| !r.is_empty())),
            None => (found.rest, None),
        };
        let rules = rule_names(names, base + (found.rest.as_ptr() as usize - line.as_ptr() as usize));
        let alone = line[..found.at].trim().trim_start_matches('\u{feff}').is_empty();
        // Atlas: a comment with nothing but comments above it and an empty line below it.
        let heads = dialect == Dialect::Atlas
            && next_code[0].is_none_or(|first| first >= i)
            && lines.get(i + 1).is_none_or(|l| l.trim().is_empty());
        let scope = if found.whole_file || heads {
            SuppressionScope::File
        } else if alone {
            SuppressionScope::Line(next_code[i + 1].map_or(i + 2, |n: usize| n + 1))
        } else {
            SuppressionScope::Line(i + 1)
        };
        out.push(Suppression { dialect, scope, rules, reason, span: Span::new(base + found.at, base + line.trim_end().len()) });
    }
    out
}

fn is_comment(line: &str) -> bool {
    line.trim_start().trim_start_matches('\u{feff}').starts_with("--")
}

struct Directive<'a> {
    /// Where the comment starts in its line.
    at: usize,
    whole_file: bool,
    /// The names, and what follows them.
    rest: &'a str,
}

fn directive(line: &str, dialect: Dialect) -> Option<Directive<'_>> {
    for (at, _) in line.match_indices("--") {
        let body = line[at + 2..].trim_start();
        // The longer word first: it begins with the shorter one.
        let (words, separators): (&[(&str, bool)], &[char]) = match dialect {
            Dialect::Airlock => (&[("allow-file", true), ("allow", false)], &[' ', '\t', ':']),
            Dialect::Squawk => (&[("squawk-ignore-file", true), ("squawk-ignore", false)], &[' ', '\t', ':', ',']),
            Dialect::Atlas => (&[("atlas:nolint", false)], &[' ', '\t', ',']),
        };
        let body = match dialect {
            Dialect::Airlock => match body.strip_prefix("airlock:") {
                Some(rest) => rest.trim(),
                None => continue,
            },
            _ => body.trim_end(),
        };
        for (word, whole_file) in words {
            if let Some(rest) = body.strip_prefix(word).filter(|r| r.is_empty() || r.starts_with(separators)) {
                return Some(Directive { at, whole_file: *whole_file, rest });
            }
        }
    }
    None
}

fn rule_names(text: &str, base: usize) -> Vec<(String, Span)> {
    let mut out = Vec::new();
    let mut at = 0;
    for part in text.split([',', ' ', '\t', ':']) {
        if !part.is_empty() {
            out.push((part.to_string(), Span::new(base + at, base + at + part.len())));
        }
        at += part.len() + 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_and_file_scopes_with_reason() {
        let f = SourceFile::new(
            "x.sql",
            "-- airlock: allow-file syntax-error\n\n-- airlock: allow drop-column, rename-table -- agreed\n-- more\nALTER TABLE a DROP b; -- airlock: allow x\n",
        );
        let s = suppressions(&f);
        assert_eq!(s.len(), 3);
        assert_eq!(s[0].scope, SuppressionScope::File);
        assert_eq!(s[1].scope, SuppressionScope::Line(5));
        assert_eq!(s[1].reason.as_deref(), Some("agreed"));
        assert_eq!(s[1].rules.iter().map(|r| f.slice(r.1)).collect::<Vec<_>>(), ["drop-column", "rename-table"]);
        assert_eq!(s[2].scope, SuppressionScope::Line(5));
    }

    #[test]
    fn comments_of_other_linters() {
        let f = SourceFile::new(
            "x.sql",
            "-- atlas:nolint DS103\n\n-- squawk-ignore ban-drop-column, prefer-text-field\nALTER TABLE a DROP b;\n-- atlas:nolint\n-- squawk-ignore-file\nDROP TABLE a; -- squawk-ignored not\n",
        );
        let squawk = comments(&f, Dialect::Squawk);
        assert_eq!(squawk.len(), 2);
        assert_eq!(squawk[0].scope, SuppressionScope::Line(4));
        assert_eq!(squawk[0].rules.iter().map(|r| r.0.as_str()).collect::<Vec<_>>(), ["ban-drop-column", "prefer-text-field"]);
        assert!(squawk[1].scope == SuppressionScope::File && squawk[1].rules.is_empty());
        let atlas = comments(&f, Dialect::Atlas);
        assert_eq!(atlas[0].scope, SuppressionScope::File);
        assert_eq!(atlas[1].scope, SuppressionScope::Line(7));
    }
}
