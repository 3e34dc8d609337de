//! A signed token in compact form (RFC 7515 §7.1): read with suspicion, believed only after its signature was checked.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::json;
use super::jwks::{KeySet, algorithm};

/// The largest token that is looked at: ID tokens with many groups are large, beyond this they are attacks.
const LARGEST_TOKEN: usize = 256 * 1024;

/// A token whose header passed, and whose payload nobody has seen yet.
pub(super) struct Jws<'a> {
    pub(super) alg: Algorithm,
    kid: Option<String>,
    typ: Option<String>,
    signed: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// What the keys say.
pub(super) enum Verdict {
    /// A key of the set made the signature; these are the claims.
    Genuine(Map<String, Value>),
    /// No key of the set fits, or the token names none and no fitting one made it: newer keys may.
    NoKey,
    /// The named key did not make the signature, or the payload is no claim set.
    Forged(&'static str),
}

impl<'a> Jws<'a> {
    /// Reads the header. `allowed` holds the configured algorithms; keys in the header (`jwk`, `jku`, `x5u`, `x5c`) are not
    /// even read, and what is critical is not understood (RFC 7515 §4.1.11).
    pub(super) fn read(token: &'a str, allowed: &[Algorithm]) -> Result<Self, &'static str> {
        if token.len() > LARGEST_TOKEN {
            return Err("it is too large");
        }
        let (signed, signature) = token.rsplit_once('.').ok_or("it is not a signed token")?;
        let (header, payload) = signed.split_once('.').ok_or("it is not a signed token")?;
        if payload.contains('.') || signature.is_empty() {
            return Err("it is not a signed token");
        }
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| "its header is not base64url")?;
        let header = json::object(&header).map_err(|_| "its header is not JSON, or repeats a member")?;
        if ["crit", "b64", "zip", "enc"].iter().any(|name| header.contains_key(*name)) {
            return Err("its header demands what is not supported");
        }
        let alg = header.get("alg").and_then(Value::as_str).and_then(algorithm);
        let alg = alg.filter(|alg| allowed.contains(alg)).ok_or("its algorithm is not allowed")?;
        let kid = optional_text(&header, "kid")?;
        let typ = optional_text(&header, "typ")?;
        Ok(Self { alg, kid, typ, signed, payload, signature })
    }

    /// Whether this is a plain JWT, or says nothing; typed ones are access tokens, logout tokens and the like (RFC 8725 §3.11).
    pub(super) fn is_untyped(&self) -> bool {
        let typ = self.typ.as_deref().unwrap_or("JWT");
        typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("application/jwt")
    }

    /// Whether this says to be a token of `kind`; the prefix may be left out (RFC 7515 §4.1.9).
    pub(super) fn is_typed(&self, kind: &str) -> bool {
        let typ = self.typ.as_deref().unwrap_or_default();
        let prefix = typ.get(..12).filter(|prefix| prefix.eq_ignore_ascii_case("application/"));
        typ[prefix.map_or(0, str::len)..].eq_ignore_ascii_case(kind)
    }

    /// Checks the signature against the fitting keys of `keys`, and only then reads the payload.
    pub(super) fn verify(&self, keys: &KeySet) -> Verdict {
        let mut fitting = keys.fitting(self.alg, self.kid.as_deref()).peekable();
        if fitting.peek().is_none() {
            return Verdict::NoKey;
        }
        let genuine = fitting.any(|key| {
            jsonwebtoken::crypto::verify(self.signature, self.signed.as_bytes(), key, self.alg).unwrap_or(false)
        });
        if !genuine {
            return if self.kid.is_none() { Verdict::NoKey } else { Verdict::Forged("its signature is wrong") };
        }
        match URL_SAFE_NO_PAD.decode(self.payload).map(|payload| json::object(&payload)) {
            Ok(Ok(claims)) => Verdict::Genuine(claims),
            _ => Verdict::Forged("its payload is not JSON, or repeats a member"),
        }
    }
}

/// What a token claims, whoever signed it or did not: good for finding out whom to ask about it, and for nothing else.
pub(super) fn unverified_claims(token: &str) -> Option<Map<String, Value>> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    json::object(&payload).ok()
}

fn optional_text(header: &Map<String, Value>, name: &str) -> Result<Option<String>, &'static str> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err("its header has a member of the wrong type"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Members of a JOSE header, good and bad.
    fn members() -> impl Strategy<Value = Map<String, Value>> {
        let name = prop_oneof![
            prop::sample::select(vec!["alg", "kid", "typ", "crit", "jwk", "b64", "zip"]).prop_map(str::to_owned),
            "\\PC{0,6}",
        ];
        let value = prop_oneof![
            prop::sample::select(vec!["RS256", "ES256", "none", "HS256", "rs256", "JWT", "application/logout+jwt"])
                .prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            Just(Value::Null),
            Just(Value::from(vec![1])),
        ];
        let good = prop::sample::select(vec![None, Some("RS256"), Some("ES256")]);
        (prop::collection::vec((name, value), 0..4), good).prop_map(|(members, good)| {
            let alg = good.map(|alg| ("alg".to_owned(), Value::from(alg)));
            members.into_iter().chain(alg).collect()
        })
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,60}|[A-Za-z0-9_-]{0,30}(\\.[A-Za-z0-9_-]{0,30}){0,4}") {
            let _ = unverified_claims(&text);
            prop_assert!(Jws::read(&text, &[]).is_err(), "nothing is allowed");
            let _ = Jws::read(&text, &[Algorithm::RS256]);
        }

        #[test]
        fn a_header_is_read_only_with_an_allowed_algorithm_and_nothing_that_is_not_understood(
            header in members(),
            payload in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let token = format!("{}.{}.AA", URL_SAFE_NO_PAD.encode(Value::from(header.clone()).to_string()), URL_SAFE_NO_PAD.encode(&payload));
            let allowed = [Algorithm::RS256, Algorithm::ES256];
            let text = |name: &str| header.get(name).map_or(Some(None), |value| value.as_str().map(Some));
            let understood = ["crit", "b64", "zip", "enc"].iter().all(|name| !header.contains_key(*name));
            let good = matches!(text("alg"), Some(Some("RS256" | "ES256"))) && text("kid").is_some() && text("typ").is_some();
            match Jws::read(&token, &allowed) {
                Ok(jws) => {
                    prop_assert!(good && understood);
                    prop_assert!(!(jws.is_untyped() && jws.is_typed("logout+jwt")));
                }
                Err(_) => prop_assert!(!(good && understood)),
            }
            let _ = unverified_claims(&token);
        }
    }
}
