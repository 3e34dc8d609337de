//! What a flight does with the tokens it got: they are stored, whatever happens to the record meanwhile.

use std::sync::Arc;
use std::time::Duration;

use super::Outcome;
use super::flight::Flight;
use crate::auth::pauses::Pauses;
use crate::auth::{Session, Why};
use crate::provider::Tokens;
use crate::session::record::Record;
use crate::session::store::{EndReason, Replaced};

/// How long to wait between attempts to store a rotated token. Short, since another process would refresh with the old
/// token as soon as the store is back.
pub(super) const RETRY_FIRST: Duration = Duration::from_millis(25);
pub(super) const RETRY_LAST: Duration = Duration::from_millis(200);

impl Flight {
    /// Stores what the provider gave, whatever happens to the record meanwhile.
    pub(super) async fn keep(&self, mut session: Session, tokens: Tokens) -> Outcome {
        let token = Outcome::Token(tokens.access_token.clone());
        let mut pauses = Pauses::between(RETRY_FIRST, RETRY_LAST);
        let mut read_by = Arc::clone(&self.auth);
        while self.auth.clock.now() < session.record.meta.ends_at {
            let auth = self.auth.latest();
            let record = renewed(&session.record, &tokens);
            // Under which key a record lies is known to those keys only by which it was read.
            let written = if Arc::ptr_eq(&auth, &read_by) {
                auth.write(auth.background.store(), &session, &record).await
            } else {
                Ok(Replaced::Conflict)
            };
            match written {
                Ok(Replaced::Done) => {
                    tracing::info!(event = "refreshed", session = self.name(), generation = record.meta.generation);
                    return token;
                }
                // An end that came first wins. The new token is of use to nobody, and the only one that opens a logout hook:
                // who ended the session had the one before.
                Ok(Replaced::Gone(reason)) => {
                    self.auth.hand_back_later(&record);
                    return Outcome::Ended(reason.map_or(Why::NoSession, Why::Ended));
                }
                Ok(Replaced::Conflict) => match self.newest().await {
                    // Another holder was faster, while this process was stopped: its tokens are as good, and newer.
                    Ok(newest) if newest.record.meta.generation > self.generation => {
                        return Outcome::Token(newest.record.secrets.access_token.clone());
                    }
                    Ok(newest) => {
                        (session, read_by) = (newest, auth);
                        continue;
                    }
                    Err(Outcome::StoreUnavailable) => {}
                    Err(outcome) => {
                        self.auth.hand_back_later(&record);
                        return outcome;
                    }
                },
                Err(error) => tracing::warn!(event = "rotated_token_waits", session = self.name(), %error),
            }
            self.tell.send_replace(Some(Outcome::Unstored(tokens.access_token.clone(), tokens.until())));
            pauses.wait().await;
        }
        Outcome::Ended(Why::Ended(EndReason::Expired))
    }
}

/// The record with new tokens; what the provider left out stays as it was.
pub(in crate::auth) fn renewed(record: &Record, tokens: &Tokens) -> Record {
    let mut record = record.clone();
    record.secrets.access_token = tokens.access_token.clone();
    if tokens.refresh_token.is_some() {
        record.secrets.refresh_token.clone_from(&tokens.refresh_token);
    }
    if tokens.id_token.is_some() {
        record.secrets.id_token.clone_from(&tokens.id_token);
    }
    if tokens.scope.is_some() {
        record.secrets.scope.clone_from(&tokens.scope);
    }
    record.meta.token_since = tokens.since;
    record.meta.token_until = tokens.until();
    record.meta.generation += 1;
    record
}
