//! Reads what was recorded on real servers, for the tests that compare predictions and the shadow's observations with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use crate::op::LockMode;

/// One statement, and what it did on each range of versions.
#[derive(Deserialize)]
pub struct Case {
    pub name: String,
    pub setup: String,
    pub statement: String,
    observed: Vec<Recorded>,
}

/// Relations of schema `s`, by the names that they had before the statement.
#[derive(Deserialize)]
pub struct Recorded {
    postgres: [u8; 2],
    pub in_transaction: Option<bool>,
    #[serde(default)]
    locks: BTreeMap<String, String>,
    #[serde(default)]
    pub new_file: BTreeSet<String>,
    #[serde(default)]
    pub scanned: BTreeSet<String>,
    #[serde(default)]
    pub dropped: BTreeSet<String>,
    pub error: Option<String>,
}

/// The schema that every case starts from, and the cases; `None` where the recording is not on this machine.
pub fn read() -> Option<(String, Vec<Case>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/facts/locks");
    let cases = std::fs::read_to_string(folder.join("cases.json")).ok()?;
    let base = std::fs::read_to_string(folder.join("base.sql")).expect("the base lies beside its cases");
    Some((base, serde_json::from_str(&cases).expect("cases.json reads")))
}

impl Case {
    pub fn on(&self, major: u8) -> Option<&Recorded> {
        self.observed.iter().find(|o| (o.postgres[0]..=o.postgres[1]).contains(&major))
    }
}

impl Recorded {
    pub fn locks(&self) -> BTreeMap<String, LockMode> {
        self.locks.iter().map(|(n, m)| (n.clone(), mode(m))).collect()
    }
}

fn mode(short: &str) -> LockMode {
    match short {
        "AS" => LockMode::AccessShare,
        "RS" => LockMode::RowShare,
        "RX" => LockMode::RowExclusive,
        "SUX" => LockMode::ShareUpdateExclusive,
        "S" => LockMode::Share,
        "SRX" => LockMode::ShareRowExclusive,
        "X" => LockMode::Exclusive,
        "AX" => LockMode::AccessExclusive,
        other => panic!("`{other}` is no lock mode of the recording"),
    }
}
