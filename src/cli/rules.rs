//! `airlock rules` and `airlock explain`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::op::PgVersion;
use crate::report::{Style, plural};
use crate::rules::{self, ABOUT_THE_TEXT, Example, Rule, RuleSet, page};
use crate::shadow::prove::CheckId;
use crate::shadow::{Database, Session, Shadow, ShadowOptions, SqlError};
use crate::source::SourceFile;

use super::project::Project;
use super::{CliError, SourceArgs, settings};

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Its name, as a finding or `airlock verify` shows it.
    rule: String,
    #[command(flatten)]
    source: SourceArgs,
}

pub fn explain(args: &ExplainArgs, style: Style, out: &mut dyn Write) -> Result<u8, CliError> {
    let set = known(&args.source)?;
    let name = args.rule.as_str();
    let about = ABOUT_THE_TEXT.iter().find(|(n, _)| *n == name);
    let text = match (set.get(name), about, CheckId::named(name)) {
        (Some(rule), ..) => page(rule),
        (None, Some((name, words)), _) => format!("# {name}\n\n{words}.\n"),
        (None, None, Some(check)) => check.page(),
        (None, None, None) => {
            let near = set.suggest(name).map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
            return Err(CliError::Usage(format!(
                "no rule and no check is called `{name}`{near}; `airlock rules` and `airlock verify --list-checks` list them"
            )));
        }
    };
    write!(out, "{}", rules::draw(&text, style.width, style.color))?;
    Ok(0)
}

#[derive(Debug, Args)]
pub struct RulesArgs {
    /// text, json, or markdown: the table of the documentation.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output_format: RulesFormat,
    /// Write a page of Markdown for each rule into this folder, and an `index.md` with the table, instead of listing.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["check", "output_format"])]
    into: Option<PathBuf>,
    /// Validate a rule file of yours and run its examples, instead of listing.
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// With `--check`: run the examples on a scratch Postgres too.
    #[arg(long, requires = "check")]
    live: bool,
    #[command(flatten)]
    source: SourceArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RulesFormat {
    Text,
    Json,
    Markdown,
}

pub fn run(args: &RulesArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    if let Some(path) = &args.check {
        return check(path, args, out);
    }
    let set = known(&args.source)?;
    if let Some(folder) = &args.into {
        return pages(&set, folder, out);
    }
    match args.output_format {
        RulesFormat::Markdown => write!(out, "{}", rules::markdown(&set))?,
        RulesFormat::Json => {
            let list: Vec<_> = set.iter().map(as_json).collect();
            serde_json::to_writer_pretty(&mut *out, &json!({ "schema_version": 1, "rules": list })).map_err(std::io::Error::from)?;
            writeln!(out)?;
        }
        RulesFormat::Text => {
            let wide = set.iter().map(|r| r.name.len()).max().unwrap_or(0);
            for r in set.iter() {
                let off = if r.default { "" } else { " (off by default)" };
                writeln!(out, "{:wide$} {:12} {:8} {}{off}", r.name, r.group, r.severity.to_string(), r.summary)?;
            }
        }
    }
    Ok(0)
}

/// For the documentation: a page a rule, and the table over them.
fn pages(set: &RuleSet, folder: &Path, out: &mut dyn Write) -> Result<u8, CliError> {
    std::fs::create_dir_all(folder).map_err(|e| CliError::Usage(format!("{}: cannot be made: {e}", folder.display())))?;
    for rule in set.iter() {
        crate::history::write_atomically(&folder.join(format!("{}.md", rule.name)), page(rule).as_bytes())?;
    }
    for (name, words) in ABOUT_THE_TEXT {
        crate::history::write_atomically(&folder.join(format!("{name}.md")), format!("# {name}\n\n{words}.\n").as_bytes())?;
    }
    crate::history::write_atomically(&folder.join("index.md"), rules::markdown(set).as_bytes())?;
    writeln!(out, "{}: {} and index.md", folder.display(), plural(set.iter().count() + ABOUT_THE_TEXT.len(), "page"))?;
    Ok(0)
}

fn as_json(r: &Rule) -> serde_json::Value {
    json!({
        "name": r.name, "group": r.group, "severity": r.severity.to_string(), "default": r.default, "tags": r.tags, "recipe": r.recipe,
        "summary": r.summary, "needs": rules::needs(r).to_string(), "scales": r.scales, "options": r.options,
        "fixes": r.fixes.iter().map(|f| json!({ "title": f.title, "safe": f.safe })).collect::<Vec<_>>(),
    })
}

/// The built-in rules, and those of the nearest configuration.
fn known(source: &SourceArgs) -> Result<RuleSet, CliError> {
    let config = super::project::load_config(&[], source)?;
    Project::rules_of(&config)
}

/// Every problem with its line; then the examples.
fn check(path: &Path, args: &RulesArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let text = settings::read(path)?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let problems = rules::problems(&name, &text);
    for p in &problems {
        let line = p.line.map(|l| format!(":{l}")).unwrap_or_default();
        writeln!(out, "{}{line}: {}", path.display(), p.message)?;
    }
    if !problems.is_empty() {
        return Ok(1);
    }
    let rule = Rule::parse("own", &name, &text)?;
    let mut wrong = rules::examples::failures(&rule);
    let mut on = "offline".to_string();
    if args.live {
        let config = super::project::load_config(&[], &args.source)?;
        let pg = args.source.pg_version.or(config.pg_version.map(PgVersion)).unwrap_or_default();
        let shadow = Shadow::start(&ShadowOptions { pg, url: config.shadow.url.clone(), ..ShadowOptions::default() })?;
        on = format!("offline and on {}", shadow.describe());
        wrong.extend(live(&rule, &shadow.database()?)?);
    }
    for w in &wrong {
        writeln!(out, "{}: example: {w}", path.display())?;
    }
    if wrong.is_empty() {
        writeln!(out, "{}: the rule is valid, {} run {on}", path.display(), plural(rule.examples.len(), "example"))?;
    }
    Ok(u8::from(!wrong.is_empty()))
}

/// Runs the examples of a rule on a server: each must be taken, or refused with the SQLSTATE that it names. The database is emptied before each.
pub fn live(rule: &Rule, db: &Database) -> Result<Vec<String>, CliError> {
    let pg = db.shadow().pg().0;
    let mut wrong = Vec::new();
    for e in rule.examples.iter().filter(|e| pg >= e.since && e.only.is_none_or(|v| v == pg)) {
        let Some(sql) = e.flagged.as_ref().or(e.clean.as_ref()) else { continue };
        let run = if e.admin { as_admin(db, e, sql)? } else { as_owner(db, e, sql)? };
        let state = run.as_ref().err().map(|e| e.sqlstate.clone());
        if let Ok(Some(other)) = &run {
            wrong.push(format!("{sql}: {other}"));
        }
        if state != e.fails {
            let said = run.err().map_or_else(|| "Postgres takes it".to_string(), |e| e.to_string());
            let expected = e.fails.as_ref().map_or_else(|| "it should run".to_string(), |f| format!("it should fail with {f}"));
            wrong.push(format!("{sql}: {said}; {expected}"));
        }
    }
    Ok(wrong)
}

/// `Some`: what else is wrong.
type Ran = Result<Option<String>, SqlError>;

fn as_owner(db: &Database, e: &Example, sql: &str) -> Result<Ran, CliError> {
    let mut session = db.connect()?;
    let mut run = || {
        for clear in ["DROP OWNED BY CURRENT_USER CASCADE", "CREATE SCHEMA IF NOT EXISTS public"] {
            session.run(clear)?;
        }
        session.simple(&e.setup)?;
        if let Some(sql) = &e.earlier {
            session.simple(sql)?;
        }
        let queries = match prepare(&mut session, e)? {
            Ok(queries) => queries,
            Err(refused) => return Ok(Some(refused)),
        };
        if e.transaction {
            session.run("BEGIN")?;
        }
        let source = SourceFile::new("example.sql", sql);
        for piece in crate::sql::split::split(&source, &[source.full_span()]) {
            session.simple(source.slice(piece.span()))?;
        }
        if let Some(later) = &e.later {
            if e.transaction {
                session.run("COMMIT")?;
            }
            session.simple(later)?;
        }
        if queries.is_empty() {
            return Ok(None);
        }
        let got = outcomes(&mut session, &queries)?;
        let wanted = e.breaks.as_ref().map_or_else(Vec::new, |b| vec![b.clone()]);
        Ok((got != wanted).then(|| format!("release N-1 gets {}, not {}", said(&got), said(&wanted))))
    };
    Ok(run())
}

/// A statement of release N-1. COPY cannot be prepared; it sends the rows that the table holds before the change.
struct Old {
    sql: String,
    rows: Option<String>,
}

fn said(states: &[String]) -> String {
    if states.is_empty() { "no error".to_string() } else { states.join(", ") }
}

/// Runs and prepares each statement of the workload. `Err`: one that does not run as it is.
fn prepare(session: &mut Session, e: &Example) -> Result<Result<Vec<Old>, String>, SqlError> {
    let source = SourceFile::new("workload.sql", e.workload.clone().unwrap_or_default());
    let mut out = Vec::new();
    for piece in crate::sql::split::split(&source, &[source.full_span()]) {
        let sql = source.slice(piece.span()).to_string();
        let mut rows = None;
        let copy = sql.get(..4).is_some_and(|w| w.eq_ignore_ascii_case("copy"));
        let ran = if copy {
            session.copy_out(&sql.replace("FROM STDIN", "TO STDOUT")).map(|r| rows = Some(r))
        } else {
            session.simple(&sql).map(|_| ())
        };
        if let Err(e) = ran {
            return Ok(Err(format!("before the change `{sql}` fails: {e}")));
        }
        if !copy {
            session.run(&format!("PREPARE old_{} AS {sql}", out.len()))?;
            session.run(&format!("EXECUTE old_{}", out.len()))?;
        }
        out.push(Old { sql, rows });
    }
    Ok(Ok(out))
}

/// The SQLSTATEs that they get now, fresh and prepared, each once. Nothing of it stays, and the transaction of the example ends.
fn outcomes(session: &mut Session, queries: &[Old]) -> Result<Vec<String>, SqlError> {
    session.run("COMMIT")?;
    let mut states = std::collections::BTreeSet::new();
    for (i, old) in queries.iter().enumerate() {
        for prepared in [false, true] {
            session.run("BEGIN")?;
            let outcome = match &old.rows {
                Some(rows) => session.copy_in(&old.sql, rows).map(|_| ()),
                None if prepared => session.simple(&format!("EXECUTE old_{i}")).map(|_| ()),
                None => session.simple(&old.sql).map(|_| ()),
            };
            states.extend(outcome.err().map(|e| e.sqlstate));
            session.run("ROLLBACK")?;
        }
    }
    Ok(states.into_iter().collect())
}

/// Roles belong to the whole cluster, so nothing of it is committed.
fn as_admin(db: &Database, e: &Example, sql: &str) -> Result<Ran, CliError> {
    let mut session = db.helper()?;
    let mut run = || {
        session.run("BEGIN")?;
        session.simple(&e.setup)?;
        session.simple(sql).map(|_| None)
    };
    Ok(run())
}
