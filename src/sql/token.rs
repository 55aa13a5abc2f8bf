//! Tokens with byte spans, read as Postgres's own scanner (`scan.l`, `psqlscan.l`) reads them.
//!
//! The lexer is an iterator that can be moved, because what follows `COPY … FROM stdin;` is data and only the
//! splitter knows it. It never fails: what is not closed ends at the end of its text and is marked so.

use crate::source::{SourceFile, Span};

/// A piece of SQL with its place in a file: a whole file, or the body of a function.
#[derive(Debug, Clone, Copy)]
pub struct SqlText<'a> {
    text: &'a str,
    /// Where `text` begins in the file.
    base: u32,
}

impl<'a> SqlText<'a> {
    pub fn new(text: &'a str, base: u32) -> Self {
        SqlText { text, base }
    }

    pub fn of(source: &'a SourceFile) -> Self {
        SqlText { text: source.text(), base: 0 }
    }

    pub fn full_span(self) -> Span {
        Span { start: self.base, end: self.base + self.text.len() as u32 }
    }

    /// The words at a span of the file; empty when the span lies elsewhere.
    pub fn slice(self, span: Span) -> &'a str {
        let (Some(start), Some(end)) = (span.start.checked_sub(self.base), span.end.checked_sub(self.base)) else { return "" };
        self.text.get(start as usize..end as usize).unwrap_or("")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    pub kind: TokenKind,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A keyword or an unquoted identifier.
    Word,
    /// `"…"`, `U&"…"`.
    QuotedIdent,
    /// `'…'`, `E'…'`, `N'…'`, `U&'…'`, with continuation lines.
    String,
    /// `$tag$…$tag$`.
    DollarString,
    /// `B'…'`, `X'…'`.
    BitString,
    Number,
    /// `$1`, `?` is an operator.
    Param,
    /// `${x}`, `{{ x }}`, `<%= x %>`, `%s`, `:x`, `:'x'`, `:"x"`, also as part of a word: known only when the runner runs.
    Template,
    /// Operators, `::`, `:=`, `=>`, `..` among them.
    Op,
    /// One of `( ) [ ] , ; . :`.
    Punct(u8),
    /// A psql command, `\` to the end of its line.
    Meta,
    /// A string, identifier or comment that is not closed; reaches to the end.
    Unclosed,
    /// A byte that means nothing in SQL.
    Unknown,
}

/// Every token of a text. Not for files with COPY data: the splitter drives a `Lexer` by hand there.
pub fn tokenize(text: SqlText<'_>) -> Vec<Token> {
    Lexer::new(text).collect()
}

pub struct Lexer<'a> {
    bytes: &'a [u8],
    text: &'a str,
    base: u32,
    pos: usize,
    /// Inside `[ ]` a colon is a slice, not a psql variable.
    brackets: u32,
    /// Up to here everything is `+` and `-` that are operators of one byte each.
    signs_until: usize,
}

/// Longer placeholders are none: without a limit a line full of `{{` would be searched to its end from each of them.
const TEMPLATE_MAX: usize = 1024;

impl<'a> Lexer<'a> {
    pub fn new(text: SqlText<'a>) -> Self {
        Lexer { bytes: text.text.as_bytes(), text: text.text, base: text.base, pos: 0, brackets: 0, signs_until: 0 }
    }

    /// Offset in the file of what is read next.
    pub fn offset(&self) -> u32 {
        self.base + self.pos as u32
    }

    /// Goes on at an offset of the file; the splitter jumps over COPY data with it.
    pub fn jump(&mut self, offset: u32) {
        let at = (offset.saturating_sub(self.base) as usize).min(self.bytes.len());
        self.pos = (at..=self.bytes.len()).find(|&i| self.text.is_char_boundary(i)).unwrap_or(self.bytes.len());
        self.brackets = 0;
        self.signs_until = 0;
    }

    fn peek(&self, n: usize) -> u8 {
        self.bytes.get(self.pos + n).copied().unwrap_or(0)
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.pos..).unwrap_or(&[])
    }

    /// Skips blanks and comments; `Some(start)`: a comment that began there is not closed.
    fn skip_blank(&mut self) -> Option<usize> {
        loop {
            match self.peek(0) {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => self.pos += 1,
                // A byte-order mark, which editors leave at the start of a file and concatenation in its middle.
                0xef if self.rest().starts_with(&[0xef, 0xbb, 0xbf]) => self.pos += 3,
                b'-' if self.peek(1) == b'-' => self.skip_line(),
                b'/' if self.peek(1) == b'*' => {
                    let start = self.pos;
                    if !self.skip_comment() {
                        return Some(start);
                    }
                }
                0 if self.pos < self.bytes.len() => self.pos += 1,
                _ => return None,
            }
        }
    }

    fn skip_line(&mut self) {
        self.pos += self.rest().iter().position(|&b| b == b'\n' || b == b'\r').unwrap_or(self.rest().len());
    }

    fn skip_comment(&mut self) -> bool {
        let mut depth = 0u32;
        while self.pos < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.pos += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.pos += 2;
                    if depth == 0 {
                        return true;
                    }
                }
                _ => self.pos += 1,
            }
        }
        false
    }

    fn token(&self, kind: TokenKind, start: usize) -> Token {
        Token { kind, span: Span { start: self.base + start as u32, end: self.base + self.pos as u32 } }
    }

    /// After the opening quote. `escapes`: backslash takes the next byte along.
    fn quoted(&mut self, quote: u8, escapes: bool) -> bool {
        while self.pos < self.bytes.len() {
            let b = self.bytes[self.pos];
            self.pos += 1;
            if escapes && b == b'\\' {
                self.pos = (self.pos + 1).min(self.bytes.len());
            } else if b == quote {
                if self.peek(0) == quote {
                    self.pos += 1;
                } else if quote == b'"' || !self.continues() {
                    return true;
                }
            }
        }
        false
    }

    /// `'a'` newline `'b'` is one string. Moves into the next piece if there is one.
    fn continues(&mut self) -> bool {
        let mut at = self.pos;
        let mut newline = false;
        loop {
            match self.bytes.get(at) {
                Some(b'\n' | b'\r') => newline = true,
                Some(b' ' | b'\t' | 0x0b | 0x0c) => {}
                Some(b'-') if newline && self.bytes.get(at + 1) == Some(&b'-') => {
                    at += self.bytes[at..].iter().position(|&b| b == b'\n' || b == b'\r').unwrap_or(self.bytes.len() - at);
                    continue;
                }
                Some(b'\'') if newline => {
                    self.pos = at + 1;
                    return true;
                }
                _ => return false,
            }
            at += 1;
        }
    }

    fn string(&mut self, start: usize, prefix: usize, kind: TokenKind, escapes: bool) -> Token {
        let quote = self.peek(prefix);
        self.pos += prefix + 1;
        let closed = self.quoted(quote, escapes);
        self.token(if closed { kind } else { TokenKind::Unclosed }, start)
    }

    fn word(&mut self, start: usize) -> Token {
        let mut kind = TokenKind::Word;
        loop {
            match self.peek(0) {
                b'$' if self.peek(1) == b'{' => match self.template_len() {
                    Some(n) => {
                        self.pos += n;
                        kind = TokenKind::Template;
                    }
                    None => break,
                },
                b'{' if self.peek(1) == b'{' => match self.template_len() {
                    Some(n) => {
                        self.pos += n;
                        kind = TokenKind::Template;
                    }
                    None => break,
                },
                b if is_ident(b) => self.pos += 1,
                _ => break,
            }
        }
        self.token(kind, start)
    }

    /// Length of `${…}`, `{{…}}`, `{%…%}` or `<%=…%>` here, on one line.
    fn template_len(&self) -> Option<usize> {
        let rest = self.rest();
        let close: &[u8] = match rest {
            [b'$', b'{', ..] => b"}",
            [b'{', b'{', ..] => b"}}",
            [b'{', b'%', ..] => b"%}",
            // Without the `=` it is an operator of pg_trgm.
            [b'<', b'%', b'=', ..] => b"%>",
            _ => return None,
        };
        let rest = &rest[..rest.len().min(TEMPLATE_MAX)];
        let line = rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
        let at = rest[2..line.max(2)].windows(close.len()).position(|w| w == close)?;
        Some(2 + at + close.len())
    }

    /// A placeholder, and the letters that it is glued to.
    fn template(&mut self, start: usize) -> Token {
        self.pos += self.template_len().or_else(|| self.percent_len()).unwrap_or(1);
        let mut t = self.word(start);
        t.kind = TokenKind::Template;
        t
    }

    /// Length of `%s` or `%(name)s` here. Behind an operand `%` is the operator, when no blank stands before it.
    fn percent_len(&self) -> Option<usize> {
        let before = self.pos.checked_sub(1).and_then(|i| self.bytes.get(i)).copied().unwrap_or(b' ');
        let rest = self.rest();
        let len = match rest {
            [b'%', b's', ..] => 2,
            [b'%', b'(', ..] => {
                let n = rest[2..].iter().take_while(|&&b| b.is_ascii_alphanumeric() || b == b'_').count();
                (n > 0 && rest[2 + n..].starts_with(b")s")).then_some(4 + n)?
            }
            _ => return None,
        };
        let after = rest.get(len).copied().unwrap_or(b' ');
        (!is_ident(before) && before != b')' && !is_op(before) && (after == b'_' || !is_ident(after))).then_some(len)
    }

    /// Length of `:x`, `:'x'`, `:"x"` here.
    fn psql_variable_len(&self) -> Option<usize> {
        let rest = self.rest();
        match *rest.get(1)? {
            b if is_ident_start(b) && b < 0x80 => Some(1 + rest[1..].iter().take_while(|&&b| is_ident(b) && b != b'$').count()),
            q @ (b'\'' | b'"') => {
                let n = rest[2..].iter().take_while(|&&b| b.is_ascii_alphanumeric() || b == b'_').count();
                (n > 0 && rest.get(2 + n) == Some(&q)).then_some(3 + n)
            }
            _ => None,
        }
    }

    fn number(&mut self, start: usize) -> Token {
        if self.peek(0) == b'0' && matches!(self.peek(1), b'x' | b'X' | b'o' | b'O' | b'b' | b'B') && self.peek(2).is_ascii_hexdigit() {
            self.pos += 2;
            while self.peek(0).is_ascii_hexdigit() || self.peek(0) == b'_' {
                self.pos += 1;
            }
            return self.token(TokenKind::Number, start);
        }
        self.digits();
        // `1..10` is a range of PL/pgSQL's FOR, not `1.` and `.10`.
        if self.peek(0) == b'.' && self.peek(1) != b'.' {
            self.pos += 1;
            self.digits();
        }
        if matches!(self.peek(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if self.peek(1 + sign).is_ascii_digit() {
                self.pos += 1 + sign;
                self.digits();
            }
        }
        self.token(TokenKind::Number, start)
    }

    fn digits(&mut self) {
        while self.peek(0).is_ascii_digit() || (self.peek(0) == b'_' && self.peek(1).is_ascii_digit()) {
            self.pos += 1;
        }
    }

    fn operator(&mut self, start: usize) -> Token {
        if start < self.signs_until {
            self.pos += 1;
            return self.token(TokenKind::Op, start);
        }
        let rest = self.rest();
        let mut len = rest.iter().take_while(|&&b| is_op(b)).count();
        // A comment inside a run of operator characters ends it.
        for i in 1..len {
            if rest[i..].starts_with(b"--") || rest[i..].starts_with(b"/*") {
                len = i;
                break;
            }
        }
        // `a=-1` is `=` and `-`: a longer operator may end in + or - only if it has one of these characters.
        let whole = len;
        let special = |b: &u8| matches!(b, b'~' | b'!' | b'@' | b'#' | b'%' | b'^' | b'&' | b'|' | b'`' | b'?');
        if !rest[..len].iter().any(special) {
            let signs = rest[1..len].iter().rev().take_while(|b| matches!(b, b'+' | b'-')).count();
            len -= signs;
        }
        self.signs_until = start + whole;
        self.pos += len;
        self.token(TokenKind::Op, start)
    }

    fn dollar(&mut self, start: usize) -> Token {
        if self.peek(1).is_ascii_digit() {
            self.pos += 1;
            while self.peek(0).is_ascii_digit() {
                self.pos += 1;
            }
            return self.token(TokenKind::Param, start);
        }
        let rest = self.rest();
        let tag = rest[1..].iter().take_while(|&&b| is_ident(b) && b != b'$').count();
        if rest.get(1 + tag) == Some(&b'$') {
            let tag = &rest[..tag + 2];
            let body = &rest[tag.len()..];
            return match find(body, tag) {
                Some(at) => {
                    self.pos += 2 * tag.len() + at;
                    self.token(TokenKind::DollarString, start)
                }
                None => {
                    self.pos = self.bytes.len();
                    self.token(TokenKind::Unclosed, start)
                }
            };
        }
        self.pos += 1;
        self.token(TokenKind::Unknown, start)
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        if let Some(start) = self.skip_blank() {
            return Some(self.token(TokenKind::Unclosed, start));
        }
        let start = self.pos;
        let b = *self.bytes.get(start)?;
        Some(match b {
            b'\'' => self.string(start, 0, TokenKind::String, false),
            b'"' => self.string(start, 0, TokenKind::QuotedIdent, false),
            b'e' | b'E' if self.peek(1) == b'\'' => self.string(start, 1, TokenKind::String, true),
            b'n' | b'N' if self.peek(1) == b'\'' => self.string(start, 1, TokenKind::String, false),
            b'b' | b'B' | b'x' | b'X' if self.peek(1) == b'\'' => self.string(start, 1, TokenKind::BitString, false),
            b'u' | b'U' if self.peek(1) == b'&' && self.peek(2) == b'\'' => self.string(start, 2, TokenKind::String, false),
            b'u' | b'U' if self.peek(1) == b'&' && self.peek(2) == b'"' => self.string(start, 2, TokenKind::QuotedIdent, false),
            b'$' if self.peek(1) == b'{' && self.template_len().is_some() => self.word(start),
            b'{' => match self.template_len() {
                Some(n) => {
                    self.pos += n;
                    let mut t = self.word(start);
                    t.kind = TokenKind::Template;
                    t
                }
                None => {
                    self.pos += 1;
                    self.token(TokenKind::Unknown, start)
                }
            },
            b'<' if self.template_len().is_some() => self.template(start),
            b'%' if self.percent_len().is_some() => self.template(start),
            b'$' => self.dollar(start),
            b'0'..=b'9' => self.number(start),
            b'.' if self.peek(1).is_ascii_digit() => self.number(start),
            b'.' if self.peek(1) == b'.' => {
                self.pos += 2;
                self.token(TokenKind::Op, start)
            }
            b':' if matches!(self.peek(1), b':' | b'=') => {
                self.pos += 2;
                self.token(TokenKind::Op, start)
            }
            b':' if self.brackets == 0 => match self.psql_variable_len() {
                Some(n) => {
                    self.pos += n;
                    self.token(TokenKind::Template, start)
                }
                None => {
                    self.pos += 1;
                    self.token(TokenKind::Punct(b), start)
                }
            },
            b'(' | b')' | b'[' | b']' | b',' | b';' | b'.' | b':' => {
                match b {
                    b'[' => self.brackets += 1,
                    b']' => self.brackets = self.brackets.saturating_sub(1),
                    b';' => self.brackets = 0,
                    _ => {}
                }
                self.pos += 1;
                self.token(TokenKind::Punct(b), start)
            }
            b'\\' => {
                self.skip_line();
                self.token(TokenKind::Meta, start)
            }
            _ if is_op(b) => self.operator(start),
            _ if is_ident_start(b) => self.word(start),
            _ => {
                self.pos += 1;
                self.token(TokenKind::Unknown, start)
            }
        })
    }
}

/// The value of a string token of any spelling.
pub fn string_value(text: &str) -> String {
    if text.starts_with('$') {
        return dollar_body(text).map_or_else(String::new, |r| text[r].to_owned());
    }
    let escapes = text.starts_with(['e', 'E']);
    let unicode = text.len() > 1 && text.as_bytes()[1] == b'&';
    let Some(open) = text.find('\'') else { return text.to_owned() };
    let mut out = String::with_capacity(text.len());
    let mut chars = text[open + 1..].chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' if chars.peek() == Some(&'\'') => {
                chars.next();
                out.push('\'');
            }
            '\'' => {
                // The end, or a line break before the next piece.
                while let Some(c) = chars.next() {
                    match c {
                        '\'' => break,
                        '-' if chars.peek() == Some(&'-') => while chars.next_if(|&c| c != '\n' && c != '\r').is_some() {},
                        _ => {}
                    }
                }
            }
            '\\' if escapes => unescape(&mut chars, &mut out),
            '\\' if unicode => unicode_escape(&mut chars, &mut out),
            c => out.push(c),
        }
    }
    out
}

/// The bytes between the tags of a dollar-quoted string.
pub fn dollar_body(text: &str) -> Option<std::ops::Range<usize>> {
    // A string in quotes may hold a dollar, too.
    let tag = text.strip_prefix('$')?.find('$')? + 2;
    (text.len() >= 2 * tag).then(|| tag..text.len() - tag)
}

fn unescape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    let Some(c) = chars.next() else { return };
    let mut number = |first: Option<char>, radix: u32, max: usize| {
        let mut digits: String = first.into_iter().collect();
        while digits.len() < max {
            match chars.next_if(|c| c.is_digit(radix)) {
                Some(d) => digits.push(d),
                None => break,
            }
        }
        u32::from_str_radix(&digits, radix).ok().and_then(char::from_u32)
    };
    let value = match c {
        'n' => Some('\n'),
        't' => Some('\t'),
        'r' => Some('\r'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'x' => number(None, 16, 2),
        'u' => number(None, 16, 4),
        'U' => number(None, 16, 8),
        '0'..='7' => number(Some(c), 8, 3),
        c => Some(c),
    };
    out.extend(value);
}

fn unicode_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    if chars.next_if_eq(&'\\').is_some() {
        out.push('\\');
        return;
    }
    let max = if chars.next_if_eq(&'+').is_some() { 6 } else { 4 };
    let mut digits = String::new();
    while digits.len() < max {
        match chars.next_if(char::is_ascii_hexdigit) {
            Some(d) => digits.push(d),
            None => break,
        }
    }
    out.extend(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32));
}

/// An identifier's value: folded to lower case (ASCII only, as Postgres does in UTF-8) unless quoted.
pub fn ident_value(token: TokenKind, text: &str) -> String {
    if token != TokenKind::QuotedIdent {
        return if token == TokenKind::Template { text.to_owned() } else { text.to_ascii_lowercase() };
    }
    let Some(open) = text.find('"') else { return text.to_owned() };
    let inner = text[open + 1..].strip_suffix('"').unwrap_or(&text[open + 1..]).replace("\"\"", "\"");
    if open == 0 {
        return inner;
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\\' { unicode_escape(&mut chars, &mut out) } else { out.push(c) }
    }
    out
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    // Tags are short and begin with `$`, which is rare in bodies: jumping from one to the next is fast enough.
    let mut at = 0;
    while let Some(n) = haystack[at..].iter().position(|&b| b == b'$') {
        at += n;
        if haystack[at..].starts_with(needle) {
            return Some(at);
        }
        at += 1;
    }
    None
}

fn is_ident_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_' || b >= 0x80
}

fn is_ident(b: u8) -> bool {
    is_ident_start(b) || b.is_ascii_digit() || b == b'$'
}

fn is_op(b: u8) -> bool {
    matches!(b, b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(sql: &str) -> Vec<&str> {
        let text = SqlText::new(sql, 0);
        tokenize(text).iter().map(|t| text.slice(t.span)).collect()
    }

    fn kinds(sql: &str) -> Vec<TokenKind> {
        tokenize(SqlText::new(sql, 0)).iter().map(|t| t.kind).collect()
    }

    #[test]
    fn operators_end_where_postgres_ends_them() {
        assert_eq!(words("a=-1"), ["a", "=", "-", "1"]);
        assert_eq!(words("a@-1"), ["a", "@-", "1"]);
        assert_eq!(words("a +-- x\n b"), ["a", "+", "b"]);
        assert_eq!(words("a::int"), ["a", "::", "int"]);
        assert_eq!(words("1..10"), ["1", "..", "10"]);
        assert_eq!(words("x->>'a'"), ["x", "->>", "'a'"]);
    }

    #[test]
    fn strings_of_every_spelling() {
        assert_eq!(
            words(r"E'it\'s' 'a''b' $$x'y$$ $a$ $b$ $a$ U&'\0041'"),
            [r"E'it\'s'", "'a''b'", "$$x'y$$", "$a$ $b$ $a$", r"U&'\0041'"]
        );
        assert_eq!(words("'a'\n  'b' 'c'"), ["'a'\n  'b'", "'c'"]);
        assert_eq!(string_value("'a''b'\n -- c's\n 'd'"), "a'bd");
        assert_eq!(string_value(r"E'\x41\n\'\\'"), "A\n'\\");
        assert_eq!(string_value(r"U&'\0041\+000042\\'"), "AB\\");
        assert_eq!(string_value("$x$ $$ $x$"), " $$ ");
    }

    #[test]
    fn identifiers_fold_as_postgres_folds() {
        assert_eq!(ident_value(TokenKind::Word, "FooÄ"), "fooÄ");
        assert_eq!(ident_value(TokenKind::QuotedIdent, "\"Foo\"\"x\""), "Foo\"x");
        assert_eq!(ident_value(TokenKind::QuotedIdent, r#"U&"d\0061t""#), "dat");
    }

    #[test]
    fn templates_and_psql() {
        use TokenKind::*;
        assert_eq!(
            words("${s}.t {{ x y }}_z :v :'v' a[1:b]"),
            ["${s}", ".", "t", "{{ x y }}_z", ":v", ":'v'", "a", "[", "1", ":", "b", "]"]
        );
        assert_eq!(kinds("a_${x}_b"), [Template]);
        assert_eq!(
            words("TABLE %s (a_%s %(x)s_y) <%= t %>_z a % s a%s 1%(b) '%s'"),
            [
                "TABLE",
                "%s",
                "(",
                "a_",
                "%",
                "s",
                "%(x)s_y",
                ")",
                "<%= t %>_z",
                "a",
                "%",
                "s",
                "a",
                "%",
                "s",
                "1",
                "%",
                "(",
                "b",
                ")",
                "'%s'"
            ]
        );
        assert_eq!(kinds("a <% b"), [Word, Op, Word]);
        assert_eq!(kinds("\\set x 'y\nSELECT"), [Meta, Word]);
        assert_eq!(kinds("\u{feff}SELECT"), [Word]);
    }

    #[test]
    fn what_is_not_closed_reaches_the_end() {
        use TokenKind::*;
        assert_eq!(kinds("a 'b"), [Word, Unclosed]);
        assert_eq!(kinds("a \"b"), [Word, Unclosed]);
        assert_eq!(kinds("a $$b"), [Word, Unclosed]);
        assert_eq!(kinds("a /* /* */ b"), [Word, Unclosed]);
        assert_eq!(kinds("/* /* */ */ a"), [Word]);
    }

    #[test]
    fn any_bytes_are_covered_in_order() {
        for sql in ["é'\u{0}\\ü$é$", "$", "{", "{{", "${", "E'\\", "U&\"\\+", "1e", "0x", ".", ":", "\u{feff}", "a\u{a0}b"] {
            let tokens = tokenize(SqlText::new(sql, 7));
            assert!(tokens.windows(2).all(|w| w[0].span.end <= w[1].span.start), "{sql:?}");
            assert!(tokens.iter().all(|t| !t.span.is_empty() && t.span.end as usize <= sql.len() + 7), "{sql:?}");
        }
    }
}
