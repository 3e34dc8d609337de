//! A proxied call: same origin, session, pin, token, and on to the upstream.

use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::http::header::HeaderValue;
use actix_web::{HttpRequest, HttpResponse};

use super::cookies::BrowserCookies;
use super::problem::Problem;
use super::{Site, request, streams};
use crate::auth::{Session, TokenError, Why};
use crate::config::{Access, EncodedSlash};
use crate::guard::path::RoutePath;
use crate::guard::same_origin::{self, SameOrigin};
use crate::proxy::forward::{Forward, Pass, forward};
use crate::proxy::route::Route;
use crate::proxy::tunnel;
use crate::secret::AccessToken;
use crate::telemetry::RequestId;

/// Calls the route's upstream.
pub(super) async fn call(
    site: &Site,
    route: &Route,
    request: &HttpRequest,
    payload: Payload,
    path: &RoutePath,
    client: IpAddr,
    id: &RequestId,
) -> Result<HttpResponse, Problem> {
    if path.has_encoded_slash() && route.config.encoded_slash == EncodedSlash::Refuse {
        return Err(Problem::BadPath("it holds an encoded slash"));
    }
    if !route.allows(request.method().as_str()) {
        return Err(Problem::Method(route.allow_header()));
    }
    let websocket = tunnel::is_asked(request);
    if websocket {
        tunnel::check(request, &route.config).map_err(Problem::BadRequest)?;
    }
    let (pass, sent) = match (route.config.access, websocket) {
        (Access::None, false) => (Pass::Public, None),
        // Browsers let any page open one, so it proves where it comes from on every route.
        (Access::None, true) => prove(site, request, websocket).map(|_| (Pass::Public, None))?,
        (_, _) => admit(site, route, request, prove(site, request, websocket)?).await?,
    };
    let renew = async || {
        let Sent { session, token } = sent.as_ref()?;
        bearer(&site.auth.newer_token(&*site.shared.store, session, token).await?).ok()
    };
    let (origin, session) = (&site.auth.site().origin, sent.as_ref().map(|sent| &sent.session));
    let forwarded = Forward { request, payload, path, route, origin, client, request_id: id.as_str(), pass };
    if websocket {
        let hooks = streams::hooks(site, session)?;
        return Ok(tunnel::tunnel(&site.shared.clients, forwarded, renew, hooks).await?);
    }
    let response = forward(&site.shared.clients, forwarded, renew).await?;
    streams::until_over(site, session, response)
}

/// The session that a request goes on with, and the token it takes along.
struct Sent {
    session: Session,
    token: AccessToken,
}

/// Proves where the request comes from.
pub(super) fn prove(site: &Site, request: &HttpRequest, websocket: bool) -> Result<SameOrigin, Problem> {
    let words = request::words(request);
    let config = site.auth.site();
    let proof = if websocket {
        same_origin::check_upgrade(&words, &config.origin)
    } else {
        same_origin::check(&words, &config.origin, config.csrf)
    };
    let proof = proof.map_err(|error| Problem::CrossSite(error.0))?;
    same_origin::check_destination(&words).map_err(|error| Problem::CrossSite(error.0))?;
    Ok(proof)
}

async fn admit(
    site: &Site,
    route: &Route,
    request: &HttpRequest,
    proof: SameOrigin,
) -> Result<(Pass, Option<Sent>), Problem> {
    let session = match current(site, request, route.config.sensitive).await {
        Ok(session) => session,
        Err(Problem::Absent(_)) if route.config.access == Access::Optional => {
            return Ok((Pass::Session(proof, None), None));
        }
        Err(problem) => return Err(problem),
    };
    if let Some(step) = site.auth.step_up(&session, &route.config.scopes) {
        return Err(Problem::InsufficientScope(format!("{}?step={step}", site.login_url)));
    }
    let token = match site.auth.access_token(&session).await {
        Ok(token) => token,
        Err(TokenError::Ended(_)) if route.config.access == Access::Optional => {
            return Ok((Pass::Session(proof, None), None));
        }
        Err(error) => return Err(error.into()),
    };
    let pass = Pass::Session(proof, Some(bearer(&token)?));
    Ok((pass, Some(Sent { session, token })))
}

fn bearer(token: &AccessToken) -> Result<HeaderValue, Problem> {
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
        .map_err(|_| Problem::BadRequest("the access token cannot be sent in a header"))?;
    bearer.set_sensitive(true);
    Ok(bearer)
}

/// The session, which this request keeps alive unless it is background work or made for another user.
async fn current(site: &Site, request: &HttpRequest, sensitive: bool) -> Result<Session, Problem> {
    let ticket = BrowserCookies::ticket(request.headers(), &site.names, site.auth.ring())
        .ok_or(Problem::Absent(Why::NoSession))?;
    let store = &*site.shared.store;
    let mut session =
        if sensitive { site.auth.current_now(store, ticket).await? } else { site.auth.current(store, ticket).await? };
    check_pin(site, request, &session)?;
    site.limits.admit_session(session.key())?;
    if request::one(request.headers(), "x-bff-background") != Some(b"1") {
        site.auth.touch(store, &mut session).await?;
    }
    Ok(session)
}

/// Refuses a request that was made while another user was logged in.
pub(super) fn check_pin(site: &Site, request: &HttpRequest, session: &Session) -> Result<(), Problem> {
    match request::one(request.headers(), "x-bff-pin") {
        Some(pin) if !site.auth.is_pin_of(pin, session) => Err(Problem::IdentityChanged),
        _ => Ok(()),
    }
}
