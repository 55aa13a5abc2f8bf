//! Facts × rules → diagnostics, with suppressions.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use crate::diagnostic::{Diagnostic, Severity};
use crate::facts::{Facts, Value, collect};
use crate::replay::ReplayedScript;
use crate::source::{SuppressionScope, suppressions};

use super::format::fill;
use super::matching::When;
use super::{Rule, RuleSet};

/// Which rules speak, and how loudly.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Rules, groups or tags; empty: the default ones. `all` is every rule.
    pub select: Vec<String>,
    pub ignore: Vec<String>,
    pub severity: BTreeMap<String, Severity>,
}

impl Selection {
    fn names(rule: &Rule, list: &[String]) -> bool {
        list.iter().any(|n| n == "all" || *n == rule.name || *n == rule.group || rule.tags.contains(n))
    }

    pub fn includes(&self, rule: &Rule) -> bool {
        let selected = if self.select.is_empty() { rule.default } else { Self::names(rule, &self.select) };
        selected && !Self::names(rule, &self.ignore)
    }

    fn severity_of(&self, rule: &Rule) -> Severity {
        self.severity.get(&rule.name).copied().unwrap_or(rule.severity)
    }
}

#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// In the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// Findings that a comment allows.
    pub suppressed: usize,
}

/// Checks one script; several are cheaper with one `Checker`.
pub fn check(rules: &RuleSet, script: &ReplayedScript, selection: &Selection) -> Checked {
    Checker::new(rules, selection).check(script)
}

/// The rules that speak, found by operation: most rules are about one or two operations, and most operations concern few rules.
pub struct Checker<'r> {
    rules: &'r RuleSet,
    active: Vec<(&'r Rule, Severity)>,
    /// Places in `active`, by the value of the fact `op`; filled as operations come.
    by_op: RwLock<HashMap<String, Arc<[usize]>>>,
}

impl<'r> Checker<'r> {
    pub fn new(rules: &'r RuleSet, selection: &Selection) -> Self {
        let active = rules.iter().filter(|r| selection.includes(r)).map(|r| (r, selection.severity_of(r))).collect();
        Checker { rules, active, by_op: RwLock::default() }
    }

    pub fn check(&self, script: &ReplayedScript) -> Checked {
        let mut found = Vec::new();
        for facts in collect(script) {
            for i in self.concerned(&facts).iter() {
                let (rule, severity) = self.active[*i];
                if let Some(when) = rule.when.iter().find(|w| w.holds(&facts)) {
                    found.push(diagnostic(rule, when, script, &facts, severity));
                }
            }
        }
        suppress(self.rules, script, found)
    }

    fn concerned(&self, facts: &Facts) -> Arc<[usize]> {
        let all = || (0..self.active.len()).collect();
        let Some(op @ Value::Text(name)) = facts.get("op") else { return all() };
        // A thread that panicked while it held the lock has left the map whole: entries are only ever added.
        if let Some(known) = self.by_op.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return known.clone();
        }
        let new: Arc<[usize]> = (0..self.active.len()).filter(|i| self.active[*i].0.when.iter().any(|w| w.may_concern(op))).collect();
        self.by_op.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), new.clone());
        new
    }
}

fn diagnostic(rule: &Rule, when: &When, script: &ReplayedScript, facts: &Facts, severity: Severity) -> Diagnostic {
    Diagnostic {
        rule: rule.name.clone(),
        severity,
        source: script.source.clone(),
        span: facts.span,
        statement: facts.statement,
        message: fill(when.message.as_ref().unwrap_or(&rule.message), facts),
        label: fill(when.label.as_ref().unwrap_or(&rule.label), facts),
        related: Vec::new(),
        help: fill(when.help.as_ref().unwrap_or(&rule.help), facts),
        fix: None,
        object: facts.object.clone(),
    }
}

fn suppress(rules: &RuleSet, script: &ReplayedScript, found: Vec<Diagnostic>) -> Checked {
    let comments = suppressions(&script.source);
    let mut used: BTreeSet<(usize, usize)> = BTreeSet::new();
    let mut out = Checked::default();
    let line = |offset: u32| script.source.line_of(offset);
    for d in found {
        // A comment above a statement speaks of the statement, one beside a line of that line.
        let lines = [line(d.span.start), line(d.statement.start)];
        let mut allowed = false;
        for (i, c) in comments.iter().enumerate() {
            let here = match c.scope {
                SuppressionScope::File => true,
                SuppressionScope::Line(n) => lines.contains(&n),
            };
            for (j, (name, _)) in c.rules.iter().enumerate() {
                if here && *name == d.rule {
                    used.insert((i, j));
                    allowed = true;
                }
            }
        }
        if allowed {
            out.suppressed += 1;
        } else {
            out.diagnostics.push(d);
        }
    }
    // A file of several migrations (Liquibase) is checked part by part: a comment is judged where it stands.
    let end = script.statements.iter().map(|s| s.statement.span.end).max();
    let inside = |at: u32| end.is_none_or(|end| end >= at) || comments.len() == 1;
    for (i, c) in comments.iter().enumerate() {
        for (j, (name, span)) in c.rules.iter().enumerate() {
            let (rule, message, help) = if !rules.knows(name) {
                let near = rules.suggest(name).map(|n| format!("did you mean `{n}`? ")).unwrap_or_default();
                ("unknown-rule", format!("no rule is called `{name}`"), format!("{near}`airlock rules` lists them"))
            } else if !used.contains(&(i, j)) && inside(span.start) {
                (
                    "unused-suppression",
                    format!("`{name}` found nothing here: the comment allows nothing"),
                    "remove the name, or the comment".to_string(),
                )
            } else {
                continue;
            };
            out.diagnostics.push(Diagnostic {
                rule: rule.into(),
                severity: Severity::Warning,
                source: script.source.clone(),
                span: *span,
                statement: c.span,
                message,
                label: String::new(),
                related: Vec::new(),
                help,
                fix: None,
                object: name.clone(),
            });
        }
    }
    out.diagnostics.sort_by_key(|d| (d.span.start, std::cmp::Reverse(d.severity), d.rule.clone()));
    out
}
