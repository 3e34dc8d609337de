//! Follows one session for all of its streams.

use std::sync::Arc;
use std::time::Duration;

use super::{End, Tell, Word};
use crate::auth::{Auth, CurrentError, Session, Why};
use crate::session::record::Meta;
use crate::session::store::{EndReason, Loaded, StoreError, StoreKey};
use crate::session::ticket::Ticket;

/// How often the session is looked at although nothing was heard of it. Where the store tells of changes that costs
/// nothing; where it has fallen silent, this bounds how late an end is noticed (contract section 6.10).
const LOOK: Duration = Duration::from_secs(1);

/// No more often than this, however near the session's end is.
const SOONEST: Duration = Duration::from_millis(20);

/// One for each session that has streams.
pub(super) struct Watcher {
    auth: Arc<Auth>,
    ticket: Ticket,
    key: StoreKey,
    version: u64,
    meta: Meta,
    tell: Tell,
}

impl Watcher {
    pub(super) fn new(auth: Arc<Auth>, session: &Session, tell: Tell) -> Self {
        let Session { ticket, key, version, record, .. } = session;
        Self { auth, ticket: ticket.clone(), key: *key, version: *version, meta: record.meta.clone(), tell }
    }

    /// Runs until the session is over or its last stream is gone.
    pub(super) async fn run(mut self) {
        loop {
            // After a reload the site may have other keys and limits.
            self.auth = self.auth.latest();
            let at_most = match self.auth.life(&self.key, &self.meta) {
                Ok(life) => life.idle_left.clamp(SOONEST, LOOK),
                Err(_) => SOONEST,
            };
            let (background, key) = (self.auth.background.clone(), self.key);
            // Before the look, so that nothing falls in between.
            let changed = background.store().changed(&key, at_most);
            if let Some(end) = self.look().await {
                self.auth.streams.end(&self.key, end);
                return;
            }
            let heard = async {
                if changed.await.is_err() {
                    tokio::time::sleep(at_most).await;
                }
            };
            tokio::select! {
                () = heard => {}
                () = self.tell.closed() => {}
            }
            if self.auth.streams.leave(&self.key, &self.tell) {
                return;
            }
        }
    }

    /// Tells what has changed; gives the end when there is one.
    async fn look(&mut self) -> Option<End> {
        match self.current().await {
            Ok(None) => None,
            Ok(Some(session)) => {
                self.version = session.version;
                self.meta.clone_from(&session.record.meta);
                self.tell.send_replace(Word::Live(Arc::new(self.auth.seen(&session))));
                None
            }
            Err(CurrentError::Absent(why)) => Some(self.over(why).await),
            Err(CurrentError::Store(error)) => Some(self.failed(&error)),
        }
    }

    async fn over(&self, why: Why) -> End {
        if why == Why::Ended(EndReason::Revoked) {
            match self.auth.is_another_user(&self.key).await {
                Ok(true) => return End::IdentityChanged,
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!(session = %self.auth.ring.log_name(&self.key), %error, "nobody can say why")
                }
            }
        }
        End::Session(why)
    }

    /// The session, if it is another than it was.
    async fn current(&self) -> Result<Option<Session>, CurrentError> {
        let store = self.auth.background.store();
        let mut loaded = store.load(&self.key).await?;
        if let Loaded::Live(stored) = &loaded {
            let over = self.auth.life(&self.key, &self.meta).is_err();
            let known =
                stored.version == self.version && self.auth.last_seen(&self.key, &self.meta) == self.meta.last_seen;
            if known && !over {
                return Ok(None);
            }
            if over {
                // A copy may be older than what another replica wrote.
                loaded = store.load_now(&self.key).await?;
            }
        }
        self.auth.loaded(self.ticket.clone(), self.key, loaded).map(Some)
    }

    /// The store does not answer, and its grace has bridged what it may: whether the session was ended elsewhere, or its user
    /// was there, nobody knows any more. What no activity postpones is over without the store as well.
    fn failed(&self, error: &StoreError) -> End {
        tracing::debug!(session = %self.auth.ring.log_name(&self.key), %error, "streams end with the store's grace");
        match self.auth.life(&self.key, &self.meta) {
            Ok(_) | Err(EndReason::Idle) => End::StoreUnavailable,
            Err(reason) => End::Session(Why::Ended(reason)),
        }
    }
}
