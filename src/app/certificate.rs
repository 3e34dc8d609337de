//! The public listener's certificate: read anew at every reload, and shown to whoever connects from then on.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::BuildError;
use crate::config::ServerTls;

/// The pair that is shown now. Connections that are open keep what they began with.
#[derive(Clone, Debug)]
pub(super) struct Certificate(Arc<ArcSwap<CertifiedKey>>);

/// A pair that was read and fits together.
pub(super) struct Pair(CertifiedKey);

impl Pair {
    /// Reads the files of `files`.
    ///
    /// # Errors
    /// Names the file and what is wrong with it; a key of another certificate is wrong.
    pub(super) fn read(files: &ServerTls) -> Result<Self, BuildError> {
        let chain = CertificateDer::pem_file_iter(&files.cert)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| broken(&files.cert, &error))?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| broken(&files.key, &error))?;
        CertifiedKey::from_der(chain, key, &provider()).map(Self).map_err(|error| broken(&files.cert, &error))
    }
}

impl Certificate {
    /// Shows `pair`.
    pub(super) fn new(pair: Pair) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(pair.0)))
    }

    /// Shows `pair` from now on.
    pub(super) fn renew(&self, pair: Pair) {
        self.0.store(Arc::new(pair.0));
    }

    /// TLS 1.2 and 1.3 with this certificate; the server adds its one protocol, `http/1.1`, to ALPN (RFC 7301 §3.2).
    pub(super) fn server_config(&self) -> io::Result<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(io::Error::other)?;
        Ok(builder.with_no_client_auth().with_cert_resolver(Arc::new(self.clone())))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn broken(file: &Path, error: &dyn Display) -> BuildError {
    BuildError(format!("{}: {error}", file.display()))
}
