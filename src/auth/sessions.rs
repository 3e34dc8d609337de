//! The sessions of one site as the site's keys alone show them: found, listed and ended without anybody's cookie.
//!
//! Nothing here opens a token, so nothing is revoked at the provider: ending another's session deletes its tokens.

mod revocation;
mod roster;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::revocation::Target;
pub use self::roster::{KeyCount, KeyReport, Listing, Roster, RosterError};

use crate::clock::Clock;
use crate::config::{Origin, SiteConfig};
use crate::session::keyring::{KeyId, Keyring};
use crate::session::lifecycle::{Limits, judge};
use crate::session::record::{Meta, key_id};
use crate::session::store::{EndReason, Ended, Loaded, Replaced, Store, StoreError, StoreKey, Stored};
use crate::telemetry::metrics;

/// The sessions of one site.
pub struct SiteSessions {
    origin: Origin,
    /// The name of the site in logs and metrics.
    name: String,
    issuers: Vec<String>,
    idle: Duration,
    ring: Arc<Keyring>,
    clock: Clock,
}

/// A live session, as an operator may see it. Times are seconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedSession {
    /// The site's origin.
    pub site: String,
    /// How logs call the session.
    pub session: String,
    /// `sub`
    pub subject: String,
    /// The configured name of the provider.
    pub provider: String,
    /// When the login was completed.
    pub created_at: u64,
    /// The last activity that was written.
    pub last_seen: u64,
    /// The absolute end.
    pub ends_at: u64,
    /// When the access token expires.
    pub token_until: u64,
    /// 1 at login, one more with each new access token.
    pub generation: u64,
    /// The id of the key that seals its record.
    pub key: String,
}

impl SiteSessions {
    pub(super) fn new(site: &SiteConfig, ring: Arc<Keyring>, clock: Clock) -> Self {
        let mut issuers: Vec<String> = site.providers.iter().map(|provider| provider.issuer.clone()).collect();
        issuers.sort();
        issuers.dedup();
        let (origin, name) = (site.origin.clone(), site.origin.to_string());
        Self { origin, name, issuers, idle: site.session.idle, ring, clock }
    }

    /// The keys of one user's sessions, whichever provider vouched for the user and whichever key was current then. Keys
    /// of sessions that are over may be among them.
    pub(super) async fn of_subject(&self, store: &dyn Store, subject: &str) -> Result<Vec<StoreKey>, StoreError> {
        filed(store, &self.subject_indexes(subject)).await
    }

    fn subject_indexes(&self, subject: &str) -> Vec<StoreKey> {
        self.issuers.iter().flat_map(|issuer| self.ring.subject_indexes(issuer, subject)).collect()
    }

    /// Ends all sessions of a user that one issuer vouched for; how many that were.
    ///
    /// # Errors
    /// [`StoreError`]: some may have ended, and asking again ends the others.
    pub async fn end_by_subject(&self, store: &dyn Store, issuer: &str, subject: &str) -> Result<u64, StoreError> {
        self.end_filed(store, &self.ring.subject_indexes(issuer, subject)).await
    }

    /// Ends the sessions that began with the provider's session `sid`; how many that were.
    ///
    /// # Errors
    /// [`StoreError`]: some may have ended, and asking again ends the others.
    pub async fn end_by_sid(&self, store: &dyn Store, issuer: &str, sid: &str) -> Result<u64, StoreError> {
        self.end_filed(store, &self.ring.sid_indexes(issuer, sid)).await
    }

    /// The keys of the sessions of a user that one issuer vouched for; some may be over.
    pub(super) async fn filed_under(
        &self,
        store: &dyn Store,
        issuer: &str,
        subject: &str,
    ) -> Result<Vec<StoreKey>, StoreError> {
        filed(store, &self.ring.subject_indexes(issuer, subject)).await
    }

    /// One that cannot be ended keeps none of the others alive.
    async fn end_filed(&self, store: &dyn Store, indexes: &[StoreKey]) -> Result<u64, StoreError> {
        let mut ended = Ok(0);
        for key in filed(store, indexes).await? {
            let one = self.end(store, &key, EndReason::Revoked).await;
            ended = ended.and_then(|count| Ok(count + u64::from(one?.is_now())));
        }
        ended
    }

    /// Ends one session, and counts it if it was live.
    pub(super) async fn end(&self, store: &dyn Store, key: &StoreKey, reason: EndReason) -> Result<Ended, StoreError> {
        let ended = store.end(key, reason).await?;
        if ended.is_now() {
            self.count_end(key, reason);
        }
        Ok(ended)
    }

    /// The same of one version only.
    pub(super) async fn end_version(
        &self,
        store: &dyn Store,
        key: &StoreKey,
        version: u64,
        reason: EndReason,
    ) -> Result<Replaced, StoreError> {
        let ended = store.end_version(key, version, reason).await?;
        if ended == Replaced::Done {
            self.count_end(key, reason);
        }
        Ok(ended)
    }

    fn count_end(&self, key: &StoreKey, reason: EndReason) {
        tracing::info!(
            event = "session_ended", site = self.name, session = %self.ring.log_name(key), reason = reason.as_str()
        );
        metrics::SESSIONS_ENDED.with([&self.name, reason.as_str()]).add(1);
    }

    /// What stands under `key`, if it is a live session of this site.
    async fn look_up(&self, store: &dyn Store, key: &StoreKey) -> Result<Option<ListedSession>, StoreError> {
        match store.load_now(key).await? {
            Loaded::Live(stored) => Ok(self.listed(key, &stored)),
            Loaded::Ended(_) | Loaded::Absent => Ok(None),
        }
    }

    /// The session as it is listed; `None` when it is another site's, does not open, or is over by the clock.
    fn listed(&self, key: &StoreKey, stored: &Stored) -> Option<ListedSession> {
        let id = key_id(stored)?;
        if !self.has_key(id) {
            return None;
        }
        let meta = Meta::open(&self.ring, key, stored).ok()?;
        judge(&meta, Limits { idle: self.idle, refresh_before: None }, self.clock.now()).ok()?;
        Some(ListedSession {
            site: self.name.clone(),
            session: self.ring.log_name(key),
            subject: meta.subject,
            provider: meta.provider,
            created_at: meta.created_at.as_secs(),
            last_seen: meta.last_seen.as_secs(),
            ends_at: meta.ends_at.as_secs(),
            token_until: meta.token_until.as_secs(),
            generation: meta.generation,
            key: id.to_string(),
        })
    }

    /// Whether this site's ring holds the key; ids differ from site to site even when the configured key does not.
    fn has_key(&self, id: KeyId) -> bool {
        self.ring.ids().any(|known| known == id)
    }
}

/// The keys filed under any of the indexes, each once.
async fn filed(store: &dyn Store, indexes: &[StoreKey]) -> Result<Vec<StoreKey>, StoreError> {
    let mut keys = Vec::new();
    for index in indexes {
        keys.extend(store.indexed(index).await?);
    }
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}
