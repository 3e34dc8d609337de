//! TLS towards others: one rustls configuration per set of certificate files, verification always on.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

use crate::config::TlsFiles;

/// Certificate files that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

/// A client configuration that verifies chains and names: against `ca` where one is given, else against the platform's roots.
///
/// # Errors
/// [`TlsError`] names the file and what is wrong with it.
pub fn client_config(files: &TlsFiles) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError(error.to_string()))?;
    let verified = match &files.ca {
        None => builder.with_platform_verifier().map_err(|error| TlsError(format!("the platform's roots: {error}")))?,
        Some(path) => {
            let mut roots = RootCertStore::empty();
            let name = path.display();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| TlsError(format!("{name}: {error}")))?;
            }
            builder.with_root_certificates(roots)
        }
    };
    match (&files.client_cert, &files.client_key) {
        (Some(chain), Some(key)) => {
            let name = key.display();
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError(format!("{name}: {error}")))?;
            verified
                .with_client_auth_cert(certificates(chain)?, key)
                .map_err(|error| TlsError(format!("{name}: {error}")))
        }
        _ => Ok(verified.with_no_client_auth()),
    }
}

fn certificates(path: &std::path::Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let name = path.display();
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| TlsError(format!("{name}: {error}")))?;
    if found.is_empty() {
        return Err(TlsError(format!("{name}: holds no certificate")));
    }
    Ok(found)
}
