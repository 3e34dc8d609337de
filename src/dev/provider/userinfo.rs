//! The user endpoint: who the bearer of an access token is (OpenID Connect Core §5.3).

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::respond::Refusal;
use super::shared::Shared;
use super::{AccessClaims, User};

/// `GET` and `POST /userinfo`
pub(super) async fn userinfo(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let claims = bearer(&shared, &request)?;
    let user = shared.user_of(&claims.sub).ok_or_else(|| Refusal::invalid_token("the user is gone"))?;
    if !shared.profile.authorization.openid {
        return Ok(HttpResponse::Ok().json(plain(&shared, user)));
    }
    let has = |name| claims.scope.split(' ').any(|one| one == name);
    let mut answer = json!({ "sub": claims.sub });
    if has("profile") {
        answer["name"] = user.name.as_str().into();
        answer["picture"] = format!("{}/avatar/{}.svg", shared.address, user.id).into();
    }
    if has("email") {
        answer["email"] = user.email.as_str().into();
        answer["email_verified"] = true.into();
    }
    Ok(HttpResponse::Ok().json(answer))
}

/// `POST` to the application's own logout: ends the login that the bearer's token is of, and the browser's at it.
pub(super) async fn log_out(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let claims = bearer(&shared, &request)?;
    let mut state = shared.state();
    if let Some(ended) = shared.end_login(&mut state, claims.login()) {
        let sid = ended.grant.authentication.sid;
        state.sso.retain(|signed_in| signed_in.sid != sid);
        state.tally.logouts += 1;
    }
    Ok(HttpResponse::NoContent().finish())
}

/// The claims of the request's access token, whose login has to go on still.
fn bearer(shared: &Shared, request: &HttpRequest) -> Result<AccessClaims, Refusal> {
    let token = bearer_of(request).ok_or_else(|| Refusal::invalid_token("no bearer token"))?;
    let claims = shared.access_tokens.read(token).map_err(|bad| Refusal::invalid_token(bad.0))?;
    if shared.state().families.get(claims.login(), shared.now()).is_none() {
        return Err(Refusal::invalid_token("revoked"));
    }
    Ok(claims)
}

/// The bearer token of a request.
pub(super) fn bearer_of(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// Somebody as an application without OpenID Connect tells: by the number of their row.
fn plain(shared: &Shared, user: &User) -> Value {
    json!({
        "id": shared.number(user),
        "login": user.id,
        "name": user.name,
        "email": user.email,
        "avatar_url": format!("{}/avatar/{}.svg", shared.address, user.id),
    })
}
