//! The checks of an ID token, each with its sentence in OpenID Connect Core §3.1.3.7; the only maker of [`VerifiedIdToken`].

use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::jws::{Jws, Verdict};
use super::{Provider, RedeemError};
use crate::clock::Timestamp;
use crate::secret::{AccessToken, IdToken, Nonce, constant_time_eq};

/// How long ago a token that was just received may have been issued.
const OLDEST: Duration = Duration::from_secs(60 * 60);
/// The event that makes a token a logout token (OpenID Connect Back-Channel Logout §2.4).
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// An ID token that passed every check of OpenID Connect Core §3.1.3.7. Nothing outside this file makes one.
#[derive(Clone, Debug)]
pub struct VerifiedIdToken {
    issuer: String,
    subject: String,
    sid: Option<String>,
    claims: Map<String, Value>,
}

impl VerifiedIdToken {
    /// `iss`
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `sub`
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// `sid`, the provider's own session id (OpenID Connect Back-Channel Logout §2.1).
    #[must_use]
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// Every claim of the token.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}

/// What a token must say to be believed.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
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
pub(super) async fn verify(
    provider: &Provider,
    token: &IdToken,
    expected: &Expected<'_>,
) -> Result<VerifiedIdToken, RedeemError> {
    let invalid = |wrong: &str| RedeemError::Invalid(format!("the ID token: {wrong}"));
    let jws = Jws::read(token.expose(), &provider.id_token_algs).map_err(invalid)?;
    if !jws.is_untyped() {
        return Err(invalid("it is a token of another kind"));
    }
    let keys = provider.keys().await?;
    let mut verdict = jws.verify(&keys);
    if matches!(verdict, Verdict::NoKey) {
        // The provider may have rotated its keys just now (§10.1.1).
        verdict = jws.verify(&*provider.newer_keys(&keys).await?);
    }
    let claims = match verdict {
        Verdict::Genuine(claims) => claims,
        Verdict::Forged(wrong) => return Err(invalid(wrong)),
        Verdict::NoKey => return Err(invalid("none of the provider's keys made its signature")),
    };
    check(claims, jws.alg, expected).map_err(invalid)
}

fn check(claims: Map<String, Value>, alg: Algorithm, expected: &Expected<'_>) -> Result<VerifiedIdToken, &'static str> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err("`iss` is another issuer");
    }
    check_audience(&claims, expected.client_id)?;
    check_times(&claims, expected)?;
    let subject = text("sub").filter(|sub| is_subject(sub)).ok_or("`sub` is missing or malformed")?;
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
    let sid = match claims.get("sid") {
        None | Some(Value::Null) => None,
        Some(Value::String(sid)) if !sid.is_empty() && sid.len() <= 1024 => Some(sid.clone()),
        Some(_) => return Err("`sid` is malformed"),
    };
    Ok(VerifiedIdToken { issuer: expected.issuer.to_owned(), subject: subject.to_owned(), sid, claims })
}

/// Steps 3 to 5: the audience is this client and nobody else, and so is the authorized party if it is named.
fn check_audience(claims: &Map<String, Value>, client_id: &str) -> Result<(), &'static str> {
    let only_this_client = match claims.get("aud") {
        Some(Value::String(audience)) => audience == client_id,
        Some(Value::Array(all)) => !all.is_empty() && all.iter().all(|audience| audience == client_id),
        _ => false,
    };
    if !only_this_client {
        return Err("`aud` is missing, not this client, or not this client alone");
    }
    match claims.get("azp") {
        None => Ok(()),
        Some(party) if party == client_id => Ok(()),
        Some(_) => Err("`azp` is another client"),
    }
}

/// Steps 9 and 10; `nbf` is RFC 7519 §4.1.5.
fn check_times(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), &'static str> {
    let latest = expected.now.plus(expected.skew);
    let expires = moment(claims, "exp")?.ok_or("`exp` is missing")?;
    if expires.plus(expected.skew) <= expected.now {
        return Err("it has expired");
    }
    let issued = moment(claims, "iat")?.ok_or("`iat` is missing")?;
    if issued > latest {
        return Err("`iat` is in the future");
    }
    if expected.now.since(issued) > OLDEST + expected.skew {
        return Err("`iat` is long ago");
    }
    match moment(claims, "nbf")? {
        Some(begins) if begins > latest => Err("`nbf` is in the future"),
        _ => Ok(()),
    }
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

/// A `NumericDate`: seconds since the epoch, whole or not (RFC 7519 §2).
fn moment(claims: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, &'static str> {
    const WRONG: &str = "a time is not a number of seconds";
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| *seconds >= 0.0).ok_or(WRONG)?;
    Ok(Some(Timestamp::from_millis(Duration::try_from_secs_f64(seconds).map_or(u64::MAX, millis))))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// "MUST NOT exceed 255 ASCII characters in length" (§2).
fn is_subject(sub: &str) -> bool {
    !sub.is_empty() && sub.len() <= 255 && sub.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_control())
}
