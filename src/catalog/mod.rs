//! The schema as data. `apply` is the only thing that changes it.
//!
//! A catalog is cheap to clone (persistent maps, shared values), so a snapshot before every statement costs nothing.
//! Objects keep their id through renames and moves.

mod alter;
mod apply;
mod casts;
mod code;
mod columns;
mod constraints;
mod data;
mod drop;
mod dump;
mod enum_use;
mod exprs;
mod extensions;
mod functions;
mod grants;
mod indexes;
mod infer;
mod lookup;
mod model;
mod names;
mod objects;
mod partitions;
mod publications;
mod query;
mod refusals;
mod rename;
mod render;
mod resolve;
mod rows;
mod sequences;
mod session;
mod store;
mod tables;
mod types;
mod views;
mod volatility;

pub use apply::{Applied, ApplyError};
pub use dump::*;
pub use model::*;
pub use rows::{Cell, KnownRow, KnownRows};
