//! TLS: certificate files read and paired, and one rustls configuration towards others for each set of them, verification
//! always on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, Error, InconsistentKeys, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use zeroize::Zeroizing;

/// PEM files for one outbound TLS connection; the platform's roots are used without a `ca`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsFiles {
    /// Roots to trust instead of the platform's.
    pub ca: Option<PathBuf>,
    /// The client's certificate chain; always together with `client_key`.
    pub client_cert: Option<PathBuf>,
    /// The client's private key.
    pub client_key: Option<PathBuf>,
}

/// Certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

/// A client configuration that verifies chains and names: against `ca` where one is given, else against the platform's roots.
///
/// # Errors
/// [`TlsError`] names the file and what is wrong with it.
pub fn client_config(files: &TlsFiles) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError(error.to_string()))?;
    let verified = match &files.ca {
        None => builder.with_platform_verifier().map_err(|error| TlsError(format!("the platform's roots: {error}")))?,
        Some(ca) => builder.with_root_certificates(roots(ca)?),
    };
    Ok(match (&files.client_cert, &files.client_key) {
        (Some(cert), Some(key)) => {
            verified.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity(cert, key)?)))
        }
        _ => verified.with_no_client_auth(),
    })
}

/// The roots in a file.
///
/// # Errors
/// [`TlsError`] names the file, which holds at least one certificate and no broken one.
pub fn roots(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| wrong(file, broken(&error)))?;
    }
    Ok(roots)
}

/// A certificate that this side shows, with what stands between it and its root.
///
/// # Errors
/// [`TlsError`] names the file, which begins with a certificate that can be read.
pub fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = certificates(file)?;
    ParsedCertificate::try_from(&chain[0]).map_err(|error| wrong(file, broken(&error)))?;
    Ok(chain)
}

/// The private key in a file.
///
/// # Errors
/// [`TlsError`] names the file, which holds a key of a kind that is signed with here, and no password on it.
pub fn private_key(file: &Path) -> Result<Arc<dyn SigningKey>, TlsError> {
    let pem = read(file, "private key")?;
    if pem.windows(ENCRYPTED.len()).any(|window| window == ENCRYPTED) {
        return Err(wrong(file, "is encrypted with a password".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| wrong(file, unread("private key", &error)))?;
    let key = provider().key_provider.load_private_key(key);
    key.map_err(|error| wrong(file, format!("holds a private key that cannot be used: {error}")))
}

/// A certificate and its private key.
///
/// # Errors
/// As [`chain`] and [`private_key`]; and when one is not the other's.
pub fn identity(cert: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let identity = CertifiedKey::new(chain(cert)?, private_key(key)?);
    match identity.keys_match() {
        // A kind of key that does not tell its public half is found out by the first handshake.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(identity),
        Err(_) => Err(wrong(key, format!("is not the key of the certificate in {}", cert.display()))),
    }
}

/// How a password on a key in PKCS#8 shows (RFC 7468 §11).
const ENCRYPTED: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(file, "certificate")?;
    let found = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| wrong(file, unread("certificate", &error)))?;
    if found.is_empty() { Err(wrong(file, "holds no certificate".to_owned())) } else { Ok(found) }
}

fn read(file: &Path, what: &str) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let bytes = std::fs::read(file).map(Zeroizing::new);
    bytes.map_err(|error| TlsError(format!("the {what} {} cannot be read: {error}", file.display())))
}

fn unread(what: &str, error: &rustls::pki_types::pem::Error) -> String {
    match error {
        rustls::pki_types::pem::Error::NoItemsFound => format!("holds no {what}"),
        broken => format!("holds a broken {what}: {broken}"),
    }
}

/// Without the words that rustls has for a certificate that came over a connection.
fn broken(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::BadEncoding) => {
            "holds a broken certificate: it is not DER inside".to_owned()
        }
        Error::InvalidCertificate(why) => format!("holds a certificate that cannot be used: {why}"),
        other => format!("holds a certificate that cannot be used: {other}"),
    }
}

fn wrong(file: &Path, what: String) -> TlsError {
    TlsError(format!("{} {what}", file.display()))
}

/// What all of it is computed with.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
