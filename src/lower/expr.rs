//! Expressions, read from tokens with Postgres's precedences (`gram.y`: `a_expr`, `b_expr`, `c_expr`).
//!
//! Read from tokens and not through another AST because a diagnostic points at the exact words of an expression and
//! a plan copies them; a tree without spans has lost both.

use crate::op::{Expr, ExprKind, Name, QName, TypeName};
use crate::sql::cursor::{Cursor, Read};
use crate::sql::token::{TokenKind, ident_value, string_value};

use super::calls::call;
use super::operators::binary;
use super::{query, types};

/// Any expression (`a_expr`).
pub fn expr(c: &mut Cursor<'_>) -> Read<Expr> {
    binary(c, 0, false)
}

/// What stands after DEFAULT (`b_expr`): no AND, OR, NOT, IN, LIKE, BETWEEN, IS NULL, so that `DEFAULT 1 NOT NULL` ends at `1`.
pub fn b_expr(c: &mut Cursor<'_>) -> Read<Expr> {
    binary(c, 0, true)
}

pub fn expr_list(c: &mut Cursor<'_>) -> Read<Vec<Expr>> {
    c.list(expr)
}

/// `( expr )`.
pub fn in_parens(c: &mut Cursor<'_>) -> Read<Expr> {
    c.parens(expr)
}

/// An expression from the token at `start` to the last one read.
pub(super) fn made(c: &Cursor<'_>, start: usize, kind: ExprKind) -> Expr {
    Expr { text: c.text_from(start), span: c.span_from(start), kind }
}

/// Runs `f` one level deeper; refuses what is nested so deeply that whoever walks the tree could exhaust the stack.
pub(super) fn deeper<T>(c: &mut Cursor<'_>, f: impl FnOnce(&mut Cursor<'_>) -> Read<T>) -> Read<T> {
    if c.depth >= MAX_DEPTH {
        return Err(too_deep(c));
    }
    c.depth += 1;
    let out = stacker::maybe_grow(RED_ZONE, STACK_PIECE, || f(c));
    c.depth -= 1;
    out
}

pub(super) const TOO_DEEP: &str = "nested too deeply to be read";
pub(super) const MAX_DEPTH: u16 = 300;

pub(super) fn too_deep(c: &Cursor<'_>) -> crate::sql::cursor::Unread {
    crate::sql::cursor::Unread { at: c.here(), message: TOO_DEEP.to_owned() }
}

/// Room that one level surely gets along with, also in a debug build.
pub(super) const RED_ZONE: usize = 128 * 1024;
pub(super) const STACK_PIECE: usize = 2 * 1024 * 1024;

/// Subscripts and field selection. `.*` behind anything but a name is taken here, too.
pub(super) fn postfix(c: &mut Cursor<'_>, start: usize, mut e: Expr) -> Read<Expr> {
    let mut run = 0;
    loop {
        if run >= MAX_DEPTH {
            return Err(too_deep(c));
        }
        run += 1;
        if c.punct(b'[') {
            let mut parts = vec![e];
            if !c.is_punct(b':') && !c.is_punct(b']') {
                parts.push(expr(c)?);
            }
            if c.punct(b':') && !c.is_punct(b']') {
                parts.push(expr(c)?);
            }
            c.expect_punct(b']')?;
            e = made(c, start, ExprKind::Other(parts));
        } else if c.is_punct(b'.') && c.is_op_at(1, "*") {
            c.next();
            c.next();
            e = made(c, start, ExprKind::Other(vec![e]));
        } else if c.is_punct(b'.') {
            c.next();
            c.name()?;
            e = made(c, start, ExprKind::Other(vec![e]));
        } else {
            return Ok(e);
        }
    }
}

pub(super) fn primary(c: &mut Cursor<'_>) -> Read<Expr> {
    let start = c.pos();
    let Some(t) = c.peek() else { return c.fail("an expression") };
    let word = c.text.slice(t.span);
    let kind = match t.kind {
        TokenKind::String | TokenKind::DollarString => {
            c.next();
            let mut value = string_value(word);
            // `U&'d!0061t!+000061' UESCAPE '!'`.
            if word.starts_with(['u', 'U']) && c.eat("UESCAPE") {
                let escape = c.string()?;
                value = string_value(&word.replace(&escape, "\\"));
            }
            ExprKind::String(value)
        }
        TokenKind::BitString => {
            c.next();
            ExprKind::String(string_value(word))
        }
        TokenKind::Number => {
            c.next();
            ExprKind::Number(word.to_owned())
        }
        TokenKind::Param => {
            c.next();
            ExprKind::Param(word.to_owned())
        }
        TokenKind::Template if !c.is_punct_at(1, b'.') && !c.is_punct_at(1, b'(') => {
            c.next();
            ExprKind::Param(word.to_owned())
        }
        TokenKind::Punct(b'(') => return parenthesised(c),
        TokenKind::Word => return keyword_or_name(c),
        TokenKind::QuotedIdent | TokenKind::Template => return name_or_call(c),
        _ => return c.fail("an expression"),
    };
    Ok(made(c, start, kind))
}

/// `( expr )`, `( expr, … )`, `( query )`.
pub(super) fn parenthesised(c: &mut Cursor<'_>) -> Read<Expr> {
    let start = c.pos();
    if query::starts(c, 1) && !operand_in_parens(c) {
        c.expect_punct(b'(')?;
        let q = query::query(c)?;
        c.expect_punct(b')')?;
        return Ok(made(c, start, ExprKind::Subquery(Box::new(q))));
    }
    c.expect_punct(b'(')?;
    if c.punct(b')') {
        return Ok(made(c, start, ExprKind::Row(Vec::new())));
    }
    let mut parts = expr_list(c)?;
    // `((SELECT 1) UNION (SELECT 2))`: the first operand looked like an expression.
    if c.is_any(&["UNION", "INTERSECT", "EXCEPT"]) {
        c.reset(start + 1);
        let q = query::query(c)?;
        c.expect_punct(b')')?;
        return Ok(made(c, start, ExprKind::Subquery(Box::new(q))));
    }
    c.expect_punct(b')')?;
    let kind = match parts.pop() {
        Some(one) if parts.is_empty() => one.kind,
        last => {
            parts.extend(last);
            ExprKind::Row(parts)
        }
    };
    Ok(made(c, start, kind))
}

/// `((SELECT 1) + 1)`, `((SELECT 1), 2)`: what the inner parentheses hold is a query, but what the outer ones hold is an expression.
fn operand_in_parens(c: &Cursor<'_>) -> bool {
    if !c.is_punct_at(1, b'(') {
        return false;
    }
    let mut look = c.clone();
    look.next();
    look.skip_parens();
    !look.is_punct(b')') && !look.is_any(&["UNION", "INTERSECT", "EXCEPT", "ORDER", "LIMIT", "OFFSET", "FETCH", "FOR"])
}

/// Words that stand for a value without parentheses.
const SQL_VALUES: &[&str] = &[
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "LOCALTIME",
    "LOCALTIMESTAMP",
    "CURRENT_ROLE",
    "CURRENT_USER",
    "SESSION_USER",
    "SYSTEM_USER",
    "CURRENT_CATALOG",
    "CURRENT_SCHEMA",
    "USER",
    "DEFAULT",
];

/// Words that end an expression: an expression that should begin with one is missing.
const NOT_NAMES: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "HAVING",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "FETCH",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "RETURNING",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "AS",
    "ON",
    "USING",
    "AND",
    "OR",
    "IN",
    "INTO",
    "CREATE",
    "TABLE",
    "CHECK",
    "CONSTRAINT",
    "PRIMARY",
    "UNIQUE",
    "REFERENCES",
    "FOREIGN",
    "COLLATE",
    "TO",
    "FOR",
    "WITH",
    "WINDOW",
];

fn keyword_or_name(c: &mut Cursor<'_>) -> Read<Expr> {
    let start = c.pos();
    let upper = c.word(0).to_ascii_uppercase();
    let call = c.is_punct_at(1, b'(');
    let kind = match upper.as_str() {
        "NULL" => {
            c.next();
            ExprKind::Null
        }
        "TRUE" | "FALSE" => {
            c.next();
            ExprKind::Bool(upper == "TRUE")
        }
        "CASE" => return case(c),
        "CAST" | "TREAT" if call => {
            c.next();
            c.next();
            let inner = expr(c)?;
            c.expect("AS")?;
            let ty = types::type_name(c)?;
            c.expect_punct(b')')?;
            ExprKind::Cast { expr: Box::new(inner), ty }
        }
        "EXISTS" if call => {
            c.next();
            match parenthesised(c)?.kind {
                ExprKind::Subquery(q) => ExprKind::Subquery(q),
                other => other,
            }
        }
        "ARRAY" if call => {
            c.next();
            parenthesised(c)?.kind
        }
        "ARRAY" if c.is_punct_at(1, b'[') => {
            c.next();
            array(c)?
        }
        "ROW" if call => {
            c.next();
            c.next();
            let parts = if c.is_punct(b')') { Vec::new() } else { expr_list(c)? };
            c.expect_punct(b')')?;
            ExprKind::Row(parts)
        }
        "COLLATION" if c.is_at(1, "FOR") => {
            c.next();
            c.next();
            ExprKind::Other(vec![in_parens(c)?])
        }
        "INTERVAL" if c.peek_nth(1).is_some_and(|t| t.kind == TokenKind::String) || (call && interval_literal(c)) => return interval(c),
        _ if SQL_VALUES.contains(&upper.as_str()) && !(call && matches!(upper.as_str(), "DEFAULT" | "USER")) && !c.is_punct_at(1, b'.') => {
            c.next();
            if c.is_punct(b'(') {
                c.skip_parens();
            }
            ExprKind::SqlValue(upper)
        }
        _ if NOT_NAMES.contains(&upper.as_str()) && !call && !c.is_punct_at(1, b'.') => return c.fail("an expression"),
        _ => return name_or_call(c),
    };
    Ok(made(c, start, kind))
}

/// `INTERVAL (3) '…'`.
fn interval_literal(c: &Cursor<'_>) -> bool {
    c.is_punct_at(3, b')') && c.peek_nth(4).is_some_and(|t| t.kind == TokenKind::String)
}

/// `INTERVAL '1' DAY`: the fields follow the literal.
fn interval(c: &mut Cursor<'_>) -> Read<Expr> {
    let start = c.pos();
    c.next();
    let mut modifiers = Vec::new();
    if c.punct(b'(') {
        modifiers.push(c.number()?);
        c.expect_punct(b')')?;
    }
    let literal = c.pos();
    let value = c.string()?;
    let inner = made(c, literal, ExprKind::String(value));
    modifiers.splice(0..0, types::interval_fields(c)?);
    let ty = TypeName {
        name: QName::bare("interval", c.span_from(start)),
        modifiers,
        array_dims: 0,
        setof: false,
        percent_type: false,
        span: c.span_from(start),
        text: c.text_from(start),
    };
    Ok(made(c, start, ExprKind::Cast { expr: Box::new(inner), ty }))
}

fn case(c: &mut Cursor<'_>) -> Read<Expr> {
    let start = c.pos();
    c.expect("CASE")?;
    let mut parts = Vec::new();
    if !c.is("WHEN") {
        parts.push(expr(c)?);
    }
    while c.eat("WHEN") {
        parts.extend(expr_list(c)?);
        c.expect("THEN")?;
        parts.push(expr(c)?);
    }
    if c.eat("ELSE") {
        parts.push(expr(c)?);
    }
    c.expect("END")?;
    Ok(made(c, start, ExprKind::Case(parts)))
}

/// `[a, b]`, `[[a], [b]]`.
fn array(c: &mut Cursor<'_>) -> Read<ExprKind> {
    deeper(c, |c| {
        c.expect_punct(b'[')?;
        let mut parts = Vec::new();
        if !c.is_punct(b']') {
            parts = c.list(|c| {
                if c.is_punct(b'[') {
                    let start = c.pos();
                    let kind = array(c)?;
                    return Ok(made(c, start, kind));
                }
                expr(c)
            })?;
        }
        c.expect_punct(b']')?;
        Ok(ExprKind::Array(parts))
    })
}

/// A column, a call, or `type 'literal'`.
fn name_or_call(c: &mut Cursor<'_>) -> Read<Expr> {
    let start = c.pos();
    if typed_literal(c) {
        let ty = types::type_name(c)?;
        let literal = c.pos();
        let value = c.string()?;
        let inner = made(c, literal, ExprKind::String(value));
        return Ok(made(c, start, ExprKind::Cast { expr: Box::new(inner), ty }));
    }
    let mut parts = c.dotted()?;
    if c.is_punct(b'(') {
        let name = match (parts.pop(), parts.pop()) {
            (Some(name), schema) => QName { schema, name },
            (None, _) => return c.fail("a name"),
        };
        return call(c, start, name);
    }
    if c.is_punct(b'.') && c.is_op_at(1, "*") {
        c.next();
        c.next();
        return Ok(made(c, start, ExprKind::Star(parts)));
    }
    Ok(made(c, start, ExprKind::Column(parts)))
}

/// Is a type with a literal here, as in `DATE '2020-01-01'`, `timestamp with time zone '…'`, `public.money 'x'`?
fn typed_literal(c: &Cursor<'_>) -> bool {
    let string = |n: usize| c.peek_nth(n).is_some_and(|t| t.kind == TokenKind::String);
    let mut n = 1;
    while c.is_punct_at(n, b'.') {
        n += 2;
    }
    if string(n) {
        // `'a' LIKE` and such are infix words and never begin an expression; a string after a name is a typed literal.
        return true;
    }
    let multi = |words: &str| words.split(' ').enumerate().all(|(i, w)| c.is_at(i, w));
    for words in [
        "double precision",
        "character varying",
        "national character",
        "bit varying",
        "timestamp with time zone",
        "timestamp without time zone",
        "time with time zone",
        "time without time zone",
    ] {
        if multi(words) && string(words.split(' ').count()) {
            return true;
        }
    }
    // `char(3) 'x'`, `timestamp(3) with time zone '…'`.
    if c.is_any(&["char", "character", "varchar", "bit", "numeric", "decimal", "timestamp", "timestamptz", "time", "timetz", "float"])
        && c.is_punct_at(1, b'(')
    {
        let mut close = 2;
        while c.peek_nth(close).is_some_and(|t| matches!(t.kind, TokenKind::Number | TokenKind::Punct(b','))) {
            close += 1;
        }
        if !c.is_punct_at(close, b')') {
            return false;
        }
        let zone = c.is_at(close + 1, "with") || c.is_at(close + 1, "without");
        return string(close + 1) || (zone && c.is_at(close + 2, "time") && c.is_at(close + 3, "zone") && string(close + 4));
    }
    false
}

/// A name as an expression, for keys and targets that are plain columns.
pub fn column(c: &Cursor<'_>, name: Name) -> Expr {
    Expr { text: c.text.slice(name.span).to_owned(), span: name.span, kind: ExprKind::Column(vec![name]) }
}

/// The value of an identifier token, for callers that look ahead without taking it.
pub fn peeked_name(c: &Cursor<'_>, n: usize) -> Option<String> {
    let t = c.peek_nth(n)?;
    matches!(t.kind, TokenKind::Word | TokenKind::QuotedIdent | TokenKind::Template).then(|| ident_value(t.kind, c.text.slice(t.span)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::token::{SqlText, tokenize};

    /// The tree in Lisp style, so that an expectation fits on its line.
    fn show(e: &Expr) -> String {
        let list = |v: &[Expr]| v.iter().map(show).collect::<Vec<_>>().join(" ");
        match &e.kind {
            ExprKind::Null => "null".into(),
            ExprKind::Bool(b) => b.to_string(),
            ExprKind::Number(n) => n.clone(),
            ExprKind::String(s) => format!("'{s}'"),
            ExprKind::Param(p) => p.clone(),
            ExprKind::Column(p) => p.iter().map(|n| n.as_str()).collect::<Vec<_>>().join("."),
            ExprKind::Star(p) => format!("{}*", p.iter().map(|n| format!("{}.", n.as_str())).collect::<String>()),
            ExprKind::Call(c) => {
                format!("{}{}({}{})", c.name, if c.window { "@" } else { "" }, if c.star { "*" } else { "" }, list(&c.args))
            }
            ExprKind::Cast { expr, ty } => format!("{}::{}", show(expr), ty.name),
            ExprKind::SqlValue(v) => v.clone(),
            ExprKind::Unary { op, expr } => format!("({op} {})", show(expr)),
            ExprKind::Binary { op, left, right } => format!("({} {op} {})", show(left), show(right)),
            ExprKind::IsNull { expr, negated } => format!("({} {})", show(expr), if *negated { "notnull" } else { "isnull" }),
            ExprKind::Array(v) => format!("[{}]", list(v)),
            ExprKind::Row(v) => format!("row({})", list(v)),
            ExprKind::Case(v) => format!("case({})", list(v)),
            ExprKind::Collate { expr, collation } => format!("({} collate {collation})", show(expr)),
            ExprKind::Subquery(q) => format!("<{}>", q.relations().iter().map(|r| r.to_string()).collect::<Vec<_>>().join(" ")),
            ExprKind::Other(v) => format!("other({})", list(v)),
        }
    }

    fn read(sql: &str, f: fn(&mut Cursor<'_>) -> Read<Expr>) -> (Read<Expr>, String) {
        let text = SqlText::new(sql, 0);
        let tokens = tokenize(text);
        let mut c = Cursor::new(text, &tokens);
        let e = f(&mut c);
        (e, c.rest_text())
    }

    #[track_caller]
    fn check(sql: &str, tree: &str) {
        let (e, rest) = read(sql, expr);
        let e = e.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        assert_eq!((show(&e).as_str(), rest.as_str()), (tree, ""), "{sql}");
        assert_eq!(e.text, sql);
    }

    #[test]
    fn operators_bind_as_in_postgres() {
        check("a + b * c ^ 2", "(a + (b * (c ^ 2)))");
        check("NOT a = 1 OR b AND c", "((NOT (a = 1)) OR (b AND c))");
        check("-1::int", "(- 1::integer)");
        check("a || b = c", "((a || b) = c)");
        check("a -> 'x' ->> 'y' IS NOT NULL", "(((a -> 'x') ->> 'y') notnull)");
        check("a BETWEEN 1 AND 2 AND b", "((a BETWEEN row(1 2)) AND b)");
        check("x NOT IN (1, 2) AND y IN (SELECT id FROM t)", "((x NOT IN row(1 2)) AND (y IN <t>))");
        check("a IS DISTINCT FROM b OR c IS TRUE", "((a IS DISTINCT FROM b) OR (IS TRUE c))");
        check("a LIKE 'x%' COLLATE \"C\"", "(a LIKE ('x%' collate C))");
        check("ts AT TIME ZONE 'utc' > now()", "((ts AT TIME ZONE 'utc') > now())");
        check("a OPERATOR(pg_catalog.=) b", "(a = b)");
        check("id = ANY (ARRAY[1, 2])", "(id = other([1 2]))");
        check("x = ANY (SELECT 1 FROM t)", "(x = <t>)");
    }

    #[test]
    fn primaries_of_every_kind() {
        check("CASE WHEN a THEN 1 ELSE 2 END", "case(a 1 2)");
        check("CAST(a AS varchar(3))", "a::character varying");
        check("timestamp with time zone '2020-01-01'", "'2020-01-01'::timestamp with time zone");
        check("INTERVAL '1' DAY", "'1'::interval");
        check("now() - INTERVAL '1 day'", "(now() - '1 day'::interval)");
        check("CURRENT_TIMESTAMP(3)", "CURRENT_TIMESTAMP");
        check("extract(epoch FROM a.b)", "extract('epoch' a.b)");
        check("normalize(a, NFKC)", "normalize(a 'nfkc')");
        check("trim(a FROM b)", "trim(a b)");
        check("json_agg(a ORDER BY b NULLS FIRST)", "json_agg(a b)");
        check("xmlforest(a AS b, c)", "xmlforest(a c)");
        check("substring(a FROM 1 FOR 2)", "substring(a 1 2)");
        check("trim(BOTH ' ' FROM x)", "trim(' ' x)");
        check("count(*) FILTER (WHERE a > 1)", "count(*(a > 1))");
        check("row_number() OVER (PARTITION BY a ORDER BY b DESC)", "row_number@(a b)");
        check("make_interval(days => 3)", "make_interval(3)");
        check("array_agg(DISTINCT a ORDER BY b)", "array_agg(a b)");
        check("percentile_cont(0.5) WITHIN GROUP (ORDER BY x)", "percentile_cont(0.5 x)");
        check("ARRAY[[1,2],[3]]", "[[1 2] [3]]");
        check("(a).b", "other(a)");
        check("a[1:2]", "other(a 1 2)");
        check("EXISTS (SELECT 1 FROM s.t)", "<s.t>");
        check("ARRAY(SELECT x FROM y)", "<y>");
        check("ROW(1, 'a')", "row(1 'a')");
        check("t.*", "t.*");
        check("((a))", "a");
        check("((SELECT 1 FROM a) UNION (SELECT 2 FROM b))", "<a b>");
        check("nextval('s'::regclass)", "nextval('s'::regclass)");
        check("'{}'::text[]", "'{}'::text");
        check("${x} + :y", "(${x} + :y)");
    }

    #[test]
    fn a_default_ends_before_the_next_constraint() {
        for (sql, tree, rest) in [
            ("1 NOT NULL", "1", "NOT NULL"),
            ("now() CHECK (a > 1)", "now()", "CHECK (a > 1)"),
            ("'a'::text COLLATE \"C\" NOT NULL", "('a'::text collate C)", "NOT NULL"),
            ("a < 3 UNIQUE", "(a < 3)", "UNIQUE"),
            ("(1 IS NULL) PRIMARY KEY", "(1 isnull)", "PRIMARY KEY"),
        ] {
            let (e, left) = read(sql, b_expr);
            assert_eq!((show(&e.expect(sql)).as_str(), left.as_str()), (tree, rest));
        }
    }

    #[test]
    fn long_runs_stay_flat_and_deep_nesting_is_refused() {
        let run = vec!["id = 1"; 50_000].join(" OR ");
        assert!(read(&run, expr).0.is_ok());
        let union = format!("({})", vec!["SELECT 1"; 50_000].join(" UNION ALL "));
        assert!(read(&union, expr).0.is_ok());
        let deep = "(".repeat(100_000);
        assert!(read(&deep, expr).0.is_err_and(|e| e.message.contains("deep")));
        let minus = "- ".repeat(100_000);
        assert!(read(&minus, expr).0.is_err());
    }
}
