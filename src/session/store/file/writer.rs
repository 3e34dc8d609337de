//! The one thread that writes the file: everything that queued up goes into one transaction, answered when it is durable.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use redb::Database;
use tokio::sync::oneshot::Sender;

use super::rows::Rows;
use crate::clock::Clock;
use crate::session::store::bells::Bells;
use crate::session::store::{StoreError, StoreKey};

/// Writes that share one transaction at most.
const BATCH: usize = 256;

/// How often expired rows are removed when nobody writes.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// A queued write.
pub(super) trait Job: Send {
    /// Does the work inside the transaction.
    fn work(&mut self, rows: &mut Rows<'_>) -> Result<(), redb::Error>;
    /// Tells the caller, once the transaction is on the disk or has failed.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// A closure with somebody waiting for its value.
pub(super) struct Task<T, W> {
    work: Option<W>,
    value: Option<T>,
    answer: Sender<Result<T, StoreError>>,
}

impl<T, W> Task<T, W> {
    pub(super) const fn new(work: W, answer: Sender<Result<T, StoreError>>) -> Self {
        Self { work: Some(work), value: None, answer }
    }
}

impl<T, W> Job for Task<T, W>
where
    T: Send,
    W: FnOnce(&mut Rows<'_>) -> Result<T, redb::Error> + Send,
{
    fn work(&mut self, rows: &mut Rows<'_>) -> Result<(), redb::Error> {
        if let Some(work) = self.work.take() {
            self.value = Some(work(rows)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { value, answer, .. } = *self;
        let outcome = committed.and_then(|()| value.ok_or_else(|| StoreError("the write did not run".to_owned())));
        // The caller may have gone away meanwhile; the write stands.
        let _ = answer.send(outcome);
    }
}

/// Runs until the last sender is gone.
pub(super) fn run(database: &Database, queue: &Receiver<Box<dyn Job>>, clock: &Clock, bells: &Bells) {
    loop {
        let mut batch: Vec<_> = match queue.recv_timeout(SWEEP_EVERY) {
            Ok(first) => std::iter::once(first).chain(queue.try_iter().take(BATCH - 1)).collect(),
            Err(RecvTimeoutError::Timeout) => Vec::new(),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let committed = commit(database, &mut batch, clock).map_err(|error| format!("the file: {error}"));
        for key in committed.iter().flatten() {
            bells.ring(key);
        }
        for job in batch {
            job.answer(committed.clone().map(drop).map_err(StoreError));
        }
    }
}

/// Does the whole batch; returns the sessions that are different now.
fn commit(database: &Database, batch: &mut [Box<dyn Job>], clock: &Clock) -> Result<Vec<StoreKey>, redb::Error> {
    // Durability::Immediate is redb's default: when this returns, the file is synced.
    let transaction = database.begin_write()?;
    let mut rows = Rows::open(&transaction, clock.now())?;
    for job in batch {
        job.work(&mut rows)?;
    }
    rows.sweep()?;
    let (changed, written) = rows.close();
    // A lost race or a second take changes nothing and need not wait for the disk.
    if changed {
        transaction.commit()?
    } else {
        transaction.abort()?
    }
    Ok(written)
}
