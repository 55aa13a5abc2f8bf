//! The schema of a real database, as `pg_dump` of this machine writes it: never a row, and in a read-only session.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::history::{Execution, Script, Send};
use crate::op::PgVersion;
use crate::source::SourceFile;

use super::error::ShadowError;
use super::programs;
use super::session::Session;
use super::statistics::Source;

/// Tablespaces and providers of labels are the server's, not the schema's; subscriptions hold passwords.
const OPTIONS: &[&str] = &[
    "--schema-only",
    "--no-password",
    "--no-subscriptions",
    "--no-tablespaces",
    "--no-security-labels",
    "--encoding=UTF8",
    // Every table is locked ACCESS SHARE: who holds one exclusively must not make this wait, nor it others.
    "--lock-wait-timeout=2000",
];

/// How long it may take.
const LIMIT: Duration = Duration::from_secs(300);

/// What is taken out: passwords, and what only a superuser may make. The first words of the statements that make it.
const LEFT_OUT: &[(&str, &[&str])] = &[
    ("user mapping", &["CREATE USER MAPPING"]),
    ("event trigger", &["CREATE EVENT TRIGGER", "ALTER EVENT TRIGGER", "COMMENT ON EVENT TRIGGER"]),
];

/// A schema without rows.
pub struct SchemaCopy {
    pub script: Script,
    /// Of the server that has it.
    pub pg: PgVersion,
    /// Kinds of what was taken out, and how many of each.
    pub left_out: Vec<(&'static str, usize)>,
}

impl Source {
    pub fn schema(&self) -> Result<SchemaCopy, ShadowError> {
        let pg = self.version()?;
        let program = programs::find_dump(pg.0)?;
        let mut command = Command::new(&program);
        self.server().lead(&mut command);
        let text = self.written_by(command.env("LC_ALL", "C").args(OPTIONS), &program)?;
        let (text, left_out) = without_secrets(text);
        let script = Script::whole(SourceFile::new(self.describe(), text), Execution::new(false, Send::Statement));
        Ok(SchemaCopy { script, pg, left_out })
    }

    fn version(&self) -> Result<PgVersion, ShadowError> {
        let connect = ShadowError::sql(format!("connect to {}", self.describe()));
        let mut session = Session::connect(self.server(), Duration::from_secs(90)).map_err(connect)?;
        let number = session.value("SHOW server_version_num").map_err(ShadowError::sql("ask for the server's version"))?;
        let major = number.and_then(|n| n.parse::<u32>().ok()).map_or(0, |n| (n / 10_000) as u8);
        if PgVersion::SUPPORTED.contains(&major) { Ok(PgVersion(major)) } else { Err(ShadowError::UnknownVersion { found: major }) }
    }

    fn written_by(&self, command: &mut Command, program: &std::path::Path) -> Result<String, ShadowError> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(ShadowError::io("run", program))?;
        let (out, said) = (reader(child.stdout.take()), reader(child.stderr.take()));
        let good = ended(&mut child).map_err(ShadowError::io("wait for", program))?;
        let (out, said) = (out.join().unwrap_or_default(), said.join().unwrap_or_default());
        match good {
            Some(true) => Ok(out),
            Some(false) => Err(self.refused(&said)),
            None => Err(self.refused(&format!("stopped: it ran longer than {} s", LIMIT.as_secs()))),
        }
    }

    fn refused(&self, said: &str) -> ShadowError {
        let next = if said.contains("permission denied") {
            "pg_dump locks each table ACCESS SHARE, and for that the role must be allowed to read it, though no row is read: \
             a member of pg_read_all_data is; or give a dump with --schema"
        } else if said.contains("statement timeout") {
            "somebody holds a table exclusively, and it was not waited for; run it again when that has ended"
        } else {
            "a dump made elsewhere will do as well: --schema"
        };
        // What it asked in vain is of no help to a reader.
        let lines = said.lines().filter(|l| !l.contains("detail: Query was") && !l.is_empty()).take(4).collect::<Vec<_>>();
        ShadowError::Dump { database: self.describe(), said: lines.join("\n  "), next: next.into() }
    }
}

fn reader(pipe: Option<impl Read + std::marker::Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut p) = pipe {
            let _ = p.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Whether it ended well; `None`: it was stopped because it took too long.
fn ended(child: &mut Child) -> std::io::Result<Option<bool>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        if start.elapsed() > LIMIT {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The dump with blanks in place of what is left out, so that lines keep their numbers.
fn without_secrets(text: String) -> (String, Vec<(&'static str, usize)>) {
    let source = SourceFile::new(PathBuf::new(), text);
    let mut out = source.text().to_string();
    let mut count = vec![0; LEFT_OUT.len()];
    for s in crate::lower::lower(&source, &[source.full_span()]) {
        let words = source.slice(s.span).split_whitespace().take(4).collect::<Vec<_>>().join(" ").to_ascii_uppercase();
        let Some(kind) = LEFT_OUT.iter().position(|(_, heads)| heads.iter().any(|h| words.starts_with(h))) else { continue };
        count[kind] += usize::from(words.starts_with("CREATE"));
        let blank: String =
            source.slice(s.span).chars().flat_map(|c| std::iter::repeat_n(if c == '\n' { '\n' } else { ' ' }, c.len_utf8())).collect();
        out.replace_range(s.span.range(), &blank);
    }
    let found = LEFT_OUT.iter().zip(count).filter(|(_, n)| *n > 0).map(|((kind, _), n)| (*kind, n));
    (out, found.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_a_dump_are_blanked_and_lines_stay() {
        let dump = "CREATE TABLE t (a int);\nCREATE USER MAPPING FOR app SERVER far OPTIONS (\n    password 'sécret',\n    \"user\" 'x'\n);\n\
                    CREATE EVENT TRIGGER e ON ddl_command_end\n   EXECUTE FUNCTION f();\nALTER EVENT TRIGGER e OWNER TO app;\n\
                    COMMENT ON EVENT TRIGGER e IS 'x';\nCREATE TABLE u (a text DEFAULT 'CREATE USER MAPPING');\n";
        let (text, left_out) = without_secrets(dump.to_string());
        assert_eq!(left_out, [("user mapping", 1), ("event trigger", 1)]);
        assert!(!text.contains("cret") && !text.contains("TRIGGER"), "{text}");
        assert_eq!((text.lines().count(), text.len()), (dump.lines().count(), dump.len()));
        assert!(text.contains("CREATE TABLE t (a int);") && text.ends_with("CREATE TABLE u (a text DEFAULT 'CREATE USER MAPPING');\n"));
    }
}
