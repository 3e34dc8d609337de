//! The checks of an ID token, each with its sentence in OpenID Connect Core §3.1.3.7; what it says of the user is proven by them.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::claims::{self as common, LOGOUT_EVENT, OLDEST, moment};
use super::jws::Jws;
use super::oidc::Oidc;
use super::signature::{self, Refused};
use super::{ProvenUser, json, kept};
use crate::clock::Timestamp;
use crate::config::TrustedAudiences;
use crate::secret::{AccessToken, IdToken, Nonce, constant_time_eq};

/// What a token must say to be believed.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    /// Who may stand beside it in `aud`.
    pub(super) trusted: &'a TrustedAudiences,
    /// The token that came along, for `at_hash`.
    pub(super) access_token: &'a AccessToken,
    /// How the token came to be.
    pub(super) occasion: Occasion<'a>,
    pub(super) skew: Duration,
    pub(super) now: Timestamp,
}

/// Why the provider issued the token.
pub(super) enum Occasion<'a> {
    /// A login: bound to its attempt by the nonce, and as recent as `max_age` asked for.
    Login { nonce: &'a Nonce, max_age: Option<Duration> },
    /// A refresh: the same user as before (§12.2). The nonce of the login is not kept, so that one is not compared.
    Refresh { subject: &'a str },
}

/// Checks signature and claims of `token`.
pub(super) async fn verify(oidc: &Oidc, token: &IdToken, expected: &Expected<'_>) -> Result<ProvenUser, Refused> {
    let jws = Jws::read(token.expose(), &oidc.id_token_algs)?;
    if !jws.is_untyped() {
        return Err(Refused::Invalid("it is a token of another kind"));
    }
    let claims = signature::claims(oidc, &jws, kept::Occasion::Answer).await?;
    Ok(check(claims, jws.alg, expected)?)
}

/// What a token says that was verified when it came; one that cannot be read says nothing.
pub(super) fn claims(verified: &IdToken) -> Map<String, Value> {
    let payload = verified.expose().split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    payload.and_then(|payload| json::object(&payload).ok()).unwrap_or_default()
}

fn check(claims: Map<String, Value>, alg: Algorithm, expected: &Expected<'_>) -> Result<ProvenUser, &'static str> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err("`iss` is another issuer");
    }
    common::check_audience(&claims, expected.client_id, expected.trusted)?;
    common::check_party(&claims)?;
    // Steps 9 and 10.
    common::validity(&claims, expected.now, expected.skew)?.ok_or("`exp` is missing")?;
    common::issued(&claims, expected.now, OLDEST, expected.skew)?;
    let subject = common::subject(&claims).ok_or("`sub` is missing or malformed")?;
    if claims.get("events").is_some_and(|events| events.get(LOGOUT_EVENT).is_some()) {
        return Err("it is a logout token");
    }
    match &expected.occasion {
        Occasion::Login { nonce, max_age } => {
            let sent = nonce.expose().as_bytes();
            if !text("nonce").is_some_and(|nonce| constant_time_eq(nonce.as_bytes(), sent)) {
                return Err("`nonce` is missing or another attempt's");
            }
            check_login_age(&claims, *max_age, expected)?;
        }
        Occasion::Refresh { subject: same } if subject != *same => return Err("`sub` is another user"),
        Occasion::Refresh { .. } => {}
    }
    check_access_token_hash(&claims, alg, expected.access_token)?;
    let sid = common::sid(&claims)?.map(str::to_owned);
    Ok(ProvenUser { issuer: expected.issuer.to_owned(), subject: subject.to_owned(), sid, claims })
}

/// Step 13: whoever asks for `max_age` gets `auth_time` and checks it.
fn check_login_age(
    claims: &Map<String, Value>,
    max_age: Option<Duration>,
    expected: &Expected<'_>,
) -> Result<(), &'static str> {
    let Some(max_age) = max_age else { return Ok(()) };
    let logged_in = moment(claims, "auth_time")?.ok_or("`auth_time` is missing although `max_age` was sent")?;
    if expected.now.since(logged_in) > max_age + expected.skew {
        return Err("`auth_time` is longer ago than `max_age`");
    }
    Ok(())
}

/// §3.1.3.8: the left half of the access token's hash, by the hash of the signature's algorithm.
fn check_access_token_hash(
    claims: &Map<String, Value>,
    alg: Algorithm,
    access_token: &AccessToken,
) -> Result<(), &'static str> {
    let Some(sent) = claims.get("at_hash") else { return Ok(()) };
    let hash = match alg {
        Algorithm::ES384 | Algorithm::RS384 | Algorithm::PS384 => &digest::SHA384,
        Algorithm::RS512 | Algorithm::PS512 | Algorithm::EdDSA => &digest::SHA512,
        _ => &digest::SHA256,
    };
    let hash = digest::digest(hash, access_token.expose().as_bytes());
    let half = URL_SAFE_NO_PAD.encode(&hash.as_ref()[..hash.as_ref().len() / 2]);
    match sent.as_str() {
        Some(sent) if constant_time_eq(sent.as_bytes(), half.as_bytes()) => Ok(()),
        _ => Err("`at_hash` is another access token's"),
    }
}
