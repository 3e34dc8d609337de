//! What is said to a server: one command or script about one key, and where it belongs.

use std::time::{Duration, Instant};

use redis::{Cmd, Script, ToRedisArgs};

use crate::config::RedisAddress;

/// What one operation may take, connecting and every step included.
const BUDGET: Duration = Duration::from_millis(450);

/// A script that servers know by its hash, and are told when they do not.
pub(super) struct Lua {
    pub(super) source: &'static str,
    hash: String,
}

/// One command.
pub(super) struct Request {
    pub(super) command: Cmd,
    pub(super) script: Option<&'static Lua>,
    pub(super) place: Place,
    /// Whether it may be sent again when its answer was lost: said twice it does the same as once.
    pub(super) repeatable: bool,
}

/// Where a request belongs.
pub(super) enum Place {
    /// At whoever has this key.
    Key(String),
    /// At this server and no other.
    Server(RedisAddress),
}

impl Lua {
    pub(super) fn new(source: &'static str) -> Self {
        Self { source, hash: Script::new(source).get_hash().to_owned() }
    }

    /// A call about `key`.
    pub(super) fn about(&'static self, key: String) -> Request {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.hash).arg(1).arg(&key);
        Request { command, script: Some(self), place: Place::Key(key), repeatable: false }
    }
}

impl Request {
    /// A command whose first argument is `key`.
    pub(super) fn about(name: &str, key: String) -> Self {
        let mut command = redis::cmd(name);
        command.arg(&key);
        Self { command, script: None, place: Place::Key(key), repeatable: false }
    }

    /// A command without a key.
    pub(super) fn at(server: &RedisAddress, name: &str) -> Self {
        let command = redis::cmd(name);
        Self { command, script: None, place: Place::Server(server.clone()), repeatable: true }
    }

    pub(super) fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.command.arg(argument);
        self
    }

    pub(super) const fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }
}

/// When an operation that begins now must be over.
pub(super) fn deadline() -> Instant {
    Instant::now() + BUDGET
}
