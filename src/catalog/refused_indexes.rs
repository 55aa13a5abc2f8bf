//! What Postgres refuses of indexes, and of what is built like one.

use crate::op::{CreateIndex, Expr, IndexElement, QName};

use super::apply::{Res, fails};
use super::names::{clip, simple_column};
use super::{Catalog, ColumnType, Index, RelKind, Relation};

impl Catalog {
    /// What the access method can do is asked before the columns are looked up.
    pub(super) fn refuse_index(&self, i: &CreateIndex) -> Res<()> {
        if self.known(&i.table).is_none_or(|r| !r.kind.is_table() && r.kind != RelKind::MaterializedView) {
            // That is said first, elsewhere.
            return Ok(());
        }
        let method = i.method.as_deref().unwrap_or("btree");
        let Some(can) = abilities(method) else { return Ok(()) };
        let not = |what: &str| Err(fails("0A000", format!("access method \"{method}\" does not support {what}")));
        if i.unique && !can.unique {
            return not("unique indexes");
        }
        if !i.include.is_empty() && !can.include {
            return not("included columns");
        }
        if i.elements.len() > 1 && !can.multicolumn {
            return not("multicolumn indexes");
        }
        Ok(())
    }

    /// The operator class and the order of one key, asked when its column is known.
    pub(super) fn refuse_key(&self, e: &IndexElement, ty: &ColumnType, method: &str) -> Res<()> {
        self.refuse_class(e, ty, method)?;
        if (e.descending || e.nulls_first.is_some()) && abilities(method).is_some_and(|a| !a.ordered) {
            return Err(fails("0A000", format!("access method \"{method}\" does not support ASC/DESC or NULLS options")));
        }
        Ok(())
    }

    /// The operator class that is written, or the type's own.
    pub(super) fn refuse_class(&self, e: &IndexElement, ty: &ColumnType, method: &str) -> Res<()> {
        // Extensions bring operator classes along.
        let other = self.unknown_extension() || self.has_extension(&format!("btree_{method}"));
        match &e.opclass {
            None if super::opclasses::has_default(self, ty, method) == Some(false) && !other => {
                Err(fails("42704", format!("data type {ty} has no default operator class for access method \"{method}\"")))
            }
            Some(c) => match super::opclasses::refusal(self, c.as_str(), ty, method) {
                Some((state, message)) => Err(fails(state, message).unless(other)),
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    pub(super) fn refuse_refresh(&self, name: &QName, concurrently: bool) -> Res<()> {
        let Some(rel) = self.known(name) else { return Ok(()) };
        if rel.kind.is_table() {
            return Err(fails("0A000", format!("\"{}\" is not a materialized view", rel.name)));
        }
        if concurrently && rel.view.as_ref().is_some_and(|v| !v.populated) && rel.kind == RelKind::MaterializedView {
            return Err(fails("0A000", "CONCURRENTLY cannot be used when the materialized view is not populated"));
        }
        Ok(())
    }

    pub(super) fn refuse_cluster(&self, table: &QName, by_index: bool) -> Res<()> {
        let Some(rel) = self.known(table) else { return Ok(()) };
        if !rel.kind.is_table() && rel.kind != RelKind::MaterializedView {
            return Err(fails("42809", format!("\"{}\" is not a table or materialized view", rel.name)));
        }
        if rel.kind == RelKind::PartitionedTable && !self.at_least(15) {
            return Err(fails("0A000", "cannot cluster a partitioned table"));
        }
        let clustered = rel.clustered_on.is_some_and(|i| self.relation(i).is_some());
        if !by_index && !clustered {
            return Err(fails("42704", format!("there is no previously clustered index for table \"{}\"", rel.name)));
        }
        Ok(())
    }

    /// `check_index_is_clusterable`.
    pub(super) fn clusterable(&self, index: &Relation) -> Res<()> {
        let Some(i) = &index.index else { return Ok(()) };
        let refused = |why: String| Err(fails("0A000", why));
        if !matches!(i.method.as_str(), "btree" | "gist") {
            return refused(format!("cannot cluster on index \"{}\" because access method does not support clustering", index.name));
        }
        if i.filter.is_some() {
            return refused(format!("cannot cluster on partial index \"{}\"", index.name));
        }
        if !i.valid {
            return refused(format!("cannot cluster on invalid index \"{}\"", index.name));
        }
        Ok(())
    }

    pub(super) fn refuse_statistics(&self, exprs: &[Expr], table: &QName) -> Res<()> {
        let Some(rel) = self.known(table) else { return Ok(()) };
        if !matches!(rel.kind, RelKind::Table | RelKind::PartitionedTable | RelKind::MaterializedView | RelKind::ForeignTable) {
            return Err(fails("42809", format!("cannot define statistics for relation \"{}\"", rel.name)));
        }
        let mut columns: Vec<String> = Vec::new();
        for e in exprs {
            let Some(name) = simple_column(e).map(clip) else { continue };
            let Some(c) = rel.column(&name) else { continue };
            if c.generated.as_ref().is_some_and(|g| !g.stored) && self.at_least(18) {
                return Err(fails("0A000", "statistics creation on virtual generated columns is not supported"));
            }
            if super::opclasses::has_default(self, &c.ty, "btree") == Some(false) {
                let message =
                    format!("column \"{name}\" cannot be used in statistics because its type has no default btree operator class");
                return Err(fails("0A000", message));
            }
            columns.push(name);
        }
        if columns.len() == 1 && exprs.len() == 1 {
            return Err(fails("42P17", "extended statistics require at least 2 columns"));
        }
        columns.sort();
        if columns.windows(2).any(|p| p[0] == p[1]) {
            return Err(fails("42701", "duplicate column name in statistics definition"));
        }
        Ok(())
    }

    pub(super) fn refuse_identity_index(&self, rel: &Relation, name: &str) -> Res<()> {
        let Some(index) = self.relation_named(&rel.schema, name) else { return Ok(()) };
        let Some(i) = index.index.as_ref().filter(|i| i.table == rel.id) else {
            return Err(fails("42809", format!("\"{name}\" is not an index for table \"{}\"", rel.name)));
        };
        let refused = |state: &'static str, why: &str| Err(fails(state, format!("cannot use {why} index \"{name}\" as replica identity")));
        if !i.unique {
            return refused("42809", "non-unique");
        }
        if i.deferrable {
            return refused("0A000", "non-immediate");
        }
        if i.columns.iter().any(Option::is_none) {
            return refused("0A000", "expression");
        }
        if i.filter.is_some() {
            return refused("0A000", "partial");
        }
        if !i.valid && !self.at_least(18) {
            return refused("0A000", "invalid");
        }
        for c in i.columns.iter().flatten() {
            if rel.column(c).is_some_and(|c| !c.not_null) {
                let message = format!("index \"{name}\" cannot be used as replica identity because column \"{c}\" is nullable");
                return Err(fails("42809", message));
            }
        }
        Ok(())
    }
}

/// ALTER INDEX … ALTER COLUMN n SET STATISTICS is for expressions.
pub(super) fn refuse_index_statistics(rel: &Relation, i: &Index, column: &str) -> Res<()> {
    let Ok(n) = column.parse::<usize>() else { return Ok(()) };
    if n > i.columns.len() + i.include.len() {
        return Err(fails("42703", format!("column number {n} of relation \"{}\" does not exist", rel.name)));
    }
    let include = n > i.columns.len();
    if include || i.columns.get(n.wrapping_sub(1)).is_some_and(Option::is_some) {
        return Err(fails("0A000", format!("cannot alter statistics on non-expression column {n} of index \"{}\"", rel.name)));
    }
    Ok(())
}

pub(super) struct Abilities {
    unique: bool,
    include: bool,
    multicolumn: bool,
    ordered: bool,
}

pub(super) fn abilities(method: &str) -> Option<Abilities> {
    let a = |unique, include, multicolumn, ordered| Some(Abilities { unique, include, multicolumn, ordered });
    match method {
        "btree" => a(true, true, true, true),
        "hash" => a(false, false, false, false),
        "gist" => a(false, true, true, false),
        "spgist" => a(false, true, false, false),
        "gin" | "brin" => a(false, false, true, false),
        _ => None,
    }
}
