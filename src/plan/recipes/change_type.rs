//! A type change that would rewrite the table or break N-1: a second column of the new type, kept in step by a trigger, filled in
//! batches; then the two swap names. The old column stays parked, and in step, until the hard contract. A rename on top of it is the
//! same with the second column under its last name from the start.

use crate::catalog::{Column, ColumnType, ConKind, Constraint, Relation};
use crate::compat::Undo;
use crate::effects::{Sent, predict};
use crate::op::FkAction;
use crate::quote::{generated_name, ident, idents};

use super::super::blocks::{Assignment, Pair, Value, table, type_sql};
use super::super::change::ColumnChange;
use super::super::draft::{Draft, precondition, slug};
use super::super::table::{Own, TableDraft};
use super::super::{Ctx, Deviation, Stop};
use super::create_index::{Copy, copies, unusual_index};
use super::{collation, column_grants, set_not_null};

pub fn plan(x: &Ctx<'_>, change: &ColumnChange, t: &mut TableDraft<'_>, draft: &mut Draft) -> Result<(), Stop> {
    let (Some(before), Some(after)) = (&change.before, &change.after) else { return Ok(()) };
    let rel = t.rel.clone();
    refuse(x, change, &rel, before, after)?;
    let (from, to) = (before.name.as_str(), after.name.as_str());
    let renamed = from != to;
    let parked = generated_name("airlock_old_", &[from]);
    let second = if renamed { to.to_string() } else { generated_name("airlock_new_", &[from]) };
    let on = table(&rel);
    let (old_type, new_type) = (type_sql(&x.script.before, &before.ty), x.new_type(change.span, &after.ty)?);
    let (up, down) = directions(x, change, &rel, before, after, &second, (&old_type, &new_type))?;
    let words = if renamed { format!("`{from}` becomes `{to}` of type {new_type}") } else { format!("`{from}` becomes {new_type}") };
    t.words.push(words);

    let pair = Pair { old: from.into(), new: second.clone(), up: up.clone(), down: down.clone() };
    let (cur, new, old, last) = (ident(from), ident(&second), ident(&parked), ident(to));
    t.expand.push((
        format!("ALTER TABLE {on} ADD COLUMN {new} {new_type}{}", collation(after)),
        vec![format!("ALTER TABLE {on} DROP COLUMN {new}")],
    ));
    t.expand.extend(column_grants(before, &on, &second).into_iter().map(|g| (g, Vec::new())));
    let value = up.of("airlock_t");
    // What release N wrote is never overwritten: only rows that nobody filled are.
    let todo = format!("airlock_t.{new} IS NULL AND ({value}) IS NOT NULL");
    t.backfill.push(Assignment { column: second.clone(), value: up.clone(), todo, overwrites: false });
    if renamed {
        draft.fills = true;
    }

    let indexes = copies(&x.script.before, &rel, from, &second);
    t.index(&indexes);
    // It takes the old constraints along, whose names the new ones get.
    t.hard.push(format!("ALTER TABLE {on} DROP COLUMN {old}"));
    for c in rel.constraints.iter().filter(|c| on_column(c, from)) {
        constraint(x, change, t, c, (from, &second, to), &indexes)?;
    }
    if before.not_null && after.not_null {
        t.required_at_n.push(second.clone());
    } else if after.not_null {
        set_not_null::tighten(x, change, &second, t, draft);
    }

    if before.default.is_some() {
        t.swap.push((
            format!("ALTER TABLE {on} ALTER COLUMN {cur} DROP DEFAULT"),
            before.default.iter().map(|d| format!("ALTER TABLE {on} ALTER COLUMN {cur} SET DEFAULT {}", d.text)).collect(),
        ));
    }
    if before.not_null {
        t.swap.push((
            format!("ALTER TABLE {on} ALTER COLUMN {cur} DROP NOT NULL"),
            vec![format!("ALTER TABLE {on} ALTER COLUMN {cur} SET NOT NULL")],
        ));
    }
    let rename = |a: &str, b: &str| format!("ALTER TABLE {on} RENAME COLUMN {a} TO {b}");
    t.swap.push((rename(&cur, &old), vec![rename(&old, &cur)]));
    if !renamed {
        t.swap.push((rename(&new, &last), vec![rename(&last, &new)]));
    }
    if let Some(d) = &after.default {
        t.swap.push((
            format!("ALTER TABLE {on} ALTER COLUMN {last} SET DEFAULT {}", d.text),
            vec![format!("ALTER TABLE {on} ALTER COLUMN {last} DROP DEFAULT")],
        ));
    }
    t.swap_verdict = Undo::BlockedByData;
    let (back_up, back_down) = (up.renamed(from, &parked).renamed(&second, to), down.renamed(from, &parked).renamed(&second, to));
    t.parked.push(Pair { old: parked.clone(), new: to.into(), up: back_up, down: back_down });
    t.swap_if.push(precondition(
        format!("every row of `{}` is filled", rel.name),
        format!("SELECT * FROM {on} AS airlock_t WHERE {new} IS NULL AND ({value}) IS NOT NULL LIMIT 5"),
    ));
    for i in indexes.iter().filter(|i| !i.constraint) {
        t.hard.push(i.rename.clone());
    }
    t.lost.push(format!("the column of type {old_type} is gone"));
    draft.invariants.push(t.invariant(&pair, format!("both columns of `{}.{from}` say the same", rel.name)));
    t.pairs.push(pair);
    draft.deviations.push(Deviation {
        object: format!("{}.{}.{to}", rel.schema, rel.name),
        kind: "column-order".into(),
        reason: "the new column stands last in the table: `select *` and inserts without a column list see another order".into(),
    });
    draft.checklist.push(format!("Until the soft contract, release N writes only values into `{}.{to}` that {old_type} takes.", rel.name));
    Ok(())
}

fn refuse(x: &Ctx<'_>, change: &ColumnChange, rel: &Relation, before: &Column, after: &Column) -> Result<(), Stop> {
    let by_hand = "plan this change by hand, or leave it out of this migration";
    let name = &before.name;
    if *name != after.name && rel.column(&after.name).is_some() {
        return x.refuse(
            change.span,
            format!("`{}` still has a column `{}`", rel.name, after.name),
            "free the name in an earlier migration",
        );
    }
    if before.identity.is_some() || before.serial.is_some() {
        return x.refuse(change.span, format!("`{name}` draws its values from a sequence of its own"), by_hand);
    }
    if before.generated.is_some() || after.generated.is_some() {
        return x.refuse(change.span, format!("`{name}` is a generated column"), by_hand);
    }
    if before.collation != after.collation && before.ty == after.ty {
        return x.refuse(change.span, "a change of collation", by_hand);
    }
    let referenced = x
        .script
        .before
        .foreign_keys_to(rel.id)
        .into_iter()
        .any(|(_, k)| matches!(&k.kind, ConKind::ForeignKey { ref_columns, .. } if ref_columns.contains(name)));
    if referenced {
        return x.refuse(change.span, format!("a foreign key refers to `{name}`"), by_hand);
    }
    if unusual_index(&x.script.before, rel, name) {
        return x.refuse(change.span, format!("an index over an expression or with a condition uses `{name}`"), by_hand);
    }
    Ok(())
}

/// How values go up and down: told, written in the file, or known of the types.
fn directions(
    x: &Ctx<'_>,
    change: &ColumnChange,
    rel: &Relation,
    before: &Column,
    after: &Column,
    second: &str,
    (old_type, new_type): (&str, &str),
) -> Result<(Value, Value), Stop> {
    let (from, to) = (before.name.as_str(), after.name.as_str());
    let told = |key: &str| x.answer(rel, to, key).or_else(|| x.answer(rel, from, key)).map(str::to_string);
    let up = match told("up").or_else(|| change.using.clone()) {
        Some(sql) => x.told(rel, sql),
        None => Value::Cast { column: from.into(), ty: new_type.into() },
    };
    let down = match (told("down"), widening(&before.ty.name, &after.ty.name)) {
        (Some(sql), _) => x.told_new(rel, sql),
        (None, Some((low, high))) => Value::Clamp { column: second.into(), ty: old_type.into(), low, high },
        (None, None) if goes_back(x, rel, before, after) => Value::Cast { column: second.into(), ty: old_type.into() },
        (None, None) if is_enum(x, &before.ty) && is_enum(x, &after.ty) => {
            Value::Cast { column: second.into(), ty: format!("text::{old_type}") }
        }
        (None, None) => {
            return x.ask(
                change.span,
                format!("how does a value of `{}.{to}` go back from {new_type} to {old_type}?", rel.name),
                format!("--map '{}.{to}: up=\"{}::{new_type}\", down=\"{}::{old_type}\"'", rel.name, ident(from).trim_matches('"'), to),
            );
        }
    };
    // An enum goes to another one by its label.
    let up = match up {
        Value::Cast { column, ty } if is_enum(x, &before.ty) && is_enum(x, &after.ty) => Value::Cast { column, ty: format!("text::{ty}") },
        other => other,
    };
    Ok((up, down))
}

fn is_enum(x: &Ctx<'_>, ty: &ColumnType) -> bool {
    !ty.is_array()
        && ty
            .id
            .and_then(|id| x.script.after.types.get(&id).or_else(|| x.script.before.types.get(&id)))
            .is_some_and(|t| matches!(t.kind, crate::catalog::TypeKind::Enum { .. }))
}

/// Every value of the new type has one of the old type: the way back is a change that Postgres makes without reading a row, or a text.
fn goes_back(x: &Ctx<'_>, rel: &Relation, before: &Column, after: &Column) -> bool {
    if before.ty.is_array() != after.ty.is_array() {
        return false;
    }
    if matches!(before.ty.name.as_str(), "text" | "character varying") && before.ty.modifiers.is_empty() && !before.ty.is_array() {
        return true;
    }
    if matches!((before.ty.name.as_str(), after.ty.name.as_str()), ("json", "jsonb") | ("jsonb", "json")) {
        return true;
    }
    let mut catalog = x.script.after.clone();
    let Some(now) = catalog.relations.get(&rel.id) else { return false };
    // A stand-in without dependents: only the types are asked about.
    let probe = format!(
        "CREATE TABLE airlock_probe (c {})",
        type_sql(&catalog, &now.column(&after.name).map_or(after.ty.clone(), |c| c.ty.clone()))
    );
    for s in crate::lower::lower_text(&probe) {
        catalog.apply_statement(&s);
    }
    let sql = format!("ALTER TABLE airlock_probe ALTER COLUMN c TYPE {}", type_sql(&x.script.before, &before.ty));
    crate::lower::lower_text(&sql).first().is_some_and(|s| {
        let e = predict(s, &catalog, Sent { pg: catalog.pg, in_transaction: true });
        e.fails.is_none() && e.rewrites.is_empty() && e.scans.is_empty()
    })
}

/// Integer types of which the second holds every value of the first: the range of the first.
fn widening(old: &str, new: &str) -> Option<(&'static str, &'static str)> {
    match (old, new) {
        ("smallint", "integer" | "bigint" | "numeric") => Some(("-32768", "32767")),
        ("integer", "bigint" | "numeric") => Some(("-2147483648", "2147483647")),
        _ => None,
    }
}

fn on_column(c: &Constraint, column: &str) -> bool {
    match &c.kind {
        ConKind::NotNull { .. } => false,
        other => other.columns().iter().any(|n| n == column),
    }
}

/// A constraint of the old column, for the second one.
fn constraint(
    x: &Ctx<'_>,
    change: &ColumnChange,
    t: &mut TableDraft<'_>,
    c: &Constraint,
    (from, second, to): (&str, &str, &str),
    indexes: &[Copy],
) -> Result<(), Stop> {
    let rel = t.rel.clone();
    let on = table(&rel);
    // It goes with the file's own words, or takes another shape there: then it stands by itself.
    if x.script.after.relation(rel.id).is_none_or(|r| r.constraint(&c.name).is_none()) {
        return Ok(());
    }
    let (name, copy) = (ident(&c.name), ident(&generated_name("airlock_", &[&c.name, "new"])));
    let take_name = format!("ALTER TABLE {on} RENAME CONSTRAINT {copy} TO {name}");
    let validate = |phase: &mut Vec<Own>| {
        let added = phase.last().map(|s: &Own| s.statements.clone()).unwrap_or_default();
        let drop = format!("ALTER TABLE {on} DROP CONSTRAINT {copy}");
        phase.push(Own {
            id: slug(&["validate", &rel.name, &c.name]),
            title: format!("`{}`: prove `{}` for the second column", rel.name, c.name),
            statements: vec![format!("ALTER TABLE {on} VALIDATE CONSTRAINT {copy}")],
            undo: std::iter::once(drop).chain(added).collect(),
            transaction: true,
            preconditions: Vec::new(),
        });
    };
    match &c.kind {
        ConKind::Check { expr, .. } => {
            if from != to {
                return x.refuse(
                    change.span,
                    format!("the check `{}` says `{from}`", c.name),
                    "rename in another migration than the change of type",
                );
            }
            // Its words name the column, so it can only be added when the second column has the name.
            t.after_swap.push(Own {
                id: slug(&["check", &rel.name, &c.name]),
                title: format!("`{}`: `{}` binds the second column too", rel.name, c.name),
                statements: vec![format!("ALTER TABLE {on} ADD CONSTRAINT {copy} CHECK ({}) NOT VALID", expr.text)],
                undo: vec![format!("ALTER TABLE {on} DROP CONSTRAINT {copy}")],
                transaction: true,
                preconditions: Vec::new(),
            });
            if c.validated {
                validate(&mut t.after_swap);
            }
            t.hard.push(take_name);
        }
        ConKind::ForeignKey { columns, table: to_table, ref_columns, on_delete, on_update, match_full } => {
            let Some(other) = x.script.before.relation(*to_table) else { return Ok(()) };
            let here = idents(columns.iter().map(|n| if n == from { second } else { n.as_str() }));
            let action = |a: &FkAction| a.to_string();
            let full = if *match_full { " MATCH FULL" } else { "" };
            t.migrate.push(Own {
                id: slug(&["foreign-key", &rel.name, &c.name]),
                title: format!("`{}`: `{}` for the second column", rel.name, c.name),
                statements: vec![format!(
                    "ALTER TABLE {on} ADD CONSTRAINT {copy} FOREIGN KEY ({here}) REFERENCES {} ({}){full} ON DELETE {} ON UPDATE {} NOT VALID",
                    table(other),
                    idents(ref_columns),
                    action(on_delete),
                    action(on_update)
                )],
                undo: vec![format!("ALTER TABLE {on} DROP CONSTRAINT {copy}")],
                transaction: true,
                preconditions: Vec::new(),
            });
            if c.validated {
                validate(&mut t.migrate);
            }
            t.hard.push(take_name);
        }
        ConKind::Unique { index, .. } | ConKind::PrimaryKey { index, .. } => {
            let Some(copied) = indexes.iter().find(|i| i.of == *index) else {
                return x.refuse(change.span, format!("the index of `{}` cannot be copied", c.name), "plan this change by hand");
            };
            let what = if matches!(c.kind, ConKind::PrimaryKey { .. }) { "PRIMARY KEY" } else { "UNIQUE" };
            let columns = idents(c.kind.columns());
            t.swap.push((
                format!("ALTER TABLE {on} DROP CONSTRAINT {name}"),
                vec![format!("ALTER TABLE {on} ADD CONSTRAINT {name} {what} ({columns})")],
            ));
            t.swap.push((
                format!("ALTER TABLE {on} ADD CONSTRAINT {name} {what} USING INDEX {}", ident(&copied.name)),
                vec![format!("ALTER TABLE {on} DROP CONSTRAINT {name}"), copied.create.replacen("INDEX CONCURRENTLY", "INDEX", 1)],
            ));
        }
        ConKind::Exclude { .. } => {
            return x.refuse(change.span, format!("the exclusion constraint `{}` is on `{from}`", c.name), "plan this change by hand");
        }
        ConKind::NotNull { .. } => {}
    }
    Ok(())
}
