//! `cloakroom health`: asks `/readyz` of the admin listener.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::listener::{self, Question};
use super::refused;
use super::result::{Failed, say};
use crate::config;
use crate::telemetry::plain;

/// How long everything may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// What counts of the answer.
#[derive(Deserialize)]
struct Readiness {
    status: String,
}

/// Succeeds when the gateway says that it is ready, a provider that is down or not.
pub(super) fn ask(files: &[PathBuf]) -> Result<(), Failed> {
    let address = config::admin_listen(files).map_err(refused)?;
    let question = Question { method: "GET", target: "/readyz", token: None, body: "", patience: PATIENCE };
    let (status, body) = listener::ask(address, &question)
        .map_err(|error| Failed::because(format!("the admin listener at {address} cannot be asked: {error}")))?;
    let Ok(Readiness { status: word }) = serde_json::from_str(&body) else {
        let what = format!("what answers at {address} is no gateway: status {status}, without saying what is ready");
        return Err(Failed::because(what));
    };
    if status == 200 && matches!(word.as_str(), "ready" | "degraded") {
        return say(&plain(&body));
    }
    Err(Failed::because(format!("not ready: {body}")))
}
