//! Postgres's parse trees as JSON, made comparable.
//!
//! The JSON of libpg_query is taken through its C function: the protobuf way that the crate offers gives up on trees that nest more than
//! a hundred levels deep, and generated migrations do.

use std::ffi::{CStr, CString, c_char, c_int};

use serde_json::{Map, Value};

/// `PgQueryParseResult` of `pg_query.h`.
#[repr(C)]
struct RawResult {
    tree: *mut c_char,
    stderr: *mut c_char,
    error: *mut RawError,
}

/// The beginning of `PgQueryError`.
#[repr(C)]
struct RawError {
    message: *mut c_char,
    funcname: *mut c_char,
    filename: *mut c_char,
    lineno: c_int,
    cursorpos: c_int,
    context: *mut c_char,
}

unsafe extern "C" {
    fn pg_query_parse(input: *const c_char) -> RawResult;
    fn pg_query_free_parse_result(result: RawResult);
}

/// One statement as Postgres reads it.
pub struct Parsed {
    /// First and last byte as `RawStmt` says, blanks and comments before it included.
    pub start: usize,
    pub end: usize,
    /// `CreateStmt` and so on.
    pub kind: String,
    /// `{ kind: fields }`.
    pub tree: Value,
}

/// The statements of a text, or Postgres's words against it.
pub fn parse(sql: &str) -> Result<Vec<Parsed>, String> {
    let input = CString::new(sql).map_err(|_| "a NUL byte".to_string())?;
    // SAFETY: the function reads a C string and returns pointers that stay valid until the result is freed, which happens once, at the end.
    let (json, error) = unsafe {
        let raw = pg_query_parse(input.as_ptr());
        let text = |p: *mut c_char| if p.is_null() { String::new() } else { CStr::from_ptr(p).to_string_lossy().into_owned() };
        let error = (!raw.error.is_null()).then(|| text((*raw.error).message));
        let json = text(raw.tree);
        pg_query_free_parse_result(raw);
        (json, error)
    };
    if let Some(e) = error {
        return Err(e);
    }
    let mut reader = serde_json::Deserializer::from_str(&json);
    reader.disable_recursion_limit();
    let mut all: Value = serde::Deserialize::deserialize(&mut reader).map_err(|e| format!("the tree cannot be read: {e}"))?;
    let Some(Value::Array(list)) = all.get_mut("stmts").map(Value::take) else { return Ok(Vec::new()) };
    let mut out = Vec::new();
    for mut s in list {
        let number = |key: &str| s.get(key).and_then(Value::as_u64).map(|n| n as usize);
        let start = number("stmt_location").unwrap_or(0);
        let end = number("stmt_len").map_or(sql.len(), |n| start + n);
        let tree = s.get_mut("stmt").map(Value::take).unwrap_or_default();
        let kind = tree.as_object().and_then(|o| o.keys().next().cloned()).unwrap_or_default();
        out.push(Parsed { start, end, kind, tree });
    }
    Ok(out)
}

/// `{"Kind": {…}}`: a node with its kind.
pub fn node(v: &Value) -> Option<(&str, &Map<String, Value>)> {
    let o = v.as_object().filter(|o| o.len() == 1)?;
    let (k, inner) = o.iter().next()?;
    (k.starts_with(|c: char| c.is_ascii_uppercase())).then_some((k.as_str(), inner.as_object()?))
}

fn fields_of<'v>(v: &'v mut Value, kind: &str) -> Option<&'v mut Map<String, Value>> {
    let o = v.as_object_mut().filter(|o| o.len() == 1)?;
    o.get_mut(kind)?.as_object_mut()
}

pub fn text_of(v: &Value) -> Option<&str> {
    match node(v)? {
        ("String", f) => Some(f.get("sval").and_then(Value::as_str).unwrap_or("")),
        _ => None,
    }
}

/// Takes off what differs between two spellings of the same statement: places in the text, and spellings that Postgres itself treats alike.
pub fn normalise(v: &mut Value) {
    match v {
        Value::Array(list) => list.iter_mut().for_each(normalise),
        Value::Object(o) => {
            // Places; and of a function's signature the names and OUT arguments, for the types of input arguments tell which one is meant.
            o.retain(|k, _| !is_place(k) && k != "objfuncargs" && k != "jumble_args");
            o.values_mut().for_each(normalise);
            if o.contains_key("rel") {
                preserved(o, "onCommit");
                // How and where CREATE TABLE AS stores its rows.
                for k in ["accessMethod", "options", "tableSpaceName"] {
                    o.remove(k);
                }
            }
            if o.contains_key("typemod") && o.contains_key("names") {
                type_name(o);
            }
            spellings(v);
        }
        _ => {}
    }
}

fn is_place(key: &str) -> bool {
    key == "location"
        || key.ends_with("_location")
        || matches!(key, "list_start" | "list_end" | "stmt_len" | "rexpr_list_start" | "rexpr_list_end")
}

/// Takes off what is meant to be left out, by node and field, and counts what was there.
pub fn leave_out(v: &mut Value, list: &'static [(&'static str, &'static str)], found: &mut Vec<&'static str>) {
    match v {
        Value::Array(items) => items.iter_mut().for_each(|i| leave_out(i, list, found)),
        Value::Object(o) => {
            for (path, _) in list {
                let (kind, field) = path.split_once('.').unwrap_or((path, ""));
                if let Some(f) = o.get_mut(kind).and_then(Value::as_object_mut)
                    && f.remove(field).is_some()
                {
                    found.push(path);
                }
            }
            o.values_mut().for_each(|i| leave_out(i, list, found));
        }
        _ => {}
    }
}

/// `pg_catalog.int4` and `int4` are the same word to us, the length of an array means nothing.
fn type_name(o: &mut Map<String, Value>) {
    let Some(Value::Array(names)) = o.get_mut("names") else { return };
    if names.len() == 2 && text_of(&names[0]) == Some("pg_catalog") {
        names.remove(0);
    }
    if let [one] = names.as_mut_slice()
        && let Some(s) = fields_of(one, "String")
    {
        let same = match s.get("sval").and_then(Value::as_str) {
            Some("serial4") => "serial",
            Some("serial8") => "bigserial",
            Some("serial2") => "smallserial",
            _ => "",
        };
        if !same.is_empty() {
            s.insert("sval".into(), same.into());
        }
    }
    if let Some(Value::Array(bounds)) = o.get_mut("arrayBounds") {
        bounds.iter_mut().for_each(|b| *b = Value::Null);
    }
    // `geometry(Point)` and `geometry("point")`: a modifier that is a word.
}

fn spellings(v: &mut Value) {
    // Lists of options: order means nothing, and the name of each makes a better path.
    if let Value::Object(o) = v {
        for (key, list) in o.iter_mut() {
            if let Value::Array(items) = list
                && !items.is_empty()
                && items.iter().all(|i| node(i).is_some_and(|(k, _)| k == "DefElem"))
            {
                *list = options(std::mem::take(items), key);
            }
        }
    }
    if let Some(f) = fields_of(v, "ColumnDef") {
        column(f);
    }
    if let Some(f) = fields_of(v, "CreateDomainStmt") {
        column(f);
    }
    if let Some(f) = fields_of(v, "Constraint") {
        constraint(f);
    }
    if let Some(f) = fields_of(v, "CreateStmt") {
        table(f);
    }
    if let Some(f) = fields_of(v, "TransactionStmt") {
        transaction(f);
    }
    if let Some(f) = fields_of(v, "VacuumStmt") {
        // Of the options only two decide what is locked and written.
        if let Some(Value::Object(o)) = f.get_mut("options") {
            o.retain(|k, v| matches!(k.as_str(), "full" | "analyze") && !matches!(said(v).as_deref(), Some("false" | "off" | "0")));
            o.values_mut().for_each(|v| *v = Value::Bool(true));
        }
        if f.get("options").is_some_and(|o| o.as_object().is_some_and(Map::is_empty)) {
            f.remove("options");
        }
    }
    for kind in ["IndexElem", "PartitionElem"] {
        if let Some(f) = fields_of(v, kind) {
            collated(f);
        }
    }
    // Of a base type only the name counts.
    if let Some(f) = fields_of(v, "DefineStmt")
        && f.get("kind").and_then(Value::as_str) == Some("OBJECT_TYPE")
        && f.contains_key("definition")
    {
        f.insert("definition".into(), Value::Null);
    }
    if let Some(f) = fields_of(v, "ReindexStmt") {
        // VERBOSE and TABLESPACE aside.
        if let Some(Value::Object(o)) = f.get_mut("params") {
            o.retain(|k, v| k == "concurrently" && !matches!(said(v).as_deref(), Some("false" | "off" | "0")));
            o.values_mut().for_each(|v| *v = Value::Bool(true));
        }
        if f.get("params").is_some_and(|o| o.as_object().is_some_and(Map::is_empty)) {
            f.remove("params");
        }
    }
    if let Some(f) = fields_of(v, "CallStmt")
        && let Some(Value::Array(args)) = f.get_mut("funccall").and_then(|c| c.get_mut("args"))
    {
        // Named arguments are kept by place.
        for a in args {
            if let Some(inner) = fields_of(a, "NamedArgExpr").and_then(|n| n.remove("arg")) {
                *a = inner;
            }
        }
    }
    if let Some(f) = fields_of(v, "MergeStmt")
        && let Some(Value::Array(clauses)) = f.get_mut("mergeWhenClauses")
    {
        clauses.retain(|c| c.pointer("/MergeWhenClause/commandType").and_then(Value::as_str) != Some("CMD_NOTHING"));
    }
    if let Some(f) = fields_of(v, "CreateSchemaStmt") {
        elements(f);
    }
    // An identity column that is filled in spite of OVERRIDING USER VALUE is filled as without it.
    for kind in ["InsertStmt", "MergeWhenClause"] {
        if let Some(f) = fields_of(v, kind)
            && f.get("override").and_then(Value::as_str) == Some("OVERRIDING_USER_VALUE")
        {
            f.insert("override".into(), "OVERRIDING_NOT_SET".into());
        }
    }
    if let Some(f) = fields_of(v, "VariableSetStmt") {
        setting(f);
    }
    if let Some(f) = fields_of(v, "CreateFunctionStmt") {
        function(f);
    }
    if let Some(f) = fields_of(v, "DoStmt") {
        // Without a language it is PL/pgSQL.
        if let Some(Value::Object(args)) = f.get_mut("args") {
            // The code is held against PL/pgSQL's own parser.
            args.remove("as");
            args.entry("language").or_insert_with(|| serde_json::json!({ "arg": { "String": { "sval": "plpgsql" } } }));
        }
    }
    // What nobody need say.
    for (kind, field, value) in [
        ("FunctionParameter", "mode", "FUNC_PARAM_DEFAULT"),
        ("IndexElem", "ordering", "SORTBY_ASC"),
        ("SortBy", "sortby_dir", "SORTBY_ASC"),
    ] {
        if let Some(f) = fields_of(v, kind)
            && f.get(field).and_then(Value::as_str) == Some(value)
        {
            f.insert(field.into(), if field == "mode" { "FUNC_PARAM_IN" } else { "SORTBY_DEFAULT" }.into());
        }
    }
    // A function in FROM sees the items before it with LATERAL and without.
    if let Some(f) = fields_of(v, "RangeFunction") {
        f.remove("lateral");
    }
    // `SET (a) = (SELECT …)` is `SET a = (SELECT …)`.
    if let Some(f) = fields_of(v, "MultiAssignRef")
        && f.get("ncolumns").and_then(Value::as_u64) == Some(1)
        && let Some(source) = f.remove("source")
    {
        *v = source;
    }
}

/// Options as `{ name: value }`; a name that comes twice gets a number.
fn options(items: Vec<Value>, _of: &str) -> Value {
    let mut out = Map::new();
    for mut item in items {
        let Some(mut f) = fields_of(&mut item, "DefElem").map(std::mem::take) else { continue };
        let space = f.remove("defnamespace").and_then(|s| s.as_str().map(|s| format!("{s}."))).unwrap_or_default();
        let name = f.remove("defname").and_then(|n| n.as_str().map(str::to_string)).unwrap_or_default();
        if f.get("defaction").and_then(Value::as_str) == Some("DEFELEM_UNSPEC") {
            f.remove("defaction");
        }
        let mut key = format!("{space}{name}");
        let mut n = 1;
        while out.contains_key(&key) {
            n += 1;
            key = format!("{space}{name}#{n}");
        }
        out.insert(key, if f.is_empty() { Value::Bool(true) } else { Value::Object(f) });
    }
    Value::Object(out)
}

/// The raw tree has `DEFERRABLE` behind a column's constraint as one more constraint. Which of a column's constraints stands first means nothing.
fn column(f: &mut Map<String, Value>) {
    let Some(Value::Array(list)) = f.get_mut("constraints") else { return };
    let mut out: Vec<Value> = Vec::new();
    for c in std::mem::take(list) {
        let kind = node(&c).and_then(|(_, f)| f.get("contype")).and_then(Value::as_str).unwrap_or("").to_string();
        let last = out.last_mut().and_then(|l| fields_of(l, "Constraint"));
        let (key, value) = match kind.as_str() {
            "CONSTR_ATTR_DEFERRABLE" => ("deferrable", true),
            "CONSTR_ATTR_NOT_DEFERRABLE" | "CONSTR_ATTR_IMMEDIATE" | "CONSTR_ATTR_ENFORCED" => continue,
            "CONSTR_ATTR_DEFERRED" => ("initdeferred", true),
            "CONSTR_ATTR_NOT_ENFORCED" => ("not_enforced", true),
            _ => {
                out.push(c);
                continue;
            }
        };
        if let Some(last) = last {
            last.insert(key.into(), value.into());
            if key == "initdeferred" {
                last.insert("deferrable".into(), true.into());
            }
        }
    }
    out.sort_by_cached_key(Value::to_string);
    *list = out;
}

/// `(a COLLATE c)` as a key is `a COLLATE c`, and `(a)` is `a`: Postgres makes the same index of both.
fn collated(f: &mut Map<String, Value>) {
    if let Some(mut clause) = f.get_mut("expr").and_then(|e| fields_of(e, "CollateClause")).map(std::mem::take) {
        f.insert("collation".into(), clause.remove("collname").unwrap_or_default());
        f.insert("expr".into(), clause.remove("arg").unwrap_or_default());
    }
    let Some(arg) = f.get("expr").cloned() else { return };
    let column = match arg.pointer("/ColumnRef/fields").and_then(Value::as_array).map(Vec::as_slice) {
        Some([one]) => text_of(one).map(str::to_string),
        _ => None,
    };
    if let Some(name) = column {
        f.remove("expr");
        f.insert("name".into(), name.into());
    }
}

/// What an option says, as a word.
fn said(option: &Value) -> Option<String> {
    let arg = option.get("arg")?;
    let value = arg.pointer("/String/sval").or_else(|| arg.pointer("/Boolean/boolval"));
    match value {
        Some(Value::String(s)) => Some(s.to_ascii_lowercase()),
        Some(v) => Some(v.to_string()),
        None => arg.get("Integer").map(|i| i.get("ival").map_or_else(|| "0".into(), Value::to_string)),
    }
}

/// PREPARE TRANSACTION ends the transaction for the session; of the modes only READ ONLY decides anything.
fn transaction(f: &mut Map<String, Value>) {
    let kind = match f.get("kind").and_then(Value::as_str) {
        Some("TRANS_STMT_START") => "TRANS_STMT_BEGIN",
        Some("TRANS_STMT_PREPARE") => "TRANS_STMT_COMMIT",
        _ => "",
    };
    if !kind.is_empty() {
        f.insert("kind".into(), kind.into());
        f.remove("gid");
    }
    if let Some(Value::Object(o)) = f.get_mut("options") {
        let only = |v: &Value| v.pointer("/arg/A_Const/ival/ival").and_then(Value::as_i64) == Some(1);
        o.retain(|k, v| k == "transaction_read_only" && only(v));
    }
    if f.get("options").is_some_and(|o| o.as_object().is_some_and(Map::is_empty)) {
        f.remove("options");
    }
}

/// What CREATE SCHEMA makes lies in the schema, said or not.
fn elements(f: &mut Map<String, Value>) {
    let schema = f.get("schemaname").cloned();
    let Some(Value::Array(list)) = f.get_mut("schemaElts") else { return };
    for e in list {
        for (kind, field) in [
            ("CreateStmt", "relation"),
            ("ViewStmt", "view"),
            ("CreateSeqStmt", "sequence"),
            ("IndexStmt", "relation"),
            ("CreateTrigStmt", "relation"),
        ] {
            if let Some(name) = fields_of(e, kind).and_then(|f| f.get_mut(field)).and_then(Value::as_object_mut)
                && name.get("schemaname") == schema.as_ref()
            {
                name.remove("schemaname");
            }
        }
    }
}

/// Attributes that are so without a word.
fn function(f: &mut Map<String, Value>) {
    // A body that is SQL says the language.
    if f.contains_key("sql_body")
        && let Some(o) = f.entry("options").or_insert_with(|| Value::Object(Map::new())).as_object_mut()
    {
        o.entry("language").or_insert_with(|| serde_json::json!({ "arg": { "String": { "sval": "sql" } } }));
    }
    let Some(Value::Object(o)) = f.get_mut("options") else { return };
    o.retain(|k, v| {
        let said = v.pointer("/arg/Boolean").map(|b| b.get("boolval").and_then(Value::as_bool) == Some(true));
        match k.as_str() {
            "volatility" => v.pointer("/arg/String/sval").and_then(Value::as_str) != Some("volatile"),
            "security" | "strict" | "leakproof" => said != Some(false),
            _ => true,
        }
    });
}

fn constraint(f: &mut Map<String, Value>) {
    // `INITIALLY DEFERRED` says DEFERRABLE by itself.
    if f.get("initdeferred").and_then(Value::as_bool) == Some(true) {
        f.insert("deferrable".into(), true.into());
    }
    // Columns that the index of an exclusion constraint carries along are not kept.
    if f.get("contype").and_then(Value::as_str) == Some("CONSTR_EXCLUSION") {
        f.remove("including");
    }
}

/// ON COMMIT PRESERVE ROWS need not be said.
fn preserved(f: &mut Map<String, Value>, key: &str) {
    if f.get(key).and_then(Value::as_str) == Some("ONCOMMIT_PRESERVE_ROWS") {
        f.insert(key.into(), "ONCOMMIT_NOOP".into());
    }
}

/// Columns, constraints and LIKE stand in lists of their own with us.
fn table(f: &mut Map<String, Value>) {
    preserved(f, "oncommit");
    let Some(Value::Array(list)) = f.get_mut("tableElts") else { return };
    list.sort_by_key(|e| match node(e) {
        Some(("ColumnDef", _)) => 0,
        Some(("TableLikeClause", _)) => 1,
        _ => 2,
    });
}

/// `SET x TO DEFAULT` is `RESET x`; numbers and words as values are texts to us.
fn setting(f: &mut Map<String, Value>) {
    if f.get("kind").and_then(Value::as_str) == Some("VAR_SET_DEFAULT") {
        f.insert("kind".into(), "VAR_RESET".into());
    }
    if let Some(Value::Array(args)) = f.get_mut("args") {
        for a in args.iter_mut() {
            let Some(("A_Const", c)) = node(a) else { continue };
            let text = ["sval", "ival", "fval"].iter().find_map(|k| {
                let inner = c.get(*k)?.get(k);
                Some(match inner {
                    Some(Value::String(s)) => s.clone(),
                    Some(n) => n.to_string(),
                    None if *k == "ival" => "0".to_string(),
                    None => String::new(),
                })
            });
            if let Some(t) = text {
                *a = Value::String(t);
            }
        }
        let role = f.get("name").and_then(Value::as_str) == Some("role");
        if role && f.get("args").and_then(|a| a.get(0)).and_then(Value::as_str) == Some("none") {
            f.insert("kind".into(), "VAR_RESET".into());
            f.remove("args");
        }
    }
}

/// Where two trees part.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The innermost node's kind and the fields below it: `ColumnDef.typeName.names`.
    pub path: String,
    pub postgres: String,
    pub ours: String,
}

/// All places where the trees part, outermost first.
pub fn differences(postgres: &Value, ours: &Value) -> Vec<Difference> {
    let mut out = Vec::new();
    compare(postgres, ours, "", &mut out);
    out
}

fn compare(a: &Value, b: &Value, path: &str, out: &mut Vec<Difference>) {
    if a == b {
        return;
    }
    let part = |path: String, a: &Value, b: &Value, out: &mut Vec<Difference>| {
        out.push(Difference { path, postgres: short(a), ours: short(b) });
    };
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            if let (Some((ka, fa)), Some((kb, fb))) = (node(a), node(b)) {
                if ka != kb {
                    part(format!("{path}<{ka}>"), a, b, out);
                } else {
                    // A value says nothing about where it stands.
                    let value = matches!(ka, "String" | "Integer" | "Float" | "Boolean" | "BitString" | "A_Const" | "List");
                    compare_fields(fa, fb, if value { path } else { ka }, out);
                }
                return;
            }
            compare_fields(x, y, path, out);
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            for (i, j) in x.iter().zip(y) {
                compare(i, j, path, out);
            }
        }
        _ => part(path.to_string(), a, b, out),
    }
}

fn compare_fields(a: &Map<String, Value>, b: &Map<String, Value>, path: &str, out: &mut Vec<Difference>) {
    let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    for k in keys {
        let below = if path.is_empty() { k.to_string() } else { format!("{path}.{k}") };
        compare(a.get(k).unwrap_or(&Value::Null), b.get(k).unwrap_or(&Value::Null), &below, out);
    }
}

fn short(v: &Value) -> String {
    let s = if v.is_null() { "nothing".to_string() } else { v.to_string() };
    if s.chars().count() <= 300 { s } else { s.chars().take(300).chain("…".chars()).collect() }
}

/// For queries that are put together from their parts: a run of set operations is a list of its operands, for `op::Query` keeps no order of them.
pub fn pieces(v: &mut Value) {
    match v {
        Value::Array(list) => list.iter_mut().for_each(pieces),
        Value::Object(o) => {
            named_join(o);
            if let Some(f) = o.get_mut("RangeFunction").and_then(Value::as_object_mut) {
                columns_of_function(f);
            }
            if let Some(sample) = o.remove("RangeTableSample") {
                let relation = sample.get("relation").and_then(Value::as_object).cloned().unwrap_or_default();
                o.extend(relation);
            }
            if o.contains_key("larg") && o.contains_key("rarg") && !o.contains_key("jointype") {
                let mut leaves = Vec::new();
                for side in ["larg", "rarg"] {
                    if let Some(s) = o.remove(side) {
                        operands(s, &mut leaves);
                    }
                }
                o.insert("operands".into(), Value::Array(leaves));
                for k in ["op", "all"] {
                    o.remove(k);
                }
            }
            o.values_mut().for_each(pieces);
        }
        _ => {}
    }
}

/// `(a JOIN b …) AS j` is `(SELECT * FROM a JOIN b …) AS j`.
fn named_join(o: &mut Map<String, Value>) {
    let Some(alias) = o.get_mut("JoinExpr").and_then(Value::as_object_mut).and_then(|j| j.remove("alias")) else { return };
    let Some(join) = o.remove("JoinExpr") else { return };
    let star = serde_json::json!([{ "ResTarget": { "val": { "ColumnRef": { "fields": [{ "A_Star": {} }] } } } }]);
    let select = serde_json::json!({ "SelectStmt": {
        "targetList": star, "fromClause": [{ "JoinExpr": join }], "limitOption": "LIMIT_OPTION_DEFAULT", "op": "SETOP_NONE"
    } });
    o.insert("RangeSubselect".into(), serde_json::json!({ "subquery": select, "alias": alias }));
}

/// `f() AS t(a int)`: the names of the columns.
fn columns_of_function(f: &mut Map<String, Value>) {
    let Some(Value::Array(list)) = f.remove("coldeflist") else { return };
    let names: Vec<Value> =
        list.iter().filter_map(|c| c.pointer("/ColumnDef/colname")).map(|n| serde_json::json!({ "String": { "sval": n } })).collect();
    if let Some(alias) = f.get_mut("alias").and_then(Value::as_object_mut) {
        alias.insert("colnames".into(), Value::Array(names));
    }
}

fn operands(mut v: Value, out: &mut Vec<Value>) {
    let plain = v
        .as_object()
        .is_some_and(|o| o.contains_key("larg") && o.keys().all(|k| matches!(k.as_str(), "larg" | "rarg" | "op" | "all" | "limitOption")));
    if !plain {
        out.push(v);
        return;
    }
    for side in ["larg", "rarg"] {
        if let Some(s) = v.as_object_mut().and_then(|o| o.remove(side)) {
            operands(s, out);
        }
    }
}
