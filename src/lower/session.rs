//! Transactions, settings, and statements about data and upkeep that are no queries.

use crate::op::{LockMode, Op, OpKind, QName, ReindexTarget, SetScope, SetValue};
use crate::sql::cursor::{Cursor, Read};
use crate::sql::token::TokenKind;

use super::{expr, op, query, rest};

pub fn session(c: &mut Cursor<'_>) -> Read<Vec<Op>> {
    let start = c.pos();
    let noise = |c: &mut Cursor<'_>| {
        let _ = c.eat("WORK") || c.eat("TRANSACTION");
    };
    let chain = |c: &mut Cursor<'_>| {
        if c.eat("AND CHAIN") {
            return true;
        }
        c.eat("AND NO CHAIN");
        false
    };
    let kind = if c.eat("BEGIN") || c.eat("START TRANSACTION") {
        noise(c);
        let modes = rest(c).to_ascii_uppercase();
        OpKind::Begin { read_only: modes.contains("READ ONLY") }
    } else if c.eat("COMMIT PREPARED") || c.eat("ROLLBACK PREPARED") {
        rest(c);
        return Ok(Vec::new());
    } else if c.eat("COMMIT") || c.eat("END") {
        noise(c);
        OpKind::Commit { chain: chain(c) }
    } else if c.eat("PREPARE TRANSACTION") {
        rest(c);
        OpKind::Commit { chain: false }
    } else if c.eat("PREPARE") || c.eat("DISCARD") {
        rest(c);
        return Ok(Vec::new());
    } else if c.eat("ROLLBACK") || c.eat("ABORT") {
        noise(c);
        if c.eat("TO") {
            c.eat("SAVEPOINT");
            OpKind::RollbackTo { name: c.name()? }
        } else {
            OpKind::Rollback { chain: chain(c) }
        }
    } else if c.eat("SAVEPOINT") {
        OpKind::Savepoint { name: c.name()? }
    } else if c.eat("RELEASE") {
        c.eat("SAVEPOINT");
        OpKind::ReleaseSavepoint { name: c.name()? }
    } else if c.eat("LOCK") {
        return lock(c, start);
    } else if c.eat("RESET") {
        return reset(c, start);
    } else {
        c.expect("SET")?;
        return set(c, start);
    };
    Ok(vec![op(c, start, kind)])
}

fn reset(c: &mut Cursor<'_>, start: usize) -> Read<Vec<Op>> {
    let kind = if c.eat("ROLE") {
        OpKind::SetRole { role: None, session: false, local: false }
    } else if c.eat("SESSION AUTHORIZATION") {
        OpKind::SetRole { role: None, session: true, local: false }
    } else if c.eat("ALL") {
        OpKind::ResetVar { name: None }
    } else {
        OpKind::ResetVar { name: Some(variable(c)?) }
    };
    Ok(vec![op(c, start, kind)])
}

fn variable(c: &mut Cursor<'_>) -> Read<String> {
    if c.eat("TIME ZONE") {
        return Ok("timezone".into());
    }
    Ok(c.dotted()?.into_iter().map(|n| n.value.to_ascii_lowercase()).collect::<Vec<_>>().join("."))
}

fn set(c: &mut Cursor<'_>, start: usize) -> Read<Vec<Op>> {
    if c.eat("CONSTRAINTS") {
        let all = c.eat("ALL");
        if !all {
            c.qname_list()?;
        }
        let deferred = c.eat("DEFERRED");
        let _ = deferred || c.eat("IMMEDIATE");
        return Ok(vec![op(c, start, OpKind::SetConstraints { deferred, all })]);
    }
    if c.eat("TRANSACTION") || c.eat("SESSION CHARACTERISTICS") {
        let text = rest(c);
        let value = Some(SetValue { parts: vec![text.clone()], text });
        return Ok(vec![op(c, start, OpKind::SetVar { scope: SetScope::Transaction, name: "transaction".into(), value })]);
    }
    let local = c.eat("LOCAL");
    if !local && c.is("SESSION") && !c.is_at(1, "AUTHORIZATION") {
        c.next();
    }
    let scope = if local { SetScope::Local } else { SetScope::Session };
    for (words, session) in [("ROLE", false), ("SESSION AUTHORIZATION", true)] {
        if c.eat(words) {
            let _ = c.op("=") || c.eat("TO");
            let role = if c.eat("NONE") || c.eat("DEFAULT") { None } else { Some(super::objects::role(c)?) };
            return Ok(vec![op(c, start, OpKind::SetRole { role, session, local })]);
        }
    }
    if c.eat("XML OPTION") {
        let text = c.name()?.value.to_ascii_uppercase();
        let value = Some(SetValue { parts: vec![text.clone()], text });
        return Ok(vec![op(c, start, OpKind::SetVar { scope, name: "xmloption".into(), value })]);
    }
    let zone = c.is_seq("TIME ZONE");
    let name = variable(c)?;
    if !(zone || c.op("=") || c.eat("TO")) {
        // SET NAMES, SET SCHEMA: other spellings of settings.
        if name != "names" && name != "schema" {
            return c.fail("`=` or TO");
        }
    }
    if c.eat("DEFAULT") {
        return Ok(vec![op(c, start, OpKind::ResetVar { name: Some(name) })]);
    }
    let at = c.pos();
    let mut parts = Vec::new();
    while let Some(t) = c.peek() {
        let from = c.pos();
        match t.kind {
            TokenKind::String | TokenKind::DollarString => parts.push(c.string()?),
            TokenKind::Word | TokenKind::QuotedIdent => parts.push(c.name()?.value),
            TokenKind::Punct(b',') => {
                c.next();
            }
            _ if c.number().is_ok() => parts.push(c.text_from(from)),
            _ => {
                c.next();
                parts.push(c.text_from(from));
            }
        }
    }
    if parts.is_empty() {
        return c.fail("a value");
    }
    let name = match name.as_str() {
        "schema" => "search_path".into(),
        "names" => "client_encoding".into(),
        _ => name,
    };
    let value = Some(SetValue { text: c.text_from(at), parts });
    Ok(vec![op(c, start, OpKind::SetVar { scope, name, value })])
}

/// `[ONLY] name [*]`.
fn relation(c: &mut Cursor<'_>) -> Read<(QName, bool)> {
    let only = c.is("ONLY") && !c.is_punct_at(1, b',') && c.eat("ONLY");
    let name = if c.is_punct(b'(') { c.parens(Cursor::qname)? } else { c.qname()? };
    let _ = c.op("*");
    Ok((name, only))
}

fn lock(c: &mut Cursor<'_>, start: usize) -> Read<Vec<Op>> {
    c.eat("TABLE");
    let tables = c.list(relation)?;
    let mut mode = LockMode::AccessExclusive;
    if c.eat("IN") {
        let Some(words) = c.eat_any(&[
            "ACCESS SHARE MODE",
            "ROW SHARE MODE",
            "ROW EXCLUSIVE MODE",
            "SHARE UPDATE EXCLUSIVE MODE",
            "SHARE ROW EXCLUSIVE MODE",
            "SHARE MODE",
            "EXCLUSIVE MODE",
            "ACCESS EXCLUSIVE MODE",
        ]) else {
            return c.fail("a lock mode");
        };
        let words = words.trim_end_matches(" MODE");
        mode = <LockMode as strum::IntoEnumIterator>::iter().find(|m| m.sql() == words).unwrap_or(mode);
    }
    let nowait = c.eat("NOWAIT");
    Ok(vec![op(c, start, OpKind::LockTable { tables, mode, nowait })])
}

pub fn truncate(c: &mut Cursor<'_>) -> Read<Vec<Op>> {
    let start = c.pos();
    c.expect("TRUNCATE")?;
    c.eat("TABLE");
    let tables = c.list(relation)?;
    let restart_identity = c.eat("RESTART IDENTITY");
    c.eat("CONTINUE IDENTITY");
    let cascade = c.cascade();
    Ok(vec![op(c, start, OpKind::Truncate { tables, cascade, restart_identity })])
}

pub fn copy(c: &mut Cursor<'_>) -> Read<Vec<Op>> {
    let start = c.pos();
    c.expect("COPY")?;
    let (mut table, mut columns, mut inner) = (None, Vec::new(), None);
    if c.is_punct(b'(') {
        // A query, or a statement that changes rows and returns them.
        inner = Some(Box::new(c.parens(query::query)?));
    } else {
        // COPY BINARY t … is the old way to say WITH (FORMAT binary).
        if c.is("BINARY") && !c.is_punct_at(1, b'(') && !c.is_at(1, "FROM") && !c.is_at(1, "TO") {
            c.next();
        }
        table = Some(c.qname()?);
        if c.is_punct(b'(') {
            columns = c.name_list()?;
        }
    }
    let from = c.eat("FROM");
    if !from {
        c.expect("TO")?;
    }
    let program = c.is("PROGRAM");
    rest(c);
    Ok(vec![op(c, start, OpKind::Copy { table, columns, query: inner, from, program })])
}

pub fn call(c: &mut Cursor<'_>) -> Read<Vec<Op>> {
    let start = c.pos();
    c.expect("CALL")?;
    let name = c.qname()?;
    let args = c.parens(|c| {
        if c.is_punct(b')') {
            return Ok(Vec::new());
        }
        c.list(|c| {
            if c.is_name() && (c.is_op_at(1, "=>") || c.is_op_at(1, ":=")) {
                c.next();
                c.next();
            }
            expr::expr(c)
        })
    })?;
    Ok(vec![op(c, start, OpKind::Call { name, args })])
}

pub fn maintenance(c: &mut Cursor<'_>) -> Read<Vec<Op>> {
    let start = c.pos();
    let mut words = Vec::new();
    let verb = c.word(0).to_ascii_uppercase();
    c.next();
    // `VACUUM (FULL, ANALYZE false) t` and `VACUUM FULL ANALYZE t`.
    if c.is_punct(b'(') {
        words = super::options(c)?;
    }
    let on = |words: &crate::op::Options, key: &str| {
        words
            .iter()
            .any(|(k, v)| k == key && !v.as_deref().is_some_and(|v| matches!(v.to_ascii_lowercase().as_str(), "false" | "off" | "0")))
    };
    if verb == "REINDEX" {
        let Some(target) = c.eat_any(&["INDEX", "TABLE", "SCHEMA", "DATABASE", "SYSTEM"]) else {
            return c.fail("INDEX, TABLE, SCHEMA, DATABASE or SYSTEM");
        };
        let target = match target {
            "INDEX" => ReindexTarget::Index,
            "TABLE" => ReindexTarget::Table,
            "SCHEMA" => ReindexTarget::Schema,
            "DATABASE" => ReindexTarget::Database,
            _ => ReindexTarget::System,
        };
        let concurrently = c.eat("CONCURRENTLY") || on(&words, "concurrently");
        let name = if c.is_name() { Some(c.qname()?) } else { None };
        return Ok(vec![op(c, start, OpKind::Reindex { target, name, concurrently })]);
    }
    while let Some(w) = c.eat_any(&["FULL", "FREEZE", "VERBOSE", "ANALYZE", "ANALYSE"]) {
        words.push((w.to_ascii_lowercase(), None));
    }
    let kind = match verb.as_str() {
        "CLUSTER" => {
            let table = if c.is_name() { Some(c.qname()?) } else { None };
            let index = if c.eat("USING") { Some(c.name()?) } else { None };
            // The old form: CLUSTER index ON table.
            if c.eat("ON") {
                let index = table.map(|t| t.name);
                OpKind::Cluster { table: Some(c.qname()?), index }
            } else {
                OpKind::Cluster { table, index }
            }
        }
        _ => {
            let mut tables = Vec::new();
            if !c.at_end() {
                tables = c.list(|c| {
                    let (name, _) = relation(c)?;
                    if c.is_punct(b'(') {
                        c.name_list()?;
                    }
                    Ok(name)
                })?;
            }
            if verb == "VACUUM" {
                OpKind::Vacuum { tables, full: on(&words, "full"), analyze: on(&words, "analyze") || on(&words, "analyse") }
            } else {
                OpKind::Analyze { tables }
            }
        }
    };
    Ok(vec![op(c, start, kind)])
}
