//! Operators: whether one fits two types, and what it gives.

use crate::catalog::{Catalog, ColumnType};

use super::input;
use super::outcome::{Bound, Fail};
use super::types::{self, Category, Reach, Typed};

/// Types the result of `left op right`, or says 42883 (no such operator), or complains about a literal.
pub fn binary(cat: &Catalog, op: &str, left: &Typed, right: &Typed) -> Bound<Typed> {
    let (l, r) = (left.ty().map(|t| types::base(cat, t)), right.ty().map(|t| types::base(cat, t)));
    match (l, r) {
        (Some(l), Some(r)) => both(cat, op, &l, &r),
        (Some(known), None) => with_unknown(cat, op, &known, right, true),
        (None, Some(known)) => with_unknown(cat, op, &known, left, false),
        (None, None) => Ok(match op {
            _ if is_comparison(op) || is_match(op) => Typed::named("boolean"),
            "||" if matches!(left, Typed::Literal(_)) && matches!(right, Typed::Literal(_)) => Typed::named("text"),
            _ => Typed::Opaque,
        }),
    }
}

fn no_operator(op: &str) -> Fail {
    Fail::new("42883", op)
}

pub fn is_comparison(op: &str) -> bool {
    matches!(op, "=" | "<>" | "!=" | "<" | ">" | "<=" | ">=" | "IS DISTINCT FROM" | "IS NOT DISTINCT FROM" | "IN" | "NOT IN")
}

fn is_match(op: &str) -> bool {
    matches!(
        op,
        "LIKE" | "ILIKE" | "NOT LIKE" | "NOT ILIKE" | "~" | "~*" | "!~" | "!~*" | "SIMILAR TO" | "NOT SIMILAR TO" | "~~" | "~~*" | "!~~"
    )
}

fn both(cat: &Catalog, op: &str, l: &ColumnType, r: &ColumnType) -> Bound<Typed> {
    let boolean = Ok(Typed::named("boolean"));
    let (cl, cr) = (types::category(cat, l), types::category(cat, r));
    if cl == Category::Other && !comparable(l) && cr == Category::Other && is_comparison(op) && types::same(l, r) && l.id.is_none() {
        return Err(no_operator(op));
    }
    if is_comparison(op) {
        // Arrays are compared by one operator for all of them, which wants the same elements, domains included.
        let arrays = l.array_dims > 0 && r.array_dims > 0;
        let by_cast = |from, to| !arrays && implicit(cat, from, to);
        let meet = types::same(l, r)
            || (cl == cr && matches!(cl, Category::Numeric | Category::String | Category::Network | Category::Bit))
            || (cl == Category::DateTime && cr == Category::DateTime && is_time(l) == is_time(r))
            || by_cast(l, r)
            || by_cast(r, l);
        // Operators of extensions' types are not known.
        let foreign = [l, r].iter().any(|t| t.id.is_none() && types::category(cat, t) == Category::Other && !built_in(t));
        return if meet || foreign { boolean } else { Err(no_operator(op)) };
    }
    if is_match(op) {
        let textual = |t: &ColumnType, c: Category| c == Category::String || !(built_in(t) || t.id.is_some());
        return if textual(l, cl) && textual(r, cr) { boolean } else { Err(no_operator(op)) };
    }
    match op {
        "||" => {
            let string = cl == Category::String || cr == Category::String;
            let array = cl == Category::Array || cr == Category::Array;
            if string && !array {
                Ok(Typed::named("text"))
            } else if array {
                Ok(Typed::Is(if cl == Category::Array { l.clone() } else { r.clone() }))
            } else if types::same(l, r) && matches!(l.name.as_str(), "jsonb" | "bytea" | "bit" | "bit varying" | "tsvector" | "tsquery") {
                Ok(Typed::Is(l.clone()))
            } else if cl == Category::Numeric && cr == Category::Numeric || cl == Category::Bool && cr == Category::Bool {
                Err(no_operator(op))
            } else {
                Ok(Typed::Opaque)
            }
        }
        "+" | "-" | "*" | "/" | "%" => arithmetic(op, l, r, cl, cr),
        "->" | "->>" | "#>" | "#>>" => {
            if !matches!(l.name.as_str(), "json" | "jsonb") && built_in(l) && l.array_dims == 0 {
                return Err(no_operator(op));
            }
            Ok(json_result(op, l))
        }
        _ => Ok(Typed::Opaque),
    }
}

fn json_result(op: &str, left: &ColumnType) -> Typed {
    match op {
        "->" | "#>" if matches!(left.name.as_str(), "json" | "jsonb") => Typed::Is(types::named(&left.name)),
        "->>" | "#>>" => Typed::named("text"),
        _ => Typed::Opaque,
    }
}

fn arithmetic(op: &str, l: &ColumnType, r: &ColumnType, cl: Category, cr: Category) -> Bound<Typed> {
    use Category::*;
    let ok = |n: &str| Ok(Typed::named(n));
    match (cl, cr) {
        (Numeric, Numeric) => {
            if l.name == "money" || r.name == "money" {
                return Ok(Typed::Opaque);
            }
            let rank = ["smallint", "integer", "bigint", "numeric", "real", "double precision"];
            let pos = |t: &ColumnType| rank.iter().position(|n| *n == t.name);
            Ok(match (pos(l), pos(r)) {
                (Some(a), Some(b)) => {
                    // real with anything wider than itself, or with numeric, is computed in double precision.
                    let top = a.max(b);
                    let real = top == 4 && a != b;
                    Typed::named(if real { "double precision" } else { rank[top] })
                }
                _ => Typed::Opaque,
            })
        }
        (DateTime, DateTime) if op == "-" => {
            if l.name == "date" && r.name == "date" {
                ok("integer")
            } else {
                ok("interval")
            }
        }
        (DateTime, Numeric) if l.name == "date" && matches!(op, "+" | "-") && matches!(r.name.as_str(), "integer" | "smallint") => {
            ok("date")
        }
        (Numeric, DateTime) if r.name == "date" && op == "+" => ok("date"),
        (DateTime, Timespan) if matches!(op, "+" | "-") => {
            Ok(Typed::Is(if l.name == "date" { types::named("timestamp without time zone") } else { types::named(&l.name) }))
        }
        (Timespan, DateTime) if op == "+" => {
            Ok(Typed::Is(if r.name == "date" { types::named("timestamp without time zone") } else { types::named(&r.name) }))
        }
        (Timespan, Timespan) | (Timespan, Numeric) | (Numeric, Timespan) => ok("interval"),
        (Numeric | String | Bool | DateTime | Enum, Numeric | String | Bool | DateTime | Enum) => Err(no_operator(op)),
        _ => Ok(Typed::Opaque),
    }
}

/// One side is typed; a literal on the other side takes the same type in comparisons and arithmetic.
fn with_unknown(cat: &Catalog, op: &str, known: &ColumnType, other: &Typed, known_is_left: bool) -> Bound<Typed> {
    let c = types::category(cat, known);
    if is_comparison(op) {
        if let Typed::Literal(Some(text)) = other {
            // A comparison never cuts to a length, so modifiers do not count.
            let plain = ColumnType { modifiers: Vec::new(), ..known.clone() };
            input_of_comparison(cat, &plain, text)?;
        }
        if !comparable(known) && known.id.is_none() && built_in(known) {
            return Err(no_operator(op));
        }
        return Ok(Typed::named("boolean"));
    }
    if is_match(op) {
        return if c == Category::String || !(built_in(known) || known.id.is_some()) {
            Ok(Typed::named("boolean"))
        } else {
            Err(no_operator(op))
        };
    }
    match op {
        "||" => Ok(match c {
            Category::Array => Typed::Is(known.clone()),
            _ if matches!(known.name.as_str(), "jsonb" | "bytea" | "tsvector") => Typed::Is(known.clone()),
            _ => Typed::named("text"),
        }),
        "->" | "->>" | "#>" | "#>>" if known_is_left => {
            if !matches!(known.name.as_str(), "json" | "jsonb") && built_in(known) && c != Category::Array {
                return Err(no_operator(op));
            }
            Ok(json_result(op, known))
        }
        "+" | "-" | "*" | "/" | "%" => match c {
            Category::String | Category::Bool | Category::Enum => Err(no_operator(op)),
            Category::Numeric => {
                if let Typed::Literal(Some(text)) = other {
                    input_of_comparison(cat, known, text)?;
                }
                Ok(Typed::Is(known.clone()))
            }
            _ => Ok(Typed::Opaque),
        },
        _ => Ok(Typed::Opaque),
    }
}

fn input_of_comparison(cat: &Catalog, ty: &ColumnType, text: &str) -> Bound<()> {
    let plain = ColumnType { modifiers: Vec::new(), ..ty.clone() };
    if matches!(plain.name.as_str(), "character" | "bit") {
        return Ok(());
    }
    input::accept(cat, &plain, text).map_err(|s| Fail::new(s, text))
}

fn implicit(cat: &Catalog, from: &ColumnType, to: &ColumnType) -> bool {
    types::cast(cat, from, to) == Some(Reach::Implicit)
}

fn is_time(t: &ColumnType) -> bool {
    t.name.starts_with("time ")
}

/// Has an equality operator.
pub fn comparable(t: &ColumnType) -> bool {
    t.array_dims > 0 || !matches!(t.name.as_str(), "json" | "xml" | "point" | "polygon" | "jsonpath")
}

fn built_in(t: &ColumnType) -> bool {
    t.id.is_none() && types::is_named_built_in(&t.name)
}
