//! Which tables a publication sends: whether UPDATE and DELETE need a replica identity depends on it.

use crate::op::{Name, QName};

use super::{Catalog, Id, Object};

impl Catalog {
    /// Reads the words behind the name of CREATE or ALTER PUBLICATION: `FOR TABLE a, b (x) WHERE (…), TABLES IN SCHEMA s`,
    /// `ADD TABLE c`, `SET TABLE d`, `DROP TABLE e`.
    pub(super) fn follow_publication(&self, object: &mut Object, words: &str) {
        let tokens = split(words);
        let mut at = 0;
        let word = |i: usize| tokens.get(i).map_or(String::new(), |t| t.to_ascii_lowercase());
        let mut drop = false;
        let mut reading = None;
        while at < tokens.len() {
            match word(at).as_str() {
                "drop" => drop = true,
                "set" if word(at + 1) == "table" || word(at + 1) == "tables" => {
                    object.relations.clear();
                    object.columns.clear();
                }
                "table" => reading = Some(false),
                "schema" if word(at.wrapping_sub(1)) == "in" => reading = Some(true),
                "with" | "where" | "all" => reading = None,
                "tables" | "for" | "add" | "in" | "only" | "," | "*" => {}
                t if t.starts_with('(') => {}
                _ => match reading {
                    Some(true) => object.columns.push(unquote(tokens.get(at).map_or("", String::as_str))),
                    Some(false) => {
                        if let Some(id) = self.published(tokens.get(at).map_or("", String::as_str)) {
                            object.relations.retain(|r| *r != id);
                            if !drop {
                                object.relations.push(id);
                            }
                        }
                    }
                    None => {}
                },
            }
            if word(at) == "," && reading.is_none() {
                // The filter of a table ends at the comma; more tables follow.
                reading = Some(false);
            }
            at += 1;
        }
    }

    fn published(&self, written: &str) -> Option<Id> {
        let mut parts: Vec<Name> = Vec::new();
        let mut rest = written;
        while !rest.is_empty() {
            let end = if rest.starts_with('"') {
                rest[1..].find('"').map_or(rest.len(), |i| i + 2)
            } else {
                rest.find('.').unwrap_or(rest.len())
            };
            parts.push(Name::new(unquote(&rest[..end]), crate::source::Span::default()));
            rest = rest[end..].trim_start_matches('.');
        }
        let name = parts.pop()?;
        self.resolve_relation(&QName { schema: parts.pop(), name })
    }

    fn resolve_relation(&self, name: &QName) -> Option<Id> {
        let at = |s: &str| self.relation_names.get(&(s.to_string(), name.as_str().to_string())).copied();
        match name.schema_str() {
            Some(s) => at(s),
            None => self.search_path.iter().find_map(|s| at(s)),
        }
    }
}

fn unquote(s: &str) -> String {
    match s.strip_prefix('"').and_then(|s| s.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => s.to_lowercase(),
    }
}

/// Words, commas, and what stands in parentheses as one piece.
fn split(words: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut current = String::new();
    let mut depth = 0usize;
    let mut quoted = false;
    for c in words.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                current.push(c);
            }
            '(' if !quoted => {
                if depth == 0 && !current.is_empty() {
                    out.push(std::mem::take(&mut current));
                }
                depth += 1;
                current.push(c);
            }
            ')' if !quoted => {
                depth = depth.saturating_sub(1);
                current.push(c);
            }
            ',' if !quoted && depth == 0 => {
                if !current.is_empty() {
                    out.push(std::mem::take(&mut current));
                }
                out.push(",".into());
            }
            c if c.is_whitespace() && !quoted && depth == 0 => {
                if !current.is_empty() {
                    out.push(std::mem::take(&mut current));
                }
            }
            c => current.push(c),
        }
    }
    if !current.is_empty() {
        out.push(current);
    }
    out
}
