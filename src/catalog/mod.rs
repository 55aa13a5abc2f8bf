//! The schema as data. `apply` is the only thing that changes it.
//!
//! A catalog is cheap to clone (persistent maps, shared values), so a snapshot before every statement costs nothing.
//! Objects keep their id through renames and moves.

mod apply;
mod model;
mod rows;

pub use apply::{Applied, ApplyError};
pub use model::*;
pub use rows::{Cell, KnownRow, KnownRows};
