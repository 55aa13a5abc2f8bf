//! Names of other linters' rules, and what they allow here: `rules/foreign.toml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::source::{Dialect, Suppression};

type Names = BTreeMap<String, BTreeMap<String, Vec<String>>>;

const TEXT: &str = include_str!("../../rules/foreign.toml");

/// Dialect → name there → rules here. That it reads is a test's business.
static TABLE: LazyLock<Names> = LazyLock::new(|| toml::from_str(TEXT).unwrap_or_default());

/// The rules here that a rule of another linter stands for; `None`: it has no such rule.
pub fn ours(dialect: Dialect, name: &str) -> Option<&'static Vec<String>> {
    TABLE.get(&dialect.to_string())?.get(name)
}

/// The comment allows the rule: by a name that stands for it, by the rule's own name, or because it names nothing.
pub fn allows(comment: &Suppression, rule: &str) -> bool {
    let means = |name: &str| name == rule || ours(comment.dialect, name).is_some_and(|l| l.iter().any(|r| r == rule));
    comment.rules.is_empty() || comment.rules.iter().any(|(n, _)| means(n))
}

/// The other linter has such a rule.
pub fn knows(dialect: Dialect, name: &str) -> bool {
    ours(dialect, name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counterpart_is_a_rule() {
        let table: Names = toml::from_str(TEXT).expect("the table reads");
        for (dialect, names) in &table {
            assert!(dialect.parse::<Dialect>().is_ok(), "{dialect}");
            for (name, rules) in names {
                for r in rules {
                    assert!(crate::rules::RuleSet::built_in().get(r).is_some(), "{dialect} {name}: no rule is called `{r}`");
                }
            }
        }
    }
}
