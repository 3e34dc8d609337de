//! `cloakroom health`: asks `/readyz` of the admin listener.

use std::path::PathBuf;
use std::time::Duration;

use super::listener::{self, Question};
use super::{Failed, read, say};
use crate::config::DEFAULT_ADMIN_LISTEN;

const PATIENCE: Duration = Duration::from_secs(3);

/// Succeeds when the gateway says that it is ready.
pub(super) fn ask(files: &[PathBuf]) -> Result<(), Failed> {
    let address = if files.is_empty() {
        DEFAULT_ADMIN_LISTEN
    } else {
        read(files)?.admin.listen.ok_or_else(|| Failed::because("this configuration has no admin listener"))?
    };
    let question = Question { method: "GET", target: "/readyz", token: None, body: "", patience: PATIENCE };
    let (status, body) = listener::ask(address, &question)
        .map_err(|error| Failed::because(format!("the admin listener at {address} does not answer: {error}")))?;
    if status == 200 {
        say(body.trim_end());
        return Ok(());
    }
    Err(Failed::because(format!("not ready: {}", body.trim_end())))
}
