//! Outage grace: while the store is down, sessions seen a moment ago go on, read-only, and what ended here stays ended.
//!
//! A copy is served only for `grace` after the store last confirmed it, only until the session's absolute end, and only
//! while the store fails; a store that answers is always believed. Nothing can be written meanwhile. An end is
//! remembered first and sent then: from that moment the session is over in this process, and over in the store as soon
//! as it answers again, even if the request that asked for it has gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::{
    Answer, Cursor, EndReason, Ended, Holder, Lease, Loaded, NewEntry, Page, Replaced, Store, StoreKey, Stored,
};
use crate::clock::{Clock, Timestamp};
use copies::Copies;

mod copies;

/// Ends that wait for the store at most. One more is told to the caller as failed and forgotten, and an alarm says so.
pub const PENDING_ENDS: usize = 10_000;

/// Pending ends that a request sends along when it finds the store answering again.
const SENT_ALONG: usize = 4;

/// A store whose sessions may outlive an outage, because it can say when they end.
pub trait Dated: Store {
    /// As [`Store::load`], with the absolute end of a live session.
    fn load_dated<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, (Loaded, Timestamp)>;
}

/// What this process knows about sessions while the store does not answer; shared by all its workers.
#[derive(Debug)]
pub struct Memory {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    copies: Copies,
    pending: HashMap<StoreKey, EndReason>,
}

/// A store with an outage grace in front.
pub struct Grace {
    inner: Arc<dyn Dated>,
    memory: Arc<Memory>,
}

impl Grace {
    /// Puts `memory` in front of `inner`.
    #[must_use]
    pub const fn new(inner: Arc<dyn Dated>, memory: Arc<Memory>) -> Self {
        Self { inner, memory }
    }

    /// The store has just answered, so a few ends that waited for it can go along.
    async fn send_along(&self) {
        self.memory.flush(&*self.inner, SENT_ALONG).await;
    }
}

impl Memory {
    /// Copies that are served for `grace` after the store last confirmed them.
    #[must_use]
    pub fn new(grace: Duration, clock: Clock) -> Self {
        let copies = Copies::new(grace, clock.now());
        Self { clock, state: Mutex::new(State { copies, pending: HashMap::new() }) }
    }

    /// Sends up to `most` pending ends, until one fails; also lets go of copies that are too old.
    pub async fn flush(&self, store: &dyn Store, most: usize) {
        let waiting: Vec<_> = {
            let mut state = self.lock();
            state.copies.turn(self.clock.now());
            state.pending.iter().take(most).map(|(key, reason)| (*key, *reason)).collect()
        };
        for (key, reason) in waiting {
            match store.end(&key, reason).await {
                Ok(_) => self.ended(&key, Some(reason)),
                Err(_) => return,
            }
        }
    }

    /// How many ends wait for the store.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.lock().pending.len()
    }

    fn pending_reason(&self, key: &StoreKey) -> Option<EndReason> {
        self.lock().pending.get(key).copied()
    }

    /// Remembers an end before it is sent.
    fn ending(&self, key: &StoreKey, reason: EndReason) {
        let mut state = self.lock();
        if state.pending.len() < PENDING_ENDS {
            state.pending.entry(*key).or_insert(reason);
        } else if !state.pending.contains_key(key) {
            tracing::error!("too many logouts wait for the store: one is not remembered");
        }
    }

    /// The store knows about the end now.
    fn ended(&self, key: &StoreKey, reason: Option<EndReason>) {
        let mut state = self.lock();
        state.pending.remove(key);
        state.copies.over(key, reason, self.clock.now());
    }

    /// Takes in what the store said; what ended here meanwhile wins over an answer that was under way.
    fn learn(&self, key: &StoreKey, loaded: Loaded, until: Timestamp) -> Loaded {
        let (now, mut state) = (self.clock.now(), self.lock());
        match loaded {
            Loaded::Ended(reason) => state.copies.over(key, Some(reason), now),
            Loaded::Absent => state.copies.over(key, None, now),
            Loaded::Live(stored) => {
                let known = state.pending.get(key).copied().or_else(|| state.copies.ended(key));
                if let Some(reason) = known {
                    return Loaded::Ended(reason);
                }
                state.copies.live(key, &stored, until, now);
                return Loaded::Live(stored);
            }
        }
        loaded
    }

    fn replaced(&self, key: &StoreKey, version: u64, sealed: Bytes) {
        let (now, mut state) = (self.clock.now(), self.lock());
        // Without an earlier copy its absolute end is not known, and it is not kept.
        if let Some(until) = state.copies.until(key) {
            state.copies.live(key, &Stored { version, sealed }, until, now);
        }
    }

    /// What is known without the store.
    fn recall(&self, key: &StoreKey) -> Option<Loaded> {
        let state = self.lock();
        let pending = state.pending.get(key).map(|reason| Loaded::Ended(*reason));
        pending.or_else(|| state.copies.recall(key, self.clock.now()))
    }

    /// A panic elsewhere cannot leave this half written: every change is one map access.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Grace {
    fn load_now<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Loaded> {
        self.inner.load(key)
    }

    fn file<'a>(&'a self, index: &'a StoreKey, key: &'a StoreKey, until: Timestamp) -> Answer<'a, ()> {
        todo!("{index}{key}{until:?}")
    }

    fn hold<'a>(&'a self, key: &'a StoreKey, holder: Holder, ttl: Duration) -> Answer<'a, Lease> {
        todo!("{key}{holder:?}{ttl:?}")
    }

    fn release<'a>(&'a self, key: &'a StoreKey, holder: Holder, verdict: Option<(Bytes, Duration)>) -> Answer<'a, ()> {
        todo!("{key}{holder:?}{verdict:?}")
    }

    fn changed<'a>(&'a self, key: &'a StoreKey, at_most: Duration) -> Answer<'a, ()> {
        todo!("{key}{at_most:?}")
    }

    fn scan<'a>(&'a self, from: &'a Cursor) -> Answer<'a, Page> {
        todo!("{from:?}")
    }

    fn load<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Loaded> {
        Box::pin(async move {
            if let Some(reason) = self.memory.pending_reason(key) {
                return Ok(Loaded::Ended(reason));
            }
            match self.inner.load_dated(key).await {
                Ok((loaded, until)) => {
                    let loaded = self.memory.learn(key, loaded, until);
                    self.send_along().await;
                    Ok(loaded)
                }
                Err(error) => self.memory.recall(key).ok_or(error),
            }
        })
    }

    fn insert<'a>(&'a self, key: &'a StoreKey, entry: NewEntry) -> Answer<'a, bool> {
        Box::pin(async move {
            let (sealed, until) = (entry.sealed.clone(), entry.expires_at);
            let inserted = self.inner.insert(key, entry).await?;
            if inserted {
                self.memory.learn(key, Loaded::Live(Stored { version: 1, sealed }), until);
            }
            Ok(inserted)
        })
    }

    fn replace<'a>(&'a self, key: &'a StoreKey, expected: u64, sealed: Bytes) -> Answer<'a, Replaced> {
        Box::pin(async move {
            if let Some(reason) = self.memory.pending_reason(key) {
                return Ok(Replaced::Gone(Some(reason)));
            }
            let outcome = self.inner.replace(key, expected, sealed.clone()).await?;
            match outcome {
                Replaced::Done => self.memory.replaced(key, expected + 1, sealed),
                Replaced::Gone(reason) => self.memory.ended(key, reason),
                Replaced::Conflict => {}
            }
            Ok(outcome)
        })
    }

    fn end<'a>(&'a self, key: &'a StoreKey, reason: EndReason) -> Answer<'a, Ended> {
        Box::pin(async move {
            self.memory.ending(key, reason);
            let outcome = self.inner.end(key, reason).await?;
            let known = match outcome {
                Ended::Now => Some(reason),
                Ended::Already(earlier) => earlier,
            };
            self.memory.ended(key, known);
            Ok(outcome)
        })
    }

    fn indexed<'a>(&'a self, index: &'a StoreKey) -> Answer<'a, Vec<StoreKey>> {
        self.inner.indexed(index)
    }

    fn put_once<'a>(&'a self, key: &'a StoreKey, note: Bytes, ttl: Duration) -> Answer<'a, bool> {
        self.inner.put_once(key, note, ttl)
    }

    fn take<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Option<Bytes>> {
        self.inner.take(key)
    }

    fn ping(&self) -> Answer<'_, ()> {
        self.inner.ping()
    }
}
