//! Notices that a server was emptied: every process leaves a mark on each primary, and looks with each beat whether it
//! still stands. `FLUSHALL` tells nobody, and would otherwise be found out copy by copy.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::Value;

use super::link::Link;
use super::request::{Request, deadline};
use super::{Holder, millis};
use crate::config::RedisAddress;

/// How long a mark outlives its process. A process that was stopped for longer than this takes the server for emptied,
/// which costs it no more than a new subscription.
const LIFE: Duration = Duration::from_secs(300);

/// With every so many beats a mark's life is renewed: once a minute.
const RENEWAL: usize = 240;

/// The marks of one subscription.
pub(super) struct Marks {
    process: String,
    /// The names that were written; the others are not missed.
    written: Mutex<HashSet<String>>,
}

impl Marks {
    pub(super) fn new() -> Self {
        Self { process: format!("{:032x}", Holder::random().0), written: Mutex::default() }
    }

    /// Whether the mark on `server` stands where it was left. Without an answer nothing is said; a mark that cannot be
    /// left is left with another beat.
    pub(super) async fn stands(&self, link: &Link, beat: usize, server: &RedisAddress) -> bool {
        let name = link.topology.name_at(server, |number| format!("cloakroom:m:{{{}.{number}}}", self.process));
        let Some(name) = name else { return true };
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner).contains(&name);
        if !written {
            let leave = Request::about("SET", name.clone()).arg("").arg("PX").arg(millis(LIFE));
            if link.send::<()>(&leave, deadline()).await.is_ok() {
                self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
            }
            return true;
        }
        let look = if beat.is_multiple_of(RENEWAL) {
            Request::about("PEXPIRE", name).arg(millis(LIFE))
        } else {
            Request::about("EXISTS", name)
        };
        !matches!(link.send::<Value>(&look, deadline()).await, Ok(Value::Int(0)))
    }
}
