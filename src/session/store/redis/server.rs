//! The servers of one configuration, shared by all workers of a process: where connections come from, and the news.

use std::sync::Arc;

use super::RedisStore;
use super::link::Link;
use super::listener::{self, Audience};
use super::settings::Settings;
use super::topology::Topology;
use crate::clock::Clock;
use crate::config::RedisConfig;
use crate::session::store::StoreError;
use crate::session::store::changes::Changes;

/// A checked configuration, from which each worker makes connections of its own, and what this process hears of changes.
#[derive(Clone)]
pub struct RedisServer {
    topology: Arc<Topology>,
    changes: Arc<Changes>,
}

impl RedisServer {
    /// Reads the certificates; contacts nothing.
    ///
    /// # Errors
    /// When a certificate file cannot be used.
    pub fn new(config: &RedisConfig) -> Result<Self, StoreError> {
        let topology = Arc::new(Topology::new(Settings::new(config.clone())?));
        Ok(Self { topology, changes: Arc::default() })
    }

    /// A store whose connections are made by its first commands, on the runtime that runs them.
    #[must_use]
    pub fn connect(&self, clock: Clock) -> RedisStore {
        RedisStore { link: Link::new(Arc::clone(&self.topology)), changes: Arc::clone(&self.changes), clock }
    }

    /// What is heard of changes, while somebody [listens](Self::listen).
    #[must_use]
    pub const fn changes(&self) -> &Arc<Changes> {
        &self.changes
    }

    /// Hears of changes by all replicas and tells `audience`. Runs until it is dropped, whatever the state of the servers.
    pub async fn listen(&self, audience: &dyn Audience) {
        listener::listen(&Link::new(Arc::clone(&self.topology)), audience).await;
    }

    /// From now on connections are made with these credentials and certificates. Those that exist are left to the
    /// requests that are under way on them; the next request of each worker makes a new one.
    ///
    /// # Errors
    /// When other servers are meant, or a certificate file cannot be used; then nothing has changed.
    pub fn reconfigure(&self, config: &RedisConfig) -> Result<(), StoreError> {
        let current = self.topology.settings();
        if !current.config.same_servers(config) {
            return Err(StoreError("other servers than before take a restart".to_owned()));
        }
        // The files of an encrypted connection may have changed under the same names.
        if config.encrypted || current.config != *config {
            self.topology.change(Settings::new(config.clone())?);
        }
        Ok(())
    }
}
