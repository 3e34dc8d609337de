//! An operator's hand on a shared store: sessions listed, ended and counted without a running gateway.

use std::sync::Arc;
use std::time::Duration;

use super::BuildError;
use crate::auth::sessions::{KeyReport, Listing, Roster, RosterError, Target};
use crate::clock::Clock;
use crate::config::{Config, StoreConfig, StoreKind};
use crate::session::store::{Store, StoreError, Stores};

/// Works on the store of a configuration.
pub struct Operator {
    roster: Roster,
    store: Arc<dyn Store>,
}

impl Operator {
    /// Opens the store, if it is one that processes share; an embedded one belongs to the gateway that runs on it.
    ///
    /// # Errors
    /// [`BuildError`] says what cannot be used.
    pub fn of(config: &Config) -> Result<Option<Self>, BuildError> {
        if matches!(config.store.kind, StoreKind::Memory | StoreKind::File(_)) {
            return Ok(None);
        }
        // The only error is that a provider is installed already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let store = store_itself(&config.store).map_err(|error| BuildError(error.to_string()))?;
        Ok(Some(Self { roster: Roster::of_config(&config.sites, &Clock::System), store }))
    }

    /// As [`Roster::list`].
    ///
    /// # Errors
    /// [`RosterError`]
    pub async fn list(
        &self,
        site: Option<&str>,
        subject: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<Listing, RosterError> {
        self.roster.list(&*self.store, site, subject, cursor).await
    }

    /// As [`Roster::revoke`].
    ///
    /// # Errors
    /// [`RosterError`]
    pub async fn revoke(&self, site: Option<&str>, target: &Target) -> Result<u64, RosterError> {
        self.roster.revoke(&*self.store, site, target, "command line").await
    }

    /// As [`Roster::keys`].
    ///
    /// # Errors
    /// [`RosterError`]
    pub async fn keys(&self) -> Result<KeyReport, RosterError> {
        Ok(self.roster.keys(&*self.store).await?)
    }
}

/// A way to the store on which nothing is answered from memory: what the store does not say is an error.
///
/// # Errors
/// [`StoreError`] when certificates cannot be read. Nothing is contacted before the first command.
pub(super) fn store_itself(config: &StoreConfig) -> Result<Arc<dyn Store>, StoreError> {
    let config = StoreConfig { grace: Duration::ZERO, ..config.clone() };
    Ok(Stores::open(&config, Clock::System)?.connect())
}
