//! Operators of expressions: what binds how strongly, in front of, between and behind operands.

use crate::op::{Expr, ExprKind};
use crate::sql::cursor::{Cursor, Read};
use crate::sql::token::TokenKind;

use super::expr::{MAX_DEPTH, deeper, made, parenthesised, postfix, primary, too_deep};
use super::types;

/// Operands of one run of operators that become nested `Binary`s; the rest of a longer run becomes one flat list. A
/// generated `id = 1 OR id = 2 OR …` would otherwise make a tree as deep as it is long. Less and less is allowed further
/// down, so that runs inside of runs stay shallow as well.
fn max_run(depth: u16) -> usize {
    (64usize >> (depth / 8).min(4)).max(4)
}

/// How strongly infix operators bind, weakest first.
mod bp {
    pub const OR: u8 = 1;
    pub const AND: u8 = 2;
    pub const NOT: u8 = 3;
    pub const IS: u8 = 4;
    pub const COMPARE: u8 = 5;
    pub const LIKE: u8 = 6;
    pub const OTHER: u8 = 7;
    pub const ADD: u8 = 8;
    pub const MUL: u8 = 9;
    pub const POWER: u8 = 10;
    pub const AT: u8 = 11;
    pub const COLLATE: u8 = 12;
    pub const SIGN: u8 = 13;
    pub const CAST: u8 = 15;
}

enum Infix {
    /// A symbol or word with an operand on both sides.
    Op(String),
    Is,
    IsNull(bool),
    In(bool),
    Like(String),
    Between(String),
    AtZone,
    AtLocal,
    Collate,
    Cast,
}

/// What infix operator comes next, how strongly it binds, and how many tokens it has.
fn infix(c: &Cursor<'_>, restricted: bool) -> Option<(Infix, u8, usize)> {
    let t = c.peek()?;
    let word = c.text.slice(t.span);
    match t.kind {
        TokenKind::Op => Some(match word {
            "::" => (Infix::Cast, bp::CAST, 1),
            ":=" | "=>" | ".." => return None,
            "<" | ">" | "=" | "<=" | ">=" | "<>" | "!=" => (Infix::Op(word.to_owned()), bp::COMPARE, 1),
            "+" | "-" => (Infix::Op(word.to_owned()), bp::ADD, 1),
            "*" | "/" | "%" => (Infix::Op(word.to_owned()), bp::MUL, 1),
            "^" => (Infix::Op(word.to_owned()), bp::POWER, 1),
            _ => (Infix::Op(word.to_owned()), bp::OTHER, 1),
        }),
        TokenKind::Word => {
            if c.is("COLLATE") {
                return Some((Infix::Collate, bp::COLLATE, 1));
            }
            if c.is_seq("AT TIME ZONE") {
                return Some((Infix::AtZone, bp::AT, 3));
            }
            if c.is_seq("AT LOCAL") {
                return Some((Infix::AtLocal, bp::AT, 2));
            }
            if c.is("OPERATOR") && c.is_punct_at(1, b'(') {
                // `OPERATOR(pg_catalog.=)`: the symbol is what matters.
                let mut n = 2;
                while c.peek_nth(n).is_some() && !c.is_punct_at(n, b')') {
                    n += 1;
                }
                return (n > 2).then(|| (Infix::Op(c.word(n - 1).to_owned()), bp::OTHER, n + 1));
            }
            if c.is("IS") && (!restricted || c.is_seq("IS DISTINCT") || c.is_seq("IS NOT DISTINCT") || c.is_seq("IS DOCUMENT")) {
                return Some((Infix::Is, bp::IS, 1));
            }
            if restricted {
                return None;
            }
            if c.is("AND") {
                return Some((Infix::Op("AND".into()), bp::AND, 1));
            }
            if c.is("OR") {
                return Some((Infix::Op("OR".into()), bp::OR, 1));
            }
            if c.is("ISNULL") {
                return Some((Infix::IsNull(false), bp::IS, 1));
            }
            if c.is("NOTNULL") {
                return Some((Infix::IsNull(true), bp::IS, 1));
            }
            if c.is("OVERLAPS") {
                return Some((Infix::Op("OVERLAPS".into()), bp::OTHER, 1));
            }
            let not = usize::from(c.is("NOT"));
            let said = |words: &str| if not == 1 { format!("NOT {words}") } else { words.to_owned() };
            if c.is_at(not, "IN") && c.is_punct_at(not + 1, b'(') {
                return Some((Infix::In(not == 1), bp::LIKE, not + 1));
            }
            for like in ["LIKE", "ILIKE"] {
                if c.is_at(not, like) {
                    return Some((Infix::Like(said(like)), bp::LIKE, not + 1));
                }
            }
            if c.is_at(not, "SIMILAR") && c.is_at(not + 1, "TO") {
                return Some((Infix::Like(said("SIMILAR TO")), bp::LIKE, not + 2));
            }
            if c.is_at(not, "BETWEEN") {
                return Some((Infix::Between(said("BETWEEN")), bp::LIKE, not + 1));
            }
            None
        }
        _ => None,
    }
}

pub(super) fn binary(c: &mut Cursor<'_>, min: u8, restricted: bool) -> Read<Expr> {
    deeper(c, |c| {
        let start = c.pos();
        let mut left = prefix(c, restricted)?;
        let mut run = 0usize;
        while let Some((op, power, len)) = infix(c, restricted) {
            if power <= min {
                break;
            }
            // Each round copies the words of the rounds before it.
            if run >= usize::from(MAX_DEPTH) {
                return Err(too_deep(c));
            }
            c.reset(c.pos() + len);
            run += 1;
            if run > max_run(c.depth) && matches!(op, Infix::Op(_)) {
                left = flat(c, start, left, power, restricted)?;
                continue;
            }
            let kind = match op {
                Infix::Op(op) => {
                    let right = operand(c, power, restricted)?;
                    ExprKind::Binary { op, left: Box::new(left), right: Box::new(right) }
                }
                Infix::Cast => ExprKind::Cast { expr: Box::new(left), ty: types::type_name(c)? },
                Infix::Collate => ExprKind::Collate { expr: Box::new(left), collation: c.qname()? },
                Infix::AtZone => {
                    let right = binary(c, power, restricted)?;
                    ExprKind::Binary { op: "AT TIME ZONE".into(), left: Box::new(left), right: Box::new(right) }
                }
                Infix::AtLocal => ExprKind::Unary { op: "AT LOCAL".into(), expr: Box::new(left) },
                Infix::IsNull(negated) => ExprKind::IsNull { expr: Box::new(left), negated },
                Infix::Is => is_test(c, left, restricted)?,
                Infix::In(negated) => {
                    let right = parenthesised(c)?;
                    let op = if negated { "NOT IN" } else { "IN" }.to_owned();
                    ExprKind::Binary { op, left: Box::new(left), right: Box::new(right) }
                }
                Infix::Like(op) => {
                    let right = operand(c, power, restricted)?;
                    if c.eat("ESCAPE") {
                        let escape = binary(c, power, restricted)?;
                        ExprKind::Other(vec![left, right, escape])
                    } else {
                        ExprKind::Binary { op, left: Box::new(left), right: Box::new(right) }
                    }
                }
                Infix::Between(op) => {
                    let _ = c.eat("SYMMETRIC") || c.eat("ASYMMETRIC");
                    let low_start = c.pos();
                    let low = binary(c, bp::LIKE, true)?;
                    c.expect("AND")?;
                    let high = binary(c, bp::LIKE, restricted)?;
                    let bounds = made(c, low_start, ExprKind::Row(vec![low, high]));
                    ExprKind::Binary { op, left: Box::new(left), right: Box::new(bounds) }
                }
            };
            left = made(c, start, kind);
        }
        Ok(left)
    })
}

/// The rest of an overlong run of operators as one list.
fn flat(c: &mut Cursor<'_>, start: usize, left: Expr, power: u8, restricted: bool) -> Read<Expr> {
    let mut parts = vec![left];
    let mut power = power;
    loop {
        parts.push(operand(c, power, restricted)?);
        match infix(c, restricted) {
            Some((Infix::Op(_), next, len)) if next > 0 => {
                power = next;
                c.reset(c.pos() + len);
            }
            _ => break,
        }
    }
    Ok(made(c, start, ExprKind::Other(parts)))
}

/// The right side of an operator: an operand, or `ANY (…)`, `ALL (…)`, `SOME (…)`.
pub(super) fn operand(c: &mut Cursor<'_>, power: u8, restricted: bool) -> Read<Expr> {
    if c.is_any(&["ANY", "ALL", "SOME"]) && c.is_punct_at(1, b'(') {
        let start = c.pos();
        c.next();
        let inner = parenthesised(c)?;
        let kind = match inner.kind {
            ExprKind::Subquery(q) => ExprKind::Subquery(q),
            _ => ExprKind::Other(vec![inner]),
        };
        return Ok(made(c, start, kind));
    }
    binary(c, power, restricted)
}

/// After IS.
fn is_test(c: &mut Cursor<'_>, left: Expr, restricted: bool) -> Read<ExprKind> {
    let negated = c.eat("NOT");
    if c.eat("NULL") {
        return Ok(ExprKind::IsNull { expr: Box::new(left), negated });
    }
    if c.eat("DISTINCT FROM") {
        let op = if negated { "IS NOT DISTINCT FROM" } else { "IS DISTINCT FROM" }.to_owned();
        let right = binary(c, bp::IS, restricted)?;
        return Ok(ExprKind::Binary { op, left: Box::new(left), right: Box::new(right) });
    }
    let words =
        ["TRUE", "FALSE", "UNKNOWN", "DOCUMENT", "NORMALIZED", "NFC NORMALIZED", "NFD NORMALIZED", "NFKC NORMALIZED", "NFKD NORMALIZED"];
    if let Some(word) = c.eat_any(&words) {
        return Ok(ExprKind::Unary { op: format!("IS {}{word}", if negated { "NOT " } else { "" }), expr: Box::new(left) });
    }
    if c.eat("JSON") {
        let kind = c.eat_any(&["VALUE", "ARRAY", "OBJECT", "SCALAR"]).unwrap_or("VALUE");
        let _ = c.eat("WITH UNIQUE KEYS") || c.eat("WITHOUT UNIQUE KEYS") || c.eat("WITH UNIQUE") || c.eat("WITHOUT UNIQUE");
        return Ok(ExprKind::Unary { op: format!("IS {}JSON {kind}", if negated { "NOT " } else { "" }), expr: Box::new(left) });
    }
    c.fail("what IS tests")
}

pub(super) fn prefix(c: &mut Cursor<'_>, restricted: bool) -> Read<Expr> {
    let start = c.pos();
    if !restricted && c.is("NOT") {
        c.next();
        let inner = binary(c, bp::NOT - 1, restricted)?;
        return Ok(made(c, start, ExprKind::Unary { op: "NOT".into(), expr: Box::new(inner) }));
    }
    if let Some(t) = c.peek().filter(|t| t.kind == TokenKind::Op) {
        let op = c.text.slice(t.span);
        if op == "?" {
            c.next();
            return Ok(made(c, start, ExprKind::Param("?".into())));
        }
        if op == "*" {
            c.next();
            return Ok(made(c, start, ExprKind::Star(Vec::new())));
        }
        if matches!(op, "=" | "<" | ">" | "::" | ":=" | "=>" | "..") {
            return c.fail("an expression");
        }
        c.next();
        let inner = binary(c, if matches!(op, "+" | "-") { bp::SIGN } else { bp::OTHER }, restricted)?;
        return Ok(made(c, start, ExprKind::Unary { op: op.to_owned(), expr: Box::new(inner) }));
    }
    let primary = primary(c)?;
    postfix(c, start, primary)
}
