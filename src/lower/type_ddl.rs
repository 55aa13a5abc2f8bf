//! CREATE TYPE, CREATE DOMAIN, and what ALTER does to them.

use crate::op::{DomainAction, DomainConstraintKind, Name, Op, OpKind, QName};
use crate::sql::cursor::{Cursor, Read};

use super::expr::{b_expr, in_parens};
use super::{op, rest, tables, types};

/// Behind CREATE TYPE.
pub fn create_type(c: &mut Cursor<'_>, start: usize) -> Read<Vec<Op>> {
    let name = c.qname()?;
    let kind = if c.eat("AS ENUM") {
        let labels = c.parens(|c| if c.is_punct(b')') { Ok(Vec::new()) } else { c.list(Cursor::string) })?;
        OpKind::CreateEnum { name, labels }
    } else if c.is("AS") && c.is_punct_at(1, b'(') {
        c.next();
        let attributes = c.parens(|c| if c.is_punct(b')') { Ok(Vec::new()) } else { c.list(tables::column_def) })?;
        OpKind::CreateComposite { name, attributes }
    } else {
        let kind = if c.eat("AS RANGE") {
            "range"
        } else if c.at_end() {
            "shell"
        } else {
            "base"
        };
        rest(c);
        OpKind::CreateOtherType { name, kind: kind.into() }
    };
    Ok(vec![op(c, start, kind)])
}

/// Behind CREATE DOMAIN. `DEFAULT 1 NOT NULL` is a default and a constraint, not `1 IS NOT NULL`.
pub fn create_domain(c: &mut Cursor<'_>, start: usize) -> Read<Vec<Op>> {
    let name = c.qname()?;
    c.eat("AS");
    let ty = types::type_name(c)?;
    let (mut collation, mut default, mut not_null, mut checks) = (None, None, false, Vec::new());
    loop {
        if c.eat("COLLATE") {
            collation = Some(c.qname()?);
        } else if c.eat("DEFAULT") {
            default = Some(b_expr(c)?);
        } else {
            let constraint = if c.eat("CONSTRAINT") { Some(c.name()?) } else { None };
            if c.eat("NOT NULL") {
                not_null = true;
            } else if c.eat("NULL") {
            } else if c.eat("CHECK") {
                checks.push((constraint, in_parens(c)?));
            } else if constraint.is_some() {
                return c.fail("a constraint");
            } else {
                break;
            }
        }
    }
    Ok(vec![op(c, start, OpKind::CreateDomain { name, ty, collation, default, not_null, checks })])
}

/// Behind ALTER DOMAIN name.
pub fn alter_domain(c: &mut Cursor<'_>, start: usize, name: QName) -> Read<Vec<Op>> {
    let action = if c.eat("SET DEFAULT") {
        DomainAction::SetDefault(b_expr(c)?)
    } else if c.eat("DROP DEFAULT") {
        DomainAction::DropDefault
    } else if c.eat("SET NOT NULL") {
        DomainAction::SetNotNull
    } else if c.eat("DROP NOT NULL") {
        DomainAction::DropNotNull
    } else if c.eat("ADD") {
        let constraint = if c.eat("CONSTRAINT") { Some(c.name()?) } else { None };
        let kind = if c.eat("CHECK") {
            DomainConstraintKind::Check(in_parens(c)?)
        } else {
            c.expect("NOT NULL")?;
            DomainConstraintKind::NotNull
        };
        DomainAction::AddConstraint { name: constraint, kind, not_valid: c.eat("NOT VALID") }
    } else if c.eat("DROP CONSTRAINT") {
        let if_exists = c.if_exists();
        DomainAction::DropConstraint { name: c.name()?, if_exists, cascade: c.cascade() }
    } else if c.eat("RENAME CONSTRAINT") {
        let from = c.name()?;
        c.expect("TO")?;
        DomainAction::RenameConstraint { from, to: c.name()? }
    } else if c.eat("VALIDATE CONSTRAINT") {
        DomainAction::ValidateConstraint { name: c.name()? }
    } else {
        return c.fail("what to alter");
    };
    Ok(vec![op(c, start, OpKind::AlterDomain { name, action })])
}

/// ALTER TYPE … ADD VALUE, RENAME VALUE; `None`: another action.
pub fn alter_enum(c: &mut Cursor<'_>, start: usize, name: &QName) -> Read<Option<Op>> {
    if c.eat("ADD VALUE") {
        let if_not_exists = c.if_not_exists();
        let value_span = c.here();
        let value = c.string()?;
        let before = if c.eat("BEFORE") { Some(c.string()?) } else { None };
        let after = if c.eat("AFTER") { Some(c.string()?) } else { None };
        return Ok(Some(op(c, start, OpKind::AddEnumValue { name: name.clone(), value, if_not_exists, before, after, value_span })));
    }
    if c.eat("RENAME VALUE") {
        let from = c.string()?;
        c.expect("TO")?;
        let to = c.string()?;
        return Ok(Some(op(c, start, OpKind::RenameEnumValue { name: name.clone(), from, to })));
    }
    Ok(None)
}

/// An attribute's name where a composite type speaks of one.
pub fn attribute(c: &mut Cursor<'_>) -> Read<Name> {
    c.expect("ATTRIBUTE")?;
    c.name()
}
