//! Sessions ended by an operator: one user's, one, or all; at one site or at all.

use super::SiteSessions;
use super::roster::{Roster, RosterError, next_page};
use crate::session::record::key_id;
use crate::session::store::{Cursor, EndReason, Ended, Store, StoreError, StoreKey};
use crate::telemetry::metrics;

/// What is to be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Every session of the user that a provider calls this.
    Subject(String),
    /// Every session.
    All,
    /// The one session that logs call this.
    Session(String),
}

impl Target {
    /// The word in the log.
    const fn word(&self) -> &'static str {
        match self {
            Self::Subject(_) => "subject",
            Self::All => "all",
            Self::Session(_) => "session",
        }
    }

    /// The users in the log: by their pins, never by name.
    fn user(&self, site: &SiteSessions) -> Option<String> {
        let Self::Subject(subject) = self else { return None };
        let pins: Vec<String> = site.issuers.iter().map(|issuer| site.ring.pin(issuer, subject)).collect();
        Some(pins.join(" "))
    }
}

impl Roster {
    /// Ends live sessions as revoked; how many that were. `by` says in the log who wanted it.
    ///
    /// # Errors
    /// [`RosterError`]: some may have ended, and asking again ends the others.
    pub async fn revoke(
        &self,
        store: &dyn Store,
        site: Option<&str>,
        target: &Target,
        by: &'static str,
    ) -> Result<u64, RosterError> {
        let mut total = 0;
        for site in self.chosen(site)? {
            let outcome = site.revoke(store, target).await;
            let (ended, what, user) = (outcome.ended, target.word(), target.user(site));
            total += ended;
            metrics::LOGOUTS.with([&site.name, "admin"]).add(ended);
            match outcome.broke_off {
                None => tracing::info!(event = "sessions_revoked", site = site.name, by, what, user, ended),
                Some(error) => {
                    tracing::warn!(event = "revocation_broke_off", site = site.name, by, what, user, ended, %error);
                    return Err(error.into());
                }
            }
        }
        Ok(total)
    }
}

/// What a revocation came to, even if it broke off.
struct Outcome {
    ended: u64,
    broke_off: Option<StoreError>,
}

impl SiteSessions {
    async fn revoke(&self, store: &dyn Store, target: &Target) -> Outcome {
        let mut ended = 0;
        let done = match target {
            Target::Subject(subject) => self.revoke_subject(store, subject, &mut ended).await,
            Target::All => self.revoke_scanned(store, |_| true, &mut ended).await,
            Target::Session(name) => {
                self.revoke_scanned(store, |key| self.ring.is_log_name_of(name, key), &mut ended).await
            }
        };
        Outcome { ended, broke_off: done.err() }
    }

    async fn revoke_subject(&self, store: &dyn Store, subject: &str, ended: &mut u64) -> Result<(), StoreError> {
        for key in self.of_subject(store, subject).await? {
            let live = self.look_up(store, &key).await?.is_some();
            *ended += u64::from(self.end(store, &key, EndReason::Revoked).await? == Ended::Now && live);
        }
        Ok(())
    }

    /// Ends what bears one of this site's keys, whether it opens or not; only what was live counts.
    async fn revoke_scanned(
        &self,
        store: &dyn Store,
        meant: impl Fn(&StoreKey) -> bool,
        ended: &mut u64,
    ) -> Result<(), StoreError> {
        let mut from = Cursor::default();
        loop {
            let page = next_page(store, &from).await?;
            for (key, stored) in &page.sessions {
                if key_id(stored).is_some_and(|id| self.has_key(id)) && meant(key) {
                    let live = self.listed(key, stored).is_some();
                    *ended += u64::from(self.end(store, key, EndReason::Revoked).await? == Ended::Now && live);
                }
            }
            match page.next {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }
}
