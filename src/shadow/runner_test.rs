//! What `replay` says about a way of sending is what a server does: where the script stops, with which SQLSTATE, and what stays.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use crate::catalog::Catalog;
use crate::history::{Execution, Send};
use crate::replay;
use crate::source::{SourceFile, Span};

use super::*;

const SETUP: &str = "CREATE TABLE t (id int PRIMARY KEY, a int); CREATE TYPE e AS ENUM ('x')";

/// One database serves all: a new schema costs less than a new database.
const FRESH: &str = "DROP SCHEMA IF EXISTS s CASCADE; CREATE SCHEMA s";

/// Statements; the word after `CREATE TABLE` or `CONCURRENTLY` is looked up afterwards.
const SCRIPTS: &[&[&str]] = &[
    &["SET lock_timeout = '2s'", "CREATE INDEX CONCURRENTLY i1 ON t (a)"],
    &["CREATE INDEX CONCURRENTLY i1 ON t (a)"],
    &["CREATE INDEX CONCURRENTLY i1 ON t (a)", "CREATE INDEX CONCURRENTLY i2 ON t (a)"],
    &["CREATE INDEX CONCURRENTLY i1 ON t (a)", "CREATE TABLE a1 ()"],
    &["CREATE INDEX CONCURRENTLY i1 ON t (a)", "CREATE TABLE a1 ()", "CREATE TABLE t ()"],
    &["CREATE TABLE a1 ()", "CREATE INDEX CONCURRENTLY i1 ON t (a)", "CREATE TABLE a2 ()"],
    &["VACUUM t"],
    &["CREATE TABLE a1 ()", "VACUUM t"],
    &["CREATE TABLE a1 ()", "REINDEX TABLE CONCURRENTLY t"],
    &["CREATE TABLE a1 ()", "CREATE TABLE t ()", "CREATE TABLE a2 ()"],
    &["ALTER TYPE e ADD VALUE 'y'", "CREATE TABLE a1 (k e DEFAULT 'y')"],
    &["CREATE TYPE e2 AS ENUM ('x')", "ALTER TYPE e2 ADD VALUE 'y'", "CREATE TABLE a1 (k e2 DEFAULT 'y')"],
    &["CREATE TYPE e2 AS ENUM ('x', 'y')", "CREATE TABLE a1 (k e2 DEFAULT 'y')"],
    &["ALTER TYPE e ADD VALUE 'y'", "CREATE TABLE a1 (k e)", "INSERT INTO a1 VALUES ('y')", "CREATE TABLE a2 ()"],
    &["ALTER TYPE e ADD VALUE 'y'", "CREATE TABLE a1 (k e)", "SELECT FROM a1 WHERE k IN ('x', 'y')", "CREATE TABLE a2 ()"],
    &["ALTER TYPE e ADD VALUE 'y'", "CREATE TABLE a1 AS SELECT 'y'::e AS k"],
    &[
        "ALTER TYPE e ADD VALUE 'y'",
        "CREATE TABLE a1 (k e, v text)",
        "UPDATE a1 SET v = 'y', k = 'x'",
        "ALTER TABLE a1 ALTER k SET DEFAULT 'y'",
    ],
    &[
        "ALTER TYPE e ADD VALUE 'y'",
        "CREATE TABLE a1 (k e, v text)",
        "UPDATE a1 SET v = 'y', k = 'x'",
        "COMMIT",
        "ALTER TABLE a1 ALTER k SET DEFAULT 'y'",
    ],
    &["CREATE TABLE a1 ()", "BEGIN", "CREATE TABLE a2 ()", "COMMIT", "CREATE TABLE a3 ()", "CREATE TABLE t ()", "CREATE TABLE a4 ()"],
    &["BEGIN", "CREATE TABLE a1 ()", "COMMIT", "CREATE INDEX CONCURRENTLY i1 ON t (a)"],
    &["BEGIN", "CREATE TABLE a1 ()", "CREATE TABLE t ()", "COMMIT", "CREATE TABLE a2 ()"],
    &["BEGIN", "CREATE TABLE a1 ()", "ROLLBACK", "CREATE TABLE a2 ()"],
    &["CREATE TABLE a1 ()", "COMMIT", "CREATE TABLE a2 ()", "CREATE TABLE t ()"],
    &["CREATE TABLE a1 ()", "COMMIT", "CREATE INDEX CONCURRENTLY i1 ON t (a)"],
    &["CREATE TABLE a1 ()", "ROLLBACK", "CREATE TABLE a2 ()"],
    &["CREATE TABLE a1 ()", "ROLLBACK", "CREATE TABLE a1 (b int)", "ALTER TABLE a1 ADD b int"],
    &["CREATE TABLE a0 ()", "BEGIN", "CREATE TABLE a1 ()"],
    &["BEGIN", "CREATE TABLE a1 ()", "COMMIT AND CHAIN", "CREATE TABLE a2 ()", "ROLLBACK", "CREATE TABLE a3 ()"],
];

fn ways() -> Vec<Execution> {
    let mut out: Vec<Execution> =
        [true, false].into_iter().flat_map(|t| [Send::Statement, Send::Whole].map(|s| Execution::new(t, s))).collect();
    out.push(Execution::new(false, Send::Pipeline));
    out
}

#[test]
fn every_way_of_sending_does_what_is_predicted() {
    let shadow = Shadow::start(&super::tests::options()).expect("starts");
    let base = shadow.database().expect("database");
    base.connect().expect("session").run(&format!("ALTER DATABASE {} SET search_path = s", base.name())).expect("sets");
    let mut wrong = Vec::new();
    for script in SCRIPTS {
        let mut all = ways();
        if let [first, rest @ ..] = *script
            && !rest.is_empty()
        {
            // As goose sends a StatementBegin … StatementEnd: the first statement by itself, the rest as one query.
            let text = text(script);
            let mut e = Execution::new(false, Send::Statement);
            e.queries = vec![Span::new(first.len() + 1, text.len())];
            all.push(e);
        }
        for way in all {
            let predicted = predict(&shadow, script, &way);
            base.connect().expect("session").run(&format!("{FRESH}; {SETUP}")).expect("loads");
            let seen = observe(&base, script, &way);
            if predicted != seen {
                wrong.push(format!("{script:?}\n  {way}\n  predicted {predicted:?}\n  observed  {seen:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

fn text(script: &[&str]) -> String {
    script.iter().map(|s| format!("{s};\n")).collect()
}

/// The SQLSTATE at which it stops, and which of the named relations exist then.
type Outcome = (Option<String>, Vec<(String, bool)>);

fn made(statement: &str) -> Option<String> {
    let words: Vec<&str> = statement.split(' ').collect();
    let at = if statement.starts_with("CREATE TABLE") { 2 } else { words.iter().position(|w| *w == "CONCURRENTLY")? + 1 };
    words.get(at).filter(|n| **n != "t").map(ToString::to_string)
}

fn predict(shadow: &Shadow, script: &[&str], way: &Execution) -> Outcome {
    let mut catalog = Catalog::new(shadow.pg());
    replay::apply(&crate::lower::lower_text(SETUP), &Execution::new(false, Send::Statement), &mut catalog);
    let source = SourceFile::new("x.sql", text(script));
    let statements = crate::lower::lower(&source, &[source.full_span()]);
    assert_eq!(statements.len(), script.len());
    let judged = replay::judge(&source, statements, way, &mut catalog);
    let fails = judged.stops_at().and_then(|i| judged.statements[i].effects.fails.clone());
    let kept = judged.committed();
    let mut names: std::collections::BTreeMap<String, bool> = std::collections::BTreeMap::new();
    for (s, k) in script.iter().zip(&kept) {
        if let Some(n) = made(s) {
            *names.entry(n).or_default() |= *k;
        }
    }
    (fails, names.into_iter().collect())
}

fn observe(db: &Database, script: &[&str], way: &Execution) -> Outcome {
    let fails = if way.send == Send::Pipeline { pipeline(db, script) } else { simple(db, script, way) };
    let mut s = db.connect().expect("session");
    let names: std::collections::BTreeSet<String> = script.iter().filter_map(|s| made(s)).collect();
    let exists = |n: &String, s: &mut super::session::Session| {
        // A failed CREATE INDEX CONCURRENTLY would leave an invalid index; none of these gets so far.
        s.value(&format!("SELECT to_regclass({}) IS NOT NULL", crate::quote::literal(n))).expect("asks") == Some("t".into())
    };
    (fails, names.into_iter().map(|n| (n.clone(), exists(&n, &mut s))).collect())
}

/// As a runner does that sends simple queries and stops at the first error.
fn simple(db: &Database, script: &[&str], way: &Execution) -> Option<String> {
    let mut s = db.connect().expect("session");
    let queries: Vec<String> = match (way.send, way.queries.is_empty()) {
        (Send::Whole, _) => vec![text(script)],
        (_, true) => script.iter().map(ToString::to_string).collect(),
        (_, false) => vec![script[0].to_string(), text(&script[1..])],
    };
    if way.transaction {
        s.run("BEGIN").expect("begins");
    }
    for q in queries {
        if let Err(e) = s.run(&q) {
            if way.transaction {
                let _ = s.run("ROLLBACK");
            }
            return Some(e.sqlstate);
        }
    }
    if way.transaction {
        let _ = s.run("COMMIT");
    }
    None
}

/// Parse, Bind and Execute for every statement, then one Sync: drivers put a Sync behind each, so this speaks the protocol itself.
fn pipeline(db: &Database, script: &[&str]) -> Option<String> {
    let config = db.config();
    let Some(tokio_postgres::config::Host::Unix(dir)) = config.get_hosts().first() else { panic!("a socket") };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let mut io = UnixStream::connect(dir.join(format!(".s.PGSQL.{port}"))).expect("connects");
    let mut hello = 196_608_u32.to_be_bytes().to_vec();
    for word in ["user", config.get_user().expect("a user"), "database", db.name(), ""] {
        hello.extend(word.bytes().chain([0]));
    }
    io.write_all(&((hello.len() + 4) as u32).to_be_bytes()).expect("writes");
    io.write_all(&hello).expect("writes");
    assert_eq!(until_ready(&mut io), None);
    let mut out = Vec::new();
    let mut message = |kind: u8, body: &[u8]| {
        out.push(kind);
        out.extend(((body.len() + 4) as u32).to_be_bytes());
        out.extend(body);
    };
    for s in script {
        message(b'P', &[&[0], s.as_bytes(), &[0, 0, 0]].concat());
        message(b'B', &[0; 8]);
        message(b'E', &[0; 5]);
    }
    message(b'S', &[]);
    io.write_all(&out).expect("writes");
    let failed = until_ready(&mut io);
    io.write_all(&[b'X', 0, 0, 0, 4]).expect("writes");
    // The server closes when its backend is gone, and with it what was left open.
    let _ = io.read_to_end(&mut Vec::new());
    failed
}

/// Reads up to ReadyForQuery; the SQLSTATE of the first error.
fn until_ready(io: &mut UnixStream) -> Option<String> {
    let mut failed = None;
    loop {
        let mut head = [0; 5];
        io.read_exact(&mut head).expect("a message");
        let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize - 4;
        let mut body = vec![0; len];
        io.read_exact(&mut body).expect("its body");
        match head[0] {
            b'Z' => return failed,
            b'E' if failed.is_none() => {
                let fields = body.split(|b| *b == 0);
                failed = fields.filter(|f| f.first() == Some(&b'C')).map(|f| String::from_utf8_lossy(&f[1..]).into_owned()).next();
            }
            _ => {}
        }
    }
}
