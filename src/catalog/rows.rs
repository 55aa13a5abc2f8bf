//! Rows that the history itself inserts with plain values: seed data.
//!
//! Nothing about the schema depends on them. They let a known query be judged on values (a duplicate, a missing parent) where
//! a history or a `--schema` file brings data along. What is not a plain value is kept as unknown, and a table that is written
//! to in a way that is not followed is forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::op::{AlterAction, Dml, DmlKind, Expr, ExprKind, FromItem, InsertSource, Op, OpKind, QName, Query, QueryBody};

use super::{Catalog, Id, Relation};

/// More than these are not kept: seed data is small, and a data migration must not cost memory.
const MAX_ROWS: usize = 100;

/// The rows of one table that are known, in the order in which they were inserted.
pub type KnownRows = Vec<Arc<KnownRow>>;

/// Attribute number → value in text form. A column that was added later has no entry.
pub type KnownRow = BTreeMap<u16, Cell>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    Null,
    Value(String),
    Unknown,
}

impl Catalog {
    /// Follows what an operation does to known rows. Called after it was applied.
    pub(super) fn track_rows(&mut self, op: &Op) {
        if op.conditional {
            return;
        }
        match &op.kind {
            OpKind::Dml(d) => self.track_dml(d),
            OpKind::Truncate { tables, .. } => {
                for (t, _) in tables {
                    if let Some(id) = self.row_table(t).map(|r| r.id) {
                        self.rows.remove(&id);
                    }
                }
            }
            // Which rows went with the partition is not followed.
            OpKind::Alter { target, action: AlterAction::DetachPartition { .. } } => {
                if let Some(id) = self.row_table(&target.name).map(|r| r.id) {
                    self.rows.remove(&id);
                }
            }
            OpKind::Alter { target, action: AlterAction::SetType { column, using: Some(using), .. } } => {
                let cell = plain(using);
                // `USING c::t` keeps the text; anything else is a new value or not known.
                if cell == Cell::Unknown && matches!(&strip(using).kind, ExprKind::Column(_)) {
                    return;
                }
                let Some(rel) = self.row_table(&target.name).cloned() else { return };
                let Some(attnum) = rel.column(column.as_str()).map(|c| c.attnum) else { return };
                self.change(rel.id, |row| {
                    row.insert(attnum, cell.clone());
                });
            }
            _ => {}
        }
    }

    fn track_dml(&mut self, d: &Dml) {
        let Some(rel) = self.row_table(&d.table).cloned() else { return };
        match &d.kind {
            DmlKind::Insert { columns, source, on_conflict: None, .. } => {
                let names: Vec<String> = match columns {
                    Some(c) => c.iter().map(|n| n.value.clone()).collect(),
                    None => rel.columns.iter().map(|c| c.name.clone()).collect(),
                };
                let rows = match source {
                    InsertSource::Default => vec![Vec::new()],
                    InsertSource::Query(q) => match self.inserted(q) {
                        Some(rows) => rows,
                        None => {
                            self.rows.remove(&rel.id);
                            return;
                        }
                    },
                };
                for values in rows {
                    self.insert_known(&rel, &names, values);
                }
            }
            DmlKind::Update { set } => {
                let cells: Vec<(u16, Option<Cell>)> = set
                    .iter()
                    .flat_map(|a| a.columns.iter().map(move |c| (c, &a.value, a.columns.len())))
                    .filter_map(|(c, v, n)| {
                        let attnum = rel.column(c.as_str())?.attnum;
                        Some((attnum, (n == 1).then(|| plain(v))))
                    })
                    .collect();
                self.change(rel.id, |row| {
                    let applies = d.from.is_empty().then(|| d.filter.as_ref().map_or(Some(true), |f| holds(&rel, row, f))).flatten();
                    for (attnum, cell) in &cells {
                        match applies {
                            Some(false) => {}
                            Some(true) => {
                                row.insert(*attnum, cell.clone().unwrap_or(Cell::Unknown));
                            }
                            None => {
                                row.insert(*attnum, Cell::Unknown);
                            }
                        }
                    }
                });
            }
            DmlKind::Delete if d.from.is_empty() => {
                if let Some(rows) = self.rows.get(&rel.id).cloned() {
                    let verdict = |row: &KnownRow| d.filter.as_ref().map_or(Some(true), |f| holds(&rel, row, f));
                    let kept: Option<KnownRows> = rows
                        .iter()
                        .map(|r| verdict(r).map(|gone| (!gone).then(|| r.clone())))
                        .collect::<Option<Vec<_>>>()
                        .map(|v| v.into_iter().flatten().collect());
                    match kept {
                        Some(rows) => self.rows.insert(rel.id, Arc::new(rows)),
                        None => self.rows.remove(&rel.id),
                    };
                }
            }
            _ => {
                self.rows.remove(&rel.id);
            }
        }
    }

    /// The values of VALUES, or of a plain `SELECT … FROM known_table`.
    fn inserted(&self, q: &Query) -> Option<Vec<Vec<Option<Cell>>>> {
        if !q.ctes.is_empty() {
            return None;
        }
        match &q.body {
            QueryBody::Values(rows) => Some(rows.iter().take(MAX_ROWS).map(|r| r.iter().map(given).collect()).collect()),
            QueryBody::Select(s) if s.from.is_empty() => Some(vec![s.targets.iter().map(|t| given(&t.expr)).collect()]),
            QueryBody::Select(s) if s.filter.is_none() && s.group_by.is_empty() && !s.distinct && q.limit.is_none() => {
                let [FromItem::Table { name, .. }] = s.from.as_slice() else { return None };
                let from = self.row_table(name)?;
                let rows = self.rows.get(&from.id)?;
                let cell = |row: &KnownRow, e: &Expr| match &strip(e).kind {
                    ExprKind::Column(p) => {
                        let attnum = p.last().and_then(|n| from.column(n.as_str())).map(|c| c.attnum);
                        Some(attnum.and_then(|a| row.get(&a)).cloned().unwrap_or(Cell::Unknown))
                    }
                    _ => given(e),
                };
                let expand = |row: &KnownRow| {
                    let mut out = Vec::new();
                    for t in &s.targets {
                        match &t.expr.kind {
                            ExprKind::Star(_) => {
                                out.extend(from.columns.iter().map(|c| Some(row.get(&c.attnum).cloned().unwrap_or(Cell::Unknown))))
                            }
                            _ => out.push(cell(row, &t.expr)),
                        }
                    }
                    out
                };
                Some(rows.iter().map(|r| expand(r)).collect())
            }
            _ => None,
        }
    }

    fn insert_known(&mut self, rel: &Relation, names: &[String], values: Vec<Option<Cell>>) {
        let have = self.rows.get(&rel.id).map_or(0, |r| r.len());
        if have >= MAX_ROWS {
            return;
        }
        let mut row = KnownRow::new();
        for (i, c) in rel.columns.iter().enumerate() {
            let said = names.iter().position(|n| *n == c.name).and_then(|p| values.get(p).cloned()).flatten();
            let cell = said.unwrap_or_else(|| match &c.default {
                // Sequences count from one; a history that sets them otherwise only makes these less exact.
                _ if c.serial.is_some() || c.identity.is_some() => Cell::Value((have + 1).to_string()),
                Some(e) if e.text.to_ascii_lowercase().contains("nextval") => Cell::Value((have + 1).to_string()),
                Some(e) => plain(e),
                None if c.generated.is_some() => Cell::Unknown,
                None => Cell::Null,
            });
            let _ = i;
            row.insert(c.attnum, cell);
        }
        let mut rows = self.rows.get(&rel.id).map_or_else(Vec::new, |r| r.to_vec());
        rows.push(Arc::new(row));
        self.rows.insert(rel.id, Arc::new(rows));
    }

    /// A label of an enum is called otherwise, and is the same value.
    pub(super) fn rename_in_rows(&mut self, ty: Id, from: &str, to: &str) {
        let columns: Vec<(Id, u16)> = self
            .columns_of_type(ty)
            .into_iter()
            .filter_map(|(r, c)| Some((r.id, r.column(c).filter(|c| !c.ty.is_array())?.attnum)))
            .collect();
        for (table, attnum) in columns {
            self.change(table, |row| {
                if let Some(cell) = row.get_mut(&attnum).filter(|cell| **cell == Cell::Value(from.to_string())) {
                    *cell = Cell::Value(to.to_string());
                }
            });
        }
    }

    fn change(&mut self, table: Id, f: impl Fn(&mut KnownRow)) {
        let Some(rows) = self.rows.get(&table) else { return };
        let changed = rows.iter().map(|r| {
            let mut row = KnownRow::clone(r);
            f(&mut row);
            Arc::new(row)
        });
        let changed: KnownRows = changed.collect();
        self.rows.insert(table, Arc::new(changed));
    }

    fn row_table(&self, name: &QName) -> Option<&Arc<Relation>> {
        match name.schema_str() {
            Some(s) => self.relation_named(s, name.as_str()),
            None => self.search_path.iter().find_map(|s| self.relation_named(s, name.as_str())),
        }
    }
}

fn strip(e: &Expr) -> &Expr {
    match &e.kind {
        ExprKind::Cast { expr, .. } => strip(expr),
        _ => e,
    }
}

/// A value as given in VALUES; `None` is DEFAULT.
fn given(e: &Expr) -> Option<Cell> {
    if e.text.trim().eq_ignore_ascii_case("default") { None } else { Some(plain(e)) }
}

fn plain(e: &Expr) -> Cell {
    match &strip(e).kind {
        ExprKind::Null => Cell::Null,
        ExprKind::Bool(b) => Cell::Value(b.to_string()),
        ExprKind::Number(n) => Cell::Value(n.clone()),
        ExprKind::String(s) => Cell::Value(s.clone()),
        ExprKind::Unary { op, expr } if op == "-" => match plain(expr) {
            Cell::Value(n) => Cell::Value(format!("-{n}")),
            other => other,
        },
        _ => Cell::Unknown,
    }
}

/// `c = value`, `c IS [NOT] NULL`; anything else cannot be told.
fn holds(rel: &Relation, row: &KnownRow, filter: &Expr) -> Option<bool> {
    let cell = |e: &Expr| match &strip(e).kind {
        ExprKind::Column(p) => {
            let c = p.last().and_then(|n| rel.column(n.as_str()))?;
            Some(row.get(&c.attnum).cloned().unwrap_or(Cell::Unknown))
        }
        _ => Some(plain(e)),
    };
    match &filter.kind {
        ExprKind::IsNull { expr, negated } => match cell(expr)? {
            Cell::Unknown => None,
            c => Some((c == Cell::Null) != *negated),
        },
        ExprKind::Binary { op, left, right } if op == "=" => match (cell(left)?, cell(right)?) {
            (Cell::Unknown, _) | (_, Cell::Unknown) => None,
            (Cell::Null, _) | (_, Cell::Null) => Some(false),
            (a, b) => Some(a == b),
        },
        ExprKind::Binary { op, left, right } if op.eq_ignore_ascii_case("and") => match (holds(rel, row, left), holds(rel, row, right)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        },
        _ => None,
    }
}
