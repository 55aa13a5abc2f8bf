//! What a migration does to the tables that were there, from its beginning to its end.
//!
//! A file may say in five statements what is one change of one column. Recipes plan the net change; the operations that make it up are
//! absorbed, and what is left over stands by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::{Catalog, Column, Constraint, Id, Relation};
use crate::effects::{Sent, predict};
use crate::lower::lower_text;
use crate::op::{AlterAction, ConstraintKind, DmlKind, Op, OpKind, QName, Volatility};
use crate::quote::{ident, qualified};
use crate::replay::ReplayedScript;
use crate::source::Span;

use super::blocks::type_sql;
use super::order::column_of;
use super::rebuilt::{Rebuild, Under, rebuilds, unders};
use super::recipes::domains::{self, Held};
use super::rows::{Fill, Move, fills, moves};

/// One operation of the file, by statement and place in it.
pub type OpAt = (usize, usize);

#[derive(Debug, Clone)]
pub struct TableChange {
    pub before: Arc<Relation>,
    pub after: Arc<Relation>,
    /// In the order of the columns; those that no recipe has to do with are left out.
    pub columns: Vec<ColumnChange>,
    pub key: Option<KeyChange>,
    /// The table's own name changes: where the file says so.
    pub renamed: Option<Span>,
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
    /// Where that UPDATE stands.
    pub filled_at: Option<OpAt>,
    /// The rules of the domain that the column is of in the file; here it is one of the base type.
    pub held: Option<Held>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// A new column that must be given and is not by itself.
    AddRequired,
    /// A new column that the file fills for the rows that are there.
    AddFilled,
    /// A new column whose values Postgres makes row by row.
    AddMade,
    /// A new column that needs nothing; it keeps its place between the others.
    Add,
    Drop,
    /// A second column is needed: another name, another representation, or both.
    Pair {
        renamed: bool,
        retyped: bool,
    },
    /// A generated column of another type, or of another expression.
    Recomputed,
    /// The column stays as it is but for NOT NULL.
    Tighten,
}

/// The net changes, and which operations they absorb.
pub struct Changes {
    pub tables: Vec<TableChange>,
    pub moves: Vec<Move>,
    pub rebuilds: Vec<Rebuild>,
    pub unders: Vec<Under>,
    absorbed: BTreeMap<OpAt, Id>,
}

impl Changes {
    pub fn of(script: &ReplayedScript) -> Changes {
        let rebuilds = rebuilds(script);
        let mut moves = moves(script);
        moves.retain(|m| !rebuilds.iter().any(|r| r.ops.contains(&m.at)));
        let mut out = Changes { tables: Vec::new(), moves, rebuilds, unders: unders(script), absorbed: BTreeMap::new() };
        out.absorbed.extend(out.moves.iter().map(|m| (m.at, m.source)));
        out.absorbed.extend(out.rebuilds.iter().flat_map(|r| r.ops.iter().map(|at| (*at, r.old.id))));
        out.absorbed.extend(out.unders.iter().flat_map(|r| r.ops.iter().map(|at| (*at, r.old.id))));
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
            if before.kind.is_table() && !before.assumed && !out.unders.iter().any(|u| u.old.id == id) {
                out.table(script, before, after);
            }
        }
        out
    }

    /// A name that another table has until the contract.
    pub fn is_taken(&self, name: &str) -> bool {
        let names = self.rebuilds.iter().map(|r| &r.names).chain(self.unders.iter().map(|u| &u.names));
        { names }.any(|n| n.contains(name))
    }

    /// The table whose net change the operation is part of.
    pub fn absorbs(&self, at: OpAt) -> Option<Id> {
        self.absorbed.get(&at).copied()
    }

    fn table(&mut self, script: &ReplayedScript, before: &Arc<Relation>, after: &Arc<Relation>) {
        let (mut columns, mut stories, mut filled) = (Vec::new(), Vec::new(), BTreeSet::new());
        let numbers: BTreeSet<u16> = before.columns.iter().chain(&after.columns).map(|c| c.attnum).collect();
        for n in numbers {
            let old = before.columns.iter().find(|c| c.attnum == n);
            let new = after.columns.iter().find(|c| c.attnum == n);
            let (plain, held) = new.filter(|_| old.is_none()).and_then(|c| domains::plain(&script.after, c)).unzip();
            let new = plain.as_ref().or(new);
            let story = story(script, before.id, n);
            let fills = fills(script, before.id, n);
            let Some(kind) = kind(script, before, old, new, !fills.is_empty()) else { continue };
            let first = story.first().and_then(|at| op_at(script, *at));
            let mut change = ColumnChange {
                before: old.cloned(),
                after: new.cloned(),
                kind,
                span: first.map_or_else(Span::default, |o| o.span),
                using: None,
                filled_by: None,
                filled_at: None,
                held,
            };
            for at in &story {
                if let Some(OpKind::Alter { action: AlterAction::SetType { using, .. }, .. }) = op_at(script, *at).map(|o| &o.kind) {
                    change.using = using.as_ref().map(|u| u.text.clone());
                }
            }
            for (at, fill) in fills {
                // One UPDATE says how; a second one would have to be played after the first. Other tables fill new columns only, and what
                // changes values that are there is no filling.
                let takes = matches!(kind, ColumnKind::AddRequired | ColumnKind::AddFilled)
                    || (kind == ColumnKind::Tighten && fill.cross.is_none() && fill.only_null);
                if change.filled_by.is_none() && takes {
                    change.filled_by = Some(fill);
                    change.filled_at = Some(at);
                    filled.insert((at, n));
                }
            }
            stories.push((kind, story));
            columns.push(change);
        }
        // New columns that need nothing stand by themselves, unless their place among others is at stake, or constraints come with them.
        let written = |story: &Vec<OpAt>| {
            let adds = |at: &OpAt| matches!(op_at(script, *at).map(|o| &o.kind), Some(OpKind::Alter { action: AlterAction::AddColumn { column, .. }, .. }) if !column.constraints.is_empty());
            story.iter().any(adds)
        };
        let taken = columns.iter().any(|c| c.before.is_none() && c.after.as_ref().is_some_and(|a| before.column(&a.name).is_some()));
        let drafted = |(k, story): &(ColumnKind, Vec<OpAt>)| match k {
            ColumnKind::AddRequired | ColumnKind::AddFilled | ColumnKind::AddMade => true,
            ColumnKind::Add => written(story) || taken,
            _ => false,
        };
        if !stories.iter().any(drafted) && columns.iter().all(|c| c.held.is_none()) {
            columns.retain(|c: &ColumnChange| c.kind != ColumnKind::Add);
            stories.retain(|(k, _)| *k != ColumnKind::Add);
        }
        self.absorbed.extend(stories.into_iter().flat_map(|(_, s)| s).map(|at| (at, before.id)));
        // An UPDATE is done when every column that it sets is.
        for at in filled.iter().map(|(at, _)| *at).collect::<BTreeSet<OpAt>>() {
            let Some(OpKind::Dml(d)) = op_at(script, at).map(|o| &o.kind) else { continue };
            let DmlKind::Update { set } = &d.kind else { continue };
            if filled.iter().filter(|(a, _)| *a == at).count() == set.len() {
                self.absorbed.insert(at, before.id);
            }
        }
        let key = self.key(script, before, after);
        let renamed = self.renamed(script, before, after);
        if !columns.is_empty() || key.is_some() || renamed.is_some() {
            self.tables.push(TableChange { before: before.clone(), after: after.clone(), columns, key, renamed });
        }
    }

    /// RENAME TO within its schema, or SET SCHEMA under its name.
    fn renamed(&mut self, script: &ReplayedScript, before: &Arc<Relation>, after: &Arc<Relation>) -> Option<Span> {
        if (before.name == after.name) == (before.schema == after.schema) {
            return None;
        }
        let mut span = None;
        for (s, r) in script.statements.iter().enumerate() {
            for (o, op) in r.statement.ops.iter().enumerate() {
                let OpKind::Alter { target, action: AlterAction::RenameTo { .. } | AlterAction::SetSchema { .. } } = &op.kind else {
                    continue;
                };
                if !op.conditional && r.before.relation_by(&target.name).is_some_and(|t| t.id == before.id) {
                    span = Some(op.span);
                    self.absorbed.insert((s, o), before.id);
                }
            }
        }
        span
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
    let mut out = Vec::new();
    for (s, r) in script.statements.iter().enumerate() {
        for (o, op) in r.statement.ops.iter().enumerate() {
            let OpKind::Alter { target, action } = &op.kind else { continue };
            // What may run is taken to have run, as the schema behind it is.
            if r.before.relation_by(&target.name).is_none_or(|t| t.id != table) {
                continue;
            }
            let Some(name) = column_of(action) else { continue };
            // A new column has its number after the statement; an old one had it before.
            let at = |c: &Catalog| c.relation(table).and_then(|t| t.column(name.as_str())).map(|c| c.attnum);
            if at(&r.before).or_else(|| at(&r.after)) == Some(attnum) {
                out.push((s, o));
            }
        }
    }
    out
}

fn kind(script: &ReplayedScript, table: &Relation, old: Option<&Column>, new: Option<&Column>, updated: bool) -> Option<ColumnKind> {
    match (old, new) {
        (None, Some(n)) => {
            let made = n.identity.is_some() || n.generated.is_some() || n.serial.is_some();
            let volatile = n.default_volatility == Some(Volatility::Volatile);
            if made && n.generated.as_ref().is_none_or(|g| g.stored) {
                return Some(ColumnKind::AddMade);
            }
            match n.default.is_some() || made {
                false if n.not_null => Some(ColumnKind::AddRequired),
                // A default that is another one for each row would rewrite the table: it is given row by row.
                _ if !made && (updated || volatile) => Some(ColumnKind::AddFilled),
                _ if !made => Some(ColumnKind::Add),
                _ => None,
            }
        }
        (Some(_), None) => Some(ColumnKind::Drop),
        (Some(o), Some(n)) => {
            let renamed = o.name != n.name;
            if let (Some(was), Some(is)) = (&o.generated, &n.generated)
                && was.stored
                && is.stored
                && (was.expr.text != is.expr.text || o.ty != n.ty && rewrites(script, table, o, n))
            {
                return Some(ColumnKind::Recomputed);
            }
            let retyped = o.ty != n.ty && rewrites(script, table, o, n);
            if renamed || retyped {
                return Some(ColumnKind::Pair { renamed, retyped });
            }
            (n.not_null && !o.not_null).then_some(ColumnKind::Tighten)
        }
        (None, None) => None,
    }
}

/// Whether the change of type, by itself, rewrites or reads the table or breaks a statement of N-1.
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
    // A CHECK on the column is read again, an index over it may be built again, all under the same lock.
    if effects.fails.is_some() || ![&effects.rewrites, &effects.scans, &effects.builds].iter().all(|s| s.is_empty()) {
        return true;
    }
    let before = catalog.clone();
    catalog.apply_statement(s);
    let ops: Vec<&Op> = s.ops.iter().collect();
    crate::compat::predict(&ops, &before, &catalog, before.pg).breaks_code()
}
