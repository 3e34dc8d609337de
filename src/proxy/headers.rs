//! What goes to the upstream and what comes back: hop-by-hop headers end here, headers that speak for the gateway are
//! its own, and headers that act on the SPA's origin are dropped.

pub(super) mod answer;
mod cache;
mod cookies;
mod location;
pub(super) mod request;

use std::borrow::Cow;

use crate::lists;

/// Headers that mean one connection only (RFC 9110 §7.6.1). A name starting with `proxy-` is one of them as well.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(name, "connection" | "keep-alive" | "te" | "trailer" | "transfer-encoding" | "upgrade" | "http2-settings")
        || name.starts_with("proxy-")
}

/// The names in a message's `Connection` headers: they end here too (RFC 9110 §7.6.1).
struct Nominated(Vec<Vec<u8>>);

impl Nominated {
    fn new<'a>(connection: impl Iterator<Item = &'a [u8]>) -> Self {
        let names = connection.flat_map(lists::tokens);
        let usual: [&[u8]; 4] = [b"", b"close", b"keep-alive", b"upgrade"];
        let unusual = names.filter(|name| !usual.iter().any(|usual| usual.eq_ignore_ascii_case(name)));
        Self(unusual.map(<[u8]>::to_vec).collect())
    }

    fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|nominated| nominated.eq_ignore_ascii_case(name.as_bytes()))
    }
}

/// A name as CGI-like servers see it: they turn `-` into `_`, so `X_Forwarded_For` would be `X-Forwarded-For` to them.
/// The server has lower-cased it.
fn fold(name: &str) -> Cow<'_, str> {
    if name.contains('_') { Cow::Owned(name.replace('_', "-")) } else { Cow::Borrowed(name) }
}

/// The members of a list; empty ones mean nothing (RFC 9110 §5.6.1).
fn members(list: &str) -> impl Iterator<Item = &str> {
    lists::members(list).filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_split_outside_quotes() {
        let list = r#"a, b="x, \" y" ,, c"#;
        assert_eq!(members(list).collect::<Vec<_>>(), ["a", r#"b="x, \" y""#, "c"]);
    }

    #[test]
    fn connection_names_are_found_in_every_line_and_case() {
        let nominated = Nominated::new([&b"close, X-Foo"[..], b" ,x-bar"].into_iter());
        assert!(nominated.contains("x-foo") && nominated.contains("x-bar"));
        assert!(!nominated.contains("close") && !nominated.contains(""));
    }
}
