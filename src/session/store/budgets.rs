//! The budgets of an embedded store, and what one process knows of its own spending: in memory, for they are about seconds.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Allowance, Spent, StoreKey};
use crate::clock::Clock;

/// What was spent lately. One entry for each call of a window, so as large as the largest allowance.
#[derive(Debug)]
pub struct Budgets {
    clock: Clock,
    spent: Mutex<HashMap<StoreKey, Ledger>>,
}

#[derive(Debug, Default)]
struct Ledger {
    /// When each call that still counts ceases to, the next one first.
    frees: VecDeque<Instant>,
    /// Until when nothing is given out.
    paused_until: Option<Instant>,
}

impl Budgets {
    /// Nothing was spent yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, spent: Mutex::default() }
    }

    /// As [`super::Store::spend`].
    pub fn spend(&self, key: &StoreKey, allowance: Allowance) -> Spent {
        let now = self.clock.instant();
        self.lock().entry(*key).or_default().spend(allowance, now)
    }

    /// As [`super::Store::pause`].
    pub fn pause(&self, key: &StoreKey, time: Duration) {
        let until = self.clock.instant() + time;
        let mut spent = self.lock();
        let ledger = spent.entry(*key).or_default();
        ledger.paused_until = ledger.paused_until.max(Some(until));
    }

    /// A panic elsewhere cannot leave a ledger half written in a way that gives out more.
    fn lock(&self) -> MutexGuard<'_, HashMap<StoreKey, Ledger>> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    fn spend(&mut self, allowance: Allowance, now: Instant) -> Spent {
        while self.frees.front().is_some_and(|frees| *frees <= now) {
            self.frees.pop_front();
        }
        let paused = self.paused_until.filter(|until| *until > now);
        let Some(most) = allowance.most else {
            return paused.map_or(Spent::Granted, |until| Spent::Wait(until - now));
        };
        // With all but `most - 1` of the calls out of the window, there is room for one more.
        let most = usize::try_from(most.get()).unwrap_or(usize::MAX);
        let room = self.frees.len().checked_sub(most).and_then(|over| self.frees.get(over).copied());
        if let Some(free) = paused.max(room) {
            return Spent::Wait(free - now);
        }
        self.frees.push_back(now + allowance.window);
        Spent::Granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn no_window_ever_holds_more_than_was_allowed_and_room_is_where_it_was_promised() {
        let key = StoreKey::of(&[b"b"]);
        let mut dice = 0x2545_F491_4F6C_DD1D_u64;
        let mut below = |sides: u64| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice % sides
        };
        for _ in 0..200 {
            let clock = Clock::manual(Timestamp::from_secs(1));
            let budgets = Budgets::new(clock.clone());
            let most = u32::try_from(1 + below(7)).unwrap();
            let window = Duration::from_millis(10 + below(90));
            let mut granted: Vec<Instant> = Vec::new();
            for _ in 0..300 {
                let most = 1 + u32::try_from(below(u64::from(most))).unwrap();
                let allowance = Allowance { most: std::num::NonZeroU32::new(most), window };
                match budgets.spend(&key, allowance) {
                    Spent::Granted => granted.push(clock.instant()),
                    Spent::Wait(time) => {
                        assert!(!time.is_zero() && time <= window, "{time:?}");
                        if below(3) == 0 {
                            clock.advance(time.checked_sub(Duration::from_millis(1)).unwrap());
                            assert!(matches!(budgets.spend(&key, allowance), Spent::Wait(_)), "too soon");
                            clock.advance(Duration::from_millis(1));
                            assert_eq!(budgets.spend(&key, allowance), Spent::Granted, "as promised");
                            granted.push(clock.instant());
                        }
                    }
                }
                clock.advance(Duration::from_millis(below(15)));
            }
            for (at, first) in granted.iter().enumerate() {
                let within = granted[at..].iter().take_while(|call| **call - *first < window).count();
                assert!(within <= usize::try_from(most).unwrap(), "{within} calls in a window for {most}");
            }
        }
    }

    #[test]
    fn a_pause_stops_everything_and_the_longer_one_counts() {
        let (clock, key) = (Clock::manual(Timestamp::from_secs(1)), StoreKey::of(&[b"b"]));
        let budgets = Budgets::new(clock.clone());
        let unlimited = Allowance { most: None, window: Duration::from_secs(1) };
        assert_eq!(budgets.spend(&key, unlimited), Spent::Granted);
        budgets.pause(&key, Duration::from_secs(9));
        budgets.pause(&key, Duration::from_secs(3));
        assert_eq!(budgets.spend(&key, unlimited), Spent::Wait(Duration::from_secs(9)));
        clock.advance(Duration::from_secs(9));
        assert_eq!(budgets.spend(&key, unlimited), Spent::Granted);
    }
}
