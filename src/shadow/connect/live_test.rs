//! TLS against a server: every mode, with certificates made here. The server listens on an address of its own in the loopback range, so the
//! host's name and where it is are two things, as they are in the world.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::super::local::Local;
use super::super::session::Session;
use super::*;

const RULES: &str = "local all all trust
hostnossl all unsealed 127.0.0.0/8 trust
hostssl all sealed 127.0.0.0/8 scram-sha-256
hostssl all badge 127.0.0.0/8 cert
";

const ROLES: &str = "CREATE ROLE sealed LOGIN PASSWORD 'pa:ss\\word'; CREATE ROLE unsealed LOGIN; CREATE ROLE badge LOGIN;";

/// A server with TLS, and the certificates of the people around it.
struct Sealed {
    local: Local,
    address: String,
    folder: tempfile::TempDir,
    authority: Issuer<'static, KeyPair>,
}

impl Sealed {
    fn start() -> Sealed {
        let address = format!("127.{}.{}.{}", fastrand::u8(1..), fastrand::u8(..), fastrand::u8(1..255));
        let asked = super::super::tests::options();
        let programs = super::super::programs::find(asked.pg, asked.exact).expect("programs");
        let local = Local::start_with(&programs, false, None, &[("listen_addresses", &address), ("password_encryption", "scram-sha-256")])
            .expect("starts")
            .0;
        let folder = tempfile::tempdir().expect("a folder");
        let authority = self::authority("Ours", &folder.path().join("ca.pem"));
        drop(self::authority("Theirs", &folder.path().join("other.pem")));
        let sealed = Sealed { local, address, folder, authority };
        sealed.give("ca.crt", &std::fs::read(sealed.file("ca.pem")).expect("reads"));
        sealed.give("pg_hba.conf", RULES.as_bytes());
        sealed.certify(CertificateParams::new(["db.test".to_string()]).expect("a name"), "server");
        sealed.admin().run(ROLES).expect("roles");
        for setting in ["ssl_ca_file = 'ca.crt'", "ssl_cert_file = 'server.crt'", "ssl_key_file = 'server.key'", "ssl = on"] {
            sealed.admin().run(&format!("ALTER SYSTEM SET {setting}")).expect("sets");
        }
        sealed.reload();
        sealed
    }

    fn admin(&self) -> Session {
        Session::connect(&self.local.server(), Duration::from_secs(20)).expect("a session of the superuser")
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A file of the server's, which only its user may read.
    fn give(&self, name: &str, bytes: &[u8]) {
        let path = self.local.dir().join("data").join(name);
        std::fs::write(&path, bytes).expect("writes");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("keeps it private");
        let owner = std::fs::metadata(path.parent().expect("a folder")).expect("is there");
        use std::os::unix::fs::MetadataExt;
        chown(&path, Some(owner.uid()), Some(owner.gid())).expect("gives it away");
    }

    fn certify(&self, params: CertificateParams, who: &str) {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.authority).expect("signs");
        self.give(&format!("{who}.crt"), certificate.pem().as_bytes());
        self.give(&format!("{who}.key"), key.serialize_pem().as_bytes());
    }

    fn reload(&self) {
        let since = self.admin().value("SELECT pg_conf_load_time()").expect("asks");
        let mut admin = self.admin();
        admin.run("SELECT pg_reload_conf()").expect("reloads");
        let start = Instant::now();
        // Each new session shows what the server has read by then.
        while self.admin().value("SELECT pg_conf_load_time()").expect("asks") == since {
            assert!(start.elapsed() < Duration::from_secs(10), "the server does not reload");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn try_with(&self, words: &str, variables: &[(&str, &str)]) -> Result<Session, String> {
        let home = self.folder.path().display().to_string();
        let env = |name: &str| match name {
            "HOME" => Some(home.clone()),
            _ => variables.iter().find(|v| v.0 == name).map(|v| v.1.to_string()),
        };
        let url = format!("hostaddr={} {words}", self.address);
        let server = Server::with_env(&url, Env(&env)).map_err(|e| e.to_string())?;
        Session::connect(&server, Duration::from_secs(20)).map_err(|e| e.to_string())
    }

    /// Whether the session is under TLS, or why there is none.
    fn seal(&self, words: &str) -> Result<bool, String> {
        let mut session = self.try_with(words, &[("PGPASSWORD", "pa:ss\\word")])?;
        let seen = session.value("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").map_err(|e| e.to_string())?;
        Ok(seen.as_deref() == Some("t"))
    }

    fn refused(&self, words: &str, why: &str) {
        let said = self.seal(words).expect_err(words);
        assert!(said.contains(why), "{words}: {said}");
        assert!(!said.contains("pa:ss"), "{said}");
    }
}

fn authority(name: &str, file: &Path) -> Issuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    std::fs::write(file, params.self_signed(&key).expect("signs").pem()).expect("writes");
    Issuer::new(params, key)
}

fn own_file(path: PathBuf, text: &str, mode: u32) -> String {
    std::fs::write(&path, text).expect("writes");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("sets the mode");
    path.display().to_string()
}

#[test]
fn live_each_sslmode_keeps_its_promise() {
    let server = Sealed::start();
    let (ours, theirs) = (format!("sslrootcert={}", server.file("ca.pem")), format!("sslrootcert={}", server.file("other.pem")));
    let (right, wrong) = ("user=sealed host=db.test", "user=sealed host=elsewhere.test");
    for words in [
        right.to_string(),
        format!("{right} sslmode=allow"),
        format!("{right} sslmode=prefer"),
        format!("{right} sslmode=require"),
        format!("{right} sslmode=require channel_binding=require"),
        format!("{right} sslmode=require ssl_max_protocol_version=TLSv1.2"),
        format!("{right} sslmode=require sslsni=0"),
        format!("{wrong} sslmode=require {ours}"),
        format!("{wrong} sslmode=verify-ca {ours}"),
        format!("{right} sslmode=verify-full {ours}"),
    ] {
        assert_eq!(server.seal(&words), Ok(true), "{words}");
    }
    // From 17 on TLS may come first.
    let direct = server.seal(&format!("{right} sslmode=require sslnegotiation=direct"));
    let major: u32 = server.admin().value("SHOW server_version_num").expect("asks").expect("a number").parse().expect("a number");
    assert_eq!(direct.is_ok(), major >= 170_000, "{direct:?}");
    server.refused(&format!("{right} sslmode=disable"), "28000");
    server.refused(&format!("{wrong} sslmode=verify-full {ours}"), "not valid for name \"elsewhere.test\"");
    server.refused(&format!("user=sealed sslmode=verify-full {ours}"), "not valid for name");
    // An authority that nobody knows.
    for mode in ["require", "verify-ca", "verify-full"] {
        server.refused(&format!("{right} sslmode={mode} {theirs}"), "no certificate in sslrootcert vouches");
    }
    server.refused(&format!("{right} sslmode=verify-full"), "nothing says which are trusted");
    server.refused(&format!("{right} sslrootcert=system"), "UnknownIssuer");
    // Who may come only without TLS: `prefer` goes back to that, and nothing stronger does.
    assert_eq!(server.seal("user=unsealed host=db.test"), Ok(false));
    assert_eq!(server.seal("user=unsealed host=db.test sslmode=allow"), Ok(false));
    server.refused("user=unsealed host=db.test sslmode=require", "28000");
    // `root.crt` of the user's folder is the default.
    std::fs::create_dir(server.folder.path().join(".postgresql")).expect("a folder");
    std::fs::copy(server.file("ca.pem"), server.file(".postgresql/root.crt")).expect("copies");
    assert_eq!(server.seal(&format!("{right} sslmode=verify-full")), Ok(true));
    std::fs::copy(server.file("other.pem"), server.file(".postgresql/root.crt")).expect("copies");
    server.refused(&format!("{right} sslmode=require"), "vouches");
}

#[test]
fn live_a_bad_certificate_of_the_server_is_refused() {
    let server = Sealed::start();
    let ours = format!("user=sealed host=db.test sslrootcert={}", server.file("ca.pem"));
    let mut old = CertificateParams::new(["db.test".to_string()]).expect("a name");
    old.not_before = rcgen::date_time_ymd(2019, 1, 1);
    old.not_after = rcgen::date_time_ymd(2020, 1, 1);
    server.certify(old, "server");
    server.reload();
    server.refused(&format!("{ours} sslmode=verify-ca"), "has expired");
    assert_eq!(server.seal("user=sealed host=db.test sslmode=require"), Ok(true));

    // The name as the common name only.
    let mut common = CertificateParams::default();
    common.distinguished_name.push(DnType::CommonName, "db.test");
    server.certify(common, "server");
    server.reload();
    assert_eq!(server.seal(&format!("{ours} sslmode=verify-ca")), Ok(true));
    server.refused(&format!("{ours} sslmode=verify-full"), "subject alternative name");

    // As `openssl req -x509` makes it: its own authority. It is trusted when it is in the list, and its name is looked at all the same.
    let mut own = CertificateParams::new(["db.test".to_string()]).expect("a name");
    own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let pem = own.self_signed(&key).expect("signs").pem();
    server.give("server.crt", pem.as_bytes());
    server.give("server.key", key.serialize_pem().as_bytes());
    server.reload();
    server.refused(&format!("{ours} sslmode=verify-ca"), "certificate");
    let file = own_file(server.folder.path().join("own.pem"), &pem, 0o644);
    assert_eq!(server.seal(&format!("user=sealed host=db.test sslmode=verify-full sslrootcert={file}")), Ok(true));
    server.refused(&format!("user=sealed host=elsewhere.test sslmode=verify-full sslrootcert={file}"), "not valid for name");
}

#[test]
fn live_certificates_passwords_and_services_open_the_door() {
    let server = Sealed::start();
    let folder = server.folder.path();
    // The client's own certificate.
    let key = KeyPair::generate().expect("a key");
    let mut badge = CertificateParams::default();
    badge.distinguished_name = rcgen::DistinguishedName::new();
    badge.distinguished_name.push(DnType::CommonName, "badge");
    let pem = badge.signed_by(&key, &server.authority).expect("signs").pem();
    let certificate = own_file(folder.join("badge.crt"), &pem, 0o644);
    let private = own_file(folder.join("badge.key"), &key.serialize_pem(), 0o600);
    let with = format!("user=badge host=db.test sslmode=require sslcert={certificate} sslkey={private}");
    assert_eq!(server.seal(&with), Ok(true));
    server.refused("user=badge host=db.test sslmode=require", "28000");
    own_file(folder.join("badge.key"), &key.serialize_pem(), 0o644);
    server.refused(&with, "others may read the private key");

    // The password file, in its own place and in another, and not where others can read it.
    let words = "user=sealed host=db.test sslmode=require";
    let line = "db.test:5432:*:sealed:pa\\:ss\\\\word\n";
    let opens = |variables: &[(&str, &str)]| server.try_with(words, variables).map(drop);
    assert!(opens(&[]).expect_err("no password").contains("password"));
    let usual = own_file(folder.join(".pgpass"), line, 0o600);
    assert_eq!(opens(&[]), Ok(()));
    own_file(folder.join(".pgpass"), line, 0o640);
    assert!(opens(&[]).is_err(), "others can read {usual}");
    let named = own_file(folder.join("passwords"), line, 0o600);
    assert_eq!(opens(&[("PGPASSFILE", &named)]), Ok(()));
    let wrong = opens(&[("PGPASSFILE", &named), ("PGPASSWORD", "wrong")]).expect_err("the variable counts");
    assert!(wrong.contains("28P01") && !wrong.contains("wrong\""), "{wrong}");

    // A service says the rest.
    let root = server.file("ca.pem");
    let services =
        format!("[shop]\nuser=sealed\nhost=db.test\npassfile={named}\nsslmode=verify-full\nsslrootcert={root}\ndbname=postgres\n");
    let services = own_file(folder.join("services"), &services, 0o644);
    let shop = |words: &str| server.try_with(words, &[("PGSERVICEFILE", &services), ("PGHOST", "nowhere.test")]);
    let mut session = shop("service=shop").expect("connects");
    assert_eq!(session.value("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"), Ok(Some("t".into())));
    let said = shop("service=shop host=elsewhere.test").map(drop).expect_err("the words count more than the service");
    assert!(said.contains("password") || said.contains("not valid for name"), "{said}");
    assert!(shop("service=none").map(drop).expect_err("there is none").contains("no service `none`"));
}

#[test]
fn live_a_schema_is_copied_under_tls() {
    let server = Sealed::start();
    server.admin().simple("CREATE TABLE t (a int); GRANT SELECT ON t TO sealed").expect("a table");
    let words = |root: &str| {
        let (at, root) = (&server.address, server.file(root));
        let source = format!("hostaddr={at} host=db.test user=sealed password='pa:ss\\\\word' sslmode=verify-full sslrootcert={root}");
        super::super::statistics::Source::new(&source).expect("reads").schema()
    };
    match words("ca.pem") {
        Ok(copy) => assert!(copy.script.source.text().contains("CREATE TABLE public.t")),
        // No pg_dump of this version is here.
        Err(e) => assert!(matches!(e, ShadowError::NoDump { .. }), "{e}"),
    }
    let said = words("other.pem").err().expect("nobody vouches").to_string();
    assert!(!said.contains("pa:ss"), "{said}");
}

#[test]
fn live_a_statement_is_cancelled_under_tls() {
    let server = Sealed::start();
    let root = server.file("ca.pem");
    let words = format!("user=sealed host=db.test sslmode=verify-full sslrootcert={root}");
    let mut session = server.try_with(&words, &[("PGPASSWORD", "pa:ss\\word")]).expect("connects");
    session.set_limit(Duration::from_millis(200));
    let start = Instant::now();
    let e = session.run("SELECT pg_sleep(60)").expect_err("is stopped");
    assert!(e.is("57014") && start.elapsed() < Duration::from_secs(4), "{e}");
    session.set_limit(Duration::from_secs(20));
    let canceller = session.canceller();
    let other = std::thread::spawn(move || session.run("SELECT pg_sleep(60)"));
    let start = Instant::now();
    while !other.is_finished() && start.elapsed() < Duration::from_secs(10) {
        canceller.cancel();
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(other.join().expect("ends").expect_err("is cancelled").is("57014"));
}
