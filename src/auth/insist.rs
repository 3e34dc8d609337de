//! What the store must take in the end, tried again for as long as it matters.

use std::sync::Arc;
use std::time::Duration;

use super::Auth;
use super::pauses::Pauses;
use crate::clock::Timestamp;
use crate::session::store::{StoreError, StoreKey};

/// How long to wait before each attempt.
const FIRST: Duration = Duration::from_millis(100);
const LAST: Duration = Duration::from_secs(1);

impl Auth {
    /// Makes `attempt`s about the session at `key`, each with what reloads have put in this one's place by then, until one
    /// succeeds, or until a moment after which none matters. Whoever asked for it may go away.
    pub(super) fn insist<A, F>(self: &Arc<Self>, key: StoreKey, until: Timestamp, attempt: A)
    where
        A: Fn(Arc<Self>) -> F + Send + 'static,
        F: Future<Output = Result<(), StoreError>> + Send,
    {
        let auth = Arc::clone(self);
        self.background.spawn(async move {
            let mut pauses = Pauses::between(FIRST, LAST);
            while auth.clock.now() < until {
                pauses.wait().await;
                match attempt(auth.latest()).await {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::debug!(session = %auth.ring.log_name(&key), %error, "an end waits for the store");
                    }
                }
            }
        });
    }
}
