//! Everything that is wrong with a rule file, not only the first.

use toml::{Table, Value};

use crate::diagnostic::Severity;
use crate::facts;
use crate::source::{line_of, line_with};

use super::anchors::{ANCHORS, is_anchor};
use super::format::placeholders;
use super::{Rule, nearest};

/// Something that is wrong with a rule file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1, where one line can be named.
    pub line: Option<usize>,
    pub message: String,
}

const KEYS: &[&str] = &[
    "summary", "severity", "default", "tags", "recipe", "why", "instead", "message", "label", "help", "scales", "options", "when", "fix",
    "example",
];
const REQUIRED: &[&str] = &["summary", "severity", "why", "instead", "message", "when", "example"];
const FIX: &[&str] = &["title", "safe", "when", "edits"];
const EDIT: &[&str] = &["before", "after", "replace", "remove", "text"];
const WORDS: &[&str] = &["message", "label", "help"];

/// `name` is the rule's name: the file's, without `.toml`.
pub fn problems(name: &str, text: &str) -> Vec<Problem> {
    let table: Table = match toml::from_str(text) {
        Ok(t) => t,
        Err(e) => return vec![Problem { line: e.span().map(|s| line_of(text, s.start)), message: e.message().trim().to_string() }],
    };
    let mut l = Lint { text, options: options(&table), out: Vec::new() };
    if name.is_empty() || name.starts_with('-') || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        l.say(None, format!("the file's name is the rule's name, and `{name}` is not kebab-case (`drop-column.toml`)"));
    }
    l.file(&table);
    if l.out.is_empty()
        && let Err(e) = Rule::parse("own", name, text)
    {
        l.say(None, e.to_string());
    }
    l.out.sort_by_key(|p| (p.line.is_none(), p.line));
    l.out.dedup();
    l.out
}

fn options(table: &Table) -> Vec<String> {
    table.get("options").and_then(Value::as_table).map(|t| t.keys().cloned().collect()).unwrap_or_default()
}

struct Lint<'a> {
    text: &'a str,
    options: Vec<String>,
    out: Vec<Problem>,
}

impl Lint<'_> {
    fn say(&mut self, at: Option<&str>, message: String) {
        self.out.push(Problem { line: at.and_then(|a| line_with(self.text, a)), message });
    }

    fn keys(&mut self, table: &Table, known: &[&str], of: &str) {
        for key in table.keys().filter(|k| !known.contains(&k.as_str())) {
            let near =
                nearest(key, known).map_or_else(|| format!("; known here: {}", known.join(", ")), |n| format!("; did you mean `{n}`?"));
            self.say(Some(key), format!("{of} has no key `{key}`{near}"));
        }
    }

    fn file(&mut self, table: &Table) {
        self.keys(table, KEYS, "a rule");
        for key in REQUIRED.iter().filter(|k| !table.contains_key(**k)) {
            let key = if matches!(*key, "when" | "example") { format!("[[{key}]]") } else { format!("{key} = …") };
            self.say(None, format!("`{key}` is missing"));
        }
        if let Some(v) = table.get("severity")
            && v.as_str().is_none_or(|s| s.parse::<Severity>().is_err())
        {
            self.say(Some("severity"), format!("severity is error, warning or advice, not {v}"));
        }
        for key in WORDS {
            self.template(table.get(*key));
        }
        for when in tables(table.get("when")) {
            for key in WORDS {
                self.template(when.get(*key));
            }
            let rest: Table = when
                .iter()
                .filter(|(k, _)| !WORDS.contains(&k.as_str()) && *k != "severity")
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            self.when("", &rest);
        }
        for fix in tables(table.get("fix")) {
            self.fix(fix);
        }
        self.examples(table);
    }

    fn template(&mut self, value: Option<&Value>) {
        for name in value.and_then(Value::as_str).map(placeholders).unwrap_or_default() {
            if !self.options.contains(&name) {
                self.fact(&name);
            }
        }
    }

    fn fact(&mut self, name: &str) {
        if facts::is_known(name) {
            return;
        }
        let names: Vec<&str> = facts::VOCABULARY.iter().map(|(n, _)| *n).collect();
        let near =
            nearest(name, &names).map_or_else(|| "; `airlock facts FILE` shows some".to_string(), |n| format!("; did you mean `{n}`?"));
        // The name may be written in one piece, or its last part under a table's head.
        let last = name.rsplit('.').next().unwrap_or(name);
        let at = if line_with(self.text, name).is_some() { name } else { last };
        self.say(Some(at), format!("no fact is called `{name}`{near}"));
    }

    fn when(&mut self, prefix: &str, table: &Table) {
        for (key, value) in table {
            if key == "not" && prefix.is_empty() {
                for t in value.as_table().into_iter().chain(tables(Some(value))) {
                    self.when("", t);
                }
                continue;
            }
            let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match value {
                Value::Table(t) => self.when(&name, t),
                v if name.ends_with(".lacks") => {
                    self.fact(name.trim_end_matches(".lacks"));
                    let texts = |v: &Value| v.as_array().is_some_and(|a| a.iter().all(Value::is_str)) || v.is_str();
                    if !texts(v) {
                        self.say(Some(&name), format!("`{name}` takes a list of texts"));
                    }
                }
                v => {
                    let bare = name.strip_suffix(".name").or_else(|| name.strip_suffix(".shapes")).filter(|n| facts::is_known(n));
                    let fact = bare.unwrap_or(&name).to_string();
                    self.fact(&fact);
                    self.condition(&fact, v);
                }
            }
        }
    }

    fn condition(&mut self, fact: &str, value: &Value) {
        match value {
            Value::Array(a) => a.iter().for_each(|v| self.condition(fact, v)),
            Value::String(s) => {
                if let Some(pattern) = s.strip_prefix('/').and_then(|p| p.strip_suffix('/')) {
                    if let Err(e) = regex::Regex::new(pattern) {
                        let why = e.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_string();
                        self.say(Some(fact), format!("`{s}` is no regular expression: {why}"));
                    }
                } else if fact == "op" && s != "?" && !s.contains('{') {
                    let names = facts::op_names();
                    if !names.contains(s) {
                        let known: Vec<&str> = names.iter().map(String::as_str).collect();
                        let near = nearest(s, &known).map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
                        self.say(Some(s), format!("no operation is called `{s}`{near}"));
                    }
                }
            }
            Value::Boolean(_) | Value::Integer(_) => {}
            other => self.say(Some(fact), format!("`{other}` is no condition: a text, a number, true, false or a list of these")),
        }
    }

    fn fix(&mut self, fix: &Table) {
        self.keys(fix, FIX, "`[fix]`");
        if let Some(t) = fix.get("when").and_then(Value::as_table) {
            self.when("", t);
        }
        for edit in tables(fix.get("edits")) {
            self.keys(edit, EDIT, "an edit");
            let named = EDIT[..4].iter().filter_map(|k| edit.get(*k).and_then(Value::as_str)).map(str::to_string);
            let inside = edit.get("text").and_then(Value::as_str).map(placeholders).unwrap_or_default();
            for anchor in named.chain(inside) {
                if !is_anchor(&anchor) {
                    let names: Vec<&str> = ANCHORS.iter().map(|(n, _)| *n).collect();
                    let near = nearest(&anchor, &names)
                        .map_or_else(|| format!("; known: {}", names.join(", ")), |n| format!("; did you mean `{n}`?"));
                    self.say(Some(&anchor), format!("no anchor is called `{anchor}`{near}"));
                }
            }
        }
    }

    fn examples(&mut self, table: &Table) {
        let list: Vec<&Table> = tables(table.get("example"));
        for e in &list {
            if e.contains_key("flagged") == e.contains_key("clean") {
                let sql = e.get("flagged").or(e.get("setup")).and_then(Value::as_str).unwrap_or_default().to_string();
                self.say(Some(sql.lines().next().unwrap_or("example")), "an example is either `flagged` or `clean`".into());
            }
        }
        for (key, words) in [("flagged", "the rule finds something in"), ("clean", "the rule finds nothing in")] {
            if !list.is_empty() && !list.iter().any(|e| e.contains_key(key)) {
                self.say(None, format!("an example with `{key}` is missing: SQL that {words}"));
            }
        }
    }
}

fn tables(value: Option<&Value>) -> Vec<&Table> {
    match value {
        Some(Value::Array(a)) => a.iter().filter_map(Value::as_table).collect(),
        Some(Value::Table(t)) => vec![t],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_said_with_its_line() {
        let text = "sumary = 'x'\nseverity = 'fatal'\nwhy = 'x'\ninstead = 'x'\nmessage = '{tabel}'\n\n[[when]]\nop = ['drop-colum', '/(/']\n\
                    table.existd = true\n[fix]\ntitle = 'x'\nsafe = true\nedits = [{ after = 'knd', text = 'x' }]\n[[example]]\nflagged = 'x'\n";
        let found: Vec<String> = problems("my-rule", text)
            .into_iter()
            .map(|p| format!("{}: {}", p.line.map_or("-".into(), |l| l.to_string()), p.message))
            .collect();
        assert_eq!(
            found,
            [
                "1: a rule has no key `sumary`; did you mean `summary`?",
                "2: severity is error, warning or advice, not \"fatal\"",
                "5: no fact is called `tabel`; did you mean `table`?",
                "8: no operation is called `drop-colum`; did you mean `drop-column`?",
                "8: `/(/` is no regular expression: unclosed group",
                "9: no fact is called `table.existd`; did you mean `table.existed`?",
                "13: no anchor is called `knd`; did you mean `kind`?",
                "-: `summary = …` is missing",
                "-: an example with `clean` is missing: SQL that the rule finds nothing in",
            ]
        );
        assert_eq!(problems("x", "a = \n")[0].line, Some(1));
    }

    #[test]
    fn the_rules_in_the_binary_have_none() {
        for (_, name, text) in super::super::BUILT_IN {
            assert_eq!(problems(name, text), [], "{name}");
        }
    }
}
