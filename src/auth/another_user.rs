//! That a session gave way to another user's. The store's news say no more than that it ended, so this stands in the store
//! for a moment, where the streams of every replica find it.

use std::time::Duration;

use bytes::Bytes;

use super::Auth;
use crate::session::store::{Holder, Lease, StoreError, StoreKey};

/// How long a look may take, should the replica that looks die over it.
const LOOK: Duration = Duration::from_secs(1);

/// How long it is known: streams hear of an end within two seconds (contract section 6.10).
const KNOWN: Duration = Duration::from_secs(30);

impl Auth {
    /// Says it of the session at `key`, which is to end right after. Should that fail, its streams hear of an end.
    pub(super) async fn say_another_user(&self, key: &StoreKey) {
        let (store, holder, note) = (self.background.store(), Holder::random(), note_of(key));
        let said = async {
            if store.hold(&note, holder, LOOK).await? == Lease::Mine {
                store.release(&note, holder, Some((Bytes::from_static(b"another user"), KNOWN))).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = said.await {
            tracing::debug!(session = %self.ring.log_name(key), %error, "streams will not hear of another user");
        }
    }

    /// Whether that was said of the session at `key`, which has ended.
    pub(super) async fn is_another_user(&self, key: &StoreKey) -> Result<bool, StoreError> {
        let (store, holder, note) = (self.background.store(), Holder::random(), note_of(key));
        match store.hold(&note, holder, LOOK).await? {
            Lease::Decided(_) => Ok(true),
            // Another replica looks.
            Lease::Taken(_) => Ok(false),
            Lease::Mine => store.release(&note, holder, None).await.map(|()| false),
        }
    }
}

fn note_of(key: &StoreKey) -> StoreKey {
    StoreKey::of(&[b"another user", key.as_bytes()])
}
