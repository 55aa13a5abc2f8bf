//! The schema as data. `apply` is the only thing that changes it.
//!
//! A catalog is cheap to clone (persistent maps, shared values), so a snapshot before every statement costs nothing.
//! Objects keep their id through renames and moves.

mod alter;
mod apply;
mod bounds;
mod casts;
mod code;
mod columns;
mod compare;
mod constraints;
mod data;
mod drop;
mod dump;
mod dumping;
mod enum_use;
mod exprs;
mod extensions;
mod functions;
mod grants;
mod indexes;
mod infer;
mod key;
#[cfg(test)]
mod large_test;
mod lookup;
mod model;
mod names;
mod objects;
mod opclasses;
mod partitions;
mod proofs;
mod pruning;
mod publications;
mod query;
mod refusals;
mod refused_indexes;
mod rename;
mod render;
mod render_rest;
mod resolve;
mod rows;
mod sequences;
mod session;
mod store;
mod tables;
mod typed;
mod types;
mod views;
mod volatility;
mod words;

pub use apply::{Applied, ApplyError};
pub use compare::Difference;
pub use dump::*;
pub use key::NameKey;
pub use model::*;
pub use proofs::proves_not_null;
pub use render::{bound_sql, sequence_options};
pub use render_rest::{grantee_sql, identity_sql, routine_sql};
pub use rows::{Cell, KnownRow, KnownRows};
