//! Lock modes and server versions.

/// Table-level lock modes, weakest first, with Postgres's own names.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
    serde::Serialize,
    serde::Deserialize,
)]
pub enum LockMode {
    #[strum(serialize = "AccessShareLock")]
    #[serde(rename = "AccessShareLock")]
    AccessShare,
    #[strum(serialize = "RowShareLock")]
    #[serde(rename = "RowShareLock")]
    RowShare,
    #[strum(serialize = "RowExclusiveLock")]
    #[serde(rename = "RowExclusiveLock")]
    RowExclusive,
    #[strum(serialize = "ShareUpdateExclusiveLock")]
    #[serde(rename = "ShareUpdateExclusiveLock")]
    ShareUpdateExclusive,
    #[strum(serialize = "ShareLock")]
    #[serde(rename = "ShareLock")]
    Share,
    #[strum(serialize = "ShareRowExclusiveLock")]
    #[serde(rename = "ShareRowExclusiveLock")]
    ShareRowExclusive,
    #[strum(serialize = "ExclusiveLock")]
    #[serde(rename = "ExclusiveLock")]
    Exclusive,
    #[strum(serialize = "AccessExclusiveLock")]
    #[serde(rename = "AccessExclusiveLock")]
    AccessExclusive,
}

impl LockMode {
    /// The words of LOCK TABLE: `ACCESS EXCLUSIVE`.
    pub fn sql(self) -> &'static str {
        match self {
            LockMode::AccessShare => "ACCESS SHARE",
            LockMode::RowShare => "ROW SHARE",
            LockMode::RowExclusive => "ROW EXCLUSIVE",
            LockMode::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            LockMode::Share => "SHARE",
            LockMode::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            LockMode::Exclusive => "EXCLUSIVE",
            LockMode::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }

    /// Conflicts with INSERT, UPDATE, DELETE (ROW EXCLUSIVE).
    pub fn blocks_writes(self) -> bool {
        self >= LockMode::Share
    }

    /// Conflicts with SELECT.
    pub fn blocks_reads(self) -> bool {
        self == LockMode::AccessExclusive
    }
}

/// A major version of Postgres that Airlock makes claims about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct PgVersion(pub u8);

impl PgVersion {
    pub const SUPPORTED: std::ops::RangeInclusive<u8> = 14..=18;

    /// The version on which the tests run: `AIRLOCK_TEST_PG`.
    #[cfg(test)]
    pub fn of_tests() -> PgVersion {
        std::env::var("AIRLOCK_TEST_PG").ok().map_or_else(PgVersion::default, |v| v.parse().expect("a version"))
    }
}

impl Default for PgVersion {
    fn default() -> Self {
        PgVersion(15)
    }
}

impl std::str::FromStr for PgVersion {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let major = s.split('.').next().unwrap_or(s).trim();
        match major.parse::<u8>() {
            Ok(n) if Self::SUPPORTED.contains(&n) => Ok(PgVersion(n)),
            _ => Err(format!("`{s}` is not a supported Postgres version; expected 14, 15, 16, 17 or 18")),
        }
    }
}

impl std::fmt::Display for PgVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
