//! A login that an API has of its own: credentials against a token, and a token against the next one, all in JSON.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};
use serde_json::{Map, Value, json};

use super::issue::{Issued, Wanted, issue};
use super::profile::{Granted, OwnLogin, WrongCredentials};
use super::respond::Refusal;
use super::shared::Shared;
use super::state::{Authentication, Family, Grant};
use super::token;
use super::userinfo::bearer_of;
use crate::secret::random_base64url;

/// Everybody's password, as Laravel's factories make it.
pub const PASSWORD: &str = "password";

/// What the API does not do, in its own words.
struct No(StatusCode, Value);

impl No {
    fn message(status: StatusCode, message: &str) -> Self {
        Self(status, json!({ "message": message }))
    }

    /// What Laravel's validation says of these fields, the first in front.
    fn invalid(wrong: &[(&str, String)]) -> Self {
        let first = wrong.first().map_or("", |(_, message)| message.as_str());
        let message = match wrong.len() {
            0 | 1 => first.to_owned(),
            2 => format!("{first} (and 1 more error)"),
            count => format!("{first} (and {} more errors)", count - 1),
        };
        let errors: Map<String, Value> =
            wrong.iter().map(|(field, message)| ((*field).to_owned(), json!([message]))).collect();
        Self(StatusCode::UNPROCESSABLE_ENTITY, json!({ "message": message, "errors": errors }))
    }
}

/// `POST` of somebody's credentials.
pub(super) async fn log_in(shared: web::Data<Shared>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    answer(&shared, &request, |rules| let_in(&shared, &rules, &request, &body)).await
}

/// `POST` with a token, expired or not, as the bearer.
pub(super) async fn refresh(shared: web::Data<Shared>, request: HttpRequest) -> HttpResponse {
    answer(&shared, &request, |rules| renew(&shared, &rules, &request)).await
}

async fn answer(
    shared: &Shared,
    request: &HttpRequest,
    act: impl FnOnce(OwnLogin) -> Result<Value, No>,
) -> HttpResponse {
    let Some(rules) = shared.profile.own_login else { return HttpResponse::NotFound().finish() };
    if let Err(refusal) = token::begin(shared).await {
        return refusal.error_response();
    }
    if !asks_for_json(request) {
        // What Laravel does with whom it takes for a person.
        shared.complain("own login", "the request does not ask for JSON");
        return HttpResponse::Found().insert_header((header::LOCATION, "/login")).finish();
    }
    match act(rules) {
        // What Laravel makes of a text.
        Ok(Value::String(text)) => HttpResponse::Ok().content_type("text/html; charset=UTF-8").body(text),
        Ok(granted) => HttpResponse::Ok().json(granted),
        Err(No(status, body)) => HttpResponse::build(status).json(body),
    }
}

fn asks_for_json(request: &HttpRequest) -> bool {
    let mut accepted = request.headers().get_all(header::ACCEPT).filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.contains("/json") || value.contains("+json"))
}

fn let_in(shared: &Shared, rules: &OwnLogin, request: &HttpRequest, body: &[u8]) -> Result<Value, No> {
    let form: Value = serde_json::from_slice(body).unwrap_or_default();
    let field = |name: &str| form[name].as_str().unwrap_or_default();
    let missing = rules.fields.iter().filter(|name| field(name).is_empty());
    let said = |name: &str| format!("The {} field is required.", name.replace('_', " "));
    let missing: Vec<_> = missing.map(|name| (*name, said(name))).collect();
    if !missing.is_empty() {
        return Err(No::invalid(&missing));
    }
    let user = shared.users.iter().find(|user| user.email == field("email"));
    let Some(user) = user.filter(|_| field("password") == PASSWORD) else {
        return Err(match rules.wrong {
            WrongCredentials::Unauthorized => No(StatusCode::UNAUTHORIZED, json!({ "error": "Unauthorized" })),
            WrongCredentials::Invalid => {
                No::invalid(&[("email", "The provided credentials are incorrect.".to_owned())])
            }
        });
    };
    let now = shared.now();
    let grant = Grant {
        client_id: device(request, field("device_name")),
        scope: String::new(),
        authentication: Authentication { user: user.id.clone(), sid: random_base64url(), auth_time: now.as_secs() },
        for_api: true,
        refreshable: rules.refresh.is_some(),
    };
    let id = random_base64url();
    let login = Family { grant, generation: 0, access_token: None, began: now, refreshes: 0 };
    let tokens = token_of(shared, &id, &login)?;
    let ends = now.plus(shared.behaviour().refresh_token_lifetime);
    shared.state().families.insert(id, ends, Family { access_token: Some(tokens.jti), ..login }, now);
    Ok(granted(rules, &tokens.answer))
}

/// The newest token of a login against one that is newer; it is over at that moment.
fn renew(shared: &Shared, rules: &OwnLogin, request: &HttpRequest) -> Result<Value, No> {
    let refused = |why: &str| No::message(StatusCode::UNAUTHORIZED, why);
    let token = bearer_of(request).ok_or_else(|| refused("Token not provided"))?;
    let claims = shared.access_tokens.open(token).ok_or_else(|| refused("Token Signature could not be verified."))?;
    let mut state = shared.state();
    let login = state.families.get_mut(claims.login(), shared.now());
    let login = login.filter(|login| login.access_token.as_deref() == Some(&*claims.jti));
    let login = login.ok_or_else(|| refused("The token has been blacklisted"))?;
    let tokens = token_of(shared, claims.login(), login)?;
    if shared.profile.refresh.revokes_access_token {
        shared.spoil_access_token(login, "blacklisted");
    }
    login.access_token = Some(tokens.jti);
    login.refreshes += 1;
    state.tally.refreshes += 1;
    Ok(granted(rules, &tokens.answer))
}

fn token_of(shared: &Shared, id: &str, login: &Family) -> Result<Issued, No> {
    let wanted = Wanted { scope: "", for_api: true, nonce: None, renewed: None };
    issue(shared, id, login, wanted)
        .map_err(|Refusal { description, .. }| No::message(StatusCode::UNAUTHORIZED, &description))
}

fn granted(rules: &OwnLogin, tokens: &Value) -> Value {
    let token = &tokens["access_token"];
    match rules.granted {
        Granted::Bearer => {
            json!({ "access_token": token, "token_type": "bearer", "expires_in": tokens["expires_in"] })
        }
        Granted::Text => token.clone(),
    }
}

/// From where somebody logs in, for people to read: what the app calls the device, or else the site that its page is of.
fn device(request: &HttpRequest, name: &str) -> String {
    let site = || request.headers().get("x-forwarded-host").and_then(|value| value.to_str().ok());
    Some(name).filter(|name| !name.is_empty()).or_else(site).unwrap_or("an application").to_owned()
}
