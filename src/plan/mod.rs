//! Plans: an unsafe change as expand, migrate and contract.

mod model;

pub use model::*;
