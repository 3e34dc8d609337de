//! Why a request has no answer, and whether it may have been carried out all the same.

use std::fmt;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// A request without the answer that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// Whether the request may have been carried out.
    pub(super) perhaps_done: bool,
    pub(super) cause: Cause,
}

/// What went wrong.
#[derive(Clone, Debug)]
pub(super) enum Cause {
    /// Nothing came back in time.
    Silent,
    /// It has been silent for so long that it was not asked again.
    GivenUp,
    /// It is not the primary that we were told it was.
    Replica,
    /// It must not be connected to.
    Forbidden(String),
    /// No connection, a broken one, or an error for an answer.
    Redis(RedisError),
}

impl Failure {
    /// No connection could be made, so nothing was sent.
    pub(super) const fn unsent(cause: Cause) -> Self {
        Self { perhaps_done: false, cause }
    }

    /// The request was sent. An error for an answer means that it was not carried out: our scripts write last.
    pub(super) fn sent(error: RedisError) -> Self {
        let answered = matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension);
        Self { perhaps_done: !answered, cause: Cause::of(error) }
    }

    /// The server's own error.
    pub(super) fn answer(&self) -> Option<(ServerErrorKind, &RedisError)> {
        match &self.cause {
            Cause::Redis(error) => match error.kind() {
                ErrorKind::Server(kind) => Some((kind, error)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the server could not be reached, or not in time.
    pub(super) fn is_unreachable(&self) -> bool {
        match &self.cause {
            Cause::Silent | Cause::GivenUp | Cause::Replica => true,
            Cause::Forbidden(_) => false,
            Cause::Redis(error) => error.is_io_error(),
        }
    }
}

impl Cause {
    pub(super) fn of(error: RedisError) -> Self {
        if error.is_timeout() { Self::Silent } else { Self::Redis(error) }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("no answer in time"),
            Self::GivenUp => f.write_str("has stopped answering"),
            Self::Replica => f.write_str("is a replica, although the sentinels name it as the primary"),
            Self::Forbidden(why) => f.write_str(why),
            Self::Redis(error) => f.write_str(&explain(error)),
        }
    }
}

const NOT_PERMITTED: &str = "does not permit this user a command or a channel it needs";

/// What is wrong, in the operator's words, and without what the server quotes from the command it refused.
pub(super) fn explain(error: &RedisError) -> String {
    match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS")) => "refuses the credentials".to_owned(),
        (_, Some("NOAUTH")) => "demands credentials and has been given none".to_owned(),
        (ErrorKind::RESP3NotSupported, _) => "is too old: 6.2 is needed".to_owned(),
        (ErrorKind::Server(ServerErrorKind::ReadOnly), _) => {
            "is read-only: a replica, or a primary that lost its place".to_owned()
        }
        (ErrorKind::Server(ServerErrorKind::BusyLoading), _) => "is still loading its data".to_owned(),
        (ErrorKind::Server(ServerErrorKind::ClusterDown), _) => "belongs to a cluster that is down".to_owned(),
        // What Redis 7.0 says when it is a script that may not.
        _ if error.detail().is_some_and(|detail| detail.contains("user executing the script can't")) => {
            NOT_PERMITTED.to_owned()
        }
        (ErrorKind::Server(ServerErrorKind::NoPerm), _) => NOT_PERMITTED.to_owned(),
        (_, Some("NOREPLICAS")) => "has fewer replicas than its min-replicas-to-write".to_owned(),
        (ErrorKind::Server(_) | ErrorKind::Extension, code) => {
            let detail = error.detail().unwrap_or_default();
            let quoted = detail.find(", with args").unwrap_or(detail.len());
            format!("{} {}", code.unwrap_or("ERR"), &detail[..quoted])
        }
        _ => error.to_string(),
    }
}
