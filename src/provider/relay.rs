//! `kind = "relay"`: an API with a JSON login of its own.

use super::back_channel::BackChannel;
use super::{ProviderStatus, Refreshed, Unavailable};

/// One API that logs its users in.
pub(super) struct Relay {
    caller: BackChannel,
}

impl Relay {
    /// An API that was not asked yet.
    pub(super) const fn new(caller: BackChannel) -> Self {
        Self { caller }
    }

    /// A token that cannot be renewed ends with its session.
    pub(super) fn refresh(&self) -> Refreshed {
        Refreshed::Rejected("the API renews no token".to_owned())
    }

    /// What the last call came to.
    pub(super) fn status(&self) -> ProviderStatus {
        self.caller.status()
    }
}

/// Such an API has no page to send a browser to.
pub(super) fn no_page() -> Unavailable {
    Unavailable("it has no login page; its users log in with POST /bff/login".to_owned())
}
