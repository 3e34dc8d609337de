//! One part of the copies: two generations, bounded by bytes, and counters of changes.

use std::collections::HashMap;
use std::time::Instant;

use super::{Kept, Ticket};
use crate::clock::Timestamp;
use crate::session::store::{EndReason, StoreKey, Stored};

/// Counters of changes in each shard.
const SEQUENCES: usize = 16;

/// What one generation of one shard may hold. All of it together is 64 MiB, some 20,000 sessions in use at a time.
pub(super) const GENERATION: usize = 512 * 1024;

/// What a copy costs beside its sealed record: map entry, key, reference counts.
pub(super) const OVERHEAD: usize = 250;

#[derive(Debug, Default)]
pub(super) struct Shard {
    pub(super) young: HashMap<StoreKey, Copy>,
    pub(super) young_bytes: usize,
    pub(super) old: HashMap<StoreKey, Copy>,
    sequences: [u64; SEQUENCES],
}

#[derive(Clone, Debug)]
pub(super) enum Copy {
    Live(Live),
    /// Kept as well, so that an answer which was under way cannot bring the session back.
    Over(Over),
}

#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) stored: Stored,
    pub(super) until: Timestamp,
    /// When it was true for certain.
    pub(super) seen: Instant,
    /// The life of the channel that tells of later changes.
    pub(super) vouched_by: Option<u64>,
    /// The highest version heard of; beyond the copy's own, it only serves an outage.
    pub(super) newest: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Over {
    /// Others end sessions without telling why.
    pub(super) reason: Option<EndReason>,
    pub(super) since: Instant,
    /// The absolute end, beyond which the store remembers no reason, if it was known.
    pub(super) until: Option<Timestamp>,
}

impl Live {
    pub(super) const fn is_newest(&self) -> bool {
        self.newest <= self.stored.version
    }

    /// When it was last true for certain: when it was seen, or until its channel was last heard.
    pub(super) fn confirmed(&self, heard_in: impl Fn(u64) -> Option<Instant>) -> Instant {
        let heard = self.vouched_by.filter(|_| self.is_newest()).and_then(heard_in);
        heard.map_or(self.seen, |heard| heard.max(self.seen))
    }
}

impl Shard {
    pub(super) fn find(&self, key: &StoreKey) -> Option<&Copy> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    pub(super) fn find_mut(&mut self, key: &StoreKey) -> Option<&mut Copy> {
        self.young.get_mut(key).or_else(|| self.old.get_mut(key))
    }

    /// How many changes were heard of in the neighbourhood of `key`.
    pub(super) const fn sequence(&self, key: &StoreKey) -> u64 {
        self.sequences[neighbourhood(key)]
    }

    /// A change was heard of.
    pub(super) fn count(&mut self, key: &StoreKey) {
        let sequence = &mut self.sequences[neighbourhood(key)];
        *sequence = sequence.wrapping_add(1);
    }

    /// Takes in what the store said, unless a change has outrun it.
    pub(super) fn learn(&mut self, key: &StoreKey, stored: &Stored, until: Timestamp, ticket: Ticket) -> Kept {
        let newest = match self.find(key) {
            Some(Copy::Over(over)) => return over.reason.map_or(Kept::Outrun, Kept::Over),
            // Nobody remembers which version was heard of, so whatever was heard meanwhile may have been this session's.
            None if self.sequence(key) != ticket.sequence => return Kept::Fine,
            None => stored.version,
            Some(Copy::Live(held)) if (stored.version, ticket.asked) < (held.stored.version, held.seen) => {
                return Kept::Fine;
            }
            Some(Copy::Live(held)) => held.newest.max(stored.version),
        };
        let Ticket { asked: seen, vouched_by, .. } = ticket;
        self.put(key, Copy::Live(Live { stored: stored.clone(), until, seen, vouched_by, newest }));
        Kept::Fine
    }

    /// A record too large for its shard is not kept.
    pub(super) fn put(&mut self, key: &StoreKey, copy: Copy) {
        self.remove(key);
        let cost = copy.cost();
        if cost > GENERATION {
            return self.count(key);
        }
        if self.young_bytes + cost > GENERATION {
            self.turn();
        }
        self.young_bytes += cost;
        self.young.insert(*key, copy);
    }

    pub(super) fn remove(&mut self, key: &StoreKey) {
        if let Some(copy) = self.young.remove(key) {
            self.young_bytes -= copy.cost();
        }
        self.old.remove(key);
    }

    pub(super) fn turn(&mut self) {
        self.old = std::mem::take(&mut self.young);
        self.young_bytes = 0;
        // With a copy goes the knowledge of its version, so no answer that is under way can be compared with it.
        for sequence in &mut self.sequences {
            *sequence = sequence.wrapping_add(1);
        }
    }
}

impl Copy {
    pub(super) const fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Live(live) => Some(live.until),
            Self::Over(over) => over.until,
        }
    }

    pub(super) fn cost(&self) -> usize {
        match self {
            Self::Live(live) => OVERHEAD + live.stored.sealed.len(),
            Self::Over(_) => OVERHEAD,
        }
    }
}

/// A key is a hash, so any of its bytes choose evenly; the first has chosen the shard.
const fn neighbourhood(key: &StoreKey) -> usize {
    key.as_bytes()[1] as usize % SEQUENCES
}
