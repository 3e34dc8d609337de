//! `/admin/sessions` and `/admin/keys`: who is logged in, ending that, and which keys are still needed.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::{Desk, Refusal};
use crate::auth::sessions::Target;
use crate::session::store::Store;

/// What is listed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    site: Option<String>,
    subject: Option<String>,
    cursor: Option<String>,
}

/// What is revoked: exactly one of `subject`, `all` and `session`, at one site or at all.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revocation {
    site: Option<String>,
    subject: Option<String>,
    #[serde(default)]
    all: bool,
    session: Option<String>,
}

#[derive(Serialize)]
struct Revoked {
    ended: u64,
}

/// `GET /admin/sessions?site=&subject=&cursor=`
pub(super) async fn list(
    desk: web::Data<Desk>,
    store: web::Data<dyn Store>,
    request: HttpRequest,
) -> Result<HttpResponse, Refusal> {
    let current = desk.current.load_full();
    current.access.to_sessions(&request)?;
    let wanted: Wanted = parameters(request.query_string())?;
    let (site, subject) = (wanted.site.as_deref(), wanted.subject.as_deref());
    Ok(json(&current.roster.list(&**store, site, subject, wanted.cursor.as_deref()).await?))
}

/// `POST /admin/sessions/revoke`
pub(super) async fn revoke(
    desk: web::Data<Desk>,
    store: web::Data<dyn Store>,
    request: HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Refusal> {
    let current = desk.current.load_full();
    current.access.to_sessions(&request)?;
    let revocation = read(&request, &body.map_err(|_| Refusal::TooLarge)?)?;
    let target = match (revocation.subject, revocation.all, revocation.session) {
        (Some(subject), false, None) => Target::Subject(subject),
        (None, true, None) => Target::All,
        (None, false, Some(session)) => Target::Session(session),
        _ => return Err(Refusal::BadRequest("name one of subject, all and session".into())),
    };
    let ended = current.roster.revoke(&**store, revocation.site.as_deref(), &target, "admin listener").await?;
    Ok(json(&Revoked { ended }))
}

/// `GET /admin/keys`
pub(super) async fn keys(
    desk: web::Data<Desk>,
    store: web::Data<dyn Store>,
    request: HttpRequest,
) -> Result<HttpResponse, Refusal> {
    let current = desk.current.load_full();
    current.access.to_sessions(&request)?;
    Ok(json(&current.roster.keys(&**store).await?))
}

fn read(request: &HttpRequest, body: &[u8]) -> Result<Revocation, Refusal> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/json" => serde_json::from_slice(body).map_err(|error| Refusal::BadRequest(error.to_string())),
        "application/x-www-form-urlencoded" => {
            parameters(std::str::from_utf8(body).map_err(|error| Refusal::BadRequest(error.to_string()))?)
        }
        _ => Err(Refusal::MediaType),
    }
}

/// Names and values as a form or a query has them; unknown and repeated names are refused.
fn parameters<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    let parsed = web::Query::<T>::from_query(text).map_err(|error| Refusal::BadRequest(error.to_string()))?;
    Ok(parsed.into_inner())
}

fn json(body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}
