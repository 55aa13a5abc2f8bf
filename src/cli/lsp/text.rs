//! Positions and paths as the protocol writes them.

use std::path::PathBuf;

use lsp_types::{Position, PositionEncodingKind, Range, Uri};

use crate::source::{SourceFile, Span};

/// What a column counts. Agreed on at the start; UTF-16 unless the editor can do better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Utf16,
}

impl Encoding {
    pub fn kind(self) -> PositionEncodingKind {
        match self {
            Encoding::Utf8 => PositionEncodingKind::UTF8,
            Encoding::Utf16 => PositionEncodingKind::UTF16,
        }
    }

    fn width(self, text: &str) -> u32 {
        match self {
            Encoding::Utf8 => text.len() as u32,
            Encoding::Utf16 => text.encode_utf16().count() as u32,
        }
    }

    pub fn position(self, source: &SourceFile, offset: u32) -> Position {
        let line = source.line_of(offset);
        let start = source.line_start(line).unwrap_or(0);
        Position { line: line as u32 - 1, character: self.width(source.slice(Span { start, end: offset.max(start) })) }
    }

    pub fn range(self, source: &SourceFile, span: Span) -> Range {
        Range { start: self.position(source, span.start), end: self.position(source, span.end.max(span.start)) }
    }

    /// A place behind the end of its line is the end of the line; one behind the last line is the end of the text.
    pub fn offset(self, source: &SourceFile, at: Position) -> u32 {
        let end = source.full_span().end;
        let Some(start) = source.line_start(at.line as usize + 1) else { return end };
        let line = source.slice(Span { start, end }).split('\n').next().unwrap_or_default();
        let mut left = at.character;
        let mut offset = start;
        for c in line.chars() {
            let wide = self.width(c.encode_utf8(&mut [0; 4]));
            if left < wide {
                break;
            }
            left -= wide;
            offset += c.len_utf8() as u32;
        }
        offset
    }
}

/// The file that a `file:` URI names.
pub fn path_of(uri: &Uri) -> Option<PathBuf> {
    let text = uri.as_str().strip_prefix("file://")?;
    // A host may stand in front of the path; only this one is meant.
    let path = text.strip_prefix("localhost").unwrap_or(text);
    let path = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
    // `/C:/x` on Windows.
    let drive = path.strip_prefix('/').filter(|p| p.as_bytes().get(1) == Some(&b':') && cfg!(windows));
    Some(PathBuf::from(drive.unwrap_or(&path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_as_agreed() {
        let source = SourceFile::new("x", "é𝄞x\nab");
        let x = 6;
        assert_eq!(Encoding::Utf8.position(&source, x), Position { line: 0, character: 6 });
        assert_eq!(Encoding::Utf16.position(&source, x), Position { line: 0, character: 3 });
        for e in [Encoding::Utf8, Encoding::Utf16] {
            for offset in [0, 2, 6, 7, 8, 10] {
                assert_eq!(e.offset(&source, e.position(&source, offset)), offset, "{e:?}");
            }
            assert_eq!(e.offset(&source, Position { line: 0, character: 99 }), 7);
            assert_eq!(e.offset(&source, Position { line: 9, character: 0 }), 10);
        }
    }

    #[test]
    fn paths_are_unescaped() {
        let of = |u: &str| path_of(&u.parse().expect("a URI"));
        assert_eq!(of("file:///a/b%20c/%C3%A9.sql"), Some(PathBuf::from("/a/b c/é.sql")));
        assert_eq!(of("untitled:Untitled-1"), None);
    }
}
