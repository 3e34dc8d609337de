//! A proxied call: same origin, session, pin, token, and on to the upstream.

use std::borrow::Cow;
use std::net::IpAddr;
use std::rc::Rc;

use actix_web::dev::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::cookies::{only_session, open_ticket};
use super::known::Known;
use super::problem::Problem;
use super::{Site, request};
use crate::auth::{CurrentError, Session, TokenError, Why};
use crate::config::{Access, EncodedSlash};
use crate::guard::path::RoutePath;
use crate::guard::same_origin;
use crate::proxy::forward::{Forward, Pass, forward};
use crate::proxy::route::Route;
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
    let (pass, sent) = match route.config.access {
        Access::None => (Pass::Public, None),
        Access::Required | Access::Optional => admit(site, route, request).await?,
    };
    let renew = async || {
        let Sent { known, session, newer } = sent.as_ref()?;
        let refused = newer.as_ref().unwrap_or_else(|| session.own_token());
        known.bearer(site.auth.newer_token(&*site.shared.store, session, refused).await?.expose())
    };
    let origin = &site.auth.site().origin;
    let forwarded = Forward { request, payload, path, route, origin, client, request_id: id.as_str(), pass };
    Ok(forward(&site.shared.clients, forwarded, renew).await?)
}

/// The session that a request goes on with, and the token it takes along if that is not the session's own.
struct Sent {
    known: Rc<Known>,
    session: Session,
    newer: Option<AccessToken>,
}

async fn admit(site: &Site, route: &Route, request: &HttpRequest) -> Result<(Pass, Option<Sent>), Problem> {
    let words = request::words(request);
    let config = site.auth.site();
    let proof = same_origin::check(&words, &config.origin, config.csrf).map_err(|error| Problem::CrossSite(error.0))?;
    same_origin::check_destination(&words).map_err(|error| Problem::CrossSite(error.0))?;
    let (known, session) = match current(site, request, route.config.sensitive).await {
        Ok(found) => found,
        Err(CurrentError::Absent(_)) if route.config.access == Access::Optional => {
            return Ok((Pass::Session(proof, None), None));
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(pin) = request::one(request.headers(), "x-bff-pin")
        && !site.auth.is_pin_of(pin, &session)
    {
        return Err(Problem::IdentityChanged);
    }
    let token = match site.auth.access_token(&session).await {
        Ok(token) => token,
        Err(TokenError::Ended(_)) if route.config.access == Access::Optional => {
            return Ok((Pass::Session(proof, None), None));
        }
        Err(error) => return Err(error.into()),
    };
    let bearer = known.bearer(token.expose());
    let bearer = bearer.ok_or(Problem::BadRequest("the access token cannot be sent in a header"))?;
    let newer = if let Cow::Owned(newer) = token { Some(newer) } else { None };
    Ok((Pass::Session(proof, Some(bearer)), Some(Sent { known, session, newer })))
}

async fn current(site: &Site, request: &HttpRequest, sensitive: bool) -> Result<(Rc<Known>, Session), CurrentError> {
    let (store, now) = (&*site.shared.store, site.auth.clock().instant());
    let known = only_session(request.headers(), &site.names).and_then(|sealed| {
        site.known.find(sealed, now, || {
            open_ticket(sealed, &site.names, site.auth.ring()).map(|ticket| site.auth.holder(ticket))
        })
    });
    let known = known.ok_or(CurrentError::Absent(Why::NoSession))?;
    let current = site.auth.current_of(store, &known.holder, sensitive).await;
    if matches!(current, Err(CurrentError::Absent(_))) {
        site.known.forget(&known);
    }
    let mut session = current?;
    site.known.weigh(&known, now);
    if request::one(request.headers(), "x-bff-background") != Some(b"1") {
        site.auth.touch(store, &mut session).await?;
    }
    Ok((known, session))
}
