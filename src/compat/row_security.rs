//! Row security: which rows a role sees, which it may write.

use crate::catalog::{Policy, Relation};
use crate::op::Expr;

use super::eval::{Datum, eval};
use super::names::Session;
use super::outcome::Fail;
use super::permissions;
use super::write::RowEnv;

/// Does row security apply to the session's role on that table?
pub fn applies(s: &Session<'_>, rel: &Relation) -> bool {
    if !rel.row_security {
        return false;
    }
    // Without a role the table's owner is meant: row security reaches it only by FORCE.
    let Some(role) = s.role else { return rel.force_row_security };
    if role == "postgres" || bypasses(s, role) {
        return false;
    }
    !permissions::is_owner(s, rel.owner.as_deref(), role) || rel.force_row_security
}

fn bypasses(s: &Session<'_>, role: &str) -> bool {
    let key = (crate::op::ObjectKind::Role, String::new(), role.to_string());
    s.cat.objects.get(&key).is_some_and(|o| {
        let detail = o.detail.to_ascii_lowercase();
        detail.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|w| matches!(w, "bypassrls" | "superuser"))
    })
}

fn policies<'p>(s: &'p Session<'_>, rel: &'p Relation, command: &'p str) -> impl Iterator<Item = &'p Policy> {
    rel.policies.iter().filter(move |p| {
        let for_role = p.roles.is_empty()
            || p.roles.iter().any(|r| r.eq_ignore_ascii_case("public") || s.role.is_some_and(|role| permissions::member_of(s, role, r)));
        for_role && (p.command.eq_ignore_ascii_case("ALL") || p.command.eq_ignore_ascii_case(command))
    })
}

/// No row can be seen: no permissive policy, or all of them say false whatever the row is.
pub fn hides_all(s: &Session<'_>, rel: &Relation) -> bool {
    if !applies(s, rel) {
        return false;
    }
    let row: Vec<Datum> = rel.columns.iter().map(|_| Datum::ANY).collect();
    let says_no = |e: &Option<Expr>| {
        e.as_ref().is_some_and(|e| {
            let env = RowEnv { rel, row: &row, other: None, samples: s.samples };
            matches!(eval(e, &env).truth(), Some(Some(false) | None))
        })
    };
    let mut permissive = policies(s, rel, "SELECT").filter(|p| p.permissive).peekable();
    let none = permissive.peek().is_none();
    none || permissive.all(|p| says_no(&p.using)) || policies(s, rel, "SELECT").any(|p| !p.permissive && says_no(&p.using))
}

/// 42501 where no policy lets the new row in.
pub fn refuses(s: &Session<'_>, rel: &Relation, command: &str, row: &[Datum]) -> Option<Fail> {
    if !applies(s, rel) {
        return None;
    }
    let verdict = |p: &Policy| {
        let check = p.with_check.as_ref().or(p.using.as_ref());
        let Some(e) = check else { return Some(true) };
        let env = RowEnv { rel, row, other: None, samples: s.samples };
        eval(e, &env).truth().map(|t| t == Some(true))
    };
    let mut allowed = Some(false);
    for p in policies(s, rel, command).filter(|p| p.permissive) {
        match verdict(p) {
            Some(true) => allowed = Some(true),
            None if allowed == Some(false) => allowed = None,
            _ => {}
        }
    }
    let blocked = policies(s, rel, command).any(|p| !p.permissive && verdict(p) == Some(false));
    (allowed == Some(false) || blocked).then(|| Fail::new("42501", rel.name.clone()))
}
