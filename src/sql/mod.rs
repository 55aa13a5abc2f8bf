//! Splits scripts into statements and parses them: `sqlparser` for what it reads, the supplement for the rest.

pub mod cursor;
pub mod token;
