//! The session a ticket stands for, and how it is written back.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::Auth;
use super::opened::Opened;
use crate::secret::{AccessToken, DpopKey};
use crate::session::lifecycle::{Life, judge};
use crate::session::record::{Record, Unopenable};
use crate::session::store::{EndReason, Loaded, Replaced, Store, StoreError, StoreKey, Stored};
use crate::session::ticket::Ticket;

/// How often a write that met another is tried again before the next request gets its turn.
const WRITE_TRIES: usize = 4;

/// A live session, as read for one request.
#[derive(Clone, Debug)]
pub struct Session {
    pub(super) ticket: Ticket,
    pub(super) key: StoreKey,
    pub(super) version: u64,
    pub(super) record: Arc<Record>,
    pub(super) life: Life,
    /// Whether the key that seals now sealed the record.
    pub(super) current_key: bool,
}

impl Session {
    /// The ticket it was found by.
    #[must_use]
    pub const fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// What the store knows it by.
    #[must_use]
    pub const fn key(&self) -> &StoreKey {
        &self.key
    }
}

/// Why there is no session; the words of the 401's `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There is none, or none any more and nobody remembers why.
    NoSession,
    /// It ended for this reason.
    Ended(EndReason),
}

impl Session {
    /// The access token that its record holds; whether it is still good is another question.
    #[must_use]
    pub fn own_token(&self) -> &AccessToken {
        &self.record.secrets.access_token
    }

    /// The key that its access tokens are bound to, if they are.
    #[must_use]
    pub fn dpop_key(&self) -> Option<&DpopKey> {
        self.record.secrets.dpop_key.as_ref()
    }
}

impl Why {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoSession => "no_session",
            Self::Ended(reason) => reason.as_str(),
        }
    }
}

/// Why a request goes on without a session.
#[derive(Debug, thiserror::Error)]
pub enum CurrentError {
    /// There is none.
    #[error("no session: {}", .0.as_str())]
    Absent(Why),
    /// Nobody can say whether there is one.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What `/bff/session` shows of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionView {
    /// The configured claims.
    pub user: Map<String, Value>,
    /// The configured name of the provider.
    pub provider: String,
    /// Tells this user from another; contract section 6.11.
    pub pin: String,
    /// Until the session ends without further activity.
    pub idle_left: Duration,
    /// Until it ends in any case.
    pub absolute_left: Duration,
}

impl Auth {
    /// The session that `ticket` stands for.
    ///
    /// # Errors
    /// [`CurrentError`]: over, unknown, or nobody can say.
    pub async fn current(self: &Arc<Self>, store: &dyn Store, ticket: Ticket) -> Result<Session, CurrentError> {
        let key = ticket.store_key(&self.site.origin);
        let loaded = store.load(&key).await?;
        self.loaded(ticket, key, loaded)
    }

    /// The same by the word of the store itself, never from a copy in memory: for what must not go on while the store
    /// is down, and for what must know the newest.
    ///
    /// # Errors
    /// [`CurrentError`]: over, unknown, or nobody can say.
    pub async fn current_now(self: &Arc<Self>, store: &dyn Store, ticket: Ticket) -> Result<Session, CurrentError> {
        let key = ticket.store_key(&self.site.origin);
        let loaded = store.load_now(&key).await?;
        self.loaded(ticket, key, loaded)
    }

    /// Seals a record anew that an older key of the ring sealed, so that the older key can be dropped one day. What
    /// cannot be written now is written another time.
    ///
    /// # Errors
    /// [`CurrentError::Absent`] when the session turns out to be over.
    pub async fn renew_seal(self: &Arc<Self>, store: &dyn Store, session: &mut Session) -> Result<(), CurrentError> {
        if session.current_key {
            return Ok(());
        }
        match self.rewrite(store, session, |session| !session.current_key, |_| {}).await {
            Err(CurrentError::Store(error)) => {
                tracing::debug!(session = %self.ring.log_name(&session.key), %error, "the record keeps its older key");
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// What `/bff/session` shows.
    #[must_use]
    pub fn view(&self, session: &Session) -> SessionView {
        let shown = &self.site.session.claims;
        let claims = &session.record.secrets.claims;
        SessionView {
            user: shown.iter().filter_map(|name| Some((name.clone(), claims.get(name)?.clone()))).collect(),
            provider: session.record.meta.provider.clone(),
            pin: session.record.meta.pin(&self.ring),
            idle_left: session.life.idle_left,
            absolute_left: session.life.absolute_left,
        }
    }

    /// Whether `pin`, as a page remembers it, is this session's user.
    #[must_use]
    pub fn is_pin_of(&self, pin: &[u8], session: &Session) -> bool {
        session.record.meta.has_pin(&self.ring, pin)
    }

    pub(super) fn loaded(
        self: &Arc<Self>,
        ticket: Ticket,
        key: StoreKey,
        loaded: Loaded,
    ) -> Result<Session, CurrentError> {
        match loaded {
            Loaded::Live(stored) => self.judged(ticket, key, &stored),
            Loaded::Ended(reason) => Err(CurrentError::Absent(Why::Ended(reason))),
            Loaded::Absent if ticket.ends_at() <= self.clock.now() => {
                Err(CurrentError::Absent(Why::Ended(EndReason::Expired)))
            }
            Loaded::Absent => Err(CurrentError::Absent(Why::NoSession)),
        }
    }

    /// The session as it was stored, if it still lives; one found to be over is ended in the store as well.
    pub(super) fn judged(
        self: &Arc<Self>,
        ticket: Ticket,
        key: StoreKey,
        stored: &Stored,
    ) -> Result<Session, CurrentError> {
        match Opened::open(&self.ring, &key, ticket.secret(), stored) {
            Ok(opened) => self.alive(ticket, key, opened),
            Err(Unopenable) => {
                tracing::warn!(event = "record_unopenable", session = %self.ring.log_name(&key), "{Unopenable}");
                Err(CurrentError::Absent(Why::NoSession))
            }
        }
    }

    /// The session as it was opened, with the activity that waits to be written, if it still lives; one found to be over is
    /// ended in the store as well.
    pub(super) fn alive(
        self: &Arc<Self>,
        ticket: Ticket,
        key: StoreKey,
        opened: Opened,
    ) -> Result<Session, CurrentError> {
        let Opened { stored: Stored { version, .. }, mut record, current_key } = opened;
        let last_seen = self.last_seen(&key, &record.meta);
        if last_seen != record.meta.last_seen {
            Arc::make_mut(&mut record).meta.last_seen = last_seen;
        }
        match judge(&record.meta, self.limits(&record.meta), self.clock.now()) {
            Ok(life) => Ok(Session { ticket, key, version, record, life, current_key }),
            Err(reason) => {
                self.end_later(ticket, key, reason);
                Err(CurrentError::Absent(Why::Ended(reason)))
            }
        }
    }

    /// Writes the session with a change on top of whatever was written meanwhile, unless that has made it not `due` any
    /// more.
    pub(super) async fn rewrite(
        self: &Arc<Self>,
        store: &dyn Store,
        session: &mut Session,
        due: impl Fn(&Session) -> bool,
        change: impl Fn(&mut Record),
    ) -> Result<(), CurrentError> {
        for _ in 0..WRITE_TRIES {
            if !due(session) {
                return Ok(());
            }
            let mut record = Record::clone(&session.record);
            change(&mut record);
            match self.write(store, session, &record).await? {
                Replaced::Done => {
                    session.life = judge(&record.meta, self.limits(&record.meta), self.clock.now())
                        .map_err(|reason| CurrentError::Absent(Why::Ended(reason)))?;
                    session.record = Arc::new(record);
                    session.version += 1;
                    session.current_key = true;
                    return Ok(());
                }
                // Another write came first, a refresh perhaps: the change goes on top of it.
                Replaced::Conflict => *session = self.current_now(store, session.ticket.clone()).await?,
                Replaced::Gone(reason) => {
                    return Err(CurrentError::Absent(reason.map_or(Why::NoSession, Why::Ended)));
                }
            }
        }
        // So many writes by others in so short a time: the next request gets its turn.
        Ok(())
    }

    /// Ends a session that is over by the clock, so that every replica gives the same reason. Nothing depends on it, so
    /// it is done only by the word of the store itself: a copy may be older than what another replica wrote.
    fn end_later(self: &Arc<Self>, ticket: Ticket, key: StoreKey, reason: EndReason) {
        let auth = Arc::clone(self);
        self.background.spawn(async move {
            if let Err(error) = auth.end_if_over(&ticket, &key, reason).await {
                tracing::debug!(session = %auth.ring.log_name(&key), %error, "the end was not written");
            }
        });
    }

    async fn end_if_over(&self, ticket: &Ticket, key: &StoreKey, reason: EndReason) -> Result<(), StoreError> {
        let store = self.background.store();
        let Loaded::Live(stored) = store.load_now(key).await? else { return Ok(()) };
        let Ok(record) = Record::open(&self.ring, key, ticket.secret(), &stored) else { return Ok(()) };
        if self.life(key, &record.meta).is_ok() {
            return Ok(());
        }
        // Whoever was there meanwhile has made it another version, and nothing of this is remembered for later.
        self.sessions.end_version(store, key, stored.version, reason).await.map(drop)
    }
}
