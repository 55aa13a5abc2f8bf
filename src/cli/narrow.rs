//! Which migrations are reported; the others are read for the schema.

use std::collections::BTreeSet;

use clap::Args;

use crate::history::git;

use super::CliError;
use super::project::Project;

#[derive(Debug, Clone, Default, Args)]
pub struct NarrowArgs {
    /// Report only on migrations that are new or changed since the branch left this commit or branch; the others are read for the schema.
    #[arg(long, value_name = "REF", conflicts_with = "staged", env = "AIRLOCK_SINCE")]
    since: Option<String>,
    /// Report only on migrations that are staged in git, as they are on the disk.
    #[arg(long)]
    staged: bool,
    /// Report only on migrations after this version: the last one that is deployed.
    #[arg(long, value_name = "VERSION", env = "AIRLOCK_AFTER")]
    after: Option<String>,
}

impl NarrowArgs {
    pub fn apply(&self, mut project: Project) -> Result<Project, CliError> {
        if self.since.is_some() || self.staged {
            for h in &mut project.histories {
                let files = git::changed(&h.root, self.since.as_deref()).map_err(CliError::Usage)?;
                h.narrow_to_files(&files);
            }
        }
        if let Some(version) = &self.after {
            // Of several histories one has it; the others are not meant.
            let known: BTreeSet<usize> =
                project.histories.iter_mut().enumerate().filter_map(|(i, h)| h.narrow_to_after(version).then_some(i)).collect();
            if known.is_empty() {
                let last = project.histories.iter().filter_map(|h| h.migrations.last()).map(|m| m.version.as_str()).next();
                let hint = last.map(|v| format!("; the last one here is `{v}`")).unwrap_or_default();
                return Err(CliError::Usage(format!(
                    "--after {version}: no migration has this version{hint}. `airlock history` lists them"
                )));
            }
            for (_, h) in project.histories.iter_mut().enumerate().filter(|(i, _)| !known.contains(i)) {
                h.selected.clear();
            }
        }
        Ok(project)
    }
}
