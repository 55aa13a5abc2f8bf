//! `airlock history` on a small folder of each runner. The folders are data: `testdata/frameworks/*.txt`, each with the output that is
//! expected of it. `AIRLOCK_BLESS=1 cargo test --test frameworks` writes the output anew, for people to read before they commit it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// One case: `args …`, then files behind `=== path` or `=== path | bom crlf`, then `=== expected`.
struct Case {
    path: PathBuf,
    args: Vec<String>,
    files: Vec<(String, Vec<u8>)>,
    expected: String,
    /// All but the expected output, as it stands in the file.
    head: String,
}

fn read(path: PathBuf) -> Case {
    let text = std::fs::read_to_string(&path).expect("readable");
    let (head, expected) = text.split_once("=== expected\n").expect("an expectation");
    let mut parts = head.split("\n=== ");
    let args = parts.next().unwrap_or_default().strip_prefix("args").expect("`args` on the first line");
    let files = parts.map(|p| {
        let (title, body) = p.split_once('\n').unwrap_or((p, ""));
        let (name, marks) = title.split_once(" | ").unwrap_or((title, ""));
        let mut body = format!("{}\n", body.trim_end_matches('\n'));
        let marks: Vec<&str> = marks.split(' ').collect();
        if marks.contains(&"crlf") {
            body = body.replace('\n', "\r\n");
        }
        if marks.contains(&"bom") {
            body.insert(0, '\u{feff}');
        }
        (name.to_string(), body.into_bytes())
    });
    Case {
        args: args.split_whitespace().map(str::to_string).collect(),
        files: files.collect(),
        expected: expected.to_string(),
        head: head.to_string(),
        path,
    }
}

fn run(case: &Case) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    // Keeps the search for `Cargo.toml` and the like inside.
    std::fs::create_dir(dir.path().join(".git")).expect("a folder");
    for (name, bytes) in &case.files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }
    let out = Command::new(env!("CARGO_BIN_EXE_airlock")).arg("history").args(&case.args).current_dir(dir.path()).output().expect("runs");
    let at = std::fs::canonicalize(dir.path()).expect("exists").display().to_string();
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr)).replace(&at, "DIR")
}

#[test]
fn histories_are_shown_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/frameworks");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder).expect("the cases").flatten().map(|e| e.path()).collect();
    paths.sort();
    let bless = std::env::var_os("AIRLOCK_BLESS").is_some();
    let mut wrong = Vec::new();
    for case in paths.into_iter().map(read) {
        let found = run(&case);
        if bless {
            std::fs::write(&case.path, format!("{}=== expected\n{found}", case.head)).expect("writable");
        } else if found != case.expected {
            wrong.push(format!("{}\nexpected:\n{}\nfound:\n{found}", case.path.display(), case.expected));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every framework has a case in which it is recognised without being named.
#[test]
fn every_framework_has_a_case() {
    use strum::IntoEnumIterator;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/frameworks");
    for framework in airlock::history::Framework::iter() {
        let case = read(folder.join(format!("{framework}.txt")));
        assert!(!case.args.iter().any(|a| a == "--framework"), "{framework}");
        let first = case.expected.lines().next().unwrap_or_default();
        assert!(first.contains(&format!(": {framework} (by ")), "{framework}: {first}");
    }
}
