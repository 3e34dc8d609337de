//! The public listener's certificate: read anew at every reload, and shown to whoever connects from then on.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::tls;

/// The pair that is shown now. Connections that are open keep what they began with.
#[derive(Clone, Debug)]
pub(super) struct Certificate(Arc<ArcSwap<CertifiedKey>>);

impl Certificate {
    /// Shows `pair`.
    pub(super) fn new(pair: CertifiedKey) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(pair)))
    }

    /// Shows `pair` from now on.
    pub(super) fn renew(&self, pair: CertifiedKey) {
        self.0.store(Arc::new(pair));
    }

    /// TLS 1.2 and 1.3 with this certificate; the server adds its one protocol, `http/1.1`, to ALPN (RFC 7301 §3.2).
    pub(super) fn server_config(&self) -> io::Result<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(tls::provider())
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
