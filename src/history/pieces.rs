//! Where a runner's own delimiters cut a script, if they are not the semicolons that psql sees.

use crate::source::{SourceFile, Span};

/// The parts between delimiters, without those that are blank.
pub fn cut(source: &SourceFile, span: Span, delimiter: &str) -> Vec<Span> {
    let text = source.slice(span);
    let mut out = Vec::new();
    let mut from = 0;
    let ends: Vec<usize> = if delimiter.is_empty() { Vec::new() } else { text.match_indices(delimiter).map(|(i, _)| i).collect() };
    for end in ends.into_iter().chain([text.len()]) {
        if end >= from {
            if !text[from..end].trim().is_empty() {
                out.push(Span::new(span.start as usize + from, span.start as usize + end));
            }
            from = end + delimiter.len();
        }
    }
    out
}

/// The parts between delimiters that end a line (Liquibase's `endDelimiter:/`), whatever their case.
pub fn cut_at_line_ends(source: &SourceFile, span: Span, delimiter: &str) -> Vec<Span> {
    let base = span.start as usize;
    let (mut out, mut from, mut at) = (Vec::new(), 0, 0);
    let text = source.slice(span);
    let wanted = delimiter.to_ascii_lowercase();
    let mut push = |from: usize, end: usize| {
        if !text[from..end].trim().is_empty() {
            out.push(Span::new(base + from, base + end));
        }
    };
    for line in text.split_inclusive('\n') {
        let words = line.trim_end();
        if words.to_ascii_lowercase().ends_with(&wanted) {
            push(from, at + words.len() - wanted.len());
            from = at + line.len();
        }
        at += line.len();
    }
    push(from, text.len());
    out
}

/// Several statements that goose and sql-migrate send as one query: between StatementBegin and StatementEnd, and where a line
/// goes on behind a semicolon, since both look only at the ends of lines.
pub fn blocks(source: &SourceFile, parts: &[Span], prefix: &str) -> Vec<Span> {
    let mut out = Vec::new();
    for part in parts {
        let mut begin = None;
        // Where the query that is being gathered begins.
        let mut from = None;
        let mut at = part.start as usize;
        for line in source.slice(*part).split_inclusive('\n') {
            let words = line.trim().strip_prefix("--").map(str::trim_start).and_then(|l| l.strip_prefix(prefix)).map(str::trim);
            let end = at + line.len();
            match words {
                Some("StatementBegin") => (begin, from) = (Some(end), None),
                Some("StatementEnd") => {
                    if let Some(b) = begin.take() {
                        out.push(Span::new(b, at));
                    }
                }
                _ if begin.is_some() || line.trim().is_empty() || (from.is_none() && line.trim().starts_with("--")) => {}
                _ => {
                    let start = *from.get_or_insert(at);
                    let code = line.split(" --").next().unwrap_or_default().trim_end();
                    if code.ends_with(';') {
                        if code.matches(';').count() > 1 || source.text()[start..at].contains(';') {
                            out.push(Span::new(start, end));
                        }
                        from = None;
                    }
                }
            }
            at = end;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(f: &SourceFile, spans: Vec<Span>) -> Vec<&str> {
        spans.into_iter().map(|s| f.slice(s).trim()).collect()
    }

    #[test]
    fn delimiters_cut_and_blank_parts_vanish() {
        let f = SourceFile::new("x", "a;\n-- end\nb; c\n-- end\n\n");
        assert_eq!(words(&f, cut(&f, f.full_span(), "-- end\n")), ["a;", "b; c"]);
        let f = SourceFile::new("x", "a; b\nGO\nc / 2\ngo\r\n");
        assert_eq!(words(&f, cut_at_line_ends(&f, f.full_span(), "go")), ["a; b", "c / 2"]);
    }

    #[test]
    fn what_goose_sends_as_one_query() {
        let text = "SELECT 1;\nSELECT 2; SELECT 3;\n-- +goose StatementBegin\nSELECT 4;\nSELECT 5;\n-- +goose StatementEnd\nSELECT 6; SELECT\n7;\n";
        let f = SourceFile::new("x", text);
        assert_eq!(
            words(&f, blocks(&f, &[f.full_span()], "+goose ")),
            ["SELECT 2; SELECT 3;", "SELECT 4;\nSELECT 5;", "SELECT 6; SELECT\n7;"]
        );
    }
}
