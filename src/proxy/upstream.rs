//! The upstream client: HTTP/1.1 spoken directly, and HTTP/2 where an upstream agrees on it, over connections that one
//! worker thread keeps for itself.
//!
//! Everything runs on the thread and, but for request bodies, in the task of the request that needs it. For HTTP/1.1
//! `framing` and `head` decide what an answer is, `exchange` reads one, `sending` writes a request, `pool` keeps what is
//! unused; `http2` does all that for HTTP/2, where connections have tasks of their own.

mod answer;
mod connect;
mod exchange;
mod framing;
mod head;
mod http2;
mod pool;
mod sending;
mod wire;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use self::answer::AnswerError;
pub(super) use self::answer::{Answer, AnswerBody, BodyError};
pub(super) use self::connect::Place;
use self::connect::{Connector, Failure, Offers, Opened, connect_to_socket};
use self::exchange::exchange;
pub(super) use self::head::Fields;
use self::http2::{Peers, Seat, Session, Way, translated};
use self::pool::Pool;
pub(super) use self::sending::{BodyLength, Outgoing};
pub(super) use self::wire::Wire;
use super::body::UploadError;
use super::route::tls_of;
use crate::config::{Config, SpaConfig, TlsFiles, UpstreamConfig};
use crate::dpop::Nonces;
use crate::tls::TlsError;

/// How long a call waits for a connection that another one opens, before it opens its own.
const PATIENCE: Duration = Duration::from_secs(1);

/// The connections of one worker thread to every upstream. Not shared between workers: a shared pool costs twice the CPU.
pub struct UpstreamClients {
    /// A handful at most, so a look through beats hashing file names. `None` is plain HTTP.
    connectors: Vec<(Option<TlsFiles>, Connector)>,
    pool: Rc<Pool>,
    peers: Rc<Peers>,
    /// What the upstreams want to see in proofs.
    nonces: Nonces,
}

/// The certificates towards upstreams, read once for the clients of every worker thread.
#[derive(Clone)]
pub struct UpstreamTls(Vec<(Option<TlsFiles>, Offers)>);

impl UpstreamTls {
    /// Reads what every upstream of the configuration needs.
    ///
    /// # Errors
    /// When certificate files cannot be used.
    pub fn of(config: &Config) -> Result<Self, TlsError> {
        Self::for_upstreams(config.sites.iter().flat_map(|site| {
            let dev_server = match &site.spa {
                Some(SpaConfig::DevServer(upstream)) => Some(upstream),
                _ => None,
            };
            site.routes.iter().map(|route| &route.upstream).chain(dev_server)
        }))
    }

    /// Reads what these upstreams need.
    ///
    /// # Errors
    /// When certificate files cannot be used.
    pub fn for_upstreams<'a>(upstreams: impl IntoIterator<Item = &'a UpstreamConfig>) -> Result<Self, TlsError> {
        let mut found: Vec<(Option<TlsFiles>, Offers)> = Vec::new();
        for upstream in upstreams {
            let files = tls_of(upstream);
            if !found.iter().any(|(known, _)| *known == files) {
                let offers = Offers::read(files.as_ref())?;
                found.push((files, offers));
            }
        }
        Ok(Self(found))
    }
}

/// What carries a request: a connection of its own, and whether it has carried another before, or a place on a shared one.
enum Carrier {
    Http1(wire::Connection, bool),
    Http2(Seat),
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
        /// Whether an HTTP/1.1 connection had carried a request before.
        reused: bool,
    },
    /// No client was built for these certificates.
    #[error("no client for this upstream: the configuration it came from is not the one in force")]
    Unknown,
}

impl UpstreamClients {
    /// Clients for the upstreams that `tls` was read for; connects to nothing.
    #[must_use]
    pub fn new(tls: &UpstreamTls) -> Self {
        let connectors = tls.0.iter().map(|(files, offers)| (files.clone(), Connector::new(offers))).collect();
        Self { connectors, pool: Rc::default(), peers: Rc::default(), nonces: Nonces::default() }
    }

    /// What the upstreams want to see in proofs, each by its origin.
    pub(super) const fn nonces(&self) -> &Nonces {
        &self.nonces
    }

    /// Sends one request and waits for the head of its answer; an HTTP/1.1 connection that was used before carries it only
    /// if `reuse` says so. Dropping the future, or later the answer's body, closes the connection or resets the stream.
    pub(super) async fn exchange(
        &self,
        place: &Arc<Place>,
        request: Outgoing,
        reuse: bool,
    ) -> Result<Answer, ExchangeError> {
        let (connection, reused) = 'found: {
            if place.offers_http2() && !request.upgrades {
                // Boxed, so that what HTTP/1.1 waits in does not grow.
                let carrier = match self.at_hand(place, reuse) {
                    Some(carrier) => carrier,
                    None => Box::pin(self.carrier(place, reuse)).await?,
                };
                match carrier {
                    Carrier::Http1(connection, reused) => break 'found (connection, reused),
                    Carrier::Http2(seat) => {
                        if let Some(head) = translated(&request.head) {
                            let answer = Box::pin(http2::exchange(seat, head, request)).await;
                            return answer.map_err(|error| ExchangeError::Broken { error, reused: false });
                        }
                    }
                }
            }
            match if reuse { self.pool.take(place) } else { None } {
                Some(kept) => (kept, true),
                None => (self.connect(place).await?, false),
            }
        };
        let home = (Rc::clone(&self.pool), Arc::clone(place));
        exchange(connection, request, home).await.map_err(|error| ExchangeError::Broken { error, reused })
    }

    /// What carries a request to an upstream that may speak either protocol, if it is open.
    fn at_hand(&self, place: &Arc<Place>, reuse: bool) -> Option<Carrier> {
        if let Some(seat) = self.peers.seat(place) {
            return Some(Carrier::Http2(seat));
        }
        let kept = if reuse { self.pool.take(place) } else { None };
        kept.map(|kept| Carrier::Http1(kept, true))
    }

    /// The same, opened if need be.
    async fn carrier(&self, place: &Arc<Place>, reuse: bool) -> Result<Carrier, ExchangeError> {
        loop {
            if let Some(carrier) = self.at_hand(place, reuse) {
                return Ok(carrier);
            }
            match self.peers.way(place) {
                Way::Open(opening) => {
                    let opened = self.negotiate(place).await;
                    if let Err(error) = &opened {
                        opening.send_replace(Some(error.to_string()));
                    }
                    return opened;
                }
                Way::Wait(mut opened) => {
                    let Ok(outcome) = timeout(PATIENCE, opened.changed()).await else {
                        // A stopped server behind a service's address takes connections and never says anything.
                        return self.negotiate(place).await;
                    };
                    if outcome.is_ok()
                        && let Some(why) = &*opened.borrow()
                    {
                        return Err(ExchangeError::Unconnected(why.as_str().into()));
                    }
                }
            }
        }
    }

    async fn negotiate(&self, place: &Arc<Place>) -> Result<Carrier, ExchangeError> {
        let Place::Net { uri, tls, .. } = &**place else { return Err(ExchangeError::Unknown) };
        match self.connector(tls.as_ref())?.negotiate(uri.clone()).await.map_err(ExchangeError::Unconnected)? {
            Opened::Http1(connection) => {
                self.peers.is_http1(place);
                Ok(Carrier::Http1(connection, false))
            }
            Opened::Http2(stream) => {
                let failed = |error| ExchangeError::Unconnected(Box::new(error));
                let session = Session::start(stream, &self.peers).await.map_err(failed)?;
                let seat = session.seat().ok_or_else(|| ExchangeError::Unconnected("it takes no calls".into()))?;
                self.peers.add(place, session);
                Ok(Carrier::Http2(seat))
            }
        }
    }

    async fn connect(&self, place: &Place) -> Result<wire::Connection, ExchangeError> {
        let opened = match place {
            Place::Socket(path) => connect_to_socket(path).await,
            Place::Net { uri, tls, .. } => self.connector(tls.as_ref())?.connect(uri.clone()).await,
        };
        opened.map_err(ExchangeError::Unconnected)
    }

    fn connector(&self, tls: Option<&TlsFiles>) -> Result<&Connector, ExchangeError> {
        let connector = self.connectors.iter().find(|(known, _)| known.as_ref() == tls);
        connector.map(|(_, connector)| connector).ok_or(ExchangeError::Unknown)
    }
}

impl ExchangeError {
    /// Whether a kept connection turned out to be closed: it ended where an answer should have begun, or the upstream says
    /// that it has taken no more requests over it.
    pub(super) const fn is_stale(&self) -> bool {
        let Self::Broken { error, reused } = self else { return false };
        matches!((error, reused), (AnswerError::Silent(_), true) | (AnswerError::Unprocessed(_), _))
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
        assert_eq!(UpstreamTls::for_upstreams(&plain).expect("nothing to read").0.len(), 1);
    }

    #[test]
    fn certificates_that_cannot_be_read_are_named() {
        let error =
            UpstreamTls::for_upstreams(&[upstream("https://a", Some("/nowhere/ca.pem"))]).err().expect("an error");
        assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
    }
}
