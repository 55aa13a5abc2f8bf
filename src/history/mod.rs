//! Finds migrations, orders them, tells up from down, and knows how the runner executes a file.
//!
//! `discover` takes the paths of the command line: a file brings the history around it along, a folder every history below it.

mod detect;
mod folders;
pub mod git;
mod liquibase;
mod names;
mod read;
mod sections;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::source::{SourceFile, Span};

pub use names::natural;
pub use read::read_sql;

/// How the runner sends a script to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// The runner wraps the script in a transaction of its own.
    pub transaction: bool,
    pub send: Send,
    /// Settings the runner makes before the script (`lock_timeout` from the configuration, for instance).
    pub settings: Vec<(String, String)>,
}

impl Execution {
    pub fn new(transaction: bool, send: Send) -> Self {
        Execution { transaction, send, settings: Vec::new() }
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

/// One version of the schema.
#[derive(Debug, Clone)]
pub struct Migration {
    /// As the runner calls it: `20240131`, `1.2`, a changeset's `author:id`.
    pub version: String,
    /// File or folder name without what tells up from down.
    pub name: String,
    pub up: Script,
    pub down: Option<Script>,
}

/// A folder of migrations.
#[derive(Debug, Clone)]
pub struct History {
    pub root: PathBuf,
    pub framework: Framework,
    /// In the order in which the runner runs them.
    pub migrations: Vec<Migration>,
    /// Indexes of the migrations that were asked for.
    pub selected: BTreeSet<usize>,
    /// Some versions are written in another language than SQL.
    pub has_code: bool,
    /// How an ambiguity was resolved, and what could not be read.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Instead of recognising it.
    pub framework: Option<Framework>,
}

#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("{}: no such file or folder", .0.display())]
    NotFound(PathBuf),
    #[error("{}: cannot be read: {error}", path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("{}:{line}: byte {offset} is not UTF-8; convert the file (`iconv -t UTF-8`)", path.display())]
    NotUtf8 { path: PathBuf, line: usize, offset: usize },
    #[error("{}: no `.sql` file here or below", .0.display())]
    NoSql(PathBuf),
    #[error("{}: not a `.sql` file; give SQL migrations or a folder of them", .0.display())]
    NotSql(PathBuf),
    #[error("{}: not a migration that runs forward under `{framework}`{why}", path.display())]
    NotUp { path: PathBuf, framework: Framework, why: String },
}

/// The histories that the paths belong to; what was asked for is `selected` in them.
pub fn discover(paths: &[PathBuf], options: &Options) -> Result<Vec<History>, HistoryError> {
    // Root folder → files that were asked for; empty: all of them.
    let mut asked: BTreeMap<PathBuf, Option<BTreeSet<PathBuf>>> = BTreeMap::new();
    for path in paths {
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
    asked.into_iter().map(|(root, files)| History::open(root, files, options)).collect()
}

impl History {
    fn open(root: PathBuf, files: Option<BTreeSet<PathBuf>>, options: &Options) -> Result<History, HistoryError> {
        let mut notes = Vec::new();
        let folder = read::Folder::open(&root)?;
        let framework = match options.framework {
            Some(f) => f,
            None => detect::framework(&folder, &mut notes),
        };
        let mut migrations = folders::migrations(framework, &folder, &mut notes)?;
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
                    let source = SourceFile::new(&file, read_sql(&file)?);
                    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                    let up = Script::whole(source, folders::default_execution(framework));
                    selected.insert(migrations.len());
                    migrations.push(Migration { version: name.clone(), name, up, down: None });
                }
            }
        }
        if !folder.code.is_empty() {
            let s = if folder.code.len() == 1 { "file is" } else { "files are" };
            let first = folder.code.first().map(|p| p.display().to_string()).unwrap_or_default();
            notes.push(format!("{} {s} code and not read ({first} …)", folder.code.len()));
        }
        Ok(History { root, framework, migrations, selected, has_code: !folder.code.is_empty(), notes })
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

    /// Another migration with the version of this one, where the runner keeps versions apart by nothing else.
    pub fn same_version(&self, index: usize) -> Option<&Migration> {
        use Framework as F;
        let by_version = matches!(
            self.framework,
            F::Dbmate | F::Diesel | F::Flyway | F::GolangMigrate | F::Goose | F::Pop | F::Rambler | F::Refinery | F::Sqlx | F::Tern
        );
        // Diesel leaves the dashes of a date out, and what stands before them is no version.
        let key = |m: &Migration| match self.framework {
            F::Diesel => m.name.split('_').next().unwrap_or_default().replace('-', ""),
            _ => m.version.clone(),
        };
        let version = key(self.migrations.get(index)?);
        let same = |(i, m): &(usize, &Migration)| *i != index && key(m) == version;
        // Repeatable migrations have no version.
        self.migrations.iter().enumerate().find(same).map(|(_, m)| m).filter(|_| by_version && !version.is_empty())
    }

    /// A migration that the base has and that comes after this one, which it has not.
    pub fn overtaken_by(&self, index: usize, changes: &git::Changes) -> Option<&Migration> {
        let is_new = |m: &Migration| std::fs::canonicalize(m.up.source.path()).is_ok_and(|p| changes.new.contains(&p));
        let this = self.migrations.get(index).filter(|m| is_new(m))?;
        // Repeatable migrations come last and have no version.
        self.migrations[index + 1..].iter().find(|m| !m.version.is_empty() && m.version != this.version && !is_new(m))
    }

    /// The base has the migration with other SQL.
    pub fn was_edited(&self, index: usize, changes: &git::Changes) -> bool {
        let path = self.migrations.get(index).and_then(|m| std::fs::canonicalize(m.up.source.path()).ok());
        // Repeatable migrations are meant to be edited.
        path.is_some_and(|p| changes.edited.contains(&p)) && self.migrations.get(index).is_some_and(|m| !m.version.is_empty())
    }

    /// The migration whose forward half stands in the file.
    pub fn find(&self, path: &Path) -> Option<usize> {
        self.migrations.iter().position(|m| same(m.up.source.path(), path))
    }
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
