//! CREATE: which reader, and the objects that have few parts.

use crate::op::{CreateTrigger, ObjectKind, ObjectRef, Op, OpKind, QName, SequenceOptions};
use crate::sql::cursor::{Cursor, Read};

use super::expr::{expr, in_parens};
use super::objects::{kind_words, named, object, roles};
use super::{functions, indexes, op, query, rest, tables, type_ddl, types, views};

pub fn create(c: &mut Cursor<'_>) -> Read<Vec<Op>> {
    let start = c.pos();
    c.expect("CREATE")?;
    let or_replace = c.eat("OR REPLACE");
    let persistence = query::persistence(c);
    if c.is("TABLE") {
        return tables::create(c, start, persistence, false);
    }
    if c.is_seq("FOREIGN TABLE") {
        c.eat("FOREIGN");
        return tables::create(c, start, persistence, true);
    }
    if c.is("INDEX") || c.is_seq("UNIQUE INDEX") {
        return indexes::create(c, start);
    }
    if c.is("VIEW") || c.is_seq("RECURSIVE VIEW") || c.is_seq("MATERIALIZED VIEW") {
        return views::create(c, start, or_replace, persistence);
    }
    if c.eat("SEQUENCE") {
        let if_not_exists = c.if_not_exists();
        let name = c.qname()?;
        let options = sequence_options(c)?;
        return Ok(vec![op(c, start, OpKind::CreateSequence { name, if_not_exists, persistence, options })]);
    }
    if c.is("FUNCTION") || c.is("PROCEDURE") {
        return functions::create(c, start, or_replace);
    }
    if c.is("TRIGGER") || c.is_seq("CONSTRAINT TRIGGER") {
        return trigger(c, start, or_replace);
    }
    if c.eat("TYPE") {
        return type_ddl::create_type(c, start);
    }
    if c.eat("DOMAIN") {
        return type_ddl::create_domain(c, start);
    }
    if c.eat("SCHEMA") {
        return schema(c, start);
    }
    if c.eat("POLICY") {
        return policy(c, start);
    }
    if c.eat("RULE") {
        let name = c.name()?;
        c.expect("AS ON")?;
        let event = c.name()?.value.to_ascii_uppercase();
        c.expect("TO")?;
        let table = c.qname()?;
        if c.eat("WHERE") {
            expr(c)?;
        }
        c.expect("DO")?;
        let instead = c.eat("INSTEAD");
        c.eat("ALSO");
        rest(c);
        return Ok(vec![op(c, start, OpKind::CreateRule { name, table, event, instead, or_replace })]);
    }
    if c.eat("EXTENSION") {
        let if_not_exists = c.if_not_exists();
        let name = c.name()?;
        c.eat("WITH");
        let (mut schema, mut version, mut cascade) = (None, None, false);
        loop {
            if c.eat("SCHEMA") {
                schema = Some(c.name()?);
            } else if c.eat("VERSION") {
                version = Some(if c.is_string() { c.string()? } else { c.name()?.value });
            } else if c.eat("FROM") {
                let _ = if c.is_string() { c.string()? } else { c.name()?.value };
            } else if c.eat("CASCADE") {
                cascade = true;
            } else {
                break;
            }
        }
        return Ok(vec![op(c, start, OpKind::CreateExtension { name, if_not_exists, schema, version, cascade })]);
    }
    if c.eat("STATISTICS") {
        let if_not_exists = c.if_not_exists();
        let name = if c.is("ON") || c.is_punct(b'(') { None } else { Some(c.qname()?) };
        let kinds = if c.is_punct(b'(') { c.name_list()?.into_iter().map(|n| n.value).collect() } else { Vec::new() };
        c.expect("ON")?;
        let exprs = c.list(expr)?;
        c.expect("FROM")?;
        let table = c.qname()?;
        return Ok(vec![op(c, start, OpKind::CreateStatistics { name, if_not_exists, kinds, exprs, table })]);
    }
    let default = c.eat("DEFAULT");
    c.eat("TRUSTED");
    let Some((kind, _)) = kind_words(c) else { return c.fail("a kind of object") };
    if matches!(kind, ObjectKind::Database | ObjectKind::Tablespace) {
        rest(c);
        return Ok(vec![op(c, start, OpKind::NoTransaction { detail: c.text_from(start) })]);
    }
    let if_not_exists = c.if_not_exists();
    let object = match kind {
        ObjectKind::Trigger | ObjectKind::EventTrigger | ObjectKind::Aggregate | ObjectKind::OperatorClass | ObjectKind::OperatorFamily => {
            ObjectRef { kind, name: c.qname()?, on: None, args: None }
        }
        ObjectKind::Operator => {
            let at = c.pos();
            c.skip_until(|c| c.is_punct(b'('));
            named(kind, &c.text_from(at), c.span_from(at))
        }
        _ => object(c, kind)?,
    };
    let mut detail = rest(c);
    if default {
        detail.push_str(" DEFAULT");
    }
    Ok(vec![op(c, start, OpKind::CreateObject { object, or_replace, if_not_exists, detail })])
}

fn schema(c: &mut Cursor<'_>, start: usize) -> Read<Vec<Op>> {
    let if_not_exists = c.if_not_exists();
    let name = if c.is("AUTHORIZATION") { None } else { Some(c.name()?) };
    let authorization = if c.eat("AUTHORIZATION") { Some(super::objects::role(c)?) } else { None };
    let mut out = vec![op(c, start, OpKind::CreateSchema { name: name.clone(), if_not_exists, authorization })];
    // Elements of the schema: statements without a semicolon between them.
    while c.is("CREATE") || c.is("GRANT") {
        let more = super::commands::read(c)?;
        for mut o in more {
            // What is made here lies in the new schema unless it says another.
            let inside = match &mut o.kind {
                OpKind::CreateTable(t) => Some(&mut t.name),
                OpKind::CreateView(v) => Some(&mut v.name),
                OpKind::CreateSequence { name, .. } => Some(name),
                OpKind::CreateIndex(i) => Some(&mut i.table),
                OpKind::CreateTrigger(t) => Some(&mut t.table),
                _ => None,
            };
            if let (Some(inside), Some(n)) = (inside, &name) {
                inside.schema.get_or_insert_with(|| n.clone());
            }
            o.command = out.len() as u32;
            out.push(o);
        }
    }
    Ok(out)
}

fn trigger(c: &mut Cursor<'_>, start: usize, or_replace: bool) -> Read<Vec<Op>> {
    let constraint = c.eat("CONSTRAINT");
    c.expect("TRIGGER")?;
    let name = c.name()?;
    let Some(timing) = c.eat_any(&["BEFORE", "AFTER", "INSTEAD OF"]) else { return c.fail("BEFORE, AFTER or INSTEAD OF") };
    let mut t = CreateTrigger {
        name,
        table: QName::bare("", c.here()),
        or_replace,
        constraint,
        timing: timing.to_string(),
        events: Vec::new(),
        update_of: Vec::new(),
        for_each_row: false,
        when: None,
        function: QName::bare("", c.here()),
        references: None,
        args: Vec::new(),
        deferrable: false,
        initially_deferred: false,
        transition_tables: Vec::new(),
    };
    loop {
        let Some(event) = c.eat_any(&["INSERT", "UPDATE", "DELETE", "TRUNCATE"]) else { return c.fail("an event") };
        t.events.push(event.to_string());
        if event == "UPDATE" && c.eat("OF") {
            t.update_of = c.list(Cursor::name)?;
        }
        if !c.eat("OR") {
            break;
        }
    }
    c.expect("ON")?;
    t.table = c.qname()?;
    loop {
        if c.eat("FROM") {
            t.references = Some(c.qname()?);
        } else if c.eat("NOT DEFERRABLE") || c.eat("INITIALLY IMMEDIATE") {
        } else if c.eat("DEFERRABLE") {
            t.deferrable = true;
        } else if c.eat("INITIALLY DEFERRED") {
            t.deferrable = true;
            t.initially_deferred = true;
        } else if c.eat("REFERENCING") {
            while let Some(which) = c.eat_any(&["NEW TABLE", "OLD TABLE", "NEW ROW", "OLD ROW"]) {
                c.eat("AS");
                t.transition_tables.push((which.starts_with("NEW"), c.name()?));
            }
        } else if c.eat("FOR") {
            c.eat("EACH");
            t.for_each_row = c.eat("ROW");
            let _ = t.for_each_row || c.eat("STATEMENT");
        } else if c.eat("WHEN") {
            t.when = Some(in_parens(c)?);
        } else {
            break;
        }
    }
    c.expect("EXECUTE")?;
    let _ = c.eat("FUNCTION") || c.eat("PROCEDURE");
    t.function = c.qname()?;
    t.args = c.parens(|c| if c.is_punct(b')') { Ok(Vec::new()) } else { c.list(trigger_argument) })?;
    Ok(vec![op(c, start, OpKind::CreateTrigger(Box::new(t)))])
}

/// A string, a number or a word: the function gets a text.
fn trigger_argument(c: &mut Cursor<'_>) -> Read<String> {
    if c.is_string() {
        c.string()
    } else if c.is_name() {
        Ok(c.name()?.value)
    } else {
        c.number()
    }
}

fn policy(c: &mut Cursor<'_>, start: usize) -> Read<Vec<Op>> {
    let name = c.name()?;
    c.expect("ON")?;
    let table = c.qname()?;
    let mut p =
        crate::op::CreatePolicy { name, table, permissive: true, command: "ALL".into(), roles: Vec::new(), using: None, with_check: None };
    if c.eat("AS") {
        p.permissive = !c.name()?.value.eq_ignore_ascii_case("restrictive");
    }
    if c.eat("FOR") {
        p.command = c.name()?.value.to_ascii_uppercase();
    }
    if c.eat("TO") {
        p.roles = roles(c)?;
    }
    if c.eat("USING") {
        p.using = Some(in_parens(c)?);
    }
    if c.eat("WITH CHECK") {
        p.with_check = Some(in_parens(c)?);
    }
    Ok(vec![op(c, start, OpKind::CreatePolicy(Box::new(p)))])
}

/// Options of CREATE and ALTER SEQUENCE and of identity columns, in any order.
pub fn sequence_options(c: &mut Cursor<'_>) -> Read<SequenceOptions> {
    let mut s = SequenceOptions::default();
    loop {
        let value = |c: &mut Cursor<'_>| -> Read<Option<String>> { Ok(Some(c.number()?)) };
        let pair = if c.eat("AS") {
            s.ty = Some(types::type_name(c)?);
            continue;
        } else if c.eat("OWNED BY") {
            s.owned_by = Some(if c.eat("NONE") {
                None
            } else {
                let mut parts = c.dotted()?;
                let (Some(column), Some(table)) = (parts.pop(), parts.pop()) else { return c.fail("a column of a table") };
                Some((QName { schema: parts.pop(), name: table }, column))
            });
            continue;
        } else if c.eat("SEQUENCE NAME") {
            {
                let n = c.qname()?;
                let text = n.schema_str().map_or_else(|| crate::quote::ident(n.as_str()), |s| crate::quote::qualified(s, n.as_str()));
                ("SEQUENCE NAME", Some(text))
            }
        } else if c.eat("INCREMENT") {
            c.eat("BY");
            ("INCREMENT", value(c)?)
        } else if c.eat("MINVALUE") {
            ("MINVALUE", value(c)?)
        } else if c.eat("NO MINVALUE") {
            ("MINVALUE", None)
        } else if c.eat("MAXVALUE") {
            ("MAXVALUE", value(c)?)
        } else if c.eat("NO MAXVALUE") {
            ("MAXVALUE", None)
        } else if c.eat("START") {
            c.eat("WITH");
            ("START", value(c)?)
        } else if c.eat("RESTART") {
            let _ = c.eat("WITH");
            ("RESTART", c.number().ok())
        } else if c.eat("CACHE") {
            ("CACHE", value(c)?)
        } else if c.eat("NO CYCLE") {
            ("CYCLE", Some("false".into()))
        } else if c.eat("CYCLE") {
            ("CYCLE", None)
        } else if c.eat("LOGGED") {
            ("LOGGED", None)
        } else if c.eat("UNLOGGED") {
            ("UNLOGGED", None)
        } else {
            return Ok(s);
        };
        s.other.push((pair.0.to_string(), pair.1));
    }
}
