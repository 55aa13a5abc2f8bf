//! Short migrations with what became of release N-1: held against the rules here, and against a server.
//!
//! A file of `testdata/situations/` says in its header what was there (`-- setup:`), what release N-1 runs and gets (`-- old: SQL => SQLSTATE`, `ok`
//! or `empty`), how the migration is taken back (`-- undo:`), and which row shows whether the data survived that (`-- look:`).

use std::path::PathBuf;

use crate::catalog::Catalog;
use crate::diagnostic::Severity;
use crate::history::{Execution, Send};
use crate::op::PgVersion;
use crate::replay;
use crate::shadow::{Session, Shadow, ShadowOptions};
use crate::source::SourceFile;

use super::{RuleSet, Selection, check};

#[derive(Default)]
struct Situation {
    name: String,
    sql: String,
    rule: Option<String>,
    setup: String,
    transaction: bool,
    old: Vec<(String, String)>,
    undo: Option<String>,
    look: Option<String>,
}

fn read(folder: &str) -> Vec<Situation> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/situations").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).expect("the situations").flatten().map(|f| f.path()).collect();
    files.retain(|f| f.file_name().is_some_and(|n| n.to_string_lossy().starts_with("b-")));
    files.sort();
    files.iter().map(|f| parse(&f.file_stem().expect("a name").to_string_lossy(), &std::fs::read_to_string(f).expect("readable"))).collect()
}

fn parse(name: &str, text: &str) -> Situation {
    let mut s = Situation { name: name.into(), sql: text.into(), transaction: true, ..Situation::default() };
    for line in text.lines() {
        let Some((key, value)) = line.strip_prefix("-- ").and_then(|l| l.split_once(':')) else { continue };
        let value = value.trim().to_string();
        match key {
            "rule" => s.rule = Some(value),
            "setup" => s.setup = value,
            "transaction" => s.transaction = value != "false",
            "old" => {
                let (sql, state) = value.rsplit_once(" => ").expect("`SQL => outcome`");
                s.old.push((sql.into(), state.into()));
            }
            "undo" => s.undo = Some(value),
            "look" => s.look = Some(value),
            other => panic!("{name}: no key is called `{other}`"),
        }
    }
    s
}

/// Rules that speak of it, with their severities.
fn found(s: &Situation) -> Vec<(String, Severity)> {
    let mut catalog = Catalog::new(PgVersion::default());
    let alone = Execution::new(false, Send::Statement);
    replay::apply(&crate::lower::lower_text(&s.setup), &alone, &mut catalog);
    let source = SourceFile::new("situation.sql", s.sql.as_str());
    let execution = Execution::new(s.transaction, Send::Statement);
    let mut script = replay::judge(&source, crate::lower::lower(&source, &[source.full_span()]), &execution, &mut catalog);
    script.history.down = s.undo.as_ref().map(|sql| {
        let source = SourceFile::new("situation.down.sql", sql.as_str());
        Box::new(replay::judge(&source, crate::lower::lower(&source, &[source.full_span()]), &execution, &mut catalog.clone()))
    });
    let groups = ["rollback", "data-loss", "robustness", "data", "security"];
    let rules = RuleSet::built_in();
    let all = check(rules, &script, &Selection::default()).diagnostics;
    all.into_iter()
        .filter(|d| rules.get(&d.rule).is_some_and(|r| groups.contains(&r.group.as_str())))
        .map(|d| (d.rule, d.severity))
        .collect()
}

/// For each: its name, whether it is unsafe, and what is wrong with the verdict.
fn verdicts() -> Vec<(String, bool, Option<String>)> {
    let judge = |s: Situation, is_unsafe: bool| {
        let found = found(&s);
        let wrong = match &s.rule {
            Some(rule) if !found.iter().any(|(r, _)| r == rule) => Some(format!("{}: `{rule}` is silent; {found:?}", s.name)),
            None if found.iter().any(|(_, severity)| *severity >= Severity::Warning) => Some(format!("{}: {found:?}", s.name)),
            _ => None,
        };
        assert_eq!(s.rule.is_some(), is_unsafe, "{}: the unsafe ones name their rule", s.name);
        (s.name, is_unsafe, wrong)
    };
    let of = |folder: &str| read(folder).into_iter().map(|s| judge(s, folder == "unsafe")).collect::<Vec<_>>();
    [of("unsafe"), of("safe")].concat()
}

/// At least forty unsafe situations, all found, and forty safe ones, none flagged: those that block (`a-`) and those that break release N-1 (`b-`). That
/// each is what it is called, servers say in the `live` tests.
#[test]
fn every_unsafe_situation_is_found_and_no_safe_one_flagged() {
    let all = [super::availability_test::verdicts(), verdicts()].concat();
    let of = |kind: bool| all.iter().filter(move |(_, is_unsafe, _)| *is_unsafe == kind);
    let right = |kind: bool| of(kind).filter(|(.., wrong)| wrong.is_none()).count();
    let (bad, good) = (of(true).count(), of(false).count());
    println!("unsafe: {} of {bad} found; safe: {} of {good} falsely flagged", right(true), good - right(false));
    let wrong: Vec<&str> = all.iter().filter_map(|(.., wrong)| wrong.as_deref()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(bad >= 40 && good >= 40, "{bad} unsafe and {good} safe situations");
}

/// What release N-1 gets: SQLSTATE, `empty` or `ok`. Nothing of it stays.
fn outcome(session: &mut Session, sql: &str) -> String {
    session.run("BEGIN").expect("begins");
    let out = match session.rows(sql) {
        Ok(rows) if rows.is_empty() && sql.starts_with("SELECT") => "empty".to_string(),
        Ok(_) => "ok".to_string(),
        Err(e) => e.sqlstate,
    };
    session.run("ROLLBACK").expect("rolls back");
    out
}

#[test]
fn live_situations_are_what_they_say() {
    let pg = PgVersion::of_tests();
    let shadow = Shadow::start(&ShadowOptions { pg, exact: true, ..ShadowOptions::default() }).expect("a server");
    let mut wrong = Vec::new();
    for (s, is_safe) in read("unsafe").into_iter().map(|s| (s, false)).chain(read("safe").into_iter().map(|s| (s, true))) {
        let db = shadow.database().expect("a database");
        let mut session = db.connect().expect("a session");
        session.simple(&s.setup).unwrap_or_else(|e| panic!("{}: setup: {e}", s.name));
        for (sql, _) in &s.old {
            let before = outcome(&mut session, sql);
            if before != "ok" {
                wrong.push(format!("{}: before the change `{sql}` gets {before}", s.name));
            }
        }
        let look = |session: &mut Session| s.look.as_ref().map(|l| session.rows(l).ok());
        let was = look(&mut session);
        // One simple query is one transaction.
        if let Err(e) = session.simple(&s.sql) {
            wrong.push(format!("{}: the migration: {e}", s.name));
            continue;
        }
        for (sql, expected) in &s.old {
            let got = outcome(&mut session, sql);
            if got != *expected {
                wrong.push(format!("{}: `{sql}` gets {got}, not {expected}", s.name));
            }
        }
        if let Some(undo) = &s.undo {
            if !undo.is_empty() {
                session.simple(undo).unwrap_or_else(|e| panic!("{}: undo: {e}", s.name));
            }
            if (look(&mut session) == was) != is_safe {
                wrong.push(format!("{}: the undo {} the data", s.name, if is_safe { "loses" } else { "keeps" }));
            }
        }
        let breaks = s.old.iter().any(|(_, o)| o != "ok") || s.undo.is_some();
        assert!(is_safe || breaks, "{}: nothing shows that it is unsafe", s.name);
        assert!(!is_safe || s.old.iter().all(|(_, o)| o == "ok"), "{}: something fails", s.name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
