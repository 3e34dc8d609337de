//! Whether a provider is there: what is known of it, and the question when that has become old.

use std::time::Duration;

use tokio::time::timeout;

use super::{Kind, Provider, ProviderStatus, Unavailable};

/// How long after its last answer a provider is asked anew, so that one that has gone is known to have.
pub const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// For how long after its last answer a login relies on it. Longer than [`LOOK_AGAIN`], so that a login rarely waits.
const RELIED_ON: Duration = Duration::from_secs(15);

/// How long a login waits for an answer; a provider that takes longer is asked on without it.
const PATIENCE: Duration = Duration::from_secs(5);

impl Provider {
    /// How the provider is doing, by what the last calls came to.
    #[must_use]
    pub fn status(&self) -> ProviderStatus {
        match &self.kind {
            Kind::CodeFlow(flow) => flow.status(),
            Kind::Relay(relay) => relay.status(),
        }
    }

    /// Asks the provider, unless it has answered a call within [`LOOK_AGAIN`], for its metadata, or for anything where it
    /// has none; and for what else is missing, old or broken. What is at hand stays if there is no answer.
    ///
    /// # Errors
    /// [`Unavailable`], which [`Provider::status`] then tells too.
    pub async fn warm_up(&self) -> Result<(), Unavailable> {
        match &self.kind {
            Kind::CodeFlow(flow) => flow.warm_up(LOOK_AGAIN).await,
            Kind::Relay(relay) => relay.warm_up(LOOK_AGAIN).await,
        }
    }

    /// Whether it makes sense to send a browser there: the provider has answered a call within [`RELIED_ON`], or does so now,
    /// within [`PATIENCE`]. However many want to know, it is asked once. One without pages is not asked: it tells with the
    /// credentials.
    ///
    /// # Errors
    /// [`Unavailable`], which [`Provider::status`] then tells too.
    pub async fn check_is_there(&self) -> Result<(), Unavailable> {
        let Kind::CodeFlow(flow) = &self.kind else { return Ok(()) };
        let late = |_| Err(Unavailable(format!("no answer within {} s", PATIENCE.as_secs())));
        timeout(PATIENCE, flow.server.warm_up(RELIED_ON)).await.unwrap_or_else(late)
    }
}
