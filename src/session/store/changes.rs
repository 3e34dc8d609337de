//! What this process hears of changes that others make in a shared store, and how far it can be trusted to hear.

use std::time::{Duration, Instant};

use super::StoreKey;

/// For how long after the channel was last heard a copy is still believed (contract section 6.10 allows two seconds).
pub const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// The news of one shared store; one for the whole process, told by the task that listens.
#[derive(Debug, Default)]
pub struct Changes {}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The session was written; its version is this now.
    Written(u64),
    /// The session is over.
    Ended,
}

impl Changes {
    /// The channel was proven to be alive at `at`: a message, or our own heartbeat that came back. What was sent before
    /// that moment has arrived.
    pub fn heard(&self, at: Instant) {
        todo!("{at:?}")
    }

    /// The session at `key` was changed.
    pub fn changed(&self, key: &StoreKey, change: Change) {
        todo!("{key}{change:?}")
    }

    /// The channel broke and was made anew: anything may have changed meanwhile, so every copy is forgotten.
    pub fn lost(&self) {
        todo!()
    }

    /// Whether what was copied a while ago can be believed at `now`.
    #[must_use]
    pub fn trusted(&self, now: Instant) -> bool {
        todo!("{now:?}")
    }

    /// Waits until the session at `key` changes, but no longer than `at_most`.
    pub async fn wait(&self, key: &StoreKey, at_most: Duration) {
        todo!("{key}{at_most:?}")
    }
}
