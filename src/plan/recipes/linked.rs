//! What hangs on a column that gets another type: the sequence that it draws from, and foreign keys of other tables.

use crate::catalog::{Catalog, Column, ConKind, Id};
use crate::op::{AlterAction, Op, OpKind};
use crate::quote::{generated_name, ident, idents, qualified};

use super::super::blocks::{NOTHING, table};
use super::super::change::ColumnChange;
use super::super::draft::slug;
use super::super::table::{Own, TableDraft};
use super::super::{Ctx, Stop};

/// The sequence goes with the name: behind the swap it belongs to the new column. Called when the swap has its renames.
pub fn sequence(
    x: &Ctx<'_>,
    change: &ColumnChange,
    t: &mut TableDraft<'_>,
    (before, after): (&Column, &Column),
    parked: &str,
    second: &str,
) -> Result<(), Stop> {
    let (rel, on) = (t.rel.clone(), table(&t.rel));
    let Some(sequence) = x.script.before.sequence_of_column(rel.id, &before.name) else { return Ok(()) };
    let name = qualified(&sequence.schema, &sequence.name);
    let (old, last) = (ident(parked), ident(&after.name));
    let Some(identity) = &before.identity else {
        t.swap.push((
            format!("ALTER SEQUENCE {name} OWNED BY {on}.{last}"),
            // The old column has its name again by then: it is undone behind the renames.
            Vec::new(),
        ));
        t.swap.insert(0, (NOTHING.into(), vec![format!("ALTER SEQUENCE {name} OWNED BY {on}.{}", ident(&before.name))]));
        return Ok(());
    };
    if after.identity.is_none() || !identity.sequence_options.is_empty() {
        return x.refuse(
            change.span,
            format!("`{}` is an identity column with options of its own", before.name),
            "plan this change by hand",
        );
    }
    let how = if identity.always { "ALWAYS" } else { "BY DEFAULT" };
    let spare = generated_name("airlock_", &[&sequence.name, "new"]);
    let spare_sql = qualified(&sequence.schema, &spare);
    // The next value is the one that would have come anyway; no row is read for it.
    let swap = |from: &str, to: &str| {
        vec![
            format!("ALTER TABLE {on} ALTER COLUMN {to} ADD GENERATED {how} AS IDENTITY (SEQUENCE NAME {spare_sql})"),
            format!("SELECT setval({}, last_value, is_called) FROM {name}", crate::quote::literal(&spare_sql)),
            format!("ALTER TABLE {on} ALTER COLUMN {from} DROP IDENTITY"),
            format!("ALTER SEQUENCE {spare_sql} RENAME TO {}", ident(&sequence.name)),
        ]
    };
    // Undone behind the renames: from 18 on a NOT NULL has a name, and that is made of the column's.
    let first = ident(&before.name);
    let mut undo = vec![format!("ALTER TABLE {on} ALTER COLUMN {first} SET NOT NULL")];
    undo.extend(swap(&ident(second), &first));
    t.swap.insert(0, (NOTHING.into(), undo));
    let mut forward = swap(&old, &last);
    forward.push(format!("ALTER TABLE {on} ALTER COLUMN {old} DROP NOT NULL"));
    t.swap.extend(forward.into_iter().map(|statement| (statement, Vec::new())));
    Ok(())
}

/// The constraint was made by a statement of its own.
fn apart(x: &Ctx<'_>, child: Id, name: &str) -> bool {
    let has = |c: &Catalog| c.relation(child).is_some_and(|r| r.constraint(name).is_some());
    let adds = |op: &Op| matches!(&op.kind, OpKind::Alter { action: AlterAction::AddConstraint(_), .. });
    x.script.statements.iter().any(|r| !has(&r.before) && has(&r.after) && r.statement.ops.iter().any(adds))
}

/// Foreign keys of other tables refer to the second column from the swap on: proved before it, so that the swap reads no row.
pub fn references(x: &Ctx<'_>, change: &ColumnChange, t: &mut TableDraft<'_>, column: &str, second: &str) -> Result<(), Stop> {
    let (rel, on) = (t.rel.clone(), table(&t.rel));
    // Those that the file adds hang on the old key until the swap.
    for (child, c) in x.script.after.foreign_keys_to(rel.id) {
        let ConKind::ForeignKey { ref_columns, .. } = &c.kind else { continue };
        let there = x.script.before.relation(child.id).is_some_and(|r| r.constraint(&c.name).is_some());
        let meant = change.after.as_ref().is_some_and(|a| ref_columns.contains(&a.name));
        if meant && !there && !apart(x, child.id, &c.name) {
            return x.refuse(
                change.span,
                format!("`{}` gets a reference to `{}.{column}`, which gets another type in the same file", child.name, rel.name),
                "add the foreign key by a statement of its own (ALTER TABLE … ADD CONSTRAINT)",
            );
        }
    }
    for (child, c) in x.script.before.foreign_keys_to(rel.id) {
        let ConKind::ForeignKey { columns, ref_columns, on_delete, on_update, match_full, .. } = &c.kind else { continue };
        if !ref_columns.iter().any(|r| r == column) {
            continue;
        }
        let stays = x.script.after.relation(child.id).is_some_and(|r| r.constraint(&c.name).is_some());
        let partitioned = child.partition_by.is_some() || child.is_partition() || c.inherited;
        if ref_columns.len() != 1 || child.id == rel.id || partitioned || !stays {
            return x.refuse(
                change.span,
                format!("`{}` of `{}` refers to `{column}` in a way that cannot be moved to a second column", c.name, child.name),
                "plan this change by hand, or leave it out of this migration",
            );
        }
        let theirs = table(child);
        // A column that changes too has its own second column, and its recipe makes the key of that one.
        let seconds = x.seconds(child);
        let own = columns.first().and_then(|n| seconds.iter().find(|s| s.from == *n));
        let swapped = x.name_at_swap(child, &rel);
        let drop_old = format!("ALTER TABLE {swapped} DROP CONSTRAINT {}", ident(&c.name));
        let mut again = vec![format!("ALTER TABLE {swapped} ADD {}", x.script.before.constraint_definition(c, true))];
        if c.validated {
            again.push(format!("ALTER TABLE {swapped} VALIDATE CONSTRAINT {}", ident(&c.name)));
        }
        let copy = ident(&generated_name("airlock_", &[&c.name, "new"]));
        let full = if *match_full { " MATCH FULL" } else { "" };
        let retyped = own.filter(|s| s.retyped);
        let add_on = |child: &str| {
            format!(
                "ALTER TABLE {child} ADD CONSTRAINT {copy} FOREIGN KEY ({}) REFERENCES {on} ({}){full} ON DELETE {on_delete} ON UPDATE {on_update} NOT VALID",
                idents(retyped.map(|s| &s.second).into_iter().chain(if retyped.is_some() { &[][..] } else { columns })),
                ident(second)
            )
        };
        let (add, drop) = (add_on(&theirs), format!("ALTER TABLE {theirs} DROP CONSTRAINT {copy}"));
        // The undo takes the index away that the new key hangs on, so the key goes before it and comes again behind it.
        again.push(add_on(&swapped));
        if c.validated {
            again.push(format!("ALTER TABLE {swapped} VALIDATE CONSTRAINT {copy}"));
        }
        t.swap.insert(0, (drop_old, again));
        if retyped.is_some() {
            if !x.comes_later(child, &rel) {
                return x.refuse(
                    change.span,
                    format!("`{}` changes before `{}`, which it refers to", child.name, rel.name),
                    "write the change of the table that is referred to first",
                );
            }
            t.swap_last.push((NOTHING.into(), vec![format!("ALTER TABLE {swapped} DROP CONSTRAINT {copy}")]));
            continue;
        }
        let step = |id: &str, title: String, statement: String, undo: Vec<String>| Own {
            id: slug(&[id, &child.name, &c.name]),
            title,
            statements: vec![statement],
            undo,
            transaction: true,
            preconditions: Vec::new(),
        };
        t.linked.push(step(
            "foreign-key",
            format!("`{}`: `{}` refers to the second column of `{}`", child.name, c.name, rel.name),
            add.clone(),
            vec![drop.clone()],
        ));
        if c.validated {
            let validate = format!("ALTER TABLE {theirs} VALIDATE CONSTRAINT {copy}");
            t.linked.push(step(
                "validate",
                format!("`{}`: prove `{}` for the second column", child.name, c.name),
                validate,
                vec![drop, add],
            ));
        }
        t.swap_last.push((
            format!("ALTER TABLE {swapped} RENAME CONSTRAINT {copy} TO {}", ident(&c.name)),
            vec![format!("ALTER TABLE {swapped} DROP CONSTRAINT {}", ident(&c.name))],
        ));
    }
    Ok(())
}
