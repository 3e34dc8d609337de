//! The bodies that our own endpoints read: whole, small, and in time.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header;
use futures_util::StreamExt as _;
use zeroize::Zeroizing;

use super::problem::Problem;
use super::request;

/// The largest form that is read.
const LARGEST_FORM: usize = 64 * 1024;
/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether the body says that it is of `media_type`, whatever the parameters (RFC 9110 §8.3.1).
pub(super) fn is_of(request: &HttpRequest, media_type: &str) -> bool {
    let content_type = request::one(request.headers(), header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let found = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    found.eq_ignore_ascii_case(media_type.as_bytes())
}

/// The whole body, if it is a form.
///
/// # Errors
/// [`Problem::BadRequest`] for anything else, and those of [`read`].
pub(super) async fn form(request: &HttpRequest, payload: &mut Payload) -> Result<Zeroizing<Vec<u8>>, Problem> {
    if !is_of(request, "application/x-www-form-urlencoded") {
        return Err(Problem::BadRequest("the body is not a form"));
    }
    read(request, payload, LARGEST_FORM).await
}

/// The whole body, wiped when dropped: what is sent to these endpoints is somebody's password or token.
///
/// # Errors
/// [`Problem::TooLarge`] beyond `largest` bytes, announced or sent; [`Problem::BadRequest`] for one that breaks off or is late.
pub(super) async fn read(
    request: &HttpRequest,
    payload: &mut Payload,
    largest: usize,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let announced = request::one(request.headers(), header::CONTENT_LENGTH.as_str());
    let announced = announced.and_then(|length| std::str::from_utf8(length).ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > largest as u64) {
        return Err(Problem::TooLarge);
    }
    let room = announced.and_then(|length| usize::try_from(length).ok()).unwrap_or(largest);
    // Of full size from the start: a vector that grows leaves copies of what it held.
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    let read = tokio::time::timeout(PATIENCE, collect(payload, largest, &mut body)).await;
    read.map_err(|_| Problem::BadRequest("the body did not arrive in time"))?.map(|()| body)
}

async fn collect(payload: &mut Payload, largest: usize, body: &mut Vec<u8>) -> Result<(), Problem> {
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::BadRequest("the body broke off"))?;
        if body.len() + chunk.len() > largest {
            return Err(Problem::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(())
}
