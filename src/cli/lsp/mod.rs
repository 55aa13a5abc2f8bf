//! `airlock lsp`: findings while a migration is written, with the whole history around it as context.
//!
//! The text is the editor's; the migrations around it are those on the disk.

mod actions;
mod analysis;
mod hover;
mod text;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, Response};
use lsp_types::notification::{
    DidChangeTextDocument, DidCloseTextDocument, DidOpenTextDocument, DidSaveTextDocument, Notification as _, PublishDiagnostics,
    ShowMessage,
};
use lsp_types::request::{CodeActionRequest, ExecuteCommand, HoverRequest, Request as _};
use lsp_types::{
    CodeActionKind, CodeActionOptions, CodeActionProviderCapability, ExecuteCommandOptions, HoverProviderCapability, InitializeParams,
    MessageType, PositionEncodingKind, PublishDiagnosticsParams, SaveOptions, ServerCapabilities, ShowMessageParams,
    TextDocumentSyncCapability, TextDocumentSyncKind, TextDocumentSyncOptions, TextDocumentSyncSaveOptions, Uri,
};

use super::settings::RuleArgs;
use super::{CliError, SourceArgs};
use analysis::Analysis;
use text::Encoding;

/// Written after the last key was pressed, not after each.
const PAUSE: Duration = Duration::from_millis(150);

#[derive(Debug, Args)]
pub struct LspArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    rules: RuleArgs,
}

/// A file that is open in the editor.
struct Document {
    path: PathBuf,
    text: String,
    version: i32,
    /// What was last said about it; `None`: it has changed since.
    analysis: Option<Analysis>,
}

struct Server<'a> {
    connection: &'a Connection,
    args: &'a LspArgs,
    encoding: Encoding,
    documents: BTreeMap<String, Document>,
}

pub fn run(args: &LspArgs) -> Result<u8, CliError> {
    let (connection, threads) = Connection::stdio();
    let said = |e: &dyn std::fmt::Display| CliError::Usage(format!("the editor ended the session: {e}"));
    let (id, params) = connection.initialize_start().map_err(|e| said(&e))?;
    let params: InitializeParams = serde_json::from_value(params).map_err(|e| said(&e))?;
    let encodings = params.capabilities.general.and_then(|g| g.position_encodings).unwrap_or_default();
    let encoding = if encodings.contains(&PositionEncodingKind::UTF8) { Encoding::Utf8 } else { Encoding::Utf16 };
    let answer = serde_json::json!({
        "capabilities": capabilities(encoding),
        "serverInfo": { "name": "airlock", "version": env!("CARGO_PKG_VERSION") },
    });
    connection.initialize_finish(id, answer).map_err(|e| said(&e))?;
    let mut server = Server { connection: &connection, args, encoding, documents: BTreeMap::new() };
    let ended = server.listen();
    drop(connection);
    threads.join()?;
    Ok(u8::from(!ended))
}

fn capabilities(encoding: Encoding) -> ServerCapabilities {
    ServerCapabilities {
        position_encoding: Some(encoding.kind()),
        text_document_sync: Some(TextDocumentSyncCapability::Options(TextDocumentSyncOptions {
            open_close: Some(true),
            change: Some(TextDocumentSyncKind::FULL),
            save: Some(TextDocumentSyncSaveOptions::SaveOptions(SaveOptions { include_text: Some(false) })),
            ..TextDocumentSyncOptions::default()
        })),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        code_action_provider: Some(CodeActionProviderCapability::Options(CodeActionOptions {
            code_action_kinds: Some(vec![CodeActionKind::QUICKFIX]),
            ..CodeActionOptions::default()
        })),
        execute_command_provider: Some(ExecuteCommandOptions {
            commands: vec![actions::PLAN.to_string()],
            ..ExecuteCommandOptions::default()
        }),
        ..ServerCapabilities::default()
    }
}

impl Server<'_> {
    /// `true`: the editor asked to shut down before it went away.
    fn listen(&mut self) -> bool {
        loop {
            // While something is to be looked at anew, wait only for the pause between two keys.
            let message = if self.documents.values().any(|d| d.analysis.is_none()) {
                match self.connection.receiver.recv_timeout(PAUSE) {
                    Ok(m) => m,
                    Err(e) if e.is_timeout() => {
                        self.publish();
                        continue;
                    }
                    Err(_) => return false,
                }
            } else {
                match self.connection.receiver.recv() {
                    Ok(m) => m,
                    Err(_) => return false,
                }
            };
            match message {
                Message::Request(r) => match self.connection.handle_shutdown(&r) {
                    Ok(true) => return true,
                    Ok(false) => self.request(r),
                    Err(_) => return false,
                },
                Message::Notification(n) => self.notification(n),
                Message::Response(_) => {}
            }
        }
    }

    fn notification(&mut self, n: Notification) {
        match n.method.as_str() {
            DidOpenTextDocument::METHOD => {
                if let Ok(p) = serde_json::from_value::<lsp_types::DidOpenTextDocumentParams>(n.params) {
                    self.take(&p.text_document.uri, p.text_document.text, p.text_document.version);
                }
            }
            DidChangeTextDocument::METHOD => {
                if let Ok(p) = serde_json::from_value::<lsp_types::DidChangeTextDocumentParams>(n.params)
                    && let Some(last) = p.content_changes.into_iter().next_back()
                {
                    self.take(&p.text_document.uri, last.text, p.text_document.version);
                }
            }
            // Another file of the history may have changed with it.
            DidSaveTextDocument::METHOD => self.documents.values_mut().for_each(|d| d.analysis = None),
            DidCloseTextDocument::METHOD => {
                if let Ok(p) = serde_json::from_value::<lsp_types::DidCloseTextDocumentParams>(n.params) {
                    self.documents.remove(p.text_document.uri.as_str());
                    self.send_diagnostics(p.text_document.uri, Vec::new(), None);
                }
            }
            _ => {}
        }
    }

    fn take(&mut self, uri: &Uri, text: String, version: i32) {
        let Some(path) = text::path_of(uri) else { return };
        self.documents.insert(uri.as_str().to_string(), Document { path, text, version, analysis: None });
    }

    fn request(&mut self, r: Request) {
        let id = r.id.clone();
        let answer = match r.method.as_str() {
            HoverRequest::METHOD => serde_json::from_value::<lsp_types::HoverParams>(r.params).map(|p| {
                let at = p.text_document_position_params;
                let found = self.analysed(&at.text_document.uri).and_then(|(a, e)| hover::hover(a, e, at.position));
                serde_json::json!(found)
            }),
            CodeActionRequest::METHOD => serde_json::from_value::<lsp_types::CodeActionParams>(r.params).map(|p| {
                let uri = p.text_document.uri.clone();
                let list = self.analysed(&uri).map(|(a, e)| actions::actions(a, e, &uri, p.range)).unwrap_or_default();
                serde_json::json!(list)
            }),
            ExecuteCommand::METHOD => serde_json::from_value::<lsp_types::ExecuteCommandParams>(r.params).map(|p| {
                let said = self.execute(&p);
                serde_json::json!(said)
            }),
            method => {
                let unknown = Response::new_err(id, ErrorCode::MethodNotFound as i32, format!("`{method}` is not known here"));
                let _ = self.connection.sender.send(Message::Response(unknown));
                return;
            }
        };
        let response = match answer {
            Ok(value) => Response::new_ok(id, value),
            Err(e) => Response::new_err(id, ErrorCode::InvalidParams as i32, e.to_string()),
        };
        let _ = self.connection.sender.send(Message::Response(response));
    }

    /// The document as it is now, looked at.
    fn analysed(&mut self, uri: &Uri) -> Option<(&Analysis, Encoding)> {
        let (args, encoding) = (self.args, self.encoding);
        let d = self.documents.get_mut(uri.as_str())?;
        if d.analysis.is_none() {
            d.analysis = Some(Analysis::of(&d.path, &d.text, args));
        }
        d.analysis.as_ref().map(|a| (a, encoding))
    }

    fn publish(&mut self) {
        let stale: Vec<String> = self.documents.iter().filter(|(_, d)| d.analysis.is_none()).map(|(u, _)| u.clone()).collect();
        for uri in stale {
            let (args, encoding) = (self.args, self.encoding);
            let Some(d) = self.documents.get_mut(&uri) else { continue };
            let analysis = Analysis::of(&d.path, &d.text, args);
            let (list, version) = (analysis.diagnostics(encoding), d.version);
            d.analysis = Some(analysis);
            if let Ok(uri) = uri.parse() {
                self.send_diagnostics(uri, list, Some(version));
            }
        }
    }

    fn send_diagnostics(&self, uri: Uri, diagnostics: Vec<lsp_types::Diagnostic>, version: Option<i32>) {
        self.notify::<PublishDiagnostics>(PublishDiagnosticsParams { uri, diagnostics, version });
    }

    fn notify<N: lsp_types::notification::Notification>(&self, params: N::Params) {
        let n = Notification::new(N::METHOD.to_string(), params);
        let _ = self.connection.sender.send(Message::Notification(n));
    }

    fn execute(&mut self, p: &lsp_types::ExecuteCommandParams) -> Option<String> {
        let uri: Option<Uri> = p.arguments.first().and_then(|a| a.as_str()).and_then(|u| u.parse().ok());
        let path = uri.as_ref().and_then(text::path_of).filter(|_| p.command == actions::PLAN)?;
        let open = uri.and_then(|u| self.documents.get(u.as_str()));
        let saved = open.is_none_or(|d| crate::history::read_sql(&d.path).is_ok_and(|on_disk| on_disk == d.text));
        let (typ, message) = if !saved {
            (MessageType::WARNING, "save the file first: the plan is made of what is on the disk".to_string())
        } else {
            match actions::plan(&path, self.args) {
                Ok(said) => (MessageType::INFO, said),
                Err(e) => (MessageType::ERROR, e.to_string()),
            }
        };
        self.notify::<ShowMessage>(ShowMessageParams { typ, message: message.clone() });
        Some(message)
    }
}
