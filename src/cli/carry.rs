//! Carries a plan over into the migrations of the user's runner, and writes down in `plan.toml` how far.
//!
//! A change of state is staged whole in the plan's folder and then put in place; whoever is interrupted in between finds it there and
//! goes on, and to put it in place twice is to do it once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::history::{self, Framework, Half, History, NewMigration, NextFiles, Script, write_atomically};
use crate::op::PgVersion;
use crate::plan::{self, Actor, Plan, Step};
use crate::replay;

use super::CliError;
use super::plan::relative;

const STAGE: &str = ".airlock-stage";

/// A plan on the disk.
pub struct Open {
    pub folder: PathBuf,
    /// As `plan.toml` has it.
    pub plan: Plan,
    /// With the SQL of its files: what people changed there is what runs.
    pub steps: Plan,
    /// The migration that it is made from.
    pub source: PathBuf,
}

/// What a step becomes.
pub enum Way {
    Migration(NewMigration),
    /// Why no runner runs it, and what is to be done.
    ByHand(String),
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Stage {
    /// Staged file → place, relative to the plan's folder or absolute.
    write: Vec<(String, String)>,
    remove: Vec<String>,
}

/// A change of state: new texts, and files that go.
#[derive(Default)]
pub struct Change {
    pub write: Vec<(PathBuf, String)>,
    pub remove: Vec<PathBuf>,
}

fn usage(path: &Path, e: impl std::fmt::Display) -> CliError {
    CliError::Usage(format!("{}: {e}", path.display()))
}

pub fn open(target: &Path) -> Result<Open, CliError> {
    let Some(file) = super::verify::plan_file(target) else {
        return Err(usage(target, "no plan here; give the folder of a plan (`airlock plan MIGRATION` makes one)"));
    };
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf();
    let folder = std::fs::canonicalize(&folder).map_err(|e| usage(&folder, e))?;
    resume(&folder)?;
    let file = folder.join("plan.toml");
    let text = std::fs::read_to_string(&file).map_err(|e| usage(&file, e))?;
    let plan = plan::read(&text).map_err(|e| usage(&file, e))?;
    let (steps, source) = super::verify::read(&file)?;
    let source = std::fs::canonicalize(&source).unwrap_or(source);
    Ok(Open { folder, plan, steps, source })
}

/// Puts in place what was staged.
fn resume(folder: &Path) -> Result<(), CliError> {
    let stage = folder.join(STAGE);
    let half = folder.join(format!("{STAGE}-new"));
    if half.exists() {
        std::fs::remove_dir_all(&half).map_err(|e| usage(&half, e))?;
    }
    let Ok(text) = std::fs::read_to_string(stage.join("stage.toml")) else {
        // Its list goes first, so what is left of it is in place.
        if stage.exists() {
            std::fs::remove_dir_all(&stage).map_err(|e| usage(&stage, e))?;
        }
        return Ok(());
    };
    let list: Stage = toml::from_str(&text).map_err(|e| usage(&stage, e))?;
    for (from, to) in &list.write {
        let (from, to) = (stage.join(from), folder.join(to));
        let bytes = std::fs::read(&from).map_err(|e| usage(&from, e))?;
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).map_err(|e| usage(parent, e))?;
        }
        write_atomically(&to, &bytes)?;
    }
    for name in &list.remove {
        let path = folder.join(name);
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(usage(&path, e)),
        }
        // A folder that held nothing else goes with it; one that holds something stays.
        let _ = path.parent().map(std::fs::remove_dir);
    }
    std::fs::remove_file(stage.join("stage.toml")).map_err(|e| usage(&stage, e))?;
    std::fs::remove_dir_all(&stage).map_err(|e| usage(&stage, e))
}

impl Open {
    /// A path as it is written into files of the plan.
    pub fn named(&self, path: &Path) -> String {
        relative(&self.folder, path).unwrap_or_else(|| path.display().to_string())
    }

    /// The change, and `plan.toml` with it, all or nothing.
    pub fn commit(&self, change: &Change, plan: &Plan) -> Result<(), CliError> {
        let new = self.folder.join(format!("{STAGE}-new"));
        std::fs::create_dir_all(&new).map_err(|e| usage(&new, e))?;
        let mut list = Stage::default();
        let rendered = plan::render(plan).map_err(|e| usage(&self.folder, e))?;
        let pages = rendered.into_iter().filter(|(n, _)| n == "plan.toml" || n == "PLAN.md").map(|(n, t)| (self.folder.join(n), t));
        for (i, (path, text)) in change.write.iter().cloned().chain(pages).enumerate() {
            std::fs::write(new.join(i.to_string()), text).map_err(|e| usage(&new, e))?;
            list.write.push((i.to_string(), self.named(&path)));
        }
        list.remove = change.remove.iter().map(|p| self.named(p)).collect();
        let text = toml::to_string(&list).map_err(|e| usage(&new, e))?;
        std::fs::write(new.join("stage.toml"), text).map_err(|e| usage(&new, e))?;
        std::fs::rename(&new, self.folder.join(STAGE)).map_err(|e| usage(&new, e))?;
        resume(&self.folder)
    }

    pub fn framework(&self) -> Result<Framework, CliError> {
        Framework::named(&self.plan.framework).map_err(CliError::Usage)
    }

    /// The history around a file of it, read as the runner of the plan reads it.
    pub fn history(&self, path: &Path) -> Result<History, CliError> {
        let options = history::Options { framework: Some((self.framework()?, "plan.toml".into())), ..history::Options::default() };
        let found = history::discover(&[path.to_path_buf()], &options)?;
        found.into_iter().next().ok_or_else(|| usage(path, "no migrations here"))
    }

    pub fn way(&self, step: &Step, undo: bool) -> Result<Way, CliError> {
        let file = if undo { &step.undo_file } else { &step.file };
        if step.actor == Actor::Application {
            return Ok(Way::ByHand(step.title.clone()));
        }
        let step = &plan::sent(step, &self.plan.options);
        let half = |statements: &[String], transaction| Half { statements: statements.to_vec(), transaction };
        let up = half(&step.statements, step.transaction);
        let back = (!step.undo.is_empty()).then(|| half(&step.undo, step.undo_transaction));
        let (words, title) = (step.id.replace('-', "_"), step.title.replace('`', ""));
        let m = match (undo, back) {
            (false, down) => NewMigration { name: format!("airlock_{words}"), title, up, down },
            (true, Some(back)) => {
                NewMigration { name: format!("airlock_undo_{words}"), title: format!("Undo: {title}"), up: back, down: Some(up) }
            }
            (true, None) => return Ok(Way::ByHand(format!("`{}` cannot be taken back", step.title))),
        };
        let reason = history::by_hand(self.framework()?, &m);
        Ok(match reason {
            Some(why) => Way::ByHand(format!("run {} with psql: {why}", self.folder.join(file).display())),
            None => Way::Migration(m),
        })
    }
}

/// Holds what is about to be written against what `history` makes of it, in a copy of the folder: the same order, halves and
/// transactions.
pub fn rehearse(open: &Open, history: &History, change: &Change, next: &NextFiles) -> Result<(), CliError> {
    if next.migrations.is_empty() {
        return Ok(());
    }
    let scratch = tempfile::tempdir().map_err(|e| usage(&history.root, e))?;
    // The last two names of the folder: some runners are told by them.
    let names: Vec<_> = history.root.components().rev().take(2).collect();
    let copy = names.iter().rev().fold(scratch.path().to_path_buf(), |p, c| p.join(c.as_os_str()));
    copy_tree(&history.root, &copy)?;
    let place = |path: &Path| path.strip_prefix(&history.root).map(|p| copy.join(p));
    for path in &change.remove {
        if let Ok(p) = place(path) {
            let _ = std::fs::remove_file(p);
        }
    }
    for (path, text) in &change.write {
        let Ok(p) = place(path) else { continue };
        std::fs::create_dir_all(p.parent().unwrap_or(&copy)).and_then(|()| std::fs::write(&p, text)).map_err(|e| usage(path, e))?;
    }
    // Asked for by a file, so that the root is found as it is for the real one.
    let first = next.migrations.first().and_then(|(p, _)| place(p).ok()).unwrap_or_else(|| copy.clone());
    let found = open.history(&first)?;
    let old: BTreeSet<&str> = history.migrations.iter().map(|m| m.name.as_str()).collect();
    let mut last = found.migrations.iter().rposition(|m| old.contains(m.name.as_str()) && !m.version.is_empty()).map_or(0, |i| i + 1);
    for (path, want) in &next.migrations {
        let wrong = |what: &str| {
            usage(
                path,
                format!(
                    "`airlock history` reads it as something else than it is meant to be ({what}); please report this, and run the plan's own files"
                ),
            )
        };
        let at = place(path).ok().and_then(|p| found.find(&p));
        let Some((at, m)) = at.and_then(|i| Some((i, found.migrations.get(i)?))) else { return Err(wrong("not a migration")) };
        if at < last {
            return Err(wrong("not behind the others"));
        }
        last = at + 1;
        same(&m.up, &want.up).map_err(|e| wrong(&e))?;
        if let (Some(d), Some(w)) = (&m.down, &want.down) {
            same(d, w).map_err(|e| wrong(&e))?;
        }
    }
    Ok(())
}

/// The script runs these statements, and in the same transactions.
pub fn same(script: &Script, want: &Half) -> Result<(), String> {
    let statements = crate::lower::lower(&script.source, &script.parts);
    let mut catalog = Catalog::new(PgVersion::default());
    catalog.complete = false;
    let judged = replay::judge(&script.source, statements, &script.execution, &mut catalog);
    let told = |words: &str| matches!(words, "BEGIN" | "COMMIT");
    let found: Vec<_> = judged.statements.iter().filter(|r| !told(r.statement.command)).collect();
    let texts: Vec<&str> = found.iter().map(|r| script.source.slice(r.statement.span).trim()).collect();
    if texts != want.statements.iter().map(|s| s.trim()).collect::<Vec<_>>() {
        return Err(format!("{} statements instead of {}: {texts:?}", texts.len(), want.statements.len()));
    }
    let atomic = found.windows(2).all(|w| w[0].transaction == w[1].transaction);
    match want.transaction {
        true if !atomic => Err("not in one transaction".into()),
        false if found.iter().any(|r| r.sent.in_transaction) => Err("in a transaction".into()),
        _ => Ok(()),
    }
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), CliError> {
    std::fs::create_dir_all(to).map_err(|e| usage(to, e))?;
    for entry in std::fs::read_dir(from).map_err(|e| usage(from, e))?.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            if name != "node_modules" && name != ".git" && name != "target" {
                copy_tree(&path, &to.join(name))?;
            }
        } else if path.is_file() {
            std::fs::copy(&path, to.join(name)).map_err(|e| usage(&path, e))?;
        }
    }
    Ok(())
}
