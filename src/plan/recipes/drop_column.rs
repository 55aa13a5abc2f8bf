//! DROP COLUMN: release N stops using it; then it is parked under another name; then it goes.

use crate::compat::Undo;
use crate::quote::{generated_name, ident};

use super::super::blocks::table;
use super::super::change::ColumnChange;
use super::super::draft::Draft;
use super::super::table::TableDraft;
use super::super::{Ctx, Stop};

pub fn plan(x: &Ctx<'_>, change: &ColumnChange, t: &mut TableDraft<'_>, draft: &mut Draft) -> Result<(), Stop> {
    let Some(old) = &change.before else { return Ok(()) };
    let (rel, column) = (t.rel.clone(), old.name.as_str());
    let in_key = |r: &crate::catalog::Relation, n: &str| r.primary_key().is_some_and(|k| k.kind.columns().iter().any(|c| c == n));
    let keyed = in_key(&rel, column);
    if keyed && x.script.after.relation(rel.id).is_none_or(|r| r.primary_key().is_none()) {
        return x.refuse(
            change.span,
            format!("`{column}` identifies the rows of `{}`, and no other key does", rel.name),
            "plan a new key first",
        );
    }
    if keyed && old.default.is_none() && old.identity.is_none() {
        return x.refuse(
            change.span,
            format!("release N cannot leave out `{column}` while it is the primary key of `{}`", rel.name),
            "give it a default in an earlier migration",
        );
    }
    // What CASCADE takes along, the file does not name; what it names it drops before.
    let views = x.script.before.views_on(rel.id, Some(column));
    let lost = views
        .iter()
        .filter_map(|v| x.script.before.relation(*v))
        .find(|v| x.cascades(change.span) && x.script.after.relation(v.id).is_none());
    if let Some(v) = lost {
        return x.refuse(
            change.span,
            format!("CASCADE drops `{}`, which nobody named", v.name),
            "drop the dependents in statements of their own, by name",
        );
    }
    let (on, name) = (table(&rel), ident(column));
    let parked = generated_name("airlock_old_", &[column]);
    if rel.column(&parked).is_some() {
        return x.refuse(change.span, format!("`{parked}` is taken already"), "finish the plan that made it");
    }
    t.words.push(format!("`{column}` goes"));
    if old.not_null && old.default.is_none() && old.identity.is_none() && old.generated.is_none() {
        t.expand.push((
            format!("ALTER TABLE {on} ALTER COLUMN {name} DROP NOT NULL"),
            vec![format!("ALTER TABLE {on} ALTER COLUMN {name} SET NOT NULL")],
        ));
        t.expand_verdict = Undo::BlockedByData;
    }
    draft.checklist.push(format!("Release N neither reads nor writes `{}.{column}`.", rel.name));
    t.swap.push((
        format!("ALTER TABLE {on} RENAME COLUMN {name} TO {}", ident(&parked)),
        vec![format!("ALTER TABLE {on} RENAME COLUMN {} TO {name}", ident(&parked))],
    ));
    t.hard.push(format!("ALTER TABLE {on} DROP COLUMN {}", ident(&parked)));
    t.lost.push(format!("the data of `{column}` are gone; only a backup has them"));
    Ok(())
}
