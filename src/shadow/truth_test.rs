//! The replayed catalog against a server's own: every history of the corpus, our own, and random DDL.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::catalog::{Catalog, Difference};
use crate::history::{self, Execution, Script, Send};
use crate::replay;
use crate::source::SourceFile;

use super::load::{Failure, Runner};
use super::*;

/// One history: what the server refused, and where the catalog says something else.
#[derive(Default)]
pub(super) struct Truth {
    pub statements: usize,
    pub refused: Vec<Failure>,
    /// Kind, and words.
    pub differences: Vec<(String, String)>,
}

/// Plays the scripts on a server and in the catalog, and holds the two against each other; then what `airlock schema` prints.
fn truth(shadow: &Shadow, scripts: &[&Script]) -> Truth {
    let mut out = Truth::default();
    let db = shadow.database().expect("database");
    let mut catalog = Catalog::new(shadow.pg());
    let mut runner = Runner::new(&db).expect("sessions");
    for (i, script) in scripts.iter().enumerate() {
        catalog.now.migration = i as u32 + 1;
        play(&mut runner, script, &mut catalog, &mut out);
    }
    drop(runner);
    let observed = super::catalog::read(&db).expect("reads");
    let differences = catalog.dump().differences(&observed);
    let same = differences.is_empty();
    out.differences.extend(differences.into_iter().map(|d: Difference| (d.kind.to_string(), d.to_string())));
    if same {
        out.differences.extend(again(shadow, &catalog, &db));
    }
    out
}

/// Plays one script on both sides and holds what the server refuses against what the catalog foresees.
pub(super) fn play(runner: &mut Runner<'_>, script: &Script, catalog: &mut Catalog, out: &mut Truth) {
    let refused = runner.script(script).expect("loads");
    let mut statements = crate::lower::lower(&script.source, &script.parts);
    out.statements += statements.len();
    // What this server or the shadow's own care refuses, and another server would not, is left out on both sides.
    let elsewhere: BTreeSet<usize> = refused.iter().filter(|f| of_this_server(&f.error)).map(|f| f.line).collect();
    statements.retain(|s| !elsewhere.contains(&script.source.position(s.span.start).line));
    let errors = replay::follow(&statements, &script.execution, catalog);
    let line = |n: usize| script.source.position(statements[n].span.start).line;
    // What the catalog is not sure of may go either way.
    let mut certain: BTreeMap<usize, String> = BTreeMap::new();
    let mut maybe: BTreeSet<usize> = BTreeSet::new();
    for (n, op, e) in errors {
        maybe.insert(line(n));
        if e.certain && !statements[n].ops[op].conditional {
            certain.entry(line(n)).or_insert_with(|| format!("{} {}", e.sqlstate, e.message));
        }
    }
    let path = script.source.path().display();
    for f in &refused {
        // Rows, and what may not stand in a transaction, are judged elsewhere; the statement's effect on the schema is the same.
        let told = certain.remove(&f.line).is_some() || maybe.contains(&f.line) || f.error.is("25001") || elsewhere.contains(&f.line);
        if !told {
            out.differences.push(("refused".into(), format!("{path}:{}: the server refuses it: {} ({})", f.line, f.error, f.statement)));
        }
    }
    for (line, why) in certain {
        out.differences.push(("refused".into(), format!("{path}:{line}: the server accepts it; predicted {why}")));
    }
    out.refused.extend(refused);
}

/// Extensions that are not installed here; rights that only a superuser has; what asks for either by itself.
fn of_this_server(e: &SqlError) -> bool {
    e.is("42501") || e.is("0A000") && e.message.starts_with("extension ") || e.is("P0001")
}

/// The SQL of the catalog makes the same schema in an empty database: everything, down to the server's own words of every expression.
fn again(shadow: &Shadow, catalog: &Catalog, first: &Database) -> Vec<(String, String)> {
    let db = shadow.database().expect("database");
    let sql = catalog.to_sql();
    let script = Script::whole(SourceFile::new("schema.sql", sql), Execution::new(false, Send::Statement));
    let mut out: Vec<(String, String)> = Vec::new();
    for f in Runner::new(&db).expect("sessions").script(&script).expect("loads") {
        out.push(("sql".into(), format!("does not load: {}:{}: {}", f.line, f.statement, f.error)));
    }
    let (a, b) = (snapshot::Snapshot::take(first).expect("snapshot"), snapshot::Snapshot::take(&db).expect("snapshot"));
    out.extend(a.changes(&b).into_iter().map(|c| ("sql".to_string(), c.to_string())));
    out
}

fn say(name: &str, t: &Truth) {
    println!("{name}: {} statements, {} refused, {} differences", t.statements, t.refused.len(), t.differences.len());
    for f in &t.refused {
        println!("    refused {f}");
    }
    for (kind, words) in t.differences.iter().take(limit()) {
        println!("    {kind}: {words}");
    }
}

/// Differences that are printed for each history.
fn limit() -> usize {
    std::env::var("AIRLOCK_TRUTH_LINES").ok().and_then(|v| v.parse().ok()).unwrap_or(20)
}

/// Every history below a folder, with its scripts.
fn histories(folder: &Path) -> Vec<history::History> {
    let mut found = history::discover(&[folder.to_path_buf()], &history::Options::default()).unwrap_or_default();
    for h in &mut found {
        let mut any = false;
        h.migrations.iter_mut().for_each(|m| any |= filled(&mut m.up));
        if let (true, Some(first)) = (any, h.migrations.first().cloned()) {
            // The schema that the runner was told to use.
            let source = SourceFile::new("before.sql", "CREATE SCHEMA IF NOT EXISTS ph;");
            let up = Script::whole(source, Execution::new(false, Send::Statement));
            h.migrations.insert(0, history::Migration { up, down: None, ..first });
        }
    }
    found
}

/// Runners fill placeholders in before they send a file. Here each gets a name for its value, one byte for one byte, so that spans stay.
fn filled(script: &mut Script) -> bool {
    let pattern = regex::Regex::new(
        r#"(?<before>^|[^:])(?<word>\{\{[^{}\n]*\}\}|\$\{[A-Za-z][^{}\n]*\}|/\* TEMPLATE: [a-z]+ \*/|:[A-Z][A-Z_]{5,}|:"[a-z_]+")"#,
    )
    .expect("a pattern");
    let text = script.source.text();
    if !pattern.is_match(text) {
        return false;
    }
    let new = pattern.replace_all(text, |found: &regex::Captures<'_>| {
        let name = &found["word"];
        // `${…}` at the head of a statement comments it out or is nothing.
        let word = if name.starts_with(['$', '/']) { "" } else { "ph" };
        format!("{}{word:len$}", &found["before"], len = name.len())
    });
    script.source = SourceFile::new(script.source.path(), new.into_owned());
    true
}

#[test]
fn live_our_own_history_is_the_servers() {
    let shadow = Shadow::start(&super::tests::options()).expect("starts");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/shop/migrations");
    let found = histories(&folder);
    assert!(!found.is_empty());
    for h in found {
        let scripts: Vec<&Script> = h.migrations.iter().map(|m| &m.up).collect();
        let t = truth(&shadow, &scripts);
        say("shop", &t);
        assert!(t.statements > 5 && t.differences.is_empty() && t.refused.is_empty());
    }
}

/// Real histories. The corpus is not part of the repository: where it is missing there is nothing to see.
#[test]
fn live_the_corpus_is_the_servers() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let wanted = std::env::var("AIRLOCK_TRUTH_PROJECT").ok();
    let mut projects: Vec<PathBuf> = Vec::new();
    for kind in std::fs::read_dir(&corpus).into_iter().flatten().flatten().filter(|e| e.path().is_dir()) {
        projects.extend(std::fs::read_dir(kind.path()).into_iter().flatten().flatten().map(|e| e.path()));
    }
    projects.retain(|p| wanted.as_ref().is_none_or(|w| w.split(',').any(|w| p.to_string_lossy().contains(w))));
    projects.sort();
    if projects.is_empty() {
        println!("the corpus is not on this machine: nothing to compare with");
        return;
    }
    let shadow = Shadow::start(&super::tests::options()).expect("starts");
    let mut clean = 0;
    let mut table = String::new();
    for project in &projects {
        let name = project.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut whole = Truth::default();
        for h in histories(project) {
            let scripts: Vec<&Script> = h.migrations.iter().map(|m| &m.up).collect();
            let t = truth(&shadow, &scripts);
            say(&format!("{name} {}", h.root.strip_prefix(project).unwrap_or(&h.root).display()), &t);
            whole.statements += t.statements;
            whole.refused.extend(t.refused);
            whole.differences.extend(t.differences);
        }
        clean += usize::from(whole.differences.is_empty());
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for (k, _) in &whole.differences {
            *kinds.entry(k).or_default() += 1;
        }
        table.push_str(&format!("{name:45} {:6} {:5}  {kinds:?}\n", whole.statements, whole.refused.len()));
    }
    println!("project, statements, refused by Postgres, differences\n{table}{clean} of {} without a difference", projects.len());
    assert!(wanted.is_some() || clean * 40 >= projects.len() * 25, "{clean} of {} projects without a difference", projects.len());
}
