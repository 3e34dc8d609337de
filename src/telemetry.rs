//! What the process says about itself: log lines, request ids, what it counts, and how it repeats the words of others.
//!
//! Only this crate's own events are written. What its libraries say may hold URLs and headers, so that only their errors
//! are heard.

pub mod metrics;
mod plain;

use std::cell::RefCell;
use std::fmt;
use std::io::{self, IsTerminal as _};

use tracing::Level;
use tracing::field::Field;
use tracing_subscriber::Layer as _;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

pub use self::plain::{plain, plain_start, steers_terminals};
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
    let ours = Targets::new()
        .with_target(env!("CARGO_CRATE_NAME"), level)
        // A stranger's malformed request is no error of this process.
        .with_target("actix_http", LevelFilter::OFF)
        .with_default(LevelFilter::ERROR);
    let layer = match config.format {
        LogFormat::Json => layer().json().flatten_event(true).with_writer(io::stderr).with_filter(ours).boxed(),
        LogFormat::Text => layer()
            .compact()
            .fmt_fields(debug_fn(word).delimited(" "))
            .with_target(false)
            .with_ansi(io::stderr().is_terminal())
            .with_writer(io::stderr)
            .with_filter(ours)
            .boxed(),
    };
    tracing_subscriber::registry().with(layer).try_init()
}

/// One field of a line of text: the event's name and the message as they are, everything else as `name=value`, in quotes
/// where the value could be mistaken for more than one word.
fn word(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let shown = format!("{value:?}");
    let inside = shown.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(&shown);
    let plain =
        !inside.is_empty() && !inside.contains(|c: char| c.is_whitespace() || c.is_control() || "\"\\=".contains(c));
    match field.name() {
        "event" | "message" if inside.chars().all(|c| !c.is_control()) => write!(writer, "{inside}"),
        name if plain => write!(writer, "{name}={inside}"),
        name if inside.len() < shown.len() => write!(writer, "{name}={shown}"),
        name => write!(writer, "{name}={shown:?}"),
    }
}

/// Names one request in logs, in its error body and at the upstream: 16 hexadecimal digits, never taken from the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId([u8; 16]);

/// Randomness for that many ids is asked for at once.
const IDS: usize = 32;

thread_local! {
    /// Random numbers that this thread has not used yet.
    static UNUSED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

impl RequestId {
    /// A fresh id.
    #[must_use]
    pub fn random() -> Self {
        let number = UNUSED.with_borrow_mut(|unused| {
            if unused.is_empty() {
                let bytes = random_bytes::<{ 8 * IDS }>();
                unused.extend(
                    bytes.chunks_exact(8).map(|bytes| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))),
                );
            }
            unused.pop().expect("there is one, or there has just been more")
        });
        let digit = |place: usize| b"0123456789abcdef"[(number >> (60 - 4 * place)) as usize & 0xf];
        Self(std::array::from_fn(digit))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits are ASCII")
    }
}
