//! How the token endpoint says what it has to say: as RFC 6749 §5 wants it, or as servers do that had other ideas.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::profile::{Dialect, TokenRules};
use super::respond::{About, Refusal};

/// The answer in the words of this provider.
pub(super) fn say(rules: &TokenRules, request: &HttpRequest, answer: Result<Value, Refusal>) -> HttpResponse {
    let (status, body, refusal) = match answer {
        Ok(tokens) => (StatusCode::OK, tokens, None),
        Err(refusal) => match refuse(rules.errors, &refusal) {
            Some((status, body)) => (status, body, Some(refusal)),
            None => return refusal.error_response(),
        },
    };
    let mut response = HttpResponse::build(status);
    if let Some(seconds) = refusal.and_then(|refusal| refusal.retry_after) {
        response.insert_header((header::RETRY_AFTER, seconds));
    }
    if rules.form_encoded && !accepts_json(request) {
        return response.content_type("application/x-www-form-urlencoded; charset=utf-8").body(form(&body));
    }
    response.json(body)
}

/// A refusal that is not said as the standard wants it.
fn refuse(dialect: Dialect, refusal: &Refusal) -> Option<(StatusCode, Value)> {
    let text = refusal.description.as_str();
    match dialect {
        Dialect::Standard => None,
        Dialect::Passport12 | Dialect::Passport13 if refusal.about == About::Haste => {
            Some((refusal.status, json!({ "message": "Too Many Attempts." })))
        }
        Dialect::Passport12 | Dialect::Passport13 if refusal.about == About::Client => {
            Some((StatusCode::UNAUTHORIZED, unknown_client(dialect)))
        }
        Dialect::Passport12 => Some(passport_12(refusal)),
        Dialect::Passport13 => {
            let body = json!({ "error": refusal.error, "error_description": text, "hint": text });
            Some((refusal.status, body))
        }
        Dialect::Entra => {
            let number = match refusal.about {
                About::RefreshToken => 700_082,
                About::Code => 70_008,
                About::Client => 7_000_215,
                About::Request | About::Haste => 900_144,
            };
            let told = if text.starts_with("AADSTS") { text.to_owned() } else { format!("AADSTS{number}: {text}") };
            let body = json!({ "error": refusal.error, "error_description": told, "error_codes": [number] });
            Some((refusal.status, body))
        }
        Dialect::GitHub => {
            let error = match refusal.about {
                About::Code => "bad_verification_code",
                About::RefreshToken => "bad_refresh_token",
                About::Client => "incorrect_client_credentials",
                About::Request | About::Haste => refusal.error,
            };
            Some((StatusCode::OK, json!({ "error": error, "error_description": text })))
        }
    }
}

/// `thephpleague/oauth2-server` before 9: there is no `invalid_grant`, and 401 is for refresh tokens too.
fn passport_12(refusal: &Refusal) -> (StatusCode, Value) {
    let (status, error, message) = match refusal.about {
        About::RefreshToken => (StatusCode::UNAUTHORIZED, "invalid_request", "The refresh token is invalid."),
        About::Code => (
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "The request is missing a required parameter, includes an invalid parameter value, includes a parameter more \
             than once, or is otherwise malformed.",
        ),
        About::Client | About::Request | About::Haste => (refusal.status, refusal.error, refusal.description.as_str()),
    };
    let hint = refusal.description.as_str();
    (status, json!({ "error": error, "error_description": message, "hint": hint, "message": message }))
}

/// What an authorization request gets whose client or redirect URI is not known: a page, but `thephpleague/oauth2-server`
/// says the same as at the token endpoint.
pub(super) fn stranger(dialect: Dialect) -> Option<HttpResponse> {
    let is_passport = matches!(dialect, Dialect::Passport12 | Dialect::Passport13);
    is_passport.then(|| HttpResponse::Unauthorized().json(unknown_client(dialect)))
}

/// What Passport says of a client without a hint; `message` went with 13.
fn unknown_client(dialect: Dialect) -> Value {
    let text = "Client authentication failed";
    let mut body = json!({ "error": "invalid_client", "error_description": text });
    if dialect == Dialect::Passport12 {
        body["message"] = text.into();
    }
    body
}

/// Whether a refused authorization request gets its state back: `thephpleague/oauth2-server` before 9 forgets it.
pub(super) fn keeps_state(dialect: Dialect) -> bool {
    dialect != Dialect::Passport12
}

fn accepts_json(request: &HttpRequest) -> bool {
    let accepted = request.headers().get_all(header::ACCEPT).filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with("application/json"))
}

fn form(body: &Value) -> String {
    let members = body.as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(members.map(|(name, value)| (name, text(value))))
        .finish()
}
