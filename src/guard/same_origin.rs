//! Whether the site's own page made a request (Fetch Metadata; RFC 10017 §6.1.3.3): the defence against forged requests.

use crate::config::{CsrfMode, Origin};

/// The words of a request that tell where it comes from; `None` where a header is absent.
/// A header that came more than once is given as `Some(b"")`, which proves nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Words<'a> {
    /// Whether the method is GET or HEAD.
    pub safe: bool,
    /// `Sec-Fetch-Site`
    pub site: Option<&'a [u8]>,
    /// `Sec-Fetch-Mode`
    pub mode: Option<&'a [u8]>,
    /// `Sec-Fetch-Dest`
    pub dest: Option<&'a [u8]>,
    /// `Origin`
    pub origin: Option<&'a [u8]>,
    /// `X-BFF`
    pub x_bff: Option<&'a [u8]>,
    /// `Sec-Purpose`, else `Purpose`
    pub purpose: Option<&'a [u8]>,
}

/// Proof that the site's own page, or the user by hand, made this request. `proxy::forward` demands it by value.
#[derive(Debug)]
pub struct SameOrigin(());

/// The proof is missing: another site may have made the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not proven to come from this site: {0}")]
pub struct CrossSite(pub &'static str);

/// The rule for routes with a session and for the session endpoints, for every method: `Sec-Fetch-Site: same-origin`
/// (or `none` on GET and HEAD); without that header `Origin` equal to the configured one; without both `X-BFF: 1`.
/// `same-site` is hostile. With [`CsrfMode::Header`] `X-BFF: 1` is demanded as well.
///
/// # Errors
/// [`CrossSite`] says which word is wrong.
pub fn check(words: &Words<'_>, origin: &Origin, csrf: CsrfMode) -> Result<SameOrigin, CrossSite> {
    if csrf == CsrfMode::Header && !has_header(words) {
        return Err(CrossSite("X-BFF: 1 is missing"));
    }
    match (words.site, words.origin) {
        (Some(b"same-origin"), _) => Ok(SameOrigin(())),
        (Some(b"none"), _) if words.safe => Ok(SameOrigin(())),
        // A value from the future is no proof either.
        (Some(_), _) => Err(CrossSite("Sec-Fetch-Site")),
        (None, Some(sent)) if is_origin(sent, origin) => Ok(SameOrigin(())),
        (None, Some(_)) => Err(CrossSite("Origin")),
        (None, None) if has_header(words) => Ok(SameOrigin(())),
        (None, None) => Err(CrossSite("Sec-Fetch-Site, Origin and X-BFF are missing")),
    }
}

/// The rule for event streams, which cannot send headers of their own: where [`CsrfMode::Header`] would demand
/// `X-BFF`, they need `Sec-Fetch-Site: same-origin`, or without that header the exact `Origin`.
///
/// # Errors
/// [`CrossSite`] says which word is wrong.
pub fn check_stream(words: &Words<'_>, origin: &Origin, csrf: CsrfMode) -> Result<SameOrigin, CrossSite> {
    match (csrf, words.site, words.origin) {
        (CsrfMode::Origin, ..) => check(words, origin, csrf),
        (CsrfMode::Header, Some(b"same-origin"), _) => Ok(SameOrigin(())),
        (CsrfMode::Header, Some(_), _) => Err(CrossSite("Sec-Fetch-Site")),
        (CsrfMode::Header, None, Some(sent)) if is_origin(sent, origin) => Ok(SameOrigin(())),
        (CsrfMode::Header, None, _) => Err(CrossSite("Origin")),
    }
}

/// The rule for WebSocket upgrades: the exact `Origin` (RFC 6455 §10.2), which every browser sends. Fetch metadata does
/// not count here, since browsers disagree on what `wss:` is the same origin with.
///
/// # Errors
/// [`CrossSite`] when the origin is missing or another.
pub fn check_upgrade(words: &Words<'_>, origin: &Origin) -> Result<SameOrigin, CrossSite> {
    match words.origin {
        Some(sent) if is_origin(sent, origin) => Ok(SameOrigin(())),
        _ => Err(CrossSite("Origin")),
    }
}

/// What session routes refuse in addition: loads as script, worker, sharedworker, serviceworker, object and embed.
///
/// # Errors
/// [`CrossSite`] for those destinations.
pub fn check_destination(words: &Words<'_>) -> Result<(), CrossSite> {
    match words.dest {
        Some(b"script" | b"worker" | b"sharedworker" | b"serviceworker" | b"object" | b"embed" | b"") => {
            Err(CrossSite("Sec-Fetch-Dest"))
        }
        _ => Ok(()),
    }
}

/// The rule for starting a login: a top-level navigation. `Sec-Fetch-Mode`, if sent, is `navigate` and
/// `Sec-Fetch-Dest`, if sent, `document`; and it is no prefetch or prerender.
///
/// # Errors
/// [`CrossSite`] for anything else.
pub fn check_navigation(words: &Words<'_>) -> Result<(), CrossSite> {
    if words.mode.is_some_and(|mode| mode != b"navigate") {
        return Err(CrossSite("Sec-Fetch-Mode"));
    }
    if words.dest.is_some_and(|dest| dest != b"document") {
        return Err(CrossSite("Sec-Fetch-Dest"));
    }
    match words.purpose {
        Some(b"") => Err(CrossSite("Sec-Purpose")),
        Some(purpose) if holds(purpose, b"prefetch") || holds(purpose, b"prerender") => Err(CrossSite("Sec-Purpose")),
        _ => Ok(()),
    }
}

fn has_header(words: &Words<'_>) -> bool {
    words.x_bff == Some(b"1")
}

/// Byte for byte: browsers write an origin in exactly one way (RFC 6454 §6.2), `null` included.
fn is_origin(sent: &[u8], origin: &Origin) -> bool {
    sent == origin.as_str().as_bytes()
}

fn holds(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin::parse("https://app.example").expect("a good origin")
    }

    fn passes(words: Words<'_>) -> bool {
        check(&words, &origin(), CsrfMode::Origin).is_ok()
    }

    #[test]
    fn fetch_metadata_decides_first() {
        for safe in [true, false] {
            for own in [Some(&b"https://app.example"[..]), Some(b"https://evil.example"), Some(b"null"), None] {
                for x_bff in [Some(&b"1"[..]), None] {
                    let words =
                        |site: &'static [u8]| Words { safe, site: Some(site), origin: own, x_bff, ..Words::default() };
                    assert!(passes(words(b"same-origin")));
                    assert_eq!(passes(words(b"none")), safe);
                    for hostile in [&b"same-site"[..], b"cross-site", b"", b"Same-Origin", b"same-origin ", b"future"] {
                        assert!(!passes(words(hostile)), "{hostile:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn without_fetch_metadata_the_exact_origin_decides() {
        let words = |origin: &'static [u8]| Words { origin: Some(origin), x_bff: Some(b"1"), ..Words::default() };
        assert!(passes(words(b"https://app.example")));
        let hostile = [
            "",
            "null",
            "http://app.example",
            "https://app.example:443",
            "https://app.example:8443",
            "https://APP.example",
            "https://app.example/",
            "https://app.example.evil.example",
            "https://sub.app.example",
            "https://app.example https://app.example",
            "https://app.example,https://evil.example",
            "app.example",
        ];
        for text in hostile {
            assert!(!passes(words(text.as_bytes())), "{text}");
        }
    }

    #[test]
    fn without_both_the_header_decides() {
        for safe in [true, false] {
            assert!(passes(Words { safe, x_bff: Some(b"1"), ..Words::default() }));
            for x_bff in [None, Some(&b""[..]), Some(b"0"), Some(b"true"), Some(b"1 ")] {
                assert!(!passes(Words { safe, x_bff, ..Words::default() }));
            }
        }
    }

    #[test]
    fn a_site_may_demand_the_header_as_well() {
        let site = Words { site: Some(b"same-origin"), ..Words::default() };
        assert!(check(&site, &origin(), CsrfMode::Header).is_err());
        assert!(check(&Words { x_bff: Some(b"1"), ..site }, &origin(), CsrfMode::Header).is_ok());
        let hostile = Words { site: Some(b"cross-site"), x_bff: Some(b"1"), ..Words::default() };
        assert!(check(&hostile, &origin(), CsrfMode::Header).is_err());
    }

    #[test]
    fn streams_and_upgrades_prove_themselves_without_the_header() {
        let metadata = Words { safe: true, site: Some(b"same-origin"), ..Words::default() };
        let exact = Words { safe: true, origin: Some(b"https://app.example"), ..Words::default() };
        let typed = Words { safe: true, site: Some(b"none"), ..Words::default() };
        let tool = Words { safe: true, x_bff: Some(b"1"), ..Words::default() };
        let stream = |words: &Words<'_>| check_stream(words, &origin(), CsrfMode::Header).is_ok();
        assert_eq!([stream(&metadata), stream(&exact), stream(&typed), stream(&tool)], [true, true, false, false]);
        let upgrade = |words: &Words<'_>| check_upgrade(words, &origin()).is_ok();
        assert_eq!([upgrade(&metadata), upgrade(&exact), upgrade(&typed), upgrade(&tool)], [false, true, false, false]);
    }

    #[test]
    fn code_and_plugin_loads_are_refused_on_session_routes() {
        let dest =
            |dest: &'static str| check_destination(&Words { dest: Some(dest.as_bytes()), ..Words::default() }).is_ok();
        for refused in ["script", "worker", "sharedworker", "serviceworker", "object", "embed", ""] {
            assert!(!dest(refused), "{refused}");
        }
        for passed in ["empty", "document", "image", "iframe", "style", "video"] {
            assert!(dest(passed), "{passed}");
        }
        assert!(check_destination(&Words::default()).is_ok());
    }

    #[test]
    fn a_login_starts_only_from_a_real_navigation() {
        let good =
            Words { mode: Some(b"navigate"), dest: Some(b"document"), site: Some(b"cross-site"), ..Words::default() };
        assert!(check_navigation(&good).is_ok());
        assert!(check_navigation(&Words::default()).is_ok());
        for mode in [&b"cors"[..], b"no-cors", b"same-origin", b"websocket", b"", b"nested-navigate"] {
            assert!(check_navigation(&Words { mode: Some(mode), ..good }).is_err());
        }
        for dest in [&b"iframe"[..], b"frame", b"image", b"empty", b"embed", b""] {
            assert!(check_navigation(&Words { dest: Some(dest), ..good }).is_err());
        }
        for purpose in [&b"prefetch"[..], b"prefetch;prerender", b"Prefetch", b"x; prerender", b""] {
            assert!(check_navigation(&Words { purpose: Some(purpose), ..good }).is_err());
        }
        assert!(check_navigation(&Words { purpose: Some(b"visibility"), ..good }).is_ok());
    }
}
