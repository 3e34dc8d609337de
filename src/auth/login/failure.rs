//! Why a login does not begin, or does not become a session, each told by whose fault it is.

use std::time::Duration;

use crate::guard::return_to::ReturnTo;
use crate::provider::{AuthorizeError, RedeemError, logged_error};
use crate::session::store::StoreError;

/// Why a login cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The site has no provider of that name.
    #[error("this site has no such provider")]
    UnknownProvider,
    /// The provider cannot be used right now, or not by this client.
    #[error(transparent)]
    Provider(#[from] AuthorizeError),
}

/// Why a callback did not become a login.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// The state was used before.
    #[error("the state was used before")]
    Consumed,
    /// The provider's error, for the user to see.
    #[error("the provider refused the login: {}", logged_error(.0))]
    Refused(String),
    /// The provider would have had to ask the user, which `prompt=none` forbids.
    #[error("the provider needs to ask the user")]
    SilentRefused(ReturnTo),
    /// The answer breaks the standard, or is another's.
    #[error("{0}")]
    Invalid(String),
    /// The provider refused the code that it had given out, and why, for the user to see.
    #[error("the provider refused the code: {0}")]
    CodeRefused(String),
    /// The login was good, and the provider does not say whose it was; why not.
    #[error("the provider does not say who the user is: {0}")]
    Unidentified(String),
    /// This gateway's own registration at the provider is wrong.
    #[error("{0}")]
    Misconfigured(String),
    /// The provider cannot be used right now.
    #[error("{0}")]
    ProviderUnavailable(String),
    /// The provider cannot be asked before this time has passed.
    #[error("the provider must not be asked for {} s", .0.as_secs())]
    Busy(Duration),
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CallbackError {
    /// The word in metrics, one of `LOGIN_OUTCOMES`.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Consumed => "replayed",
            Self::Refused(_) => "refused",
            Self::SilentRefused(_) => "silent_refused",
            Self::Invalid(_) | Self::CodeRefused(_) => "invalid",
            Self::Unidentified(_) => "unidentified",
            Self::Misconfigured(_) => "misconfigured",
            Self::ProviderUnavailable(_) | Self::Busy(_) => "provider_unavailable",
            Self::Store(_) => "store_unavailable",
        }
    }
}

impl From<RedeemError> for CallbackError {
    fn from(error: RedeemError) -> Self {
        let said = error.to_string();
        match error {
            RedeemError::Unidentified(reason) => Self::Unidentified(reason),
            RedeemError::Throttled(pause) => Self::Busy(pause),
            RedeemError::Unavailable(_) => Self::ProviderUnavailable(said),
            RedeemError::Rejected(code) => Self::CodeRefused(code),
            RedeemError::Invalid(_) => Self::Invalid(said),
            RedeemError::Misconfigured(_) => Self::Misconfigured(said),
        }
    }
}

/// The errors of `prompt=none` (OpenID Connect Core §3.1.2.6) send the user back; every other one is shown.
pub(super) fn refused(error: String, silent: bool, return_to: &ReturnTo) -> CallbackError {
    const NEEDS_THE_USER: [&str; 5] =
        ["login_required", "consent_required", "interaction_required", "account_selection_required", "access_denied"];
    if silent && NEEDS_THE_USER.contains(&error.as_str()) {
        return CallbackError::SilentRefused(return_to.clone());
    }
    CallbackError::Refused(error)
}
