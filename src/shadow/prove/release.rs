//! A release at work: its statements, tried and rolled back, and its writes, which stay.

use std::collections::BTreeSet;

use fastrand::Rng;

use crate::catalog::{Catalog, ConKind, Id, RelName};
use crate::compat::{Shape, ShapeSql, shapes};
use crate::plan::{Release, Writes, type_sql};
use crate::quote::{ident, idents, literal};

use super::super::error::ShadowError;
use super::super::session::{Session, SqlError};
use super::super::start::Database;
use super::held::Types;
use super::report::Counterexample;

pub struct Player {
    pub release: Release,
    /// Runs its statements as this role; as the owner of the tables unless given.
    pub role: Option<String>,
    own: Catalog,
    shapes: Vec<ShapeSql>,
    /// Fail on the release's own schema: they say nothing about the plan.
    hopeless: BTreeSet<usize>,
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
        // A table that goes may hold on to one that stays until the contract: that forbids TRUNCATE, and nothing else.
        let referenced: BTreeSet<Id> = [own, other]
            .iter()
            .flat_map(|c| c.relations.values())
            .flat_map(|r| &r.constraints)
            .filter_map(|c| match &c.kind {
                ConKind::ForeignKey { table, .. } => Some(*table),
                _ => None,
            })
            .collect();
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
        for i in 0..self.shapes.len() {
            if self.attempt(&mut session, i, 0).is_err() {
                self.hopeless.insert(i);
            }
        }
        self.reference = Some(session);
        Ok(())
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
        }
        (problems, ran)
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
        let values = self.values(session, i, pick);
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
        let all: Vec<usize> =
            (0..self.shapes.len()).filter(|i| writes(self.shapes[*i].shape) && !self.left_out(*i, false, except)).collect();
        match rng.choice(&all) {
            Some(i) => self.stay(session, *i, rng.u64(..1000)),
            None => Ok(0),
        }
    }

    fn stay(&mut self, session: &mut Session, i: usize, pick: u64) -> Result<u64, Counterexample> {
        let values = self.values(session, i, pick);
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
        let values = self.values(session, i, pick);
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

    /// Values for its parameters: of a row that is there where that fits, new ones where a key must be new. `pick` chooses the row.
    fn values(&mut self, session: &mut Session, i: usize, pick: u64) -> Vec<Option<String>> {
        let shape = &self.shapes[i];
        let catalog = &self.own;
        let on = shape.relation.sql();
        let rows: u64 = if pick == 0 {
            1
        } else {
            session.value(&format!("SELECT count(*) FROM {on}")).ok().flatten().and_then(|v| v.parse().ok()).unwrap_or(1)
        };
        let offset = pick % rows.max(1);
        // What finds a row comes from one row.
        let finds: Vec<&String> = shape.params.iter().filter(|p| p.finds).filter_map(|p| p.column.as_ref()).collect();
        let found = if finds.is_empty() {
            Vec::new()
        } else {
            let list = finds.iter().map(|c| format!("{}::text", ident(c))).collect::<Vec<_>>().join(", ");
            let known = finds.iter().map(|c| format!("{} IS NOT NULL", ident(c))).collect::<Vec<_>>().join(" AND ");
            let sql = format!("SELECT {list} FROM {on} WHERE {known} ORDER BY {} OFFSET {offset} LIMIT 1", idents(&finds));
            session.rows(&sql).ok().and_then(|r| r.into_iter().next()).unwrap_or_default()
        };
        let mut values = Vec::new();
        for p in &shape.params {
            self.count += 1;
            if p.finds
                && let Some(v) = p.column.as_ref().and_then(|c| finds.iter().position(|f| *f == c)).and_then(|at| found.get(at))
            {
                values.push(v.clone());
                continue;
            }
            let examples = p.examples(catalog);
            let fresh = || match p.ty.name.as_str() {
                // Beyond what rows and sequences use, within the smallest type that keys have.
                "integer" | "bigint" | "numeric" => Some((1_000_000 + self.count).to_string()),
                "smallint" => Some((if self.release == Release::New { 27_000 } else { 20_000 } + self.count % 5_000).to_string()),
                "uuid" => Some(format!("00000000-0000-4000-8000-{:012x}", self.count)),
                "text" | "character varying" => Some(format!("a{}", self.count)),
                _ => examples.last().cloned(),
            };
            let there = p.column.as_ref().and_then(|c| {
                let sql = format!("SELECT {0}::text FROM {on} WHERE {0} IS NOT NULL ORDER BY 1 OFFSET {offset} LIMIT 1", ident(c));
                session.rows(&sql).ok()?.into_iter().next()?.into_iter().next()?
            });
            let unique = p.column.as_ref().is_some_and(|c| self.unique.contains(&(shape.relation.clone(), c.clone())));
            values.push(match (p.key || unique) && !p.finds {
                true => fresh(),
                // What refers to another row needs one that is there.
                false => there.or_else(|| match referenced(catalog, &shape.relation, p.column.as_deref()) {
                    Some(sql) => session.rows(&sql).ok()?.into_iter().next()?.into_iter().next()?,
                    None => examples.first().cloned(),
                }),
            });
        }
        // An update that changes nothing would prove nothing.
        if shape.shape == Shape::Update {
            // What a constraint binds keeps the value of a row that is there.
            let bound: Vec<&str> = catalog
                .relation_named(&shape.relation.schema, &shape.relation.name)
                .iter()
                .flat_map(|r| &r.constraints)
                .flat_map(|c| match &c.kind {
                    ConKind::Check { columns, .. } => columns.as_slice(),
                    ConKind::NotNull { .. } => &[],
                    k => k.columns(),
                })
                .map(String::as_str)
                .collect();
            for (p, v) in shape.params.iter().zip(&mut values) {
                if p.column.as_deref().is_some_and(|c| bound.contains(&c)) {
                    continue;
                }
                if !p.key && !p.finds && matches!(p.ty.name.as_str(), "text" | "integer" | "bigint") {
                    self.count += 1;
                    *v = Some(if p.ty.name == "text" { format!("w{}", self.count) } else { (self.count % 1000).to_string() });
                }
            }
        }
        self.say_the_same(session, i, &mut values);
        values
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

/// Values that a foreign key of the column alone accepts.
fn referenced(catalog: &Catalog, relation: &RelName, column: Option<&str>) -> Option<String> {
    let rel = catalog.relation_named(&relation.schema, &relation.name)?;
    rel.constraints.iter().find_map(|c| match &c.kind {
        ConKind::ForeignKey { columns, table, ref_columns, .. } if columns.len() == 1 && Some(columns[0].as_str()) == column => {
            let other = catalog.relation(*table)?;
            Some(format!(
                "SELECT {0}::text FROM {1} WHERE {0} IS NOT NULL ORDER BY 1 LIMIT 1",
                ident(ref_columns.first()?),
                other.rel_name().sql()
            ))
        }
        _ => None,
    })
}
