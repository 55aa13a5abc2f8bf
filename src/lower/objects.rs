//! Statements that are about any kind of object: DROP, COMMENT ON, and how objects are named in them.

use crate::op::{ObjectKind, ObjectRef, Op, OpKind, QName, TypeName};
use crate::source::Span;
use crate::sql::cursor::{Cursor, Read};

use super::{op, types};

const KINDS: &[(&str, ObjectKind)] = &[
    ("MATERIALIZED VIEW", ObjectKind::MaterializedView),
    ("FOREIGN TABLE", ObjectKind::ForeignTable),
    ("FOREIGN DATA WRAPPER", ObjectKind::ForeignDataWrapper),
    ("EVENT TRIGGER", ObjectKind::EventTrigger),
    ("ACCESS METHOD", ObjectKind::AccessMethod),
    ("USER MAPPING", ObjectKind::UserMapping),
    ("OPERATOR CLASS", ObjectKind::OperatorClass),
    ("OPERATOR FAMILY", ObjectKind::OperatorFamily),
    ("TEXT SEARCH CONFIGURATION", ObjectKind::TextSearchConfiguration),
    ("TEXT SEARCH DICTIONARY", ObjectKind::TextSearchDictionary),
    ("TEXT SEARCH PARSER", ObjectKind::TextSearchParser),
    ("TEXT SEARCH TEMPLATE", ObjectKind::TextSearchTemplate),
    ("LARGE OBJECT", ObjectKind::LargeObject),
    ("PROCEDURAL LANGUAGE", ObjectKind::Language),
    ("TABLE", ObjectKind::Table),
    ("COLUMN", ObjectKind::Column),
    ("CONSTRAINT", ObjectKind::Constraint),
    ("INDEX", ObjectKind::Index),
    ("VIEW", ObjectKind::View),
    ("SEQUENCE", ObjectKind::Sequence),
    ("TYPE", ObjectKind::Type),
    ("DOMAIN", ObjectKind::Domain),
    ("SCHEMA", ObjectKind::Schema),
    ("FUNCTION", ObjectKind::Function),
    ("PROCEDURE", ObjectKind::Procedure),
    ("ROUTINE", ObjectKind::Routine),
    ("AGGREGATE", ObjectKind::Aggregate),
    ("OPERATOR", ObjectKind::Operator),
    ("TRIGGER", ObjectKind::Trigger),
    ("POLICY", ObjectKind::Policy),
    ("RULE", ObjectKind::Rule),
    ("EXTENSION", ObjectKind::Extension),
    ("DATABASE", ObjectKind::Database),
    ("ROLE", ObjectKind::Role),
    ("USER", ObjectKind::Role),
    ("GROUP", ObjectKind::Role),
    ("TABLESPACE", ObjectKind::Tablespace),
    ("PUBLICATION", ObjectKind::Publication),
    ("SUBSCRIPTION", ObjectKind::Subscription),
    ("STATISTICS", ObjectKind::Statistics),
    ("COLLATION", ObjectKind::Collation),
    ("CONVERSION", ObjectKind::Conversion),
    ("CAST", ObjectKind::Cast),
    ("LANGUAGE", ObjectKind::Language),
    ("SERVER", ObjectKind::Server),
    ("TRANSFORM", ObjectKind::Transform),
    ("PARAMETER", ObjectKind::Parameter),
];

/// The kind of object that comes next, taken, with its words.
pub fn kind_words(c: &mut Cursor<'_>) -> Option<(ObjectKind, &'static str)> {
    KINDS.iter().find(|(w, _)| c.eat(w)).map(|(w, k)| (*k, *w))
}

/// An object known by a text only.
pub fn named(kind: ObjectKind, name: &str, span: Span) -> ObjectRef {
    ObjectRef { kind, name: QName::bare(name, span), on: None, args: None }
}

/// A name as DROP, COMMENT and ALTER write it for this kind.
pub fn object(c: &mut Cursor<'_>, kind: ObjectKind) -> Read<ObjectRef> {
    use ObjectKind as K;
    let start = c.pos();
    let by_text = |c: &Cursor<'_>| Ok(named(kind, &c.text_from(start), c.span_from(start)));
    Ok(match kind {
        K::Trigger | K::Policy | K::Rule => {
            let name = c.name()?;
            c.expect("ON")?;
            ObjectRef { kind, name: QName { schema: None, name }, on: Some(c.qname()?), args: None }
        }
        K::Constraint => {
            let name = c.name()?;
            c.expect("ON")?;
            let kind = if c.eat("DOMAIN") { K::DomainConstraint } else { kind };
            ObjectRef { kind, name: QName { schema: None, name }, on: Some(c.qname()?), args: None }
        }
        K::Column => {
            let mut parts = c.dotted()?;
            let (Some(name), Some(table)) = (parts.pop(), parts.pop()) else { return c.fail("a column of a table") };
            ObjectRef { kind, name: QName { schema: None, name }, on: Some(QName { schema: parts.pop(), name: table }), args: None }
        }
        K::Function | K::Procedure | K::Routine | K::Aggregate => {
            let name = c.qname()?;
            let args = if c.is_punct(b'(') { Some(signature(c)?) } else { None };
            ObjectRef { kind, name, on: None, args }
        }
        K::Operator => {
            c.skip_until(|c| c.is_punct(b'('));
            let mut o = by_text(c)?;
            o.args = Some(signature(c)?);
            return Ok(o);
        }
        K::OperatorClass | K::OperatorFamily => {
            let name = c.qname()?;
            c.expect("USING")?;
            ObjectRef { kind, name, on: Some(c.qname()?), args: None }
        }
        K::Cast => {
            c.skip_parens();
            return by_text(c);
        }
        K::Transform => {
            c.expect("FOR")?;
            types::type_name(c)?;
            c.expect("LANGUAGE")?;
            c.name()?;
            return by_text(c);
        }
        K::UserMapping => {
            c.expect("FOR")?;
            c.name()?;
            c.expect("SERVER")?;
            c.name()?;
            return by_text(c);
        }
        K::LargeObject => {
            c.number()?;
            return by_text(c);
        }
        _ => ObjectRef { kind, name: c.qname()?, on: None, args: None },
    })
}

/// Argument types between parentheses; modes, names and defaults are read and forgotten.
pub fn signature(c: &mut Cursor<'_>) -> Read<Vec<TypeName>> {
    c.parens(|c| {
        let mut out = Vec::new();
        if c.is_punct(b'*') || c.is_op("*") {
            c.next();
            return Ok(out);
        }
        while !c.is_punct(b')') {
            if c.eat("ORDER BY") {
                continue;
            }
            if c.is("NONE") {
                // The side that a prefix operator has not.
                let at = c.here();
                c.next();
                out.push(TypeName {
                    name: QName::bare("none", at),
                    modifiers: Vec::new(),
                    array_dims: 0,
                    setof: false,
                    percent_type: false,
                    span: at,
                    text: String::new(),
                });
            } else {
                let arg = super::functions::arg(c)?;
                if arg.mode != "OUT" {
                    out.push(arg.ty);
                }
            }
            c.comma();
        }
        Ok(out)
    })
}

pub fn drop(c: &mut Cursor<'_>) -> Read<Vec<Op>> {
    let start = c.pos();
    c.expect("DROP")?;
    if c.eat("OWNED BY") {
        let who = c.list(Cursor::name)?;
        let cascade = c.cascade();
        let objects = who
            .into_iter()
            .map(|n| ObjectRef { kind: ObjectKind::Role, name: QName { schema: None, name: n }, on: None, args: None })
            .collect::<Vec<_>>();
        let detail = if cascade { "DROP OWNED … CASCADE" } else { "DROP OWNED" };
        return Ok(objects.into_iter().map(|object| op(c, start, OpKind::AlterObject { object, detail: detail.into() })).collect());
    }
    let Some((kind, _)) = kind_words(c) else { return c.fail("a kind of object") };
    let concurrently = kind == ObjectKind::Index && c.eat("CONCURRENTLY");
    let if_exists = c.if_exists();
    let objects = c.list(|c| object(c, kind))?;
    let cascade = c.cascade();
    if kind == ObjectKind::Database && (c.eat("WITH") || c.is_punct(b'(')) {
        c.skip_parens();
    }
    if matches!(kind, ObjectKind::Database | ObjectKind::Tablespace) {
        return Ok(vec![op(c, start, OpKind::NoTransaction { detail: c.text_from(start) })]);
    }
    Ok(vec![op(c, start, OpKind::Drop { objects, if_exists, cascade, concurrently })])
}

pub fn comment(c: &mut Cursor<'_>) -> Read<Vec<Op>> {
    let start = c.pos();
    c.expect("COMMENT ON")?;
    let Some((kind, _)) = kind_words(c) else { return c.fail("a kind of object") };
    let object = object(c, kind)?;
    c.expect("IS")?;
    let text = if c.eat("NULL") { None } else { Some(c.string()?) };
    Ok(vec![op(c, start, OpKind::Comment { object, text })])
}

/// A role: a name, or CURRENT_USER and its like.
pub fn role(c: &mut Cursor<'_>) -> Read<String> {
    c.eat("GROUP");
    if c.is_string() {
        return c.string();
    }
    Ok(c.name()?.value)
}

pub fn roles(c: &mut Cursor<'_>) -> Read<Vec<String>> {
    c.list(role)
}
