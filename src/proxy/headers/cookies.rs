//! Cookies between browser and upstream: none pass but those a route names, byte for byte.

/// Whether a cookie of this name belongs to the gateway or carries a promise of the site's origin that an upstream
/// cannot make (RFC 6265bis §4.1.3): such names never pass, whatever a route lists.
fn is_reserved(name: &[u8]) -> bool {
    [&b"__host-"[..], b"__secure-", b"__http-", b"cloakroom"]
        .iter()
        .any(|prefix| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)))
}

fn is_allowed(name: &[u8], allowed: &[String]) -> bool {
    !name.is_empty() && !is_reserved(name) && allowed.iter().any(|other| other.as_bytes() == name)
}

/// A cookie's name: what stands before the first `=`. A pair without one has no name.
fn name_of(pair: &[u8]) -> &[u8] {
    pair.iter().position(|byte| *byte == b'=').map_or(&b""[..], |end| pair[..end].trim_ascii())
}

/// The cookies of a request that go on, as one header value; names are compared raw, nothing is decoded.
pub(super) fn forwarded<'a>(lines: impl Iterator<Item = &'a [u8]>, allowed: &[String]) -> Option<Vec<u8>> {
    if allowed.is_empty() {
        return None;
    }
    let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';')).map(<[u8]>::trim_ascii);
    let passing: Vec<&[u8]> = pairs.filter(|pair| is_allowed(name_of(pair), allowed)).collect();
    (!passing.is_empty()).then(|| passing.join(&b"; "[..]))
}

/// Whether the upstream may set this cookie: its name is allowed, and it stays on the site's host (no `Domain`).
pub(super) fn may_be_set(line: &[u8], allowed: &[String]) -> bool {
    let mut parts = line.split(|byte| *byte == b';');
    let pair = parts.next().unwrap_or_default();
    let attribute =
        |part: &[u8]| part.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    is_allowed(name_of(pair), allowed) && parts.all(|part| attribute(part) != b"domain")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn only_listed_cookies_go_on_and_their_bytes_stay() {
        let allowed = names(&["lang", "__Host-Http-cloakroom", "cloakroom-8080", "__Secure-x"]);
        let lines = [
            &b"a=1; lang=d\xe9; __Host-Http-cloakroom=t;cloakroom-8080=t"[..],
            b"lang=\"x=y\"; Lang=no; l%61ng=no; lang",
            b"__Secure-x=1",
        ];
        assert_eq!(forwarded(lines.into_iter(), &allowed).as_deref(), Some(&b"lang=d\xe9; lang=\"x=y\""[..]));
        assert_eq!(forwarded([&b"a=1"[..]].into_iter(), &allowed), None);
        assert_eq!(forwarded([&b"lang=1"[..]].into_iter(), &[]), None);
    }

    #[test]
    fn an_upstream_sets_only_listed_cookies_of_the_sites_own_host() {
        let allowed = names(&["lang", "__Host-x", "__SECURE-y", "Cloakroom-z", "__host-http-cloakroom"]);
        for good in ["lang=de", "lang=de; Path=/; Secure; HttpOnly", " lang =de"] {
            assert!(may_be_set(good.as_bytes(), &allowed), "{good}");
        }
        for bad in [
            "Lang=1",
            "other=1",
            "lang",
            "=lang",
            "",
            "lang=1; Domain=app.example",
            "lang=1;DOMAIN =x",
            "lang=1; domain",
            "__Host-x=1",
            "__SECURE-y=1",
            "Cloakroom-z=1",
            "__host-http-cloakroom=1",
            "=__Host-x=1",
        ] {
            assert!(!may_be_set(bad.as_bytes(), &allowed), "{bad}");
        }
    }
}
