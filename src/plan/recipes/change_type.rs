//! A type change that would rewrite the table: a second column of the new type, kept in step by a trigger, filled in batches; then
//! the two swap names. The old column stays parked, and in step, until the hard contract.

use crate::catalog::{ConKind, Relation};
use crate::compat::Undo;
use crate::op::AlterAction;
use crate::quote::{generated_name, ident};

use super::super::blocks::{Sync, backfill, lock_timeout, not_null, table};
use super::super::draft::{Draft, NewStep, precondition, slug};
use super::super::{Boundary, Deviation, Invariant, PhaseKind, Place, Stop, find_answer};
use super::create_index::{copies, unusual_index};
use super::refuse_unusual;

pub fn plan(p: &Place<'_>, rel: &Relation, column: &str, action: &AlterAction, draft: &mut Draft) -> Result<(), Stop> {
    refuse_unusual(p, rel, column)?;
    let AlterAction::SetType { ty, collation: None, using, .. } = action else {
        return p.refuse("a change of collation", "plan this change by hand");
    };
    let Some(c) = rel.column(column) else { return p.refuse(format!("`{column}` is not known"), "correct the migration first") };
    let by_hand = "plan this change by hand, or leave it out of this migration";
    if c.identity.is_some() || c.serial.is_some() {
        return p.refuse(format!("`{column}` draws its values from a sequence of its own"), by_hand);
    }
    for k in &rel.constraints {
        let on = match &k.kind {
            ConKind::Check { columns, .. } => columns.iter().any(|n| n == column),
            ConKind::NotNull { .. } => false,
            other => other.columns().iter().any(|n| n == column),
        };
        if on {
            return p.refuse(format!("constraint `{}` is on `{column}`", k.name), by_hand);
        }
    }
    let referenced = p
        .before()
        .foreign_keys_to(rel.id)
        .into_iter()
        .any(|(_, k)| matches!(&k.kind, ConKind::ForeignKey { ref_columns, .. } if ref_columns.iter().any(|n| n == column)));
    if referenced || !p.before().views_on(rel.id, Some(column)).is_empty() {
        return p.refuse(format!("a foreign key or a view refers to `{column}`"), by_hand);
    }
    if unusual_index(p, rel, column) {
        return p.refuse(format!("an index over an expression or with a condition uses `{column}`"), by_hand);
    }
    if !c.grants.is_empty() {
        return p.refuse(format!("`{column}` has privileges of its own"), by_hand);
    }
    let new_ty = p.before().resolve_type(ty);
    let (old_name, new_name) = (generated_name("airlock_old_", &[column]), generated_name("airlock_new_", &[column]));
    let told = |key: &str| find_answer(p.answers, &rel.schema, &rel.name, column, key);
    // The told and written expressions speak of the column by its name.
    let place = |e: &str, from: &str| e.replace(from, "{}");
    let widens = widening(&c.ty.name, &new_ty.name);
    let up = match (told("up"), using, widens) {
        (Some(u), _, _) => place(u, column),
        (None, Some(u), _) => place(&u.text, column),
        (None, None, Some(_)) => format!("({{}})::{new_ty}"),
        (None, None, None) => format!("({{}})::{new_ty}"),
    };
    let down = match (told("down"), widens) {
        (Some(d), _) => place(d, column),
        (None, Some((low, high))) => format!("CASE WHEN {{}} BETWEEN {low} AND {high} THEN ({{}})::{} END", c.ty),
        (None, None) => {
            return p.ask(
                format!("how does a value of `{}.{column}` go back from {new_ty} to {}?", rel.name, c.ty),
                format!("--map '{}.{column}: up=\"({column})::{new_ty}\", down=\"({column})::{}\"'", rel.name, c.ty),
            );
        }
    };
    let t = table(rel);
    let (cur, new, old) = (ident(column), ident(&new_name), ident(&old_name));
    let sync = Sync { table: rel, old: column, new: &new_name, up: &up, down: &down };
    let add = format!("ALTER TABLE {t} ADD COLUMN {new} {new_ty}");
    let mut statements = vec![lock_timeout(p.options), add];
    statements.extend(sync.create());
    let mut undo = vec![lock_timeout(p.options)];
    undo.extend(sync.drop());
    undo.push(format!("ALTER TABLE {t} DROP COLUMN {new}"));
    draft.step(
        PhaseKind::Expand,
        NewStep {
            id: slug(&["add", &rel.name, &new_name]),
            title: format!("Add a second `{column}` of type {new_ty}, and keep the two in step"),
            statements,
            undo,
        },
    );
    draft.fills = false;
    let value = up.replace("{}", &format!("airlock_t.{cur}"));
    let todo = format!("airlock_t.{new}::text IS DISTINCT FROM ({value})::text");
    let step = draft.step(
        PhaseKind::Migrate,
        NewStep {
            id: slug(&["backfill", &rel.name, column]),
            title: format!("Fill the second `{column}`, in batches of {}", p.options.batch_size),
            statements: vec![backfill(p.before(), rel, &new_name, &value, &todo, p.options)],
            undo: vec!["SELECT 1".into()],
        },
    );
    step.transaction = false;
    let indexes = copies(p, rel, column, &new_name);
    for copy in &indexes {
        let step = draft.step(
            PhaseKind::Migrate,
            NewStep {
                id: slug(&["index", &rel.name, &copy.name]),
                title: format!("Index the second `{column}` like the first"),
                statements: vec![copy.create.clone()],
                undo: vec![copy.drop.clone()],
            },
        );
        step.transaction = false;
        step.undo_transaction = false;
    }
    if c.not_null {
        for (title, up, undo) in not_null(rel, &new_name) {
            draft.step(
                PhaseKind::Migrate,
                NewStep {
                    id: slug(&["not-null", &rel.name, column]),
                    title: format!("The second `{column}`: {title}"),
                    statements: vec![lock_timeout(p.options), up],
                    undo: vec![lock_timeout(p.options), undo],
                },
            );
        }
    }
    // The swap: names change hands, and the trigger now keeps the parked column in step.
    let back = Sync { table: rel, old: &old_name, new: column, up: &up, down: &down };
    let mut statements = vec![lock_timeout(p.options)];
    statements.extend(sync.drop());
    if c.default.is_some() {
        statements.push(format!("ALTER TABLE {t} ALTER COLUMN {cur} DROP DEFAULT"));
    }
    if c.not_null {
        statements.push(format!("ALTER TABLE {t} ALTER COLUMN {cur} DROP NOT NULL"));
    }
    statements.push(format!("ALTER TABLE {t} RENAME COLUMN {cur} TO {old}"));
    statements.push(format!("ALTER TABLE {t} RENAME COLUMN {new} TO {cur}"));
    if let Some(d) = &c.default {
        statements.push(format!("ALTER TABLE {t} ALTER COLUMN {cur} SET DEFAULT {}", d.text));
    }
    statements.extend(back.create());
    let mut undo = vec![lock_timeout(p.options)];
    undo.extend(back.drop());
    if c.default.is_some() {
        undo.push(format!("ALTER TABLE {t} ALTER COLUMN {cur} DROP DEFAULT"));
    }
    undo.push(format!("ALTER TABLE {t} RENAME COLUMN {cur} TO {new}"));
    undo.push(format!("ALTER TABLE {t} RENAME COLUMN {old} TO {cur}"));
    if c.not_null {
        undo.push(format!("ALTER TABLE {t} ALTER COLUMN {cur} SET NOT NULL"));
    }
    if let Some(d) = &c.default {
        undo.push(format!("ALTER TABLE {t} ALTER COLUMN {cur} SET DEFAULT {}", d.text));
    }
    undo.extend(sync.create());
    let step = draft.step(
        PhaseKind::ContractSoft,
        NewStep {
            id: slug(&["swap", &rel.name, column]),
            title: format!("The second `{column}` takes the name; the first is parked and kept in step"),
            statements,
            undo,
        },
    );
    step.undo_verdict = Undo::BlockedByData;
    step.preconditions.push(precondition(
        format!("every row of `{}` is filled", rel.name),
        format!("SELECT * FROM {t} WHERE {new}::text IS DISTINCT FROM ({})::text LIMIT 5", up.replace("{}", &cur)),
    ));
    let mut statements = vec![lock_timeout(p.options)];
    statements.extend(back.drop());
    statements.push(format!("ALTER TABLE {t} DROP COLUMN {old}"));
    statements.extend(indexes.iter().map(|i| i.rename.clone()));
    let step = draft.step(
        PhaseKind::ContractHard,
        NewStep { id: slug(&["drop", &rel.name, &old_name]), title: format!("Drop the parked `{column}`"), statements, undo: Vec::new() },
    );
    step.one_way = Some(format!("the column of type {} is gone", c.ty));
    step.undo_verdict = Undo::LosesData;
    draft.invariants.push(Invariant {
        title: format!("both columns of `{}.{column}` hold the same", rel.name),
        sql: format!("SELECT * FROM {t} WHERE {new}::text IS DISTINCT FROM ({})::text LIMIT 5", up.replace("{}", &cur)),
        from: Boundary::B2,
        until: Boundary::B2,
    });
    draft.deviations.push(Deviation {
        object: format!("{}.{}.{column}", rel.schema, rel.name),
        kind: "column-order".into(),
        reason: "the new column stands last in the table: `select *` and inserts without a column list see another order".into(),
    });
    draft
        .checklist
        .push(format!("Until the soft contract, release N writes only values into `{}.{column}` that {} takes.", rel.name, c.ty));
    Ok(())
}

/// Integer types of which the second holds every value of the first: the range of the first.
fn widening(old: &str, new: &str) -> Option<(&'static str, &'static str)> {
    match (old, new) {
        ("smallint", "integer" | "bigint" | "numeric") => Some(("-32768", "32767")),
        ("integer", "bigint" | "numeric") => Some(("-2147483648", "2147483647")),
        _ => None,
    }
}
