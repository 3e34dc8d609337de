//! Proof of possession (RFC 9449): a key for each session, and a proof that it is at hand for each request.
//!
//! Whoever gets hold of an access token that is bound to a key can do nothing with it. The key is made at the login, kept
//! with the session's tokens, and its proofs are asked for by the provider and by upstreams alike.

mod nonces;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsBigEndian as _, EcPrivateKeyBin};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use aws_lc_rs::{agreement, signature};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

pub use self::nonces::{Nonces, asks_for_nonce};

use crate::clock::Clock;
use crate::secret::{DpopKey, random_base64url};

/// A fresh key.
///
/// # Panics
/// When the operating system gives no randomness, since nothing safe can be done without it.
#[must_use]
pub fn new_key() -> DpopKey {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("the system provides randomness");
    let number: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().expect("a fresh key can be written");
    DpopKey::new(URL_SAFE_NO_PAD.encode(number.as_ref()))
}

/// One key, ready to prove that it is at hand.
pub struct Prover {
    pair: EcdsaKeyPair,
    public: PublicKey,
    clock: Clock,
}

/// The public half as a JWK. The members stand in the order of RFC 7638 §3.2.
#[derive(Serialize)]
struct PublicKey {
    crv: &'static str,
    kty: &'static str,
    x: String,
    y: String,
}

/// What one proof is for.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The request's URL without query and fragment (§4.2).
    pub url: &'a str,
    /// What the server asked to see, if it did.
    pub nonce: Option<&'a str>,
    /// The access token that goes along.
    pub token: Option<&'a str>,
}

impl Prover {
    /// The key that a session keeps; `None` if it is none.
    #[must_use]
    pub fn open(key: &DpopKey, clock: Clock) -> Option<Self> {
        let number = Zeroizing::new(URL_SAFE_NO_PAD.decode(key.expose()).ok()?);
        let private = agreement::PrivateKey::from_private_key(&agreement::ECDH_P256, &number).ok()?;
        let point = private.compute_public_key().ok()?;
        let algorithm: &'static signature::EcdsaSigningAlgorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &number, point.as_ref()).ok()?;
        let (x, y) = pair.public_key().as_ref().get(1..)?.split_at_checked(32)?;
        let [x, y] = [x, y].map(|half| URL_SAFE_NO_PAD.encode(half));
        Some(Self { pair, public: PublicKey { crv: "P-256", kty: "EC", x, y }, clock })
    }

    /// The key's name, `dpop_jkt` (RFC 7638, RFC 9449 §10).
    ///
    /// # Panics
    /// Never: a public key is plain text.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let json = serde_json::to_vec(&self.public).expect("a public key is plain text");
        URL_SAFE_NO_PAD.encode(digest(&SHA256, &json))
    }

    /// A fresh proof for one request.
    ///
    /// # Panics
    /// When the operating system gives no randomness.
    #[must_use]
    pub fn proof(&self, claim: &Claim<'_>) -> String {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.public });
        let mut claims = json!({
            "jti": random_base64url(), "htm": claim.method, "htu": claim.url, "iat": self.clock.now().as_secs(),
        });
        if let Some(nonce) = claim.nonce {
            claims["nonce"] = nonce.into();
        }
        if let Some(token) = claim.token {
            claims["ath"] = URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes())).into();
        }
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let message = format!("{header}.{claims}");
        let signature =
            self.pair.sign(&SystemRandom::new(), message.as_bytes()).expect("the system provides randomness");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;
    use crate::clock::Timestamp;

    fn part(proof: &str, index: usize) -> Value {
        let text = URL_SAFE_NO_PAD.decode(proof.split('.').nth(index).unwrap()).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    #[test]
    fn a_proof_is_signed_by_the_key_it_shows_and_says_what_it_is_for() {
        let key = new_key();
        let prover = Prover::open(&key, Clock::manual(Timestamp::from_secs(1_800_000_000))).unwrap();
        let url = "https://api.example/orders";
        let claim = Claim {
            method: "POST",
            url,
            nonce: Some("n-1"),
            token: Some("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"),
        };
        let (first, second) = (prover.proof(&claim), prover.proof(&Claim { nonce: None, token: None, ..claim }));
        let (header, claims) = (part(&first, 0), part(&first, 1));
        assert_eq!((&header["typ"], &header["alg"]), (&json!("dpop+jwt"), &json!("ES256")));
        assert!(header["jwk"].get("d").is_none() && !first.contains(key.expose()));
        let expected = json!({
            "jti": claims["jti"], "htm": "POST", "htu": url, "iat": 1_800_000_000, "nonce": "n-1",
            "ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo",
        });
        assert_eq!(claims, expected, "with the `ath` of RFC 9449 §7.1");
        assert!(part(&second, 1).get("nonce").is_none() && part(&second, 1).get("ath").is_none());
        assert_ne!(part(&second, 1)["jti"], claims["jti"]);
        let (message, signature) = first.rsplit_once('.').unwrap();
        let half = |name: &str| URL_SAFE_NO_PAD.decode(header["jwk"][name].as_str().unwrap()).unwrap();
        let point = [vec![4], half("x"), half("y")].concat();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message.as_bytes(), &signature).unwrap();
    }

    #[test]
    fn a_thumbprint_is_that_of_rfc_7638() {
        let prover = Prover::open(&new_key(), Clock::System).unwrap();
        let PublicKey { x, y, .. } = &prover.public;
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        assert_eq!(prover.thumbprint(), URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes())));
    }

    #[test]
    fn what_is_no_key_opens_as_none() {
        for text in ["", "AAAA", &"A".repeat(43), &"_".repeat(43), "not base64url!"] {
            assert!(Prover::open(&DpopKey::new(text), Clock::System).is_none(), "{text}");
        }
    }
}
