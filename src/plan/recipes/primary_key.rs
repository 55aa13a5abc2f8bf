//! Another primary key: its index is built without blocking writes, then the two change hands in one transaction.

use crate::catalog::ConKind;
use crate::op::PgVersion;
use crate::quote::{generated_name, ident, idents, qualified};

use super::super::blocks::table;
use super::super::change::KeyChange;
use super::super::draft::{Draft, duplicates, slug};
use super::super::table::{Own, TableDraft};
use super::super::{Ctx, Stop};
use super::add_constraint::no_arbiter;
use super::{create_index, partitioned_index};

pub fn plan(x: &Ctx<'_>, k: &KeyChange, t: &mut TableDraft<'_>, draft: &mut Draft) -> Result<(), Stop> {
    let rel = t.rel.clone();
    let on = table(&rel);
    // First in the swap, so that the undo comes last: when the columns have their names again.
    let mut swap = Vec::new();
    if !rel.parents.is_empty() {
        return x.refuse(
            k.span,
            format!("`{}` is a partition or inherits from another table", rel.name),
            "change the key of the table above it",
        );
    }
    if let Some(old) = &k.before {
        let by = x.script.before.foreign_keys_to(rel.id).into_iter().find(|(child, c)| {
            let same = matches!(&c.kind, ConKind::ForeignKey { ref_columns, .. } if ref_columns == old.kind.columns());
            same && x.script.after.relation(child.id).is_some_and(|r| r.constraint(&c.name).is_some())
        });
        if let Some((child, c)) = by {
            return x.refuse(
                k.span,
                format!("`{}` of `{}` refers to the key that goes", c.name, child.name),
                "let it refer to another unique key in an earlier migration",
            );
        }
        let name = ident(&old.name);
        swap.push((
            format!("ALTER TABLE {on} DROP CONSTRAINT {name}"),
            vec![format!("ALTER TABLE {on} ADD CONSTRAINT {name} PRIMARY KEY ({})", idents(old.kind.columns()))],
        ));
        t.words.push(format!("`{}` is no longer the key", old.kind.columns().join(", ")));
    }
    let Some(new) = &k.after else {
        t.swap.splice(0..0, swap);
        return Ok(());
    };
    // Columns of the key that N has under another name until the swap would need another index than this one.
    let moved = new.kind.columns().iter().find(|c| {
        let attnum = x.script.after.relation(rel.id).and_then(|r| r.column(c)).map(|c| c.attnum);
        rel.columns.iter().any(|o| Some(o.attnum) == attnum && o.name != **c)
    });
    if let Some(c) = moved {
        return x.refuse(
            k.span,
            format!("`{c}` gets its name and becomes part of the key in one migration"),
            "rename it in an earlier migration",
        );
    }
    t.words.push(format!("`{}` becomes the key", new.kind.columns().join(", ")));
    let name = ident(&new.name);
    if rel.partition_by.is_some() {
        if x.script.before.pg >= PgVersion(18) {
            return x.refuse(
                k.span,
                format!(
                    "since Postgres 18, a primary key that is made of a partition's own index leaves NOT NULL constraints on the partition that no \
                     statement takes back, and one that is not is built while nobody can write to `{}`",
                    rel.name
                ),
                "add a UNIQUE constraint over the same columns instead, which is planned partition by partition",
            );
        }
        let parts = new.kind.index().and_then(|i| partitioned_index::parts(&x.script.before, &x.script.after, &rel, i));
        let Some(parts) = parts else {
            return x.refuse(
                k.span,
                format!("a partition of `{}` gets no index for its key that could be built before", rel.name),
                "plan this change by hand",
            );
        };
        let below = x.script.before.descendants_of(rel.id);
        for table in std::iter::once(&*rel).chain(below.iter().filter_map(|id| x.script.before.relation(*id))) {
            let shapes = ["upsert-primary-key", "upsert-columns", "upsert-constraint"];
            draft.except.extend(shapes.map(|shape| format!("{shape} on {}", table.rel_name())));
        }
        draft.checklist.push(no_arbiter(&new.name));
        for p in parts {
            t.migrate.push(Own {
                id: slug(&["key", &p.table]),
                title: format!("`{}`: build the index of the new key without blocking writes", p.table),
                statements: vec![p.create],
                undo: vec![p.drop],
                transaction: false,
                preconditions: p.duplicates.into_iter().collect(),
            });
            // The one above is dropped first, and takes it along.
            swap.push((p.constraint.unwrap_or_default(), vec![p.again]));
        }
        swap.push((
            format!("ALTER TABLE {on} ADD CONSTRAINT {name} PRIMARY KEY ({})", idents(new.kind.columns())),
            vec![format!("ALTER TABLE {on} DROP CONSTRAINT {name}")],
        ));
        t.swap.splice(0..0, swap);
        return Ok(());
    }
    let built = generated_name("airlock_", &[&new.name, "new"]);
    let (index, again) = match k.using.as_deref().and_then(|i| x.script.before.relation_named(&rel.schema, i)) {
        Some(i) => (i.name.clone(), x.script.before.relation_sql(i)),
        None => {
            let index = k.using.clone().unwrap_or(built.clone());
            let create = |how: &str| new.kind.index().and_then(|id| create_index::of_constraint(&x.script.after, id, &index, how));
            let (Some(build), Some(again)) = (create("CONCURRENTLY "), create("")) else {
                return x.refuse(k.span, "the index of the new key is not known", "plan this change by hand");
            };
            t.migrate.push(Own {
                id: slug(&["key", &rel.name]),
                title: format!("`{}`: build the index of the new key without blocking writes", rel.name),
                statements: vec![build],
                undo: vec![format!("DROP INDEX CONCURRENTLY {}", qualified(&rel.schema, &index))],
                transaction: false,
                preconditions: vec![duplicates(&on, new.kind.columns(), None, true)],
            });
            (index, again)
        }
    };
    swap.push((
        format!("ALTER TABLE {on} ADD CONSTRAINT {name} PRIMARY KEY USING INDEX {}", ident(&index)),
        vec![format!("ALTER TABLE {on} DROP CONSTRAINT {name}"), again],
    ));
    t.swap.splice(0..0, swap);
    Ok(())
}
