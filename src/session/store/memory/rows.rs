//! The rows of the store in memory, as its lock guards them.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound::{Excluded, Unbounded};

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::session::store::row::Row;
use crate::session::store::{Cursor, NewEntry, PAGE, Page, StoreError, StoreKey, no_cursor};

/// Expired rows that one write removes at most: more than it adds, so that they cannot pile up, and few enough that
/// nobody waits for a mass expiry.
const SWEPT_AT_ONCE: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) sessions: HashMap<StoreKey, Row>,
    pub(super) indexes: HashMap<StoreKey, BTreeSet<(Timestamp, StoreKey)>>,
    pub(super) notes: HashMap<StoreKey, (Timestamp, Bytes)>,
    /// When to look at which row again; a row that lives longer by then is simply left alone.
    pub(super) due: BTreeSet<(Timestamp, Kind, StoreKey)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Session,
    Index,
    Note,
}

impl Rows {
    pub(super) fn session(&mut self, key: &StoreKey, now: Timestamp) -> Option<&mut Row> {
        self.sessions.get_mut(key).filter(|row| row.until() > now)
    }

    pub(super) fn insert(&mut self, key: StoreKey, entry: NewEntry) {
        let until = entry.expires_at;
        for index in entry.indexes {
            self.file(index, key, until);
        }
        self.sessions.insert(key, Row::first(entry.sealed, until));
        self.due.insert((until, Kind::Session, key));
    }

    pub(super) fn file(&mut self, index: StoreKey, key: StoreKey, until: Timestamp) {
        self.indexes.entry(index).or_default().insert((until, key));
        self.due.insert((until, Kind::Index, index));
    }

    /// The next sessions after `from`, which names the last one of the page before.
    pub(super) fn page(&self, from: &Cursor, now: Timestamp) -> Result<Page, StoreError> {
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

    pub(super) fn sweep(&mut self, now: Timestamp) {
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
