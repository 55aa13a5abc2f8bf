//! RENAME COLUMN: a second column under the new name, kept in step by a trigger; at the end the original takes the name.

use crate::quote::ident;

use super::super::blocks::{Assignment, Pair, Value, table, type_sql};
use super::super::change::ColumnChange;
use super::super::draft::Draft;
use super::super::table::TableDraft;
use super::super::{Ctx, Stop};
use super::create_index::copies;
use super::{collation, column_grants, set_not_null};

pub fn plan(x: &Ctx<'_>, change: &ColumnChange, t: &mut TableDraft<'_>, draft: &mut Draft) -> Result<(), Stop> {
    let (Some(before), Some(after)) = (&change.before, &change.after) else { return Ok(()) };
    let (rel, from, to) = (t.rel.clone(), before.name.as_str(), after.name.as_str());
    if rel.column(to).is_some() {
        return x.refuse(change.span, format!("`{}` still has a column `{to}`", rel.name), "free the name in an earlier migration");
    }
    let on = table(&rel);
    let (old, new) = (ident(from), ident(to));
    t.words.push(format!("`{from}` becomes `{to}`"));
    let add = format!("ALTER TABLE {on} ADD COLUMN {new} {}{}", type_sql(&x.script.before, &before.ty), collation(before));
    t.expand.push((add.clone(), vec![format!("ALTER TABLE {on} DROP COLUMN {new}")]));
    let grants = column_grants(before, &on, to);
    t.expand.extend(grants.iter().map(|g| (g.clone(), Vec::new())));
    let pair = Pair { old: from.into(), new: to.into(), up: Value::Copy(from.into()), down: Value::Copy(to.into()) };
    t.backfill.push(Assignment {
        column: to.into(),
        value: pair.up.clone(),
        todo: format!("airlock_t.{new}::text IS DISTINCT FROM airlock_t.{old}::text"),
        overwrites: false,
    });
    draft.invariants.push(t.invariant(&pair, format!("`{}.{from}` and `{to}` hold the same", rel.name)));
    t.pairs.push(pair);
    draft.fills = true;
    // For release N, which goes on to use a column of the same name until the swap, whatever its type.
    let seconds = x.seconds(&rel);
    let only: Vec<&str> = seconds.iter().filter(|s| !s.retyped).map(|s| s.from.as_str()).collect();
    let mut names: Vec<(&str, &str)> = seconds.iter().filter(|s| s.from != s.to).map(|s| (s.from.as_str(), s.second.as_str())).collect();
    names.sort_by_key(|(c, _)| !only.contains(c));
    let Some(indexes) = copies(&x.script.before, &rel, from, &names, "second") else {
        return x.refuse(change.span, format!("an index over `{from}` cannot be put into other words"), "drop it in an earlier migration");
    };
    t.index(&indexes);
    if after.not_null && !before.not_null {
        set_not_null::tighten(x, change, from, t, draft);
    }
    // The original takes the name, so that column order, indexes and constraints are those of a plain rename.
    let mut again = vec![add];
    again.extend(grants);
    again.push(format!("UPDATE {on} SET {new} = {old}"));
    again.extend(indexes.iter().map(|i| i.create.replacen("INDEX CONCURRENTLY", "INDEX", 1)));
    // First of all, so that the undo adds the second columns of several renames in the order in which they were.
    t.swap.insert(0, (format!("ALTER TABLE {on} DROP COLUMN {new}"), again));
    t.swap.push((format!("ALTER TABLE {on} RENAME COLUMN {old} TO {new}"), vec![format!("ALTER TABLE {on} RENAME COLUMN {new} TO {old}")]));
    if before.not_null && !after.not_null {
        t.swap.push((
            format!("ALTER TABLE {on} ALTER COLUMN {new} DROP NOT NULL"),
            vec![format!("ALTER TABLE {on} ALTER COLUMN {new} SET NOT NULL")],
        ));
    }
    let text = |c: &crate::catalog::Column| c.default.as_ref().map(|d| d.text.clone());
    if text(before) != text(after) {
        let to_default = |c: &crate::catalog::Column| match &c.default {
            Some(d) => format!("ALTER TABLE {on} ALTER COLUMN {new} SET DEFAULT {}", d.text),
            None => format!("ALTER TABLE {on} ALTER COLUMN {new} DROP DEFAULT"),
        };
        t.swap.push((to_default(after), vec![to_default(before)]));
    }
    draft.checklist.push(format!("Release N says `{to}` wherever N-1 said `{from}` of `{}`.", rel.name));
    Ok(())
}
