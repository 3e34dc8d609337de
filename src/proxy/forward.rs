//! One request, forwarded: headers cleaned, the bearer added, bodies streamed both ways, the answer cleaned.
//!
//! Three steps, kept apart so that a request can be prepared again: `prepare` builds what goes to the
//! upstream, `send` waits for the head of its response, `answer` makes it the browser's. An upstream that refuses a
//! token which was replaced meanwhile is asked once more with the newer one, if the whole request is still at hand.

mod answer;
mod bound;

use std::future::pending;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;

use actix_web::dev::Payload;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

pub(crate) use answer::is_event_stream;

use super::bearer::Bearer;
use super::body::{Limits, RequestBody, Upload, UploadError, declared_length};
use super::headers::request::{Framing, Own, has_looped, hops, outbound};
use super::route::Route;
use super::tunnel;
use super::upstream::{Answer, BodyLength, ExchangeError, Outgoing, UpstreamClients};
use crate::config::{Access, Origin};
use crate::dpop::Nonces;
use crate::guard::path::RoutePath;
use crate::guard::same_origin::SameOrigin;

/// Room for the head of a usual request with its token.
const HEAD: usize = 2 << 10;

/// What lets a request through to an upstream.
pub enum Pass {
    /// A route with a session: the proof, and the bearer if there is a session.
    Session(SameOrigin, Option<Bearer>),
    /// A route without one: nothing is ever attached.
    Public,
}

/// One request on its way through a route.
pub struct Forward<'a> {
    /// The request, for its method, query and headers.
    pub request: &'a HttpRequest,
    /// Its body.
    pub payload: Payload,
    /// Its path, checked.
    pub path: &'a RoutePath,
    /// The route it takes.
    pub route: &'a Route,
    /// The site it came to, for `X-Forwarded-*` and `Location`.
    pub origin: &'a Origin,
    /// The address of the browser.
    pub client: IpAddr,
    /// The id for logs and `X-Request-Id`.
    pub request_id: &'a str,
    /// What lets it through.
    pub pass: Pass,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// No connection, or it broke before an answer, or the answer breaks HTTP.
    #[error("the upstream cannot be reached: {0}")]
    Unreachable(String),
    /// No answer in time.
    #[error("the upstream does not answer in time")]
    Timeout,
    /// The body is larger than the route allows.
    #[error("the body is too large")]
    TooLarge,
    /// As many calls run as the route allows.
    #[error("the route is full")]
    Overloaded,
    /// The request itself cannot be forwarded.
    #[error("the request cannot be forwarded: {0}")]
    BadRequest(&'static str),
    /// The upstream leads back to the gateway (RFC 9110 §7.6.3).
    #[error("the request has passed the gateway before: an upstream leads back to it")]
    Loop,
}

/// Whether a request may go no further than here (RFC 9110 §7.6.2).
#[must_use]
pub fn ends_here(request: &HttpRequest) -> bool {
    hops(request.method(), request.headers()) == Some(0)
}

/// Forwards and answers. `renew` is asked when the upstream refuses the bearer that went along with a request which can
/// be repeated: a value that has replaced it is sent in its place, once; with `None` the refusal is passed on. An upstream
/// that wants a nonce in a DPoP proof is asked once more with it.
///
/// # Errors
/// [`ForwardError`] when there is no answer to pass on.
pub async fn forward(
    clients: &UpstreamClients,
    mut forward: Forward<'_>,
    renew: impl AsyncFnOnce() -> Option<Bearer>,
) -> Result<HttpResponse, ForwardError> {
    let payload = std::mem::replace(&mut forward.payload, Payload::None);
    forward.check()?;
    let bounds = forward.enter()?;
    let upload = Upload::start(payload, forward.limits());
    let response = forward.exchange(clients, upload, bounds.ends, renew).await?;
    forward.answer(response, bounds)
}

/// What a call holds and how long it may take.
pub(super) struct Bounds {
    /// The end in any case.
    pub(super) ends: Option<Instant>,
    /// The call's room at its route.
    pub(super) room: OwnedSemaphorePermit,
}

impl Forward<'_> {
    /// Takes the call's room at its route, and starts its time.
    pub(super) fn enter(&self) -> Result<Bounds, ForwardError> {
        let ends = self.route.config.total_timeout.map(|limit| Instant::now() + limit);
        Ok(Bounds { ends, room: self.route.enter().ok_or(ForwardError::Overloaded)? })
    }

    /// Sends the request, and a second time as [`forward`] says.
    pub(super) async fn exchange(
        &mut self,
        clients: &UpstreamClients,
        (upload, body): (Rc<Upload>, RequestBody),
        ends: Option<Instant>,
        renew: impl AsyncFnOnce() -> Option<Bearer>,
    ) -> Result<Answer, ForwardError> {
        let mut response = self.send(clients, body, &upload, ends).await?;
        if self.wants_nonce(clients, &response)
            && let Some(body) = upload.again()
        {
            drop(response);
            response = self.send(clients, body, &Upload::default(), ends).await?;
        }
        let response = self.refuse_wish(clients, response)?;
        if response.status == StatusCode::UNAUTHORIZED
            && self.bearer().is_some()
            && let Some(body) = upload.again()
            && let Some(newer) = in_time(ends, renew()).await?
        {
            // Nobody reads the refusal's body: dropped, it takes its connection with it unless all of it is here already.
            drop(response);
            self.replace_bearer(newer);
            let response = self.send(clients, body, &Upload::default(), ends).await?;
            return self.refuse_wish(clients, response);
        }
        Ok(response)
    }

    /// Refuses what leads in a circle.
    pub(super) fn check_loop(&self) -> Result<(), ForwardError> {
        if has_looped(self.request.headers()) { Err(ForwardError::Loop) } else { Ok(()) }
    }

    /// Refuses what can be refused before anything is sent.
    fn check(&self) -> Result<(), ForwardError> {
        self.check_loop()?;
        if tunnel::is_asked(self.request) {
            // What follows the head is another protocol, not a body; this is not the way for it.
            return Err(ForwardError::BadRequest("an upgrade"));
        }
        let limit = self.route.config.max_body.unwrap_or(u64::MAX);
        if declared_length(self.request).is_some_and(|length| length > limit) {
            return Err(ForwardError::TooLarge);
        }
        Ok(())
    }

    /// What may pass of the body, and what is kept of it: a whole small body, where there is a token to be renewed.
    fn limits(&self) -> Limits {
        let most = if self.bearer().is_some() { self.route.config.replay_body } else { 0 };
        let kept = declared_length(self.request).filter(|length| *length <= most);
        Limits { whole: self.route.config.max_body, kept, idle: self.route.config.idle_timeout }
    }

    /// The bearer that goes along: what the route says counts, whatever the caller hands in.
    fn bearer(&self) -> Option<&Bearer> {
        match &self.pass {
            Pass::Session(_, bearer) if self.route.config.access != Access::None => bearer.as_ref(),
            _ => None,
        }
    }

    fn replace_bearer(&mut self, newer: Bearer) {
        if let Pass::Session(_, bearer) = &mut self.pass {
            *bearer = Some(newer);
        }
    }

    /// The request as the upstream gets it.
    fn prepare(&self, body: RequestBody, nonces: &Nonces) -> Result<Outgoing, ForwardError> {
        let framing = match declared_length(self.request) {
            // Only `tunnel` lets one of these through.
            _ if tunnel::is_asked(self.request) => Framing::WebSocket,
            Some(length) => Framing::Length(length),
            None if body.is_empty() => Framing::None,
            None => Framing::Chunked,
        };
        let (method, query) = (self.request.method(), self.request.uri().query());
        let bad = ForwardError::BadRequest;
        let mut head = Vec::with_capacity(HEAD);
        head.extend_from_slice(method.as_str().as_bytes());
        head.push(b' ');
        let start = head.len();
        self.route.write_target(self.path, query, &mut head).ok_or(bad("the target"))?;
        let proof = self.proof(&head[start..], nonces);
        let own = Own {
            route: self.route,
            origin: self.origin,
            client: self.client,
            request_id: self.request_id,
            version: self.request.version(),
            bearer: self.bearer(),
            proof: proof.as_deref(),
            framing,
            hops: hops(method, self.request.headers()).map(|hops| hops.saturating_sub(1)),
        };
        head.extend_from_slice(b" HTTP/1.1\r\n");
        outbound(self.request.headers(), &own, &mut head).ok_or(bad("a header"))?;
        head.extend_from_slice(b"\r\n");
        let length = match framing {
            Framing::Length(length) => BodyLength::Exactly(length),
            Framing::Chunked => BodyLength::Chunked,
            Framing::None | Framing::WebSocket => BodyLength::Exactly(0),
        };
        let (asks_for_head, upgrades) = (*method == Method::HEAD, framing == Framing::WebSocket);
        Ok(Outgoing { head: head.into(), body, length, asks_for_head, upgrades })
    }

    /// Sends the request and waits for the head of the response, at most as long as the route says.
    async fn send(
        &self,
        clients: &UpstreamClients,
        body: RequestBody,
        upload: &Upload,
        ends: Option<Instant>,
    ) -> Result<Answer, ForwardError> {
        let repeatable = body.is_empty() && matches!(*self.request.method(), Method::GET | Method::HEAD);
        let place = &self.route.target.place;
        let first = self.prepare(body, clients.nonces())?;
        let exchange = pin!(async {
            match clients.exchange(place, first, true).await {
                // A kept connection that the upstream has just closed says nothing about the request, and nothing
                // changes when GET or HEAD arrives twice (RFC 9110 §9.2.2).
                Err(error) if repeatable && error.is_stale() => {
                    let again = self.prepare(RequestBody::empty(), clients.nonces())?;
                    clients.exchange(place, again, false).await.map_err(ForwardError::from)
                }
                outcome => outcome.map_err(ForwardError::from),
            }
        });
        tokio::select! {
            // The end comes first: nothing is sent once it is there.
            biased;
            () = over(ends) => Err(ForwardError::Timeout),
            outcome = exchange => outcome,
            () = upload.stalled(self.route.config.timeout) => Err(ForwardError::Timeout),
        }
    }
}

/// The outcome of `work`, if it comes before the end of the call's time.
async fn in_time<T>(ends: Option<Instant>, work: impl Future<Output = T>) -> Result<T, ForwardError> {
    tokio::select! {
        biased;
        () = over(ends) => Err(ForwardError::Timeout),
        outcome = work => Ok(outcome),
    }
}

/// Returns at the end of the call's time, if it has one.
async fn over(ends: Option<Instant>) {
    match ends {
        Some(ends) => sleep_until(ends).await,
        None => pending().await,
    }
}

impl From<ExchangeError> for ForwardError {
    fn from(error: ExchangeError) -> Self {
        // If the browser's body broke, that is why the exchange did.
        match error.upload() {
            None => Self::Unreachable(error.to_string()),
            Some(UploadError::TooLarge) => Self::TooLarge,
            Some(UploadError::Broken) => Self::BadRequest("the body broke off"),
        }
    }
}
