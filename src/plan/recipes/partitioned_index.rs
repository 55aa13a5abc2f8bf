//! CREATE INDEX on a partitioned table: an empty one above, one on each partition without blocking writes, then these are attached.

use crate::catalog::{Catalog, Constraint, Id, Relation};
use crate::op::CreateIndex;
use crate::quote::{generated_name, ident, idents, qualified};

use super::super::PhaseKind;
use super::super::blocks::table;
use super::super::draft::{duplicates, slug};
use super::super::standing::{Standing, StandingStep};
use super::add_constraint::{no_arbiter, upserts};
use super::create_index::{Built, built_before, deferred};

pub fn steps(s: &Standing<'_>, index: &CreateIndex) -> Result<Vec<StandingStep>, String> {
    let rel = s.before.relation_by(&index.table).ok_or_else(|| format!("`{}` is not known", index.table))?;
    let made = |id: Id| s.after.indexes_of(id).into_iter().find(|i| s.before.relation(i.id).is_none());
    let top = made(rel.id).ok_or("the index is there already")?;
    let below = s.before.descendants_of(rel.id);
    let tables: Vec<&Relation> = std::iter::once(rel).chain(below.iter().filter_map(|id| s.before.relation(*id))).collect();
    let (mut above, mut leaves, mut attach, mut undo) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for t in tables.iter().filter(|t| t.id == rel.id || !index.only) {
        // Postgres attaches one that is alike by itself; a foreign table takes none.
        let own = made(t.id).ok_or_else(|| format!("the partition `{}` gets no index of its own", t.name))?;
        let parent = own.index.as_ref().and_then(|i| i.parent).and_then(|p| s.after.relation(p));
        let mut alone = own.clone();
        alone.index.iter_mut().for_each(|i| i.parent = None);
        let sql = s.after.relation_sql(&alone);
        if t.partition_by.is_some() {
            undo.insert(0, format!("DROP INDEX {}", qualified(&own.schema, &own.name)));
            above.push(sql.replacen(&format!(" ON {}", table(t)), &format!(" ON ONLY {}", table(t)), 1));
        } else {
            leaves.push((qualified(&own.schema, &own.name), sql));
        }
        if let Some(parent) = parent {
            let (parent, own) = (qualified(&parent.schema, &parent.name), qualified(&own.schema, &own.name));
            attach.push(format!("ALTER INDEX {parent} ATTACH PARTITION {own}"));
        }
    }
    attach.reverse();
    let drop = format!("DROP INDEX {}", qualified(&top.schema, &top.name));
    // Dropping the one above takes the attached ones along: they come again, and nothing is attached.
    let apart = std::iter::once(drop).chain(above.clone()).chain(leaves.iter().map(|(_, sql)| sql.clone())).collect();
    let id = |what: &str| slug(&[what, &rel.name, &top.name]);
    let mut out = vec![StandingStep {
        id: id("index"),
        title: format!("`{}` of the partitioned table `{}`, still without its partitions", top.name, rel.name),
        statements: above,
        undo,
        ..StandingStep::default()
    }];
    if !leaves.is_empty() {
        out.push(StandingStep {
            id: id("partitions"),
            title: format!("Build the index of each partition of `{}` without blocking writes", rel.name),
            undo: leaves.iter().rev().map(|(name, _)| format!("DROP INDEX CONCURRENTLY IF EXISTS {name}")).collect(),
            statements: leaves.iter().map(|(_, sql)| sql.replacen("INDEX ", "INDEX CONCURRENTLY ", 1)).collect(),
            transaction: false,
            ..StandingStep::default()
        });
    }
    if !attach.is_empty() {
        out.push(StandingStep {
            id: id("attach"),
            title: format!("The indexes of the partitions become parts of `{}`", top.name),
            statements: attach,
            undo: apart,
            ..StandingStep::default()
        });
    }
    Ok(out)
}

/// The indexes that a key of a partitioned table has on its partitions, built before: Postgres takes an index of a partition for a part of the key
/// when it is a constraint there, and builds none. `None`: a partition has none that could be.
pub fn parts(before: &Catalog, after: &Catalog, rel: &Relation, key: Id) -> Option<Vec<Built>> {
    let below = |index: Id| {
        let each = after.relations.values().filter(move |r| r.index.as_ref().is_some_and(|i| i.parent == Some(index)));
        each.map(|r| r.id).collect::<Vec<_>>()
    };
    let mut out = Vec::new();
    let mut open = below(key);
    while let Some(id) = open.pop() {
        open.extend(below(id));
        let index = after.relation(id)?;
        let table = before.relation(index.index.as_ref()?.table)?;
        if table.partition_by.is_none() {
            let taken = before.relation_named(&index.schema, &index.name).is_some();
            let name = if taken { generated_name("airlock_", &[&index.name, "new"]) } else { index.name.clone() };
            out.push(built_before(after, table, index, &name)?);
        }
    }
    let leaves = before.descendants_of(rel.id).into_iter().filter_map(|id| before.relation(id)).filter(|r| r.partition_by.is_none());
    (out.len() == leaves.count()).then_some(out)
}

/// UNIQUE on a partitioned table: each partition's index is built without blocking writes and made a constraint there; then the one above takes them.
pub fn unique(s: &Standing<'_>, rel: &Relation, made: &Constraint) -> Result<Vec<StandingStep>, String> {
    let parts = made.kind.index().and_then(|i| parts(s.before, s.after, rel, i));
    let parts =
        parts.ok_or_else(|| format!("a partition of `{}` gets no index for `{}` that could be built before", rel.name, made.name))?;
    let phase = Some(PhaseKind::ContractSoft);
    let drop = format!("ALTER TABLE {} DROP CONSTRAINT {}", table(rel), ident(&made.name));
    let columns = idents(made.kind.columns());
    let distinct =
        s.after.relation(made.kind.index().unwrap_or(rel.id)).and_then(|r| r.index.as_ref()).is_some_and(|i| i.nulls_not_distinct);
    let add = format!(
        "ALTER TABLE {} ADD CONSTRAINT {} UNIQUE{} ({columns}){}{}",
        table(rel),
        ident(&made.name),
        if distinct { " NULLS NOT DISTINCT" } else { "" },
        included(s.after, made),
        deferred(made)
    );
    let below = s.before.descendants_of(rel.id);
    let tables = std::iter::once(rel).chain(below.iter().filter_map(|id| s.before.relation(*id)));
    let mut out = Vec::new();
    if !parts.is_empty() {
        out.push(StandingStep {
            phase,
            id: slug(&["partitions", &rel.name, &made.name]),
            title: format!("Build the unique index of each partition of `{}` without blocking writes", rel.name),
            statements: parts.iter().map(|p| p.create.clone()).collect(),
            undo: parts.iter().rev().map(|p| p.drop.replacen("CONCURRENTLY ", "CONCURRENTLY IF EXISTS ", 1)).collect(),
            transaction: false,
            preconditions: vec![duplicates(&table(rel), made.kind.columns(), None, distinct)],
            ..StandingStep::default()
        });
    }
    out.push(StandingStep {
        phase,
        id: slug(&["unique", &rel.name, &made.name]),
        title: format!(
            "Make them constraints of the partitions, and `{}` of `{}`, which takes them: nothing is built",
            made.name, rel.name
        ),
        statements: parts.iter().filter_map(|p| p.constraint.clone()).chain([add]).collect(),
        undo: std::iter::once(drop).chain(parts.iter().map(|p| p.again.clone())).collect(),
        checklist: vec![no_arbiter(&made.name)],
        except: tables.flat_map(upserts).collect(),
        ..StandingStep::default()
    });
    Ok(out)
}

fn included(after: &Catalog, made: &Constraint) -> String {
    let index = made.kind.index().and_then(|i| after.relation(i)).and_then(|r| r.index.as_ref());
    match index.map(|i| &i.include).filter(|i| !i.is_empty()) {
        Some(columns) => format!(" INCLUDE ({})", idents(columns)),
        None => String::new(),
    }
}
