//! Finds migrations, orders them, tells up from down, and knows how the runner executes a file.
//!
//! `discover` takes the paths of the command line: a file brings the history around it along, a folder every history below it.

mod detect;
mod folders;
pub mod git;
mod journal;
mod liquibase;
mod names;
mod next;
mod ordered;
mod pieces;
mod read;
mod sections;
#[cfg(test)]
mod tests;
mod versions;
mod ways;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::source::{SourceFile, Span};

pub use names::natural;
pub use next::{Half, NewMigration, NextFiles, TakenOut, by_hand, compose, one_by_one, take_out};
pub use read::{decode, read_sql};
pub use versions::{date, days_between};
pub use write::{write_atomically, write_sql};

/// How the runner sends a script to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// The runner wraps the script in a transaction of its own.
    pub transaction: bool,
    pub send: Send,
    /// Settings the runner makes before the script (`lock_timeout` from the configuration, for instance).
    pub settings: Vec<(String, String)>,
    /// Parts of the file that travel as one simple query each (StatementBegin … StatementEnd of goose, a section of rambler). What
    /// lies outside of them is sent as `send` says.
    pub queries: Vec<Span>,
    /// Runs in the transaction of the migration before it: runners that put all pending files into one.
    pub joins: bool,
}

impl std::fmt::Display for Execution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match (self.send, self.transaction) {
            (Send::Statement, true) => "statement by statement, in a transaction",
            (Send::Statement, false) => "statement by statement, no transaction",
            (Send::Whole, true) => "as one query, in a transaction",
            (Send::Whole, false) if self.queries.is_empty() => "as one query: several statements are one transaction",
            (Send::Whole, false) => "part by part, each as one query",
            (Send::Pipeline, true) => "in one pipeline, in a transaction",
            (Send::Pipeline, false) => "in one pipeline: one transaction, until a statement commits by itself",
        })?;
        match (self.send, self.transaction, self.queries.len()) {
            (Send::Statement, false, n) if n > 0 => write!(f, "; {n} part{} of it as one query", if n == 1 { "" } else { "s" }),
            _ => Ok(()),
        }
    }
}

impl Execution {
    pub fn new(transaction: bool, send: Send) -> Self {
        Execution { transaction, send, settings: Vec::new(), queries: Vec::new(), joins: false }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "kebab-case")]
pub enum Send {
    /// Statement by statement.
    Statement,
    /// The whole script as one simple query: with more than one statement Postgres makes it one transaction.
    Whole,
    /// All statements in one extended-protocol pipeline: an implicit transaction too.
    Pipeline,
}

/// One direction of one migration: the parts of a file that run, in order.
#[derive(Debug, Clone)]
pub struct Script {
    pub source: SourceFile,
    /// Parts of the text that run; directives outside of them are the runner's.
    pub parts: Vec<Span>,
    pub execution: Execution,
}

impl Script {
    /// All of a file.
    pub fn whole(source: SourceFile, execution: Execution) -> Self {
        let parts = vec![source.full_span()];
        Script { source, parts, execution }
    }
}

/// Migration runners, by the names that `--framework` takes.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::IntoStaticStr,
    strum::VariantNames,
    serde::Deserialize,
)]
#[strum(serialize_all = "kebab-case")]
#[serde(rename_all = "kebab-case")]
pub enum Framework {
    /// A folder of `.sql` files in natural order, one transaction a file.
    Plain,
    Atlas,
    Bytebase,
    Dbmate,
    Diesel,
    Drizzle,
    Flyway,
    GolangMigrate,
    Goose,
    GraphileMigrate,
    Hasura,
    Liquibase,
    Morph,
    NodePgMigrate,
    Pgmigrate,
    Pop,
    Prisma,
    Rambler,
    Refinery,
    Sqitch,
    SqlMigrate,
    Sqlx,
    Supabase,
    Tern,
    Yoyo,
}

impl Framework {
    /// By its name; the error says which names there are.
    pub fn named(name: &str) -> Result<Framework, String> {
        use strum::VariantNames;
        name.parse().map_err(|_| {
            let near = Framework::VARIANTS.iter().max_by(|a, b| alike(a, name).total_cmp(&alike(b, name))).filter(|v| alike(v, name) > 0.6);
            let near = near.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
            format!("no framework is called `{name}`{near} Known: {}", Framework::VARIANTS.join(", "))
        })
    }
}

fn alike(a: &str, b: &str) -> f32 {
    similar::TextDiff::from_chars(a, b).ratio()
}

/// One version of the schema.
#[derive(Debug, Clone)]
pub struct Migration {
    /// As the runner calls it: `20240131`, `1.2`, a changeset's `author:id`.
    pub version: String,
    /// File or folder name without what tells up from down.
    pub name: String,
    pub up: Script,
    pub down: Option<Script>,
    /// What is to be known about how the runner takes this file: an opt-out that does not count, a mixture that it refuses.
    pub notes: Vec<String>,
}

impl Migration {
    pub(crate) fn new(version: impl Into<String>, name: impl Into<String>, up: Script, down: Option<Script>) -> Self {
        Migration { version: version.into(), name: name.into(), up, down, notes: Vec::new() }
    }
}

/// A folder of migrations.
#[derive(Debug, Clone)]
pub struct History {
    pub root: PathBuf,
    pub framework: Framework,
    /// By what it was recognised, in words.
    pub evidence: String,
    /// In the order in which the runner runs them.
    pub migrations: Vec<Migration>,
    /// The runner puts all files that are pending into one transaction.
    pub all_pending_in_one: bool,
    /// Indexes of the migrations that were asked for.
    pub selected: BTreeSet<usize>,
    /// Some versions are written in another language than SQL.
    pub has_code: bool,
    /// How an ambiguity was resolved, and what could not be read.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Instead of recognising it, and who says so (`--framework`, `airlock.toml`).
    pub framework: Option<(Framework, String)>,
    /// Text from standard input, which the path `-` means, and the name of the file that it is meant to be.
    pub stdin: Option<(Option<PathBuf>, String)>,
    /// A file that cannot be read is taken in with its problem (`SourceFile::problem`), so that the others are checked all the same.
    pub tolerant: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("{}: no such file or folder", .0.display())]
    NotFound(PathBuf),
    #[error("{}: cannot be read: {error}", path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("{}: cannot be written: {error}", path.display())]
    Unwritable { path: PathBuf, error: std::io::Error },
    #[error("{}: it changed while it was being checked; nothing was written, run it again", .0.display())]
    Changed(PathBuf),
    #[error("{}:{line}: byte {offset} is not UTF-8; convert the file (`iconv -t UTF-8`)", path.display())]
    NotUtf8 { path: PathBuf, line: usize, offset: usize },
    #[error("{}: no `.sql` file here or below", .0.display())]
    NoSql(PathBuf),
    #[error("{}: not a `.sql` file; give SQL migrations or a folder of them", .0.display())]
    NotSql(PathBuf),
    #[error("{}: not a migration that runs forward under `{framework}`{why}", path.display())]
    NotUp { path: PathBuf, framework: Framework, why: String },
}

/// How text without a name is called.
pub const STDIN: &str = "<stdin>";

/// The histories that the paths belong to; what was asked for is `selected` in them.
pub fn discover(paths: &[PathBuf], options: &Options) -> Result<Vec<History>, HistoryError> {
    // Root folder → files that were asked for; empty: all of them.
    let mut asked: BTreeMap<PathBuf, Option<BTreeSet<PathBuf>>> = BTreeMap::new();
    let mut alone = Vec::new();
    for path in paths {
        if let (true, Some((name, text))) = (path.as_os_str() == "-", &options.stdin) {
            match name {
                // The file as an editor has it: the history around it is on the disk.
                Some(n) if detect::root_of(n).as_os_str().is_empty() || detect::root_of(n).is_dir() => {
                    if let Some(files) = asked.entry(detect::root_of(n)).or_insert_with(|| Some(BTreeSet::new())) {
                        files.insert(n.clone());
                    }
                }
                _ => alone.push(History::of_text(name.as_deref().unwrap_or(Path::new(STDIN)), text.clone(), options)),
            }
            continue;
        }
        let meta = std::fs::metadata(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => HistoryError::NotFound(path.clone()),
            _ => HistoryError::Unreadable { path: path.clone(), error },
        })?;
        if meta.is_dir() {
            let mut any = false;
            for file in read::sql_files_below(path)? {
                any = true;
                let root = detect::root_of(&file);
                // A folder inside of a history asks for its files only.
                if root.starts_with(path) || same(&root, path) {
                    asked.insert(root, None);
                } else if let Some(files) = asked.entry(root).or_insert_with(|| Some(BTreeSet::new())) {
                    files.insert(file);
                }
            }
            if !any {
                return Err(HistoryError::NoSql(path.clone()));
            }
        } else {
            if !read::is_sql(path) {
                return Err(HistoryError::NotSql(path.clone()));
            }
            let root = detect::root_of(path);
            if let Some(files) = asked.entry(root).or_insert_with(|| Some(BTreeSet::new())) {
                files.insert(path.clone());
            }
        }
    }
    let mut found: Vec<History> = alone;
    for (root, files) in asked {
        let whole = files.is_none();
        let h = History::open(root, files, options)?;
        // A folder below another: its files may belong to the history above, or be no history at all.
        let above = found.iter().find(|a| h.root != a.root && (h.root.starts_with(&a.root) || a.root == Path::new(".")));
        let covered = above.is_some_and(|a| {
            let theirs = |m: &Migration| a.find(m.up.source.path()).is_some();
            (h.framework == a.framework || h.framework == Framework::Plain)
                && (h.migrations.iter().any(theirs) || a.framework != Framework::Plain)
        });
        if !(whole && covered) {
            found.push(h);
        }
    }
    Ok(found)
}

impl History {
    fn open(root: PathBuf, files: Option<BTreeSet<PathBuf>>, options: &Options) -> Result<History, HistoryError> {
        let mut notes = Vec::new();
        let instead = options.stdin.as_ref().and_then(|(n, t)| Some((n.clone()?, t.clone())));
        let folder = read::Folder::open(&root, instead, options.tolerant)?;
        let (framework, evidence) = match &options.framework {
            Some((f, who)) => (*f, who.clone()),
            None => detect::framework(&folder, &mut notes),
        };
        let mut migrations = folders::migrations(framework, &folder, &mut notes)?;
        folders::odd_versions(framework, &folder, &migrations, &mut notes);
        let mut selected: BTreeSet<usize> = (0..migrations.len()).collect();
        if let Some(files) = files {
            selected.clear();
            // By the path itself: asking of each file and each migration whether they are the same would ask the disk a million times for a
            // thousand files.
            let mut up: BTreeMap<PathBuf, Vec<usize>> = BTreeMap::new();
            let mut down: BTreeSet<PathBuf> = BTreeSet::new();
            for (i, m) in migrations.iter().enumerate() {
                up.entry(real(m.up.source.path())).or_default().push(i);
                down.extend(m.down.as_ref().map(|d| real(d.source.path())));
            }
            for file in files {
                if let Some(at) = up.get(&real(&file)) {
                    selected.extend(at);
                } else if down.contains(&real(&file)) {
                    notes.push(format!("{}: runs backward only, and is not checked", file.display()));
                } else {
                    // A file that the runner would not run: it is read as if it came last.
                    notes.push(format!("{}: not a name that `{framework}` runs; read as the last migration", file.display()));
                    let source = folder.source(&file)?;
                    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                    let up = Script::whole(source, ways::default_execution(framework));
                    selected.insert(migrations.len());
                    migrations.push(Migration::new(name.clone(), name, up, None));
                }
            }
        }
        if !folder.code.is_empty() {
            let s = if folder.code.len() == 1 { "file is" } else { "files are" };
            let first = folder.code.first().map(|p| p.display().to_string()).unwrap_or_default();
            notes.push(format!("{} {s} code and not read ({first} …)", folder.code.len()));
        }
        let all_pending_in_one = ways::all_pending_in_one(framework);
        Ok(History { root, framework, evidence, migrations, all_pending_in_one, selected, has_code: !folder.code.is_empty(), notes })
    }

    /// SQL that stands in no folder (standard input): its own BEGIN and COMMIT count, or the runner's way if one was named.
    pub fn of_text(name: &Path, text: String, options: &Options) -> History {
        let source = SourceFile::new(name, text);
        let (framework, evidence) = options.framework.clone().unwrap_or((Framework::Plain, "standard input".into()));
        let up = ways::of_text(framework, source);
        let title = name.file_stem().unwrap_or(name.as_os_str()).to_string_lossy().into_owned();
        let migration = Migration::new(title.clone(), title, up, None);
        History {
            root: name.parent().unwrap_or(Path::new("")).to_path_buf(),
            framework,
            evidence,
            migrations: vec![migration],
            all_pending_in_one: ways::all_pending_in_one(framework),
            selected: BTreeSet::from([0]),
            has_code: false,
            notes: Vec::new(),
        }
    }

    /// What runs before the migration, oldest first.
    pub fn before(&self, index: usize) -> impl Iterator<Item = &Script> {
        self.migrations.iter().take(index).map(|m| &m.up)
    }

    /// More than half of the migrations, and at least two, can be taken back.
    pub fn undoes_most(&self) -> bool {
        let with = self.migrations.iter().filter(|m| m.down.is_some()).count();
        with >= 2 && with * 2 > self.migrations.len()
    }

    /// With so many versions that occur twice, the runner evidently takes them.
    const TAKES_SAME_VERSIONS: usize = 3;

    /// For each migration that shares its version, where the runner keeps versions apart by nothing else: the first other one.
    pub fn same_versions(&self) -> BTreeMap<usize, &Migration> {
        use Framework as F;
        let by_version = matches!(
            self.framework,
            F::Dbmate | F::Diesel | F::Flyway | F::GolangMigrate | F::Goose | F::Pop | F::Rambler | F::Refinery | F::Sqlx | F::Tern
        );
        if !by_version {
            return BTreeMap::new();
        }
        // Diesel leaves the dashes of a date out, and what stands before them is no version.
        let key = |m: &Migration| match self.framework {
            F::Diesel => m.name.split('_').next().unwrap_or_default().replace('-', ""),
            _ => m.version.clone(),
        };
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (i, m) in self.migrations.iter().enumerate() {
            groups.entry(key(m)).or_default().push(i);
        }
        // Repeatable migrations have no version.
        let shared: Vec<Vec<usize>> =
            groups.into_iter().filter(|(version, of)| !version.is_empty() && of.len() > 1).map(|(_, of)| of).collect();
        // A slip is made once. A history that has gone on over several is run by something that keeps migrations apart by their names.
        if shared.len() >= Self::TAKES_SAME_VERSIONS {
            return BTreeMap::new();
        }
        let other = |of: &[usize], i: usize| if of[0] == i { of[1] } else { of[0] };
        shared.iter().flat_map(|of| of.iter().map(|i| (*i, &self.migrations[other(of, *i)]))).collect()
    }

    /// Which migrations the base (a branch, a commit) does not have, which it has with other SQL, and which are overtaken.
    pub fn since(&self, changes: &git::Changes) -> Vec<Since<'_>> {
        let paths: Vec<Option<PathBuf>> = self.migrations.iter().map(|m| std::fs::canonicalize(m.up.source.path()).ok()).collect();
        let is_new = |i: usize| paths[i].as_ref().is_some_and(|p| changes.new.contains(p));
        let mut out = Vec::with_capacity(paths.len());
        // The next one that the base has. Repeatable migrations come last and have no version.
        let mut old: Vec<usize> = Vec::new();
        for (i, m) in self.migrations.iter().enumerate().rev() {
            let overtaken = if is_new(i) { old.iter().rev().find(|o| self.migrations[**o].version != m.version) } else { None };
            let edited = !m.version.is_empty() && paths[i].as_ref().is_some_and(|p| changes.edited.contains(p));
            out.push(Since { new: is_new(i), edited, overtaken_by: overtaken.map(|o| &self.migrations[*o]) });
            if !m.version.is_empty() && !is_new(i) {
                old.push(i);
            }
        }
        out.reverse();
        out
    }

    /// Leaves only the migrations in these files asked for.
    pub fn narrow_to_files(&mut self, files: &BTreeSet<PathBuf>) {
        let is_in = |s: &Script| files.contains(&real(s.source.path()));
        let migrations = &self.migrations;
        self.selected.retain(|i| migrations.get(*i).is_some_and(|m| is_in(&m.up) || m.down.as_ref().is_some_and(&is_in)));
    }

    /// Leaves only the migrations after the version (or the name) asked for. `false`: there is none of that version.
    pub fn narrow_to_after(&mut self, version: &str) -> bool {
        let Some(at) = self.migrations.iter().rposition(|m| m.version == version || m.name == version) else { return false };
        self.selected.retain(|i| *i > at);
        true
    }

    /// The migration whose forward half stands in the file.
    pub fn find(&self, path: &Path) -> Option<usize> {
        self.migrations.iter().position(|m| same(m.up.source.path(), path))
    }
}

/// What a migration is to the base that it is compared with.
#[derive(Debug, Clone, Copy)]
pub struct Since<'h> {
    /// The base does not have it.
    pub new: bool,
    /// The base has it with other SQL.
    pub edited: bool,
    /// It is new, and this one, which the base has, comes after it.
    pub overtaken_by: Option<&'h Migration>,
}

fn same(a: &Path, b: &Path) -> bool {
    plain(a) == plain(b) || real(a) == real(b)
}

/// The path without links; a file that is not there keeps its own.
fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| plain(path))
}

fn plain(path: &Path) -> PathBuf {
    path.components().filter(|c| !matches!(c, std::path::Component::CurDir)).collect()
}
