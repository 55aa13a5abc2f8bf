//! reviewdog's diagnostic format. Columns are counted in bytes of UTF-8 from 1, ends are exclusive.
//! <https://github.com/reviewdog/reviewdog/tree/master/proto/rdf>

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, Severity};
use crate::source::{SourceFile, Span};

use super::{Report, path};

pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let value = json!({
        "source": { "name": "airlock", "url": "https://github.com/airlock-pg/airlock" },
        "diagnostics": report.diagnostics.iter().map(|d| diagnostic(report, d)).collect::<Vec<_>>(),
    });
    serde_json::to_writer_pretty(&mut *out, &value)?;
    writeln!(out)
}

fn diagnostic(report: &Report, d: &Diagnostic) -> Value {
    let mut message = d.message.clone();
    if !d.help.is_empty() {
        message.push('\n');
        message.push_str(&d.help);
    }
    let mut code = json!({ "value": d.rule });
    if let Some(r) = report.rules.iter().find(|r| r.name == d.rule) {
        code["url"] = json!(r.url());
    }
    let mut v = json!({
        "message": message,
        "location": { "path": path(&d.source), "range": range(&d.source, d.span) },
        "severity": match d.severity {
            Severity::Error => "ERROR",
            Severity::Warning => "WARNING",
            Severity::Advice => "INFO",
        },
        "code": code,
    });
    // A suggestion is one edit of one range; several edits that belong together would be offered one by one, and applied by halves.
    if let Some([edit]) = d.fix.as_ref().map(|f| f.edits.as_slice()) {
        v["suggestions"] = json!([{ "range": range(&d.source, edit.span), "text": edit.text }]);
    }
    v
}

fn range(source: &SourceFile, span: Span) -> Value {
    let at = |offset: u32| {
        let line = source.position(offset).line;
        let before = source.text().get(..offset as usize).unwrap_or_default();
        let start = before.rfind('\n').map_or(0, |i| i + 1);
        json!({ "line": line, "column": before.len() - start + 1 })
    };
    json!({ "start": at(span.start), "end": at(span.end) })
}
