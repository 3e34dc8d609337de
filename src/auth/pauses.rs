//! Pauses between attempts at something that must not be given up: each twice as long as the one before, up to a limit.

use std::time::Duration;

/// The pauses of one such attempt.
pub(super) struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    pub(super) const fn between(first: Duration, longest: Duration) -> Self {
        Self { next: first, longest }
    }

    /// Waits for the next one.
    pub(super) async fn wait(&mut self) {
        tokio::time::sleep(self.next).await;
        self.next = self.next.saturating_mul(2).min(self.longest);
    }
}
