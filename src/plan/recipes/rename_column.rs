//! RENAME COLUMN: a second column under the new name, kept in step by a trigger; at the end the original takes the name.

use crate::catalog::Relation;
use crate::quote::ident;

use super::super::blocks::{Sync, backfill, lock_timeout, table};
use super::super::draft::{Draft, NewStep, slug};
use super::super::{Boundary, Invariant, PhaseKind, Place, Stop};
use super::create_index::{copies, unusual_index};
use super::refuse_unusual;

pub fn plan(p: &Place<'_>, rel: &Relation, from: &str, to: &str, draft: &mut Draft) -> Result<(), Stop> {
    refuse_unusual(p, rel, from)?;
    let Some(c) = rel.column(from) else { return p.refuse(format!("`{from}` is not known"), "correct the migration first") };
    if c.identity.is_some() {
        return p.refuse(format!("`{from}` is an identity column: two columns cannot share its sequence"), "plan this change by hand");
    }
    let t = table(rel);
    let (old, new) = (ident(from), ident(to));
    let ty = c.ty.clone();
    let ty_sql = ty.to_string();
    let sync = Sync { table: rel, old: from, new: to, up: "{}", down: "{}" };
    let add = format!("ALTER TABLE {t} ADD COLUMN {new} {ty_sql}");
    let mut statements = vec![lock_timeout(p.options), add.clone()];
    statements.extend(sync.create());
    let mut undo = vec![lock_timeout(p.options)];
    undo.extend(sync.drop());
    undo.push(format!("ALTER TABLE {t} DROP COLUMN {new}"));
    draft.step(
        PhaseKind::Expand,
        NewStep {
            id: slug(&["add", &rel.name, to]),
            title: format!("Add `{to}` beside `{from}`, and keep the two in step"),
            statements,
            undo,
        },
    );
    draft.fills = true;
    let todo = format!("airlock_t.{new}::text IS DISTINCT FROM airlock_t.{old}::text");
    let step = draft.step(
        PhaseKind::Migrate,
        NewStep {
            id: slug(&["backfill", &rel.name, to]),
            title: format!("Fill `{to}` of the rows that were there, in batches of {}", p.options.batch_size),
            statements: vec![backfill(p.before(), rel, to, &old, &todo, p.options)],
            undo: vec!["SELECT 1".into()],
        },
    );
    step.transaction = false;
    for copy in copies(p, rel, from, to) {
        let step = draft.step(
            PhaseKind::Migrate,
            NewStep {
                id: slug(&["index", &rel.name, &copy.name]),
                title: format!("Index `{to}` like `{from}`, for release N"),
                statements: vec![copy.create],
                undo: vec![copy.drop],
            },
        );
        step.transaction = false;
        step.undo_transaction = false;
    }
    if unusual_index(p, rel, from) {
        draft.checklist.push(format!("An index over an expression or a condition on `{from}` is not copied: queries of release N on `{to}` miss it until the contract."));
    }
    // The original takes the name, so that column order, indexes and constraints are those of a plain rename.
    let mut statements = vec![lock_timeout(p.options)];
    statements.extend(sync.drop());
    statements.push(format!("ALTER TABLE {t} DROP COLUMN {new}"));
    statements.push(format!("ALTER TABLE {t} RENAME COLUMN {old} TO {new}"));
    let mut undo = vec![lock_timeout(p.options), format!("ALTER TABLE {t} RENAME COLUMN {new} TO {old}"), add];
    undo.push(format!("UPDATE {t} SET {new} = {old}"));
    undo.extend(sync.create());
    undo.extend(copies(p, rel, from, to).into_iter().map(|i| i.create.replacen("INDEX CONCURRENTLY", "INDEX", 1)));
    draft.step(
        PhaseKind::ContractSoft,
        NewStep {
            id: slug(&["rename", &rel.name, from]),
            title: format!("`{from}` takes the name `{to}`; the second column goes"),
            statements,
            undo,
        },
    );
    draft.invariants.push(Invariant {
        title: format!("`{}.{from}` and `{to}` hold the same", rel.name),
        sql: format!("SELECT * FROM {t} WHERE {new}::text IS DISTINCT FROM {old}::text LIMIT 5"),
        from: Boundary::B2,
        until: Boundary::B2,
    });
    draft.checklist.push(format!("Release N says `{to}` wherever N-1 said `{from}` of `{}`.", rel.name));
    Ok(())
}
