//! Source files, spans and positions.

mod suppress;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use suppress::{Dialect, Suppression, SuppressionScope, comments, suppressions};

/// A half-open range of bytes in one file's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        Span { start: start as u32, end: end as u32 }
    }

    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The smallest span that covers both.
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }

    pub fn contains(self, offset: usize) -> bool {
        self.range().contains(&offset)
    }
}

/// A position for people: both parts count from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// The text of one file, shared by everything that points into it.
#[derive(Debug, Clone)]
pub struct SourceFile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    text: String,
    line_starts: Vec<u32>,
    /// Characters before each multiple of `STRIDE` bytes. A generated file may be one line of megabytes with thousands of findings: counting
    /// from the start of the line each time would take minutes.
    chars_before: Vec<u32>,
    problem: Option<Problem>,
}

/// Why a file's text is not what stands on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub message: String,
    /// Where in the text; 0 where there is none.
    pub at: u32,
}

const STRIDE: usize = 1024;

impl SourceFile {
    /// `path` is the name shown to people and written to machine formats.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self::build(path.into(), text.into(), None)
    }

    /// A file that could not be read as it stands. `text` is what could be made of it.
    pub fn with_problem(path: impl Into<PathBuf>, text: impl Into<String>, problem: Problem) -> Self {
        Self::build(path.into(), text.into(), Some(problem))
    }

    pub fn problem(&self) -> Option<&Problem> {
        self.0.problem.as_ref()
    }

    fn build(path: PathBuf, text: String, problem: Option<Problem>) -> Self {
        let line_starts =
            std::iter::once(0).chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i as u32 + 1)).collect();
        let mut chars_before = vec![0];
        for piece in text.as_bytes().chunks(STRIDE) {
            let chars = piece.iter().filter(|b| starts_char(**b)).count() as u32;
            chars_before.push(chars_before.last().copied().unwrap_or(0) + chars);
        }
        SourceFile(Arc::new(Inner { path, text, line_starts, chars_before, problem }))
    }

    pub fn path(&self) -> &Path {
        &self.0.path
    }

    pub fn text(&self) -> &str {
        &self.0.text
    }

    pub fn full_span(&self) -> Span {
        Span::new(0, self.0.text.len())
    }

    pub fn slice(&self, span: Span) -> &str {
        self.0.text.get(span.range()).unwrap_or("")
    }

    pub fn position(&self, offset: u32) -> Position {
        let line = self.line_of(offset);
        let start = self.0.line_starts[line - 1] as usize;
        let end = (offset as usize).min(self.0.text.len());
        Position { line, column: self.chars_until(end) - self.chars_until(start) + 1 }
    }

    /// Counts from 1; cheaper than `position`.
    pub fn line_of(&self, offset: u32) -> usize {
        self.0.line_starts.partition_point(|&s| s <= offset)
    }

    /// Characters that begin before the offset.
    fn chars_until(&self, offset: usize) -> usize {
        let piece = offset / STRIDE;
        let known = self.0.chars_before[piece] as usize;
        known + self.0.text.as_bytes()[piece * STRIDE..offset].iter().filter(|b| starts_char(**b)).count()
    }

    /// Byte offset at which a 1-based line starts.
    pub fn line_start(&self, line: usize) -> Option<u32> {
        self.0.line_starts.get(line.checked_sub(1)?).copied()
    }

    pub fn line_count(&self) -> usize {
        self.0.line_starts.len()
    }
}

/// Line, counted from 1, of a byte.
pub fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|b| **b == b'\n').count() + 1
}

/// The first line, comments aside, that holds the name as a word of its own.
pub fn line_with(text: &str, name: &str) -> Option<usize> {
    let part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    text.lines()
        .position(|l| {
            let l = l.split(" #").next().unwrap_or(l);
            !l.trim_start().starts_with('#')
                && l.match_indices(name).any(|(i, _)| !l[..i].ends_with(part) && !l[i + name.len()..].starts_with(part))
        })
        .map(|i| i + 1)
}

/// It is no continuation byte of UTF-8.
fn starts_char(b: u8) -> bool {
    b & 0xc0 != 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let f = SourceFile::new("x.sql", "aé\nb");
        assert_eq!(f.position(0), Position { line: 1, column: 1 });
        assert_eq!(f.position(3), Position { line: 1, column: 3 });
        assert_eq!(f.position(4), Position { line: 2, column: 1 });
        assert_eq!(f.position(5), Position { line: 2, column: 2 });
    }

    #[test]
    fn columns_of_long_lines_are_the_same_as_counted_one_by_one() {
        let text: String = "é∀a😀\n".repeat(40) + &"xé∀😀".repeat(2000);
        let f = SourceFile::new("x.sql", text.as_str());
        for (at, _) in text.char_indices() {
            let start = text[..at].rfind('\n').map_or(0, |i| i + 1);
            let expected = Position { line: text[..at].matches('\n').count() + 1, column: text[start..at].chars().count() + 1 };
            assert_eq!(f.position(at as u32), expected);
        }
    }
}
