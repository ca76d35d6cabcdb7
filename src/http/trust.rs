//! Whom to trust over TLS: the machine's authorities, those of a file, one
//! certificate by its fingerprint, or, only when asked, anyone.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, ring as provider, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The SHA-256 of a certificate, printed as `AB:CD:…` like OpenSSL and Proxmox VE do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// A text that is not a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not a SHA-256 fingerprint: expected 64 hexadecimal digits, with or without colons"
)]
pub struct NotAFingerprint;

impl Fingerprint {
    /// The fingerprint of a certificate in DER.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Fingerprint(bytes)
    }
}

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let text = text.trim();
        // As OpenSSL prints it: `sha256 Fingerprint=AB:…`.
        let text = text.rsplit_once('=').map_or(text, |(_, digits)| digits);
        let digits: Vec<u8> = text
            .chars()
            .filter(|c| !matches!(c, ':' | ' '))
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()
            .ok_or(NotAFingerprint)?;
        if digits.len() != 64 {
            return Err(NotAFingerprint);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Ok(Fingerprint(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Fingerprint {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Fingerprint".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "The SHA-256 fingerprint of a certificate: 64 hexadecimal digits, with or without colons.",
            "pattern": "^([0-9A-Fa-f]{2}:?){32}$",
        })
    }
}

/// Whom to trust over TLS.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// The authorities that this machine trusts.
    #[default]
    System,
    /// The authorities of a file and nobody else.
    Authorities(Arc<[CertificateDer<'static>]>),
    /// One certificate, whatever it says and whoever signed it.
    Pin(Fingerprint),
    /// Anyone. Whoever is on the way can read and change everything.
    Anyone,
}

/// Something wrong in the keys that say whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustProblem {
    /// The key: `ca_file`, `fingerprint` or `verify_tls`.
    pub key: &'static str,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Trust {
    /// Whom the three keys `ca_file`, `fingerprint` and `verify_tls` say to trust. Reads the file.
    ///
    /// # Errors
    /// When they contradict each other, or the file holds no certificate.
    pub fn choose(
        ca_file: Option<&Path>,
        fingerprint: Option<Fingerprint>,
        verify_tls: bool,
    ) -> Result<Self, TrustProblem> {
        let refuse = |key, message: &str| Err(TrustProblem { key, message: message.to_owned() });
        match (ca_file, fingerprint, verify_tls) {
            (None, None, true) => Ok(Trust::System),
            (None, None, false) => Ok(Trust::Anyone),
            (None, Some(pin), true) => Ok(Trust::Pin(pin)),
            (Some(path), None, true) => authorities(path).map(Trust::Authorities),
            (Some(_), Some(_), true) => refuse(
                "fingerprint",
                "`ca_file` and `fingerprint` are both given; keep one of them",
            ),
            (_, _, false) => refuse(
                "verify_tls",
                "`verify_tls = false` switches off what `ca_file` or `fingerprint` ask for; remove it",
            ),
        }
    }

    /// What a TLS client needs to trust so.
    #[must_use]
    pub fn client_config(&self) -> ClientConfig {
        let provider = Arc::new(provider::default_provider());
        let verifier =
            Arc::new(Verifier { rule: self.rule(&provider), provider: Arc::clone(&provider) });
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring serves TLS 1.2 and 1.3")
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth()
    }

    fn rule(&self, provider: &Arc<CryptoProvider>) -> Rule {
        let chain = |roots: RootCertStore, exact: Arc<[CertificateDer<'static>]>| {
            let provider = Arc::clone(provider);
            match WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build() {
                Ok(verifier) => Rule::Chain { verifier, exact },
                Err(_) => Rule::Nobody,
            }
        };
        let mut roots = RootCertStore::empty();
        match self {
            Trust::System => {
                // What cannot be read is missing from the roots, and said when it is missed.
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
                chain(roots, Arc::new([]))
            }
            Trust::Authorities(certificates) => {
                roots.add_parsable_certificates(certificates.iter().cloned());
                chain(roots, Arc::clone(certificates))
            }
            Trust::Pin(pin) => Rule::Pin(*pin),
            Trust::Anyone => Rule::Anyone,
        }
    }
}

fn authorities(path: &Path) -> Result<Arc<[CertificateDer<'static>]>, TrustProblem> {
    let refuse = |what: String| TrustProblem {
        key: "ca_file",
        message: format!("cannot read `ca_file` {}: {what}", path.display()),
    };
    let text = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| refuse(format!("it is not PEM: {error}")))?;
    let (usable, _) =
        RootCertStore::empty().add_parsable_certificates(certificates.iter().cloned());
    if usable == 0 {
        return Err(refuse(
            "it holds no certificate in PEM (-----BEGIN CERTIFICATE-----)".to_owned(),
        ));
    }
    Ok(certificates.into())
}

/// A certificate that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(super) struct Untrusted {
    /// What was shown.
    pub(super) fingerprint: Fingerprint,
    /// Why it was not accepted, and what to do.
    pub(super) reason: String,
}

/// How a certificate is judged.
#[derive(Debug)]
enum Rule {
    Chain {
        verifier: Arc<WebPkiServerVerifier>,
        /// Certificates that are trusted as they are. `openssl req -x509` makes servers'
        /// certificates that are marked as authorities, which no chain may end in.
        exact: Arc<[CertificateDer<'static>]>,
    },
    Pin(Fingerprint),
    Anyone,
    /// No authority is known.
    Nobody,
}

#[derive(Debug)]
struct Verifier {
    rule: Rule,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<(), String> {
        match &self.rule {
            Rule::Anyone => Ok(()),
            Rule::Pin(pin) if Fingerprint::of(leaf) == *pin => Ok(()),
            Rule::Pin(pin) => Err(format!(
                "its certificate is not the one with the fingerprint {pin}; if it was renewed on purpose, set the new one"
            )),
            Rule::Nobody => Err(
                "this machine knows no authorities to check its certificate with; install the package ca-certificates, or set `ca_file` or `fingerprint`".to_owned(),
            ),
            Rule::Chain { verifier, exact } => {
                let judged = verifier.verify_server_cert(leaf, chain, name, ocsp, now).map(|_| ());
                // What is known as it is needs no chain; its time runs out all the same.
                let is_known = exact.iter().any(|known| known.as_ref() == leaf.as_ref());
                let judged = match judged {
                    Err(error) if is_known && !is_out_of_time(&error) => {
                        let parsed = ParsedCertificate::try_from(leaf);
                        parsed.and_then(|leaf| rustls::client::verify_server_name(&leaf, name))
                    }
                    judged => judged,
                };
                judged.map_err(|error| explain(&error, name))
            }
        }
    }
}

fn is_out_of_time(error: &rustls::Error) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    let rustls::Error::InvalidCertificate(problem) = error else { return false };
    matches!(problem, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
}

const SELF_SIGNED: &str = "its certificate is self-signed or from an unknown authority; set `ca_file` to that authority's certificate, or `fingerprint` to this one's";

/// What is wrong with a certificate, and what to do about it.
fn explain(error: &rustls::Error, name: &ServerName<'_>) -> String {
    let rustls::Error::InvalidCertificate(problem) = error else {
        return error.to_string();
    };
    // webpki has no public name for a server's certificate that is marked as an authority,
    // as those are that `openssl req -x509` makes.
    let own_authority = matches!(problem, CertificateError::Other(inner) if inner.0.to_string().contains("CaUsedAsEndEntity"));
    match problem {
        _ if own_authority => SELF_SIGNED.to_owned(),
        CertificateError::UnknownIssuer => SELF_SIGNED.to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "its certificate is not for `{}`; use a name that it is for, or set `fingerprint`",
                name.to_str()
            )
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired; renew it, or set `fingerprint` to accept this one"
                .to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; check the clocks of both machines".to_owned()
        }
        other => format!(
            "its certificate is not acceptable ({other}); set `fingerprint` to accept it as it is"
        ),
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.judge(leaf, chain, name, ocsp, now) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(reason) => {
                let untrusted = Untrusted { fingerprint: Fingerprint::of(leaf), reason };
                let other = CertificateError::Other(OtherError(Arc::new(untrusted)));
                Err(rustls::Error::InvalidCertificate(other))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_in_every_common_form() {
        let of_nothing = "E3:B0:C4:42:98:FC:1C:14:9A:FB:F4:C8:99:6F:B9:24:27:AE:41:E4:64:9B:93:4C:A4:95:99:1B:78:52:B8:55";
        assert_eq!(Fingerprint::of(b"").to_string(), of_nothing);
        for text in [
            of_nothing.to_owned(),
            of_nothing.replace(':', "").to_lowercase(),
            format!("sha256 Fingerprint={of_nothing}"),
        ] {
            assert_eq!(text.parse(), Ok(Fingerprint::of(b"")), "{text}");
        }
        for text in
            ["", "ab", &of_nothing[3..], &format!("{of_nothing}:00"), &of_nothing.replace('E', "é")]
        {
            assert_eq!(text.parse::<Fingerprint>(), Err(NotAFingerprint), "{text}");
        }
    }

    #[test]
    fn keys_that_contradict_each_other_are_refused() {
        let pin = Some(Fingerprint([7; 32]));
        let file = Some(Path::new("/nonexistent/ca.pem"));
        let key = |ca, pin, verify| Trust::choose(ca, pin, verify).unwrap_err().key;
        assert_eq!(key(file, pin, true), "fingerprint");
        assert_eq!(key(None, pin, false), "verify_tls");
        assert_eq!(key(file, None, true), "ca_file");
        assert!(matches!(Trust::choose(None, None, false), Ok(Trust::Anyone)));
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, "hello").unwrap();
        let problem = Trust::choose(Some(&path), None, true).unwrap_err();
        assert!(problem.message.contains("no certificate"), "{problem:?}");
    }
}
