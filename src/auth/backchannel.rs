//! A logout that the provider asks for behind the browser's back (OpenID Connect Back-Channel Logout §2.7).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Auth;
use crate::provider::{LogoutTokenError, Provider, ReceivedLogoutToken, VerifiedLogoutToken, Whose};
use crate::session::store::{Holder, Lease, StoreError, StoreKey};
use crate::telemetry::metrics;

/// How long one replica has a token to itself, should it die over it.
const LEASE: Duration = Duration::from_secs(10);
/// How long to wait between two looks at what another one makes of the same token.
const PAUSE: Duration = Duration::from_millis(50);

/// Why nothing is confirmed to the provider.
#[derive(Debug, thiserror::Error)]
pub enum BackchannelError {
    /// The token claims to be from nobody that this site knows, or for another client.
    #[error("the logout token: it is from no provider of this site, or for another client")]
    Unknown,
    /// The token is not believed.
    #[error(transparent)]
    Token(#[from] LogoutTokenError),
    /// The store cannot say that the sessions are over: the provider may send the token again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BackchannelError {
    /// Whether the token itself is at fault, and not what this gateway depends on.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Unknown | Self::Token(LogoutTokenError::Invalid(_)))
    }
}

impl Auth {
    /// Ends what a logout token names, once: the token is verified before anything is looked up, so that what is gone
    /// already is a success and what is forged never is. The tokens of ended sessions are deleted, not revoked: their
    /// provider knows (§2.7).
    ///
    /// # Errors
    /// [`BackchannelError`]; some sessions may have ended, and the same token ends the others when it comes again.
    pub async fn end_by_logout_token(self: &Arc<Self>, token: ReceivedLogoutToken) -> Result<(), BackchannelError> {
        // A stranger's token costs no more than this.
        let place = self.providers.iter().position(|provider| token.is_from(provider));
        let place = place.ok_or(BackchannelError::Unknown)?;
        let auth = Arc::clone(self);
        let work = async move {
            let provider = &auth.providers[place];
            let verified = provider.verify_logout_token(&token).await?;
            Ok(auth.end_once(provider, &verified).await?)
        };
        self.background.run(work).await
    }

    /// Of any number of copies of one token, on any number of replicas, one ends sessions, and the others wait until it
    /// has: a token captured and sent again must not end the next login. Only a success is remembered.
    async fn end_once(&self, provider: &Provider, token: &VerifiedLogoutToken) -> Result<(), StoreError> {
        let (store, holder) = (self.background.store(), Holder::random());
        let issuer = token.issuer().as_bytes();
        let key = StoreKey::of(&[b"logout token", self.name.as_bytes(), issuer, token.jti().as_bytes()]);
        loop {
            match store.hold(&key, holder, LEASE).await? {
                Lease::Mine => break,
                Lease::Taken(_) => tokio::time::sleep(PAUSE).await,
                Lease::Decided(_) => {
                    tracing::info!(event = "logout_token_replayed", site = self.name, provider = provider.name());
                    return Ok(());
                }
            }
        }
        let ended = self.end_whose(token).await;
        let remembered = token.until().since(self.clock.now());
        let verdict = ended.is_ok().then(|| (Bytes::from_static(b"ended"), remembered.max(LEASE)));
        let released = store.release(&key, holder, verdict).await;
        let ended = ended?;
        metrics::LOGOUTS.with([&self.name, "back_channel"]).add(ended);
        let (by, user) = match token.whose() {
            Whose::Session(_) => ("sid", None),
            Whose::Subject(subject) => ("sub", Some(self.ring.pin(token.issuer(), subject))),
        };
        tracing::info!(event = "backchannel_logout", site = self.name, provider = provider.name(), by, user, ended);
        released
    }

    async fn end_whose(&self, token: &VerifiedLogoutToken) -> Result<u64, StoreError> {
        let store = self.background.store();
        match token.whose() {
            Whose::Session(sid) => self.sessions.end_by_sid(store, token.issuer(), sid).await,
            Whose::Subject(subject) => self.sessions.end_by_subject(store, token.issuer(), subject).await,
        }
    }
}
