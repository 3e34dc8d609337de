//! One refresh of one session, in its own task: a browser that disconnects aborts nothing, a shutdown waits for it.
//!
//! The flight gets the session's lease, reads the record again, and calls the provider once. The lease is renewed from
//! then on until what came of it is stored, however slow the provider; a flight that sees no sign of life of the holder for
//! four seconds, while the store answers, inherits the lease and calls itself (`vigil`). So a store that stands still makes
//! no second holder, however long. A holder that was merely stopped, or cut off from a store that others reach, and
//! wakes up after its lease, does no harm: what it got meets a newer version (`keep`), and what it was refused ends only
//! the record that was refused (`reject`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::vigil::Vigil;
use super::{COOL_DOWN, Outcome, Tell};
use crate::auth::{Auth, CurrentError, Session, Why};
use crate::provider::{Provider, Refreshed};
use crate::secret::RefreshToken;
use crate::session::store::{Holder, Lease, Loaded, StoreError, StoreKey};
use crate::session::ticket::Ticket;
use crate::telemetry::metrics;

/// How long a lease stays without a renewal at most. Not the time that others wait for a sign of life, which is
/// [`Vigil`]'s, but longer than any store stands still for that comes back at all.
const LEASE: Duration = Duration::from_secs(600);

/// How often the holder renews it, and how soon again when that failed.
const RENEWAL: Duration = Duration::from_secs(1);
const RENEWAL_RETRY: Duration = Duration::from_millis(200);

/// How long to wait for news of a session that another process refreshes before asking for its lease again.
const NEWS: Duration = Duration::from_millis(250);

/// What a lease is released with after a call that gave no token, for all replicas to see.
const UNAVAILABLE: Bytes = Bytes::from_static(b"unavailable");

/// How often in a row the store may fail somebody who waits for another process's answer.
const PATIENCE: u32 = 4;

/// What a flight came to.
struct Answered {
    outcome: Outcome,
    /// What the other replicas are told for a while, if it is no token.
    verdict: Option<(Bytes, Duration)>,
}

/// A refresh on its way.
pub(super) struct Flight {
    pub(super) auth: Arc<Auth>,
    pub(super) key: StoreKey,
    /// The generation of the token that is being replaced.
    pub(super) generation: u64,
    pub(super) tell: Tell,
    ticket: Ticket,
    lease: StoreKey,
    holder: Holder,
}

impl Flight {
    pub(super) fn new(auth: Arc<Auth>, ticket: Ticket, generation: u64, tell: Tell) -> Self {
        let key = ticket.store_key(&auth.site.origin);
        let lease = StoreKey::of(&[b"refresh", key.as_bytes()]);
        Self { auth, ticket, key, lease, holder: Holder::random(), generation, tell }
    }

    /// Flies, tells everyone who waits, and lingers for a moment with what the provider would only say again. A store
    /// that failed may be back by the next request.
    pub(super) async fn fly(self) {
        let outcome = self.outcome().await;
        let lingers = matches!(outcome, Outcome::ProviderUnavailable | Outcome::Ended(_));
        self.tell.send_replace(Some(outcome));
        if lingers {
            tokio::time::sleep(COOL_DOWN).await;
        }
    }

    async fn outcome(&self) -> Outcome {
        loop {
            let answered = match self.take_lease().await {
                Err(outcome) => return outcome,
                Ok(()) => match self.unreplaced().await {
                    Err(outcome) => Answered { outcome, verdict: None },
                    Ok(session) => match self.refresh(session).await {
                        Some(answered) => answered,
                        None => continue,
                    },
                },
            };
            let released = self.auth.background.store().release(&self.lease, self.holder, answered.verdict).await;
            if let Err(error) = released {
                tracing::debug!(session = self.name(), %error, "the lease ends by itself");
            }
            return answered.outcome;
        }
    }

    /// Waits for the lease, or for whatever makes it needless. Once another process is known to refresh, the store may
    /// stumble for a moment: the answer is on its way, and nobody who waits for it should be sent away.
    async fn take_lease(&self) -> Result<(), Outcome> {
        let store = self.auth.background.store();
        let (mut patience, mut vigil) = (0, Vigil::default());
        loop {
            match store.inherit(&self.lease, self.holder, vigil.over(), LEASE).await {
                Ok(Lease::Mine) => return Ok(()),
                // A holder that was stopped may have stored a token after another one had given up.
                Ok(Lease::Decided(_)) => return Err(self.overtaken().await.unwrap_or(Outcome::ProviderUnavailable)),
                Ok(Lease::Taken(sign)) => {
                    vigil.saw(sign, Instant::now());
                    patience = PATIENCE;
                }
                Err(error) if patience == 0 => return Err(self.postponed(&error)),
                Err(_) => {
                    vigil.saw_nothing();
                    patience -= 1;
                }
            }
            store.changed(&self.key, NEWS).await.map_err(|error| self.postponed(&error))?;
            match self.unreplaced().await {
                Ok(_) => {}
                Err(Outcome::StoreUnavailable) if patience > 0 => {
                    vigil.saw_nothing();
                    patience -= 1;
                }
                Err(outcome) => return Err(outcome),
            }
        }
    }

    /// The session, if its token is still the one that this flight is to replace.
    pub(super) async fn unreplaced(&self) -> Result<Session, Outcome> {
        let newest = self.newest().await?;
        if newest.record.meta.generation > self.generation {
            return Err(Outcome::Token(newest.record.secrets.access_token.clone()));
        }
        Ok(newest)
    }

    /// What happened to the session while the provider was asked, if something did: this process may have been stopped
    /// for longer than its lease, and then another one's answer counts, whatever the provider said to this one.
    async fn overtaken(&self) -> Option<Outcome> {
        match self.unreplaced().await {
            Ok(_) | Err(Outcome::StoreUnavailable) => None,
            Err(outcome) => Some(outcome),
        }
    }

    pub(super) async fn newest(&self) -> Result<Session, Outcome> {
        match self.auth.background.store().load_now(&self.key).await {
            // By the keys that there are now, whatever was reloaded since this began.
            Ok(Loaded::Live(stored)) => {
                self.auth.latest().judged(self.ticket.clone(), self.key, &stored).map_err(|error| match error {
                    CurrentError::Absent(why) => Outcome::Ended(why),
                    CurrentError::Store(_) => Outcome::StoreUnavailable,
                })
            }
            Ok(Loaded::Ended(reason)) => Err(Outcome::Ended(Why::Ended(reason))),
            Ok(Loaded::Absent) => Err(Outcome::Ended(Why::NoSession)),
            Err(error) => Err(self.postponed(&error)),
        }
    }

    fn postponed(&self, error: &StoreError) -> Outcome {
        tracing::warn!(event = "refresh_postponed", session = self.name(), %error);
        Outcome::StoreUnavailable
    }

    /// Refreshes, and renews the lease until that has come to something; `None` when another process has the lease by now
    /// and its answer is to be waited for.
    async fn refresh(&self, session: Session) -> Option<Answered> {
        self.holding(self.ask_and_store(session)).await
    }

    async fn ask_and_store(&self, session: Session) -> Option<Answered> {
        let meta = &session.record.meta;
        let unavailable = Answered { outcome: Outcome::ProviderUnavailable, verdict: Some((UNAVAILABLE, COOL_DOWN)) };
        let Some(provider) = self.auth.provider_of(&meta.provider, &meta.issuer) else {
            tracing::error!(event = "refresh_impossible", session = self.name(), provider = meta.provider);
            // Other replicas may have it configured: this is no verdict for them.
            return Some(Answered { verdict: None, ..unavailable });
        };
        let (session_name, provider_name) = (self.name(), meta.provider.clone());
        let refused = match self.call(provider, &session).await {
            Refreshed::Tokens(tokens) => {
                return Some(Answered { outcome: self.keep(session, tokens).await, verdict: None });
            }
            refused => refused,
        };
        if let Some(outcome) = self.overtaken().await {
            return Some(Answered { outcome, verdict: None });
        }
        match refused {
            Refreshed::Tokens(_) => {}
            Refreshed::Rejected(reason) => {
                // Without the lease somebody else is asking, perhaps with success, and must not be ended.
                let lease = self.auth.background.store().hold(&self.lease, self.holder, LEASE).await;
                if lease.is_ok_and(|lease| lease.is_taken()) {
                    return None;
                }
                tracing::info!(event = "refresh_rejected", session = session_name, provider = provider_name, reason);
                return Some(Answered { outcome: self.reject(meta.ends_at).await, verdict: None });
            }
            Refreshed::Unavailable(reason) | Refreshed::Unknown(reason) => {
                tracing::warn!(event = "refresh_unavailable", session = session_name, provider = provider_name, reason);
            }
            Refreshed::Misconfigured(reason) => {
                tracing::error!(
                    event = "refresh_misconfigured",
                    session = session_name,
                    provider = provider_name,
                    reason
                );
            }
        }
        Some(unavailable)
    }

    /// Calls the provider, and once more when nobody knows whether the first call was heard: with the same refresh token,
    /// which is still good if it was not, and the only chance if it was.
    async fn call(&self, provider: &Provider, session: &Session) -> Refreshed {
        let Some(refresh_token) = session.record.secrets.refresh_token.as_ref() else {
            return Refreshed::Rejected("there is no refresh token".into());
        };
        let subject = &session.record.meta.subject;
        match self.ask(provider, refresh_token, subject).await {
            Refreshed::Unknown(reason) if self.overtaken().await.is_none() => {
                tracing::warn!(event = "refresh_unknown", session = self.name(), reason, "asking once more");
                self.ask(provider, refresh_token, subject).await
            }
            known => known,
        }
    }

    /// One call, counted.
    async fn ask(&self, provider: &Provider, refresh_token: &RefreshToken, subject: &str) -> Refreshed {
        let started = Instant::now();
        let refreshed = provider.refresh(refresh_token, subject).await;
        let outcome = match refreshed {
            Refreshed::Tokens(_) => "rotated",
            Refreshed::Rejected(_) => "rejected",
            Refreshed::Unavailable(_) => "unavailable",
            Refreshed::Unknown(_) => "unknown",
            Refreshed::Misconfigured(_) => "misconfigured",
        };
        metrics::refreshed(&self.auth.name, provider.name(), outcome, started.elapsed());
        refreshed
    }

    /// Does `work`, and renews the lease meanwhile. A lease that cannot be renewed stops nothing: the write that follows
    /// names the version it replaces.
    async fn holding<T>(&self, work: impl Future<Output = T>) -> T {
        let renewal = async {
            let mut pause = RENEWAL;
            loop {
                tokio::time::sleep(pause).await;
                pause = RENEWAL;
                match self.auth.background.store().hold(&self.lease, self.holder, LEASE).await {
                    Ok(Lease::Mine) => {}
                    Ok(_) => tracing::warn!(event = "lease_lost", session = self.name()),
                    Err(error) => {
                        tracing::debug!(session = self.name(), %error, "the lease was not renewed");
                        pause = RENEWAL_RETRY;
                    }
                }
            }
        };
        tokio::select! {
            done = work => done,
            () = renewal => unreachable!("the renewal never ends"),
        }
    }

    pub(super) fn name(&self) -> String {
        self.auth.ring.log_name(&self.key)
    }
}
