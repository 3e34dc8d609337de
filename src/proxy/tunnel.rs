//! WebSockets (RFC 6455): the handshake is forwarded as any request is; after the upstream's 101 the bytes pass untouched.
//!
//! Nothing of what the browser sends early goes upstream before that 101, and none of it is ever read as a second request:
//! the server takes everything that follows such a head for one body, and an answer other than 101 ends the connection.
//! Frames are counted but not changed, so subprotocols and extensions are the affair of the two ends.

mod frames;
mod relay;

use actix_web::body::MessageBody as _;
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode, Version};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::bearer::Bearer;
use super::body::Upload;
use super::forward::{Forward, ForwardError};
use super::upstream::UpstreamClients;
use crate::config::RouteConfig;
use crate::connection::Connection;
use crate::lists;

/// How a tunnel is closed from here (RFC 6455 §7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// The status code of the Close frame.
    pub code: u16,
    /// Its reason, a word of at most 123 bytes.
    pub reason: &'static str,
}

/// What an open tunnel listens to and tells.
pub struct Hooks<E, A> {
    /// Resolves when the tunnel has to be closed.
    pub ending: E,
    /// Called for every piece of data from the browser; pings, pongs and closes are none.
    pub active: A,
}

/// Whether a request asks for a WebSocket, well formed or not: the server takes what follows its head for raw bytes. It does
/// so for this one protocol and ignores all others (RFC 9110 §7.8).
#[must_use]
pub fn is_asked(request: &HttpRequest) -> bool {
    request
        .headers()
        .get_all(header::UPGRADE)
        .any(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket"))
}

/// Whether the request is a handshake that this route takes.
///
/// # Errors
/// A sentence, when it is not a handshake of RFC 6455 §4.2.1, or when the route takes none.
pub fn check(request: &HttpRequest, route: &RouteConfig) -> Result<(), &'static str> {
    let headers = request.headers();
    let one = |name: HeaderName| {
        let mut values = headers.get_all(name);
        values.next().filter(|_| values.next().is_none()).map(HeaderValue::as_bytes)
    };
    let upgrades =
        |value: &HeaderValue| lists::tokens(value.as_bytes()).any(|name| name.eq_ignore_ascii_case(b"upgrade"));
    let is_nonce = |key: &[u8]| STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16);
    if !route.websocket {
        Err("this route takes no WebSockets")
    } else if *request.method() != Method::GET || request.version() != Version::HTTP_11 {
        Err("a WebSocket begins with GET and HTTP/1.1")
    } else if headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING) {
        Err("the handshake of a WebSocket has no body")
    } else if one(header::UPGRADE).is_none() || !headers.get_all(header::CONNECTION).any(upgrades) {
        Err("Upgrade or Connection is not that of a WebSocket")
    } else if one(header::SEC_WEBSOCKET_VERSION) != Some(b"13") {
        Err("Sec-WebSocket-Version is not 13")
    } else if !one(header::SEC_WEBSOCKET_KEY).is_some_and(is_nonce) {
        Err("Sec-WebSocket-Key is missing or malformed")
    } else {
        Ok(())
    }
}

/// Forwards a handshake that [`check`] has accepted, and opens the tunnel if the upstream does; its other answers are
/// passed on. `renew` is as for [`forward`](super::forward::forward).
///
/// # Errors
/// [`ForwardError`] when there is no answer to pass on.
pub async fn tunnel(
    clients: &UpstreamClients,
    mut forward: Forward<'_>,
    renew: impl AsyncFnOnce() -> Option<Bearer>,
    hooks: Hooks<impl Future<Output = Closing> + 'static, impl FnMut() + 'static>,
) -> Result<HttpResponse, ForwardError> {
    let payload = std::mem::replace(&mut forward.payload, Payload::None);
    forward.check_loop()?;
    // A call like any other, for as long as the tunnel is open; its time, though, is that of the handshake.
    let bounds = forward.enter()?;
    let answer = forward.exchange(clients, Upload::none(), bounds.ends, renew).await?;
    if answer.status != StatusCode::SWITCHING_PROTOCOLS {
        return forward.answer(answer, bounds);
    }
    let unreachable = |what: &str| ForwardError::Unreachable(what.to_owned());
    let protocol = answer.fields.get(&header::UPGRADE).map(|value| value.as_bytes().to_ascii_lowercase());
    if protocol.as_deref() != Some(b"websocket") {
        return Err(unreachable("it switches to a protocol that nobody asked for"));
    }
    let mut opened = forward.head(answer.fields, answer.status);
    if let Some(connection) = Connection::of(forward.request) {
        connection.limit(forward.route.config.idle_timeout, None);
    }
    let upstream = answer.body.into_wire().ok_or_else(|| unreachable("it closed the connection"))?;
    opened.upgrade("websocket");
    tracing::debug!(event = "tunnel_opened", request_id = forward.request_id);
    Ok(opened.body(relay::start(payload, upstream, hooks, bounds.room).boxed()))
}
