//! What git knows about the files of a history: which are new, and which were committed before and are edited now.
//!
//! Compared with the place where the branch left `origin/HEAD`; without a remote, with the last commit. Where there is no repository or no `git`, nothing
//! is known, and nothing is said.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Files that the base does not have.
    pub new: BTreeSet<PathBuf>,
    /// Files that the base has with other SQL.
    pub edited: BTreeSet<PathBuf>,
}

/// Changes below the folder.
pub fn changes(root: &Path) -> Option<Changes> {
    let root = std::fs::canonicalize(root).ok()?;
    // Starting a program costs more than looking for the folder.
    root.ancestors().find(|a| a.join(".git").exists())?;
    let top = PathBuf::from(git(&root, &["rev-parse", "--show-toplevel"])?.trim_end());
    git(&root, &["rev-parse", "--verify", "--quiet", "HEAD"])?;
    let base = git(&root, &["merge-base", "HEAD", "origin/HEAD"]).map_or_else(|| "HEAD".to_string(), |b| b.trim().to_string());
    let mut out = Changes::default();
    let diff = git(&root, &["diff", "--name-status", "--no-renames", "-z", &base, "--", "."])?;
    let mut fields = diff.split('\0');
    let mut modified: BTreeMap<PathBuf, String> = BTreeMap::new();
    while let (Some(status), Some(path)) = (fields.next(), fields.next()) {
        match status {
            "A" => {
                out.new.insert(top.join(path));
            }
            "M" => {
                modified.insert(top.join(path), path.to_string());
            }
            _ => {}
        }
    }
    let untracked = git(&root, &["ls-files", "--others", "--exclude-standard", "--full-name", "-z", "--", "."])?;
    out.new.extend(untracked.split('\0').filter(|p| !p.is_empty()).map(|p| top.join(p)));
    for (path, inside) in modified {
        if !path.extension().is_some_and(|e| e.eq_ignore_ascii_case("sql")) {
            continue;
        }
        let was = git(&root, &["show", &format!("{base}:{inside}")]);
        let is = std::fs::read_to_string(&path).ok();
        if was.zip(is).is_some_and(|(was, is)| words(&was) != words(&is)) {
            out.edited.insert(path);
        }
    }
    Some(out)
}

/// Files below the folder that are not as they are in `since` (where the branch left it), or that are staged. `Err`: why git does not tell.
pub fn changed(root: &Path, since: Option<&str>) -> Result<BTreeSet<PathBuf>, String> {
    let unknown = |e: std::io::Error| format!("{}: {e}", root.display());
    let root = std::fs::canonicalize(if root.as_os_str().is_empty() { Path::new(".") } else { root }).map_err(unknown)?;
    let top = git(&root, &["rev-parse", "--show-toplevel"])
        .ok_or_else(|| format!("{}: no git repository here, or no `git` to ask; leave --since and --staged out", root.display()))?;
    let top = PathBuf::from(top.trim_end());
    let Some(since) = since else {
        let staged = git(&root, &["diff", "--cached", "--name-only", "--no-renames", "--diff-filter=AM", "-z", "--", "."]);
        return Ok(paths(&top, &staged.ok_or("`git diff --cached` failed")?));
    };
    let commit = format!("{since}^{{commit}}");
    if since.starts_with('-') || git(&root, &["rev-parse", "--verify", "--quiet", &commit]).is_none() {
        return Err(format!("git knows no commit, branch or tag `{since}`; in CI, fetch it first (actions/checkout: `fetch-depth: 0`)"));
    }
    // A shallow clone may not hold the common ancestor; then the commit itself is the base.
    let base = git(&root, &["merge-base", "HEAD", since]).map_or_else(|| since.to_string(), |b| b.trim().to_string());
    let diff =
        git(&root, &["diff", "--name-only", "--no-renames", "--diff-filter=AM", "-z", &base, "--", "."]).ok_or("`git diff` failed")?;
    let mut out = paths(&top, &diff);
    let untracked = git(&root, &["ls-files", "--others", "--exclude-standard", "--full-name", "-z", "--", "."]);
    out.extend(paths(&top, &untracked.unwrap_or_default()));
    Ok(out)
}

fn paths(top: &Path, listed: &str) -> BTreeSet<PathBuf> {
    listed.split('\0').filter(|p| !p.is_empty()).map(|p| top.join(p)).collect()
}

/// The text without line comments and blanks: what a reformatted file keeps.
fn words(sql: &str) -> String {
    let code = sql.lines().map(|l| l.split("--").next().unwrap_or_default());
    code.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

fn git(at: &Path, args: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.arg("--no-optional-locks").arg("-C").arg(at).args(args).stdin(Stdio::null()).stderr(Stdio::null());
    let out = command.output().ok().filter(|o| o.status.success())?;
    String::from_utf8(out.stdout).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(at: &Path, args: &[&str]) {
        let who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"];
        let ok = Command::new("git").arg("-C").arg(at).args(who).args(args).output().expect("git runs").status.success();
        assert!(ok, "git {args:?}");
    }

    #[test]
    fn new_and_edited_files_are_told_apart() {
        let dir = tempfile::tempdir().expect("a folder");
        let root = std::fs::canonicalize(dir.path()).expect("a path");
        let write = |name: &str, text: &str| std::fs::write(root.join(name), text).expect("written");
        assert_eq!(changes(&root), None);
        run(&root, &["init", "-q"]);
        write("1.sql", "CREATE TABLE a (b int);\n");
        write("2.sql", "CREATE TABLE c (d int);\n");
        run(&root, &["add", "."]);
        run(&root, &["commit", "-qm", "first"]);
        write("1.sql", "-- only a comment\nCREATE TABLE a\n  (b int);\n");
        write("2.sql", "CREATE TABLE c (d bigint);\n");
        write("0.sql", "SELECT 1;\n");
        let found = changes(&root).expect("a repository");
        assert_eq!(found.new, BTreeSet::from([root.join("0.sql")]));
        assert_eq!(found.edited, BTreeSet::from([root.join("2.sql")]));
        // All that is not as it was, and what is staged of it.
        let all = ["0.sql", "1.sql", "2.sql"].map(|n| root.join(n));
        assert_eq!(changed(&root, Some("HEAD")), Ok(BTreeSet::from(all)));
        assert_eq!(changed(&root, None), Ok(BTreeSet::new()));
        run(&root, &["add", "2.sql"]);
        assert_eq!(changed(&root, None), Ok(BTreeSet::from([root.join("2.sql")])));
        assert!(changed(&root, Some("no-such-branch")).expect_err("unknown").contains("`no-such-branch`"));
        assert!(changed(&root, Some("--output=x")).is_err());
    }
}
