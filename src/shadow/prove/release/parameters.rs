//! Values for the parameters of a release's statements, and what binds them.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, ConKind, Id, RelName, Relation};
use crate::compat::Shape;
use crate::plan::Release;
use crate::quote::{ident, idents};

use super::super::super::session::Session;
use super::Player;

impl Player {
    /// Values for its parameters: of a row that is there where that fits, new ones where a key must be new. `pick` chooses the row.
    /// What `stays` must not keep the migration itself from its end.
    pub(super) fn values(&mut self, session: &mut Session, i: usize, pick: u64, stays: bool) -> Vec<Option<String>> {
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
            let known = catalog.relation_named(&shape.relation.schema, &shape.relation.name);
            let known: BTreeSet<(RelName, String)> = known.map(|r| bound_columns(r, None)).into_iter().flatten().collect();
            let bound = if stays { &self.bound } else { &known };
            for (p, v) in shape.params.iter().zip(&mut values) {
                if p.column.as_ref().is_some_and(|c| bound.contains(&(shape.relation.clone(), c.clone()))) {
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
}

/// Foreign keys: the table that is referred to, the one that refers, and by which columns.
pub(super) fn references(catalog: &Catalog) -> BTreeSet<(Id, Id, Vec<u16>)> {
    let constraints = catalog.relations.values().flat_map(|r| r.constraints.iter().map(move |c| (r, c)));
    let keys = constraints.filter_map(|(r, c)| match &c.kind {
        ConKind::ForeignKey { table, columns, .. } => {
            Some((*table, r.id, columns.iter().filter_map(|n| r.column(n)).map(|c| c.attnum).collect()))
        }
        _ => None,
    });
    keys.collect()
}

/// Columns of a table that its constraints bind, in this schema or in the other one.
pub(super) fn bound_columns(own: &Relation, other: Option<&Relation>) -> Vec<(RelName, String)> {
    let columns = |r: &Relation| -> Vec<u16> {
        let named = r.constraints.iter().flat_map(|c| match &c.kind {
            ConKind::Check { columns, .. } => columns.as_slice(),
            ConKind::NotNull { .. } => &[],
            k => k.columns(),
        });
        named.filter_map(|name| r.column(name)).map(|c| c.attnum).collect()
    };
    let numbers: Vec<u16> = columns(own).into_iter().chain(other.map(columns).into_iter().flatten()).collect();
    own.columns.iter().filter(|c| numbers.contains(&c.attnum)).map(|c| (own.rel_name(), c.name.clone())).collect()
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
