//! Liquibase formatted SQL: a file is a list of changesets, each a migration of its own.
//! <https://docs.liquibase.com/oss/user-guide-4-33/what-is-a-sql-changelog>

use crate::source::{SourceFile, Span};

use super::{Execution, Migration, Script, Send};

pub fn is_formatted(text: &str) -> bool {
    let first = text.trim_start_matches('\u{feff}').lines().find(|l| !l.trim().is_empty());
    first.is_some_and(|l| directive(l).is_some_and(|d| d.to_lowercase().starts_with("liquibase formatted sql")))
}

/// `--word …` and `-- word …` are the same.
fn directive(line: &str) -> Option<&str> {
    line.trim().trim_start_matches('\u{feff}').strip_prefix("--").map(str::trim)
}

pub fn changesets(source: &SourceFile) -> Vec<Migration> {
    let mut out: Vec<Migration> = Vec::new();
    let mut open: Option<(String, bool, usize)> = None;
    let mut at = 0;
    let mut close = |open: &mut Option<(String, bool, usize)>, end: usize| {
        if let Some((id, transaction, start)) = open.take() {
            let execution = Execution::new(transaction, Send::Statement);
            let up = Script { source: source.clone(), parts: vec![Span::new(start, end)], execution };
            out.push(Migration { version: id.clone(), name: id, up, down: None });
        }
    };
    for line in source.text().split_inclusive('\n') {
        let words = directive(line).unwrap_or_default();
        if words.get(..9).is_some_and(|w| w.eq_ignore_ascii_case("changeset")) {
            close(&mut open, at);
            let rest = words[9..].trim();
            let id = rest.split_whitespace().next().unwrap_or("?").to_string();
            let transaction = !rest.to_lowercase().replace(' ', "").contains("runintransaction:false");
            open = Some((id, transaction, at + line.len()));
        }
        at += line.len();
    }
    close(&mut open, source.text().len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_changeset_has_its_own_transaction() {
        let text = "--liquibase formatted sql\n\n--changeset ann:1\nCREATE TABLE a ();\n--rollback DROP TABLE a;\n-- changeset bob:2 runInTransaction:false\nSELECT 1;\n";
        let f = SourceFile::new("x.sql", text);
        assert!(is_formatted(text));
        let found = changesets(&f);
        assert_eq!(found.iter().map(|m| m.version.as_str()).collect::<Vec<_>>(), ["ann:1", "bob:2"]);
        assert!(found[0].up.execution.transaction && !found[1].up.execution.transaction);
        assert_eq!(f.slice(found[1].up.parts[0]), "SELECT 1;\n");
    }
}
