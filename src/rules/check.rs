//! Facts × rules → diagnostics.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, PoisonError, RwLock};

use crate::diagnostic::{Diagnostic, Severity};
use crate::facts::{self, Facts, Value};
use crate::replay::ReplayedScript;
use crate::source::{SourceFile, Span};
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

/// Checks one script; several are cheaper with one `Checker`.
pub fn check(rules: &RuleSet, script: &ReplayedScript, selection: &Selection) -> Checked {
    Checker::new(rules, selection).check(script)
}

/// Which fixes are looked for. Each costs a second look at its statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fixes {
    All,
    /// Those that `--fix` applies; a finding without one may be left without any.
    Safe,
    None,
}

/// The rules that speak, found by operation: most rules are about one or two operations, and most operations concern few rules.
pub struct Checker<'r> {
    rules: &'r RuleSet,
    selection: &'r Selection,
    active: Vec<&'r Rule>,
    /// Places in `active`, by the value of the fact `op`; filled as operations come.
    by_op: RwLock<HashMap<String, Arc<[usize]>>>,
    pub(super) fixes: Fixes,
}

/// A finding, with the rule and the facts that it was found by.
pub(super) type Found<'r> = (&'r Rule, Rc<Facts>, Diagnostic);

impl<'r> Checker<'r> {
    pub fn new(rules: &'r RuleSet, selection: &'r Selection) -> Self {
        let active = rules.iter().filter(|r| selection.may_include(r)).collect();
        Checker { rules, selection, active, by_op: RwLock::default(), fixes: Fixes::All }
    }

    pub fn with_fixes(self, fixes: Fixes) -> Self {
        Checker { fixes, ..self }
    }

    pub fn check(&self, script: &ReplayedScript) -> Checked {
        let (mut found, unused) = self.find(script);
        let mut offers = fix::Offers::new(self, script);
        for (rule, facts, d) in &mut found {
            d.fix = offers.offer(rule, facts);
        }
        let diagnostics = |l: Vec<Found<'_>>| l.into_iter().map(|(_, _, d)| d).collect::<Vec<_>>();
        let mut found = diagnostics(found);
        found.extend(unreadable(&script.source));
        let (rules, policy) = (self.rules, &self.selection.suppressions);
        let mut out = match script.history.down.as_deref() {
            None => suppress::apply(rules, &[script], found, policy),
            Some(down) => {
                let mut of_down = Speech::new(self, &down.source);
                facts::collect_down(script).into_iter().for_each(|f| of_down.hear(f));
                let of_down = diagnostics(of_down.found);
                if down.source.path() == script.source.path() {
                    found.extend(of_down);
                    suppress::apply(rules, &[script, down], found, policy)
                } else {
                    // The way back stands in a file of its own, with comments of its own.
                    let mut checked = suppress::apply(rules, &[script], found, policy);
                    let of_down = of_down.into_iter().chain(unreadable(&down.source)).collect();
                    let more = suppress::apply(rules, &[down], of_down, policy);
                    checked.suppressed += more.suppressed;
                    checked.diagnostics.extend(more.diagnostics);
                    checked
                }
            }
        };
        out.unused = unused;
        // Findings about the text have no rule file, so the selection was not asked yet.
        let is_about_the_text = |name: &str| super::ABOUT_THE_TEXT.iter().any(|(n, _)| *n == name);
        out.diagnostics.retain(|d| !is_about_the_text(&d.rule) || self.selection.includes_about_the_text(&d.rule));
        for d in out.diagnostics.iter_mut().filter(|d| is_about_the_text(&d.rule)) {
            d.severity = self.selection.severity_about_the_text(&d.rule).unwrap_or(d.severity);
        }
        out
    }

    /// What the rules find in a script; comments are not looked at. Beside it: how many findings a complete workload refutes.
    pub(super) fn find(&self, script: &ReplayedScript) -> (Vec<Found<'r>>, usize) {
        let mut speech = Speech::new(self, &script.source);
        facts::each(script, &self.selection.knowledge, |f| speech.hear(f));
        (speech.found, speech.unused)
    }

    fn concerned(&self, facts: &Facts) -> Arc<[usize]> {
        let all = || (0..self.active.len()).collect();
        let Some(op @ Value::Text(name)) = facts.get("op") else { return all() };
        // A thread that panicked while it held the lock has left the map whole: entries are only ever added.
        if let Some(known) = self.by_op.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return known.clone();
        }
        let may = |r: &Rule| self.selection.variants(r).any(|v| v.when.iter().any(|w| w.may_concern(op)));
        let new: Arc<[usize]> = (0..self.active.len()).filter(|i| may(self.active[*i])).collect();
        self.by_op.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), new.clone());
        new
    }
}

/// What the rules say as the facts of one file come.
struct Speech<'c, 'r> {
    checker: &'c Checker<'r>,
    source: &'c SourceFile,
    found: Vec<Found<'r>>,
    unused: usize,
}

impl<'c, 'r> Speech<'c, 'r> {
    fn new(checker: &'c Checker<'r>, source: &'c SourceFile) -> Self {
        Speech { checker, source, found: Vec::new(), unused: 0 }
    }

    fn hear(&mut self, facts: Facts) {
        let (checker, selection) = (self.checker, self.checker.selection);
        let facts = Rc::new(facts);
        for i in checker.concerned(&facts).iter() {
            let rule = selection.variant(checker.active[*i], &facts);
            let Some(when) = rule.when.iter().find(|w| w.holds(&facts)).filter(|_| selection.includes(rule, &facts)) else {
                continue;
            };
            match diagnostic(rule, when, self.source, &facts, selection) {
                Some(d) => self.found.push((rule, facts.clone(), d)),
                None => self.unused += 1,
            }
        }
    }
}

/// The finding about a file that is not what it should be before any SQL is read.
fn unreadable(source: &SourceFile) -> Option<Diagnostic> {
    let problem = source.problem()?;
    let wide = source.text().get(problem.at as usize..).and_then(|t| t.chars().next()).map_or(0, |c| c.len_utf8() as u32);
    let span = Span { start: problem.at, end: problem.at + wide };
    Some(Diagnostic {
        rule: super::UNREADABLE.into(),
        severity: Severity::Error,
        source: source.clone(),
        span,
        statement: span,
        message: problem.message.clone(),
        label: String::new(),
        related: Vec::new(),
        help: "convert the file (`iconv -f LATIN1 -t UTF-8`), or make it readable; until then nothing that is said about it is certain"
            .into(),
        fix: None,
        object: String::new(),
    })
}

/// `None`: a complete workload shows that nothing of release N-1 breaks.
fn diagnostic(rule: &Rule, when: &When, source: &SourceFile, facts: &Facts, selection: &Selection) -> Option<Diagnostic> {
    let asked = selection.severity_of(rule, facts);
    let mut d = Diagnostic {
        rule: rule.name.clone(),
        severity: asked.or(when.severity).unwrap_or(rule.severity),
        source: source.clone(),
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
