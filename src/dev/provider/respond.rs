//! The answers all endpoints share: refusals as JSON, redirects, and the headers on everything.

use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::{DefaultHeaders, Next};
use actix_web::{Error, HttpResponse, ResponseError, web};
use serde_json::json;

use super::parameters::Repeated;
use super::shared::Shared;

/// What a page with nothing of its own may load.
const NOTHING: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// An error answer of the token, revocation and userinfo endpoints (RFC 6749 §5.2, RFC 6750 §3).
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}: {description}")]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) error: &'static str,
    pub(super) description: String,
    /// What is refused, for servers that word it in their own way.
    pub(super) about: About,
    /// Seconds.
    pub(super) retry_after: Option<u64>,
    challenge: Option<&'static str>,
}

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    Request,
    Client,
    Code,
    RefreshToken,
    /// Too many calls.
    Haste,
}

impl Refusal {
    /// A 400 with this error code.
    pub(super) fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error,
            description: description.into(),
            about: About::Request,
            retry_after: None,
            challenge: None,
        }
    }

    pub(super) fn invalid_request(description: impl Into<String>) -> Self {
        Self::new("invalid_request", description)
    }

    pub(super) fn invalid_grant(description: impl Into<String>) -> Self {
        Self::new("invalid_grant", description)
    }

    pub(super) fn bad_code(description: impl Into<String>) -> Self {
        Self { about: About::Code, ..Self::invalid_grant(description) }
    }

    pub(super) fn bad_refresh_token(description: impl Into<String>) -> Self {
        Self { about: About::RefreshToken, ..Self::invalid_grant(description) }
    }

    /// Too many calls; the next one is answered after `wait`.
    pub(super) fn too_many(wait: Duration) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            about: About::Haste,
            retry_after: Some(wait.as_secs().max(1)),
            ..Self::new("slow_down", "too many calls from this address")
        }
    }

    /// A client that tried the Authorization header is told which scheme is wanted.
    pub(super) fn invalid_client(description: impl Into<String>, by_header: bool) -> Self {
        let challenge = by_header.then_some(r#"Basic realm="embedded provider""#);
        let about = About::Client;
        Self { status: StatusCode::UNAUTHORIZED, about, challenge, ..Self::new("invalid_client", description) }
    }

    /// The bearer token is missing or bad.
    pub(super) fn invalid_token(description: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            challenge: Some(r#"Bearer realm="embedded provider", error="invalid_token""#),
            ..Self::new("invalid_token", description)
        }
    }

    /// An answer that is nobody's protocol error, such as a simulated outage.
    pub(super) fn outage(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        Self { status, ..Self::new("temporarily_unavailable", "the provider was told to behave like this") }
    }
}

impl From<Repeated> for Refusal {
    fn from(Repeated(name): Repeated) -> Self {
        Self::invalid_request(format!("{name} is there more than once"))
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut answer = HttpResponse::build(self.status);
        if let Some(challenge) = self.challenge {
            answer.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        if let Some(seconds) = self.retry_after {
            answer.insert_header((header::RETRY_AFTER, seconds));
        }
        answer.json(json!({ "error": self.error, "error_description": self.description }))
    }
}

/// Sends the browser on; 303 so that a form post becomes a GET (RFC 9700 §4.12).
pub(super) fn redirect(location: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, location)).finish()
}

/// A page that loads its stylesheet and pictures from here, and whose forms may lead to `form_targets`: browsers hold
/// the redirect that follows a form post against `form-action` too.
pub(super) fn page(status: StatusCode, html: String, form_targets: &[String]) -> HttpResponse {
    html_page(status, html, "'none'", form_targets)
}

/// The same whose form goes off by itself.
pub(super) fn page_that_posts(html: String, form_targets: &[String]) -> HttpResponse {
    html_page(StatusCode::OK, html, "'self'", form_targets)
}

fn html_page(status: StatusCode, html: String, scripts: &str, form_targets: &[String]) -> HttpResponse {
    let policy = format!(
        "default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self'; base-uri 'none'; \
         frame-ancestors 'none'; form-action 'self' {}",
        form_targets.join(" ")
    );
    HttpResponse::build(status)
        .insert_header((header::CONTENT_SECURITY_POLICY, policy.trim_end()))
        .content_type("text/html; charset=utf-8")
        .body(html)
}

/// Headers on every answer that does not bring its own.
pub(super) fn security_headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add((header::CACHE_CONTROL, "no-store"))
        .add((header::CONTENT_SECURITY_POLICY, NOTHING))
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::X_FRAME_OPTIONS, "DENY"))
        .add((header::REFERRER_POLICY, "no-referrer"))
}

/// Only the issuer's own authority is answered, so that no foreign name can be pointed at this port.
pub(super) async fn own_host_only(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let own = request.app_data::<web::Data<Shared>>().is_some_and(|shared| {
        request.headers().get(header::HOST).is_some_and(|host| host.as_bytes() == shared.authority.as_bytes())
    });
    if own {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    }
    let answer = HttpResponse::build(StatusCode::MISDIRECTED_REQUEST).body("this is not the issuer's host\n");
    Ok(request.into_response(answer))
}
