//! One request, forwarded: headers cleaned, the bearer added, bodies streamed both ways, the answer cleaned.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::dev::Payload;
use actix_web::http::header::HeaderValue;

use super::route::Route;
use super::upstream::UpstreamClients;
use crate::config::Origin;
use crate::guard::path::RoutePath;
use crate::guard::same_origin::SameOrigin;

/// What lets a request through to an upstream.
pub enum Pass {
    /// A route with a session: the proof, and the validated `Bearer …` value if there is a session.
    Session(SameOrigin, Option<HeaderValue>),
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
    /// The request itself cannot be forwarded.
    #[error("the request cannot be forwarded: {0}")]
    BadRequest(&'static str),
}

/// Forwards and answers.
///
/// # Errors
/// [`ForwardError`] when there is no answer to pass on.
pub async fn forward(clients: &UpstreamClients, forward: Forward<'_>) -> Result<HttpResponse, ForwardError> {
    let _ = (clients, forward.payload);
    todo!()
}
