//! A release at work: its statements, tried and rolled back, and its writes, which stay.

mod parameters;

use std::collections::BTreeSet;

use fastrand::Rng;

use crate::catalog::{Catalog, Id, RelName};
use crate::compat::{Shape, ShapeSql, shapes};
use crate::plan::{Release, Writes, type_sql};
use crate::quote::{ident, literal};

use super::super::error::ShadowError;
use super::super::session::{Session, SqlError};
use super::super::start::Database;
use super::held::Types;
use super::report::Counterexample;
use super::rights;
use parameters::{bound_columns, references};

pub struct Player {
    pub release: Release,
    /// Runs its statements as this role; as the owner of the tables unless given.
    pub role: Option<String>,
    own: Catalog,
    shapes: Vec<ShapeSql>,
    /// Fail on the release's own schema: they say nothing about the plan.
    hopeless: BTreeSet<usize>,
    /// Columns that a constraint of either schema binds: what stays there keeps the value of a row.
    bound: BTreeSet<(RelName, String)>,
    /// Tables to which a foreign key of only one of the schemas refers.
    referenced_once: BTreeSet<RelName>,
    /// Columns that a constraint of the other schema binds, and none of its own.
    bound_later: BTreeSet<(RelName, String)>,
    /// Columns of unique indexes of either schema, partial ones too: two rows may not say the same.
    unique: BTreeSet<(RelName, String)>,
    /// The release's own schema with rows: what is refused there too is no fault of the plan.
    reference: Option<Session>,
    count: u64,
    last: String,
    /// The columns that it keeps in step by itself, and how it does so in the transaction of every write.
    writes: Vec<Writes>,
    also: Vec<String>,
}

/// Statements that count columns by their position: no plan that adds a column can keep them.
fn by_position(shape: Shape) -> bool {
    matches!(shape, Shape::CopyPositional | Shape::InsertPositional)
}

fn reads(shape: Shape) -> bool {
    matches!(shape, Shape::SelectStar | Shape::SelectNamed | Shape::ReadView)
}

/// Tried when the first row is refused.
const OTHER_ROWS: [u64; 6] = [1, 2, 5, 11, 23, 47];

/// A prepared statement of it breaks for good when a column comes or goes: no plan can keep it.
pub fn returns_all(shape: Shape) -> bool {
    matches!(shape, Shape::SelectStar | Shape::InsertReturningStar | Shape::ReadView)
}

impl Player {
    /// `own` is the schema that the release was written for.
    pub fn new(release: Release, own: &Catalog, other: &Catalog, touched: &BTreeSet<RelName>) -> Self {
        // The new release's tables may have other names: what was touched is found by identity.
        let ids: Vec<Id> = touched
            .iter()
            .filter_map(|t| own.relation_named(&t.schema, &t.name).or_else(|| other.relation_named(&t.schema, &t.name)))
            .map(|r| r.id)
            .collect();
        let mut unique = BTreeSet::new();
        for r in ids.iter().filter_map(|id| own.relation(*id)) {
            for i in [own, other].iter().flat_map(|c| c.indexes_of(r.id)).filter_map(|i| i.index.as_ref()).filter(|i| i.unique) {
                unique.extend(i.columns.iter().flatten().map(|c| (r.rel_name(), c.clone())));
            }
        }
        let bound: BTreeSet<_> =
            ids.iter().filter_map(|id| own.relation(*id)).flat_map(|r| bound_columns(r, other.relation(r.id))).collect();
        let own_bound: BTreeSet<_> = ids.iter().filter_map(|id| own.relation(*id)).flat_map(|r| bound_columns(r, None)).collect();
        let bound_later = bound.difference(&own_bound).cloned().collect();
        let (a, b) = (references(own), references(other));
        let once: BTreeSet<Id> = a.symmetric_difference(&b).map(|(target, _, _)| *target).collect();
        let referenced_once = once.iter().filter_map(|id| own.relation(*id)).map(|r| r.rel_name()).collect();
        // A table that goes may hold on to one that stays until the contract: that forbids TRUNCATE, and nothing else.
        let referenced: BTreeSet<Id> = a.union(&b).map(|(target, _, _)| *target).collect();
        let shapes: Vec<ShapeSql> = ids
            .iter()
            .filter_map(|id| own.relation(*id))
            .flat_map(|r| shapes(own, r).into_iter().filter(|s| s.shape != Shape::Truncate || !referenced.contains(&r.id)))
            .filter(|s| !by_position(s.shape))
            .collect();
        // The releases never draw the same key.
        let count = if release == Release::New { 500_000 } else { 0 };
        Player {
            release,
            role: None,
            own: own.clone(),
            shapes,
            hopeless: BTreeSet::new(),
            bound,
            bound_later,
            referenced_once,
            unique,
            reference: None,
            count,
            last: String::new(),
            writes: Vec::new(),
            also: Vec::new(),
        }
    }

    /// Release N on a schema in the middle of the plan, whose columns it uses all and keeps in step itself.
    pub fn in_between(own: &Catalog, before: &Catalog, touched: &BTreeSet<RelName>, writes: &[&Writes]) -> Self {
        let mut player = Player::new(Release::New, own, before, touched);
        player.also = writes.iter().map(|w| keeps_in_step(w)).collect();
        player.writes = writes.iter().map(|w| (*w).clone()).collect();
        player
    }

    /// The keys that it draws come behind those of another player of the same release.
    pub fn behind(&mut self, other: &Player) {
        self.count = self.count.max(other.count + 1000);
    }

    /// The same release as another role.
    pub fn as_role(&self, role: &str) -> Player {
        Player {
            release: self.release,
            role: Some(role.to_string()),
            own: self.own.clone(),
            shapes: self.shapes.clone(),
            hopeless: BTreeSet::new(),
            bound: self.bound.clone(),
            bound_later: self.bound_later.clone(),
            referenced_once: self.referenced_once.clone(),
            unique: self.unique.clone(),
            reference: None,
            // Roles never draw the same key either.
            count: self.count + 200_000,
            last: String::new(),
            writes: self.writes.clone(),
            also: self.also.clone(),
        }
    }

    /// Which statements work on the release's own schema, of which `db` is a copy with rows.
    pub fn learn(&mut self, db: &Database) -> Result<(), ShadowError> {
        let mut session = db.connect()?;
        if let Some(role) = &self.role {
            let tables: BTreeSet<RelName> = self.shapes.iter().map(|s| s.relation.clone()).collect();
            let parts = rights::of_parts(&mut session, &self.own, &tables.into_iter().collect::<Vec<_>>(), role);
            self.shapes.extend(parts);
        }
        for i in 0..self.shapes.len() {
            if self.attempt(&mut session, i, 0).is_err() {
                self.hopeless.insert(i);
            }
        }
        self.reference = Some(session);
        Ok(())
    }

    /// One that writes what the first one does not.
    pub fn second(&self) -> Player {
        Player { hopeless: self.hopeless.clone(), role: None, count: self.count + 100_000, ..self.as_role("") }
    }

    /// Inserts, updates and deletes that both databases take alike: how many. Keys that a server makes by chance are others in each, so a
    /// statement may find its row in one of them only; then it has not happened.
    pub fn write_both(&mut self, one: &mut Session, other: &mut Session, rng: &mut Rng) -> usize {
        let mut done = 0;
        for kind in [Shape::InsertFull, Shape::InsertMinimal, Shape::Update, Shape::UpdateToNull, Shape::Delete] {
            for i in 0..self.shapes.len() {
                if self.shapes[i].shape != kind || self.hopeless.contains(&i) || self.leaves_orphans(i) {
                    continue;
                }
                let values = self.values(one, i, rng.u64(1..1000), true);
                self.last = self.shapes[i].fill(&values);
                let ends = [&mut *one, &mut *other].map(|s| s.run("BEGIN").and_then(|_| s.run(&self.last)).ok());
                let alike = ends[0].is_some() && ends[0] == ends[1];
                for session in [&mut *one, &mut *other] {
                    let _ = session.run(if alike { "COMMIT" } else { "ROLLBACK" });
                }
                done += usize::from(alike);
            }
        }
        done
    }

    /// A delete of rows to which a foreign key of one schema refers, and none of the other: it stands in the way of the migration itself.
    fn leaves_orphans(&self, i: usize) -> bool {
        self.shapes[i].shape == Shape::Delete && self.referenced_once.contains(&self.shapes[i].relation)
    }

    /// The same where nothing but the plan has made the schema: only what is refused for the values of a row is no fault of it.
    pub fn learn_values(&mut self, db: &Database) -> Result<(), ShadowError> {
        let mut session = db.connect()?;
        for i in 0..self.shapes.len() {
            if self.attempt(&mut session, i, 0).is_err_and(|e| e.is_about_rows()) {
                self.hopeless.insert(i);
            }
        }
        self.reference = Some(session);
        Ok(())
    }

    /// How many statements the release has, and how many of them work on its own schema.
    pub fn known(&self) -> (usize, usize) {
        (self.shapes.len(), self.shapes.len() - self.hopeless.len())
    }

    /// Runs every statement but those of `except` and takes it back; the failures, and how many ran.
    pub fn shapes(&mut self, session: &mut Session, writes_only: bool, except: &[String]) -> (Vec<Counterexample>, usize) {
        let mut problems = Vec::new();
        let mut ran = 0;
        for i in 0..self.shapes.len() {
            if self.left_out(i, writes_only, except) {
                continue;
            }
            ran += 1;
            let mut end = self.attempt(session, i, 0);
            // Another row may do: rows that were written since may refer to the first.
            for pick in OTHER_ROWS {
                if end.as_ref().err().is_some_and(|e| e.sqlstate.starts_with("23")) {
                    end = self.attempt(session, i, pick);
                }
            }
            if let Err(e) = end
                && !self.refused_anyway(i, &e)
            {
                problems.push(Counterexample::refused(self.name(i), &e, &self.last));
            }
            problems.extend(self.beyond(session, i));
        }
        (problems, ran)
    }

    /// Values that the other release's schema may refuse and its own takes: edges of the type, and a value that is there already.
    fn beyond(&mut self, session: &mut Session, i: usize) -> Option<Counterexample> {
        if !matches!(self.shapes[i].shape, Shape::InsertFull | Shape::Update) {
            return None;
        }
        let on = self.shapes[i].relation.clone();
        let params = self.shapes[i].params.iter().enumerate();
        let later: Vec<(usize, Vec<String>)> = params
            .filter(|(_, p)| !p.finds && p.column.as_ref().is_some_and(|c| self.bound_later.contains(&(on.clone(), c.clone()))))
            .map(|(at, p)| (at, crate::compat::boundary_values(&self.own, &p.ty)))
            .collect();
        for (at, edges) in later {
            let column = self.shapes[i].params[at].column.clone().unwrap_or_default();
            let there = session.value(&format!("SELECT {0}::text FROM {1} WHERE {0} IS NOT NULL LIMIT 1", ident(&column), on.sql()));
            for value in edges.into_iter().chain(there.ok().flatten()) {
                let mut values = self.values(session, i, 0, false);
                values[at] = Some(value);
                self.last = self.shapes[i].fill(&values);
                let _ = session.run("BEGIN");
                let done = self.as_its_role(session).and_then(|()| session.run(&self.last));
                let _ = session.run("ROLLBACK");
                if let Err(e) = done
                    && !self.refused_anyway(i, &e)
                {
                    return Some(Counterexample::refused(self.name(i), &e, &self.last));
                }
            }
        }
        None
    }

    /// `update on public.orders`, with the role where it is not the owner.
    fn name(&self, i: usize) -> String {
        let s = &self.shapes[i];
        let role = self.role.as_ref().map(|r| format!(" as {r}")).unwrap_or_default();
        format!("{} on {}{role}", s.shape, s.relation)
    }

    fn left_out(&self, i: usize, writes_only: bool, except: &[String]) -> bool {
        let s = &self.shapes[i];
        let declared = except.contains(&format!("{} on {}", s.shape, s.relation));
        self.hopeless.contains(&i) || declared || writes_only && reads(s.shape)
    }

    fn attempt(&mut self, session: &mut Session, i: usize, pick: u64) -> Result<u64, SqlError> {
        let values = self.values(session, i, pick, false);
        self.last = self.shapes[i].fill(&values);
        session.run("BEGIN")?;
        let done = self.as_its_role(session).and_then(|()| self.send_all(session, i, &values));
        let _ = session.run("ROLLBACK");
        done
    }

    /// In a transaction that is open: the statement, and what goes with it.
    fn send_all(&self, session: &mut Session, i: usize, values: &[Option<String>]) -> Result<u64, SqlError> {
        let done = self.send(session, i, values)?;
        for sql in &self.also {
            session.run(sql)?;
        }
        Ok(done)
    }

    /// The statement by itself, or with what goes with it in one transaction.
    fn send_for_good(&self, session: &mut Session, i: usize, values: &[Option<String>]) -> Result<u64, SqlError> {
        if self.also.is_empty() {
            return self.send(session, i, values);
        }
        session.run("BEGIN")?;
        let done = self.send_all(session, i, values);
        session.run(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        done
    }

    fn as_its_role(&self, session: &mut Session) -> Result<(), SqlError> {
        match &self.role {
            Some(r) => session.run(&format!("SET LOCAL ROLE {}", ident(r))).map(drop),
            None => Ok(()),
        }
    }

    fn send(&self, session: &mut Session, i: usize, values: &[Option<String>]) -> Result<u64, SqlError> {
        match self.shapes[i].shape {
            Shape::CopyColumns | Shape::CopyPositional => session.copy_in(&self.last, &copy_line(values)),
            _ => session.run(&self.last),
        }
    }

    /// The values are at fault: on the release's own schema the statement is refused in the same way.
    fn refused_anyway(&mut self, i: usize, e: &SqlError) -> bool {
        let Some(session) = &mut self.reference else { return false };
        // A row of another partition is 23514, and 0A000 where the table has a trigger that comes before.
        let elsewhere = e.is("0A000") && e.message.contains("partition");
        // Only what depends on rows can be the values' fault.
        if !(e.is_about_rows() || elsewhere) || self.last.starts_with("COPY") {
            return elsewhere;
        }
        let (sql, shape) = (self.last.clone(), self.shapes[i].shape);
        let _ = session.run("BEGIN");
        let again = session.run(&sql).err();
        let _ = session.run("ROLLBACK");
        debug_assert!(!by_position(shape));
        if again.is_some_and(|a| a.sqlstate == e.sqlstate || elsewhere && a.is("23514")) {
            return true;
        }
        // The reference lacks rows that were written since; a foreign key that the release knows keeps their like there too.
        let known = format!("SELECT 1 FROM pg_catalog.pg_constraint WHERE contype = 'f' AND conname = {}", literal(&e.more.constraint));
        shape == Shape::Delete && e.is("23503") && session.value(&known).is_ok_and(|v| v.is_some())
    }

    /// Inserts that stay: with every column, and with only those that must be given.
    pub fn insert(&mut self, session: &mut Session) -> Result<u64, Counterexample> {
        self.write(session, &[Shape::InsertFull, Shape::InsertMinimal])
    }

    pub fn update(&mut self, session: &mut Session) -> Result<u64, Counterexample> {
        self.write(session, &[Shape::Update])
    }

    pub fn last_write(&self) -> &str {
        &self.last
    }

    fn write(&mut self, session: &mut Session, kinds: &[Shape]) -> Result<u64, Counterexample> {
        let mut written = 0;
        for i in 0..self.shapes.len() {
            if kinds.contains(&self.shapes[i].shape) && !self.hopeless.contains(&i) {
                written += self.stay(session, i, 0)?;
            }
        }
        Ok(written)
    }

    /// One write of any kind, of a random row.
    pub fn random_write(&mut self, session: &mut Session, rng: &mut Rng, except: &[String]) -> Result<u64, Counterexample> {
        let writes = |s: Shape| {
            matches!(
                s,
                Shape::InsertFull
                    | Shape::InsertMinimal
                    | Shape::Update
                    | Shape::UpdateToNull
                    | Shape::UpsertColumns
                    | Shape::UpsertPrimaryKey
                    | Shape::UpsertConstraint
                    | Shape::Delete
            )
        };
        let all: Vec<usize> = (0..self.shapes.len())
            .filter(|i| writes(self.shapes[*i].shape) && !self.left_out(*i, false, except) && !self.leaves_orphans(*i))
            .collect();
        match rng.choice(&all) {
            Some(i) => self.stay(session, *i, rng.u64(..1000)),
            None => Ok(0),
        }
    }

    fn stay(&mut self, session: &mut Session, i: usize, pick: u64) -> Result<u64, Counterexample> {
        let values = self.values(session, i, pick, true);
        self.last = self.shapes[i].fill(&values);
        match self.send_for_good(session, i, &values) {
            Ok(n) => Ok(n),
            Err(e) if self.refused_anyway(i, &e) => Ok(0),
            Err(e) => Err(Counterexample::refused(self.name(i), &e, &self.last)),
        }
    }

    /// Prepares what it can; the names of the statements that stand.
    pub fn prepare(&self, session: &mut Session, writes_only: bool, except: &[String]) -> Vec<usize> {
        let preparable = |s: Shape| !matches!(s, Shape::CopyColumns | Shape::CopyPositional | Shape::Truncate);
        (0..self.shapes.len())
            .filter(|i| preparable(self.shapes[*i].shape) && !self.left_out(*i, writes_only, except))
            .filter(|i| session.run(&format!("PREPARE airlock_{i} AS {}", self.shapes[*i].sql())).is_ok())
            .collect()
    }

    /// Columns of its relations with their types as they are now.
    pub fn types(&self, session: &mut Session) -> Types {
        let mut out = Types::new();
        for s in &self.shapes {
            if !out.contains_key(&s.relation) {
                let sql = format!(
                    "SELECT attname, atttypid::text || ' ' || atttypmod FROM pg_catalog.pg_attribute WHERE attrelid = pg_catalog.to_regclass({}) \
                     AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                    literal(&s.relation.sql())
                );
                out.insert(s.relation.clone(), session.rows(&sql).unwrap_or_default());
            }
        }
        out
    }

    /// Executes what was prepared in this session, each in a transaction that is taken back; the failures, and how many have to be
    /// prepared anew: a plan that is kept has the types of then for what it takes and gives.
    pub fn execute(&mut self, session: &mut Session, prepared: &[usize], then: &Types, except: &[String]) -> (Vec<Counterexample>, usize) {
        let (mut problems, mut stale) = (Vec::new(), 0);
        // Read through the session only where that does no harm: a catalog is read in any transaction.
        let now = self.types(session);
        for &i in prepared {
            if self.left_out(i, false, except) {
                continue;
            }
            let mut end = self.execute_one(session, i, 0);
            for pick in OTHER_ROWS {
                if end.as_ref().err().is_some_and(|e| e.sqlstate.starts_with("23")) {
                    end = self.execute_one(session, i, pick);
                }
            }
            let shape = &self.shapes[i];
            let retyped = now.get(&shape.relation) != then.get(&shape.relation);
            match end {
                Err(e) if e.is("0A000") && (retyped || returns_all(shape.shape)) => stale += 1,
                // 42804: a parameter was given the type that the column had.
                Err(e) if e.is("42804") && retyped => stale += 1,
                Err(e) if !self.refused_anyway(i, &e) => {
                    problems.push(Counterexample::refused(format!("prepared {}", self.name(i)), &e, &self.last));
                }
                _ => {}
            }
        }
        (problems, stale)
    }

    fn execute_one(&mut self, session: &mut Session, i: usize, pick: u64) -> Result<u64, SqlError> {
        let values = self.values(session, i, pick, false);
        self.last = self.shapes[i].fill(&values);
        let given: Vec<String> = values.iter().map(|v| v.as_ref().map_or("NULL".into(), |v| literal(v))).collect();
        let arguments = if given.is_empty() { String::new() } else { format!("({})", given.join(", ")) };
        // In a transaction that is open it goes back to a savepoint.
        let inside = session.run("SAVEPOINT airlock_held").is_ok();
        if !inside {
            session.run("BEGIN")?;
        }
        let done = session.run(&format!("EXECUTE airlock_{i}{arguments}"));
        let _ = session.run(if inside { "ROLLBACK TO SAVEPOINT airlock_held" } else { "ROLLBACK" });
        done
    }

    /// What it keeps in step it gives in the same statement.
    fn say_the_same(&self, session: &mut Session, i: usize, values: &mut [Option<String>]) {
        let shape = &self.shapes[i];
        let Some(rel) = self.own.relation_named(&shape.relation.schema, &shape.relation.name) else { return };
        let of = |column: &str| shape.params.iter().position(|p| !p.finds && p.column.as_deref() == Some(column));
        for w in self.writes.iter().filter(|w| RelName::new(&w.schema, &w.table) == shape.relation).flat_map(|w| &w.columns) {
            let Some(at) = of(&w.column) else { continue };
            let row = rel.columns.iter().map(|c| {
                let value = of(&c.name).and_then(|p| values[p].as_deref()).map_or("NULL".into(), literal);
                format!("{value}::{} AS {}", type_sql(&self.own, &c.ty), ident(&c.name))
            });
            let sql = format!("SELECT ({})::text FROM (SELECT {}) AS airlock_t", w.value, row.collect::<Vec<_>>().join(", "));
            if let Ok(value) = session.value(&sql) {
                values[at] = value;
            }
        }
    }
}

/// The rows of this transaction get what release N writes into them.
fn keeps_in_step(w: &Writes) -> String {
    let set: Vec<String> = w.columns.iter().map(|c| format!("{} = {}", ident(&c.column), c.value)).collect();
    let on = RelName::new(&w.schema, &w.table);
    format!("UPDATE {} AS airlock_t SET {} WHERE xmin = pg_catalog.pg_current_xact_id()::xid", on.sql(), set.join(", "))
}

/// A line of COPY's text format.
fn copy_line(values: &[Option<String>]) -> String {
    let cell = |v: &Option<String>| v.as_ref().map_or("\\N".into(), |v| v.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n"));
    format!("{}\n", values.iter().map(cell).collect::<Vec<String>>().join("\t"))
}
