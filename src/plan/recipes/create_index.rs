//! CREATE INDEX on a table that holds rows: concurrently. And copies of indexes, for recipes that add a second column.

use crate::catalog::{Catalog, Id, Index, Relation};
use crate::op::CreateIndex;
use crate::quote::{generated_name, ident, qualified};

use super::super::blocks::table;
use super::super::standing::{Standing, StandingStep};

/// The statement's own words, with CONCURRENTLY, and with a name where it had none: the undo needs it.
pub fn step(s: &Standing<'_>, index: &CreateIndex, before: &Catalog, after: &Catalog) -> Result<StandingStep, String> {
    let rel = before.relation_by(&index.table).ok_or_else(|| format!("`{}` is not known", index.table))?;
    if rel.partition_by.is_some() {
        return Err("an index of a partitioned table cannot be built concurrently".into());
    }
    let new = after.indexes_of(rel.id).into_iter().find(|i| before.relation(i.id).is_none()).ok_or("the index is there already")?;
    let name = new.name.clone();
    let mut sql = s.words.clone();
    if !index.concurrently {
        let at = (index.index_span.end - s.op.span.start) as usize;
        let insert = if index.name.is_none() { format!(" CONCURRENTLY {}", ident(&name)) } else { " CONCURRENTLY".to_string() };
        sql.insert_str(at, &insert);
    }
    Ok(StandingStep {
        id: crate::plan::draft::slug(&["index", &rel.name, &name]),
        title: format!("Build `{name}` without blocking writes"),
        statements: vec![sql],
        undo: vec![format!("DROP INDEX CONCURRENTLY {}", qualified(&new.schema, &name))],
        transaction: false,
        ..StandingStep::default()
    })
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
}

/// Copies of every plain index that uses the column, on the other column.
pub fn copies(catalog: &Catalog, rel: &Relation, column: &str, other: &str) -> Vec<Copy> {
    catalog
        .indexes_of(rel.id)
        .into_iter()
        .filter_map(|i| {
            let x = i.index.as_ref().filter(|x| is_plain(x) && x.depends.iter().any(|d| d == column))?;
            let name = generated_name("airlock_", &[&i.name, "new"]);
            let swap = |n: &str| ident(if n == column { other } else { n });
            let elements: Vec<String> = x
                .elements
                .iter()
                .zip(&x.columns)
                .filter_map(|(e, c)| {
                    let mut sql = swap(c.as_ref()?);
                    if let Some(c) = &e.collation {
                        sql.push_str(&format!(" COLLATE {}", name_sql(c)));
                    }
                    if let Some(o) = &e.opclass {
                        sql.push_str(&format!(" {}", name_sql(o)));
                    }
                    if e.descending {
                        sql.push_str(" DESC");
                    }
                    match e.nulls_first {
                        Some(true) => sql.push_str(" NULLS FIRST"),
                        Some(false) => sql.push_str(" NULLS LAST"),
                        None => {}
                    }
                    Some(sql)
                })
                .collect();
            let include = if x.include.is_empty() {
                String::new()
            } else {
                format!(" INCLUDE ({})", x.include.iter().map(|c| swap(c)).collect::<Vec<_>>().join(", "))
            };
            let unique = if x.unique { "UNIQUE " } else { "" };
            let nulls = if x.nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" };
            let create = format!(
                "CREATE {unique}INDEX CONCURRENTLY {} ON {} USING {} ({}){include}{nulls}",
                ident(&name),
                table(rel),
                ident(&x.method),
                elements.join(", ")
            );
            Some(Copy {
                drop: format!("DROP INDEX CONCURRENTLY {}", qualified(&rel.schema, &name)),
                rename: format!("ALTER INDEX {} RENAME TO {}", qualified(&rel.schema, &name), ident(&i.name)),
                create,
                name,
                of: i.id,
                constraint: x.constraint,
                unique: x.unique,
            })
        })
        .collect()
}

fn name_sql(n: &crate::op::QName) -> String {
    match n.schema_str() {
        Some(s) => qualified(s, n.as_str()),
        None => ident(n.as_str()),
    }
}

fn is_plain(i: &Index) -> bool {
    i.valid && i.filter.is_none() && !i.exclusion && i.columns.iter().all(Option::is_some)
}

/// An index on the column that cannot be copied word by word.
pub fn unusual_index(catalog: &Catalog, rel: &Relation, column: &str) -> bool {
    catalog.indexes_of(rel.id).into_iter().filter_map(|i| i.index.as_ref()).any(|i| i.depends.iter().any(|d| d == column) && !is_plain(i))
}
