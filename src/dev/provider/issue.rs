//! The tokens of one answer of the token endpoint (RFC 6749 §5.1, OpenID Connect Core §2).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::access::{AccessClaims, memberships};
use super::keys::half_hash;
use super::profile::{Echo, LogoutProof};
use super::respond::Refusal;
use super::shared::Shared;
use super::state::{Family, Grant};
use super::{User, audience};
use crate::secret::{constant_time_eq, random_base64url};

/// The claims of an ID token (OpenID Connect Core §2).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct IdClaims {
    pub(super) iss: String,
    pub(super) sub: String,
    aud: Audience,
    /// The client, where it is not alone in `aud`.
    #[serde(skip_serializing_if = "Option::is_none")]
    azp: Option<String>,
    iat: u64,
    exp: u64,
    auth_time: u64,
    pub(super) sid: String,
    at_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    /// What scopes and profile add.
    #[serde(flatten)]
    further: Map<String, Value>,
}

/// Whom an ID token is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Audience {
    Client(String),
    Several(Vec<String>),
}

impl IdClaims {
    /// The client that it was issued to.
    pub(super) fn client(&self) -> Option<&str> {
        match &self.aud {
            Audience::Client(client) => Some(client),
            Audience::Several(_) => self.azp.as_deref(),
        }
    }
}

/// What a token request asks for.
pub(super) struct Wanted<'a> {
    pub(super) scope: &'a str,
    /// Whether the access token is to be one for the API.
    pub(super) for_api: bool,
    /// For the first ID token.
    pub(super) nonce: Option<String>,
    /// The generation of the refresh token that comes along; none comes with `None`.
    pub(super) renewed: Option<u64>,
}

/// What the token endpoint answers.
pub(super) struct Issued {
    pub(super) answer: Value,
    /// The `jti` of the access token.
    pub(super) jti: String,
}

/// Fresh tokens for a login.
pub(super) fn issue(shared: &Shared, id: &str, login: &Family, wanted: Wanted<'_>) -> Result<Issued, Refusal> {
    let Grant { client_id, authentication, .. } = &login.grant;
    let user = shared.user(&authentication.user).ok_or_else(|| Refusal::invalid_grant("the user is gone"))?;
    let rules = &shared.profile.tokens;
    let (now, lifetime) = (shared.now().as_secs(), shared.access_token_lifetime().as_secs());
    let jti = format!("{id}.{}", random_base64url());
    let access = shared.access_tokens.issue(AccessClaims {
        iss: shared.issuer.clone(),
        sub: shared.subject(user),
        aud: audience::of(shared.profile.authorization.api, wanted.for_api, &shared.audience, &shared.issuer),
        client_id: client_id.clone(),
        scope: wanted.scope.to_owned(),
        name: user.name.clone(),
        jti: jti.clone(),
        iat: now,
        // Whole seconds, rounded up: what `expires_in` promises is kept.
        exp: shared.now().as_millis().div_ceil(1000) + lifetime,
    });
    let mut answer = json!({ "token_type": "Bearer", "access_token": access });
    if rules.expires {
        answer["expires_in"] = lifetime.into();
    }
    if let Some(scope) = echo(rules.echo, wanted.scope) {
        answer["scope"] = scope.into();
    }
    if shared.profile.authorization.openid {
        answer["id_token"] = id_token(shared, user, login, &wanted, &access).into();
    }
    if let Some(generation) = wanted.renewed.filter(|_| login.grant.refreshable) {
        answer["refresh_token"] = refresh_token(shared, id, generation).into();
    }
    Ok(Issued { answer, jti })
}

fn id_token(shared: &Shared, user: &User, login: &Family, wanted: &Wanted<'_>, access: &str) -> String {
    let Grant { client_id, authentication, .. } = &login.grant;
    let now = shared.now().as_secs();
    let has = |name| wanted.scope.split(' ').any(|one| one == name);
    let mut further = Map::new();
    if has("profile") {
        further.insert("name".to_owned(), user.name.clone().into());
        further.insert("picture".to_owned(), format!("{}/avatar/{}.svg", shared.address, user.id).into());
    }
    if has("email") {
        further.insert("email".to_owned(), user.email.clone().into());
        further.insert("email_verified".to_owned(), true.into());
    }
    if shared.profile.logout.is_some_and(|logout| logout.proof == LogoutProof::LogoutHint) {
        further.insert("login_hint".to_owned(), shared.login_hint(user).into());
    }
    further.extend(memberships(shared.profile.tokens.groups));
    let (aud, azp) = match shared.profile.tokens.id_token_audience {
        None => (Audience::Client(client_id.clone()), None),
        Some(other) => (Audience::Several(vec![client_id.clone(), other.to_owned()]), Some(client_id.clone())),
    };
    shared.keys.sign(
        "JWT",
        &IdClaims {
            iss: shared.issuer.clone(),
            sub: shared.subject(user),
            aud,
            azp,
            iat: now,
            exp: now + shared.behaviour().id_token_lifetime.as_secs(),
            auth_time: authentication.auth_time,
            sid: authentication.sid.clone(),
            at_hash: half_hash(access),
            nonce: wanted.nonce.clone(),
            further,
        },
    )
}

fn echo(rule: Echo, scope: &str) -> Option<String> {
    match rule {
        Echo::Granted => Some(scope.to_owned()),
        Echo::WithoutOfflineAccess => {
            let told = scope.split(' ').filter(|one| *one != "offline_access");
            Some(told.collect::<Vec<_>>().join(" "))
        }
        Echo::Nothing => None,
    }
}

/// A refresh token names its family and generation under a keyed hash, so that one that was replaced is recognised for
/// as long as its family lives without remembering it.
fn refresh_token(shared: &Shared, family: &str, generation: u64) -> String {
    let mac = shared.mac(&["refresh", family, &generation.to_string()]);
    format!("{family}.{generation}.{mac}")
}

/// The login and the generation that a refresh token is of; `None` for one that was not issued here.
pub(super) fn read_refresh_token(shared: &Shared, token: &str) -> Option<(String, u64)> {
    let (family, rest) = token.split_once('.')?;
    let generation = rest.split_once('.')?.0.parse().ok()?;
    let genuine = refresh_token(shared, family, generation);
    constant_time_eq(genuine.as_bytes(), token.as_bytes()).then(|| (family.to_owned(), generation))
}
