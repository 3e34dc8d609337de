//! What every login comes to, however its user was proven: a session with a new id, and the end of the one before.

use std::sync::Arc;

use super::{Auth, Session};
use crate::clock::Timestamp;
use crate::provider::{Grant, Provider};
use crate::secret::DpopKey;
use crate::session::lifecycle::judge;
use crate::session::record::{Meta, Record, Secrets};
use crate::session::store::{EndReason, Loaded, NewEntry, StoreError, StoreKey};
use crate::session::ticket::Ticket;

/// How many of a user's other sessions are looked at for their pin: all of them have the same.
const OTHERS: usize = 4;

impl Auth {
    /// Makes a session of what `provider` granted; then the `previous` one of the same browser ends.
    ///
    /// # Errors
    /// [`StoreError`]: there is no session, what was granted is given back, and the previous one goes on.
    pub(super) async fn enter(
        self: &Arc<Self>,
        provider: &Provider,
        granted: (Grant, Option<DpopKey>),
        previous: Option<Ticket>,
    ) -> Result<Session, StoreError> {
        let replaced = match &previous {
            Some(ticket) => self.found_live(&ticket.store_key(&self.site.origin)).await,
            None => None,
        };
        let session = self.open_session(provider, granted, replaced.as_ref()).await?;
        if let Some(previous) = previous {
            let key = previous.store_key(&self.site.origin);
            if replaced.is_some_and(|replaced| !replaced.is_same_user(&session.record.meta)) {
                self.say_another_user(&key).await;
            }
            // What fails now is tried again by itself.
            let _ = self.end_surely(key, EndReason::Revoked, previous.ends_at()).await;
        }
        Ok(session)
    }

    /// Whose session stands at `key`, if it is known to live.
    async fn found_live(&self, key: &StoreKey) -> Option<Meta> {
        let Ok(Loaded::Live(stored)) = self.background.store().load(key).await else { return None };
        let meta = Meta::open(&self.ring, key, &stored).ok()?;
        self.life(key, &meta).is_ok().then_some(meta)
    }

    /// The pin by which the user's other pages know them, whatever became of the keys since: that of the session that is
    /// replaced, else that of another one which lives.
    async fn pin_of_user(&self, meta: &Meta, replaced: Option<&Meta>) -> String {
        if let Some(same) = replaced.filter(|replaced| replaced.is_same_user(meta)) {
            return same.pin(&self.ring);
        }
        let store = self.background.store();
        // A store that does not answer takes no new session either.
        let others = self.sessions.filed_under(store, &meta.issuer, &meta.subject).await.unwrap_or_default();
        for key in others.iter().take(OTHERS) {
            if let Some(other) = self.found_live(key).await.filter(|other| other.is_same_user(meta)) {
                return other.pin(&self.ring);
            }
        }
        meta.pin(&self.ring)
    }

    async fn open_session(
        self: &Arc<Self>,
        provider: &Provider,
        granted: (Grant, Option<DpopKey>),
        replaced: Option<&Meta>,
    ) -> Result<Session, StoreError> {
        let now = self.clock.now();
        let ends_at = now.plus(self.site.session.absolute);
        let ticket = Ticket::new(ends_at);
        let key = ticket.store_key(&self.site.origin);
        let mut record = record_of(provider, granted, now, ends_at);
        record.meta.pin = Some(self.pin_of_user(&record.meta, replaced).await);
        let meta = &record.meta;
        let mut indexes = vec![self.ring.subject_index(&meta.issuer, &meta.subject)];
        indexes.extend(meta.sid.as_ref().map(|sid| self.ring.sid_index(&meta.issuer, sid)));
        let entry =
            NewEntry { sealed: record.seal(&self.ring, &key, ticket.secret(), 1), expires_at: ends_at, indexes };
        let written = match self.background.store().insert(&key, entry).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(StoreError("a fresh random key is taken".into())),
            Err(error) => Err(error),
        };
        let user = self.ring.pin(&meta.issuer, &meta.subject);
        match &written {
            Ok(()) => tracing::info!(
                event = "login", site = %self.site.origin, session = %self.ring.log_name(&key), user, provider = meta.provider
            ),
            // Nobody can use these tokens any more: give them back, and let no record of them stay that was written after all.
            Err(_) => {
                self.revoke_later(&record);
                self.bury(key, ends_at);
            }
        }
        written?;
        // As of its token, which may be over by now if the user endpoint was slow.
        let life = judge(meta, self.limits(meta), meta.token_since).expect("a token that begins to live is not over");
        Ok(Session { ticket, key, version: 1, record: Arc::new(record), life, current_key: true })
    }
}

fn record_of(
    provider: &Provider,
    (grant, dpop_key): (Grant, Option<DpopKey>),
    now: Timestamp,
    ends_at: Timestamp,
) -> Record {
    let Grant { tokens, user } = grant;
    Record {
        meta: Meta {
            provider: provider.name().to_owned(),
            issuer: user.issuer().to_owned(),
            subject: user.subject().to_owned(),
            sid: user.sid().map(str::to_owned),
            created_at: now,
            ends_at,
            last_seen: now,
            token_since: tokens.since,
            token_until: tokens.until(),
            generation: 1,
            refreshable: tokens.refresh_token.is_some(),
            pin: None,
            newer: serde_json::Map::new(),
        },
        secrets: Secrets {
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            dpop_key,
            id_token: tokens.id_token,
            scope: tokens.scope,
            claims: user.claims().clone(),
            newer: serde_json::Map::new(),
        },
    }
}
