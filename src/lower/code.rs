//! SQL inside of code: DO blocks, PL/pgSQL and SQL functions.

use crate::op::{CreateFunction, Op, OpKind, OpaqueReason};
use crate::sql::cursor::{Cursor, Read};
use crate::sql::token::{SqlText, Token, TokenKind, dollar_body, string_value, tokenize};

use super::constant::{Known, fold};
use super::expr::{MAX_DEPTH, RED_ZONE, STACK_PIECE, TOO_DEEP};
use super::plpgsql::Block;
use super::{commands, op};

/// What a body does.
#[derive(Default)]
pub struct Body {
    pub ops: Vec<Op>,
    /// EXECUTE of something that is not a literal.
    pub dynamic: bool,
    /// A string is glued together for EXECUTE with `||`.
    pub concatenated: bool,
    pub handles_exceptions: bool,
    /// How deep the text nests around it.
    pub(super) nesting: u16,
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
    let found = body(c.text, &token, &language, true, c.depth);
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

/// The operations of a body that stands in a string. `runs`: it runs where it stands, as DO does. `depth` is the nesting of what it
/// stands in.
pub fn body(text: SqlText<'_>, token: &Token, language: &str, runs: bool, depth: u16) -> Body {
    let mut out = Body { nesting: depth + LEVEL, ..Body::default() };
    if out.nesting >= MAX_DEPTH {
        let reason = OpaqueReason::Syntax { message: TOO_DEEP.to_string(), at: token.span };
        out.ops.push(Op { span: token.span, command: 0, conditional: false, nested: true, kind: OpKind::Opaque { reason } });
        return out;
    }
    stacker::maybe_grow(RED_ZONE, STACK_PIECE, || body_at(text, token, language, runs, &mut out));
    out
}

fn body_at(text: SqlText<'_>, token: &Token, language: &str, runs: bool, out: &mut Body) {
    let words = text.slice(token.span);
    // A dollar-quoted body keeps its places in the file. In another string places mean little once escapes are undone.
    match dollar_body(words) {
        Some(range) => {
            let inner = SqlText::new(&words[range.clone()], token.span.start + range.start as u32);
            read(inner, language, Known::new(), runs, out);
        }
        None => {
            let value = string_value(words);
            read(SqlText::new(&value, token.span.start), language, Known::new(), runs, out);
            for o in &mut out.ops {
                o.span = token.span;
            }
        }
    }
}

/// What a call with these arguments does: EXECUTE of strings that are made of them is read. `None`: the arguments tell nothing new.
pub fn called(f: &CreateFunction, args: &[crate::op::Expr]) -> Option<Body> {
    if !f.dynamic_sql {
        return None;
    }
    let mut known = Known::new();
    let takes = f.args.iter().filter(|a| a.mode != "OUT" && a.mode != "TABLE");
    for (i, a) in takes.enumerate() {
        let Some(value) = args.get(i).or(a.default.as_ref()).and_then(|e| fold(e, &Known::new())) else { continue };
        known.insert(format!("${}", i + 1), value.clone());
        if let Some(n) = &a.name {
            known.insert(n.value.clone(), value);
        }
    }
    if known.is_empty() {
        return None;
    }
    let mut out = Body::default();
    read(SqlText::new(&f.body, 0), &f.language, known, false, &mut out);
    let span = f.body_span.unwrap_or_default();
    for o in &mut out.ops {
        o.span = span;
    }
    Some(out)
}

fn read(text: SqlText<'_>, language: &str, known: Known, runs: bool, out: &mut Body) {
    let tokens = tokenize(text);
    match language {
        "plpgsql" => Block::new(text, out, known, runs).read(&tokens),
        "sql" => {
            for (i, part) in tokens.split(|t| t.kind == TokenKind::Punct(b';')).enumerate() {
                sql(text, part, false, i as u32, out);
            }
        }
        _ => {}
    }
}

/// One SQL statement inside of code. What cannot be read there is left out: it may be an expression of the language.
pub(super) fn sql(text: SqlText<'_>, tokens: &[Token], conditional: bool, command: u32, out: &mut Body) {
    if tokens.is_empty() {
        return;
    }
    let mut c = Cursor::new(text, tokens);
    c.depth = out.nesting;
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
