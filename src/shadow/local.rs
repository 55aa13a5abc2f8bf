//! A throwaway cluster: a folder, a server on a Unix socket in it, and a watcher that removes both when Airlock is gone.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use tokio_postgres::Config;

use super::connect::Server;
use super::error::ShadowError;
use super::image::Loaded;
use super::place;
use super::programs::Programs;
use super::session::Session;

const PREFIX: &str = "airlock-shadow-";

/// How often its size is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What a server that stays is there for.
const NOTE: &str = "note";

/// Runs as the parent of the server. Its standard input is a pipe from Airlock: the end of it means that Airlock is gone, however it
/// went, and then the server is stopped and the folder removed; only when it was told to `stay` it waits for the end of the server. It lives
/// in a process group of its own and ignores what a terminal sends, so Ctrl-C ends Airlock and not the cleaning up. Its standard output
/// is the folder's lock, so that the folder is in use as long as it watches. No process of the server gets more than 4 GB of memory. Where somebody else
/// removed the folder there is nothing left to wait for: the server ends by itself without its data.
const WATCHER: &str = r#"
trap '' INT HUP TERM
ulimit -v 4194304 2>/dev/null
d=$1; shift
{ "$@" >>"$d/log" 2>&1 </dev/null; echo $? >"$d/exited"; } &
read -r word
[ "$word" = stay ] && wait
while [ -d "$d" ] && [ ! -e "$d/exited" ]; do
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
    pub(super) fn choose() -> Result<ServerUser, ShadowError> {
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
    /// It goes on when this value goes.
    stays: AtomicBool,
    /// Held while Airlock lives, or the watcher: a folder whose lock can be had is a left-over.
    _lock: File,
}

impl Local {
    /// `large`: there will be many rows.
    pub(super) fn start(programs: &Programs, large: bool) -> Result<Local, ShadowError> {
        Ok(Local::start_with(programs, large, None, &[])?.0)
    }

    /// With a history where there is an image of it: whether it is in the cluster.
    pub(super) fn start_loaded(programs: &Programs, large: bool, history: &Loaded) -> Result<(Local, bool), ShadowError> {
        match Local::start_with(programs, large, Some(history), &[]) {
            Err(ShadowError::DidNotStart { .. }) => {
                history.forget();
                Ok((Local::start(programs, large)?, false))
            }
            end => end,
        }
    }

    /// With settings beside the usual ones; the later ones count.
    pub(super) fn start_with(
        programs: &Programs,
        large: bool,
        history: Option<&Loaded>,
        more: &[(&str, &str)],
    ) -> Result<(Local, bool), ShadowError> {
        let user = ServerUser::choose()?;
        place::all(&user).iter().for_each(|base| drop(sweep(base)));
        let (dir, lock) = make_folder(&place::choose(&user, large), &user)?;
        // From here on the guard removes the folder when anything below fails.
        let guard = Folder(Some(dir.clone()));
        let data = dir.join("data");
        let loaded = history.is_some_and(|h| h.provide(&user, &data));
        if !loaded {
            super::image::provide(programs, &user, &data)?;
        }
        let own = lock.try_clone().map_err(ShadowError::io("hold the lock of", &dir))?;
        let mut watcher = user.command(Path::new("/bin/sh"));
        watcher.args(["-c", WATCHER, "airlock-watcher"]).arg(&dir).arg(programs.program("postgres"));
        watcher.arg("-D").arg(&data).arg("-k").arg(&dir);
        for (name, value) in SETTINGS.iter().chain(more) {
            watcher.arg("-c").arg(format!("{name}={value}"));
        }
        watcher.current_dir(&dir).stdin(Stdio::piped()).stdout(lock).stderr(Stdio::null()).process_group(0);
        let watcher = watcher.spawn().map_err(ShadowError::io("run", "/bin/sh"))?;
        guard.keep();
        let local = Local { dir, watcher, stays: AtomicBool::new(false), _lock: own };
        local.wait_until_ready()?;
        Ok((local, loaded))
    }

    /// The files of the cluster.
    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Stops the server when its files hold more than `room` bytes: a migration without end must not fill the machine's disk, or its memory.
    pub(super) fn bound(&self, server: &Server, room: Option<u64>) {
        let (dir, server) = (self.dir.clone(), server.clone());
        let room = room.unwrap_or_else(|| place::bound(&dir));
        std::thread::spawn(move || {
            while !dir.join("exited").exists() && dir.exists() {
                if place::size(&dir.join("data")) > room {
                    server.stop(&format!("its databases hold more than {} MB, which is its limit", room >> 20));
                    if let Some(pid) = postmaster(&dir.join("data/postmaster.pid"), &dir) {
                        let _ = kill(Pid::from_raw(pid), Signal::SIGQUIT);
                    }
                    return;
                }
                std::thread::sleep(LOOK);
            }
        });
    }

    /// Connects as the cluster's superuser until other settings are made.
    pub(super) fn server(&self) -> Server {
        server_in(&self.dir)
    }

    /// From now on the server goes on until somebody stops it. `note` says what it is there for.
    pub(super) fn stay(&self, note: &[u8]) -> Result<(), ShadowError> {
        let (path, unnamed) = (self.dir.join(NOTE), self.dir.join("note.new"));
        std::fs::write(&unnamed, note).and_then(|()| std::fs::rename(&unnamed, &path)).map_err(ShadowError::io("write", &path))?;
        let told = self.watcher.stdin.as_ref().map(|mut pipe| pipe.write_all(b"stay\n"));
        told.transpose().map_err(ShadowError::io("speak with the watcher of", &self.dir))?;
        self.stays.store(true, Ordering::Relaxed);
        Ok(())
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
        if self.stays.load(Ordering::Relaxed) {
            return;
        }
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

/// Removes what killed runs left, where both they and their watchers were killed; says which folders.
pub(super) fn sweep(base: &Path) -> Vec<PathBuf> {
    folders(base).into_iter().filter(|dir| is_stale(dir) && remove(dir)).collect()
}

/// Servers that stay: their folders, and what was noted in them.
pub(super) fn staying(base: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let noted = folders(base).into_iter().filter_map(|dir| std::fs::read(dir.join(NOTE)).ok().map(|note| (dir, note)));
    noted.filter(|(dir, _)| !is_stale(dir)).collect()
}

/// As the cluster's superuser.
pub(super) fn server_in(dir: &Path) -> Server {
    let mut c = Config::new();
    c.host_path(dir).port(5432).user("postgres").dbname("postgres").application_name("airlock");
    Server::throwaway(c)
}

fn folders(base: &Path) -> Vec<PathBuf> {
    let ours = |e: &std::fs::DirEntry| e.file_name().to_string_lossy().starts_with(PREFIX) && e.file_type().is_ok_and(|t| t.is_dir());
    std::fs::read_dir(base).into_iter().flatten().flatten().filter(ours).map(|e| e.path()).collect()
}

/// Nobody holds its lock any more.
fn is_stale(dir: &Path) -> bool {
    match OpenOptions::new().write(true).open(dir.join("lock")) {
        Ok(lock) => lock.try_lock().is_ok(),
        // Made a moment ago and not locked yet, or somebody else's.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let made = std::fs::metadata(dir).and_then(|m| m.modified());
            made.is_ok_and(|t| t.elapsed().is_ok_and(|e| e.as_secs() > 60)) && holds_nothing(dir)
        }
        Err(_) => false,
    }
}

/// Nothing but what Airlock makes before it has the lock: without that nothing shows whose it is.
fn holds_nothing(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.all(|e| e.is_ok_and(|e| e.file_name() == "lock.new")))
}

/// Stops the folder's server, if it has one, and removes the folder. `false`: it is still there.
pub(super) fn remove(dir: &Path) -> bool {
    let pid_file = dir.join("data/postmaster.pid");
    for _ in 0..200 {
        let Some(pid) = postmaster(&pid_file, dir) else { break };
        let _ = kill(Pid::from_raw(pid), Signal::SIGQUIT);
        std::thread::sleep(Duration::from_millis(10));
    }
    if let Some(pid) = postmaster(&pid_file, dir) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    // A watcher may be removing it too.
    for _ in 0..100 {
        let _ = std::fs::remove_dir_all(dir);
        if !dir.exists() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
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
