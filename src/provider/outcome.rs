//! What a call to a provider can come to, each told by whose fault it is.

use std::time::Duration;

use super::Tokens;

/// The provider cannot be used right now, and why; nothing is the user's fault.
#[derive(Debug, thiserror::Error)]
#[error("the provider is unavailable: {0}")]
pub struct Unavailable(pub String);

/// Why there is no URL to start a login with.
#[derive(Debug, thiserror::Error)]
pub enum AuthorizeError {
    /// The provider cannot be asked right now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Provider and configuration do not fit together, or the provider refused this client's pushed request.
    #[error("{0}")]
    Misconfigured(String),
}

/// Why a code did not become a login.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    /// No answer, a time-out or a 5xx; the code may or may not be used up and is not sent again.
    #[error("the provider is unavailable: {0}")]
    Unavailable(String),
    /// A 429: whatever it was about was not done, and nothing is to be asked for this time.
    #[error("the provider has had too many calls and wants none for {} s", .0.as_secs())]
    Throttled(Duration),
    /// The provider refused the code (`invalid_grant`).
    #[error("the provider refused the code: {0}")]
    Rejected(String),
    /// The provider refused this client (`invalid_client` and its kin).
    #[error("the provider refused this client: {0}")]
    Misconfigured(String),
    /// The answer, or the ID token in it, breaks the standard.
    #[error("the provider's answer is invalid: {0}")]
    Invalid(String),
    /// The code was good, and then the user endpoint did not say whose it was.
    #[error("the user endpoint: {0}")]
    Unidentified(String),
}

impl From<Unavailable> for RedeemError {
    fn from(Unavailable(reason): Unavailable) -> Self {
        Self::Unavailable(reason)
    }
}

/// What a refresh came to (contract section 6.5).
#[derive(Debug)]
pub enum Refreshed {
    /// New tokens.
    Tokens(Tokens),
    /// The refresh token is refused: the session is over.
    Rejected(String),
    /// No connection, no answer in time, one that refuses for now (5xx), or one that says nothing: the session goes on, the
    /// refresh is tried again later.
    Unavailable(String),
    /// A 429: the same, and nothing is to be asked for this time.
    Throttled(Duration),
    /// The request was sent and its answer got lost: the refresh token may be used up or not.
    Unknown(String),
    /// The client itself is refused: an operator must act, no session ends.
    Misconfigured(String),
}

/// How the provider is doing, for `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderStatus {
    /// Not asked yet.
    Unknown,
    /// Metadata was fetched and checked.
    Ready,
    /// The last attempt failed, for this reason.
    Down(String),
}
