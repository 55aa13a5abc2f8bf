//! CREATE FUNCTION and PROCEDURE.

use crate::op::{CreateFunction, FunctionArg, Op, OpKind, Volatility};
use crate::sql::cursor::{Cursor, Read};
use crate::sql::token::TokenKind;

use super::expr::{expr, in_parens};
use super::{code, op, types};

/// One argument: `[mode] [name] type [DEFAULT expr]`.
pub fn arg(c: &mut Cursor<'_>) -> Read<FunctionArg> {
    let mode = |c: &mut Cursor<'_>| c.eat_any(&["INOUT", "OUT", "VARIADIC", "IN"]).map(str::to_string);
    let before = mode(c);
    // A type alone, or a name and a type: what follows tells.
    let start = c.pos();
    let ends = |c: &Cursor<'_>| {
        c.at_end() || c.is_punct(b',') || c.is_punct(b')') || c.is("DEFAULT") || c.is_op("=") || c.is_op(":=") || c.is("ORDER")
    };
    let (name, ty, after) = match types::type_name(c) {
        Ok(ty) if ends(c) => (None, ty, None),
        _ => {
            c.reset(start);
            let name = c.name()?;
            let after = mode(c);
            (Some(name), types::type_name(c)?, after)
        }
    };
    let default = if c.eat("DEFAULT") || c.op("=") || c.op(":=") { Some(expr(c)?) } else { None };
    Ok(FunctionArg { mode: before.or(after).unwrap_or_else(|| "IN".into()), name, ty, default })
}

pub fn create(c: &mut Cursor<'_>, start: usize, or_replace: bool) -> Read<Vec<Op>> {
    let procedure = c.eat("PROCEDURE");
    if !procedure {
        c.expect("FUNCTION")?;
    }
    let name = c.qname()?;
    let args = c.parens(|c| if c.is_punct(b')') { Ok(Vec::new()) } else { c.list(arg) })?;
    let mut f = CreateFunction {
        name,
        procedure,
        or_replace,
        args,
        returns: None,
        returns_table: Vec::new(),
        language: String::new(),
        volatility: Volatility::Volatile,
        strict: false,
        security_definer: false,
        leakproof: false,
        attributes: Vec::new(),
        settings: Vec::new(),
        body: String::new(),
        body_span: None,
        body_ops: Vec::new(),
        dynamic_sql: false,
        concatenated_sql: false,
    };
    while !c.at_end() {
        let at = c.pos();
        if c.eat("RETURNS NULL ON NULL INPUT") || c.eat("STRICT") {
            f.strict = true;
        } else if c.eat("RETURNS TABLE") {
            f.returns_table = c.parens(|c| c.list(|c| Ok((c.name()?, types::type_name(c)?))))?;
        } else if c.eat("RETURNS") {
            f.returns = Some(types::type_name(c)?);
        } else if c.eat("LANGUAGE") {
            f.language = if c.is_string() { c.string()?.to_lowercase() } else { c.name()?.value };
        } else if c.eat("IMMUTABLE") {
            f.volatility = Volatility::Immutable;
        } else if c.eat("STABLE") {
            f.volatility = Volatility::Stable;
        } else if c.eat("VOLATILE") || c.eat("CALLED ON NULL INPUT") || c.eat("NOT LEAKPROOF") {
        } else if c.eat("WINDOW") {
            f.attributes.push(c.text_from(at));
        } else if c.eat("LEAKPROOF") {
            f.leakproof = true;
            f.attributes.push(c.text_from(at));
        } else if c.eat("SECURITY DEFINER") || c.eat("EXTERNAL SECURITY DEFINER") {
            f.security_definer = true;
        } else if c.eat("SECURITY INVOKER") || c.eat("EXTERNAL SECURITY INVOKER") {
        } else if c.eat("COST") || c.eat("ROWS") {
            c.number()?;
            f.attributes.push(c.text_from(at));
        } else if c.eat("PARALLEL") || c.eat("SUPPORT") {
            c.qname()?;
            f.attributes.push(c.text_from(at));
        } else if c.eat("TRANSFORM") {
            c.list(|c| {
                c.expect("FOR TYPE")?;
                types::type_name(c)
            })?;
        } else if c.eat("SET") {
            let key = c.dotted()?.into_iter().map(|n| n.value).collect::<Vec<_>>().join(".");
            if c.eat("FROM CURRENT") {
                continue;
            }
            let _ = c.op("=") || c.eat("TO");
            let at = c.pos();
            c.next();
            while c.comma() {
                c.next();
            }
            f.settings.push((key, c.text_from(at)));
        } else if c.eat("AS") {
            let token = c.peek();
            f.body = c.string()?;
            f.body_span = token.map(|t| t.span);
            if c.comma() {
                c.string()?;
            }
        } else if c.is_seq("BEGIN ATOMIC") {
            let at = c.pos();
            c.rest_text();
            f.body = c.text_from(at);
            f.body_span = Some(c.span_from(at));
            f.language = "sql".into();
        } else if c.eat("RETURN") {
            let at = c.pos();
            expr(c)?;
            f.body = format!("SELECT {}", c.text_from(at));
            f.body_span = Some(c.span_from(at));
            f.language = "sql".into();
        } else if c.eat("WITH") {
            in_parens(c)?;
        } else {
            return c.fail("an option of the function");
        }
    }
    let literal =
        f.body_span.and_then(|s| c.tokens().iter().find(|t| t.span == s && matches!(t.kind, TokenKind::String | TokenKind::DollarString)));
    if let Some(token) = literal {
        let found = code::body(c.text, token, &f.language, false, c.depth);
        f.body_ops = found.ops;
        f.dynamic_sql = found.dynamic;
        f.concatenated_sql = found.concatenated;
    }
    Ok(vec![op(c, start, OpKind::CreateFunction(Box::new(f)))])
}
