//! INSERT, UPDATE, DELETE, MERGE.

use crate::op::{Assignment, ConflictTarget, Dml, DmlKind, Expr, ExprKind, InsertSource, Name, OnConflict, Target};
use crate::sql::cursor::{Cursor, Read};

use super::expr::{expr, expr_list, made};
use super::query::{from_items, query, targets, with};

/// Does a data-modifying statement begin here (without its WITH)?
pub fn starts(c: &Cursor<'_>) -> bool {
    c.is_seq("INSERT INTO") || (c.is("UPDATE") && !c.is_punct_at(1, b'(')) || c.is_seq("DELETE FROM") || c.is_seq("MERGE INTO")
}

/// Is this WITH … in front of a data-modifying statement?
pub fn starts_after_with(c: &Cursor<'_>) -> bool {
    let mut look = c.clone();
    if !look.eat("WITH") {
        return starts(c);
    }
    // Everything up to the main statement is names and parentheses.
    look.skip_until(|c| c.is_any(&["SELECT", "VALUES", "INSERT", "UPDATE", "DELETE", "MERGE"]) && !c.is_at(1, "AS"));
    starts(&look)
}

pub fn dml(c: &mut Cursor<'_>) -> Read<Dml> {
    let start = c.pos();
    let ctes = with(c)?;
    let mut d = if c.eat("INSERT INTO") {
        insert(c)?
    } else if c.eat("UPDATE") {
        update(c)?
    } else if c.eat("DELETE FROM") {
        delete(c)?
    } else if c.eat("MERGE INTO") {
        merge(c)?
    } else {
        return c.fail("INSERT, UPDATE, DELETE or MERGE");
    };
    d.ctes = ctes;
    d.span = c.span_from(start);
    Ok(d)
}

fn insert(c: &mut Cursor<'_>) -> Read<Dml> {
    let table = c.qname()?;
    let alias = if c.eat("AS") { Some(c.name()?) } else { None };
    let columns = if c.is_punct(b'(') && !super::query::starts(c, 0) { Some(c.parens(|c| c.list(column_path))?) } else { None };
    let mut overriding = false;
    if c.eat("OVERRIDING") {
        overriding = c.eat("SYSTEM");
        let _ = overriding || c.eat("USER");
        c.expect("VALUE")?;
    }
    let source = if c.eat("DEFAULT VALUES") { InsertSource::Default } else { InsertSource::Query(Box::new(query(c)?)) };
    let on_conflict = if c.eat("ON CONFLICT") { Some(on_conflict(c)?) } else { None };
    let returning = returning(c)?;
    let kind = DmlKind::Insert { columns, source, overriding, on_conflict };
    Ok(Dml { span: table.span(), ctes: Vec::new(), kind, table, only: false, alias, from: Vec::new(), filter: None, returning })
}

/// `a`, `a.field`, `a[1]`: the column is what counts.
fn column_path(c: &mut Cursor<'_>) -> Read<Name> {
    let name = c.name()?;
    loop {
        if c.is_punct(b'[') {
            c.skip_parens();
        } else if c.punct(b'.') {
            c.name()?;
        } else {
            return Ok(name);
        }
    }
}

fn on_conflict(c: &mut Cursor<'_>) -> Read<OnConflict> {
    let target = if c.eat("ON CONSTRAINT") {
        ConflictTarget::Constraint(c.name()?)
    } else if c.is_punct(b'(') {
        let columns = c.parens(|c| {
            c.list(|c| {
                let e = expr(c)?;
                // An operator class may follow.
                if c.is_name() {
                    c.qname()?;
                }
                Ok(e)
            })
        })?;
        let predicate = if c.eat("WHERE") { Some(expr(c)?) } else { None };
        ConflictTarget::Columns(columns, predicate)
    } else {
        ConflictTarget::Any
    };
    c.expect("DO")?;
    if c.eat("NOTHING") {
        return Ok(OnConflict { target, set: Vec::new(), filter: None });
    }
    c.expect("UPDATE SET")?;
    let set = assignments(c)?;
    let filter = if c.eat("WHERE") { Some(expr(c)?) } else { None };
    Ok(OnConflict { target, set, filter })
}

fn assignments(c: &mut Cursor<'_>) -> Read<Vec<Assignment>> {
    c.list(|c| {
        let columns = if c.is_punct(b'(') { c.parens(|c| c.list(column_path))? } else { vec![column_path(c)?] };
        if !c.op(":=") {
            c.expect_op("=")?;
        }
        Ok(Assignment { columns, value: expr(c)? })
    })
}

fn returning(c: &mut Cursor<'_>) -> Read<Vec<Target>> {
    if !c.eat("RETURNING") {
        return Ok(Vec::new());
    }
    // RETURNING WITH (OLD AS o, NEW AS n) is 18's.
    if c.is("WITH") && c.is_punct_at(1, b'(') {
        c.next();
        c.skip_parens();
    }
    targets(c)
}

fn target(c: &mut Cursor<'_>) -> Read<Dml> {
    let only = c.eat("ONLY");
    let table = if only && c.is_punct(b'(') { c.parens(Cursor::qname)? } else { c.qname()? };
    c.op("*");
    let alias =
        if c.eat("AS") || (c.is_name() && !c.is_any(&["SET", "USING", "WHERE", "RETURNING", "ON"])) { Some(c.name()?) } else { None };
    let kind = DmlKind::Delete;
    Ok(Dml { span: table.span(), ctes: Vec::new(), kind, table, only, alias, from: Vec::new(), filter: None, returning: Vec::new() })
}

fn filter(c: &mut Cursor<'_>) -> Read<Option<Expr>> {
    if !c.eat("WHERE") {
        return Ok(None);
    }
    let start = c.pos();
    if c.eat("CURRENT OF") {
        c.name()?;
        return Ok(Some(made(c, start, ExprKind::Other(Vec::new()))));
    }
    expr(c).map(Some)
}

fn update(c: &mut Cursor<'_>) -> Read<Dml> {
    let mut d = target(c)?;
    c.expect("SET")?;
    d.kind = DmlKind::Update { set: assignments(c)? };
    if c.eat("FROM") {
        d.from = from_items(c)?;
    }
    d.filter = filter(c)?;
    d.returning = returning(c)?;
    Ok(d)
}

fn delete(c: &mut Cursor<'_>) -> Read<Dml> {
    let mut d = target(c)?;
    if c.eat("USING") {
        d.from = from_items(c)?;
    }
    d.filter = filter(c)?;
    d.returning = returning(c)?;
    Ok(d)
}

fn merge(c: &mut Cursor<'_>) -> Read<Dml> {
    let mut d = target(c)?;
    c.expect("USING")?;
    // `USING source ON …`: the ON is the merge's own, so the item is read up to it.
    d.from = from_items(c)?;
    c.expect("ON")?;
    let on = Some(expr(c)?);
    let (mut actions, mut conditions) = (Vec::new(), Vec::new());
    while c.eat("WHEN") {
        c.eat("NOT");
        c.expect("MATCHED")?;
        let _ = c.eat("BY SOURCE") || c.eat("BY TARGET");
        if c.eat("AND") {
            conditions.push(expr(c)?);
        }
        c.expect("THEN")?;
        if c.eat("UPDATE SET") {
            actions.push(DmlKind::Update { set: assignments(c)? });
        } else if c.eat("DELETE") {
            actions.push(DmlKind::Delete);
        } else if c.eat("INSERT") {
            let columns = if c.is_punct(b'(') { Some(c.name_list()?) } else { None };
            let overriding = c.eat("OVERRIDING SYSTEM VALUE");
            c.eat("OVERRIDING USER VALUE");
            let source = if c.eat("DEFAULT VALUES") {
                InsertSource::Default
            } else {
                let start = c.pos();
                c.expect("VALUES")?;
                let row = c.parens(expr_list)?;
                InsertSource::Query(Box::new(crate::op::Query {
                    text: c.text_from(start),
                    span: c.span_from(start),
                    ctes: Vec::new(),
                    body: crate::op::QueryBody::Values(vec![row]),
                    order_by: Vec::new(),
                    limit: None,
                    offset: None,
                    locking: None,
                }))
            };
            actions.push(DmlKind::Insert { columns, source, overriding, on_conflict: None });
        } else {
            c.expect("DO NOTHING")?;
        }
    }
    d.kind = DmlKind::Merge { on, actions, conditions };
    d.returning = returning(c)?;
    Ok(d)
}
