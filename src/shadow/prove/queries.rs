//! The user's own queries of release N-1, run at every boundary.

use crate::catalog::{Catalog, ColumnType};
use crate::compat::{KnownQuery, boundary_values};
use crate::quote::literal;

use super::super::error::ShadowError;
use super::super::session::{Session, SqlError};
use super::report::Counterexample;

/// Queries that run on the schema before the migration, with arguments that it takes.
#[derive(Default)]
pub struct Queries {
    ready: Vec<Ready>,
    /// Name and reason of those that do not.
    pub refused: Vec<(String, String)>,
}

struct Ready {
    name: String,
    sql: String,
    /// `None`: it cannot be prepared, and is sent as it is.
    execute: Option<String>,
}

impl Queries {
    pub fn learn(workload: &[KnownQuery], before: &Catalog, session: &mut Session) -> Result<Queries, ShadowError> {
        let mut out = Queries::default();
        for q in workload {
            match arguments(session, before, &q.sql) {
                Ok(execute) => out.ready.push(Ready { name: q.name.clone(), sql: q.sql.clone(), execute }),
                Err(e) if e.is_connection() => return Err(ShadowError::sql(format!("run {}", q.name))(e)),
                Err(e) => out.refused.push((q.name.clone(), e.to_string())),
            }
        }
        Ok(out)
    }

    pub fn len(&self) -> usize {
        self.ready.len()
    }

    /// Runs each and takes it back; what fails.
    pub fn run(&self, session: &mut Session) -> Vec<Counterexample> {
        let run = |session: &mut Session, q: &Ready| -> Result<(), SqlError> {
            session.run("BEGIN")?;
            match &q.execute {
                Some(e) => {
                    session.run(&format!("PREPARE airlock_query AS {}", q.sql))?;
                    session.run(e)?;
                }
                None => {
                    session.run(&q.sql)?;
                }
            }
            Ok(())
        };
        let mut problems = Vec::new();
        for q in &self.ready {
            if let Err(e) = run(session, q) {
                problems.push(Counterexample::refused(format!("query {}", q.name), &e, &q.sql));
            }
            clear(session);
        }
        problems
    }
}

fn clear(session: &mut Session) {
    let _ = session.run("ROLLBACK");
    let _ = session.run("DEALLOCATE ALL");
}

/// The EXECUTE with which the query runs: ordinary values of the types of its parameters first, then NULLs.
fn arguments(session: &mut Session, before: &Catalog, sql: &str) -> Result<Option<String>, SqlError> {
    session.run("BEGIN")?;
    let prepared = session.run(&format!("PREPARE airlock_query AS {sql}"));
    if let Err(e) = prepared {
        // 42601: only what can be planned can be prepared (COPY, TRUNCATE, CALL before 14).
        clear(session);
        if !e.is("42601") {
            return Err(e);
        }
        session.run("BEGIN")?;
        let alone = session.run(sql);
        clear(session);
        return alone.map(|_| None);
    }
    let types = session.rows(
        "SELECT t::text FROM pg_catalog.pg_prepared_statements p, pg_catalog.unnest(p.parameter_types) WITH ORDINALITY u(t, n) \
         WHERE p.name = 'airlock_query' ORDER BY u.n",
    )?;
    let types: Vec<String> = types.into_iter().filter_map(|r| r.into_iter().next().flatten()).collect();
    let values = |pick: usize| -> Vec<String> {
        types
            .iter()
            .map(|t| {
                let all = boundary_values(before, &column_type(before, t));
                all.get(pick.min(all.len().saturating_sub(1))).map_or_else(|| "NULL".to_string(), |v| literal(v))
            })
            .collect()
    };
    let mut last = None;
    for list in [values(0), values(1), vec!["NULL".to_string(); types.len()]] {
        let arguments = if list.is_empty() { String::new() } else { format!("({})", list.join(", ")) };
        let execute = format!("EXECUTE airlock_query{arguments}");
        let _ = session.run("SAVEPOINT airlock_try");
        match session.run(&execute) {
            Ok(_) => {
                clear(session);
                return Ok(Some(execute));
            }
            Err(e) => last = Some(e),
        }
        let _ = session.run("ROLLBACK TO SAVEPOINT airlock_try");
    }
    clear(session);
    match last {
        Some(e) => Err(e),
        None => Ok(None),
    }
}

fn column_type(cat: &Catalog, text: &str) -> ColumnType {
    let (name, dims) = text.strip_suffix("[]").map_or((text, 0), |n| (n, 1));
    let (schema, bare) = name.split_once('.').unwrap_or(("public", name));
    let id = cat.type_names.get(&(schema, bare)).copied();
    ColumnType { name: name.to_string(), id, modifiers: Vec::new(), array_dims: dims }
}
