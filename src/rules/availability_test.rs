//! Short migrations that block the running system, and such that do not (`testdata/situations/*/a-*.sql`): the rules find the former and leave
//! the latter alone, and a server says which is which.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::catalog::{Catalog, RelName};
use crate::history::{Execution, Send};
use crate::op::{LockMode, PgVersion};
use crate::replay;
use crate::shadow::observe::{Around, Observer};
use crate::shadow::{Shadow, ShadowOptions};
use crate::source::SourceFile;

use super::*;

struct Situation {
    name: String,
    sql: String,
    /// The rule that must find it; `None`: it is safe.
    rule: Option<String>,
    setup: String,
    transaction: bool,
    fails: Option<String>,
    since: u8,
}

fn situations() -> Vec<Situation> {
    let mut out = Vec::new();
    for kind in ["unsafe", "safe"] {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/situations").join(kind);
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder).expect("the folder").flatten().map(|f| f.path()).collect();
        files.sort();
        for path in files {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            if !name.starts_with("a-") {
                continue;
            }
            let sql = std::fs::read_to_string(&path).expect("readable");
            let header = |key: &str| sql.lines().find_map(|l| l.strip_prefix(&format!("-- {key}: "))).map(str::to_string);
            let s = Situation {
                rule: header("rule"),
                setup: header("setup").unwrap_or_default(),
                transaction: header("transaction").as_deref() != Some("no"),
                fails: header("fails"),
                since: header("since").map_or(0, |v| v.parse().expect("a version")),
                name,
                sql: sql.clone(),
            };
            assert_eq!(s.rule.is_some(), kind == "unsafe", "{}: the unsafe ones name their rule", s.name);
            out.push(s);
        }
    }
    let count = |safe: bool| out.iter().filter(|s| s.rule.is_none() == safe).count();
    assert!(count(true) >= 20 && count(false) >= 20, "twenty of each: {} safe, {} unsafe", count(true), count(false));
    out
}

/// Rules that speak of it on that version.
fn found(s: &Situation, pg: u8) -> Vec<String> {
    let mut catalog = Catalog::new(PgVersion(pg));
    replay::apply(&crate::lower::lower_text(&s.setup), &Execution::new(false, Send::Statement), &mut catalog);
    catalog.end_of_script();
    let source = SourceFile::new(format!("{}.sql", s.name), s.sql.as_str());
    let statements = crate::lower::lower(&source, &[source.full_span()]);
    let script = replay::judge(&source, statements, &Execution::new(s.transaction, Send::Statement), &mut catalog);
    check(RuleSet::built_in(), &script, &Selection::default()).diagnostics.into_iter().map(|d| d.rule).collect()
}

/// For each: its name, whether it is unsafe, and what is wrong with the verdict on some version.
pub(super) fn verdicts() -> Vec<(String, bool, Option<String>)> {
    let judge = |s: Situation| {
        let wrong = PgVersion::SUPPORTED.filter(|v| *v >= s.since).find_map(|pg| {
            let found = found(&s, pg);
            match &s.rule {
                Some(rule) if !found.contains(rule) => Some(format!("{} on {pg}: {rule} is not found, but {found:?}", s.name)),
                None if !found.is_empty() => Some(format!("{} on {pg}: {found:?}", s.name)),
                _ => None,
            }
        });
        (s.name, s.rule.is_some(), wrong)
    };
    situations().into_iter().map(judge).collect()
}

/// Somebody waits while a table that was there is read or written in full; or the file fails.
#[test]
fn live_servers_say_which_situations_block() {
    let pg = PgVersion::of_tests();
    let shadow = Shadow::start(&ShadowOptions { pg, exact: true, ..ShadowOptions::default() }).expect("a server");
    let mut wrong = Vec::new();
    for s in situations().into_iter().filter(|s| shadow.pg().0 >= s.since) {
        let db = shadow.database().expect("a database");
        let mut observer = Observer::new(&db).expect("two sessions");
        observer.session.simple(&s.setup).unwrap_or_else(|e| panic!("{}: setup: {e}", s.name));
        let old: BTreeMap<RelName, bool> = observer
            .session
            .rows("SELECT relnamespace::regnamespace::text, relname, relkind FROM pg_class WHERE relkind IN ('r', 'p', 'm')")
            .expect("relations")
            .into_iter()
            .map(|r| {
                let text = |i: usize| r[i].clone().unwrap_or_default();
                (RelName::new(text(0), text(1)), text(2) == "m")
            })
            .collect();
        let source = SourceFile::new("s.sql", s.sql.as_str());
        if s.transaction {
            observer.session.run("BEGIN").expect("begins");
        }
        let (mut blocks, mut fails) = (None, None);
        // What the transaction has locked so far, against writers or readers.
        let mut held: BTreeMap<RelName, LockMode> = BTreeMap::new();
        for p in crate::sql::split::split(&source, &[source.full_span()]) {
            let text = source.slice(p.span()).to_string();
            let around = if s.transaction { Around::Transaction } else { Around::Nothing };
            let seen = observer.run(&text, None, around);
            if let Some(e) = seen.error {
                fails = Some(e.sqlstate);
                break;
            }
            if !s.transaction {
                held.clear();
            }
            // Nobody writes to a materialized view, so only readers wait for it.
            let strong = |(n, m): &(&RelName, &LockMode)| old.get(n).is_some_and(|view| m.blocks_reads() || m.blocks_writes() && !view);
            held.extend(seen.effects.locks.iter().filter(strong).map(|(n, m)| (n.clone(), *m)));
            let slow = seen.effects.scans.union(&seen.effects.rewrites).find(|n| old.contains_key(n));
            if let (Some((locked, mode)), Some(slow)) = (held.first_key_value(), slow) {
                blocks = Some(format!("{locked} is locked {mode} while {slow} is read: {text}"));
            }
        }
        if fails != s.fails {
            wrong.push(format!("{}: fails with {fails:?}, expected {:?}", s.name, s.fails));
        }
        match (&s.rule, &blocks) {
            (Some(_), None) if s.fails.is_none() => wrong.push(format!("{}: blocks nobody", s.name)),
            (None, Some(how)) => wrong.push(format!("{}: {how}", s.name)),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
