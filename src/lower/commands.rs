//! Which reader a statement goes to, by its first words.

use crate::op::{Op, OpKind};
use crate::sql::cursor::{Cursor, Read};

use super::objects::kind_words;
use super::{alter, code, create, dml, grants, objects, op, query, rest, session};

/// The operations of one statement.
pub fn read(c: &mut Cursor<'_>) -> Read<Vec<Op>> {
    let start = c.pos();
    let one = |c: &Cursor<'_>, kind: OpKind| Ok(vec![op(c, start, kind)]);
    if c.is("CREATE") {
        return create::create(c);
    }
    if c.is("ALTER") {
        return alter::alter(c);
    }
    if c.is("DROP") {
        return objects::drop(c);
    }
    if dml::starts_after_with(c) {
        let d = dml::dml(c)?;
        return one(c, OpKind::Dml(Box::new(d)));
    }
    if query::starts(c, 0) {
        return query_statement(c);
    }
    let word = c.word(0).to_ascii_uppercase();
    match word.as_str() {
        "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT" | "SAVEPOINT" | "RELEASE" | "PREPARE" | "SET" | "RESET" | "LOCK"
        | "DISCARD" => session::session(c),
        "COMMENT" => objects::comment(c),
        "GRANT" | "REVOKE" => grants::grant(c),
        "DO" => code::do_block(c),
        "TRUNCATE" => session::truncate(c),
        "COPY" => session::copy(c),
        "CALL" => session::call(c),
        "VACUUM" | "ANALYZE" | "ANALYSE" | "CLUSTER" | "REINDEX" => session::maintenance(c),
        "REFRESH" => super::views::refresh(c),
        "EXECUTE" | "DEALLOCATE" | "SHOW" | "EXPLAIN" | "LISTEN" | "UNLISTEN" | "NOTIFY" | "CHECKPOINT" | "LOAD" | "DECLARE" | "FETCH"
        | "MOVE" | "CLOSE" => {
            rest(c);
            Ok(Vec::new())
        }
        "SECURITY" if c.is_seq("SECURITY LABEL") => {
            rest(c);
            Ok(Vec::new())
        }
        "REASSIGN" | "IMPORT" => {
            let detail = rest(c);
            let object = objects::named(
                if word == "IMPORT" { crate::op::ObjectKind::ForeignTable } else { crate::op::ObjectKind::Role },
                &detail,
                c.span_from(start),
            );
            one(c, OpKind::AlterObject { object, detail })
        }
        _ => c.fail("a statement"),
    }
}

fn query_statement(c: &mut Cursor<'_>) -> Read<Vec<Op>> {
    let start = c.pos();
    let mut q = query::query(c)?;
    if let Some(name) = query::take_into(&mut q) {
        let kind = OpKind::CreateTableAs(Box::new(crate::op::CreateTableAs {
            name,
            if_not_exists: false,
            persistence: crate::op::Persistence::Permanent,
            columns: Vec::new(),
            query: q,
            with_data: true,
            on_commit: crate::op::OnCommit::PreserveRows,
        }));
        return Ok(vec![op(c, start, kind)]);
    }
    Ok(vec![op(c, start, OpKind::Query(Box::new(q)))])
}

const TAGS: &[&str] = &[
    "CREATE TABLE",
    "CREATE INDEX",
    "CREATE VIEW",
    "CREATE MATERIALIZED VIEW",
    "CREATE SEQUENCE",
    "CREATE TYPE",
    "CREATE DOMAIN",
    "CREATE SCHEMA",
    "CREATE FUNCTION",
    "CREATE PROCEDURE",
    "CREATE TRIGGER",
    "CREATE POLICY",
    "CREATE RULE",
    "CREATE EXTENSION",
    "CREATE ROLE",
    "CREATE STATISTICS",
    "CREATE AGGREGATE",
    "CREATE OPERATOR",
    "CREATE PUBLICATION",
    "CREATE SUBSCRIPTION",
    "CREATE COLLATION",
    "CREATE CAST",
    "CREATE DATABASE",
    "CREATE EVENT TRIGGER",
    "CREATE FOREIGN TABLE",
    "CREATE SERVER",
    "ALTER TABLE",
    "ALTER INDEX",
    "ALTER VIEW",
    "ALTER MATERIALIZED VIEW",
    "ALTER SEQUENCE",
    "ALTER TYPE",
    "ALTER DOMAIN",
    "ALTER SCHEMA",
    "ALTER FUNCTION",
    "ALTER PROCEDURE",
    "ALTER TRIGGER",
    "ALTER POLICY",
    "ALTER EXTENSION",
    "ALTER ROLE",
    "ALTER DATABASE",
    "ALTER PUBLICATION",
    "ALTER SUBSCRIPTION",
    "ALTER FOREIGN TABLE",
    "ALTER STATISTICS",
    "ALTER AGGREGATE",
    "ALTER OPERATOR",
    "ALTER COLLATION",
    "DROP TABLE",
    "DROP INDEX",
    "DROP VIEW",
    "DROP MATERIALIZED VIEW",
    "DROP SEQUENCE",
    "DROP TYPE",
    "DROP DOMAIN",
    "DROP SCHEMA",
    "DROP FUNCTION",
    "DROP PROCEDURE",
    "DROP TRIGGER",
    "DROP POLICY",
    "DROP RULE",
    "DROP EXTENSION",
    "DROP ROLE",
    "DROP STATISTICS",
    "DROP AGGREGATE",
    "DROP OPERATOR",
    "DROP PUBLICATION",
    "DROP SUBSCRIPTION",
    "DROP COLLATION",
    "DROP CAST",
    "DROP DATABASE",
    "DROP EVENT TRIGGER",
    "DROP FOREIGN TABLE",
];

const WORDS: &[&str] = &[
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "MERGE",
    "WITH",
    "VALUES",
    "TABLE",
    "BEGIN",
    "START",
    "COMMIT",
    "END",
    "ROLLBACK",
    "ABORT",
    "SAVEPOINT",
    "RELEASE",
    "PREPARE",
    "EXECUTE",
    "SET",
    "RESET",
    "LOCK",
    "COMMENT",
    "GRANT",
    "REVOKE",
    "DO",
    "TRUNCATE",
    "COPY",
    "CALL",
    "VACUUM",
    "ANALYZE",
    "CLUSTER",
    "REINDEX",
    "REFRESH",
    "SHOW",
    "EXPLAIN",
    "CREATE",
    "ALTER",
    "DROP",
    "NOTIFY",
    "LISTEN",
    "DISCARD",
    "SECURITY",
    "REASSIGN",
    "IMPORT",
];

/// The statement's command, upper case; `?` when its first word is none.
pub fn tag(c: &Cursor<'_>) -> &'static str {
    let verb = c.word(0).to_ascii_uppercase();
    if matches!(verb.as_str(), "CREATE" | "ALTER" | "DROP") {
        let mut look = c.clone();
        look.next();
        while look.eat("OR REPLACE")
            || look
                .eat_any(&["TEMP", "TEMPORARY", "UNLOGGED", "LOCAL", "GLOBAL", "UNIQUE", "RECURSIVE", "CONSTRAINT", "TRUSTED", "DEFAULT"])
                .is_some()
        {}
        if let Some((_, words)) = kind_words(&mut look) {
            let words = if matches!(words, "USER" | "GROUP") { "ROLE" } else { words };
            if let Some(t) = TAGS.iter().find(|t| t.strip_prefix(verb.as_str()).is_some_and(|r| r.trim_start() == words)) {
                return t;
            }
        }
    }
    WORDS.iter().find(|w| **w == verb).copied().unwrap_or("?")
}
