//! Files that hold both directions, told apart by marker lines.

use crate::source::{SourceFile, Span};

/// Marker lines of one runner, matched on the trimmed line without regard to case.
pub struct Markers {
    pub up: &'static [&'static str],
    pub down: &'static [&'static str],
    /// Without a marker the file is all up.
    pub bare_is_up: bool,
}

pub const GOOSE: Markers = Markers { up: &["-- +goose up"], down: &["-- +goose down"], bare_is_up: false };
pub const DBMATE: Markers = Markers { up: &["-- migrate:up"], down: &["-- migrate:down"], bare_is_up: false };
pub const SQL_MIGRATE: Markers = Markers { up: &["-- +migrate up"], down: &["-- +migrate down"], bare_is_up: false };
pub const NODE_PG: Markers = Markers { up: &["-- up migration"], down: &["-- down migration"], bare_is_up: true };
pub const RAMBLER: Markers = Markers { up: &["-- rambler up"], down: &["-- rambler down"], bare_is_up: false };
pub const TERN: Markers = Markers { up: &[], down: &["---- create above / drop below ----"], bare_is_up: true };

pub const ATLAS_ARCHIVE: Markers =
    Markers { up: &["-- migration.sql --", "-- checks.sql --"], down: &["-- down.sql --"], bare_is_up: false };

pub struct Sections {
    pub up: Vec<Span>,
    pub down: Vec<Span>,
    /// The words after each up marker on its line, lower case.
    pub up_words: Vec<String>,
    pub down_words: Vec<String>,
}

pub fn split(source: &SourceFile, markers: &Markers) -> Sections {
    #[derive(Clone, Copy, PartialEq)]
    enum Now {
        Nothing,
        Up,
        Down,
    }
    let text = source.text();
    let mut out = Sections { up: Vec::new(), down: Vec::new(), up_words: Vec::new(), down_words: Vec::new() };
    let mut now = if markers.bare_is_up { Now::Up } else { Now::Nothing };
    let mut start = 0;
    let mut at = 0;
    let close = |now: Now, start: usize, end: usize, out: &mut Sections| {
        let span = Span::new(start, end);
        match now {
            Now::Up if start < end => out.up.push(span),
            Now::Down if start < end => out.down.push(span),
            _ => {}
        }
    };
    for line in text.split_inclusive('\n') {
        let words = squeeze(line);
        let found = |list: &[&str]| {
            list.iter().find_map(|m| words.strip_prefix(m).filter(|r| r.is_empty() || r.starts_with(' ')).map(str::to_string))
        };
        let next = match (found(markers.up), found(markers.down)) {
            (Some(rest), _) => {
                out.up_words.push(rest);
                Some(Now::Up)
            }
            (None, Some(rest)) => {
                out.down_words.push(rest);
                Some(Now::Down)
            }
            _ => None,
        };
        if let Some(next) = next {
            close(now, start, at, &mut out);
            now = next;
            start = at + line.len();
        }
        at += line.len();
    }
    close(now, start, text.len(), &mut out);
    out
}

/// Lower case, blanks squeezed, `--x` read as `-- x`.
fn squeeze(line: &str) -> String {
    let line = line.trim_start_matches('\u{feff}').trim();
    if !line.starts_with("--") || line.len() > 300 {
        return String::new();
    }
    let spaced = match line.strip_prefix("--") {
        Some(rest) if !rest.starts_with([' ', '-', '\t']) => format!("-- {rest}"),
        _ => line.to_string(),
    };
    spaced.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// A marker of the runner stands somewhere in the text.
pub fn has(text: &str, markers: &Markers) -> bool {
    text.lines().any(|l| {
        let words = squeeze(l);
        !words.is_empty()
            && markers.up.iter().chain(markers.down).any(|m| words.strip_prefix(m).is_some_and(|r| r.is_empty() || r.starts_with(' ')))
    })
}

/// A marker of each direction stands in the text.
pub fn has_both(text: &str, markers: &Markers) -> bool {
    let found = |list: &[&str]| text.lines().any(|l| list.contains(&squeeze(l).as_str()));
    found(markers.up) && found(markers.down)
}

/// A `StatementBegin` that nothing ends: the runner refuses the file.
pub fn unclosed_block(text: &str) -> Option<String> {
    let mut open = None;
    for (i, line) in text.lines().enumerate() {
        match squeeze(line).as_str() {
            "-- +goose statementbegin" | "-- +migrate statementbegin" => open = Some(i + 1),
            "-- +goose statementend" | "-- +migrate statementend" => open = None,
            _ => {}
        }
    }
    open.map(|line| format!("line {line}: StatementBegin without StatementEnd; the runner refuses the file"))
}

/// One of the lines is exactly this directive, whatever its case and blanks.
pub fn has_line(text: &str, directive: &str) -> bool {
    text.lines().any(|l| squeeze(l) == directive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_down_half_is_never_up() {
        let f = SourceFile::new("1.sql", "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE TABLE a ();\n--+goose Down\nDROP TABLE a;\n");
        let s = split(&f, &GOOSE);
        assert_eq!(s.up.iter().map(|s| f.slice(*s)).collect::<Vec<_>>(), ["CREATE TABLE a ();\n"]);
        assert_eq!(s.down.iter().map(|s| f.slice(*s)).collect::<Vec<_>>(), ["DROP TABLE a;\n"]);
        assert!(has_line(f.text(), "-- +goose no transaction"));
    }

    #[test]
    fn words_on_the_marker_are_kept() {
        let f = SourceFile::new("1.sql", "-- migrate:up transaction:false\nSELECT 1;\n-- migrate:down\n");
        let s = split(&f, &DBMATE);
        assert_eq!(s.up_words, [" transaction:false"]);
        assert!(s.down.is_empty());
    }
}
