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
use crate::proxy::route::Route;
use crate::proxy::seam;

/// The name under which the gateway signs `Via` (RFC 9110 §7.6.3).
const PSEUDONYM: &str = "cloakroom";

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
    pub(crate) bearer: Option<&'a server::HeaderValue>,
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
        let mut bearer = seam::value(bearer)?;
        bearer.set_sensitive(true);
        out.insert(AUTHORIZATION, bearer);
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
    out.insert(HeaderName::from_static("x-forwarded-for"), text(&own.client.to_canonical().to_string())?);
    out.insert(HeaderName::from_static("x-forwarded-proto"), HeaderValue::from_static(own.origin.scheme().as_str()));
    out.insert(HeaderName::from_static("x-forwarded-host"), text(&own.origin.authority())?);
    out.insert(HeaderName::from_static("x-request-id"), text(own.request_id)?);
    out.insert(VIA, text(&via(headers, own.version))?);
    Some(())
}

/// The hops so far, and this one.
fn via(headers: &ServerHeaders, version: Version) -> String {
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
    via
}
