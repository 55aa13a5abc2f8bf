//! One rule file.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::diagnostic::Severity;
use crate::facts;

use super::fix::{self, FixTemplate};
use super::matching::When;
use super::{nearest, options};

#[derive(Debug, Clone)]
pub struct Rule {
    pub name: String,
    pub group: String,
    pub summary: String,
    pub severity: Severity,
    /// On unless it is turned off.
    pub default: bool,
    pub tags: Vec<String>,
    /// What `airlock plan` does about it.
    pub recipe: Option<String>,
    pub why: String,
    pub instead: String,
    pub message: String,
    pub label: String,
    pub help: String,
    /// Thresholds and patterns with their values, the user's where `airlock.toml` gives some.
    pub options: toml::Table,
    pub when: Vec<When>,
    /// What it finds hurts for as long as a table is read or written: on a small table it is advice.
    pub scales: bool,
    /// Text edits that mend it, best first.
    pub fixes: Vec<FixTemplate>,
    pub examples: Vec<Example>,
    /// The file as written, to read it again with other options.
    text: Cow<'static, str>,
}

/// A piece of SQL that shows the rule; it runs as a test.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// Made by earlier migrations.
    #[serde(default)]
    pub setup: String,
    /// A migration between the setup and this one, as new as this one.
    pub earlier: Option<String>,
    pub flagged: Option<String>,
    pub clean: Option<String>,
    /// What a later migration does, where the rule looks at those too.
    pub later: Option<String>,
    /// The statements run in one transaction; `false`: each by itself.
    #[serde(default = "yes")]
    pub transaction: bool,
    /// SQLSTATE with which Postgres refuses the statement, where that is the point.
    pub fails: Option<String>,
    /// The only major version that it is about.
    pub only: Option<u8>,
    /// First major version that takes it.
    #[serde(default)]
    pub since: u8,
    /// It needs more rights than those of the database's owner.
    #[serde(default)]
    pub admin: bool,
    /// The half that takes it back.
    pub down: Option<String>,
    /// What the history around the file says.
    #[serde(default)]
    pub history: ExampleHistory,
    /// What release N-1 runs, one statement after the other. On a server each must run before the change.
    pub workload: Option<String>,
    /// With it: the SQLSTATE that one of these statements gets afterwards, fresh or prepared before the change; none of them fails without.
    pub breaks: Option<String>,
    pub statistics: Option<ExampleStatistics>,
}

/// What `airlock stats` would have read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExampleStatistics {
    /// For how long the server has counted.
    pub days: u32,
    /// Rows of tables in `public`.
    pub rows: BTreeMap<String, u64>,
    /// By table: indexes that nobody has used.
    pub unused: BTreeMap<String, Vec<String>>,
    /// Seconds.
    pub longest_transaction: Option<f64>,
}

/// What only the other files of a history, or git, can tell.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExampleHistory {
    /// The other migrations have a down half.
    pub down_expected: bool,
    pub duplicate: Option<String>,
    pub overtaken_by: Option<String>,
    pub edited: bool,
    /// Later migrations came after it, so what it names and no migration makes comes from elsewhere.
    pub outside: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    summary: String,
    severity: Severity,
    #[serde(default = "yes")]
    default: bool,
    #[serde(default)]
    tags: Vec<String>,
    recipe: Option<String>,
    why: String,
    instead: String,
    message: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    help: String,
    #[serde(default)]
    options: toml::Table,
    when: Vec<toml::Table>,
    #[serde(default)]
    scales: bool,
    #[serde(default)]
    fix: Option<fix::OneOrMany>,
    example: Vec<Example>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("rule `{rule}`: {message}")]
    Toml { rule: String, message: String },
    #[error("rule `{rule}`: no fact is called `{fact}`{}", suggestion.as_ref().map(|s| format!("; did you mean `{s}`?")).unwrap_or_default())]
    UnknownFact { rule: String, fact: String, suggestion: Option<String> },
    #[error("rule `{rule}`: {message}")]
    Invalid { rule: String, message: String },
}

impl Rule {
    pub fn parse(group: &str, name: &str, text: &str) -> Result<Rule, RuleError> {
        Rule::read(group, name, text, &toml::Table::new())
    }

    /// The same rule with other values for some of its options (`[rules.options.<rule>]` in `airlock.toml`).
    pub fn with_options(&self, values: &toml::Table) -> Result<Rule, RuleError> {
        Rule::read(&self.group, &self.name, &self.text, values)
    }

    fn read(group: &str, name: &str, text: &str, values: &toml::Table) -> Result<Rule, RuleError> {
        let file: File = toml::from_str(text).map_err(|e| RuleError::Toml { rule: name.to_string(), message: e.to_string() })?;
        let rule = Rule::assemble(group, name, Cow::Owned(text.to_string()), file, values)?;
        rule.validate()?;
        Ok(rule)
    }

    /// A rule of the binary. `compact` is the same file as `text`, as `build.rs` wrote it in JSON: hundreds of rules are read at every start,
    /// and TOML takes several times as long. A test holds that each is valid.
    pub(super) fn built_in(group: &str, name: &str, text: &'static str, compact: &str) -> Result<Rule, RuleError> {
        let file: File = serde_json::from_str(compact).map_err(|e| RuleError::Toml { rule: name.to_string(), message: e.to_string() })?;
        Rule::assemble(group, name, Cow::Borrowed(text), file, &toml::Table::new())
    }

    fn assemble(group: &str, name: &str, text: Cow<'static, str>, file: File, values: &toml::Table) -> Result<Rule, RuleError> {
        let invalid = |message: String| RuleError::Invalid { rule: name.to_string(), message };
        let options = options::merge(&file.options, values).map_err(&invalid)?;
        let when = file
            .when
            .iter()
            .map(|w| options::fill_conditions(w, &options).and_then(|w| When::parse(&w)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(&invalid)?;
        let words = |template: &str| options::fill_words(template, &options);
        let fixes = match file.fix {
            Some(f) => f.parse().map_err(&invalid)?,
            None => Vec::new(),
        };
        Ok(Rule {
            name: name.to_string(),
            group: group.to_string(),
            summary: file.summary,
            severity: file.severity,
            default: file.default,
            tags: file.tags,
            recipe: file.recipe,
            why: file.why.trim().to_string(),
            instead: file.instead.trim().to_string(),
            message: words(&file.message),
            label: words(&file.label),
            help: words(&file.help),
            options,
            when,
            scales: file.scales,
            fixes,
            examples: file.example,
            text,
        })
    }

    fn validate(&self) -> Result<(), RuleError> {
        let invalid = |message: String| RuleError::Invalid { rule: self.name.clone(), message };
        if self.when.is_empty() {
            return Err(invalid("`[[when]]` is missing: it would match nothing".into()));
        }
        self.when.iter().chain(self.fixes.iter().flat_map(|f| &f.when)).try_for_each(When::check_patterns).map_err(&invalid)?;
        let mut asked: Vec<String> = self.when.iter().chain(self.fixes.iter().flat_map(|f| &f.when)).flat_map(When::facts).collect();
        let own = self.when.iter().flat_map(|w| [&w.message, &w.label, &w.help]).flatten();
        for template in [&self.message, &self.label, &self.help].into_iter().chain(own) {
            asked.extend(placeholders(template));
        }
        if let Some(fact) = asked.into_iter().find(|f| !facts::is_known(f)) {
            let names: Vec<&str> = facts::VOCABULARY.iter().map(|(n, _)| *n).collect();
            let suggestion = nearest(&fact, &names).map(str::to_string);
            return Err(RuleError::UnknownFact { rule: self.name.clone(), fact, suggestion });
        }
        if let Some(e) = self.examples.iter().find(|e| e.flagged.is_some() == e.clean.is_some()) {
            return Err(invalid(format!("an example must be either `flagged` or `clean`: {:?}", e.flagged.as_ref().or(e.clean.as_ref()))));
        }
        Ok(())
    }
}

/// The `{names}` of a template.
pub fn placeholders(template: &str) -> Vec<String> {
    template.split('{').skip(1).filter_map(|p| p.split_once('}')).map(|(n, _)| n.to_string()).collect()
}

/// Puts facts into a template; one that is unknown here leaves nothing behind.
pub fn fill(template: &str, facts: &facts::Facts) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            out.push('{');
            rest = after;
            continue;
        };
        if let Some(v) = facts.get(name) {
            out.push_str(&v.to_string());
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}
