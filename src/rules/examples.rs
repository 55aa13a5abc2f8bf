//! The examples of a rule file, run offline as migrations are.

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::facts::{Knowledge, expansions};
use crate::history::{Execution, Send};
use crate::op::PgVersion;
use crate::replay::{self, Expanded, ReplayedScript};
use crate::source::SourceFile;
use crate::stats::{IndexStats, RelationStats, Stats};
use crate::workload::{self, Workload};

use super::format::ExampleStatistics;
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
    let expanded = e.earlier.as_ref().map(|sql| expansions(&judge("earlier.sql", sql, &mut catalog))).unwrap_or_default();
    let outside = if e.history.outside { judge("example.sql", sql, &mut catalog.clone()).unknown() } else { None };
    catalog.complete &= !e.history.outside;
    let mut script = judge("example.sql", sql, &mut catalog);
    script.history = replay::InHistory {
        down: e.down.as_ref().map(|sql| Box::new(judge("example.down.sql", sql, &mut catalog.clone()))),
        down_expected: e.history.down_expected,
        duplicate: e.history.duplicate.clone(),
        overtaken_by: e.history.overtaken_by.clone(),
        edited: e.history.edited,
        outside,
        expanded: expanded.into_iter().map(|(table, old, new)| Expanded { table, old, new, migration: "earlier".into() }).collect(),
        version: "7".into(),
    };
    if let Some(later) = &e.later {
        replay::apply(&crate::lower::lower_text(later), &single, &mut catalog);
        let end = replay::Later::default();
        end.is(catalog);
        script.later = Some(end);
    }
    script
}

/// The rule speaks about the SQL.
pub fn is_flagged(rule: &Rule, e: &Example, sql: &str) -> bool {
    let rules = RuleSet::of(vec![rule.clone()]);
    let selection = Selection { select: vec![rule.name.clone()], knowledge: knowledge(e), ..Selection::default() };
    check(&rules, &replayed(e, sql), &selection).diagnostics.iter().any(|d| d.rule == rule.name)
}

fn knowledge(e: &Example) -> Knowledge {
    let queries = e.workload.as_ref().and_then(|w| workload::read("workload.sql", w).ok());
    Knowledge {
        workload: queries.map(|queries| Arc::new(Workload { queries, ..Workload::default() })),
        stats: e.statistics.as_ref().map(|s| Arc::new(statistics(s))),
        ..Knowledge::default()
    }
}

fn statistics(s: &ExampleStatistics) -> Stats {
    let tables: std::collections::BTreeSet<&String> = s.rows.keys().chain(s.unused.keys()).collect();
    let relation = |name: &String| RelationStats {
        schema: "public".into(),
        name: name.clone(),
        kind: "table".into(),
        rows: s.rows.get(name).copied(),
        indexes: s.unused.get(name).into_iter().flatten().map(|i| IndexStats { name: i.clone(), ..IndexStats::default() }).collect(),
        ..RelationStats::default()
    };
    Stats {
        window_seconds: Some(f64::from(s.days) * 86_400.0),
        longest_transaction_seconds: s.longest_transaction,
        relations: tables.into_iter().map(relation).collect(),
        ..Stats::default()
    }
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
