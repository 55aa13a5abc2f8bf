//! What is safe as it is passes through unchanged, with its undo.

use crate::op::{AlterAction, ObjectKind, OpKind, QName};
use crate::quote::{ident, qualified};

use super::super::blocks::lock_timeout;
use super::super::draft::{Draft, NewStep, slug};
use super::super::{PhaseKind, Place, Stop};
use super::is_old;

pub fn plan(p: &Place<'_>, draft: &mut Draft) -> Result<(), Stop> {
    let one = p.r.statement.ops.len() == 1;
    let words = p.script.source.slice(p.op.span).to_string();
    let by_hand = "put it into a migration of its own, or plan it by hand";
    // The runner's and the session's business, which the plan's own steps see to.
    if matches!(
        p.op.kind,
        OpKind::Begin { .. } | OpKind::Commit { .. } | OpKind::SetVar { .. } | OpKind::ResetVar { .. } | OpKind::Query(_)
    ) {
        return Ok(());
    }
    let Some((id, title, undo)) = undo(p) else {
        let name = <&str>::from(&p.op.kind);
        return p.refuse(format!("there is no recipe for this operation yet ({name})"), by_hand);
    };
    let strong_and_slow =
        p.r.effects.locks.values().any(|m| m.blocks_writes()) && !(p.r.effects.scans.is_empty() && p.r.effects.rewrites.is_empty());
    let touches_old = match &p.op.kind {
        OpKind::Alter { target, .. } => is_old(p, &target.name),
        _ => false,
    };
    if touches_old && strong_and_slow {
        return p.refuse("it reads or writes a whole table under a strong lock, and no recipe avoids that yet", by_hand);
    }
    let sql = match &p.op.kind {
        // A subcommand alone is no statement.
        OpKind::Alter { target, .. } if !one => {
            format!("ALTER {} {} {words}", target.kind.to_string().replace('-', " "), name_sql(p, &target.name))
        }
        OpKind::Alter { .. } => p.script.source.slice(p.r.statement.span).to_string(),
        _ => words,
    };
    draft.step(
        PhaseKind::Expand,
        NewStep { id, title, statements: vec![lock_timeout(p.options), sql], undo: vec![lock_timeout(p.options), undo] },
    );
    Ok(())
}

fn name_sql(p: &Place<'_>, n: &QName) -> String {
    let rel = p.r.after.relation_by(n).or_else(|| p.before().relation_by(n));
    rel.map_or_else(|| ident(n.as_str()), |r| qualified(&r.schema, &r.name))
}

/// Name, title and undo of an operation that adds something.
fn undo(p: &Place<'_>) -> Option<(String, String, String)> {
    let made = |kind: &str, n: &QName| {
        (slug(&["create", n.as_str()]), format!("Create {} `{n}`", kind.to_lowercase()), format!("DROP {kind} {}", name_sql(p, n)))
    };
    Some(match &p.op.kind {
        OpKind::CreateTable(t) => made("TABLE", &t.name),
        OpKind::CreateTableAs(t) => made("TABLE", &t.name),
        OpKind::CreateView(v) if !v.or_replace => made(if v.materialized { "MATERIALIZED VIEW" } else { "VIEW" }, &v.name),
        OpKind::CreateSequence { name, .. } => made("SEQUENCE", name),
        OpKind::CreateEnum { name, .. } | OpKind::CreateComposite { name, .. } => {
            let t = p.r.after.type_by(name)?;
            (slug(&["create", name.as_str()]), format!("Create type `{name}`"), format!("DROP TYPE {}", qualified(&t.schema, &t.name)))
        }
        OpKind::CreateIndex(i) => {
            let table = p.r.after.relation_by(&i.table)?;
            let new = p.r.after.indexes_of(table.id).into_iter().find(|x| p.before().relation(x.id).is_none())?;
            (
                slug(&["index", &new.name]),
                format!("Create index `{}`", new.name),
                format!("DROP INDEX {}", qualified(&new.schema, &new.name)),
            )
        }
        OpKind::Alter { target, action: AlterAction::AddColumn { column, if_not_exists: false } } if target.kind == ObjectKind::Table => (
            slug(&["add", target.name.as_str(), column.name.as_str()]),
            format!("Add `{}` to `{}`", column.name.as_str(), target.name),
            format!("ALTER TABLE {} DROP COLUMN {}", name_sql(p, &target.name), ident(column.name.as_str())),
        ),
        OpKind::Alter { target, action: AlterAction::SetDefault { column, .. } } => {
            let rel = p.before().relation_by(&target.name)?;
            let t = name_sql(p, &target.name);
            let c = ident(column.as_str());
            let undo = match rel.column(column.as_str())?.default.as_ref() {
                Some(d) => format!("ALTER TABLE {t} ALTER COLUMN {c} SET DEFAULT {}", d.text),
                None => format!("ALTER TABLE {t} ALTER COLUMN {c} DROP DEFAULT"),
            };
            (slug(&["default", target.name.as_str(), column.as_str()]), format!("Set the default of `{}`", column.as_str()), undo)
        }
        _ => return None,
    })
}
