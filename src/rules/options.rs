//! `[options]` of a rule: thresholds, patterns and lists that `airlock.toml` may change.
//!
//! A condition names an option in braces. `"{pattern}"` stands for the option's value, which is then a condition like any other: a number,
//! a list, a `"/regex/"`. `"> {max}"` compares with it. Message, label and help may show it as `{max}` too.

use toml::{Table, Value};

use super::nearest;

/// The rule's own values, with the user's in their place. A user's value must be of the kind of the rule's own.
pub fn merge(own: &Table, values: &Table) -> Result<Table, String> {
    for (name, value) in own {
        if crate::facts::is_known(name) {
            return Err(format!("option `{name}` is called like a fact: `{{{name}}}` would be ambiguous"));
        }
        if matches!(value, Value::Table(_) | Value::Datetime(_)) {
            return Err(format!("option `{name}` must be a number, a text, true or false, or a list"));
        }
    }
    let mut out = own.clone();
    for (name, value) in values {
        let Some(default) = own.get(name) else {
            let names: Vec<&str> = own.keys().map(String::as_str).collect();
            let near = nearest(name, &names).map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
            let known = if names.is_empty() { "it has none".to_string() } else { format!("it has {}", names.join(", ")) };
            return Err(format!("no option is called `{name}`{near} ({known})"));
        };
        if value.type_str() != default.type_str() {
            return Err(format!("option `{name}` takes a value like `{default}`, not `{value}`"));
        }
        out.insert(name.clone(), value.clone());
    }
    Ok(out)
}

/// Puts values in the place of `{names}` in a `[[when]]`.
pub fn fill_conditions(when: &Table, options: &Table) -> Result<Table, String> {
    when.iter().map(|(k, v)| Ok((k.clone(), condition(v, options)?))).collect()
}

fn condition(value: &Value, options: &Table) -> Result<Value, String> {
    Ok(match value {
        Value::Table(t) => Value::Table(fill_conditions(t, options)?),
        Value::Array(a) => Value::Array(a.iter().map(|v| condition(v, options)).collect::<Result<_, _>>()?),
        Value::String(s) => match named(s) {
            Some(("", name)) => options.get(name).cloned().ok_or_else(|| format!("no option is called `{name}`"))?,
            Some((compare, name)) => match options.get(name) {
                Some(Value::Integer(n)) => Value::String(format!("{compare} {n}")),
                Some(other) => return Err(format!("`{s}` compares, but option `{name}` is `{other}` and no number")),
                None => return Err(format!("no option is called `{name}`")),
            },
            None => value.clone(),
        },
        v => v.clone(),
    })
}

/// `{name}` or `>= {name}`: the comparison and the name. A message inside of a `[[when]]` and a regex are neither.
fn named(text: &str) -> Option<(&str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let name = rest.strip_suffix('}')?;
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let compare = before.trim();
    (plain && matches!(compare, "" | ">" | "<" | ">=" | "<=")).then_some((compare, name))
}

/// Puts values in the place of `{names}` in a message.
pub fn fill_words(template: &str, options: &Table) -> String {
    options.iter().fold(template.to_string(), |out, (name, value)| {
        let shown = match value {
            Value::String(s) => s.clone(),
            Value::Array(a) => a.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_string)).collect::<Vec<_>>().join(", "),
            v => v.to_string(),
        };
        out.replace(&format!("{{{name}}}"), &shown)
    })
}

#[cfg(test)]
mod tests {
    use super::super::Rule;

    const RULE: &str = "summary = 'x'\nseverity = 'advice'\nwhy = 'x'\ninstead = 'x'\nmessage = 'more than {max}: {table}'\n\
        [options]\nmax = 3\nnames = ['a']\n[[when]]\npg = '> {max}'\ntable.name = '{names}'\n[[example]]\nflagged = 'x'\n";

    #[test]
    fn options_have_defaults_and_can_be_set() {
        let rule = Rule::parse("own", "r", RULE).expect("reads");
        assert_eq!(rule.message, "more than 3: {table}");
        let values = toml::from_str("max = 5").expect("TOML");
        assert_eq!(rule.with_options(&values).expect("a number").message, "more than 5: {table}");
    }

    #[test]
    fn a_wrong_option_is_said() {
        let rule = Rule::parse("own", "r", RULE).expect("reads");
        let error = |text: &str| rule.with_options(&toml::from_str(text).expect("TOML")).expect_err("refused").to_string();
        assert_eq!(error("maxx = 5"), "rule `r`: no option is called `maxx`; did you mean `max`? (it has max, names)");
        assert_eq!(error("max = 'five'"), "rule `r`: option `max` takes a value like `3`, not `\"five\"`");
    }

    #[test]
    fn a_condition_without_its_option_is_an_error() {
        let text = RULE.replace("'> {max}'", "'> {limit}'");
        assert_eq!(Rule::parse("own", "r", &text).expect_err("unknown").to_string(), "rule `r`: no option is called `limit`");
    }
}
