//! A login with credentials that the gateway hands on: for providers that have no login page.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::pending::LOGIN_LIFETIME;
use super::{Auth, Session};
use crate::clock::Timestamp;
use crate::provider::{Credentials, LogInError, Provider};
use crate::secret::ApiCookies;
use crate::session::keyring::Purpose;
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
            Self::Provider(LogInError::Unfinished(_)) => "unfinished",
            Self::Provider(LogInError::Unavailable(_)) => "provider_unavailable",
            Self::Provider(LogInError::Unusable(_)) => "invalid",
            Self::Provider(LogInError::Unidentified(_)) => "unidentified",
            Self::Store(_) => "store_unavailable",
        }
    }
}

/// How long a person may take for the second step, as for a login at a provider's own page.
const STEP_LIFETIME: Duration = LOGIN_LIFETIME;

/// Tells the way to a second step from every other note that is sealed under a site's key.
const CONTEXT: &[&[u8]] = &[b"login step"];

/// The way from one step of a login to the next, which goes through the page.
#[derive(Serialize, Deserialize)]
pub struct NextStep {
    /// Whose login it is.
    pub provider: String,
    /// Who that was, whatever a reload makes of the name meanwhile.
    issuer: String,
    at: Timestamp,
    /// What the API must see again.
    pub cookies: ApiCookies,
}

impl NextStep {
    fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(self.at) <= STEP_LIFETIME
    }
}

impl Auth {
    /// Seals the way to the second step of a login at the provider of that name.
    #[must_use]
    pub fn seal_next_step(&self, provider: &Provider, cookies: &ApiCookies) -> String {
        let (name, issuer) = (provider.name().to_owned(), provider.issuer().to_owned());
        let next = NextStep { provider: name, issuer, at: self.clock.now(), cookies: cookies.clone() };
        let json = Zeroizing::new(serde_json::to_vec(&next).expect("names and cookies are plain text"));
        URL_SAFE_NO_PAD.encode(self.ring.seal(Purpose::Note, CONTEXT, &json))
    }

    /// Opens it; `None` when this site did not seal it, it is too old, or there is no such provider any more.
    #[must_use]
    pub fn open_next_step(&self, sealed: &str) -> Option<NextStep> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let json = Zeroizing::new(self.ring.open(Purpose::Note, CONTEXT, &sealed)?);
        let next: NextStep = serde_json::from_slice(&json).ok()?;
        self.provider_of(&next.provider, &next.issuer)?;
        next.is_fresh(self.clock.now()).then_some(next)
    }

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
            LogInFailure::Provider(LogInError::Unfinished(_)) => {
                tracing::info!(event = "login_unfinished", %site, provider);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_second_step_is_open_for_ten_minutes() {
        let next = NextStep {
            provider: "api".into(),
            issuer: "https://api.example/login".into(),
            at: Timestamp::from_secs(1000),
            cookies: ApiCookies::new("a=1"),
        };
        assert!(next.is_fresh(Timestamp::from_secs(1600)));
        assert!(!next.is_fresh(Timestamp::from_secs(1601)));
    }
}
