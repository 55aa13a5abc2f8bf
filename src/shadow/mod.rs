//! The shadow: a scratch Postgres that says what really happens.
//!
//! It comes from a server URL or from server programs on the machine. The SQL under test is not trusted: it runs as an ordinary
//! role that owns its database, and never as a superuser unless that is asked for by name.

pub mod ask;
pub mod catalog;
mod connect;
pub mod dump;
mod error;
pub mod estimate;
pub mod fitting;
#[cfg(unix)]
mod image;
pub mod kept;
pub mod load;
#[cfg(unix)]
mod local;
mod multiply;
pub mod observe;
#[cfg(unix)]
mod place;
mod programs;
pub mod prove;
mod remote;
pub mod script;
pub mod seed;
mod session;
pub mod snapshot;
mod start;
pub mod statistics;
mod template;

pub use error::ShadowError;
pub use programs::{Programs, find as find_programs};
pub use session::{More, Notice, ResultSet, Session, SqlError};
pub use start::{Database, RUN_LIMIT, Shadow, ShadowOptions};

pub mod trace;
mod values;

#[cfg(all(test, unix))]
mod bounds_test;
#[cfg(test)]
mod code_test;
#[cfg(all(test, unix))]
mod dump_test;
#[cfg(test)]
mod facts_test;
#[cfg(all(test, unix))]
mod image_test;
#[cfg(all(test, unix))]
mod kept_test;
#[cfg(test)]
mod random;
#[cfg(test)]
mod render_test;
#[cfg(all(test, unix))]
mod runner_test;
#[cfg(test)]
mod seed_test;
#[cfg(test)]
mod snapshot_test;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trace_test;
#[cfg(test)]
mod truth_random_test;
#[cfg(test)]
mod truth_test;
#[cfg(test)]
mod widening_test;
