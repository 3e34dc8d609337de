//! The near cache and the outage grace: what this process has seen of a shared store, told without asking it.
//!
//! An unchanged session costs no round trip while the channel of [`Changes`](super::changes::Changes) is trusted: its copy
//! is told until a change is heard, at most for half a minute, and then read again. Without the channel a copy is told
//! for a second after it was read. While the store fails, a copy is told for `grace` after it was last true for certain;
//! a store that answers is always believed. No copy outlives the session's absolute end, and nothing can be written to
//! one.
//!
//! What this process does itself is known to all its workers at once. An end is remembered first and sent then: from
//! that moment the session is over in this process, and over in the store as soon as it answers again, even if the
//! request that asked for it has gone.
//!
//! A copy is never made of an answer that a change has outrun: versions are compared where the session is known, and
//! where it is not, a counter of changes in its neighbourhood tells that one was heard while the answer was under way.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{
    Allowance, Answer, Cursor, EndReason, Ended, Holder, Lease, Loaded, NewEntry, Page, Replaced, SignOfLife, Spent,
    Store, StoreError, StoreKey,
};
use crate::clock::Timestamp;
use crate::telemetry::metrics::NEAR;
pub(super) use copies::{Copies, Ticket};
pub use memory::{Memory, PENDING_ENDS};

mod copies;
mod memory;

/// Pending ends that a request sends along when it finds the store answering again.
const SENT_ALONG: usize = 4;

/// A store whose sessions may be copied, because it can say when they end.
pub trait Dated: Store {
    /// As [`Store::load_now`], with the absolute end of a live session.
    fn load_dated<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, (Loaded, Timestamp)>;
}

/// A store with the memory of this process in front.
pub struct Near {
    inner: Arc<dyn Dated>,
    memory: Arc<Memory>,
}

impl Near {
    /// Puts `memory` in front of `inner`.
    #[must_use]
    pub const fn new(inner: Arc<dyn Dated>, memory: Arc<Memory>) -> Self {
        Self { inner, memory }
    }

    /// Asks the store and remembers what it says.
    async fn ask(&self, key: &StoreKey) -> Result<Loaded, StoreError> {
        let loaded = match self.ask_once(key).await? {
            Some(loaded) => loaded,
            // It ended meanwhile, and the store has known why since before we heard of it.
            None => self.inner.load_dated(key).await?.0,
        };
        // What fails is said when all are sent.
        let _ = self.memory.send(&*self.inner, SENT_ALONG).await;
        Ok(loaded)
    }

    async fn ask_once(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        let ticket = self.memory.ticket(key);
        let (loaded, until) = self.inner.load_dated(key).await?;
        Ok(self.memory.learn(key, loaded, until, ticket))
    }
}

impl Store for Near {
    fn load<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Loaded> {
        if let Some(loaded) = self.memory.near(key) {
            NEAR.hit.add(1);
            return Box::pin(ready(Ok(loaded)));
        }
        NEAR.miss.add(1);
        Box::pin(async move {
            match self.ask(key).await {
                Ok(loaded) => Ok(loaded),
                Err(error) => self.memory.recall(key).ok_or(error),
            }
        })
    }

    fn load_now<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Loaded> {
        Box::pin(self.ask(key))
    }

    fn insert<'a>(&'a self, key: &'a StoreKey, entry: NewEntry) -> Answer<'a, bool> {
        Box::pin(async move {
            let (sealed, until) = (entry.sealed.clone(), entry.expires_at);
            let ticket = self.memory.ticket(key);
            let inserted = self.inner.insert(key, entry).await?;
            if inserted {
                self.memory.inserted(key, sealed, until, ticket);
            }
            Ok(inserted)
        })
    }

    fn replace<'a>(&'a self, key: &'a StoreKey, expected: u64, sealed: Bytes) -> Answer<'a, Replaced> {
        Box::pin(async move {
            if let Some(reason) = self.memory.pending_reason(key) {
                return Ok(Replaced::Gone(Some(reason)));
            }
            let ticket = self.memory.ticket(key);
            let outcome = self.inner.replace(key, expected, sealed.clone()).await?;
            match outcome {
                Replaced::Done => self.memory.replaced(key, expected + 1, sealed, ticket),
                Replaced::Gone(reason) => self.memory.ended(key, reason),
                Replaced::Conflict => self.memory.conflict(key, expected),
            }
            Ok(outcome)
        })
    }

    fn end<'a>(&'a self, key: &'a StoreKey, reason: EndReason) -> Answer<'a, Ended> {
        Box::pin(async move {
            let _attempt = self.memory.ending(key, reason);
            let outcome = self.inner.end(key, reason).await?;
            let known = match &outcome {
                Ended::Now(_) => Some(reason),
                Ended::Already(earlier) => *earlier,
            };
            self.memory.ended(key, known);
            Ok(outcome)
        })
    }

    /// Nothing is remembered of one that fails: whether it is an end is for the store to say.
    fn end_version<'a>(&'a self, key: &'a StoreKey, expected: u64, reason: EndReason) -> Answer<'a, Replaced> {
        Box::pin(async move {
            let outcome = self.inner.end_version(key, expected, reason).await?;
            match outcome {
                Replaced::Done => self.memory.ended(key, Some(reason)),
                Replaced::Gone(earlier) => self.memory.ended(key, earlier),
                Replaced::Conflict => self.memory.conflict(key, expected),
            }
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

    fn file<'a>(&'a self, index: &'a StoreKey, key: &'a StoreKey, until: Timestamp) -> Answer<'a, ()> {
        self.inner.file(index, key, until)
    }

    fn inherit<'a>(
        &'a self,
        key: &'a StoreKey,
        heir: Holder,
        silent: Option<SignOfLife>,
        ttl: Duration,
    ) -> Answer<'a, Lease> {
        self.inner.inherit(key, heir, silent, ttl)
    }

    fn release<'a>(&'a self, key: &'a StoreKey, holder: Holder, verdict: Option<(Bytes, Duration)>) -> Answer<'a, ()> {
        Box::pin(async move {
            self.inner.release(key, holder, verdict).await?;
            self.memory.changes().ring(key);
            Ok(())
        })
    }

    fn spend<'a>(&'a self, key: &'a StoreKey, allowance: Allowance) -> Answer<'a, Spent> {
        self.inner.spend(key, allowance)
    }

    fn pause<'a>(&'a self, key: &'a StoreKey, time: Duration) -> Answer<'a, ()> {
        self.inner.pause(key, time)
    }

    /// Hears of it from the channel, or from this process itself.
    fn changed<'a>(&'a self, key: &'a StoreKey, at_most: Duration) -> Answer<'a, ()> {
        let changed = self.memory.changes().wait(key, at_most);
        Box::pin(async move {
            changed.await;
            Ok(())
        })
    }

    fn scan<'a>(&'a self, from: &'a Cursor) -> Answer<'a, Page> {
        self.inner.scan(from)
    }

    fn skip<'a>(&'a self, from: &'a Cursor) -> Answer<'a, Option<Cursor>> {
        self.inner.skip(from)
    }

    fn ping(&self) -> Answer<'_, ()> {
        self.inner.ping()
    }
}
