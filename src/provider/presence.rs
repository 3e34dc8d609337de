//! Whether a provider is there: what is known of it, and the question when that has become old.

use std::time::Duration;

use tokio::time::timeout;

use super::{Kind, Provider, ProviderStatus, Unavailable};

/// How often the background looks whether a provider has to be asked.
pub const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// How long after its last answer an OpenID provider is asked anew for its metadata, so that one that has gone is known to have.
const DOCUMENT_IS_OLD: Duration = Duration::from_secs(20);

/// The same where there is no such document, and what is asked is an API that may count its calls.
const ANSWER_IS_OLD: Duration = Duration::from_secs(60);

/// For how long after its last answer a login relies on it.
const RELIED_ON: Duration = Duration::from_secs(2);

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

    /// Asks the provider, unless it has answered a call a while ago, for its metadata, or for anything where it has none; and
    /// for what else is missing, old or broken. What is at hand stays if there is no answer.
    ///
    /// # Errors
    /// [`Unavailable`], which [`Provider::status`] then tells too.
    pub async fn warm_up(&self) -> Result<(), Unavailable> {
        match &self.kind {
            Kind::CodeFlow(flow) if flow.server.oidc().is_some() => flow.warm_up(DOCUMENT_IS_OLD).await,
            Kind::CodeFlow(flow) => flow.warm_up(ANSWER_IS_OLD).await,
            Kind::Relay(relay) => relay.warm_up().await,
        }
    }

    /// Whether it makes sense to send a browser there: the provider has answered a call within [`RELIED_ON`], or does so now,
    /// within [`PATIENCE`], whatever it says; a login needs no more of it than what is at hand. However many want to know, it
    /// is asked once. One without pages is not asked: it tells with the credentials.
    ///
    /// # Errors
    /// [`Unavailable`], when nobody answers.
    pub async fn check_is_there(&self) -> Result<(), Unavailable> {
        let Kind::CodeFlow(flow) = &self.kind else { return Ok(()) };
        if flow.caller.was_heard_within(RELIED_ON) {
            return Ok(());
        }
        let late = |_| Err(Unavailable(format!("no answer within {} s", PATIENCE.as_secs())));
        let answer = timeout(PATIENCE, flow.server.warm_up(RELIED_ON)).await.unwrap_or_else(late);
        if flow.caller.was_heard_within(RELIED_ON) { Ok(()) } else { answer }
    }
}
