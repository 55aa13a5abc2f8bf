//! Shadows that stay until they are stopped: for people who want to look inside, and for runs that want to begin quickly.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::connect::Server;
use super::error::ShadowError;
use super::session::Session;
use super::start::{LIMIT, OWNER};
use super::{remote, template};

/// A server of this machine that stays, as it stands in its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub dir: PathBuf,
    pub note: Note,
}

/// What it is there for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Folder of the history that is loaded.
    pub project: PathBuf,
    pub major: u8,
    pub database: String,
}

impl Kept {
    /// Of its database, for other programs.
    #[cfg(unix)]
    pub fn url(&self) -> String {
        super::local::server_in(&self.dir).with_database(&self.note.database).with_user(OWNER).url()
    }

    #[cfg(not(unix))]
    pub fn url(&self) -> String {
        String::new()
    }
}

/// Those of one project.
pub fn of(project: &Path) -> Result<Vec<Kept>, ShadowError> {
    Ok(all()?.into_iter().filter(|k| k.note.project == project).collect())
}

/// All of this user's.
#[cfg(unix)]
pub fn all() -> Result<Vec<Kept>, ShadowError> {
    let bases = super::place::all(&super::local::ServerUser::choose()?);
    let found = bases.iter().flat_map(|base| super::local::staying(base));
    Ok(found.filter_map(|(dir, note)| Some(Kept { dir, note: serde_json::from_slice(&note).ok()? })).collect())
}

/// What killed runs left on this machine: the folders that are gone now.
#[cfg(unix)]
pub fn sweep() -> Result<Vec<PathBuf>, ShadowError> {
    let bases = super::place::all(&super::local::ServerUser::choose()?);
    Ok(bases.iter().flat_map(|base| super::local::sweep(base)).collect())
}

/// Ends the server; its folder goes.
#[cfg(unix)]
pub fn stop(kept: &Kept) -> Result<(), ShadowError> {
    if super::local::remove(&kept.dir) { Ok(()) } else { Err(ShadowError::Stays { dir: kept.dir.clone() }) }
}

#[cfg(not(unix))]
pub fn all() -> Result<Vec<Kept>, ShadowError> {
    Ok(Vec::new())
}

#[cfg(not(unix))]
pub fn sweep() -> Result<Vec<PathBuf>, ShadowError> {
    Ok(Vec::new())
}

#[cfg(not(unix))]
pub fn stop(_kept: &Kept) -> Result<(), ShadowError> {
    Err(ShadowError::Unsupported)
}

/// A server that the user names, and what Airlock has in it.
pub struct Remote {
    server: Server,
    session: Session,
}

impl Remote {
    pub fn open(url: &str) -> Result<Remote, ShadowError> {
        let server = Server::parse(url)?;
        let session = Session::connect(&server, LIMIT).map_err(ShadowError::connect)?;
        Ok(Remote { server, session })
    }

    /// Databases that stay for the project, with their URLs.
    pub fn kept(&mut self, project: &Path) -> Result<Vec<(String, String)>, ShadowError> {
        let project = project.display().to_string();
        let known = remote::databases(&mut self.session)?.into_iter().filter(|k| k.kept_for() == Some(&project));
        Ok(known.map(|k| (self.server.with_database(&k.name).url(), k.name)).map(|(url, name)| (name, url)).collect())
    }

    pub fn drop_database(&mut self, name: &str) -> Result<(), ShadowError> {
        remote::drop_database(&mut self.session, name)
    }

    /// Databases of killed runs, and templates that nobody can be about to copy: those that are gone now.
    pub fn sweep(&mut self) -> Vec<String> {
        let mut gone = remote::sweep(&mut self.session, 0);
        gone.extend(template::forget(&mut self.session, 0, template::FRESH));
        gone
    }
}
