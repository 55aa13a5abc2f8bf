//! Random migrations on random schemas over the catalogue of recipes: expand, migrate and contract end where the direct migration ends, in
//! the catalog and in the rows.
//!
//! `AIRLOCK_PLANS` and `AIRLOCK_SEED` choose how many and which; a difference names its seed.

use crate::catalog::Catalog;
use crate::history::{Execution, Script, Send};
use crate::op::PgVersion;
use crate::plan::{Context, Outcome, Plan, PlanOptions, parse_map, parse_rename, plan};
use crate::replay;
use crate::shadow::load::Runner;
use crate::shadow::prove::is_about;
use crate::shadow::snapshot::Snapshot;
use crate::shadow::{Database, Session, Shadow};
use crate::source::SourceFile;

use super::drawn::draw;

#[derive(Default)]
struct Count {
    planned: usize,
    safe: usize,
    asked: usize,
    refused: usize,
    /// The server refuses the schema or the direct migration on its rows.
    skipped: usize,
    wrong: Vec<String>,
}

#[test]
fn random_plans_end_where_the_migration_ends_live() {
    let number = |name: &str, default: u64| std::env::var(name).ok().map_or(default, |v| v.parse().expect("a number"));
    let (wanted, seed) = (number("AIRLOCK_PLANS", 12), number("AIRLOCK_SEED", 1));
    let shadow = Shadow::start(&crate::shadow::tests::options()).expect("starts");
    let mut count = Count::default();
    for s in seed..seed + wanted {
        let before = count.wrong.len();
        one(&shadow, s, &mut count);
        if count.wrong.len() > before && wanted > 50 {
            println!("{}", count.wrong[before..].join("\n"));
        }
    }
    println!(
        "Postgres {}, seeds {seed} to {}: {} planned and carried out, {} safe, {} asked, {} refused, {} refused by the server, {} differ",
        shadow.pg(),
        seed + wanted - 1,
        count.planned,
        count.safe,
        count.asked,
        count.refused,
        count.skipped,
        count.wrong.len()
    );
    assert!(count.planned * 3 >= wanted as usize, "few migrations are planned: the generator shows nothing");
    assert!(count.wrong.is_empty(), "{}", count.wrong.join("\n"));
}

fn one(shadow: &Shadow, seed: u64, count: &mut Count) {
    let drawn = draw(seed);
    if drawn.migration.is_empty() {
        count.skipped += 1;
        return;
    }
    let text = format!("{};\n", drawn.migration.join(";\n"));
    let execution = Execution::new(true, Send::Statement);
    let whole = |name: &str, text: &str| Script::whole(SourceFile::new(name, text), execution.clone());
    let (base, direct) = (whole("1.sql", &drawn.base), whole("2.sql", &text));
    let fresh = || {
        let db = shadow.database().expect("a database");
        let failed = Runner::new(&db).expect("a runner").script(&base).expect("runs");
        failed.is_empty().then_some(db)
    };
    let (Some(one), Some(other)) = (fresh(), fresh()) else {
        count.skipped += 1;
        return;
    };
    if !Runner::new(&one).expect("a runner").script(&direct).expect("runs").is_empty() {
        count.skipped += 1;
        return;
    }
    let mut catalog = Catalog::new(PgVersion(shadow.pg().0));
    replay::apply(&crate::lower::lower(&base.source, &base.parts), &execution, &mut catalog);
    let statements = crate::lower::lower(&direct.source, &direct.parts);
    let script = replay::judge(&direct.source, statements, &execution, &mut catalog);
    let mut answers: Vec<_> = drawn.answers.iter().flat_map(|a| parse_map(a).expect("an answer")).collect();
    answers.extend(drawn.renames.iter().map(|a| parse_rename(a).expect("an answer")));
    let context = Context { migration: "2".into(), source: "2.sql".into(), source_sha256: String::new(), framework: "plain".into() };
    let options = PlanOptions { batch_size: 3, pause_ms: 0, ..PlanOptions::default() };
    let said = |what: String| format!("seed {seed}: {what}\n{}{text}", drawn.base);
    match plan(&script, &answers, &options, &context) {
        Outcome::Safe => count.safe += 1,
        Outcome::Asked(_) => count.asked += 1,
        Outcome::Refused(r) => {
            count.refused += 1;
            if std::env::var_os("AIRLOCK_PLANS_REFUSED").is_some() {
                println!("seed {seed}: {}\n{text}", r.iter().map(|r| r.reason.as_str()).collect::<Vec<_>>().join("; "));
            }
        }
        Outcome::Planned(p) => {
            count.planned += 1;
            if let Err(e) = carried_out(&p, &one, &other) {
                count.wrong.push(said(e));
            }
        }
    }
}

/// The statements as a runner sends them.
fn play(session: &mut Session, statements: &[String], transaction: bool) -> Result<(), crate::shadow::SqlError> {
    let wrap = |word: &'static str| transaction.then_some(word);
    for sql in wrap("BEGIN").into_iter().chain(statements.iter().map(String::as_str)).chain(wrap("COMMIT")) {
        session.run(sql)?;
    }
    Ok(())
}

/// The plan on the one database, held against the other, on which the migration ran. `Err`: what differs.
fn carried_out(p: &Plan, direct: &Database, planned: &Database) -> Result<(), String> {
    let mut session = planned.connect().expect("a session");
    for step in p.phases.iter().flat_map(|p| &p.steps) {
        for c in &step.preconditions {
            let rows = session.rows(&c.sql).map_err(|e| format!("precondition {}: {e}", c.title))?;
            if !rows.is_empty() {
                return Err(format!("precondition `{}` does not hold, and the direct migration takes the rows", c.title));
            }
        }
        play(&mut session, &step.statements, step.transaction)
            .map_err(|e| format!("step {}: {e}\n{}", step.id, step.statements.join(";\n")))?;
    }
    drop(session);
    let (want, have) = (Snapshot::take(direct).expect("a snapshot"), Snapshot::take(planned).expect("a snapshot"));
    let lines: Vec<String> = want
        .changes(&have)
        .iter()
        .map(|c| format!("{} {}", if c.removed { "missing" } else { "left over" }, c.line))
        .filter(|l| !p.deviations.iter().any(|d| is_about(l, &d.object)))
        .collect();
    if !lines.is_empty() {
        return Err(format!("the catalogs differ:\n  {}", lines.join("\n  ")));
    }
    let (mut a, mut b) = (direct.connect().expect("a session"), planned.connect().expect("a session"));
    let names = "SELECT format('%I.%I', n.nspname, c.relname), string_agg(format('%I::text', a.attname), ', ' ORDER BY a.attname) FROM pg_class c \
                 JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
                 WHERE c.relkind = 'r' AND n.nspname IN ('public', 'app') GROUP BY 1 ORDER BY 1";
    for row in a.rows(names).map_err(|e| e.to_string())? {
        let (Some(Some(table)), Some(Some(columns))) = (row.first(), row.get(1)) else { continue };
        let sql = format!("SELECT ROW({columns})::text FROM {table} ORDER BY 1");
        let rows = |s: &mut Session| s.rows(&sql).map_err(|e| format!("{table}: {e}"));
        let (x, y) = (rows(&mut a)?, rows(&mut b)?);
        if x != y {
            let first = x.iter().zip(&y).find(|(x, y)| x != y);
            return Err(format!("the rows of {table} differ ({} and {}); the first: {first:?}", x.len(), y.len()));
        }
    }
    Ok(())
}
