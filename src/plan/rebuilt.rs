//! A table that the file makes anew under its old name, with its rows copied: partitioned, or with rules that a table with rows gets only so.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::catalog::{Catalog, Id, Relation};
use crate::op::{AlterAction, Dml, DmlKind, ExprKind, FromItem, GrantOn, InsertSource, Name, Op, OpKind, QName, Query, QueryBody};
use crate::replay::{Replayed, ReplayedScript};
use crate::source::Span;

use super::change::OpAt;

/// Two tables of one name: the one of N-1, and the one of N.
#[derive(Debug, Clone)]
pub struct Rebuild {
    pub old: Arc<Relation>,
    pub new: Arc<Relation>,
    /// The words that a refusal points at.
    pub span: Span,
    /// What the file does to either of them.
    pub ops: Vec<OpAt>,
    /// Other rows than those of the old one come into the new one, or rows of it change: where the file does so.
    pub rows: Option<Span>,
    /// What the new one is called in the file, from its first statement to its last.
    pub names: BTreeSet<String>,
}

/// Tables that go while others of their name come, with all their rows.
pub fn rebuilds(script: &ReplayedScript) -> Vec<Rebuild> {
    let mut out = Vec::new();
    for (old, new) in pairs(script) {
        let Some(at) = find(script, |r, op| copies(r, op, old, new)) else { continue };
        let family: BTreeSet<Id> = family(script, old.id, new.id);
        let (mut ops, mut names, mut rows) = (Vec::new(), BTreeSet::new(), None);
        for (s, r) in script.statements.iter().enumerate() {
            names.extend([&r.before, &r.after].into_iter().filter_map(|c| c.relation(new.id)).map(|t| t.name.clone()));
            for (o, op) in r.statement.ops.iter().enumerate() {
                if is_about(r, op, &family) || copies(r, op, old, new) {
                    ops.push((s, o));
                } else if changes_rows(script, r, op, &family) {
                    rows = Some(op.span);
                }
            }
        }
        let span = script.statements.get(at.0).and_then(|r| r.statement.ops.get(at.1)).map_or_else(Span::default, |o| o.span);
        out.push(Rebuild { old: old.clone(), new: new.clone(), span, ops, rows, names });
    }
    out
}

/// A table that becomes a partition of one that takes its name.
#[derive(Debug, Clone)]
pub struct Under {
    pub old: Arc<Relation>,
    /// The partitioned table above it.
    pub new: Arc<Relation>,
    pub span: Span,
    /// Where it is attached.
    pub attached: OpAt,
    /// What the file does to either of them, in its order.
    pub ops: Vec<OpAt>,
    pub names: BTreeSet<String>,
}

/// Tables that the file attaches to a partitioned one, which has their name in the end.
pub fn unders(script: &ReplayedScript) -> Vec<Under> {
    let plain = |r: &&Arc<Relation>| r.kind.is_table() && !r.assumed && r.partition_by.is_none() && r.parents.is_empty();
    let mut out = Vec::new();
    for old in script.before.relations.values().filter(plain) {
        let part = script.after.relations.get(&old.id).filter(|r| r.is_partition());
        let above = part.and_then(|p| script.after.relations.get(p.parents.first()?));
        let Some(new) = above.filter(|n| !script.before.relations.contains_key(&n.id) && (&n.schema, &n.name) == (&old.schema, &old.name))
        else {
            continue;
        };
        let attaches = |r: &Replayed, op: &Op| {
            matches!(&op.kind, OpKind::Alter { action: AlterAction::AttachPartition { partition, .. }, .. }
                if r.before.relation_by(partition).is_some_and(|t| t.id == old.id))
        };
        let Some(attached) = find(script, attaches) else { continue };
        let family = family(script, old.id, new.id);
        let (mut ops, mut names) = (Vec::new(), BTreeSet::new());
        for (s, r) in script.statements.iter().enumerate() {
            let all: Vec<&Relation> = family.iter().filter_map(|id| r.after.relation(*id)).filter(|t| t.kind.is_table()).collect();
            names.extend(all.iter().map(|t| t.name.clone()));
            let each = r.statement.ops.iter().enumerate();
            ops.extend(each.filter(|(_, op)| is_about(r, op, &family)).map(|(o, _)| (s, o)));
        }
        let span = script.statements.get(attached.0).and_then(|r| r.statement.ops.get(attached.1)).map_or_else(Span::default, |o| o.span);
        out.push(Under { old: old.clone(), new: new.clone(), span, attached, ops, names });
    }
    out
}

/// A table of before, and another one that has its name in the end.
fn pairs(script: &ReplayedScript) -> impl Iterator<Item = (&Arc<Relation>, &Arc<Relation>)> {
    let gone = script.before.relations.values().filter(|r| r.kind.is_table() && !r.assumed && !script.after.relations.contains_key(&r.id));
    gone.filter_map(|old| {
        let new = script.after.relation_named(&old.schema, &old.name).map(|r| r.id)?;
        let new = script.after.relations.get(&new).filter(|n| n.kind.is_table() && !script.before.relations.contains_key(&n.id))?;
        Some((old, new))
    })
}

fn find(script: &ReplayedScript, is: impl Fn(&Replayed, &Op) -> bool) -> Option<OpAt> {
    let all = script.statements.iter().enumerate();
    all.flat_map(|(s, r)| r.statement.ops.iter().enumerate().map(move |(o, op)| ((s, o), r, op)))
        .find(|(_, r, op)| is(r, op))
        .map(|(at, ..)| at)
}

/// `INSERT INTO new SELECT … FROM old`: every row, every column as it is.
fn copies(r: &Replayed, op: &Op, old: &Relation, new: &Relation) -> bool {
    let OpKind::Dml(d) = &op.kind else { return false };
    let DmlKind::Insert { columns, source: InsertSource::Query(q), .. } = &d.kind else { return false };
    let into = r.before.relation_by(&d.table).filter(|t| t.id == new.id);
    let Some((into, from)) = into.zip(whole_rows(&r.before, d, q)).filter(|(_, (t, _))| t.id == old.id) else { return false };
    let given: Vec<String> = match columns {
        Some(c) => c.iter().map(|n| n.as_str().to_string()).collect(),
        None => into.columns.iter().take(from.1.len()).map(|c| c.name.clone()).collect(),
    };
    let computed = |c: &str| into.column(c).is_some_and(|c| c.generated.is_some());
    given == from.1 && into.columns.iter().all(|c| computed(&c.name) || given.contains(&c.name))
}

/// The one table that a query reads as it is, and the columns that it takes.
fn whole_rows<'c>(catalog: &'c Catalog, d: &Dml, q: &Query) -> Option<(&'c Relation, Vec<String>)> {
    let QueryBody::Select(s) = &q.body else { return None };
    let whole =
        q.ctes.is_empty() && d.ctes.is_empty() && q.limit.is_none() && q.offset.is_none() && !s.distinct && s.distinct_on.is_empty();
    let [FromItem::Table { name, only: false, columns, sample: false, .. }] = s.from.as_slice() else { return None };
    let table = catalog.relation_by(name)?;
    if !whole || !columns.is_empty() || s.filter.is_some() || !s.group_by.is_empty() || s.having.is_some() {
        return None;
    }
    let mut out = Vec::new();
    for t in &s.targets {
        match &t.expr.kind {
            ExprKind::Star(_) => out.extend(table.columns.iter().map(|c| c.name.clone())),
            ExprKind::Column(parts) => out.push(parts.last().map(Name::as_str)?.to_string()),
            _ => return None,
        }
    }
    Some((table, out))
}

/// Both tables with what belongs to them: partitions, indexes, sequences.
fn family(script: &ReplayedScript, old: Id, new: Id) -> BTreeSet<Id> {
    let mut out = BTreeSet::from([old, new]);
    for c in std::iter::once(&script.before).chain(script.statements.iter().map(|r| &*r.after)) {
        for top in [old, new] {
            let tables: Vec<Id> = std::iter::once(top).chain(c.descendants_of(top)).collect();
            for t in tables {
                out.insert(t);
                out.extend(c.indexes_of(t).iter().map(|i| i.id));
                out.extend(c.sequences_of(t).iter().map(|(s, _)| s.id));
            }
        }
    }
    out
}

fn is_about(r: &Replayed, op: &Op, family: &BTreeSet<Id>) -> bool {
    let of = |n: &QName| r.before.relation_by(n).or_else(|| r.after.relation_by(n)).is_some_and(|t| family.contains(&t.id));
    match &op.kind {
        OpKind::CreateTable(t) => of(&t.name),
        OpKind::Alter { target, .. } => of(&target.name),
        OpKind::AlterSequence { name, .. } => of(name),
        OpKind::CreateIndex(i) => of(&i.table),
        OpKind::CreateTrigger(t) => of(&t.table),
        OpKind::CreatePolicy(p) => of(&p.table),
        OpKind::Comment { object, .. } => of(object.on.as_ref().unwrap_or(&object.name)),
        OpKind::Drop { objects, .. } => objects.iter().all(|o| of(o.on.as_ref().unwrap_or(&o.name))),
        OpKind::Grant(g) => matches!(&g.on, GrantOn::Objects(list) if list.iter().all(|o| of(&o.name))),
        _ => false,
    }
}

/// Of the new table: what happens to rows of the old one, the new one follows.
fn changes_rows(script: &ReplayedScript, r: &Replayed, op: &Op, family: &BTreeSet<Id>) -> bool {
    let new = |n: &QName| r.before.relation_by(n).is_some_and(|t| family.contains(&t.id) && script.before.relation(t.id).is_none());
    match &op.kind {
        OpKind::Dml(d) => new(&d.table),
        OpKind::Truncate { tables, .. } => tables.iter().any(|(t, _)| new(t)),
        _ => false,
    }
}
