//! The connection to Redis: made by the first command, never waited for long, and rebuilt when it has gone silent.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::{Client, ClientTlsConfig, ErrorKind, IntoConnectionInfo as _, ProtocolVersion, RedisError, RedisResult};
use redis::{ServerErrorKind, TlsCertificates};
use tokio::time::timeout;

use super::silence::Silence;
use crate::config::{RedisConfig, TlsFiles};
use crate::session::store::StoreError;
use crate::telemetry::metrics;

/// For connecting, and for each answer. The default of the library would be 9.4 s while the server is down.
const PATIENCE: Duration = Duration::from_millis(250);

/// What one operation may take, connecting and every step included.
const BUDGET: Duration = Duration::from_millis(450);

/// A peer that vanished without a word is noticed by the kernel after this.
const USER_TIMEOUT: Duration = Duration::from_secs(5);

/// An idle connection is probed, so that firewalls do not forget it.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// A lazily made connection that bounds what a command can cost.
pub(super) struct Link {
    client: Client,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<ConnectionManager>,
    silence: Silence,
}

impl Link {
    pub(super) fn new(client: Client) -> Self {
        Self { client, state: Mutex::default() }
    }

    /// Runs `work` on the connection. It runs a second time when no connection could be made, which proves that the
    /// first was never sent: a server that has just come back answers the first command.
    pub(super) async fn run<T, W, F>(&self, work: W) -> Result<T, StoreError>
    where
        W: Fn(ConnectionManager) -> F,
        F: Future<Output = RedisResult<T>>,
    {
        let started = Instant::now();
        let connection = self.connection(started)?;
        let attempts = async {
            match work(connection.clone()).await {
                Err(error) if error.is_connection_refusal() => work(connection).await,
                outcome => outcome,
            }
        };
        let outcome = timeout(BUDGET, attempts).await;
        self.learn(started, outcome.as_ref().map_or(true, |done| done.as_ref().is_err_and(RedisError::is_timeout)));
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.error(&explain(&error))),
            Err(_) => Err(self.error("no answer in time")),
        }
    }

    fn connection(&self, now: Instant) -> Result<ConnectionManager, StoreError> {
        let mut state = self.lock();
        if !state.silence.admits(now) {
            return Err(self.error("has stopped answering"));
        }
        if let Some(connection) = &state.connection {
            return Ok(connection.clone());
        }
        let made = ConnectionManager::new_lazy_with_config(self.client.clone(), tuning());
        let made = made.map_err(|error| self.error(&explain(&error)))?;
        Ok(state.connection.insert(made).clone())
    }

    /// The manager replaces a connection that broke; one that is merely silent it would keep for ever.
    fn learn(&self, started: Instant, waited_in_vain: bool) {
        let mut state = self.lock();
        if !waited_in_vain {
            state.silence.answered();
        } else if state.silence.waited(started, Instant::now()) {
            state.connection = None;
        }
    }

    /// A panic elsewhere cannot leave this half written.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, what: &str) -> StoreError {
        metrics::STORE_ERRORS.with([]).add(1);
        StoreError(format!("Redis at {}: {what}", self.client.get_connection_info().addr()))
    }
}

fn tuning() -> ConnectionManagerConfig {
    ConnectionManagerConfig::new()
        .set_number_of_retries(0)
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE))
}

/// Reads URL and certificates; contacts nothing. RESP3, because its connections notice at once when the server hangs up.
pub(super) fn client(config: &RedisConfig) -> Result<Client, StoreError> {
    // The parser's own words could quote the password.
    let unusable = |_| StoreError("the URL is not one that Redis understands".to_owned());
    let info = config.url.as_str().into_connection_info().map_err(unusable)?;
    let tcp = TcpSettings::default()
        .set_nodelay(true)
        .set_user_timeout(USER_TIMEOUT)
        .set_keepalive(TcpKeepalive::new().with_time(KEEPALIVE));
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let info = info.set_tcp_settings(tcp).set_redis_settings(settings);
    if config.url.starts_with("rediss:") {
        Client::build_with_tls(info, certificates(&config.tls)?).map_err(|error| StoreError(explain(&error)))
    } else {
        Client::open(info).map_err(unusable)
    }
}

fn certificates(files: &TlsFiles) -> Result<TlsCertificates, StoreError> {
    // Checked by the code that all outbound TLS goes through: it names the file and what is wrong with it.
    crate::tls::client_config(files).map_err(|error| StoreError(error.to_string()))?;
    let client_tls = match (&files.client_cert, &files.client_key) {
        (Some(cert), Some(key)) => Some(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? }),
        _ => None,
    };
    Ok(TlsCertificates { client_tls, root_cert: files.ca.as_deref().map(read).transpose()? })
}

fn read(path: &Path) -> Result<Vec<u8>, StoreError> {
    std::fs::read(path).map_err(|error| StoreError(format!("{}: {error}", path.display())))
}

/// What is wrong, in the operator's words, and without what the server quotes from the command it refused.
fn explain(error: &RedisError) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS")) => "refuses the credentials".to_owned(),
        (_, Some("NOAUTH")) => "demands credentials and has been given none".to_owned(),
        (ErrorKind::RESP3NotSupported, _) => "is too old: 6.2 is needed".to_owned(),
        (ErrorKind::Server(ServerErrorKind::ReadOnly), _) => {
            "is read-only: a replica, or a primary that lost its place".to_owned()
        }
        (ErrorKind::Server(ServerErrorKind::BusyLoading), _) => "is still loading its data".to_owned(),
        (ErrorKind::Server(ServerErrorKind::NoPerm), _) => "does not permit this user a command it needs".to_owned(),
        (ErrorKind::Server(_) | ErrorKind::Extension, code) => {
            let detail = error.detail().unwrap_or_default();
            let quoted = detail.find(", with args").unwrap_or(detail.len());
            format!("{} {}", code.unwrap_or("ERR"), &detail[..quoted])
        }
        _ => error.to_string(),
    }
}
