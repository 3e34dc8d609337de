//! Every error becomes a response here and nowhere else: `application/problem+json` (RFC 9457), or a small page for a navigation.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use serde::Serialize;

use super::page;
use crate::auth::{CurrentError, TokenError, TooManyStreams, Why};
use crate::proxy::forward::ForwardError;
use crate::session::store::StoreError;
use crate::telemetry::metrics;

/// The gateway's reason, by which its 401 is told from the upstream's.
pub(super) const REASON: HeaderName = HeaderName::from_static("x-bff-reason");

/// What went wrong, as the contract's section 4 lists it.
#[derive(Debug)]
pub(super) enum Problem {
    /// 400 `bad_request`, and what is wrong with it.
    BadRequest(&'static str),
    /// 400 `bad_request` at the end of a login that failed, and what the user should read.
    LoginFailed(String),
    /// 400 `bad_path`
    BadPath(&'static str),
    /// 400 `bad_return_to`
    BadReturnTo(&'static str),
    /// 401 with the session's reason.
    Absent(Why),
    /// 403 `cross_site`
    CrossSite(&'static str),
    /// 403 `insufficient_scope`, and the path of the login that gets the missing scopes.
    InsufficientScope(String),
    /// 404 `no_route`
    NoRoute,
    /// 405 `method`, with the methods that are allowed.
    Method(String),
    /// 409 `identity_changed`
    IdentityChanged,
    /// 413 `too_large`
    TooLarge,
    /// 421 `unknown_host`
    UnknownHost,
    /// 429 `too_many`, and in how many seconds the next request is due.
    TooMany(u64),
    /// 502 `upstream_unreachable`
    UpstreamUnreachable,
    /// 502 `upstream_unreachable`, since the API answers a login in a way that nobody can use.
    LoginUnusable,
    /// 503 `store_unavailable`
    StoreUnavailable,
    /// 503 `store_unavailable` to a logout, whose cookie goes all the same.
    LogoutPending,
    /// 503 `provider_unavailable`, and the seconds after which asking again may help.
    ProviderUnavailable(u64),
    /// 503 `overloaded`
    Overloaded,
    /// 504 `upstream_timeout`
    UpstreamTimeout,
}

/// What a problem's response needs to know of its request.
#[derive(Clone, Debug)]
pub(super) struct Asker<'a> {
    /// The request's id.
    pub(super) request_id: &'a str,
    /// Whether a person looks at the answer.
    pub(super) navigation: bool,
    /// The origin and login path of the site, if the request found one.
    pub(super) site: Option<(String, String)>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    reason: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    login_url: Option<&'a str>,
}

impl Problem {
    /// Status, reason and title.
    const fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request", "The request is malformed"),
            Self::LoginFailed(_) => (StatusCode::BAD_REQUEST, "bad_request", "The login was not completed"),
            Self::BadPath(_) => (StatusCode::BAD_REQUEST, "bad_path", "The path is ambiguous"),
            Self::BadReturnTo(_) => (StatusCode::BAD_REQUEST, "bad_return_to", "The return path is not of this site"),
            Self::Absent(why) => (StatusCode::UNAUTHORIZED, why.as_str(), "There is no session"),
            Self::CrossSite(_) => (StatusCode::FORBIDDEN, "cross_site", "The request does not come from this site"),
            Self::InsufficientScope(_) => (StatusCode::FORBIDDEN, "insufficient_scope", "More consent is needed"),
            Self::NoRoute => (StatusCode::NOT_FOUND, "no_route", "There is nothing here"),
            Self::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, "method", "The method is not allowed here"),
            Self::IdentityChanged => (StatusCode::CONFLICT, "identity_changed", "Another user is logged in now"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "The body is too large"),
            Self::UnknownHost => (StatusCode::MISDIRECTED_REQUEST, "unknown_host", "No site has this address"),
            Self::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "too_many", "Too many requests"),
            Self::UpstreamUnreachable => (StatusCode::BAD_GATEWAY, "upstream_unreachable", "The API cannot be reached"),
            Self::LoginUnusable => {
                (StatusCode::BAD_GATEWAY, "upstream_unreachable", "The login's answer cannot be used")
            }
            Self::StoreUnavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", "Sessions cannot be looked up right now")
            }
            Self::LogoutPending => {
                (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", "The logout is not complete yet")
            }
            Self::ProviderUnavailable(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable", "The login service cannot be reached")
            }
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded", "The API is busy"),
            Self::UpstreamTimeout => (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", "The API does not answer"),
        }
    }

    fn detail(&self) -> &str {
        match self {
            Self::BadRequest(what) | Self::BadPath(what) | Self::BadReturnTo(what) | Self::CrossSite(what) => what,
            Self::LoginFailed(what) => what,
            Self::Absent(Why::NoSession) => "Log in first.",
            Self::Absent(Why::Ended(_)) => "The session is over; log in again.",
            Self::InsufficientScope(_) => "Log in once more at login_url to grant what this needs.",
            Self::NoRoute => "No route, file or endpoint has this path.",
            Self::Method(_) => "The Allow header names the methods that are.",
            Self::IdentityChanged => "This page was made for another user; reload it.",
            Self::TooLarge => "It is larger than what is accepted here.",
            Self::UnknownHost => "The Host header names none of the configured origins.",
            Self::TooMany(_) => "The Retry-After header says when the next one is due.",
            Self::Overloaded => "As many calls run as the route allows; try again in a moment.",
            Self::UpstreamUnreachable | Self::UpstreamTimeout => "Nobody was logged out; try again in a moment.",
            Self::LoginUnusable => "The API did not answer as the gateway is configured; its operator must look.",
            Self::LogoutPending => {
                "This browser is logged out; the session itself ends as soon as sessions can be looked up again."
            }
            Self::StoreUnavailable | Self::ProviderUnavailable(_) => "Nobody was logged out; try again in a moment.",
        }
    }

    /// The answer.
    #[must_use]
    pub(super) fn respond(&self, asker: &Asker<'_>) -> HttpResponse {
        let (status, reason, title) = self.kind();
        metrics::PROBLEMS.with([reason]).add(1);
        tracing::debug!(event = "problem", status = status.as_u16(), reason, request_id = asker.request_id);
        let login_url = asker.site.as_ref().map(|(_, login)| login.as_str());
        let mut answer = HttpResponse::build(status);
        answer.insert_header((REASON, HeaderValue::from_static(reason)));
        answer.insert_header(("x-request-id", asker.request_id));
        match self {
            Self::Absent(_) => {
                let realm = asker.site.as_ref().map_or("", |(origin, _)| origin.as_str());
                answer.insert_header((header::WWW_AUTHENTICATE, format!("Session realm=\"{realm}\"")));
            }
            Self::Method(allowed) => {
                answer.insert_header((header::ALLOW, allowed.as_str()));
            }
            Self::TooMany(seconds) | Self::ProviderUnavailable(seconds) => {
                answer.insert_header((header::RETRY_AFTER, *seconds));
            }
            Self::StoreUnavailable | Self::LogoutPending | Self::Overloaded => {
                answer.insert_header((header::RETRY_AFTER, "2"));
            }
            _ => {}
        }
        if asker.navigation {
            let again = match self {
                Self::Absent(_) | Self::LoginFailed(_) => login_url.map(|path| ("Log in", path)),
                Self::ProviderUnavailable(_) => Some(("Try again", "")),
                Self::InsufficientScope(path) => Some(("Log in once more", path.as_str())),
                _ => None,
            };
            return page::respond(&mut answer, title, self.detail(), reason, asker.request_id, again);
        }
        let body = Body {
            r#type: format!("urn:cloakroom:problem:{reason}"),
            title,
            status: status.as_u16(),
            detail: self.detail(),
            reason,
            request_id: asker.request_id,
            login_url: match self {
                Self::InsufficientScope(path) => Some(path),
                _ => login_url.filter(|_| status == StatusCode::UNAUTHORIZED),
            },
        };
        let body = serde_json::to_string(&body).expect("a problem is plain text");
        answer.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        super::close_to_browsers(&mut answer);
        answer.body(body)
    }
}

impl From<CurrentError> for Problem {
    fn from(error: CurrentError) -> Self {
        match error {
            CurrentError::Absent(why) => Self::Absent(why),
            CurrentError::Store(error) => error.into(),
        }
    }
}

impl Problem {
    /// The provider cannot be asked for `time`; never "at once".
    pub(super) fn provider_unavailable(time: Duration) -> Self {
        Self::ProviderUnavailable(time.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX))
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::warn!(event = "store_unavailable", %error);
        Self::StoreUnavailable
    }
}

impl From<TooManyStreams> for Problem {
    /// A stream may end at any moment.
    fn from(_: TooManyStreams) -> Self {
        Self::TooMany(2)
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Ended(why) => Self::Absent(why),
            TokenError::ProviderUnavailable(time) => Self::provider_unavailable(time),
            TokenError::StoreUnavailable => Self::StoreUnavailable,
        }
    }
}

impl From<ForwardError> for Problem {
    fn from(error: ForwardError) -> Self {
        match error {
            ForwardError::Unreachable(why) => {
                tracing::warn!(event = "upstream_unreachable", why);
                Self::UpstreamUnreachable
            }
            ForwardError::Timeout => {
                tracing::warn!(event = "upstream_timeout");
                Self::UpstreamTimeout
            }
            ForwardError::Loop => {
                tracing::error!(event = "upstream_loop", "an upstream leads back to this gateway");
                Self::UpstreamUnreachable
            }
            ForwardError::Overloaded => {
                tracing::warn!(event = "route_full");
                Self::Overloaded
            }
            ForwardError::TooLarge => Self::TooLarge,
            ForwardError::BadRequest(what) => Self::BadRequest(what),
        }
    }
}
