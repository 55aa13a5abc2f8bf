//! Calls of functions, with the arguments that some take in words: EXTRACT, SUBSTRING, XMLTABLE, ….

use crate::op::{Call, Expr, ExprKind, QName};
use crate::sql::cursor::{Cursor, Read};
use crate::sql::token::TokenKind;

use super::expr::{expr, made};
use super::{query, types};

/// Functions whose arguments have words between them: `extract(year FROM x)`, `trim(BOTH ' ' FROM x)`, `xmlelement(NAME a)`.
fn has_wordy_args(name: &QName) -> bool {
    let n = name.as_str();
    matches!(
        n,
        "extract"
            | "substring"
            | "position"
            | "overlay"
            | "trim"
            | "normalize"
            | "convert"
            | "json"
            | "json_object"
            | "json_array"
            | "json_scalar"
            | "json_serialize"
            | "json_value"
            | "json_query"
            | "json_exists"
            | "json_objectagg"
            | "json_arrayagg"
    ) || (n.starts_with("xml") && !matches!(n, "xmlagg" | "xmlcomment" | "xmlconcat"))
}

pub(super) fn call(c: &mut Cursor<'_>, start: usize, name: QName) -> Read<Expr> {
    let wordy = has_wordy_args(&name);
    let function = name.as_str().to_owned();
    let mut call = Call { name, args: Vec::new(), star: false, window: false };
    c.expect_punct(b'(')?;
    if c.is_op("*") && c.is_punct_at(1, b')') {
        c.next();
        call.star = true;
    } else if !c.is_punct(b')') {
        let _ = c.eat("DISTINCT") || c.eat("ALL");
        loop {
            argument(c, &function, wordy, &mut call.args)?;
            if !c.comma() {
                break;
            }
        }
        if c.eat("ORDER BY") {
            call.args.extend(query::sort_keys(c)?);
        }
        // The field of `extract(epoch FROM x)` is a word and no column.
        if call.name.as_str() == "extract"
            && call.args.len() == 2
            && let Some(field) = call.args.first_mut()
            && let ExprKind::Column(parts) = &field.kind
            && let [word] = parts.as_slice()
        {
            field.kind = ExprKind::String(word.value.clone());
        }
    }
    c.expect_punct(b')')?;
    if c.eat("WITHIN GROUP") {
        c.expect_punct(b'(')?;
        c.expect("ORDER BY")?;
        call.args.extend(query::sort_keys(c)?);
        c.expect_punct(b')')?;
    }
    if c.is_seq("FILTER") && c.is_punct_at(1, b'(') {
        c.next();
        c.next();
        c.expect("WHERE")?;
        call.args.push(expr(c)?);
        c.expect_punct(b')')?;
    }
    let _ = c.eat("IGNORE NULLS") || c.eat("RESPECT NULLS");
    if c.eat("OVER") {
        call.window = true;
        if c.is_punct(b'(') {
            call.args.extend(query::window_spec(c)?);
        } else {
            c.name()?;
        }
    }
    Ok(made(c, start, ExprKind::Call(Box::new(call))))
}

fn argument(c: &mut Cursor<'_>, function: &str, wordy: bool, out: &mut Vec<Expr>) -> Read<()> {
    c.eat("VARIADIC");
    if c.is_name() && (c.is_op_at(1, "=>") || c.is_op_at(1, ":=")) {
        c.next();
        c.next();
    }
    if query::starts(c, 0) && !c.is_punct(b'(') {
        // `array_agg(SELECT …)` is not SQL, but `json_array(SELECT …)` is.
        let start = c.pos();
        let q = query::query(c)?;
        out.push(made(c, start, ExprKind::Subquery(Box::new(q))));
        return Ok(());
    }
    if wordy && let Some(e) = keyword_argument(c, function) {
        out.push(e);
        if !c.is("FROM") {
            return Ok(());
        }
    }
    if !wordy {
        out.push(expr(c)?);
        return Ok(());
    }
    wordy_argument(c, out)
}

/// Words that are no columns: `extract(EPOCH FROM x)`, `normalize(x, NFC)`. They are texts to the function.
fn keyword_argument(c: &mut Cursor<'_>, function: &str) -> Option<Expr> {
    let field = function == "extract" && c.is_name() && c.is_at(1, "FROM");
    let form = function == "normalize" && c.is_any(&["NFC", "NFD", "NFKC", "NFKD"]) && c.is_punct_at(1, b')');
    if !field && !form {
        return None;
    }
    let start = c.pos();
    let value = c.name().ok()?.value;
    Some(made(c, start, ExprKind::String(value)))
}

/// One argument with words in it, up to the comma, the closing bracket, or COLUMNS.
pub(super) fn wordy_argument(c: &mut Cursor<'_>, out: &mut Vec<Expr>) -> Read<()> {
    // Quoted-string arguments may follow these at once, which would read as a typed literal.
    let _ = c.eat("BOTH") || c.eat("LEADING") || c.eat("TRAILING");
    while let Some(t) = c.peek() {
        if c.is_punct(b',') || c.is_punct(b')') || c.is("COLUMNS") {
            break;
        }
        let pos = c.pos();
        // `xmlelement(NAME a)`, `xmlforest(x AS a)`, `… RETURNING jsonb`: a label or a type follows.
        let label = c.is("AS")
            || c.is("RETURNING")
            || (c.is("NAME")
                && c.peek_nth(1).is_some_and(|t| t.kind != TokenKind::Op)
                && !c.is_at(1, "PLACING")
                && !c.is_punct_at(1, b',')
                && !c.is_punct_at(1, b')')
                && !c.is_punct_at(1, b'.'));
        if label {
            c.next();
            if types::type_name(c).is_err() {
                c.reset(pos + 1);
            }
            continue;
        }
        if c.eat("BY REF") || c.eat("BY VALUE") {
            continue;
        }
        // `xmlserialize(CONTENT x AS text)`, `xmlroot(x, VERSION NO VALUE, STANDALONE YES)`.
        if c.is_any(&["CONTENT", "DOCUMENT", "VERSION", "STANDALONE"])
            && c.peek_nth(1).is_some_and(|t| !matches!(t.kind, TokenKind::Punct(_) | TokenKind::Op))
        {
            let answer = c.is("VERSION") || c.is("STANDALONE");
            c.next();
            if answer && c.eat_any(&["NO VALUE", "NO", "YES"]).is_some() {
                continue;
            }
            continue;
        }
        let separator = t.kind == TokenKind::Word
            && ["FROM", "FOR", "IN", "AS", "USING", "PLACING", "PASSING", "RETURNING", "ON", "WITH", "WITHOUT", "ORDER", "BY", "TO"]
                .iter()
                .any(|k| c.is(k));
        if separator || t.kind == TokenKind::Punct(b':') {
            c.next();
            continue;
        }
        match expr(c) {
            Ok(e) => out.push(e),
            Err(e) if c.peek().is_none() => return Err(e),
            Err(_) => {
                c.reset(pos);
                if matches!(t.kind, TokenKind::Punct(b'(' | b'[')) {
                    c.skip_parens();
                } else {
                    c.next();
                }
            }
        }
    }
    Ok(())
}
