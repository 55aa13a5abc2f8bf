//! Every rule's examples run: offline here, and on a live server.

use crate::catalog::Catalog;
use crate::history::{Execution, Send};
use crate::op::PgVersion;
use crate::replay;
use crate::source::SourceFile;

use super::*;

#[test]
fn every_rule_file_loads_and_is_a_page() {
    for (group, name, text) in BUILT_IN {
        let rule = Rule::parse(group, name, text).unwrap_or_else(|e| panic!("{e}"));
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c.is_ascii_digit()), "{name} is not kebab-case");
        assert!(!rule.why.is_empty() && !rule.instead.is_empty(), "{name} does not say why, or what to do instead");
        assert!(rule.examples.iter().any(|e| e.flagged.is_some()), "{name} has no flagged example");
        assert!(rule.examples.iter().any(|e| e.clean.is_some()), "{name} has no clean example");
    }
    assert_eq!(RuleSet::built_in().iter().count(), BUILT_IN.len());
}

#[test]
fn what_the_binary_loads_is_what_the_rule_files_say() {
    for ((group, name, text), compact) in BUILT_IN.iter().zip(COMPACT) {
        let read = Rule::parse(group, name, text).unwrap_or_else(|e| panic!("{e}"));
        let built_in = Rule::built_in(group, name, text, compact).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(format!("{read:?}"), format!("{built_in:?}"));
    }
}

#[test]
fn examples_are_flagged_and_clean_ones_are_not() {
    let wrong: Vec<String> =
        RuleSet::built_in().iter().flat_map(|r| examples::failures(r).into_iter().map(|w| format!("{}: {w}", r.name))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn live_postgres_accepts_every_example() {
    use crate::shadow::{Shadow, ShadowOptions};
    let pg = PgVersion::of_tests();
    let shadow = Shadow::start(&ShadowOptions { pg, exact: true, ..ShadowOptions::default() }).expect("a server");
    // One database for all: a new one for each example would take minutes.
    let db = shadow.database().expect("a database");
    let mut wrong = Vec::new();
    for rule in RuleSet::built_in().iter() {
        wrong.extend(crate::cli::rules::live(rule, &db).expect("a database").into_iter().map(|w| format!("{}: {w}", rule.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unknown_facts_and_names_are_said() {
    let text = "summary = 'x'\nseverity = 'error'\nwhy = 'x'\ninstead = 'x'\nmessage = '{tabel}'\n[[when]]\nop = 'x'\n[[example]]\nflagged = 'x'\n";
    let e = Rule::parse("g", "r", text).expect_err("an unknown fact").to_string();
    assert_eq!(e, "rule `r`: no fact is called `tabel`; did you mean `table`?");
    assert_eq!(RuleSet::built_in().suggest("drop-colum"), Some("drop-column"));
}

#[test]
fn suppressions_count_and_are_counted() {
    let source = SourceFile::new(
        "x.sql",
        "-- airlock: allow drop-colum\nSELECT 1;\n-- airlock: allow drop-column -- agreed\nALTER TABLE t DROP COLUMN a;\n-- airlock: allow drop-table\nSELECT 2;\n",
    );
    let mut catalog = Catalog::new(PgVersion(15));
    replay::apply(&crate::lower::lower_text("CREATE TABLE t (id int, a int)"), &Execution::new(false, Send::Statement), &mut catalog);
    let statements = crate::lower::lower(&source, &[source.full_span()]);
    let script = replay::judge(&source, statements, &Execution::new(true, Send::Statement), &mut catalog);
    let checked = check(RuleSet::built_in(), &script, &Selection { select: vec!["drop-column".into()], ..Selection::default() });
    assert_eq!(checked.suppressed, 1);
    assert_eq!(checked.diagnostics.iter().map(|d| d.rule.as_str()).collect::<Vec<_>>(), ["unknown-rule", "unused-suppression"]);
}

/// What was judged of a statement is used again for its script, and for its fixes; that must change nothing.
#[test]
fn what_is_known_of_parts_changes_no_verdict() {
    let mut wrong = Vec::new();
    for e in RuleSet::built_in().iter().flat_map(|r| &r.examples) {
        let sql = e.flagged.as_ref().or(e.clean.as_ref()).map_or("", String::as_str);
        let script = examples::replayed(e, sql);
        let ops: Vec<&crate::op::Op> = script.statements.iter().flat_map(|r| &r.statement.ops).collect();
        let anew = crate::compat::predict(&ops, &script.before, &script.after, script.before.pg);
        if anew != script.compat {
            wrong.push(format!("{sql}\n  from its parts: {:?}\n  anew: {anew:?}", script.compat));
        }
        for r in &script.statements {
            let source = SourceFile::new("again.sql", script.source.slice(r.statement.span));
            let statements = crate::lower::lower(&source, &[source.full_span()]);
            let execution =
                Execution { settings: script.execution.settings.clone(), ..Execution::new(r.sent.in_transaction, Send::Statement) };
            let again = replay::judge_instead(&source, statements, &execution, &script.before, r);
            if again.statements.iter().map(|s| &s.compat).ne([&r.compat]) {
                wrong.push(format!("{sql}\n  first: {:?}\n  again: {:?}", r.compat, again.compat));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn whoever_counts_safe_fixes_finds_as_many_as_whoever_looks_for_all() {
    let mut safe = 0;
    for rule in RuleSet::built_in().iter().filter(|r| !r.fixes.is_empty()) {
        for e in &rule.examples {
            let Some(sql) = &e.flagged else { continue };
            let script = examples::replayed(e, sql);
            let selection = Selection { select: vec!["all".into()], ..Selection::default() };
            let count = |fixes: Fixes| {
                let checked = Checker::new(RuleSet::built_in(), &selection).with_fixes(fixes).check(&script);
                checked.diagnostics.iter().filter(|d| d.fix.as_ref().is_some_and(|f| f.safe)).count()
            };
            assert_eq!(count(Fixes::Safe), count(Fixes::All), "{}: {sql}", rule.name);
            assert_eq!(count(Fixes::None), 0);
            safe += count(Fixes::All);
        }
    }
    assert!(safe > 10, "{safe}");
}
