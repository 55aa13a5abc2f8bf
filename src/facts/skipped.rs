//! IF EXISTS and IF NOT EXISTS that find nothing to do, and files that cannot be run twice.

use crate::catalog::{Catalog, Relation};
use crate::op::{AlterAction, CreateTable, ObjectKind, Op, OpKind, QName};

use super::Facts;
use super::here::Here;

/// The statement's IF [NOT] EXISTS finds nothing to do.
pub(super) fn is_skipped(before: &Catalog, op: &Op) -> bool {
    let asks = match &op.kind {
        OpKind::CreateTable(t) => t.if_not_exists,
        OpKind::CreateTableAs(t) => t.if_not_exists,
        OpKind::CreateIndex(i) => i.if_not_exists,
        OpKind::CreateView(v) => v.if_not_exists,
        OpKind::CreateSequence { if_not_exists, .. }
        | OpKind::CreateSchema { if_not_exists, .. }
        | OpKind::AddEnumValue { if_not_exists, .. } => *if_not_exists,
        OpKind::Drop { if_exists, .. } => *if_exists,
        OpKind::Alter { target, action } => {
            target.if_exists
                || matches!(
                    action,
                    AlterAction::AddColumn { if_not_exists: true, .. }
                        | AlterAction::DropColumn { if_exists: true, .. }
                        | AlterAction::DropConstraint { if_exists: true, .. }
                        | AlterAction::DropExpression { if_exists: true, .. }
                        | AlterAction::DropIdentity { if_exists: true, .. }
                )
        }
        _ => false,
    };
    // Where the catalog does not know everything, what it does not find may be there; what it finds is there.
    let drops = matches!(op.kind, OpKind::Drop { .. })
        || matches!(&op.kind, OpKind::Alter { action, .. } if !matches!(action, AlterAction::AddColumn { .. }));
    asks && (before.complete || !drops) && before.clone().apply(op).is_ok_and(|a| a.skipped)
}

pub(super) fn add(f: &mut Facts, h: &Here<'_>) {
    match &h.op.kind {
        OpKind::CreateTable(t) if t.if_not_exists => {
            if let Some(old) = h.r.before.relation_by(&t.name)
                && let Some(d) = table_differs(&h.r.before, t, old)
            {
                f.text("skipped.differs", d);
            }
        }
        OpKind::Alter { target, action: AlterAction::AddColumn { column, if_not_exists: true, .. } } => {
            let old = h.r.before.relation_by(&target.name).and_then(|r| r.column(column.name.as_str()));
            let Some(old) = old else { return };
            let (is, said) = (old.ty.to_string(), h.r.before.resolve_type(&column.ty).to_string());
            if is != said && said != "unknown" && is != "unknown" {
                f.text("skipped.differs", format!("it is of type {is}, not {said}"));
            } else if column.nullable == Some(false) && !old.not_null {
                f.text("skipped.differs", "it takes NULL");
            }
        }
        OpKind::CreateIndex(i) if i.if_not_exists => {
            let Some(name) = &i.name else { return };
            let old = h.r.before.relation_by(name).or_else(|| {
                let table = h.r.before.relation_by(&i.table)?;
                h.r.before.relation_named(&table.schema, name.as_str()).map(|r| &**r)
            });
            let Some(old) = old else { return };
            match &old.index {
                Some(x) => {
                    let table = h.r.before.relation_by(&i.table).map(|t| t.id);
                    let keys = |e: &[crate::op::IndexElement]| e.iter().map(|e| squeeze(&e.expr.text)).collect::<Vec<_>>();
                    if table.is_some() && Some(x.table) != table {
                        f.text("skipped.differs", "it is an index of another table");
                    } else if keys(&x.elements) != keys(&i.elements) {
                        f.text("skipped.differs", "it has other columns");
                    } else if x.unique != i.unique {
                        f.text("skipped.differs", if x.unique { "it is unique" } else { "it is not unique" });
                    }
                }
                None => f.text("skipped.differs", format!("it is a {}", old.kind)),
            }
        }
        OpKind::Drop { objects, if_exists: true, .. } => {
            let Some(o) = objects.first() else { return };
            let relation = matches!(
                o.kind,
                ObjectKind::Table | ObjectKind::View | ObjectKind::MaterializedView | ObjectKind::Sequence | ObjectKind::Index
            );
            if relation
                && h.r.before.relation_by(&o.name).is_none()
                && !made_later(h, &o.name)
                && let Some(near) = elsewhere(&h.r.before, o.kind, &o.name)
            {
                f.text("skipped.near", near);
            }
        }
        _ => {}
    }
}

fn squeeze(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && *c != '"').flat_map(char::to_lowercase).collect()
}

/// Columns that the statement asks for and the table does not have, or has with another type.
fn table_differs(cat: &Catalog, t: &CreateTable, old: &Relation) -> Option<String> {
    if !old.kind.is_table() {
        return Some(format!("it is a {}", old.kind));
    }
    if old.assumed || !t.likes.is_empty() || !t.inherits.is_empty() || t.partition_of.is_some() {
        return None;
    }
    let missing: Vec<&str> = t.columns.iter().map(|c| c.name.as_str()).filter(|n| old.column(n).is_none()).collect();
    if !missing.is_empty() {
        return Some(format!("it has no `{}`", missing.join("`, `")));
    }
    t.columns.iter().find_map(|c| {
        let (is, said) = (old.column(c.name.as_str())?.ty.to_string(), cat.resolve_type(&c.ty).to_string());
        (is != said && is != "unknown" && said != "unknown").then(|| format!("`{}` is of type {is}, not {said}", c.name.as_str()))
    })
}

/// DROP … IF EXISTS before CREATE is a way to begin anew.
fn made_later(h: &Here<'_>, name: &QName) -> bool {
    (h.look.made.contains(name.as_str()) && h.later().any(|(s, _)| s.after.relation_by(name).is_some()))
        || h.r.after.relation_by(name).is_some()
}

/// A relation of that name in another schema, or of another kind.
fn elsewhere(cat: &Catalog, kind: ObjectKind, name: &QName) -> Option<String> {
    let same = |r: &&std::sync::Arc<Relation>| r.name == name.as_str() && (kind == ObjectKind::Index) == r.kind.is_index();
    let mut found: Vec<String> = cat.relations.values().filter(same).map(|r| r.rel_name().to_string()).collect();
    found.sort();
    found.into_iter().next()
}

/// With what the operation would fail if the file ran a second time.
pub(super) fn again(h: &Here<'_>) -> Option<&'static str> {
    let makes = matches!(
        h.op.kind,
        OpKind::CreateTable(_)
            | OpKind::CreateTableAs(_)
            | OpKind::CreateIndex(_)
            | OpKind::CreateView(_)
            | OpKind::CreateSequence { .. }
            | OpKind::CreateEnum { .. }
            | OpKind::CreateDomain { .. }
            | OpKind::CreateSchema { .. }
            | OpKind::AddEnumValue { .. }
            | OpKind::Drop { .. }
            | OpKind::Alter {
                action: AlterAction::AddColumn { .. }
                    | AlterAction::DropColumn { .. }
                    | AlterAction::AddConstraint(_)
                    | AlterAction::DropConstraint { .. }
                    | AlterAction::RenameColumn { .. }
                    | AlterAction::RenameTo { .. },
                ..
            }
    );
    if !makes || h.op.conditional || !h.r.errors.is_empty() {
        return None;
    }
    Catalog::clone(&h.r.after).apply(h.op).err().filter(|e| e.certain).map(|e| e.sqlstate)
}
