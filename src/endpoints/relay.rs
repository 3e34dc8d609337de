//! `POST /bff/login`: a page's own form logs in at an API that has no login page, through the gateway.
//!
//! Another site must not be able to log a user in as somebody else, so this needs the proof of same origin and a content
//! type that no form has. The answer is the session, or the API's own words about what is wrong with the credentials.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::IgnoredAny;
use serde_json::json;

use super::bff::Call;
use super::problem::Problem;
use super::request::{self, Query};
use super::{Site, binding, body, login, session};
use crate::auth::LogInFailure;
use crate::guard::return_to::ReturnTo;
use crate::provider::{Credentials, LogInError, Provider, Refusal, Sender, Unfinished};

/// The largest body that is read: a form's fields, and room for a captcha's answer.
const LARGEST: usize = 16 * 1024;

/// Whether any provider of this site takes credentials.
pub(super) fn is_possible(site: &Site) -> bool {
    site.auth.providers().iter().any(Provider::takes_credentials)
}

/// Logs in. A live session ends only when this succeeds.
pub(super) async fn log_in(mut call: Call<'_>) -> Result<HttpResponse, Problem> {
    session::same_origin(&call)?;
    // Only now, or any page could use up the budget of its reader's address.
    call.site.limits.admit_login(call.client)?;
    let query = Query::read(call.request.uri())?;
    let next = query.get("step").map(|sealed| call.site.auth.open_next_step(sealed));
    let next =
        next.map(|next| next.ok_or(Problem::BadRequest("the step is over, or none of this site's"))).transpose()?;
    let provider = match &next {
        Some(next) if query.get("provider").is_some_and(|name| name != next.provider) => {
            return Err(Problem::BadRequest("the step is another provider's"));
        }
        Some(next) => chosen(call.site, Some(&next.provider))?,
        None => chosen(call.site, query.get("provider"))?,
    };
    if !body::is_of(call.request, "application/json") {
        return Err(Problem::BadRequest("the body is not application/json"));
    }
    let json = body::read(call.request, &mut call.body, LARGEST).await?;
    if !is_object(&json) {
        return Err(Problem::BadRequest("the body is not a JSON object"));
    }
    let previous = call.cookies.session.take().map(|cookie| cookie.ticket);
    let credentials = Credentials { json, sender: sender(&call), step: next.map(|next| next.cookies) };
    match call.site.auth.log_in(provider.name(), credentials, previous).await {
        Ok(session) => {
            binding::tie(&call.binding, session.ticket());
            Ok(session::shown_to(&call, &session))
        }
        Err(LogInFailure::Provider(LogInError::Refused(refusal))) => Ok(refused(&call, &refusal)),
        Err(LogInFailure::Provider(LogInError::Unfinished(unfinished))) => Ok(to_go_on(&call, provider, &unfinished)),
        // Trying again would not help, as it would in an outage.
        Err(LogInFailure::Provider(LogInError::Unusable(_))) => Err(Problem::LoginUnusable),
        Err(LogInFailure::Provider(_)) => Err(Problem::ProviderUnavailable(2)),
        Err(LogInFailure::Store(error)) => Err(error.into()),
    }
}

/// Sends a browser that navigates to the login to the page with the form, which learns from the query where it goes on.
pub(super) fn go_to_page(call: &Call<'_>, provider: &Provider, return_to: &ReturnTo) -> Result<HttpResponse, Problem> {
    let Some(page) = provider.login_page() else {
        return Err(Problem::BadRequest("this login is a form of the app itself; open the app and log in there"));
    };
    // Of a router that works with the fragment, the query is the fragment's.
    let place = page.rsplit_once('#').map_or(page, |(_, fragment)| fragment);
    let mark = if place.contains('?') { '&' } else { '?' };
    let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    let mut location = format!("{}{page}{mark}return_to={}", call.site.auth.site().origin, encoded(return_to.as_str()));
    // As it stands, the form's own request goes to the first.
    if !std::ptr::eq(chosen(call.site, None)?, provider) {
        location.push_str(&format!("&provider={}", encoded(provider.name())));
    }
    Ok(login::see_other(&location).finish())
}

/// The provider of that name, or the first that takes credentials.
fn chosen<'s>(site: &'s Site, name: Option<&str>) -> Result<&'s Provider, Problem> {
    let providers = site.auth.providers();
    match name {
        None => providers.iter().find(|provider| provider.takes_credentials()).ok_or(Problem::Method("GET".into())),
        Some(name) => match providers.iter().find(|provider| provider.name() == name) {
            Some(provider) if provider.takes_credentials() => Ok(provider),
            Some(_) => Err(Problem::BadRequest("this provider has a login page of its own: navigate to login_url")),
            None => Err(Problem::BadRequest("this site has no such provider")),
        },
    }
}

/// One JSON object (RFC 8259) and nothing after it; looked through without a copy of what is in it.
fn is_object(body: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(body) else { return false };
    text.trim_ascii_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn sender(call: &Call<'_>) -> Sender {
    let said = |name| request::one(call.request.headers(), name).filter(|value| !value.is_empty()).map(<[u8]>::to_vec);
    Sender {
        address: call.client,
        request_id: call.id.as_str().to_owned(),
        user_agent: said("user-agent"),
        languages: said("accept-language"),
    }
}

/// What the API wants next, in its own words, and where the page sends that.
fn to_go_on(call: &Call<'_>, provider: &Provider, unfinished: &Unfinished) -> HttpResponse {
    let sealed = call.site.auth.seal_next_step(provider, &unfinished.cookies);
    let body = json!({
        "authenticated": false, "reason": "step", "answer": unfinished.answer,
        "login_url": format!("{}?step={sealed}", call.site.login_url),
    });
    let mut answer = HttpResponse::Ok();
    super::close_to_browsers(&mut answer);
    answer.insert_header(("x-request-id", call.id.as_str()));
    answer.insert_header((header::CONTENT_TYPE, "application/json"));
    answer.body(body.to_string())
}

/// The API's refusal: its status, its words, and nothing else of its answer.
fn refused(call: &Call<'_>, refusal: &Refusal) -> HttpResponse {
    let status = StatusCode::from_u16(refusal.status).expect("a refusal is a client error");
    let mut answer = HttpResponse::build(status);
    super::close_to_browsers(&mut answer);
    answer.insert_header(("x-request-id", call.id.as_str()));
    answer.insert_header((header::CONTENT_TYPE, "application/json"));
    if status == StatusCode::UNAUTHORIZED {
        // RFC 9110 §15.5.2
        let realm = call.site.auth.site().origin.as_str();
        answer.insert_header((header::WWW_AUTHENTICATE, format!("Session realm=\"{realm}\"")));
    }
    if let Some(seconds) = refusal.retry_after {
        answer.insert_header((header::RETRY_AFTER, seconds));
    }
    answer.body(refusal.body.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_one_json_object() {
        for text in [r#"{}"#, "\n {\"email\":\"a\",\"password\":\"\\u00e4\"} ", r#"{"a":{"b":[1,null]}}"#] {
            assert!(is_object(text.as_bytes()), "{text}");
        }
        for text in ["", "[]", "\"{}\"", "{", "{}{}", "{} x", "{'a':1}", "email=a&password=b", "null"] {
            assert!(!is_object(text.as_bytes()), "{text}");
        }
        assert!(!is_object(b"{\"a\":\"\xff\"}"));
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
        assert!(is_object(deep.as_bytes()), "depth takes no stack here; what it means is the API's business");
    }
}
