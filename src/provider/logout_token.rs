//! The checks of a logout token, each with its sentence in OpenID Connect Back-Channel Logout §2.6; the only maker of
//! [`VerifiedLogoutToken`].

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use super::claims::{self, LOGOUT_EVENT, OLDEST};
use super::jws::{self, Jws};
use super::kept::Occasion;
use super::oidc::Oidc;
use super::signature::{self, Refused};
use super::{Provider, Unavailable};
use crate::clock::Timestamp;
use crate::config::LogoutTokenExp;

/// The largest logout token that is looked at; it holds a handful of short claims.
const LARGEST: usize = 16 * 1024;
/// The longest `jti`.
const LONGEST_JTI: usize = 255;
/// How old a token without `exp` may be, where one is accepted: what the standard recommends as a lifetime (§2.4).
const OLDEST_WITHOUT_EXP: Duration = Duration::from_secs(2 * 60);

/// A logout token as it arrived from anybody. Its unverified words serve for nothing but to find the provider to ask.
pub struct ReceivedLogoutToken {
    text: String,
    issuer: String,
    audience: Option<Value>,
}

impl ReceivedLogoutToken {
    /// Reads whom it claims to be from and for.
    ///
    /// # Errors
    /// [`LogoutTokenError::Invalid`] when it is no signed token of a sane size.
    pub fn read(text: String) -> Result<Self, LogoutTokenError> {
        if text.len() > LARGEST {
            return Err(LogoutTokenError::Invalid("it is too large"));
        }
        let mut claims = jws::unverified_claims(&text).ok_or(LogoutTokenError::Invalid("it is not a signed token"))?;
        let Some(Value::String(issuer)) = claims.remove("iss") else {
            return Err(LogoutTokenError::Invalid("`iss` is missing"));
        };
        Ok(Self { audience: claims.remove("aud"), issuer, text })
    }

    /// Whether it claims to be from this provider, for this client.
    #[must_use]
    pub fn is_from(&self, provider: &Provider) -> bool {
        provider.oidc().is_some_and(|oidc| {
            self.issuer == oidc.issuer
                && claims::is_audience(
                    self.audience.as_ref(),
                    &oidc.config.client.client_id,
                    &oidc.config.trusted_audiences,
                )
        })
    }
}

impl fmt::Debug for ReceivedLogoutToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReceivedLogoutToken(…)")
    }
}

/// A logout token that passed every check of OpenID Connect Back-Channel Logout §2.6. Nothing outside this file makes one.
#[derive(Debug)]
pub struct VerifiedLogoutToken {
    issuer: String,
    whose: Whose,
    jti: String,
    until: Timestamp,
}

/// Whose sessions a logout token ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Those of one of the provider's sessions, by its `sid`.
    Session(String),
    /// All of a user, by `sub`.
    Subject(String),
}

/// Why a logout token is not acted on.
#[derive(Debug, thiserror::Error)]
pub enum LogoutTokenError {
    /// It is forged, not for this client, or breaks the standard.
    #[error("the logout token: {0}")]
    Invalid(&'static str),
    /// The provider's keys cannot be had, so that nobody can tell.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<Refused> for LogoutTokenError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unavailable(unavailable) => Self::Unavailable(unavailable),
            Refused::UnknownKey => Self::Invalid("none of the provider's keys made its signature"),
            Refused::Invalid(wrong) => Self::Invalid(wrong),
        }
    }
}

impl VerifiedLogoutToken {
    /// `iss`
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whose sessions it ends: `sid` is the narrower word and wins over `sub` (§2.4).
    #[must_use]
    pub const fn whose(&self) -> &Whose {
        &self.whose
    }

    /// `jti`, by which a token that comes again is known.
    #[must_use]
    pub fn jti(&self) -> &str {
        &self.jti
    }

    /// When it is refused for its age alone, so that its `jti` may be forgotten.
    #[must_use]
    pub const fn until(&self) -> Timestamp {
        self.until
    }
}

/// Checks signature and claims of `token`.
pub(super) async fn verify(oidc: &Oidc, token: &ReceivedLogoutToken) -> Result<VerifiedLogoutToken, Refused> {
    let jws = Jws::read(&token.text, &oidc.id_token_algs)?;
    // §2.4 recommends the type, RFC 8725 §3.11 says why; a plain one is told from an ID token by its claims (§4.1).
    if !jws.is_untyped() && !jws.is_typed("logout+jwt") {
        return Err(Refused::Invalid("it is a token of another kind"));
    }
    let claims = signature::claims(oidc, &jws, Occasion::Stranger).await?;
    Ok(check(&claims, oidc, oidc.clock.now())?)
}

fn check(claims: &Map<String, Value>, oidc: &Oidc, now: Timestamp) -> Result<VerifiedLogoutToken, &'static str> {
    if claims.get("iss").and_then(Value::as_str) != Some(&*oidc.issuer) {
        return Err("`iss` is another issuer");
    }
    claims::check_audience(claims, &oidc.config.client.client_id, &oidc.config.trusted_audiences)?;
    let until = check_times(claims, oidc, now)?;
    // Steps 4 to 6.
    let whose = whose(claims)?;
    if !claims.get("events").and_then(|events| events.get(LOGOUT_EVENT)).is_some_and(Value::is_object) {
        return Err("`events` does not say that it is a logout token");
    }
    if claims.contains_key("nonce") {
        return Err("it has a `nonce`, which only ID tokens have");
    }
    let jti = claims.get("jti").and_then(Value::as_str).filter(|jti| (1..=LONGEST_JTI).contains(&jti.len()));
    let jti = jti.ok_or("`jti` is missing or malformed")?.to_owned();
    Ok(VerifiedLogoutToken { issuer: oidc.issuer.clone(), whose, jti, until })
}

/// Step 3: as with ID tokens. Returns when the token is over, by `exp` or by its age, whichever is sooner.
fn check_times(claims: &Map<String, Value>, oidc: &Oidc, now: Timestamp) -> Result<Timestamp, &'static str> {
    let skew = oidc.config.clock_skew;
    let expires = claims::validity(claims, now, skew)?;
    if expires.is_none() && oidc.config.logout_token_exp == LogoutTokenExp::Required {
        return Err("`exp` is missing");
    }
    let oldest = if expires.is_some() { OLDEST } else { OLDEST_WITHOUT_EXP };
    let too_old = claims::issued(claims, now, oldest, skew)?.plus(oldest);
    Ok(expires.map_or(too_old, |expires| expires.min(too_old)).plus(skew))
}

fn whose(claims: &Map<String, Value>) -> Result<Whose, &'static str> {
    let subject = match claims.get("sub") {
        None | Some(Value::Null) => None,
        Some(_) => Some(claims::subject(claims).ok_or("`sub` is malformed")?),
    };
    match (claims::sid(claims)?, subject) {
        (Some(sid), _) => Ok(Whose::Session(sid.to_owned())),
        (None, Some(subject)) => Ok(Whose::Subject(subject.to_owned())),
        (None, None) => Err("it has neither `sub` nor `sid`"),
    }
}
