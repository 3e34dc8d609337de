//! A proxied call: same origin, session, pin, token, and on to the upstream.

use std::borrow::Cow;
use std::rc::Rc;

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use super::cookies::{only_session, open_ticket};
use super::known::Known;
use super::problem::Problem;
use super::request::Incoming;
use super::{Site, close_to_browsers, request, streams};
use crate::auth::{CurrentError, Session, TokenError, Why};
use crate::config::{Access, EncodedSlash};
use crate::guard::same_origin::{self, SameOrigin};
use crate::proxy::forward::{Forward, Pass, ends_here, forward};
use crate::proxy::route::Route;
use crate::proxy::tunnel;
use crate::secret::AccessToken;

/// Calls the route's upstream.
pub(super) async fn call(site: &Site, route: &Route, incoming: Incoming<'_>) -> Result<HttpResponse, Problem> {
    let request = incoming.request;
    if incoming.path.has_encoded_slash() && route.config.encoded_slash == EncodedSlash::Refuse {
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
    if ends_here(request) {
        let mut answer = HttpResponse::NoContent();
        close_to_browsers(&mut answer);
        return Ok(answer.insert_header((header::ALLOW, route.allow_header())).finish());
    }
    let renew = async || {
        let Sent { known, session, newer } = sent.as_ref()?;
        let refused = newer.as_ref().unwrap_or_else(|| session.own_token());
        let newer = site.auth.newer_token(&*site.shared.store, session, refused).await?;
        known.bearer(newer.expose(), session.dpop_key(), site.auth.clock())
    };
    let session = sent.as_ref().map(|sent| &sent.session);
    let Incoming { payload, path, client, id, .. } = incoming;
    let origin = &site.auth.site().origin;
    let forwarded = Forward { request, payload, path, route, origin, client, request_id: id.as_str(), pass };
    if websocket {
        let hooks = streams::hooks(site, session)?;
        // In a box, so that calls, which are many, need not have room for what tunnels do.
        return Ok(Box::pin(tunnel::tunnel(&site.shared.clients, forwarded, renew, hooks)).await?);
    }
    let response = forward(&site.shared.clients, forwarded, renew).await?;
    streams::until_over(site, session, request, response)
}

/// The session that a request goes on with, and the token it takes along if that is not the session's own.
struct Sent {
    known: Rc<Known>,
    session: Session,
    newer: Option<AccessToken>,
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
    let (known, session) = match current(site, request, route.config.sensitive).await {
        Ok(found) => found,
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
    let bearer = known.bearer(token.expose(), session.dpop_key(), site.auth.clock());
    let bearer = bearer.ok_or(Problem::BadRequest("the access token cannot be sent in a header"))?;
    let newer = if let Cow::Owned(newer) = token { Some(newer) } else { None };
    Ok((Pass::Session(proof, Some(bearer)), Some(Sent { known, session, newer })))
}

/// The session, which this request keeps alive unless it is background work or made for another user.
async fn current(site: &Site, request: &HttpRequest, sensitive: bool) -> Result<(Rc<Known>, Session), Problem> {
    let (store, now) = (&*site.shared.store, site.auth.clock().instant());
    let known = only_session(request.headers(), &site.names).and_then(|sealed| {
        site.known.find(sealed, now, || {
            open_ticket(sealed, &site.names, site.auth.ring()).map(|ticket| site.auth.holder(ticket))
        })
    });
    let known = known.ok_or(Problem::Absent(Why::NoSession))?;
    let background = request.headers().get_all("x-bff-background").any(is_one);
    let current = site.auth.current_of(store, &known.holder, sensitive).await;
    match &current {
        Err(CurrentError::Absent(_)) => site.known.forget(&known),
        Err(CurrentError::Store(_)) if !background => site.auth.touch_unseen(known.holder.ticket()),
        Err(CurrentError::Store(_)) | Ok(_) => {}
    }
    let mut session = current?;
    site.known.weigh(&known, now);
    check_pin(site, request, &session)?;
    site.limits.admit_session(session.key())?;
    if !background {
        site.auth.touch(store, &mut session).await?;
    }
    Ok((known, session))
}

/// Whether a header says 1, if need be among others: scripts that set it one after another make a list of it.
fn is_one(value: &HeaderValue) -> bool {
    value.as_bytes().split(|byte| *byte == b',').any(|token| token.trim_ascii() == b"1")
}

/// Refuses a request that was made while another user was logged in.
pub(super) fn check_pin(site: &Site, request: &HttpRequest, session: &Session) -> Result<(), Problem> {
    match request::one(request.headers(), "x-bff-pin") {
        Some(pin) if !site.auth.is_pin_of(pin, session) => Err(Problem::IdentityChanged),
        _ => Ok(()),
    }
}
