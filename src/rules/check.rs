//! Facts × rules → diagnostics.

use crate::diagnostic::{Diagnostic, Severity};
use crate::facts::{Facts, Value, collect};
use crate::replay::ReplayedScript;
use crate::stats::Size;

use super::format::fill;
use super::matching::When;
use super::selection::Selection;
use super::{Rule, RuleSet, fix, suppress};

#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// In the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// Findings that a comment allows.
    pub suppressed: usize,
    /// Findings about release N-1 that no query of a complete workload bears out.
    pub unused: usize,
}

pub fn check(rules: &RuleSet, script: &ReplayedScript, selection: &Selection) -> Checked {
    let (found, unused) = find(rules, script, selection);
    let fixed = found.into_iter().map(|(rule, facts, mut d)| {
        d.fix = fix::offer(rules, rule, script, &facts, selection);
        d
    });
    let mut out = suppress::apply(rules, script, fixed.collect(), &selection.suppressions);
    out.unused = unused;
    out
}

/// What the rules find, with the facts that they found it by; comments are not looked at. Beside it: findings that a complete workload refutes.
pub(super) fn find<'r>(rules: &'r RuleSet, script: &ReplayedScript, selection: &'r Selection) -> (Vec<(&'r Rule, Facts, Diagnostic)>, usize) {
    let active: Vec<&Rule> = rules.iter().filter(|r| selection.may_include(r)).collect();
    let (mut found, mut unused) = (Vec::new(), 0);
    for facts in collect(script, &selection.knowledge) {
        for rule in &active {
            let rule = selection.variant(rule, &facts);
            let Some(when) = rule.when.iter().find(|w| w.holds(&facts)).filter(|_| selection.includes(rule, &facts)) else { continue };
            match diagnostic(rule, when, script, &facts, selection) {
                Some(d) => found.push((rule, facts.clone(), d)),
                None => unused += 1,
            }
        }
    }
    (found, unused)
}

/// `None`: a complete workload shows that nothing of release N-1 breaks.
fn diagnostic(rule: &Rule, when: &When, script: &ReplayedScript, facts: &Facts, selection: &Selection) -> Option<Diagnostic> {
    let asked = selection.severity_of(rule, facts);
    let mut d = Diagnostic {
        rule: rule.name.clone(),
        severity: asked.unwrap_or(rule.severity),
        source: script.source.clone(),
        span: facts.span,
        statement: facts.statement,
        message: fill(when.message.as_ref().unwrap_or(&rule.message), facts),
        label: fill(when.label.as_ref().unwrap_or(&rule.label), facts),
        related: Vec::new(),
        help: fill(when.help.as_ref().unwrap_or(&rule.help), facts),
        fix: None,
        object: facts.object.clone(),
    };
    if rule.scales {
        scale(&mut d, facts, selection, asked.is_some());
    }
    workload(&mut d, rule, facts, asked.is_some()).then_some(d)
}

/// What hurts for as long as a table is read hurts little on a small one. A severity that was asked for stays.
fn scale(d: &mut Diagnostic, facts: &Facts, selection: &Selection, fixed: bool) {
    let known: Vec<Size> = facts.sizes.iter().flatten().copied().collect();
    let Some(largest) = known.iter().max_by_key(|s| (s.rows, s.bytes)) else { return };
    let small = known.len() == facts.sizes.len() && known.iter().all(|s| s.is_small(selection.knowledge.small));
    if small && !fixed {
        d.severity = d.severity.min(Severity::Advice);
    }
    d.message.push_str(&if small { format!(" (small: {largest})") } else { format!(" ({largest})") });
}

/// Names the queries that break; `false`: there are none, and the workload is all that there is.
fn workload(d: &mut Diagnostic, rule: &Rule, facts: &Facts, fixed: bool) -> bool {
    let has_tag = |t: &str| rule.tags.iter().any(|x| x == t);
    let list = |name: &str| match facts.get(name) {
        Some(Value::List(l)) => l.as_slice(),
        _ => &[],
    };
    let Some(Value::Bool(complete)) = facts.get("workload.complete") else { return true };
    if !has_tag("rollback") {
        return true;
    }
    let queries = list("breaks.queries");
    let mut say = |words: String| {
        if !d.help.is_empty() {
            d.help.push('\n');
        }
        d.help.push_str(&words);
    };
    if !queries.is_empty() {
        let more = if queries.len() > 5 { format!(" and {} more", queries.len() - 5) } else { String::new() };
        say(format!("release N-1 runs it: {}{more}", queries[..queries.len().min(5)].join(", ")));
        return true;
    }
    if list("breaks").is_empty() {
        return true;
    }
    if !complete {
        say("no query of the workload breaks, but the workload is not said to be complete".to_string());
        return true;
    }
    if !has_tag("data-loss") {
        return false;
    }
    say("no query of the workload breaks; what remains is that data goes".to_string());
    if !fixed {
        d.severity = Severity::Advice;
    }
    true
}
