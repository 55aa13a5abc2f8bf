//! What came out, for people and as the snapshot that can only get better.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use crate::judge::All;

impl All {
    /// Findings with examples.
    pub fn findings(&self, examples: usize, only: Option<&str>) -> String {
        let mut out = String::new();
        for ((kind, what), list) in &self.found {
            if only.is_some_and(|o| !kind.starts_with(o)) {
                continue;
            }
            let _ = writeln!(out, "{:5} {kind}: {what}", list.len());
            for e in list.iter().take(examples) {
                let _ = writeln!(out, "        {e}");
            }
        }
        out
    }

    /// `name = number` lines: what may not grow, then what may not shrink.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{:<28} {:>7} {:>10} {:>8} {:>9} {:>7} {:>8}",
            "statement", "count", "understood", "partial", "no-effect", "opaque", "misread"
        );
        let mut sum = [0usize; 6];
        for (kind, r) in &self.rows {
            let _ = writeln!(
                out,
                "{kind:<28} {:>7} {:>10} {:>8} {:>9} {:>7} {:>8}",
                r.count, r.understood, r.partial, r.no_effect, r.opaque, r.misread
            );
            for (s, n) in sum.iter_mut().zip([r.count, r.understood, r.partial, r.no_effect, r.opaque, r.misread]) {
                *s += n;
            }
        }
        let _ = writeln!(out, "{:<28} {:>7} {:>10} {:>8} {:>9} {:>7} {:>8}", "total", sum[0], sum[1], sum[2], sum[3], sum[4], sum[5]);
        let _ = writeln!(out, "\nboundaries-that-differ {}", self.boundaries);
        let _ = writeln!(out, "scripts-read-whole {}", self.scripts);
        let _ = writeln!(out, "statements-with-templates {}", self.templates);
        for (why, n) in &self.piecewise {
            let _ = writeln!(out, "scripts-read-by-statement {} {n}", why.replace(' ', "-"));
        }
        for (why, n) in &self.partial_reasons {
            let _ = writeln!(out, "partly {} {n}", why.replace(' ', "-"));
        }
        for (command, (n, taken)) in &self.refused {
            let _ = writeln!(out, "refused-by-postgres {} {n} taken-as-understood {taken}", command.replace(' ', "-"));
        }
        for (path, n) in &self.left_out {
            let _ = writeln!(out, "left-out {path} {n}");
        }
        out
    }
}

/// Numbers that may not grow, by section and name.
fn bad(section: &str) -> BTreeMap<String, usize> {
    let mut out = BTreeMap::new();
    for line in section.lines() {
        let w: Vec<&str> = line.split_whitespace().collect();
        let number = |i: usize| w.get(i).and_then(|n| n.parse::<usize>().ok());
        match w.as_slice() {
            [kind, _, _, _, _, _, _] if number(1).is_some() => {
                out.insert(format!("{kind}: opaque"), number(5).unwrap_or(0));
                out.insert(format!("{kind}: misread"), number(6).unwrap_or(0));
            }
            ["boundaries-that-differ", _] => {
                out.insert("boundaries that differ".into(), number(1).unwrap_or(0));
            }
            ["refused-by-postgres", command, _, "taken-as-understood", _] => {
                out.insert(format!("refused {command}: taken as understood"), number(4).unwrap_or(0));
            }
            _ => {}
        }
    }
    out
}

/// Statements in all.
fn total(section: &str) -> usize {
    section.lines().find_map(|l| l.strip_prefix("total")?.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Holds the sections against the snapshot; says whether nothing got worse.
pub fn hold(snapshot: &Path, sections: &[(String, String)], update: bool) -> Result<bool, String> {
    let old = std::fs::read_to_string(snapshot).unwrap_or_default();
    let mut kept: BTreeMap<String, String> = BTreeMap::new();
    for part in old.split("\n== ").filter(|p| !p.trim().is_empty()) {
        if let Some((name, body)) = part.trim_start_matches("== ").split_once('\n') {
            kept.insert(name.trim().to_string(), body.trim_end().to_string() + "\n");
        }
    }
    let mut fine = true;
    for (name, table) in sections {
        println!("== {name}\n{table}");
        if let (Some(before), false) = (kept.get(name), update) {
            let allowed = bad(before);
            for (what, n) in bad(table) {
                let may = allowed.get(&what).copied().unwrap_or(0);
                if n > may {
                    println!("WORSE: {name}: {what} is {n}, the snapshot has {may}");
                    fine = false;
                }
            }
            if total(table) < total(before) {
                println!("WORSE: {name}: {} statements are read, the snapshot has {}", total(table), total(before));
                fine = false;
            }
            if fine && table != before {
                println!("{name}: other numbers than in the snapshot, none worse; `scripts/judge --update` keeps them");
            }
        } else if !update {
            println!("WORSE: {name}: not in {}; `scripts/judge --update` writes it", snapshot.display());
            fine = false;
        }
        kept.insert(name.clone(), table.clone());
    }
    if update {
        let text: String = kept.iter().map(|(name, body)| format!("== {name}\n{}\n", body.trim_end())).collect();
        std::fs::write(snapshot, text).map_err(|e| format!("{}: {e}", snapshot.display()))?;
    }
    Ok(fine)
}
