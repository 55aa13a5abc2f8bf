//! `--watch`: the same again whenever a file changes, until Ctrl-C.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::project::load_config;
use super::{CliError, SourceArgs};

/// Asking for the times of some thousand files costs a few milliseconds, and works on every file system; so nothing is subscribed to.
const PAUSE: Duration = Duration::from_millis(300);

type Seen = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// Ends only with the signal, or when the output is closed. What goes wrong is said, and the next change may mend it.
pub fn run(
    paths: &[PathBuf],
    source: &SourceArgs,
    out: &mut dyn Write,
    once: impl Fn(&mut dyn Write) -> Result<u8, CliError>,
) -> Result<u8, CliError> {
    if paths.iter().any(|p| p.as_os_str() == "-") {
        return Err(CliError::Usage("--watch watches files; standard input is read once".into()));
    }
    loop {
        let before = seen(paths, source);
        if io::stdout().is_terminal() {
            write!(out, "\x1b[2J\x1b[H")?;
        }
        match once(out) {
            Ok(_) => {}
            Err(CliError::Output(e)) => return Err(e.into()),
            Err(e) => {
                let _ = writeln!(io::stderr(), "error: {e}");
            }
        }
        writeln!(out, "Watching for changes; Ctrl-C ends.")?;
        out.flush()?;
        while seen(paths, source) == before {
            std::thread::sleep(PAUSE);
        }
    }
}

/// Time and size of every file that the answer may depend on.
fn seen(paths: &[PathBuf], source: &SourceArgs) -> Seen {
    let here = [PathBuf::from(".")];
    let asked = if paths.is_empty() { &here } else { paths };
    // The history around a file counts too.
    let mut roots: Vec<PathBuf> = asked.iter().map(|p| if p.is_dir() { p.clone() } else { folder(p) }).collect();
    roots.extend(source.config.clone());
    roots.extend(source.schema.clone());
    if let Ok(config) = load_config(paths, source) {
        roots.extend(config.origin.map(|o| o.path));
        roots.extend(config.schema.into_iter().chain(config.baseline).chain(config.statistics.path));
        roots.extend(config.workload.paths.into_iter().chain(config.rules.paths));
    } else if let Some(path) = crate::config::Config::find(&folder(&asked[0])) {
        roots.push(path);
    }
    let files = roots.iter().flat_map(|r| walkdir::WalkDir::new(r).into_iter().flatten()).filter(|e| e.file_type().is_file());
    files
        .filter_map(|e| {
            let m = e.metadata().ok()?;
            Some((e.into_path(), (m.modified().ok(), m.len())))
        })
        .collect()
}

fn folder(path: &Path) -> PathBuf {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf()
}
