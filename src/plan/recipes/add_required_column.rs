//! ADD COLUMN … NOT NULL without a default: nullable first; release N (or the plan, when it is told a value) fills it; NOT NULL when
//! no NULL is left.

use crate::catalog::{ColumnType, Relation, TypeKind};
use crate::op::ColumnDef;
use crate::quote::{ident, idents, literal};

use super::super::blocks::{backfill, key, lock_timeout, not_null, table};
use super::super::draft::{Draft, NewStep, precondition, slug};
use super::super::{Actor, Boundary, Invariant, PhaseKind, Place, Stop, find_answer};

pub fn plan(p: &Place<'_>, rel: &Relation, column: &ColumnDef, draft: &mut Draft) -> Result<(), Stop> {
    if !column.constraints.is_empty() {
        return p.refuse("the new column brings constraints of its own", "add them in statements of their own");
    }
    let name = column.name.as_str();
    let (t, c) = (table(rel), ident(name));
    let told = find_answer(p.answers, &rel.schema, &rel.name, name, "value");
    // Its own words without NOT NULL.
    let words = p.script.source.slice(column.span);
    let mut definition = words.to_string();
    if let Some(s) = column.not_null_span {
        let from = (s.start - column.span.start) as usize;
        definition.replace_range(from..from + (s.end - s.start) as usize, "");
    }
    let definition = definition.trim_end().to_string();
    draft.step(
        PhaseKind::Expand,
        NewStep {
            id: slug(&["add", &rel.name, name]),
            title: format!("Add `{name}` to `{}`, without NOT NULL", rel.name),
            statements: vec![lock_timeout(p.options), format!("ALTER TABLE {t} ADD COLUMN {definition}")],
            undo: vec![lock_timeout(p.options), format!("ALTER TABLE {t} DROP COLUMN {c}")],
        },
    );
    draft.fills = true;
    let todo = format!("airlock_t.{c} IS NULL");
    match told {
        Some(value) => {
            draft.step(
                PhaseKind::Expand,
                NewStep {
                    id: slug(&["fill", &rel.name, name]),
                    title: format!("New rows that leave out `{name}` get the value that was told"),
                    statements: vec![lock_timeout(p.options), format!("ALTER TABLE {t} ALTER COLUMN {c} SET DEFAULT {value}")],
                    undo: vec![lock_timeout(p.options), format!("ALTER TABLE {t} ALTER COLUMN {c} DROP DEFAULT")],
                },
            );
            let step = draft.step(
                PhaseKind::Migrate,
                NewStep {
                    id: slug(&["backfill", &rel.name, name]),
                    title: format!("Fill `{name}` of the rows that were there, in batches of {}", p.options.batch_size),
                    statements: vec![backfill(p.before(), rel, name, value, &todo, p.options)],
                    undo: Vec::new(),
                },
            );
            step.transaction = false;
            // The values may stay: nobody reads them before the column is dropped.
            step.undo = vec!["SELECT 1".into()];
        }
        None => {
            let Some(sample) = sample(p, &p.before().resolve_type(&column.ty)) else {
                return p.ask(
                    format!("which value do the existing rows of `{}` get in `{name}`?", rel.name),
                    format!("--map '{}.{name}: value=\"…\"'", rel.name),
                );
            };
            let step = draft.step(
                PhaseKind::Migrate,
                NewStep {
                    id: slug(&["application", "fills", &rel.name, name]),
                    title: format!("Release N writes `{name}` in every insert, and its job fills the rows that were there"),
                    statements: vec![format!("UPDATE {t} SET {c} = {sample} WHERE {c} IS NULL")],
                    undo: vec!["SELECT 1".into()],
                },
            );
            step.actor = Actor::Application;
            draft.checklist.push(format!("Release N writes `{}.{name}` in every INSERT.", rel.name));
            draft.checklist.push(format!(
                "After release N runs everywhere and N-1 nowhere, a job of release N fills `{name}` where it is NULL (in batches). The contract waits for it."
            ));
        }
    }
    let offenders = match key(p.before(), rel) {
        Some(k) => format!("SELECT {} FROM {t} WHERE {c} IS NULL LIMIT 5", idents(&k)),
        None => format!("SELECT ctid FROM {t} WHERE {c} IS NULL LIMIT 5"),
    };
    for (i, (title, up, undo)) in not_null(rel, name).into_iter().enumerate() {
        let step = draft.step(
            PhaseKind::ContractSoft,
            NewStep {
                id: slug(&["not-null", &rel.name, name]),
                title: format!("`{name}`: {title}"),
                statements: vec![lock_timeout(p.options), up],
                undo: vec![lock_timeout(p.options), undo],
            },
        );
        if i == 0 {
            step.preconditions.push(precondition(format!("no NULL is left in `{}.{name}`", rel.name), offenders.clone()));
        }
    }
    if told.is_some() {
        let value = told.unwrap_or_default();
        draft.step(
            PhaseKind::ContractSoft,
            NewStep {
                id: slug(&["drop-default", &rel.name, name]),
                title: format!("Release N writes `{name}` by itself: the default goes"),
                statements: vec![lock_timeout(p.options), format!("ALTER TABLE {t} ALTER COLUMN {c} DROP DEFAULT")],
                undo: vec![lock_timeout(p.options), format!("ALTER TABLE {t} ALTER COLUMN {c} SET DEFAULT {value}")],
            },
        );
        draft.invariants.push(Invariant {
            title: format!("`{}.{name}` is filled", rel.name),
            sql: format!("SELECT * FROM {t} WHERE {c} IS NULL LIMIT 5"),
            from: Boundary::B2,
            until: Boundary::B4,
        });
        draft.checklist.push(format!("Release N writes `{}.{name}` in every INSERT before the contract.", rel.name));
    }
    Ok(())
}

/// A value that the type takes, for the proof to play the application with.
fn sample(p: &Place<'_>, ty: &ColumnType) -> Option<String> {
    if ty.array_dims > 0 {
        return Some("'{}'".into());
    }
    if let Some(t) = ty.id.and_then(|id| p.before().types.get(&id)) {
        return match &t.kind {
            TypeKind::Enum { labels } => labels.first().map(|l| literal(&l.value)),
            _ => None,
        };
    }
    Some(
        match ty.name.as_str() {
            "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" => "0",
            "text" | "character varying" | "character" => "'x'",
            "boolean" => "false",
            "date" => "'2000-01-01'",
            "uuid" => "'00000000-0000-0000-0000-000000000000'",
            "json" | "jsonb" => "'{}'",
            "bytea" => "''",
            "interval" => "'0'",
            "time without time zone" => "'00:00'",
            n if n.starts_with("timestamp") => "'2000-01-01'",
            _ => return None,
        }
        .into(),
    )
}
