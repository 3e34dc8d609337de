//! The public listener's server: one worker thread a core, each with its own view of the current generation.

use std::cell::RefCell;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::dev::{Server, ServiceRequest, fn_service};
use actix_web::{App, HttpServer};
use arc_swap::ArcSwap;

use super::Reload;
use super::generation::Generation;
use crate::config::ServerConfig;
use crate::endpoints::{Worker, answer};
use crate::session::store::{Store, Stores};

/// Serves on `listener`, with TLS if a certificate is configured.
pub(super) fn serve(
    config: &ServerConfig,
    listener: TcpListener,
    stores: &Arc<Stores>,
    reload: &Reload,
) -> std::io::Result<Server> {
    let (stores, current) = (Arc::clone(stores), Arc::clone(&reload.current));
    let server = HttpServer::new(move || {
        let slot = Rc::new(Slot::new(Arc::clone(&current), stores.connect()));
        App::new().default_service(fn_service(move |request: ServiceRequest| {
            let slot = Rc::clone(&slot);
            async move { Ok::<_, actix_web::Error>(answer(&slot.worker(), request).await) }
        }))
    });
    let server = match config.workers {
        Some(workers) => server.workers(workers),
        None => server,
    };
    let server = server
        .tcp_nodelay(true)
        .keep_alive(config.keep_alive)
        .h1_allow_half_closed(false)
        .disable_signals()
        .shutdown_timeout(config.shutdown_grace.saturating_sub(config.drain_delay).as_secs().max(1));
    Ok(match &reload.certificate {
        None => server.listen(listener)?,
        Some(certificate) => server.listen_rustls_0_23(listener, certificate.server_config()?)?,
    }
    .run())
}

/// One worker thread's own view of the current generation.
struct Slot {
    current: Arc<ArcSwap<Generation>>,
    store: Arc<dyn Store>,
    ready: RefCell<(Arc<Generation>, Rc<Worker>)>,
}

impl Slot {
    fn new(current: Arc<ArcSwap<Generation>>, store: Arc<dyn Store>) -> Self {
        let generation = current.load_full();
        let worker = generation.worker(Arc::clone(&store));
        let worker = Rc::new(worker.expect("the certificate files were read a moment ago, when the gateway was built"));
        Self { current, store, ready: RefCell::new((generation, worker)) }
    }

    /// The worker of the current generation. Should its certificate files be gone by now, the one before goes on.
    fn worker(&self) -> Rc<Worker> {
        let current = self.current.load();
        let mut ready = self.ready.borrow_mut();
        if !Arc::ptr_eq(&ready.0, &current) {
            match current.worker(Arc::clone(&self.store)) {
                Ok(worker) => *ready = (Arc::clone(&current), Rc::new(worker)),
                Err(error) => tracing::error!(event = "reload_incomplete", %error),
            }
        }
        Rc::clone(&ready.1)
    }
}
