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
use crate::provider::Refreshed;
use crate::session::store::{Holder, Lease, Loaded, StoreError, StoreKey};
use crate::session::ticket::Ticket;

/// How long a lease stays without a renewal at most. Not the time that others wait for a sign of life, which is
/// [`Vigil`]'s, but longer than any store stands still for that comes back at all.
const LEASE: Duration = Duration::from_secs(600);

/// How often the holder renews it, and how soon again when that failed.
const RENEWAL: Duration = Duration::from_secs(1);
const RENEWAL_RETRY: Duration = Duration::from_millis(200);

/// How long to wait for news of a session that another process refreshes before asking for its lease again.
const NEWS: Duration = Duration::from_millis(250);

/// What a lease is released with after a call that gave no token, for all replicas to see; behind it stand the
/// milliseconds after which asking again may help.
const UNAVAILABLE: &str = "unavailable ";

/// How often in a row the store may fail somebody who waits for another process's answer.
const PATIENCE: u32 = 4;

/// What a flight came to.
pub(super) struct Answered {
    outcome: Outcome,
    /// What the other replicas are told for a while, if it is no token.
    verdict: Option<(Bytes, Duration)>,
}

/// What a flight with the lease came to.
pub(super) enum Step {
    /// It is over.
    Done(Answered),
    /// Another process has the lease by now, and its answer is to be waited for.
    GiveWay,
    /// It is not its turn, and it can wait this long without the lease.
    Later(Duration),
}

impl Answered {
    /// An outcome that the others find in the record.
    const fn own(outcome: Outcome) -> Self {
        Self { outcome, verdict: None }
    }

    /// The provider cannot be asked for `time`, which the others are told for `told`.
    pub(super) fn told(time: Duration, told: Duration) -> Self {
        let verdict = format!("{UNAVAILABLE}{}", time.as_millis());
        Self { outcome: Outcome::ProviderUnavailable(time), verdict: Some((verdict.into(), told)) }
    }
}

/// What another process was told, and tells.
fn decided(verdict: &[u8]) -> Outcome {
    let millis = std::str::from_utf8(verdict).ok().and_then(|text| text.strip_prefix(UNAVAILABLE)?.parse().ok());
    Outcome::ProviderUnavailable(millis.map_or(COOL_DOWN, Duration::from_millis))
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
    /// How long to wait before anything else.
    head_start: Duration,
}

impl Flight {
    pub(super) fn new(auth: Arc<Auth>, session: &Session, tell: Tell) -> Self {
        let (ticket, key, generation) = (session.ticket.clone(), session.key, session.record.meta.generation);
        let lease = StoreKey::of(&[b"refresh", key.as_bytes()]);
        let head_start = Duration::ZERO;
        let flight = Self { auth, ticket, key, lease, holder: Holder::random(), generation, tell, head_start };
        Self { head_start: flight.head_start(session), ..flight }
    }

    /// Flies, tells everyone who waits, and lingers for a moment with what the provider would only say again. A store
    /// that failed may be back by the next request.
    pub(super) async fn fly(self) {
        let waits = !self.head_start.is_zero();
        let outcome = if waits && !self.auth.background.pause(self.head_start).await {
            Outcome::ProviderUnavailable(COOL_DOWN)
        } else {
            self.outcome().await
        };
        let lingers = match outcome {
            Outcome::ProviderUnavailable(time) => Some(time.min(COOL_DOWN)),
            Outcome::Ended(_) => Some(COOL_DOWN),
            Outcome::Token(_) | Outcome::Unstored(..) | Outcome::StoreUnavailable => None,
        };
        self.tell.send_replace(Some(outcome));
        if let Some(time) = lingers {
            tokio::time::sleep(time).await;
        }
    }

    async fn outcome(&self) -> Outcome {
        loop {
            let step = match self.take_lease().await {
                Err(outcome) => return outcome,
                Ok(()) => match self.unreplaced().await {
                    Err(outcome) => Step::Done(Answered::own(outcome)),
                    Ok(session) => self.refresh(session).await,
                },
            };
            match step {
                Step::GiveWay => {}
                Step::Done(Answered { outcome, verdict }) => {
                    self.release(verdict).await;
                    return outcome;
                }
                Step::Later(time) => {
                    self.release(None).await;
                    if !self.auth.background.pause(time).await {
                        return Outcome::ProviderUnavailable(COOL_DOWN);
                    }
                }
            }
        }
    }

    async fn release(&self, verdict: Option<(Bytes, Duration)>) {
        if let Err(error) = self.auth.background.store().release(&self.lease, self.holder, verdict).await {
            tracing::debug!(session = self.name(), %error, "the lease ends by itself");
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
                Ok(Lease::Decided(verdict)) => return Err(self.overtaken().await.unwrap_or_else(|| decided(&verdict))),
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
    pub(super) async fn overtaken(&self) -> Option<Outcome> {
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

    /// Refreshes, and renews the lease until that has come to something.
    async fn refresh(&self, session: Session) -> Step {
        self.holding(self.ask_and_store(session)).await
    }

    async fn ask_and_store(&self, session: Session) -> Step {
        let meta = &session.record.meta;
        let Some(provider) = self.auth.provider_of(&meta.provider, &meta.issuer) else {
            tracing::error!(event = "refresh_impossible", session = self.name(), provider = meta.provider);
            // Other replicas may have it configured: this is no verdict for them.
            return Step::Done(Answered::own(Outcome::ProviderUnavailable(COOL_DOWN)));
        };
        if let Err(step) = self.turn(provider, &session).await {
            return step;
        }
        let refused = match self.call(provider, &session).await {
            Refreshed::Tokens(tokens) => return Step::Done(Answered::own(self.keep(session, tokens).await)),
            refused => refused,
        };
        if let Some(outcome) = self.overtaken().await {
            return Step::Done(Answered::own(outcome));
        }
        let (session_name, provider_name) = (self.name(), provider.name());
        match refused {
            Refreshed::Tokens(_) => Step::GiveWay,
            Refreshed::Rejected(reason) => {
                // Without the lease somebody else is asking, perhaps with success, and must not be ended.
                let lease = self.auth.background.store().hold(&self.lease, self.holder, LEASE).await;
                if lease.is_ok_and(|lease| lease.is_taken()) {
                    return Step::GiveWay;
                }
                tracing::info!(event = "refresh_rejected", session = session_name, provider = provider_name, reason);
                Step::Done(Answered::own(self.reject(meta.ends_at).await))
            }
            Refreshed::Unavailable(reason) | Refreshed::Unknown(reason) => {
                tracing::warn!(event = "refresh_unavailable", session = session_name, provider = provider_name, reason);
                Step::Done(Answered::unavailable(COOL_DOWN))
            }
            Refreshed::Throttled(pause) => Step::Done(Answered::unavailable(pause)),
            Refreshed::Misconfigured(reason) => {
                tracing::error!(
                    event = "refresh_misconfigured",
                    session = session_name,
                    provider = provider_name,
                    reason
                );
                Step::Done(Answered::unavailable(COOL_DOWN))
            }
        }
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
