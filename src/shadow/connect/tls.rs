//! What `sslmode` and its companions ask, carried out by rustls.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, SupportedProtocolVersion, version,
};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Env, Given};

/// libpq's six, from the weakest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
enum Mode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

#[derive(Debug)]
pub(super) struct Settings {
    mode: Mode,
    roots: Roots,
    /// The client's certificate and its key.
    own: Option<(PathBuf, PathBuf)>,
    versions: Vec<&'static SupportedProtocolVersion>,
    names_host: bool,
}

#[derive(Debug)]
enum Roots {
    None,
    System,
    File(PathBuf),
}

impl Settings {
    /// Takes what is about TLS out of the parameters.
    pub(super) fn take(given: &mut Given, env: Env) -> Result<Settings, String> {
        let mut take = |key: &str| given.remove(key);
        let wanted = take("sslmode");
        let system = "sslrootcert=system checks the host's name: sslmode=verify-full goes with it, and nothing weaker";
        let mode = match &wanted {
            Some(m) => m.parse().map_err(|_| "`sslmode` is none of disable, allow, prefer, require, verify-ca, verify-full".to_string())?,
            None => Mode::Prefer,
        };
        let file = |given: Option<String>, name: &str| match given {
            Some(f) => Some(PathBuf::from(f)),
            None => env.own_file(&format!(".postgresql/{name}"), name).filter(|f| f.exists()),
        };
        let (mode, roots) = match take("sslrootcert") {
            Some(f) if f == "system" => match (&wanted, mode) {
                (None, _) | (_, Mode::VerifyFull) => (Mode::VerifyFull, Roots::System),
                _ => return Err(system.into()),
            },
            given => (mode, file(given, "root.crt").map_or(Roots::None, Roots::File)),
        };
        let own = match (file(take("sslcert"), "postgresql.crt"), file(take("sslkey"), "postgresql.key")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (Some(_), None) => return Err("there is a certificate of the client's and no key: `sslkey` names one".into()),
            _ => None,
        };
        let least = take("ssl_min_protocol_version").unwrap_or_else(|| "TLSv1.2".into());
        let most = take("ssl_max_protocol_version").unwrap_or_else(|| "TLSv1.3".into());
        let known = [("TLSv1.2", &version::TLS12), ("TLSv1.3", &version::TLS13)];
        // The names sort as the versions do.
        let versions: Vec<_> = known.iter().filter(|(n, _)| *n >= least.as_str() && *n <= most.as_str()).map(|(_, v)| *v).collect();
        if versions.is_empty() {
            return Err("Airlock speaks TLSv1.2 and TLSv1.3, and the protocol versions that are asked for leave none of them".into());
        }
        let names_host = take("sslsni").is_none_or(|v| v != "0");
        Ok(Settings { mode, roots, own, versions, names_host })
    }

    /// What the driver needs for TLS, and the ways to try; nothing where TLS is not wanted.
    pub(super) fn connector(&self) -> Result<Option<(MakeRustlsConnect, &'static [SslMode])>, String> {
        let ways: &[SslMode] = match self.mode {
            Mode::Disable => return Ok(None),
            Mode::Allow => &[SslMode::Disable, SslMode::Require],
            Mode::Prefer => &[SslMode::Prefer, SslMode::Disable],
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => &[SslMode::Require],
        };
        let provider = Arc::new(ring::default_provider());
        let verifier = Verifier::new(self.check(), &self.roots, provider.clone())?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .map_err(|e| e.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &self.own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
                .map_err(|e| format!("the client's certificate {} cannot be used: {e}", certificate.display()))?,
        };
        config.enable_sni = self.names_host;
        // Servers from 17 on ask for it where TLS comes first (`sslnegotiation=direct`); older ones do not look.
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Some((MakeRustlsConnect::new(config), ways)))
    }

    /// As libpq: where there is a file of trusted certificates, `require` means `verify-ca`.
    fn check(&self) -> Check {
        match (self.mode, &self.roots) {
            (Mode::VerifyFull, _) => Check::ChainAndName,
            (Mode::VerifyCa, _) | (Mode::Require, Roots::File(_)) => Check::Chain,
            _ => Check::Nothing,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    Nothing,
    Chain,
    ChainAndName,
}

#[derive(Debug)]
struct Verifier {
    check: Check,
    roots: RootCertStore,
    /// The same certificates as they stand in the file.
    trusted: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(check: Check, roots: &Roots, provider: Arc<CryptoProvider>) -> Result<Verifier, String> {
        let trusted = match (check, roots) {
            (Check::Nothing, _) => Vec::new(),
            (_, Roots::None) => {
                return Err("sslmode asks to check the server's certificate, and nothing says which are trusted\n  give the file of the \
                            authority's certificate with sslrootcert=FILE or PGSSLROOTCERT, put it at ~/.postgresql/root.crt, or say \
                            sslrootcert=system"
                    .into());
            }
            (_, Roots::File(f)) => certificates(f)?,
            (_, Roots::System) => rustls_native_certs::load_native_certs().certs,
        };
        if check != Check::Nothing && trusted.is_empty() {
            return Err("there is no trusted certificate in what `sslrootcert` names".into());
        }
        let mut store = RootCertStore::empty();
        // The system's store may hold some that rustls does not take; a file of the user's must be good.
        let (_, bad) = store.add_parsable_certificates(trusted.iter().cloned());
        if let (Roots::File(f), 1..) = (roots, bad) {
            return Err(format!("{} of the certificates in {} cannot be read", bad, f.display()));
        }
        Ok(Verifier { check, roots: store, trusted, provider })
    }

    /// A certificate of the list itself needs nobody to vouch for it; `openssl req -x509` makes such ones, marked as an authority's.
    fn is_trusted_itself(&self, certificate: &CertificateDer, refusal: &Error) -> bool {
        let as_authority = matches!(refusal, Error::InvalidCertificate(CertificateError::Other(e)) if e.to_string() == "CaUsedAsEndEntity");
        as_authority && self.trusted.contains(certificate)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.check == Check::Nothing {
            return Ok(ServerCertVerified::assertion());
        }
        let parsed = ParsedCertificate::try_from(certificate)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        match verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, between, now, algorithms) {
            Err(e) if !self.is_trusted_itself(certificate, &e) => return Err(e),
            _ => {}
        }
        if self.check == Check::ChainAndName {
            verify_server_name(&parsed, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let said = |e: rustls::pki_types::pem::Error| format!("the certificates in {} cannot be read: {e}", path.display());
    let found: Vec<_> = CertificateDer::pem_file_iter(path).map_err(said)?.collect::<Result<_, _>>().map_err(said)?;
    if found.is_empty() { Err(format!("there is no certificate in {}", path.display())) } else { Ok(found) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        // As libpq: the user's alone, or root's and readable for a group.
        let open = std::fs::metadata(path).is_ok_and(|m| m.mode() & if m.uid() == 0 { 0o037 } else { 0o077 } != 0);
        if open {
            return Err(format!("others may read the private key {}; `chmod 600` it", path.display()));
        }
    }
    PrivateKeyDer::from_pem_file(path)
        .map_err(|e| format!("the private key {} cannot be read: {e} (one with a passphrase cannot be used)", path.display()))
}

fn refusal(e: &tokio_postgres::Error) -> Option<&Error> {
    let io = std::error::Error::source(e)?.downcast_ref::<std::io::Error>()?;
    io.get_ref()?.downcast_ref::<Error>()
}

/// The failure lies in TLS and not in what was said through it.
pub(super) fn is_about_tls(e: &tokio_postgres::Error) -> bool {
    refusal(e).is_some()
}

/// What the person at the terminal can do about a refused certificate.
pub(super) fn next_step(e: &tokio_postgres::Error) -> Option<&'static str> {
    let Error::InvalidCertificate(why) = refusal(e)? else { return None };
    Some(match why {
        CertificateError::UnknownIssuer => "no certificate in sslrootcert vouches for the server's",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "name the host as its certificate does (hostaddr=… says where it is), or say sslmode=verify-ca; the certificate must list the \
             name as a subject alternative name"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the server's certificate has expired",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(words: &[(&str, &str)]) -> Result<Settings, String> {
        let mut given: Given = words.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let end = Settings::take(&mut given, Env(&|_| None));
        assert!(given.is_empty(), "{given:?}");
        end
    }

    #[test]
    fn modes_check_what_libpq_checks() {
        let check = |words: &[(&str, &str)]| settings(words).map(|s| s.check());
        assert_eq!(check(&[]), Ok(Check::Nothing));
        assert_eq!(check(&[("sslmode", "require")]), Ok(Check::Nothing));
        assert_eq!(check(&[("sslmode", "require"), ("sslrootcert", "ca.pem")]), Ok(Check::Chain));
        assert_eq!(check(&[("sslmode", "verify-ca"), ("sslrootcert", "ca.pem")]), Ok(Check::Chain));
        assert_eq!(check(&[("sslmode", "verify-full")]), Ok(Check::ChainAndName));
        assert_eq!(check(&[("sslrootcert", "system")]), Ok(Check::ChainAndName));
        assert!(check(&[("sslrootcert", "system"), ("sslmode", "require")]).is_err());
        assert!(check(&[("sslmode", "verify_full")]).is_err());
    }

    #[test]
    fn what_cannot_be_checked_is_refused_before_anything_is_sent() {
        let said = |words: &[(&str, &str)]| settings(words).and_then(|s| s.connector().map(|c| c.is_some()));
        assert!(said(&[("sslmode", "verify-full")]).expect_err("no roots").contains("sslrootcert=FILE"));
        let missing = said(&[("sslmode", "verify-ca"), ("sslrootcert", "/no/such/file")]).expect_err("no file");
        assert!(missing.contains("/no/such/file"), "{missing}");
        let empty = tempfile::NamedTempFile::new().expect("a file");
        let path = empty.path().display().to_string();
        assert!(said(&[("sslmode", "verify-ca"), ("sslrootcert", &path)]).expect_err("no certificate").contains("no certificate"));
        assert!(said(&[("sslcert", "a.crt")]).expect_err("no key").contains("sslkey"));
        assert!(said(&[("ssl_max_protocol_version", "TLSv1.1")]).is_err());
        assert_eq!(said(&[("sslmode", "disable")]), Ok(false));
        assert_eq!(said(&[("ssl_min_protocol_version", "TLSv1.3")]), Ok(true));
    }
}
