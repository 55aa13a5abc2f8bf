//! Findings for people, drawn by miette.

use std::fmt;
use std::io::{self, Write};

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceSpan, ThemeCharacters, ThemeStyles};

use crate::diagnostic::{Diagnostic, Severity};
use crate::source::Span;

use super::{Report, Style, summary, wrapped};

pub fn write(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let theme = GraphicalTheme {
        characters: if style.unicode { ThemeCharacters::unicode() } else { ThemeCharacters::ascii() },
        styles: if style.color { ThemeStyles::ansi() } else { ThemeStyles::none() },
    };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(style.width).with_links(false).with_context_lines(1);
    for d in &report.diagnostics {
        let mut drawn = String::new();
        if handler.render_report(&mut drawn, &Drawn::new(d, style.width)).is_err() {
            // A formatter that fails has nothing to do with the finding: say it plainly.
            let at = d.source.position(d.span.start);
            drawn = format!("{}:{}:{}: {}\n", d.source.path().display(), at.line, at.column, d.message);
        }
        writeln!(out, "{}", drawn.trim_end())?;
        writeln!(out)?;
    }
    if style.quiet {
        return Ok(());
    }
    for note in &report.notes {
        writeln!(out, "note: {note}")?;
    }
    write!(out, "{}", summary(report))
}

/// A diagnostic as miette sees it. The source holds the statement's lines and their neighbours only: miette counts lines from the start of a source for
/// every label, which would make a file with many findings quadratic.
#[derive(Debug)]
struct Drawn<'a> {
    d: &'a Diagnostic,
    source: NamedSource<String>,
    labels: Vec<LabeledSpan>,
}

impl<'a> Drawn<'a> {
    fn new(d: &'a Diagnostic, width: usize) -> Self {
        let text = d.source.text();
        let all = d.related.iter().fold(d.statement.to(d.span), |all, (span, _)| all.to(*span));
        // A line before and a line after belong to the picture.
        let line_start = |at: usize| text[..floor(text, at)].rfind('\n').map_or(0, |i| i + 1);
        let line_end = |at: usize| text[at..].find('\n').map_or(text.len(), |i| at + i);
        let start = line_start(line_start(all.start as usize).saturating_sub(1));
        let end = line_end((line_end(floor(text, all.end as usize)) + 1).min(text.len()));
        // Empty lines stand for what is before, so that line numbers come out right.
        let line = d.source.position(start as u32).line;
        let padding = "\n".repeat(line - 1);
        let shift = padding.len();
        let span = |s: Span| {
            let from = (s.start as usize).clamp(start, end) - start + shift;
            let to = (s.end as usize).clamp(start, end) - start + shift;
            SourceSpan::from((from, to.saturating_sub(from)))
        };
        // A label hangs below the middle of what it points at, behind the numbers of the lines.
        let gutter = d.source.position(end as u32).line.to_string().len() + 4;
        let wrapped = |label: &str, s: Span| {
            let at = floor(text, s.start as usize);
            let middle = text[line_start(at)..at].chars().count() + text.get(s.range()).map_or(0, |t| t.chars().count() / 2);
            wrap(label, width.saturating_sub(gutter + middle + "╰── ".chars().count()))
        };
        let main = first_line(text, d.span);
        let mut labels = vec![LabeledSpan::new_primary_with_span((!d.label.is_empty()).then(|| wrapped(&d.label, main)), span(main))];
        for (s, label) in &d.related {
            let s = first_line(text, *s);
            labels.push(LabeledSpan::new_with_span(Some(wrapped(label, s)), span(s)));
        }
        let source = NamedSource::new(d.source.path().display().to_string(), format!("{padding}{}", &text[start..end]));
        Drawn { d, source, labels }
    }
}

/// miette wraps messages and help, but no labels. Where little room is left, a column of words would be worse than a line that the terminal breaks.
fn wrap(label: &str, width: usize) -> String {
    wrapped(label, width.max(24)).join("\n")
}

/// A label over many lines hides what it points at.
fn first_line(text: &str, span: Span) -> Span {
    let words = text.get(span.range()).unwrap_or_default();
    let len = words.find('\n').map_or(words.len(), |i| words[..i].trim_end().len());
    Span::new(span.start as usize, span.start as usize + len)
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.d.message)
    }
}

impl std::error::Error for Drawn<'_> {}

impl miette::Diagnostic for Drawn<'_> {
    fn code<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        Some(Box::new(&self.d.rule))
    }
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.d.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Advice => miette::Severity::Advice,
        })
    }
    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        (!self.d.help.is_empty()).then(|| Box::new(&self.d.help) as Box<dyn fmt::Display>)
    }
    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.source)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}
