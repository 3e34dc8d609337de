//! Trouble on demand: everything but the desk's own page can be slow or not there at all.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError as _, web};

use super::pages;
use super::respond::{Refusal, page};
use super::shared::Shared;

/// What works whatever happens: the page with the buttons, and what it is made of.
const SPARED: [&str; 5] = ["/", "/desk", "/provider.css", "/post.js", "/icon.svg"];

/// Waits, or answers 503, as [`super::Behaviour`] says.
pub(super) async fn arrange(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let behaviour = request.app_data::<web::Data<Shared>>().map(|shared| shared.behaviour());
    let spared = SPARED.contains(&request.path()) || request.path().starts_with("/avatar/");
    let Some(behaviour) = behaviour.filter(|_| !spared) else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    if !behaviour.slowness.is_zero() {
        actix_web::rt::time::sleep(behaviour.slowness).await;
    }
    if behaviour.down {
        let answer = if wants_page(&request) {
            let text = "This provider was told to be down. Its own page has a button that brings it back.";
            page(StatusCode::SERVICE_UNAVAILABLE, pages::message("Out of order", text), &[])
        } else {
            Refusal::outage(503).error_response()
        };
        return Ok(request.into_response(answer));
    }
    next.call(request).await.map(ServiceResponse::map_into_boxed_body)
}

fn wants_page(request: &ServiceRequest) -> bool {
    let accepted = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/html"))
}
