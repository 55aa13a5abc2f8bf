//! What README and `docs/` say is run: every `airlock` command of a block, the output that a `console` block shows, and every block of SQL.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<PathBuf> {
    let docs = walkdir::WalkDir::new(root().join("docs")).sort_by_file_name().into_iter().flatten().map(walkdir::DirEntry::into_path);
    let mut out: Vec<PathBuf> = docs.filter(|p| p.extension().is_some_and(|e| e == "md")).collect();
    out.push(root().join("README.md"));
    out
}

struct Block {
    /// `README.md:37`
    place: String,
    language: String,
    lines: Vec<String>,
}

fn blocks() -> Vec<Block> {
    let mut out = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page");
        let name = page.strip_prefix(root()).expect("inside").display().to_string();
        let mut open: Option<Block> = None;
        for (n, line) in text.lines().enumerate() {
            match (line.trim_start().strip_prefix("```"), open.take()) {
                (Some(language), None) => {
                    open = Some(Block { place: format!("{name}:{}", n + 1), language: language.trim().to_string(), lines: Vec::new() });
                }
                (Some(_), Some(b)) => out.push(b),
                (None, Some(mut b)) => {
                    b.lines.push(line.to_string());
                    open = Some(b);
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{name}: a block without an end");
    }
    out
}

/// The folder in which the commands of the pages make sense.
fn project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let write = |path: &str, text: &str| {
        let to = dir.path().join(path);
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("makes folders");
        std::fs::write(to, text).expect("writes");
    };
    for e in walkdir::WalkDir::new(root().join("testdata/shop")).into_iter().flatten().filter(|e| e.file_type().is_file()) {
        let inside = e.path().strip_prefix(root()).expect("inside").display().to_string();
        write(&inside, &std::fs::read_to_string(e.path()).expect("readable"));
    }
    let orders = std::fs::read_to_string(root().join("testdata/shop/migrations/001_create.sql")).expect("readable");
    write("migrations/0041_orders.sql", &orders);
    write("migrations/0042_shipping.sql", "ALTER TABLE orders ADD COLUMN shipping_method varchar(50) NOT NULL;\n");
    write("queries/orders.sql", "SELECT id FROM orders;\n");
    write(".sqlx/query-1.json", r#"{"query": "SELECT id FROM orders", "describe": {}}"#);
    write("pgss.csv", "queryid,query,calls\n1,SELECT id FROM orders,5\n");
    let stats = r#"{"schema_version": 1, "postgres": "15.1", "taken_at": "2026-01-01T00:00:00Z", "stats_reset": null, "window_seconds": null, "relations": []}"#;
    write("airlock-stats.json", stats);
    dir
}

fn airlock(dir: &Path, words: &[String]) -> Output {
    let mut c = Command::new(env!("CARGO_BIN_EXE_airlock"));
    for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("AIRLOCK_") && n != "AIRLOCK_TEST_PG") {
        c.env_remove(name);
    }
    // As wide as the blocks of the pages are.
    c.env_remove("GITHUB_ACTIONS").env("NO_COLOR", "1").env("LC_ALL", "C.UTF-8").env("COLUMNS", "100");
    c.current_dir(dir).args(words).stdin(Stdio::null()).output().expect("the program runs")
}

/// Words of a shell line, up to a pipe, a redirection or a comment. Only what the pages use is understood.
fn words(line: &str) -> Vec<String> {
    let (mut out, mut word, mut quote, mut any) = (Vec::new(), String::new(), None, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '\'' | '"') => (quote, any) = (Some(c), true),
            (Some(q), c) if c == q => quote = None,
            (None | Some('"'), '\\') => word.extend(chars.next()),
            (None, '#' | '|' | '>') if word.is_empty() && !any => break,
            (None, ' ') => {
                if any || !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
                any = false;
            }
            (_, c) => word.push(c),
        }
    }
    if any || !word.is_empty() {
        out.push(word);
    }
    out
}

#[test]
fn live_commands_of_the_pages_run() {
    let mut ran = 0;
    let (mut page, mut dir) = (String::new(), project());
    for b in blocks() {
        // What one page does is nothing that another may count on.
        let of = b.place.split(':').next().unwrap_or_default().to_string();
        if page != of {
            (page, dir) = (of, project());
        }
        let command = |l: &str| -> Option<String> {
            match b.language.as_str() {
                "sh" => l.starts_with("airlock ").then(|| l.to_string()),
                "console" => l.strip_prefix("$ airlock ").map(|l| format!("airlock {l}")),
                _ => None,
            }
        };
        for (n, line) in b.lines.iter().enumerate() {
            let Some(command) = command(line) else { continue };
            let words = words(&command);
            let o = airlock(dir.path(), &words[1..]);
            ran += 1;
            let said = String::from_utf8_lossy(&o.stdout).into_owned() + &String::from_utf8_lossy(&o.stderr);
            let place = format!("{}: {command}", b.place);
            if words[1] == "stats" {
                // The database of the page is not here; that it was looked for says that the options are right.
                assert!(o.status.code() == Some(2) && said.contains("reader@db"), "{place}: {said}");
                continue;
            }
            let proved = words[1] != "verify" || o.status.success();
            assert!(matches!(o.status.code(), Some(0 | 1)) && proved, "{place}: {said}");
            if b.language == "console" {
                let mut rest = said.as_str();
                for wanted in b.lines[n + 1..].iter().take_while(|l| !l.starts_with("$ ")) {
                    let at = rest.find(wanted.trim_end()).unwrap_or_else(|| panic!("{place}: `{wanted}` is not in\n{said}"));
                    rest = &rest[at + wanted.trim_end().len()..];
                }
            }
        }
    }
    assert!(ran >= 12, "the pages have commands: {ran}");
}

#[test]
fn live_sql_of_the_pages_is_sql() {
    use airlock::shadow::{Shadow, ShadowOptions};
    let shadow = Shadow::start(&ShadowOptions::default()).expect("a server");
    let mut ran = 0;
    for b in blocks().into_iter().filter(|b| b.language == "sql") {
        let sql = b.lines.join("\n");
        let db = shadow.database().expect("a database");
        let done = db.connect().expect("a session").simple(&sql);
        assert!(done.is_ok(), "{}: {}", b.place, done.err().map(|e| e.to_string()).unwrap_or_default());
        ran += 1;
    }
    assert!(ran >= 2, "the pages have SQL: {ran}");
}

#[test]
fn words_are_those_of_a_shell() {
    assert_eq!(
        words(r#"airlock plan a.sql --map "t.c: value=\"'x'\"" > out # why"#),
        ["airlock", "plan", "a.sql", "--map", "t.c: value=\"'x'\""]
    );
    assert_eq!(words("airlock check ''"), ["airlock", "check", ""]);
}

/// What a page links to is there; pages that only the book has are made by `scripts/book`.
#[test]
fn links_between_pages_lead_somewhere() {
    let link = regex::Regex::new(r"\]\(([^)#:]+)(#[^)]*)?\)").expect("a pattern");
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page");
        for to in link.captures_iter(&text).filter_map(|c| c.get(1)) {
            let target = page.parent().expect("a folder").join(to.as_str());
            assert!(target.exists(), "{}: {} leads nowhere", page.display(), to.as_str());
        }
    }
}
