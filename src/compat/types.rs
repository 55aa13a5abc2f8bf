//! Types as parse analysis sees them: categories, which casts it adds by itself, which types are the same.

use crate::catalog::{Catalog, ColumnType, TypeKind};
use crate::op::TypeName;

/// What an expression is, as far as analysis can tell.
#[derive(Debug, Clone, PartialEq)]
pub enum Typed {
    /// An untyped literal; it takes the type that its place wants. `None` is NULL.
    Literal(Option<String>),
    /// `$1`: takes the type that its place wants, too.
    Param,
    Is(ColumnType),
    /// Cannot be told; nothing is concluded from it.
    Opaque,
}

impl Typed {
    pub fn ty(&self) -> Option<&ColumnType> {
        match self {
            Typed::Is(t) => Some(t),
            _ => None,
        }
    }
    pub fn named(name: &str) -> Self {
        Typed::Is(named(name))
    }
    pub fn maybe(ty: Option<ColumnType>) -> Self {
        ty.map_or(Typed::Opaque, Typed::Is)
    }
}

/// Coarse groups of types, close to `pg_type.typcategory`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    Numeric,
    String,
    Bool,
    DateTime,
    Timespan,
    Network,
    Bit,
    Array,
    Enum,
    Range,
    Composite,
    Other,
}

/// A built-in type without modifiers.
pub fn named(name: &str) -> ColumnType {
    ColumnType { name: name.to_string(), id: None, modifiers: Vec::new(), array_dims: 0 }
}

/// The element type of an array.
pub fn element(ty: &ColumnType) -> ColumnType {
    ColumnType { array_dims: 0, ..ty.clone() }
}

/// A domain's base type, through nested domains; other types unchanged.
pub fn base(cat: &Catalog, ty: &ColumnType) -> ColumnType {
    let mut ty = ty.clone();
    // A domain over itself cannot be made, yet a broken history must not hang us.
    for _ in 0..32 {
        if ty.array_dims > 0 {
            return ty;
        }
        match ty.id.and_then(|id| cat.types.get(&id)).map(|t| &t.kind) {
            Some(TypeKind::Domain { base, .. }) => ty = base.clone(),
            _ => return ty,
        }
    }
    ty
}

/// Whether two columns have the same type OID (modifiers aside).
pub fn same(a: &ColumnType, b: &ColumnType) -> bool {
    (a.array_dims > 0) == (b.array_dims > 0)
        && match (a.id, b.id) {
            (Some(x), Some(y)) => x == y,
            (None, None) => a.name == b.name,
            _ => false,
        }
}

pub fn category(cat: &Catalog, ty: &ColumnType) -> Category {
    let ty = base(cat, ty);
    if ty.array_dims > 0 {
        return Category::Array;
    }
    if let Some(t) = ty.id.and_then(|id| cat.types.get(&id)) {
        return match &t.kind {
            TypeKind::Enum { .. } => Category::Enum,
            TypeKind::Composite { .. } => Category::Composite,
            TypeKind::Range => Category::Range,
            TypeKind::Domain { .. } | TypeKind::Other => Category::Other,
        };
    }
    match ty.name.as_str() {
        "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" | "money" | "oid" | "regclass" | "regproc"
        | "regtype" | "regprocedure" | "regrole" | "regnamespace" => Category::Numeric,
        "text" | "character varying" | "character" | "bpchar" | "name" | "\"char\"" | "citext" => Category::String,
        "boolean" => Category::Bool,
        "date" | "timestamp without time zone" | "timestamp with time zone" | "time without time zone" | "time with time zone" => {
            Category::DateTime
        }
        "interval" => Category::Timespan,
        "inet" | "cidr" => Category::Network,
        "bit" | "bit varying" => Category::Bit,
        n if n.ends_with("range") => Category::Range,
        _ => Category::Other,
    }
}

/// How far a cast may go by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    Explicit,
    Assignment,
    Implicit,
}

/// The cast from one type to another that `pg_cast` and the I/O rules offer, and how far it applies by itself.
pub fn cast(cat: &Catalog, from: &ColumnType, to: &ColumnType) -> Option<Reach> {
    if same(from, to) {
        return Some(Reach::Implicit);
    }
    let (from, to) = (base(cat, from), base(cat, to));
    if same(&from, &to) {
        return Some(Reach::Implicit);
    }
    if from.array_dims > 0 && to.array_dims > 0 {
        return cast(cat, &element(&from), &element(&to));
    }
    let known = from.array_dims == 0 && to.array_dims == 0 && from.id.is_none() && to.id.is_none();
    if let Some(r) = known.then(|| built_in_cast(&from.name, &to.name)).flatten() {
        return Some(r);
    }
    // Every type goes to a string by its output function, on assignment; back by its input function only when asked.
    let string = |t: &ColumnType| category(cat, t) == Category::String;
    if string(&to) {
        return Some(Reach::Assignment);
    }
    string(&from).then_some(Reach::Explicit)
}

fn built_in_cast(from: &str, to: &str) -> Option<Reach> {
    use Reach::*;
    const REG: [&str; 6] = ["regclass", "regproc", "regtype", "regprocedure", "regrole", "regnamespace"];
    let rank = |n: &str| match n {
        "smallint" => Some(0),
        "integer" => Some(1),
        "bigint" => Some(2),
        "numeric" => Some(3),
        "real" => Some(4),
        "double precision" => Some(5),
        _ => None,
    };
    if let (Some(f), Some(t)) = (rank(from), rank(to)) {
        return Some(if f < t { Implicit } else { Assignment });
    }
    let integer = |n: &str| matches!(n, "smallint" | "integer" | "bigint");
    match (from, to) {
        (f, "oid") if integer(f) => Some(Implicit),
        (f, t) if integer(f) && REG.contains(&t) => Some(Implicit),
        ("oid", "integer" | "bigint") => Some(Assignment),
        (f, "integer" | "bigint") if REG.contains(&f) => Some(Assignment),
        (f, "oid") if REG.contains(&f) => Some(Implicit),
        ("oid", t) if REG.contains(&t) => Some(Implicit),
        ("text" | "character varying", "regclass") => Some(Implicit),
        ("integer", "boolean") | ("boolean", "integer") => Some(Explicit),
        ("integer" | "bigint" | "numeric", "money") | ("money", "numeric") => Some(Assignment),
        ("text" | "character varying" | "character" | "bpchar" | "citext", "text" | "character varying" | "character" | "bpchar") => {
            Some(if from == "citext" && to != "text" { Assignment } else { Implicit })
        }
        ("name", "text") => Some(Implicit),
        ("name", "character varying" | "character" | "bpchar") => Some(Assignment),
        ("text" | "character varying" | "character" | "bpchar", "name" | "citext") => {
            Some(if to == "name" { Implicit } else { Assignment })
        }
        ("date", "timestamp without time zone" | "timestamp with time zone") => Some(Implicit),
        ("timestamp without time zone", "timestamp with time zone") => Some(Implicit),
        ("timestamp with time zone", "timestamp without time zone" | "date" | "time without time zone" | "time with time zone") => {
            Some(Assignment)
        }
        ("timestamp without time zone", "date" | "time without time zone") => Some(Assignment),
        ("time without time zone", "interval" | "time with time zone") => Some(Implicit),
        ("time with time zone" | "interval", "time without time zone") => Some(Assignment),
        ("bit", "bit varying") | ("bit varying", "bit") => Some(Implicit),
        ("integer" | "bigint", "bit") | ("bit", "integer" | "bigint") => Some(Explicit),
        ("cidr", "inet") => Some(Implicit),
        ("inet", "cidr") => Some(Assignment),
        ("macaddr", "macaddr8") | ("macaddr8", "macaddr") => Some(Implicit),
        ("json", "jsonb") | ("jsonb", "json") => Some(Assignment),
        ("jsonb", "boolean" | "numeric" | "smallint" | "integer" | "bigint" | "real" | "double precision") => Some(Explicit),
        ("xml", "text" | "character varying" | "character" | "bpchar") => Some(Assignment),
        ("point", "box") | ("lseg", "point") | ("box", "polygon" | "circle") => Some(if from == "lseg" { Explicit } else { Assignment }),
        _ => None,
    }
}

/// The type that UNION, CASE and USING settle on; `Err` where Postgres says that the types cannot be matched.
pub fn common(cat: &Catalog, a: &Typed, b: &Typed) -> Result<Typed, ()> {
    let (Some(x), Some(y)) = (a.ty(), b.ty()) else {
        return Ok(match (a, b) {
            (Typed::Opaque, _) | (_, Typed::Opaque) => Typed::Opaque,
            (Typed::Is(_), _) => a.clone(),
            (_, Typed::Is(_)) => b.clone(),
            _ => a.clone(),
        });
    };
    if same(x, y) {
        // Different modifiers are lost in the common type.
        let mut t = x.clone();
        if x.modifiers != y.modifiers {
            t.modifiers.clear();
        }
        return Ok(Typed::Is(t));
    }
    let plain = |t: &ColumnType| ColumnType { modifiers: Vec::new(), ..base(cat, t) };
    let (x, y) = (plain(x), plain(y));
    if category(cat, &x) != category(cat, &y) {
        return Err(());
    }
    match (cast(cat, &x, &y), cast(cat, &y, &x)) {
        (Some(Reach::Implicit), Some(Reach::Implicit)) => Ok(Typed::Is(if y.name == "text" { y } else { x })),
        (Some(Reach::Implicit), _) => Ok(Typed::Is(y)),
        (_, Some(Reach::Implicit)) => Ok(Typed::Is(x)),
        _ => Err(()),
    }
}

/// The number a literal is: `integer`, else `bigint`, else `numeric`.
pub fn number(text: &str) -> ColumnType {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    let parsed = match digits.get(..2) {
        Some("0x" | "0X") => i128::from_str_radix(&digits[2..], 16).ok(),
        Some("0o" | "0O") => i128::from_str_radix(&digits[2..], 8).ok(),
        Some("0b" | "0B") => i128::from_str_radix(&digits[2..], 2).ok(),
        _ => digits.parse::<i128>().ok(),
    };
    match parsed {
        Some(n) if i32::try_from(n).is_ok() => named("integer"),
        Some(n) if i64::try_from(n).is_ok() => named("bigint"),
        _ => named("numeric"),
    }
}

/// Built-in names that a type may be written with; `None` for a name that has to be looked up.
pub fn is_built_in(ty: &TypeName) -> bool {
    ty.name.schema_str().is_none_or(|s| s == "pg_catalog") && (BUILT_IN.contains(&ty.name.as_str()) || ty.name.as_str().ends_with("serial"))
}

/// Types of a server without extensions, as `format_type` prints them, and the pseudo-types that functions use.
const BUILT_IN: &[&str] = &[
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "real",
    "double precision",
    "money",
    "text",
    "character varying",
    "character",
    "bpchar",
    "name",
    "\"char\"",
    "char",
    "boolean",
    "date",
    "timestamp without time zone",
    "timestamp with time zone",
    "time without time zone",
    "time with time zone",
    "interval",
    "uuid",
    "json",
    "jsonb",
    "jsonpath",
    "xml",
    "bytea",
    "bit",
    "bit varying",
    "inet",
    "cidr",
    "macaddr",
    "macaddr8",
    "point",
    "line",
    "lseg",
    "box",
    "path",
    "polygon",
    "circle",
    "tsvector",
    "tsquery",
    "oid",
    "xid",
    "xid8",
    "cid",
    "tid",
    "regclass",
    "regproc",
    "regprocedure",
    "regtype",
    "regrole",
    "regnamespace",
    "regconfig",
    "regdictionary",
    "regoper",
    "regoperator",
    "regcollation",
    "pg_lsn",
    "pg_snapshot",
    "txid_snapshot",
    "int4range",
    "int8range",
    "numrange",
    "tsrange",
    "tstzrange",
    "daterange",
    "int4multirange",
    "int8multirange",
    "nummultirange",
    "tsmultirange",
    "tstzmultirange",
    "datemultirange",
    "void",
    "record",
    "trigger",
    "event_trigger",
    "refcursor",
    "anyelement",
    "anyarray",
    "anynonarray",
    "anyenum",
    "anyrange",
    "anycompatible",
    "anycompatiblearray",
    "any",
    "cstring",
    "internal",
    "unknown",
    "oidvector",
    "int2vector",
];

pub fn is_named_built_in(name: &str) -> bool {
    BUILT_IN.contains(&name)
}

/// A type as written, for a catalog that does not know better.
pub fn from_written(ty: &TypeName) -> ColumnType {
    ColumnType { name: ty.name.to_string(), id: None, modifiers: ty.modifiers.clone(), array_dims: ty.array_dims }
}
