//! Migrations that come next in a history, as files of its runner: names, halves and directives are those that `ways`, `folders` and
//! `sections` read.

use std::path::{Path, PathBuf};

use super::folders::{base, stem};
use super::versions::Versions;
use super::{Framework, History, Send, journal, names, ways};

/// One direction of a migration that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Half {
    pub statements: Vec<String>,
    /// `true`: all statements in one transaction. `false`: each by itself, outside of one.
    pub transaction: bool,
}

#[derive(Debug, Clone)]
pub struct NewMigration {
    /// Words for the file name, joined by `_`.
    pub name: String,
    /// One line for people, at the top of the file.
    pub title: String,
    pub up: Half,
    pub down: Option<Half>,
}

/// What is to be written.
#[derive(Debug, Default, Clone)]
pub struct NextFiles {
    /// Path and whole text; files that were there stand here with their new text.
    pub files: Vec<(PathBuf, String)>,
    /// What the people have to do beside it, in words.
    pub afterwards: Vec<String>,
    /// Each migration with the file of its forward half, in the order in which they run.
    pub migrations: Vec<(PathBuf, NewMigration)>,
    /// For each that was asked for: the files that are its own.
    pub own: Vec<Vec<PathBuf>>,
}

/// Why the runner cannot run the migration; it must be run by hand then. `None`: it can.
pub fn by_hand(framework: Framework, m: &NewMigration) -> Option<String> {
    use Framework as F;
    if !m.up.transaction && matches!(framework, F::Refinery | F::Drizzle | F::NodePgMigrate | F::Hasura) {
        return Some(format!("{framework} runs every file in a transaction, and this must run outside of one"));
    }
    if framework == F::GraphileMigrate && !m.up.transaction && m.up.statements.len() > 1 {
        return Some("graphile-migrate takes one statement outside of a transaction, and one file at a time".into());
    }
    let template = match framework {
        F::Tern => "{{",
        F::Flyway | F::Liquibase => "${",
        _ => return None,
    };
    let halves = std::iter::once(&m.up).chain(&m.down);
    halves.flat_map(|h| &h.statements).any(|s| s.contains(template)).then(|| format!("{framework} would replace `{template}…` in its text"))
}

/// Runners that have no way back at all.
fn only_forward(framework: Framework) -> bool {
    use Framework as F;
    matches!(framework, F::Refinery | F::Pgmigrate | F::Prisma | F::Drizzle | F::GraphileMigrate | F::Atlas | F::Bytebase | F::Supabase)
}

/// The way back is written: some histories have none, and whoever runs all files of a folder must not find one.
fn takes_downs(h: &History) -> bool {
    use Framework as F;
    let any = h.migrations.iter().any(|m| m.down.is_some());
    match h.framework {
        F::Plain | F::Flyway => any,
        F::Sqlx => any || last_file(h).ends_with(".up.sql"),
        f => !only_forward(f),
    }
}

fn last_file(h: &History) -> String {
    h.migrations.last().map(|m| m.up.source.path().file_name().unwrap_or_default().to_string_lossy().into_owned()).unwrap_or_default()
}

/// The runner runs the step, but not its way back.
fn no_way_back(framework: Framework, m: &NewMigration) -> Option<String> {
    let apart = m.down.as_ref().is_some_and(|d| !d.transaction);
    (apart && matches!(framework, Framework::NodePgMigrate | Framework::Hasura)).then(|| {
        format!("the way back of `{}` must run outside of a transaction, which {framework} cannot: run its undo file by hand", m.name)
    })
}

/// How many migrations may wait together: a runner that puts all into one transaction gets them one by one, and so does one that
/// works on a single file.
pub fn one_by_one(framework: Framework) -> bool {
    ways::all_pending_in_one(framework) || framework == Framework::GraphileMigrate
}

/// The files of the next migrations, in order. `gone`: a migration that is being taken out. `changed`: files of the runner that have another text already, which goes along. `now`:
/// seconds since 1970. `Err`: why it cannot be done, with the next step.
pub fn compose(
    history: &History,
    gone: Option<usize>,
    new: &[NewMigration],
    changed: Vec<(PathBuf, String)>,
    now: u64,
) -> Result<NextFiles, String> {
    let mut rest = history.clone();
    if let Some(i) = gone.filter(|i| *i < rest.migrations.len()) {
        rest.migrations.remove(i);
    }
    // Its number is not given again, since a database of somebody may have it; but where none may be missing.
    let counted = if matches!(history.framework, Framework::Tern | Framework::Drizzle) { &rest } else { history };
    let out = NextFiles { files: changed, ..NextFiles::default() };
    let versions = Versions::after(counted, now);
    let mut w = Writer { h: &rest, versions, out, taken: Vec::new(), up: PathBuf::new() };
    for m in new {
        let mut m = m.clone();
        if !takes_downs(&rest) {
            m.down = None;
        }
        if let Some(words) = no_way_back(history.framework, &m) {
            w.out.afterwards.push(words);
            m.down = None;
        }
        w.out.own.push(Vec::new());
        for piece in pieces(history.framework, &m) {
            w.write(&piece, now)?;
            w.out.migrations.push((std::mem::take(&mut w.up), piece));
        }
    }
    w.afterwards(new);
    Ok(w.out)
}

/// A runner that sends a whole file as one query takes one statement a file where each must stand by itself.
fn pieces(framework: Framework, m: &NewMigration) -> Vec<NewMigration> {
    use Framework as F;
    let whole = matches!(ways::default_execution(framework).send, Send::Whole | Send::Pipeline) || framework == F::Liquibase;
    if !whole || matches!(framework, F::Rambler | F::Tern) {
        return vec![m.clone()];
    }
    let apart = |h: &Half| -> Vec<Half> {
        if h.transaction {
            return vec![h.clone()];
        }
        h.statements.iter().map(|s| Half { statements: vec![s.clone()], transaction: false }).collect()
    };
    let ups = apart(&m.up);
    // The way back goes from the last file to the first.
    let downs: Option<Vec<Half>> = m.down.as_ref().map(|d| apart(d).into_iter().rev().collect());
    let count = ups.len().max(downs.as_ref().map_or(0, Vec::len));
    let nothing = || Half { statements: vec!["SELECT 1".into()], transaction: true };
    (0..count)
        .map(|i| NewMigration {
            name: if count == 1 { m.name.clone() } else { format!("{}_part_{}", m.name, i + 1) },
            title: if count == 1 { m.title.clone() } else { format!("{} ({} of {count})", m.title, i + 1) },
            up: ups.get(i).cloned().unwrap_or_else(nothing),
            down: downs.as_ref().map(|d| d.get(i).cloned().unwrap_or_else(nothing)),
        })
        .collect()
}

struct Writer<'h> {
    h: &'h History,
    versions: Versions,
    out: NextFiles,
    /// Names that were given to files of this round.
    taken: Vec<String>,
    /// The file of the forward half that was written last.
    up: PathBuf,
}

/// The statements of a half, each with its semicolon; in a transaction of their own where the runner makes none.
fn body(half: &Half, by_runner: bool) -> String {
    let own = half.transaction && !by_runner && half.statements.len() > 1;
    let all: String = half.statements.iter().map(|s| format!("{s};\n")).collect();
    if own { format!("BEGIN;\n{all}COMMIT;\n") } else { all }
}

/// The same for goose and sql-migrate, which cut at the ends of lines unless a block is marked.
fn blocked(half: &Half, by_runner: bool, prefix: &str) -> String {
    let block = |text: String| format!("-- {prefix} StatementBegin\n{text}-- {prefix} StatementEnd\n");
    // Several statements of one block travel as one query, which is a transaction.
    if half.transaction && !by_runner && half.statements.len() > 1 {
        return block(half.statements.iter().map(|s| format!("{s};\n")).collect());
    }
    half.statements.iter().map(|s| if s.contains(';') { block(format!("{s};\n")) } else { format!("{s};\n") }).collect()
}

impl Writer<'_> {
    fn put(&mut self, name: impl AsRef<Path>, text: String) {
        let path = self.h.root.join(name);
        // The forward half is written first.
        if self.up.as_os_str().is_empty() {
            self.up.clone_from(&path);
        }
        if let Some(own) = self.out.own.last_mut() {
            own.push(path.clone());
        }
        self.out.files.push((path, text));
    }

    fn write(&mut self, m: &NewMigration, now: u64) -> Result<(), String> {
        use Framework as F;
        let framework = self.h.framework;
        let title = format!("-- {}\n", m.title.replace(['\n', '\r'], " "));
        let version = self.versions.take();
        let name = format!("{version}_{}", m.name);
        // Where one directive stands for both halves.
        let both = m.up.transaction && m.down.as_ref().is_none_or(|d| d.transaction);
        let down = |by_runner: bool| m.down.as_ref().map(|d| body(d, by_runner));
        match framework {
            F::Plain => {
                let text = |h: &Half| {
                    let head = if h.transaction { "" } else { "-- airlock:no-transaction\n" };
                    format!("{head}{title}{}", body(h, true))
                };
                let up = text(&m.up);
                let ending = self.plain_down();
                self.put(format!("{name}.sql"), up);
                if let (Some(d), Some(ending)) = (&m.down, ending) {
                    self.put(format!("{name}{ending}"), text(d));
                }
            }
            F::Atlas => {
                let head = if m.up.transaction { "" } else { "-- atlas:txmode none\n\n" };
                self.put(format!("{name}.sql"), format!("{head}{title}{}", body(&m.up, m.up.transaction)));
            }
            F::Bytebase => {
                let v = if last_file(self.h).starts_with(['v', 'V']) { &last_file(self.h)[..1] } else { "" };
                let head = if m.up.transaction { "" } else { "-- txn-mode = off\n" };
                self.put(format!("{v}{name}.sql"), format!("{head}{title}{}", body(&m.up, m.up.transaction)));
            }
            F::Supabase => self.put(format!("{name}.sql"), format!("{title}{}", body(&m.up, true))),
            F::Goose => {
                let head = if both { "" } else { "-- +goose NO TRANSACTION\n" };
                let back = m.down.as_ref().map_or(String::new(), |d| format!("\n-- +goose Down\n{}", blocked(d, both, "+goose")));
                self.put(format!("{name}.sql"), format!("{head}{title}-- +goose Up\n{}{back}", blocked(&m.up, both, "+goose")));
            }
            F::SqlMigrate => {
                let words = |h: &Half| if h.transaction { "" } else { " notransaction" };
                let half = |h: &Half| blocked(h, h.transaction, "+migrate");
                let back = m.down.as_ref().map_or(String::new(), |d| format!("\n-- +migrate Down{}\n{}", words(d), half(d)));
                self.put(format!("{name}.sql"), format!("{title}-- +migrate Up{}\n{}{back}", words(&m.up), half(&m.up)));
            }
            F::Dbmate => {
                let words = |h: &Half| if h.transaction { "" } else { " transaction:false" };
                let back = m.down.as_ref().map(|d| format!("{}\n{}", words(d), body(d, true))).unwrap_or_else(|| "\n".into());
                self.put(
                    format!("{name}.sql"),
                    format!("-- migrate:up{}\n{title}{}\n-- migrate:down{back}", words(&m.up), body(&m.up, true)),
                );
            }
            F::NodePgMigrate => {
                let back = down(true).map_or(String::new(), |d| format!("\n-- Down Migration\n{d}"));
                self.put(format!("{name}.sql"), format!("-- Up Migration\n{title}{}{back}", body(&m.up, true)));
            }
            F::Rambler => {
                // Each section is one query: several statements of one are a transaction.
                let sections = |h: &Half, word: &str| -> Vec<String> {
                    let each: Vec<String> =
                        if h.transaction { vec![body(h, true)] } else { h.statements.iter().map(|s| format!("{s};\n")).collect() };
                    each.into_iter().map(|s| format!("-- rambler {word}\n{s}\n")).collect()
                };
                // They are taken back from the last to the first.
                let back: String = m.down.as_ref().map(|d| sections(d, "down").into_iter().rev().collect()).unwrap_or_default();
                self.put(format!("{name}.sql"), format!("{title}{}{back}", sections(&m.up, "up").concat()));
            }
            F::Tern => {
                let head = if both { "" } else { "---- tern: disable-tx ----\n" };
                let back = down(both).map_or(String::new(), |d| format!("\n---- create above / drop below ----\n\n{d}"));
                self.put(format!("{name}.sql"), format!("{head}{title}{}{back}", body(&m.up, both)));
            }
            F::Flyway | F::Refinery | F::Pgmigrate => {
                let named = format!("{version}__{}", m.name);
                let alone = if framework == F::Pgmigrate && !m.up.transaction { "_NONTRANSACTIONAL" } else { "" };
                self.put(format!("V{named}{alone}.sql"), format!("{title}{}", body(&m.up, m.up.transaction)));
                let conf = |w: &mut Self, file: String| w.put(format!("{file}.conf"), "executeInTransaction=false\n".into());
                if framework == F::Flyway && !m.up.transaction {
                    conf(self, format!("V{named}.sql"));
                }
                if let Some(d) = m.down.as_ref().filter(|_| framework == F::Flyway) {
                    self.put(format!("U{named}.sql"), format!("{title}{}", body(d, d.transaction)));
                    if !d.transaction {
                        conf(self, format!("U{named}.sql"));
                    }
                }
            }
            F::GolangMigrate | F::Morph | F::Sqlx | F::Pop => self.suffixed(m, &name, &title),
            F::Diesel | F::Hasura => {
                self.put(format!("{name}/up.sql"), format!("{title}{}", body(&m.up, both)));
                if let Some(d) = down(both) {
                    self.put(format!("{name}/down.sql"), format!("{title}{d}"));
                }
                if framework == F::Diesel && !both {
                    self.put(format!("{name}/metadata.toml"), "run_in_transaction = false\n".into());
                }
            }
            // Its version may send statement by statement: the transaction is written out.
            F::Prisma => self.put(format!("{name}/migration.sql"), format!("{title}{}", body(&m.up, false))),
            F::Drizzle => self.drizzle(m, &version, &title, now)?,
            F::Sqitch => {
                let name = self.unused(&m.name);
                self.put(format!("deploy/{name}.sql"), format!("{title}{}", body(&m.up, false)));
                if let Some(d) = down(false) {
                    self.put(format!("revert/{name}.sql"), format!("{title}{d}"));
                }
                let path = self.h.root.join("sqitch.plan");
                let plan = self.text_of(&path)?;
                self.replace(path, journal::sqitch_with(&plan, &name, &m.title, now));
            }
            F::GraphileMigrate => {
                let path = self.h.root.join("current.sql");
                let now = self.text_of(&path).unwrap_or_default();
                if self.h.root.join("current").is_dir() || now.lines().any(|l| !l.trim().is_empty() && !l.trim_start().starts_with("--")) {
                    return Err(format!("{}: something is being worked on; commit it first (`graphile-migrate commit`)", path.display()));
                }
                let head = if m.up.transaction { "" } else { "--! no-transaction\n" };
                self.out.files.retain(|(p, _)| *p != path);
                self.put("current.sql", format!("{head}{title}{}", body(&m.up, m.up.transaction)));
            }
            F::Yoyo => {
                let before = self.taken.last().cloned().or_else(|| self.h.migrations.last().map(|m| m.name.clone()));
                let depends = before.map_or(String::new(), |b| format!("-- depends: {b}\n"));
                let head = if both { "" } else { "\n-- transactional: false\n" };
                self.put(format!("{name}.sql"), format!("{title}{depends}{head}\n{}", body(&m.up, both)));
                if let Some(d) = down(both) {
                    self.put(format!("{name}.rollback.sql"), format!("{title}{head}\n{d}"));
                }
                self.taken.push(name);
            }
            F::Liquibase => {
                let alone = if both { "" } else { " runInTransaction:false" };
                let back = down(both).map_or(String::new(), |d| format!("/* liquibase rollback\n{d}*/\n"));
                if m.down.iter().flat_map(|d| &d.statements).any(|s| s.contains("*/")) {
                    return Err(format!(
                        "`{}`: its way back holds a comment, which a rollback block of Liquibase cannot; run this step by hand",
                        m.title
                    ));
                }
                self.put(
                    format!("{name}.sql"),
                    format!("--liquibase formatted sql\n\n--changeset airlock:{name} splitStatements:false rollbackSplitStatements:false{alone}\n{title}{}{back}", body(&m.up, both)),
                );
            }
        }
        Ok(())
    }

    /// `1_x.up.sql` and `1_x.down.sql`; sqlx has a way without halves too.
    fn suffixed(&mut self, m: &NewMigration, name: &str, title: &str) {
        let framework = self.h.framework;
        let text = |h: &Half| {
            let head = match (framework, h.transaction) {
                (Framework::Sqlx, false) => "-- no-transaction\n",
                (Framework::Morph, false) => "-- morph:nontransactional\n",
                _ => "",
            };
            // golang-migrate makes no transaction, and may be told to split the file.
            format!("{head}{title}{}", body(h, framework != Framework::GolangMigrate))
        };
        let last = last_file(self.h);
        if framework == Framework::Sqlx && !takes_downs(self.h) {
            self.put(format!("{name}.sql"), text(&m.up));
            return;
        }
        let dialect = if last.contains(".postgres.") { ".postgres" } else { "" };
        let ending = |h: &Half, way: &str| {
            let alone = if framework == Framework::Pop && !h.transaction { ".autocommit" } else { "" };
            format!("{name}{dialect}{alone}.{way}.sql")
        };
        self.put(ending(&m.up, "up"), text(&m.up));
        if let Some(d) = &m.down {
            self.put(ending(d, "down"), text(d));
        }
    }

    fn drizzle(&mut self, m: &NewMigration, version: &str, title: &str, now: u64) -> Result<(), String> {
        let text = format!(
            "{title}{}",
            m.up.statements.iter().map(|s| format!("{s};")).collect::<Vec<_>>().join("--> statement-breakpoint\n") + "\n"
        );
        let path = self.h.root.join("meta/_journal.json");
        let name = format!("{version}_{}", m.name);
        if !path.is_file() {
            self.put(format!("{name}/migration.sql"), text);
            return Ok(());
        }
        let journal = self.text_of(&path)?;
        let journal = journal::drizzle_with(&journal, &name, now * 1000).map_err(|e| format!("{}: {e}", path.display()))?;
        self.put(format!("{name}.sql"), text);
        self.replace(path, journal);
        Ok(())
    }

    /// What a file says, this round's changes included.
    fn text_of(&self, path: &Path) -> Result<String, String> {
        if let Some((_, text)) = self.out.files.iter().find(|(p, _)| p == path) {
            return Ok(text.clone());
        }
        std::fs::read_to_string(path).map_err(|e| format!("{}: cannot be read: {e}", path.display()))
    }

    fn replace(&mut self, path: PathBuf, text: String) {
        self.out.files.retain(|(p, _)| *p != path);
        self.out.files.push((path, text));
    }

    /// A name that the history does not have.
    fn unused(&mut self, name: &str) -> String {
        let used = |n: &str| self.taken.iter().any(|t| t == n) || self.h.migrations.iter().any(|m| m.name == n);
        let free = std::iter::once(name.to_string()).chain((2..).map(|i| format!("{name}_{i}"))).find(|n| !used(n)).unwrap_or_default();
        self.taken.push(free.clone());
        free
    }

    /// How people name the way back in a plain folder; `None`: it has none, and whoever runs all of it must not find one.
    fn plain_down(&self) -> Option<&'static str> {
        let downs = self.h.migrations.iter().filter_map(|m| m.down.as_ref());
        let names: Vec<String> = downs.map(|d| d.source.path().to_string_lossy().into_owned()).collect();
        ways::PLAIN_DOWN.iter().copied().find(|e| names.iter().any(|n| n.ends_with(e)))
    }

    fn afterwards(&mut self, new: &[NewMigration]) {
        use Framework as F;
        let root = self.h.root.display();
        let list = &mut self.out.afterwards;
        match self.h.framework {
            F::Atlas => list.push(format!("`atlas migrate hash --dir file://{root}`: {root}/atlas.sum must follow")),
            F::Drizzle => list.push("the snapshots of drizzle-kit do not know these files: generate release N's snapshot with `drizzle-kit generate`, and empty its SQL".into()),
            F::Liquibase => {
                let names: Vec<String> = self.out.files.iter().map(|(p, _)| p.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect();
                list.push(format!("name the new files in the master changelog, in this order, unless it has includeAll: {}", names.join(", ")));
            }
            F::GraphileMigrate => list.push("`graphile-migrate commit`, then `airlock advance` again for the next one".into()),
            F::Diesel => list.push("`diesel print-schema` once they have run".into()),
            F::Dbmate => list.push("dbmate writes db/schema.sql anew when they run: commit it with them".into()),
            _ => {}
        }
        if only_forward(self.h.framework) && new.iter().any(|m| m.down.is_some()) {
            list.push(format!("{} runs no way back: to go back, use `airlock abandon`, or the undo files of the plan", self.h.framework));
        }
    }
}

/// Takes a migration out of the order of its runner: files that go, and files that get another text.
#[derive(Debug, Default)]
pub struct TakenOut {
    pub gone: Vec<PathBuf>,
    pub changed: Vec<(PathBuf, String)>,
}

/// `Err`: why it cannot be done, with the next step.
pub fn take_out(history: &History, index: usize) -> Result<TakenOut, String> {
    use Framework as F;
    let Some(m) = history.migrations.get(index) else { return Ok(TakenOut::default()) };
    let up = m.up.source.path().to_path_buf();
    let sharing = history.migrations.iter().filter(|o| o.up.source.path() == up).count();
    if sharing > 1 {
        return Err(format!("{}: it holds {sharing} migrations; take `{}` out of it by hand, and run this again", up.display(), m.name));
    }
    let mut out = TakenOut { gone: vec![up.clone()], changed: Vec::new() };
    out.gone.extend(m.down.as_ref().map(|d| d.source.path().to_path_buf()).filter(|p| *p != up));
    let mut text_of = |name: &str, change: &dyn Fn(&str) -> Result<String, String>| -> Result<(), String> {
        let path = history.root.join(name);
        let Ok(text) = std::fs::read_to_string(&path) else { return Ok(()) };
        let text = change(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        out.changed.push((path, text));
        Ok(())
    };
    match history.framework {
        F::Sqitch => text_of("sqitch.plan", &|t| Ok(journal::sqitch_without(t, &m.name)))?,
        F::Drizzle => text_of("meta/_journal.json", &|t| journal::drizzle_without(t, &m.name))?,
        _ => {}
    }
    // What stands beside it says how it is to be run, or what the schema is behind it.
    let mut beside = vec![up.with_file_name(format!("{}.conf", up.file_name().unwrap_or_default().to_string_lossy()))];
    if matches!(history.framework, F::Diesel | F::Hasura | F::Prisma) || up.ends_with("migration.sql") {
        beside.extend(["metadata.toml", "snapshot.json"].map(|n| up.with_file_name(n)));
    }
    if history.framework == F::Drizzle {
        let number = names::numbered(&format!("{}.sql", stem(base(&m.name)))).map(|(n, _)| n.to_string()).unwrap_or_default();
        beside.push(history.root.join(format!("meta/{number}_snapshot.json")));
    }
    out.gone.extend(beside.into_iter().filter(|p| p.is_file()));
    Ok(out)
}
