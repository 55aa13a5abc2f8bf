//! Statements about rows: they change no schema, but they can fail, and the functions that they call can do anything.

use crate::op::{Dml, DmlKind, InsertSource, Name, QName, Query, QueryBody};

use super::apply::{Applied, Res, fails};
use super::{Catalog, Id, RelKind};

impl Catalog {
    /// VACUUM and ANALYZE.
    pub(super) fn maintain(&mut self, tables: &[QName], analyze: bool) -> Res<Applied> {
        let mut named = Vec::new();
        for name in tables {
            named.push(self.need_relation(name)?);
        }
        let all = tables.is_empty();
        let chosen: Vec<Id> = if all {
            self.relations.keys().copied().collect()
        } else {
            named.into_iter().flat_map(|t| self.with_descendants(t, false)).collect()
        };
        for t in chosen.into_iter().filter(|_| analyze) {
            if self.relation(t).is_some_and(|r| r.had_children) && self.children_of(t).is_empty() {
                self.edit(t, |r| r.had_children = false);
            }
        }
        Ok(Applied::default())
    }

    pub(super) fn dml(&mut self, d: &Dml, depth: u32) -> Res<Applied> {
        // A query does not tell a missing schema from a missing relation.
        if self.complete && self.resolve(&d.table).is_none() {
            return Err(self.no_relation(&d.table));
        }
        let target = self.need_relation(&d.table)?;
        if let Some(rel) = self.relation(target)
            && !rel.assumed
        {
            match rel.kind {
                RelKind::Table | RelKind::PartitionedTable | RelKind::ForeignTable | RelKind::View => {}
                RelKind::MaterializedView => {
                    return Err(fails("42809", format!("cannot change materialized view \"{}\"", rel.name)));
                }
                RelKind::Sequence => return Err(fails("42809", format!("cannot change sequence \"{}\"", rel.name))),
                _ => return Err(fails("42809", format!("cannot open relation \"{}\"", rel.name))),
            }
        }
        self.analyze_dml(d)?;
        let mut calls = Vec::new();
        d.walk_exprs(&mut |e| {
            if matches!(e.kind, crate::op::ExprKind::Call(_)) {
                calls.push(e.clone());
            }
        });
        for e in calls {
            self.run_call(&e, depth);
        }
        if let DmlKind::Insert { source: InsertSource::Query(q), .. } = &d.kind {
            self.settings_in(q);
        }
        Ok(Applied::default())
    }

    pub(super) fn query(&mut self, q: &Query, depth: u32) -> Res<Applied> {
        if let QueryBody::Select(s) = &q.body
            && s.into.is_some()
        {
            // SELECT INTO is lowered to CREATE TABLE AS; what is left here reads only.
            return Ok(Applied::default());
        }
        self.analyze(q)?;
        let mut calls = Vec::new();
        q.walk_exprs(&mut |e| {
            if matches!(e.kind, crate::op::ExprKind::Call(_)) {
                calls.push(e.clone());
            }
        });
        for e in calls {
            self.run_call(&e, depth);
        }
        self.settings_in(q);
        Ok(Applied::default())
    }

    /// The call itself, not those nested in its arguments, which are walked on their own.
    fn run_call(&mut self, e: &crate::op::Expr, depth: u32) {
        if let crate::op::ExprKind::Call(c) = &e.kind
            && let Some(id) = self.candidates(c).first().copied()
        {
            self.run(id, &c.args, depth);
        }
    }

    pub(super) fn copy(&mut self, table: Option<&QName>, columns: &[Name], query: Option<&Query>, depth: u32) -> Res<Applied> {
        if let Some(t) = table {
            let id = self.need_relation(t)?;
            for c in columns {
                self.need_column(id, c)?;
            }
        }
        if let Some(q) = query {
            self.query(q, depth)?;
        }
        Ok(Applied::default())
    }

    pub(super) fn truncate(&mut self, tables: &[(QName, bool)], cascade: bool) -> Res<Applied> {
        let mut ids: Vec<Id> = Vec::new();
        for (name, only) in tables {
            let id = self.need_relation(name)?;
            if let Some(rel) = self.relation(id)
                && !matches!(rel.kind, RelKind::Table | RelKind::PartitionedTable | RelKind::ForeignTable)
                && !rel.assumed
            {
                return Err(fails("42809", format!("\"{}\" is not a table", rel.name)));
            }
            ids.extend(self.with_descendants(id, *only));
        }
        if !cascade {
            for id in &ids {
                if self.foreign_keys_reaching(*id).iter().any(|(r, _)| !ids.contains(&r.id)) {
                    return Err(fails("0A000", "cannot truncate a table referenced in a foreign key constraint"));
                }
            }
        }
        Ok(Applied::default())
    }
}
