//! The nonces that servers ask to see in the next proof (RFC 9449 §8, §9).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::lists::{self, Challenge};

/// The most servers whose nonce is remembered; a configuration names a handful.
const MOST: usize = 256;
/// The longest nonce.
const LONGEST: usize = 1024;

/// The latest nonce of each server.
#[derive(Debug, Default)]
pub struct Nonces(Mutex<HashMap<String, String>>);

impl Nonces {
    /// What `server` wants to see.
    #[must_use]
    pub fn of(&self, server: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(server).cloned()
    }

    /// Remembers the `DPoP-Nonce` of an answer of `server`; whether there is a sane one.
    pub fn remember(&self, server: &str, nonce: Option<&[u8]>) -> bool {
        let Some(nonce) = nonce.and_then(sane) else { return false };
        let mut nonces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if nonces.len() >= MOST && !nonces.contains_key(server) {
            nonces.clear();
        }
        nonces.insert(server.to_owned(), nonce.to_owned());
        true
    }
}

/// §8.1: `nonce = 1*NQCHAR`.
fn sane(nonce: &[u8]) -> Option<&str> {
    let is_sane = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    let text = std::str::from_utf8(nonce).ok()?;
    ((1..=LONGEST).contains(&nonce.len()) && nonce.iter().all(is_sane)).then_some(text)
}

/// Whether a `WWW-Authenticate` refuses a proof for its nonce alone: `DPoP error="use_dpop_nonce"` (§9), whatever the case
/// of the scheme and whatever other challenges stand around it.
#[must_use]
pub fn asks_for_nonce(challenges: &str) -> bool {
    let asks = |challenge: &Challenge<'_>| challenge.parameter("error") == Some("use_dpop_nonce");
    lists::challenges(challenges).iter().any(|challenge| challenge.is_of("dpop") && asks(challenge))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_asked_for_by_its_own_challenge_alone() {
        for challenge in [
            r#"DPoP error="use_dpop_nonce""#,
            r#"dpop realm="a, b", error="use_dpop_nonce", error_description="x""#,
            r#"Bearer realm="x", DPOP error=use_dpop_nonce"#,
            r#"DPoP algs="ES256", , error="use_dpop_nonce""#,
        ] {
            assert!(asks_for_nonce(challenge), "{challenge}");
        }
        for challenge in [
            "",
            "DPoP",
            r#"DPoP error="invalid_token""#,
            r#"Bearer error="use_dpop_nonce""#,
            r#"DPoP algs="ES256", Bearer error="use_dpop_nonce""#,
            r#"DPoP realm="error=use_dpop_nonce""#,
            r#"DPoP error_description="use_dpop_nonce""#,
        ] {
            assert!(!asks_for_nonce(challenge), "{challenge}");
        }
    }

    #[test]
    fn nonces_are_kept_apart_and_within_bounds() {
        let nonces = Nonces::default();
        assert!(nonces.remember("a", Some(b"n-1")) && nonces.remember("b", Some(b"n-2")));
        assert!(nonces.remember("a", Some(b"n-3")));
        assert_eq!((nonces.of("a").as_deref(), nonces.of("b").as_deref()), (Some("n-3"), Some("n-2")));
        for bad in
            [None, Some(&b""[..]), Some(b"a b"), Some(b"a\"b"), Some(b"a\\b"), Some(&[b'x'; 1025]), Some(b"\xff")]
        {
            assert!(!nonces.remember("a", bad));
        }
        assert_eq!(nonces.of("a").as_deref(), Some("n-3"));
        for server in 0..3 * MOST {
            nonces.remember(&server.to_string(), Some(b"n"));
        }
        assert!(nonces.0.lock().unwrap().len() <= MOST);
    }
}
