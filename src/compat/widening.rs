//! Types of which the second holds what the first holds: a cast between them is refused for no value.

use crate::catalog::ColumnType;

/// Every value of the old type has one of the new type. Dates behind the year 294276 are left aside: a timestamp ends there (22008).
pub fn always_casts(old: &ColumnType, new: &ColumnType) -> bool {
    if old.is_array() || new.is_array() || new.id.is_some() {
        return false;
    }
    let (from, to) = (old.name.as_str(), new.name.as_str());
    // A length or a precision may refuse or cut.
    let bare = new.modifiers.is_empty();
    bare && (matches!(to, "text" | "character varying") || range_within(from, to).is_some()) || PAIRS.contains(&(from, to))
}

/// `json` to `jsonb` is not among them: `\u0000` is no text (22P05).
const PAIRS: &[(&str, &str)] = &[
    ("jsonb", "json"),
    ("real", "double precision"),
    ("date", "timestamp without time zone"),
    ("date", "timestamp with time zone"),
    ("timestamp without time zone", "timestamp with time zone"),
    ("timestamp with time zone", "timestamp without time zone"),
];

/// Integer types of which the second holds every value of the first: the range of the first.
pub fn range_within(old: &str, new: &str) -> Option<(&'static str, &'static str)> {
    match (old, new) {
        ("smallint", "integer" | "bigint" | "numeric") => Some(("-32768", "32767")),
        ("integer", "bigint" | "numeric") => Some(("-2147483648", "2147483647")),
        _ => None,
    }
}
