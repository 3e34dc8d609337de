//! Caching of answers that depend on a session. A cache sees no `Authorization` on the browser's side of the gateway,
//! so what protects such answers elsewhere (RFC 9111 §3.5) is missing here and has to be said.

use super::members;

/// The value for routes that leave caching to the gateway.
pub(super) const NO_STORE: &str = "private, no-store";

/// The upstream's directives with `private` forced: whatever opens a shared cache goes (RFC 9111 §5.2.2).
pub(super) fn forced_private<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut directives = vec!["private"];
    directives.extend(lines.flat_map(members).filter(|directive| {
        let name = directive.split('=').next().unwrap_or_default().trim();
        !["public", "private", "s-maxage"].iter().any(|opening| name.eq_ignore_ascii_case(opening))
    }));
    directives.join(", ")
}

/// Whether a header steers shared caches past `Cache-Control` (RFC 9213 §2.2).
pub(super) fn targets_shared_caches(name: &str) -> bool {
    name == "surrogate-control" || name.ends_with("cdn-cache-control")
}

/// The upstream's `Vary` with `Cookie` in it (RFC 9110 §12.5.5).
pub(super) fn varying_by_cookie<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = lines.flat_map(members).collect();
    if !names.iter().any(|name| *name == "*" || name.eq_ignore_ascii_case("cookie")) {
        names.push("Cookie");
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_opens_a_shared_cache_is_left() {
        let forced = |lines: &[&'static str]| forced_private(lines.iter().copied());
        assert_eq!(forced(&["public, max-age=60"]), "private, max-age=60");
        assert_eq!(forced(&["S-MaxAge=9", "Private=\"a, b\", no-cache"]), "private, no-cache");
        assert_eq!(forced(&[]), "private");
        assert!(
            ["cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control"]
                .into_iter()
                .all(targets_shared_caches)
        );
    }

    #[test]
    fn cookie_is_added_to_vary_once() {
        let vary = |lines: &[&'static str]| varying_by_cookie(lines.iter().copied());
        assert_eq!(vary(&[]), "Cookie");
        assert_eq!(vary(&["Accept-Encoding", "Origin"]), "Accept-Encoding, Origin, Cookie");
        assert_eq!(vary(&["accept, cookie"]), "accept, cookie");
        assert_eq!(vary(&["*"]), "*");
    }
}
