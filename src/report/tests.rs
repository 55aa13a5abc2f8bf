//! What people and machines get to see, on two findings in one file.

use crate::compat::Undo;
use crate::diagnostic::{Diagnostic, Edit, Fix, Severity};
use crate::source::{SourceFile, Span};

use super::*;

fn report() -> Report {
    let text = "-- é\nALTER TABLE orders\n  DROP COLUMN note;\nCREATE INDEX i ON orders (a);\n";
    let source = SourceFile::new("migrations/7_x.sql", text);
    let at = |words: &str| {
        let i = text.find(words).expect("words of the text");
        Span::new(i, i + words.len())
    };
    let finding = |rule: &str, severity, words: &str, statement: &str| Diagnostic {
        rule: rule.into(),
        severity,
        source: source.clone(),
        span: at(words),
        statement: at(statement),
        message: format!("found by {rule}: 100%"),
        label: "here".into(),
        related: Vec::new(),
        help: "do this instead".into(),
        fix: None,
        object: "public.orders".into(),
    };
    let mut second = finding("create-index-blocking", Severity::Warning, "INDEX", "CREATE INDEX i ON orders (a)");
    let end = at("INDEX").end as usize;
    second.fix = Some(Fix {
        title: "Build it concurrently".into(),
        safe: true,
        edits: vec![Edit { span: Span::new(end, end), text: " CONCURRENTLY".into() }],
    });
    Report {
        files: 1,
        statements: Statements { total: 2, understood: 2, ..Statements::default() },
        diagnostics: vec![finding("drop-column", Severity::Error, "DROP COLUMN note", "ALTER TABLE orders\n  DROP COLUMN note"), second],
        suppressed: 1,
        known: 0,
        verdict: Verdict { code_rollback: CodeRollback::Breaks, schema_rollback: Undo::LosesData },
        notes: vec!["one note".into()],
        checked: vec!["migrations/7_x.sql".into(), "migrations/8_clean.sql".into()],
        rules: vec![crate::diagnostic::RuleInfo {
            name: "drop-column".into(),
            summary: "a column goes".into(),
            why: "because".into(),
            page: "# drop-column".into(),
            severity: Severity::Error,
            default: true,
            tags: vec!["rollback".into()],
        }],
    }
}

fn written(format: Format) -> String {
    let mut out = Vec::new();
    write(format, &report(), Style { color: false, unicode: true, width: 80, quiet: false }, &mut out).expect("memory takes it");
    String::from_utf8(out).expect("text")
}

#[test]
fn text_for_people() {
    insta::assert_snapshot!(written(Format::Text));
}

#[test]
fn long_labels_stay_within_the_terminal() {
    let mut report = report();
    let words = "select-named 42703, insert-full 42703, update 42703, copy-columns 42703, select-star (prepared) 0A000".repeat(2);
    report.diagnostics[0].label.clone_from(&words);
    report.diagnostics[1].related = vec![(report.diagnostics[1].statement, words.clone())];
    report.diagnostics.iter_mut().for_each(|d| d.fix = None);
    for width in [60, 80] {
        let mut out = Vec::new();
        write(Format::Text, &report, Style { color: false, unicode: true, width, quiet: true }, &mut out).expect("memory takes it");
        let out = String::from_utf8(out).expect("text");
        assert!(out.lines().all(|l| l.chars().count() <= width), "{out}");
        let said: String = out.split(|c: char| c.is_whitespace() || "│╰─┤·".contains(c)).collect();
        assert_eq!(said.matches(&words.replace(' ', "")).count(), 2, "{out}");
    }
}

#[test]
fn one_line_a_finding() {
    insta::assert_snapshot!(written(Format::Concise));
}

#[test]
fn json_for_machines() {
    insta::assert_snapshot!(written(Format::Json));
}

#[test]
fn github_commands() {
    let out = written(Format::Github);
    let first: Vec<&str> = out.lines().take(3).collect();
    insta::assert_snapshot!(first.join("\n"));
    let token = first[2];
    assert_eq!(token, "::group::airlock");
    let stop = out.lines().find_map(|l| l.strip_prefix("::stop-commands::")).expect("commands are stopped");
    assert!(out.contains(&format!("\n::{stop}::\n")), "and turned on again");
}

#[test]
fn one_json_object_a_line() {
    let out = written(Format::JsonLines);
    let lines: Vec<serde_json::Value> = out.lines().map(|l| serde_json::from_str(l).expect("one object a line")).collect();
    let kinds: Vec<&str> = lines.iter().filter_map(|l| l["type"].as_str()).collect();
    assert_eq!(kinds, ["diagnostic", "diagnostic", "summary"]);
    assert_eq!(lines[2]["verdict"]["code_rollback"], "breaks");
}

#[test]
fn sarif_for_code_scanning() {
    insta::assert_snapshot!(written(Format::Sarif));
}

#[test]
fn markdown_for_summaries() {
    insta::assert_snapshot!(written(Format::Markdown));
}

#[test]
fn gitlab_code_quality() {
    insta::assert_snapshot!(written(Format::Gitlab));
}

#[test]
fn junit_xml() {
    insta::assert_snapshot!(written(Format::Junit));
}

#[test]
fn rdjson_counts_bytes() {
    insta::assert_snapshot!(written(Format::Rdjson));
}

/// Positions are the same in every format that has them, but for the unit of rdjson's columns.
#[test]
fn every_format_says_the_same_line() {
    let sarif: serde_json::Value = serde_json::from_str(&written(Format::Sarif)).expect("JSON");
    let region = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"];
    let json: serde_json::Value = serde_json::from_str(&written(Format::Json)).expect("JSON");
    let first = &json["diagnostics"][0];
    assert_eq!((&region["startLine"], &region["startColumn"]), (&first["line"], &first["column"]));
    assert_eq!((&region["endLine"], &region["endColumn"]), (&first["end_line"], &first["end_column"]));
    let gitlab: serde_json::Value = serde_json::from_str(&written(Format::Gitlab)).expect("JSON");
    assert_eq!(gitlab[0]["location"]["lines"]["begin"], first["line"]);
    let rdjson: serde_json::Value = serde_json::from_str(&written(Format::Rdjson)).expect("JSON");
    assert_eq!(rdjson["diagnostics"][0]["location"]["range"]["start"]["line"], first["line"]);
    assert!(written(Format::Junit).contains(&format!(">line {}, column {}: ", first["line"], first["column"])));
}

#[test]
fn a_fingerprint_stays_when_lines_move() {
    let one = report();
    let mut moved = report();
    let text = format!("-- a line more\n{}", one.diagnostics[0].source.text());
    let source = SourceFile::new("migrations/7_x.sql", text);
    let by = "-- a line more\n".len() as u32;
    for d in &mut moved.diagnostics {
        d.source = source.clone();
        d.span = Span { start: d.span.start + by, end: d.span.end + by };
        d.statement = Span { start: d.statement.start + by, end: d.statement.end + by };
    }
    assert_eq!(fingerprints(&one.diagnostics), fingerprints(&moved.diagnostics));
    let twice = [one.diagnostics[0].clone(), one.diagnostics[0].clone()];
    let both = fingerprints(&twice);
    assert_ne!(both[0], both[1], "GitLab refuses a fingerprint that stands twice");
}
