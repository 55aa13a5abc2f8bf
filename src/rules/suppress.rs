//! Findings × comments: what is allowed, and what is wrong with the comments themselves.

use std::collections::{BTreeSet, HashMap};

use crate::diagnostic::{Diagnostic, Severity};
use crate::replay::ReplayedScript;
use crate::source::{Dialect, SourceFile, Suppression, SuppressionScope, comments, suppressions};

use super::selection::SuppressionPolicy;
use super::{Checked, RuleSet, foreign};

/// Takes away what comments allow, and adds findings about the comments. `scripts` are the halves that stand in one file.
pub fn apply(rules: &RuleSet, scripts: &[&ReplayedScript], found: Vec<Diagnostic>, policy: &SuppressionPolicy) -> Checked {
    let Some(source) = scripts.first().map(|s| &s.source) else { return Checked::default() };
    let own = suppressions(source);
    let others: Vec<Suppression> = policy.compat.iter().flat_map(|d| comments(source, *d)).collect();
    let mut used: BTreeSet<(usize, usize)> = BTreeSet::new();
    let mut out = Checked::default();
    let line = |offset: u32| source.line_of(offset);
    let (own_at, others_at) = (by_line(&own), by_line(&others));
    for d in found {
        // A comment above a statement speaks of the statement, one beside a line of that line.
        let mut lines = vec![None, Some(line(d.span.start)), Some(line(d.statement.start))];
        lines.dedup();
        let here = |at: &ByLine| lines.iter().filter_map(|l| at.get(l)).flatten().copied().collect::<Vec<_>>();
        let mut allowed = here(&others_at).into_iter().any(|i| foreign::allows(&others[i], &d.rule));
        for i in here(&own_at) {
            for (j, (name, _)) in own[i].rules.iter().enumerate() {
                if *name == d.rule {
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
    let end = scripts.iter().flat_map(|s| &s.statements).map(|s| s.statement.span.end).max();
    let inside = |at: u32| end.is_none_or(|end| end >= at) || own.len() == 1;
    for (i, c) in own.iter().enumerate() {
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
            out.diagnostics.push(about(source, c, *span, rule, message, help, name));
        }
        if policy.require_reason && c.reason.is_none() && inside(c.span.start) {
            let message = "the comment does not say why the finding is allowed".to_string();
            let help = "add the reason behind two dashes: `-- airlock: allow … -- why`".to_string();
            out.diagnostics.push(about(source, c, c.span, "missing-reason", message, help, ""));
        }
    }
    for c in &others {
        for (name, span) in c.rules.iter().filter(|(n, _)| !foreign::knows(c.dialect, n)) {
            let message = format!("{} has no rule `{name}` that Airlock knows: the comment allows nothing here", capital(c.dialect));
            let help = "write `-- airlock: allow RULE` for what Airlock finds".to_string();
            out.diagnostics.push(about(source, c, *span, "unknown-rule", message, help, name));
        }
    }
    out.diagnostics.sort_by_key(|d| (d.span.start, std::cmp::Reverse(d.severity), d.rule.clone()));
    out
}

/// Places of comments by the line that they speak of; `None`: of the whole file.
type ByLine = HashMap<Option<usize>, Vec<usize>>;

fn by_line(comments: &[Suppression]) -> ByLine {
    let mut out = ByLine::new();
    for (i, c) in comments.iter().enumerate() {
        let line = match c.scope {
            SuppressionScope::File => None,
            SuppressionScope::Line(n) => Some(n),
        };
        out.entry(line).or_default().push(i);
    }
    out
}

fn about(
    source: &SourceFile,
    c: &Suppression,
    span: crate::source::Span,
    rule: &str,
    message: String,
    help: String,
    object: &str,
) -> Diagnostic {
    Diagnostic {
        rule: rule.into(),
        severity: Severity::Warning,
        source: source.clone(),
        span,
        statement: c.span,
        message,
        label: String::new(),
        related: Vec::new(),
        help,
        fix: None,
        object: object.into(),
    }
}

fn capital(d: Dialect) -> &'static str {
    match d {
        Dialect::Airlock => "Airlock",
        Dialect::Squawk => "Squawk",
        Dialect::Atlas => "Atlas",
    }
}
