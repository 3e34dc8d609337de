//! How a provider is doing: what the last call came to, and when that was.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::ProviderStatus;
use crate::clock::Clock;

/// The last word of one provider.
pub(super) struct Health {
    clock: Clock,
    last: Mutex<Option<(ProviderStatus, Instant)>>,
}

impl Health {
    /// Nothing is known yet.
    pub(super) const fn unknown(clock: Clock) -> Self {
        Self { clock, last: Mutex::new(None) }
    }

    /// A call came to this just now.
    pub(super) fn note(&self, status: ProviderStatus) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((status, self.clock.instant()));
    }

    /// What the last call came to.
    pub(super) fn status(&self) -> ProviderStatus {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().map_or(ProviderStatus::Unknown, |(status, _)| status.clone())
    }

    /// Whether the last call ended less than `span` ago.
    pub(super) fn is_younger_than(&self, span: Duration) -> bool {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().is_some_and(|(_, at)| self.clock.instant().saturating_duration_since(*at) < span)
    }
}
