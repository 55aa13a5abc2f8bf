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
