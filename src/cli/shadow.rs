//! `airlock shadow`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::history::Script;
use crate::report::plural;
use crate::shadow::kept::{self, Kept, Remote};
use crate::shadow::{Shadow, ShadowOptions, load};

use super::progress::Progress;
use super::project::Project;
use super::{CliError, DatabaseArgs, SourceArgs};

/// Refusals that are shown; the others are counted.
const SHOWN: usize = 10;

#[derive(Debug, Args)]
pub struct ShadowArgs {
    #[command(subcommand)]
    command: ShadowCommand,
}

#[derive(Debug, Subcommand)]
enum ShadowCommand {
    /// Load the migrations into a Postgres that stays until it is stopped. `verify` and `trace` then use that server too, and begin sooner.
    Start(StartArgs),
    /// Stop it; what is in it is gone.
    Stop(StopArgs),
    /// Print the URL of its database, for psql and other programs.
    Url(AtArgs),
    /// Remove what killed runs left: only what carries Airlock's mark, and what nobody uses.
    Clean(CleanArgs),
}

#[derive(Debug, Args)]
struct StartArgs {
    #[command(flatten)]
    at: AtArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    /// Run the migrations as a superuser: for statements that an ordinary role may not run, and that you trust.
    #[arg(long)]
    shadow_superuser: bool,
}

#[derive(Debug, Args)]
struct StopArgs {
    #[command(flatten)]
    at: AtArgs,
    /// Those of all projects on this machine.
    #[arg(long, conflicts_with = "shadow_url")]
    all: bool,
}

#[derive(Debug, Args)]
struct AtArgs {
    /// The migrations.
    #[arg(default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// Make the database on this server, and nothing else there, instead of starting one.
    #[arg(long, value_name = "URL", env = "AIRLOCK_SHADOW_URL", hide_env_values = true)]
    shadow_url: Option<String>,
}

#[derive(Debug, Args)]
struct CleanArgs {
    /// Look on this server as well; prepared databases that were not used in the last ten minutes go too.
    #[arg(long, value_name = "URL", env = "AIRLOCK_SHADOW_URL", hide_env_values = true)]
    shadow_url: Option<String>,
}

pub fn run(args: &ShadowArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    match &args.command {
        ShadowCommand::Start(a) => start(a, out),
        ShadowCommand::Stop(a) => stop(a, out),
        ShadowCommand::Url(a) => url(a, out),
        ShadowCommand::Clean(a) => clean(a, out),
    }
}

/// The project, the folder that it is known by, and the server that is to be used.
struct At {
    project: Project,
    folder: PathBuf,
    url: Option<String>,
}

impl At {
    fn open(args: &AtArgs) -> Result<At, CliError> {
        let project = Project::open(std::slice::from_ref(&args.path), &args.source)?;
        let folder = match project.folder() {
            Some(folder) => folder,
            None => std::fs::canonicalize(&args.path).map_err(|e| CliError::Usage(format!("{}: {e}", args.path.display())))?,
        };
        let url = args.shadow_url.clone().or(project.config.shadow.url.clone());
        Ok(At { project, folder, url })
    }

    /// What is running for the project on this machine.
    fn kept(&self) -> Result<Vec<Kept>, CliError> {
        Ok(kept::of(&self.folder)?)
    }

    fn scripts(&self) -> Vec<Script> {
        match (&self.project.schema, self.project.histories.first()) {
            (Some(s), _) => vec![s.clone()],
            (None, Some(h)) => h.migrations.iter().map(|m| m.up.clone()).collect(),
            (None, None) => Vec::new(),
        }
    }
}

/// 0: it is there; 1: it is there, and statements were refused.
fn start(args: &StartArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let copy = args.database.copy()?;
    let mut at = At::open(&args.at)?;
    at.project = at.project.on(copy.as_ref(), &args.at.source);
    let progress = Progress::new();
    progress.say("starting the server");
    let (pg, superuser) = (at.project.pg, args.shadow_superuser);
    let shadow = Shadow::start(&ShadowOptions { pg, superuser, url: at.url.clone(), ..ShadowOptions::default() })?;
    progress.say("loading the migrations");
    let db = shadow.database()?;
    let refused = load::load(&db, &at.scripts())?;
    // The new one is there before the old one goes.
    let before = (at.kept()?, at.url.as_deref().map(|u| others(u, &at.folder)).transpose()?);
    let address = shadow.stay(db, &at.folder)?;
    before.0.iter().filter(|k| at.url.is_none() && k.note.major == shadow.pg().0).try_for_each(kept::stop)?;
    if let Some((mut remote, names)) = before.1 {
        names.iter().try_for_each(|name| remote.drop_database(name))?;
    }
    progress.end();
    for f in refused.iter().take(SHOWN) {
        writeln!(out, "refused: {f}")?;
    }
    if refused.len() > SHOWN {
        writeln!(out, "… and {} more", refused.len() - SHOWN)?;
    }
    writeln!(out, "{}: Postgres {}, {} loaded\n{address}", at.folder.display(), shadow.version(), plural(at.scripts().len(), "file"))?;
    Ok(u8::from(!refused.is_empty()))
}

/// Databases on a server that stay for the project.
fn others(url: &str, folder: &Path) -> Result<(Remote, Vec<String>), CliError> {
    let mut remote = Remote::open(url)?;
    let names = remote.kept(folder)?.into_iter().map(|(name, _)| name).collect();
    Ok((remote, names))
}

fn stop(args: &StopArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let mut stopped = Vec::new();
    if args.all {
        for k in kept::all()? {
            kept::stop(&k)?;
            stopped.push(format!("{} (Postgres {})", k.note.project.display(), k.note.major));
        }
    } else {
        let at = At::open(&args.at)?;
        match &at.url {
            Some(url) => {
                let (mut remote, names) = others(url, &at.folder)?;
                for name in names {
                    remote.drop_database(&name)?;
                    stopped.push(format!("database {name}"));
                }
            }
            None => {
                for k in at.kept()? {
                    kept::stop(&k)?;
                    stopped.push(format!("{} (Postgres {})", k.note.project.display(), k.note.major));
                }
            }
        }
    }
    told(&stopped, "stopped", "nothing was running", out)
}

fn url(args: &AtArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let at = At::open(args)?;
    let urls: Vec<String> = match &at.url {
        Some(url) => Remote::open(url)?.kept(&at.folder)?.into_iter().map(|(_, url)| url).collect(),
        None => {
            // Of several versions the one that was asked for, or else the project's.
            let (all, pg) = (at.kept()?, at.project.pg.0);
            let exact = all.iter().find(|k| k.note.major == pg).or(all.first().filter(|_| args.source.pg_version.is_none()));
            exact.map(Kept::url).into_iter().collect()
        }
    };
    let Some(first) = urls.first() else {
        return Err(CliError::Usage(format!("no shadow is running for {}; `airlock shadow start` starts one", at.folder.display())));
    };
    writeln!(out, "{first}")?;
    Ok(0)
}

fn clean(args: &CleanArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let mut gone: Vec<String> = kept::sweep()?.iter().map(|d| d.display().to_string()).collect();
    if let Some(url) = &args.shadow_url {
        gone.extend(Remote::open(url)?.sweep().into_iter().map(|name| format!("database {name}")));
    }
    told(&gone, "removed", "nothing is left of killed runs", out)
}

fn told(what: &[String], done: &str, nothing: &str, out: &mut dyn Write) -> Result<u8, CliError> {
    if what.is_empty() {
        writeln!(out, "{nothing}")?;
    }
    what.iter().try_for_each(|w| writeln!(out, "{done}: {w}"))?;
    Ok(0)
}
