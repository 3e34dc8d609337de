//! Everything this listener refuses: `application/problem+json` (RFC 9457), stored nowhere.

use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use crate::auth::sessions::RosterError;
use crate::session::store::StoreError;

/// What went wrong.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 400, and what is wrong with the request.
    BadRequest(String),
    /// 401 without a bearer.
    NoToken,
    /// 401 with another bearer than the configured one.
    WrongToken,
    /// 404, since no token is configured.
    Closed,
    /// 404
    NotFound,
    /// 405, and the methods that are allowed, as a list.
    Methods(&'static str),
    /// 413
    TooLarge,
    /// 415
    MediaType,
    /// 503
    StoreUnavailable,
    /// 503, and what was done all the same.
    PartlyDone(String),
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    reason: &'a str,
}

impl Refusal {
    /// Status, reason and title.
    const fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request", "The request is malformed"),
            Self::NoToken => (StatusCode::UNAUTHORIZED, "no_token", "The admin token is needed"),
            Self::WrongToken => (StatusCode::UNAUTHORIZED, "wrong_token", "This is not the admin token"),
            Self::Closed => (StatusCode::NOT_FOUND, "no_token_configured", "This is closed"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found", "There is nothing here"),
            Self::Methods(_) => (StatusCode::METHOD_NOT_ALLOWED, "method", "The method is not allowed here"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "The body is too large"),
            Self::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", "The body is of the wrong type"),
            Self::StoreUnavailable | Self::PartlyDone(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", "The store does not answer")
            }
        }
    }

    fn detail(&self) -> &str {
        match self {
            Self::BadRequest(what) | Self::PartlyDone(what) => what,
            Self::NoToken | Self::WrongToken => "Send Authorization: Bearer with the configured admin.token.",
            Self::Closed => "The configuration has no admin.token, which opens this.",
            Self::NotFound => "The operators' paths are /livez, /readyz, /metrics, /admin/sessions and /admin/keys.",
            Self::Methods(_) => "The Allow header names what is.",
            Self::TooLarge => "A revocation needs a few hundred bytes.",
            Self::MediaType => "Send application/json or application/x-www-form-urlencoded.",
            Self::StoreUnavailable => "What ended, ended; try again in a moment.",
        }
    }

    /// The answer.
    pub(super) fn respond(&self) -> HttpResponse {
        let (status, reason, title) = self.kind();
        let mut answer = HttpResponse::build(status);
        answer.insert_header((header::CACHE_CONTROL, "no-store"));
        answer.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        match self {
            // RFC 6750 §3: an error word only for a token that was sent.
            Self::NoToken => answer.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"cloakroom\"")),
            Self::WrongToken => {
                answer.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"cloakroom\", error=\"invalid_token\""))
            }
            Self::Methods(allowed) => answer.insert_header((header::ALLOW, *allowed)),
            Self::StoreUnavailable | Self::PartlyDone(_) => answer.insert_header((header::RETRY_AFTER, "2")),
            _ => &mut answer,
        };
        let r#type = format!("urn:cloakroom:problem:{reason}");
        let body = Body { r#type, title, status: status.as_u16(), detail: self.detail(), reason };
        answer.body(serde_json::to_string(&body).expect("a problem is plain text"))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.kind().0
    }

    fn error_response(&self) -> HttpResponse {
        self.respond()
    }
}

impl From<RosterError> for Refusal {
    fn from(error: RosterError) -> Self {
        match error {
            RosterError::UnknownSite(_) | RosterError::BadCursor => Self::BadRequest(error.to_string()),
            RosterError::Store(error) => error.into(),
            RosterError::Partly { .. } => Self::PartlyDone(error.to_string()),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::warn!(event = "store_unavailable", %error);
        Self::StoreUnavailable
    }
}
