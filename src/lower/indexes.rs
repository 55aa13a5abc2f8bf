//! CREATE INDEX and the elements that indexes and exclusion constraints share.

use crate::op::{CreateIndex, Expr, ExprKind, IndexElement, Name, Op, OpKind};
use crate::sql::cursor::{Cursor, Read};

use super::expr::{column, expr, in_parens};
use super::tables::nulls_not_distinct;
use super::{op, options};

/// Behind CREATE, at `[UNIQUE] INDEX`.
pub fn create(c: &mut Cursor<'_>, start: usize) -> Read<Vec<Op>> {
    let unique = c.eat("UNIQUE");
    let index_span = c.here();
    c.expect("INDEX")?;
    let concurrently_span = if c.is("CONCURRENTLY") && !c.is_at(1, "ON") { Some(c.here()) } else { None };
    // `CREATE INDEX concurrently ON t`: the word is reserved enough that Postgres takes it for the keyword.
    let concurrently_span = concurrently_span.or(if c.is_seq("CONCURRENTLY ON") { Some(c.here()) } else { None });
    let concurrently = c.eat("CONCURRENTLY");
    let if_not_exists = c.if_not_exists();
    let name = if c.is("ON") { None } else { Some(c.qname()?) };
    c.expect("ON")?;
    let only = c.eat("ONLY");
    let table = c.qname()?;
    let method = if c.eat("USING") { Some(c.name()?.value) } else { None };
    let elements = c.parens(|c| c.list(index_element))?;
    let include = include(c)?;
    let nulls_not_distinct = nulls_not_distinct(c);
    let mut i = CreateIndex {
        name,
        if_not_exists,
        table,
        only,
        unique,
        concurrently,
        concurrently_span,
        index_span,
        method,
        elements,
        include,
        nulls_not_distinct,
        filter: None,
        options: Vec::new(),
        tablespace: None,
    };
    if c.eat("WITH") {
        i.options = options(c)?;
    }
    if c.eat("TABLESPACE") {
        i.tablespace = Some(c.name()?.value);
    }
    if c.eat("WHERE") {
        i.filter = Some(expr(c)?);
    }
    Ok(vec![op(c, start, OpKind::CreateIndex(Box::new(i)))])
}

pub fn include(c: &mut Cursor<'_>) -> Read<Vec<Name>> {
    if c.is("INCLUDE") && c.is_punct_at(1, b'(') {
        c.next();
        return c.name_list();
    }
    Ok(Vec::new())
}

/// A column, a call or `(expression)`, with collation, operator class and order.
pub fn index_element(c: &mut Cursor<'_>) -> Read<IndexElement> {
    let in_brackets = c.is_punct(b'(');
    let e = if in_brackets {
        in_parens(c)?
    } else {
        let mut look = c.clone();
        let plain = look.dotted().is_ok() && !look.is_punct(b'(');
        if plain && !look.is_punct(b'.') {
            let name = c.name()?;
            column(c, name)
        } else {
            // A call, without COLLATE and without an operator class.
            super::expr::b_expr(c)?
        }
    };
    // Behind a call the collation was read as part of the expression.
    let (e, collation) = match e.kind {
        ExprKind::Collate { expr, collation } if !c.is("COLLATE") && !in_brackets => (*expr, Some(collation)),
        kind => (Expr { kind, ..e }, if c.eat("COLLATE") { Some(c.qname()?) } else { None }),
    };
    let mut opclass = None;
    let mut opclass_options = Vec::new();
    if c.is_name() && !c.is_any(&["ASC", "DESC", "NULLS", "WITH"]) {
        opclass = Some(c.qname()?);
        if c.is_punct(b'(') {
            opclass_options = options(c)?;
        }
    }
    let descending = c.eat("DESC");
    let _ = descending || c.eat("ASC");
    let nulls_first = if c.eat("NULLS FIRST") {
        Some(true)
    } else if c.eat("NULLS LAST") {
        Some(false)
    } else {
        None
    };
    Ok(IndexElement { expr: e, collation, opclass, opclass_options, descending, nulls_first })
}
