//! Roles that may use some columns of a table and not all: what they can send is a part of what its owner sends.

use crate::catalog::{Catalog, RelName, Relation};
use crate::compat::{Shape, ShapeSql, shapes};
use crate::quote::literal;

use super::super::session::Session;

/// Statements over the columns that a role was given, for tables of which it may not use all.
pub(super) fn of_parts(session: &mut Session, own: &Catalog, tables: &[RelName], role: &str) -> Vec<ShapeSql> {
    let mut out = Vec::new();
    for name in tables {
        let Some(rel) = own.relation_named(&name.schema, &name.name) else { continue };
        let mut may = |privilege: &str| -> Vec<String> {
            let asked = rel.columns.iter().map(|c| {
                format!("pg_catalog.has_column_privilege({}, {}, {}, '{privilege}')", literal(role), literal(&name.sql()), literal(&c.name))
            });
            let sql = format!("SELECT {}", asked.collect::<Vec<_>>().join(", "));
            let answer = session.rows(&sql).ok().and_then(|r| r.into_iter().next()).unwrap_or_default();
            rel.columns.iter().zip(answer).filter(|(_, a)| a.as_deref() == Some("t")).map(|(c, _)| c.name.clone()).collect()
        };
        let (read, insert, update) = (may("SELECT"), may("INSERT"), may("UPDATE"));
        let key = rel.primary_key().map(|k| k.kind.columns().to_vec()).unwrap_or_default();
        // Which row to update is said by the key.
        let found: Vec<String> = key.iter().filter(|c| read.contains(c)).chain(&update).cloned().collect();
        for (columns, kinds) in [
            (&read, &[Shape::SelectNamed][..]),
            (&insert, &[Shape::InsertFull, Shape::InsertMinimal]),
            (&found, &[Shape::Update, Shape::UpdateToNull]),
        ] {
            out.extend(shapes(own, &with(rel, columns)).into_iter().filter(|s| is_part(rel, columns) && kinds.contains(&s.shape)));
        }
    }
    out
}

fn is_part(rel: &Relation, columns: &[String]) -> bool {
    !columns.is_empty() && rel.columns.iter().any(|c| !columns.contains(&c.name))
}

fn with(rel: &Relation, columns: &[String]) -> Relation {
    let mut part = rel.clone();
    part.columns.retain(|c| columns.contains(&c.name));
    part
}
