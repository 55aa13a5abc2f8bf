//! The password file.

use std::path::{Path, PathBuf};

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::Env;

/// The password for a connection that names none.
pub(super) fn password(config: &Config, file: Option<String>, env: Env) -> Option<String> {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(h)) => h.clone(),
        // libpq calls every socket so.
        _ => "localhost".to_string(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
    let wanted = [host.as_str(), &port, config.get_dbname().unwrap_or_default(), config.get_user().unwrap_or_default()];
    let path = file.map(PathBuf::from).or_else(|| env.own_file(".pgpass", "pgpass.conf"))?;
    find(&read(&path)?, wanted)
}

fn read(path: &Path) -> Option<String> {
    // As libpq: a file that others can read is not used.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let meta = std::fs::metadata(path).ok()?;
        if !meta.is_file() || meta.permissions().mode() & 0o077 != 0 {
            return None;
        }
    }
    std::fs::read_to_string(path).ok()
}

/// `host:port:database:user:password`, `*` for any, a backslash before `:` and `\`; the first line that fits.
fn find(text: &str, wanted: [&str; 4]) -> Option<String> {
    text.lines().filter(|l| !l.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let [host, port, database, user, password] = fields.as_slice() else { return None };
        let fits = [host, port, database, user].iter().zip(wanted).all(|(f, w)| *f == "*" || *f == w);
        fits.then(|| password.clone())
    })
}

fn fields(line: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, out.len()) {
            ('\\', _) => out.last_mut().into_iter().for_each(|f| f.extend(chars.next())),
            // The password is the rest of the line.
            (':', n) if n < 5 => out.push(String::new()),
            (c, _) => out.last_mut().into_iter().for_each(|f| f.push(c)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_wins() {
        let file = "# comment\ndb:5433:*:me:other\ndb:5432:shop:me:a\\:b\\\\c\n*:*:*:*:last:word\n";
        assert_eq!(find(file, ["db", "5432", "shop", "me"]).as_deref(), Some("a:b\\c"));
        assert_eq!(find(file, ["db", "5433", "x", "me"]).as_deref(), Some("other"));
        assert_eq!(find(file, ["h", "1", "x", "y"]).as_deref(), Some("last:word"));
        assert_eq!(find("db:1:x", ["db", "1", "x", "y"]), None);
    }
}
