//! Operator classes: which types an index can be built on, and how. The same in Postgres 14 to 18; a test asks servers.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::{Catalog, ColumnType, TypeKind};

/// By access method: each class with the type that it takes; `*`: the one that is taken where none is written.
const CLASSES: &[(&str, &str)] = &[
    (
        "brin",
        "bit_minmax_ops* bit, box_inclusion_ops* box, bpchar_bloom_ops character, bpchar_minmax_ops* character, bytea_bloom_ops bytea, \
         bytea_minmax_ops* bytea, char_bloom_ops \"char\", char_minmax_ops* \"char\", date_bloom_ops date, date_minmax_multi_ops date, \
         date_minmax_ops* date, float4_bloom_ops real, float4_minmax_multi_ops real, float4_minmax_ops* real, \
         float8_bloom_ops double precision, float8_minmax_multi_ops double precision, float8_minmax_ops* double precision, \
         inet_bloom_ops inet, inet_inclusion_ops* inet, inet_minmax_multi_ops inet, inet_minmax_ops inet, int2_bloom_ops smallint, \
         int2_minmax_multi_ops smallint, int2_minmax_ops* smallint, int4_bloom_ops integer, int4_minmax_multi_ops integer, \
         int4_minmax_ops* integer, int8_bloom_ops bigint, int8_minmax_multi_ops bigint, int8_minmax_ops* bigint, \
         interval_bloom_ops interval, interval_minmax_multi_ops interval, interval_minmax_ops* interval, macaddr8_bloom_ops macaddr8, \
         macaddr8_minmax_multi_ops macaddr8, macaddr8_minmax_ops* macaddr8, macaddr_bloom_ops macaddr, macaddr_minmax_multi_ops macaddr, \
         macaddr_minmax_ops* macaddr, name_bloom_ops name, name_minmax_ops* name, numeric_bloom_ops numeric, \
         numeric_minmax_multi_ops numeric, numeric_minmax_ops* numeric, oid_bloom_ops oid, oid_minmax_multi_ops oid, oid_minmax_ops* oid, \
         pg_lsn_bloom_ops pg_lsn, pg_lsn_minmax_multi_ops pg_lsn, pg_lsn_minmax_ops* pg_lsn, range_inclusion_ops* anyrange, \
         text_bloom_ops text, text_minmax_ops* text, tid_bloom_ops tid, tid_minmax_multi_ops tid, tid_minmax_ops* tid, \
         time_bloom_ops time without time zone, time_minmax_multi_ops time without time zone, time_minmax_ops* time without time zone, \
         timestamp_bloom_ops timestamp without time zone, timestamp_minmax_multi_ops timestamp without time zone, \
         timestamp_minmax_ops* timestamp without time zone, timestamptz_bloom_ops timestamp with time zone, \
         timestamptz_minmax_multi_ops timestamp with time zone, timestamptz_minmax_ops* timestamp with time zone, \
         timetz_bloom_ops time with time zone, timetz_minmax_multi_ops time with time zone, timetz_minmax_ops* time with time zone, \
         uuid_bloom_ops uuid, uuid_minmax_multi_ops uuid, uuid_minmax_ops* uuid, varbit_minmax_ops* bit varying",
    ),
    (
        "btree",
        "array_ops* anyarray, bit_ops* bit, bool_ops* boolean, bpchar_ops* character, bpchar_pattern_ops character, bytea_ops* bytea, \
         char_ops* \"char\", cidr_ops inet, date_ops* date, enum_ops* anyenum, float4_ops* real, float8_ops* double precision, \
         inet_ops* inet, int2_ops* smallint, int4_ops* integer, int8_ops* bigint, interval_ops* interval, jsonb_ops* jsonb, \
         macaddr8_ops* macaddr8, macaddr_ops* macaddr, money_ops* money, multirange_ops* anymultirange, name_ops* name, \
         numeric_ops* numeric, oid_ops* oid, oidvector_ops* oidvector, pg_lsn_ops* pg_lsn, range_ops* anyrange, record_image_ops record, \
         record_ops* record, text_ops* text, text_pattern_ops text, tid_ops* tid, time_ops* time without time zone, \
         timestamp_ops* timestamp without time zone, timestamptz_ops* timestamp with time zone, timetz_ops* time with time zone, \
         tsquery_ops* tsquery, tsvector_ops* tsvector, uuid_ops* uuid, varbit_ops* bit varying, varchar_ops text, \
         varchar_pattern_ops text, xid8_ops* xid8",
    ),
    ("gin", "array_ops* anyarray, jsonb_ops* jsonb, jsonb_path_ops jsonb, tsvector_ops* tsvector"),
    (
        "gist",
        "box_ops* box, circle_ops* circle, inet_ops inet, multirange_ops* anymultirange, point_ops* point, poly_ops* polygon, \
         range_ops* anyrange, tsquery_ops* tsquery, tsvector_ops* tsvector",
    ),
    (
        "hash",
        "aclitem_ops* aclitem, array_ops* anyarray, bool_ops* boolean, bpchar_ops* character, bpchar_pattern_ops character, \
         bytea_ops* bytea, char_ops* \"char\", cid_ops* cid, cidr_ops inet, date_ops* date, enum_ops* anyenum, float4_ops* real, \
         float8_ops* double precision, inet_ops* inet, int2_ops* smallint, int4_ops* integer, int8_ops* bigint, interval_ops* interval, \
         jsonb_ops* jsonb, macaddr8_ops* macaddr8, macaddr_ops* macaddr, multirange_ops* anymultirange, name_ops* name, \
         numeric_ops* numeric, oid_ops* oid, oidvector_ops* oidvector, pg_lsn_ops* pg_lsn, range_ops* anyrange, record_ops* record, \
         text_ops* text, text_pattern_ops text, tid_ops* tid, time_ops* time without time zone, \
         timestamp_ops* timestamp without time zone, timestamptz_ops* timestamp with time zone, timetz_ops* time with time zone, \
         uuid_ops* uuid, varchar_ops text, varchar_pattern_ops text, xid8_ops* xid8, xid_ops* xid",
    ),
    (
        "spgist",
        "box_ops* box, inet_ops* inet, kd_point_ops point, poly_ops* polygon, quad_point_ops* point, range_ops* anyrange, text_ops* text",
    ),
];

struct Class {
    name: &'static str,
    takes: &'static str,
    default: bool,
}

static BY_METHOD: LazyLock<HashMap<&str, Vec<Class>>> = LazyLock::new(|| {
    let class = |words: &'static str| {
        let (name, takes) = words.split_once(' ').unwrap_or((words, ""));
        Class { name: name.trim_end_matches('*'), takes, default: name.ends_with('*') }
    };
    CLASSES.iter().map(|(method, list)| (*method, list.split(", ").map(class).collect())).collect()
});

/// The type has a default operator class for the access method. `None`: not known.
pub(super) fn has_default(catalog: &Catalog, ty: &ColumnType, method: &str) -> Option<bool> {
    let goes_as = goes_as(catalog, ty)?;
    Some(BY_METHOD.get(method)?.iter().any(|c| c.default && goes_as.contains(&c.takes)))
}

/// What is wrong with an operator class that is written: its SQLSTATE and Postgres's words.
pub(super) fn refusal(catalog: &Catalog, class: &str, ty: &ColumnType, method: &str) -> Option<(&'static str, String)> {
    // One that is not Postgres's own may be anybody's.
    let takes: Vec<&str> = BY_METHOD.get(method)?.iter().filter(|c| c.name == class).map(|c| c.takes).collect();
    if takes.is_empty() {
        let of_others = BY_METHOD.values().flatten().any(|c| c.name == class);
        return of_others.then(|| ("42704", format!("operator class \"{class}\" does not exist for access method \"{method}\"")));
    }
    let fits = goes_as(catalog, ty)?.iter().any(|t| takes.contains(t));
    (!fits).then(|| ("42804", format!("operator class \"{class}\" does not accept data type {ty}")))
}

/// The types as which a value goes without being changed, its own and polymorphic ones among them.
fn goes_as(catalog: &Catalog, ty: &ColumnType) -> Option<Vec<&'static str>> {
    let ty = super::casts::base(catalog, ty);
    if ty.is_array() {
        return Some(vec!["anyarray"]);
    }
    if let Some(t) = ty.id.and_then(|id| catalog.types.get(&id)) {
        return match t.kind {
            TypeKind::Enum { .. } => Some(vec!["anyenum"]),
            TypeKind::Composite { .. } => Some(vec!["record"]),
            TypeKind::Range => Some(vec!["anyrange"]),
            _ => None,
        };
    }
    if let Some(id) = ty.id {
        return catalog.relation(id).map(|_| vec!["record"]);
    }
    Some(match ty.name.as_str() {
        "bpchar" => vec!["character"],
        "character varying" => vec!["character varying", "text", "character"],
        "text" => vec!["text", "character"],
        "integer" => vec!["integer", "oid"],
        "cidr" => vec!["cidr", "inet"],
        "bit" | "bit varying" => vec!["bit", "bit varying"],
        n if n.ends_with("multirange") => vec!["anymultirange"],
        n if n.ends_with("range") => vec!["anyrange"],
        n => vec![known(n)?],
    })
}

/// Of the types that Postgres has by itself, and that have no type above, the one of that name.
fn known(name: &str) -> Option<&'static str> {
    /// Without any operator class.
    const OTHERS: &[&str] = &["json", "xml", "jsonpath", "line", "lseg", "path", "txid_snapshot", "pg_snapshot"];
    BY_METHOD.values().flatten().map(|c| c.takes).chain(OTHERS.iter().copied()).find(|t| *t == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::PgVersion;
    use crate::shadow::{Shadow, ShadowOptions};

    const TYPES: &str = "smallint integer bigint numeric real float8 money text varchar(9) char(3) bpchar name \"char\" boolean date timestamp timestamptz time timetz \
        interval json jsonb bytea uuid inet cidr macaddr macaddr8 xml bit(3) varbit(4) tsvector tsquery point line lseg box path polygon circle \
        int4range tstzrange nummultirange oid pg_lsn int[] text[]";

    fn server() -> (Shadow, PgVersion) {
        let pg = PgVersion::of_tests();
        (Shadow::start(&ShadowOptions { pg, exact: true, ..ShadowOptions::default() }).expect("a server"), pg)
    }

    #[test]
    fn live_the_classes_are_those_of_the_server() {
        let (shadow, pg) = server();
        let db = shadow.database().expect("a database");
        let sql = "SELECT amname, opcname || CASE WHEN opcdefault THEN '*' ELSE '' END || ' ' || format_type(opcintype, NULL) FROM pg_opclass o \
                   JOIN pg_am a ON a.oid = opcmethod WHERE opcnamespace = 'pg_catalog'::regnamespace";
        let mut theirs: Vec<(String, String)> =
            db.connect().expect("a session").rows(sql).expect("classes").into_iter().map(pair).collect();
        let ours = CLASSES.iter().flat_map(|(m, list)| list.split(", ").map(|c| (m.to_string(), c.to_string())));
        let mut ours: Vec<_> = ours.collect();
        theirs.sort();
        ours.sort();
        assert_eq!(ours, theirs, "on {pg}");
    }

    fn pair(row: Vec<Option<String>>) -> (String, String) {
        let mut values = row.into_iter().flatten();
        (values.next().unwrap_or_default(), values.next().unwrap_or_default())
    }

    /// Every type with every access method, and with every class of it.
    #[test]
    fn live_indexes_are_built_on_the_types_that_are_said() {
        let (shadow, pg) = server();
        let db = shadow.database().expect("a database");
        let mut session = db.connect().expect("a session");
        let mut catalog = Catalog::new(pg);
        catalog.complete = true;
        let mut wrong = Vec::new();
        for (n, ty) in TYPES.split_whitespace().enumerate() {
            let table = format!("CREATE TABLE t{n} (c {ty})");
            session.run(&table).expect("a table");
            for s in crate::lower::lower_text(&table) {
                assert!(catalog.apply_statement(&s).is_empty(), "{table}");
            }
            for (method, classes) in &*BY_METHOD {
                for class in std::iter::once("").chain(classes.iter().map(|c| c.name)) {
                    let index = format!("CREATE INDEX ON t{n} USING {method} (c {class})");
                    let observed = session.run(&index).err().map(|e| e.sqlstate);
                    let statements = crate::lower::lower_text(&index);
                    let predicted = statements.iter().flat_map(|s| catalog.apply_statement(s)).next().map(|(_, e)| e.sqlstate.to_string());
                    if observed != predicted {
                        wrong.push(format!("{ty}: {index}: predicted {predicted:?}, observed {observed:?}"));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{} on {pg}:\n{}", wrong.len(), wrong.join("\n"));
    }
}
