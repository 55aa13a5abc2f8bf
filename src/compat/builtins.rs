//! The built-in functions that applications call most: which argument types they take, what they return.
//! A name that is not here is not judged.

use crate::catalog::{Catalog, ColumnType};

use super::outcome::{Bound, Fail};
use super::types::{self, Category, Typed, named};

/// What the first argument has to be.
enum Takes {
    Any,
    /// A string; a number or a date is refused (there is no implicit cast to text).
    Text,
    /// A string, or one of these types.
    TextOr(&'static [&'static str]),
    Number,
    NumberOrInterval,
    Bool,
    Time,
    TimeOrNumber,
    Ordered,
    Json,
}

enum Gives {
    Same,
    Named(&'static str),
    Sum,
    Average,
    /// Integers are computed in double precision, numeric stays numeric.
    Rounded,
    ArrayOf,
    Truncated,
    Opaque,
}

fn signature(name: &str) -> Option<(Takes, Gives)> {
    use Gives::*;
    use Takes::*;
    Some(match name {
        "lower" | "upper" => (TextOr(&["range"]), Named("text")),
        "initcap" | "replace" | "split_part" | "left" | "right" | "lpad" | "rpad" | "regexp_replace" | "reverse" | "repeat"
        | "translate" | "quote_ident" | "string_agg" | "unaccent" => (Text, Named("text")),
        "btrim" | "ltrim" | "rtrim" | "trim" => (TextOr(&["bytea"]), Named("text")),
        "substr" | "substring" | "overlay" => (TextOr(&["bytea", "bit", "bit varying"]), Opaque),
        "length" | "octet_length" | "bit_length" => {
            (TextOr(&["bytea", "bit", "bit varying", "tsvector", "lseg", "path"]), Named("integer"))
        }
        "char_length" | "character_length" | "strpos" | "ascii" => (Text, Named("integer")),
        "starts_with" => (Text, Named("boolean")),
        "md5" => (TextOr(&["bytea"]), Named("text")),
        "concat" | "concat_ws" | "format" | "quote_literal" | "quote_nullable" => (Any, Named("text")),
        "count" | "row_number" | "rank" | "dense_rank" => (Any, Named("bigint")),
        "sum" => (NumberOrInterval, Sum),
        "avg" => (NumberOrInterval, Average),
        "min" | "max" => (Ordered, Same),
        "abs" => (Number, Same),
        "round" | "ceil" | "ceiling" | "floor" | "trunc" | "sqrt" | "power" | "exp" | "ln" | "sign" => (Number, Rounded),
        "bool_and" | "bool_or" | "every" => (Bool, Named("boolean")),
        "array_agg" => (Any, ArrayOf),
        "json_agg" | "json_build_object" | "json_build_array" | "to_json" | "row_to_json" | "json_object_agg" => (Any, Named("json")),
        "jsonb_agg" | "jsonb_build_object" | "jsonb_build_array" | "to_jsonb" | "jsonb_object_agg" => (Any, Named("jsonb")),
        "jsonb_array_elements" | "jsonb_set" | "jsonb_typeof" | "jsonb_each" | "jsonb_object_keys" | "json_array_elements" => {
            (Json, Opaque)
        }
        "now" | "statement_timestamp" | "transaction_timestamp" | "clock_timestamp" => (Any, Named("timestamp with time zone")),
        "date_trunc" => (Text, Truncated),
        "date_part" => (Text, Named("double precision")),
        "age" => (Time, Named("interval")),
        "to_char" => (TimeOrNumber, Named("text")),
        "random" | "pi" => (Any, Named("double precision")),
        "gen_random_uuid" => (Any, Named("uuid")),
        "nextval" | "currval" | "setval" | "lastval" => (Any, Named("bigint")),
        "lag" | "lead" | "first_value" | "last_value" => (Any, Same),
        _ => return None,
    })
}

pub fn is_known(name: &str) -> bool {
    signature(name).is_some()
}

/// `COUNT`, `SUM` and the like: they make a query grouped.
pub fn is_aggregate(name: &str) -> bool {
    matches!(
        name,
        "count"
            | "sum"
            | "avg"
            | "min"
            | "max"
            | "bool_and"
            | "bool_or"
            | "every"
            | "string_agg"
            | "array_agg"
            | "json_agg"
            | "jsonb_agg"
            | "json_object_agg"
            | "jsonb_object_agg"
            | "stddev"
            | "variance"
            | "bit_and"
            | "bit_or"
    )
}

/// The result of a call, or 42883 where no candidate takes such an argument.
pub fn call(cat: &Catalog, name: &str, args: &[Typed]) -> Bound<Typed> {
    let Some((takes, gives)) = signature(name) else { return Ok(Typed::Opaque) };
    let first = args.first().and_then(Typed::ty).map(|t| types::base(cat, t));
    if let Some(t) = &first
        && !taken(cat, &takes, t)
    {
        return Err(Fail::new("42883", name));
    }
    Ok(match gives {
        Gives::Named(n) => Typed::named(n),
        Gives::Opaque => Typed::Opaque,
        Gives::Same => match first {
            // min(varchar) is min(text).
            Some(t) if matches!(t.name.as_str(), "character varying" | "name") && t.array_dims == 0 => Typed::named("text"),
            Some(t) => Typed::Is(ColumnType { modifiers: Vec::new(), ..t }),
            None => Typed::Opaque,
        },
        Gives::Sum => result(first, |n| match n {
            "smallint" | "integer" => Some("bigint"),
            "bigint" | "numeric" => Some("numeric"),
            "real" => Some("real"),
            "double precision" => Some("double precision"),
            "money" => Some("money"),
            "interval" => Some("interval"),
            _ => None,
        }),
        Gives::Average => result(first, |n| match n {
            "smallint" | "integer" | "bigint" | "numeric" => Some("numeric"),
            "real" | "double precision" => Some("double precision"),
            "interval" => Some("interval"),
            _ => None,
        }),
        Gives::Rounded => result(first, |n| match n {
            _ if args.len() > 1 => Some("numeric"),
            "numeric" => Some("numeric"),
            _ => Some("double precision"),
        }),
        Gives::ArrayOf => match first {
            Some(t) if t.array_dims == 0 => Typed::Is(ColumnType { array_dims: 1, modifiers: Vec::new(), ..t }),
            _ => Typed::Opaque,
        },
        Gives::Truncated => match args.get(1).and_then(Typed::ty).map(|t| t.name.as_str()) {
            Some("date" | "timestamp with time zone") => named_type("timestamp with time zone"),
            Some("timestamp without time zone") => named_type("timestamp without time zone"),
            Some("interval") => named_type("interval"),
            Some("integer" | "bigint" | "text" | "character varying" | "boolean") => return Err(Fail::new("42883", name)),
            _ => Typed::Opaque,
        },
    })
}

fn named_type(n: &str) -> Typed {
    Typed::Is(named(n))
}

fn result(first: Option<ColumnType>, of: impl Fn(&str) -> Option<&'static str>) -> Typed {
    first.and_then(|t| of(&t.name)).map_or(Typed::Opaque, named_type)
}

fn taken(cat: &Catalog, takes: &Takes, t: &ColumnType) -> bool {
    let c = types::category(cat, t);
    // Functions of extensions take their own types.
    if t.id.is_none() && c == Category::Other && !WELL_KNOWN.contains(&t.name.as_str()) {
        return true;
    }
    match takes {
        Takes::Any => true,
        Takes::Text => c == Category::String,
        Takes::TextOr(more) => {
            c == Category::String || more.contains(&t.name.as_str()) || (c == Category::Range && more.contains(&"range"))
        }
        Takes::Number => c == Category::Numeric && t.name != "money",
        Takes::NumberOrInterval => c == Category::Numeric || c == Category::Timespan,
        Takes::Bool => c == Category::Bool,
        Takes::Time => c == Category::DateTime,
        Takes::TimeOrNumber => matches!(c, Category::DateTime | Category::Timespan | Category::Numeric),
        Takes::Ordered => c != Category::Bool && !WELL_KNOWN.contains(&t.name.as_str()),
        Takes::Json => matches!(t.name.as_str(), "json" | "jsonb"),
    }
}

/// Built-in types outside the categories. (min and max exist for none of them; `bytea` has them on 18 and is left out.)
const WELL_KNOWN: &[&str] =
    &["uuid", "json", "jsonb", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle", "tsvector", "tsquery"];
