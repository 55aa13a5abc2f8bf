//! What a migration does to the tables that were there, from its beginning to its end.
//!
//! A file may say in five statements what is one change of one column. Recipes plan the net change; the operations that make it up are
//! absorbed, and what is left over stands by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::{Catalog, Column, Constraint, Id, Relation};
use crate::effects::{Sent, predict};
use crate::lower::lower_text;
use crate::op::{AlterAction, ConstraintKind, DmlKind, Expr, ExprKind, Op, OpKind, QName};
use crate::quote::{ident, qualified};
use crate::replay::ReplayedScript;
use crate::source::Span;

use super::blocks::type_sql;

/// One operation of the file, by statement and place in it.
pub type OpAt = (usize, usize);

#[derive(Debug, Clone)]
pub struct TableChange {
    pub before: Arc<Relation>,
    pub after: Arc<Relation>,
    /// In the order of the columns; those that no recipe has to do with are left out.
    pub columns: Vec<ColumnChange>,
    pub key: Option<KeyChange>,
}

/// The primary key goes, comes, or is another one.
#[derive(Debug, Clone)]
pub struct KeyChange {
    pub before: Option<Constraint>,
    pub after: Option<Constraint>,
    /// The index that the file makes it of.
    pub using: Option<String>,
    pub span: Span,
}

#[derive(Debug, Clone)]
pub struct ColumnChange {
    pub before: Option<Column>,
    pub after: Option<Column>,
    pub kind: ColumnKind,
    /// The words that a question or a refusal points at.
    pub span: Span,
    /// USING of the file's own ALTER COLUMN … TYPE, in terms of the old columns.
    pub using: Option<String>,
    /// The file's own UPDATE of this column: the value in terms of the row's columns.
    pub filled_by: Option<Fill>,
}

/// `UPDATE t SET column = value WHERE filter`, of one row at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Fill {
    pub value: String,
    pub filter: Option<String>,
    /// Columns of the row that it reads.
    pub reads: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// A new column that must be given and is not by itself.
    AddRequired,
    Drop,
    /// A second column is needed: another name, another representation, or both.
    Pair {
        renamed: bool,
        retyped: bool,
    },
    /// The column stays as it is but for NOT NULL.
    Tighten,
}

/// The net changes, and which operations they absorb.
pub struct Changes {
    pub tables: Vec<TableChange>,
    absorbed: BTreeMap<OpAt, Id>,
}

impl Changes {
    pub fn of(script: &ReplayedScript) -> Changes {
        let mut out = Changes { tables: Vec::new(), absorbed: BTreeMap::new() };
        // In the order in which the file first speaks of them.
        let mut seen: Vec<Id> = Vec::new();
        for r in &script.statements {
            for op in &r.statement.ops {
                let id = altered(op).and_then(|t| r.before.relation_by(t)).map(|t| t.id);
                if let Some(id) = id.filter(|id| !seen.contains(id)) {
                    seen.push(id);
                }
            }
        }
        for id in seen {
            let (Some(before), Some(after)) = (script.before.relations.get(&id), script.after.relations.get(&id)) else { continue };
            if before.kind.is_table() && !before.assumed {
                out.table(script, before, after);
            }
        }
        out
    }

    /// The table whose net change the operation is part of.
    pub fn absorbs(&self, at: OpAt) -> Option<Id> {
        self.absorbed.get(&at).copied()
    }

    fn table(&mut self, script: &ReplayedScript, before: &Arc<Relation>, after: &Arc<Relation>) {
        let mut columns = Vec::new();
        let numbers: std::collections::BTreeSet<u16> = before.columns.iter().chain(&after.columns).map(|c| c.attnum).collect();
        for n in numbers {
            let old = before.columns.iter().find(|c| c.attnum == n);
            let new = after.columns.iter().find(|c| c.attnum == n);
            let story = story(script, before.id, n);
            let Some(kind) = kind(script, before, old, new) else { continue };
            let first = story.first().and_then(|at| op_at(script, *at));
            let mut change = ColumnChange {
                before: old.cloned(),
                after: new.cloned(),
                kind,
                span: first.map_or_else(Span::default, |o| o.span),
                using: None,
                filled_by: None,
            };
            for at in &story {
                if let Some(OpKind::Alter { action: AlterAction::SetType { using, .. }, .. }) = op_at(script, *at).map(|o| &o.kind) {
                    change.using = using.as_ref().map(|u| u.text.clone());
                }
            }
            for (at, fill) in fills(script, before.id, n) {
                // One UPDATE says how; a second one would have to be played after the first.
                if change.filled_by.is_none() {
                    change.filled_by = Some(fill);
                    self.absorbed.insert(at, before.id);
                }
            }
            self.absorbed.extend(story.into_iter().map(|at| (at, before.id)));
            columns.push(change);
        }
        let key = self.key(script, before, after);
        if !columns.is_empty() || key.is_some() {
            self.tables.push(TableChange { before: before.clone(), after: after.clone(), columns, key });
        }
    }

    /// ADD and DROP of the primary key, by statements of their own.
    fn key(&mut self, script: &ReplayedScript, before: &Arc<Relation>, after: &Arc<Relation>) -> Option<KeyChange> {
        let (old, new) = (before.primary_key(), after.primary_key());
        let mut out = KeyChange { before: old.cloned(), after: new.cloned(), using: None, span: Span::default() };
        let mut ops = Vec::new();
        for (s, r) in script.statements.iter().enumerate() {
            for (o, op) in r.statement.ops.iter().enumerate() {
                let OpKind::Alter { target, action } = &op.kind else { continue };
                if op.conditional || r.before.relation_by(&target.name).is_none_or(|t| t.id != before.id) {
                    continue;
                }
                let adds = match action {
                    AlterAction::DropConstraint { name, cascade: false, .. } if old.is_some_and(|k| k.name == name.as_str()) => false,
                    AlterAction::AddConstraint(c) => match &c.kind {
                        ConstraintKind::PrimaryKey { using_index, .. } => {
                            out.using = using_index.as_ref().map(|n| n.as_str().to_string());
                            true
                        }
                        _ => continue,
                    },
                    _ => continue,
                };
                if !adds || ops.is_empty() {
                    out.span = op.span;
                }
                ops.push((s, o));
            }
        }
        if ops.is_empty() || old.is_some_and(|k| new.is_some_and(|n| n.name == k.name && n.kind == k.kind)) {
            return None;
        }
        self.absorbed.extend(ops.into_iter().map(|at| (at, before.id)));
        Some(out)
    }
}

fn op_at(script: &ReplayedScript, (s, o): OpAt) -> Option<&Op> {
    script.statements.get(s)?.statement.ops.get(o)
}

fn altered(op: &Op) -> Option<&QName> {
    match &op.kind {
        OpKind::Alter { target, .. } => Some(&target.name),
        _ => None,
    }
}

/// Operations about one column of one table, in order: add, drop, rename, type, default, NOT NULL.
fn story(script: &ReplayedScript, table: Id, attnum: u16) -> Vec<OpAt> {
    use AlterAction as A;
    let mut out = Vec::new();
    for (s, r) in script.statements.iter().enumerate() {
        for (o, op) in r.statement.ops.iter().enumerate() {
            let OpKind::Alter { target, action } = &op.kind else { continue };
            if op.conditional || r.before.relation_by(&target.name).is_none_or(|t| t.id != table) {
                continue;
            }
            let name = match action {
                A::AddColumn { column, .. } => &column.name,
                A::DropColumn { column, .. }
                | A::SetDefault { column, .. }
                | A::DropDefault { column }
                | A::SetNotNull { column }
                | A::DropNotNull { column }
                | A::SetType { column, .. } => column,
                A::RenameColumn { from, .. } => from,
                _ => continue,
            };
            // A new column has its number after the statement; an old one had it before.
            let at = |c: &Catalog| c.relation(table).and_then(|t| t.column(name.as_str())).map(|c| c.attnum);
            if at(&r.before).or_else(|| at(&r.after)) == Some(attnum) {
                out.push((s, o));
            }
        }
    }
    out
}

fn kind(script: &ReplayedScript, table: &Relation, old: Option<&Column>, new: Option<&Column>) -> Option<ColumnKind> {
    match (old, new) {
        (None, Some(n)) => {
            let filled = n.default.is_some() || n.identity.is_some() || n.generated.is_some() || n.serial.is_some();
            (n.not_null && !filled).then_some(ColumnKind::AddRequired)
        }
        (Some(_), None) => Some(ColumnKind::Drop),
        (Some(o), Some(n)) => {
            let renamed = o.name != n.name;
            let retyped = o.ty != n.ty && rewrites(script, table, o, n);
            if renamed || retyped {
                return Some(ColumnKind::Pair { renamed, retyped });
            }
            (n.not_null && !o.not_null).then_some(ColumnKind::Tighten)
        }
        (None, None) => None,
    }
}

/// Whether the change of type, by itself, rewrites the table or breaks a statement of N-1.
fn rewrites(script: &ReplayedScript, table: &Relation, old: &Column, new: &Column) -> bool {
    // Asked of the schema in which the new type has its last name.
    let mut catalog = script.before.clone();
    for r in &script.statements {
        for op in r.statement.ops.iter().filter(|o| matches!(o.kind, OpKind::CreateEnum { .. } | OpKind::CreateDomain { .. })) {
            let statement = r.statement.only(op);
            catalog.apply_statement(&statement);
        }
    }
    let sql = format!(
        "ALTER TABLE {} ALTER COLUMN {} TYPE {}",
        qualified(&table.schema, &table.name),
        ident(&old.name),
        type_sql(&catalog, &new.ty)
    );
    let statement = lower_text(&sql);
    let Some(s) = statement.first() else { return true };
    let effects = predict(s, &catalog, Sent { pg: catalog.pg, in_transaction: true });
    if effects.fails.is_some() || !effects.rewrites.is_empty() {
        return true;
    }
    let before = catalog.clone();
    catalog.apply_statement(s);
    let ops: Vec<&Op> = s.ops.iter().collect();
    crate::compat::predict(&ops, &before, &catalog, before.pg).breaks_code()
}

/// UPDATEs of the file that give one column of one table a value out of its own row.
fn fills(script: &ReplayedScript, table: Id, attnum: u16) -> Vec<(OpAt, Fill)> {
    let mut out = Vec::new();
    for (s, r) in script.statements.iter().enumerate() {
        for (o, op) in r.statement.ops.iter().enumerate() {
            let OpKind::Dml(d) = &op.kind else { continue };
            let DmlKind::Update { set } = &d.kind else { continue };
            let Some(rel) = r.before.relation_by(&d.table).filter(|t| t.id == table) else { continue };
            // Another table, a CTE or several columns at once are more than one row's own business.
            let [one] = set.as_slice() else { continue };
            let [column] = one.columns.as_slice() else { continue };
            if op.conditional || !d.from.is_empty() || !d.ctes.is_empty() || !d.returning.is_empty() {
                continue;
            }
            if rel.column(column.as_str()).is_none_or(|c| c.attnum != attnum) {
                continue;
            }
            let Some(mut reads) = reads(&one.value) else { continue };
            if let Some(f) = &d.filter {
                let Some(more) = self::reads(f) else { continue };
                reads.extend(more);
            }
            reads.sort();
            reads.dedup();
            out.push(((s, o), Fill { value: one.value.text.clone(), filter: d.filter.as_ref().map(|f| f.text.clone()), reads }));
        }
    }
    out
}

/// The columns that an expression reads; `None` where it looks into other rows.
pub fn reads(e: &Expr) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut own = true;
    e.walk(&mut |e| match &e.kind {
        ExprKind::Column(parts) => names.extend(parts.last().map(|n| n.value.clone())),
        ExprKind::Subquery(_) | ExprKind::Star(_) | ExprKind::Param(_) => own = false,
        _ => {}
    });
    own.then_some(names)
}
