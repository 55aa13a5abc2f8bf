//! What the schema's SQL says once every object is there: column settings, privileges, comments.

use std::fmt::Write;

use crate::op::{ObjectKind, PgVersion, ReplicaIdentity};
use crate::quote::{ident, literal, qualified};

use super::{Acl, Catalog, Function, RelKind, Relation, TypeKind};

impl Catalog {
    /// Storage, compression and statistics of columns, replica identity, clustering.
    pub(super) fn write_settings(&self, out: &mut String, r: &Relation, name: &str) {
        if r.kind == RelKind::Composite || r.kind == RelKind::View {
            return;
        }
        for c in &r.columns {
            let column = format!("ALTER TABLE ONLY {name} ALTER COLUMN {}", ident(&c.name));
            let word = |w: &str| w.chars().all(|c| c.is_alphanumeric() || c == '_');
            if let Some(s) = c.storage.as_ref().filter(|s| word(s)) {
                let _ = writeln!(out, "{column} SET STORAGE {s};");
            }
            if let Some(s) = c.compression.as_ref().filter(|s| word(s)) {
                let _ = writeln!(out, "{column} SET COMPRESSION {s};");
            }
            if let Some(n) = c.statistics.as_ref().and_then(|s| s.trim().parse::<i32>().ok()) {
                let _ = writeln!(out, "{column} SET STATISTICS {n};");
            }
        }
        if let Some(i) = r.replica_identity.as_ref().filter(|i| **i != ReplicaIdentity::Default) {
            let _ = writeln!(out, "ALTER TABLE ONLY {name} REPLICA IDENTITY {};", identity_sql(i));
        }
        if let Some(index) = r.clustered_on.and_then(|i| self.relation(i)) {
            let _ = writeln!(out, "ALTER TABLE {name} CLUSTER ON {};", ident(&index.name));
        }
    }

    pub(super) fn write_privileges(&self, out: &mut String) {
        for s in self.schemas.values() {
            let start: &[&str] = match s.name.as_str() {
                "public" if self.pg >= PgVersion(15) => &["USAGE"],
                "public" => &["CREATE", "USAGE"],
                _ => &[],
            };
            acl(out, &format!("SCHEMA {}", ident(&s.name)), start, &s.grants, s.owner.as_deref(), "");
        }
        for t in self.types.values().filter(|t| !self.is_extension_type(t.id)) {
            acl(out, &format!("TYPE {}", qualified(&t.schema, &t.name)), &["USAGE"], &t.grants, t.owner.as_deref(), "");
        }
        for f in self.functions.values() {
            acl(out, &signature(f), &["EXECUTE"], &f.grants, f.owner.as_deref(), "");
        }
        for r in self.relations.values().filter(|r| !r.kind.is_index()) {
            let name = qualified(&r.schema, &r.name);
            let owner = r.owner.as_deref();
            match r.kind {
                RelKind::Composite => acl(out, &format!("TYPE {name}"), &["USAGE"], &r.grants, owner, ""),
                RelKind::Sequence => acl(out, &format!("SEQUENCE {name}"), &[], &r.grants, owner, ""),
                _ => acl(out, &format!("TABLE {name}"), &[], &r.grants, owner, ""),
            }
            for c in &r.columns {
                acl(out, &format!("TABLE {name}"), &[], &c.grants, owner, &format!(" ({})", ident(&c.name)));
            }
        }
    }

    /// ALTER DEFAULT PRIVILEGES, after everything is there, so that it changes nothing of it.
    pub(super) fn write_default_privileges(&self, out: &mut String) {
        for d in &self.default_acls {
            let role = d.role.as_ref().map(|r| format!(" FOR ROLE {}", ident(r))).unwrap_or_default();
            let schema = d.schema.as_ref().map(|s| format!(" IN SCHEMA {}", ident(s))).unwrap_or_default();
            let (objects, start): (_, &[&str]) = match d.kind {
                ObjectKind::Sequence => ("SEQUENCES", &[]),
                ObjectKind::Function => ("FUNCTIONS", &["EXECUTE"]),
                ObjectKind::Type => ("TYPES", &["USAGE"]),
                ObjectKind::Schema => ("SCHEMAS", &[]),
                _ => ("TABLES", &[]),
            };
            let head = format!("ALTER DEFAULT PRIVILEGES{role}{schema}");
            let everybody = self.default_acls.iter().any(|o| {
                (&o.role, &o.schema, o.kind) == (&d.role, &d.schema, d.kind) && o.acl.grantee == "public" && !o.acl.privileges.is_empty()
            });
            if d.schema.is_none() && !everybody && !start.is_empty() {
                let _ = writeln!(out, "{head} REVOKE {} ON {objects} FROM PUBLIC;", start.join(", "));
            }
            if !d.acl.privileges.is_empty() {
                let to = if d.acl.grantee == "public" { "PUBLIC".to_string() } else { ident(&d.acl.grantee) };
                let option = if d.acl.grant_option { " WITH GRANT OPTION" } else { "" };
                let _ = writeln!(out, "{head} GRANT {} ON {objects} TO {to}{option};", d.acl.privileges.join(", "));
            }
        }
    }

    pub(super) fn write_comments(&self, out: &mut String) {
        let mut say = |what: String, comment: &Option<String>| {
            if let Some(text) = comment {
                let _ = writeln!(out, "COMMENT ON {what} IS {};", literal(text));
            }
        };
        for s in self.schemas.values() {
            let built_in = s.name == "public" && s.comment.as_deref() == Some("standard public schema");
            if !built_in {
                say(format!("SCHEMA {}", ident(&s.name)), &s.comment);
            }
        }
        for t in self.types.values() {
            let name = qualified(&t.schema, &t.name);
            say(format!("TYPE {name}"), &t.comment);
            if let TypeKind::Domain { checks, .. } = &t.kind {
                for c in checks {
                    say(format!("CONSTRAINT {} ON DOMAIN {name}", ident(&c.name)), &c.comment);
                }
            }
        }
        for f in self.functions.values() {
            say(signature(f), &f.comment);
        }
        for r in self.relations.values() {
            let name = qualified(&r.schema, &r.name);
            let kind = match r.kind {
                RelKind::Table | RelKind::PartitionedTable => "TABLE",
                RelKind::Index | RelKind::PartitionedIndex => "INDEX",
                RelKind::View => "VIEW",
                RelKind::MaterializedView => "MATERIALIZED VIEW",
                RelKind::Sequence => "SEQUENCE",
                RelKind::Composite => "TYPE",
                RelKind::ForeignTable => "FOREIGN TABLE",
            };
            say(format!("{kind} {name}"), &r.comment);
            for c in &r.columns {
                say(format!("COLUMN {name}.{}", ident(&c.name)), &c.comment);
            }
            for c in &r.constraints {
                say(format!("CONSTRAINT {} ON {name}", ident(&c.name)), &c.comment);
            }
            for t in &r.triggers {
                say(format!("TRIGGER {} ON {name}", ident(&t.name)), &t.comment);
            }
            for p in &r.policies {
                say(format!("POLICY {} ON {name}", ident(&p.name)), &p.comment);
            }
        }
    }
}

/// What stands behind REPLICA IDENTITY.
pub fn identity_sql(identity: &ReplicaIdentity) -> String {
    match identity {
        ReplicaIdentity::Default => "DEFAULT".to_string(),
        ReplicaIdentity::Full => "FULL".to_string(),
        ReplicaIdentity::Nothing => "NOTHING".to_string(),
        ReplicaIdentity::Index(index) => format!("USING INDEX {}", ident(index.as_str())),
    }
}

/// `FUNCTION "s"."f"(integer)`.
fn signature(f: &Function) -> String {
    let kind = match f.kind {
        ObjectKind::Procedure => "PROCEDURE",
        ObjectKind::Aggregate => "AGGREGATE",
        _ => "FUNCTION",
    };
    format!("{kind} {}", routine_sql(f))
}

/// `"s"."f"(integer)`.
pub fn routine_sql(f: &Function) -> String {
    let args: Vec<String> = f.arg_types.iter().map(|a| type_text(a)).collect();
    format!("{}({})", qualified(&f.schema, &f.name), args.join(", "))
}

/// A type by its canonical name: the user's own are `schema.name`, and need quotes.
fn type_text(ty: &str) -> String {
    let (name, array) = ty.strip_suffix("[]").map_or((ty, ""), |n| (n, "[]"));
    match name.split_once('.') {
        Some((s, n)) => format!("{}{array}", qualified(s, n)),
        None => ty.to_string(),
    }
}

/// Who is granted something, in SQL.
pub fn grantee_sql(name: &str) -> String {
    match name {
        "public" => "PUBLIC".to_string(),
        "current_user" | "session_user" | "current_role" => name.to_ascii_uppercase(),
        name => ident(name),
    }
}

/// From what everybody has at first (`start`) to what is kept. `columns`: the list behind each privilege.
fn acl(out: &mut String, object: &str, start: &[&str], grants: &[Acl], owner: Option<&str>, columns: &str) {
    let everybody: Vec<&String> = grants.iter().filter(|a| a.grantee == "public").flat_map(|a| &a.privileges).collect();
    let gone: Vec<&str> = start.iter().copied().filter(|p| !everybody.iter().any(|e| e == p)).collect();
    if !gone.is_empty() {
        let _ = writeln!(out, "REVOKE {} ON {object} FROM PUBLIC;", gone.join(", "));
    }
    for a in grants {
        let public = a.grantee == "public";
        let fresh: Vec<String> =
            a.privileges.iter().filter(|p| !(public && start.contains(&p.as_str()))).map(|p| format!("{p}{columns}")).collect();
        if fresh.is_empty() || owner == Some(a.grantee.as_str()) {
            continue;
        }
        let to = grantee_sql(&a.grantee);
        let option = if a.grant_option { " WITH GRANT OPTION" } else { "" };
        let _ = writeln!(out, "GRANT {} ON {object} TO {to}{option};", fresh.join(", "));
    }
}
