//! One process with two workers in front of a store that can be switched off, and that counts how often it is asked.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cloakroom::clock::{Clock, Timestamp};
use cloakroom::session::store::changes::Changes;
use cloakroom::session::store::memory::MemoryStore;
use cloakroom::session::store::near::{Dated, Memory, Near};
use cloakroom::session::store::{
    Allowance, Answer, Cursor, EndReason, Ended, Holder, Lease, Loaded, NewEntry, Page, Replaced, SignOfLife, Spent,
    Store, StoreError, StoreKey,
};

use super::place::{entry, hand_moved, key};

pub(crate) const GRACE: Duration = Duration::from_secs(30);

/// Works, fails every command, or never answers, as told.
pub(crate) struct Switched {
    pub(crate) store: MemoryStore,
    pub(crate) down: AtomicBool,
    pub(crate) hangs: AtomicBool,
    /// Has lost all sessions, as a Redis does that is flushed.
    pub(crate) empty: AtomicBool,
    pub(crate) loads: AtomicUsize,
    /// What lies on a server that is down, while the others work.
    pub(crate) out_of_reach: Mutex<BTreeSet<StoreKey>>,
}

macro_rules! switched {
    ($self:ident, $call:ident($($argument:expr),*)) => {
        if $self.hangs.load(Ordering::SeqCst) {
            Box::pin(std::future::pending())
        } else if $self.down.load(Ordering::SeqCst) {
            Box::pin(async { Err(StoreError("switched off".to_owned())) })
        } else {
            $self.store.$call($($argument),*)
        }
    };
}

impl Store for Switched {
    fn load<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Loaded> {
        switched!(self, load(key))
    }
    fn load_now<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Loaded> {
        switched!(self, load(key))
    }
    fn insert<'a>(&'a self, key: &'a StoreKey, entry: NewEntry) -> Answer<'a, bool> {
        switched!(self, insert(key, entry))
    }
    fn replace<'a>(&'a self, key: &'a StoreKey, expected: u64, sealed: Bytes) -> Answer<'a, Replaced> {
        switched!(self, replace(key, expected, sealed))
    }
    fn end<'a>(&'a self, key: &'a StoreKey, reason: EndReason) -> Answer<'a, Ended> {
        if self.out_of_reach.lock().unwrap().contains(key) {
            return Box::pin(async { Err(StoreError("one server is down".to_owned())) });
        }
        switched!(self, end(key, reason))
    }
    fn end_version<'a>(&'a self, key: &'a StoreKey, expected: u64, reason: EndReason) -> Answer<'a, Replaced> {
        switched!(self, end_version(key, expected, reason))
    }
    fn indexed<'a>(&'a self, index: &'a StoreKey) -> Answer<'a, Vec<StoreKey>> {
        switched!(self, indexed(index))
    }
    fn put_once<'a>(&'a self, key: &'a StoreKey, note: Bytes, ttl: Duration) -> Answer<'a, bool> {
        switched!(self, put_once(key, note, ttl))
    }
    fn take<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Option<Bytes>> {
        switched!(self, take(key))
    }
    fn file<'a>(&'a self, index: &'a StoreKey, key: &'a StoreKey, until: Timestamp) -> Answer<'a, ()> {
        switched!(self, file(index, key, until))
    }
    fn inherit<'a>(
        &'a self,
        key: &'a StoreKey,
        heir: Holder,
        silent: Option<SignOfLife>,
        ttl: Duration,
    ) -> Answer<'a, Lease> {
        switched!(self, inherit(key, heir, silent, ttl))
    }
    fn release<'a>(&'a self, key: &'a StoreKey, holder: Holder, verdict: Option<(Bytes, Duration)>) -> Answer<'a, ()> {
        switched!(self, release(key, holder, verdict))
    }
    fn spend<'a>(&'a self, key: &'a StoreKey, allowance: Allowance) -> Answer<'a, Spent> {
        switched!(self, spend(key, allowance))
    }
    fn pause<'a>(&'a self, key: &'a StoreKey, time: Duration) -> Answer<'a, ()> {
        switched!(self, pause(key, time))
    }
    fn changed<'a>(&'a self, key: &'a StoreKey, at_most: Duration) -> Answer<'a, ()> {
        switched!(self, changed(key, at_most))
    }
    fn scan<'a>(&'a self, from: &'a Cursor) -> Answer<'a, Page> {
        switched!(self, scan(from))
    }
    fn ping(&self) -> Answer<'_, ()> {
        switched!(self, ping())
    }
}

impl Dated for Switched {
    fn load_dated<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, (Loaded, Timestamp)> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        if self.empty.load(Ordering::SeqCst) {
            return Box::pin(async { Ok((Loaded::Absent, Timestamp::default())) });
        }
        switched!(self, load_dated(key))
    }
}

/// Two workers of one process, in front of one store.
pub(crate) struct Process {
    pub(crate) clock: Clock,
    pub(crate) inner: Arc<Switched>,
    pub(crate) changes: Arc<Changes>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) one: Near,
    pub(crate) two: Near,
}

impl Process {
    pub(crate) fn start() -> Self {
        Self::with(GRACE)
    }

    pub(crate) fn with(grace: Duration) -> Self {
        let clock = hand_moved();
        let store = MemoryStore::new(clock.clone());
        let off = || AtomicBool::new(false);
        let inner = Switched {
            store,
            down: off(),
            hangs: off(),
            empty: off(),
            loads: AtomicUsize::new(0),
            out_of_reach: Mutex::default(),
        };
        let (inner, changes) = (Arc::new(inner), Arc::new(Changes::default()));
        let memory = Arc::new(Memory::new(grace, Arc::clone(&changes), clock.clone()));
        let worker = || Near::new(Arc::clone(&inner) as Arc<dyn Dated>, Arc::clone(&memory));
        let (one, two) = (worker(), worker());
        Self { clock, inner, changes, memory, one, two }
    }

    pub(crate) fn down(&self, down: bool) {
        self.inner.down.store(down, Ordering::SeqCst);
    }

    /// The channel says that it is alive.
    pub(crate) fn hear(&self) {
        self.changes.heard(self.clock.instant());
    }

    /// How often the store was asked so far.
    pub(crate) fn asked(&self) -> usize {
        self.inner.loads.load(Ordering::SeqCst)
    }

    pub(crate) async fn session(&self, life: Duration) -> StoreKey {
        let id = key("s");
        assert!(self.one.insert(&id, entry(&self.clock, b"one", life, &[key("i")])).await.unwrap());
        id
    }
}
