//! A script into statements, at the boundaries that psql sees.

use crate::source::{SourceFile, Span};

use super::token::{Lexer, SqlText, Token, TokenKind};

/// One statement: its tokens without the semicolon, and the data that follow a COPY.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    pub tokens: Vec<Token>,
    /// Lines between `COPY … FROM stdin;` and `\.`.
    pub data: Option<Span>,
}

impl Slice {
    /// From the first word to the last.
    pub fn span(&self) -> Span {
        match (self.tokens.first(), self.tokens.last()) {
            (Some(a), Some(b)) => a.span.to(b.span),
            _ => Span::default(),
        }
    }
}

/// The statements inside of `parts`.
pub fn split(source: &SourceFile, parts: &[Span]) -> Vec<Slice> {
    let mut out = Vec::new();
    for part in parts {
        if let Some(text) = source.text().get(part.range()) {
            split_text(SqlText::new(text, part.start), &mut out);
        }
    }
    out
}

fn split_text(text: SqlText<'_>, out: &mut Vec<Slice>) {
    let end = text.full_span().end;
    let mut lexer = Lexer::new(text);
    let mut now = Open::default();
    while let Some(t) = lexer.next() {
        match t.kind {
            // `\set x 1` stands by itself; `\gexec` ends what stands before it.
            TokenKind::Meta => {
                now.close(None, out);
                out.push(Slice { tokens: vec![t], data: None });
            }
            TokenKind::Punct(b';') if now.ends_here() => {
                let data = if now.copies_from_stdin(text) { Some(copy_data(text, t.span.end, end)) } else { None };
                if let Some(d) = data {
                    lexer.jump(after_data(text, d, end));
                }
                now.close(data, out);
            }
            _ => now.push(t, text),
        }
    }
    now.close(None, out);
}

/// The statement that is being read.
#[derive(Default)]
struct Open {
    tokens: Vec<Token>,
    parens: u32,
    /// Open BEGIN ATOMIC and CASE: a semicolon inside belongs to the statement.
    atomic: u32,
    /// CREATE RULE … DO (a; b).
    rule: bool,
}

impl Open {
    fn push(&mut self, t: Token, text: SqlText<'_>) {
        let word = |t: &Token| if t.kind == TokenKind::Word { text.slice(t.span) } else { "" };
        match t.kind {
            TokenKind::Punct(b'(') => self.parens += 1,
            TokenKind::Punct(b')') => self.parens = self.parens.saturating_sub(1),
            TokenKind::Word => {
                let w = word(&t);
                let last = self.tokens.last().map_or("", word);
                if w.eq_ignore_ascii_case("atomic") && last.eq_ignore_ascii_case("begin") && self.tokens.len() > 2 {
                    self.atomic = 1;
                } else if self.atomic > 0 && w.eq_ignore_ascii_case("case") && !last.eq_ignore_ascii_case("end") {
                    self.atomic += 1;
                } else if self.atomic > 0 && w.eq_ignore_ascii_case("end") {
                    self.atomic -= 1;
                } else if w.eq_ignore_ascii_case("rule") && self.tokens.len() <= 3 {
                    self.rule = self.tokens.first().is_some_and(|t| word(t).eq_ignore_ascii_case("create"));
                }
            }
            _ => {}
        }
        self.tokens.push(t);
    }

    /// An unclosed bracket does not swallow the statements behind it, though psql would wait for its end.
    fn ends_here(&self) -> bool {
        self.atomic == 0 && !(self.rule && self.parens > 0)
    }

    fn copies_from_stdin(&self, text: SqlText<'_>) -> bool {
        let is =
            |i: usize, w: &str| self.tokens.get(i).is_some_and(|t| t.kind == TokenKind::Word && text.slice(t.span).eq_ignore_ascii_case(w));
        is(0, "copy") && (1..self.tokens.len()).any(|i| is(i, "from") && is(i + 1, "stdin"))
    }

    fn close(&mut self, data: Option<Span>, out: &mut Vec<Slice>) {
        if !self.tokens.is_empty() {
            out.push(Slice { tokens: std::mem::take(&mut self.tokens), data });
        }
        *self = Open::default();
    }
}

/// From the line after the statement up to the line `\.`; without one, to the end.
fn copy_data(text: SqlText<'_>, from: u32, end: u32) -> Span {
    let rest = text.slice(Span { start: from, end });
    let Some(first) = rest.find('\n') else { return Span { start: end, end } };
    let start = from + first as u32 + 1;
    let mut at = start;
    for line in rest[first + 1..].split_inclusive('\n') {
        if line.trim_end_matches(['\n', '\r']) == "\\." {
            return Span { start, end: at };
        }
        at += line.len() as u32;
    }
    Span { start, end }
}

fn after_data(text: SqlText<'_>, data: Span, end: u32) -> u32 {
    let rest = text.slice(Span { start: data.end, end });
    data.end + rest.find('\n').map_or(rest.len(), |i| i + 1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let f = SourceFile::new("x.sql", text);
        let found: Vec<String> = split(&f, &[f.full_span()]).iter().map(|s| f.slice(s.span()).to_string()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn boundaries() {
        check("SELECT 1; ;; SELECT $$;$$ ; -- ;\nSELECT ';' /* ; /* ; */ */", &["SELECT 1", "SELECT $$;$$", "SELECT ';'"]);
        check(
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3",
            &["CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT 3"],
        );
        check(
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 2; END; SELECT 3;",
            &["CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 2; END", "SELECT 3"],
        );
        check("BEGIN; SELECT 1; END; SELECT 2", &["BEGIN", "SELECT 1", "END", "SELECT 2"]);
    }

    #[test]
    fn an_open_bracket_does_not_swallow_its_neighbour() {
        check("CREATE TABLE a (b int; DROP TABLE c;", &["CREATE TABLE a (b int", "DROP TABLE c"]);
    }

    #[test]
    fn copy_data_is_not_sql() {
        check("COPY t (a) FROM stdin;\n1;\t'x\n\\.\nSELECT 1;", &["COPY t (a) FROM stdin", "SELECT 1"]);
        check("COPY t FROM stdin;\n1\n", &["COPY t FROM stdin"]);
        check("\\set x 1\nSELECT 1 \\gexec\nSELECT 2;", &["\\set x 1", "SELECT 1", "\\gexec", "SELECT 2"]);
    }

    /// The same boundaries as psql's, for the shapes that trip splitters.
    #[test]
    fn what_trips_splitters() {
        check("DO $a$ BEGIN PERFORM $b$;$b$; END $a$; SELECT 2", &["DO $a$ BEGIN PERFORM $b$;$b$; END $a$", "SELECT 2"]);
        check(
            "SELECT 'a''; b', E'\\'; c', U&'d\\;e', U&\"f;g\", \"h;\"\"i\"; SELECT 2",
            &["SELECT 'a''; b', E'\\'; c', U&'d\\;e', U&\"f;g\", \"h;\"\"i\"", "SELECT 2"],
        );
        check("SELECT 1 /* a; /* b; */ c; */; SELECT 2 -- d; e\n; SELECT 3", &["SELECT 1", "SELECT 2", "SELECT 3"]);
        check("SELECT $1; SELECT a$b$c; SELECT $$\n;\n$$", &["SELECT $1", "SELECT a$b$c", "SELECT $$\n;\n$$"]);
        check(
            "CREATE FUNCTION f() RETURNS void BEGIN ATOMIC INSERT INTO t SELECT 1; UPDATE t SET a = CASE WHEN b THEN CASE WHEN c THEN 1 END END; END; SELECT 2;",
            &[
                "CREATE FUNCTION f() RETURNS void BEGIN ATOMIC INSERT INTO t SELECT 1; UPDATE t SET a = CASE WHEN b THEN CASE WHEN c THEN 1 END END; END",
                "SELECT 2",
            ],
        );
        check("BEGIN; CREATE TABLE atomic (a int); END; SELECT 2", &["BEGIN", "CREATE TABLE atomic (a int)", "END", "SELECT 2"]);
    }

    #[test]
    fn data_of_copy_with_and_without_an_end() {
        check(
            "COPY t (a) FROM stdin WITH (FORMAT csv);\r\na;b\r\n'\r\n\\.\r\nSELECT 1;\r\n",
            &["COPY t (a) FROM stdin WITH (FORMAT csv)", "SELECT 1"],
        );
        check("copy t from STDIN;\n\\.\nSELECT 1", &["copy t from STDIN", "SELECT 1"]);
        check("COPY t FROM '/x'; SELECT 1", &["COPY t FROM '/x'", "SELECT 1"]);
        check("COPY t TO stdout; SELECT 1", &["COPY t TO stdout", "SELECT 1"]);
        check("SELECT 0;\nCOPY t FROM stdin;\n1;2\nDROP TABLE x;", &["SELECT 0", "COPY t FROM stdin"]);
    }

    #[test]
    fn commands_of_psql_and_placeholders() {
        check(
            "\\set v 'a;b'\n\\if :v\nSELECT :v, :'v', :\"v\";\n\\endif\n\\ir x;y.sql\n\\copy t from 'a;b.csv'\nSELECT 'x' \\gexec\nSELECT 1;",
            &[
                "\\set v 'a;b'",
                "\\if :v",
                "SELECT :v, :'v', :\"v\"",
                "\\endif",
                "\\ir x;y.sql",
                "\\copy t from 'a;b.csv'",
                "SELECT 'x'",
                "\\gexec",
                "SELECT 1",
            ],
        );
        check(
            "ALTER TABLE ${s;x}.t ADD a int; {{ a; b }}; SELECT <%= a; b %>; DROP TABLE %s;",
            &["ALTER TABLE ${s;x}.t ADD a int", "{{ a; b }}", "SELECT <%= a; b %>", "DROP TABLE %s"],
        );
    }
}
