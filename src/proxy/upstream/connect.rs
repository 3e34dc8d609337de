//! How a connection to an upstream is opened: TCP, both address families raced, and TLS that verifies; or a Unix socket.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::ClientConfig;
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
        /// Whether HTTP/2 is offered; never without TLS.
        http2: bool,
    },
    /// On this machine, behind a Unix socket.
    Socket(PathBuf),
}

/// Why there is no connection.
pub(super) type Failure = Box<dyn Error + Send + Sync>;

/// What is offered to upstreams with one set of certificates.
#[derive(Clone)]
pub(super) struct Offers {
    http1: Arc<ClientConfig>,
    /// HTTP/2 as well, where there is TLS to agree on it.
    either: Option<Arc<ClientConfig>>,
}

impl Offers {
    /// Reads the certificates; `None` is plain HTTP.
    pub(super) fn read(tls: Option<&TlsFiles>) -> Result<Self, TlsError> {
        let Some(files) = tls else { return Ok(Self { http1: Arc::new(trusting_nobody()), either: None }) };
        let config = crate::tls::client_config(files)?;
        let offering = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            Arc::new(config)
        };
        Ok(Self { http1: offering(&[HTTP1]), either: Some(offering(&[HTTP2, HTTP1])) })
    }
}

/// Opens connections with one set of certificates.
pub(super) struct Connector {
    http1: HttpsConnector<HttpConnector>,
    /// The same with HTTP/2 on offer as well, where there is TLS to agree on it.
    either: Option<HttpsConnector<HttpConnector>>,
}

/// A connection for what the upstream has chosen.
pub(super) enum Opened {
    /// HTTP/1.1.
    Http1(Connection),
    /// HTTP/2, which has not begun.
    Http2(Box<dyn Stream>),
}

/// The protocols by their names in ALPN (RFC 7301 §6).
const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

impl Place {
    /// Whether what is spoken there is agreed on for each connection.
    pub(super) const fn offers_http2(&self) -> bool {
        matches!(self, Self::Net { http2: true, .. })
    }
}

impl Connector {
    /// Connects to nothing.
    pub(super) fn new(offers: &Offers) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.enforce_http(false);
        let offering = |config: &Arc<ClientConfig>| {
            let mut connector = HttpsConnector::from((tcp.clone(), Arc::clone(config)));
            if offers.either.is_some() {
                connector.enforce_https();
            }
            connector
        };
        Self { http1: offering(&offers.http1), either: offers.either.as_ref().map(offering) }
    }

    /// Opens a connection over TCP for HTTP/1.1.
    pub(super) async fn connect(&self, uri: Uri) -> Result<Connection, Failure> {
        let (stream, _) = stream(&self.http1, uri).await?;
        Ok(Connection::new(stream))
    }

    /// Opens one for what the upstream chooses (RFC 7301 §3.2); that is HTTP/1.1 if it does not say.
    pub(super) async fn negotiate(&self, uri: Uri) -> Result<Opened, Failure> {
        let (stream, http2) = stream(self.either.as_ref().unwrap_or(&self.http1), uri).await?;
        Ok(if http2 { Opened::Http2(stream) } else { Opened::Http1(Connection::new(stream)) })
    }
}

/// What carries bytes to `uri`, and whether HTTP/2 was agreed on.
async fn stream(connector: &HttpsConnector<HttpConnector>, uri: Uri) -> Result<(Box<dyn Stream>, bool), Failure> {
    Ok(match connector.clone().call(uri).await? {
        MaybeHttpsStream::Http(stream) => (Box::new(stream.into_inner()), false),
        MaybeHttpsStream::Https(stream) => {
            let stream = stream.into_inner();
            let http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
            (Box::new(stream), http2)
        }
    })
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
fn trusting_nobody() -> ClientConfig {
    ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}
