//! One line a finding: `path:line:column: severity: message [rule]`.

use std::io::{self, Write};

use super::{Report, Style, summary};

pub fn write(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    for d in &report.diagnostics {
        let at = d.source.position(d.span.start);
        writeln!(out, "{}:{}:{}: {}: {} [{}]", d.source.path().display(), at.line, at.column, d.severity, d.message, d.rule)?;
    }
    if !style.quiet {
        write!(out, "{}", summary(report))?;
    }
    Ok(())
}
