//! The one place where everything is wired: configuration in, a running gateway out, for `main`, `dev` and tests alike.

use crate::clock::Clock;
use crate::config::Config;

/// A gateway whose listeners are bound; it serves once it runs.
pub struct Gateway {}

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BuildError(pub String);

impl Gateway {
    /// Binds the listeners and opens the store. Contacts neither provider nor upstream, so that their being down does
    /// not stop the start.
    ///
    /// # Errors
    /// [`BuildError`] says what cannot be used.
    pub fn build(config: Config, clock: Clock) -> Result<Self, BuildError> {
        todo!("{config:?}{clock:?}")
    }

    /// The port of the public listener, for a configuration that asked for port 0.
    #[must_use]
    pub fn port(&self) -> u16 {
        todo!()
    }

    /// The port of the admin listener, if there is one.
    #[must_use]
    pub fn admin_port(&self) -> Option<u16> {
        todo!()
    }

    /// Serves until `stop` resolves, then drains. Must be called inside an actix system.
    ///
    /// # Errors
    /// When a listener breaks.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> std::io::Result<()> {
        stop.await;
        todo!()
    }
}
