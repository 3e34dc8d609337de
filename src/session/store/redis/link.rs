//! From one runtime to all servers: finds the one to ask, and asks another when that is what the answer or the silence means.
//!
//! A request is sent a second time only when it cannot have been carried out the first time, or does no more when said
//! twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::{ErrorKind, FromRedisValue, RedisError, ServerErrorKind, Value};
use tokio::time::timeout_at;

use super::failure::{Cause, Failure};
use super::node::Node;
use super::request::Request;
use super::settings::Settings;
use super::slots::redirection;
use super::topology::Topology;
use crate::config::{RedisAddress, RedisServers};
use crate::session::store::StoreError;
use crate::telemetry::metrics;

/// How often one request is sent at most: a slot that moves twice, and a server that dies meanwhile.
const ATTEMPTS: usize = 4;

/// What finding the right server may take beyond the deadline of the request itself.
const LAST_WORD: Duration = Duration::from_millis(20);

/// The connections of one runtime.
pub(super) struct Link {
    pub(super) topology: Arc<Topology>,
    state: Mutex<State>,
}

struct State {
    /// What the connections were made with.
    settings: Arc<Settings>,
    nodes: HashMap<RedisAddress, Arc<Node>>,
}

/// Where a request goes next.
struct Next {
    address: RedisAddress,
    asking: bool,
}

impl Link {
    pub(super) fn new(topology: Arc<Topology>) -> Self {
        let state = State { settings: topology.settings(), nodes: HashMap::new() };
        Self { topology, state: Mutex::new(state) }
    }

    /// The answer to `request`, or why there is none, before `by` has passed by much.
    pub(super) async fn send<T: FromRedisValue>(&self, request: &Request, by: Instant) -> Result<T, StoreError> {
        let answer = timeout_at((by + LAST_WORD).into(), self.attempt(request, by)).await;
        let answer = answer.unwrap_or_else(|_| Err(self.error(None, &Cause::Silent)))?;
        T::from_redis_value(answer).map_err(|error| self.error(None, &Cause::Redis(RedisError::from(error))))
    }

    /// Every server that takes writes.
    pub(super) async fn primaries(&self, by: Instant) -> Result<Vec<RedisAddress>, StoreError> {
        let found = timeout_at((by + LAST_WORD).into(), self.topology.primaries(self, by)).await;
        let found = found.unwrap_or(Err(Failure::unsent(Cause::Silent)));
        found.map_err(|failure| self.error(None, &failure.cause))
    }

    /// The server at `address`, as seen from this runtime.
    pub(super) fn node(&self, address: &RedisAddress) -> Arc<Node> {
        let current = self.topology.settings();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&state.settings, &current) {
            // Requests that are under way end on the connections they have.
            *state = State { settings: current, nodes: HashMap::new() };
        }
        if let Some(node) = state.nodes.get(address) {
            return Arc::clone(node);
        }
        let sentinel = matches!(state.settings.config.servers, RedisServers::Sentinel { .. });
        let node = Arc::new(Node::new(state.settings.server(address), sentinel));
        state.nodes.insert(address.clone(), Arc::clone(&node));
        node
    }

    async fn attempt(&self, request: &Request, by: Instant) -> Result<Value, StoreError> {
        let mut asking = false;
        let mut address = self.locate(request, by).await?;
        for _ in 1..ATTEMPTS {
            let failure = match self.node(&address).call(request, asking, by).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            match self.after(request, &address, &failure, by).await {
                Some(next) => (address, asking) = (next.address, next.asking),
                None => return Err(self.error(Some(&address), &failure.cause)),
            }
        }
        let last = self.node(&address).call(request, asking, by).await;
        last.map_err(|failure| self.error(Some(&address), &failure.cause))
    }

    async fn locate(&self, request: &Request, by: Instant) -> Result<RedisAddress, StoreError> {
        let located = self.topology.locate(&request.place, self, by).await;
        located.map_err(|failure| self.error(None, &failure.cause))
    }

    /// What a failure says about the topology, and where the request can be sent instead.
    async fn after(&self, request: &Request, at: &RedisAddress, failure: &Failure, by: Instant) -> Option<Next> {
        let again = request.repeatable || !failure.perhaps_done;
        match failure.answer() {
            Some((ServerErrorKind::Moved, error)) => {
                let (slot, address) = redirected(error, at)?;
                self.topology.moved(slot, address.clone());
                return Some(Next { address, asking: false });
            }
            Some((ServerErrorKind::Ask, error)) => {
                return Some(Next { address: redirected(error, at)?.1, asking: true });
            }
            Some((ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::ClusterDown, _)) => {}
            Some(_) => return None,
            None if failure.is_unreachable() => {}
            None => return None,
        }
        let settings = self.topology.settings();
        if matches!(settings.config.servers, RedisServers::One(_)) {
            return (again && is_broken(failure)).then(|| Next { address: at.clone(), asking: false });
        }
        self.forget(at, failure);
        self.topology.doubt();
        // Whether it worked shows in what is known then.
        let _ = self.topology.renew(&settings, self, Some(at), by).await;
        let address = self.topology.locate(&request.place, self, by).await.ok()?;
        (again && (address != *at || is_broken(failure))).then_some(Next { address, asking: false })
    }

    /// What was a primary must prove again that it is one.
    fn forget(&self, address: &RedisAddress, failure: &Failure) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if failure.answer().is_some() && matches!(state.settings.config.servers, RedisServers::Sentinel { .. }) {
            state.nodes.remove(address);
        }
    }

    fn error(&self, address: Option<&RedisAddress>, cause: &Cause) -> StoreError {
        metrics::STORE_ERRORS.with([]).add(1);
        let settings = self.topology.settings();
        let why = cause.explain(&settings);
        match address {
            Some(address) => StoreError(format!("Redis at {address}: {why}")),
            None => StoreError(format!("Redis at {}: {why}", settings.config)),
        }
    }
}

/// A connection that was there and broke, while nothing says that the server is gone.
fn is_broken(failure: &Failure) -> bool {
    matches!(&failure.cause, Cause::Redis(error) if failure.perhaps_done && error.kind() == ErrorKind::Io)
}

fn redirected(error: &RedisError, by: &RedisAddress) -> Option<(u16, RedisAddress)> {
    let (address, slot) = error.redirect_node()?;
    Some((slot, redirection(address, by)?))
}
