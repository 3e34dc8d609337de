//! The signing key, made at start and never written down, and the tokens it signs.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::Clock;

/// The claims of an access token (RFC 9068 §2.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// The issuer.
    pub iss: String,
    /// The subject.
    pub sub: String,
    /// The API it is for, and the issuer itself for its userinfo endpoint.
    pub aud: Vec<String>,
    /// The client it was issued to.
    pub client_id: String,
    /// The granted scopes.
    pub scope: String,
    /// The name of the user.
    pub name: String,
    /// Its id: the login it came from, and a count.
    pub jti: String,
    /// When it was issued, seconds since the epoch.
    pub iat: u64,
    /// When it ends.
    pub exp: u64,
}

/// Why a token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadToken(pub String);

/// An ES256 key pair with its public half as a JWK.
pub(in crate::dev) struct SigningKey {
    encoding: EncodingKey,
    decoding: Arc<DecodingKey>,
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
    pub(in crate::dev) fn generate() -> Self {
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
        Self { encoding: EncodingKey::from_ec_der(pkcs8.as_ref()), decoding: Arc::new(decoding), kid, jwk }
    }

    /// The key set that is published.
    pub(super) fn jwks(&self) -> Value {
        json!({ "keys": [self.jwk] })
    }

    /// A compact JWS over the claims, `typ` in its header.
    pub(in crate::dev) fn sign(&self, typ: &str, claims: &impl Serialize) -> String {
        let header = Header { typ: Some(typ.to_owned()), kid: Some(self.kid.clone()), ..Header::new(Algorithm::ES256) };
        encode(&header, claims, &self.encoding).expect("claims are JSON and the key signs")
    }

    /// The claims of a token this key signed, whenever it ended and whomever it was for.
    pub(super) fn open<C: DeserializeOwned>(&self, typ: &str, token: &str) -> Option<C> {
        open(&self.decoding, typ, token)
    }

    /// What an API needs to verify this key's access tokens.
    pub(in crate::dev) fn access_tokens(&self, issuer: &str, audience: &str, clock: &Clock) -> AccessTokens {
        AccessTokens {
            key: Arc::clone(&self.decoding),
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            clock: clock.clone(),
        }
    }
}

/// The left half of the hash, for `at_hash` (OpenID Connect Core §3.1.3.6).
pub(super) fn half_hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(&digest(&SHA256, token.as_bytes()).as_ref()[..16])
}

/// Verifies access tokens with the key held in process.
#[derive(Clone)]
pub struct AccessTokens {
    key: Arc<DecodingKey>,
    issuer: String,
    audience: String,
    clock: Clock,
}

impl AccessTokens {
    /// Checks type, signature, issuer, audience and expiry.
    ///
    /// # Errors
    /// [`BadToken`] says which of them is wrong.
    pub fn verify(&self, token: &str) -> Result<AccessClaims, BadToken> {
        let bad = |what: &str| BadToken(what.to_owned());
        let claims: AccessClaims =
            open(&self.key, "at+jwt", token).ok_or_else(|| bad("not an access token signed by this provider"))?;
        if claims.iss != self.issuer {
            return Err(bad("from another issuer"));
        }
        if !claims.aud.contains(&self.audience) {
            return Err(bad("for another audience"));
        }
        if claims.exp <= self.clock.now().as_secs() {
            return Err(bad("expired"));
        }
        Ok(claims)
    }
}

impl std::fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessTokens")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
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
