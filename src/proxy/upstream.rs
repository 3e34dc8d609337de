//! The upstream client: HTTP/1.1 spoken directly, over connections that one worker thread keeps for itself.
//!
//! Everything runs on the thread and, but for request bodies, in the task of the request that needs it. `framing` and
//! `head` decide what an answer is, `exchange` reads one, `sending` writes a request, `pool` keeps what is unused.

mod connect;
mod exchange;
mod framing;
mod head;
mod pool;
mod sending;
mod wire;

use std::rc::Rc;
use std::sync::Arc;

pub(super) use self::connect::Place;
use self::connect::{Connector, Failure, connect_to_socket};
pub(super) use self::exchange::{Answer, AnswerBody, BodyError};
use self::exchange::{AnswerError, exchange};
pub(super) use self::head::Fields;
use self::pool::Pool;
pub(super) use self::sending::{BodyLength, Outgoing};
pub(super) use self::wire::Wire;
use super::body::UploadError;
use super::route::tls_of;
use crate::config::{Config, SpaConfig, TlsFiles, UpstreamConfig};
use crate::dpop::Nonces;
use crate::tls::TlsError;

/// The connections of one worker thread to every upstream. Not shared between workers: a shared pool costs twice the CPU.
pub struct UpstreamClients {
    /// A handful at most, so a look through beats hashing file names. `None` is plain HTTP.
    connectors: Vec<(Option<TlsFiles>, Connector)>,
    pool: Rc<Pool>,
    /// What the upstreams want to see in proofs.
    nonces: Nonces,
}

/// Why there is no response head.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    /// There is no connection.
    #[error("{}", with_causes(&**.0))]
    Unconnected(Failure),
    /// The connection, or what came over it, broke.
    #[error("{}", with_causes(.error))]
    Broken {
        error: AnswerError,
        /// Whether the connection had carried a request before.
        reused: bool,
    },
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
        let mut connectors: Vec<(Option<TlsFiles>, Connector)> = Vec::new();
        for upstream in upstreams {
            let tls = tls_of(upstream);
            if !connectors.iter().any(|(known, _)| *known == tls) {
                let connector = Connector::new(tls.as_ref())?;
                connectors.push((tls, connector));
            }
        }
        Ok(Self { connectors, pool: Rc::default(), nonces: Nonces::default() })
    }

    /// What the upstreams want to see in proofs, each by its origin.
    pub(super) const fn nonces(&self) -> &Nonces {
        &self.nonces
    }

    /// Sends one request and waits for the head of its answer; a connection that was used before carries it only if
    /// `reuse` says so. Dropping the future, or later the answer's body, closes the connection.
    pub(super) async fn exchange(
        &self,
        place: &Arc<Place>,
        request: Outgoing,
        reuse: bool,
    ) -> Result<Answer, ExchangeError> {
        let kept = if reuse { self.pool.take(place) } else { None };
        let reused = kept.is_some();
        let connection = match kept {
            Some(connection) => connection,
            None => self.connect(place).await?,
        };
        let home = (Rc::clone(&self.pool), Arc::clone(place));
        exchange(connection, request, home).await.map_err(|error| ExchangeError::Broken { error, reused })
    }

    async fn connect(&self, place: &Place) -> Result<wire::Connection, ExchangeError> {
        let opened = match place {
            Place::Socket(path) => connect_to_socket(path).await,
            Place::Net { uri, tls } => {
                let connector = self.connectors.iter().find(|(known, _)| known == tls);
                let (_, connector) = connector.ok_or(ExchangeError::Unknown)?;
                connector.connect(uri.clone()).await
            }
        };
        opened.map_err(ExchangeError::Unconnected)
    }
}

impl ExchangeError {
    /// Whether a kept connection turned out to be closed: it ended where an answer should have begun.
    pub(super) const fn is_stale(&self) -> bool {
        matches!(self, Self::Broken { error: AnswerError::Silent(_), reused: true })
    }

    /// Why the browser's body broke, if that is why there is no answer.
    pub(super) const fn upload(&self) -> Option<UploadError> {
        match self {
            Self::Broken { error: AnswerError::Upload(error), .. } => Some(*error),
            _ => None,
        }
    }
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
        UpstreamConfig { tls, ..UpstreamConfig::at(url.parse().expect("a URL")) }
    }

    #[test]
    fn upstreams_share_a_client_when_they_share_certificates() {
        let plain = [upstream("http://a", None), upstream("http://b:81/x", Some("ignored"))];
        assert_eq!(UpstreamClients::for_upstreams(&plain).expect("clients").connectors.len(), 1);
    }

    #[test]
    fn certificates_that_cannot_be_read_are_named() {
        let error =
            UpstreamClients::for_upstreams(&[upstream("https://a", Some("/nowhere/ca.pem"))]).err().expect("an error");
        assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
    }
}
