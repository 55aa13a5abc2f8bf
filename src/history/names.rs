//! Versions in file names, and the order that they give.

use std::sync::LazyLock;

use regex::Regex;

/// One run of a name: digits compare as numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Run {
    Number(Vec<u8>),
    Text(String),
}

/// Natural order: `9_a` before `10_a`.
pub fn natural(name: &str) -> Vec<Run> {
    let mut out = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let len = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (run, tail) = rest.split_at(len);
        out.push(if digits { Run::Number(number(run)) } else { Run::Text(run.to_string()) });
        rest = tail;
    }
    out
}

/// A number of any length, comparable: its length first, then its digits.
fn number(digits: &str) -> Vec<u8> {
    let digits = digits.trim_start_matches('0');
    let mut key = (digits.len() as u32).to_be_bytes().to_vec();
    key.extend(digits.bytes());
    key
}

/// `1.2_3` → its numbers; `1` and `1.0` are the same.
pub fn version_numbers(version: &str) -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = version.split(['.', '_']).map(number).collect();
    while out.len() > 1 && out.last() == Some(&number("0")) {
        out.pop();
    }
    out
}

/// `V1.2__name.sql`: prefix, version, description.
pub fn flyway(file: &str) -> Option<(char, &str, &str)> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^([VURB])([0-9][0-9A-Za-z._]*?)?__(.*)\.sql$").expect("a valid pattern"));
    let c = NAME.captures(file)?;
    let prefix = c.get(1)?.as_str().chars().next()?;
    Some((prefix, c.get(2).map_or("", |m| m.as_str()), c.get(3)?.as_str()))
}

/// `12_name.up.sql` → version, name, is it up.
pub fn suffixed(file: &str) -> Option<(&str, &str, bool)> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^([0-9]+)_?(.*)\.(up|down)\.sql$").expect("a valid pattern"));
    let c = NAME.captures(file)?;
    Some((c.get(1)?.as_str(), c.get(2)?.as_str(), c.get(3)?.as_str() == "up"))
}

/// `12_name.sql` → version, name.
pub fn numbered(file: &str) -> Option<(&str, &str)> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^([0-9]+)[_-]?(.*)\.sql$").expect("a valid pattern"));
    let c = NAME.captures(file)?;
    Some((c.get(1)?.as_str(), c.get(2)?.as_str()))
}

/// `12_name.sql` in the root itself → version: the names that goose, tern and the Supabase CLI take.
pub fn underscored(file: &str) -> Option<&str> {
    let (version, rest) = file.split_once('_')?;
    let digits = !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit());
    (digits && rest.len() > 4 && rest.ends_with(".sql")).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_as_numbers() {
        let mut names = ["10_b", "9_a", "2b", "2a", "20240131120000_x", "010_c"];
        names.sort_by_key(|n| natural(n));
        assert_eq!(names, ["2a", "2b", "9_a", "10_b", "010_c", "20240131120000_x"]);
        assert!(version_numbers("1.10") > version_numbers("1.9"));
        assert_eq!(version_numbers("1.0"), version_numbers("1"));
    }

    #[test]
    fn names_of_runners() {
        assert_eq!(flyway("V1.2__add_x.sql"), Some(('V', "1.2", "add_x")));
        assert_eq!(flyway("R__views.sql"), Some(('R', "", "views")));
        assert_eq!(suffixed("000001_x.up.sql"), Some(("000001", "x", true)));
        assert_eq!(suffixed("000001_x.sql"), None);
        assert_eq!(numbered("0001_x.sql"), Some(("0001", "x")));
    }
}
