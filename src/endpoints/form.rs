//! A form in a request's body: read whole, within bounds of size and time.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header;
use futures_util::StreamExt as _;

use super::problem::Problem;
use super::request;

/// The largest body that is read.
const LARGEST: usize = 64 * 1024;
/// How long the body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// The body's bytes, if it is an `application/x-www-form-urlencoded` form.
pub(super) async fn read(request: &HttpRequest, body: &mut Payload) -> Result<Vec<u8>, Problem> {
    let content_type = request::one(request.headers(), "content-type").unwrap_or_default();
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if !media_type.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
        return Err(Problem::BadRequest("the body is not a form"));
    }
    let announced = request::one(request.headers(), header::CONTENT_LENGTH.as_str());
    let announced = announced.and_then(|length| std::str::from_utf8(length).ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > LARGEST as u64) {
        return Err(Problem::TooLarge);
    }
    let bytes = tokio::time::timeout(PATIENCE, collect(body)).await;
    bytes.map_err(|_| Problem::BadRequest("the body did not arrive in time"))?
}

async fn collect(payload: &mut Payload) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::BadRequest("the body broke off"))?;
        if body.len() + chunk.len() > LARGEST {
            return Err(Problem::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
