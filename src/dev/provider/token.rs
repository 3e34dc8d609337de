//! The token endpoint: a code or a refresh token against fresh tokens, each exactly once.

use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::client::authenticate;
use super::issue::{Wanted, issue, read_refresh_token};
use super::parameters::Parameters;
use super::profile::Given;
use super::respond::Refusal;
use super::shared::Shared;
use super::state::{Code, Family, Spent};
use super::{Client, Rotation, audience, dialect};
use crate::secret::{constant_time_eq, random_base64url};

const MINUTE: Duration = Duration::from_secs(60);

/// The token endpoint (RFC 6749 §3.2).
pub(super) async fn token(shared: web::Data<Shared>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let answer = answer(&shared, &request, &body).await;
    dialect::say(&shared.profile.tokens, &request, answer)
}

async fn answer(shared: &Shared, request: &HttpRequest, body: &[u8]) -> Result<Value, Refusal> {
    begin(shared).await?;
    throttle(shared, request)?;
    let form = Parameters::from_form(request, body)?;
    exchange(shared, request, &form).inspect_err(|refusal| shared.complain("token endpoint", &refusal.to_string()))
}

/// Counts a call that may give tokens, and waits or fails as the provider was told to.
pub(super) async fn begin(shared: &Shared) -> Result<(), Refusal> {
    shared.state().tally.token_calls += 1;
    let behaviour = shared.behaviour();
    actix_web::rt::time::sleep(behaviour.token_delay).await;
    behaviour.token_outage.map_or(Ok(()), |status| Err(Refusal::outage(status)))
}

/// Counts the calls of each address in minutes that begin with the first of them, as Laravel does.
fn throttle(shared: &Shared, request: &HttpRequest) -> Result<(), Refusal> {
    let (Some(limit), Some(peer)) = (shared.profile.tokens.throttle, request.peer_addr()) else { return Ok(()) };
    let (address, now) = (peer.ip().to_string(), shared.now());
    let mut state = shared.state();
    match state.calls.end(&address, now) {
        None => state.calls.insert(address, now.plus(MINUTE), 1, now),
        Some(ends) => {
            let calls = state.calls.get_mut(&address, now).map_or(0, |calls| {
                *calls += 1;
                *calls
            });
            if calls > limit {
                state.tally.throttled += 1;
                return Err(Refusal::too_many(ends.since(now)));
            }
        }
    }
    Ok(())
}

fn exchange(shared: &Shared, request: &HttpRequest, form: &Parameters) -> Result<Value, Refusal> {
    if !request.query_string().is_empty() {
        return Err(Refusal::invalid_request("credentials do not belong into a query string"));
    }
    if shared.profile.tokens.refuses_origin && request.headers().contains_key(header::ORIGIN) {
        let text = "AADSTS9002326: Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type";
        return Err(Refusal::invalid_request(text));
    }
    let client = authenticate(shared, request, form)?;
    match form.required("grant_type")? {
        "authorization_code" => redeem(shared, &client, form),
        "refresh_token" if shared.profile.refresh.given != Given::Never => refresh(shared, &client, form),
        other => Err(Refusal::new("unsupported_grant_type", format!("{other} is not supported"))),
    }
}

/// Any wrong attempt burns the code; a second one also ends what the first one got (RFC 6749 §4.1.2).
fn redeem(shared: &Shared, client: &Client, form: &Parameters) -> Result<Value, Refusal> {
    let value = form.required("code")?;
    let now = shared.now();
    let mut state = shared.state();
    let Some(code) = state.codes.get_mut(value, now).filter(|code| code.grant.client_id == client.id) else {
        return Err(Refusal::bad_code("the code is unknown, has ended, or is another client's"));
    };
    match &code.spent {
        Spent::No => {}
        Spent::InVain => return Err(Refusal::bad_code("the code was burnt by a wrong attempt")),
        Spent::For(family) => {
            let family = family.clone();
            shared.end_login(&mut state, &family);
            return Err(Refusal::bad_code("the code was used twice; its tokens are revoked"));
        }
    }
    code.spent = Spent::InVain;
    check_proofs(code, form)?;
    let id = random_base64url();
    code.spent = Spent::For(id.clone());
    let (grant, nonce) = (code.grant.clone(), code.nonce.clone());
    let ends = now.plus(shared.behaviour().refresh_token_lifetime);
    let scope = grant.scope.clone();
    let login = Family { grant, generation: 0, access_token: None, began: now, refreshes: 0 };
    let for_api = audience::still_for_api(shared.profile.authorization.api, login.grant.for_api, form)?;
    let wanted = Wanted { scope: &scope, for_api, nonce, renewed: Some(0) };
    let tokens = issue(shared, &id, &login, wanted)?;
    state.families.insert(id, ends, Family { access_token: Some(tokens.jti), ..login }, now);
    state.tally.codes_redeemed += 1;
    Ok(tokens.answer)
}

fn check_proofs(code: &Code, form: &Parameters) -> Result<(), Refusal> {
    if form.required("redirect_uri")? != code.redirect_uri {
        return Err(Refusal::bad_code("redirect_uri differs from the authorization request"));
    }
    let (verifier, expected) = match (form.one("code_verifier")?, &code.challenge) {
        (None, None) => return Ok(()),
        (Some(_), None) => return Err(Refusal::invalid_request("code_verifier without a challenge before")),
        (None, Some(_)) => return Err(Refusal::invalid_request("code_verifier is missing")),
        (Some(verifier), Some(challenge)) => (verifier, challenge),
    };
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(unreserved) {
        return Err(Refusal::invalid_request("code_verifier is not 43 to 128 unreserved characters"));
    }
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    if !constant_time_eq(challenge.as_bytes(), expected.as_bytes()) {
        return Err(Refusal::bad_code("code_verifier does not match the challenge"));
    }
    Ok(())
}

fn refresh(shared: &Shared, client: &Client, form: &Parameters) -> Result<Value, Refusal> {
    let (id, generation) = read_refresh_token(shared, form.required("refresh_token")?)
        .ok_or_else(|| Refusal::bad_refresh_token("not a refresh token of this provider"))?;
    let rotation = shared.behaviour().rotation;
    let now = shared.now();
    let mut state = shared.state();
    let Some(login) = state.families.get_mut(&id, now).filter(|login| login.grant.client_id == client.id) else {
        return Err(Refusal::bad_refresh_token("the refresh token was revoked, has ended, or is another client's"));
    };
    if generation != login.generation {
        state.tally.refresh_reuses += 1;
        if shared.profile.refresh.reuse_ends_login {
            shared.end_login(&mut state, &id);
            return Err(Refusal::bad_refresh_token("the refresh token had been replaced; its whole family is revoked"));
        }
        return Err(Refusal::bad_refresh_token("the refresh token was used before"));
    }
    let scope = form.one("scope")?.unwrap_or(&login.grant.scope).to_owned();
    if scope.split(' ').any(|one| !login.grant.scope.split(' ').any(|granted| granted == one)) {
        return Err(Refusal::new("invalid_scope", "more than was granted"));
    }
    let for_api = audience::still_for_api(shared.profile.authorization.api, login.grant.for_api, form)?;
    let renewed = (rotation == Rotation::EveryUse).then_some(login.generation + 1);
    // No nonce: it belongs to the first ID token (OpenID Connect Core §12.2).
    let tokens = issue(shared, &id, login, Wanted { scope: &scope, for_api, nonce: None, renewed })?;
    if shared.profile.refresh.revokes_access_token {
        shared.spoil_access_token(login, "revoked, since it was refreshed");
    }
    login.generation = renewed.unwrap_or(login.generation);
    login.access_token = Some(tokens.jti);
    login.refreshes += 1;
    state.tally.refreshes += 1;
    Ok(tokens.answer)
}
