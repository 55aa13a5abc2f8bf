//! Who may do what: grants, row security, owners, roles, extensions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use crate::catalog::{Acl, Catalog, RelKind, Relation};
use crate::op::{AlterAction, CreatePolicy, Expr, ExprKind, Grant, GrantOn, ObjectKind, OpKind, QName};

use super::here::Here;
use super::{Facts, Value};

pub(super) fn add(f: &mut Facts, h: &Here<'_>) {
    match &h.op.kind {
        OpKind::Grant(g) => grant(f, h, g),
        OpKind::CreateTable(t) => {
            new_relation(f, h, &t.name);
            let after = h.script.after.relation_by(&t.name);
            f.flag("table.row_security", after.is_some_and(|r| r.row_security));
            f.flag("table.partition", t.partition_of.is_some());
            f.flag("table.temporary", t.persistence == crate::op::Persistence::Temporary);
        }
        OpKind::CreateView(v) => new_relation(f, h, &v.name),
        OpKind::CreatePolicy(p) => policy(f, h, p),
        OpKind::AlterPolicy { name, table, using, with_check, roles } => {
            f.text("object", name.as_str());
            let old = h.relation(table).and_then(|r| r.policies.iter().find(|p| p.name == name.as_str()));
            f.text("policy.command", old.map_or("ALL", |p| p.command.as_str()));
            f.flag("policy.permissive", old.is_none_or(|p| p.permissive));
            let kept = old.map_or(&[][..], |p| &p.roles);
            speaks_to(f, if roles.is_empty() { kept } else { roles });
            let yes = |e: &Option<Expr>| e.as_ref().is_some_and(is_true);
            f.flag("policy.always_true", yes(using) || yes(with_check));
        }
        OpKind::Alter { target, action } => match action {
            AlterAction::EnableRowSecurity | AlterAction::ForceRowSecurity => enable(f, h, &target.name),
            AlterAction::Owner { to } => owner(f, h, &target.name, to),
            _ => {}
        },
        OpKind::CreateObject { object, detail, .. } | OpKind::AlterObject { object, detail } => {
            f.text("object", object.name.to_string());
            f.text("object.kind", object.kind.to_string().replace('-', " "));
            f.text("detail", detail.split_whitespace().collect::<Vec<_>>().join(" "));
            f.flag("password", object.kind == ObjectKind::Role && has_password(detail));
        }
        OpKind::NoTransaction { detail } => f.text("detail", detail.split_whitespace().collect::<Vec<_>>().join(" ")),
        OpKind::SetRole { role, .. } => f.text("object", role.clone().unwrap_or_else(|| "the role of the login".into())),
        OpKind::CreateExtension { name, schema, version, .. } => {
            f.text("object", name.as_str());
            // Without SCHEMA it goes where new objects go.
            let path = h.r.before.effective_path().next().unwrap_or("public").to_string();
            f.text("extension.schema", schema.as_ref().map_or(path, |s| s.value.clone()));
            f.flag("extension.pinned", version.is_some());
        }
        _ => {}
    }
}

fn has_password(detail: &str) -> bool {
    static LITERAL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?i)\bpassword\s+e?'(.*)'").expect("a valid pattern"));
    // A verifier that was computed elsewhere is not the password.
    LITERAL.captures(detail).is_some_and(|c| !c[1].starts_with("SCRAM-SHA-256$"))
}

fn grant(f: &mut Facts, h: &Here<'_>, g: &Grant) {
    f.set("grant.privileges", Value::List(g.privileges.iter().map(|(p, _)| p.clone()).collect()));
    f.set("grant.to", Value::List(g.grantees.clone()));
    f.flag("grant.public", g.grantees.iter().any(|r| r.eq_ignore_ascii_case("public")));
    f.flag("grant.all", !matches!(g.on, GrantOn::Roles) && g.privileges.iter().any(|(p, _)| p.starts_with("ALL")));
    f.flag("grant.option", g.grant_option && !g.revoke);
    f.flag("grant.roles", matches!(g.on, GrantOn::Roles));
    match &g.on {
        GrantOn::Objects(objects) => {
            f.text("object", objects.iter().map(|o| o.name.to_string()).collect::<Vec<_>>().join(", "));
            let Some(o) = objects.first() else { return };
            f.text("object.kind", o.kind.to_string().replace('-', " "));
            if let Some(rel) =
                h.r.before.relation_by(&o.name).filter(|_| matches!(o.kind, ObjectKind::Table | ObjectKind::View | ObjectKind::Sequence))
            {
                f.text("table", rel.name.clone());
                f.flag("object.existed", h.script.before.relation(rel.id).is_some());
            } else {
                f.flag("object.existed", !made_here(h, o.kind, &o.name));
            }
        }
        GrantOn::AllIn { kind, schemas } => {
            f.text(
                "object",
                format!("all {kind}s in {}", schemas.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(", ")).to_lowercase(),
            );
            f.text("object.kind", kind.to_string());
            f.flag("object.existed", true);
        }
        GrantOn::Future(kind) => {
            f.text("object", format!("{kind}s made later").to_lowercase());
            f.text("object.kind", kind.to_string());
        }
        GrantOn::Roles => f.text("object", g.privileges.iter().map(|(p, _)| p.to_lowercase()).collect::<Vec<_>>().join(", ")),
    }
}

fn made_here(h: &Here<'_>, kind: ObjectKind, name: &QName) -> bool {
    match kind {
        ObjectKind::Schema => !h.script.before.schemas.contains_key(name.as_str()) && h.r.before.schemas.contains_key(name.as_str()),
        ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Routine => {
            let found = h.r.before.functions_named(name);
            !found.is_empty() && found.iter().all(|id| !h.script.before.functions.contains_key(id))
        }
        _ => false,
    }
}

/// What a new table or view lacks: the grants of the one that it replaces, or those that most of its siblings have.
fn new_relation(f: &mut Facts, h: &Here<'_>, name: &QName) {
    if !h.look.grants {
        return;
    }
    let Some(new) = h.r.after.relation_by(name).filter(|r| h.script.before.relation(r.id).is_none()) else { return };
    let Some(end) = h.script.after.relation(new.id) else { return };
    // A partition is reached through its parent.
    if end.persistence == crate::op::Persistence::Temporary || end.is_partition() {
        return;
    }
    let before = &h.script.before;
    let expected: Vec<(String, Vec<String>)> = match before.relation_named(&end.schema, &end.name) {
        Some(old) => old.grants.iter().map(|a| (a.grantee.clone(), a.privileges.clone())).collect(),
        None => usual_grants(before, end),
    };
    let missing = expected.iter().filter(|(role, wants)| {
        let has = |p: &String| end.grants.iter().any(|a| (a.grantee == *role || a.grantee == "public") && gives(a, p));
        end.owner.as_deref() != Some(role.as_str()) && !wants.iter().any(has)
    });
    let list: Vec<String> = missing.map(|(role, wants)| format!("{role} ({})", wants.join(", "))).collect();
    f.set("grants.missing", Value::List(list));
    if let Some(usual) = usual_owner(before, end).filter(|u| end.owner.as_ref().is_some_and(|o| o != u)) {
        f.text("owner.siblings", usual);
        f.text("owner.new", end.owner.clone().unwrap_or_default());
    }
}

fn gives(acl: &Acl, privilege: &str) -> bool {
    acl.privileges.iter().any(|p| p == privilege || p.starts_with("ALL"))
}

fn same_kind(a: RelKind, b: RelKind) -> bool {
    a == b || a.is_table() && b.is_table()
}

fn siblings<'c>(cat: &'c Catalog, of: &'c Relation) -> impl Iterator<Item = &'c Relation> {
    let kin = move |r: &&Relation| r.schema == of.schema && same_kind(r.kind, of.kind) && r.id != of.id && !r.is_partition() && !r.assumed;
    cat.relations.values().map(|r| &**r).filter(kin)
}

/// Roles that more than half of the tables of the schema, and at least two, are granted to.
fn usual_grants(cat: &Catalog, of: &Relation) -> Vec<(String, Vec<String>)> {
    let mut seen: BTreeMap<&str, (usize, BTreeMap<&str, usize>)> = BTreeMap::new();
    let mut all = 0;
    for r in siblings(cat, of) {
        all += 1;
        let roles: BTreeSet<&str> = r.grants.iter().map(|a| a.grantee.as_str()).collect();
        for role in roles {
            let entry = seen.entry(role).or_default();
            entry.0 += 1;
            for p in r.grants.iter().filter(|a| a.grantee == role).flat_map(|a| &a.privileges) {
                *entry.1.entry(p).or_default() += 1;
            }
        }
    }
    let usual = seen.into_iter().filter(|(_, (n, _))| *n >= 2 && *n * 2 > all);
    usual
        .map(|(role, (n, privileges))| {
            (role.to_string(), privileges.into_iter().filter(|(_, k)| *k * 2 > n).map(|(p, _)| p.to_string()).collect())
        })
        .filter(|(_, p): &(String, Vec<String>)| !p.is_empty())
        .collect()
}

fn usual_owner(cat: &Catalog, of: &Relation) -> Option<String> {
    let mut owners: BTreeMap<&str, usize> = BTreeMap::new();
    let mut all = 0;
    for r in siblings(cat, of) {
        all += 1;
        if let Some(o) = &r.owner {
            *owners.entry(o).or_default() += 1;
        }
    }
    owners.into_iter().find(|(_, n)| *n >= 2 && *n * 2 > all).map(|(o, _)| o.to_string())
}

fn owner(f: &mut Facts, h: &Here<'_>, name: &QName, to: &str) {
    f.text("owner.new", to);
    let Some(rel) = h.relation(name) else { return };
    if let Some(usual) = usual_owner(&h.script.before, rel).filter(|u| u != to) {
        f.text("owner.siblings", usual);
    }
}

fn is_true(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Bool(b) => *b,
        ExprKind::Other(items) if items.len() == 1 => is_true(&items[0]),
        ExprKind::Binary { op, left, right } if op == "=" => {
            matches!((&left.kind, &right.kind), (ExprKind::Number(a), ExprKind::Number(b)) if a == b)
        }
        _ => false,
    }
}

fn policy(f: &mut Facts, h: &Here<'_>, p: &CreatePolicy) {
    f.text("object", p.name.as_str());
    f.text("policy.command", p.command.clone());
    f.flag("policy.permissive", p.permissive);
    speaks_to(f, &p.roles);
    let yes = |e: &Option<Expr>| e.as_ref().is_some_and(is_true);
    f.flag("policy.always_true", yes(&p.using) || yes(&p.with_check));
    let end = h.relation(&p.table).and_then(|r| h.script.after.relation(r.id));
    f.flag("table.row_security", end.is_none_or(|r| r.row_security || r.assumed));
}

fn speaks_to(f: &mut Facts, roles: &[String]) {
    let roles = if roles.is_empty() { vec!["public".to_string()] } else { roles.iter().map(|r| r.to_lowercase()).collect() };
    f.set("policy.roles", Value::List(roles));
}

fn enable(f: &mut Facts, h: &Here<'_>, table: &QName) {
    let Some(rel) = h.relation(table) else { return };
    f.flag("row_security.was", h.script.before.relation(rel.id).is_some_and(|r| r.row_security));
    let end = h.commit().relation(rel.id).unwrap_or(rel);
    let permissive: Vec<_> = end.policies.iter().filter(|p| p.permissive).collect();
    f.set("policy.count", Value::Number(permissive.len() as i64));
    let last = h.script.after.relation(rel.id).unwrap_or(rel);
    f.set("policy.count_at_end", Value::Number(last.policies.iter().filter(|p| p.permissive).count() as i64));
    // Roles that may use the table and that no policy speaks to.
    let mut roles: Vec<String> = end.grants.iter().map(|a| a.grantee.clone()).filter(|g| end.owner.as_ref() != Some(g)).collect();
    roles.sort();
    roles.dedup();
    roles.retain(|role| {
        !permissive.iter().any(|p| p.roles.is_empty() || p.roles.iter().any(|r| r.eq_ignore_ascii_case("public") || r == role))
    });
    f.set("policy.missing", Value::List(roles));
    let setting = |e: &Option<Expr>| {
        let mut found = false;
        if let Some(e) = e {
            e.walk(&mut |e| found |= matches!(&e.kind, ExprKind::Call(c) if c.name.as_str() == "current_setting"));
        }
        found
    };
    f.flag("policy.setting", !permissive.is_empty() && permissive.iter().all(|p| setting(&p.using)));
}
