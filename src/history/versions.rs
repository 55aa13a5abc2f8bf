//! The version that comes next: a history goes on counting as it has counted.

use std::path::Path;

use time::{Date, Month, OffsetDateTime};

use super::folders::{base, stem};
use super::names::version_numbers;
use super::read::Folder;
use super::{Framework, History, Migration};

/// The next versions of a history, as its file names write them.
pub struct Versions {
    kind: Kind,
    /// What the first one is; each later one is one more.
    at: u64,
}

enum Kind {
    /// `20240131120000`
    Stamp,
    /// `2024-01-31-120000`, as Diesel writes it.
    Dashed,
    /// Seconds or milliseconds since 1970.
    Epoch,
    /// A number with this much in front of it and at least so many digits.
    Number { before: String, width: usize },
}

impl Versions {
    /// `now`: seconds since 1970.
    pub fn after(history: &History, now: u64) -> Versions {
        let last = history.migrations.iter().rev().find_map(|m| token(history.framework, m));
        // Migrations written in another language count too.
        let code = Folder::open(&history.root, None, true).map(|f| f.code).unwrap_or_default();
        let last = code.iter().filter_map(|p| code_token(p)).chain(last).max_by_key(|t| version_numbers(t));
        let Some(last) = last else { return Versions::first(history, now) };
        let digits = last.bytes().all(|b| b.is_ascii_digit());
        let number = last.parse::<u64>().unwrap_or(0);
        if digits && let Some(at) = stamp_seconds(&last).filter(|_| matches!(last.len(), 8 | 12 | 14)) {
            // A shorter one stands before its own day or minute, and in the order of the alphabet behind it.
            let step = match last.len() {
                8 => 86_400,
                12 => 60,
                _ => 1,
            };
            return Versions { kind: Kind::Stamp, at: now.max(at + step) };
        }
        if digits && last.len() == 13 {
            return Versions { kind: Kind::Epoch, at: (now * 1000).max(number + 1) };
        }
        if digits && last.len() == 10 && number > 900_000_000 {
            return Versions { kind: Kind::Epoch, at: now.max(number + 1) };
        }
        let plain: String = last.chars().filter(|c| *c != '-').collect();
        if !digits
            && plain.len() == 14
            && let Some(at) = stamp_seconds(&plain)
        {
            return Versions { kind: Kind::Dashed, at: now.max(at + 1) };
        }
        let run = last.bytes().rev().take_while(u8::is_ascii_digit).count();
        let (before, tail) = last.split_at(last.len() - run);
        Versions { kind: Kind::Number { before: before.to_string(), width: run }, at: tail.parse::<u64>().unwrap_or(0) + 1 }
    }

    /// Nothing to go on from: what the runner's own command would make.
    fn first(history: &History, now: u64) -> Versions {
        use Framework as F;
        let number = |before: String, width| Versions { kind: Kind::Number { before, width }, at: 1 };
        // Names that hold no version are in the order of the alphabet: the last one goes on.
        if let Some(last) = history.migrations.last().filter(|_| !matches!(history.framework, F::Sqitch | F::Flyway)) {
            return number(format!("{}_", stem(base(&last.name))), 2);
        }
        match history.framework {
            F::Flyway | F::Refinery | F::Bytebase => number(String::new(), 1),
            F::Tern => number(String::new(), 3),
            F::GolangMigrate | F::Morph => number(String::new(), 6),
            F::Drizzle | F::Pgmigrate => number(String::new(), 4),
            F::Diesel => Versions { kind: Kind::Dashed, at: now },
            F::Hasura => Versions { kind: Kind::Epoch, at: now * 1000 },
            _ => Versions { kind: Kind::Stamp, at: now },
        }
    }

    pub fn take(&mut self) -> String {
        let at = self.at;
        self.at += 1;
        match &self.kind {
            Kind::Stamp => stamp(at),
            Kind::Dashed => {
                let s = stamp(at);
                format!("{}-{}-{}-{}", &s[..4], &s[4..6], &s[6..8], &s[8..])
            }
            Kind::Epoch => at.to_string(),
            Kind::Number { before, width } => format!("{before}{at:0width$}"),
        }
    }
}

/// The version as the name writes it.
fn token(framework: Framework, m: &Migration) -> Option<String> {
    use Framework as F;
    let digits = |name: &str| name.chars().take_while(char::is_ascii_digit).collect::<String>();
    let text = match framework {
        F::Flyway | F::Refinery | F::Pgmigrate => m.version.clone(),
        F::Bytebase => m.version.clone(),
        F::Diesel => m.name.split('_').next().unwrap_or_default().to_string(),
        F::Liquibase => digits(&m.up.source.path().file_name()?.to_string_lossy()),
        F::Drizzle => digits(base(&m.name)),
        F::GraphileMigrate | F::Sqitch => String::new(),
        _ => digits(base(&m.name)),
    };
    (text.starts_with(|c: char| c.is_ascii_digit()) && text.ends_with(|c: char| c.is_ascii_digit())).then_some(text)
}

/// `4_code.go`, `V4__code.java`.
fn code_token(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    let name = name.strip_prefix('V').filter(|_| name.contains("__")).unwrap_or(&name);
    let end = name.find("__").unwrap_or_else(|| name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len()));
    let token = name.get(..end)?;
    (token.starts_with(|c: char| c.is_ascii_digit()) && token.ends_with(|c: char| c.is_ascii_digit())).then(|| token.to_string())
}

/// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, if it is a time. Runners that count past 59 take such a version too, as a number.
fn stamp_seconds(digits: &str) -> Option<u64> {
    let padded = format!("{digits:0<14}");
    let part = |from: usize, to: usize| padded.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    if !(1990..2200).contains(&year) {
        return None;
    }
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let day = Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()?;
    let midnight = u64::try_from(day.midnight().assume_utc().unix_timestamp()).ok()?;
    Some(midnight + hour * 3600 + minute * 60 + second)
}

fn moment(seconds: u64) -> OffsetDateTime {
    i64::try_from(seconds).ok().and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Seconds since 1970 as `YYYYMMDDHHMMSS`.
pub fn stamp(seconds: u64) -> String {
    let m = moment(seconds);
    format!("{:04}{:02}{:02}{:02}{:02}{:02}", m.year(), u8::from(m.month()), m.day(), m.hour(), m.minute(), m.second())
}

/// Seconds since 1970 as `YYYY-MM-DD`.
pub fn date(seconds: u64) -> String {
    moment(seconds).date().to_string()
}

/// Whole days from one date (`YYYY-MM-DD`) to another; `None`: no date.
pub fn days_between(from: &str, to: &str) -> Option<u64> {
    let at = |d: &str| stamp_seconds(&d.replace('-', "")).map(|s| s / 86_400);
    Some(at(to)?.saturating_sub(at(from)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_there_and_back() {
        for (seconds, text) in
            [(0, "19700101000000"), (951_782_399, "20000228235959"), (951_868_800, "20000301000000"), (1_732_500_000, "20241125020000")]
        {
            assert_eq!(stamp(seconds), text);
            if seconds > 0 {
                assert_eq!(stamp_seconds(text), Some(seconds));
            }
        }
        assert_eq!(date(951_782_400), "2000-02-29");
        assert_eq!(days_between("2026-01-31", "2026-03-02"), Some(30));
        assert_eq!(stamp_seconds("00000000000012"), None);
    }
}
