//! `/authorize`: a code for who is signed in, the login page for who is not.

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};

use super::answer::answer;
use super::parameters::Parameters;
use super::profile::Given;
use super::request::{AuthorizationRequest, Prompt, Rejected};
use super::respond::page;
use super::shared::Shared;
use super::state::{Authentication, Code, Grant, Spent};
use super::{dialect, login, pages};
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
        (Prompt::None, Some(signed_in)) => silently(&shared, &asked, signed_in),
        (Prompt::IfNeeded, Some(signed_in)) => grant(&shared, &asked, signed_in),
        (Prompt::None, None) => {
            deny(&shared, &asked, shared.profile.authorization.silent.signed_out, "nobody is signed in")
        }
        (Prompt::IfNeeded | Prompt::Picker, _) => login::show(&shared, &request, &asked, &parameters),
    }
}

/// Answers without a page, where that takes no consent or has it.
fn silently(shared: &Shared, asked: &AuthorizationRequest, signed_in: Authentication) -> HttpResponse {
    let known = shared.state().known.contains(&(signed_in.user.clone(), asked.client.id.clone()));
    match shared.profile.authorization.silent.unknown_application {
        Some(error) if !known => deny(shared, asked, error, "this person has not been at this application yet"),
        _ => grant(shared, asked, signed_in),
    }
}

/// Sends the browser back with a code.
pub(super) fn grant(shared: &Shared, asked: &AuthorizationRequest, authentication: Authentication) -> HttpResponse {
    let value = random_base64url();
    let first = shared.state().known.insert((authentication.user.clone(), asked.client.id.clone()));
    let refreshable = match shared.profile.refresh.given {
        Given::OnOfflineAccess => asked.wants("offline_access"),
        Given::OnConsentToOfflineAccess => asked.consent && asked.wants("offline_access"),
        Given::Always => true,
        Given::OnFirstConsent => asked.offline && (first || asked.consent),
        Given::Never => false,
    };
    let (client_id, scope) = (asked.client.id.clone(), asked.scope.clone());
    let code = Code {
        grant: Grant { client_id, scope, authentication, for_api: asked.for_api, refreshable },
        redirect_uri: asked.way.redirect_uri.clone(),
        nonce: asked.nonce.clone(),
        challenge: asked.challenge.clone(),
        spent: Spent::No,
    };
    let (now, lifetime) = (shared.now(), shared.behaviour().code_lifetime);
    shared.state().codes.insert(value.clone(), now.plus(lifetime), code, now);
    answer(shared, &asked.way, &[("code", &value), ("state", &asked.state)])
}

/// Tells the client why there is no code, when that is not the client's fault.
pub(super) fn deny(shared: &Shared, asked: &AuthorizationRequest, error: &str, why: &str) -> HttpResponse {
    answer(shared, &asked.way, &[("error", error), ("error_description", why), ("state", &asked.state)])
}

/// A page or a redirect with the error, as the request deserves.
pub(super) fn refuse(shared: &Shared, rejected: Rejected) -> HttpResponse {
    let dialect = shared.profile.tokens.errors;
    match rejected {
        Rejected::Page(what) => dialect::stranger(dialect).unwrap_or_else(|| {
            let text = format!("The application made a mistake: {what}.");
            page(StatusCode::BAD_REQUEST, pages::message("This request cannot be answered", &text), &[])
        }),
        Rejected::Redirect { way, state, error, description } => {
            let mut words = vec![("error", error), ("error_description", description.as_str())];
            words.extend(state.as_deref().filter(|_| dialect::keeps_state(dialect)).map(|state| ("state", state)));
            answer(shared, &way, &words)
        }
    }
}
