//! What one session is in an embedded store, and how it may change; `memory` and `file` differ only in where it lies.

use bytes::Bytes;

use super::{END_REMEMBERED, EndReason, Ended, Loaded, Replaced, Stored};
use crate::clock::Timestamp;

/// A session, or the memory of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// A live session and its absolute end.
    Live { stored: Stored, until: Timestamp },
    /// Why it ended, and how long that is remembered.
    Over { reason: EndReason, until: Timestamp },
}

impl Row {
    pub(super) const fn first(sealed: Bytes, until: Timestamp) -> Self {
        Self::Live { stored: Stored { version: 1, sealed }, until }
    }

    /// The moment from which nothing stands here any more.
    pub(super) const fn until(&self) -> Timestamp {
        match self {
            Self::Live { until, .. } | Self::Over { until, .. } => *until,
        }
    }

    pub(super) fn loaded(&self) -> Loaded {
        match self {
            Self::Live { stored, .. } => Loaded::Live(stored.clone()),
            Self::Over { reason, .. } => Loaded::Ended(*reason),
        }
    }

    /// Compare-and-set: changes only a live row that still has `expected` as its version.
    pub(super) fn replace(&mut self, expected: u64, sealed: Bytes) -> Replaced {
        match self {
            Self::Over { reason, .. } => Replaced::Gone(Some(*reason)),
            Self::Live { stored, .. } if stored.version != expected => Replaced::Conflict,
            Self::Live { stored, .. } => {
                *stored = Stored { version: expected + 1, sealed };
                Replaced::Done
            }
        }
    }

    /// Turns a live row into the memory of its end; the first reason stays.
    pub(super) fn end(&mut self, reason: EndReason, now: Timestamp) -> Ended {
        match self {
            Self::Over { reason, .. } => Ended::Already(Some(*reason)),
            Self::Live { stored, until } => {
                let (stored, until) = (stored.clone(), now.plus(END_REMEMBERED).min(*until));
                *self = Self::Over { reason, until };
                Ended::Now(stored)
            }
        }
    }

    /// The same for one version only.
    pub(super) fn end_version(&mut self, expected: u64, reason: EndReason, now: Timestamp) -> Replaced {
        match self {
            Self::Live { stored, .. } if stored.version != expected => Replaced::Conflict,
            _ => match self.end(reason, now) {
                Ended::Now(_) => Replaced::Done,
                Ended::Already(earlier) => Replaced::Gone(earlier),
            },
        }
    }
}
