//! CREATE INDEX on a table that holds rows: concurrently. And copies of indexes, for recipes that add a second column.

use crate::catalog::{Index, Relation};
use crate::op::CreateIndex;
use crate::quote::{generated_name, ident, qualified};

use super::super::blocks::table;
use super::super::draft::{Draft, NewStep, slug};
use super::super::{PhaseKind, Place, Stop};

pub fn plan(p: &Place<'_>, index: &CreateIndex, draft: &mut Draft) -> Result<(), Stop> {
    let Some(rel) = p.before().relation_by(&index.table) else {
        return p.refuse(format!("`{}` is not known", index.table), "give the schema with --schema FILE");
    };
    if rel.partition_by.is_some() {
        return p.refuse("an index of a partitioned table cannot be built concurrently", "ON ONLY, then each partition, then ATTACH");
    }
    let new = p.r.after.indexes_of(rel.id).into_iter().find(|i| p.before().relation(i.id).is_none());
    let Some(new) = new else { return p.refuse("the index is there already", "correct the migration first") };
    let name = new.name.clone();
    // The statement's own words, with CONCURRENTLY, and with a name where it had none: the undo needs it.
    let mut sql = p.script.source.slice(p.op.span).to_string();
    let at = (index.index_span.end - p.op.span.start) as usize;
    let insert = if index.name.is_none() { format!(" CONCURRENTLY {}", ident(&name)) } else { " CONCURRENTLY".to_string() };
    sql.insert_str(at, &insert);
    let step = draft.step(
        PhaseKind::Expand,
        NewStep {
            id: slug(&["index", &rel.name, &name]),
            title: format!("Build `{name}` without blocking writes"),
            statements: vec![sql],
            undo: vec![format!("DROP INDEX CONCURRENTLY {}", qualified(&new.schema, &name))],
        },
    );
    step.transaction = false;
    step.undo_transaction = false;
    Ok(())
}

/// The copy of an index on a second column.
pub struct Copy {
    pub name: String,
    pub create: String,
    pub drop: String,
    /// Takes the original's name, when that is gone.
    pub rename: String,
}

/// Copies of every plain index that uses the column, on the other column.
pub fn copies(p: &Place<'_>, rel: &Relation, column: &str, other: &str) -> Vec<Copy> {
    p.before()
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
pub fn unusual_index(p: &Place<'_>, rel: &Relation, column: &str) -> bool {
    p.before()
        .indexes_of(rel.id)
        .into_iter()
        .filter_map(|i| i.index.as_ref())
        .any(|i| i.depends.iter().any(|d| d == column) && !is_plain(i))
}
