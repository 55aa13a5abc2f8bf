//! How large and how busy the tables are: the file that `airlock stats` writes. No row of any table is in it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Statistics of one database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stats {
    pub schema_version: u32,
    /// Version of the server, `15.18`.
    pub postgres: String,
    /// When it was asked, by the server's clock, ISO 8601.
    pub taken_at: String,
    /// When the server began to count; `null` where it does not say (it never does before the first reset, from 15 on).
    pub stats_reset: Option<String>,
    /// Seconds in which the counters grew: from the reset until now, or the time between two samples. `null`: no rates.
    pub window_seconds: Option<f64>,
    /// Seconds for which the oldest transaction of a client was open at that moment. `null`: there was none, or the role may not see those of others
    /// (it may as a member of `pg_read_all_stats`).
    #[serde(default)]
    pub longest_transaction_seconds: Option<f64>,
    /// By schema and name.
    pub relations: Vec<RelationStats>,
}

/// One table or materialized view; a partitioned table has no rows of its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelationStats {
    pub schema: String,
    pub name: String,
    /// `table`, `partitioned-table`, `materialized-view`.
    pub kind: String,
    /// `schema.name` of the partitioned or inherited tables that it belongs to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<String>,
    /// Estimate of ANALYZE or VACUUM (`reltuples`); `null`: never counted.
    pub rows: Option<u64>,
    /// Bytes of the table itself, of its indexes, and of what is stored out of line (TOAST).
    pub table_bytes: u64,
    pub index_bytes: u64,
    pub toast_bytes: u64,
    /// Rows written, and scans begun, within `window_seconds`.
    pub inserts: u64,
    pub updates: u64,
    pub deletes: u64,
    pub sequential_scans: u64,
    pub index_scans: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<IndexStats>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexStats {
    pub name: String,
    pub bytes: u64,
    pub scans: u64,
}

/// Below both, a table is small: what reads it in full is over before anybody notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Small {
    pub rows: u64,
    pub bytes: u64,
}

impl Default for Small {
    fn default() -> Self {
        // A thousand rows are read and indexed within a few milliseconds; rows of tens of kilobytes are not.
        Small { rows: 1_000, bytes: 8 * 1024 * 1024 }
    }
}

/// What is known about one table with everything below it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Size {
    pub rows: Option<u64>,
    /// Table, indexes and TOAST.
    pub bytes: u64,
    /// Rows a second.
    pub writes_per_second: Option<f64>,
    /// Scans a second.
    pub reads_per_second: Option<f64>,
}

impl Size {
    pub fn is_small(&self, small: Small) -> bool {
        self.rows.is_some_and(|r| r < small.rows) && self.bytes < small.bytes
    }
}

impl std::fmt::Display for Size {
    /// `about 1,200,000 rows, 3.4 GB`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(rows) = self.rows {
            write!(f, "about {} rows, ", thousands(round(rows)))?;
        }
        f.write_str(&bytes(self.bytes))
    }
}

/// Two leading digits: it is an estimate.
fn round(n: u64) -> u64 {
    let step = 10u64.pow(n.checked_ilog10().unwrap_or(0).saturating_sub(1));
    n / step * step
}

fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `8 kB`, `3.4 GB`, as `pg_size_pretty` counts: by 1024.
fn bytes(n: u64) -> String {
    let units = ["bytes", "kB", "MB", "GB", "TB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 || value >= 10.0 { format!("{value:.0} {}", units[unit]) } else { format!("{value:.1} {}", units[unit]) }
}

impl Stats {
    pub const SCHEMA_VERSION: u32 = 1;

    /// `Err`: line and what is wrong there.
    pub fn read(text: &str) -> Result<Stats, String> {
        let s: Stats = serde_json::from_str(text).map_err(|e| format!("{}: {e}", e.line()))?;
        if s.schema_version != Self::SCHEMA_VERSION {
            return Err(format!("1: schema_version {} is not known; write the file anew with `airlock stats`", s.schema_version));
        }
        Ok(s)
    }

    pub fn to_json(&self) -> String {
        let mut out = serde_json::to_string_pretty(self).unwrap_or_default();
        out.push('\n');
        out
    }

    /// The table with its partitions and the tables that inherit from it: they are read, rewritten and locked with it.
    pub fn size(&self, schema: &str, name: &str) -> Option<Size> {
        let by_parent: BTreeMap<&str, Vec<&RelationStats>> = self.relations.iter().fold(BTreeMap::new(), |mut m, r| {
            for p in &r.parents {
                m.entry(p.as_str()).or_insert_with(Vec::new).push(r);
            }
            m
        });
        let first = self.relations.iter().find(|r| r.schema == schema && r.name == name)?;
        let mut all = vec![first];
        let mut seen: BTreeSet<(&str, &str)> = BTreeSet::from([(first.schema.as_str(), first.name.as_str())]);
        let mut i = 0;
        while let Some(r) = all.get(i).copied() {
            i += 1;
            for child in by_parent.get(format!("{}.{}", r.schema, r.name).as_str()).into_iter().flatten() {
                if seen.insert((&child.schema, &child.name)) {
                    all.push(child);
                }
            }
        }
        let with_rows = || all.iter().filter(|r| r.kind != "partitioned-table");
        let sum = |f: fn(&RelationStats) -> u64| all.iter().map(|r| f(r)).sum::<u64>();
        let rate = |n: u64| self.window_seconds.filter(|w| *w > 0.0).map(|w| n as f64 / w);
        Some(Size {
            rows: with_rows().map(|r| r.rows).sum(),
            bytes: sum(|r| r.table_bytes + r.index_bytes + r.toast_bytes),
            writes_per_second: rate(sum(|r| r.inserts + r.updates + r.deletes)),
            reads_per_second: rate(sum(|r| r.sequential_scans + r.index_scans)),
        })
    }

    /// The same with counters of what happened between the two; sizes are those of `self`.
    pub fn since(mut self, earlier: &Stats, seconds: f64) -> Stats {
        for r in &mut self.relations {
            let Some(e) = earlier.relations.iter().find(|e| e.schema == r.schema && e.name == r.name) else { continue };
            for (now, before) in [
                (&mut r.inserts, e.inserts),
                (&mut r.updates, e.updates),
                (&mut r.deletes, e.deletes),
                (&mut r.sequential_scans, e.sequential_scans),
                (&mut r.index_scans, e.index_scans),
            ] {
                *now = now.saturating_sub(before);
            }
            for i in &mut r.indexes {
                if let Some(e) = e.indexes.iter().find(|e| e.name == i.name) {
                    i.scans = i.scans.saturating_sub(e.scans);
                }
            }
        }
        self.longest_transaction_seconds = match (self.longest_transaction_seconds, earlier.longest_transaction_seconds) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        // Milliseconds: what the file says is what was meant.
        self.window_seconds = Some((seconds * 1000.0).round() / 1000.0);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relation(name: &str, parent: &str, kind: &str, rows: Option<u64>) -> RelationStats {
        let parents = if parent.is_empty() { Vec::new() } else { vec![format!("public.{parent}")] };
        RelationStats {
            schema: "public".into(),
            name: name.into(),
            kind: kind.into(),
            parents,
            rows,
            table_bytes: 8192,
            inserts: 10,
            ..RelationStats::default()
        }
    }

    #[test]
    fn partitions_count_with_their_table() {
        let s = Stats {
            schema_version: 1,
            window_seconds: Some(10.0),
            relations: vec![
                relation("a", "", "partitioned-table", None),
                relation("a1", "a", "partitioned-table", None),
                relation("a1x", "a1", "table", Some(5)),
                relation("a2", "a", "table", Some(7)),
                relation("b", "", "table", None),
            ],
            ..Stats::default()
        };
        let a = s.size("public", "a").expect("known");
        assert_eq!((a.rows, a.bytes, a.writes_per_second), (Some(12), 4 * 8192, Some(4.0)));
        assert!(a.is_small(Small::default()) && !a.is_small(Small { rows: 12, bytes: u64::MAX }));
        // One that was never counted is not small.
        assert!(!s.size("public", "b").expect("known").is_small(Small::default()));
        assert_eq!(s.size("public", "c"), None);
        assert_eq!(Stats::read(&s.to_json()), Ok(s));
    }

    #[test]
    fn sizes_are_said_as_estimates() {
        let size = Size { rows: Some(1_234_567), bytes: 3_650_722_201, ..Size::default() };
        assert_eq!(size.to_string(), "about 1,200,000 rows, 3.4 GB");
        assert_eq!(Size { rows: Some(7), bytes: 8192, ..Size::default() }.to_string(), "about 7 rows, 8.0 kB");
        assert_eq!(Size { rows: Some(0), bytes: 0, ..Size::default() }.to_string(), "about 0 rows, 0 bytes");
    }
}
