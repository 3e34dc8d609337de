//! One refresh at a time for each session, over any number of threads, workers and replicas.
//!
//! In this process the first request that finds the token due starts a flight, a task of its own; the others wait for
//! its outcome. Over all processes the flight that holds the session's lease in the store calls the provider; the other
//! flights wait for the record to change. `flight` is that task; this file is what a request sees of it.
//!
//! A flight keeps its call open for as long as the provider may take, and a request waits for it no longer than a browser
//! would: the next one joins the same flight.

mod ask;
mod flight;
mod keep;
mod reject;
mod vigil;

pub(super) use self::ask::LONGEST_CALL;
pub(super) use self::keep::renewed;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::{Auth, Session, Why};
use crate::clock::Timestamp;
use crate::secret::AccessToken;
use crate::session::lifecycle::{TokenLife, token_still_valid};
use crate::session::store::StoreKey;

/// How long a refresh that failed is not tried again, by this process or any other, so that a dead provider is not
/// hammered.
const COOL_DOWN: Duration = Duration::from_secs(2);

/// How long a request waits for a refresh in all, unless one call to the provider may take longer.
const WAIT: Duration = Duration::from_secs(25);

/// Why there is no token for a request.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The session is over.
    #[error("no session: {}", .0.as_str())]
    Ended(Why),
    /// The token is over, and the provider cannot give a new one now; when it may be able to.
    #[error("the provider cannot be asked for a new token")]
    ProviderUnavailable(Duration),
    /// The token is over, and the store cannot say what is newest.
    #[error("the store cannot be asked for the session")]
    StoreUnavailable,
}

/// What a refresh came to, for everyone who waits for it.
#[derive(Clone, Debug)]
enum Outcome {
    Token(AccessToken),
    /// One that waits for the store, and is good until then.
    Unstored(AccessToken, Timestamp),
    Ended(Why),
    /// For this time.
    ProviderUnavailable(Duration),
    StoreUnavailable,
}

type Waiting = watch::Receiver<Option<Outcome>>;
type Tell = watch::Sender<Option<Outcome>>;

/// The refreshes under way in this process, by session.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<StoreKey, Entry>>);

struct Entry {
    /// The generation of the token that is being replaced.
    generation: u64,
    outcome: Waiting,
}

impl Outcome {
    /// The token, as long as it is good.
    fn token(&self, now: Timestamp) -> Option<&AccessToken> {
        match self {
            Self::Token(token) => Some(token),
            Self::Unstored(token, until) => (*until > now).then_some(token),
            Self::Ended(_) | Self::ProviderUnavailable(_) | Self::StoreUnavailable => None,
        }
    }
}

impl Flights {
    /// Joins the refresh of this token, or starts one; the second value is there for whoever has to do it.
    fn join(&self, key: StoreKey, generation: u64) -> (Waiting, Option<Tell>) {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&key)
            && flight.generation >= generation
        {
            return (flight.outcome.clone(), None);
        }
        let (tell, outcome) = watch::channel(None);
        flights.insert(key, Entry { generation, outcome: outcome.clone() });
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
    /// The access token for a request: the session's own while it is good, else the one a refresh gives in time.
    ///
    /// # Errors
    /// [`TokenError`] when there is none; the session itself is over only with [`TokenError::Ended`].
    pub async fn access_token<'s>(self: &Arc<Self>, session: &'s Session) -> Result<Cow<'s, AccessToken>, TokenError> {
        let own = Cow::Borrowed(session.own_token());
        let waiting = match session.life.token {
            TokenLife::Fresh => return Ok(own),
            TokenLife::Early => {
                let early = self.refresh(session).borrow().clone();
                let newer = early.as_ref().and_then(|outcome| outcome.token(self.clock.now()));
                return Ok(newer.map_or(own, |newer| Cow::Owned(newer.clone())));
            }
            TokenLife::Due => self.refresh(session),
        };
        let meta = &session.record.meta;
        let wait = self.provider_config(meta).map_or(WAIT, |provider| provider.timeout.max(WAIT));
        let outcome = tokio::time::timeout(wait, settled(waiting)).await;
        let outcome = outcome.unwrap_or(Outcome::ProviderUnavailable(COOL_DOWN));
        if let Some(newer) = outcome.token(self.clock.now()) {
            return Ok(Cow::Owned(newer.clone()));
        }
        let failed = match outcome {
            Outcome::Ended(why) => return Err(TokenError::Ended(why)),
            Outcome::ProviderUnavailable(time) => TokenError::ProviderUnavailable(time),
            Outcome::Token(_) | Outcome::Unstored(..) | Outcome::StoreUnavailable => TokenError::StoreUnavailable,
        };
        if token_still_valid(meta, self.clock.now()) { Ok(own) } else { Err(failed) }
    }

    fn refresh(self: &Arc<Self>, session: &Session) -> Waiting {
        let generation = session.record.meta.generation;
        let (waiting, tell) = self.flights.join(session.key, generation);
        if let Some(tell) = tell {
            let landing = Landing { auth: Arc::clone(self), key: session.key, generation };
            let flight = flight::Flight::new(Arc::clone(self), session, tell);
            self.background.spawn(async move {
                let _landing = landing;
                flight.fly().await;
            });
        }
        waiting
    }
}

async fn settled(mut waiting: Waiting) -> Outcome {
    match waiting.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or(Outcome::ProviderUnavailable(COOL_DOWN)),
        // The task broke off: nothing is known, as if the provider had not answered.
        Err(_) => Outcome::ProviderUnavailable(COOL_DOWN),
    }
}
