//! `Shadow::start`, and the databases in it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::history::Script;
use crate::op::PgVersion;
use crate::quote::{ident, literal};

use super::connect::Server;
use super::error::ShadowError;
use super::remote;
use super::session::Session;

/// The ordinary role that owns every shadow database of a throwaway cluster, and as which the SQL under test runs.
pub const OWNER: &str = "airlock_owner";

/// How long a statement may run unless told otherwise.
pub(super) const LIMIT: Duration = Duration::from_secs(120);

/// How long a run of a command may take unless told otherwise.
pub const RUN_LIMIT: Duration = Duration::from_secs(3600);

/// Databases that are dropped together.
const MOST_UNNEEDED: usize = 24;

#[derive(Debug, Clone)]
pub struct ShadowOptions {
    pub pg: PgVersion,
    /// Another major version will not do.
    pub exact: bool,
    /// A server to use instead of a throwaway cluster.
    pub url: Option<String>,
    /// Runs the SQL under test as a superuser.
    pub superuser: bool,
    /// There will be more rows than belong into memory.
    pub large: bool,
    /// A server that `airlock shadow start` left running for this project will do.
    pub kept: Option<PathBuf>,
    /// A statement that runs longer is stopped.
    pub statement_limit: Duration,
    /// A run that takes longer is stopped, and says nothing.
    pub run_limit: Duration,
    /// Bytes that the databases of a throwaway server may hold; what its place has room for unless given.
    pub room: Option<u64>,
    /// What will be prepared: a throwaway cluster begins with it where an earlier run has kept it.
    pub history: Vec<Script>,
}

impl Default for ShadowOptions {
    fn default() -> Self {
        ShadowOptions {
            pg: PgVersion::default(),
            exact: false,
            url: None,
            superuser: false,
            large: false,
            kept: None,
            statement_limit: LIMIT,
            run_limit: Duration::MAX,
            room: None,
            history: Vec::new(),
        }
    }
}

/// More rows in each table belong on a disk, and take their time.
const MANY: usize = 50_000;

impl ShadowOptions {
    /// For tables with so many rows each.
    pub fn for_rows(rows: usize) -> ShadowOptions {
        let large = rows > MANY;
        ShadowOptions { large, statement_limit: if large { LIMIT * 5 } else { LIMIT }, ..ShadowOptions::default() }
    }
}

/// A scratch server. Cheap to clone; the last clone to go stops a throwaway cluster.
#[derive(Clone)]
pub struct Shadow(pub(super) Arc<Inner>);

pub(super) struct Inner {
    /// Sessions for making and dropping databases; for a URL it also holds the run's lock.
    maintenance: Mutex<Session>,
    server: Server,
    home: Home,
    run: i32,
    version: String,
    pg: PgVersion,
    superuser: bool,
    large: bool,
    limit: Duration,
    count: AtomicU32,
    /// Databases of a throwaway cluster that nobody needs any more.
    unneeded: Mutex<Vec<String>>,
    /// Where the history of a throwaway cluster is kept.
    #[cfg(unix)]
    image: Option<super::image::Loaded>,
    /// Prepared schemas by their key.
    pub(super) prepared: Mutex<HashMap<String, String>>,
}

enum Home {
    Url,
    /// One that stays, of `airlock shadow start`.
    #[cfg(unix)]
    Kept,
    #[cfg(unix)]
    Local(super::local::Local),
}

impl Drop for Inner {
    /// A backend of a run whose connection was cut may still have held that run's lock when this one began.
    fn drop(&mut self) {
        if matches!(self.home, Home::Url) {
            let mut m = self.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
            remote::sweep(&mut m, self.run);
        }
    }
}

impl Shadow {
    pub fn start(options: &ShadowOptions) -> Result<Shadow, ShadowError> {
        // Not zero, and positive: it stands in a comment and in an advisory lock.
        let run = fastrand::i32(1..i32::MAX);
        let Opened { server, home, mut maintenance, history } = match &options.url {
            Some(url) => {
                let server = Server::parse(url)?;
                let mut maintenance = Session::connect(&server, options.statement_limit).map_err(ShadowError::connect)?;
                remote::enter(&mut maintenance, &server, run, options.superuser)?;
                Opened { server, home: Home::Url, maintenance, history: History::default() }
            }
            None => match kept(options) {
                Some(mut opened) => {
                    remote::begin(&mut opened.maintenance, run)?;
                    opened
                }
                None => local(options)?,
            },
        };
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
            // What has to be cleared away is cleared away behind the limit as well.
            server: server.with_limit(options.run_limit),
            home,
            run,
            version,
            pg: PgVersion(major),
            superuser: options.superuser,
            large: options.large,
            limit: options.statement_limit,
            count: AtomicU32::new(0),
            unneeded: Mutex::default(),
            #[cfg(unix)]
            image: history.image,
            prepared: Mutex::new(history.loaded.into_iter().collect()),
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
            #[cfg(unix)]
            Home::Kept => format!("the Postgres {} that `airlock shadow start` left running", self.0.version),
        }
    }

    /// The end of the server's log, where there is one to read.
    pub fn log(&self) -> String {
        match &self.0.home {
            #[cfg(unix)]
            Home::Local(l) => l.log(),
            _ => String::new(),
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
        let (name, limit) = remote::name_and_limit(self.0.run, n);
        let owner = if self.has_helper() { format!(" OWNER {}", ident(OWNER)) } else { String::new() };
        // Without durability a copy of the files is quicker than their way through the log.
        let strategy = if self.has_helper() && self.0.pg.0 >= 15 { " STRATEGY file_copy" } else { "" };
        let mut m = self.maintenance();
        let what = || format!("make database {name}");
        until_idle(&mut m, template);
        m.run(&format!("CREATE DATABASE {} TEMPLATE {}{owner}{strategy} CONNECTION LIMIT {limit}", ident(&name), ident(template)))
            .map_err(ShadowError::sql(what()))?;
        m.run(&format!("COMMENT ON DATABASE {} IS {}", ident(&name), literal(&remote::mark_of_run(self.0.run))))
            .map_err(ShadowError::sql(what()))?;
        Ok(Database { shadow: self.clone(), name, stays: false })
    }

    pub(super) fn maintenance(&self) -> MutexGuard<'_, Session> {
        self.0.maintenance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops a database: at once on a server that somebody else owns or that goes on; in a throwaway cluster when there are many, for it
    /// goes with the cluster.
    fn drop_database(&self, name: &str) {
        let gone = |m: &mut Session, name: &str| {
            // A later run sweeps what cannot be dropped now.
            let _ = remote::drop_database(m, name);
        };
        if !self.is_throwaway() || self.0.large {
            return gone(&mut self.maintenance(), name);
        }
        let mut unneeded = self.0.unneeded.lock().unwrap_or_else(PoisonError::into_inner);
        unneeded.push(name.to_string());
        if unneeded.len() >= MOST_UNNEEDED {
            let mut m = self.maintenance();
            unneeded.drain(..).for_each(|name| gone(&mut m, &name));
        }
    }

    /// The cluster goes when this run ends.
    pub(super) fn is_throwaway(&self) -> bool {
        match &self.0.home {
            #[cfg(unix)]
            Home::Local(_) => true,
            _ => false,
        }
    }

    /// No database was made yet.
    pub(super) fn is_empty(&self) -> bool {
        self.0.count.load(Ordering::Relaxed) == 0
    }

    /// The next throwaway cluster begins with what is in this one: the prepared database, the roles that it needs, and nothing else.
    #[cfg(unix)]
    pub(super) fn keep_image(&self, prepared: &Database) {
        let (Home::Local(local), Some(image)) = (&self.0.home, &self.0.image) else { return };
        let mut m = self.maintenance();
        until_idle(&mut m, prepared.name());
        // Behind it nothing is written until the copy is made: the only other sessions are Airlock's own, and this one is held.
        if m.run("CHECKPOINT").is_ok() {
            image.keep(&local.data());
        }
    }

    #[cfg(not(unix))]
    pub(super) fn keep_image(&self, _prepared: &Database) {}

    /// It stays until somebody stops it, with the database.
    pub fn stay(&self, mut db: Database, project: &std::path::Path) -> Result<String, ShadowError> {
        let comment = remote::mark_of_kept(&project.display().to_string());
        let sql = format!("COMMENT ON DATABASE {} IS {}", ident(&db.name), literal(&comment));
        self.maintenance().run(&sql).map_err(ShadowError::sql("mark the database that stays"))?;
        db.stays = true;
        #[cfg(unix)]
        if let Home::Local(local) = &self.0.home {
            let note = super::kept::Note { project: project.into(), major: self.0.pg.0, database: db.name.clone() };
            local.stay(&serde_json::to_vec(&note).unwrap_or_default())?;
        }
        Ok(db.url())
    }

    /// Whether what was seen is true: a server that has gone away, or has no room left, refuses everything.
    pub fn still_well(&self) -> Result<(), ShadowError> {
        if let Some(why) = self.0.server.trouble() {
            return Err(ShadowError::Lost { why });
        }
        self.maintenance().value("SELECT 1").map(drop).map_err(|e| ShadowError::Lost { why: e.to_string() })
    }

    pub(super) fn is_superuser(&self) -> bool {
        self.0.superuser
    }

    /// A database that is there already and is left alone.
    pub(super) fn existing(&self, name: String) -> Database {
        Database { shadow: self.clone(), name, stays: true }
    }

    #[cfg(all(test, unix))]
    pub(super) fn dir(&self) -> PathBuf {
        match &self.0.home {
            Home::Local(l) => l.dir().to_path_buf(),
            _ => PathBuf::new(),
        }
    }
}

struct Opened {
    server: Server,
    home: Home,
    maintenance: Session,
    history: History,
}

/// What a throwaway cluster began with.
#[derive(Default)]
struct History {
    #[cfg(unix)]
    image: Option<super::image::Loaded>,
    /// The key of the scripts, and the database that they made.
    loaded: Option<(String, String)>,
}

#[cfg(unix)]
fn local(options: &ShadowOptions) -> Result<Opened, ShadowError> {
    use super::local::Local;
    let programs = super::programs::find(options.pg, options.exact)?;
    let key = super::template::key(&programs.version, options.superuser, &options.history);
    let image = Some(&key).filter(|_| !options.history.is_empty()).and_then(|key| super::image::Loaded::new(&programs, key));
    let (local, mut loaded) = match &image {
        Some(image) => Local::start_loaded(&programs, options.large, image)?,
        None => (Local::start(&programs, options.large)?, false),
    };
    let server = local.server();
    local.bound(&server, options.room);
    let mut maintenance = Session::connect(&server, options.statement_limit).map_err(ShadowError::connect)?;
    let name = super::template::name(&key);
    if loaded {
        loaded = remote::databases(&mut maintenance)?.iter().any(|k| k.name == name && k.used().is_some());
    } else {
        maintenance
            .run(&format!("CREATE ROLE {} LOGIN", ident(OWNER)))
            .map_err(ShadowError::sql("make the role that owns shadow databases"))?;
    }
    let history = History { image, loaded: loaded.then_some((key, name)) };
    Ok(Opened { server, home: Home::Local(local), maintenance, history })
}

/// One of the wanted version that is running and answers. SQL that runs as a superuser gets a server of its own, and so do many rows.
#[cfg(unix)]
fn kept(options: &ShadowOptions) -> Option<Opened> {
    let project = options.kept.as_deref().filter(|_| !options.superuser && !options.large)?;
    let all = super::kept::of(project).ok()?;
    all.iter().filter(|k| k.note.major == options.pg.0).find_map(|k| {
        let server = super::local::server_in(&k.dir);
        let maintenance = Session::connect(&server, options.statement_limit).ok()?;
        Some(Opened { server, home: Home::Kept, maintenance, history: History::default() })
    })
}

#[cfg(not(unix))]
fn local(_options: &ShadowOptions) -> Result<Opened, ShadowError> {
    Err(ShadowError::Unsupported)
}

#[cfg(not(unix))]
fn kept(_options: &ShadowOptions) -> Option<Opened> {
    None
}

/// One database of the shadow; dropped with this value, unless it stays.
pub struct Database {
    shadow: Shadow,
    name: String,
    /// It is not dropped with this value.
    pub(super) stays: bool,
}

impl Database {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn renamed(&mut self, name: String) {
        self.name = name;
    }

    pub fn shadow(&self) -> &Shadow {
        &self.shadow
    }

    /// A session of the SQL under test: the role that owns the database.
    pub fn connect(&self) -> Result<Session, ShadowError> {
        self.session(self.role(), false)
    }

    /// The same, with the server's debug notes about rewrites, scans and index builds.
    pub fn connect_talkative(&self) -> Result<Session, ShadowError> {
        self.session(self.role(), true)
    }

    /// A session of Airlock itself: it looks into the catalogs and makes what the SQL under test may not.
    pub fn helper(&self) -> Result<Session, ShadowError> {
        self.session(None, false)
    }

    /// The address of the database, for another program; it holds no password.
    pub fn url(&self) -> String {
        self.shadow.0.server.with_database(&self.name).with_role(self.role()).url()
    }

    /// As whom the SQL under test runs, where that is another one than the server's user.
    fn role(&self) -> Option<&'static str> {
        (self.shadow.has_helper() && !self.shadow.0.superuser).then_some(OWNER)
    }

    fn session(&self, role: Option<&str>, talkative: bool) -> Result<Session, ShadowError> {
        let mut server = self.shadow.0.server.with_database(&self.name).with_role(role);
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
        if !self.stays {
            self.shadow.drop_database(&self.name);
        }
    }
}

/// A backend takes a moment to go when its client has gone, and a database in use is not copied: the server looks again every tenth of
/// a second, which is longer than that takes.
pub(super) fn until_idle(m: &mut Session, database: &str) {
    let sql = format!("SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datname = {}", literal(database));
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) && !matches!(m.value(&sql), Ok(Some(n)) if n == "0") {
        std::thread::sleep(Duration::from_millis(1));
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
