//! Stored generated columns: another name, another type, another expression, or none. Postgres would write the table anew, or leave the column
//! to whoever writes; here a trigger computes the second column, and the rows that are there are filled in batches.

use crate::catalog::{Column, ConKind, Relation};
use crate::compat::Undo;
use crate::op::Generated;
use crate::quote::{generated_name, ident, literal};

use super::super::blocks::{Assignment, Computed, Value, computed, computed_unless_given, table};
use super::super::change::ColumnChange;
use super::super::draft::{Draft, slug};
use super::super::standing::{Standing, StandingStep};
use super::super::table::TableDraft;
use super::super::{Boundary, Ctx, Deviation, Invariant, PhaseKind, Stop};
use super::create_index::copies;
use super::{collation, column_grants};

/// RENAME COLUMN: release N reads a copy that a trigger computes, until the column itself has the name.
pub fn renamed(x: &Ctx<'_>, change: &ColumnChange, t: &mut TableDraft<'_>, draft: &mut Draft) -> Result<(), Stop> {
    let Some((before, after, made)) = parts(change) else { return Ok(()) };
    let rel = t.rel.clone();
    let on = table(&rel);
    let (old, new) = (ident(&before.name), ident(&after.name));
    t.words.push(format!("`{}` becomes `{}`, which a trigger computes meanwhile", before.name, after.name));
    let add = format!("ALTER TABLE {on} ADD COLUMN {new} {}{}", x.new_type(change.span, &before.ty)?, collation(before));
    t.expand.push((add.clone(), vec![format!("ALTER TABLE {on} DROP COLUMN {new}")]));
    let grants = column_grants(before, &on, &after.name);
    t.expand.extend(grants.iter().map(|g| (g.clone(), Vec::new())));
    let value = x.told(&rel, made.expr.text.clone());
    let c = computed(&x.script.before, &rel, &after.name, &value);
    keep(t, &c);
    backfill(t, &after.name, &value);
    draft.fills = true;
    draft.invariants.push(Invariant {
        title: format!("`{}.{}` and `{}` hold the same", rel.name, before.name, after.name),
        sql: format!("SELECT * FROM {on} AS airlock_t WHERE airlock_t.{old}::text IS DISTINCT FROM airlock_t.{new}::text LIMIT 5"),
        from: Boundary::B2,
        until: Boundary::B2,
    });
    let indexes = indexes(x, change, t, &before.name, &after.name, "second")?;
    let mut again = vec![add];
    again.extend(grants);
    again.extend([c.function.clone(), c.trigger.clone()]);
    again.push(format!("UPDATE {on} SET {new} = {old}"));
    again.extend(indexes.into_iter().map(|i| i.replacen("INDEX CONCURRENTLY", "INDEX", 1)));
    t.swap.insert(0, (format!("ALTER TABLE {on} DROP COLUMN {new}"), again));
    t.swap.insert(0, (c.drop_function, Vec::new()));
    t.swap.insert(0, (c.drop_trigger, Vec::new()));
    t.swap.push((format!("ALTER TABLE {on} RENAME COLUMN {old} TO {new}"), vec![format!("ALTER TABLE {on} RENAME COLUMN {new} TO {old}")]));
    draft.checklist.push(format!("Release N says `{}` wherever N-1 said `{}` of `{}`.", after.name, before.name, rel.name));
    Ok(())
}

/// Another type or another expression: a plain column that a trigger computes takes the name, for good.
pub fn recomputed(x: &Ctx<'_>, change: &ColumnChange, t: &mut TableDraft<'_>, draft: &mut Draft) -> Result<(), Stop> {
    let Some((before, after, _)) = parts(change) else { return Ok(()) };
    let Some(made) = &after.generated else { return Ok(()) };
    let rel = t.rel.clone();
    let on = table(&rel);
    if before.name != after.name {
        return x.refuse(
            change.span,
            format!("`{}` gets another name and is computed otherwise in one migration", before.name),
            "do the one in this migration and the other in the next",
        );
    }
    let held = rel.constraints.iter().find(|c| !matches!(c.kind, ConKind::NotNull { .. }) && constrains(&c.kind, &before.name));
    if let Some(c) = held {
        return x.refuse(
            change.span,
            format!("`{}` binds `{}`, which is computed otherwise", c.name, before.name),
            "drop the constraint in an earlier migration, and add it again in a later one",
        );
    }
    let (second, parked) = (generated_name("airlock_new_", &[&before.name]), generated_name("airlock_old_", &[&before.name]));
    t.words.push(format!("`{}` is computed by a trigger as `{}` of type {}", before.name, made.expr.text, after.ty));
    t.expand.push((
        format!("ALTER TABLE {on} ADD COLUMN {} {}{}", ident(&second), x.new_type(change.span, &after.ty)?, collation(after)),
        vec![format!("ALTER TABLE {on} DROP COLUMN {}", ident(&second))],
    ));
    let grants = column_grants(before, &on, &second);
    t.expand.extend(grants.iter().map(|g| (g.clone(), Vec::new())));
    if let Some(comment) = &after.comment {
        t.expand.push((format!("COMMENT ON COLUMN {on}.{} IS {}", ident(&second), literal(comment)), Vec::new()));
    }
    let value = x.told(&rel, made.expr.text.clone());
    let first = computed(&x.script.before, &rel, &second, &value);
    let last = computed(&x.script.before, &rel, &after.name, &x.told_last(&rel, made.expr.text.clone()));
    keep(t, &first);
    backfill(t, &second, &value);
    let (c, v) = (ident(&second), value.of("airlock_t"));
    draft.invariants.push(Invariant {
        title: format!("`{}.{}` has its new value in every row", rel.name, before.name),
        sql: format!("SELECT * FROM {on} AS airlock_t WHERE airlock_t.{c}::text IS DISTINCT FROM ({v})::text LIMIT 5"),
        from: Boundary::B2,
        until: Boundary::B2,
    });
    let indexes = indexes(x, change, t, &before.name, &second, "new")?;
    drop(indexes);
    if after.not_null {
        t.required_at_n.push(second.clone());
    }
    let rename = |a: &str, b: &str| format!("ALTER TABLE {on} RENAME COLUMN {} TO {}", ident(a), ident(b));
    t.swap.push((first.drop_trigger, vec![first.trigger]));
    t.swap.push((first.drop_function, vec![first.function]));
    t.swap.push((rename(&before.name, &parked), vec![rename(&parked, &before.name)]));
    t.swap.push((rename(&second, &after.name), vec![rename(&after.name, &second)]));
    t.swap.push((last.function, vec![last.drop_function]));
    t.swap.push((last.trigger, vec![last.drop_trigger]));
    t.hard.push(format!("ALTER TABLE {on} DROP COLUMN {}", ident(&parked)));
    t.lost.push(format!("what `{}` was before is gone; its expression is in the schema of before", before.name));
    stays_computed(x, &rel, after, &last.name, draft);
    draft.checklist.push(format!(
        "Until the soft contract `{}.{}` says what it said to N-1; from then on it is computed as {}.",
        rel.name, before.name, made.expr.text
    ));
    Ok(())
}

/// The column stays a plain one with a trigger: what the plan leaves otherwise than the migration does.
pub fn stays_computed(x: &Ctx<'_>, rel: &Relation, column: &Column, trigger: &str, draft: &mut Draft) {
    let before = &x.script.before;
    let mut differs = |object: String, kind: &str, reason: String| {
        draft.deviations.push(Deviation { object, kind: kind.into(), reason });
    };
    let children = before.descendants_of(rel.id);
    for one in std::iter::once(rel).chain(children.iter().filter_map(|id| before.relation(*id))) {
        differs(
            x.last_name(one, &column.name),
            "generated",
            "a plain column that a trigger computes: to make it a generated one, Postgres would write the whole table anew under the \
             strongest lock. What a statement gives for it is ignored, not refused"
                .into(),
        );
        differs(x.last_name(one, trigger), "trigger", format!("it computes `{}` at every write, and stays", column.name));
    }
    differs(format!("{}.{}", rel.schema, trigger), "function", "the trigger's".into());
}

/// DROP EXPRESSION: release N gives the value itself, and N-1 must go on to get it. A trigger computes it where none is given, until N-1 is gone.
pub fn plain(s: &Standing<'_>, rel: &Relation, column: &str) -> Option<Vec<StandingStep>> {
    let made = rel.column(column)?.generated.as_ref().filter(|g| g.stored)?;
    let names = rel.columns.iter().map(|c| (c.name.clone(), c.name.clone())).collect();
    let value = Value::Told { sql: made.expr.text.clone(), table: rel.name.clone(), names };
    let reads = super::super::rows::reads(&made.expr)?;
    let c = computed_unless_given(s.before, rel, column, &value, &reads);
    let on = table(rel);
    Some(vec![
        StandingStep {
            phase: Some(PhaseKind::Expand),
            id: slug(&["plain", &rel.name, column]),
            title: format!("`{}.{column}` takes the values that release N gives, and is computed where none is given", rel.name),
            statements: vec![
                c.function.clone(),
                c.trigger.clone(),
                format!("ALTER TABLE {on} ALTER COLUMN {} DROP EXPRESSION", ident(column)),
            ],
            one_way: Some(
                "Postgres makes no generated column out of a plain one; as long as the trigger stays, N-1 notices nothing".into(),
            ),
            undo_verdict: Undo::Impossible,
            ..StandingStep::default()
        },
        StandingStep {
            phase: Some(PhaseKind::ContractSoft),
            id: slug(&["computed", &rel.name, column]),
            title: format!("Release N-1 is gone: nobody but release N gives `{}.{column}` its value", rel.name),
            statements: vec![c.drop_trigger, c.drop_function],
            undo: vec![c.function, c.trigger],
            checklist: vec![format!(
                "Release N gives `{}.{column}` a value in every INSERT, and in every UPDATE of what it was computed from.",
                rel.name
            )],
            ..StandingStep::default()
        },
    ])
}

fn parts(change: &ColumnChange) -> Option<(&Column, &Column, &Generated)> {
    let (before, after) = (change.before.as_ref()?, change.after.as_ref()?);
    Some((before, after, before.generated.as_ref()?))
}

fn keep(t: &mut TableDraft<'_>, c: &Computed) {
    t.expand.push((c.function.clone(), vec![c.drop_function.clone()]));
    t.expand.push((c.trigger.clone(), vec![c.drop_trigger.clone()]));
}

fn backfill(t: &mut TableDraft<'_>, column: &str, value: &Value) {
    t.backfill.push(Assignment {
        column: column.into(),
        todo: format!("airlock_t.{}::text IS DISTINCT FROM ({})::text", ident(column), value.of("airlock_t")),
        value: value.clone(),
        overwrites: false,
    });
}

/// Copies of the indexes over the column: the statements that make them.
fn indexes(
    x: &Ctx<'_>,
    change: &ColumnChange,
    t: &mut TableDraft<'_>,
    from: &str,
    second: &str,
    suffix: &str,
) -> Result<Vec<String>, Stop> {
    let rel = t.rel.clone();
    let Some(mut all) = copies(&x.script.before, &rel, from, &[(from, second)], suffix) else {
        return x.refuse(change.span, format!("an index over `{from}` cannot be put into other words"), "drop it in an earlier migration");
    };
    all.retain(|i| x.script.after.relation(i.of).is_some() || suffix == "second");
    t.index(&all);
    if suffix == "new" {
        for i in &all {
            let Some(old) = x.script.before.relation(i.of) else { continue };
            let (schema, parked) = (&old.schema, generated_name("airlock_old_", &[&old.name]));
            let rename = |a: &str, b: &str| format!("ALTER INDEX {} RENAME TO {}", crate::quote::qualified(schema, a), ident(b));
            t.swap.push((rename(&old.name, &parked), vec![rename(&parked, &old.name)]));
            t.swap.push((i.rename.clone(), vec![rename(&old.name, &i.name)]));
            t.swap.extend(i.comment.iter().map(|c| (c.clone(), Vec::new())));
        }
    }
    Ok(all.into_iter().map(|i| i.create).collect())
}

fn constrains(kind: &ConKind, column: &str) -> bool {
    match kind {
        ConKind::Check { columns, .. } => columns.iter().any(|c| c == column),
        other => other.columns().iter().any(|c| c == column),
    }
}
