//! The headers of an answer on its way to the browser.

use actix_web::HttpResponseBuilder;
use actix_web::http::header as server;
use actix_web::http::header::{CACHE_CONTROL, CONNECTION, HeaderValue, LOCATION, VARY};

use super::{Nominated, cache, cookies, fold, is_hop_by_hop, location};
use crate::config::{CachePolicy, Documents, Origin};
use crate::lists;
use crate::proxy::route::Route;
use crate::proxy::upstream::Fields;

/// What an answer depends on.
pub(crate) struct Asked<'a> {
    /// The route it came through.
    pub(crate) route: &'a Route,
    /// The site it goes to.
    pub(crate) origin: &'a Origin,
    /// Whether the route has a session.
    pub(crate) session: bool,
    /// Whether the browser would show it as a document of its own.
    pub(crate) document: bool,
}

/// Whether the browser asked for something that it will show as a document: a tab, an iframe or a frame. Browsers
/// without fetch metadata are judged by what they accept.
pub(crate) fn wants_document(safe: bool, headers: &server::HeaderMap) -> bool {
    match headers.get("sec-fetch-dest") {
        Some(destination) => matches!(destination.as_bytes(), b"document" | b"iframe" | b"frame"),
        None => safe && headers.get_all(server::ACCEPT).any(|accept| holds_html(accept.as_bytes())),
    }
}

fn holds_html(accept: &[u8]) -> bool {
    accept.windows(b"text/html".len()).any(|part| part.eq_ignore_ascii_case(b"text/html"))
}

/// Hands on what may pass, and the gateway's own; `Content-Length` is the body's affair.
pub(crate) fn inbound(fields: Fields, asked: &Asked<'_>, out: &mut HttpResponseBuilder) {
    if asked.session {
        add_own(&fields, asked, out);
    }
    let nominated = Nominated::new(fields.all(&CONNECTION).map(HeaderValue::as_bytes));
    for (name, value) in fields {
        if is_dropped(&fold(name.as_str()), &value, asked) || nominated.contains(name.as_str()) {
            continue;
        }
        let mapped = if name == LOCATION { mapped_location(&value, asked) } else { None };
        out.append_header((name, mapped.unwrap_or(value)));
    }
}

/// Whether a header ends here: it is hop-by-hop, acts on the whole of the SPA's origin, or tells about the inside.
fn is_dropped(name: &str, value: &HeaderValue, asked: &Asked<'_>) -> bool {
    match name {
        "set-cookie" => !cookies::may_be_set(value.as_bytes(), &asked.route.config.allow_set_cookie),
        "www-authenticate" => !is_token_challenge(value),
        "content-length" | "set-cookie2" | "dpop-nonce" => true,
        "clear-site-data" | "service-worker-allowed" | "strict-transport-security" | "alt-svc" | "refresh" => true,
        "nel" | "report-to" | "server" | "x-powered-by" | "x-bff" => true,
        "cache-control" | "vary" | "x-content-type-options" | "cross-origin-resource-policy" => asked.session,
        "expires" | "pragma" => asked.session && asked.route.config.cache == CachePolicy::NoStore,
        _ => {
            is_hop_by_hop(name)
                || ["access-control-", "x-accel-", "x-bff-"].iter().any(|prefix| name.starts_with(prefix))
                || (asked.session && cache::targets_shared_caches(name))
        }
    }
}

/// Whether every challenge is one that scripts answer: the others make browsers ask the user for a password in the
/// SPA's name (RFC 9110 §11.6.1).
fn is_token_challenge(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else { return false };
    lists::challenges(text).iter().all(|challenge| challenge.is_of("bearer") || challenge.is_of("dpop"))
}

fn mapped_location(value: &HeaderValue, asked: &Asked<'_>) -> Option<server::HeaderValue> {
    let mapped = location::mapped(&location::as_read(value.as_bytes()), asked.route, asked.origin)?;
    server::HeaderValue::from_str(&mapped).ok()
}

fn add_own(fields: &Fields, asked: &Asked<'_>, out: &mut HttpResponseBuilder) {
    let lines = |name| fields.all(name).map(|line| String::from_utf8_lossy(line.as_bytes()));
    match asked.route.config.cache {
        CachePolicy::NoStore => {
            out.insert_header((server::CACHE_CONTROL, server::HeaderValue::from_static(cache::NO_STORE)))
        }
        CachePolicy::Upstream => {
            out.insert_header((server::CACHE_CONTROL, cache::forced_private(lines(&CACHE_CONTROL))))
        }
    };
    if fields.get(&VARY).is_some() {
        out.insert_header((server::VARY, cache::varying_by_cookie(lines(&VARY))));
    } else {
        out.insert_header((server::VARY, server::HeaderValue::from_static("Cookie")));
    }
    out.insert_header((server::X_CONTENT_TYPE_OPTIONS, server::HeaderValue::from_static("nosniff")));
    out.insert_header((server::CROSS_ORIGIN_RESOURCE_POLICY, server::HeaderValue::from_static("same-origin")));
    if asked.document && asked.route.config.documents == Documents::Sandboxed {
        // A second policy can only forbid more than the upstream's own does.
        out.append_header((server::CONTENT_SECURITY_POLICY, "sandbox"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_challenges_for_tokens_pass() {
        let passes = |text| is_token_challenge(&HeaderValue::from_static(text));
        for good in ["Bearer", r#"Bearer realm="a, Basic b", error="x""#, "DPoP algs=\"ES256\", bearer realm = \"x\""] {
            assert!(passes(good), "{good}");
        }
        for bad in [
            "Basic realm=x",
            "Negotiate",
            "NTLM abc==",
            "Bearer realm=\"x\", Basic realm=\"y\"",
            "Digest x=y, Bearer",
            "realm=x",
        ] {
            assert!(!passes(bad), "{bad}");
        }
    }
}
