//! Server programs on the machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::op::PgVersion;

use super::error::ShadowError;

/// One installed server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    /// Folder of `postgres` and `initdb`.
    pub bin: PathBuf,
    /// `15.18`, `18beta1`.
    pub version: String,
    pub major: u8,
}

impl Programs {
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    }
}

/// The server to use: the wanted major version, else, unless it has to be `exact`, the nearest one that Airlock knows.
pub fn find(wanted: PgVersion, exact: bool) -> Result<Programs, ShadowError> {
    let folders = folders(wanted);
    let mut found: Vec<Programs> = Vec::new();
    for folder in &folders {
        if found.iter().any(|p| same_folder(&p.bin, folder)) {
            continue;
        }
        if let Some(p) = inspect(folder) {
            // Folders come best first, and a version check costs a process: the first exact match ends the search.
            if p.major == wanted.0 {
                return Ok(p);
            }
            found.push(p);
        }
    }
    found.retain(|p| PgVersion::SUPPORTED.contains(&p.major));
    if found.is_empty() {
        let looked_in = folders.iter().map(|f| f.display().to_string()).collect();
        return Err(ShadowError::NoPrograms { looked_in });
    }
    if exact {
        let found = found.iter().map(|p| p.version.as_str()).collect::<Vec<_>>().join(", ");
        return Err(ShadowError::WrongVersion { wanted: wanted.0, found });
    }
    found.sort_by_key(|p| p.major.abs_diff(wanted.0));
    Ok(found.swap_remove(0))
}

/// The `pg_dump` for a server: of its own version, else the next newer one. An older one refuses.
pub(super) fn find_dump(server: u8) -> Result<PathBuf, ShadowError> {
    let mut found: Vec<(u8, String, PathBuf)> = Vec::new();
    for folder in places(PgVersion(server)) {
        let path = folder.join(format!("pg_dump{}", std::env::consts::EXE_SUFFIX));
        let Some((version, major)) = path.is_file().then(|| version(&path)).flatten() else { continue };
        if major == server {
            return Ok(path);
        }
        found.push((major, version, path));
    }
    // The first of each version is the best place.
    match found.iter().filter(|f| f.0 > server).min_by_key(|f| f.0) {
        Some((_, _, path)) => Ok(path.clone()),
        None => {
            let all = found.iter().map(|f| f.1.as_str()).collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>();
            let found = if all.is_empty() { "there is none on this machine".into() } else { format!("only {} is here", all.join(", ")) };
            Err(ShadowError::NoDump { server, found })
        }
    }
}

/// Where a server's programs are, best first.
fn folders(wanted: PgVersion) -> Vec<PathBuf> {
    let mut out = places(wanted);
    out.retain(|f| f.join(format!("postgres{}", std::env::consts::EXE_SUFFIX)).is_file());
    // A link to the program (`/usr/local/bin/postgres`) leads to the folder that holds all of them.
    out.iter().map(|f| real_folder(f)).collect()
}

/// Where Postgres's programs may be, best first. Never the folder that is being checked: its files may come from anybody's pull request.
fn places(wanted: PgVersion) -> Vec<PathBuf> {
    let major = wanted.0;
    let mut out: Vec<PathBuf> = Vec::new();
    if let Some(list) = std::env::var_os("AIRLOCK_POSTGRES_BIN") {
        out.extend(std::env::split_paths(&list));
    }
    let mut majors = vec![major];
    majors.extend(PgVersion::SUPPORTED.rev().filter(|m| *m != major));
    // A checkout of Airlock itself keeps servers for its tests beside `target`.
    let own = std::env::current_exe().ok();
    let own = own.iter().flat_map(|e| e.ancestors().skip(1).take(5).map(|a| a.join(".cache/postgres")));
    let roots: Vec<PathBuf> = own.chain(super::start::cache_dir().map(|c| c.join("postgres"))).collect();
    for m in &majors {
        out.extend(roots.iter().map(|r| r.join(format!("{m}/bin"))));
        out.push(format!("/usr/lib/postgresql/{m}/bin").into());
        out.push(format!("/usr/pgsql-{m}/bin").into());
        out.push(format!("/opt/homebrew/opt/postgresql@{m}/bin").into());
        out.push(format!("/usr/local/opt/postgresql@{m}/bin").into());
        out.push(format!("/Applications/Postgres.app/Contents/Versions/{m}/bin").into());
        out.push(format!("/Library/PostgreSQL/{m}/bin").into());
    }
    if let Some(path) = std::env::var_os("PATH") {
        out.extend(std::env::split_paths(&path).filter(|p| p.is_absolute()));
    }
    if let Ok(o) = Command::new("pg_config").arg("--bindir").output()
        && o.status.success()
    {
        out.push(String::from_utf8_lossy(&o.stdout).trim().into());
    }
    out.extend(["/opt/homebrew/bin", "/usr/local/pgsql/bin", "/usr/bin"].map(PathBuf::from));
    out
}

fn real_folder(folder: &Path) -> PathBuf {
    let real = std::fs::canonicalize(folder.join("postgres")).ok().and_then(|p| p.parent().map(Path::to_path_buf));
    match real {
        Some(r) if r.join("initdb").is_file() => r,
        _ => folder.to_path_buf(),
    }
}

fn same_folder(a: &Path, b: &Path) -> bool {
    a == b || matches!((std::fs::canonicalize(a), std::fs::canonicalize(b)), (Ok(x), Ok(y)) if x == y)
}

fn inspect(bin: &Path) -> Option<Programs> {
    let (version, major) = version(&bin.join("postgres"))?;
    bin.join(format!("initdb{}", std::env::consts::EXE_SUFFIX)).is_file().then_some(Programs { bin: bin.to_path_buf(), version, major })
}

/// What a program of Postgres says about itself.
fn version(program: &Path) -> Option<(String, u8)> {
    let out = Command::new(program).arg("--version").output().ok()?;
    let version = version_of(&String::from_utf8_lossy(&out.stdout))?;
    let major = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    Some((version, major))
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` → `15.18`.
fn version_of(text: &str) -> Option<String> {
    text.split_whitespace().find(|w| w.starts_with(|c: char| c.is_ascii_digit())).map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_servers_own_words() {
        assert_eq!(version_of("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n").as_deref(), Some("15.18"));
        assert_eq!(version_of("postgres (PostgreSQL) 18beta1\n").as_deref(), Some("18beta1"));
        assert_eq!(version_of("postgres"), None);
    }
}
