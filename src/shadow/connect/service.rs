//! Service files: named sets of parameters.

use std::path::PathBuf;

use super::{Env, Given};

/// The parameters of a service: the user's file, then the system's.
pub(super) fn find(name: &str, file: Option<String>, env: Env) -> Result<Given, String> {
    let own = match file {
        Some(f) => Some(PathBuf::from(f)),
        None => env.own_file(".pg_service.conf", ".pg_service.conf"),
    };
    let mut looked = Vec::new();
    for path in own.into_iter().chain(system(env)) {
        if let Ok(text) = std::fs::read_to_string(&path)
            && let Some(found) = section(&text, name).map_err(|e| format!("{}: {e}", path.display()))?
        {
            return Ok(found);
        }
        looked.push(path.display().to_string());
    }
    Err(format!("there is no service `{name}`; looked in: {}", looked.join(", ")))
}

/// Where distributions put the system's file; libpq knows the folder that it was built for.
fn system(env: Env) -> Vec<PathBuf> {
    let folders = match env.get("PGSYSCONFDIR") {
        Some(f) => vec![f],
        None => ["/etc/postgresql-common", "/etc/sysconfig/pgsql", "/etc"].map(String::from).to_vec(),
    };
    folders.into_iter().map(|f| PathBuf::from(f).join("pg_service.conf")).collect()
}

fn section(text: &str, name: &str) -> Result<Option<Given>, String> {
    let mut found: Option<Given> = None;
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(heading) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            if found.is_some() {
                break;
            }
            if heading == name {
                found = Some(Given::new());
            }
            continue;
        }
        let Some(given) = &mut found else { continue };
        let (key, value) = line.split_once('=').ok_or_else(|| format!("line {} is not `key=value`", n + 1))?;
        if key.trim() == "service" {
            return Err(format!("line {}: a service cannot name a service", n + 1));
        }
        // As libpq: the first line for a key counts.
        given.entry(key.trim().to_string()).or_insert_with(|| value.trim().to_string());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "# ours\n[other]\nhost=elsewhere\n\n[shop]\nhost=db\n port = 5433\nsslmode=verify-full\nhost=late\n[last]\nnonsense\n";

    #[test]
    fn a_section_is_read_to_its_end() {
        let found = section(FILE, "shop").expect("reads").expect("is there");
        assert_eq!(found, [("host", "db"), ("port", "5433"), ("sslmode", "verify-full")].map(|(k, v)| (k.into(), v.into())).into());
        assert_eq!(section(FILE, "none"), Ok(None));
        assert_eq!(section(FILE, "last"), Err("line 11 is not `key=value`".into()));
        assert!(section("[a]\nservice=b\n", "a").is_err());
    }

    #[test]
    fn the_users_file_comes_before_the_systems() {
        let dir = tempfile::tempdir().expect("a folder");
        let (home, system) = (dir.path().join("home"), dir.path().join("etc"));
        std::fs::create_dir_all(&home).and_then(|()| std::fs::create_dir_all(&system)).expect("folders");
        std::fs::write(home.join(".pg_service.conf"), "[shop]\nhost=mine\n").expect("writes");
        std::fs::write(system.join("pg_service.conf"), "[shop]\nhost=theirs\n[books]\nhost=theirs\n").expect("writes");
        let env = |name: &str| match name {
            "HOME" | "APPDATA" => Some(home.display().to_string()),
            "PGSYSCONFDIR" => Some(system.display().to_string()),
            _ => None,
        };
        let host = |name: &str, file| find(name, file, Env(&env)).map(|g| g["host"].clone());
        if cfg!(unix) {
            assert_eq!(host("shop", None).as_deref(), Ok("mine"));
        }
        assert_eq!(host("books", None).as_deref(), Ok("theirs"));
        let own = dir.path().join("own");
        std::fs::write(&own, "[shop]\nhost=own\n").expect("writes");
        assert_eq!(host("shop", Some(own.display().to_string())).as_deref(), Ok("own"));
        let said = host("tools", None).expect_err("is nowhere");
        assert!(said.contains("no service `tools`") && said.contains("pg_service.conf"), "{said}");
    }
}
