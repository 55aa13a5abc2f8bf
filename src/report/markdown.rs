//! Markdown for a job's summary and for the comment on a pull request.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::diagnostic::{Diagnostic, Severity};

use super::{Report, path, plural, summary};

/// GitHub drops a summary over 1 MiB as a whole and refuses a comment over 65,536 characters: what is over this is counted instead.
const LIMIT: usize = 60_000;

pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut text = String::from("## Airlock\n\n");
    text.push_str(&verdict(report));
    let mut files: BTreeMap<String, Vec<&Diagnostic>> = BTreeMap::new();
    for d in &report.diagnostics {
        files.entry(path(&d.source)).or_default().push(d);
    }
    let mut left_out = 0;
    for (file, found) in files {
        let mut part = format!("### `{}`\n\n| line | | what happens | rule |\n|---:|---|---|---|\n", code(&file));
        for d in found {
            let line = d.source.position(d.span.start).line;
            let help = if d.help.is_empty() { String::new() } else { format!("<br>{}", cell(&d.help)) };
            let row = format!("| {line} | {} | {}{help} | {} |\n", sign(d.severity), cell(&d.message), rule(report, &d.rule));
            if text.len() + part.len() + row.len() > LIMIT {
                left_out += 1;
            } else {
                part.push_str(&row);
            }
        }
        part.push('\n');
        if text.len() + part.len() <= LIMIT {
            text.push_str(&part);
        }
    }
    if left_out > 0 {
        text.push_str(&format!("{} more: see the log.\n\n", plural(left_out, "finding")));
    }
    for line in summary(report).lines().take(2) {
        text.push_str(line);
        text.push_str("  \n");
    }
    for n in report.notes.iter().take(20) {
        text.push_str(&format!("\nNote: {}\n", cell(n)));
    }
    out.write_all(text.as_bytes())
}

fn verdict(report: &Report) -> String {
    if report.statements.total == 0 {
        return "No statement was checked.\n\n".into();
    }
    super::verdict_words(report.verdict).iter().map(|l| format!("- {l}\n")).collect::<String>() + "\n"
}

fn sign(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "🛑 error",
        Severity::Warning => "⚠️ warning",
        Severity::Advice => "💡 advice",
    }
}

fn rule(report: &Report, name: &str) -> String {
    match report.rules.iter().find(|r| r.name == name) {
        Some(r) => format!("[{name}]({})", r.url()),
        None => format!("`{name}`"),
    }
}

/// Text inside of backticks.
fn code(text: &str) -> String {
    text.replace('`', "'")
}

/// Text inside of a table's cell: it may come from anybody's SQL, so nothing in it is markup but its backticks.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_code = false;
    // An odd backtick would open code that never ends.
    let paired = text.matches('`').count().is_multiple_of(2);
    for c in text.chars() {
        match c {
            '`' if paired => {
                in_code = !in_code;
                out.push('`');
            }
            '`' => out.push('\''),
            '|' => out.push_str("\\|"),
            '\n' | '\r' => out.push(' '),
            '<' if !in_code => out.push_str("&lt;"),
            '&' if !in_code => out.push_str("&amp;"),
            '*' | '_' | '[' | ']' | '#' | '!' | '@' | '\\' | '~' if !in_code => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn sql_is_no_markup() {
        assert_eq!(super::cell("a|b `x|<y` <img> @team"), "a\\|b `x\\|<y` &lt;img> \\@team");
        assert_eq!(super::cell("one ` only"), "one ' only");
    }
}
