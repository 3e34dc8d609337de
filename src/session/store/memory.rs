//! The store inside this process: the default, and gone with it.
//!
//! One lock guards everything, so that each operation is atomic; it is held for a few map accesses and never across an
//! await. What expired is never shown, and each write removes some of it, so memory follows the number of live sessions
//! without a task that sweeps.

use std::collections::{BTreeSet, HashMap};
use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::grace::Dated;
use super::row::Row;
use super::{
    Answer, Cursor, EndReason, Ended, Holder, Lease, Loaded, NewEntry, Page, Replaced, Store, StoreError, StoreKey,
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
        Self { clock, rows: Mutex::default() }
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
}

impl Store for MemoryStore {
    fn load_now<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Loaded> {
        self.load(key)
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
        let now = self.clock.now();
        answer(self.lock().session(key, now).map_or(Loaded::Absent, |row| row.loaded()))
    }

    fn insert<'a>(&'a self, key: &'a StoreKey, entry: NewEntry) -> Answer<'a, bool> {
        self.write(|rows, now| {
            let free = rows.session(key, now).is_none();
            if free {
                rows.insert(*key, entry);
            }
            free
        })
    }

    fn replace<'a>(&'a self, key: &'a StoreKey, expected: u64, sealed: Bytes) -> Answer<'a, Replaced> {
        self.write(|rows, now| match rows.session(key, now) {
            Some(row) => row.replace(expected, sealed),
            None => Replaced::Gone(None),
        })
    }

    fn end<'a>(&'a self, key: &'a StoreKey, reason: EndReason) -> Answer<'a, Ended> {
        self.write(|rows, now| {
            let Some(row) = rows.session(key, now) else { return Ended::Already(None) };
            let outcome = row.end(reason, now);
            let until = row.until();
            rows.due.insert((until, Kind::Session, *key));
            outcome
        })
    }

    fn indexed<'a>(&'a self, index: &'a StoreKey) -> Answer<'a, Vec<StoreKey>> {
        let now = self.clock.now();
        let rows = self.lock();
        let filed = rows.indexes.get(index).into_iter().flatten();
        answer(filed.filter(|(until, _)| *until > now).map(|(_, key)| *key).collect())
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
            self.indexes.entry(index).or_default().insert((until, key));
            self.due.insert((until, Kind::Index, index));
        }
        self.sessions.insert(key, Row::first(entry.sealed, until));
        self.due.insert((until, Kind::Session, key));
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
