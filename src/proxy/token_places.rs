//! The places at an API where it hands out tokens (`kind = "relay"`). The gateway asks there for itself; a page that did so
//! through a route, with the session's own bearer, would hold a token in the browser.

use percent_encoding::percent_decode;
use url::Url;

use crate::config::{ProviderConfig, ProviderKind};

/// Paths that no route leads to.
#[derive(Default)]
pub struct TokenPlaces(Vec<Vec<u8>>);

impl TokenPlaces {
    /// Where these providers log in, in one step or two, and refresh, as far as they are APIs.
    #[must_use]
    pub fn of(providers: &[ProviderConfig]) -> Self {
        let relays = providers.iter().filter_map(|provider| match &provider.kind {
            ProviderKind::Relay(relay) => Some(relay),
            ProviderKind::Oidc(_) | ProviderKind::OAuth2(_) => None,
        });
        let urls = relays.flat_map(|relay| {
            let (step, refresh) = (relay.step.as_ref(), relay.refresh.as_ref());
            [Some(&relay.login_url), step.map(|step| &step.url), refresh.map(|refresh| &refresh.url)]
        });
        Self(urls.flatten().map(Url::path).map(plain).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `target`, a path as an upstream gets it, ends like one of them however it is spelled: routers decode it,
    /// and some forgive case and slashes at the end, or have a file such as `/index.php` in front. Which upstream it is does
    /// not count, since an API has names inside and outside.
    pub(super) fn hold(&self, target: &str) -> bool {
        let target = plain(target);
        self.0.iter().any(|place| if place.is_empty() { target.is_empty() } else { target.ends_with(place) })
    }
}

fn plain(path: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = percent_decode(path.as_bytes()).collect();
    bytes.make_ascii_lowercase();
    let end = bytes.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    bytes.truncate(end);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_known_in_every_spelling_and_its_neighbours_are_not_it() {
        let places = TokenPlaces(["/api/auth/refresh", "/api/auth/login/"].map(plain).into());
        for held in [
            "/api/auth/refresh",
            "/api/auth/refresh/",
            "/api/auth/%72efre%73h",
            "/API/auth/Refresh",
            "/index.php/api/auth/refresh",
            "/api%2Fauth%2frefresh",
            "/api/auth/login",
        ] {
            assert!(places.hold(held), "{held}");
        }
        for free in ["/", "/api/auth", "/api/auth/me", "/api/auth/refreshed", "/api/auth/refresh/7", "/xapi/auth"] {
            assert!(!places.hold(free), "{free}");
        }
        let root = TokenPlaces(vec![plain("/")]);
        assert!(root.hold("/") && !root.hold("/api"));
    }
}
