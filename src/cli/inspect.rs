//! Commands that show what Airlock knows: histories, schemas, facts.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::facts::{self, Value};

use super::project::Project;
use super::settings::{RuleArgs, Settings};
use super::{CliError, SourceArgs};

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

#[derive(Debug, Args)]
pub struct FactsArgs {
    /// The migration, or a folder.
    file: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    rules: RuleArgs,
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output_format: FactsFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FactsFormat {
    Text,
    Json,
}

/// What a rule can match, operation by operation.
pub fn facts(args: &FactsArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let project = Project::open(std::slice::from_ref(&args.file), &args.source)?;
    let settings = Settings::new(&project, &args.rules)?;
    let mut list = Vec::new();
    for script in project.judge() {
        let source = &script.source;
        for f in facts::collect(&script, &settings.selection.knowledge) {
            let at = source.position(f.span.start);
            if args.output_format == FactsFormat::Json {
                let values: serde_json::Map<String, serde_json::Value> = f
                    .iter()
                    .map(|(k, v)| {
                        let v = match v {
                            Value::Bool(b) => json!(b),
                            Value::Number(n) => json!(n),
                            Value::Text(t) => json!(t),
                            Value::List(l) => json!(l),
                        };
                        (k.to_string(), v)
                    })
                    .collect();
                let path = source.path().to_string_lossy().replace('\\', "/");
                list.push(json!({ "path": path, "line": at.line, "column": at.column, "words": source.slice(f.span), "facts": values }));
                continue;
            }
            let words = source.slice(f.span).split_whitespace().collect::<Vec<_>>().join(" ");
            writeln!(out, "{}:{}:{}: {words}", source.path().display(), at.line, at.column)?;
            for (name, value) in f.iter() {
                let value = match value {
                    Value::Text(t) => format!("{t:?}"),
                    Value::List(l) => format!("{l:?}"),
                    v => v.to_string(),
                };
                writeln!(out, "  {name} = {value}")?;
            }
        }
    }
    if args.output_format == FactsFormat::Json {
        serde_json::to_writer_pretty(&mut *out, &json!({ "schema_version": 1, "operations": list })).map_err(std::io::Error::from)?;
        writeln!(out)?;
    }
    Ok(0)
}
