//! The store in one file of this machine: survives a restart and a kill, serves one process.
//!
//! Every write is on the disk before it is answered: a rotated refresh token that is lost is a logout, a lost end is a
//! resurrection, a lost `take` is a replay. That costs an fsync, so one thread does all writing and commits whatever
//! has queued up meanwhile in one transaction: the fsync is shared, and no async worker ever waits for the disk.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use redb::{Database, DatabaseError, ReadableDatabase as _};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::bells::Bells;
use super::leases::Leases;
use super::{
    Answer, Cursor, EndReason, Ended, Holder, Lease, Loaded, NewEntry, Page, Replaced, Store, StoreError, StoreKey,
    no_cursor,
};
use crate::clock::{Clock, Timestamp};
use crate::telemetry::metrics;
use rows::{Rows, prepare, read_index, read_page, read_session};
use writer::{Job, Task, run};

mod rows;
mod writer;

/// Pages kept in memory. Sessions are small and the operating system caches the file as well.
const CACHE: usize = 8 * 1024 * 1024;

/// Writes that may wait for the disk; beyond that it is too slow, and saying so beats queueing.
const QUEUE: usize = 1024;

/// Sessions in a file.
pub struct FileStore {
    database: Arc<Database>,
    clock: Clock,
    leases: Leases,
    bells: Arc<Bells>,
    jobs: Option<SyncSender<Box<dyn Job>>>,
    writer: Option<JoinHandle<()>>,
}

impl FileStore {
    /// Opens or creates the file, readable by its owner only, and locks it against other processes.
    ///
    /// # Errors
    /// When it is open elsewhere, cannot be opened or is not a session file; the text names it.
    pub fn open(path: &Path, clock: Clock) -> Result<Self, StoreError> {
        let wrong = |what: String| StoreError(format!("{}: {what}", path.display()));
        create_private(path).map_err(|error| wrong(error.to_string()))?;
        let database = Database::builder().set_cache_size(CACHE).create(path).map_err(|error| wrong(explain(error)))?;
        prepare(&database, clock.now()).map_err(|error| wrong(error.to_string()))?;
        let database = Arc::new(database);
        let bells = Arc::new(Bells::default());
        let (jobs, queue) = sync_channel(QUEUE);
        let writer = thread::Builder::new()
            .name("session-file".to_owned())
            .spawn({
                let (database, clock, bells) = (Arc::clone(&database), clock.clone(), Arc::clone(&bells));
                move || run(&database, &queue, &clock, &bells)
            })
            .map_err(|error| wrong(error.to_string()))?;
        let leases = Leases::new(clock.clone());
        Ok(Self { database, clock, leases, bells, jobs: Some(jobs), writer: Some(writer) })
    }

    fn write<T, W>(&self, work: W) -> Answer<'static, T>
    where
        T: Send + 'static,
        W: FnOnce(&mut Rows<'_>) -> Result<T, redb::Error> + Send + 'static,
    {
        let (answer, outcome) = oneshot::channel();
        let queued = match &self.jobs {
            Some(jobs) => jobs.try_send(Box::new(Task::new(work, answer))).map_err(|error| match error {
                TrySendError::Full(_) => StoreError("the file is too slow: too many writes wait for the disk".into()),
                TrySendError::Disconnected(_) => stopped(),
            }),
            None => Err(stopped()),
        };
        Box::pin(async move {
            queued.inspect_err(|_| metrics::STORE_ERRORS.with([]).add(1))?;
            outcome.await.unwrap_or_else(|_| Err(stopped())).inspect_err(|_| metrics::STORE_ERRORS.with([]).add(1))
        })
    }

    fn read<T, W>(&self, work: W) -> Answer<'static, T>
    where
        T: Send + 'static,
        W: FnOnce(&redb::ReadTransaction, Timestamp) -> Result<T, redb::Error> + Send + 'static,
    {
        let (database, now) = (Arc::clone(&self.database), self.clock.now());
        Box::pin(async move {
            spawn_blocking(move || work(&database.begin_read()?, now))
                .await
                .map_err(|_| stopped())?
                .map_err(|error: redb::Error| StoreError(format!("the file: {error}")))
                .inspect_err(|_| metrics::STORE_ERRORS.with([]).add(1))
        })
    }
}

impl Store for FileStore {
    fn load_now<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Loaded> {
        self.load(key)
    }

    fn load<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Loaded> {
        let key = *key;
        self.read(move |file, now| Ok(read_session(file, &key, now)?.map_or(Loaded::Absent, |row| row.loaded())))
    }

    fn insert<'a>(&'a self, key: &'a StoreKey, entry: NewEntry) -> Answer<'a, bool> {
        let key = *key;
        self.write(move |rows| rows.insert(&key, entry))
    }

    fn replace<'a>(&'a self, key: &'a StoreKey, expected: u64, sealed: Bytes) -> Answer<'a, Replaced> {
        let key = *key;
        self.write(move |rows| rows.replace(&key, expected, sealed))
    }

    fn end<'a>(&'a self, key: &'a StoreKey, reason: EndReason) -> Answer<'a, Ended> {
        let key = *key;
        self.write(move |rows| rows.end(&key, reason))
    }

    fn indexed<'a>(&'a self, index: &'a StoreKey) -> Answer<'a, Vec<StoreKey>> {
        let index = *index;
        self.read(move |file, now| read_index(file, &index, now))
    }

    fn put_once<'a>(&'a self, key: &'a StoreKey, note: Bytes, ttl: Duration) -> Answer<'a, bool> {
        let key = *key;
        self.write(move |rows| rows.put_once(&key, &note, ttl))
    }

    fn take<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Option<Bytes>> {
        let key = *key;
        self.write(move |rows| rows.take(&key))
    }

    fn file<'a>(&'a self, index: &'a StoreKey, key: &'a StoreKey, until: Timestamp) -> Answer<'a, ()> {
        let (index, key) = (*index, *key);
        self.write(move |rows| rows.file(&index, &key, until))
    }

    fn hold<'a>(&'a self, key: &'a StoreKey, holder: Holder, ttl: Duration) -> Answer<'a, Lease> {
        let lease = self.leases.hold(key, holder, ttl);
        Box::pin(async move { Ok(lease) })
    }

    fn release<'a>(&'a self, key: &'a StoreKey, holder: Holder, verdict: Option<(Bytes, Duration)>) -> Answer<'a, ()> {
        self.leases.release(key, holder, verdict);
        self.bells.ring(key);
        Box::pin(async { Ok(()) })
    }

    fn changed<'a>(&'a self, key: &'a StoreKey, at_most: Duration) -> Answer<'a, ()> {
        let rung = self.bells.wait(key, at_most);
        Box::pin(async move {
            rung.await;
            Ok(())
        })
    }

    fn scan<'a>(&'a self, from: &'a Cursor) -> Answer<'a, Page> {
        let after = match from.0.as_slice() {
            [] => None,
            bytes => match bytes.try_into() {
                Ok(key) => Some(StoreKey::from_bytes(key)),
                Err(_) => return Box::pin(async { Err(no_cursor()) }),
            },
        };
        self.read(move |file, now| read_page(file, after, now))
    }

    /// Answers when the writing thread does: a disk that hangs is noticed.
    fn ping(&self) -> Answer<'_, ()> {
        self.write(|_| Ok(()))
    }
}

impl Drop for FileStore {
    /// What was queued is written before the file is let go.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// The sealed records are useless without the site keys; other users of the machine still have no business with them.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn explain(error: DatabaseError) -> String {
    match error {
        DatabaseError::DatabaseAlreadyOpen => {
            "is in use by another process; `file:` serves one process, several share a `redis://`".to_owned()
        }
        other => other.to_string(),
    }
}

fn stopped() -> StoreError {
    StoreError("the file store has stopped".to_owned())
}
