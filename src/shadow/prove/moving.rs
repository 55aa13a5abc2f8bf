//! Columns that the application's own triggers set whenever a row is updated (`changed_at`): no way leads round that for a backfill, and
//! their values say nothing about a plan.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Column, RelName, Relation};
use crate::quote::{ident, literal};

use super::super::session::Session;
use super::Prover;

/// By the table's name before the plan: the numbers of such columns.
pub(super) type Moving = BTreeMap<RelName, BTreeSet<u16>>;

impl Prover<'_> {
    /// Asked on the schema before the plan, with rows.
    pub(super) fn moving_columns(&self, session: &mut Session) -> Moving {
        let before = &self.input.catalog_before;
        let rels = self.touched.iter().filter_map(|t| before.relation_named(&t.schema, &t.name));
        rels.map(|r| (r.rel_name(), moving(session, r))).filter(|(_, c)| !c.is_empty()).collect()
    }

    pub(super) fn is_moving(&self, table: &RelName, attnum: u16) -> bool {
        self.moving.get(table).is_some_and(|m| m.contains(&attnum))
    }

    /// ` (left out: …)`, for the words of a check that leaves them out.
    pub(super) fn left_out(&self) -> String {
        let before = &self.input.catalog_before;
        let named = |(t, numbers): (&RelName, &BTreeSet<u16>)| {
            let rel = before.relation_named(&t.schema, &t.name)?;
            let columns: Vec<String> =
                rel.columns.iter().filter(|c| numbers.contains(&c.attnum)).map(|c| format!("{t}.{}", c.name)).collect();
            Some(columns.join(", "))
        };
        let all: Vec<String> = self.moving.iter().filter_map(named).collect();
        if all.is_empty() {
            return String::new();
        }
        format!(" (but for {}, which the application's own triggers set at every update)", all.join(", "))
    }
}

fn moving(session: &mut Session, rel: &Relation) -> BTreeSet<u16> {
    let mut out = BTreeSet::new();
    if !has_triggers(session, &rel.rel_name()) {
        return out;
    }
    for c in rel.columns.iter().filter(|c| c.generated.is_none() && !c.identity.as_ref().is_some_and(|i| i.always)) {
        let _ = session.run("BEGIN");
        let before = values(session, rel);
        let done = session.run(&format!("UPDATE {} SET {} = {}", rel.rel_name().sql(), ident(&c.name), other(c)));
        let after = values(session, rel);
        let _ = session.run("ROLLBACK");
        if done.is_ok() {
            let changed = rel.columns.iter().zip(before.iter().zip(&after)).filter(|(_, (a, b))| a != b).map(|(c, _)| c.attnum);
            out.extend(changed.filter(|n| *n != c.attnum));
        }
    }
    out
}

/// Another value where that is easily said: some triggers look whether anything is new.
fn other(c: &Column) -> String {
    let name = ident(&c.name);
    match c.ty.name.as_str() {
        "text" if c.ty.array_dims == 0 => format!("{name} || 'x'"),
        "boolean" if c.ty.array_dims == 0 => format!("NOT {name}"),
        _ => name,
    }
}

fn has_triggers(session: &mut Session, table: &RelName) -> bool {
    let sql = format!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE NOT tgisinternal AND tgtype & 16 <> 0 AND (tgrelid = pg_catalog.to_regclass({0}) \
         OR tgrelid IN (SELECT relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass({0})))))",
        literal(&table.sql())
    );
    matches!(session.value(&sql), Ok(Some(v)) if v == "t")
}

/// The values of each column, in an order of their own.
fn values(session: &mut Session, rel: &Relation) -> Vec<Option<String>> {
    let on = rel.rel_name().sql();
    let each = rel.columns.iter().map(|c| format!("ARRAY(SELECT {0}::text FROM {on} ORDER BY 1)::text", ident(&c.name)));
    let sql = format!("SELECT {}", each.collect::<Vec<_>>().join(", "));
    session.rows(&sql).ok().and_then(|r| r.into_iter().next()).unwrap_or_default()
}
