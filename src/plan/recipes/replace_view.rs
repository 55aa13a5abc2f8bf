//! DROP VIEW and CREATE VIEW of one name: a view that shows the columns of both stands until N-1 is gone, where the two read the same rows.

use crate::catalog::{RelKind, Relation};
use crate::op::{ObjectKind, Op, OpKind, QueryBody};
use crate::quote::{ident, idents, qualified};
use crate::replay::{Replayed, ReplayedScript};

use super::super::PhaseKind;
use super::super::change::OpAt;
use super::super::draft::slug;
use super::super::standing::{Standing, StandingStep};

/// DROP VIEW → the CREATE VIEW behind it that takes the name.
pub fn pairs(script: &ReplayedScript) -> Vec<(OpAt, OpAt)> {
    let ops = || {
        let all = script.statements.iter().enumerate();
        all.flat_map(|(s, r)| r.statement.ops.iter().enumerate().map(move |(o, op)| ((s, o), r, op)))
    };
    let mut out = Vec::new();
    for (at, r, op) in ops() {
        let Some(old) = goes(script, r, op) else { continue };
        let comes = ops().find(|(then, r, op)| {
            *then > at
                && matches!(&op.kind, OpKind::CreateView(v) if !v.materialized
                    && r.after.relation_by(&v.name).is_some_and(|n| (&n.schema, &n.name) == (&old.schema, &old.name)))
        });
        out.extend(comes.map(|(then, ..)| (at, then)));
    }
    out
}

/// The one view of before that the operation drops.
fn goes<'r>(script: &ReplayedScript, r: &'r Replayed, op: &Op) -> Option<&'r Relation> {
    let OpKind::Drop { objects, cascade: false, .. } = &op.kind else { return None };
    let [one] = objects.as_slice() else { return None };
    let old = r.before.relation_by(&one.name)?;
    (one.kind == ObjectKind::View && old.kind == RelKind::View && script.before.relation(old.id).is_some()).then_some(old)
}

pub fn steps(s: &Standing<'_>, old: &Relation) -> Result<Vec<StandingStep>, String> {
    let new = s.script.after.relation_named(&old.schema, &old.name).ok_or("the view does not stay")?;
    let name = qualified(&old.schema, &old.name);
    let both = bridge(old, new);
    let replace = |sql: &str| sql.replacen("CREATE VIEW", "CREATE OR REPLACE VIEW", 1);
    let come: Vec<String> = new.columns.iter().filter(|c| old.column(&c.name).is_none()).map(|c| format!("`{}`", c.name)).collect();
    let mut out = Vec::new();
    let was = s.before.whole_sql(old);
    let mut meanwhile = was.clone();
    match &both {
        Some(query) if !come.is_empty() => {
            let columns = old.columns.iter().chain(new.columns.iter().filter(|c| old.column(&c.name).is_none()));
            let head = format!("CREATE VIEW {name} ({})", idents(columns.map(|c| &c.name)));
            let create = s.before.relation_sql(old);
            let options =
                create.strip_prefix(&format!("CREATE VIEW {name}")).and_then(|rest| rest.split_once(" AS ")).map_or("", |(o, _)| o);
            let options = options.find(" WITH (").map_or("", |at| &options[at..]);
            let create = format!("{head}{options} AS {query}");
            // Columns that were added do not go again by CREATE OR REPLACE.
            let undo = std::iter::once(format!("DROP VIEW {name}")).chain(was.iter().cloned()).collect();
            if let Some(first) = meanwhile.first_mut() {
                first.clone_from(&create);
            }
            out.push(StandingStep {
                phase: Some(PhaseKind::Expand),
                id: slug(&["view", &old.name]),
                title: format!("`{}` shows {} too, for release N", old.name, come.join(", ")),
                statements: vec![replace(&create)],
                undo,
                ..StandingStep::default()
            });
        }
        _ => {}
    }
    let known = both.is_some() || come.is_empty();
    let checklist = match known {
        true => vec![format!("Until the soft contract `{}` shows the columns of N-1 as they were.", old.name)],
        false => vec![format!(
            "`{}` reads other rows than before, so it cannot show the columns of both releases: until the soft contract release N does without {}.",
            old.name,
            come.join(", ")
        )],
    };
    out.push(StandingStep {
        phase: Some(PhaseKind::ContractSoft),
        id: slug(&["replace", &old.name]),
        title: format!("Release N-1 is gone: `{}` shows what release N knows", old.name),
        statements: std::iter::once(format!("DROP VIEW {name}")).chain(s.script.after.whole_sql(new)).collect(),
        undo: std::iter::once(format!("DROP VIEW {name}")).chain(meanwhile).collect(),
        checklist,
        except: if known { Vec::new() } else { vec![format!("select-named on {}", old.rel_name())] },
        ..StandingStep::default()
    });
    Ok(out)
}

/// The old query with the columns that only the new one has: where the two differ in nothing but what they show.
fn bridge(old: &Relation, new: &Relation) -> Option<String> {
    let (old_parts, new_parts) = (parts(old)?, parts(new)?);
    let same = |a: &str, b: &str| a.split_whitespace().eq(b.split_whitespace());
    if !same(&old_parts.rest, &new_parts.rest) || old.options != new.options {
        return None;
    }
    // A column of another type under the same name is none of both.
    if new.columns.iter().any(|n| old.column(&n.name).is_some_and(|o| o.ty != n.ty)) {
        return None;
    }
    let come = new.columns.iter().zip(&new_parts.targets).filter(|(c, _)| old.column(&c.name).is_none());
    let come: Vec<String> = come.map(|(c, t)| format!(", {t} AS {}", ident(&c.name))).collect();
    let head = old_parts.head.trim_end();
    Some(format!("{head}{}{}", come.concat(), old_parts.rest))
}

struct Parts {
    /// Up to the last column.
    head: String,
    targets: Vec<String>,
    rest: String,
}

fn parts(view: &Relation) -> Option<Parts> {
    let query = &view.view.as_ref()?.query;
    let QueryBody::Select(select) = &query.body else { return None };
    let text = query.text.trim_end().trim_end_matches(';').trim_end();
    if !query.ctes.is_empty() || select.distinct || !select.distinct_on.is_empty() || select.targets.len() != view.columns.len() {
        return None;
    }
    let last = select.targets.last()?;
    let end = last.alias.as_ref().map_or(last.expr.span.end, |a| a.span.end).checked_sub(query.span.start)? as usize;
    Some(Parts {
        head: text.get(..end)?.to_string(),
        targets: select.targets.iter().map(|t| t.expr.text.clone()).collect(),
        rest: text.get(end..)?.to_string(),
    })
}
