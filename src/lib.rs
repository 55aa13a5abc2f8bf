//! Airlock checks Postgres migrations, plans them as expand / migrate / contract, and proves the plan on a shadow database.
//! `ARCHITECTURE.md` has the map of the rooms and what may use what.

pub mod catalog;
pub mod compat;
pub mod diagnostic;
pub mod effects;
pub mod op;
pub mod plan;
pub mod quote;
pub mod source;
