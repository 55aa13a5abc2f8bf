//! What is known about one open file.

use std::path::Path;

use lsp_types::{CodeDescription, DiagnosticRelatedInformation, DiagnosticSeverity, Location, NumberOrString};

use crate::diagnostic::{Diagnostic, Severity};
use crate::replay::ReplayedScript;
use crate::rules::{Fixes, RuleSet};
use crate::source::SourceFile;

use super::super::CliError;
use super::super::project::Project;
use super::super::settings::Settings;
use super::LspArgs;
use super::text::Encoding;

pub struct Analysis {
    pub source: SourceFile,
    /// Several where the file holds several migrations.
    pub scripts: Vec<ReplayedScript>,
    pub found: Vec<Diagnostic>,
    pub rules: RuleSet,
    /// Why nothing could be looked at.
    error: Option<String>,
}

impl Analysis {
    pub fn of(path: &Path, text: &str, args: &LspArgs) -> Analysis {
        let source = SourceFile::new(path, text);
        match Self::look(path, text, args) {
            Ok((scripts, found, rules)) => {
                // Offsets are those of the text as the history took it.
                let source = scripts.first().map_or(source, |s| s.source.clone());
                Analysis { source, scripts, found, rules, error: None }
            }
            Err(e) => {
                let rules = RuleSet::built_in().clone();
                Analysis { source, scripts: Vec::new(), found: Vec::new(), rules, error: Some(e.to_string()) }
            }
        }
    }

    #[allow(clippy::type_complexity, reason = "taken apart at once")]
    fn look(path: &Path, text: &str, args: &LspArgs) -> Result<(Vec<ReplayedScript>, Vec<Diagnostic>, RuleSet), CliError> {
        let project = Project::of_text(path, text.to_string(), &args.source)?;
        let settings = Settings::new(&project, &args.rules)?;
        let checked = settings.check(&project, Fixes::All, |script, checked| (script.clone(), checked));
        let (scripts, checked): (Vec<_>, Vec<_>) = checked.into_iter().unzip();
        Ok((scripts, checked.into_iter().flat_map(|c| c.diagnostics).collect(), settings.rules))
    }

    pub fn diagnostics(&self, encoding: Encoding) -> Vec<lsp_types::Diagnostic> {
        if let Some(message) = &self.error {
            let severity = Some(DiagnosticSeverity::ERROR);
            return vec![lsp_types::Diagnostic {
                severity,
                source: Some("airlock".into()),
                message: message.clone(),
                ..Default::default()
            }];
        }
        // A way back in a file of its own is shown when that file is open.
        self.found.iter().filter(|d| d.source.path() == self.source.path()).map(|d| self.diagnostic(d, encoding)).collect()
    }

    pub fn diagnostic(&self, d: &Diagnostic, encoding: Encoding) -> lsp_types::Diagnostic {
        let rule = self.rules.get(&d.rule);
        let uri = rule.map(|r| r.info().url()).and_then(|u| u.parse().ok());
        let help = if d.help.is_empty() { String::new() } else { format!("\n{}", d.help) };
        let here = super::actions::uri_of(self.source.path());
        let related = d.related.iter().filter_map(|(span, words)| {
            let location = Location { uri: here.clone()?, range: encoding.range(&self.source, *span) };
            Some(DiagnosticRelatedInformation { location, message: words.clone() })
        });
        lsp_types::Diagnostic {
            range: encoding.range(&self.source, d.span),
            severity: Some(match d.severity {
                Severity::Error => DiagnosticSeverity::ERROR,
                Severity::Warning => DiagnosticSeverity::WARNING,
                Severity::Advice => DiagnosticSeverity::INFORMATION,
            }),
            code: Some(NumberOrString::String(d.rule.clone())),
            code_description: uri.map(|href| CodeDescription { href }),
            source: Some("airlock".into()),
            message: format!("{}{help}", d.message),
            related_information: Some(related.collect::<Vec<_>>()).filter(|r| !r.is_empty()),
            ..Default::default()
        }
    }
}
