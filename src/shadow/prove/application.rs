//! The application's part of a plan, played: each row that it has to see to gets a value that the server takes, or goes.

use std::collections::BTreeMap;

use fastrand::Rng;

use crate::catalog::{Catalog, ConKind, RelName, Relation};
use crate::plan::{Actor, Boundary, PhaseKind, SeesTo, Step, Writes};
use crate::quote::{ident, literal};

use super::super::seed::{self, Table};
use super::super::session::{Session, SqlError};
use super::super::values::Want;
use super::busy::phase_end;
use super::release::Player;
use super::{Prover, Refused, forward};

/// Beyond what rows and the releases draw, within a smallint.
const FIRST: u64 = 30_000;

/// What the values of a column come from.
struct Values {
    on: String,
    column: String,
    /// Where the column refers to another table: what it may hold, as a query.
    keys: Option<String>,
    unique: bool,
    live: Option<Table>,
}

impl Prover<'_> {
    /// Release N at the boundaries where it writes both columns by itself, made for the schema that the plan has there. Nobody, where a
    /// trigger does it.
    pub(super) fn in_between(&self) -> BTreeMap<Boundary, Player> {
        let writes: Vec<&Writes> = self.plan.phases.iter().flat_map(|p| &p.steps).filter_map(|s| s.writes.as_ref()).collect();
        let mut out = BTreeMap::new();
        let mut catalog = self.input.catalog_before.clone();
        for phase in self.plan.phases.iter().filter(|p| !writes.is_empty() && p.kind < PhaseKind::ContractHard) {
            for text in phase.steps.iter().flat_map(|s| &s.statements) {
                crate::lower::lower_text(text).iter().for_each(|s| drop(catalog.apply_statement(s)));
            }
            let own = self.used_by_application(&catalog, phase_end(phase.kind), &writes);
            out.insert(phase_end(phase.kind), Player::in_between(&own, &self.input.catalog_before, &self.touched, &writes));
        }
        out
    }

    /// The schema at that boundary as release N uses it: it gives what it keeps in step in every statement, has nothing to do with columns
    /// that go, and from B2 on finds rows by its own keys.
    fn used_by_application(&self, catalog: &Catalog, boundary: Boundary, writes: &[&Writes]) -> Catalog {
        let mut own = catalog.clone();
        for w in writes {
            let Some(old) = self.input.catalog_before.relation_named(&w.schema, &w.table) else { continue };
            let Some(new) = self.input.catalog_after.relation(old.id) else { continue };
            let mut given: Vec<&str> = w.columns.iter().map(|c| c.column.as_str()).collect();
            let mut statements = Vec::new();
            let alter = |what: String| format!("ALTER TABLE {} {what}", old.rel_name().sql());
            for c in &old.columns {
                match new.columns.iter().find(|n| n.attnum == c.attnum) {
                    None => statements.push(alter(format!("DROP COLUMN {} CASCADE", ident(&c.name)))),
                    Some(n) if n.name != c.name && given.contains(&n.name.as_str()) => given.push(&c.name),
                    Some(_) => {}
                }
            }
            for c in &given {
                statements.push(alter(format!("ALTER COLUMN {} DROP DEFAULT, ALTER COLUMN {0} SET NOT NULL", ident(c))));
            }
            if boundary >= Boundary::B2 {
                let first =
                    |columns: &[String]| columns.iter().any(|c| given.contains(&c.as_str()) && w.columns.iter().all(|x| x.column != *c));
                let keys = old.constraints.iter().filter(|c| c.kind.index().is_some() && first(c.kind.columns()));
                statements.extend(keys.map(|c| alter(format!("DROP CONSTRAINT {} CASCADE", ident(&c.name)))));
                let alone =
                    catalog.indexes_of(old.id).into_iter().filter(|i| i.index.as_ref().is_some_and(|x| !x.constraint && first(&x.depends)));
                statements.extend(alone.map(|i| format!("DROP INDEX {}", i.rel_name().sql())));
            }
            for sql in &statements {
                crate::lower::lower_text(sql).iter().for_each(|s| drop(own.apply_statement(s)));
            }
        }
        own
    }

    /// Runs a step: the runner's by its statements, the application's by what it sees to.
    pub(super) fn forward(&self, session: &mut Session, step: &Step) -> Result<(), Refused> {
        let Some(work) = step.sees_to.as_ref().filter(|_| step.actor == Actor::Application) else { return forward(session, step) };
        let run = |session: &mut Session, sql: &str| session.run(sql).map_err(|error| Refused { error, statement: sql.into() });
        let values = self.values_for(session, work);
        run(session, "BEGIN")?;
        let done = values.see_to(session, work);
        run(session, if done.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        done
    }

    fn values_for(&self, session: &mut Session, work: &SeesTo) -> Values {
        let name = RelName::new(&work.schema, &work.table);
        let live = seed::table(session, &name).ok().flatten();
        let (before, after) = (&self.input.catalog_before, &self.input.catalog_after);
        let old = before.relation_named(&name.schema, &name.name);
        let new = old.and_then(|r| after.relation(r.id));
        let known: Vec<(&Catalog, &Relation)> = old.map(|r| (before, &**r)).into_iter().chain(new.map(|r| (after, r))).collect();
        let in_catalogs = known.iter().find_map(|(c, r)| key_of(c, r, &work.column));
        // A second column has foreign keys of its own, which only the server knows.
        let in_server = || {
            let fk = live.iter().flat_map(|t| &t.foreign_keys).find(|f| f.columns.contains(&work.column))?;
            let at = fk.columns.iter().position(|c| *c == work.column)?;
            Some((fk.table.clone(), fk.ref_columns.get(at)?.clone()))
        };
        let unique = live.iter().flat_map(|t| &t.columns).any(|c| c.name == work.column && c.unique)
            || known.iter().any(|(c, r)| {
                let mut indexes = c.indexes_of(r.id).into_iter().filter_map(|i| i.index.as_ref());
                indexes.any(|i| i.unique && i.depends.contains(&work.column))
            });
        let keys = in_catalogs.or_else(in_server).map(|(table, column)| {
            // The name in the catalog of after may be one that the table gets later.
            let id = after.relation_named(&table.schema, &table.name).map(|r| r.id);
            let now = id.and_then(|id| before.relation(id)).map_or(table, |r| r.rel_name());
            let (k, c) = (ident(&column), ident(&work.column));
            let free =
                if unique { format!(" AND NOT EXISTS (SELECT FROM {} AS t WHERE t.{c} = r.{k})", name.sql()) } else { String::new() };
            format!("SELECT r.{k}::text FROM {} AS r WHERE r.{k} IS NOT NULL{free} ORDER BY 1 LIMIT 8", now.sql())
        });
        Values { on: name.sql(), column: work.column.clone(), keys, unique, live }
    }
}

/// The table and the column that a column refers to.
fn key_of(catalog: &Catalog, rel: &Relation, column: &str) -> Option<(RelName, String)> {
    rel.constraints.iter().find_map(|c| match &c.kind {
        ConKind::ForeignKey { columns, table, ref_columns, .. } => {
            let at = columns.iter().position(|c| c == column)?;
            Some((catalog.relation(*table)?.rel_name(), ref_columns.get(at)?.clone()))
        }
        _ => None,
    })
}

impl Values {
    /// In each row the first value that the server takes; a row that takes none goes.
    fn see_to(&self, session: &mut Session, work: &SeesTo) -> Result<(), Refused> {
        let next = format!("SELECT airlock_t.ctid::text FROM {} AS airlock_t WHERE {} LIMIT 1", self.on, work.rows);
        let refused = |error: SqlError, statement: &str| Refused { error, statement: statement.to_string() };
        // What a constraint says is said now, not at the end.
        session.run("SET CONSTRAINTS ALL IMMEDIATE").map_err(|e| refused(e, "SET CONSTRAINTS"))?;
        let mut rng = Rng::with_seed(1);
        let mut number = FIRST;
        while let Some(row) = session.value(&next).map_err(|e| refused(e, &next))? {
            number += 1;
            let at = format!("ctid = {}", literal(&row));
            let values = self.candidates(session, work, number, &mut rng);
            let set = |v: &String| {
                format!(
                    "UPDATE {} AS airlock_t SET {} = {v} WHERE airlock_t.{at} RETURNING ({}) IS NOT TRUE",
                    self.on,
                    ident(&self.column),
                    work.rows
                )
            };
            if values.iter().any(|v| attempt(session, &set(v)).is_ok_and(|done| done)) {
                continue;
            }
            let delete = format!("DELETE FROM {} WHERE {at} RETURNING true", self.on);
            // A row that stays is told by the precondition of the contract.
            if !attempt(session, &delete).map_err(|e| refused(e, &delete))? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn candidates(&self, session: &mut Session, work: &SeesTo, number: u64, rng: &mut Rng) -> Vec<String> {
        let ask = |session: &mut Session, sql: &str| -> Vec<String> {
            session.rows(sql).unwrap_or_default().into_iter().flatten().flatten().map(|v| literal(&v)).collect()
        };
        if let Some(keys) = &self.keys {
            return ask(session, keys);
        }
        let mut out = Vec::new();
        if !self.unique {
            let c = ident(&self.column);
            let others = format!(
                "SELECT DISTINCT airlock_t.{c}::text FROM {} AS airlock_t WHERE airlock_t.{c} IS NOT NULL AND ({}) IS NOT TRUE ORDER BY 1 LIMIT 8",
                self.on, work.rows
            );
            out = ask(session, &others);
        }
        if let Some(c) = self.live.iter().flat_map(|t| &t.columns).find(|c| c.name == self.column) {
            out.extend(c.hints.iter().map(|h| c.ty.cast(h)));
            out.extend([Want::Ordinary, Want::Careful, Want::Empty].map(|w| c.ty.value(w, number, rng)));
            out.extend((0..).map_while(|i| c.ty.form(i, number)));
        }
        out
    }
}

/// A statement that returns whether it did what it should; else nothing of it stays.
fn attempt(session: &mut Session, sql: &str) -> Result<bool, SqlError> {
    session.run("SAVEPOINT airlock_try")?;
    let done = session.value(sql).map(|v| v.as_deref() == Some("t"));
    let end = if matches!(done, Ok(true)) { "RELEASE SAVEPOINT airlock_try" } else { "ROLLBACK TO SAVEPOINT airlock_try" };
    session.run(end)?;
    done
}
