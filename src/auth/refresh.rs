//! One refresh at a time for each session: the first request that finds the token due starts it, the others wait for it.
//!
//! The refresh is a task of its own. It reads the session again before it calls the provider, and writes what it gets
//! with compare-and-set: a write that came first is merged, an end that came first wins, and a store that is down is
//! waited for with the rotated token in memory, where every request of this process finds it meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::{Auth, CurrentError, Session, Why};
use crate::provider::{Refreshed, Tokens};
use crate::secret::AccessToken;
use crate::session::lifecycle::{TokenLife, token_still_valid};
use crate::session::record::Record;
use crate::session::store::{EndReason, Loaded, Replaced, StoreError, StoreKey};

/// How long a refresh that failed is not tried again, so that a dead provider is not hammered.
const COOL_DOWN: Duration = Duration::from_secs(2);

/// How long to wait between attempts to store a rotated token.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(1);

/// Why there is no token for a request.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The session is over.
    #[error("no session: {}", .0.as_str())]
    Ended(Why),
    /// The token is over, and the provider cannot give a new one now.
    #[error("the provider cannot be reached for a new token")]
    ProviderUnavailable,
    /// The token is over, and the store cannot say what is newest.
    #[error("the store cannot be asked for the session")]
    StoreUnavailable,
}

/// What a refresh came to, for everyone who waits for it.
#[derive(Clone, Debug)]
enum Outcome {
    Token(AccessToken),
    Ended(Why),
    ProviderUnavailable,
    StoreUnavailable,
}

type Waiting = watch::Receiver<Option<Outcome>>;

/// The refreshes under way in this process, by session.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<StoreKey, Flight>>);

struct Flight {
    /// The generation of the token that is being replaced.
    generation: u64,
    outcome: Waiting,
}

impl Flights {
    /// Joins the refresh of this token, or starts one; the second value is there for whoever has to do it.
    fn join(&self, key: StoreKey, generation: u64) -> (Waiting, Option<watch::Sender<Option<Outcome>>>) {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&key)
            && flight.generation >= generation
        {
            return (flight.outcome.clone(), None);
        }
        let (tell, outcome) = watch::channel(None);
        flights.insert(key, Flight { generation, outcome: outcome.clone() });
        (outcome, Some(tell))
    }

    fn leave(&self, key: &StoreKey, generation: u64) {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if flights.get(key).is_some_and(|flight| flight.generation == generation) {
            flights.remove(key);
        }
    }
}

/// Takes a refresh off the list when its task ends, however it ends.
struct Landing {
    auth: Arc<Auth>,
    key: StoreKey,
    generation: u64,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.auth.flights.leave(&self.key, self.generation);
    }
}

impl Auth {
    /// The access token for a request: the session's own while it is good, else the one a refresh gives.
    ///
    /// # Errors
    /// [`TokenError`] when there is none; the session itself is over only with [`TokenError::Ended`].
    pub async fn access_token(self: &Arc<Self>, session: &Session) -> Result<AccessToken, TokenError> {
        let own = &session.record.secrets.access_token;
        let waiting = match session.life.token {
            TokenLife::Fresh => return Ok(own.clone()),
            TokenLife::Early => {
                let early = self.refresh(session).borrow().clone();
                return Ok(if let Some(Outcome::Token(newer)) = early { newer } else { own.clone() });
            }
            TokenLife::Due => self.refresh(session),
        };
        let failed = match settled(waiting).await {
            Outcome::Token(token) => return Ok(token),
            Outcome::Ended(why) => return Err(TokenError::Ended(why)),
            Outcome::ProviderUnavailable => TokenError::ProviderUnavailable,
            Outcome::StoreUnavailable => TokenError::StoreUnavailable,
        };
        if token_still_valid(&session.record.meta, self.clock.now()) { Ok(own.clone()) } else { Err(failed) }
    }

    fn refresh(self: &Arc<Self>, session: &Session) -> Waiting {
        let generation = session.record.meta.generation;
        let (waiting, tell) = self.flights.join(session.key, generation);
        if let Some(tell) = tell {
            let landing = Landing { auth: Arc::clone(self), key: session.key, generation };
            let ticket = session.ticket.clone();
            let auth = Arc::clone(self);
            self.background.spawn(async move {
                let _landing = landing;
                let stored = auth.background.store().load(&ticket.store_key(&auth.site.origin)).await;
                match auth.newest(ticket, stored) {
                    Err(outcome) => settle(&tell, outcome).await,
                    Ok(newest) if newest.record.meta.generation > generation => {
                        settle(&tell, Outcome::Token(newest.record.secrets.access_token)).await;
                    }
                    Ok(newest) => auth.call_provider(newest, &tell).await,
                }
            });
        }
        waiting
    }

    fn newest(
        self: &Arc<Self>,
        ticket: crate::session::ticket::Ticket,
        loaded: Result<Loaded, StoreError>,
    ) -> Result<Session, Outcome> {
        let key = ticket.store_key(&self.site.origin);
        match loaded {
            Ok(Loaded::Live(stored)) => self.judged(ticket, key, &stored).map_err(|error| match error {
                CurrentError::Absent(why) => Outcome::Ended(why),
                CurrentError::Store(_) => Outcome::StoreUnavailable,
            }),
            Ok(Loaded::Ended(reason)) => Err(Outcome::Ended(Why::Ended(reason))),
            Ok(Loaded::Absent) => Err(Outcome::Ended(Why::NoSession)),
            Err(error) => {
                tracing::warn!(event = "refresh_postponed", session = %self.ring.log_name(&key), %error);
                Err(Outcome::StoreUnavailable)
            }
        }
    }

    async fn call_provider(self: &Arc<Self>, session: Session, tell: &watch::Sender<Option<Outcome>>) {
        let meta = &session.record.meta;
        let name = self.ring.log_name(&session.key);
        let (Some(provider), Some(refresh_token)) =
            (self.provider_of(&meta.provider, &meta.issuer), session.record.secrets.refresh_token.as_ref())
        else {
            tracing::error!(event = "refresh_impossible", session = name, provider = meta.provider);
            return settle(tell, Outcome::ProviderUnavailable).await;
        };
        match provider.refresh(refresh_token, &meta.subject).await {
            Refreshed::Tokens(tokens) => self.keep(session, tokens, tell).await,
            Refreshed::Rejected(reason) => {
                tracing::info!(event = "refresh_rejected", session = name, provider = meta.provider, reason);
                self.end_surely(session.key, EndReason::RefreshRejected, meta.ends_at).await;
                settle(tell, Outcome::Ended(Why::Ended(EndReason::RefreshRejected))).await;
            }
            Refreshed::Unavailable(reason) => {
                tracing::warn!(event = "refresh_unavailable", session = name, provider = meta.provider, reason);
                settle(tell, Outcome::ProviderUnavailable).await;
            }
            Refreshed::Misconfigured(reason) => {
                tracing::error!(event = "refresh_misconfigured", session = name, provider = meta.provider, reason);
                settle(tell, Outcome::ProviderUnavailable).await;
            }
        }
    }

    /// Stores what the provider gave, whatever happens to the record meanwhile.
    async fn keep(self: &Arc<Self>, mut session: Session, tokens: Tokens, tell: &watch::Sender<Option<Outcome>>) {
        let token = tokens.access_token.clone();
        let name = self.ring.log_name(&session.key);
        let mut pause = RETRY_FIRST;
        while self.clock.now() < session.record.meta.ends_at {
            let record = self.renewed(&session.record, &tokens);
            let sealed = record.seal(&self.ring, &session.key, session.ticket.secret(), session.version + 1);
            match self.background.store().replace(&session.key, session.version, sealed).await {
                Ok(Replaced::Done) => {
                    tracing::info!(event = "refreshed", session = name, generation = record.meta.generation);
                    tell.send_replace(Some(Outcome::Token(token)));
                    return;
                }
                // An end that came first wins; the new token is of use to nobody.
                Ok(Replaced::Gone(reason)) => {
                    self.revoke_later(&record);
                    return settle(tell, Outcome::Ended(reason.map_or(Why::NoSession, Why::Ended))).await;
                }
                Ok(Replaced::Conflict) => {
                    match self.newest(session.ticket.clone(), self.background.store().load(&session.key).await) {
                        Ok(newest) => session = newest,
                        Err(Outcome::StoreUnavailable) => {}
                        Err(outcome) => {
                            self.revoke_later(&record);
                            return settle(tell, outcome).await;
                        }
                    }
                    continue;
                }
                Err(error) => tracing::warn!(event = "rotated_token_waits", session = name, %error),
            }
            tell.send_replace(Some(Outcome::Token(token.clone())));
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(RETRY_LAST);
        }
    }

    /// The record with new tokens; what the provider left out stays as it was.
    fn renewed(&self, record: &Record, tokens: &Tokens) -> Record {
        let mut record = record.clone();
        let now = self.clock.now();
        record.secrets.access_token = tokens.access_token.clone();
        if tokens.refresh_token.is_some() {
            record.secrets.refresh_token.clone_from(&tokens.refresh_token);
        }
        if tokens.id_token.is_some() {
            record.secrets.id_token.clone_from(&tokens.id_token);
        }
        record.meta.token_since = now;
        record.meta.token_until = now.plus(tokens.expires_in);
        record.meta.generation += 1;
        record
    }
}

/// Tells everyone, and keeps an outcome that is no token for a while, so that it is not asked for again at once.
async fn settle(tell: &watch::Sender<Option<Outcome>>, outcome: Outcome) {
    let remembered = !matches!(outcome, Outcome::Token(_));
    tell.send_replace(Some(outcome));
    if remembered {
        tokio::time::sleep(COOL_DOWN).await;
    }
}

async fn settled(mut waiting: Waiting) -> Outcome {
    match waiting.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or(Outcome::ProviderUnavailable),
        // The task broke off: nothing is known, as if the provider had not answered.
        Err(_) => Outcome::ProviderUnavailable,
    }
}
