//! Clusters kept in the user's cache and copied for every run: an initialised one (`initdb` takes a second, a copy some milliseconds), and those in
//! which a long history is loaded.

use std::ffi::OsStr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use sha2::{Digest, Sha256};

use super::error::ShadowError;
use super::local::ServerUser;
use super::programs::Programs;

/// Raised when the way an image is made changes.
const FORMAT: u32 = 1;

const OPTIONS: [&str; 7] = ["-U", "postgres", "-A", "trust", "-N", "--encoding=UTF8", "--wal-segsize=1"];

/// Tried in this order: upper and lower case beyond ASCII need a UTF-8 ctype, and not every system has that locale.
const LOCALES: [&[&str]; 2] = [&["--lc-collate=C", "--lc-ctype=C.UTF-8", "--lc-messages=C"], &["--locale=C"]];

/// Images of loaded histories that are kept.
const MOST: usize = 4;

/// Puts a fresh cluster at `data`, which must not exist; its parent belongs to `user`.
pub(super) fn provide(programs: &Programs, user: &ServerUser, data: &Path) -> Result<(), ShadowError> {
    let image = super::start::cache_dir().map(|c| c.join("clusters").join(key(programs)));
    if image.as_ref().is_some_and(|image| put(image, user, data)) {
        return Ok(());
    }
    initdb(programs, user, data)?;
    if let Some(image) = image {
        // Without a cache every run is merely slower.
        let _ = keep(data, &image);
    }
    Ok(())
}

/// A copy of an image. `false`: there is none, or it was damaged and is gone, which is no reason to fail.
fn put(image: &Path, user: &ServerUser, data: &Path) -> bool {
    if !image.join("PG_VERSION").is_file() {
        return false;
    }
    let copied = copy(image, data, Some(user)).is_ok();
    if !copied {
        let _ = std::fs::remove_dir_all(data);
        let _ = std::fs::remove_dir_all(image);
    }
    copied
}

/// A history that is loaded in a cluster of its own, by its hash.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    folder: PathBuf,
}

impl Loaded {
    /// `None`: there is no cache.
    pub(super) fn new(programs: &Programs, history: &str) -> Option<Loaded> {
        let cache = super::start::cache_dir()?;
        Some(Loaded { folder: cache.join("histories").join(format!("{}-{history}", key(programs))) })
    }

    /// Puts a cluster with the history at `data`. `false`: there is none.
    pub(super) fn provide(&self, user: &ServerUser, data: &Path) -> bool {
        put(&self.folder, user, data) && self.used()
    }

    fn used(&self) -> bool {
        let _ = std::fs::File::open(&self.folder).and_then(|f| f.set_modified(std::time::SystemTime::now()));
        true
    }

    /// Keeps the files of a running cluster in which nothing happens, behind a checkpoint; those that were not used for the longest time go.
    pub(super) fn keep(&self, data: &Path) {
        if keep(data, &self.folder).is_err() || !self.used() {
            return;
        }
        let Some(all) = self.folder.parent().and_then(|p| std::fs::read_dir(p).ok()) else { return };
        let mut known: Vec<_> = all.flatten().filter(|e| !e.file_name().to_string_lossy().starts_with('.')).collect();
        known.sort_by_key(|e| std::cmp::Reverse(e.metadata().and_then(|m| m.modified()).ok()));
        for old in known.into_iter().skip(MOST) {
            let _ = std::fs::remove_dir_all(old.path());
        }
    }

    #[cfg(test)]
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    #[cfg(test)]
    pub(super) fn is_there(&self) -> bool {
        self.folder.join("PG_VERSION").is_file()
    }

    /// It did not do what it is there for.
    pub(super) fn forget(&self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn key(programs: &Programs) -> String {
    let text = format!("{FORMAT}\0{}\0{}\0{OPTIONS:?}\0{LOCALES:?}", programs.version, programs.bin.display());
    let hash: String = Sha256::digest(text.as_bytes()).iter().take(8).map(|b| format!("{b:02x}")).collect();
    format!("{}-{hash}", programs.version)
}

fn initdb(programs: &Programs, user: &ServerUser, data: &Path) -> Result<(), ShadowError> {
    let program = programs.program("initdb");
    let mut last = None;
    for locale in LOCALES {
        let _ = std::fs::remove_dir_all(data);
        let out = user
            .command(&program)
            .args(OPTIONS)
            .args(locale)
            .arg("-D")
            .arg(data)
            .current_dir(data.parent().unwrap_or(Path::new("/")))
            .stdin(Stdio::null())
            .output()
            .map_err(ShadowError::io("run", &program))?;
        if out.status.success() {
            return Ok(());
        }
        let output = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        last = Some(ShadowError::Program { program: program.clone(), status: out.status.to_string(), output });
    }
    Err(last.unwrap_or(ShadowError::Unsupported))
}

/// Copies a fresh cluster into the cache; the name appears only when it is complete, so that others never see half of one.
fn keep(data: &Path, image: &Path) -> std::io::Result<()> {
    let parent = image.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(parent)?;
    let tmp = tempfile::Builder::new().prefix(".new-").tempdir_in(parent)?;
    let half: PathBuf = tmp.path().join("cluster");
    copy(data, &half, None)?;
    match std::fs::rename(&half, image) {
        Err(e) if !image.is_dir() => Err(e),
        _ => Ok(()),
    }
}

fn copy(from: &Path, to: &Path, owner: Option<&ServerUser>) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o700))?;
    if let Some((uid, gid)) = owner.and_then(|o| o.ids()) {
        chown(to, Some(uid), Some(gid))?;
    }
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target, owner)?;
        } else if !of_the_moment(&entry.path()) {
            // copy_file_range underneath: shares blocks where the file system can.
            std::fs::copy(entry.path(), &target)?;
            if let Some((uid, gid)) = owner.and_then(|o| o.ids()) {
                chown(&target, Some(uid), Some(gid))?;
            }
        }
    }
    Ok(())
}

/// Files of a running server that a copy must not have, or that may go while they are copied.
fn of_the_moment(file: &Path) -> bool {
    let within = |folder: &str| file.parent().is_some_and(|p| p.file_name() == Some(OsStr::new(folder)));
    file.file_name() == Some(OsStr::new("postmaster.pid")) || within("pg_stat_tmp") || within("pgsql_tmp")
}
