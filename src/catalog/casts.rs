//! Which types go into which: assignment casts, comparisons, index operator classes. Only what is known for sure is said;
//! `None` means that nobody here knows.

use crate::op::{Expr, ExprKind};

use super::apply::{Res, fails};
use super::{Catalog, Column, ColumnType, TypeKind};

/// Groups of built-in types between which casts exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Number,
    Text,
    Boolean,
    DateTime,
    Time,
    Interval,
    Json,
    Bytea,
    Uuid,
    Net,
    Xml,
    Bits,
    Search,
    Range,
    Geometric,
}

fn family(name: &str) -> Option<Family> {
    Some(match name {
        "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" => Family::Number,
        "text" | "character varying" | "character" | "bpchar" | "name" => Family::Text,
        "boolean" => Family::Boolean,
        "date" | "timestamp with time zone" | "timestamp without time zone" => Family::DateTime,
        "time with time zone" | "time without time zone" => Family::Time,
        "interval" => Family::Interval,
        "json" | "jsonb" => Family::Json,
        "bytea" => Family::Bytea,
        "uuid" => Family::Uuid,
        "inet" | "cidr" => Family::Net,
        "xml" => Family::Xml,
        "bit" | "bit varying" => Family::Bits,
        "tsvector" | "tsquery" => Family::Search,
        "point" | "line" | "lseg" | "box" | "path" | "polygon" | "circle" => Family::Geometric,
        n if n.ends_with("range") => Family::Range,
        _ => return None,
    })
}

/// Without USING, ALTER COLUMN TYPE takes an assignment cast.
pub(super) fn assignable(catalog: &Catalog, from: &ColumnType, to: &ColumnType) -> Option<bool> {
    if from.name == to.name && from.is_array() == to.is_array() {
        return Some(true);
    }
    let (from, to) = (base(catalog, from), base(catalog, to));
    if from.name == to.name && from.is_array() == to.is_array() {
        return Some(true);
    }
    let is_text = |t: &ColumnType| !t.is_array() && t.id.is_none() && family(&t.name) == Some(Family::Text);
    // Everything goes into text on assignment, by its output function.
    if is_text(&to) && (from.id.is_none() && (family(&from.name).is_some() || from.is_array()) || from.id.is_some()) {
        return (to.name != "name" || is_text(&from)).then_some(true);
    }
    if from.is_array() || to.is_array() {
        if from.is_array() != to.is_array() {
            let kind = |t: &ColumnType| t.id.and_then(|id| catalog.types.get(&id)).map(|t| &t.kind);
            let known = |t: &ColumnType| match kind(t) {
                Some(kind) => t.is_array() || !matches!(kind, TypeKind::Other),
                None => family(&t.name).is_some() || t.is_array() || t.id.is_some(),
            };
            let casts = catalog.objects_of(crate::op::ObjectKind::Cast).next().is_some();
            return (known(&from) && known(&to) && !casts).then_some(false);
        }
        let element = |t: &ColumnType| ColumnType { array_dims: 0, ..t.clone() };
        return assignable(catalog, &element(&from), &element(&to));
    }
    // No cast leads to or from a type of one's own but the one through text; whoever made one made an `Other`.
    let casts = catalog.objects_of(crate::op::ObjectKind::Cast).next().is_some();
    let is_own = |t: &ColumnType| {
        let kind = t.id.and_then(|id| catalog.types.get(&id)).map(|t| &t.kind);
        !casts && matches!(kind, Some(TypeKind::Enum { .. } | TypeKind::Range | TypeKind::Composite { .. }))
    };
    match (is_own(&from), is_own(&to)) {
        (true, true) => return Some(false),
        (true, false) => return (family(&to.name).is_some() || to.id.is_some()).then_some(false),
        (false, true) => return family(&from.name).map(|_| false),
        _ => {}
    }
    let (a, b) = (family(&from.name)?, family(&to.name)?);
    use Family::*;
    Some(match (a, b) {
        (Number, Number) | (Text, Text) | (Json, Json) | (Net, Net) | (Bits, Bits) => true,
        (DateTime, DateTime) => true,
        (DateTime, Time) => from.name != "date" && !(from.name == "timestamp without time zone" && to.name == "time with time zone"),
        (Time, Time) => true,
        (Time, Interval) => from.name == "time without time zone",
        (Interval, Time) => to.name == "time without time zone",
        (Geometric, Geometric) | (Search, Search) | (Range, Range) => return None,
        _ => false,
    })
}

/// `CAST (… AS to)`: what assignment takes, what goes through text, and the few casts that must be asked for.
pub(super) fn castable(catalog: &Catalog, from: &ColumnType, to: &ColumnType) -> Option<bool> {
    if assignable(catalog, from, to)? {
        return Some(true);
    }
    let (from, to) = (base(catalog, from), base(catalog, to));
    let text = |t: &ColumnType| !t.is_array() && t.id.is_none() && family(&t.name) == Some(Family::Text);
    if text(&from) || text(&to) {
        return Some(true);
    }
    if from.is_array() || to.is_array() || from.id.is_some() || to.id.is_some() {
        return Some(false);
    }
    let integer = |n: &str| matches!(n, "integer" | "bigint");
    Some(match (from.name.as_str(), to.name.as_str()) {
        ("integer", "boolean") | ("boolean", "integer") => true,
        (a, "bit") | ("bit", a) if integer(a) => true,
        ("jsonb", "boolean" | "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision") => true,
        ("bytea", a) | (a, "bytea") if integer(a) || a == "smallint" => catalog.pg.0 >= 18,
        _ => false,
    })
}

/// `from::to` where no such cast exists.
pub(super) fn refuse_cast(catalog: &Catalog, from: &ColumnType, to: &ColumnType) -> Res<()> {
    match castable(catalog, from, to) {
        Some(false) if !from.is_unknown() && !to.is_unknown() => Err(fails("42846", format!("cannot cast type {from} to {to}"))),
        _ => Ok(()),
    }
}

/// A domain stands for its base type.
pub(super) fn base(catalog: &Catalog, ty: &ColumnType) -> ColumnType {
    match ty.id.and_then(|id| catalog.types.get(&id)).map(|t| &t.kind) {
        Some(TypeKind::Domain { base: b, .. }) if !ty.is_array() => base(catalog, b),
        _ => ty.clone(),
    }
}

/// Whether the default of a column follows its column to another type. A default was coerced when it was stored, so it has the
/// column's type; a bare literal of the column's type is a constant and goes through the same cast.
pub(super) fn default_casts(catalog: &Catalog, column: &ColumnType, default: &Expr, to: &ColumnType) -> Option<bool> {
    // A NULL that is kept at all carries a length or a domain with it.
    let _ = default;
    assignable(catalog, column, to)
}

/// A foreign key from a column of type `from` to one of type `to` can be implemented: the key's operator family compares the two, or
/// `from` becomes `to` by an implicit cast.
pub(super) fn comparable(catalog: &Catalog, from: &ColumnType, to: &ColumnType) -> Option<bool> {
    let (from, to) = (base(catalog, from), base(catalog, to));
    if from.name == to.name && from.is_array() == to.is_array() {
        return Some(true);
    }
    let is_enum = |t: &ColumnType| t.id.and_then(|id| catalog.types.get(&id)).is_some_and(|t| matches!(t.kind, TypeKind::Enum { .. }));
    let is_other = |t: &ColumnType| t.id.and_then(|id| catalog.types.get(&id)).is_some_and(|t| matches!(t.kind, TypeKind::Other));
    let known = |t: &ColumnType| !is_other(t) && (t.id.is_some() || family(&t.name).is_some());
    // An enum is compared with itself only, other types of one's own with none of Postgres's.
    if (is_enum(&from) || is_enum(&to) || from.id.is_some() != to.id.is_some()) && known(&from) && known(&to) {
        return Some(false);
    }
    if from.id.is_some() || to.id.is_some() {
        return (from.is_array() != to.is_array() && known(&from) && known(&to)).then_some(false);
    }
    let (a, b) = (family(&from.name)?, family(&to.name)?);
    if from.is_array() || to.is_array() {
        return Some(false);
    }
    /// Types that one operator family of btree covers.
    fn together(name: &str) -> &str {
        match name {
            "smallint" | "integer" | "bigint" => "integer",
            "real" | "double precision" => "float",
            "character varying" | "name" => "text",
            "bpchar" => "character",
            "date" | "timestamp with time zone" | "timestamp without time zone" => "datetime",
            "cidr" => "inet",
            other => other,
        }
    }
    let (x, y) = (together(&from.name), together(&to.name));
    let implicit = match (x, y) {
        ("integer", "numeric" | "float") | ("numeric", "float") => true,
        ("time without time zone", "time with time zone" | "interval") => true,
        ("bit", "bit varying") | ("bit varying", "bit") => true,
        _ => a == Family::Text && b == Family::Text,
    };
    if matches!(a, Family::Range | Family::Geometric | Family::Search) && a == b {
        return None;
    }
    Some(x == y || implicit)
}

/// Refuses the defaults of which it is plain that they do not fit.
pub(super) fn check_default(catalog: &Catalog, c: &Column, e: &Expr) -> Res<()> {
    let ty = base(catalog, &c.ty);
    let mismatch =
        |from: &str| fails("42804", format!("column \"{}\" is of type {} but default expression is of type {from}", c.name, c.ty));
    match &e.kind {
        ExprKind::String(s) => check_literal(catalog, &ty, s),
        ExprKind::Bool(_) => {
            let fits = ty.name == "boolean" || family(&ty.name) == Some(Family::Text);
            if (family(&ty.name).is_some() || ty.is_array()) && (!fits || ty.is_array()) { Err(mismatch("boolean")) } else { Ok(()) }
        }
        ExprKind::Number(n) => {
            let from = if n.contains(['.', 'e', 'E']) { "numeric" } else { "integer" };
            let fits = matches!(family(&ty.name), Some(Family::Number | Family::Text) | None) && !ty.is_array()
                || ty.name == "bit" && from == "integer";
            if fits { Ok(()) } else { Err(mismatch(from)) }
        }
        ExprKind::Call(call) if matches!(call.name.as_str(), "now" | "clock_timestamp" | "statement_timestamp") && call.args.is_empty() => {
            let fits = matches!(family(&ty.name), Some(Family::DateTime | Family::Time | Family::Text) | None) && !ty.is_array();
            if fits { Ok(()) } else { Err(mismatch("timestamp with time zone")) }
        }
        ExprKind::Call(call)
            if matches!(call.name.as_str(), "gen_random_uuid" | "uuid_generate_v4")
                && call.args.is_empty()
                && call.name.schema.is_none() =>
        {
            let fits = matches!(family(&ty.name), Some(Family::Uuid | Family::Text) | None) && !ty.is_array();
            if fits { Ok(()) } else { Err(mismatch("uuid")) }
        }
        _ => Ok(()),
    }
}

/// A literal goes through the input function of its type at once.
fn check_literal(catalog: &Catalog, ty: &ColumnType, s: &str) -> Res<()> {
    let bad = |what: &str| Err(fails("22P02", format!("invalid input syntax for type {what}: \"{s}\"")));
    if ty.is_array() {
        return if s.trim_start().starts_with(['{', '[']) {
            Ok(())
        } else {
            Err(fails("22P02", format!("malformed array literal: \"{s}\"")))
        };
    }
    if let Some(t) = ty.id.and_then(|id| catalog.types.get(&id)) {
        return match &t.kind {
            TypeKind::Enum { labels } if !labels.iter().any(|l| l.value == s) => {
                Err(fails("22P02", format!("invalid input value for enum {}: \"{s}\"", t.name)))
            }
            _ => Ok(()),
        };
    }
    let t = s.trim();
    match ty.name.as_str() {
        "integer" | "bigint" | "smallint" => {
            let digits = t.strip_prefix(['-', '+']).unwrap_or(t);
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            // 16 and later also read 0x1F and 1_000.
            let newer = digits.starts_with('0') && digits.len() > 1 || digits.contains('_');
            if plain || newer { Ok(()) } else { bad(&ty.name) }
        }
        "boolean" => {
            let l = t.to_ascii_lowercase();
            let word = |w: &str, least: usize| l.len() >= least && w.starts_with(&l);
            let ok = word("true", 1)
                || word("false", 1)
                || word("yes", 1)
                || word("no", 1)
                || l == "on"
                || word("off", 2)
                || l == "1"
                || l == "0";
            if ok { Ok(()) } else { bad("boolean") }
        }
        "json" | "jsonb" => {
            if serde_json::from_str::<serde::de::IgnoredAny>(s).is_ok() {
                Ok(())
            } else {
                Err(fails("22P02", "invalid input syntax for type json"))
            }
        }
        "uuid" => {
            let hex = t.trim_matches(['{', '}']).chars().filter(|c| *c != '-').collect::<String>();
            if hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()) { Ok(()) } else { bad("uuid") }
        }
        _ => Ok(()),
    }
}
