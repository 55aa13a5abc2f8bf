//! Names, types, objects, and other small parts.

use airlock::op::{Name, ObjectKind, ObjectRef, Persistence, QName, TypeName};
use airlock::quote::ident;

use super::Written;

pub fn qn(n: &QName) -> String {
    match &n.schema {
        Some(s) => format!("{}.{}", ident(s.as_str()), ident(n.as_str())),
        None => ident(n.as_str()),
    }
}

/// ` (a, b)`; nothing for no names.
pub fn list(names: &[Name]) -> String {
    if names.is_empty() { String::new() } else { format!(" ({})", plain_list(names)) }
}

pub fn plain_list(names: &[Name]) -> String {
    names.iter().map(|n| ident(n.as_str())).collect::<Vec<_>>().join(", ")
}

pub fn relation((name, only): &(QName, bool)) -> String {
    format!("{}{}", if *only { "ONLY " } else { "" }, qn(name))
}

pub fn persistence(p: Persistence) -> &'static str {
    match p {
        Persistence::Permanent => "",
        Persistence::Temporary => "TEMPORARY ",
        Persistence::Unlogged => "UNLOGGED ",
    }
}

/// A role; the words that stand for one are no names.
pub fn role(r: &str) -> String {
    if matches!(r, "current_user" | "session_user" | "current_role") { r.to_string() } else { ident(r) }
}

pub fn ty(t: &TypeName) -> String {
    let TypeName { name, modifiers, array_dims, setof, percent_type, span: _, text } = t;
    if text.is_empty() && name.as_str() == "none" {
        return "NONE".into();
    }
    let modified = || if modifiers.is_empty() { String::new() } else { format!("({})", modifiers.join(", ")) };
    let word = if *percent_type {
        format!("{}%TYPE", qn(name))
    } else {
        match (name.schema.is_none(), name.as_str()) {
            (true, "character") if modifiers.is_empty() => "pg_catalog.bpchar".into(),
            (true, "bit") if modifiers.is_empty() => "pg_catalog.bit".into(),
            (true, "\"char\"") => "pg_catalog.\"char\"".into(),
            (true, "interval") => match modifiers.as_slice() {
                [] => "interval".into(),
                [one] if one.starts_with(|c: char| c.is_ascii_digit()) => format!("interval({one})"),
                [one] => format!("interval {one}"),
                more => format!("interval {}({})", more[0], more[1]),
            },
            (true, w) if w.ends_with(" time zone") => {
                let (base, zone) = w.split_once(' ').unwrap_or((w, ""));
                format!("{base}{} {zone}", modified())
            }
            (
                true,
                w @ ("smallint" | "integer" | "bigint" | "real" | "double precision" | "boolean" | "numeric" | "character varying"
                | "character" | "bit" | "bit varying"),
            ) => {
                format!("{w}{}", modified())
            }
            _ => format!("{}{}", qn(name), modified()),
        }
    };
    format!("{}{word}{}", if *setof { "SETOF " } else { "" }, "[]".repeat(usize::from(*array_dims)))
}

pub fn types(list: &[TypeName]) -> String {
    list.iter().map(ty).collect::<Vec<_>>().join(", ")
}

pub fn object_words(kind: ObjectKind) -> Result<String, String> {
    Ok(match kind {
        ObjectKind::DomainConstraint => "CONSTRAINT".into(),
        ObjectKind::DefaultPrivileges | ObjectKind::Parameter => return Err(format!("an object of kind {kind}")),
        k => k.to_string().replace('-', " "),
    })
}

/// An object as DROP and COMMENT name it.
pub fn object(o: &ObjectRef) -> Written {
    use ObjectKind as K;
    let ObjectRef { kind, name, on, args } = o;
    Ok(match (kind, on) {
        (K::Trigger | K::Policy | K::Rule | K::Constraint, Some(t)) => format!("{} ON {}", qn(name), qn(t)),
        (K::DomainConstraint, Some(t)) => format!("{} ON DOMAIN {}", qn(name), qn(t)),
        (K::Column, Some(t)) => format!("{}.{}", qn(t), qn(name)),
        (K::Column | K::Policy | K::Rule | K::Constraint | K::DomainConstraint, None) => return Err(format!("{kind} without its table")),
        (K::OperatorClass | K::OperatorFamily, Some(method)) => format!("{} USING {}", qn(name), qn(method)),
        (K::Operator, _) => format!("{}{}", name.as_str(), args.as_ref().map(|a| format!("({})", types(a))).unwrap_or_default()),
        (K::Cast | K::Transform | K::UserMapping | K::LargeObject, _) => name.as_str().to_string(),
        (K::Aggregate, _) if args.as_ref().is_some_and(Vec::is_empty) => format!("{}(*)", qn(name)),
        _ => format!("{}{}", qn(name), args.as_ref().map(|a| format!("({})", types(a))).unwrap_or_default()),
    })
}
