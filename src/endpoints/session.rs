//! `GET /bff/session` and `POST /bff/session/extend`: what a page may know of its session.

use std::time::Duration;

use actix_web::HttpResponse;
use serde::Serialize;
use serde_json::{Map, Value};

use super::bff::Call;
use super::problem::Problem;
use super::{api, binding, request};
use crate::auth::{CurrentError, Session, SessionView, Why};
use crate::guard::same_origin;

/// The body of both, the fields in the contract's order; times in seconds.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Body<'a> {
    Authenticated {
        authenticated: bool,
        user: Map<String, Value>,
        provider: String,
        pin: String,
        idle_expires_in: u64,
        absolute_expires_in: u64,
        login_url: &'a str,
        logout_url: &'a str,
    },
    Anonymous {
        authenticated: bool,
        reason: &'static str,
        login_url: &'a str,
    },
}

/// Shows the session without extending it; having none is an answer, not an error.
pub(super) async fn show(call: Call<'_>) -> Result<HttpResponse, Problem> {
    same_origin(&call)?;
    match current_under_current_key(&call).await {
        Ok(session) => Ok(shown(&call, &session)),
        Err(CurrentError::Absent(why)) => Ok(respond(&Body::Anonymous {
            authenticated: false,
            reason: why.as_str(),
            login_url: &call.site.login_url,
        })),
        Err(CurrentError::Store(error)) => Err(error.into()),
    }
}

/// Counts as activity.
pub(super) async fn extend(call: Call<'_>) -> Result<HttpResponse, Problem> {
    same_origin(&call)?;
    let current = current_under_current_key(&call).await;
    if let (Err(CurrentError::Store(_)), Some(cookie)) = (&current, &call.cookies.session) {
        call.site.auth.touch_unseen(&cookie.ticket);
    }
    let mut session = current?;
    api::check_pin(call.site, call.request, &session)?;
    call.site.auth.extend(&*call.site.shared.store, &mut session).await?;
    Ok(shown(&call, &session))
}

/// The proof of same origin that the session endpoints demand.
pub(super) fn same_origin(call: &Call<'_>) -> Result<(), Problem> {
    let site = call.site.auth.site();
    let words = request::words(call.request);
    same_origin::check(&words, &site.origin, site.csrf).map_err(|error| Problem::CrossSite(error.0))?;
    same_origin::check_destination(&words).map_err(|error| Problem::CrossSite(error.0))
}

async fn current_under_current_key(call: &Call<'_>) -> Result<Session, CurrentError> {
    let cookie = call.cookies.session.as_ref().ok_or(CurrentError::Absent(Why::NoSession))?;
    let store = &*call.site.shared.store;
    let mut session = call.site.auth.current(store, cookie.ticket.clone()).await?;
    call.site.auth.renew_seal(store, &mut session).await?;
    Ok(session)
}

fn shown(call: &Call<'_>, session: &Session) -> HttpResponse {
    // A cookie under an older key is sealed again here, while its session lives.
    if let Some(cookie) = &call.cookies.session
        && !cookie.opened.current
    {
        binding::tie(&call.binding, &cookie.ticket);
    }
    shown_to(call, session)
}

/// What the page may know of `session`.
pub(super) fn shown_to(call: &Call<'_>, session: &Session) -> HttpResponse {
    respond(&Body::of(call.site.auth.view(session), &call.site.login_url, &call.site.logout_url))
}

impl<'a> Body<'a> {
    /// The body for a session.
    pub(super) fn of(view: SessionView, login_url: &'a str, logout_url: &'a str) -> Self {
        Self::Authenticated {
            authenticated: true,
            user: view.user,
            provider: view.provider,
            pin: view.pin,
            idle_expires_in: seconds(view.idle_left),
            absolute_expires_in: seconds(view.absolute_left),
            login_url,
            logout_url,
        }
    }
}

/// Whole seconds, rounded down: a page that waits for them never waits too long.
pub(super) const fn seconds(left: Duration) -> u64 {
    left.as_secs()
}

fn respond(body: &Body<'_>) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    super::close_to_browsers(&mut answer);
    answer.json(body)
}
