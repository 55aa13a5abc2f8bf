//! Code actions: mend, allow with a reason, plan.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use lsp_types::{CodeAction, CodeActionKind, CodeActionOrCommand, Command, Range, TextEdit, Uri, WorkspaceEdit};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::diagnostic::Diagnostic;
use crate::plan::Outcome;
use crate::source::Span;

use super::super::CliError;
use super::super::plan;
use super::super::project::Project;
use super::LspArgs;
use super::analysis::Analysis;
use super::text::Encoding;

/// The command that writes a plan's files. Its argument is the URI of the migration.
pub const PLAN: &str = "airlock.plan";

pub fn actions(a: &Analysis, encoding: Encoding, uri: &Uri, range: Range) -> Vec<CodeActionOrCommand> {
    let (start, end) = (encoding.offset(&a.source, range.start), encoding.offset(&a.source, range.end));
    let touches = |s: Span| s.start <= end && start <= s.end;
    let mut out = Vec::new();
    let mut plannable = false;
    for d in a.found.iter().filter(|d| d.source.path() == a.source.path() && touches(d.span)) {
        if let Some(fix) = &d.fix {
            let edits = fix.edits.iter().map(|e| TextEdit { range: encoding.range(&a.source, e.span), new_text: e.text.clone() }).collect();
            let title = if fix.safe { fix.title.clone() } else { format!("{} (needs a step of yours afterwards)", fix.title) };
            out.push(action(a, d, encoding, uri, title, edits, fix.safe));
        }
        plannable |= a.rules.get(&d.rule).is_some_and(|r| r.recipe.is_some() || r.tags.iter().any(|t| t == "rollback"));
    }
    for d in a.found.iter().filter(|d| d.source.path() == a.source.path() && touches(d.span)) {
        let edit = allow(a, d, encoding);
        out.push(action(a, d, encoding, uri, format!("Allow {} here, with a reason", d.rule), vec![edit], false));
    }
    if plannable {
        let command = Command { title: "Plan this change".into(), command: PLAN.into(), arguments: Some(vec![uri.as_str().into()]) };
        out.push(CodeActionOrCommand::CodeAction(CodeAction {
            title: "Plan this change as expand, migrate and contract".into(),
            kind: Some(CodeActionKind::QUICKFIX),
            command: Some(command),
            ..CodeAction::default()
        }));
    }
    out
}

fn action(
    a: &Analysis,
    d: &Diagnostic,
    encoding: Encoding,
    uri: &Uri,
    title: String,
    edits: Vec<TextEdit>,
    preferred: bool,
) -> CodeActionOrCommand {
    #[allow(clippy::mutable_key_type, reason = "the protocol's own type")]
    let changes = HashMap::from([(uri.clone(), edits)]);
    CodeActionOrCommand::CodeAction(CodeAction {
        title,
        kind: Some(CodeActionKind::QUICKFIX),
        diagnostics: Some(vec![a.diagnostic(d, encoding)]),
        edit: Some(WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() }),
        is_preferred: Some(preferred),
        ..CodeAction::default()
    })
}

/// A comment on a line of its own above the statement.
fn allow(a: &Analysis, d: &Diagnostic, encoding: Encoding) -> TextEdit {
    let line = a.source.line_of(d.statement.start);
    let start = a.source.line_start(line).unwrap_or(0);
    let before = a.source.slice(Span { start, end: d.statement.start });
    let indent: String = before.chars().take_while(|c| c.is_whitespace()).collect();
    let end = if a.source.text().contains("\r\n") { "\r\n" } else { "\n" };
    let at = encoding.range(&a.source, Span { start, end: start });
    TextEdit { range: at, new_text: format!("{indent}-- airlock: allow {} -- why is it right here?{end}", d.rule) }
}

/// Writes the plan beside the project's other plans, and says where.
pub fn plan(path: &Path, args: &LspArgs) -> Result<String, CliError> {
    let project = Project::open(&[path.to_path_buf()], &args.source)?;
    let (script, name) = plan::one(&project, path)?;
    match plan::make(&project, &script, &name, &plan::AnswerArgs::default(), path)? {
        Outcome::Safe => Ok(format!("{name} is safe as it is; no plan is written")),
        Outcome::Planned(p) => {
            let folder = base(&project, path).join("airlock/plans").join(&name);
            let files = plan::write(&p, &folder)?;
            Ok(format!("{} files are written into {}; read PLAN.md, and prove it with `airlock verify`", files.len(), folder.display()))
        }
        Outcome::Asked(questions) => {
            let say: Vec<String> = questions.iter().map(|q| format!("{} (answer: {})", q.question, q.answer)).collect();
            Err(CliError::Usage(format!("a person has to say first: {}. Run `airlock plan {}` with it", say.join("; "), path.display())))
        }
        Outcome::Refused(list) => {
            let say: Vec<String> = list.iter().map(|r| format!("{}; {}", r.reason, r.next_step)).collect();
            Err(CliError::Usage(format!("it cannot be planned: {}", say.join("; "))))
        }
    }
}

/// Where the configuration is, else the repository, else the folder of the migrations.
fn base(project: &Project, path: &Path) -> PathBuf {
    let config = project.config.origin.as_ref().and_then(|o| o.path.parent()).map(Path::to_path_buf);
    let repository = || path.ancestors().find(|a| a.join(".git").exists()).map(Path::to_path_buf);
    config.or_else(repository).unwrap_or_else(|| path.parent().unwrap_or(Path::new(".")).to_path_buf())
}

/// What stands in a path as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// `file:///…` with everything escaped that a URI does not take.
pub fn uri_of(path: &Path) -> Option<Uri> {
    let full = std::path::absolute(path).ok()?;
    let text = full.to_str()?.replace('\\', "/");
    let root = if text.starts_with('/') { "" } else { "/" };
    format!("file://{root}{}", utf8_percent_encode(&text, PLAIN)).parse().ok()
}
