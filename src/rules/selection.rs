//! Which rules speak where, and how loudly.

use std::collections::BTreeMap;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::diagnostic::Severity;
use crate::facts::{Facts, Knowledge, Value};
use crate::source::Dialect;

use super::Rule;

/// Which rules speak, how loudly, and what is known beside the SQL.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Rules, groups or tags; empty: the default ones. `all` is every rule.
    pub select: Vec<String>,
    pub ignore: Vec<String>,
    /// Left out whatever an override says: what the command line ignores.
    pub never: Vec<String>,
    pub severity: BTreeMap<String, Severity>,
    /// A later one wins.
    pub overrides: Vec<Override>,
    pub suppressions: SuppressionPolicy,
    pub knowledge: Knowledge,
}

/// What comments may do.
#[derive(Debug, Clone, Default)]
pub struct SuppressionPolicy {
    /// A comment that allows a finding must say why.
    pub require_reason: bool,
    /// Other linters whose comments count.
    pub compat: Vec<Dialect>,
}

/// Other settings for some files or tables.
#[derive(Debug, Clone, Default)]
pub struct Override {
    /// `None`: every file.
    pub paths: Option<GlobSet>,
    /// `None`: every table.
    pub tables: Option<GlobSet>,
    pub select: Vec<String>,
    pub ignore: Vec<String>,
    pub severity: BTreeMap<String, Severity>,
    /// Rules with other options.
    pub rules: BTreeMap<String, Rule>,
}

/// Globs over paths: `*` stays inside a folder, and a folder stands for everything below it.
pub fn path_globs(patterns: &[String]) -> Result<Option<GlobSet>, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for p in patterns {
        let p = p.trim_start_matches("./").trim_end_matches('/');
        set.add(GlobBuilder::new(p).literal_separator(true).build()?);
        set.add(GlobBuilder::new(&format!("{p}/**")).literal_separator(true).build()?);
    }
    (!patterns.is_empty()).then(|| set.build()).transpose()
}

/// Globs over `schema.table` or `table`.
pub fn table_globs(patterns: &[String]) -> Result<Option<GlobSet>, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for p in patterns {
        set.add(Glob::new(p)?);
    }
    (!patterns.is_empty()).then(|| set.build()).transpose()
}

impl Selection {
    fn names(rule: &Rule, list: &[String]) -> bool {
        list.iter().any(|n| n == "all" || *n == rule.name || *n == rule.group || rule.tags.contains(n))
    }

    /// What holds for one file. `path` is relative to the folder of the configuration, with `/`.
    pub fn at(&self, path: &str) -> Selection {
        let mut here = self.clone();
        here.overrides.retain(|o| o.paths.as_ref().is_none_or(|g| g.is_match(path)));
        here
    }

    /// The rule is on for some table.
    pub fn may_include(&self, rule: &Rule) -> bool {
        let on = self.base(rule) || self.overrides.iter().any(|o| Self::names(rule, &o.select));
        on && !Self::names(rule, &self.never)
    }

    /// The rule is on for what the facts are about.
    pub fn includes(&self, rule: &Rule, facts: &Facts) -> bool {
        let mut on = self.base(rule);
        for o in self.overrides.iter().filter(|o| o.is_about(facts)) {
            on = (on || Self::names(rule, &o.select)) && !Self::names(rule, &o.ignore);
        }
        on && !Self::names(rule, &self.never)
    }

    /// The rule with the options that hold for what the facts are about.
    pub fn variant<'r>(&'r self, rule: &'r Rule, facts: &Facts) -> &'r Rule {
        let here = self.overrides.iter().rev().filter(|o| !o.rules.is_empty() && o.is_about(facts));
        here.filter_map(|o| o.rules.get(&rule.name)).next().unwrap_or(rule)
    }

    /// The rule, and what overrides make of it.
    pub fn variants<'r>(&'r self, rule: &'r Rule) -> impl Iterator<Item = &'r Rule> {
        std::iter::once(rule).chain(self.overrides.iter().filter_map(|o| o.rules.get(&rule.name)))
    }

    /// Findings about the text are on unless they are ignored by name; what is said about some tables does not concern them.
    pub fn includes_about_the_text(&self, name: &str) -> bool {
        let names = |list: &[String]| list.iter().any(|n| n == "all" || n == name);
        let mut on = !names(&self.ignore);
        for o in self.about_files() {
            on = (on || names(&o.select)) && !names(&o.ignore);
        }
        on && !names(&self.never)
    }

    pub fn severity_about_the_text(&self, name: &str) -> Option<Severity> {
        let last = self.about_files().filter_map(|o| o.severity.get(name)).last();
        last.or_else(|| self.severity.get(name)).copied()
    }

    fn about_files(&self) -> impl Iterator<Item = &Override> {
        self.overrides.iter().filter(|o| o.tables.is_none())
    }

    fn base(&self, rule: &Rule) -> bool {
        let selected = if self.select.is_empty() { rule.default } else { Self::names(rule, &self.select) };
        selected && !Self::names(rule, &self.ignore)
    }

    /// The severity that was asked for, where one was.
    pub fn severity_of(&self, rule: &Rule, facts: &Facts) -> Option<Severity> {
        let here = self.overrides.iter().rev().filter(|o| o.is_about(facts));
        here.filter_map(|o| o.severity.get(&rule.name)).next().or_else(|| self.severity.get(&rule.name)).copied()
    }
}

impl Override {
    fn is_about(&self, facts: &Facts) -> bool {
        let Some(tables) = &self.tables else { return true };
        let named = |name: &str| tables.is_match(name) || name.rsplit_once('.').is_some_and(|(_, last)| tables.is_match(last));
        let table = match facts.get("table") {
            Some(Value::Text(t)) => named(t) || !t.contains('.') && facts.object.ends_with(&format!(".{t}")) && named(&facts.object),
            _ => false,
        };
        table || named(&facts.object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_what_is_below_it() {
        let g = path_globs(&["legacy".into(), "m/*.sql".into()]).expect("globs").expect("some");
        assert!(g.is_match("legacy/a/b.sql") && g.is_match("m/1.sql") && !g.is_match("m/x/1.sql") && !g.is_match("legacy2/a.sql"));
    }
}
