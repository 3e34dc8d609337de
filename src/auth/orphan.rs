//! A session whose writing had no answer: nobody will ever have its ticket, and it must not stand in the store all the same.

use std::sync::Arc;

use bytes::Bytes;

use super::Auth;
use crate::clock::Timestamp;
use crate::session::store::{END_REMEMBERED, EndReason, NewEntry, StoreError, StoreKey};

impl Auth {
    /// Makes sure that no session lives under `key` once the store answers, whether the write came, comes yet, or never
    /// does: an empty record takes the place if nothing stands there, and what stands there then ends. What comes after
    /// that finds the memory of the end, which is kept for an hour.
    pub(super) fn bury(self: &Arc<Self>, key: StoreKey, ends_at: Timestamp) {
        self.insist(key, ends_at, move |auth| async move { auth.buried(&key, ends_at).await });
    }

    async fn buried(&self, key: &StoreKey, ends_at: Timestamp) -> Result<(), StoreError> {
        let store = self.background.store();
        let expires_at = self.clock.now().plus(END_REMEMBERED).min(ends_at);
        store.insert(key, NewEntry { sealed: Bytes::new(), expires_at, indexes: Vec::new() }).await?;
        // Not counted among the ends: it never was among the logins.
        store.end(key, EndReason::Revoked).await.map(drop)
    }
}
