//! What counts as a session's use, and how seldom that is written.

mod unwritten;

pub(super) use self::unwritten::Unwritten;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Auth, CurrentError, Session};
use crate::clock::Timestamp;
use crate::session::lifecycle::touch_due_at;
use crate::session::record::Record;
use crate::session::store::{Store, StoreKey};
use crate::session::ticket::Ticket;

/// When data on a stream is counted again that could not be counted now.
const NEXT_TRY: Duration = Duration::from_millis(500);

/// The sessions whose activity is being written by a request of this process, so that the others need not do it too.
#[derive(Default)]
pub(super) struct Touches(Mutex<HashSet<StoreKey>>);

/// The right to write one session's activity; given back when dropped, however the request ends.
struct Turn<'a> {
    touches: &'a Touches,
    key: StoreKey,
}

impl Touches {
    fn turn(&self, key: StoreKey) -> Option<Turn<'_>> {
        let mut touches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        touches.insert(key).then(|| Turn { touches: self, key })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.touches.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl Auth {
    /// Counts a request as activity, which postpones the idle end. Written at most once per tenth of the idle time,
    /// however many requests find it due: one of this process tries, and of several processes one succeeds. What the store
    /// cannot take counts in this process, and is written when the store is back.
    ///
    /// # Errors
    /// [`CurrentError::Absent`] when the session turns out to be over.
    pub async fn touch(self: &Arc<Self>, store: &dyn Store, session: &mut Session) -> Result<(), CurrentError> {
        if !session.life.touch_due {
            return Ok(());
        }
        let Some(_turn) = self.touches.turn(session.key) else { return Ok(()) };
        match self.write_activity(store, session, |session| session.life.touch_due).await {
            Err(CurrentError::Store(error)) => {
                tracing::debug!(session = %self.ring.log_name(&session.key), %error, "activity was not written");
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Counts as activity what is refused since nobody can say whether there is a session: whoever sent it is there.
    pub fn touch_unseen(self: &Arc<Self>, ticket: &Ticket) {
        self.note_activity(ticket, ticket.store_key(&self.site.origin));
    }

    /// Counts data on a stream as activity, as [`touch`](Self::touch) does for a request; when to do so again. A store
    /// that does not answer is asked again after a moment; a session that is over is its watcher's affair.
    pub async fn touch_stream(self: &Arc<Self>, store: &dyn Store, ticket: Ticket) -> Timestamp {
        let later = self.clock.now().plus(NEXT_TRY);
        let mut session = match self.current(store, ticket.clone()).await {
            Ok(session) => session,
            Err(CurrentError::Store(_)) => {
                self.touch_unseen(&ticket);
                return later;
            }
            Err(CurrentError::Absent(_)) => return later,
        };
        if self.touch(store, &mut session).await.is_err() {
            return later;
        }
        let due = touch_due_at(&session.record.meta, self.site.session.idle);
        // Still due: another request is at it, or the store failed.
        if due <= self.clock.now() { later } else { due }
    }

    /// Counts as activity at once, as the user asked for it.
    ///
    /// # Errors
    /// [`CurrentError`], when the session is over or the store cannot take the write; it counts all the same then.
    pub async fn extend(self: &Arc<Self>, store: &dyn Store, session: &mut Session) -> Result<(), CurrentError> {
        let asked = self.clock.now();
        self.write_activity(store, session, |session| session.record.meta.last_seen < asked).await
    }

    async fn write_activity(
        self: &Arc<Self>,
        store: &dyn Store,
        session: &mut Session,
        due: impl Fn(&Session) -> bool,
    ) -> Result<(), CurrentError> {
        let (now, ticket, key) = (self.clock.now(), session.ticket.clone(), session.key);
        let seen = |record: &mut Record| record.meta.last_seen = record.meta.last_seen.max(now);
        let outcome = self.rewrite(store, session, due, seen).await;
        if let Err(CurrentError::Store(_)) = &outcome {
            self.note_activity(&ticket, key);
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_at_a_time_writes_a_session_and_the_next_may_after_it() {
        let touches = Touches::default();
        let [one, two] = [StoreKey::of(&[b"one"]), StoreKey::of(&[b"two"])];
        let turn = touches.turn(one);
        assert!(turn.is_some());
        assert!(touches.turn(one).is_none() && touches.turn(one).is_none(), "it is another's");
        assert!(touches.turn(two).is_some(), "other sessions have nothing to do with it");
        drop(turn);
        assert!(touches.turn(one).is_some());
    }
}
