//! Where throwaway clusters live: in memory where the system has enough of it, else in the temporary folder.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::local::ServerUser;

/// A proof copies databases of hundreds of small files again and again; in memory that takes a tenth of the time or less.
const MEMORY: &str = "/dev/shm";

/// What the folder in memory must have free, and the machine too.
const ENOUGH: u64 = 2 << 30;

/// What a throwaway cluster may take of a disk.
const MOST_ON_DISK: u64 = 20 << 30;

/// A folder that the server's user can get to. `large`: more rows than belong into memory. A TMPDIR that somebody has set is where they
/// want it.
pub(super) fn choose(user: &ServerUser, large: bool) -> PathBuf {
    let memory = Path::new(MEMORY);
    if !large && std::env::var_os("TMPDIR").is_none() && is_memory(memory) && reachable(memory, user) && is_free(memory) {
        return memory.to_path_buf();
    }
    temporary(user)
}

/// Bytes that a cluster in the folder may hold.
pub(super) fn bound(folder: &Path) -> u64 {
    if folder.starts_with(MEMORY) { ENOUGH } else { MOST_ON_DISK }
}

/// Bytes of the files in a folder and in those below it; what goes while one looks counts for nothing.
pub(super) fn size(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|e| Some((e.path(), e.metadata().ok()?)))
        .map(|(path, m)| if m.is_dir() { size(&path) } else { m.blocks() * 512 })
        .sum()
}

/// Every folder in which a cluster of another run may lie.
pub(super) fn all(user: &ServerUser) -> Vec<PathBuf> {
    let mut out = vec![temporary(user), PathBuf::from("/tmp")];
    if is_memory(Path::new(MEMORY)) {
        out.push(MEMORY.into());
    }
    out.sort();
    out.dedup();
    out
}

/// The temporary folder, if the server's user can get there and the socket's path stays short enough for the system (104 bytes on macOS),
/// else `/tmp`.
fn temporary(user: &ServerUser) -> PathBuf {
    let tmp = std::env::temp_dir();
    let tmp = std::fs::canonicalize(&tmp).unwrap_or(tmp);
    let short = tmp.as_os_str().len() < 55;
    if short && reachable(&tmp, user) { tmp } else { PathBuf::from("/tmp") }
}

/// For whoever is not the server's user it is enough that it is there.
fn reachable(folder: &Path, user: &ServerUser) -> bool {
    user.ids().is_none() || folder.ancestors().all(|a| std::fs::metadata(a).is_ok_and(|m| m.permissions().mode() & 0o001 != 0))
}

/// The kernel says that a folder of this name is one in memory, and anybody may write there.
fn is_memory(folder: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mounted = mounts.lines().any(|l| {
        let mut words = l.split(' ').skip(1);
        words.next().is_some_and(|at| Path::new(at) == folder) && words.next() == Some("tmpfs")
    });
    mounted && std::fs::metadata(folder).is_ok_and(|m| m.permissions().mode() & 0o1777 == 0o1777)
}

fn is_free(folder: &Path) -> bool {
    let there = room(folder);
    // What a container may use, if it is less than the machine has.
    let read = |file: &str| std::fs::read_to_string(file).ok().and_then(|t| t.trim().parse::<u64>().ok());
    let group = ["memory.max", "memory.current"].map(|f| read(&format!("/sys/fs/cgroup/{f}")));
    let left = match group {
        [Some(max), Some(used)] => max.saturating_sub(used),
        _ => u64::MAX,
    };
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    there.min(left).min(available(&info)) >= ENOUGH
}

/// Only Linux has such a folder.
#[cfg(target_os = "linux")]
fn room(folder: &Path) -> u64 {
    nix::sys::statvfs::statvfs(folder).map(|s| s.blocks_available() * s.fragment_size()).unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
fn room(_folder: &Path) -> u64 {
    0
}

/// Bytes that the kernel would give to a new program.
fn available(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemAvailable:"));
    line.and_then(|l| l.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()).map_or(0, |kb| kb * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_has_to_spare_is_read() {
        assert_eq!(available("MemTotal:  100 kB\nMemAvailable:     42 kB\nSwap: 1 kB\n"), 42 * 1024);
        assert_eq!(available("MemTotal: 100 kB\n"), 0, "nobody says, so it is none");
    }

    #[test]
    fn only_a_folder_in_memory_is_taken_for_one() {
        assert!(!is_memory(Path::new("/")) && !is_memory(Path::new("/no/such/folder")));
    }
}
