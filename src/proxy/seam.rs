//! The seam between the `http` crate of the server (0.2, actix-web) and of the client (1, hyper): bytes cross, types do not.

use actix_web::http as server;
use hyper::http as client;

/// A method for the upstream. Both crates accept the same tokens (RFC 9110 §9.1).
pub(super) fn method(method: &server::Method) -> Option<client::Method> {
    client::Method::from_bytes(method.as_str().as_bytes()).ok()
}

/// A header name for the upstream.
pub(super) fn name(name: &server::header::HeaderName) -> Option<client::HeaderName> {
    client::HeaderName::from_bytes(name.as_str().as_bytes()).ok()
}

/// A header value for the upstream.
pub(super) fn value(value: &server::header::HeaderValue) -> Option<client::HeaderValue> {
    client::HeaderValue::from_bytes(value.as_bytes()).ok()
}

/// A status for the browser.
pub(super) fn status(status: client::StatusCode) -> Option<server::StatusCode> {
    server::StatusCode::from_u16(status.as_u16()).ok()
}

/// A header name for the browser.
pub(super) fn answer_name(name: &client::HeaderName) -> Option<server::header::HeaderName> {
    server::header::HeaderName::from_bytes(name.as_str().as_bytes()).ok()
}

/// A header value for the browser.
pub(super) fn answer_value(value: &client::HeaderValue) -> Option<server::header::HeaderValue> {
    server::header::HeaderValue::from_bytes(value.as_bytes()).ok()
}
