//! Splits scripts into statements and reads their tokens; `sqlparser` is the second opinion on what our own readers refuse.

pub mod cursor;
pub mod second;
pub mod split;
pub mod token;
