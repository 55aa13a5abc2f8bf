//! ADD COLUMN that the file fills by an UPDATE, or whose default is another one for each row: the column first, without rewriting the
//! table; a trigger fills what N-1 writes, a backfill what was there.

use crate::catalog::{Column, ConKind};
use crate::quote::{generated_name, ident, qualified};

use super::super::blocks::{Assignment, Back, Filled, Value, table, type_sql};
use super::super::change::ColumnChange;
use super::super::crossing;
use super::super::draft::{Draft, precondition, slug};
use super::super::exprs;
use super::super::rows::Fill;
use super::super::table::{Own, TableDraft};
use super::super::{Boundary, Ctx, Invariant, Stop};
use super::{add_column, set_default};

/// A column that needs nothing but its place.
pub fn plain(x: &Ctx<'_>, change: &ColumnChange, t: &mut TableDraft<'_>) -> Result<(), Stop> {
    let Some(new) = &change.after else { return Ok(()) };
    let default = new.default.as_ref().map(|d| format!(" DEFAULT {}", d.text)).unwrap_or_default();
    let not_null = if new.not_null { " NOT NULL" } else { "" };
    add_column(t, new, &x.new_type(change.span, &new.ty)?, &format!("{default}{not_null}"));
    t.expand_verdict = crate::compat::Undo::LosesData;
    inline(x, change, t)
}

pub fn plan(x: &Ctx<'_>, change: &ColumnChange, t: &mut TableDraft<'_>, draft: &mut Draft) -> Result<(), Stop> {
    let Some(new) = &change.after else { return Ok(()) };
    let (rel, name) = (t.rel.clone(), new.name.as_str());
    let (on, c) = (table(&rel), ident(name));
    add_column(t, new, &type_sql(&x.script.after, &new.ty), "");
    t.expand_verdict = crate::compat::Undo::LosesData;
    draft.fills = true;
    let default = new.default.as_ref().map(|d| d.text.clone());
    let Some(fill) = &change.filled_by else {
        // A default row by row: new rows have it from the start, the others in batches.
        let Some(default) = default else { return Ok(()) };
        t.expand.push(set_default(t, name, &default));
        t.backfill.push(Assignment::fill(name, Value::Default(default), true));
        required(t, new, &on);
        return inline(x, change, t);
    };
    let gone: Vec<String> = fill.reads.iter().filter(|r| is_dropped(x, &rel, r)).cloned().collect();
    if x.app() && !gone.is_empty() {
        return x.by_trigger(change.span, format!("`{}` goes, and `{name}` comes out of it", gone.join("`, `")));
    }
    let sql = match &default {
        Some(d) => format!("COALESCE({}, {d})", fill.value),
        None => fill.value.clone(),
    };
    let never_null = x.never_null(&rel, &sql);
    let value = x.told_as(&rel, fill.alias.as_deref(), sql);
    t.backfill.push(Assignment::fill(name, value.clone(), never_null));
    t.fill(Filled { column: name.into(), value: value.clone(), required: new.not_null, watch: gone.clone() });
    back(x, change, fill, new, &gone, t, draft)?;
    if let Some(cross) = &fill.cross {
        crossing::fill(x, change, cross, &value, t, draft)?;
    }
    if new.not_null && !never_null {
        // Where nothing stands in the row, or the other table has none, there is no value.
        super::add_required_column::job(change, t, name);
    }
    if let Some(d) = &default {
        t.swap.push((
            format!("ALTER TABLE {on} ALTER COLUMN {c} SET DEFAULT {d}"),
            vec![format!("ALTER TABLE {on} ALTER COLUMN {c} DROP DEFAULT")],
        ));
    }
    required(t, new, &on);
    inline(x, change, t)
}

fn is_dropped(x: &Ctx<'_>, rel: &crate::catalog::Relation, column: &str) -> bool {
    let attnum = rel.column(column).map(|c| c.attnum);
    attnum.is_some() && x.script.after.relation(rel.id).is_none_or(|r| !r.columns.iter().any(|c| Some(c.attnum) == attnum))
}

fn required(t: &mut TableDraft<'_>, new: &Column, on: &str) {
    if new.not_null {
        t.required_at_last.push(new.name.clone());
        t.required_if.push(precondition(
            format!("no NULL is left in `{}.{}`", t.rel.name, new.name),
            format!("SELECT * FROM {on} WHERE {} IS NULL LIMIT 5", ident(&new.name)),
        ));
    }
}

/// Columns of N-1 that go, and whose values are in the new one from now on: what N writes goes back into them.
fn back(
    x: &Ctx<'_>,
    change: &ColumnChange,
    fill: &Fill,
    new: &Column,
    gone: &[String],
    t: &mut TableDraft<'_>,
    draft: &mut Draft,
) -> Result<(), Stop> {
    let rel = t.rel.clone();
    for old in gone {
        if t.backs.iter().any(|b| b.column == *old) {
            continue;
        }
        let Some(column) = rel.column(old) else { continue };
        let bare = exprs::parse(&fill.value).is_some_and(|e| matches!(e.kind, crate::op::ExprKind::Column(_)));
        let told = x.answer(&rel, old, "down").map(str::to_string);
        let (value, watch) = match told {
            Some(sql) => {
                let after = x.script.after.relation(rel.id);
                let watch: Vec<String> =
                    x.reads(&sql).into_iter().filter(|n| after.is_some_and(|r| r.column(n).is_some()) && rel.column(n).is_none()).collect();
                (x.told_new(&rel, sql), watch)
            }
            None if bare && column.ty == new.ty => {
                draft.invariants.push(Invariant {
                    title: format!("`{}.{old}` and `{}` say the same", rel.name, new.name),
                    sql: format!(
                        "SELECT * FROM {} AS airlock_t WHERE {}::text IS DISTINCT FROM {}::text AND {} IS NOT NULL LIMIT 5",
                        table(&rel),
                        ident(old),
                        ident(&new.name),
                        ident(old)
                    ),
                    from: Boundary::B2,
                    until: Boundary::B2,
                });
                (Value::Copy(new.name.clone()), vec![new.name.clone()])
            }
            None => {
                return x.ask(
                    change.span,
                    format!(
                        "`{}.{old}` goes, and `{}` comes out of it. What does `{old}` hold in a row that release N writes, for N-1 still reads it?",
                        rel.name, new.name
                    ),
                    format!("--map '{}.{old}: down=\"…\"' with an expression of the new columns, or down=\"NULL\"", rel.name),
                );
            }
        };
        let watch = if watch.is_empty() { vec![new.name.clone()] } else { watch };
        t.backs.push(Back { column: old.clone(), value, watch });
        // Behind the swap nothing carries them back any more.
        t.swap_verdict = crate::compat::Undo::LosesData;
    }
    Ok(())
}

/// Constraints that the file writes behind the column: proved by themselves, without a strong lock.
pub fn inline(x: &Ctx<'_>, change: &ColumnChange, t: &mut TableDraft<'_>) -> Result<(), Stop> {
    let Some(new) = &change.after else { return Ok(()) };
    let rel = t.rel.clone();
    let Some(after) = x.script.after.relation(rel.id) else { return Ok(()) };
    let on = table(&rel);
    let own = |id: &str, title: String, statements: Vec<String>, undo: Vec<String>, transaction: bool| Own {
        id: slug(&[id, &rel.name, &new.name]),
        title,
        statements,
        undo,
        transaction,
        preconditions: Vec::new(),
    };
    // Those of statements of their own stand by themselves.
    let written: Vec<&str> = after
        .constraints
        .iter()
        .filter(|c| rel.constraint(&c.name).is_none() && c.kind.columns() == [new.name.clone()])
        .map(|c| c.name.as_str())
        .filter(|n| x.inline(&new.name, &rel, n))
        .collect();
    for c in after.constraints.iter().filter(|c| written.contains(&c.name.as_str())) {
        let name = ident(&c.name);
        let drop = format!("ALTER TABLE {on} DROP CONSTRAINT {name}");
        match &c.kind {
            ConKind::Check { .. } | ConKind::ForeignKey { .. } => {
                // A table that it refers to has its new name only behind the swap.
                let named = match &c.kind {
                    ConKind::ForeignKey { table, .. } if x.script.before.relation(*table).is_some() => &x.script.before,
                    _ => &x.script.after,
                };
                let add = format!("ALTER TABLE {on} ADD {}", named.constraint_definition(c, true));
                t.migrate.push(own(
                    "add",
                    format!("`{}` binds new rows of `{}`", c.name, rel.name),
                    vec![add.clone()],
                    vec![drop.clone()],
                    true,
                ));
                let validate = vec![format!("ALTER TABLE {on} VALIDATE CONSTRAINT {name}")];
                t.migrate.push(own(
                    "validate",
                    format!("Prove `{}` for the rows that were there", c.name),
                    validate,
                    vec![drop, add],
                    true,
                ));
            }
            ConKind::Unique { .. } => {
                let index = generated_name("", &[&c.name]);
                let create = |how: &str| format!("CREATE UNIQUE INDEX {how}{} ON {on} ({})", ident(&index), ident(&new.name));
                // Release N may name it in ON CONFLICT from its first write on.
                t.expanded.push(own(
                    "index",
                    format!("Build the unique index of `{}` without blocking writes", c.name),
                    vec![create("CONCURRENTLY ")],
                    vec![format!("DROP INDEX CONCURRENTLY {}", qualified(&rel.schema, &index))],
                    false,
                ));
                t.expanded.push(own(
                    "unique",
                    format!("Make the index the constraint `{}`", c.name),
                    vec![format!("ALTER TABLE {on} ADD CONSTRAINT {name} UNIQUE USING INDEX {}", ident(&index))],
                    vec![drop, create("")],
                    true,
                ));
            }
            ConKind::NotNull { .. } => {}
            ConKind::PrimaryKey { .. } | ConKind::Exclude { .. } => {
                return x.refuse(change.span, format!("`{}` comes with its column", c.name), "add it by a statement of its own");
            }
        }
    }
    Ok(())
}
