//! The headers of a request on its way to the upstream.

use std::borrow::Cow;
use std::net::IpAddr;

use actix_web::http::header::{self as server, HeaderMap as ServerHeaders};
use actix_web::http::{Method, Version};

use super::{Nominated, cookies, fold, is_hop_by_hop, members};
use crate::config::Origin;
use crate::proxy::bearer::Bearer;
use crate::proxy::route::Route;
use crate::proxy::seam;

/// The name under which the gateway signs `Via` (RFC 9110 §7.6.3).
const PSEUDONYM: &str = "cloakroom";

/// The usual `Via`: HTTP/1.1, and no hop before this one.
const FIRST_HOP: &str = "1.1 cloakroom";

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
    /// The validated `Bearer …` or `DPoP …`, on routes that carry one.
    pub(crate) bearer: Option<&'a Bearer>,
    /// The proof that goes with it, for this one request.
    pub(crate) proof: Option<&'a str>,
    /// How the body is framed.
    pub(crate) framing: Framing,
    /// How many more hops it may take, where that is asked for.
    pub(crate) hops: Option<u32>,
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

/// The hops that an OPTIONS may take from here, this one included (RFC 9110 §7.6.2); for other methods they mean nothing.
pub(crate) fn hops(method: &Method, headers: &ServerHeaders) -> Option<u32> {
    if *method != Method::OPTIONS {
        return None;
    }
    headers.get("max-forwards")?.to_str().ok()?.parse().ok()
}

/// Writes the header lines that go to the upstream. Removal comes first: a browser that nominates `Authorization` in
/// `Connection` cannot remove the gateway's own. `None` if a value cannot be written.
pub(crate) fn outbound(headers: &ServerHeaders, own: &Own<'_>, out: &mut Vec<u8>) -> Option<()> {
    let nominated = Nominated::new(headers.get_all(server::CONNECTION).map(server::HeaderValue::as_bytes));
    line(out, "host", own.route.target.host(own.origin).as_bytes());
    for (name, value) in headers {
        let name_seen = fold(name.as_str());
        let counted = own.hops.is_some() && name_seen == "max-forwards";
        let passes = !is_dropped(&name_seen) && !counted || (name_seen == "origin" && !own.route.config.drop_origin);
        if passes && !nominated.contains(name.as_str()) {
            if !seam::is_value(value.as_bytes()) {
                return None;
            }
            line(out, name.as_str(), value.as_bytes());
        }
    }
    add_own(out, headers, own);
    Some(())
}

fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
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

fn add_own(out: &mut Vec<u8>, headers: &ServerHeaders, own: &Own<'_>) {
    let cookies = headers.get_all(server::COOKIE).map(server::HeaderValue::as_bytes);
    if let Some(cookies) = cookies::forwarded(cookies, &own.route.config.forward_cookies) {
        line(out, "cookie", &cookies);
    }
    if let Some(bearer) = own.bearer {
        line(out, "authorization", bearer.value());
    }
    if let Some(proof) = own.proof {
        line(out, "dpop", proof.as_bytes());
    }
    match own.framing {
        Framing::None => {}
        Framing::Length(length) => line(out, "content-length", length.to_string().as_bytes()),
        Framing::Chunked => line(out, "transfer-encoding", b"chunked"),
        Framing::WebSocket => {
            line(out, "connection", b"Upgrade");
            line(out, "upgrade", b"websocket");
        }
    }
    if let Some(hops) = own.hops {
        line(out, "max-forwards", hops.to_string().as_bytes());
    }
    write_address(own.client.to_canonical(), out);
    line(out, "x-forwarded-proto", own.origin.scheme().as_str().as_bytes());
    line(out, "x-forwarded-host", own.origin.authority().as_bytes());
    line(out, "x-request-id", own.request_id.as_bytes());
    line(out, "via", &via(headers, own.version));
}

/// The browser's address. Four numbers and three dots are faster written by hand than by the formatter.
fn write_address(address: IpAddr, out: &mut Vec<u8>) {
    out.extend_from_slice(b"x-forwarded-for: ");
    match address {
        IpAddr::V6(_) => out.extend_from_slice(address.to_string().as_bytes()),
        IpAddr::V4(address) => {
            for octet in address.octets() {
                let digits = [octet / 100, octet / 10 % 10, octet % 10];
                let unwritten = usize::from(octet < 100) + usize::from(octet < 10);
                out.extend(digits[unwritten..].iter().map(|digit| b'0' + digit));
                out.push(b'.');
            }
            out.pop();
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// The hops so far, and this one.
fn via(headers: &ServerHeaders, version: Version) -> Cow<'static, [u8]> {
    if version == Version::HTTP_11 && !headers.contains_key(server::VIA) {
        return Cow::Borrowed(FIRST_HOP.as_bytes());
    }
    let mut via = String::new();
    for member in headers.get_all(server::VIA).filter_map(|line| line.to_str().ok()).flat_map(members) {
        via.push_str(member);
        via.push_str(", ");
    }
    via.push_str(match version {
        Version::HTTP_10 => "1.0 ",
        Version::HTTP_2 => "2.0 ",
        _ => "1.1 ",
    });
    via.push_str(PSEUDONYM);
    Cow::Owned(via.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_usual() {
        let all = (0..=255).map(|octet| IpAddr::from([octet, 0, 255 - octet, octet]));
        for one in all.chain([IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])]) {
            let mut out = Vec::new();
            write_address(one, &mut out);
            assert_eq!(String::from_utf8(out).expect("text"), format!("x-forwarded-for: {one}\r\n"));
        }
    }
}
