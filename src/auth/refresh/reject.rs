//! What a flight does with a refusal: the record that was refused ends, and no newer one.

use super::Outcome;
use super::flight::Flight;
use super::keep::{RETRY_FIRST, RETRY_LAST};
use crate::auth::Why;
use crate::auth::pauses::Pauses;
use crate::clock::Timestamp;
use crate::session::store::{EndReason, Replaced};

impl Flight {
    /// Ends the session, unless somebody has replaced the refused token meanwhile. While the store cannot say that, nobody
    /// knows whether it is over: those who wait are told so, and the provider is not asked again.
    pub(super) async fn reject(&self, ends_at: Timestamp) -> Outcome {
        let mut pauses = Pauses::between(RETRY_FIRST, RETRY_LAST);
        while self.auth.clock.now() < ends_at {
            match self.unreplaced().await {
                Ok(refused) => {
                    let sessions = &self.auth.sessions;
                    let store = self.auth.background.store();
                    match sessions.end_version(store, &self.key, refused.version, EndReason::RefreshRejected).await {
                        Ok(Replaced::Done) => return Outcome::Ended(Why::Ended(EndReason::RefreshRejected)),
                        Ok(Replaced::Gone(reason)) => return Outcome::Ended(reason.map_or(Why::NoSession, Why::Ended)),
                        // A touch, or a newer token: the next look tells.
                        Ok(Replaced::Conflict) => continue,
                        Err(error) => tracing::debug!(session = self.name(), %error, "the end waits for the store"),
                    }
                }
                Err(Outcome::StoreUnavailable) => {}
                Err(outcome) => return outcome,
            }
            self.tell.send_replace(Some(Outcome::StoreUnavailable));
            pauses.wait().await;
        }
        Outcome::Ended(Why::Ended(EndReason::Expired))
    }
}
