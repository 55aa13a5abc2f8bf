//! INSERT, UPDATE, DELETE and TRUNCATE that no column's change absorbs.

use crate::compat::Undo;
use crate::op::{Dml, DmlKind, InsertSource, QName, QueryBody};
use crate::quote::{dollar, ident};

use super::super::PhaseKind;
use super::super::blocks::{NOTHING, table};
use super::super::draft::slug;
use super::super::standing::{Standing, StandingStep};

/// Rows of N-1 change when N-1 is gone, for it would read what it does not know; rows of a new table are nobody's but N's.
pub fn steps(s: &Standing<'_>, d: &Dml) -> Result<Vec<StandingStep>, String> {
    let old = s.is_old(&d.table);
    let reads_old = d.reads().iter().any(|t| s.is_old(t));
    let name = d.table.as_str();
    let step = |what: &str, title: String| StandingStep {
        id: slug(&[what, name]),
        title,
        statements: vec![s.words.clone()],
        ..StandingStep::default()
    };
    let gone = |mut step: StandingStep, why: &str| {
        step.phase = Some(PhaseKind::ContractSoft);
        step.one_way = Some(why.into());
        step.undo_verdict = Undo::Impossible;
        step
    };
    let checklist = vec![format!("Release N works with the rows of `{name}` as they are before this migration and as they are after it.")];
    Ok(vec![match &d.kind {
        DmlKind::Insert { .. } if !old && reads_old => {
            return Err(format!(
                "it copies rows into `{name}` that N-1 goes on to change, and nothing says how a row of the one is found in the other"
            ));
        }
        // The table itself is what an undo drops.
        _ if !old => StandingStep { undo: vec![NOTHING.into()], ..step("fill", format!("Rows of `{name}`")) },
        DmlKind::Insert { source, .. } => {
            let constant = matches!(source, InsertSource::Query(q) if matches!(q.body, QueryBody::Values(_))) && !reads_old;
            let made = step("insert", format!("Add rows to `{name}`"));
            let why = "which rows it adds is not written down, so nothing takes them out again";
            match constant {
                // Release N may need them from its first moment on.
                true => StandingStep { phase: Some(PhaseKind::Migrate), one_way: Some(why.into()), undo_verdict: Undo::Impossible, ..made },
                false => StandingStep { checklist, ..gone(made, why) },
            }
        }
        DmlKind::Update { .. } | DmlKind::Merge { .. } => {
            let made = step("update", format!("Change rows of `{name}`, once N-1 no longer reads them"));
            StandingStep { checklist, ..gone(made, "the values of before are overwritten; only a backup has them") }
        }
        DmlKind::Delete => {
            let mut made = step("delete", format!("Delete rows of `{name}`, once N-1 no longer reads them"));
            if let Some(batched) = batched(s, d) {
                made.statements = vec![batched];
                made.transaction = false;
                made.title = format!("Delete rows of `{name}` in batches, once N-1 no longer reads them");
            }
            StandingStep { checklist, ..gone(made, "the rows are gone; only a backup has them") }
        }
    }])
}

/// A DELETE by blocks of the table's file, each batch in a transaction of its own; a row that it has deleted is not found again.
fn batched(s: &Standing<'_>, d: &Dml) -> Option<String> {
    let rel = s.before.relation_by(&d.table)?;
    let plain = d.from.is_empty() && d.ctes.is_empty() && d.returning.is_empty() && rel.partition_by.is_none();
    if !plain || !s.before.children_of(rel.id).is_empty() {
        return None;
    }
    let alias = d.alias.as_ref().map_or_else(|| ident(&rel.name), |a| ident(a.as_str()));
    let filter = d.filter.as_ref().map_or("true", |f| f.text.as_str());
    let (t, n) = (table(rel), s.batch_size);
    let body = format!(
        "\nDECLARE\n  airlock_rows bigint;\nBEGIN\n  LOOP\n    DELETE FROM {t} WHERE ctid = ANY (ARRAY(SELECT {alias}.ctid FROM {t} AS {alias} WHERE {filter} LIMIT {n}));\n    \
         GET DIAGNOSTICS airlock_rows = ROW_COUNT;\n    COMMIT;\n    EXIT WHEN airlock_rows = 0;\n  END LOOP;\nEND\n"
    );
    Some(format!("DO {}", dollar(&body)))
}

pub fn truncate(s: &Standing<'_>, tables: &[(QName, bool)]) -> Result<Vec<StandingStep>, String> {
    let names = tables.iter().map(|(t, _)| format!("`{t}`")).collect::<Vec<_>>().join(", ");
    Ok(vec![StandingStep {
        phase: Some(PhaseKind::ContractSoft),
        id: slug(&["truncate"]),
        title: format!("Empty {names}, once N-1 no longer reads it"),
        statements: vec![s.words.clone()],
        one_way: Some("the rows are gone; only a backup has them".into()),
        undo_verdict: Undo::Impossible,
        ..StandingStep::default()
    }])
}
