//! Files that no runner would write, given to the program itself: an exit code and a message, never a panic.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn command(folder: &Path) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_airlock"));
    for name in ["GITHUB_ACTIONS", "AIRLOCK_CONFIG", "AIRLOCK_FRAMEWORK", "AIRLOCK_PG_VERSION", "AIRLOCK_OUTPUT_FORMAT", "AIRLOCK_SCHEMA"] {
        c.env_remove(name);
    }
    c.current_dir(folder);
    c
}

#[track_caller]
fn run(folder: &Path, args: &[&str]) -> Output {
    let o = command(folder).args(args).output().expect("the program runs");
    let err = String::from_utf8_lossy(&o.stderr);
    assert!(matches!(o.status.code(), Some(0..=2)), "{args:?}: {:?}\n{err}", o.status);
    assert!(!err.contains("panicked"), "{args:?}: {err}");
    o
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(folder.join(name), bytes).expect("it is written");
}

#[test]
fn every_command_takes_whatever_a_file_holds() {
    let wide = |text: &str| [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect::<Vec<u8>>();
    let table = "CREATE TABLE t (a int);\nALTER TABLE t ADD COLUMN b int NOT NULL;\n";
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("blank", b" \n\t\n".to_vec()),
        ("zeros", vec![0; 4096]),
        ("utf-16", wide(table)),
        ("utf-16-cut", wide(table)[..21].to_vec()),
        ("bom", [b"\xef\xbb\xbf", table.as_bytes()].concat()),
        ("latin-1", b"SELECT 1;\n-- caf\xe9\n".to_vec()),
        ("carriage-returns", table.replace('\n', "\r").into_bytes()),
        ("nul", b"CREATE TABLE t\0 (a int);".to_vec()),
        ("bytes", (0..=255).collect()),
        ("deep", format!("SELECT {}", "(".repeat(50_000)).into_bytes()),
        ("unclosed", b"CREATE TABLE t (a int); SELECT $$ 'x".to_vec()),
    ];
    for (name, bytes) in files {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), "001_x.sql", &bytes);
        for args in [
            &["check", "001_x.sql"][..],
            &["check", "001_x.sql", "--output-format", "json"],
            &["effects", "001_x.sql"],
            &["schema", "."],
            &["history", "."],
            &["plan", "001_x.sql"],
        ] {
            let o = run(folder.path(), args);
            if name == "latin-1" {
                // `check` finds it and goes on; what builds on the text stops.
                let said = String::from_utf8_lossy(if args[0] == "check" { &o.stdout } else { &o.stderr });
                assert!(said.contains("001_x.sql") && said.contains('2'), "{args:?} names neither file nor line: {said}");
            }
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_does_not_hide_the_others() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "001_x.sql", b"CREATE TABLE orders (note text DEFAULT 'caf\xe9');\nDROP TABLE IF EXISTS x;\n");
    write(folder.path(), "002_y.sql", b"DROP TABLE orders;\n");
    let o = run(folder.path(), &["check", ".", "--output-format", "concise"]);
    let said = String::from_utf8_lossy(&o.stdout);
    assert_eq!(o.status.code(), Some(1), "{said}");
    assert!(said.contains("001_x.sql:1:44: ") && said.contains("[unreadable-file]"), "{said}");
    assert!(said.contains("002_y.sql:1:") && said.contains("[drop-table]"), "{said}");
    // What is converted on the way is never written back.
    let before = std::fs::read(folder.path().join("001_x.sql")).expect("reads");
    run(folder.path(), &["check", ".", "--fix", "--select", "all", "--unsafe-fixes"]);
    assert_eq!(std::fs::read(folder.path().join("001_x.sql")).expect("reads"), before);
}

#[test]
fn a_finding_about_an_unreadable_file_can_be_ignored() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("old")).expect("a folder");
    let latin = b"SELECT 'caf\xe9';\n";
    write(folder.path(), "old/001_x.sql", latin);
    write(folder.path(), "002_y.sql", latin);
    let found = |config: &str, args: &[&str]| {
        write(folder.path(), "airlock.toml", config.as_bytes());
        let o = run(folder.path(), &[&["check", ".", "--output-format", "concise"], args].concat());
        let said = String::from_utf8_lossy(&o.stdout);
        let lines = said.lines().filter(|l| l.contains("[unreadable-file]")).map(|l| l.split(" [").next().unwrap_or_default());
        lines.map(|l| l.split(':').filter(|p| !p.starts_with(char::is_numeric)).collect::<String>()).collect::<Vec<_>>().join("; ")
    };
    let both = found("", &[]);
    assert!(both.contains("old/001_x.sql error") && both.contains("002_y.sql error"), "{both}");
    assert_eq!(found("", &["--ignore", "unreadable-file"]), "");
    assert_eq!(found("[rules]\nignore = ['unreadable-file']\n", &[]), "");
    let one = found("[[overrides]]\npaths = ['old']\nignore = ['unreadable-file']\n", &[]);
    assert!(!one.contains("old/001") && one.contains("002_y.sql error"), "{one}");
    let one = found("[rules]\nignore = ['unreadable-file']\n[[overrides]]\npaths = ['old']\nselect = ['unreadable-file']\n", &[]);
    assert!(one.contains("old/001") && !one.contains("002_y"), "{one}");
    let mild = found(
        "[rules.severity]\nunreadable-file = 'advice'\n[[overrides]]\npaths = ['old']\nseverity = { unreadable-file = 'warning' }\n",
        &[],
    );
    assert!(mild.contains("old/001_x.sql warning") && mild.contains("002_y.sql advice"), "{mild}");
    // A comment in the file speaks too, and counts as used.
    write(folder.path(), "002_y.sql", b"-- airlock: allow-file unreadable-file -- generated\nSELECT 'caf\xe9';\n");
    let one = found("", &[]);
    assert!(one.contains("old/001") && !one.contains("002_y"), "{one}");
    let o = run(folder.path(), &["check", "002_y.sql", "--output-format", "concise"]);
    assert!(!String::from_utf8_lossy(&o.stdout).contains("unused-suppression"));
}

#[test]
fn carriage_returns_alone_end_lines_of_comments() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "001_x.sql", b"-- first\rDROP TABLE orders;\r");
    let o = run(folder.path(), &["check", "001_x.sql", "--output-format", "json"]);
    assert!(String::from_utf8_lossy(&o.stdout).contains("drop-table"), "the statement behind the comment is lost");
}

#[test]
fn a_folder_called_like_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("002_x.sql")).expect("a folder");
    write(folder.path(), "001_x.sql", b"DROP TABLE orders;");
    let o = run(folder.path(), &["check", "."]);
    assert!(String::from_utf8_lossy(&o.stdout).contains("drop-table"), "{}", String::from_utf8_lossy(&o.stderr));
}

#[cfg(unix)]
#[test]
fn links_that_lead_in_a_circle_or_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).expect("a link");
    std::os::unix::fs::symlink(folder.path().join("nothing"), folder.path().join("003_x.sql")).expect("a link");
    std::os::unix::fs::symlink(folder.path().join("004_x.sql"), folder.path().join("004_x.sql")).expect("a link");
    write(folder.path(), "001_x.sql", b"DROP TABLE orders;");
    let o = run(folder.path(), &["check", "."]);
    assert!(String::from_utf8_lossy(&o.stdout).contains("drop-table"), "{}", String::from_utf8_lossy(&o.stderr));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "001_x.sql", "DROP TABLE orders;\n".repeat(5_000).as_bytes());
    let mut child = command(folder.path())
        .args(["check", "001_x.sql", "--output-format", "concise"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut out = child.stdout.take().expect("its output");
    let mut first = [0; 64];
    out.read_exact(&mut first).expect("some output");
    drop(out);
    let o = child.wait_with_output().expect("it ends");
    assert!(matches!(o.status.code(), Some(0 | 1)), "{:?}: {}", o.status, String::from_utf8_lossy(&o.stderr));
}
