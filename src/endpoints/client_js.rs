//! `GET /bff/client.js`: the browser helper, the same for every site.

use std::sync::LazyLock;

use actix_web::http::header::{self, EntityTag, Header as _, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const SCRIPT: &str = include_str!("client.js");

static TAG: LazyLock<EntityTag> = LazyLock::new(|| {
    let hash = digest(&SHA256, SCRIPT.as_bytes());
    EntityTag::new_strong(URL_SAFE_NO_PAD.encode(&hash.as_ref()[..12]))
});

/// Serves it to anybody: it holds nothing that is anybody's.
pub(super) fn serve(request: &HttpRequest) -> HttpResponse {
    let known = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => request.headers().contains_key(header::IF_NONE_MATCH),
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|tag| tag.weak_eq(&TAG)),
        Err(_) => false,
    };
    let mut answer = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    super::close_to_browsers(&mut answer);
    answer.insert_header(header::ETag(TAG.clone()));
    if known {
        return answer.finish();
    }
    answer.insert_header((header::CONTENT_TYPE, "text/javascript; charset=utf-8")).body(SCRIPT)
}
