//! The examples of a rule file, run offline as migrations are.

use crate::catalog::Catalog;
use crate::history::{Execution, Send};
use crate::op::PgVersion;
use crate::replay::{self, ReplayedScript};
use crate::source::SourceFile;

use super::{Example, Rule, RuleSet, Selection, check};

/// The example's SQL on the schema of its setup.
pub fn replayed(e: &Example, sql: &str) -> ReplayedScript {
    let mut catalog = Catalog::new(PgVersion(e.only.unwrap_or(e.since.max(PgVersion::default().0))));
    catalog.complete = true;
    let single = Execution::new(false, Send::Statement);
    let execution = Execution::new(e.transaction, Send::Statement);
    replay::apply(&crate::lower::lower_text(&e.setup), &single, &mut catalog);
    let judge = |name: &str, sql: &str, catalog: &mut Catalog| {
        let source = SourceFile::new(name, sql);
        let statements = crate::lower::lower(&source, &[source.full_span()]);
        replay::judge(&source, statements, &execution, catalog)
    };
    let mut script = judge("example.sql", sql, &mut catalog);
    script.history = replay::InHistory {
        down: e.down.as_ref().map(|sql| Box::new(judge("example.down.sql", sql, &mut catalog.clone()))),
        down_expected: e.history.down_expected,
        duplicate: e.history.duplicate.clone(),
        overtaken_by: e.history.overtaken_by.clone(),
        edited: e.history.edited,
        version: "7".into(),
    };
    if let Some(later) = &e.later {
        replay::apply(&crate::lower::lower_text(later), &single, &mut catalog);
        script.later = Some(catalog);
    }
    script
}

/// The rule speaks about the SQL.
pub fn is_flagged(rule: &Rule, e: &Example, sql: &str) -> bool {
    let rules = RuleSet::of(vec![rule.clone()]);
    let selection = Selection { select: vec![rule.name.clone()], ..Selection::default() };
    check(&rules, &replayed(e, sql), &selection).diagnostics.iter().any(|d| d.rule == rule.name)
}

/// What the examples show is not so: a sentence each.
pub fn failures(rule: &Rule) -> Vec<String> {
    let wrong = |e: &Example| match (&e.flagged, &e.clean) {
        (Some(sql), _) if !is_flagged(rule, e, sql) => Some(format!("not flagged: {sql}")),
        (_, Some(sql)) if is_flagged(rule, e, sql) => Some(format!("flagged, but called clean: {sql}")),
        _ => None,
    };
    rule.examples.iter().filter_map(wrong).collect()
}
