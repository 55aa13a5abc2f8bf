//! `airlock completions`, `airlock man` and `airlock schema-json`: made from the definitions of the command line and of the configuration.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::config::Config;

use super::{Cli, CliError};

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Put the output where the shell looks for it: `airlock completions bash > /etc/bash_completion.d/airlock`.
    shell: Shell,
}

pub fn completions(args: &CompletionsArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "airlock", &mut text);
    out.write_all(&text)?;
    Ok(0)
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder, for instance `/usr/local/share/man/man1`.
    folder: PathBuf,
}

pub fn pages(args: &ManArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let failed = |e: std::io::Error| CliError::Usage(format!("{}: cannot be written: {e}", args.folder.display()));
    std::fs::create_dir_all(&args.folder).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), &args.folder).map_err(failed)?;
    writeln!(out, "{}: airlock.1 and a page for each command", args.folder.display())?;
    Ok(0)
}

/// For editors: `#:schema ./airlock.schema.json` in the first line of `airlock.toml`.
pub fn schema(out: &mut dyn Write) -> Result<u8, CliError> {
    serde_json::to_writer_pretty(&mut *out, &Config::json_schema()).map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(0)
}
