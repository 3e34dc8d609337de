//! The store inside this process: the default, and gone with it.
//!
//! One lock guards everything, so that each operation is atomic; it is held for a few map accesses and never across an
//! await. What expired is never shown, and each write removes some of it, so memory follows the number of live sessions
//! without a task that sweeps.

use std::collections::{BTreeSet, HashMap};
use std::future::ready;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::bells::Bells;
use super::leases::Leases;
use super::near::Dated;
use super::row::Row;
use super::{
    Answer, Cursor, EndReason, Ended, Holder, Lease, Loaded, NewEntry, PAGE, Page, Replaced, SignOfLife, Store,
    StoreError, StoreKey, no_cursor,
};
use crate::clock::{Clock, Timestamp};

/// Expired rows that one write removes at most: more than it adds, so that they cannot pile up, and few enough that
/// nobody waits for a mass expiry.
const SWEPT_AT_ONCE: usize = 64;

/// Sessions in the memory of this process.
#[derive(Debug)]
pub struct MemoryStore {
    clock: Clock,
    rows: Mutex<Rows>,
    leases: Leases,
    bells: Bells,
}

#[derive(Debug, Default)]
struct Rows {
    sessions: HashMap<StoreKey, Row>,
    indexes: HashMap<StoreKey, BTreeSet<(Timestamp, StoreKey)>>,
    notes: HashMap<StoreKey, (Timestamp, Bytes)>,
    /// When to look at which row again; a row that lives longer by then is simply left alone.
    due: BTreeSet<(Timestamp, Kind, StoreKey)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Session,
    Index,
    Note,
}

impl MemoryStore {
    /// An empty store that takes the time from `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let leases = Leases::new(clock.clone());
        Self { clock, rows: Mutex::default(), leases, bells: Bells::default() }
    }

    /// How many rows of any kind are kept, expired ones that were not swept yet included.
    #[must_use]
    pub fn rows(&self) -> usize {
        let rows = self.lock();
        rows.sessions.len() + rows.notes.len() + rows.indexes.values().map(BTreeSet::len).sum::<usize>()
    }

    /// A panic elsewhere cannot leave a row half written: every change is one map access.
    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write<T>(&self, work: impl FnOnce(&mut Rows, Timestamp) -> T) -> Answer<'static, T>
    where
        T: Send + 'static,
    {
        let now = self.clock.now();
        let mut rows = self.lock();
        rows.sweep(now);
        let outcome = work(&mut rows, now);
        answer(outcome)
    }

    /// A write of the session at `key`, whose waiters look again.
    fn write_session<T>(&self, key: &StoreKey, work: impl FnOnce(&mut Rows, Timestamp) -> T) -> Answer<'static, T>
    where
        T: Send + 'static,
    {
        let outcome = self.write(work);
        self.bells.ring(key);
        outcome
    }
}

impl Store for MemoryStore {
    fn load_now<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Loaded> {
        self.load(key)
    }

    fn load<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Loaded> {
        let now = self.clock.now();
        answer(self.lock().session(key, now).map_or(Loaded::Absent, |row| row.loaded()))
    }

    fn insert<'a>(&'a self, key: &'a StoreKey, entry: NewEntry) -> Answer<'a, bool> {
        self.write_session(key, |rows, now| {
            let free = rows.session(key, now).is_none();
            if free {
                rows.insert(*key, entry);
            }
            free
        })
    }

    fn replace<'a>(&'a self, key: &'a StoreKey, expected: u64, sealed: Bytes) -> Answer<'a, Replaced> {
        self.write_session(key, |rows, now| match rows.session(key, now) {
            Some(row) => row.replace(expected, sealed),
            None => Replaced::Gone(None),
        })
    }

    fn end<'a>(&'a self, key: &'a StoreKey, reason: EndReason) -> Answer<'a, Ended> {
        self.write_session(key, |rows, now| {
            let Some(row) = rows.session(key, now) else { return Ended::Already(None) };
            let outcome = row.end(reason, now);
            let until = row.until();
            rows.due.insert((until, Kind::Session, *key));
            outcome
        })
    }

    fn end_version<'a>(&'a self, key: &'a StoreKey, expected: u64, reason: EndReason) -> Answer<'a, Replaced> {
        self.write_session(key, |rows, now| {
            let Some(row) = rows.session(key, now) else { return Replaced::Gone(None) };
            let outcome = row.end_version(expected, reason, now);
            let until = row.until();
            rows.due.insert((until, Kind::Session, *key));
            outcome
        })
    }

    fn indexed<'a>(&'a self, index: &'a StoreKey) -> Answer<'a, Vec<StoreKey>> {
        let now = self.clock.now();
        let rows = self.lock();
        let filed = rows.indexes.get(index).into_iter().flatten();
        let mut keys: Vec<_> = filed.filter(|(until, _)| *until > now).map(|(_, key)| *key).collect();
        // One that was filed again for longer stands there twice.
        keys.sort_unstable();
        keys.dedup();
        answer(keys)
    }

    fn put_once<'a>(&'a self, key: &'a StoreKey, note: Bytes, ttl: Duration) -> Answer<'a, bool> {
        self.write(|rows, now| {
            let free = rows.notes.get(key).is_none_or(|(until, _)| *until <= now);
            if free {
                let until = now.plus(ttl);
                rows.notes.insert(*key, (until, note));
                rows.due.insert((until, Kind::Note, *key));
            }
            free
        })
    }

    fn take<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Option<Bytes>> {
        self.write(|rows, now| {
            let (until, note) = rows.notes.remove(key)?;
            (until > now).then_some(note)
        })
    }

    fn file<'a>(&'a self, index: &'a StoreKey, key: &'a StoreKey, until: Timestamp) -> Answer<'a, ()> {
        self.write(|rows, _| rows.file(*index, *key, until))
    }

    fn inherit<'a>(
        &'a self,
        key: &'a StoreKey,
        heir: Holder,
        silent: Option<SignOfLife>,
        ttl: Duration,
    ) -> Answer<'a, Lease> {
        answer(self.leases.inherit(key, heir, silent, ttl))
    }

    fn release<'a>(&'a self, key: &'a StoreKey, holder: Holder, verdict: Option<(Bytes, Duration)>) -> Answer<'a, ()> {
        self.leases.release(key, holder, verdict);
        self.bells.ring(key);
        answer(())
    }

    fn changed<'a>(&'a self, key: &'a StoreKey, at_most: Duration) -> Answer<'a, ()> {
        let rung = self.bells.wait(key, at_most);
        Box::pin(async move {
            rung.await;
            Ok(())
        })
    }

    /// Goes by the absolute end, in whose order the sessions stand already.
    fn scan<'a>(&'a self, from: &'a Cursor) -> Answer<'a, Page> {
        let page = self.lock().page(from, self.clock.now());
        Box::pin(ready(page))
    }

    fn ping(&self) -> Answer<'_, ()> {
        answer(())
    }
}

impl Dated for MemoryStore {
    fn load_dated<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, (Loaded, Timestamp)> {
        let now = self.clock.now();
        answer(self.lock().session(key, now).map_or((Loaded::Absent, now), |row| (row.loaded(), row.until())))
    }
}

impl Rows {
    fn session(&mut self, key: &StoreKey, now: Timestamp) -> Option<&mut Row> {
        self.sessions.get_mut(key).filter(|row| row.until() > now)
    }

    fn insert(&mut self, key: StoreKey, entry: NewEntry) {
        let until = entry.expires_at;
        for index in entry.indexes {
            self.file(index, key, until);
        }
        self.sessions.insert(key, Row::first(entry.sealed, until));
        self.due.insert((until, Kind::Session, key));
    }

    fn file(&mut self, index: StoreKey, key: StoreKey, until: Timestamp) {
        self.indexes.entry(index).or_default().insert((until, key));
        self.due.insert((until, Kind::Index, index));
    }

    /// The next sessions after `from`, which names the last one of the page before.
    fn page(&self, from: &Cursor, now: Timestamp) -> Result<Page, StoreError> {
        let mut last = (now, Kind::Note, StoreKey::from_bytes([u8::MAX; 32]));
        if !from.0.is_empty() {
            let (until, key) = from.0.split_first_chunk().ok_or_else(no_cursor)?;
            let key = StoreKey::from_bytes(key.try_into().map_err(|_| no_cursor())?);
            last = last.max((Timestamp::from_millis(u64::from_be_bytes(*until)), Kind::Session, key));
        }
        let mut sessions = Vec::new();
        for (until, kind, key) in self.due.range((Excluded(last), Unbounded)) {
            // The entry of a session that ended before its time is no more than a note to sweep it.
            let Some(Row::Live { stored, until: ends }) = self.sessions.get(key) else { continue };
            if *kind == Kind::Session && ends == until {
                sessions.push((*key, stored.clone()));
            }
            if sessions.len() == PAGE {
                let next = [&until.as_millis().to_be_bytes(), key.as_bytes().as_slice()].concat();
                return Ok(Page { sessions, next: Some(Cursor(next)) });
            }
        }
        Ok(Page { sessions, next: None })
    }

    fn sweep(&mut self, now: Timestamp) {
        for _ in 0..SWEPT_AT_ONCE {
            let Some((_, kind, key)) = self.due.first().copied().filter(|(until, ..)| *until <= now) else { return };
            self.due.pop_first();
            match kind {
                Kind::Session if self.sessions.get(&key).is_some_and(|row| row.until() <= now) => {
                    self.sessions.remove(&key);
                }
                Kind::Note if self.notes.get(&key).is_some_and(|(until, _)| *until <= now) => {
                    self.notes.remove(&key);
                }
                Kind::Index => self.prune(&key, now),
                Kind::Session | Kind::Note => {}
            }
        }
    }

    fn prune(&mut self, index: &StoreKey, now: Timestamp) {
        let Some(filed) = self.indexes.get_mut(index) else { return };
        while filed.first().is_some_and(|(until, _)| *until <= now) {
            filed.pop_first();
        }
        if filed.is_empty() {
            self.indexes.remove(index);
        }
    }
}

fn answer<T: Send + 'static>(value: T) -> Answer<'static, T> {
    Box::pin(ready(Ok::<T, StoreError>(value)))
}
