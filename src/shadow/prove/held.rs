//! Sessions that were open before a phase, used after it.

use std::collections::BTreeMap;

use crate::catalog::RelName;
use crate::plan::{Boundary, Works};

use super::super::error::ShadowError;
use super::super::session::Session;
use super::super::start::Database;
use super::release::Player;
use super::{At, CheckId, Prover};

/// Two sessions of a release: statements prepared in both, a transaction open in one.
pub(super) struct Held {
    idle: Session,
    open: Session,
    prepared: Vec<usize>,
    /// Types of the columns when they were prepared.
    types: Types,
}

/// By relation: column and type. The same name may stand for another type later.
pub(super) type Types = BTreeMap<RelName, Vec<Vec<Option<String>>>>;

impl Held {
    pub fn new(db: &Database, player: &Player, works: Works, except: &[String]) -> Result<Held, ShadowError> {
        let (mut idle, mut open) = (db.connect()?, db.connect()?);
        let prepared = player.prepare(&mut idle, works == Works::WritesOnly, except);
        player.prepare(&mut open, works == Works::WritesOnly, except);
        open.run("BEGIN; SELECT 1").map_err(ShadowError::sql("open a transaction"))?;
        let types = player.types(&mut idle);
        Ok(Held { idle, open, prepared, types })
    }
}

impl Prover<'_> {
    /// What was held goes on behind the phase that ends at `boundary`.
    pub(super) fn go_on(&mut self, boundary: Boundary, player: &mut Player, mut held: Held, except: &[String]) {
        let (mut problems, stale) = player.execute(&mut held.idle, &held.prepared, &held.types, except);
        let (more, _) = player.execute(&mut held.open, &held.prepared, &held.types, except);
        problems.extend(more.into_iter().map(|mut c| {
            c.what = format!("in a transaction that was open: {}", c.what);
            c
        }));
        if let Err(e) = held.open.run("COMMIT") {
            problems.push(super::Counterexample::refused("a transaction that was open", &e, "COMMIT"));
        }
        let n = held.prepared.len();
        let renewed = match stale {
            0 => String::new(),
            s => format!("; {s} must be prepared anew, because columns came, went or changed their type: no plan can spare that"),
        };
        let at = At::default().boundary(boundary).release(player.release);
        self.check(CheckId::HeldSessions, at, problems, format!("{n} prepared statements and an open transaction go on{renewed}"));
    }
}
