//! A logout: here first, then everywhere if asked for, then at the provider.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::Auth;
use crate::clock::Timestamp;
use crate::guard::return_to::ReturnTo;
use crate::secret::State;
use crate::session::keyring::Purpose;
use crate::session::record::{Meta, Record};
use crate::session::store::{EndReason, Ended, Loaded, StoreError, StoreKey};
use crate::session::ticket::Ticket;
use crate::telemetry::metrics;

/// How long the way over the provider's logout page may take.
const LOGOUT_LIFETIME: Duration = Duration::from_secs(600);

/// A logout that is done here.
#[derive(Debug)]
pub struct LoggedOut {
    /// Where the browser ends the provider's session too; `None` when the provider has no such page, or there was no session.
    pub logout_url: Option<Url>,
}

impl Auth {
    /// Ends the session of `ticket`, and with `everywhere` all sessions of its user at this site, before anything else
    /// happens; the refresh token is revoked in the background. No session is a success.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot say that it is over. It will be, as soon as the store is back.
    pub async fn log_out(
        self: &Arc<Self>,
        ticket: Ticket,
        return_to: ReturnTo,
        everywhere: bool,
    ) -> Result<LoggedOut, StoreError> {
        let auth = Arc::clone(self);
        self.background.run(async move { auth.end_session(ticket, &return_to, everywhere).await }).await
    }

    /// Where the browser goes when the provider sends it back with `state`; the front page for an unknown one.
    pub async fn after_logout(self: &Arc<Self>, state: &str) -> ReturnTo {
        let key = self.note_key(b"logout", state);
        let auth = Arc::clone(self);
        let noted = self.background.run(async move { auth.background.store().take(&key).await }).await;
        let sealed = noted.unwrap_or_else(|error| {
            tracing::debug!(%error, "where this logout ends cannot be looked up");
            None
        });
        sealed
            .and_then(|sealed| self.ring.open(Purpose::Note, &[key.as_bytes()], &sealed))
            .and_then(|text| String::from_utf8(text.to_vec()).ok())
            .and_then(|text| ReturnTo::parse(&text, &self.site.base_path).ok())
            .unwrap_or_else(ReturnTo::front_page)
    }

    async fn end_session(
        self: &Arc<Self>,
        ticket: Ticket,
        return_to: &ReturnTo,
        everywhere: bool,
    ) -> Result<LoggedOut, StoreError> {
        let key = ticket.store_key(&self.site.origin);
        let store = self.background.store();
        // The newest refresh token is the one to give back; while the store is down, the one seen last.
        let found = match store.load_now(&key).await {
            Ok(found) => Ok(found),
            Err(_) => store.load(&key).await,
        };
        let found = match found {
            Ok(found) => found,
            Err(error) if everywhere => {
                self.log_out_everywhere_later(ticket);
                return Err(error);
            }
            Err(error) => {
                let _ = self.end_surely(key, EndReason::Revoked, ticket.ends_at()).await?;
                return Err(error);
            }
        };
        match self.end_found(&ticket, &found, everywhere).await? {
            Some(record) => Ok(LoggedOut { logout_url: self.provider_logout(&record, return_to).await }),
            None => Ok(LoggedOut { logout_url: None }),
        }
    }

    /// Ends the session that `ticket` was found to stand for, and with `everywhere` its user's others; the record, if it
    /// was live.
    async fn end_found(
        self: &Arc<Self>,
        ticket: &Ticket,
        found: &Loaded,
        everywhere: bool,
    ) -> Result<Option<Record>, StoreError> {
        let key = ticket.store_key(&self.site.origin);
        if let Some(reason) = self.over_by_the_clock(&key, found) {
            return self.end_surely(key, reason, ticket.ends_at()).await.map(|_| None);
        }
        let ended = self.end_surely(key, EndReason::Revoked, ticket.ends_at()).await;
        // A refresh may have come in between: the newest refresh token is in the record that ended.
        let (ended, newest) = match ended {
            Ok(Ended::Now(stored)) => (Ok(()), Some(stored)),
            other => (other.map(drop), None),
        };
        let Loaded::Live(read) = found else { return ended.map(|()| None) };
        let stored = newest.as_ref().unwrap_or(read);
        metrics::LOGOUTS.with([&self.name, if everywhere { "everywhere" } else { "browser" }]).add(1);
        tracing::info!(event = "logout", site = %self.site.origin, session = %self.ring.log_name(&key), everywhere);
        let Ok(record) = Record::open(&self.ring, &key, ticket.secret(), stored) else {
            return ended.map(|()| None);
        };
        self.hand_back_later(&record);
        let others = if everywhere { self.end_all_surely(key, &record).await } else { Ok(()) };
        ended.and(others).map(|()| Some(record))
    }

    /// Why the session was over before anybody logged out of it, though nobody has asked since: its cookie stands for no
    /// user any more.
    fn over_by_the_clock(&self, key: &StoreKey, found: &Loaded) -> Option<EndReason> {
        let Loaded::Live(stored) = found else { return None };
        let meta = Meta::open(&self.ring, key, stored).ok()?;
        self.life(key, &meta).err()
    }

    /// Logs out everywhere as soon as the store can say whose session it is: once it is over, nobody could. Until then
    /// this process knows nothing of the session, and answers for it no more than the store does.
    fn log_out_everywhere_later(self: &Arc<Self>, ticket: Ticket) {
        let (key, until) = (ticket.store_key(&self.site.origin), ticket.ends_at());
        self.insist(key, until, move |auth| {
            let ticket = ticket.clone();
            async move {
                let store = auth.background.store();
                let found = match store.load_now(&key).await {
                    Ok(found) => found,
                    // The store answers, and this record is the trouble: it can still be ended.
                    Err(_) if store.ping().await.is_ok() => Loaded::Absent,
                    Err(error) => return Err(error),
                };
                // What fails from here on is tried again by itself.
                let _ = auth.end_found(&ticket, &found, true).await;
                Ok(())
            }
        });
    }

    /// Ends every session that the user of the session at `key` has at this site by now; what the store does not take now, it takes when it is
    /// back. A login that comes later is not meant, so what was found once is not looked for again.
    async fn end_all_surely(self: &Arc<Self>, key: StoreKey, record: &Record) -> Result<(), StoreError> {
        let (issuer, subject) = (record.meta.issuer.clone(), record.meta.subject.clone());
        let until = self.clock.now().plus(self.site.session.absolute);
        match self.sessions.filed_under(self.background.store(), &issuer, &subject).await {
            Ok(keys) => self.end_each_surely(keys, until).await,
            Err(error) => {
                self.insist(key, until, move |auth| {
                    let (issuer, subject) = (issuer.clone(), subject.clone());
                    async move {
                        let store = auth.background.store();
                        let keys = auth.sessions.filed_under(store, &issuer, &subject).await?;
                        // What fails from here on is tried again by itself.
                        let _ = auth.end_each_surely(keys, until).await;
                        Ok(())
                    }
                });
                Err(error)
            }
        }
    }

    async fn end_each_surely(self: &Arc<Self>, keys: Vec<StoreKey>, until: Timestamp) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        for key in keys {
            outcome = outcome.and(self.end_surely(key, EndReason::Revoked, until).await.map(drop));
        }
        outcome
    }

    async fn provider_logout(&self, record: &Record, return_to: &ReturnTo) -> Option<Url> {
        let provider = self.provider_of(&record.meta.provider, &record.meta.issuer)?;
        let state = State::random();
        let url = provider.logout_url(record.secrets.id_token.as_ref(), &state).await?;
        let key = self.note_key(b"logout", state.expose());
        let note = self.ring.seal(Purpose::Note, &[key.as_bytes()], return_to.as_str().as_bytes());
        if let Err(error) = self.background.store().put_once(&key, note.into(), LOGOUT_LIFETIME).await {
            tracing::debug!(%error, "this logout will end on the front page");
        }
        Some(url)
    }

    /// Ends a session now, or as soon as the store is back; gives up when the session would be over anyway.
    ///
    /// # Errors
    /// [`StoreError`] when it was not now.
    pub(super) async fn end_surely(
        self: &Arc<Self>,
        key: StoreKey,
        reason: EndReason,
        ends_at: Timestamp,
    ) -> Result<Ended, StoreError> {
        let ended = self.sessions.end(self.background.store(), &key, reason).await;
        if ended.is_err() {
            self.insist(key, ends_at, move |auth| async move {
                auth.sessions.end(auth.background.store(), &key, reason).await.map(drop)
            });
        }
        ended
    }
}
