//! The upstream client: pooled connections over hyper, one pool per worker thread and set of certificates.

mod pool;

use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::HttpConnector;

use self::pool::Pool;
use super::body::RequestBody;
use super::route::tls_of;
use crate::config::{Config, SpaConfig, TlsFiles, UpstreamConfig};
use crate::tls::TlsError;

/// The limit on opening a connection, TLS not included: that is the route's own timeout's affair.
const CONNECT: Duration = Duration::from_secs(5);

/// The connections of one worker thread to every upstream. Not shared between workers: a shared pool costs twice the CPU.
pub struct UpstreamClients {
    /// A handful at most, so a look through beats hashing file names. `None` is plain HTTP.
    pools: Vec<(Option<TlsFiles>, Pool)>,
}

/// Why there is no response head.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    /// There is no connection.
    #[error("{}", with_causes(&**.0))]
    Unconnected(Box<dyn std::error::Error + Send + Sync>),
    /// The connection, or what came over it, broke.
    #[error("{}", with_causes(.0))]
    Broken(#[from] hyper::Error),
    /// No client was built for these certificates.
    #[error("no client for this upstream: the configuration it came from is not the one in force")]
    Unknown,
}

impl UpstreamClients {
    /// Clients for every upstream of the configuration; connects to nothing.
    ///
    /// # Errors
    /// When certificate files cannot be used.
    pub fn new(config: &Config) -> Result<Self, TlsError> {
        Self::for_upstreams(config.sites.iter().flat_map(|site| {
            let dev_server = match &site.spa {
                Some(SpaConfig::DevServer(upstream)) => Some(upstream),
                _ => None,
            };
            site.routes.iter().map(|route| &route.upstream).chain(dev_server)
        }))
    }

    /// Clients for these upstreams; connects to nothing.
    ///
    /// # Errors
    /// When certificate files cannot be used.
    pub fn for_upstreams<'a>(upstreams: impl IntoIterator<Item = &'a UpstreamConfig>) -> Result<Self, TlsError> {
        let mut pools: Vec<(Option<TlsFiles>, Pool)> = Vec::new();
        for upstream in upstreams {
            let tls = tls_of(upstream);
            if !pools.iter().any(|(known, _)| *known == tls) {
                let pool = pool(tls.as_ref())?;
                pools.push((tls, pool));
            }
        }
        Ok(Self { pools })
    }

    /// Sends one request and waits for the head of its response. Dropping the future, or later the response's body,
    /// closes the connection.
    pub(super) async fn exchange(
        &self,
        tls: Option<&TlsFiles>,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, ExchangeError> {
        let (_, pool) = self.pools.iter().find(|(known, _)| known.as_ref() == tls).ok_or(ExchangeError::Unknown)?;
        pool.exchange(request).await
    }
}

impl ExchangeError {
    /// Whether a kept connection turned out to be closed: it ended, or was reset, where a response should have begun.
    pub(super) fn is_stale(&self) -> bool {
        let Self::Broken(error) = self else { return false };
        causes(error).any(|cause| {
            cause
                .downcast_ref::<hyper::Error>()
                .is_some_and(|error| error.is_incomplete_message() || error.is_canceled())
                || cause.downcast_ref::<std::io::Error>().is_some_and(|error| {
                    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
                    matches!(error.kind(), ConnectionReset | ConnectionAborted | BrokenPipe)
                })
        })
    }
}

fn pool(tls: Option<&TlsFiles>) -> Result<Pool, TlsError> {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.enforce_http(false);
    let connector = HttpsConnectorBuilder::new();
    let connector = match tls {
        Some(files) => connector.with_tls_config(crate::tls::client_config(files)?).https_only().enable_http1(),
        None => connector.with_tls_config(trusting_nobody()).https_or_http().enable_http1(),
    };
    Ok(Pool::new(connector.wrap_connector(tcp)))
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

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(url: &str, ca: Option<&str>) -> UpstreamConfig {
        let tls = TlsFiles { ca: ca.map(Into::into), ..TlsFiles::default() };
        UpstreamConfig { url: url.parse().expect("a URL"), tls }
    }

    #[test]
    fn upstreams_share_a_client_when_they_share_certificates() {
        let plain = [upstream("http://a", None), upstream("http://b:81/x", Some("ignored"))];
        assert_eq!(UpstreamClients::for_upstreams(&plain).expect("clients").pools.len(), 1);
    }

    #[test]
    fn certificates_that_cannot_be_read_are_named() {
        let error =
            UpstreamClients::for_upstreams(&[upstream("https://a", Some("/nowhere/ca.pem"))]).err().expect("an error");
        assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
    }
}
