//! Commands that show what Airlock knows: rules, histories, schemas.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::rules::{ABOUT_SUPPRESSIONS, RuleSet, page};

use super::project::Project;
use super::{CliError, ListFormat, SourceArgs};

pub fn explain(name: &str, out: &mut dyn Write) -> Result<u8, CliError> {
    let set = RuleSet::built_in();
    if let Some(rule) = set.get(name) {
        write!(out, "{}", page(rule))?;
        return Ok(0);
    }
    if let Some((name, words)) = ABOUT_SUPPRESSIONS.iter().find(|(n, _)| *n == name) {
        writeln!(out, "# {name}\n\n{words}")?;
        return Ok(0);
    }
    let near = set.suggest(name).map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
    Err(CliError::Usage(format!("no rule is called `{name}`{near} `airlock rules` lists them")))
}

pub fn rules(format: ListFormat, out: &mut dyn Write) -> Result<u8, CliError> {
    let set = RuleSet::built_in();
    if format == ListFormat::Json {
        let list: Vec<_> = set
            .iter()
            .map(|r| json!({ "name": r.name, "group": r.group, "severity": r.severity.to_string(), "default": r.default, "tags": r.tags, "recipe": r.recipe, "summary": r.summary }))
            .collect();
        serde_json::to_writer_pretty(&mut *out, &json!({ "schema_version": 1, "rules": list })).map_err(std::io::Error::from)?;
        writeln!(out)?;
        return Ok(0);
    }
    for r in set.iter() {
        writeln!(
            out,
            "{:28} {:12} {:8} {}{}",
            r.name,
            r.group,
            r.severity.to_string(),
            r.summary,
            if r.default { "" } else { " (off by default)" }
        )?;
    }
    Ok(0)
}

#[derive(Debug, Args)]
pub struct SchemaArgs {
    paths: Vec<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
    /// Version after which the schema is shown; the last unless given.
    #[arg(long, value_name = "VERSION")]
    at: Option<String>,
    #[arg(long, value_name = "FORMAT", default_value = "sql")]
    output_format: SchemaFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SchemaFormat {
    Sql,
    Json,
}

pub fn schema(args: &SchemaArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let project = Project::open(&args.paths, &args.source)?;
    for h in &project.histories {
        let until = match &args.at {
            Some(v) => match h.migrations.iter().position(|m| m.version == *v || m.name == *v) {
                Some(i) => i + 1,
                None => {
                    return Err(CliError::Usage(format!(
                        "{}: no migration is called `{v}`; `airlock history` lists them",
                        h.root.display()
                    )));
                }
            },
            None => h.migrations.len(),
        };
        let catalog = project.final_catalog(h, until);
        match args.output_format {
            SchemaFormat::Sql => write!(out, "{}", catalog.to_sql())?,
            SchemaFormat::Json => {
                let mut dump = catalog.dump();
                dump.migrations = h.migrations[..until].iter().map(|m| m.version.clone()).collect();
                serde_json::to_writer_pretty(&mut *out, &dump).map_err(std::io::Error::from)?;
                writeln!(out)?;
            }
        }
    }
    Ok(0)
}
