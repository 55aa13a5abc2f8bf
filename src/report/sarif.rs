//! SARIF 2.1.0, for code scanning. <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>
//!
//! The few objects that are needed are written by hand; a test holds them against the standard's JSON schema.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, RuleInfo, Severity};
use crate::source::{SourceFile, Span};

use super::fingerprint::fingerprints;
use super::{Report, path};

pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let found: BTreeSet<&str> = report.diagnostics.iter().map(|d| d.rule.as_str()).collect();
    // Every name that a result uses has an entry, with its page where the rule has one.
    let rules: Vec<Value> = found.iter().map(|name| rule(name, report.rules.iter().find(|r| r.name == **name))).collect();
    let index = |name: &str| found.iter().position(|n| *n == name);
    let results: Vec<Value> =
        report.diagnostics.iter().zip(fingerprints(&report.diagnostics)).map(|(d, f)| result(d, index(&d.rule), &f)).collect();
    let value = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "airlock",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": "https://github.com/airlock-pg/airlock",
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
            "properties": {
                "code_rollback": report.verdict.code_rollback.to_string(),
                "schema_rollback": report.verdict.schema_rollback.to_string(),
            },
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &value)?;
    writeln!(out)
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "note",
    }
}

fn rule(name: &str, info: Option<&RuleInfo>) -> Value {
    let Some(r) = info else { return json!({ "id": name }) };
    json!({
        "id": r.name,
        "shortDescription": { "text": r.summary },
        "fullDescription": { "text": r.why },
        "help": { "text": r.page, "markdown": r.page },
        "helpUri": r.url(),
        "defaultConfiguration": { "level": level(r.severity), "enabled": r.default },
        "properties": { "tags": r.tags },
    })
}

fn result(d: &Diagnostic, rule_index: Option<usize>, fingerprint: &str) -> Value {
    let mut message = d.message.clone();
    if !d.help.is_empty() {
        message.push('\n');
        message.push_str(&d.help);
    }
    let mut v = json!({
        "ruleId": d.rule,
        "ruleIndex": rule_index,
        "level": level(d.severity),
        "message": { "text": message },
        "locations": [{ "physicalLocation": place(&d.source, d.span) }],
        "partialFingerprints": { "airlock/v1": fingerprint },
    });
    if !d.related.is_empty() {
        v["relatedLocations"] = d
            .related
            .iter()
            .map(|(span, label)| json!({ "physicalLocation": place(&d.source, *span), "message": { "text": label } }))
            .collect();
    }
    if let Some(fix) = &d.fix {
        let replacements: Vec<Value> = fix
            .edits
            .iter()
            .map(|e| json!({ "deletedRegion": region(&d.source, e.span), "insertedContent": { "text": e.text } }))
            .collect();
        v["fixes"] = json!([{
            "description": { "text": fix.title },
            "artifactChanges": [{ "artifactLocation": artifact(&d.source), "replacements": replacements }],
        }]);
    }
    v
}

fn place(source: &SourceFile, span: Span) -> Value {
    json!({ "artifactLocation": artifact(source), "region": region(source, span) })
}

/// A relative URI: the uploader resolves it against the repository's root.
fn artifact(source: &SourceFile) -> Value {
    let path = path(source);
    let mut uri = String::new();
    for b in path.trim_start_matches("./").bytes() {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'@' | b'+' | b'=' => uri.push(char::from(b)),
            _ => uri.push_str(&format!("%{b:02X}")),
        }
    }
    if path.starts_with('/') {
        uri.insert_str(0, "file://");
    }
    json!({ "uri": uri })
}

fn region(source: &SourceFile, span: Span) -> Value {
    let (from, to) = (source.position(span.start), source.position(span.end));
    json!({ "startLine": from.line, "startColumn": from.column, "endLine": to.line, "endColumn": to.column })
}
