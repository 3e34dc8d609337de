//! A logout that the provider asks for through the user's own browser (OpenID Connect Front-Channel Logout §3).
//!
//! The request comes from a frame of the provider's page, where browsers send no cookie of ours. It proves nothing but
//! that whoever makes it knows the session's `sid`, which is why a provider must be allowed to do this.

use std::sync::Arc;

use super::Auth;
use crate::provider::Provider;
use crate::session::store::StoreError;
use crate::telemetry::metrics;

/// Why nothing was ended.
#[derive(Debug, thiserror::Error)]
pub enum FrontchannelError {
    /// No provider of this site is that issuer and may do this.
    #[error("the issuer is no provider of this site that may end sessions through the browser")]
    Unknown,
    /// The store cannot say that the session is over.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Auth {
    /// Whether any provider of the site may end sessions through the browser.
    #[must_use]
    pub fn takes_front_channel_logout(&self) -> bool {
        self.providers.iter().any(Provider::takes_front_channel_logout)
    }

    /// Ends the sessions that come from `sid` of `issuer`. None is a success: they may be over already.
    ///
    /// # Errors
    /// [`FrontchannelError`] says why not.
    pub async fn end_by_front_channel(self: &Arc<Self>, issuer: &str, sid: &str) -> Result<(), FrontchannelError> {
        let may = |provider: &&Provider| provider.takes_front_channel_logout() && provider.issuer() == issuer;
        let provider = self.providers.iter().find(may).ok_or(FrontchannelError::Unknown)?.name().to_owned();
        let (auth, issuer, sid) = (Arc::clone(self), issuer.to_owned(), sid.to_owned());
        let ended =
            self.background.run(async move { auth.sessions.end_by_sid(auth.background.store(), &issuer, &sid).await });
        let ended = ended.await?;
        metrics::LOGOUTS.with([&self.name, "front_channel"]).add(ended);
        tracing::info!(event = "frontchannel_logout", site = self.name, provider, ended);
        Ok(())
    }
}
