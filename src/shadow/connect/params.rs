//! Connection parameters: from a URL or words, then the service file, then the environment; the first to name one counts.

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;

use super::{Env, Given, service};

/// Parameters that the driver understands.
const DRIVER: &[&str] = &[
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "sslnegotiation",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// What libpq has more, and this folder takes care of.
const OURS: &[&str] = &[
    "passfile",
    "service",
    "servicefile",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "sslsni",
];

/// What changes nothing here: the encoding is always UTF-8, there is no compression and no GSSAPI to be preferred.
const IDLE: &[&str] =
    &["client_encoding", "fallback_application_name", "gssdelegation", "gsslib", "krbsrvname", "keepalives_count", "sslcompression"];

const VARIABLES: &[(&str, &str)] = &[
    ("PGAPPNAME", "application_name"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGDATABASE", "dbname"),
    ("PGGSSENCMODE", "gssencmode"),
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGLOADBALANCEHOSTS", "load_balance_hosts"),
    ("PGOPTIONS", "options"),
    ("PGPASSFILE", "passfile"),
    ("PGPASSWORD", "password"),
    ("PGPORT", "port"),
    ("PGREQUIREAUTH", "require_auth"),
    ("PGREQUIREPEER", "requirepeer"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLCRL", "sslcrl"),
    ("PGSSLCRLDIR", "sslcrldir"),
    ("PGSSLKEY", "sslkey"),
    ("PGSSLMAXPROTOCOLVERSION", "ssl_max_protocol_version"),
    ("PGSSLMINPROTOCOLVERSION", "ssl_min_protocol_version"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLNEGOTIATION", "sslnegotiation"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLSNI", "sslsni"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
    ("PGUSER", "user"),
];

/// All that is said about the connection. Errors name parameters, never their values.
pub(super) fn gather(url: &str, env: Env) -> Result<Given, String> {
    let mut given = read(url)?;
    let service = given.remove("service").or_else(|| env.get("PGSERVICE"));
    let file = given.remove("servicefile").or_else(|| env.get("PGSERVICEFILE"));
    if let Some(name) = service {
        add(&mut given, service::find(&name, file, env)?);
    }
    add(&mut given, VARIABLES.iter().filter_map(|(variable, key)| Some((key.to_string(), env.get(variable)?))));
    given.retain(|_, value| !value.is_empty());
    if let Some(key) = given.keys().find(|k| !known(k) && k.as_str() != "gssencmode") {
        return Err(format!("Airlock does not know the parameter `{key}`, or cannot do what it asks"));
    }
    if given.remove("gssencmode").is_some_and(|mode| mode == "require") {
        return Err("there is no GSSAPI here, and `gssencmode` requires it".into());
    }
    given.retain(|key, _| !IDLE.contains(&key.as_str()));
    complete(&mut given, env)?;
    Ok(given)
}

/// The variable in which libpq looks for a parameter.
pub(super) fn variable(key: &str) -> Option<&'static str> {
    VARIABLES.iter().find(|(_, k)| *k == key).map(|(variable, _)| *variable)
}

fn known(key: &str) -> bool {
    [DRIVER, OURS, IDLE].iter().any(|list| list.contains(&key))
}

fn add(given: &mut Given, more: impl IntoIterator<Item = (String, String)>) {
    for (key, value) in more {
        given.entry(key).or_insert(value);
    }
}

/// What nobody said. There is no default for the host: what is reached by accident may be anything.
fn complete(given: &mut Given, env: Env) -> Result<(), String> {
    if !given.contains_key("host") {
        let address = given.get("hostaddr").cloned();
        given.insert("host".into(), address.ok_or("it names no host, nor does PGHOST or a service")?);
    }
    if !given.contains_key("user") {
        let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|v| env.get(v));
        given.insert("user".into(), user.ok_or("it names no user, nor does PGUSER or a service")?);
    }
    let rest = [("dbname", "postgres"), ("connect_timeout", "10"), ("application_name", "airlock")];
    add(given, rest.map(|(key, value)| (key.to_string(), value.to_string())));
    Ok(())
}

pub(super) fn config(given: &Given) -> Result<Config, String> {
    let quoted = |v: &str| v.replace('\\', "\\\\").replace('\'', "\\'");
    let words: Vec<String> = given.iter().map(|(key, value)| format!("{key}='{}'", quoted(value))).collect();
    // The driver's words name the parameter, never its value.
    words
        .join(" ")
        .parse()
        .map_err(|e: tokio_postgres::Error| std::error::Error::source(&e).map_or_else(|| e.to_string(), |s| s.to_string()))
}

fn read(url: &str) -> Result<Given, String> {
    match ["postgres://", "postgresql://"].iter().find_map(|scheme| url.strip_prefix(scheme)) {
        Some(rest) => uri(rest),
        None if url.contains('=') => words(url),
        None => Err("it is neither a URL nor `key=value` words".into()),
    }
}

/// `user:password@host:port,host:port/database?key=value&…`; every part may be left out.
fn uri(rest: &str) -> Result<Given, String> {
    let mut given = Given::new();
    let mut put = |key: &str, value: &str| -> Result<(), String> {
        let value = percent_decode_str(value).decode_utf8().map_err(|_| format!("`{key}` is not UTF-8"))?;
        given.insert(key.to_string(), value.into_owned());
        Ok(())
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, hosts) = authority.split_once('@').unwrap_or(("", authority));
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let ends: Vec<(&str, &str)> = hosts.split(',').map(host_and_port).collect::<Result<_, _>>()?;
    let list = |part: fn(&(&str, &str)) -> String| ends.iter().map(part).collect::<Vec<_>>().join(",");
    put("host", &list(|e| e.0.to_string()))?;
    if ends.iter().any(|e| !e.1.is_empty()) {
        put("port", &list(|e| e.1.to_string()))?;
    }
    for (key, value) in [("user", user), ("password", password), ("dbname", database)] {
        put(key, value)?;
    }
    for pair in query.split('&').filter(|p| !p.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or("a parameter behind `?` has no `=`")?;
        match (key, value) {
            // What JDBC says.
            ("ssl", "true") => put("sslmode", "require")?,
            _ => put(&percent_decode_str(key).decode_utf8_lossy(), value)?,
        }
    }
    // An empty part says nothing, so that the environment may.
    given.retain(|_, value| !value.is_empty());
    Ok(given)
}

fn host_and_port(end: &str) -> Result<(&str, &str), String> {
    match end.strip_prefix('[') {
        Some(v6) => {
            let (host, port) = v6.split_once(']').ok_or("a `]` is missing behind the address")?;
            Ok((host, port.strip_prefix(':').unwrap_or(port)))
        }
        None => Ok(end.split_once(':').unwrap_or((end, ""))),
    }
}

/// `host=db dbname='a b'`, with `\` before a quote or a backslash.
fn words(text: &str) -> Result<Given, String> {
    let mut given = Given::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, behind) = rest.split_once('=').ok_or("a word has no `=`")?;
        let (value, behind) = value(behind.trim_start())?;
        given.insert(key.trim().to_string(), value);
        rest = behind.trim_start();
    }
    Ok(given)
}

fn value(text: &str) -> Result<(String, &str), String> {
    let quoted = text.starts_with('\'');
    let mut out = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => out.extend(chars.next().map(|(_, c)| c)),
            '\'' if quoted => return Ok((out, &text[at + 1..])),
            c if !quoted && c.is_whitespace() => return Ok((out, &text[at..])),
            c => out.push(c),
        }
    }
    match quoted {
        true => Err("a quoted value has no end".into()),
        false => Ok((out, "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(url: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let env = |name: &str| variables.iter().find(|v| v.0 == name).map(|v| v.1.to_string());
        let all = gather(url, Env(&env))?;
        let shown = all.iter().filter(|(k, _)| !matches!(k.as_str(), "connect_timeout" | "application_name"));
        Ok(shown.map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn urls_and_words_say_the_same() {
        let all = "dbname=shop host=db port=5433 user=me";
        for url in ["postgres://me@db:5433/shop", "postgresql://db/shop?port=5433&user=me", "user = me host=db port='5433' dbname=shop"] {
            assert_eq!(given(url, &[]).as_deref(), Ok(all), "{url}");
        }
        assert_eq!(
            given("postgres://m%40e:p%3Aw%2F@[::1]:1,b:2/a%20b?sslmode=verify-full", &[]).as_deref(),
            Ok("dbname=a b host=::1,b password=p:w/ port=1,2 sslmode=verify-full user=m@e")
        );
        assert_eq!(
            given(r"host=/run/pg user=me password='it\'s a \\'  dbname=x\ y", &[]).as_deref(),
            Ok(r"dbname=x y host=/run/pg password=it's a \ user=me")
        );
        assert_eq!(given("postgres://me@%2Frun%2Fpg/x?ssl=true", &[]).as_deref(), Ok("dbname=x host=/run/pg sslmode=require user=me"));
    }

    #[test]
    fn the_environment_fills_what_is_not_said() {
        let variables = [("PGHOST", "env"), ("PGUSER", "her"), ("PGPORT", ""), ("PGSSLMODE", "require"), ("USER", "me")];
        assert_eq!(given("postgres:///shop", &variables).as_deref(), Ok("dbname=shop host=env sslmode=require user=her"));
        assert_eq!(given("postgres://db?sslmode=disable", &variables).as_deref(), Ok("dbname=postgres host=db sslmode=disable user=her"));
        assert_eq!(
            given("hostaddr=127.0.0.1", &[("USER", "me")]).as_deref(),
            Ok("dbname=postgres host=127.0.0.1 hostaddr=127.0.0.1 user=me")
        );
    }

    #[test]
    fn what_cannot_be_kept_is_refused_without_saying_a_value() {
        for (url, word) in [
            ("postgres:///x", "no host"),
            ("postgres://db/x", "no user"),
            ("secret", "neither a URL"),
            ("postgres://me:secret@db/x?sslcrl=secret", "`sslcrl`"),
            ("postgres://me:secret@db/x?gssencmode=require", "GSSAPI"),
            ("host=db user=me password='secret", "no end"),
            ("host=db user=me secret", "no `=`"),
            ("postgres://me:secret@[::1/x", "`]`"),
        ] {
            let said = given(url, &[]).expect_err(url);
            assert!(said.contains(word) && !said.contains("secret"), "{url}: {said}");
        }
        let said = given("postgres://me:secret@db/x", &[("PGREQUIREPEER", "secret")]).expect_err("a peer");
        assert!(said.contains("`requirepeer`") && !said.contains("secret"), "{said}");
    }

    #[test]
    fn the_driver_reads_what_was_gathered() {
        let all = gather(r"host=db user=me password='a\'\\ b' options='-c a=b'", Env(&|_| None)).expect("gathers");
        let config = config(&all).expect("reads");
        assert_eq!(config.get_password(), Some(&b"a'\\ b"[..]));
        assert_eq!(config.get_options(), Some("-c a=b"));
        let said = super::config(&Given::from([("port".into(), "secret".into())])).expect_err("no port");
        assert!(said.contains("port") && !said.contains("secret"), "{said}");
    }
}
