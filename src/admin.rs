//! The second listener, for operators: is the process alive, is it ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::{App, HttpResponse, HttpServer, web};
use arc_swap::ArcSwap;
use serde::Serialize;

use crate::auth::Auth;
use crate::provider::ProviderStatus;
use crate::session::store::Store;

/// How long a probe waits for the store.
const PROBE: Duration = Duration::from_secs(1);

/// What the listener reports on; shared with whoever changes it.
#[derive(Clone)]
pub struct Health {
    sites: Arc<ArcSwap<Vec<Arc<Auth>>>>,
    draining: Arc<AtomicBool>,
}

impl Health {
    /// The health of a process with these sites.
    #[must_use]
    pub fn new(sites: Vec<Arc<Auth>>) -> Self {
        Self { sites: Arc::new(ArcSwap::from_pointee(sites)), draining: Arc::default() }
    }

    /// The sites after a reload.
    pub fn set_sites(&self, sites: Vec<Arc<Auth>>) {
        self.sites.store(Arc::new(sites));
    }

    /// Not ready from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }
}

/// Serves the probes on `listener`, with `store` as the connection they try.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve(listener: std::net::TcpListener, health: &Health, store: &Arc<dyn Store>) -> std::io::Result<Server> {
    let (health, store) = (health.clone(), Arc::clone(store));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(health.clone()))
            .app_data(web::Data::from(Arc::clone(&store)))
            .service(web::resource("/livez").get(livez))
            .service(web::resource("/readyz").get(readyz))
    });
    Ok(server.workers(1).disable_signals().shutdown_timeout(1).listen(listener)?.run())
}

async fn livez() -> HttpResponse {
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
async fn readyz(health: web::Data<Health>, store: web::Data<dyn Store>) -> HttpResponse {
    let store = match tokio::time::timeout(PROBE, store.ping()).await {
        Ok(Ok(())) => Part { status: "up", reason: None },
        Ok(Err(error)) => Part { status: "down", reason: Some(error.to_string()) },
        Err(_) => Part { status: "down", reason: Some("no answer within a second".into()) },
    };
    let sites: Vec<SiteReadiness> = health.sites.load().iter().map(|auth| site(auth)).collect();
    let provider_down = sites.iter().flat_map(|site| &site.providers).any(|provider| provider.part.status == "down");
    let status = match () {
        () if health.draining.load(Ordering::SeqCst) => "draining",
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
