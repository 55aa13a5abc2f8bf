//! A label that ALTER TYPE … ADD VALUE has added may not be used before its transaction has committed.

use crate::op::{AlterAction, ColumnDef, Dml, DmlKind, Expr, ExprKind, InsertSource, Op, OpKind, QName, Query, QueryBody};

use super::apply::{ApplyError, fails};
use super::{Catalog, Id, TypeKind};

/// A label with its type's id and name.
type Fresh = (Id, String, String);

impl Catalog {
    /// The error for an operation that uses a label of this very transaction. `check_safe_enum_use` of the server looks at every
    /// string that becomes the enum; here: defaults, written values, casts, and comparisons with a column.
    pub(super) fn unsafe_enum_use(&self, op: &Op) -> Option<ApplyError> {
        if self.enum_value_added != self.now.transaction || self.now.transaction == 0 {
            return None;
        }
        let fresh = self.fresh_labels();
        if fresh.is_empty() {
            return None;
        }
        let found = match &op.kind {
            OpKind::CreateTable(t) => t.columns.iter().find_map(|c| self.in_column(&fresh, c)),
            OpKind::Alter { action: AlterAction::AddColumn { column, .. }, .. } => self.in_column(&fresh, column),
            OpKind::Alter { target, action: AlterAction::SetDefault { column, expr } } => {
                let ty = self.relation_by(&target.name).and_then(|r| r.column(column.as_str())).and_then(|c| c.ty.id);
                ty.and_then(|ty| becomes(&fresh, expr, ty)).or_else(|| self.in_expr(&fresh, expr, &[]))
            }
            OpKind::Query(q) => self.in_query(&fresh, q),
            OpKind::CreateTableAs(t) => self.in_query(&fresh, &t.query),
            OpKind::Dml(d) => self.in_dml(&fresh, d),
            _ => None,
        };
        found.map(|(_, label, ty)| fails("55P04", format!("unsafe use of new value \"{label}\" of enum type {ty}")))
    }

    fn fresh_labels(&self) -> Vec<Fresh> {
        let mut out = Vec::new();
        for t in self.types.values() {
            let TypeKind::Enum { labels } = &t.kind else { continue };
            // Of a type that is as new as they are, all labels may be used: since 17 whatever added them, before as CREATE TYPE did.
            if t.origin.transaction == self.now.transaction && self.pg.0 >= 17 {
                continue;
            }
            for l in labels.iter().filter(|l| l.added && l.origin.transaction == self.now.transaction) {
                out.push((t.id, l.value.clone(), t.name.clone()));
            }
        }
        out
    }

    fn in_column(&self, fresh: &[Fresh], c: &ColumnDef) -> Option<Fresh> {
        let default = c.default.as_ref()?;
        self.resolve_type(&c.ty).id.and_then(|ty| becomes(fresh, default, ty)).or_else(|| self.in_expr(fresh, default, &[]))
    }

    fn in_query(&self, fresh: &[Fresh], q: &Query) -> Option<Fresh> {
        let tables: Vec<QName> = q.relations().into_iter().cloned().collect();
        let mut found = None;
        q.walk_exprs(&mut |e| found = found.take().or_else(|| self.here(fresh, e, &tables)));
        found
    }

    fn in_dml(&self, fresh: &[Fresh], d: &Dml) -> Option<Fresh> {
        let mut tables: Vec<QName> = d.reads().into_iter().cloned().collect();
        tables.push(d.table.clone());
        let mut found = self.written(fresh, &d.table, &d.kind);
        d.walk_exprs(&mut |e| found = found.take().or_else(|| self.here(fresh, e, &tables)));
        found
    }

    /// Values that are written into a column of the enum.
    fn written(&self, fresh: &[Fresh], table: &QName, kind: &DmlKind) -> Option<Fresh> {
        let rel = self.relation_by(table)?;
        let type_of = |name: &str| rel.column(name).and_then(|c| c.ty.id);
        match kind {
            DmlKind::Insert { columns, source, on_conflict, .. } => {
                let names: Vec<String> = match columns {
                    Some(c) => c.iter().map(|n| n.value.clone()).collect(),
                    None => rel.columns.iter().map(|c| c.name.clone()).collect(),
                };
                let at = |i: usize, e: &Expr| names.get(i).and_then(|n| type_of(n)).and_then(|ty| becomes(fresh, e, ty));
                let rows = match source {
                    InsertSource::Query(q) => match &q.body {
                        QueryBody::Values(rows) => rows.iter().find_map(|r| r.iter().enumerate().find_map(|(i, e)| at(i, e))),
                        QueryBody::Select(s) => s.targets.iter().enumerate().find_map(|(i, t)| at(i, &t.expr)),
                        _ => None,
                    },
                    InsertSource::Default => None,
                };
                let set = || on_conflict.iter().flat_map(|c| &c.set).find_map(|a| assigned(fresh, a, &type_of));
                rows.or_else(set)
            }
            DmlKind::Update { set } => set.iter().find_map(|a| assigned(fresh, a, &type_of)),
            DmlKind::Delete => None,
            DmlKind::Merge { actions, .. } => actions.iter().find_map(|a| self.written(fresh, table, a)),
        }
    }

    fn in_expr(&self, fresh: &[Fresh], e: &Expr, tables: &[QName]) -> Option<Fresh> {
        let mut found = None;
        e.walk(&mut |e| found = found.take().or_else(|| self.here(fresh, e, tables)));
        found
    }

    /// `'label'::type`, and `column = 'label'`.
    fn here(&self, fresh: &[Fresh], e: &Expr, tables: &[QName]) -> Option<Fresh> {
        match &e.kind {
            ExprKind::Cast { expr, ty } => self.resolve_type(ty).id.and_then(|ty| becomes(fresh, expr, ty)),
            ExprKind::Binary { left, right, .. } => {
                let column = |e: &Expr| match &e.kind {
                    ExprKind::Column(parts) => {
                        let name = parts.last()?;
                        tables.iter().find_map(|t| self.relation_by(t)?.column(name.as_str())?.ty.id)
                    }
                    _ => None,
                };
                let meets = |ty: Id, e: &Expr| {
                    let mut found = None;
                    e.walk(&mut |e| found = found.take().or_else(|| becomes(fresh, e, ty)));
                    found
                };
                column(left).and_then(|ty| meets(ty, right)).or_else(|| column(right).and_then(|ty| meets(ty, left)))
            }
            _ => None,
        }
    }
}

fn assigned(fresh: &[Fresh], a: &crate::op::Assignment, type_of: &dyn Fn(&str) -> Option<Id>) -> Option<Fresh> {
    match a.columns.as_slice() {
        [one] => type_of(one.as_str()).and_then(|ty| becomes(fresh, &a.value, ty)),
        _ => None,
    }
}

/// The string is a label of the type that may not be used yet.
fn becomes(fresh: &[Fresh], e: &Expr, ty: Id) -> Option<Fresh> {
    let ExprKind::String(s) = &e.kind else { return None };
    fresh.iter().find(|(id, label, _)| *id == ty && label == s).cloned()
}
