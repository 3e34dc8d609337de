//! `/token`: a code or a refresh token against fresh tokens, each exactly once.

use actix_web::{HttpRequest, HttpResponse, web};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::authenticate;
use super::keys::{AccessClaims, half_hash};
use super::parameters::Parameters;
use super::respond::Refusal;
use super::shared::Shared;
use super::state::{Code, Family, Grant, Spent};
use super::{Client, Rotation};
use crate::secret::{constant_time_eq, random_base64url};

/// `POST /token` (RFC 6749 §3.2)
pub(super) async fn token(
    shared: web::Data<Shared>,
    request: HttpRequest,
    body: web::Bytes,
) -> Result<HttpResponse, Refusal> {
    shared.state().tally.token_calls += 1;
    let behaviour = shared.behaviour();
    actix_web::rt::time::sleep(behaviour.token_delay).await;
    if let Some(status) = behaviour.token_outage {
        return Err(Refusal::outage(status));
    }
    let form = Parameters::from_form(&request, &body)?;
    let answer = exchange(&shared, &request, &form);
    if let Err(refusal) = &answer {
        shared.complain("token endpoint", &refusal.to_string());
    }
    answer.map(|tokens| HttpResponse::Ok().json(tokens))
}

fn exchange(shared: &Shared, request: &HttpRequest, form: &Parameters) -> Result<Value, Refusal> {
    if !request.query_string().is_empty() {
        return Err(Refusal::invalid_request("credentials do not belong into a query string"));
    }
    let client = authenticate(shared, request, form)?;
    match form.required("grant_type")? {
        "authorization_code" => redeem(shared, &client, form),
        "refresh_token" => refresh(shared, &client, form),
        other => Err(Refusal::new("unsupported_grant_type", format!("{other} is not supported"))),
    }
}

/// Any wrong attempt burns the code; a second one also ends what the first one got (RFC 6749 §4.1.2).
fn redeem(shared: &Shared, client: &Client, form: &Parameters) -> Result<Value, Refusal> {
    let value = form.required("code")?;
    let now = shared.now();
    let mut state = shared.state();
    let Some(code) = state.codes.get_mut(value, now).filter(|code| code.grant.client_id == client.id) else {
        return Err(Refusal::invalid_grant("the code is unknown, has ended, or is another client's"));
    };
    match &code.spent {
        Spent::No => {}
        Spent::InVain => return Err(Refusal::invalid_grant("the code was burnt by a wrong attempt")),
        Spent::For(family) => {
            let family = family.clone();
            state.families.remove(&family);
            return Err(Refusal::invalid_grant("the code was used twice; its tokens are revoked"));
        }
    }
    code.spent = Spent::InVain;
    check_proofs(code, form)?;
    let id = random_base64url();
    code.spent = Spent::For(id.clone());
    let (grant, nonce) = (code.grant.clone(), code.nonce.clone());
    let ends = now.plus(shared.behaviour().refresh_token_lifetime);
    let family = Family { grant, generation: 0 };
    state.families.insert(id.clone(), ends, family.clone(), now);
    state.tally.codes_redeemed += 1;
    drop(state);
    let scope = family.grant.scope.clone();
    issue(shared, &id, &family, &scope, nonce, Some(0))
}

fn check_proofs(code: &Code, form: &Parameters) -> Result<(), Refusal> {
    if form.required("redirect_uri")? != code.redirect_uri {
        return Err(Refusal::invalid_grant("redirect_uri differs from the authorization request"));
    }
    let verifier = form.required("code_verifier")?;
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(unreserved) {
        return Err(Refusal::invalid_request("code_verifier is not 43 to 128 unreserved characters"));
    }
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    if !constant_time_eq(challenge.as_bytes(), code.challenge.as_bytes()) {
        return Err(Refusal::invalid_grant("code_verifier does not match the challenge"));
    }
    Ok(())
}

fn refresh(shared: &Shared, client: &Client, form: &Parameters) -> Result<Value, Refusal> {
    let (id, generation) = read_refresh_token(shared, form.required("refresh_token")?)
        .ok_or_else(|| Refusal::invalid_grant("not a refresh token of this provider"))?;
    let rotation = shared.behaviour().rotation;
    let now = shared.now();
    let mut state = shared.state();
    let Some(family) = state.families.get_mut(&id, now).filter(|family| family.grant.client_id == client.id) else {
        return Err(Refusal::invalid_grant("the refresh token was revoked, has ended, or is another client's"));
    };
    if generation != family.generation {
        state.families.remove(&id);
        state.tally.refresh_reuses += 1;
        return Err(Refusal::invalid_grant("the refresh token had been replaced; its whole family is revoked"));
    }
    let scope = form.one("scope")?.unwrap_or(&family.grant.scope).to_owned();
    if scope.split(' ').any(|one| !family.grant.scope.split(' ').any(|granted| granted == one)) {
        return Err(Refusal::new("invalid_scope", "more than was granted"));
    }
    let renewed = match rotation {
        Rotation::EveryUse => {
            family.generation += 1;
            Some(family.generation)
        }
        Rotation::Never => None,
    };
    let family = family.clone();
    state.tally.refreshes += 1;
    drop(state);
    // No nonce: it belongs to the first ID token (OpenID Connect Core §12.2).
    issue(shared, &id, &family, &scope, None, renewed)
}

/// The claims of an ID token (OpenID Connect Core §2).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct IdClaims {
    pub(super) iss: String,
    pub(super) sub: String,
    pub(super) aud: String,
    iat: u64,
    exp: u64,
    auth_time: u64,
    pub(super) sid: String,
    at_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
}

/// The token endpoint's answer; `renewed` is the generation of the refresh token in it.
fn issue(
    shared: &Shared,
    id: &str,
    family: &Family,
    scope: &str,
    nonce: Option<String>,
    renewed: Option<u64>,
) -> Result<Value, Refusal> {
    let Grant { client_id, authentication, .. } = &family.grant;
    let user = shared.user(&authentication.user).ok_or_else(|| Refusal::invalid_grant("the user is gone"))?;
    let behaviour = shared.behaviour();
    let now = shared.now().as_secs();
    let has = |name| scope.split(' ').any(|one| one == name);
    let access = shared.keys.sign(
        "at+jwt",
        &AccessClaims {
            iss: shared.issuer.clone(),
            sub: user.id.clone(),
            aud: vec![shared.audience.clone(), shared.issuer.clone()],
            client_id: client_id.clone(),
            scope: scope.to_owned(),
            name: user.name.clone(),
            jti: format!("{id}.{}", random_base64url()),
            iat: now,
            exp: now + behaviour.access_token_lifetime.as_secs(),
        },
    );
    let id_token = shared.keys.sign(
        "JWT",
        &IdClaims {
            iss: shared.issuer.clone(),
            sub: user.id.clone(),
            aud: client_id.clone(),
            iat: now,
            exp: now + behaviour.id_token_lifetime.as_secs(),
            auth_time: authentication.auth_time,
            sid: authentication.sid.clone(),
            at_hash: half_hash(&access),
            nonce,
            name: has("profile").then(|| user.name.clone()),
            picture: has("profile").then(|| format!("{}/avatar/{}.svg", shared.issuer, user.id)),
            email: has("email").then(|| user.email.clone()),
            email_verified: has("email").then_some(true),
        },
    );
    let mut answer = json!({
        "token_type": "Bearer",
        "access_token": access,
        "expires_in": behaviour.access_token_lifetime.as_secs(),
        "scope": scope,
        "id_token": id_token,
    });
    if let Some(generation) = renewed.filter(|_| has("offline_access")) {
        answer["refresh_token"] = refresh_token(shared, id, generation).into();
    }
    Ok(answer)
}

/// A refresh token names its family and generation under a keyed hash, so that one that was replaced is recognised for
/// as long as its family lives without remembering it.
fn refresh_token(shared: &Shared, family: &str, generation: u64) -> String {
    let mac = shared.mac(&["refresh", family, &generation.to_string()]);
    format!("{family}.{generation}.{mac}")
}

pub(super) fn read_refresh_token(shared: &Shared, token: &str) -> Option<(String, u64)> {
    let (family, rest) = token.split_once('.')?;
    let generation = rest.split_once('.')?.0.parse().ok()?;
    let genuine = refresh_token(shared, family, generation);
    constant_time_eq(genuine.as_bytes(), token.as_bytes()).then(|| (family.to_owned(), generation))
}
