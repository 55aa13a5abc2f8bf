//! A table that becomes a partition of a new one, which takes its name: no row moves. What the bounds say of its rows is proved before by a CHECK, its
//! indexes are built before, and the names change hands in one transaction when N-1 is gone.

use crate::catalog::{Catalog, ConKind, Relation};
use crate::compat::Undo;
use crate::effects::{Sent, predict};
use crate::op::{AlterAction, OpKind, PartitionBound};
use crate::quote::{ident, idents, qualified};

use super::super::blocks::table;
use super::super::draft::{Draft, slug};
use super::super::rebuilt::Under;
use super::super::reverse::reverse;
use super::super::standing::{StandingStep, words};
use super::super::{Ctx, PhaseKind, Stop};
use super::create_index::built_before;
use super::partitions::Proof;
use super::rebuild_table::{Rebuilt, keys_differ};

const SOFT: PhaseKind = PhaseKind::ContractSoft;

pub fn plan(x: &Ctx<'_>, u: &Under, draft: &mut Draft) -> Result<Rebuilt, Stop> {
    let by_hand = "change the table itself in an earlier migration, and let this one attach it";
    let (old, new) = (&*u.old, &*u.new);
    let Some(attach) = x.script.statements.get(u.attached.0) else { return Ok(Rebuilt::default()) };
    let Some(part) = x.script.after.relation(old.id) else { return Ok(Rebuilt::default()) };
    if let Some(why) = changed(x, u) {
        return x.refuse(u.span, why, by_hand);
    }
    let mut out = Rebuilt::default();
    for i in attach.after.indexes_of(old.id).into_iter().filter(|i| attach.before.relation(i.id).is_none()) {
        let Some(mut built) = built_before(&attach.after, old, i, &i.name) else {
            return x.refuse(u.span, format!("`{}` cannot be built before the table is attached", i.name), by_hand);
        };
        built.on(&table(part), &table(old));
        built.steps(SOFT).into_iter().for_each(|s| out.push(SOFT, s));
    }
    let proofs = proofs(x, u, attach)?;
    for (proof, what) in &proofs {
        proof.steps(SOFT, what).into_iter().for_each(|s| out.push(SOFT, s));
    }
    let (statements, mut undo) = swapped(x, u, part)?;
    let proved: Vec<String> = proofs.iter().flat_map(|(p, _)| p.again()).collect();
    let before: Vec<String> = out.statements().chain(proved).collect();
    if let Some(sql) = reads_rows(x, old, &before, &statements) {
        return x.refuse(u.span, format!("rows of `{}` would be read under a lock by `{sql}`", old.name), by_hand);
    }
    // What came into the other partitions lies in this one again.
    let list = idents(old.columns.iter().filter(|c| c.generated.is_none()).map(|c| &c.name));
    let back = format!("INSERT INTO {0} ({list}) OVERRIDING SYSTEM VALUE SELECT {list} FROM {1}", table(part), table(new));
    let at = undo.iter().position(|s| s.starts_with("DROP TABLE ")).unwrap_or(undo.len());
    undo.insert(at, back);
    out.push(
        SOFT,
        StandingStep {
            id: slug(&["under", &old.name]),
            title: format!("Release N-1 is gone: `{}` becomes `{}`, a partition of the new `{0}`; no row is read", old.name, part.name),
            statements,
            undo,
            undo_verdict: Undo::BlockedByData,
            ..StandingStep::default()
        },
    );
    for (proof, _) in &proofs {
        let proof = proof.under(table(part));
        out.push(
            SOFT,
            StandingStep {
                id: slug(&["unbound", &part.name]),
                title: format!("`{}` is bound by its bounds, and needs no CHECK for them", part.name),
                statements: vec![proof.drop()],
                undo: proof.again().to_vec(),
                undo_alone: true,
                ..StandingStep::default()
            },
        );
    }
    said(x, u, part, &proofs, draft);
    Ok(out)
}

/// Why the table is another one when it is attached.
fn changed(x: &Ctx<'_>, u: &Under) -> Option<String> {
    for at in &u.ops {
        let r = x.script.statements.get(at.0)?;
        let op = r.statement.ops.get(at.1)?;
        let OpKind::Alter { target, action } = &op.kind else { continue };
        let about = r.before.relation_by(&target.name).is_some_and(|t| t.id == u.old.id);
        if about && !matches!(action, AlterAction::RenameTo { .. } | AlterAction::SetSchema { .. }) {
            return Some(format!("`{}` changes in the file that makes it a partition", u.old.name));
        }
    }
    let keys = |t: &Relation| t.constraints.iter().filter(|c| matches!(c.kind, ConKind::ForeignKey { .. })).count();
    (keys(&u.old) < keys(&u.new))
        .then(|| format!("`{}` has not the foreign keys of the table above it: every row would be looked up", u.old.name))
}

/// What no row of the table may be, each with its words.
fn proofs(x: &Ctx<'_>, u: &Under, attach: &crate::replay::Replayed) -> Result<Vec<(Proof, String)>, Stop> {
    let mut out = Vec::new();
    let part = attach.after.relation(u.old.id);
    let default = part.is_some_and(|p| p.partition_bound == Some(PartitionBound::Default));
    let alone = attach.before.children_of(u.new.id).is_empty();
    let said = match default {
        true if alone => None,
        true => Some(attach.before.default_condition(u.new.id)),
        false => Some(attach.after.partition_condition(u.old.id)),
    };
    if let Some(condition) = said {
        let Some(condition) = condition else {
            return x.refuse(u.span, "what the bounds say is not known", "write the bounds as literals");
        };
        out.push((Proof::of(&u.old, condition), "that lies outside of the bounds".to_string()));
    }
    // Partitions that come behind a default one take rows from it.
    let later = x
        .script
        .after
        .children_of(u.new.id)
        .into_iter()
        .filter(|c| default && *c != u.old.id && !attach.before.children_of(u.new.id).contains(c));
    for (i, child) in later.enumerate() {
        let name = x.script.after.relation(child).map_or_else(String::new, |r| r.name.clone());
        if let Some(c) = x.script.after.partition_condition(child) {
            out.push((Proof::named(&u.old, format!("NOT ({c})"), &format!("bound{i}")), format!("that belongs into `{name}`")));
        }
    }
    Ok(out)
}

/// The file's own statements, and their way back.
fn swapped(x: &Ctx<'_>, u: &Under, part: &Relation) -> Result<(Vec<String>, Vec<String>), Stop> {
    let (mut up, mut down) = (Vec::new(), Vec::new());
    for at in &u.ops {
        let Some((r, op)) = x.script.statements.get(at.0).and_then(|r| Some((r, r.statement.ops.get(at.1)?))) else { continue };
        up.push(words(x.script, &r.statement, op, &r.before));
        let old = |name| r.before.relation_by(name).is_some_and(|t| t.id == u.old.id);
        let name = |id| r.before.relation(id).map_or_else(|| table(part), table);
        let renamed = |id| r.after.relation(id).map_or_else(|| table(part), table);
        match &op.kind {
            OpKind::Alter { target, action: AlterAction::RenameTo { .. } } if old(&target.name) => {
                down.insert(
                    0,
                    format!("ALTER TABLE {} RENAME TO {}", renamed(u.old.id), ident(r.before.relation(u.old.id).map_or("", |t| &t.name))),
                );
            }
            OpKind::Alter { target, action: AlterAction::SetSchema { .. } } if old(&target.name) => {
                down.insert(0, format!("ALTER TABLE {} SET SCHEMA {}", renamed(u.old.id), ident(&u.old.schema)));
            }
            OpKind::Alter { action: AlterAction::AttachPartition { .. }, .. } if *at == u.attached => {
                down.insert(0, format!("ALTER TABLE {} DETACH PARTITION {}", name(u.new.id), name(u.old.id)));
            }
            OpKind::CreateTable(t) if r.after.relation_by(&t.name).is_some_and(|t| t.id == u.new.id) => {
                down.insert(0, format!("DROP TABLE {}", renamed(u.new.id)));
            }
            OpKind::AlterSequence { name: sequence, .. } => {
                let Some(s) = r.before.relation_by(sequence) else { continue };
                let owner = s.sequence.as_ref().and_then(|s| s.owned_by.as_ref());
                let back =
                    owner.map(|(t, c)| format!("ALTER SEQUENCE {} OWNED BY {}.{}", qualified(&s.schema, &s.name), name(*t), ident(c)));
                down.splice(0..0, back);
            }
            // What is said of the new tables goes with them.
            _ => {
                let about_old = super::super::order::about(r, op) == Some(u.old.id);
                match reverse(op, &r.before, &r.after).filter(|_| about_old) {
                    Some(back) => drop(down.splice(0..0, back.undo)),
                    None if about_old => {
                        return x.refuse(op.span, "there is no way back from this yet", "put it into a migration of its own");
                    }
                    None => {}
                }
            }
        }
    }
    Ok((up, down))
}

/// The first of the statements that reads rows of the table.
fn reads_rows(x: &Ctx<'_>, old: &Relation, before: &[String], statements: &[String]) -> Option<String> {
    let mut catalog: Catalog = x.script.before.clone();
    for s in before.iter().flat_map(|sql| crate::lower::lower_text(sql)) {
        catalog.apply_statement(&s);
    }
    for sql in statements {
        for s in crate::lower::lower_text(sql) {
            let e = predict(&s, &catalog, Sent { pg: catalog.pg, in_transaction: true });
            let mut then = catalog.clone();
            then.apply_statement(&s);
            let names: Vec<_> = [&catalog, &then].into_iter().filter_map(|c| c.relation(old.id)).map(Relation::rel_name).collect();
            if e.scans.iter().chain(&e.rewrites).chain(&e.builds).any(|r| names.contains(r)) {
                return Some(sql.clone());
            }
            catalog = then;
        }
    }
    None
}

fn said(x: &Ctx<'_>, u: &Under, part: &Relation, proofs: &[(Proof, String)], draft: &mut Draft) {
    let name = &u.old.name;
    if !proofs.is_empty() {
        draft.checklist.push(format!(
            "From the first CHECK of the soft contract until the new `{name}` is there, a row of `{name}` that lies outside of the bounds of `{}` is refused (23514): do it when nobody writes such rows.",
            part.name
        ));
    }
    draft.checklist.push(format!("Until the soft contract the partitions of `{name}` have no names: release N writes to `{name}` itself."));
    let after = &x.script.after;
    for t in after.descendants_of(u.new.id).into_iter().filter_map(|id| after.relation(id)) {
        let shapes = crate::compat::shapes(after, t);
        draft.except.extend(shapes.iter().map(|s| format!("{} on {}", s.shape, t.rel_name())));
    }
    keys_differ(&u.old, &u.new, draft);
}
