//! GRANT, REVOKE and ALTER DEFAULT PRIVILEGES.

use crate::op::{Grant, GrantOn, ObjectKind, ObjectRef, PgVersion};

use super::apply::{Applied, Res};
use super::names::clip;
use super::{Acl, Catalog, DefaultAcl, Id, RelKind};

impl Catalog {
    /// A GRANT under a condition, to a role that nothing made: the condition asks whether the role is there, and it is not.
    pub(super) fn grant_if(&mut self, g: &Grant, conditional: bool) -> Res<Applied> {
        if !conditional {
            return self.grant(g);
        }
        let known = |n: &String| {
            let everybody = ["public", "current_user", "session_user", "current_role"].iter().any(|w| n.eq_ignore_ascii_case(w));
            everybody || self.objects.contains_key(&(ObjectKind::Role, String::new(), n.clone()))
        };
        let grantees: Vec<String> = g.grantees.iter().filter(|n| known(n)).cloned().collect();
        if grantees.is_empty() {
            return Ok(Applied::skipped());
        }
        self.grant(&Grant { grantees, ..g.clone() })
    }

    pub(super) fn grant(&mut self, g: &Grant) -> Res<Applied> {
        match &g.on {
            GrantOn::Roles => self.grant_roles(g),
            GrantOn::Objects(objects) => {
                for o in objects {
                    self.grant_on(g, o)?;
                }
            }
            GrantOn::AllIn { kind, schemas } => {
                for s in schemas {
                    let schema = self.need_schema(s.as_str())?;
                    self.grant_all_in(g, *kind, &schema);
                }
            }
            GrantOn::Future(kind) => self.default_privileges(g, *kind)?,
        }
        Ok(Applied::default())
    }

    /// Membership is kept with the role that is let in: `columns` of its object name the roles that it belongs to.
    fn grant_roles(&mut self, g: &Grant) {
        for member in &g.grantees {
            let key = (ObjectKind::Role, String::new(), member.clone());
            let Some(role) = self.objects.get(&key).cloned() else { continue };
            let mut role = super::Object::clone(&role);
            for (group, _) in &g.privileges {
                // Words of privileges are upper case; a role's name is looked up as it is and folded.
                let known = |n: &str| self.objects.contains_key(&(ObjectKind::Role, String::new(), n.to_string()));
                let group = if known(group) { group.clone() } else { group.to_lowercase() };
                role.columns.retain(|c| *c != group);
                if !g.revoke {
                    role.columns.push(group);
                }
            }
            self.objects.insert(key, role.into());
        }
    }

    fn grant_on(&mut self, g: &Grant, o: &ObjectRef) -> Res<()> {
        let pg = self.pg;
        use ObjectKind::*;
        match o.kind {
            Table | View | MaterializedView | Sequence | ForeignTable => {
                let id = self.need_relation(&o.name)?;
                let kind = self.relation(id).map_or(o.kind, |r| if r.kind == RelKind::Sequence { Sequence } else { Table });
                for c in g.privileges.iter().flat_map(|(_, columns)| columns) {
                    self.need_column(id, c)?;
                }
                self.grant_relation(g, id, kind);
            }
            Function | Procedure | Routine | Aggregate => {
                if let Some(id) = self.find_function(o)? {
                    self.edit_function(id, |f| change(&mut f.grants, g, Function, pg));
                }
            }
            Type | Domain => match self.type_id(&o.name) {
                Some(id) if self.types.contains_key(&id) => self.edit_type(id, |t| change(&mut t.grants, g, Type, pg)),
                Some(id) => self.edit(id, |r| change(&mut r.grants, g, Type, pg)),
                None if self.complete && !super::resolve::is_builtin_type(o.name.as_str()) => return Err(self.no_object(o)),
                None => {}
            },
            Schema => {
                let name = self.need_schema(o.name.as_str())?;
                if let Some(s) = self.schemas.get(&name).cloned() {
                    let mut s = super::Schema::clone(&s);
                    change(&mut s.grants, g, Schema, pg);
                    self.schemas.insert(name, s.into());
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn grant_relation(&mut self, g: &Grant, id: Id, kind: ObjectKind) {
        let pg = self.pg;
        self.edit(id, |r| {
            let (whole, columns): (Vec<_>, Vec<_>) = g.privileges.iter().cloned().partition(|(_, c)| c.is_empty());
            if !whole.is_empty() {
                let whole = Grant { privileges: whole, ..g.clone() };
                change(&mut r.grants, &whole, kind, pg);
                // What is taken away of the whole is taken away of every column.
                for c in r.columns.iter_mut().filter(|c| g.revoke && !c.grants.is_empty()) {
                    change(&mut c.grants, &whole, ObjectKind::Column, pg);
                }
            }
            for (privilege, names) in columns {
                for n in names {
                    if let Some(c) = r.column_mut(&clip(n.as_str())) {
                        change(
                            &mut c.grants,
                            &Grant { privileges: vec![(privilege.clone(), Vec::new())], ..g.clone() },
                            ObjectKind::Column,
                            pg,
                        );
                    }
                }
            }
        });
    }

    fn grant_all_in(&mut self, g: &Grant, kind: ObjectKind, schema: &str) {
        let pg = self.pg;
        match kind {
            ObjectKind::Table | ObjectKind::Sequence => {
                let wanted = |k: RelKind| {
                    if kind == ObjectKind::Sequence {
                        k == RelKind::Sequence
                    } else {
                        k.is_table() || matches!(k, RelKind::View | RelKind::MaterializedView | RelKind::ForeignTable)
                    }
                };
                let ids: Vec<Id> = self.relations.values().filter(|r| r.schema == schema && wanted(r.kind)).map(|r| r.id).collect();
                for id in ids {
                    self.grant_relation(g, id, kind);
                }
            }
            _ => {
                let ids: Vec<Id> = self
                    .functions
                    .values()
                    .filter(|f| {
                        f.schema == schema
                            && match kind {
                                ObjectKind::Procedure => f.kind == ObjectKind::Procedure,
                                ObjectKind::Function => f.kind != ObjectKind::Procedure,
                                _ => true,
                            }
                    })
                    .map(|f| f.id)
                    .collect();
                for id in ids {
                    self.edit_function(id, |f| change(&mut f.grants, g, ObjectKind::Function, pg));
                }
            }
        }
    }

    fn default_privileges(&mut self, g: &Grant, kind: ObjectKind) -> Res<()> {
        let Some(d) = &g.default_for else { return Ok(()) };
        let (kind, pg) = (broad(kind), self.pg);
        let mut schemas = Vec::new();
        for s in &d.schemas {
            schemas.push(Some(self.need_schema(s.as_str())?));
        }
        if schemas.is_empty() {
            schemas.push(None);
        }
        let roles: Vec<Option<String>> =
            if d.roles.is_empty() { vec![self.current_role()] } else { d.roles.iter().cloned().map(Some).collect() };
        for schema in &schemas {
            for role in &roles {
                let here = |d: &DefaultAcl| d.schema == *schema && d.role == *role && d.kind == kind;
                let mut acls: Vec<Acl> = self.default_acls.iter().filter(|d| here(d)).map(|d| d.acl.clone()).collect();
                // What is said for all schemas takes the place of the built-in default; what is said for one adds to it.
                if acls.is_empty() && schema.is_none() {
                    acls = built_in(kind);
                }
                change(&mut acls, g, kind, pg);
                if acls.is_empty() && schema.is_none() && !built_in(kind).is_empty() {
                    acls.push(Acl { grantee: String::new(), privileges: Vec::new(), grant_option: false });
                }
                self.default_acls.retain(|d| !here(d));
                self.default_acls.extend(acls.into_iter().map(|acl| DefaultAcl { schema: schema.clone(), role: role.clone(), kind, acl }));
            }
        }
        Ok(())
    }

    /// What a new object is granted: the built-in default, and what ALTER DEFAULT PRIVILEGES says.
    pub(super) fn initial_grants(&self, kind: ObjectKind, schema: &str) -> Vec<Acl> {
        let kind = broad(kind);
        let maker = self.current_role();
        let mine: Vec<&DefaultAcl> = self.default_acls.iter().filter(|d| d.kind == kind && d.role == maker).collect();
        let mut out: Vec<Acl> = if mine.iter().any(|d| d.schema.is_none()) { Vec::new() } else { built_in(kind) };
        let fits = |d: &DefaultAcl| d.schema.as_ref().is_none_or(|s| s == schema) && !d.acl.privileges.is_empty();
        for d in mine.into_iter().filter(|d| fits(d)) {
            add(&mut out, d.acl.clone());
        }
        out
    }

    /// The same for a relation that was just made.
    pub(super) fn default_grants(&mut self, id: Id, kind: ObjectKind) {
        if self.default_acls.is_empty() {
            return;
        }
        let Some(rel) = self.relation(id) else { return };
        let grants = self.initial_grants(kind, &rel.schema);
        self.edit(id, |r| {
            for acl in grants {
                add(&mut r.grants, acl);
            }
        });
    }
}

/// Kinds that share their default privileges.
fn broad(kind: ObjectKind) -> ObjectKind {
    match kind {
        ObjectKind::Procedure | ObjectKind::Routine | ObjectKind::Aggregate => ObjectKind::Function,
        ObjectKind::View | ObjectKind::MaterializedView | ObjectKind::ForeignTable => ObjectKind::Table,
        ObjectKind::Domain => ObjectKind::Type,
        other => other,
    }
}

fn built_in(kind: ObjectKind) -> Vec<Acl> {
    match kind {
        ObjectKind::Function => Acl::everybody("EXECUTE"),
        ObjectKind::Type => Acl::everybody("USAGE"),
        _ => Vec::new(),
    }
}

fn all(kind: ObjectKind, pg: PgVersion) -> &'static [&'static str] {
    match kind {
        ObjectKind::Sequence => &["SELECT", "UPDATE", "USAGE"],
        ObjectKind::Function => &["EXECUTE"],
        ObjectKind::Schema => &["CREATE", "USAGE"],
        ObjectKind::Type => &["USAGE"],
        ObjectKind::Column => &["INSERT", "REFERENCES", "SELECT", "UPDATE"],
        _ if pg >= PgVersion(17) => &["DELETE", "INSERT", "MAINTAIN", "REFERENCES", "SELECT", "TRIGGER", "TRUNCATE", "UPDATE"],
        _ => &["DELETE", "INSERT", "REFERENCES", "SELECT", "TRIGGER", "TRUNCATE", "UPDATE"],
    }
}

fn change(grants: &mut Vec<Acl>, g: &Grant, kind: ObjectKind, pg: PgVersion) {
    let mut privileges: Vec<String> = Vec::new();
    for (p, _) in &g.privileges {
        match p.as_str() {
            "ALL" | "ALL PRIVILEGES" => privileges.extend(all(kind, pg).iter().map(ToString::to_string)),
            _ => privileges.push(p.clone()),
        }
    }
    privileges.sort();
    privileges.dedup();
    for grantee in &g.grantees {
        let grantee = if grantee.eq_ignore_ascii_case("public") { "public".to_string() } else { grantee.clone() };
        if !g.revoke {
            add(grants, Acl { grantee, privileges: privileges.clone(), grant_option: g.grant_option });
            continue;
        }
        for acl in grants.iter_mut().filter(|a| a.grantee == grantee) {
            if g.grant_option {
                // REVOKE GRANT OPTION FOR leaves the privilege.
                acl.grant_option = false;
            } else {
                acl.privileges.retain(|p| !privileges.contains(p));
            }
        }
        grants.retain(|a| !a.privileges.is_empty());
    }
}

fn add(grants: &mut Vec<Acl>, new: Acl) {
    match grants.iter_mut().find(|a| a.grantee == new.grantee && a.grant_option == new.grant_option) {
        Some(a) => {
            a.privileges.extend(new.privileges);
            a.privileges.sort();
            a.privileges.dedup();
        }
        None => grants.push(new),
    }
}
