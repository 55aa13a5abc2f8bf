//! COPY table FROM and TO. Its data is not part of the statement: it is taken to be what an application of the old release
//! would send, which is one more row like those that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::{Column, RelKind, Relation};
use crate::op::{Name, QName};

use super::dml::Written;
use super::eval::Datum;
use super::expr::Binder;
use super::outcome::{Bound, Fail};
use super::statement::utility_relation;
use super::write::{self, Incoming};
use super::{input, permissions, row_security, types};

pub fn run(b: &mut Binder<'_, '_>, table: &QName, columns: &[Name], from: bool) -> Bound<()> {
    let Some(rel) = utility_relation(b, table)? else { return Ok(()) };
    let listed = listed_columns(rel, columns)?;
    if let Some(role) = b.s.role {
        let names: BTreeSet<String> = listed.iter().map(|c| c.name.clone()).collect();
        let privilege = if from { "INSERT" } else { "SELECT" };
        if !permissions::allowed(b.s, rel, role, privilege, &names) {
            return Err(Fail::new("42501", rel.name.clone()));
        }
    }
    if from && row_security::applies(b.s, rel) {
        return Err(Fail::new("0A000", rel.name.clone()));
    }
    match rel.kind {
        RelKind::Table | RelKind::ForeignTable => {}
        RelKind::PartitionedTable if from => {}
        // A view takes rows where a trigger says how.
        RelKind::View if from && rel.triggers.iter().any(|t| t.timing.eq_ignore_ascii_case("INSTEAD OF")) => return Ok(()),
        RelKind::MaterializedView if !from && b.s.pg.0 >= 18 => {}
        _ => return Err(Fail::new("42809", rel.name.clone())),
    }
    if from && !rel.assumed {
        data(b, rel, &listed, columns);
    }
    Ok(())
}

/// Without a list: every column that is not generated.
fn listed_columns(rel: &Relation, columns: &[Name]) -> Bound<Vec<Column>> {
    if columns.is_empty() {
        return Ok(rel.columns.iter().filter(|c| c.generated.is_none()).cloned().collect());
    }
    let mut out: Vec<Column> = Vec::new();
    for n in columns {
        let Some(c) = rel.column(n.as_str()) else {
            if rel.assumed {
                continue;
            }
            return Err(Fail::new("42703", n.as_str()));
        };
        if c.generated.is_some() {
            return Err(Fail::new("42P10", c.name.clone()));
        }
        if out.iter().any(|o| o.name == c.name) {
            return Err(Fail::new("42701", c.name.clone()));
        }
        out.push(c.clone());
    }
    Ok(out)
}

/// What the old release sends, column by column, by position.
fn data(b: &mut Binder<'_, '_>, rel: &Relation, listed: &[Column], columns: &[Name]) {
    let before = b.s.before.unwrap_or(b.s.cat);
    // The table that the old release meant by this name.
    let old = before.relation_named(&rel.schema, &rel.name).or_else(|| before.relations.get(&rel.id)).cloned();
    let Some(old) = old else { return };
    let Ok(sent) = listed_columns(&old, columns) else { return };
    if sent.len() > listed.len() {
        return b.run.push(Fail::new("22P04", "extra data"));
    }
    let values = write::another_row(b, before, &old).unwrap_or_default();
    let mut incoming: Incoming = BTreeMap::new();
    for (i, target) in listed.iter().enumerate() {
        let Some(source) = sent.get(i) else {
            return b.run.push(Fail::new("22P04", target.name.clone()));
        };
        let datum = values
            .get(&source.name)
            .cloned()
            .unwrap_or_else(|| Datum::Unknown { nullable: !source.not_null, sent_as: Some(source.ty.clone()) });
        // COPY reads every value by the type's input function, so a text in a number's place is refused at once.
        if let Datum::Value(v) = &datum
            && let Err(state) = input::accept(b.s.cat, &types::base(b.s.cat, &target.ty), v)
        {
            return b.run.push(Fail::new(state, target.name.clone()));
        }
        if let Datum::Unknown { sent_as: Some(t), .. } = &datum
            && let Some(state) = input::complaint(before, t, b.s.cat, &target.ty).filter(|s| !matches!(*s, "22001" | "22003"))
        {
            return b.run.push(Fail::new(state, target.name.clone()));
        }
        incoming.insert(target.name.clone(), datum);
    }
    let rel = Arc::new(rel.clone());
    let w = Written::direct(rel);
    write::insert_row(b, &w, &incoming, None);
}
