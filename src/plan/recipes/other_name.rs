//! A view or a function gets another name: there is one under each name until N-1 is gone.

use crate::catalog::{Function, RelKind, Relation, routine_sql};
use crate::op::{AlterAction, ObjectKind, Op, OpKind, QName};
use crate::quote::{ident, qualified};

use super::super::PhaseKind;
use super::super::draft::slug;
use super::super::standing::{Standing, StandingStep};
use super::grant;

/// Two objects of one definition, and the names before and after.
struct Alias {
    old: String,
    new: String,
    create: Vec<String>,
    drop: String,
    rename: String,
    back: String,
}

/// `None`: the operation is none of these.
pub fn steps(s: &Standing<'_>) -> Option<Result<Vec<StandingStep>, String>> {
    let alias = view(s, s.op).or_else(|| function(s, s.op))?;
    let Alias { old, new, create, drop, rename, back } = alias;
    Some(Ok(vec![
        StandingStep {
            phase: Some(PhaseKind::Expand),
            id: slug(&["name", &new]),
            title: format!("`{old}` is there as `{new}` too, for release N"),
            statements: create.clone(),
            undo: vec![drop.clone()],
            checklist: vec![format!("Release N says `{new}` wherever N-1 said `{old}`.")],
            ..StandingStep::default()
        },
        StandingStep {
            phase: Some(PhaseKind::ContractSoft),
            id: slug(&["rename", &old]),
            title: format!("Release N-1 is gone: `{old}` itself becomes `{new}`"),
            statements: vec![drop, rename],
            undo: std::iter::once(back).chain(create).collect(),
            ..StandingStep::default()
        },
    ]))
}

fn view(s: &Standing<'_>, op: &Op) -> Option<Alias> {
    let OpKind::Alter { target, action: AlterAction::RenameTo { to } } = &op.kind else { return None };
    let old = s.before.relation_by(&target.name).filter(|r| r.kind == RelKind::View && s.script.before.relation(r.id).is_some())?;
    // Its triggers and rules would be missing on the other one.
    if !old.triggers.is_empty() || !old.rules.is_empty() {
        return None;
    }
    let copy = Relation { name: to.as_str().to_string(), ..old.clone() };
    let (before, after) = (qualified(&old.schema, &old.name), qualified(&copy.schema, &copy.name));
    let mut create = vec![s.before.relation_sql(&copy)];
    let others = old.grants.iter().filter(|a| old.owner.as_deref() != Some(a.grantee.as_str()));
    create.extend(others.map(|a| grant(a, &a.privileges.join(", "), &after)));
    Some(Alias {
        create,
        drop: format!("DROP VIEW {after}"),
        rename: format!("ALTER VIEW {before} RENAME TO {}", ident(&copy.name)),
        back: format!("ALTER VIEW {after} RENAME TO {}", ident(&old.name)),
        old: old.name.clone(),
        new: copy.name,
    })
}

fn function(s: &Standing<'_>, op: &Op) -> Option<Alias> {
    let OpKind::Rename { object, to } = &op.kind else { return None };
    let kind = match object.kind {
        ObjectKind::Function => "FUNCTION",
        ObjectKind::Procedure => "PROCEDURE",
        _ => return None,
    };
    let old = renamed(s, &object.name, to.as_str())?;
    let copy = Function { name: to.as_str().to_string(), ..old.clone() };
    let (before, after) = (routine_sql(old), routine_sql(&copy));
    let on = format!("{kind} {after}");
    let mut create = vec![s.before.function_sql(&copy)];
    if !old.grants.iter().any(|a| a.grantee == "public") {
        create.push(format!("REVOKE EXECUTE ON {on} FROM PUBLIC"));
    }
    let others = old.grants.iter().filter(|a| a.grantee != "public" && old.owner.as_deref() != Some(a.grantee.as_str()));
    create.extend(others.map(|a| grant(a, "EXECUTE", &on)));
    Some(Alias {
        create,
        drop: format!("DROP {on}"),
        rename: format!("ALTER {kind} {before} RENAME TO {}", ident(&copy.name)),
        back: format!("ALTER {on} RENAME TO {}", ident(&old.name)),
        old: old.name.clone(),
        new: copy.name,
    })
}

/// The one function that the words mean: the one that has the other name afterwards.
fn renamed<'s>(s: &'s Standing<'_>, name: &QName, to: &str) -> Option<&'s Function> {
    let named = s.before.functions.values().filter(|f| f.name == name.as_str());
    let mut meant = named.filter(|f| s.after.functions.get(&f.id).is_some_and(|a| a.name == to));
    meant.next().map(|f| &**f).filter(|f| s.script.before.functions.contains_key(&f.id))
}
