//! Views and materialized views.

use crate::op::{CreateView, FromItem, Name, ObjectKind, Persistence, QName, Query, QueryBody};

use super::apply::{Applied, Res, fails};
use super::names::clip;
use super::query::OutColumn;
use super::{Catalog, Column, Id, RelKind, Relation, View};

impl Catalog {
    pub(super) fn create_view(&mut self, v: &CreateView) -> Res<Applied> {
        let kind = if v.materialized { RelKind::MaterializedView } else { RelKind::View };
        // The query is read before anything is asked of the name.
        let analyzed = self.analyze(&v.query)?;
        let bases: Vec<_> = analyzed.columns.iter().map(|c| c.base.clone()).collect();
        let columns = named_columns(analyzed.columns, &v.columns, "42601", "CREATE VIEW specifies more column names than columns")?;
        // What reads a temporary relation is temporary itself.
        let over_temporary = analyzed.depends.iter().any(|(id, _)| self.temporary.contains(id));
        if over_temporary && v.materialized {
            return Err(fails("0A000", "materialized views must not use temporary tables or views"));
        }
        let temporary = v.temporary || over_temporary;
        let schema = self.creation_schema(&v.name, temporary)?;
        let name = clip(v.name.as_str());
        let old = self.relation_named(&schema, &name).filter(|r| !r.assumed).cloned();
        if let Some(old) = &old {
            if v.if_not_exists {
                return Ok(Applied::skipped());
            }
            if !v.or_replace {
                return Err(fails("42P07", format!("relation \"{name}\" already exists")));
            }
            if old.kind != kind {
                return Err(fails("42809", format!("\"{name}\" is not a view")));
            }
        }
        let view = View {
            updatable: !v.materialized && is_updatable(&v.query),
            query: v.query.clone(),
            depends: analyzed.depends,
            functions: analyzed.functions,
            types: analyzed.types,
            bases,
            populated: v.with_data,
        };
        if let Some(old) = old {
            return self.replace_view(&old, view, columns, v);
        }
        let persistence = if temporary { Persistence::Temporary } else { Persistence::Permanent };
        let written = QName { schema: Some(super::partitions::made_up(&schema)), name: v.name.name.clone() };
        let Some((schema, name)) = self.new_relation_name(&written, persistence, v.if_not_exists)? else {
            return Ok(Applied::skipped());
        };
        let id = self.fresh();
        let mut rel = Relation::empty(id, schema, name, kind, self.now);
        rel.persistence = persistence;
        rel.options = view_options(v);
        rel.owner = self.current_role();
        // Its columns cannot all be told when `*` stands for unknown ones.
        rel.assumed = analyzed.open;
        for c in columns {
            rel.push_column(Column::new(c.name, c.ty, self.now));
        }
        rel.view = Some(view);
        self.put(rel);
        self.default_grants(id, ObjectKind::Table);
        Ok(Applied::created(id))
    }

    fn replace_view(&mut self, old: &Relation, view: View, columns: Vec<OutColumn>, v: &CreateView) -> Res<Applied> {
        if columns.len() < old.columns.len() {
            return Err(fails("42P16", "cannot drop columns from view"));
        }
        for (o, n) in old.columns.iter().zip(&columns) {
            if o.name != n.name {
                return Err(fails("42P16", format!("cannot change name of view column \"{}\" to \"{}\"", o.name, n.name)));
            }
            if o.ty != n.ty && !o.ty.is_unknown() && !n.ty.is_unknown() {
                let message = format!("cannot change data type of view column \"{}\" from {} to {}", o.name, o.ty, n.ty);
                // Types of expressions are inferred here, not read from Postgres.
                let inferred = n.base.is_none();
                return Err(fails("42P16", message).unless(inferred));
            }
        }
        let now = self.now;
        self.edit(old.id, |r| {
            for c in columns.into_iter().skip(r.columns.len()) {
                r.push_column(Column::new(c.name, c.ty, now));
            }
            r.view = Some(view);
            r.options = view_options(v);
        });
        Ok(Applied::default())
    }

    pub(super) fn refresh_view(&mut self, name: &QName, concurrently: bool, with_data: bool) -> Res<Applied> {
        let id = self.need_relation_of(name, RelKind::MaterializedView)?;
        let Some(rel) = self.relation(id) else { return Ok(Applied::default()) };
        if rel.kind != RelKind::MaterializedView && !rel.assumed {
            return Err(fails("42809", format!("\"{}\" is not a materialized view", rel.name)));
        }
        if concurrently && !rel.assumed {
            let usable = self.indexes_of(id).iter().any(|r| {
                r.index.as_ref().is_some_and(|i| i.unique && i.valid && i.filter.is_none() && i.columns.iter().all(Option::is_some))
            });
            if !usable {
                let message = format!("cannot refresh materialized view \"{}.{}\" concurrently", rel.schema, rel.name);
                return Err(fails("55000", message));
            }
            if rel.view.as_ref().is_some_and(|v| !v.populated) {
                return Err(fails("0A000", "CONCURRENTLY cannot be used when the materialized view is not populated"));
            }
        }
        if with_data && let Some(v) = self.relation(id).and_then(|r| r.view.clone()) {
            let below: Vec<Id> = v.depends.iter().map(|(id, _)| *id).collect();
            self.refuse_unpopulated_below(below)?;
        }
        self.edit(id, |r| {
            if let Some(v) = &mut r.view {
                v.populated = with_data;
            }
        });
        Ok(Applied::default())
    }

    /// A bare column of a view, followed down to the table that holds it.
    pub fn base_of(&self, view: Id, column: &str) -> Option<(Id, String)> {
        let (mut id, mut name) = (view, column.to_string());
        for _ in 0..32 {
            let rel = self.relation(id)?;
            let Some(v) = &rel.view else { return Some((id, name)) };
            let i = rel.columns.iter().position(|c| c.name == name)?;
            (id, name) = v.bases.get(i)?.clone()?;
        }
        None
    }
}

fn view_options(v: &CreateView) -> crate::op::Options {
    let mut options = v.options.clone();
    if v.check_option && !options.iter().any(|(k, _)| k == "check_option") {
        options.push(("check_option".to_string(), Some("cascaded".to_string())));
    }
    options
}

/// Column names as the statement gives them, else as the query does; no name twice.
pub(super) fn named_columns(mut columns: Vec<OutColumn>, names: &[Name], state: &'static str, too_many: &str) -> Res<Vec<OutColumn>> {
    if names.len() > columns.len() && !columns.is_empty() {
        return Err(fails(state, too_many).maybe());
    }
    for (c, n) in columns.iter_mut().zip(names) {
        c.name = clip(n.as_str());
    }
    for c in &mut columns {
        if c.ty.is_unknown() && c.base.is_none() {
            c.ty.modifiers.clear();
        }
    }
    for (i, c) in columns.iter().enumerate() {
        if columns[..i].iter().any(|o| o.name == c.name) {
            return Err(fails("42701", format!("column \"{}\" specified more than once", c.name)));
        }
    }
    Ok(columns)
}

/// One table, no grouping, no set operation, nothing that makes rows of several.
fn is_updatable(q: &Query) -> bool {
    let QueryBody::Select(s) = &q.body else { return false };
    q.ctes.is_empty()
        && q.limit.is_none()
        && !s.distinct
        && s.group_by.is_empty()
        && s.having.is_none()
        && s.from.len() == 1
        && matches!(s.from[0], FromItem::Table { sample: false, .. })
        && !s.targets.iter().any(|t| {
            let mut aggregate = false;
            t.expr.walk(&mut |e| {
                if let crate::op::ExprKind::Call(c) = &e.kind {
                    aggregate |= c.window
                        || c.star
                        || matches!(
                            c.name.as_str(),
                            "count"
                                | "sum"
                                | "avg"
                                | "min"
                                | "max"
                                | "array_agg"
                                | "string_agg"
                                | "json_agg"
                                | "jsonb_agg"
                                | "bool_and"
                                | "bool_or"
                                | "generate_series"
                                | "unnest"
                        );
                }
            });
            aggregate
        })
}
