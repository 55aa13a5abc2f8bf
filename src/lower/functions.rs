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
        other: Vec::new(),
        settings: Vec::new(),
        body: String::new(),
        symbol: None,
        body_span: None,
        body_ops: Vec::new(),
        dynamic_sql: false,
        concatenated_sql: false,
    };
    while !c.at_end() {
        let clause = c.pos();
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
            f.other.push(c.text_from(clause));
        } else if c.eat("LEAKPROOF") {
            f.leakproof = true;
        } else if c.eat("SECURITY DEFINER") || c.eat("EXTERNAL SECURITY DEFINER") {
            f.security_definer = true;
        } else if c.eat("SECURITY INVOKER") || c.eat("EXTERNAL SECURITY INVOKER") {
        } else if c.eat("COST") || c.eat("ROWS") {
            c.number()?;
            f.other.push(c.text_from(clause));
        } else if c.eat("PARALLEL") || c.eat("SUPPORT") {
            c.qname()?;
            f.other.push(c.text_from(clause));
        } else if c.eat("TRANSFORM") {
            c.list(|c| {
                c.expect("FOR TYPE")?;
                types::type_name(c)
            })?;
            f.other.push(c.text_from(clause));
        } else if c.eat("SET") {
            f.settings.push(setting(c)?);
        } else if c.eat("AS") {
            let token = c.peek();
            f.body = c.string()?;
            f.body_span = token.map(|t| t.span);
            if c.comma() {
                f.symbol = Some(c.string()?);
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

/// Clauses of one word or more that stand alone, as `OpKind::AlterFunction` gives them.
const CHANGES: [&str; 13] = [
    "CALLED ON NULL INPUT",
    "RETURNS NULL ON NULL INPUT",
    "STRICT",
    "IMMUTABLE",
    "STABLE",
    "VOLATILE",
    "NOT LEAKPROOF",
    "LEAKPROOF",
    "EXTERNAL SECURITY DEFINER",
    "EXTERNAL SECURITY INVOKER",
    "SECURITY DEFINER",
    "SECURITY INVOKER",
    "RESTRICT",
];

/// What ALTER FUNCTION changes, clause by clause: `SECURITY DEFINER`, `SET search_path TO a, b`, `RESET ALL`, `COST 10`.
pub fn changes(c: &mut Cursor<'_>) -> Read<Vec<String>> {
    let mut out = Vec::new();
    while !c.at_end() {
        let start = c.pos();
        if let Some(words) = c.eat_any(&CHANGES) {
            if words != "RESTRICT" {
                out.push(words.trim_start_matches("EXTERNAL ").to_string());
            }
        } else if c.eat("SET") {
            let (key, value) = setting(c)?;
            out.push(if value == "FROM CURRENT" { format!("SET {key} {value}") } else { format!("SET {key} TO {value}") });
        } else if c.eat("RESET") {
            let key = c.dotted()?.into_iter().map(|n| n.value).collect::<Vec<_>>().join(".");
            out.push(format!("RESET {}", if key == "all" { "ALL" } else { &key }));
        } else if c.eat("COST") || c.eat("ROWS") {
            c.number()?;
            out.push(c.text_from(start));
        } else if c.eat("PARALLEL") || c.eat("SUPPORT") {
            c.qname()?;
            out.push(c.text_from(start));
        } else if c.eat("DEPENDS ON EXTENSION") || c.eat("NO DEPENDS ON EXTENSION") {
            c.name()?;
            out.push(c.text_from(start));
        } else {
            return c.fail("what to alter");
        }
    }
    if out.is_empty() { c.fail("what to alter") } else { Ok(out) }
}

/// Behind SET: the setting's name and its value as written; `FROM CURRENT` is those words.
fn setting(c: &mut Cursor<'_>) -> Read<(String, String)> {
    let key = if c.eat("TIME ZONE") { "timezone".into() } else { c.dotted()?.into_iter().map(|n| n.value).collect::<Vec<_>>().join(".") };
    if c.eat("FROM CURRENT") {
        return Ok((key, "FROM CURRENT".into()));
    }
    let _ = c.op("=") || c.eat("TO");
    let at = c.pos();
    c.list(|c| {
        if !(c.op("-") || c.op("+")) && c.at_end() {
            return c.fail("a value");
        }
        c.next();
        Ok(())
    })?;
    Ok((key, c.text_from(at)))
}
