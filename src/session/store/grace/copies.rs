//! The bounded copies behind the outage grace: two generations, the older of which is dropped as a whole.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::session::store::{EndReason, Loaded, StoreKey, Stored};

/// What one generation may hold; two of them are all the memory this takes.
const GENERATION: usize = 16 * 1024 * 1024;

/// What a copy costs beside its sealed record: map entry, key, reference counts.
const OVERHEAD: usize = 200;

/// Copies of what the store said last.
#[derive(Debug)]
pub(super) struct Copies {
    grace: Duration,
    young: HashMap<StoreKey, Copy>,
    young_bytes: usize,
    old: HashMap<StoreKey, Copy>,
    turned: Timestamp,
}

#[derive(Clone, Debug)]
enum Copy {
    Live {
        stored: Stored,
        until: Timestamp,
        seen: Timestamp,
    },
    /// Kept as well, so that an answer which was under way cannot bring the session back.
    Over(EndReason),
}

impl Copies {
    pub(super) fn new(grace: Duration, now: Timestamp) -> Self {
        Self { grace, young: HashMap::new(), young_bytes: 0, old: HashMap::new(), turned: now }
    }

    /// The store confirmed a live session; an answer older than the copy changes nothing.
    pub(super) fn live(&mut self, key: &StoreKey, stored: &Stored, until: Timestamp, now: Timestamp) {
        match self.young.get_mut(key) {
            Some(Copy::Live { stored: held, seen, .. }) if held.version == stored.version => *seen = now,
            _ => match self.find(key) {
                Some(Copy::Live { stored: held, .. }) if held.version > stored.version => {}
                Some(Copy::Over(_)) => {}
                _ => self.put(key, Copy::Live { stored: stored.clone(), until, seen: now }, now),
            },
        }
    }

    /// The store said that it is over, or knows nothing of it.
    pub(super) fn over(&mut self, key: &StoreKey, reason: Option<EndReason>, now: Timestamp) {
        self.remove(key);
        if let Some(reason) = reason {
            self.put(key, Copy::Over(reason), now);
        }
    }

    /// What may be served while the store fails.
    pub(super) fn recall(&self, key: &StoreKey, now: Timestamp) -> Option<Loaded> {
        match self.find(key)? {
            Copy::Over(reason) => Some(Loaded::Ended(*reason)),
            Copy::Live { stored, until, seen } => {
                let fresh = now.since(*seen) <= self.grace && now < *until;
                fresh.then(|| Loaded::Live(stored.clone()))
            }
        }
    }

    /// The absolute end of a live copy.
    pub(super) fn until(&self, key: &StoreKey) -> Option<Timestamp> {
        match self.find(key)? {
            Copy::Live { until, .. } => Some(*until),
            Copy::Over(_) => None,
        }
    }

    /// Why it is over, if it is known to be.
    pub(super) fn ended(&self, key: &StoreKey) -> Option<EndReason> {
        match self.find(key)? {
            Copy::Over(reason) => Some(*reason),
            Copy::Live { .. } => None,
        }
    }

    /// Drops what nobody saw for a whole `grace`, or earlier when the young generation is full.
    pub(super) fn turn(&mut self, now: Timestamp) {
        if now.since(self.turned) >= self.grace || self.young_bytes > GENERATION {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
            self.turned = now;
        }
    }

    fn find(&self, key: &StoreKey) -> Option<&Copy> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    fn put(&mut self, key: &StoreKey, copy: Copy, now: Timestamp) {
        self.remove(key);
        self.young_bytes += copy.cost();
        self.young.insert(*key, copy);
        self.turn(now);
    }

    fn remove(&mut self, key: &StoreKey) {
        if let Some(copy) = self.young.remove(key) {
            self.young_bytes -= copy.cost();
        }
        self.old.remove(key);
    }
}

impl Copy {
    fn cost(&self) -> usize {
        match self {
            Self::Live { stored, .. } => OVERHEAD + stored.sealed.len(),
            Self::Over(_) => OVERHEAD,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const GRACE: Duration = Duration::from_secs(30);
    const START: Timestamp = Timestamp::from_secs(1000);

    fn key(number: u64) -> StoreKey {
        StoreKey::of(&[&number.to_be_bytes()])
    }

    fn stored(version: u64, size: usize) -> Stored {
        Stored { version, sealed: Bytes::from(vec![7; size]) }
    }

    #[test]
    fn copies_never_take_more_than_two_generations() {
        let mut copies = Copies::new(GRACE, START);
        let (size, until) = (64 * 1024, START.plus(GRACE * 10));
        for number in 0..2000 {
            copies.live(&key(number), &stored(1, size), until, START);
        }
        let held = (copies.young.len() + copies.old.len()) * (size + OVERHEAD);
        assert!(held <= 2 * (GENERATION + size + OVERHEAD), "{held} bytes");
        assert!(copies.recall(&key(1999), START).is_some());
    }

    #[test]
    fn an_answer_that_was_under_way_neither_undoes_a_write_nor_an_end() {
        let mut copies = Copies::new(GRACE, START);
        let until = START.plus(GRACE * 10);
        copies.live(&key(1), &stored(2, 8), until, START);
        copies.live(&key(1), &stored(1, 9), until, START);
        assert_eq!(copies.recall(&key(1), START), Some(Loaded::Live(stored(2, 8))));
        copies.over(&key(1), Some(EndReason::Revoked), START);
        copies.live(&key(1), &stored(2, 8), until, START);
        assert_eq!(copies.recall(&key(1), START), Some(Loaded::Ended(EndReason::Revoked)));
    }

    #[test]
    fn what_nobody_saw_for_two_graces_takes_no_memory() {
        let mut copies = Copies::new(GRACE, START);
        copies.live(&key(1), &stored(1, 8), START.plus(GRACE * 10), START);
        copies.turn(START.plus(GRACE));
        copies.turn(START.plus(GRACE * 2));
        assert_eq!(copies.young.len() + copies.old.len(), 0);
    }
}
