//! Liquibase formatted SQL: a file is a list of changesets, each a migration of its own.
//! <https://docs.liquibase.com/oss/user-guide-4-33/what-is-a-sql-changelog>

use crate::source::{SourceFile, Span};

use super::{Execution, Migration, Script, Send, pieces};

pub fn is_formatted(text: &str) -> bool {
    let first = text.trim_start_matches('\u{feff}').lines().find(|l| !l.trim().is_empty());
    first.is_some_and(|l| directive(l).is_some_and(|d| d.to_lowercase().starts_with("liquibase formatted sql")))
}

/// `--word …` and `-- word …` are the same.
fn directive(line: &str) -> Option<&str> {
    line.trim().trim_start_matches('\u{feff}').strip_prefix("--").map(str::trim)
}

/// What stands behind a word, if the line begins with it, whatever its case.
fn after<'a>(words: &'a str, word: &str) -> Option<&'a str> {
    words.get(..word.len()).filter(|w| w.eq_ignore_ascii_case(word)).map(|_| words[word.len()..].trim())
}

/// `key:value` on the line of a changeset; the value may stand in quotes.
fn attribute(line: &str, key: &str) -> Option<String> {
    let at = line.to_ascii_lowercase().find(&format!("{}:", key.to_ascii_lowercase()))?;
    let value = line.get(at + key.len() + 1..)?.trim_start();
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => value.split_whitespace().next(),
    };
    value.map(str::to_string)
}

/// The changeset that is being read.
struct Open {
    id: String,
    line: String,
    /// Forward SQL, without what rolls back and what is to be ignored.
    up: Vec<Span>,
    down: Vec<Span>,
    from: usize,
}

pub fn changesets(source: &SourceFile) -> Vec<Migration> {
    let mut out: Vec<Migration> = Vec::new();
    let mut open: Option<Open> = None;
    let mut at = 0;
    let mut in_rollback_block = None;
    let mut ignoring = 0usize;
    for line in source.text().split_inclusive('\n') {
        let end = at + line.len();
        let words = directive(line).unwrap_or_default();
        if let Some(rest) = after(words, "changeset") {
            finish(source, open.take(), at, &mut out);
            let id = rest.split_whitespace().next().unwrap_or("?").to_string();
            open = Some(Open { id, line: rest.to_string(), up: Vec::new(), down: Vec::new(), from: end });
            (in_rollback_block, ignoring) = (None, 0);
        } else if let Some(o) = &mut open {
            let ignore = after(words, "ignoreLines:");
            if ignoring > 0 || ignore.is_some() {
                o.take_up_to(at);
                o.from = end;
                ignoring = match ignore {
                    Some("start") => usize::MAX,
                    Some("end") => 0,
                    Some(n) => n.parse().unwrap_or(0),
                    None if ignoring == usize::MAX => ignoring,
                    None => ignoring - 1,
                };
            } else if let Some(start) = in_rollback_block {
                if let Some(stop) = line.find("*/") {
                    o.down.push(Span::new(start, at + stop));
                    in_rollback_block = None;
                }
            } else if after(line.trim(), "/* liquibase rollback").is_some() {
                in_rollback_block = Some(end);
            } else if let Some(sql) = after(words, "rollback").filter(|s| !s.is_empty()) {
                let start = at + line.find(sql).unwrap_or(line.len());
                o.down.push(Span::new(start, start + sql.len()));
            }
        }
        at = end;
    }
    finish(source, open.take(), at, &mut out);
    out
}

impl Open {
    fn take_up_to(&mut self, end: usize) {
        if self.from < end {
            self.up.push(Span::new(self.from, end));
        }
        self.from = end;
    }
}

fn finish(source: &SourceFile, open: Option<Open>, end: usize, out: &mut Vec<Migration>) {
    let Some(mut o) = open else { return };
    o.take_up_to(end);
    // A changeset for other databases does not run here.
    if let Some(dbms) = attribute(&o.line, "dbms") {
        let mut names = dbms.split(',').map(|d| d.trim().to_lowercase()).filter(|d| !d.is_empty());
        let is = |d: &str| matches!(d, "postgresql" | "all");
        let runs = names.clone().all(|d| d.starts_with('!')) && names.clone().all(|d| !is(&d[1..])) || names.any(|d| is(&d));
        if !runs {
            return;
        }
    }
    let says_no = |key: &str| attribute(&o.line, key).is_some_and(|v| v.eq_ignore_ascii_case("false"));
    let mut execution = Execution::new(!says_no("runInTransaction"), Send::Statement);
    let mut notes = Vec::new();
    if says_no("splitStatements") {
        execution.send = Send::Whole;
    } else if let Some(d) = attribute(&o.line, "endDelimiter") {
        let d = d.replace("\\n", "\n").replace("\\r", "\r");
        o.up = o.up.iter().flat_map(|s| pieces::cut_at_line_ends(source, *s, d.trim())).collect();
        execution.queries.clone_from(&o.up);
    }
    if attribute(&o.line, "runOnChange").is_some_and(|v| v == "true") || attribute(&o.line, "runAlways").is_some_and(|v| v == "true") {
        notes.push("runs again when it changes".to_string());
    }
    let empty = o.down.iter().all(|s| matches!(source.slice(*s).trim().to_lowercase().as_str(), "empty" | "not required"));
    let down = (!empty).then(|| Script {
        source: source.clone(),
        parts: o.down,
        execution: Execution { queries: Vec::new(), ..execution.clone() },
    });
    let up = Script { source: source.clone(), parts: o.up, execution };
    out.push(Migration { notes, ..Migration::new(o.id.clone(), o.id, up, down) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_changeset_has_its_own_transaction_and_its_way_back() {
        let text = "--liquibase formatted sql\n\n--changeset ann:1\nCREATE TABLE a ();\n--rollback DROP TABLE a;\n-- changeset bob:2 runInTransaction:false\nSELECT 1;\n/* liquibase rollback\nSELECT 2;\n*/\n--changeset c:3 dbms:mysql\nSELECT 3;\n--changeset d:4 dbms:\"h2, postgresql\" endDelimiter:/\nSELECT 4; SELECT 5\n/\nSELECT 6\n/\n--changeset e:5 splitStatements:false\nSELECT 7;\n--ignoreLines:start\nnonsense\n--ignoreLines:end\nSELECT 8;\n";
        let f = SourceFile::new("x.sql", text);
        assert!(is_formatted(text));
        let found = changesets(&f);
        assert_eq!(found.iter().map(|m| m.version.as_str()).collect::<Vec<_>>(), ["ann:1", "bob:2", "d:4", "e:5"]);
        let words = |s: &Script| s.parts.iter().map(|p| f.slice(*p).trim()).collect::<Vec<_>>().join(" | ");
        let down = |i: usize| found[i].down.as_ref().map(words);
        assert!(found[0].up.execution.transaction && !found[1].up.execution.transaction);
        assert_eq!(down(0).as_deref(), Some("DROP TABLE a;"));
        assert_eq!(down(1).as_deref(), Some("SELECT 2;"));
        assert_eq!(down(2), None);
        assert_eq!(words(&found[2].up), "SELECT 4; SELECT 5 | SELECT 6");
        assert_eq!(found[2].up.execution.queries.len(), 2);
        assert_eq!((words(&found[3].up).as_str(), found[3].up.execution.send), ("SELECT 7; | SELECT 8;", Send::Whole));
    }
}
