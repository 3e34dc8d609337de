//! The token as the upstream gets it: checked once, sent as often as it is good.

use bytes::Bytes;
use zeroize::Zeroizing;

use super::seam;

/// The value of one `Authorization` header (RFC 6750 §2.1). Clones share the bytes, which are wiped with the last of them.
#[derive(Clone)]
pub struct Bearer(Bytes);

const SCHEME: &str = "Bearer ";

impl Bearer {
    /// Checks a token; one that no header can carry is `None`.
    #[must_use]
    pub fn new(token: &str) -> Option<Self> {
        let text = Zeroizing::new([SCHEME.as_bytes(), token.as_bytes()].concat());
        seam::is_value(&text).then(|| Self(Bytes::from_owner(text)))
    }

    /// Whether this is the value for `token`.
    #[must_use]
    pub fn carries(&self, token: &str) -> bool {
        self.0.strip_prefix(SCHEME.as_bytes()) == Some(token.as_bytes())
    }

    pub(super) fn value(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_header_can_carry_becomes_a_bearer() {
        let bearer = Bearer::new("a.b-c").expect("a token");
        assert_eq!(bearer.value(), b"Bearer a.b-c");
        assert!(bearer.carries("a.b-c") && !bearer.carries("a.b-d") && !bearer.carries("a.b-c "));
        assert!(!format!("{bearer:?}").contains("a.b-c"));
        for bad in ["a\r\nb", "a\nb", "a\0b", "\u{7f}"] {
            assert!(Bearer::new(bad).is_none(), "{bad:?}");
        }
    }
}
