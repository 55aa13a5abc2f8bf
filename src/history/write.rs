//! Writes files whole or not at all.

use std::io::Write;
use std::path::Path;

use super::HistoryError;
use super::read::read_sql;

/// Replaces a migration's text. `before` is what was read: a file that has changed since is left alone. UTF-16 stays UTF-16.
pub fn write_sql(path: &Path, before: &str, after: &str) -> Result<(), HistoryError> {
    if read_sql(path)? != before {
        return Err(HistoryError::Changed(path.to_path_buf()));
    }
    let mark = std::fs::read(path).map_err(|error| HistoryError::Unreadable { path: path.to_path_buf(), error })?;
    let wide = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> { after.encode_utf16().flat_map(bytes).collect() };
    match mark.get(..2) {
        Some([0xff, 0xfe]) => write_atomically(path, &[&[0xff, 0xfe], wide(u16::to_le_bytes).as_slice()].concat()),
        Some([0xfe, 0xff]) => write_atomically(path, &[&[0xfe, 0xff], wide(u16::to_be_bytes).as_slice()].concat()),
        _ => write_atomically(path, after.as_bytes()),
    }
}

/// Through a file beside it, which takes its place. A link stays a link, and permissions stay.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), HistoryError> {
    let unwritable = |error| HistoryError::Unwritable { path: path.to_path_buf(), error };
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".airlock-").tempfile_in(folder).map_err(unwritable)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(unwritable)?;
    match std::fs::metadata(&target) {
        Ok(meta) => file.as_file().set_permissions(meta.permissions()).map_err(unwritable)?,
        // A scratch file is for its owner only; a new one is as any other.
        #[cfg(unix)]
        Err(_) => {
            use std::os::unix::fs::PermissionsExt;
            file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).map_err(unwritable)?;
        }
        #[cfg(not(unix))]
        Err(_) => {}
    }
    file.persist(&target).map_err(|e| unwritable(e.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_and_line_ends_are_kept_and_changed_files_left_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("1.sql");
        let old = "SELECT 1;\r\n";
        let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain(old.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        std::fs::write(&path, wide).expect("writes");
        let text = read_sql(&path).expect("reads");
        write_sql(&path, &text, &text.replace('1', "2")).expect("writes");
        assert_eq!(std::fs::read(&path).expect("reads")[..2], [0xff, 0xfe]);
        assert_eq!(read_sql(&path).expect("reads"), "SELECT 2;\r\n");
        assert!(matches!(write_sql(&path, &text, "x"), Err(HistoryError::Changed(_))));
        assert_eq!(std::fs::read_dir(dir.path()).expect("lists").count(), 1, "no scratch file stays");
    }
}
