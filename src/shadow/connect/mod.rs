//! How a server that the user names is reached: parameters as libpq gathers them, passwords from where libpq looks, TLS as `sslmode` asks.

mod params;
mod pgpass;
mod service;
mod tls;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{CancelToken, Client, Config, Connection, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::ShadowError;
use super::session::SqlError;

#[cfg(all(test, unix))]
mod live_test;

/// A server, and how to reach it. Never printed: it holds the password.
#[derive(Clone)]
pub(super) struct Server {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    /// What was said about the connection, by libpq's names.
    given: Arc<Given>,
    /// What is tried, one after the other, where the server refuses this kind of connection.
    ways: &'static [SslMode],
    /// What the server said when it had no room left; all clones hear of it.
    trouble: Arc<OnceLock<String>>,
    /// When the run has to have ended, and how long it may take.
    deadline: Option<(Instant, Duration)>,
}

/// Where variables come from; tests have their own.
#[derive(Clone, Copy)]
struct Env<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Env<'_> {
    fn get(self, name: &str) -> Option<String> {
        (self.0)(name).filter(|v| !v.is_empty())
    }

    /// A file of the user, where libpq looks for it.
    fn own_file(self, unix: &str, windows: &str) -> Option<PathBuf> {
        match cfg!(windows) {
            true => Some(PathBuf::from(self.get("APPDATA")?).join("postgresql").join(windows)),
            false => Some(PathBuf::from(self.get("HOME")?).join(unix)),
        }
    }
}

impl Server {
    /// A throwaway cluster: a socket in a folder of our own, and no variable has a say.
    pub(super) fn throwaway(config: Config) -> Server {
        Server { config, tls: None, given: Arc::default(), ways: &[SslMode::Disable], trouble: Arc::default(), deadline: None }
    }

    /// A URL or `key=value` words, with what a service file and the environment add.
    pub(super) fn parse(url: &str) -> Result<Server, ShadowError> {
        Server::with_env(url, Env(&|name| std::env::var(name).ok()))
    }

    fn with_env(url: &str, env: Env) -> Result<Server, ShadowError> {
        let bad = |reason: String| ShadowError::BadUrl { reason };
        let mut given = params::gather(url, env).map_err(bad)?;
        let all = Arc::new(given.clone());
        let passfile = given.remove("passfile");
        let tls = tls::Settings::take(&mut given, env).map_err(bad)?;
        let mut config = params::config(&given).map_err(bad)?;
        if config.get_password().is_none()
            && let Some(password) = pgpass::password(&config, passfile, env)
        {
            config.password(password);
        }
        #[cfg(unix)]
        let socket = config.get_hosts().iter().all(|h| matches!(h, Host::Unix(_)));
        #[cfg(not(unix))]
        let socket = false;
        if socket {
            // As libpq: `sslmode` says nothing about sockets.
            return Ok(Server { given: all, ..Server::throwaway(config) });
        }
        let tls = tls.connector().map_err(|reason| ShadowError::Tls { reason })?.map(|(tls, ways)| (Some(tls), ways));
        let (tls, ways) = tls.unwrap_or((None, &[SslMode::Disable]));
        Ok(Server { config, tls, given: all, ways, trouble: Arc::default(), deadline: None })
    }

    /// `user@host/database`, without the password.
    pub(super) fn describe(&self) -> String {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(h)) => h.clone(),
            #[cfg(unix)]
            Some(Host::Unix(p)) => p.display().to_string(),
            _ => "?".into(),
        };
        format!("{}@{host}/{}", self.user(), self.database())
    }

    pub(super) fn user(&self) -> &str {
        self.config.get_user().unwrap_or("?")
    }

    pub(super) fn database(&self) -> &str {
        self.config.get_dbname().unwrap_or("?")
    }

    #[cfg(all(test, unix))]
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn with_database(&self, name: &str) -> Server {
        let mut other = self.clone();
        other.config.dbname(name);
        other
    }

    pub(super) fn with_user(&self, name: &str) -> Server {
        let mut other = self.clone();
        other.config.user(name);
        other
    }

    /// A disk or a memory that is full, or broken: no fault of the statement.
    pub(super) fn note(&self, e: &SqlError) {
        if matches!(e.sqlstate.as_str(), "53000" | "53100" | "53200" | "58000" | "58030") {
            let _ = self.trouble.set(e.to_string());
        }
    }

    /// No statement goes on for longer than until then.
    pub(super) fn with_limit(&self, run: Duration) -> Server {
        Server { deadline: Instant::now().checked_add(run).map(|end| (end, run)), ..self.clone() }
    }

    /// What is left of the run's time.
    pub(super) fn left(&self) -> Duration {
        self.deadline.map_or(Duration::MAX, |(end, _)| end.saturating_duration_since(Instant::now()))
    }

    /// Says so when the run's time is over.
    pub(super) fn note_end(&self) -> Option<String> {
        let (_, run) = self.deadline.filter(|_| self.left().is_zero())?;
        self.stop(&format!("the run took longer than {} s, its limit (`--time-limit`)", run.as_secs_f32()));
        self.trouble()
    }

    /// Nothing that is seen from now on is true.
    pub(super) fn stop(&self, why: &str) {
        let _ = self.trouble.set(why.to_string());
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.get().cloned()
    }

    /// The same as another user, where one is given.
    pub(super) fn with_role(&self, role: Option<&str>) -> Server {
        role.map_or_else(|| self.clone(), |r| self.with_user(r))
    }

    /// For another program; without a password.
    pub(super) fn url(&self) -> String {
        const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'.');
        let encoded = |s: &str| utf8_percent_encode(s, PLAIN).to_string();
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(h)) => h.clone(),
            #[cfg(unix)]
            Some(Host::Unix(p)) => encoded(&p.to_string_lossy()),
            _ => String::new(),
        };
        let port = self.config.get_ports().first().map(|p| format!(":{p}")).unwrap_or_default();
        format!("postgresql://{}@{host}{port}/{}", encoded(self.user()), encoded(self.database()))
    }

    /// The way to the same database for a program that uses libpq. The environment says it: what stands behind a program's name is there for
    /// everybody to read.
    pub(super) fn lead(&self, program: &mut Command) {
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            program.env_remove(name);
        }
        let options = self.config.get_options().map(|o| ("options", o.to_string()));
        let password = self.config.get_password().map(|p| ("password", String::from_utf8_lossy(p).into_owned()));
        let said = self.given.iter().map(|(key, value)| (key.as_str(), value.clone()));
        for (key, value) in said.chain(options).chain(password) {
            if let Some(variable) = params::variable(key) {
                program.env(variable, value);
            }
        }
    }

    /// Settings of the session, behind those that the user has given; the later one counts.
    pub(super) fn with_options(&self, options: &str) -> Server {
        let mut other = self.clone();
        let before = self.config.get_options().map(|o| format!("{o} ")).unwrap_or_default();
        other.config.options(format!("{before}{options}"));
        other
    }

    /// `listen` is given what the connection says, on the runtime that calls.
    pub(super) async fn connect<L: Listen>(&self, listen: L) -> Result<Client, SqlError> {
        let mut ways = self.ways.iter().peekable();
        while let Some(way) = ways.next() {
            match self.try_way(*way, listen.clone()).await {
                Err(e) if ways.peek().is_some() && another_way_may_help(&e) => {}
                end => return end.map_err(|e| self.said(e)),
            }
        }
        Err(SqlError::other("there is no way to connect"))
    }

    async fn try_way<L: Listen>(&self, way: SslMode, listen: L) -> Result<Client, Failed> {
        let mut config = self.config.clone();
        config.ssl_mode(way);
        let connect = async {
            match &self.tls {
                Some(tls) if way != SslMode::Disable => started(config.connect(tls.clone()).await?, listen),
                _ => started(config.connect(NoTls).await?, listen),
            }
        };
        // The driver bounds each host's socket; a server that takes the connection and then says nothing is not waited for either.
        let hosts = self.config.get_hosts().len().max(1) as u32;
        match self.config.get_connect_timeout() {
            None => Ok(connect.await?),
            Some(limit) => match tokio::time::timeout(*limit * hosts, connect).await {
                Ok(end) => Ok(end?),
                Err(_) => Err(Failed::Silent(*limit * hosts)),
            },
        }
    }

    fn said(&self, failed: Failed) -> SqlError {
        match failed {
            Failed::Silent(limit) => SqlError::other(format!("the server did not answer within {} s", limit.as_secs())),
            Failed::Refused(e) => {
                let next = tls::next_step(&e).map(|n| format!("\n  {n}")).unwrap_or_default();
                let mut said = SqlError::from(e);
                said.message.push_str(&next);
                said
            }
        }
    }

    pub(super) async fn cancel(&self, token: &CancelToken) {
        let _ = match &self.tls {
            Some(tls) => token.cancel_query(tls.clone()).await,
            None => token.cancel_query(NoTls).await,
        };
    }
}

/// Takes a connection and drives it.
pub(super) trait Listen: Clone {
    fn listen<S>(self, connection: Connection<Socket, S>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static;
}

enum Failed {
    Refused(tokio_postgres::Error),
    Silent(Duration),
}

impl From<tokio_postgres::Error> for Failed {
    fn from(e: tokio_postgres::Error) -> Self {
        Failed::Refused(e)
    }
}

fn started<S, L>((client, connection): (Client, Connection<Socket, S>), listen: L) -> Result<Client, tokio_postgres::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    L: Listen,
{
    listen.listen(connection);
    Ok(client)
}

/// The server's list of who may connect how refuses this kind of connection, or there is no agreement about TLS. A wrong password is no
/// reason to send it again without TLS.
fn another_way_may_help(failed: &Failed) -> bool {
    match failed {
        Failed::Refused(e) => e.as_db_error().is_some_and(|d| d.code().code() == "28000") || tls::is_about_tls(e),
        Failed::Silent(_) => false,
    }
}

type Given = BTreeMap<String, String>;
