//! CREATE INDEX on a partitioned table: an empty one above, one on each partition without blocking writes, then these are attached.

use crate::catalog::{Id, Relation};
use crate::op::CreateIndex;
use crate::quote::qualified;

use super::super::blocks::table;
use super::super::draft::slug;
use super::super::standing::{Standing, StandingStep};

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
