//! Wakes who waits for a session to change: a fixed number of bells, so a waiter may be woken by another session's.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::StoreKey;

/// Many enough that a storm of refreshes seldom wakes strangers; forty kilobytes.
const BELLS: usize = 1024;

/// The bells of one store.
#[derive(Debug)]
pub(super) struct Bells(Box<[Notify]>);

impl Default for Bells {
    fn default() -> Self {
        Self(std::iter::repeat_with(Notify::new).take(BELLS).collect())
    }
}

impl Bells {
    /// Wakes everyone who waits for `key`.
    pub(super) fn ring(&self, key: &StoreKey) {
        self.bell(key).notify_waiters();
    }

    /// Waits until `key` rings, from this call on and not only from the first poll, but no longer than `at_most`.
    pub(super) fn wait<'a>(&'a self, key: &StoreKey, at_most: Duration) -> impl Future<Output = ()> + Send + use<'a> {
        let rung = self.bell(key).notified();
        async move {
            let _ = timeout(at_most, rung).await;
        }
    }

    /// A key is a hash, so any of its bytes choose evenly.
    fn bell(&self, key: &StoreKey) -> &Notify {
        let [first, second, ..] = *key.as_bytes();
        &self.0[usize::from(u16::from_be_bytes([first, second])) % BELLS]
    }
}
