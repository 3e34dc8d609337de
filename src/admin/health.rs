//! The probes: `/livez` and `/readyz`.

use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::Desk;
use crate::auth::Auth;
use crate::provider::ProviderStatus;
use crate::session::store::Store;

/// How long a probe waits for the store.
const PROBE: Duration = Duration::from_secs(1);

pub(super) async fn livez() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("cache-control", "no-store"))
        .content_type("text/plain; charset=utf-8")
        .body("ok\n")
}

#[derive(Serialize)]
struct Readiness {
    status: &'static str,
    store: Part,
    sites: Vec<SiteReadiness>,
}

#[derive(Serialize)]
struct SiteReadiness {
    origin: String,
    providers: Vec<ProviderReadiness>,
}

#[derive(Serialize)]
struct ProviderReadiness {
    name: String,
    #[serde(flatten)]
    part: Part,
}

#[derive(Serialize)]
struct Part {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Ready while the store answers: without it nobody can be told apart. A provider that is down only degrades, since
/// every session that is logged in goes on.
pub(super) async fn readyz(desk: web::Data<Desk>, store: web::Data<dyn Store>) -> HttpResponse {
    let store = match tokio::time::timeout(PROBE, store.ping()).await {
        Ok(Ok(())) => Part { status: "up", reason: None },
        Ok(Err(error)) => Part { status: "down", reason: Some(error.to_string()) },
        Err(_) => Part { status: "down", reason: Some("no answer within a second".into()) },
    };
    let sites: Vec<SiteReadiness> = desk.current.load().sites.iter().map(|auth| site(auth)).collect();
    let provider_down = sites.iter().flat_map(|site| &site.providers).any(|provider| provider.part.status == "down");
    let status = match () {
        () if desk.draining.load(Ordering::SeqCst) => "draining",
        () if store.status == "down" => "unavailable",
        () if provider_down => "degraded",
        () => "ready",
    };
    let code = if matches!(status, "ready" | "degraded") { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    HttpResponse::build(code).insert_header(("cache-control", "no-store")).json(Readiness { status, store, sites })
}

fn site(auth: &Auth) -> SiteReadiness {
    let providers = auth.providers().iter().map(|provider| {
        let part = match provider.status() {
            ProviderStatus::Unknown => Part { status: "unknown", reason: None },
            ProviderStatus::Ready => Part { status: "up", reason: None },
            ProviderStatus::Down(reason) => Part { status: "down", reason: Some(reason) },
        };
        ProviderReadiness { name: provider.name().to_owned(), part }
    });
    SiteReadiness { origin: auth.site().origin.to_string(), providers: providers.collect() }
}
