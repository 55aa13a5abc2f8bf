//! Which shapes a change breaks: every shape of every relation that it touches, judged before and after.

use std::collections::{BTreeMap, BTreeSet};

use imbl::ordmap::DiffItem;

use crate::catalog::{Catalog, ConKind, Function, Id, RelKind, Relation, Type};
use crate::op::{ObjectKind, Op, PgVersion};

use super::judge::Judge;
use super::shapes::{self, ShapeSql};
use super::{Broken, Compat, undo};

/// Roles beyond these are not tried: they are granted alike in practice.
const MAX_ROLES: usize = 4;

/// What was judged already, so that it is not judged again.
#[derive(Clone, Copy)]
pub enum Known<'a> {
    Nothing,
    /// Another way to make the same change, or the same one: where it leads from the same schema to the same, it breaks the same.
    Like(Part<'a>),
    /// The changes that this one consists of: what only one of them bears on is broken by that one or by none.
    Parts(&'a [Part<'a>]),
}

/// A change that was judged.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    pub ops: &'a [Op],
    pub before: &'a Catalog,
    pub after: &'a Catalog,
    pub broken: &'a [Broken],
    /// Relations whose statements were judged.
    pub judged: &'a [Id],
}

/// The verdict, and the relations whose statements were judged for it. `start` is the schema that release N-1 knows: what was made since then is
/// in none of its statements. It is `before` itself, or what was before the script of which `ops` are one statement.
pub fn predict(ops: &[&Op], start: &Catalog, before: &Catalog, after: &Catalog, pg: PgVersion, known: Known<'_>) -> (Compat, Vec<Id>) {
    let (undo_now, undo) = match known {
        Known::Parts(parts) => undo::of_script(parts.iter().map(|p| (p.before, p.ops.iter().collect())), before, after),
        _ => undo::verdict(ops, before, after),
    };
    if let Known::Like(other) = known
        && other.before.holds_the_same(before)
        && other.after.holds_the_same(after)
    {
        return (Compat { broken: other.broken.to_vec(), undo_now, undo }, other.judged.to_vec());
    }
    let mut touched = touched(before, after);
    touched.relations.retain(|id| start.relations.contains_key(id));
    touched.functions.retain(|f| start.functions.contains_key(&f.id));
    touched.types.retain(|t| start.types.contains_key(&t.id));
    let mut broken = Vec::new();
    let judged: Vec<Id> = touched.relations.iter().copied().collect();
    if !touched.is_empty() {
        let owner = Judge::new(before, after, None, pg);
        for id in &touched.relations {
            let Some(rel) = before.relations.get(id) else { continue };
            // A temporary relation is the migration's own.
            if rel.assumed || rel.persistence == crate::op::Persistence::Temporary {
                continue;
            }
            if let Some(part) = only_one(rel, after, known) {
                let about = part.before.relations.get(id).map(|r| (&r.schema, &r.name));
                broken.extend(part.broken.iter().filter(|b| about == Some((&b.relation.schema, &b.relation.name))).cloned());
                continue;
            }
            let list = shapes::shapes(before, rel);
            for shape in &list {
                judge(&owner, shape, &mut broken);
            }
            let mut roles: BTreeSet<&str> = rel.grants.iter().map(|a| a.grantee.as_str()).collect();
            roles.extend(rel.columns.iter().flat_map(|c| &c.grants).map(|a| a.grantee.as_str()));
            for role in roles.into_iter().take(MAX_ROLES) {
                let theirs = Judge::new(before, after, Some(role), pg);
                for shape in &list {
                    judge(&theirs, shape, &mut broken);
                }
            }
        }
        for f in &touched.functions {
            if let Some(shape) = shapes::function_shape(before, f) {
                judge(&owner, &shape, &mut broken);
            }
        }
        for t in &touched.types {
            for shape in shapes::cast_shapes(t) {
                judge(&owner, &shape, &mut broken);
            }
        }
    }
    broken.sort();
    broken.dedup();
    // A prepared form is only worth a word where the fresh one works or fails otherwise.
    let fresh: BTreeMap<_, _> =
        broken.iter().filter(|b| !b.prepared).map(|b| ((b.relation.clone(), b.shape), b.sqlstate.clone())).collect();
    broken.retain(|b| !b.prepared || fresh.get(&(b.relation.clone(), b.shape)).is_none_or(|s| *s != b.sqlstate));
    (Compat { broken, undo_now, undo }, judged)
}

/// The only part that bears on a relation, where what its statements name is the same throughout: the relation itself keeps its name, and no code
/// of its own names others.
fn only_one<'a>(rel: &Relation, after: &Catalog, known: Known<'a>) -> Option<&'a Part<'a>> {
    let Known::Parts(parts) = known else { return None };
    let kept = after.relations.get(&rel.id).is_some_and(|r| (&r.schema, &r.name) == (&rel.schema, &rel.name));
    let plain = rel.triggers.is_empty() && rel.policies.is_empty() && rel.rules.is_empty() && rel.view.is_none();
    let mut bearing = parts.iter().filter(|p| p.judged.contains(&rel.id));
    bearing.next().filter(|_| kept && plain && bearing.next().is_none())
}

/// The statements that `predict` judges for the owner.
pub fn touched_shapes(before: &Catalog, after: &Catalog) -> Vec<ShapeSql> {
    let touched = touched(before, after);
    let relations = touched
        .relations
        .iter()
        .filter_map(|id| before.relations.get(id))
        .filter(|r| !r.assumed && r.persistence != crate::op::Persistence::Temporary);
    let mut out: Vec<ShapeSql> = relations.flat_map(|r| shapes::shapes(before, r)).collect();
    out.extend(touched.functions.iter().filter_map(|f| shapes::function_shape(before, f)));
    out.extend(touched.types.iter().flat_map(|t| shapes::cast_shapes(t)));
    out
}

/// What becomes of one statement of the owner's.
pub fn broken_by(shape: &ShapeSql, before: &Catalog, after: &Catalog) -> Vec<Broken> {
    let mut out = Vec::new();
    judge(&Judge::new(before, after, None, before.pg), shape, &mut out);
    out
}

fn judge(judge: &Judge<'_>, shape: &ShapeSql, out: &mut Vec<Broken>) {
    let v = judge.statement(&shape.op, &shape.samples());
    let mut push = |prepared: bool, state: &str, because: Option<String>| {
        let found = out.iter().any(|b: &Broken| b.relation == shape.relation && b.shape == shape.shape && b.prepared == prepared);
        // One answer a shape: the first role, the first key that it fails for.
        if !found {
            out.push(Broken { relation: shape.relation.clone(), shape: shape.shape, prepared, sqlstate: state.into(), because });
        }
    };
    if let Some(f) = v.fresh {
        push(false, f.state, f.because);
    } else if v.empty {
        push(false, "EMPTY", None);
    }
    if let Some(f) = v.prepared {
        push(true, f.state, f.because);
    }
}

#[derive(Default)]
struct Touched<'a> {
    relations: BTreeSet<Id>,
    functions: Vec<&'a Function>,
    types: Vec<&'a Type>,
}

impl Touched<'_> {
    fn is_empty(&self) -> bool {
        self.relations.is_empty() && self.functions.is_empty() && self.types.is_empty()
    }
}

/// What existed before and is not the same after, with everything that leans on it.
fn touched<'a>(before: &'a Catalog, after: &'a Catalog) -> Touched<'a> {
    let mut t = Touched::default();
    for item in before.relations.diff(&after.relations) {
        match item {
            DiffItem::Add(_, new) => {
                // A new index or a new child with a foreign key bears on tables that were there.
                t.relations.extend(new.index.as_ref().map(|i| i.table));
                t.relations.extend(referenced(&new.constraints));
                t.relations.extend(new.parents.iter().copied());
            }
            DiffItem::Update { old: (id, old), new: (_, new) } => {
                t.relations.insert(*id);
                for r in [old, new] {
                    t.relations.extend(r.index.as_ref().map(|i| i.table));
                    t.relations.extend(r.parents.iter().copied());
                }
                let (was, is): (BTreeSet<Id>, BTreeSet<Id>) =
                    (referenced(&old.constraints).collect(), referenced(&new.constraints).collect());
                t.relations.extend(was.symmetric_difference(&is));
                if let Some((table, _)) = new.sequence.as_ref().and_then(|s| s.owned_by.as_ref()) {
                    t.relations.insert(*table);
                }
            }
            DiffItem::Remove(id, old) => {
                t.relations.insert(*id);
                t.relations.extend(old.index.as_ref().map(|i| i.table));
                t.relations.extend(old.parents.iter().copied());
            }
        }
    }
    let mut changed_types = BTreeSet::new();
    for item in before.types.diff(&after.types) {
        if let DiffItem::Update { old: (id, old), .. } | DiffItem::Remove(id, old) = item {
            changed_types.insert(*id);
            t.types.push(old);
        }
    }
    let mut changed_functions = BTreeSet::new();
    for item in before.functions.diff(&after.functions) {
        match item {
            DiffItem::Update { old: (id, old), .. } | DiffItem::Remove(id, old) => {
                changed_functions.insert(*id);
                t.functions.push(old);
            }
            // A new overload may make a call ambiguous.
            DiffItem::Add(_, new) => {
                t.functions.extend(before.overloads(&new.schema, &new.name));
            }
        }
    }
    let schemas: BTreeSet<&String> = before
        .schemas
        .iter()
        .filter(|(name, s)| after.schemas.get(*name).is_none_or(|a| !std::sync::Arc::ptr_eq(a, s) && a != *s))
        .map(|(name, _)| name)
        .collect();
    let published = |c: &Catalog| {
        c.objects_of(ObjectKind::Publication).map(|o| (o.name.clone(), o.detail.clone(), o.relations.clone())).collect::<Vec<_>>()
    };
    let publications = !before.objects.ptr_eq(&after.objects) && published(before) != published(after);
    for ty in &changed_types {
        t.relations.extend(before.columns_of_type(*ty).into_iter().map(|(r, _)| r.id));
    }
    for f in &changed_functions {
        t.relations.extend(before.triggers_calling(*f).into_iter().map(|(r, _)| r.id));
    }
    let views: Vec<Id> = t.relations.iter().flat_map(|id| before.views_on(*id, None)).collect();
    t.relations.extend(views);
    if publications || !schemas.is_empty() {
        let moved = |r: &Relation| schemas.contains(&r.schema) || (publications && r.kind.is_table());
        t.relations.extend(before.relations.values().filter(|r| moved(r)).map(|r| r.id));
        if !schemas.is_empty() {
            t.functions.extend(before.functions.values().filter(|f| schemas.contains(&f.schema)).map(AsRef::as_ref));
            t.types.extend(before.types.values().filter(|x| schemas.contains(&x.schema)).map(AsRef::as_ref));
        }
    }
    t.relations.retain(|id| before.relations.get(id).is_some_and(|r| !r.kind.is_index() && r.kind != RelKind::Composite));
    t.functions.sort_by_key(|f| f.id);
    t.functions.dedup_by_key(|f| f.id);
    t.types.sort_by_key(|x| x.id);
    t.types.dedup_by_key(|x| x.id);
    t
}

fn referenced(constraints: &[crate::catalog::Constraint]) -> impl Iterator<Item = Id> {
    constraints.iter().filter_map(|c| match &c.kind {
        ConKind::ForeignKey { table, .. } => Some(*table),
        _ => None,
    })
}
