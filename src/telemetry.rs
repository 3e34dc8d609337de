//! What the process says about itself: log lines, request ids, and what it counts.
//!
//! Only this crate's own events are written. What its libraries say may hold URLs and headers, so that only their errors
//! are heard.

pub mod metrics;

use std::io::{self, IsTerminal as _};

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer as _, fmt};

use crate::config::{LogConfig, LogFormat, LogLevel};
use crate::secret::random_bytes;

/// Sends every event to standard error from now on.
///
/// # Errors
/// When another subscriber is installed already.
pub fn start(config: &LogConfig) -> Result<(), TryInitError> {
    let level = match config.level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
    };
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), level).with_default(LevelFilter::ERROR);
    let layer = match config.format {
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(io::stderr).with_filter(ours).boxed(),
        LogFormat::Text => fmt::layer()
            .compact()
            .with_target(false)
            .with_ansi(io::stderr().is_terminal())
            .with_writer(io::stderr)
            .with_filter(ours)
            .boxed(),
    };
    tracing_subscriber::registry().with(layer).try_init()
}

/// Names one request in logs, in its error body and at the upstream: 16 hexadecimal digits, never taken from the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// A fresh id.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{:016x}", u64::from_be_bytes(random_bytes())))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
