//! What one release writes and another statement takes away again; and what comes back from release N's columns and N's words.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Catalog, Column, RelName, Relation};
use crate::compat::{Undo, boundary_values};
use crate::plan::{Boundary, PhaseKind, Plan, Release};
use crate::quote::{ident, literal};

use super::super::error::ShadowError;
use super::super::session::Session;
use super::super::start::Database;
use super::{At, CheckId, Counterexample, ProofInput, Prover, Rows, back};

type Row = Vec<Option<String>>;

/// A table as one release sees it.
struct Side {
    release: Release,
    name: RelName,
    key: Vec<String>,
    /// A column that may be set to what it is.
    still: String,
    /// Every column, in the order of the table.
    columns: Vec<String>,
    /// Those that the plan changes and that this release may write, with values of their types.
    kept: Vec<(String, Vec<String>)>,
    /// A column that the plan leaves alone and that may be written.
    unrelated: Option<String>,
    /// Change on every update, or by the migration itself: a change of them says nothing.
    moving: BTreeSet<String>,
}

/// One table as both see it.
pub(super) struct Twin {
    old: Side,
    new: Side,
}

impl Twin {
    /// By its name before the plan.
    pub(super) fn is_of(&self, table: &RelName) -> bool {
        self.old.name == *table
    }

    /// The column of N-1 changes when something else in the row is written, or by the migration itself.
    pub(super) fn moves(&self, column: &str) -> bool {
        self.old.moving.contains(column)
    }
}

impl Prover<'_> {
    /// A look at single rows behind each phase; nothing of it stays.
    pub(super) fn lost_after(&mut self, db: &Database, phase: PhaseKind, rows: &Rows, twins: &[Twin]) -> Result<(), ShadowError> {
        if twins.is_empty() {
            if phase == PhaseKind::Expand {
                for c in [CheckId::LostWrites, CheckId::RoundTrip] {
                    self.not_run(
                        c,
                        At::default(),
                        false,
                        "no column of a table that has a primary key and outlives the plan is kept twice or filled",
                    );
                }
            }
            return Ok(());
        }
        match phase {
            PhaseKind::Expand => self.lost_at(db, Boundary::B1, twins, rows),
            PhaseKind::Migrate => {
                self.lost_at(db, Boundary::B2, twins, rows)?;
                self.there_and_back(db, twins)
            }
            PhaseKind::ContractSoft => self.back_from_contract(db, rows, twins),
            PhaseKind::ContractHard => Ok(()),
        }
    }

    pub(super) fn twins(&self, rows: &Rows) -> Result<Vec<Twin>, ShadowError> {
        let (before, after) = (&self.input.catalog_before, &self.input.catalog_after);
        let (mut a, mut b) = (rows.seeded.connect()?, rows.direct.connect()?);
        let mut out = Vec::new();
        for t in &self.touched {
            let Some(old) = before.relation_named(&t.schema, &t.name) else { continue };
            let Some(new) = after.relation(old.id) else { continue };
            let changed: Vec<u16> = attnums(old).chain(attnums(new)).filter(|n| differs(of(old, *n), of(new, *n))).collect();
            if changed.is_empty() {
                continue;
            }
            let side = |release, cat: &Catalog, rel: &Relation| {
                let key = rel.primary_key().map(|k| k.kind.columns().to_vec()).unwrap_or_default();
                let values = |c: &Column| boundary_values(cat, &c.ty);
                let free = |c: &&Column| c.generated.is_none() && c.identity.is_none() && !key.contains(&c.name);
                let settable = |c: &&Column| c.generated.is_none() && !c.identity.as_ref().is_some_and(|i| i.always);
                Side {
                    release,
                    still: rel.columns.iter().find(settable).map(|c| c.name.clone()).unwrap_or_default(),
                    name: rel.rel_name(),
                    columns: rel.columns.iter().map(|c| c.name.clone()).collect(),
                    kept: rel
                        .columns
                        .iter()
                        .filter(free)
                        .filter(|c| changed.contains(&c.attnum))
                        .map(|c| (c.name.clone(), values(c)))
                        .collect(),
                    unrelated: rel
                        .columns
                        .iter()
                        .filter(free)
                        .find(|c| !changed.contains(&c.attnum) && matches!(c.ty.name.as_str(), "text" | "integer" | "bigint"))
                        .map(|c| c.name.clone()),
                    moving: BTreeSet::new(),
                    key,
                }
            };
            let mut twin = Twin { old: side(Release::Old, before, old), new: side(Release::New, after, new) };
            // The same row is found by both only when the key says the same to both.
            if twin.old.key.is_empty() || twin.old.still.is_empty() || twin.new.still.is_empty() || twin.old.key.len() != twin.new.key.len()
            {
                continue;
            }
            let by_triggers = |rel: &Relation| -> BTreeSet<String> {
                rel.columns.iter().filter(|c| self.is_moving(t, c.attnum)).map(|c| c.name.clone()).collect()
            };
            twin.old.moving = twin.old.moves(&mut a).into_iter().chain(by_triggers(old)).collect();
            twin.new.moving = twin.new.moves(&mut b).into_iter().chain(by_triggers(new)).collect();
            // What the migration itself writes is meant to change.
            let (x, y) = (twin.old.read_all(&mut a), twin.new.read_all(&mut b));
            for (i, c) in twin.old.columns.iter().enumerate() {
                let Some(now) = old.column(c).and_then(|c| of(new, c.attnum)) else { continue };
                let Some(j) = twin.new.columns.iter().position(|n| *n == now.name) else { continue };
                if x.iter().any(|(k, row)| y.get(k).is_some_and(|other| other.get(j) != row.get(i)))
                    && old.column(c).is_some_and(|o| o.ty == now.ty)
                {
                    twin.old.moving.insert(c.clone());
                }
            }
            out.push(twin);
        }
        Ok(out)
    }

    fn lost_at(&mut self, db: &Database, boundary: Boundary, twins: &[Twin], rows: &Rows) -> Result<(), ShadowError> {
        let mut session = db.connect()?;
        let (mut problems, mut tried) = (Vec::new(), 0);
        for twin in twins {
            for (writer, other, own) in [(&twin.new, &twin.old, &rows.direct), (&twin.old, &twin.new, &rows.seeded)] {
                // A row that nobody has written since the plan began keeps what N-1 reads in it, whoever updates another part of it.
                if writer.release == Release::Old {
                    for (key, _) in writer.read_all(&mut session).iter().take(20) {
                        for touching in [other, writer] {
                            tried += 1;
                            problems.extend(writer.survives(&mut session, key, None, touching));
                        }
                    }
                }
                let Some((key, _)) = writer.read_all(&mut session).into_iter().nth(1) else { continue };
                for (column, values) in &writer.kept {
                    for v in values.iter().take(6) {
                        tried += 1;
                        problems.extend(writer.survives(&mut session, &key, Some((column, v)), other));
                        problems.extend(writer.same_with_any_path(&mut session, &key, column, v, own)?);
                    }
                }
            }
        }
        // One of a kind is enough to understand it.
        problems.truncate(5);
        let words = format!("{tried} writes, none taken back by an update of something else");
        self.check(CheckId::LostWrites, At::default().boundary(boundary), problems, words);
        Ok(())
    }

    /// At B2: N writes another value and then the first one again.
    fn there_and_back(&mut self, db: &Database, twins: &[Twin]) -> Result<(), ShadowError> {
        let mut session = db.connect()?;
        let mut seen = Losses::default();
        for twin in twins {
            for (key, _) in twin.new.read_all(&mut session) {
                for (column, values) in &twin.new.kept {
                    let _ = session.run("BEGIN");
                    let before = twin.old.read(&mut session, &key);
                    if twin.new.go_and_return(&mut session, &key, column, values)
                        && let Some((before, after)) = before.zip(twin.old.read(&mut session, &key))
                    {
                        seen.compare(&twin.old, &before, &after, &format!("N writes `{column}` and its old value again"));
                    }
                    let _ = session.run("ROLLBACK");
                }
            }
        }
        self.losses(Boundary::B2, seen);
        Ok(())
    }

    /// At B3: the same, and then the soft contract is undone.
    fn back_from_contract(&mut self, db: &Database, rows: &Rows, twins: &[Twin]) -> Result<(), ShadowError> {
        let steps: Vec<_> =
            self.plan.phases.iter().filter(|p| p.kind == PhaseKind::ContractSoft).flat_map(|p| p.steps.iter().rev()).collect();
        if steps.is_empty() || steps.iter().any(|s| s.one_way.is_some()) {
            return Ok(());
        }
        let copy = self.shadow.copy(db)?;
        let mut session = copy.connect()?;
        for twin in twins {
            for (key, _) in twin.new.read_all(&mut session) {
                for (column, values) in &twin.new.kept {
                    let _ = session.run("BEGIN");
                    let whole = twin.new.go_and_return(&mut session, &key, column, values);
                    let _ = session.run(if whole { "COMMIT" } else { "ROLLBACK" });
                }
            }
        }
        for s in steps {
            // What hinders it is told by the check of the undo.
            if let Err(e) = back(&mut session, s) {
                let why = format!("the soft contract cannot be undone for it: {}", e.error);
                self.not_run(CheckId::RoundTrip, At::default().boundary(Boundary::B3), false, why);
                return Ok(());
            }
        }
        let mut seen = Losses::default();
        let mut first = rows.seeded.connect()?;
        for twin in twins {
            let now = twin.old.read_all(&mut session);
            for (key, before) in twin.old.read_all(&mut first) {
                match now.get(&key) {
                    Some(after) => seen.compare(&twin.old, &before, after, "N has written the same value, and the soft contract is undone"),
                    None => seen.gone.push(Counterexample::new(format!("{}: a row is gone after the undo", twin.old.name)).row(&before)),
                }
            }
        }
        self.losses(Boundary::B3, seen);
        Ok(())
    }

    fn losses(&mut self, boundary: Boundary, seen: Losses) {
        let at = At::default().boundary(boundary).release(Release::Old);
        let accepted = |c: &(String, Counterexample)| is_declared(self.plan, self.input, &c.0, boundary);
        let (declared, mut hidden): (Vec<_>, Vec<_>) = seen.changed.into_iter().partition(accepted);
        hidden.truncate(5);
        let problems = hidden.into_iter().map(|(_, c)| c).chain(seen.gone).collect();
        let words = match declared.first() {
            None => format!("{} values of N-1 come back as they were", seen.compared),
            Some((_, c)) => format!("{} of {} values of N-1 come back changed, as was accepted; {c}", declared.len(), seen.compared),
        };
        self.check(CheckId::RoundTrip, at, problems, words);
    }
}

/// Values that did not come back, by the column of N-1.
#[derive(Default)]
struct Losses {
    compared: usize,
    changed: Vec<(String, Counterexample)>,
    gone: Vec<Counterexample>,
}

impl Losses {
    fn compare(&mut self, side: &Side, before: &Row, after: &Row, what: &str) {
        for ((c, x), y) in side.columns.iter().zip(before).zip(after) {
            if side.moving.contains(c) {
                continue;
            }
            self.compared += 1;
            if x != y {
                let says = |v: &Option<String>| v.clone().unwrap_or_else(|| "NULL".into());
                let what = format!("{what}: N-1 read `{}` in {}.{c} and now reads `{}`", says(x), side.name, says(y));
                self.changed.push((format!("{}.{c}", side.name), Counterexample::new(what).row(before)));
            }
        }
    }
}

/// A person wrote the way back, or the plan says that it loses data.
fn is_declared(plan: &Plan, input: &ProofInput, column: &str, boundary: Boundary) -> bool {
    let last = |s: &str| s.rsplit('.').take(2).map(str::to_string).collect::<Vec<_>>();
    let told = plan.answers.iter().any(|a| matches!(a.key.as_str(), "up" | "down" | "value") && last(&a.subject) == last(column));
    let phase = if boundary == Boundary::B3 { PhaseKind::ContractSoft } else { PhaseKind::Expand };
    let steps = plan.phases.iter().filter(|p| p.kind == phase).flat_map(|p| &p.steps);
    let verdicts = steps.filter(|s| s.undo_verdict != Undo::Lossless);
    let table = column.rsplit_once('.').map_or(column, |(t, _)| t);
    let known = input.catalog_before.relations.values().any(|r| r.rel_name().to_string() == table);
    told || known && verdicts.flat_map(|s| &s.predicted).any(|p| p.locks.contains_key(table))
}

impl Side {
    fn is_row(&self, key: &Row) -> String {
        let one = |(c, v): (&String, &Option<String>)| format!("{}::text = {}", ident(c), literal(v.as_deref().unwrap_or_default()));
        self.key.iter().zip(key).map(one).collect::<Vec<_>>().join(" AND ")
    }

    fn list(columns: &[String]) -> String {
        columns.iter().map(|c| format!("{}::text", ident(c))).collect::<Vec<_>>().join(", ")
    }

    fn read(&self, session: &mut Session, key: &Row) -> Option<Row> {
        let sql = format!("SELECT {} FROM {} WHERE {}", Self::list(&self.columns), self.name.sql(), self.is_row(key));
        session.rows(&sql).ok()?.into_iter().next()
    }

    fn read_all(&self, session: &mut Session) -> BTreeMap<Row, Row> {
        let sql = format!("SELECT {}, {} FROM {}", Self::list(&self.key), Self::list(&self.columns), self.name.sql());
        let rows = session.rows(&sql).unwrap_or_default();
        rows.into_iter().map(|r| (r[..self.key.len()].to_vec(), r[self.key.len()..].to_vec())).collect()
    }

    /// An update that says nothing new.
    fn touch(&self, key: &Row) -> String {
        format!("UPDATE {} SET {1} = {1} WHERE {2}", self.name.sql(), ident(&self.still), self.is_row(key))
    }

    /// An update of something else.
    fn touch_unrelated(&self, key: &Row) -> Option<String> {
        let c = ident(self.unrelated.as_ref()?);
        Some(format!("UPDATE {} SET {c} = '7' WHERE {}", self.name.sql(), self.is_row(key)))
    }

    fn write(&self, key: &Row, column: &str, value: Option<&str>) -> String {
        let v = value.map_or("NULL".into(), literal);
        format!("UPDATE {} SET {} = {v} WHERE {}", self.name.sql(), ident(column), self.is_row(key))
    }

    /// Columns that the application's own triggers change when something else in the row is written: at every update, or only where something
    /// is new in it. Asked on a schema without the plan.
    fn moves(&self, session: &mut Session) -> BTreeSet<String> {
        let mut out = BTreeSet::new();
        for (key, before) in self.read_all(session).into_iter().take(3) {
            let mut writes = vec![(None, self.touch(&key))];
            writes.extend(self.touch_unrelated(&key).map(|sql| (self.unrelated.as_deref(), sql)));
            for (column, values) in &self.kept {
                writes.extend(values.iter().take(6).map(|v| (Some(column.as_str()), self.write(&key, column, Some(v)))));
            }
            for (written, sql) in writes {
                let _ = session.run("BEGIN");
                let ran = session.run(&sql).is_ok();
                let after = if ran { self.read(session, &key).unwrap_or_default() } else { Row::new() };
                let _ = session.run("ROLLBACK");
                let changed = self.columns.iter().zip(before.iter().zip(&after)).filter(|(_, (a, b))| a != b).map(|(c, _)| c);
                out.extend(changed.filter(|c| Some(c.as_str()) != written).cloned());
            }
        }
        out
    }

    /// This release writes (or nobody has written yet), another one updates something else in the row, and this one reads again.
    fn survives(&self, session: &mut Session, key: &Row, write: Option<(&str, &str)>, other: &Side) -> Vec<Counterexample> {
        let mut problems = Vec::new();
        for unrelated in [false, true] {
            let touch = if unrelated { other.touch_unrelated(key) } else { Some(other.touch(key)) };
            let Some(touch) = touch else { continue };
            let _ = session.run("BEGIN");
            let written = write.map(|(c, v)| self.write(key, c, Some(v)));
            let refused = written.as_ref().is_some_and(|w| session.run(w).is_err());
            let before = if refused { None } else { self.read(session, key) };
            // A refusal is told by the statements of the release.
            if before.is_some() && session.run(&touch).is_ok() {
                let after = self.read(session, key);
                for (i, c) in self.columns.iter().enumerate() {
                    let exempt = self.moving.contains(c) || other.unrelated.as_ref().is_some_and(|u| unrelated && u == c);
                    let (x, y) = (before.as_ref().and_then(|r| r.get(i)), after.as_ref().and_then(|r| r.get(i)));
                    if exempt || x == y {
                        continue;
                    }
                    let says = |v: Option<&Option<String>>| v.cloned().flatten().unwrap_or_else(|| "NULL".into());
                    let what = format!(
                        "{} read `{}` in {}.{c}{}; then {} updated something else in the row, and it reads `{}`",
                        self.release,
                        says(x),
                        self.name,
                        written.as_ref().map(|w| format!(" after `{w}`")).unwrap_or_default(),
                        other.release,
                        says(y)
                    );
                    let row = before.clone().unwrap_or_default();
                    problems.push(Counterexample::new(what).row(&row).statement(touch.clone()));
                }
            }
            let _ = session.run("ROLLBACK");
            if !problems.is_empty() {
                break;
            }
        }
        problems
    }

    /// A write means the same whatever the writer's search path is.
    fn same_with_any_path(
        &self,
        session: &mut Session,
        key: &Row,
        column: &str,
        value: &str,
        own: &Database,
    ) -> Result<Option<Counterexample>, ShadowError> {
        let sql = self.write(key, column, Some(value));
        let mut outcomes = Vec::new();
        for path in ["", "SET LOCAL search_path = ''"] {
            let _ = session.run("BEGIN");
            if !path.is_empty() {
                let _ = session.run(path);
            }
            let done = session.run(&sql);
            outcomes.push(done.map(|_| self.read(session, key)));
            let _ = session.run("ROLLBACK");
        }
        // What moves by itself has the time of its own transaction.
        let still = |row: &Option<Row>| -> Row {
            let cells = self.columns.iter().zip(row.iter().flatten());
            cells.filter(|(c, _)| !self.moving.contains(*c)).map(|(_, v)| v.clone()).collect()
        };
        let problem = match (&outcomes[0], &outcomes[1]) {
            (Ok(a), Ok(b)) if a.is_some() != b.is_some() || still(a) != still(b) => {
                let row = b.clone().unwrap_or_default();
                Some(
                    Counterexample::new(format!(
                        "{} writes {}.{column} with an empty search_path, and another value stands there",
                        self.release, self.name
                    ))
                    .row(&row),
                )
            }
            (Ok(_), Err(e)) => {
                // The application's own triggers may need a path.
                let mut there = own.connect()?;
                let _ = there.run("BEGIN; SET LOCAL search_path = ''");
                let again = there.run(&sql);
                let _ = there.run("ROLLBACK");
                again.is_ok().then(|| Counterexample::refused(format!("{} with an empty search_path", self.release), e, &sql))
            }
            _ => None,
        };
        Ok(problem.map(|p| if p.statement.is_none() { p.statement(sql) } else { p }))
    }

    /// Another value, and the one that was there again. `false`: none of the values is taken.
    fn go_and_return(&self, session: &mut Session, key: &Row, column: &str, values: &[String]) -> bool {
        let Some(at) = self.columns.iter().position(|c| c == column) else { return false };
        let Some(first) = self.read(session, key).and_then(|r| r.get(at).cloned()) else { return false };
        let others = values.iter().map(|v| Some(v.as_str())).chain([None]).filter(|v| *v != first.as_deref());
        for other in others {
            let _ = session.run("SAVEPOINT airlock_other");
            let write = |v: Option<&str>| self.write(key, column, v);
            if session.run(&write(other)).is_ok() && session.run(&write(first.as_deref())).is_ok() {
                return true;
            }
            let _ = session.run("ROLLBACK TO SAVEPOINT airlock_other");
        }
        false
    }
}

fn attnums(r: &Relation) -> impl Iterator<Item = u16> + '_ {
    r.columns.iter().map(|c| c.attnum)
}

fn of(r: &Relation, attnum: u16) -> Option<&Column> {
    r.columns.iter().find(|c| c.attnum == attnum)
}

fn differs(a: Option<&Column>, b: Option<&Column>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.name != b.name || a.ty != b.ty || a.not_null != b.not_null,
        _ => true,
    }
}
