//! `GET /bff/login`: the browser is sent to the provider.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};

use super::bff::Call;
use super::cookies::MOST_LOGINS;
use super::problem::Problem;
use super::relay;
use super::request::{self, Query};
use crate::auth::{BeginError, LoginRequest};
use crate::guard::return_to::ReturnTo;
use crate::guard::same_origin;
use crate::provider::AuthorizeError;
use crate::provider::LoginHints;

/// What a browser keeps of one cookie, name included (RFC 6265bis §5.6), with room for the name.
const LONGEST_COOKIE: usize = 4000;

/// Starts a login.
pub(super) async fn start(call: &Call<'_>) -> Result<HttpResponse, Problem> {
    navigation_only(call.request)?;
    let query = Query::read(call.request.uri())?;
    let (mut provider, mut hints) = (query.get("provider").map(str::to_owned), hints(&query)?);
    if let Some(sealed) = query.get("step") {
        let step = call.site.auth.open_step(sealed).ok_or(Problem::BadRequest("the step is none of this site's"))?;
        if provider.is_some_and(|asked| asked != step.provider) {
            return Err(Problem::BadRequest("the step is another provider's"));
        }
        (provider, hints.further_scopes) = (Some(step.provider), step.scopes);
    }
    let (return_to, previous) = (return_to(&query, call)?, call.cookies.ticket());
    let asked = LoginRequest { provider, return_to, hints, restart: false, previous };
    begin(call, asked).await
}

/// Where a login or logout ends: the `return_to` of the query, or the front page.
pub(super) fn return_to(query: &Query, call: &Call<'_>) -> Result<ReturnTo, Problem> {
    match query.get("return_to") {
        None => Ok(ReturnTo::front_page()),
        Some(path) => {
            ReturnTo::parse(path, &call.site.auth.site().base_path).map_err(|bad| Problem::BadReturnTo(bad.0))
        }
    }
}

/// Sends the browser to the provider, with a login cookie of its own for this attempt.
pub(super) async fn begin(call: &Call<'_>, asked: LoginRequest) -> Result<HttpResponse, Problem> {
    let (auth, names) = (&call.site.auth, &call.site.names);
    if let Some(provider) = auth.provider_for(asked.provider.as_deref()).filter(|it| it.takes_credentials()) {
        // Whoever forbids questions goes back as they came: a form is nothing but questions.
        if asked.hints.prompt.as_deref() == Some("none") {
            return Ok(see_other(&asked.return_to.on(&auth.site().origin)).finish());
        }
        return relay::go_to_page(call, provider, &asked.return_to);
    }
    let begun = auth.begin_login(asked).await.map_err(|error| match error {
        BeginError::UnknownProvider => Problem::BadRequest("this site has no such provider"),
        BeginError::Provider(AuthorizeError::Unavailable(why)) => {
            tracing::warn!(event = "login_unavailable", site = %auth.site().origin, %why);
            Problem::ProviderUnavailable(2)
        }
        BeginError::Provider(AuthorizeError::Misconfigured(why)) => {
            tracing::error!(event = "login_misconfigured", site = %auth.site().origin, why);
            Problem::ProviderUnavailable(2)
        }
    })?;
    let name = format!("{}{}", names.login_prefix, begun.pending.cookie_suffix());
    let value = auth.seal_login(&name, begun.pending, LONGEST_COOKIE.saturating_sub(name.len()));
    let value = value.ok_or(Problem::BadReturnTo("it is too long to be remembered"))?;
    let mut answer = see_other(begun.location.as_str());
    for evicted in evicted(call) {
        answer.cookie(names.removal(evicted, actix_web::cookie::SameSite::Lax));
    }
    answer.cookie(names.login(name, value));
    Ok(answer.finish())
}

/// The login cookies that must go to make room for one more: those that do not open any more, then the oldest.
fn evicted(call: &Call<'_>) -> Vec<String> {
    let auth = &call.site.auth;
    let (mut open, mut gone) = (Vec::new(), Vec::new());
    for (name, sealed) in &call.cookies.logins {
        match auth.open_login(name, sealed) {
            Some(pending) => open.push((pending.started(), name)),
            None => gone.push(name.clone()),
        }
    }
    open.sort();
    let surplus = (open.len() + 1).saturating_sub(MOST_LOGINS);
    gone.extend(open.into_iter().take(surplus).map(|(_, name)| name.clone()));
    gone
}

/// A redirect that is followed with GET, whatever the request was (RFC 9110 §15.4.4).
pub(super) fn see_other(location: &str) -> actix_web::HttpResponseBuilder {
    let mut answer = HttpResponse::SeeOther();
    super::close_to_browsers(&mut answer);
    answer.insert_header((header::LOCATION, location));
    answer
}

/// What the browser may pass on to the provider, if it is well formed.
fn hints(query: &Query) -> Result<LoginHints, Problem> {
    let checked = |name, is_well_formed: fn(&str) -> bool, wrong| match query.get(name) {
        Some(value) if !is_well_formed(value) => Err(Problem::BadRequest(wrong)),
        value => Ok(value.map(str::to_owned)),
    };
    Ok(LoginHints {
        prompt: checked("prompt", is_prompt, "prompt is not well formed")?,
        login_hint: checked("login_hint", is_login_hint, "login_hint is not well formed")?,
        ui_locales: checked("ui_locales", is_locales, "ui_locales is not well formed")?,
        further_scopes: Vec::new(),
    })
}

/// OpenID Connect Core §3.1.2.1 and Initiating User Registration: a list of known words; `none` stands alone.
fn is_prompt(text: &str) -> bool {
    let mut words = text.split(' ');
    text == "none" || words.all(|word| matches!(word, "login" | "consent" | "select_account" | "create"))
}

fn is_login_hint(text: &str) -> bool {
    !text.is_empty() && text.len() <= 256 && !text.chars().any(char::is_control)
}

/// A list of language tags (RFC 5646 §2.1).
fn is_locales(text: &str) -> bool {
    let is_tag = |tag: &str| !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    text.len() <= 128 && text.split(' ').all(is_tag)
}

/// Refuses what is no navigation.
pub(super) fn navigation_only(request: &HttpRequest) -> Result<(), Problem> {
    same_origin::check_navigation(&request::words(request)).map_err(|error| Problem::CrossSite(error.0))
}
