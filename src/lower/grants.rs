//! GRANT, REVOKE, ALTER DEFAULT PRIVILEGES.

use crate::op::{DefaultPrivileges, Grant, GrantOn, ObjectKind, Op, OpKind};
use crate::sql::cursor::{Cursor, Read};

use super::objects::{kind_words, object, roles};
use super::op;

pub fn grant(c: &mut Cursor<'_>) -> Read<Vec<Op>> {
    let start = c.pos();
    let g = read(c, None)?;
    Ok(vec![op(c, start, OpKind::Grant(Box::new(g)))])
}

/// Behind ALTER DEFAULT PRIVILEGES.
pub fn default_privileges(c: &mut Cursor<'_>, start: usize) -> Read<Vec<Op>> {
    let mut d = DefaultPrivileges { schemas: Vec::new(), roles: Vec::new() };
    loop {
        if c.eat("FOR ROLE") || c.eat("FOR USER") {
            d.roles = roles(c)?;
        } else if c.eat("IN SCHEMA") {
            d.schemas = c.list(Cursor::name)?;
        } else {
            break;
        }
    }
    let g = read(c, Some(d))?;
    Ok(vec![op(c, start, OpKind::Grant(Box::new(g)))])
}

fn read(c: &mut Cursor<'_>, default_for: Option<DefaultPrivileges>) -> Read<Grant> {
    let revoke = c.eat("REVOKE");
    if !revoke {
        c.expect("GRANT")?;
    }
    let mut g = Grant {
        revoke,
        privileges: Vec::new(),
        on: GrantOn::Roles,
        grantees: Vec::new(),
        grant_option: false,
        cascade: false,
        default_for,
    };
    if revoke {
        g.grant_option = c.eat("GRANT OPTION FOR") || c.eat("ADMIN OPTION FOR") || c.eat("INHERIT OPTION FOR") || c.eat("SET OPTION FOR");
    }
    g.privileges = c.list(|c| {
        let mut words = c.name()?.value;
        if words == "all" {
            c.eat("PRIVILEGES");
        }
        // ALTER SYSTEM is a privilege of two words.
        if words == "alter" && c.eat("SYSTEM") {
            words = "alter system".into();
        }
        let columns = if c.is_punct(b'(') { c.name_list()? } else { Vec::new() };
        Ok((words, columns))
    })?;
    if c.eat("ON") {
        for p in &mut g.privileges {
            p.0 = p.0.to_ascii_uppercase();
        }
        g.on = on(c, g.default_for.is_some())?;
    }
    if !(c.eat("TO") || c.eat("FROM")) {
        return c.fail("TO or FROM");
    }
    g.grantees = roles(c)?;
    loop {
        if c.eat("WITH GRANT OPTION") || c.eat("WITH ADMIN OPTION") {
            g.grant_option = true;
        } else if c.eat("WITH INHERIT") || c.eat("WITH SET") || c.eat("WITH ADMIN") {
            c.name()?;
            while c.comma() {
                c.name()?;
                c.name()?;
            }
        } else if c.eat("GRANTED BY") {
            super::objects::role(c)?;
        } else {
            break;
        }
    }
    g.cascade = c.cascade();
    Ok(g)
}

fn on(c: &mut Cursor<'_>, default: bool) -> Read<GrantOn> {
    const ALL: &[(&str, ObjectKind)] = &[
        ("TABLES", ObjectKind::Table),
        ("SEQUENCES", ObjectKind::Sequence),
        ("FUNCTIONS", ObjectKind::Function),
        ("PROCEDURES", ObjectKind::Procedure),
        ("ROUTINES", ObjectKind::Routine),
        ("TYPES", ObjectKind::Type),
        ("SCHEMAS", ObjectKind::Schema),
    ];
    if default || c.is("ALL") {
        c.eat("ALL");
        let Some((_, kind)) = ALL.iter().find(|(w, _)| c.eat(w)) else { return c.fail("TABLES, SEQUENCES, FUNCTIONS …") };
        if default {
            return Ok(GrantOn::Future(*kind));
        }
        c.expect("IN SCHEMA")?;
        return Ok(GrantOn::AllIn { kind: *kind, schemas: c.list(Cursor::name)? });
    }
    // A table may be called like a kind of object: what follows tells.
    let mut look = c.clone();
    let kind = match kind_words(&mut look) {
        Some((kind, _)) if (look.is_name() || kind == ObjectKind::LargeObject) && !look.is("TO") && !look.is("FROM") => {
            *c = look;
            kind
        }
        _ if c.eat("FOREIGN SERVER") => ObjectKind::Server,
        _ => ObjectKind::Table,
    };
    Ok(GrantOn::Objects(c.list(|c| object(c, kind))?))
}
