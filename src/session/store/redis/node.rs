//! One server: a connection made by the first request, never waited for long, and made anew when it broke or went silent.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::time::timeout_at;

use super::failure::{Cause, Failure};
use super::request::Request;
use super::silence::Silence;

/// For connecting, and for each answer.
pub(super) const PATIENCE: Duration = Duration::from_millis(250);

/// A server and our connection to it.
pub(super) struct Node {
    client: Result<Client, String>,
    /// Whether it must say that it is the primary before anything else is said to it.
    primary: bool,
    state: Mutex<State>,
    /// Whoever has this makes the connection; the others wait for it.
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    live: Option<Live>,
    silence: Silence,
    /// The last vain attempt to connect: those who waited for it need not try again.
    vain: Option<(Instant, Failure)>,
}

#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    broken: Arc<AtomicBool>,
}

impl Node {
    pub(super) fn new(client: Result<Client, String>, primary: bool) -> Self {
        Self { client, primary, state: Mutex::default(), connecting: tokio::sync::Mutex::default() }
    }

    /// Says `request` to this server. After `by` nobody waits for the answer any more.
    pub(super) async fn call(&self, request: &Request, asking: bool, by: Instant) -> Result<Value, Failure> {
        let started = Instant::now();
        if !self.lock().silence.admits(started) {
            return Err(Failure::unsent(Cause::GivenUp));
        }
        let outcome = timeout_at(by.into(), self.exchange(request, asking)).await;
        let outcome = outcome.unwrap_or(Err(Failure { perhaps_done: true, cause: Cause::Silent }));
        let mut state = self.lock();
        match &outcome {
            Err(Failure { cause: Cause::Silent, .. }) => {
                if state.silence.waited(started, Instant::now()) {
                    state.live = None;
                }
            }
            _ => state.silence.answered(),
        }
        drop(state);
        outcome
    }

    async fn exchange(&self, request: &Request, asking: bool) -> Result<Value, Failure> {
        let live = self.live().await?;
        let outcome = say(live.connection.clone(), request, asking).await;
        if outcome.as_ref().is_err_and(|error| error.is_io_error() && !error.is_timeout()) {
            live.broken.store(true, Ordering::Relaxed);
        }
        outcome.map_err(Failure::sent)
    }

    async fn live(&self) -> Result<Live, Failure> {
        if let Some(live) = self.held() {
            return Ok(live);
        }
        let asked = Instant::now();
        let _turn = self.connecting.lock().await;
        if let Some(live) = self.held() {
            return Ok(live);
        }
        let vain = self.lock().vain.clone();
        if let Some((_, failure)) = vain.filter(|(when, _)| *when >= asked) {
            return Err(failure);
        }
        let made = self.connect().await.map_err(Failure::unsent);
        let mut state = self.lock();
        match &made {
            Ok(live) => state.live = Some(live.clone()),
            Err(failure) => state.vain = Some((Instant::now(), failure.clone())),
        }
        drop(state);
        made
    }

    fn held(&self) -> Option<Live> {
        self.lock().live.clone().filter(|live| !live.broken.load(Ordering::Relaxed))
    }

    async fn connect(&self) -> Result<Live, Cause> {
        let client = self.client.as_ref().map_err(|why| Cause::Forbidden(why.clone()))?;
        let broken = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&broken);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    flag.store(true, Ordering::Relaxed);
                }
                Ok::<(), std::convert::Infallible>(())
            });
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connection.await.map_err(Cause::of)?;
        if self.primary {
            let role: Vec<Value> = redis::cmd("ROLE").query_async(&mut connection).await.map_err(Cause::of)?;
            let is_primary = role.first().is_some_and(|word| {
                matches!(word, Value::BulkString(word) if word == b"master")
                    || *word == Value::SimpleString("master".to_owned())
            });
            if !is_primary {
                return Err(Cause::Replica);
            }
        }
        Ok(Live { connection, broken })
    }

    /// A panic elsewhere cannot leave this half written.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn say(mut connection: MultiplexedConnection, request: &Request, asking: bool) -> RedisResult<Value> {
    let outcome = once(&mut connection, request, asking).await;
    let unknown = |error: &RedisError| error.kind() == ServerErrorKind::NoScript.into();
    match (&outcome, request.script) {
        (Err(error), Some(script)) if unknown(error) => {
            redis::cmd("SCRIPT").arg("LOAD").arg(script.source).query_async::<()>(&mut connection).await?;
            once(&mut connection, request, asking).await
        }
        _ => outcome,
    }
}

async fn once(connection: &mut MultiplexedConnection, request: &Request, asking: bool) -> RedisResult<Value> {
    if !asking {
        return request.command.query_async(connection).await;
    }
    // A slot that is moving: the new owner answers for one command, if it is told that we know.
    let mut pipeline = redis::pipe();
    pipeline.cmd("ASKING").ignore().add_command(request.command.clone());
    let (answer,) = pipeline.query_async::<(Value,)>(connection).await?;
    Ok(answer)
}
