//! The bounded copies of sessions seen: in shards, so that workers seldom meet, and in two generations each, the older of
//! which is dropped as a whole.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;

use shard::{Copy, Over, Shard};

use crate::clock::Timestamp;
use crate::session::store::changes::{Change, TRUSTED_FOR};
use crate::session::store::{EndReason, Loaded, StoreKey, Stored};

mod shard;

/// Parts with a lock of their own; a hit takes one for reading.
const SHARDS: usize = 64;

/// However alive the channel is, a copy is asked for again after this: a session that was evicted or deleted by
/// hand tells nobody.
pub(super) const READ_AGAIN: Duration = Duration::from_secs(30);

/// Copies of what the store said last.
#[derive(Debug)]
pub(in crate::session::store) struct Copies(Box<[RwLock<Shard>]>);

/// Taken before the store is asked, for judging the answer when it comes.
#[derive(Clone, Copy, Debug)]
pub(in crate::session::store) struct Ticket {
    /// When the question was sent: what the answer tells was true at that moment or later.
    pub(in crate::session::store) asked: Instant,
    /// The life of the channel that would tell of a later change.
    pub(in crate::session::store) vouched_by: Option<u64>,
    /// How many changes were heard of in the key's neighbourhood.
    pub(in crate::session::store) sequence: u64,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It may be told, whether or not it is kept.
    Fine,
    /// The session is over for this reason: it ended while the answer was under way.
    Over(EndReason),
    /// It ended while the answer was under way, and only the store knows why.
    Outrun,
}

impl Default for Copies {
    fn default() -> Self {
        Self(std::iter::repeat_with(RwLock::default).take(SHARDS).collect())
    }
}

impl Copies {
    /// What may be told without asking the store, while `vouching` is the life of the channel that is trusted.
    pub(super) fn near(&self, key: &StoreKey, now: Instant, time: Timestamp, vouching: Option<u64>) -> Option<Loaded> {
        match self.read(key).find(key)? {
            Copy::Over(Over { reason, since, until }) => {
                let fresh = now.saturating_duration_since(*since) <= TRUSTED_FOR;
                let remembered = until.is_some_and(|until| time < until);
                reason.filter(|_| fresh && remembered).map(Loaded::Ended)
            }
            Copy::Live(live) => {
                let age = now.saturating_duration_since(live.seen);
                let vouched = vouching.is_some() && live.vouched_by == vouching && age <= READ_AGAIN;
                let believed = live.is_newest() && time < live.until && (vouched || age <= TRUSTED_FOR);
                believed.then(|| Loaded::Live(live.stored.clone()))
            }
        }
    }

    /// What may bridge an outage: the copy and when it was last true for certain, as `heard_in` tells of a life of the
    /// channel.
    pub(super) fn recall(
        &self,
        key: &StoreKey,
        time: Timestamp,
        heard_in: impl Fn(u64) -> Option<Instant>,
    ) -> Option<(Loaded, Instant)> {
        match self.read(key).find(key)? {
            Copy::Over(over) => over.reason.map(|reason| (Loaded::Ended(reason), over.since)),
            Copy::Live(live) if time < live.until => {
                Some((Loaded::Live(live.stored.clone()), live.confirmed(heard_in)))
            }
            Copy::Live(_) => None,
        }
    }

    /// The store said that it is live; an answer that was outrun changes nothing.
    pub(super) fn live(&self, key: &StoreKey, stored: &Stored, until: Timestamp, ticket: Ticket) -> Kept {
        self.write(key).learn(key, stored, until, ticket)
    }

    /// It was inserted from here, so that whatever ended under its key is long forgotten by the store.
    pub(super) fn inserted(&self, key: &StoreKey, sealed: Bytes, until: Timestamp, ticket: Ticket) {
        let mut shard = self.write(key);
        if let Some(Copy::Over(_)) = shard.find(key) {
            shard.remove(key);
        }
        shard.learn(key, &Stored { version: 1, sealed }, until, ticket);
    }

    /// It was replaced from here. One not known before is not kept, for its absolute end is missing; an answer that is
    /// under way is outrun all the same.
    pub(super) fn replaced(&self, key: &StoreKey, version: u64, sealed: Bytes, ticket: Ticket) {
        let mut shard = self.write(key);
        match shard.find(key) {
            Some(Copy::Live(live)) => {
                let until = live.until;
                shard.learn(key, &Stored { version, sealed }, until, ticket);
            }
            Some(Copy::Over(_)) => {}
            None => shard.count(key),
        }
    }

    /// The store has another version than `version`, which somebody had read.
    pub(super) fn conflict(&self, key: &StoreKey, version: u64) {
        let mut shard = self.write(key);
        match shard.find_mut(key) {
            Some(Copy::Live(live)) if live.stored.version == version => {
                live.newest = live.newest.max(version.saturating_add(1));
            }
            Some(_) => {}
            None => shard.count(key),
        }
    }

    /// The store said that it is over, or knows nothing of it.
    pub(super) fn over(&self, key: &StoreKey, reason: Option<EndReason>, since: Instant) {
        let mut shard = self.write(key);
        match reason {
            Some(_) => {
                let until = shard.find(key).and_then(Copy::until);
                shard.put(key, Copy::Over(Over { reason, since, until }));
            }
            None => {
                shard.remove(key);
                shard.count(key);
            }
        }
    }

    /// Others changed it. A live copy is told the version, everything else is counted.
    pub(in crate::session::store) fn changed(
        &self,
        key: &StoreKey,
        change: Change,
        heard_in: impl Fn(u64) -> Option<Instant>,
    ) {
        let mut shard = self.write(key);
        shard.count(key);
        let Some(Copy::Live(live)) = shard.find_mut(key) else { return };
        match change {
            Change::Written(version) if version > live.newest => {
                live.seen = live.confirmed(heard_in);
                live.newest = version;
            }
            Change::Written(_) => {}
            Change::Ended => {
                let over = Over { reason: None, since: live.seen, until: Some(live.until) };
                shard.put(key, Copy::Over(over));
            }
        }
    }

    /// How many changes were heard of in the neighbourhood of `key`.
    pub(in crate::session::store) fn sequence(&self, key: &StoreKey) -> u64 {
        self.read(key).sequence(key)
    }

    /// Begins a new generation everywhere and drops what nobody saw since the last time.
    pub(super) fn turn(&self) {
        for shard in &self.0 {
            shard.write().unwrap_or_else(PoisonError::into_inner).turn();
        }
    }

    fn read(&self, key: &StoreKey) -> RwLockReadGuard<'_, Shard> {
        self.shard(key).read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic elsewhere cannot leave a shard half written: every change is one map access.
    fn write(&self, key: &StoreKey) -> RwLockWriteGuard<'_, Shard> {
        self.shard(key).write().unwrap_or_else(PoisonError::into_inner)
    }

    fn shard(&self, key: &StoreKey) -> &RwLock<Shard> {
        &self.0[usize::from(key.as_bytes()[0]) % SHARDS]
    }
}

#[cfg(test)]
mod tests;
