//! The JSON object of `airlock check`. Its shape is a contract: keys are added, never changed, within a schema version.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, Fix};
use crate::source::{SourceFile, Span};

use super::{Report, path};

pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut value = json!({
        "schema_version": 1,
        "diagnostics": report.diagnostics.iter().map(diagnostic).collect::<Vec<_>>(),
    });
    merge(&mut value, whole(report));
    serde_json::to_writer_pretty(&mut *out, &value)?;
    writeln!(out)
}

/// `{"type": "diagnostic", …}` for each finding, in order, and one `{"type": "summary", …}` at the end.
pub fn write_lines(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for d in &report.diagnostics {
        let mut v = json!({ "type": "diagnostic", "schema_version": 1 });
        merge(&mut v, diagnostic(d));
        writeln!(out, "{v}")?;
    }
    let mut v = json!({ "type": "summary", "schema_version": 1 });
    merge(&mut v, whole(report));
    writeln!(out, "{v}")
}

/// What is said of all findings together.
fn whole(report: &Report) -> Value {
    let s = report.statements;
    json!({
        "files": report.files,
        "statements": {
            "total": s.total,
            "understood": s.understood,
            "partial": s.partial,
            "no_effect": s.no_effect,
            "opaque": s.opaque,
        },
        "suppressed": report.suppressed,
        "known": report.known,
        "notes": report.notes,
        "verdict": {
            "code_rollback": report.verdict.code_rollback.to_string(),
            "schema_rollback": report.verdict.schema_rollback.to_string(),
        },
    })
}

fn diagnostic(d: &Diagnostic) -> Value {
    let mut v = json!({
        "rule": d.rule,
        "severity": d.severity.to_string(),
        "path": path(&d.source),
        "message": d.message,
        "label": d.label,
        "help": d.help,
        "object": d.object,
        "statement": d.source.slice(d.statement),
        "fix": d.fix.as_ref().map(|f| fix(&d.source, f)),
        "related": d.related.iter().map(|(span, label)| {
            let mut r = positions(&d.source, *span);
            r["message"] = json!(label);
            r
        }).collect::<Vec<_>>(),
    });
    merge(&mut v, positions(&d.source, d.span));
    v
}

fn fix(source: &SourceFile, fix: &Fix) -> Value {
    json!({
        "title": fix.title,
        "safe": fix.safe,
        "edits": fix.edits.iter().map(|e| {
            let mut v = positions(source, e.span);
            v["text"] = json!(e.text);
            v
        }).collect::<Vec<_>>(),
    })
}

/// `line`, `column`, `end_line`, `end_column`: counted from 1, columns in characters, the end exclusive.
pub fn positions(source: &SourceFile, span: Span) -> Value {
    let (from, to) = (source.position(span.start), source.position(span.end));
    json!({ "line": from.line, "column": from.column, "end_line": to.line, "end_column": to.column })
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(a), Value::Object(b)) = (into, from) {
        a.extend(b);
    }
}
