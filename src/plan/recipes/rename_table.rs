//! ALTER TABLE … RENAME TO and SET SCHEMA: the new name is a view over the table until N-1 is gone; then the table takes the name. N-1 notices nothing
//! before, and release N is the one that can be written for what a view does not take.

use crate::catalog::Relation;
use crate::op::PgVersion;
use crate::quote::{ident, qualified};

use super::super::blocks::table;
use super::super::change::TableChange;
use super::super::draft::{Draft, NewStep, slug};
use super::super::table::TableDraft;
use super::super::{Ctx, PhaseKind, Stop};

/// The view, and the rename that ends it.
pub struct Shim {
    old: String,
    new: String,
    create: Vec<String>,
    drop: String,
}

pub fn plan(x: &Ctx<'_>, change: &TableChange, t: &mut TableDraft<'_>, draft: &mut Draft) -> Result<Option<Shim>, Stop> {
    let Some(span) = change.renamed else { return Ok(None) };
    let (rel, after) = (&change.before, &change.after);
    if x.script.before.relation_named(&after.schema, &after.name).is_some() {
        return x.refuse(span, format!("`{}` is still the name of something else", after.name), "free the name in an earlier migration");
    }
    let invoker = x.script.before.pg >= PgVersion(15);
    if rel.row_security && !invoker {
        return x.refuse(
            span,
            format!("before Postgres 15, a view over `{}` goes round its row security", rel.name),
            "rename it when no release uses it, or on 15 and later",
        );
    }
    if rel.partition_by.is_some() || rel.is_partition() {
        return x.refuse(span, format!("`{}` is partitioned or a partition", rel.name), "plan this change by hand");
    }
    let seconds = x.seconds(rel);
    if x.app() && !(t.pairs.is_empty() && t.fills.is_empty()) {
        return x.by_trigger(
            span,
            format!("`{}` gets another name as well, and the view under that name shows one of the two columns", rel.name),
        );
    }
    let columns: Vec<String> = after
        .columns
        .iter()
        .map(|c| {
            let old = rel.columns.iter().find(|o| o.attnum == c.attnum);
            let second = old.and_then(|o| seconds.iter().find(|s| s.from == o.name));
            match second {
                Some(s) => format!("{} AS {}", ident(&s.second), ident(&c.name)),
                None => ident(&c.name),
            }
        })
        .collect();
    let (old, new) = (table(rel), qualified(&after.schema, &after.name));
    let options = if invoker { " WITH (security_invoker = true)" } else { "" };
    let mut create = vec![format!("CREATE VIEW {new}{options} AS SELECT {} FROM {old}", columns.join(", "))];
    for a in &rel.grants {
        let privileges: Vec<&str> =
            a.privileges.iter().map(String::as_str).filter(|p| matches!(*p, "SELECT" | "INSERT" | "UPDATE" | "DELETE")).collect();
        if privileges.is_empty() || rel.owner.as_deref() == Some(a.grantee.as_str()) {
            continue;
        }
        create.push(super::grant(a, &privileges.join(", "), &new));
    }
    let (said, before) = match after.schema == rel.schema {
        true => (after.name.clone(), rel.name.clone()),
        false => (after.rel_name().to_string(), rel.rel_name().to_string()),
    };
    draft.checklist.push(format!("Release N says `{said}` wherever N-1 said `{before}`."));
    draft.checklist.push(format!(
        "Until the soft contract `{said}` is a view: release N runs no ON CONFLICT ON CONSTRAINT, COPY, TRUNCATE or (before Postgres 17) MERGE on it."
    ));
    let beyond_a_view = ["upsert-constraint", "copy-columns", "copy-positional", "truncate"];
    draft.except.extend(beyond_a_view.map(|shape| format!("{shape} on {}", after.rel_name())));
    let drop = format!("DROP VIEW {new}");
    t.swap.insert(0, (drop.clone(), create.clone()));
    let to = |from: &str, to: &Relation| match after.schema == rel.schema {
        true => format!("ALTER TABLE {from} RENAME TO {}", ident(&to.name)),
        false => format!("ALTER TABLE {from} SET SCHEMA {}", ident(&to.schema)),
    };
    t.swap_last.push((to(&old, after), vec![to(&new, rel)]));
    t.words.push(format!("becomes `{said}`"));
    Ok(Some(Shim { drop, old: before, new: said, create }))
}

impl Shim {
    /// In expand, behind everything that gives the table its columns.
    pub fn emit(&self, draft: &mut Draft, bound: &str) {
        let bounded = |s: Vec<String>| std::iter::once(bound.to_string()).chain(s).collect::<Vec<_>>();
        draft.step(
            PhaseKind::Expand,
            NewStep {
                id: slug(&["view", &self.new]),
                title: format!("`{}` is a view over `{}` for release N", self.new, self.old),
                statements: bounded(self.create.clone()),
                undo: bounded(vec![self.drop.clone()]),
            },
        );
    }
}
