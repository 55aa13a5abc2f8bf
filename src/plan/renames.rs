//! Renames in disguise: DROP and ADD of alike columns, DROP and CREATE of alike tables. Some tools write them for a rename, and the
//! data are lost; only a person knows.

use crate::catalog::{Column, Relation};
use crate::op::{AlterAction, Op, OpKind};

use super::change::Changes;
use super::{Answer, Question, Refusal, Stop, find_answer};
use crate::replay::ReplayedScript;

/// Every pair that nobody has spoken about.
pub fn disguised(script: &ReplayedScript, changes: &Changes, answers: &[Answer]) -> Vec<Stop> {
    let mut out = tables(script, changes, answers);
    for before in script.before.relations.values().filter(|r| r.kind.is_table() && !r.assumed) {
        if let Some(after) = script.after.relations.get(&before.id).filter(|a| !std::sync::Arc::ptr_eq(a, before)) {
            columns(script, changes, answers, before, after, &mut out);
        }
    }
    out
}

fn columns(script: &ReplayedScript, changes: &Changes, answers: &[Answer], before: &Relation, after: &Relation, out: &mut Vec<Stop>) {
    let gone: Vec<&Column> = before.columns.iter().filter(|c| !after.columns.iter().any(|a| a.attnum == c.attnum)).collect();
    // A column that the file fills says itself where its values come from.
    let filled = |c: &Column| {
        let told = changes.tables.iter().filter(|t| t.before.id == before.id).flat_map(|t| &t.columns);
        let mut told = told.filter(|x| x.after.as_ref().is_some_and(|a| a.attnum == c.attnum));
        told.any(|x| x.filled_by.is_some()) || c.default.is_some() || c.identity.is_some() || c.generated.is_some()
    };
    let come: Vec<&Column> = after.columns.iter().filter(|c| !before.columns.iter().any(|b| b.attnum == c.attnum) && !filled(c)).collect();
    for old in &gone {
        let like = |c: &&&Column| c.ty == old.ty;
        let [new] = come.iter().filter(like).collect::<Vec<_>>()[..] else { continue };
        if gone.iter().filter(|c| c.ty == old.ty).count() != 1 {
            continue;
        }
        let Some(span) = find(script, |op| {
            matches!(&op.kind, OpKind::Alter { target, action: AlterAction::DropColumn { column, .. } }
                if column.as_str() == old.name && target.name.as_str() == before.name)
        }) else {
            continue;
        };
        let subject = format!("{}.{}", before.name, old.name);
        match find_answer(answers, &before.schema, &before.name, &old.name, "rename") {
            Some("") => {}
            Some(_) => out.push(Stop::Refuse(Refusal {
                span,
                reason: format!("as it is written, the migration loses the data of `{subject}`"),
                next_step: format!(
                    "write `ALTER TABLE {} RENAME COLUMN {} TO {}` instead of DROP COLUMN and ADD COLUMN, and plan that",
                    crate::quote::qualified(&before.schema, &before.name),
                    crate::quote::ident(&old.name),
                    crate::quote::ident(&new.name)
                ),
            })),
            None => out.push(Stop::Ask(Question {
                span,
                question: format!("`{subject}` goes and `{}`, of the same type, comes. Is it the same column under a new name?", new.name),
                answer: format!("--rename '{subject}={}' if it is, --rename '{subject}=' if its data may go", new.name),
            })),
        }
    }
}

fn tables(script: &ReplayedScript, changes: &Changes, answers: &[Answer]) -> Vec<Stop> {
    let mut out = Vec::new();
    let gone = script.before.relations.values().filter(|r| r.kind.is_table() && !r.assumed && !script.after.relations.contains_key(&r.id));
    for old in gone.filter(|r| !changes.rebuilds.iter().any(|x| x.old.id == r.id)) {
        let alike = |new: &&std::sync::Arc<Relation>| {
            let same = |c: &Column| old.columns.iter().any(|o| o.name == c.name && o.ty == c.ty);
            let shared = new.columns.iter().filter(|c| same(c)).count();
            new.kind.is_table() && shared >= 3 && shared * 4 >= 3 * old.columns.len().max(new.columns.len())
        };
        let Some(new) = script.after.relations.values().filter(|r| !script.before.relations.contains_key(&r.id)).find(alike) else {
            continue;
        };
        let Some(span) =
            find(script, |op| matches!(&op.kind, OpKind::Drop { objects, .. } if objects.iter().any(|o| o.name.as_str() == old.name)))
        else {
            continue;
        };
        let told = answers.iter().find(|a| a.key == "rename" && (a.subject == old.name || a.subject == old.rel_name().to_string()));
        match told.map(|a| a.value.as_str()) {
            Some("") => {}
            Some(_) if new.rel_name() == old.rel_name() => out.push(Stop::Refuse(Refusal {
                span,
                reason: format!("as it is written, the migration loses the rows of `{}`", old.name),
                next_step: format!(
                    "give the old table another name, make the new one, write `INSERT INTO {} SELECT …` from the old one, drop that, and plan it",
                    old.rel_name().sql()
                ),
            })),
            Some(_) => out.push(Stop::Refuse(Refusal {
                span,
                reason: format!("as it is written, the migration loses the rows of `{}`", old.name),
                next_step: format!(
                    "write `ALTER TABLE {} RENAME TO {}` instead of DROP TABLE and CREATE TABLE, and plan that",
                    old.rel_name().sql(),
                    crate::quote::ident(&new.name)
                ),
            })),
            None if new.rel_name() == old.rel_name() => out.push(Stop::Ask(Question {
                span,
                question: format!("`{}` goes and comes again, with the same columns. Is it the same table, which keeps its rows?", old.name),
                answer: format!("--rename '{0}={0}' if its rows are copied, --rename '{0}=' if they may go", old.name),
            })),
            None => out.push(Stop::Ask(Question {
                span,
                question: format!(
                    "`{}` goes and `{}`, with the same columns, comes. Is it the same table under a new name?",
                    old.name, new.name
                ),
                answer: format!("--rename '{}={}' if it is, --rename '{}=' if its rows may go", old.name, new.name, old.name),
            })),
        }
    }
    out
}

fn find(script: &ReplayedScript, is: impl Fn(&Op) -> bool) -> Option<crate::source::Span> {
    script.statements.iter().flat_map(|r| &r.statement.ops).find(|o| is(o)).map(|o| o.span)
}
