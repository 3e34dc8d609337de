//! Which authority a request is for (RFC 9110 §7.2).

use crate::config::{Origin, Scheme};

/// Whether `host`, the value of the one `Host` header, is the authority of `origin`:
/// case-insensitive, the scheme's default port may be written or left out.
#[must_use]
pub fn is_authority_of(host: &[u8], origin: &Origin) -> bool {
    let name = origin.host().as_bytes();
    let Some((given, port)) = host.split_at_checked(name.len()) else { return false };
    given.eq_ignore_ascii_case(name)
        // A browser's way to write it, or with the scheme's default port written out.
        && match &origin.authority().as_bytes()[name.len()..] {
            [] => port.is_empty() || port == default_port(origin.scheme()),
            other => port == other,
        }
}

const fn default_port(scheme: Scheme) -> &'static [u8] {
    match scheme {
        Scheme::Http => b":80",
        Scheme::Https => b":443",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(origin: &str, host: &str) -> bool {
        is_authority_of(host.as_bytes(), &Origin::parse(origin).expect("a good origin"))
    }

    #[test]
    fn the_configured_authority_is_accepted_in_any_case_and_with_the_default_port() {
        for host in ["app.example", "APP.Example", "app.example:443"] {
            assert!(accepts("https://app.example", host), "{host}");
        }
        assert!(accepts("http://one.localhost:8080", "One.LocalHost:8080"));
        assert!(accepts("http://[::1]:8080", "[::1]:8080"));
        assert!(accepts("https://app.example:8443", "app.example:8443"));
    }

    #[test]
    fn every_other_authority_is_refused() {
        let others = [
            "",
            ":",
            ":443",
            "app.example:",
            "app.example:80",
            "app.example:0443",
            "app.example:+443",
            "app.example.",
            "app.example.:443",
            "evil.example",
            "app.example.evil.example",
            "sub.app.example",
            "user@app.example",
            "app.example@evil.example",
            "app.example,evil.example",
            "app.example evil",
            " app.example",
            "app.example ",
            "app.example/",
            "app.example:443:443",
            "https://app.example",
            "app.exampl\u{e9}",
            "app%2eexample",
        ];
        for host in others {
            assert!(!accepts("https://app.example", host), "{host:?}");
        }
        for host in ["one.localhost", "one.localhost:80", "two.localhost:8080", "localhost:8080"] {
            assert!(!accepts("http://one.localhost:8080", host), "{host:?}");
        }
        assert!(!accepts("http://[::1]:8080", "::1:8080"));
    }
}
