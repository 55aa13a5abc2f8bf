//! How each runner sends a file: what it does by itself, and the words in or beside the file that change it. The facts and where they
//! come from are in `docs/frameworks.md`.

use std::sync::LazyLock;

use regex::Regex;

use crate::source::{SourceFile, Span};
use crate::sql::split::split;

use super::pieces;
use super::read::Folder;
use super::{Execution, Framework, Script, Send, sections};

/// How the runner sends a file that says nothing else.
pub fn default_execution(framework: Framework) -> Execution {
    use Framework as F;
    let (transaction, send) = match framework {
        F::Plain | F::Atlas | F::Flyway | F::Goose | F::Liquibase | F::SqlMigrate | F::Yoyo | F::Pgmigrate => (true, Send::Statement),
        F::Drizzle | F::Bytebase => (true, Send::Statement),
        F::Dbmate | F::Sqlx | F::Diesel | F::Refinery | F::GraphileMigrate | F::Tern | F::Morph => (true, Send::Whole),
        F::NodePgMigrate | F::Hasura | F::Pop => (true, Send::Whole),
        F::GolangMigrate | F::Prisma | F::Rambler => (false, Send::Whole),
        F::Supabase => (false, Send::Pipeline),
        F::Sqitch => (false, Send::Statement),
    };
    Execution::new(transaction, send)
}

/// One transaction around all files that are pending.
pub fn all_pending_in_one(framework: Framework) -> bool {
    matches!(framework, Framework::Drizzle | Framework::NodePgMigrate | Framework::Pgmigrate)
}

/// Endings by which people name the way back in a plain folder.
pub const PLAIN_DOWN: [&str; 7] = [".down.sql", "_down.sql", "-down.sql", ".rollback.sql", "_rollback.sql", ".revert.sql", ".undo.sql"];

/// The words of the runner that a file carries, and what is to be said about them.
pub struct Way {
    pub execution: Execution,
    /// Where the runner's own delimiters cut the file; empty: it is all one part.
    pub parts: Vec<Span>,
    pub notes: Vec<String>,
}

/// A file that runs forward as a whole.
pub fn script(framework: Framework, source: SourceFile, name: &str, folder: &Folder) -> (Script, Vec<String>) {
    let way = way(framework, &source, name, folder);
    let mut script = Script::whole(source, way.execution);
    if !way.parts.is_empty() {
        script.parts = way.parts;
    }
    (script, way.notes)
}

/// Text from standard input: what it says about itself counts, as in a file.
pub fn of_text(framework: Framework, source: SourceFile) -> Script {
    let folder = Folder::empty();
    script(framework, source, "", &folder).0
}

/// The file's own words about how it wants to be run.
pub fn way(framework: Framework, source: &SourceFile, name: &str, folder: &Folder) -> Way {
    use Framework as F;
    let text = source.text();
    let mut w = Way { execution: default_execution(framework), parts: Vec::new(), notes: Vec::new() };
    let without = |w: &mut Way, yes: bool| w.execution.transaction &= !yes;
    match framework {
        F::Goose => without(&mut w, sections::has_line(text, "-- +goose no transaction")),
        F::Sqlx => first_bytes(&mut w, text, "-- no-transaction", "sqlx"),
        F::Morph => first_bytes(&mut w, text, "-- morph:nontransactional", "morph"),
        F::GraphileMigrate => graphile(&mut w, text),
        F::Tern => tern(&mut w, text),
        F::Atlas => atlas(&mut w, source),
        F::Yoyo => without(&mut w, header(text).any(|l| l.to_lowercase().replace(' ', "") == "--transactional:false")),
        F::Bytebase => without(&mut w, header(text).any(|l| l.to_lowercase().replace(' ', "") == "--txn-mode=off")),
        F::Pgmigrate => without(&mut w, name.contains("NONTRANSACTIONAL")),
        F::Pop => without(&mut w, name.contains(".autocommit.")),
        F::Flyway => flyway(&mut w, source, name, folder),
        F::Prisma => prisma(&mut w, folder),
        F::Supabase => supabase(&mut w, source),
        // A folder that a person runs with psql: BEGIN … COMMIT of its own, or words that no transaction takes, or our own that say so.
        F::Plain => {
            without(&mut w, header(text).any(|l| l == "-- airlock:no-transaction"));
            let own = heads(source).iter().any(|h| opens_transaction(&h.upper) || refuses_transaction(&h.upper));
            without(&mut w, own);
        }
        _ => {}
    }
    w
}

/// Comment lines and blank lines at the start.
pub fn header(text: &str) -> impl Iterator<Item = &str> {
    let text = text.trim_start_matches('\u{feff}');
    text.lines().map(str::trim).take_while(|l| l.is_empty() || l.starts_with("--"))
}

/// Runners that compare the first bytes of the file, and nothing else.
fn first_bytes(w: &mut Way, text: &str, directive: &str, runner: &str) {
    if text.starts_with(directive) {
        w.execution.transaction = false;
    } else if text.lines().any(|l| l.trim_start_matches('\u{feff}').trim().starts_with(directive)) {
        w.notes
            .push(format!("`{directive}` is not the first thing in the file, so {runner} does not see it: the file runs in a transaction"));
    }
}

/// A full line; tern splits the statements only then.
fn tern(w: &mut Way, text: &str) {
    const DIRECTIVE: &str = "---- tern: disable-tx ----";
    // The line must end right there: tern's pattern takes no carriage return.
    if text.split('\n').any(|l| l == DIRECTIVE) {
        w.execution = Execution::new(false, Send::Statement);
    } else if text.contains(DIRECTIVE) {
        w.notes.push(format!(
            "`{DIRECTIVE}` is not a line of its own (a carriage return counts), so tern does not see it: the file runs in a transaction"
        ));
    }
}

/// `--! no-transaction` on the first line of the body, which stands below the two lines of a committed file and a blank one.
fn graphile(w: &mut Way, text: &str) {
    let is = |l: &str| l.strip_prefix("--!").is_some_and(|r| r.trim_start().starts_with("no-transaction"));
    let mut body = text.lines().skip_while(|l| l.starts_with("--! Previous") || l.starts_with("--! Hash") || l.starts_with("--! Message"));
    let mut first = body.next();
    while first.is_some_and(|l| l.trim().is_empty()) && text.starts_with("--! Previous") {
        first = body.next();
    }
    if first.is_some_and(is) {
        w.execution.transaction = false;
    } else if text.lines().any(is) {
        w.notes
            .push("`--! no-transaction` is not the first line, so graphile-migrate does not see it: the file runs in a transaction".into());
    }
}

/// Directives of Atlas stand in comments at the very start, and a blank line must follow them.
fn atlas(w: &mut Way, source: &SourceFile) {
    let text = source.text().trim_start_matches('\u{feff}');
    let comment = |l: &&str| l.starts_with("--") || l.starts_with('#') || l.starts_with("/*");
    let block: Vec<&str> = text.lines().take_while(comment).collect();
    let closed = text.lines().nth(block.len()).is_none_or(|l| l.trim().is_empty());
    let value = |l: &str, key: &str| {
        let words = l.trim_start_matches(['-', '#', '/', '*', ' ']).strip_prefix("atlas:")?.strip_prefix(key)?;
        words.starts_with([' ', '\t']).then(|| words.trim().to_string())
    };
    let mode = block.iter().find_map(|l| value(l, "txmode"));
    if mode.as_deref() == Some("none") {
        if closed {
            w.execution.transaction = false;
        } else {
            w.notes.push(
                "no blank line follows the comment with `atlas:txmode none`, so Atlas takes it for a comment of the statement: the file runs in a transaction".into(),
            );
        }
    }
    // The delimiter need not be followed by a blank line.
    if let Some(d) = text.lines().next().and_then(|l| value(l, "delimiter")) {
        let d = d.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r");
        let after = source.text().find('\n').map_or(source.text().len(), |i| i + 1);
        w.parts = pieces::cut(source, Span::new(after, source.text().len()), &d);
        w.execution.queries.clone_from(&w.parts);
    }
}

/// `X.sql.conf` beside the file wins; else Flyway looks at the statements, and refuses a file that has both kinds.
fn flyway(w: &mut Way, source: &SourceFile, name: &str, folder: &Folder) {
    let sidecar = folder.beside(&format!("{name}.conf")).and_then(|t| property(&t, "executeInTransaction"));
    let project = ["flyway.toml", "flyway.conf", "conf/flyway.conf", "application.properties", "src/main/resources/application.properties"];
    let general = |key: &str| project.iter().find_map(|f| folder.read_above(f).and_then(|t| property(&t, key)));
    if let Some(v) = sidecar.or_else(|| general("executeInTransaction")) {
        w.execution.transaction = v != "false";
        return;
    }
    let heads = heads(source);
    let (alone, others): (Vec<&Head>, Vec<&Head>) = heads.iter().partition(|h| flyway_sees(&h.upper));
    if let Some(first) = alone.first() {
        w.execution.transaction = false;
        if !others.is_empty() && general("mixed").as_deref() != Some("true") {
            w.notes.push(format!(
                "Flyway refuses this file: `{}` runs outside of a transaction and the other statements in one; give it a file of its own, or set `mixed=true`",
                first.short
            ));
        }
    } else if let Some(missed) = heads.iter().find(|h| refuses_transaction(&h.upper)) {
        w.notes.push(format!(
            "Flyway does not see that `{}` cannot run in a transaction; put `executeInTransaction=false` into {name}.conf",
            missed.short
        ));
    }
}

/// `key=value` of a properties file or `key = value` of a TOML file, with the prefixes that Flyway and Spring give it.
fn property(text: &str, key: &str) -> Option<String> {
    text.lines().find_map(|l| {
        let (k, v) = l.split_once('=')?;
        let k = k.trim().trim_start_matches("spring.").trim_start_matches("flyway.");
        (k == key).then(|| v.trim().trim_matches('"').to_lowercase())
    })
}

/// Prisma's way of sending changed in 7.4; `package.json` says which one it is.
fn prisma(w: &mut Way, folder: &Folder) {
    static VERSION: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#""(?:@prisma/client|prisma)"\s*:\s*"[^0-9"]{0,2}(\d+)\.(\d+)"#).expect("a valid pattern"));
    let number = |m: Option<regex::Match<'_>>| m.and_then(|m| m.as_str().parse::<u32>().ok()).unwrap_or(0);
    let found = folder.read_above("package.json").and_then(|t| VERSION.captures(&t).map(|c| (number(c.get(1)), number(c.get(2)))));
    if found.is_some_and(|v| v >= (7, 4)) {
        w.execution = Execution::new(false, Send::Statement);
    }
}

/// Is the version of Prisma known?
pub fn prisma_note(folder: &Folder) -> Option<String> {
    let known = folder.read_above("package.json").is_some_and(|t| t.contains("\"prisma\"") || t.contains("\"@prisma/client\""));
    (!known).then(|| {
        "Prisma before 7.4 sends a file as one query (one transaction), later versions statement by statement; no package.json says which, read as the older".into()
    })
}

fn supabase(w: &mut Way, source: &SourceFile) {
    let heads = heads(source);
    // Only the first statement of a pipeline may be one; behind another the server refuses it.
    if let Some(h) = heads.iter().skip(1).find(|h| refuses_transaction(&h.upper)) {
        w.notes.push(format!("recent versions of the Supabase CLI run `{}` by itself, older ones fail; read as the older", h.short));
    }
}

/// The first words of a statement, one blank between them.
struct Head {
    upper: String,
    /// As they stand there, for messages.
    short: String,
}

fn heads(source: &SourceFile) -> Vec<Head> {
    let words =
        |s: &crate::sql::split::Slice, n: usize| s.tokens.iter().take(n).map(|t| source.slice(t.span)).collect::<Vec<_>>().join(" ");
    split(source, &[source.full_span()])
        .iter()
        .map(|s| Head { upper: words(s, 16).to_ascii_uppercase(), short: words(s, 4) })
        .filter(|h| !h.upper.starts_with('\\'))
        .collect()
}

/// Statements at the sight of which Flyway runs a file without a transaction: the patterns of its own parser, gaps included.
fn flyway_sees(head: &str) -> bool {
    static WORDS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"^(?:(?:CREATE|DROP) (?:DATABASE|TABLESPACE|SUBSCRIPTION)|ALTER SYSTEM|(?:CREATE|DROP)(?: UNIQUE)? INDEX CONCURRENTLY|REINDEX(?: VERBOSE)? (?:SCHEMA|DATABASE|SYSTEM)|VACUUM|DISCARD ALL)\b",
        )
        .expect("a valid pattern")
    });
    WORDS.is_match(head)
}

/// Words that no transaction block takes. Only for the choice of a way: what Postgres says of a statement is `effects`' affair.
fn refuses_transaction(head: &str) -> bool {
    static WORDS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?:REINDEX(?: \(.*\))? (?:INDEX|TABLE) CONCURRENTLY|ALTER TABLE .* DETACH PARTITION .* CONCURRENTLY)\b")
            .expect("a valid pattern")
    });
    flyway_sees(head) || WORDS.is_match(head)
}

fn opens_transaction(head: &str) -> bool {
    head == "BEGIN"
        || ["BEGIN TRANSACTION", "BEGIN WORK", "BEGIN ISOLATION", "BEGIN READ", "START TRANSACTION"].iter().any(|w| head.starts_with(w))
}
