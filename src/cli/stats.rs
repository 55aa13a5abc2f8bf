//! `airlock stats`.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::config::{Config, FILE_NAME};
use crate::report::plural;
use crate::shadow::statistics::Source;

use super::CliError;

#[derive(Debug, Args)]
pub struct StatsArgs {
    /// The database, `postgres://user@host/database?sslmode=verify-full` or `service=NAME`. What it leaves out, the password too, comes from where `psql` looks.
    #[arg(long, value_name = "URL", env = "AIRLOCK_DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// The file to write; `[statistics] path` of airlock.toml, else the standard output, unless given.
    #[arg(long, short, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// Look twice, so many seconds apart, and make the rates of that; else of what the server counted since its last reset.
    #[arg(long, value_name = "SECONDS")]
    sample: Option<u64>,
}

pub fn run(args: &StatsArgs, quiet: bool, out: &mut dyn Write) -> Result<u8, CliError> {
    let source = Source::new(&args.database_url)?;
    if !quiet {
        let _ = writeln!(
            std::io::stderr(),
            "Reading sizes and counters of {} in a read-only session; no row of a table is read.",
            source.describe()
        );
    }
    let stats = source.read(args.sample.map(Duration::from_secs))?;
    let configured = || -> Result<Option<PathBuf>, CliError> {
        match Config::find(std::path::Path::new(".")) {
            Some(path) => Ok(Config::read(&path)?.statistics.path),
            None => Ok(None),
        }
    };
    let path = match &args.output_file {
        Some(p) => Some(p.clone()),
        None => configured()?,
    };
    let Some(path) = path else {
        out.write_all(stats.to_json().as_bytes())?;
        return Ok(0);
    };
    crate::history::write_atomically(&path, stats.to_json().as_bytes())?;
    writeln!(out, "{}: {}", path.display(), plural(stats.relations.len(), "relation"))?;
    if stats.window_seconds.is_none() {
        writeln!(out, "The server does not say since when it counts, so there are no rates; `--sample 60` makes some.")?;
    }
    if args.output_file.is_some() && !quiet {
        writeln!(out, "Use it with `--statistics-file {0}`, or `[statistics] path = \"{0}\"` in {FILE_NAME}.", path.display())?;
    }
    Ok(0)
}
