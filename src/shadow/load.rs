//! Brings a shadow database to the schema before a migration: history or a dump, statement by statement as the runner would.
//!
//! What the SQL under test may not do for itself and needs nevertheless (roles, extensions) is made for it by Airlock's own session.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::history::{Script, Send};
use crate::op::{GrantOn, ObjectKind, OpKind};
use crate::quote::ident;

use super::error::ShadowError;
use super::script::{Piece, pieces, wraps};
use super::session::{Session, SqlError};
use super::start::{Database, OWNER};

/// A statement that the server refused. The rest went on without it.
#[derive(Debug, Clone)]
pub struct Failure {
    pub path: PathBuf,
    pub line: usize,
    pub statement: String,
    pub error: SqlError,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}\n  {}", self.path.display(), self.line, self.statement, self.error)
    }
}

/// Runs the scripts in order and says what was refused.
pub fn load<'a>(db: &Database, scripts: impl IntoIterator<Item = &'a Script>) -> Result<Vec<Failure>, ShadowError> {
    let mut runner = Runner::new(db)?;
    let mut failures = Vec::new();
    for s in scripts {
        failures.extend(runner.script(s)?);
    }
    Ok(failures)
}

/// Extensions that open a way out of the database: to programs, files or the network.
const DANGEROUS: &[&str] = &[
    "adminpack",
    "dblink",
    "file_fdw",
    "postgres_fdw",
    "plpython3u",
    "plperlu",
    "pltclu",
    "plpython2u",
    "plpythonu",
    "http",
    "pg_net",
    "pg_cron",
    "lo",
    "xml2",
];

/// One session in which scripts run.
pub struct Runner<'a> {
    db: &'a Database,
    session: Session,
    helper: Option<Session>,
    /// Statements that the helper did, or that mean nothing here.
    done: HashSet<String>,
}

enum Help {
    /// What was missing is there: try again.
    Retry,
    /// The statement's work is done, or is of no account.
    Done,
    None,
}

impl<'a> Runner<'a> {
    pub fn new(db: &'a Database) -> Result<Runner<'a>, ShadowError> {
        let helper = if db.shadow().has_helper() { Some(db.helper()?) } else { None };
        let mut runner = Runner { db, session: db.connect()?, helper, done: HashSet::new() };
        if let Some(h) = &mut runner.helper {
            // It may meet locks that the script itself holds.
            h.run("SET lock_timeout = '2s'").map_err(ShadowError::sql("prepare a session"))?;
        }
        Ok(runner)
    }

    /// Runs one script as its runner would, and goes on after a refusal.
    pub fn script(&mut self, script: &Script) -> Result<Vec<Failure>, ShadowError> {
        let pieces: Vec<Piece> = pieces(script).into_iter().filter(|p| !p.is_meta()).collect();
        let wrapped = wraps(&script.execution, pieces.len());
        let failure =
            |p: &Piece, error: SqlError| Failure { path: script.source.path().to_path_buf(), line: p.line, statement: p.head(), error };
        self.clean()?;
        for (name, value) in &script.execution.settings {
            let _ = self.session.run(&format!("SET {} = {}", ident(name), crate::quote::literal(value)));
        }
        if !wrapped {
            let mut out = Vec::new();
            // BEGIN in the file: a refusal inside must not take the rest of its transaction along.
            let mut explicit = false;
            for p in &pieces {
                let guarded = explicit && !p.is_transaction_control();
                if let Err(e) = self.piece(p, guarded) {
                    out.push(failure(p, e));
                }
                if p.has(|k| matches!(k, OpKind::Begin { .. })) {
                    explicit = true;
                } else if ends_transaction(p) {
                    explicit = false;
                }
                self.lost()?;
            }
            return Ok(out);
        }
        // Each round makes at least one missing thing, so this ends.
        for _ in 0..50 {
            match self.transaction(&pieces, script.execution.send) {
                Ok(()) => return Ok(Vec::new()),
                Err((i, e)) => {
                    let _ = self.session.run("ROLLBACK");
                    self.lost()?;
                    // Once is enough for what has no end.
                    if e.is_stopped() {
                        return Ok(vec![failure(&pieces[i], e)]);
                    }
                    match self.help(&pieces[i], &e) {
                        Help::None => break,
                        Help::Retry | Help::Done => self.clean()?,
                    }
                }
            }
        }
        self.clean()?;
        Ok(self.tolerant(&pieces, script.execution.send)?.into_iter().map(|(i, e)| failure(&pieces[i], e)).collect())
    }

    /// All or nothing.
    fn transaction(&mut self, pieces: &[Piece], send: Send) -> Result<(), (usize, SqlError)> {
        self.session.run("BEGIN").map_err(|e| (0, e))?;
        for (i, p) in pieces.iter().enumerate() {
            self.send(p).map_err(|e| (i, e))?;
            if ends_transaction(p) && send != Send::Statement {
                self.session.run("BEGIN").map_err(|e| (i, e))?;
            }
        }
        self.session.run("COMMIT").map_err(|e| (pieces.len().saturating_sub(1), e))?;
        Ok(())
    }

    /// The same with a savepoint before every statement, so that one refusal does not take the rest along. What refuses a
    /// transaction runs after it: the schema is then what the author meant, and the refusal is told.
    fn tolerant(&mut self, pieces: &[Piece], send: Send) -> Result<Vec<(usize, SqlError)>, ShadowError> {
        let mut out = Vec::new();
        let mut later = Vec::new();
        let _ = self.session.run("BEGIN");
        for (i, p) in pieces.iter().enumerate() {
            if p.is_transaction_control() {
                let _ = self.session.run(&p.text);
                if ends_transaction(p) && send != Send::Statement {
                    let _ = self.session.run("BEGIN");
                }
                continue;
            }
            for _ in 0..10 {
                let _ = self.session.run("SAVEPOINT airlock_load");
                let Err(e) = self.send(p) else {
                    let _ = self.session.run("RELEASE SAVEPOINT airlock_load");
                    break;
                };
                let _ = self.session.run("ROLLBACK TO SAVEPOINT airlock_load");
                self.lost()?;
                match self.help(p, &e) {
                    Help::Retry => {}
                    Help::Done => break,
                    Help::None => {
                        if e.is("25001") {
                            later.push(p);
                        }
                        out.push((i, e));
                        break;
                    }
                }
            }
        }
        if let Err(e) = self.session.run("COMMIT") {
            out.push((pieces.len().saturating_sub(1), e));
        }
        for p in later {
            let _ = self.send(p);
        }
        Ok(out)
    }

    fn piece(&mut self, p: &Piece, guarded: bool) -> Result<(), SqlError> {
        for _ in 0..20 {
            if guarded {
                let _ = self.session.run("SAVEPOINT airlock_load");
            }
            let sent = self.send(p);
            if guarded {
                let undo = if sent.is_ok() { "RELEASE" } else { "ROLLBACK TO" };
                let _ = self.session.run(&format!("{undo} SAVEPOINT airlock_load"));
            }
            let Err(e) = sent else { return Ok(()) };
            match self.help(p, &e) {
                Help::Retry => {}
                Help::Done => return Ok(()),
                Help::None => return Err(e),
            }
        }
        self.send(p)
    }

    fn send(&mut self, p: &Piece) -> Result<(), SqlError> {
        if self.done.contains(&p.text) {
            return Ok(());
        }
        match &p.data {
            Some(d) => self.session.copy_in(&p.text, d).map(drop),
            None => self.session.run(&p.text).map(drop),
        }
    }

    /// Makes what the statement misses, if that is a thing it cannot make for itself.
    fn help(&mut self, p: &Piece, e: &SqlError) -> Help {
        let done = |me: &mut Self| {
            me.done.insert(p.text.clone());
            Help::Done
        };
        let about = |kind: ObjectKind| {
            p.has(|k| match k {
                OpKind::CreateObject { object, .. } | OpKind::AlterObject { object, .. } | OpKind::Comment { object, .. } => {
                    object.kind == kind
                }
                OpKind::Drop { objects, .. } => objects.iter().any(|o| o.kind == kind),
                _ => false,
            })
        };
        match e.sqlstate.as_str() {
            "42704" if e.message.starts_with("role \"") => match e.message.split('"').nth(1) {
                Some(role) if self.make_role(role) => Help::Retry,
                _ => Help::None,
            },
            // A dump of a newer server sets what an older one does not know.
            "42704" if e.message.starts_with("unrecognized configuration parameter") && p.has(|k| matches!(k, OpKind::SetVar { .. })) => {
                done(self)
            }
            "42P06" if e.message.contains("\"public\"") => done(self),
            "42501" if about(ObjectKind::Role) => {
                let made: Vec<String> = p
                    .statement
                    .ops
                    .iter()
                    .filter_map(|o| match &o.kind {
                        OpKind::CreateObject { object, .. } if object.kind == ObjectKind::Role => Some(object.name.as_str().to_string()),
                        _ => None,
                    })
                    .collect();
                for role in &made {
                    self.make_role(role);
                }
                // Other changes of roles concern the whole server; here a role is only a name.
                done(self)
            }
            "42501" if p.has(|k| matches!(k, OpKind::Grant(g) if matches!(g.on, GrantOn::Roles))) => {
                if self.grant_roles(p) {
                    done(self)
                } else {
                    Help::None
                }
            }
            "42501" if p.has(|k| matches!(k, OpKind::CreateExtension { .. })) => {
                if self.make_extension(p) {
                    done(self)
                } else {
                    Help::None
                }
            }
            "42501" if about(ObjectKind::Extension) || p.has(|k| matches!(k, OpKind::AlterExtension { .. })) => done(self),
            // Who owns an object matters less than that it exists; the shadow's own role keeps it.
            "42501"
                if p.has(|k| matches!(k, OpKind::Owner { .. }))
                    || e.message.starts_with("must be member of role")
                    || e.message.contains("SET ROLE") =>
            {
                if p.has(|k| matches!(k, OpKind::Owner { .. } | OpKind::Alter { .. })) {
                    done(self)
                } else {
                    Help::None
                }
            }
            _ => Help::None,
        }
    }

    /// A role without any right of its own. The role that runs the SQL becomes a member, so that it can give things to it.
    fn make_role(&mut self, name: &str) -> bool {
        let Some(h) = &mut self.helper else { return false };
        let made = h.run(&format!("CREATE ROLE {}", ident(name)));
        if !made.as_ref().err().is_none_or(|e| e.is("42710")) {
            return false;
        }
        // Never a member of a superuser.
        let plain = h.value(&format!("SELECT NOT rolsuper FROM pg_catalog.pg_roles WHERE rolname = {}", crate::quote::literal(name)));
        matches!(plain, Ok(Some(v)) if v == "t") && h.run(&format!("GRANT {} TO {}", ident(name), ident(OWNER))).is_ok()
    }

    fn grant_roles(&mut self, p: &Piece) -> bool {
        let mut all = true;
        for op in &p.statement.ops {
            let OpKind::Grant(g) = &op.kind else { continue };
            let names: Vec<&String> = g.privileges.iter().map(|(r, _)| r).chain(&g.grantees).collect();
            // Membership in a predefined role can open files and programs.
            if g.revoke || names.iter().any(|n| n.to_ascii_lowercase().starts_with("pg_") || *n == "postgres") {
                return false;
            }
            for (role, _) in &g.privileges {
                for to in &g.grantees {
                    // Privileges are kept in upper case, role names are usually lower.
                    let role = role.to_ascii_lowercase();
                    self.make_role(&role);
                    self.make_role(to);
                    let Some(h) = &mut self.helper else { return false };
                    all &= h.run(&format!("GRANT {} TO {}", ident(&role), ident(to))).is_ok();
                }
            }
        }
        all
    }

    fn make_extension(&mut self, p: &Piece) -> bool {
        let mut all = false;
        for op in &p.statement.ops {
            let OpKind::CreateExtension { name, schema, version, cascade, .. } = &op.kind else { continue };
            if DANGEROUS.contains(&name.as_str()) {
                return false;
            }
            let Some(h) = &mut self.helper else { return false };
            let mut sql = format!("CREATE EXTENSION IF NOT EXISTS {}", ident(name.as_str()));
            if let Some(s) = schema {
                sql.push_str(&format!(" SCHEMA {}", ident(s.as_str())));
            }
            if let Some(v) = version {
                sql.push_str(&format!(" VERSION {}", crate::quote::literal(v.trim_matches('\''))));
            }
            if *cascade {
                sql.push_str(" CASCADE");
            }
            match h.run(&sql) {
                Ok(_) => all = true,
                Err(_) => return false,
            }
        }
        all
    }

    /// Every script starts as in a new connection.
    fn clean(&mut self) -> Result<(), ShadowError> {
        let _ = self.session.run("ROLLBACK");
        if self.session.run("DISCARD ALL").is_err() || self.session.is_closed() {
            self.session = self.db.connect()?;
        }
        Ok(())
    }

    /// A statement that ends the connection (pg_terminate_backend, a crash) does not end the load.
    fn lost(&mut self) -> Result<(), ShadowError> {
        if self.session.is_closed() {
            self.session = self.db.connect()?;
        }
        Ok(())
    }
}

pub(super) fn ends_transaction(p: &Piece) -> bool {
    p.has(|k| matches!(k, OpKind::Commit { .. } | OpKind::Rollback { .. }))
}
