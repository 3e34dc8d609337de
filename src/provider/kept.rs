//! Something fetched from the provider and kept: one fetch at a time for everybody, renewed while the old one is still
//! used, and a failure remembered for a moment, so that a dead provider is not hammered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Gate, OwnedMutexGuard};
use tokio::task::JoinHandle;

use super::{ProviderStatus, Unavailable};
use crate::clock::{Clock, Timestamp};

/// How old a value gets before it is fetched again, behind the back of those who go on using it.
pub(super) const FRESH: Duration = Duration::from_secs(60 * 60);
/// The wait after a first failure; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long an answer is everybody's: many ask at once when a provider goes down.
const MOMENT: Duration = Duration::from_secs(1);
/// The shortest time between two renewals that a stranger's token can cause (requirement TV-16).
pub(super) const COOL_DOWN: Duration = Duration::from_secs(10);

/// Who brought the token that asks for something newer. Each has a cool-down of its own, so that a flood of forged logout
/// tokens does not keep logins from finding a key that the provider began to use just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// The provider itself, in an answer to this gateway.
    Answer,
    /// A browser with a login under way.
    Browser,
    /// Anybody.
    Stranger,
}

/// A value that is fetched when first needed. Clones share it.
pub(super) struct Kept<T> {
    what: Arc<str>,
    clock: Clock,
    state: Arc<Mutex<State<T>>>,
    /// Held by whoever fetches, for as long as the fetch runs.
    gate: Arc<Gate<()>>,
}

struct State<T> {
    value: Option<(Arc<T>, Timestamp)>,
    failure: Option<Failure>,
    /// How many fetches have ended, and when the last one did.
    landed: (u64, Option<Timestamp>),
    /// The last renewal on each [`Occasion`].
    forced: [Option<Timestamp>; 3],
}

struct Failure {
    reason: String,
    at: Timestamp,
    wait: Duration,
}

enum Look<T> {
    Fresh(Arc<T>),
    Ageing(Arc<T>),
    Failed(Unavailable),
    Missing,
}

impl<T: Send + Sync + 'static> Kept<T> {
    /// Nothing yet; `what` names it in the log.
    pub(super) fn new(what: &str, clock: Clock) -> Self {
        let state = State { value: None, failure: None, landed: (0, None), forced: [None; 3] };
        Self { what: what.into(), clock, state: Arc::new(Mutex::new(state)), gate: Arc::default() }
    }

    /// The value; `fetch` is polled only if it is needed. An ageing value is returned at once and renewed meanwhile.
    pub(super) async fn get<F>(&self, fetch: F) -> Result<Arc<T>, Unavailable>
    where
        F: Future<Output = Result<T, Unavailable>> + Send + 'static,
    {
        match self.look() {
            Look::Fresh(value) => return Ok(value),
            Look::Failed(failure) => return Err(failure),
            Look::Ageing(value) => {
                if let Ok(gate) = Arc::clone(&self.gate).try_lock_owned() {
                    drop(self.launch(gate, fetch));
                }
                return Ok(value);
            }
            Look::Missing => {}
        }
        let gate = Arc::clone(&self.gate).lock_owned().await;
        // Whoever held the gate before may have fetched what this caller wants.
        match self.look() {
            Look::Fresh(value) | Look::Ageing(value) => Ok(value),
            Look::Failed(failure) => Err(failure),
            Look::Missing => landed(self.launch(gate, fetch)).await,
        }
    }

    /// Something newer than `seen`, which did not serve: at most one fetch per cool-down and occasion, else `seen` again.
    pub(super) async fn renew<F>(&self, seen: &Arc<T>, occasion: Occasion, fetch: F) -> Result<Arc<T>, Unavailable>
    where
        F: Future<Output = Result<T, Unavailable>> + Send + 'static,
    {
        let gate = Arc::clone(&self.gate).lock_owned().await;
        let now = self.clock.now();
        {
            let mut state = self.state();
            if let Some((value, _)) = &state.value
                && !Arc::ptr_eq(value, seen)
            {
                return Ok(Arc::clone(value));
            }
            if let Some(failure) = state.failure_in_force(now) {
                return Err(failure);
            }
            let forced = &mut state.forced[occasion as usize];
            if forced.is_some_and(|at| within(now, at, COOL_DOWN)) {
                return Ok(Arc::clone(seen));
            }
            *forced = Some(now);
        }
        landed(self.launch(gate, fetch)).await
    }

    /// Fetches again whatever is at hand, which stays if there is no answer. Whoever asks while a fetch is under way gets
    /// what that comes to, and so does whoever asks within [`MOMENT`] of it.
    pub(super) async fn ask<F>(&self, fetch: F) -> Result<Arc<T>, Unavailable>
    where
        F: Future<Output = Result<T, Unavailable>> + Send + 'static,
    {
        let (before, _) = self.state().landed;
        let gate = Arc::clone(&self.gate).lock_owned().await;
        let known = self.state().outcome_since(before, self.clock.now());
        match known {
            Some(outcome) => outcome,
            None => landed(self.launch(gate, fetch)).await,
        }
    }

    /// How the last fetch went.
    pub(super) fn status(&self) -> ProviderStatus {
        let state = self.state();
        match (&state.failure, &state.value) {
            (Some(failure), _) => ProviderStatus::Down(failure.reason.clone()),
            (None, Some(_)) => ProviderStatus::Ready,
            (None, None) => ProviderStatus::Unknown,
        }
    }

    fn look(&self) -> Look<T> {
        let now = self.clock.now();
        let state = self.state();
        let failure = state.failure_in_force(now);
        match (&state.value, failure) {
            (Some((value, at)), _) if within(now, *at, FRESH) => Look::Fresh(Arc::clone(value)),
            (Some((value, _)), Some(_)) => Look::Fresh(Arc::clone(value)),
            (Some((value, _)), None) => Look::Ageing(Arc::clone(value)),
            (None, Some(failure)) => Look::Failed(failure),
            (None, None) => Look::Missing,
        }
    }

    /// Fetches in a task of its own: a caller who goes away neither stops it nor makes the next one start afresh.
    fn launch<F>(&self, gate: OwnedMutexGuard<()>, fetch: F) -> JoinHandle<Result<Arc<T>, Unavailable>>
    where
        F: Future<Output = Result<T, Unavailable>> + Send + 'static,
    {
        let kept = self.clone();
        tokio::spawn(async move {
            let _gate = gate;
            let result = fetch.await.map(Arc::new);
            kept.land(&result);
            result
        })
    }

    fn land(&self, result: &Result<Arc<T>, Unavailable>) {
        let now = self.clock.now();
        let mut state = self.state();
        state.landed = (state.landed.0 + 1, Some(now));
        match result {
            Ok(value) => {
                state.value = Some((Arc::clone(value), now));
                state.failure = None;
            }
            Err(Unavailable(reason)) => {
                // Whoever needed it says so as a warning.
                tracing::debug!(event = "fetch_failed", what = &*self.what, reason);
                let wait = state.failure.as_ref().map_or(FIRST_WAIT, |last| (last.wait * 2).min(LONGEST_WAIT));
                state.failure = Some(Failure { reason: reason.clone(), at: now, wait });
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while it is held; if something ever does, the state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self {
            what: Arc::clone(&self.what),
            clock: self.clock.clone(),
            state: Arc::clone(&self.state),
            gate: Arc::clone(&self.gate),
        }
    }
}

impl<T> State<T> {
    /// What the last fetch came to, if it is not among the first `before`, or ended a moment ago.
    fn outcome_since(&self, before: u64, now: Timestamp) -> Option<Result<Arc<T>, Unavailable>> {
        let (count, at) = self.landed;
        if count == before && !at.is_some_and(|at| within(now, at, MOMENT)) {
            return None;
        }
        match &self.failure {
            Some(last) => Some(Err(Unavailable(last.reason.clone()))),
            None => self.value.as_ref().map(|(value, _)| Ok(Arc::clone(value))),
        }
    }

    fn failure_in_force(&self, now: Timestamp) -> Option<Unavailable> {
        self.failure
            .as_ref()
            .filter(|last| within(now, last.at, last.wait))
            .map(|last| Unavailable(last.reason.clone()))
    }
}

async fn landed<T>(flight: JoinHandle<Result<T, Unavailable>>) -> Result<T, Unavailable> {
    flight.await.unwrap_or_else(|_| Err(Unavailable("the process is shutting down".to_owned())))
}

/// Whether `now` is less than `span` after `at`; a clock that was set back counts as later, so that nothing sticks.
fn within(now: Timestamp, at: Timestamp, span: Duration) -> bool {
    now >= at && now.since(at) < span
}
