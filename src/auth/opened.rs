//! What one worker keeps of the sessions it has opened, so that calls of an unchanged session cost no decryption.
//!
//! Nothing is believed that a fresh look would not show: the store's word, or that of its near copy, is asked for each
//! request, and only when it says the very bytes that were opened last with the very same ticket is that record used
//! again. Its life is judged anew each time.

use std::cell::RefCell;
use std::sync::Arc;

use super::{Auth, CurrentError, Session};
use crate::session::keyring::Keyring;
use crate::session::record::{Record, Unopenable, is_current};
use crate::session::store::{Loaded, Store, StoreKey, Stored};
use crate::session::ticket::{Ticket, TicketSecret};

/// A ticket, and its session's record as it was opened last. For one worker.
#[derive(Debug)]
pub struct Holder {
    ticket: Ticket,
    key: StoreKey,
    last: RefCell<Option<Opened>>,
}

/// A record with what it was opened from.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    pub(super) stored: Stored,
    pub(super) record: Arc<Record>,
    /// Whether the key that seals now sealed it.
    pub(super) current_key: bool,
}

impl Opened {
    pub(super) fn open(
        ring: &Keyring,
        key: &StoreKey,
        secret: &TicketSecret,
        stored: &Stored,
    ) -> Result<Self, Unopenable> {
        let record = Arc::new(Record::open(ring, key, secret, stored)?);
        Ok(Self { current_key: is_current(ring, stored), record, stored: stored.clone() })
    }
}

impl Holder {
    /// Whoever shows `ticket`, which stands for the session at `key`; nothing is opened yet.
    #[must_use]
    pub const fn new(ticket: Ticket, key: StoreKey) -> Self {
        Self { ticket, key, last: RefCell::new(None) }
    }

    /// Roughly how many bytes this keeps: what is sealed, and the same once more in the open.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.last.borrow().as_ref().map_or(0, |opened| 2 * opened.stored.sealed.len())
    }

    /// The ticket.
    #[must_use]
    pub const fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// What was opened last, if the store still says the same.
    fn known(&self, stored: &Stored) -> Option<Opened> {
        self.last.borrow().as_ref().filter(|opened| opened.stored == *stored).cloned()
    }
}

impl Auth {
    /// Whoever shows this ticket.
    #[must_use]
    pub fn holder(&self, ticket: Ticket) -> Holder {
        let key = ticket.store_key(&self.site.origin);
        Holder::new(ticket, key)
    }

    /// As [`Auth::current`], or with `now` as [`Auth::current_now`], without opening again what was opened before.
    ///
    /// # Errors
    /// [`CurrentError`]: over, unknown, or nobody can say.
    pub async fn current_of(
        self: &Arc<Self>,
        store: &dyn Store,
        holder: &Holder,
        now: bool,
    ) -> Result<Session, CurrentError> {
        let loaded = if now { store.load_now(&holder.key).await? } else { store.load(&holder.key).await? };
        let opened = match &loaded {
            Loaded::Live(stored) => holder
                .known(stored)
                .or_else(|| Opened::open(&self.ring, &holder.key, holder.ticket.secret(), stored).ok()),
            Loaded::Ended(_) | Loaded::Absent => None,
        };
        let Some(opened) = opened else {
            holder.last.take();
            return self.loaded(holder.ticket.clone(), holder.key, loaded);
        };
        if !holder.last.borrow().as_ref().is_some_and(|last| Arc::ptr_eq(&last.record, &opened.record)) {
            holder.last.replace(Some(opened.clone()));
        }
        self.alive(holder.ticket.clone(), holder.key, opened)
    }
}
