//! A logout: here first, then everywhere if asked for, then at the provider.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::Auth;
use crate::clock::Timestamp;
use crate::guard::return_to::ReturnTo;
use crate::secret::State;
use crate::session::keyring::Purpose;
use crate::session::record::Record;
use crate::session::store::{EndReason, Loaded, StoreError, StoreKey};
use crate::session::ticket::Ticket;
use crate::telemetry::metrics;

/// How long the way over the provider's logout page may take.
const LOGOUT_LIFETIME: Duration = Duration::from_secs(600);

/// How long to wait between attempts to write an end that must not be lost.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_secs(1);

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
        let ended = async {
            let loaded = store.load(&key).await?;
            self.sessions.end(store, &key, EndReason::Revoked).await?;
            Ok(loaded)
        };
        let loaded = match ended.await {
            Ok(loaded) => loaded,
            Err(error) => {
                self.end_surely(key, EndReason::Revoked, ticket.ends_at()).await;
                return Err(error);
            }
        };
        let Loaded::Live(stored) = loaded else { return Ok(LoggedOut { logout_url: None }) };
        metrics::LOGOUTS.with([&self.name, if everywhere { "everywhere" } else { "browser" }]).add(1);
        tracing::info!(event = "logout", site = %self.site.origin, session = %self.ring.log_name(&key), everywhere);
        let Ok(record) = Record::open(&self.ring, &key, ticket.secret(), &stored) else {
            return Ok(LoggedOut { logout_url: None });
        };
        self.revoke_later(&record);
        if everywhere {
            self.end_all_surely(&record).await?;
        }
        Ok(LoggedOut { logout_url: self.provider_logout(&record, return_to).await })
    }

    /// Ends every session of one user at this site; what the store does not take now, it takes when it is back.
    async fn end_all_surely(self: &Arc<Self>, record: &Record) -> Result<(), StoreError> {
        let (issuer, subject) = (record.meta.issuer.clone(), record.meta.subject.clone());
        let ended = self.sessions.end_by_subject(self.background.store(), &issuer, &subject).await;
        if ended.is_err() {
            let (auth, ends_at) = (Arc::clone(self), record.meta.ends_at);
            self.background.spawn(async move {
                let store = auth.background.store();
                while auth.clock.now() < ends_at
                    && auth.sessions.end_by_subject(store, &issuer, &subject).await.is_err()
                {
                    tokio::time::sleep(RETRY_LAST).await;
                }
            });
        }
        ended.map(drop)
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

    /// Gives a session's refresh token back to the provider, which may take its time (RFC 7009).
    pub(super) fn revoke_later(self: &Arc<Self>, record: &Record) {
        let Some(refresh_token) = record.secrets.refresh_token.clone() else { return };
        let (auth, name, issuer) = (Arc::clone(self), record.meta.provider.clone(), record.meta.issuer.clone());
        self.background.spawn(async move {
            let Some(provider) = auth.provider_of(&name, &issuer) else { return };
            if let Err(error) = provider.revoke(&refresh_token).await {
                tracing::warn!(event = "revocation_failed", site = %auth.site.origin, provider = name, %error);
            }
        });
    }

    /// Ends a session now, or as soon as the store is back; gives up when the session would be over anyway.
    pub(super) async fn end_surely(self: &Arc<Self>, key: StoreKey, reason: EndReason, ends_at: Timestamp) {
        if self.sessions.end(self.background.store(), &key, reason).await.is_ok() {
            return;
        }
        let auth = Arc::clone(self);
        self.background.spawn(async move {
            let mut pause = RETRY_FIRST;
            while auth.clock.now() < ends_at {
                tokio::time::sleep(pause).await;
                match auth.sessions.end(auth.background.store(), &key, reason).await {
                    Ok(_) => return,
                    Err(error) => {
                        tracing::debug!(session = %auth.ring.log_name(&key), %error, "the end waits for the store");
                    }
                }
                pause = pause.saturating_mul(2).min(RETRY_LAST);
            }
        });
    }
}
