//! Access tokens: what is in them, what of that is written down, and what an API makes of one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::expiring::Expiring;
use super::keys::KeyRing;
use super::profile::{AudienceClaim, Form, Judged, JwtShape, ScopeClaim, TokenRules};
use crate::clock::{Clock, Timestamp};
use crate::secret::random_base64url;

const MAX_TOKENS: usize = 50_000;

/// How long after its end a token is still known to have been one: as long as a login can be refreshed, since some APIs
/// take an expired token for that.
const REMEMBERED: Duration = Duration::from_secs(12 * 3600);

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

impl AccessClaims {
    /// The login it came from.
    pub(super) fn login(&self) -> &str {
        self.jti.split('.').next().unwrap_or_default()
    }
}

/// Why a token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadToken(pub String);

/// What the provider wrote down about the access tokens it issued.
#[derive(Debug)]
struct Written {
    /// By the token itself when it is opaque, by its `jti` when it is a JWT.
    issued: Expiring<AccessClaims>,
    /// Tokens that are no good before their time, and why; by their `jti`.
    spoilt: Expiring<&'static str>,
    /// How many there have been.
    count: u64,
}

/// The access tokens of one provider: how they are made, and how an API in the same process judges them.
#[derive(Clone, Debug)]
pub struct AccessTokens {
    rules: TokenRules,
    keys: Arc<KeyRing>,
    written: Arc<Mutex<Written>>,
    issuer: String,
    audience: String,
    clock: Clock,
}

impl AccessTokens {
    /// The tokens of `issuer` for `audience`, signed by `keys`.
    pub(in crate::dev) fn new(
        rules: TokenRules,
        keys: Arc<KeyRing>,
        issuer: &str,
        audience: &str,
        clock: Clock,
    ) -> Self {
        let written = Written { issued: Expiring::new(MAX_TOKENS), spoilt: Expiring::new(MAX_TOKENS), count: 0 };
        let (issuer, audience) = (issuer.to_owned(), audience.to_owned());
        Self { rules, keys, written: Arc::new(Mutex::new(written)), issuer, audience, clock }
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token with these claims.
    pub(super) fn issue(&self, claims: AccessClaims) -> String {
        let for_api = claims.aud.contains(&self.audience);
        let shape = match self.rules.form {
            Form::Jwt(shape) => Some(shape),
            Form::JwtForApi(shape) => Some(shape).filter(|_| for_api),
            Form::Opaque | Form::Numbered => None,
        };
        let (token, key) = match shape {
            Some(shape) => {
                let token = self.keys.sign_as(shape.typ, shape.names_key, &wire(&shape, self.rules.groups, &claims));
                (token, claims.jti.clone())
            }
            None => {
                let token = match self.rules.form {
                    Form::Numbered => format!("{}|{}", self.written().count + 1, random_base64url()),
                    _ => random_base64url(),
                };
                (token.clone(), token)
            }
        };
        let ends = Timestamp::from_secs(claims.exp).plus(REMEMBERED);
        let mut written = self.written();
        written.count += 1;
        written.issued.insert(key, ends, claims, self.clock.now());
        token
    }

    /// Makes every API refuse the token with this `jti`.
    pub(super) fn spoil(&self, jti: &str, why: &'static str, until: Timestamp) {
        self.written().spoilt.insert(jti.to_owned(), until, why, self.clock.now());
    }

    /// Whether a revocation is known to APIs at once.
    pub(super) const fn are_judged_by_the_provider(&self) -> bool {
        matches!(self.rules.judged, Judged::ByTheProvider)
    }

    /// Checks type, signature, issuer, audience and expiry, as far as the kind of token has them.
    ///
    /// # Errors
    /// [`BadToken`] says which of them is wrong.
    pub fn verify(&self, token: &str) -> Result<AccessClaims, BadToken> {
        let claims = self.read(token)?;
        let bad = |what: &str| BadToken(what.to_owned());
        if claims.iss != self.issuer {
            return Err(bad("from another issuer"));
        }
        if !claims.aud.contains(&self.audience) {
            return Err(bad("for another audience"));
        }
        Ok(claims)
    }

    /// The claims of a token that has not ended, whomever it is for.
    pub(super) fn read(&self, token: &str) -> Result<AccessClaims, BadToken> {
        let claims =
            self.open(token).ok_or_else(|| BadToken("not an access token signed by this provider".to_owned()))?;
        if claims.exp <= self.clock.now().as_secs() {
            return Err(BadToken("expired".to_owned()));
        }
        match self.written().spoilt.get(&claims.jti, self.clock.now()) {
            Some(why) => Err(BadToken((*why).to_owned())),
            None => Ok(claims),
        }
    }

    /// The claims of a token that was issued here, even if it has ended.
    pub(super) fn open(&self, token: &str) -> Option<AccessClaims> {
        let (Form::Jwt(shape) | Form::JwtForApi(shape)) = self.rules.form else { return self.find(token) };
        if !token.contains('.') {
            return self.find(token);
        }
        let claims: Value = self.keys.open(shape.typ, token)?;
        // A token that lacks something is completed by what was written down, as its API would do by asking.
        let jti = claims.get("jti").and_then(Value::as_str).map(str::to_owned);
        serde_json::from_value(claims).ok().or_else(|| self.find(&jti?))
    }

    fn find(&self, key: &str) -> Option<AccessClaims> {
        self.written().issued.get(key, self.clock.now()).cloned()
    }
}

/// What of the claims is written into the token, and how.
fn wire(shape: &JwtShape, groups: usize, claims: &AccessClaims) -> Map<String, Value> {
    let Ok(Value::Object(mut wire)) = serde_json::to_value(claims) else { return Map::new() };
    wire.remove("scope");
    let scopes = claims.scope.split(' ').filter(|scope| !scope.is_empty());
    let (name, scopes) = match shape.scope {
        ScopeClaim::Text(name) => (name, claims.scope.clone().into()),
        ScopeClaim::List(name) => (name, scopes.map(Value::from).collect()),
    };
    wire.insert(name.to_owned(), scopes);
    match shape.audience {
        AudienceClaim::List => {}
        AudienceClaim::One => {
            wire.insert("aud".to_owned(), claims.aud.first().cloned().into());
        }
        AudienceClaim::Client => {
            wire.insert("aud".to_owned(), claims.client_id.clone().into());
            wire.insert("nbf".to_owned(), claims.iat.into());
        }
    }
    for (name, value) in shape.with {
        wire.insert((*name).to_owned(), (*value).into());
    }
    wire.retain(|name, _| !shape.without.contains(&name.as_str()));
    wire.extend(memberships(groups));
    wire
}

/// `groups` of a person who is in many, so that they fill that many bytes; nothing for 0.
pub(super) fn memberships(bytes: usize) -> Option<(String, Value)> {
    /// A GUID, its quotes and a comma.
    const EACH: usize = 39;
    let group = |number: usize| Value::from(format!("{number:08x}-0000-4000-8000-000000000000"));
    (bytes > 0).then(|| ("groups".to_owned(), (0..bytes.div_ceil(EACH)).map(group).collect()))
}
