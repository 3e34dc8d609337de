//! Why a request has no answer, and whether it may have been carried out all the same.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::settings::Settings;
use crate::telemetry::plain_start;

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

    /// What went wrong, in the operator's words; see [`explain`].
    pub(super) fn explain(&self, settings: &Settings) -> String {
        match self {
            Self::Silent => "no answer in time".to_owned(),
            Self::GivenUp => "has stopped answering".to_owned(),
            Self::Replica => "is a replica, although the sentinels name it as the primary".to_owned(),
            Self::Forbidden(why) => why.clone(),
            Self::Redis(error) => explain(error, settings),
        }
    }
}

const NOT_PERMITTED: &str = "does not permit this user a command or a channel it needs";

/// The longest piece of a server's own words that is repeated, in characters.
const LONGEST: usize = 200;

/// What is wrong, in the operator's words, and without what the server quotes from the command it refused: whoever answers
/// at that address may quote the password, and what is said here is read by many.
pub(super) fn explain(error: &RedisError, settings: &Settings) -> String {
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
        (ErrorKind::Parse | ErrorKind::UnexpectedReturnType, _) => "does not answer as Redis does".to_owned(),
        (ErrorKind::Server(_) | ErrorKind::Extension, code) => {
            quote(code.unwrap_or("ERR"), error.detail().unwrap_or_default(), settings)
        }
        _ => plain_start(&error.to_string(), LONGEST),
    }
}

/// The first line of the server's own words, or that it had some where they say what was said to it to get in.
fn quote(code: &str, detail: &str, settings: &Settings) -> String {
    let line = detail.lines().next().unwrap_or_default();
    let quoted = line.find(", with args").unwrap_or(line.len());
    let words = format!("{code} {}", &line[..quoted]);
    if words.to_ascii_uppercase().contains("AUTH") || settings.are_given_away(&format!("{code} {detail}")) {
        return "answers with an error about credentials, which is not repeated".to_owned();
    }
    plain_start(&words, LONGEST)
}
