//! `-- airlock: allow rule-a, rule-b -- reason` and `-- airlock: allow-file …`.

use super::{SourceFile, Span};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuppressionScope {
    /// The line it stands on, or the line below when nothing else stands on its own.
    Line(usize),
    File,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    pub scope: SuppressionScope,
    pub rules: Vec<(String, Span)>,
    pub reason: Option<String>,
    pub span: Span,
}

/// Every suppression comment of the file. A comment alone on its line speaks of the next line that is neither blank nor a comment.
pub fn suppressions(source: &SourceFile) -> Vec<Suppression> {
    let mut out = Vec::new();
    let lines: Vec<&str> = source.text().split('\n').collect();
    for (i, line) in lines.iter().enumerate() {
        let Some((at, body)) = directive(line) else { continue };
        let (whole_file, rest) = match body.strip_prefix("allow-file") {
            Some(rest) => (true, rest),
            None => match body.strip_prefix("allow") {
                Some(rest) => (false, rest),
                None => continue,
            },
        };
        if !rest.is_empty() && !rest.starts_with([' ', '\t', ':']) {
            continue;
        }
        let base = source.line_start(i + 1).unwrap_or(0) as usize;
        let (names, reason) = match rest.split_once("--") {
            Some((n, r)) => (n, Some(r.trim().to_string()).filter(|r| !r.is_empty())),
            None => (rest, None),
        };
        let rules = rule_names(names, base + (rest.as_ptr() as usize - line.as_ptr() as usize));
        let alone = line[..at].trim().is_empty();
        let scope = if whole_file {
            SuppressionScope::File
        } else if alone {
            let next = lines[i + 1..].iter().position(|l| !l.trim().is_empty() && !l.trim_start().starts_with("--"));
            SuppressionScope::Line(next.map_or(i + 2, |n| i + 2 + n))
        } else {
            SuppressionScope::Line(i + 1)
        };
        out.push(Suppression { scope, rules, reason, span: Span::new(base + at, base + line.trim_end().len()) });
    }
    out
}

/// The text after `-- airlock:` and where the comment starts.
fn directive(line: &str) -> Option<(usize, &str)> {
    let mut from = 0;
    while let Some(i) = line[from..].find("--") {
        let at = from + i;
        let body = line[at + 2..].trim_start();
        if let Some(rest) = body.strip_prefix("airlock:") {
            return Some((at, rest.trim()));
        }
        from = at + 2;
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
}
