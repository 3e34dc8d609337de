//! The store inside this process: the default, and gone with it.
//!
//! One lock guards everything, so that each operation is atomic; it is held for a few map accesses and never across an
//! await. What expired is never shown, and each write removes some of it, so memory follows the number of live sessions
//! without a task that sweeps.

use std::collections::BTreeSet;
use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::bells::Bells;
use super::budgets::Budgets;
use super::leases::Leases;
use super::near::Dated;
use super::{
    Allowance, Answer, Cursor, EndReason, Ended, Holder, Lease, Loaded, NewEntry, Page, Replaced, SignOfLife, Spent,
    Store, StoreError, StoreKey,
};
use crate::clock::{Clock, Timestamp};
use rows::{Kind, Rows};

mod rows;

/// Sessions in the memory of this process.
#[derive(Debug)]
pub struct MemoryStore {
    clock: Clock,
    rows: Mutex<Rows>,
    leases: Leases,
    budgets: Budgets,
    bells: Bells,
}

impl MemoryStore {
    /// An empty store that takes the time from `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let (leases, budgets) = (Leases::new(clock.clone()), Budgets::new(clock.clone()));
        Self { clock, rows: Mutex::default(), leases, budgets, bells: Bells::default() }
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

    fn spend<'a>(&'a self, key: &'a StoreKey, allowance: Allowance) -> Answer<'a, Spent> {
        answer(self.budgets.spend(key, allowance))
    }

    fn pause<'a>(&'a self, key: &'a StoreKey, time: Duration) -> Answer<'a, ()> {
        self.budgets.pause(key, time);
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

fn answer<T: Send + 'static>(value: T) -> Answer<'static, T> {
    Box::pin(ready(Ok::<T, StoreError>(value)))
}
