//! What a migration does to the tables that were there, from its beginning to its end.
//!
//! A file may say in five statements what is one change of one column. Recipes plan the net change; the operations that make it up are
//! absorbed, and what is left over stands by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::{Catalog, Column, Constraint, Id, Relation};
use crate::effects::{Sent, predict};
use crate::lower::lower_text;
use crate::op::{
    AlterAction, ConstraintKind, Dml, DmlKind, Expr, ExprKind, FromItem, InsertSource, Name, Op, OpKind, QName, QueryBody, Volatility,
};
use crate::quote::{ident, qualified};
use crate::replay::ReplayedScript;
use crate::source::Span;

use super::blocks::type_sql;
use super::crossing::row_key;

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
}

/// `UPDATE t SET column = value [FROM …] WHERE filter`: the value of one row's column, as an expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Fill {
    pub value: String,
    /// How the expression calls the row.
    pub alias: Option<String>,
    /// Columns of the row that it reads.
    pub reads: Vec<String>,
    /// It looks into another table.
    pub cross: Option<Cross>,
}

/// The rows of another table that a value comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Cross {
    pub source: Id,
    /// Equal columns of the row and of the other table's row.
    pub links: Vec<(String, String)>,
    /// The value is this column of the other row, and nothing but the links says which row.
    pub column: Option<String>,
    /// Columns of the other table that it reads.
    pub reads: Vec<String>,
}

/// `INSERT INTO new (columns) SELECT values FROM source WHERE filter`: a row of the one comes out of a row of the other.
#[derive(Debug, Clone)]
pub struct Move {
    pub at: OpAt,
    pub source: Id,
    pub target: Id,
    /// How the values call the row.
    pub alias: Option<String>,
    pub columns: Vec<String>,
    pub values: Vec<String>,
    pub filter: Option<String>,
    /// Column of the new table, column of the source.
    pub key: Vec<(String, String)>,
    /// Column of the source, column of the new table that says the same.
    pub backs: Vec<(String, String)>,
    /// Columns of the source that it reads.
    pub reads: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// A new column that must be given and is not by itself.
    AddRequired,
    /// A new column that the file fills for the rows that are there.
    AddFilled,
    /// A new column that needs nothing; it keeps its place between the others.
    Add,
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
    pub moves: Vec<Move>,
    absorbed: BTreeMap<OpAt, Id>,
}

impl Changes {
    pub fn of(script: &ReplayedScript) -> Changes {
        let mut out = Changes { tables: Vec::new(), moves: moves(script), absorbed: BTreeMap::new() };
        out.absorbed.extend(out.moves.iter().map(|m| (m.at, m.source)));
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
        let (mut columns, mut stories, mut filled) = (Vec::new(), Vec::new(), BTreeSet::new());
        let numbers: BTreeSet<u16> = before.columns.iter().chain(&after.columns).map(|c| c.attnum).collect();
        for n in numbers {
            let old = before.columns.iter().find(|c| c.attnum == n);
            let new = after.columns.iter().find(|c| c.attnum == n);
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
            };
            for at in &story {
                if let Some(OpKind::Alter { action: AlterAction::SetType { using, .. }, .. }) = op_at(script, *at).map(|o| &o.kind) {
                    change.using = using.as_ref().map(|u| u.text.clone());
                }
            }
            for (at, fill) in fills {
                // One UPDATE says how; a second one would have to be played after the first. Other tables fill new columns only.
                let takes = matches!(kind, ColumnKind::AddRequired | ColumnKind::AddFilled)
                    || (kind == ColumnKind::Tighten && fill.cross.is_none());
                if change.filled_by.is_none() && takes {
                    change.filled_by = Some(fill);
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
            ColumnKind::AddRequired | ColumnKind::AddFilled => true,
            ColumnKind::Add => written(story) || taken,
            _ => false,
        };
        if !stories.iter().any(drafted) {
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

    /// RENAME TO, within its schema.
    fn renamed(&mut self, script: &ReplayedScript, before: &Arc<Relation>, after: &Arc<Relation>) -> Option<Span> {
        if before.name == after.name || before.schema != after.schema {
            return None;
        }
        let mut span = None;
        for (s, r) in script.statements.iter().enumerate() {
            for (o, op) in r.statement.ops.iter().enumerate() {
                let OpKind::Alter { target, action: AlterAction::RenameTo { .. } } = &op.kind else { continue };
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
    use AlterAction as A;
    let mut out = Vec::new();
    for (s, r) in script.statements.iter().enumerate() {
        for (o, op) in r.statement.ops.iter().enumerate() {
            let OpKind::Alter { target, action } = &op.kind else { continue };
            // What may run is taken to have run, as the schema behind it is.
            if r.before.relation_by(&target.name).is_none_or(|t| t.id != table) {
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

fn kind(script: &ReplayedScript, table: &Relation, old: Option<&Column>, new: Option<&Column>, updated: bool) -> Option<ColumnKind> {
    match (old, new) {
        (None, Some(n)) => {
            let made = n.identity.is_some() || n.generated.is_some() || n.serial.is_some();
            let volatile = n.default_volatility == Some(Volatility::Volatile);
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

/// UPDATEs of the file that give one column of one table a value: out of its own row, or of one that its columns point at.
fn fills(script: &ReplayedScript, table: Id, attnum: u16) -> Vec<(OpAt, Fill)> {
    let mut out = Vec::new();
    for (s, r) in script.statements.iter().enumerate() {
        for (o, op) in r.statement.ops.iter().enumerate() {
            let OpKind::Dml(d) = &op.kind else { continue };
            let DmlKind::Update { set } = &d.kind else { continue };
            let Some(rel) = r.before.relation_by(&d.table).filter(|t| t.id == table) else { continue };
            if op.conditional || !d.ctes.is_empty() || !d.returning.is_empty() {
                continue;
            }
            for one in set {
                let [column] = one.columns.as_slice() else { continue };
                if rel.column(column.as_str()).is_none_or(|c| c.attnum != attnum) {
                    continue;
                }
                let update = Update { d, rel, catalog: &r.before, source: script.source.text() };
                let fill = if d.from.is_empty() { update.own(&one.value, column) } else { update.joined(&one.value) };
                out.extend(fill.map(|f| ((s, o), f)));
            }
        }
    }
    out
}

/// One UPDATE on the schema that it finds.
struct Update<'a> {
    d: &'a Dml,
    rel: &'a Relation,
    catalog: &'a Catalog,
    source: &'a str,
}

impl Update<'_> {
    fn alias(&self) -> Option<String> {
        self.d.alias.as_ref().map(|a| a.as_str().to_string())
    }

    /// Without FROM.
    fn own(&self, value: &Expr, column: &Name) -> Option<Fill> {
        let mut text = value.text.clone();
        let mut cross = None;
        let mut names = match reads(value) {
            Some(names) => names,
            None => {
                let c = self.subquery(value)?;
                let own = c.links.iter().map(|(own, _)| own.clone()).collect();
                cross = Some(c);
                own
            }
        };
        if let Some(f) = &self.d.filter {
            let more = reads(f)?;
            // A filter on nothing but the column itself finds the rows that are not filled yet.
            if more.iter().any(|n| n != column.as_str()) {
                text = format!("CASE WHEN {} THEN {text} END", f.text);
                names.extend(more);
            }
        }
        names.sort();
        names.dedup();
        Some(Fill { value: text, alias: self.alias(), reads: names, cross })
    }

    /// The value has one subquery, over one table, that the row's columns point into.
    fn subquery(&self, value: &Expr) -> Option<Cross> {
        let mut found = Vec::new();
        value.walk(&mut |e| {
            if let ExprKind::Subquery(q) = &e.kind {
                found.push(&**q);
            }
        });
        let [q] = found.as_slice() else { return None };
        let QueryBody::Select(s) = &q.body else { return None };
        let (FromItem::Table { name, alias, .. }, true) = (s.from.first()?, s.from.len() == 1 && q.ctes.is_empty()) else { return None };
        let mut all = Vec::new();
        q.walk_exprs(&mut |e| all.push(e));
        self.cross(name, alias.as_ref(), s.filter.as_ref(), &all, None)
    }

    /// `FROM other WHERE …`.
    fn joined(&self, value: &Expr) -> Option<Fill> {
        let [FromItem::Table { name, alias, .. }] = self.d.from.as_slice() else { return None };
        let filter = self.d.filter.as_ref()?;
        let mut all = Vec::new();
        value.walk(&mut |e| all.push(e));
        filter.walk(&mut |e| all.push(e));
        if all.iter().any(|e| matches!(e.kind, ExprKind::Subquery(_) | ExprKind::Param(_))) {
            return None;
        }
        let cross = self.cross(name, alias.as_ref(), Some(filter), &all, Some(value))?;
        let from = self.source.get(value.span.end as usize..filter.span.start as usize)?;
        let (from, _) = from.trim().rsplit_once(char::is_whitespace)?;
        let from = from.trim_start().get(4..)?.trim();
        let reads = cross.links.iter().map(|(own, _)| own.clone()).collect();
        Some(Fill {
            value: format!("(SELECT {} FROM {from} WHERE {} LIMIT 1)", value.text, filter.text),
            alias: self.alias(),
            reads,
            cross: Some(cross),
        })
    }

    fn cross(&self, name: &QName, alias: Option<&Name>, filter: Option<&Expr>, all: &[&Expr], value: Option<&Expr>) -> Option<Cross> {
        let source = self.catalog.relation_by(name).filter(|s| s.id != self.rel.id && s.kind.is_table())?;
        let theirs = alias.map_or(name.as_str(), Name::as_str);
        let ours = self.d.alias.as_ref().map_or(self.rel.name.as_str(), Name::as_str);
        // `Some(true)`: the other table's.
        let side = |e: &Expr| -> Option<(bool, String)> {
            let ExprKind::Column(parts) = &e.kind else { return None };
            let (column, table) = (parts.last()?, parts.len().checked_sub(2).map(|i| parts[i].as_str()));
            let other = match table {
                Some(t) if t == theirs => true,
                Some(t) if t == ours => false,
                Some(_) => return None,
                None => source.column(column.as_str()).is_some(),
            };
            Some((other, column.as_str().to_string()))
        };
        let mut parts = Vec::new();
        conjuncts(filter?, &mut parts);
        let mut links = Vec::new();
        let mut only_links = true;
        for p in parts {
            let link = match &p.kind {
                ExprKind::Binary { op, left, right } if op == "=" => match (side(left), side(right)) {
                    (Some((false, a)), Some((true, b))) | (Some((true, b)), Some((false, a))) => Some((a, b)),
                    _ => None,
                },
                _ => None,
            };
            match link {
                Some(l) => links.push(l),
                None => only_links = false,
            }
        }
        let mut reads: Vec<String> = all.iter().filter_map(|e| side(e).filter(|(other, _)| *other).map(|(_, c)| c)).collect();
        reads.sort();
        reads.dedup();
        let column = value.and_then(side).filter(|(other, _)| *other && only_links).map(|(_, c)| c);
        (!links.is_empty()).then_some(Cross { source: source.id, links, column, reads })
    }
}

/// Rows that the file copies out of a table of N-1 into one that it makes.
fn moves(script: &ReplayedScript) -> Vec<Move> {
    let mut out = Vec::new();
    for (s, r) in script.statements.iter().enumerate() {
        for (o, op) in r.statement.ops.iter().enumerate() {
            let OpKind::Dml(d) = &op.kind else { continue };
            out.extend((!op.conditional).then(|| moved(script, &r.before, d, (s, o))).flatten());
        }
    }
    out
}

fn moved(script: &ReplayedScript, catalog: &Catalog, d: &Dml, at: OpAt) -> Option<Move> {
    let DmlKind::Insert { columns, source: InsertSource::Query(q), on_conflict: None, overriding: false } = &d.kind else { return None };
    let target = catalog.relation_by(&d.table).filter(|t| script.before.relation(t.id).is_none())?;
    let QueryBody::Select(select) = &q.body else { return None };
    let plain =
        q.ctes.is_empty() && d.ctes.is_empty() && q.limit.is_none() && q.offset.is_none() && !select.distinct && d.returning.is_empty();
    let flat = select.group_by.is_empty() && select.having.is_none() && select.distinct_on.is_empty() && select.windows.is_empty();
    let [FromItem::Table { name, alias, only: false, columns: renamed, sample: false }] = select.from.as_slice() else { return None };
    let source = catalog.relation_by(name).filter(|t| script.before.relation(t.id).is_some() && t.kind.is_table())?;
    if !plain || !flat || !renamed.is_empty() {
        return None;
    }
    let columns: Vec<String> = match columns {
        Some(c) => c.iter().map(|n| n.as_str().to_string()).collect(),
        None => target.columns.iter().take(select.targets.len()).map(|c| c.name.clone()).collect(),
    };
    let mut all = Vec::new();
    for e in select.targets.iter().map(|t| &t.expr).chain(&select.filter) {
        all.extend(reads(e)?);
    }
    all.sort();
    all.dedup();
    // An aggregate makes one row of many.
    let mut aggregate = false;
    select.targets.iter().for_each(|t| {
        t.expr.walk(&mut |e| aggregate |= matches!(&e.kind, ExprKind::Call(c) if c.star || c.window || is_aggregate(c.name.as_str())));
    });
    if aggregate || columns.len() != select.targets.len() || all.iter().any(|c| source.column(c).is_none()) {
        return None;
    }
    let bare = |e: &Expr| match &e.kind {
        ExprKind::Column(parts) => parts.last().map(|n| n.as_str().to_string()),
        _ => None,
    };
    // `coalesce(column, …)` gives back what the column held, but for its NULLs.
    let says = |e: &Expr| match &e.kind {
        ExprKind::Call(c) if c.name.as_str() == "coalesce" => c.args.first().and_then(bare),
        ExprKind::Other(v) if v.first().is_some_and(|f| e.text.to_ascii_lowercase().starts_with("coalesce") && bare(f).is_some()) => {
            bare(&v[0])
        }
        _ => bare(e),
    };
    let from: Vec<(String, Option<String>)> = columns.iter().cloned().zip(select.targets.iter().map(|t| bare(&t.expr))).collect();
    let key = row_key(script, source, script.after.relation(target.id)?, &from)?;
    let backs = columns.iter().zip(&select.targets).filter_map(|(c, t)| {
        let s = says(&t.expr)?;
        (source.column(&s)?.ty == target.column(c)?.ty).then(|| (s, c.clone()))
    });
    Some(Move {
        at,
        source: source.id,
        target: target.id,
        alias: alias.as_ref().map(|a| a.as_str().to_string()),
        backs: backs.collect(),
        values: select.targets.iter().map(|t| t.expr.text.clone()).collect(),
        filter: select.filter.as_ref().map(|f| f.text.clone()),
        columns,
        key,
        reads: all,
    })
}

fn is_aggregate(name: &str) -> bool {
    matches!(
        name,
        "count" | "sum" | "min" | "max" | "avg" | "bool_and" | "bool_or" | "every" | "bit_and" | "bit_or" | "stddev" | "variance"
    ) || ["_agg", "_agg_strict", "_agg_unique"].iter().any(|end| name.ends_with(end))
}

fn conjuncts<'a>(e: &'a Expr, out: &mut Vec<&'a Expr>) {
    match &e.kind {
        ExprKind::Binary { op, left, right } if op == "AND" => {
            conjuncts(left, out);
            conjuncts(right, out);
        }
        ExprKind::Other(v) if v.len() == 1 => conjuncts(&v[0], out),
        _ => out.push(e),
    }
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
