//! What one process knows about sessions: the copies that all its workers share, and the ends that the store must still
//! be told.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;

use super::copies::{Kept, READ_AGAIN, Ticket};
use crate::clock::{Clock, Timestamp};
use crate::session::store::changes::Changes;
use crate::session::store::{EndReason, Loaded, Store, StoreError, StoreKey};

/// Ends that wait for the store at most. One more is told to the caller as failed and forgotten, and an alarm says so.
pub const PENDING_ENDS: usize = 10_000;

/// How many of them are under way at a time.
const SENT_AT_ONCE: usize = 32;

/// Shared by all workers of a process; one for each store.
#[derive(Debug)]
pub struct Memory {
    clock: Clock,
    grace: Duration,
    changes: Arc<Changes>,
    pending: Pending,
    turned: Mutex<Instant>,
    /// How many ends could not be sent the last time that all were.
    failed: AtomicUsize,
}

impl Memory {
    /// Copies that are believed as far as `changes` vouches for them, and bridge an outage for `grace`; zero is not at
    /// all. Each needs a [`Changes`] of its own.
    #[must_use]
    pub fn new(grace: Duration, changes: Arc<Changes>, clock: Clock) -> Self {
        let turned = Mutex::new(clock.instant());
        Self { clock, grace, changes, pending: Pending::default(), turned, failed: AtomicUsize::new(0) }
    }

    /// Sends up to `most` pending ends, and says when some cannot be; also lets go of copies that are too old.
    pub async fn flush(&self, store: &dyn Store, most: usize) {
        self.turn();
        let failures = self.send(store, most).await;
        let failed = failures.len();
        if self.failed.swap(failed, Ordering::Relaxed) != failed && failed > 0 {
            let reasons: BTreeSet<String> = failures.into_iter().map(|StoreError(why)| why).collect();
            let why = reasons.into_iter().collect::<Vec<_>>().join("; ");
            tracing::warn!(event = "ends_wait", failed, why, "sessions that ended wait for the store to take it");
        }
    }

    /// How many ends wait for the store.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Sends up to `most` pending ends, some at a time; why those failed that did. Of several servers one may be down, and
    /// what the others must be told does not wait for it.
    pub(super) async fn send(&self, store: &dyn Store, most: usize) -> Vec<StoreError> {
        let send = |(key, reason): (StoreKey, EndReason)| async move {
            store.end(&key, reason).await.map(|_| self.ended(&key, Some(reason))).err()
        };
        let mut failures = Vec::new();
        let mut waiting = self.pending.first(most).into_iter().peekable();
        while waiting.peek().is_some() {
            let sent = join_all(waiting.by_ref().take(SENT_AT_ONCE).map(send)).await;
            failures.extend(sent.into_iter().flatten());
        }
        failures
    }

    pub(super) const fn changes(&self) -> &Arc<Changes> {
        &self.changes
    }

    /// Why a session is over that ended here and may not be over in the store yet.
    pub(super) fn pending_reason(&self, key: &StoreKey) -> Option<EndReason> {
        self.pending.reason(key)
    }

    /// What can be told without asking the store.
    pub(super) fn near(&self, key: &StoreKey) -> Option<Loaded> {
        if let Some(reason) = self.pending.reason(key) {
            return Some(Loaded::Ended(reason));
        }
        let now = self.clock.instant();
        self.changes.copies().near(key, now, self.clock.now(), self.changes.vouching(now))
    }

    /// To be taken before the store is asked.
    pub(super) fn ticket(&self, key: &StoreKey) -> Ticket {
        self.changes.ticket(key, self.clock.instant())
    }

    /// Takes in what the store said. Nothing is returned when the session ended while the answer was under way and only
    /// the store knows why.
    pub(super) fn learn(&self, key: &StoreKey, loaded: Loaded, until: Timestamp, ticket: Ticket) -> Option<Loaded> {
        let copies = self.changes.copies();
        match &loaded {
            Loaded::Ended(reason) => copies.over(key, Some(*reason), ticket.asked),
            Loaded::Absent => copies.over(key, None, ticket.asked),
            Loaded::Live(stored) => {
                // What ended here wins, told to the store or not.
                if let Some(reason) = self.pending.reason(key) {
                    return Some(Loaded::Ended(reason));
                }
                match copies.live(key, stored, until, ticket) {
                    Kept::Fine => {}
                    Kept::Over(reason) => return Some(Loaded::Ended(reason)),
                    Kept::Outrun => return None,
                }
            }
        }
        Some(loaded)
    }

    /// The store took a new session from here: whatever stood under its key before is forgotten.
    pub(super) fn inserted(&self, key: &StoreKey, sealed: Bytes, until: Timestamp, ticket: Ticket) {
        self.changes.copies().inserted(key, sealed, until, ticket);
        self.changes.ring(key);
    }

    /// The store took a new version from here.
    pub(super) fn replaced(&self, key: &StoreKey, version: u64, sealed: Bytes, ticket: Ticket) {
        self.changes.copies().replaced(key, version, sealed, ticket);
        self.changes.ring(key);
    }

    /// The store refused to replace `version`, because it has another one.
    pub(super) fn conflict(&self, key: &StoreKey, version: u64) {
        self.changes.copies().conflict(key, version);
    }

    /// Remembers an end before it is sent; while the attempt is held, nobody else sends it.
    pub(super) fn ending(&self, key: &StoreKey, reason: EndReason) -> Attempt<'_> {
        if !self.pending.add(key, reason) {
            tracing::error!("too many logouts wait for the store: one is not remembered");
        }
        Attempt { pending: &self.pending, key: *key }
    }

    /// The store knows about the end now.
    pub(super) fn ended(&self, key: &StoreKey, reason: Option<EndReason>) {
        self.changes.copies().over(key, reason, self.clock.instant());
        self.pending.remove(key);
        self.changes.ring(key);
    }

    /// What is known while the store does not answer.
    pub(super) fn recall(&self, key: &StoreKey) -> Option<Loaded> {
        if let Some(reason) = self.pending.reason(key) {
            return Some(Loaded::Ended(reason));
        }
        let heard_in = |life| self.changes.heard_in(life);
        let (loaded, confirmed) = self.changes.copies().recall(key, self.clock.now(), heard_in)?;
        let bridged = !self.grace.is_zero() && self.clock.instant().saturating_duration_since(confirmed) <= self.grace;
        (bridged || matches!(loaded, Loaded::Ended(_))).then_some(loaded)
    }

    /// A copy is told for [`READ_AGAIN`] and then bridges an outage for `grace`; what nobody asked for by then is of no use.
    fn turn(&self) {
        let now = self.clock.instant();
        let mut turned = self.turned.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(*turned) >= READ_AGAIN + self.grace {
            *turned = now;
            self.changes.copies().turn();
        }
    }
}

/// An end on its way to the store. If it does not arrive, or its request goes away, it waits for the next occasion.
pub(super) struct Attempt<'a> {
    pending: &'a Pending,
    key: StoreKey,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(end) = self.pending.lock().get_mut(&self.key) {
            end.on_its_way = end.on_its_way.saturating_sub(1);
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct End {
    reason: EndReason,
    /// How many attempts to tell the store are under way.
    on_its_way: usize,
}

/// Ends that the store may not know yet.
#[derive(Debug, Default)]
struct Pending {
    ends: Mutex<HashMap<StoreKey, End>>,
    /// How many there are, so that a request need not take the lock to find that there are none.
    count: AtomicUsize,
}

impl Pending {
    fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    fn reason(&self, key: &StoreKey) -> Option<EndReason> {
        if self.len() == 0 {
            return None;
        }
        self.lock().get(key).map(|end| end.reason)
    }

    fn first(&self, most: usize) -> Vec<(StoreKey, EndReason)> {
        if self.len() == 0 {
            return Vec::new();
        }
        let ends = self.lock();
        let waiting = ends.iter().filter(|(_, end)| end.on_its_way == 0);
        waiting.take(most).map(|(key, end)| (*key, end.reason)).collect()
    }

    /// Whether it is among them now; the first reason stays.
    fn add(&self, key: &StoreKey, reason: EndReason) -> bool {
        let mut ends = self.lock();
        let room = ends.len() < PENDING_ENDS || ends.contains_key(key);
        if room {
            ends.entry(*key).or_insert(End { reason, on_its_way: 0 }).on_its_way += 1;
            self.count.store(ends.len(), Ordering::SeqCst);
        }
        room
    }

    fn remove(&self, key: &StoreKey) {
        let mut ends = self.lock();
        ends.remove(key);
        self.count.store(ends.len(), Ordering::SeqCst);
    }

    /// A panic elsewhere cannot leave this half written: every change is one map access.
    fn lock(&self) -> MutexGuard<'_, HashMap<StoreKey, End>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
