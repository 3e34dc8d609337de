//! `cloakroom serve`: runs until SIGTERM or SIGINT, reloads on SIGHUP.

use std::path::PathBuf;

use actix_web::rt::System;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failed;
use crate::app::{Gateway, Reload};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::telemetry;

/// Serves `config`, which was read from `files`.
pub(super) fn run(config: Config, files: Vec<PathBuf>) -> Result<(), Failed> {
    telemetry::start(&config.log).map_err(Failed::because)?;
    in_system(async move {
        let gateway = Gateway::build(config, Clock::System).map_err(Failed::because)?;
        let reloading = actix_web::rt::spawn(reload_on_hangup(hangups()?, gateway.reloader(), files));
        let served = gateway.run_until(stop_signal()?).await.map_err(Failed::because);
        reloading.abort();
        served
    })
}

/// Runs `work` in an actix system of its own.
pub(super) fn in_system(work: impl Future<Output = Result<(), Failed>>) -> Result<(), Failed> {
    System::new().block_on(work)
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

fn hangups() -> Result<Signal, Failed> {
    listen(SignalKind::hangup())
}

fn listen(kind: SignalKind) -> Result<Signal, Failed> {
    signal(kind).map_err(|error| Failed::because(format!("cannot listen for signals: {error}")))
}

/// A configuration that cannot be used is refused, and the old one goes on.
async fn reload_on_hangup(mut hangups: Signal, reload: Reload, files: Vec<PathBuf>) {
    while hangups.recv().await.is_some() {
        let read = config::read(&files, &config::process_environment).map_err(|faults| faults.to_string());
        match read.and_then(|config| reload.apply(config).map_err(|error| error.to_string())) {
            Ok(()) => tracing::info!(event = "reloaded"),
            Err(why) => tracing::error!(event = "reload_refused", %why, "the old configuration goes on"),
        }
    }
}
