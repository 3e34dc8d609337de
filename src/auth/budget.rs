//! How often a provider's token endpoint is asked: by all replicas together, logins first, what can wait last.
//!
//! What was spent is counted in the store. A store that cannot say stops nobody: then this process goes by what it knows
//! to have spent itself, which is too little by what the others spend, for as long as the outage lasts.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::config::{Budget, ProviderConfig};
use crate::secret::random_bytes;
use crate::session::store::{Allowance, Budgets, Spent, Store, StoreKey};
use crate::telemetry::metrics;

/// By how much a window is longer than the period that is configured: calls take a varying time to arrive.
const SLACK_PART: u32 = 20;
const LEAST_SLACK: Duration = Duration::from_millis(100);
const MOST_SLACK: Duration = Duration::from_secs(5);

/// The most refreshes of one provider that are not answered yet, in this process.
const MOST_UNANSWERED: usize = 128;
/// How long a refresh waits for room among them: as long as those may who wait for it.
const ROOM_PATIENCE: Duration = Duration::from_secs(20);

/// Who wants to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Somebody who logs in.
    Login,
    /// A session whose token is over.
    Urgent,
    /// A session whose token is good for a while yet.
    Early,
}

impl Call {
    /// The word in metrics, one of `TOKEN_CALLS`.
    const fn word(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Urgent => "urgent",
            Self::Early => "early",
        }
    }

    /// How many of `count` calls there may have been before this kind has to wait: a fifth is the logins' own, and of the
    /// rest what can wait leaves a quarter to what cannot. Nobody is left without any.
    fn most(self, count: NonZeroU32) -> NonZeroU32 {
        let all = count.get();
        let refreshes = all - all.div_ceil(5);
        let most = match self {
            Self::Login => all,
            Self::Urgent => refreshes,
            Self::Early => refreshes - refreshes / 4,
        };
        NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN)
    }
}

/// The budget of one provider of one site.
pub(super) struct Purse {
    site: String,
    provider: String,
    /// The same for every site with this provider and period, so that they share it.
    key: StoreKey,
    budget: Option<Budget>,
    window: Duration,
    /// What this process has spent, for when the store cannot say.
    own: Budgets,
    /// The room for refreshes that the provider has not answered yet.
    unanswered: Semaphore,
}

impl Purse {
    pub(super) fn new(site: &str, config: &ProviderConfig, clock: Clock) -> Self {
        let period = config.budget.map_or(Duration::ZERO, |budget| budget.period);
        let window = period + (period / SLACK_PART).clamp(LEAST_SLACK, MOST_SLACK);
        let key = StoreKey::of(&[b"token budget", config.issuer.as_bytes(), &period.as_secs().to_be_bytes()]);
        let (site, provider) = (site.to_owned(), config.name.clone());
        Self {
            site,
            provider,
            key,
            budget: config.budget,
            window,
            own: Budgets::new(clock),
            unanswered: Semaphore::new(MOST_UNANSWERED),
        }
    }

    /// Room for one more refresh that is not answered yet, for as long as what is returned lives; `None` if there is none
    /// within a while. A provider that hangs takes no more connections than that from everybody else.
    pub(super) async fn room(&self) -> Option<SemaphorePermit<'_>> {
        timeout(ROOM_PATIENCE, self.unanswered.acquire()).await.ok()?.ok()
    }

    /// The configured name of the provider.
    pub(super) fn provider(&self) -> &str {
        &self.provider
    }

    /// Whether there is a limit that what can wait should be spread under.
    pub(super) const fn is_limited(&self) -> bool {
        self.budget.is_some()
    }

    /// Asks for one call.
    pub(super) async fn spend(&self, store: &dyn Store, call: Call) -> Spent {
        let allowance = Allowance { most: self.budget.map(|budget| call.most(budget.count)), window: self.window };
        let (spent, outcome) = match store.spend(&self.key, allowance).await {
            Ok(spent) => {
                if spent == Spent::Granted {
                    // Only noted: the store has the last word.
                    let _ = self.own.spend(&self.key, allowance);
                }
                (spent, if spent == Spent::Granted { "granted" } else { "deferred" })
            }
            Err(error) => {
                tracing::debug!(site = self.site, provider = self.provider, %error, "the token budget is estimated");
                (self.own.spend(&self.key, allowance), "estimated")
            }
        };
        metrics::TOKEN_BUDGET.with([&self.site, &self.provider, call.word(), outcome]).add(1);
        spent
    }

    /// The same, and waits for its turn if that comes within `patience`; else how long it would have been to wait.
    ///
    /// # Errors
    /// The time after which to ask again.
    pub(super) async fn turn(&self, store: &dyn Store, call: Call, mut patience: Duration) -> Result<(), Duration> {
        loop {
            match self.spend(store, call).await {
                Spent::Granted => return Ok(()),
                Spent::Wait(time) if time <= patience => {
                    patience -= time;
                    tokio::time::sleep(time).await;
                }
                Spent::Wait(time) => return Err(time),
            }
        }
    }

    /// The provider wants to be left alone.
    pub(super) async fn pause(&self, store: &dyn Store, time: Duration) {
        let (site, provider, seconds) = (&self.site, &self.provider, time.as_secs());
        tracing::warn!(event = "provider_throttles", site, provider, seconds, "no token calls for a while");
        metrics::PROVIDER_PAUSES.with([site, provider]).add(1);
        self.own.pause(&self.key, time);
        if let Err(error) = store.pause(&self.key, time).await {
            tracing::warn!(event = "pause_not_shared", site, provider, %error);
        }
    }
}

/// A random part of `time`, so that those who wait do not come all at once.
pub(super) fn some_of(time: Duration) -> Duration {
    let dice = u32::from_be_bytes(random_bytes());
    time.mul_f64(f64::from(dice) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_keep_a_fifth_and_urgent_refreshes_a_quarter_of_the_rest() {
        let shares = |count| {
            let count = NonZeroU32::new(count).unwrap();
            [Call::Login, Call::Urgent, Call::Early].map(|call| call.most(count).get())
        };
        for (count, expected) in [
            (1, [1, 1, 1]),
            (2, [2, 1, 1]),
            (5, [5, 4, 3]),
            (10, [10, 8, 6]),
            (60, [60, 48, 36]),
            (1000, [1000, 800, 600]),
        ] {
            assert_eq!(shares(count), expected, "of {count}");
        }
        for count in (1..5000).chain([u32::MAX]) {
            let [login, urgent, early] = shares(count);
            assert!(login == count && login >= urgent && urgent >= early && early >= 1, "of {count}");
            assert!(count < 2 || login > urgent, "of {count} a login has one to itself");
            assert!(count < 10 || urgent > early, "of {count} an urgent one has one to itself");
        }
    }

    #[test]
    fn some_of_a_time_is_not_more_than_it() {
        for _ in 0..1000 {
            assert!(some_of(Duration::from_secs(7)) <= Duration::from_secs(7));
        }
        assert_eq!(some_of(Duration::ZERO), Duration::ZERO);
    }
}
