//! `/userinfo`: who the bearer of an access token is (OpenID Connect Core §5.3).

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::respond::Refusal;
use super::shared::Shared;

/// `GET` and `POST /userinfo`
pub(super) async fn userinfo(shared: web::Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let token = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token)
        .ok_or_else(|| Refusal::invalid_token("no bearer token"))?;
    let claims = shared.access_tokens().verify(token).map_err(|bad| Refusal::invalid_token(bad.0))?;
    let family = claims.jti.split('.').next().unwrap_or_default();
    if shared.state().families.get(family, shared.now()).is_none() {
        return Err(Refusal::invalid_token("revoked"));
    }
    let user = shared.user(&claims.sub).ok_or_else(|| Refusal::invalid_token("the user is gone"))?;
    let has = |name| claims.scope.split(' ').any(|one| one == name);
    let mut answer = json!({ "sub": user.id });
    if has("profile") {
        answer["name"] = user.name.as_str().into();
        answer["picture"] = format!("{}/avatar/{}.svg", shared.issuer, user.id).into();
    }
    if has("email") {
        answer["email"] = user.email.as_str().into();
        answer["email_verified"] = true.into();
    }
    Ok(HttpResponse::Ok().json(answer))
}
