//! GitLab code quality. <https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format>

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::diagnostic::Severity;

use super::fingerprint::fingerprints;
use super::{Report, path};

pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let list: Vec<Value> = report
        .diagnostics
        .iter()
        .zip(fingerprints(&report.diagnostics))
        .map(|(d, fingerprint)| {
            let (from, to) = (d.source.position(d.span.start), d.source.position(d.span.end));
            json!({
                "description": d.message,
                "check_name": d.rule,
                "fingerprint": fingerprint,
                "severity": match d.severity {
                    Severity::Error => "critical",
                    Severity::Warning => "major",
                    Severity::Advice => "info",
                },
                "location": { "path": path(&d.source).trim_start_matches("./"), "lines": { "begin": from.line, "end": to.line } },
            })
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &list)?;
    writeln!(out)
}
