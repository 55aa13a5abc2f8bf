//! `[fix]`: text edits at named anchors. A fix is offered only after the mended statement was judged again: Postgres takes it, the finding is gone, and
//! no other one came.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::diagnostic::{Diagnostic, Edit, Fix};
use crate::facts::Facts;
use crate::history::{Execution, Send};
use crate::op::{Statement, Understood};
use crate::replay::{self, Replayed, ReplayedScript};
use crate::source::{SourceFile, Span};

use super::anchors::{ANCHORS, Place, is_anchor};
use super::check::{Checker, Fixes};
use super::format::placeholders;
use super::matching::When;
use super::selection::Selection;
use super::{Rule, RuleSet, nearest};

/// A way to mend what a rule finds.
#[derive(Debug, Clone)]
pub struct FixTemplate {
    pub title: String,
    /// What the migration does stays the same; applied by `--fix`. Others need `--unsafe-fixes`.
    pub safe: bool,
    /// Any of them must hold; empty: always.
    pub when: Vec<When>,
    edits: Vec<EditTemplate>,
}

#[derive(Debug, Clone)]
struct EditTemplate {
    anchor: String,
    how: How,
    /// A line end in it becomes the file's, with the statement's indentation; `{table-name}` the words at that anchor.
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Before,
    After,
    Replace,
    /// With the blanks before it.
    Remove,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    One(File),
    Many(Vec<File>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    title: String,
    safe: bool,
    when: Option<toml::Table>,
    edits: Vec<EditFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditFile {
    before: Option<String>,
    after: Option<String>,
    replace: Option<String>,
    remove: Option<String>,
    #[serde(default)]
    text: String,
}

impl OneOrMany {
    pub fn parse(self) -> Result<Vec<FixTemplate>, String> {
        let files = match self {
            OneOrMany::One(f) => vec![f],
            OneOrMany::Many(l) => l,
        };
        files.into_iter().map(File::parse).collect()
    }
}

impl File {
    fn parse(self) -> Result<FixTemplate, String> {
        if self.edits.is_empty() {
            return Err("`[fix]` has no edits".into());
        }
        Ok(FixTemplate {
            title: self.title,
            safe: self.safe,
            when: self.when.iter().map(When::parse).collect::<Result<_, _>>()?,
            edits: self.edits.into_iter().map(EditFile::parse).collect::<Result<_, _>>()?,
        })
    }
}

impl EditFile {
    fn parse(self) -> Result<EditTemplate, String> {
        let ways = [(self.before, How::Before), (self.after, How::After), (self.replace, How::Replace), (self.remove, How::Remove)];
        let mut ways = ways.into_iter().filter_map(|(a, how)| a.map(|a| (a, how)));
        let (Some((anchor, how)), None) = (ways.next(), ways.next()) else {
            return Err("an edit of `[fix]` takes one of `before`, `after`, `replace` and `remove`".into());
        };
        for name in std::iter::once(anchor.clone()).chain(placeholders(&self.text)) {
            if !is_anchor(&name) {
                let names: Vec<&str> = ANCHORS.iter().map(|(n, _)| *n).collect();
                let near = nearest(&name, &names).map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
                return Err(format!("no anchor is called `{name}`{near}"));
            }
        }
        if self.text.is_empty() != (how == How::Remove) {
            return Err("an edit of `[fix]` needs a `text`, and `remove` takes none".into());
        }
        Ok(EditTemplate { anchor, how, text: self.text })
    }
}

impl FixTemplate {
    /// `None`: an anchor is missing in this statement.
    fn edits(&self, place: &Place<'_>) -> Option<Vec<Edit>> {
        let mut out = Vec::new();
        for e in &self.edits {
            let at = place.anchor(&e.anchor)?;
            let span = match e.how {
                How::Before => Span { start: at.start, end: at.start },
                How::After => Span { start: at.end, end: at.end },
                How::Replace => at,
                How::Remove => place.with_gap(at),
            };
            out.push(Edit { span, text: text(&e.text, place)? });
        }
        out.sort_by_key(|e| e.span);
        // The end of an operation may be the end of its statement: what goes to one place goes there in the order of the rule.
        let mut merged: Vec<Edit> = Vec::new();
        for e in out {
            match merged.last_mut().filter(|last| last.span == e.span && e.span.is_empty()) {
                Some(last) => last.text.push_str(&e.text),
                None => merged.push(e),
            }
        }
        merged.windows(2).all(|w| w[0].span.end <= w[1].span.start && w[0].span != w[1].span).then_some(merged)
    }
}

/// The text with anchors filled in, in the case, line ends and indentation of the statement.
fn text(template: &str, place: &Place<'_>) -> Option<String> {
    let whole = place.source.text();
    let start = place.statement.span.start as usize;
    let line = whole[..start].rfind('\n').map_or(0, |i| i + 1);
    let indent = Some(whole[line..start].trim_start_matches('\u{feff}')).filter(|s| s.trim().is_empty()).unwrap_or_default();
    let end = if whole.contains("\r\n") { "\r\n" } else { "\n" };
    let mut out = String::new();
    let mut quoted = false;
    let mut rest = template;
    while let Some(c) = rest.chars().next() {
        if let Some((name, tail)) = rest.strip_prefix('{').and_then(|r| r.split_once('}')) {
            out.push_str(place.source.slice(place.anchor(name)?));
            rest = tail;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        quoted ^= c == '\'';
        match c {
            '\n' => {
                out.push_str(end);
                out.push_str(indent);
            }
            c if place.is_lower() && !quoted => out.extend(c.to_lowercase()),
            c => out.push(c),
        }
    }
    Some(out)
}

/// Looks for fixes of what is found in one script.
pub struct Offers<'c> {
    checker: &'c Checker<'c>,
    script: &'c ReplayedScript,
    /// What is found in a statement by itself, as it is: several findings of one statement ask for it.
    alone: Option<(Span, Counts)>,
    whole: Option<Counts>,
}

impl<'c> Offers<'c> {
    pub fn new(checker: &'c Checker<'c>, script: &'c ReplayedScript) -> Self {
        Offers { checker, script, alone: None, whole: None }
    }

    /// The first way to mend the finding that holds when it is judged again.
    pub fn offer(&mut self, rule: &Rule, facts: &Facts) -> Option<Fix> {
        if rule.fixes.is_empty() || self.checker.fixes == Fixes::None {
            return None;
        }
        let script = self.script;
        let r = script.statements.iter().find(|r| r.statement.span == facts.statement)?;
        let op = r.statement.ops.get(facts.op?).filter(|o| !o.nested)?;
        let place = Place::new(&script.source, &r.statement, op, facts);
        let fits = |f: &FixTemplate| f.when.is_empty() || f.when.iter().any(|w| w.holds(facts));
        let fitting = rule.fixes.iter().filter(|f| fits(f));
        if self.checker.fixes == Fixes::Safe && !rule.fixes.iter().any(|f| f.safe && fits(f)) {
            return None;
        }
        fitting.filter_map(|f| Some((f, f.edits(&place)?))).find(|(_, edits)| self.holds(rule, r, facts, edits)).map(|(f, edits)| Fix {
            title: f.title.clone(),
            safe: f.safe,
            edits,
        })
    }

    /// Judges the statement as it is and as it would be, both by themselves on the schema before it.
    fn holds(&mut self, rule: &Rule, r: &Replayed, facts: &Facts, edits: &[Edit]) -> bool {
        let (script, checker) = (self.script, self.checker);
        let span = r.statement.span;
        if r.effects.fails.is_some() || edits.iter().any(|e| e.span.start < span.start || e.span.end > span.end) {
            return false;
        }
        let words = script.source.slice(span);
        let moved: Vec<Edit> = edits
            .iter()
            .map(|e| Edit { span: Span { start: e.span.start - span.start, end: e.span.end - span.start }, text: e.text.clone() })
            .collect();
        let lowered = |text: String| {
            let source = SourceFile::new(script.source.path(), text);
            let statements = crate::lower::lower(&source, &[source.full_span()]);
            (source, statements)
        };
        let judge = |(source, statements): (SourceFile, Vec<Statement>)| {
            // More statements than before are one transaction for a runner that sends the whole file at once.
            let whole = matches!(script.execution.send, Send::Whole | Send::Pipeline) && statements.len() > 1;
            let settings = script.execution.settings.clone();
            let execution = Execution { settings, ..Execution::new(r.sent.in_transaction || whole, Send::Statement) };
            replay::judge_instead(&source, statements, &execution, &script.before, r)
        };
        let new = judge(lowered(apply(words, &moved)));
        let bad = |s: &Replayed| s.effects.fails.is_some() || s.statement.understood == Understood::Opaque;
        if new.statements.is_empty() || new.statements.iter().any(bad) {
            return false;
        }
        let this = (rule.name.clone(), facts.object.clone());
        let better = |was: &Counts, new: &ReplayedScript| {
            let is = count(checker, new);
            let of = |m: &Counts, k: &(String, String)| m.get(k).copied().unwrap_or(0);
            (of(was, &this) > 0).then(|| of(&is, &this) < of(was, &this) && is.iter().all(|(k, n)| *n <= of(was, k)))
        };
        if self.alone.as_ref().is_none_or(|(of, _)| *of != span) {
            self.alone = Some((span, count(checker, &judge(lowered(words.to_string())))));
        }
        let alone = self.alone.as_ref().and_then(|(_, was)| better(was, &new));
        alone.unwrap_or_else(|| {
            // What is found only in the company of other statements is judged in it. That costs the whole file for each fix.
            if script.statements.len() > 200 {
                return false;
            }
            let source = SourceFile::new(script.source.path(), apply(script.source.text(), edits));
            let whole = again(script, &source, edits);
            let was = self.whole.get_or_insert_with(|| count(checker, script));
            failing(std::slice::from_ref(&whole)) <= failing(std::slice::from_ref(script)) && better(was, &whole).unwrap_or(false)
        })
    }
}

type Counts = BTreeMap<(String, String), usize>;

/// Findings by rule and object.
fn count(checker: &Checker<'_>, script: &ReplayedScript) -> Counts {
    checker.find(script).0.into_iter().fold(Counts::new(), |mut m, (_, _, d)| {
        *m.entry((d.rule, d.object)).or_default() += 1;
        m
    })
}

fn failing(scripts: &[ReplayedScript]) -> usize {
    scripts.iter().flat_map(|s| &s.statements).filter(|s| s.effects.fails.is_some()).count()
}

/// The text after edits that do not overlap, in their order.
pub fn apply(text: &str, edits: &[Edit]) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut at = 0;
    for e in edits {
        out.push_str(text.get(at..e.span.start as usize).unwrap_or_default());
        out.push_str(&e.text);
        at = e.span.end as usize;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// A file after its fixes.
#[derive(Debug, Clone)]
pub struct Draft {
    pub source: SourceFile,
    pub text: String,
    /// Rule and title of each fix, in the order in which they were made.
    pub applied: Vec<(String, String)>,
}

/// Applies fixes until none is left. `scripts` are the parts of one file; `wanted` says which findings may be mended.
pub fn mend(
    rules: &RuleSet,
    scripts: &[&ReplayedScript],
    selection: &Selection,
    with_unsafe: bool,
    wanted: &dyn Fn(&Diagnostic) -> bool,
) -> Option<Draft> {
    let source = scripts.first()?.source.clone();
    if source.problem().is_some() {
        return None;
    }
    let checker = Checker::new(rules, selection);
    let mut draft = Draft { text: source.text().to_string(), source, applied: Vec::new() };
    let mut now: Vec<ReplayedScript> = scripts.iter().map(|s| (*s).clone()).collect();
    // Each round mends at least one finding; a file has no more rounds than statements with several findings at one place.
    for _ in 0..20 {
        let mut edits: Vec<Edit> = Vec::new();
        let mut applied = Vec::new();
        for d in now.iter().flat_map(|s| checker.check(s).diagnostics).filter(|d| wanted(d)) {
            let Some(fix) = d.fix.filter(|f| f.safe || with_unsafe) else { continue };
            if fix.edits.iter().all(|e| edits.iter().all(|x| apart(x.span, e.span))) {
                edits.extend(fix.edits);
                applied.push((d.rule, fix.title));
            }
        }
        if edits.is_empty() {
            break;
        }
        edits.sort_by_key(|e| e.span);
        let text = apply(&draft.text, &edits);
        let source = SourceFile::new(draft.source.path(), text.clone());
        let next: Vec<ReplayedScript> = now.iter().map(|s| again(s, &source, &edits)).collect();
        if failing(&next) > failing(&now) {
            break;
        }
        draft.text = text;
        draft.applied.extend(applied);
        now = next;
    }
    (!draft.applied.is_empty()).then_some(draft)
}

fn apart(a: Span, b: Span) -> bool {
    a != b && (a.end <= b.start || b.end <= a.start)
}

/// The script in the edited file: every statement where it went, with what was added to it.
fn again(script: &ReplayedScript, source: &SourceFile, edits: &[Edit]) -> ReplayedScript {
    let grown = |upto: &dyn Fn(&Edit) -> bool| -> i64 {
        edits.iter().filter(|e| upto(e)).map(|e| e.text.len() as i64 - i64::from(e.span.end - e.span.start)).sum()
    };
    let moved = |s: Span| {
        let start = i64::from(s.start) + grown(&|e| e.span.start < s.start);
        let end = i64::from(s.end) + grown(&|e| e.span.end <= s.end);
        Span::new(start.max(0) as usize, end.max(0) as usize)
    };
    let parts: Vec<Span> = script.statements.iter().map(|s| moved(s.statement.span)).collect();
    let mut catalog = script.before.clone();
    let mut next = replay::judge(source, crate::lower::lower(source, &parts), &script.execution, &mut catalog);
    next.history = script.history.clone();
    next.later = script.later.clone();
    next
}
