//! The token as the upstream gets it: checked once, sent as often as it is good, with a proof each time if it is bound to
//! a key.

use std::rc::Rc;

use bytes::Bytes;
use zeroize::Zeroizing;

use super::seam;
use crate::dpop::{Claim, Prover};

/// The value of one `Authorization` header (RFC 6750 §2.1, RFC 9449 §7.1). Clones share the bytes, which are wiped with the
/// last of them.
#[derive(Clone)]
pub struct Bearer {
    value: Bytes,
    /// Where the token stands in it.
    token: usize,
    prover: Option<Rc<Prover>>,
}

const BEARER: &str = "Bearer ";
const DPOP: &str = "DPoP ";

impl Bearer {
    /// Checks a token; one that no header can carry is `None`.
    #[must_use]
    pub fn new(token: &str) -> Option<Self> {
        Self::with(BEARER, token, None)
    }

    /// The same for a token that is bound to the key of `prover`.
    #[must_use]
    pub fn bound(token: &str, prover: Prover) -> Option<Self> {
        Self::with(DPOP, token, Some(Rc::new(prover)))
    }

    fn with(scheme: &str, token: &str, prover: Option<Rc<Prover>>) -> Option<Self> {
        let text = Zeroizing::new([scheme.as_bytes(), token.as_bytes()].concat());
        seam::is_value(&text).then(|| Self { value: Bytes::from_owner(text), token: scheme.len(), prover })
    }

    /// Whether this is the value for `token`.
    #[must_use]
    pub fn carries(&self, token: &str) -> bool {
        self.value.get(self.token..) == Some(token.as_bytes())
    }

    pub(super) fn value(&self) -> &[u8] {
        &self.value
    }

    /// Whether each request needs a proof.
    pub(super) const fn is_bound(&self) -> bool {
        self.prover.is_some()
    }

    /// A fresh proof for one request to `url`, if the token is bound to a key.
    pub(super) fn proof(&self, method: &str, url: &str, nonce: Option<&str>) -> Option<String> {
        let token = std::str::from_utf8(self.value.get(self.token..)?).ok();
        Some(self.prover.as_ref()?.proof(&Claim { method, url, nonce, token }))
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
