//! Rules: loaded from TOML, matched against facts, reported as diagnostics.
//!
//! A rule file may carry `[options]`; its conditions name them as `"{pattern}"` or `"> {max}"` (see `options.rs`). One `[[when]]` may have a
//! `message`, `label` or `help` of its own.

mod check;
mod format;
mod matching;
mod options;
mod page;
#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};

pub use check::{Checked, Checker, Selection, check};
pub use format::{Example, Rule, RuleError};
pub use page::page;

include!(concat!(env!("OUT_DIR"), "/rules.rs"));

/// Findings about the suppressions themselves; they have no file, because no operation matches them.
pub const ABOUT_SUPPRESSIONS: &[(&str, &str)] = &[
    ("unused-suppression", "A comment allows a rule that found nothing there"),
    ("unknown-rule", "A comment names a rule that does not exist"),
];

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

    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(Arc::as_ref)
    }

    pub fn get(&self, name: &str) -> Option<&Rule> {
        self.iter().find(|r| r.name == name)
    }

    pub fn knows(&self, name: &str) -> bool {
        self.get(name).is_some() || ABOUT_SUPPRESSIONS.iter().any(|(n, _)| *n == name)
    }

    /// Adds a user's rule; one with the name of a built-in rule takes its place.
    pub fn with(mut self, rule: Rule) -> Self {
        self.rules.retain(|r| r.name != rule.name);
        self.rules.push(Arc::new(rule));
        self
    }

    /// Sets options of rules: `[rules.options.<rule>]` of `airlock.toml`.
    pub fn with_options(mut self, options: &std::collections::BTreeMap<String, toml::Table>) -> Result<Self, RuleError> {
        for (name, values) in options {
            let Some(at) = self.rules.iter().position(|r| r.name == *name) else {
                let near = self.suggest(name).map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
                return Err(RuleError::Invalid { rule: name.clone(), message: format!("has options, but no rule has this name{near}") });
            };
            self.rules[at] = Arc::new(self.rules[at].with_options(values)?);
        }
        Ok(self)
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
