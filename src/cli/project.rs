//! From paths and options to histories with a replayed catalog.

use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use rayon::prelude::*;

use crate::catalog::Catalog;
use crate::config::{self, Config};
use crate::history::{self, Execution, History, Migration, Script, Send};
use crate::op::{DmlKind, OpKind, PgVersion, Statement};
use crate::replay::{self, Expanded, InHistory, Later, ReplayedScript};
use crate::rules::{Rule, RuleSet};
use crate::shadow::dump::SchemaCopy;
use crate::source::SourceFile;

use super::{CliError, SourceArgs};

pub struct Project {
    pub config: Config,
    pub pg: PgVersion,
    pub histories: Vec<History>,
    /// Runs before everything, instead of the migrations before the file.
    pub schema: Option<Script>,
}

/// One migration that was asked for, on the schema before it: it can be judged without the others.
pub struct Pending<'p> {
    migration: &'p Migration,
    statements: Vec<Statement>,
    steps: Vec<replay::Step>,
    pub before: Catalog,
    later: Option<Later>,
    history: InHistory,
}

/// So many migrations are read, and replayed, before what was asked for is judged.
const AHEAD: usize = 64;

/// Whoever waits for the end of the history is let go whatever happens to who replays it.
#[derive(Default)]
struct Ending(Later);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.is(Catalog::default());
    }
}

impl Pending<'_> {
    pub fn judge(self) -> ReplayedScript {
        let (up, mut catalog) = (&self.migration.up, self.before);
        let mut script = replay::judge_followed(&up.source, self.statements, &up.execution, &mut catalog, self.steps);
        script.later = self.later;
        script.history = self.history;
        // The way back starts where the way forward ends, and leads nowhere else.
        let down = self.migration.down.as_ref();
        script.history.down = down.map(|d| Box::new(replay::judge(&d.source, lower(d), &d.execution, &mut catalog)));
        script
    }
}

impl Project {
    pub fn open(paths: &[PathBuf], args: &SourceArgs) -> Result<Project, CliError> {
        Self::open_with(paths, args, false)
    }

    /// `tolerant`: a file that cannot be read is a finding, and the others are checked.
    pub fn open_with(paths: &[PathBuf], args: &SourceArgs, tolerant: bool) -> Result<Project, CliError> {
        let stdin = if paths.iter().any(|p| p.as_os_str() == "-") { Some((args.stdin_filename.clone(), read_stdin()?)) } else { None };
        Self::open_from(paths, args, tolerant, stdin)
    }

    /// A file as an editor has it; what is around it is on the disk.
    pub fn of_text(path: &Path, text: String, args: &SourceArgs) -> Result<Project, CliError> {
        let named = SourceArgs { stdin_filename: Some(path.to_path_buf()), ..args.clone() };
        Self::open_from(&[PathBuf::from("-")], &named, true, Some((Some(path.to_path_buf()), text)))
    }

    fn open_from(
        paths: &[PathBuf],
        args: &SourceArgs,
        tolerant: bool,
        stdin: Option<(Option<PathBuf>, String)>,
    ) -> Result<Project, CliError> {
        let paths: Vec<PathBuf> = if paths.is_empty() { vec![PathBuf::from(".")] } else { paths.to_vec() };
        let named = args.stdin_filename.clone().into_iter().chain(paths.iter().cloned()).collect::<Vec<_>>();
        let config = load_config(&named, args)?;
        let framework = match &args.framework {
            Some(name) => Some((history::Framework::named(name).map_err(CliError::Usage)?, "--framework".to_string())),
            None => config.framework.map(|f| (f, config::FILE_NAME.to_string())),
        };
        let pg = args.pg_version.or(config.pg_version.map(PgVersion)).unwrap_or_default();
        if stdin.is_none() && args.stdin_filename.is_some() {
            return Err(CliError::Usage("--stdin-filename names what stands on standard input; give `-` as the path".into()));
        }
        let mut histories = history::discover(&paths, &history::Options { framework, stdin, tolerant })?;
        let settings: Vec<(String, String)> = config.settings.clone().into_iter().collect();
        for h in &mut histories {
            // With all of a history asked for, nobody knows which of it is pending.
            let pending = h.all_pending_in_one && h.selected.len() < h.migrations.len();
            for (i, m) in h.migrations.iter_mut().enumerate() {
                m.up.execution.settings.clone_from(&settings);
                m.up.execution.joins = pending && i > 0 && h.selected.contains(&i) && h.selected.contains(&(i - 1));
            }
        }
        let schema = match args.schema.as_ref().or(config.schema.as_ref()) {
            Some(path) => Some(Script::whole(SourceFile::new(path, history::read_sql(path)?), Execution::new(false, Send::Statement))),
            None => None,
        };
        Ok(Project { config, pg, histories, schema })
    }

    /// On the schema of a database, and of its version unless another one was asked for.
    pub fn on(mut self, copy: Option<&SchemaCopy>, args: &SourceArgs) -> Project {
        if let Some(copy) = copy {
            self.pg = args.pg_version.unwrap_or(copy.pg);
            self.schema = Some(copy.script.clone());
        }
        self
    }

    /// An empty catalog, or the one that `--schema` gives.
    fn start(&self) -> Catalog {
        let mut catalog = Catalog::new(self.pg);
        if let Some(s) = &self.schema {
            replay::apply(&lower(s), &s.execution, &mut catalog);
        }
        catalog
    }

    /// Replays every history once and judges what was asked for.
    pub fn judge(&self) -> Vec<ReplayedScript> {
        self.each(Pending::judge)
    }

    /// Hands over what was asked for, each on the schema before it, as soon as its history is replayed that far. What `f` makes of it comes back
    /// in order. One thread reads ahead, one replays, and all others are `f`'s: a history of tens of thousands of files is never held in all
    /// its schemas.
    pub fn each<'p, R: std::marker::Send>(&'p self, f: impl Fn(Pending<'p>) -> R + Sync) -> Vec<R> {
        let (read, lowered) = sync_channel(AHEAD);
        let (hand, pending) = sync_channel(AHEAD);
        let mut out: Vec<(usize, R)> = std::thread::scope(|threads| {
            threads.spawn(move || {
                let scripts = self.histories.iter().flat_map(|h| self.needed(h).map(move |i| &h.migrations[i].up));
                // Nobody takes them any more when the others have stopped.
                let _ = scripts.map(lower).try_for_each(|s| read.send(s));
            });
            threads.spawn(move || {
                let mut lowered = lowered.into_iter();
                let _ = self.histories.iter().try_for_each(|h| self.follow(h, &mut lowered, |p| hand.send(p).ok()));
            });
            pending.into_iter().enumerate().par_bridge().map(|(i, p)| (i, f(p))).collect()
        });
        out.sort_unstable_by_key(|(i, _)| *i);
        out.into_iter().map(|(_, r)| r).collect()
    }

    /// What must be replayed for what was asked for.
    fn needed<'p>(&'p self, h: &'p History) -> impl Iterator<Item = usize> + 'p {
        let last = h.selected.last().map_or(0, |i| i + 1);
        (0..last).filter(|i| self.schema.is_none() || h.selected.contains(i))
    }

    /// `None`: nobody takes what is handed over.
    fn follow<'p>(
        &'p self,
        h: &'p History,
        lowered: &mut dyn Iterator<Item = Vec<Statement>>,
        hand: impl Fn(Pending<'p>) -> Option<()>,
    ) -> Option<()> {
        let mut catalog = self.start();
        // What Supabase's own services make, and what code makes, is in no file.
        catalog.complete = h.framework != history::Framework::Supabase && !h.has_code;
        let git = history::git::changes(&h.root).map(|c| h.since(&c));
        let duplicates = h.same_versions();
        let down_expected = h.undoes_most();
        let end = Ending::default();
        // New columns that take the place of old ones, in migrations that the base does not have.
        let mut expanded: Vec<Expanded> = Vec::new();
        for (i, statements) in self.needed(h).zip(lowered) {
            let m = &h.migrations[i];
            catalog.now.migration = i as u32 + 1;
            let mut before = catalog.clone();
            let selected = h.selected.contains(&i);
            let mut steps = Vec::new();
            let unknown = if selected {
                steps = replay::steps(&statements, &m.up.execution, &mut catalog);
                replay::unknown_in(&steps)
            } else {
                replay::unknown_after(&statements, &m.up.execution, &mut catalog)
            };
            let since = git.as_ref().and_then(|g| g.get(i));
            let overtaken_by = since.and_then(|s| s.overtaken_by).map(|other| other.name.clone());
            // The runner got past it, so something that is in no file makes what it names.
            let ran = before.complete && i + 1 < h.migrations.len() && overtaken_by.is_none();
            let outside = unknown.clone().filter(|_| ran && selected);
            if outside.is_some() {
                before.complete = false;
                catalog = before.clone();
                steps = replay::steps(&statements, &m.up.execution, &mut catalog);
            }
            catalog.complete &= unknown.is_none() && m.up.source.problem().is_none();
            if selected {
                let is_new = since.is_some_and(|s| s.new);
                let history = InHistory {
                    down: None,
                    outside,
                    expanded: if is_new { expanded.clone() } else { Vec::new() },
                    down_expected,
                    duplicate: duplicates.get(&i).map(|other| other.name.clone()),
                    version: m.version.clone(),
                    overtaken_by,
                    edited: since.is_some_and(|s| s.edited),
                };
                if is_new
                    && statements
                        .iter()
                        .flat_map(|s| &s.ops)
                        .any(|o| matches!(&o.kind, OpKind::Dml(d) if matches!(d.kind, DmlKind::Update { .. })))
                {
                    let script = replay::judge(&m.up.source, statements.clone(), &m.up.execution, &mut before.clone());
                    let fills = crate::facts::expansions(&script).into_iter();
                    expanded.extend(fills.map(|(table, old, new)| Expanded { table, old, new, migration: m.name.clone() }));
                }
                // What a later migration makes good (a constraint that it validates) is no finding in an earlier one.
                let later = (h.selected.last() != Some(&i)).then(|| end.0.clone());
                hand(Pending { migration: m, statements, steps, before, later, history })?;
            }
        }
        end.0.is(catalog);
        Some(())
    }

    /// What runs before the migration: the dump, or the migrations before it.
    pub fn before(&self, history: &History, index: usize) -> Vec<Script> {
        match &self.schema {
            Some(s) => vec![s.clone()],
            None => history.before(index).cloned().collect(),
        }
    }

    /// The folder of the migrations, by which a shadow that stays is found again.
    pub fn folder(&self) -> Option<PathBuf> {
        let root = &self.histories.first()?.root;
        std::fs::canonicalize(if root.as_os_str().is_empty() { Path::new(".") } else { root }).ok()
    }

    /// The migrations around a file say what its schema is, and no dump does.
    pub fn has_no_schema(&self) -> bool {
        self.schema.is_none()
    }

    /// The catalog after everything.
    pub fn final_catalog(&self, history: &History, until: usize) -> Catalog {
        let mut catalog = self.start();
        if self.schema.is_none() {
            for (i, m) in history.migrations.iter().take(until).enumerate() {
                catalog.now.migration = i as u32 + 1;
                replay::apply(&lower(&m.up), &m.up.execution, &mut catalog);
            }
        }
        catalog
    }

    /// The built-in rules and the user's own.
    pub fn rules(&self) -> Result<RuleSet, CliError> {
        Self::rules_of(&self.config)
    }

    pub fn rules_of(config: &Config) -> Result<RuleSet, CliError> {
        let mut set = RuleSet::built_in().clone();
        for (path, text) in config::rule_files(&config.rules.paths)? {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let said = |error| CliError::Usage(format!("{}: {error}\n  `airlock rules --check {0}` shows all of it", path.display()));
            set = set.with(Rule::parse("own", &name, &text).map_err(said)?);
        }
        for (name, values) in &config.rules.options {
            let rule = with_options(&set, name, values).map_err(|m| config.invalid(name, m))?;
            set = set.with(rule);
        }
        Ok(set)
    }
}

/// A rule with other options. `Err`: what is wrong with its name or an option.
pub fn with_options(set: &RuleSet, name: &str, values: &toml::Table) -> Result<Rule, String> {
    match set.get(name) {
        Some(rule) => rule.with_options(values).map_err(|e| e.to_string()),
        None => {
            let near = set.suggest(name).map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
            Err(format!("no rule is called `{name}`{near}"))
        }
    }
}

fn read_stdin() -> Result<String, CliError> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).map_err(|e| CliError::Usage(format!("standard input cannot be read: {e}")))?;
    Ok(history::decode(std::path::Path::new(history::STDIN), bytes)?)
}

pub fn lower(script: &Script) -> Vec<Statement> {
    crate::lower::lower(&script.source, &script.parts)
}

pub fn load_config(paths: &[PathBuf], args: &SourceArgs) -> Result<Config, CliError> {
    if args.isolated {
        return Ok(Config::default());
    }
    if let Some(path) = &args.config {
        return Ok(Config::read(path)?);
    }
    let first = paths.first().map_or(Path::new("."), PathBuf::as_path);
    let folder = if first.is_dir() { first } else { first.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")) };
    match Config::find(folder) {
        Some(path) => Ok(Config::read(&path)?),
        None => Ok(Config::default()),
    }
}
