//! Caching of answers that depend on a session. A cache sees no `Authorization` on the browser's side of the gateway,
//! so what protects such answers elsewhere (RFC 9111 §3.5) is missing here and has to be said.

use std::borrow::Cow;

use super::members;

/// The value for routes that leave caching to the gateway.
pub(super) const NO_STORE: &str = "private, no-store";

/// The upstream's directives with `private` forced: whatever opens a shared cache goes (RFC 9111 §5.2.2).
pub(super) fn forced_private<'a>(lines: impl Iterator<Item = Cow<'a, str>>) -> String {
    let lines: Vec<_> = lines.collect();
    let mut directives = vec!["private"];
    directives.extend(readable(&lines).filter(|directive| {
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
pub(super) fn varying_by_cookie<'a>(lines: impl Iterator<Item = Cow<'a, str>>) -> String {
    let lines: Vec<_> = lines.collect();
    let mut names: Vec<&str> = readable(&lines).collect();
    if !names.iter().any(|name| *name == "*" || name.eq_ignore_ascii_case("cookie")) {
        names.push("Cookie");
    }
    names.join(", ")
}

/// The members of these lines. One that is not ASCII says nothing to anybody, and takes no other with it.
fn readable<'a>(lines: &'a [Cow<'_, str>]) -> impl Iterator<Item = &'a str> {
    lines.iter().flat_map(|line| members(line)).filter(|member| member.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_opens_a_shared_cache_is_left() {
        let forced = |lines: &[&'static str]| forced_private(lines.iter().copied().map(Cow::Borrowed));
        assert_eq!(forced(&["public, max-age=60"]), "private, max-age=60");
        assert_eq!(forced(&["S-MaxAge=9", "Private=\"a, b\", no-cache"]), "private, no-cache");
        assert_eq!(forced(&[]), "private");
        assert_eq!(forced(&["no-store, ext=\"\u{fc}\""]), "private, no-store");
        assert!(
            ["cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control"]
                .into_iter()
                .all(targets_shared_caches)
        );
    }

    #[test]
    fn cookie_is_added_to_vary_once() {
        let vary = |lines: &[&'static str]| varying_by_cookie(lines.iter().copied().map(Cow::Borrowed));
        assert_eq!(vary(&[]), "Cookie");
        assert_eq!(vary(&["Accept-Encoding", "Origin"]), "Accept-Encoding, Origin, Cookie");
        assert_eq!(vary(&["accept, cookie"]), "accept, cookie");
        assert_eq!(vary(&["*"]), "*");
        assert_eq!(vary(&["Accept, \u{fc}"]), "Accept, Cookie");
    }
}
