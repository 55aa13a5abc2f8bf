//! What can go wrong before any SQL is judged.

use std::path::PathBuf;

use super::session::SqlError;

#[derive(Debug, thiserror::Error)]
pub enum ShadowError {
    #[error(
        "no Postgres server programs were found for a shadow database\n  looked in: {}\n  install the server package (for instance `postgresql-15`), set AIRLOCK_POSTGRES_BIN to a folder with `postgres` and `initdb`, or give a server with --shadow-url",
        looked_in.join(", ")
    )]
    NoPrograms { looked_in: Vec<String> },

    #[error("Postgres {wanted} was asked for, and only {found} is installed\n  install that version, or leave out --pg-version")]
    WrongVersion { wanted: u8, found: String },

    #[error(
        "the server programs refuse to run as root, and neither user `postgres` nor `nobody` exists\n  run airlock as an ordinary user, or give a server with --shadow-url"
    )]
    NoServerUser,

    #[error("could not {what} {}: {source}", path.display())]
    Io { what: &'static str, path: PathBuf, source: std::io::Error },

    #[error("`{}` failed ({status})\n{output}", program.display())]
    Program { program: PathBuf, status: String, output: String },

    #[error("the throwaway server did not start\n{log}")]
    DidNotStart { log: String },

    #[error("the server URL cannot be read: {reason}\n  it looks like postgres://user@host:5432/database")]
    BadUrl { reason: String },

    #[error("the connection cannot be made as safe as asked: {reason}")]
    Tls { reason: String },

    #[error("could not connect to the shadow server: {source}")]
    Connect { source: Box<SqlError> },

    #[error(
        "database `{database}` of the server URL holds tables ({example}, …); Airlock does not work in a database that is in use\n  point --shadow-url at an empty maintenance database such as `postgres`"
    )]
    InUse { database: String, example: String },

    #[error(
        "user `{user}` of the server URL is a superuser, and migrations are not trusted: a superuser can run programs and read files\n  give a user with CREATEDB, or say --shadow-superuser"
    )]
    Superuser { user: String },

    #[error("could not {what}: {source}")]
    Sql { what: String, source: Box<SqlError> },

    #[error("the catalog of the server (version {version}) cannot be read: {what}\n  this is a mistake in Airlock; please report it")]
    Unreadable { version: u32, what: String },

    #[error("the server is Postgres {found}, and Airlock knows 14 to 18\n  give a dump of its schema with --schema, and --pg-version")]
    UnknownVersion { found: u8 },

    #[error(
        "the schema of a Postgres {server} is copied by its pg_dump or a newer one, and {found}\n  install the client programs (for instance `postgresql-client-{server}`) and have them on PATH, or give a dump with --schema"
    )]
    NoDump { server: u8, found: String },

    #[error("pg_dump cannot copy the schema of {database}: {said}\n  {next}")]
    Dump { database: String, said: String, next: String },

    #[error("database `{name}` carries no mark of Airlock and is left alone")]
    NotOurs { name: String },

    #[error("the shadow server is gone or can do no more: {why}\n  what was seen until then says nothing; run it again")]
    Lost { why: String },

    #[error("the server in {} does not go\n  stop it by hand: its process is in data/postmaster.pid there", dir.display())]
    Stays { dir: PathBuf },

    #[error("a throwaway server needs Unix sockets on this system\n  give a server with --shadow-url")]
    Unsupported,
}

impl ShadowError {
    pub(super) fn connect(source: SqlError) -> ShadowError {
        ShadowError::Connect { source: Box::new(source) }
    }

    pub(super) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> ShadowError {
        let path = path.into();
        move |source| ShadowError::Io { what, path, source }
    }

    pub(super) fn sql(what: impl Into<String>) -> impl FnOnce(SqlError) -> ShadowError {
        let what = what.into();
        move |source| ShadowError::Sql { what, source: Box::new(source) }
    }
}
