//! A plan as files: `plan.toml`, `PLAN.md`, and the SQL of each step with its undo.

use super::{Actor, Boundary, PLAN_SCHEMA_VERSION, PhaseKind, Plan, PredictedEffects, Release, Step, Works};

#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("not a plan: {0}")]
    Toml(String),
    #[error(
        "the plan was made by another version of Airlock (schema version {found}, expected {PLAN_SCHEMA_VERSION}); make it again with `airlock plan`"
    )]
    Version { found: u32 },
}

/// `plan.toml` as data.
pub fn read(text: &str) -> Result<Plan, PlanError> {
    let plan: Plan = toml::from_str(text).map_err(|e| PlanError::Toml(e.to_string().trim_end().to_string()))?;
    if plan.schema_version != PLAN_SCHEMA_VERSION {
        return Err(PlanError::Version { found: plan.schema_version });
    }
    Ok(plan)
}

/// Every file of the plan, relative to its folder.
pub fn render(plan: &Plan) -> Result<Vec<(String, String)>, PlanError> {
    let mut out = vec![
        ("plan.toml".to_string(), toml::to_string_pretty(plan).map_err(|e| PlanError::Toml(e.to_string()))?),
        ("PLAN.md".to_string(), page(plan)),
    ];
    for step in super::as_sent(plan).phases.iter().flat_map(|p| &p.steps) {
        if !step.file.is_empty() {
            out.push((step.file.clone(), sql(&step.title, step.transaction, &step.statements)));
        }
        if !step.undo_file.is_empty() {
            out.push((step.undo_file.clone(), sql(&format!("Undo: {}", step.title), step.undo_transaction, &step.undo)));
        }
    }
    Ok(out)
}

fn sql(title: &str, transaction: bool, statements: &[String]) -> String {
    let mut out = format!("-- {}\n", title.replace('\n', " "));
    if !transaction {
        out.push_str("-- Each statement by itself, outside of a transaction.\n");
    }
    out.push('\n');
    if transaction {
        out.push_str("BEGIN;\n");
    }
    for s in statements {
        out.push_str(s);
        out.push_str(";\n");
    }
    if transaction {
        out.push_str("COMMIT;\n");
    }
    out
}

/// The plan for the people who carry it out.
pub fn page(plan: &Plan) -> String {
    let mut out = format!("# Plan for {}\n\n", plan.migration);
    out.push_str(&format!(
        "Made for Postgres {} from `{}`. `airlock verify` proves it on a scratch server.\n\n",
        plan.postgres, plan.source
    ));
    out.push_str("`airlock advance` makes migrations of your runner out of the next phase's files, and `airlock status` says what the plan waits for.\n\n");
    out.push_str("## Who does what, when\n\n");
    let mut n = 0;
    for phase in &plan.phases {
        let (when, after) = match phase.kind {
            kind if plan.application_writes() && kind < PhaseKind::ContractHard => with_the_application(kind),
            PhaseKind::Expand => ("Before release N is deployed; N-1 keeps running.", "Then boundary B1."),
            PhaseKind::Migrate => {
                ("After expand; N-1 keeps running.", "Then boundary B2: deploy release N. It may be rolled back to N-1 as often as needed.")
            }
            PhaseKind::ContractSoft => ("When no server runs N-1 any more, and no rollback to it is wanted.", after_soft(&phase.steps)),
            PhaseKind::ContractHard => ("When release N has proved itself (days, not minutes).", after_hard(&phase.steps)),
        };
        out.push_str(&format!("### {}\n\n", phase.kind));
        if phase.steps.is_empty() {
            out.push_str(&format!("Nothing to do. {after}\n\n"));
            continue;
        }
        out.push_str(&format!("{when}\n\n"));
        for step in &phase.steps {
            n += 1;
            self::step(&mut out, n, step);
        }
        out.push_str(&format!("\n{after}\n\n"));
    }
    out.push_str("## Which release works where\n\n| boundary | release N-1 | release N |\n|---|---|---|\n");
    for b in [Boundary::B0, Boundary::B1, Boundary::B2, Boundary::B3, Boundary::B4] {
        let cell = |r: Release| {
            plan.boundaries.iter().find(|c| c.boundary == b && c.release == r).map_or_else(
                || "–".to_string(),
                |c| {
                    let word = match c.works {
                        Works::Full => "works",
                        Works::WritesOnly => "may write",
                        Works::Gone => "must be gone",
                    };
                    if c.note.is_empty() { word.to_string() } else { format!("{word}: {}", c.note) }
                },
            )
        };
        out.push_str(&format!("| {b} | {} | {} |\n", cell(Release::Old), cell(Release::New)));
    }
    if !plan.checklist.is_empty() {
        out.push_str("\n## For the code of release N\n\n");
        for c in &plan.checklist {
            out.push_str(&format!("- [ ] {c}\n"));
        }
    }
    if !plan.deviations.is_empty() {
        out.push_str("\n## Where the result differs from running the migration directly\n\n");
        for d in &plan.deviations {
            out.push_str(&format!("- `{}` ({}): {}\n", d.object, d.kind, d.reason));
        }
    }
    out.push_str("\n## If a step fails\n\nA step in a transaction leaves nothing behind: run it again. A lock that is not granted within the timeout is no harm: try again\nwhen the table is quiet. A step outside of a transaction can be run again as it stands; an index that was left INVALID must be dropped first\n(its undo does that). To go back, run the undo files of the steps that ran, last first.\n");
    out
}

/// Where release N itself writes what is new.
fn with_the_application(kind: PhaseKind) -> (&'static str, &'static str) {
    match kind {
        PhaseKind::Expand => (
            "Before release N is deployed; N-1 keeps running.",
            "Then boundary B1: deploy release N, which writes both columns and reads the old ones. It may be rolled back to N-1 as often as needed.",
        ),
        PhaseKind::Migrate => (
            "When release N runs everywhere and N-1 nowhere. After a rollback to N-1 and a new rollout, run all of this phase again.",
            "Then boundary B2: release N may read the new columns, and goes on to write both.",
        ),
        _ => (
            "When release N reads the new columns only, still writes both, and no rollback to N-1 is wanted.",
            "Then boundary B3: release N may leave the old columns out. These steps can still be undone, as long as it writes both.",
        ),
    }
}

fn after_soft(steps: &[Step]) -> &'static str {
    match steps.iter().filter(|s| s.one_way.is_some()).count() {
        _ if steps.is_empty() => "Then boundary B3: watch release N.",
        0 => "Then boundary B3: watch release N. These steps can still be undone.",
        n if n == steps.len() => "Then boundary B3: watch release N. These steps cannot be undone.",
        _ => "Then boundary B3: watch release N. What is marked **one way** stays; the other steps can still be undone.",
    }
}

fn after_hard(steps: &[Step]) -> &'static str {
    if steps.iter().any(|s| s.one_way.is_some()) {
        "Then boundary B4: there is no way back without a backup."
    } else {
        "Then boundary B4: the plan is done."
    }
}

fn step(out: &mut String, n: usize, step: &Step) {
    out.push_str(&format!("{n}. **{}**\n", step.title));
    match step.actor {
        Actor::Migration => {
            out.push_str(&format!("   - run `{}`{}\n", step.file, if step.transaction { "" } else { " (outside of a transaction)" }))
        }
        Actor::Application => out.push_str("   - the application does this, not the migration runner\n"),
    }
    if let Some(s) = &step.sees_to {
        out.push_str(&format!("   - these are the rows:\n     `{}`\n", s.query()));
    }
    for w in step.writes.iter().flat_map(|w| &w.columns) {
        out.push_str(&format!("   - in every row that it writes, `{}` is:\n     `{}`\n", w.column, w.value));
    }
    for p in &step.preconditions {
        out.push_str(&format!("   - first make sure that {}: this must return no row:\n     `{}`\n", p.title, p.sql));
    }
    let mut all = PredictedEffects::default();
    for p in &step.predicted {
        for (r, m) in &p.locks {
            let e = all.locks.entry(r.clone()).or_insert(*m);
            *e = (*e).max(*m);
        }
        all.rewrites.extend(p.rewrites.iter().cloned());
        all.scans.extend(p.scans.iter().cloned());
        all.builds.extend(p.builds.iter().cloned());
    }
    if !all.locks.is_empty() && step.actor == Actor::Migration {
        let locks: Vec<String> = all.locks.iter().map(|(r, m)| format!("`{r}` {}", m.sql())).collect();
        let slow = !(all.scans.is_empty() && all.rewrites.is_empty() && all.builds.is_empty());
        let duration = if slow { "for as long as it reads the table" } else { "for a moment" };
        out.push_str(&format!("   - locks {} {duration}\n", locks.join(", ")));
    }
    let nothing = step.undo.iter().all(|s| s == super::NOTHING || s.starts_with("SET LOCAL lock_timeout"));
    match (&step.one_way, step.undo_file.is_empty() || nothing) {
        (Some(why), _) => out.push_str(&format!("   - **one way**: {why}\n")),
        (None, false) => out.push_str(&format!(
            "   - undo: `{}`{}\n",
            step.undo_file,
            match step.undo_verdict {
                crate::compat::Undo::Lossless => "",
                crate::compat::Undo::LosesData => " (what release N wrote into it is lost)",
                crate::compat::Undo::BlockedByData => " (refused when release N has written what the old schema cannot hold)",
                crate::compat::Undo::Impossible => " (impossible)",
            }
        )),
        (None, true) => out.push_str("   - undo: nothing to do\n"),
    }
}
