//! The signing keys, made here and never written down.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Older ones are forgotten.
const MAX_KEYS: usize = 8;

/// An ES256 key pair with its public half as a JWK.
struct SigningKey {
    encoding: EncodingKey,
    decoding: DecodingKey,
    kid: String,
    jwk: Value,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// A fresh key pair.
    fn generate() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("P-256 keys can be made");
        let pkcs8 = pair.to_pkcs8v1().expect("a fresh key has a PKCS#8 form");
        // An uncompressed point: 0x04, then 32 bytes of x, then 32 bytes of y (SEC 1 §2.3.3).
        let point = &pair.public_key().as_ref()[1..];
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[..32]), URL_SAFE_NO_PAD.encode(&point[32..]));
        // RFC 7638: the required members, sorted, without white space.
        let thumbprint = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(digest(&SHA256, thumbprint.as_bytes()));
        let decoding = DecodingKey::from_ec_components(&x, &y).expect("a point's own coordinates are a key");
        let jwk = json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid, "x": x, "y": y });
        Self { encoding: EncodingKey::from_ec_der(pkcs8.as_ref()), decoding, kid, jwk }
    }

    fn sign(&self, typ: &str, names_key: bool, claims: &impl Serialize) -> String {
        let kid = names_key.then(|| self.kid.clone());
        let header = Header { typ: Some(typ.to_owned()), kid, ..Header::new(Algorithm::ES256) };
        encode(&header, claims, &self.encoding).expect("claims are JSON and the key signs")
    }
}

/// The keys of a provider: the newest signs, all verify.
#[derive(Debug)]
pub(in crate::dev) struct KeyRing(RwLock<Vec<SigningKey>>);

impl KeyRing {
    /// A ring with one fresh key.
    pub(in crate::dev) fn generate() -> Self {
        Self(RwLock::new(vec![SigningKey::generate()]))
    }

    fn keys(&self) -> RwLockReadGuard<'_, Vec<SigningKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signs with a fresh key from now on.
    pub(super) fn rotate(&self) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if keys.len() == MAX_KEYS {
            keys.remove(0);
        }
        keys.push(SigningKey::generate());
    }

    /// The key set that is published.
    pub(super) fn jwks(&self) -> Value {
        json!({ "keys": self.keys().iter().rev().map(|key| key.jwk.clone()).collect::<Vec<_>>() })
    }

    /// A compact JWS over the claims, `typ` and the key's name in its header.
    pub(in crate::dev) fn sign(&self, typ: &str, claims: &impl Serialize) -> String {
        self.sign_as(typ, true, claims)
    }

    /// The same, where the header may leave the key's name out.
    pub(super) fn sign_as(&self, typ: &str, names_key: bool, claims: &impl Serialize) -> String {
        self.keys().last().expect("a ring has a key").sign(typ, names_key, claims)
    }

    /// The claims of a token that one of these keys signed, whenever it ended and whomever it was for.
    pub(super) fn open<C: DeserializeOwned>(&self, typ: &str, token: &str) -> Option<C> {
        self.keys().iter().rev().find_map(|key| open(&key.decoding, typ, token))
    }
}

/// The left half of the hash, for `at_hash` (OpenID Connect Core §3.1.3.6).
pub(super) fn half_hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(&digest(&SHA256, token.as_bytes()).as_ref()[..16])
}

/// Times and audience are left to the caller: the library reads the machine's clock, and a hint may have ended.
fn open<C: DeserializeOwned>(key: &DecodingKey, typ: &str, token: &str) -> Option<C> {
    if decode_header(token).ok()?.typ.as_deref() != Some(typ) {
        return None;
    }
    let mut validation = Validation::new(Algorithm::ES256);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    decode::<C>(token, key, &validation).ok().map(|data| data.claims)
}
