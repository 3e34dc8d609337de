//! The connections of one worker thread to the upstreams of one set of certificates: each carries one request at a time,
//! and is kept for a while after its answer.
//!
//! A connection reads and writes in a task of its own, so that an upstream which closes it is noticed while it is idle.
//! Whether it is free is its own word (hyper says so once the answer's last byte has been read), so nothing has to be
//! given back: whoever needs a connection looks for one that is free.

use std::cell::RefCell;
use std::error::Error;
use std::rc::{Rc, Weak};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::http::uri::{Authority, Parts, PathAndQuery, Scheme};
use hyper::{Request, Response, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::time::Instant;
use tower_service::Service as _;

use super::ExchangeError;
use crate::proxy::body::RequestBody;

/// How long an unused connection is kept. Common servers close theirs after five seconds or more (Node, uvicorn: 5 s,
/// nginx: 75 s), and a request written onto a connection that is just being closed is lost.
const IDLE: Duration = Duration::from_secs(4);

/// The connections through one connector.
pub(super) struct Pool {
    connector: HttpsConnector<HttpConnector>,
    kept: Rc<Kept>,
}

/// The connections that are open, most recently used last.
#[derive(Default)]
struct Kept(RefCell<Connections>);

#[derive(Default)]
struct Connections {
    open: Vec<Connection>,
    /// Whether somebody lets go of those that nobody uses.
    swept: bool,
}

struct Connection {
    scheme: Scheme,
    authority: Authority,
    sender: SendRequest<RequestBody>,
    used: Instant,
}

impl Pool {
    pub(super) fn new(connector: HttpsConnector<HttpConnector>) -> Self {
        Self { connector, kept: Rc::default() }
    }

    /// Sends a request whose URI is absolute. One that a kept connection closed before it was sent goes over another.
    pub(super) async fn exchange(
        &self,
        mut request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, ExchangeError> {
        let (scheme, authority) = to_origin_form(request.uri_mut()).ok_or(ExchangeError::Unknown)?;
        loop {
            let kept = self.kept.take(&scheme, &authority);
            let reused = kept.is_some();
            let mut sender = match kept {
                Some(sender) => sender,
                None => self.connect(&scheme, &authority).await?,
            };
            let answer = sender.try_send_request(request);
            self.kept.put(Connection {
                scheme: scheme.clone(),
                authority: authority.clone(),
                sender,
                used: Instant::now(),
            });
            let mut error = match answer.await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match error.take_message() {
                Some(unsent) if reused => request = unsent,
                _ => return Err(error.into_error().into()),
            }
        }
    }

    async fn connect(&self, scheme: &Scheme, authority: &Authority) -> Result<SendRequest<RequestBody>, ExchangeError> {
        let unconnected = |error: Box<dyn Error + Send + Sync>| ExchangeError::Unconnected(error);
        let mut parts = Parts::default();
        parts.scheme = Some(scheme.clone());
        parts.authority = Some(authority.clone());
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        let uri = Uri::from_parts(parts).map_err(|error| unconnected(error.into()))?;
        let stream = self.connector.clone().call(uri).await.map_err(unconnected)?;
        let (sender, connection) = http1::handshake(stream).await?;
        actix_web::rt::spawn(async move {
            // What breaks it is told to whoever waits for an answer.
            let _ = connection.with_upgrades().await;
        });
        Ok(sender)
    }
}

impl Kept {
    /// A connection that is free, and takes those away that are closed.
    fn take(&self, scheme: &Scheme, authority: &Authority) -> Option<SendRequest<RequestBody>> {
        let open = &mut self.0.borrow_mut().open;
        let mut place = open.len();
        while place > 0 {
            place -= 1;
            let connection = &open[place];
            if connection.sender.is_closed() {
                open.remove(place);
            } else if connection.sender.is_ready()
                && connection.authority == *authority
                && connection.scheme == *scheme
                && connection.used.elapsed() < IDLE
            {
                return Some(open.remove(place).sender);
            }
        }
        None
    }

    fn put(self: &Rc<Self>, connection: Connection) {
        let mut connections = self.0.borrow_mut();
        connections.open.push(connection);
        if !std::mem::replace(&mut connections.swept, true) {
            actix_web::rt::spawn(sweep(Rc::downgrade(self)));
        }
    }

    /// Closes what has not been used for a while; `false` when nothing is left.
    fn sweep(&self) -> bool {
        let mut connections = self.0.borrow_mut();
        connections.open.retain(|connection| {
            let idle = connection.sender.is_ready() && connection.used.elapsed() >= IDLE;
            !idle && !connection.sender.is_closed()
        });
        connections.swept = !connections.open.is_empty();
        connections.swept
    }
}

/// Lets go of unused connections until there are none, or nobody is left who could use them.
async fn sweep(kept: Weak<Kept>) {
    loop {
        tokio::time::sleep(IDLE / 4).await;
        if !kept.upgrade().is_some_and(|kept| kept.sweep()) {
            return;
        }
    }
}

/// Takes scheme and authority out of an absolute URI; what is left is what a request line has (RFC 9112 §3.2.1).
fn to_origin_form(uri: &mut Uri) -> Option<(Scheme, Authority)> {
    let mut parts = std::mem::take(uri).into_parts();
    let taken = (parts.scheme.take()?, parts.authority.take()?);
    *uri = Uri::from_parts(parts).ok()?;
    Some(taken)
}
