//! Privileges: who may use which relation, column, schema, sequence and function.

use std::collections::BTreeSet;

use crate::catalog::{Acl, Function, Id, Relation};
use crate::op::ObjectKind;

use super::names::Session;
use super::outcome::Fail;

/// One entry of a statement's permission check.
#[derive(Debug, Clone, PartialEq)]
pub struct Need {
    pub relation: Id,
    pub privilege: &'static str,
    /// Columns that are touched. Empty: any column's privilege is enough (`count(*)`).
    pub columns: BTreeSet<String>,
    /// On behalf of whom: `None` is the role of the session, else the owner of the view that is read.
    pub on_behalf: Option<Option<String>>,
}

/// The first privilege that is missing, in the order in which Postgres checks.
pub fn check(s: &Session<'_>, needs: &[Need]) -> Result<(), Fail> {
    for n in needs {
        let role = match &n.on_behalf {
            // A view's owner that the history does not name is the one who made everything else.
            Some(None) => continue,
            Some(Some(owner)) => owner.as_str(),
            None => match s.role {
                Some(r) => r,
                None => continue,
            },
        };
        let Some(rel) = s.get(n.relation) else { continue };
        if !allowed(s, rel, role, n.privilege, &n.columns) {
            return Err(Fail::new("42501", rel.name.clone()));
        }
    }
    Ok(())
}

/// Table-wide, or on each of the columns.
pub fn allowed(s: &Session<'_>, rel: &Relation, role: &str, privilege: &str, columns: &BTreeSet<String>) -> bool {
    if is_owner(s, rel.owner.as_deref(), role) || has(s, &rel.grants, role, privilege) || reads_all(s, role, privilege) {
        return true;
    }
    let on_column = |c: &crate::catalog::Column| has(s, &c.grants, role, privilege);
    if matches!(privilege, "DELETE" | "TRUNCATE") {
        return false;
    }
    if columns.is_empty() {
        return rel.columns.iter().any(on_column);
    }
    columns.iter().all(|name| rel.column(name).is_some_and(on_column))
}

/// A role that owns the relation, or a superuser as far as names tell.
pub fn is_owner(s: &Session<'_>, owner: Option<&str>, role: &str) -> bool {
    role == "postgres" || owner.is_some_and(|o| member_of(s, role, o)) || superuser(s, role)
}

pub fn has(s: &Session<'_>, acl: &[Acl], role: &str, privilege: &str) -> bool {
    acl.iter().any(|a| {
        (a.grantee.eq_ignore_ascii_case("public") || member_of(s, role, &a.grantee))
            && a.privileges.iter().any(|p| p == privilege || p == "ALL" || p == "ALL PRIVILEGES")
    })
}

fn reads_all(s: &Session<'_>, role: &str, privilege: &str) -> bool {
    match privilege {
        "SELECT" => member_of(s, role, "pg_read_all_data") && role != "pg_read_all_data",
        "INSERT" | "UPDATE" | "DELETE" => member_of(s, role, "pg_write_all_data") && role != "pg_write_all_data",
        _ => false,
    }
}

/// Is `role` the group, or in it through grants of roles? Roles are kept as objects whose detail lists what they belong to.
pub fn member_of(s: &Session<'_>, role: &str, group: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![role.to_string()];
    while let Some(r) = open.pop() {
        if r == group {
            return true;
        }
        if !seen.insert(r.clone()) {
            continue;
        }
        if let Some(o) = s.cat.objects.get(&(ObjectKind::Role, String::new(), r)) {
            open.extend(o.columns.iter().cloned());
        }
    }
    false
}

fn superuser(s: &Session<'_>, role: &str) -> bool {
    s.cat.objects.get(&(ObjectKind::Role, String::new(), role.to_string())).is_some_and(|o| {
        let detail = o.detail.to_ascii_lowercase();
        detail.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|w| w == "superuser")
    })
}

pub fn may_use_schema(s: &Session<'_>, name: &str) -> bool {
    let (Some(role), Some(schema)) = (s.role, s.cat.schemas.get(name)) else { return true };
    is_owner(s, schema.owner.as_deref(), role) || has(s, &schema.grants, role, "USAGE")
}

pub fn may_use_sequence(s: &Session<'_>, seq: &Relation) -> bool {
    let Some(role) = s.role else { return true };
    is_owner(s, seq.owner.as_deref(), role) || has(s, &seq.grants, role, "USAGE") || has(s, &seq.grants, role, "UPDATE")
}

pub fn may_execute(s: &Session<'_>, f: &Function) -> bool {
    let Some(role) = s.role else { return true };
    is_owner(s, f.owner.as_deref(), role) || has(s, &f.grants, role, "EXECUTE")
}
