//! CREATE INDEX on a table that holds rows: concurrently. And copies of indexes, for recipes that add a second column.

use crate::catalog::{Catalog, Id, Relation};
use crate::op::CreateIndex;
use crate::quote::{generated_name, ident, literal, qualified};

use super::super::blocks::table;
use super::super::draft::duplicates;
use super::super::exprs::all_renamed;
use super::super::standing::{Standing, StandingStep};

/// The statement's own words, with CONCURRENTLY, and with a name where it had none: the undo needs it.
pub fn step(s: &Standing<'_>, index: &CreateIndex, before: &Catalog, after: &Catalog) -> Result<StandingStep, String> {
    let rel = before.relation_by(&index.table).ok_or_else(|| format!("`{}` is not known", index.table))?;
    let new = after.indexes_of(rel.id).into_iter().find(|i| before.relation(i.id).is_none()).ok_or("the index is there already")?;
    let name = new.name.clone();
    let mut sql = s.words.clone();
    if !index.concurrently {
        let at = (index.index_span.end - s.op.span.start) as usize;
        let insert = if index.name.is_none() { format!(" CONCURRENTLY {}", ident(&name)) } else { " CONCURRENTLY".to_string() };
        sql.insert_str(at, &insert);
    }
    let known: Option<Vec<String>> = new.index.iter().flat_map(|i| i.columns.iter().cloned()).collect();
    let unique = index.unique.then_some(known).flatten().filter(|c| !c.is_empty());
    let filter = index.filter.as_ref().map(|f| f.text.as_str());
    Ok(StandingStep {
        id: crate::plan::draft::slug(&["index", &rel.name, &name]),
        title: format!("Build `{name}` without blocking writes"),
        statements: vec![sql],
        undo: vec![format!("DROP INDEX CONCURRENTLY {}", qualified(&new.schema, &name))],
        transaction: false,
        preconditions: unique.iter().map(|c| duplicates(&table(rel), c, filter, index.nulls_not_distinct)).collect(),
        checklist: match index.unique {
            // Release N may need it for ON CONFLICT from its first write on.
            true => vec![format!(
                "From expand on, `{name}` refuses rows that are alike: N-1 must bear that, or the index waits for a migration after N-1 is gone."
            )],
            false => Vec::new(),
        },
        ..StandingStep::default()
    })
}

/// The index that a constraint makes, as one that stands by itself, with `how` before its name.
pub fn of_constraint(catalog: &Catalog, id: Id, name: &str, how: &str) -> Option<String> {
    let mut alone = (**catalog.relations.get(&id)?).clone();
    alone.name = name.to_string();
    let index = alone.index.as_mut()?;
    (index.constraint, index.primary, index.deferrable) = (false, false, false);
    Some(catalog.relation_sql(&alone).replacen("INDEX ", &format!("INDEX {how}"), 1))
}

/// The copy of an index on a second column.
pub struct Copy {
    pub name: String,
    pub create: String,
    pub drop: String,
    /// Takes the original's name, when that is gone.
    pub rename: String,
    /// The original.
    pub of: Id,
    /// The original backs a constraint.
    pub constraint: bool,
    /// Release N may name it in ON CONFLICT from its first write on.
    pub unique: bool,
    /// The original's comment, said of the copy once it has the name.
    pub comment: Option<String>,
}

/// Copies of every index that uses one of the columns, on their second columns: by their definition, with those columns exchanged.
/// `of` is the column that asks: an index over several is copied for the first of them. `None`: an index cannot be put into other words.
pub fn copies(catalog: &Catalog, rel: &Relation, of: &str, seconds: &[(&str, &str)], suffix: &str) -> Option<Vec<Copy>> {
    let mut out = Vec::new();
    for i in catalog.indexes_of(rel.id) {
        let asks =
            |x: &crate::catalog::Index| seconds.iter().find(|(c, _)| x.depends.iter().any(|d| d == c)).is_some_and(|(c, _)| *c == of);
        let Some(x) = i.index.as_ref().filter(|x| x.valid && !x.exclusion && asks(x)) else { continue };
        let name = generated_name("airlock_", &[&i.name, suffix]);
        let swap = |n: &String| seconds.iter().find(|(c, _)| c == n).map_or_else(|| n.clone(), |(_, s)| (*s).to_string());
        let mut copy = i.clone();
        copy.name.clone_from(&name);
        let mut index = x.clone();
        for e in &mut index.elements {
            e.expr = all_renamed(&e.expr, seconds)?;
        }
        index.filter = match &x.filter {
            Some(f) => Some(all_renamed(f, seconds)?),
            None => None,
        };
        index.columns = x.columns.iter().map(|c| c.as_ref().map(swap)).collect();
        index.include = x.include.iter().map(swap).collect();
        index.constraint = false;
        copy.index = Some(index);
        let create = catalog.relation_sql(&copy).replacen("INDEX ", "INDEX CONCURRENTLY ", 1);
        out.push(Copy {
            drop: format!("DROP INDEX CONCURRENTLY {}", qualified(&rel.schema, &name)),
            rename: format!("ALTER INDEX {} RENAME TO {}", qualified(&rel.schema, &name), ident(&i.name)),
            create,
            name,
            of: i.id,
            constraint: x.constraint,
            unique: x.unique,
            comment: i.comment.as_ref().map(|c| format!("COMMENT ON INDEX {} IS {}", qualified(&rel.schema, &i.name), literal(c))),
        });
    }
    Some(out)
}
