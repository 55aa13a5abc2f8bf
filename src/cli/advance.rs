//! `airlock advance` and `airlock abandon`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use strum::IntoEnumIterator;

use crate::history::{self, History};
use crate::plan::{Carried, PhaseKind, Plan, Progress, Step};
use crate::report::plural;
use crate::shadow::ask::Asked;

use super::CliError;
use super::carry::{self, Change, Open, Way};

#[derive(Debug, Args)]
pub struct AdvanceArgs {
    /// A plan: its folder, or its plan.toml.
    plan: PathBuf,
    /// Go on until the files of this phase are in. The contract phases must be named: release N-1 is gone then.
    #[arg(long, value_name = "PHASE")]
    to: Option<Until>,
    /// What the last call left to be run has run.
    #[arg(long)]
    done: bool,
    /// Check the preconditions in this database, in a read-only session, and change nothing if one does not hold.
    #[arg(long, value_name = "URL", env = "AIRLOCK_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
}

#[derive(Debug, Args)]
pub struct AbandonArgs {
    /// A plan: its folder, or its plan.toml.
    plan: PathBuf,
    /// What the last call left to be run has run.
    #[arg(long)]
    done: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Until {
    Expand,
    Migrate,
    ContractSoft,
    ContractHard,
}

impl From<Until> for PhaseKind {
    fn from(u: Until) -> Self {
        match u {
            Until::Expand => PhaseKind::Expand,
            Until::Migrate => PhaseKind::Migrate,
            Until::ContractSoft => PhaseKind::ContractSoft,
            Until::ContractHard => PhaseKind::ContractHard,
        }
    }
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// The phase whose steps are not all handed over.
pub fn next_phase(plan: &Plan) -> Option<PhaseKind> {
    let carried = |s: &Step| plan.progress.as_ref().is_some_and(|p| p.steps.iter().any(|c| c.step == s.id && !c.undo));
    plan.phases.iter().find(|p| p.steps.iter().any(|s| !carried(s))).map(|p| p.kind)
}

pub fn advance(args: &AdvanceArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let open = carry::open(&args.plan)?;
    let mut progress = open.plan.progress.clone().unwrap_or_default();
    if let Some(on) = &progress.abandoned {
        return Err(CliError::Usage(format!("{}: the plan was abandoned on {on}; make it again with `airlock plan`", args.plan.display())));
    }
    if !waited(&open, &mut progress, args.done, out)? {
        return Ok(0);
    }
    let Some(next) = next_phase(&Plan { progress: Some(progress.clone()), ..open.plan.clone() }) else {
        save_done(&open, progress)?;
        writeln!(out, "All of the plan is handed over. When its last files have run, the folder {} may go.", args.plan.display())?;
        return Ok(0);
    };
    let until = args.to.map_or(next, PhaseKind::from);
    if until < next {
        save_done(&open, progress)?;
        writeln!(out, "The files of {until} are in already; what comes next is {next}.")?;
        return Ok(0);
    }
    if args.to.is_none() && next >= PhaseKind::ContractSoft {
        save_done(&open, progress)?;
        let word = next.to_string();
        writeln!(
            out,
            "What comes next is {next}. No server of release N-1 may run any more: `airlock advance {} --to {}` says so.",
            args.plan.display(),
            word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-')
        )?;
        return Ok(0);
    }
    let wanted: Vec<(PhaseKind, &Step)> = PhaseKind::iter()
        .take_while(|k| *k <= until)
        .flat_map(|k| open.steps.phases.iter().filter(move |p| p.kind == k).flat_map(move |p| p.steps.iter().map(move |s| (k, s))))
        .filter(|(_, s)| !progress.steps.iter().any(|c| c.step == s.id))
        .collect();
    let batch = Batch::gather(&open, &wanted, false)?;
    if !preconditions(&batch, args.database_url.as_deref(), out)? {
        return Ok(1);
    }
    let home = Home::of(&open, &progress)?;
    let taken = home.take_original_out(&open, &mut progress)?;
    hand_over(&open, &home, &batch, progress, taken, out)
}

pub fn abandon(args: &AbandonArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let open = carry::open(&args.plan)?;
    let mut progress = open.plan.progress.clone().unwrap_or_default();
    if let Some(on) = &progress.abandoned
        && !progress.steps.iter().any(|c| c.waits)
    {
        writeln!(out, "The plan was abandoned on {on}: there is nothing left to do.")?;
        return Ok(0);
    }
    // Nothing has become of the plan: the migration stands where it stood.
    let undoing = progress.steps.iter().any(|c| c.undo);
    // A step that was left to be run by hand may not have run; its way back must bear that or be skipped by the one who runs it.
    if undoing {
        if !waited(&open, &mut progress, args.done, out)? {
            return Ok(0);
        }
    } else {
        progress.steps.iter_mut().for_each(|c| c.waits = false);
    }
    let undone = |id: &str| progress.steps.iter().any(|c| c.undo && c.step == id);
    let back: Vec<(PhaseKind, &Step)> = progress
        .steps
        .iter()
        .rev()
        .filter(|c| !c.undo && !undone(&c.step))
        .filter_map(|c| {
            let steps = open.steps.phases.iter().filter(|p| p.kind == c.phase).flat_map(|p| &p.steps);
            Some((c.phase, steps.into_iter().find(|s| s.id == c.step)?))
        })
        .collect();
    if let Some((_, s)) = back.iter().find(|(_, s)| s.one_way.is_some()) {
        return Err(CliError::Usage(format!(
            "{}: the step `{}` cannot be taken back ({}); only a backup can",
            args.plan.display(),
            s.title,
            s.one_way.clone().unwrap_or_default()
        )));
    }
    for (_, s) in back.iter().filter(|(_, s)| s.undo_verdict != crate::compat::Undo::Lossless) {
        writeln!(out, "Beware: to take `{}` back may lose or refuse what release N has written ({}).", s.title, s.undo_verdict)?;
    }
    let batch = Batch::gather(&open, &back, true)?;
    if batch.steps.len() == back.len() {
        progress.abandoned = Some(history::date(now()));
    }
    if open.plan.progress.is_none() {
        let plan = Plan { progress: Some(progress), ..open.plan.clone() };
        open.commit(&Change::default(), &plan)?;
        writeln!(out, "The plan is abandoned. None of it was handed over, so there is nothing to take back.")?;
        return Ok(0);
    }
    let home = Home::of(&open, &progress)?;
    hand_over(&open, &home, &batch, progress, Taken::default(), out)
}

/// What was left to be run must have run. `false`: it was said again, and nothing else happens.
fn waited(open: &Open, progress: &mut Progress, done: bool, out: &mut dyn Write) -> Result<bool, CliError> {
    if done {
        progress.steps.iter_mut().for_each(|c| c.waits = false);
        return Ok(true);
    }
    let Some(c) = progress.steps.iter().find(|c| c.waits) else { return Ok(true) };
    let step = open.steps.phases.iter().flat_map(|p| &p.steps).find(|s| s.id == c.step);
    if c.files.is_empty() {
        let words = match step.map(|s| open.way(s, c.undo)).transpose()? {
            Some(Way::ByHand(words)) => words,
            _ => c.step.clone(),
        };
        writeln!(out, "Waiting for: {words}")?;
    } else {
        writeln!(out, "Waiting for: {} must run before anything follows", c.files.join(", "))?;
    }
    writeln!(out, "When that is done, run this again with --done.")?;
    Ok(false)
}

fn save_done(open: &Open, progress: Progress) -> Result<(), CliError> {
    if open.plan.progress.as_ref().is_some_and(|p| *p != progress) {
        open.commit(&Change::default(), &Plan { progress: Some(progress), ..open.plan.clone() })?;
    }
    Ok(())
}

/// The steps that can be handed over at once.
struct Batch<'p> {
    steps: Vec<(PhaseKind, &'p Step, Way)>,
    undo: bool,
}

impl<'p> Batch<'p> {
    /// Up to the first one that no runner runs, which must have run before anything follows.
    fn gather(open: &Open, wanted: &[(PhaseKind, &'p Step)], undo: bool) -> Result<Batch<'p>, CliError> {
        let mut steps = Vec::new();
        for (kind, step) in wanted {
            let way = open.way(step, undo)?;
            let stop = matches!(way, Way::ByHand(_));
            steps.push((*kind, *step, way));
            if stop || one_by_one(open)? {
                break;
            }
        }
        Ok(Batch { steps, undo })
    }
}

fn one_by_one(open: &Open) -> Result<bool, CliError> {
    Ok(history::one_by_one(open.framework()?))
}

/// Where the migrations are.
struct Home {
    history: History,
    /// The migration that is planned, where it still stands in them.
    original: Option<usize>,
}

impl Home {
    fn of(open: &Open, progress: &Progress) -> Result<Home, CliError> {
        if progress.migrations.is_empty() {
            let history = open.history(&open.source)?;
            let original = history.find(&open.source);
            return Ok(Home { history, original });
        }
        let root = open.folder.join(&progress.migrations);
        let root = std::fs::canonicalize(&root)
            .map_err(|e| CliError::Usage(format!("{}: the migrations of the plan are not there: {e}", root.display())))?;
        // A folder that holds no file yet or any more is found by what stands in `plan.toml`.
        let files = progress.steps.iter().rev().flat_map(|c| &c.files).map(|f| root.join(f));
        let known = files.into_iter().find(|f| f.is_file() && f.extension().is_some_and(|e| e == "sql")).unwrap_or(root);
        Ok(Home { history: open.history(&known)?, original: None })
    }

    /// The unsafe migration must not run beside the plan: it moves into the plan's folder.
    fn take_original_out(&self, open: &Open, progress: &mut Progress) -> Result<Taken, CliError> {
        if !progress.migrations.is_empty() {
            return Ok(Taken::default());
        }
        let Some(index) = self.original else {
            return Err(CliError::Usage(format!("{}: not one of the migrations around it", open.source.display())));
        };
        let root = &self.history.root;
        let out = history::take_out(&self.history, index).map_err(CliError::Usage)?;
        progress.migrations = open.named(root);
        progress.original = below(root, &open.source);
        let mut kept = Vec::new();
        for path in &out.gone {
            let text = std::fs::read_to_string(path).map_err(|e| CliError::Usage(format!("{}: {e}", path.display())))?;
            kept.push((open.folder.join("original").join(below(root, path)), text));
        }
        Ok(Taken { gone: out.gone, changed: out.changed, kept })
    }
}

/// The migration that is planned, on its way out of the others.
#[derive(Default)]
struct Taken {
    gone: Vec<PathBuf>,
    changed: Vec<(PathBuf, String)>,
    /// Its copies in the plan's folder.
    kept: Vec<(PathBuf, String)>,
}

/// The path from the root, with `/`.
fn below(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

/// Writes the files of the batch as the next migrations, and notes it in the plan.
fn hand_over(open: &Open, home: &Home, batch: &Batch, mut progress: Progress, taken: Taken, out: &mut dyn Write) -> Result<u8, CliError> {
    let mut history = home.history.clone();
    if let Some(i) = home.original {
        history.migrations.remove(i);
    }
    let new: Vec<_> = batch.steps.iter().filter_map(|(_, _, w)| if let Way::Migration(m) = w { Some(m.clone()) } else { None }).collect();
    let next = history::compose(&home.history, home.original, &new, taken.changed, now()).map_err(CliError::Usage)?;
    // Its text is read from the plan's folder from now on.
    let source = if taken.kept.is_empty() { open.plan.source.clone() } else { format!("original/{}", progress.original) };
    let change = Change { write: next.files.iter().cloned().chain(taken.kept).collect(), remove: taken.gone };
    carry::rehearse(open, &history, &change, &next)?;
    let mut own = next.own.iter();
    let mut by_hand = None;
    for (phase, step, way) in &batch.steps {
        let files = match way {
            Way::Migration(_) => own.next().into_iter().flatten().map(|p| below(&history.root, p)).collect(),
            Way::ByHand(words) => {
                by_hand = Some(words.clone());
                Vec::new()
            }
        };
        let waits = files.is_empty() || history::one_by_one(history.framework);
        progress.steps.push(Carried { step: step.id.clone(), phase: *phase, on: history::date(now()), undo: batch.undo, files, waits });
    }
    open.commit(&change, &Plan { source, progress: Some(progress), ..open.plan.clone() })?;
    for path in &change.remove {
        writeln!(out, "moved   {} into {}", path.display(), open.folder.join("original").display())?;
    }
    for (path, _) in &next.files {
        let word = if next.own.iter().flatten().any(|p| p == path) { "written" } else { "changed" };
        writeln!(out, "{word} {}", path.display())?;
    }
    for words in &next.afterwards {
        writeln!(out, "then    {words}")?;
    }
    match by_hand {
        Some(words) => writeln!(out, "by hand {words}\nWhen these have run, run this again with --done.")?,
        None if batch.steps.last().is_some_and(|_| history::one_by_one(history.framework)) => {
            writeln!(out, "Run it before the next one goes in, then run this again with --done.")?;
        }
        None => {}
    }
    Ok(0)
}

/// What must hold before the steps of the batch. `false`: something does not.
fn preconditions(batch: &Batch, url: Option<&str>, out: &mut dyn Write) -> Result<bool, CliError> {
    let all: Vec<_> = batch.steps.iter().flat_map(|(_, s, _)| &s.preconditions).collect();
    if all.is_empty() {
        return Ok(true);
    }
    let Some(url) = url else {
        writeln!(out, "Make sure, before these files run, that each of these queries returns no row (--database-url checks it):")?;
        for p in all {
            writeln!(out, "  {}:\n    {}", p.title, p.sql)?;
        }
        return Ok(true);
    };
    let asked = Asked::new(url)?;
    let queries: Vec<String> = all.iter().map(|p| p.sql.clone()).collect();
    let found = asked.rows(&queries)?;
    let mut holds = true;
    for (p, rows) in all.iter().zip(&found) {
        if rows.is_empty() {
            writeln!(out, "Holds in {}: {}", asked.describe(), p.title)?;
            continue;
        }
        holds = false;
        writeln!(out, "Does not hold in {}: {}. The first {}:", asked.describe(), p.title, plural(rows.len(), "row"))?;
        for r in rows {
            writeln!(out, "    {r}")?;
        }
    }
    if !holds {
        writeln!(out, "Nothing was changed. Mend these rows, and run this again.")?;
    }
    Ok(holds)
}
