//! Sessions ended by an operator: one user's, one, or all; at one site or at all.

use super::SiteSessions;
use super::roster::{Roster, RosterError, next_page};
use crate::session::record::key_id;
use crate::session::store::{Cursor, EndReason, Store, StoreError, StoreKey};
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
    /// One that cannot be ended, and a server that does not answer, keep none of the others alive.
    ///
    /// # Errors
    /// [`RosterError`]: with [`RosterError::Partly`] asking again ends the others.
    pub async fn revoke(
        &self,
        store: &dyn Store,
        site: Option<&str>,
        target: &Target,
        by: &'static str,
    ) -> Result<u64, RosterError> {
        let mut total = 0;
        let mut failures: Vec<String> = Vec::new();
        for site in self.chosen(site)? {
            let outcome = site.revoke(store, target).await;
            let (ended, what, user) = (outcome.ended, target.word(), target.user(site));
            total += ended;
            metrics::LOGOUTS.with([&site.name, "admin"]).add(ended);
            if outcome.failures.is_empty() {
                tracing::info!(event = "sessions_revoked", site = site.name, by, what, user, ended);
            } else {
                let errors = outcome.failures.join("; ");
                tracing::warn!(event = "sessions_partly_revoked", site = site.name, by, what, user, ended, errors);
            }
            failures.extend(outcome.failures);
        }
        failures.sort();
        failures.dedup();
        if failures.is_empty() { Ok(total) } else { Err(RosterError::Partly { ended: total, failures }) }
    }
}

/// What a revocation came to, and what stood in its way, each once.
#[derive(Default)]
struct Outcome {
    ended: u64,
    failures: Vec<String>,
}

impl Outcome {
    /// The value, or a note of why there is none.
    fn noted<T>(&mut self, answer: Result<T, StoreError>) -> Option<T> {
        answer
            .map_err(|StoreError(why)| {
                if !self.failures.contains(&why) {
                    self.failures.push(why);
                }
            })
            .ok()
    }
}

impl SiteSessions {
    async fn revoke(&self, store: &dyn Store, target: &Target) -> Outcome {
        match target {
            Target::Subject(subject) => self.revoke_subject(store, subject).await,
            Target::All => self.revoke_scanned(store, |_| true).await,
            Target::Session(name) => self.revoke_scanned(store, |key| self.ring.is_log_name_of(name, key)).await,
        }
    }

    async fn revoke_subject(&self, store: &dyn Store, subject: &str) -> Outcome {
        let mut outcome = Outcome::default();
        let mut keys = Vec::new();
        for index in self.subject_indexes(subject) {
            keys.extend(outcome.noted(store.indexed(&index).await).unwrap_or_default());
        }
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let live = outcome.noted(self.look_up(store, &key).await).flatten().is_some();
            self.revoke_one(store, &key, live, &mut outcome).await;
        }
        outcome
    }

    /// Ends what bears one of this site's keys, whether it opens or not; only what was live counts.
    async fn revoke_scanned(&self, store: &dyn Store, meant: impl Fn(&StoreKey) -> bool) -> Outcome {
        let mut outcome = Outcome::default();
        let mut from = Some(Cursor::default());
        while let Some(here) = from {
            let Some(page) = outcome.noted(next_page(store, &here).await) else {
                from = outcome.noted(store.skip(&here).await).flatten();
                continue;
            };
            for (key, stored) in &page.sessions {
                if key_id(stored).is_some_and(|id| self.has_key(id)) && meant(key) {
                    let live = self.listed(key, stored).is_some();
                    self.revoke_one(store, key, live, &mut outcome).await;
                }
            }
            from = page.next;
        }
        outcome
    }

    async fn revoke_one(&self, store: &dyn Store, key: &StoreKey, live: bool, outcome: &mut Outcome) {
        let ended = outcome.noted(self.end(store, key, EndReason::Revoked).await);
        outcome.ended += u64::from(live && ended.is_some_and(|ended| ended.is_now()));
    }
}
