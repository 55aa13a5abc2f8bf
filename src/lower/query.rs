//! Queries: SELECT, VALUES, TABLE, set operations, WITH.

use crate::op::{Call, Cte, Expr, ExprKind, FromItem, Name, OpKindQuery, Persistence, QName, Query, QueryBody, RowLock, Select, Target};
use crate::sql::cursor::{Cursor, Read};
use crate::sql::token::TokenKind;

use super::calls::call;
use super::expr::{column, deeper, expr, expr_list, made, too_deep};
use super::{dml, types};

/// Does a query begin at the token `n` ahead? Looks through opening parentheses.
pub fn starts(c: &Cursor<'_>, n: usize) -> bool {
    let mut n = n;
    while c.is_punct_at(n, b'(') {
        n += 1;
    }
    c.is_at(n, "SELECT")
        || (c.is_at(n, "VALUES") && c.is_punct_at(n + 1, b'('))
        || (c.is_at(n, "WITH") && c.peek_nth(n + 1).is_some_and(|t| matches!(t.kind, TokenKind::Word | TokenKind::QuotedIdent)))
        || (c.is_at(n, "TABLE") && c.peek_nth(n + 1).is_some_and(|t| matches!(t.kind, TokenKind::Word | TokenKind::QuotedIdent)))
}

/// A query with its WITH, ORDER BY, LIMIT and locking clauses.
pub fn query(c: &mut Cursor<'_>) -> Read<Query> {
    deeper(c, |c| {
        let start = c.pos();
        let ctes = with(c)?;
        let body = set_operation(c, 0)?;
        let mut q = body;
        q.ctes.splice(0..0, ctes);
        tail(c, &mut q)?;
        q.text = c.text_from(start);
        q.span = c.span_from(start);
        Ok(q)
    })
}

/// `EXECUTE name (…)` where a query may stand: what was prepared is not known here.
pub fn prepared(c: &mut Cursor<'_>) -> Read<Query> {
    let start = c.pos();
    c.expect("EXECUTE")?;
    c.name()?;
    if c.is_punct(b'(') {
        c.skip_parens();
    }
    Ok(plain(c, start, QueryBody::Other))
}

/// WITH, if it is here.
pub fn with(c: &mut Cursor<'_>) -> Read<Vec<Cte>> {
    if !c.eat("WITH") {
        return Ok(Vec::new());
    }
    let recursive = c.eat("RECURSIVE");
    c.list(|c| {
        let name = c.name()?;
        let columns = if c.is_punct(b'(') { c.name_list()? } else { Vec::new() };
        c.expect("AS")?;
        let _ = c.eat("MATERIALIZED") || c.eat("NOT MATERIALIZED");
        let body = c.parens(|c| {
            if dml::starts(c) {
                return Ok(OpKindQuery::Dml(dml::dml(c)?));
            }
            Ok(OpKindQuery::Query(query(c)?))
        })?;
        // SEARCH DEPTH FIRST BY … SET …, CYCLE … SET … USING …
        if c.is_seq("SEARCH DEPTH") || c.is_seq("SEARCH BREADTH") {
            c.eat("SEARCH");
            c.next();
            c.expect("FIRST BY")?;
            c.list(Cursor::name)?;
            c.expect("SET")?;
            c.name()?;
        }
        if c.eat("CYCLE") {
            c.list(Cursor::name)?;
            c.expect("SET")?;
            c.name()?;
            if c.eat("TO") {
                expr(c)?;
                c.expect("DEFAULT")?;
                expr(c)?;
            }
            if c.eat("USING") {
                c.name()?;
            }
        }
        Ok(Cte { name, columns, recursive, body: Box::new(body) })
    })
}

fn set_operation(c: &mut Cursor<'_>, min: u8) -> Read<Query> {
    let mut operands = vec![core(c)?];
    loop {
        // INTERSECT binds more strongly than UNION and EXCEPT.
        let power = if c.is("INTERSECT") {
            2
        } else if c.is_any(&["UNION", "EXCEPT"]) {
            1
        } else {
            break;
        };
        if power <= min {
            break;
        }
        c.next();
        let _ = c.eat("ALL") || c.eat("DISTINCT");
        operands.push(deeper(c, |c| set_operation(c, power))?);
    }
    Ok(balanced(c, operands))
}

/// A run of operands as a tree of set operations that is as flat as can be: `INSERT … SELECT 1 UNION ALL SELECT 2 …` goes
/// on for thousands, and a tree that deep nobody can walk. Which of them stands left of which matters to no analysis.
fn balanced(c: &Cursor<'_>, mut operands: Vec<Query>) -> Query {
    while operands.len() > 1 {
        let mut next = Vec::with_capacity(operands.len().div_ceil(2));
        let mut rest = operands.into_iter();
        while let Some(left) = rest.next() {
            next.push(match rest.next() {
                Some(right) => {
                    let span = left.span.to(right.span);
                    let body = QueryBody::SetOp(Box::new(left), Box::new(right));
                    Query {
                        text: c.text.slice(span).to_owned(),
                        span,
                        ctes: Vec::new(),
                        body,
                        order_by: Vec::new(),
                        limit: None,
                        offset: None,
                        locking: None,
                    }
                }
                None => left,
            });
        }
        operands = next;
    }
    operands.pop().unwrap_or_else(|| plain(c, c.pos(), QueryBody::Other))
}

fn plain(c: &Cursor<'_>, start: usize, body: QueryBody) -> Query {
    Query {
        text: c.text_from(start),
        span: c.span_from(start),
        ctes: Vec::new(),
        body,
        order_by: Vec::new(),
        limit: None,
        offset: None,
        locking: None,
    }
}

fn core(c: &mut Cursor<'_>) -> Read<Query> {
    let start = c.pos();
    if c.punct(b'(') {
        let mut q = query(c)?;
        c.expect_punct(b')')?;
        q.text = c.text_from(start);
        q.span = c.span_from(start);
        return Ok(q);
    }
    let body = if c.eat("SELECT") {
        QueryBody::Select(Box::new(select(c)?))
    } else if c.eat("VALUES") {
        QueryBody::Values(c.list(|c| c.parens(expr_list))?)
    } else if c.eat("TABLE") {
        c.eat("ONLY");
        let name = c.qname()?;
        c.op("*");
        QueryBody::Table(name)
    } else if dml::starts(c) {
        QueryBody::Dml(Box::new(dml::dml(c)?))
    } else {
        return c.fail("a query");
    };
    Ok(plain(c, start, body))
}

fn select(c: &mut Cursor<'_>) -> Read<Select> {
    let mut s = Select::default();
    if c.eat("DISTINCT") {
        s.distinct = true;
        if c.eat("ON") {
            s.distinct_on = c.parens(expr_list)?;
        }
    } else {
        c.eat("ALL");
    }
    if !c.at_end() && !c.is_any(&AFTER_TARGETS) && !c.is_punct(b')') {
        s.targets = targets(c)?;
    }
    if c.eat("INTO") {
        persistence(c);
        c.eat("TABLE");
        s.into = Some(c.qname()?);
    }
    if c.eat("FROM") {
        s.from = from_items(c)?;
    }
    if c.eat("WHERE") {
        s.filter = Some(expr(c)?);
    }
    if c.eat("GROUP BY") {
        let _ = c.eat("ALL") || c.eat("DISTINCT");
        s.group_by = c.list(grouping)?;
    }
    if c.eat("HAVING") {
        s.having = Some(expr(c)?);
    }
    if c.eat("WINDOW") {
        s.windows = c
            .list(|c| {
                c.name()?;
                c.expect("AS")?;
                window_spec(c)
            })?
            .into_iter()
            .flatten()
            .collect();
    }
    Ok(s)
}

/// TEMP, TEMPORARY, UNLOGGED and their LOCAL and GLOBAL.
pub fn persistence(c: &mut Cursor<'_>) -> Persistence {
    if (c.is("LOCAL") || c.is("GLOBAL")) && (c.is_at(1, "TEMP") || c.is_at(1, "TEMPORARY")) {
        c.next();
    }
    if c.eat("TEMP") || c.eat("TEMPORARY") {
        Persistence::Temporary
    } else if c.eat("UNLOGGED") {
        Persistence::Unlogged
    } else {
        Persistence::Permanent
    }
}

/// GROUPING SETS, ROLLUP, CUBE and plain expressions. The first two words would read as calls, which serves.
fn grouping(c: &mut Cursor<'_>) -> Read<Expr> {
    let start = c.pos();
    if c.eat("GROUPING SETS") {
        let sets = c.parens(|c| c.list(grouping))?;
        return Ok(made(c, start, ExprKind::Other(sets)));
    }
    expr(c)
}

const AFTER_TARGETS: [&str; 14] =
    ["FROM", "WHERE", "GROUP", "HAVING", "WINDOW", "UNION", "INTERSECT", "EXCEPT", "ORDER", "LIMIT", "OFFSET", "FETCH", "FOR", "INTO"];

/// Words that cannot be an alias without AS, in a target list or behind a FROM item.
const NOT_ALIASES: &[&str] = &[
    "FROM",
    "WHERE",
    "GROUP",
    "HAVING",
    "WINDOW",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "FETCH",
    "FOR",
    "INTO",
    "ON",
    "USING",
    "JOIN",
    "INNER",
    "LEFT",
    "RIGHT",
    "FULL",
    "CROSS",
    "NATURAL",
    "SET",
    "RETURNING",
    "WHEN",
    "AS",
    "TABLESAMPLE",
    "WITH",
    "VALUES",
    "SELECT",
    "DEFAULT",
    "OVERRIDING",
    "DO",
    "THEN",
    "END",
    "LOOP",
    "AND",
    "OR",
    "NOT",
    "LATERAL",
    // Behind an element of CREATE SCHEMA.
    "CREATE",
    "GRANT",
];

/// The items of SELECT or RETURNING.
pub fn targets(c: &mut Cursor<'_>) -> Read<Vec<Target>> {
    c.list(|c| {
        let e = expr(c)?;
        let alias = if c.eat("AS") {
            Some(c.name()?)
        } else if c.is_name() && !c.is_any(NOT_ALIASES) {
            Some(c.name()?)
        } else {
            None
        };
        Ok(Target { expr: e, alias })
    })
}

pub fn from_items(c: &mut Cursor<'_>) -> Read<Vec<FromItem>> {
    c.list(joined)
}

/// Joins in one FROM item: each makes the tree one level deeper. Postgres's own stack ends at some thousands.
const MAX_JOINS: u32 = 500;

fn joined(c: &mut Cursor<'_>) -> Read<FromItem> {
    deeper(c, |c| {
        let mut left = from_item(c)?;
        let mut joins = 0;
        loop {
            let natural = c.is("NATURAL");
            let at = usize::from(natural);
            let is_join = c.is_at(at, "JOIN")
                || ((c.is_at(at, "CROSS") || c.is_at(at, "INNER")) && c.is_at(at + 1, "JOIN"))
                || (["LEFT", "RIGHT", "FULL"].iter().any(|k| c.is_at(at, k))
                    && (c.is_at(at + 1, "JOIN") || (c.is_at(at + 1, "OUTER") && c.is_at(at + 2, "JOIN"))));
            if !is_join {
                return Ok(left);
            }
            joins += 1;
            if joins > MAX_JOINS {
                return Err(too_deep(c));
            }
            let cross = c.is("CROSS");
            while !c.eat("JOIN") {
                c.next();
            }
            let mut right = from_item(c)?;
            let (mut using, mut on) = (Vec::new(), None);
            // `a JOIN b JOIN c ON … ON …`: the inner ON belongs to the later join.
            if !cross && !natural && !c.is("ON") && !c.is("USING") {
                let mut c2 = c.clone();
                if let Ok(nested) = nested_join(&mut c2, right.clone()) {
                    right = nested;
                    *c = c2;
                }
            }
            if !cross && !natural {
                if c.eat("ON") {
                    on = Some(expr(c)?);
                } else if c.eat("USING") {
                    using = c.name_list()?;
                    if c.eat("AS") {
                        c.name()?;
                    }
                }
            }
            left = FromItem::Join { left: Box::new(left), right: Box::new(right), natural, using, on };
        }
    })
}

/// `b JOIN c ON …` where `b` is read already.
fn nested_join(c: &mut Cursor<'_>, left: FromItem) -> Read<FromItem> {
    deeper(c, |c| {
        if !c.is_any(&["JOIN", "INNER", "LEFT", "RIGHT", "FULL"]) {
            return c.fail("a join");
        }
        while !c.eat("JOIN") {
            if c.next().is_none() {
                return c.fail("`JOIN`");
            }
        }
        let mut right = from_item(c)?;
        if !c.is("ON") && !c.is("USING") {
            right = nested_join(c, right)?;
        }
        let (mut using, mut on) = (Vec::new(), None);
        if c.eat("ON") {
            on = Some(expr(c)?);
        } else {
            c.expect("USING")?;
            using = c.name_list()?;
        }
        Ok(FromItem::Join { left: Box::new(left), right: Box::new(right), natural: false, using, on })
    })
}

fn from_item(c: &mut Cursor<'_>) -> Read<FromItem> {
    let lateral = c.eat("LATERAL");
    if c.is_punct(b'(') {
        if starts(c, 1) {
            let before = c.clone();
            let inner = c.parens(query);
            match inner {
                Ok(q) => {
                    let (alias, columns) = alias(c)?;
                    return Ok(FromItem::Query { query: Box::new(q), alias, columns, lateral });
                }
                // `((SELECT 1) AS a JOIN b ON …)` is a join in parentheses.
                Err(e) if !before.is_punct_at(1, b'(') => return Err(e),
                Err(_) => *c = before,
            }
        }
        let start = c.pos();
        let item = c.parens(joined)?;
        let (alias, columns) = alias(c)?;
        if alias.is_none() {
            return Ok(item);
        }
        // `(a JOIN b ON …) AS j`: outside, only `j` is to be seen, as with `(SELECT * FROM a JOIN b ON …) AS j`.
        let star = made(c, start, ExprKind::Star(Vec::new()));
        let select = Select { targets: vec![Target { expr: star, alias: None }], from: vec![item], ..Select::default() };
        let query = plain(c, start, QueryBody::Select(Box::new(select)));
        return Ok(FromItem::Query { query: Box::new(query), alias, columns, lateral: false });
    }
    let start = c.pos();
    if c.eat("ROWS FROM") {
        let calls = c.parens(|c| {
            c.list(|c| {
                let call = function(c)?;
                if c.eat("AS") {
                    c.skip_parens();
                }
                Ok(call)
            })
        })?;
        let call = made(c, start, ExprKind::Other(calls));
        c.eat("WITH ORDINALITY");
        let (alias, columns) = alias(c)?;
        return Ok(FromItem::Function { call, alias, columns });
    }
    if (c.is("XMLTABLE") || c.is("JSON_TABLE")) && c.is_punct_at(1, b'(') {
        // Behind COLUMNS their arguments have a grammar of their own; only what the table is called matters outside.
        let name = c.qname()?;
        let args = c.parens(|c| {
            let mut args = Vec::new();
            while !c.at_end() && !c.is_punct(b')') && !c.is("COLUMNS") {
                super::calls::wordy_argument(c, &mut args)?;
                c.comma();
            }
            c.skip_until(|c| c.is_punct(b')'));
            Ok(args)
        })?;
        let call = made(c, start, ExprKind::Call(Box::new(Call { name, args, star: false, window: false })));
        let (alias, columns) = alias(c)?;
        return Ok(FromItem::Function { call, alias, columns });
    }
    let only = c.eat("ONLY");
    if only && c.punct(b'(') {
        let name = c.qname()?;
        c.expect_punct(b')')?;
        let (alias, columns) = alias(c)?;
        return Ok(FromItem::Table { name, only, alias, columns, sample: false });
    }
    if !only && function_ahead(c) {
        let call = function(c)?;
        c.eat("WITH ORDINALITY");
        let (alias, columns) = alias(c)?;
        return Ok(FromItem::Function { call, alias, columns });
    }
    let name = c.qname()?;
    c.op("*");
    let (alias, columns) = alias(c)?;
    let sample = c.eat("TABLESAMPLE");
    if sample {
        c.qname()?;
        c.skip_parens();
        if c.eat("REPEATABLE") {
            c.skip_parens();
        }
    }
    Ok(FromItem::Table { name, only, alias, columns, sample })
}

fn function_ahead(c: &Cursor<'_>) -> bool {
    let mut n = 1;
    while c.is_punct_at(n, b'.') {
        n += 2;
    }
    c.is_punct_at(n, b'(') || (c.is_any(&["CURRENT_DATE", "CURRENT_TIMESTAMP", "CURRENT_USER", "SESSION_USER"]) && !c.is_punct_at(1, b'.'))
}

fn function(c: &mut Cursor<'_>) -> Read<Expr> {
    let start = c.pos();
    let mut n = 1;
    while c.is_punct_at(n, b'.') {
        n += 2;
    }
    // `coalesce(…)`, `current_date` and the like are functions, too; the expression parser knows them.
    if c.is_punct_at(n, b'(') && !c.is_any(&["CAST", "EXTRACT"]) {
        let name = c.qname()?;
        return call(c, start, name);
    }
    expr(c)
}

/// `[AS] alias [(columns or column definitions)]`, `AS (column definitions)`.
fn alias(c: &mut Cursor<'_>) -> Read<(Option<Name>, Vec<Name>)> {
    let said_as = c.eat("AS");
    let name = if c.is_name() && (said_as || !c.is_any(NOT_ALIASES)) { Some(c.name()?) } else { None };
    let mut columns = Vec::new();
    if c.is_punct(b'(') && (said_as || name.is_some()) {
        columns = c.parens(|c| {
            c.list(|c| {
                let column = c.name()?;
                if !c.is_punct(b',') && !c.is_punct(b')') {
                    types::type_name(c)?;
                    if c.eat("COLLATE") {
                        c.qname()?;
                    }
                }
                Ok(column)
            })
        })?;
    }
    Ok((name, columns))
}

/// ORDER BY, LIMIT, OFFSET, FETCH, FOR UPDATE, in any order.
fn tail(c: &mut Cursor<'_>, q: &mut Query) -> Read<()> {
    loop {
        if c.eat("ORDER BY") {
            q.order_by = sort_keys(c)?;
        } else if c.eat("LIMIT") {
            let start = c.pos();
            if c.eat("ALL") {
                q.limit = None;
            } else {
                let mut e = expr(c)?;
                // The old `LIMIT 5, 10` of other databases is refused by Postgres; `LIMIT NULL` is no limit.
                if matches!(e.kind, ExprKind::Null) {
                    continue;
                }
                e.text = c.text_from(start);
                q.limit = Some(e);
            }
        } else if c.eat("OFFSET") {
            q.offset = Some(expr(c)?);
            let _ = c.eat("ROWS") || c.eat("ROW");
        } else if c.eat("FETCH") {
            let _ = c.eat("FIRST") || c.eat("NEXT");
            let start = c.pos();
            q.limit = Some(if c.is("ROW") || c.is("ROWS") { made(c, start, ExprKind::Number("1".into())) } else { expr(c)? });
            let _ = c.eat("ROWS") || c.eat("ROW");
            let _ = c.eat("ONLY") || c.eat("WITH TIES");
        } else if c.is("FOR") && c.peek_nth(1).is_some() {
            let lock = if c.eat("FOR UPDATE") {
                RowLock::Update
            } else if c.eat("FOR NO KEY UPDATE") {
                RowLock::NoKeyUpdate
            } else if c.eat("FOR SHARE") {
                RowLock::Share
            } else if c.eat("FOR KEY SHARE") {
                RowLock::KeyShare
            } else if c.eat("FOR READ ONLY") {
                continue;
            } else {
                return Ok(());
            };
            q.locking = q.locking.max(Some(lock));
            if c.eat("OF") {
                c.qname_list()?;
            }
            let _ = c.eat("NOWAIT") || c.eat("SKIP LOCKED");
        } else {
            return Ok(());
        }
    }
}

/// The keys of an ORDER BY.
pub fn sort_keys(c: &mut Cursor<'_>) -> Read<Vec<Expr>> {
    c.list(|c| {
        let e = expr(c)?;
        if !(c.eat("ASC") || c.eat("DESC")) && c.eat("USING") {
            if c.eat("OPERATOR") {
                c.skip_parens();
            } else {
                c.next();
            }
        }
        let _ = c.eat("NULLS FIRST") || c.eat("NULLS LAST");
        Ok(e)
    })
}

/// `(name PARTITION BY … ORDER BY … frame)`.
pub fn window_spec(c: &mut Cursor<'_>) -> Read<Vec<Expr>> {
    c.parens(|c| {
        let mut out = Vec::new();
        if c.is_name() && !c.is_any(&["PARTITION", "ORDER", "RANGE", "ROWS", "GROUPS"]) {
            c.name()?;
        }
        if c.eat("PARTITION BY") {
            out.extend(expr_list(c)?);
        }
        if c.eat("ORDER BY") {
            out.extend(sort_keys(c)?);
        }
        if c.is_any(&["RANGE", "ROWS", "GROUPS"]) {
            c.skip_until(|_| false);
        }
        Ok(out)
    })
}

/// A column by its name, for callers that make queries' parts from names.
pub fn column_target(c: &Cursor<'_>, name: Name) -> Target {
    Target { expr: column(c, name), alias: None }
}

/// The table that a query's `SELECT … INTO` makes, taken out of it.
pub fn take_into(q: &mut Query) -> Option<QName> {
    match &mut q.body {
        QueryBody::Select(s) => s.into.take(),
        QueryBody::SetOp(l, _) => take_into(l),
        _ => None,
    }
}
