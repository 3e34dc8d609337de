//! The store of the configuration, and how the threads of this process come to it.

use std::sync::Arc;

use super::file::FileStore;
use super::memory::MemoryStore;
use super::near::{Memory, Near, PENDING_ENDS};
use super::redis::{RedisServer, RedisStore};
use super::{Store, StoreError};
use crate::clock::Clock;
use crate::config::{StoreConfig, StoreKind};

/// Where connections to the configured store come from.
#[derive(Clone)]
pub struct Stores {
    source: Source,
    /// As it was opened.
    config: StoreConfig,
}

#[derive(Clone)]
enum Source {
    /// Every worker shares the one store of this process.
    Embedded(Arc<dyn Store>),
    /// Every worker connects.
    Redis(Arc<Remote>),
}

struct Remote {
    server: RedisServer,
    clock: Clock,
    /// What all workers of this process know together.
    memory: Arc<Memory>,
    /// The connection that ends what ended during an outage.
    flusher: RedisStore,
}

impl Stores {
    /// Prepares the store of the configuration. A `file:` is opened and locked here; Redis is contacted by nothing but
    /// the first command, so that its being down does not stop the start.
    ///
    /// # Errors
    /// When the file cannot be opened, or certificates cannot be read.
    pub fn open(config: &StoreConfig, clock: Clock) -> Result<Self, StoreError> {
        let source = match &config.kind {
            StoreKind::Memory => Source::Embedded(Arc::new(MemoryStore::new(clock))),
            StoreKind::File(path) => Source::Embedded(Arc::new(FileStore::open(path, clock)?)),
            StoreKind::Redis(redis) => {
                let server = RedisServer::new(redis)?;
                let changes = Arc::clone(server.changes());
                let memory = Arc::new(Memory::new(config.grace, changes, clock.clone()));
                let flusher = server.connect(clock.clone());
                Source::Redis(Arc::new(Remote { server, clock, memory, flusher }))
            }
        };
        Ok(Self { source, config: config.clone() })
    }

    /// The store as seen from this thread's runtime: embedded stores are shared, each call opens a Redis connection of
    /// its own (one shared by all workers costs twice the CPU). Call once per worker.
    #[must_use]
    pub fn connect(&self) -> Arc<dyn Store> {
        match &self.source {
            Source::Embedded(store) => Arc::clone(store),
            Source::Redis(remote) => {
                let store = Arc::new(remote.server.connect(remote.clock.clone()));
                Arc::new(Near::new(store, Arc::clone(&remote.memory)))
            }
        }
    }

    /// Sends the ends that an outage kept from the store, as far as it answers again, and lets go of copies that nobody
    /// asked for. Call every second or so, always from the same runtime; without an outage it costs nothing.
    pub async fn flush_pending_ends(&self) {
        let Source::Redis(remote) = &self.source else { return };
        remote.memory.flush(&remote.flusher, PENDING_ENDS).await;
    }

    /// Hears of what other replicas change, for as long as it is polled. Spawn it once per process, on a runtime that
    /// lives as long as the process does; it needs no restart, whatever happens to the servers. An embedded store has no
    /// other replicas, and this ends at once. Until it runs, `changed` waits for its whole time.
    pub async fn listen(&self) {
        if let Source::Redis(remote) = &self.source {
            remote.server.listen(&**remote.server.changes()).await;
        }
    }

    /// Takes over new credentials and certificates for the same servers: every connection of this process is made
    /// anew before its next request. Redis must accept the new ones by then, and is best told to accept both meanwhile.
    ///
    /// # Errors
    /// When anything else has changed, which takes a restart, or a certificate file cannot be used. Nothing has changed then.
    pub fn reconfigure(&self, config: &StoreConfig) -> Result<(), StoreError> {
        let restart = |what: &str| Err(StoreError(format!("[store] {what} has changed, which takes a restart")));
        if config.grace != self.config.grace {
            return restart("grace");
        }
        match (&self.source, &config.kind) {
            (Source::Redis(remote), StoreKind::Redis(redis)) => remote.server.reconfigure(redis),
            (Source::Embedded(_), kind) if *kind == self.config.kind => Ok(()),
            _ => restart("url"),
        }
    }
}
