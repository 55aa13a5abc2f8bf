//! A plan is data: `plan.toml` is this, written down.

use serde::{Deserialize, Serialize};

use crate::compat::Undo;

pub const PLAN_SCHEMA_VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub schema_version: u32,
    /// Name of the migration that is planned, as its framework calls it.
    pub migration: String,
    /// Its file, relative to the plan's folder or absolute.
    pub source: String,
    /// SHA-256 of that file: a plan of another text is refused.
    pub source_sha256: String,
    pub framework: String,
    /// Major version that the plan is made for.
    pub postgres: u8,
    /// The day on which it was made, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<String>,
    /// What was told (`--map`, `--rename`) and what was inferred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
    #[serde(default)]
    pub options: PlanOptions,
    pub phases: Vec<Phase>,
    /// What each release may do at each boundary.
    pub boundaries: Vec<BoundaryCell>,
    /// What must hold in the data while both releases write: checked by the proof after every write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invariants: Vec<Invariant>,
    /// What people have to do in the code of release N.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checklist: Vec<String>,
    /// How the final catalog may differ from running the migration directly, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deviations: Vec<Deviation>,
    /// How far it is carried out; nothing, before `airlock advance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

impl Plan {
    /// Release N is deployed at B1: it writes both columns itself, and N-1 is gone before they are filled.
    pub fn application_writes(&self) -> bool {
        self.phases.iter().flat_map(|p| &p.steps).any(|s| s.writes.is_some())
    }
}

/// Which steps have become migrations of the user's runner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// The folder of the migrations, relative to the plan's or absolute.
    pub migrations: String,
    /// Where the migration that is planned stood, relative to that folder. It lies under `original` in the plan's folder since.
    pub original: String,
    /// The day on which it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abandoned: Option<String>,
    #[serde(default)]
    pub steps: Vec<Carried>,
}

/// One step that was handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Carried {
    /// Its `id`.
    pub step: String,
    pub phase: PhaseKind,
    /// The day on which it was handed over.
    pub on: String,
    /// It is the way back of the step.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undo: bool,
    /// Files of its migrations, relative to their folder; none: it is run by hand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Nothing may follow before this has run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlanOptions {
    pub batch_size: u32,
    /// Milliseconds between batches.
    pub pause_ms: u32,
    /// Milliseconds a DDL statement waits for its lock before it lets others pass.
    pub lock_timeout_ms: u32,
    /// How often a step waits again for a lock that it did not get.
    #[serde(skip_serializing_if = "is_zero")]
    pub lock_retries: u32,
    /// Who keeps second columns in step.
    #[serde(skip_serializing_if = "DualWrite::is_trigger")]
    pub dual_write: DualWrite,
    /// A feature flag's name, for the checklist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flag: Option<String>,
}

/// Who writes the second column where a release writes the first one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, strum::Display, strum::EnumString, strum::VariantNames)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum DualWrite {
    /// A trigger of the plan's, whoever writes.
    #[default]
    Trigger,
    /// Release N; what N-1 writes is filled in when N-1 is gone.
    App,
}

impl DualWrite {
    fn is_trigger(&self) -> bool {
        *self == DualWrite::Trigger
    }
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Default for PlanOptions {
    fn default() -> Self {
        PlanOptions { batch_size: 1000, pause_ms: 50, lock_timeout_ms: 2000, lock_retries: 0, dual_write: DualWrite::Trigger, flag: None }
    }
}

/// Knowledge that only a person has, or that was read from the migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// `orders.total`, `schema.table.column`, or `a=b` of a rename.
    pub subject: String,
    /// `value`, `up`, `down`, `rename`, …
    pub key: String,
    pub value: String,
    /// `told` or what it was inferred from.
    pub from: String,
}

#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
pub enum PhaseKind {
    #[strum(serialize = "1-expand")]
    Expand,
    #[strum(serialize = "2-migrate")]
    Migrate,
    #[strum(serialize = "3-contract-soft")]
    ContractSoft,
    #[strum(serialize = "4-contract-hard")]
    ContractHard,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    pub kind: PhaseKind,
    #[serde(default)]
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Kebab-case, unique in the plan: `add-orders-shipping-method`.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// File of the SQL, relative to the plan's folder; empty for steps of the application.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub undo_file: String,
    pub actor: Actor,
    /// `true`: all statements in one transaction. `false`: each by itself, outside a transaction, as a query of its own.
    pub transaction: bool,
    pub statements: Vec<String>,
    /// Takes the step back; in the order in which it must run. Empty with `one_way`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undo: Vec<String>,
    /// The undo runs in one transaction.
    #[serde(default = "yes")]
    pub undo_transaction: bool,
    /// What an undo costs once release N has written.
    pub undo_verdict: Undo,
    /// Why it cannot be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_way: Option<String>,
    /// What a step of the application is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sees_to: Option<SeesTo>,
    /// What release N writes beside its own columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writes: Option<Writes>,
    /// Must hold before the step runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preconditions: Vec<Precondition>,
    /// Predicted effects in words and as data, one entry a statement.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predicted: Vec<PredictedEffects>,
}

fn yes() -> bool {
    true
}

/// Who runs a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Actor {
    /// The migration runner.
    Migration,
    /// The application of release N: a job that fills what only it knows.
    Application,
}

/// Rows that the application has to see to: it gives the column a value in them, or deletes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeesTo {
    pub schema: String,
    pub table: String,
    pub column: String,
    /// The condition of such a row, which is called `airlock_t`.
    pub rows: String,
}

/// Columns that release N writes, in the statement that writes the row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Writes {
    pub schema: String,
    pub table: String,
    pub columns: Vec<Written>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    pub column: String,
    /// What it holds, of the row, which is called `airlock_t`.
    pub value: String,
}

impl SeesTo {
    /// The rows that are still to be done, for people.
    pub fn query(&self) -> String {
        format!("SELECT * FROM {} AS airlock_t WHERE {}", crate::quote::qualified(&self.schema, &self.table), self.rows)
    }
}

/// A query that must return no rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Precondition {
    pub title: String,
    /// Returns the offenders, at most a handful.
    pub sql: String,
}

/// `effects::Effects` in the form that stands in `plan.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PredictedEffects {
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub locks: std::collections::BTreeMap<String, crate::op::LockMode>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rewrites: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scans: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub builds: Vec<String>,
}

impl PredictedEffects {
    pub fn merge(&mut self, other: &PredictedEffects) {
        for (r, m) in &other.locks {
            let e = self.locks.entry(r.clone()).or_insert(*m);
            *e = (*e).max(*m);
        }
        let lists = [(&mut self.rewrites, &other.rewrites), (&mut self.scans, &other.scans), (&mut self.builds, &other.builds)];
        for (a, b) in lists {
            a.extend(b.iter().cloned());
            a.sort();
            a.dedup();
        }
    }
}

impl From<&crate::effects::Effects> for PredictedEffects {
    fn from(e: &crate::effects::Effects) -> Self {
        let names = |s: &std::collections::BTreeSet<crate::catalog::RelName>| s.iter().map(|r| r.to_string()).collect();
        PredictedEffects {
            locks: e.locks.iter().map(|(r, m)| (r.to_string(), *m)).collect(),
            rewrites: names(&e.rewrites),
            scans: names(&e.scans),
            builds: names(&e.builds),
        }
    }
}

#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
pub enum Boundary {
    /// Before anything.
    B0,
    /// After expand.
    B1,
    /// After migrate; release N rolls out here.
    B2,
    /// After the soft contract.
    B3,
    /// After the hard contract.
    B4,
}

#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
pub enum Release {
    #[serde(rename = "N-1")]
    #[strum(serialize = "N-1")]
    Old,
    #[serde(rename = "N")]
    #[strum(serialize = "N")]
    New,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Works {
    /// Reads and writes.
    Full,
    /// May write; its reads are incomplete.
    WritesOnly,
    /// Must not be running.
    Gone,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundaryCell {
    pub boundary: Boundary,
    pub release: Release,
    pub works: Works,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Statement shapes that are declared to fail here although the release works (`select-star(prep)`, …), with the reason in `note`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invariant {
    pub title: String,
    /// Returns the rows that break it: none, if all is well.
    pub sql: String,
    /// From this boundary …
    pub from: Boundary,
    /// … to this one, both included.
    pub until: Boundary,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    /// `schema.table` or `schema.table.column` or another object's name.
    pub object: String,
    /// `column-order`, `constraint-name`, …
    pub kind: String,
    pub reason: String,
}
