//! Calls that came to nothing: what is known of the request then, and what an operator is told.

use std::error::Error as _;
use std::io;

use super::printable;
use crate::provider::Unavailable;

/// Why there is no answer.
#[derive(Debug)]
pub(in crate::provider) enum Silence {
    /// There was no connection: the provider has surely not seen the request.
    NotSent(String),
    /// The connection broke under the request, which may have arrived and been acted on.
    Lost(String),
    /// The same, and what comes back takes too long or is too large: whoever asks again gets no more than that.
    GivenUp(String),
}

impl Silence {
    /// What happened, for an operator.
    pub(super) fn reason(&self) -> &str {
        let (Self::NotSent(reason) | Self::Lost(reason) | Self::GivenUp(reason)) = self;
        reason
    }
}

impl From<Silence> for Unavailable {
    fn from(silence: Silence) -> Self {
        Self(silence.reason().to_owned())
    }
}

/// What a call that failed with `error` says of the request.
pub(super) fn silence(error: &reqwest::Error) -> Silence {
    let reason = describe(error);
    // The kernel, too, gives connections up after a time; that is a broken one, and has a number.
    let mut causes =
        std::iter::successors(error.source(), |cause: &&(dyn std::error::Error + 'static)| (*cause).source());
    let is_broken = causes.any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|io| io.raw_os_error().is_some()));
    if error.is_connect() || error.is_builder() {
        Silence::NotSent(reason)
    } else if error.is_timeout() && !is_broken {
        Silence::GivenUp(reason)
    } else {
        Silence::Lost(reason)
    }
}

/// What went wrong, for an operator: the innermost cause, such as "invalid peer certificate: UnknownIssuer", no URL.
pub(super) fn describe(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer within the time limit".to_owned();
    }
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    let cause = cause.map_or_else(|| "the call failed".to_owned(), ToString::to_string);
    let stage = if error.is_connect() { "cannot connect" } else { "the connection broke" };
    format!("{stage}: {}", printable(&cause))
}
