//! How long one who waits for a lease has seen no sign of life of its holder: a pure function of what was seen when.

use std::time::{Duration, Instant};

use crate::session::store::SignOfLife;

/// After how long without a sign of life a holder counts as dead. Four renewals: a busy machine forgets one or two.
const DEAD_AFTER: Duration = Duration::from_secs(4);

/// The longest time between two looks that counts. Who was itself stopped in between has seen nothing.
const LOOKS_WITHIN: Duration = Duration::from_millis(750);

/// One heir's watch over one lease. Only the time counts in which the store answered, for a holder that cannot reach it
/// cannot renew anything either.
#[derive(Debug, Default)]
pub(super) struct Vigil {
    last: Option<SignOfLife>,
    /// When the store said so last, unless it has failed since.
    seen: Option<Instant>,
    silent_for: Duration,
}

impl Vigil {
    /// The store says that the lease is another's, and this is what that one said last.
    pub(super) fn saw(&mut self, sign: SignOfLife, now: Instant) {
        if self.last == Some(sign) {
            let since = self.seen.map_or(Duration::ZERO, |seen| now.saturating_duration_since(seen));
            self.silent_for += since.min(LOOKS_WITHIN);
        } else {
            (self.last, self.silent_for) = (Some(sign), Duration::ZERO);
        }
        self.seen = Some(now);
    }

    /// The store did not answer.
    pub(super) const fn saw_nothing(&mut self) {
        self.seen = None;
    }

    /// The last sign of life of a holder that counts as dead.
    pub(super) fn over(&self) -> Option<SignOfLife> {
        self.last.filter(|_| self.silent_for >= DEAD_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::store::Holder;

    const STEP: Duration = Duration::from_millis(250);

    fn sign(count: u64) -> SignOfLife {
        SignOfLife { holder: Holder(1), count }
    }

    #[test]
    fn a_holder_that_says_nothing_for_four_seconds_is_dead() {
        let (mut vigil, start) = (Vigil::default(), Instant::now());
        for look in 0..16 {
            vigil.saw(sign(7), start + STEP * look);
            assert_eq!(vigil.over(), None, "look {look}");
        }
        vigil.saw(sign(7), start + STEP * 16);
        assert_eq!(vigil.over(), Some(sign(7)));
    }

    #[test]
    fn a_renewal_begins_the_watch_anew() {
        let (mut vigil, start) = (Vigil::default(), Instant::now());
        for look in 0..200 {
            vigil.saw(sign(u64::from(look / 15)), start + STEP * look);
            assert_eq!(vigil.over(), None, "look {look}");
        }
    }

    #[test]
    fn the_time_in_which_the_store_did_not_answer_does_not_count() {
        let (mut vigil, start) = (Vigil::default(), Instant::now());
        for look in 0..12 {
            vigil.saw(sign(7), start + STEP * look);
        }
        vigil.saw_nothing();
        vigil.saw(sign(7), start + Duration::from_secs(60));
        assert_eq!(vigil.over(), None);
        for look in 0..5 {
            vigil.saw(sign(7), start + Duration::from_secs(60) + STEP * look);
            assert_eq!(vigil.over(), None, "look {look}");
        }
        vigil.saw(sign(7), start + Duration::from_secs(60) + STEP * 5);
        assert_eq!(vigil.over(), Some(sign(7)));
    }

    #[test]
    fn who_was_stopped_has_seen_nothing_meanwhile() {
        let (mut vigil, start) = (Vigil::default(), Instant::now());
        vigil.saw(sign(7), start);
        vigil.saw(sign(7), start + Duration::from_secs(60));
        assert_eq!(vigil.over(), None);
    }
}
