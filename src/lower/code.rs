//! SQL inside of code: DO blocks, PL/pgSQL and SQL functions.
//!
//! PL/pgSQL is read statement by statement: words that control the flow are taken off, and what remains is SQL or it is skipped.

use crate::op::{Op, OpKind, OpaqueReason};
use crate::sql::cursor::{Cursor, Read};
use crate::sql::token::{SqlText, Token, TokenKind, dollar_body, string_value, tokenize};

use super::{commands, op, query};

/// What a body does.
#[derive(Default)]
pub struct Body {
    pub ops: Vec<Op>,
    /// EXECUTE of something that is not a literal.
    pub dynamic: bool,
    /// A string is glued together for EXECUTE with `||`.
    pub concatenated: bool,
    pub handles_exceptions: bool,
}

pub fn do_block(c: &mut Cursor<'_>) -> Read<Vec<Op>> {
    let start = c.pos();
    c.expect("DO")?;
    let mut language = "plpgsql".to_string();
    let mut code = None;
    loop {
        if c.eat("LANGUAGE") {
            language = if c.is_string() { c.string()?.to_lowercase() } else { c.name()?.value };
        } else if code.is_none() && c.is_string() {
            code = c.peek();
            c.string()?;
        } else {
            break;
        }
    }
    let Some(token) = code else { return c.fail("the code of the block") };
    let found = body(c.text, &token, &language);
    let mut out = vec![op(
        c,
        start,
        OpKind::DoBlock { language: language.clone(), dynamic: found.dynamic, handles_exceptions: found.handles_exceptions },
    )];
    if !matches!(language.as_str(), "plpgsql" | "sql") {
        out.push(op(c, start, OpKind::Opaque { reason: OpaqueReason::Language(language) }));
    }
    out.extend(found.ops.into_iter().map(|mut o| {
        o.command += 1;
        o
    }));
    Ok(out)
}

/// The operations of a body that stands in a string.
pub fn body(text: SqlText<'_>, token: &Token, language: &str) -> Body {
    let mut out = Body::default();
    let words = text.slice(token.span);
    // A dollar-quoted body keeps its places in the file. In another string places mean little once escapes are undone.
    match dollar_body(words) {
        Some(range) => {
            let inner = SqlText::new(&words[range.clone()], token.span.start + range.start as u32);
            read(inner, language, &mut out);
        }
        None => {
            let value = string_value(words);
            read(SqlText::new(&value, token.span.start), language, &mut out);
            for o in &mut out.ops {
                o.span = token.span;
            }
        }
    }
    out
}

fn read(text: SqlText<'_>, language: &str, out: &mut Body) {
    let tokens = tokenize(text);
    match language {
        "plpgsql" => Block { text, out, depth: 0, handler: false, command: 0, declares: false }.read(&tokens),
        "sql" => {
            for (i, part) in tokens.split(|t| t.kind == TokenKind::Punct(b';')).enumerate() {
                sql(text, part, false, i as u32, out);
            }
        }
        _ => {}
    }
}

/// A statement without `INTO [STRICT] x, y`, which in PL/pgSQL fills variables: blanks in its text, and the tokens that remain. `None`: there is
/// none. The INTO of INSERT and MERGE is another one.
fn without_targets(text: SqlText<'_>, tokens: &[Token]) -> Option<(String, Vec<Token>)> {
    let mut c = Cursor::new(text, tokens);
    if !c.is_any(&["SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "TABLE"]) {
        return None;
    }
    let whole = tokens.first()?.span.to(tokens.last()?.span);
    let mut words = text.slice(whole).to_owned();
    let mut out = Vec::with_capacity(tokens.len());
    while !c.at_end() {
        let passed = c.skip_until(|c| c.is("INTO"));
        out.extend_from_slice(&tokens[passed]);
        let before = out.last().map_or("", |t: &Token| text.slice(t.span));
        if !c.is("INTO") || before.eq_ignore_ascii_case("insert") || before.eq_ignore_ascii_case("merge") {
            out.extend(c.next());
            continue;
        }
        let start = c.pos();
        c.next();
        c.eat("STRICT");
        let target = |c: &mut Cursor<'_>| {
            c.dotted()?;
            while c.is_punct(b'[') {
                c.skip_parens();
            }
            Ok(())
        };
        c.list(target).ok()?;
        let gone = c.span_from(start);
        let range = (gone.start - whole.start) as usize..(gone.end - whole.start) as usize;
        words.replace_range(range.clone(), &" ".repeat(range.len()));
    }
    (out.len() < tokens.len()).then_some((words, out))
}

/// One SQL statement inside of code. What cannot be read there is left out: it may be an expression of the language.
fn sql(text: SqlText<'_>, tokens: &[Token], conditional: bool, command: u32, out: &mut Body) {
    if tokens.is_empty() {
        return;
    }
    let mut c = Cursor::new(text, tokens);
    if let Ok(ops) = commands::read(&mut c)
        && c.at_end()
    {
        out.ops.extend(ops.into_iter().map(|mut o| {
            o.nested = true;
            o.conditional |= conditional;
            o.command = command;
            o
        }));
    }
}

struct Block<'a, 'o> {
    text: SqlText<'a>,
    out: &'o mut Body,
    /// Open IF, CASE, LOOP.
    depth: u32,
    /// Behind EXCEPTION.
    handler: bool,
    command: u32,
    /// Between DECLARE and BEGIN.
    declares: bool,
}

impl Block<'_, '_> {
    fn read(&mut self, tokens: &[Token]) {
        // A block that catches errors undoes its statements on one: they are as uncertain as those in an IF.
        let word = |t: &Token| if t.kind == TokenKind::Word { self.text.slice(t.span) } else { "" };
        self.out.handles_exceptions =
            tokens.windows(2).any(|w| word(&w[0]).eq_ignore_ascii_case("exception") && word(&w[1]).eq_ignore_ascii_case("when"));
        for part in tokens.split(|t| t.kind == TokenKind::Punct(b';')) {
            self.statement(part);
        }
    }

    fn statement(&mut self, mut tokens: &[Token]) {
        // Words of control stand before the SQL: `BEGIN`, `IF x THEN`, `FOR … LOOP`, `WHEN OTHERS THEN`, labels.
        loop {
            let c = Cursor::new(self.text, tokens);
            let skip_behind = |word: &str| {
                let mut look = c.clone();
                look.skip_until(|c| c.is(word));
                look.is(word).then_some(look.pos() + 1)
            };
            let skip = if c.at_end() {
                return;
            } else if c.is_op("#") {
                // `#variable_conflict use_column`, an option of the compiler.
                3
            } else if c.is_op("<<") {
                let mut look = c.clone();
                look.skip_until(|c| c.is_op(">>"));
                look.pos() + 1
            } else if c.is("DECLARE") {
                self.declares = true;
                1
            } else if c.is("BEGIN") {
                self.declares = false;
                1
            } else if self.declares {
                return;
            } else if c.is_seq("END IF") || c.is_seq("END LOOP") || c.is_seq("END CASE") {
                self.depth = self.depth.saturating_sub(1);
                return;
            } else if c.is("END") {
                self.handler = false;
                return;
            } else if c.is_seq("EXCEPTION WHEN") {
                self.handler = true;
                1
            } else if c.is("IF") || c.is("CASE") {
                let Some(n) = skip_behind("THEN") else { return };
                self.depth += 1;
                n
            } else if c.is("ELSIF") || c.is("ELSEIF") || c.is("WHEN") {
                let Some(n) = skip_behind("THEN") else { return };
                n
            } else if c.is("ELSE") {
                1
            } else if c.is("LOOP") {
                self.depth += 1;
                1
            } else if c.is("FOR") || c.is("FOREACH") || c.is("WHILE") {
                let Some(n) = skip_behind("LOOP") else { return };
                if c.is("FOR") {
                    self.for_query(&tokens[..n.min(tokens.len()).saturating_sub(1)]);
                }
                self.depth += 1;
                n
            } else {
                break;
            };
            tokens = &tokens[skip.min(tokens.len())..];
        }
        self.command += 1;
        let conditional = self.conditional();
        let mut c = Cursor::new(self.text, tokens);
        if c.is("PERFORM") {
            self.perform(tokens, conditional);
        } else if c.is("EXECUTE") {
            self.execute(tokens, conditional);
        } else if c.is("RETURN") {
            if c.eat("RETURN QUERY") {
                self.runs(&tokens[2..], conditional);
            }
        } else if c.is("OPEN") {
            // OPEN c FOR …; without a FOR the query stands where the cursor is declared.
            c.skip_until(|c| c.is("FOR"));
            if c.eat("FOR") {
                self.runs(&tokens[c.pos()..], conditional);
            }
        } else if c.is_any(&["RAISE", "ASSERT", "NULL", "EXIT", "CONTINUE", "GET", "FETCH", "CLOSE", "MOVE"]) {
        } else {
            match without_targets(self.text, tokens) {
                Some((words, tokens)) => {
                    let start = tokens.first().map_or(0, |t| t.span.start);
                    sql(SqlText::new(&words, start), &tokens, conditional, self.command, self.out);
                }
                None => sql(self.text, tokens, conditional, self.command, self.out),
            }
        }
    }

    fn conditional(&self) -> bool {
        self.depth > 0 || self.handler || self.out.handles_exceptions
    }

    /// A query, or EXECUTE of a text that is one.
    fn runs(&mut self, tokens: &[Token], conditional: bool) {
        let c = Cursor::new(self.text, tokens);
        if c.is("EXECUTE") {
            self.execute(tokens, conditional);
        } else if query::starts(&c, 0) || super::dml::starts_after_with(&c) {
            sql(self.text, tokens, conditional, self.command, self.out);
        }
    }

    /// `FOR r IN SELECT …`, up to LOOP: a query runs, unless it counts or goes over a cursor.
    fn for_query(&mut self, tokens: &[Token]) {
        let mut c = Cursor::new(self.text, tokens);
        c.skip_until(|c| c.is("IN"));
        if c.eat("IN") {
            self.command += 1;
            let conditional = self.conditional();
            self.runs(&tokens[c.pos()..], conditional);
        }
    }

    /// `PERFORM f(x)` is `SELECT f(x)`.
    fn perform(&mut self, tokens: &[Token], conditional: bool) {
        let (Some(first), Some(last)) = (tokens.get(1), tokens.last()) else { return };
        let text = format!("SELECT {}", self.text.slice(first.span.to(last.span)));
        self.generated(&text, first.span.to(last.span), conditional);
    }

    /// EXECUTE of a literal is read; of anything else it is opaque.
    fn execute(&mut self, tokens: &[Token], conditional: bool) {
        let span = tokens[0].span.to(tokens[tokens.len() - 1].span);
        let mut c = Cursor::new(self.text, &tokens[1..]);
        let literal = c.string().ok().filter(|_| c.at_end() || c.is("INTO") || c.is("USING"));
        if let Some(text) = literal {
            self.generated(&text, span, conditional);
            return;
        }
        self.out.dynamic = true;
        self.out.concatenated |= tokens.iter().any(|t| t.kind == TokenKind::Op && self.text.slice(t.span) == "||");
        self.out.ops.push(Op {
            span,
            command: self.command,
            conditional,
            nested: true,
            kind: OpKind::Opaque { reason: OpaqueReason::Dynamic },
        });
    }

    fn generated(&mut self, text: &str, span: crate::source::Span, conditional: bool) {
        let mut found = Body::default();
        let inner = SqlText::new(text, span.start);
        let tokens = tokenize(inner);
        for part in tokens.split(|t| t.kind == TokenKind::Punct(b';')) {
            sql(inner, part, conditional, self.command, &mut found);
        }
        self.out.ops.extend(found.ops.into_iter().map(|mut o| {
            o.span = span;
            o
        }));
    }
}
