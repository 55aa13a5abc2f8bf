//! How long a statement that took so long here would take on tables as large as the real ones: an estimate, and called one.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::catalog::RelName;
use crate::stats::{Size, Stats};

use super::observe::Observed;

/// From fewer rows nothing is concluded: what a statement costs without any row is too much of its time.
pub const LEAST: u64 = 10_000;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    pub seconds: f64,
    /// The table that grows the most.
    pub table: String,
    /// Of the real one, as its statistics say.
    pub rows: Option<u64>,
    pub bytes: u64,
    /// Of the one here.
    pub rows_here: u64,
    pub bytes_here: u64,
    /// Locks on tables that writers wait for meanwhile.
    pub held: Vec<String>,
}

/// Sizes of the tables here and of the real ones.
pub struct Scale<'s> {
    pub here: &'s Stats,
    pub real: &'s Stats,
}

impl Scale<'_> {
    /// `unloaded`: what the statement takes on tables without rows.
    pub fn estimate(&self, seen: &Observed, unloaded: Duration) -> Option<Estimate> {
        let worked: BTreeSet<&RelName> = seen.effects.scans.iter().chain(&seen.effects.rewrites).collect();
        if seen.error.is_some() {
            return None;
        }
        // A rewrite makes the indexes of its table anew, and these are sorted.
        let sorts = !seen.effects.builds.is_empty() || !seen.effects.rewrites.is_empty();
        let estimate = self.of(worked, seen.took, unloaded, sorts)?;
        let tables = |r: &RelName| self.here.size(&r.schema, &r.name).is_some();
        let held = seen.held.iter().chain(&seen.effects.locks).filter(|(r, m)| m.blocks_writes() && tables(r));
        let held: BTreeSet<String> = held.map(|(r, m)| format!("{r} {}", m.sql())).collect();
        Some(Estimate { held: held.into_iter().collect(), ..estimate })
    }

    /// No part of the work grows more than the table that grows the most: what is said is rather too much than too little.
    pub fn of<'r>(
        &self,
        worked: impl IntoIterator<Item = &'r RelName>,
        took: Duration,
        unloaded: Duration,
        sorts: bool,
    ) -> Option<Estimate> {
        let mut most: Option<(f64, &RelName, Size, Size)> = None;
        for name in worked {
            let before = |s: &Stats| s.size(&name.schema, &name.name);
            let (Some(here), Some(real)) = (before(self.here), before(self.real)) else { continue };
            let growth = growth(here, real, sorts);
            if growth > 1.0 && here.rows.unwrap_or_default() < LEAST {
                return None;
            }
            if most.as_ref().is_none_or(|m| growth > m.0) {
                most = Some((growth, name, here, real));
            }
        }
        let (growth, name, here, real) = most.filter(|m| m.0 > 1.0)?;
        let work = took.saturating_sub(unloaded).as_secs_f64();
        Some(Estimate {
            seconds: unloaded.min(took).as_secs_f64() + work * growth,
            table: name.to_string(),
            rows: real.rows,
            bytes: real.bytes,
            rows_here: here.rows.unwrap_or_default(),
            bytes_here: here.bytes,
            held: Vec::new(),
        })
    }
}

/// How many times the work: by rows or by bytes, whichever is more, and for sorting a little more than that.
fn growth(here: Size, real: Size, sorts: bool) -> f64 {
    let ratio = |a: u64, b: u64| if b == 0 { 0.0 } else { a as f64 / b as f64 };
    let rows = here.rows.zip(real.rows).map_or(0.0, |(h, r)| ratio(r, h));
    let most = rows.max(ratio(real.bytes, here.bytes));
    let deeper =
        here.rows.zip(real.rows).filter(|(h, r)| sorts && *h > 1 && r > h).map_or(1.0, |(h, r)| (r as f64).log2() / (h as f64).log2());
    most * deeper
}

impl fmt::Display for Estimate {
    /// `public.orders ACCESS EXCLUSIVE is held for about 4 min at about 120,000,000 rows, 48 GB (an estimate from about 1,000,000 rows, 65 MB here)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |rows, bytes| Size { rows, bytes, ..Size::default() };
        let (real, here) = (size(self.rows, self.bytes), size(Some(self.rows_here), self.bytes_here));
        if !self.held.is_empty() {
            write!(f, "{} {} held for ", self.held.join(", "), if self.held.len() == 1 { "is" } else { "are" })?;
        }
        write!(f, "{} at {real} (an estimate from {here} here)", about(self.seconds))
    }
}

/// Two digits are more than it is worth.
fn about(seconds: f64) -> String {
    let units = [(1.0, "s"), (60.0, "min"), (3600.0, "h"), (86_400.0, "days")];
    if seconds < 1.0 {
        return "less than a second".into();
    }
    let (size, unit) = units.into_iter().rev().find(|(size, _)| seconds >= size * 1.5).unwrap_or(units[0]);
    let n = seconds / size;
    if n < 10.0 && unit != "s" && n.fract() > 0.05 { format!("about {n:.1} {unit}") } else { format!("about {n:.0} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::RelationStats;

    fn stats(rows: u64, table_bytes: u64) -> Stats {
        let one = RelationStats {
            schema: "public".into(),
            name: "t".into(),
            kind: "table".into(),
            rows: Some(rows),
            table_bytes,
            ..RelationStats::default()
        };
        Stats { relations: vec![one], ..Stats::default() }
    }

    fn estimate(here: Stats, real: Stats, sorts: bool) -> Option<Estimate> {
        let t = RelName::new("public", "t");
        Scale { here: &here, real: &real }.of([&t], Duration::from_millis(2_100), Duration::from_millis(100), sorts)
    }

    #[test]
    fn what_depends_on_rows_grows_and_the_rest_does_not() {
        let mut e = estimate(stats(1_000_000, 64 << 20), stats(120_000_000, 4 << 30), false).expect("grows");
        assert!((e.seconds - 240.1).abs() < 0.01, "{e:?}");
        assert_eq!(e.to_string(), "about 4 min at about 120,000,000 rows, 4.0 GB (an estimate from about 1,000,000 rows, 64 MB here)");
        e.held.push("public.t SHARE".into());
        assert!(e.to_string().starts_with("public.t SHARE is held for about 4 min at"));
        // Wider rows count by their bytes, and a sort takes a little more than its share.
        let wide = estimate(stats(1_000_000, 64 << 20), stats(120_000_000, 64 << 30), false).expect("grows");
        assert!((wide.seconds - 2048.1).abs() < 0.01, "{wide:?}");
        assert!(estimate(stats(1_000_000, 64 << 20), stats(120_000_000, 4 << 30), true).expect("grows").seconds > 300.0);
    }

    #[test]
    fn nothing_is_said_where_nothing_is_known() {
        assert_eq!(estimate(stats(9_999, 1 << 20), stats(120_000_000, 4 << 30), false), None, "too few rows here");
        assert_eq!(estimate(stats(1_000_000, 64 << 20), Stats::default(), false), None, "no such table there");
        assert_eq!(estimate(stats(1_000_000, 64 << 20), stats(500_000, 32 << 20), false), None, "it was seen at its size");
    }

    #[test]
    fn times_are_rounded() {
        for (seconds, words) in [
            (0.4, "less than a second"),
            (75.0, "about 75 s"),
            (100.0, "about 1.7 min"),
            (5400.0, "about 1.5 h"),
            (300_000.0, "about 3.5 days"),
        ] {
            assert_eq!(about(seconds), words);
        }
    }
}
