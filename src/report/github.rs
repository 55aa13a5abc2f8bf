//! GitHub workflow commands: they annotate the changed lines of a pull request.
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>

use std::io::{self, Write};

use crate::diagnostic::{Diagnostic, Severity};

use super::{Report, summary};

/// GitHub shows ten annotations of each level a step and drops the rest without a word.
const PER_LEVEL: usize = 10;
/// Longer messages are cut by GitHub in the middle of an escape.
const MESSAGE: usize = 4000;

pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut hidden = 0;
    for (severity, level) in [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Advice, "notice")] {
        let found: Vec<&Diagnostic> = report.diagnostics.iter().filter(|d| d.severity == severity).collect();
        for d in found.iter().take(PER_LEVEL) {
            annotation(d, level, out)?;
        }
        hidden += found.len().saturating_sub(PER_LEVEL);
    }
    if hidden > 0 {
        writeln!(out, "::notice title=airlock::{hidden} more findings: see the log or the summary")?;
    }
    // Annotations are never the only output: GitHub shows a limited number of them.
    writeln!(out, "::group::airlock")?;
    let token = format!("airlock-{:016x}", fingerprint(report));
    writeln!(out, "::stop-commands::{token}")?;
    for d in &report.diagnostics {
        let at = d.source.position(d.span.start);
        let path = d.source.path().display();
        writeln!(out, "{path}:{}:{}: {}: {} [{}]", at.line, at.column, d.severity, d.message, d.rule)?;
    }
    write!(out, "{}", summary(report))?;
    writeln!(out, "::{token}::")?;
    writeln!(out, "::endgroup::")
}

fn annotation(d: &Diagnostic, level: &str, out: &mut dyn Write) -> io::Result<()> {
    let (from, to) = (d.source.position(d.span.start), d.source.position(d.span.end));
    let mut place =
        format!("file={},line={},endLine={}", property(&d.source.path().to_string_lossy().replace('\\', "/")), from.line, to.line);
    if from.line == to.line {
        place.push_str(&format!(",col={},endColumn={}", from.column, to.column));
    }
    let mut message = d.message.clone();
    if !d.help.is_empty() {
        message.push('\n');
        message.push_str(&d.help);
    }
    if let Some((end, _)) = message.char_indices().nth(MESSAGE) {
        message.truncate(end);
        message.push('…');
    }
    writeln!(out, "::{level} {place},title={}::{}", property(&format!("airlock: {}", d.rule)), data(&message))
}

/// Escapes the part after the second `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property's value.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// The word that turns commands on again must not be guessable from the SQL that is echoed: it depends on all of it.
fn fingerprint(report: &Report) -> u64 {
    use sha2::{Digest, Sha256};
    let mut h = Sha256::new();
    for d in &report.diagnostics {
        h.update(d.source.text());
        h.update(&d.message);
    }
    h.update(std::process::id().to_le_bytes());
    h.finalize().iter().take(8).fold(0, |n, b| (n << 8) | u64::from(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_is_escaped_first() {
        assert_eq!(data("100%\n::error::x"), "100%25%0A::error::x");
        assert_eq!(property("a:b,c\r"), "a%3Ab%2Cc%0D");
    }
}
