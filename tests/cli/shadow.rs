//! `airlock shadow`: a Postgres that stays.

use std::path::Path;

use super::{airlock_in, text};

struct Project(tempfile::TempDir);

impl Project {
    fn new(files: &[(&str, &str)]) -> Project {
        let dir = tempfile::tempdir().expect("a folder");
        files.iter().for_each(|(name, body)| std::fs::write(dir.path().join(name), body).expect("a file"));
        Project(dir)
    }

    fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let o = airlock_in(self.0.path(), args);
        (o.status.code(), text(&o), String::from_utf8_lossy(&o.stderr).into_owned())
    }
}

impl Drop for Project {
    /// A test that fails leaves nothing running either.
    fn drop(&mut self) {
        airlock_in(self.0.path(), &["shadow", "stop", "."]);
    }
}

/// The folder of the server, out of its URL.
fn folder(url: &str) -> String {
    url.split_once('@').and_then(|(_, rest)| rest.split_once(':')).map_or("", |(host, _)| host).replace("%2F", "/")
}

#[test]
fn a_shadow_stays_until_it_is_stopped_live() {
    let p = Project::new(&[
        ("1_base.sql", "CREATE TABLE orders (id bigint PRIMARY KEY, note text);"),
        ("2_rename.sql", "ALTER TABLE orders RENAME COLUMN note TO remark;"),
    ]);
    let (code, _, said) = p.run(&["shadow", "url"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("no shadow is running") && said.contains("airlock shadow start"), "{said}");

    let (code, out, err) = p.run(&["shadow", "start"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("2 files loaded"), "{out}");
    let (_, url, _) = p.run(&["shadow", "url"]);
    let dir = folder(&url);
    assert!(out.contains(url.trim()) && Path::new(&dir).is_dir(), "{url}");

    // A proof uses it, and leaves it as it was; so does cleaning up.
    let (code, out, err) = p.run(&["verify", "2_rename.sql"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("`airlock shadow start` left running"), "{out}");
    let (_, out, _) = p.run(&["shadow", "clean"]);
    assert!(!out.contains(&dir), "{out}");
    assert_eq!(p.run(&["shadow", "url"]).1, url);

    // Started anew, the schema is loaded anew, and the old server is gone.
    std::fs::write(p.0.path().join("3_broken.sql"), "ALTER TABLE nowhere ADD COLUMN x int;").expect("a file");
    let (code, out, _) = p.run(&["shadow", "start"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("refused: ") && out.contains("3_broken.sql:1"), "{out}");
    let (_, again, _) = p.run(&["shadow", "url"]);
    assert!(again != url && !Path::new(&dir).exists(), "{again}");

    let (_, out, _) = p.run(&["shadow", "stop"]);
    assert!(out.starts_with("stopped: "), "{out}");
    assert!(!Path::new(&folder(&again)).exists());
    assert_eq!(p.run(&["shadow", "stop"]).1, "nothing was running\n");
}
