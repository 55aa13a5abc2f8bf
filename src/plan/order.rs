//! What the file does to rows one after the other, and the plan in another order: refused where the rows would end as others.

use crate::catalog::Id;
use crate::op::{AlterAction, ConstraintKind, DmlKind, Name, ObjectKind, Op, OpKind};
use crate::replay::{Replayed, ReplayedScript};

use super::change::{Changes, ColumnChange, ColumnKind, OpAt};
use super::{Refusal, Stop};

/// A new column's value is read from columns whose rows the file changes too, and not in the order of the plan.
pub fn conflicts(script: &ReplayedScript, changes: &Changes) -> Vec<Stop> {
    let mut out = Vec::new();
    for (table, column, at) in filled(changes) {
        let later = filled(changes).find(|(t, c, then)| {
            let overwritten = c.before.as_ref().is_some_and(|b| reads(table, column, *t, &b.name));
            overwritten && *then >= at && !std::ptr::eq(*c, column)
        });
        let earlier = standing(script, changes, at).find(|(r, op)| changes_what_is_read(r, op, table, column));
        if later.is_none() && earlier.is_none() {
            continue;
        }
        let name = column.after.as_ref().map_or("", |c| c.name.as_str());
        out.push(Stop::Refuse(Refusal {
            span: column.span,
            reason: format!("the plan fills `{name}` at another time than the file does, which changes the rows that it reads as well"),
            next_step: "put the two changes of rows into migrations of their own".into(),
        }));
    }
    out
}

/// Columns that an UPDATE of the file fills, with its place.
fn filled(changes: &Changes) -> impl Iterator<Item = (Id, &ColumnChange, OpAt)> {
    changes.tables.iter().flat_map(|t| t.columns.iter().filter_map(|c| Some((t.before.id, c, c.filled_at?))))
}

/// The value of a column of `table` comes out of `name` of the table `of`.
fn reads(table: Id, column: &ColumnChange, of: Id, name: &str) -> bool {
    let Some(fill) = &column.filled_by else { return false };
    let has = |names: &[String]| names.iter().any(|n| n == name);
    match &fill.cross {
        Some(c) if c.source == of => has(&c.reads),
        _ => table == of && has(&fill.reads),
    }
}

/// Statements before that place which change rows and are run when N-1 is gone.
fn standing<'a>(script: &'a ReplayedScript, changes: &'a Changes, before: OpAt) -> impl Iterator<Item = (&'a Replayed, &'a Op)> {
    let all =
        script.statements.iter().enumerate().flat_map(|(s, r)| r.statement.ops.iter().enumerate().map(move |(o, op)| ((s, o), r, op)));
    all.filter(move |(at, _, op)| *at < before && matches!(op.kind, OpKind::Dml(_)) && changes.absorbs(*at).is_none())
        .map(|(_, r, op)| (r, op))
}

fn changes_what_is_read(r: &Replayed, op: &Op, table: Id, column: &ColumnChange) -> bool {
    let OpKind::Dml(d) = &op.kind else { return false };
    let Some(rel) = r.before.relation_by(&d.table) else { return false };
    let crossed = column.filled_by.as_ref().and_then(|f| f.cross.as_ref()).is_some_and(|c| c.source == rel.id);
    match &d.kind {
        DmlKind::Update { set } => set.iter().flat_map(|s| &s.columns).any(|c| reads(table, column, rel.id, c.as_str())),
        DmlKind::Delete | DmlKind::Insert { .. } => crossed,
        DmlKind::Merge { .. } => crossed || rel.id == table,
    }
}

/// Changes rows that a later statement of the file copies into a new table.
pub fn comes_before_a_move(r: &Replayed, op: &Op, at: OpAt, changes: &Changes) -> bool {
    let OpKind::Dml(d) = &op.kind else { return false };
    let id = r.before.relation_by(&d.table).map(|t| t.id);
    changes.moves.iter().any(|m| Some(m.source) == id && at < m.at)
}

/// A foreign key to a column that gets a second one: it can be made behind the swap only, for the old key goes then.
pub fn refers_to_retyped(r: &Replayed, op: &Op, changes: &Changes) -> bool {
    let OpKind::Alter { action: AlterAction::AddConstraint(c), .. } = &op.kind else { return false };
    let ConstraintKind::ForeignKey(fk) = &c.kind else { return false };
    let Some(other) = r.before.relation_by(&fk.table) else { return false };
    let named = |n: &str| match fk.ref_columns.as_slice() {
        [] => other.primary_key().is_some_and(|k| k.kind.columns().iter().any(|c| c == n)),
        list => list.iter().any(|c| c.as_str() == n),
    };
    let retyped = |c: &&ColumnChange| matches!(c.kind, ColumnKind::Pair { retyped: true, .. });
    let columns = changes.tables.iter().filter(|t| t.before.id == other.id).flat_map(|t| &t.columns).filter(retyped);
    columns.flat_map(|c| c.before.iter().chain(&c.after)).any(|c| named(&c.name))
}

/// The one relation whose columns the operation can name; `None`: it may name those of any.
pub fn about(r: &Replayed, op: &Op) -> Option<Id> {
    let name = match &op.kind {
        OpKind::Alter { target, action } => match action {
            AlterAction::AddConstraint(c) if matches!(c.kind, ConstraintKind::ForeignKey(_)) => return None,
            AlterAction::AddColumn { column, .. } if !column.constraints.is_empty() => return None,
            _ => &target.name,
        },
        OpKind::CreateIndex(i) => &i.table,
        OpKind::Comment { object, .. } if object.kind == ObjectKind::Column => object.on.as_ref()?,
        OpKind::Dml(d) if d.reads().is_empty() => &d.table,
        _ => return None,
    };
    r.before.relation_by(name).map(|t| t.id)
}

/// The column that a subcommand of ALTER TABLE is about.
pub fn column_of(action: &AlterAction) -> Option<&Name> {
    use AlterAction as A;
    match action {
        A::AddColumn { column, .. } => Some(&column.name),
        A::DropColumn { column, .. }
        | A::SetDefault { column, .. }
        | A::DropDefault { column }
        | A::SetNotNull { column }
        | A::DropNotNull { column }
        | A::SetExpression { column, .. }
        | A::SetType { column, .. } => Some(column),
        A::RenameColumn { from, .. } => Some(from),
        _ => None,
    }
}
