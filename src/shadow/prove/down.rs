//! Up and down of a migration: the schema that comes back, and the rows that do not.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::catalog::{Catalog, RelName};
use crate::effects::{Sent, predict};
use crate::history::Script;
use crate::op::LockMode;
use crate::quote::ident;

use super::super::error::ShadowError;
use super::super::load::Runner;
use super::super::seed::{Profile, SeedOptions, seed};
use super::super::session::Session;
use super::super::snapshot::Snapshot;
use super::super::start::{Database, Shadow};

/// What a down migration gives back.
#[derive(Debug, Clone, Default, Serialize)]
pub struct WayBack {
    pub schema_version: u32,
    pub postgres: String,
    /// Why up or down cannot be looked at, or is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// The schema before and after, line by line: `-` is missing, `+` is left over.
    pub schema: Vec<String>,
    /// Tables and columns whose rows or values are gone or changed.
    pub lost: Vec<Lost>,
    /// Rows that were compared.
    pub rows: usize,
}

#[derive(Debug, Clone, Serialize)]
pub struct Lost {
    pub what: String,
    /// A value or a row that is gone.
    pub example: String,
}

impl WayBack {
    /// The schema is the one of before; rows are another question.
    pub fn restores_schema(&self) -> bool {
        self.refused.is_none() && self.schema.is_empty()
    }
}

/// Runs up and down behind the history, with rows in the tables that the migration changes.
pub fn down(
    shadow: &Shadow,
    before: &[Script],
    up: &Script,
    down: &Script,
    before_it: &Catalog,
    options: &SeedOptions,
) -> Result<WayBack, ShadowError> {
    let mut out = WayBack { schema_version: 1, postgres: shadow.version().to_string(), ..WayBack::default() };
    let (base, failures) = shadow.prepared(before)?;
    if let Some(f) = failures.first() {
        out.refused = Some(format!("the schema before the migration does not load: {f}"));
        return Ok(out);
    }
    let tables = changed(before_it, up);
    let mut refused = None;
    // Daring rows first; some migrations take only tame ones, or none.
    for profile in [Some(Profile::Edges), Some(Profile::Careful), None] {
        let db = shadow.copy(&base)?;
        if let Some(profile) = profile {
            seed(&mut db.connect()?, &tables, &SeedOptions { profile, ..options.clone() })?;
        }
        // Triggers of the application may have made tables for the rows.
        let first = Snapshot::take(&db)?;
        let rows = read(&mut db.connect()?, before_it, &tables);
        if let Some(f) = Runner::new(&db)?.script(up)?.first() {
            refused = Some(format!("the migration is refused: {f}"));
            continue;
        }
        if let Some(f) = Runner::new(&db)?.script(down)?.first() {
            out.refused = Some(format!("the down migration is refused: {f}"));
        }
        out.schema = first.changes(&Snapshot::take(&db)?).iter().map(|c| c.to_string()).collect();
        out.rows = rows.iter().map(|(_, r)| r.len()).max().unwrap_or(0);
        out.lost = lost(&db, before_it, &tables, &rows)?;
        shadow.still_well()?;
        return Ok(out);
    }
    out.refused = refused;
    Ok(out)
}

/// Tables of before that the migration locks for writing or changing.
fn changed(before: &Catalog, up: &Script) -> BTreeSet<RelName> {
    let mut catalog = before.clone();
    let mut out = BTreeSet::new();
    for s in crate::lower::lower(&up.source, &up.parts) {
        let sent = Sent { pg: before.pg, in_transaction: up.execution.transaction };
        let locks = predict(&s, &catalog, sent).locks;
        let strong = locks.into_iter().filter(|(_, m)| *m >= LockMode::RowExclusive).map(|(r, _)| r);
        out.extend(strong.filter(|r| before.relation_named(&r.schema, &r.name).is_some_and(|r| r.kind.is_table())));
        catalog.apply_statement(&s);
    }
    out
}

type Values = Vec<(String, Vec<Option<String>>)>;

/// The values of each column, sorted; by `schema.table.column`.
fn read(session: &mut Session, catalog: &Catalog, tables: &BTreeSet<RelName>) -> Values {
    let mut out = Vec::new();
    for t in tables {
        let Some(rel) = catalog.relation_named(&t.schema, &t.name) else { continue };
        for c in &rel.columns {
            let sql = format!("SELECT {0}::text FROM {1} ORDER BY 1", ident(&c.name), t.sql());
            if let Ok(rows) = session.rows(&sql) {
                out.push((format!("{t}.{}", c.name), rows.into_iter().map(|r| r.into_iter().next().flatten()).collect()));
            }
        }
    }
    out
}

fn lost(db: &Database, catalog: &Catalog, tables: &BTreeSet<RelName>, before: &Values) -> Result<Vec<Lost>, ShadowError> {
    let now = read(&mut db.connect()?, catalog, tables);
    let says = |v: &Option<String>| v.clone().unwrap_or_else(|| "NULL".into());
    let mut out = Vec::new();
    for (column, values) in before {
        let after = now.iter().find(|(c, _)| c == column).map(|(_, v)| v);
        let Some(after) = after else {
            // That the column itself does not come back is told by the schema.
            if let Some(v) = values.first() {
                out.push(Lost { what: format!("{column}: the column does not come back, {} values", values.len()), example: says(v) });
            }
            continue;
        };
        if after == values {
            continue;
        }
        let mut left = after.clone();
        let gone: Vec<&Option<String>> = values
            .iter()
            .filter(|v| match left.iter().position(|l| l == *v) {
                Some(i) => {
                    left.swap_remove(i);
                    false
                }
                None => true,
            })
            .collect();
        if let Some(v) = gone.first() {
            let instead = left.first().map(|l| format!(", `{}` instead", says(l))).unwrap_or_default();
            out.push(Lost {
                what: format!("{column}: {} of {} values", gone.len(), values.len()),
                example: format!("`{}`{instead}", says(v)),
            });
        }
    }
    Ok(out)
}
