//! The places at an API where it hands out tokens (`kind = "relay"`). The gateway asks there for itself; a page that did so
//! through a route, with the session's own bearer, would hold a token in the browser.

use percent_encoding::percent_decode;

use crate::config::{ProviderConfig, ProviderKind, TokenUrl};

/// Paths that no route leads to.
#[derive(Default)]
pub struct TokenPlaces(Vec<TokenPlace>);

struct TokenPlace {
    path: Vec<u8>,
    /// Whether a token may be had there with any method.
    by_any_method: bool,
}

impl TokenPlaces {
    /// Where these providers log in, in one step or two, and refresh, as far as they are APIs.
    #[must_use]
    pub fn of(providers: &[ProviderConfig]) -> Self {
        let relays = providers.iter().filter_map(|provider| match &provider.kind {
            ProviderKind::Relay(relay) => Some(relay),
            ProviderKind::Oidc(_) | ProviderKind::OAuth2(_) => None,
        });
        Self(relays.flat_map(|relay| relay.token_urls()).map(TokenPlace::of).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `path`, as an upstream gets it or as the browser wrote it, ends like one of them however it is spelled: routers
    /// decode it, and some forgive case and slashes at the end, take a format such as `.json` there, or have a file such
    /// as `/index.php` in front. Which upstream it is does not count, since an API has names inside and outside.
    pub(super) fn hold(&self, method: &str, path: &str) -> bool {
        let path = plain(path);
        let named = without_format(&path);
        let is_at = |place: &[u8]| match place {
            [] => path.is_empty(),
            _ => path.ends_with(place) || named.ends_with(place),
        };
        let asks = TokenUrl::may_grant(method);
        self.0.iter().any(|place| (asks || place.by_any_method) && is_at(&place.path))
    }
}

impl TokenPlace {
    fn of(token_url: TokenUrl<'_>) -> Self {
        Self { path: plain(token_url.url.path()), by_any_method: token_url.by_any_method }
    }
}

fn plain(path: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = percent_decode(path.as_bytes()).collect();
    bytes.make_ascii_lowercase();
    let end = bytes.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    bytes.truncate(end);
    bytes
}

/// `path` without what follows the last dot of its last segment: frameworks such as Rails take anything there.
fn without_format(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|byte| matches!(byte, b'.' | b'/')) {
        Some(at) if path[at] == b'.' => &path[..at],
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places<const N: usize>(places: [(&str, bool); N]) -> TokenPlaces {
        TokenPlaces(places.map(|(path, by_any_method)| TokenPlace { path: plain(path), by_any_method }).into())
    }

    #[test]
    fn a_place_is_known_in_every_spelling_and_its_neighbours_are_not_it() {
        let known = places([("/api/auth/refresh", true), ("/api/auth/login/", true), ("/api/auth.token", true)]);
        for held in [
            "/api/auth/refresh",
            "/api/auth/refresh/",
            "/api/auth/%72efre%73h",
            "/API/auth/Refresh",
            "/index.php/api/auth/refresh",
            "/api%2Fauth%2frefresh",
            "/api/auth/refresh.json",
            "/api/auth/refresh%2ejson",
            "/api/auth/refresh.JSON/",
            "/api/auth/refresh.any-format_there_is",
            "/api/auth/login",
            "/api/auth.token",
            "/api/auth.token.json",
        ] {
            assert!(known.hold("POST", held), "{held}");
        }
        for free in [
            "/",
            "/api/auth",
            "/api/auth/me",
            "/api/auth/refreshed",
            "/api/auth/refresh/7",
            "/api/auth/refresh/7.json",
            "/api/auth/refresh.d/list",
            "/api/auth.test",
            "/xapi/auth",
        ] {
            assert!(!known.hold("POST", free), "{free}");
        }
        let root = places([("/", true)]);
        assert!(root.hold("POST", "/") && !root.hold("POST", "/api"));
    }

    #[test]
    fn a_login_is_closed_to_what_sends_credentials_and_a_refresh_to_everything() {
        let known = places([("/session", false), ("/refresh", true)]);
        for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
            assert!(!known.hold(method, "/session") && known.hold(method, "/refresh"), "{method}");
        }
        for method in ["POST", "PUT", "PATCH", "QUERY", "get"] {
            assert!(known.hold(method, "/session") && known.hold(method, "/refresh"), "{method}");
        }
    }
}
