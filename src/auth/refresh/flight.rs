//! One refresh of one session, in its own task: a browser that disconnects aborts nothing, a shutdown waits for it.
//!
//! The flight gets the session's lease, reads the record again, calls the provider once, and writes what it gets with
//! compare-and-set: a write that came first is merged, an end that came first wins, and a store that is down is waited
//! for with the rotated token in memory, where every request of this process finds it meanwhile. The lease is renewed
//! while the call runs, however slow the provider; if its holder dies, it ends by itself and the next flight calls. A
//! holder that was merely stopped, and wakes up after its lease, cannot do harm: its write meets a newer version.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{COOL_DOWN, Outcome, Tell};
use crate::auth::{Auth, CurrentError, Session, Why};
use crate::provider::{Provider, Refreshed, Tokens};
use crate::secret::RefreshToken;
use crate::session::record::Record;
use crate::session::store::{EndReason, Holder, Lease, Loaded, Replaced, StoreError, StoreKey};
use crate::session::ticket::Ticket;
use crate::telemetry::metrics;

/// How long a lease outlives its holder, and how often the holder renews it.
const LEASE: Duration = Duration::from_secs(4);
const RENEWAL: Duration = Duration::from_secs(1);

/// How long to wait for news of a session that another process refreshes before asking for its lease again.
const NEWS: Duration = Duration::from_millis(250);

/// How long to wait between attempts to store a rotated token. Short, since another process would refresh with the old
/// token as soon as the store is back.
const RETRY_FIRST: Duration = Duration::from_millis(25);
const RETRY_LAST: Duration = Duration::from_millis(200);

/// What a lease is released with after a call that gave no token, for all replicas to see.
const UNAVAILABLE: Bytes = Bytes::from_static(b"unavailable");

/// A refresh on its way.
pub(super) struct Flight {
    auth: Arc<Auth>,
    ticket: Ticket,
    key: StoreKey,
    lease: StoreKey,
    holder: Holder,
    /// The generation of the token that is being replaced.
    generation: u64,
    tell: Tell,
}

impl Flight {
    pub(super) fn new(auth: Arc<Auth>, ticket: Ticket, generation: u64, tell: Tell) -> Self {
        let key = ticket.store_key(&auth.site.origin);
        let lease = StoreKey::of(&[b"refresh", key.as_bytes()]);
        Self { auth, ticket, key, lease, holder: Holder::random(), generation, tell }
    }

    /// Flies, tells everyone who waits, and lingers for a moment with an outcome that is no token.
    pub(super) async fn fly(self) {
        let outcome = self.outcome().await;
        let is_token = matches!(outcome, Outcome::Token(_));
        self.tell.send_replace(Some(outcome));
        if !is_token {
            tokio::time::sleep(COOL_DOWN).await;
        }
    }

    async fn outcome(&self) -> Outcome {
        if let Err(outcome) = self.take_lease().await {
            return outcome;
        }
        let (outcome, verdict) = match self.newest().await {
            Err(outcome) => (outcome, None),
            Ok(newest) if newest.record.meta.generation > self.generation => {
                (Outcome::Token(newest.record.secrets.access_token), None)
            }
            Ok(newest) => self.refresh(newest).await,
        };
        if let Err(error) = self.auth.background.store().release(&self.lease, self.holder, verdict).await {
            tracing::debug!(session = self.name(), %error, "the lease ends by itself");
        }
        outcome
    }

    /// Waits for the lease, or for whatever makes it needless.
    async fn take_lease(&self) -> Result<(), Outcome> {
        let store = self.auth.background.store();
        loop {
            match store.hold(&self.lease, self.holder, LEASE).await {
                Ok(Lease::Mine) => return Ok(()),
                Ok(Lease::Decided(_)) => return Err(Outcome::ProviderUnavailable),
                Ok(Lease::Taken) => {}
                Err(error) => return Err(self.postponed(&error)),
            }
            store.changed(&self.key, NEWS).await.map_err(|error| self.postponed(&error))?;
            let newest = self.newest().await?;
            if newest.record.meta.generation > self.generation {
                return Err(Outcome::Token(newest.record.secrets.access_token));
            }
        }
    }

    async fn newest(&self) -> Result<Session, Outcome> {
        match self.auth.background.store().load_now(&self.key).await {
            Ok(Loaded::Live(stored)) => {
                self.auth.judged(self.ticket.clone(), self.key, &stored).map_err(|error| match error {
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

    /// The outcome, and what the other replicas are told if it is no token.
    async fn refresh(&self, session: Session) -> (Outcome, Option<(Bytes, Duration)>) {
        let meta = &session.record.meta;
        let unavailable = (Outcome::ProviderUnavailable, Some((UNAVAILABLE, COOL_DOWN)));
        let Some(provider) = self.auth.provider_of(&meta.provider, &meta.issuer) else {
            tracing::error!(event = "refresh_impossible", session = self.name(), provider = meta.provider);
            return unavailable;
        };
        let (session_name, provider_name) = (self.name(), meta.provider.clone());
        match self.call(provider, &session).await {
            Refreshed::Tokens(tokens) => (self.keep(session, tokens).await, None),
            Refreshed::Rejected(reason) => {
                tracing::info!(event = "refresh_rejected", session = session_name, provider = provider_name, reason);
                self.auth.end_surely(self.key, EndReason::RefreshRejected, meta.ends_at).await;
                (Outcome::Ended(Why::Ended(EndReason::RefreshRejected)), None)
            }
            Refreshed::Unavailable(reason) | Refreshed::Unknown(reason) => {
                tracing::warn!(event = "refresh_unavailable", session = session_name, provider = provider_name, reason);
                unavailable
            }
            Refreshed::Misconfigured(reason) => {
                tracing::error!(
                    event = "refresh_misconfigured",
                    session = session_name,
                    provider = provider_name,
                    reason
                );
                unavailable
            }
        }
    }

    /// Calls the provider, and once more when nobody knows whether the first call was heard: with the same refresh token,
    /// which is still good if it was not, and the only chance if it was.
    async fn call(&self, provider: &Provider, session: &Session) -> Refreshed {
        let Some(refresh_token) = session.record.secrets.refresh_token.as_ref() else {
            return Refreshed::Rejected("there is no refresh token".into());
        };
        let subject = &session.record.meta.subject;
        match self.holding(self.ask(provider, refresh_token, subject)).await {
            Refreshed::Unknown(reason) => {
                tracing::warn!(event = "refresh_unknown", session = self.name(), reason, "asking once more");
                self.holding(self.ask(provider, refresh_token, subject)).await
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
            loop {
                tokio::time::sleep(RENEWAL).await;
                match self.auth.background.store().hold(&self.lease, self.holder, LEASE).await {
                    Ok(Lease::Mine) => {}
                    Ok(_) => tracing::warn!(event = "lease_lost", session = self.name()),
                    Err(error) => tracing::debug!(session = self.name(), %error, "the lease was not renewed"),
                }
            }
        };
        tokio::select! {
            done = work => done,
            () = renewal => unreachable!("the renewal never ends"),
        }
    }

    /// Stores what the provider gave, whatever happens to the record meanwhile.
    async fn keep(&self, mut session: Session, tokens: Tokens) -> Outcome {
        let token = Outcome::Token(tokens.access_token.clone());
        let mut pause = RETRY_FIRST;
        while self.auth.clock.now() < session.record.meta.ends_at {
            let record = renewed(&session.record, &tokens, self.auth.clock.now());
            match self.write(&session, &record).await {
                Ok(Replaced::Done) => {
                    tracing::info!(event = "refreshed", session = self.name(), generation = record.meta.generation);
                    return token;
                }
                // An end that came first wins; the new token is of use to nobody.
                Ok(Replaced::Gone(reason)) => {
                    self.auth.revoke_later(&record);
                    return Outcome::Ended(reason.map_or(Why::NoSession, Why::Ended));
                }
                Ok(Replaced::Conflict) => match self.newest().await {
                    // Another holder was faster, while this process was stopped: its tokens are as good, and newer.
                    Ok(newest) if newest.record.meta.generation > self.generation => {
                        return Outcome::Token(newest.record.secrets.access_token);
                    }
                    Ok(newest) => {
                        session = newest;
                        continue;
                    }
                    Err(Outcome::StoreUnavailable) => {}
                    Err(outcome) => {
                        self.auth.revoke_later(&record);
                        return outcome;
                    }
                },
                Err(error) => tracing::warn!(event = "rotated_token_waits", session = self.name(), %error),
            }
            self.tell.send_replace(Some(token.clone()));
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(RETRY_LAST);
        }
        Outcome::Ended(Why::Ended(EndReason::Expired))
    }

    async fn write(&self, session: &Session, record: &Record) -> Result<Replaced, StoreError> {
        self.auth.write(self.auth.background.store(), session, record).await
    }

    fn name(&self) -> String {
        self.auth.ring.log_name(&self.key)
    }
}

/// The record with new tokens; what the provider left out stays as it was.
fn renewed(record: &Record, tokens: &Tokens, now: crate::clock::Timestamp) -> Record {
    let mut record = record.clone();
    record.secrets.access_token = tokens.access_token.clone();
    if tokens.refresh_token.is_some() {
        record.secrets.refresh_token.clone_from(&tokens.refresh_token);
    }
    if tokens.id_token.is_some() {
        record.secrets.id_token.clone_from(&tokens.id_token);
    }
    record.meta.token_since = now;
    record.meta.token_until = now.plus(tokens.expires_in);
    record.meta.generation += 1;
    record
}
