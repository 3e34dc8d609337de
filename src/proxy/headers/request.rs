//! The headers of a request on its way to the upstream.

use std::fmt::Write as _;
use std::net::IpAddr;

use actix_web::http::Version;
use actix_web::http::header::{self as server, HeaderMap as ServerHeaders};
use hyper::HeaderMap;
use hyper::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE, VIA,
};

use super::{Nominated, cookies, fold, is_hop_by_hop, members};
use crate::config::Origin;
use crate::proxy::bearer::Bearer;
use crate::proxy::route::Route;
use crate::proxy::seam;

/// The name under which the gateway signs `Via` (RFC 9110 §7.6.3).
const PSEUDONYM: &str = "cloakroom";

/// The usual `Via`: HTTP/1.1, and no hop before this one.
const FIRST_HOP: &str = "1.1 cloakroom";

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the gateway says itself.
pub(crate) struct Own<'a> {
    /// The route, for the upstream's authority and the cookies that pass.
    pub(crate) route: &'a Route,
    /// The site's origin.
    pub(crate) origin: &'a Origin,
    /// The browser's address.
    pub(crate) client: IpAddr,
    /// The request's id.
    pub(crate) request_id: &'a str,
    /// The protocol the request came in.
    pub(crate) version: Version,
    /// The validated `Bearer …`, on routes that carry one.
    pub(crate) bearer: Option<&'a Bearer>,
    /// How the body is framed.
    pub(crate) framing: Framing,
}

/// How a request body is framed (RFC 9112 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none, and the browser did not say so.
    None,
    /// So many bytes, as the browser said.
    Length(u64),
    /// Chunks.
    Chunked,
    /// No body, but another protocol after the answer (RFC 6455 §4.1).
    WebSocket,
}

/// Whether this request has passed the gateway before: its own name is in `Via` (RFC 9110 §7.6.3).
pub(crate) fn has_looped(headers: &ServerHeaders) -> bool {
    headers.get_all(server::VIA).filter_map(|line| line.to_str().ok()).flat_map(members).any(|member| {
        // received-protocol RWS received-by [ RWS comment ]
        member.split_ascii_whitespace().nth(1).is_some_and(|by| by.eq_ignore_ascii_case(PSEUDONYM))
    })
}

/// What goes to the upstream. Removal comes first: a browser that nominates `Authorization` in `Connection` cannot
/// remove the gateway's own.
pub(crate) fn outbound(headers: &ServerHeaders, own: &Own<'_>) -> Option<HeaderMap> {
    let nominated = Nominated::new(headers.get_all(server::CONNECTION).map(server::HeaderValue::as_bytes));
    let mut out = HeaderMap::with_capacity(headers.len() + 8);
    out.insert(HOST, own.route.target.host.clone());
    for (name, value) in headers {
        let name_seen = fold(name.as_str());
        let passes = !is_dropped(&name_seen) || (name_seen == "origin" && !own.route.config.drop_origin);
        if passes && !nominated.contains(name.as_str()) {
            out.append(seam::name(name)?, seam::value(value)?);
        }
    }
    add_own(&mut out, headers, own)?;
    Some(out)
}

/// Whether a header ends here: it is hop-by-hop, speaks for the gateway, or proves something to the gateway only.
fn is_dropped(name: &str) -> bool {
    matches!(
        name,
        "host" | "content-length" | "expect" // framing, answered or written by the gateway
            | "cookie" | "authorization" | "dpop" // the session's, not the browser's
            | "origin" | "referer" // the same-origin proof ends here
            | "forwarded" | "x-real-ip" | "via" | "x-request-id" // the gateway's word
            | "x-http-method-override" | "x-http-method" | "x-method-override" | "x-original-url" | "x-rewrite-url"
    ) || is_hop_by_hop(name)
        || ["sec-fetch-", "x-forwarded-", "x-bff"].iter().any(|prefix| name.starts_with(prefix))
}

fn add_own(out: &mut HeaderMap, headers: &ServerHeaders, own: &Own<'_>) -> Option<()> {
    let cookies = headers.get_all(server::COOKIE).map(server::HeaderValue::as_bytes);
    if let Some(cookies) = cookies::forwarded(cookies, &own.route.config.forward_cookies) {
        out.insert(COOKIE, HeaderValue::from_bytes(&cookies).ok()?);
    }
    if let Some(bearer) = own.bearer {
        out.insert(AUTHORIZATION, bearer.value().clone());
    }
    match own.framing {
        Framing::None => {}
        Framing::Length(length) => drop(out.insert(CONTENT_LENGTH, length.into())),
        Framing::Chunked => drop(out.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"))),
        Framing::WebSocket => {
            out.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            out.insert(UPGRADE, HeaderValue::from_static("websocket"));
        }
    }
    let text = |text: &str| HeaderValue::from_str(text).ok();
    out.insert(&FORWARDED_FOR, address(own.client.to_canonical())?);
    out.insert(&FORWARDED_PROTO, HeaderValue::from_static(own.origin.scheme().as_str()));
    out.insert(&FORWARDED_HOST, text(own.origin.authority())?);
    out.insert(&REQUEST_ID, text(own.request_id)?);
    out.insert(VIA, via(headers, own.version)?);
    Some(())
}

/// An address as text. Four numbers and three dots are faster written by hand than by the formatter.
fn address(address: IpAddr) -> Option<HeaderValue> {
    let IpAddr::V4(address) = address else { return HeaderValue::from_str(&address.to_string()).ok() };
    let mut text = Vec::with_capacity("255.255.255.255".len());
    for octet in address.octets() {
        let digits = [octet / 100, octet / 10 % 10, octet % 10];
        let unwritten = usize::from(octet < 100) + usize::from(octet < 10);
        text.extend(digits[unwritten..].iter().map(|digit| b'0' + digit));
        text.push(b'.');
    }
    text.pop();
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).ok()
}

/// The hops so far, and this one.
fn via(headers: &ServerHeaders, version: Version) -> Option<HeaderValue> {
    if version == Version::HTTP_11 && !headers.contains_key(server::VIA) {
        return Some(HeaderValue::from_static(FIRST_HOP));
    }
    let mut via = String::new();
    for member in headers.get_all(server::VIA).filter_map(|line| line.to_str().ok()).flat_map(members) {
        let _ = write!(via, "{member}, ");
    }
    let received = match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2.0",
        _ => "1.1",
    };
    let _ = write!(via, "{received} {PSEUDONYM}");
    HeaderValue::from_str(&via).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_usual() {
        let all = (0..=255).map(|octet| IpAddr::from([octet, 0, 255 - octet, octet]));
        for one in all.chain([IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])]) {
            assert_eq!(address(one).expect("an address"), one.to_string());
        }
    }
}
