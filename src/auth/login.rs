//! A login: begun with a redirect to the provider, completed when the browser comes back with a code.

mod failure;

use std::sync::Arc;
use std::time::Duration;

use url::Url;

pub use self::failure::{BeginError, CallbackError};

use self::failure::refused;
use super::Auth;
use super::budget::Call;
use super::pending::{Hints, LOGIN_LIFETIME, PendingLogin};
use crate::config::SameSite;
use crate::guard::return_to::ReturnTo;
use crate::provider::{Answer, Attempt, AuthorizeError, Grant, LoginHints, Provider, RedeemError};
use crate::secret::{AuthorizationCode, CodeVerifier, Nonce, State};
use crate::session::ticket::Ticket;
use crate::telemetry::metrics;

/// How long a browser that comes back waits for its turn at the token endpoint.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a browser asks for when it starts a login.
#[derive(Clone, Debug)]
pub struct LoginRequest {
    /// The provider's configured name; `None` is the default.
    pub provider: Option<String>,
    /// Where the login ends.
    pub return_to: ReturnTo,
    /// What is passed on.
    pub hints: LoginHints,
    /// Whether this is the one restart of a login whose callback could not be used.
    pub restart: bool,
    /// The session of this browser, which the login is to replace.
    pub previous: Option<Ticket>,
}

/// A login that has begun.
#[derive(Debug)]
pub struct Begun {
    /// Where the browser goes.
    pub location: Url,
    /// What its login cookie must bring back.
    pub pending: PendingLogin,
}

/// What the browser came back with.
#[derive(Debug)]
pub struct Arrival {
    /// What the provider sent.
    pub answer: Answer,
    /// The name of the provider whose own redirect URI it came to; `None` is the shared one.
    pub at: Option<String>,
}

/// A login that is complete.
#[derive(Debug)]
pub struct Completed {
    /// The new session's ticket.
    pub ticket: Ticket,
    /// Where the browser goes.
    pub return_to: ReturnTo,
}

impl Auth {
    /// Begins a login. Writes nothing anywhere; a live session stays as it is until the login succeeds.
    ///
    /// # Errors
    /// [`BeginError`] when the provider is unknown or cannot be used.
    pub async fn begin_login(self: &Arc<Self>, request: LoginRequest) -> Result<Begun, BeginError> {
        let auth = Arc::clone(self);
        self.background.run(async move { auth.begin(request).await }).await
    }

    async fn begin(&self, request: LoginRequest) -> Result<Begun, BeginError> {
        let provider = self.provider_for(request.provider.as_deref()).ok_or(BeginError::UnknownProvider)?;
        let attempt = Attempt {
            state: PendingLogin::new_state(request.restart),
            nonce: Nonce::random(),
            verifier: CodeVerifier::random(),
            dpop_key: provider.new_dpop_key(),
        };
        let asked = async {
            provider.check_is_there().await?;
            provider.authorization_url(&attempt, &request.hints).await
        };
        let location = asked.await.inspect_err(|error| {
            let outcome = match error {
                AuthorizeError::Unavailable(_) => "provider_unavailable",
                AuthorizeError::Misconfigured(_) => "misconfigured",
            };
            metrics::LOGINS.with([&self.name, provider.name(), outcome]).add(1);
        })?;
        let pending = PendingLogin {
            provider: provider.name().to_owned(),
            issuer: provider.issuer().to_owned(),
            state: attempt.state,
            nonce: attempt.nonce,
            verifier: attempt.verifier,
            dpop_key: attempt.dpop_key,
            return_to: request.return_to.as_str().to_owned(),
            started: self.clock.now(),
            response_mode: provider.response_mode(),
            silent: request.hints.prompt.as_deref() == Some("none"),
            hints: Hints::of(&request.hints),
            further_scopes: request.hints.further_scopes,
            // A lax cookie comes along to the callback.
            previous: request.previous.filter(|_| self.site.session.same_site == SameSite::Strict),
        };
        Ok(Begun { location, pending })
    }

    /// Completes a login: consumes the state, checks the issuer, redeems the code once, and makes a session with a new
    /// id. Only then does the `previous` session end. Goes on when the browser goes away.
    ///
    /// # Errors
    /// [`CallbackError`] says whose fault it is; no session was made.
    pub async fn complete_login(
        self: &Arc<Self>,
        pending: PendingLogin,
        arrival: Arrival,
        previous: Option<Ticket>,
    ) -> Result<Completed, CallbackError> {
        let auth = Arc::clone(self);
        let work = async move {
            let provider = pending.provider.clone();
            let completed = auth.complete(pending, arrival, previous).await;
            let outcome = completed.as_ref().map_or_else(CallbackError::word, |_| "success");
            metrics::LOGINS.with([&auth.name, &provider, outcome]).add(1);
            completed
        };
        self.background.run(work).await
    }

    async fn complete(
        self: &Arc<Self>,
        pending: PendingLogin,
        arrival: Arrival,
        previous: Option<Ticket>,
    ) -> Result<Completed, CallbackError> {
        let return_to = ReturnTo::parse(&pending.return_to, &self.site.base_path)
            .map_err(|error| CallbackError::Invalid(error.to_string()))?;
        let provider = self
            .provider_of(&pending.provider, &pending.issuer)
            .ok_or_else(|| CallbackError::Invalid("the provider of this login is not configured any more".into()))?;
        self.consume(&pending.state).await?;
        // Else one provider could have another's code sent to itself (RFC 9700 §4.4).
        if arrival.at.as_deref() != self.site.own_callback(&pending.provider) {
            return Err(CallbackError::Invalid("the response came to another provider's redirect URI".into()));
        }
        let response = provider.believe(arrival.answer, pending.response_mode, &pending.state).await?;
        self.refuse_anothers(provider, response.iss.as_deref())?;
        provider.check_response_issuer(response.iss.as_deref()).await?;
        let code = response.outcome.map_err(|error| refused(error, pending.silent, &return_to))?;
        let PendingLogin { state, nonce, verifier, dpop_key, further_scopes, .. } = pending;
        let attempt = Attempt { state, nonce, verifier, dpop_key };
        let mut grant = self.redeem(provider, &code, &attempt).await?;
        // What is not said is as it was asked for (RFC 6749 §5.1).
        if grant.tokens.scope.is_none() && !further_scopes.is_empty() {
            grant.tokens.scope = Some([provider.scopes(), &further_scopes].concat().join(" "));
        }
        let session = self.enter(provider, (grant, attempt.dpop_key), previous).await?;
        Ok(Completed { ticket: session.ticket, return_to })
    }

    /// Redeems the code when it is this login's turn at the token endpoint.
    async fn redeem(
        &self,
        provider: &Provider,
        code: &AuthorizationCode,
        attempt: &Attempt,
    ) -> Result<Grant, CallbackError> {
        let (purse, store) = (self.purse(provider), self.background.store());
        purse.turn(store, Call::Login, PATIENCE).await.map_err(CallbackError::Busy)?;
        let redeemed = provider.redeem(code, attempt).await;
        if let Err(RedeemError::Throttled(pause)) = &redeemed {
            purse.pause(store, *pause).await;
        }
        Ok(redeemed?)
    }

    /// An answer that names another provider of this site is that one's, even where `provider` has no issuer of its own to
    /// compare with (RFC 9207 §2.4).
    fn refuse_anothers(&self, provider: &Provider, iss: Option<&str>) -> Result<(), CallbackError> {
        let named = |other: &&Provider| Some(other.issuer()) == iss;
        match self.providers.iter().find(named) {
            Some(other) if other.issuer() != provider.issuer() => {
                Err(CallbackError::Invalid("the response is another provider's".into()))
            }
            _ => Ok(()),
        }
    }

    /// Of any number of callbacks with one state, on any number of replicas, one passes.
    async fn consume(&self, state: &State) -> Result<(), CallbackError> {
        let key = self.note_key(b"login", state.expose());
        let first = self.background.store().put_once(&key, bytes::Bytes::new(), LOGIN_LIFETIME).await?;
        if first { Ok(()) } else { Err(CallbackError::Consumed) }
    }
}
