//! `cloakroom serve`: runs until SIGTERM or SIGINT, reloads on SIGHUP or when a key or certificate file changes.

mod watched;

use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use self::watched::Watched;
use super::read;
use super::result::Failed;
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
        let watched = Watched::default().now(&config.watched);
        telemetry::start(&config.log).map_err(Failed::because)?;
        let gateway = Gateway::build(config, Clock::System).map_err(Failed::because)?;
        let reloading = Reloading { reload: gateway.reloader(), files, watched, refusal: None };
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
    /// Why the last reload was refused, if it was.
    refusal: Option<String>,
}

/// What asks for a reload.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    Signal,
    Files,
}

impl Cause {
    const fn words(self) -> &'static str {
        match self {
            Self::Signal => "SIGHUP",
            Self::Files => "a key or certificate file changed",
        }
    }
}

impl Reloading {
    async fn run(mut self, mut hangups: Signal) {
        loop {
            tokio::select! {
                _ = hangups.recv() => self.reload(Cause::Signal),
                () = tokio::time::sleep(LOOK_AT_FILES) => {
                    if self.watched.changed() {
                        self.reload(Cause::Files);
                    }
                }
            }
        }
    }

    /// A configuration that cannot be used is refused, and the old one goes on. While a watched file is another one than
    /// the one in use, this is called at every look: what is in the way may be mended meanwhile. The log hears of a
    /// refusal once, and whoever sent a signal hears of every one.
    fn reload(&mut self, cause: Cause) {
        // Before they are read: what is written meanwhile is a change.
        let seen = self.watched.again();
        let read = config::read(&self.files, &config::process_environment).map_err(|faults| faults.to_string());
        let applied = read.and_then(|config| {
            let watched = seen.now(&config.watched);
            self.reload.apply(config).map(|()| watched).map_err(|error| error.to_string())
        });
        match applied {
            Ok(watched) => {
                tracing::info!(event = "reloaded", cause = cause.words());
                (self.watched, self.refusal) = (watched, None);
            }
            Err(why) => {
                if cause == Cause::Signal || self.refusal.as_ref() != Some(&why) {
                    let cause = cause.words();
                    tracing::error!(event = "reload_refused", cause, %why, "the old configuration goes on");
                }
                self.refusal = Some(why);
            }
        }
    }
}
