//! A throwaway cluster: a folder, a server on a Unix socket in it, and a watcher that removes both when Airlock is gone.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use tokio_postgres::Config;

use super::connect::Server;
use super::error::ShadowError;
use super::programs::Programs;
use super::session::Session;

const PREFIX: &str = "airlock-shadow-";

/// Runs as the parent of the server. Its standard input is a pipe from Airlock: the end of it means that Airlock is gone, however it
/// went, and then the server is stopped and the folder removed. It lives in a process group of its own and ignores what a
/// terminal sends, so Ctrl-C ends Airlock and not the cleaning up.
const WATCHER: &str = r#"
trap '' INT HUP TERM
d=$1; shift
{ "$@" >>"$d/log" 2>&1 </dev/null; echo $? >"$d/exited"; } &
cat >/dev/null
while [ ! -e "$d/exited" ]; do
  if read -r pid <"$d/data/postmaster.pid"; then kill -QUIT "$pid"; fi
  sleep 0.02
done 2>/dev/null
cd /
rm -rf "$d"
"#;

/// Durability off: nothing here outlives the run. Autovacuum off: it would take locks and change statistics at random moments.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("wal_level", "logical"),
    ("max_wal_size", "256MB"),
    ("autovacuum", "off"),
    ("jit", "off"),
    ("max_connections", "60"),
    ("max_prepared_transactions", "10"),
    ("shared_buffers", "64MB"),
    ("dynamic_shared_memory_type", "mmap"),
    ("temp_file_limit", "2GB"),
    ("TimeZone", "UTC"),
    ("log_timezone", "UTC"),
    ("lc_messages", "C"),
    ("log_min_messages", "warning"),
    ("deadlock_timeout", "200ms"),
];

/// Who runs the server: servers refuse root.
#[derive(Debug, Clone)]
pub(super) struct ServerUser(Option<(u32, u32)>);

impl ServerUser {
    fn choose() -> Result<ServerUser, ShadowError> {
        if !geteuid().is_root() {
            return Ok(ServerUser(None));
        }
        let found = ["postgres", "nobody"].into_iter().find_map(|n| User::from_name(n).ok().flatten());
        let user = found.ok_or(ShadowError::NoServerUser)?;
        Ok(ServerUser(Some((user.uid.as_raw(), user.gid.as_raw()))))
    }

    pub(super) fn ids(&self) -> Option<(u32, u32)> {
        self.0
    }

    /// A command as that user, with an environment that says nothing about any other server.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut c = Command::new(program);
        c.env_clear();
        for name in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR"] {
            if let Some(v) = std::env::var_os(name) {
                c.env(name, v);
            }
        }
        c.env("LC_ALL", "C").env("TZ", "UTC");
        if let Some((uid, gid)) = self.0 {
            // `uid` also drops root's supplementary groups.
            c.uid(uid).gid(gid);
        }
        c
    }
}

/// A running throwaway server; dropped, it leaves nothing.
pub(super) struct Local {
    dir: PathBuf,
    watcher: Child,
    /// Held while Airlock lives: a folder whose lock can be had is a left-over.
    _lock: File,
}

impl Local {
    pub(super) fn start(programs: &Programs) -> Result<Local, ShadowError> {
        Local::start_with(programs, &[])
    }

    /// With settings beside the usual ones; the later ones count.
    pub(super) fn start_with(programs: &Programs, more: &[(&str, &str)]) -> Result<Local, ShadowError> {
        let user = ServerUser::choose()?;
        let base = base_folder(&user);
        sweep(&base);
        let (dir, lock) = make_folder(&base, &user)?;
        // From here on the guard removes the folder when anything below fails.
        let guard = Folder(Some(dir.clone()));
        super::image::provide(programs, &user, &dir.join("data"))?;
        let mut watcher = user.command(Path::new("/bin/sh"));
        watcher.args(["-c", WATCHER, "airlock-watcher"]).arg(&dir).arg(programs.program("postgres"));
        watcher.arg("-D").arg(dir.join("data")).arg("-k").arg(&dir);
        for (name, value) in SETTINGS.iter().chain(more) {
            watcher.arg("-c").arg(format!("{name}={value}"));
        }
        watcher.current_dir(&dir).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let watcher = watcher.spawn().map_err(ShadowError::io("run", "/bin/sh"))?;
        guard.keep();
        let local = Local { dir, watcher, _lock: lock };
        local.wait_until_ready()?;
        Ok(local)
    }

    /// Connects as the cluster's superuser until other settings are made.
    pub(super) fn server(&self) -> Server {
        let mut c = Config::new();
        c.host_path(&self.dir).port(5432).user("postgres").dbname("postgres").application_name("airlock");
        Server::throwaway(c)
    }

    /// The end of the server's messages.
    pub(super) fn log(&self) -> String {
        tail(&self.dir.join("log"))
    }

    #[cfg(test)]
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    fn wait_until_ready(&self) -> Result<(), ShadowError> {
        let start = Instant::now();
        loop {
            let error = match Session::connect(&self.server(), Duration::from_secs(10)) {
                Ok(_) => return Ok(()),
                Err(e) => e,
            };
            let gone = self.dir.join("exited").exists();
            if gone || start.elapsed() > Duration::from_secs(30) {
                let why = if gone { String::new() } else { format!("{error}\n") };
                return Err(ShadowError::DidNotStart { log: format!("{why}{}", self.log()) });
            }
            std::thread::sleep(Duration::from_millis(4));
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // The end of the pipe is the signal.
        drop(self.watcher.stdin.take());
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            match self.watcher.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(2)),
                _ => break,
            }
        }
        // The watcher was killed, or cannot do its work.
        if self.dir.exists() {
            remove(&self.dir);
            let _ = self.watcher.kill();
            let _ = self.watcher.wait();
        }
    }
}

/// A folder that is removed unless it is kept.
struct Folder(Option<PathBuf>);

impl Folder {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(d) = &self.0 {
            let _ = std::fs::remove_dir_all(d);
        }
    }
}

/// Where throwaway folders live: the temporary folder, if the server's user can get there and the socket's path stays short enough
/// for the system (104 bytes on macOS), else `/tmp`.
fn base_folder(user: &ServerUser) -> PathBuf {
    let tmp = std::env::temp_dir();
    let tmp = std::fs::canonicalize(&tmp).unwrap_or(tmp);
    let short = tmp.as_os_str().len() < 55;
    let reachable =
        user.ids().is_none() || tmp.ancestors().all(|a| std::fs::metadata(a).is_ok_and(|m| m.permissions().mode() & 0o001 != 0));
    if short && reachable { tmp } else { PathBuf::from("/tmp") }
}

fn make_folder(base: &Path, user: &ServerUser) -> Result<(PathBuf, File), ShadowError> {
    let made = tempfile::Builder::new()
        .prefix(PREFIX)
        .rand_bytes(8)
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir_in(base)
        .map_err(ShadowError::io("make a folder in", base))?;
    // It gets its name when it is locked: another run that sweeps at this moment never finds it free. Close-on-exec, as Rust opens every
    // file: no child keeps the lock alive.
    let (path, unnamed) = (made.path().join("lock"), made.path().join("lock.new"));
    let lock = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&unnamed)
        .and_then(|f| f.lock().map(|()| f))
        .and_then(|f| std::fs::rename(&unnamed, &path).map(|()| f))
        .map_err(ShadowError::io("lock", &path))?;
    if let Some((uid, gid)) = user.ids() {
        chown(made.path(), Some(uid), Some(gid)).map_err(ShadowError::io("give away", made.path()))?;
    }
    Ok((made.keep(), lock))
}

/// Removes what killed runs left, where both they and their watchers were killed.
fn sweep(base: &Path) {
    let Ok(entries) = std::fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let dir = entry.path();
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) || !entry.file_type().is_ok_and(|t| t.is_dir()) {
            continue;
        }
        let stale = match OpenOptions::new().write(true).open(dir.join("lock")) {
            Ok(lock) => lock.try_lock().is_ok(),
            // Made a moment ago and not locked yet, or somebody else's.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                entry.metadata().and_then(|m| m.modified()).is_ok_and(|t| t.elapsed().is_ok_and(|e| e.as_secs() > 60))
            }
            Err(_) => false,
        };
        if stale {
            remove(&dir);
        }
    }
}

/// Stops the folder's server, if it has one, and removes the folder.
fn remove(dir: &Path) {
    let pid_file = dir.join("data/postmaster.pid");
    for _ in 0..200 {
        let Some(pid) = postmaster(&pid_file, dir) else { break };
        let _ = kill(Pid::from_raw(pid), Signal::SIGQUIT);
        std::thread::sleep(Duration::from_millis(10));
    }
    if let Some(pid) = postmaster(&pid_file, dir) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let _ = std::fs::remove_dir_all(dir);
}

/// Process id of the server that runs in the folder. A number in a left-over file may by now belong to anybody, so the process must
/// be of the folder's owner and, where the system tells, be called with the folder's path.
fn postmaster(pid_file: &Path, dir: &Path) -> Option<i32> {
    let text = std::fs::read_to_string(pid_file).ok()?;
    let pid: i32 = text.lines().next()?.trim().parse().ok().filter(|p| *p > 1)?;
    if cfg!(target_os = "linux") {
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let owner = std::fs::metadata(&proc).ok()?.uid();
        let line = std::fs::read(proc.join("cmdline")).ok()?;
        let ours = String::from_utf8_lossy(&line).contains(&*dir.to_string_lossy());
        (ours && owner == std::fs::metadata(dir).ok()?.uid()).then_some(pid)
    } else {
        let out = Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output().ok()?;
        String::from_utf8_lossy(&out.stdout).contains(&*dir.to_string_lossy()).then_some(pid)
    }
}

fn tail(path: &Path) -> String {
    let mut text = Vec::new();
    if let Ok(mut f) = File::open(path) {
        let _ = f.read_to_end(&mut text);
    }
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
