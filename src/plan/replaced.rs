//! What the file drops and makes anew: the new one comes first, and nobody is without.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, Id, Relation, routine_sql};
use crate::op::{CreateIndex, ObjectKind, ObjectRef, Op, OpKind};
use crate::quote::{generated_name, ident, qualified};
use crate::replay::{Replayed, ReplayedScript};

use super::change::{Changes, OpAt};
use super::draft::slug;
use super::recipes::{create_index, replace_view};
use super::standing::{Standing, StandingStep};

/// Indexes and views that go, and those that come behind them in the file in their place.
#[derive(Default)]
pub struct Indexes {
    /// DROP → CREATE INDEX under another name: the first one waits for the second.
    pub later: BTreeMap<OpAt, OpAt>,
    /// CREATE INDEX → the index of that name that it replaces.
    pub replaces: BTreeMap<OpAt, Id>,
    /// DROP VIEW → CREATE VIEW of that name, which is a part of it.
    pub views: BTreeMap<OpAt, OpAt>,
    /// What is a part of another one's steps.
    pub done: Vec<OpAt>,
}

impl Indexes {
    pub fn of(script: &ReplayedScript, changes: &Changes) -> Indexes {
        let mut out = Indexes::default();
        for (drop, create) in replace_view::pairs(script) {
            out.views.insert(drop, create);
            out.done.push(create);
        }
        let ops = || {
            let all = script.statements.iter().enumerate();
            all.flat_map(|(s, r)| r.statement.ops.iter().enumerate().map(move |(o, op)| ((s, o), r, op)))
        };
        for (at, r, op) in ops().filter(|(at, ..)| changes.absorbs(*at).is_none()) {
            let Some(old) = goes(script, r, op) else { continue };
            let table = old.index.as_ref().map(|i| i.table);
            let comes = ops().filter(|(then, ..)| *then > at).find_map(|(then, r, op)| {
                let OpKind::CreateIndex(i) = &op.kind else { return None };
                let on = r.before.relation_by(&i.table).filter(|t| Some(t.id) == table && t.partition_by.is_none())?;
                let new = r.after.indexes_of(on.id).into_iter().find(|x| r.before.relation(x.id).is_none())?;
                Some((then, new.name == old.name))
            });
            match comes {
                Some((then, true)) => {
                    out.replaces.insert(then, old.id);
                    out.done.push(at);
                }
                Some((then, false)) => drop(out.later.insert(at, then)),
                None => {}
            }
        }
        out
    }
}

/// The one index of before that the operation drops.
fn goes<'r>(script: &ReplayedScript, r: &'r Replayed, op: &Op) -> Option<&'r Relation> {
    let OpKind::Drop { objects, cascade: false, .. } = &op.kind else { return None };
    let [one] = objects.as_slice() else { return None };
    let old = r.before.relation_by(&one.name).filter(|r| one.kind == ObjectKind::Index && script.before.relation(r.id).is_some())?;
    old.index.as_ref().filter(|i| !i.constraint).map(|_| old)
}

/// The new index under a name of its own, then the two change names, then the old one goes. `None`: the old one is not there any more.
pub fn steps(s: &Standing<'_>, index: &CreateIndex, old: Id) -> Option<Result<Vec<StandingStep>, String>> {
    let old = s.before.relation(old)?;
    let mut without = s.before.clone();
    let drop_old = format!("DROP INDEX {}", qualified(&old.schema, &old.name));
    crate::lower::lower_text(&drop_old).iter().for_each(|s| drop(without.apply_statement(s)));
    let mut after = without.clone();
    after.apply(s.op).ok()?;
    Some(create_index::step(s, index, &without, &after).and_then(|made| {
        let table = old.index.as_ref().map(|i| i.table).ok_or("the index is not known")?;
        let new = after.indexes_of(table).into_iter().find(|i| without.relation(i.id).is_none()).ok_or("the index is not known")?;
        let (built, parked) = (generated_name("airlock_", &[&old.name, "new"]), generated_name("airlock_old_", &[&old.name]));
        let named = |r: &Relation, name: &str, c: &Catalog| c.relation_sql(&Relation { name: name.to_string(), ..r.clone() });
        let concurrently = |sql: String| sql.replacen("INDEX ", "INDEX CONCURRENTLY ", 1);
        let rename = |from: &str, to: &str| format!("ALTER INDEX {} RENAME TO {}", qualified(&old.schema, from), ident(to));
        let gone = |name: &str| format!("DROP INDEX CONCURRENTLY {}", qualified(&old.schema, name));
        let id = |what: &str| slug(&[what, &old.name]);
        Ok(vec![
            StandingStep {
                title: format!("Build the new `{}` beside the old one, without blocking writes", old.name),
                statements: vec![concurrently(named(new, &built, &after))],
                undo: vec![gone(&built)],
                ..made
            },
            StandingStep {
                id: id("rename"),
                title: format!("The new index becomes `{}`", old.name),
                statements: vec![rename(&old.name, &parked), rename(&built, &old.name)],
                undo: vec![rename(&old.name, &built), rename(&parked, &old.name)],
                ..StandingStep::default()
            },
            StandingStep {
                id: id("drop"),
                title: format!("Drop the old `{}`, now `{parked}`", old.name),
                statements: vec![gone(&parked)],
                undo: vec![concurrently(named(old, &parked, s.before))],
                transaction: false,
                ..StandingStep::default()
            },
        ])
    }))
}

/// DROP FUNCTION of a bare name with the arguments of the one that it means: later there may be another one of that name.
pub fn whole_name(r: &Replayed, op: &Op) -> Option<String> {
    let OpKind::Drop { objects, if_exists: false, cascade: false, .. } = &op.kind else { return None };
    let [ObjectRef { kind: kind @ (ObjectKind::Function | ObjectKind::Procedure), args: None, .. }] = objects.as_slice() else {
        return None;
    };
    let mut gone = r.before.functions.iter().filter(|(id, _)| !r.after.functions.contains_key(*id));
    let (_, f) = gone.next().filter(|_| gone.next().is_none())?;
    let what = if *kind == ObjectKind::Procedure { "PROCEDURE" } else { "FUNCTION" };
    Some(format!("DROP {what} {}", routine_sql(f)))
}

/// Functions that the statement makes, changes or drops, with their arguments.
pub fn functions(r: &Replayed, op: &Op) -> Vec<String> {
    let (of, other) = match &op.kind {
        OpKind::CreateFunction(_) => (&r.after, &r.before),
        OpKind::Drop { objects, .. } if objects.iter().any(|o| matches!(o.kind, ObjectKind::Function | ObjectKind::Procedure)) => {
            (&r.before, &r.after)
        }
        _ => return Vec::new(),
    };
    of.functions.iter().filter(|(id, f)| other.functions.get(*id) != Some(*f)).map(|(_, f)| routine_sql(f)).collect()
}
