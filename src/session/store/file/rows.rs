//! How sessions, indexes and notes lie in the file's tables.

use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

use bytes::{BufMut as _, Bytes};
use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};

use crate::clock::Timestamp;
use crate::session::store::row::Row;
use crate::session::store::{Cursor, EndReason, Ended, NewEntry, PAGE, Page, Replaced, StoreKey, Stored};

type Hash = [u8; 32];

/// Key to row; the encoding is below.
const SESSIONS: TableDefinition<'_, Hash, &[u8]> = TableDefinition::new("sessions-1");
/// Index, expiry, key: the live ones of an index are one range.
const INDEXES: TableDefinition<'_, (Hash, u64, Hash), ()> = TableDefinition::new("indexes-1");
/// Key to expiry and note.
const NOTES: TableDefinition<'_, Hash, (u64, &[u8])> = TableDefinition::new("notes-1");
/// Expiry, kind, key, index: what to look at when sweeping; a row that lives longer by then is left alone.
const DUE: TableDefinition<'_, (u64, u8, Hash, Hash), ()> = TableDefinition::new("due-1");

const SESSION: u8 = 1;
const FILED: u8 = 2;
const NOTE: u8 = 3;
const NO_INDEX: Hash = [0; 32];

/// Expired rows that one transaction removes at most.
const SWEPT_AT_ONCE: usize = 512;

const LIVE: u8 = 1;
const OVER: u8 = 2;

/// Makes the tables, and drops what expired while nobody looked.
pub(super) fn prepare(database: &Database, now: Timestamp) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    let mut rows = Rows::open(&transaction, now)?;
    while rows.sweep()? == SWEPT_AT_ONCE {}
    drop(rows);
    transaction.commit()?;
    Ok(())
}

/// The row under `key`, unless it expired.
pub(super) fn read_session(file: &ReadTransaction, key: &StoreKey, now: Timestamp) -> Result<Option<Row>, redb::Error> {
    let sessions: ReadOnlyTable<_, _> = file.open_table(SESSIONS)?;
    session(&sessions, key, now)
}

/// The keys under `index` that have not expired.
pub(super) fn read_index(
    file: &ReadTransaction,
    index: &StoreKey,
    now: Timestamp,
) -> Result<Vec<StoreKey>, redb::Error> {
    let index = *index.as_bytes();
    let live = (index, now.as_millis().saturating_add(1), [0; 32])..=(index, u64::MAX, [u8::MAX; 32]);
    let mut found = Vec::new();
    for entry in file.open_table(INDEXES)?.range(live)? {
        found.push(StoreKey::from_bytes(entry?.0.value().2));
    }
    // One that was filed again for longer stands there twice.
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The live sessions that come after one key, a page of them.
pub(super) fn read_page(file: &ReadTransaction, after: Option<StoreKey>, now: Timestamp) -> Result<Page, redb::Error> {
    let start = after.map_or(Unbounded, |key| Excluded(*key.as_bytes()));
    let mut sessions = Vec::new();
    for (looked_at, entry) in file.open_table(SESSIONS)?.range((start, Unbounded))?.enumerate() {
        let (key, row) = entry?;
        let key = StoreKey::from_bytes(key.value());
        if let Row::Live { stored, until } = read(row.value())?
            && until > now
        {
            sessions.push((key, stored));
        }
        if looked_at + 1 == PAGE {
            return Ok(Page { sessions, next: Some(Cursor(key.as_bytes().to_vec())) });
        }
    }
    Ok(Page { sessions, next: None })
}

/// The tables inside one write transaction.
pub(super) struct Rows<'t> {
    sessions: Table<'t, Hash, &'static [u8]>,
    indexes: Table<'t, (Hash, u64, Hash), ()>,
    notes: Table<'t, Hash, (u64, &'static [u8])>,
    due: Table<'t, (u64, u8, Hash, Hash), ()>,
    now: Timestamp,
    changed: bool,
    written: Vec<StoreKey>,
}

impl<'t> Rows<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction, now: Timestamp) -> Result<Self, redb::Error> {
        Ok(Self {
            sessions: transaction.open_table(SESSIONS)?,
            indexes: transaction.open_table(INDEXES)?,
            notes: transaction.open_table(NOTES)?,
            due: transaction.open_table(DUE)?,
            now,
            changed: false,
            written: Vec::new(),
        })
    }

    /// Lets go of the tables; whether anything was written, and to which sessions.
    pub(super) fn close(self) -> (bool, Vec<StoreKey>) {
        (self.changed, self.written)
    }

    pub(super) fn insert(&mut self, key: &StoreKey, entry: NewEntry) -> Result<bool, redb::Error> {
        if session(&self.sessions, key, self.now)?.is_some() {
            return Ok(false);
        }
        for index in &entry.indexes {
            self.file(index, key, entry.expires_at)?;
        }
        self.put(key, &Row::first(entry.sealed, entry.expires_at))?;
        Ok(true)
    }

    pub(super) fn replace(&mut self, key: &StoreKey, expected: u64, sealed: Bytes) -> Result<Replaced, redb::Error> {
        let Some(mut row) = session(&self.sessions, key, self.now)? else { return Ok(Replaced::Gone(None)) };
        let outcome = row.replace(expected, sealed);
        if outcome == Replaced::Done {
            self.put(key, &row)?;
        }
        Ok(outcome)
    }

    pub(super) fn end(&mut self, key: &StoreKey, reason: EndReason) -> Result<Ended, redb::Error> {
        let Some(mut row) = session(&self.sessions, key, self.now)? else { return Ok(Ended::Already(None)) };
        let outcome = row.end(reason, self.now);
        if outcome.is_now() {
            self.put(key, &row)?;
        }
        Ok(outcome)
    }

    pub(super) fn end_version(
        &mut self,
        key: &StoreKey,
        expected: u64,
        reason: EndReason,
    ) -> Result<Replaced, redb::Error> {
        let Some(mut row) = session(&self.sessions, key, self.now)? else { return Ok(Replaced::Gone(None)) };
        let outcome = row.end_version(expected, reason, self.now);
        if outcome == Replaced::Done {
            self.put(key, &row)?;
        }
        Ok(outcome)
    }

    pub(super) fn file(&mut self, index: &StoreKey, key: &StoreKey, until: Timestamp) -> Result<(), redb::Error> {
        let until = until.as_millis();
        self.indexes.insert((*index.as_bytes(), until, *key.as_bytes()), ())?;
        self.due.insert((until, FILED, *key.as_bytes(), *index.as_bytes()), ())?;
        self.changed = true;
        Ok(())
    }

    pub(super) fn put_once(&mut self, key: &StoreKey, note: &[u8], ttl: Duration) -> Result<bool, redb::Error> {
        if self.notes.get(*key.as_bytes())?.is_some_and(|held| held.value().0 > self.now.as_millis()) {
            return Ok(false);
        }
        let until = self.now.plus(ttl).as_millis();
        self.notes.insert(*key.as_bytes(), (until, note))?;
        self.due.insert((until, NOTE, *key.as_bytes(), NO_INDEX), ())?;
        self.changed = true;
        Ok(true)
    }

    pub(super) fn take(&mut self, key: &StoreKey) -> Result<Option<Bytes>, redb::Error> {
        let Some(held) = self.notes.remove(*key.as_bytes())? else { return Ok(None) };
        self.changed = true;
        let (until, note) = held.value();
        Ok((until > self.now.as_millis()).then(|| Bytes::copy_from_slice(note)))
    }

    /// Removes expired rows, as many as one transaction should; returns how many entries of `due` it went through.
    pub(super) fn sweep(&mut self) -> Result<usize, redb::Error> {
        for done in 0..SWEPT_AT_ONCE {
            let Some((until, kind, key, index)) = self.next_due()? else { return Ok(done) };
            self.changed = true;
            self.due.remove((until, kind, key, index))?;
            match kind {
                FILED => drop(self.indexes.remove((index, until, key))?),
                NOTE => {
                    if self.notes.get(key)?.is_some_and(|held| held.value().0 <= self.now.as_millis()) {
                        self.notes.remove(key)?;
                    }
                }
                _ => {
                    if session(&self.sessions, &StoreKey::from_bytes(key), self.now)?.is_none() {
                        self.sessions.remove(key)?;
                    }
                }
            }
        }
        Ok(SWEPT_AT_ONCE)
    }

    fn next_due(&self) -> Result<Option<(u64, u8, Hash, Hash)>, redb::Error> {
        let first = self.due.first()?.map(|(entry, _)| entry.value());
        Ok(first.filter(|(until, ..)| *until <= self.now.as_millis()))
    }

    fn put(&mut self, key: &StoreKey, row: &Row) -> Result<(), redb::Error> {
        self.sessions.insert(*key.as_bytes(), encode(row).as_slice())?;
        self.due.insert((row.until().as_millis(), SESSION, *key.as_bytes(), NO_INDEX), ())?;
        self.changed = true;
        self.written.push(*key);
        Ok(())
    }
}

fn session(
    sessions: &impl ReadableTable<Hash, &'static [u8]>,
    key: &StoreKey,
    now: Timestamp,
) -> Result<Option<Row>, redb::Error> {
    let Some(found) = sessions.get(*key.as_bytes())? else { return Ok(None) };
    Ok(Some(read(found.value())?).filter(|row| row.until() > now))
}

fn read(bytes: &[u8]) -> Result<Row, redb::Error> {
    decode(bytes).ok_or_else(|| redb::Error::Corrupted("a session row cannot be read".to_owned()))
}

/// Kind (1 byte), expiry (8), then version (8) and the sealed record, or the word of the reason.
fn encode(row: &Row) -> Vec<u8> {
    let mut bytes = Vec::new();
    match row {
        Row::Live { stored, until } => {
            bytes.put_u8(LIVE);
            bytes.put_u64(until.as_millis());
            bytes.put_u64(stored.version);
            bytes.put_slice(&stored.sealed);
        }
        Row::Over { reason, until } => {
            bytes.put_u8(OVER);
            bytes.put_u64(until.as_millis());
            bytes.put_slice(reason.as_str().as_bytes());
        }
    }
    bytes
}

fn decode(bytes: &[u8]) -> Option<Row> {
    let (kind, rest) = bytes.split_first()?;
    let (until, rest) = rest.split_first_chunk()?;
    let until = Timestamp::from_millis(u64::from_be_bytes(*until));
    match *kind {
        LIVE => {
            let (version, sealed) = rest.split_first_chunk()?;
            let stored = Stored { version: u64::from_be_bytes(*version), sealed: Bytes::copy_from_slice(sealed) };
            Some(Row::Live { stored, until })
        }
        OVER => Some(Row::Over { reason: EndReason::parse(rest)?, until }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_back_as_it_was_written() {
        let until = Timestamp::from_millis(77);
        let live = Row::first(Bytes::from_static(b"sealed"), until);
        let over = Row::Over { reason: EndReason::RefreshRejected, until };
        assert_eq!(decode(&encode(&live)), Some(live));
        assert_eq!(decode(&encode(&over)), Some(over));
    }

    #[test]
    fn a_damaged_row_is_an_error_and_not_a_session() {
        let row = encode(&Row::Over { reason: EndReason::Idle, until: Timestamp::from_millis(77) });
        assert_eq!(decode(&row[..row.len() - 1]), None);
        assert_eq!(decode(&[9, 0, 0, 0, 0, 0, 0, 0, 1]), None);
        assert_eq!(decode(b""), None);
    }
}
