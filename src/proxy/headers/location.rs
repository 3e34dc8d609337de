//! `Location` on its way back (RFC 9110 §10.2.2): the upstream's own origin becomes the site's, its paths the route's.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use crate::config::Origin;
use crate::proxy::route::Route;

/// What no URL holds as it is: controls, and whatever is not ASCII.
const NOT_ASCII: &AsciiSet = CONTROLS;

/// The URL that a browser reads in these bytes: it leaves tabs out, and percent-encodes what is not ASCII (WHATWG URL
/// §4.4). Servers write such paths as they are.
pub(super) fn as_read(location: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(location) {
        Ok(plain) if location.is_ascii() && !location.contains(&b'\t') => Cow::Borrowed(plain),
        _ => {
            let seen = location.iter().filter(|byte| **byte != b'\t');
            Cow::Owned(seen.flat_map(|byte| percent_encode(std::slice::from_ref(byte), NOT_ASCII)).collect())
        }
    }
}

/// The value for the browser; `None` leaves the upstream's as it is.
///
/// What is mapped is written as an absolute URL: a path such as `//evil.example`, once a prefix is cut off in front of
/// it, would leave the site as a relative one.
pub(super) fn mapped(location: &str, route: &Route, origin: &Origin) -> Option<String> {
    if let Some(rest) = route.target.own(location, origin) {
        return Some(format!("{origin}{}", back(rest, route).unwrap_or_else(|| rest.to_owned())));
    }
    // A path of the upstream needs mapping only where its paths differ from the site's.
    if !location.starts_with('/') || location.starts_with("//") || !route.rewrites() {
        return None;
    }
    back(location, route).map(|path| format!("{origin}{path}"))
}

/// The path at the site that leads to this path at the upstream, if the route leads there at all.
fn back(target: &str, route: &Route) -> Option<String> {
    let end = target.find(['?', '#']).unwrap_or(target.len());
    let (path, tail) = target.split_at(end);
    let rest = path.strip_prefix(&route.target.prefix)?;
    if !rest.is_empty() && !rest.starts_with('/') {
        return None;
    }
    let front = if route.config.strip_prefix { route.config.path.trim_end_matches('/') } else { "" };
    let slash = if front.is_empty() && rest.is_empty() { "/" } else { "" };
    Some(format!("{front}{slash}{rest}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::UpstreamConfig;

    fn map(upstream: &str, strip_prefix: bool, location: &str) -> Option<String> {
        let url = upstream.parse().expect("a URL");
        let mut config = Route::dev_server(&UpstreamConfig::at(url)).config;
        config.path = "/api".into();
        config.strip_prefix = strip_prefix;
        mapped(location, &Route::new(config), &Origin::parse("https://app.example").expect("an origin"))
    }

    #[test]
    fn the_upstreams_own_origin_becomes_the_sites() {
        for (location, expected) in [
            ("http://up:81/api/x?y#z", "https://app.example/api/x?y#z"),
            ("HTTP://UP:81/api/x", "https://app.example/api/x"),
            ("http://up:81", "https://app.example/"),
            ("http://up:81?x", "https://app.example/?x"),
            ("//up:81/x", "https://app.example/x"),
            ("http://up:81//evil.example", "https://app.example//evil.example"),
        ] {
            assert_eq!(map("http://up:81", false, location).as_deref(), Some(expected), "{location}");
        }
        assert_eq!(map("https://up", false, "https://up:443/x").as_deref(), Some("https://app.example/x"));
    }

    #[test]
    fn a_path_that_is_not_ascii_is_mapped_as_a_browser_reads_it() {
        let map = |location: &[u8]| map("http://up:81", false, &as_read(location));
        assert_eq!(
            map("http://up:81/\u{fc}ber?\u{fc}".as_bytes()).as_deref(),
            Some("https://app.example/%C3%BCber?%C3%BC")
        );
        assert_eq!(map(b"http://up:81/\xfc").as_deref(), Some("https://app.example/%FC"));
        assert_eq!(map(b"ht\ttp://up:\t81/x").as_deref(), Some("https://app.example/x"));
        assert_eq!(map("http://\u{fc}p:81/x".as_bytes()), None);
    }

    #[test]
    fn behind_a_socket_the_upstream_goes_by_the_sites_name() {
        let url = "http://localhost/v1".parse().expect("a URL");
        let behind = UpstreamConfig { socket: Some("/run/api.sock".into()), ..UpstreamConfig::at(url) };
        let route = Route::new(Route::dev_server(&behind).config);
        let site = Origin::parse("https://app.example").expect("an origin");
        for (location, expected) in [
            ("http://app.example/v1/x", Some("https://app.example/x")),
            ("https://app.example/v1/x", Some("https://app.example/x")),
            ("https://app.example:443/v1", Some("https://app.example/")),
            ("//app.example/v1/x", Some("https://app.example/x")),
            ("/v1/x", Some("https://app.example/x")),
            ("http://localhost/v1/x", None),
            ("ftp://app.example/v1/x", None),
            ("https://other.example/v1/x", None),
        ] {
            assert_eq!(mapped(location, &route, &site).as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn others_pass_untouched() {
        for location in [
            "https://up:81/x",
            "http://up/x",
            "http://up:82/x",
            "http://user@up:81/x",
            "http://up:81.evil/x",
            "http://evil/x",
            "//evil/x",
            "/api/y",
            "y",
            "?y",
            "",
            "https://app.example/x",
        ] {
            assert_eq!(map("http://up:81", false, location), None, "{location}");
        }
    }

    #[test]
    fn prefixes_are_mapped_back() {
        for (upstream, strip, location, expected) in [
            ("http://up/v1", true, "http://up/v1/x", Some("https://app.example/api/x")),
            ("http://up/v1", true, "/v1/x?q", Some("https://app.example/api/x?q")),
            ("http://up/v1", true, "/v1", Some("https://app.example/api")),
            ("http://up/v1", true, "/v1//evil.example", Some("https://app.example/api//evil.example")),
            ("http://up/v1", true, "/v12/x", None),
            ("http://up/v1", true, "http://up/other", Some("https://app.example/other")),
            ("http://up/v1", false, "/v1//evil.example", Some("https://app.example//evil.example")),
            ("http://up/v1", false, "/v1/api/x", Some("https://app.example/api/x")),
            ("http://up/v1", false, "/v1", Some("https://app.example/")),
            ("http://up", true, "/x", Some("https://app.example/api/x")),
            ("http://up", true, "x", None),
        ] {
            assert_eq!(map(upstream, strip, location).as_deref(), expected, "{upstream} {strip} {location}");
        }
    }
}
