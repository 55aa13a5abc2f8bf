//! Asks a real database what must hold before a step: the session is read-only before it asks anything.

use std::time::Duration;

use super::connect::Server;
use super::error::ShadowError;
use super::session::Session;

/// A query may read a whole table; it waits for no lock for long.
const SETTINGS: &str = "-c default_transaction_read_only=on -c lock_timeout=5s -c statement_timeout=30min";
const LIMIT: Duration = Duration::from_secs(31 * 60);

pub struct Asked {
    server: Server,
}

impl Asked {
    pub fn new(url: &str) -> Result<Asked, ShadowError> {
        Ok(Asked { server: Server::parse(url)?.with_options(SETTINGS) })
    }

    /// `user@host/database`, without the password.
    pub fn describe(&self) -> String {
        self.server.describe()
    }

    /// The first rows that each query returns, as text, at most five of each.
    pub fn rows(&self, queries: &[String]) -> Result<Vec<Vec<String>>, ShadowError> {
        let mut session = Session::connect(&self.server, LIMIT).map_err(ShadowError::sql(format!("connect to {}", self.describe())))?;
        let mut out = Vec::new();
        for q in queries {
            session.simple("BEGIN READ ONLY").map_err(ShadowError::sql("begin to read"))?;
            let rows = session.rows(q).map_err(ShadowError::sql(format!("ask {}: {q}", self.describe())))?;
            session.simple("ROLLBACK").map_err(ShadowError::sql("end reading"))?;
            let text = |r: &Vec<Option<String>>| r.iter().map(|v| v.as_deref().unwrap_or("NULL")).collect::<Vec<_>>().join(" | ");
            out.push(rows.iter().take(5).map(text).collect());
        }
        Ok(out)
    }
}
