//! Activity that the store could not take: it counts in this process at once, and is written when the store is back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;

use crate::auth::{Auth, CurrentError};
use crate::clock::Timestamp;
use crate::session::lifecycle::{Life, judge};
use crate::session::record::Meta;
use crate::session::store::{EndReason, StoreError, StoreKey};
use crate::session::ticket::Ticket;

/// Sessions whose activity waits at most; of further ones it is as if nobody had been there.
const MOST: usize = 50_000;

/// How often the store is asked whether it takes it now, and how many sessions are written at a time then.
const NEXT_TRY: Duration = Duration::from_millis(250);
const AT_ONCE: usize = 32;

/// The sessions of a site whose activity waits, over all workers and reloads.
#[derive(Default)]
pub(in crate::auth) struct Unwritten {
    waiting: Mutex<Waiting>,
    /// How many there are, for those who ask on every request.
    count: AtomicUsize,
}

#[derive(Default)]
struct Waiting {
    sessions: HashMap<StoreKey, (Ticket, Spell)>,
    /// Whether a task is at it.
    is_written: bool,
}

/// A time in which a session was used and never idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spell {
    from: Timestamp,
    until: Timestamp,
}

impl Spell {
    /// The same one, used at `now` as well; another one, if the session was idle in between.
    fn used(self, now: Timestamp, idle: Duration) -> Self {
        let from = if now < self.until.plus(idle) { self.from } else { now };
        Self { from, until: now.max(self.until) }
    }

    /// When a session was used last of which the store says `written`. A spell that began when that was over already
    /// brings nothing back.
    fn last_seen(self, written: Timestamp, idle: Duration) -> Timestamp {
        if self.from < written.plus(idle) { written.max(self.until) } else { written }
    }
}

impl Unwritten {
    /// Notes a use at `now`; whether a task is to be started that writes it.
    fn note(&self, key: StoreKey, ticket: &Ticket, now: Timestamp, idle: Duration) -> bool {
        let mut waiting = self.waiting();
        if let Some((_, spell)) = waiting.sessions.get_mut(&key) {
            *spell = spell.used(now, idle);
            return false;
        }
        if waiting.sessions.len() >= MOST {
            return false;
        }
        waiting.sessions.insert(key, (ticket.clone(), Spell { from: now, until: now }));
        self.count.store(waiting.sessions.len(), Ordering::Release);
        !std::mem::replace(&mut waiting.is_written, true)
    }

    fn get(&self, key: &StoreKey) -> Option<(Ticket, Spell)> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.waiting().sessions.get(key).cloned()
    }

    /// What was written needs not wait, unless the session was used again meanwhile.
    fn forget(&self, key: &StoreKey, written: Spell) {
        let mut waiting = self.waiting();
        if waiting.sessions.get(key).is_some_and(|(_, spell)| *spell == written) {
            waiting.sessions.remove(key);
        }
        self.count.store(waiting.sessions.len(), Ordering::Release);
    }

    /// Those that wait; with none, the task that asks is over.
    fn left(&self) -> Option<Vec<StoreKey>> {
        let mut waiting = self.waiting();
        waiting.is_written = !waiting.sessions.is_empty();
        waiting.is_written.then(|| waiting.sessions.keys().copied().collect())
    }

    /// A panic elsewhere cannot leave this half written: every change is one map access.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Auth {
    /// Keeps in memory that the session of `ticket` is used now, until the store can be told. Nothing is known of a
    /// session that could not be loaded, so this is no promise that there is one.
    pub(in crate::auth) fn note_activity(self: &Arc<Self>, ticket: &Ticket, key: StoreKey) {
        if self.unwritten.note(key, ticket, self.clock.now(), self.site.session.idle) {
            let auth = Arc::clone(self);
            self.background.spawn(async move { auth.write_what_waits().await });
        }
    }

    /// When the session at `key` was used last, written or not.
    pub(in crate::auth) fn last_seen(&self, key: &StoreKey, meta: &Meta) -> Timestamp {
        let waiting = self.unwritten.get(key);
        waiting.map_or(meta.last_seen, |(_, spell)| spell.last_seen(meta.last_seen, self.site.session.idle))
    }

    /// Judges the session at `key` by its record and by the activity that waits.
    ///
    /// # Errors
    /// The reason, when the session is over.
    pub(in crate::auth) fn life(&self, key: &StoreKey, meta: &Meta) -> Result<Life, EndReason> {
        let (limits, now, last_seen) = (self.limits(meta), self.clock.now(), self.last_seen(key, meta));
        if last_seen == meta.last_seen {
            return judge(meta, limits, now);
        }
        judge(&Meta { last_seen, ..meta.clone() }, limits, now)
    }

    /// Writes what waits until nothing does. A shutdown waits for one more try.
    async fn write_what_waits(self: Arc<Self>) {
        let mut goes_on = true;
        while goes_on && let Some(keys) = self.unwritten.left() {
            goes_on = self.background.pause(NEXT_TRY).await;
            let auth = self.latest();
            for keys in keys.chunks(AT_ONCE) {
                let written = join_all(keys.iter().map(|key| auth.write_waiting(key))).await;
                // Of several servers one may be down. If none of so many answers, the others would not either.
                if written.iter().all(Result::is_err) {
                    break;
                }
            }
        }
    }

    async fn write_waiting(self: &Arc<Self>, key: &StoreKey) -> Result<(), StoreError> {
        let Some((ticket, spell)) = self.unwritten.get(key) else { return Ok(()) };
        let store = self.background.store();
        let outcome = match self.current_now(store, ticket).await {
            // As it is read, the record says what it is to say.
            Ok(mut session) => self.rewrite(store, &mut session, |_| true, |_| {}).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) | Err(CurrentError::Absent(_)) => {
                self.unwritten.forget(key, spell);
                Ok(())
            }
            Err(CurrentError::Store(error)) => {
                tracing::debug!(session = %self.ring.log_name(key), %error, "activity waits for the store");
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(100);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn spell(uses: &[u64]) -> Spell {
        let first = Spell { from: at(uses[0]), until: at(uses[0]) };
        uses.iter().fold(first, |spell, second| spell.used(at(*second), IDLE))
    }

    #[test]
    fn a_spell_of_use_lasts_until_the_session_would_have_been_idle() {
        assert_eq!(spell(&[10, 109, 200]), Spell { from: at(10), until: at(200) });
        assert_eq!(spell(&[10, 110]), Spell { from: at(110), until: at(110) });
        assert_eq!(spell(&[10, 5]), Spell { from: at(10), until: at(10) }, "a clock that was set back");
    }

    #[test]
    fn a_spell_counts_if_it_began_while_the_session_lived_and_never_backwards() {
        let spell = spell(&[150, 240]);
        for (written, expected) in [(0, 0), (50, 50), (51, 240), (150, 240), (240, 240), (500, 500)] {
            assert_eq!(spell.last_seen(at(written), IDLE), at(expected), "{written}");
        }
    }

    #[test]
    fn there_is_one_writer_for_as_long_as_something_waits_and_no_more_than_there_is_room_for() {
        let unwritten = Unwritten::default();
        let ticket = Ticket::new(at(1000));
        let key = |number: usize| StoreKey::of(&[&number.to_be_bytes()]);
        assert_eq!(unwritten.left(), None);
        assert!(unwritten.note(key(0), &ticket, at(1), IDLE), "the first one needs a task");
        assert!(!unwritten.note(key(0), &ticket, at(2), IDLE) && !unwritten.note(key(1), &ticket, at(2), IDLE));
        let (_, written) = unwritten.get(&key(0)).unwrap();
        assert!(!unwritten.note(key(0), &ticket, at(3), IDLE));
        unwritten.forget(&key(0), written);
        assert!(unwritten.get(&key(0)).is_some(), "it was used again meanwhile");
        for number in 0..2 {
            let (_, written) = unwritten.get(&key(number)).unwrap();
            unwritten.forget(&key(number), written);
        }
        assert_eq!((unwritten.left(), unwritten.get(&key(0)).is_none()), (None, true));
        assert!(unwritten.note(key(0), &ticket, at(4), IDLE), "the task is over, and another one is needed");
        for number in 0..MOST + 10 {
            unwritten.note(key(number), &ticket, at(5), IDLE);
        }
        assert_eq!(unwritten.left().map(|keys| keys.len()), Some(MOST));
    }
}
