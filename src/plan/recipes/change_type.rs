//! A type change that would rewrite the table or break N-1: a second column of the new type, kept in step by a trigger, filled in
//! batches; then the two swap names. The old column stays parked, and in step, until the hard contract. A rename on top of it is the
//! same with the second column under its last name from the start.

use crate::catalog::{Column, ColumnType, ConKind, Constraint, Relation, TypeKind};
use crate::compat::{Undo, always_casts, range_within};
use crate::effects::{Sent, predict};
use crate::op::{Expr, FkAction};
use crate::quote::{generated_name, ident, idents, literal, qualified};

use super::super::blocks::{Assignment, NOTHING, Pair, Value, guard, table, type_sql};
use super::super::change::ColumnChange;
use super::super::draft::{Draft, precondition, slug};
use super::super::exprs;
use super::super::table::{Application, Job, Own, TableDraft};
use super::super::{Ctx, Deviation, Stop};
use super::create_index::{Copy, copies};
use super::{collation, column_grants, linked, set_not_null};

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
    let same = before.ty == after.ty;
    let Ways { up, down, partial, touch } = match same {
        true => Ways { up: Value::Copy(from.into()), down: Value::Copy(second.clone()), partial: false, touch: false },
        false => directions(x, change, t, before, after, &second, (&old_type, &new_type))?,
    };
    if x.app() {
        by_application(x, change, (before, after), partial || touch)?;
        t.application.extend(Application::of(&rel, (from, to), &up, after));
    }
    let words = match (renamed, same) {
        (true, true) => format!("`{from}` becomes `{to}`"),
        (true, false) => format!("`{from}` becomes `{to}` of type {}", after.ty),
        _ => format!("`{from}` becomes {}", after.ty),
    };
    t.words.push(words);

    let pair = Pair { old: from.into(), new: second.clone(), up: up.clone(), down: down.clone() };
    let (cur, new, old, last) = (ident(from), ident(&second), ident(&parked), ident(to));
    t.expand.push((
        format!("ALTER TABLE {on} ADD COLUMN {new} {new_type}{}", collation(after)),
        vec![format!("ALTER TABLE {on} DROP COLUMN {new}")],
    ));
    t.expand.extend(column_grants(after, &on, &second).into_iter().map(|g| (g, Vec::new())));
    t.expand.extend(settings(after, &on, &second).into_iter().map(|c| (c, Vec::new())));
    let value = up.of("airlock_t");
    // What release N wrote is never overwritten: only rows that nobody filled are.
    let todo = match touch {
        _ if x.app() => format!("airlock_t.{new}::text IS DISTINCT FROM ({value})::text"),
        true => format!("airlock_t.{new} IS NULL AND airlock_t.{cur} IS NOT NULL"),
        false => format!("airlock_t.{new} IS NULL AND ({value}) IS NOT NULL"),
    };
    let filled = if touch { Value::Null } else { up.clone() };
    t.backfill.push(Assignment { column: second.clone(), value: filled, todo: todo.clone(), overwrites: false });
    if renamed {
        draft.fills = true;
    }

    let seconds = x.seconds(&rel);
    let names: Vec<(&str, &str)> = seconds.iter().filter(|s| s.retyped).map(|s| (s.from.as_str(), s.second.as_str())).collect();
    let Some(mut indexes) = copies(&x.script.before, &rel, from, &names, "new") else {
        return x.refuse(change.span, format!("an index over `{from}` cannot be put into other words"), "drop it in an earlier migration");
    };
    // What the file drops is not copied: this one would stay.
    indexes.retain(|i| x.script.after.relation(i.of).is_some());
    t.index(&indexes);
    // It takes the old constraints along, whose names the new ones get.
    t.hard.push(format!("ALTER TABLE {on} DROP COLUMN {}", if x.app() { &cur } else { &old }));
    for c in rel.constraints.iter().filter(|c| on_column(c, from)) {
        // One over several such columns is taken along by the first of them.
        if names.iter().find(|(n, _)| c.kind.columns().iter().any(|k| k == n)).is_none_or(|(n, _)| *n != from) {
            continue;
        }
        let last: Vec<(&str, &str)> = seconds.iter().map(|s| (s.from.as_str(), s.to.as_str())).collect();
        constraint(x, change, t, c, (from, &names, &last), &indexes)?;
    }
    if before.not_null && after.not_null && !partial {
        t.required_at_n.push(second.clone());
    } else if before.not_null && after.not_null {
        // A row that the new type does not take must not stop N-1: it stops the contract.
        t.required_at_last.push(second.clone());
    } else if after.not_null {
        set_not_null::tighten(x, change, &second, t, draft);
    }

    if before.default.is_some() {
        t.swap.push((
            format!("ALTER TABLE {on} ALTER COLUMN {cur} DROP DEFAULT"),
            before.default.iter().map(|d| format!("ALTER TABLE {on} ALTER COLUMN {cur} SET DEFAULT {}", d.text)).collect(),
        ));
    }
    // An identity column is NOT NULL for as long as it is one (`linked::sequence`).
    if before.not_null && before.identity.is_none() {
        t.swap.push((
            format!("ALTER TABLE {on} ALTER COLUMN {cur} DROP NOT NULL"),
            vec![format!("ALTER TABLE {on} ALTER COLUMN {cur} SET NOT NULL")],
        ));
    }
    let rename = |a: &str, b: &str| format!("ALTER TABLE {on} RENAME COLUMN {a} TO {b}");
    if !x.app() {
        t.swap.push((rename(&cur, &old), vec![rename(&old, &cur)]));
    }
    if !renamed {
        t.swap.push((rename(&new, &last), vec![rename(&last, &new)]));
    }
    if let Some(d) = &after.default {
        t.swap.push((
            format!("ALTER TABLE {on} ALTER COLUMN {last} SET DEFAULT {}", d.text),
            vec![format!("ALTER TABLE {on} ALTER COLUMN {last} DROP DEFAULT")],
        ));
    }
    linked::sequence(x, change, t, (before, after), &parked, &second)?;
    linked::references(x, change, t, from, &second)?;
    t.swap_verdict = match x.app() && !before.not_null {
        true => t.swap_verdict.max(Undo::LosesData),
        false => Undo::BlockedByData,
    };
    let (back_up, back_down) = (up.renamed(from, &parked).renamed(&second, to), down.renamed(from, &parked).renamed(&second, to));
    if !x.app() {
        t.parked.push(Pair { old: parked.clone(), new: to.into(), up: back_up, down: back_down });
    }
    let filled = precondition(
        match x.app() {
            true => format!("`{from}` and `{to}` of `{}` say the same in every row", rel.name),
            false => format!("every row of `{}` has its value in the new type", rel.name),
        },
        format!("SELECT * FROM {on} AS airlock_t WHERE {todo} LIMIT 5"),
    );
    // Whichever of the two steps comes first.
    if partial {
        t.required_if.insert(0, filled.clone());
        draft.checklist.push(format!(
            "N-1 may still write values into `{}.{from}` that {} does not take: when it is gone, a job corrects such rows. The contract waits for it.",
            rel.name, after.ty
        ));
        t.jobs.push(Job {
            id: slug(&["application", "corrects", &rel.name, from]),
            title: format!("A job of the application sees to the rows of `{}` whose `{from}` has no value in the new type", rel.name),
            column: from.into(),
            rows: todo.clone(),
        });
    }
    if x.app() {
        t.agree.push(filled);
    } else {
        t.swap_if.push(filled);
    }
    for i in indexes.iter().filter(|i| !i.constraint) {
        t.hard.push(i.rename.clone());
        t.hard.extend(i.comment.clone());
    }
    triggers(x, change, t, from, to)?;
    t.lost.push(match same {
        true => format!("the column `{from}` is gone"),
        false => format!("the column of type {} is gone", before.ty),
    });
    draft.invariants.push(t.invariant(&pair, format!("both columns of `{}.{from}` say the same", rel.name)));
    t.pairs.push(pair);
    let children = x.script.before.descendants_of(rel.id);
    let children = children.into_iter().filter_map(|id| x.script.before.relation(id)).map(|c| x.last_name(c, to));
    draft.deviations.extend(std::iter::once(x.last_name(&rel, to)).chain(children).map(|object| Deviation {
        object,
        kind: "column-order".into(),
        reason: "the new column stands last in the table: `select *` and inserts without a column list see another order".into(),
    }));
    if !same {
        draft
            .checklist
            .push(format!("Until the soft contract, release N writes only values into `{}.{to}` that {} takes.", rel.name, before.ty));
    }
    Ok(())
}

/// What release N can write into both columns.
fn by_application(x: &Ctx<'_>, change: &ColumnChange, (before, after): (&Column, &Column), some_lost: bool) -> Result<(), Stop> {
    let name = &before.name;
    if *name == after.name {
        return x.refuse(
            change.span,
            format!("`{name}` keeps its name, so no statement of release N could write both columns before the swap and behind it"),
            "rename the column in the same migration, or plan it without `--dual-write app`: a trigger does it",
        );
    }
    if before.identity.is_some() || before.serial.is_some() || before.default_volatility == Some(crate::op::Volatility::Volatile) {
        return x.by_trigger(change.span, format!("Postgres gives `{name}` its value, which the statement does not know"));
    }
    if some_lost {
        return x.by_trigger(change.span, format!("not every value of `{name}` has one of the new type"));
    }
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
    if before.generated.is_some() || after.generated.is_some() {
        return x.refuse(change.span, format!("`{name}` is a generated column"), by_hand);
    }
    if before.collation != after.collation && before.ty == after.ty {
        return x.refuse(change.span, "a change of collation", by_hand);
    }
    Ok(())
}

/// How values go up and down.
struct Ways {
    up: Value,
    down: Value,
    /// Some values of the old type may have none in the new one.
    partial: bool,
    /// The backfill leaves the value to the trigger.
    touch: bool,
}

/// Told, written in the file, or known of the types.
fn directions(
    x: &Ctx<'_>,
    change: &ColumnChange,
    t: &mut TableDraft<'_>,
    before: &Column,
    after: &Column,
    second: &str,
    (old_type, new_type): (&str, &str),
) -> Result<Ways, Stop> {
    let rel = t.rel.clone();
    let (from, to) = (before.name.as_str(), after.name.as_str());
    let told = |key: &str| x.answer(&rel, to, key).or_else(|| x.answer(&rel, from, key)).map(str::to_string);
    let enums = is_enum(x, &before.ty) && is_enum(x, &after.ty);
    let plain_cast = match &change.using {
        None => true,
        Some(u) => exprs::parse(u).is_some_and(|e| exprs::cast_of(&e).is_some_and(|c| c == from)),
    };
    let gone = if enums { labels_gone(x, before, after) } else { Vec::new() };
    if told("up").is_none() && plain_cast && !gone.is_empty() {
        let some = gone.iter().map(|l| literal(l)).collect::<Vec<_>>().join(", ");
        return x.ask(
            change.span,
            format!("what becomes of the rows of `{}` in which `{from}` is {some}? The new type has no such label", rel.name),
            format!(
                "--map '{}.{from}: up=\"CASE {}::text WHEN {} THEN … ELSE {}::text END\"'",
                rel.name,
                ident(from).replace('"', "\\\""),
                literal(&gone[0]).replace('\'', "'\\''"),
                ident(from).replace('"', "\\\"")
            ),
        );
    }
    let mut partial = false;
    let (up, touch) = match told("up").or_else(|| change.using.clone().filter(|_| !plain_cast)) {
        Some(sql) => (x.told(&rel, sql), after.ty.id.is_some()),
        None if always_casts(&before.ty, &after.ty) && !enums => match &change.using {
            Some(u) => (x.told(&rel, u.clone()), false),
            None => (Value::Cast { column: from.into(), ty: new_type.into() }, false),
        },
        None => {
            partial = !enums;
            let function = qualified(&rel.schema, &generated_name("airlock_up_", &[&rel.name, from]));
            // The file's own casts, or the one that an assignment makes; labels go by their text.
            let value = match change.using.as_deref().and_then(exprs::parse).filter(|_| after.ty.id.is_none()) {
                Some(e) => exprs::renamed(&unqualified(&e), from, "airlock_value").map_or_else(|| "airlock_value".into(), |e| e.text),
                None if after.ty.id.is_some() => "airlock_value::text".into(),
                None => "airlock_value".into(),
            };
            t.functions.push((
                guard(&function, old_type, new_type, &format!("{}.{}", table(&rel), ident(second)), &value),
                format!("{function}({old_type})"),
            ));
            (Value::Guarded { column: from.into(), function }, true)
        }
    };
    let down = match (told("down"), range_within(&before.ty.name, &after.ty.name)) {
        (Some(sql), _) => x.told_new(&rel, sql),
        (None, Some((low, high))) => Value::Clamp { column: second.into(), ty: old_type.into(), low, high },
        (None, None) if enums => Value::Text(second.into()),
        (None, None) if goes_back(x, &rel, before, after) => Value::Cast { column: second.into(), ty: old_type.into() },
        (None, None) => {
            let name = |n: &str| ident(n).replace('"', "\\\"");
            return x.ask(
                change.span,
                format!("how does a value of `{}.{to}` go back from {} to {}?", rel.name, after.ty, before.ty),
                format!(
                    "--map '{}.{to}: down=\"{}::{}\"', with an expression of the new column `{to}`",
                    rel.name,
                    name(to),
                    old_type.replace('"', "\\\"")
                ),
            );
        }
    };
    Ok(Ways { up, down, partial, touch })
}

/// The expression without the table's name before its column.
fn unqualified(e: &Expr) -> Expr {
    let name = exprs::cast_of(e).map(str::to_string);
    name.and_then(|n| exprs::unqualified(e, &n)).unwrap_or_else(|| e.clone())
}

/// Labels of the old enum that the new one lacks.
fn labels_gone(x: &Ctx<'_>, before: &Column, after: &Column) -> Vec<String> {
    let labels = |ty: &ColumnType| -> Vec<String> {
        let found = ty.id.and_then(|id| {
            x.script.before.types.get(&id).or_else(|| x.script.statements.iter().find_map(|r| r.after.types.get(&id))).cloned()
        });
        match found.as_deref().map(|t| &t.kind) {
            Some(TypeKind::Enum { labels }) => labels.iter().map(|l| l.value.clone()).collect(),
            _ => Vec::new(),
        }
    };
    let new = labels(&after.ty);
    labels(&before.ty).into_iter().filter(|l| !new.contains(l)).collect()
}

/// What the second column has of the first one, as the file leaves it: comment, statistics target, storage, compression.
fn settings(c: &Column, on: &str, second: &str) -> Vec<String> {
    let column = format!("ALTER TABLE {on} ALTER COLUMN {}", ident(second));
    let mut out = Vec::new();
    if let Some(text) = &c.comment {
        out.push(format!("COMMENT ON COLUMN {on}.{} IS {}", ident(second), literal(text)));
    }
    if let Some(n) = c.statistics.as_ref().and_then(|s| s.trim().parse::<i32>().ok()) {
        out.push(format!("{column} SET STATISTICS {n}"));
    }
    let word = |w: &&String| w.chars().all(|c| c.is_alphanumeric() || c == '_');
    out.extend(c.storage.iter().filter(word).map(|s| format!("{column} SET STORAGE {s}")));
    out.extend(c.compression.iter().filter(word).map(|s| format!("{column} SET COMPRESSION {s}")));
    out
}

/// Triggers that fire for the old column fire for the one that takes its name.
fn triggers(x: &Ctx<'_>, change: &ColumnChange, t: &mut TableDraft<'_>, from: &str, to: &str) -> Result<(), Stop> {
    let (rel, on) = (t.rel.clone(), table(&t.rel));
    for g in rel.triggers.iter().filter(|g| g.update_of.iter().any(|c| c == from)) {
        if x.script.after.relation(rel.id).is_none_or(|r| !r.triggers.iter().any(|o| o.name == g.name)) {
            continue;
        }
        if from != to {
            return x.refuse(
                change.span,
                format!("the trigger `{}` fires for `{from}`", g.name),
                "rename in another migration than the change of type",
            );
        }
        let drop = format!("DROP TRIGGER {} ON {on}", ident(&g.name));
        t.swap.push((drop.clone(), Vec::new()));
        for sql in x.script.before.attachment_sql(&rel, &g.name) {
            t.swap.push((sql, Vec::new()));
        }
        // Undone behind the names, which the undo gives back first.
        let again = std::iter::once(drop).chain(x.script.before.attachment_sql(&rel, &g.name)).collect();
        t.swap.insert(0, (NOTHING.into(), again));
    }
    Ok(())
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

fn on_column(c: &Constraint, column: &str) -> bool {
    match &c.kind {
        ConKind::NotNull { .. } => false,
        other => other.columns().iter().any(|n| n == column),
    }
}

/// Columns and what they are called instead.
type Names<'a> = &'a [(&'a str, &'a str)];

/// A constraint of the old column, for the second one.
fn constraint(
    x: &Ctx<'_>,
    change: &ColumnChange,
    t: &mut TableDraft<'_>,
    c: &Constraint,
    (from, names, last): (&str, Names<'_>, Names<'_>),
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
            let Some(expr) = exprs::all_renamed(expr, last) else {
                return x.refuse(change.span, format!("the check `{}` cannot be put into other words", c.name), "plan this change by hand");
            };
            // Its words name columns as N knows them, so it can only be added when they have their names.
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
            let here = idents(columns.iter().map(|n| names.iter().find(|(c, _)| c == n).map_or(n.as_str(), |(_, s)| *s)));
            let action = |a: &FkAction| a.to_string();
            let full = if *match_full { " MATCH FULL" } else { "" };
            // A column that it refers to and that changes too has a second column as well.
            let others = x.seconds(other);
            let there = idents(
                ref_columns.iter().map(|n| others.iter().find(|s| s.retyped && s.from == *n).map_or(n.as_str(), |s| s.second.as_str())),
            );
            t.linked.push(Own {
                id: slug(&["foreign-key", &rel.name, &c.name]),
                title: format!("`{}`: `{}` for the second column", rel.name, c.name),
                statements: vec![format!(
                    "ALTER TABLE {on} ADD CONSTRAINT {copy} FOREIGN KEY ({here}) REFERENCES {} ({}){full} ON DELETE {} ON UPDATE {} NOT VALID",
                    table(other),
                    there,
                    action(on_delete),
                    action(on_update)
                )],
                undo: vec![format!("ALTER TABLE {on} DROP CONSTRAINT {copy}")],
                transaction: true,
                preconditions: Vec::new(),
            });
            if c.validated {
                validate(&mut t.linked);
            }
            t.hard.push(take_name);
        }
        ConKind::Unique { index, .. } | ConKind::PrimaryKey { index, .. } => {
            let Some(copied) = indexes.iter().find(|i| i.of == *index) else {
                return x.refuse(change.span, format!("the index of `{}` cannot be copied", c.name), "plan this change by hand");
            };
            let what = if matches!(c.kind, ConKind::PrimaryKey { .. }) { "PRIMARY KEY" } else { "UNIQUE" };
            let columns = idents(c.kind.columns());
            // First in the swap, so that the undo comes last: when the columns have their names again.
            t.swap.splice(
                0..0,
                [
                    (
                        format!("ALTER TABLE {on} DROP CONSTRAINT {name}"),
                        vec![format!("ALTER TABLE {on} ADD CONSTRAINT {name} {what} ({columns})")],
                    ),
                    (
                        format!("ALTER TABLE {on} ADD CONSTRAINT {name} {what} USING INDEX {}", ident(&copied.name)),
                        vec![format!("ALTER TABLE {on} DROP CONSTRAINT {name}"), copied.create.replacen("INDEX CONCURRENTLY", "INDEX", 1)],
                    ),
                ],
            );
        }
        ConKind::Exclude { .. } => {
            return x.refuse(change.span, format!("the exclusion constraint `{}` is on `{from}`", c.name), "plan this change by hand");
        }
        ConKind::NotNull { .. } => {}
    }
    Ok(())
}
