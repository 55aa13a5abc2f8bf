//! A server that the user names: Airlock works only in databases that it made there itself, and drops only those.

use crate::quote::literal;

use super::connect::Server;
use super::error::ShadowError;
use super::session::Session;

/// Stands in the comment of every database that Airlock makes; looked for before anything is dropped.
pub(super) const MARK: &str = "airlock shadow database, made by pg-airlock; run ";

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
    maintenance
        .run(&format!("SELECT pg_catalog.pg_advisory_lock({LOCK_CLASS}, {run})"))
        .map_err(ShadowError::sql("take the lock of this run"))?;
    sweep(maintenance, run);
    Ok(())
}

/// Drops the database, if its comment says that it is Airlock's.
pub(super) fn drop_database(maintenance: &mut Session, name: &str) -> Result<(), ShadowError> {
    let ours = maintenance
        .value(&format!(
            "SELECT pg_catalog.shobj_description(oid, 'pg_database') FROM pg_catalog.pg_database WHERE datname = {}",
            literal(name)
        ))
        .map_err(ShadowError::sql(format!("read the comment of database {name}")))?;
    if !name.starts_with("airlock_shadow_") || !ours.is_some_and(|c| c.starts_with(MARK)) {
        return Err(ShadowError::NotOurs { name: name.into() });
    }
    maintenance
        .run(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", crate::quote::ident(name)))
        .map_err(ShadowError::sql(format!("drop database {name}")))?;
    Ok(())
}

/// Databases of runs whose lock nobody holds any more. Best effort: what cannot be dropped now is tried again next time.
fn sweep(maintenance: &mut Session, own: i32) {
    let sql = "SELECT datname, pg_catalog.shobj_description(oid, 'pg_database') FROM pg_catalog.pg_database \
               WHERE datname LIKE 'airlock\\_shadow\\_%'";
    for row in maintenance.rows(sql).unwrap_or_default() {
        let [Some(name), Some(comment)] = row.as_slice() else { continue };
        let Some(run) = comment.strip_prefix(MARK).and_then(|r| r.trim().parse::<i32>().ok()) else { continue };
        if run == own {
            continue;
        }
        let free = maintenance.value(&format!("SELECT pg_catalog.pg_try_advisory_lock({LOCK_CLASS}, {run})"));
        if matches!(free, Ok(Some(v)) if v == "t") {
            let _ = drop_database(maintenance, name);
            let _ = maintenance.run(&format!("SELECT pg_catalog.pg_advisory_unlock({LOCK_CLASS}, {run})"));
        }
    }
}
