//! What this process hears of changes that others make in a shared store, and how far it can be trusted to hear.
//!
//! The channel has *lives*: one lasts from the moment it is made until it breaks. A copy whose load began while the
//! channel was trusted is vouched for by that life: a change since then would have been told. With the life the
//! vouching ends, and so it does when nothing was heard for [`TRUSTED_FOR`], because the last change may be on its way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::StoreKey;
use super::bells::Bells;
use super::near::{Copies, Ticket};

/// For how long after the channel was last heard a copy is still believed (contract section 6.10 allows two seconds).
pub const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// The news of one shared store; one for the whole process, told by the task that listens.
#[derive(Debug, Default)]
pub struct Changes {
    channel: Channel,
    bells: Bells,
    copies: Copies,
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The session was written; its version is this now.
    Written(u64),
    /// The session is over.
    Ended,
}

impl Changes {
    /// The channel was proven to be alive at `at`: when a message came, or when our own heartbeat that came back was
    /// *sent*. What was sent before that moment has arrived.
    pub fn heard(&self, at: Instant) {
        self.channel.heard(at);
    }

    /// The session at `key` was changed.
    pub fn changed(&self, key: &StoreKey, change: Change) {
        self.copies.changed(key, change, |life| self.channel.heard_in(life));
        self.bells.ring(key);
    }

    /// The channel broke and was made anew: anything may have changed meanwhile, so no copy is believed any more without
    /// asking. What was vouched for until the break may still bridge an outage. Call it once the new channel listens and
    /// before it is [`heard`](Self::heard).
    pub fn lost(&self) {
        self.channel.lost();
    }

    /// Whether what was copied a while ago can be believed at `now`.
    #[must_use]
    pub fn trusted(&self, now: Instant) -> bool {
        self.channel.life_trusted(now).is_some()
    }

    /// Waits until the session at `key` changes, counted from this call, but no longer than `at_most`.
    pub fn wait(&self, key: &StoreKey, at_most: Duration) -> impl Future<Output = ()> + Send + use<'_> {
        self.bells.wait(key, at_most)
    }

    /// What this process itself did to the session at `key` needs no channel to be known here.
    pub(super) fn ring(&self, key: &StoreKey) {
        self.bells.ring(key);
    }

    /// To be taken before the store is asked for `key`, and handed in with its answer.
    pub(super) fn ticket(&self, key: &StoreKey, now: Instant) -> Ticket {
        // The life first: it may end before the sequence is read, never begin after.
        let vouched_by = self.channel.life_trusted(now);
        Ticket { asked: now, vouched_by, sequence: self.copies.sequence(key) }
    }

    /// The life of the channel that vouches at `now`.
    pub(super) fn vouching(&self, now: Instant) -> Option<u64> {
        self.channel.life_trusted(now)
    }

    /// When a life was heard last, if it is this one or the one before.
    pub(super) fn heard_in(&self, life: u64) -> Option<Instant> {
        self.channel.heard_in(life)
    }

    /// The copies that the news are about.
    pub(super) const fn copies(&self) -> &Copies {
        &self.copies
    }
}

/// When the channel was heard, without a lock: every request reads it.
#[derive(Debug)]
struct Channel {
    /// What the moments below are counted from, in nanoseconds; zero is never.
    origin: Instant,
    life: AtomicU64,
    heard: AtomicU64,
    heard_before: AtomicU64,
}

impl Default for Channel {
    fn default() -> Self {
        let (life, heard, heard_before) = Default::default();
        Self { origin: Instant::now(), life, heard, heard_before }
    }
}

impl Channel {
    fn heard(&self, at: Instant) {
        let nanos = at.saturating_duration_since(self.origin).as_nanos();
        self.heard.fetch_max(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    fn lost(&self) {
        // In this order: who finds the new life heard also finds it new.
        self.life.fetch_add(1, Ordering::SeqCst);
        self.heard_before.store(self.heard.swap(0, Ordering::SeqCst), Ordering::SeqCst);
    }

    fn life_trusted(&self, now: Instant) -> Option<u64> {
        let heard = self.moment(self.heard.load(Ordering::SeqCst))?;
        (now.saturating_duration_since(heard) <= TRUSTED_FOR).then(|| self.life.load(Ordering::SeqCst))
    }

    fn heard_in(&self, life: u64) -> Option<Instant> {
        let current = self.life.load(Ordering::SeqCst);
        match current.checked_sub(life)? {
            0 => self.moment(self.heard.load(Ordering::SeqCst)),
            1 => self.moment(self.heard_before.load(Ordering::SeqCst)),
            _ => None,
        }
    }

    fn moment(&self, nanos: u64) -> Option<Instant> {
        (nanos > 0).then(|| self.origin + Duration::from_nanos(nanos))
    }
}
