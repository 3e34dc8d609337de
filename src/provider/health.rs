//! How a provider is doing: what the last call came to, and when that was.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::ProviderStatus;
use crate::clock::Clock;

/// The last word of one provider.
pub(super) struct Health {
    clock: Clock,
    last: Mutex<Last>,
}

struct Last {
    status: ProviderStatus,
    /// When the last call ended.
    at: Option<Instant>,
    /// When the last call ended that was answered at all.
    heard: Option<Instant>,
}

impl Health {
    /// Nothing is known yet.
    pub(super) const fn unknown(clock: Clock) -> Self {
        Self { clock, last: Mutex::new(Last { status: ProviderStatus::Unknown, at: None, heard: None }) }
    }

    /// When a call begins.
    pub(super) fn now(&self) -> Instant {
        self.clock.instant()
    }

    /// A call that began at `since` came to this just now, and was `heard` or not. A failure says nothing if somebody was
    /// answered well who called later.
    pub(super) fn note(&self, since: Instant, status: ProviderStatus, heard: bool) {
        let now = self.now();
        let mut last = self.last();
        if heard {
            last.heard = Some(now);
        }
        let is_old = last.status == ProviderStatus::Ready && last.at.is_some_and(|at| at > since);
        if status == ProviderStatus::Ready || !is_old {
            (last.status, last.at) = (status, Some(now));
        }
    }

    /// What the last call came to.
    pub(super) fn status(&self) -> ProviderStatus {
        self.last().status.clone()
    }

    /// Whether the last call ended less than `span` ago.
    pub(super) fn is_younger_than(&self, span: Duration) -> bool {
        self.is_within(self.last().at, span)
    }

    /// Whether a call was answered less than `span` ago, well or not.
    pub(super) fn was_heard_within(&self, span: Duration) -> bool {
        self.is_within(self.last().heard, span)
    }

    fn is_within(&self, at: Option<Instant>, span: Duration) -> bool {
        at.is_some_and(|at| self.now().saturating_duration_since(at) < span)
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
