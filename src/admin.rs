//! The second listener, for operators: is the process alive, is it ready, what does it count, whose sessions live.
//!
//! The probes are open to all who reach the listener; everything else needs the bearer `admin.token`, and without one in
//! the configuration is not there at all.

mod access;
mod health;
mod refusal;
mod sessions;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::dev::Server;
use actix_web::http::header;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, Resource, web};
use arc_swap::ArcSwap;

use self::access::Access;
use self::refusal::Refusal;
use crate::auth::Auth;
use crate::auth::sessions::Roster;
use crate::config::AdminConfig;
use crate::session::store::Store;
use crate::telemetry::metrics;

/// The largest body that is read: a revocation names one user.
const BODY: usize = 16 * 1024;

/// What the listener reports on and works with; shared with whoever changes it.
#[derive(Clone)]
pub struct Desk {
    current: Arc<ArcSwap<Current>>,
    draining: Arc<AtomicBool>,
}

/// What a reload replaces.
struct Current {
    sites: Vec<Arc<Auth>>,
    roster: Roster,
    access: Access,
}

impl Current {
    fn new(sites: Vec<Arc<Auth>>, config: &AdminConfig) -> Arc<Self> {
        let roster = Roster::new(sites.iter().map(|auth| Arc::clone(auth.sessions())).collect());
        Arc::new(Self { sites, roster, access: Access::new(config) })
    }
}

impl Desk {
    /// The desk of a process with these sites.
    #[must_use]
    pub fn new(sites: Vec<Arc<Auth>>, config: &AdminConfig) -> Self {
        Self { current: Arc::new(ArcSwap::new(Current::new(sites, config))), draining: Arc::default() }
    }

    /// Sites and token after a reload.
    pub fn update(&self, sites: Vec<Arc<Auth>>, config: &AdminConfig) {
        self.current.store(Current::new(sites, config));
    }

    /// Not ready from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }
}

/// Serves the desk on `listener`, with `store` as its connection.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve(listener: std::net::TcpListener, desk: &Desk, store: &Arc<dyn Store>) -> std::io::Result<Server> {
    let (desk, store) = (desk.clone(), Arc::clone(store));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(desk.clone()))
            .app_data(web::Data::from(Arc::clone(&store)))
            .app_data(web::PayloadConfig::new(BODY))
            .service(only("/livez", "GET, HEAD").get(health::livez).head(health::livez))
            .service(only("/readyz", "GET, HEAD").get(health::readyz).head(health::readyz))
            .service(only("/metrics", "GET").get(numbers))
            .service(only("/admin/sessions", "GET").get(sessions::list))
            .service(only("/admin/sessions/revoke", "POST").post(sessions::revoke))
            .service(only("/admin/keys", "GET").get(sessions::keys))
            .default_service(web::to(|| async { Refusal::NotFound.respond() }))
    });
    Ok(server.workers(1).disable_signals().shutdown_timeout(1).listen(listener)?.run())
}

/// A path with these methods; every other is a 405 that names them (RFC 9110 §15.5.6).
fn only(path: &str, methods: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move || async move { Refusal::Methods(methods).respond() }))
}

async fn numbers(desk: web::Data<Desk>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    desk.current.load().access.to_metrics(&request)?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(metrics::render()))
}
