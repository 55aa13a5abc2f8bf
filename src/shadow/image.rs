//! An initialised cluster, kept in the user's cache and copied for every run: `initdb` takes a second, a copy some milliseconds.

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

/// Puts a fresh cluster at `data`, which must not exist; its parent belongs to `user`.
pub(super) fn provide(programs: &Programs, user: &ServerUser, data: &Path) -> Result<(), ShadowError> {
    let image = super::start::cache_dir().map(|c| c.join("clusters").join(key(programs)));
    if let Some(image) = &image
        && image.join("PG_VERSION").is_file()
    {
        match copy(image, data, Some(user)) {
            Ok(()) => return Ok(()),
            // A damaged image is no reason to fail: it is made anew.
            Err(_) => {
                let _ = std::fs::remove_dir_all(data);
                let _ = std::fs::remove_dir_all(image);
            }
        }
    }
    initdb(programs, user, data)?;
    if let Some(image) = image {
        // Without a cache every run is merely slower.
        let _ = keep(data, &image);
    }
    Ok(())
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
        } else if entry.file_name() != OsStr::new("postmaster.pid") {
            // copy_file_range underneath: shares blocks where the file system can.
            std::fs::copy(entry.path(), &target)?;
            if let Some((uid, gid)) = owner.and_then(|o| o.ids()) {
                chown(&target, Some(uid), Some(gid))?;
            }
        }
    }
    Ok(())
}
