//! Rules: loaded from TOML, matched against facts, reported as diagnostics.
//!
//! A rule file may carry `[options]`; its conditions name them as `"{pattern}"` or `"> {max}"` (see `options.rs`). One `[[when]]` may have a
//! `message`, `label`, `help` or `severity` of its own.

mod anchors;
#[cfg(test)]
mod availability_test;
mod baseline;
mod check;
pub mod examples;
mod fix;
#[cfg(test)]
mod fix_tests;
mod foreign;
mod format;
mod lint;
mod matching;
mod options;
mod page;
mod selection;
#[cfg(test)]
mod situations_test;
mod suppress;
mod table;
mod terminal;
#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};

pub use baseline::{Baseline, Compared, Entry};
pub use check::{Checked, Checker, Fixes, check};
pub use fix::{Draft, apply, mend};
pub use foreign::ours as counterparts;
pub use format::{Example, ExampleHistory, Rule, RuleError};
pub use lint::{Problem, problems};
pub use page::page;
pub use selection::{Override, Selection, SuppressionPolicy, path_globs, table_globs};
pub use table::{markdown, needs};
pub use terminal::draw;

include!(concat!(env!("OUT_DIR"), "/rules.rs"));

/// Findings about comments and bytes; they have no rule file, because no operation matches them.
pub const ABOUT_THE_TEXT: &[(&str, &str)] = &[
    ("unused-suppression", "A comment allows a rule that found nothing there"),
    ("unknown-rule", "A comment names a rule that does not exist"),
    (UNREADABLE, "A file that cannot be read, or not as UTF-8; what can be made of it is checked, and `--fix` leaves it alone"),
    ("missing-reason", "A comment allows a finding and does not say why; checked where `[suppressions] require-reason = true`"),
];

const UNREADABLE: &str = "unreadable-file";

/// Every rule that is known.
#[derive(Debug, Clone)]
pub struct RuleSet {
    rules: Vec<Arc<Rule>>,
}

impl RuleSet {
    /// The rules in the binary. That they load is a test's business.
    pub fn built_in() -> &'static RuleSet {
        static SET: LazyLock<RuleSet> = LazyLock::new(|| RuleSet {
            rules: BUILT_IN
                .iter()
                .zip(COMPACT)
                .filter_map(|((group, name, text), compact)| Rule::built_in(group, name, text, compact).ok().map(Arc::new))
                .collect(),
        });
        &SET
    }

    /// These rules and no others.
    pub fn of(rules: Vec<Rule>) -> RuleSet {
        RuleSet { rules: rules.into_iter().map(Arc::new).collect() }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(Arc::as_ref)
    }

    pub fn get(&self, name: &str) -> Option<&Rule> {
        self.iter().find(|r| r.name == name)
    }

    pub fn knows(&self, name: &str) -> bool {
        self.get(name).is_some() || ABOUT_THE_TEXT.iter().any(|(n, _)| *n == name)
    }

    /// Adds a user's rule; one with the name of a built-in rule takes its place.
    pub fn with(mut self, rule: Rule) -> Self {
        match self.rules.iter_mut().find(|r| r.name == rule.name) {
            Some(r) => *r = Arc::new(rule),
            None => self.rules.push(Arc::new(rule)),
        }
        self
    }

    /// The nearest known name, if one is near.
    pub fn suggest(&self, name: &str) -> Option<&str> {
        let names: Vec<&str> = self.rules.iter().map(|r| r.name.as_str()).collect();
        nearest(name, &names)
    }
}

/// The most similar of the names, if it is similar enough to have been meant.
pub fn nearest<'n>(word: &str, names: &[&'n str]) -> Option<&'n str> {
    names
        .iter()
        .map(|n| (similar::TextDiff::from_chars(word, *n).ratio(), *n))
        .filter(|(r, _)| *r >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, n)| n)
}
