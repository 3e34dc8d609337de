//! A login with credentials that the gateway hands on: for providers that have no login page.

use std::sync::Arc;

use super::{Auth, Session};
use crate::provider::{Credentials, LogInError};
use crate::session::store::StoreError;
use crate::session::ticket::Ticket;
use crate::telemetry::metrics;

/// Why credentials did not become a session.
#[derive(Debug, thiserror::Error)]
pub enum LogInFailure {
    /// What the provider made of them.
    #[error(transparent)]
    Provider(#[from] LogInError),
    /// The store cannot take the session.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LogInFailure {
    /// The word in metrics, one of `LOGIN_OUTCOMES`.
    const fn word(&self) -> &'static str {
        match self {
            Self::Provider(LogInError::Refused(_)) => "refused",
            Self::Provider(LogInError::Unavailable(_)) => "provider_unavailable",
            Self::Provider(LogInError::Unusable(_)) => "invalid",
            Self::Provider(LogInError::Unidentified(_)) => "unidentified",
            Self::Store(_) => "store_unavailable",
        }
    }
}

impl Auth {
    /// Hands `credentials` to the provider of that name and makes a session with a new id of what it answers. Only then
    /// does the `previous` session end. Goes on when the browser goes away.
    ///
    /// # Errors
    /// [`LogInFailure`] says whose fault it is; no session was made.
    pub async fn log_in(
        self: &Arc<Self>,
        provider: &str,
        credentials: Credentials,
        previous: Option<Ticket>,
    ) -> Result<Session, LogInFailure> {
        let (auth, name) = (Arc::clone(self), provider.to_owned());
        let work = async move {
            let logged_in = auth.hand_on(&name, credentials, previous).await;
            let outcome = logged_in.as_ref().map_or_else(LogInFailure::word, |_| "success");
            metrics::LOGINS.with([&auth.name, &name, outcome]).add(1);
            if let Err(failure) = &logged_in {
                auth.tell_of(&name, failure);
            }
            logged_in
        };
        self.background.run(work).await
    }

    async fn hand_on(
        self: &Arc<Self>,
        name: &str,
        credentials: Credentials,
        previous: Option<Ticket>,
    ) -> Result<Session, LogInFailure> {
        let gone = || LogInError::Unavailable("it is not configured any more".to_owned());
        let provider = self.provider(name).ok_or_else(gone)?;
        let grant = provider.log_in(credentials).await?;
        Ok(self.enter(provider, (grant, None), previous).await?)
    }

    /// A wrong password is the user's; everything else is for an operator, and some of it will not pass by itself.
    fn tell_of(&self, provider: &str, failure: &LogInFailure) {
        let site = &self.site.origin;
        match failure {
            LogInFailure::Provider(LogInError::Refused(refusal)) => {
                tracing::info!(event = "login_refused", %site, provider, status = refusal.status);
            }
            LogInFailure::Provider(LogInError::Unavailable(_)) | LogInFailure::Store(_) => {
                tracing::warn!(event = "login_unavailable", %site, provider, why = %failure);
            }
            LogInFailure::Provider(LogInError::Unusable(_) | LogInError::Unidentified(_)) => {
                tracing::error!(event = "login_failed", %site, provider, error = %failure);
            }
        }
    }
}
