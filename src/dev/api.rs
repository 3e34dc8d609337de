//! The demo API: believes nothing but a bearer token it can verify, and shows what reached it without showing the token.

use std::io;
use std::net::TcpListener;

use actix_web::http::header;
use actix_web::middleware::DefaultHeaders;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde::Serialize;
use serde_json::{Value, json};

use super::provider::{AccessClaims, AccessTokens, BadToken};
use super::running::Running;
use crate::clock::Clock;

/// A running demo API; it stops when this is dropped.
#[derive(Debug)]
pub(super) struct DemoApi {
    _running: Running,
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
        Ok(Self { _running: Running::start(server) })
    }
}

/// The answer of `/api/me`; a struct, so that a reader finds who they are before the details.
#[derive(Serialize)]
struct Me<'a> {
    you: Value,
    site: Option<&'a str>,
    token: Value,
    request: Value,
}

/// `GET /api/me`: who the API thinks is calling, and how it knows.
async fn me(shared: web::Data<Shared>, request: HttpRequest) -> HttpResponse {
    answer(&shared, &request, |claims| Me {
        you: json!({ "sub": claims.sub, "name": claims.name }),
        site: forwarded_host(&request),
        token: json!({
            "issuer": claims.iss,
            "audience": claims.aud,
            "client": claims.client_id,
            "scope": claims.scope,
            "serial": serial(claims),
            "expires_in": claims.exp.saturating_sub(shared.clock.now().as_secs()),
        }),
        request: json!({
            "method": request.method().as_str(),
            "path": request.path(),
            "header_names": names(&request),
        }),
    })
}

/// Enough of the token's id to see that a new one has come.
fn serial(claims: &AccessClaims) -> String {
    claims.jti.rsplit('.').next().unwrap_or_default().chars().take(8).collect()
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
        Err(refused) => refused.answer(),
    }
}

fn answer<T: Serialize>(shared: &Shared, request: &HttpRequest, body: impl FnOnce(&AccessClaims) -> T) -> HttpResponse {
    match caller(shared, request) {
        Ok(claims) => HttpResponse::Ok().json(body(&claims)),
        Err(refused) => refused.answer(),
    }
}

/// Why a caller is turned away (RFC 6750 §3).
#[derive(Debug)]
enum Refused {
    NoToken,
    Bad(BadToken),
}

impl Refused {
    fn answer(&self) -> HttpResponse {
        let (challenge, error, message) = match self {
            Self::NoToken => {
                (r#"Bearer realm="demo API""#, "no_token", "this API wants exactly one bearer token".to_owned())
            }
            Self::Bad(why) => {
                (r#"Bearer realm="demo API", error="invalid_token""#, "invalid_token", format!("the token is {why}"))
            }
        };
        HttpResponse::Unauthorized()
            .insert_header((header::WWW_AUTHENTICATE, challenge))
            .json(json!({ "error": error, "message": message }))
    }
}

/// The verified claims of the one bearer token.
fn caller(shared: &Shared, request: &HttpRequest) -> Result<AccessClaims, Refused> {
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let (Some(value), None) = (headers.next(), headers.next()) else { return Err(Refused::NoToken) };
    let (_, token) = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .ok_or(Refused::NoToken)?;
    shared.tokens.verify(token).map_err(Refused::Bad)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::dev::provider::{KeyRing, Profile};
    use reqwest::StatusCode;
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    const ISSUER: &str = "http://127.0.0.1:1";

    /// An API with its key, and what it answers to one `Authorization` value.
    async fn answers(path: &str, authorization: impl Fn(&KeyRing) -> Vec<String>) -> (StatusCode, String) {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let key = Arc::new(KeyRing::generate());
        let clock = Clock::manual(Timestamp::from_secs(1000));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}{path}", listener.local_addr().unwrap());
        let _api = DemoApi::start(
            listener,
            AccessTokens::new(Profile::default().tokens, Arc::clone(&key), ISSUER, "demo-api", clock.clone()),
            clock,
        )
        .unwrap();
        let mut request = reqwest::Client::builder().no_proxy().build().unwrap().get(url);
        for value in authorization(&key) {
            request = request.header("authorization", value);
        }
        let answer = request.header("x-forwarded-host", "one.localhost:8080").send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    fn claims(exp: u64) -> AccessClaims {
        AccessClaims {
            iss: ISSUER.to_owned(),
            sub: "ada".to_owned(),
            aud: vec!["demo-api".to_owned()],
            client_id: "site-one".to_owned(),
            scope: "openid".to_owned(),
            name: "Ada Lovelace".to_owned(),
            jti: "family.serial-number".to_owned(),
            iat: 0,
            exp,
        }
    }

    fn bearer(key: &KeyRing, typ: &str, claims: &AccessClaims) -> Vec<String> {
        vec![format!("Bearer {}", key.sign(typ, claims))]
    }

    #[actix_web::test]
    async fn a_caller_learns_who_it_is_but_never_sees_the_token() {
        let (status, body) = answers("/api/me", |key| bearer(key, "at+jwt", &claims(1060))).await;
        assert_eq!(status, 200);
        let told: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&told["you"]["name"], &told["site"]), (&"Ada Lovelace".into(), &"one.localhost:8080".into()));
        assert_eq!(told["token"]["expires_in"], 60);
        assert!(told["request"]["header_names"].as_array().unwrap().contains(&"authorization".into()));
        assert!(!body.contains("eyJ") && !body.contains("family"));
    }

    #[actix_web::test]
    async fn whoever_brings_no_good_token_is_turned_away() {
        let wrong = |change: fn(&mut AccessClaims)| {
            let mut claims = claims(1060);
            change(&mut claims);
            claims
        };
        for path in ["/api/me", "/api/orders", "/api/elsewhere"] {
            assert_eq!(answers(path, |_| Vec::new()).await.0, 401, "{path}");
        }
        let late = wrong(|claims| claims.exp = 1000);
        let foreign = wrong(|claims| claims.iss.push('2'));
        let misdirected = wrong(|claims| claims.aud = vec!["another-api".to_owned()]);
        for claims in [late, foreign, misdirected] {
            assert_eq!(answers("/api/me", |key| bearer(key, "at+jwt", &claims)).await.0, 401, "{claims:?}");
        }
        assert_eq!(answers("/api/me", |key| bearer(key, "JWT", &claims(1060))).await.0, 401);
        assert_eq!(answers("/api/me", |_| bearer(&KeyRing::generate(), "at+jwt", &claims(1060))).await.0, 401);
        let twice = |key: &KeyRing| [(); 2].map(|()| bearer(key, "at+jwt", &claims(1060)).remove(0)).to_vec();
        assert_eq!(answers("/api/me", twice).await.0, 401, "two bearers are none");
    }
}
