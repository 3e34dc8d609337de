//! The demo API: believes nothing but a bearer token it can verify, and shows what reached it without showing the token.

use std::io;
use std::net::TcpListener;

use actix_web::dev::ServerHandle;
use actix_web::http::header;
use actix_web::middleware::DefaultHeaders;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use super::provider::{AccessClaims, AccessTokens};
use crate::clock::Clock;

/// A running demo API; it stops when this is dropped.
#[derive(Debug)]
pub(super) struct DemoApi {
    server: ServerHandle,
}

/// What the handlers see.
#[derive(Debug)]
struct Shared {
    tokens: AccessTokens,
    clock: Clock,
}

impl DemoApi {
    /// Starts on a bound loopback listener. Inside an actix system.
    pub(super) fn start(listener: TcpListener, tokens: AccessTokens, clock: Clock) -> io::Result<Self> {
        let shared = web::Data::new(Shared { tokens, clock });
        let server = HttpServer::new(move || {
            App::new()
                .app_data(shared.clone())
                .app_data(web::PayloadConfig::new(64 * 1024))
                .wrap(DefaultHeaders::new().add((header::X_CONTENT_TYPE_OPTIONS, "nosniff")))
                .service(web::resource("/api/me").get(me))
                .service(web::resource("/api/orders").get(orders))
                .service(web::resource("/api/notes").post(note))
                .default_service(web::to(nothing))
        })
        .workers(1)
        .disable_signals()
        .listen(listener)?
        .run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Ok(Self { server: handle })
    }
}

impl Drop for DemoApi {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

/// `GET /api/me`: who the API thinks is calling, and how it knows.
async fn me(shared: web::Data<Shared>, request: HttpRequest) -> HttpResponse {
    answer(&shared, &request, |claims| {
        let now = shared.clock.now().as_secs();
        json!({
            "you": { "sub": claims.sub, "name": claims.name },
            "site": forwarded_host(&request),
            "token": {
                "issuer": claims.iss,
                "audience": claims.aud,
                "client": claims.client_id,
                "scope": claims.scope,
                "serial": claims.jti.rsplit('.').next().map(|serial| serial.chars().take(8).collect::<String>()),
                "expires_in": claims.exp.saturating_sub(now),
            },
            "request": { "method": request.method().as_str(), "path": request.path(), "header_names": names(&request) },
        })
    })
}

/// `GET /api/orders`: some data of the caller's own.
async fn orders(shared: web::Data<Shared>, request: HttpRequest) -> HttpResponse {
    answer(&shared, &request, |claims| {
        let order = |number: u32, what: &str, state: &str| json!({ "number": number, "what": what, "state": state });
        json!({
            "for": claims.name,
            "orders": [
                order(1042, "One grey overcoat, lined", "in the cloakroom"),
                order(1043, "Umbrella, slightly used", "handed out"),
                order(1051, "Silk scarf", "in the cloakroom"),
            ],
        })
    })
}

/// `POST /api/notes`: sends back what it was sent.
async fn note(shared: web::Data<Shared>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    answer(&shared, &request, |claims| {
        let text = String::from_utf8_lossy(&body);
        let note = serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.into_owned()));
        json!({ "by": claims.name, "bytes": body.len(), "note": note })
    })
}

async fn nothing(shared: web::Data<Shared>, request: HttpRequest) -> HttpResponse {
    match caller(&shared, &request) {
        Ok(_) => HttpResponse::NotFound().json(json!({ "error": "not_found", "path": request.path() })),
        Err(refusal) => refusal,
    }
}

fn answer(shared: &Shared, request: &HttpRequest, body: impl FnOnce(&AccessClaims) -> Value) -> HttpResponse {
    match caller(shared, request) {
        Ok(claims) => HttpResponse::Ok().json(body(&claims)),
        Err(refusal) => refusal,
    }
}

/// The verified claims of the one bearer token, or the refusal of RFC 6750 §3.
fn caller(shared: &Shared, request: &HttpRequest) -> Result<AccessClaims, HttpResponse> {
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let token = match (headers.next(), headers.next()) {
        (Some(value), None) => value
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token),
        _ => None,
    };
    let Some(token) = token else {
        return Err(HttpResponse::Unauthorized()
            .insert_header((header::WWW_AUTHENTICATE, r#"Bearer realm="demo API""#))
            .json(json!({ "error": "no_token", "message": "this API wants exactly one bearer token" })));
    };
    shared.tokens.verify(token).map_err(|bad| {
        HttpResponse::Unauthorized()
            .insert_header((header::WWW_AUTHENTICATE, r#"Bearer realm="demo API", error="invalid_token""#))
            .json(json!({ "error": "invalid_token", "message": bad.to_string() }))
    })
}

/// The site the browser was on, as the gateway reports it.
fn forwarded_host(request: &HttpRequest) -> Option<&str> {
    request.headers().get("x-forwarded-host").and_then(|value| value.to_str().ok())
}

/// Names only: one of the values is the token.
fn names(request: &HttpRequest) -> Vec<&str> {
    let mut names: Vec<&str> = request.headers().keys().map(header::HeaderName::as_str).collect();
    names.sort_unstable();
    names
}
