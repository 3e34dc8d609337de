//! How a connection to an upstream is opened: TCP, both address families raced, and TLS that verifies; or a Unix socket.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::net::UnixStream;
use tokio::time::timeout;
use tower_service::Service as _;

use super::wire::{Connection, Stream};
use crate::config::TlsFiles;
use crate::tls::TlsError;

/// The limit on opening a connection, TLS not included: that is the route's own timeout's affair.
const CONNECT: Duration = Duration::from_secs(5);

/// Where an upstream listens, and with which certificates it is talked to.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Place {
    /// On the net.
    Net {
        /// Its scheme and authority, with `/` behind them.
        uri: Uri,
        /// The certificates; `None` without TLS.
        tls: Option<TlsFiles>,
    },
    /// On this machine, behind a Unix socket.
    Socket(PathBuf),
}

/// Why there is no connection.
pub(super) type Failure = Box<dyn Error + Send + Sync>;

/// Opens connections with one set of certificates.
pub(super) struct Connector(HttpsConnector<HttpConnector>);

impl Connector {
    /// Reads the certificates; connects to nothing.
    pub(super) fn new(tls: Option<&TlsFiles>) -> Result<Self, TlsError> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new();
        let connector = match tls {
            Some(files) => connector.with_tls_config(crate::tls::client_config(files)?).https_only().enable_http1(),
            None => connector.with_tls_config(trusting_nobody()).https_or_http().enable_http1(),
        };
        Ok(Self(connector.wrap_connector(tcp)))
    }

    /// Opens a connection over TCP.
    pub(super) async fn connect(&self, uri: Uri) -> Result<Connection, Failure> {
        let stream: Box<dyn Stream> = match self.0.clone().call(uri).await? {
            MaybeHttpsStream::Http(stream) => Box::new(stream.into_inner()),
            MaybeHttpsStream::Https(stream) => Box::new(stream.into_inner()),
        };
        Ok(Connection::new(stream))
    }
}

/// Opens a connection to a Unix socket.
pub(super) async fn connect_to_socket(path: &Path) -> Result<Connection, Failure> {
    let opening = UnixStream::connect(path);
    let opened = timeout(CONNECT, opening).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let stream = opened.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Connection::new(Box::new(stream)))
}

/// What a client for plain HTTP has in place of certificates. It spares the platform's roots, which a container
/// without TLS upstreams need not have.
fn trusting_nobody() -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}
