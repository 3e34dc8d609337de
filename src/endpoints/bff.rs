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

/// Answers; `path` is what follows the base path.
pub(super) async fn answer(path: &str, call: Call<'_>) -> Result<HttpResponse, Problem> {
    match (path, call.request.method()) {
        ("/login", &Method::GET) => login::start(&call).await,
        ("/login", &Method::POST) if relay::is_possible(call.site) => relay::log_in(call).await,
        ("/callback", &Method::GET) => callback::complete(call, None).await,
        ("/callback", &Method::POST) if call.site.auth.takes_posted_answers(None) => {
            form_post::send_on(call, None).await
        }
        ("/session", &Method::GET | &Method::HEAD) => session::show(call).await,
        ("/session/extend", &Method::POST) => session::extend(call).await,
        ("/logout", &Method::POST) => logout::end(call).await,
        ("/logout/callback", &Method::GET) => logout::after(&call).await,
        ("/backchannel-logout", &Method::POST) => backchannel::end(call).await,
        ("/frontchannel-logout", &Method::GET) => frontchannel::end(&call).await,
        ("/events", &Method::GET | &Method::HEAD) => events::open(&call).await,
        ("/client.js", &Method::GET | &Method::HEAD) => Ok(client_js::serve(call.request)),
        ("/login", _) if relay::is_possible(call.site) => Err(Problem::Method("GET, POST".into())),
        ("/callback", _) if call.site.auth.takes_posted_answers(None) => Err(Problem::Method("GET, POST".into())),
        ("/login" | "/callback" | "/logout/callback", _) => Err(Problem::Method("GET".into())),
        ("/frontchannel-logout", _) if call.site.auth.takes_front_channel_logout() => {
            Err(Problem::Method("GET".into()))
        }
        ("/session" | "/events" | "/client.js", _) => Err(Problem::Method("GET, HEAD".into())),
        ("/session/extend" | "/logout" | "/backchannel-logout", _) => Err(Problem::Method("POST".into())),
        _ => match (path.strip_prefix("/callback/"), call.request.method()) {
            (Some(provider), &Method::GET) => callback::complete(call, Some(provider)).await,
            (Some(provider), &Method::POST) if call.site.auth.takes_posted_answers(Some(provider)) => {
                form_post::send_on(call, Some(provider)).await
            }
            (Some(provider), _) if call.site.auth.takes_posted_answers(Some(provider)) => {
                Err(Problem::Method("GET, POST".into()))
            }
            (Some(provider), _) if call.site.auth.site().own_callback(provider).is_some() => {
                Err(Problem::Method("GET".into()))
            }
            _ => Err(Problem::NoRoute),
        },
    }
}
