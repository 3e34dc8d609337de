//! The store in one file of this machine: survives a restart and a kill, serves one process.
//!
//! Every write is on the disk before it is answered: a rotated refresh token that is lost is a logout, a lost end is a
//! resurrection, a lost `take` is a replay. That costs an fsync, so one thread does all writing and commits whatever
//! has queued up meanwhile in one transaction: the fsync is shared, and no async worker ever waits for the disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use redb::{Database, DatabaseError, ReadableDatabase as _};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::bells::Bells;
use super::budgets::Budgets;
use super::leases::Leases;
use super::{
    Allowance, Answer, Cursor, EndReason, Ended, Holder, Lease, Loaded, NewEntry, Page, Replaced, SignOfLife, Spent,
    Store, StoreError, StoreKey, no_cursor,
};
use crate::clock::{Clock, Timestamp};
use crate::telemetry::metrics;
use rows::{Rows, prepare, read_index, read_page, read_session};
use writer::{Job, Task, run};

mod rows;
mod writer;

/// Pages kept in memory. Sessions are small and the operating system caches the file as well.
const CACHE: usize = 8 * 1024 * 1024;

/// What a file of redb begins with.
const MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";

/// Writes that may wait for the disk; beyond that it is too slow, and saying so beats queueing.
const QUEUE: usize = 1024;

/// How long anybody waits for the disk. A write that takes longer may still be done, and is told as unknown: whoever
/// repeats it meets what it did.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sessions in a file.
pub struct FileStore {
    database: Arc<Database>,
    clock: Clock,
    leases: Leases,
    budgets: Budgets,
    bells: Arc<Bells>,
    jobs: Option<SyncSender<Box<dyn Job>>>,
    writer: Option<JoinHandle<()>>,
    /// Disconnected when the writer has ended. In a lock because nobody but `drop` looks.
    written: Mutex<Receiver<()>>,
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
        let (ended, written) = sync_channel(0);
        let writer = thread::Builder::new()
            .name("session-file".to_owned())
            .spawn({
                let (database, clock, bells) = (Arc::clone(&database), clock.clone(), Arc::clone(&bells));
                move || {
                    let _ended = ended;
                    run(&database, &queue, &clock, &bells);
                }
            })
            .map_err(|error| wrong(error.to_string()))?;
        let (leases, budgets) = (Leases::new(clock.clone()), Budgets::new(clock.clone()));
        Ok(Self {
            database,
            clock,
            leases,
            budgets,
            bells,
            jobs: Some(jobs),
            writer: Some(writer),
            written: Mutex::new(written),
        })
    }

    /// Whether a file that exists holds sessions, or nothing yet. Neither opens it as a store nor locks it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn could_open(path: &Path) -> io::Result<bool> {
        let mut start = Vec::new();
        File::open(path)?.take(MAGIC.len() as u64).read_to_end(&mut start)?;
        Ok(start.is_empty() || start == MAGIC)
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
            let written = async {
                queued?;
                timeout(PATIENCE, outcome).await.map_err(|_| hangs())?.unwrap_or_else(|_| Err(stopped()))
            };
            written.await.inspect_err(|_| metrics::STORE_ERRORS.with([]).add(1))
        })
    }

    fn read<T, W>(&self, work: W) -> Answer<'static, T>
    where
        T: Send + 'static,
        W: FnOnce(&redb::ReadTransaction, Timestamp) -> Result<T, redb::Error> + Send + 'static,
    {
        let (database, now) = (Arc::clone(&self.database), self.clock.now());
        Box::pin(async move {
            let read = async {
                let reading = spawn_blocking(move || work(&database.begin_read()?, now));
                let read = timeout(PATIENCE, reading).await.map_err(|_| hangs())?.map_err(|_| stopped())?;
                read.map_err(|error: redb::Error| StoreError(format!("the file: {error}")))
            };
            read.await.inspect_err(|_| metrics::STORE_ERRORS.with([]).add(1))
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

    fn end_version<'a>(&'a self, key: &'a StoreKey, expected: u64, reason: EndReason) -> Answer<'a, Replaced> {
        let key = *key;
        self.write(move |rows| rows.end_version(&key, expected, reason))
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

    fn inherit<'a>(
        &'a self,
        key: &'a StoreKey,
        heir: Holder,
        silent: Option<SignOfLife>,
        ttl: Duration,
    ) -> Answer<'a, Lease> {
        let lease = self.leases.inherit(key, heir, silent, ttl);
        Box::pin(async move { Ok(lease) })
    }

    fn release<'a>(&'a self, key: &'a StoreKey, holder: Holder, verdict: Option<(Bytes, Duration)>) -> Answer<'a, ()> {
        self.leases.release(key, holder, verdict);
        self.bells.ring(key);
        Box::pin(async { Ok(()) })
    }

    fn spend<'a>(&'a self, key: &'a StoreKey, allowance: Allowance) -> Answer<'a, Spent> {
        let spent = self.budgets.spend(key, allowance);
        Box::pin(async move { Ok(spent) })
    }

    fn pause<'a>(&'a self, key: &'a StoreKey, time: Duration) -> Answer<'a, ()> {
        self.budgets.pause(key, time);
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
    /// What was queued is written before the file is let go, unless the disk hangs: then it stays as the last commit left it.
    fn drop(&mut self) {
        self.jobs = None;
        let Some(writer) = self.writer.take() else { return };
        if self.written.get_mut().unwrap_or_else(PoisonError::into_inner).recv_timeout(PATIENCE)
            == Err(RecvTimeoutError::Timeout)
        {
            tracing::error!(event = "file_abandoned", "the disk hangs: what was not written yet is lost");
        } else {
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

fn hangs() -> StoreError {
    StoreError(format!("the disk has not answered for {} seconds", PATIENCE.as_secs()))
}

fn stopped() -> StoreError {
    StoreError("the file store has stopped".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Instant;

    use super::*;
    use crate::clock::Clock;

    #[tokio::test]
    async fn a_disk_that_hangs_keeps_nobody_waiting_for_ever_and_what_was_written_late_is_there() {
        let dir = tempfile::TempDir::new().unwrap();
        let store = FileStore::open(&dir.path().join("sessions.redb"), Clock::System).unwrap();
        let (go_on, held) = channel::<()>();
        let stuck = store.write(move |_| {
            let _ = held.recv();
            Ok(())
        });
        let key = StoreKey::of(&[b"s"]);
        let expires_at = Clock::System.now().plus(Duration::from_secs(60));
        let entry = NewEntry { sealed: Bytes::from_static(b"x"), expires_at, indexes: Vec::new() };
        let started = Instant::now();
        let (stuck, inserted, ping) = tokio::join!(stuck, store.insert(&key, entry), store.ping());
        assert!(started.elapsed() < PATIENCE * 2, "{:?}", started.elapsed());
        for outcome in [stuck.map(|()| true), inserted, ping.map(|()| true)] {
            assert!(outcome.unwrap_err().to_string().contains("has not answered for 5 seconds"));
        }
        drop(go_on);
        store.ping().await.unwrap();
        assert!(matches!(store.load(&key).await.unwrap(), Loaded::Live(_)));
    }

    #[tokio::test]
    async fn a_disk_that_hangs_does_not_keep_the_process_from_its_end() {
        let dir = tempfile::TempDir::new().unwrap();
        let store = FileStore::open(&dir.path().join("sessions.redb"), Clock::System).unwrap();
        let (go_on, held) = channel::<()>();
        let _stuck = store.write(move |_| {
            let _ = held.recv();
            Ok(())
        });
        let started = Instant::now();
        drop(store);
        assert!(started.elapsed() < PATIENCE * 2, "{:?}", started.elapsed());
        drop(go_on);
    }
}
