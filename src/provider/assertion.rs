//! Client assertions: a signed word of the client about itself in place of a secret (RFC 7523 §2.2, as RFC 10070 updates it).

use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;

use super::discovery::Endpoints;
use super::jwks;
use crate::clock::Timestamp;
use crate::config::{AssertionAud, AssertionConfig, AssertionTyp};
use crate::secret::random_base64url;

/// `client_assertion_type`
pub(super) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion is good: for the one request it is made for.
const LIFETIME: u64 = 60;

/// Makes the assertions of one client.
pub(super) struct Asserter {
    key: EncodingKey,
    header: Header,
    aud: AssertionAud,
}

/// `aud` is one string: an array, or another server's URL in it, would let that server use the assertion elsewhere.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: String,
    iat: u64,
    exp: u64,
}

impl Asserter {
    /// An asserter with the configured key.
    pub(super) fn new(config: &AssertionConfig) -> Result<Self, String> {
        let pem = config.key.expose().as_bytes();
        let alg = jwks::algorithm(config.alg).ok_or_else(|| format!("{}: not an algorithm here", config.alg))?;
        let key = match config.alg {
            "ES256" | "ES384" => EncodingKey::from_ec_pem(pem),
            "EdDSA" => EncodingKey::from_ed_pem(pem),
            _ => EncodingKey::from_rsa_pem(pem),
        };
        let key = key.map_err(|error| format!("signing_key: {error}"))?;
        let typ = match config.typ {
            AssertionTyp::ClientAuthentication => "client-authentication+jwt",
            AssertionTyp::Jwt => "JWT",
        };
        let header = Header { typ: Some(typ.to_owned()), kid: config.key_id.clone(), ..Header::new(alg) };
        Ok(Self { key, header, aud: config.aud })
    }

    /// A fresh assertion of `client_id` for one request to the provider that calls itself `issuer`.
    pub(super) fn assertion(
        &self,
        client_id: &str,
        issuer: &str,
        endpoints: &Endpoints,
        now: Timestamp,
    ) -> Result<String, String> {
        let aud = match self.aud {
            AssertionAud::Issuer => issuer,
            AssertionAud::TokenEndpoint => endpoints.token.as_str(),
        };
        let iat = now.as_secs();
        let claims = Claims { iss: client_id, sub: client_id, aud, jti: random_base64url(), iat, exp: iat + LIFETIME };
        jsonwebtoken::encode(&self.header, &claims, &self.key).map_err(|error| format!("signing_key: {error}"))
    }
}
