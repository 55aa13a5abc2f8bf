//! Draws names, types and values, mostly ones that fit what the catalog holds now.

use fastrand::Rng;

use crate::catalog::{Catalog, Column, ColumnType, ConKind, RelKind, Relation, TypeKind};
use crate::quote::{ident, literal, qualified};

/// The state of a draw: everything is a function of the seed and of the catalog.
pub struct Gen<'c> {
    pub rng: &'c mut Rng,
    pub cat: &'c Catalog,
    /// Counts names and values, so that both are new.
    pub next: &'c mut u32,
}

/// Built-in types with a value for the number `n`.
type Value = fn(u32) -> String;
const TYPES: &[(&str, Value)] = &[
    ("integer", |n| n.to_string()),
    ("integer", |n| n.to_string()),
    ("bigint", |n| n.to_string()),
    ("smallint", |n| (n % 30_000).to_string()),
    ("numeric", |n| format!("{n}.5")),
    ("numeric(8,2)", |n| format!("{n}.25")),
    ("numeric(12,2)", |n| format!("{n}.25")),
    ("real", |n| format!("{n}.5")),
    ("double precision", |n| format!("{n}.5")),
    ("text", |n| format!("'{n}'")),
    ("text", |n| format!("'{n}'")),
    ("varchar", |n| format!("'{n}'")),
    ("varchar(12)", |n| format!("'{n}'")),
    ("varchar(30)", |n| format!("'{n}'")),
    ("char(9)", |n| format!("'{n}'")),
    ("boolean", |n| (n.is_multiple_of(2)).to_string()),
    ("date", |n| format!("'2024-01-01'::date + {}", n % 3000)),
    ("timestamp", |n| format!("'2024-01-01'::timestamp + {n} * interval '1 hour'")),
    ("timestamp(3)", |n| format!("'2024-01-01'::timestamp + {n} * interval '1 hour'")),
    ("timestamptz", |n| format!("'2024-01-01 00:00+00'::timestamptz + {n} * interval '1 hour'")),
    ("time", |n| format!("'12:00'::time + {n} * interval '1 second'")),
    ("interval", |n| format!("{n} * interval '1 hour'")),
    ("uuid", |n| format!("'00000000-0000-4000-8000-{n:012x}'")),
    ("json", |n| format!("'{{\"a\": {n}}}'")),
    ("jsonb", |n| format!("'{{\"a\": {n}}}'")),
    ("bytea", |n| format!("'\\x{n:08x}'")),
    ("inet", |n| format!("'10.0.{}.{}'", n / 250 % 250, n % 250)),
    ("cidr", |n| format!("'10.0.{}.{}/32'", n / 250 % 250, n % 250)),
    ("integer[]", |n| format!("'{{{n}}}'")),
    ("text[]", |n| format!("'{{{n}}}'")),
    ("varchar(9)[]", |n| format!("'{{{n}}}'")),
    ("int4range", |n| format!("'[{n},{})'", n + 1)),
    ("bit varying(40)", |n| format!("B'{n:b}'")),
    ("bit(3)", |n| format!("B'{:03b}'", n % 8)),
];

impl<'c> Gen<'c> {
    pub fn chance(&mut self, percent: u32) -> bool {
        self.rng.u32(0..100) < percent
    }

    pub fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.rng.usize(0..list.len())]
    }

    pub fn number(&mut self) -> u32 {
        *self.next += 1;
        *self.next
    }

    pub fn fresh(&mut self, prefix: &str) -> String {
        format!("{prefix}{}", self.number())
    }

    /// A new name in some schema: bare, it is made in `public`.
    pub fn new_qualified(&mut self, prefix: &str) -> String {
        let name = self.fresh(prefix);
        match self.rng.u32(0..10) {
            0..6 => name,
            6..9 => format!("app.{name}"),
            _ => format!("public.{name}"),
        }
    }

    /// `word` with a chance of so many percent, else nothing.
    pub fn maybe(&mut self, percent: u32, word: &'static str) -> &'static str {
        if self.chance(percent) { word } else { "" }
    }

    pub fn relation(&mut self, f: impl Fn(&Relation) -> bool) -> Option<&'c Relation> {
        let all: Vec<&Relation> = self.cat.relations.values().map(AsRef::as_ref).filter(|r| f(r)).collect();
        (!all.is_empty()).then(|| all[self.rng.usize(0..all.len())])
    }

    pub fn table(&mut self) -> Option<&'c Relation> {
        self.relation(|r| r.kind.is_table())
    }

    /// A table mostly; sometimes a relation of another kind, for which the statement is wrong or means something else.
    pub fn about_table(&mut self) -> Option<&'c Relation> {
        if self.chance(4) { self.relation(|_| true) } else { self.table() }
    }

    pub fn of_kind(&mut self, kind: RelKind) -> Option<&'c Relation> {
        if self.chance(4) { self.relation(|_| true) } else { self.relation(|r| r.kind == kind) }
    }

    pub fn name(&mut self, rel: &Relation) -> String {
        if self.chance(2) {
            return format!("missing{}", self.rng.u32(0..9));
        }
        if rel.schema == "public" && self.chance(60) { ident(&rel.name) } else { qualified(&rel.schema, &rel.name) }
    }

    pub fn column_of(&mut self, rel: &'c Relation, f: impl Fn(&Column) -> bool) -> Option<&'c Column> {
        let all: Vec<&Column> = rel.columns.iter().filter(|c| f(c)).collect();
        (!all.is_empty()).then(|| all[self.rng.usize(0..all.len())])
    }

    /// A column's name, quoted; rarely one that is not there.
    pub fn column(&mut self, rel: &'c Relation) -> Option<String> {
        if self.chance(2) {
            return Some("missing".into());
        }
        self.column_of(rel, |_| true).map(|c| ident(&c.name))
    }

    /// One or two different columns.
    pub fn columns(&mut self, rel: &'c Relation) -> Option<String> {
        let first = self.column(rel)?;
        let second = if self.chance(25) { self.column(rel) } else { None };
        Some(match second {
            Some(s) if s != first => format!("{first}, {s}"),
            _ => first,
        })
    }

    pub fn constraint(&mut self, rel: &'c Relation, f: impl Fn(&ConKind) -> bool) -> Option<String> {
        if self.chance(3) {
            return Some("missing".into());
        }
        // Before 18 the names of NOT NULL constraints do not exist.
        let named = self.cat.pg.0 >= 18;
        let all: Vec<&str> = rel
            .constraints
            .iter()
            .filter(|c| f(&c.kind) && (named || !matches!(c.kind, ConKind::NotNull { .. })))
            .map(|c| c.name.as_str())
            .collect();
        (!all.is_empty()).then(|| ident(all[self.rng.usize(0..all.len())]))
    }

    pub fn user_type(&mut self, f: impl Fn(&TypeKind) -> bool) -> Option<&'c crate::catalog::Type> {
        let all: Vec<_> = self.cat.types.values().filter(|t| f(&t.kind)).collect();
        (!all.is_empty()).then(|| all[self.rng.usize(0..all.len())].as_ref())
    }

    pub fn composite(&mut self) -> Option<&'c Relation> {
        self.relation(|r| r.kind == RelKind::Composite)
    }

    pub fn type_name(&mut self, t: &crate::catalog::Type) -> String {
        if self.chance(2) { "missing_type".into() } else { qualified(&t.schema, &t.name) }
    }

    /// A type as it is written.
    pub fn ty(&mut self) -> String {
        if self.chance(18)
            && let Some(t) = self.user_type(|k| !matches!(k, TypeKind::Other))
        {
            let array = self.maybe(10, "[]");
            return format!("{}{array}", qualified(&t.schema, &t.name));
        }
        if self.chance(1) {
            return "missing_type".into();
        }
        self.of(TYPES).0.to_string()
    }

    /// A value of the type that is new in its column; `None`: there is none that fits for sure.
    pub fn value(&mut self, ty: &ColumnType) -> Option<String> {
        let n = self.number();
        if let Some(t) = ty.id.and_then(|id| self.cat.types.get(&id)) {
            if ty.is_array() {
                return Some("'{}'".into());
            }
            return match &t.kind {
                TypeKind::Enum { labels } => labels.first().map(|l| literal(&l.value)),
                TypeKind::Domain { base, .. } => {
                    let base = base.clone();
                    self.value(&base)
                }
                TypeKind::Range => Some("'empty'".into()),
                _ => Some("NULL".into()),
            };
        }
        let written = ty.to_string();
        if let Some((_, value)) = TYPES.iter().find(|(t, _)| canonical(t) == written) {
            return Some(value(n));
        }
        if ty.is_array() {
            return Some("'{}'".into());
        }
        let bare = ColumnType { modifiers: Vec::new(), ..ty.clone() }.to_string();
        let same = TYPES.iter().find(|(t, _)| canonical(t).split('(').next() == Some(bare.as_str()));
        same.map(|(_, value)| value(n)).or_else(|| bare.ends_with("citext").then(|| format!("'{n}'")))
    }

    /// A condition over one column, true for the values that `value` makes, most of the time.
    pub fn condition(&mut self, c: &Column) -> String {
        let name = ident(&c.name);
        let number = matches!(c.ty.name.as_str(), "integer" | "bigint" | "smallint" | "numeric" | "real" | "double precision");
        let text = matches!(c.ty.name.as_str(), "text" | "character varying");
        match self.rng.u32(0..4) {
            0 => format!("{name} IS NOT NULL"),
            1 | 2 if number && !c.ty.is_array() => {
                let op = self.of(&[">", ">=", "<>"]);
                format!("{name} {op} {}", self.rng.u32(0..3))
            }
            1 if text && !c.ty.is_array() => format!("length({name}) < 50"),
            2 if text && !c.ty.is_array() => format!("{name} <> 'gone'"),
            3 if number && !c.ty.is_array() => format!("{name} > -1 AND {name} IS NOT NULL"),
            _ => format!("{name} IS NOT NULL"),
        }
    }

    pub fn default(&mut self, ty: &str) -> String {
        let text = ty.starts_with("text") || ty.starts_with("varchar") || ty.starts_with("char");
        let number =
            ["integer", "bigint", "smallint", "numeric", "real", "double"].iter().any(|t| ty.starts_with(t)) && !ty.ends_with("[]");
        let n = self.number();
        match self.rng.u32(0..8) {
            0 => "NULL".into(),
            1 if number => "(random() * 100)::int".into(),
            2 if number => "1 + 1".into(),
            3 if ty.starts_with("timestamp") => self.of(&["now()", "clock_timestamp()", "CURRENT_TIMESTAMP"]).into(),
            4 if ty == "uuid" => "gen_random_uuid()".into(),
            5 if text && !ty.ends_with("[]") => "md5(random()::text)".into(),
            6 if text && !ty.ends_with("[]") => "CURRENT_USER".into(),
            _ => match TYPES.iter().find(|(t, _)| *t == ty) {
                Some((_, value)) => value(n % 100),
                None => match self.cat.types.values().find(|t| qualified(&t.schema, &t.name) == ty).map(|t| t.id) {
                    Some(id) => {
                        let ty = ColumnType { name: String::new(), id: Some(id), modifiers: Vec::new(), array_dims: 0 };
                        self.value(&ty).unwrap_or_else(|| "NULL".into())
                    }
                    None => "NULL".into(),
                },
            },
        }
    }
}

/// As the catalog names the type.
fn canonical(written: &str) -> String {
    let (base, dims) = written.strip_suffix("[]").map_or((written, ""), |b| (b, "[]"));
    let long = match base {
        "varchar" => "character varying".into(),
        "timestamp" => "timestamp without time zone".into(),
        "timestamp(3)" => "timestamp(3) without time zone".into(),
        "timestamptz" => "timestamp with time zone".into(),
        "time" => "time without time zone".into(),
        b => match b.strip_prefix("varchar(") {
            Some(rest) => format!("character varying({rest}"),
            None => b.replacen("char(", "character(", 1),
        },
    };
    format!("{long}{dims}")
}
