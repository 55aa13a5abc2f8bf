//! What rows have to be like so that a change takes them: what only the migration brings is told to whoever makes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::{Catalog, ConKind, Constraint, RelName, Relation};
use crate::quote::{ident, idents};

use super::error::ShadowError;
use super::seed::ForeignKey;
use super::session::Session;

#[derive(Debug, Clone, Default)]
pub struct Fitting {
    /// Values that a column is likely to be allowed, beside those that its constraints tell.
    pub hints: BTreeMap<(RelName, String), Vec<String>>,
    /// Foreign keys that a table will have.
    pub foreign_keys: BTreeMap<RelName, Vec<ForeignKey>>,
    /// What will refuse rows of a table, as the statement that brings it and the one that takes it away again.
    tighter: Vec<(RelName, String, String)>,
}

/// What was put on, and the statements that take it off.
pub(super) struct PutOn<'f>(Vec<(&'f RelName, &'f str)>);

impl PutOn<'_> {
    /// That of one table, or of all. `true`: there was something.
    pub(super) fn take_off(&mut self, session: &mut Session, table: Option<&RelName>) -> Result<bool, ShadowError> {
        let (off, stays): (Vec<_>, Vec<_>) = self.0.drain(..).partition(|(t, _)| table.is_none_or(|table| table == *t));
        self.0 = stays;
        for (_, sql) in off.iter().rev() {
            session.run(sql).map_err(ShadowError::sql("take off what the rows had to fit"))?;
        }
        Ok(!off.is_empty())
    }
}

impl Fitting {
    pub fn of(before: &Catalog, after: &Catalog) -> Fitting {
        let mut out = Fitting::default();
        for old in before.relations.values() {
            let Some(new) = after.relations.get(&old.id).filter(|n| !Arc::ptr_eq(n, old)) else { continue };
            for c in new.constraints.iter().filter(|c| !old.constraints.iter().any(|o| o.name == c.name)) {
                out.foreign_key(before, after, (old, new), c);
                out.tighter(after, old, c);
            }
            out.labels(before, after, (old, new));
        }
        for new in after.relations.values().filter(|n| !before.relations.contains_key(&n.id)) {
            let Some(index) = new.index.as_ref().filter(|i| i.unique && !i.constraint) else { continue };
            if let Some(table) = before.relation(index.table) {
                let off = format!("DROP INDEX {}", new.rel_name().sql());
                out.tighter.extend(after.index_sql(new).map(|on| (table.rel_name(), on, off)));
            }
        }
        out
    }

    /// Puts on what will refuse rows, so that the server judges them by it already. What cannot be there yet is left out.
    pub(super) fn put_on(&self, session: &mut Session) -> PutOn<'_> {
        PutOn(self.tighter.iter().filter(|(_, on, _)| session.run(on).is_ok()).map(|(table, _, off)| (table, off.as_str())).collect())
    }

    /// References that the migration brings: rows that it takes have them already.
    fn foreign_key(&mut self, before: &Catalog, after: &Catalog, (old, new): (&Relation, &Relation), c: &Constraint) {
        let ConKind::ForeignKey { columns, table, ref_columns, .. } = &c.kind else { return };
        let (Some(target), Some(named)) = (before.relation(*table), after.relation(*table)) else { return };
        // By the names that the columns have before.
        let was = |now: &Relation, then: &Relation, names: &[String]| -> Option<Vec<String>> {
            let one = |n: &String| then.columns.iter().find(|c| now.column(n).is_some_and(|k| k.attnum == c.attnum));
            names.iter().map(|n| one(n).map(|c| c.name.clone())).collect()
        };
        if let (Some(columns), Some(ref_columns)) = (was(new, old, columns), was(named, target, ref_columns)) {
            let key = ForeignKey { columns, table: target.rel_name(), ref_columns };
            self.foreign_keys.entry(old.rel_name()).or_default().push(key);
        }
    }

    fn tighter(&mut self, after: &Catalog, old: &Relation, c: &Constraint) {
        let words = match &c.kind {
            ConKind::Check { .. } | ConKind::Unique { .. } | ConKind::Exclude { .. } => after.constraint_definition(c, false),
            // A primary key that goes leaves NOT NULL behind.
            ConKind::PrimaryKey { columns, .. } => format!("CONSTRAINT {} UNIQUE ({})", ident(&c.name), idents(columns)),
            ConKind::NotNull { .. } | ConKind::ForeignKey { .. } => return,
        };
        let table = old.rel_name().sql();
        let on = format!("ALTER TABLE {table} ADD {words}");
        self.tighter.push((old.rel_name(), on, format!("ALTER TABLE {table} DROP CONSTRAINT {}", ident(&c.name))));
    }

    /// Texts that the new type of a column takes, where not every text is one.
    fn labels(&mut self, before: &Catalog, after: &Catalog, (old, new): (&Relation, &Relation)) {
        for c in &old.columns {
            let Some(now) = new.columns.iter().find(|n| n.attnum == c.attnum && n.ty != c.ty) else { continue };
            let values = crate::compat::boundary_values(after, &now.ty).into_iter();
            let values: Vec<String> = values.filter(|v| crate::compat::accept(before, &c.ty, v).is_ok()).collect();
            if !values.is_empty() {
                self.hints.insert((old.rel_name(), c.name.clone()), values);
            }
        }
    }
}
