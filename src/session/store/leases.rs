//! The leases of an embedded store: in memory for `memory:` and `file:` alike, for their holders die with the process.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Holder, Lease, SignOfLife, StoreKey};
use crate::clock::Clock;

/// Expired leases that one call removes at most: more than it adds, so that they cannot pile up.
const SWEPT_AT_ONCE: usize = 8;

/// Who holds what. Counted in moments that never jump: a clock that is set must not make two holders.
#[derive(Debug)]
pub(super) struct Leases {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: HashMap<StoreKey, Held>,
    /// When to look at which lease again; one that lasts longer by then is left alone.
    due: BTreeSet<(Instant, StoreKey)>,
}

#[derive(Debug)]
struct Held {
    by: By,
    until: Instant,
}

#[derive(Debug)]
enum By {
    Holder(SignOfLife),
    Verdict(Bytes),
}

impl Leases {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// As [`super::Store::inherit`].
    pub(super) fn inherit(&self, key: &StoreKey, heir: Holder, silent: Option<SignOfLife>, ttl: Duration) -> Lease {
        let now = self.clock.instant();
        let mut state = self.state(now);
        let count = match state.held.get(key).filter(|held| held.until > now).map(|held| &held.by) {
            Some(By::Verdict(verdict)) => return Lease::Decided(verdict.clone()),
            Some(By::Holder(last)) if last.holder == heir => last.count + 1,
            Some(By::Holder(last)) if Some(*last) != silent => return Lease::Taken(*last),
            _ => 1,
        };
        state.put(key, By::Holder(SignOfLife { holder: heir, count }), now + ttl);
        Lease::Mine
    }

    /// As [`super::Store::release`].
    pub(super) fn release(&self, key: &StoreKey, holder: Holder, verdict: Option<(Bytes, Duration)>) {
        let now = self.clock.instant();
        let mut state = self.state(now);
        let mine = state.held.get(key).is_some_and(|held| {
            let Held { by, until } = held;
            *until > now && matches!(by, By::Holder(last) if last.holder == holder)
        });
        match verdict {
            Some((verdict, ttl)) if mine => state.put(key, By::Verdict(verdict), now + ttl),
            None if mine => drop(state.held.remove(key)),
            _ => {}
        }
    }

    /// The state without some of what expired. A panic elsewhere cannot leave it half written.
    fn state(&self, now: Instant) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.sweep(now);
        state
    }
}

impl State {
    fn put(&mut self, key: &StoreKey, by: By, until: Instant) {
        self.held.insert(*key, Held { by, until });
        self.due.insert((until, *key));
    }

    fn sweep(&mut self, now: Instant) {
        for _ in 0..SWEPT_AT_ONCE {
            let Some((_, key)) = self.due.first().copied().filter(|(until, _)| *until <= now) else { return };
            self.due.pop_first();
            if self.held.get(&key).is_some_and(|held| held.until <= now) {
                self.held.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn leases_that_nobody_gave_back_take_no_memory() {
        let clock = Clock::manual(Timestamp::from_secs(1000));
        let leases = Leases::new(clock.clone());
        let ttl = Duration::from_secs(10);
        for number in 0_u32..10_000 {
            let (key, holder) = (StoreKey::of(&[&number.to_be_bytes()]), Holder(1));
            for _ in 0..3 {
                assert_eq!(leases.inherit(&key, holder, None, ttl), Lease::Mine);
                clock.advance(Duration::from_millis(100));
            }
            if number % 2 == 0 {
                leases.release(&key, holder, Some((Bytes::new(), ttl)));
            }
        }
        let state = leases.state(clock.instant());
        assert!(state.held.len() <= 40, "{} leases", state.held.len());
        assert!(state.due.len() <= 160, "{} entries to look at", state.due.len());
    }
}
