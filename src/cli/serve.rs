//! `cloakroom serve`: runs until SIGTERM or SIGINT, reloads on SIGHUP or when a key or certificate file changes.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failed, read};
use crate::app::{self, Gateway, Reload};
use crate::clock::Clock;
use crate::config;
use crate::telemetry;

/// How often the key and certificate files are looked at. Looking beats being told: the way secrets are mounted in
/// containers (a link that is switched) escapes most file watchers.
const LOOK_AT_FILES: Duration = Duration::from_secs(2);

/// Serves what `files` say.
pub(super) fn run(files: Vec<PathBuf>) -> Result<(), Failed> {
    app::run(async move {
        // First of all: a signal that comes during the start is acted upon after it, and does not kill.
        let (hangups, stop) = (listen(SignalKind::hangup())?, stop_signal()?);
        let config = read(&files)?;
        let watched = Watched::new(config.watched.clone());
        telemetry::start(&config.log).map_err(Failed::because)?;
        let gateway = Gateway::build(config, Clock::System).map_err(Failed::because)?;
        let reloading = Reloading { reload: gateway.reloader(), files, watched };
        let reloading = tokio::task::spawn_local(reloading.run(hangups));
        let served = gateway.run_until(stop).await.map_err(Failed::because);
        reloading.abort();
        served
    })
}

/// Resolves at the first SIGTERM or SIGINT.
pub(super) fn stop_signal() -> Result<impl Future<Output = ()>, Failed> {
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn listen(kind: SignalKind) -> Result<Signal, Failed> {
    signal(kind).map_err(|error| Failed::because(format!("cannot listen for signals: {error}")))
}

/// Reads the configuration again whenever there is a reason to.
struct Reloading {
    reload: Reload,
    files: Vec<PathBuf>,
    watched: Watched,
}

impl Reloading {
    async fn run(mut self, mut hangups: Signal) {
        loop {
            tokio::select! {
                _ = hangups.recv() => self.reload("SIGHUP"),
                () = tokio::time::sleep(LOOK_AT_FILES) => {
                    if self.watched.changed() {
                        self.reload("a key or certificate file changed");
                    }
                }
            }
        }
    }

    /// A configuration that cannot be used is refused, and the old one goes on.
    fn reload(&mut self, cause: &str) {
        let read = config::read(&self.files, &config::process_environment).map_err(|faults| faults.to_string());
        let watched = read.as_ref().ok().map(|config| config.watched.clone());
        match read.and_then(|config| self.reload.apply(config).map_err(|error| error.to_string())) {
            Ok(()) => {
                tracing::info!(event = "reloaded", cause);
                self.watched = Watched::new(watched.unwrap_or_default());
            }
            Err(why) => tracing::error!(event = "reload_refused", cause, %why, "the old configuration goes on"),
        }
    }
}

/// Files whose change asks for a reload, as they were last seen.
struct Watched {
    files: Vec<PathBuf>,
    seen: Vec<Option<(SystemTime, u64)>>,
}

impl Watched {
    fn new(files: Vec<PathBuf>) -> Self {
        Self { seen: look_at(&files), files }
    }

    /// Whether any file has changed since the last look; a file that is away for a moment is no change yet.
    fn changed(&mut self) -> bool {
        let now = look_at(&self.files);
        let changed = now.iter().zip(&self.seen).any(|(now, seen)| now.is_some() && now != seen);
        self.seen = now;
        changed
    }
}

fn look_at(files: &[PathBuf]) -> Vec<Option<(SystemTime, u64)>> {
    let look = |file: &PathBuf| {
        let metadata = std::fs::metadata(file).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.iter().map(look).collect()
}
