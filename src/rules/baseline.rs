//! Findings that are known already: kept in a file, matched by rule, normalised statement and object, never by line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::diagnostic::{Diagnostic, normalised};

/// What `airlock baseline` writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    pub schema_version: u32,
    /// In the order of files and positions. Two of the same kind are two entries.
    pub findings: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub rule: String,
    pub object: String,
    /// The file in which it was, for people: a file may be moved.
    pub path: String,
    /// The start of the normalised statement, for people.
    pub statement: String,
    pub fingerprint: String,
}

/// What is left when the known findings are taken away.
#[derive(Debug, Default)]
pub struct Compared {
    pub new: Vec<Diagnostic>,
    pub known: usize,
    /// Entries that match nothing any more, of the files that were checked.
    pub stale: Vec<Entry>,
}

impl Baseline {
    pub const SCHEMA_VERSION: u32 = 1;

    pub fn of(findings: &[Diagnostic]) -> Baseline {
        let entry = |d: &Diagnostic| Entry {
            rule: d.rule.clone(),
            object: d.object.clone(),
            path: path(d),
            statement: normalised(d.source.slice(d.statement)).chars().take(120).collect(),
            fingerprint: d.fingerprint(),
        };
        Baseline { schema_version: Self::SCHEMA_VERSION, findings: findings.iter().map(entry).collect() }
    }

    /// `Err`: what is wrong with the file.
    pub fn read(text: &str) -> Result<Baseline, String> {
        let b: Baseline = serde_json::from_str(text).map_err(|e| format!("{}: {e}", e.line()))?;
        if b.schema_version != Self::SCHEMA_VERSION {
            return Err(format!("1: schema_version {} is not known; write the file anew with `airlock baseline`", b.schema_version));
        }
        Ok(b)
    }

    pub fn to_json(&self) -> String {
        let mut out = serde_json::to_string_pretty(self).unwrap_or_default();
        out.push('\n');
        out
    }

    /// Each entry takes one finding away, of its own file first. `checked`: the paths that were checked.
    pub fn compare(&self, found: Vec<Diagnostic>, checked: &[String]) -> Compared {
        let mut left: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        for e in &self.findings {
            left.entry(&e.fingerprint).or_default().push(e);
        }
        let mut out = Compared::default();
        for same_file in [true, false] {
            let rest = if same_file { found.clone() } else { std::mem::take(&mut out.new) };
            for d in rest {
                let entries = left.get_mut(d.fingerprint().as_str());
                let at = entries.as_ref().and_then(|l| l.iter().position(|e| !same_file || e.path == path(&d)));
                match (entries, at) {
                    (Some(l), Some(i)) => {
                        l.remove(i);
                        out.known += 1;
                    }
                    _ => out.new.push(d),
                }
            }
        }
        let missed: Vec<&Entry> = left.into_values().flatten().collect();
        out.stale =
            self.findings.iter().filter(|e| missed.iter().any(|m| std::ptr::eq(*m, *e)) && checked.contains(&e.path)).cloned().collect();
        out
    }
}

fn path(d: &Diagnostic) -> String {
    d.source.path().to_string_lossy().replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Severity;
    use crate::source::SourceFile;

    fn finding(file: &str, sql: &str, rule: &str) -> Diagnostic {
        let source = SourceFile::new(file, sql);
        Diagnostic {
            rule: rule.into(),
            severity: Severity::Error,
            span: source.full_span(),
            statement: source.full_span(),
            source,
            message: String::new(),
            label: String::new(),
            related: Vec::new(),
            help: String::new(),
            fix: None,
            object: "public.a".into(),
        }
    }

    #[test]
    fn a_finding_is_known_wherever_it_went_and_once_only() {
        let old = Baseline::of(&[finding("1.sql", "DROP TABLE a", "drop-table"), finding("2.sql", "DROP TABLE b", "drop-table")]);
        let read = Baseline::read(&old.to_json()).expect("reads");
        assert_eq!(read, old);
        let now = vec![finding("9.sql", "\n-- moved\ndrop table  a", "drop-table"), finding("9.sql", "DROP TABLE a", "drop-table")];
        let c = read.compare(now, &["9.sql".into(), "2.sql".into()]);
        assert_eq!((c.known, c.new.len(), c.stale.len()), (1, 1, 1));
        assert_eq!(c.stale[0].path, "2.sql");
        // Of a file that was not checked nothing is known.
        assert!(read.compare(Vec::new(), &["3.sql".into()]).stale.is_empty());
        assert!(Baseline::read("{\n\"x\": 1}").expect_err("an unknown key").starts_with("2: "));
    }
}
