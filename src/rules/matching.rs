//! `[[when]]`: what must hold for a rule to speak.

use std::sync::OnceLock;

use regex::Regex;
use serde::Deserialize;

use crate::diagnostic::Severity;
use crate::facts::{FactId, Facts, Value};

#[derive(Debug, Clone)]
pub struct When {
    all: Vec<(Fact, Test)>,
    /// None of these may hold.
    not: Vec<When>,
    /// Said instead of the rule's own words when this one holds: the same trouble may have another way out here.
    pub message: Option<String>,
    pub label: Option<String>,
    pub help: Option<String>,
    /// Instead of the rule's: the same trouble may weigh less here.
    pub severity: Option<Severity>,
}

/// The name of a fact; without an id nothing is called so, which `problems` says.
#[derive(Debug, Clone)]
struct Fact {
    name: String,
    id: Option<FactId>,
}

impl Fact {
    fn named(name: &str) -> Fact {
        Fact { name: name.to_string(), id: crate::facts::id(name) }
    }

    fn of<'f>(&self, facts: &'f Facts) -> Option<&'f Value> {
        self.id.and_then(|id| facts.of(id))
    }
}

#[derive(Debug, Clone)]
enum Test {
    Is(bool),
    Equals(String),
    Matches(Pattern),
    Compare(&'static str, i64),
    /// `fact.lacks = [a, b]`: some of these are not in the list.
    Lacks(Vec<String>),
    /// `"?"`: it is known, and a list is not empty.
    Known,
    Any(Vec<Test>),
}

impl When {
    pub fn parse(table: &toml::Table) -> Result<When, String> {
        let mut when = When { all: Vec::new(), not: Vec::new(), message: None, label: None, help: None, severity: None };
        when.read("", table)?;
        Ok(when)
    }

    fn read(&mut self, prefix: &str, table: &toml::Table) -> Result<(), String> {
        for (key, value) in table {
            if key == "not" && prefix.is_empty() {
                let tables: Vec<&toml::Table> = match value {
                    toml::Value::Table(t) => vec![t],
                    toml::Value::Array(a) => a.iter().filter_map(toml::Value::as_table).collect(),
                    _ => return Err("`not` takes a table of facts".into()),
                };
                for t in tables {
                    self.not.push(When::parse(t)?);
                }
                continue;
            }
            if prefix.is_empty() && key == "severity" {
                let severity =
                    Severity::deserialize(value.clone()).map_err(|_| "`severity` is `error`, `warning` or `advice`".to_string())?;
                self.severity = Some(severity);
                continue;
            }
            let words = match key.as_str() {
                "message" => Some(&mut self.message),
                "label" => Some(&mut self.label),
                "help" => Some(&mut self.help),
                _ => None,
            };
            if let (true, Some(words)) = (prefix.is_empty(), words) {
                *words = Some(value.as_str().ok_or_else(|| format!("`{key}` is a text"))?.to_string());
                continue;
            }
            let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match value {
                toml::Value::Table(t) => self.read(&name, t)?,
                // TOML cannot have `table` and `table.existed` side by side, so the first may be written `table.name`.
                v if name.ends_with(".lacks") => {
                    let all: Option<Vec<String>> = v.as_array().map(|a| a.iter().filter_map(|v| v.as_str().map(str::to_string)).collect());
                    let all = all.ok_or_else(|| format!("`{name}` takes a list of texts"))?;
                    self.all.push((Fact::named(name.trim_end_matches(".lacks")), Test::Lacks(all)));
                }
                v => {
                    let bare = name.strip_suffix(".name").or_else(|| name.strip_suffix(".shapes")).filter(|n| crate::facts::is_known(n));
                    self.all.push((Fact::named(bare.unwrap_or(&name)), test(v)?));
                }
            }
        }
        Ok(())
    }

    /// The pattern that is no regular expression, if there is one.
    pub fn check_patterns(&self) -> Result<(), String> {
        self.all.iter().try_for_each(|(_, t)| t.check_patterns())?;
        self.not.iter().try_for_each(When::check_patterns)
    }

    /// It can hold for an operation of this name (the value of the fact `op`).
    pub fn may_concern(&self, op: &Value) -> bool {
        self.all.iter().all(|(fact, test)| fact.name != "op" || test.holds(Some(op)))
    }

    pub fn facts(&self) -> Vec<String> {
        self.all.iter().map(|(f, _)| f.name.clone()).chain(self.not.iter().flat_map(When::facts)).collect()
    }

    pub fn holds(&self, facts: &Facts) -> bool {
        self.all.iter().all(|(fact, test)| test.holds(fact.of(facts))) && !self.not.iter().any(|w| w.holds(facts))
    }
}

fn test(value: &toml::Value) -> Result<Test, String> {
    Ok(match value {
        toml::Value::Boolean(b) => Test::Is(*b),
        toml::Value::Integer(n) => Test::Compare("=", *n),
        toml::Value::String(s) if s == "?" => Test::Known,
        toml::Value::String(s) => {
            if let Some(pattern) = s.strip_prefix('/').and_then(|p| p.strip_suffix('/')) {
                return Ok(Test::Matches(Pattern { text: pattern.to_string(), compiled: OnceLock::new() }));
            }
            for op in [">=", "<=", ">", "<"] {
                if let Some(n) = s.strip_prefix(op).and_then(|n| n.trim().parse().ok()) {
                    return Ok(Test::Compare(op, n));
                }
            }
            Test::Equals(s.clone())
        }
        toml::Value::Array(a) => Test::Any(a.iter().map(test).collect::<Result<_, _>>()?),
        other => return Err(format!("`{other}` is no condition")),
    })
}

/// A regular expression, compiled when it is first asked: most runs never ask most of them.
#[derive(Debug, Clone)]
struct Pattern {
    text: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    fn matches(&self, value: &str) -> bool {
        self.compiled.get_or_init(|| Regex::new(&self.text).ok()).as_ref().is_some_and(|r| r.is_match(value))
    }
}

impl Test {
    fn check_patterns(&self) -> Result<(), String> {
        match self {
            Test::Matches(p) => Regex::new(&p.text).map(|_| ()).map_err(|e| e.to_string()),
            Test::Any(tests) => tests.iter().try_for_each(Test::check_patterns),
            _ => Ok(()),
        }
    }

    fn holds(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Test::Any(tests), v) => tests.iter().any(|t| t.holds(v)),
            // What is unknown is not so.
            (Test::Is(b), None) => !b,
            (_, None) => false,
            (Test::Is(b), Some(Value::Bool(v))) => b == v,
            (Test::Lacks(all), Some(Value::List(l))) => all.iter().any(|x| !l.contains(x)),
            (Test::Known, Some(Value::List(l))) => !l.is_empty(),
            (Test::Known, Some(_)) => true,
            (Test::Equals(s), Some(Value::Text(v))) => s == v,
            (Test::Equals(s), Some(Value::List(l))) => l.contains(s),
            (Test::Matches(r), Some(Value::Text(v))) => r.matches(v),
            (Test::Matches(r), Some(Value::List(l))) => l.iter().any(|v| r.matches(v)),
            (Test::Compare(op, n), Some(Value::Number(v))) => match *op {
                ">=" => v >= n,
                "<=" => v <= n,
                ">" => v > n,
                "<" => v < n,
                _ => v == n,
            },
            _ => false,
        }
    }
}
