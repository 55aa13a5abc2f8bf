//! JUnit XML, as test reports of pipelines read it: a suite for each file, a case for each finding; a file without one has a case
//! that passed. Only what the schema of Jenkins knows, which refuses other attributes: the place stands in the words.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::diagnostic::{Diagnostic, Severity};

use super::{Report, path};

pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut files: BTreeMap<String, Vec<&Diagnostic>> = report.checked.iter().map(|p| (p.clone(), Vec::new())).collect();
    for d in &report.diagnostics {
        files.entry(path(&d.source)).or_default().push(d);
    }
    let failures = |ds: &[&Diagnostic]| ds.iter().filter(|d| d.severity > Severity::Advice).count();
    let cases: usize = files.values().map(|d| d.len().max(1)).sum();
    let failed: usize = files.values().map(|d| failures(d)).sum();
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(out, r#"<testsuites name="airlock" tests="{cases}" failures="{failed}" errors="0">"#)?;
    for (file, ds) in &files {
        let name = escape(file);
        let tests = ds.len().max(1);
        writeln!(out, r#"  <testsuite name="{name}" tests="{tests}" failures="{}" errors="0" file="{name}">"#, failures(ds))?;
        if ds.is_empty() {
            writeln!(out, r#"    <testcase name="airlock" classname="{name}"/>"#)?;
        }
        for d in ds {
            let at = d.source.position(d.span.start);
            writeln!(out, r#"    <testcase name="{}" classname="{name}">"#, escape(&d.rule))?;
            let words = format!("line {}, column {}: {}\n{}", at.line, at.column, d.message, d.help);
            if d.severity > Severity::Advice {
                let kind = d.severity;
                writeln!(out, r#"      <failure type="{kind}" message="{}">{}</failure>"#, escape(&d.message), escape(words.trim()))?;
            } else {
                writeln!(out, "      <system-out>{}</system-out>", escape(words.trim()))?;
            }
            writeln!(out, "    </testcase>")?;
        }
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

/// For text and for attributes. Characters that XML 1.0 does not have at all become `U+FFFD`.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_xml_does_not_have_is_replaced() {
        assert_eq!(super::escape("a<b>&\"\u{1}\n"), "a&lt;b&gt;&amp;&quot;\u{fffd}&#10;");
    }
}
