//! Airlock checks Postgres migrations, plans them as expand / migrate / contract, and proves the plan on a shadow database.
//! `ARCHITECTURE.md` has the map of the rooms and what may use what.

pub mod catalog;
pub mod cli;
pub mod compat;
pub mod config;
pub mod diagnostic;
pub mod effects;
pub mod facts;
pub mod history;
pub mod lower;
pub mod op;
pub mod plan;
pub mod quote;
pub mod replay;
pub mod report;
pub mod rules;
pub mod shadow;
pub mod source;
pub mod sql;
pub mod stats;
pub mod workload;
