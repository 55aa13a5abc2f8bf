//! GRANT, REVOKE and ALTER DEFAULT PRIVILEGES.

use crate::op::{Grant, GrantOn, ObjectKind, ObjectRef};

use super::apply::{Applied, Res};
use super::names::clip;
use super::{Acl, Catalog, DefaultAcl, Id, RelKind};

impl Catalog {
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
            GrantOn::Future(kind) => self.default_privileges(g, *kind),
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
                    self.edit_function(id, |f| change(&mut f.grants, g, Function));
                }
            }
            Type | Domain => match self.type_id(&o.name) {
                Some(id) => self.edit_type(id, |t| change(&mut t.grants, g, Type)),
                None if self.complete && !super::resolve::is_builtin_type(o.name.as_str()) => return Err(self.no_object(o)),
                None => {}
            },
            Schema => {
                let name = self.need_schema(o.name.as_str())?;
                if let Some(s) = self.schemas.get(&name).cloned() {
                    let mut s = super::Schema::clone(&s);
                    change(&mut s.grants, g, Schema);
                    self.schemas.insert(name, s.into());
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn grant_relation(&mut self, g: &Grant, id: Id, kind: ObjectKind) {
        self.edit(id, |r| {
            let (whole, columns): (Vec<_>, Vec<_>) = g.privileges.iter().cloned().partition(|(_, c)| c.is_empty());
            if !whole.is_empty() {
                change(&mut r.grants, &Grant { privileges: whole, ..g.clone() }, kind);
            }
            for (privilege, names) in columns {
                for n in names {
                    if let Some(c) = r.column_mut(&clip(n.as_str())) {
                        change(
                            &mut c.grants,
                            &Grant { privileges: vec![(privilege.clone(), Vec::new())], ..g.clone() },
                            ObjectKind::Column,
                        );
                    }
                }
            }
        });
    }

    fn grant_all_in(&mut self, g: &Grant, kind: ObjectKind, schema: &str) {
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
                let ids: Vec<Id> = self.functions.values().filter(|f| f.schema == schema).map(|f| f.id).collect();
                for id in ids {
                    self.edit_function(id, |f| change(&mut f.grants, g, ObjectKind::Function));
                }
            }
        }
    }

    fn default_privileges(&mut self, g: &Grant, kind: ObjectKind) {
        let Some(d) = &g.default_for else { return };
        let schemas: Vec<Option<String>> =
            if d.schemas.is_empty() { vec![None] } else { d.schemas.iter().map(|s| Some(clip(s.as_str()))).collect() };
        let roles: Vec<Option<String>> = if d.roles.is_empty() { vec![None] } else { d.roles.iter().cloned().map(Some).collect() };
        for schema in &schemas {
            for role in &roles {
                let here = |d: &DefaultAcl| d.schema == *schema && d.role == *role && d.kind == kind;
                let mut acls: Vec<Acl> = self.default_acls.iter().filter(|d| here(d)).map(|d| d.acl.clone()).collect();
                change(&mut acls, g, kind);
                self.default_acls.retain(|d| !here(d));
                self.default_acls.extend(acls.into_iter().map(|acl| DefaultAcl { schema: schema.clone(), role: role.clone(), kind, acl }));
            }
        }
    }

    /// What ALTER DEFAULT PRIVILEGES gives to a relation that was just made.
    pub(super) fn default_grants(&mut self, id: Id, kind: ObjectKind) {
        if self.default_acls.is_empty() {
            return;
        }
        let Some(rel) = self.relation(id) else { return };
        let maker = self.current_role();
        let grants: Vec<Acl> = self
            .default_acls
            .iter()
            .filter(|d| {
                let same_kind =
                    d.kind == kind || kind == ObjectKind::Table && matches!(d.kind, ObjectKind::View | ObjectKind::ForeignTable);
                same_kind && d.schema.as_ref().is_none_or(|s| *s == rel.schema) && (d.role.is_none() || d.role == maker)
            })
            .map(|d| d.acl.clone())
            .collect();
        self.edit(id, |r| {
            for acl in grants {
                add(&mut r.grants, acl);
            }
        });
    }
}

fn all(kind: ObjectKind) -> &'static [&'static str] {
    match kind {
        ObjectKind::Sequence => &["SELECT", "UPDATE", "USAGE"],
        ObjectKind::Function => &["EXECUTE"],
        ObjectKind::Schema => &["CREATE", "USAGE"],
        ObjectKind::Type => &["USAGE"],
        ObjectKind::Column => &["INSERT", "REFERENCES", "SELECT", "UPDATE"],
        _ => &["DELETE", "INSERT", "REFERENCES", "SELECT", "TRIGGER", "TRUNCATE", "UPDATE"],
    }
}

fn change(grants: &mut Vec<Acl>, g: &Grant, kind: ObjectKind) {
    let mut privileges: Vec<String> = Vec::new();
    for (p, _) in &g.privileges {
        match p.as_str() {
            "ALL" | "ALL PRIVILEGES" => privileges.extend(all(kind).iter().map(ToString::to_string)),
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
