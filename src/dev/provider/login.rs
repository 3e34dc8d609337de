//! The login page: a picker of users, no password. Its form is bound to the request it was made for and to the browser.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use url::Url;

use super::authorize::{deny, grant, refuse};
use super::parameters::Parameters;
use super::request::{AuthorizationRequest, Rejected};
use super::respond::page;
use super::shared::{Shared, cookie};
use super::state::Authentication;
use super::{User, pages};
use crate::secret::{constant_time_eq, random_base64url};

/// The login page for this request.
pub(super) fn show(
    shared: &Shared,
    request: &HttpRequest,
    asked: &AuthorizationRequest,
    parameters: &Parameters,
) -> HttpResponse {
    let browser = browser(shared, request);
    let wire = parameters.encode();
    let token = shared.mac(&["login", &browser, &wire]);
    let mut users: Vec<&User> = shared.users.iter().collect();
    // A hint moves its user to the front.
    users.sort_by_key(|user| !asked.login_hint.as_ref().is_some_and(|hint| *hint == user.id || *hint == user.email));
    let html = pages::login(&asked.client.name, &wire, &token, &users);
    let mut answer = page(StatusCode::OK, html, &origin_of(&asked.way.redirect_uri));
    add_cookie(&mut answer, shared.browser_cookie(), browser);
    answer
}

/// `POST /login`: one of the page's buttons was pressed.
pub(super) async fn login(shared: web::Data<Shared>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let form = match Parameters::from_form(&request, &body) {
        Ok(form) => form,
        Err(refusal) => return refuse(&shared, Rejected::Page(refusal.description)),
    };
    let field = |name| form.one(name).ok().flatten().unwrap_or_default();
    if !is_bound(&shared, &request, "login", field("request"), field("token")) {
        return stale_form();
    }
    // The request was judged when the page was made; the client may have been registered anew since.
    let asked = match AuthorizationRequest::read(&shared, &Parameters::parse(field("request"))) {
        Ok(asked) => asked,
        Err(rejected) => return refuse(&shared, rejected),
    };
    if !field("cancel").is_empty() {
        return deny(&shared, &asked, "access_denied", "the user cancelled the login");
    }
    let Some(user) = shared.user(field("user")) else { return stale_form() };
    let (cookie_value, authentication) = sign_in(&shared, &request, user);
    let mut answer = grant(&shared, &asked, authentication);
    add_cookie(&mut answer, shared.sso_cookie(), cookie_value);
    answer
}

/// Signs the browser in under a new cookie; the same person keeps the `sid`, another one gets a new one.
fn sign_in(shared: &Shared, request: &HttpRequest, user: &User) -> (String, Authentication) {
    let now = shared.now();
    let mut state = shared.state();
    let earlier = request.cookie(&shared.sso_cookie()).and_then(|cookie| {
        let live = state.sso.get(cookie.value(), now).cloned();
        state.sso.remove(cookie.value());
        live
    });
    let sid = earlier.filter(|earlier| earlier.user == user.id).map_or_else(random_base64url, |earlier| earlier.sid);
    let authentication = Authentication { user: user.id.clone(), sid, auth_time: now.as_secs() };
    let value = random_base64url();
    state.sso.insert(value.clone(), now.plus(shared.behaviour().sso_lifetime), authentication.clone(), now);
    (value, authentication)
}

/// Whether a form was made here, for this browser and for this request.
pub(super) fn is_bound(shared: &Shared, request: &HttpRequest, purpose: &str, wire: &str, token: &str) -> bool {
    request.cookie(&shared.browser_cookie()).is_some_and(|browser| {
        let expected = shared.mac(&[purpose, browser.value(), wire]);
        constant_time_eq(expected.as_bytes(), token.as_bytes())
    })
}

/// The value that tells this browser from others: its own, or a new one.
pub(super) fn browser(shared: &Shared, request: &HttpRequest) -> String {
    request
        .cookie(&shared.browser_cookie())
        .map(|cookie| cookie.value().to_owned())
        .filter(|value| value.len() == 43)
        .unwrap_or_else(random_base64url)
}

pub(super) fn add_cookie(answer: &mut HttpResponse, name: String, value: String) {
    answer.add_cookie(&cookie(name, value)).expect("base64url is a cookie value");
}

/// Where a form's redirects may lead.
pub(super) fn origin_of(uri: &str) -> Vec<String> {
    Url::parse(uri).map(|url| url.origin().ascii_serialization()).into_iter().collect()
}

pub(super) fn stale_form() -> HttpResponse {
    let text = "It was made for another browser or another request. Go back to the application and start again.";
    page(StatusCode::FORBIDDEN, pages::message("This form is no longer good", text), &[])
}
