//! The public listener's server: one worker thread a core, each with its own view of the current generation.

use std::cell::RefCell;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::{HttpService, Request};
use actix_server::GracefulShutdownSignal;
use actix_service::{IntoServiceFactory as _, ServiceFactory, ServiceFactoryExt as _, map_config};
use actix_tls::accept::rustls_0_23::{Acceptor, TlsStream};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{AppConfig, Server, ServiceRequest, fn_service};
use actix_web::{App, Error};
use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::net::TcpStream;

use super::Reload;
use super::generation::Generation;
use crate::config::ServerConfig;
use crate::connection::{Call, Connection, HEAD, Transport, Watched};
use crate::endpoints::{Worker, answer};
use crate::session::store::{Store, Stores};

/// How long a browser has to close a connection that the server has ended.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves on `listener`, with TLS if a certificate is configured.
pub(super) fn serve(
    config: &ServerConfig,
    listener: TcpListener,
    stores: &Arc<Stores>,
    reload: &Reload,
) -> std::io::Result<Server> {
    let server = Server::build()
        .disable_signals()
        .shutdown_timeout(config.shutdown_grace.saturating_sub(config.drain_delay).as_secs().max(1));
    let server = match config.workers {
        Some(workers) => server.workers(workers),
        None => server,
    };
    let stop = server.graceful_shutdown_signal();
    let (keep_alive, stores, current) = (config.keep_alive, Arc::clone(stores), Arc::clone(&reload.current));
    let worker = move || Rc::new(Slot::new(Arc::clone(&current), stores.connect()));
    Ok(match &reload.certificate {
        None => server.listen("plain", listener, move || {
            fn_service(move |stream: TcpStream| async move { watch(stream, keep_alive) }).and_then(http(
                worker(),
                keep_alive,
                &stop,
            ))
        })?,
        Some(certificate) => {
            let mut tls = certificate.server_config()?;
            tls.alpn_protocols = vec![b"http/1.1".to_vec()];
            server.listen("tls", listener, move || {
                Acceptor::new(tls.clone())
                    .map_err(|error| tracing::debug!(event = "handshake_failed", ?error))
                    .and_then(fn_service(move |stream: TlsStream<TcpStream>| async move { watch(stream, keep_alive) }))
                    .and_then(http(worker(), keep_alive, &stop))
            })?
        }
    }
    .run())
}

/// A new connection, watched, and the address of its other end.
fn watch<S: Transport>(stream: S, keep_alive: Duration) -> Result<(Watched<S>, Option<SocketAddr>), ()> {
    // What is small goes out at once. It fails only for a connection that has gone.
    stream.socket().set_nodelay(true).map_err(|error| tracing::debug!(event = "connection_gone", %error))?;
    let peer = stream.socket().peer_addr().ok();
    Ok((Watched::new(stream, keep_alive), peer))
}

/// Speaks HTTP/1.1 on watched connections.
fn http<S: Transport + 'static>(
    slot: Rc<Slot>,
    keep_alive: Duration,
    stop: &GracefulShutdownSignal,
) -> impl ServiceFactory<(Watched<S>, Option<SocketAddr>), Config = (), Response = (), Error = (), InitError = ()> + use<S>
{
    let stop = stop.clone();
    let app = App::new().default_service(fn_service(move |mut request: ServiceRequest| {
        let slot = Rc::clone(&slot);
        async move {
            let connection = Connection::of(request.request()).cloned();
            let call = connection.map(|connection| connection.call(&mut request));
            let response = answer(&slot.worker(), request).await;
            Ok::<_, Error>(response.map_body(|_, body| BoxBody::new(Answering { body, _call: call })))
        }
    }));
    HttpService::build()
        .keep_alive(keep_alive)
        .client_request_timeout(HEAD)
        .client_disconnect_timeout(FAREWELL)
        .h1_allow_half_closed(false)
        .graceful_shutdown_signal(move || {
            let stop = stop.clone();
            async move { stop.notified().await }
        })
        .expect(fn_service(async |request: Request| {
            if let Some(connection) = request.conn_data::<Rc<Connection>>() {
                connection.withhold_continue();
            }
            Ok::<_, Error>(request)
        }))
        .on_connect_ext(|stream: &Watched<S>, data| {
            data.insert(Rc::clone(stream.connection()));
        })
        .h1(map_config(app.into_factory().map_err(|error| error.error_response()), |()| AppConfig::default()))
        .map_err(|error| tracing::debug!(event = "connection_broke", %error))
}

/// The body of an answer; until it is through, its call is being answered.
struct Answering {
    body: BoxBody,
    _call: Option<Call>,
}

impl MessageBody for Answering {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
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
        let worker = Rc::new(generation.worker(Arc::clone(&store)));
        Self { current, store, ready: RefCell::new((generation, worker)) }
    }

    /// The worker of the current generation.
    fn worker(&self) -> Rc<Worker> {
        let current = self.current.load();
        let mut ready = self.ready.borrow_mut();
        if !Arc::ptr_eq(&ready.0, &current) {
            *ready = (Arc::clone(&current), Rc::new(current.worker(Arc::clone(&self.store))));
        }
        Rc::clone(&ready.1)
    }
}
