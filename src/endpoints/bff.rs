//! The table of our own paths, one short handler each. Anything else under the base path is 404.

use std::net::IpAddr;

use actix_session::Session as Binding;
use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse};

use super::cookies::BrowserCookies;
use super::problem::Problem;
use super::{Site, backchannel, callback, client_js, events, form_post, frontchannel, login, logout, relay, session};
use crate::telemetry::RequestId;

/// One request to one of our own endpoints.
pub(super) struct Call<'a> {
    pub(super) site: &'a Site,
    pub(super) request: &'a HttpRequest,
    /// What the browser's cookies said, before actix-session saw the session's.
    pub(super) cookies: BrowserCookies,
    /// The browser's address.
    pub(super) client: IpAddr,
    /// The request's id.
    pub(super) id: RequestId,
    /// The cookie's tie to the session: written at login and logout, and to seal it again; nowhere else.
    pub(super) binding: Binding,
    /// The body, of which nothing has been read.
    pub(super) body: Payload,
}

/// What one of our own paths does when it is asked by one method.
struct Endpoint {
    path: &'static str,
    method: Method,
    act: Act,
    /// Whether a site has it at all, at the redirect URI of the provider of that name where it is about one.
    offered: fn(&Site, Option<&str>) -> bool,
}

#[derive(Clone, Copy)]
enum Act {
    StartLogin,
    LogIn,
    CompleteLogin,
    SendAnswerOn,
    ShowSession,
    ExtendSession,
    LogOut,
    LandFromLogout,
    EndForProvider,
    EndInFrame,
    OpenEvents,
    ServeClient,
}

const fn endpoint(path: &'static str, method: Method, act: Act) -> Endpoint {
    offered(path, method, act, |_, _| true)
}

const fn offered(path: &'static str, method: Method, act: Act, offered: fn(&Site, Option<&str>) -> bool) -> Endpoint {
    Endpoint { path, method, act, offered }
}

/// Contract section 3. The methods of a path stand in the order in which `Allow` names them.
static ENDPOINTS: [Endpoint; 15] = [
    endpoint("/login", Method::GET, Act::StartLogin),
    offered("/login", Method::POST, Act::LogIn, |site, _| relay::is_possible(site)),
    offered(CALLBACK, Method::GET, Act::CompleteLogin, is_redirect_uri),
    offered(CALLBACK, Method::POST, Act::SendAnswerOn, |site, at| site.auth.takes_posted_answers(at)),
    endpoint("/session", Method::GET, Act::ShowSession),
    endpoint("/session", Method::HEAD, Act::ShowSession),
    endpoint("/session/extend", Method::POST, Act::ExtendSession),
    endpoint("/logout", Method::POST, Act::LogOut),
    endpoint("/logout/callback", Method::GET, Act::LandFromLogout),
    endpoint("/backchannel-logout", Method::POST, Act::EndForProvider),
    offered("/frontchannel-logout", Method::GET, Act::EndInFrame, |site, _| site.auth.takes_front_channel_logout()),
    endpoint("/events", Method::GET, Act::OpenEvents),
    endpoint("/events", Method::HEAD, Act::OpenEvents),
    endpoint("/client.js", Method::GET, Act::ServeClient),
    endpoint("/client.js", Method::HEAD, Act::ServeClient),
];

const CALLBACK: &str = "/callback";

/// Whether answers come to the shared redirect URI, or to the one that ends with that name.
fn is_redirect_uri(site: &Site, at: Option<&str>) -> bool {
    at.is_none_or(|name| site.auth.site().own_callback(name).is_some())
}

/// Answers; `path` is what follows the base path.
pub(super) async fn answer(path: &str, call: Call<'_>) -> Result<HttpResponse, Problem> {
    // A redirect URI of one provider's own is the shared one with its name behind it.
    let own = path.strip_prefix(CALLBACK).and_then(|rest| rest.strip_prefix('/'));
    let path = if own.is_some() { CALLBACK } else { path };
    let here = || ENDPOINTS.iter().filter(|known| known.path == path && (known.offered)(call.site, own));
    if let Some(act) = here().find(|known| known.method == *call.request.method()).map(|known| known.act) {
        return perform(act, call, own).await;
    }
    let allowed: Vec<&str> = here().map(|known| known.method.as_str()).collect();
    if allowed.is_empty() { Err(Problem::NoRoute) } else { Err(Problem::Method(allowed.join(", "))) }
}

async fn perform(act: Act, call: Call<'_>, own: Option<&str>) -> Result<HttpResponse, Problem> {
    match act {
        Act::StartLogin => login::start(&call).await,
        Act::LogIn => relay::log_in(call).await,
        Act::CompleteLogin => callback::complete(call, own).await,
        Act::SendAnswerOn => form_post::send_on(call, own).await,
        Act::ShowSession => session::show(call).await,
        Act::ExtendSession => session::extend(call).await,
        Act::LogOut => logout::end(call).await,
        Act::LandFromLogout => logout::after(&call).await,
        Act::EndForProvider => backchannel::end(call).await,
        Act::EndInFrame => frontchannel::end(&call).await,
        Act::OpenEvents => events::open(&call).await,
        Act::ServeClient => Ok(client_js::serve(call.request)),
    }
}
