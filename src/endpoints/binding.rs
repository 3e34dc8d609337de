//! Ties the session cookie to the session: actix-session over a storage of our own, our raw-cookie guard in front of it.
//!
//! actix-session seals, sets and deletes the cookie, and carries the ticket to the handlers. It is not trusted with more:
//! its storage stores nothing, since a session changed by read-modify-write of a whole map loses rotated tokens, and one
//! written by a late request brings back what a logout ended. The guard reads the cookie as raw bytes, opens it with any
//! key of the ring, and hands it on under the key that seals now; on the way out it puts the key's id in front.

use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use actix_session::config::CookieContentSecurity;
use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use actix_session::{SessionExt as _, SessionMiddleware};
use actix_web::cookie::time::Duration;
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform as _, fn_service};
use actix_web::http::header::{COOKIE, HeaderValue, SET_COOKIE};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use futures_util::future::LocalBoxFuture;
use percent_encoding::percent_decode_str;

use super::bff::{self, Call};
use super::cookies::{BrowserCookies, CookieNames, same_site};
use super::{Site, door};
use crate::session::keyring::Keyring;
use crate::session::ticket::Ticket;
use crate::telemetry::RequestId;

/// The one entry of actix-session's state.
const TICKET: &str = "ticket";

type Endpoints = dyn Fn(ServiceRequest) -> LocalBoxFuture<'static, Result<ServiceResponse, actix_web::Error>>;

/// Who makes a request, and what it is called in logs.
pub(super) struct Caller {
    /// The browser's address.
    pub(super) client: IpAddr,
    /// The request's id.
    pub(super) id: RequestId,
}

/// One site's own endpoints behind its session cookie.
pub(super) struct BoundEndpoints {
    site: Rc<Site>,
    endpoints: Box<Endpoints>,
}

impl BoundEndpoints {
    pub(super) fn new(site: Rc<Site>) -> Self {
        let inner = Rc::clone(&site);
        let handlers = fn_service(move |request| handle(Rc::clone(&inner), request));
        let middleware = SessionMiddleware::builder(TicketStorage, site.auth.ring().session_cookie_key().clone())
            .cookie_name(site.names.session.clone())
            .cookie_secure(site.names.secure)
            .cookie_http_only(true)
            .cookie_same_site(same_site(site.auth.site()))
            .cookie_path("/".into())
            .cookie_content_security(CookieContentSecurity::Private)
            .build();
        let bound = middleware.new_transform(handlers).into_inner();
        let bound = bound.expect("actix-session wraps without failing");
        Self { site, endpoints: Box::new(move |request| Box::pin(bound.call(request))) }
    }

    /// Answers a request whose path is under the base path.
    pub(super) async fn answer(&self, request: HttpRequest, payload: Payload, caller: Caller) -> ServiceResponse {
        let (names, ring) = (&self.site.names, self.site.auth.ring());
        let mut request = ServiceRequest::from_parts(request, payload);
        let cookies = BrowserCookies::read(request.headers(), names, ring);
        hand_on(&mut request, &cookies, names, ring);
        request.extensions_mut().insert(cookies);
        request.extensions_mut().insert(caller);
        let asked = request.request().clone();
        match (self.endpoints)(request).await {
            Ok(mut response) => {
                seal_outgoing(response.response_mut(), names, ring);
                response
            }
            // Only our own storage could fail, and it does so for a state that no handler writes.
            Err(error) => ServiceResponse::from_err(error, asked),
        }
    }
}

/// Leaves the session's cookie alone in the request, as actix-session reads it, or none.
fn hand_on(request: &mut ServiceRequest, cookies: &BrowserCookies, names: &CookieNames, ring: &Keyring) {
    let session = cookies.session.as_ref();
    let readable = session.and_then(|cookie| ring.to_jar(&names.session, &cookie.opened, &cookie.sealed));
    let headers = request.headers_mut();
    headers.remove(COOKIE);
    if let Some(value) = readable
        && let Ok(value) = HeaderValue::from_str(&format!("{}={value}", names.session))
    {
        headers.insert(COOKIE, value);
    }
}

/// Puts the key's id in front of a session cookie that actix-session set.
fn seal_outgoing(response: &mut HttpResponse, names: &CookieNames, ring: &Keyring) {
    let own = format!("{}=", names.session);
    let outgoing: Vec<HeaderValue> = response.headers().get_all(SET_COOKIE).cloned().collect();
    if outgoing.is_empty() {
        return;
    }
    response.headers_mut().remove(SET_COOKIE);
    for cookie in outgoing {
        let resealed = cookie.to_str().ok().and_then(|text| resealed(text.strip_prefix(&own)?, &own, ring));
        response.headers_mut().append(SET_COOKIE, resealed.unwrap_or(cookie));
    }
}

fn resealed(cookie: &str, own: &str, ring: &Keyring) -> Option<HeaderValue> {
    let (value, attributes) = cookie.split_once(';')?;
    let jar = percent_decode_str(value).decode_utf8().ok().filter(|value| !value.is_empty())?;
    HeaderValue::from_str(&format!("{own}{};{attributes}", ring.from_jar(&jar)?)).ok()
}

async fn handle(site: Rc<Site>, request: ServiceRequest) -> Result<ServiceResponse, actix_web::Error> {
    let (request, body) = request.into_parts();
    let cookies = request.extensions_mut().remove::<BrowserCookies>().unwrap_or_default();
    let Caller { client, id } =
        request.extensions_mut().remove::<Caller>().expect("the endpoints are reached through `answer` alone");
    let base = site.auth.site().base_path.len();
    let path = request.uri().path().get(base..).unwrap_or_default();
    let binding = request.get_session();
    let call = Call { site: &site, request: &request, cookies, client, id: id.clone(), binding, body };
    let response = match bff::answer(path, call).await {
        Ok(response) => response,
        Err(problem) => problem.respond(&door::asker(&request, &id, Some(&site))),
    };
    Ok(ServiceResponse::new(request, response))
}

/// Ties the browser to the session of `ticket`, with a cookie sealed anew.
pub(super) fn tie(binding: &actix_session::Session, ticket: &Ticket) {
    binding.renew();
    // Plain text always becomes JSON; the error type only says that it might not.
    if let Err(error) = binding.insert(TICKET, ticket.encode().as_str()) {
        tracing::error!(event = "cookie_not_set", %error);
    }
}

/// The storage behind actix-session: the ticket itself is the key, and there is nothing else to keep.
struct TicketStorage;

impl SessionStore for TicketStorage {
    async fn load(&self, key: &SessionKey) -> Result<Option<HashMap<String, String>>, LoadError> {
        let ticket = serde_json::to_string(key.as_ref()).map_err(|error| LoadError::Deserialization(error.into()))?;
        Ok(Some(HashMap::from([(TICKET.to_owned(), ticket)])))
    }

    async fn save(&self, state: HashMap<String, String>, _: &Duration) -> Result<SessionKey, SaveError> {
        let ticket = state.get(TICKET).ok_or_else(|| SaveError::Other(anyhow::anyhow!("there is no ticket")))?;
        let ticket: String = serde_json::from_str(ticket).map_err(|error| SaveError::Serialization(error.into()))?;
        ticket.try_into().map_err(|_| SaveError::Other(anyhow::anyhow!("the ticket is too long")))
    }

    /// Never called: a session that is tied is tied anew, not changed.
    async fn update(&self, _: SessionKey, _: HashMap<String, String>, _: &Duration) -> Result<SessionKey, UpdateError> {
        Err(UpdateError::Other(anyhow::anyhow!("a ticket does not change")))
    }

    async fn update_ttl(&self, _: &SessionKey, _: &Duration) -> Result<(), anyhow::Error> {
        Ok(())
    }

    /// The session itself was ended by the use case that asked for this.
    async fn delete(&self, _: &SessionKey) -> Result<(), anyhow::Error> {
        Ok(())
    }
}
