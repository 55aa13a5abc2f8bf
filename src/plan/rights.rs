//! The way back of GRANT, REVOKE and OWNER TO: the rights as they were.

use std::collections::BTreeMap;

use imbl::ordmap::DiffItem;

use crate::catalog::{Acl, Catalog, RelKind, Relation, grantee_sql, routine_sql};
use crate::quote::{ident, qualified};

/// What gives the rights back; `None`: they are of a kind whose way back is not known (members of roles, rights of later objects).
pub fn back(before: &Catalog, after: &Catalog) -> Option<Vec<String>> {
    if before.default_acls != after.default_acls || before.objects.diff(&after.objects).next().is_some() {
        return None;
    }
    let mut out = Vec::new();
    for item in before.relations.diff(&after.relations) {
        let DiffItem::Update { old: (_, old), new: (_, new) } = item else { return None };
        relation(old, new, &mut out);
    }
    for item in before.schemas.diff(&after.schemas) {
        let DiffItem::Update { old: (_, old), new: (_, new) } = item else { return None };
        rights(&old.grants, &new.grants, &format!("SCHEMA {}", ident(&old.name)), "", &mut out);
    }
    for item in before.functions.diff(&after.functions) {
        let DiffItem::Update { old: (_, old), new: (_, new) } = item else { return None };
        let what = format!("ROUTINE {}", routine_sql(old));
        rights(&old.grants, &new.grants, &what, "", &mut out);
    }
    for item in before.types.diff(&after.types) {
        let DiffItem::Update { old: (_, old), new: (_, new) } = item else { return None };
        rights(&old.grants, &new.grants, &format!("TYPE {}", qualified(&old.schema, &old.name)), "", &mut out);
    }
    Some(out)
}

fn relation(old: &Relation, new: &Relation, out: &mut Vec<String>) {
    let kind = if old.kind == RelKind::Sequence { "SEQUENCE" } else { "TABLE" };
    let on = format!("{kind} {}", qualified(&old.schema, &old.name));
    rights(&old.grants, &new.grants, &on, "", out);
    for c in &old.columns {
        if let Some(n) = new.columns.iter().find(|n| n.attnum == c.attnum) {
            rights(&c.grants, &n.grants, &on, &format!(" ({})", ident(&c.name)), out);
        }
    }
}

/// Who may do what, and whether it may be passed on.
fn held(grants: &[Acl]) -> BTreeMap<(&str, &str), bool> {
    let each = grants.iter().flat_map(|a| a.privileges.iter().map(|p| ((a.grantee.as_str(), p.as_str()), a.grant_option)));
    let mut out = BTreeMap::new();
    each.for_each(|(k, option)| *out.entry(k).or_insert(false) |= option);
    out
}

fn rights(old: &[Acl], new: &[Acl], on: &str, columns: &str, out: &mut Vec<String>) {
    let (old, new) = (held(old), held(new));
    for (key, option) in &new {
        let (who, what) = (grantee_sql(key.0), key.1);
        match old.get(key) {
            None => out.push(format!("REVOKE {what}{columns} ON {on} FROM {who}")),
            Some(false) if *option => out.push(format!("REVOKE GRANT OPTION FOR {what}{columns} ON {on} FROM {who}")),
            _ => {}
        }
    }
    for (key, option) in &old {
        if new.get(key).is_none_or(|now| *option && !now) {
            let option = if *option { " WITH GRANT OPTION" } else { "" };
            out.push(format!("GRANT {}{columns} ON {on} TO {}{option}", key.1, grantee_sql(key.0)));
        }
    }
}
