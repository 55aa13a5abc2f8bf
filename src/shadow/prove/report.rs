//! What a proof says: findings, each of a check, and what they come to.

use std::fmt;

use serde::Serialize;
use strum::IntoEnumIterator;

use crate::plan::{Boundary, PredictedEffects, Release};

use super::super::estimate::Estimate;
use super::super::session::SqlError;
use super::checks::CheckId;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Verdict {
    Proved,
    Failed,
    NotProved,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Status {
    Pass,
    Fail,
    NotRun,
}

/// What shows that a check fails: the statement, the row, what the server said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counterexample {
    /// In one sentence, without the statement.
    pub what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqlstate: Option<String>,
}

impl Counterexample {
    pub fn new(what: impl Into<String>) -> Self {
        Counterexample { what: what.into(), ..Self::default() }
    }

    /// A statement that the server refused.
    pub fn refused(what: impl fmt::Display, e: &SqlError, statement: &str) -> Self {
        let state = (!e.sqlstate.is_empty()).then(|| e.sqlstate.clone());
        Counterexample { what: format!("{what}: {}", e.message), statement: Some(statement.into()), row: None, sqlstate: state }
    }

    pub fn statement(mut self, sql: impl Into<String>) -> Self {
        self.statement = Some(sql.into());
        self
    }

    pub fn row(mut self, row: &[Option<String>]) -> Self {
        let cells: Vec<&str> = row.iter().map(|v| v.as_deref().unwrap_or("NULL")).collect();
        self.row = Some(format!("({})", cells.join(", ")));
        self
    }
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(s) = &self.sqlstate {
            write!(f, " ({s})")?;
        }
        if let Some(r) = &self.row {
            write!(f, "; row {r}")?;
        }
        if let Some(s) = &self.statement {
            write!(f, "; statement `{}`", super::super::script::head(s))?;
        }
        Ok(())
    }
}

/// One thing that a check looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    pub check: CheckId,
    /// What was looked at: a step, a table, a role; empty where the boundary says it all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub about: String,
    pub boundary: Option<Boundary>,
    pub release: Option<Release>,
    pub status: Status,
    /// Not run, although the plan needs it: nothing is proved without it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gap: bool,
    pub detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub counterexamples: Vec<Counterexample>,
}

/// One line of the table: a check and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    pub id: CheckId,
    pub title: &'static str,
    pub status: Status,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gap: bool,
    /// Why it failed or was not run; what was looked at.
    pub detail: String,
    pub passed: usize,
    pub failed: usize,
    pub not_run: usize,
}

/// A statement on many rows.
#[derive(Debug, Clone, Serialize)]
pub struct AtSize {
    pub milliseconds: u64,
    /// Of the largest table that it read or wrote in full.
    pub rows: Option<u64>,
    /// On tables as large as the statistics say; there are none, or the size was reached.
    pub estimate: Option<Estimate>,
    /// The estimate in words.
    pub estimated: Option<String>,
}

/// One statement: what was predicted and what was seen.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    pub phase: String,
    pub file: String,
    pub statement: String,
    pub predicted: PredictedEffects,
    pub observed: PredictedEffects,
    pub milliseconds: u64,
    /// The step, and which of its statements it is.
    #[serde(skip)]
    pub step: String,
    #[serde(skip)]
    pub part: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_size: Option<AtSize>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Proof {
    pub schema_version: u32,
    pub verdict: Verdict,
    pub postgres: String,
    pub checks: Vec<Summary>,
    pub findings: Vec<Finding>,
    pub steps: Vec<StepReport>,
    /// Why there are no times on many rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_times: Option<String>,
}

impl Proof {
    pub(super) fn new(postgres: &str, findings: Vec<Finding>, steps: Vec<StepReport>) -> Proof {
        let checks: Vec<Summary> = CheckId::iter().map(|id| summary(id, &findings)).collect();
        let verdict = verdict(&checks);
        Proof { schema_version: 2, verdict, postgres: postgres.to_string(), checks, findings, steps, no_times: None }
    }

    /// The first that failed, in the order of the list.
    pub fn failed(&self) -> impl Iterator<Item = &Summary> {
        self.checks.iter().filter(|c| c.status == Status::Fail)
    }

    /// Adds what became of one check that is made from other proofs.
    pub fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
        self.checks = CheckId::iter().map(|id| summary(id, &self.findings)).collect();
        self.verdict = verdict(&self.checks);
    }
}

fn verdict(checks: &[Summary]) -> Verdict {
    if checks.iter().any(|c| c.status == Status::Fail) {
        Verdict::Failed
    } else if checks.iter().any(|c| c.gap) || !checks.iter().any(|c| c.status == Status::Pass) {
        Verdict::NotProved
    } else {
        Verdict::Proved
    }
}

fn summary(id: CheckId, findings: &[Finding]) -> Summary {
    let own: Vec<&Finding> = findings.iter().filter(|f| f.check == id).collect();
    let of = |s: Status| own.iter().filter(|f| f.status == s).count();
    let (passed, failed, not_run) = (of(Status::Pass), of(Status::Fail), of(Status::NotRun));
    let first = |s: Status, gap: bool| own.iter().find(|f| f.status == s && (!gap || f.gap));
    let said = |f: &&Finding| if f.about.is_empty() { f.detail.clone() } else { format!("{}: {}", f.about, f.detail) };
    let (status, gap, detail) = if let Some(f) = first(Status::Fail, false) {
        let at = [f.boundary.map(|b| b.to_string()), f.release.map(|r| format!("release {r}"))];
        let at: Vec<String> = at.into_iter().flatten().collect();
        let at = if at.is_empty() { String::new() } else { format!("at {}: ", at.join(", ")) };
        (Status::Fail, false, format!("{at}{}", said(f)))
    } else if let Some(f) = first(Status::NotRun, true) {
        (Status::NotRun, true, said(f))
    } else if let Some(f) = first(Status::Pass, false) {
        let detail = if passed == 1 { said(f) } else { format!("{passed} looks, the first: {}", said(f)) };
        (Status::Pass, false, detail)
    } else if let Some(f) = first(Status::NotRun, false) {
        (Status::NotRun, false, said(f))
    } else if id == CheckId::NegativeControl {
        (Status::NotRun, false, "asked for with --self-test".to_string())
    } else {
        (Status::NotRun, true, "not reached".to_string())
    };
    Summary { id, title: id.title(), status, gap, detail, passed, failed, not_run }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(check: CheckId, status: Status, gap: bool) -> Finding {
        Finding { check, about: String::new(), boundary: None, release: None, status, gap, detail: "x".into(), counterexamples: Vec::new() }
    }

    #[test]
    fn what_was_not_looked_at_is_never_proved() {
        let all = |but: CheckId, status: Status, gap: bool| {
            let checks = CheckId::iter().filter(|c| *c != CheckId::NegativeControl);
            let findings = checks.map(|c| if c == but { finding(c, status, gap) } else { finding(c, Status::Pass, false) }).collect();
            Proof::new("15", findings, Vec::new()).verdict
        };
        assert_eq!(all(CheckId::Backfill, Status::Pass, false), Verdict::Proved);
        assert_eq!(all(CheckId::Backfill, Status::NotRun, false), Verdict::Proved, "the plan has none");
        assert_eq!(all(CheckId::Backfill, Status::NotRun, true), Verdict::NotProved);
        assert_eq!(all(CheckId::Backfill, Status::Fail, false), Verdict::Failed);
        assert_eq!(Proof::new("15", Vec::new(), Vec::new()).verdict, Verdict::NotProved);
    }
}
