//! Reads files and folders: the only part of this room that touches the disk, beside `canonicalize`.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use walkdir::WalkDir;

use crate::source::{Problem, SourceFile};

use super::HistoryError;

/// The text of a SQL file. UTF-16 with a byte-order mark, as some Windows editors write it, is converted.
pub fn read_sql(path: &Path) -> Result<String, HistoryError> {
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => HistoryError::NotFound(path.to_path_buf()),
        _ => HistoryError::Unreadable { path: path.to_path_buf(), error },
    })?;
    decode(path, bytes)
}

/// The text of bytes that came from the file.
pub fn decode(path: &Path, bytes: Vec<u8>) -> Result<String, HistoryError> {
    let wide = |pair: fn([u8; 2]) -> u16| -> Vec<u16> { bytes[2..].chunks_exact(2).map(|c| pair([c[0], c[1]])).collect() };
    match bytes.get(..2) {
        Some([0xff, 0xfe]) => return Ok(String::from_utf16_lossy(&wide(u16::from_le_bytes))),
        Some([0xfe, 0xff]) => return Ok(String::from_utf16_lossy(&wide(u16::from_be_bytes))),
        _ => {}
    }
    String::from_utf8(bytes).map_err(|e| {
        let offset = e.utf8_error().valid_up_to();
        let line = e.as_bytes()[..offset].iter().filter(|b| **b == b'\n').count() + 1;
        HistoryError::NotUtf8 { path: path.to_path_buf(), line, offset }
    })
}

/// What can be made of a file that cannot be read as it stands, so that the files around it are read all the same.
fn in_spite_of(path: &Path, error: HistoryError) -> SourceFile {
    let (text, at, message) = match error {
        HistoryError::NotUtf8 { offset, .. } => {
            // Every byte is a character of Latin-1: what is ASCII, which is all of the SQL that matters, reads the same.
            let text: String = std::fs::read(path).unwrap_or_default().into_iter().map(char::from).collect();
            let at = text.char_indices().nth(offset).map_or(0, |(i, _)| i);
            (text, at, format!("byte {offset} of the file is not UTF-8, and Postgres refuses it unless client_encoding says what it is"))
        }
        HistoryError::Unreadable { error, .. } => (String::new(), 0, format!("the file cannot be read: {error}")),
        other => (String::new(), 0, other.to_string()),
    };
    SourceFile::with_problem(path, text, Problem { message, at: at as u32 })
}

pub fn is_sql(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("sql"))
}

/// Languages in which runners take migrations beside SQL.
fn is_code(path: &Path) -> bool {
    let code = ["go", "py", "rb", "js", "cjs", "mjs", "ts", "java", "kt", "groovy", "xml", "yaml", "yml"];
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| code.contains(&e))
}

/// Folders that hold no migrations of the project.
fn is_foreign(name: &str) -> bool {
    matches!(name, "node_modules" | "target" | "vendor" | ".git" | ".venv" | "__pycache__")
}

fn walk(root: &Path) -> impl Iterator<Item = Result<PathBuf, HistoryError>> {
    let root = root.to_path_buf();
    WalkDir::new(&root)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|e| e.depth() == 0 || !(e.file_type().is_dir() && is_foreign(&e.file_name().to_string_lossy())))
        .filter_map(move |e| match e {
            Ok(e) => e.file_type().is_file().then(|| Ok(e.into_path())),
            // A link that leads round in a circle or nowhere holds no file.
            Err(e) if e.loop_ancestor().is_some() || leads_nowhere(&e) => None,
            Err(e) => {
                let path = e.path().unwrap_or(&root).to_path_buf();
                Some(Err(HistoryError::Unreadable { path, error: e.into() }))
            }
        })
}

/// A link to nothing, or to itself; not one to a place that may not be read.
fn leads_nowhere(e: &walkdir::Error) -> bool {
    e.io_error().is_some_and(|io| {
        io.kind() == std::io::ErrorKind::NotFound
            || (io.kind() != std::io::ErrorKind::PermissionDenied && e.path().is_some_and(Path::is_symlink))
    })
}

pub fn sql_files_below(root: &Path) -> Result<Vec<PathBuf>, HistoryError> {
    walk(root).filter(|p| p.as_ref().map_or(true, |p| is_sql(p))).collect()
}

/// What lies in a folder of migrations.
pub struct Folder {
    pub root: PathBuf,
    /// SQL files, relative to the root with `/`, with their full path.
    pub sql: BTreeMap<String, PathBuf>,
    /// Migrations written in another language.
    pub code: Vec<PathBuf>,
    /// A file whose text is not the one on the disk.
    instead: Option<(PathBuf, String)>,
    /// A file that cannot be read is a file with a problem, not the end.
    tolerant: bool,
    /// Texts of files that nobody has asked for yet.
    read: Mutex<HashMap<PathBuf, String>>,
}

impl Folder {
    pub fn open(root: &Path, instead: Option<(PathBuf, String)>, tolerant: bool) -> Result<Folder, HistoryError> {
        let mut folder =
            Folder { root: root.to_path_buf(), sql: BTreeMap::new(), code: Vec::new(), instead, tolerant, read: Mutex::default() };
        let start = if root.as_os_str().is_empty() { Path::new(".") } else { root };
        for path in walk(start) {
            let path = path?;
            let inside = path.strip_prefix(start).unwrap_or(&path);
            let name = inside.to_string_lossy().replace('\\', "/");
            let shown = root.join(inside);
            if is_sql(&path) {
                folder.sql.insert(name, shown);
            } else if is_code(&path) && name.chars().any(|c| c.is_ascii_digit()) {
                folder.code.push(shown);
            }
        }
        if let Some((path, _)) = &folder.instead
            && let Ok(inside) = path.strip_prefix(root)
            && is_sql(path)
        {
            folder.sql.insert(inside.to_string_lossy().replace('\\', "/"), path.clone());
        }
        // What cannot be read is met again, and said, by whoever needs it. A dump beside the migrations may be of no interest to anybody.
        let small = |p: &Path| std::fs::metadata(p).is_ok_and(|m| m.len() < 1 << 20);
        let texts = folder.sql.par_iter().filter(|(_, p)| small(p)).filter_map(|(_, p)| Some((p.clone(), read_sql(p).ok()?))).collect();
        Ok(Folder { read: Mutex::new(texts), ..folder })
    }

    /// One of its files.
    pub fn source(&self, path: &Path) -> Result<SourceFile, HistoryError> {
        let text = match &self.instead {
            Some((p, text)) if p == path => text.clone(),
            _ => match self.taken(path).map_or_else(|| read_sql(path), Ok) {
                Ok(text) => text,
                Err(e) if self.tolerant => return Ok(in_spite_of(path, e)),
                Err(e) => return Err(e),
            },
        };
        Ok(SourceFile::new(path, text))
    }

    fn taken(&self, path: &Path) -> Option<String> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).remove(path)
    }

    /// No folder at all: text from standard input has nothing beside it.
    pub fn empty() -> Folder {
        Folder { root: PathBuf::from("\0"), sql: BTreeMap::new(), code: Vec::new(), instead: None, tolerant: false, read: Mutex::default() }
    }

    /// A file beside the migrations, as text.
    pub fn beside(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.root.join(name)).ok()
    }

    /// The name exists in the root or in one of the folders above, up to the repository.
    pub fn above(&self, name: &str) -> bool {
        self.find_above(name).is_some()
    }

    /// Its text.
    pub fn read_above(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.find_above(name)?).ok()
    }

    fn find_above(&self, name: &str) -> Option<PathBuf> {
        let start = std::fs::canonicalize(if self.root.as_os_str().is_empty() { Path::new(".") } else { &self.root });
        let start = start.ok()?;
        for folder in start.ancestors().take(10) {
            let found = folder.join(name);
            if found.is_file() {
                return Some(found);
            }
            if folder.join(".git").exists() {
                return None;
            }
        }
        None
    }
}
