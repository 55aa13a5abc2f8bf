//! Queries of release N-1, read from what people have: SQL files, sqlx's offline files, exports of pg_stat_statements.

use serde_json::Value;

use crate::catalog::Catalog;
use crate::compat::{KnownQuery, unresolved};
use crate::op::PgVersion;
use crate::source::{SourceFile, Span};

/// Everything that is known about what release N-1 runs.
#[derive(Debug, Clone, Default)]
pub struct Workload {
    pub queries: Vec<KnownQuery>,
    /// These are all of its queries.
    pub complete: bool,
    /// Role that runs them; the owner of the tables unless given.
    pub role: Option<String>,
}

/// A query that cannot be judged, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    pub name: String,
    pub reason: String,
}

impl Workload {
    /// Queries that do not resolve on any of the schemas: nothing may be concluded from them.
    pub fn unresolved(&self, schemas: &[&Catalog], pg: PgVersion) -> Vec<Unresolved> {
        let why = |q: &KnownQuery| {
            let mut reason = None;
            for cat in schemas {
                reason = Some(unresolved(q, cat, self.role.as_deref(), pg)?);
            }
            reason.map(|reason| Unresolved { name: q.name.clone(), reason })
        };
        self.queries.iter().filter_map(why).collect()
    }
}

/// The queries of one file, by its name. `Err`: line and what is wrong there.
pub fn read(path: &str, text: &str) -> Result<Vec<KnownQuery>, String> {
    let text = text.trim_start_matches('\u{feff}');
    // SQL begins with neither: a file without an ending, or with a wrong one, is told by its first character.
    if text.trim_start().starts_with(['{', '[']) {
        return json(path, text);
    }
    match path.rsplit('.').next().map(str::to_ascii_lowercase).as_deref() {
        Some("json") => json(path, text),
        Some("csv" | "tsv") => csv(path, text),
        _ => Ok(sql(path, text)),
    }
}

fn query(name: String, sql: &str) -> KnownQuery {
    let parsed = crate::lower::lower_text(sql).into_iter().flat_map(|s| s.ops).collect();
    KnownQuery { name, sql: sql.to_string(), parsed }
}

/// One query a statement, called after file and line. sqlc's `-- name: X` is added to it, and its `@x` and `sqlc.arg(x)` are parameters.
fn sql(path: &str, text: &str) -> Vec<KnownQuery> {
    let source = SourceFile::new(path, text);
    let markers: Vec<(usize, &str)> = text
        .lines()
        .enumerate()
        .filter_map(|(i, l)| Some((i + 1, l.trim().strip_prefix("--")?.trim_start().strip_prefix("name:")?.split_whitespace().next()?)))
        .collect();
    let mut out = Vec::new();
    let mut last = 0;
    for slice in crate::sql::split::split(&source, &[Span::new(0, text.len())]) {
        let span = slice.span();
        if slice.tokens.is_empty() {
            continue;
        }
        let line = source.position(span.start).line;
        let marker = markers.iter().rev().find(|(at, _)| *at < line && *at > last);
        last = source.position(span.end).line;
        let words = source.slice(span);
        let words = if markers.is_empty() { words.to_string() } else { sqlc_parameters(words) };
        let name = match marker {
            Some((_, name)) => format!("{path}:{line} ({name})"),
            None => format!("{path}:{line}"),
        };
        out.push(query(name, &words));
    }
    out
}

fn sqlc_parameters(sql: &str) -> String {
    use std::sync::LazyLock;
    static PATTERN: LazyLock<Option<regex::Regex>> =
        LazyLock::new(|| regex::Regex::new(r"sqlc\.n?arg\(\s*'?\w+'?\s*\)|(^|[^\w@<>=!~|&*/+-])@(\w+)").ok());
    match &*PATTERN {
        Some(p) => p.replace_all(sql, "${1}$$1").into_owned(),
        None => sql.to_string(),
    }
}

/// sqlx's `query-….json`, an object from name to SQL, or rows with a member `query`.
fn json(path: &str, text: &str) -> Result<Vec<KnownQuery>, String> {
    let value: Value = serde_json::from_str(text).map_err(|e| format!("{}: {e}", e.line()))?;
    let expected = "1: expected sqlx's offline data, an object from name to SQL, or a list of objects with `query`";
    match value {
        Value::Object(o) if o.get("query").is_some_and(Value::is_string) && (o.contains_key("db_name") || o.contains_key("describe")) => {
            if o.get("db_name").and_then(Value::as_str).is_some_and(|n| n != "PostgreSQL") {
                return Ok(Vec::new());
            }
            Ok(o.get("query").and_then(Value::as_str).map(|sql| query(path.to_string(), sql)).into_iter().collect())
        }
        Value::Object(o) => {
            o.into_iter().map(|(name, sql)| sql.as_str().map(|s| query(name, s)).ok_or_else(|| expected.to_string())).collect()
        }
        Value::Array(rows) => rows
            .iter()
            .enumerate()
            .map(|(i, r)| {
                let sql = r.get("query").and_then(Value::as_str).ok_or_else(|| expected.to_string())?;
                let id = r.get("queryid").map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_string));
                Ok(query(row_name(path, id.as_deref(), i + 1), sql))
            })
            .collect(),
        _ => Err(expected.to_string()),
    }
}

/// A table with a column `query`, as `COPY (SELECT * FROM pg_stat_statements) TO STDOUT CSV HEADER` writes it.
fn csv(path: &str, text: &str) -> Result<Vec<KnownQuery>, String> {
    let separator = if path.to_ascii_lowercase().ends_with(".tsv") { '\t' } else { ',' };
    let rows = records(text, separator)?;
    let Some((header, rows)) = rows.split_first() else { return Ok(Vec::new()) };
    let column = |name: &str| header.iter().position(|h| h.trim().eq_ignore_ascii_case(name));
    let at = column("query").ok_or_else(|| "1: no column is called `query`; export with a header line".to_string())?;
    let id = column("queryid");
    let mut out = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        if let Some(sql) = row.get(at).filter(|s| !s.trim().is_empty()) {
            out.push(query(row_name(path, id.and_then(|c| row.get(c)).map(String::as_str), i + 1), sql));
        }
    }
    Ok(out)
}

fn row_name(path: &str, id: Option<&str>, row: usize) -> String {
    match id.filter(|i| !i.is_empty() && *i != "null") {
        Some(id) => format!("{path} queryid {id}"),
        None => format!("{path} row {row}"),
    }
}

/// Fields in quotes may hold separators, line ends and doubled quotes.
fn records(text: &str, separator: char) -> Result<Vec<Vec<String>>, String> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut chars = text.chars().peekable();
    let (mut line, mut any) = (1, false);
    while let Some(c) = chars.next() {
        any = true;
        match c {
            '"' if field.is_empty() => {
                let opened = line;
                loop {
                    match chars.next() {
                        Some('"') if chars.peek() == Some(&'"') => {
                            chars.next();
                            field.push('"');
                        }
                        Some('"') => break,
                        Some(c) => {
                            line += usize::from(c == '\n');
                            field.push(c);
                        }
                        None => return Err(format!("{opened}: a quoted field is not closed")),
                    }
                }
            }
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' => {
                line += 1;
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
                any = false;
            }
            c if c == separator => row.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    if any {
        row.push(field);
        rows.push(row);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(q: &[KnownQuery]) -> Vec<&str> {
        q.iter().map(|q| q.name.as_str()).collect()
    }

    #[test]
    fn every_kind_of_file() {
        let q =
            read("q.sql", "-- name: GetOrder :one\nSELECT a FROM t WHERE id = @id AND b = sqlc.narg('b');\n\nSELECT 2;").expect("reads");
        assert_eq!(names(&q), ["q.sql:2 (GetOrder)", "q.sql:4"]);
        assert_eq!(q[0].sql, "SELECT a FROM t WHERE id = $1 AND b = $1");
        // Without sqlc's marks an `@` is an operator.
        assert_eq!(read("q.sql", "SELECT @ -5").expect("reads")[0].sql, "SELECT @ -5");
        let sqlx = r#"{"db_name": "PostgreSQL", "query": "SELECT 1", "describe": {}, "hash": "x"}"#;
        assert_eq!(names(&read(".sqlx/query-x.json", sqlx).expect("reads")), [".sqlx/query-x.json"]);
        assert!(read(".sqlx/query-x.json", &sqlx.replace("PostgreSQL", "MySQL")).expect("reads").is_empty());
        assert_eq!(names(&read("w.json", r#"{"orders": "SELECT 1"}"#).expect("reads")), ["orders"]);
        let rows = read("s.json", r#"[{"queryid": -12, "query": "SELECT $1"}, {"query": "SELECT 1"}]"#).expect("reads");
        assert_eq!(names(&rows), ["s.json queryid -12", "s.json row 2"]);
        let rows = read("s.csv", "queryid,query,calls\r\n7,\"SELECT \"\"a\"\",\nb FROM t\",3\r\n8,SELECT 1,2").expect("reads");
        assert_eq!((names(&rows), rows[0].sql.as_str()), (vec!["s.csv queryid 7", "s.csv queryid 8"], "SELECT \"a\",\nb FROM t"));
    }

    #[test]
    fn broken_files_are_said_with_their_line() {
        assert!(read("a.json", "{\n x").expect_err("no JSON").starts_with("2: "));
        assert_eq!(read("a.csv", "id\n1").expect_err("no column"), "1: no column is called `query`; export with a header line");
        assert_eq!(read("a.csv", "query\n\"SELECT 1").expect_err("open"), "2: a quoted field is not closed");
        assert!(read("a.json", "[1]").is_err() && read("a.json", "{\"a\": 1}").is_err());
    }

    #[test]
    fn what_does_not_resolve_is_named() {
        let mut catalog = Catalog::new(PgVersion(15));
        catalog.complete = true;
        for s in crate::lower::lower_text("CREATE TABLE t (a int);") {
            catalog.apply_statement(&s);
        }
        let queries = read("w.json", r#"{"good": "SELECT a FROM t", "gone": "SELECT b FROM t", "bad": "SELEC 1", "set": "SET x = 1"}"#);
        let w = Workload { queries: queries.expect("reads"), ..Workload::default() };
        let bad = w.unresolved(&[&catalog], PgVersion(15));
        assert_eq!(bad.iter().map(|u| u.name.as_str()).collect::<Vec<_>>(), ["bad", "gone"]);
        assert!(bad[1].reason.contains("42703"), "{}", bad[1].reason);
    }
}
