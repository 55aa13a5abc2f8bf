//! Types of expressions, as far as they can be told without Postgres's whole operator catalog. `unknown` is an honest answer.

use crate::op::{Call, Expr, ExprKind};

use super::{Catalog, ColumnType};

fn t(name: &str) -> ColumnType {
    ColumnType::builtin(name)
}

pub(super) fn literal_type(e: &Expr) -> ColumnType {
    match &e.kind {
        ExprKind::Bool(_) => t("boolean"),
        ExprKind::Number(n) => {
            if n.contains(['.', 'e', 'E']) {
                t("numeric")
            } else if n.parse::<i32>().is_ok() {
                t("integer")
            } else if n.parse::<i64>().is_ok() {
                t("bigint")
            } else {
                t("numeric")
            }
        }
        ExprKind::SqlValue(word) => match word.split('(').next().unwrap_or(word).trim() {
            "CURRENT_DATE" => t("date"),
            "CURRENT_TIMESTAMP" => t("timestamp with time zone"),
            "LOCALTIMESTAMP" => t("timestamp without time zone"),
            "CURRENT_TIME" => t("time with time zone"),
            "LOCALTIME" => t("time without time zone"),
            _ => t("name"),
        },
        _ => ColumnType::unknown(),
    }
}

pub(super) fn subquery_type(e: &Expr, first: Option<&ColumnType>) -> ColumnType {
    let words = e.text.trim_start().to_ascii_lowercase();
    if words.starts_with("exists") || words.starts_with("not exists") {
        return t("boolean");
    }
    let first = first.cloned().unwrap_or_else(ColumnType::unknown);
    if words.starts_with("array") && !first.is_unknown() {
        return ColumnType { array_dims: 1, ..first };
    }
    first
}

/// ARRAY, ROW, CASE and what has no node of its own.
pub(super) fn compound_type(e: &Expr, parts: &[Expr], types: &[ColumnType]) -> ColumnType {
    match &e.kind {
        ExprKind::Array(_) => match types.iter().find(|t| !t.is_unknown()) {
            Some(ty) => ColumnType { array_dims: 1, ..ty.clone() },
            None => ColumnType { array_dims: 1, ..t("text") },
        },
        ExprKind::Row(_) => t("record"),
        ExprKind::Case(_) => case_type(e, parts, types),
        _ => {
            let words = e.text.trim_start().to_ascii_lowercase();
            let starts = |w: &str| words.starts_with(w);
            if starts("coalesce") || starts("greatest") || starts("least") || starts("nullif") {
                return common(types);
            }
            if starts("extract") {
                return t("numeric");
            }
            if starts("position") {
                return t("integer");
            }
            if starts("trim") || starts("substring") || starts("overlay") || starts("normalize") {
                return t("text");
            }
            if words.contains(" between ") || words.contains(" is ") || words.contains(" in ") || words.contains(" like ") {
                return t("boolean");
            }
            if parts.len() == 1 && starts("(") {
                return types[0].clone();
            }
            ColumnType::unknown()
        }
    }
}

/// Results follow THEN and ELSE.
fn case_type(e: &Expr, parts: &[Expr], types: &[ColumnType]) -> ColumnType {
    let is_result = |p: &Expr| {
        let end = p.span.start.checked_sub(e.span.start)? as usize;
        let head = e.text.get(..end)?.trim_end().trim_end_matches('(').trim_end().to_ascii_lowercase();
        Some(head.ends_with("then") || head.ends_with("else"))
    };
    let results: Vec<ColumnType> = parts.iter().zip(types).filter(|(p, _)| is_result(p).unwrap_or(false)).map(|(_, t)| t.clone()).collect();
    let literal = parts.iter().any(|p| matches!(p.kind, ExprKind::String(_)) && is_result(p).unwrap_or(false));
    let found = common(&results);
    if found.is_unknown() && literal { t("text") } else { found }
}

/// The type that several alternatives share: the widest known one.
fn common(types: &[ColumnType]) -> ColumnType {
    let mut known = types.iter().filter(|t| !t.is_unknown());
    let Some(first) = known.next() else { return ColumnType::unknown() };
    let mut out = first.clone();
    for t in known {
        if t.name == out.name {
            if t.modifiers != out.modifiers {
                out.modifiers.clear();
            }
        } else if let Some(w) = wider(&out, t) {
            out = w;
        }
    }
    out
}

fn rank(name: &str) -> Option<u8> {
    Some(match name {
        "smallint" => 1,
        "integer" => 2,
        "bigint" => 3,
        "numeric" => 4,
        "real" => 5,
        "double precision" => 6,
        _ => return None,
    })
}

/// The preferred one of two different types of one category.
pub(super) fn wider(a: &ColumnType, b: &ColumnType) -> Option<ColumnType> {
    if a.is_array() || b.is_array() {
        return None;
    }
    if let (Some(x), Some(y)) = (rank(&a.name), rank(&b.name)) {
        let w = if x >= y { a } else { b };
        return Some(t(&w.name));
    }
    let text = |n: &str| matches!(n, "text" | "character varying" | "character" | "name");
    if text(&a.name) && text(&b.name) {
        return Some(if a.name == "text" || b.name == "text" { t("text") } else { t(&a.name) });
    }
    let date = |n: &str| match n {
        "date" => Some(1),
        "timestamp without time zone" => Some(2),
        "timestamp with time zone" => Some(3),
        _ => None,
    };
    if let (Some(x), Some(y)) = (date(&a.name), date(&b.name)) {
        return Some(t(if x >= y { &a.name } else { &b.name }));
    }
    None
}

pub(super) fn operator_type(op: &str, l: &ColumnType, r: &ColumnType) -> ColumnType {
    let is = |t: &ColumnType, names: &[&str]| !t.is_array() && names.contains(&t.name.as_str());
    let text = &["text", "character varying", "character", "name"];
    let json = &["json", "jsonb"];
    match op {
        "->>" | "#>>" => t("text"),
        "->" | "#>" if is(l, json) => t(&l.name),
        "#-" => t("jsonb"),
        "||" => {
            if is(l, text) || is(r, text) {
                t("text")
            } else if l.is_array() {
                l.clone()
            } else if r.is_array() {
                r.clone()
            } else if is(l, &["jsonb"]) || is(r, &["jsonb"]) {
                t("jsonb")
            } else if is(l, &["tsvector"]) {
                t("tsvector")
            } else if l.is_unknown() && r.is_unknown() {
                ColumnType::unknown()
            } else if l.is_unknown() || r.is_unknown() {
                // A literal beside a number or a date: concatenation of texts.
                t("text")
            } else {
                ColumnType::unknown()
            }
        }
        "+" | "-" | "*" | "/" | "%" | "^" => arithmetic(op, l, r),
        "&" | "|" | "#" | "<<" | ">>" => {
            if is(l, &["smallint", "integer", "bigint"]) {
                wider(l, r).unwrap_or_else(|| l.clone())
            } else if is(l, &["bit", "bit varying"]) {
                l.clone()
            } else {
                t("boolean")
            }
        }
        "AT TIME ZONE" => match l.name.as_str() {
            "timestamp with time zone" => t("timestamp without time zone"),
            "timestamp without time zone" => t("timestamp with time zone"),
            _ => ColumnType::unknown(),
        },
        "->" | "#>" | "<->" | "<#>" | "<=>" => ColumnType::unknown(),
        // What is left compares or tests.
        _ => t("boolean"),
    }
}

fn arithmetic(op: &str, l: &ColumnType, r: &ColumnType) -> ColumnType {
    let stamp = |t: &ColumnType| matches!(t.name.as_str(), "timestamp with time zone" | "timestamp without time zone");
    if rank(&l.name).is_some() && rank(&r.name).is_some() {
        if op == "^" {
            return t(if l.name == "numeric" || r.name == "numeric" { "numeric" } else { "double precision" });
        }
        return wider(l, r).unwrap_or_else(|| t(&l.name));
    }
    match (l.name.as_str(), r.name.as_str(), op) {
        ("date", "date", "-") => t("integer"),
        ("date", "integer" | "smallint", _) => t("date"),
        ("date", "interval", _) => t("timestamp without time zone"),
        ("date", "time without time zone", "+") => t("timestamp without time zone"),
        (_, "interval", "+" | "-") if stamp(l) || l.name == "interval" || l.name.starts_with("time ") => t(&l.name),
        ("interval", _, "+") if stamp(r) => t(&r.name),
        (a, b, "-") if stamp(l) && stamp(r) && !a.is_empty() && !b.is_empty() => t("interval"),
        (_, "date", "-") if stamp(l) => t("interval"),
        ("interval", _, "*" | "/") | (_, "interval", "*") => t("interval"),
        ("jsonb", _, "-") => t("jsonb"),
        ("money", _, _) => t("money"),
        // A bare literal takes the other side's type, dates and intervals aside.
        ("unknown", n, _) if rank(n).is_some() => t(n),
        (n, "unknown", _) if rank(n).is_some() => t(n),
        _ => ColumnType::unknown(),
    }
}

impl Catalog {
    pub(super) fn call_type(&self, c: &Call, args: &[ColumnType]) -> ColumnType {
        if let Some(f) = self.candidates(c).first().and_then(|id| self.functions.get(id)) {
            let ty = f.def.returns.as_ref().map_or_else(|| t("record"), |r| self.resolve_type(r));
            if ty.name.starts_with("any") {
                return args.iter().find(|t| !t.is_unknown()).cloned().unwrap_or_else(ColumnType::unknown);
            }
            return ty;
        }
        let first = || args.first().cloned().unwrap_or_else(ColumnType::unknown);
        let plain = |ty: ColumnType| ColumnType { modifiers: Vec::new(), ..ty };
        match c.name.as_str() {
            "count"
            | "row_number"
            | "rank"
            | "dense_rank"
            | "nextval"
            | "currval"
            | "lastval"
            | "setval"
            | "pg_relation_size"
            | "pg_total_relation_size"
            | "pg_table_size"
            | "pg_database_size"
            | "txid_current"
            | "hashtextextended"
            | "regr_count" => t("bigint"),
            "sum" => match first().name.as_str() {
                "smallint" | "integer" => t("bigint"),
                "bigint" | "numeric" => t("numeric"),
                other => t(other),
            },
            "avg" | "stddev" | "stddev_pop" | "stddev_samp" | "variance" | "var_pop" | "var_samp" => match first().name.as_str() {
                "smallint" | "integer" | "bigint" | "numeric" => t("numeric"),
                "real" | "double precision" => t("double precision"),
                "interval" => t("interval"),
                _ => ColumnType::unknown(),
            },
            // Their arguments' own type without its modifiers: they are functions of text and bpchar.
            "min" | "max" => match first().name.as_str() {
                "character varying" => t("text"),
                _ => plain(first()),
            },
            "coalesce" | "greatest" | "least" => common(args),
            "nullif" | "any_value" | "first_value" | "last_value" | "lag" | "lead" | "nth_value" | "mode" => first(),
            "array_agg" | "array_append" | "array_remove" | "array_cat" => ColumnType { array_dims: 1, ..plain(first()) },
            "array_prepend" => ColumnType { array_dims: 1, ..plain(args.get(1).cloned().unwrap_or_else(ColumnType::unknown)) },
            "unnest" => ColumnType { array_dims: 0, ..first() },
            "abs" | "mod" => plain(first()),
            "round" | "ceil" | "ceiling" | "floor" | "trunc" | "sqrt" | "exp" | "ln" | "power" | "sign" => match first().name.as_str() {
                "numeric" => t("numeric"),
                "unknown" => ColumnType::unknown(),
                _ if c.args.len() == 2 && c.name.as_str() != "power" => t("numeric"),
                _ => t("double precision"),
            },
            "lower" | "upper" if matches!(first().name.as_str(), n if n.ends_with("range")) => ColumnType::unknown(),
            "lower"
            | "upper"
            | "initcap"
            | "concat"
            | "concat_ws"
            | "format"
            | "replace"
            | "regexp_replace"
            | "substr"
            | "substring"
            | "left"
            | "right"
            | "lpad"
            | "rpad"
            | "ltrim"
            | "rtrim"
            | "btrim"
            | "trim"
            | "repeat"
            | "reverse"
            | "split_part"
            | "translate"
            | "md5"
            | "encode"
            | "to_char"
            | "to_hex"
            | "quote_ident"
            | "quote_literal"
            | "string_agg"
            | "array_to_string"
            | "version"
            | "current_setting"
            | "set_config"
            | "pg_get_viewdef"
            | "json_extract_path_text"
            | "jsonb_extract_path_text"
            | "json_typeof"
            | "jsonb_typeof"
            | "jsonb_pretty"
            | "obj_description"
            | "col_description"
            | "format_type"
            | "chr"
            | "unaccent"
            | "crypt"
            | "gen_salt"
            | "pg_size_pretty"
            | "timeofday"
            | "overlay" => t("text"),
            "length" | "char_length" | "character_length" | "octet_length" | "bit_length" | "array_length" | "array_position"
            | "array_upper" | "array_lower" | "array_ndims" | "cardinality" | "strpos" | "position" | "ascii" | "ntile"
            | "json_array_length" | "jsonb_array_length" | "num_nulls" | "num_nonnulls" | "pg_backend_pid" | "width_bucket" => t("integer"),
            "now" | "clock_timestamp" | "statement_timestamp" | "transaction_timestamp" | "to_timestamp" | "make_timestamptz" => {
                t("timestamp with time zone")
            }
            "date_trunc" => match args.get(1).map(|t| t.name.as_str()) {
                Some("timestamp without time zone") => t("timestamp without time zone"),
                Some("interval") => t("interval"),
                Some("timestamp with time zone" | "date") => t("timestamp with time zone"),
                _ => ColumnType::unknown(),
            },
            "date_bin" => args.get(1).cloned().unwrap_or_else(ColumnType::unknown),
            "extract" => t("numeric"),
            "date_part" | "random" | "pi" | "percent_rank" | "cume_dist" | "corr" | "atan" | "sin" | "cos" | "acos" | "radians"
            | "degrees" => t("double precision"),
            "age" | "make_interval" | "justify_interval" | "justify_days" | "justify_hours" => t("interval"),
            "to_date" | "make_date" => t("date"),
            "to_number" => t("numeric"),
            "gen_random_uuid" | "uuid_generate_v4" | "uuid_generate_v1" | "uuidv4" | "uuidv7" | "uuid_generate_v5" => t("uuid"),
            "json_build_object" | "json_build_array" | "json_agg" | "json_object_agg" | "row_to_json" | "to_json" | "array_to_json"
            | "json_extract_path" | "json_strip_nulls" => t("json"),
            "jsonb_build_object"
            | "jsonb_build_array"
            | "jsonb_agg"
            | "jsonb_object_agg"
            | "to_jsonb"
            | "jsonb_set"
            | "jsonb_insert"
            | "jsonb_extract_path"
            | "jsonb_strip_nulls"
            | "jsonb_path_query_first"
            | "jsonb_path_query_array" => t("jsonb"),
            "to_tsvector" | "setweight" | "strip" => t("tsvector"),
            "to_tsquery" | "plainto_tsquery" | "websearch_to_tsquery" | "phraseto_tsquery" => t("tsquery"),
            "ts_rank" | "ts_rank_cd" | "similarity" | "word_similarity" => t("real"),
            "bool_and" | "bool_or" | "every" | "starts_with" | "isempty" | "jsonb_path_exists" | "regexp_like" | "has_table_privilege" => {
                t("boolean")
            }
            "string_to_array" | "regexp_split_to_array" | "regexp_match" | "regexp_matches" => ColumnType { array_dims: 1, ..t("text") },
            "digest" | "hmac" | "decode" | "sha256" | "gen_random_bytes" | "convert_to" => t("bytea"),
            "current_database" | "current_schema" | "current_user" | "session_user" => t("name"),
            "generate_series" => first(),
            "json_array_elements" => t("json"),
            "jsonb_array_elements" => t("jsonb"),
            "json_array_elements_text" | "jsonb_array_elements_text" | "jsonb_object_keys" | "json_object_keys" => t("text"),
            "int4" => t("integer"),
            "int8" => t("bigint"),
            _ => ColumnType::unknown(),
        }
    }
}
