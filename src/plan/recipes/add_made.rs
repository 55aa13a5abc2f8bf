//! ADD COLUMN whose values Postgres makes: from a sequence, or out of the row's other columns. To add it as it is written writes the
//! table anew under the strongest lock; here the column comes empty, new rows get their value from the start, the others in batches.

use crate::catalog::{Column, Relation, sequence_options};
use crate::op::Generated;
use crate::quote::{generated_name, ident, literal, qualified};

use super::super::blocks::{Assignment, Value, computed, table};
use super::super::change::ColumnChange;
use super::super::draft::{Draft, slug};
use super::super::table::{Own, TableDraft};
use super::super::{Ctx, Stop};
use super::generated::stays_computed;
use super::{add_column, add_filled, set_default};

pub fn plan(x: &Ctx<'_>, change: &ColumnChange, t: &mut TableDraft<'_>, draft: &mut Draft) -> Result<(), Stop> {
    let Some(new) = &change.after else { return Ok(()) };
    let ty = x.new_type(change.span, &new.ty)?;
    add_column(t, new, &ty, "");
    t.expand_verdict = crate::compat::Undo::LosesData;
    draft.fills = true;
    match &new.generated {
        Some(g) => generated(x, new, g, t, draft),
        None => drawn(x, change, new, t)?,
    }
    if new.not_null {
        t.required_at_n.push(new.name.clone());
    }
    add_filled::inline(x, change, t)
}

/// A plain column that a trigger of its own computes at every write, for good.
fn generated(x: &Ctx<'_>, new: &Column, g: &Generated, t: &mut TableDraft<'_>, draft: &mut Draft) {
    let rel = t.rel.clone();
    let value = x.told(&rel, g.expr.text.clone());
    let made = computed(&x.script.before, &rel, &new.name, &value);
    t.expand.push((made.function.clone(), vec![made.drop_function]));
    t.expand.push((made.trigger, vec![made.drop_trigger]));
    // Behind the swap it reads columns by the names that release N knows.
    let replace = |f: &str| f.replacen("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1);
    let last = computed(&x.script.before, &rel, &new.name, &x.told_last(&rel, g.expr.text.clone()));
    if last.function != made.function && !x.seconds(&rel).is_empty() {
        t.swap_last.push((replace(&last.function), vec![replace(&made.function)]));
    }
    t.backfill.push(Assignment {
        column: new.name.clone(),
        todo: format!("airlock_t.{}::text IS DISTINCT FROM ({})::text", ident(&new.name), value.of("airlock_t")),
        value,
        overwrites: false,
    });
    stays_computed(x, &rel, new, &made.name, draft);
}

/// Values of a sequence: a default until no row lacks one; then the identity, where it is one.
fn drawn(x: &Ctx<'_>, change: &ColumnChange, new: &Column, t: &mut TableDraft<'_>) -> Result<(), Stop> {
    let rel = t.rel.clone();
    let Some(sequence) = x.script.after.sequence_of_column(rel.id, &new.name) else {
        return x.refuse(change.span, format!("the sequence of `{}` is not known", new.name), "add the column and its default apart");
    };
    let definition = x.script.after.relation_sql(sequence);
    let last = qualified(&sequence.schema, &sequence.name);
    let first = match new.identity {
        Some(_) => qualified(&sequence.schema, &generated_name("airlock_", &[&sequence.name, "new"])),
        None => last.clone(),
    };
    let next = format!("nextval({}::regclass)", literal(&first));
    let create = definition.replacen(&last, &first, 1);
    let (on, c) = (table(&rel), ident(&new.name));
    t.expand.push((create.clone(), vec![format!("DROP SEQUENCE {first}")]));
    let owned = format!("ALTER SEQUENCE {first} OWNED BY {on}.{c}");
    t.expand.push((owned.clone(), Vec::new()));
    let (set, unset) = set_default(t, &new.name, &next);
    t.expand.push((set.clone(), unset.clone()));
    t.backfill.push(Assignment::fill(&new.name, Value::Default(next), true));
    if let Some(identity) = &new.identity {
        let how = if identity.always { "ALWAYS" } else { "BY DEFAULT" };
        let goes_on = |to: &str, from: &str| format!("SELECT setval({}, last_value, is_called) FROM {from}", literal(to));
        let statements = vec![
            unset.concat(),
            format!(
                "ALTER TABLE {on} ALTER COLUMN {c} ADD GENERATED {how} AS IDENTITY (SEQUENCE NAME {last}{})",
                sequence_options(sequence)
            ),
            goes_on(&last, &first),
            format!("DROP SEQUENCE {first}"),
        ];
        let undo = vec![create, goes_on(&first, &last), format!("ALTER TABLE {on} ALTER COLUMN {c} DROP IDENTITY"), owned, set];
        t.settled.push(identity_step(&rel, new, statements, undo));
    }
    Ok(())
}

fn identity_step(rel: &Relation, new: &Column, statements: Vec<String>, undo: Vec<String>) -> Own {
    Own {
        id: slug(&["identity", &rel.name, &new.name]),
        title: format!("`{}.{}` becomes an identity column, which goes on where its sequence stands", rel.name, new.name),
        statements,
        undo,
        transaction: true,
        preconditions: Vec::new(),
    }
}
