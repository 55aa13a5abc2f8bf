//! A server that the user names: Airlock works only in databases that it made there itself, and drops only those.

use crate::quote::{ident, literal};

use super::connect::Server;
use super::error::ShadowError;
use super::session::Session;

/// Stands in the comment of every database that Airlock makes; looked for before anything is dropped.
const MARK: &str = "airlock shadow database, made by pg-airlock; ";

/// What a database is there for, behind the mark.
const RUN: &str = "run ";
const TEMPLATE: &str = "template, used ";
const KEPT: &str = "kept for ";

/// What the name of each begins with.
pub(super) const PREFIX: &str = "airlock_shadow_";

/// The comment of a database that goes with its run.
pub(super) fn mark_of_run(run: i32) -> String {
    format!("{MARK}{RUN}{run}")
}

/// The comment of a template; `used` in seconds since 1970.
pub(super) fn mark_of_template(used: i64) -> String {
    format!("{MARK}{TEMPLATE}{used}")
}

/// The comment of a database that stays until it is stopped.
pub(super) fn mark_of_kept(project: &str) -> String {
    format!("{MARK}{KEPT}{project}")
}

/// The name of a run's database. Its comment comes a moment after it, and Airlock may be killed in between; so it is made with a connection
/// limit that nobody reaches and that its name alone tells.
pub(super) fn name_and_limit(run: i32, n: u32) -> (String, i32) {
    (format!("{PREFIX}{run}_{n}"), limit(run))
}

fn limit(run: i32) -> i32 {
    1_000_000_000 + run % 1_000_003
}

/// A database whose name begins as Airlock's do.
pub(super) struct Known {
    pub name: String,
    comment: Option<String>,
    limit: i32,
}

impl Known {
    /// The run that made it, and with which it goes.
    fn run(&self) -> Option<i32> {
        match &self.comment {
            Some(c) => c.strip_prefix(MARK)?.strip_prefix(RUN)?.trim().parse().ok(),
            None => {
                let (run, n) = self.name.strip_prefix(PREFIX)?.split_once('_')?;
                let run: i32 = run.parse().ok()?;
                (n.parse::<u32>().is_ok() && self.limit == limit(run)).then_some(run)
            }
        }
    }

    /// A template: when it was used last.
    pub fn used(&self) -> Option<i64> {
        self.comment.as_ref()?.strip_prefix(MARK)?.strip_prefix(TEMPLATE)?.trim().parse().ok()
    }

    /// The project of one that stays.
    pub fn kept_for(&self) -> Option<&str> {
        self.comment.as_ref()?.strip_prefix(MARK)?.strip_prefix(KEPT)
    }

    fn is_ours(&self) -> bool {
        self.comment.as_ref().is_some_and(|c| c.starts_with(MARK)) || self.run().is_some()
    }
}

/// The lock that a living run holds, so that a later one knows left-overs from what is in use.
const LOCK_CLASS: i32 = 0x0a11_0c4b;

/// Checks that this is a place to work in, takes the run's lock and drops what killed runs left.
pub(super) fn enter(maintenance: &mut Session, server: &Server, run: i32, superuser_allowed: bool) -> Result<(), ShadowError> {
    let in_use = maintenance
        .value(
            "SELECT format('%s.%s', n.nspname, c.relname) FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'p', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid \
             AND d.deptype = 'e') LIMIT 1",
        )
        .map_err(ShadowError::sql("look into the database of the server URL"))?;
    if let Some(example) = in_use {
        return Err(ShadowError::InUse { database: server.database().into(), example });
    }
    let is_super = maintenance.value("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user");
    if is_super.map_err(ShadowError::sql("ask who the user of the server URL is"))?.as_deref() == Some("t") && !superuser_allowed {
        return Err(ShadowError::Superuser { user: server.user().into() });
    }
    begin(maintenance, run)
}

/// Takes the run's lock and drops what killed runs left.
pub(super) fn begin(maintenance: &mut Session, run: i32) -> Result<(), ShadowError> {
    maintenance
        .run(&format!("SELECT pg_catalog.pg_advisory_lock({LOCK_CLASS}, {run})"))
        .map_err(ShadowError::sql("take the lock of this run"))?;
    sweep(maintenance, run);
    Ok(())
}

/// Drops the database, if it carries Airlock's mark; one that is gone is no failure.
pub(super) fn drop_database(maintenance: &mut Session, name: &str) -> Result<(), ShadowError> {
    let Some(known) = databases(maintenance)?.into_iter().find(|k| k.name == name) else { return Ok(()) };
    if !known.is_ours() {
        return Err(ShadowError::NotOurs { name: name.into() });
    }
    maintenance
        .run(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", ident(name)))
        .map_err(ShadowError::sql(format!("drop database {name}")))?;
    Ok(())
}

/// Databases of runs whose lock nobody holds any more: which were dropped. What cannot be dropped now is tried again next time.
pub(super) fn sweep(maintenance: &mut Session, own: i32) -> Vec<String> {
    let mut gone = Vec::new();
    for known in databases(maintenance).unwrap_or_default() {
        let Some(run) = known.run().filter(|r| *r != own) else { continue };
        let free = maintenance.value(&format!("SELECT pg_catalog.pg_try_advisory_lock({LOCK_CLASS}, {run})"));
        if matches!(free, Ok(Some(v)) if v == "t") {
            let dropped = drop_database(maintenance, &known.name).is_ok();
            gone.extend(dropped.then_some(known.name));
            let _ = maintenance.run(&format!("SELECT pg_catalog.pg_advisory_unlock({LOCK_CLASS}, {run})"));
        }
    }
    gone
}

/// Databases whose names begin as Airlock's do.
pub(super) fn databases(maintenance: &mut Session) -> Result<Vec<Known>, ShadowError> {
    let sql = format!(
        "SELECT datname, pg_catalog.shobj_description(oid, 'pg_database'), datconnlimit FROM pg_catalog.pg_database \
         WHERE pg_catalog.starts_with(datname::text, {}) ORDER BY 1",
        literal(PREFIX)
    );
    let rows = maintenance.rows(&sql).map_err(ShadowError::sql("list the databases of the server"))?;
    let known = rows.into_iter().filter_map(|row| {
        let [name, comment, limit] = <[Option<String>; 3]>::try_from(row).ok()?;
        Some(Known { name: name?, comment, limit: limit?.parse().ok()? })
    });
    Ok(known.collect())
}
