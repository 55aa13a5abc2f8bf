//! SQL inside of code: DO blocks, PL/pgSQL and SQL functions.
//!
//! PL/pgSQL is read statement by statement: words that control the flow are taken off, and what remains is SQL or it is skipped.

use crate::op::{Op, OpKind, OpaqueReason};
use crate::sql::cursor::{Cursor, Read};
use crate::sql::token::{SqlText, Token, TokenKind, dollar_body, string_value, tokenize};

use super::expr::{MAX_DEPTH, RED_ZONE, STACK_PIECE, TOO_DEEP};
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
    let found = body(c.text, &token, &language, c.depth);
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

/// How many levels of expressions one body inside of another counts for: each level reads what is left of the text once more.
const LEVEL: u16 = 32;

/// The operations of a body that stands in a string. `depth` is the nesting of what it stands in.
pub fn body(text: SqlText<'_>, token: &Token, language: &str, depth: u16) -> Body {
    let mut out = Body::default();
    let depth = depth + LEVEL;
    if depth >= MAX_DEPTH {
        let reason = OpaqueReason::Syntax { message: TOO_DEEP.to_string(), at: token.span };
        out.ops.push(Op { span: token.span, command: 0, conditional: false, nested: true, kind: OpKind::Opaque { reason } });
        return out;
    }
    stacker::maybe_grow(RED_ZONE, STACK_PIECE, || body_at(text, token, language, depth, &mut out));
    out
}

fn body_at(text: SqlText<'_>, token: &Token, language: &str, depth: u16, out: &mut Body) {
    let words = text.slice(token.span);
    // A dollar-quoted body keeps its places in the file. In another string places mean little once escapes are undone.
    match dollar_body(words) {
        Some(range) => {
            let inner = SqlText::new(&words[range.clone()], token.span.start + range.start as u32);
            read(inner, language, depth, out);
        }
        None => {
            let value = string_value(words);
            read(SqlText::new(&value, token.span.start), language, depth, out);
            for o in &mut out.ops {
                o.span = token.span;
            }
        }
    }
}

fn read(text: SqlText<'_>, language: &str, nesting: u16, out: &mut Body) {
    let tokens = tokenize(text);
    match language {
        "plpgsql" => Block { text, out, nesting, depth: 0, handler: false, command: 0, declares: false }.read(&tokens),
        "sql" => {
            for (i, part) in tokens.split(|t| t.kind == TokenKind::Punct(b';')).enumerate() {
                sql(text, nesting, part, false, i as u32, out);
            }
        }
        _ => {}
    }
}

/// One SQL statement inside of code. What cannot be read there is left out: it may be an expression of the language.
fn sql(text: SqlText<'_>, nesting: u16, tokens: &[Token], conditional: bool, command: u32, out: &mut Body) {
    if tokens.is_empty() {
        return;
    }
    let mut c = Cursor::new(text, tokens);
    c.depth = nesting;
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
    /// Of the block itself, in the text around it.
    nesting: u16,
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
                self.depth += 1;
                n
            } else {
                break;
            };
            tokens = &tokens[skip.min(tokens.len())..];
        }
        self.command += 1;
        let conditional = self.depth > 0 || self.handler || self.out.handles_exceptions;
        let mut c = Cursor::new(self.text, tokens);
        if c.is("PERFORM") {
            self.perform(tokens, conditional);
        } else if c.is("EXECUTE") {
            self.execute(tokens, conditional);
        } else if c.is("RETURN") {
            if c.eat("RETURN QUERY") && query::starts(&c, 0) {
                sql(self.text, self.nesting, &tokens[2..], conditional, self.command, self.out);
            }
        } else if c.is_any(&["RAISE", "ASSERT", "NULL", "EXIT", "CONTINUE", "GET", "OPEN", "FETCH", "CLOSE", "MOVE"]) {
        } else {
            let from = self.out.ops.len();
            sql(self.text, self.nesting, tokens, conditional, self.command, self.out);
            // In PL/pgSQL `SELECT … INTO x` fills a variable.
            if c.is("SELECT") || c.is("WITH") {
                for o in &mut self.out.ops[from..] {
                    if let OpKind::CreateTableAs(t) = &o.kind {
                        o.kind = OpKind::Query(Box::new(t.query.clone()));
                    }
                }
            }
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
            sql(inner, self.nesting, part, conditional, self.command, &mut found);
        }
        self.out.ops.extend(found.ops.into_iter().map(|mut o| {
            o.span = span;
            o
        }));
    }
}
