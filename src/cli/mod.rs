//! The command line: one file per command, each thin.

mod advance;
mod carry;
#[cfg(test)]
mod carry_test;
mod check;
mod effects;
mod fix;
mod history;
mod init;
mod inspect;
mod lsp;
mod manual;
mod narrow;
mod plan;
mod progress;
mod project;
mod proof;
pub(crate) mod rules;
mod screen;
mod settings;
mod shadow;
mod stats;
mod status;
mod trace;
mod verify;
mod watch;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::ConfigError;
use crate::diagnostic::Severity;
use crate::history::HistoryError;
use crate::op::PgVersion;
use crate::report::{Format, Style, plural};
use crate::rules::RuleError;
use crate::shadow::ShadowError;
use crate::shadow::dump::SchemaCopy;
use crate::shadow::statistics::Source;

/// Checks Postgres migrations, plans them as expand / migrate / contract, and proves the plan on a shadow database.
#[derive(Debug, Parser)]
#[command(name = "airlock", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// When to use colour.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,
    /// Findings only.
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Report what blocks the running system, breaks release N-1, or cannot be undone.
    Check(check::CheckArgs),
    /// Write today's findings into a file, so that `check` reports new ones only.
    Baseline(check::BaselineArgs),
    /// Print what each statement locks, rewrites, scans, builds and breaks.
    Effects(effects::EffectsArgs),
    /// Turn an unsafe migration into expand, migrate and contract, each step with its undo.
    Plan(plan::PlanArgs),
    /// Move the files of a plan's next phase into the migrations.
    Advance(advance::AdvanceArgs),
    /// List the plans: how far each is, since when, and what it waits for.
    Status(status::StatusArgs),
    /// Give a plan up: the undo of what was handed over, as next migrations.
    Abandon(advance::AbandonArgs),
    /// Prove a plan on a scratch Postgres.
    Verify(verify::VerifyArgs),
    /// Run migrations on a scratch Postgres, and print what each statement locked, rewrote, scanned and built, beside what was predicted.
    Trace(trace::TraceArgs),
    /// Keep a scratch Postgres with the schema of the migrations, to look inside; remove what killed runs left.
    Shadow(shadow::ShadowArgs),
    /// Explain a rule, or a check of a proof.
    Explain(rules::ExplainArgs),
    /// List the rules, or validate one of your own.
    Rules(rules::RulesArgs),
    /// Write sizes and rates of the tables of a database into a file that `check` reads.
    Stats(stats::StatsArgs),
    /// Print the facts about a migration that rules can ask for.
    Facts(inspect::FactsArgs),
    /// Print the migrations that are found, in order, and how each would be run.
    History(history::HistoryArgs),
    /// Print the schema after the migrations.
    Schema(inspect::SchemaArgs),
    /// Write a configuration for this project, and if asked the pre-commit hook and the workflow.
    Init(init::InitArgs),
    /// Print the JSON schema of airlock.toml.
    SchemaJson,
    /// Speak with an editor over standard input and output (Language Server Protocol).
    Lsp(lsp::LspArgs),
    /// Print a completion script for a shell.
    Completions(manual::CompletionsArgs),
    /// Write the manual pages into a folder.
    Man(manual::ManArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    Text,
    Json,
}

/// Where the schema and the settings come from.
#[derive(Debug, Clone, Args)]
pub struct SourceArgs {
    /// Configuration file, instead of the nearest `airlock.toml`.
    #[arg(long, value_name = "FILE", env = "AIRLOCK_CONFIG")]
    config: Option<PathBuf>,
    /// Read no configuration file.
    #[arg(long)]
    isolated: bool,
    /// Migration runner, instead of recognising it (`plain`: a folder of `.sql` files in natural order).
    #[arg(long, value_name = "NAME", env = "AIRLOCK_FRAMEWORK")]
    framework: Option<String>,
    /// What the SQL on standard input (the path `-`) is called; the migrations around that file are read for the schema.
    #[arg(long, value_name = "FILE")]
    stdin_filename: Option<PathBuf>,
    /// The schema before the migration: a `pg_dump --schema-only` or any SQL, instead of the migrations around the file.
    #[arg(long, value_name = "FILE", env = "AIRLOCK_SCHEMA")]
    schema: Option<PathBuf>,
    /// Major version of Postgres, 14 to 18.
    #[arg(long, value_name = "VERSION", env = "AIRLOCK_PG_VERSION")]
    pg_version: Option<PgVersion>,
}

/// A real database whose schema is the one before the migration.
#[derive(Debug, Clone, Default, Args)]
pub struct DatabaseArgs {
    /// The schema before the migration is that of this database: `pg_dump` of this machine copies it in a read-only session, and never a row.
    /// What the URL leaves out, the password too, comes from where `psql` looks.
    #[arg(long, value_name = "URL", conflicts_with = "schema")]
    database_url: Option<String>,
}

impl DatabaseArgs {
    /// Says first what it is about to do.
    fn copy(&self) -> Result<Option<SchemaCopy>, CliError> {
        let Some(url) = &self.database_url else { return Ok(None) };
        let source = Source::new(url)?;
        let _ = writeln!(
            io::stderr(),
            "Copying the schema of {} with pg_dump in a read-only session; no row of a table is read.",
            source.describe()
        );
        let copy = source.schema()?;
        for (kind, n) in &copy.left_out {
            let _ = writeln!(io::stderr(), "Not copied: {}.", plural(*n, kind));
        }
        Ok(Some(copy))
    }
}

/// What goes wrong outside of any SQL. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Rule(#[from] RuleError),
    #[error(transparent)]
    Shadow(#[from] ShadowError),
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    #[error("{0}")]
    Usage(String),
}

/// 0: nothing at or above the level that was asked for; 1: findings; 2: usage, configuration or internal error.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(code) => ExitCode::from(code),
        // A reader that went away is no failure.
        Err(CliError::Output(e)) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(e) => {
            let _ = writeln!(io::stderr(), "error: {e}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> Result<u8, CliError> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let style = style(cli);
    let code = match &cli.command {
        Command::Check(args) => check::run(args, style, &mut out)?,
        Command::Baseline(args) => check::write_baseline(args, &mut out)?,
        Command::Effects(args) => effects::run(args, &mut out)?,
        Command::Plan(args) => plan::run(args, &mut out)?,
        Command::Advance(args) => advance::advance(args, &mut out)?,
        Command::Status(args) => status::run(args, &mut out)?,
        Command::Abandon(args) => advance::abandon(args, &mut out)?,
        Command::Verify(args) => verify::run(args, &mut out)?,
        Command::Trace(args) => trace::run(args, &mut out)?,
        Command::Shadow(args) => shadow::run(args, &mut out)?,
        Command::Explain(args) => rules::explain(args, style, &mut out)?,
        Command::Rules(args) => rules::run(args, &mut out)?,
        Command::Stats(args) => stats::run(args, cli.quiet, &mut out)?,
        Command::Facts(args) => inspect::facts(args, &mut out)?,
        Command::History(args) => history::run(args, &mut out)?,
        Command::Schema(args) => inspect::schema(args, &mut out)?,
        Command::Lsp(args) => {
            // The session has the standard output for itself.
            drop(out);
            return lsp::run(args);
        }
        Command::Init(args) => init::run(args, &mut out)?,
        Command::SchemaJson => manual::schema(&mut out)?,
        Command::Completions(args) => manual::completions(args, &mut out)?,
        Command::Man(args) => manual::pages(args, &mut out)?,
    };
    out.flush()?;
    Ok(code)
}

/// Colour as the terminal, `NO_COLOR` and `CLICOLOR_FORCE` say.
fn style(cli: &Cli) -> Style {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty() && v != "0");
    let color = match cli.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if set("NO_COLOR") => false,
        Color::Auto => set("CLICOLOR_FORCE") || io::stdout().is_terminal(),
    };
    let width = screen::said().or_else(screen::width).unwrap_or(100).clamp(40, 160);
    let utf8 = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|n| std::env::var(n).ok().filter(|v| !v.is_empty()));
    let unicode = utf8.is_none_or(|v| v.to_lowercase().replace('-', "").contains("utf8"));
    Style { color, unicode, width, quiet: cli.quiet }
}

fn parse_format(name: &str) -> Result<Format, String> {
    use strum::IntoEnumIterator;
    name.parse().map_err(|_| {
        let names: Vec<String> = Format::iter().map(|f| f.to_string()).collect();
        format!("expected one of {}", names.join(", "))
    })
}

fn parse_severity(name: &str) -> Result<Severity, String> {
    name.parse().map_err(|_| "expected error, warning or advice".to_string())
}
