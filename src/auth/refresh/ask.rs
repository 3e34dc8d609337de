//! How a flight asks the provider: when it is its turn at the token endpoint, once, and once more if the answer got lost.

use std::time::{Duration, Instant};

use super::COOL_DOWN;
use super::flight::{Answered, Flight, Step};
use crate::auth::budget::{Call, some_of};
use crate::auth::{Auth, Session};
use crate::provider::{Provider, Refreshed, Renewal};
use crate::session::lifecycle::{TokenLife, token_due_in};
use crate::session::record::Record;
use crate::telemetry::metrics;

/// How long the provider may take for a refresh, whatever the limit on other calls: nobody waits for it that long, and a call
/// given up may have spent the refresh token.
pub(in crate::auth) const LONGEST_CALL: Duration = Duration::from_secs(120);

/// How long those who cannot go on without a new token wait for their turn.
const URGENT_PATIENCE: Duration = Duration::from_secs(2);

/// The part of the time that an old token is still good for over which those who wait spread their next tries.
const SPREAD_PART: u32 = 4;

/// The time at most over which first tries are spread.
const LONGEST_SPREAD: Duration = Duration::from_secs(30);

/// So that who waits until the old token is over finds it over.
const A_MOMENT: Duration = Duration::from_millis(1);

impl Flight {
    /// Waits until this refresh may be asked for; if that is not soon, what becomes of it instead: one that can wait comes
    /// again, at the latest when it no longer can, and gives the lease back meanwhile.
    pub(super) async fn turn(&self, provider: &Provider, session: &Session) -> Result<(), Step> {
        let (purse, store) = (self.auth.purse(provider), self.auth.background.store());
        if session.life.token == TokenLife::Due {
            let turn = purse.turn(store, Call::Urgent, URGENT_PATIENCE).await;
            return turn.map_err(|time| {
                tracing::info!(event = "refresh_out_of_budget", session = self.name(), provider = provider.name());
                Step::Done(Answered::unavailable(time))
            });
        }
        let turn = purse.turn(store, Call::Early, Duration::ZERO).await;
        turn.map_err(|time| {
            let meta = &session.record.meta;
            let good_for = token_due_in(meta, self.auth.limits(meta), self.auth.clock.now());
            Step::Later((time + some_of(good_for / SPREAD_PART)).min(good_for) + A_MOMENT)
        })
    }

    /// Calls the provider, and once more when the connection broke and nobody knows whether the first call was heard: with the
    /// same refresh token, which is still good if it was not, and the only chance if it was. A call that is not answered yet
    /// was heard, or will be.
    pub(super) async fn call(&self, provider: &Provider, session: &Session) -> Refreshed {
        let Some(refresh_token) = session.record.secrets.refresh_token.as_ref() else {
            return Refreshed::Rejected("there is no refresh token".into());
        };
        let Record { meta, secrets } = &*session.record;
        let renewal = Renewal {
            refresh_token,
            subject: &meta.subject,
            scope: secrets.scope.as_deref(),
            dpop_key: secrets.dpop_key.as_ref(),
            patience: LONGEST_CALL,
        };
        match self.auth.ask_for_tokens(provider, &renewal).await {
            Refreshed::Unknown(reason) if self.overtaken().await.is_none() => {
                tracing::warn!(event = "refresh_unknown", session = self.name(), reason, "asking once more");
                let store = self.auth.background.store();
                match self.auth.purse(provider).turn(store, Call::Urgent, URGENT_PATIENCE).await {
                    Ok(()) => self.auth.ask_for_tokens(provider, &renewal).await,
                    Err(_) => Refreshed::Unknown(reason),
                }
            }
            known => known,
        }
    }

    /// How long a refresh that can wait does so before it asks for its turn the first time: with a limited budget, a part
    /// of what its old token is good for, so that sessions that began together do not fall due together.
    pub(super) fn head_start(&self, session: &Session) -> Duration {
        let meta = &session.record.meta;
        let provider = self.auth.provider_of(&meta.provider, &meta.issuer);
        let spread = session.life.token == TokenLife::Early
            && provider.is_some_and(|provider| self.auth.purse(provider).is_limited());
        let good_for = token_due_in(meta, self.auth.limits(meta), self.auth.clock.now());
        if spread { some_of(spread_over(good_for)) } else { Duration::ZERO }
    }
}

/// Over what time the first tries are spread: not the half of what an old token is good for where `refresh_before` makes
/// that hours, since whoever set it wants the new one then.
fn spread_over(good_for: Duration) -> Duration {
    (good_for / 2).min(LONGEST_SPREAD)
}

impl Auth {
    /// One call of the token endpoint, counted. A provider that has had too many gets none from any replica for the time it
    /// says.
    pub(in crate::auth) async fn ask_for_tokens(&self, provider: &Provider, renewal: &Renewal<'_>) -> Refreshed {
        let Some(_room) = self.purse(provider).room().await else {
            return Refreshed::Unavailable("too many refreshes wait for its answer".into());
        };
        let started = Instant::now();
        let refreshed = provider.refresh(renewal).await;
        let outcome = match &refreshed {
            Refreshed::Tokens(_) => "rotated",
            Refreshed::Rejected(_) => "rejected",
            Refreshed::Unavailable(_) | Refreshed::Throttled(_) => "unavailable",
            Refreshed::Unknown(_) => "unknown",
            Refreshed::Misconfigured(_) => "misconfigured",
        };
        metrics::refreshed(&self.name, provider.name(), outcome, started.elapsed());
        if let Refreshed::Throttled(pause) = &refreshed {
            self.purse(provider).pause(self.background.store(), *pause).await;
        }
        refreshed
    }
}

impl Answered {
    /// The provider cannot be asked for `time`, and the other replicas are told so for a while.
    pub(super) fn unavailable(time: Duration) -> Self {
        Self::told(time, time.min(COOL_DOWN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_that_can_wait_has_a_short_head_start_however_early_it_is() {
        let seconds = Duration::from_secs;
        assert_eq!(spread_over(seconds(20)), seconds(10));
        assert_eq!(spread_over(seconds(60)), seconds(30));
        assert_eq!(spread_over(seconds(24 * 60 * 60)), seconds(30));
    }
}
