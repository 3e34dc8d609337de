//! `GET /bff/callback`: the browser comes back from the provider.

use actix_web::HttpResponse;
use actix_web::cookie::SameSite;

use super::bff::Call;
use super::problem::Problem;
use super::request::Query;
use super::{binding, door, login};
use crate::auth::{Arrival, CallbackError, Completed, CurrentError, LoginRequest, PendingLogin};
use crate::guard::return_to::ReturnTo;
use crate::provider::{Answer, LoginHints};

/// An attempt of this browser, with its cookie's name.
type Attempted = (String, PendingLogin);

/// Completes a login, or says why not; `at` is the end of the redirect URI that it came to, if it is one provider's own. The
/// login cookie and the state are checked before anything is asked of anybody.
pub(super) async fn complete(call: Call<'_>, at: Option<&str>) -> Result<HttpResponse, Problem> {
    let at = at.map(str::to_owned);
    login::navigation_only(call.request)?;
    let query = Query::of_answer(call.request.uri())?;
    let (answer, fresh) = match answer(&call, &query) {
        Ok(read) => read,
        // Whoever brings the state has had the provider's answer, and there is no other.
        Err(problem) => {
            let over = query.get("state").and_then(|state| attempt(&call, state));
            return Ok(refuse(&call, &problem, over.map(|(cookie, _)| cookie)));
        }
    };
    let state = answer.state().to_owned();
    let (cookie, pending) = match attempt(&call, &state) {
        Some(found) if fresh => found,
        found => return without_attempt(&call, &answer, at, found).await,
    };
    let again = call.site.auth.again(&pending);
    // A strict cookie stays away when another site sends the browser here.
    let previous = call.cookies.ticket().or_else(|| pending.previous().cloned());
    match call.site.auth.complete_login(pending, Arrival { answer, at }, previous.clone()).await {
        Ok(Completed { ticket, return_to }) => {
            binding::tie(&call.binding, &ticket);
            Ok(go(&call, &return_to, Some(cookie)))
        }
        Err(CallbackError::SilentRefused(return_to)) => Ok(go(&call, &return_to, Some(cookie))),
        Err(CallbackError::Consumed) => match &previous {
            Some(ticket) if is_live(&call, ticket.clone()).await? => {
                Ok(go(&call, &ReturnTo::front_page(), Some(cookie)))
            }
            _ => restart(&call, &state, LoginRequest { previous, ..again }, Some(cookie)).await,
        },
        // The state was not used up: the same callback works when the store is back.
        Err(CallbackError::Store(error)) => Err(error.into()),
        Err(error) => Ok(refuse(&call, &failed(&call, &error), Some(cookie))),
    }
}

/// The answer in the query, or the one that was posted a moment ago and comes back sealed; and whether it may still be used.
fn answer(call: &Call<'_>, query: &Query) -> Result<(Answer, bool), Problem> {
    let is_posted = query.get("state").or(query.get("response")).is_none();
    let Some(sealed) = query.get("answer").filter(|_| is_posted) else {
        return Ok((Answer::read(false, |name| query.get(name)).map_err(Problem::BadRequest)?, true));
    };
    let opened = call.site.auth.open_posted(sealed);
    let (posted, fresh) = opened.ok_or(Problem::BadRequest("the answer was not posted to this site"))?;
    Ok((Answer::read(true, |name| posted.get(name)).map_err(Problem::BadRequest)?, fresh))
}

/// The attempt of this browser that `state` belongs to.
fn attempt(call: &Call<'_>, state: &str) -> Option<Attempted> {
    let name = format!("{}{}", call.site.names.login_prefix, PendingLogin::suffix_of(state)?);
    let pending = call.site.auth.open_login(&name, call.cookies.login(&name)?)?;
    pending.has_state(state).then_some((name, pending))
}

/// A callback that this browser has no attempt for, or `late` for the one it has: a reload, a second tab, a lost cookie, or
/// a forgery. None of them may reach the provider with this answer.
async fn without_attempt(
    call: &Call<'_>,
    answer: &Answer,
    at: Option<String>,
    late: Option<Attempted>,
) -> Result<HttpResponse, Problem> {
    tracing::info!(event = "callback_without_attempt", site = %call.site.auth.site().origin);
    let (cookie, again) = late.map(|(cookie, pending)| (cookie, call.site.auth.again(&pending))).unzip();
    if let Some(ticket) = call.cookies.ticket()
        && is_live(call, ticket).await?
    {
        return Ok(go(call, &ReturnTo::front_page(), cookie));
    }
    if let Some(error) = answer.error() {
        return Ok(refuse(call, &failed(call, &CallbackError::Refused(error.to_owned())), cookie));
    }
    let anew = || LoginRequest {
        provider: at,
        return_to: ReturnTo::front_page(),
        hints: LoginHints::default(),
        restart: true,
        previous: call.cookies.ticket(),
    };
    restart(call, answer.state(), again.unwrap_or_else(anew), cookie).await
}

/// Starts the login once more, but only once: the new state is marked, which tells a browser that keeps no cookies, and so
/// is the attempt in its cookie, which tells a provider that answers with a state of nobody's. With the refusal those end
/// as well: they say nothing about the next login.
async fn restart(
    call: &Call<'_>,
    state: &str,
    again: LoginRequest,
    cookie: Option<String>,
) -> Result<HttpResponse, Problem> {
    let open = |(name, sealed): &(String, String)| Some((name.clone(), call.site.auth.open_login(name, sealed)?));
    let attempts = call.cookies.logins.iter().filter_map(open);
    let restarts: Vec<String> = attempts.filter(|(_, attempt)| attempt.is_restart()).map(|(name, _)| name).collect();
    if PendingLogin::was_restarted(state) || !restarts.is_empty() {
        let problem = Problem::LoginFailed(
            "The login could not be tied to this browser. Allow cookies for this site, and finish the login within ten \
             minutes and in the same browser."
                .into(),
        );
        let others = cookie.filter(|own| !restarts.contains(own));
        return Ok(refuse(call, &problem, restarts.into_iter().chain(others)));
    }
    match login::begin(call, again).await {
        Ok(mut response) => {
            forget(call, &mut response, cookie);
            Ok(response)
        }
        // The same callback starts the login when the provider is back.
        Err(problem @ Problem::ProviderUnavailable(_)) => Err(problem),
        Err(problem) => Ok(refuse(call, &problem, cookie)),
    }
}

async fn is_live(call: &Call<'_>, ticket: crate::session::ticket::Ticket) -> Result<bool, Problem> {
    match call.site.auth.current(&*call.site.shared.store, ticket).await {
        Ok(_) => Ok(true),
        Err(CurrentError::Absent(_)) => Ok(false),
        Err(CurrentError::Store(error)) => Err(error.into()),
    }
}

fn failed(call: &Call<'_>, error: &CallbackError) -> Problem {
    tracing::warn!(event = "login_failed", site = %call.site.auth.site().origin, %error);
    match error {
        CallbackError::Refused(code) => {
            Problem::LoginFailed(format!("The login service refused it and gives the reason “{code}”."))
        }
        CallbackError::CodeRefused(code) => Problem::LoginFailed(format!(
            "The login service let you in, and then refused to complete it with the reason “{code}”: its code may be used up or \
             too old. Please try again."
        )),
        CallbackError::Unidentified(reason) => Problem::LoginFailed(format!(
            "The login service let you in, and then did not say who you are. Its user endpoint: {reason}. Please try again."
        )),
        CallbackError::ProviderUnavailable(_) | CallbackError::Misconfigured(_) => Problem::ProviderUnavailable(2),
        CallbackError::Busy(time) => Problem::provider_unavailable(*time),
        CallbackError::Store(_) => Problem::StoreUnavailable,
        _ => Problem::LoginFailed("The login service's answer could not be accepted. Please try again.".into()),
    }
}

fn go(call: &Call<'_>, return_to: &ReturnTo, cookie: Option<String>) -> HttpResponse {
    let mut response = login::see_other(&return_to.on(&call.site.auth.site().origin)).finish();
    forget(call, &mut response, cookie);
    response
}

/// The answer to what is over, and so are the attempts in these cookies.
fn refuse(call: &Call<'_>, problem: &Problem, cookies: impl IntoIterator<Item = String>) -> HttpResponse {
    let mut response = problem.respond(&door::asker(call.request, &call.id, Some(call.site)));
    forget(call, &mut response, cookies);
    response
}

fn forget(call: &Call<'_>, response: &mut HttpResponse, cookies: impl IntoIterator<Item = String>) {
    for cookie in cookies {
        // The only error is a name that cannot be in a header, and this one came in one.
        if let Err(error) = response.add_cookie(&call.site.names.removal(cookie, SameSite::Lax)) {
            tracing::error!(event = "cookie_not_removed", %error);
        }
    }
}
