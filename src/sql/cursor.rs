//! A cursor over tokens: what every hand-written parser of statements reads with.

use crate::op::{Name, QName};
use crate::source::Span;

use super::token::{SqlText, Token, TokenKind, ident_value, string_value};

/// Where reading stopped, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    pub at: Span,
    pub message: String,
}

pub type Read<T> = Result<T, Unread>;

#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    pub text: SqlText<'a>,
    tokens: &'a [Token],
    pos: usize,
    /// Nesting of expressions and queries, so that a hostile file gets a message and not a crash.
    pub depth: u16,
}

impl<'a> Cursor<'a> {
    pub fn new(text: SqlText<'a>, tokens: &'a [Token]) -> Self {
        Cursor { text, tokens, pos: 0, depth: 0 }
    }

    /// A cursor over part of the same tokens.
    pub fn over(&self, range: std::ops::Range<usize>) -> Cursor<'a> {
        let tokens = self.tokens.get(range).unwrap_or(&[]);
        Cursor { text: self.text, tokens, pos: 0, depth: self.depth }
    }

    pub fn tokens(&self) -> &'a [Token] {
        self.tokens
    }

    pub fn pos(&self) -> usize {
        self.pos
    }

    /// Goes back (or forward) to a position that `pos` gave.
    pub fn reset(&mut self, pos: usize) {
        self.pos = pos.min(self.tokens.len());
    }

    pub fn at_end(&self) -> bool {
        self.pos >= self.tokens.len()
    }

    pub fn peek(&self) -> Option<Token> {
        self.peek_nth(0)
    }

    pub fn peek_nth(&self, n: usize) -> Option<Token> {
        self.tokens.get(self.pos + n).copied()
    }

    pub fn next(&mut self) -> Option<Token> {
        let t = self.peek()?;
        self.pos += 1;
        Some(t)
    }

    /// The words of the token that is `n` ahead; empty at the end.
    pub fn word(&self, n: usize) -> &'a str {
        self.peek_nth(n).map_or("", |t| self.text.slice(t.span))
    }

    /// Span of the next token, or the empty one behind the last.
    pub fn here(&self) -> Span {
        match self.peek() {
            Some(t) => t.span,
            None => {
                let end = self.tokens.last().map_or(self.text.full_span().start, |t| t.span.end);
                Span { start: end, end }
            }
        }
    }

    /// From the token at position `start` to the last one read.
    pub fn span_from(&self, start: usize) -> Span {
        match (self.tokens.get(start), self.pos.checked_sub(1).and_then(|i| self.tokens.get(i))) {
            (Some(a), Some(b)) if a.span.start <= b.span.end => a.span.to(b.span),
            _ => {
                let at = self.here().start;
                Span { start: at, end: at }
            }
        }
    }

    pub fn text_from(&self, start: usize) -> String {
        self.text.slice(self.span_from(start)).to_owned()
    }

    pub fn fail<T>(&self, expected: &str) -> Read<T> {
        let at = self.here();
        let found = self.text.slice(at);
        let message = if found.is_empty() {
            format!("expected {expected}, found the end of the statement")
        } else {
            let short: String = found.chars().take(40).collect();
            format!("expected {expected}, found `{short}`")
        };
        Err(Unread { at, message })
    }

    // Keywords

    /// Is the token `n` ahead this keyword? Quoted identifiers never are.
    pub fn is_at(&self, n: usize, keyword: &str) -> bool {
        self.peek_nth(n).is_some_and(|t| t.kind == TokenKind::Word && self.text.slice(t.span).eq_ignore_ascii_case(keyword))
    }

    pub fn is(&self, keyword: &str) -> bool {
        self.is_at(0, keyword)
    }

    /// Do these keywords, separated by spaces, come next?
    pub fn is_seq(&self, keywords: &str) -> bool {
        // Most that is asked for does not even begin like what stands there.
        let next = self.peek_nth(0).and_then(|t| self.text.slice(t.span).bytes().next());
        let likely = next.zip(keywords.bytes().next()).is_some_and(|(a, b)| a.eq_ignore_ascii_case(&b));
        likely && keywords.split(' ').enumerate().all(|(i, k)| self.is_at(i, k))
    }

    pub fn is_any(&self, keywords: &[&str]) -> bool {
        keywords.iter().any(|k| self.is(k))
    }

    /// Takes these keywords, separated by spaces, if all of them come next.
    pub fn eat(&mut self, keywords: &str) -> bool {
        let all = self.is_seq(keywords);
        if all {
            self.pos += keywords.split(' ').count();
        }
        all
    }

    /// The first of `keywords` that comes next, taken.
    pub fn eat_any<'k>(&mut self, keywords: &[&'k str]) -> Option<&'k str> {
        keywords.iter().find(|k| self.eat(k)).copied()
    }

    pub fn expect(&mut self, keywords: &str) -> Read<()> {
        if self.eat(keywords) { Ok(()) } else { self.fail(&format!("`{keywords}`")) }
    }

    pub fn if_exists(&mut self) -> bool {
        self.eat("IF EXISTS")
    }

    pub fn if_not_exists(&mut self) -> bool {
        self.eat("IF NOT EXISTS")
    }

    /// CASCADE or RESTRICT: is it CASCADE?
    pub fn cascade(&mut self) -> bool {
        if self.eat("CASCADE") {
            return true;
        }
        self.eat("RESTRICT");
        false
    }

    // Punctuation and operators

    pub fn is_punct_at(&self, n: usize, b: u8) -> bool {
        self.peek_nth(n).is_some_and(|t| t.kind == TokenKind::Punct(b))
    }

    pub fn is_punct(&self, b: u8) -> bool {
        self.is_punct_at(0, b)
    }

    pub fn punct(&mut self, b: u8) -> bool {
        let yes = self.is_punct(b);
        self.pos += usize::from(yes);
        yes
    }

    pub fn expect_punct(&mut self, b: u8) -> Read<()> {
        if self.punct(b) { Ok(()) } else { self.fail(&format!("`{}`", b as char)) }
    }

    pub fn comma(&mut self) -> bool {
        self.punct(b',')
    }

    pub fn is_op_at(&self, n: usize, op: &str) -> bool {
        self.peek_nth(n).is_some_and(|t| t.kind == TokenKind::Op && self.text.slice(t.span) == op)
    }

    pub fn is_op(&self, op: &str) -> bool {
        self.is_op_at(0, op)
    }

    pub fn op(&mut self, op: &str) -> bool {
        let yes = self.is_op(op);
        self.pos += usize::from(yes);
        yes
    }

    pub fn expect_op(&mut self, op: &str) -> Read<()> {
        if self.op(op) { Ok(()) } else { self.fail(&format!("`{op}`")) }
    }

    // Names and literals

    /// Any word, quoted or not: keywords are taken too, since the caller knows that a name stands here.
    pub fn name(&mut self) -> Read<Name> {
        match self.peek() {
            Some(t) if is_name(t.kind) => {
                self.pos += 1;
                Ok(Name::new(ident_value(t.kind, self.text.slice(t.span)), t.span))
            }
            _ => self.fail("a name"),
        }
    }

    pub fn is_name(&self) -> bool {
        self.peek().is_some_and(|t| is_name(t.kind))
    }

    /// `a`, `a.b`, `a.b.c`: all parts.
    pub fn dotted(&mut self) -> Read<Vec<Name>> {
        let mut parts = vec![self.name()?];
        while self.is_punct(b'.') && self.peek_nth(1).is_some_and(|t| is_name(t.kind)) {
            self.pos += 1;
            parts.push(self.name()?);
        }
        Ok(parts)
    }

    pub fn qname(&mut self) -> Read<QName> {
        let mut parts = self.dotted()?;
        match (parts.pop(), parts.pop()) {
            (Some(name), schema) => Ok(QName { schema, name }),
            (None, _) => self.fail("a name"),
        }
    }

    /// `(a, b, c)`.
    pub fn name_list(&mut self) -> Read<Vec<Name>> {
        self.parens(|c| c.list(Cursor::name))
    }

    pub fn qname_list(&mut self) -> Read<Vec<QName>> {
        self.list(Cursor::qname)
    }

    /// What `f` reads, between parentheses.
    pub fn parens<T>(&mut self, f: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        self.expect_punct(b'(')?;
        let out = f(self)?;
        self.expect_punct(b')')?;
        Ok(out)
    }

    /// One or more of what `f` reads, with commas between.
    pub fn list<T>(&mut self, mut f: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let mut out = vec![f(self)?];
        while self.comma() {
            out.push(f(self)?);
        }
        Ok(out)
    }

    pub fn is_string(&self) -> bool {
        self.peek().is_some_and(|t| matches!(t.kind, TokenKind::String | TokenKind::DollarString))
    }

    pub fn string(&mut self) -> Read<String> {
        match self.peek() {
            Some(t) if matches!(t.kind, TokenKind::String | TokenKind::DollarString) => {
                self.pos += 1;
                Ok(string_value(self.text.slice(t.span)))
            }
            // `:'name'` is a string once psql ran; which one nobody knows here.
            Some(t) if t.kind == TokenKind::Template => {
                self.pos += 1;
                Ok(self.text.slice(t.span).to_owned())
            }
            _ => self.fail("a string"),
        }
    }

    /// A number with its sign, as written.
    pub fn number(&mut self) -> Read<String> {
        let start = self.pos;
        let _ = self.op("-") || self.op("+");
        match self.peek() {
            Some(t) if matches!(t.kind, TokenKind::Number | TokenKind::Template) => {
                self.pos += 1;
                Ok(self.text_from(start))
            }
            _ => {
                self.pos = start;
                self.fail("a number")
            }
        }
    }

    // Skipping

    /// Goes behind the bracket that closes the one here; false at the end.
    pub fn skip_parens(&mut self) -> bool {
        let mut depth = 0usize;
        while let Some(t) = self.next() {
            match t.kind {
                TokenKind::Punct(b'(' | b'[') => depth += 1,
                TokenKind::Punct(b')' | b']') => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return true;
                    }
                }
                _ => {}
            }
        }
        false
    }

    /// Moves to the first token outside of brackets for which `stop` says yes, or to the end. Returns the range passed.
    pub fn skip_until(&mut self, mut stop: impl FnMut(&Self) -> bool) -> std::ops::Range<usize> {
        let start = self.pos;
        while let Some(t) = self.peek() {
            if stop(self) {
                break;
            }
            match t.kind {
                TokenKind::Punct(b'(' | b'[') => {
                    self.skip_parens();
                }
                TokenKind::Punct(b')' | b']') => break,
                _ => self.pos += 1,
            }
        }
        start..self.pos
    }

    /// The rest, as written.
    pub fn rest_text(&mut self) -> String {
        let start = self.pos;
        self.pos = self.tokens.len();
        if start == self.pos { String::new() } else { self.text_from(start) }
    }
}

fn is_name(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::Word | TokenKind::QuotedIdent | TokenKind::Template)
}
