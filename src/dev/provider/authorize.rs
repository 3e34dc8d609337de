//! `/authorize`: a code for who is signed in, the login page for who is not.

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use url::Url;

use super::parameters::Parameters;
use super::request::{AuthorizationRequest, Prompt, Rejected};
use super::respond::{page, redirect};
use super::shared::Shared;
use super::state::{Authentication, Code, Grant, Spent};
use super::{login, pages};
use crate::secret::random_base64url;

/// `GET` and `POST /authorize` (OpenID Connect Core §3.1.2.1)
pub(super) async fn authorize(shared: web::Data<Shared>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    shared.state().tally.authorizations += 1;
    let parameters = if request.method() == Method::POST {
        match Parameters::from_form(&request, &body) {
            Ok(parameters) => parameters,
            Err(refusal) => return refuse(&shared, Rejected::Page(refusal.description)),
        }
    } else {
        Parameters::parse(request.query_string())
    };
    let asked = match AuthorizationRequest::read(&shared, &parameters) {
        Ok(asked) => asked,
        Err(rejected) => return refuse(&shared, rejected),
    };
    let now = shared.now().as_secs();
    let signed_in = shared
        .signed_in(&request)
        .filter(|signed_in| asked.max_age.is_none_or(|age| now.saturating_sub(signed_in.auth_time) <= age));
    match (asked.prompt, signed_in) {
        (Prompt::IfNeeded | Prompt::None, Some(signed_in)) => grant(&shared, &asked, signed_in),
        (Prompt::None, None) => deny(&shared, &asked, "login_required", "nobody is signed in"),
        (Prompt::IfNeeded | Prompt::Picker, _) => login::show(&shared, &request, &asked, &parameters),
    }
}

/// Sends the browser back with a code.
pub(super) fn grant(shared: &Shared, asked: &AuthorizationRequest, authentication: Authentication) -> HttpResponse {
    let value = random_base64url();
    let code = Code {
        grant: Grant { client_id: asked.client.id.clone(), scope: asked.scope.clone(), authentication },
        redirect_uri: asked.redirect_uri.clone(),
        nonce: asked.nonce.clone(),
        challenge: asked.challenge.clone(),
        spent: Spent::No,
    };
    let (now, lifetime) = (shared.now(), shared.behaviour().code_lifetime);
    shared.state().codes.insert(value.clone(), now.plus(lifetime), code, now);
    answer(shared, &asked.redirect_uri, &[("code", &value), ("state", &asked.state)])
}

/// Tells the client why there is no code, when that is not the client's fault.
pub(super) fn deny(shared: &Shared, asked: &AuthorizationRequest, error: &str, why: &str) -> HttpResponse {
    answer(shared, &asked.redirect_uri, &[("error", error), ("error_description", why), ("state", &asked.state)])
}

/// A page or a redirect with the error, as the request deserves.
pub(super) fn refuse(shared: &Shared, rejected: Rejected) -> HttpResponse {
    match rejected {
        Rejected::Page(what) => page(
            StatusCode::BAD_REQUEST,
            pages::message("This request cannot be answered", &format!("The application made a mistake: {what}.")),
            &[],
        ),
        Rejected::Redirect { redirect_uri, state, error, description } => {
            let mut words = vec![("error", error), ("error_description", description.as_str())];
            words.extend(state.as_deref().map(|state| ("state", state)));
            answer(shared, &redirect_uri, &words)
        }
    }
}

/// Every authorization response says who it is from (RFC 9207 §2).
fn answer(shared: &Shared, redirect_uri: &str, words: &[(&str, &str)]) -> HttpResponse {
    let Ok(mut location) = Url::parse(redirect_uri) else {
        return page(
            StatusCode::BAD_REQUEST,
            pages::message("This request cannot be answered", "The registered redirect URI is not a URL."),
            &[],
        );
    };
    location.query_pairs_mut().extend_pairs(words).append_pair("iss", &shared.issuer);
    redirect(location.as_str())
}
