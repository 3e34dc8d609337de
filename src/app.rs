//! The one place where everything is wired: configuration in, a running gateway out, for `main`, `dev` and tests alike.
//!
//! What a reload replaces is one value, a `Generation`; each worker thread notices a new one at its next request and
//! prepares itself for it, so that no connection and no request is dropped. What a reload cannot replace (listeners, the
//! addresses of the store) is refused.

mod census;
mod certificate;
mod doctor;
mod generation;
mod listen;
mod memory;
mod operator;
mod providers;
mod runtime;
mod serve;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use arc_swap::ArcSwap;
use rustls::sign::CertifiedKey;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::certificate::Certificate;
use self::generation::Generation;
use self::runtime::BackgroundRuntime;
use crate::admin::{self, Desk};
use crate::auth::{Background, Streams};
use crate::clock::Clock;
use crate::config::{Config, ServerConfig, ServerTls};
use crate::session::store::Stores;
use crate::tls;

pub use self::doctor::{Finding, examine};
pub use self::operator::Operator;
pub use crate::auth::sessions::{KeyCount, KeyReport, ListedSession, Listing, Target};

/// Over how long a time open streams are closed at a stop, at most.
const LONGEST_FAREWELL: Duration = Duration::from_secs(10);

/// How often ends that an outage kept from the store are sent again.
const LOOK_AT_STORE: Duration = Duration::from_secs(1);

/// A gateway whose listeners are bound; it serves once it runs.
pub struct Gateway {
    server: ServerConfig,
    public: TcpListener,
    admin: Option<TcpListener>,
    stores: Arc<Stores>,
    background: Background,
    runtime: BackgroundRuntime,
    reload: Reload,
}

/// Why a gateway cannot start, or cannot take a new configuration.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BuildError(pub String);

/// Gives a running gateway a new configuration.
#[derive(Clone)]
pub struct Reload {
    current: Arc<ArcSwap<Generation>>,
    /// Told of each new one.
    renewed: Arc<Notify>,
    desk: Desk,
    background: Background,
    streams: Streams,
    stores: Arc<Stores>,
    certificate: Option<Certificate>,
    clock: Clock,
}

impl Gateway {
    /// Binds the listeners and opens the store. Contacts neither provider nor upstream, so that their being down does
    /// not stop the start.
    ///
    /// # Errors
    /// [`BuildError`] says what cannot be used.
    pub fn build(config: Config, clock: Clock) -> Result<Self, BuildError> {
        // The only error is that a provider is installed already, by an earlier gateway of this process.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let certificate = config.server.tls.as_ref().map(read_pair).transpose()?.map(Certificate::new);
        let public = bind(config.server.listen)?;
        let admin = config.admin.listen.map(bind).transpose()?;
        let stores = Stores::open(&config.store, clock.clone()).map_err(|error| BuildError(error.to_string()))?;
        let runtime = BackgroundRuntime::start()
            .map_err(|error| BuildError(format!("no thread for background work: {error}")))?;
        let background = Background::new(runtime.handle(), stores.connect());
        let (server, desk_config) = (config.server.clone(), config.admin.clone());
        let streams = Streams::default();
        let first = Generation::new(config, &clock, &background, &streams, None)?;
        let desk = Desk::new(first.auths.clone(), &desk_config);
        let current = Arc::new(ArcSwap::from_pointee(first));
        let stores = Arc::new(stores);
        let reload = Reload {
            current,
            renewed: Arc::default(),
            desk,
            background: background.clone(),
            streams,
            stores: Arc::clone(&stores),
            certificate,
            clock,
        };
        Ok(Self { server, public, admin, stores, background, runtime, reload })
    }

    /// The port of the public listener, for a configuration that asked for port 0.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.public.local_addr().map_or(0, |address| address.port())
    }

    /// The port of the admin listener, if there is one.
    #[must_use]
    pub fn admin_port(&self) -> Option<u16> {
        self.admin.as_ref()?.local_addr().ok().map(|address| address.port())
    }

    /// The handle by which a new configuration is given.
    #[must_use]
    pub fn reloader(&self) -> Reload {
        self.reload.clone()
    }

    /// Serves until `stop` resolves, then drains: not ready, a moment for whoever balances the load to see it, no new
    /// connections, and what runs is finished within the grace. Must be called inside an actix system.
    ///
    /// # Errors
    /// When a listener breaks.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> std::io::Result<()> {
        let Self { server: config, public, admin, stores, background, runtime, reload } = self;
        let store = stores.connect();
        let admin = admin.map(|listener| admin::serve(listener, &reload.desk, &store)).transpose()?;
        let admin_handle = admin.as_ref().map(Server::handle);
        let server = serve::serve(&config, public, &stores, &reload)?;
        let handle = server.handle();
        let chores = reload.chores(&runtime, admin.is_some());
        let admin = admin.map(actix_web::rt::spawn);
        let mut serving = actix_web::rt::spawn(server);
        tracing::info!(event = "started", listen = %config.listen, version = env!("CARGO_PKG_VERSION"));
        let broken = tokio::select! {
            () = stop => None,
            broken = &mut serving => Some(broken.map_err(std::io::Error::other).and_then(|served| served)),
        };
        tracing::info!(event = "stopping");
        let deadline = Instant::now() + config.shutdown_grace;
        reload.desk.drain();
        if broken.is_none() {
            tokio::time::sleep(config.drain_delay).await;
            reload.streams.drain(farewell(&config));
            // The server counts whole seconds, one at least: what is left then ends with the process.
            let _ = tokio::time::timeout_at(deadline, handle.stop(true)).await;
        }
        chores.iter().for_each(JoinHandle::abort);
        if tokio::time::timeout_at(deadline, background.finish()).await.is_err() {
            tracing::warn!(event = "work_abandoned", "background work did not end within shutdown_grace");
        }
        if let (Some(handle), Some(admin)) = (admin_handle, admin) {
            handle.stop(false).await;
            let _ = admin.await;
        }
        drop(runtime);
        tracing::info!(event = "stopped");
        broken.unwrap_or(Ok(()))
    }
}

/// Runs `work` to its end in an actix system of its own, on this thread.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    actix_web::rt::System::new().block_on(work)
}

impl Reload {
    /// Takes a new configuration over, and forgets what the providers said. No request is dropped.
    ///
    /// # Errors
    /// [`BuildError`], and the old configuration goes on.
    pub fn apply(&self, config: Config) -> Result<(), BuildError> {
        let current = self.current.load_full();
        current.accepts(&config)?;
        let next = Generation::new(config, &self.clock, &self.background, &self.streams, Some(&current))?;
        let pair = next.config.server.tls.as_ref().map(read_pair).transpose()?;
        self.stores.reconfigure(&next.config.store).map_err(|error| BuildError(error.0))?;
        if let (Some(certificate), Some(pair)) = (&self.certificate, pair) {
            certificate.renew(pair);
        }
        self.desk.update(next.auths.clone(), &next.config.admin);
        current.succeeded_by(&next);
        self.current.store(Arc::new(next));
        self.renewed.notify_one();
        Ok(())
    }

    /// What goes on beside the requests, until it is aborted.
    fn chores(&self, runtime: &BackgroundRuntime, counting: bool) -> Vec<JoinHandle<()>> {
        let stores = Arc::clone(&self.stores);
        let mut chores = vec![
            runtime.spawn(providers::look_after(Arc::clone(&self.current), Arc::clone(&self.renewed))),
            runtime.spawn(look_after_store(Arc::clone(&stores))),
            runtime.spawn(async move { stores.listen().await }),
            runtime.spawn(memory::give_back()),
        ];
        if counting {
            chores.push(runtime.spawn(census::take(Arc::clone(&self.current), self.background.clone())));
        }
        chores
    }
}

/// Over how long a time open streams are closed at a stop: half of what is left for it, so that requests have time as well.
fn farewell(config: &ServerConfig) -> Duration {
    (config.shutdown_grace.saturating_sub(config.drain_delay) / 2).min(LONGEST_FAREWELL)
}

/// Brings to the store what an outage kept from it.
async fn look_after_store(stores: Arc<Stores>) {
    loop {
        stores.flush_pending_ends().await;
        tokio::time::sleep(LOOK_AT_STORE).await;
    }
}

fn read_pair(files: &ServerTls) -> Result<CertifiedKey, BuildError> {
    tls::identity(&files.cert, &files.key).map_err(|error| BuildError(error.to_string()))
}

fn bind(address: SocketAddr) -> Result<TcpListener, BuildError> {
    listen::bind(address).map_err(|error| BuildError(format!("cannot listen on {address}: {error}")))
}
