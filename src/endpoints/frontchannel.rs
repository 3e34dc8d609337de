//! `GET /bff/frontchannel-logout` (OpenID Connect Front-Channel Logout §2).
//!
//! The provider's logout page loads it in a frame. No cookie of ours comes along and none is asked for; without a
//! provider that may do this, there is no such endpoint.

use actix_web::HttpResponse;
use actix_web::http::header;
use url::Url;

use super::bff::Call;
use super::problem::Problem;
use super::request::{self, Query};
use crate::auth::FrontchannelError;

/// The longest `sid` that a session is known by.
const LONGEST_SID: usize = 1024;

/// Ends the session that `iss` and `sid` name; both must be there (§3).
pub(super) async fn end(call: &Call<'_>) -> Result<HttpResponse, Problem> {
    let auth = &call.site.auth;
    framed(call)?;
    let query = Query::read(call.request.uri())?;
    let (Some(issuer), Some(sid)) = (query.get("iss"), query.get("sid")) else {
        return Err(Problem::BadRequest("iss and sid must be there"));
    };
    if !(1..=LONGEST_SID).contains(&sid.len()) {
        return Err(Problem::BadRequest("sid is not well formed"));
    }
    auth.end_by_front_channel(issuer, sid).await.map_err(|error| {
        let (site, request_id) = (&auth.site().origin, call.id.as_str());
        match error {
            FrontchannelError::Unknown => {
                tracing::info!(event = "frontchannel_logout_refused", %site, request_id);
                Problem::BadRequest("iss is not a provider of this site that may do this")
            }
            FrontchannelError::Store(error) => error.into(),
        }
    })?;
    Ok(empty_page(issuer))
}

/// What a browser says of its purpose must be a frame: a link that someone is made to follow, or an image that a page
/// loads, is not the provider's logout page.
fn framed(call: &Call<'_>) -> Result<(), Problem> {
    let words = request::words(call.request);
    match words.dest {
        None | Some(b"iframe" | b"frame") => Ok(()),
        Some(_) => Err(Problem::CrossSite("Sec-Fetch-Dest")),
    }
}

/// Nothing, which the issuer may frame, and nobody may keep (§3: `Cache-Control: no-store`).
fn empty_page(issuer: &str) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    super::close_to_browsers(&mut answer);
    let origin = Url::parse(issuer).map_or_else(|_| "'none'".to_owned(), |url| url.origin().ascii_serialization());
    answer.insert_header((
        header::CONTENT_SECURITY_POLICY,
        format!("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors {origin}"),
    ));
    answer.insert_header(("cross-origin-resource-policy", "cross-origin"));
    answer.insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"));
    answer.body("<!doctype html><title>Signed out</title>")
}
