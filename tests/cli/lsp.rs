//! A scripted editor speaks with `airlock lsp`.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

struct Editor {
    server: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    requests: i64,
}

impl Editor {
    fn start(folder: &Path, encodings: &[&str]) -> Editor {
        let mut server = Command::new(env!("CARGO_BIN_EXE_airlock"))
            .arg("lsp")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("airlock runs");
        let (to, from) = (server.stdin.take().expect("stdin"), BufReader::new(server.stdout.take().expect("stdout")));
        let mut e = Editor { server, to, from, requests: 0 };
        let capabilities = json!({ "general": { "positionEncodings": encodings } });
        let answer = e.ask("initialize", json!({ "processId": null, "rootUri": null, "capabilities": capabilities }));
        let wanted = if encodings.contains(&"utf-8") { "utf-8" } else { "utf-16" };
        assert_eq!(answer["capabilities"]["positionEncoding"], wanted);
        e.tell("initialized", json!({}));
        e
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.to, "Content-Length: {}\r\n\r\n{text}", text.len()).expect("sent");
        self.to.flush().expect("sent");
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.requests += 1;
        let id = self.requests;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let m = self.read();
            if m["id"] == id {
                assert!(m.get("error").is_none(), "{method}: {m}");
                return m["result"].clone();
            }
        }
    }

    fn read(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(self.from.read_line(&mut line).expect("a line") > 0, "the server went away");
            match line.trim() {
                "" => break,
                l => length = l.strip_prefix("Content-Length: ").map_or(length, |n| n.parse().expect("a number")),
            }
        }
        let mut body = vec![0; length];
        self.from.read_exact(&mut body).expect("a body");
        serde_json::from_slice(&body).expect("JSON")
    }

    /// What is said about the version of a file.
    fn diagnostics(&mut self, version: i64) -> Vec<Value> {
        loop {
            let m = self.read();
            if m["method"] == "textDocument/publishDiagnostics" && m["params"]["version"] == version {
                return m["params"]["diagnostics"].as_array().expect("a list").clone();
            }
        }
    }

    fn end(mut self) {
        self.ask("shutdown", Value::Null);
        self.tell("exit", Value::Null);
        assert!(self.server.wait().expect("it ends").success());
    }
}

fn codes(list: &[Value]) -> Vec<String> {
    list.iter().map(|d| d["code"].as_str().unwrap_or_default().to_string()).collect()
}

fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// The text after the edits of an action.
fn edited(text: &str, action: &Value, uri: &str) -> String {
    let mut edits: Vec<&Value> = action["edit"]["changes"][uri].as_array().expect("edits").iter().collect();
    let offset = |p: &Value| {
        let line = p["line"].as_u64().expect("a line") as usize;
        let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
        start + p["character"].as_u64().expect("a column") as usize
    };
    edits.sort_by_key(|e| std::cmp::Reverse(offset(&e["range"]["start"])));
    let mut out = text.to_string();
    for e in edits {
        out.replace_range(offset(&e["range"]["start"])..offset(&e["range"]["end"]), e["newText"].as_str().expect("text"));
    }
    out
}

#[test]
fn an_editor_sees_findings_mends_them_and_asks_what_a_statement_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = std::fs::canonicalize(folder.path()).expect("a path");
    std::fs::write(root.join("001_orders.sql"), "CREATE TABLE orders (id bigint PRIMARY KEY, total int);\n").expect("written");
    let path = root.join("002_next.sql");
    let text = "CREATE INDEX orders_total ON orders (total);\n";
    std::fs::write(&path, text).expect("written");
    let file = uri(&path);
    let mut e = Editor::start(&root, &["utf-8", "utf-16"]);
    e.tell("textDocument/didOpen", json!({ "textDocument": { "uri": file, "languageId": "sql", "version": 1, "text": text } }));
    let found = e.diagnostics(1);
    // The table is known from the migration before.
    let rule = "create-index-blocking";
    assert!(codes(&found).iter().any(|c| c == rule), "{found:?}");
    let whole = json!({ "start": { "line": 0, "character": 0 }, "end": { "line": 1, "character": 0 } });
    let about = json!({ "textDocument": { "uri": file }, "range": whole, "context": { "diagnostics": [] } });
    let actions = e.ask("textDocument/codeAction", about);
    let titled = |words: &str| {
        let list = actions.as_array().expect("a list");
        list.iter().find(|a| a["title"].as_str().is_some_and(|t| t.contains(words))).unwrap_or_else(|| panic!("{words}: {actions}")).clone()
    };
    let mended = edited(text, &titled("oncurrently"), &file);
    assert!(mended.contains("CREATE INDEX CONCURRENTLY orders_total"), "{mended}");
    let allowed = edited(text, &titled("Allow"), &file);
    assert!(allowed.starts_with("-- airlock: allow "), "{allowed}");
    let hover = |e: &mut Editor, line: u32, character: u32| {
        let at = json!({ "textDocument": { "uri": file }, "position": { "line": line, "character": character } });
        e.ask("textDocument/hover", at)["contents"]["value"].as_str().unwrap_or_default().to_string()
    };
    let said = hover(&mut e, 0, 3);
    assert!(said.contains("CREATE INDEX") && said.contains("locks: public.orders SHARE"), "{said}");
    // While it is written: mended, the finding is gone; the comment's own words are the rule's page.
    let change =
        |text: &str, version: i64| json!({ "textDocument": { "uri": file, "version": version }, "contentChanges": [{ "text": text }] });
    e.tell("textDocument/didChange", change(&mended, 2));
    let left = e.diagnostics(2);
    assert!(!codes(&left).iter().any(|c| codes(&found).contains(c)), "{left:?}");
    e.tell("textDocument/didChange", change(&allowed, 3));
    e.diagnostics(3);
    assert!(hover(&mut e, 0, 20).contains("## Why"));
    // Broken SQL is a finding like any other.
    e.tell("textDocument/didChange", change("ALTER TABLE orders DROP COLUM total;", 4));
    assert_eq!(codes(&e.diagnostics(4)), ["syntax-error"]);
    e.end();
}

#[test]
fn an_editor_plans_a_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = std::fs::canonicalize(folder.path()).expect("a path");
    std::fs::write(root.join("001_orders.sql"), "CREATE TABLE orders (id bigint PRIMARY KEY, total int);\n").expect("written");
    let path = root.join("002_drop.sql");
    let text = "-- é\nALTER TABLE orders DROP COLUMN total;\n";
    std::fs::write(&path, text).expect("written");
    let file = uri(&path);
    let mut e = Editor::start(&root, &[]);
    e.tell("textDocument/didOpen", json!({ "textDocument": { "uri": file, "languageId": "sql", "version": 1, "text": text } }));
    assert_eq!(codes(&e.diagnostics(1)), ["drop-column"]);
    let at = json!({ "start": { "line": 1, "character": 20 }, "end": { "line": 1, "character": 20 } });
    let about = json!({ "textDocument": { "uri": file }, "range": at, "context": { "diagnostics": [] } });
    let actions = e.ask("textDocument/codeAction", about);
    let plan = actions.as_array().expect("a list").iter().find(|a| a["command"].is_object()).expect("a plan is offered").clone();
    let run = json!({ "command": plan["command"]["command"], "arguments": plan["command"]["arguments"] });
    let said = e.ask("workspace/executeCommand", run.clone());
    assert!(said.as_str().is_some_and(|s| s.contains("files are written")), "{said}");
    assert!(root.join("airlock/plans/002_drop/PLAN.md").is_file());
    // What is not on the disk is not planned.
    let change = json!({ "textDocument": { "uri": file, "version": 2 }, "contentChanges": [{ "text": "DROP TABLE orders;" }] });
    e.tell("textDocument/didChange", change);
    let said = e.ask("workspace/executeCommand", run);
    assert!(said.as_str().is_some_and(|s| s.contains("save the file first")), "{said}");
    e.end();
}
