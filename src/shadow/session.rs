//! One connection, used in the blocking style: text in, text out, notices and SQLSTATE kept.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio_postgres::{AsyncMessage, Client, Connection, SimpleQueryMessage, Socket};

use super::connect::{Listen, Server};

/// What the server said beside its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub severity: String,
    pub sqlstate: String,
    pub message: String,
}

/// A refusal, in the server's own words; SQLSTATE is empty where the connection itself failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", self.rest())]
pub struct SqlError {
    pub sqlstate: String,
    pub message: String,
    /// Boxed: errors travel in many results.
    pub more: Box<More>,
}

/// What the server adds to its message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct More {
    pub detail: String,
    pub hint: String,
    pub context: String,
    /// Name of the constraint that refused.
    pub constraint: String,
}

impl SqlError {
    pub fn is(&self, sqlstate: &str) -> bool {
        self.sqlstate == sqlstate
    }

    /// It was stopped, because it ran for too long.
    pub fn is_stopped(&self) -> bool {
        self.is("57014")
    }

    /// Rows stand in the way, not the statement: a data exception (class 22) or an integrity constraint violation (class 23).
    pub fn is_about_rows(&self) -> bool {
        self.sqlstate.starts_with("22") || self.sqlstate.starts_with("23")
    }

    /// The connection is gone: nothing is known about the statement.
    pub fn is_connection(&self) -> bool {
        self.sqlstate.is_empty()
    }

    pub(super) fn other(message: impl Into<String>) -> Self {
        SqlError { sqlstate: String::new(), message: message.into(), more: Box::default() }
    }

    fn rest(&self) -> String {
        let mut out = String::new();
        if !self.sqlstate.is_empty() {
            out.push_str(&format!(" ({})", self.sqlstate));
        }
        if !self.more.detail.is_empty() {
            out.push_str(&format!(": {}", self.more.detail));
        }
        out
    }
}

impl From<tokio_postgres::Error> for SqlError {
    fn from(e: tokio_postgres::Error) -> Self {
        match e.as_db_error() {
            Some(db) => SqlError {
                sqlstate: db.code().code().to_string(),
                message: db.message().to_string(),
                more: Box::new(More {
                    detail: db.detail().unwrap_or_default().to_string(),
                    hint: db.hint().unwrap_or_default().to_string(),
                    context: db.where_().unwrap_or_default().to_string(),
                    constraint: db.constraint().unwrap_or_default().to_string(),
                }),
            },
            None => {
                let cause = std::error::Error::source(&e).map(|c| format!(": {c}")).unwrap_or_default();
                SqlError::other(format!("{e}{cause}"))
            }
        }
    }
}

/// The answer to one statement of a simple query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResultSet {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
    /// Rows changed or returned, as the command tag says.
    pub affected: u64,
}

/// What the server said beside its answers.
#[derive(Clone, Default)]
struct Notices(Arc<Mutex<Vec<Notice>>>);

impl Listen for Notices {
    fn listen<S>(self, mut connection: Connection<Socket, S>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        tokio::spawn(async move {
            let mut messages = futures_util::stream::poll_fn(move |cx| connection.poll_message(cx));
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notice(n) = message {
                    self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Notice {
                        severity: n.severity().to_string(),
                        sqlstate: n.code().code().to_string(),
                        message: n.message().to_string(),
                    });
                }
            }
        });
    }
}

/// One backend. It has a runtime of its own, so it can be given to a thread.
pub struct Session {
    client: Client,
    notices: Notices,
    /// A statement that runs longer is cancelled.
    limit: Duration,
    pid: i32,
    server: Server,
    // Dropped last: the connection's task lives on it.
    runtime: Runtime,
}

impl Session {
    pub(super) fn connect(server: &Server, limit: Duration) -> Result<Session, SqlError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| SqlError::other(format!("no event loop: {e}")))?;
        let notices = Notices::default();
        let client = runtime.block_on(server.connect(notices.clone()))?;
        let mut session = Session { client, notices, limit, pid: 0, server: server.clone(), runtime };
        session.pid = session.value("SELECT pg_backend_pid()")?.and_then(|v| v.parse().ok()).unwrap_or_default();
        session.take_notices();
        Ok(session)
    }

    /// Process id of the backend.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    pub fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// Sends the text as one simple query: several statements in it are one transaction, as with a runner that sends whole files.
    pub fn simple(&mut self, sql: &str) -> Result<Vec<ResultSet>, SqlError> {
        let messages = self.bounded(|client| {
            let sql = sql.to_string();
            async move { client.simple_query(&sql).await }
        })?;
        let mut out = Vec::new();
        let mut current = ResultSet::default();
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    current.columns = columns.iter().map(|c| c.name().to_string()).collect();
                }
                SimpleQueryMessage::Row(row) => {
                    if current.columns.is_empty() {
                        current.columns = row.columns().iter().map(|c| c.name().to_string()).collect();
                    }
                    current.rows.push((0..row.len()).map(|i| row.get(i).map(str::to_string)).collect());
                }
                SimpleQueryMessage::CommandComplete(n) => {
                    current.affected = n;
                    out.push(std::mem::take(&mut current));
                }
                _ => {}
            }
        }
        Ok(out)
    }

    /// Runs SQL for its effect.
    pub fn run(&mut self, sql: &str) -> Result<u64, SqlError> {
        Ok(self.simple(sql)?.last().map_or(0, |r| r.affected))
    }

    /// Rows of the last statement.
    pub fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, SqlError> {
        Ok(self.simple(sql)?.pop().unwrap_or_default().rows)
    }

    /// First column of the first row.
    pub fn value(&mut self, sql: &str) -> Result<Option<String>, SqlError> {
        Ok(self.rows(sql)?.into_iter().next().and_then(|r| r.into_iter().next()).flatten())
    }

    /// `COPY … FROM STDIN` with its data.
    ///
    /// When the server refuses it before it asks for data, the client library counts one answer too many and the connection is of no use
    /// any more. Then another one takes its place: a transaction that was open is rolled back, and settings are as at the start.
    pub fn copy_in(&mut self, sql: &str, data: &str) -> Result<u64, SqlError> {
        use futures_util::SinkExt;
        let (sql, data) = (sql.to_string(), data.to_string());
        let asked = std::rc::Rc::new(std::cell::Cell::new(false));
        let seen = asked.clone();
        let end = self.bounded(|client| async move {
            let sink = client.copy_in::<_, std::io::Cursor<Vec<u8>>>(&sql).await?;
            seen.set(true);
            futures_util::pin_mut!(sink);
            sink.send(std::io::Cursor::new(data.into_bytes())).await?;
            sink.finish().await
        });
        if end.is_err() && !asked.get() {
            *self = Session::connect(&self.server, self.limit)?;
        }
        end
    }

    /// Data of `COPY … TO STDOUT`.
    pub fn copy_out(&mut self, sql: &str) -> Result<String, SqlError> {
        let sql = sql.to_string();
        self.bounded(|client| async move {
            let stream = client.copy_out(&sql).await?;
            futures_util::pin_mut!(stream);
            let mut out = Vec::new();
            while let Some(part) = stream.next().await {
                out.extend_from_slice(&part?);
            }
            Ok(String::from_utf8_lossy(&out).into_owned())
        })
    }

    /// What the server said since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut *self.notices.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A handle that another thread can use to cancel what runs here.
    pub fn canceller(&self) -> Canceller {
        Canceller { token: self.client.cancel_token(), server: self.server.clone() }
    }

    /// The connection has ended.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    fn bounded<'a, F, Fut, T>(&'a mut self, f: F) -> Result<T, SqlError>
    where
        F: FnOnce(&'a Client) -> Fut,
        Fut: Future<Output = Result<T, tokio_postgres::Error>> + 'a,
    {
        let (client, server) = (&self.client, &self.server);
        if let Some(over) = server.note_end() {
            return Err(SqlError { sqlstate: "57014".into(), ..SqlError::other(over) });
        }
        let limit = self.limit.min(server.left());
        let work = f(client);
        self.runtime.block_on(async {
            tokio::pin!(work);
            match tokio::time::timeout(limit, &mut work).await {
                Ok(r) => r.map_err(|e| {
                    let e = SqlError::from(e);
                    server.note(&e);
                    e
                }),
                Err(_) => {
                    server.cancel(&client.cancel_token()).await;
                    // The server answers a cancel request at once, unless it is stuck for good.
                    let end = tokio::time::timeout(Duration::from_secs(5), &mut work).await;
                    let mut error = SqlError::other("");
                    if let Ok(Err(e)) = end {
                        error = e.into();
                    }
                    error.sqlstate = "57014".into();
                    error.message = server.note_end().unwrap_or_else(|| format!("stopped: it ran longer than {} s", limit.as_secs_f32()));
                    Err(error)
                }
            }
        })
    }
}

/// Cancels the running statement of one session.
pub struct Canceller {
    token: tokio_postgres::CancelToken,
    server: Server,
}

impl Canceller {
    pub fn cancel(&self) {
        if let Ok(rt) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
            rt.block_on(self.server.cancel(&self.token));
        }
    }
}
