//! What every request goes through: method, host, path, and then to whom it is for.

use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse};

use super::binding::Caller;
use super::problem::{Asker, Problem};
use super::request::Incoming;
use super::{Site, SiteDoor, Worker, api, request, spa};
use crate::guard::host::is_authority_of;
use crate::guard::path::RoutePath;
use crate::telemetry::RequestId;

/// The methods the gateway knows of; TRACE and CONNECT are not among them (RFC 9110 §9.3.6, §9.3.8).
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Answers one request.
pub async fn answer(worker: &Worker, request: ServiceRequest) -> ServiceResponse {
    let id = RequestId::random();
    let (request, payload) = request.into_parts();
    let door = match admit(worker, &request) {
        Ok(door) => door,
        Err(problem) => return refuse(&problem, request, &id, None),
    };
    let mut response = answer_at(worker, door, request, payload, &id).await;
    if let Some(hsts) = &door.site.hsts {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, hsts.clone());
    }
    response
}

/// Answers a request that came to the right door.
async fn answer_at(
    worker: &Worker,
    door: &SiteDoor,
    request: HttpRequest,
    payload: Payload,
    id: &RequestId,
) -> ServiceResponse {
    let site = &door.site;
    let client = request::client_address(&request, &worker.trusted_proxies);
    if let Err(problem) = site.limits.admit_address(client) {
        return refuse(&problem, request, id, Some(site));
    }
    let path = match RoutePath::parse(request::path(request.uri())) {
        Ok(path) => path,
        Err(bad) => return refuse(&Problem::BadPath(bad.0), request, id, Some(site)),
    };
    if path.after(&site.auth.site().base_path).is_some() {
        // No endpoint of ours has one in its path, and only a route can say that it wants one.
        if path.has_encoded_slash() {
            return refuse(&Problem::BadPath("it holds an encoded slash"), request, id, Some(site));
        }
        return door.endpoints.answer(request, payload, Caller { client, id: id.clone() }).await;
    }
    let incoming = Incoming { request: &request, payload, path: &path, client, id };
    match pass_on(site, incoming).await {
        Ok(response) => ServiceResponse::new(request, response),
        Err(problem) => refuse(&problem, request, id, Some(site)),
    }
}

fn admit<'w>(worker: &'w Worker, request: &HttpRequest) -> Result<&'w SiteDoor, Problem> {
    if matches!(*request.method(), Method::TRACE | Method::CONNECT) {
        return Err(Problem::Method(METHODS.into()));
    }
    let host = request::host(request)?;
    let is_of = |door: &&SiteDoor, authority| is_authority_of(authority, &door.site.auth.site().origin);
    let door = worker.doors.iter().find(|door| is_of(door, host)).ok_or(Problem::UnknownHost)?;
    // An absolute-form target must agree (RFC 9112 §3.2.2).
    match request.uri().authority() {
        Some(target) if !is_of(&door, target.as_str().as_bytes()) => {
            Err(Problem::BadRequest("the Host header and the request target disagree"))
        }
        _ => Ok(door),
    }
}

async fn pass_on(site: &Site, incoming: Incoming<'_>) -> Result<HttpResponse, Problem> {
    match site.routes.find(incoming.path) {
        Some(route) => {
            let closed = site.routes.is_closed(route, incoming.request.method().as_str(), incoming.path);
            let outcome = if closed { Err(Problem::NoRoute) } else { api::call(site, route, incoming).await };
            site.meters.count(&route.config.path, &outcome);
            outcome
        }
        // In a box, so that calls need not have room for it.
        None => Box::pin(spa::serve(site, incoming)).await,
    }
}

fn refuse(problem: &Problem, request: HttpRequest, id: &RequestId, site: Option<&Site>) -> ServiceResponse {
    let response = problem.respond(&asker(&request, id, site));
    ServiceResponse::new(request, response)
}

/// Who asks, as far as an error's response needs it.
pub(super) fn asker<'a>(request: &HttpRequest, id: &'a RequestId, site: Option<&Site>) -> Asker<'a> {
    Asker {
        request_id: id.as_str(),
        navigation: request::is_navigation(request),
        site: site.map(|site| (site.auth.site().origin.to_string(), site.login_url.clone())),
    }
}
