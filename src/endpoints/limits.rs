//! How often one session and one address may ask: nothing is counted unless the site says so, and memory is bounded.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use super::problem::Problem;
use crate::config::{LimitsConfig, Rate};
use crate::session::store::StoreKey;

/// How many budgets are remembered at once, in sets of which one holds the lock: 1 MiB for each limit that is on.
const SETS: usize = 8192;
const WAYS: usize = 8;

/// The budgets of one site. Shared by every worker.
pub struct Limits {
    session: Option<Budgets<Monotonic>>,
    address: Option<Budgets<Monotonic>>,
    logins: Option<Budgets<Monotonic>>,
}

impl Limits {
    /// Full budgets.
    #[must_use]
    pub fn new(config: &LimitsConfig) -> Self {
        let budgets = |rate: Option<Rate>| rate.map(|rate| Budgets::new(rate, Monotonic(Instant::now())));
        Self {
            session: budgets(config.per_session),
            address: budgets(config.per_address),
            logins: budgets(config.logins),
        }
    }

    /// Takes one request from the session's budget.
    pub(super) fn admit_session(&self, session: &StoreKey) -> Result<(), Problem> {
        self.session.as_ref().map_or(Ok(()), |budgets| budgets.take(session.as_bytes()))
    }

    /// Takes one request from the address's budget.
    pub(super) fn admit_address(&self, address: IpAddr) -> Result<(), Problem> {
        admit(self.address.as_ref(), address)
    }

    /// Takes one login with credentials from the address's budget for those.
    pub(super) fn admit_login(&self, address: IpAddr) -> Result<(), Problem> {
        admit(self.logins.as_ref(), address)
    }
}

/// An IPv6 client chooses freely among 2⁶⁴ addresses: its network counts.
fn admit(budgets: Option<&Budgets<Monotonic>>, address: IpAddr) -> Result<(), Problem> {
    budgets.map_or(Ok(()), |budgets| match address {
        IpAddr::V4(address) => budgets.take(&address.octets()),
        IpAddr::V6(address) => budgets.take(&address.octets()[..8]),
    })
}

/// One limit's budgets, each by a hash that nobody outside can foresee.
struct Budgets<C: Clock<Instant = Nanos>> {
    limiter: RateLimiter<u64, Cells, C, NoOpMiddleware<Nanos>>,
    hash: RandomState,
}

impl<C: Clock<Instant = Nanos>> Budgets<C> {
    fn new(rate: Rate, clock: C) -> Self {
        let each = (rate.period / rate.count.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(each).expect("the time between two requests is not zero");
        Self { limiter: RateLimiter::new(quota.allow_burst(rate.burst), Cells::new(), clock), hash: RandomState::new() }
    }

    fn take(&self, whose: &[u8]) -> Result<(), Problem> {
        self.limiter.check_key(&self.hash.hash_one(whose)).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.limiter.clock().now());
            Problem::TooMany((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1))
        })
    }
}

/// A table of budgets whose size never changes. Where a set is full, the budget closest to being whole again makes room:
/// forgetting it gives away the least.
struct Cells(Box<[Mutex<[Cell; WAYS]>]>);

/// Whose budget, and when it is whole again; at zero the cell is empty.
#[derive(Clone, Copy, Default)]
struct Cell {
    key: u64,
    whole: u64,
}

impl Cells {
    fn new() -> Self {
        Self((0..SETS).map(|_| Mutex::default()).collect())
    }
}

impl StateStore for Cells {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let set = &self.0[(*key % SETS as u64) as usize];
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        let known = set.iter().position(|cell| cell.whole != 0 && cell.key == *key);
        let (outcome, whole) = measure(known.map(|at| set[at].whole.into()))?;
        let taken = match known {
            Some(at) => Some(&mut set[at]),
            None => set.iter_mut().min_by_key(|cell| cell.whole),
        };
        if let Some(cell) = taken {
            *cell = Cell { key: *key, whole: whole.into() };
        }
        Ok(outcome)
    }
}

/// Time since the budgets were made; no change of the wall clock touches them.
#[derive(Clone, Debug)]
struct Monotonic(Instant);

impl Clock for Monotonic {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn budgets(count: u32, seconds: u64, burst: u32) -> (Budgets<FakeRelativeClock>, FakeRelativeClock) {
        let number = |number| NonZeroU32::new(number).unwrap();
        let (clock, period) = (FakeRelativeClock::default(), Duration::from_secs(seconds));
        (Budgets::new(Rate { count: number(count), period, burst: number(burst) }, clock.clone()), clock)
    }

    #[test]
    fn a_burst_is_spent_and_grows_back_at_the_rate() {
        let (budgets, clock) = budgets(2, 60, 3);
        for _ in 0..3 {
            budgets.take(b"a").unwrap();
        }
        assert!(matches!(budgets.take(b"a"), Err(Problem::TooMany(30))));
        budgets.take(b"b").unwrap();
        clock.advance(Duration::from_millis(29_500));
        assert!(matches!(budgets.take(b"a"), Err(Problem::TooMany(1))), "a wait is rounded up");
        clock.advance(Duration::from_millis(500));
        budgets.take(b"a").unwrap();
        assert!(budgets.take(b"a").is_err());
    }

    #[test]
    fn any_number_of_strangers_fits_and_the_one_who_asks_most_is_remembered() {
        let (budgets, _) = budgets(1, 1, 50);
        for _ in 0..50 {
            budgets.take(b"loud").unwrap();
        }
        for stranger in 0..4 * (SETS * WAYS) as u64 {
            let _ = budgets.take(&stranger.to_be_bytes());
        }
        assert!(budgets.take(b"loud").is_err());
    }

    #[test]
    fn an_ipv6_network_has_one_budget() {
        let one = NonZeroU32::MIN;
        let rate = Some(Rate { count: one, period: Duration::from_secs(3600), burst: one });
        let limits = Limits::new(&LimitsConfig { per_address: rate, ..LimitsConfig::default() });
        let ask = |address: &str| limits.admit_address(address.parse().unwrap());
        assert!(ask("2001:db8::1").is_ok() && ask("2001:db8::ffff:1").is_err() && ask("2001:db8:0:1::1").is_ok());
        assert!(ask("192.0.2.1").is_ok() && ask("192.0.2.1").is_err() && ask("192.0.2.2").is_ok());
    }
}
