//! A release at work: its statements, tried and rolled back, and its writes, which stay.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, ConKind, RelName};
use crate::compat::{Shape, ShapeSql, shapes};
use crate::plan::Release;
use crate::quote::ident;

use super::super::session::Session;

pub struct Player {
    pub release: Release,
    shapes: Vec<(ShapeSql, Catalog)>,
    /// Fail on the release's own schema: they say nothing about the plan.
    hopeless: BTreeSet<usize>,
    /// Columns of unique indexes of either schema, partial ones too: two rows may not say the same.
    unique: BTreeSet<(RelName, String)>,
    count: u64,
    last: String,
}

impl Player {
    /// `own` is the schema that the release was written for.
    pub fn new(release: Release, own: &Catalog, other: &Catalog, touched: &BTreeSet<RelName>) -> Self {
        // The new release's tables may have other names: what was touched is found by identity.
        let ids: Vec<_> = touched
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
        let shapes: Vec<(ShapeSql, Catalog)> = ids
            .iter()
            .filter_map(|id| own.relation(*id))
            .flat_map(|r| shapes(own, r))
            .filter(|s| !matches!(s.shape, Shape::CopyColumns | Shape::CopyPositional | Shape::InsertPositional | Shape::Truncate))
            .map(|s| (s, own.clone()))
            .collect();
        // The releases never draw the same key.
        let count = if release == Release::New { 500_000 } else { 0 };
        Player { release, shapes, hopeless: BTreeSet::new(), unique, count, last: String::new() }
    }

    /// Which statements work on the release's own schema.
    pub fn learn(&mut self, session: &mut Session) {
        for i in 0..self.shapes.len() {
            if self.attempt(session, i).is_err() {
                self.hopeless.insert(i);
            }
        }
    }

    /// Runs every statement but those of `except` and takes it back; the failures, and how many ran.
    pub fn shapes(&mut self, session: &mut Session, writes_only: bool, except: &[String]) -> (Vec<String>, usize) {
        let mut problems = Vec::new();
        let mut ran = 0;
        for i in 0..self.shapes.len() {
            let reads = matches!(self.shapes[i].0.shape, Shape::SelectStar | Shape::SelectNamed | Shape::ReadView);
            let declared = except.contains(&format!("{} on {}", self.shapes[i].0.shape, self.shapes[i].0.relation));
            if self.hopeless.contains(&i) || declared || writes_only && reads {
                continue;
            }
            ran += 1;
            if let Err(e) = self.attempt(session, i) {
                let s = &self.shapes[i].0;
                problems.push(format!("{} on {}: {e}: {}", s.shape, s.relation, self.last));
            }
        }
        (problems, ran)
    }

    fn attempt(&mut self, session: &mut Session, i: usize) -> Result<u64, String> {
        let sql = self.text(session, i);
        self.last.clone_from(&sql);
        session.run("BEGIN").map_err(|e| e.to_string())?;
        let done = session.run(&sql).map_err(|e| e.to_string());
        let _ = session.run("ROLLBACK");
        done
    }

    /// Inserts that stay: with every column, and with only those that must be given.
    pub fn insert(&mut self, session: &mut Session) -> Result<u64, String> {
        self.write(session, &[Shape::InsertFull, Shape::InsertMinimal])
    }

    pub fn update(&mut self, session: &mut Session) -> Result<u64, String> {
        self.write(session, &[Shape::Update])
    }

    pub fn last_write(&self) -> &str {
        &self.last
    }

    fn write(&mut self, session: &mut Session, kinds: &[Shape]) -> Result<u64, String> {
        let mut written = 0;
        for i in 0..self.shapes.len() {
            if !kinds.contains(&self.shapes[i].0.shape) || self.hopeless.contains(&i) {
                continue;
            }
            let sql = self.text(session, i);
            self.last.clone_from(&sql);
            written += session.run(&sql).map_err(|e| format!("{e}: {sql}"))?;
        }
        Ok(written)
    }

    /// The statement with values: of a row that is there where that fits, new ones where a key must be new.
    fn text(&mut self, session: &mut Session, i: usize) -> String {
        let (shape, catalog) = &self.shapes[i];
        let mut values = Vec::new();
        for p in &shape.params {
            self.count += 1;
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
                let sql = format!("SELECT {0}::text FROM {1} WHERE {0} IS NOT NULL ORDER BY 1 LIMIT 1", ident(c), shape.relation.sql());
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
        shape.fill(&values)
    }
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
