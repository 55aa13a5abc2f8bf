//! Many rows quickly: those that the server took are copied within the server, and what has to be unique is made different.

use std::collections::BTreeSet;

use crate::quote::{ident, literal};

use super::seed::{Column, Table};
use super::session::{Session, SqlError};
use super::values::Ty;

/// Rows of one INSERT.
const PART: usize = 100_000;

/// Rows that are copied, each many times.
const SAMPLE: usize = 500;

/// Numbers of copies begin beyond those of rows that were made one by one.
const FIRST: usize = 1_000_000;

/// Copies the rows of a table until there are `rows`, and says how many there are. What the server refuses is not tried again.
pub(super) fn multiply(session: &mut Session, table: &Table, existing: usize, rows: usize) -> Result<usize, SqlError> {
    let Some(changed) = changed(session, table)? else { return Ok(existing) };
    let columns: Vec<&Column> = table.columns.iter().filter(|c| !c.fixed && !c.serial).collect();
    let values: Option<Vec<String>> = columns
        .iter()
        .map(|c| match changed.contains(&c.name) {
            true => different(&c.ty).map(|new| format!("CASE WHEN s.{0} IS NOT NULL THEN {new} END", ident(&c.name))),
            false => Some(format!("s.{}", ident(&c.name))),
        })
        .collect();
    let Some(values) = values.filter(|v| !v.is_empty()) else { return Ok(existing) };
    let names = columns.iter().map(|c| ident(&c.name)).collect::<Vec<_>>().join(", ");
    let (on, values, sample) = (table.name.sql(), values.join(", "), existing.min(SAMPLE));
    let mut there = existing;
    while there < rows {
        let more = PART.min(rows - there);
        let first = FIRST + there;
        // The copied rows are materialised: an INSERT must not meet its own.
        let sql = format!(
            "WITH s AS MATERIALIZED (SELECT {names}, pg_catalog.row_number() OVER () - 1 AS airlock_row FROM (SELECT {names} FROM {on} LIMIT {sample}) t) \
             INSERT INTO {on} ({names}) SELECT {values} FROM pg_catalog.generate_series({first}, {last}) g(n) JOIN s ON s.airlock_row = g.n % {sample}",
            last = first + more - 1,
        );
        match session.run(&sql) {
            // A trigger or a rule may leave rows out.
            Ok(0) => break,
            Ok(n) => there += n as usize,
            Err(e) if e.is_connection() => return Err(e),
            Err(_) => break,
        }
    }
    Ok(there)
}

/// One column of each unique index, so that no two copies have the same key; `None`: there is none that may be another one.
fn changed(session: &mut Session, table: &Table) -> Result<Option<BTreeSet<String>>, SqlError> {
    // The columns of expressions and predicates stand among the dependencies of the index.
    let rows = session.rows(&format!(
        "SELECT i.indexrelid, a.attname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 \
         WHERE n.nspname = {} AND c.relname = {} AND (i.indisunique OR i.indisexclusion) AND (a.attnum = ANY (i.indkey) OR EXISTS \
         (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = i.indexrelid AND d.refobjid = c.oid AND d.refobjsubid = a.attnum)) ORDER BY 1, a.attnum",
        literal(&table.name.schema),
        literal(&table.name.name)
    ))?;
    let mut out = BTreeSet::new();
    for key in rows.chunk_by(|a, b| a.first() == b.first()) {
        let names = key.iter().filter_map(|r| r.get(1)?.as_deref());
        let columns: Vec<&Column> = names.filter_map(|n| table.columns.iter().find(|c| c.name == n)).collect();
        // A sequence makes it different by itself.
        if columns.iter().any(|c| c.serial || c.fixed) {
            continue;
        }
        let refers = |c: &&&Column| table.foreign_keys.iter().any(|f| f.columns.contains(&c.name));
        let Some(one) = columns.iter().filter(|c| !refers(c)).find(|c| different(&c.ty).is_some()) else { return Ok(None) };
        out.insert(one.name.clone());
    }
    Ok(Some(out))
}

/// A value that depends on the number `g.n` only, and is another one for each; `None`: the type has not so many, or nobody knows how.
fn different(ty: &Ty) -> Option<String> {
    let fits = |digits: usize| ty.length().is_none_or(|l| l >= digits);
    let value = match ty.base.as_str() {
        "integer" | "bigint" | "real" | "double precision" => "g.n".to_string(),
        "numeric" if ty.whole_digits().is_none_or(|d| d >= 8) => "g.n".to_string(),
        "uuid" => "pg_catalog.md5(g.n::text)::uuid".to_string(),
        "date" => "'2000-01-01'::date + g.n".to_string(),
        "timestamp without time zone" | "timestamp with time zone" => "'2000-01-01'::timestamptz + g.n * '1 second'::interval".to_string(),
        "bytea" => "pg_catalog.decode(pg_catalog.md5(g.n::text), 'hex')".to_string(),
        "inet" => "'10.0.0.0'::inet + g.n".to_string(),
        "jsonb" => "pg_catalog.jsonb_build_object('n', g.n)".to_string(),
        _ if ty.is_text() && fits(8) => "g.n::text".to_string(),
        _ => return None,
    };
    (ty.element.is_none() && ty.range.is_none() && ty.labels.is_empty() && ty.attributes.is_empty())
        .then(|| format!("({value})::{}", ty.sql))
}
