//! `Shadow::start`, and the databases in it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::op::PgVersion;
use crate::quote::{ident, literal};

use super::connect::Server;
use super::error::ShadowError;
use super::remote;
use super::session::Session;

/// The ordinary role that owns every shadow database of a throwaway cluster, and as which the SQL under test runs.
pub const OWNER: &str = "airlock_owner";

#[derive(Debug, Clone)]
pub struct ShadowOptions {
    pub pg: PgVersion,
    /// Another major version will not do.
    pub exact: bool,
    /// A server to use instead of a throwaway cluster.
    pub url: Option<String>,
    /// Runs the SQL under test as a superuser.
    pub superuser: bool,
    /// A statement that runs longer is stopped.
    pub statement_limit: Duration,
}

impl Default for ShadowOptions {
    fn default() -> Self {
        ShadowOptions { pg: PgVersion::default(), exact: false, url: None, superuser: false, statement_limit: Duration::from_secs(120) }
    }
}

/// A scratch server. Cheap to clone; the last clone to go stops a throwaway cluster.
#[derive(Clone)]
pub struct Shadow(Arc<Inner>);

struct Inner {
    /// Sessions for making and dropping databases; for a URL it also holds the run's lock.
    maintenance: Mutex<Session>,
    server: Server,
    home: Home,
    run: i32,
    version: String,
    pg: PgVersion,
    superuser: bool,
    limit: Duration,
    count: AtomicU32,
}

enum Home {
    Url,
    #[cfg(unix)]
    Local(super::local::Local),
}

impl Shadow {
    pub fn start(options: &ShadowOptions) -> Result<Shadow, ShadowError> {
        let (server, home) = match &options.url {
            Some(url) => (Server::parse(url)?, Home::Url),
            None => local(options)?,
        };
        let mut maintenance = Session::connect(&server, options.statement_limit).map_err(ShadowError::connect)?;
        // Not zero, and positive: it stands in a comment and in an advisory lock.
        let run = fastrand::i32(1..i32::MAX);
        if matches!(home, Home::Url) {
            remote::enter(&mut maintenance, &server, run, options.superuser)?;
        } else {
            maintenance
                .run(&format!("CREATE ROLE {} LOGIN", ident(OWNER)))
                .map_err(ShadowError::sql("make the role that owns shadow databases"))?;
        }
        let version =
            maintenance.value("SHOW server_version").map_err(ShadowError::sql("ask for the server's version"))?.unwrap_or_default();
        let version = version.split_whitespace().next().unwrap_or_default().to_string();
        let number = maintenance.value("SHOW server_version_num").map_err(ShadowError::sql("ask for the server's version"))?;
        let major = number.and_then(|n| n.parse::<u32>().ok()).map_or(0, |n| (n / 10_000) as u8);
        if options.exact && major != options.pg.0 {
            return Err(ShadowError::WrongVersion { wanted: options.pg.0, found: version });
        }
        Ok(Shadow(Arc::new(Inner {
            maintenance: Mutex::new(maintenance),
            server,
            home,
            run,
            version,
            pg: PgVersion(major),
            superuser: options.superuser,
            limit: options.statement_limit,
            count: AtomicU32::new(0),
        })))
    }

    /// `15.18`.
    pub fn version(&self) -> &str {
        &self.0.version
    }

    pub fn pg(&self) -> PgVersion {
        self.0.pg
    }

    /// Where it is, for people; never a password.
    pub fn describe(&self) -> String {
        match &self.0.home {
            Home::Url => self.0.server.describe(),
            #[cfg(unix)]
            Home::Local(_) => format!("a throwaway Postgres {}", self.0.version),
        }
    }

    /// The end of the server's log, where there is one to read.
    pub fn log(&self) -> String {
        match &self.0.home {
            Home::Url => String::new(),
            #[cfg(unix)]
            Home::Local(l) => l.log(),
        }
    }

    /// A new, empty database.
    pub fn database(&self) -> Result<Database, ShadowError> {
        self.create("template0")
    }

    /// A copy of a database to which nobody is connected.
    pub fn copy(&self, of: &Database) -> Result<Database, ShadowError> {
        self.create(&of.name)
    }

    /// A throwaway cluster has a superuser who can make roles and extensions for the SQL under test; a named server may not.
    pub fn has_helper(&self) -> bool {
        !matches!(self.0.home, Home::Url)
    }

    fn create(&self, template: &str) -> Result<Database, ShadowError> {
        let n = self.0.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("airlock_shadow_{}_{n}", self.0.run);
        let owner = if self.has_helper() { format!(" OWNER {}", ident(OWNER)) } else { String::new() };
        let mut m = self.0.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        let what = || format!("make database {name}");
        m.run(&format!("CREATE DATABASE {} TEMPLATE {}{owner}", ident(&name), ident(template))).map_err(ShadowError::sql(what()))?;
        m.run(&format!("COMMENT ON DATABASE {} IS {}", ident(&name), literal(&format!("{}{}", remote::MARK, self.0.run))))
            .map_err(ShadowError::sql(what()))?;
        Ok(Database { shadow: self.clone(), name })
    }

    #[cfg(all(test, unix))]
    pub(super) fn dir(&self) -> PathBuf {
        match &self.0.home {
            Home::Url => PathBuf::new(),
            Home::Local(l) => l.dir().to_path_buf(),
        }
    }
}

#[cfg(unix)]
fn local(options: &ShadowOptions) -> Result<(Server, Home), ShadowError> {
    let programs = super::programs::find(options.pg, options.exact)?;
    let local = super::local::Local::start(&programs)?;
    Ok((local.server(), Home::Local(local)))
}

#[cfg(not(unix))]
fn local(_options: &ShadowOptions) -> Result<(Server, Home), ShadowError> {
    Err(ShadowError::Unsupported)
}

/// One database of the shadow; dropped with this value.
pub struct Database {
    shadow: Shadow,
    name: String,
}

impl Database {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn shadow(&self) -> &Shadow {
        &self.shadow
    }

    /// A session of the SQL under test: the role that owns the database.
    pub fn connect(&self) -> Result<Session, ShadowError> {
        let role = if self.shadow.has_helper() && !self.shadow.0.superuser { Some(OWNER) } else { None };
        self.session(role, false)
    }

    /// The same, with the server's debug notes about rewrites, scans and index builds.
    pub fn connect_talkative(&self) -> Result<Session, ShadowError> {
        let role = if self.shadow.has_helper() && !self.shadow.0.superuser { Some(OWNER) } else { None };
        self.session(role, true)
    }

    /// A session of Airlock itself: it looks into the catalogs and makes what the SQL under test may not.
    pub fn helper(&self) -> Result<Session, ShadowError> {
        self.session(None, false)
    }

    /// The address of the database in a throwaway cluster, for another program; it holds no password.
    pub fn url(&self) -> Option<String> {
        #[cfg(unix)]
        if let (Home::Local(_), Some(tokio_postgres::config::Host::Unix(path))) =
            (&self.shadow.0.home, self.shadow.0.server.config().get_hosts().first())
        {
            let port = self.shadow.0.server.config().get_ports().first().copied().unwrap_or(5432);
            return Some(format!("host={} port={port} user={OWNER} dbname={}", path.display(), self.name));
        }
        None
    }

    fn session(&self, role: Option<&str>, talkative: bool) -> Result<Session, ShadowError> {
        let mut server = self.shadow.0.server.with_database(&self.name);
        if let Some(r) = role {
            server = server.with_user(r);
        }
        if talkative {
            server = server.with_options("-c client_min_messages=debug1");
        }
        Session::connect(&server, self.shadow.0.limit).map_err(ShadowError::connect)
    }
}

#[cfg(all(test, unix))]
impl Database {
    /// For tests that speak the protocol themselves: as the role that owns the database.
    pub(super) fn config(&self) -> tokio_postgres::Config {
        self.shadow.0.server.with_database(&self.name).with_user(OWNER).config().clone()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let mut m = self.shadow.0.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        // A later run sweeps what cannot be dropped now.
        let _ = remote::drop_database(&mut m, &self.name);
    }
}

/// The user's cache folder for Airlock.
pub(super) fn cache_dir() -> Option<PathBuf> {
    let from = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(own) = from("AIRLOCK_CACHE_DIR") {
        return Some(own);
    }
    let base = if cfg!(target_os = "macos") {
        from("HOME").map(|h| h.join("Library/Caches"))
    } else if cfg!(windows) {
        from("LOCALAPPDATA")
    } else {
        from("XDG_CACHE_HOME").or_else(|| from("HOME").map(|h| h.join(".cache")))
    };
    base.filter(|b| b.is_absolute()).map(|b| b.join("airlock"))
}
